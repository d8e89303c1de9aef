/// The token endpoint's answer to an authorization code.
#pragma once

#include "latchkey/profile.hpp"
#include "latchkey/tokens.hpp"
#include "latchkey/types.hpp"

namespace latchkey::exchange {

using tokens::max_lifetime;
using tokens::max_scope;
using tokens::max_token;

/// A good answer; views into the body given to `read`.
struct TokenSet {
  std::string_view access_token;
  std::string_view refresh_token;  ///< empty when none was given
  std::string_view scope;  ///< granted scopes with one space between them
  UnixMillis expires_at;
  UnixMillis refresh_expires_at;
  bool has_scope{false};  ///< false: not said, which means granted as asked (RFC 6749 section 5.1)
  bool has_expires_at{false};
  bool has_refresh_expires_at{false};
};

/// Reads a token endpoint's answer. The body decides, not the status: errors come with 200 too.
///
/// Checks, in this order:
///
///     status            body                                 result
///     3xx, 429, >= 500  not looked at                        exchange_unreachable
///     any other         `error` beside an access token       as without a readable body
///     any other         `error` about the client             provider_refused_client
///     any other         any other `error`, or `ok: false`    exchange_refused
///     401               no readable `error`                  provider_refused_client
///     2xx               an access token of type bearer       the tokens
///     all that is left                                       exchange_unreadable
///
/// What a token, a lifetime and a scope are, `tokens::read` says.
///
/// @param status        of the HTTP answer.
/// @param content_type  as received; may be empty.
/// @param body          at most 64,000 bytes; overwritten.
/// @param now           when the answer arrived.
/// @param profile       of the provider.
/// @return the tokens, or `exchange_unreachable`, `provider_refused_client`, `exchange_refused`,
///         `exchange_unreadable`. None carries any text of the provider.
/// @see   RFC 6749 sections 5.1 and 5.2
[[nodiscard]] Result<TokenSet> read(std::uint16_t status, std::string_view content_type,
                                    MutBytes body, UnixMillis now,
                                    const profile::Profile& profile) noexcept;

}  // namespace latchkey::exchange
