// The exhaustive explorer: every state that three callers and everybody else can bring the shipped
// step function into. `latchkey_explore` visits them all, `--quick` the small ones, `--plants`
// builds one mistake after the other in and expects the invariant that names it.

#include "explorer.hpp"

#include <chrono>
#include <cstdio>
#include <string_view>

namespace {

using namespace latchkey;
using namespace latchkey::explorer;
using refresh::Revocation;
using refresh::Rotation;
using refresh::Task;

constexpr std::uint64_t limit = 12'000'000;

struct Named {
  Rotation rotation;
  const char* name;
};
constexpr Named rotations[] = {
    {Rotation::strict_refused, "strict_refused"},
    {Rotation::family_revoked, "family_revoked"},
    {Rotation::grace_new, "grace_new"},
    {Rotation::grace_same, "grace_same"},
    {Rotation::none, "none"},
};

const Setup setups[] = {
    {.name = "3 callers, 2 crashes", .delays = 3},
    {.name = "the same, still valid", .near_expiry = true, .old_access_dies = true},
    {.name = "revocation", .ender = Task::revoke, .delays = 2},
    {.name = "revocation, login", .ender = Task::revoke, .login = true},
    {.name = "disconnect, login",
     .revocation = Revocation::grant,
     .ender = Task::disconnect,
     .login = true},
    {.name = "erasure, login", .ender = Task::erase, .login = true, .crashes = 1},
    {.name = "rotate", .task = Task::rotate, .near_expiry = true},
    {.name = "rejected, a fault", .task = Task::report_rejected, .crashes = 1, .faults = 1},
    {.name = "a fault", .crashes = 1, .faults = 1},
    {.name = "2 callers, 2 faults", .callers = 2, .crashes = 1, .faults = 2},
    {.name = "introspection, a fault", .introspects = true, .crashes = 1, .faults = 1},
    {.name = "introspection, 2 faults",
     .introspects = true,
     .callers = 2,
     .crashes = 1,
     .faults = 2},
    {.name = "alarm, a fault", .alarm = true, .callers = 2, .crashes = 1, .faults = 1},
};
constexpr std::size_t quick_setups = 4;

struct Planted {
  Plant plant;
  const char* name;
  const char* invariant;
  Setup setup;
};
const Planted planted[] = {
    {Plant::lease_ignored, "no lock", "I1", {.crashes = 0}},
    {Plant::intent_ignored, "lease without intent", "I1", {.crashes = 1}},
    {Plant::family_probed,
     "probe where reuse revokes the grant",
     "I1",
     {.rotation = Rotation::family_revoked, .crashes = 1}},
    {Plant::no_condition, "store without compare-and-swap", "I2", {.crashes = 0}},
    {Plant::expired_served, "waiters get the expired token", "I3", {.crashes = 0}},
    {Plant::transient_is_terminal, "500 read as revoked", "I4", {.crashes = 0, .faults = 1}},
    {Plant::loss_not_named, "loss called refused", "I4", {.crashes = 1}},
    {Plant::wait_forgotten, "waiters are not woken", "I5", {.crashes = 0}},
    {Plant::tombstone_ignored,
     "late pair over a revocation",
     "I6",
     {.ender = Task::revoke, .crashes = 1}},
    {Plant::ambient_state, "step with a memory of its own", "I11", {.crashes = 0}},
    {Plant::sends_forgotten,
     "attempts are not counted",
     "I12",
     {.callers = 1, .crashes = 0, .duplicates = 0, .faults = 7, .delays = 0}},
    {Plant::never_probed, "parked without a probe", "L", {.crashes = 1}},
    {Plant::refusal_believed, "refusal of an older generation", "L", {.crashes = 1, .delays = 3}},
    {Plant::write_forgotten, "write acknowledged, not made", "I1", {.crashes = 0}},
    {Plant::silence_introspected,
     "introspection behind silence",
     "I1",
     {.rotation = Rotation::family_revoked, .crashes = 0, .faults = 1}},
    {Plant::inactive_believed,
     "inactive taken for unspent",
     "I1",
     {.rotation = Rotation::family_revoked, .introspects = true, .crashes = 0, .faults = 1}},
    {Plant::stale_read, "reads are one write behind", "I5", {.crashes = 0}},
};
static_assert(std::size(planted) == plants);

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void print_violation(const Outcome& outcome) {
  std::printf("  %s\n", outcome.violation.c_str());
  for (const std::string& line : outcome.trace) std::printf("    %s\n", line.c_str());
}

bool explore_all(std::size_t count) {
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t states = 0;
  std::uint64_t moves = 0;
  bool good = true;
  std::printf("%-15s %-23s %9s %10s %6s %6s %8s %7s\n", "provider", "world", "states", "moves",
              "ends", "lost", "requests", "probes");
  for (const Named& rotation : rotations) {
    for (std::size_t i = 0; i < count; ++i) {
      Setup setup = setups[i];
      setup.rotation = rotation.rotation;
      const Outcome outcome = explore(setup, Plant::none, limit);
      states += outcome.states;
      moves += outcome.moves;
      std::printf("%-15s %-23s %9llu %10llu %6llu %6llu %8llu %7llu %s\n", rotation.name,
                  setup.name, static_cast<unsigned long long>(outcome.states),
                  static_cast<unsigned long long>(outcome.moves),
                  static_cast<unsigned long long>(outcome.ends),
                  static_cast<unsigned long long>(outcome.losses),
                  static_cast<unsigned long long>(outcome.sends),
                  static_cast<unsigned long long>(outcome.probes),
                  outcome.closed ? "closed" : "NOT CLOSED");
      if (!outcome.violation.empty()) print_violation(outcome);
      good = good && outcome.closed;
      std::fflush(stdout);
    }
  }
  std::printf("%llu states, %llu moves, %.1f s, %s\n", static_cast<unsigned long long>(states),
              static_cast<unsigned long long>(moves), seconds_since(start),
              good ? "every graph closed, no invariant violated" : "FAILED");
  return good;
}

bool explore_plants() {
  bool good = true;
  for (const Planted& plant : planted) {
    const Outcome outcome = explore(plant.setup, plant.plant, limit);
    const std::string_view found = std::string_view{outcome.violation}.substr(
        0, std::string_view{outcome.violation}.find(':'));
    const bool right = found == plant.invariant;
    std::printf("%-38s %-4s after %7llu states, %3zu moves  %s\n", plant.name, plant.invariant,
                static_cast<unsigned long long>(outcome.states), outcome.trace.size(),
                right ? "found" : "NOT FOUND");
    if (!right) print_violation(outcome);
    good = good && right;
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "--plants") return explore_plants() ? 0 : 1;
  if (mode == "--quick") return explore_all(quick_setups) ? 0 : 1;
  if (!mode.empty()) {
    std::printf("latchkey_explore [--quick | --plants]\n");
    return 2;
  }
  return explore_all(std::size(setups)) ? 0 : 1;
}
