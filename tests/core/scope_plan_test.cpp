// Where a credential is written, read and ended, by whom, and who may see it.
#include "support.hpp"

#include "latchkey/scope.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>

using namespace latchkey;
using namespace latchkey::scope;
using latchkey::test::Random;

namespace {

constexpr std::string_view roles[] = {"owner", "admin", "member", "", "Admin", "admin ", "\xff"};
constexpr Parts whole_pair{0b11, 0b111};
constexpr UnixMillis now{1'767'225'600'000};

bool is_admin(std::string_view role) { return role == "owner" || role == "admin"; }

std::vector<Rule> rules_of(const Path& path) {
  std::vector<Rule> out;
  for (const Step step : path.steps()) out.push_back(step.rule);
  return out;
}

std::string sentence(Step step) {
  std::uint8_t space[160];
  Writer out{space};
  explain(step, out);
  REQUIRE_FALSE(out.overflow());
  return test::string_of(out.written());
}

Candidate whole(Scope scope, std::string_view id) { return {{scope, id}, Held::whole, false, {}}; }

Choice read(const Facts& facts, const std::vector<Candidate>& found, const Policy& policy = {},
            Membership membership = Membership::known) {
  const auto choice = resolve(facts, membership, policy, found, now);
  REQUIRE(choice);
  return *choice;
}

/// What storage holds, and a plan carried out on it.
using Store = std::map<std::pair<Scope, std::string>, std::set<std::string>>;

void carry_out(const Plan& plan, const std::set<std::string>& parts, Store& store) {
  for (std::size_t i = 0; i < plan.size; ++i) {
    const auto& entry = plan.entries[i];
    const std::pair key{entry.place.scope, std::string{entry.place.id}};
    switch (entry.action) {
    case Action::clear: store.erase(key); break;
    case Action::write: store[key] = parts; break;
    }
  }
}

Choice read_store(const Facts& facts, const Store& store) {
  std::vector<Candidate> found;
  for (const auto& [key, parts] : store) {
    const bool complete = parts.contains("private") && parts.contains("public");
    found.push_back({{key.first, key.second}, complete ? Held::whole : Held::part, false, {}});
  }
  return read(facts, found);
}

}  // namespace

TEST_CASE("T17 T18 plans: every cell of who writes and deletes where") {
  for (const auto role : roles) {
    for (const std::string_view org : {"", "acme"}) {
      for (const auto requested :
           {Scope{}, Scope::user, Scope::org, Scope::workspace, Scope::solo, Scope::deployment}) {
        CAPTURE(role, org, static_cast<int>(requested));
        const Facts facts{"alice", org, role};
        const auto plan = write_plan(facts, requested, whole_pair);
        const auto removal = delete_plan(facts, requested);
        const bool may_org = is_admin(role) && !org.empty();
        const bool refused = requested != Scope{} && requested != Scope::user &&
                             !(requested == Scope::org && may_org);
        if (refused) {
          CHECK(plan.error() == Errc::not_allowed);
          CHECK(removal.error() == Errc::not_allowed);
          continue;
        }
        REQUIRE(plan);
        REQUIRE(removal);
        const bool for_org = may_org && requested != Scope::user;
        const Place place = for_org ? Place{Scope::org, "acme"} : Place{Scope::user, "alice"};
        CHECK(plan->entries[0].action == Action::clear);
        CHECK(plan->entries[0].place == place);
        if (for_org) {
          REQUIRE(plan->size == 3);
          CHECK(plan->entries[1].action == Action::clear);
          CHECK(plan->entries[1].place == Place{Scope::user, "alice"});
        } else {
          REQUIRE(plan->size == 2);
        }
        CHECK(plan->entries[plan->size - 1].action == Action::write);
        CHECK(plan->entries[plan->size - 1].place == place);
        CHECK(plan->path.last() == Rule::writes_all);

        // Deleting names exactly one place: the one where the same person would write.
        REQUIRE(removal->size == 1);
        CHECK(removal->entries[0].action == Action::clear);
        CHECK(removal->entries[0].place == place);
        CHECK(removal->path.last() == Rule::clears_target);
      }
    }
  }
}

