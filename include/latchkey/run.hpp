/// Runs: work that outlives the connection of whoever asked for it. Which of them a client finds
/// again, which of them are dead, how each of them ends in its log, and when it may be forgotten.
///
/// Storage keeps a row for each run and a log of numbered events that ends with one terminal event.
/// Every age is `now` minus a moment in whole milliseconds, saturating. A moment that lies in the
/// future, after a clock went backwards, has happened just now: it makes nothing older.
#pragma once

#include "latchkey/types.hpp"

#include <optional>

namespace latchkey::retention {

enum class Status : std::uint8_t {
  running = 1,
  completed = 2,
  errored = 3,
  truncated = 4,  ///< stopped at a limit of its own
  aborted = 5,  ///< a person stopped it
};

struct Run {
  Status status{Status::running};
  bool in_flight{false};  ///< a marker says that a piece of work is being waited for
  UnixMillis started_at{};
  std::optional<UnixMillis> heartbeat_at;
  std::optional<UnixMillis> alive_at;  ///< another sign of life: of the process, not of the work
  std::optional<UnixMillis> completed_at;
  /// Since when somebody has been there to hear a sign; silence before that says nothing.
  std::optional<UnixMillis> watched_since;
};

/// True when as many as are allowed have been used: the one place that says so for every budget.
[[nodiscard]] constexpr bool is_spent(std::uint64_t count, std::uint64_t budget) noexcept {
  return count >= budget;
}

// Finding a run again -----------------------------------------------------------------------------

/// Longer than clients watch a silent connection, which is 13 or 15 minutes.
inline constexpr Millis reconnect_window = seconds(1'200);

enum class Found : std::uint8_t {
  running = 1,
  finished = 2,
  window_passed = 3,
  aborted = 4,  ///< what a person stopped does not come back
};

struct Reconnect {
  bool surface{false};
  Found reason{Found::aborted};
  UnixMillis since{};  ///< what the age was measured from
};

/// Says whether a client that asks for a run of its own is told of this one.
///
///   | status                        | age    | surface | reason          |
///   | ----------------------------- | ------ | ------- | --------------- |
///   | aborted                       | any    | no      | `aborted`       |
///   | any other                     | > window | no    | `window_passed` |
///   | running                       | else   | yes     | `running`       |
///   | completed, errored, truncated | else   | yes     | `finished`      |
///
/// The age is measured from the completion, without one from the last heartbeat, without one from
/// the start: a long run that has just ended is as young as a short one. A running row that `stale`
/// calls dead is to be reaped first.
///
/// @param window  in milliseconds; an age of exactly this is inside.
[[nodiscard]] Reconnect reconnect(const Run& run, UnixMillis now, Millis window) noexcept;

// Runs that died ----------------------------------------------------------------------------------

/// What a run is at, which says how often it gives a sign.
enum class Phase : std::uint8_t { foreground = 1, background = 2, processing = 3, unclaimed = 4 };

/// How long a run in this phase may be silent.
[[nodiscard]] Millis stale_after(Phase phase) noexcept;

/// An alarm that comes later than this has missed something.
inline constexpr Millis late_by = seconds(5);

struct StaleRules {
  Millis silence{seconds(15)};
  Millis in_flight{seconds(870)};  ///< silence of the work with something in flight
  Millis liveness{seconds(120)};  ///< silence of the process until the marker counts for nothing
  Millis max_age{seconds(7LL * 24 * 3'600)};  ///< since the start, whatever signs there are
  bool exact{false};  ///< `silence` is meant exactly: nothing in flight prolongs it
};

enum class Life : std::uint8_t {
  ended = 1,  ///< it is not running
  alive = 2,
  in_flight = 3,  ///< silent, with work in flight in a process that lives
  silent = 4,
  latched = 5,  ///< the marker was left behind by a process that died
  grace_spent = 6,  ///< in flight for too long
  too_old = 7,
};

struct Stale {
  bool stale{false};
  bool early{false};  ///< dead at most 20 s after the start
  /// It was dead more than 5 s ago and nobody noticed: whoever watches was away, or the clock
  /// jumped.
  bool late{false};
  Life reason{Life::ended};
  /// When it will be stale if no sign comes: the first millisecond at which it is.
  UnixMillis due_at{UnixMillis::max};
  /// When to say that it ended: its last sign of life, never later than now.
  UnixMillis completed_at{};
};

/// Says whether a run is dead.
///
/// It is when its heartbeat, or without one its start, is older than `silence`; while something is
/// in flight, older than `in_flight` or the last sign of any kind older than `liveness`, whichever
/// comes first; and in any case when it started more than `max_age` ago. All strictly: exactly as
/// old is alive.
///
/// Heartbeat, start and signs count as no older than `watched_since`, but for the age since the
/// start. Whoever finds a run dead `late` has not listened: it watches from now on, and asks again
/// then. Otherwise a dead run becomes `errored` at `completed_at`, in one transaction with what
/// `terminal` plans.
[[nodiscard]] Stale stale(const Run& run, const StaleRules& rules, UnixMillis now) noexcept;

// How a run ends in its log -----------------------------------------------------------------------

/// Events that end a log.
enum class Terminal : std::uint8_t {
  none = 0,
  done = 1,
  error = 2,
  missing_api_key = 3,
  loop_limit = 4,
  auto_continue = 5,
};

/// Why a run ends that did not say so itself; the code of its error event.
enum class Cause : std::uint8_t {
  none = 0,
  run_terminal_event_missing = 1,
  stale_run = 2,
  connection_revoked = 3,  ///< a webhook said so
  reconnect_required = 4,  ///< a refresh came to that
  idle_limit = 5,
  connection_idle = 6,  ///< its refresh token came to its end unused, or with all its uses
  erased = 7,  ///< everything that is kept for its person goes
};

/// The end of a log, read in the transaction in which the plan is carried out.
struct Log {
  std::uint64_t last_seq{0};  ///< of the last event; 0: there is none
  Terminal end{Terminal::none};  ///< what the last event is, if it ends the log
};

enum class Ending : std::uint8_t {
  wait = 1,  ///< it runs, and nothing ends it
  keep = 2,  ///< row and log have ended
  reconcile = 3,  ///< the log has ended: the row takes the status that follows
  append = 4,  ///< the log takes a terminal event, and the row the status
};

struct TerminalPlan {
  Ending action{Ending::wait};
  Terminal kind{Terminal::none};
  Cause code{Cause::none};  ///< of an appended error
  Status status{Status::running};  ///< of the row when this is done
  bool recoverable{false};  ///< the same work may be tried again
  std::uint64_t seq{0};  ///< of the appended event: only if `last_seq` is still the one before
};

/// Event numbers that JavaScript holds exactly.
inline constexpr std::uint64_t max_seq = (std::uint64_t{1} << 53) - 1;

/// Plans the one terminal event of a run.
///
///   | log ends with  | status    | cause | action                                            |
///   | -------------- | --------- | ----- | ------------------------------------------------- |
///   | terminal event | running   | any   | `reconcile`: `done` and `auto_continue` completed, |
///   |                |           |       | `loop_limit` truncated, the others errored        |
///   | terminal event | any other | any   | `keep`                                            |
///   | anything else  | running   | none  | `wait`                                            |
///   | anything else  | running   | some  | `append` an error with the cause; errored         |
///   | anything else  | completed | any   | `append` `done`                                   |
///   | anything else  | aborted   | any   | `append` `done`                                   |
///   | anything else  | truncated | any   | `append` `loop_limit`                             |
///   | anything else  | errored   | any   | `append` an error with the cause, without one      |
///   |                |           |       | `run_terminal_event_missing`                      |
///
/// An appended event always takes the next number: one that shared the last event's would be passed
/// over by a client that has seen that. A writer that appends in between wins: the number is taken,
/// and the plan is made again from what the log then ends with.
///
/// @return the plan, or `claim_invalid` when no number is left.
[[nodiscard]] Result<TerminalPlan> terminal(Status status, const Log& log, Cause cause) noexcept;

// Writing a log ----------------------------------------------------------------------------------

/// What a store knows of work that is asked for under a key of the asker's choice, read in the
/// transaction that would start it.
struct Asked {
  bool known{false};  ///< there is a run of this key
  bool forgotten{false};  ///< there was one
  bool live{false};  ///< another run of the thread is running, and not stale
};

enum class Begun : std::uint8_t {
  existing = 1,  ///< the answer is that run, whatever has become of it
  start = 2,
};

/// Says whether a run starts: once for every key, and one at a time in a thread.
///
/// @return in this order: `existing`; `run_forgotten`; `run_active`; `start`.
[[nodiscard]] Result<Begun> begin(const Asked& asked) noexcept;

struct LogLimits {
  std::uint32_t event_size{32'768};  ///< bytes
  std::uint32_t events{10'000};  ///< without the terminal one, for which there is always room
};

/// An event that a writer offers under a key of its choice.
struct Offered {
  std::optional<std::uint64_t> known_seq;  ///< of the event that has this key
  bool same{false};  ///< which says the same
  std::uint32_t size{0};
  std::optional<std::uint64_t> after;  ///< what its writer takes for the last event
};

enum class Appended : std::uint8_t {
  duplicate = 1,  ///< it is there: its number is the answer, after the end too
  append = 2,
};

struct Append {
  Appended action{Appended::append};
  std::uint64_t seq{0};
};

/// Says whether an event is written, and as which one.
///
/// @param log  read in the transaction that would write it.
/// @return in this order: `duplicate`; `event_conflict`; `event_too_large`; `run_ended`;
///         `event_out_of_order`; `run_full`; `append` with the next number.
[[nodiscard]] Result<Append> append(Status status, const Log& log, const Offered& event,
                                    const LogLimits& limits) noexcept;

// Forgetting a run --------------------------------------------------------------------------------

struct Windows {
  Millis completed{seconds(24LL * 3'600)};
  Millis unsuccessful{seconds(7LL * 24 * 3'600)};  ///< never shorter than `completed`
  Millis reconnect{reconnect_window};  ///< no window is shorter than this one
};

enum class Kept : std::uint8_t {
  running = 1,
  within_window = 2,
  window_passed = 3,
  no_completion = 4,  ///< removed by its last sign, because nothing says when it ended
};

struct Prune {
  bool remove{false};
  Kept reason{Kept::running};
  /// The end of the record, to be stored with it: the first millisecond at which it is removed.
  UnixMillis due_at{UnixMillis::max};
  std::int64_t day{0};  ///< UTC day, counted from 1970-01-01, under which its outcome is counted
};

/// Says whether a run may be removed, its events with it.
///
/// A running row is never removed: it is reaped first. Another one is when it ended more than its
/// window ago, strictly; without a completion, by its last heartbeat or its start. No run is
/// removed that `reconnect` would surface, whatever the windows say: a client would execute it
/// again.
///
/// Its outcome is counted in the transaction that removes it, and only if that removed it.
[[nodiscard]] Prune prune(const Run& run, const Windows& windows, UnixMillis now) noexcept;

// After a restart ---------------------------------------------------------------------------------

inline constexpr std::uint32_t max_attempts = 5;
inline constexpr std::uint32_t max_early_deaths = 3;
inline constexpr Millis early_death = seconds(20);
/// A clock may have gone backwards by this much.
inline constexpr Millis max_step_back = seconds(60);

/// What a client knows of the work that it wants done.
struct Wanted {
  bool looked_up{false};  ///< the store answered
  std::optional<UnixMillis> posted_at;  ///< when it first asked for it, if it did
  std::uint32_t attempts{0};
  std::uint32_t early_deaths{0};  ///< one after another, as `stale` says
};

struct RecoverRules {
  Millis window{reconnect_window};
  Millis retention{Windows{}.completed};  ///< the shortest one of those that `prune` has
  StaleRules stale{};
  std::uint32_t max_attempts{retention::max_attempts};
};

enum class Action : std::uint8_t { reconnect = 1, replay = 2, post = 3, refuse = 4 };

enum class Why : std::uint8_t {
  live = 1,
  finished = 2,
  never_ran = 3,
  unavailable = 4,  ///< not knowing is not the same as not there; ask again
  stale = 5,  ///< dead and not reaped yet; ask again
  aborted = 6,
  existed = 7,  ///< it ran, longer ago than the window
  forgotten = 8,  ///< asked for so long ago that it may have run and been removed
  clock_moved = 9,  ///< asked for in the future: nobody can say how long ago
  attempts_spent = 10,
  keeps_dying = 11,
};

struct Recover {
  Action action{Action::refuse};
  Why reason{Why::unavailable};
  std::optional<std::size_t> run;  ///< which one, for `reconnect` and `replay`
};

/// Says what a client does about work that it may have asked for already.
///
/// In this order; the newest is the one that started last, of equals the last one:
///
///   | there is                                          | action      | reason              |
///   | ------------------------------------------------- | ----------- | ------------------- |
///   | no answer from the store                          | refuse      | `unavailable`       |
///   | a live run; the newest of them                    | `reconnect` | `live`              |
///   | a running one that is stale                       | refuse      | `stale`             |
///   | a run, and the newest was aborted                 | refuse      | `aborted`           |
///   | a run, and the newest is inside the window        | `replay`    | `finished`          |
///   | a run                                             | refuse      | `existed`           |
///   | none, and asked for later than now and 60 s       | refuse      | `clock_moved`       |
///   | none, and asked for longer ago than the retention | refuse      | `forgotten`         |
///   | none, and three early deaths                      | refuse      | `keeps_dying`       |
///   | none, and as many attempts as there may be        | refuse      | `attempts_spent`    |
///   | none                                              | `post`      | `never_ran`         |
///
/// So what is in memory never hides a live successor in the store, and nothing that ran, or may
/// have run, is posted a second time.
///
/// @param runs  those of this piece of work, from memory and from the store, in any order.
[[nodiscard]] Recover recover(std::span<const Run> runs, const Wanted& wanted,
                              const RecoverRules& rules, UnixMillis now) noexcept;

}  // namespace latchkey::retention
