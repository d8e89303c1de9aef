#include "latchkey/scope.hpp"

#include "latchkey/text.hpp"

#include <iterator>

namespace latchkey::scope {
namespace {

// By the numbers of `Rule`, from 1.
constexpr std::string_view rule_names[] = {
    "org_admin",
    "no_org",
    "role_is_member",
    "asked_for_self",
    "own_account",
    "on_behalf",
    "found",
    "absent",
    "incomplete",
    "rejected",
    "revoked",
    "lookup_failed",
    "no_subject",
    "personal_only",
    "fallback_off",
    "foreign",
    "clears_target",
    "clears_shadow",
    "writes_all",
    "not_registered",
    "wrong_kind",
    "value_empty",
    "value_refused",
    "write_failed",
    "device_may_not",
    "other_org",
    "own",
    "is_public",
    "is_private",
    "kind_is_private",
    "one_installation",
    "no_installation",
    "several_installations",
    "other_installation",
    "suspended",
    "user_token",
    "pinned_user",
    "pinned_installation",
    "user_not_allowed",
    "lite_installation",
    "insufficient_user_access",
    "no_user_authorization",
    "user_revoked",
    "refresh_failed",
    "credential_unreadable",
    "credential_misconfigured",
    "downgraded",
    "downgraded_before",
    "needs_installation",
    "member_left",
    "author_left",
    "not_theirs",
    "elsewhere",
    "device_bound",
    "device_unbound",
    "device_mismatch",
    "refused",
    "unanswered",
    "not_asked",
    "never_read",
};

// What a person reads; `%` stands for whose connection it is. Plain pointers: half the size of
// views.
constexpr const char* sentences[] = {
    "You act for the organisation as its owner or admin.",
    "No organisation is active.",
    "Your role does not permit changing what belongs to the organisation.",
    "A connection of your own was asked for.",
    "It is your own account.",
    "The application does it for you.",
    "% is there, and is used.",
    "% does not exist.",
    "% lacks a part, so it is not used.",
    "% was refused by the provider in the last 15 minutes, so it is not used.",
    "% was disconnected or revoked.",
    "Your organisation could not be looked up just now; try again.",
    "Nobody is signed in.",
    "Only your own connection may be used here.",
    "The deployment's connection may not be used here.",
    "A record of somebody else was ignored.",
    "% is removed first.",
    "Your own is removed too, so that it does not hide the new one.",
    "% is stored as a whole.",
    "There is no secret of that name.",
    "This one is not changed this way.",
    "The value is empty.",
    "The value was checked and refused.",
    "The value could not be stored.",
    "A device may not change this.",
    "It belongs to another organisation.",
    "It is %.",
    "Everybody may see it.",
    "Only its organisation may see it.",
    "People are never shown outside their organisation.",
    "One installation of the app reaches it.",
    "No installation of the app reaches it.",
    "More than one installation of the app reaches it, and none is chosen for you.",
    "Another installation of the app was expected.",
    "The installation of the app is suspended or blocked.",
    "Your own connection is used.",
    "This is bound to your own connection, and the app may not stand in for it.",
    "This is bound to the app.",
    "Acting as a person is switched off.",
    "This app never acts as a person.",
    "Your own connection would not be allowed to write there.",
    "You have not connected your account.",
    "Your connection was disconnected or revoked.",
    "Your connection could not be renewed.",
    "Your connection cannot be read.",
    "The keys that protect your connection are not configured.",
    "From now on the app acts instead of you.",
    "The app has been acting instead of you since an earlier failure.",
    "The app may only act once its installation has been looked up.",
    "Its owner left the organisation it was for.",
    "% was made with the account of somebody who left.",
    "It is somebody else's.",
    "It is not for this organisation.",
    "It comes from the device that the token names.",
    "The token names no device, so the message was believed.",
    "It comes from another device than the run is for.",
    "% has to be connected again before it can be used.",
    "% could not be read just now; try again.",
    "% was not asked for.",
    "% would never be used here.",
};
static_assert(std::size(rule_names) == rule_count && std::size(sentences) == rule_count);

constexpr const char* owners[] = {"the credential",
                                  "your own connection",
                                  "your organisation's connection",
                                  "your workspace's connection",
                                  "your own workspace's connection",
                                  "the deployment's connection"};

bool is_admin(std::string_view role) noexcept { return role == "owner" || role == "admin"; }

bool are_ids_valid(const Facts& facts) noexcept {
  return text::is_plain(facts.subject, max_id) &&
         (facts.org.empty() || text::is_plain(facts.org, max_id));
}

}  // namespace

std::string_view to_string(Rule rule) noexcept {
  const auto number = static_cast<std::size_t>(rule);
  LK_CHECK(number >= 1 && number <= std::size(rule_names));
  return rule_names[number - 1];
}

void explain(Step step, Writer& out) noexcept {
  const auto number = static_cast<std::size_t>(step.rule);
  const auto owner = static_cast<std::size_t>(step.scope);
  LK_CHECK(number >= 1 && number <= std::size(sentences) && owner < std::size(owners));
  std::string_view sentence{sentences[number - 1]};
  std::string_view whose{owners[owner]};
  if (sentence.front() == '%') {
    // A sentence begins with a capital letter.
    out.put(static_cast<std::uint8_t>(whose.front() - ('a' - 'A')));
    whose.remove_prefix(1);
  }
  for (const char c : sentence) {
    if (c == '%') {
      out.put(whose);
    } else {
      out.put(static_cast<std::uint8_t>(c));
    }
  }
}

Result<Target> write_target(const Facts& facts) noexcept {
  if (!are_ids_valid(facts)) return Errc::claim_invalid;
  if (facts.org.empty()) return Target{Scope::user, facts.subject, Rule::no_org};
  if (!is_admin(facts.role)) return Target{Scope::user, facts.subject, Rule::role_is_member};
  return Target{Scope::org, facts.org, Rule::org_admin};
}

Result<Target> connect_target(const Facts& facts, Scope requested) noexcept {
  const auto target = write_target(facts);
  if (!target) return target;
  switch (requested) {
  case Scope::user: return Target{Scope::user, facts.subject, Rule::asked_for_self};
  case Scope::org:
    if (target->scope != Scope::org) return Errc::not_allowed;
    return target;
  case Scope::workspace:
  case Scope::solo:
  case Scope::deployment: return Errc::not_allowed;
  }
  __builtin_trap();
}

Result<Target> erase_target(std::string_view subject, Eraser kind, std::string_view id) noexcept {
  if (!text::is_plain(subject, max_id) || !text::is_plain(id, max_id)) return Errc::claim_invalid;
  switch (kind) {
  case Eraser::human:
    if (subject != id) return Errc::not_allowed;
    return Target{Scope::user, id, Rule::own_account};
  case Eraser::service: return Target{Scope::user, id, Rule::on_behalf};
  case Eraser::device: return Errc::not_allowed;
  }
  __builtin_trap();
}

Result<Target> leave_target(std::string_view caller_org, Eraser kind, std::string_view org,
                            std::string_view subject) noexcept {
  if (!text::is_plain(org, max_id) || !text::is_plain(subject, max_id)) return Errc::claim_invalid;
  switch (kind) {
  case Eraser::service:
    if (!caller_org.empty() && caller_org != org) return Errc::not_allowed;
    return Target{Scope::org, org, Rule::on_behalf};
  case Eraser::human:
  case Eraser::device: return Errc::not_allowed;
  }
  __builtin_trap();
}

namespace {

Result<Target> target_of(const Facts& facts, Scope requested) noexcept {
  return requested == Scope{} ? write_target(facts) : connect_target(facts, requested);
}

Plan begin(const Target& target) noexcept {
  Plan plan;
  plan.target = target;
  plan.path.add(target.rule);
  plan.entries[plan.size++] = {Action::clear, {target.scope, target.id}};
  plan.path.add(Rule::clears_target, target.scope);
  return plan;
}

}  // namespace

Result<Plan> write_plan(const Facts& facts, Scope requested, Parts parts) noexcept {
  const auto target = target_of(facts, requested);
  if (!target) return target.error();
  if (parts.required == 0 || (parts.required & parts.present) != parts.required) {
    return Errc::credential_incomplete;
  }
  Plan plan = begin(*target);
  if (target->scope == Scope::org) {
    plan.entries[plan.size++] = {Action::clear, {Scope::user, facts.subject}};
    plan.path.add(Rule::clears_shadow, Scope::user);
  }
  plan.entries[plan.size++] = {Action::write, {target->scope, target->id}};
  plan.path.add(Rule::writes_all, target->scope);
  return plan;
}

Result<Plan> delete_plan(const Facts& facts, Scope requested) noexcept {
  const auto target = target_of(facts, requested);
  if (!target) return target.error();
  return begin(*target);
}

namespace {

// Ids of a reader: nobody is a possible one.
bool are_reader_ids(const Facts& facts) noexcept {
  return (facts.subject.empty() || text::is_plain(facts.subject, max_id)) &&
         (facts.org.empty() || text::is_plain(facts.org, max_id));
}

// Where a scope of the order lies for this caller; no scope where there is no such place.
Place place_of(const Facts& facts, Scope scope) noexcept {
  switch (scope) {
  case Scope::user: return {Scope::user, facts.subject};
  case Scope::org: return facts.org.empty() ? Place{} : Place{Scope::org, facts.org};
  case Scope::workspace:
    return facts.org.empty() ? Place{Scope::solo, facts.subject}
                             : Place{Scope::workspace, facts.org};
  case Scope::solo: return {};
  case Scope::deployment: return {Scope::deployment, {}};
  }
  return {};
}

struct Way {
  Places places;
  bool hidden{false};  // membership failed: there may be more
};

void look_there(const Policy& policy, const Place& place, Places& out) noexcept {
  if (policy.only != Scope{} && policy.only != place.scope) {
    out.path.add(Rule::not_asked, place.scope);
  } else {
    out.list[out.size++] = place;
  }
}

Way find_way(const Facts& facts, Membership membership, const Policy& policy) noexcept {
  Way out;
  Path& path = out.places.path;
  if (facts.subject.empty()) {
    path.add(Rule::no_subject);
    return out;
  }
  if (policy.personal_only) {
    path.add(Rule::personal_only);
    look_there(policy, {Scope::user, facts.subject}, out.places);
    return out;
  }
  for (const Scope scope : policy.order) {
    if (scope == Scope{}) break;
    if (scope != Scope::user && membership != Membership::known) {
      path.add(Rule::lookup_failed);
      out.hidden = true;
      break;
    }
    if (scope == Scope::deployment && !policy.deployment) {
      path.add(Rule::fallback_off, Scope::deployment);
      continue;
    }
    const Place place = place_of(facts, scope);
    if (place.scope == Scope{}) {
      path.add(Rule::no_org);
    } else {
      look_there(policy, place, out.places);
    }
  }
  return out;
}

const Candidate* find(std::span<const Candidate> found, const Place& place) noexcept {
  for (const Candidate& candidate : found) {
    if (candidate.place == place) return &candidate;
  }
  return nullptr;
}

bool are_candidates(std::span<const Candidate> found) noexcept {
  if (found.size() > max_candidates) return false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (find(found, found[i].place) != &found[i]) return false;
  }
  return true;
}

// What a place comes to, and with which rule; `not_connected` is the next place.
struct Looked {
  Outcome outcome;
  Rule rule;
};

Looked look(const Candidate* candidate, UnixMillis now) noexcept {
  if (candidate == nullptr) return {Outcome::not_connected, Rule::absent};
  switch (candidate->held) {
  case Held::nothing: return {Outcome::not_connected, Rule::absent};
  case Held::part: return {Outcome::not_connected, Rule::incomplete};
  case Held::revoked: return {Outcome::revoked, Rule::revoked};
  case Held::refused: return {Outcome::refused, Rule::refused};
  case Held::unanswered: return {Outcome::lookup_failed, Rule::unanswered};
  case Held::unasked: return {Outcome::ask, {}};
  case Held::whole:
    if (candidate->was_rejected && now.value < candidate->rejected_at.plus(rejected_ttl).value) {
      return {Outcome::not_connected, Rule::rejected};
    }
    return {Outcome::found, Rule::found};
  }
  __builtin_trap();
}

}  // namespace

