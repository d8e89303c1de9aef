#include "support.hpp"

#include "latchkey/run.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace latchkey;
using namespace latchkey::retention;
using latchkey::test::Random;

namespace {

// Wide enough for every difference of two 64-bit numbers: the models below never saturate.
__extension__ using Wide = __int128;

constexpr std::int64_t minute = 60'000;
constexpr std::int64_t hour = 60 * minute;
constexpr std::int64_t day = 24 * hour;
constexpr UnixMillis t0{1'790'000'000'000};
constexpr std::int64_t lowest = INT64_MIN;
constexpr std::int64_t highest = INT64_MAX;

constexpr Status all_statuses[] = {Status::running, Status::completed, Status::errored,
                                   Status::truncated, Status::aborted};
constexpr Terminal all_ends[] = {Terminal::none,       Terminal::done,
                                 Terminal::error,      Terminal::missing_api_key,
                                 Terminal::loop_limit, Terminal::auto_continue};
constexpr Cause all_causes[] = {Cause::none,
                                Cause::run_terminal_event_missing,
                                Cause::stale_run,
                                Cause::connection_revoked,
                                Cause::reconnect_required,
                                Cause::idle_limit,
                                Cause::connection_idle,
                                Cause::erased};

constexpr UnixMillis at(std::int64_t offset) { return {t0.value + offset}; }

Run ended(Status status, std::optional<std::int64_t> completed, std::int64_t started) {
  Run run;
  run.status = status;
  run.started_at = at(started);
  if (completed) run.completed_at = at(*completed);
  return run;
}
Run running(std::int64_t started, std::optional<std::int64_t> heartbeat = {}) {
  Run run;
  run.started_at = at(started);
  if (heartbeat) run.heartbeat_at = at(*heartbeat);
  return run;
}

// Numbers near a boundary, on it, far away and at the ends of the range.
std::int64_t near(Random& random, std::int64_t window) {
  const std::int64_t around[] = {0, 1, -1, 2, -2, 1'000, -1'000};
  switch (random.below(4)) {
  case 0: return -window + random.pick(around);
  case 1: return -static_cast<std::int64_t>(random.below(static_cast<std::size_t>(20 * day)));
  case 2: return random.pick(around);
  default: return static_cast<std::int64_t>(random.below(static_cast<std::size_t>(2 * day))) - day;
  }
}

Run any_run(Random& random, std::int64_t window) {
  Run run;
  run.status = random.pick(all_statuses);
  run.in_flight = random.below(2) == 1;
  run.started_at = at(near(random, window));
  if (random.below(2) == 1) run.heartbeat_at = at(near(random, window));
  if (random.below(3) == 1) run.alive_at = at(near(random, window));
  if (random.below(2) == 1) run.completed_at = at(near(random, window));
  if (random.below(3) == 1) run.watched_since = at(near(random, window));
  return run;
}

// Models: the requirement's sentences one after another, in numbers that cannot overflow ----------

Wide age(UnixMillis since, UnixMillis now) { return Wide{now.value} - Wide{since.value}; }

UnixMillis model_since(const Run& run) {
  if (run.completed_at) return *run.completed_at;
  if (run.heartbeat_at) return *run.heartbeat_at;
  return run.started_at;
}

bool model_surfaces(const Run& run, UnixMillis now, Millis window) {
  if (run.status == Status::aborted) return false;
  return !(age(model_since(run), now) > window.value);
}

bool model_stale(const Run& run, const StaleRules& rules, UnixMillis now) {
  if (run.status != Status::running) return false;
  if (age(run.started_at, now) > rules.max_age.value) return true;
  const UnixMillis beat = run.heartbeat_at ? *run.heartbeat_at : run.started_at;
  Wide silence = age(beat, now);
  if (run.watched_since) silence = std::min(silence, age(*run.watched_since, now));
  if (silence <= rules.silence.value) return false;
  if (rules.exact || !run.in_flight) return true;
  Wide gap = age(run.started_at, now);
  if (run.heartbeat_at) gap = std::min(gap, age(*run.heartbeat_at, now));
  if (run.alive_at) gap = std::min(gap, age(*run.alive_at, now));
  if (run.watched_since) gap = std::min(gap, age(*run.watched_since, now));
  return gap > rules.liveness.value || silence > rules.in_flight.value;
}

bool model_prunes(const Run& run, const Windows& windows, UnixMillis now) {
  std::int64_t window = 0;
  switch (run.status) {
  case Status::running: return false;
  case Status::completed: window = windows.completed.value; break;
  case Status::errored:
  case Status::truncated:
  case Status::aborted: window = std::max(windows.completed.value, windows.unsuccessful.value);
  }
  window = std::max(window, windows.reconnect.value);
  return age(model_since(run), now) > window;
}

Why model_recover(const std::vector<Run>& runs, const Wanted& wanted, const RecoverRules& rules,
                  UnixMillis now) {
  if (!wanted.looked_up) return Why::unavailable;
  for (const Run& run : runs) {
    if (run.status == Status::running && !model_stale(run, rules.stale, now)) return Why::live;
  }
  for (const Run& run : runs) {
    if (run.status == Status::running) return Why::stale;
  }
  const Run* newest = nullptr;
  for (const Run& run : runs) {
    if (newest == nullptr || !(run.started_at.value < newest->started_at.value)) newest = &run;
  }
  if (newest != nullptr) {
    if (newest->status == Status::aborted) return Why::aborted;
    return model_surfaces(*newest, now, rules.window) ? Why::finished : Why::existed;
  }
  if (wanted.posted_at && age(now, *wanted.posted_at) > minute) return Why::clock_moved;
  if (wanted.posted_at && age(*wanted.posted_at, now) > rules.retention.value) {
    return Why::forgotten;
  }
  if (wanted.early_deaths >= 3) return Why::keeps_dying;
  if (wanted.attempts >= rules.max_attempts) return Why::attempts_spent;
  return Why::never_ran;
}

}  // namespace

