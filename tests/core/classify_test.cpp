// Every answer has a class. The two mistakes that cost a credential, a false `terminal` and a
// dropped refresh token, are looked for in examples, in every cut of every answer and at random.
#include "latchkey/classify.hpp"
#include "latchkey/exchange.hpp"

#include "external.hpp"

#include <array>

using namespace latchkey;
using namespace latchkey::test;
using refresh::Absence;
using refresh::Doubt;
using refresh::Header;
using refresh::ReplyClass;

namespace {

constexpr UnixMillis now = UnixMillis::from_seconds(1'700'000'000);
constexpr std::string_view json_type = "application/json";
constexpr std::string_view form_type = "application/x-www-form-urlencoded";
constexpr std::string_view good_json =
    R"({"access_token":"at-1","expires_in":3600,"refresh_token":"rt-2","token_type":"bearer"})";
constexpr std::string_view good_form =
    "access_token=at-1&expires_in=3600&refresh_token=rt-2&token_type=bearer";

using Statuses = std::initializer_list<std::uint16_t>;
using Headers = std::vector<std::pair<std::string, std::string>>;

struct Ask {
  std::string profile = "generic";
  Headers headers{};
  std::string sent = "rt-1";
  std::string type{json_type};
  bool unspent = false;
};

/// An answer and what it is classified as; views stay inside.
struct Said {
  Octets body;
  refresh::Classified found;

  Said(std::uint16_t status, std::string_view text, const Ask& ask = {}) : body{octets(text)} {
    std::vector<Header> headers;
    if (!ask.type.empty()) headers.push_back({"Content-Type", ask.type});
    for (const auto& [name, value] : ask.headers) headers.push_back({name, value});
    const auto* profile = profile::find(ask.profile);
    REQUIRE(profile != nullptr);
    auto facts = refresh::facts_of(*profile, false);
    facts.server_errors_unspent = ask.unspent;
    found = refresh::classify({status, headers, body}, now, *profile, facts, ask.sent);
  }
  [[nodiscard]] ReplyClass kind() const { return found.reply.kind; }
  [[nodiscard]] Doubt doubt() const { return found.reply.doubt; }
};

constexpr const char* names[] = {"",         "ok",      "terminal", "transient", "rate_limited",
                                 "operator", "unparsed"};

/// `class` and, where there is one, `/` and the doubt.
std::string kind_of(const Said& said) {
  constexpr const char* doubts[] = {"", "/answered", "/silent"};
  return std::string{names[static_cast<std::size_t>(said.kind())]} +
         doubts[static_cast<std::size_t>(said.doubt())];
}
std::string kind_of(std::uint16_t status, std::string_view body, const Ask& ask = {}) {
  return kind_of(Said{status, body, ask});
}

std::string error(std::string_view word) { return R"({"error":")" + std::string{word} + "\"}"; }

bool is_safe(ReplyClass kind) {
  return kind == ReplyClass::ok || kind == ReplyClass::not_understood;
}

}  // namespace

TEST_CASE("T44 classify: a good answer, and all it says") {
  const Said said{200, good_json};
  REQUIRE(said.kind() == ReplyClass::ok);
  CHECK(said.doubt() == Doubt::none);
  CHECK(said.found.tokens.access_token == "at-1");
  CHECK(said.found.tokens.refresh_token == "rt-2");
  CHECK(said.found.code.empty());
  const auto& tokens = said.found.reply.tokens;
  CHECK(tokens.lifetime == seconds(3600));
  CHECK(tokens.refresh_lifetime == Millis{0});
  CHECK(tokens.has_refresh);
  CHECK_FALSE(tokens.refresh_same);
  CHECK_FALSE(tokens.has_scope);
}

TEST_CASE("T44 classify: the refresh token is new, the same, or not said") {
  const Said same{200, R"({"access_token":"at","refresh_token":"rt-1"})"};
  CHECK(same.found.reply.tokens.refresh_same);
  CHECK(same.found.reply.tokens.has_refresh);
  for (const std::string_view none :
       {R"({"access_token":"at"})", R"({"access_token":"at","refresh_token":null})",
        R"({"access_token":"at","refresh_token":""})"}) {
    const Said said{200, none};
    INFO(none);
    REQUIRE(said.kind() == ReplyClass::ok);
    CHECK_FALSE(said.found.reply.tokens.has_refresh);
    CHECK_FALSE(said.found.reply.tokens.refresh_same);
    CHECK(said.found.tokens.refresh_token.empty());
  }
  // An ill-formed one is no reason to forget it.
  for (const std::string_view bad : {R"("a b")", "7", R"(["rt"])", "true", R"({"a":"rt"})"}) {
    const std::string body = R"({"access_token":"at","refresh_token":)" + std::string{bad} + "}";
    INFO(body);
    CHECK(kind_of(200, body) == "unparsed/answered");
  }
}

