#include "latchkey/url.hpp"

#include <arpa/inet.h>
#include <catch2/catch_test_macros.hpp>

#include <random>
#include <string>

using latchkey::Errc;
using latchkey::url::is_loopback_host;
using latchkey::url::parse;

TEST_CASE("url: parts of accepted URLs") {
  struct Row {
    const char* text;
    bool https;
    const char* host;
    std::uint16_t port;
    const char* origin;
    const char* path;
    bool has_query;
  };
  const Row rows[] = {
      {"https://a.example", true, "a.example", 443, "https://a.example", "", false},
      {"https://a.example/", true, "a.example", 443, "https://a.example", "/", false},
      {"http://a.example:8080/b/c?d=/e?f", false, "a.example", 8080, "http://a.example:8080",
       "/b/c?d=/e?f", true},
      {"http://localhost:1/", false, "localhost", 1, "http://localhost:1", "/", false},
      {"https://a:443/?", true, "a", 443, "https://a:443", "/?", true},
      {"http://a:65535", false, "a", 65535, "http://a:65535", "", false},
      {"http://127.0.0.1/", false, "127.0.0.1", 80, "http://127.0.0.1", "/", false},
      {"https://[::1]:8443/x", true, "::1", 8443, "https://[::1]:8443", "/x", false},
      {"https://[2001:db8::ab]", true, "2001:db8::ab", 443, "https://[2001:db8::ab]", "", false},
      {"https://[::ffff:1.2.3.4]/", true, "::ffff:1.2.3.4", 443, "https://[::ffff:1.2.3.4]", "/",
       false},
      {"https://xn--bcher-kva.example", true, "xn--bcher-kva.example", 443,
       "https://xn--bcher-kva.example", "", false},
      {"https://1.2.3.4a/", true, "1.2.3.4a", 443, "https://1.2.3.4a", "/", false},
      {"https://a/@b:c", true, "a", 443, "https://a", "/@b:c", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto url = parse(row.text);
    REQUIRE(url);
    CHECK(url->https == row.https);
    CHECK(url->host == row.host);
    CHECK(url->port == row.port);
    CHECK(url->origin == row.origin);
    CHECK(url->path == row.path);
    CHECK(url->has_query == row.has_query);
  }
}

TEST_CASE("url: what is not plainly a URL is refused with its position") {
  struct Row {
    std::string text;
    std::uint32_t at;
  };
  const std::string label64(64, 'a');
  const std::string label63(63, 'a');
  const Row rows[] = {
      {"", 0},
      {"a.example", 0},
      {"//a.example", 0},
      {"/a", 0},
      {"https:a.example", 0},
      {"https:/a.example", 0},
      {"HTTPS://a.example", 0},
      {"Http://a.example", 0},
      {"ftp://a.example", 0},
      {"javascript://a.example", 0},
      {"data:text/html,x", 0},
      {"https://", 8},
      {"http://", 7},
      {"https:///a", 8},
      {"https://?a", 8},
      {"https://a?b", 8},
      {"https://A.example", 8},
      {"https://a_b", 8},
      {"https://a%2eb", 8},
      {"https://u@a.example", 8},
      {"https://u:p@a.example", 8},
      {"https://localhost:80@evil.example", 8},
      {"https://a:", 8},
      {"https://a:/", 8},
      {"https://a:0", 8},
      {"https://a:080", 8},
      {"https://a:65536", 8},
      {"https://a:999999", 8},
      {"https://a:+80", 8},
      {"https://a:8o", 8},
      {"https://a:80:80", 8},
      {"https://.", 8},
      {"https://a.", 8},
      {"https://.a", 8},
      {"https://a..b", 8},
      {"https://" + label64, 8},
      {"https://" + label63 + "." + label63 + "." + label63 + "." + label63, 8},
      {"https://127.1", 8},
      {"https://2130706433", 8},
      {"https://0x7f.0.0.1", 8},
      {"https://0x7f000001", 8},
      {"https://1.2.3.0x4", 8},
      {"https://1.2.3.0x", 8},
      {"https://1.2.3.04", 8},
      {"https://1.2.3.256", 8},
      {"https://1.2.3.4.5", 8},
      {"https://a.1", 8},
      {"https://[::1", 8},
      {"https://[]", 8},
      {"https://[::1]a", 8},
      {"https://[::1]a80", 8},
      {"https://[1:2:3:4::5:6:7:8]", 8},
      {"https://[1:2:3:4:5:6:7]", 8},
      {"https://[1:2:3:4:5:6:7:8:9]", 8},
      {"https://[::1]:", 8},
      {"https://[::A]", 8},
      {"https://[a.example]", 8},
      {"https://[127.0.0.1]", 8},
      {"https://[fe80::1%25eth0]", 8},
      {"https://::1/", 8},
      {"https://a\\b", 9},
      {"https://a/\\b", 10},
      {"https://a#b", 9},
      {"https://a/b#", 11},
      {"https://a/ b", 10},
      {" https://a", 0},
      {"https://a ", 9},
      {"https://a\t.b", 9},
      {std::string{"https://a\0b", 11}, 9},
      {"https://a/\x7f", 10},
      {"https://a/\xc3\xa9", 10},
      {"https://a/" + std::string(2039, 'b'), 2048},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto url = parse(row.text);
    REQUIRE_FALSE(url);
    CHECK(url.error() == Errc::config_invalid);
    CHECK(url.at() == row.at);
  }
}

TEST_CASE("url: length bounds") {
  const std::string longest = "https://a/" + std::string(2038, 'b');
  REQUIRE(parse(longest));
  CHECK(parse(longest)->path.size() == 2039);
  const std::string label(63, 'a');
  const std::string name = label + "." + label + "." + label + "." + std::string(61, 'a');
  REQUIRE(name.size() == 253);
  CHECK(parse("https://" + name));
  CHECK_FALSE(parse("https://" + name + "a"));
}

TEST_CASE("url: every changed byte and every cut is refused or read as it is written") {
  const std::string base = "https://u.example:81/p?q";
  const auto check = [](const std::string& text) {
    CAPTURE(text);
    const auto url = parse(text);
    if (!url) return;
    CHECK(std::string{url->origin} + std::string{url->path} == text);
    CHECK(url->origin.find('@') == std::string_view::npos);
    CHECK(url->origin.find(url->host) == (url->https ? 8U : 7U));
  };
  for (std::size_t at = 0; at < base.size(); ++at) {
    check(base.substr(0, at));
    check(base.substr(at));
    for (int byte = 0; byte < 256; ++byte) {
      auto changed = base;
      changed[at] = static_cast<char>(byte);
      check(changed);
      check(base.substr(0, at) + static_cast<char>(byte) + base.substr(at));
    }
  }
}

TEST_CASE("url: IPv6 literals are those that inet_pton reads") {
  constexpr std::string_view pieces[] = {":",         ":", "::", "0",   "1",     "ffff", "127",
                                         "127.0.0.1", ".", "00", "db8", "fffff", "256",  "g"};
  std::mt19937_64 random{35};
  std::size_t accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (auto n = random() % 14; n > 0; --n) text += pieces[random() % std::size(pieces)];
    in6_addr address{};
    const bool expected = inet_pton(AF_INET6, text.c_str(), &address) == 1;
    CAPTURE(text);
    REQUIRE(static_cast<bool>(parse("http://[" + text + "]")) == expected);
    const bool mapped_loopback = IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127;
    const bool loopback = expected && (IN6_IS_ADDR_LOOPBACK(&address) || mapped_loopback);
    REQUIRE(is_loopback_host("[" + text + "]") == loopback);
    accepted += expected;
  }
  CHECK(accepted > 1000);
}

