/// Configuration: everything the Worker is told from outside, checked before it does anything.
#pragma once

#include "latchkey/json.hpp"
#include "latchkey/keys.hpp"
#include "latchkey/policy.hpp"
#include "latchkey/profile.hpp"
#include "latchkey/retention.hpp"
#include "latchkey/traits.hpp"
#include "latchkey/types.hpp"

#include <array>

namespace latchkey::config {

inline constexpr std::size_t max_providers = 32;
inline constexpr std::size_t max_name = 32;
inline constexpr std::size_t max_scopes = 64;
inline constexpr std::size_t max_providers_text = 16'384;
/// Room for the values of `LATCHKEY_PROVIDERS`.
inline constexpr std::size_t max_nodes = 1024;
/// The redirect URI `<base>/callback/<name>` has to fit into a state's claim of 255 bytes.
inline constexpr std::size_t max_base_url = 255 - 10 - max_name;
inline constexpr std::size_t max_client_id = 255;
inline constexpr std::size_t max_title = 64;
inline constexpr std::size_t max_secret = 1024;
inline constexpr std::size_t max_git_url = 255;
inline constexpr std::size_t max_app_key = 8192;

inline constexpr std::string_view var_keys = "LATCHKEY_KEYS";
inline constexpr std::string_view var_principal_key = "LATCHKEY_PRINCIPAL_KEY";
inline constexpr std::string_view var_base_url = "PUBLIC_BASE_URL";
inline constexpr std::string_view var_dev = "LATCHKEY_DEV";
inline constexpr std::string_view var_connect = "ENABLE_CONNECT";
inline constexpr std::string_view var_providers = "LATCHKEY_PROVIDERS";
inline constexpr std::string_view var_run_retention = "RUN_RETENTION_MS";

/// One variable as the environment has it. Names that configuration does not know are passed over.
struct Var {
  std::string_view name;
  std::string_view value;
  bool present{true};
};

/// The name of a variable that belongs to a provider: `my-git` has `MY_GIT_CLIENT_SECRET`.
using SecretName = SmallText<52>;

/// One provider with every setting resolved from its profile and what configuration says instead.
/// Views into the variables, the scratch space and the profiles.
struct Provider {
  std::string_view name;
  std::string_view profile;
  std::string_view title;
  std::string_view client_id;
  std::string_view authorization_url;
  std::string_view token_url;
  std::string_view revocation_url;  ///< empty: none; `{client_id}` stands for the id
  std::string_view user_info_url;  ///< empty: none
  std::string_view introspection_url;  ///< empty: none
  std::string_view scopes;  ///< with one space between them; empty: none are asked for
  std::string_view as_issuer;  ///< empty: not known
  std::string_view git_host;  ///< as `repo::Host` has it; empty: no repositories
  std::string_view git_base;  ///< empty, or `/...`
  bool git_plain{false};  ///< http, in development
  profile::Git git{profile::Git::git};
  std::string_view app_url;  ///< where the app acts as itself; empty: it does not
  SecretName app_key;  ///< the variable that holds the app's private key; empty when it is not set
  SecretName client_secret;  ///< the variable that holds it; empty for a public client
  SecretName webhook_secret;  ///< the variable that holds it; empty when it is not set
  profile::ScopeSeparator scope_separator{profile::ScopeSeparator::space};
  profile::AuthStyle auth_style{profile::AuthStyle::basic};
  profile::ResponseMode response_mode{profile::ResponseMode::query};
  bool pkce{true};
  profile::RevocationShape revocation_shape{profile::RevocationShape::rfc7009};
  bool iss_required{false};
  refresh::Facts refresh{};
  scope::Policy policy{};  ///< whose connection a call uses
};

/// Returns the variable that holds the deployment's own token; empty when it may not be used.
[[nodiscard]] SecretName deployment_token(const Provider& provider) noexcept;

/// A configuration that can be used. Holds keys: wipe it when done.
struct Config {
  std::string_view base_url;  ///< own origin; no trailing slash, no default port
  bool dev{false};
  bool connect_enabled{false};
  retention::Setting run_retention;  ///< how long a completed run is kept, and whether it was said
  std::size_t key_count{0};
  std::size_t principal_key_count{0};  ///< 0: no principal assertions are accepted
  std::size_t provider_count{0};
  std::array<keys::Key, keys::max_keys> keys;
  std::array<keys::Key, keys::max_keys> principal_keys;
  std::array<Provider, max_providers> providers;

