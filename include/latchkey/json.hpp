/// Strict JSON: RapidJSON's SAX reader filling a fixed array of nodes, and text writing.
///
/// The one spelling that makes up nearly all of our traffic, a flat object without blanks and
/// escapes, is read directly; everything else, and everything doubtful, goes to the general reader.
///
/// Refused beyond RFC 8259: invalid UTF-8, lone surrogates, duplicate member names, a byte order
/// mark, more than `max_depth` levels, more nodes than the caller gives room for.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::json {

inline constexpr std::size_t max_depth = 32;

enum class Kind : std::uint8_t { null, boolean, integer, number, text, array, object };

/// One value; children follow their parent directly.
struct Node {
  std::string_view name;  ///< member name, unescaped; empty in arrays and at the root
  std::string_view text;  ///< text: unescaped value; integer and number: the digits as written
  std::int64_t integer{0};
  std::uint16_t end{0};  ///< index one past the last node below this one
  Kind kind{Kind::null};
  bool boolean{false};
};

/// A place in a parsed document. A default one is absent: it has no kind and no children.
class Value {
public:
  constexpr Value() noexcept = default;
  constexpr Value(std::span<const Node> nodes, std::size_t index) noexcept
      : nodes_{nodes}, index_{index} {}

  [[nodiscard]] bool present() const noexcept { return index_ < nodes_.size(); }
  [[nodiscard]] bool is(Kind kind) const noexcept { return present() && node().kind == kind; }
  [[nodiscard]] const Node& node() const noexcept {
    LK_CHECK(present());
    return nodes_[index_];
  }
  /// The member of that name, or an absent value; absent too when this is no object.
  [[nodiscard]] Value member(std::string_view name) const noexcept;
  /// First child and next sibling, for walking arrays and objects.
  [[nodiscard]] Value first() const noexcept;
  [[nodiscard]] Value next(const Value& child) const noexcept;
  /// Text of a text value; empty for anything else.
  [[nodiscard]] std::string_view text() const noexcept {
    return is(Kind::text) ? node().text : std::string_view{};
  }

private:
  std::span<const Node> nodes_;
  std::size_t index_{0};
};

/// Parses one JSON text in place: `json` is overwritten by the unescaped strings that the nodes
/// point into, and must outlive them.
///
/// @return the root value, or `utf8_invalid`, `json_invalid` (with position).
[[nodiscard]] Result<Value> parse(MutBytes json, std::span<Node> nodes) noexcept;

/// Writes a JSON string with its quotation marks; `text` must be UTF-8.
void put_string(Writer& out, std::string_view text) noexcept;

/// Writes an integer.
void put_integer(Writer& out, std::int64_t value) noexcept;

}  // namespace latchkey::json
