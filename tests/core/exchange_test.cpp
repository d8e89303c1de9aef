#include "latchkey/exchange.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace latchkey;
using exchange::TokenSet;

namespace {

constexpr UnixMillis now{1'700'000'000'123};
constexpr std::string_view json_type = "application/json; charset=utf-8";
constexpr std::string_view form_type = "application/x-www-form-urlencoded";
constexpr std::int64_t ten_years = 315'360'000;

struct Read {
  std::vector<std::uint8_t> body;
  Result<TokenSet> result{Errc::exchange_unreadable};

  explicit Read(std::string_view text, std::uint16_t status = 200,
                std::string_view type = json_type, std::string_view profile_name = "github-app",
                UnixMillis at = now)
      : body(text.begin(), text.end()) {
    const auto* profile = profile::find(profile_name);
    REQUIRE(profile != nullptr);
    result = exchange::read(status, type, body, at, *profile);
  }
  [[nodiscard]] bool ok() const { return static_cast<bool>(result); }
  [[nodiscard]] Errc error() const { return result.error(); }
};

// A good answer with one more member.
std::string good_with(std::string_view members) {
  return R"({"access_token":"at","token_type":"bearer","refresh_token":"rt",)" +
         std::string{members} + "}";
}

constexpr std::string_view good_json =
    R"({"access_token":"ghu_first","expires_in":28800,"refresh_token":"ghr_first",)"
    R"("refresh_token_expires_in":15897600,"scope":"","token_type":"bearer"})";
constexpr std::string_view good_json_texts =
    R"({"access_token":"ghu_first","expires_in":"28800","refresh_token":"ghr_first",)"
    R"("refresh_token_expires_in":"15897600","scope":"","token_type":"bearer"})";
constexpr std::string_view good_form =
    "access_token=ghu_first&expires_in=28800&refresh_token=ghr_first"
    "&refresh_token_expires_in=15897600&scope=&token_type=bearer";

}  // namespace

