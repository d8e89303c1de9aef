/// Where a browser may be sent after a flow: a path on our own origin, in its one normal form.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey {

inline constexpr std::size_t max_return_to = 512;

/// Normalises a return path as the WHATWG URL parser would on a fixed https origin, and refuses
/// everything that could leave that origin.
///
/// Refused, in this order: empty or longer than 512 bytes, not UTF-8; not starting with `/`; a
/// second character `/` or `\`; a backslash, C0 or DEL anywhere; a normal form that starts with
/// `//`,
/// `/%2f` or `/%5c`, or is longer than 512 bytes, or lies outside `base`.
///
/// The normal form has no dot segments (`%2e` counts as a dot), no spaces at its end, no empty
/// query or fragment, and everything outside the standard's sets percent-encoded as UTF-8.
///
/// @param text  path, query and fragment; must not overlap `out`.
/// @param base  empty, or a normal path without trailing slash that the result must lie in.
/// @param out   at least 512 bytes.
/// @return the normal form (a view into `out`; a fixed point of this function), or
///         `return_to_invalid`.
/// @see   https://url.spec.whatwg.org/#concept-basic-url-parser, RFC 9700 section 4.11
[[nodiscard]] Result<std::string_view> return_to(std::string_view text, std::string_view base,
                                                 MutBytes out) noexcept;

/// True when `text` is a return path that is its own normal form.
[[nodiscard]] bool is_return_to(std::string_view text) noexcept;

}  // namespace latchkey
