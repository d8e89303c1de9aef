#include "support.hpp"

#include "latchkey/capability.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace latchkey;
using namespace latchkey::capability;
using test::base64url;
using test::RawKey;

namespace {

constexpr UnixMillis now{1'767'225'600'000};
constexpr std::string_view hello = "https://github.com/octo/hello.git";

std::vector<keys::Key> ring() { return test::ring_of({test::k1, test::k2}); }

Claims usual() {
  Claims c;
  c.subject = "ada";
  c.owner = Owner::org;
  c.owner_id = "acme";
  c.provider = "github";
  c.container = "box-1";
  c.can = can_fetch | can_push;
  c.epoch = 7;
  c.expires_at = now.plus(seconds(3600));
  return c;
}

std::string make(const Claims& claims, UnixMillis at = now) {
  std::uint8_t space[max_text];
  Writer out{space};
  const auto made = mint(ring(), claims, at, test::Octets(16, 0xa5), out);
  return made ? test::string_of(out.written()) : test::name(made);
}

std::string narrowed(const std::string& text, const Narrowing& narrowing) {
  std::uint8_t space[max_text + 64];
  Writer out{space};
  const auto made = attenuate(text, narrowing, out);
  return made ? test::string_of(out.written()) : test::name(made);
}

Expected expected(UnixMillis at = now) { return {at, "box-1", 7}; }

std::string ask(const std::string& text, const Expected& known = expected()) {
  test::Octets scratch(text.size());
  return test::name(verify(ring(), text, known, scratch));
}

/// A capability of any claims and narrowings, made without the engine.
std::string sealed(std::string_view prefix, const RawKey& key, std::string_view claims,
                   const std::vector<std::string>& narrowings = {}) {
  std::string text = std::string{prefix} + std::string{key.kid} + "." + base64url(bytes_of(claims));
  auto tag = test::hmac(key.derived(keys::info_capability), bytes_of(text));
  for (const auto& narrowing : narrowings) {
    const std::string piece = base64url(bytes_of(narrowing));
    const std::string sealed_with{tag.begin(), tag.end()};
    tag = test::hmac(bytes_of(sealed_with), bytes_of(piece));
    text += "." + piece;
  }
  return text + "." + base64url(tag);
}

const std::string v2 =
    R"({"for":"git","sub":"ada","own":"org:acme","as":"github","cid":"box-1","can":"fetch push",)"
    R"("epoch":7,"iat":1767225600,"exp":1767229200,"jti":"paWlpaWlpaWlpaWlpaWlpQ"})";

std::string with(std::string_view from, std::string_view to) {
  std::string out = v2;
  const auto at = out.find(from);
  REQUIRE(at != std::string::npos);
  out.replace(at, from.size(), to);
  return out;
}
std::string ask_claims(const std::string& claims, std::string_view prefix = "lkc2.") {
  return ask(sealed(prefix, test::k1, claims));
}

}  // namespace

TEST_CASE("capability: what is minted is what the format says, and verifies to its claims") {
  CHECK(make(usual()) == sealed("lkc2.", test::k1, v2));
  const auto text = make(usual());
  test::Octets scratch(text.size());
  const auto claims = verify(ring(), text, expected(), scratch);
  REQUIRE(claims);
  CHECK(claims->subject == "ada");
  CHECK(claims->owner == Owner::org);
  CHECK(claims->owner_id == "acme");
  CHECK(claims->provider == "github");
  CHECK(claims->container == "box-1");
  CHECK(claims->repo.empty());
  CHECK(claims->can == (can_fetch | can_push));
  CHECK(claims->issued_at == now);
  CHECK(claims->expires_at == now.plus(seconds(3600)));
  test::Octets small(10);
  CHECK(test::name(verify(ring(), text, expected(), small)) == "output_too_small");
}

