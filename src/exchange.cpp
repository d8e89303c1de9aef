#include "latchkey/exchange.hpp"

#include "latchkey/answer.hpp"
#include "latchkey/json.hpp"

#include <algorithm>

namespace latchkey::exchange {
namespace {

using json::Kind;
using json::Value;

// What the operator has to put right: RFC 6749 section 5.2, then GitHub's words, then Slack's.
constexpr std::string_view client_errors[] = {
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "incorrect_client_credentials",
    "redirect_uri_mismatch",
    "invalid_client_id",
    "bad_client_secret",
    "bad_redirect_uri",
};

constexpr std::string_view refresh_lifetimes[] = {
    "refresh_token_expires_in",
    "refresh_expires_in",
    "x_refresh_token_expires_in",
};

enum class Said : std::uint8_t { nothing, refused, refused_client, unclear };

Said said_about(const Value& root, const Value& nested) noexcept {
  const Value error = root.member("error");
  if (!answer::is_said(error)) {
    const Value ok = root.member("ok");
    return ok.is(Kind::boolean) && !ok.node().boolean ? Said::refused : Said::nothing;
  }
  const std::string_view word = error.text();
  if (word.empty()) return Said::unclear;
  if (answer::is_said(root.member("access_token")) ||
      answer::is_said(nested.member("access_token"))) {
    return Said::unclear;
  }
  const auto* const end = std::end(client_errors);
  return std::find(std::begin(client_errors), end, word) == end ? Said::refused
                                                                : Said::refused_client;
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && text.size() <= max_token &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool is_bearer(std::string_view type) noexcept {
  constexpr std::string_view bearer = "bearer";
  return std::equal(type.begin(), type.end(), bearer.begin(), bearer.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool is_accepted_type(const Value& type, std::string_view other) noexcept {
  if (!answer::is_said(type)) return true;
  const std::string_view text = type.text();
  return is_bearer(text) || (!text.empty() && text == other);
}

// Members of a form stand in the body in the order of their names' addresses.
bool stands_before(const Value& member, const Value& other) noexcept {
  return !member.present() || member.node().name.data() < other.node().name.data();
}

bool is_whole_form(const Value& form) noexcept {
  const Value type = form.member("token_type");
  return type.present() && stands_before(form.member("access_token"), type) &&
         stands_before(form.member("refresh_token"), type);
}

// A number's digits as written and a text are read alike. Saturates at `max_lifetime`; 0 is none.
Millis lifetime_of(const Value& member) noexcept {
  if (!member.is(Kind::integer) && !member.is(Kind::number) && !member.is(Kind::text)) return {};
  constexpr std::int64_t most = max_lifetime.value / 1000;
  std::int64_t value = 0;
  for (const char c : member.node().text) {
    if (c < '0' || c > '9') return {};
    value = std::min(most, value * 10 + (c - '0'));
  }
  return seconds(value);
}

bool read_expiry(const Value& member, UnixMillis now, UnixMillis& out) noexcept {
  const Millis lifetime = lifetime_of(member);
  if (lifetime.value == 0) return false;
  out = now.plus(lifetime);
  return true;
}

// The bytes of the body that a text of the answer stands in.
MutBytes place_of(MutBytes body, std::string_view text) noexcept {
  const Bytes bytes = bytes_of(text);
  LK_CHECK(bytes.data() >= body.data());
  const auto at = static_cast<std::size_t>(bytes.data() - body.data());
  LK_CHECK(at <= body.size() && bytes.size() <= body.size() - at);
  return body.subspan(at, bytes.size());
}

// Rewrites a list of scopes where it stands, with one space between them: every separator that is
// written was read before.
bool read_scope(const Value& member, MutBytes body, bool commas, std::string_view& out) noexcept {
  if (!member.is(Kind::text) || member.node().text.size() > max_scope) return false;
  if (member.node().text.empty()) return true;
  const MutBytes place = place_of(body, member.node().text);
  const auto is_separator = [commas](std::uint8_t c) { return c == ' ' || (commas && c == ','); };
  std::size_t size = 0;
  for (std::size_t begin = 0; begin < place.size();) {
    std::size_t end = begin;
    while (end < place.size() && !is_separator(place[end])) ++end;
    if (end > begin) {
      if (!profile::is_scope_token(text_of(place.subspan(begin, end - begin)))) return false;
      if (size > 0) place[size++] = ' ';
      for (std::size_t i = begin; i < end; ++i) place[size++] = place[i];
    }
    begin = end + 1;
  }
  out = text_of(place.first(size));
  return true;
}

bool read_tokens(const Value& source, std::string_view token_type, MutBytes body, UnixMillis now,
                 bool granted_commas, TokenSet& out) noexcept {
  out.access_token = source.member("access_token").text();
  if (!is_token(out.access_token)) return false;
  if (!is_accepted_type(source.member("token_type"), token_type)) return false;
  const Value refresh = source.member("refresh_token");
  out.refresh_token = refresh.text();
  if (answer::is_said(refresh) && !refresh.is(Kind::text)) return false;
  if (!out.refresh_token.empty() && !is_token(out.refresh_token)) return false;

  out.has_expires_at = read_expiry(source.member("expires_in"), now, out.expires_at);
  for (const std::string_view name : refresh_lifetimes) {
    if (out.refresh_token.empty() || out.has_refresh_expires_at) break;
    out.has_refresh_expires_at = read_expiry(source.member(name), now, out.refresh_expires_at);
  }
  out.has_scope = read_scope(source.member("scope"), body, granted_commas, out.scope);
  return true;
}

}  // namespace

Result<TokenSet> read(std::uint16_t status, std::string_view content_type, MutBytes body,
                      UnixMillis now, const profile::Profile& profile) noexcept {
  if (answer::is_transient(status)) return Errc::exchange_unreachable;
  const Errc unreadable = status == 401 ? Errc::provider_refused_client : Errc::exchange_unreadable;
  json::Node nodes[answer::max_nodes];
  const auto answer = answer::read(content_type, body, nodes);
  if (!answer) return unreadable;
  const Value root = answer->root;
  const Value nested = profile.nested_tokens.empty() ? Value{} : root.member(profile.nested_tokens);

  switch (said_about(root, nested)) {
  case Said::refused: return Errc::exchange_refused;
  case Said::refused_client: return Errc::provider_refused_client;
  case Said::unclear: return unreadable;
  case Said::nothing: break;
  }
  if (!answer::is_good(status)) return unreadable;
  if (answer->encoding == answer::Encoding::form && !is_whole_form(root)) return unreadable;

  const bool at_top = answer::is_said(root.member("access_token")) || !nested.is(Kind::object);
  TokenSet tokens;
  if (!read_tokens(at_top ? root : nested, at_top ? profile.token_type : profile.nested_token_type,
                   body, now, profile.granted_commas, tokens)) {
    return unreadable;
  }
  return tokens;
}

}  // namespace latchkey::exchange
