#include "latchkey/state.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <set>

using namespace latchkey;
using namespace latchkey::test;
using state::Alg;
using state::Binding;
using state::Claims;
using state::Expected;
using state::OwnerKind;
using state::State;
using namespace std::string_literals;

namespace {

constexpr std::int64_t now_s = 1'700'000'000;
constexpr UnixMillis now = UnixMillis::from_seconds(now_s);
const std::string typ = "oauth-state+jwt";

const Octets entropy = from_hex("000102030405060708090a0b0c0d0e0f");
const Octets cookie(32, 0xc0);
const Octets other_cookie(32, 0xc1);
const Alg algs[] = {Alg::hs256, Alg::eddsa};

Claims usual_claims() {
  Claims claims;
  claims.issuer = "https://app.example";
  claims.audience = "https://app.example/callback/github";
  claims.flow = "connect";
  claims.provider = "github";
  claims.subject = "alice";
  claims.owner_id = "alice";
  claims.app = "web";
  claims.return_to = "/connections?tab=1#x";
  claims.binding = cookie;
  return claims;
}

Expected usual_expected() {
  Expected expected;
  expected.now = now;
  expected.issuer = "https://app.example";
  expected.audience = "https://app.example/callback/github";
  expected.flow = "connect";
  expected.provider = "github";
  expected.subject = "alice";
  expected.binding = cookie;
  return expected;
}

// base64url of the first half of SHA-256(label, cookie, nonce).
std::string rfp_of(const Octets& binding, const Octets& nonce) {
  Octets input = octets("lk.rfp1");
  input.insert(input.end(), binding.begin(), binding.end());
  input.insert(input.end(), nonce.begin(), nonce.end());
  Octets hash = sha256(input);
  hash.resize(16);
  return base64url(hash);
}

Members usual_payload() {
  return {
      {"iss", in_quotes("https://app.example")},
      {"aud", in_quotes("https://app.example/callback/github")},
      {"iat", std::to_string(now_s)},
      {"exp", std::to_string(now_s + 600)},
      {"jti", in_quotes(base64url(entropy))},
      {"rfp", in_quotes(rfp_of(cookie, entropy))},
      {"as", in_quotes("github")},
      {"sub", in_quotes("alice")},
      {"target_link_uri", in_quotes("/connections?tab=1#x")},
      {"flow", in_quotes("connect")},
      {"own", in_quotes("user:alice")},
      {"app", in_quotes("web")},
      {"v", "1"},
  };
}

const char* const required_claims[] = {"iss", "aud", "iat",  "exp", "jti",
                                       "as",  "sub", "flow", "own", "v"};
const char* const text_claims[] = {"iss", "aud", "as", "sub", "flow", "own", "app"};

std::string issued(keys::Ring ring, const Claims& claims, UnixMillis at = now,
                   Bytes random = entropy) {
  Octets space(state::max_token);
  const auto result = state::issue(ring, claims, at, random, space);
  REQUIRE(name(result) == "ok");
  return std::string{result->token};
}

std::string issued(keys::Ring ring, Alg alg = Alg::hs256) {
  Claims claims = usual_claims();
  claims.alg = alg;
  return issued(ring, claims);
}

// The outcome of one verification, with everything that its views point into.
template <class Keys> struct Verification {
  Octets token;
  Octets scratch;
  Result<State> result{Errc::state_missing};

  Verification(const Keys& keys, std::string_view text, const Expected& expected,
               std::size_t room = 3'072)
      : token{octets(text)}, scratch(room) {
    using View = std::conditional_t<std::is_same_v<Keys, std::vector<keys::Key>>, keys::Ring,
                                    keys::PublicKeys>;
    result = state::verify(View{keys}, text_of(token), expected, scratch);
  }
};

template <class Keys>
std::string verified(const Keys& keys, std::string_view token,
                     const Expected& expected = usual_expected()) {
  return name(Verification<Keys>{keys, token, expected}.result);
}

// A token of a foreign issuer who has the right key.
std::string foreign(const Members& payload) {
  return hs256_token(k1, usual_header("HS256", "k1", typ), object(payload));
}

std::string foreign(std::string_view claim, const std::string& value) {
  Members payload = usual_payload();
  at(payload, claim) = value;
  return foreign(payload);
}

std::string with_header(const std::string& header) {
  return hs256_token(k1, header, object(usual_payload()));
}

std::size_t last_dot(const std::string& token) { return token.rfind('.'); }

}  // namespace

// ---------------------------------------------------------------------------- what is issued

TEST_CASE("state: what is issued is verified and says the same") {
  const auto ring = ring_of({k1, k2});
  for (const Alg alg : algs) {
    for (const OwnerKind kind : {OwnerKind::user, OwnerKind::org}) {
      Claims claims = usual_claims();
      claims.alg = alg;
      claims.owner_kind = kind;
      claims.owner_id = "acme";
      Octets space(state::max_token);
      const auto made = state::issue(ring, claims, now, entropy, space);
      REQUIRE(made);
      CHECK(made->nonce.view() == base64url(entropy));
      CHECK(made->expires_at == UnixMillis::from_seconds(now_s + 600));

      const Verification read{ring, made->token, usual_expected()};
      REQUIRE(name(read.result) == "ok");
      const State& s = *read.result;
      CHECK(s.alg == alg);
      CHECK(s.owner_kind == kind);
      CHECK(s.kid == (alg == Alg::hs256 ? "k1" : "k1.ed"));
      CHECK(s.issuer == claims.issuer);
      CHECK(s.audience == claims.audience);
      CHECK(s.flow == claims.flow);
      CHECK(s.provider == claims.provider);
      CHECK(s.subject == claims.subject);
      CHECK(s.owner_id == "acme");
      CHECK(s.app == "web");
      CHECK(s.return_to == claims.return_to);
      CHECK(s.nonce == base64url(entropy));
      CHECK(s.rfp == rfp_of(cookie, entropy));
      CHECK(s.issued_at == now);
      CHECK(s.expires_at == made->expires_at);
    }
  }
}

TEST_CASE("state: the token is the compact JWS that the claims describe, byte for byte") {
  const auto ring = ring_of({k1});
  CHECK(issued(ring, Alg::hs256) ==
        hs256_token(k1, usual_header("HS256", "k1", typ), object(usual_payload())));
  CHECK(issued(ring, Alg::eddsa) ==
        eddsa_token(k1, usual_header("EdDSA", "k1.ed", typ), object(usual_payload())));

  Claims least = usual_claims();
  least.app = least.return_to = {};
  least.binding = {};
  const auto payload = without(without(without(usual_payload(), "rfp"), "target_link_uri"), "app");
  CHECK(issued(ring, least) == foreign(payload));
}

TEST_CASE("state: any text that may stand in a claim comes back unchanged") {
  const auto ring = ring_of({k1});
  Random random{1};
  const std::string pieces[] = {"a",
                                "Z",
                                "0",
                                ".",
                                "_",
                                "@",
                                ":",
                                "/",
                                "\\",
                                "\"",
                                " ",
                                "\xC3\xA9",
                                "\xC2\xA0",
                                "<",
                                "&",
                                "%",
                                "\xED\x9F\xBF",
                                "\xF0\x9F\x94\x91",
                                "\xEF\xBF\xBF"};
  const auto text = [&] {
    std::string out;
    for (std::size_t i = 1 + random.below(12); i > 0; --i) out += random.pick(pieces);
    return out;
  };
  for (int i = 0; i < 400; ++i) {
    const std::string texts[] = {text(), text(), text(), text(), text(), text(), text()};
    const Octets nonce = random.bytes(16);
    Claims claims;
    claims.issuer = texts[0];
    claims.audience = texts[1];
    claims.flow = texts[2];
    claims.provider = texts[3];
    claims.subject = texts[4];
    claims.owner_id = texts[5];
    claims.app = texts[6];
    claims.ttl = seconds(1 + static_cast<std::int64_t>(random.below(3'600)));
    const std::string token = issued(ring, claims, now, nonce);
    Expected expected;
    expected.now = now;
    expected.issuer = texts[0];
    expected.audience = texts[1];
    const Verification read{ring, token, expected};
    REQUIRE(name(read.result) == "ok");
    const State& s = *read.result;
    CHECK((s.issuer == texts[0] && s.audience == texts[1] && s.flow == texts[2] &&
           s.provider == texts[3] && s.subject == texts[4] && s.owner_id == texts[5] &&
           s.app == texts[6]));
    CHECK(s.nonce == base64url(nonce));
    CHECK(s.expires_at.value - s.issued_at.value == claims.ttl.value);

    const auto payload =
        from_base64url(token.substr(token.find('.') + 1, last_dot(token) - token.find('.') - 1));
    const auto json = nlohmann::json::parse(payload.value());
    CHECK(json.at("iss") == texts[0]);
    CHECK(json.at("own") == "user:" + texts[5]);
    CHECK(json.size() == 11);
  }
}

TEST_CASE("T13 distinct identities give distinct tokens and come back as they went in") {
  const auto ring = ring_of({k1});
  struct Identity {
    OwnerKind kind;
    const char* id;
    const char* subject;
    const char* app;
  };
  const Identity identities[] = {
      {OwnerKind::user, "a.b@x", "s", ""},    {OwnerKind::user, "a_b@x", "s", ""},
      {OwnerKind::user, "a", "b", ""},        {OwnerKind::user, "b", "a", ""},
      {OwnerKind::org, "a", "b", ""},         {OwnerKind::user, "org:a", "b", ""},
      {OwnerKind::org, "user:a", "b", ""},    {OwnerKind::user, "user:a", "b", ""},
      {OwnerKind::org, "org:a", "b", ""},     {OwnerKind::user, "a\",\"app\":\"b", "b", ""},
      {OwnerKind::user, "a", "b", "b"},       {OwnerKind::user, "a", "b\",\"app\":\"b", ""},
      {OwnerKind::user, "A", "b", ""},        {OwnerKind::user, "a ", "b", ""},
      {OwnerKind::user, "\xC3\xA9", "b", ""}, {OwnerKind::user, "e\xCC\x81", "b", ""},
      {OwnerKind::user, "a:b", "c", ""},      {OwnerKind::user, "a", "b:c", ""},
  };
  std::set<std::string> payloads;
  for (const Identity& who : identities) {
    CAPTURE(who.id, who.subject, who.app);
    Claims claims = usual_claims();
    claims.owner_kind = who.kind;
    claims.owner_id = who.id;
    claims.subject = who.subject;
    claims.app = who.app;
    const std::string token = issued(ring, claims);
    payloads.insert(token.substr(0, last_dot(token)));
    Expected expected = usual_expected();
    expected.subject = who.subject;
    const Verification read{ring, token, expected};
    REQUIRE(read.result);
    CHECK(read.result->owner_kind == who.kind);
    CHECK(read.result->owner_id == who.id);
    CHECK(read.result->subject == who.subject);
    CHECK(read.result->app == who.app);
  }
  CHECK(payloads.size() == std::size(identities));
}

TEST_CASE("state: issuing refuses each impossible claim") {
  const auto ring = ring_of({k1});
  using Field = std::string_view Claims::*;
  const Field texts[] = {&Claims::issuer,   &Claims::audience, &Claims::flow,
                         &Claims::provider, &Claims::subject,  &Claims::owner_id};
  const std::string longest(255, 'a');
  const std::string too_long(256, 'a');
  const std::string bad[] = {too_long,   "a\nb",  std::string{"a\0b", 3}, "\x7f",
                             "\xC2\x80", "a\xff", "\xED\xA0\x80",         "\xC0\xAF"};
  Octets space(state::max_token);
  const auto refused = [&](const Claims& claims) {
    return name(state::issue(ring, claims, now, entropy, space));
  };
  for (const Field field : texts) {
    Claims claims = usual_claims();
    claims.*field = {};
    CHECK(refused(claims) == "claim_invalid");
    claims.*field = longest;
    CHECK(refused(claims) == "ok");
    for (const std::string& text : bad) {
      claims.*field = text;
      CHECK(refused(claims) == "claim_invalid");
    }
  }
  for (const std::string& text : bad) {
    Claims claims = usual_claims();
    claims.app = text;
    CHECK(refused(claims) == "claim_invalid");
  }
  for (const char* path : {"x", "//evil.example", "/\\evil.example", "https://evil.example",
                           "/a/../b", "/a b", "/%2fevil.example", "/a\n", " /a"}) {
    CAPTURE(path);
    Claims claims = usual_claims();
    claims.return_to = path;
    CHECK(refused(claims) == "return_to_invalid");
  }
  for (std::size_t size = 1; size <= 64; ++size) {
    const Octets binding(size, 7);
    Claims claims = usual_claims();
    claims.binding = binding;
    CHECK(refused(claims) == (size == state::binding_size ? "ok" : "claim_invalid"));
  }
  const struct {
    std::int64_t ttl_ms;
    const char* want;
  } lives[] = {
      {INT64_MIN, "claim_invalid"},
      {-1'000, "claim_invalid"},
      {0, "claim_invalid"},
      {1, "claim_invalid"},
      {999, "claim_invalid"},
      {1'000, "ok"},
      {1'001, "claim_invalid"},
      {600'000, "ok"},
      {3'600'000, "ok"},
      {3'600'001, "claim_invalid"},
      {3'601'000, "claim_invalid"},
      {INT64_MAX, "claim_invalid"},
  };
  for (const auto& life : lives) {
    CAPTURE(life.ttl_ms);
    Claims claims = usual_claims();
    claims.ttl = {life.ttl_ms};
    CHECK(refused(claims) == life.want);
  }
  for (std::size_t size = 0; size <= 40; ++size) {
    const Octets random(size, 9);
    CHECK(name(state::issue(ring, usual_claims(), now, random, space)) ==
          (size < state::nonce_size ? "claim_invalid" : "ok"));
  }
  CHECK(name(state::issue({}, usual_claims(), now, entropy, space)) == "key_ring_empty");
}

TEST_CASE("state: issuing checks the ring, the claims, the return path, then the rest") {
  const auto ring = ring_of({k1});
  Octets space(state::max_token);
  Claims claims = usual_claims();
  claims.return_to = "//x";
  claims.ttl = {0};
  const Octets short_binding(31, 1);
  claims.binding = short_binding;
  CHECK(name(state::issue(ring, claims, now, {}, space)) == "return_to_invalid");
  claims.issuer = {};
  CHECK(name(state::issue(ring, claims, now, {}, space)) == "claim_invalid");
  CHECK(name(state::issue({}, claims, now, {}, space)) == "key_ring_empty");
}

TEST_CASE("state: only the first 16 bytes of entropy count, and each nonce gives another token") {
  const auto ring = ring_of({k1});
  Octets more = entropy;
  more.resize(48, 0xee);
  CHECK(issued(ring, usual_claims(), now, more) == issued(ring));
  std::set<std::string> tokens;
  for (std::size_t i = 0; i < 16; ++i) {
    Octets changed = entropy;
    changed[i] ^= 0x80;
    tokens.insert(issued(ring, usual_claims(), now, changed));
  }
  CHECK(tokens.size() == 16);
}

TEST_CASE("state: a token needs exactly its own room") {
  const auto ring = ring_of({k1});
  for (const Alg alg : algs) {
    Claims claims = usual_claims();
    claims.alg = alg;
    const std::string token = issued(ring, alg);
    for (std::size_t room = 0; room <= token.size(); ++room) {
      Octets space(room);
      const auto made = state::issue(ring, claims, now, entropy, space);
      REQUIRE(static_cast<bool>(made) == (room == token.size()));
      if (made) CHECK(made->token == token);
      if (!made) CHECK(name(made) == "claim_invalid");
    }
  }
}

TEST_CASE("threat T39 the largest token that can be issued is at most 4,096 bytes and verifies") {
  const RawKey longest_id{std::string(32, 'k'), 5};
  const auto ring = ring_of({longest_id});
  const std::string plain(255, 'x');
  const std::string escaped(255, '"');
  for (const Alg alg : algs) {
    std::size_t largest = 0;
    // From few bytes to more than fit: `escaped` takes two bytes for each.
    for (std::size_t extra = 0; extra <= 8 * 255; ++extra) {
      std::string texts[8];
      std::size_t left = extra;
      for (auto& text : texts) {
        const std::size_t quotes = std::min<std::size_t>(left, 255);
        text = escaped.substr(0, quotes) + plain.substr(quotes);
        left -= quotes;
      }
      Claims claims = usual_claims();
      claims.alg = alg;
      claims.issuer = texts[0];
      claims.audience = texts[1];
      claims.flow = texts[2];
      claims.provider = texts[3];
      claims.subject = texts[4];
      claims.owner_id = texts[5];
      claims.app = texts[6];
      Octets space(2 * state::max_token);
      const auto made = state::issue(ring, claims, now, entropy, space);
      if (!made) {
        CHECK(name(made) == "claim_invalid");
        continue;
      }
      largest = std::max(largest, made->token.size());
      if (extra % 64 == 0) {
        Expected expected = usual_expected();
        expected.issuer = texts[0];
        expected.audience = texts[1];
        expected.flow = texts[2];
        expected.provider = texts[3];
        expected.subject = texts[4];
        CHECK(verified(ring, made->token, expected) == "ok");
      }
    }
    CHECK(largest <= state::max_token);
    CHECK(largest > 4'000);
  }
}

// ---------------------------------------------------------------------------- form of a token

TEST_CASE("T01 a token changed by one bit is refused") {
  const auto ring = ring_of({k1});
  const auto keys = public_keys_of(ring);
  for (const Alg alg : algs) {
    const std::string token = issued(ring, alg);
    REQUIRE(verified(ring, token) == "ok");
    std::size_t accepted = 0;
    std::set<std::string> reasons;
    for (std::size_t i = 0; i < token.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = token;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        const std::string why = verified(ring, changed);
        if (why == "ok") ++accepted;
        reasons.insert(why);
        if (alg == Alg::eddsa && bit == 0 && verified(keys, changed) == "ok") ++accepted;
      }
    }
    CHECK(accepted == 0);
    CHECK(reasons ==
          std::set<std::string>{"state_bad_signature", "state_malformed", "state_unknown_key"});
  }
}

TEST_CASE("T01 a token of another length is refused: cut, a byte less, a byte twice, a byte more") {
  const auto ring = ring_of({k1});
  for (const Alg alg : algs) {
    const std::string token = issued(ring, alg);
    std::size_t accepted = 0;
    const auto offer = [&](const std::string& changed) {
      const std::string why = verified(ring, changed);
      if (why == "ok") ++accepted;
      return why;
    };
    CHECK(offer("") == "state_missing");
    for (std::size_t i = 1; i < token.size(); ++i) offer(token.substr(0, i));
    for (std::size_t i = 1; i < token.size(); ++i) offer(token.substr(i));
    for (std::size_t i = 0; i < token.size(); ++i) {
      offer(token.substr(0, i) + token.substr(i + 1));
      offer(token.substr(0, i + 1) + token.substr(i));
    }
    for (std::size_t i = 0; i <= token.size(); ++i) {
      for (const char c : {'A', '_', '=', '.', ' ', '\n', '%', '\0', '\x80'}) {
        offer(token.substr(0, i) + c + token.substr(i));
      }
    }
    offer(token + token);
    offer(token + "." + token);
    CHECK(accepted == 0);
  }
}

TEST_CASE("threat T18 no other spelling of an accepted token is accepted") {
  const auto ring = ring_of({k1});
  // Every length modulo 3 of the payload, so that its last character has 0, 2 and 4 spare bits.
  for (const Alg alg : algs) {
    for (const char* app : {"w", "we", "web"}) {
      Claims claims = usual_claims();
      claims.alg = alg;
      claims.app = app;
      const std::string token = issued(ring, claims);
      const std::size_t first = token.find('.');
      const std::size_t second = last_dot(token);
      std::size_t accepted = 0;
      std::size_t spellings = 0;
      const auto offer = [&](const std::string& other) {
        ++spellings;
        if (verified(ring, other) == "ok") ++accepted;
      };
      for (const std::size_t end : {first, second, token.size()}) {
        for (int c = 0; c < 256; ++c) {
          std::string other = token;
          other[end - 1] = static_cast<char>(c);
          if (other != token) offer(other);
        }
        for (const char* padding : {"=", "==", "===", "A", " ", "\n", "%3D"}) {
          offer(token.substr(0, end) + padding + token.substr(end));
        }
      }
      for (std::size_t i = 0; i < token.size(); ++i) {
        std::string other = token;
        if (token[i] == '-') other[i] = '+';
        if (token[i] == '_') other[i] = '/';
        if (other != token) offer(other);
      }
      offer(" " + token);
      offer(token + "\r\n");
      offer("\xEF\xBB\xBF" + token);
      CHECK(accepted == 0);
      CHECK(spellings > 3 * 255);
    }
  }
}

TEST_CASE("T02 a signature of another length or with bytes beyond ASCII is malformed") {
  const auto ring = ring_of({k1});
  for (const Alg alg : algs) {
    const std::string token = issued(ring, alg);
    const std::string input = token.substr(0, last_dot(token) + 1);
    const std::size_t right = alg == Alg::hs256 ? 32 : 64;
    for (std::size_t size = 1; size <= 130; ++size) {
      CAPTURE(size);
      const std::string why = verified(ring, input + base64url(Octets(size, 0x5a)));
      CHECK(why == (size == right ? "state_bad_signature" : "state_malformed"));
    }
    CHECK(verified(ring, input) == "state_malformed");
    for (const char* part : {"\xC3\xA9", "\x80", "\xff\xfe", "\xF0\x9F\x94\x91"}) {
      CHECK(verified(ring, input + part) == "state_malformed");
      CHECK(verified(ring, token.substr(0, token.size() - 4) + part) == "state_malformed");
    }
  }
}

TEST_CASE("T03 anything but exactly two dots is malformed") {
  const auto ring = ring_of({k1});
  const std::string token = issued(ring);
  const std::size_t first = token.find('.');
  const std::size_t second = last_dot(token);
  const std::string header = token.substr(0, first);
  const std::string payload = token.substr(first + 1, second - first - 1);
  const std::string signature = token.substr(second + 1);
  const std::string tokens[] = {
      header + payload + signature,
      header + "." + payload + signature,
      header + payload + "." + signature,
      token + ".",
      "." + token,
      token + "." + signature,
      header + ".." + payload + "." + signature,
      header + "..." + signature,
      ".",
      "..",
      "...",
      "....",
      "a",
      "a.b",
      "a.b.",
      ".b.c",
      "a..c",
      "..c",
      "." + payload + "." + signature,
      header + ".." + signature,
      header + "." + payload + ".",
      header + "." + payload,
      std::string(4'096, '.'),
      std::string(4'096, 'A'),
  };
  for (const std::string& text : tokens) {
    CAPTURE(text);
    CHECK(verified(ring, text) == "state_malformed");
  }
}

TEST_CASE("state: presence and length come before everything else") {
  const auto ring = ring_of({k1});
  CHECK(verified(ring, "") == "state_missing");
  CHECK(name(state::verify(ring, {}, usual_expected(), {})) == "state_missing");
  CHECK(verified(ring, std::string(4'096, 'a')) == "state_malformed");
  CHECK(verified(ring, std::string(4'097, 'a')) == "state_too_long");
  CHECK(verified(ring, std::string(10'000'000, '.')) == "state_too_long");

  // A foreign token of exactly 4,096 bytes is read like any other.
  for (std::size_t fill = 2'800; fill < 3'000; ++fill) {
    Members payload = usual_payload();
    payload.emplace_back("x", in_quotes(std::string(fill - object(payload).size(), 'x')));
    const std::string token = foreign(payload);
    const char* want = token.size() > 4'096 ? "state_too_long" : "state_payload_invalid";
    CHECK(verified(ring, token) == want);
  }
}

// ---------------------------------------------------------------------------- header

TEST_CASE("threat T15 the algorithm is the key's: a header that claims another is refused") {
  const auto ring = ring_of({k1});
  const auto keys = public_keys_of(ring);
  for (const char* alg : {"none", "None", "NONE", "nOnE", "HS384", "HS512", "hs256", "HS256 ", "",
                          "RS256", "ES256", "PS256", "Ed25519", "eddsa", "ES256K", "dir"}) {
    CAPTURE(alg);
    for (const char* kid : {"k1", "k1.ed"}) {
      const std::string header = usual_header(alg, kid, typ);
      const std::string payload = object(usual_payload());
      CHECK(verified(ring, hs256_token(k1, header, payload)) == "state_malformed");
      CHECK(verified(ring, eddsa_token(k1, header, payload)) == "state_malformed");
      CHECK(verified(keys, eddsa_token(k1, header, payload)) == "state_malformed");
      CHECK(verified(ring, signing_input(header, payload) + ".") == "state_malformed");
      CHECK(verified(ring, signing_input(header, payload) + ".AA") == "state_malformed");
    }
  }
  const std::string payload = object(usual_payload());
  // Each key id stands for one algorithm alone.
  CHECK(verified(ring, eddsa_token(k1, usual_header("EdDSA", "k1", typ), payload)) ==
        "state_unknown_key");
  CHECK(verified(ring, hs256_token(k1, usual_header("HS256", "k1.ed", typ), payload)) ==
        "state_unknown_key");
  CHECK(verified(keys, hs256_token(k1, usual_header("HS256", "k1", typ), payload)) ==
        "state_unknown_key");

  // The public key, its text and nothing at all, used as the key of a MAC.
  const Pair pair{k1.derived(keys::info_state_eddsa)};
  for (const char* kid : {"k1", "k1.ed"}) {
    const std::string input = signing_input(usual_header("HS256", kid, typ), payload);
    const Octets public_key(pair.public_key.begin(), pair.public_key.end());
    for (const Octets& key : {public_key, octets(base64url(public_key)), Octets{}}) {
      const std::string forged = input + "." + base64url(hmac(key, bytes_of(input)));
      CHECK(verified(ring, forged) ==
            (std::string_view{kid} == "k1" ? "state_bad_signature" : "state_unknown_key"));
      CHECK(verified(keys, forged) == "state_unknown_key");
    }
  }
  // Signatures of zeros, and a small-order point as R.
  for (const std::uint8_t fill : Octets{0, 1, 0xff}) {
    const std::string input = signing_input(usual_header("EdDSA", "k1.ed", typ), payload);
    Octets signature(64, 0);
    signature[0] = fill;
    CHECK(verified(ring, input + "." + base64url(signature)) == "state_bad_signature");
    CHECK(verified(keys, input + "." + base64url(signature)) == "state_bad_signature");
  }
}

TEST_CASE(
    "state: another spelling of the same header from an issuer with the right key is accepted") {
  const auto ring = ring_of({k1});
  Members header = {{"alg", "\"HS256\""}, {"kid", "\"k1\""}, {"typ", "\"oauth-state+jwt\""}};
  std::sort(header.begin(), header.end());
  do {
    CHECK(verified(ring, with_header(object(header))) == "ok");
  } while (std::next_permutation(header.begin(), header.end()));
  for (const char* text : {
           " {\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"oauth-state+jwt\"}",
           "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"oauth-state+jwt\"}\n",
           "{ \"alg\" : \"HS256\" ,\t\"kid\":\r\n\"k1\", \"typ\":\"oauth-state+jwt\" }",
           "{\"alg\":\"HS\\u0032\\u0035\\u0036\",\"kid\":\"k1\",\"typ\":\"oauth-state+jwt\"}",
           "{\"alg\":\"HS256\",\"\\u006bid\":\"\\u006b1\",\"typ\":\"oauth-state\\u002bjwt\"}",
       }) {
    CAPTURE(text);
    CHECK(verified(ring, with_header(text)) == "ok");
  }
}

TEST_CASE(
    "threat T16 a header with anything but alg, kid and typ is refused, however well signed") {
  const auto ring = ring_of({k1});
  const Members usual = {{"alg", "\"HS256\""}, {"kid", "\"k1\""}, {"typ", "\"oauth-state+jwt\""}};
  const std::pair<std::string, std::string> extras[] = {
      {"crit", "[]"},
      {"crit", "[\"b64\"]"},
      {"crit", "[\"exp\"]"},
      {"b64", "false"},
      {"b64", "true"},
      {"jwk", "{\"kty\":\"oct\",\"k\":\"AA\"}"},
      {"jku", "\"https://evil.example/keys\""},
      {"x5c", "[]"},
      {"x5u", "\"https://evil.example/\""},
      {"x5t", "\"AA\""},
      {"cty", "\"JWT\""},
      {"zip", "\"DEF\""},
      {"enc", "\"A256GCM\""},
      {"nonce", "\"x\""},
      {"", "\"\""},
      {"Alg", "\"HS256\""},
      {"alg\\u0000", "\"HS256\""},
  };
  for (const auto& extra : extras) {
    CAPTURE(extra.first, extra.second);
    for (std::size_t place = 0; place <= usual.size(); ++place) {
      Members header = usual;
      header.insert(header.begin() + static_cast<std::ptrdiff_t>(place), extra);
      CHECK(verified(ring, with_header(object(header))) == "state_malformed");
    }
  }
  for (const auto& member : usual) {
    CAPTURE(member.first);
    CHECK(verified(ring, with_header(object(without(usual, member.first)))) == "state_malformed");
    Members twice = usual;
    twice.push_back(member);
    CHECK(verified(ring, with_header(object(twice))) == "state_malformed");
    for (const char* value : {"null", "true", "1", "[]", "{}", "\"\"", "[\"HS256\"]", "\" \""}) {
      CAPTURE(value);
      Members changed = usual;
      at(changed, member.first) = value;
      const std::string why = verified(ring, with_header(object(changed)));
      CHECK(why == (member.first == "kid" && value[0] == '"' && value[1] == ' '
                        ? "state_unknown_key"
                        : "state_malformed"));
    }
  }
  for (const char* other :
       {"JWT", "jwt", "OAUTH-STATE+JWT", "oauth-state", "oauth-state+jwt ",
        "application/oauth-state+jwt", "latchkey-principal+jwt", "latchkey-capability+jwt"}) {
    CAPTURE(other);
    CHECK(verified(ring, with_header(usual_header("HS256", "k1", other))) == "state_malformed");
  }
  const std::string text = object(usual);
  for (const std::string& other :
       {"{}"s, "[]"s, "null"s, "\"HS256\""s, text.substr(0, text.size() - 1), text + "}",
        text.substr(0, text.size() - 1) + ",}", text + "\0"s, "\xEF\xBB\xBF" + text,
        "{'alg':'HS256','kid':'k1','typ':'oauth-state+jwt'}"s, std::string(180, '['),
        std::string(180, ' ')}) {
    CAPTURE(other);
    CHECK(verified(ring, with_header(other)) == "state_malformed");
  }
  // Blanks beyond the header's own limit.
  CHECK(verified(ring, with_header(std::string(500, ' ') + text)) == "state_malformed");
}

// ---------------------------------------------------------------------------- keys

TEST_CASE("state: key ids that name no key, and names of the right key for another's signature") {
  const auto ring = ring_of({k1, k2});
  const std::string payload = object(usual_payload());
  for (const char* kid : {"k3", "K1", "k", "k11", "k1 ", "k1.ED", "k1.ed.ed", ".ed", "ed", "k1.",
                          "*", "../k1", "k1\xC3\xA9"}) {
    CAPTURE(kid);
    CHECK(verified(ring, hs256_token(k1, usual_header("HS256", kid, typ), payload)) ==
          "state_unknown_key");
    CHECK(verified(ring, eddsa_token(k1, usual_header("EdDSA", kid, typ), payload)) ==
          "state_unknown_key");
  }
  CHECK(verified(ring, hs256_token(k1, usual_header("HS256", "k2", typ), payload)) ==
        "state_bad_signature");
  CHECK(verified(ring, eddsa_token(k1, usual_header("EdDSA", "k2.ed", typ), payload)) ==
        "state_bad_signature");
  CHECK(verified(std::vector<keys::Key>{}, issued(ring)) == "state_unknown_key");
  CHECK(verified(std::vector<keys::PublicKey>{}, issued(ring, Alg::eddsa)) == "state_unknown_key");
}

TEST_CASE("state: the first key signs, every key of the ring verifies, a removed one no longer") {
  const auto before = ring_of({k1});
  const auto during = ring_of({k2, k1});
  const auto after = ring_of({k2});
  for (const Alg alg : algs) {
    const std::string old_token = issued(before, alg);
    const std::string new_token = issued(during, alg);
    CHECK(verified(before, old_token) == "ok");
    CHECK(verified(during, old_token) == "ok");
    CHECK(verified(after, old_token) == "state_unknown_key");
    CHECK(verified(before, new_token) == "state_unknown_key");
    CHECK(verified(during, new_token) == "ok");
    CHECK(verified(after, new_token) == "ok");
    // Another secret under a known name is another key.
    CHECK(verified(ring_of({{"k1", 0x77}}), old_token) == "state_bad_signature");
  }
}

TEST_CASE("state: EdDSA verifies by ring and by published keys, HS256 by the ring alone") {
  const auto ring = ring_of({k1, k2});
  const auto keys = public_keys_of(ring);
  CHECK(verified(ring, issued(ring, Alg::eddsa)) == "ok");
  CHECK(verified(keys, issued(ring, Alg::eddsa)) == "ok");
  CHECK(verified(keys, issued(ring, Alg::hs256)) == "state_unknown_key");
  CHECK(verified(public_keys_of(ring_of({k2})), issued(ring, Alg::eddsa)) == "state_unknown_key");
  const Verification read{keys, issued(ring, Alg::eddsa), usual_expected()};
  REQUIRE(read.result);
  CHECK(read.result->kid == "k1.ed");
  CHECK(read.result->alg == Alg::eddsa);
}

TEST_CASE("threat T14 a token of one kind is never accepted as another") {
  const auto ring = ring_of({k1});
  const std::string payload = object(usual_payload());
  const std::string_view infos[] = {keys::info_state_hs256, keys::info_capability,
                                    keys::info_principal,   keys::info_pkce,
                                    keys::info_seal,        keys::info_state_eddsa};
  const char* const types[] = {"oauth-state+jwt", "latchkey-capability+jwt",
                               "latchkey-principal+jwt"};
  for (const auto info : infos) {
    for (const char* type : types) {
      CAPTURE(info, type);
      const std::string token = hs256_token(k1, usual_header("HS256", "k1", type), payload, info);
      const bool right_type = typ == type;
      const bool right_key = info == keys::info_state_hs256;
      CHECK(verified(ring, token) == (!right_type ? "state_malformed"
                                      : right_key ? "ok"
                                                  : "state_bad_signature"));
    }
  }
}

// ---------------------------------------------------------------------------- payload

TEST_CASE("T04 nothing of the payload is touched before the signature is good") {
  const auto ring = ring_of({k1});
  const auto keys = public_keys_of(ring);
  std::string deep = "{\"iss\":";
  deep += std::string(2'000, '[') + std::string(2'000 / 2, ']');
  const std::string payloads[] = {object(usual_payload()), std::string(2'900, '['),
                                  deep.substr(0, 2'900), std::string(2'900, '\xff')};
  for (const std::string& payload : payloads) {
    for (const auto& [alg, kid, size] :
         {std::tuple{"HS256", "k1", 32}, std::tuple{"EdDSA", "k1.ed", 64}}) {
      const std::string token = signing_input(usual_header(alg, kid, typ), payload) + "." +
                                base64url(Octets(static_cast<std::size_t>(size), 1));
      Octets scratch(3'072, 0xa5);
      CHECK(name(state::verify(keys::Ring{ring}, token, usual_expected(), scratch)) ==
            "state_bad_signature");
      CHECK(scratch == Octets(3'072, 0xa5));
      const auto by_public =
          state::verify(keys::PublicKeys{keys}, token, usual_expected(), scratch);
      CHECK(name(by_public) == (size == 32 ? "state_unknown_key" : "state_bad_signature"));
      CHECK(scratch == Octets(3'072, 0xa5));
    }
  }
  // The canary does change once the signature is good.
  Octets scratch(3'072, 0xa5);
  CHECK(state::verify(keys::Ring{ring}, issued(ring), usual_expected(), scratch));
  CHECK(scratch != Octets(3'072, 0xa5));
}

TEST_CASE("state: a signed payload that is not exactly ours is refused") {
  const auto ring = ring_of({k1});
  const auto why = [&](const Members& payload) { return verified(ring, foreign(payload)); };
  REQUIRE(why(usual_payload()) == "ok");
  for (const char* claim : required_claims) {
    CAPTURE(claim);
    CHECK(why(without(usual_payload(), claim)) == "state_payload_invalid");
  }
  // A second copy never makes up for a missing claim, nor stands beside the first.
  for (const auto& member : usual_payload()) {
    CAPTURE(member.first);
    Members twice = usual_payload();
    twice.push_back(member);
    CHECK(why(twice) == "state_payload_invalid");
    for (const char* claim : required_claims) {
      CHECK(why(without(twice, claim)) == "state_payload_invalid");
    }
    Members escaped = usual_payload();
    escaped.emplace_back("\\u00" + hex(octets(member.first.substr(0, 1))) + member.first.substr(1),
                         member.second);
    CHECK(why(escaped) == "state_payload_invalid");
  }
  for (const char* claim :
       {"nbf", "azp", "scope", "nonce", "", "ISS", "iss ", "V", "__proto__", "own\\u0000", "x"}) {
    CAPTURE(claim);
    for (const char* value : {"1", "\"x\"", "null", "{}"}) {
      Members payload = usual_payload();
      payload.emplace_back(claim, value);
      CHECK(why(payload) == "state_payload_invalid");
      CHECK(why(without(payload, "app")) == "state_payload_invalid");
      // Nor does it stand in for one that is missing.
      for (const char* missing : required_claims) {
        CHECK(why(without(payload, missing)) == "state_payload_invalid");
      }
    }
  }
  for (const char* claim : text_claims) {
    for (const std::string& value :
         {"null"s, "true"s, "1"s, "[]"s, "{}"s, "\"\""s, in_quotes(std::string(256, 'a')),
          "\"a\\u0000\""s, "\"a\\n\""s, "\"\\u007f\""s, "\"\\u0085\""s, "\"\\ud800\""s,
          "\"\\udc00\""s, "\"\xff\""s, "[\"alice\"]"s, "{\"a\":\"b\"}"s}) {
      CAPTURE(claim, value);
      CHECK(verified(ring, foreign(claim, value)) == "state_payload_invalid");
    }
  }
  CHECK(verified(ring, foreign("aud", "[\"https://app.example/callback/github\"]")) ==
        "state_payload_invalid");
}

TEST_CASE(
    "state: another spelling of the same payload from an issuer with the right key is accepted") {
  const auto ring = ring_of({k1});
  const auto accepted = [&](const std::string& payload) {
    const std::string token = hs256_token(k1, usual_header("HS256", "k1", typ), payload);
    const Verification read{ring, token, usual_expected()};
    return read.result && read.result->owner_id == "alice" && read.result->app == "web" &&
           read.result->nonce == base64url(entropy) &&
           read.result->expires_at == now.plus(seconds(600));
  };
  const std::string usual = object(usual_payload());
  REQUIRE(accepted(usual));
  CHECK(accepted(" " + usual + "\n"));
  CHECK(accepted("{ " + usual.substr(1)));
  CHECK(accepted(usual.substr(0, usual.size() - 1) + "\t}"));
  Members payload = usual_payload();
  for (std::size_t i = 0; i < payload.size(); ++i) {
    std::rotate(payload.begin(), payload.begin() + 1, payload.end());
    CHECK(accepted(object(payload)));
  }
  at(payload, "sub") = "\"\\u0061lice\"";
  at(payload, "target_link_uri") = "\"\\/connections?tab=1#x\"";
  CHECK(accepted(object(payload)));
  Members escaped = without(usual_payload(), "app");
  escaped.emplace_back("\\u0061pp", in_quotes("web"));
  CHECK(accepted(object(escaped)));
}

TEST_CASE("state: the forms of owner, version, nonce, binding proof and return path") {
  const auto ring = ring_of({k1});
  const std::string longest(255, 'o');
  const struct {
    const char* claim;
    std::string value;
    bool good;
  } rows[] = {
      {"own", in_quotes("user:a"), true},
      {"own", in_quotes("org:a"), true},
      {"own", in_quotes("org:user:a"), true},
      {"own", in_quotes("user:" + longest), true},
      {"own", in_quotes("user:" + longest + "o"), false},
      {"own", in_quotes("user:"), false},
      {"own", in_quotes("org:"), false},
      {"own", in_quotes("user"), false},
      {"own", in_quotes("team:a"), false},
      {"own", in_quotes("User:a"), false},
      {"own", in_quotes(":a"), false},
      {"own", in_quotes("a"), false},
      {"v", "1", true},
      {"v", "0", false},
      {"v", "2", false},
      {"v", "-1", false},
      {"v", "1.0", false},
      {"v", "1e0", false},
      {"v", "\"1\"", false},
      {"v", "true", false},
      {"v", "9223372036854775807", false},
      {"v", "18446744073709551617", false},
      {"jti", in_quotes(""), false},
      {"jti", in_quotes(base64url(Octets(15, 1))), false},
      {"jti", in_quotes(base64url(Octets(17, 1))), false},
      {"jti", in_quotes("AAECAwQFBgcICQoLDA0ODx"), false},
      {"jti", in_quotes("AAECAwQFBgcICQoLDA0ODw=="), false},
      {"jti", in_quotes("AAECAwQFBgcICQoLDA0OD+"), false},
      {"jti", "22", false},
      {"jti", "null", false},
      {"rfp", in_quotes(""), false},
      {"rfp", in_quotes(base64url(Octets(15, 1))), false},
      {"rfp", in_quotes(base64url(Octets(17, 1))), false},
      {"rfp", in_quotes(base64url(Octets(32, 1))), false},
      {"rfp", in_quotes(rfp_of(cookie, entropy) + "="), false},
      {"rfp", "null", false},
      {"rfp", "false", false},
      {"target_link_uri", in_quotes("/"), true},
      {"target_link_uri", in_quotes("/" + std::string(511, 'a')), true},
      {"target_link_uri", in_quotes("/" + std::string(512, 'a')), false},
      {"target_link_uri", in_quotes(""), false},
      {"target_link_uri", in_quotes("x"), false},
      {"target_link_uri", in_quotes("//evil.example"), false},
      {"target_link_uri", in_quotes("/\\\\evil.example"), false},
      {"target_link_uri", in_quotes("/a/../b"), false},
      {"target_link_uri", in_quotes("https://evil.example/"), false},
      {"target_link_uri", "null", false},
      {"target_link_uri", "[]", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.claim, row.value);
    CHECK(verified(ring, foreign(row.claim, row.value)) ==
          (row.good ? "ok" : "state_payload_invalid"));
  }
}

TEST_CASE("threat T39 a signed payload that is no JSON object of ours is refused at once") {
  const auto ring = ring_of({k1});
  const std::string header = usual_header("HS256", "k1", typ);
  const std::string usual = object(usual_payload());
  for (const std::string& payload :
       {"{}"s, "[]"s, "null"s, "1"s, "\"\""s, "[" + usual + "]", usual + usual, usual + "\0"s,
        "\xEF\xBB\xBF" + usual, usual.substr(1), usual.substr(0, usual.size() - 1),
        std::string(2'900, '['), std::string(2'900, ' '), std::string(2'900, '{'),
        "{\"iss\":" + std::string(1'400, '[') + std::string(1'400, ']') + "}",
        std::string(2'900, '\xff'), std::string(2'900, '\0')}) {
    CHECK(verified(ring, hs256_token(k1, header, payload)) == "state_payload_invalid");
  }
  // Signed, but not base64url: the form is wrong, whoever signed it.
  for (const char* encoded : {"A", "e30=", "e3", "e30 ", "e*0", "e30\xC3\xA9"}) {
    const std::string input = base64url(header) + "." + encoded;
    const Octets tag = hmac(k1.derived(keys::info_state_hs256), bytes_of(input));
    CHECK(verified(ring, input + "." + base64url(tag)) == "state_malformed");
  }
}

TEST_CASE("state: too little scratch space is an error, never a step outside") {
  const auto ring = ring_of({k1});
  const std::string token = issued(ring);
  const std::size_t payload = object(usual_payload()).size();
  for (std::size_t room = 0; room <= payload + 4; ++room) {
    const Verification read{ring, token, usual_expected(), room};
    CHECK(name(read.result) == (room < payload + 2 ? "state_malformed" : "ok"));
  }
}

// ---------------------------------------------------------------------------- time

TEST_CASE("T05 age 600 s is valid and 601 s expired, in every millisecond of the second") {
  const auto ring = ring_of({k1});
  for (std::int64_t phase = 0; phase < 1'000; ++phase) {
    const UnixMillis begin = now.plus({phase});
    const std::string token = issued(ring, usual_claims(), begin);
    Expected expected = usual_expected();
    const auto at_age = [&](std::int64_t ms) {
      expected.now = begin.plus({ms});
      return verified(ring, token, expected);
    };
    REQUIRE(at_age(0) == "ok");
    REQUIRE(at_age(600'000) == "ok");
    REQUIRE(at_age(601'000) == "state_expired");
    // Whole seconds count: the last valid millisecond is the end of second 600.
    REQUIRE(at_age(600'999 - phase) == "ok");
    REQUIRE(at_age(601'000 - phase) == "state_expired");
  }
}

TEST_CASE("T05 each life ends at its own second") {
  const auto ring = ring_of({k1});
  for (const std::int64_t life : {1, 2, 59, 600, 3'599, 3'600}) {
    Claims claims = usual_claims();
    claims.ttl = seconds(life);
    const std::string token = issued(ring, claims);
    Expected expected = usual_expected();
    expected.now = now.plus(seconds(life));
    CHECK(verified(ring, token, expected) == "ok");
    expected.now = now.plus(seconds(life + 1));
    CHECK(verified(ring, token, expected) == "state_expired");
    expected.now = {UnixMillis::max};
    CHECK(verified(ring, token, expected) == "state_expired");
  }
}

TEST_CASE("T05 issued up to the skew in the future is valid, a second more is not") {
  const auto ring = ring_of({k1});
  const std::string token = issued(ring);
  for (const std::int64_t skew : {0, 1, 60, 300}) {
    for (std::int64_t phase = 0; phase < 1'000; phase += 37) {
      Expected expected = usual_expected();
      expected.skew = seconds(skew);
      expected.now = now.plus({phase - skew * 1'000});
      CHECK(verified(ring, token, expected) == "ok");
      expected.now = now.plus({phase - (skew + 1) * 1'000});
      CHECK(verified(ring, token, expected) == "state_from_future");
    }
  }
  CHECK(Expected{}.skew == seconds(60));
  Expected expected = usual_expected();
  expected.now = {0};
  CHECK(verified(ring, token, expected) == "state_from_future");
}

TEST_CASE("T05 iat and exp are whole seconds in range, and life is 1..3,600 s") {
  const auto ring = ring_of({k1});
  for (const char* claim : {"iat", "exp"}) {
    for (const char* value : {"\"1700000000\"",
                              "1700000000.0",
                              "1700000000.5",
                              "1.7e9",
                              "17E8",
                              "-1",
                              "-1700000000",
                              "null",
                              "true",
                              "[]",
                              "{}",
                              "[1700000000]",
                              "\"NaN\"",
                              "\"Infinity\"",
                              "1e999",
                              "-1e999",
                              "1e-999",
                              "9223372036854775807",
                              "9223372036854775808",
                              "18446744073709551616",
                              "-9223372036854775808",
                              "-9223372036854775809",
                              "8640000000001",
                              "1700000000000",
                              "0"}) {
      CAPTURE(claim, value);
      CHECK(verified(ring, foreign(claim, value)) == "state_payload_invalid");
    }
  }
  for (const char* spelling : {"NaN", "Infinity", "-Infinity", "01700000000", "+1700000000",
                               "0x6553f100", "1700000000.", ".5", "1_700_000_000"}) {
    CAPTURE(spelling);
    CHECK(verified(ring, foreign("iat", spelling)) == "state_payload_invalid");
  }
  for (const std::int64_t life : {-600, -1, 0, 1, 600, 3'600, 3'601, 86'400}) {
    CAPTURE(life);
    CHECK(verified(ring, foreign("exp", std::to_string(now_s + life))) ==
          (life >= 1 && life <= 3'600 ? "ok" : "state_payload_invalid"));
  }
  // The first and the last moment there is, and what is beyond or no moment at all.
  Members payload = usual_payload();
  Expected expected = usual_expected();
  expected.now = {0};
  at(payload, "exp") = "600";
  for (const char* value :
       {"0.0", "0e0", "-0.0", "null", "true", "false", "[]", "{}", "\"0\"", "-1", "-60"}) {
    CAPTURE(value);
    at(payload, "iat") = value;
    CHECK(verified(ring, foreign(payload), expected) == "state_payload_invalid");
  }
  at(payload, "iat") = "0";
  CHECK(verified(ring, foreign(payload), expected) == "ok");
  at(payload, "iat") = "8639999999400";
  at(payload, "exp") = "8640000000000";
  expected.now = {UnixMillis::max};
  CHECK(verified(ring, foreign(payload), expected) == "ok");
  at(payload, "exp") = "8640000000001";
  CHECK(verified(ring, foreign(payload), expected) == "state_payload_invalid");
  at(payload, "iat") = "8640000000001";
  at(payload, "exp") = "8640000000601";
  CHECK(verified(ring, foreign(payload), expected) == "state_payload_invalid");
}

// ---------------------------------------------------------------------------- what must agree

TEST_CASE("T10 a state of another issuer, audience, flow, provider or subject is refused by name") {
  const auto ring = ring_of({k1});
  const std::string token = issued(ring);
  using Field = std::string_view Expected::*;
  const struct {
    Field field;
    const char* want;
    bool optional;
  } rows[] = {
      {&Expected::issuer, "issuer_mismatch", false},
      {&Expected::audience, "audience_mismatch", false},
      {&Expected::flow, "flow_mismatch", true},
      {&Expected::provider, "provider_mismatch", true},
      {&Expected::subject, "subject_mismatch", true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.want);
    Expected expected = usual_expected();
    const std::string right{expected.*row.field};
    for (const std::string& other : {right + "x", right + "/", right.substr(0, right.size() - 1),
                                     "X" + right.substr(1), right + '\0', "bob"s}) {
      expected.*row.field = other;
      CHECK(verified(ring, token, expected) == row.want);
    }
    expected.*row.field = {};
    CHECK(verified(ring, token, expected) == (row.optional ? "ok" : row.want));
  }
}

TEST_CASE("T10 threat T12 a bound state needs its own browser, an unbound one none") {
  const auto ring = ring_of({k1});
  Claims unbound = usual_claims();
  unbound.binding = {};
  const std::string tokens[] = {issued(ring, unbound), issued(ring)};
  const Octets shorter(31, 0xc0);
  const Octets longer(33, 0xc0);
  const Octets zeros(32, 0);
  const struct {
    const char* what;
    Bytes cookie;
    bool unbound_good;
    bool bound_good;
  } rows[] = {
      {"none", {}, true, false},
      {"right", cookie, false, true},
      {"other", other_cookie, false, false},
      {"shorter", shorter, false, false},
      {"longer", longer, false, false},
      {"zeros", zeros, false, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    Expected expected = usual_expected();
    expected.binding = row.cookie;
    CHECK(verified(ring, tokens[0], expected) == (row.unbound_good ? "ok" : "binding_mismatch"));
    CHECK(verified(ring, tokens[1], expected) == (row.bound_good ? "ok" : "binding_mismatch"));
    expected.binding_mode = Binding::unchecked;
    CHECK(verified(ring, tokens[0], expected) == "ok");
    CHECK(verified(ring, tokens[1], expected) == "ok");
  }
  for (std::size_t i = 0; i < 32 * 8; ++i) {
    Octets changed = cookie;
    changed[i / 8] = static_cast<std::uint8_t>(changed[i / 8] ^ (1U << (i % 8)));
    Expected expected = usual_expected();
    expected.binding = changed;
    CHECK(verified(ring, tokens[1], expected) == "binding_mismatch");
  }
  CHECK(Expected{}.binding_mode == Binding::required);
}

TEST_CASE("threat T12 one cookie binds any number of states, and a proof fits one nonce alone") {
  const auto ring = ring_of({k1});
  std::set<std::string> proofs;
  for (std::uint8_t i = 0; i < 10; ++i) {
    const std::string token = issued(ring, usual_claims(), now, Octets(16, i));
    const Verification read{ring, token, usual_expected()};
    REQUIRE(read.result);
    proofs.insert(std::string{read.result->rfp});
  }
  CHECK(proofs.size() == 10);
  // The proof of one state inside another, by an issuer with the right key.
  CHECK(verified(ring, foreign("rfp", in_quotes(rfp_of(cookie, Octets(16, 3))))) ==
        "binding_mismatch");
}

TEST_CASE("threat T12 every bit of a proof counts") {
  const auto ring = ring_of({k1});
  Octets input = octets("lk.rfp1");
  input.insert(input.end(), cookie.begin(), cookie.end());
  input.insert(input.end(), entropy.begin(), entropy.end());
  Octets proof = sha256(input);
  proof.resize(16);
  CHECK(verified(ring, foreign("rfp", in_quotes(base64url(proof)))) == "ok");
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Octets other = proof;
    other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ (1U << (bit % 8)));
    CAPTURE(bit);
    CHECK(verified(ring, foreign("rfp", in_quotes(base64url(other)))) == "binding_mismatch");
  }
}

// ---------------------------------------------------------------------------- order of the checks

namespace {

// A token in the making, and what its verifier knows.
struct Recipe {
  std::string kid_prefix;
  std::string type = typ;
  Members payload = usual_payload();
  Expected expected = usual_expected();
  bool missing = false;
  bool too_long = false;
  bool bad_signature = false;

  [[nodiscard]] std::string token(Alg alg) const {
    const std::string json = object(payload);
    std::string out =
        alg == Alg::hs256
            ? hs256_token(k1, usual_header("HS256", kid_prefix + "k1", type), json)
            : eddsa_token(k1, usual_header("EdDSA", kid_prefix + "k1.ed", type), json);
    if (bad_signature) out[last_dot(out) + 1] = out[last_dot(out) + 1] == 'A' ? 'B' : 'A';
    if (too_long) out += std::string(5'000, 'A');
    if (missing) out.clear();
    return out;
  }
};

// One fault for each error of `verify`, in the order of the checks. `from_future` keeps the life.
const struct Fault {
  const char* want;
  void (*commit)(Recipe&);
} faults[] = {
    {"state_missing", [](Recipe& r) { r.missing = true; }},
    {"state_too_long", [](Recipe& r) { r.too_long = true; }},
    {"state_malformed", [](Recipe& r) { r.type = "JWT"; }},
    {"state_unknown_key", [](Recipe& r) { r.kid_prefix = "x"; }},
    {"state_bad_signature", [](Recipe& r) { r.bad_signature = true; }},
    {"state_payload_invalid", [](Recipe& r) { r.payload.emplace_back("nbf", "0"); }},
    {"state_from_future", [](Recipe& r) { r.expected.now = now.plus(seconds(-61)); }},
    {"state_expired", [](Recipe& r) { r.expected.now = now.plus(seconds(601)); }},
    {"issuer_mismatch", [](Recipe& r) { r.expected.issuer = "https://other.example"; }},
    {"audience_mismatch", [](Recipe& r) { r.expected.audience = "https://other.example"; }},
    {"flow_mismatch", [](Recipe& r) { r.expected.flow = "other"; }},
    {"provider_mismatch", [](Recipe& r) { r.expected.provider = "other"; }},
    {"subject_mismatch", [](Recipe& r) { r.expected.subject = "bob"; }},
    {"binding_mismatch", [](Recipe& r) { r.expected.binding = other_cookie; }},
};

}  // namespace

TEST_CASE("state: a token that is wrong in two ways reports the earlier check") {
  const auto ring = ring_of({k1});
  const auto keys = public_keys_of(ring);
  std::size_t pairs = 0;
  for (std::size_t a = 0; a < std::size(faults); ++a) {
    for (std::size_t b = a; b < std::size(faults); ++b) {
      // One moment cannot be before the issue and after the end.
      if (std::string_view{faults[a].want} == "state_from_future" &&
          std::string_view{faults[b].want} == "state_expired") {
        continue;
      }
      CAPTURE(faults[a].want, faults[b].want);
      Recipe recipe;
      faults[b].commit(recipe);
      faults[a].commit(recipe);
      for (const Alg alg : algs) {
        CHECK(verified(ring, recipe.token(alg), recipe.expected) == faults[a].want);
      }
      CHECK(verified(keys, recipe.token(Alg::eddsa), recipe.expected) == faults[a].want);
      ++pairs;
    }
  }
  CHECK(pairs == 14 * 15 / 2 - 1);
  const Recipe good;
  CHECK(verified(ring, good.token(Alg::hs256), good.expected) == "ok");
  CHECK(verified(keys, good.token(Alg::eddsa), good.expected) == "ok");
}

TEST_CASE("T06 what a person is told of a refused state: expired, other browser, other account, "
          "else invalid") {
  const auto ring = ring_of({k1});
  std::set<std::string> told;
  for (const Fault& fault : faults) {
    CAPTURE(fault.want);
    Recipe recipe;
    fault.commit(recipe);
    const Verification read{ring, recipe.token(Alg::hs256), recipe.expected};
    REQUIRE_FALSE(read.result);
    const std::string_view why = fault.want;
    const std::string outside{to_string(public_code(read.result.error()))};
    CHECK(outside == (why == "state_expired"      ? "expired_state"
                      : why == "binding_mismatch" ? "other_browser"
                      : why == "subject_mismatch" ? "other_account"
                                                  : "invalid_state"));
    told.insert(outside);
  }
  CHECK(told.size() == 4);
}

// ---------------------------------------------------------------------------- peek

TEST_CASE("state: peek reads what a token says and checks nothing") {
  const auto ring = ring_of({k1});
  for (const Alg alg : algs) {
    std::string token = issued(ring, alg);
    token.back() = token.back() == 'A' ? 'E' : 'A';
    Octets scratch(3'072);
    const auto read = state::peek(token, scratch);
    REQUIRE(read);
    CHECK(read->issuer == "https://app.example");
    CHECK(read->provider == "github");
    CHECK(read->flow == "connect");
    CHECK(read->subject == "alice");
    CHECK(read->owner_id == "alice");
    CHECK(read->return_to == "/connections?tab=1#x");
    CHECK(read->issued_at == now);
  }
  Octets scratch(3'072);
  const auto part = state::peek(signing_input("{}", "{\"as\":\"github\"}") + ".AA", scratch);
  REQUIRE(part);
  CHECK(part->provider == "github");
  CHECK(part->issuer.empty());

  const std::string token = issued(ring);
  for (const std::string& bad :
       {std::string{}, "a"s, "a.b"s, "a.b.c.d"s, token + ".x", signing_input("{}", "[]") + ".AA",
        signing_input("{}", "{\"as\":1}") + ".AA", signing_input("{}", "{\"x\":1}") + ".AA",
        signing_input("{}", "") + ".AA", "e30.e30=.AA"s, token + std::string(4'096, 'A')}) {
    CAPTURE(bad);
    CHECK(name(state::peek(bad, scratch)) == "state_malformed");
  }
  for (std::size_t room = 0; room < object(usual_payload()).size(); ++room) {
    Octets small(room);
    CHECK(name(state::peek(token, small)) == "state_malformed");
  }
}

// ---------------------------------------------------------------------------- PKCE

TEST_CASE("threat T20 the challenge is the S256 of a verifier that ring and nonce alone give") {
  const auto ring = ring_of({k1, k2});
  Random random{2};
  std::set<std::string> verifiers;
  for (int i = 0; i < 100; ++i) {
    const Octets nonce = random.bytes(16);
    Claims claims = usual_claims();
    claims.alg = i % 2 == 0 ? Alg::hs256 : Alg::eddsa;
    Octets space(state::max_token);
    const auto made = state::issue(ring, claims, now, nonce, space);
    REQUIRE(made);
    const Verification read{ring, made->token, usual_expected()};
    REQUIRE(read.result);
    const auto verifier = state::code_verifier(ring, read.result->kid, read.result->nonce);
    REQUIRE(verifier);

    const std::string text{verifier->view()};
    CHECK(text.size() == 43);
    CHECK(text.find_first_not_of(base64url_digits) == std::string::npos);
    CHECK(made->challenge.view() == base64url(sha256(bytes_of(text))));
    Octets input = octets("pkce S256");
    input.insert(input.end(), nonce.begin(), nonce.end());
    CHECK(text == base64url(hmac(k1.derived(keys::info_pkce), input)));
    verifiers.insert(text);

    // Whatever the order of the keys, and by its key alone.
    CHECK(state::code_verifier(ring_of({k2, k1}), read.result->kid, made->nonce.view())->view() ==
          text);
    CHECK(state::code_verifier(ring_of({{"k1", 0x99}}), read.result->kid, made->nonce.view())
              ->view() != text);
    CHECK(made->token.find(text) == std::string_view::npos);
  }
  CHECK(verifiers.size() == 100);
}

TEST_CASE("threat T20 no verifier for an unknown key or a nonce that is none") {
  const auto ring = ring_of({k1});
  const std::string nonce = base64url(entropy);
  for (const char* kid : {"", "k2", "K1", "k1.ed.ed", ".ed", "k1 ", "k1.eD"}) {
    CAPTURE(kid);
    CHECK(name(state::code_verifier(ring, kid, nonce)) == "state_unknown_key");
  }
  CHECK(name(state::code_verifier({}, "k1", nonce)) == "state_unknown_key");
  for (const std::string& bad :
       {std::string{}, nonce.substr(0, 21), nonce + "A", nonce + "==", base64url(Octets(15, 1)),
        base64url(Octets(17, 1)), "AAECAwQFBgcICQoLDA0ODx"s, std::string(22, '*'),
        std::string(4'096, 'A')}) {
    CAPTURE(bad);
    CHECK(name(state::code_verifier(ring, "k1", bad)) == "state_payload_invalid");
  }
}