TEST_CASE("classify: which answers an introspection may settle") {
  const auto settled = [](const Said& said) { return said.found.introspectable; };
  CHECK(settled(Said{500, ""}));
  CHECK(settled(Said{500, error("server_error")}));
  CHECK(settled(Said{400, error("temporarily_unavailable")}));
  CHECK(settled(Said{200, error("internal_error"), {.profile = "slack"}}));
  // A gateway's, behind which the request may still be on its way.
  for (const std::uint16_t status : Statuses{502, 503, 504, 520, 522, 524}) {
    CHECK_FALSE(settled(Said{status, ""}));
  }
  // There is no doubt, or there may be a token in it.
  CHECK_FALSE(settled(Said{500, "", {.unspent = true}}));
  CHECK_FALSE(settled(Said{200, good_json}));
  CHECK_FALSE(settled(Said{500, good_json}));
  CHECK_FALSE(settled(Said{200, "<html>"}));
  CHECK_FALSE(settled(Said{400, error("invalid_grant")}));
  CHECK_FALSE(settled(Said{429, ""}));
  for (const auto absence :
       {refresh::Absence::not_sent, refresh::Absence::reset, refresh::Absence::time_out}) {
    CHECK_FALSE(refresh::classify(absence).introspectable);
  }
}

TEST_CASE("T44 threat T8 classify: of two refresh tokens none is chosen") {
  for (const std::string_view body : {
           R"({"access_token":"a","refresh_token":"r","data":{"refresh_token":"s"}})",
           R"({"access_token":"a","data":{"refresh_token":"s"}})",
           R"({"data":{"access_token":"a","refresh_token":"s"}})",
           R"([{"access_token":"a","refresh_token":"s"}])",
           R"({"access_token":"a","refresh_token":"r","refresh_token":"s"})",
       }) {
    INFO(body);
    CHECK(kind_of(200, body) == "unparsed/answered");
    CHECK(is_safe(Said{500, body}.kind()));
    CHECK(is_safe(Said{429, body}.kind()));
  }
  const std::string two =
      R"({"ok":true,"access_token":"a","refresh_token":"r","token_type":"bot",)"
      R"("authed_user":{"access_token":"b","refresh_token":"s","token_type":"user"}})";
  CHECK(kind_of(200, two, {.profile = "slack"}) == "unparsed/answered");
}

