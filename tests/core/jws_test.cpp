#include "latchkey/jws.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace latchkey;
using namespace latchkey::test;
using jws::Alg;
using jws::Use;

namespace {

const Use uses[] = {Use::state, Use::capability, Use::principal};

std::string_view info_of(Use use) {
  switch (use) {
  case Use::state: return keys::info_state_hs256;
  case Use::capability: return keys::info_capability;
  case Use::principal: return keys::info_principal;
  }
  return {};
}

std::string signed_token(keys::Ring ring, Use use, Alg alg, std::string_view payload) {
  Octets space(jws::max_token);
  Writer out{space};
  REQUIRE(jws::sign(ring, use, alg, payload, out));
  return string_of(out.written());
}

std::string outcome(const jws::Verdict& verdict) {
  if (verdict.good) return "good";
  switch (verdict.refusal) {
  case jws::Refusal::malformed: return "malformed";
  case jws::Refusal::unknown_key: return "unknown_key";
  case jws::Refusal::bad_signature: return "bad_signature";
  }
  return "none";
}

template <class Keys> std::string opened(Keys keys, Use use, std::string_view token) {
  const Octets exact = octets(token);
  return outcome(jws::open(keys, use, text_of(exact)));
}

}  // namespace

TEST_CASE("T03 jws: split takes exactly three parts, none of them empty") {
  const struct {
    const char* token;
    bool good;
  } rows[] = {
      {"a.b.c", true},   {"aa.bb.cc", true}, {"", false},       {".", false},
      {"..", false},     {"...", false},     {"a", false},      {"a.b", false},
      {"a..c", false},   {".b.c", false},    {"a.b.", false},   {"a.b.c.", false},
      {".a.b.c", false}, {"a.b.c.d", false}, {"a.b..c", false}, {"a.b.c.d.e", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.token);
    jws::Parts parts;
    const Octets exact = octets(row.token);
    const bool good = jws::split(text_of(exact), parts);
    CHECK(good == row.good);
    if (good) {
      CHECK(std::string{parts.header} + "." + std::string{parts.payload} + "." +
                std::string{parts.signature} ==
            row.token);
    }
  }
}

TEST_CASE("jws: what is signed is the header, the payload and the key's signature") {
  const auto ring = ring_of({k1, k2});
  for (const Use use : uses) {
    const std::string header = usual_header("HS256", "k1", jws::typ_of(use));
    for (const char* payload : {"{}", "{\"a\":1}", "{\"a\":12}", "{\"a\":123}"}) {
      const std::string token = signed_token(ring, use, Alg::hs256, payload);
      CHECK(token == hs256_token(k1, header, payload, info_of(use)));
      const auto verdict = jws::open(keys::Ring{ring}, use, token);
      REQUIRE(verdict.good);
      CHECK(verdict.opened.payload == base64url(std::string_view{payload}));
      CHECK(verdict.opened.kid.view() == "k1");
      CHECK(verdict.opened.alg == Alg::hs256);
    }
  }
  const std::string token = signed_token(ring, Use::state, Alg::eddsa, "{}");
  CHECK(token == eddsa_token(k1, usual_header("EdDSA", "k1.ed", "oauth-state+jwt"), "{}"));
  const auto keys = public_keys_of(ring);
  for (const auto& verdict : {jws::open(keys::Ring{ring}, Use::state, token),
                              jws::open(keys::PublicKeys{keys}, Use::state, token)}) {
    REQUIRE(verdict.good);
    CHECK(verdict.opened.payload == "e30");
    CHECK(verdict.opened.kid.view() == "k1.ed");
    CHECK(verdict.opened.alg == Alg::eddsa);
  }
}

TEST_CASE("jws: ids of every length, and the usual spelling of the header beside another") {
  for (std::size_t size = 1; size <= keys::max_kid; ++size) {
    const RawKey raw{std::string(size, 'k'), 9};
    const auto ring = ring_of({k1, raw, {std::string(size, 'K'), 10}});
    const std::string usual = usual_header("HS256", raw.kid, "oauth-state+jwt");
    for (const std::string& header : {usual, " " + usual}) {
      const std::string token = hs256_token(raw, header, "{}");
      const auto verdict = jws::open(keys::Ring{ring}, Use::state, token);
      REQUIRE(verdict.good);
      CHECK(verdict.opened.kid.view() == raw.kid);
      CHECK(verdict.opened.payload == "e30");
      CHECK(opened(keys::Ring{ring}, Use::state, hs256_token(k2, header, "{}")) == "bad_signature");
      const std::string input = token.substr(0, token.rfind('.') + 1);
      for (const char* signature : {"A", "AA", "AA=", "*"}) {
        CHECK(opened(keys::Ring{ring}, Use::state, input + signature) == "malformed");
      }
    }
    CHECK(signed_token(ring_of({raw}), Use::state, Alg::hs256, "{}") ==
          hs256_token(raw, usual, "{}"));
    CHECK(signed_token(ring_of({raw}), Use::state, Alg::eddsa, "{}") ==
          eddsa_token(raw, usual_header("EdDSA", raw.kid + ".ed", "oauth-state+jwt"), "{}"));
  }
}

