#include "latchkey/profile.hpp"
#include "latchkey/text.hpp"
#include "latchkey/url.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>

using namespace latchkey;
using profile::Profile;

namespace {

constexpr std::string_view fixed_names[] = {
    "github-app",
    "github-oauth",
    "gitlab",
    "google",
    "microsoft",
    "slack",
    "atlassian",
    "auth0",
    "okta",
    "keycloak",
    "hydra",
    "better-auth",
    "workers-oauth-provider",
    "supabase",
    "shopify",
    "linear",
    "notion",
    "salesforce",
    "hubspot",
    "intuit",
    "xero",
    "box",
    "airtable",
    "zoho",
    "discord",
    "x",
    "zoom",
    "generic",
};

}  // namespace

TEST_CASE("profile: the table has exactly the fixed names, sorted") {
  std::set<std::string_view> names{std::begin(fixed_names), std::end(fixed_names)};
  REQUIRE(names.size() == 28);
  REQUIRE(profile::all().size() == names.size());
  std::string_view before;
  for (const Profile& row : profile::all()) {
    const std::string_view name = row.name;
    INFO(name);
    CHECK(before < name);
    CHECK(names.contains(name));
    before = name;
  }
}

TEST_CASE("profile: find takes exact names only") {
  for (const Profile& row : profile::all()) CHECK(profile::find(row.name) == &row);
  for (const std::string_view name : {"", "GitHub-App", "github", "github-app ", "zzz", "a"}) {
    INFO(name);
    CHECK(profile::find(name) == nullptr);
  }
  CHECK(profile::find(std::string_view{}) == nullptr);
}

TEST_CASE("profile: every row can be used") {
  for (const Profile& row : profile::all()) {
    const std::string_view name = row.name;
    INFO(name);
    CHECK(text::is_plain(row.title, 64));
    CHECK_FALSE(row.account_id_members[0].empty());
    CHECK_FALSE(row.account_label_members[0].empty());
    CHECK(row.nested_tokens.empty() == row.nested_token_type.empty());
    CHECK(row.authorization_url.empty() == row.token_url.empty());
    for (const std::string_view text :
         {row.authorization_url, row.token_url, row.revocation_url, row.user_info_url}) {
      if (text.empty()) continue;
      INFO(text);
      const auto parsed = url::parse(text);
      REQUIRE(parsed);
      CHECK(parsed->https);
      CHECK(parsed->path.size() > 1);
      CHECK((!parsed->has_query || text == std::string_view{row.authorization_url}));
    }
  }
}

TEST_CASE("profile: generic says nothing that a server might not do") {
  const Profile* generic = profile::find("generic");
  REQUIRE(generic != nullptr);
  CHECK(generic->authorization_url.empty());
  CHECK(generic->token_url.empty());
  CHECK(generic->auth_style == profile::AuthStyle::basic);
  CHECK(generic->scope_separator == profile::ScopeSeparator::space);
  CHECK(generic->response_mode == profile::ResponseMode::query);
  CHECK(generic->pkce == profile::Pkce::optional);
  CHECK_FALSE(generic->iss_supported);
  CHECK(generic->certainty == profile::Certainty::assumed);
}

TEST_CASE("profile: scope tokens are RFC 6749 section 3.3") {
  for (int c = 0; c < 256; ++c) {
    const char one = static_cast<char>(c);
    const bool allowed = c == 0x21 || (c >= 0x23 && c <= 0x5B) || (c >= 0x5D && c <= 0x7E);
    INFO(c);
    CHECK(profile::is_scope_token({&one, 1}) == allowed);
  }
  CHECK_FALSE(profile::is_scope_token(""));
  CHECK(profile::is_scope_token(std::string(255, 'a')));
  CHECK_FALSE(profile::is_scope_token(std::string(256, 'a')));
  CHECK_FALSE(profile::is_scope_token("a b"));
}
