#include "latchkey/json.hpp"

#include "latchkey/text.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

// The reader is given everything it needs: no heap, and a broken assumption of its own is a trap.
#define RAPIDJSON_ASSERT(condition) LK_CHECK(condition)
#define RAPIDJSON_NEW(type) nullptr
#define RAPIDJSON_DELETE(pointer) static_cast<void>(pointer)
#include <rapidjson/reader.h>

namespace latchkey::json {
namespace {

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
    const auto read = std::from_chars(digits, digits + size, node->integer);
    if (read.ec == std::errc{} && read.ptr == digits + size) node->kind = Kind::integer;
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

  // The reader asks for these only without kParseNumbersAsStringsFlag.
  bool Int(int) noexcept { return false; }
  bool Uint(unsigned) noexcept { return false; }
  bool Int64(std::int64_t) noexcept { return false; }
  bool Uint64(std::uint64_t) noexcept { return false; }
  bool Double(double) noexcept { return false; }

  [[nodiscard]] std::size_t size() const noexcept { return used_; }

private:
  // The input is UTF-8; only an escaped lone low surrogate can make it otherwise (ED A0..BF).
  static bool is_text(std::string_view text) noexcept {
    return text.find('\xED') == std::string_view::npos || text::is_utf8(bytes_of(text));
  }

  bool is_known_member(std::string_view name) const noexcept {
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
// Lets the reader work on a local copy of the stream, which in-situ number views rely on.
template <> struct StreamTraits<latchkey::json::InSituStream> {
  enum { copyOptimization = 1 };
};
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

  char* begin = reinterpret_cast<char*>(json.data());
  InSituStream stream{begin, nullptr, begin, begin + json.size()};
  NodeBuilder builder{nodes};
  NoAllocator allocator;
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, NoAllocator> reader{&allocator, 0};
  constexpr unsigned flags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
  const auto result = reader.Parse<flags>(stream, builder);
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
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.put(std::string_view{digits, static_cast<std::size_t>(end - digits)});
}

}  // namespace latchkey::json
