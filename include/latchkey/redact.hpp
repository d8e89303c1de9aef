/// Text for people, with every credential in it replaced.
///
/// Fail-safe: where a text can be read in two ways, more is replaced and not less.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::redact {

/// What stands in place of a credential, whatever its length.
inline constexpr std::string_view marker = "[redacted]";

/// Bytes that `n` bytes become at most: the shortest text that is replaced, with what shows that it
/// is one and stays, is `://u@`.
[[nodiscard]] constexpr std::size_t max_size(std::size_t n) noexcept { return 3 * n; }

/// The longest text that the module takes in one call; its result always fits.
inline constexpr std::size_t max_text = 24'000;

/// Replaces every credential by `marker`.
///
/// A credential is
///
/// 1. a PEM block whose label says PRIVATE, to the end of the text where its own end is missing;
/// 2. a token by its form: a known prefix and at least 8 more characters (16 letters or digits
///    where it stands inside a word), to the last character of `[A-Za-z0-9_.-]` and what else that
///    kind of token has;
/// 3. the user info of an http(s) URL, of any other URL only with a password (RFC 3986 3.2.1);
/// 4. the value of a member by its name, with `=` or `:` between them, quoted or not: names that
///    end in `token`, `secret`, `password`, `cookie`, `authorization` and the like (any case, `_`
///    and `-` passed over), or that are `code` or `state`. A quoted value ends at its quotation
///    mark, a header at the end of its line, anything else at a blank, a quotation mark, `&`, `<`
///    or `>`. `null`, `true`, `false` and `undefined` stay. After a colon a `code` or `state` stays
///    when it is a word (`invalid_state`, `ENOENT`) or a number;
/// 5. what follows `Bearer`, `Basic` or `token` and a blank and looks like credentials.
///
/// Quotation marks, blanks and signs of 3 and 4 are also seen percent-encoded (up to four times
/// over), as `\u00XX`, and as the entities of quotation marks. Key rings have no form of their own:
/// they are found by the name of their variable.
///
/// Total on any bytes, in linear time. `redact(redact(x)) == redact(x)`, and what is no credential
/// stays byte for byte. A token that lies in two texts is not seen in either: never cut a text
/// before it is redacted.
///
/// @param text  any bytes.
/// @param out   must not overlap `text`; room for `max_size(text.size())` is always enough.
/// @return how many bytes were written, or `output_too_small` (nothing in `out` is then of use).
[[nodiscard]] Result<std::size_t> redact(std::string_view text, MutBytes out) noexcept;

}  // namespace latchkey::redact
