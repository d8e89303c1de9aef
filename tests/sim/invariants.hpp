/// What must never happen, by name.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latchkey::sim {

enum class Invariant : std::uint8_t {
  none,
  one_spend,  ///< I1
  monotonic,  ///< I2
  served_good,  ///< I3
  no_false_death,  ///< I4
  liveness,  ///< I5
  revoke_wins,  ///< I6
  retention,  ///< I7
  isolation,  ///< I8
  single_use_state,  ///< I9
  no_secret,  ///< I10
  determinism,  ///< I11
  bounded_calls,  ///< I12
  losses_named,  ///< L
  count_,
};
inline constexpr std::size_t invariant_count = static_cast<std::size_t>(Invariant::count_);

/// Its short name and its sentence: "I1", "one token value, one spend".
[[nodiscard]] const char* name(Invariant invariant) noexcept;
[[nodiscard]] const char* sentence(Invariant invariant) noexcept;

}  // namespace latchkey::sim
