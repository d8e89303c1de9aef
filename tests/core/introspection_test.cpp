#include "latchkey/introspection.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace latchkey;
using refresh::Doubt;
using refresh::ReplyClass;

namespace {

bool is_settled(std::uint16_t status, std::string_view text,
                std::string_view type = "application/json") {
  std::vector<std::uint8_t> body(text.begin(), text.end());
  const Doubt left = introspection::doubt(status, type, body);
  REQUIRE((left == Doubt::none || left == Doubt::answered));
  return left == Doubt::none;
}

}  // namespace

TEST_CASE("introspection: only a transient reply in doubt, made by the server itself") {
  // Every class, doubt and status; what may be asked about is counted from the header's sentence.
  unsigned asked = 0;
  for (unsigned status = 0; status <= 0xffff; ++status) {
    for (unsigned kind = 1; kind <= 6; ++kind) {
      for (unsigned doubt = 0; doubt <= 2; ++doubt) {
        refresh::Reply reply;
        reply.kind = static_cast<ReplyClass>(kind);
        reply.doubt = static_cast<Doubt>(doubt);
        if (!introspection::settles(reply, static_cast<std::uint16_t>(status))) continue;
        ++asked;
        CHECK((reply.kind == ReplyClass::transient && reply.doubt == Doubt::answered));
        CHECK(status <= 500);
      }
    }
  }
  CHECK(asked == 501);
}

TEST_CASE("RFC 7662 introspection: active is true, and nothing else is") {
  CHECK(is_settled(200, R"({"active":true})"));
  CHECK(is_settled(200, R"({"active":true,"client_id":"c","exp":1})"));
  CHECK(is_settled(200, R"( {"sub":"a", "active" : true} )", ""));
  for (const std::string_view body :
       {R"({"active":false})", R"({"active":"true"})", R"({"active":1})", R"({"active":null})",
        R"({"active":[true]})", R"({"active":{"active":true}})", R"({"data":{"active":true}})",
        R"([{"active":true}])", R"({"Active":true})", "{}", "true", "", "active=true",
        R"({"active":true)", R"({"active":true,"active":true})", R"({"active":true}{})"}) {
    INFO(body);
    CHECK_FALSE(is_settled(200, body));
  }
}

TEST_CASE("introspection: a form has no booleans, and a signed answer is not read") {
  CHECK_FALSE(is_settled(200, "active=true", "application/x-www-form-urlencoded"));
  CHECK_FALSE(is_settled(200, "eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.",
                         "application/token-introspection+jwt"));
}

TEST_CASE("introspection: only status 200 says something") {
  unsigned settled = 0;
  for (unsigned status = 0; status <= 0xffff; ++status) {
    std::string body = R"({"active":true})";
    if (is_settled(static_cast<std::uint16_t>(status), body)) ++settled;
  }
  CHECK(settled == 1);
}

TEST_CASE("introspection: a body beyond the limit says nothing") {
  std::string body = R"({"active":true,"sub":")";
  body += std::string(64'000 - body.size() - 2, 'a') + "\"}";
  CHECK(body.size() == 64'000);
  CHECK(is_settled(200, body));
  CHECK_FALSE(is_settled(200, body + " "));
}
