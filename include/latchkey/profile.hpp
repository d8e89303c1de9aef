/// Provider profiles: what the core knows about an authorization server before anybody configures
/// it.
///
/// A profile is data; adding a provider takes a row and no code. A URL that differs from tenant to
/// tenant, or that is not known, is empty and has to be configured. What is unknown takes the value
/// that is safe everywhere: PKCE is sent (RFC 6749 section 3.1: unknown parameters are ignored), no
/// `iss` is demanded, no revocation is tried.
#pragma once

#include "latchkey/types.hpp"

#include <array>

namespace latchkey::profile {

/// How a client proves who it is at the token endpoint (RFC 6749 section 2.3.1).
enum class AuthStyle : std::uint8_t { basic = 1, body = 2 };

/// What stands between the scopes of an authorization request.
enum class ScopeSeparator : std::uint8_t { space = 1, comma = 2 };

/// How the answer comes back through the browser.
enum class ResponseMode : std::uint8_t { query = 1, form_post = 2 };

/// Whether the server takes a PKCE challenge (RFC 7636).
enum class Pkce : std::uint8_t { no = 1, optional = 2, required = 3 };

/// How the weakest fact of a row is known.
enum class Certainty : std::uint8_t {
  documented = 1,  ///< the vendor says so
  second_hand = 2,  ///< others who use it say so
  assumed = 3,  ///< nobody says so; the safe value
};

/// What a second use of a refresh token does. The numbers are those of `refresh::Rotation`.
enum class Reuse : std::uint8_t {
  harmless = 0,
  grace_same = 1,
  grace_new = 2,
  refused = 3,
  family = 4,
};

/// What a request to the revocation endpoint looks like. The token is the refresh token where there
/// is one, but for the last two: the access token.
enum class RevocationShape : std::uint8_t {
  rfc7009 = 0,  ///< POST, a form with `token` and the client's credentials
  github = 1,  ///< DELETE, the client's credentials as Basic, JSON with `access_token`
  slack = 2,  ///< POST, the access token as a bearer token
};

/// Whose words for errors are understood beside those of RFC 6749.
enum class Dialect : std::uint8_t {
  none = 0,
  github = 1,
  slack = 2,
  hubspot = 3,  ///< in `status` instead of `error`
  zoho = 4,
  microsoft = 5,
  google = 6,
  x = 7,
};

/// Whose form of git over https a host speaks. The numbers are those of `repo::Provider`.
enum class Git : std::uint8_t { github = 1, gitlab = 2, bitbucket = 3, git = 4 };

/// The user name that git sends with an access token as the password.
[[nodiscard]] std::string_view git_user(Git git) noexcept;

/// A length of time in two bytes: 0..16,383 of a unit.
class Length {
public:
  constexpr Length() noexcept = default;
  // NOLINTNEXTLINE(google-explicit-constructor): both are the same length.
  [[nodiscard]] [[gnu::noinline]] constexpr operator Millis() const noexcept {
    constexpr std::int32_t units[] = {1, 60, 3'600, 86'400};
    return seconds(std::int64_t{units[bits_ >> 14]} * (bits_ & max));
  }
  [[nodiscard]] static constexpr Length of_seconds(std::uint16_t n) noexcept { return of(n, 0); }
  [[nodiscard]] static constexpr Length of_minutes(std::uint16_t n) noexcept { return of(n, 1); }
  [[nodiscard]] static constexpr Length of_hours(std::uint16_t n) noexcept { return of(n, 2); }
  [[nodiscard]] static constexpr Length of_days(std::uint16_t n) noexcept { return of(n, 3); }

private:
  static constexpr std::uint16_t max = 0x3fff;
  [[nodiscard]] static constexpr Length of(std::uint16_t n, unsigned unit) noexcept {
    LK_CHECK(n <= max);
    Length out;
    out.bits_ = static_cast<std::uint16_t>(unit << 14 | n);
    return out;
  }
  std::uint16_t bits_{0};
};

/// How refreshing and revoking go. The defaults are the safe values: every refresh token is
/// single-use, a second use kills the grant, a revocation may end more than one login.
struct Refresh {
  Length grace{};  ///< with the two kinds of reuse that have one
  Length access_ttl{Length::of_hours(1)};  ///< when the answer has none; 0: it does not expire
  Length idle{};  ///< an unused refresh token dies after this; 0: not known
  Length absolute{};  ///< from login; 0: not known
  Length lag{};  ///< for so long a 401 may still be about the token before
  std::uint8_t live_limit{0};  ///< refresh tokens alive at once; 0: not known
  Reuse reuse : 4 {Reuse::family};
  Reuse after_grace : 4 {Reuse::family};
  RevocationShape revocation_shape : 4 {RevocationShape::rfc7009};
  Dialect dialect : 4 {Dialect::none};
  Certainty certainty : 2 {Certainty::assumed};
  bool revokes_grant : 1 {true};  ///< not just this login
  bool revocation_needs_live : 1 {false};  ///< an access token that works
  bool old_access_dies : 1 {false};  ///< by a refresh
  bool needs_redirect_uri : 1 {false};  ///< the one of the login, with every refresh
  bool lasting_alone : 1 {false};  ///< an access token without a refresh token does not expire
  /// A 5xx says that the refresh token was not looked at.
  bool server_errors_unspent : 1 {false};
};

/// When the rows were last held against their sources.
inline constexpr std::string_view checked_on = "2026-11-27";

/// Text of a row: a literal, at half the size of a view.
class Literal {
public:
  constexpr Literal() noexcept = default;
  // NOLINTBEGIN(google-explicit-constructor): both are the same text.
  constexpr Literal(const char* text) noexcept : text_{text} {}
  [[nodiscard]] [[gnu::noinline]] constexpr operator std::string_view() const noexcept {
    return text_ == nullptr ? std::string_view{} : std::string_view{text_};
  }
  // NOLINTEND(google-explicit-constructor)
  [[nodiscard]] constexpr bool empty() const noexcept { return text_ == nullptr; }

private:
  const char* text_{nullptr};
};

/// One provider.
struct Profile {
  Literal name{};
  Literal title{};  ///< what a person reads
  Literal authorization_url{};  ///< may carry a query that the provider wants
  Literal token_url{};
  /// In the shape that `refresh` says; `{client_id}` stands for the client id.
  Literal revocation_url{};
  Literal user_info_url{};
  Literal git_url{};  ///< what the URLs of its repositories begin with
  Literal app_url{};  ///< where a client that is an app acts as itself; empty: none can
  AuthStyle auth_style{AuthStyle::basic};
  ScopeSeparator scope_separator{ScopeSeparator::space};
  ResponseMode response_mode{ResponseMode::query};
  Pkce pkce{Pkce::optional};
  Certainty certainty{Certainty::assumed};
  bool iss_supported{false};  ///< always sends `iss` (RFC 9207)
  bool granted_commas{false};  ///< granted scopes may be separated by commas
  Git git{Git::git};

  Refresh refresh{};

  /// A `token_type` accepted beside `bearer`.
  Literal token_type{};
  /// The object that holds the tokens when they are not at the top, and its accepted `token_type`.
  Literal nested_tokens{};
  Literal nested_token_type{};

  /// The object of the user-info answer that describes the account; empty for the whole answer.
  Literal account_object{};
  /// The first of these that is there is the account's id.
  std::array<Literal, 2> account_id_members{"sub", "id"};
  /// The first of these that can be read is what a person recognises.
  std::array<Literal, 4> account_label_members{"login", "preferred_username", "email", "name"};
};

/// Every profile, sorted by name.
[[nodiscard]] std::span<const Profile> all() noexcept;

/// Finds a profile by its exact name.
///
/// @return the profile, or null.
[[nodiscard]] const Profile* find(std::string_view name) noexcept;

/// True for a scope-token (RFC 6749 section 3.3): 1..255 visible ASCII characters without `"` and
/// `\`.
[[nodiscard]] bool is_scope_token(std::string_view text) noexcept;

}  // namespace latchkey::profile
