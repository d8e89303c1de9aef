#include "latchkey/profile.hpp"

namespace latchkey::profile {
namespace {

using Len = Length;

// Rows are our own words for vendor facts. A revocation endpoint whose shape is none of ours is
// left out: another request to it would be refused, and a strict disconnect would then never come
// to an end.
//
// The source of what `.refresh` says stands above a row; without one, nobody says it. A spent token
// is taken to be merely refused (`Reuse::refused`) only where somebody has seen that.
constexpr std::array<Profile, 28> table{{
    // Nango on Airtable: rotates, 60 days, the old access token dies at once, reuse may revoke.
    {.name = "airtable",
     .title = "Airtable",
     .authorization_url = "https://airtable.com/oauth2/v1/authorize",
     .token_url = "https://airtable.com/oauth2/v1/token",
     .user_info_url = "https://api.airtable.com/v0/meta/whoami",
     .pkce = Pkce::required,
     .certainty = Certainty::documented,
     .refresh = {.idle = Len::of_days(60),
                 .certainty = Certainty::second_hand,
                 .old_access_dies = true},
     .account_id_members = {"id"},
     .account_label_members = {"email"}},
    // The query is required: without it the token is good for no product API.
    // community.developer.atlassian.com/t/54172: 10 minutes of grace, 90 days, 365 days in all.
    {.name = "atlassian",
     .title = "Atlassian",
     .authorization_url =
         "https://auth.atlassian.com/authorize?audience=api.atlassian.com&prompt=consent",
     .token_url = "https://auth.atlassian.com/oauth/token",
     .user_info_url = "https://api.atlassian.com/me",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::second_hand,
     .refresh = {.grace = Len::of_minutes(10),
                 .idle = Len::of_days(90),
                 .absolute = Len::of_days(365),
                 .reuse = Reuse::grace_new,
                 .certainty = Certainty::documented},
     .account_id_members = {"account_id"},
     .account_label_members = {"email", "name"}},
    // auth0.com/docs, configure-refresh-token-rotation: the grace is a setting of the tenant;
    // refresh-tokens: 200 alive for each user and application.
    {.name = "auth0",
     .title = "Auth0",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .refresh = {.live_limit = 200, .certainty = Certainty::documented},
     .account_id_members = {"sub"}},
    // Its packages/oauth-provider/src/token.ts: no grace by default, reuse ends every login of the
    // user with the client.
    {.name = "better-auth",
     .title = "Better Auth",
     .certainty = Certainty::assumed,
     .refresh = {.certainty = Certainty::second_hand},
     .account_id_members = {"sub"}},
    // developer.box.com, tokens/refresh: single use, 60 days; reuse is answered by a refusal, but
    // by the same pair as long as nobody has used its access token (blog.box.com).
    {.name = "box",
     .title = "Box",
     .authorization_url = "https://account.box.com/api/oauth2/authorize",
     .token_url = "https://api.box.com/oauth2/token",
     .revocation_url = "https://api.box.com/oauth2/revoke",
     .user_info_url = "https://api.box.com/2.0/users/me",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .refresh = {.idle = Len::of_days(60),
                 .reuse = Reuse::refused,
                 .certainty = Certainty::second_hand,
                 .revokes_grant = false},
     .account_id_members = {"id"},
     .account_label_members = {"login", "name"}},
    // discord-api-docs, OAuth2.md: seven days; a new refresh token with each refresh;
    // account-linking-with-discord.mdx: revoking one ends all of the user with the client.
    {.name = "discord",
     .title = "Discord",
     .authorization_url = "https://discord.com/oauth2/authorize",
     .token_url = "https://discord.com/api/oauth2/token",
     .revocation_url = "https://discord.com/api/oauth2/token/revoke",
     .user_info_url = "https://discord.com/api/users/@me",
     .certainty = Certainty::documented,
     .refresh = {.access_ttl = Len::of_days(7)},
     .account_id_members = {"id"},
     .account_label_members = {"username", "email"}},
    {.name = "generic", .title = "OAuth 2.0", .certainty = Certainty::assumed},
    // github/docs, refreshing-user-access-tokens.md: 8 hours, 6 months, both old tokens die; where
    // expiry is switched off there is no refresh token. coder#24334: a spent one is refused.
    {.name = "github-app",
     .title = "GitHub",
     .authorization_url = "https://github.com/login/oauth/authorize",
     .token_url = "https://github.com/login/oauth/access_token",
     .revocation_url = "https://api.github.com/applications/{client_id}/token",
     .user_info_url = "https://api.github.com/user",
     .git_url = "https://github.com",
     .app_url = "https://api.github.com",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .granted_commas = true,
     .git = Git::github,
     .refresh = {.access_ttl = Len::of_hours(8),
                 .idle = Len::of_days(183),
                 .reuse = Reuse::refused,
                 .revocation_shape = RevocationShape::github,
                 .dialect = Dialect::github,
                 .certainty = Certainty::second_hand,
                 .revokes_grant = false,
                 .revocation_needs_live = true,
                 .old_access_dies = true,
                 .lasting_alone = true},
     .account_id_members = {"id"},
     .account_label_members = {"login", "name"}},
    // github/docs, oauth-token-limit.md: no expiry, ten tokens; there is nothing to refresh.
    {.name = "github-oauth",
     .title = "GitHub",
     .authorization_url = "https://github.com/login/oauth/authorize",
     .token_url = "https://github.com/login/oauth/access_token",
     .revocation_url = "https://api.github.com/applications/{client_id}/token",
     .user_info_url = "https://api.github.com/user",
     .git_url = "https://github.com",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .granted_commas = true,
     .git = Git::github,
     .refresh = {.access_ttl = {},
                 .live_limit = 10,
                 .reuse = Reuse::harmless,
                 .revocation_shape = RevocationShape::github,
                 .dialect = Dialect::github,
                 .certainty = Certainty::documented,
                 .revokes_grant = false},
     .account_id_members = {"id"},
     .account_label_members = {"login", "name"}},
    // gitlabhq, doc/api/oauth2.md: 2 hours, both old tokens die, the redirect URI goes along.
    // doorkeeper, refresh_token_request.rb: a spent one is refused, and that is all.
    {.name = "gitlab",
     .title = "GitLab",
     .authorization_url = "https://gitlab.com/oauth/authorize",
     .token_url = "https://gitlab.com/oauth/token",
     .revocation_url = "https://gitlab.com/oauth/revoke",
     .user_info_url = "https://gitlab.com/api/v4/user",
     .git_url = "https://gitlab.com",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .git = Git::gitlab,
     .refresh = {.access_ttl = Len::of_hours(2),
                 .reuse = Reuse::refused,
                 .certainty = Certainty::second_hand,
                 .revokes_grant = false,
                 .old_access_dies = true,
                 .needs_redirect_uri = true},
     .account_id_members = {"id"},
     .account_label_members = {"username", "email", "name"}},
    // The query is what makes Google give a refresh token, and give it again on reconnecting.
    // nango.dev and unified.to, quoting Google: no rotation, six months unused, 100 alive for each
    // account and client.
    {.name = "google",
     .title = "Google",
     .authorization_url =
         "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent",
     .token_url = "https://oauth2.googleapis.com/token",
     .revocation_url = "https://oauth2.googleapis.com/revoke",
     .user_info_url = "https://openidconnect.googleapis.com/v1/userinfo",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .refresh = {.idle = Len::of_days(182),
                 .live_limit = 100,
                 .reuse = Reuse::harmless,
                 .dialect = Dialect::google,
                 .certainty = Certainty::second_hand},
     .account_id_members = {"sub"},
     .account_label_members = {"email", "name"}},
    // Its v1 API of OAuth ends on 2027-02-16; the one of 2026-03 tells whose token it is by
    // introspection alone. developers.hubspot.com, manage-oauth-tokens: where to revoke.
    // nango.dev on HubSpot: the same refresh token comes back; sources differ on the life.
    {.name = "hubspot",
     .title = "HubSpot",
     .authorization_url = "https://app.hubspot.com/oauth/authorize",
     .token_url = "https://api.hubapi.com/oauth/2026-03/token",
     .revocation_url = "https://api.hubapi.com/oauth/2026-03/token/revoke",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::second_hand,
     .refresh = {.access_ttl = Len::of_minutes(30),
                 .reuse = Reuse::harmless,
                 .dialect = Dialect::hubspot,
                 .certainty = Certainty::second_hand},
     .account_id_members = {"user_id"},
     .account_label_members = {"user"}},
    // fosite, flow_refresh.go: reuse kills the family; a grace is a setting. hydra,
    // persister_oauth2.go: a refresh deletes the access tokens before it.
    {.name = "hydra",
     .title = "Ory Hydra",
     .certainty = Certainty::documented,
     .refresh = {.certainty = Certainty::documented,
                 .revokes_grant = false,
                 .old_access_dies = true},
     .account_id_members = {"sub"}},
    // blogs.a.intuit.com, 2025-11-12: 100 days unused, five years in all.
    {.name = "intuit",
     .title = "Intuit QuickBooks",
     .authorization_url = "https://appcenter.intuit.com/connect/oauth2",
     .token_url = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
     .user_info_url = "https://accounts.platform.intuit.com/v1/openid_connect/userinfo",
     .certainty = Certainty::second_hand,
     .refresh = {.idle = Len::of_days(100), .absolute = Len::of_days(5 * 365)},
     .account_id_members = {"sub"},
     .account_label_members = {"email"}},
    // keycloak#4510: reuse by count, not by time; off by default. `iss` since 23, unless an
    // administrator takes it out for a client.
    {.name = "keycloak",
     .title = "Keycloak",
     .certainty = Certainty::documented,
     .iss_supported = true,
     .refresh = {.certainty = Certainty::documented},
     .account_id_members = {"sub"},
     .account_label_members = {"preferred_username", "email", "name"}},
    // Its user is read by GraphQL only.
    // nango.dev on Linear: 24 hours. triage-factory, internal/linearoauth: within 30 minutes the
    // token before gets the same pair.
    {.name = "linear",
     .title = "Linear",
     .authorization_url = "https://linear.app/oauth/authorize",
     .token_url = "https://api.linear.app/oauth/token",
     .auth_style = AuthStyle::body,
     .scope_separator = ScopeSeparator::comma,
     .certainty = Certainty::documented,
     .granted_commas = true,
     .refresh = {.grace = Len::of_minutes(30),
                 .access_ttl = Len::of_hours(24),
                 .reuse = Reuse::grace_same,
                 .certainty = Certainty::second_hand},
     .account_id_members = {"id"},
     .account_label_members = {"email", "name"}},
    // entra-docs, refresh-tokens.md: a new one each time, the old one stays valid; 90 days.
    {.name = "microsoft",
     .title = "Microsoft",
     .authorization_url = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
     .token_url = "https://login.microsoftonline.com/common/oauth2/v2.0/token",
     .user_info_url = "https://graph.microsoft.com/oidc/userinfo",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .refresh = {.idle = Len::of_days(90),
                 .reuse = Reuse::harmless,
                 .dialect = Dialect::microsoft,
                 .certainty = Certainty::documented},
     .account_id_members = {"sub"},
     .account_label_members = {"email", "name"}},
    // Its user API wants a version header of its own.
    // vm0#2723: of two refreshes only the first succeeds.
    {.name = "notion",
     .title = "Notion",
     .authorization_url = "https://api.notion.com/v1/oauth/authorize?owner=user",
     .token_url = "https://api.notion.com/v1/oauth/token",
     .certainty = Certainty::second_hand,
     .refresh = {.reuse = Reuse::refused, .certainty = Certainty::second_hand},
     .account_id_members = {"id"},
     .account_label_members = {"name"}},
    // okta-developer-docs, refresh-tokens: the grace is a setting, 0..60 s; reuse kills. How long
    // one
    // may lie unused is one too, and the server of an organisation has no such end.
    {.name = "okta",
     .title = "Okta",
     .certainty = Certainty::documented,
     .refresh = {.certainty = Certainty::documented, .revokes_grant = false},
     .account_id_members = {"sub"},
     .account_label_members = {"preferred_username", "email", "name"}},
    // nango.dev on Salesforce: rotation is a policy of app and customer; five pairs alive.
    // help.salesforce.com, 005316711: a spent one ends what came of it.
    {.name = "salesforce",
     .title = "Salesforce",
     .authorization_url = "https://login.salesforce.com/services/oauth2/authorize",
     .token_url = "https://login.salesforce.com/services/oauth2/token",
     .revocation_url = "https://login.salesforce.com/services/oauth2/revoke",
     .user_info_url = "https://login.salesforce.com/services/oauth2/userinfo",
     .auth_style = AuthStyle::body,
     .certainty = Certainty::documented,
     .refresh = {.live_limit = 5, .certainty = Certainty::second_hand},
     .account_id_members = {"user_id"},
     .account_label_members = {"preferred_username", "email", "name"}},
    // shopify.dev, offline tokens: 1 hour, 90 days, one pair for each app and shop; changelog of
    // 2026-08-28: the token before is good until its successor is used, 30 days at most.
    // shopify-app-php#12: who does not ask for an expiring token gets one that lasts, alone.
    {.name = "shopify",
     .title = "Shopify",
     .auth_style = AuthStyle::body,
     .scope_separator = ScopeSeparator::comma,
     .certainty = Certainty::assumed,
     .granted_commas = true,
     .refresh = {.grace = Len::of_days(30),
                 .idle = Len::of_days(90),
                 .live_limit = 1,
                 .reuse = Reuse::grace_new,
                 .certainty = Certainty::second_hand,
                 .lasting_alone = true},
     .account_id_members = {"id"}},
    // A challenge is only taken by apps that have switched PKCE on, so none is sent.
    // api.slack.com/authentication/rotation: 12 hours where rotation is on, else no end.
    // node-slack-sdk#2504: a spent one is refused, but for an instant with two successors.
    {.name = "slack",
     .title = "Slack",
     .authorization_url = "https://slack.com/oauth/v2/authorize",
     .token_url = "https://slack.com/api/oauth.v2.access",
     .revocation_url = "https://slack.com/api/auth.revoke",
     .user_info_url = "https://slack.com/api/auth.test",
     .scope_separator = ScopeSeparator::comma,
     .pkce = Pkce::no,
     .certainty = Certainty::second_hand,
     .granted_commas = true,
     .refresh = {.access_ttl = Len::of_hours(12),
                 .reuse = Reuse::refused,
                 .revocation_shape = RevocationShape::slack,
                 .dialect = Dialect::slack,
                 .certainty = Certainty::second_hand,
                 .revocation_needs_live = true,
                 .lasting_alone = true},
     .token_type = "bot",
     .nested_tokens = "authed_user",
     .nested_token_type = "user",
     .account_id_members = {"user_id"},
     .account_label_members = {"user"}},
    // supabase/auth, internal/tokens/service.go: within 10 s the token before gets the same
    // successor; authorize.go: none without a challenge.
    {.name = "supabase",
     .title = "Supabase",
     .pkce = Pkce::required,
     .certainty = Certainty::assumed,
     .refresh = {.grace = Len::of_seconds(10),
                 .reuse = Reuse::grace_same,
                 .certainty = Certainty::documented}},
    // Its storage-schema.md: the token before is good until its successor is used. How long it
    // lives is a setting, and counted from the login.
    {.name = "workers-oauth-provider",
     .title = "Workers OAuth provider",
     .certainty = Certainty::assumed,
     .refresh = {.grace = Len::of_days(30),
                 .live_limit = 1,
                 .reuse = Reuse::grace_new,
                 .after_grace = Reuse::refused,
                 .certainty = Certainty::documented,
                 .revokes_grant = false}},
    // xdevplatform/docs, x-ads-api/mcp.mdx: 2 hours, single use.
    {.name = "x",
     .title = "X",
     .authorization_url = "https://x.com/i/oauth2/authorize",
     .token_url = "https://api.x.com/2/oauth2/token",
     .revocation_url = "https://api.x.com/2/oauth2/revoke",
     .user_info_url = "https://api.x.com/2/users/me",
     .pkce = Pkce::required,
     .certainty = Certainty::documented,
     .refresh = {.access_ttl = Len::of_hours(2),
                 .dialect = Dialect::x,
                 .certainty = Certainty::documented},
     .account_object = "data",
     .account_id_members = {"id"},
     .account_label_members = {"username", "name"}},
    // developer.xero.com, faq/oauth2: 30 minutes of grace; 60 days; 30 minutes.
    {.name = "xero",
     .title = "Xero",
     .authorization_url = "https://login.xero.com/identity/connect/authorize",
     .token_url = "https://identity.xero.com/connect/token",
     .revocation_url = "https://identity.xero.com/connect/revocation",
     .user_info_url = "https://identity.xero.com/connect/userinfo",
     .certainty = Certainty::second_hand,
     .refresh = {.grace = Len::of_minutes(30),
                 .access_ttl = Len::of_minutes(30),
                 .idle = Len::of_days(60),
                 .reuse = Reuse::grace_new,
                 .certainty = Certainty::documented},
     .account_id_members = {"sub"},
     .account_label_members = {"preferred_username", "email", "name"}},
    // Every data centre has its own hosts.
    // vaultgate docs: never rotates; errors come with HTTP 200. zoho.com, oauth-step4: 20 alive for
    // each user.
    {.name = "zoho",
     .title = "Zoho",
     .auth_style = AuthStyle::body,
     .scope_separator = ScopeSeparator::comma,
     .certainty = Certainty::second_hand,
     .granted_commas = true,
     .refresh = {.live_limit = 20,
                 .reuse = Reuse::harmless,
                 .dialect = Dialect::zoho,
                 .certainty = Certainty::second_hand},
     .account_id_members = {"ZUID"},
     .account_label_members = {"Email", "Display_Name"}},
    // A remark in code that uses it: 90 days. devforum.zoom.us, 72070: a refresh ends the token
    // before; 95429: so does another login of the same person.
    {.name = "zoom",
     .title = "Zoom",
     .authorization_url = "https://zoom.us/oauth/authorize",
     .token_url = "https://zoom.us/oauth/token",
     .revocation_url = "https://zoom.us/oauth/revoke",
     .user_info_url = "https://api.zoom.us/v2/users/me",
     .certainty = Certainty::documented,
     .refresh = {.idle = Len::of_days(90), .live_limit = 1, .old_access_dies = true},
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
        !is_https_or_empty(row.revocation_url) || !is_https_or_empty(row.user_info_url) ||
        !is_https_or_empty(row.git_url)) {
      return false;
    }
    // One without the other would be configured by half.
    if (row.authorization_url.empty() != row.token_url.empty()) return false;
  }
  return true;
}
static_assert(has_good_urls());

constexpr bool is_grace(Reuse reuse) noexcept {
  return reuse == Reuse::grace_same || reuse == Reuse::grace_new;
}
constexpr bool is_shorter(Millis a, Millis b) noexcept {
  return a.value == 0 || b.value == 0 || a.value < b.value;
}
constexpr bool has_sound_facts() noexcept {
  for (const Profile& row : table) {
    const Refresh& facts = row.refresh;
    const Millis grace = facts.grace;
    // A grace without a length, or a length without a grace, says nothing.
    if (is_grace(facts.reuse) != (grace.value > 0)) return false;
    if (facts.after_grace != Reuse::refused && facts.after_grace != Reuse::family) return false;
    if (!is_shorter(facts.access_ttl, facts.idle) || !is_shorter(facts.idle, facts.absolute) ||
        !is_shorter(facts.lag, facts.access_ttl)) {
      return false;
    }
    // What nobody says is never better than the safe value.
    if (facts.certainty == Certainty::assumed &&
        (facts.reuse != Reuse::family || facts.after_grace != Reuse::family ||
         facts.server_errors_unspent)) {
      return false;
    }
    // Requests of another shape than RFC 7009 go to a URL that is known.
    if (row.revocation_url.empty() && facts.revocation_shape != RevocationShape::rfc7009) {
      return false;
    }
  }
  return true;
}
static_assert(has_sound_facts());

}  // namespace

std::span<const Profile> all() noexcept { return table; }

const Profile* find(std::string_view name) noexcept {
  for (const Profile& row : table) {
    if (std::string_view{row.name} == name) return &row;
  }
  return nullptr;
}

// github/docs, "Authenticating with a GitHub App on behalf of a user"; gitlabhq, doc/api/oauth2.md;
// Bitbucket, "Use OAuth on Bitbucket Cloud". Others do not look at the name: Gitea's is the last.
std::string_view git_user(Git git) noexcept {
  switch (git) {
  case Git::github: return "x-access-token";
  case Git::bitbucket: return "x-token-auth";
  case Git::gitlab:
  case Git::git: break;
  }
  return "oauth2";
}

bool is_scope_token(std::string_view text) noexcept {
  if (text.empty() || text.size() > 255) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '\\') return false;
  }
  return true;
}

}  // namespace latchkey::profile
