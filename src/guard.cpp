#include "latchkey/guard.hpp"

#include "latchkey/crypto.hpp"
#include "latchkey/url.hpp"

#include <algorithm>

namespace latchkey::guard {
namespace {

bool is_safe(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

bool has_origin_proof(const RequestFacts& facts) noexcept {
  const auto site = facts.sec_fetch_site;
  if (!site.empty() && site != "same-origin" && site != "none") return false;
  // A page that sends no referrer makes its own forms say `null` (Fetch, "serializing a request
  // origin"): that is no statement, for or against.
  const bool says_origin = !facts.origin.empty() && facts.origin != "null";
  if (says_origin && facts.origin != facts.own_origin) return false;
  return !site.empty() || says_origin;
}

constexpr std::string_view name_of(MediaType type) noexcept {
  switch (type) {
  case MediaType::json: return "application/json";
  case MediaType::form: return "application/x-www-form-urlencoded";
  }
  __builtin_trap();
}

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool has_media_type(std::string_view content_type, MediaType wanted) noexcept {
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && is_blank(type.front())) type.remove_prefix(1);
  while (!type.empty() && is_blank(type.back())) type.remove_suffix(1);
  const auto name = name_of(wanted);
  return std::equal(type.begin(), type.end(), name.begin(), name.end(),
                    [](char a, char b) { return to_lower(a) == b; });
}

bool is_protected(const url::Url& url, bool dev) noexcept {
  return url.https || (dev && url::is_loopback_host(url.host));
}

bool same_origin(const url::Url& a, const url::Url& b) noexcept {
  return a.https == b.https && a.host == b.host && a.port == b.port;
}

}  // namespace

Verdict request(const RequestFacts& facts) noexcept {
  if (!facts.open) {
    if (!url::is_loopback_host(facts.host)) return {false, 403, Errc::host_refused};
    if (facts.proxied) return {false, 403, Errc::proxied_refused};
  }
  if (is_safe(facts.method)) return {true, 0, Errc::ok};
  if (!has_origin_proof(facts)) return {false, 403, Errc::origin_refused};
  if (!has_media_type(facts.content_type, facts.media_type)) {
    return {false, 415, Errc::media_type_refused};
  }
  return {true, 0, Errc::ok};
}

bool outbound(std::string_view url, std::string_view from, std::uint32_t hop, bool dev) noexcept {
  const auto to = url::parse(url);
  if (!to || !is_protected(*to, dev) || hop > max_hops) return false;
  if (from.empty()) return hop == 0;
  const auto before = url::parse(from);
  return before && same_origin(*to, *before);
}

bool is_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > max_name || text == "." ||
      text.find("..") != std::string_view::npos) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    const char lower = to_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

void put_key(Writer& out, std::span<const std::string_view> parts) noexcept {
  // A chain, so that parts of any length need no room: each link is of one size, then the part.
  crypto::Sha256 link = crypto::sha256(bytes_of("latchkey/key/1"));
  for (const std::string_view part : parts)
    link = crypto::sha256(link, crypto::sha256(bytes_of(part)));
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < 16; ++i) {
    out.put(static_cast<std::uint8_t>(digits[link[i] >> 4]));
    out.put(static_cast<std::uint8_t>(digits[link[i] & 15]));
  }
}

}  // namespace latchkey::guard
