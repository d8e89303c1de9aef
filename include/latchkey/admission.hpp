/// Taking a message into a session so that it survives every crash, and with it, for a repository
/// whose credential the caller brings along, the current credential.
///
/// Three total functions decide: `plan` for a message that comes in, `drain` for one whose turn it
/// is, `settle` for what became of one. Each is called with what is stored and the time and returns
/// one thing to do. None remembers anything: an attempt that was cut off and one that comes again
/// are the same call.
///
/// The driver:
///
///     repeat
///       session, message = what is stored of both, by one strong read
///       p = plan(candidate, session, message, now)
///       refuse, acknowledge, nothing: that is the answer
///       write: store p.session, p.message and what p.blob says in one atomic write, if and only if
///         the stored session's epoch is p.epoch (0: there is none); arm an alarm at p.at unless an
///         earlier one is set. Stored, and p.then is not `again`: that is the answer
///
/// A write that was lost, or of which nobody knows, needs nothing more than the next turn.
///
///     order of the writes of a message with a credential
///     mark     the sealed credential, that it is this message's, the mark: a message with no text
///     admit    the intent and its place in the queue: from now on it is seen
///     unmark   its sender is answered after this
///
/// The credential is in place before the work is seen, and a mark is what a later attempt goes by:
/// whoever has one has had its credential stored, once, and never stores it again, whatever has
/// come in between. A mark holds a place in the queue, so that no attempt is refused for want of
/// one after it has changed the credential.
///
/// No credential reaches `plan`: it is told what `offer` found, and the caller keeps the bytes for
/// the one write that asks for them. Whoever works on a message uses the credential that is stored
/// then, not the one that came with it.
#pragma once

#include "latchkey/types.hpp"

#include <array>

