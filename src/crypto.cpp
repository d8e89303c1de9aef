#include "latchkey/crypto.hpp"

#include <sodium/crypto_aead_xchacha20poly1305.h>
#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_kdf_hkdf_sha256.h>
#include <sodium/crypto_sign_ed25519.h>
#include <sodium/utils.h>
#include <sodium_key.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace latchkey::crypto {
namespace {

static_assert(sizeof(VerifyKey) == sizeof(latchkey_ed25519_key) &&
              offsetof(VerifyKey, point) == offsetof(latchkey_ed25519_key, point) &&
              offsetof(VerifyKey, status) == offsetof(latchkey_ed25519_key, status));

constexpr std::uint64_t block_bits = 512;

// libsodium's hash state is a public struct; after whole blocks it is just the chaining value.
crypto_hash_sha256_state after_blocks(std::uint64_t n,
                                      const std::array<std::uint32_t, 8>& chaining) noexcept {
  crypto_hash_sha256_state state;
  std::memcpy(state.state, chaining.data(), sizeof state.state);
  state.count = n * block_bits;
  return state;
}

crypto_hash_sha256_state state_of(const MacStream& stream) noexcept {
  crypto_hash_sha256_state state = after_blocks(0, stream.inner);
  state.count = stream.bits;
  std::memcpy(state.buf, stream.rest.data(), sizeof state.buf);
  return state;
}

void update(crypto_hash_sha256_state& state, Bytes bytes) noexcept {
  crypto_hash_sha256_update(&state, bytes.data(), bytes.size());
}

Tag finish(const MacKey& key, crypto_hash_sha256_state& inner) noexcept {
  Sha256 digest;
  crypto_hash_sha256_final(&inner, digest.data());
  crypto_hash_sha256_state outer = after_blocks(1, key.outer);
  update(outer, digest);
  Tag out;
  crypto_hash_sha256_final(&outer, out.data());
  return out;
}

}  // namespace

void wipe(MutBytes bytes) noexcept { sodium_memzero(bytes.data(), bytes.size()); }

bool equal(Bytes a, Bytes b) noexcept {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

Sha256 sha256(Bytes a, Bytes b) noexcept {
  Sha256 out;
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  update(state, a);
  update(state, b);
  crypto_hash_sha256_final(&state, out.data());
  return out;
}

MacKey mac_key(Bytes key) noexcept {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), key.size());
  MacKey out;
  std::memcpy(out.inner.data(), state.ictx.state, sizeof out.inner);
  std::memcpy(out.outer.data(), state.octx.state, sizeof out.outer);
  wipe_object(state);
  return out;
}

Tag mac(const MacKey& key, Bytes a, Bytes b, Bytes c) noexcept {
  crypto_hash_sha256_state inner = after_blocks(1, key.inner);
  update(inner, a);
  update(inner, b);
  update(inner, c);
  return finish(key, inner);
}

MacPrefix mac_prefix(const MacKey& key, std::span<const std::uint8_t, 64> block) noexcept {
  crypto_hash_sha256_state inner = after_blocks(1, key.inner);
  update(inner, block);
  MacPrefix out;
  std::memcpy(out.inner.data(), inner.state, sizeof out.inner);
  return out;
}

Tag mac(const MacKey& key, const MacPrefix& prefix, Bytes rest) noexcept {
  crypto_hash_sha256_state inner = after_blocks(2, prefix.inner);
  update(inner, rest);
  return finish(key, inner);
}

MacStream mac_begin(const MacKey& key) noexcept {
  MacStream out;
  out.inner = key.inner;
  out.outer = key.outer;
  out.bits = block_bits;
  return out;
}

void mac_update(MacStream& stream, Bytes piece) noexcept {
  crypto_hash_sha256_state state = state_of(stream);
  update(state, piece);
  std::memcpy(stream.inner.data(), state.state, sizeof stream.inner);
  std::memcpy(stream.rest.data(), state.buf, sizeof stream.rest);
  stream.bits = state.count;
}

Tag mac_end(MacStream& stream) noexcept {
  crypto_hash_sha256_state state = state_of(stream);
  MacKey key;
  key.outer = stream.outer;
  const Tag out = finish(key, state);
  wipe_object(stream);
  return out;
}

void hkdf(Bytes ikm, Bytes salt, Bytes info, MutBytes out) noexcept {
  LK_CHECK(out.size() <= crypto_kdf_hkdf_sha256_BYTES_MAX);
  if (out.empty()) return;
  // libsodium declares its key argument non-null, also where its length is 0.
  const std::uint8_t none = 0;
  const std::uint8_t* const key = ikm.empty() ? &none : ikm.data();
  Secret32 prk;
  crypto_kdf_hkdf_sha256_extract(prk.data(), salt.data(), salt.size(), key, ikm.size());
  crypto_kdf_hkdf_sha256_expand(out.data(), out.size(), reinterpret_cast<const char*>(info.data()),
                                info.size(), prk.data());
  wipe_object(prk);
}

Ed25519Public SignKey::public_key() const noexcept {
  Ed25519Public out;
  std::copy(seed_and_public.begin() + 32, seed_and_public.end(), out.begin());
  return out;
}

SignKey sign_key(const Secret32& seed) noexcept {
  SignKey out;
  Ed25519Public unused;
  crypto_sign_ed25519_seed_keypair(unused.data(), out.seed_and_public.data(), seed.data());
  return out;
}

Ed25519Signature sign(const SignKey& key, Bytes message) noexcept {
  Ed25519Signature out;
  crypto_sign_ed25519_detached(out.data(), nullptr, message.data(), message.size(),
                               key.seed_and_public.data());
  return out;
}

VerifyKey verify_key(const Ed25519Public& key) noexcept {
  VerifyKey out;
  out.bytes = key;
  out.status = latchkey_ed25519_unpack(key.data(), out.point.data());
  return out;
}

bool verify(const VerifyKey& key, Bytes message, const Ed25519Signature& signature) noexcept {
  return crypto_sign_ed25519_verify_detached(signature.data(), message.data(), message.size(),
                                             reinterpret_cast<const std::uint8_t*>(&key)) == 0;
}

void aead_seal(const Secret32& key, Bytes nonce, Bytes associated, Bytes plain,
               MutBytes out) noexcept {
  LK_CHECK(nonce.size() == aead_nonce_size && out.size() == plain.size() + aead_tag_size);
  crypto_aead_xchacha20poly1305_ietf_encrypt(out.data(), nullptr, plain.data(), plain.size(),
                                             associated.data(), associated.size(), nullptr,
                                             nonce.data(), key.data());
}

bool aead_open(const Secret32& key, Bytes nonce, Bytes associated, Bytes sealed,
               MutBytes out) noexcept {
  LK_CHECK(nonce.size() == aead_nonce_size);
  if (sealed.size() < aead_tag_size) return false;
  LK_CHECK(out.size() == sealed.size() - aead_tag_size);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(
             out.data(), nullptr, nullptr, sealed.data(), sealed.size(), associated.data(),
             associated.size(), nonce.data(), key.data()) == 0;
}

}  // namespace latchkey::crypto
