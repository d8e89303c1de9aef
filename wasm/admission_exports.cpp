// What the edge module exports of admitting messages.

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

bool read_names(Bytes list, Names& out) noexcept {
  if (list.empty()) return true;
  ListReader reader{list};
  out.count = reader.count();
  if (out.count > max_names) return false;
  for (std::size_t i = 0; i < out.count; ++i) out.items[i] = reader.text();
  return reader.finished();
}

struct Records {
  Session session;
  Message message;
};

/// Absent bytes are nothing stored, and others what was written here.
bool read_records(Bytes session, Bytes message, Records& out) noexcept {
  if (!session.empty()) {
    const auto read = decode_session(session);
    if (!read) return false;
    out.session = *read;
  }
  if (!message.empty()) {
    const auto read = decode_message(message);
    if (!read) return false;
    out.message = *read;
  }
  return true;
}

template <std::size_t Size, class Record> Slice put_record(Writer& space,
                                                           const Record& record) noexcept {
  const MutBytes place = space.claim(Size);
  if (!place.empty()) encode(record, place.template first<Size>());
  return slice_of(place);
}

Errc reply_plan(const Plan& plan, MutBytes free) noexcept {
  if (plan.act == Act::refuse) return fail(plan.code);
  const auto number = [](std::uint64_t count) noexcept { return static_cast<double>(count); };
  Writer space{free};
  AdmissionPlanReply out{};
  if (plan.act != Act::nothing) {
    out.session = put_record<session_size>(space, plan.session);
    out.message = put_record<message_size>(space, plan.message);
    if (space.overflow()) return fail(Errc::output_too_small);
  }
  out.head = {arena_size, 0};
  out.epoch = number(plan.epoch);
  out.next_epoch = number(plan.session.epoch);
  out.at_ms = static_cast<double>(plan.at.value);
  out.number = number(plan.message.number);
  out.act = static_cast<std::uint8_t>(plan.act);
  out.then = static_cast<std::uint8_t>(plan.then);
  out.blob = static_cast<std::uint8_t>(plan.blob);
  out.stage = static_cast<std::uint8_t>(plan.message.stage);
  out.credential = static_cast<std::uint8_t>(plan.message.credential);
  out.failure = static_cast<std::uint8_t>(plan.message.failure);
  out.sends = plan.message.sends;
  reply(out);
  return Errc::ok;
}

}  // namespace

LK_EXPORT(lk_admission_offer)
(std::uint32_t repository, std::uint32_t token, std::uint32_t token_len) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto text = inputs.text(token, token_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (repository < 1 || repository > 3) return fail(Errc::claim_invalid);
    const Offer found = offer(static_cast<Repository>(repository), text);
    reply(FlagReply{{arena_size, 0}, static_cast<std::uint32_t>(found), 0});
    return Errc::ok;
  });
}

LK_EXPORT(lk_admission_plan)() noexcept {
  return call<4'096>([]() noexcept {
    const auto in = request<AdmissionPlanRequest>();
    Inputs inputs;
    Candidate candidate;
    candidate.id = inputs.text(in.id);
    candidate.turn = inputs.text(in.turn);
    candidate.mode = inputs.text(in.mode);
    candidate.model = inputs.text(in.model);
    const auto modes = inputs.bytes(in.modes);
    const auto models = inputs.bytes(in.models);
    const auto session = inputs.bytes(in.session);
    const auto message = inputs.bytes(in.message);
    const auto space = inputs.free_from(in.free);
    Names known_modes;
    Names known_models;
    if (!inputs.good() || !read_names(modes, known_modes) || !read_names(models, known_models)) {
      return fail(Errc::slice_invalid);
    }
    const auto now = UnixMillis::from_f64(in.now_ms);
    const auto composed_at = UnixMillis::from_f64(in.composed_at_ms);
    if (!now || !composed_at) return fail(Errc::time_invalid);
    Records stored;
    if (!read_records(session, message, stored)) return fail(Errc::corrupt);
    candidate.modes = known_modes.all();
    candidate.models = known_models.all();
    // A number that is none is taken for what `offer` finds at worst.
    candidate.offer = in.offer <= static_cast<std::uint8_t>(Offer::malformed)
                          ? static_cast<Offer>(in.offer)
                          : Offer::malformed;
    candidate.composed_at = *composed_at;
    return reply_plan(plan(candidate, stored.session, stored.message, *now), space);
  });
}

LK_EXPORT(lk_admission_drain)
(std::uint32_t session, std::uint32_t session_len, std::uint32_t message, std::uint32_t message_len,
 double now_ms, std::uint32_t free) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto of_session = inputs.bytes(session, session_len);
    const auto of_message = inputs.bytes(message, message_len);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    Records stored;
    if (!read_records(of_session, of_message, stored)) return fail(Errc::corrupt);
    return reply_plan(drain(stored.session, stored.message, *now), space);
  });
}

LK_EXPORT(lk_admission_settle)
(std::uint32_t session, std::uint32_t session_len, std::uint32_t message, std::uint32_t message_len,
 std::uint32_t outcome, std::uint32_t failure, std::uint32_t sends, double now_ms,
 std::uint32_t free) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto of_session = inputs.bytes(session, session_len);
    const auto of_message = inputs.bytes(message, message_len);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (outcome < 1 || outcome > 4 || failure > 7 || sends > 0xff) {
      return fail(Errc::claim_invalid);
    }
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    Records stored;
    if (!read_records(of_session, of_message, stored)) return fail(Errc::corrupt);
    const Report report{static_cast<Outcome>(outcome), static_cast<Failure>(failure),
                        static_cast<std::uint8_t>(sends)};
    return reply_plan(settle(stored.session, stored.message, report, *now), space);
  });
}

}  // namespace latchkey::abi
