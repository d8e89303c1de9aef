#include "latchkey/keys.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <set>

using namespace latchkey;
using namespace latchkey::test;
using namespace std::string_literals;

namespace {

struct Parsed {
  std::string error;
  std::uint32_t at{0};
  std::vector<keys::Key> ring;
};

Parsed parsed(std::string_view text, std::size_t room = keys::max_keys) {
  const Octets exact = octets(text);
  std::vector<keys::Key> ring(room);
  const auto count = keys::parse(text_of(exact), ring);
  if (count) ring.resize(*count);
  return {name(count), count.at(), std::move(ring)};
}

std::string standard(std::string text) {
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  return text;
}

Octets bytes_of_mac(const crypto::MacKey& key, std::string_view message) {
  const auto tag = crypto::mac(key, bytes_of(message));
  return {tag.begin(), tag.end()};
}

bool is_key_of(const keys::Key& key, const Octets& secret) {
  Octets ikm = secret;
  Octets prk(32);
  Octets sub(32);
  crypto_kdf_hkdf_sha256_extract(prk.data(), nullptr, 0, ikm.data(), ikm.size());
  crypto_kdf_hkdf_sha256_expand(sub.data(), sub.size(), keys::info_state_hs256.data(),
                                keys::info_state_hs256.size(), prk.data());
  return bytes_of_mac(key.state, "x") == hmac(sub, bytes_of("x"));
}

}  // namespace

TEST_CASE("keys: each subkey is HKDF-SHA-256 of the key with its own info") {
  const auto ring = ring_of({k1, k2});
  std::set<Octets> distinct;
  for (const RawKey& raw : {k1, k2}) {
    const keys::Key& key = ring[raw.kid == "k1" ? 0 : 1];
    CHECK(key.kid.view() == raw.kid);
    const auto is = [&](const crypto::MacKey& mac, std::string_view info) {
      distinct.insert(raw.derived(info));
      return bytes_of_mac(mac, "message") == hmac(raw.derived(info), bytes_of("message"));
    };
    CHECK(is(key.state, "latchkey/1/state/HS256"));
    CHECK(is(key.pkce, "latchkey/1/pkce"));
    CHECK(is(key.capability, "latchkey/1/capability"));
    CHECK(is(key.principal, "latchkey/1/principal/HS256"));
    CHECK(Octets(key.seal.begin(), key.seal.end()) == raw.derived("latchkey/1/seal"));
    const Pair pair{raw.derived("latchkey/1/state/EdDSA")};
    CHECK(key.state_sign.public_key() == pair.public_key);
    CHECK(key.state_sign.seed_and_public == pair.secret_key);
    distinct.insert(raw.derived("latchkey/1/seal"));
    distinct.insert(raw.derived("latchkey/1/state/EdDSA"));
  }
  CHECK(distinct.size() == 12);
}

TEST_CASE("keys: 64 hexadecimal digits and each canonical base64 of one key give the same key") {
  Random random{3};
  for (int i = 0; i < 200; ++i) {
    const Octets secret = random.bytes(32);
    const std::string url = base64url(secret);
    std::string upper = hex(secret);
    for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
    for (const std::string& form :
         {hex(secret), upper, url, url + "=", standard(url), standard(url) + "="}) {
      CAPTURE(form);
      const auto read = parsed("kid:" + form);
      REQUIRE(read.error == "ok");
      CHECK(is_key_of(read.ring[0], secret));
    }
    const bool has_both = url.find('-') != std::string::npos && url.find('_') != std::string::npos;
    if (has_both) {
      std::string mixed = url;
      std::replace(mixed.begin(), mixed.end(), '-', '+');
      CHECK(parsed("kid:" + mixed).error == "key_invalid");
    }
  }
}