namespace latchkey::admission {

inline constexpr std::size_t max_id = 100;
inline constexpr std::size_t max_turn = 32'768;
inline constexpr std::size_t max_name = 128;
inline constexpr std::size_t max_token = 8'192;
/// No counter is larger: the largest whole number that JavaScript has exactly.
inline constexpr std::uint64_t max_counter = (1ULL << 53) - 1;

// What comes in ----------------------------------------------------------------------------------

/// Who keeps the credential of a session's repository.
enum class Repository : std::uint8_t {
  generic_git = 1,  ///< the caller brings it
  github = 2,  ///< a connection has it
  gitlab = 3,  ///< as above
};

/// What a message brings.
enum class Offer : std::uint8_t {
  none = 0,
  credential = 1,
  malformed = 2,
};

/// Says whether a token counts.
///
/// An absent or empty one is none: nothing can be cleared with it. Where a connection keeps the
/// credential every token is none, however it looks. Any other is a credential when it is 1..8,192
/// bytes of UTF-8 without control characters and not all blanks.
[[nodiscard]] Offer offer(Repository repository, std::string_view token) noexcept;

/// A message as it comes in. It has no place for a credential.
struct Candidate {
  std::string_view id;  ///< chosen by the sender; the same for every attempt
  std::string_view turn;
  std::string_view mode;
  std::string_view model;
  std::span<const std::string_view> modes;  ///< that there are
  std::span<const std::string_view> models;  ///< as above; none: all that have a model's form
  Offer offer{Offer::none};
  UnixMillis composed_at{0};  ///< by the sender's clock; 0: when it first came
};

// What is stored ---------------------------------------------------------------------------------

/// 128 bits of a message id's SHA-256. All zero: none.
struct Id {
  std::array<std::uint8_t, 16> bytes{};
  friend constexpr bool operator==(const Id&, const Id&) noexcept = default;
};

[[nodiscard]] Id id_of(std::string_view id) noexcept;

/// What makes two messages the same: SHA-256 over turn, mode and model.
struct Intent {
  std::array<std::uint8_t, 32> bytes{};
  friend constexpr bool operator==(const Intent&, const Intent&) noexcept = default;
};

[[nodiscard]] Intent intent_of(const Candidate& candidate) noexcept;

/// What a session knows of its messages. `Session{}` stands for none.
struct Session {
  std::uint64_t epoch{0};  ///< +1 with every write
  std::uint64_t version{0};  ///< of the credential; 0: there is none
  std::uint64_t admitted{0};  ///< messages so far
  UnixMillis composed_at{0};  ///< of the message whose credential is stored
  Id current{};  ///< that message
  std::uint8_t open{0};  ///< places taken in the queue
  friend constexpr bool operator==(const Session&, const Session&) noexcept = default;
};

enum class Stage : std::uint8_t {
  absent = 0,  ///< there is no record
  marked = 1,  ///< its credential is stored, it itself is not
  queued = 2,
  sent = 3,  ///< the agent has it
  done = 4,
  failed = 5,
  lapsed = 6,  ///< marked for so long that its place was given up
};

/// Why a message could not be given to the agent.
///
///     class          waits (s)     begins anew
///     interrupted    2             no
///     starting       5             no
///     unreachable    10, 30, 60    no
///     setup_failed   15, 45        no
///     rate_limited   120           yes
///     overloaded     30, 60, 120   yes
///     permanent      -             no
///
/// Attempts are counted over all classes; only a change from a class that does not begin anew to
/// one that does sets them back. After the last wait the message has failed.
enum class Failure : std::uint8_t {
  none = 0,
  interrupted = 1,
  starting = 2,
  unreachable = 3,
  setup_failed = 4,
  rate_limited = 5,
  overloaded = 6,
  permanent = 7,
};

/// What became of a message's credential.
enum class Credential : std::uint8_t {
  none = 0,  ///< it brought none that counts
  stored = 1,
  superseded = 2,  ///< one from a message composed later is there
};

/// One message. Its text is kept beside it; no credential is.
struct Message {
  Id id{};
  Intent intent{};
  std::uint64_t number{0};  ///< of its admission; smaller ones go first
  UnixMillis marked_at{0};
  UnixMillis next_attempt_at{0};
  Stage stage{Stage::absent};
  Failure failure{Failure::none};  ///< of the last attempt
  Credential credential{Credential::none};
  std::uint8_t attempts{0};  ///< failed ones, as the waits count them
  std::uint8_t sends{0};
  std::uint8_t settled{0};  ///< the last of them whose failure was reported
  bool marked{false};  ///< its sender has not been answered
  friend constexpr bool operator==(const Message&, const Message&) noexcept = default;
};

/// True for what these functions could have written, and for `Session{}` and `Message{}`.
[[nodiscard]] bool is_sound(const Session& session) noexcept;
[[nodiscard]] bool is_sound(const Message& message) noexcept;

inline constexpr std::size_t session_size = 50;
inline constexpr std::size_t message_size = 80;

/// Writes a record as bytes: little-endian, in the order of its members, a format number in front.
void encode(const Session& session, std::span<std::uint8_t, session_size> out) noexcept;
void encode(const Message& message, std::span<std::uint8_t, message_size> out) noexcept;

/// Reads what `encode` wrote.
///
/// @return the record, or `corrupt` for any bytes that are not those of a sound one.
[[nodiscard]] Result<Session> decode_session(Bytes bytes) noexcept;
[[nodiscard]] Result<Message> decode_message(Bytes bytes) noexcept;

// What is to be done -----------------------------------------------------------------------------

/// What is chosen here.
struct Policy {
  std::uint8_t max_open{10};
  std::uint8_t max_sends{20};  ///< of one message, whatever the classes of its failures
  Millis debounce{seconds(1)};  ///< from admission to the first attempt
  Millis delivery{seconds(60)};  ///< an attempt without an outcome is made again after this
  Millis mark{seconds(900)};  ///< then a mark without its message lapses
  Millis skew{seconds(60)};
};

enum class Act : std::uint8_t {
  nothing = 0,  ///< at least until `at`, where that is not 0
  refuse = 1,  ///< `code`
  acknowledge = 2,  ///< `message`
  write = 3,
  send = 4,  ///< to the agent, once the write is stored; its outcome names `message.sends`
};

/// What is written beside the two records.
enum class Blob : std::uint8_t {
  keep = 0,
  credential = 1,  ///< the caller's, sealed: the only write that has one
  intent = 2,  ///< turn, mode and model
  wipe = 3,  ///< nothing stays: the message has ended
};

/// What is to be done. Numbers and digests alone: there is no room for a text in it.
struct Plan {
  Act act{Act::nothing};
  Act then{Act::nothing};  ///< of a write, once it is stored; `nothing`: ask again
  Blob blob{Blob::keep};
  Errc code{Errc::ok};
  std::uint64_t epoch{0};  ///< that the stored session must have
  UnixMillis at{0};  ///< of an alarm; 0: none
  Session session{};
  Message message{};
};

/// Decides about a message that comes in.
///
/// Checks, in this order: id and moment, the records, then by the message's stage
///
///     stage           marked  same intent  plan
///     absent          -       -            validate; mark, or admit where nothing is to be stored
///     marked          yes     yes          admit
///     queued, sent    yes     yes          unmark, then acknowledge
///     queued, sent    no      yes          acknowledge
///     done, failed    yes     yes          unmark, then acknowledge: nobody was told
///     done, failed    no      -            refuse, `message_ended`
///     lapsed          no      yes          validate; admit, and leave the credential alone
///     all else                no           refuse, `message_conflict`
///
/// Validation: turn, mode, model, credential, room in the queue. What it refuses has changed
/// nothing.
///
/// @param message  what is stored under `candidate.id`.
/// @return refusals: `claim_invalid` (an id that is not 1..100 bytes of UTF-8 without control
///         characters; a moment in the future), `corrupt`, `message_ended`, `message_conflict`,
///         `turn_invalid` (not 1..32,768 bytes of UTF-8, or nothing but blanks), `mode_invalid`,
///         `model_invalid`, `credential_invalid`, `queue_full`.
[[nodiscard]] Plan plan(const Candidate& candidate, const Session& session, const Message& message,
                        UnixMillis now, const Policy& policy = {}) noexcept;

/// Decides about one stored message when an alarm goes off; may be asked as often as one likes.
/// Messages are asked in the order of `number`; the first that is queued holds the others up.
///
/// @return `write` (an attempt, `then` send; a mark that lapses; a message that has failed),
///         `nothing`, or `refuse` with `corrupt`.
[[nodiscard]] Plan drain(const Session& session, const Message& message, UnixMillis now,
                         const Policy& policy = {}) noexcept;

enum class Outcome : std::uint8_t {
  accepted = 1,  ///< the agent has the message
  undelivered = 2,  ///< it has not: `failure`
  completed = 3,
  aborted = 4,
};

/// What became of a message.
struct Report {
  Outcome outcome{Outcome::undelivered};
  Failure failure{Failure::permanent};
  std::uint8_t sends{0};  ///< which attempt, for `undelivered`; only the last one's first counts
};

/// Decides what a report changes. Total: a message that has ended stays as it is, and is
/// acknowledged again.
///
///     stage         accepted   undelivered      completed  aborted
///     queued        sent       queued, failed   done       failed
///     sent          -          -                done       failed
///     all else      -          -                -          -
///
/// @return `write`, then `acknowledge`; `acknowledge` where nothing changes; or `refuse` with
///         `corrupt`.
[[nodiscard]] Plan settle(const Session& session, const Message& message, const Report& report,
                          UnixMillis now) noexcept;

}  // namespace latchkey::admission
