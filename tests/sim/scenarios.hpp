/// Complaints from public issues, each as a world in which it would come true.
#pragma once

#include "world.hpp"

namespace latchkey::sim {

struct Scenario {
  const char* pain;  ///< its number in the list of complaints
  const char* upstream;  ///< the public issue that tells of it
  const char* what;
  void (*adjust)(Config&) noexcept;
  /// True when it came about, and did no harm.
  bool (*holds)(const Counts&) noexcept;
};

/// How many seeds each is run with.
inline constexpr std::uint64_t seeds_of_scenario = 100;

[[nodiscard]] std::size_t scenario_count() noexcept;
[[nodiscard]] const Scenario& scenario(std::size_t i) noexcept;

/// Only logins and fetches, on a connection whose every token expires under eight callers; with
/// more and more faults. What the baselines are measured in.
void only_callers(Config& config) noexcept;
void callers_and_slowness(Config& config) noexcept;
void callers_and_faults(Config& config) noexcept;

}  // namespace latchkey::sim
