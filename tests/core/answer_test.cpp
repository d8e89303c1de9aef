#include "latchkey/answer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>
#include <string>
#include <vector>

using namespace latchkey;
using answer::Encoding;

namespace {

// The body in memory of exactly its size, so that a sanitizer sees every step outside.
struct Read {
  std::vector<std::uint8_t> body;
  std::vector<json::Node> nodes;
  Result<answer::Answer> result{Errc::json_invalid};

  Read(std::string_view type, std::string_view text, std::size_t room = answer::max_nodes)
      : body(text.begin(), text.end()), nodes(room) {
    result = answer::read(type, body, nodes);
  }
  [[nodiscard]] bool ok() const { return static_cast<bool>(result); }
  [[nodiscard]] std::string_view text(std::string_view name) const {
    return result->root.member(name).text();
  }
};

constexpr std::string_view form_type = "application/x-www-form-urlencoded";

}  // namespace

TEST_CASE("answer: the media type says how a body is read, else its first character") {
  struct Row {
    const char* type;
    bool json_body_ok;
    bool form_body_ok;
  };
  const Row rows[] = {
      {"application/json", true, false},
      {"application/json; charset=utf-8", true, false},
      {" \tAPPLICATION/Json ;charset=utf-8", true, false},
      {"text/json", true, false},
      {"application/problem+json", true, false},
      {"application/X-www-Form-urlencoded;charset=utf-8", false, true},
      {"application/x-www-form-urlencoded", false, true},
      {"", true, true},
      {";", true, true},
      {"text/plain", true, true},
      {"text/html", true, true},
      {"+json", true, true},
      {"application/jsonx", true, true},
      {"application/jwt", true, true},
  };
  for (const Row& row : rows) {
    INFO(row.type);
    const Read object{row.type, " \t\r\n{\"a\":\"1\"}"};
    CHECK(object.ok() == row.json_body_ok);
    if (object.ok()) CHECK(object.result->encoding == Encoding::json);
    const Read form{row.type, "a=1"};
    CHECK(form.ok() == row.form_body_ok);
    if (form.ok()) {
      CHECK(form.result->encoding == Encoding::form);
      CHECK(form.text("a") == "1");
    }
  }
}

TEST_CASE("answer: only a JSON object is one") {
  for (const std::string_view body :
       {"", " ", "null", "[]", "1", "\"a\"", "{", "{}x", "{\"a\":1,\"a\":2}", "\xEF\xBB\xBF{}",
        "{\"a\":\"\xFF\"}", "<html></html>", "{'a':1}"}) {
    INFO(body);
    CHECK_FALSE(Read("application/json", body).ok());
  }
  CHECK(Read("application/json", "{}").ok());
  CHECK(Read("application/json", "\n{ \"a\" : null }\n").ok());
}

TEST_CASE("answer: a form is strict") {
  struct Row {
    std::string_view body;
    bool ok;
  };
  const Row rows[] = {
      {"a=1", true},         {"a=", true},        {"a=1&b=2", true},      {"a==", true},
      {"a=1=2", true},       {"a.b-C_9=x", true}, {"%61=x", true},        {"a=%C3%A9", true},
      {"a=%00", true},       {"a=1&", false},     {"&a=1", false},        {"a=1&&b=2", false},
      {"", false},           {"=", false},        {"=1", false},          {"a", false},
      {"a=1&b", false},      {"a=1&a=1", false},  {"a=1&%61=2", false},   {"a b=1", false},
      {"a+b=1", false},      {"%C3%A9=1", false}, {"a=1 ", false},        {"a=1\n", false},
      {"a=\xC3\xA9", false}, {"a=%", false},      {"a=%4", false},        {"a=%4&b=1", false},
      {"a=%GG", false},      {"a=%4G", false},    {"a=%G4", false},       {"a=%G0%90%80%80", false},
      {"a=%-1", false},      {"a=%FF", false},    {"a=%ED%A0%80", false}, {"<html>=1", false},
      {"a=1;b=2", true},
  };
  for (const Row& row : rows) {
    INFO(row.body);
    CHECK(Read(form_type, row.body).ok() == row.ok);
  }
  const Read decoded{form_type, "scope=repo%2Cgist+user&x=%41%4a%4A&y=a%26b%3Dc"};
  REQUIRE(decoded.ok());
  CHECK(decoded.text("scope") == "repo,gist user");
  CHECK(decoded.text("x") == "AJJ");
  CHECK(decoded.text("y") == "a&b=c");
  CHECK_FALSE(decoded.result->root.member("z").present());
  CHECK(Read(form_type, std::string(64, 'n') + "=1").ok());
  CHECK_FALSE(Read(form_type, std::string(65, 'n') + "=1").ok());
}

TEST_CASE("threat T39: size and members are bounded") {
  const auto spaced = [](std::size_t size) { return std::string(size - 2, ' ') + "{}"; };
  CHECK(Read("application/json", spaced(answer::max_body)).ok());
  CHECK_FALSE(Read("application/json", spaced(answer::max_body + 1)).ok());

  std::string many = "a0=1";
  for (int i = 1; i < 7; ++i) many += "&a" + std::to_string(i) + "=1";
  CHECK(Read(form_type, many, 8).ok());
  CHECK_FALSE(Read(form_type, many, 7).ok());
  CHECK_FALSE(Read(form_type, "a=1", 1).ok());
  CHECK_FALSE(Read(form_type, "a=1", 0).ok());
  CHECK_FALSE(Read("application/json", "{}", 0).ok());
}

TEST_CASE("answer: encoded pairs come back as they were (property)") {
  std::mt19937 random{20240601};
  const std::string_view hex = "0123456789abcdefABCDEF";
  for (int round = 0; round < 3000; ++round) {
    std::map<std::string, std::string> pairs;
    const std::size_t count = 1 + random() % 6;
    while (pairs.size() < count) {
      std::string value(random() % 12, ' ');
      for (char& c : value) c = static_cast<char>(random() % 128);
      pairs["n" + std::to_string(random() % 100)] = value;
    }
    std::string body;
    for (const auto& [name, value] : pairs) {
      if (!body.empty()) body += '&';
      body += name + "=";
      for (const char c : value) {
        if (c > ' ' && c < 0x7f && c != '%' && c != '&' && c != '+' && random() % 2 == 0) {
          body += c;
        } else if (c == ' ' && random() % 2 == 0) {
          body += '+';
        } else {
          body += '%';
          body += hex[static_cast<std::size_t>(c) / 16];
          body += hex[static_cast<std::size_t>(c) % 16];
        }
      }
    }
    INFO(body);
    const Read read{form_type, body};
    REQUIRE(read.ok());
    for (const auto& [name, value] : pairs) CHECK(read.text(name) == value);
  }
}

TEST_CASE("answer: any bytes at all are read without a trap (property)") {
  std::mt19937 random{7};
  const std::string_view alphabet = "{}[]\"\\:,&=%+aA09 \n\xC3\xA9\xED\xA0<";
  for (int round = 0; round < 20000; ++round) {
    std::string body(random() % 24, ' ');
    for (char& c : body) c = alphabet[random() % alphabet.size()];
    for (const std::string_view type :
         {std::string_view{}, form_type, std::string_view{"text/json"}}) {
      const Read read{type, body};
      if (read.ok()) CHECK(read.result->root.is(json::Kind::object));
    }
  }
}
