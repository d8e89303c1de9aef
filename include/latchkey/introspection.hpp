/// What is left of the doubt about a refresh token, once the provider was asked whether it is
/// still active.
///
/// A provider that answers 500 may have spent the token or not, and where a second use ends the
/// grant nobody may try. A server whose introspection looks where its token endpoint looks can say
/// it. It is asked once, and only behind an answer that its own server made: behind silence, or
/// behind a gateway's answer, the request may still be on its way, and "active" would be true for
/// a moment only.
#pragma once

#include "latchkey/refresh.hpp"

namespace latchkey::introspection {

/// True for a reply whose doubt an introspection may settle: transient and in doubt, and made by
/// the server itself. Of all 5xx that is 500 alone; below them it is an error in the server's own
/// words.
[[nodiscard]] bool settles(const refresh::Reply& reply, std::uint16_t status) noexcept;

/// Reads an introspection of the refresh token that was sent.
///
/// Only status 200 with a JSON object whose `active` is true says that the token is unspent.
/// Everything else leaves the doubt as it was: an error, a body that cannot be read, a word or a
/// number for `active`, and false, which may mean spent, ended or not told to us.
///
/// @param status        of the HTTP answer.
/// @param content_type  as received; may be empty. A form has no booleans and says nothing.
/// @param body          at most 64,000 bytes; overwritten.
/// @return `none` or `answered`.
/// @see   RFC 7662 section 2.2
[[nodiscard]] refresh::Doubt doubt(std::uint16_t status, std::string_view content_type,
                                   MutBytes body) noexcept;

}  // namespace latchkey::introspection