TEST_CASE("T19 after an org write the writer reads the org's, and no optional part outlives it") {
  Store store;
  const Facts ada{"ada", "acme", "admin"};
  const Facts bob{"bob", "acme", "member"};
  carry_out(*write_plan(ada, Scope::user, whole_pair), {"private", "public", "user_id"}, store);
  carry_out(*write_plan(bob, {}, whole_pair), {"private", "public", "org_name"}, store);
  carry_out(*write_plan(ada, Scope::org, whole_pair), {"private", "public", "kind"}, store);
  CHECK(read_store(ada, store).place == Place{Scope::org, "acme"});
  CHECK(read_store(bob, store).place == Place{Scope::user, "bob"});
  carry_out(*write_plan(ada, Scope::org, whole_pair), {"private", "public"}, store);
  CHECK(store.at({Scope::org, "acme"}) == std::set<std::string>{"private", "public"});
  // A user's write never touches the organisation's.
  carry_out(*write_plan(bob, {}, whole_pair), {"private", "public"}, store);
  carry_out(*delete_plan(bob, {}), {}, store);
  CHECK(store.contains({Scope::org, "acme"}));
  CHECK(read_store(bob, store).place == Place{Scope::org, "acme"});
}

TEST_CASE("plans: half a set is refused, whoever writes it") {
  for (std::uint16_t required = 0; required < 8; ++required) {
    for (std::uint16_t present = 0; present < 8; ++present) {
      CAPTURE(required, present);
      const auto plan = write_plan({"ada", "", ""}, {}, {required, present});
      const bool complete = required != 0 && (required & present) == required;
      CHECK(plan.error() == (complete ? Errc::ok : Errc::credential_incomplete));
    }
  }
  CHECK(write_plan({}, {}, whole_pair).error() == Errc::claim_invalid);
  CHECK(delete_plan({}, {}).error() == Errc::claim_invalid);
}

TEST_CASE("read plan: the order is data; the deployment's only by policy") {
  const auto places = [](const Facts& facts, const Policy& policy,
                         Membership membership = Membership::known) {
    const auto plan = read_plan(facts, membership, policy);
    REQUIRE(plan);
    return std::vector<Place>(plan->list.begin(), plan->list.begin() + plan->size);
  };
  using Wanted = std::vector<Place>;
  const Facts alone{"ada", "", ""};
  const Facts member{"ada", "acme", "member"};
  Policy policy;
  CHECK(places(member, policy) ==
        Wanted{{Scope::user, "ada"}, {Scope::org, "acme"}, {Scope::workspace, "acme"}});
  CHECK(places(alone, policy) == Wanted{{Scope::user, "ada"}, {Scope::solo, "ada"}});
  policy.deployment = true;
  CHECK(places(alone, policy) ==
        Wanted{{Scope::user, "ada"}, {Scope::solo, "ada"}, {Scope::deployment, ""}});
  CHECK(places({}, policy).empty());
  // T24: what membership hides is not looked at, solo and deployment included.
  CHECK(places(alone, policy, Membership::failed) == Wanted{{Scope::user, "ada"}});
  CHECK(places(member, policy, Membership::failed) == Wanted{{Scope::user, "ada"}});
  policy.personal_only = true;
  CHECK(places(member, policy) == Wanted{{Scope::user, "ada"}});
  Policy other;
  other.order = {Scope::org, Scope::user, {}, {}};
  CHECK(places(member, other) == Wanted{{Scope::org, "acme"}, {Scope::user, "ada"}});
  CHECK(places(member, other, Membership::failed).empty());
  other.order = {};
  CHECK(places(member, other).empty());

  using Order = std::array<Scope, 4>;
  for (const auto& order :
       {Order{Scope::user, Scope::user, {}, {}}, Order{Scope::solo, {}, {}, {}},
        Order{Scope::user, {}, Scope::org, {}}, Order{static_cast<Scope>(6), {}, {}, {}},
        Order{static_cast<Scope>(255), {}, {}, {}}}) {
    other.order = order;
    CHECK(read_plan(member, Membership::known, other).error() == Errc::claim_invalid);
  }
}

