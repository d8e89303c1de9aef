/// A closed world around `refresh::step`, small enough to visit every state of it: three callers,
/// somebody who revokes or disconnects, somebody who logs in, an alarm, one store, one provider.
///
/// Whatever can be in flight is a field here and may be delivered, delayed, lost or doubled by a
/// move. Delays have no bound, with one exception that the protocol rests on: a driver aborts its
/// request at the deadline it was given. A provider may still act on an aborted request later,
/// unless two successors of one token can be alive (`grace_new`), where no client could tell them
/// apart.
#pragma once

#include "latchkey/refresh.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace latchkey::explorer {

/// Callers first: they are alike and therefore sorted.
enum class Seat : std::uint8_t {
  first = 0,
  second = 1,
  third = 2,
  ender = 3,
  login = 4,
  alarm = 5
};
inline constexpr std::size_t callers = 3;
inline constexpr std::size_t seats = 6;

/// What one exploration allows.
struct Setup {
  const char* name{""};
  refresh::Rotation rotation{refresh::Rotation::strict_refused};
  refresh::Revocation revocation{refresh::Revocation::token};
  refresh::Task task{refresh::Task::fetch};  ///< of the first caller; the others fetch
  refresh::Task ender{refresh::Task::none};  ///< revoke, disconnect or erase
  bool login{false};
  bool alarm{false};
  bool near_expiry{false};  ///< the access token is due but still good; else it has expired
  bool old_access_dies{false};
  bool introspects{false};  ///< behind a 500 the provider is asked whether the token is unspent
  std::uint8_t callers{3};
  std::uint8_t crashes{2};
  std::uint8_t duplicates{1};
  std::uint8_t faults{0};  ///< of the store and the provider
  std::uint8_t delays{1};  ///< of a write, beyond the lease it is made under
};

/// A mistake that is built into the world or around the step function, to see an invariant fire.
enum class Plant : std::uint8_t {
  none = 0,
  lease_ignored,  ///< the step never sees a lease
  intent_ignored,  ///< the step never sees an intent
  no_condition,  ///< the store writes whatever comes
  stale_read,  ///< a read may return the row before the last write
  expired_served,  ///< a token is served whatever its age
  transient_is_terminal,
  refusal_believed,  ///< a refusal of the version before is written down over the next
  wait_forgotten,  ///< nobody wakes a waiter
  tombstone_ignored,  ///< a late pair is written over a tombstone
  sends_forgotten,  ///< the count of attempts is not stored
  ambient_state,  ///< the step depends on something that it is not given
  write_forgotten,  ///< the store says yes and does not write a pair
  loss_not_named,  ///< what was lost in flight is called refused
  family_probed,  ///< a probe where reuse revokes the grant
  never_probed,  ///< no probe where reuse is merely refused
  silence_introspected,  ///< an introspection is believed while the request is on its way
  inactive_believed,  ///< a token that is called inactive counts as unspent
};
inline constexpr unsigned plants = 17;

struct Outcome {
  std::uint64_t states{0};
  std::uint64_t moves{0};
  std::uint64_t ends{0};  ///< states in which nothing is left to happen
  std::uint64_t losses{0};  ///< of these, the ones with a credential lost in flight
  std::uint64_t sends{0};  ///< requests that reached the provider
  std::uint64_t probes{0};
  bool closed{false};  ///< nothing is left to visit
  std::string violation;  ///< the invariant and what happened; empty: none
  std::vector<std::string> trace;  ///< the shortest way there
};

/// Visits every state that the setup can reach, nearest first.
///
/// @param limit  states after which it stops, not closed.
[[nodiscard]] Outcome explore(const Setup& setup, Plant plant, std::uint64_t limit);

}  // namespace latchkey::explorer
