#include "latchkey/profile.hpp"

namespace latchkey::profile {
namespace {

// Rows are our own words for vendor facts. A revocation endpoint that wants another method, JSON or
// the token as a bearer token is left out: an RFC 7009 request to it would be refused, and a strict
// disconnect would then never come to an end.
constexpr std::array<Profile, 28> table{{
    {.name = "airtable",
     .title = "Airtable",
     .authorization_url = "https://airtable.com/oauth2/v1/authorize",
     .token_url = "https://airtable.com/oauth2/v1/token",
     .user_info_url = "https://api.airtable.com/v0/meta/whoami",
     .pkce = Pkce::required,
     .certainty = Certainty::documented,
     .account_id_members = {"id"},
     .account_label_members = {"email"}},
    // The query is required: without it the token is good for no product API.
    {.name = "atlassian",
     .title = "Atlassian",
     .authorization_url =
         "https://auth.atlassian.com/authorize?audience=api.atlassian.com&prompt=consent",
     .token_url = "https://auth.atlassian.com/oauth/token",
     .user_info_url = "https://api.atlassian.com/me",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::second_hand,
     .account_id_members = {"account_id"},
     .account_label_members = {"email", "name"}},
    {.name = "auth0",
     .title = "Auth0",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .account_id_members = {"sub"}},
    {.name = "better-auth",
     .title = "Better Auth",
     .certainty = Certainty::assumed,
     .account_id_members = {"sub"}},
    {.name = "box",
     .title = "Box",
     .authorization_url = "https://account.box.com/api/oauth2/authorize",
     .token_url = "https://api.box.com/oauth2/token",
     .revocation_url = "https://api.box.com/oauth2/revoke",
     .user_info_url = "https://api.box.com/2.0/users/me",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .account_id_members = {"id"},
     .account_label_members = {"login", "name"}},
    {.name = "discord",
     .title = "Discord",
     .authorization_url = "https://discord.com/oauth2/authorize",
     .token_url = "https://discord.com/api/oauth2/token",
     .revocation_url = "https://discord.com/api/oauth2/token/revoke",
     .user_info_url = "https://discord.com/api/users/@me",
     .certainty = Certainty::documented,
     .account_id_members = {"id"},
     .account_label_members = {"username", "email"}},
    {.name = "generic", .title = "OAuth 2.0", .certainty = Certainty::assumed},
    {.name = "github-app",
     .title = "GitHub",
     .authorization_url = "https://github.com/login/oauth/authorize",
     .token_url = "https://github.com/login/oauth/access_token",
     .user_info_url = "https://api.github.com/user",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .granted_commas = true,
     .account_id_members = {"id"},
     .account_label_members = {"login", "name"}},
    {.name = "github-oauth",
     .title = "GitHub",
     .authorization_url = "https://github.com/login/oauth/authorize",
     .token_url = "https://github.com/login/oauth/access_token",
     .user_info_url = "https://api.github.com/user",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .granted_commas = true,
     .account_id_members = {"id"},
     .account_label_members = {"login", "name"}},
    {.name = "gitlab",
     .title = "GitLab",
     .authorization_url = "https://gitlab.com/oauth/authorize",
     .token_url = "https://gitlab.com/oauth/token",
     .revocation_url = "https://gitlab.com/oauth/revoke",
     .user_info_url = "https://gitlab.com/api/v4/user",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .account_id_members = {"id"},
     .account_label_members = {"username", "email", "name"}},
    // The query is what makes Google give a refresh token, and give it again on reconnecting.
    {.name = "google",
     .title = "Google",
     .authorization_url =
         "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent",
     .token_url = "https://oauth2.googleapis.com/token",
     .revocation_url = "https://oauth2.googleapis.com/revoke",
     .user_info_url = "https://openidconnect.googleapis.com/v1/userinfo",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .account_id_members = {"sub"},
     .account_label_members = {"email", "name"}},
    // Tells whose token it is only at a URL that holds the token; such a URL is never called.
    {.name = "hubspot",
     .title = "HubSpot",
     .authorization_url = "https://app.hubspot.com/oauth/authorize",
     .token_url = "https://api.hubapi.com/oauth/v1/token",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::second_hand,
     .account_id_members = {"user_id"},
     .account_label_members = {"user"}},
    {.name = "hydra",
     .title = "Ory Hydra",
     .certainty = Certainty::documented,
     .account_id_members = {"sub"}},
    {.name = "intuit",
     .title = "Intuit QuickBooks",
     .authorization_url = "https://appcenter.intuit.com/connect/oauth2",
     .token_url = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
     .user_info_url = "https://accounts.platform.intuit.com/v1/openid_connect/userinfo",
     .certainty = Certainty::second_hand,
     .account_id_members = {"sub"},
     .account_label_members = {"email"}},
    {.name = "keycloak",
     .title = "Keycloak",
     .certainty = Certainty::documented,
     .iss_supported = true,
     .account_id_members = {"sub"},
     .account_label_members = {"preferred_username", "email", "name"}},
    // Its user is read by GraphQL only.
    {.name = "linear",
     .title = "Linear",
     .authorization_url = "https://linear.app/oauth/authorize",
     .token_url = "https://api.linear.app/oauth/token",
     .auth_style = AuthStyle::body,
     .scope_separator = ScopeSeparator::comma,
     .certainty = Certainty::documented,
     .granted_commas = true,
     .account_id_members = {"id"},
     .account_label_members = {"email", "name"}},
    {.name = "microsoft",
     .title = "Microsoft",
     .authorization_url = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
     .token_url = "https://login.microsoftonline.com/common/oauth2/v2.0/token",
     .user_info_url = "https://graph.microsoft.com/oidc/userinfo",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .account_id_members = {"sub"},
     .account_label_members = {"email", "name"}},
    // Its user API wants a version header of its own.
    {.name = "notion",
     .title = "Notion",
     .authorization_url = "https://api.notion.com/v1/oauth/authorize?owner=user",
     .token_url = "https://api.notion.com/v1/oauth/token",
     .certainty = Certainty::second_hand,
     .account_id_members = {"id"},
     .account_label_members = {"name"}},
    {.name = "okta",
     .title = "Okta",
     .certainty = Certainty::documented,
     .account_id_members = {"sub"},
     .account_label_members = {"preferred_username", "email", "name"}},
    {.name = "salesforce",
     .title = "Salesforce",
     .authorization_url = "https://login.salesforce.com/services/oauth2/authorize",
     .token_url = "https://login.salesforce.com/services/oauth2/token",
     .revocation_url = "https://login.salesforce.com/services/oauth2/revoke",
     .user_info_url = "https://login.salesforce.com/services/oauth2/userinfo",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .account_id_members = {"user_id"},
     .account_label_members = {"preferred_username", "email", "name"}},
    {.name = "shopify",
     .title = "Shopify",
     .auth_style = AuthStyle::body,
     .scope_separator = ScopeSeparator::comma,
     .certainty = Certainty::assumed,
     .granted_commas = true,
     .account_id_members = {"id"}},
    // A challenge is only taken by apps that have switched PKCE on, so none is sent.
    {.name = "slack",
     .title = "Slack",
     .authorization_url = "https://slack.com/oauth/v2/authorize",
     .token_url = "https://slack.com/api/oauth.v2.access",
     .user_info_url = "https://slack.com/api/auth.test",
     .scope_separator = ScopeSeparator::comma,
     .pkce = Pkce::no,
     .certainty = Certainty::second_hand,
     .granted_commas = true,
     .token_type = "bot",
     .nested_tokens = "authed_user",
     .nested_token_type = "user",
     .account_id_members = {"user_id"},
     .account_label_members = {"user"}},
    {.name = "supabase", .title = "Supabase", .certainty = Certainty::assumed},
    {.name = "workers-oauth-provider",
     .title = "Workers OAuth provider",
     .certainty = Certainty::assumed},
    {.name = "x",
     .title = "X",
     .authorization_url = "https://x.com/i/oauth2/authorize",
     .token_url = "https://api.x.com/2/oauth2/token",
     .revocation_url = "https://api.x.com/2/oauth2/revoke",
     .user_info_url = "https://api.x.com/2/users/me",
     .pkce = Pkce::required,
     .certainty = Certainty::documented,
     .account_object = "data",
     .account_id_members = {"id"},
     .account_label_members = {"username", "name"}},
    {.name = "xero",
     .title = "Xero",
     .authorization_url = "https://login.xero.com/identity/connect/authorize",
     .token_url = "https://identity.xero.com/connect/token",
     .revocation_url = "https://identity.xero.com/connect/revocation",
     .user_info_url = "https://identity.xero.com/connect/userinfo",
     .certainty = Certainty::second_hand,
     .account_id_members = {"sub"},
     .account_label_members = {"preferred_username", "email", "name"}},
    // Every data centre has its own hosts.
    {.name = "zoho",
     .title = "Zoho",
     .auth_style = AuthStyle::body,
     .scope_separator = ScopeSeparator::comma,
     .certainty = Certainty::second_hand,
     .granted_commas = true,
     .account_id_members = {"ZUID"},
     .account_label_members = {"Email", "Display_Name"}},
    {.name = "zoom",
     .title = "Zoom",
     .authorization_url = "https://zoom.us/oauth/authorize",
     .token_url = "https://zoom.us/oauth/token",
     .revocation_url = "https://zoom.us/oauth/revoke",
     .user_info_url = "https://api.zoom.us/v2/users/me",
     .certainty = Certainty::documented,
     .account_id_members = {"id"},
     .account_label_members = {"email", "display_name"}},
}};

constexpr bool is_sorted_by_name() noexcept {
  for (std::size_t i = 1; i < table.size(); ++i) {
    const std::string_view before = table[i - 1].name;
    if (!(before < table[i].name)) return false;
  }
  return true;
}
static_assert(is_sorted_by_name());

constexpr bool is_https_or_empty(std::string_view url) noexcept {
  if (url.empty()) return true;
  constexpr std::string_view scheme = "https://";
  if (url.size() <= scheme.size() || url.substr(0, scheme.size()) != scheme) return false;
  for (const char c : url) {
    if (c <= ' ' || c > '~' || c == '#' || c == '\\' || c == '"') return false;
  }
  return true;
}
constexpr bool has_good_urls() noexcept {
  for (const Profile& row : table) {
    if (!is_https_or_empty(row.authorization_url) || !is_https_or_empty(row.token_url) ||
        !is_https_or_empty(row.revocation_url) || !is_https_or_empty(row.user_info_url)) {
      return false;
    }
    // One without the other would be configured by half.
    if (row.authorization_url.empty() != row.token_url.empty()) return false;
  }
  return true;
}
static_assert(has_good_urls());

}  // namespace

std::span<const Profile> all() noexcept { return table; }

const Profile* find(std::string_view name) noexcept {
  for (const Profile& row : table) {
    if (std::string_view{row.name} == name) return &row;
  }
  return nullptr;
}

bool is_scope_token(std::string_view text) noexcept {
  if (text.empty() || text.size() > 255) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '\\') return false;
  }
  return true;
}

}  // namespace latchkey::profile
