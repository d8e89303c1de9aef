#include "latchkey/return_to.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <random>
#include <string>
#include <vector>

using latchkey::Errc;
using latchkey::is_return_to;
using latchkey::max_return_to;

namespace {

using namespace std::string_literals;

/// The normal form, or "refused".
std::string normal(std::string_view text, std::string_view base = {}) {
  std::array<std::uint8_t, max_return_to> out{};
  const auto result = latchkey::return_to(text, base, out);
  if (result) return std::string{*result};
  CHECK(result.error() == Errc::return_to_invalid);
  return "refused";
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> starts) {
  for (const auto start : starts) {
    if (text.starts_with(start)) return true;
  }
  return false;
}

/// What holds for every answer, whatever was asked.
void check_promises(std::string_view text) {
  const auto result = normal(text);
  CAPTURE(text, result);
  if (result == "refused") {
    REQUIRE_FALSE(is_return_to(text));
    return;
  }
  REQUIRE(normal(result) == result);
  REQUIRE(is_return_to(result));
  REQUIRE(is_return_to(text) == (result == text));
  REQUIRE(result.size() <= max_return_to);
  REQUIRE(result.front() == '/');
  REQUIRE_FALSE(starts_with_any(result, {"//", "/%2f", "/%2F", "/%5c", "/%5C"}));
  for (const char c : result) {
    REQUIRE(c > ' ');
    REQUIRE(c < 0x7f);
    REQUIRE(c != '\\');
  }
}

}  // namespace

