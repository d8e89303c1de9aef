#include "latchkey/config.hpp"

#include "latchkey/crypto.hpp"
#include "latchkey/profile.hpp"

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace latchkey;
using config::Config;
using config::Provider;
using config::Verdict;

namespace {

std::string key(char digit) { return std::string(64, digit); }

// One entry of a key ring.
std::string entry(const char* kid, char digit) { return std::string{kid} + ":" + key(digit); }

constexpr std::string_view one_provider =
    R"({"my-git":{"profile":"github-app","clientId":"Iv1.x","scopes":["repo","gist"]}})";

using Environment = std::vector<std::pair<std::string, std::optional<std::string>>>;

Environment good() {
  return {{"LATCHKEY_KEYS", entry("k1", 'a')},
          {"PUBLIC_BASE_URL", "https://keys.example"},
          {"LATCHKEY_PROVIDERS", std::string{one_provider}},
          {"MY_GIT_CLIENT_SECRET", "s3cret"}};
}

Environment with(std::string name, std::optional<std::string> value, Environment from = good()) {
  for (auto& [known, old] : from) {
    if (known == name) {
      old = std::move(value);
      return from;
    }
  }
  from.emplace_back(std::move(name), std::move(value));
  return from;
}

Environment in_dev(Environment from = good()) {
  return with("LATCHKEY_DEV", "1",
              with("PUBLIC_BASE_URL", "http://localhost:8787", std::move(from)));
}

// One provider `p` with these members, and its secret.
Environment with_provider(const std::string& members, Environment from = good()) {
  return with("P_CLIENT_SECRET", "x",
              with("LATCHKEY_PROVIDERS", R"({"p":{)" + members + "}}", std::move(from)));
}

struct Checked {
  Environment environment;
  std::vector<json::Node> nodes = std::vector<json::Node>(config::max_nodes);
  std::vector<std::uint8_t> scratch;
  std::unique_ptr<Config> out = std::make_unique<Config>();
  Verdict verdict;

  explicit Checked(Environment from, std::size_t scratch_size = 2 * config::max_providers_text)
      : environment(std::move(from)), scratch(scratch_size) {
    std::vector<config::Var> vars;
    for (const auto& [name, value] : environment) {
      vars.push_back(
          {name, value ? std::string_view{*value} : std::string_view{}, value.has_value()});
    }
    verdict = config::check(vars, nodes, scratch, *out);
  }
  [[nodiscard]] bool ok() const { return static_cast<bool>(verdict); }
  [[nodiscard]] const Provider& provider() const { return out->providers[0]; }
};

bool refuses(const Environment& environment, Errc code, std::string_view variable) {
  const Checked checked{environment};
  INFO(to_string(checked.verdict.code) << " " << checked.verdict.variable.view());
  CHECK(checked.verdict.code == code);
  CHECK(checked.verdict.variable.view() == variable);
  // Nothing of a refused configuration can be used.
  CHECK(checked.out->key_count == 0);
  CHECK(checked.out->principal_key_count == 0);
  CHECK(checked.out->provider_count == 0);
  return checked.verdict.code == code && checked.verdict.variable.view() == variable;
}

}  // namespace

TEST_CASE("config: a good one, with every setting resolved") {
  const Checked checked{good()};
  REQUIRE(checked.ok());
  CHECK(checked.out->base_url == "https://keys.example");
  CHECK_FALSE(checked.out->dev);
  CHECK_FALSE(checked.out->connect_enabled);
  REQUIRE(checked.out->ring().size() == 1);
  CHECK(checked.out->ring()[0].kid.view() == "k1");
  CHECK(checked.out->principal_ring().empty());
  REQUIRE(checked.out->provider_count == 1);
  const Provider& provider = checked.provider();
  CHECK(provider.name == "my-git");
  CHECK(provider.profile == "github-app");
  CHECK(provider.title == "GitHub");
  CHECK(provider.client_id == "Iv1.x");
  CHECK(provider.authorization_url == "https://github.com/login/oauth/authorize");
  CHECK(provider.token_url == "https://github.com/login/oauth/access_token");
  CHECK(provider.revocation_url == "https://api.github.com/applications/{client_id}/token");
  CHECK(provider.revocation_shape == profile::RevocationShape::github);
  CHECK(provider.refresh.traits.rotation == refresh::Rotation::strict_refused);
  CHECK(provider.user_info_url == "https://api.github.com/user");
  CHECK(provider.scopes == "repo gist");
  CHECK(provider.as_issuer.empty());
  CHECK(provider.client_secret.view() == "MY_GIT_CLIENT_SECRET");
  CHECK(provider.webhook_secret.empty());
  CHECK(provider.scope_separator == profile::ScopeSeparator::space);
  CHECK(provider.auth_style == profile::AuthStyle::body);
  CHECK(provider.response_mode == profile::ResponseMode::query);
  CHECK(provider.pkce);
  CHECK_FALSE(provider.iss_required);
}

TEST_CASE("config: what is said beats the profile") {
  const Checked checked{with_provider(
      R"("profile":"keycloak","clientId":"c","title":"Work",)"
      R"("authorizationUrl":"https://a.example/auth?x=1","tokenUrl":"https://a.example/token",)"
      R"("revocationUrl":"https://a.example/revoke","scopes":[],)"
      R"("userInfoUrl":"https://a.example/me","issuer":"https://a.example/realms/r",)"
      R"("responseMode":"form_post","public":false)",
      with("P_WEBHOOK_SECRET", "w"))};
  REQUIRE(checked.ok());
  const Provider& provider = checked.provider();
  CHECK(provider.title == "Work");
  CHECK(provider.authorization_url == "https://a.example/auth?x=1");
  CHECK(provider.token_url == "https://a.example/token");
  CHECK(provider.revocation_url == "https://a.example/revoke");
  CHECK(provider.user_info_url == "https://a.example/me");
  CHECK(provider.scopes.empty());
  CHECK(provider.as_issuer == "https://a.example/realms/r");
  CHECK(provider.iss_required);
  CHECK(provider.response_mode == profile::ResponseMode::form_post);
  CHECK(provider.auth_style == profile::AuthStyle::basic);
  CHECK(provider.client_secret.view() == "P_CLIENT_SECRET");
  CHECK(provider.webhook_secret.view() == "P_WEBHOOK_SECRET");
}

