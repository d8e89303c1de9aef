// Rows, settings and clocks as anybody may have left them: the answers hold together, whatever the
// numbers are.
#include "fuzz.hpp"

#include "latchkey/rate.hpp"
#include "latchkey/retention.hpp"
#include "latchkey/run.hpp"
#include "latchkey/schedule.hpp"

#include <cstring>

using namespace latchkey;
using namespace latchkey::fuzz;
using namespace latchkey::retention;

namespace {

class Numbers {
public:
  explicit Numbers(Input& input) : input_{input} {}

  /// A moment near a common one, an end of the range, or any 64-bit number.
  std::int64_t any() {
    constexpr std::int64_t edges[] = {
        0, -1, 1, UnixMillis::max, INT64_MAX, INT64_MIN, 1'790'000'000'000};
    const std::uint8_t kind = input_.byte();
    if (kind < 0x40) return edges[kind % std::size(edges)];
    if (kind < 0xd0) return 1'790'000'000'000 - static_cast<std::int64_t>(input_.number(4));
    const std::uint64_t high = input_.number(4);
    return static_cast<std::int64_t>(high << 32 | input_.number(4));
  }
  UnixMillis at() { return {any()}; }
  std::optional<UnixMillis> maybe() {
    if (input_.byte() < 0x60) return {};
    return at();
  }
  /// A length of time.
  Millis length() {
    const std::uint8_t kind = input_.byte();
    if (kind < 0xc0) return {static_cast<std::int64_t>(input_.number(4))};
    return {any()};
  }
  bool flip() { return input_.byte() % 2 == 1; }
  std::uint8_t below(unsigned bound) { return static_cast<std::uint8_t>(input_.byte() % bound); }

private:
  Input& input_;
};

Run run_of(Numbers& n) {
  Run run;
  run.status = static_cast<Status>(1 + n.below(5));
  run.in_flight = n.flip();
  run.started_at = n.at();
  run.heartbeat_at = n.maybe();
  run.alive_at = n.maybe();
  run.completed_at = n.maybe();
  run.watched_since = n.maybe();
  return run;
}

bool is_moment(UnixMillis at) { return at.value >= 0 && at.value <= UnixMillis::max; }

void check_runs(Numbers& n) {
  Run runs[3] = {run_of(n), run_of(n), run_of(n)};
  const UnixMillis now = n.at();
  const Windows windows{n.length(), n.length(), n.length()};
  RecoverRules rules;
  rules.window = windows.reconnect;
  rules.stale = {n.length(), n.length(), n.length(), n.length(), n.flip()};
  for (const Run& run : runs) {
    const auto found = reconnect(run, now, windows.reconnect);
    const auto life = stale(run, rules.stale, now);
    const auto kept = prune(run, windows, now);
    LK_CHECK(!(kept.remove && found.surface));
    LK_CHECK(run.status == Status::running ? !kept.remove : !life.stale);
    LK_CHECK(is_moment(life.due_at) && is_moment(kept.due_at));
    if (!life.stale && run.status == Status::running && is_moment(now)) {
      LK_CHECK(now.value < life.due_at.value || life.due_at.value == UnixMillis::max);
    }
    if (life.stale) LK_CHECK(life.completed_at.value <= now.value);
    const Log log{n.flip() ? max_seq : n.below(9), static_cast<Terminal>(n.below(6))};
    const auto plan = terminal(run.status, log, static_cast<Cause>(n.below(6)));
    if (!plan) continue;
    if (plan->action == Ending::append) {
      LK_CHECK(plan->seq == log.last_seq + 1 && log.end == Terminal::none);
    }
    if (plan->action != Ending::wait) LK_CHECK(plan->status != Status::running);
  }
  const std::size_t count = n.below(4);
  const Wanted wanted{n.flip(), n.maybe(), n.below(7), n.below(5)};
  const auto plan = recover({runs, count}, wanted, rules, now);
  LK_CHECK(plan.action != Action::post || (count == 0 && wanted.looked_up));
  LK_CHECK(!plan.run || *plan.run < count);
}

void check_rates(Numbers& n) {
  const UnixMillis now = n.at();
  const RateRules rules{n.below(6), n.length()};
  const auto rate = rate_limit({n.at(), n.below(9)}, n.flip(), rules, now);
  LK_CHECK(rate.allow == (rate.retry_after.value == 0) && rate.retry_after.value >= 0);
  const std::uint32_t entries = n.below(9);
  const auto seen = dedupe(n.maybe(), entries, now, n.length(), n.below(9));
  LK_CHECK(seen.evict <= entries && (seen.forward || seen.evict == 0));
  const auto end = expiry(n.at(), n.length(), now, n.length());
  LK_CHECK(is_moment(end.expires_at) && end.physical.value >= 0 && end.physical.value % 1'000 == 0);
  Cursor cursor{static_cast<std::uint16_t>(n.any() & 0xffff), n.below(256), n.flip(), n.below(256),
                n.below(256)};
  const Budget budget{n.below(64), n.below(16)};
  const auto lanes = static_cast<std::uint16_t>(n.any() & 0xffff);
  std::uint32_t removed = n.below(256);
  // Of every cursor, an end: each lane gives nothing more after this.
  for (int steps = 0;; ++steps) {
    LK_CHECK(steps < 64);
    const auto plan = sweep(lanes, cursor, removed, budget, now, seconds(1));
    cursor = plan.cursor;
    removed = 0;
    LK_CHECK(plan.before == now);
    if (plan.action == Sweeping::finished || budget.rows == 0) break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const Octets text = input.text();
  const Octets name = input.text();
  Numbers n{input};
  const auto read = setting(text_of(text), seconds(5), max_window);
  LK_CHECK(read.value.value >= 0 && read.value.value <= max_window.value);
  LK_CHECK(read.reason == Taken::set || read.value == seconds(5));
  const auto plan = schedule({text_of(text), n.at(), n.maybe(), n.maybe(), n.flip()}, n.at());
  if (plan.next_at) LK_CHECK(is_moment(*plan.next_at) && plan.action == Advance::tick);
  const auto place = bucket(text_of(text));
  LK_CHECK(!place.empty());
  const Entry entries[] = {{text_of(text), n.at()}, {text_of(name), n.at()}};
  Fate fates[2];
  static_cast<void>(keep_newest(entries, text_of(name), n.below(3), 1 + n.below(4), fates));
  LK_CHECK(fates[1] == Fate::is_protected || fates[1] == Fate::foreign);
  const std::string_view parts[] = {text_of(text), text_of(name)};
  LK_CHECK(fingerprint(parts).view().size() == 32);
  check_runs(n);
  check_rates(n);
  return 0;
}
