// Whose credential, and where it may go: what only the edge module exports.
//
// Every question is a list of texts and so is its answer. The first text holds the small numbers, a
// byte each; an answer's second one the path of rules, two bytes a step.

#include "arena.hpp"
#include "list.hpp"

#include "latchkey/capability.hpp"
#include "latchkey/guard.hpp"
#include "latchkey/profile.hpp"
#include "latchkey/scope.hpp"
#include "latchkey/upstream.hpp"

namespace latchkey::abi {
namespace {

/// Reads a question; anything that is missing, left over or out of range makes it no good.
class Question {
public:
  Question(Inputs& inputs, std::uint32_t at, std::uint32_t len) noexcept
      : list_{inputs.bytes(at, len)} {
    left_ = list_.count();
    numbers_ = text();
  }
  [[nodiscard]] std::string_view text() noexcept {
    if (left_ == 0) {
      good_ = false;
      return {};
    }
    --left_;
    return list_.text();
  }
  /// The next small number, `min` to `max`.
  [[nodiscard]] std::uint8_t number(std::uint8_t min, std::uint8_t max) noexcept {
    if (used_ == numbers_.size()) {
      good_ = false;
      return min;
    }
    const auto out = static_cast<std::uint8_t>(numbers_[used_++]);
    if (out >= min && out <= max) return out;
    good_ = false;
    return min;
  }
  template <class E> [[nodiscard]] E one_of(std::uint8_t min, std::uint8_t max) noexcept {
    return static_cast<E>(number(min, max));
  }
  [[nodiscard]] bool flag() noexcept { return number(0, 1) == 1; }
  /// A whole number in digits.
  [[nodiscard]] std::int64_t digits() noexcept {
    const auto said = text();
    std::int64_t out = 0;
    if (said.empty() || said.size() > 16) good_ = false;
    for (const char c : said) {
      if (c < '0' || c > '9') good_ = false;
      out = out * 10 + (c - '0');
      if (!good_) return 0;
    }
    return out;
  }
  [[nodiscard]] UnixMillis time() noexcept {
    const std::int64_t ms = digits();
    if (ms > UnixMillis::max) good_ = false;
    return {good_ ? ms : 0};
  }
  /// More numbers lie in a text of their own.
  void more_numbers() noexcept {
    numbers_ = text();
    used_ = 0;
  }
  [[nodiscard]] std::size_t left() const noexcept { return left_; }
  [[nodiscard]] bool good() const noexcept { return good_ && left_ == 0 && list_.finished(); }
  void refuse() noexcept { good_ = false; }

private:
  ListReader list_;
  std::size_t left_{0};
  std::string_view numbers_;
  std::size_t used_{0};
  bool good_{true};
};

/// Puts an answer together: small numbers, path, texts.
class Answer {
public:
  void number(std::size_t value) noexcept { put(value); }
  template <class E> void name(E value) noexcept { put(static_cast<std::size_t>(value)); }
  void flag(bool value) noexcept { put(value ? 1 : 0); }
  void path(const scope::Path& path) noexcept { path_ = path; }
  void text(std::string_view text) noexcept {
    LK_CHECK(texts_ < std::size(text_));
    text_[texts_++] = text;
  }
  void write(Writer& out) const noexcept {
    put_text(out, {numbers_, used_});
    char steps[2 * scope::Path::capacity];
    std::size_t size = 0;
    for (const scope::Step step : path_.steps()) {
      steps[size++] = static_cast<char>(step.rule);
      steps[size++] = static_cast<char>(step.scope);
    }
    put_text(out, {steps, size});
    for (std::size_t i = 0; i < texts_; ++i) put_text(out, text_[i]);
  }

private:
  void put(std::size_t value) noexcept {
    LK_CHECK(used_ < sizeof numbers_ && value < 128);
    numbers_[used_++] = static_cast<char>(value);
  }

