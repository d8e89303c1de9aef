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
  Literal revocation_url{};  ///< only where it takes an RFC 7009 request
  Literal user_info_url{};
  AuthStyle auth_style{AuthStyle::basic};
  ScopeSeparator scope_separator{ScopeSeparator::space};
  ResponseMode response_mode{ResponseMode::query};
  Pkce pkce{Pkce::optional};
  Certainty certainty{Certainty::assumed};
  bool iss_supported{false};  ///< always sends `iss` (RFC 9207)
  bool granted_commas{false};  ///< granted scopes may be separated by commas

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
