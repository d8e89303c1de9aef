#include "latchkey/url.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace latchkey::url {
namespace {

constexpr std::size_t max_name = 253;  // RFC 1035 section 2.3.4, without the root label
constexpr std::size_t max_label = 63;

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/// The value of a hexadecimal digit; 16 for anything else.
constexpr std::uint32_t hex_value(char c) noexcept {
  if (is_digit(c)) return static_cast<std::uint32_t>(c - '0');
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? static_cast<std::uint32_t>(lower - 'a') + 10 : 16;
}

/// Reads 1..5 digits without leading zero, up to `max`.
std::optional<std::uint32_t> decimal(std::string_view text, std::uint32_t max) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return {};
  std::uint32_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return {};
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (value > max) return {};
  return value;
}

std::optional<std::uint32_t> ipv4(std::string_view text) noexcept {
  std::uint32_t address = 0;
  for (int octet = 0; octet < 4; ++octet) {
    const bool last = octet == 3;
    const auto end = last ? text.size() : text.find('.');
    if (end == std::string_view::npos) return {};
    const auto value = decimal(text.substr(0, end), 255);
    if (!value) return {};
    address = address << 8 | *value;
    text.remove_prefix(last ? end : end + 1);
  }
  return address;
}

/// Up to eight 16-bit groups of an IPv6 address.
struct Groups {
  std::array<std::uint16_t, 8> value{};
  std::size_t count{0};

  [[nodiscard]] bool push(std::uint32_t group) noexcept {
    if (count == value.size()) return false;
    value[count++] = static_cast<std::uint16_t>(group);
    return true;
  }
};

/// Reads 1..4 hexadecimal digits.
std::optional<std::uint32_t> group(std::string_view text) noexcept {
  if (text.empty() || text.size() > 4) return {};
  std::uint32_t value = 0;
  for (const char c : text) {
    const auto digit = hex_value(c);
    if (digit > 15) return {};
    value = value << 4 | digit;
  }
  return value;
}

/// Reads groups with single colons between them; none for empty text. The address may end in IPv4.
bool read_groups(std::string_view text, bool ends_address, Groups& out) noexcept {
  if (text.empty()) return true;
  for (;;) {
    const auto end = std::min(text.find(':'), text.size());
    const bool last = end == text.size();
    const auto piece = text.substr(0, end);
    if (const auto value = group(piece)) {
      if (!out.push(*value)) return false;
    } else {
      if (!last || !ends_address) return false;
      const auto address = ipv4(piece);
      return address && out.push(*address >> 16) && out.push(*address & 0xffff);
    }
    if (last) return true;
    text.remove_prefix(end + 1);
  }
}

/// Reads the text forms of RFC 4291 section 2.2; `::` stands for at least one group.
std::optional<Groups> ipv6(std::string_view text) noexcept {
  Groups all;
  const auto gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (!read_groups(text, true, all) || all.count != all.value.size()) return {};
    return all;
  }
  Groups tail;
  if (!read_groups(text.substr(0, gap), false, all)) return {};
  if (!read_groups(text.substr(gap + 2), true, tail)) return {};
  if (all.count + tail.count >= all.value.size()) return {};
  for (std::size_t i = 0; i < tail.count; ++i) {
    all.value[all.value.size() - tail.count + i] = tail.value[i];
  }
  all.count = all.value.size();
  return all;
}

struct Authority {
  std::string_view host;
  std::uint16_t port{0};  // 0: none was written
  bool bracketed{false};
};

/// Takes `host`, `host:port`, `[host]` and `[host]:port` apart; says nothing about the host.
std::optional<Authority> read_authority(std::string_view text) noexcept {
  Authority out;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return {};
    out.host = text.substr(1, end - 1);
    out.bracketed = true;
    rest = text.substr(end + 1);
  } else {
    const auto end = std::min(text.find(':'), text.size());
    out.host = text.substr(0, end);
    rest = text.substr(end);
  }
  if (rest.empty()) return out;
  if (rest.front() != ':') return {};
  const auto port = decimal(rest.substr(1), 0xffff);
  if (!port || *port == 0) return {};
  out.port = static_cast<std::uint16_t>(*port);
  return out;
}