Result<Places> read_plan(const Facts& facts, Membership membership, const Policy& policy) noexcept {
  if (!are_reader_ids(facts) || !is_order(policy.order)) return Errc::claim_invalid;
  return find_way(facts, membership, policy).places;
}

Result<Choice> resolve(const Facts& facts, Membership membership, const Policy& policy,
                       std::span<const Candidate> found, UnixMillis now) noexcept {
  if (!are_reader_ids(facts) || !is_order(policy.order) || !are_candidates(found)) {
    return Errc::claim_invalid;
  }
  const Way way = find_way(facts, membership, policy);
  Choice out;
  if (facts.subject.empty()) {
    out.outcome = Outcome::nobody;
    out.path = way.places.path;
    return out;
  }
  std::size_t asked = 0;
  for (const Candidate& candidate : found) {
    for (std::size_t i = 0; i < way.places.size; ++i) {
      if (candidate.place == way.places.list[i]) ++asked;
    }
  }
  if (asked < found.size()) out.path.add(Rule::foreign);
  Choice ended;  // the first that had ended
  for (std::size_t i = 0; i < way.places.size; ++i) {
    const Place& place = way.places.list[i];
    const Looked looked = look(find(found, place), now);
    if (looked.rule != Rule{}) out.path.add(looked.rule, place.scope);
    if (looked.outcome == Outcome::not_connected) continue;
    out.outcome = looked.outcome;
    out.place = place;
    const bool has_ended = looked.outcome == Outcome::revoked || looked.outcome == Outcome::refused;
    if (!has_ended || !policy.past_revoked) return out;
    if (ended.outcome == Outcome::not_connected) ended = out;
  }
  for (const Step step : way.places.path.steps()) out.path.add(step.rule, step.scope);
  out.outcome = way.hidden ? Outcome::lookup_failed : ended.outcome;
  out.place = way.hidden ? Place{} : ended.place;
  return out;
}