TEST_CASE("T14 anything but a canonical key of 32 bytes is refused") {
  for (std::size_t size = 0; size <= 80; ++size) {
    CAPTURE(size);
    const Octets secret(size, 0x5a);
    CHECK(parsed("k:" + hex(secret)).error == (size == 32 ? "ok" : "key_invalid"));
    CHECK(parsed("k:" + base64url(secret)).error == (size == 32 ? "ok" : "key_invalid"));
    CHECK(parsed("k:" + std::string(size, '5')).error == (size == 64 ? "ok" : "key_invalid"));
  }
  // 43 digits carry two spare bits; only zeros are canonical.
  const std::string url = base64url(Octets(32, 0x11));
  std::size_t good = 0;
  for (int c = 0; c < 256; ++c) {
    std::string other = url;
    other.back() = static_cast<char>(c);
    const auto read = parsed("k:" + other);
    if (read.error != "ok") continue;
    ++good;
    CHECK(base64url_digits.find(static_cast<char>(c)) % 4 == 0);
  }
  CHECK(good == 16);

  const std::string digits = hex(Octets(32, 0x11));
  for (const std::string& key : {""s,
                                 url + "==",
                                 url + "===",
                                 "=" + url,
                                 url + " ",
                                 " " + url,
                                 url + "\n",
                                 url + "=\n",
                                 url.substr(0, 42),
                                 url.substr(0, 42) + "=",
                                 url + "A",
                                 url + "A=",
                                 digits + "=",
                                 digits + " ",
                                 " " + digits,
                                 digits.substr(0, 63),
                                 digits.substr(0, 63) + "g",
                                 "0x" + digits,
                                 digits.substr(0, 62) + "0x",
                                 url.substr(0, 20) + "=" + url.substr(21),
                                 url.substr(0, 20) + "*" + url.substr(21),
                                 url.substr(0, 20) + "\0"s + url.substr(21),
                                 url.substr(0, 20) + "\xC3" + url.substr(21),
                                 in_quotes(url),
                                 "k:" + url,
                                 url + ":",
                                 std::string(64, '\xff'),
                                 std::string(43, '\xff')}) {
    CAPTURE(key);
    CHECK(parsed("k:" + key).error == "key_invalid");
  }
}

TEST_CASE("keys: an id is 1..32 characters of A-Z a-z 0-9 _ -") {
  const std::string allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  const std::string key = ":" + hex(Octets(32, 1));
  for (int c = 0; c < 256; ++c) {
    const std::string kid(1, static_cast<char>(c));
    const bool good = allowed.find(kid) != std::string::npos;
    CHECK(keys::is_kid(kid) == good);
    CHECK(keys::is_kid("a" + kid + "a") == good);
    CHECK(parsed(kid + key).error == (good ? "ok" : "key_invalid"));
  }
  for (std::size_t size = 0; size <= 40; ++size) {
    const std::string kid(size, 'k');
    CHECK(keys::is_kid(kid) == (size >= 1 && size <= 32));
    CHECK(parsed(kid + key).error == (size >= 1 && size <= 32 ? "ok" : "key_invalid"));
  }
}

TEST_CASE("keys: rings, their limits, and where in the text an entry is wrong") {
  const std::string a = k1.entry();
  const std::string b = k2.entry();
  const std::string c = k3.entry();
  const auto at = static_cast<std::uint32_t>(a.size() + 1);
  const std::string same_key = "other:" + base64url(k1.secret());
  const struct {
    std::string text;
    const char* error;
    std::uint32_t at;
  } rows[] = {
      {"", "key_ring_empty", 0},
      {a, "ok", 0},
      {a + "," + b + "," + c, "ok", 0},
      {",", "key_invalid", 0},
      {"," + a, "key_invalid", 0},
      {a + ",", "key_invalid", at},
      {a + ",," + b, "key_invalid", at},
      {a + ", " + b, "key_invalid", at},
      {a + " ," + b, "key_invalid", 0},
      {" " + a, "key_invalid", 0},
      {a + "\n", "key_invalid", 0},
      {a + ";" + b, "key_invalid", 0},
      {"k1", "key_invalid", 0},
      {":" + hex(k1.secret()), "key_invalid", 0},
      {hex(k1.secret()), "key_invalid", 0},
      {"k1=" + hex(k1.secret()), "key_invalid", 0},
      {a + "," + a, "key_duplicate", at},
      {a + ",k1:" + hex(k2.secret()), "key_duplicate", at},
      {a + "," + same_key, "key_duplicate", at},
      {b + "," + a + "," + same_key, "key_duplicate",
       static_cast<std::uint32_t>(a.size() + b.size() + 2)},
      {a + ",K1:" + hex(k2.secret()), "ok", 0},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto read = parsed(row.text);
    CHECK(read.error == row.error);
    CHECK(read.at == row.at);
  }
  std::string text;
  for (int i = 1; i <= 9; ++i) {
    text += (i > 1 ? ",k" : "k") + std::to_string(i) + ":" +
            hex(Octets(32, static_cast<std::uint8_t>(i)));
    const auto read = parsed(text, 16);
    CHECK(read.error == (i <= 8 ? "ok" : "key_invalid"));
    if (i <= 8) CHECK(read.ring.size() == static_cast<std::size_t>(i));
    for (std::size_t room = 0; room < static_cast<std::size_t>(i); ++room) {
      CHECK(parsed(text, room).error == "key_invalid");
    }
  }
}

