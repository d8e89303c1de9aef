#include "support.hpp"

#include "latchkey/schedule.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace latchkey;
using namespace latchkey::retention;
using latchkey::test::Random;

namespace {

constexpr UnixMillis t0{1'790'000'000'000};
constexpr std::int64_t hour = 3'600'000;

constexpr UnixMillis at(std::int64_t offset) { return {t0.value + offset}; }

Due hourly() {
  Due due;
  due.every = "1h";
  due.anchor = t0;
  due.matched = true;
  return due;
}

}  // namespace

TEST_CASE("T67 schedule: exactly once for success, failure, bad payload, a duplicate and two bad "
          "posts at the same time") {
  // Every way a run ends looks alike here; what differs is whether the row was still running.
  bool is_running = true;
  int advanced = 0;
  std::optional<UnixMillis> next = t0;
  for (int post = 0; post < 4; ++post) {
    Due due = hourly();
    due.slot = t0;
    due.matched = is_running;
    const auto plan = schedule(due, at(10));
    if (plan.action == Advance::none) {
      CHECK(plan.reason == ScheduleReason::already_advanced);
      CHECK_FALSE(plan.next_at);
      continue;
    }
    is_running = false;
    next = plan.next_at;
    ++advanced;
  }
  CHECK(advanced == 1);
  CHECK(next == at(hour));
}

TEST_CASE("T67 schedule: the next tick lies after now, and runs by hand skip none") {
  Due due = hourly();
  for (int by_hand = 0; by_hand < 5; ++by_hand) {
    CHECK(schedule(due, at(hour / 2 + by_hand)).next_at == at(hour));
  }
  CHECK(schedule(due, at(-1)).next_at == t0);
  CHECK(schedule(due, at(0)).next_at == at(hour));
  CHECK(schedule(due, at(hour - 1)).next_at == at(hour));
  CHECK(schedule(due, at(hour)).next_at == at(2 * hour));
  // After a long pause there is one run, not one for each slot that was missed.
  due.slot = t0;
  CHECK(schedule(due, at(100 * hour + 1)).next_at == at(101 * hour));
  // A clock that went backwards does not fire the same slot again.
  due.slot = at(5 * hour);
  CHECK(schedule(due, at(4 * hour)).next_at == at(6 * hour));
}

TEST_CASE("T67 schedule: what cannot be read is parked") {
  for (const std::string_view bad :
       {"",     "h",    "1",         "0h",         "01h", "-1h",      "+1h",
        "1.5h", "1H",   " 1h",       "1h ",        "1w",  "1000000s", "99999999999999999999d",
        "h1",   "1e3s", "* * * * *", "every hour", "\0h", "1\0"}) {
    Due due = hourly();
    due.every = bad;
    const auto plan = schedule(due, at(7));
    CAPTURE(bad);
    CHECK(plan.action == Advance::parked);
    CHECK(plan.reason == ScheduleReason::unreadable);
    CHECK_FALSE(plan.next_at);
  }
  struct Good {
    std::string_view every;
    std::int64_t ms;
  };
  for (const auto& good :
       {Good{"1s", 1'000}, Good{"90s", 90'000}, Good{"15m", 900'000}, Good{"6h", 6 * hour},
        Good{"1d", 24 * hour}, Good{"999999d", 999'999 * 24 * hour}}) {
    Due due = hourly();
    due.every = good.every;
    CHECK(schedule(due, t0).next_at == at(good.ms));
  }
}

TEST_CASE("T67 schedule: not before a quota is back and its grace is over") {
  Due due = hourly();
  due.quota_reset_at = at(hour - 60'000);
  CHECK(schedule(due, t0).next_at == at(hour));
  CHECK(schedule(due, t0).reason == ScheduleReason::next_tick);
  due.quota_reset_at = at(hour - 60'000 + 1);
  CHECK(schedule(due, t0).next_at == at(hour + 1));
  CHECK(schedule(due, t0).reason == ScheduleReason::after_quota);
}

TEST_CASE("T67 threat T35 schedule: against counting ticks, and at the ends of time") {
  Random random{7};
  constexpr std::string_view lengths[] = {"1s", "7s", "90s", "5m", "1h"};
  constexpr std::int64_t ms[] = {1'000, 7'000, 90'000, 300'000, 3'600'000};
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t which = random.below(std::size(lengths));
    const std::int64_t every = ms[which];
    const auto range = static_cast<std::size_t>(every * 50);
    Due due = hourly();
    due.every = lengths[which];
    due.anchor = at(static_cast<std::int64_t>(random.below(range)));
    const UnixMillis now = at(static_cast<std::int64_t>(random.below(range)));
    if (random.below(2) == 1) due.slot = at(static_cast<std::int64_t>(random.below(range)));
    std::int64_t tick = due.anchor.value;
    while (tick <= now.value || (due.slot && tick <= due.slot->value)) tick += every;
    const auto plan = schedule(due, now);
    if (plan.next_at != UnixMillis{tick}) FAIL("differs from counting");
  }
  constexpr std::int64_t edges[] = {INT64_MIN,       -1,       0, 1, UnixMillis::max - 1,
                                    UnixMillis::max, INT64_MAX};
  for (const auto anchor : edges) {
    for (const auto now : edges) {
      for (const auto slot : edges) {
        Due due = hourly();
        due.every = "999999d";
        due.anchor = {anchor};
        due.slot = UnixMillis{slot};
        due.quota_reset_at = UnixMillis{slot};
        const auto plan = schedule(due, {now});
        if (plan.next_at) {
          CHECK(plan.next_at->value > 0);
          CHECK(plan.next_at->value <= UnixMillis::max);
        } else {
          CHECK(plan.reason == ScheduleReason::out_of_range);
        }
      }
    }
  }
}
