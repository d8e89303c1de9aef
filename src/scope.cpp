#include "latchkey/scope.hpp"

#include "latchkey/text.hpp"

namespace latchkey::scope {
namespace {

bool is_admin(std::string_view role) noexcept { return role == "owner" || role == "admin"; }

bool are_ids_valid(const Facts& facts) noexcept {
  return text::is_plain(facts.subject, max_id) &&
         (facts.org.empty() || text::is_plain(facts.org, max_id));
}

}  // namespace

std::string_view to_string(Scope scope) noexcept {
  switch (scope) {
  case Scope::user: return "user";
  case Scope::org: return "org";
  }
  __builtin_trap();
}

std::string_view to_string(Rule rule) noexcept {
  switch (rule) {
  case Rule::org_admin: return "org_admin";
  case Rule::no_org: return "no_org";
  case Rule::role_is_member: return "role_is_member";
  case Rule::asked_for_self: return "asked_for_self";
  case Rule::own_account: return "own_account";
  case Rule::on_behalf: return "on_behalf";
  }
  __builtin_trap();
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

}  // namespace latchkey::scope
