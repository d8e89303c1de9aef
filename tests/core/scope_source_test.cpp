// Which of a provider's tokens, and what it may do there.
#include "support.hpp"

#include "latchkey/scope.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>

using namespace latchkey;
using namespace latchkey::scope;
using latchkey::test::Random;

namespace {

const Facts member{"ada", "acme", "member"};

InstallationChoice choose(const std::vector<Installation>& all, std::string_view account = "Octo",
                          std::string_view expected = {}, const Facts& facts = member,
                          Membership membership = Membership::known) {
  const auto choice = choose_installation(facts, membership, account, expected, all);
  REQUIRE(choice);
  return *choice;
}

std::string missing(Family family, std::string_view granted, std::string_view required) {
  std::uint8_t space[256];
  Writer out{space};
  scope::missing(family, granted, required, out);
  return test::string_of(out.written());
}

}  // namespace

TEST_CASE("T28 installation: one, none, ambiguous, mismatch, suspended; never a pick") {
  const Place org{Scope::org, "acme"};
  const Place own{Scope::user, "ada"};
  const Installation a{"1", org, "octo", false};
  const Installation b{"2", org, "OCTO", false};
  const Installation asleep{"3", org, "octo", true};
  const Installation mine{"4", own, "octo", false};
  const Installation foreign{"5", {Scope::org, "zeta"}, "octo", false};
  const Installation other{"6", org, "octocat", false};

  CHECK(choose({}).outcome == Chosen::none);
  CHECK(choose({foreign, other}).outcome == Chosen::none);
  CHECK(choose({foreign, a}).outcome == Chosen::one);
  CHECK(choose({foreign, a}).index == 1);
  CHECK(choose({a, b}).outcome == Chosen::ambiguous);
  CHECK(choose({a, b}, "octo", "1").outcome == Chosen::ambiguous);
  CHECK(choose({a, b, mine}).outcome == Chosen::ambiguous);
  CHECK(choose({a, mine}).index == 0);
  CHECK(choose({mine}).index == 0);
  CHECK(choose({mine, mine}).outcome == Chosen::ambiguous);
  CHECK(choose({a}, "octo", "1").outcome == Chosen::one);
  CHECK(choose({a}, "octo", "2").outcome == Chosen::mismatch);
  CHECK(choose({asleep}).outcome == Chosen::suspended);
  CHECK(choose({asleep, a}).index == 1);
  CHECK(choose({asleep, mine}).outcome == Chosen::suspended);
  CHECK(choose({a}, "octo", {}, member, Membership::failed).outcome == Chosen::lookup_failed);
  CHECK(choose({a}, "octo", {}, {"ada", "", ""}).outcome == Chosen::none);
  CHECK(choose_installation({}, Membership::known, "octo", {}, {}).error() == Errc::claim_invalid);
  CHECK(choose_installation(member, Membership::known, "", {}, {}).error() == Errc::claim_invalid);
}

