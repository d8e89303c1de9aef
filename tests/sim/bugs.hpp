/// Bugs that were made elsewhere, planted around the step function, to see that they are found.
#pragma once

#include "latchkey/refresh.hpp"

namespace latchkey::sim {

enum class Bug : std::uint8_t {
  none,
  no_compare_and_swap,
  marker_in_seconds,
  restart_forgets,
  refresh_beats_revoke,
  refresh_beats_login,
  lineage_ignored,
  metadata_write_wins,
  crash_forgotten,
  replay_after_silence,
  replay_without_end,
  spend_before_intent,
  throw_after_spend,
  store_error_ignored,
  served_before_stored,
  error_500_is_death,
  rate_limit_is_death,
  status_only,
  garbled_dropped,
  lease_shorter_than_request,
  deadline_not_from_lease,
  lease_released_by_anyone,
  lock_in_one_process,
  mirror_is_authority,
  refusal_kills_winner,
  omitted_token_wipes,
  rotation_not_stored,
  losers_signed_out,
  waiter_served_expired,
  first_successor_wins,
  retry_storm,
  failure_poisons,
  stale_report_forces,
  alarm_forgotten,
  hook_order_ignored,
  hook_unsigned,
  hook_wrong_subject,
  disconnect_ends_newer,
  receipt_lies,
  tombstone_keeps_tokens,
  row_mixed_up,
  callback_replayed,
  introspects_silence,
  introspection_believed,
  token_in_log,
  unseeded_randomness,
  count_,
};
inline constexpr std::size_t bug_count = static_cast<std::size_t>(Bug::count_);

/// In place of an epoch in a condition: a driver that compares something weaker.
inline constexpr std::uint64_t any_epoch = ~0ULL;
inline constexpr std::uint64_t same_second = any_epoch - 1;
inline constexpr std::uint64_t same_version = any_epoch - 2;
inline constexpr std::uint64_t same_expiry = any_epoch - 3;
inline constexpr std::uint64_t least_special_epoch = same_expiry;

/// A call of the step function, to be tampered with.
struct Call {
  refresh::Row row;
  refresh::Flow flow;
  refresh::Event event;
  refresh::Policy policy;
  UnixMillis now;
  std::uint8_t isolate;
  bool errors_in_200;
};

struct BugInfo {
  const char* name;
  const char* upstream;  ///< the public issue or advisory that told of it
  const char* what;
  // Null where the bug sits in the driver, the store or the classifier of the world.
  void (*before)(Call&) noexcept;
  void (*after)(const Call&, refresh::Step&) noexcept;
};
[[nodiscard]] const BugInfo& info(Bug bug) noexcept;

}  // namespace latchkey::sim