  char numbers_[16]{};
  std::size_t used_{0};
  scope::Path path_;
  std::string_view text_[6];
  std::size_t texts_{0};
};

using Operation = Errc (*)(Question&, Answer&, MutBytes space);

/// Room for what an operation writes; the answer goes behind it.
constexpr std::size_t room = 8'192;

std::int32_t decide(std::uint32_t at, std::uint32_t len, std::uint32_t free,
                    Operation operation) noexcept {
  return call<16'384>([=]() noexcept {
    Inputs inputs;
    Question question{inputs, at, len};
    const MutBytes space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (space.size() < 2 * room) return fail(Errc::output_too_small);
    Answer answer;
    const Errc code = operation(question, answer, space.first(room));
    if (code != Errc::ok) return fail(code);
    Writer out{space.subspan(room)};
    answer.write(out);
    if (out.overflow()) return fail(Errc::output_too_small);
    return reply_bytes(out.written(), end_of(out.written()));
  });
}

scope::Facts read_facts(Question& q) noexcept {
  scope::Facts facts;
  facts.subject = q.text();
  facts.org = q.text();
  facts.role = q.text();
  return facts;
}

scope::Membership read_membership(Question& q) noexcept {
  return q.one_of<scope::Membership>(1, 2);
}

scope::Scope read_scope(Question& q, std::uint8_t min = 0) noexcept {
  return q.one_of<scope::Scope>(min, 5);
}

scope::Policy read_policy(Question& q) noexcept {
  scope::Policy policy;
  policy.personal_only = q.flag();
  policy.deployment = q.flag();
  policy.past_revoked = q.flag();
  policy.only = read_scope(q);
  for (scope::Scope& scope : policy.order) scope = read_scope(q);
  return policy;
}

/// Three texts for each: scope and state, id, when it was rejected.
struct Candidates {
  scope::Candidate list[scope::max_candidates];
  std::size_t size{0};
  [[nodiscard]] std::span<const scope::Candidate> all() const noexcept { return {list, size}; }
};

void read_candidates(Question& q, Candidates& out) noexcept {
  while (q.left() > 0) {
    if (out.size == scope::max_candidates) return q.refuse();
    scope::Candidate& one = out.list[out.size++];
    q.more_numbers();
    one.place.scope = read_scope(q, 1);
    one.held = q.one_of<scope::Held>(1, 7);
    one.was_rejected = q.flag();
    one.place.id = q.text();
    one.rejected_at = q.time();
  }
}

Errc say_plan(const Result<scope::Plan>& plan, Answer& answer) noexcept {
  if (!plan) return plan.error();
  answer.name(plan->target.scope);
  answer.name(plan->target.rule);
  for (std::size_t i = 0; i < plan->size; ++i) {
    answer.name(plan->entries[i].action);
    answer.name(plan->entries[i].place.scope);
  }
  answer.path(plan->path);
  answer.text(plan->target.id);
  for (std::size_t i = 0; i < plan->size; ++i) answer.text(plan->entries[i].place.id);
  return Errc::ok;
}

repo::Repo read_repo(Question& q) noexcept {
  repo::Repo repo;
  repo.provider = q.one_of<repo::Provider>(1, 4);
  repo.plain = q.flag();
  repo.host = q.text();
  repo.base = q.text();
  repo.owner = q.text();
  repo.name = q.text();
  return repo;
}

void say_claims(const capability::Claims& claims, Answer& answer, MutBytes space) noexcept {
  Writer digits{space};
  json::put_integer(digits, claims.epoch);
  const std::size_t first = digits.size();
  json::put_integer(digits, claims.issued_at.value);
  const std::size_t second = digits.size();
  json::put_integer(digits, claims.expires_at.value);
  const auto all = text_of(digits.written());
  answer.name(claims.purpose);
  answer.name(claims.owner);
  answer.number(claims.can);
  for (const auto text :
       {claims.subject, claims.owner_id, claims.provider, claims.repo, claims.container, all}) {
    answer.text(text);
  }
  answer.number(first);
  answer.number(second);
}

}  // namespace

#define LK_DECISION(name)                                                                          \
  static Errc name##_operation(Question& q, Answer& answer, MutBytes space) noexcept;              \
  LK_EXPORT(name)(std::uint32_t list, std::uint32_t list_len, std::uint32_t free) noexcept {       \
    return decide(list, list_len, free, name##_operation);                                         \
  }                                                                                                \
  static Errc name##_operation([[maybe_unused]] Question& q, [[maybe_unused]] Answer& answer,      \
                               [[maybe_unused]] MutBytes space) noexcept

