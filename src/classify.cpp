#include "latchkey/classify.hpp"

#include "latchkey/answer.hpp"
#include "latchkey/introspection.hpp"
#include "latchkey/json.hpp"
#include "latchkey/text.hpp"

#include <algorithm>

namespace latchkey::refresh {
namespace {

using json::Kind;
using json::Value;
using profile::Dialect;

// Errors --------------------------------------------------------------------------------------

struct Word {
  const char* text;
  Dialect dialect;
  ReplyClass kind;
};

// Of two that are equal the first counts: a dialect's before everybody's.
constexpr Word words[] = {
    {"bad_refresh_token", Dialect::github, ReplyClass::terminal},
    {"application_suspended", Dialect::github, ReplyClass::operator_error},
    {"invalid_refresh_token", Dialect::slack, ReplyClass::terminal},
    {"token_revoked", Dialect::slack, ReplyClass::terminal},
    {"account_inactive", Dialect::slack, ReplyClass::terminal},
    {"ratelimited", Dialect::slack, ReplyClass::rate_limited},
    {"internal_error", Dialect::slack, ReplyClass::transient},
    {"fatal_error", Dialect::slack, ReplyClass::transient},
    {"service_unavailable", Dialect::slack, ReplyClass::transient},
    {"request_timeout", Dialect::slack, ReplyClass::transient},
    {"BAD_REFRESH_TOKEN", Dialect::hubspot, ReplyClass::terminal},
    {"BAD_CLIENT_ID", Dialect::hubspot, ReplyClass::operator_error},
    {"BAD_CLIENT_SECRET", Dialect::hubspot, ReplyClass::operator_error},
    {"invalid_code", Dialect::zoho, ReplyClass::terminal},
    {"invalid_client_secret", Dialect::zoho, ReplyClass::operator_error},
    {"Access Denied", Dialect::zoho, ReplyClass::rate_limited},
    {"interaction_required", Dialect::microsoft, ReplyClass::terminal},
    {"consent_required", Dialect::microsoft, ReplyClass::terminal},
    {"login_required", Dialect::microsoft, ReplyClass::terminal},
    {"internal_failure", Dialect::google, ReplyClass::transient},
    {"deleted_client", Dialect::google, ReplyClass::operator_error},
    {"disabled_client", Dialect::google, ReplyClass::operator_error},
    {"invalid_request", Dialect::x, ReplyClass::terminal},
    {"invalid_grant", Dialect::none, ReplyClass::terminal},
    {"invalid_request", Dialect::none, ReplyClass::operator_error},
    {"temporarily_unavailable", Dialect::none, ReplyClass::transient},
    {"server_error", Dialect::none, ReplyClass::transient},
    {"rate_limit_exceeded", Dialect::none, ReplyClass::rate_limited},
    {"slow_down", Dialect::none, ReplyClass::rate_limited},
};

/// What an answer says went wrong; empty where nothing is said in words.
std::string_view error_of(const Value& root, Dialect dialect) noexcept {
  const Value error = root.member("error");
  const bool elsewhere = dialect == Dialect::hubspot && !answer::is_said(error);
  return (elsewhere ? root.member("status") : error).text();
}

bool says_no(const Value& root) noexcept {
  const Value ok = root.member("ok");
  return answer::is_said(root.member("error")) || (ok.is(Kind::boolean) && !ok.node().boolean);
}

// Refresh tokens ------------------------------------------------------------------------------

constexpr std::string_view refresh_name = "refresh_token";

/// How many refresh tokens stand in a readable answer, at any depth.
std::size_t count_refresh_tokens(std::span<const json::Node> nodes) noexcept {
  std::size_t count = 0;
  for (const json::Node& node : nodes) {
    if (node.kind == Kind::text && node.name == refresh_name && tokens::is_token(node.text)) {
      ++count;
    }
  }
  return count;
}

/// True when an unreadable body has a refresh token's name with something behind it, as JSON or a
/// form would write it. A word like `bad_refresh_token` is none.
bool names_a_refresh_token(std::string_view body) noexcept {
  for (std::size_t at = 0; (at = body.find(refresh_name, at)) != std::string_view::npos;) {
    const char before = at == 0 ? '&' : body[at - 1];
    at += refresh_name.size();
    const char after = at < body.size() ? body[at] : '\0';
    if ((before == '"' && after == '"') || (before == '&' && after == '=')) return true;
  }
  return false;
}

// Headers -------------------------------------------------------------------------------------

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Takes `lower_case` from the front of `text`, whatever its case.
[[gnu::noinline]] bool take(std::string_view& text, const char* lower_case) noexcept {
  std::string_view rest = text;
  for (; *lower_case != '\0'; ++lower_case) {
    if (rest.empty() || lower(rest.front()) != *lower_case) return false;
    rest.remove_prefix(1);
  }
  text = rest;
  return true;
}

enum class HeaderKind : std::uint8_t { content_type, retry_after, date, remaining, reset, other };

/// Which header it is; both of a quota in any of their spellings.
HeaderKind kind_of(std::string_view name) noexcept {
  constexpr const char* names[] = {"content-type", "retry-after", "date", "remaining", "reset"};
  static_cast<void>(take(name, "x-"));
  const bool rate = take(name, "ratelimit-") || take(name, "rate-limit-");
  std::uint8_t kind = rate ? 3 : 0;
  const std::uint8_t end = rate ? 5 : 3;
  for (; kind < end; ++kind) {
    std::string_view rest = name;
    if (take(rest, names[kind]) && rest.empty()) return static_cast<HeaderKind>(kind);
  }
  return HeaderKind::other;
}

constexpr std::int64_t unread = -1;

/// Digits, with a fraction that is cut off; saturates.
[[gnu::noinline]] std::int64_t number_of(std::string_view text) noexcept {
  text = text.substr(0, text.find('.'));
  if (text.empty()) return unread;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return unread;
    value = std::min<std::int64_t>(value * 10 + (c - '0'), UnixMillis::max / 1000);
  }
  return value;
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7, the form that is generated), in seconds
/// since 1970.
[[gnu::noinline]] std::int64_t date_of(std::string_view text) noexcept {
  constexpr std::string_view shape = "___, 00 ___ 0000 00:00:00 GMT";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != shape.size()) return unread;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == '0' ? !digit : shape[i] != '_' && shape[i] != text[i]) return unread;
  }
  const auto part = [&](std::size_t at, std::size_t size) noexcept {
    return number_of(text.substr(at, size));
  };
  const std::size_t month_at = months.find(text.substr(8, 3));
  if (month_at == std::string_view::npos || month_at % 3 != 0) return unread;
  // Days since 1970-01-01, counting years from March, so that a leap day is the last of its year.
  const std::int64_t month = static_cast<std::int64_t>(month_at / 3 + 10) % 12;
  const std::int64_t year = part(12, 4) - (month >= 10 ? 1 : 0);
  const std::int64_t days = year * 365 + year / 4 - year / 100 + year / 400 +
                            (month * 153 + 2) / 5 + part(5, 2) - 719'469;
  return std::max<std::int64_t>(((days * 24 + part(17, 2)) * 60 + part(20, 2)) * 60 + part(23, 2),
                                0);
}