  [[nodiscard]] keys::Ring ring() const noexcept { return keys::Ring{keys}.first(key_count); }
  [[nodiscard]] keys::Ring principal_ring() const noexcept {
    return keys::Ring{principal_keys}.first(principal_key_count);
  }
};

/// Good, or which variable is wrong. Never holds a value of a variable.
struct Verdict {
  Errc code{Errc::ok};  ///< `config_missing`, `config_invalid`, `output_too_small`
  Errc cause{Errc::ok};  ///< the finer code, where there is one
  std::uint32_t at{0};  ///< byte of the variable's value at which it went wrong; 0 where unknown
  SecretName variable;

  [[nodiscard]] explicit operator bool() const noexcept { return code == Errc::ok; }
};

/// Checks every variable.
///
/// Checks, in this order, and stops at the first that is wrong:
///
/// 1. `LATCHKEY_KEYS`: required; `keys::parse`.
/// 2. `LATCHKEY_PRINCIPAL_KEY`: optional; `keys::parse`; no key that 1 has too, whatever its id.
/// 3. `PUBLIC_BASE_URL`: required; an origin, with at most one trailing slash, which is cut like a
///    default port; https, or http with a loopback host; at most `max_base_url` bytes.
/// 4. `LATCHKEY_DEV`: absent, empty or `0` is off; `1` is on, with a loopback origin only.
/// 5. `ENABLE_CONNECT`: exactly `true` is on; absent, empty or `false` is off.
/// 6. `LATCHKEY_PROVIDERS`: required; a JSON object of at most 32 providers; see below.
/// 7. for each provider `<NAME>_CLIENT_SECRET`: required unless the provider is public, 1..1,024
///    bytes; `<NAME>_DEPLOYMENT_TOKEN`: required where it may be used, of the same form;
///    `<NAME>_WEBHOOK_SECRET`: optional, of the same form; and `<NAME>_APP_KEY`: optional, only
///    where the provider has an address for apps, a private key as PEM (RFC 7468) of at most
///    `max_app_key` bytes.
///
/// `RUN_RETENTION_MS` refuses nothing: what `retention::setting` does not take is the default, and
/// the setting says why.
///
/// A required variable that is empty is missing; an optional secret that is set to nothing is
/// invalid. A provider is named `[a-z0-9][a-z0-9-]{0,31}` and is an object with
///
///     profile           text, required: the name of a profile
///     clientId          text, required: 1..255 bytes
///     title             text: 1..64 bytes
///     authorizationUrl  text: a URL. Each of these four replaces the profile's; the first two are
///     tokenUrl          required where the profile has none. https, or in development http with a
///     revocationUrl     loopback host.
///     userInfoUrl
///     introspectionUrl  text: such a URL. RFC 7662, for a server that answers it from where its
///                       token endpoint looks, and calls a spent refresh token inactive
///     gitUrl            text: what the URLs of its repositories begin with; such a URL of at most
///                       255 bytes, its path of letters, digits, `-`, `_` and single slashes
///     appUrl            text: such a URL without a query, where apps act as themselves; only where
///                       the profile has one
///     issuer            text: such a URL without a query (RFC 9207 section 2)
///     responseMode      `query` or `form_post`
///     scopes            an array of at most 64 scope-tokens
///     public            true or false: a client without a secret, which then needs PKCE
///     owners            an array of `user`, `org` and `deployment`, at least one and none twice:
///                       whose connection a call uses, the first that there is; in this order
///                       where it is absent
///     personalOnly      true or false: nothing but the person's own; not beside `owners`
///     deployment        true or false: the deployment's own token may be used, where `owners`
///                       has it; not beside `personalOnly`
///     pastRevoked       true or false: a connection that has ended does not end the search
///     refresh           an object; each of these replaces what the profile says
///       rotation              one of `refresh::rotation_names`
///       graceSeconds          0..3,162,240,000, like every length of time here
///       accessTtlSeconds      when the answer has none; 0: does not expire
///       idleSeconds
///       absoluteSeconds
///       timeoutSeconds        of a token request; 0: the policy's
///       lagSeconds
///       oldAccessDies         true or false
///       needsRedirectUri      true or false
///       serverErrorsUnspent   true or false
///
/// and nothing else. Rotation with a grace needs a length of it, and no other has one; what is left
/// must be admitted by `refresh::admit` with the usual policy, whose code is then the cause.
///
/// A configured revocation URL takes requests in the profile's shape.
///
/// @param vars     the environment; of two with one name the first counts.
/// @param nodes    at least `max_nodes`.
/// @param scratch  at least twice as long as the value of `LATCHKEY_PROVIDERS`.
/// @param out      filled when the result is good; holds no key otherwise.
[[nodiscard]] Verdict check(std::span<const Var> vars, std::span<json::Node> nodes,
                            MutBytes scratch, Config& out) noexcept;

}  // namespace latchkey::config
