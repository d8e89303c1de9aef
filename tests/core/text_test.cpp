#include "latchkey/text.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace latchkey;
using namespace latchkey::test;
using namespace std::string_literals;

namespace {

std::string encoded(Bytes bytes) {
  Octets space(text::base64url_size(bytes.size()));
  Writer out{space};
  text::base64url_put(out, bytes);
  return string_of(out.written());
}

std::optional<Octets> decoded(std::string_view text) {
  const Octets exact = octets(text);
  Octets out(text.size() / 4 * 3 + 3);
  const auto size = text::base64url_decode(text_of(exact), out);
  if (!size) {
    if (size.error() != Errc::base64_invalid || size.at() > text.size()) FAIL("another error");
    return std::nullopt;
  }
  out.resize(*size);
  return out;
}

// RFC 3629: the length from the first byte, then the code point, then the ranges.
bool slow_is_utf8(Bytes bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    const unsigned lead = bytes[i];
    std::size_t more = 0;
    std::uint32_t value = lead;
    std::uint32_t least = 0;
    if (lead >= 0x80) {
      if (lead >> 5 == 6) {
        more = 1;
        value = lead & 31U;
        least = 0x80;
      } else if (lead >> 4 == 14) {
        more = 2;
        value = lead & 15U;
        least = 0x800;
      } else if (lead >> 3 == 30) {
        more = 3;
        value = lead & 7U;
        least = 0x10000;
      } else {
        return false;
      }
    }
    if (bytes.size() - i - 1 < more) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if (bytes[i + k] >> 6 != 2) return false;
      value = value << 6 | (bytes[i + k] & 63U);
    }
    if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace

TEST_CASE("threat T18 base64url: what is written is what the slow encoder writes, and reads back") {
  Random random{10};
  for (std::size_t size = 0; size <= 200; ++size) {
    for (int i = 0; i < 10; ++i) {
      const Octets bytes = random.bytes(size);
      const std::string want = base64url(bytes);
      REQUIRE(text::base64url_size(size) == want.size());
      REQUIRE(encoded(bytes) == want);
      REQUIRE(decoded(want) == bytes);
    }
  }
  for (std::size_t room = 0; room < 8; ++room) {
    Octets space(room);
    Writer out{space};
    text::base64url_put(out, Octets(6, 1));
    CHECK(out.overflow());
    CHECK(out.size() == 0);
  }
}

TEST_CASE("threat T18 base64url: every text of up to three characters is read as the slow decoder "
          "reads it") {
  std::size_t read = 0;
  const auto check = [&](std::string_view text) {
    const auto want = from_base64url(text);
    const auto got = decoded(text);
    if (got != want) FAIL("differs for " << hex(bytes_of(text)));
    if (got) ++read;
  };
  check("");
  std::string text(1, '\0');
  for (int a = 0; a < 256; ++a) {
    text[0] = static_cast<char>(a);
    check(text);
  }
  text.resize(2);
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      text[0] = static_cast<char>(a);
      text[1] = static_cast<char>(b);
      check(text);
    }
  }
  CHECK(read == 1 + 256);
  // Three: the whole alphabet and the neighbours of its ranges.
  const std::string some = std::string{base64url_digits} + "+/=. @[`{:,\n\0\x7f\x80\xff"s;
  for (const char a : some) {
    for (const char b : some) {
      for (const char c : some) check(std::string{a, b, c});
    }
  }
  CHECK(read == 1 + 256 + 65'536);
}

TEST_CASE("threat T18 base64url: longer texts, one character changed") {
  Random random{11};
  for (int i = 0; i < 20'000; ++i) {
    std::string text = base64url(random.bytes(1 + random.below(40)));
    text[random.below(text.size())] = static_cast<char>(random.byte());
    if (random.below(4) == 0) text.pop_back();
    if (random.below(4) == 0) text += static_cast<char>(random.byte());
    if (decoded(text) != from_base64url(text)) FAIL("differs for " << hex(bytes_of(text)));
  }
  SUCCEED();
}

TEST_CASE("threat T18 base64url: every byte at every place of a long text") {
  Random random{12};
  const std::string good = base64url(random.bytes(37));
  std::size_t read = 0;
  for (std::size_t place = 0; place < good.size(); ++place) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = good;
      text[place] = static_cast<char>(byte);
      const auto want = from_base64url(text);
      if (decoded(text) != want) FAIL("differs for " << hex(bytes_of(text)));
      if (want) ++read;
    }
  }
  // 64 digits each, but the last carries two bits.
  CHECK(read == (good.size() - 1) * 64 + 4);
}

