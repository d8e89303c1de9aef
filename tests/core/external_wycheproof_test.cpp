// Project Wycheproof: every `valid` vector passes, every `invalid` one fails.
#include "external.hpp"

using namespace latchkey;
using namespace latchkey::test;

namespace {

template <class Visit> void each(const Json& file, Visit visit) {
  for (const Json& group : file.at("testGroups")) {
    for (const Json& test : group.at("tests")) {
      CAPTURE(test.at("tcId").get<int>(), test.at("comment").get<std::string>());
      visit(group, test, test.at("result") == "valid");
    }
  }
}

Octets hex_of(const Json& test, const char* name) {
  return from_hex(test.at(name).get<std::string>());
}

crypto::Secret32 secret_of(const Octets& bytes) {
  crypto::Secret32 out{};
  REQUIRE(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace

TEST_CASE("external: Wycheproof HMAC-SHA-256") {
  Count count;
  each(read_json(external("wycheproof") / "hmac_sha256_test.json"),
       [&](const Json& group, const Json& test, bool valid) {
         const auto tag = crypto::mac(crypto::mac_key(hex_of(test, "key")), hex_of(test, "msg"));
         const Octets given = hex_of(test, "tag");
         REQUIRE(given.size() * 8 == group.at("tagSize").get<std::size_t>());
         const bool whole = given.size() == tag.size();
         CHECK(crypto::equal(Bytes{tag}.first(given.size()), given) == valid);
         // A verifier of 32-byte tags takes no shorter one, right or wrong.
         CHECK(crypto::equal(tag, given) == (valid && whole));
         ++count.run;
       });
  CHECK(count.run == 174);
  count.report("Wycheproof HMAC-SHA-256");
}

TEST_CASE("external: Wycheproof HKDF-SHA-256") {
  Count count;
  each(read_json(external("wycheproof") / "hkdf_sha256_test.json"),
       [&](const Json&, const Json& test, bool valid) {
         const Octets ikm = hex_of(test, "ikm");
         const Octets salt = hex_of(test, "salt");
         const Octets info = hex_of(test, "info");
         Octets out(test.at("size").get<std::size_t>());
         if (valid) {
           crypto::hkdf(ikm, salt, info, out);
           CHECK(hex(out) == test.at("okm").get<std::string>());
         } else {
           // The invalid ones ask for more than there is: a broken contract.
           CHECK(out.size() > 8'160);
           CHECK(traps([&] { crypto::hkdf(ikm, salt, info, out); }));
         }
         ++count.run;
       });
  CHECK(count.run == 86);
  count.report("Wycheproof HKDF-SHA-256");
}

TEST_CASE("external: Wycheproof Ed25519") {
  Count count;
  each(read_json(external("wycheproof") / "ed25519_test.json"), [&](const Json& group,
                                                                    const Json& test, bool valid) {
    const auto key =
        crypto::verify_key(secret_of(from_hex(group.at("publicKey").at("pk").get<std::string>())));
    const Octets given = hex_of(test, "sig");
    crypto::Ed25519Signature signature{};
    bool good = false;
    if (given.size() == signature.size()) {
      std::copy(given.begin(), given.end(), signature.begin());
      good = crypto::verify(key, hex_of(test, "msg"), signature);
    }
    CHECK(good == valid);
    ++count.run;
  });
  CHECK(count.run == 151);
  count.report("Wycheproof Ed25519");
}

TEST_CASE("threat T42 external: Wycheproof XChaCha20-Poly1305") {
  Count count;
  each(read_json(external("wycheproof") / "xchacha20_poly1305_test.json"),
       [&](const Json&, const Json& test, bool valid) {
         const auto key = secret_of(hex_of(test, "key"));
         const Octets nonce = hex_of(test, "iv");
         const Octets associated = hex_of(test, "aad");
         const Octets plain = hex_of(test, "msg");
         Octets sealed = hex_of(test, "ct");
         const Octets tag = hex_of(test, "tag");
         sealed.insert(sealed.end(), tag.begin(), tag.end());
         ++count.run;
         if (nonce.size() != crypto::aead_nonce_size) {
           Octets out(plain.size() + crypto::aead_tag_size);
           CHECK_FALSE(valid);
           CHECK(traps([&] { crypto::aead_seal(key, nonce, associated, plain, out); }));
           CHECK(traps(
               [&] { static_cast<void>(crypto::aead_open(key, nonce, associated, sealed, out)); }));
           return;
         }
         Octets opened(plain.size());
         CHECK(crypto::aead_open(key, nonce, associated, sealed, opened) == valid);
         if (!valid) return;
         CHECK(opened == plain);
         Octets again(sealed.size());
         crypto::aead_seal(key, nonce, associated, plain, again);
         CHECK(again == sealed);
       });
  CHECK(count.run == 315);
  count.report("Wycheproof XChaCha20-Poly1305");
}

TEST_CASE("threat T15 T18 external: Wycheproof JSON Web Signature") {
  const auto folder = external("wycheproof");
  std::set<int> skip;
  std::set<int> must_reject;
  const Json overrides = read_json(folder / "OVERRIDES.json").at("overrides");
  for (const Json& row : overrides) {
    for (const Json& id : row.at("tcId")) {
      (row.at("use") == "skip" ? skip : must_reject).insert(id.get<int>());
    }
  }
  Count hs256;
  Count others;
  const auto ring = ring_of({k1});
  const auto keys = public_keys_of(ring);
  each(read_json(folder / "json_web_signature_test.json"), [&](const Json& group, const Json& test,
                                                               bool valid) {
    const std::string token = test.at("jws");
    const Json& jwk = group.contains("public") ? group.at("public") : group.at("private");
    const std::string kid = jwk.value("kid", std::string{});
    // No vector has our header, so our own verifier refuses each of them for its form.
    CHECK_FALSE(jws::open(keys::Ring{ring}, jws::Use::state, token).good);
    CHECK_FALSE(jws::open(keys::PublicKeys{keys}, jws::Use::state, token).good);
    if (jwk.at("kty") == "oct") {
      const int id = test.at("tcId");
      if (skip.count(id) == 1) {
        ++hs256.skipped;
        return;
      }
      const auto key = key_of(jwk, Only::hs256);
      REQUIRE(key);
      CHECK(is_signed(token, Only::hs256, *key, kid) == (valid && must_reject.count(id) == 0));
      ++hs256.run;
      return;
    }
    // Whatever part of an RSA or EC key is taken for a MAC key.
    CHECK_FALSE(key_of(jwk, Only::hs256));
    CHECK_FALSE(key_of(jwk, Only::eddsa));
    for (const char* member : {"n", "x", "y"}) {
      const auto encoded = jwk.value(member, std::string{});
      for (const Octets& taken : {octets(encoded), from_base64url(encoded).value_or(Octets{})}) {
        CHECK_FALSE(is_signed(token, Only::hs256, taken, kid));
      }
    }
    ++others.run;
  });
  CHECK(hs256.run == 38);
  CHECK(hs256.skipped == 2);
  CHECK(others.run == 361);
  hs256.report("Wycheproof JWS, HS256 keys");
  others.report("Wycheproof JWS, other keys");
}

TEST_CASE("threat T15 external: Wycheproof JSON Web Key") {
  Count count;
  each(read_json(external("wycheproof") / "json_web_key_test.json"),
       [&](const Json& group, const Json& test, bool valid) {
         const std::string token = test.at("jws");
         const Json& list = group.at("private").at("keys");
         // A set for one algorithm: each key usable, each id once; the token is read with the key
         // it names.
         std::set<std::string> ids;
         std::size_t usable = 0;
         bool good = false;
         for (const Json& jwk : list) {
           const auto key = key_of(jwk, Only::hs256);
           const std::string kid = jwk.value("kid", std::string{});
           ids.insert(kid);
           if (!key) continue;
           ++usable;
           good = good || is_signed(token, Only::hs256, *key, kid);
         }
         good = good && usable == list.size() && ids.size() == list.size();

         // No set holds an Ed25519 key.
         Octets set = octets(group.at("private").dump());
         keys::PublicKey found[8];
         CHECK(name(keys::parse_jwks(set, found)) == "jwks_invalid");

         // Valid with an algorithm that is not ours: refused all the same, and counted apart.
         const bool ours = list.at(0).value("alg", std::string{}) == "HS256";
         if (valid && !ours) {
           CHECK_FALSE(good);
           ++count.skipped;
         } else {
           CHECK(good == valid);
           ++count.run;
         }
       });
  CHECK(count.run == 23);
  CHECK(count.skipped == 3);
  count.report("Wycheproof JWK");
}