TEST_CASE("threat T8 classify: no token is lost over a lifetime") {
  for (const std::string_view odd :
       {"null", "0", "-1", "1e400", "3600.5", "\"\"", "\"an hour\"", "[1]", "true"}) {
    const std::string body = R"({"access_token":"at","refresh_token":"rt","expires_in":)" +
                             std::string{odd} + R"(,"refresh_token_expires_in":)" +
                             std::string{odd} + "}";
    INFO(body);
    const Said said{200, body, {.profile = "github-app"}};
    REQUIRE(said.kind() == ReplyClass::ok);
    CHECK(said.found.tokens.refresh_token == "rt");
    // The profile's, because this one can be refreshed.
    CHECK(said.found.reply.tokens.lifetime == seconds(28'800));
    CHECK(said.found.reply.tokens.refresh_lifetime == Millis{0});
  }
  const Said huge{200, R"({"access_token":"at","expires_in":9007199254740993})"};
  CHECK(huge.found.reply.tokens.lifetime == tokens::max_lifetime);
}

TEST_CASE("threat T43 classify: where expiry is switched off, a token that comes alone lasts") {
  const std::string_view alone = R"({"access_token":"ghu_1","scope":"","token_type":"bearer"})";
  for (const char* profile : {"github-app", "slack"}) {
    const Said said{200, alone, {.profile = profile}};
    REQUIRE(said.kind() == ReplyClass::ok);
    CHECK(said.found.reply.tokens.lifetime == Millis{0});
    CHECK(refresh::traits_of(*profile::find(profile)).access_lifetime == Millis{0});
  }
  CHECK(refresh::traits_of(*profile::find("generic")).access_lifetime == seconds(3600));
}

TEST_CASE("T43 threat T11 classify: the body decides, in either encoding") {
  CHECK(kind_of(200, good_form, {.type = std::string{form_type}}) == "ok");
  CHECK(kind_of(200, good_form, {.type = ""}) == "ok");
  CHECK(kind_of(200, good_json, {.type = "text/html"}) == "ok");
  CHECK(kind_of(201, good_json) == "ok");
  for (const std::uint16_t status : Statuses{200, 400, 401, 403, 404}) {
    INFO(status);
    CHECK(kind_of(status, error("invalid_grant")) == "terminal");
    CHECK(kind_of(status, "error=invalid_grant", {.type = std::string{form_type}}) == "terminal");
    CHECK(kind_of(status, error("invalid_client")) == "operator");
    CHECK(kind_of(status, error("temporarily_unavailable")) == "transient/answered");
  }
}

TEST_CASE("T43 classify: each provider's own words, and nobody else's") {
  struct Row {
    std::string profile;
    std::uint16_t status;
    std::string body;
    std::string expected;
    std::string code;
  };
  const Row rows[] = {
      {"github-app", 200, error("bad_refresh_token"), "terminal", "bad_refresh_token"},
      {"github-app", 200, error("incorrect_client_credentials"), "operator",
       "incorrect_client_credentials"},
      {"github-app", 200, error("redirect_uri_mismatch"), "operator", "redirect_uri_mismatch"},
      {"github-app", 200, error("application_suspended"), "operator", "application_suspended"},
      {"github-app", 200, error("bad_verification_code"), "unparsed/answered", ""},
      {"slack", 200, R"({"ok":false,"error":"invalid_refresh_token"})", "terminal",
       "invalid_refresh_token"},
      {"slack", 200, R"({"ok":false,"error":"token_revoked"})", "terminal", "token_revoked"},
      {"slack", 200, R"({"ok":false,"error":"ratelimited"})", "rate_limited", "ratelimited"},
      {"slack", 200, R"({"ok":false,"error":"internal_error"})", "transient/answered",
       "internal_error"},
      {"slack", 200, R"({"ok":false,"error":"bad_client_secret"})", "operator",
       "bad_client_secret"},
      {"slack", 200, R"({"ok":false})", "unparsed/answered", ""},
      {"hubspot", 400, R"({"status":"BAD_REFRESH_TOKEN","message":"m"})", "terminal",
       "BAD_REFRESH_TOKEN"},
      {"hubspot", 400, R"({"status":"BAD_CLIENT_SECRET"})", "operator", "BAD_CLIENT_SECRET"},
      {"hubspot", 400, R"({"status":"error"})", "unparsed", ""},
      {"hubspot", 400, error("invalid_grant"), "terminal", "invalid_grant"},
      {"zoho", 200, error("invalid_code"), "terminal", "invalid_code"},
      {"zoho", 400, error("Access Denied"), "rate_limited", "Access Denied"},
      {"auth0", 403, error("invalid_grant"), "terminal", "invalid_grant"},
      {"atlassian", 403,
       R"({"error":"invalid_grant","error_description":"Unknown or invalid refresh token."})",
       "terminal", "invalid_grant"},
      {"google", 400, R"({"error":"invalid_grant","error_subtype":"invalid_rapt"})", "terminal",
       "invalid_grant"},
      {"microsoft", 400, R"({"error":"invalid_grant","error_codes":[70000]})", "terminal",
       "invalid_grant"},
      {"microsoft", 400, error("interaction_required"), "terminal", "interaction_required"},
      {"x", 400, error("invalid_request"), "terminal", "invalid_request"},
      {"generic", 400, error("invalid_request"), "operator", "invalid_request"},
      {"okta", 401, R"({"errorCode":"E0000011"})", "operator", ""},
      {"okta", 404, R"({"errorCode":"E0000007"})", "operator", ""},
      {"generic", 400, R"({"error":{"type":"invalid_grant"}})", "unparsed", ""},
      {"generic", 400, R"({"error":"Invalid_grant"})", "unparsed", ""},
      {"generic", 400, R"({"error":"invalid_grant "})", "unparsed", ""},
      {"generic", 400, R"({"status":"BAD_REFRESH_TOKEN"})", "unparsed", ""},
  };
  for (const Row& row : rows) {
    INFO(row.profile << " " << row.status << " " << row.body);
    const Said said{row.status, row.body, {.profile = row.profile}};
    CHECK(kind_of(said) == row.expected);
    CHECK(said.found.code == row.code);
    // The code is a literal, not the provider's text.
    const auto* begin = reinterpret_cast<const char*>(said.body.data());
    CHECK((said.found.code.empty() || said.found.code.data() < begin ||
           said.found.code.data() >= begin + said.body.size()));
  }
  // A dialect is spoken by one provider alone.
  struct Foreign {
    std::string body;
    std::set<std::string_view> speakers;
  };
  const Foreign words[] = {
      {error("bad_refresh_token"), {"github-app", "github-oauth"}},
      {error("invalid_refresh_token"), {"slack"}},
      {R"({"status":"BAD_REFRESH_TOKEN"})", {"hubspot"}},
      {error("invalid_code"), {"zoho"}},
      {error("interaction_required"), {"microsoft"}},
      {error("invalid_request"), {"x"}},
  };
  for (const auto& row : profile::all()) {
    const std::string_view profile = row.name;
    for (const Foreign& word : words) {
      INFO(profile << " " << word.body);
      const Said said{400, word.body, {.profile = std::string{profile}}};
      CHECK((said.kind() == ReplyClass::terminal) == word.speakers.contains(profile));
    }
    INFO(profile);
    CHECK(kind_of(400, error("invalid_grant"), {.profile = std::string{profile}}) == "terminal");
  }
}

TEST_CASE("T43 threat T43 classify: what the operator has to put right never kills a credential") {
  for (const auto& row : profile::all()) {
    for (const char* word :
         {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
          "incorrect_client_credentials", "redirect_uri_mismatch", "invalid_client_id",
          "bad_client_secret", "bad_redirect_uri"}) {
      for (const std::uint16_t status : Statuses{200, 400, 401, 403}) {
        INFO(std::string_view{row.name} << " " << word << " " << status);
        const Said said{status, error(word), {.profile = std::string{std::string_view{row.name}}}};
        CHECK(kind_of(said) == "operator");
        CHECK(said.found.code == word);
      }
    }
  }
  for (const std::uint16_t status : Statuses{401, 404, 405, 415}) {
    CHECK(kind_of(status, "<html>", {.type = "text/html"}) == "operator");
  }
}

TEST_CASE("T43 threat T10 classify: a server that fails, limits or is not there is transient") {
  for (unsigned status = 500; status <= 599; ++status) {
    INFO(status);
    for (const std::string& body : {std::string{}, error("invalid_grant"), std::string{"<html>"}}) {
      const bool undelivered =
          status == 521 || status == 523 || status == 525 || status == 526 || status == 530;
      CHECK(kind_of(static_cast<std::uint16_t>(status), body) ==
            (undelivered ? "transient" : "transient/answered"));
      CHECK(kind_of(static_cast<std::uint16_t>(status), body, {.unspent = true}) == "transient");
    }
  }
  for (const std::uint16_t status : Statuses{300, 302, 307, 308, 399, 408}) {
    CHECK(kind_of(status, error("invalid_grant")) == "transient");
  }
  for (const std::uint16_t status : Statuses{0, 1, 100, 199, 600, 999, 65535}) {
    CHECK(kind_of(status, error("invalid_grant")) == "unparsed/answered");
  }
  CHECK(kind_of(429, error("invalid_grant")) == "rate_limited");
  const auto classified = [](Absence absence) { return refresh::classify(absence).reply; };
  CHECK(classified(Absence::not_sent).kind == ReplyClass::transient);
  CHECK(classified(Absence::not_sent).doubt == Doubt::none);
  for (const Absence absence : {Absence::reset, Absence::time_out}) {
    CHECK(classified(absence).kind == ReplyClass::transient);
    CHECK(classified(absence).doubt == Doubt::silent);
  }
}

TEST_CASE(
    "T43 classify: what is not understood is kept, and in doubt where it may have been spent") {
  for (const std::string_view body :
       {"", "<!doctype html><title>Sign in</title>", "null", "[]", "{}", "\"text\"",
        R"({"access_token":7})", R"({"access_token":"a b"})", R"({"message":"no"})",
        R"({"access_token":"at","token_type":"mac"})", "\xff\xfe", "a=b"}) {
    INFO(body);
    CHECK(kind_of(200, body) == "unparsed/answered");
  }
  for (const std::uint16_t status : Statuses{400, 402, 403, 409, 422, 499}) {
    for (const std::string_view body : {"", "<html>", "{}", R"({"error":"teapot"})"}) {
      INFO(status << body);
      CHECK(kind_of(status, body) == "unparsed");
    }
  }
}

TEST_CASE("T43 classify: rate headers are looked at first") {
  const auto with = [](std::uint16_t status, Headers headers, std::string body = "") {
    return kind_of(status, body, {.profile = "github-app", .headers = std::move(headers)});
  };
  const std::string terminal = error("bad_refresh_token");
  for (const char* name : {"x-ratelimit-remaining", "X-RateLimit-Remaining", "RateLimit-Remaining",
                           "ratelimit-remaining", "X-Rate-Limit-Remaining"}) {
    INFO(name);
    CHECK(with(403, {{name, "0"}}) == "rate_limited");
    CHECK(with(403, {{name, "0"}}, terminal) == "rate_limited");
    // Many send a quota with every answer.
    CHECK(with(403, {{name, "1"}}, terminal) == "terminal");
    CHECK(with(403, {{name, "none"}}, terminal) == "terminal");
    CHECK(with(200, {{name, "0"}}, terminal) == "terminal");
    CHECK(with(200, {{name, "0"}}, std::string{good_json}) == "ok");
  }
  CHECK(with(403, {{"Retry-After", "60"}}) == "rate_limited");
  CHECK(with(503, {{"Retry-After", "60"}}) == "rate_limited");
  CHECK(with(500, {{"Retry-After", "60"}}) == "transient/answered");
  CHECK(with(403, {{"x-ratelimit-limit", "0"}}) == "unparsed");
  CHECK(with(403, {{"ratelimit-remaining-x", "0"}}) == "unparsed");
  CHECK(with(429, {{"Retry-After", "60"}}, std::string{good_json}) == "unparsed/answered");
}

TEST_CASE("threat T10 classify: when to come again") {
  const auto wait = [](std::uint16_t status, Headers headers) {
    const Said said{status, "", {.headers = std::move(headers)}};
    const Millis after = said.found.reply.retry_after;
    CHECK(said.found.retry_at.value == (after.value == 0 ? 0 : now.value + after.value));
    return after.value;
  };
  CHECK(wait(429, {}) == 0);
  CHECK(wait(429, {{"retry-after", "30"}}) == 30'000);
  CHECK(wait(503, {{"Retry-After", "0"}}) == 0);
  CHECK(wait(500, {{"Retry-After", "7"}}) == 7'000);
  CHECK(wait(429, {{"Retry-After", "1.5"}}) == 1'000);
  CHECK(wait(429, {{"Retry-After", "99999999999999999999"}}) == refresh::max_retry_after.value);
  for (const char* odd : {"-1", "soon", "", " 5", "5s", "Sun, 06 Nov 1994"}) {
    INFO(odd);
    CHECK(wait(429, {{"Retry-After", odd}}) == 0);
  }
  // 1,700,000,000 is Tue, 14 Nov 2023 22:13:20 GMT.
  CHECK(wait(429, {{"Retry-After", "Tue, 14 Nov 2023 22:14:20 GMT"}}) == 60'000);
  CHECK(wait(429, {{"Retry-After", "Tue, 14 Nov 2023 22:13:19 GMT"}}) == 0);
  // Against the provider's own clock.
  CHECK(wait(429, {{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"},
                   {"Date", "Sun, 06 Nov 1994 08:49:00 GMT"}}) == 37'000);
  CHECK(wait(429, {{"X-RateLimit-Reset", "1700000100"}}) == 100'000);
  CHECK(wait(429, {{"X-RateLimit-Reset", "1700000100"},
                   {"Date", "Tue, 14 Nov 2023 22:14:00 GMT"}}) == 60'000);
  CHECK(wait(429, {{"RateLimit-Reset", "12"}}) == 12'000);
  CHECK(wait(429, {{"RateLimit-Reset", "12"}, {"Retry-After", "5"}}) == 5'000);
  CHECK(wait(403, {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "1700000009"}}) == 9'000);
  // Sent with every answer, whatever is left.
  CHECK(wait(500, {{"x-ratelimit-reset", "1700003600"}}) == 0);
}

TEST_CASE("classify: dates, against every day of two centuries") {
  constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  // Retry-After seen from a Date of 1970: the seconds since then, up to the longest wait, so the
  // day before is what is compared with.
  const auto text = [&](int year, int month, int day) {
    char out[64];
    static_cast<void>(std::snprintf(out, sizeof out, "___, %02d %s %04d 00:00:00 GMT", day,
                                    months[static_cast<std::size_t>(month)], year));
    return std::string{out};
  };
  std::string before = text(1970, 0, 1);
  std::size_t count = 0;
  for (int year = 1970; year < 2170; ++year) {
    for (int month = 0; month < 12; ++month) {
      const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
      constexpr std::array<int, 12> sizes = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
      const int days = month == 1 && leap ? 29 : sizes[static_cast<std::size_t>(month)];
      for (int day = 1; day <= days; ++day) {
        const std::string today = text(year, month, day);
        if (count++ > 0) {
          const Said said{429, "", {.headers = {{"Retry-After", today}, {"Date", before}}}};
          if (said.found.reply.retry_after != seconds(86'400)) FAIL(before << " " << today);
        }
        before = today;
      }
    }
  }
  CHECK(count == 73'049);
}

TEST_CASE("T43 external: GitHub's token endpoint, each answer in its stated class") {
  const Json all = read_json(external("token-endpoint") / "github-responses.json");
  Count count;
  const auto classes_of = [](const std::string& stated) -> std::string {
    if (stated.rfind("success", 0) == 0) return "ok";
    if (stated.rfind("operator", 0) == 0) return "operator";
    if (stated == "terminal: reconnect") return "terminal";
    // That is about a code, and no refresh spends one; the exchange says so.
    if (stated == "terminal for this code") return "unparsed/answered";
    return "?";
  };
  for (const char* group : {"documented", "derived"}) {
    for (const Json& item : all.at(group)) {
      if (!item.contains("body")) {
        ++count.skipped;  // spelled out below
        continue;
      }
      const auto body = item.at("body").get<std::string>();
      const Ask ask{.profile = "github-app", .type = item.at("ct").get<std::string>()};
      INFO(item.at("name").get<std::string>());
      const Said said{item.at("status").get<std::uint16_t>(), body, ask};
      CHECK(kind_of(said) == classes_of(item.at("class").get<std::string>()));
      ++count.run;
      // Cut at every byte: never terminal, and a refresh token that was whole is never dropped.
      const std::size_t token_end = body.find("ghr_") == std::string::npos
                                        ? std::string::npos
                                        : body.find_first_of("\"&", body.find("ghr_"));
      for (std::size_t size = 0; size < body.size(); ++size) {
        const std::string cut = body.substr(0, size);
        for (const std::uint16_t status : Statuses{200, 400, 401, 403, 429, 500, 503}) {
          const Said part{status, cut, ask};
          if (part.kind() == ReplyClass::terminal) FAIL(status << " " << cut);
          if (part.kind() == ReplyClass::ok) {
            // Only what can be missing is missing.
            CHECK(part.found.tokens.refresh_token == said.found.tokens.refresh_token);
          }
          if (size > token_end && !is_safe(part.kind())) FAIL(status << " " << cut);
          ++count.run;
        }
      }
    }
  }
  count.report("token endpoint");
  CHECK(count.run > 5'000);
}

TEST_CASE("T43 T44 external: the derived answers that have no body there") {
  static_cast<void>(external("token-endpoint"));
  const Ask ask{.profile = "github-app"};
  CHECK(kind_of(200, R"({"access_token":"a","refresh_token":"r","refresh_token":"s"})", ask) ==
        "unparsed/answered");
  CHECK(kind_of(200, "<html><body>Sign in to the network</body></html>",
                {.profile = "github-app", .type = "text/html"}) == "unparsed/answered");
  CHECK(kind_of(200, R"({"access_token":"a","refresh_token":"r","error":"bad_refresh_token"})",
                ask) == "unparsed/answered");
  for (const std::uint16_t status : Statuses{502, 503, 504})
    CHECK(kind_of(status, "", ask) == "transient/answered");
}

TEST_CASE("T44 threat T8 classify: a refresh token beside an access token is understood or kept") {
  // Any object with both, somewhere in a body with anything else, with any status and headers.
  Random random{20'261'127};
  const std::string values[] = {
      R"("invalid_grant")", R"("bad_refresh_token")", "null", "false", "true",   "[]",
      R"({"error":"x"})",   R"("BAD_REFRESH_TOKEN")", "3600", R"("")", R"("a")", "1e9"};
  const std::string members[] = {"error", "ok",          "status", "token_type", "expires_in",
                                 "scope", "authed_user", "data",   "message",    "x"};
  const std::uint16_t statuses[] = {0,   200, 201, 204, 302, 400, 401, 403,
                                    404, 408, 429, 500, 502, 503, 599, 700};
  const char* token_names[] = {"refresh_token", "refresh\\u005ftoken", "refresh_toke\\u006e"};
  std::size_t kept = 0;
  std::size_t good = 0;
  for (int round = 0; round < 40'000; ++round) {
    std::string pair =
        R"("access_token":"at-9",")" + std::string{random.pick(token_names)} + R"(":"rt-9")";
    if (random.below(2) == 0) pair = R"("refresh_token":"rt-9","access_token":"at-9")";
    std::string body = "{" + pair;
    for (auto n = random.below(3); n > 0; --n) {
      body += ",\"" + random.pick(members) + std::to_string(n) + "\":" + random.pick(values);
    }
    for (auto n = random.below(3); n > 0; --n) {
      const std::string member = "\"" + random.pick(members) + "\":" + random.pick(values);
      if (body.find(member.substr(0, member.find(':') + 1)) == std::string::npos)
        body += "," + member;
    }
    body += "}";
    for (auto n = random.below(3); n > 0; --n) {
      body = random.below(2) == 0 ? R"({"authed_user":)" + body + "}"
                                  : R"({"error":"invalid_grant","data":[)" + body + "]}";
    }
    Headers headers;
    if (random.below(3) == 0) headers.push_back({"Retry-After", "9"});
    if (random.below(3) == 0) headers.push_back({"X-RateLimit-Remaining", "0"});
    const Said said{random.pick(statuses),
                    body,
                    {.profile = std::string{std::string_view{random.pick(profile::all()).name}},
                     .headers = headers}};
    if (!is_safe(said.kind())) FAIL(kind_of(said) << " " << body);
    if (said.kind() == ReplyClass::ok) {
      if (said.found.tokens.refresh_token != "rt-9") FAIL(body);
      ++good;
    } else {
      ++kept;
    }
  }
  CHECK(good > 500);
  CHECK(kept > 500);
}

TEST_CASE("classify: what an exchange would take, a refresh takes or keeps") {
  for (const auto& row : profile::all()) {
    const std::string profile{std::string_view{row.name}};
    for (const std::string_view body :
         {good_json, good_form, std::string_view{R"({"access_token":"a","scope":"x,y"})"},
          std::string_view{R"({"authed_user":{"access_token":"a","token_type":"user"}})"}}) {
      Octets copy = octets(body);
      const auto tokens = exchange::read(200, "", copy, now, row);
      const Said said{200, body, {.profile = profile, .type = ""}};
      INFO(profile << " " << body);
      CHECK((said.kind() == ReplyClass::ok) == static_cast<bool>(tokens));
      if (tokens) CHECK(said.found.tokens.access_token == tokens->access_token);
    }
  }
  // A refresh answers for one kind of token alone, so its type may be either.
  const std::string user = R"({"ok":true,"access_token":"a","token_type":"user"})";
  CHECK(kind_of(200, user, {.profile = "slack"}) == "ok");
  CHECK(kind_of(200, user) == "unparsed/answered");
}

TEST_CASE("threat T39 classify: a body beyond the limit is kept, or what its status says") {
  const std::string long_one = R"({"x":")" + std::string(70'000, 'x') + R"("})";
  CHECK(kind_of(200, long_one) == "unparsed/answered");
  CHECK(kind_of(503, long_one) == "transient/answered");
  CHECK(kind_of(429, long_one) == "rate_limited");
  const std::string with = R"({"refresh_token":"r","x":")" + std::string(70'000, 'x') + R"("})";
  CHECK(kind_of(503, with) == "unparsed/answered");
}
