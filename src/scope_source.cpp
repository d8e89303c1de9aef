#include "latchkey/scope.hpp"

#include "latchkey/text.hpp"

#include <algorithm>

// Which of a provider's tokens: the person's or the app's, and what it may do there.
namespace latchkey::scope {
namespace {

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool equal_names(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return to_lower(x) == to_lower(y); });
}

InstallationChoice chosen(Chosen outcome, Rule rule, Scope scope = {},
                          std::size_t index = 0) noexcept {
  InstallationChoice out;
  out.outcome = outcome;
  out.index = index;
  out.path.add(rule, scope);
  return out;
}

}  // namespace

Result<InstallationChoice> choose_installation(const Facts& facts, Membership membership,
                                               std::string_view account, std::string_view expected,
                                               std::span<const Installation> all) noexcept {
  if (!text::is_plain(facts.subject, max_id) ||
      !(facts.org.empty() || text::is_plain(facts.org, max_id)) ||
      !text::is_plain(account, max_id)) {
    return Errc::claim_invalid;
  }
  if (membership != Membership::known) {
    return chosen(Chosen::lookup_failed, Rule::lookup_failed);
  }
  for (const Place& place : {Place{Scope::org, facts.org}, Place{Scope::user, facts.subject}}) {
    if (place.id.empty()) continue;
    std::size_t count = 0;
    std::size_t asleep = 0;
    std::size_t index = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].owner != place || !equal_names(all[i].account, account)) continue;
      if (all[i].suspended) {
        ++asleep;
      } else {
        ++count;
        index = i;
      }
    }
    if (count > 1) {
      return chosen(Chosen::ambiguous, Rule::several_installations, place.scope);
    }
    if (count == 1) {
      if (!expected.empty() && all[index].id != expected) {
        return chosen(Chosen::mismatch, Rule::other_installation, place.scope);
      }
      return chosen(Chosen::one, Rule::one_installation, place.scope, index);
    }
    // What the organisation has suspended is not made up for by a person's own.
    if (asleep > 0) return chosen(Chosen::suspended, Rule::suspended, place.scope);
  }
  return chosen(Chosen::none, Rule::no_installation);
}

bool hears(const Said& known, const Said& said) noexcept {
  if (said.word == Word::none || known.word == Word::deleted) return false;
  return said.word == Word::deleted || known.word == Word::none || said.at.value >= known.at.value;
}

Known known_as(bool listed_suspended, UnixMillis listed_at, const Said& said) noexcept {
  constexpr Millis skew = seconds(60);
  const std::int64_t since = said.at.value - listed_at.value;
  switch (said.word) {
  case Word::deleted: return Known::gone;
  case Word::suspended:
    if (since >= -skew.value) return Known::suspended;
    break;
  case Word::restored:
    if (since >= 0) return Known::live;
    break;
  case Word::none: break;
  }
  return listed_suspended ? Known::suspended : Known::live;
}

namespace {

// Why the person's token is not used; `user_token` when it is.
Rule reason_of(UserToken user) noexcept {
  switch (user) {
  case UserToken::good: return Rule::user_token;
  case UserToken::none: return Rule::no_user_authorization;
  case UserToken::revoked: return Rule::user_revoked;
  case UserToken::refresh_failed: return Rule::refresh_failed;
  case UserToken::insufficient: return Rule::insufficient_user_access;
  case UserToken::unreadable: return Rule::credential_unreadable;
  case UserToken::misconfigured: return Rule::credential_misconfigured;
  }
  __builtin_trap();
}

Rule user_reason(const SourceFacts& facts) noexcept {
  if (!facts.user_allowed) return Rule::user_not_allowed;
  if (facts.installed && facts.lite) return Rule::lite_installation;
  // What a person's token may do is what both the person and the app may.
  if (facts.installed && !facts.may_write) return Rule::insufficient_user_access;
  return reason_of(facts.user);
}

}  // namespace

SourceChoice choose_token_source(const SourceFacts& facts) noexcept {
  if (facts.pin == Pin::installation) {
    if (!facts.installed) return {Source::none, Rule::no_installation};
    return {Source::installation, Rule::pinned_installation};
  }
  const Rule reason = user_reason(facts);
  if (reason == Rule::user_token) return {Source::user, reason};
  if (facts.pin == Pin::user) return {Source::none, reason};
  return {facts.installed ? Source::installation : Source::none, reason};
}

Result<IdentityStep> step_identity(const Identity& identity, SourceChoice choice,
                                   std::string_view fresh) noexcept {
  if (identity.acts == Source::none) return Errc::claim_invalid;
  IdentityStep out;
  out.next = identity;
  if (identity.acts == Source::installation) {
    out.path.add(Rule::downgraded_before);
    if (identity.installation.empty()) {
      if (fresh.empty()) {
        out.path.add(Rule::needs_installation);
      } else {
        out.next.installation = fresh;
        out.persist = true;
      }
    }
    return out;
  }
  out.path.add(choice.reason);
  if (choice.source != Source::installation) return out;
  if (fresh.empty()) {
    out.path.add(Rule::needs_installation);
    return out;
  }
  out.path.add(Rule::downgraded);
  out.next = {Source::installation, true, fresh};
  out.warn = !identity.warned;
  out.persist = true;
  return out;
}

