/// Refreshing a token so that a single-use refresh token is never spent twice.
///
/// One total function, `step`, decides everything. It is called with what is stored (`Row`), where
/// this caller stands (`Flow`), what happened (`Event`) and the time, and returns where the caller
/// stands now and what is to be done (`Effect`). Nothing is hidden: whoever keeps a row and a flow
/// can stop and go on at any time, on any machine.
///
/// The driver, the same for every store and every runtime:
///
///     flow = Flow{}; row = the stored row, by a strong read; event = what the caller wants
///     repeat
///       turn = step(row, flow, event, now, ...); flow = turn.flow
///       carry out turn.effects in their order; at most the last one is a question
///       if none is: the flow has ended
///       event = its answer; row = the row that came with the answer, if one did
///
///     question            answers
///     persist             stored (row = turn.row), lost (row = what is stored instead; where that
///                         is what was to be there, it is taken as store_unknown),
///                         store_failed (certainly not written), store_unknown
///     wait                row_read (row = a strong read made at `at` or sooner)
///     send                reply
///     revoke_at_provider  revocation
///
/// `persist` writes `turn.row` and what `blobs` says, in one atomic write, if and only if the
/// stored row still has the condition's id, version and epoch. Every write raises the epoch, so a
/// write that is delayed or doubled can never land a second time. Until it is stored, the driver
/// keeps a new token pair in memory ("fresh"), and drops it when the flow has ended.
///
/// An event that comes with a row says in `seen` whether there was one to read: a record that does
/// not open is `corrupt`, a store that does not answer `nothing`. Where nothing is stored, `Row{}`
/// stands for it, and to write `Row{}` is to remove the record.
#pragma once

#include "latchkey/types.hpp"

#include <array>

