#include "latchkey/principal.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>

using namespace latchkey;
using namespace latchkey::test;
using namespace std::string_literals;
using principal::Kind;
using principal::Principal;

namespace {

constexpr std::int64_t now_s = 1'700'000'000;
constexpr UnixMillis now = UnixMillis::from_seconds(now_s);
const std::string typ = "latchkey-principal+jwt";

Members usual_payload() {
  return {{"sub", in_quotes("alice")},    {"org", in_quotes("acme")},
          {"role", in_quotes("admin")},   {"kind", in_quotes("human")},
          {"iat", std::to_string(now_s)}, {"exp", std::to_string(now_s + 60)}};
}

struct Issued {
  std::string error;
  std::string token;
};

Issued issued(keys::Ring ring, const Principal& who, Millis ttl = principal::default_ttl,
              UnixMillis at = now) {
  Octets space(4'096);
  Writer out{space};
  const auto done = principal::issue(ring, who, at, ttl, out);
  return {name(done), done ? string_of(out.written()) : ""};
}

struct Verification {
  Octets token;
  Octets scratch;
  Result<Principal> result{Errc::principal_missing};

  Verification(keys::Ring ring, std::string_view text, UnixMillis at = now,
               std::size_t room = 3'072)
      : token{octets(text)}, scratch(room) {
    result = principal::verify(ring, text_of(token), at, scratch);
  }
};

std::string verified(keys::Ring ring, std::string_view token, UnixMillis at = now) {
  return name(Verification{ring, token, at}.result);
}

std::string foreign(const Members& payload) {
  return hs256_token(k1, usual_header("HS256", "k1", typ), object(payload), keys::info_principal);
}

std::string foreign(std::string_view claim, const std::string& value) {
  Members payload = usual_payload();
  at(payload, claim) = value;
  return foreign(payload);
}

const Principal alice{Kind::human, "alice", "acme", "admin", ""};

}  // namespace

TEST_CASE("principal: what is issued is verified and says the same") {
  const auto ring = ring_of({k1, k2});
  const Principal all[] = {
      alice,
      {Kind::human, "a", "", "", ""},
      {Kind::human, "a", "o", "", ""},
      {Kind::service, "ci", "acme", "owner", ""},
      {Kind::device, "a", "", "", "laptop"},
      {Kind::device, "a", "o", "member", ""},
      {Kind::human, "a\"b\\c", "\xC3\xA9", "r", ""},
  };
  for (const Principal& who : all) {
    const auto made = issued(ring, who);
    REQUIRE(made.error == "ok");
    const Verification read{ring, made.token};
    REQUIRE(name(read.result) == "ok");
    CHECK(read.result->kind == who.kind);
    CHECK(read.result->subject == who.subject);
    CHECK(read.result->org == who.org);
    CHECK(read.result->role == who.role);
    CHECK(read.result->device == who.device);
  }
  CHECK(issued(ring, alice).token == foreign(usual_payload()));
  CHECK(to_string(Kind::human) == "human");
  CHECK(to_string(Kind::service) == "service");
  CHECK(to_string(Kind::device) == "device");
}

TEST_CASE("principal: what cannot be is neither issued nor accepted") {
  const auto ring = ring_of({k1});
  const std::string longest(255, 'a');
  const std::string too_long(256, 'a');
  const struct {
    Principal who;
    bool possible;
  } rows[] = {
      {{Kind::human, "", "", "", ""}, false},
      {{Kind::human, longest, longest, longest, ""}, true},
      {{Kind::human, too_long, "", "", ""}, false},
      {{Kind::human, "a", too_long, "", ""}, false},
      {{Kind::human, "a", "o", too_long, ""}, false},
      {{Kind::device, "a", "", "", too_long}, false},
      {{Kind::human, "a", "", "admin", ""}, false},
      {{Kind::human, "a", "", "", "d"}, false},
      {{Kind::service, "a", "", "", "d"}, false},
      {{Kind::device, "a", "", "", "d"}, true},
      {{Kind::human, "a\n", "", "", ""}, false},
      {{Kind::human, "a\xff", "", "", ""}, false},
      {{Kind::human, "a", "\x7f", "", ""}, false},
      {{Kind::human, "a", "o", "\xC2\x80", ""}, false},
  };
  for (const auto& row : rows) {
    const Principal& who = row.who;
    CAPTURE(who.subject, who.org, who.role, who.device);
    const auto made = issued(ring, who);
    CHECK(made.error == (row.possible ? "ok" : "principal_invalid"));

    Members payload = {{"sub", in_quotes(who.subject)},
                       {"kind", in_quotes(to_string(who.kind))},
                       {"iat", std::to_string(now_s)},
                       {"exp", std::to_string(now_s + 60)}};
    if (!who.org.empty()) payload.emplace_back("org", in_quotes(who.org));
    if (!who.role.empty()) payload.emplace_back("role", in_quotes(who.role));
    if (!who.device.empty()) payload.emplace_back("device", in_quotes(who.device));
    CHECK(verified(ring, foreign(payload)) == (row.possible ? "ok" : "principal_invalid"));
  }
  const std::int64_t lives[] = {INT64_MIN, -1'000, 0, 1, 999, 1'001, 300'001, 301'000, INT64_MAX};
  for (const std::int64_t ms : lives) CHECK(issued(ring, alice, {ms}).error == "principal_invalid");
  for (const std::int64_t s : {1, 60, 300}) CHECK(issued(ring, alice, seconds(s)).error == "ok");
  CHECK(issued({}, alice).error == "key_ring_empty");

  const std::string quotes(255, '"');
  const auto largest = issued(ring, {Kind::device, quotes, quotes, quotes, quotes});
  CHECK(largest.error == "ok");
  CHECK(largest.token.size() <= 4'096);
  CHECK(verified(ring, largest.token) == "ok");
}

TEST_CASE("T01 principal: no changed bit, no other length") {
  const auto ring = ring_of({k1});
  const std::string token = issued(ring, alice).token;
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < token.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = token;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      if (verified(ring, changed) != "principal_invalid") ++accepted;
    }
    const std::string less = token.substr(0, i) + token.substr(i + 1);
    const std::string more = token.substr(0, i + 1) + token.substr(i);
    for (const std::string& changed :
         {less, more, token.substr(i + 1) + "x", token.substr(0, i) + "="}) {
      if (verified(ring, changed) != "principal_invalid") ++accepted;
    }
  }
  CHECK(accepted == 0);
  CHECK(verified(ring, "") == "principal_missing");
  CHECK(verified(ring, token + std::string(4'096, 'A')) == "principal_invalid");
}

TEST_CASE("threat T14 principal: no token of another kind, algorithm or key") {
  const auto ring = ring_of({k1});
  const std::string payload = object(usual_payload());
  CHECK(verified(ring, hs256_token(k1, usual_header("HS256", "k1", "oauth-state+jwt"), payload)) ==
        "principal_invalid");
  for (const auto info :
       {keys::info_state_hs256, keys::info_capability, keys::info_pkce, keys::info_seal}) {
    CHECK(verified(ring, hs256_token(k1, usual_header("HS256", "k1", typ), payload, info)) ==
          "principal_invalid");
  }
  for (const char* alg : {"none", "HS384", "hs256", "EdDSA", ""}) {
    CHECK(verified(ring, hs256_token(k1, usual_header(alg, "k1", typ), payload,
                                     keys::info_principal)) == "principal_invalid");
  }
  CHECK(verified(ring, eddsa_token(k1, usual_header("EdDSA", "k1.ed", typ), payload)) ==
        "principal_invalid");
  CHECK(verified(ring, signing_input(usual_header("none", "k1", typ), payload) + ".") ==
        "principal_invalid");
  CHECK(verified(ring_of({k2}), foreign(usual_payload())) == "principal_invalid");
  CHECK(verified(ring_of({{"k1", 0x77}}), foreign(usual_payload())) == "principal_invalid");
  CHECK(verified({}, foreign(usual_payload())) == "principal_invalid");
  CHECK(verified(ring_of({k2, k1}), foreign(usual_payload())) == "ok");
}

TEST_CASE("principal: a signed payload that is not exactly ours is refused") {
  const auto ring = ring_of({k1});
  REQUIRE(verified(ring, foreign(usual_payload())) == "ok");
  for (const char* claim : {"sub", "kind", "iat", "exp"}) {
    CAPTURE(claim);
    CHECK(verified(ring, foreign(without(usual_payload(), claim))) == "principal_invalid");
  }
  CHECK(verified(ring, foreign(without(usual_payload(), "role"))) == "ok");
  CHECK(verified(ring, foreign(without(usual_payload(), "org"))) == "principal_invalid");
  for (const auto& member : usual_payload()) {
    CAPTURE(member.first);
    Members twice = usual_payload();
    twice.push_back(member);
    CHECK(verified(ring, foreign(twice)) == "principal_invalid");
  }
  for (const char* claim : {"iss", "aud", "nbf", "jti", "scope", "Sub", "", "v"}) {
    Members payload = usual_payload();
    payload.emplace_back(claim, "1");
    CHECK(verified(ring, foreign(payload)) == "principal_invalid");
  }
  for (const char* claim : {"sub", "org", "role", "kind"}) {
    for (const char* value :
         {"null", "true", "1", "[]", "{}", "\"\"", "\"a\\n\"", "\"\\ud800\"", "[\"alice\"]"}) {
      CAPTURE(claim, value);
      CHECK(verified(ring, foreign(claim, value)) == "principal_invalid");
    }
  }
  for (const char* value :
       {"\"Human\"", "\"user\"", "\"human \"", "\"admin\"", "\"device\"", "\"service\""}) {
    CAPTURE(value);
    const bool good = value == "\"device\""s || value == "\"service\""s;
    CHECK(verified(ring, foreign("kind", value)) == (good ? "ok" : "principal_invalid"));
  }
  for (const char* payload : {"[]", "null", "{}", "", "{\"sub\":\"a\"", "\"x\""}) {
    CHECK(verified(ring, hs256_token(k1, usual_header("HS256", "k1", typ), payload,
                                     keys::info_principal)) == "principal_invalid");
  }
}

TEST_CASE("T05 principal: life, age and skew, to the second") {
  const auto ring = ring_of({k1});
  const auto token = issued(ring, alice).token;
  for (std::int64_t phase = 0; phase < 1'000; phase += 9) {
    CHECK(verified(ring, token, now.plus({60'000 + phase})) == "ok");
    CHECK(verified(ring, token, now.plus({61'000 + phase})) == "principal_expired");
    CHECK(verified(ring, token, now.plus({-60'000 + phase})) == "ok");
    CHECK(verified(ring, token, now.plus({-61'000 + phase})) == "principal_invalid");
  }
  for (const std::int64_t life : {-1, 0, 1, 299, 300, 301, 3'600}) {
    CAPTURE(life);
    CHECK(verified(ring, foreign("exp", std::to_string(now_s + life))) ==
          (life >= 1 && life <= 300 ? "ok" : "principal_invalid"));
  }
  for (const char* claim : {"iat", "exp"}) {
    for (const char* value : {"\"1700000000\"", "1700000000.0", "1.7e9", "-1", "null", "1e999", "0",
                              "9223372036854775807", "9223372036854775808", "8640000000001"}) {
      CAPTURE(claim, value);
      CHECK(verified(ring, foreign(claim, value)) == "principal_invalid");
    }
  }
  // At the first moment there is, a time that is missing or negative does not pass for one.
  Members early = usual_payload();
  at(early, "exp") = "100";
  CHECK(verified(ring, foreign(without(early, "iat")), {0}) == "principal_invalid");
  for (const char* value : {"-1", "null", "0.0", "true"}) {
    at(early, "iat") = value;
    CHECK(verified(ring, foreign(early), {0}) == "principal_invalid");
  }
  at(early, "iat") = "0";
  CHECK(verified(ring, foreign(early), {0}) == "ok");
  CHECK(verified(ring, token, {0}) == "principal_invalid");
  CHECK(verified(ring, token, {UnixMillis::max}) == "principal_expired");
}

TEST_CASE("T04 principal: nothing of the payload is touched before the signature is good") {
  const auto ring = ring_of({k1});
  std::string token = issued(ring, alice).token;
  token[token.size() - 2] = token[token.size() - 2] == 'A' ? 'B' : 'A';
  Octets scratch(3'072, 0xa5);
  CHECK(name(principal::verify(ring, token, now, scratch)) == "principal_invalid");
  CHECK(scratch == Octets(3'072, 0xa5));
  const std::string good = issued(ring, alice).token;
  const std::size_t payload = object(usual_payload()).size();
  for (std::size_t room = 0; room <= payload; ++room) {
    CHECK(name(Verification{ring, good, now, room}.result) ==
          (room < payload ? "principal_invalid" : "ok"));
  }
}

TEST_CASE("principal: a token needs exactly its own room") {
  const auto ring = ring_of({k1});
  const std::string token = issued(ring, alice).token;
  for (std::size_t room = 0; room <= token.size(); ++room) {
    Octets space(room);
    Writer out{space};
    CHECK(name(principal::issue(ring, alice, now, principal::default_ttl, out)) ==
          (room == token.size() ? "ok" : "output_too_small"));
  }
}