TEST_CASE("T23 a half pair of one's own and a whole one of the org: the org's, never mixed") {
  const Facts facts{"ada", "acme", "member"};
  const auto choice =
      read(facts, {{{Scope::user, "ada"}, Held::part, false, {}}, whole(Scope::org, "acme")});
  CHECK(choice.outcome == Outcome::found);
  CHECK(choice.place == Place{Scope::org, "acme"});
  CHECK(rules_of(choice.path) == std::vector{Rule::incomplete, Rule::found});
  // Two halves are nothing.
  const auto halves = read(facts, {{{Scope::user, "ada"}, Held::part, false, {}},
                                   {{Scope::org, "acme"}, Held::part, false, {}}});
  CHECK(halves.outcome == Outcome::not_connected);
}

TEST_CASE("T24 a lookup that failed is its own outcome") {
  const Facts facts{"ada", "", ""};
  Policy policy;
  policy.deployment = true;
  const std::vector<Candidate> found{whole(Scope::solo, "ada"), whole(Scope::deployment, "")};
  const auto failed = read(facts, found, policy, Membership::failed);
  CHECK(failed.outcome == Outcome::lookup_failed);
  CHECK(failed.place == Place{});
  CHECK(failed.path.last() == Rule::lookup_failed);
  CHECK(read(facts, found, policy).place == Place{Scope::solo, "ada"});
  // The person's own does not depend on it.
  CHECK(read(facts, {whole(Scope::user, "ada")}, policy, Membership::failed).outcome ==
        Outcome::found);
  policy.personal_only = true;
  CHECK(read(facts, found, policy, Membership::failed).outcome == Outcome::not_connected);
}

