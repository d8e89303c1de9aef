#include "latchkey/text.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace latchkey::text {
namespace {

constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t not_a_digit = 0x80;

constexpr std::array<std::uint8_t, 256> make_decode_table() noexcept {
  std::array<std::uint8_t, 256> table{};
  for (auto& entry : table) entry = not_a_digit;
  for (std::size_t i = 0; i < url_alphabet.size(); ++i) {
    table[static_cast<std::uint8_t>(url_alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr auto decode_table = make_decode_table();

std::uint8_t digit(char c) noexcept { return decode_table[static_cast<std::uint8_t>(c)]; }

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool decode_hex32(std::string_view text, MutBytes out) noexcept {
  for (std::size_t i = 0; i < 32; ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

constexpr std::uint64_t each_byte(std::uint8_t byte) noexcept {
  return std::uint64_t{byte} * 0x0101010101010101U;
}

std::uint64_t eight_at(std::string_view text, std::size_t i) noexcept {
  std::uint64_t eight = 0;
  std::memcpy(&eight, text.data() + i, sizeof eight);
  return eight;
}

// Eight bytes at once, each 0x20..0x7E. Borrows and carries only reach bytes above one that is out
// of range already, so the answer is exact.
bool is_plain_ascii(std::uint64_t eight) noexcept {
  const std::uint64_t below_blank = eight - each_byte(0x20);
  const std::uint64_t del_or_above = eight + each_byte(0x01);
  return ((eight | below_blank | del_or_above) & each_byte(0x80)) == 0;
}

bool is_unescaped(char c) noexcept {
  return c != '"' && c != '\\' && static_cast<std::uint8_t>(c) >= 0x20;
}

// How many of eight bytes come before the first that must be escaped. A byte is zero where it is
// the one looked for, and only zero borrows, so the lowest mark is exact.
std::size_t unescaped_in(std::uint64_t eight) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const std::uint64_t quotes = eight ^ each_byte('"');
  const std::uint64_t escapes = eight ^ each_byte('\\');
  const std::uint64_t marks = ((quotes - each_byte(1)) & ~quotes) |
                              ((escapes - each_byte(1)) & ~escapes) |
                              ((eight - each_byte(0x20)) & ~eight);
  return static_cast<std::size_t>(std::countr_zero(marks & each_byte(0x80))) / 8;
}

// The standard alphabet, told apart by `+` and `/`; a text that mixes both alphabets is refused.
bool decode_base64_32(std::string_view text, MutBytes out) noexcept {
  char url[43];
  bool standard = false;
  bool url_safe = false;
  for (std::size_t i = 0; i < sizeof url; ++i) {
    const char c = text[i];
    standard = standard || c == '+' || c == '/';
    url_safe = url_safe || c == '-' || c == '_';
    url[i] = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  const auto size = base64url_decode({url, sizeof url}, out);
  std::memset(url, 0, sizeof url);
  return !(standard && url_safe) && size && *size == 32;
}

}  // namespace

void base64url_put(Writer& out, Bytes bytes) noexcept {
  auto place = out.claim(base64url_size(bytes.size()));
  if (place.empty()) return;
  std::uint8_t* to = place.data();
  const std::uint8_t* from = bytes.data();
  const auto letter = [](std::uint32_t six_bits) noexcept {
    return static_cast<std::uint8_t>(url_alphabet[six_bits & 63U]);
  };
  std::size_t left = bytes.size();
  for (; left >= 3; left -= 3, from += 3) {
    const std::uint32_t group =
        std::uint32_t{from[0]} << 16 | std::uint32_t{from[1]} << 8 | from[2];
    *to++ = letter(group >> 18);
    *to++ = letter(group >> 12);
    *to++ = letter(group >> 6);
    *to++ = letter(group);
  }
  if (left == 1) {
    *to++ = letter(std::uint32_t{from[0]} >> 2);
    *to++ = letter(std::uint32_t{from[0]} << 4);
  } else if (left == 2) {
    const std::uint32_t group = std::uint32_t{from[0]} << 8 | from[1];
    *to++ = letter(group >> 10);
    *to++ = letter(group >> 4);
    *to++ = letter(group << 2);
  }
}

Result<std::size_t> base64url_decode(std::string_view text, MutBytes out) noexcept {
  const std::size_t tail = text.size() % 4;
  if (tail == 1) return {Errc::base64_invalid, static_cast<std::uint32_t>(text.size())};
  const std::size_t size = text.size() / 4 * 3 + (tail == 0 ? 0 : tail - 1);
  if (size > out.size()) return Errc::output_too_small;

  const char* from = text.data();
  std::uint8_t* to = out.data();
  std::size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    const std::uint32_t a = digit(from[i]);
    const std::uint32_t b = digit(from[i + 1]);
    const std::uint32_t c = digit(from[i + 2]);
    const std::uint32_t d = digit(from[i + 3]);
    if (((a | b | c | d) & not_a_digit) != 0) {
      return {Errc::base64_invalid, static_cast<std::uint32_t>(i)};
    }
    const std::uint32_t group = a << 18 | b << 12 | c << 6 | d;
    *to++ = static_cast<std::uint8_t>(group >> 16);
    *to++ = static_cast<std::uint8_t>(group >> 8);
    *to++ = static_cast<std::uint8_t>(group);
  }
  if (tail != 0) {
    const std::uint32_t a = digit(from[i]);
    const std::uint32_t b = digit(from[i + 1]);
    const std::uint32_t c = tail == 3 ? digit(from[i + 2]) : 0U;
    const std::uint32_t spare = tail == 3 ? c & 3U : b & 15U;
    if (((a | b | c) & not_a_digit) != 0 || spare != 0) {
      return {Errc::base64_invalid, static_cast<std::uint32_t>(i)};
    }
    const std::uint32_t group = a << 18 | b << 12 | c << 6;
    *to++ = static_cast<std::uint8_t>(group >> 16);
    if (tail == 3) *to++ = static_cast<std::uint8_t>(group >> 8);
  }
  return size;
}

Result<void> decode_key32(std::string_view text, MutBytes out32) noexcept {
  LK_CHECK(out32.size() == 32);
  bool good = false;
  if (text.size() == 64) {
    good = decode_hex32(text, out32);
  } else if (text.size() == 43 || (text.size() == 44 && text.back() == '=')) {
    good = decode_base64_32(text, out32);
  }
  return good ? Result<void>{} : Result<void>{Errc::key_invalid};
}

[[gnu::noinline]] bool equal(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  std::size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    if (eight_at(a, i) != eight_at(b, i)) return false;
  }
  for (; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

std::size_t span_unescaped(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i + 8 <= text.size()) {
    const std::size_t n = unescaped_in(eight_at(text, i));
    i += n;
    if (n < 8) return i;
  }
  while (i < text.size() && is_unescaped(text[i])) ++i;
  return i;
}

bool is_ascii(Bytes bytes) noexcept {
  const std::string_view text = text_of(bytes);
  std::uint64_t all = 0;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) all |= eight_at(text, i);
  for (; i < text.size(); ++i) all |= static_cast<std::uint8_t>(text[i]);
  return (all & each_byte(0x80)) == 0;
}

bool is_utf8(Bytes bytes) noexcept {
  const std::uint8_t* p = bytes.data();
  std::size_t i = 0;
  const std::size_t n = bytes.size();
  while (i < n) {
    if (i + 8 <= n) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, p + i, sizeof eight);
      if ((eight & each_byte(0x80)) == 0) {
        i += 8;
        continue;
      }
    }
    const std::uint8_t lead = p[i];
    if (lead < 0x80) {
      ++i;
      continue;
    }
    // RFC 3629 section 4: the second byte's range closes overlong forms, surrogates and > U+10FFFF.
    std::size_t length = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    if (length > n - i || p[i + 1] < low || p[i + 1] > high) return false;
    for (std::size_t k = 2; k < length; ++k) {
      if ((p[i + k] & 0xC0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

bool is_plain(std::string_view text, std::size_t max) noexcept {
  if (text.empty() || text.size() > max) return false;
  bool ascii = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 8 <= text.size() && is_plain_ascii(eight_at(text, i))) {
      i += 7;
      continue;
    }
    const auto c = static_cast<std::uint8_t>(text[i]);
    if (c < 0x20 || c == 0x7F) return false;
    if (c >= 0x80) {
      ascii = false;
      // C1 controls are C2 80..C2 9F.
      if (c == 0xC2 && i + 1 < text.size() && static_cast<std::uint8_t>(text[i + 1]) < 0xA0) {
        return false;
      }
    }
  }
  return ascii || is_utf8(bytes_of(text));
}

}  // namespace latchkey::text
