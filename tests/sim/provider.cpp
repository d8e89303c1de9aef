#include "provider.hpp"

#include <algorithm>

namespace latchkey::sim {

using refresh::Revocation;
using refresh::Rotation;

void Provider::reset(const Facts& facts) {
  facts_ = facts;
  grants_.assign(1, {});
  accesses_.assign(1, {});
  refreshes_.assign(1, {});
}

std::uint32_t Provider::mint_access(std::uint32_t grant, Time now) {
  if (facts_.old_access_dies) {
    for (AccessToken& old : accesses_) {
      if (old.grant == grant && old.dead_at > now) old.dead_at = now;
    }
  }
  AccessToken access;
  access.grant = grant;
  access.expires_at = facts_.lifetime == 0 ? forever : now + facts_.lifetime;
  accesses_.push_back(access);
  return static_cast<std::uint32_t>(accesses_.size() - 1);
}

/// When a refresh token that is used, or minted, now dies unused.
Time Provider::refresh_end(std::uint32_t grant, Time now) const noexcept {
  const Time idle = facts_.idle > 0 ? now + facts_.idle : forever;
  return facts_.absolute > 0 ? std::min(idle, grants_[grant].at + facts_.absolute) : idle;
}

Pair Provider::mint(std::uint32_t grant, Time now) {
  RefreshToken token;
  token.grant = grant;
  token.minted_at = now;
  token.expires_at = refresh_end(grant, now);
  token.access = mint_access(grant, now);
  refreshes_.push_back(token);
  return {static_cast<std::uint32_t>(refreshes_.size() - 1), token.access};
}

Pair Provider::log_in(std::uint8_t owner, Time now) {
  grants_.push_back({owner, now});
  return mint(static_cast<std::uint32_t>(grants_.size() - 1), now);
}

bool Provider::is_live(std::uint32_t token, Time now) const noexcept {
  const RefreshToken& it = refreshes_[token];
  return token != 0 && it.state == RefreshToken::State::live && it.expires_at > now &&
         !is_revoked(it.grant, now);
}

Time Provider::access_end(std::uint32_t access) const noexcept {
  const AccessToken& it = accesses_[access];
  return std::min({it.expires_at, it.dead_at, grants_[it.grant].revoked_at});
}

Redemption Provider::replay(std::uint32_t token, Time now, std::uint32_t request) {
  Redemption out;
  out.replay = true;
  const RefreshToken spent = refreshes_[token];
  const bool in_grace = now - spent.spent_at < facts_.grace && is_live(spent.successor, now);
  if (facts_.rotation == Rotation::grace_same && in_grace) {
    out.ok = true;
    out.rotated = true;
    const std::uint32_t access = mint_access(spent.grant, now);
    refreshes_[spent.successor].access = access;
    out.pair = {spent.successor, access};
    return out;
  }
  if (facts_.rotation == Rotation::grace_new && in_grace) {
    refreshes_[spent.successor].state = RefreshToken::State::dead;
    out.ok = true;
    out.rotated = true;
    out.pair = mint(spent.grant, now);
    refreshes_[token].successor = out.pair.refresh;
    refreshes_[token].replaced_by = request;
    return out;
  }
  const bool graced =
      facts_.rotation == Rotation::grace_same || facts_.rotation == Rotation::grace_new;
  if ((graced ? facts_.after_grace : facts_.rotation) == Rotation::family_revoked) {
    revoke_grant(spent.grant, now);
    grants_[spent.grant].killed = true;
    out.killed = true;
  }
  return out;
}

Redemption Provider::redeem(std::uint32_t token, Time now, std::uint32_t request, bool rotates) {
  Redemption out;
  const Grant& its = grants_[refreshes_[token].grant];
  if (token == 0 || its.revoked_at <= now) return out;
  // A grant that is over can neither be used nor be harmed.
  if (facts_.absolute > 0 && its.at + facts_.absolute <= now) return out;
  if (refreshes_[token].state == RefreshToken::State::spent) return replay(token, now, request);
  if (!is_live(token, now)) return out;
  const std::uint32_t grant = refreshes_[token].grant;
  out.ok = true;
  if (facts_.rotation == Rotation::none || !rotates) {
    refreshes_[token].expires_at = refresh_end(grant, now);
    out.pair = {token, mint_access(grant, now)};
    return out;
  }
  out.rotated = true;
  out.pair = mint(grant, now);
  RefreshToken& spent = refreshes_[token];
  spent.state = RefreshToken::State::spent;
  spent.spent_at = now;
  spent.spent_by = request;
  spent.replaced_by = request;
  spent.successor = out.pair.refresh;
  return out;
}

bool Provider::revoke(const Pair& pair, Time now) {
  if (facts_.revocation == Revocation::none) return false;
  if (facts_.revocation_needs_live && access_end(pair.access) <= now) return false;
  const std::uint32_t grant =
      pair.refresh != 0 ? refreshes_[pair.refresh].grant : accesses_[pair.access].grant;
  if (facts_.revocation == Revocation::token) {
    revoke_grant(grant, now);
    return true;
  }
  const std::uint8_t owner = grants_[grant].owner;
  for (std::uint32_t i = 1; i < grants_.size(); ++i) {
    if (grants_[i].owner == owner) revoke_grant(i, now);
  }
  return true;
}

void Provider::revoke_grant(std::uint32_t grant, Time now) {
  grants_[grant].revoked_at = std::min(grants_[grant].revoked_at, now);
}

}  // namespace latchkey::sim