AccessVerdict access(const AccessFacts& facts) noexcept {
  const std::uint16_t status = facts.status;
  if (status >= 200 && status < 300) return {Access::granted, true};
  const bool limited = facts.remaining == "0" || !facts.retry_after.empty();
  if (status == 429 || (status == 403 && limited)) return {Access::rate_limited, false};
  if (status == 0 || (status >= 500 && status < 600)) return {Access::transient, false};
  if (status == 401 || status == 403 || status == 404) {
    return {facts.has_token ? Access::token_rejected : Access::needs_token, status == 404};
  }
  return {Access::unexpected, false};
}

Minted minted(const AccessFacts& facts) noexcept {
  if (access(facts).access == Access::rate_limited) return Minted::unanswered;
  constexpr std::uint16_t statuses[] = {201, 404, 403, 422, 401};
  for (std::size_t i = 0; i < std::size(statuses); ++i) {
    if (facts.status == statuses[i]) return static_cast<Minted>(i + 1);
  }
  return Minted::unanswered;
}

namespace {

// A scope and what it holds, a line each; closed by following every line. What is not here covers
// nothing but itself.
constexpr std::string_view implications[] = {
    {},
    // docs.github.com, "Scopes for OAuth apps".
    "repo repo:status,repo_deployment,public_repo,repo:invite,security_events\n"
    "admin:repo_hook write:repo_hook\nwrite:repo_hook read:repo_hook\n"
    "admin:org write:org\nwrite:org read:org\n"
    "admin:public_key write:public_key\nwrite:public_key read:public_key\n"
    "admin:gpg_key write:gpg_key\nwrite:gpg_key read:gpg_key\n"
    "user read:user,user:email,user:follow\nproject read:project\n"
    "write:packages read:packages\nwrite:discussion read:discussion\n",
    // Permissions of an app, `name:level`; the levels follow one another, see `is_level_of`.
    {},
    // docs.gitlab.com, "Personal access token scopes".
    // NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one text in two lines.
    "api read_api,read_user,read_repository,write_repository\n"
    "write_repository read_repository\nwrite_registry read_registry\n",
    // support.atlassian.com, "Use OAuth on Bitbucket Cloud".
    "account:write account\nrepository:write repository\nproject:write project\n"
    "pullrequest repository\npullrequest:write pullrequest,repository:write\n"
    "issue:write issue\n",
};

/// Takes the next word off a list with any of `separators` between.
std::string_view next_word(std::string_view& list, std::string_view separators) noexcept {
  const auto begin = std::min(list.find_first_not_of(separators), list.size());
  list.remove_prefix(begin);
  const auto end = std::min(list.find_first_of(separators), list.size());
  const auto word = list.substr(0, end);
  list.remove_prefix(end);
  return word;
}

std::size_t level_of(std::string_view permission) noexcept {
  constexpr std::string_view levels[] = {"read", "write", "admin"};
  const auto level = permission.substr(std::min(permission.rfind(':'), permission.size() - 1) + 1);
  return static_cast<std::size_t>(std::find(std::begin(levels), std::end(levels), level) - levels);
}

// `contents:write` holds `contents:read`.
bool is_level_of(std::string_view granted, std::string_view required) noexcept {
  const auto colon = granted.rfind(':');
  if (colon == std::string_view::npos || required.rfind(':') != colon ||
      granted.substr(0, colon) != required.substr(0, colon)) {
    return false;
  }
  const std::size_t has = level_of(granted);
  return has < 3 && level_of(required) <= has;
}

// The table has no cycles; four steps down is more than it is deep.
bool holds(std::string_view table, std::string_view granted, std::string_view required,
           unsigned depth) noexcept {
  if (granted == required) return true;
  if (depth == 0) return false;
  for (std::string_view rest = table; !rest.empty();) {
    std::string_view line = next_word(rest, "\n");
    if (next_word(line, " ") != granted) continue;
    while (true) {
      const auto part = next_word(line, " ,");
      if (part.empty()) break;
      if (holds(table, part, required, depth - 1)) return true;
    }
  }
  return false;
}

}  // namespace

void missing(Family family, std::string_view granted, std::string_view required,
             Writer& out) noexcept {
  constexpr std::string_view separators = " ,";
  const auto table = implications[static_cast<std::size_t>(family)];
  bool is_first = true;
  while (true) {
    const auto wanted = next_word(required, separators);
    if (wanted.empty()) return;
    bool covered = false;
    for (std::string_view rest = granted; !covered;) {
      const auto has = next_word(rest, separators);
      if (has.empty()) break;
      covered = holds(table, has, wanted, 4) ||
                (family == Family::github_app && is_level_of(has, wanted));
    }
    if (covered) continue;
    if (!is_first) out.put(' ');
    out.put(wanted);
    is_first = false;
  }
}

}  // namespace latchkey::scope
