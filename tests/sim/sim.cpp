#include "sim.h"

#include "world.hpp"

namespace {

using namespace latchkey::sim;

struct Last {
  World world;
  Counts counts;
  std::uint32_t violation{0};
};

Last& last() noexcept {
  // Never destroyed: a module has no end.
  static Last* const it = new Last;
  return *it;
}

}  // namespace

extern "C" {

std::uint64_t sim_run(std::uint64_t seed, std::uint32_t bug) {
  Last& it = last();
  Options options;
  options.bug = bug < bug_count ? static_cast<Bug>(bug) : Bug::none;
  it.world.run(seed, options);
  it.counts = it.world.counts();
  it.violation = static_cast<std::uint32_t>(it.world.violation().invariant);
  return it.world.hash();
}

std::uint64_t sim_run_all(std::uint64_t first, std::uint32_t count) {
  std::uint64_t hash = 0;
  Counts sum;
  std::uint32_t violation = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    hash = mix(hash ^ sim_run(first + i, 0));
    sum.add(last().counts);
    if (violation == 0) violation = last().violation;
  }
  last().counts = sum;
  last().violation = violation;
  return hash;
}

std::uint32_t sim_violation(void) { return last().violation; }

std::uint64_t sim_count(std::uint32_t what) {
  return what < count_count ? last().counts.counts[what] : 0;
}
std::uint64_t sim_fault(std::uint32_t what) {
  return what < fault_count ? last().counts.faults[what] : 0;
}
std::uint64_t sim_crash(std::uint32_t point) {
  return point < crash_point_count ? last().counts.crashes[point] : 0;
}

}  // extern "C"
