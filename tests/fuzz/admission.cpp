// A session whose records are any bytes, a message of any text, and any report on it: no trap, and
// what comes of it is what may be stored. A driver then takes the message as far as it goes.
#include "fuzz.hpp"

#include "latchkey/admission.hpp"

#include <algorithm>

using namespace latchkey;
using namespace latchkey::admission;
using namespace latchkey::fuzz;

namespace {

constexpr std::string_view known_modes[] = {"code", "plan"};

/// What a plan says has to be true of every plan; returns true where there is something to write.
bool check(const Plan& plan, const Session& session) {
  LK_CHECK((plan.act == Act::refuse) == (plan.code != Errc::ok));
  if (plan.act != Act::write) {
    LK_CHECK(plan.blob == Blob::keep && plan.act != Act::send);
    return false;
  }
  LK_CHECK(plan.epoch == session.epoch && plan.session.epoch == session.epoch + 1);
  LK_CHECK(is_sound(plan.session) && is_sound(plan.message));
  LK_CHECK(plan.session.version <= session.version + 1);
  // A credential is only ever written with the mark.
  LK_CHECK((plan.blob == Blob::credential) == (plan.session.version > session.version));
  LK_CHECK(plan.blob != Blob::credential || plan.message.stage == Stage::marked);
  std::array<std::uint8_t, session_size> of_session{};
  std::array<std::uint8_t, message_size> of_message{};
  encode(plan.session, of_session);
  encode(plan.message, of_message);
  const auto session_back = decode_session(of_session);
  const auto message_back = decode_message(of_message);
  LK_CHECK(session_back && *session_back == plan.session);
  LK_CHECK(message_back && *message_back == plan.message);
  return true;
}

template <class Record> Record stored(const Result<Record>& read) {
  if (!read) {
    LK_CHECK(read.error() == Errc::corrupt);
    return {};
  }
  LK_CHECK(is_sound(*read));
  return *read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const auto offered = static_cast<Offer>(input.byte() % 3);
  const auto outcome = static_cast<Outcome>(1 + input.byte() % 4);
  const auto failure = static_cast<Failure>(input.byte() % 8);
  const std::uint8_t sends = input.byte();
  const bool fresh = (input.byte() & 1) != 0;
  UnixMillis now{1'767'225'600'000 + static_cast<std::int64_t>(input.number(4))};
  const auto composed = static_cast<std::int64_t>(input.number(4));
  const Octets id = input.text();
  const Octets turn = input.text();
  const Octets mode = input.text();
  const Octets model = input.text();
  const Octets token = input.text();
  const Octets records = input.rest();

  for (const auto kind : {Repository::generic_git, Repository::github, Repository::gitlab}) {
    const Offer found = offer(kind, text_of(token));
    LK_CHECK(kind == Repository::generic_git || found == Offer::none);
    LK_CHECK(!token.empty() || found == Offer::none);
  }
  const std::size_t split = std::min(records.size(), session_size);
  const Bytes all{records};
  Session session = stored(decode_session(all.first(split)));
  Message message = stored(decode_message(all.subspan(split)));
  Candidate candidate;
  candidate.id = text_of(id);
  candidate.turn = text_of(turn);
  candidate.mode = text_of(mode);
  candidate.model = text_of(model);
  candidate.modes = known_modes;
  candidate.offer = offered;
  candidate.composed_at = {composed == 0 ? 0 : now.value - 2'147'483'648 + composed};

  check(plan(candidate, session, message, now), session);
  check(drain(session, message, now), session);
  check(settle(session, message, {outcome, failure, sends}, now), session);
  if (!fresh) return 0;

  // From nothing: three writes at most, and then the same answer as often as it is asked for.
  session = {};
  message = {};
  unsigned writes = 0;
  for (Plan next = plan(candidate, session, message, now); check(next, session);
       next = plan(candidate, session, message, now)) {
    LK_CHECK(++writes <= 3);
    session = next.session;
    message = next.message;
  }
  if (writes == 0) return 0;
  LK_CHECK(message.stage == Stage::queued && !message.marked && session.open == 1);
  LK_CHECK(plan(candidate, session, message, now).act == Act::acknowledge);
  // Whatever is reported of it, it ends.
  for (unsigned turns = 0; message.stage == Stage::queued; ++turns) {
    LK_CHECK(turns < 64);
    now = now.plus(seconds(120));
    const Plan next = drain(session, message, now);
    LK_CHECK(check(next, session));
    session = next.session;
    message = next.message;
    const Plan said = settle(session, message, {outcome, failure, message.sends}, now);
    if (!check(said, session)) continue;
    session = said.session;
    message = said.message;
  }
  LK_CHECK(session.open == 0);
  return 0;
}
