/// What is counted in a run, what can go wrong in the world, and where a process can die.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace latchkey::sim {

enum class Count : std::uint8_t {
  steps,  ///< calls of the step function
  events,  ///< of the world
  callers,  ///< flows that somebody waits for
  crashed,  ///< of these, ended by the death of their process
  served,
  kept,  ///< of these, still valid while a refresh was due
  joined,  ///< of these, with what another one fetched
  failed,  ///< callers without a token although nobody had ended the connection
  reconnect,  ///< callers told to connect again
  sends,
  probes,
  introspections,  ///< after an answer that left it open whether the token was spent
  unspent,  ///< of these, told that it was not
  redeemed,  ///< token requests that the provider answered with a token
  replays,  ///< token requests with a token already spent
  grants_killed,  ///< by a replay
  pairs_stored,
  pairs_discarded,  ///< after a revocation or a login
  lost,  ///< credentials gone although nobody had ended them
  lost_labelled,  ///< of these, named `lost_in_flight`
  lost_reply,  ///< of `lost`: rotated, and no answer came back
  lost_crash,  ///< of `lost`: rotated, and the process died before the pair was stored
  lost_garbled,  ///< of `lost`: rotated, and the answer was not understood; it is kept, sealed
  lost_store,  ///< of `lost`: rotated, and the store took nothing any more
  lost_order,  ///< of `lost`: the provider acted on an abandoned request after a later one
  given_up,  ///< declared lost although the provider still took the token; nobody could know
  healed,
  held,
  lost_race,
  in_doubt,
  persist_failed,
  corrupt_seen,
  surfaced,  ///< losses that were noticed
  surfaced_late,  ///< of these, after more than 60 s
  surfaced_ms,  ///< the sum of the delays
  calm_seeds,  ///< runs without any fault
  calm_sends,
  calm_pairs,
  mirror_writes,
  kv_refused,
  forged_dropped,
  callbacks_dropped,
  count_,
};
inline constexpr std::size_t count_count = static_cast<std::size_t>(Count::count_);

enum class Fault : std::uint8_t {
  // A token request.
  not_sent,
  reset_before,
  reply_lost,
  slow,
  stall_before,
  stall_after,
  late_commit,
  error_500_before,
  error_500_after,
  error_503,
  error_429,
  error_403,
  operator_error,
  garbled_before,
  garbled_after,
  expiry_missing,
  expiry_odd,
  refresh_omitted,
  introspection_lost,
  // A store.
  write_failed,
  unknown_written,
  unknown_unwritten,
  write_late,
  write_doubled,
  read_failed,
  slow_store,
  outage,
  touch,
  bit_rot,
  // A machine.
  crash,
  evict,
  twin,
  jump_forward,
  jump_back,
  freeze,
  // Alarms, news, keys, revocation.
  alarm_dropped,
  alarm_doubled,
  alarm_storm,
  hook_dropped,
  hook_doubled,
  hook_late,
  hook_forged,
  callback_doubled,
  key_early,
  revoke_lost,
  revoke_refused,
  count_,
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::count_);

/// Where a process dies; the numbers are those of the crash points CP1 to CP13.
enum class CrashPoint : std::uint8_t {
  none = 0,
  before_intent = 1,
  intent_stored = 2,
  sent = 3,
  committed = 4,
  reply_received = 5,
  reply_understood = 6,
  write_issued = 7,
  stored = 8,
  before_directory = 9,
  before_mirror = 10,
  in_alarm = 11,
  in_ending = 12,
  in_rewrap = 13,
  count_,
};
inline constexpr std::size_t crash_point_count = static_cast<std::size_t>(CrashPoint::count_);

struct Counts {
  std::array<std::uint64_t, count_count> counts{};
  std::array<std::uint64_t, fault_count> faults{};
  std::array<std::uint64_t, crash_point_count> crashes{};

  std::uint64_t& operator[](Count c) noexcept { return counts[static_cast<std::size_t>(c)]; }
  std::uint64_t operator[](Count c) const noexcept { return counts[static_cast<std::size_t>(c)]; }
  std::uint64_t& operator[](Fault f) noexcept { return faults[static_cast<std::size_t>(f)]; }
  std::uint64_t operator[](Fault f) const noexcept { return faults[static_cast<std::size_t>(f)]; }
  std::uint64_t& operator[](CrashPoint p) noexcept { return crashes[static_cast<std::size_t>(p)]; }
  std::uint64_t operator[](CrashPoint p) const noexcept {
    return crashes[static_cast<std::size_t>(p)];
  }

  void add(const Counts& other) noexcept;
};

[[nodiscard]] const char* name(Count count) noexcept;
[[nodiscard]] const char* name(Fault fault) noexcept;
[[nodiscard]] const char* name(CrashPoint point) noexcept;

}  // namespace latchkey::sim
