// Taking messages into a session: what only the edge module exports of it.
//
// All but `offer` is one question, of which each verb reads its part, and one answer.

#include "arena.hpp"
#include "list.hpp"

#include "latchkey/admission.hpp"

namespace latchkey::abi {
namespace {

using namespace admission;

constexpr std::size_t max_names = 32;

struct Names {
  std::string_view items[max_names];
  std::size_t count{0};
  [[nodiscard]] std::span<const std::string_view> all() const noexcept { return {items, count}; }
};

[[gnu::noinline]] bool read_names(Bytes list, Names& out) noexcept {
  if (list.empty()) return true;
  ListReader reader{list};
  out.count = reader.count();
  if (out.count > max_names) return false;
  for (std::size_t i = 0; i < out.count; ++i) out.items[i] = reader.text();
  return reader.finished();
}

double number(std::uint64_t count) noexcept { return static_cast<double>(count); }
template <class E> std::uint8_t byte(E name) noexcept { return static_cast<std::uint8_t>(name); }

Errc answer(const Plan& plan, MutBytes free) noexcept {
  if (plan.act == Act::refuse) return fail(plan.code);
  if (free.size() < session_size + message_size) return fail(Errc::output_too_small);
  AdmissionReply out{};
  out.head = {arena_size, 0};
  out.at_ms = static_cast<double>(plan.at.value);
  out.act = byte(plan.act);
  if (plan.act != Act::nothing) {
    const auto session = free.first<session_size>();
    const auto message = free.subspan<session_size, message_size>();
    encode(plan.session, session);
    encode(plan.message, message);
    out.session = slice_of(session);
    out.message = slice_of(message);
    out.epoch = number(plan.epoch);
    out.next_epoch = number(plan.session.epoch);
    out.version = number(plan.session.version);
    out.admitted = number(plan.session.admitted);
    out.number = number(plan.message.number);
    out.then = byte(plan.then);
    out.blob = byte(plan.blob);
    out.stage = byte(plan.message.stage);
    out.credential = byte(plan.message.credential);
    out.failure = byte(plan.message.failure);
    out.sends = plan.message.sends;
    out.open = plan.session.open;
  }
  reply(out);
  return Errc::ok;
}

/// A message that comes in. A moment that is not given is -1: 0 is one too, and refused.
Errc plan_candidate(const AdmissionRequest& in, Inputs& inputs, const Session& session,
                    const Message& message, UnixMillis now, MutBytes space) noexcept {
  Candidate candidate;
  candidate.id = inputs.text(in.id);
  candidate.turn = inputs.text(in.turn);
  candidate.mode = inputs.text(in.mode);
  candidate.model = inputs.text(in.model);
  Names modes;
  Names models;
  if (!read_names(inputs.bytes(in.modes), modes) || !read_names(inputs.bytes(in.models), models) ||
      !inputs.good()) {
    return fail(Errc::slice_invalid);
  }
  candidate.modes = modes.all();
  candidate.models = models.all();
  if (in.composed_at_ms != -1) {
    const auto composed_at = UnixMillis::from_f64(in.composed_at_ms);
    if (!composed_at || composed_at->value == 0) return fail(Errc::time_invalid);
    candidate.composed_at = *composed_at;
  }
  // A number that is none is taken for the worst that `offer` finds.
  candidate.offer =
      in.offer <= byte(Offer::malformed) ? static_cast<Offer>(in.offer) : Offer::malformed;
  return answer(plan(candidate, session, message, now), space);
}

enum class Verb : std::uint8_t { plan, drain, settle };

std::int32_t decide(Verb verb) noexcept {
  return call<6'144>([verb]() noexcept {
    const auto in = request<AdmissionRequest>();
    Inputs inputs;
    // The end of every input is known before the free space is.
    for (const Slice each : {in.id, in.turn, in.mode, in.model, in.modes, in.models}) {
      (void)inputs.bytes(each);
    }
    const Bytes session_bytes = inputs.bytes(in.session);
    const Bytes message_bytes = inputs.bytes(in.message);
    const MutBytes space = inputs.free_from(in.free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(in.now_ms);
    if (!now) return fail(Errc::time_invalid);
    // Absent bytes are nothing stored.
    Session session;
    Message message;
    if (!session_bytes.empty()) {
      const auto read = decode_session(session_bytes);
      if (!read) return fail(read.error());
      session = *read;
    }
    if (!message_bytes.empty()) {
      const auto read = decode_message(message_bytes);
      if (!read) return fail(read.error());
      message = *read;
    }
    switch (verb) {
    case Verb::plan: return plan_candidate(in, inputs, session, message, *now, space);
    case Verb::drain: return answer(drain(session, message, *now), space);
    case Verb::settle: break;
    }
    if (in.outcome < byte(Outcome::accepted) || in.outcome > byte(Outcome::aborted) ||
        in.failure > byte(Failure::permanent)) {
      return fail(Errc::claim_invalid);
    }
    const Report report{static_cast<Outcome>(in.outcome), static_cast<Failure>(in.failure),
                        in.sends};
    return answer(settle(session, message, report, *now), space);
  });
}

}  // namespace

LK_EXPORT(lk_admission_offer)
(std::uint32_t repository, std::uint32_t token, std::uint32_t token_len) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto text = inputs.text(token, token_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (repository < byte(Repository::generic_git) || repository > byte(Repository::gitlab)) {
      return fail(Errc::claim_invalid);
    }
    const Offer found = offer(static_cast<Repository>(repository), text);
    reply(FlagReply{{arena_size, 0}, byte(found), 0});
    return Errc::ok;
  });
}

LK_EXPORT(lk_admission_plan)() noexcept { return decide(Verb::plan); }
LK_EXPORT(lk_admission_drain)() noexcept { return decide(Verb::drain); }
LK_EXPORT(lk_admission_settle)() noexcept { return decide(Verb::settle); }

}  // namespace latchkey::abi
