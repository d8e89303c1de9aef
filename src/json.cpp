#include "latchkey/json.hpp"

#include "latchkey/text.hpp"

#include <algorithm>
#include <cstring>

// The reader is given everything it needs: no heap, and a broken assumption of its own is a trap.
#define RAPIDJSON_ASSERT(condition) LK_CHECK(condition)
#define RAPIDJSON_NEW(type) nullptr
#define RAPIDJSON_DELETE(pointer) static_cast<void>(pointer)
// The general reader is the rare way: small, where the rest of this file is built for speed.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((minsize)), apply_to = function)
#endif
#include <rapidjson/reader.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

namespace latchkey::json {
namespace {

constexpr unsigned parse_flags = rapidjson::kParseInsituFlag;

// The reader takes an allocator for its stack. In-situ recursive parsing never uses that stack, so
// any request is a broken assumption.
struct NoAllocator {
  [[maybe_unused]] static constexpr bool kNeedFree = false;
  void* Malloc(std::size_t) noexcept {
    LK_CHECK(false);
    return nullptr;
  }
  void* Realloc(void*, std::size_t, std::size_t) noexcept {
    LK_CHECK(false);
    return nullptr;
  }
  static void Free(void*) noexcept {}
};

// RapidJSON's in-situ stream ends at a NUL; this one ends where the text ends.
struct InSituStream {
  using Ch = char;
  char* src;
  char* dst;
  char* begin;
  char* end;

  [[nodiscard]] char Peek() const noexcept { return src < end ? *src : '\0'; }
  char Take() noexcept { return src < end ? *src++ : '\0'; }
  [[nodiscard]] std::size_t Tell() const noexcept { return static_cast<std::size_t>(src - begin); }
  char* PutBegin() noexcept { return dst = src; }
  void Put(char c) noexcept { *dst++ = c; }
  [[nodiscard]] std::size_t PutEnd(const char* from) const noexcept {
    return static_cast<std::size_t>(dst - from);
  }
  void Flush() noexcept {}
};

// 18 digits always fit; no number that is read here has more.
constexpr std::size_t max_digits = 18;

// The value of an integer as JSON writes it; anything with more to it stays a number as text.
std::int64_t integer_of(std::string_view digits, Kind& kind) noexcept {
  kind = Kind::number;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  if (digits.size() > max_digits) return 0;
  std::int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return 0;
    value = value * 10 + (c - '0');
  }
  kind = Kind::integer;
  return negative ? -value : value;
}

// Reads `{"name":"text","name":1,...}` as the general reader would. False where the text is
// anything else, which says nothing about its validity.
class FlatReader {
public:
  FlatReader(std::string_view text, std::span<Node> nodes) noexcept : rest_{text}, nodes_{nodes} {}

