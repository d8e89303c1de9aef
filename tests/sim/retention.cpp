// Retention in simulation: objects whose records end, sweeps that crash, two at the same time, and
// clocks that go back, over the decisions as they ship.
//   --seeds N   so many worlds (default 400)
//   --bugs      bugs planted in the driver must each be found
//   --bench     what planning costs from 10^4 to 10^6 rows
#include "random.hpp"

#include "latchkey/retention.hpp"
#include "latchkey/run.hpp"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

namespace {

using namespace latchkey;
using namespace latchkey::retention;
using latchkey::sim::Random;

constexpr std::int64_t second = 1'000;
constexpr std::int64_t minute = 60 * second;
constexpr std::int64_t begin = 1'790'000'000'000;
constexpr std::uint16_t every_lane = (1U << kinds) - 1;
constexpr std::size_t run_lane = static_cast<std::size_t>(Kind::run);

/// What a driver could get wrong; each must turn up as one of the counts below.
enum class Bug : std::uint8_t {
  none,
  counts_asked,  // counts what it asked for, not what was removed
  counts_after,  // counts in a transaction of its own
  sweeps_early,  // removes what ends within the next sweep
  forgets_alarm,  // sets no alarm when the budget is spent
  prunes_running,  // gives a running row an end
  forgets_crash,  // nobody looks again after a sweep that crashed
};
constexpr const char* bug_names[] = {"none",         "counts_asked",  "counts_after",
                                     "sweeps_early", "forgets_alarm", "prunes_running",
                                     "forgets_crash"};

struct Row {
  Status status{Status::completed};
  std::int64_t day{0};
  std::int64_t over_since{0};  // by the true clock: when the object's own first said so
};

/// Rows in the order of their end, and what was counted about those that are gone.
struct Object {
  std::map<std::pair<std::int64_t, std::int64_t>, Row> lanes[kinds];
  std::map<std::int64_t, std::int64_t> rollup;
  std::map<std::int64_t, Run> running;
  std::int64_t alarm_at{begin};
  std::int64_t skew{0};
  bool lost{false};  // the last alarm
};

struct Counts {
  std::int64_t made{0};
  std::int64_t removed{0};
  std::int64_t crashes{0};
  std::int64_t steps{0};
  std::int64_t latest{0};  // by how much a record was ever past its end, after everybody had a turn
  std::int64_t early{0};  // records removed before their end, by the true clock
  std::int64_t miscounted{0};
  std::int64_t running_gone{0};
  [[nodiscard]] bool good() const noexcept {
    return early == 0 && miscounted == 0 && running_gone == 0 && latest <= sweep_interval.value;
  }
};

/// One sweep of one object: it can stop between any two of its steps, and leaves nothing but what
/// storage has.
struct Sweeper {
  Cursor cursor{};
  std::uint32_t removed{0};
  std::optional<Sweep> batch{};
  std::int64_t uncounted{0};
  bool on{false};
};

class World {
public:
  World(std::uint64_t seed, Bug bug) : random_{seed}, bug_{bug}, objects_(2 + random_.below(6)) {}

  Counts run() {
    // Arrivals for a while, then time for the last of them to end.
    for (std::int64_t tick = 0; tick < 30 * 60; ++tick) {
      now_ = begin + tick * minute;
      for (auto& object : objects_) {
        if (tick < 20 * 60) arrive(object);
        move_clock(object);
        live(object);
      }
      // A minute is long enough for everybody's turns, in any order.
      for (auto& object : objects_) sweep_all(object);
      for (auto& object : objects_) look(object);
    }
    for (const auto& object : objects_) audit(object);
    return counts_;
  }

private:
  [[nodiscard]] UnixMillis clock(const Object& object) const { return {now_ + object.skew}; }

  /// Clocks are behind, never ahead: what is over by one is over indeed.
  void move_clock(Object& object) {
    if (random_.chance(100)) object.skew = -std::int64_t{random_.below(24 * 60)} * minute;
    if (random_.chance(500)) object.skew = 0;
  }

  void arrive(Object& object) {
    for (auto left = random_.below(12); left > 0; --left) {
      const auto lane = random_.below(kinds);
      const UnixMillis at = clock(object);
      ++counts_.made;
      if (lane == run_lane) {
        Run run;
        run.started_at = at;
        run.heartbeat_at = at;
        object.running[next_++] = run;
        if (bug_ == Bug::prunes_running)
          put(object, lane, at.plus(seconds(600)).value, {Status::running, 0, 0});
        continue;
      }
      const Millis life{std::int64_t{random_.below(180)} * minute + 1};
      put(object, lane, expiry(at, life, at, {0}).expires_at.value, {});
    }
  }

