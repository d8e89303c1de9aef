#include "latchkey/return_to.hpp"

#include "latchkey/text.hpp"

#include <algorithm>
#include <array>

namespace latchkey {
namespace {

/// The parts of a relative URL, as bits of `encode_sets`.
enum Part : std::uint8_t { path = 1, query = 2, fragment = 4 };
/// A bit beside them: characters that mean nothing but themselves, wherever they stand in a path.
constexpr std::uint8_t literal = 8;

/// For every byte, the parts in which the URL standard percent-encodes it: the path, special-query
/// and fragment percent-encode sets. `?` and `#` never stand inside the part that they end.
constexpr auto encode_sets = [] {
  std::array<std::uint8_t, 256> sets{};
  for (std::size_t c = 0; c < sets.size(); ++c) {
    if (c <= 0x20 || c >= 0x7f) sets[c] = path | query | fragment;
  }
  for (const char c : {'"', '<', '>'}) sets[static_cast<std::uint8_t>(c)] = path | query | fragment;
  for (const char c : {'^', '{', '}'}) sets[static_cast<std::uint8_t>(c)] = path;
  sets['`'] = path | fragment;
  sets['\''] = query;
  for (const char c : {'-', '_'}) sets[static_cast<std::uint8_t>(c)] = literal;
  for (char c = '0'; c <= '9'; ++c) sets[static_cast<std::uint8_t>(c)] = literal;
  for (char c = 'A'; c <= 'Z'; ++c) sets[static_cast<std::uint8_t>(c)] = literal;
  for (char c = 'a'; c <= 'z'; ++c) sets[static_cast<std::uint8_t>(c)] = literal;
  return sets;
}();

void encode(Writer& out, std::string_view text, Part part) noexcept {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const auto byte : bytes_of(text)) {
    if ((encode_sets[byte] & part) == 0) {
      out.put(byte);
    } else {
      const char escape[] = {'%', digits[byte >> 4], digits[byte & 15]};
      out.put(std::string_view{escape, sizeof escape});
    }
  }
}

/// 1 for a single-dot segment, 2 for a double-dot segment, else 0.
int dots(std::string_view segment) noexcept {
  int count = 0;
  while (!segment.empty()) {
    if (segment.front() == '.') {
      segment.remove_prefix(1);
    } else if (segment.starts_with("%2e") || segment.starts_with("%2E")) {
      segment.remove_prefix(3);
    } else {
      return 0;
    }
    if (++count > 2) return 0;
  }
  return count;
}

/// A path without its dot segments.
class Resolved {
public:
  /// `path` starts with `/` and has at most 512 bytes; the result is never longer.
  explicit Resolved(std::string_view path) noexcept {
    while (!path.empty()) {
      path.remove_prefix(1);
      const auto segment = path.substr(0, path.find('/'));
      path.remove_prefix(segment.size());
      const int count = dots(segment);
      if (count == 2) pop();
      if (count == 0) {
        push(segment);
      } else if (path.empty()) {
        push({});
      }
    }
  }
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }

private:
  void push(std::string_view segment) noexcept {
    LK_CHECK(segment.size() < max_return_to - size_);
    data_[size_++] = '/';
    for (const char c : segment) data_[size_++] = c;
  }
  void pop() noexcept {
    const auto slash = view().rfind('/');
    size_ = slash == std::string_view::npos ? 0 : slash;
  }

  char data_[max_return_to];
  std::size_t size_{0};
};

struct Cut {
  std::string_view head;
  std::string_view tail;
};

/// What stands before and after the first `at`; all of it before when there is none.
Cut cut(std::string_view text, char at) noexcept {
  const auto head = text.substr(0, text.find(at));
  text.remove_prefix(std::min(head.size() + 1, text.size()));
  return {head, text};
}

bool is_control(std::uint8_t c) noexcept { return c < 0x20 || c == 0x7f; }

bool is_path_absolute(std::string_view text) noexcept {
  if (text.empty() || text.size() > max_return_to || !text::is_utf8(bytes_of(text))) return false;
  if (text.front() != '/' || text.starts_with("//")) return false;
  const auto bytes = bytes_of(text);
  return std::none_of(bytes.begin(), bytes.end(),
                      [](auto c) { return c == '\\' || is_control(c); });
}

/// True when a browser, or a server that decodes once, could read the path as `//host`.
bool may_leave_origin(std::string_view normal) noexcept {
  for (const std::string_view start : {"//", "/%2f", "/%2F", "/%5c", "/%5C"}) {
    if (normal.starts_with(start)) return true;
  }
  return false;
}

/// True only for a path that is normal as it stands: names of literal characters, each after one
/// `/`.
bool is_literal(std::string_view path) noexcept {
  if (path.empty() || path.size() > max_return_to) return false;
  bool after_name = true;
  for (const auto byte : bytes_of(path)) {
    const bool is_name = (encode_sets[byte] & literal) != 0;
    if (!is_name && (byte != '/' || !after_name)) return false;
    after_name = is_name;
  }
  return path.front() == '/';
}

bool lies_in(std::string_view normal, std::string_view base) noexcept {
  if (base.empty()) return true;
  if (!normal.starts_with(base)) return false;
  normal.remove_prefix(base.size());
  return normal.empty() || normal.front() == '/' || normal.front() == '?' || normal.front() == '#';
}

}  // namespace

Result<std::string_view> return_to(std::string_view text, std::string_view base,
                                   MutBytes out) noexcept {
  LK_CHECK(out.size() >= max_return_to);
  if (!is_path_absolute(text)) return Errc::return_to_invalid;
  while (text.back() == ' ') text.remove_suffix(1);  // ends at the first `/` at the latest

  const auto [before_hash, after_hash] = cut(text, '#');
  const auto [before_query, after_query] = cut(before_hash, '?');
  Writer writer{out.first(max_return_to)};
  encode(writer, Resolved{before_query}.view(), Part::path);
  if (!after_query.empty()) {
    writer.put('?');
    encode(writer, after_query, Part::query);
  }
  if (!after_hash.empty()) {
    writer.put('#');
    encode(writer, after_hash, Part::fragment);
  }
  const auto normal = text_of(writer.written());
  if (may_leave_origin(normal) || writer.overflow() || !lies_in(normal, base)) {
    return Errc::return_to_invalid;
  }
  return normal;
}

bool is_return_to(std::string_view text) noexcept {
  if (is_literal(text)) return true;
  std::uint8_t space[max_return_to];
  const auto normal = return_to(text, {}, space);
  return normal && *normal == text;
}

}  // namespace latchkey