  bool read() noexcept {
    if (nodes_.empty() || !take('{')) return false;
    nodes_[0] = Node{};
    nodes_[0].kind = Kind::object;
    do {
      if (!read_member()) return false;
    } while (take(','));
    nodes_[0].end = static_cast<std::uint16_t>(used_);
    return take('}') && rest_.empty();
  }
  [[nodiscard]] std::size_t size() const noexcept { return used_; }

private:
  bool take(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // Up to the closing quotation mark; false at an escape or a control character.
  bool read_text(std::string_view& out) noexcept {
    if (!take('"')) return false;
    const std::size_t size = text::span_unescaped(rest_);
    if (size == rest_.size() || rest_[size] != '"') return false;
    out = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
    return true;
  }

  bool read_digits(std::string_view& out) noexcept {
    std::size_t n = 0;
    while (n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') ++n;
    if (n == 0 || (n > 1 && rest_.front() == '0')) return false;
    out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return true;
  }

  bool read_member() noexcept {
    std::string_view name;
    if (used_ == nodes_.size() || !read_text(name) || !take(':')) return false;
    if (is_twice(name)) return false;
    Node& node = nodes_[used_++];
    node = Node{};
    node.name = name;
    node.end = static_cast<std::uint16_t>(used_);
    if (!rest_.empty() && rest_.front() == '"') {
      node.kind = Kind::text;
      return read_text(node.text);
    }
    if (!read_digits(node.text)) return false;
    node.integer = integer_of(node.text, node.kind);
    return true;
  }

  // Most names differ in length or first character; only where both have been seen is there a need
  // to look at them all.
  [[nodiscard]] bool is_twice(std::string_view name) noexcept {
    const std::size_t mark =
        name.size() * 31 + (name.empty() ? 0 : static_cast<std::uint8_t>(name[0]));
    const std::uint64_t bit = std::uint64_t{1} << (mark % 64);
    const bool suspect = (seen_ & bit) != 0;
    seen_ |= bit;
    return suspect &&
           std::any_of(nodes_.begin() + 1, nodes_.begin() + static_cast<std::ptrdiff_t>(used_),
                       [=](const Node& node) { return node.name == name; });
  }

  std::string_view rest_;
  std::span<Node> nodes_;
  std::size_t used_{1};
  std::uint64_t seen_{0};
};

class NodeBuilder {
public:
  using Ch = char;
  explicit NodeBuilder(std::span<Node> nodes) noexcept : nodes_{nodes} {}

  bool Null() noexcept { return add(Kind::null) != nullptr; }
  bool Bool(bool value) noexcept {
    Node* node = add(Kind::boolean);
    if (node == nullptr) return false;
    node->boolean = value;
    return true;
  }
  bool RawNumber(const char* digits, rapidjson::SizeType size, bool) noexcept {
    Node* node = add(Kind::number);
    if (node == nullptr) return false;
    node->text = {digits, size};
    node->integer = integer_of(node->text, node->kind);
    return true;
  }
  bool String(const char* text, rapidjson::SizeType size, bool) noexcept {
    if (!is_text({text, size})) return false;
    Node* node = add(Kind::text);
    if (node == nullptr) return false;
    node->text = {text, size};
    return true;
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) noexcept {
    name_ = {text, size};
    return is_text(name_) && !is_known_member(name_);
  }
  bool StartObject() noexcept { return open(Kind::object); }
  bool EndObject(rapidjson::SizeType) noexcept { return close(); }
  bool StartArray() noexcept { return open(Kind::array); }
  bool EndArray(rapidjson::SizeType) noexcept { return close(); }

  [[nodiscard]] std::size_t size() const noexcept { return used_; }

private:
  // The input is UTF-8; only an escaped lone low surrogate can make it otherwise (ED A0..BF).
  static bool is_text(std::string_view text) noexcept {
    return text.find('\xED') == std::string_view::npos || text::is_utf8(bytes_of(text));
  }

  [[nodiscard]] bool is_known_member(std::string_view name) const noexcept {
    for (std::size_t i = parents_[depth_ - 1] + std::size_t{1}; i < used_; i = nodes_[i].end) {
      if (nodes_[i].name == name) return true;
    }
    return false;
  }

  Node* add(Kind kind) noexcept {
    if (used_ == nodes_.size()) return nullptr;
    Node& node = nodes_[used_++];
    node = Node{};
    node.kind = kind;
    node.name = name_;
    node.end = static_cast<std::uint16_t>(used_);
    name_ = {};
    return &node;
  }

  bool open(Kind kind) noexcept {
    if (depth_ == max_depth || add(kind) == nullptr) return false;
    parents_[depth_++] = static_cast<std::uint16_t>(used_ - 1);
    return true;
  }

  bool close() noexcept {
    nodes_[parents_[--depth_]].end = static_cast<std::uint16_t>(used_);
    return true;
  }

  std::span<Node> nodes_;
  std::size_t used_{0};
  std::string_view name_;
  std::uint16_t parents_[max_depth]{};
  std::size_t depth_{0};
};

}  // namespace
}  // namespace latchkey::json

namespace rapidjson {

using latchkey::json::InSituStream;
using latchkey::json::NoAllocator;
using latchkey::json::NodeBuilder;
using latchkey::json::parse_flags;

// Numbers stay text. The reader's own way refuses what a double cannot hold, and no answer may be
// lost over a number that nobody reads.
template <>
template <>
void GenericReader<UTF8<>, UTF8<>, NoAllocator>::ParseNumber<parse_flags>(InSituStream& is,
                                                                          NodeBuilder& handler) {
  const char* begin = is.src;
  const auto digits = [&is]() noexcept {
    const char* first = is.src;
    while (is.Peek() >= '0' && is.Peek() <= '9') is.Take();
    return is.src - first;
  };
  if (is.Peek() == '-') is.Take();
  const bool zero = is.Peek() == '0';
  const auto whole = digits();
  bool good = whole == 1 || (whole > 1 && !zero);
  if (good && is.Peek() == '.') {
    is.Take();
    good = digits() > 0;
  }
  if (good && (is.Peek() == 'e' || is.Peek() == 'E')) {
    is.Take();
    if (is.Peek() == '+' || is.Peek() == '-') is.Take();
    good = digits() > 0;
  }
  if (!good) {
    SetParseError(kParseErrorValueInvalid, is.Tell());
  } else if (!handler.RawNumber(begin, static_cast<SizeType>(is.src - begin), false)) {
    SetParseError(kParseErrorTermination, is.Tell());
  }
}

}  // namespace rapidjson

namespace latchkey::json {

Value Value::member(std::string_view name) const noexcept {
  if (!is(Kind::object)) return {};
  for (Value child = first(); child.present(); child = next(child)) {
    if (child.node().name == name) return child;
  }
  return {};
}

Value Value::first() const noexcept {
  if (!present() || index_ + 1 >= node().end) return {};
  return {nodes_, index_ + 1};
}

Value Value::next(const Value& child) const noexcept {
  if (!child.present() || child.node().end >= node().end) return {};
  return {nodes_, child.node().end};
}

Result<Value> parse(MutBytes json, std::span<Node> nodes) noexcept {
  LK_CHECK(nodes.size() < 0xffff);
  if (json.empty()) return Errc::json_invalid;
  if (!text::is_utf8(json)) return Errc::utf8_invalid;

  FlatReader flat{text_of(json), nodes};
  if (flat.read()) return Value{nodes.first(flat.size()), 0};

  char* begin = reinterpret_cast<char*>(json.data());
  InSituStream stream{begin, nullptr, begin, begin + json.size()};
  NodeBuilder builder{nodes};
  NoAllocator allocator;
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, NoAllocator> reader{&allocator, 0};
  const auto result = reader.Parse<parse_flags>(stream, builder);
  // A NUL in the text looks like its end to the reader.
  if (result.IsError() || stream.Tell() != json.size()) {
    return {Errc::json_invalid, static_cast<std::uint32_t>(stream.Tell())};
  }
  return Value{nodes.first(builder.size()), 0};
}

void put_string(Writer& out, std::string_view text) noexcept {
  constexpr std::string_view hex = "0123456789abcdef";
  out.put('"');
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<std::uint8_t>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.put(text.substr(plain, i - plain));
    plain = i + 1;
    if (c >= 0x20) {
      out.put('\\');
      out.put(c);
    } else {
      out.put("\\u00");
      out.put(static_cast<std::uint8_t>(hex[c >> 4]));
      out.put(static_cast<std::uint8_t>(hex[c & 15]));
    }
  }
  out.put(text.substr(plain));
  out.put('"');
}

void put_integer(Writer& out, std::int64_t value) noexcept {
  char digits[20];
  char* const end = digits + sizeof digits;
  char* begin = end;
  // The magnitude is taken unsigned: that of the smallest value does not fit otherwise.
  std::uint64_t left =
      value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  do {
    *--begin = static_cast<char>('0' + left % 10);
    left /= 10;
  } while (left != 0);
  if (value < 0) *--begin = '-';
  out.put(std::string_view{begin, static_cast<std::size_t>(end - begin)});
}

}  // namespace latchkey::json