TEST_CASE("T15 capability: life caps by version, the future, the end") {
  auto claims = usual();
  claims.expires_at = now.plus(max_life_v2);
  CHECK(ask(make(claims)) == "ok");
  claims.expires_at = now.plus(seconds(4 * 3600 + 1));
  CHECK(make(claims) == "capability_invalid");
  claims.container = {};
  claims.expires_at = now.plus(max_life_v1);
  CHECK(make(claims).starts_with("lkc1."));
  CHECK(ask(make(claims)) == "ok");
  claims.expires_at = now.plus(seconds(2 * 3600 + 1));
  CHECK(make(claims) == "capability_invalid");
  claims.expires_at = now;
  CHECK(make(claims) == "capability_invalid");
  claims.expires_at = {now.value + 1};
  CHECK(make(claims) == "capability_invalid");
  CHECK(ask_claims(with("1767229200", "1767240000")) == "ok");
  CHECK(ask_claims(with("1767229200", "1767240001")) == "capability_invalid");
  CHECK(ask_claims(with("1767229200", "1767225600")) == "capability_invalid");

  const auto text = make(usual());
  CHECK(ask(text, expected({now.value + 3'599'999})) == "ok");
  CHECK(ask(text, expected({now.value + 3'600'000})) == "capability_expired");
  CHECK(ask(text, expected({now.value - 60'000})) == "ok");
  CHECK(ask(text, expected({now.value - 60'001})) == "capability_invalid");
}

TEST_CASE("T15 capability: version, container, epoch") {
  CHECK(ask_claims(v2, "lkc1.") == "capability_invalid");
  const auto unbound = with(R"("cid":"box-1",)", "");
  CHECK(ask_claims(unbound) == "capability_invalid");
  CHECK(ask_claims(unbound, "lkc1.") == "ok");
  CHECK(ask_claims(unbound, "lkc3.") == "capability_invalid");
  const auto text = make(usual());
  CHECK(ask(text, {now, "box-2", 7}) == "container_mismatch");
  CHECK(ask(text, {now, "", 7}) == "container_mismatch");
  CHECK(ask(text, {now, "box-1", 8}) == "capability_revoked");
  CHECK(ask(text, {now, "box-1", 0}) == "ok");
  CHECK(ask(text, {now, "box-2", 8}) == "capability_revoked");
}

TEST_CASE("T15 capability: purpose and provider are those of whoever asks, where they are said") {
  const auto text = make(usual());
  Expected known = expected();
  known.purpose = Purpose::git;
  known.provider = "github";
  CHECK(ask(text, known) == "ok");
  known.provider = "github2";
  CHECK(ask(text, known) == "provider_mismatch");
  known.epoch = 8;
  CHECK(ask(text, known) == "capability_revoked");
  known.purpose = Purpose::api;
  CHECK(ask(text, known) == "capability_invalid");
}

TEST_CASE("T15 capability: strict claims") {
  CHECK(ask_claims(v2) == "ok");
  for (const std::string_view name :
       {R"("for":"git",)", R"("sub":"ada",)", R"("own":"org:acme",)", R"("as":"github",)",
        R"("can":"fetch push",)", R"("epoch":7,)", R"("iat":1767225600,)", R"("exp":1767229200,)",
        R"(,"jti":"paWlpaWlpaWlpaWlpaWlpQ")"}) {
    CAPTURE(name);
    CHECK(ask_claims(with(name, "")) == "capability_invalid");
  }
  const std::pair<std::string_view, std::string_view> changes[] = {
      {R"("git")", R"("Git")"},
      {R"("git")", R"("scm")"},
      {R"("git")", "1"},
      {R"("ada")", R"("")"},
      {R"("ada")", R"("a\u0007")"},
      {R"("org:acme")", R"("acme")"},
      {R"("org:acme")", R"("org:")"},
      {R"("org:acme")", R"("team:acme")"},
      {R"("fetch push")", R"("")"},
      {R"("fetch push")", R"("push fetch")"},
      {R"("fetch push")", R"("fetch fetch")"},
      {R"("fetch push")", R"("fetch  push")"},
      {R"("fetch push")", R"("fetch ")"},
      {R"("fetch push")", R"("all")"},
      {R"("fetch push")", R"(["fetch"])"},
      {R"("epoch":7)", R"("epoch":-1)"},
      {R"("epoch":7)", R"("epoch":4294967296)"},
      {R"("epoch":7)", R"("epoch":7.5)"},
      {R"("epoch":7)", R"("epoch":"7")"},
      {"1767225600", "-1"},
      {R"("paWlpaWlpaWlpaWlpaWlpQ")", R"("paWlpaWlpaWlpaWlpaWlpR")"},
      {R"("paWlpaWlpaWlpaWlpaWlpQ")", R"("paWl")"},
      {R"("for":"git")", R"("for":"git","aud":"x")"},
      {R"("sub":"ada")", R"("sub":"bob","sub":"ada")"},
      {R"({"for)", R"([{"for)"},
      {R"("cid":"box-1")", R"("cid":"")"}};
  for (const auto& [from, to] : changes) {
    CAPTURE(from, to);
    CHECK(ask_claims(with(from, to)) == "capability_invalid");
  }
  for (int field = 0; field < 7; ++field) {
    auto claims = usual();
    if (field == 0) claims.subject = {};
    if (field == 1) claims.owner_id = {};
    if (field == 2) claims.provider = {};
    if (field == 3) claims.can = 0;
    if (field == 4) claims.can = 16;
    if (field == 5) claims.subject = "a\nb";
    if (field == 6) claims.container = "\x7f";
    CHECK(make(claims) == "capability_invalid");
  }
}

TEST_CASE("T01 T15 capability: every changed bit, every cut, another key or purpose is refused") {
  const auto text = narrowed(make(usual()), {.repo = hello});
  REQUIRE(ask(text) == "ok");
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      if (ask(changed) != "capability_invalid") {
        CAPTURE(i, bit);
        CHECK(ask(changed) == "capability_invalid");
      }
    }
    if (ask(text.substr(0, i)) != "capability_invalid") CHECK(i == text.size());
  }
  CHECK(ask(text + ".") == "capability_invalid");
  CHECK(ask(text + "A") == "capability_invalid");
  CHECK(ask("") == "capability_invalid");
  // Taking a narrowing away needs the tag before it, which is gone.
  const auto first = text.find('.', text.find('.', 5) + 1);
  CHECK(ask(text.substr(0, first) + text.substr(text.rfind('.'))) == "capability_invalid");
  CHECK(ask(sealed("lkc2.", test::k3, v2)) == "capability_invalid");
  CHECK(ask(sealed("lkc2.", test::k2, v2)) == "ok");
  CHECK(ask(std::string(5'000, 'a')) == "capability_invalid");
}

TEST_CASE("E2 C6 attenuation: a holder narrows repository, verbs and life, and never widens") {
  const auto text = make(usual());
  const auto read = [](const std::string& from) {
    static test::Octets scratch;
    scratch.assign(max_text, 0);
    const auto claims = verify(ring(), from, expected(), scratch);
    REQUIRE(claims);
    return *claims;
  };
  const auto one = narrowed(text, {.repo = hello, .can = can_fetch});
  CHECK(read(one).repo == hello);
  CHECK(read(one).can == can_fetch);
  const auto two = narrowed(one, {.can = can_fetch | can_push});
  CHECK(read(two).can == can_fetch);
  CHECK(ask(narrowed(one, {.repo = "https://github.com/octo/other.git"})) == "capability_invalid");
  CHECK(ask(narrowed(one, {.repo = hello})) == "ok");
  CHECK(ask(narrowed(one, {.can = can_push})) == "capability_invalid");
  const auto brief = narrowed(one, {.expires_at = now.plus(seconds(60)), .has_expires_at = true});
  CHECK(read(brief).expires_at == now.plus(seconds(60)));
  CHECK(ask(brief, expected(now.plus(seconds(60)))) == "capability_expired");
  const auto longer =
      narrowed(brief, {.expires_at = now.plus(seconds(9'000)), .has_expires_at = true});
  CHECK(read(longer).expires_at == now.plus(seconds(60)));
  CHECK(ask(narrowed(text, {.container = "box-2"})) == "capability_invalid");
  auto claims = usual();
  claims.container = {};
  const auto bound = narrowed(make(claims), {.container = "box-1"});
  CHECK(ask(bound) == "ok");
  CHECK(ask(bound, {now, "", 7}) == "container_mismatch");

  // A narrowing says nothing else, and something.
  for (const std::string_view bad :
       {"{}", R"({"sub":"bob"})", R"({"epoch":9})", R"({"iat":1})", R"({"own":"org:zeta"})",
        R"({"can":"fetch","as":"x"})", R"({"repo":""})", "[]", "x"}) {
    CAPTURE(bad);
    CHECK(ask(sealed("lkc2.", test::k1, v2, {std::string{bad}})) == "capability_invalid");
  }
  CHECK(ask(sealed("lkc2.", test::k1, v2, {R"({"can":"fetch"})"})) == "ok");
  CHECK(narrowed(text, {}) == "capability_invalid");
  CHECK(narrowed(text, {.can = 16}) == "capability_invalid");
  CHECK(narrowed("lkc2.k1.AAAA", {.can = 1}) == "capability_invalid");
  std::string deep = text;
  for (std::size_t i = 0; i < max_narrowings; ++i) deep = narrowed(deep, {.can = can_fetch});
  CHECK(ask(deep) == "ok");
  CHECK(narrowed(deep, {.can = can_fetch}) == "capability_invalid");
}

TEST_CASE("E2 C6 attenuation: random chains as a slow model says") {
  test::Random random{6};
  constexpr std::string_view repos[] = {"", hello, "https://github.com/octo/other.git"};
  for (int round = 0; round < 3'000; ++round) {
    auto claims = usual();
    claims.can = static_cast<std::uint8_t>(1 + random.below(15));
    claims.repo = random.pick(repos);
    std::string text = make(claims);
    std::string repo{claims.repo};
    unsigned can = claims.can;
    std::int64_t end = claims.expires_at.value;
    bool good = true;
    for (std::size_t n = random.below(4); n > 0; --n) {
      Narrowing narrowing;
      narrowing.repo = random.pick(repos);
      narrowing.can = static_cast<std::uint8_t>(random.below(16));
      narrowing.has_expires_at = random.below(2) == 0;
      narrowing.expires_at = now.plus(seconds(static_cast<std::int64_t>(1 + random.below(9'000))));
      if (narrowing.repo.empty() && narrowing.can == 0 && !narrowing.has_expires_at) continue;
      text = narrowed(text, narrowing);
      if (!narrowing.repo.empty()) {
        good = good && (repo.empty() || repo == narrowing.repo);
        repo = narrowing.repo;
      }
      if (narrowing.can != 0) can &= narrowing.can;
      if (narrowing.has_expires_at) end = std::min(end, narrowing.expires_at.value);
    }
    test::Octets scratch(text.size());
    const auto read = verify(ring(), text, expected(), scratch);
    if (!good || can == 0) {
      CHECK(test::name(read) == "capability_invalid");
      continue;
    }
    REQUIRE(read);
    CHECK(read->can == can);
    CHECK(read->repo == repo);
    CHECK(read->expires_at.value == end);
  }
}

TEST_CASE("E2 T15 redeem: every purpose, provider, set of verbs and repository, as a table says") {
  constexpr std::string_view own = "session:s-1";
  constexpr std::string_view other = "https://github.com/octo/other.git";
  constexpr std::string_view providers[] = {own,        "session:s-2", "session:s-10",
                                            "session:", "session:s",   "session",
                                            "github",   "xsession:s-1"};
  // The slow, obvious reading.
  const auto expected = [](Purpose purpose, std::string_view provider, unsigned can,
                           std::string_view repo, std::string_view asked) -> std::string {
    if (purpose == Purpose::api) return "not_allowed";
    const bool sessions = provider.substr(0, 8) == "session:";
    if (sessions && provider != "session:s-1") return "not_allowed";
    if ((can & 1) == 0 || (can & 2) == 0) return "not_allowed";
    if (repo.empty() || repo != asked) return "repository_mismatch";
    return sessions ? "session" : "connection";
  };
  const auto told = [](const Result<Ender>& ender) -> std::string {
    if (!ender) return test::name(ender);
    return *ender == Ender::session ? "session" : "connection";
  };
  int rows = 0;
  for (const Purpose purpose : {Purpose::git, Purpose::api}) {
    for (const auto provider : providers) {
      for (std::uint8_t can = 1; can <= can_all; ++can) {
        for (const std::string_view repo : {hello, other, std::string_view{}}) {
          for (const std::string_view asked : {hello, std::string_view{}}) {
            Claims claims = usual();
            claims.purpose = purpose;
            claims.provider = provider;
            claims.can = can;
            claims.repo = repo;
            CAPTURE(provider, can, repo, asked);
            CHECK(told(redeem(claims, own, asked)) ==
                  expected(purpose, provider, can, repo, asked));
            // A session without a name of its own gives nothing to anybody.
            for (const std::string_view bad : {"", "session:", "github", "s-1"}) {
              CHECK(told(redeem(claims, bad, asked)) == "not_allowed");
            }
            ++rows;
          }
        }
      }
    }
  }
  CHECK(rows == 2 * 8 * 15 * 3 * 2);
}

TEST_CASE(
    "T28 revoke: the next epoch ends all that was made, and is kept as long as any could live") {
  for (const std::int64_t ms :
       {std::int64_t{0}, std::int64_t{999}, std::int64_t{1000}, now.value, now.value + 999}) {
    for (const std::uint32_t epoch : {0U, 1U, 7U, 1'767'225'599U, 1'767'225'600U, 1'767'225'601U}) {
      const auto revoked = revoke(epoch, {ms});
      CHECK(revoked.epoch > epoch);
      CHECK(revoked.epoch >= ms / 1000);
      CHECK(revoked.keep_until == UnixMillis{ms}.plus(max_life_v2).plus(skew));
    }
  }
  CHECK(revoke(0xffffffff, now).epoch == 0xffffffff);
  CHECK(revoke(0xfffffffe, now).epoch == 0xffffffff);

  // Made at the last moment, on a clock as far ahead as is allowed, for as long as can be: it has
  // expired when the epoch is forgotten.
  auto claims = usual();
  const auto ahead = now.plus(skew);
  claims.expires_at = ahead.plus(max_life_v2);
  const auto text = make(claims, ahead);
  const auto revoked = revoke(claims.epoch, now);
  CHECK(ask(text, {now, "box-1", claims.epoch}) == "ok");
  CHECK(ask(text, {now, "box-1", revoked.epoch}) == "capability_revoked");
  CHECK(ask(text, {revoked.keep_until, "box-1", 0}) == "capability_expired");
  CHECK(ask(text, {{revoked.keep_until.value - 1}, "box-1", revoked.epoch}) ==
        "capability_revoked");
}
