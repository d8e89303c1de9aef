/// The OAuth `state` parameter as a signed, bound, expiring token.
///
/// A compact JWS with the claims of the JWT-encoded-state draft: `iss aud iat exp jti rfp as sub
/// target_link_uri`, and ours: `flow own app v`. `rfp` is the first half of the SHA-256 of a label,
/// the browser's cookie and the nonce. Verifying is pure. Using a state up is a separate,
/// atomic store operation on its nonce after everything else has passed; see callback.hpp.
#pragma once

#include "latchkey/jws.hpp"
#include "latchkey/keys.hpp"
#include "latchkey/types.hpp"

namespace latchkey::state {

inline constexpr std::size_t max_token = jws::max_token;
inline constexpr std::size_t max_claim = 255;
inline constexpr std::size_t nonce_size = 16;
inline constexpr std::size_t binding_size = 32;
inline constexpr Millis default_ttl = seconds(600);
inline constexpr Millis max_ttl = seconds(3600);
inline constexpr Millis default_skew = seconds(60);
inline constexpr Millis max_skew = seconds(300);

using jws::Alg;

enum class OwnerKind : std::uint8_t { user = 1, org = 2 };

/// What a state says. Texts are 1..255 bytes of UTF-8 without control characters, `return_to` is
/// what `is_return_to` accepts; `app`, `return_to` and `binding` may be empty, which means absent.
struct Claims {
  Alg alg{Alg::hs256};
  OwnerKind owner_kind{OwnerKind::user};
  std::string_view issuer;
  std::string_view audience;
  std::string_view flow;
  std::string_view provider;
  std::string_view subject;
  std::string_view owner_id;
  std::string_view app;
  std::string_view return_to;
  Bytes binding;
  Millis ttl{default_ttl};
};

struct Issued {
  std::string_view token;
  SmallText<22> nonce;
  SmallText<43> challenge;
  UnixMillis expires_at;
};

/// Issues a state and the PKCE challenge that goes with it.
///
/// Checks, in this order: claims (form and length), return path, binding size, life, entropy.
///
/// @param ring     the first key signs.
/// @param now      issue time; `iat` is its whole second.
/// @param entropy  at least 16 random bytes; the first 16 become the nonce.
/// @param out      room for the token, at most 4,096 bytes.
/// @return the token with its nonce, challenge and end, or `key_ring_empty`, `claim_invalid`,
///         `return_to_invalid`.
/// @see   RFC 6749 section 10.12, RFC 7636 section 4, RFC 9700 section 4.7
[[nodiscard]] Result<Issued> issue(keys::Ring ring, const Claims& claims, UnixMillis now,
                                   Bytes entropy, MutBytes out) noexcept;

/// How `verify` treats the browser binding.
enum class Binding : std::uint8_t {
  required,  ///< bound states need the right cookie, unbound ones need none to be expected
  unchecked,  ///< for a reader that cannot see the cookie; never on the way to an exchange
};

/// What the verifier knows by itself. Empty `flow`, `provider`, `subject` are not compared.
struct Expected {
  UnixMillis now;
  std::string_view issuer;
  std::string_view audience;
  std::string_view flow;
  std::string_view provider;
  std::string_view subject;
  Bytes binding;
  Binding binding_mode{Binding::required};
  Millis skew{default_skew};
};

/// A verified state; views into the scratch space given to `verify`, the token and the ring.
struct State {
  Alg alg{Alg::hs256};
  OwnerKind owner_kind{OwnerKind::user};
  std::string_view kid;
  std::string_view issuer;
  std::string_view audience;
  std::string_view flow;
  std::string_view provider;
  std::string_view subject;
  std::string_view owner_id;
  std::string_view app;
  std::string_view return_to;
  std::string_view nonce;
  std::string_view rfp;
  UnixMillis issued_at{-1};
  UnixMillis expires_at{-1};
};

/// Verifies a state token.
///
/// Checks, in this order: presence, length, form and header, key, signature; then payload, issue
/// time, expiry, issuer, audience, flow, provider, subject, browser binding. Nothing of the payload
/// is read before the signature is good.
///
/// @param token     the `state` parameter as received.
/// @param expected  what the verifier knows; see `Expected`.
/// @param scratch   at least 3,072 bytes; holds the decoded payload that the result points into.
/// @return the state, or `state_missing`, `state_too_long`, `state_malformed`, `state_unknown_key`,
///         `state_bad_signature`, `state_payload_invalid`, `state_from_future`, `state_expired`,
///         `issuer_mismatch`, `audience_mismatch`, `flow_mismatch`, `provider_mismatch`,
///         `subject_mismatch`, `binding_mismatch`.
/// @see   RFC 7515 section 5.2, RFC 8725, RFC 9700 section 4.7
[[nodiscard]] Result<State> verify(keys::Ring ring, std::string_view token,
                                   const Expected& expected, MutBytes scratch) noexcept;

/// As above with public keys; accepts EdDSA only.
[[nodiscard]] Result<State> verify(keys::PublicKeys keys, std::string_view token,
                                   const Expected& expected, MutBytes scratch) noexcept;

/// Reads what a token says without checking any of it, for routing to the one that verifies.
///
/// @return the claims that are there and have the right type, absent ones empty and absent times
///         negative, or `state_malformed`.
[[nodiscard]] Result<State> peek(std::string_view token, MutBytes scratch) noexcept;

/// Derives the PKCE verifier of a state: HMAC over its nonce, so nothing is stored at the start.
///
/// @param kid    of the verified state.
/// @param nonce  of the verified state.
/// @return 43 characters (RFC 7636 section 4.1), or `state_unknown_key`, `state_payload_invalid`.
[[nodiscard]] Result<SmallText<43>> code_verifier(keys::Ring ring, std::string_view kid,
                                                  std::string_view nonce) noexcept;

}  // namespace latchkey::state
