/// What a provider answered over HTTP, brought into one shape: a JSON object, or a form read as an
/// object whose members are all text.
#pragma once

#include "latchkey/json.hpp"
#include "latchkey/types.hpp"

namespace latchkey::answer {

/// Longer bodies are refused before they are looked at.
inline constexpr std::size_t max_body = 64'000;
/// Room an engine gives to one answer: JSON values in all, members of a form.
inline constexpr std::size_t max_nodes = 512;

/// True for 200..299.
[[nodiscard]] constexpr bool is_good(std::uint16_t status) noexcept {
  return status >= 200 && status <= 299;
}

/// True for a status that says nothing about the request itself: a redirect (none is followed), too
/// many requests, a fault of the server.
[[nodiscard]] constexpr bool is_transient(std::uint16_t status) noexcept {
  return (status >= 300 && status <= 399) || status == 429 || status >= 500;
}

enum class Encoding : std::uint8_t { json = 1, form = 2 };

struct Answer {
  json::Value root;  ///< an object
  Encoding encoding{Encoding::json};
};

/// Reads an answer in place.
///
/// Checks, in this order: size; media type; form. `application/json`, `text/json` and every `+json`
/// type are JSON, `application/x-www-form-urlencoded` is a form. With any other type, or none, a
/// body whose first character other than a blank is `{` is JSON and everything else a form. A form
/// has `name=value` pairs only: names of 1..64 letters, digits, `_`, `-`, `.`, none twice; values
/// of visible ASCII with complete percent-encodings that decode to UTF-8.
///
/// @param body   at most `max_body` bytes; overwritten by the text that the result points into.
/// @param nodes  room for the values; `max_nodes` in every engine.
/// @return the answer, or `json_invalid` for everything that cannot be read as an object.
/// @see   RFC 8259; https://url.spec.whatwg.org/#urlencoded-parsing (leniencies left out)
[[nodiscard]] Result<Answer> read(std::string_view content_type, MutBytes body,
                                  std::span<json::Node> nodes) noexcept;

/// True when a member is there and is not null.
[[nodiscard]] bool is_said(const json::Value& member) noexcept;

}  // namespace latchkey::answer
