/// Protocols that are in use elsewhere, as step functions for the same world: what they lose stands
/// beside ours.
#pragma once

#include "world.hpp"

namespace latchkey::sim {

struct Baseline {
  const char* name;
  const char* who;  ///< who does it like this
  StepFunction step;
};

inline constexpr std::size_t baseline_count = 5;
[[nodiscard]] const Baseline& baseline(std::size_t i) noexcept;

}  // namespace latchkey::sim