LK_DECISION(lk_scope_write_plan) {
  const auto requested = read_scope(q);
  scope::Parts parts;
  parts.required = static_cast<std::uint16_t>(q.number(0, 127));
  parts.present = static_cast<std::uint16_t>(q.number(0, 127));
  const auto facts = read_facts(q);
  if (!q.good()) return Errc::claim_invalid;
  return say_plan(scope::write_plan(facts, requested, parts), answer);
}

LK_DECISION(lk_scope_delete_plan) {
  const auto requested = read_scope(q);
  const auto facts = read_facts(q);
  if (!q.good()) return Errc::claim_invalid;
  return say_plan(scope::delete_plan(facts, requested), answer);
}

LK_DECISION(lk_scope_leave_target) {
  const auto kind = q.one_of<scope::Eraser>(1, 3);
  const auto caller_org = q.text();
  const auto org = q.text();
  const auto subject = q.text();
  if (!q.good()) return Errc::claim_invalid;
  const auto target = scope::leave_target(caller_org, kind, org, subject);
  if (!target) return target.error();
  answer.name(target->scope);
  answer.name(target->rule);
  answer.text(target->id);
  return Errc::ok;
}

LK_DECISION(lk_scope_read_plan) {
  const auto membership = read_membership(q);
  const auto policy = read_policy(q);
  const auto facts = read_facts(q);
  if (!q.good()) return Errc::claim_invalid;
  const auto plan = scope::read_plan(facts, membership, policy);
  if (!plan) return plan.error();
  for (std::size_t i = 0; i < plan->size; ++i) {
    answer.name(plan->list[i].scope);
    answer.text(plan->list[i].id);
  }
  answer.path(plan->path);
  return Errc::ok;
}

LK_DECISION(lk_scope_resolve) {
  const auto membership = read_membership(q);
  const auto policy = read_policy(q);
  const auto facts = read_facts(q);
  const auto now = q.time();
  Candidates found;
  read_candidates(q, found);
  if (!q.good()) return Errc::claim_invalid;
  const auto choice = scope::resolve(facts, membership, policy, found.all(), now);
  if (!choice) return choice.error();
  answer.name(choice->outcome);
  answer.name(choice->place.scope);
  answer.path(choice->path);
  answer.text(choice->place.id);
  return Errc::ok;
}

LK_DECISION(lk_scope_gap) {
  const auto membership = read_membership(q);
  const auto facts = read_facts(q);
  Candidates found;
  read_candidates(q, found);
  if (!q.good()) return Errc::claim_invalid;
  const auto gap = scope::gap(facts, membership, found.all());
  if (!gap) return gap.error();
  for (std::size_t i = 0; i < gap->size; ++i) answer.name(gap->has[i]);
  return Errc::ok;
}

LK_DECISION(lk_scope_may_mutate) {
  scope::Mutation m;
  m.requested = read_scope(q);
  m.verb = q.one_of<scope::Verb>(1, 4);
  m.membership = read_membership(q);
  m.device = q.flag();
  m.registered = q.flag();
  m.connected = q.flag();
  m.unread = q.flag();
  m.validator = q.one_of<scope::Check>(0, 2);
  m.storage = q.one_of<scope::Check>(0, 2);
  m.facts = read_facts(q);
  m.target_org = q.text();
  m.value = q.text();
  if (!q.good()) return Errc::claim_invalid;
  const auto verdict = scope::may_mutate(m);
  if (!verdict) return verdict.error();
  answer.flag(verdict->ok);
  answer.name(verdict->place.scope);
  answer.number(verdict->status / 100U);
  answer.number(verdict->status % 100U);
  answer.path(verdict->path);
  answer.text(verdict->place.id);
  return Errc::ok;
}

LK_DECISION(lk_scope_visible) {
  scope::Row row;
  row.is_public = q.flag();
  row.is_member = q.flag();
  row.org = q.text();
  const auto caller = q.text();
  if (!q.good()) return Errc::claim_invalid;
  const auto sight = scope::visible(row, caller);
  answer.flag(sight.visible);
  answer.flag(sight.counts);
  answer.path(sight.path);
  return Errc::ok;
}

LK_DECISION(lk_scope_sweep) {
  scope::Reachable row;
  row.owner.scope = read_scope(q, 1);
  const auto subject = q.text();
  const auto org = q.text();
  row.owner.id = q.text();
  row.org = q.text();
  row.author = q.text();
  if (!q.good()) return Errc::claim_invalid;
  const auto swept = scope::sweep(subject, org, row);
  answer.name(swept.action);
  answer.name(swept.rule);
  return Errc::ok;
}

