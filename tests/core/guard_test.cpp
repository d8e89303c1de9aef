#include "latchkey/guard.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cctype>
#include <set>
#include <string>
#include <vector>

using latchkey::Errc;
using latchkey::guard::MediaType;
using latchkey::guard::outbound;
using latchkey::guard::request;
using latchkey::guard::RequestFacts;
using latchkey::guard::Verdict;

namespace {

constexpr const char* own = "http://127.0.0.1:8787";

/// A request that passes every check.
RequestFacts good() {
  RequestFacts facts;
  facts.method = "POST";
  facts.host = "127.0.0.1:8787";
  facts.origin = own;
  facts.sec_fetch_site = "same-origin";
  facts.content_type = "application/json";
  facts.own_origin = own;
  facts.media_type = MediaType::json;
  return facts;
}

void check_refused(const Verdict& verdict, std::uint16_t status, Errc code) {
  CHECK_FALSE(verdict.ok);
  CHECK(verdict.status == status);
  CHECK(verdict.code == code);
}

void check_passes(const Verdict& verdict) {
  CHECK(verdict.ok);
  CHECK(verdict.status == 0);
  CHECK(verdict.code == Errc::ok);
}

struct Sample {
  const char* text;
  bool good;
};

}  // namespace

TEST_CASE("T36 request: the whole decision table, first failing check wins") {
  constexpr Sample methods[] = {{"GET", true},   {"HEAD", true},    {"OPTIONS", true},
                                {"POST", false}, {"DELETE", false}, {"PUT", false},
                                {"", false},     {"get", false},    {"BREW", false}};
  constexpr Sample hosts[] = {
      {"localhost:8787", true}, {"[::1]:80", true}, {"evil.example", false}, {"", false}};
  constexpr Sample sites[] = {{"", true},           {"same-origin", true}, {"none", true},
                              {"same-site", false}, {"cross-site", false}, {"Same-Origin", false},
                              {"none ", false}};
  constexpr Sample origins[] = {{"", true},
                                {own, true},
                                {"null", true},  // says nothing, for or against
                                {"http://127.0.0.1:8788", false},
                                {"http://localhost:8787", false},
                                {"https://127.0.0.1:8787", false},
                                {"HTTP://127.0.0.1:8787", false},
                                {"http://127.0.0.1:8787/", false},
                                {"http://127.0.0.1:8787, http://evil.example", false}};
  constexpr Sample types[] = {{"application/json", true},
                              {"application/json; charset=utf-8", true},
                              {"", false},
                              {"text/plain; application/json", false}};
  for (const auto& method : methods) {
    for (const auto& host : hosts) {
      for (const bool proxied : {false, true}) {
        for (const auto& site : sites) {
          for (const auto& origin : origins) {
            for (const auto& type : types) {
              auto facts = good();
              facts.method = method.text;
              facts.host = host.text;
              facts.proxied = proxied;
              facts.sec_fetch_site = site.text;
              facts.origin = origin.text;
              facts.content_type = type.text;
              CAPTURE(method.text, host.text, proxied, site.text, origin.text, type.text);
              const bool says_origin = !facts.origin.empty() && facts.origin != "null";
              const bool sent = !facts.sec_fetch_site.empty() || says_origin;
              const auto verdict = request(facts);
              if (!host.good) {
                check_refused(verdict, 403, Errc::host_refused);
              } else if (proxied) {
                check_refused(verdict, 403, Errc::proxied_refused);
              } else if (method.good) {
                check_passes(verdict);
              } else if (!sent || !site.good || !origin.good) {
                check_refused(verdict, 403, Errc::origin_refused);
              } else if (!type.good) {
                check_refused(verdict, 415, Errc::media_type_refused);
              } else {
                check_passes(verdict);
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("T36 media types") {
  struct Row {
    MediaType wanted;
    const char* content_type;
    bool passes;
  };
  const Row rows[] = {
      {MediaType::json, "application/json", true},
      {MediaType::json, "Application/JSON", true},
      {MediaType::json, "application/json; charset=utf-8", true},
      {MediaType::json, "application/json;charset=utf-8", true},
      {MediaType::json, " \tapplication/json\t ; a=b", true},
      {MediaType::json, "application/json;", true},
      {MediaType::json, "application/jsonp", false},
      {MediaType::json, "application/jso", false},
      {MediaType::json, "application/json, text/plain", false},
      {MediaType::json, "text/plain, application/json", false},
      {MediaType::json, "text/plain; application/json", false},
      {MediaType::json, "text/plain;application/json", false},
      {MediaType::json, "application/ld+json", false},
      {MediaType::json, "application / json", false},
      {MediaType::json, "application/json charset=utf-8", false},
      {MediaType::json, "\napplication/json", false},
      {MediaType::json, "; application/json", false},
      {MediaType::json, ";", false},
      {MediaType::json, " ", false},
      {MediaType::json, "", false},
      {MediaType::json, "multipart/form-data", false},
      {MediaType::json, "application/x-www-form-urlencoded", false},
      {MediaType::form, "application/x-www-form-urlencoded", true},
      {MediaType::form, "application/x-www-form-urlencoded;charset=UTF-8", true},
      {MediaType::form, "application/json", false},
      {MediaType::form, "", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.content_type);
    auto facts = good();
    facts.media_type = row.wanted;
    facts.content_type = row.content_type;
    if (row.passes) {
      check_passes(request(facts));
    } else {
      check_refused(request(facts), 415, Errc::media_type_refused);
    }
  }
}

TEST_CASE("T36 an unset own origin proves nothing") {
  auto facts = good();
  facts.own_origin = "";
  facts.sec_fetch_site = "";
  check_refused(request(facts), 403, Errc::origin_refused);
  facts.origin = "";
  check_refused(request(facts), 403, Errc::origin_refused);
}

TEST_CASE("T37 no Host or any proxy header is refused for every method") {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "POST", "PATCH"}) {
    auto facts = good();
    facts.method = method;
    check_passes(request(facts));
    facts.proxied = true;
    check_refused(request(facts), 403, Errc::proxied_refused);
    facts.host = "";
    check_refused(request(facts), 403, Errc::host_refused);
  }
  check_refused(request({}), 403, Errc::host_refused);
}

TEST_CASE("T36 an open route asks for everything but Host and proxies") {
  for (const char* host : {"latchkey.example", "", "127.0.0.1:8787"}) {
    for (const bool proxied : {false, true}) {
      auto facts = good();
      facts.open = true;
      facts.host = host;
      facts.proxied = proxied;
      check_passes(request(facts));
      facts.content_type = "text/plain";
      check_refused(request(facts), 415, Errc::media_type_refused);
      facts.sec_fetch_site = "cross-site";
      check_refused(request(facts), 403, Errc::origin_refused);
      facts.sec_fetch_site = "";
      facts.origin = "";
      check_refused(request(facts), 403, Errc::origin_refused);
    }
  }
}

TEST_CASE("T72 outbound: https, or loopback in development, and one origin through five hops") {
  struct Row {
    const char* url;
    const char* from;
    std::uint32_t hop;
    bool in_production;
    bool in_development;
  };
  const Row rows[] = {
      {"https://a.example/t", "", 0, true, true},
      {"http://a.example/t", "", 0, false, false},
      {"http://127.0.0.1:9/t", "", 0, false, true},
      {"http://localhost/t", "", 0, false, true},
      {"http://[::1]:9/t", "", 0, false, true},
      {"http://127.evil.com/t", "", 0, false, false},
      {"http://localhost.evil/t", "", 0, false, false},
      {"http://10.0.0.1/t", "", 0, false, false},
      {"https://127.0.0.1/t", "", 0, true, true},
      {"https://u:p@a.example/", "", 0, false, false},
      {"https://a.example/#f", "", 0, false, false},
      {"ftp://a.example/", "", 0, false, false},
      {"//a.example/", "", 0, false, false},
      {"/t", "", 0, false, false},
      {"", "", 0, false, false},
      {"https://a.example/t", "", 1, false, false},
      {"https://a.example/u", "https://a.example/t", 1, true, true},
      {"https://a.example/u", "https://a.example/t", 5, true, true},
      {"https://a.example/u", "https://a.example/t", 6, false, false},
      {"https://a.example/u", "https://a.example/t", 0xffffffff, false, false},
      {"https://a.example:443/u", "https://a.example/t", 1, true, true},
      {"https://a.example:444/u", "https://a.example/t", 1, false, false},
      {"https://b.example/u", "https://a.example/t", 1, false, false},
      {"https://a.example.evil/u", "https://a.example/t", 1, false, false},
      {"https://sub.a.example/u", "https://a.example/t", 1, false, false},
      {"http://a.example/u", "https://a.example/t", 1, false, false},
      {"http://127.0.0.1/u", "https://127.0.0.1/t", 1, false, false},
      {"https://127.0.0.1/u", "http://127.0.0.1/t", 1, false, false},
      {"http://127.0.0.1:443/u", "https://127.0.0.1/t", 1, false, false},
      {"http://127.0.0.1:9/u", "http://127.0.0.1:9/t", 1, false, true},
      {"http://127.0.0.1:8/u", "http://127.0.0.1:9/t", 1, false, false},
      {"http://localhost:9/u", "http://127.0.0.1:9/t", 1, false, false},
      {"https://a.example/u", "a.example", 1, false, false},
      {"https://a.example/u", " ", 1, false, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.url, row.from, row.hop);
    CHECK(outbound(row.url, row.from, row.hop, false) == row.in_production);
    CHECK(outbound(row.url, row.from, row.hop, true) == row.in_development);
  }
}

TEST_CASE("T38 names: what may stand in a path or a storage key") {
  const std::string longest(100, 'a');
  const std::string over(101, 'a');
  for (const std::string_view good :
       {std::string_view{"1700000000.123456"}, std::string_view{"a"}, std::string_view{"A_b-c.d"},
        std::string_view{".a"}, std::string_view{longest}}) {
    CAPTURE(good);
    CHECK(latchkey::guard::is_name(good));
  }
  for (const std::string_view bad :
       {std::string_view{}, std::string_view{".."}, std::string_view{"."},
        std::string_view{"a/../b"}, std::string_view{"a..b"}, std::string_view{"a/b"},
        std::string_view{"a\\b"}, std::string_view{"a\0b", 3}, std::string_view{" "},
        std::string_view{"a b"}, std::string_view{"a:b"}, std::string_view{"\xc3\xa9"},
        std::string_view{over}}) {
    CAPTURE(bad);
    CHECK_FALSE(latchkey::guard::is_name(bad));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool good = (byte < 128 && std::isalnum(byte) != 0) || c == '_' || c == '-';
    if (c == '.') continue;
    CHECK(latchkey::guard::is_name({&c, 1}) == good);
  }
}

TEST_CASE("T13 T32 storage keys: no two lists of texts share one") {
  const auto key = [](std::vector<std::string_view> parts) {
    std::uint8_t space[32];
    latchkey::Writer out{space};
    latchkey::guard::put_key(out, parts);
    return std::string{latchkey::text_of(out.written())};
  };
  std::set<std::string> seen;
  std::size_t lists = 0;
  constexpr std::string_view texts[] = {"", "a", "b", "ab", "a.b@x", "a_b@x", "a:b", "1", "2"};
  for (const auto a : texts) {
    seen.insert(key({a}));
    ++lists;
    for (const auto b : texts) {
      seen.insert(key({a, b}));
      ++lists;
      for (const auto c : texts) {
        seen.insert(key({a, b, c}));
        ++lists;
      }
    }
  }
  CHECK(seen.size() == lists);
  CHECK(key({}).size() == 32);
  // T32: the account is a part of the key, so that a reconnected one has another cache.
  CHECK(key({"repo-access", "ada", "account-1", "octo", "hello"}) !=
        key({"repo-access", "ada", "account-2", "octo", "hello"}));
}