TEST_CASE("T35 names and addresses that are loopback") {
  for (const char* host : {"localhost",
                           "LOCALHOST",
                           "LocalHost",
                           "localhost:1",
                           "localhost:65535",
                           "127.0.0.1",
                           "127.9.9.9",
                           "127.0.0.1:8787",
                           "127.255.255.255",
                           "127.0.0.0",
                           "::1",
                           "[::1]",
                           "[::1]:80",
                           "0:0:0:0:0:0:0:1",
                           "[0000:0000:0000:0000:0000:0000:0000:0001]",
                           "::ffff:127.0.0.1",
                           "::FFFF:127.9.9.9",
                           "[::ffff:127.0.0.1]:443",
                           "::ffff:7f00:1",
                           "[::FFFF:7F12:3456]"}) {
    CAPTURE(host);
    CHECK(is_loopback_host(host));
  }
}

TEST_CASE("T35 names and addresses that are not loopback") {
  for (const char* host : {"",
                           " ",
                           "127.evil.com",
                           "127.0.0.256",
                           "::ffff:127.999.0.1",
                           "localhost.evil",
                           "evil.localhost",
                           "localhost.",
                           "127.0.0.1.",
                           "localhost.localdomain",
                           "localhos",
                           "localhostt",
                           " localhost",
                           "localhost ",
                           "localhost\t",
                           "127.999.1.1",
                           "127.0.0.01",
                           "127.00.0.1",
                           "0127.0.0.1",
                           "0x7f.0.0.1",
                           "127.0.0.0x1",
                           "127.1",
                           "127.0.1",
                           "127",
                           "127.",
                           "127...",
                           "127.0.0.",
                           "127.0.0.1.1",
                           "127.0.0.1 ",
                           "127.0.0.-1",
                           "127.0.0.+1",
                           "2130706433",
                           "126.0.0.1",
                           "128.0.0.1",
                           "0.0.0.0",
                           "10.0.0.1",
                           "localhost:",
                           "localhost:0",
                           "localhost:080",
                           "localhost:65536",
                           "localhost:80@evil.example",
                           "localhost:x",
                           "127.0.0.1:",
                           "127.0.0.1:80:80",
                           "user@localhost",
                           "localhost@evil.example",
                           "localhost/",
                           "localhost,evil.example",
                           "evil.example,localhost",
                           "[::1",
                           "::1]",
                           "[::1]x",
                           "[::1]:",
                           "[::1]:0",
                           "[::1]80",
                           "[::1]x80",
                           "[[::1]]",
                           "[localhost]",
                           "[127.0.0.1]",
                           "[]",
                           "::",
                           "::2",
                           "1::1",
                           "::1:80",
                           "::127.0.0.1",
                           "::fffe:127.0.0.1",
                           "::ffff:0:127.0.0.1",
                           "::1:ffff:127.0.0.1",
                           "::1:0:0:1",
                           "1::ffff:127.0.0.1",
                           "::ffff:126.0.0.1",
                           "::ffff:8000:1",
                           "::ffff:127.0.0.1:80",
                           "::1%lo",
                           "fe80::1",
                           "\xe2\x93\x9bocalhost"}) {
    CAPTURE(host);
    CHECK_FALSE(is_loopback_host(host));
  }
  CHECK_FALSE(is_loopback_host({"localhost\0", 10}));
  CHECK_FALSE(is_loopback_host({"\0localhost", 10}));
  CHECK_FALSE(is_loopback_host(std::string(100'000, '1')));
  CHECK_FALSE(is_loopback_host(std::string(100'000, ':')));
}

TEST_CASE("T35 every octet in every place, in every decimal spelling") {
  for (int place = 0; place < 4; ++place) {
    for (int value = 0; value < 1000; ++value) {
      for (const std::string zeros : {"", "0", "00"}) {
        std::string host = "127";
        for (int i = 0; i < 4; ++i) {
          const auto octet = i == place ? zeros + std::to_string(value) : i == 0 ? "127" : "1";
          host = i == 0 ? octet : host + "." + octet;
        }
        CAPTURE(host);
        const bool plain = zeros.empty() && value <= 255;
        REQUIRE(is_loopback_host(host) == (plain && (place != 0 || value == 127)));
        REQUIRE(static_cast<bool>(parse("http://" + host)) == plain);
      }
    }
  }
}
