/// Which account a provider's token belongs to.
#pragma once

#include "latchkey/profile.hpp"
#include "latchkey/types.hpp"

namespace latchkey::account {

/// 1..255 bytes of UTF-8 without control characters, both; views into the body given to `read`.
struct Account {
  std::string_view id;  ///< stable: opaque text, or the decimal digits of a number as written
  std::string_view label;  ///< what a person recognises; the id where there is nothing better
};

/// Reads a user-info answer.
///
/// Checks, in this order: status 200..299; a JSON object; the object that the profile names; the
/// id: the first of the profile's id members that is there, text or a whole number >= 0; the label:
/// the first of the profile's label members that is text of the right form, else the id.
///
/// @param status        of the HTTP answer.
/// @param content_type  as received; may be empty.
/// @param body          at most 64,000 bytes; overwritten.
/// @param profile       of the provider.
/// @return the account, or `account_unreadable`.
/// @see   OpenID Connect Core 1.0 section 5.3.2
[[nodiscard]] Result<Account> read(std::uint16_t status, std::string_view content_type,
                                   MutBytes body, const profile::Profile& profile) noexcept;

}  // namespace latchkey::account
