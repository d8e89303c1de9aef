/// Who may own a credential, and in which order owners are read: data, not code.
///
/// Configuration writes it, and `scope` follows it.
#pragma once

#include "latchkey/types.hpp"

#include <array>

namespace latchkey::scope {

/// Who may own a credential.
enum class Scope : std::uint8_t {
  user = 1,
  org = 2,
  workspace = 3,  ///< an organisation's workspace
  solo = 4,  ///< the workspace of a person without an organisation
  deployment = 5,  ///< whoever runs this deployment
};

/// Returns the name of a value as JavaScript sees it.
[[nodiscard]] std::string_view to_string(Scope scope) noexcept;

/// Which owners are read for one provider, and in which order.
struct Policy {
  /// Of `user`, `org`, `workspace`, `deployment`; none twice. `Scope{}` ends it. Where there is no
  /// organisation, `workspace` is the person's solo workspace.
  std::array<Scope, 4> order{Scope::user, Scope::org, Scope::workspace, Scope::deployment};
  bool personal_only{false};  ///< nothing but the person's own, whatever `order` says
  bool deployment{false};  ///< the deployment's may be used
  /// A place whose credential has ended does not end the search. Off: ending one's own, or having
  /// it refused, never widens what one can reach.
  bool past_revoked{false};
  Scope only{};  ///< this owner's and no other's, as the caller asked; `Scope{}`: any
};

/// True for an order in which every scope is known, none stands twice and nothing follows the end.
[[nodiscard]] bool is_order(std::span<const Scope, 4> order) noexcept;

}  // namespace latchkey::scope
