/// Test data from outside the project: where it is, and a small verifier that holds no opinion
/// beyond the core's own parts.
#pragma once

#include "latchkey/crypto.hpp"
#include "latchkey/json.hpp"
#include "latchkey/jws.hpp"
#include "latchkey/text.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace latchkey::test {

using Json = nlohmann::json;

/// The folder of a set. Where it is not, the test case says so and counts as skipped.
inline std::filesystem::path external(std::string_view set) {
  const char* elsewhere = std::getenv("LATCHKEY_VECTORS");
  const std::filesystem::path all =
      elsewhere != nullptr
          ? std::filesystem::path{elsewhere}
          : std::filesystem::path{LATCHKEY_SOURCE_DIR} / ".." / "shared" / "vectors";
  const auto folder = all / set;
  if (!std::filesystem::is_directory(folder)) {
    WARN("not run: there is no folder " << set << " of external vectors here");
    SKIP("no external vectors");
  }
  return folder;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) FAIL("cannot read " << path);
  return text.str();
}

inline Json read_json(const std::filesystem::path& path) { return Json::parse(read_file(path)); }

/// How much of a set was run, for the person who reads the log.
struct Count {
  std::size_t run{0};
  std::size_t skipped{0};

  void report(std::string_view set) const {
    WARN(set << ": " << run << " run, " << skipped << " skipped");
  }
};

enum class Only { hs256, eddsa };

/// One JWK as a verifier of a single algorithm sees it; nothing when it is not for that algorithm.
inline std::optional<Octets> key_of(const Json& jwk, Only only) {
  const auto text = [&](const char* name) { return jwk.value(name, std::string{}); };
  const bool is_hs256 = only == Only::hs256;
  if (text("kty") != (is_hs256 ? "oct" : "OKP")) return std::nullopt;
  if (jwk.contains("alg") && text("alg") != (is_hs256 ? "HS256" : "EdDSA")) return std::nullopt;
  if (jwk.contains("use") && text("use") != "sig") return std::nullopt;
  const std::string encoded = text(is_hs256 ? "k" : "x");
  Octets key(encoded.size());
  const auto size = text::base64url_decode(encoded, key);
  if (!size) return std::nullopt;
  key.resize(*size);
  // RFC 7518 section 3.2: a key at least as long as the hash.
  if (is_hs256 ? key.size() < 32 : key.size() != 32) return std::nullopt;
  return key;
}

/// Verifies a compact JWS with the core's parts: three canonical parts, a strict header of `alg`,
/// `kid` and `typ` alone, one algorithm, one key. `kid` is compared where both sides have one.
inline bool is_signed(std::string_view token, Only only, const Octets& key, std::string_view kid) {
  jws::Parts parts;
  if (!jws::split(token, parts)) return false;
  Octets header(parts.header.size());
  Octets payload(parts.payload.size());
  Octets signature(parts.signature.size());
  const auto header_size = text::base64url_decode(parts.header, header);
  const auto payload_size = text::base64url_decode(parts.payload, payload);
  const auto signature_size = text::base64url_decode(parts.signature, signature);
  if (!header_size || !payload_size || !signature_size) return false;
  signature.resize(*signature_size);

  json::Node nodes[16];
  const auto root = json::parse(MutBytes{header}.first(*header_size), nodes);
  if (!root || !root->is(json::Kind::object)) return false;
  for (auto member = root->first(); member.present(); member = root->next(member)) {
    const auto name = member.node().name;
    if (name != "alg" && name != "kid" && name != "typ") return false;
  }
  if (root->member("alg").text() != (only == Only::hs256 ? "HS256" : "EdDSA")) return false;
  if (!kid.empty() && root->member("kid").present() && root->member("kid").text() != kid)
    return false;

  const Bytes input = bytes_of(token.substr(0, parts.header.size() + 1 + parts.payload.size()));
  if (only == Only::hs256)
    return crypto::equal(crypto::mac(crypto::mac_key(key), input), signature);
  crypto::Ed25519Public public_key{};
  crypto::Ed25519Signature fixed{};
  if (key.size() != public_key.size() || signature.size() != fixed.size()) return false;
  std::copy(key.begin(), key.end(), public_key.begin());
  std::copy(signature.begin(), signature.end(), fixed.begin());
  return crypto::verify(crypto::verify_key(public_key), input, fixed);
}

}  // namespace latchkey::test
