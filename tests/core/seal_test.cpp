#include "latchkey/seal.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>

using namespace latchkey;
using namespace latchkey::test;
using namespace std::string_literals;

namespace {

using Parts = std::vector<std::string>;

std::vector<std::string_view> views_of(const Parts& parts) { return {parts.begin(), parts.end()}; }

const Octets entropy = from_hex("000102030405060708090a0b0c0d0e0f1011121314151617");
const Parts row = {"connection", "user:alice", "github", "refresh_token"};

struct Sealed {
  std::string error;
  std::string text;
};

Sealed sealed(keys::Ring ring, Bytes plain, const Parts& context = row, Bytes random = entropy) {
  Octets scratch(plain.size() + 40);
  Octets space(seal::sealed_size(32, plain.size()));
  Writer out{space};
  const auto parts = views_of(context);
  const auto done = seal::seal(ring, plain, parts, random, scratch, out);
  return {name(done), done ? string_of(out.written()) : ""};
}

struct Opened {
  std::string error;
  Octets plain;
};

Opened opened(keys::Ring ring, std::string_view text, const Parts& context = row) {
  const Octets exact = octets(text);
  Octets out(text.size());
  const auto parts = views_of(context);
  const auto plain = seal::open(ring, text_of(exact), parts, out);
  if (!plain) return {name(plain), {}};
  return {"ok", {plain->begin(), plain->end()}};
}

}  // namespace

TEST_CASE("seal: what is sealed opens in its place, whatever its length") {
  const auto ring = ring_of({k1, k2});
  Random random{17};
  for (std::size_t size = 0; size < 300; ++size) {
    const Octets plain = random.bytes(size);
    const auto text = sealed(ring, plain, row, random.bytes(24 + random.below(20)));
    REQUIRE(text.error == "ok");
    CHECK(text.text.starts_with("lks1.k1."));
    CHECK(text.text.size() == seal::sealed_size(2, size));
    const auto read = opened(ring, text.text);
    REQUIRE(read.error == "ok");
    CHECK(read.plain == plain);
  }
}

TEST_CASE("seal: the text is prefix, key id, nonce, ciphertext and tag, with the lengths of the "
          "context bound in") {
  const auto ring = ring_of({k1});
  const Octets plain = octets("secret");
  // Length, least significant byte first, before each part.
  std::string associated = "latchkey/seal/1";
  for (const std::string& part : row) {
    associated += static_cast<char>(part.size());
    associated += '\0';
    associated += part;
  }
  crypto::Secret32 key{};
  const Octets derived = k1.derived(keys::info_seal);
  std::copy(derived.begin(), derived.end(), key.begin());
  Octets bytes = entropy;
  bytes.resize(24 + plain.size() + 16);
  crypto::aead_seal(key, entropy, bytes_of(associated), plain, MutBytes{bytes}.subspan(24));
  CHECK(sealed(ring, plain).text == "lks1.k1." + base64url(bytes));
}

TEST_CASE("T01 seal: no changed bit, no other length opens") {
  const auto ring = ring_of({k1});
  const auto text = sealed(ring, octets("a token"));
  REQUIRE(text.error == "ok");
  std::set<std::string> reasons;
  const auto offer = [&](const std::string& changed) {
    reasons.insert(opened(ring, changed).error);
  };
  for (std::size_t i = 0; i < text.text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text.text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      offer(changed);
    }
    offer(text.text.substr(0, i));
    offer(text.text.substr(i + 1));
    offer(text.text.substr(0, i) + text.text.substr(i + 1));
    offer(text.text.substr(0, i + 1) + text.text.substr(i));
    for (const char c : {'A', '=', '.', ' ', '\n', '\0'}) {
      offer(text.text.substr(0, i) + c + text.text.substr(i));
      offer(text.text + c);
    }
  }
  CHECK(reasons == std::set<std::string>{"seal_invalid", "seal_unknown_key"});
}

