/// Sealing: what is stored is encrypted, and opens only in the place it was sealed for.
///
/// `lks1.kid.base64url(nonce || ciphertext || tag)` with XChaCha20-Poly1305. The associated data is
/// the list of context parts, each with its length in front, so that a text moved to another row,
/// owner or column does not open and no two lists can be confused.
#pragma once

#include "latchkey/keys.hpp"
#include "latchkey/types.hpp"

namespace latchkey::seal {

inline constexpr std::string_view prefix = "lks1.";
inline constexpr std::size_t max_plain = 16'384;
inline constexpr std::size_t max_context_parts = 16;
inline constexpr std::size_t max_context_bytes = 4'096;

using Context = std::span<const std::string_view>;

/// Bytes of a sealed text at the most.
[[nodiscard]] constexpr std::size_t sealed_size(std::size_t kid, std::size_t plain) noexcept {
  const std::size_t bytes = crypto::aead_nonce_size + plain + crypto::aead_tag_size;
  return prefix.size() + kid + 1 + (bytes * 4 + 2) / 3;
}

/// Seals bytes for a context with the first key.
///
/// @param entropy  at least 24 random bytes; the first 24 become the nonce, never to be used twice.
/// @param scratch  at least plain + 40 bytes.
/// @return ok, or `key_ring_empty`, `claim_invalid` (too many or too long parts, too large a plain
///         text, too little entropy), `output_too_small`.
[[nodiscard]] Result<void> seal(keys::Ring ring, Bytes plain, Context context, Bytes entropy,
                                MutBytes scratch, Writer& out) noexcept;

/// Opens what was sealed for exactly this context.
///
/// @param out  at least as many bytes as the text has characters.
/// @return the plain bytes inside `out`, or `seal_invalid`, `seal_unknown_key`.
[[nodiscard]] Result<Bytes> open(keys::Ring ring, std::string_view text, Context context,
                                 MutBytes out) noexcept;

}  // namespace latchkey::seal