namespace latchkey::refresh {

/// What `access_expires_at` and `refresh_expires_at` say when nothing is known to end.
inline constexpr UnixMillis never{UnixMillis::max};
/// Counters stay below: the largest whole number that JavaScript has exactly.
inline constexpr std::uint64_t max_counter = (1ULL << 53) - 1;

/// A lineage: 16 random bytes, new with every login. All zero: none.
struct Id {
  std::array<std::uint8_t, 16> bytes{};
  friend constexpr bool operator==(const Id&, const Id&) noexcept = default;
};

/// One token pair. The version alone is not enough: it starts again with every login.
struct Generation {
  Id id{};
  std::uint64_t version{0};
  friend constexpr bool operator==(const Generation&, const Generation&) noexcept = default;
};

// What is known of the provider ------------------------------------------------------------------

/// What a second use of a refresh token does.
enum class Rotation : std::uint8_t {
  none = 0,  ///< nothing: the refresh token is not single-use
  grace_same = 1,  ///< within `grace` it gives the same successor
  grace_new = 2,  ///< within `grace` it gives another successor; the last one is good
  strict_refused = 3,  ///< it is refused and harms nothing
  family_revoked = 4,  ///< it kills every token of the grant; also what is assumed
};

/// What can be revoked.
enum class Revocation : std::uint8_t {
  none = 0,  ///< nothing, or it is not known how
  token = 1,  ///< one token or its pair
  grant = 2,  ///< everything this person gave this application, later logins too
};

/// The facts of a provider's profile that `step` needs. The defaults are the safe values.
struct Traits {
  Rotation rotation{Rotation::family_revoked};
  Rotation after_grace{Rotation::family_revoked};  ///< for the two kinds with a grace
  Revocation revocation{Revocation::none};
  bool old_access_dies{false};  ///< a refresh kills the access token before it
  bool revocation_needs_live{false};  ///< only with an access token that works
  Millis grace{0};
  Millis access_lifetime{seconds(3600)};  ///< when the answer has none; 0: it does not expire
  Millis max_access_lifetime{seconds(24LL * 3600)};  ///< a longer one is cut; 0: no limit
  Millis refresh_idle{0};  ///< an unused refresh token dies after this; 0: not known
  Millis refresh_absolute{0};  ///< from login; 0: not known
  Millis time_out{0};  ///< of a token request; 0: the policy's
  Millis lag{0};  ///< for so long after a refresh a 401 may still be about the token before it
};

/// What is chosen here.
struct Policy {
  Millis window{seconds(300)};  ///< with less than this left, a token is refreshed
  Millis jitter{seconds(30)};  ///< up to this much less, by connection
  Millis time_out{seconds(10)};  ///< of a token request
  Millis lease{seconds(15)};
  Millis patience{seconds(20)};  ///< how long a caller waits for somebody else's refresh
  Millis poll{50};  ///< how often a waiting caller looks; 0: only when the lease ends
  Millis back_off{seconds(1)};  ///< after the first failure; doubles
  Millis max_back_off{seconds(60)};
  Millis rest{seconds(3600)};  ///< after `max_sends`, and the longest `Retry-After` believed
  std::uint8_t max_sends{6};  ///< of one version, before it rests
  std::uint8_t max_probes{1};  ///< unanswered ones of one version
  std::uint8_t max_tries{8};  ///< of a write that must not be lost
  bool proactive{false};  ///< alarms refresh before anybody asks
};

/// What a store can do.
struct Contract {
  bool cas{false};  ///< writes under a condition, atomically
  bool strong_read{false};  ///< a read sees every write acknowledged before it
  bool negative_cache{false};  ///< remembers for a while that there was nothing
  Millis min_ttl{0};
  std::uint32_t max_value{0};  ///< bytes of one record
};

/// The least `max_value`: a row, two sealed tokens of 8,192 bytes and what is around them.
inline constexpr std::uint32_t min_value = 32'768;

/// Says whether refreshing is safe with this store, policy and provider.
///
/// Checks, in this order: profile, store, policy, lease.
///
/// @param traits  of the provider's profile; null when the profile is unknown.
/// @return ok, or `provider_unknown`, `store_unfit` (no compare-and-swap, no strong read, a
///         negative cache, records too small), `config_invalid` (a length of time or a count that
///         makes no sense), `lease_too_short` (it does not outlive the token request).
[[nodiscard]] Result<void> admit(const Contract& contract, const Policy& policy,
                                 const Traits* traits) noexcept;

// What is stored ---------------------------------------------------------------------------------

enum class Status : std::uint8_t {
  absent = 0,  ///< there is no row
  live = 1,
  reconnect_required = 2,
  revoked = 3,  ///< a tombstone; the tokens are gone
};

/// Why a connection can give no token any more, or who ended it.
enum class Cause : std::uint8_t {
  none = 0,
  refused = 1,  ///< the provider refused the current refresh token
  lost_in_flight = 2,  ///< it was sent, and what became of it is not known or too late to know
  no_refresh_token = 3,  ///< the access token has expired and there is nothing to renew it with
  token_rejected = 4,  ///< a resource server refused the access token; nothing to renew it with
  revoked_by_provider = 5,
  revoked_here = 6,
  disconnected = 7,
  erased = 8,
};

/// What an attempt may have done to the refresh token that was sent.
enum class Doubt : std::uint8_t {
  none = 0,  ///< nothing: it was not sent, or refused before it was looked at
  answered = 1,  ///< the provider said that it failed (500), or what it said was not understood
  silent = 2,  ///< there was no answer
};

/// Who may refresh. Over when `deadline <= now`.
struct Lease {
  std::uint64_t holder{0};  ///< 0: nobody
  std::uint64_t epoch{0};  ///< of the write that took it
  UnixMillis deadline{0};
  friend constexpr bool operator==(const Lease&, const Lease&) noexcept = default;
};

/// Written before a refresh token is sent. `open` until its answer is stored: an open intent
/// without a lease is an attempt that nobody knows the end of.
struct Intent {
  std::uint64_t epoch{0};
  std::uint64_t doubt_epoch{0};  ///< of the last attempt before that left a doubt
  std::uint64_t version_spent{0};
  UnixMillis first_at{0};  ///< of the first attempt of this version whose end is in doubt
  UnixMillis deadline{0};  ///< when the request is given up; before the lease ends
  std::uint8_t probes{0};  ///< attempts made in doubt that have no answer
  Doubt doubt{Doubt::none};  ///< left by the attempts before
  bool open{false};
  bool probe{false};  ///< the open attempt is one
  friend constexpr bool operator==(const Intent&, const Intent&) noexcept = default;
};

struct CoolDown {
  UnixMillis next_attempt_at{0};
  std::uint8_t failures{0};  ///< one after another
  std::uint8_t sends{0};  ///< of this version
  friend constexpr bool operator==(const CoolDown&, const CoolDown&) noexcept = default;
};

/// One connection: owner, provider and app type. Tokens, scopes and account are kept beside it,
/// sealed; a row has none of them.
struct Row {
  Id id{};
  std::uint64_t version{0};  ///< +1 with every stored pair
  std::uint64_t epoch{0};  ///< +1 with every write
  std::uint64_t pair_epoch{0};  ///< of the intent that the stored pair came from; 0: of a login
  UnixMillis login_at{0};
  UnixMillis obtained_at{0};  ///< when the stored pair was asked for
  UnixMillis access_expires_at{0};
  UnixMillis refresh_expires_at{0};  ///< idle and absolute limit included; never decides alone
  UnixMillis absolute_expires_at{0};
  UnixMillis ended_at{0};  ///< of the tombstone, or when reconnecting became necessary
  Lease lease{};
  Intent intent{};
  CoolDown cool_down{};
  Status status{Status::absent};
  Cause cause{Cause::none};
  bool has_refresh{false};
  bool rejected{false};  ///< a resource server refused this version's access token
  bool held{false};  ///< an answer that was not understood is kept, sealed, as it came
  friend constexpr bool operator==(const Row&, const Row&) noexcept = default;
};

/// True for a row that `step` could have written, and for `Row{}`.
[[nodiscard]] bool is_sound(const Row& row) noexcept;

inline constexpr std::size_t row_size = 172;

/// Writes a row as bytes: little-endian, in the order of its members, a format number in front.
void encode(const Row& row, std::span<std::uint8_t, row_size> out) noexcept;

/// Reads what `encode` wrote.
///
/// @return the row, or `corrupt` for any bytes that are not those of a sound row.
[[nodiscard]] Result<Row> decode(Bytes bytes) noexcept;

// What happens -----------------------------------------------------------------------------------

/// The six classes of an answer to a refresh. Total: every answer, and none, has one.
///
///     class           doubt                  meaning
///     ok              -                      a token
///     terminal        -                      this refresh token is good for nothing any more
///     transient       none, answered,        not sent (none), 5xx (answered; none where the
///                     silent                 profile knows it or an introspection says so), reset
///                                            or time-out (silent)
///     rate_limited    none                   429, 403 with rate headers, 503 with Retry-After
///     operator_error  none                   the client is misconfigured, not the grant
///     not_understood  answered               anything else; kept, sealed, as it came
enum class ReplyClass : std::uint8_t {
  ok = 1,
  terminal = 2,
  transient = 3,
  rate_limited = 4,
  operator_error = 5,
  not_understood = 6,
};

/// What an answer says about its tokens, without them.
struct Tokens {
  Millis lifetime{0};  ///< of the access token; 0 or less: not said, or odd
  Millis refresh_lifetime{0};  ///< as above
  bool has_refresh{false};  ///< false: omitted or empty
  bool refresh_same{false};  ///< the value that was sent
  bool has_scope{false};  ///< false: not said, which means unchanged (RFC 6749 section 5.1)
};

struct Reply {
  ReplyClass kind{ReplyClass::not_understood};
  Doubt doubt{Doubt::silent};
  Millis retry_after{0};  ///< 0: not said
  Tokens tokens{};
};

/// How a revocation at the provider went.
enum class Revoked : std::uint8_t {
  done = 1,  ///< it says so, or does not know the token any more
  refused = 2,
  unreachable = 3,
  unsupported = 4,
};

/// What a caller wants.
enum class Task : std::uint8_t {
  none = 0,
  fetch = 1,  ///< `min_validity`
  rotate = 2,  ///< `generation`: another token than this one, whatever its age
  report_rejected = 3,  ///< `generation`: a resource server refused this one's access token
  alarm = 4,
  /// `generation.id`: the new lineage; `reply.tokens`: its first pair, which is fresh; `at`: when
  /// it was asked for, 0 for now
  login = 5,
  revoke = 6,  ///< `cause`; `at`: when it happened, 0 for now; `generation.id`: none for any
  disconnect = 7,  ///< strict: what may still be alive at the provider stays
  erase = 8,  ///< best effort: nothing stays
};

enum class EventKind : std::uint8_t {
  none = 0,
  begin = 1,  ///< `task`
  // Answers.
  stored = 2,
  lost = 3,
  store_failed = 4,
  store_unknown = 5,
  row_read = 6,
  reply = 7,  ///< `reply`
  revocation = 8,  ///< `revoked`
};

/// What the read that an event comes with found.
enum class Seen : std::uint8_t {
  row = 0,
  corrupt = 1,  ///< a record that does not open
  nothing = 2,  ///< the store did not answer
};

struct Event {
  EventKind kind{EventKind::none};
  Seen seen{Seen::row};  ///< with `begin`, `lost` and `row_read`
  Task task{Task::none};
  std::uint64_t entropy{0};  ///< random, with `begin` and `reply`
  Millis min_validity{0};
  Generation generation{};
  Cause cause{Cause::none};
  UnixMillis at{0};
  Reply reply{};
  Revoked revoked{Revoked::unreachable};
};

// Where a caller stands --------------------------------------------------------------------------

/// Which answer a flow waits for.
enum class Phase : std::uint8_t {
  begin = 0,
  waiting = 1,  ///< for somebody else's refresh, or until one is allowed again
  taking = 2,  ///< lease and intent are being written
  sending = 3,  ///< the refresh token is at the provider
  storing = 4,  ///< the new pair is being written
  settling = 5,  ///< what came of an attempt without a pair is being written
  holding = 6,  ///< the lease for a revocation is being written
  revoking = 7,  ///< the provider is being asked to revoke
  discarding = 8,  ///< as above, for a pair that came too late
  ending = 9,  ///< a login or a tombstone is being written
  ended = 10,
};

/// What `settling` writes.
enum class Settle : std::uint8_t {
  release = 0,  ///< the lease, nothing was sent
  failure = 1,  ///< of `reply`
  dead = 2,  ///< reconnect_required, for `cause`
  rest = 3,  ///< the version was sent often enough for now
  mark = 4,  ///< the access token was rejected
  keep = 5,  ///< the lease of a revocation that did not succeed
};

/// What became of a disconnect or an erasure.
enum class Reason : std::uint8_t {
  none = 0,
  unsupported = 1,
  refused = 2,
  unreachable = 3,
  replaced = 4,  ///< somebody connected meanwhile; that connection stays
  corrupt = 5,  ///< the record did not open, so there was nothing to revoke with
};

struct Receipt {
  bool revoked{false};  ///< the provider did it
  bool deleted{false};  ///< nothing is left here
  Reason reason{Reason::none};
  friend constexpr bool operator==(const Receipt&, const Receipt&) noexcept = default;
};

/// What the stored row must still be; all zero: there is none.
struct Condition {
  Generation generation{};
  std::uint64_t epoch{0};
  bool corrupt{false};  ///< instead: the very record that did not open
  friend constexpr bool operator==(const Condition&, const Condition&) noexcept = default;
};

/// One caller's way from wanting to having. Plain data; `Flow{}` is its start.
struct Flow {
  Task task{Task::none};
  Phase phase{Phase::begin};
  Settle settle{Settle::release};
  Cause cause{Cause::none};
  std::uint8_t tries{0};  ///< of a write that failed
  bool answered{false};  ///< the caller has its answer; what follows is in the background
  bool forced{false};  ///< `named` itself is not good enough
  bool attempted{false};  ///< has sent
  bool waited{false};
  Millis min_validity{0};
  UnixMillis give_up_at{0};
  UnixMillis at{0};  ///< of the revocation, or when the token request began
  std::uint64_t holder{0};
  std::uint64_t epoch{0};  ///< of its lease and intent
  Generation named{};  ///< by the caller
  Generation spent{};  ///< that it has its lease for
  Condition condition{};  ///< of its write that is under way
  Reply reply{};
  Receipt receipt{};
};

inline constexpr std::size_t flow_size = 163;

/// Writes a flow as bytes, for a driver that keeps it between two steps: little-endian, in the
/// order of its members, a format number in front.
void encode(const Flow& flow, std::span<std::uint8_t, flow_size> out) noexcept;

/// Reads what `encode` wrote.
///
/// @return the flow, or `corrupt` for bytes that are not those of a flow: of another length or
///         format, with a value that its member cannot have, or not begun and yet not `Flow{}`.
[[nodiscard]] Result<Flow> decode_flow(Bytes bytes) noexcept;

// What is to be done -----------------------------------------------------------------------------

enum class EffectKind : std::uint8_t {
  // Answers to the caller: exactly one in a flow's life; an alarm has no caller and gets none.
  serve = 1,  ///< the access token of `generation`, `token`; good until `at`
  refuse = 2,  ///< `outcome`, `cause`; `at`: when to come again
  done = 3,  ///< login, revoke, disconnect, erase: `receipt`
  // Neither answers nor questions.
  notify = 4,  ///< `news`, `cause`
  arm = 5,  ///< an alarm at `at`, unless an earlier one is set
  // Questions.
  persist = 8,  ///< `condition`, `blobs`
  wait = 9,  ///< until `at`; sooner, and more often than asked, does no harm
  send = 10,  ///< the stored refresh token; abort at `at`; `probe`
  revoke_at_provider = 11,  ///< `token`; abort at `at`
};

enum class Outcome : std::uint8_t {
  ok = 0,
  not_connected = 1,
  revoked = 2,
  reconnect_required = 3,
  temporarily_unavailable = 4,
  corrupt = 5,
};

/// The error code of an outcome: each has its own.
[[nodiscard]] Errc to_errc(Outcome outcome) noexcept;

enum class Which : std::uint8_t {
  stored = 0,
  fresh = 1,  ///< the pair in the driver's memory
};

/// Where the served token came from.
enum class Source : std::uint8_t {
  stored = 0,  ///< it was there
  refreshed = 1,  ///< this flow fetched it
  joined = 2,  ///< another flow did while this one waited
  kept = 3,  ///< still valid; a refresh is due, under way or failing
};

/// What becomes of the sealed values beside the row.
enum class Blobs : std::uint8_t {
  keep = 0,
  pair = 1,  ///< both tokens are the fresh ones
  access = 2,  ///< the access token is the fresh one; the refresh token stays
  hold = 3,  ///< the answer is added, as it came; the tokens stay
  wipe = 4,  ///< nothing stays
  login = 5,  ///< everything is new: tokens, scopes, account
};

/// What is counted, and told where somebody should know.
enum class News : std::uint8_t {
  refreshed = 1,
  lost_race = 2,  ///< another one's pair was there first
  in_doubt = 3,
  lost_in_flight = 4,  ///< tell the person
  terminal = 5,  ///< tell the person
  transient = 6,
  operator_error = 7,  ///< alert
  not_understood = 8,  ///< alert
  refresh_token_missing = 9,  ///< alert: a rotating provider sent none; the old one is kept
  persist_failed = 10,  ///< alert
  discarded = 11,  ///< a pair came after a revocation or a login
  corrupt = 12,  ///< alert
  healed = 13,  ///< what was taken for lost came after all
};

struct Effect {
  EffectKind kind{EffectKind::done};
  Outcome outcome{Outcome::ok};
  Cause cause{Cause::none};
  Which token{Which::stored};
  Source source{Source::stored};
  Blobs blobs{Blobs::keep};
  News news{News::refreshed};
  bool probe{false};  ///< to be labelled: sent although the one before may have arrived
  bool persist_failed{false};  ///< not stored yet; if it never is, another gets its generation
  bool keep_scopes{true};  ///< with `pair` and `access`
  UnixMillis at{0};
  /// With `serve`: until then, and as long as nobody writes the row, whoever fetches with the same
  /// `min_validity` gets this answer. 0: not for a moment.
  UnixMillis stands_until{0};
  Generation generation{};
  Condition condition{};
  Receipt receipt{};
};

inline constexpr std::size_t max_effects = 5;

struct Effects {
  std::array<Effect, max_effects> items{};
  std::uint8_t count{0};
  [[nodiscard]] const Effect* begin() const noexcept { return items.data(); }
  [[nodiscard]] const Effect* end() const noexcept { return items.data() + count; }
};

struct Step {
  Row row{};  ///< to be written by `persist`; without one, the row given
  Flow flow{};
  Effects effects{};
};

/// Takes one step.
///
/// Total: an event that the flow does not wait for changes nothing and asks for nothing; a row that
/// is not sound is refused as `corrupt`, with an alert, and only a login or an erasure replaces it.
///
/// @param row     what is stored, as the driver last learned it.
/// @param now     the driver's clock; may jump.
/// @param traits  of the provider.
/// @param policy  admitted by `admit` together with the traits.
/// @see   RFC 6749 section 6, RFC 9700 section 4.14
[[nodiscard]] Step step(const Row& row, const Flow& flow, const Event& event, UnixMillis now,
                        const Traits& traits, const Policy& policy) noexcept;

// Parts of it that are useful alone --------------------------------------------------------------

/// The row after a good answer: version and epoch one higher, live, nothing pending.
///
/// A lifetime that is missing or odd is the profile's; one that is too long is cut. Expiry counts
/// from when the token was asked for. An omitted refresh token is the one that was sent (RFC 6749
/// section 6), with the expiry it had; so is the same value.
///
/// @param asked_at  when the request began.
/// @param epoch     of the intent it was sent under.
[[nodiscard]] Row merge(const Row& row, const Tokens& tokens, UnixMillis asked_at,
                        std::uint64_t epoch, const Traits& traits) noexcept;

/// How little time left makes this row's token due: the policy's window, less by the connection's
/// share of the jitter, at most half of the token's life.
[[nodiscard]] Millis near_expiry(const Row& row, const Policy& policy) noexcept;

/// How long to stay away after a failure: doubles with each, within its upper half by `entropy`.
///
/// @param failures  one after another, this one included.
[[nodiscard]] Millis back_off(std::uint8_t failures, std::uint64_t entropy,
                              const Policy& policy) noexcept;

/// How a connection stands, for a person who looks.
enum class Standing : std::uint8_t {
  not_connected = 0,
  connected = 1,
  refreshing = 2,
  reconnect_required = 3,
  revoked = 4,  ///< by the provider, or by us for it
  disconnected = 5,  ///< by its owner
};

/// Says how a connection stands: by the status; `refreshing` is a live one whose refresh is under
/// way, and a live one with an access token that has ended and nothing to renew it with needs
/// reconnecting.
[[nodiscard]] Standing standing(const Row& row, UnixMillis now) noexcept;

/// Says when a live connection ends if nothing renews it: with its access token where there is no
/// refresh token, else with the longer-lived of the two; `never` for one that has ended. A refresh
/// token's limit is what the provider's papers say, so from then on the provider is to be asked: it
/// never decides alone.
[[nodiscard]] UnixMillis ends_at(const Row& row) noexcept;

/// True while somebody holds the lease. One that ends later than a lease can was written by a clock
/// that is wrong, and binds nobody.
[[nodiscard]] bool is_leased(const Row& row, UnixMillis now, const Policy& policy) noexcept;

/// What the attempts so far may have done to the stored refresh token.
[[nodiscard]] Doubt doubt_of(const Row& row, UnixMillis now, const Policy& policy) noexcept;

}  // namespace latchkey::refresh