TEST_CASE("threat T18 seal: no other spelling opens") {
  const auto ring = ring_of({k1});
  for (std::size_t size = 0; size < 6; ++size) {
    const auto text = sealed(ring, Octets(size, 1)).text;
    std::size_t accepted = 0;
    for (int c = 0; c < 256; ++c) {
      std::string other = text;
      other.back() = static_cast<char>(c);
      if (other != text && opened(ring, other).error == "ok") ++accepted;
    }
    for (const std::string& other :
         {text + "=", text + "==", " " + text, text + "\n", "LKS1" + text.substr(4),
          "lks2" + text.substr(4), "lks1.K1" + text.substr(7)}) {
      if (opened(ring, other).error == "ok") ++accepted;
    }
    CHECK(accepted == 0);
  }
}

TEST_CASE("T13 seal: a sealed text opens for exactly its own context") {
  const auto ring = ring_of({k1});
  const Parts contexts[] = {
      {},
      {""},
      {"", ""},
      {"", "", ""},
      {"a"},
      {"a", ""},
      {"", "a"},
      {"ab", "c"},
      {"a", "bc"},
      {"abc"},
      {"a", "b", "c"},
      {"abc", ""},
      {"", "abc"},
      {"a.b@x"},
      {"a_b@x"},
      {"a\0b"s},
      {"a", "\0b"s},
      {"\1\0a"s},
      {"a", "\1\0b"s},
      {"user:alice", "github"},
      {"user:alice", "github", "access"},
      {"user:alice", "github", "refresh"},
      {"user:bob", "github", "refresh"},
      {"org:alice", "github", "refresh"},
      {std::string(255, 'a'), "b"},
      {std::string(256, 'a'), "b"},
      {std::string(257, 'a'), "b"},
      {std::string(256, 'a'), "", "b"},
      {"latchkey/seal/1"},
      // One part of 256 bytes; and the two it would be without the upper byte of its length.
      {"\xfe\0"s + std::string(254, 'y')},
      {"", std::string(254, 'y')},
      {"\xC3\xA9"},
      {"e\xCC\x81"},
  };
  for (const Parts& made : contexts) {
    const auto text = sealed(ring, octets("x"), made);
    REQUIRE(text.error == "ok");
    for (const Parts& read : contexts) {
      CHECK(opened(ring, text.text, read).error == (made == read ? "ok" : "seal_invalid"));
    }
  }
}

TEST_CASE("seal: the first key seals, every key of the ring opens, a removed one no longer") {
  const auto before = ring_of({k1});
  const auto during = ring_of({k2, k1});
  const auto after = ring_of({k2});
  const auto old_text = sealed(before, octets("x")).text;
  const auto new_text = sealed(during, octets("x")).text;
  CHECK(new_text.starts_with("lks1.k2."));
  CHECK(opened(during, old_text).error == "ok");
  CHECK(opened(during, new_text).error == "ok");
  CHECK(opened(after, new_text).error == "ok");
  CHECK(opened(after, old_text).error == "seal_unknown_key");
  CHECK(opened(before, new_text).error == "seal_unknown_key");
  CHECK(opened(ring_of({{"k1", 0x77}}), old_text).error == "seal_invalid");
  // The text of one key under the name of another.
  CHECK(opened(during, "lks1.k2" + old_text.substr(7)).error == "seal_invalid");
  CHECK(opened({}, old_text).error == "seal_unknown_key");
}

TEST_CASE("threat T42 seal: the nonce is the entropy's first 24 bytes, and another nonce is "
          "another text") {
  const auto ring = ring_of({k1});
  const Octets plain = octets("the same text");
  std::set<std::string> texts;
  for (std::size_t bit = 0; bit < 24 * 8; ++bit) {
    Octets random = entropy;
    random[bit / 8] = static_cast<std::uint8_t>(random[bit / 8] ^ (1U << (bit % 8)));
    const auto text = sealed(ring, plain, row, random).text;
    const auto bytes = from_base64url(text.substr(8));
    REQUIRE(bytes);
    CHECK(Octets(bytes->begin(), bytes->begin() + 24) == random);
    texts.insert(text.substr(8 + 32));
  }
  CHECK(texts.size() == 24 * 8);
  Octets longer = entropy;
  longer.resize(64, 0xee);
  CHECK(sealed(ring, plain, row, longer).text == sealed(ring, plain).text);
  for (std::size_t size = 0; size < 24; ++size) {
    CHECK(sealed(ring, plain, row, Bytes{entropy}.first(size)).error == "claim_invalid");
  }
}

