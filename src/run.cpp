#include "latchkey/run.hpp"

namespace latchkey::retention {
namespace {

constexpr std::int64_t ms_of_day = 86'400'000;
constexpr Millis tick{1};

constexpr Millis longer(Millis a, Millis b) noexcept { return a.value < b.value ? b : a; }
constexpr UnixMillis later(UnixMillis a, UnixMillis b) noexcept {
  return a.value < b.value ? b : a;
}
constexpr UnixMillis sooner(UnixMillis a, UnixMillis b) noexcept {
  return a.value < b.value ? a : b;
}

constexpr bool is_over(UnixMillis since, Millis window, UnixMillis now) noexcept {
  return since.until(now).value > window.value;
}

UnixMillis beat_of(const Run& run) noexcept { return run.heartbeat_at.value_or(run.started_at); }
UnixMillis end_of(const Run& run) noexcept { return run.completed_at.value_or(beat_of(run)); }
UnixMillis sign_of(const Run& run) noexcept {
  return later(later(run.started_at, beat_of(run)), run.alive_at.value_or(UnixMillis{}));
}

constexpr Status status_after(Terminal end) noexcept {
  switch (end) {
  case Terminal::none: return Status::running;
  case Terminal::done:
  case Terminal::auto_continue: return Status::completed;
  case Terminal::loop_limit: return Status::truncated;
  case Terminal::error:
  case Terminal::missing_api_key: return Status::errored;
  }
  __builtin_trap();
}

constexpr Terminal end_for(Status status) noexcept {
  switch (status) {
  case Status::completed:
  case Status::aborted: return Terminal::done;
  case Status::truncated: return Terminal::loop_limit;
  case Status::running:
  case Status::errored: return Terminal::error;
  }
  __builtin_trap();
}

}  // namespace

Reconnect reconnect(const Run& run, UnixMillis now, Millis window) noexcept {
  const UnixMillis since = end_of(run);
  if (run.status == Status::aborted) return {false, Found::aborted, since};
  if (is_over(since, window, now)) return {false, Found::window_passed, since};
  return {true, run.status == Status::running ? Found::running : Found::finished, since};
}

Millis stale_after(Phase phase) noexcept {
  switch (phase) {
  case Phase::foreground: return seconds(15);
  case Phase::background: return seconds(90);
  case Phase::processing: return seconds(45);
  case Phase::unclaimed: return seconds(25);
  }
  __builtin_trap();
}

Stale stale(const Run& run, const StaleRules& rules, UnixMillis now) noexcept {
  Stale out;
  if (run.status != Status::running) return out;
  const UnixMillis sign = sign_of(run);
  const UnixMillis watched = run.watched_since.value_or(run.started_at);
  const UnixMillis beat = run.watched_since ? later(beat_of(run), watched) : beat_of(run);
  const UnixMillis quiet = beat.plus(rules.silence);
  const UnixMillis grace = beat.plus(rules.in_flight);
  const UnixMillis living = later(sign, watched).plus(rules.liveness);
  const UnixMillis aged = run.started_at.plus(rules.max_age);
  const bool prolonged = run.in_flight && !rules.exact;
  const UnixMillis last = sooner(aged, prolonged ? later(quiet, sooner(grace, living)) : quiet);
  out.due_at = last.plus(tick);
  out.completed_at = sooner(sign, now);
  out.stale = now.value > last.value;
  if (!out.stale) {
    out.reason = now.value > quiet.value ? Life::in_flight : Life::alive;
    return out;
  }
  out.late = now.value <= aged.value && is_over(out.due_at, late_by, now);
  out.early = !is_over(run.started_at, early_death, out.completed_at);
  out.reason = now.value > aged.value       ? Life::too_old
               : !prolonged                 ? Life::silent
               : living.value < grace.value ? Life::latched
                                            : Life::grace_spent;
  return out;
}

Result<TerminalPlan> terminal(Status status, const Log& log, Cause cause) noexcept {
  TerminalPlan out;
  out.status = status;
  if (log.end != Terminal::none) {
    out.kind = log.end;
    out.action = status == Status::running ? Ending::reconcile : Ending::keep;
    if (out.action == Ending::reconcile) out.status = status_after(log.end);
    return out;
  }
  if (status == Status::running && cause == Cause::none) return out;
  if (is_spent(log.last_seq, max_seq)) return Errc::claim_invalid;
  out.action = Ending::append;
  out.seq = log.last_seq + 1;
  out.kind = end_for(status);
  if (out.kind != Terminal::error) return out;
  out.status = Status::errored;
  out.code = cause == Cause::none ? Cause::run_terminal_event_missing : cause;
  out.recoverable = out.code == Cause::stale_run;
  return out;
}

Result<Begun> begin(const Asked& asked) noexcept {
  if (asked.known) return Begun::existing;
  if (asked.forgotten) return Errc::run_forgotten;
  if (asked.live) return Errc::run_active;
  return Begun::start;
}

Result<Append> append(Status status, const Log& log, const Offered& event,
                      const LogLimits& limits) noexcept {
  if (event.known_seq) {
    if (!event.same) return Errc::event_conflict;
    return Append{Appended::duplicate, *event.known_seq};
  }
  if (event.size > limits.event_size) return Errc::event_too_large;
  if (status != Status::running || log.end != Terminal::none) return Errc::run_ended;
  if (event.after && *event.after != log.last_seq) return Errc::event_out_of_order;
  if (is_spent(log.last_seq, limits.events)) return Errc::run_full;
  return Append{Appended::append, log.last_seq + 1};
}

Prune prune(const Run& run, const Windows& windows, UnixMillis now) noexcept {
  Prune out;
  const UnixMillis since = end_of(run);
  out.day = since.value / ms_of_day;
  if (run.status == Status::running) return out;
  Millis window = longer(windows.completed, windows.reconnect);
  if (run.status != Status::completed) window = longer(window, windows.unsuccessful);
  out.due_at = since.plus(window).plus(tick);
  out.remove = is_over(since, window, now);
  out.reason = !out.remove                    ? Kept::within_window
               : run.completed_at.has_value() ? Kept::window_passed
                                              : Kept::no_completion;
  return out;
}

Recover recover(std::span<const Run> runs, const Wanted& wanted, const RecoverRules& rules,
                UnixMillis now) noexcept {
  if (!wanted.looked_up) return {};
  const auto refuse = [](Why why) noexcept { return Recover{Action::refuse, why, {}}; };
  std::optional<std::size_t> newest;
  std::optional<std::size_t> live;
  bool dead = false;
  const auto take = [&](std::optional<std::size_t>& best, std::size_t i) noexcept {
    if (!best || runs[i].started_at.value >= runs[*best].started_at.value) best = i;
  };
  for (std::size_t i = 0; i < runs.size(); ++i) {
    take(newest, i);
    if (runs[i].status != Status::running) continue;
    if (stale(runs[i], rules.stale, now).stale) {
      dead = true;
    } else {
      take(live, i);
    }
  }
  if (live) return {Action::reconnect, Why::live, live};
  if (dead) return refuse(Why::stale);
  if (newest) {
    const Found found = reconnect(runs[*newest], now, rules.window).reason;
    if (found == Found::finished) return {Action::replay, Why::finished, newest};
    return refuse(found == Found::aborted ? Why::aborted : Why::existed);
  }
  if (wanted.posted_at) {
    if (now.until(*wanted.posted_at).value > max_step_back.value) return refuse(Why::clock_moved);
    if (is_over(*wanted.posted_at, rules.retention, now)) return refuse(Why::forgotten);
  }
  if (is_spent(wanted.early_deaths, max_early_deaths)) return refuse(Why::keeps_dying);
  if (is_spent(wanted.attempts, rules.max_attempts)) return refuse(Why::attempts_spent);
  return {Action::post, Why::never_ran, {}};
}

}  // namespace latchkey::retention
