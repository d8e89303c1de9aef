#include "latchkey/traits.hpp"

namespace latchkey::refresh {
namespace {

constexpr bool is_same(Rotation rotation, profile::Reuse reuse) noexcept {
  return static_cast<std::uint8_t>(rotation) == static_cast<std::uint8_t>(reuse);
}
static_assert(is_same(Rotation::none, profile::Reuse::harmless) &&
              is_same(Rotation::grace_same, profile::Reuse::grace_same) &&
              is_same(Rotation::grace_new, profile::Reuse::grace_new) &&
              is_same(Rotation::strict_refused, profile::Reuse::refused) &&
              is_same(Rotation::family_revoked, profile::Reuse::family));

constexpr Rotation rotation_of(profile::Reuse reuse) noexcept {
  return static_cast<Rotation>(reuse);
}

}  // namespace

Facts facts_of(const profile::Profile& profile, bool revocable) noexcept {
  const profile::Refresh& row = profile.refresh;
  Facts out;
  Traits& traits = out.traits;
  traits.rotation = rotation_of(row.reuse);
  traits.after_grace = rotation_of(row.after_grace);
  if (revocable) traits.revocation = row.revokes_grant ? Revocation::grant : Revocation::token;
  traits.old_access_dies = row.old_access_dies;
  traits.revocation_needs_live = row.revocation_needs_live;
  traits.grace = row.grace;
  traits.refresh_idle = row.idle;
  traits.refresh_absolute = row.absolute;
  traits.lag = row.lag;
  set_access_ttl(out, row.access_ttl, row.lasting_alone);
  out.needs_redirect_uri = row.needs_redirect_uri;
  out.server_errors_unspent = row.server_errors_unspent;
  return out;
}

Traits traits_of(const profile::Profile& profile) noexcept {
  return facts_of(profile, !profile.revocation_url.empty()).traits;
}

void set_access_ttl(Facts& facts, Millis ttl, bool lasting_alone) noexcept {
  constexpr Millis most = Traits{}.max_access_lifetime;
  facts.access_ttl = ttl;
  facts.traits.access_lifetime = lasting_alone ? Millis{0} : ttl;
  facts.traits.max_access_lifetime = ttl.value > most.value ? ttl : most;
}

bool is_consistent(const Traits& traits) noexcept {
  const bool grace =
      traits.rotation == Rotation::grace_same || traits.rotation == Rotation::grace_new;
  return grace == (traits.grace.value > 0);
}

}  // namespace latchkey::refresh