struct Limits {
  std::string_view content_type;
  std::int64_t date{unread};
  std::int64_t retry_after{unread};  ///< in seconds
  std::int64_t reset{unread};  ///< in seconds, or a moment
  bool has_retry_after{false};
  bool exhausted{false};
};

[[gnu::noinline]] Limits read_headers(std::span<const Header> headers, UnixMillis now) noexcept {
  Limits out;
  std::string_view retry_after;
  for (const auto& [name, value] : headers) {
    switch (kind_of(name)) {
    case HeaderKind::content_type: out.content_type = value; break;
    case HeaderKind::retry_after: retry_after = value; break;
    case HeaderKind::date: out.date = date_of(value); break;
    case HeaderKind::remaining: out.exhausted = out.exhausted || number_of(value) == 0; break;
    case HeaderKind::reset: out.reset = number_of(value); break;
    case HeaderKind::other: break;
    }
  }
  if (out.date == unread) out.date = now.to_seconds();
  out.has_retry_after = !retry_after.empty();
  out.retry_after = number_of(retry_after);
  if (const std::int64_t at = date_of(retry_after); at != unread) {
    out.retry_after = std::max<std::int64_t>(at - out.date, 0);
  }
  return out;
}

Millis wait_of(const Limits& limits, ReplyClass kind) noexcept {
  // No quota is counted over thirty years: what is larger is a moment.
  constexpr std::int64_t first_moment = 1'000'000'000;
  std::int64_t wait = limits.retry_after;
  // Many tell with every answer when the quota is full again, whatever is left of it.
  if (wait == unread && kind == ReplyClass::rate_limited) {
    wait = limits.reset < first_moment ? limits.reset : limits.reset - limits.date;
  }
  return seconds(std::clamp<std::int64_t>(wait, 0, max_retry_after.value / 1000));
}

// Classes -------------------------------------------------------------------------------------

[[gnu::noinline]] Reply reply_of(ReplyClass kind, Doubt doubt = Doubt::none) noexcept {
  Reply out;
  out.kind = kind;
  out.doubt = doubt;
  return out;
}

constexpr ReplyClass transient = ReplyClass::transient;
constexpr ReplyClass not_understood = ReplyClass::not_understood;

/// Cloudflare's own words for a request that has not reached the server behind it: connection
/// refused, unreachable, no TLS, no such host. 520, 522 and 524 do not say so.
constexpr bool is_undelivered(std::uint16_t status) noexcept {
  return status == 521 || status == 523 || status == 525 || status == 526 || status == 530;
}

