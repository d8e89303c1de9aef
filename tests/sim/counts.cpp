#include "counts.hpp"

namespace latchkey::sim {
namespace {

constexpr const char* count_names[] = {
    "steps",          "events",         "callers",
    "crashed",        "served",         "kept",
    "joined",         "failed",         "reconnect",
    "sends",          "probes",         "introspections",
    "unspent",        "redeemed",       "replays",
    "grants_killed",  "pairs_stored",   "pairs_discarded",
    "lost",           "lost_labelled",  "lost_reply",
    "lost_crash",     "lost_garbled",   "lost_store",
    "lost_order",     "given_up",       "healed",
    "held",           "lost_race",      "in_doubt",
    "persist_failed", "corrupt_seen",   "surfaced",
    "surfaced_late",  "surfaced_ms",    "calm_seeds",
    "calm_sends",     "calm_pairs",     "mirror_writes",
    "kv_refused",     "forged_dropped", "callbacks_dropped",
};
static_assert(std::size(count_names) == count_count);

constexpr const char* fault_names[] = {
    "not_sent",
    "reset_before",
    "reply_lost",
    "slow",
    "stall_before",
    "stall_after",
    "late_commit",
    "error_500_before",
    "error_500_after",
    "error_503",
    "error_429",
    "error_403",
    "operator_error",
    "garbled_before",
    "garbled_after",
    "expiry_missing",
    "expiry_odd",
    "refresh_omitted",
    "introspection_lost",
    "write_failed",
    "unknown_written",
    "unknown_unwritten",
    "write_late",
    "write_doubled",
    "read_failed",
    "slow_store",
    "outage",
    "touch",
    "bit_rot",
    "crash",
    "evict",
    "twin",
    "jump_forward",
    "jump_back",
    "freeze",
    "alarm_dropped",
    "alarm_doubled",
    "alarm_storm",
    "hook_dropped",
    "hook_doubled",
    "hook_late",
    "hook_forged",
    "callback_doubled",
    "key_early",
    "revoke_lost",
    "revoke_refused",
};
static_assert(std::size(fault_names) == fault_count);

constexpr const char* crash_point_names[] = {
    "none",
    "CP1 before the intent",
    "CP2 intent stored, not sent",
    "CP3 sent, not received",
    "CP4 provider committed, reply lost",
    "CP5 reply received",
    "CP6 understood, not stored",
    "CP7 write issued, not flushed",
    "CP8 stored, waiters not told",
    "CP9 before the directory",
    "CP10 directory written, mirror not",
    "CP11 in an alarm",
    "CP12 in a disconnect or an erasure",
    "CP13 in a re-wrap",
};
static_assert(std::size(crash_point_names) == crash_point_count);

}  // namespace

void Counts::add(const Counts& other) noexcept {
  for (std::size_t i = 0; i < count_count; ++i) counts[i] += other.counts[i];
  for (std::size_t i = 0; i < fault_count; ++i) faults[i] += other.faults[i];
  for (std::size_t i = 0; i < crash_point_count; ++i) crashes[i] += other.crashes[i];
}

const char* name(Count count) noexcept { return count_names[static_cast<std::size_t>(count)]; }
const char* name(Fault fault) noexcept { return fault_names[static_cast<std::size_t>(fault)]; }
const char* name(CrashPoint point) noexcept {
  return crash_point_names[static_cast<std::size_t>(point)];
}

}  // namespace latchkey::sim
