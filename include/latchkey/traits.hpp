/// What a provider's profile says about refreshing, in the terms of the refresh protocol.
#pragma once

#include "latchkey/profile.hpp"
#include "latchkey/refresh.hpp"

namespace latchkey::refresh {

/// Everything that can be said otherwise by configuration.
struct Facts {
  Traits traits{};
  /// Of an access token that came with a refresh token and without a lifetime; 0: it does not
  /// expire. `traits.access_lifetime` is that of one that came alone.
  Millis access_ttl{seconds(3600)};
  bool needs_redirect_uri{false};  ///< the one of the login, with every refresh
  bool proactive{false};  ///< an alarm refreshes before anybody asks
  bool server_errors_unspent{false};  ///< a 5xx comes before the refresh token is looked at
};

/// The names of `Rotation` in configuration, by their numbers.
inline constexpr std::string_view rotation_names[] = {
    "none", "grace_same", "grace_new", "strict_refused", "family_revoked",
};

/// What the profile says.
///
/// @param revocable  there is a revocation endpoint.
[[nodiscard]] Facts facts_of(const profile::Profile& profile, bool revocable) noexcept;

/// As `facts_of`, for the profile as it is.
[[nodiscard]] Traits traits_of(const profile::Profile& profile) noexcept;

/// Says that an access token lives for so long when the answer has none.
void set_access_ttl(Facts& facts, Millis ttl, bool lasting_alone) noexcept;

/// True when a grace has a length and nothing else has one.
[[nodiscard]] bool is_consistent(const Traits& traits) noexcept;

}  // namespace latchkey::refresh
