#include "config.hpp"

#include <algorithm>

namespace latchkey::sim {

using refresh::Revocation;
using refresh::Rotation;
using refresh::Traits;

namespace {

constexpr Time second = 1000;
constexpr Time hour = 3600 * second;

template <class T, std::size_t n> T pick(Random& random, const T (&of)[n]) noexcept {
  return of[random.below(n)];
}

/// False for a fault that cannot come about in this world.
constexpr bool is_allowed(Fault fault, const Config& config) noexcept {
  if (fault == Fault::error_500_after) return !config.safe_5xx;
  if (fault == Fault::twin) return config.store == StoreKind::durable_object;
  return true;
}

void draw_facts(Random& random, Facts& facts) noexcept {
  facts.rotation = pick(random, {Rotation::strict_refused, Rotation::family_revoked,
                                 Rotation::strict_refused, Rotation::family_revoked,
                                 Rotation::grace_same, Rotation::grace_new, Rotation::none});
  facts.after_grace = pick(random, {Rotation::strict_refused, Rotation::family_revoked});
  if (facts.rotation == Rotation::grace_same || facts.rotation == Rotation::grace_new) {
    facts.grace = pick(random, {30 * second, 120 * second, 600 * second});
  }
  facts.revocation = pick(random, {Revocation::none, Revocation::token, Revocation::grant});
  facts.old_access_dies = random.chance(3000);
  facts.revocation_needs_live = random.chance(2000);
  facts.lifetime = pick(random, {60 * second, 600 * second, hour, 8 * hour});
  if (random.chance(300)) facts.lifetime = 0;
  if (random.chance(1000)) facts.idle = std::max(4 * facts.lifetime, 24 * hour);
  if (random.chance(500)) facts.absolute = std::max(6 * facts.lifetime, 48 * hour);
}

void draw_policy(Random& random, refresh::Policy& policy) noexcept {
  policy.window = {pick(random, {300 * second, 60 * second, 10 * second, Time{0}})};
  policy.jitter = {policy.window.value / 10};
  policy.time_out = {pick(random, {10 * second, 5 * second})};
  policy.lease = {policy.time_out.value + pick(random, {5 * second, 2 * second, 10 * second})};
  policy.patience = {pick(random, {20 * second, 30 * second, 5 * second})};
  policy.poll = {pick(random, {Time{1000}, Time{2000}, Time{500}, Time{0}})};
  policy.back_off = {pick(random, {second, 2 * second})};
  policy.max_back_off = {pick(random, {10 * second, 30 * second})};
  policy.rest = {pick(random, {60 * second, 90 * second})};
  policy.max_sends = pick(random, {std::uint8_t{6}, std::uint8_t{3}});
  policy.proactive = random.chance(3000);
}

void draw_faults(Random& random, Config& config) noexcept {
  const unsigned share = pick(random, {1000u, 2500u, 5000u});
  for (std::size_t i = 0; i < fault_count; ++i) {
    if (!random.chance(share) || !is_allowed(static_cast<Fault>(i), config)) continue;
    config.rate[i] = pick(random, {std::uint16_t{50}, std::uint16_t{300}, std::uint16_t{1500}});
  }
  // These end a run's interest when they are frequent.
  for (const Fault f : {Fault::crash, Fault::bit_rot, Fault::operator_error, Fault::outage}) {
    config[f] = std::min(config[f], pick(random, {std::uint16_t{30}, std::uint16_t{150}}));
  }
}

}  // namespace

bool Config::is_calm() const noexcept {
  return std::all_of(rate.begin(), rate.end(), [](std::uint16_t r) { return r == 0; }) && skew == 0;
}

Traits learn(const Facts& facts, bool known) noexcept {
  Traits traits;
  traits.revocation = facts.revocation;
  traits.old_access_dies = facts.old_access_dies;
  traits.revocation_needs_live = facts.revocation_needs_live;
  traits.access_lifetime = {facts.lifetime};
  traits.max_access_lifetime = {std::max(facts.lifetime, 24 * hour)};
  traits.refresh_idle = {facts.idle};
  traits.refresh_absolute = {facts.absolute};
  if (!known) return traits;
  traits.rotation = facts.rotation;
  traits.after_grace = facts.after_grace;
  traits.grace = {facts.grace};
  return traits;
}

refresh::Contract contract_of(StoreKind store) noexcept {
  switch (store) {
  case StoreKind::durable_object: return {true, true, false, {0}, 2'097'152};
  case StoreKind::d1: return {true, true, false, {0}, 2'000'000};
  case StoreKind::postgres: return {true, true, false, {0}, 1'073'741'824};
  }
  return {};
}

Config draw(Random& random) noexcept {
  Config config;
  draw_facts(random, config.facts);
  config.traits = learn(config.facts, random.chance(8500));
  if (random.chance(1500)) config.traits.lag = {2 * second};
  draw_policy(random, config.policy);
  config.store = static_cast<StoreKind>(random.below(3));
  config.isolates = config.store == StoreKind::durable_object ? 2 : 1 + random.below(4);
  config.connections = 1 + random.below(2);
  config.callers = 1 + random.below(8);
  config.bursts = 5 + random.below(16);
  constexpr Time month = 30 * 24 * hour;
  constexpr Time year_2026 = 1'770'000'000'000;
  constexpr Time year_2038 = 2'147'483'640'000;
  constexpr Time year_9999 = 253'402'300'700'000;
  config.base = pick(random, {year_2026, year_2026, year_2026, year_2038, year_9999, month});
  config.errors_in_200 = random.chance(3000);
  config.safe_5xx = random.chance(2000);
  config.introspects = random.chance(3000);
  for (const Op op : {Op::login, Op::revoke, Op::disconnect, Op::erase, Op::withdraw}) {
    config[op] = pick(random, {std::uint16_t{0}, std::uint16_t{300}, std::uint16_t{1200}});
  }
  config[Op::rotate_keys] = random.chance(1500) ? 1500 : 0;
  config.eager = random.chance(3000);
  if (random.chance(1000)) return config;
  draw_faults(random, config);
  config.skew =
      pick(random, {Time{0}, Time{0}, Time{200}, Time{200}, 2 * second, 60 * second, 24 * hour});
  return config;
}

const char* name(StoreKind store) noexcept {
  switch (store) {
  case StoreKind::durable_object: return "Durable Object";
  case StoreKind::d1: return "D1";
  case StoreKind::postgres: return "PostgreSQL";
  }
  return "";
}

const char* name(Rotation rotation) noexcept {
  switch (rotation) {
  case Rotation::none: return "non-rotating";
  case Rotation::grace_same: return "grace, same successor";
  case Rotation::grace_new: return "grace, new successor";
  case Rotation::strict_refused: return "strict";
  case Rotation::family_revoked: return "family-revoking";
  }
  return "";
}

}  // namespace latchkey::sim
