/// Who is calling: a short-lived assertion that an application's backend makes for its user.
///
/// Compact JWS, HS256, `typ: latchkey-principal+jwt`, claims `sub kind iat exp` and, where they
/// apply, `org role device`. Nothing else is accepted.
#pragma once

#include "latchkey/jws.hpp"
#include "latchkey/keys.hpp"
#include "latchkey/types.hpp"

namespace latchkey::principal {

inline constexpr Millis max_ttl = seconds(300);
inline constexpr Millis default_ttl = seconds(60);
inline constexpr Millis skew = seconds(60);
inline constexpr std::size_t max_claim = 255;

enum class Kind : std::uint8_t { human = 1, service = 2, device = 3 };

[[nodiscard]] std::string_view to_string(Kind kind) noexcept;

/// Texts are 1..255 bytes of UTF-8 without control characters; `org`, `role` and `device` may be
/// empty, which means absent. A role without an organisation, and a device id on anything but a
/// device, say something impossible.
struct Principal {
  Kind kind{Kind::human};
  std::string_view subject;
  std::string_view org;
  std::string_view role;
  std::string_view device;
};

/// Issues an assertion with the first key.
///
/// @param ttl  whole seconds, 1..300.
/// @return ok, or `key_ring_empty`, `principal_invalid`, `output_too_small`.
[[nodiscard]] Result<void> issue(keys::Ring ring, const Principal& principal, UnixMillis now,
                                 Millis ttl, Writer& out) noexcept;

/// Verifies an assertion.
///
/// Checks, in this order: presence, form, key and signature; then claims, issue time (at most 60 s
/// in the future), life (at most 300 s), expiry.
///
/// @param scratch  at least 3,072 bytes; holds what the result points into.
/// @return the principal, or `principal_missing`, `principal_invalid`, `principal_expired`.
[[nodiscard]] Result<Principal> verify(keys::Ring ring, std::string_view token, UnixMillis now,
                                       MutBytes scratch) noexcept;

}  // namespace latchkey::principal
