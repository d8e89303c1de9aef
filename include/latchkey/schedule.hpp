/// When something runs again.
#pragma once

#include "latchkey/types.hpp"

#include <optional>

namespace latchkey::retention {

/// How much later than its reset a quota is trusted to be there.
inline constexpr Millis quota_grace = seconds(60);

struct Due {
  std::string_view every;  ///< `90s`, `15m`, `6h`, `1d`: 1..6 digits without leading zero
  UnixMillis anchor{};  ///< ticks are this moment and every so often after it
  std::optional<UnixMillis> slot;  ///< the tick that this run was for; none when run by hand
  std::optional<UnixMillis> quota_reset_at;
  bool matched{false};  ///< storage found the row as it was when this run began, and changed it
};

enum class Advance : std::uint8_t { none = 0, tick = 1, parked = 2 };
enum class ScheduleReason : std::uint8_t {
  already_advanced = 1,
  next_tick = 2,
  after_quota = 3,
  unreadable = 4,  ///< stays where it is until somebody repairs it
  out_of_range = 5,  ///< the next tick lies beyond the end of time
};

struct Schedule {
  Advance action{Advance::none};
  ScheduleReason reason{ScheduleReason::already_advanced};
  std::optional<UnixMillis> next_at;  ///< none when parked
};

/// Says when something runs next, once for every run of it: success, failure and invalid result
/// alike.
///
/// To be decided in the transaction that ends the run; whoever finds the row ended already has not
/// `matched` and changes nothing. The next tick is the first one after now, and after the slot of
/// this run (a clock that went backwards must not fire it twice); runs by hand have no slot and so
/// skip none. With a quota that comes back later than that, 60 s after it has. Ticks are multiples
/// of a length of time in UTC: no daylight saving moves them.
///
/// @param now  clamped to the range of a moment, as are the others.
[[nodiscard]] Schedule schedule(const Due& due, UnixMillis now) noexcept;

}  // namespace latchkey::retention