LK_DECISION(lk_scope_complete) {
  scope::Completion c;
  c.known = q.flag();
  c.watcher = q.flag();
  c.payload_good = q.flag();
  c.running = q.flag();
  c.token_device = q.text();
  c.body_device = q.text();
  c.pin = q.text();
  if (!q.good()) return Errc::claim_invalid;
  const auto done = scope::complete(c);
  answer.number(done.status / 100U);
  answer.number(done.status % 100U);
  answer.flag(done.idempotent);
  answer.path(done.path);
  return Errc::ok;
}

LK_DECISION(lk_scope_choose_installation) {
  constexpr std::size_t max_installations = 64;
  scope::Installation all[max_installations];
  std::size_t size = 0;
  const auto membership = read_membership(q);
  const auto facts = read_facts(q);
  const auto account = q.text();
  const auto expected = q.text();
  while (q.left() > 0 && size < max_installations) {
    scope::Installation& one = all[size++];
    q.more_numbers();
    one.owner.scope = read_scope(q, 1);
    one.suspended = q.flag();
    one.owner.id = q.text();
    one.id = q.text();
    one.account = q.text();
  }
  if (!q.good()) return Errc::claim_invalid;
  const auto choice = scope::choose_installation(facts, membership, account, expected, {all, size});
  if (!choice) return choice.error();
  answer.name(choice->outcome);
  answer.number(choice->index);
  answer.path(choice->path);
  return Errc::ok;
}

LK_DECISION(lk_scope_choose_token_source) {
  scope::SourceFacts facts;
  facts.pin = q.one_of<scope::Pin>(0, 2);
  facts.user = q.one_of<scope::UserToken>(1, 7);
  facts.user_allowed = q.flag();
  facts.installed = q.flag();
  facts.lite = q.flag();
  facts.may_write = q.flag();
  if (!q.good()) return Errc::claim_invalid;
  const auto choice = scope::choose_token_source(facts);
  answer.name(choice.source);
  answer.name(choice.reason);
  return Errc::ok;
}

LK_DECISION(lk_scope_step_identity) {
  scope::Identity identity;
  identity.acts = q.one_of<scope::Source>(1, 2);
  identity.warned = q.flag();
  scope::SourceChoice choice;
  choice.source = q.one_of<scope::Source>(1, 3);
  choice.reason = q.one_of<scope::Rule>(1, scope::rule_count);
  identity.installation = q.text();
  const auto fresh = q.text();
  if (!q.good()) return Errc::claim_invalid;
  const auto step = scope::step_identity(identity, choice, fresh);
  if (!step) return step.error();
  answer.name(step->next.acts);
  answer.flag(step->next.warned);
  answer.flag(step->warn);
  answer.flag(step->persist);
  answer.path(step->path);
  answer.text(step->next.installation);
  return Errc::ok;
}

namespace {

bool read_access(Question& q, scope::AccessFacts& facts) noexcept {
  facts.has_token = q.flag();
  const std::int64_t status = q.digits();
  facts.remaining = q.text();
  facts.retry_after = q.text();
  facts.status = static_cast<std::uint16_t>(status);
  return q.good() && status <= 999;
}

scope::Said read_said(Question& q) noexcept {
  scope::Said said;
  said.word = q.one_of<scope::Word>(0, 3);
  said.at = q.time();
  return said;
}

}  // namespace

LK_DECISION(lk_scope_hears) {
  const auto known = read_said(q);
  const auto said = read_said(q);
  if (!q.good()) return Errc::claim_invalid;
  answer.flag(scope::hears(known, said));
  return Errc::ok;
}

LK_DECISION(lk_scope_known_as) {
  const bool suspended = q.flag();
  const auto listed_at = q.time();
  const auto said = read_said(q);
  if (!q.good()) return Errc::claim_invalid;
  answer.name(scope::known_as(suspended, listed_at, said));
  return Errc::ok;
}

LK_DECISION(lk_scope_minted) {
  scope::AccessFacts facts;
  if (!read_access(q, facts)) return Errc::claim_invalid;
  answer.name(scope::minted(facts));
  return Errc::ok;
}