TEST_CASE("config: an app's key, where apps act as themselves") {
  const std::string github = R"("profile":"github-app","clientId":"c")";
  const std::string pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
  CHECK(Checked{with_provider(github)}.provider().app_key.empty());
  for (const std::string& key : {pem, "-----BEGIN RSA PRIVATE KEY-----\r\nAA==" + std::string(),
                                 pem + std::string(8192 - pem.size(), 'A')}) {
    const Checked checked{with_provider(github, with("P_APP_KEY", key))};
    REQUIRE(checked.ok());
    CHECK(checked.provider().app_key.view() == "P_APP_KEY");
    CHECK(checked.provider().app_url == "https://api.github.com");
  }
  for (const std::string& key :
       {std::string(), std::string("x"), " " + pem, "-----BEGIN PUBLIC KEY-----" + pem, pem + '\0',
        pem + "\x80", pem + std::string(8193 - pem.size(), 'A')}) {
    CHECK(
        refuses(with_provider(github, with("P_APP_KEY", key)), Errc::config_invalid, "P_APP_KEY"));
  }
  CHECK(refuses(with_provider(R"("profile":"gitlab","clientId":"c")", with("P_APP_KEY", pem)),
                Errc::config_invalid, "P_APP_KEY"));

  const Checked elsewhere{
      with_provider(github + R"(,"appUrl":"https://ghe.example/api/v3")", with("P_APP_KEY", pem))};
  REQUIRE(elsewhere.ok());
  CHECK(elsewhere.provider().app_url == "https://ghe.example/api/v3");
  for (const char* url :
       {"", "https://a.example/", "https://a.example?x", "http://a.example", "a"}) {
    INFO(url);
    CHECK(refuses(with_provider(github + R"(,"appUrl":")" + url + '"'), Errc::config_invalid,
                  "LATCHKEY_PROVIDERS"));
  }
  CHECK(refuses(with_provider(R"("profile":"gitlab","clientId":"c","appUrl":"https://a.example")"),
                Errc::config_invalid, "LATCHKEY_PROVIDERS"));
}

TEST_CASE("config: where repositories are") {
  const Checked usual{good()};
  CHECK(usual.provider().git_host == "github.com");
  CHECK(usual.provider().git_base.empty());
  CHECK(usual.provider().git == profile::Git::github);
  CHECK_FALSE(usual.provider().git_plain);
  const std::string rest = R"("profile":"gitlab","clientId":"c","gitUrl":)";
  struct Row {
    const char* url;
    const char* host;  // null: refused
    const char* base{""};
  };
  const std::string longest = "https://g.ex/" + std::string(242, 'a');
  const std::string too_long = longest + "a";
  const Row rows[] = {
      {"https://git.example", "git.example"},
      {"https://git.example/", "git.example"},
      {"https://git.example:443/", "git.example"},
      {"https://git.example:8443", "git.example:8443"},
      {"https://[::1]:80/a", "[::1]:80", "/a"},
      {"https://git.example/a/b_c-D/", "git.example", "/a/b_c-D"},
      {longest.c_str(), "g.ex", longest.c_str() + 12},
      {too_long.c_str(), nullptr},
      {"", nullptr},
      {"https://git.example//", nullptr},
      {"https://git.example/a//b", nullptr},
      {"https://git.example/a/./b", nullptr},
      {"https://git.example/..", nullptr},
      {"https://git.example/a%2fb", nullptr},
      {"https://git.example/?a", nullptr},
      {"https://git.example/a?b", nullptr},
      {"https://git.example/a#b", nullptr},
      {"https://u@git.example", nullptr},
      {"https://Git.example", nullptr},
      {"https://git.example./", nullptr},
      {"git@git.example:a", nullptr},
      {"http://git.example", nullptr},
      {"http://127.0.0.1:9418", nullptr},
  };
  for (const Row& row : rows) {
    INFO(row.url);
    const Environment environment = with_provider(rest + '"' + row.url + '"');
    if (row.host == nullptr) {
      CHECK(refuses(environment, Errc::config_invalid, "LATCHKEY_PROVIDERS"));
      continue;
    }
    const Checked checked{environment};
    REQUIRE(checked.ok());
    CHECK(checked.provider().git_host == row.host);
    CHECK(checked.provider().git_base == row.base);
    CHECK(checked.provider().git == profile::Git::gitlab);
  }
  CHECK(refuses(with_provider(rest + "1"), Errc::config_invalid, "LATCHKEY_PROVIDERS"));
  const Environment dev = with("LATCHKEY_DEV", "1", with("PUBLIC_BASE_URL", "http://localhost:1"));
  const Checked local{with_provider(rest + R"("http://127.0.0.1:80/x")", dev)};
  REQUIRE(local.ok());
  CHECK(local.provider().git_plain);
  CHECK(local.provider().git_host == "127.0.0.1");
  CHECK(local.provider().git_base == "/x");
  CHECK(refuses(with_provider(rest + R"("http://git.example")", dev), Errc::config_invalid,
                "LATCHKEY_PROVIDERS"));
  CHECK(profile::git_user(profile::Git::github) == "x-access-token");
  CHECK(profile::git_user(profile::Git::gitlab) == "oauth2");
  CHECK(profile::git_user(profile::Git::bitbucket) == "x-token-auth");
  CHECK(profile::git_user(profile::Git::git) == "oauth2");
}

TEST_CASE("T57 config: how long runs are kept; what is unusable is the default, and says why") {
  using retention::Taken;
  constexpr std::int64_t day = 86'400'000;
  const std::pair<const char*, Taken> unusable[] = {
      {"", Taken::blank},
      {" ", Taken::blank},
      {"abc", Taken::not_a_number},
      {"-1", Taken::negative},
      {"NaN", Taken::not_a_number},
      {"1e999", Taken::not_a_number},
      {"34560000001", Taken::too_large},
  };
  for (const auto& [text, reason] : unusable) {
    CAPTURE(text);
    const Checked checked{with("RUN_RETENTION_MS", text)};
    REQUIRE(checked.verdict);
    CHECK(checked.out->run_retention.value.value == day);
    CHECK(checked.out->run_retention.reason == reason);
  }
  CHECK(Checked{good()}.out->run_retention.reason == Taken::unset);
  CHECK(Checked{good()}.out->run_retention.value.value == day);
  const Checked zero{with("RUN_RETENTION_MS", "0")};
  CHECK(zero.out->run_retention.reason == Taken::set);
  CHECK(zero.out->run_retention.value.value == 0);
}

TEST_CASE("config: a required variable that is not set is named") {
  for (const char* name :
       {"LATCHKEY_KEYS", "PUBLIC_BASE_URL", "LATCHKEY_PROVIDERS", "MY_GIT_CLIENT_SECRET"}) {
    INFO(name);
    CHECK(refuses(with(name, std::nullopt), Errc::config_missing, name));
    CHECK(refuses(with(name, ""), Errc::config_missing, name));
  }
  CHECK(refuses({}, Errc::config_missing, "LATCHKEY_KEYS"));
  for (const char* optional :
       {"LATCHKEY_PRINCIPAL_KEY", "LATCHKEY_DEV", "ENABLE_CONNECT", "MY_GIT_WEBHOOK_SECRET"}) {
    CHECK(Checked(with(optional, std::nullopt)).ok());
  }
  CHECK(Checked(with("RUN_RETENTION_MS", "nonsense", with("OTHER", std::nullopt))).ok());
}

TEST_CASE("T14 config: keys are refused before anything else is looked at") {
  struct Row {
    std::string text;
    Errc cause;
  };
  const Row rows[] = {
      {"k1:" + std::string(48, 'a'), Errc::key_invalid},  // 24 bytes
      {"k1:" + std::string(70, 'a'), Errc::key_invalid},  // 35 bytes
      {"k1:" + std::string(63, 'a'), Errc::key_invalid},
      {key('a'), Errc::key_invalid},
      {entry("k1", 'a') + ",", Errc::key_invalid},
      {entry("k1", 'a') + "," + entry("k1", 'b'), Errc::key_duplicate},
      {entry("k1", 'a') + "," + entry("k2", 'a'), Errc::key_duplicate},
      {" k1:" + key('a'), Errc::key_invalid},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const Environment environment =
        with("LATCHKEY_KEYS", row.text, with("PUBLIC_BASE_URL", std::nullopt));
    CHECK(refuses(environment, Errc::config_invalid, "LATCHKEY_KEYS"));
    CHECK(Checked(environment).verdict.cause == row.cause);
    CHECK(refuses(with("LATCHKEY_PRINCIPAL_KEY", row.text), Errc::config_invalid,
                  "LATCHKEY_PRINCIPAL_KEY"));
  }
  CHECK(Checked(with("LATCHKEY_KEYS", entry("k1", 'a') + "," + entry("k2", 'b')))
            .out->ring()
            .size() == 2);
}

TEST_CASE("config: the principal key is a key of its own") {
  const Checked checked{with("LATCHKEY_PRINCIPAL_KEY", entry("k1", 'b'))};
  REQUIRE(checked.ok());
  CHECK(checked.out->principal_ring().size() == 1);
  CHECK(
      refuses(with("LATCHKEY_PRINCIPAL_KEY", ""), Errc::config_invalid, "LATCHKEY_PRINCIPAL_KEY"));
  const Environment two = with("LATCHKEY_KEYS", entry("k1", 'a') + "," + entry("k2", 'b'));
  for (const std::string& text : {entry("p", 'a'), entry("p", 'b'),
                                  entry("p", 'c') + "," + entry("q", 'b'), entry("p", 'A')}) {
    INFO(text);
    const Environment environment = with("LATCHKEY_PRINCIPAL_KEY", text, two);
    CHECK(refuses(environment, Errc::config_invalid, "LATCHKEY_PRINCIPAL_KEY"));
    CHECK(Checked(environment).verdict.cause == Errc::key_duplicate);
  }
  CHECK(Checked(with("LATCHKEY_PRINCIPAL_KEY", entry("k1", 'c'), two)).ok());
}

TEST_CASE("config: the base URL is an origin") {
  struct Row {
    const char* text;
    const char* origin;  // null: refused
  };
  const Row rows[] = {
      {"https://keys.example", "https://keys.example"},
      {"https://keys.example/", "https://keys.example"},
      {"https://keys.example:8443/", "https://keys.example:8443"},
      {"https://keys.example:443", "https://keys.example"},
      {"https://keys.example:80", "https://keys.example:80"},
      {"http://localhost:8787", "http://localhost:8787"},
      {"http://127.0.0.1:80/", "http://127.0.0.1"},
      {"http://[::1]:8787", "http://[::1]:8787"},
      {"https://localhost", "https://localhost"},
      {"http://keys.example", nullptr},
      {"http://localhost.evil.example", nullptr},
      {"https://keys.example//", nullptr},
      {"https://keys.example/app", nullptr},
      {"https://keys.example?", nullptr},
      {"https://keys.example/?a=b", nullptr},
      {"https://keys.example/#", nullptr},
      {"https://u@keys.example", nullptr},
      {"https://", nullptr},
      {"keys.example", nullptr},
      {"ftp://keys.example", nullptr},
      {"javascript:alert(1)", nullptr},
      {" https://keys.example", nullptr},
      {"https://keys.example ", nullptr},
      {"HTTPS://keys.example", nullptr},
      {"https://Keys.example", nullptr},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const Environment environment = with("PUBLIC_BASE_URL", row.text);
    if (row.origin == nullptr) {
      CHECK(refuses(environment, Errc::config_invalid, "PUBLIC_BASE_URL"));
    } else {
      const Checked checked{environment};
      CHECK(checked.ok());
      CHECK(checked.out->base_url == row.origin);
    }
  }
  const auto sized = [](std::size_t size) {
    std::string text = "https://";
    while (text.size() < size) text += (text.size() + 1) % 50 == 0 ? '.' : 'a';
    return text;
  };
  CHECK(Checked(with("PUBLIC_BASE_URL", sized(config::max_base_url))).ok());
  CHECK(refuses(with("PUBLIC_BASE_URL", sized(config::max_base_url + 1)), Errc::config_invalid,
                "PUBLIC_BASE_URL"));
  // The longest redirect URI is a claim of a state.
  CHECK(config::max_base_url + std::string_view{"/callback/"}.size() + config::max_name == 255);
}

TEST_CASE("config: development is for a loopback origin only") {
  for (const char* origin : {"https://keys.example", "http://localhost:1", "https://[::1]"}) {
    const bool loopback = std::string_view{origin} != "https://keys.example";
    const Environment at = with("PUBLIC_BASE_URL", origin);
    INFO(origin);
    for (const char* off : {"", "0"}) {
      const Checked checked{with("LATCHKEY_DEV", off, at)};
      CHECK(checked.ok());
      CHECK_FALSE(checked.out->dev);
    }
    const Checked on{with("LATCHKEY_DEV", "1", at)};
    CHECK(on.ok() == loopback);
    CHECK(on.out->dev == loopback);
    if (!loopback) {
      CHECK(refuses(with("LATCHKEY_DEV", "1", at), Errc::config_invalid, "LATCHKEY_DEV"));
    }
    for (const char* odd : {"true", "yes", " 1", "1 ", "01", "2", "false", "on"}) {
      INFO(odd);
      CHECK(refuses(with("LATCHKEY_DEV", odd, at), Errc::config_invalid, "LATCHKEY_DEV"));
    }
  }
}

TEST_CASE("config: connecting is enabled by exactly true") {
  CHECK(Checked(with("ENABLE_CONNECT", "true")).out->connect_enabled);
  for (const std::optional<std::string>& off :
       {std::optional<std::string>{}, std::optional<std::string>{""},
        std::optional<std::string>{"false"}}) {
    const Checked checked{with("ENABLE_CONNECT", off)};
    CHECK(checked.ok());
    CHECK_FALSE(checked.out->connect_enabled);
  }
  for (const char* odd : {"TRUE", "True", "1", "yes", " true", "true ", "0"}) {
    INFO(odd);
    CHECK(refuses(with("ENABLE_CONNECT", odd), Errc::config_invalid, "ENABLE_CONNECT"));
  }
}

TEST_CASE("config: the provider list is a JSON object") {
  for (const char* text : {"[]", "null", "1", "{", "{}x", R"({"a":1})", R"({"a":[]})",
                           R"({"a":{"profile":"google","clientId":"c"},"a":{}})", "'{}'"}) {
    INFO(text);
    CHECK(refuses(with("LATCHKEY_PROVIDERS", text), Errc::config_invalid, "LATCHKEY_PROVIDERS"));
  }
  CHECK(Checked(with("LATCHKEY_PROVIDERS", "{}")).ok());
  const Checked broken{with("LATCHKEY_PROVIDERS", R"({"a":x})")};
  CHECK(broken.verdict.cause == Errc::json_invalid);
  CHECK(broken.verdict.at == 5);
  const Checked unknown{with("LATCHKEY_PROVIDERS", R"({"a":{"profile":"google","secret":"c"}})")};
  CHECK(unknown.verdict.at == 26);
}

TEST_CASE("config: provider names") {
  const auto named = [](const std::string& name, const std::string& secret) {
    return with(
        secret, "x",
        with("LATCHKEY_PROVIDERS", R"({")" + name + R"(":{"profile":"google","clientId":"c"}})"));
  };
  CHECK(Checked(named("a", "A_CLIENT_SECRET")).ok());
  CHECK(Checked(named("0", "0_CLIENT_SECRET")).ok());
  CHECK(Checked(named("a-b-", "A_B__CLIENT_SECRET")).ok());
  const std::string longest(32, 'z');
  CHECK(Checked(named(longest, std::string(32, 'Z') + "_CLIENT_SECRET")).ok());
  for (const std::string& name :
       {std::string{}, std::string{"-a"}, std::string{"A"}, std::string{"a_b"}, std::string{"a.b"},
        std::string{"a b"}, std::string{"\xC3\xA9"}, std::string(33, 'z')}) {
    INFO(name);
    CHECK(refuses(named(name, "X"), Errc::config_invalid, "LATCHKEY_PROVIDERS"));
  }
}

TEST_CASE("config: provider members, one by one") {
  struct Row {
    const char* members;
    bool ok;
    bool ok_in_dev;
  };
  const Row rows[] = {
      {R"("profile":"google","clientId":"c")", true, true},
      {R"("clientId":"c")", false, false},
      {R"("profile":"google")", false, false},
      {R"("profile":"Google","clientId":"c")", false, false},
      {R"("profile":1,"clientId":"c")", false, false},
      {R"("profile":"google","clientId":"")", false, false},
      {R"("profile":"google","clientId":7)", false, false},
      {R"("profile":"google","clientId":"a\nb")", false, false},
      {R"("profile":"google","clientId":"c","clientSecret":"s")", false, false},
      {R"("profile":"google","clientId":"c","ClientId":"c")", false, false},
      {R"("profile":"google","clientId":"c","":"")", false, false},
      {R"("profile":"google","clientId":"c","title":"")", false, false},
      {R"("profile":"google","clientId":"c","title":null)", false, false},
      {R"("profile":"google","clientId":"c","title":"T\u00e9")", true, true},
      {R"("profile":"generic","clientId":"c")", false, false},
      {R"("profile":"generic","clientId":"c","authorizationUrl":"https://a.example")", false,
       false},
      {R"("profile":"generic","clientId":"c","tokenUrl":"https://a.example")", false, false},
      {R"("profile":"generic","clientId":"c","authorizationUrl":"https://a.example",)"
       R"("tokenUrl":"https://a.example")",
       true, true},
      {R"("profile":"unknown","clientId":"c","authorizationUrl":"https://a.example",)"
       R"("tokenUrl":"https://a.example")",
       false, false},
      {R"("profile":"google","clientId":"c","tokenUrl":"")", false, false},
      {R"("profile":"google","clientId":"c","tokenUrl":null)", false, false},
      {R"("profile":"google","clientId":"c","tokenUrl":"http://a.example/t")", false, false},
      {R"("profile":"google","clientId":"c","tokenUrl":"http://localhost:9/t")", false, true},
      {R"("profile":"google","clientId":"c","authorizationUrl":"http://127.0.0.1:9/a")", false,
       true},
      {R"("profile":"google","clientId":"c","revocationUrl":"http://[::1]:9/r")", false, true},
      {R"("profile":"google","clientId":"c","userInfoUrl":"http://localhost:9/u")", false, true},
      {R"("profile":"google","clientId":"c","userInfoUrl":"javascript:a")", false, false},
      {R"("profile":"google","clientId":"c","userInfoUrl":"https://a.example/#f")", false, false},
      {R"("profile":"google","clientId":"c","userInfoUrl":"https://u:p@a.example/")", false, false},
      {R"("profile":"google","clientId":"c","issuer":"https://a.example/x")", true, true},
      {R"("profile":"google","clientId":"c","issuer":"https://a.example/?x")", false, false},
      {R"("profile":"google","clientId":"c","issuer":"http://a.example")", false, false},
      {R"("profile":"google","clientId":"c","issuer":"http://localhost:9")", false, true},
      {R"("profile":"google","clientId":"c","issuer":"")", false, false},
      {R"("profile":"google","clientId":"c","responseMode":"query")", true, true},
      {R"("profile":"google","clientId":"c","responseMode":"form_post")", true, true},
      {R"("profile":"google","clientId":"c","responseMode":"fragment")", false, false},
      {R"("profile":"google","clientId":"c","responseMode":"")", false, false},
      {R"("profile":"google","clientId":"c","scopes":[])", true, true},
      {R"("profile":"google","clientId":"c","scopes":["a","b,c"])", true, true},
      {R"("profile":"linear","clientId":"c","scopes":["a","b,c"])", false, false},
      {R"("profile":"google","clientId":"c","scopes":"a b")", false, false},
      {R"("profile":"google","clientId":"c","scopes":["a b"])", false, false},
      {R"("profile":"google","clientId":"c","scopes":[""])", false, false},
      {R"("profile":"google","clientId":"c","scopes":[1])", false, false},
      {R"("profile":"google","clientId":"c","scopes":["a\"b"])", false, false},
      {R"("profile":"google","clientId":"c","scopes":{"a":"b"})", false, false},
      {R"("profile":"google","clientId":"c","public":true)", true, true},
      {R"("profile":"google","clientId":"c","public":"true")", false, false},
      {R"("profile":"google","clientId":"c","public":1)", false, false},
      {R"("profile":"slack","clientId":"c","public":true)", false, false},
      {R"("profile":"slack","clientId":"c","public":false)", true, true},
  };
  for (const Row& row : rows) {
    INFO(row.members);
    CHECK(Checked(with_provider(row.members)).ok() == row.ok);
    CHECK(Checked(with_provider(row.members, in_dev())).ok() == row.ok_in_dev);
    if (!row.ok) {
      CHECK(refuses(with_provider(row.members), Errc::config_invalid, "LATCHKEY_PROVIDERS"));
    }
  }
}

TEST_CASE("threat T25 config: a URL is http(s) by its parsed scheme") {
  for (const char* scheme :
       {"javascript:", "data:", "vbscript:", "file://", "ftp://", "ws://", "wss://",
        "blob:", "about:", "mailto:", "gopher://", "view-source:https://"}) {
    for (const char* before : {"", " ", "\\t", "\\n", "\\u0000"}) {
      const std::string url = std::string{before} + scheme + "a.example/";
      INFO(url);
      CHECK(refuses(
          with_provider(R"("profile":"google","clientId":"c","tokenUrl":")" + url + "\"", in_dev()),
          Errc::config_invalid, "LATCHKEY_PROVIDERS"));
    }
  }
}

TEST_CASE("config: titles, and what a generic server is called") {
  const std::string urls =
      R"(,"authorizationUrl":"https://a.example/a","tokenUrl":"https://a.example/t")";
  const Checked generic{with_provider(R"("profile":"generic","clientId":"c")" + urls)};
  CHECK(generic.provider().title == "p");
  const Checked google{with_provider(R"("profile":"google","clientId":"c")")};
  CHECK(google.provider().title == "Google");
  const Checked own{with_provider(R"("profile":"generic","clientId":"c","title":"Own")" + urls)};
  CHECK(own.provider().title == "Own");
  const auto titled = [](std::size_t size) {
    return with_provider(R"("profile":"google","clientId":"c","title":")" + std::string(size, 't') +
                         "\"");
  };
  CHECK(Checked(titled(64)).ok());
  CHECK_FALSE(Checked(titled(65)).ok());
}

TEST_CASE("config: `iss` is only demanded of a known issuer") {
  const std::string urls =
      R"(,"authorizationUrl":"https://a.example/a","tokenUrl":"https://a.example/t")";
  const std::string keycloak = R"("profile":"keycloak","clientId":"c")" + urls;
  const std::string generic = R"("profile":"generic","clientId":"c")" + urls;
  const std::string issuer = R"(,"issuer":"https://a.example")";
  CHECK_FALSE(Checked(with_provider(keycloak)).provider().iss_required);
  CHECK(Checked(with_provider(keycloak + issuer)).provider().iss_required);
  CHECK_FALSE(Checked(with_provider(generic + issuer)).provider().iss_required);
  CHECK(Checked(with_provider(generic + issuer)).provider().as_issuer == "https://a.example");
}

TEST_CASE("config: client secrets") {
  CHECK(Checked(with("MY_GIT_CLIENT_SECRET", std::string(1024, 's'))).ok());
  CHECK(refuses(with("MY_GIT_CLIENT_SECRET", std::string(1025, 's')), Errc::config_invalid,
                "MY_GIT_CLIENT_SECRET"));
  CHECK(refuses(with("MY_GIT_CLIENT_SECRET", "s\n"), Errc::config_invalid, "MY_GIT_CLIENT_SECRET"));
  CHECK(Checked(with("MY_GIT_WEBHOOK_SECRET", "w")).ok());
  CHECK(refuses(with("MY_GIT_WEBHOOK_SECRET", ""), Errc::config_invalid, "MY_GIT_WEBHOOK_SECRET"));
  CHECK(refuses(with("MY_GIT_WEBHOOK_SECRET", "\x7f"), Errc::config_invalid,
                "MY_GIT_WEBHOOK_SECRET"));
  // A public client has none, and needs none.
  const Checked checked{
      with("LATCHKEY_PROVIDERS", R"({"x":{"profile":"x","clientId":"c","public":true}})")};
  REQUIRE(checked.ok());
  CHECK(checked.provider().client_secret.empty());
  CHECK(checked.provider().pkce);
}

TEST_CASE("config: every profile with URLs is configured by a client id alone") {
  for (const auto& row : profile::all()) {
    const std::string_view name = row.name;
    INFO(name);
    const Checked checked{
        with_provider(R"("profile":")" + std::string{name} + R"(","clientId":"c")")};
    CHECK(checked.ok() == !row.authorization_url.empty());
    if (!checked.ok()) continue;
    CHECK(checked.provider().title == std::string_view{row.title});
    CHECK(checked.provider().authorization_url == std::string_view{row.authorization_url});
    CHECK(checked.provider().token_url == std::string_view{row.token_url});
    CHECK(checked.provider().revocation_url == std::string_view{row.revocation_url});
    CHECK(checked.provider().user_info_url == std::string_view{row.user_info_url});
    CHECK(checked.provider().pkce == (row.pkce != profile::Pkce::no));
  }
}

TEST_CASE("config: numbers of providers and scopes, and the size of it all") {
  const auto many = [](std::size_t count, std::size_t scopes) {
    std::string text = "{";
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) text += ',';
      text += R"("p)" + std::to_string(i) + R"(":{"profile":"google","clientId":"c","public":true)";
      if (scopes > 0) text += R"(,"scopes":["s0")";
      for (std::size_t j = 1; j < scopes; ++j) text += R"(,"s)" + std::to_string(j) + "\"";
      text += scopes > 0 ? "]}" : "}";
    }
    return with("LATCHKEY_PROVIDERS", text + "}");
  };
  const Checked full{many(32, 20)};
  REQUIRE(full.ok());
  REQUIRE(full.out->provider_count == 32);
  for (std::size_t i = 0; i < 32; ++i) {
    CHECK(full.out->providers[i].name == "p" + std::to_string(i));
    CHECK(full.out->providers[i].scopes ==
          "s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 s12 s13 s14 s15 s16 s17 s18 s19");
  }
  CHECK(refuses(many(33, 0), Errc::config_invalid, "LATCHKEY_PROVIDERS"));
  CHECK(Checked(many(1, 64)).ok());
  CHECK(refuses(many(1, 65), Errc::config_invalid, "LATCHKEY_PROVIDERS"));
  CHECK(refuses(many(32, 60), Errc::config_invalid, "LATCHKEY_PROVIDERS"));  // too many values

  const std::string list{one_provider};
  const auto padded = [&](std::size_t size) {
    return with("LATCHKEY_PROVIDERS", list + std::string(size - list.size(), ' '));
  };
  CHECK(Checked(padded(config::max_providers_text)).ok());
  CHECK(
      refuses(padded(config::max_providers_text + 1), Errc::config_invalid, "LATCHKEY_PROVIDERS"));
  CHECK(Checked(good(), 2 * list.size()).ok());
  CHECK(Checked(good(), 2 * list.size() - 1).verdict.code == Errc::output_too_small);
  CHECK(Checked(good(), 0).verdict.code == Errc::output_too_small);
}

TEST_CASE("config: a refused configuration leaves no key behind") {
  const Checked checked{
      with("LATCHKEY_PROVIDERS", "[]", with("LATCHKEY_PRINCIPAL_KEY", entry("p", 'b')))};
  CHECK_FALSE(checked.ok());
  for (const auto* ring : {&checked.out->keys, &checked.out->principal_keys}) {
    for (const keys::Key& key : *ring) {
      for (const std::uint8_t byte : key.seal) CHECK(byte == 0);
      for (const std::uint8_t byte : key.state_sign.seed_and_public) CHECK(byte == 0);
    }
  }
}

TEST_CASE("T07 config: a verdict names a variable and never holds a value (property)") {
  std::mt19937 random{3};
  const std::string canary = "CANARY";
  const char* names[] = {"LATCHKEY_KEYS",        "LATCHKEY_PRINCIPAL_KEY", "PUBLIC_BASE_URL",
                         "LATCHKEY_DEV",         "ENABLE_CONNECT",         "LATCHKEY_PROVIDERS",
                         "MY_GIT_CLIENT_SECRET", "MY_GIT_WEBHOOK_SECRET"};
  for (int round = 0; round < 400; ++round) {
    Environment environment = good();
    const char* name = names[random() % std::size(names)];
    std::string value = canary;
    if (random() % 2 == 0) value = R"({"my-git":{"profile":")" + canary + R"("}})";
    if (random() % 4 == 0) value += '\n';
    const Checked checked{with(name, value, environment)};
    if (checked.ok()) continue;
    CHECK(checked.verdict.variable.view() == name);
    const std::string_view bytes{reinterpret_cast<const char*>(&checked.verdict),
                                 sizeof checked.verdict};
    CHECK(bytes.find(canary) == std::string_view::npos);
  }
}

TEST_CASE("config: any provider text is read without a trap (property)") {
  std::mt19937 random{5};
  const std::string whole =
      R"({"p":{"profile":"generic","clientId":"c","authorizationUrl":"https://a.example/a",)"
      R"("tokenUrl":"https://a.example/t","scopes":["a","b"],"issuer":"https://a.example"}})";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(Checked(with("LATCHKEY_PROVIDERS", whole.substr(0, size))).ok());
  }
  for (int round = 0; round < 3000; ++round) {
    std::string changed = whole;
    changed[random() % changed.size()] = static_cast<char>(random() % 256);
    const Checked checked{with("LATCHKEY_PROVIDERS", changed, with("P_CLIENT_SECRET", "x"))};
    if (checked.ok()) CHECK(checked.out->provider_count == 1);
    if (!checked.ok()) CHECK(checked.verdict.at <= changed.size());
  }
}

namespace {

// A github-app provider with this `refresh`.
Checked with_refresh(const std::string& members, const std::string& profile = "github-app") {
  return Checked{
      with_provider(R"("profile":")" + profile + R"(","clientId":"c","refresh":)" + members)};
}

// The position of the wrong part, or -1 when nothing is wrong; 0 is told nowhere.
std::int64_t wrong_at(const Checked& checked, std::string_view part) {
  const std::string& text = *checked.environment[2].second;
  CHECK(checked.verdict.variable.view() == (checked.ok() ? "" : "LATCHKEY_PROVIDERS"));
  if (checked.ok()) return -1;
  CHECK(text.substr(checked.verdict.at, part.size()) == part);
  return checked.verdict.at;
}

}  // namespace

TEST_CASE("config: what is said of refreshing beats the profile, and only that") {
  const Checked usual = with_refresh("{}");
  REQUIRE(usual.ok());
  const auto& facts = usual.provider().refresh;
  CHECK(facts.traits.rotation == refresh::Rotation::strict_refused);
  CHECK(facts.access_ttl == seconds(28'800));
  CHECK(facts.traits.access_lifetime == Millis{0});

  const Checked all = with_refresh(
      R"({"rotation":"grace_same","graceSeconds":60,"accessTtlSeconds":604800,"idleSeconds":1,)"
      R"("absoluteSeconds":3162240000,"timeoutSeconds":14,"lagSeconds":3,"oldAccessDies":false,)"
      R"("needsRedirectUri":true,"serverErrorsUnspent":true,)"
      R"("proactive":true})",
      "gitlab");
  REQUIRE(all.ok());
  const auto& said = all.provider().refresh;
  CHECK(said.traits.rotation == refresh::Rotation::grace_same);
  CHECK(said.traits.after_grace == refresh::Rotation::family_revoked);
  CHECK(said.traits.grace == seconds(60));
  CHECK(said.access_ttl == seconds(604'800));
  CHECK(said.traits.access_lifetime == seconds(604'800));
  CHECK(said.traits.max_access_lifetime == seconds(604'800));
  CHECK(said.traits.refresh_idle == seconds(1));
  CHECK(said.traits.refresh_absolute == seconds(3'162'240'000));
  CHECK(said.traits.time_out == seconds(14));
  CHECK(said.traits.lag == seconds(3));
  CHECK_FALSE(said.traits.old_access_dies);
  CHECK(said.needs_redirect_uri);
  CHECK(said.server_errors_unspent);
  CHECK(said.proactive);
  CHECK(said.traits.revocation == refresh::Revocation::token);

  // One without an end does not begin to expire because it can be refreshed.
  const Checked lasting = with_refresh(R"({"accessTtlSeconds":0})");
  REQUIRE(lasting.ok());
  CHECK(lasting.provider().refresh.access_ttl == Millis{0});
  CHECK(lasting.provider().refresh.traits.access_lifetime == Millis{0});
}

TEST_CASE("config: another rotation drops the profile's grace") {
  for (const auto name : refresh::rotation_names) {
    const bool grace = name.substr(0, 5) == "grace";
    const std::string rotation = R"({"rotation":")" + std::string{name} + '"';
    INFO(name);
    CHECK(with_refresh(rotation + "}", "xero").ok() == !grace);
    CHECK(with_refresh(rotation + R"(,"graceSeconds":0})", "xero").ok() == !grace);
    CHECK(with_refresh(rotation + R"(,"graceSeconds":1})", "xero").ok() == grace);
    CHECK(with_refresh(R"({"graceSeconds":1,)" + rotation.substr(1) + "}", "xero").ok() == grace);
  }
  CHECK(with_refresh(R"({"graceSeconds":60})", "xero").ok());
  CHECK_FALSE(with_refresh(R"({"graceSeconds":60})").ok());
  CHECK_FALSE(with_refresh(R"({"graceSeconds":0})", "xero").ok());
}

TEST_CASE("config: what is wrong about refreshing is named where it stands") {
  struct Row {
    std::string members;
    std::string_view part;
    Errc cause = Errc::config_invalid;
  };
  const Row rows[] = {
      {R"({"rotations":"none"})", "rotations"},
      {R"({"Rotation":"none"})", "Rotation"},
      {R"({"idleSeconds":1,"x":1})", "x"},
      {R"({"rotation":"","x":1})", "rotation"},
      {R"({"rotation":"single"})", "rotation"},
      {R"({"rotation":4})", "rotation"},
      {R"({"rotation":null})", "rotation"},
      {R"({"idleSeconds":-1})", "idleSeconds"},
      {R"({"idleSeconds":1.5})", "idleSeconds"},
      {R"({"idleSeconds":"60"})", "idleSeconds"},
      {R"({"idleSeconds":3162240001})", "idleSeconds"},
      {R"({"absoluteSeconds":9223372036854775807})", "absoluteSeconds"},
      {R"({"lagSeconds":1e3})", "lagSeconds"},
      {R"({"oldAccessDies":1})", "oldAccessDies"},
      {R"({"needsRedirectUri":"true"})", "needsRedirectUri"},
      {R"({"serverErrorsUnspent":null})", "serverErrorsUnspent"},
      {R"({"rotation":"grace_new"})", "refresh"},
      {R"({"graceSeconds":5})", "refresh"},
      {R"({"timeoutSeconds":15})", "refresh", Errc::lease_too_short},
      {"[]", "refresh"},
      {"null", "refresh"},
      {R"("none")", "refresh"},
  };
  for (const Row& row : rows) {
    INFO(row.members);
    const Checked checked = with_refresh(row.members);
    CHECK(checked.verdict.code == Errc::config_invalid);
    CHECK(checked.verdict.cause == row.cause);
    CHECK(wrong_at(checked, row.part) > 0);
  }
  CHECK(wrong_at(with_refresh(R"({"timeoutSeconds":14})"), "") == -1);
}

namespace {

using scope::Scope;

// One provider with these settings of whose connection a call uses, and its deployment token.
Checked with_owners(const std::string& members, std::optional<std::string> token = "t0ken") {
  return Checked{with("P_DEPLOYMENT_TOKEN", std::move(token),
                      with_provider(R"("profile":"gitlab","clientId":"x",)" + members))};
}

std::vector<Scope> order_of(const Checked& checked) {
  std::vector<Scope> out;
  for (const Scope scope : checked.provider().policy.order) {
    if (scope != Scope{}) out.push_back(scope);
  }
  return out;
}

}  // namespace

TEST_CASE("config: whose connection a call uses") {
  const std::vector usual{Scope::user, Scope::org, Scope::deployment};
  const Checked plain = with_owners(R"("title":"P")", {});
  REQUIRE(plain.ok());
  CHECK(order_of(plain) == usual);
  CHECK_FALSE(plain.provider().policy.personal_only);
  CHECK_FALSE(plain.provider().policy.deployment);
  CHECK_FALSE(plain.provider().policy.past_revoked);
  CHECK(config::deployment_token(plain.provider()).empty());

  const Checked all = with_owners(R"("owners":["org","user"],"pastRevoked":true)", {});
  REQUIRE(all.ok());
  CHECK(order_of(all) == std::vector{Scope::org, Scope::user});
  CHECK(all.provider().policy.past_revoked);

  const Checked shared = with_owners(R"("deployment":true)");
  REQUIRE(shared.ok());
  CHECK(shared.provider().policy.deployment);
  CHECK(config::deployment_token(shared.provider()).view() == "P_DEPLOYMENT_TOKEN");
  CHECK(order_of(shared) == usual);
  CHECK(with_owners(R"("personalOnly":true)", {}).provider().policy.personal_only);
  CHECK(with_owners(R"("personalOnly":false,"deployment":false,"owners":["user"])", {}).ok());
  // Without the flag the place is named and not used, and needs no token.
  CHECK(with_owners(R"("owners":["deployment"])", {}).ok());
}

TEST_CASE("config: a deployment token that may be used has to be there") {
  for (const auto& [token, code] :
       {std::pair<std::optional<std::string>, Errc>{std::nullopt, Errc::config_missing},
        {"", Errc::config_missing},
        {"a\nb", Errc::config_invalid},
        {std::string(config::max_secret + 1, 'x'), Errc::config_invalid}}) {
    const Checked checked = with_owners(R"("deployment":true)", token);
    CHECK(checked.verdict.code == code);
    CHECK(checked.verdict.variable.view() == "P_DEPLOYMENT_TOKEN");
    // Nobody reads it where it may not be used.
    CHECK(with_owners(R"("deployment":false)", token).ok());
  }
  // The longest name of a provider still has a variable.
  const std::string name(config::max_name, 'p');
  const std::string upper(config::max_name, 'P');
  const std::string json =
      R"({")" + name + R"(":{"profile":"gitlab","clientId":"x","deployment":true}})";
  const Checked longest{
      with(upper + "_DEPLOYMENT_TOKEN", "t",
           with(upper + "_CLIENT_SECRET", "s", with("LATCHKEY_PROVIDERS", json)))};
  CHECK(longest.ok());
}

TEST_CASE(
    "T21 config: what is no order, or would never come to anything, is named where it stands") {
  struct Row {
    std::string members;
    std::string_view part;
  };
  const Row rows[] = {
      {R"("owners":[])", "owners"},
      {R"("owners":"user")", "owners"},
      {R"("owners":["team"])", "owners"},
      {R"("owners":["User"])", "owners"},
      {R"("owners":["workspace"])", "owners"},
      {R"("owners":["solo"])", "owners"},
      {R"("owners":["user","user"])", "owners"},
      {R"("owners":["user",null])", "owners"},
      {R"("owners":["user","org","deployment","user"])", "owners"},
      {R"("personalOnly":"true")", "personalOnly"},
      {R"("deployment":1)", "deployment"},
      {R"("pastRevoked":null)", "pastRevoked"},
      {R"("personalOnly":true,"deployment":true)", "pastRevoked"},
      {R"("personalOnly":true,"owners":["user"])", "pastRevoked"},
      {R"("deployment":true,"owners":["user","org"])", "pastRevoked"},
      {R"("owner":["user"])", "owner"},
  };
  for (const Row& row : rows) {
    INFO(row.members);
    CHECK(with_owners(row.members).verdict.code == Errc::config_invalid);
  }
}
