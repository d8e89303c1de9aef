/// Compact JWS (RFC 7515) with one exact header: `{ alg, kid, typ }`.
///
/// The algorithm belongs to the key: the header only names which key, and a header whose `alg` is
/// not that key's algorithm names no key at all. `crit`, `b64`, embedded keys and every other
/// member are refused. The payload is not looked at before the signature has been checked.
#pragma once

#include "latchkey/keys.hpp"
#include "latchkey/types.hpp"

namespace latchkey::jws {

inline constexpr std::size_t max_token = 4096;

enum class Alg : std::uint8_t { hs256 = 1, eddsa = 2 };

/// Which of a ring's keys a kind of token uses.
enum class Use : std::uint8_t { state, capability, principal };

/// The `typ` of each use.
[[nodiscard]] std::string_view typ_of(Use use) noexcept;

/// Writes `header.payload.signature`. `payload` is JSON text.
///
/// @return ok, or `output_too_small`.
[[nodiscard]] Result<void> sign(keys::Ring ring, Use use, Alg alg, std::string_view payload,
                                Writer& out) noexcept;

/// A token whose signature is good. `payload` is still encoded; `kid` is as the header has it.
struct Opened {
  std::string_view payload;
  SmallText<64> kid;
  Alg alg{Alg::hs256};
};

/// Why a token was refused before its payload mattered; each engine gives these its own codes.
enum class Refusal : std::uint8_t { malformed = 1, unknown_key = 2, bad_signature = 3 };

struct Verdict {
  Opened opened;
  Refusal refusal{};
  bool good{false};
};

/// Checks form, header, key and signature, in this order.
///
/// @param token at most `max_token` bytes.
[[nodiscard]] Verdict open(keys::Ring ring, Use use, std::string_view token) noexcept;

/// As above, with public keys: EdDSA only.
[[nodiscard]] Verdict open(keys::PublicKeys keys, Use use, std::string_view token) noexcept;

/// The parts of a token, unchecked beyond their number and alphabet lengths.
struct Parts {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
};
[[nodiscard]] bool split(std::string_view token, Parts& out) noexcept;

}  // namespace latchkey::jws