LK_DECISION(lk_scope_access) {
  scope::AccessFacts facts;
  if (!read_access(q, facts)) return Errc::claim_invalid;
  const auto verdict = scope::access(facts);
  answer.name(verdict.access);
  answer.flag(verdict.may_cache);
  return Errc::ok;
}

LK_DECISION(lk_scope_missing) {
  const auto family = q.one_of<scope::Family>(0, 4);
  const auto granted = q.text();
  const auto required = q.text();
  if (!q.good()) return Errc::claim_invalid;
  Writer out{space};
  scope::missing(family, granted, required, out);
  if (out.overflow()) return Errc::output_too_small;
  answer.text(text_of(out.written()));
  return Errc::ok;
}

LK_DECISION(lk_scope_explain) {
  scope::Step step;
  step.rule = q.one_of<scope::Rule>(1, scope::rule_count);
  step.scope = read_scope(q);
  if (!q.good()) return Errc::claim_invalid;
  Writer out{space};
  scope::explain(step, out);
  answer.text(text_of(out.written()));
  return Errc::ok;
}

LK_DECISION(lk_guard_name) {
  const auto name = q.text();
  if (!q.good() || !guard::is_name(name)) return Errc::name_invalid;
  return Errc::ok;
}

LK_DECISION(lk_guard_key) {
  std::string_view parts[guard::max_key_parts];
  std::size_t size = 0;
  while (q.left() > 0 && size < guard::max_key_parts) parts[size++] = q.text();
  if (!q.good()) return Errc::claim_invalid;
  Writer out{space};
  guard::put_key(out, {parts, size});
  answer.text(text_of(out.written()));
  return Errc::ok;
}

LK_DECISION(lk_repo_parse) {
  const auto text = q.text();
  repo::Host hosts[repo::max_hosts];
  std::size_t size = 0;
  const bool usual = q.flag();
  while (q.left() > 0 && size < repo::max_hosts) {
    repo::Host& host = hosts[size++];
    q.more_numbers();
    host.provider = q.one_of<repo::Provider>(1, 4);
    host.plain = q.flag();
    host.host = q.text();
    host.base = q.text();
  }
  if (!q.good()) return Errc::repo_invalid;
  const auto known = usual ? repo::usual_hosts() : std::span<const repo::Host>{hosts, size};
  const auto repo = repo::parse(text, known, space);
  if (!repo) return repo.error();
  answer.name(repo->provider);
  answer.flag(repo->plain);
  const auto user = profile::git_user(static_cast<profile::Git>(repo->provider));
  for (const auto part : {repo->host, repo->base, repo->owner, repo->name, repo->clone_url, user}) {
    answer.text(part);
  }
  return Errc::ok;
}

LK_DECISION(lk_upstream_check) {
  const auto repo = read_repo(q);
  const auto method = q.text();
  const auto url = q.text();
  if (!q.good()) return Errc::upstream_request_invalid;
  const auto right = upstream::check(repo, method, url);
  if (!right) return right.error();
  answer.name(*right);
  return Errc::ok;
}

LK_EXPORT(lk_scope_check_upstream)
(std::uint32_t list, std::uint32_t list_len, std::uint32_t free) noexcept {
  return decide(list, list_len, free, lk_upstream_check_operation);
}

LK_DECISION(lk_upstream_redirect) {
  const auto repo = read_repo(q);
  const auto hop = q.number(0, 127);
  const auto method = q.text();
  const auto from = q.text();
  const auto to = q.text();
  if (!q.good()) return Errc::upstream_request_invalid;
  const auto right = upstream::redirect(repo, method, from, to, hop);
  if (!right) return right.error();
  answer.name(*right);
  return Errc::ok;
}

LK_EXPORT(lk_upstream_lfs_right)
(std::uint32_t body, std::uint32_t body_len, std::uint32_t free) noexcept {
  return call<12'288>([=]() noexcept {
    Inputs inputs;
    const MutBytes bytes = inputs.bytes(body, body_len);
    const MutBytes space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const std::span nodes{reinterpret_cast<json::Node*>(space.data()),
                          space.size() / sizeof(json::Node)};
    const bool fetch = upstream::lfs_right(bytes, nodes) == upstream::Right::fetch;
    reply(FlagReply{{arena_size, 0}, fetch ? 1U : 0U, 0});
    return Errc::ok;
  });
}

