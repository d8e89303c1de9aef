/// How long things are kept: windows from settings, the end of each record, which records go, who
/// sweeps when, and what an erasure takes.
///
/// Every record carries its own end, computed once when it is written: it is over when that end is
/// `<= now`. So one rule and one index serve every kind, and a window that is changed later changes
/// nothing that is stored.
#pragma once

#include "latchkey/types.hpp"

#include <optional>

namespace latchkey::retention {

// Settings ----------------------------------------------------------------------------------------

enum class Taken : std::uint8_t {
  set = 1,
  unset = 2,  ///< there is no text
  blank = 3,  ///< there is one, with nothing in it
  not_a_number = 4,
  negative = 5,
  too_large = 6,
};

struct Setting {
  Millis value{};
  Taken reason{Taken::unset};  ///< `set`, or why it is the fallback
};

/// No window is longer: 400 days.
inline constexpr Millis max_window = seconds(400LL * 24 * 3'600);

/// Reads a length of time from configuration.
///
/// It is `0` or 1..16 decimal digits without leading zero, in milliseconds, and nothing around
/// them. Anything else, more than `max` too, is the fallback: never zero, never endless.
///
/// @param text  as configured.
[[nodiscard]] Setting setting(std::optional<std::string_view> text, Millis fallback,
                              Millis max) noexcept;

// The end of a record -----------------------------------------------------------------------------

/// What is kept. Numbers are also the lanes of a sweep.
enum class Kind : std::uint8_t {
  consumed_state = 0,
  connect_link = 1,
  access_cache = 2,
  rejected_pair = 3,
  run = 4,  ///< with its events; its end is `Prune::due_at`
  delivery = 5,
  rate_window = 6,
  session = 7,
  tombstone = 8,
  counter = 9,  ///< since it last counted anything
  claim = 10,  ///< of an account; begins again for as long as the connection is there
  app_token = 11,  ///< of an installation; its provider may say less
  installation = 12,  ///< what was said of one, as long as it may be said again
  installed = 13,  ///< where a person's app is
  acting = 14,  ///< that an app acts for a capability, as long as the longest one lives
};
inline constexpr std::size_t kinds = 15;

/// How long a record of this kind is kept: a state used up outlives the state by its skew, a
/// tombstone every answer that was under way.
[[nodiscard]] constexpr Millis lifetime(Kind kind) noexcept {
  constexpr Millis of[kinds] = {
      seconds(665),       seconds(3'600), seconds(300),     seconds(900),       seconds(604'800),
      seconds(259'200),   seconds(900),   seconds(86'400),  seconds(2'592'000), max_window,
      seconds(2'592'000), seconds(3'600), seconds(259'200), seconds(86'400),    seconds(14'460)};
  const auto at = static_cast<std::size_t>(kind);
  LK_CHECK(at < kinds);
  return of[at];
}

struct Expiry {
  UnixMillis expires_at{};  ///< to be stored in the record; what decides
  bool expired{false};  ///< at `expires_at <= now`, whatever the store still returns
  Millis physical{};  ///< to be passed to the store, in whole seconds
};

/// Says when a record ends, and how long the store must keep it.
///
/// The store's own expiry only tidies up: it never comes before the record's end, and a store with
/// a shortest life (60 s for KV) gets that.
///
/// @param at   when the record was made.
/// @param min  the shortest life that the store takes.
[[nodiscard]] Expiry expiry(UnixMillis at, Millis ttl, UnixMillis now, Millis min) noexcept;

// Sweeping ----------------------------------------------------------------------------------------

struct Budget {
  std::uint32_t rows{2'000};  ///< of one sweep; then it pauses, so that others get their turn
  std::uint32_t batch{200};  ///< of one transaction; at least 1
};

/// Where a sweep is; all zeros begins one. Any numbers are a cursor: they choose what is looked at
/// next and never what is removed.
struct Cursor {
  std::uint16_t pending{0};  ///< a bit for each lane that is not known to be empty
  std::uint8_t lane{0};
  bool open{false};
  std::uint32_t asked{0};  ///< of the last batch
  std::uint32_t spent{0};
};

enum class Sweeping : std::uint8_t {
  batch = 1,  ///< remove these, count them, ask again
  paused = 2,  ///< the budget is spent and there may be more: go on with this cursor soon
  finished = 3,  ///< everything that was due is gone
};

struct Sweep {
  Sweeping action{Sweeping::finished};
  Kind lane{Kind::consumed_state};
  std::uint32_t limit{0};
  UnixMillis before{};  ///< records whose end is at most this
  UnixMillis next_at{};  ///< when to ask again
  Cursor cursor{};
};

inline constexpr Millis sweep_interval = seconds(300);

/// Says what a sweep does next.
///
/// Lanes take turns, a batch each, so that none starves behind a long one. A lane that gave less
/// than was asked of it is empty. The budget is counted in removed rows, and spent at equality; a
/// paused sweep goes on with the lane that would have been next.
///
/// Removing has to be `DELETE ... WHERE expires_at <= before ORDER BY expires_at LIMIT limit`, with
/// everything that is counted about the rows in the same transaction, by what it really removed:
/// any number of sweeps at the same time then count each row once.
///
/// @param lanes    a bit for each kind that there is to sweep.
/// @param removed  by the batch that was asked for; 0 at first.
[[nodiscard]] Sweep sweep(std::uint16_t lanes, const Cursor& cursor, std::uint32_t removed,
                          const Budget& budget, UnixMillis now, Millis interval) noexcept;

// Keeping the newest ------------------------------------------------------------------------------

struct Entry {
  std::string_view name;
  UnixMillis modified_at{};
};

enum class Fate : std::uint8_t {
  newest = 1,
  is_protected = 2,  ///< in use, however old
  foreign = 3,  ///< not a name of ours: not counted, not touched
  surplus = 4,  ///< to be removed
};

inline constexpr std::size_t digits_of_ref = 64;

/// Says which entries stay when only so many may.
///
/// Only names of exactly `digits` lower-case hexadecimal digits are looked at. The protected one
/// stays and counts as one of those that are kept; the others stay by age, of equals the one with
/// the greater name.
///
/// @param keep  how many stay; the protected one does even at 0.
/// @param out   as long as `entries`: one for each.
/// @return how many are surplus.
[[nodiscard]] std::size_t keep_newest(std::span<const Entry> entries,
                                      std::string_view protected_name, std::uint32_t keep,
                                      std::size_t digits, std::span<Fate> out) noexcept;

// What is new since a ref -------------------------------------------------------------------------

enum class Changed : std::uint8_t {
  nothing = 1,
  listed = 2,  ///< what the lists of both refs do not have in common
  everything = 3,
};

/// Says what a caller has not seen yet, who has seen `previous`.
///
/// @param current   the ref as it is now; empty when nothing was ever fetched.
/// @param previous  empty: nothing seen yet.
/// @param kept      the list of the previous ref is still there.
/// @return `nothing` for the same ref, `everything` for one that is not known any more, or
///         `claim_invalid` without a current one: that nothing was fetched is no change.
[[nodiscard]] Result<Changed> changed(std::string_view current, std::string_view previous,
                                      bool kept) noexcept;

// Orphans -----------------------------------------------------------------------------------------

/// `other` is every state in which a scheduler passes over it: paused, waiting for a login, failed.
enum class Activity : std::uint8_t { other = 0, active = 1 };

/// Something that is run again and again, for a connection, by a definition.
struct Feed {
  Activity feed{Activity::other};
  Activity connection{Activity::other};
  bool defined{false};  ///< there is an active definition with code that can be run
  bool pinned{false};  ///< to a version of its own, which needs no definition
  bool deleted{false};  ///< softly
  bool restore{false};  ///< an operator asks for it back
};

enum class Orphaned : std::uint8_t { run = 1, leave = 2, soft_delete = 3, restore = 4 };
enum class OrphanReason : std::uint8_t {
  defined = 1,
  pinned = 2,
  undefined = 3,
  feed_not_active = 4,
  connection_not_active = 5,
  deleted = 6,
  asked = 7,
};

struct Orphan {
  Orphaned action{Orphaned::leave};
  OrphanReason reason{OrphanReason::feed_not_active};
};

/// Says whether a feed runs, or is taken out because nothing defines it any more.
///
/// In this order: softly deleted (`restore` if asked, else `leave`), feed not active, connection
/// not active (`leave`), pinned, defined (`run`), else `soft_delete`. It can be restored: nothing
/// else of it is changed. So exactly what a scheduler would run is ever deleted.
[[nodiscard]] Orphan orphan(const Feed& feed) noexcept;

/// True when what was paused for `paused_for` may go on, now that `ended` is over: exactly for the
/// same reason. What a person stopped has another one, or none.
[[nodiscard]] bool resumes(std::string_view paused_for, std::string_view ended) noexcept;

// Connect links -----------------------------------------------------------------------------------

enum class LinkState : std::uint8_t { pending = 1, completed = 2, expired = 3 };
enum class LinkReason : std::uint8_t {
  waiting = 1,
  settled = 2,  ///< completed or expired before: nothing is done twice
  expired = 3,  ///< the connection that waited for it ends with it
  others_pending = 4,  ///< the connection waits for another link still
};

struct Link {
  LinkState state{LinkState::pending};
  bool end_connection{false};  ///< the pending one; never one that is connected
  LinkReason reason{LinkReason::waiting};
};

/// Says what a link is now, and whether its pending connection ends.
///
/// @param other_pending  another link to the same connection is pending.
[[nodiscard]] Link link(LinkState stored, UnixMillis expires_at, bool other_pending,
                        UnixMillis now) noexcept;

// Erasing a person --------------------------------------------------------------------------------

/// In the order in which they are taken.
enum class EraseStep : std::uint8_t {
  block = 0,  ///< nothing new is stored for this person from here on
  revoke = 1,  ///< tokens at their providers, while there still are tokens
  connections = 2,
  links = 3,
  sessions = 4,
  runs = 5,
  caches = 6,
  index = 7,  ///< what operators search in; last, so that what is left is found
};
inline constexpr std::size_t erase_steps = 8;

enum class Erased : std::uint8_t { pending = 0, done = 1, absent = 2, failed = 3 };

enum class Erasing : std::uint8_t {
  step = 1,
  again = 2,  ///< something failed: try those steps again
  finished = 3,
};
enum class EraseReason : std::uint8_t {
  next = 1,
  not_blocked = 2,  ///< nothing is taken while more may come
  partial = 3,
  complete = 4,
  not_revoked = 5,  ///< complete here; a provider could not be told
};

struct Erase {
  Erasing action{Erasing::step};
  EraseStep step{EraseStep::block};
  EraseReason reason{EraseReason::next};
  std::uint8_t erased{0};  ///< a bit for each step that is done or found nothing
  std::uint8_t failed{0};
};

/// Says what an erasure does next, and in the end what it has done: the receipt.
///
/// Steps are taken in their order, each can be taken twice, and one that fails keeps none but the
/// first from the next. Revoking is done as well as it can be (a provider that is gone must not
/// keep a person's data here): its failure is in the receipt and does not make it incomplete.
///
/// @param outcomes  of each step so far, by its number.
[[nodiscard]] Erase erase(std::span<const Erased, erase_steps> outcomes) noexcept;

}  // namespace latchkey::retention