TEST_CASE("keys: a generated key is an entry that parses to that key") {
  Random random{4};
  for (int i = 0; i < 50; ++i) {
    const Octets entropy = random.bytes(32);
    Octets space(64);
    Writer out{space};
    REQUIRE(keys::generate("2026-11", entropy, out));
    CHECK(string_of(out.written()) == "2026-11:" + base64url(entropy));
    const auto read = parsed(string_of(out.written()));
    REQUIRE(read.error == "ok");
    CHECK(is_key_of(read.ring[0], entropy));
  }
  const std::size_t need = 2 + 43;
  for (std::size_t room = 0; room <= need; ++room) {
    Octets space(room);
    Writer out{space};
    CHECK(name(keys::generate("k", Octets(32, 1), out)) ==
          (room == need ? "ok" : "output_too_small"));
  }
  for (std::size_t size = 0; size <= 64; ++size) {
    Octets space(64);
    Writer out{space};
    CHECK(name(keys::generate("k", Octets(size, 1), out)) == (size == 32 ? "ok" : "key_invalid"));
  }
  for (const std::string& kid : {""s, "a b"s, "a:b"s, "a,b"s, "a.ed"s, std::string(33, 'k')}) {
    Octets space(64);
    Writer out{space};
    CHECK(name(keys::generate(kid, Octets(32, 1), out)) == "key_invalid");
    CHECK(out.size() == 0);
  }
}

TEST_CASE("keys: a header is written in its one spelling") {
  for (const char* kid : {"", "k", "k1.ed"}) {
    Octets space(200);
    Writer out{space};
    out.put("x");
    keys::put_header(out, "EdDSA", kid, keys::typ_state);
    CHECK(string_of(out.written()) ==
          "x" + base64url(usual_header("EdDSA", kid, "oauth-state+jwt")));
  }
  for (std::size_t size = 1; size <= keys::max_kid; ++size) {
    const RawKey raw{std::string(size, 'k'), 9};
    const auto ring = ring_of({raw});
    const std::string header = base64url(usual_header("HS256", raw.kid, "oauth-state+jwt"));
    CHECK(ring[0].state_header.text.view() == header);
    REQUIRE(header.size() >= 64);
    const auto begin = bytes_of(header).first<64>();
    CHECK(ring[0].state_header.mac.inner == crypto::mac_prefix(ring[0].state, begin).inner);
  }
}

TEST_CASE("keys: the published set holds the public half of every key and nothing else") {
  const auto ring = ring_of({k1, k2, k3});
  Octets space(4'096);
  Writer out{space};
  keys::put_jwks(ring, out);
  const auto json = nlohmann::json::parse(string_of(out.written()));
  REQUIRE(json.size() == 1);
  REQUIRE(json.at("keys").size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const RawKey raw = i == 0 ? k1 : i == 1 ? k2 : k3;
    const Pair pair{raw.derived("latchkey/1/state/EdDSA")};
    CHECK(json["keys"][i] == nlohmann::json{{"kty", "OKP"},
                                            {"crv", "Ed25519"},
                                            {"alg", "EdDSA"},
                                            {"use", "sig"},
                                            {"kid", raw.kid + ".ed"},
                                            {"x", base64url(pair.public_key)}});
  }
  const auto keys = public_keys_of(ring);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(keys[i].key.bytes == ring[i].state_sign.public_key());
    CHECK(keys[i].kid.view() == std::string{ring[i].kid.view()} + ".ed");
  }
  Writer none{MutBytes{space}};
  keys::put_jwks({}, none);
  CHECK(string_of(none.written()) == "{\"keys\":[]}");
}