TEST_CASE("threat T39 seal: 16,384 bytes and 16 parts of 4,096 bytes in all, no more") {
  const auto ring = ring_of({k1});
  for (const std::size_t size : {16'383U, 16'384U}) {
    const auto text = sealed(ring, Octets(size, 7));
    REQUIRE(text.error == "ok");
    CHECK(opened(ring, text.text).plain == Octets(size, 7));
  }
  CHECK(sealed(ring, Octets(16'385, 7)).error == "claim_invalid");

  // More than that, sealed by somebody who has the key.
  crypto::Secret32 key{};
  const Octets derived = k1.derived(keys::info_seal);
  std::copy(derived.begin(), derived.end(), key.begin());
  for (const std::size_t size : {16'384U, 16'385U}) {
    Octets bytes(24 + size + 16);
    crypto::aead_seal(key, Bytes{bytes}.first(24), bytes_of("latchkey/seal/1"), Octets(size, 7),
                      MutBytes{bytes}.subspan(24));
    CHECK(opened(ring, "lks1.k1." + base64url(bytes), {}).error ==
          (size <= 16'384 ? "ok" : "seal_invalid"));
  }

  for (std::size_t parts = 0; parts <= 20; ++parts) {
    const Parts context(parts, "p");
    const auto text = sealed(ring, {}, context);
    CHECK(text.error == (parts <= 16 ? "ok" : "claim_invalid"));
    CHECK(opened(ring, sealed(ring, {}).text, context).error == "seal_invalid");
  }
  // A label of 15 bytes and two bytes of length stand before the part.
  for (std::size_t size = 4'070; size <= 4'100; ++size) {
    const auto text = sealed(ring, {}, {std::string(size, 'p')});
    CHECK(text.error == (size <= 4'096 - 17 ? "ok" : "claim_invalid"));
  }
  CHECK(sealed(ring, {}, {std::string(65'536, 'p')}).error == "claim_invalid");
  CHECK(sealed(ring, {}, {std::string(65'537, 'p')}).error == "claim_invalid");
  CHECK(opened(ring, sealed(ring, {}).text, {std::string(65'536, 'p')}).error == "seal_invalid");
}

TEST_CASE("seal: what is no sealed text at all") {
  const auto ring = ring_of({k1});
  const std::string body = base64url(Octets(40, 1));
  for (const std::string& text :
       {""s, "lks1"s, "lks1."s, "lks1.."s, "lks1.k1"s, "lks1.k1."s, "lks1.k1.A"s, "lks1.k1.AA"s,
        "lks1." + body, "lks1.." + body, "lks1.k 1." + body,
        "lks1." + std::string(33, 'k') + "." + body, "lks1.k1." + body.substr(2), "lks1.k1." + body,
        "lks1.k1." + body + "." + body, "k1." + body, "lks1.k1." + base64url(Octets(39, 1)),
        std::string(100'000, 'A'), "lks1.k1." + std::string(100'000, 'A')}) {
    CAPTURE(text.substr(0, 80));
    CHECK(opened(ring, text).error == "seal_invalid");
  }
}

TEST_CASE("seal: too little room is an error, never a step outside") {
  const auto ring = ring_of({k1});
  const auto parts = views_of(row);
  const Octets plain(20, 1);
  const std::size_t need = seal::sealed_size(2, plain.size());
  for (std::size_t room = 0; room <= need; ++room) {
    Octets scratch(60);
    Octets space(room);
    Writer out{space};
    CHECK(name(seal::seal(ring, plain, parts, entropy, scratch, out)) ==
          (room == need ? "ok" : "output_too_small"));
  }
  for (std::size_t room = 0; room <= 60; ++room) {
    Octets scratch(room);
    Octets space(need);
    Writer out{space};
    CHECK(name(seal::seal(ring, plain, parts, entropy, scratch, out)) ==
          (room == 60 ? "ok" : "output_too_small"));
  }
  const std::string text = sealed(ring, plain).text;
  for (std::size_t room = 0; room <= 60; ++room) {
    Octets out(room);
    CHECK(name(seal::open(ring, text, parts, out)) == (room == 60 ? "ok" : "seal_invalid"));
  }
  CHECK(sealed({}, plain).error == "key_ring_empty");
}
