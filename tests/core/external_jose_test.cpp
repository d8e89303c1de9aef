// The JOSE cookbook (RFC 7520, RFC 7797, curve 25519): our algorithms agree, everything else is
// refused.
#include "external.hpp"

using namespace latchkey;
using namespace latchkey::test;

namespace {

// Everything in an example that could be offered as a compact token.
std::set<std::string> tokens_of(const Json& example) {
  std::set<std::string> out;
  const Json& output = example.at("output");
  const Json& whole = output.contains("json_flat") ? output.at("json_flat") : output.at("json");
  const auto payload = whole.value("payload", std::string{});
  if (output.contains("compact")) out.insert(output.at("compact").get<std::string>());
  const auto add = [&](const Json& part) {
    out.insert(part.value("protected", std::string{}) + "." + payload + "." +
               part.value("signature", std::string{}));
  };
  if (output.contains("json_flat")) add(output.at("json_flat"));
  if (output.contains("json")) {
    for (const Json& part : output.at("json").value("signatures", Json::array())) add(part);
  }
  return out;
}

bool is_ours(const Json& example, Only only) {
  const Json& alg = example.at("input").at("alg");
  return alg == (only == Only::hs256 ? "HS256" : "EdDSA") &&
         example.at("output").contains("compact");
}

}  // namespace

TEST_CASE("threat T15 T16 external: JOSE cookbook") {
  const auto folder = external("jose");
  Count agreed;
  Count refused;
  const auto ring = ring_of({k1});
  const auto keys = public_keys_of(ring);
  std::set<std::filesystem::path> files;
  for (const char* set : {"jws", "rfc7797", "curve25519"}) {
    for (const auto& file : std::filesystem::directory_iterator{folder / set}) {
      if (file.path().extension() == ".json") files.insert(file.path());
    }
  }
  // Signed again to the same bytes.
  const std::set<std::string> plain = {"4_4.hmac-sha2_integrity_protection.json", "jws.json"};
  for (const auto& file : files) {
    CAPTURE(file.filename());
    const Json example = read_json(file);
    const auto tokens = tokens_of(example);
    for (const std::string& token : tokens) {
      CHECK_FALSE(jws::open(keys::Ring{ring}, jws::Use::state, token).good);
      CHECK_FALSE(jws::open(keys::PublicKeys{keys}, jws::Use::state, token).good);
    }
    if (plain.count(file.filename().string()) == 1) {
      const Only only = is_ours(example, Only::hs256) ? Only::hs256 : Only::eddsa;
      REQUIRE(is_ours(example, only));
      const Json& jwk = example.at("input").at("key");
      const auto key = key_of(jwk, only);
      REQUIRE(key);
      const std::string token = example.at("output").at("compact");
      CHECK(is_signed(token, only, *key, jwk.value("kid", std::string{})));
      const std::string input = example.at("signing").at("sig-input");
      CHECK(token == input + "." + example.at("signing").at("sig").get<std::string>());
      if (only == Only::hs256) {
        CHECK(base64url(crypto::mac(crypto::mac_key(*key), bytes_of(input))) ==
              example.at("signing").at("sig").get<std::string>());
      } else {
        const auto seed = from_base64url(jwk.at("d").get<std::string>());
        REQUIRE(seed);
        crypto::Secret32 secret{};
        std::copy(seed->begin(), seed->end(), secret.begin());
        CHECK(base64url(crypto::sign(crypto::sign_key(secret), bytes_of(input))) ==
              example.at("signing").at("sig").get<std::string>());
      }
      ++agreed.run;
      continue;
    }
    // b64=false, crit, detached or unprotected: refused, whatever key of the example is tried.
    const std::string id = file.filename().string();
    const bool has_plain_part =
        id == "4_6.protecting_specific_header_fields.json" || id == "4_8.multiple_signatures.json";
    std::set<std::string> accepted;
    const Json& given = example.at("input").at("key");
    const Json list = given.is_array() ? given : Json::array({given});
    for (const Json& jwk : list) {
      for (const Only only : {Only::hs256, Only::eddsa}) {
        const auto key = key_of(jwk, only).value_or(Octets(32, 0));
        for (const std::string& token : tokens) {
          const auto kid = jwk.value("kid", std::string{});
          if (is_signed(token, only, key, kid)) accepted.insert(token);
        }
      }
    }
    // Without what stands outside their signature, one part of these two is a plain HS256 token.
    CHECK(accepted.size() == (has_plain_part ? 1U : 0U));
    ++refused.run;
  }
  CHECK(agreed.run == 2);
  CHECK(refused.run == files.size() - 2);
  agreed.report("JOSE cookbook, HS256 and EdDSA");
  refused.report("JOSE cookbook, refused");
}

TEST_CASE("external: JOSE cookbook keys are no public Ed25519 keys") {
  const auto folder = external("jose") / "jwk";
  Count count;
  for (const auto& file : std::filesystem::directory_iterator{folder}) {
    CAPTURE(file.path().filename());
    const std::string jwk = read_file(file.path());
    for (const std::string& text : {jwk, "{\"keys\":[" + jwk + "]}"}) {
      Octets json = octets(text);
      keys::PublicKey found[8];
      CHECK(name(keys::parse_jwks(json, found)) == "jwks_invalid");
    }
    ++count.run;
  }
  CHECK(count.run == 6);
  count.report("JOSE cookbook keys");
}