TEST_CASE("threat T11 exchange: numbers, texts and forms mean the same") {
  struct Row {
    std::string_view body;
    std::string_view type;
  };
  const Row rows[] = {
      {good_json, json_type},
      {good_json, ""},
      {good_json, "text/plain"},
      {good_json_texts, ""},
      {good_json_texts, "text/html"},
      {good_form, form_type},
      {good_form, ""},
      {good_form, "text/plain"},
  };
  for (const Row& row : rows) {
    INFO(row.body << " as " << row.type);
    const Read read{row.body, 200, row.type};
    REQUIRE(read.ok());
    CHECK(read.result->access_token == "ghu_first");
    CHECK(read.result->refresh_token == "ghr_first");
    CHECK(read.result->has_scope);
    CHECK(read.result->scope.empty());
    CHECK(read.result->has_expires_at);
    CHECK(read.result->expires_at.value == now.value + 28'800'000);
    CHECK(read.result->has_refresh_expires_at);
    CHECK(read.result->refresh_expires_at.value == now.value + 15'897'600'000);
  }
  CHECK(Read(good_json, 200, form_type).error() == Errc::exchange_unreadable);
  CHECK(Read(good_form, 200, json_type).error() == Errc::exchange_unreadable);
}

TEST_CASE("T44 exchange: what is not said is not invented") {
  const Read read{R"({"access_token":"at"})"};
  REQUIRE(read.ok());
  CHECK(read.result->refresh_token.empty());
  CHECK_FALSE(read.result->has_expires_at);
  CHECK_FALSE(read.result->has_refresh_expires_at);
  CHECK_FALSE(read.result->has_scope);
  CHECK(Read(R"({"access_token":"at","refresh_token":null})").result->refresh_token.empty());
  CHECK(Read(R"({"access_token":"at","refresh_token":""})").result->refresh_token.empty());
  // There is nothing whose end it could be.
  CHECK_FALSE(
      Read(R"({"access_token":"at","refresh_expires_in":5})").result->has_refresh_expires_at);
}

TEST_CASE("T44 exchange: an ill-formed refresh token is never dropped in silence") {
  for (const std::string_view value :
       {"1", "true", "{}", "[]", R"("a b")", R"("a\n")", "\"\xC3\xA9\""}) {
    INFO(value);
    const std::string body = R"({"access_token":"at","refresh_token":)" + std::string{value} + "}";
    CHECK(Read(body).error() == Errc::exchange_unreadable);
  }
}

TEST_CASE("exchange: status and body, the whole decision table") {
  struct Row {
    const char* body;
    Errc good;  // status 2xx
    Errc unauthorized;  // 401
    Errc other;  // every other status that is not transient
  };
  constexpr Errc refused = Errc::exchange_refused;
  constexpr Errc client = Errc::provider_refused_client;
  constexpr Errc unreadable = Errc::exchange_unreadable;
  const Row rows[] = {
      {R"({"access_token":"at"})", Errc::ok, client, unreadable},
      {R"({"access_token":"at","error":null})", Errc::ok, client, unreadable},
      {R"({"access_token":"at","ok":true})", Errc::ok, client, unreadable},
      {R"({"error":"invalid_client"})", client, client, client},
      {R"({"error":"unauthorized_client"})", client, client, client},
      {R"({"error":"incorrect_client_credentials"})", client, client, client},
      {R"({"error":"redirect_uri_mismatch"})", client, client, client},
      {R"({"error":"unsupported_grant_type"})", client, client, client},
      {R"({"error":"invalid_scope"})", client, client, client},
      {R"({"ok":false,"error":"invalid_client_id"})", client, client, client},
      {R"({"ok":false,"error":"bad_client_secret"})", client, client, client},
      {R"({"ok":false,"error":"bad_redirect_uri"})", client, client, client},
      {R"({"error":"invalid_grant"})", refused, refused, refused},
      {R"({"error":"bad_verification_code"})", refused, refused, refused},
      {R"({"error":"bad_refresh_token"})", refused, refused, refused},
      {R"({"error":"INVALID_CLIENT"})", refused, refused, refused},
      {R"({"error":"some words"})", refused, refused, refused},
      {R"({"ok":false,"error":"invalid_code"})", refused, refused, refused},
      {R"({"ok":false})", refused, refused, refused},
      {R"({"ok":false,"access_token":"at"})", refused, refused, refused},
      {R"({"error":"invalid_grant","access_token":"at"})", unreadable, client, unreadable},
      {R"({"error":"invalid_client","access_token":"at"})", unreadable, client, unreadable},
      {R"({"error":"","access_token":"at"})", unreadable, client, unreadable},
      {R"({"error":{"code":401}})", unreadable, client, unreadable},
      {R"({"error":false,"access_token":"at"})", unreadable, client, unreadable},
      {R"({"error":"a","error":"a"})", unreadable, client, unreadable},
      {R"({"status":"BAD_AUTH_CODE"})", unreadable, client, unreadable},
      {R"({})", unreadable, client, unreadable},
      {R"([])", unreadable, client, unreadable},
      {"", unreadable, client, unreadable},
      {"<html>log in to the network</html>", unreadable, client, unreadable},
      {"error=bad_verification_code&error_description=a+b", unreadable, client, unreadable},
  };
  for (const Row& row : rows) {
    for (unsigned i = 0; i <= 700; ++i) {
      const auto status = static_cast<std::uint16_t>(i);
      Errc expected = row.other;
      if (i >= 200 && i <= 299) expected = row.good;
      if (i == 401) expected = row.unauthorized;
      if ((i >= 300 && i <= 399) || i == 429 || i >= 500) expected = Errc::exchange_unreachable;
      const Read read{row.body, status};
      if (read.error() != expected) {
        INFO(row.body << " with " << i);
        CHECK(read.error() == expected);
      }
    }
  }
  const Read form{"error=bad_verification_code&error_description=a+b", 200, form_type};
  CHECK(form.error() == Errc::exchange_refused);
  CHECK(Read("error=incorrect_client_credentials", 200, form_type).error() ==
        Errc::provider_refused_client);
}

TEST_CASE("T43 exchange: an error in a 200 is refused, trouble on the way is not") {
  CHECK(Read(R"({"error":"bad_refresh_token"})", 200).error() == Errc::exchange_refused);
  CHECK(Read(R"({"error":"server_error"})", 500).error() == Errc::exchange_unreachable);
  CHECK(Read(R"({"error":"slow_down"})", 429).error() == Errc::exchange_unreachable);
  CHECK(Read("<html>", 200, "text/html").error() == Errc::exchange_unreadable);
  CHECK(Read(R"({"token_type":"bearer"})", 200).error() == Errc::exchange_unreadable);
}

TEST_CASE("exchange: an access token is 1..8,192 visible ASCII characters") {
  for (int c = 0; c < 256; ++c) {
    if (c == '%' || c == '&' || c == '+') continue;  // these mean something in a form
    const std::string body =
        "access_token=a" + std::string(1, static_cast<char>(c)) + "b&token_type=bearer";
    INFO(c);
    CHECK(Read(body, 200, form_type).ok() == (c > 0x20 && c < 0x7f));
  }
  for (const char* value :
       {R"("")", R"("a b")", R"("a\u0000")", R"("\u00e9")", "1", "null", "{}"}) {
    INFO(value);
    CHECK(Read(R"({"access_token":)" + std::string{value} + "}").error() ==
          Errc::exchange_unreadable);
  }
  const auto sized = [](std::size_t size) {
    return R"({"access_token":")" + std::string(size, 'a') + R"("})";
  };
  CHECK(Read(sized(8192)).result->access_token.size() == 8192);
  CHECK_FALSE(Read(sized(8193)).ok());
  // An escaped character is the character.
  CHECK(Read(R"({"access_token":"\u0061\/"})").result->access_token == "a/");
}

TEST_CASE("exchange: the token type is bearer in any case, or not said") {
  struct Row {
    const char* type;
    bool ok;
  };
  const Row rows[] = {
      {R"("bearer")", true},
      {R"("Bearer")", true},
      {R"("BEARER")", true},
      {"null", true},
      {R"("bearer ")", false},
      {R"("")", false},
      {R"("mac")", false},
      {R"("DPoP")", false},
      {R"("bot")", false},
      {R"("beare")", false},
      {"1", false},
      {"[]", false},
      {R"("bearers")", false},
      {R"("b\u0045arer")", true},
  };
  for (const Row& row : rows) {
    INFO(row.type);
    CHECK(Read(R"({"access_token":"at","token_type":)" + std::string{row.type} + "}").ok() ==
          row.ok);
  }
}

TEST_CASE("threat T8 exchange: no token is lost over an odd lifetime") {
  struct Row {
    const char* value;
    std::int64_t seconds;  // 0: not said
  };
  const Row rows[] = {
      {"1", 1},
      {"28800", 28800},
      {R"("28800")", 28800},
      {R"("007")", 7},
      {"315360000", ten_years},
      {"315360001", ten_years},
      {"9007199254740993", ten_years},
      {"9223372036854775808", ten_years},
      {R"("99999999999999999999999999999999")", ten_years},
      {"0", 0},
      {R"("0")", 0},
      {"-1", 0},
      {R"("-1")", 0},
      {"1.5", 0},
      {"28800.0", 0},
      {"1e300", 0},
      {"1e3", 0},
      {R"("1e3")", 0},
      {R"(" 28800")", 0},
      {R"("+28800")", 0},
      {R"("")", 0},
      {R"("soon")", 0},
      {"null", 0},
      {"true", 0},
      {"[28800]", 0},
      {R"({"s":28800})", 0},
  };
  for (const Row& row : rows) {
    INFO(row.value);
    const Read read{good_with(R"("expires_in":)" + std::string{row.value} +
                              R"(,"refresh_token_expires_in":)" + std::string{row.value})};
    REQUIRE(read.ok());
    CHECK(read.result->access_token == "at");
    CHECK(read.result->refresh_token == "rt");
    CHECK(read.result->has_expires_at == (row.seconds != 0));
    CHECK(read.result->has_refresh_expires_at == (row.seconds != 0));
    const std::int64_t end = row.seconds == 0 ? 0 : now.value + row.seconds * 1000;
    CHECK(read.result->expires_at.value == end);
    CHECK(read.result->refresh_expires_at.value == end);
  }
  for (const char* name :
       {"refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"}) {
    const Read read{good_with("\"" + std::string{name} + "\":60")};
    REQUIRE(read.ok());
    CHECK(read.result->refresh_expires_at.value == now.value + 60'000);
  }
  // At the end of time it stays inside it.
  const Read last{good_with(R"("expires_in":60)"), 200, json_type, "generic",
                  UnixMillis{UnixMillis::max}};
  CHECK(last.result->expires_at.value == UnixMillis::max);
}

TEST_CASE("exchange: granted scopes come back with one space between them") {
  struct Row {
    const char* profile;
    const char* value;
    bool has;
    const char* scope;
  };
  const Row rows[] = {
      {"github-oauth", R"("repo,gist")", true, "repo gist"},
      {"github-oauth", R"("repo")", true, "repo"},
      {"github-oauth", R"(",, repo , gist ,")", true, "repo gist"},
      {"slack", R"("chat:write,users:read")", true, "chat:write users:read"},
      {"generic", R"("a,b  c ")", true, "a,b c"},
      {"generic", R"(" a")", true, "a"},
      {"generic", R"("")", true, ""},
      {"generic", R"("   ")", true, ""},
      {"generic", R"("a\tb")", false, ""},
      {"generic", R"("a\"b")", false, ""},
      {"generic", R"("\u00e9")", false, ""},
      {"generic", R"(["a","b"])", false, ""},
      {"generic", "null", false, ""},
      {"generic", "1", false, ""},
  };
  for (const Row& row : rows) {
    INFO(row.profile << " " << row.value);
    const Read read{good_with(R"("scope":)" + std::string{row.value}), 200, json_type, row.profile};
    REQUIRE(read.ok());
    CHECK(read.result->has_scope == row.has);
    CHECK(read.result->scope == row.scope);
    CHECK(read.result->access_token == "at");
    CHECK(read.result->refresh_token == "rt");
  }
  const auto long_scope = [](std::size_t size) {
    std::string text;
    while (text.size() + 2 <= size) text += "a ";
    return good_with(R"("scope":")" + text + std::string(size - text.size(), 'a') + "\"");
  };
  CHECK(Read(long_scope(4096), 200, json_type, "generic").result->has_scope);
  CHECK_FALSE(Read(long_scope(4097), 200, json_type, "generic").result->has_scope);
}

TEST_CASE("exchange: Slack's tokens are found where they are, and never mixed") {
  const Read bot{R"({"ok":true,"access_token":"xoxb-1","token_type":"bot","scope":"a,b",)"
                 R"("authed_user":{"id":"U1","access_token":"xoxp-1","token_type":"user",)"
                 R"("refresh_token":"xoxe-1"}})",
                 200, json_type, "slack"};
  REQUIRE(bot.ok());
  CHECK(bot.result->access_token == "xoxb-1");
  CHECK(bot.result->scope == "a b");
  CHECK(bot.result->refresh_token.empty());

  const Read user{R"({"ok":true,"expires_in":1,"authed_user":{"id":"U1","scope":"c",)"
                  R"("access_token":"xoxp-1","token_type":"user","refresh_token":"xoxe-1",)"
                  R"("expires_in":43200}})",
                  200, json_type, "slack"};
  REQUIRE(user.ok());
  CHECK(user.result->access_token == "xoxp-1");
  CHECK(user.result->refresh_token == "xoxe-1");
  CHECK(user.result->scope == "c");
  CHECK(user.result->expires_at.value == now.value + 43'200'000);

  const auto slack = [](const char* body) { return Read{body, 200, json_type, "slack"}; };
  CHECK_FALSE(slack(R"({"ok":true,"authed_user":{"id":"U1"}})").ok());
  CHECK_FALSE(slack(R"({"ok":true,"authed_user":"xoxp-1"})").ok());
  CHECK_FALSE(slack(R"({"ok":true,"access_token":"a","token_type":"user"})").ok());
  CHECK_FALSE(slack(R"({"authed_user":{"access_token":"a","token_type":"bot"}})").ok());
  CHECK(slack(R"({"error":"x","authed_user":{"access_token":"a"}})").error() ==
        Errc::exchange_unreadable);
  // Only where the profile says so.
  CHECK_FALSE(Read(R"({"authed_user":{"access_token":"a"}})", 200, json_type, "generic").ok());
}

TEST_CASE("exchange: duplicates make an answer unreadable") {
  CHECK(Read(R"({"access_token":"at","refresh_token":"a","refresh_token":"b"})").error() ==
        Errc::exchange_unreadable);
  CHECK(Read(R"({"access_token":"a","\u0061ccess_token":"b"})").error() ==
        Errc::exchange_unreadable);
  CHECK(Read("access_token=a&access_token=a&token_type=bearer", 200, form_type).error() ==
        Errc::exchange_unreadable);
}

TEST_CASE("exchange: a form is only whole when the token type stands behind the tokens") {
  for (const char* body : {
           "access_token=at",
           "access_token=at&token_type=",
           "access_token=at&token_type=beare",
           "token_type=bearer&access_token=at",
           "access_token=at&token_type=bearer&refresh_token=rt",
       }) {
    INFO(body);
    CHECK(Read(body, 200, form_type).error() == Errc::exchange_unreadable);
  }
  CHECK(Read("access_token=at&token_type=Bearer&scope=a", 200, form_type).ok());
}

TEST_CASE("threat T8 exchange: no cut body gives a token, and none is called refused") {
  for (const std::string_view whole : {good_json, good_json_texts, good_form}) {
    const std::string_view type = whole.front() == '{' ? json_type : form_type;
    for (const std::string_view sent_as : {type, std::string_view{}}) {
      for (std::size_t size = 0; size < whole.size(); ++size) {
        INFO(whole.substr(0, size));
        CHECK(Read(whole.substr(0, size), 200, sent_as).error() == Errc::exchange_unreadable);
      }
      CHECK(Read(whole, 200, sent_as).ok());
    }
  }
}

TEST_CASE("exchange: one changed byte never invents a token (property)") {
  std::mt19937 random{11};
  for (const std::string_view whole : {good_json, good_json_texts, good_form}) {
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (int round = 0; round < 12; ++round) {
        std::string changed{whole};
        changed[at] = static_cast<char>(random() % 256);
        const Read read{changed, 200, ""};
        if (!read.ok()) continue;
        // Whatever is read stands in the body and is well-formed.
        const auto& tokens = *read.result;
        CHECK_FALSE(tokens.access_token.empty());
        for (const std::string_view token : {tokens.access_token, tokens.refresh_token}) {
          CHECK(
              std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; }));
        }
        if (tokens.has_expires_at) CHECK(tokens.expires_at.value > now.value);
      }
    }
  }
}

