#include "latchkey/answer.hpp"

#include "latchkey/text.hpp"

namespace latchkey::answer {
namespace {

constexpr std::size_t max_member_name = 64;

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool is_equal_in_any_case(std::string_view text, std::string_view lower_case) noexcept {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

// The media type without parameters and blanks (RFC 9110 section 8.3.1).
std::string_view media_type_of(std::string_view content_type) noexcept {
  std::size_t end = content_type.find(';');
  if (end == std::string_view::npos) end = content_type.size();
  std::size_t begin = 0;
  while (begin < end && is_blank(content_type[begin])) ++begin;
  while (end > begin && is_blank(content_type[end - 1])) --end;
  return content_type.substr(begin, end - begin);
}

bool is_json_type(std::string_view type) noexcept {
  constexpr std::string_view suffix = "+json";
  return is_equal_in_any_case(type, "application/json") ||
         is_equal_in_any_case(type, "text/json") ||
         (type.size() > suffix.size() &&
          is_equal_in_any_case(type.substr(type.size() - suffix.size()), suffix));
}

bool starts_an_object(Bytes body) noexcept {
  std::size_t i = 0;
  while (i < body.size() && is_blank(static_cast<char>(body[i]))) ++i;
  return i < body.size() && body[i] == '{';
}

Encoding encoding_of(std::string_view content_type, Bytes body) noexcept {
  const std::string_view type = media_type_of(content_type);
  if (is_json_type(type)) return Encoding::json;
  if (is_equal_in_any_case(type, "application/x-www-form-urlencoded")) return Encoding::form;
  return starts_an_object(body) ? Encoding::json : Encoding::form;
}

constexpr int hex_value(std::uint8_t c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes a name or a value where it stands: the text never grows.
bool decode(MutBytes part, std::string_view& out) noexcept {
  std::size_t size = 0;
  for (std::size_t i = 0; i < part.size(); ++i) {
    std::uint8_t c = part[i];
    if (c <= ' ' || c > '~') return false;
    if (c == '+') {
      c = ' ';
    } else if (c == '%') {
      if (part.size() - i < 3) return false;
      const int high = hex_value(part[i + 1]);
      const int low = hex_value(part[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<std::uint8_t>(high * 16 + low);
      i += 2;
    }
    part[size++] = c;
  }
  out = text_of(part.first(size));
  return text::is_utf8(part.first(size));
}

bool is_member_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > max_member_name) return false;
  for (const char c : name) {
    const char l = lower(c);
    if (!((l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.')) {
      return false;
    }
  }
  return true;
}

bool read_pair(MutBytes pair, json::Node& out) noexcept {
  const std::size_t equals = text_of(pair).find('=');
  if (equals == std::string_view::npos) return false;
  out = json::Node{};
  out.kind = json::Kind::text;
  return decode(pair.first(equals), out.name) && is_member_name(out.name) &&
         decode(pair.subspan(equals + 1), out.text);
}

// Node 0 is the object, its members follow.
bool read_form(MutBytes body, std::span<json::Node> nodes, std::size_t& used) noexcept {
  if (nodes.empty()) return false;
  nodes[0] = json::Node{};
  nodes[0].kind = json::Kind::object;
  used = 1;
  for (std::size_t begin = 0; begin <= body.size();) {
    std::size_t end = text_of(body).find('&', begin);
    if (end == std::string_view::npos) end = body.size();
    if (used == nodes.size()) return false;
    json::Node& node = nodes[used];
    if (!read_pair(body.subspan(begin, end - begin), node)) return false;
    for (std::size_t i = 1; i < used; ++i) {
      if (nodes[i].name == node.name) return false;
    }
    node.end = static_cast<std::uint16_t>(++used);
    begin = end + 1;
  }
  nodes[0].end = static_cast<std::uint16_t>(used);
  return true;
}

}  // namespace

Result<Answer> read(std::string_view content_type, MutBytes body,
                    std::span<json::Node> nodes) noexcept {
  LK_CHECK(nodes.size() < 0xffff);
  if (body.size() > max_body) return Errc::json_invalid;
  const Encoding encoding = encoding_of(content_type, body);
  if (encoding == Encoding::json) {
    const auto root = json::parse(body, nodes);
    if (!root || !root->is(json::Kind::object)) return Errc::json_invalid;
    return Answer{*root, encoding};
  }
  std::size_t used = 0;
  if (!read_form(body, nodes, used)) return Errc::json_invalid;
  return Answer{json::Value{nodes.first(used), 0}, encoding};
}

bool is_said(const json::Value& member) noexcept {
  return member.present() && !member.is(json::Kind::null);
}

}  // namespace latchkey::answer