TEST_CASE("base64url: too little room is an error before anything is written") {
  for (std::size_t size = 1; size <= 40; ++size) {
    const std::string text = base64url(Octets(size, 0xff));
    for (std::size_t room = 0; room <= size; ++room) {
      Octets out(room, 0);
      const auto done = text::base64url_decode(text, out);
      REQUIRE(name(done) == (room == size ? "ok" : "output_too_small"));
      if (!done) REQUIRE(out == Octets(room, 0));
    }
  }
}

TEST_CASE("base64url: an error says in which group of four it is") {
  for (std::size_t i = 0; i < 43; ++i) {
    std::string text(43, 'A');
    text[i] = '*';
    Octets out(32);
    const auto done = text::base64url_decode(text, out);
    CHECK(name(done) == "base64_invalid");
    CHECK(done.at() == i / 4 * 4);
  }
}

TEST_CASE("T14 text: a key of 32 bytes is read from its canonical spellings alone") {
  Random random{12};
  for (int i = 0; i < 500; ++i) {
    const Octets secret = random.bytes(32);
    const std::string forms[] = {hex(secret), base64url(secret), base64url(secret) + "="};
    for (const std::string& form : forms) {
      const Octets exact = octets(form);
      Octets out(32);
      REQUIRE(text::decode_key32(text_of(exact), out));
      REQUIRE(out == secret);
    }
    std::string changed = random.pick(forms);
    const std::size_t at = random.below(changed.size());
    changed[at] = "*= \n,:.%"[random.below(8)];
    Octets out(32);
    const bool same = std::find(std::begin(forms), std::end(forms), changed) != std::end(forms);
    REQUIRE(static_cast<bool>(text::decode_key32(changed, out)) == same);
  }
  Octets out(32);
  CHECK(name(text::decode_key32({}, out)) == "key_invalid");
  for (const std::size_t size : {0U, 31U, 33U}) {
    Octets wrong(size);
    CHECK(traps([&] { static_cast<void>(text::decode_key32(std::string(64, '0'), wrong)); }));
  }
}

