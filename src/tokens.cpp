#include "latchkey/tokens.hpp"

#include "latchkey/json.hpp"

#include <algorithm>

namespace latchkey::tokens {
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

bool is_bearer(std::string_view type) noexcept {
  constexpr std::string_view bearer = "bearer";
  return std::equal(type.begin(), type.end(), bearer.begin(), bearer.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool is_accepted_type(const Value& type, std::string_view one, std::string_view other) noexcept {
  if (!answer::is_said(type)) return true;
  const std::string_view text = type.text();
  return is_bearer(text) || (!text.empty() && (text == one || text == other));
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

Value nested_of(const Value& root, const profile::Profile& profile) noexcept {
  return profile.nested_tokens.empty() ? Value{} : root.member(profile.nested_tokens);
}

}  // namespace

bool is_token(std::string_view text) noexcept {
  return !text.empty() && text.size() <= max_token &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::string_view client_error(std::string_view error) noexcept {
  for (const std::string_view known : client_errors) {
    if (known == error) return known;
  }
  return {};
}

bool has_access(const Value& root, const profile::Profile& profile) noexcept {
  return answer::is_said(root.member("access_token")) ||
         answer::is_said(nested_of(root, profile).member("access_token"));
}

Result<Pair> read(const answer::Answer& answer, MutBytes body, const profile::Profile& profile,
                  Types types) noexcept {
  constexpr Errc unreadable = Errc::exchange_unreadable;
  const Value root = answer.root;
  if (answer.encoding == answer::Encoding::form && !is_whole_form(root)) return unreadable;
  const Value nested = nested_of(root, profile);
  const bool at_top = answer::is_said(root.member("access_token")) || !nested.is(Kind::object);
  const Value source = at_top ? root : nested;
  const std::string_view type = at_top ? profile.token_type : profile.nested_token_type;
  const std::string_view other = at_top ? profile.nested_token_type : profile.token_type;

  Pair out;
  out.access_token = source.member("access_token").text();
  if (!is_token(out.access_token)) return unreadable;
  if (!is_accepted_type(source.member("token_type"), type,
                        types == Types::any_place ? other : type)) {
    return unreadable;
  }
  const Value refresh = source.member("refresh_token");
  out.refresh_token = refresh.text();
  if (answer::is_said(refresh) && !refresh.is(Kind::text)) return unreadable;
  if (!out.refresh_token.empty() && !is_token(out.refresh_token)) return unreadable;

  out.lifetime = lifetime_of(source.member("expires_in"));
  for (const std::string_view name : refresh_lifetimes) {
    if (out.refresh_token.empty() || out.refresh_lifetime.value > 0) break;
    out.refresh_lifetime = lifetime_of(source.member(name));
  }
  out.has_scope = read_scope(source.member("scope"), body, profile.granted_commas, out.scope);
  return out;
}

}  // namespace latchkey::tokens