Result<Gap> gap(const Facts& facts, Membership membership,
                std::span<const Candidate> found) noexcept {
  if (!are_ids_valid(facts) || !are_candidates(found)) return Errc::claim_invalid;
  Gap out;
  if (facts.org.empty() || membership != Membership::known) return out;
  for (const Scope scope : {Scope::user, Scope::org, Scope::workspace}) {
    const Candidate* candidate = find(found, place_of(facts, scope));
    if (candidate != nullptr && candidate->held == Held::whole) out.has[out.size++] = scope;
  }
  return out;
}

namespace {

bool is_blank(std::string_view value) noexcept {
  for (const char c : value) {
    if (c != ' ' && (c < '\t' || c > '\r')) return false;
  }
  return true;
}

Verdict refuse(Verdict verdict, std::uint16_t status, Rule rule, Scope scope = {}) noexcept {
  verdict.status = status;
  verdict.path.add(rule, scope);
  return verdict;
}

}  // namespace

Result<Verdict> may_mutate(const Mutation& m) noexcept {
  const Facts& facts = m.facts;
  const bool scope_known =
      m.requested == Scope::user || m.requested == Scope::org || m.requested == Scope::workspace;
  if (!are_reader_ids(facts) || !scope_known) return Errc::claim_invalid;
  Verdict out;
  if (!m.registered) return refuse(out, 404, Rule::not_registered);
  const bool connects = m.verb == Verb::connect || m.verb == Verb::disconnect;
  if (m.connected != connects) return refuse(out, 400, Rule::wrong_kind);
  if (m.verb == Verb::set && is_blank(m.value)) return refuse(out, 400, Rule::value_empty);
  if (facts.subject.empty()) return refuse(out, 401, Rule::no_subject);
  const bool org_counts = m.requested != Scope::user;
  if (org_counts && m.membership != Membership::known) {
    return refuse(out, 503, Rule::lookup_failed);
  }
  const Place place = place_of(facts, m.requested);
  if (place.scope == Scope{}) return refuse(out, 401, Rule::no_org);
  out.place = place;
  if (m.device) return refuse(out, 403, Rule::device_may_not);
  const bool of_org = place.scope == Scope::org || place.scope == Scope::workspace;
  if (!m.target_org.empty() && (!of_org || m.target_org != facts.org)) {
    return refuse(out, 403, Rule::other_org);
  }
  if (of_org && !is_admin(facts.role)) return refuse(out, 403, Rule::role_is_member, place.scope);
  if (m.unread && (m.verb == Verb::set || m.verb == Verb::connect)) {
    return refuse(out, 403, Rule::never_read, place.scope);
  }
  if (m.validator == Check::failed) return refuse(out, 400, Rule::value_refused);
  if (m.storage == Check::failed) return refuse(out, 500, Rule::write_failed);
  out.ok = true;
  out.path.add(of_org ? Rule::org_admin : Rule::own, place.scope);
  return out;
}

