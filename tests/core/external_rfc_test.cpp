// Examples of RFCs: byte-equal, and refused after any change.
#include "external.hpp"

#include <map>

using namespace latchkey;
using namespace latchkey::test;

namespace {

// `Name = value` blocks as the RFC texts are kept in: one map for each block that holds `last`.
std::vector<std::map<std::string, std::string>> blocks_of(const std::string& text,
                                                          const std::string& last) {
  std::vector<std::map<std::string, std::string>> out;
  std::map<std::string, std::string> block;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    if (line.empty() || line[0] == '#' || equals == std::string::npos) continue;
    const auto trim = [](std::string part) {
      part.erase(0, part.find_first_not_of(' '));
      part.erase(part.find_last_not_of(" \r") + 1);
      return part;
    };
    const std::string key = trim(line.substr(0, equals));
    block[key] = trim(line.substr(equals + 1));
    if (key != last) continue;
    out.push_back(block);
    block.clear();
  }
  return out;
}

Json examples() { return read_json(external("rfc") / "rfc-examples.json"); }

crypto::Ed25519Signature signature_of(const Octets& bytes) {
  crypto::Ed25519Signature out{};
  REQUIRE(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

crypto::Secret32 secret_of(const Octets& bytes) {
  crypto::Secret32 out{};
  REQUIRE(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace

TEST_CASE("external: RFC 4231, HMAC-SHA-256") {
  Count count;
  for (auto& block : blocks_of(read_file(external("rfc") / "rfc-4231-sha256.txt"), "MD")) {
    CAPTURE(block["Msg"]);
    const auto tag = crypto::mac(crypto::mac_key(from_hex(block["Key"])), from_hex(block["Msg"]));
    CHECK(hex(tag) == block["MD"]);
    ++count.run;
  }
  const Json truncated = examples().at("rfc4231_tc5_truncated_128");
  const auto tag = crypto::mac(crypto::mac_key(from_hex(truncated.at("key").get<std::string>())),
                               from_hex(truncated.at("msg").get<std::string>()));
  const Octets given = from_hex(truncated.at("mac_128").get<std::string>());
  CHECK(crypto::equal(Bytes{tag}.first(16), given));
  CHECK_FALSE(crypto::equal(tag, given));
  ++count.run;
  CHECK(count.run == 7);
  count.report("RFC 4231");
}

TEST_CASE("external: RFC 5869, HKDF-SHA-256") {
  Count count;
  for (auto& block : blocks_of(read_file(external("rfc") / "rfc-5869-HKDF-SHA256.txt"), "OKM")) {
    CAPTURE(block["COUNT"]);
    Octets out(std::stoul(block["L"]));
    crypto::hkdf(from_hex(block["IKM"]), from_hex(block["salt"]), from_hex(block["info"]), out);
    CHECK(hex(out) == block["OKM"]);
    ++count.run;
  }
  CHECK(count.run == 3);
  count.report("RFC 5869");
}

TEST_CASE("external: Ed25519, 1,024 keys sign and verify, and refuse one changed bit") {
  Count count;
  std::istringstream lines{read_file(external("rfc") / "ed25519-sign.input")};
  Random random{5};
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> fields;
    std::istringstream parts{line};
    for (std::string part; std::getline(parts, part, ':');) fields.push_back(part);
    REQUIRE(fields.size() == 4);
    const auto seed = secret_of(from_hex(fields[0].substr(0, 64)));
    Octets message = from_hex(fields[2]);
    const auto want = signature_of(from_hex(fields[3].substr(0, 128)));

    const auto key = crypto::sign_key(seed);
    const auto public_key = crypto::verify_key(key.public_key());
    REQUIRE(hex(public_key.bytes) == fields[1]);
    auto signature = crypto::sign(key, message);
    REQUIRE(signature == want);
    REQUIRE(crypto::verify(public_key, message, signature));

    const auto flip = [&](MutBytes bytes) {
      const std::size_t bit = random.below(bytes.size() * 8);
      bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    };
    flip(signature);
    REQUIRE_FALSE(crypto::verify(public_key, message, signature));
    if (!message.empty()) {
      flip(message);
      REQUIRE_FALSE(crypto::verify(public_key, message, want));
    }
    ++count.run;
  }
  CHECK(count.run == 1'024);
  count.report("Ed25519 sign.input");
}

TEST_CASE("external: RFC 8032 section 7.1") {
  const Json tests = examples().at("rfc8032_7_1");
  for (const Json& test : tests) {
    const auto text = [&](const char* name) { return from_hex(test.at(name).get<std::string>()); };
    const auto key = crypto::sign_key(secret_of(text("sk")));
    CHECK(hex(key.public_key()) == test.at("pk").get<std::string>());
    CHECK(hex(crypto::sign(key, text("msg"))) == test.at("sig").get<std::string>());
    CHECK(crypto::verify(crypto::verify_key(key.public_key()), text("msg"),
                         signature_of(text("sig"))));
  }
}

TEST_CASE("threat T20 external: RFC 7636 appendix B") {
  const Json example = examples().at("rfc7636_appendix_b");
  const Octets random = example.at("octets").get<Octets>();
  Octets space(64);
  Writer verifier{space};
  text::base64url_put(verifier, random);
  CHECK(string_of(verifier.written()) == example.at("code_verifier").get<std::string>());
  Octets more(64);
  Writer challenge{more};
  text::base64url_put(challenge, crypto::sha256(verifier.written()));
  CHECK(string_of(challenge.written()) == example.at("code_challenge").get<std::string>());
}

TEST_CASE("threat T15 external: RFC 7515 appendix A, RFC 8037 appendix A.4") {
  const Json all = examples();
  const std::string hs256 = all.at("rfc7515_a1_hs256").at("jws");
  const auto mac_key = key_of(all.at("rfc7515_a1_hs256").at("jwk"), Only::hs256);
  REQUIRE(mac_key);
  CHECK(is_signed(hs256, Only::hs256, *mac_key, ""));

  const std::string eddsa = all.at("rfc8037_a4_ed25519").at("jws");
  const auto public_key = key_of(all.at("rfc8037_a4_ed25519").at("jwk"), Only::eddsa);
  REQUIRE(public_key);
  CHECK(is_signed(eddsa, Only::eddsa, *public_key, ""));

  for (const auto& [token, only, key] :
       {std::tuple{hs256, Only::hs256, *mac_key}, std::tuple{eddsa, Only::eddsa, *public_key}}) {
    for (std::size_t i = 0; i < token.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = token;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        if (is_signed(changed, only, key, "")) FAIL_CHECK("byte " << i << ", bit " << bit);
      }
    }
  }

  const std::string none = all.at("rfc7515_a5_none_must_reject").at("jws");
  const std::string es256 = all.at("rfc7515_a3_es256").at("jws");
  const auto ring = ring_of({k1});
  for (const std::string& token : {none, es256, hs256, eddsa}) {
    CHECK_FALSE(jws::open(keys::Ring{ring}, jws::Use::state, token).good);
  }
  for (const std::string& token : {none, es256, eddsa}) {
    CHECK_FALSE(is_signed(token, Only::hs256, *mac_key, ""));
    CHECK_FALSE(is_signed(token, Only::hs256, {}, ""));
  }
  for (const std::string& token : {none, es256, hs256}) {
    CHECK_FALSE(is_signed(token, Only::eddsa, *public_key, ""));
  }
}

TEST_CASE("threat T18 external: RFC 4648 section 10") {
  const Json rows = examples().at("rfc4648_s10_base64");
  for (const Json& row : rows) {
    const std::string plain = row.at(0);
    const std::string padded = row.at(1);
    const std::string unpadded = padded.substr(0, padded.find('='));
    Octets space(16);
    Writer out{space};
    text::base64url_put(out, bytes_of(plain));
    CHECK(string_of(out.written()) == unpadded);
    Octets decoded(16);
    const auto size = text::base64url_decode(unpadded, decoded);
    REQUIRE(size);
    CHECK(string_of(Bytes{decoded}.first(*size)) == plain);
    if (padded != unpadded)
      CHECK(name(text::base64url_decode(padded, decoded)) == "base64_invalid");
  }
}