LK_EXPORT(lk_capability_mint)
(std::uint32_t ring, std::uint32_t ring_len, std::uint32_t list, std::uint32_t list_len,
 std::uint32_t entropy, std::uint32_t entropy_len, double now_ms, std::uint32_t free) noexcept {
  return call<12'288>([=]() noexcept {
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>({ring, ring_len});
    const Bytes random = inputs.bytes(entropy, entropy_len);
    Question q{inputs, list, list_len};
    Writer out{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    capability::Claims claims;
    claims.purpose = q.one_of<capability::Purpose>(1, 2);
    claims.owner = q.one_of<capability::Owner>(1, 2);
    claims.can = q.number(1, capability::can_all);
    claims.subject = q.text();
    claims.owner_id = q.text();
    claims.provider = q.text();
    claims.repo = q.text();
    claims.container = q.text();
    const std::int64_t epoch = q.digits();
    claims.expires_at = q.time();
    if (!q.good() || epoch > 0xffffffff) return fail(Errc::capability_invalid);
    claims.epoch = static_cast<std::uint32_t>(epoch);
    const auto made = capability::mint(keys, claims, *now, random, out);
    if (!made) return fail(made.error());
    return reply_bytes(out.written(), end_of(out.written()));
  });
}

LK_DECISION(lk_capability_attenuate) {
  capability::Narrowing narrowing;
  narrowing.has_expires_at = q.flag();
  narrowing.can = q.number(0, capability::can_all);
  const auto text = q.text();
  narrowing.repo = q.text();
  narrowing.container = q.text();
  narrowing.expires_at = q.time();
  if (!q.good()) return Errc::capability_invalid;
  Writer out{space};
  const auto narrowed = capability::attenuate(text, narrowing, out);
  if (!narrowed) return narrowed.error();
  answer.text(text_of(out.written()));
  return Errc::ok;
}

LK_DECISION(lk_capability_redeem) {
  capability::Claims claims;
  claims.purpose = q.one_of<capability::Purpose>(1, 2);
  claims.can = q.number(1, capability::can_all);
  claims.provider = q.text();
  claims.repo = q.text();
  const auto own = q.text();
  const auto repo = q.text();
  if (!q.good()) return Errc::capability_invalid;
  const auto ender = capability::redeem(claims, own, repo);
  if (!ender) return ender.error();
  answer.name(*ender);
  return Errc::ok;
}

LK_DECISION(lk_capability_revoke) {
  const std::int64_t epoch = q.digits();
  const auto now = q.time();
  if (!q.good() || epoch > 0xffffffff) return Errc::time_invalid;
  const auto revoked = capability::revoke(static_cast<std::uint32_t>(epoch), now);
  Writer out{space};
  json::put_integer(out, revoked.epoch);
  answer.number(out.size());
  json::put_integer(out, revoked.keep_until.value);
  answer.text(text_of(out.written()));
  return Errc::ok;
}

LK_EXPORT(lk_capability_verify)
(std::uint32_t ring, std::uint32_t ring_len, std::uint32_t list, std::uint32_t list_len,
 double now_ms, std::uint32_t free) noexcept {
  return call<16'384>([=]() noexcept {
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>({ring, ring_len});
    Question q{inputs, list, list_len};
    const MutBytes space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    if (space.size() < 2 * room) return fail(Errc::output_too_small);
    const auto purpose = static_cast<capability::Purpose>(q.number(0, 2));
    const auto text = q.text();
    const auto container = q.text();
    const std::int64_t epoch = q.digits();
    const auto provider = q.text();
    if (!q.good() || epoch > 0xffffffff) return fail(Errc::capability_invalid);
    const auto claims = capability::verify(
        keys, text, {*now, container, static_cast<std::uint32_t>(epoch), purpose, provider},
        space.first(room - 64));
    if (!claims) return fail(claims.error());
    Answer answer;
    say_claims(*claims, answer, space.subspan(room - 64, 64));
    Writer out{space.subspan(room)};
    answer.write(out);
    if (out.overflow()) return fail(Errc::output_too_small);
    return reply_bytes(out.written(), arena_size);
  });
}

}  // namespace latchkey::abi