TEST_CASE("T11 normal forms") {
  struct Row {
    std::string text;
    std::string normal;
  };
  const Row rows[] = {
      {"/", "/"},
      {"/a", "/a"},
      {"/a/", "/a/"},
      {"/a?b=c#d", "/a?b=c#d"},
      {"/a?", "/a"},
      {"/a#", "/a"},
      {"/a?#", "/a"},
      {"/a?#b", "/a#b"},
      {"/a?b#", "/a?b"},
      {"/a??b?c", "/a??b?c"},
      {"/a##b?c", "/a##b?c"},
      {"/?//evil.example", "/?//evil.example"},
      {"/#//evil.example", "/#//evil.example"},
      {"/a//b", "/a//b"},
      {"/a///", "/a///"},
      {"/.", "/"},
      {"/..", "/"},
      {"/./", "/"},
      {"/../", "/"},
      {"/../../a", "/a"},
      {"/a/.", "/a/"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/a/b/../", "/a/"},
      {"/a/b/../c", "/a/c"},
      {"/a/./b", "/a/b"},
      {"/a//../b", "/a/b"},
      {"/a/%2e/b", "/a/b"},
      {"/a/%2E%2e/b", "/b"},
      {"/a/.%2e/b", "/b"},
      {"/a/%2E./b", "/b"},
      {"/a/...", "/a/..."},
      {"/a/%2e%2e%2e", "/a/%2e%2e%2e"},
      {"/a/.b/..c", "/a/.b/..c"},
      {"/a?../b", "/a?../b"},
      {"/a/..?b", "/?b"},
      {"/a/..#b", "/#b"},
      {"/a ", "/a"},
      {"/   ", "/"},
      {"/a? ", "/a"},
      {"/a? b ", "/a?%20b"},
      {"/a ?b #c ", "/a%20?b%20#c"},
      {"/ /a", "/%20/a"},
      {"/%", "/%"},
      {"/%zz", "/%zz"},
      {"/%41", "/%41"},
      {"/%25", "/%25"},
      {"/a%2fb%5Cc", "/a%2fb%5Cc"},
      {"/\xc3\xa9?\xc3\xa9#\xc3\xa9", "/%C3%A9?%C3%A9#%C3%A9"},
      {"/\xf0\x9f\x94\x91", "/%F0%9F%94%91"},
      {"/\xc2\x80\xef\xbb\xbf\xef\xbf\xbf", "/%C2%80%EF%BB%BF%EF%BF%BF"},
      {"/\xef\xbc\x8f", "/%EF%BC%8F"},
      {"/https://evil.example", "/https://evil.example"},
      {"/@evil.example", "/@evil.example"},
      {"/:80", "/:80"},
      {"/%09/evil.example", "/%09/evil.example"},
      {"/%252f", "/%252f"},
      {"/;//evil.example", "/;//evil.example"},
      {"/c:/d|e/..", "/c:/"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(normal(row.text) == row.normal);
    check_promises(row.text);
  }
}

TEST_CASE("T11 every visible byte in every part, encoded as the standard's sets say") {
  for (int byte = 0x20; byte < 0x7f; ++byte) {
    const char c = static_cast<char>(byte);
    const auto in = [c](std::string_view set) { return set.find(c) != std::string_view::npos; };
    constexpr char digits[] = "0123456789ABCDEF";
    const std::string escape{'%', digits[byte >> 4], digits[byte & 15]};
    const auto as = [&](std::string_view set) { return in(set) ? escape : std::string{c}; };
    CAPTURE(byte);
    if (!in("?#\\/")) CHECK(normal("/a"s + c + "a") == "/a" + as(" \"<>^`{}") + "a");
    if (!in("#\\")) CHECK(normal("/?a"s + c + "a") == "/?a" + as(" \"<>'") + "a");
    if (!in("\\")) CHECK(normal("/#a"s + c + "a") == "/#a" + as(" \"<>`") + "a");
  }
}

TEST_CASE("T11 threat T23 spellings that lead elsewhere are refused") {
  const std::string spellings[] = {
      "",
      " ",
      "a",
      "?a",
      "#a",
      ".",
      "..",
      "../a",
      "./a",
      " /a",
      "%2f",
      "%2f%2fevil.example",
      "%5cevil.example",
      "evil.example",
      "evil.example/",
      "@evil.example",
      ":evil.example",
      "http:evil.example",
      "http:/evil.example",
      "http:\\evil.example",
      "http://evil.example",
      "https:evil.example",
      "https:/evil.example",
      "https:///evil.example",
      "https://evil.example",
      "HTTPS://evil.example",
      "hTtP://evil.example",
      "https:\\\\evil.example",
      "https:h",
      "ftp://evil.example",
      "ws://evil.example",
      "file:///etc/passwd",
      "blob:https://evil.example/a",
      "about:blank",
      "mailto:a@evil.example",
      "javascript:alert(1)",
      "JavaScript:alert(1)",
      "java\tscript:alert(1)",
      "java\nscript:alert(1)",
      "\x01javascript:alert(1)",
      " javascript:alert(1)",
      "javascript://%0aalert(1)",
      "javascript://evil.example/%0aalert(1)",
      "vbscript:msgbox(1)",
      "data:text/html,<script>alert(1)</script>",
      "data:text/html;base64,PHNjcmlwdD4=",
      "//",
      "///",
      "////",
      "//h",
      "///h",
      "////h",
      "//h/",
      "//h/../..",
      "//h/%2e%2e",
      "//evil.example",
      "//evil.example/%2f..",
      "//evil.example:80",
      "//user@evil.example",
      "//127.0.0.1",
      "//2130706433",
      "//[::1]",
      "//%65vil.example",
      "//evil%E3%80%82example",
      "//\xe2\x80\xaf",
      "//\xe3\x80\x82",
      "/\\",
      "/\\h",
      "/\\\\h",
      "/\\/h",
      "/\\/\\h",
      "\\",
      "\\h",
      "\\/h",
      "\\\\h",
      "\\\\/h",
      "/a\\b",
      "/a/\\b",
      "/?\\",
      "/#\\",
      "/.\\h",
      "/..\\h",
      "/.//h",
      "/.///h",
      "/..//h",
      "/../..//h",
      "/././/h",
      "/./..//h",
      "/%2e//h",
      "/%2E//h",
      "/%2e%2e//h",
      "/%2e.//h",
      "/.%2E//h",
      "/a/..//h",
      "/a/%2e%2e//h",
      "/a/b/../..//h",
      "/a//../..//h",
      "/.//",
      "/a/..//",
      "/%2f",
      "/%2F",
      "/%2fh",
      "/%2f/h",
      "/%2f%2fh",
      "/%2F%2Fevil.example",
      "/%5c",
      "/%5C",
      "/%5cevil.example",
      "/%5C%5Cevil.example",
      "/./%2fevil.example",
      "/..%2f/../%2fevil.example",
      "/a/../%5cevil.example",
      "/%2e%2e/%2Fevil.example",
      "/\tevil.example",
      "/\t/evil.example",
      "/\n/evil.example",
      "/\r/evil.example",
      "/\r\n/evil.example",
      "/\t\\evil.example",
      "\t//evil.example",
      "/a\tb",
      "/a\nb",
      "/a\r\nLocation: https://evil.example",
      "/a\r\nSet-Cookie: a=b",
      "/?a\nb",
      "/#a\nb",
      "/a\n",
      "/\x0b/evil.example",
      "/\x0c/evil.example",
      "/\x1f/evil.example",
      "/\x7f",
      "/a\x7f/b",
      "/\0"s,
      "/\0/evil.example"s,
      "/a\0"s,
      "\0/a"s,
      "/\x80",
      "/\xff",
      "/\xc0\xaf",
      "/\xc0\xafh",
      "/\xe0\x80\xaf",
      "/\xc1\x9c",
      "/\xed\xa0\x80",
      "/\xf4\x90\x80\x80",
      "/\xc3",
      "\xef\xbb\xbf/a",
      "\xe2\x80\x8b/a",
      "\xc2\xa0/a",
      "\xef\xbc\x8f\xef\xbc\x8fh",
  };
  CHECK(std::size(spellings) > 140);
  for (const auto& text : spellings) {
    CAPTURE(text);
    CHECK(normal(text) == "refused");
    check_promises(text);
  }
}

TEST_CASE("T11 every control byte at every place is refused") {
  for (const std::string text : {"/a/b?c#d", "/"}) {
    for (std::size_t at = 0; at <= text.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        if (byte >= 0x20 && byte < 0x7f) continue;
        auto changed = text;
        changed.insert(at, 1, static_cast<char>(byte));
        CAPTURE(text, at, byte);
        REQUIRE(normal(changed) == "refused");
      }
    }
  }
}

TEST_CASE("T11 null is not the root") {
  CHECK(normal("") == "refused");
  CHECK(normal("/") == "/");
  CHECK(is_return_to("/"));
  CHECK_FALSE(is_return_to(""));
  CHECK_FALSE(is_return_to({}));
}

TEST_CASE("T11 length counts before and after encoding") {
  CHECK(normal("/" + std::string(511, 'a')) == "/" + std::string(511, 'a'));
  CHECK(normal("/" + std::string(512, 'a')) == "refused");
  CHECK(normal("/a" + std::string(510, ' ')) == "/a");
  CHECK(normal("/a" + std::string(511, ' ')) == "refused");
  CHECK(normal("/" + std::string(170, '{') + "a").size() == 512);
  CHECK(normal("/" + std::string(171, '{')) == "refused");
  CHECK(normal("/?" + std::string(170, '<')).size() == 512);
  CHECK(normal("/?" + std::string(170, '<') + "a") == "refused");
  CHECK(normal("/?" + std::string(170, '<') + "#") == "/?" + [] {
    std::string encoded;
    for (int i = 0; i < 170; ++i) encoded += "%3C";
    return encoded;
  }());
  CHECK(normal("/" + std::string(500, '{') + "/../a") == "/a");
  std::string deep;
  for (int i = 0; i < 128; ++i) deep += "/a";
  for (int i = 0; i < 85; ++i) deep += "/..";
  CHECK(deep.size() == 511);
  CHECK(normal(deep).size() == 2 * (128 - 85) + 1);
}

TEST_CASE("T11 base: the path lies in it after normalisation") {
  struct Row {
    const char* text;
    const char* base;
    const char* normal;
  };
  const Row rows[] = {
      {"/app", "/app", "/app"},
      {"/app/", "/app", "/app/"},
      {"/app/x", "/app", "/app/x"},
      {"/app?x", "/app", "/app?x"},
      {"/app#x", "/app", "/app#x"},
      {"/app/../app/x", "/app", "/app/x"},
      {"/app/a/b", "/app/a", "/app/a/b"},
      {"/x/../app", "/app", "/app"},
      {"/", "/app", "refused"},
      {"/application", "/app", "refused"},
      {"/app-evil", "/app", "refused"},
      {"/app%2fx", "/app", "refused"},
      {"/App/x", "/app", "refused"},
      {"/ap", "/app", "refused"},
      {"/x/app", "/app", "refused"},
      {"/app/..", "/app", "refused"},
      {"/app/../x", "/app", "refused"},
      {"/app/%2e%2e/x", "/app", "refused"},
      {"/app/a/../..", "/app", "refused"},
      {"/app/..//app", "/app", "refused"},
      {"/?/app", "/app", "refused"},
      {"/x", "app", "refused"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text, row.base);
    CHECK(normal(row.text, row.base) == row.normal);
  }
}

TEST_CASE("T11 every text of up to six pieces keeps the promises") {
  constexpr std::string_view pieces[] = {"/", ".", "%2e", "\\", "?", "#", "h"};
  std::vector<std::string> texts{""};
  for (std::size_t from = 0, round = 0; round < 6; ++round) {
    const auto to = texts.size();
    for (; from < to; ++from) {
      for (const auto piece : pieces) texts.push_back(texts[from] + std::string{piece});
    }
  }
  CHECK(texts.size() == 137'257);
  for (const auto& text : texts) check_promises(text);
}

TEST_CASE("T11 random bytes keep the promises") {
  constexpr std::string_view pieces[] = {"/", "/", "..", ".",   "%2e",  "%2F",      "%5c",  "?",
                                         "#", " ", "a",  "\\",  "\t",   "'",        "\"",   "<",
                                         "^", "{", "`",  "%zz", "\x7f", "\xc3\xa9", "\xff", "|"};
  std::mt19937_64 random{11};
  for (int i = 0; i < 100'000; ++i) {
    std::string text = random() % 8 == 0 ? "" : "/";
    for (auto n = random() % (random() % 50 == 0 ? 400 : 12); n > 0; --n) {
      if (random() % 16 == 0) {
        text += static_cast<char>(random() % 256);
      } else {
        text += pieces[random() % std::size(pieces)];
      }
    }
    check_promises(text);
  }
}