TEST_CASE("T28 threat T29: random installations as a slow count says, none of another tenant") {
  Random random{28};
  constexpr std::string_view accounts[] = {"octo", "OCTO", "cat"};
  constexpr std::string_view ids[] = {"acme", "ada", "zeta"};
  std::size_t wrong = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::vector<Installation> all;
    for (std::size_t n = random.below(5); n > 0; --n) {
      all.push_back({std::to_string(n).c_str()[0] == '1' ? "1" : "2",
                     {random.below(2) == 0 ? Scope::org : Scope::user, random.pick(ids)},
                     random.pick(accounts),
                     random.below(4) == 0});
    }
    const std::string_view expected = random.below(2) == 0 ? "" : "1";
    const auto got = choose(all, "octo", expected);
    std::string wanted = "none";
    for (const Place& place : {Place{Scope::org, "acme"}, Place{Scope::user, "ada"}}) {
      std::vector<const Installation*> live;
      bool any = false;
      for (const auto& one : all) {
        if (one.owner != place || (one.account != "octo" && one.account != "OCTO")) continue;
        any = true;
        if (!one.suspended) live.push_back(&one);
      }
      if (!any) continue;
      wanted = live.empty()                                        ? "suspended"
               : live.size() > 1                                   ? "ambiguous"
               : !expected.empty() && live.front()->id != expected ? "mismatch"
               : &all[got.index] == live.front()                   ? "one"
                                                                   : "wrong";
      break;
    }
    constexpr std::string_view names[] = {"",         "one",       "none",         "ambiguous",
                                          "mismatch", "suspended", "lookup_failed"};
    if (wanted != names[static_cast<std::size_t>(got.outcome)]) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("T29 T30 token source: every cell; a pinned person never becomes the app") {
  std::set<Rule> reasons;
  for (const auto pin : {Pin::none, Pin::user, Pin::installation}) {
    for (int user = 1; user <= 7; ++user) {
      for (int bits = 0; bits < 16; ++bits) {
        const auto bit = [&](int n) { return (bits >> n & 1) != 0; };
        const SourceFacts facts{pin, bit(0), static_cast<UserToken>(user), bit(1), bit(2), bit(3)};
        const SourceChoice choice = choose_token_source(facts);
        constexpr Rule states[] = {Rule{},
                                   Rule::user_token,
                                   Rule::no_user_authorization,
                                   Rule::user_revoked,
                                   Rule::refresh_failed,
                                   Rule::insufficient_user_access,
                                   Rule::credential_unreadable,
                                   Rule::credential_misconfigured};
        const Rule person = !bit(0)             ? Rule::user_not_allowed
                            : bit(1) && bit(2)  ? Rule::lite_installation
                            : bit(1) && !bit(3) ? Rule::insufficient_user_access
                                                : states[user];
        CAPTURE(static_cast<int>(pin), user, bits);
        if (pin == Pin::installation) {
          CHECK(choice.source == (bit(1) ? Source::installation : Source::none));
          CHECK(choice.reason == (bit(1) ? Rule::pinned_installation : Rule::no_installation));
        } else {
          CHECK(choice.reason == person);
          const bool as_person = person == Rule::user_token;
          CHECK((choice.source == Source::user) == as_person);
          if (!as_person) {
            CHECK(choice.source ==
                  (pin == Pin::none && bit(1) ? Source::installation : Source::none));
          }
        }
        CHECK(choice.reason != Rule{});
        reasons.insert(choice.reason);
      }
    }
  }
  CHECK(reasons.size() == 11);
}

TEST_CASE("T51 the downgrade to the app happens once, warns once, and has a fresh installation") {
  const SourceChoice good{Source::user, Rule::user_token};
  const SourceChoice lost{Source::installation, Rule::refresh_failed};
  const SourceChoice nothing{Source::none, Rule::refresh_failed};
  // Every sequence of six choices, with and without an installation at hand.
  std::size_t sequences = 0;
  for (int code = 0; code < 6 * 6 * 6 * 6 * 6 * 6; ++code) {
    Identity identity;
    identity.installation = "stale";
    std::string storage;
    int warnings = 0;
    int changes = 0;
    bool app = false;
    for (int i = 0, rest = code; i < 6; ++i, rest /= 6) {
      const SourceChoice choice = rest % 3 == 0 ? good : rest % 3 == 1 ? lost : nothing;
      const std::string_view fresh = rest % 6 < 3 ? "" : "fresh";
      const auto step = step_identity(identity, choice, fresh);
      REQUIRE(step);
      const bool should = !app && choice.source == Source::installation && !fresh.empty();
      if (should) ++changes;
      if (step->warn) ++warnings;
      if (step->warn != should || step->persist != should) CHECK(step->warn == should);
      if (should) {
        CHECK(step->next.installation == "fresh");
        CHECK(step->path.last() == Rule::downgraded);
      }
      app = app || should;
      CHECK((step->next.acts == Source::installation) == app);
      identity = step->next;
    }
    CHECK(warnings == (app ? 1 : 0));
    CHECK(changes <= 1);
    ++sequences;
  }
  CHECK(sequences == 46'656);

  // Downgraded before the installation was kept: it is looked up, silently.
  Identity old{Source::installation, true, {}};
  CHECK(step_identity(old, lost, {})->path.last() == Rule::needs_installation);
  const auto mended = step_identity(old, lost, "fresh");
  CHECK(mended->next.installation == "fresh");
  CHECK(mended->persist);
  CHECK_FALSE(mended->warn);
  old.acts = Source::none;
  CHECK(step_identity(old, lost, "fresh").error() == Errc::claim_invalid);
}

TEST_CASE("T31 access: every status, with and without a token, with and without rate headers") {
  for (int status = 0; status < 1000; ++status) {
    for (int bits = 0; bits < 8; ++bits) {
      AccessFacts facts;
      facts.has_token = (bits & 1) != 0;
      facts.status = static_cast<std::uint16_t>(status);
      facts.remaining = (bits & 2) != 0 ? "0" : "12";
      facts.retry_after = (bits & 4) != 0 ? "60" : "";
      const auto verdict = access(facts);
      Access wanted = Access::unexpected;
      if (status / 100 == 2) wanted = Access::granted;
      if (status == 401 || status == 403 || status == 404) {
        wanted = facts.has_token ? Access::token_rejected : Access::needs_token;
      }
      if (status == 429 || (status == 403 && bits >= 2)) wanted = Access::rate_limited;
      if (status == 0 || status / 100 == 5) wanted = Access::transient;
      if (verdict.access != wanted || verdict.may_cache != (status / 100 == 2 || status == 404)) {
        CAPTURE(status, bits);
        CHECK(verdict.access == wanted);
        CHECK(verdict.may_cache == (status / 100 == 2 || status == 404));
      }
    }
  }
  CHECK(access({}).access == Access::transient);
}

TEST_CASE("T28 installation: a deletion is the last word, an older word none") {
  constexpr Word words[] = {Word::none, Word::restored, Word::suspended, Word::deleted};
  for (const Word known : words) {
    for (const Word said : words) {
      for (const std::int64_t ms : {-1, 0, 1}) {
        const bool heard = hears({known, {1'000}}, {said, {1'000 + ms}});
        const bool wanted = said != Word::none && known != Word::deleted &&
                            (known == Word::none || said == Word::deleted || ms >= 0);
        CAPTURE(static_cast<int>(known), static_cast<int>(said), ms);
        CHECK(heard == wanted);
      }
    }
  }
}

TEST_CASE(
    "T28 installation: of a list and a word the newer one is right, a minute for what takes away") {
  for (const bool listed : {false, true}) {
    const Known as_listed = listed ? Known::suspended : Known::live;
    for (const std::int64_t ms : {-60'001, -60'000, -1, 0, 1}) {
      CAPTURE(listed, ms);
      const auto known = [&](Word word) {
        return known_as(listed, {100'000}, {word, {100'000 + ms}});
      };
      CHECK(known(Word::none) == as_listed);
      CHECK(known(Word::deleted) == Known::gone);
      CHECK(known(Word::suspended) == (ms >= -60'000 ? Known::suspended : as_listed));
      CHECK(known(Word::restored) == (ms >= 0 ? Known::live : as_listed));
    }
  }
}

TEST_CASE("T31 minted: every status, with and without rate headers") {
  for (int status = 0; status < 1000; ++status) {
    for (int bits = 0; bits < 8; ++bits) {
      AccessFacts facts;
      facts.has_token = (bits & 1) != 0;
      facts.status = static_cast<std::uint16_t>(status);
      facts.remaining = (bits & 2) != 0 ? "0" : "12";
      facts.retry_after = (bits & 4) != 0 ? "60" : "";
      const Minted wanted = status == 201               ? Minted::made
                            : status == 404             ? Minted::deleted
                            : status == 403 && bits < 2 ? Minted::suspended
                            : status == 422             ? Minted::not_covered
                            : status == 401             ? Minted::misconfigured
                                                        : Minted::unanswered;
      CAPTURE(status, bits);
      CHECK(minted(facts) == wanted);
    }
  }
}

TEST_CASE("B14 scopes: granted covers required by the provider's own table, and by nothing else") {
  CHECK(missing(Family::github, "repo", "public_repo repo:status").empty());
  CHECK(missing(Family::github, "public_repo", "repo") == "repo");
  CHECK(missing(Family::github, "admin:org,user", "read:org user:email").empty());
  CHECK(missing(Family::github, "read:org", "write:org admin:org") == "write:org admin:org");
  CHECK(missing(Family::github, "Repo", "repo") == "repo");
  CHECK(missing(Family::github, "", "repo gist") == "repo gist");
  CHECK(missing(Family::github, "repo", "").empty());
  CHECK(missing(Family::github_app, "contents:write metadata:read",
                "contents:read contents:write metadata:read")
            .empty());
  CHECK(missing(Family::github_app, "contents:read", "contents:write") == "contents:write");
  CHECK(missing(Family::github_app, "contents:write", "pull_requests:write") ==
        "pull_requests:write");
  CHECK(missing(Family::github_app, "contents:all", "contents:read") == "contents:read");
  CHECK(missing(Family::github_app, "contents", "contents:read") == "contents:read");
  CHECK(missing(Family::github_app, "contents:admin", "contents:none") == "contents:none");
  CHECK(missing(Family::gitlab, "api", "read_user write_repository read_repository").empty());
  CHECK(missing(Family::gitlab, "read_api", "api") == "api");
  CHECK(missing(Family::bitbucket, "pullrequest:write", "repository repository:write").empty());
  CHECK(missing(Family::bitbucket, "repository:write", "pullrequest") == "pullrequest");
  CHECK(missing(Family::plain, "repo", "public_repo") == "public_repo");
  CHECK(missing(Family::plain, " a ,, b ", "b a").empty());
}
