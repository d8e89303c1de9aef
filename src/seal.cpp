#include "latchkey/seal.hpp"

#include "latchkey/text.hpp"

namespace latchkey::seal {
namespace {

constexpr std::string_view label = "latchkey/seal/1";

// Length-prefixed, hence injective.
bool put_context(Writer& out, Context context) noexcept {
  if (context.size() > max_context_parts) return false;
  out.put(label);
  for (const std::string_view part : context) {
    if (part.size() > max_context_bytes) return false;
    out.put(static_cast<std::uint8_t>(part.size() & 0xff));
    out.put(static_cast<std::uint8_t>(part.size() >> 8));
    out.put(part);
  }
  return !out.overflow();
}

const keys::Key* find(keys::Ring ring, std::string_view kid) noexcept {
  for (const keys::Key& key : ring) {
    if (key.kid.view() == kid) return &key;
  }
  return nullptr;
}

}  // namespace

Result<void> seal(keys::Ring ring, Bytes plain, Context context, Bytes entropy, MutBytes scratch,
                  Writer& out) noexcept {
  if (ring.empty()) return Errc::key_ring_empty;
  std::uint8_t associated_space[max_context_bytes];
  Writer associated{associated_space};
  if (plain.size() > max_plain || entropy.size() < crypto::aead_nonce_size ||
      !put_context(associated, context)) {
    return Errc::claim_invalid;
  }
  Writer bytes{scratch};
  bytes.put(entropy.first(crypto::aead_nonce_size));
  const MutBytes sealed = bytes.claim(plain.size() + crypto::aead_tag_size);
  if (bytes.overflow()) return Errc::output_too_small;
  crypto::aead_seal(ring.front().seal, entropy.first(crypto::aead_nonce_size), associated.written(),
                    plain, sealed);
  out.put(prefix);
  out.put(ring.front().kid.view());
  out.put('.');
  text::base64url_put(out, bytes.written());
  return out.overflow() ? Result<void>{Errc::output_too_small} : Result<void>{};
}

Result<Bytes> open(keys::Ring ring, std::string_view text, Context context, MutBytes out) noexcept {
  if (!text.starts_with(prefix)) return Errc::seal_invalid;
  text.remove_prefix(prefix.size());
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || !keys::is_kid(text.substr(0, dot)))
    return Errc::seal_invalid;
  const auto size = text::base64url_decode(text.substr(dot + 1), out);
  constexpr std::size_t overhead = crypto::aead_nonce_size + crypto::aead_tag_size;
  if (!size || *size < overhead || *size - overhead > max_plain) return Errc::seal_invalid;

  const keys::Key* key = find(ring, text.substr(0, dot));
  if (key == nullptr) return Errc::seal_unknown_key;
  std::uint8_t associated_space[max_context_bytes];
  Writer associated{associated_space};
  if (!put_context(associated, context)) return Errc::seal_invalid;

  // libsodium opens in place when the plain text lies where the ciphertext begins.
  const MutBytes nonce = out.first(crypto::aead_nonce_size);
  const MutBytes sealed = out.subspan(crypto::aead_nonce_size, *size - crypto::aead_nonce_size);
  const MutBytes plain = sealed.first(*size - overhead);
  if (!crypto::aead_open(key->seal, nonce, associated.written(), sealed, plain)) {
    return Errc::seal_invalid;
  }
  return Bytes{plain};
}

}  // namespace latchkey::seal
