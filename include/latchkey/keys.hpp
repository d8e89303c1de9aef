/// The key ring: from one configured text to every subkey the engines use.
///
/// Each 32-byte key is only ever input to HKDF-SHA-256 (RFC 5869, no salt); each purpose has its
/// own `info`, so that nothing made for one purpose verifies for another. The first key makes, all
/// verify: put a new key in front, remove the old one when its longest-lived product has died.
#pragma once

#include "latchkey/crypto.hpp"
#include "latchkey/types.hpp"

namespace latchkey::keys {

inline constexpr std::size_t max_keys = 8;
inline constexpr std::size_t max_kid = 32;
/// Ed25519 keys are published under `kid` + this, so that one id never stands for two algorithms.
inline constexpr std::string_view eddsa_suffix = ".ed";

/// `typ` of a state token.
inline constexpr std::string_view typ_state = "oauth-state+jwt";

/// HKDF `info` of each purpose. Changing one invalidates everything made with it.
inline constexpr std::string_view info_state_hs256 = "latchkey/1/state/HS256";
inline constexpr std::string_view info_state_eddsa = "latchkey/1/state/EdDSA";
inline constexpr std::string_view info_pkce = "latchkey/1/pkce";
inline constexpr std::string_view info_seal = "latchkey/1/seal";
inline constexpr std::string_view info_capability = "latchkey/1/capability";
inline constexpr std::string_view info_principal = "latchkey/1/principal/HS256";

/// The header of a key's HS256 state tokens in the one spelling that we write, encoded, and their
/// MAC as far as its first block. Nearly every token begins like this.
struct StateHeader {
  SmallText<112> text;
  crypto::MacPrefix mac;
};

/// One key with everything derived from it. Plain bytes, so that the glue can hold a ring as an
/// opaque copy and hand it back with each call.
struct Key {
  SmallText<max_kid> kid;
  crypto::MacKey state;
  StateHeader state_header;
  crypto::MacKey pkce;
  crypto::MacKey capability;
  crypto::MacKey principal;
  crypto::Secret32 seal{};
  crypto::SignKey state_sign;
  crypto::VerifyKey state_verify;
};

using Ring = std::span<const Key>;

/// An Ed25519 key of a JWK Set.
struct PublicKey {
  SmallText<64> kid;
  crypto::VerifyKey key;
};

using PublicKeys = std::span<const PublicKey>;

/// True for 1..32 characters of A-Z a-z 0-9 `_` `-`.
[[nodiscard]] bool is_kid(std::string_view text) noexcept;

/// Writes `kid:base64` for a new key made of 32 random bytes.
///
/// @return ok, or `key_invalid` (kid or entropy), `output_too_small`.
[[nodiscard]] Result<void> generate(std::string_view kid, Bytes entropy, Writer& out) noexcept;

/// Parses `kid:key[,kid:key]...` and derives every subkey. A key is 64 hexadecimal digits or
/// canonical base64 of exactly 32 bytes. Blanks around entries are not ignored.
///
/// @param out room for at most `max_keys` keys.
/// @return how many keys there are, or `key_ring_empty`, `key_invalid`, `key_duplicate` (with the
///         position of the entry).
[[nodiscard]] Result<std::size_t> parse(std::string_view text, std::span<Key> out) noexcept;

/// Writes a JWS header, encoded: `{"alg":...,"kid":...,"typ":...}`. No text needs escaping.
void put_header(Writer& out, std::string_view alg, std::string_view kid,
                std::string_view typ) noexcept;

/// Writes the JWK Set (RFC 7517, RFC 8037) of a ring: one Ed25519 key per entry.
void put_jwks(Ring ring, Writer& out) noexcept;

/// Reads the Ed25519 signature keys of a JWK Set; other keys are passed over.
///
/// @param json overwritten while it is read.
/// @return how many keys were found, or `jwks_invalid` (no JSON, no usable key, a key id twice, a
///         private key, more than `max_keys` usable ones).
[[nodiscard]] Result<std::size_t> parse_jwks(MutBytes json, std::span<PublicKey> out) noexcept;

}  // namespace latchkey::keys
