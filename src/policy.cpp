#include "latchkey/policy.hpp"

namespace latchkey::scope {

std::string_view to_string(Scope scope) noexcept {
  switch (scope) {
  case Scope::user: return "user";
  case Scope::org: return "org";
  case Scope::workspace: return "workspace";
  case Scope::solo: return "solo";
  case Scope::deployment: return "deployment";
  }
  __builtin_trap();
}

bool is_order(std::span<const Scope, 4> order) noexcept {
  unsigned seen = 0;
  bool ended = false;
  for (const Scope scope : order) {
    const auto number = static_cast<unsigned>(scope);
    if (number == 0) {
      ended = true;
      continue;
    }
    if (ended || number > 5 || scope == Scope::solo || (seen >> number & 1) != 0) return false;
    seen |= 1U << number;
  }
  return true;
}

}  // namespace latchkey::scope
