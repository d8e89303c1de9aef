// The refresh facts of every profile, written down a second time: a row changes here and there.
#include "latchkey/traits.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <string_view>

using namespace latchkey;
using profile::Certainty;
using refresh::Facts;
using refresh::Revocation;
using refresh::Rotation;
using refresh::Traits;

namespace {

struct Row {
  Rotation rotation;
  std::int64_t grace;
  std::int64_t access_ttl;
  std::int64_t idle;
  std::int64_t absolute;
  Certainty certainty;
};

constexpr std::int64_t hour = 3'600;
constexpr std::int64_t day = 86'400;
constexpr auto family = Rotation::family_revoked;
constexpr auto refused = Rotation::strict_refused;
constexpr auto grace_same = Rotation::grace_same;
constexpr auto grace_new = Rotation::grace_new;
constexpr auto none = Rotation::none;
constexpr auto assumed = Certainty::assumed;
constexpr auto second_hand = Certainty::second_hand;
constexpr auto documented = Certainty::documented;

const std::map<std::string_view, Row> expected = {
    {"airtable", {family, 0, hour, 60 * day, 0, second_hand}},
    {"atlassian", {grace_new, 600, hour, 90 * day, 365 * day, documented}},
    {"auth0", {family, 0, hour, 0, 0, documented}},
    {"better-auth", {family, 0, hour, 0, 0, second_hand}},
    {"box", {refused, 0, hour, 60 * day, 0, second_hand}},
    {"discord", {family, 0, 7 * day, 0, 0, assumed}},
    {"generic", {family, 0, hour, 0, 0, assumed}},
    {"github-app", {refused, 0, 8 * hour, 183 * day, 0, second_hand}},
    {"github-oauth", {none, 0, 0, 0, 0, documented}},
    {"gitlab", {refused, 0, 2 * hour, 0, 0, second_hand}},
    {"google", {none, 0, hour, 182 * day, 0, second_hand}},
    {"hubspot", {none, 0, 1'800, 0, 0, second_hand}},
    {"hydra", {family, 0, hour, 0, 0, documented}},
    {"intuit", {family, 0, hour, 100 * day, 1'825 * day, assumed}},
    {"keycloak", {family, 0, hour, 0, 0, documented}},
    {"linear", {grace_same, 1'800, 24 * hour, 0, 0, second_hand}},
    {"microsoft", {none, 0, hour, 90 * day, 0, documented}},
    {"notion", {refused, 0, hour, 0, 0, second_hand}},
    {"okta", {family, 0, hour, 0, 0, documented}},
    {"salesforce", {family, 0, hour, 0, 0, second_hand}},
    {"shopify", {grace_new, 30 * day, hour, 90 * day, 0, second_hand}},
    {"slack", {refused, 0, 12 * hour, 0, 0, second_hand}},
    {"supabase", {grace_same, 10, hour, 0, 0, documented}},
    {"workers-oauth-provider", {grace_new, 30 * day, hour, 0, 0, documented}},
    {"x", {family, 0, 2 * hour, 0, 0, documented}},
    {"xero", {grace_new, 1'800, 1'800, 60 * day, 0, documented}},
    {"zoho", {none, 0, hour, 0, 0, second_hand}},
    {"zoom", {family, 0, hour, 90 * day, 0, assumed}},
};

}  // namespace

TEST_CASE("traits: every profile's facts") {
  CHECK(expected.size() == profile::all().size());
  for (const auto& row : profile::all()) {
    const std::string_view name = row.name;
    INFO(name);
    REQUIRE(expected.contains(name));
    const Row& want = expected.at(name);
    const Facts facts = refresh::facts_of(row, true);
    CHECK(facts.traits.rotation == want.rotation);
    CHECK(facts.traits.grace == seconds(want.grace));
    CHECK(facts.access_ttl == seconds(want.access_ttl));
    CHECK(facts.traits.refresh_idle == seconds(want.idle));
    CHECK(facts.traits.refresh_absolute == seconds(want.absolute));
    CHECK(row.refresh.certainty == want.certainty);
    CHECK(facts.traits.time_out == Millis{0});
    CHECK(facts.traits.lag == Millis{0});
    CHECK_FALSE(facts.server_errors_unspent);
    CHECK(facts.needs_redirect_uri == (name == "gitlab"));
    CHECK(facts.traits.old_access_dies ==
          (name == "github-app" || name == "gitlab" || name == "airtable" || name == "hydra" ||
           name == "zoom"));
    CHECK(facts.traits.revocation_needs_live == (name == "github-app" || name == "slack"));
    const bool alone = name == "github-app" || name == "shopify" || name == "slack";
    CHECK(facts.traits.access_lifetime == (alone ? Millis{0} : facts.access_ttl));
    CHECK(facts.traits.max_access_lifetime == seconds(name == "discord" ? 7 * day : day));
    CHECK(facts.traits.after_grace == (name == "workers-oauth-provider" ? refused : family));
    CHECK(refresh::is_consistent(facts.traits));
  }
}

TEST_CASE("traits: every profile is admitted, and none is better than the safe value unsaid") {
  constexpr refresh::Contract able{true, true, false, {}, refresh::min_value};
  for (const auto& row : profile::all()) {
    const Traits traits = refresh::traits_of(row);
    INFO(std::string_view{row.name});
    CHECK(refresh::admit(able, {}, &traits));
    if (row.refresh.certainty == assumed) CHECK(traits.rotation == family);
  }
  const Traits safe;
  const Traits generic = refresh::traits_of(*profile::find("generic"));
  CHECK(generic.rotation == safe.rotation);
  CHECK(generic.after_grace == safe.after_grace);
  CHECK(generic.revocation == safe.revocation);
  CHECK(generic.access_lifetime == safe.access_lifetime);
  CHECK(generic.max_access_lifetime == safe.max_access_lifetime);
}

TEST_CASE("traits: what a revocation ends") {
  for (const auto& row : profile::all()) {
    const std::string_view name = row.name;
    INFO(name);
    CHECK(refresh::facts_of(row, false).traits.revocation == Revocation::none);
    const bool token = name == "box" || name == "github-app" || name == "github-oauth" ||
                       name == "gitlab" || name == "hydra" || name == "okta" ||
                       name == "workers-oauth-provider";
    CHECK(refresh::facts_of(row, true).traits.revocation ==
          (token ? Revocation::token : Revocation::grant));
    CHECK((refresh::traits_of(row).revocation == Revocation::none) == row.revocation_url.empty());
  }
}

TEST_CASE("traits: lengths in two bytes") {
  using profile::Length;
  const auto length = [](Millis millis) { return millis; };
  CHECK(sizeof(Length) == 2);
  CHECK(length(Length{}) == Millis{0});
  for (const std::uint16_t n : std::initializer_list<std::uint16_t>{0, 1, 59, 16'383}) {
    CHECK(length(Length::of_seconds(n)) == seconds(n));
    CHECK(length(Length::of_minutes(n)) == seconds(n * 60));
    CHECK(length(Length::of_hours(n)) == seconds(n * hour));
    CHECK(length(Length::of_days(n)) == seconds(n * day));
  }
}

TEST_CASE("traits: names of rotations") {
  using refresh::rotation_names;
  CHECK(std::size(rotation_names) == 5);
  CHECK(rotation_names[static_cast<std::size_t>(Rotation::none)] == "none");
  CHECK(rotation_names[static_cast<std::size_t>(Rotation::grace_same)] == "grace_same");
  CHECK(rotation_names[static_cast<std::size_t>(Rotation::grace_new)] == "grace_new");
  CHECK(rotation_names[static_cast<std::size_t>(Rotation::strict_refused)] == "strict_refused");
  CHECK(rotation_names[static_cast<std::size_t>(Rotation::family_revoked)] == "family_revoked");
}
