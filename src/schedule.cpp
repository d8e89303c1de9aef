#include "latchkey/schedule.hpp"

namespace latchkey::retention {
namespace {

constexpr std::size_t max_digits = 6;

/// Seconds of a unit; 0 for what is none.
constexpr std::int64_t seconds_of(char unit) noexcept {
  switch (unit) {
  case 's': return 1;
  case 'm': return 60;
  case 'h': return 3'600;
  case 'd': return 86'400;
  default: return 0;
  }
}

/// The length of time, or 0.
Millis read_every(std::string_view text) noexcept {
  if (text.size() < 2 || text.size() > max_digits + 1 || text.front() == '0') return {};
  std::int64_t count = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return {};
    count = count * 10 + (c - '0');
  }
  return seconds(count * seconds_of(text.back()));
}

constexpr UnixMillis in_range(UnixMillis at) noexcept { return at.plus({0}); }
constexpr UnixMillis later(UnixMillis a, UnixMillis b) noexcept {
  return a.value < b.value ? b : a;
}

}  // namespace

Schedule schedule(const Due& due, UnixMillis now) noexcept {
  if (!due.matched) return {};
  const Millis every = read_every(due.every);
  if (every.value == 0) return {Advance::parked, ScheduleReason::unreadable, {}};
  const UnixMillis anchor = in_range(due.anchor);
  const UnixMillis after = in_range(due.slot ? later(now, *due.slot) : now);
  UnixMillis next = anchor;
  if (after.value >= anchor.value) {
    const std::int64_t ticks = (after.value - anchor.value) / every.value + 1;
    next = anchor.plus({ticks * every.value});
  }
  // Saturated: there is no later moment.
  if (next.value <= after.value) return {Advance::parked, ScheduleReason::out_of_range, {}};
  if (due.quota_reset_at) {
    const UnixMillis quota = due.quota_reset_at->plus(quota_grace);
    if (quota.value > next.value) return {Advance::tick, ScheduleReason::after_quota, quota};
  }
  return {Advance::tick, ScheduleReason::next_tick, next};
}

}  // namespace latchkey::retention