Sight visible(const Row& row, std::string_view caller_org) noexcept {
  Sight out;
  const bool own = !row.org.empty() && row.org == caller_org;
  out.counts = own;
  if (own) {
    out.visible = true;
    out.path.add(Rule::own, Scope::org);
  } else if (row.is_member) {
    out.path.add(Rule::kind_is_private);
  } else {
    out.visible = row.is_public;
    out.path.add(row.is_public ? Rule::is_public : Rule::is_private);
  }
  return out;
}

Swept sweep(std::string_view subject, std::string_view org, const Reachable& row) noexcept {
  if (subject.empty() || org.empty()) return {Sweep::keep, Rule::not_theirs};
  switch (row.owner.scope) {
  case Scope::user:
  case Scope::solo:
    if (row.owner.id != subject) return {Sweep::keep, Rule::not_theirs};
    if (row.owner.scope == Scope::solo || row.org != org) return {Sweep::keep, Rule::elsewhere};
    return {Sweep::end, Rule::member_left};
  case Scope::org:
  case Scope::workspace:
    if (row.owner.id != org) return {Sweep::keep, Rule::elsewhere};
    if (row.author != subject) return {Sweep::keep, Rule::not_theirs};
    return {Sweep::end, Rule::author_left};
  case Scope::deployment: return {Sweep::keep, Rule::not_theirs};
  }
  return {Sweep::keep, Rule::not_theirs};
}

Completed complete(const Completion& c) noexcept {
  Completed out;
  if (!c.known) {
    out.status = 404;
    return out;
  }
  if (!c.watcher) {
    out.status = 409;
    return out;
  }
  const bool bound = !c.token_device.empty();
  const std::string_view device = bound ? c.token_device : c.body_device;
  const bool contradicted = bound && !c.body_device.empty() && c.body_device != c.token_device;
  if (device.empty() || contradicted || device != c.pin) {
    out.status = 403;
    out.path.add(Rule::device_mismatch);
    return out;
  }
  out.path.add(bound ? Rule::device_bound : Rule::device_unbound);
  out.status = c.payload_good ? 200 : 400;
  if (!c.running) {
    out.status = 200;
    out.idempotent = true;
  }
  return out;
}

}  // namespace latchkey::scope