/// True when URL parsers take a host with this last label for an IPv4 address.
bool is_number(std::string_view label) noexcept {
  if (std::all_of(label.begin(), label.end(), is_digit)) return true;
  return label.starts_with("0x") &&
         std::all_of(label.begin() + 2, label.end(), [](char c) { return hex_value(c) < 16; });
}

bool is_name(std::string_view host) noexcept {
  if (host.size() > max_name) return false;
  for (std::string_view rest = host;;) {
    const auto end = std::min(rest.find('.'), rest.size());
    const auto label = rest.substr(0, end);
    if (label.empty() || label.size() > max_label) return false;
    for (const char c : label) {
      if (!is_lower(c) && !is_digit(c) && c != '-') return false;
    }
    if (end == rest.size()) return !is_number(label) || ipv4(host).has_value();
    rest.remove_prefix(end + 1);
  }
}

bool is_host(const Authority& authority) noexcept {
  if (!authority.bracketed) return is_name(authority.host);
  const bool lower = std::all_of(authority.host.begin(), authority.host.end(),
                                 [](char c) { return c == to_lower(c); });
  return lower && ipv6(authority.host).has_value();
}

bool is_loopback_v4(std::uint32_t address) noexcept { return address >> 24 == 127; }

bool is_loopback_v6(std::string_view text) noexcept {
  const auto address = ipv6(text);
  if (!address) return false;
  const auto& g = address->value;
  if (!std::all_of(g.begin(), g.begin() + 5, [](auto v) { return v == 0; })) return false;
  if (g[5] == 0) return g[6] == 0 && g[7] == 1;
  return g[5] == 0xffff && g[6] >> 8 == 127;
}

bool is_localhost(std::string_view name) noexcept {
  constexpr std::string_view localhost = "localhost";
  return std::equal(name.begin(), name.end(), localhost.begin(), localhost.end(),
                    [](char a, char b) { return to_lower(a) == b; });
}

}  // namespace

Result<Url> parse(std::string_view text) noexcept {
  if (text.size() > max_url) return {Errc::config_invalid, max_url};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c < '!' || c > '~' || c == '\\' || c == '#') {
      return {Errc::config_invalid, static_cast<std::uint32_t>(i)};
    }
  }
  Url url;
  url.https = text.starts_with("https://");
  if (!url.https && !text.starts_with("http://")) return Errc::config_invalid;
  const std::size_t start = url.https ? 8 : 7;
  const auto end = std::min(text.find('/', start), text.size());
  const auto authority = read_authority(text.substr(start, end - start));
  if (!authority || !is_host(*authority)) {
    return {Errc::config_invalid, static_cast<std::uint32_t>(start)};
  }
  url.host = authority->host;
  url.port = authority->port;
  if (url.port == 0) url.port = url.https ? 443 : 80;
  url.origin = text.substr(0, end);
  url.path = text.substr(end);
  url.has_query = url.path.find('?') != std::string_view::npos;
  return url;
}

bool is_loopback_host(std::string_view host) noexcept {
  // Two colons without brackets can only be an IPv6 address without a port.
  if (!host.starts_with('[') && host.find(':') != host.rfind(':')) return is_loopback_v6(host);
  const auto authority = read_authority(host);
  if (!authority) return false;
  if (authority->bracketed) return is_loopback_v6(authority->host);
  const auto address = ipv4(authority->host);
  return address ? is_loopback_v4(*address) : is_localhost(authority->host);
}

Result<Address> parse_address(std::string_view text) noexcept {
  if (const auto address = ipv4(text)) {
    return Address{0,
                   0,
                   0,
                   0,
                   0,
                   0xffff,
                   static_cast<std::uint16_t>(*address >> 16),
                   static_cast<std::uint16_t>(*address & 0xffff)};
  }
  const auto groups = ipv6(text);
  if (!groups) return Errc::claim_invalid;
  return groups->value;
}

}  // namespace latchkey::url