constexpr bool is_refusal(std::uint16_t status) noexcept { return status >= 400 && status <= 499; }

/// What an error means that the provider has words for; leaves `out` where it is not known.
bool read_word(std::string_view error, Dialect dialect, Classified& out) noexcept {
  for (const Word& word : words) {
    if (word.dialect != Dialect::none && word.dialect != dialect) continue;
    if (error != std::string_view{word.text}) continue;
    out.code = word.text;
    out.reply = reply_of(word.kind, word.kind == transient ? Doubt::answered : Doubt::none);
    return true;
  }
  out.code = tokens::client_error(error);
  if (out.code.empty()) return false;
  out.reply = reply_of(ReplyClass::operator_error);
  return true;
}

/// The class of an answer that holds no token.
void classify_refusal(std::uint16_t status, const Value& root, const Limits& limits,
                      const profile::Profile& profile, bool unspent, Classified& out) noexcept {
  const bool limited = status == 429 ||
                       (status == 403 && (limits.has_retry_after || limits.exhausted)) ||
                       (status == 503 && limits.has_retry_after);
  const std::string_view error = error_of(root, profile.refresh.dialect);
  if (limited) {
    out.reply = reply_of(ReplyClass::rate_limited);
  } else if (status >= 500 && status <= 599) {
    const bool untouched = unspent || is_undelivered(status);
    out.reply = reply_of(transient, untouched ? Doubt::none : Doubt::answered);
  } else if ((status >= 300 && status <= 399) || status == 408) {
    out.reply = reply_of(transient);
  } else if (status < 200 || status > 599) {
    out.reply = reply_of(not_understood, Doubt::answered);
  } else if (read_word(error, profile.refresh.dialect, out)) {
    return;
  } else if (error.empty() && (status == 401 || status == 404 || status == 405 || status == 415)) {
    out.reply = reply_of(ReplyClass::operator_error);
  } else {
    out.reply = reply_of(not_understood, is_refusal(status) ? Doubt::none : Doubt::answered);
  }
}

Tokens facts_about(const tokens::Pair& pair, const Facts& facts, std::string_view sent) noexcept {
  Tokens out;
  out.lifetime = pair.lifetime;
  out.refresh_lifetime = pair.refresh_lifetime;
  out.has_refresh = !pair.refresh_token.empty();
  out.refresh_same = out.has_refresh && text::equal(pair.refresh_token, sent);
  out.has_scope = pair.has_scope;
  // One that came alone may be meant to last; one that can be refreshed is meant to be.
  if (out.lifetime.value == 0 && out.has_refresh) out.lifetime = facts.access_ttl;
  return out;
}

}  // namespace

Classified classify(const TokenAnswer& answer, UnixMillis now, const profile::Profile& profile,
                    const Facts& facts, std::string_view sent) noexcept {
  Classified out;
  const Limits limits = read_headers(answer.headers, now);
  // Reading overwrites the body.
  const bool named = names_a_refresh_token(text_of(answer.body));
  json::Node nodes[answer::max_nodes];
  const auto read = answer::read(limits.content_type, answer.body, nodes);
  const Value root = read ? read->root : Value{};
  const std::size_t count =
      read ? count_refresh_tokens(std::span{nodes}.first(root.node().end)) : 0;

  if (read && answer::is_good(answer.status) && !says_no(root)) {
    const auto pair = tokens::read(*read, answer.body, profile, tokens::Types::any_place);
    if (pair && count == (pair->refresh_token.empty() ? 0U : 1U)) {
      out.tokens = *pair;
      out.reply = reply_of(ReplyClass::ok);
      out.reply.tokens = facts_about(*pair, facts, sent);
      return out;
    }
  }
  const bool access = tokens::has_access(root, profile);
  if (access || count > 0 || (!read && named)) {
    // Who refuses gives no new token: what it says of one is about another.
    const bool spent = access || !is_refusal(answer.status);
    out.reply = reply_of(not_understood, spent ? Doubt::answered : Doubt::none);
  } else {
    classify_refusal(answer.status, root, limits, profile, facts.server_errors_unspent, out);
  }
  const ReplyClass kind = out.reply.kind;
  if (kind == transient || kind == ReplyClass::rate_limited) {
    out.reply.retry_after = wait_of(limits, kind);
    if (out.reply.retry_after.value > 0) out.retry_at = now.plus(out.reply.retry_after);
  }
  out.introspectable = introspection::settles(out.reply, answer.status);
  return out;
}

Classified classify(Absence absence) noexcept {
  Classified out;
  out.reply = reply_of(transient, absence == Absence::not_sent ? Doubt::none : Doubt::silent);
  return out;
}

}  // namespace latchkey::refresh