  void put(Object& object, std::size_t lane, std::int64_t end, Row row) {
    object.lanes[lane][{end, next_++}] = row;
    if (row.status != Status::running) ++expected_[&object][row.day];
    object.alarm_at = std::min(object.alarm_at, end);
  }

  /// Runs give signs, end, or die and are reaped; only then does the record have an end.
  void live(Object& object) {
    for (auto it = object.running.begin(); it != object.running.end();) {
      Run& run = it->second;
      const UnixMillis at = clock(object);
      const auto chance = random_.below(10);
      if (chance < 6) run.heartbeat_at = at;
      const auto found = stale(run, {}, at);
      if (found.stale || chance == 9) {
        run.status = found.stale ? Status::errored : Status::completed;
        run.completed_at = found.stale ? found.completed_at : at;
        const auto plan = prune(run, {seconds(3'600), seconds(3'600), reconnect_window}, at);
        put(object, run_lane, plan.due_at.value, {run.status, plan.day, 0});
        it = object.running.erase(it);
      } else {
        ++it;
      }
    }
  }

  void sweep_all(Object& object) {
    const UnixMillis at = clock(object);
    Sweeper two[2];
    two[0].on = object.alarm_at <= now_;
    // Now and then the alarm comes twice, or the cron at the same time.
    two[1].on = two[0].on && random_.chance(2'000);
    while (two[0].on || two[1].on) {
      Sweeper& sweeper = two[random_.below(2)];
      if (!sweeper.on) continue;
      ++counts_.steps;
      if (random_.chance(100)) {
        // Crashed: only storage is left. The alarm comes again, or is lost, and then the next round
        // finds it.
        ++counts_.crashes;
        sweeper = {};
        sweeper.on = object.lost || random_.chance(5'000);
        object.lost = object.lost || !sweeper.on;
        object.alarm_at =
            bug_ == Bug::forgets_crash ? INT64_MAX : now_ + sweep_interval.value - minute;
        continue;
      }
      step(object, sweeper, at);
    }
  }

  void step(Object& object, Sweeper& sweeper, UnixMillis at) {
    if (sweeper.batch) {
      if (bug_ == Bug::counts_after) object.rollup[0] += sweeper.uncounted;
      sweeper.uncounted = 0;
      sweeper.removed = remove(object, sweeper, at);
      sweeper.batch.reset();
      return;
    }
    const Budget budget{60, 20};
    auto plan = sweep(every_lane, sweeper.cursor, sweeper.removed, budget, at, sweep_interval);
    sweeper.cursor = plan.cursor;
    sweeper.removed = 0;
    switch (plan.action) {
    case Sweeping::batch: sweeper.batch = plan; break;
    case Sweeping::paused:
      if (bug_ == Bug::forgets_alarm) {
        object.alarm_at = INT64_MAX;
        sweeper.on = false;
      }
      break;
    case Sweeping::finished:
      sweeper.on = false;
      object.lost = false;
      arm(object);
      break;
    }
  }

  /// At the first end, by the true clock, which is what alarms go by; at the latest with the next
  /// sweep.
  void arm(Object& object) {
    object.alarm_at = now_ + sweep_interval.value;
    for (const auto& lane : object.lanes) {
      if (!lane.empty())
        object.alarm_at = std::min(object.alarm_at, std::max(now_ + 1, lane.begin()->first.first));
    }
  }

  /// One transaction: what is removed is what is counted.
  std::uint32_t remove(Object& object, Sweeper& sweeper, UnixMillis at) {
    const Sweep& plan = *sweeper.batch;
    auto& lane = object.lanes[static_cast<std::size_t>(plan.lane)];
    std::int64_t before = plan.before.value;
    if (bug_ == Bug::sweeps_early) before = at.plus(sweep_interval).value;
    std::uint32_t gone = 0;
    while (gone < plan.limit && !lane.empty() && lane.begin()->first.first <= before) {
      const auto& [end, id] = lane.begin()->first;
      const Row row = lane.begin()->second;
      if (end > now_) ++counts_.early;
      if (row.status == Status::running) ++counts_.running_gone;
      if (bug_ == Bug::counts_after && row.day == 0)
        ++sweeper.uncounted;
      else
        ++object.rollup[row.day];
      lane.erase(lane.begin());
      ++gone;
    }
    if (bug_ == Bug::counts_asked) object.rollup[0] += plan.limit - gone;
    counts_.removed += gone;
    return gone;
  }

  /// Everybody has had a turn: what is past its end by the object's own clock?
  void look(Object& object) {
    const std::int64_t at = clock(object).value;
    for (auto& lane : object.lanes) {
      for (auto& [key, row] : lane) {
        // A clock that went back takes it back.
        if (key.first > at) row.over_since = 0;
        if (key.first > at) continue;
        if (row.over_since == 0) row.over_since = now_;
        counts_.latest = std::max(counts_.latest, now_ - row.over_since);
      }
    }
  }

  /// In the end: what was counted and what is left is everything that ended.
  void audit(const Object& object) {
    auto sums = object.rollup;
    for (const auto& lane : object.lanes) {
      for (const auto& [key, row] : lane) {
        if (row.status != Status::running) ++sums[row.day];
      }
    }
    auto expected = expected_[&object];
    for (const auto& [day, count] : sums) {
      if (count != 0) counts_.miscounted += std::abs(count - expected[day]);
      expected[day] = 0;
    }
    for (const auto& [day, count] : expected) counts_.miscounted += count;
  }

  Random random_;
  Bug bug_;
  std::vector<Object> objects_;
  std::map<const Object*, std::map<std::int64_t, std::int64_t>> expected_;
  Counts counts_;
  std::int64_t now_{begin};
  std::int64_t next_{0};
};

bool simulate(std::uint64_t seeds) {
  Counts all;
  std::uint64_t bad = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Counts counts = World{seed, Bug::none}.run();
    if (!counts.good()) {
      if (++bad == 1) std::printf("seed %" PRIu64 " is the first that fails\n", seed);
    }
    all.made += counts.made;
    all.removed += counts.removed;
    all.crashes += counts.crashes;
    all.steps += counts.steps;
    all.early += counts.early;
    all.miscounted += counts.miscounted;
    all.running_gone += counts.running_gone;
    all.latest = std::max(all.latest, counts.latest);
  }
  std::printf("%" PRIu64 " worlds, %" PRId64 " records, %" PRId64 " removed in %" PRId64
              " steps, %" PRId64 " crashes\n",
              seeds, all.made, all.removed, all.steps, all.crashes);
  std::printf("latest %" PRId64 " ms past its end (at most %" PRId64 "), %" PRId64
              " live ones removed, %" PRId64 " running ones, %" PRId64 " miscounted\n",
              all.latest, sweep_interval.value, all.early, all.running_gone, all.miscounted);
  return bad == 0 && all.removed > 0 && all.crashes > 0;
}

bool find_bugs(std::uint64_t seeds) {
  bool all = true;
  for (std::size_t bug = 1; bug < std::size(bug_names); ++bug) {
    std::uint64_t seed = 1;
    while (seed <= seeds && World{seed, static_cast<Bug>(bug)}.run().good()) ++seed;
    const bool found = seed <= seeds;
    std::printf("%-16s %s\n", bug_names[bug], found ? "found" : "NOT FOUND");
    if (found) std::printf("%-16s in world %" PRIu64 "\n", "", seed);
    all = all && found;
  }
  return all;
}

/// A row is planned when its end is computed; a sweep when it says what goes next.
double plan_all(std::size_t rows) {
  double best = 1e300;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    std::int64_t due = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      Run run;
      run.status = Status::completed;
      run.started_at = {begin};
      run.completed_at = UnixMillis{begin - static_cast<std::int64_t>(row) * 1'000};
      due += prune(run, {}, {begin}).remove ? 1 : 0;
    }
    Cursor cursor;
    std::uint32_t removed = 0;
    for (std::size_t left = rows;;) {
      const auto plan = sweep(1U << run_lane, cursor, removed, {}, {begin}, sweep_interval);
      cursor = plan.cursor;
      removed = 0;
      if (plan.action == Sweeping::finished) break;
      if (plan.action != Sweeping::batch) continue;
      removed = static_cast<std::uint32_t>(std::min<std::size_t>(plan.limit, left));
      left -= removed;
    }
    if (due < 0) std::abort();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

bool bench() {
  const std::size_t sizes[] = {10'000, 100'000, 1'000'000};
  double took[3];
  for (std::size_t i = 0; i < 3; ++i) {
    took[i] = plan_all(sizes[i]);
    std::printf("%8zu rows: %8.3f ms, %.1f M rows/s\n", sizes[i], took[i] * 1e3,
                static_cast<double>(sizes[i]) / took[i] / 1e6);
  }
  const double slope = std::log10(took[2] / took[0]) / 2;
  std::printf("slope %.3f (linear is 1)\n", slope);
  return slope < 1.2;
}

}  // namespace

int main(int count, char** words) {
  std::uint64_t seeds = 400;
  bool bugs = false;
  bool times = false;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(words[i], "--seeds") == 0 && i + 1 < count) {
      seeds = std::strtoull(words[++i], nullptr, 10);
    } else if (std::strcmp(words[i], "--bugs") == 0) {
      bugs = true;
    } else if (std::strcmp(words[i], "--bench") == 0) {
      times = true;
    } else {
      std::fprintf(stderr, "no such option: %s; known: --seeds --bugs --bench\n", words[i]);
      return 2;
    }
  }
  if (times) return bench() ? 0 : 1;
  return (bugs ? find_bugs(100) : simulate(seeds)) ? 0 : 1;
}