TEST_CASE("a rejected pair is a miss for less than 15 minutes") {
  const Facts facts{"ada", "acme", "member"};
  const auto at = [&](std::int64_t age) {
    return read(facts, {{{Scope::user, "ada"}, Held::whole, true, {now.value - age}},
                        whole(Scope::org, "acme")})
        .place.scope;
  };
  CHECK(at(0) == Scope::org);
  CHECK(at(rejected_ttl.value - 1) == Scope::org);
  CHECK(at(rejected_ttl.value) == Scope::user);
  CHECK(at(-60'000) == Scope::org);
}

TEST_CASE("pain 21: a revoked connection is no missing one, and never widens what is reached") {
  const Facts facts{"ada", "acme", "member"};
  const std::vector<Candidate> found{{{Scope::user, "ada"}, Held::revoked, false, {}},
                                     whole(Scope::org, "acme"),
                                     whole(Scope::deployment, "")};
  Policy policy;
  policy.deployment = true;
  CHECK(read(facts, found, policy).outcome == Outcome::revoked);
  policy.past_revoked = true;
  CHECK(read(facts, found, policy).place == Place{Scope::org, "acme"});
  CHECK(read(facts, {found[0]}, policy).outcome == Outcome::revoked);
  CHECK(read(facts, {}, policy).outcome == Outcome::not_connected);
  // What has to be connected again has ended as well; the first that ended is the one that is told.
  const Candidate refused{{Scope::user, "ada"}, Held::refused, false, {}};
  const Candidate revoked{{Scope::org, "acme"}, Held::revoked, false, {}};
  CHECK(read(facts, {refused, revoked}, policy).outcome == Outcome::refused);
  CHECK(read(facts, {refused, revoked}, policy).place == Place{Scope::user, "ada"});
  CHECK(read(facts, {refused, whole(Scope::org, "acme")}, policy).outcome == Outcome::found);
  CHECK(read(facts, {refused, whole(Scope::org, "acme")}).outcome == Outcome::refused);
}

TEST_CASE("T24 a store that does not answer ends the search, whatever lies behind it") {
  const Facts facts{"ada", "acme", "member"};
  Policy policy;
  policy.deployment = true;
  policy.past_revoked = true;
  for (const auto held : {Held::nothing, Held::part, Held::revoked, Held::refused}) {
    const Candidate first{{Scope::user, "ada"}, held, false, {}};
    const auto choice = read(facts,
                             {first,
                              {{Scope::org, "acme"}, Held::unanswered, false, {}},
                              whole(Scope::workspace, "acme"),
                              whole(Scope::deployment, "")},
                             policy);
    CHECK(choice.outcome == Outcome::lookup_failed);
    CHECK(choice.place == Place{Scope::org, "acme"});
    CHECK(choice.path.last() == Rule::unanswered);
  }
  CHECK(
      read(facts, {whole(Scope::user, "ada"), {{Scope::org, "acme"}, Held::unanswered, false, {}}})
          .outcome == Outcome::found);
}

TEST_CASE("resolve: no more places are asked than the answer depends on") {
  const Facts facts{"ada", "acme", "member"};
  const Place places[] = {{Scope::user, "ada"}, {Scope::org, "acme"}, {Scope::workspace, "acme"}};
  constexpr Held all[] = {Held::nothing, Held::part,    Held::whole,
                          Held::revoked, Held::refused, Held::unanswered};
  for (const auto past : {false, true}) {
    Policy policy;
    policy.past_revoked = past;
    for (int world = 0; world < 6 * 6 * 6; ++world) {
      const Held truth[] = {all[world % 6], all[world / 6 % 6], all[world / 36]};
      std::vector<Candidate> known;
      std::vector<Candidate> full;
      for (int i = 0; i < 3; ++i) {
        known.push_back({places[i], Held::unasked, false, {}});
        full.push_back({places[i], truth[i], false, {}});
      }
      int asked = 0;
      Choice choice = read(facts, known, policy);
      while (choice.outcome == Outcome::ask) {
        // The first that is not known, and none twice.
        REQUIRE(choice.place == places[asked]);
        known[static_cast<std::size_t>(asked)].held = truth[asked];
        ++asked;
        choice = read(facts, known, policy);
      }
      const Choice wanted = read(facts, full, policy);
      CHECK(choice.outcome == wanted.outcome);
      CHECK(choice.place == wanted.place);
      CHECK(rules_of(choice.path) == rules_of(wanted.path));
      const auto goes_on = [past](Held held) {
        return held == Held::nothing || held == Held::part ||
               (past && (held == Held::revoked || held == Held::refused));
      };
      const int needed = !goes_on(truth[0]) ? 1 : !goes_on(truth[1]) ? 2 : 3;
      CHECK(asked == needed);
    }
  }
}

TEST_CASE("resolve: one owner's, as the caller asked, and never another's") {
  const Facts facts{"ada", "acme", "member"};
  const std::vector<Candidate> found{whole(Scope::user, "ada"), whole(Scope::org, "acme"),
                                     whole(Scope::workspace, "acme"), whole(Scope::deployment, "")};
  for (const auto personal : {false, true}) {
    for (const auto deployment : {false, true}) {
      for (int only = 1; only <= 5; ++only) {
        Policy policy;
        policy.personal_only = personal;
        policy.deployment = deployment && !personal;
        policy.only = static_cast<Scope>(only);
        const auto choice = read(facts, found, policy);
        const bool is_there =
            policy.only == Scope::user ||
            (!personal && (policy.only == Scope::org || policy.only == Scope::workspace ||
                           (policy.only == Scope::deployment && deployment)));
        CAPTURE(personal, deployment, only);
        CHECK((choice.outcome == Outcome::found) == is_there);
        if (is_there) CHECK(choice.place.scope == policy.only);
      }
    }
  }
  Policy policy;
  policy.only = Scope::org;
  CHECK(read({"ada", "", ""}, found, policy).outcome == Outcome::not_connected);
  CHECK(read(facts, found, policy, Membership::failed).outcome == Outcome::lookup_failed);
}

TEST_CASE("T20 T30 equal questions have equal answers, in whatever order the rows come") {
  Random random{20};
  const Facts facts{"ada", "acme", "member"};
  Policy policy;
  policy.deployment = true;
  std::vector<Candidate> found{{{Scope::user, "ada"}, Held::part, false, {}},
                               {{Scope::org, "acme"}, Held::whole, true, now},
                               whole(Scope::workspace, "acme"),
                               whole(Scope::deployment, "")};
  const auto wanted = read(facts, found, policy);
  for (int round = 0; round < 100; ++round) {
    std::swap(found[random.below(4)], found[random.below(4)]);
    const auto got = read(facts, found, policy);
    CHECK(got.place == wanted.place);
    CHECK(rules_of(got.path) == rules_of(wanted.path));
  }
}

namespace {

struct Question {
  std::string subject;
  std::string org;
  bool failed{false};
  std::vector<std::string> order;
  bool personal{false};
  bool deployment{false};
  bool past{false};
  std::string only;
  struct Held {
    std::string scope;
    std::string id;
    std::string what;
    std::int64_t rejected_at{-1};
  };
  std::vector<Held> rows;
};

/// The slow, obvious reading: a list of names, then one row after the other.
std::string answer(const Question& q) {
  if (q.subject.empty()) return "nobody";
  std::vector<std::pair<std::string, std::string>> places;
  bool hidden = false;
  if (q.personal) {
    places.emplace_back("user", q.subject);
  } else {
    for (const auto& scope : q.order) {
      if (scope == "user") {
        places.emplace_back("user", q.subject);
        continue;
      }
      if (q.failed) {
        hidden = true;
        break;
      }
      if (scope == "org" && !q.org.empty()) places.emplace_back("org", q.org);
      if (scope == "workspace" && !q.org.empty()) places.emplace_back("workspace", q.org);
      if (scope == "workspace" && q.org.empty()) places.emplace_back("solo", q.subject);
      if (scope == "deployment" && q.deployment) places.emplace_back("deployment", "");
    }
  }
  std::string ended;
  for (const auto& [scope, id] : places) {
    if (!q.only.empty() && scope != q.only) continue;
    for (const auto& row : q.rows) {
      if (row.scope != scope || row.id != id) continue;
      if (row.what == "unasked") return "ask " + scope + " " + id;
      if (row.what == "unanswered") return "lookup_failed";
      if (row.what == "revoked" || row.what == "refused") {
        if (!q.past) return row.what;
        if (ended.empty()) ended = row.what;
      }
      if (row.what != "whole") continue;
      if (row.rejected_at >= 0 && now.value - row.rejected_at < 900'000) continue;
      return "found " + scope + " " + id;
    }
  }
  if (hidden) return "lookup_failed";
  return ended.empty() ? "not_connected" : ended;
}

std::string say(const Choice& choice) {
  switch (choice.outcome) {
  case Outcome::found:
    return "found " + std::string{to_string(choice.place.scope)} + " " +
           std::string{choice.place.id};
  case Outcome::not_connected: return "not_connected";
  case Outcome::revoked: return "revoked";
  case Outcome::lookup_failed: return "lookup_failed";
  case Outcome::nobody: return "nobody";
  case Outcome::refused: return "refused";
  case Outcome::ask:
    return "ask " + std::string{to_string(choice.place.scope)} + " " + std::string{choice.place.id};
  }
  return {};
}

}  // namespace

TEST_CASE("threat T28 T29: 10^6 random readings as the slow model says, none across tenants") {
  // One id stands for a person here and an organisation there: only the scope keeps them apart.
  const std::vector<std::string> people{"ada", "bob", "acme", ""};
  const std::vector<std::string> orgs{"", "acme", "ada", "zeta"};
  const std::vector<std::string> scopes{"user", "org", "workspace", "solo", "deployment"};
  const std::vector<std::string> states{"nothing", "part",       "whole",  "revoked",
                                        "refused", "unanswered", "unasked"};
  constexpr std::int64_t ages[] = {0, 1, 899'999, 900'000, 900'001, 5'000'000};
  Random random{4};
  std::size_t disagreed = 0;
  std::size_t crossed = 0;
  std::map<std::string, std::size_t> outcomes;
  for (int round = 0; round < 1'000'000; ++round) {
    Question q;
    q.subject = random.pick(people);
    if (q.subject.empty() && random.below(8) != 0) q.subject = "ada";
    q.org = random.pick(orgs);
    q.failed = random.below(6) == 0;
    q.personal = random.below(6) == 0;
    q.deployment = random.below(2) == 0;
    q.past = random.below(2) == 0;
    if (random.below(5) == 0) q.only = random.pick(scopes);
    std::vector<std::string> left{"user", "org", "workspace", "deployment"};
    const std::size_t length = random.below(8) == 0 ? random.below(4) : 4;
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t at = random.below(2) == 0 ? 0 : random.below(left.size());
      q.order.push_back(left[at]);
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
    }
    std::set<std::pair<std::string, std::string>> seen;
    for (std::size_t rows = random.below(7); rows > 0; --rows) {
      const auto& scope = random.pick(scopes);
      const auto& id = scope == "deployment" ? people[3] : people[random.below(3)];
      if (!seen.emplace(scope, id).second) continue;
      q.rows.push_back({scope, id, random.pick(states),
                        random.below(3) == 0 ? now.value - random.pick(ages) : -1});
    }

    Policy policy;
    policy.order = {};
    const auto number = [&](const std::string& name) {
      return static_cast<Scope>(std::find(scopes.begin(), scopes.end(), name) - scopes.begin() + 1);
    };
    for (std::size_t i = 0; i < q.order.size(); ++i) policy.order[i] = number(q.order[i]);
    policy.personal_only = q.personal;
    policy.deployment = q.deployment;
    policy.past_revoked = q.past;
    if (!q.only.empty()) policy.only = number(q.only);
    std::vector<Candidate> found;
    for (const auto& row : q.rows) {
      const auto state = std::find(states.begin(), states.end(), row.what) - states.begin() + 1;
      found.push_back({{number(row.scope), row.id},
                       static_cast<Held>(state),
                       row.rejected_at >= 0,
                       {row.rejected_at >= 0 ? row.rejected_at : 0}});
    }
    const Facts facts{q.subject, q.org, "member"};
    const auto choice =
        resolve(facts, q.failed ? Membership::failed : Membership::known, policy, found, now);
    if (!choice || say(*choice) != answer(q)) {
      if (++disagreed == 1) {
        UNSCOPED_INFO("model " << answer(q) << ", core " << (choice ? say(*choice) : "refused"));
      }
      continue;
    }
    ++outcomes[std::string{say(*choice)}];
    const Place& place = choice->place;
    if (place == Place{}) continue;
    const bool mine =
        place.scope == Scope::deployment
            ? q.deployment && !q.personal
            : place.id ==
                  (place.scope == Scope::user || place.scope == Scope::solo ? q.subject : q.org);
    if (!mine) ++crossed;
  }
  CHECK(disagreed == 0);
  CHECK(crossed == 0);
  CHECK(outcomes.size() > 10);
}

TEST_CASE("resolve: what is no question") {
  const Facts facts{"ada", "acme", ""};
  const std::vector<Candidate> twice{whole(Scope::user, "ada"), whole(Scope::user, "ada")};
  CHECK(resolve(facts, Membership::known, {}, twice, now).error() == Errc::claim_invalid);
  std::vector<std::string> ids;
  for (int i = 0; i < 17; ++i) ids.push_back(std::to_string(i));
  std::vector<Candidate> many;
  for (const auto& id : ids) many.push_back(whole(Scope::user, id));
  CHECK(resolve(facts, Membership::known, {}, many, now).error() == Errc::claim_invalid);
  many.pop_back();
  const auto foreign = resolve(facts, Membership::known, {}, many, now);
  REQUIRE(foreign);
  CHECK(foreign->outcome == Outcome::not_connected);
  CHECK(rules_of(foreign->path).front() == Rule::foreign);
  CHECK(resolve({"a\nb", "", ""}, Membership::known, {}, {}, now).error() == Errc::claim_invalid);
  CHECK(resolve({"ada", "\x7f", ""}, Membership::known, {}, {}, now).error() ==
        Errc::claim_invalid);
}

TEST_CASE("B4 a gap is told inside the caller's organisation, and nothing else") {
  const std::vector<Candidate> found{whole(Scope::org, "acme"),
                                     whole(Scope::workspace, "acme"),
                                     whole(Scope::org, "zeta"),
                                     whole(Scope::user, "bob"),
                                     {{Scope::user, "ada"}, Held::part, false, {}}};
  const auto told = gap({"ada", "acme", "member"}, Membership::known, found);
  REQUIRE(told);
  CHECK(told->size == 2);
  CHECK(told->has[0] == Scope::org);
  CHECK(told->has[1] == Scope::workspace);
  CHECK(gap({"ada", "other", "owner"}, Membership::known, found)->size == 0);
  CHECK(gap({"ada", "", ""}, Membership::known, found)->size == 0);
  CHECK(gap({"ada", "acme", ""}, Membership::failed, found)->size == 0);
  CHECK(gap({}, Membership::known, found).error() == Errc::claim_invalid);
}

TEST_CASE("T21 T22 mutation: every cell, by the status that comes first") {
  std::set<int> statuses;
  std::size_t cells = 0;
  for (const auto requested : {Scope::user, Scope::org, Scope::workspace}) {
    for (const auto verb : {Verb::set, Verb::remove, Verb::connect, Verb::disconnect}) {
      for (const auto role : roles) {
        for (int bits = 0; bits < 1 << 12; ++bits) {
          const auto bit = [&](int n) { return (bits >> n & 1) != 0; };
          Mutation m;
          m.requested = requested;
          m.verb = verb;
          m.facts = {bit(0) ? "ada" : "", bit(1) ? "acme" : "", role};
          m.membership = bit(2) ? Membership::failed : Membership::known;
          m.registered = bit(3);
          m.connected = bit(4);
          m.value = bit(5) ? " \t\r\n" : "secret";
          m.device = bit(6);
          m.target_org = bit(7) ? (bit(8) ? "zeta" : "acme") : "";
          m.validator = bit(9) ? Check::failed : Check::passed;
          m.storage = bit(10) ? Check::failed : Check::pending;
          m.unread = bit(11);
          const bool connects = verb == Verb::connect || verb == Verb::disconnect;
          const bool adds = verb == Verb::set || verb == Verb::connect;
          const bool org_counts = requested != Scope::user;
          const bool of_org = org_counts && bit(1);
          const int wanted = !bit(3)                              ? 404
                             : bit(4) != connects                 ? 400
                             : verb == Verb::set && bit(5)        ? 400
                             : !bit(0)                            ? 401
                             : org_counts && bit(2)               ? 503
                             : requested == Scope::org && !bit(1) ? 401
                             : bit(6)                             ? 403
                             : bit(7) && (!of_org || bit(8))      ? 403
                             : of_org && !is_admin(role)          ? 403
                             : adds && bit(11)                    ? 403
                             : bit(9)                             ? 400
                             : bit(10)                            ? 500
                                                                  : 0;
          const auto verdict = may_mutate(m);
          if (!verdict || verdict->status != wanted || verdict->ok != (wanted == 0)) {
            CAPTURE(bits, role, wanted, static_cast<int>(requested));
            REQUIRE(verdict);
            CHECK(verdict->status == wanted);
            CHECK(verdict->ok == (wanted == 0));
          }
          if (verdict->ok) {
            const Place place = requested == Scope::user  ? Place{Scope::user, "ada"}
                                : requested == Scope::org ? Place{Scope::org, "acme"}
                                : of_org                  ? Place{Scope::workspace, "acme"}
                                                          : Place{Scope::solo, "ada"};
            if (verdict->place != place) CHECK(verdict->place == place);
          }
          statuses.insert(wanted);
          ++cells;
        }
      }
    }
  }
  CHECK(cells == 3 * 4 * std::size(roles) * 4096);
  CHECK(statuses == std::set{0, 400, 401, 403, 404, 500, 503});
  for (const auto scope : {Scope{}, Scope::solo, Scope::deployment, static_cast<Scope>(9)}) {
    Mutation m;
    m.facts = {"ada", "acme", "owner"};
    m.requested = scope;
    m.registered = true;
    m.value = "x";
    CHECK(may_mutate(m).error() == Errc::claim_invalid);
  }
}

TEST_CASE("T33 visibility: own or public, people never, numbers only of one's own organisation") {
  for (const std::string_view caller : {"", "acme", "zeta"}) {
    for (const std::string_view org : {"", "acme", "Acme"}) {
      for (int bits = 0; bits < 4; ++bits) {
        const Row row{org, (bits & 1) != 0, (bits & 2) != 0};
        const bool own = !org.empty() && caller == org;
        const Sight sight = visible(row, caller);
        CAPTURE(caller, org, bits);
        CHECK(sight.visible == (own || (row.is_public && !row.is_member)));
        CHECK(sight.counts == own);
        CHECK(sight.path.last() == (own             ? Rule::own
                                    : row.is_member ? Rule::kind_is_private
                                    : row.is_public ? Rule::is_public
                                                    : Rule::is_private));
      }
    }
  }
}

TEST_CASE("pain 22: leaving an organisation ends every credential that would still be reached") {
  constexpr std::string_view ids[] = {"ada", "bob", "acme", "zeta", ""};
  for (int scope = 0; scope <= 6; ++scope) {
    for (const auto id : ids) {
      for (const auto org : ids) {
        for (const auto author : ids) {
          const auto owner = static_cast<Scope>(scope);
          const Swept swept = sweep("ada", "acme", {{owner, id}, org, author});
          const bool personal = owner == Scope::user && id == "ada" && org == "acme";
          const bool shared =
              (owner == Scope::org || owner == Scope::workspace) && id == "acme" && author == "ada";
          CAPTURE(scope, id, org, author);
          CHECK((swept.action == Sweep::end) == (personal || shared));
          if (personal) CHECK(swept.rule == Rule::member_left);
          if (shared) CHECK(swept.rule == Rule::author_left);
        }
      }
    }
  }
  CHECK(sweep("", "acme", {{Scope::user, ""}, "acme", ""}).action == Sweep::keep);
  CHECK(sweep("ada", "", {{Scope::user, "ada"}, "", ""}).action == Sweep::keep);
}

TEST_CASE("T34 the device is the one of the token; the body cannot say another") {
  constexpr std::string_view devices[] = {"", "laptop", "phone"};
  for (const auto token : devices) {
    for (const auto body : devices) {
      for (const auto pin : devices) {
        for (int bits = 0; bits < 16; ++bits) {
          const auto bit = [&](int n) { return (bits >> n & 1) != 0; };
          const Completed done = complete({token, body, pin, bit(0), bit(1), bit(2), bit(3)});
          const auto device = token.empty() ? body : token;
          const bool mine =
              !device.empty() && device == pin && (token.empty() || body.empty() || body == token);
          const int wanted = !bit(0)   ? 404
                             : !bit(1) ? 409
                             : !mine   ? 403
                             : !bit(3) ? 200
                             : !bit(2) ? 400
                                       : 200;
          CAPTURE(token, body, pin, bits);
          CHECK(done.status == wanted);
          CHECK(done.idempotent == (wanted == 200 && !bit(3)));
        }
      }
    }
  }
}

TEST_CASE("explain: a sentence for every rule, which names nobody") {
  std::set<std::string> all;
  for (int rule = 1; rule <= rule_count; ++rule) {
    for (int scope = 0; scope <= 5; ++scope) {
      const auto text = sentence({static_cast<Rule>(rule), static_cast<Scope>(scope)});
      CAPTURE(text);
      CHECK(text.ends_with("."));
      CHECK(text.find('%') == std::string::npos);
      CHECK((text.front() >= 'A' && text.front() <= 'Z'));
      all.insert(text);
    }
  }
  CHECK(all.size() > rule_count);
  CHECK(sentence({Rule::found, Scope::org}) ==
        "Your organisation's connection is there, and is used.");
  CHECK(test::traps([] {
    std::uint8_t space[8];
    Writer out{space};
    explain({}, out);
  }));
}