TEST_CASE("threat T14 jws: every kind of token offered to every verifier, only its own accepts") {
  const auto ring = ring_of({k1});
  const auto keys = public_keys_of(ring);
  for (const Use made : uses) {
    for (const Use read : uses) {
      const std::string token = signed_token(ring, made, Alg::hs256, "{}");
      CHECK(opened(keys::Ring{ring}, read, token) == (made == read ? "good" : "malformed"));
      CHECK(opened(keys::PublicKeys{keys}, read, token) ==
            (made == read ? "unknown_key" : "malformed"));
      // The header of one kind, signed with the key of another.
      const std::string forged =
          hs256_token(k1, usual_header("HS256", "k1", jws::typ_of(read)), "{}", info_of(made));
      CHECK(opened(keys::Ring{ring}, read, forged) == (made == read ? "good" : "bad_signature"));
    }
    // EdDSA is for states alone.
    const std::string eddsa =
        eddsa_token(k1, usual_header("EdDSA", "k1.ed", jws::typ_of(made)), "{}");
    const char* want = made == Use::state ? "good" : "malformed";
    CHECK(opened(keys::Ring{ring}, made, eddsa) == want);
    CHECK(opened(keys::PublicKeys{keys}, made, eddsa) == want);
  }
}

TEST_CASE("jws: a token is written behind what is there, and only whole") {
  const auto ring = ring_of({k1});
  for (const Alg alg : {Alg::hs256, Alg::eddsa}) {
    const std::string token = signed_token(ring, Use::state, alg, "{\"a\":1}");
    for (std::size_t room = 0; room <= token.size(); ++room) {
      Octets space(3 + room);
      Writer out{space};
      out.put("xyz");
      const auto done = jws::sign(ring, Use::state, alg, "{\"a\":1}", out);
      REQUIRE(name(done) == (room == token.size() ? "ok" : "output_too_small"));
      if (done) CHECK(string_of(out.written()) == "xyz" + token);
    }
  }
}

TEST_CASE("T01 jws: no changed bit, no other length") {
  const auto ring = ring_of({k1});
  for (const Use use : uses) {
    const std::string token = signed_token(ring, use, Alg::hs256, "{\"sub\":\"alice\"}");
    std::size_t good = 0;
    for (std::size_t i = 0; i < token.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = token;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        if (opened(keys::Ring{ring}, use, changed) == "good") ++good;
      }
      if (opened(keys::Ring{ring}, use, token.substr(0, i)) == "good") ++good;
      if (opened(keys::Ring{ring}, use, token.substr(0, i) + token.substr(i + 1)) == "good") ++good;
    }
    CHECK(good == 0);
  }
}

TEST_CASE("threat T39 jws: the longest token and the longest header") {
  const auto ring = ring_of({k1});
  const std::string header = usual_header("HS256", "k1", "oauth-state+jwt");
  for (std::size_t payload = 2'850; payload < 3'000; ++payload) {
    const std::string token = hs256_token(k1, header, std::string(payload, 'x'));
    CHECK(opened(keys::Ring{ring}, Use::state, token) ==
          (token.size() <= 4'096 ? "good" : "malformed"));
  }
  for (std::size_t blanks = 0; blanks < 200; ++blanks) {
    const std::string padded = std::string(blanks, ' ') + header;
    CHECK(opened(keys::Ring{ring}, Use::state, hs256_token(k1, padded, "{}")) ==
          (padded.size() <= 192 ? "good" : "malformed"));
  }
}

TEST_CASE("jws: a published key may have any plain id of up to 64 bytes") {
  const Pair pair{k1.derived(keys::info_state_eddsa)};
  const Octets x(pair.public_key.begin(), pair.public_key.end());
  for (const std::string& kid : {std::string{"a"}, std::string{"2026-11"}, std::string{"k1.ed"},
                                 std::string{"\xC3\xA9"}, std::string(64, 'k')}) {
    CAPTURE(kid);
    Octets json = octets("{\"keys\":[" +
                         object({{"kty", "\"OKP\""},
                                 {"crv", "\"Ed25519\""},
                                 {"kid", in_quotes(kid)},
                                 {"x", in_quotes(base64url(x))}}) +
                         "]}");
    keys::PublicKey found[1];
    REQUIRE(keys::parse_jwks(json, found));
    const std::string token = eddsa_token(k1, usual_header("EdDSA", kid, "oauth-state+jwt"), "{}");
    CHECK(opened(keys::PublicKeys{found}, Use::state, token) == "good");
    CHECK(opened(keys::PublicKeys{found}, Use::state,
                 eddsa_token(k2, usual_header("EdDSA", kid, "oauth-state+jwt"), "{}")) ==
          "bad_signature");
    CHECK(opened(keys::PublicKeys{found}, Use::state,
                 eddsa_token(k1, usual_header("EdDSA", kid + "x", "oauth-state+jwt"), "{}")) ==
          "unknown_key");
  }
}
