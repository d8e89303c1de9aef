#include "latchkey/admission.hpp"

#include "latchkey/crypto.hpp"
#include "latchkey/text.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

namespace latchkey::admission {
namespace {

constexpr Id no_message{};

// What comes in ----------------------------------------------------------------------------------

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_all_blank(std::string_view text) noexcept {
  for (const char c : text) {
    if (!is_blank(c)) return false;
  }
  return true;
}

bool is_turn(std::string_view text) noexcept {
  return text.size() <= max_turn && !is_all_blank(text) && text::is_utf8(bytes_of(text));
}

bool is_one_of(std::string_view name, std::span<const std::string_view> names) noexcept {
  for (const std::string_view each : names) {
    if (name == each) return true;
  }
  return false;
}

Errc check(const Candidate& in, const Session& session, const Policy& policy) noexcept {
  if (!is_turn(in.turn)) return Errc::turn_invalid;
  if (!text::is_plain(in.mode, max_name) || !is_one_of(in.mode, in.modes)) {
    return Errc::mode_invalid;
  }
  if (!text::is_plain(in.model, max_name) ||
      (!in.models.empty() && !is_one_of(in.model, in.models))) {
    return Errc::model_invalid;
  }
  if (in.offer > Offer::credential) return Errc::credential_invalid;
  return session.open < policy.max_open ? Errc::ok : Errc::queue_full;
}

// What is stored ---------------------------------------------------------------------------------

bool is_time(UnixMillis at) noexcept { return at.value >= 0 && at.value <= UnixMillis::max; }

constexpr bool is_open(Stage stage) noexcept {
  return stage == Stage::marked || stage == Stage::queued;
}

/// True once a message has been admitted: its intent is stored.
constexpr bool has_intent(Stage stage) noexcept {
  return stage >= Stage::queued && stage <= Stage::failed;
}

/// True when the two records can stand beside each other and one more write can be counted.
bool are_sound(const Session& session, const Message& message) noexcept {
  return is_sound(session) && is_sound(message) && session.epoch < max_counter &&
         (message.stage == Stage::absent || session.epoch > 0) &&
         message.number <= session.admitted && (!is_open(message.stage) || session.open > 0);
}

// Time -------------------------------------------------------------------------------------------

/// True while `now` is before a deadline that was set `length` ahead at most. One that is further
/// away than clocks differ was written by a clock that is wrong, and would hold until that clock is
/// right.
bool is_before(UnixMillis now, UnixMillis deadline, Millis length) noexcept {
  const std::int64_t left = deadline.value - now.value;
  return left > 0 && left <= 2 * length.value;
}

constexpr std::size_t max_waits = 3;

/// In seconds; 0: there is no further one.
struct Ladder {
  std::uint8_t waits[max_waits];
  bool begins_anew;
};
constexpr Ladder ladders[] = {
    {{0, 0, 0}, false},  // none
    {{2, 0, 0}, false},  // interrupted
    {{5, 0, 0}, false},  // starting
    {{10, 30, 60}, false},  // unreachable
    {{15, 45, 0}, false},  // setup_failed
    {{120, 0, 0}, true},  // rate_limited
    {{30, 60, 120}, true},  // overloaded
    {{0, 0, 0}, false},  // permanent
};
constexpr Millis longest_wait = seconds(120);

const Ladder& ladder_of(Failure failure) noexcept {
  return ladders[failure <= Failure::permanent ? static_cast<std::size_t>(failure) : 0];
}

// Plans ------------------------------------------------------------------------------------------

Plan refuse(Errc code) noexcept {
  Plan out;
  out.act = Act::refuse;
  out.code = code;
  return out;
}

Plan acknowledge(const Session& session, const Message& message) noexcept {
  Plan out;
  out.act = Act::acknowledge;
  out.epoch = session.epoch;
  out.session = session;
  out.message = message;
  return out;
}

Plan nothing_until(UnixMillis at) noexcept {
  Plan out;
  out.at = at;
  return out;
}

/// What every write begins with: the records as they are, one epoch later.
Plan begin_write(const Session& session, const Message& message, Act then, UnixMillis at) noexcept {
  Plan out = acknowledge(session, message);
  out.act = Act::write;
  out.then = then;
  out.at = at;
  ++out.session.epoch;
  return out;
}

Plan mark(const Session& session, const Message& fresh, UnixMillis composed_at, UnixMillis now,
          const Policy& policy) noexcept {
  Plan out = begin_write(session, fresh, Act::nothing, now.plus(policy.mark));
  out.blob = Blob::credential;
  ++out.session.version;
  ++out.session.open;
  out.session.current = fresh.id;
  if (session.composed_at.value < composed_at.value) out.session.composed_at = composed_at;
  out.message.stage = Stage::marked;
  out.message.marked_at = now;
  out.message.credential = Credential::stored;
  out.message.marked = true;
  return out;
}

/// A message that is marked has its place in the queue already, and its sender is answered after
/// the mark is gone.
Plan admit(const Session& session, const Message& message, UnixMillis now,
           const Policy& policy) noexcept {
  const UnixMillis at = now.plus(policy.debounce);
  Plan out = begin_write(session, message, message.marked ? Act::nothing : Act::acknowledge, at);
  out.blob = Blob::intent;
  if (!message.marked) ++out.session.open;
  out.message.number = ++out.session.admitted;
  out.message.stage = Stage::queued;
  out.message.next_attempt_at = at;
  return out;
}

/// A first attempt, as far as anybody knows.
Plan enter(const Candidate& in, const Session& session, const Message& stored, UnixMillis now,
           const Policy& policy) noexcept {
  const Errc code = check(in, session, policy);
  if (code != Errc::ok) return refuse(code);
  // Its credential was stored once, and others may have come since.
  if (stored.stage == Stage::lapsed) return admit(session, stored, now, policy);
  Message fresh;
  fresh.id = id_of(in.id);
  fresh.intent = intent_of(in);
  if (in.offer == Offer::none) return admit(session, fresh, now, policy);
  if (in.composed_at.value != 0 && in.composed_at.value < session.composed_at.value) {
    fresh.credential = Credential::superseded;
    return admit(session, fresh, now, policy);
  }
  return mark(session, fresh, in.composed_at.value != 0 ? in.composed_at : now, now, policy);
}

Plan end(const Session& session, const Message& message, Stage stage, UnixMillis now) noexcept {
  Plan out = begin_write(session, message, Act::nothing, now);
  if (is_open(message.stage)) --out.session.open;
  if (stage == Stage::done || stage == Stage::failed) out.blob = Blob::wipe;
  out.message.stage = stage;
  return out;
}

Plan undelivered(const Session& session, const Message& message, Failure failure,
                 UnixMillis now) noexcept {
  const Ladder& ladder = ladder_of(failure);
  const bool anew = ladder.begins_anew && !ladder_of(message.failure).begins_anew;
  const unsigned attempts = anew ? 0 : message.attempts;
  const unsigned wait = attempts < max_waits ? ladder.waits[attempts] : 0U;
  Plan out = wait == 0 ? end(session, message, Stage::failed, now)
                       : begin_write(session, message, Act::nothing, now.plus(seconds(wait)));
  out.message.failure = failure;
  out.message.settled = message.sends;
  out.message.attempts = static_cast<std::uint8_t>(attempts + 1);
  if (wait != 0) out.message.next_attempt_at = out.at;
  return out;
}

// The bytes of the records -----------------------------------------------------------------------

constexpr std::uint8_t session_format = 0xa1;
/// Another than that of a session, so that neither is read as the other.
constexpr std::uint8_t message_format = 0xa2;

// The members lie one behind another, padding only behind the last: a record is the format number
// and the bytes of the object.
static_assert(offsetof(Session, current) == 32 && offsetof(Session, open) == session_size - 2);
static_assert(offsetof(Message, number) == 48 && offsetof(Message, stage) == 72 &&
              offsetof(Message, marked) == message_size - 2);
static_assert(sizeof(Session) == 56 && sizeof(Message) == 80);
static_assert(std::endian::native == std::endian::little);

}  // namespace

Offer offer(Repository repository, std::string_view token) noexcept {
  switch (repository) {
  case Repository::github:
  case Repository::gitlab: return Offer::none;
  case Repository::generic_git: break;
  }
  if (token.empty()) return Offer::none;
  return text::is_plain(token, max_token) && !is_all_blank(token) ? Offer::credential
                                                                  : Offer::malformed;
}

Id id_of(std::string_view id) noexcept {
  const auto digest = crypto::sha256(bytes_of("latchkey message"), bytes_of(id));
  Id out;
  std::memcpy(out.bytes.data(), digest.data(), out.bytes.size());
  return out;
}

Intent intent_of(const Candidate& candidate) noexcept {
  // A digest is of one length, so each piece has one place.
  auto digest = crypto::sha256(bytes_of(candidate.turn));
  digest = crypto::sha256(digest, bytes_of(candidate.mode));
  digest = crypto::sha256(digest, bytes_of(candidate.model));
  return {digest};
}

bool is_sound(const Session& session) noexcept {
  if (session.epoch == 0) return session == Session{};
  const bool has_credential = session.version > 0;
  return session.epoch <= max_counter && session.version <= session.epoch &&
         session.admitted <= session.epoch && is_time(session.composed_at) &&
         has_credential == (session.current != no_message) &&
         (has_credential || session.composed_at.value == 0);
}

bool is_sound(const Message& message) noexcept {
  if (message.stage == Stage::absent) return message == Message{};
  const bool credential_stored = message.credential == Credential::stored;
  const bool marked_stage = message.stage == Stage::marked;
  return message.id != no_message && message.stage <= Stage::lapsed &&
         message.failure <= Failure::permanent && message.credential <= Credential::superseded &&
         message.attempts <= message.settled && message.settled <= message.sends &&
         is_time(message.marked_at) && is_time(message.next_attempt_at) &&
         message.number <= max_counter && has_intent(message.stage) == (message.number > 0) &&
         (has_intent(message.stage) ||
          (credential_stored && message.sends == 0 && message.marked == marked_stage)) &&
         (!message.marked || credential_stored);
}

void encode(const Session& session, std::span<std::uint8_t, session_size> out) noexcept {
  out[0] = session_format;
  std::memcpy(out.data() + 1, &session, session_size - 1);
}

void encode(const Message& message, std::span<std::uint8_t, message_size> out) noexcept {
  out[0] = message_format;
  std::memcpy(out.data() + 1, &message, message_size - 1);
}

Result<Session> decode_session(Bytes bytes) noexcept {
  Session out;
  if (bytes.size() != session_size || bytes[0] != session_format) return Errc::corrupt;
  std::memcpy(static_cast<void*>(&out), bytes.data() + 1, session_size - 1);
  if (!is_sound(out)) return Errc::corrupt;
  return out;
}

Result<Message> decode_message(Bytes bytes) noexcept {
  Message out;
  // The last byte is a bool, which has two values.
  if (bytes.size() != message_size || bytes[0] != message_format || bytes[message_size - 1] > 1) {
    return Errc::corrupt;
  }
  std::memcpy(static_cast<void*>(&out), bytes.data() + 1, message_size - 1);
  if (!is_sound(out)) return Errc::corrupt;
  return out;
}

Plan plan(const Candidate& candidate, const Session& session, const Message& message,
          UnixMillis now, const Policy& policy) noexcept {
  if (!text::is_plain(candidate.id, max_id) ||
      candidate.composed_at.value > now.plus(policy.skew).value) {
    return refuse(Errc::claim_invalid);
  }
  if (!are_sound(session, message)) return refuse(Errc::corrupt);
  if (message.stage == Stage::absent) return enter(candidate, session, message, now, policy);
  if (message.id != id_of(candidate.id)) return refuse(Errc::corrupt);
  const bool ended = message.stage == Stage::done || message.stage == Stage::failed;
  if (ended && !message.marked) return refuse(Errc::message_ended);
  if (message.intent != intent_of(candidate)) return refuse(Errc::message_conflict);
  if (message.stage == Stage::marked) return admit(session, message, now, policy);
  if (message.stage == Stage::lapsed) return enter(candidate, session, message, now, policy);
  if (!message.marked) return acknowledge(session, message);
  Plan out = begin_write(session, message, Act::acknowledge, {});
  out.message.marked = false;
  return out;
}

Plan drain(const Session& session, const Message& message, UnixMillis now,
           const Policy& policy) noexcept {
  if (!are_sound(session, message)) return refuse(Errc::corrupt);
  if (message.stage == Stage::marked) {
    const UnixMillis until = message.marked_at.plus(policy.mark);
    if (is_before(now, until, policy.mark)) return nothing_until(until);
    Plan out = end(session, message, Stage::lapsed, now);
    out.message.marked = false;
    return out;
  }
  if (message.stage != Stage::queued) return {};
  const Millis longest{policy.delivery.value > longest_wait.value ? policy.delivery : longest_wait};
  if (is_before(now, message.next_attempt_at, longest)) {
    return nothing_until(message.next_attempt_at);
  }
  if (message.sends >= policy.max_sends) return end(session, message, Stage::failed, now);
  Plan out = begin_write(session, message, Act::send, now.plus(policy.delivery));
  ++out.message.sends;
  out.message.next_attempt_at = out.at;
  return out;
}

Plan settle(const Session& session, const Message& message, const Report& report,
            UnixMillis now) noexcept {
  if (!are_sound(session, message)) return refuse(Errc::corrupt);
  const bool queued = message.stage == Stage::queued;
  Plan out = acknowledge(session, message);
  if (queued || message.stage == Stage::sent) {
    switch (report.outcome) {
    case Outcome::accepted:
      if (queued) out = end(session, message, Stage::sent, now);
      break;
    case Outcome::undelivered:
      if (queued && report.sends == message.sends && message.settled < message.sends) {
        out = undelivered(session, message, report.failure, now);
      }
      break;
    case Outcome::completed: out = end(session, message, Stage::done, now); break;
    case Outcome::aborted: out = end(session, message, Stage::failed, now); break;
    }
  }
  if (out.act == Act::write) out.then = Act::acknowledge;
  return out;
}

}  // namespace latchkey::admission