TEST_CASE("T07 exchange: a refusal carries nothing of the provider") {
  for (const char* body : {
           R"({"error":"CANARY","error_description":"CANARY"})",
           R"({"access_token":"CANARY","error":"CANARY"})",
           R"({"access_token":"CANARY","refresh_token":1})",
           "CANARY",
       }) {
    for (const std::uint16_t status : {std::uint16_t{200}, std::uint16_t{302}, std::uint16_t{400},
                                       std::uint16_t{401}, std::uint16_t{500}}) {
      const Read read{body, status};
      CHECK_FALSE(read.ok());
      CHECK(read.result.at() == 0);
      // No view into the body: a pointer into it would be among the bytes of the result.
      const auto begin = reinterpret_cast<std::uintptr_t>(read.body.data());
      std::uintptr_t words[sizeof read.result / sizeof(std::uintptr_t)];
      std::memcpy(words, &read.result, sizeof words);
      for (const std::uintptr_t word : words) {
        CHECK_FALSE((word >= begin && word < begin + read.body.size()));
      }
    }
  }
}

TEST_CASE("T06 exchange: every reason has a public code") {
  CHECK(public_code(Errc::exchange_refused) == PublicCode::exchange_failed);
  CHECK(public_code(Errc::exchange_unreadable) == PublicCode::exchange_failed);
  CHECK(public_code(Errc::exchange_unreachable) != PublicCode::none);
  CHECK(public_code(Errc::provider_refused_client) == PublicCode::misconfigured);
}

TEST_CASE("exchange: empty input and oversize bodies") {
  const auto& profile = *profile::find("generic");
  CHECK(exchange::read(200, {}, {}, now, profile).error() == Errc::exchange_unreadable);
  CHECK(exchange::read(0, {}, {}, now, profile).error() == Errc::exchange_unreadable);
  CHECK(Read(R"({"access_token":"at"})" + std::string(64'000, ' ')).error() ==
        Errc::exchange_unreadable);
}
