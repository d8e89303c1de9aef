/// Text forms that must have exactly one spelling: base64url, base64, hex, UTF-8.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::text {

/// Bytes that `n` bytes take in unpadded base64url.
[[nodiscard]] constexpr std::size_t base64url_size(std::size_t n) noexcept {
  return n / 3 * 4 + (n % 3 == 0 ? 0 : n % 3 + 1);
}

/// Writes unpadded base64url (RFC 4648 section 5).
void base64url_put(Writer& out, Bytes bytes) noexcept;

/// Decodes unpadded base64url, strictly: alphabet only, no padding, no blanks, spare bits zero. The
/// text is public, so the decoder is a table and not constant in time.
///
/// @return how many bytes were written, or `base64_invalid` (with position), `output_too_small`.
[[nodiscard]] Result<std::size_t> base64url_decode(std::string_view text, MutBytes out) noexcept;

/// Decodes 32 bytes from 64 hexadecimal digits or from canonical base64 (standard or URL alphabet,
/// padded or not), so that a key has only spellings that encode back to themselves.
///
/// @return ok, or `key_invalid`.
[[nodiscard]] Result<void> decode_key32(std::string_view text, MutBytes out32) noexcept;

/// `a == b`, eight bytes at a time; how long it takes says where they differ.
[[nodiscard]] bool equal(std::string_view a, std::string_view b) noexcept;

/// How many bytes of a JSON string stand before the first quotation mark, backslash or control
/// character; all of them when there is none.
[[nodiscard]] std::size_t span_unescaped(std::string_view text) noexcept;

/// True when every byte is below 0x80.
[[nodiscard]] bool is_ascii(Bytes bytes) noexcept;

/// True when `bytes` are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
[[nodiscard]] bool is_utf8(Bytes bytes) noexcept;

/// True when a text can stand in a claim, a name or a storage key: 1..`max` bytes of UTF-8 without
/// C0, DEL or C1 control characters.
[[nodiscard]] bool is_plain(std::string_view text, std::size_t max) noexcept;

}  // namespace latchkey::text