TEST_CASE("UTF-8: every sequence of up to three bytes is judged as RFC 3629 does") {
  std::size_t wrong = 0;
  const auto check = [&](Bytes bytes) {
    if (text::is_utf8(bytes) != slow_is_utf8(bytes)) ++wrong;
  };
  check({});
  for (unsigned a = 0; a < 256; ++a) {
    const std::uint8_t one[] = {static_cast<std::uint8_t>(a)};
    check(one);
    for (unsigned b = 0; b < 256; ++b) {
      const std::uint8_t two[] = {one[0], static_cast<std::uint8_t>(b)};
      check(two);
      // What starts with ASCII was judged one byte shorter.
      if (a < 0x80) continue;
      for (unsigned c = 0; c < 256; ++c) {
        const std::uint8_t three[] = {one[0], two[1], static_cast<std::uint8_t>(c)};
        check(three);
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("UTF-8: sequences of four bytes, at every distance from a block of eight") {
  const Octets edges = {0x00, 0x2f, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                        0xa0, 0xbf, 0xc0, 0xe0, 0xf0, 0xff};
  std::size_t wrong = 0;
  for (unsigned a = 0xe0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      for (const std::uint8_t c : edges) {
        for (const std::uint8_t d : edges) {
          const std::uint8_t four[] = {static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b),
                                       c, d};
          if (text::is_utf8(four) != slow_is_utf8(four)) ++wrong;
        }
      }
    }
  }
  const std::string pieces[] = {
      "\xC3\xA9",         "\xE2\x82\xAC", "\xF0\x9F\x94\x91", "\xED\xA0\x80", "\xC0\xAF",
      "\xF4\x90\x80\x80", "\xE2\x82",     "\xF0\x9F\x94",     "\x80",         "\xff"};
  for (const std::string& piece : pieces) {
    for (std::size_t before = 0; before <= 17; ++before) {
      for (std::size_t after = 0; after <= 17; ++after) {
        const Octets exact = octets(std::string(before, 'a') + piece + std::string(after, 'a'));
        if (text::is_utf8(exact) != slow_is_utf8(exact)) ++wrong;
      }
    }
  }
  Random random{13};
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::size_t n = random.below(20); n > 0; --n) {
      text += random.below(3) == 0 ? std::string(1, static_cast<char>(random.byte()))
                                   : random.pick(pieces);
    }
    const Octets exact = octets(text);
    if (text::is_utf8(exact) != slow_is_utf8(exact)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("text: equal is ==, whatever length and wherever the difference") {
  for (std::size_t size = 0; size <= 40; ++size) {
    const std::string text(size, 'a');
    const Octets exact = octets(text);
    CHECK(text::equal(text_of(exact), text));
    CHECK_FALSE(text::equal(text_of(exact), text + "a"));
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] = static_cast<char>(0xE1);
      CHECK_FALSE(text::equal(text_of(exact), other));
    }
  }
}

TEST_CASE("threat T17 text: what needs no escape ends at the first byte that does, in any place") {
  // Neighbours of what is looked for, and bytes that differ from it in one bit alone.
  constexpr unsigned around[] = {0x00, 0x01, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x5B, 0x5C, 0x5D, 0x7F,
                                 0x80, 0x81, 0x9F, 0xA0, 0xA2, 0xA3, 0xDC, 0xDD, 0xFE, 0xFF};
  std::size_t wrong = 0;
  for (std::size_t size = 0; size <= 26; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const unsigned one : around) {
        for (const unsigned next : around) {
          std::string text(size, 'x');
          text[at] = static_cast<char>(one);
          if (at + 1 < size) text[at + 1] = static_cast<char>(next);
          const auto needs = [](char c) {
            return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
          };
          const auto end = std::find_if(text.begin(), text.end(), needs);
          const Octets exact = octets(text);
          const auto expected = static_cast<std::size_t>(end - text.begin());
          if (text::span_unescaped(text_of(exact)) != expected) ++wrong;
        }
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("text: ASCII is every byte below 0x80") {
  std::size_t wrong = 0;
  for (std::size_t size = 0; size <= 26; ++size) {
    for (unsigned c = 0; c < 256; ++c) {
      for (std::size_t at = 0; at < size; ++at) {
        Octets text(size, 0x7f);
        text[at] = static_cast<std::uint8_t>(c);
        if (text::is_ascii(text) != (c < 0x80)) ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(text::is_ascii({}));
}

TEST_CASE("text: plain is UTF-8 of 1..max bytes without control characters") {
  const auto slow = [](std::string_view text, std::size_t max) {
    if (text.empty() || text.size() > max || !slow_is_utf8(bytes_of(text))) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<std::uint8_t>(text[i]);
      if (c < 0x20 || c == 0x7f) return false;
      if (c == 0xC2 && static_cast<std::uint8_t>(text[i + 1]) < 0xA0) return false;
    }
    return true;
  };
  std::size_t wrong = 0;
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      for (const char* after : {"", "x", "\x80"}) {
        const std::string text = std::string{static_cast<char>(a), static_cast<char>(b)} + after;
        const Octets exact = octets(text);
        if (text::is_plain(text_of(exact), 3) != slow(text, 3)) ++wrong;
      }
    }
    const Octets one = {static_cast<std::uint8_t>(a)};
    if (text::is_plain(text_of(one), 1) != slow(text_of(one), 1)) ++wrong;
  }
  // Every byte, and every start of a two-byte character, at every place of longer texts.
  for (std::size_t size = 1; size <= 26; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (unsigned c = 0; c < 256; ++c) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(c);
        for (const unsigned next : {0x61U, 0x80U, 0x9fU, 0xa0U, 0x1fU}) {
          if (at + 1 < size) text[at + 1] = static_cast<char>(next);
          const Octets exact = octets(text);
          if (text::is_plain(text_of(exact), size) != slow(text, size)) ++wrong;
        }
      }
    }
  }
  CHECK(wrong == 0);
  CHECK_FALSE(text::is_plain("", 255));
  CHECK_FALSE(text::is_plain("a", 0));
  for (std::size_t max = 1; max <= 20; ++max) {
    CHECK(text::is_plain(std::string(max, 'a'), max));
    CHECK_FALSE(text::is_plain(std::string(max + 1, 'a'), max));
  }
}
