#include "support.hpp"

#include "latchkey/retention.hpp"
#include "latchkey/run.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cmath>
#include <map>
#include <set>

using namespace latchkey;
using namespace latchkey::retention;
using latchkey::test::Random;

namespace {

constexpr UnixMillis t0{1'790'000'000'000};
constexpr std::int64_t minute = 60'000;
constexpr Millis fallback = seconds(24 * 3'600);

constexpr UnixMillis at(std::int64_t offset) { return {t0.value + offset}; }

Setting read(std::string_view text) { return setting(text, fallback, max_window); }

std::string ref(char digit) { return std::string(64, digit); }

std::vector<Fate> fates(const std::vector<Entry>& entries, std::string_view in_use,
                        std::uint32_t keep) {
  std::vector<Fate> out(entries.size());
  const auto surplus = keep_newest(entries, in_use, keep, digits_of_ref, out);
  CHECK(surplus == static_cast<std::size_t>(std::count(out.begin(), out.end(), Fate::surplus)));
  return out;
}

// A store with an index by end for each lane, as the driver's tables have it ----------------------

struct Row {
  std::int64_t id;
  Status status;
  std::int64_t day;
};

struct Store {
  std::map<std::pair<std::int64_t, std::int64_t>, Row> lanes[kinds];
  std::map<std::int64_t, std::int64_t> counted;  // by day: the rollup
  std::int64_t removed{0};
  std::int64_t early{0};  // removed before their end

  /// One transaction: what is removed is what is counted.
  std::uint32_t run(const Sweep& plan, UnixMillis now) {
    auto& lane = lanes[static_cast<std::size_t>(plan.lane)];
    std::uint32_t gone = 0;
    while (gone < plan.limit && !lane.empty() && lane.begin()->first.first <= plan.before.value) {
      if (lane.begin()->first.first > now.value) ++early;
      ++counted[lane.begin()->second.day];
      lane.erase(lane.begin());
      ++gone;
    }
    removed += gone;
    return gone;
  }
  [[nodiscard]] std::int64_t overdue(UnixMillis now) const {
    std::int64_t most = 0;
    for (const auto& lane : lanes) {
      if (!lane.empty()) most = std::max(most, now.value - lane.begin()->first.first);
    }
    return most;
  }
  [[nodiscard]] std::size_t size() const {
    std::size_t out = 0;
    for (const auto& lane : lanes) out += lane.size();
    return out;
  }
};

constexpr std::uint16_t every_lane = (1U << kinds) - 1;

/// A sweep that can stop between its steps.
struct Sweeper {
  Cursor cursor{};
  std::uint32_t removed{0};
  std::optional<Sweep> batch{};
  UnixMillis due{t0};

  /// Plans or carries out; false when nothing is due.
  bool step(Store& store, const Budget& budget, UnixMillis now) {
    if (now.value < due.value) return false;
    if (batch) {
      removed = store.run(*batch, now);
      batch.reset();
      return true;
    }
    const auto plan = sweep(every_lane, cursor, removed, budget, now, sweep_interval);
    cursor = plan.cursor;
    removed = 0;
    if (plan.action == Sweeping::batch) batch = plan;
    due = plan.next_at;
    return plan.action != Sweeping::finished;
  }
};

}  // namespace

TEST_CASE("T57 setting: only plain digits are a length of time") {
  struct Bad {
    std::string_view text;
    Taken reason;
  };
  for (const auto& bad : {Bad{"", Taken::blank},
                          Bad{" ", Taken::blank},
                          Bad{"\t\r\n ", Taken::blank},
                          Bad{"abc", Taken::not_a_number},
                          Bad{"-1", Taken::negative},
                          Bad{"-0", Taken::negative},
                          Bad{"NaN", Taken::not_a_number},
                          Bad{"Infinity", Taken::not_a_number},
                          Bad{"-Infinity", Taken::not_a_number},
                          Bad{"1e999", Taken::not_a_number},
                          Bad{"1e3", Taken::not_a_number},
                          Bad{"1.5", Taken::not_a_number},
                          Bad{"+1", Taken::not_a_number},
                          Bad{" 1", Taken::not_a_number},
                          Bad{"1 ", Taken::not_a_number},
                          Bad{"1_000", Taken::not_a_number},
                          Bad{"00", Taken::not_a_number},
                          Bad{"01", Taken::not_a_number},
                          Bad{"0x10", Taken::not_a_number},
                          Bad{"-", Taken::not_a_number},
                          Bad{"--1", Taken::not_a_number},
                          Bad{"1000ms", Taken::not_a_number},
                          Bad{"null", Taken::not_a_number},
                          Bad{"false", Taken::not_a_number},
                          Bad{"34560000001", Taken::too_large},
                          Bad{"9223372036854775807", Taken::too_large},
                          Bad{"9223372036854775808", Taken::too_large},
                          Bad{"99999999999999999999999999999999999999", Taken::too_large},
                          Bad{std::string_view{"5\0", 2}, Taken::not_a_number}}) {
    CAPTURE(bad.text);
    const auto found = read(bad.text);
    CHECK(found.value == fallback);
    CHECK(found.reason == bad.reason);
  }
  const auto none = setting({}, fallback, max_window);
  CHECK(none.value == fallback);
  CHECK(none.reason == Taken::unset);
  const auto zero = read("0");
  CHECK(zero.value.value == 0);
  CHECK(zero.reason == Taken::set);
  CHECK(read("1").value.value == 1);
  CHECK(read("34560000000").value == max_window);
  CHECK(setting("9999999999999999", fallback, {INT64_MAX}).value.value == 9'999'999'999'999'999);
  CHECK(setting("10", fallback, {10}).reason == Taken::set);
  CHECK(setting("11", fallback, {10}).reason == Taken::too_large);
}

TEST_CASE("T57 setting: of any text, either its own number or the fallback") {
  Random random{57};
  constexpr std::string_view letters = "0123456789-+. eEx\tn";
  std::size_t taken = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string text;
    for (auto left = random.below(7); left > 0; --left) {
      text += letters[random.below(random.below(2) == 0 ? 10 : letters.size())];
    }
    const auto found = read(text);
    const bool plain = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos &&
                       (text == "0" || text[0] != '0');
    const bool good = plain
                          ? found.reason == Taken::set && std::to_string(found.value.value) == text
                          : found.reason != Taken::set && found.value == fallback;
    if (!good) FAIL(text);
    taken += plain ? 1U : 0U;
  }
  CHECK(taken > 10'000);
}

TEST_CASE(
    "threat T35 expiry: over at exactly its end, and the store's own end never comes before") {
  const auto record = expiry(t0, seconds(300), at(1), {0});
  CHECK(record.expires_at == at(300'000));
  CHECK(record.physical == seconds(300));
  CHECK_FALSE(expiry(t0, seconds(300), at(299'999), {0}).expired);
  CHECK(expiry(t0, seconds(300), at(300'000), {0}).expired);
  CHECK(expiry(t0, seconds(10), t0, seconds(60)).physical == seconds(60));
  CHECK(expiry(t0, seconds(10), t0, seconds(60)).expires_at == at(10'000));
  CHECK(expiry(t0, {60'001}, t0, seconds(60)).physical == seconds(61));
  // A clock that went backwards keeps it for longer, never for shorter.
  CHECK(expiry(t0, seconds(300), at(-5'000), {0}).physical == seconds(305));
  constexpr std::int64_t edges[] = {INT64_MIN, -1, 0, 1, 999, 1'000, UnixMillis::max, INT64_MAX};
  for (const auto made : edges) {
    for (const auto ttl : edges) {
      for (const auto now : edges) {
        for (const auto min : edges) {
          const auto end = expiry({made}, {ttl}, {now}, {min});
          CHECK(end.physical.value % 1'000 == 0);
          CHECK(end.physical.value >= 0);
          CHECK(end.expired == (end.expires_at.value <= now));
          if (now >= 0 && now <= UnixMillis::max) {
            CHECK(end.physical.value >= end.expires_at.value - now);
          }
        }
      }
    }
  }
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    CHECK(lifetime(static_cast<Kind>(kind)).value > 0);
  }
  // A state that was used up is remembered for longer than it can be shown again.
  CHECK(lifetime(Kind::consumed_state).value > 600'000 + 60'000);
}

TEST_CASE(
    "T66 keep newest: the one in use is never removed and counts, foreign names are not touched") {
  const std::string a = ref('a');
  const std::string b = ref('b');
  const std::string c = ref('c');
  const std::string d = ref('d');
  const std::vector<Entry> four = {{a, at(1)}, {b, at(2)}, {c, at(3)}, {d, at(4)}};
  using F = Fate;
  CHECK(fates(four, "", 3) == std::vector{F::surplus, F::newest, F::newest, F::newest});
  CHECK(fates(four, a, 3) == std::vector{F::is_protected, F::surplus, F::newest, F::newest});
  CHECK(fates(four, d, 3) == std::vector{F::surplus, F::newest, F::newest, F::is_protected});
  CHECK(fates(four, a, 0) == std::vector{F::is_protected, F::surplus, F::surplus, F::surplus});
  CHECK(fates(four, a, 1) == std::vector{F::is_protected, F::surplus, F::surplus, F::surplus});
  CHECK(fates(four, "", 0) == std::vector(4, F::surplus));
  CHECK(fates(four, "", 9) == std::vector(4, F::newest));
  std::string upper = a;
  upper[63] = 'A';
  std::string long_name = a + "a";
  std::string short_name = a.substr(1);
  std::string dotted = a;
  dotted[0] = '.';
  for (const std::string_view foreign :
       {std::string_view{""}, std::string_view{upper}, std::string_view{long_name},
        std::string_view{short_name}, std::string_view{dotted}, std::string_view{"manifest.json"},
        std::string_view{".."}}) {
    // Nothing foreign counts, not even when it is said to be in use.
    CHECK(fates({{foreign, at(9)}, {a, at(1)}, {b, at(2)}}, foreign, 1) ==
          std::vector{F::foreign, F::surplus, F::newest});
  }
  CHECK(fates({{a, t0}, {b, t0}, {c, t0}}, "", 1) ==
        std::vector{F::surplus, F::surplus, F::newest});

  Random random{66};
  for (int i = 0; i < 2'000; ++i) {
    std::vector<std::string> names;
    std::vector<Entry> entries;
    for (auto left = random.below(16); left > 0; --left) {
      std::string name = ref('0');
      for (std::size_t digit = 0; digit < 3; ++digit)
        name[digit] = "0123456789abcdef"[random.below(16)];
      if (random.below(8) == 0) name += "x";
      names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (const auto& name : names) {
      entries.push_back({name, at(static_cast<std::int64_t>(random.below(6)))});
    }
    const std::string in_use = names.empty() ? "" : random.pick(names);
    const auto keep = static_cast<std::uint32_t>(random.below(6));
    const auto found = fates(entries, in_use, keep);
    // The model sorts.
    std::vector<Entry> ours;
    for (const auto& entry : entries) {
      if (entry.name.size() == 64) ours.push_back(entry);
    }
    std::sort(ours.begin(), ours.end(), [](const Entry& x, const Entry& y) {
      return std::pair{x.modified_at.value, x.name} > std::pair{y.modified_at.value, y.name};
    });
    std::set<std::string_view> stays;
    for (const auto& entry : ours) {
      if (entry.name == in_use) stays.insert(entry.name);
    }
    for (const auto& entry : ours) {
      if (stays.size() < keep) stays.insert(entry.name);
    }
    for (std::size_t e = 0; e < entries.size(); ++e) {
      const bool foreign = entries[e].name.size() != 64;
      CHECK((found[e] == Fate::foreign) == foreign);
      CHECK((found[e] == Fate::surplus) == (!foreign && !stays.contains(entries[e].name)));
    }
  }
}

TEST_CASE("T72 changed: an unknown previous ref is everything, and nothing fetched is no change") {
  for (const char* previous : {"", "a", "b"}) {
    for (const bool kept : {false, true}) {
      CHECK(changed("", previous, kept).error() == Errc::claim_invalid);
      const auto found = changed("a", previous, kept);
      REQUIRE(found);
      const bool same = std::string_view{previous} == "a";
      const bool compared = kept && std::string_view{previous} == "b";
      CHECK(*found == (same ? Changed::nothing : compared ? Changed::listed : Changed::everything));
    }
  }
}

TEST_CASE("T70 orphan: every feed there can be") {
  for (unsigned bits = 0; bits < 64; ++bits) {
    const auto has = [&](unsigned bit) { return (bits >> bit & 1U) != 0; };
    const Feed feed{has(0) ? Activity::active : Activity::other,
                    has(1) ? Activity::active : Activity::other,
                    has(2),
                    has(3),
                    has(4),
                    has(5)};
    const auto found = orphan(feed);
    CAPTURE(bits);
    const bool scheduled = has(0) && has(1) && !has(4);
    CHECK((found.action == Orphaned::soft_delete) == (scheduled && !has(2) && !has(3)));
    CHECK((found.action == Orphaned::run) == (scheduled && (has(2) || has(3))));
    CHECK((found.action == Orphaned::restore) == (has(4) && has(5)));
  }
  // Taken out, asked back, and it runs as soon as there is a definition again.
  Feed feed{Activity::active, Activity::active, false, false, false, false};
  CHECK(orphan(feed).action == Orphaned::soft_delete);
  feed.deleted = true;
  CHECK(orphan(feed).reason == OrphanReason::deleted);
  feed.restore = true;
  CHECK(orphan(feed).action == Orphaned::restore);
  feed.deleted = feed.restore = false;
  feed.defined = true;
  CHECK(orphan(feed).action == Orphaned::run);
}

TEST_CASE("T73 links: a connection that waits for another link does not end with this one") {
  for (const auto stored : {LinkState::pending, LinkState::completed, LinkState::expired}) {
    for (const bool other : {false, true}) {
      for (const std::int64_t now : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}}) {
        const auto found = link(stored, t0, other, at(now));
        const bool over = stored == LinkState::pending && now >= 0;
        CHECK(found.end_connection == (over && !other));
        CHECK(found.state == (over ? LinkState::expired : stored));
      }
    }
  }
  CHECK(link(LinkState::completed, t0, false, at(1)).reason == LinkReason::settled);
  CHECK(link(LinkState::pending, t0, true, t0).reason == LinkReason::others_pending);
  CHECK(resumes("login_expired", "login_expired"));
  CHECK_FALSE(resumes("by_person", "login_expired"));
  CHECK_FALSE(resumes("", ""));
  CHECK_FALSE(resumes("", "login_expired"));
  CHECK_FALSE(resumes("login_expired ", "login_expired"));
}

TEST_CASE(
    "T49 erase: all outcomes of all steps; revoking comes before the rows, and nothing before "
    "the block") {
  std::size_t worlds = 0;
  for (std::uint32_t code = 0; code < 65'536; ++code) {
    Erased outcomes[erase_steps];
    std::optional<std::size_t> pending;
    bool failed = false;
    for (std::size_t i = 0; i < erase_steps; ++i) {
      outcomes[i] = static_cast<Erased>(code >> (2 * i) & 3U);
      if (outcomes[i] == Erased::pending && !pending) pending = i;
      failed = failed || (outcomes[i] == Erased::failed && i != 1);
    }
    const auto plan = erase(outcomes);
    bool good = true;
    if (outcomes[0] == Erased::failed) {
      good = plan.action == Erasing::again && plan.reason == EraseReason::not_blocked;
    } else if (pending) {
      good = plan.action == Erasing::step && static_cast<std::size_t>(plan.step) == *pending;
    } else if (failed) {
      good = plan.action == Erasing::again && plan.reason == EraseReason::partial;
    } else {
      good = plan.action == Erasing::finished &&
             plan.reason ==
                 (outcomes[1] == Erased::failed ? EraseReason::not_revoked : EraseReason::complete);
    }
    for (std::size_t i = 0; i < erase_steps; ++i) {
      const bool erased = outcomes[i] == Erased::done || outcomes[i] == Erased::absent;
      good = good && ((plan.erased >> i & 1) != 0) == erased &&
             ((plan.failed >> i & 1) != 0) == (outcomes[i] == Erased::failed);
    }
    if (!good) {
      CAPTURE(code);
      FAIL("not what the table says");
    }
    ++worlds;
  }
  CHECK(worlds == 65'536);
}

TEST_CASE("T65 sweep: a budget is spent at equality, and never exceeded") {
  for (const std::uint32_t rows : {0U, 1U, 7U, 200U, 201U}) {
    for (const std::uint32_t batch : {0U, 1U, 7U, 300U}) {
      Cursor cursor;
      std::uint32_t removed = 0;
      std::uint32_t total = 0;
      for (int steps = 0;; ++steps) {
        REQUIRE(steps < 1'000);
        const auto plan = sweep(every_lane, cursor, removed, {rows, batch}, t0, sweep_interval);
        cursor = plan.cursor;
        if (plan.action == Sweeping::paused) break;
        REQUIRE(plan.action == Sweeping::batch);
        REQUIRE(plan.limit >= 1);
        REQUIRE(plan.limit <= std::max(batch, 1U));
        removed = plan.limit;
        total += removed;
      }
      CHECK(total == rows);
      CHECK(cursor.open);
      // The next one goes on, it does not begin again.
      if (rows == 0) continue;
      CHECK(sweep(every_lane, cursor, 0, {rows, batch}, t0, sweep_interval).action ==
            Sweeping::batch);
    }
  }
}

TEST_CASE("T65 sweep: no lane starves behind a long one") {
  Cursor cursor;
  std::uint32_t removed = 0;
  std::map<Kind, int> turns;
  // The first lane never ends; each other one has three batches.
  for (int i = 0; i < 400; ++i) {
    const auto plan = sweep(every_lane, cursor, removed, {5, 1}, t0, sweep_interval);
    cursor = plan.cursor;
    removed = 0;
    if (plan.action != Sweeping::batch) continue;
    const int turn = ++turns[plan.lane];
    removed = plan.lane == Kind::consumed_state || turn <= 3 ? plan.limit : 0;
  }
  CHECK(turns.size() == kinds);
  for (const auto& [lane, count] : turns) CHECK(count >= 4);
}

TEST_CASE("T62 threat T34 sweep: any numbers are a cursor, and it ends") {
  Random random{62};
  for (int i = 0; i < 50'000; ++i) {
    Cursor cursor{static_cast<std::uint16_t>(random.below(65'536)), random.byte(),
                  random.below(2) == 1, static_cast<std::uint32_t>(random.below(400)),
                  random.below(2) == 1 ? UINT32_MAX : 5};
    const auto lanes = static_cast<std::uint16_t>(random.below(65'536));
    std::uint32_t removed = random.below(2) == 1 ? UINT32_MAX : 0;
    int pauses = 0;
    for (int steps = 0;; ++steps) {
      REQUIRE(steps < 100);
      const auto plan = sweep(lanes, cursor, removed, {}, t0, sweep_interval);
      cursor = plan.cursor;
      removed = 0;
      REQUIRE(plan.before == t0);
      if (plan.action == Sweeping::finished) {
        REQUIRE(plan.next_at == t0.plus(sweep_interval));
        break;
      }
      if (plan.action == Sweeping::paused) REQUIRE(++pauses <= 2);
      if (plan.action == Sweeping::batch) {
        REQUIRE((lanes >> static_cast<unsigned>(plan.lane) & 1) != 0);
      }
    }
  }
}

TEST_CASE("T61 T62 threat T34 sweep: two at the same time, with crashes and doubled alarms, count "
          "each row "
          "once, remove nothing early and leave nothing late") {
  std::int64_t sweeps = 0;
  std::int64_t rows = 0;
  std::int64_t latest = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Random random{seed};
    Store store;
    Sweeper sweepers[2];
    std::map<std::int64_t, std::int64_t> made;  // by day: what the counters must say in the end
    std::int64_t next_id = 0;
    std::int64_t running = 0;
    const Budget budget{40, 10};
    for (std::int64_t tick = 0; tick < 24 * 60; ++tick) {
      const UnixMillis now = at(tick * minute);
      for (auto left = tick < 20 * 60 ? random.below(8) : 0; left > 0; --left) {
        const auto kind = static_cast<Kind>(random.below(kinds));
        Run run;
        run.status = random.below(9) == 0 ? Status::running : Status::completed;
        run.started_at = now;
        run.completed_at = now;
        std::int64_t end = 0;
        std::int64_t day = 0;
        if (kind == Kind::run) {
          const auto plan = prune(run, {seconds(3'600), seconds(3'600), reconnect_window}, now);
          if (run.status == Status::running) {
            ++running;
            store.lanes[static_cast<std::size_t>(kind)][{plan.due_at.value, next_id}] = {
                next_id, run.status, 0};
            ++next_id;
            continue;
          }
          end = plan.due_at.value;
          day = plan.day;
        } else {
          end = expiry(now, {static_cast<std::int64_t>(random.below(180)) * minute}, now, {0})
                    .expires_at.value;
        }
        ++made[day];
        store.lanes[static_cast<std::size_t>(kind)][{end, next_id}] = {next_id, run.status, day};
        ++next_id;
      }
      // Any order of the two sweeps' steps, until neither has anything to do now.
      for (unsigned idle = 0; idle != 3;) {
        const std::size_t who = random.below(2);
        Sweeper& sweeper = sweepers[who];
        const bool acted = sweeper.step(store, budget, now);
        idle = acted ? 0 : idle | 1U << who;
        sweeps += acted ? 1 : 0;
        if (random.below(200) == 0) sweeper = {};  // crashed: the alarm comes again
        if (random.below(200) == 0 && sweeper.batch) store.run(*sweeper.batch, now);  // doubled
      }
      latest = std::max(latest, store.overdue(now));
    }
    rows += store.removed;
    CHECK(store.early == 0);
    // What is left is what runs.
    CHECK(store.size() == static_cast<std::size_t>(running));
    CHECK(store.counted == made);
  }
  CHECK(latest <= sweep_interval.value);
  WARN("sweeps: " << sweeps << " steps, " << rows << " rows, latest " << latest << " ms of "
                  << sweep_interval.value << " ms");
}

TEST_CASE("threat T35 retention: planning a sweep takes time in proportion to the rows") {
  using Clock = std::chrono::steady_clock;
  double took[3];
  std::int64_t due = 0;
  const std::size_t sizes[] = {10'000, 100'000, 1'000'000};
  for (std::size_t s = 0; s < 3; ++s) {
    double best = 1e300;
    for (int round = 0; round < 3; ++round) {
      const auto begin = Clock::now();
      Cursor cursor;
      std::uint32_t removed = 0;
      std::size_t left = sizes[s];
      std::size_t steps = 0;
      for (std::size_t row = 0; row < sizes[s]; ++row) {
        Run run;
        run.status = Status::completed;
        run.completed_at = at(-static_cast<std::int64_t>(row) * 1'000);
        due += prune(run, {}, t0).remove ? 1 : 0;
      }
      for (;;) {
        const auto plan = sweep(1U << 4, cursor, removed, {}, t0, sweep_interval);
        cursor = plan.cursor;
        removed = 0;
        ++steps;
        if (plan.action == Sweeping::finished) break;
        if (plan.action != Sweeping::batch) continue;
        removed = static_cast<std::uint32_t>(std::min<std::size_t>(plan.limit, left));
        left -= removed;
      }
      // A step for each batch, a pause for each budget, and two to see that nothing is left.
      CHECK(steps <= sizes[s] / 200 + sizes[s] / 2'000 + 2);
      best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
    }
    took[s] = best;
  }
  const double slope = std::log10(took[2] / took[0]) / 2;
  CHECK(slope < 1.5);
  CHECK(due > 0);
  WARN("planning: slope " << slope << ", " << static_cast<double>(sizes[2]) / took[2] / 1e6
                          << " M rows/s");
}
