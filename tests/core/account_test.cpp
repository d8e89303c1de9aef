#include "latchkey/account.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace latchkey;

namespace {

struct Read {
  std::vector<std::uint8_t> body;
  Result<account::Account> result{Errc::account_unreadable};

  Read(std::string_view profile_name, std::string_view text, std::uint16_t status = 200,
       std::string_view type = "application/json")
      : body(text.begin(), text.end()) {
    const auto* profile = profile::find(profile_name);
    REQUIRE(profile != nullptr);
    result = account::read(status, type, body, *profile);
  }
  [[nodiscard]] bool ok() const { return static_cast<bool>(result); }
};

}  // namespace

TEST_CASE("account: id and label of good answers") {
  struct Row {
    const char* profile;
    const char* body;
    const char* id;
    const char* label;
  };
  const Row rows[] = {
      {"github-app", R"({"login":"octo","id":583231,"node_id":"X","name":null})", "583231", "octo"},
      {"github-oauth", R"({"id":1,"name":"Mona"})", "1", "Mona"},
      {"gitlab", R"({"id":42,"username":"jo","name":"Jo"})", "42", "jo"},
      {"google", R"({"sub":"1046","email":"a@b.example"})", "1046", "a@b.example"},
      {"x", R"({"data":{"id":"2244994945","username":"dev","name":"Dev"}})", "2244994945", "dev"},
      {"slack", R"({"ok":true,"user_id":"U1","user":"ann","team_id":"T1"})", "U1", "ann"},
      {"zoho", R"({"ZUID":123456789,"Email":"z@z.example"})", "123456789", "z@z.example"},
      {"generic", R"({"sub":"s","id":7,"email":"e@e.example"})", "s", "e@e.example"},
      {"generic", R"({"id":7})", "7", "7"},
      {"generic", R"({"sub":null,"id":"i"})", "i", "i"},
      {"generic", R"({"sub":"s","login":"l","preferred_username":"p","email":"e","name":"n"})", "s",
       "l"},
      {"generic", R"({"sub":"s","preferred_username":"p","email":"e","name":"n"})", "s", "p"},
      {"generic", R"({"sub":"s","email":"e","name":"n"})", "s", "e"},
      {"generic", R"({"sub":"s","name":"n"})", "s", "n"},
      {"generic", R"({"sub":"s","login":"","name":"n"})", "s", "n"},
      {"generic", R"({"sub":"s","login":"a\u0007","email":5,"name":"n"})", "s", "n"},
      {"generic", R"({"id":0})", "0", "0"},
      {"generic", R"({"id":9007199254740993})", "9007199254740993", "9007199254740993"},
      {"generic", R"({"id":123456789012345678901234567890})", "123456789012345678901234567890",
       "123456789012345678901234567890"},
      {"generic", "{\"sub\":\"\xC3\xA9\"}", "\xC3\xA9", "\xC3\xA9"},
  };
  for (const Row& row : rows) {
    INFO(row.body);
    const Read read{row.profile, row.body};
    REQUIRE(read.ok());
    CHECK(read.result->id == row.id);
    CHECK(read.result->label == row.label);
  }
}

TEST_CASE("account: an id that is not one is no account") {
  for (const char* body : {
           R"({})",
           R"({"sub":""})",
           R"({"sub":"","id":7})",
           R"({"sub":{},"id":7})",
           R"({"sub":[1]})",
           R"({"sub":true})",
           R"({"id":-1})",
           R"({"id":-0})",
           R"({"id":1.0})",
           R"({"id":1e3})",
           R"({"id":1E400})",
           R"({"sub":"a\u0000b"})",
           R"({"sub":"a\nb"})",
           R"({"sub":"a","sub":"b"})",
           R"({"name":"n"})",
           R"([{"sub":"s"}])",
           R"("s")",
           R"({"sub":"s")",
       }) {
    INFO(body);
    const Read read{"generic", body};
    CHECK_FALSE(read.ok());
    CHECK(read.result.error() == Errc::account_unreadable);
    CHECK(read.result.at() == 0);
  }
  CHECK_FALSE(Read("x", R"({"id":"1"})").ok());
  CHECK_FALSE(Read("x", R"({"data":"1"})").ok());
  CHECK_FALSE(Read("github-app", R"({"sub":"s"})").ok());
  CHECK_FALSE(Read("slack", R"({"ok":false,"error":"invalid_auth"})").ok());
}

TEST_CASE("account: lengths") {
  const auto body = [](std::size_t id, std::size_t label) {
    return R"({"sub":")" + std::string(id, 'i') + R"(","login":")" + std::string(label, 'l') +
           R"("})";
  };
  CHECK(Read("generic", body(255, 255)).result->label == std::string(255, 'l'));
  CHECK(Read("generic", body(255, 256)).result->label == std::string(255, 'i'));
  CHECK_FALSE(Read("generic", body(256, 1)).ok());
}

TEST_CASE("account: only a good JSON answer counts") {
  for (unsigned status = 0; status <= 700; ++status) {
    const bool good = status >= 200 && status <= 299;
    INFO(status);
    CHECK(Read("generic", R"({"sub":"s"})", static_cast<std::uint16_t>(status)).ok() == good);
  }
  CHECK(Read("generic", R"({"sub":"s"})", 200, "").ok());
  CHECK_FALSE(Read("generic", "sub=s", 200, "application/x-www-form-urlencoded").ok());
  CHECK_FALSE(Read("generic", "sub=s", 200, "").ok());
  CHECK_FALSE(account::read(200, {}, {}, *profile::find("generic")));
}

TEST_CASE("account: no cut answer names another account") {
  const std::string whole = R"({"id":583231,"login":"octo"})";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(Read("github-app", whole.substr(0, size)).ok());
  }
}
