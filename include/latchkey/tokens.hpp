/// The members of a token endpoint's good answer (RFC 6749 section 5.1), whatever was asked for.
#pragma once

#include "latchkey/answer.hpp"
#include "latchkey/profile.hpp"
#include "latchkey/types.hpp"

namespace latchkey::tokens {

inline constexpr std::size_t max_token = 8192;
inline constexpr std::size_t max_scope = 4096;
/// A provider that promises longer is taken to mean this long.
inline constexpr Millis max_lifetime = seconds(10LL * 365 * 24 * 60 * 60);

/// Views into the body given to `read`.
struct Pair {
  std::string_view access_token;
  std::string_view refresh_token;  ///< empty when none was given
  std::string_view scope;  ///< granted scopes with one space between them
  Millis lifetime{0};  ///< of the access token; 0: not said
  Millis refresh_lifetime{0};  ///< 0: not said
  bool has_scope{false};  ///< false: not said
};

/// Which value of `token_type` beside `bearer` is taken.
enum class Types : std::uint8_t {
  by_place = 0,  ///< the profile's for where the tokens stand
  any_place = 1,  ///< either of the profile's: a refresh answers for one kind of token alone
};

/// True for 1..8,192 visible ASCII characters.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// Recognises an `error` that the operator has to put right.
///
/// @return the same word, as a literal of ours; empty for any other.
[[nodiscard]] std::string_view client_error(std::string_view error) noexcept;

/// True when there is an access token, of whatever form, at the top or in the profile's object.
[[nodiscard]] bool has_access(const json::Value& root, const profile::Profile& profile) noexcept;

/// Reads the tokens; says nothing about an error that may stand beside them.
///
/// A token is 1..8,192 visible ASCII characters; an empty or null refresh token is none, an
/// ill-formed one makes the answer unreadable, so that it is never dropped in silence. A lifetime
/// is a whole number of seconds > 0, as number or as text, cut to `max_lifetime`; any other
/// lifetime, and a scope that is no list of scope-tokens, counts as not said: no token is lost over
/// them. In a form the `token_type` must be there and stand behind the tokens: a form has no end of
/// its own, and a cut token must not pass for a token.
///
/// @param body     the bytes that `answer` points into; scopes are rewritten in it.
/// @param profile  of the provider.
/// @return the tokens, or `exchange_unreadable`.
[[nodiscard]] Result<Pair> read(const answer::Answer& answer, MutBytes body,
                                const profile::Profile& profile, Types types) noexcept;

}  // namespace latchkey::tokens
