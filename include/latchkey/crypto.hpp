/// Cryptographic primitives: libsodium's, behind the few shapes the core needs.
///
/// Nothing here is an implementation; nothing here reads a clock or makes randomness.
#pragma once

#include "latchkey/types.hpp"

#include <array>

namespace latchkey::crypto {

using Sha256 = std::array<std::uint8_t, 32>;
using Tag = std::array<std::uint8_t, 32>;
using Secret32 = std::array<std::uint8_t, 32>;
using Ed25519Public = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;

/// Overwrites memory so that the compiler cannot leave it out.
void wipe(MutBytes bytes) noexcept;
template <class T> void wipe_object(T& object) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  wipe({reinterpret_cast<std::uint8_t*>(&object), sizeof object});
}

/// Compares without a data-dependent branch; different lengths are unequal at once (they are
/// public).
[[nodiscard]] bool equal(Bytes a, Bytes b) noexcept;

/// SHA-256 (FIPS 180-4) of the concatenation of two pieces.
[[nodiscard]] Sha256 sha256(Bytes a, Bytes b = {}) noexcept;

/// An HMAC-SHA-256 key as the two SHA-256 chaining values behind its padded blocks (RFC 2104): two
/// of the compressions of every MAC are paid once per key.
struct MacKey {
  std::array<std::uint32_t, 8> inner{};
  std::array<std::uint32_t, 8> outer{};
};

/// Prepares a key of any length (RFC 2104 section 2).
[[nodiscard]] MacKey mac_key(Bytes key) noexcept;

/// HMAC-SHA-256 of the concatenation of up to three pieces.
[[nodiscard]] Tag mac(const MacKey& key, Bytes a, Bytes b = {}, Bytes c = {}) noexcept;

/// A MAC as far as the first 64 bytes of its message: where many messages begin alike, that block
/// is paid once.
struct MacPrefix {
  std::array<std::uint32_t, 8> inner{};
};

[[nodiscard]] MacPrefix mac_prefix(const MacKey& key,
                                   std::span<const std::uint8_t, 64> block) noexcept;

/// HMAC-SHA-256 of the prefix's 64 bytes followed by `rest`.
[[nodiscard]] Tag mac(const MacKey& key, const MacPrefix& prefix, Bytes rest) noexcept;

/// A MAC of a message that comes in pieces. Plain bytes, which hold what is as good as the key.
struct MacStream {
  std::array<std::uint32_t, 8> inner{};
  std::array<std::uint32_t, 8> outer{};
  std::uint64_t bits{0};
  std::array<std::uint8_t, 64> rest{};
};

[[nodiscard]] MacStream mac_begin(const MacKey& key) noexcept;
void mac_update(MacStream& stream, Bytes piece) noexcept;
/// HMAC-SHA-256 of all pieces; wipes the stream.
[[nodiscard]] Tag mac_end(MacStream& stream) noexcept;

/// HKDF-SHA-256 (RFC 5869), extract and expand; `out` at most 8,160 bytes.
void hkdf(Bytes ikm, Bytes salt, Bytes info, MutBytes out) noexcept;

/// An Ed25519 public key whose point was unpacked once (RFC 8032 section 5.1.3). Made by
/// `verify_key`.
struct VerifyKey {
  Ed25519Public bytes{};
  std::array<std::int32_t, 40> point{};
  std::int32_t status{-1};
};

/// Prepares a key. One that is no point of the curve is made too, and verifies nothing.
[[nodiscard]] VerifyKey verify_key(const Ed25519Public& key) noexcept;

/// An Ed25519 secret key in libsodium's form: seed, then public key.
struct SignKey {
  std::array<std::uint8_t, 64> seed_and_public{};
  [[nodiscard]] Ed25519Public public_key() const noexcept;
};

[[nodiscard]] SignKey sign_key(const Secret32& seed) noexcept;

/// Ed25519 (RFC 8032 section 5.1), deterministic.
[[nodiscard]] Ed25519Signature sign(const SignKey& key, Bytes message) noexcept;

/// Verifies strictly: canonical S and points, small-order keys refused.
[[nodiscard]] bool verify(const VerifyKey& key, Bytes message,
                          const Ed25519Signature& signature) noexcept;

inline constexpr std::size_t aead_nonce_size = 24;
inline constexpr std::size_t aead_tag_size = 16;

/// XChaCha20-Poly1305 (IETF construction). `out` takes exactly plain + 16 bytes.
void aead_seal(const Secret32& key, Bytes nonce, Bytes associated, Bytes plain,
               MutBytes out) noexcept;

/// Opens; false, and nothing in `out`, when anything differs. `out` takes exactly sealed - 16
/// bytes.
[[nodiscard]] bool aead_open(const Secret32& key, Bytes nonce, Bytes associated, Bytes sealed,
                             MutBytes out) noexcept;

}  // namespace latchkey::crypto