TEST_CASE("T58 reconnect: a long run that has just ended is found again, at the exact end of the "
          "window too") {
  const auto eleven = ended(Status::completed, 11 * minute, 0);
  CHECK(reconnect(eleven, at(11 * minute + 2'000), {10 * minute}).surface);
  for (const auto status : {Status::completed, Status::errored, Status::truncated}) {
    const auto done = ended(status, 11 * minute, 0);
    const auto last = reconnect(done, at(31 * minute), reconnect_window);
    CHECK(last.surface);
    CHECK(last.reason == Found::finished);
    CHECK(last.since == at(11 * minute));
    const auto over = reconnect(done, at(31 * minute + 1), reconnect_window);
    CHECK_FALSE(over.surface);
    CHECK(over.reason == Found::window_passed);
  }
  auto legacy = ended(Status::completed, {}, 0);
  legacy.heartbeat_at = at(5 * minute);
  CHECK(reconnect(legacy, at(25 * minute), reconnect_window).surface);
  CHECK_FALSE(reconnect(legacy, at(25 * minute + 1), reconnect_window).surface);
  legacy.heartbeat_at.reset();
  CHECK(reconnect(legacy, at(20 * minute), reconnect_window).surface);
  CHECK_FALSE(reconnect(legacy, at(20 * minute + 1), reconnect_window).surface);
  // Longer than clients wait.
  STATIC_REQUIRE(reconnect_window.value > 15 * minute);
}

TEST_CASE("T59 reconnect: an aborted run is never surfaced, whatever its times") {
  for (const std::int64_t completed : {-day, std::int64_t{-1}, std::int64_t{0}, day}) {
    const auto found = reconnect(ended(Status::aborted, completed, -day), t0, {highest});
    CHECK_FALSE(found.surface);
    CHECK(found.reason == Found::aborted);
  }
}

TEST_CASE("T63 stale: a marker left behind by a dead process prolongs nothing") {
  auto run = running(0, 0);
  run.in_flight = true;
  CHECK(stale(run, {}, at(120'000)).reason == Life::in_flight);
  const auto latched = stale(run, {}, at(120'001));
  CHECK(latched.stale);
  CHECK(latched.reason == Life::latched);
  CHECK(latched.due_at == at(120'001));
  CHECK(latched.completed_at == at(0));
  // Signs of the process keep it, up to 14.5 minutes of silence of the work.
  run.alive_at = at(865'000);
  CHECK_FALSE(stale(run, {}, at(870'000)).stale);
  CHECK(stale(run, {}, at(870'001)).reason == Life::grace_spent);
  CHECK(stale(run, {}, at(870'001)).completed_at == at(865'000));
  // Without the marker the same signs say nothing about the work.
  run.in_flight = false;
  CHECK_FALSE(stale(run, {}, at(15'000)).stale);
  CHECK(stale(run, {}, at(15'001)).reason == Life::silent);
  // A caller's own number is exact.
  run.in_flight = true;
  StaleRules exact;
  exact.silence = {5'000};
  exact.exact = true;
  CHECK_FALSE(stale(run, exact, at(5'000)).stale);
  CHECK(stale(run, exact, at(5'001)).stale);
  // A longer window of its own is not cut by the marker's bound.
  StaleRules slow;
  slow.silence = {300'000};
  CHECK_FALSE(stale(running(0), slow, at(300'000)).stale);
  run.alive_at.reset();
  CHECK_FALSE(stale(run, slow, at(300'000)).stale);
  CHECK(stale(run, slow, at(300'001)).stale);
}

TEST_CASE("T61 T63 stale: every run ends, and the end lies at its last sign") {
  auto run = running(0, 7 * day - 1);
  CHECK_FALSE(stale(run, {}, at(7 * day)).stale);
  const auto old = stale(run, {}, at(7 * day + 1));
  CHECK(old.reason == Life::too_old);
  CHECK(old.completed_at == at(7 * day - 1));
  // No grace there.
  run.in_flight = true;
  CHECK(stale(run, {}, at(7 * day + 1)).stale);
  CHECK(stale(running(0), {}, at(20'000)).early);
  CHECK(stale(running(0, 20'000), {}, at(40'000)).early);
  CHECK_FALSE(stale(running(0, 20'001), {}, at(40'000)).early);
  // A heartbeat from a clock that was ahead: never later than now.
  StaleRules at_once;
  at_once.max_age = {0};
  CHECK(stale(running(-10, 5'000), at_once, t0).completed_at == t0);
  CHECK(stale_after(Phase::foreground) == seconds(15));
  CHECK(stale_after(Phase::background) == seconds(90));
  CHECK(stale_after(Phase::processing) == seconds(45));
  CHECK(stale_after(Phase::unclaimed) == seconds(25));
}

TEST_CASE("T60 terminal: the whole table; a log gets one terminal event and no second") {
  for (const auto status : all_statuses) {
    for (const auto end : all_ends) {
      for (const auto cause : all_causes) {
        CAPTURE(static_cast<int>(status), static_cast<int>(end), static_cast<int>(cause));
        const auto plan = terminal(status, {41, end}, cause);
        REQUIRE(plan);
        if (end != Terminal::none) {
          CHECK(plan->action == (status == Status::running ? Ending::reconcile : Ending::keep));
          CHECK(plan->kind == end);
          CHECK(plan->seq == 0);
          CHECK((status == Status::running || plan->status == status));
          CHECK(plan->status != Status::running);
          continue;
        }
        if (status == Status::running && cause == Cause::none) {
          CHECK(plan->action == Ending::wait);
          CHECK(plan->status == Status::running);
          continue;
        }
        CHECK(plan->action == Ending::append);
        CHECK(plan->seq == 42);
        CHECK(plan->kind != Terminal::none);
        CHECK((plan->kind == Terminal::error) == (plan->code != Cause::none));
        CHECK((plan->kind == Terminal::error) ==
              (status == Status::running || status == Status::errored));
        CHECK(plan->recoverable == (plan->code == Cause::stale_run));
        CHECK(plan->status == (status == Status::running ? Status::errored : status));
        // Carried out, it is the last of it.
        const auto again = terminal(plan->status, {plan->seq, plan->kind}, cause);
        REQUIRE(again);
        CHECK(again->action == Ending::keep);
      }
    }
  }
  CHECK(terminal(Status::errored, {0, Terminal::none}, Cause::none)->code ==
        Cause::run_terminal_event_missing);
  CHECK(terminal(Status::truncated, {0, Terminal::none}, Cause::none)->kind ==
        Terminal::loop_limit);
  CHECK(terminal(Status::running, {3, Terminal::auto_continue}, Cause::stale_run)->status ==
        Status::completed);
  CHECK(terminal(Status::running, {3, Terminal::missing_api_key}, Cause::stale_run)->status ==
        Status::errored);
  CHECK(terminal(Status::running, {3, Terminal::loop_limit}, Cause::stale_run)->status ==
        Status::truncated);
  CHECK(terminal(Status::completed, {max_seq - 1, Terminal::none}, Cause::none)->seq == max_seq);
  for (const std::uint64_t last : {max_seq, max_seq + 1, UINT64_MAX}) {
    CHECK(test::name(terminal(Status::completed, {last, Terminal::none}, Cause::none)) ==
          "claim_invalid");
  }
}

TEST_CASE(
    "T60 terminal: in any interleaving of three enders and the run itself the log has one end") {
  // Each ender reads the log and later appends, only if nothing came in between.
  struct Ender {
    Cause cause;
    std::optional<TerminalPlan> plan{};
  };
  std::size_t worlds = 0;
  for (unsigned order = 0; order < 65'536; ++order) {
    Ender enders[3] = {{Cause::stale_run}, {Cause::connection_revoked}, {Cause::idle_limit}};
    Log log{5, Terminal::none};
    Status status = Status::running;
    int ends = 0;
    bool real = false;
    const auto turn = [&](unsigned who) {
      if (who == 3) {
        // The run: one more event, then its own end.
        if (log.end != Terminal::none) return;
        ++log.last_seq;
        if (real) {
          log.end = Terminal::done;
          ++ends;
        }
        real = true;
        return;
      }
      Ender& ender = enders[who];
      if (!ender.plan) {
        ender.plan = *terminal(status, log, ender.cause);
        return;
      }
      const auto plan = *ender.plan;
      ender.plan.reset();
      if (plan.action == Ending::append && log.last_seq + 1 == plan.seq) {
        log = {plan.seq, plan.kind};
        status = plan.status;
        ++ends;
      } else if (plan.action == Ending::reconcile && status == Status::running) {
        status = plan.status;
      }
    };
    for (unsigned step = 0; step < 8; ++step) turn(order >> (2 * step) & 3U);
    for (unsigned step = 0; step < 12; ++step) turn(step / 4);
    CAPTURE(order);
    REQUIRE(ends == 1);
    REQUIRE(status != Status::running);
    ++worlds;
  }
  CHECK(worlds == 65'536);
}

TEST_CASE("T61 T62 prune: running rows stay, rows without completion go, unsuccessful ones stay as "
          "long as completed ones at least") {
  for (const std::int64_t old : {std::int64_t{0}, day, 400 * day}) {
    const auto kept = prune(running(-old), {}, t0);
    CHECK_FALSE(kept.remove);
    CHECK(kept.reason == Kept::running);
    CHECK(kept.due_at == UnixMillis{UnixMillis::max});
  }
  for (const auto status :
       {Status::completed, Status::errored, Status::truncated, Status::aborted}) {
    const std::int64_t window = status == Status::completed ? day : 7 * day;
    const auto exact = prune(ended(status, -window, -8 * day), {}, t0);
    CHECK_FALSE(exact.remove);
    CHECK(exact.reason == Kept::within_window);
    CHECK(exact.due_at == at(1));
    const auto over = prune(ended(status, -window - 1, -8 * day), {}, t0);
    CHECK(over.remove);
    CHECK(over.reason == Kept::window_passed);
    CHECK(over.due_at == t0);
    CHECK_FALSE(prune(ended(status, {}, -window), {}, t0).remove);
    const auto legacy = prune(ended(status, {}, -window - 1), {}, t0);
    CHECK(legacy.remove);
    CHECK(legacy.reason == Kept::no_completion);
  }
  Windows odd;
  odd.completed = {30 * day};
  odd.unsuccessful = {day};
  CHECK_FALSE(prune(ended(Status::errored, -30 * day, -31 * day), odd, t0).remove);
  CHECK(prune(ended(Status::errored, -30 * day - 1, -31 * day), odd, t0).remove);
  // 0 is a window like any other, and no shorter than the one in which clients come back.
  Windows none{{0}, {0}, reconnect_window};
  CHECK_FALSE(prune(ended(Status::completed, -20 * minute, -hour), none, t0).remove);
  CHECK(prune(ended(Status::completed, -20 * minute - 1, -hour), none, t0).remove);
  none.reconnect = {0};
  CHECK_FALSE(prune(ended(Status::completed, 0, -hour), none, t0).remove);
  CHECK(prune(ended(Status::completed, -1, -hour), none, t0).remove);
  CHECK(prune(ended(Status::completed, 0, 0), {}, t0).day == t0.value / day);
}

TEST_CASE("T59 T64 recover: the whole table, in any order of the runs") {
  const Wanted asked{true, {}, 0, 0};
  const auto why = [&](std::vector<Run> runs, const Wanted& wanted) {
    const auto found = recover(runs, wanted, {}, t0);
    CHECK(found.run.has_value() ==
          (found.action == Action::reconnect || found.action == Action::replay));
    return found.reason;
  };
  const auto live = running(-hour, -1);
  const auto dead = running(-hour, -minute);
  const auto done = ended(Status::completed, -1'000, -minute);
  const auto failed = ended(Status::errored, -1'000, -minute);
  const auto gone = ended(Status::completed, -20 * minute - 1, -hour);
  const auto stopped = ended(Status::aborted, -1'000, -500);

  CHECK(why({}, {}) == Why::unavailable);
  CHECK(why({live}, {}) == Why::unavailable);
  CHECK(why({live}, asked) == Why::live);
  CHECK(why({dead}, asked) == Why::stale);
  CHECK(why({done}, asked) == Why::finished);
  CHECK(why({failed}, asked) == Why::finished);
  CHECK(why({stopped}, asked) == Why::aborted);
  CHECK(why({gone}, asked) == Why::existed);
  CHECK(why({}, asked) == Why::never_ran);
  // A finished run in memory does not hide a live successor, nor does anything else.
  for (const auto& other : {done, failed, gone, stopped, dead}) {
    CHECK(why({live, other}, asked) == Why::live);
    CHECK(why({other, live}, asked) == Why::live);
    CHECK(recover(std::vector<Run>{other, live}, asked, {}, t0).run == 1U);
  }
  const auto older = running(-2 * hour, -1);
  CHECK(recover(std::vector<Run>{live, older}, asked, {}, t0).run == 0U);
  CHECK(recover(std::vector<Run>{older, live, live}, asked, {}, t0).run == 2U);
  // What a person stopped stays stopped, though an older one could be shown.
  CHECK(why({stopped, done}, asked) == Why::aborted);

  Wanted posted = asked;
  const auto with = [&](std::int64_t offset) {
    posted.posted_at = at(offset);
    return why({}, posted);
  };
  CHECK(with(0) == Why::never_ran);
  CHECK(with(minute) == Why::never_ran);
  CHECK(with(minute + 1) == Why::clock_moved);
  CHECK(with(-day) == Why::never_ran);
  CHECK(with(-day - 1) == Why::forgotten);
}

TEST_CASE("T65 recover: a budget is spent at equality, in every caller") {
  STATIC_REQUIRE(is_spent(5, 5));
  STATIC_REQUIRE_FALSE(is_spent(4, 5));
  STATIC_REQUIRE(is_spent(0, 0));
  for (std::uint32_t count = 0; count < 8; ++count) {
    const Wanted tried{true, {}, count, 0};
    CHECK((recover({}, tried, {}, t0).action == Action::post) == (count < max_attempts));
    const Wanted dying{true, {}, 0, count};
    CHECK((recover({}, dying, {}, t0).action == Action::post) == (count < max_early_deaths));
  }
}

TEST_CASE("T58 T59 T61 T62 T63 T64 runs: a million random cases against the slow model") {
  Random random{2'026};
  const std::int64_t windows[] = {0, 1, 15'000, 120'000, 870'000, 20 * minute, day, 7 * day};
  std::size_t surfaced = 0;
  std::size_t dead = 0;
  std::size_t pruned = 0;
  std::size_t posted = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::int64_t window = random.pick(windows);
    const Run run = any_run(random, window);
    const UnixMillis now = at(near(random, window));
    const Windows kept{{random.pick(windows)}, {random.pick(windows)}, {random.pick(windows)}};
    StaleRules rules;
    rules.silence = {random.pick(windows)};
    if (random.below(2) == 1) rules.liveness = {random.pick(windows)};
    if (random.below(2) == 1) rules.in_flight = {random.pick(windows)};
    if (random.below(2) == 1) rules.max_age = {random.pick(windows)};
    rules.exact = random.below(4) == 0;

    const auto found = reconnect(run, now, {window});
    const auto life = stale(run, rules, now);
    const auto prune_plan = prune(run, kept, now);
    bool good = found.surface == model_surfaces(run, now, {window}) &&
                found.since == model_since(run) && life.stale == model_stale(run, rules, now) &&
                prune_plan.remove == model_prunes(run, kept, now);
    // The moment at which the answer turns is the one that is told.
    if (run.status == Status::running) {
      good = good && stale(run, rules, life.due_at).stale &&
             !stale(run, rules, life.due_at.plus({-1})).stale;
      good = good && life.completed_at.value <= now.value;
      const bool old = age(run.started_at, now) > rules.max_age.value;
      good = good && life.late == (life.stale && !old && age(life.due_at, now) > 5'000);
    } else {
      good = good && prune(run, kept, prune_plan.due_at).remove &&
             !prune(run, kept, prune_plan.due_at.plus({-1})).remove;
    }
    // What can still be found again is not removed.
    good = good && !(prune_plan.remove && reconnect(run, now, kept.reconnect).surface);

    std::vector<Run> runs;
    for (auto left = random.below(4); left > 0; --left) runs.push_back(any_run(random, window));
    Wanted wanted{random.below(8) != 0,
                  {},
                  static_cast<std::uint32_t>(random.below(7)),
                  static_cast<std::uint32_t>(random.below(5))};
    if (random.below(2) == 1) wanted.posted_at = at(near(random, day));
    RecoverRules recovery;
    recovery.window = {window};
    recovery.stale = rules;
    const auto plan = recover(runs, wanted, recovery, now);
    good = good && plan.reason == model_recover(runs, wanted, recovery, now);
    // Nothing that is there is ever posted a second time.
    good = good && !(plan.action == Action::post && (!runs.empty() || !wanted.looked_up));
    if (plan.run) good = good && *plan.run < runs.size();
    if (!good) {
      CAPTURE(i);
      FAIL("differs from the model");
    }
    surfaced += found.surface ? 1U : 0U;
    dead += life.stale ? 1U : 0U;
    pruned += prune_plan.remove ? 1U : 0U;
    posted += plan.action == Action::post ? 1U : 0U;
  }
  // Both answers come up often.
  for (const std::size_t count : {surfaced, dead, pruned, posted}) {
    CHECK(count > 20'000);
    CHECK(count < 900'000);
  }
}

TEST_CASE("threat T35 runs: any 64-bit numbers, and a clock that goes backwards") {
  constexpr std::int64_t edges[] = {lowest,          lowest + 1,          -1,          0,      1,
                                    UnixMillis::max, UnixMillis::max + 1, highest - 1, highest};
  std::size_t cases = 0;
  for (const auto started : edges) {
    for (const auto other : edges) {
      for (const auto now : edges) {
        for (const auto window : edges) {
          for (const auto status : all_statuses) {
            Run run;
            run.status = status;
            run.in_flight = true;
            run.started_at = {started};
            run.heartbeat_at = UnixMillis{other};
            run.alive_at = UnixMillis{started};
            const bool over = age({other}, {now}) > window && Wide{window} < highest;
            const auto found = reconnect(run, {now}, {window});
            // Saturated, an age beyond 64 bits is the longest there is: longer than any window but
            // the longest.
            if (status != Status::aborted) CHECK(found.surface != over);
            const auto life = stale(run, {{window}, {window}, {window}, {window}, false}, {now});
            CHECK((life.reason == Life::ended) == (status != Status::running));
            static_cast<void>(prune(run, {{window}, {window}, {window}}, {now}));
            RecoverRules rules;
            rules.window = rules.retention = {window};
            static_cast<void>(recover({&run, 1}, {true, UnixMillis{other}, 0, 0}, rules, {now}));
            static_cast<void>(recover({}, {true, UnixMillis{other}, 0, 0}, rules, {now}));
            ++cases;
          }
        }
      }
    }
  }
  CHECK(cases == 9U * 9U * 9U * 9U * 5U);
  // An hour back, a day back: nothing gets older, so nothing is reaped, hidden or removed by it.
  for (const std::int64_t back : {std::int64_t{1}, hour, day}) {
    CHECK_FALSE(stale(running(0, 0), {}, at(-back)).stale);
    CHECK(reconnect(ended(Status::completed, 0, -1), at(-back), reconnect_window).surface);
    CHECK_FALSE(prune(ended(Status::completed, 0, -1), {}, at(-back)).remove);
  }
}

TEST_CASE("T59 runs: one for every key, one at a time in a thread") {
  for (unsigned bits = 0; bits < 8; ++bits) {
    CAPTURE(bits);
    const Asked asked{(bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0};
    const auto begun = begin(asked);
    if (asked.known) {
      CHECK(*begun == Begun::existing);
    } else if (asked.forgotten || asked.live) {
      CHECK(begun.error() == (asked.forgotten ? Errc::run_forgotten : Errc::run_active));
    } else {
      CHECK(*begun == Begun::start);
    }
  }
}

TEST_CASE("T60 runs: every event that may be offered, written once and never after the end") {
  constexpr LogLimits limits{4, 3};
  std::size_t written = 0;
  for (const auto status : all_statuses) {
    for (const auto end : all_ends) {
      for (std::uint64_t last = 0; last <= 5; ++last) {
        for (std::uint64_t known = 0; known <= 5; ++known) {
          for (std::uint64_t after = 0; after <= 6; ++after) {
            for (std::uint32_t size = 3; size <= 5; ++size) {
              for (const bool same : {false, true}) {
                Offered event;
                if (known > 0) event.known_seq = known;
                event.same = same;
                event.size = size;
                if (after > 0) event.after = after - 1;
                const auto found = append(status, {last, end}, event, limits);
                const bool live = status == Status::running && end == Terminal::none;
                if (known > 0 && same) {
                  CHECK((found && found->action == Appended::duplicate && found->seq == known));
                } else if (known > 0) {
                  CHECK(found.error() == Errc::event_conflict);
                } else if (size > 4) {
                  CHECK(found.error() == Errc::event_too_large);
                } else if (!live) {
                  CHECK(found.error() == Errc::run_ended);
                } else if (after > 0 && after - 1 != last) {
                  CHECK(found.error() == Errc::event_out_of_order);
                } else if (last >= 3) {
                  CHECK(found.error() == Errc::run_full);
                } else {
                  CHECK((found && found->action == Appended::append && found->seq == last + 1));
                  ++written;
                }
              }
            }
          }
        }
      }
    }
  }
  CHECK(written == 3U * 2U * 2U * 2U);
}