TEST_CASE("keys: a JWK Set is read strictly, keys of other kinds are passed over") {
  const Pair pair{Octets(32, 7)};
  const Members usable = {{"kty", "\"OKP\""},
                          {"crv", "\"Ed25519\""},
                          {"kid", "\"a\""},
                          {"x", in_quotes(base64url(pair.public_key))}};
  const auto with = [&](const char* member, const std::string& value) {
    Members changed = without(usable, member);
    changed.emplace_back(member, value);
    return object(changed);
  };
  const std::string good = object(usable);
  const auto read = [](const std::string& text, std::size_t room = 8) {
    Octets json = octets(text);
    std::vector<keys::PublicKey> out(room);
    const auto count = keys::parse_jwks(json, out);
    return count ? std::to_string(*count) : name(count);
  };
  const auto set = [](const std::string& keys) { return "{\"keys\":[" + keys + "]}"; };
  const std::string x31 = base64url(Octets(31, 7));
  const std::string x33 = base64url(Octets(33, 7));
  const std::string x = base64url(pair.public_key);
  const std::string bad = "jwks_invalid";
  const struct {
    std::string json;
    std::string want;
  } rows[] = {
      {set(good), "1"},
      {set(with("use", "\"sig\"")), "1"},
      {set(with("alg", "\"EdDSA\"")), "1"},
      {set(with("alg", "\"Ed25519\"")), "1"},
      {set(with("key_ops", "[\"verify\"]")), "1"},
      {"{\"extra\":1,\"keys\":[" + good + "]}", "1"},
      {set(good + "," + with("kid", "\"b\"")), "2"},
      // Keys of other kinds beside a usable one.
      {set("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}," + good), "1"},
      {set("{\"kty\":\"EC\",\"crv\":\"P-256\"}," + good), "1"},
      {set("{\"kty\":\"oct\",\"k\":\"AA\"}," + good), "1"},
      {set("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"}," + good), "1"},
      {set("{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"AA\"}," + good), "1"},
      {set("{}," + good), "1"},
      {set(with("use", "\"enc\"") + "," + good), "1"},
      {set(with("alg", "\"ES256\"") + "," + good), "1"},
      {set(with("kty", "\"okp\"") + "," + good), "1"},
      {set(with("kty", "[\"OKP\"]") + "," + good), "1"},
      {set(with("alg", "null") + "," + good), "1"},
      // No usable key.
      {set(""), bad},
      {set(with("use", "\"enc\"")), bad},
      {set(with("alg", "\"HS256\"")), bad},
      {set("{\"kty\":\"RSA\"}"), bad},
      // A private key, a bad key, two of one name.
      {set(with("d", in_quotes(x))), bad},
      {set(good + "," + with("d", "null")), bad},
      {set(good + "," + good), bad},
      {set(object(without(usable, "kid"))), bad},
      {set(object(without(usable, "x"))), bad},
      {set(with("kid", "\"\"")), bad},
      {set(with("kid", "1")), bad},
      {set(with("kid", in_quotes(std::string(64, 'k')))), "1"},
      {set(with("kid", in_quotes(std::string(65, 'k')))), bad},
      {set(with("kid", "\"a\\nb\"")), bad},
      {set(with("x", "1")), bad},
      {set(with("x", in_quotes(x31))), bad},
      {set(with("x", in_quotes(x33))), bad},
      {set(with("x", in_quotes(x + "="))), bad},
      {set(with("x", in_quotes(standard(x) + "!"))), bad},
      {set(with("x", in_quotes(""))), bad},
      // Not a JWK Set.
      {"", bad},
      {"{}", bad},
      {"[]", bad},
      {"null", bad},
      {good, bad},
      {"[" + good + "]", bad},
      {"{\"keys\":" + good + "}", bad},
      {"{\"keys\":null}", bad},
      {"{\"Keys\":[" + good + "]}", bad},
      {set("null"), bad},
      {set(good + ",1"), bad},
      {set(good) + "x", bad},
      {set(good).substr(1), bad},
      {"{\"keys\":[" + good + "],\"keys\":[]}", bad},
      {set(std::string(300, '[')), bad},
  };
  for (const auto& row : rows) {
    CAPTURE(row.json);
    CHECK(read(row.json) == row.want);
  }
  std::string many;
  for (std::size_t i = 1; i <= 9; ++i) {
    many += (i > 1 ? "," : "") + with("kid", in_quotes(std::to_string(i)));
    CHECK(read(set(many), 16) == (i <= 8 ? std::to_string(i) : bad));
    CHECK(read(set(many), i - 1) == bad);
  }
}
