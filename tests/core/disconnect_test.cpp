#include "latchkey/disconnect.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace latchkey;
using namespace latchkey::disconnect;

namespace {

constexpr Outcome done{true, true, Reason::none};
constexpr Outcome refused{false, false, Reason::refused};
constexpr Outcome unsupported{false, true, Reason::unsupported};
constexpr Outcome unreachable{false, false, Reason::unreachable};

Answer read_text(std::uint16_t status, std::string_view type, std::string_view text) {
  std::vector<std::uint8_t> body(text.begin(), text.end());
  return disconnect::read(status, type, body);
}

Outcome outcome_of(std::uint16_t status, std::string_view text) {
  return decide(read_text(status, "application/json", text));
}

}  // namespace

TEST_CASE("T49 disconnect: every status of a strict disconnect") {
  unsigned wrong = 0;
  for (unsigned i = 0; i <= 0xffff; ++i) {
    const auto status = static_cast<std::uint16_t>(i);
    Outcome expected = unreachable;
    if (i >= 200 && i <= 299) expected = done;
    if (i >= 400 && i <= 499) expected = refused;
    if (i == 404) expected = done;
    if (i == 429) expected = unreachable;
    if (decide({Kind::status, status}) != expected) ++wrong;
    // Without an answer there is no status to look at.
    if (decide({Kind::unreachable, status}) != unreachable) ++wrong;
    if (decide({Kind::unsupported, status}) != unsupported) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("T49 disconnect: a network error keeps the connection, an unsupported one does not") {
  CHECK(decide({Kind::unreachable}) == unreachable);
  CHECK(decide({Kind::unsupported}) == unsupported);
  CHECK(decide(Answer{}) == unreachable);
}

TEST_CASE("disconnect: what the provider has forgotten is disconnected") {
  // RFC 7009 section 2.2: 200 for a token it does not know.
  CHECK(outcome_of(200, "") == done);
  CHECK(outcome_of(200, "{}") == done);
  CHECK(outcome_of(400, R"({"error":"invalid_token"})") == done);
  CHECK(outcome_of(400, R"({"error":"invalid_token","error_description":"x"})") == done);
  // An expired access token answers like this while its refresh token lives.
  CHECK(outcome_of(401, R"({"error":"invalid_token"})") == refused);
  CHECK(outcome_of(403, R"({"error":"invalid_token"})") == refused);
  CHECK(outcome_of(400, R"({"error":"invalid_client"})") == refused);
  CHECK(outcome_of(400, R"({"error":"unsupported_token_type"})") == refused);
  CHECK(outcome_of(400, R"({"error":1})") == refused);
  CHECK(outcome_of(400, "<html>") == refused);
  CHECK(outcome_of(503, R"({"error":"invalid_token"})") == unreachable);
}

TEST_CASE("threat T11 disconnect: an error in a 200 is an error") {
  CHECK(outcome_of(200, R"({"ok":true,"revoked":true})") == done);
  CHECK(outcome_of(200, R"({"ok":false,"error":"ratelimited"})") == refused);
  CHECK(outcome_of(200, R"({"ok":false,"error":"token_expired"})") == refused);
  CHECK(outcome_of(200, R"({"ok":false})") == refused);
  CHECK(outcome_of(404, R"({"ok":false})") == refused);
  CHECK(outcome_of(200, R"({"ok":false,"error":"token_revoked"})") == done);
  CHECK(outcome_of(200, R"({"ok":false,"error":"account_inactive"})") == done);
  CHECK(outcome_of(500, R"({"ok":false,"error":"token_revoked"})") == unreachable);
  CHECK(outcome_of(200, R"({"ok":"false"})") == done);
}

TEST_CASE("disconnect: an unreadable body says nothing") {
  for (const std::string_view text : {"", "{", "null", "a", "{\"ok\":false,\"ok\":true}"}) {
    const Answer answer = read_text(400, "application/json", text);
    CHECK(answer.kind == Kind::status);
    CHECK(answer.status == 400);
    CHECK(answer.said == Said::nothing);
  }
  CHECK(read_text(400, "", "error=invalid_token").said == Said::gone);
  CHECK(disconnect::read(200, {}, {}).said == Said::nothing);
}
