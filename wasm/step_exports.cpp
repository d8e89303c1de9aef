// The refresh protocol's step function and what belongs to it.

#include "arena.hpp"

#include "latchkey/refresh.hpp"

namespace latchkey::abi {
namespace {

struct Settings {
  refresh::Policy policy;
  refresh::Traits traits;
};

bool read_time(double ms, Millis& out) noexcept {
  const auto time = UnixMillis::from_f64(ms);
  out = {time ? time->value : -1};
  return static_cast<bool>(time);
}

/// False for what is no length of time or no value of its enumeration; that is then -1 or the safe
/// value.
bool read_settings(Bytes bytes, Settings& out) noexcept {
  if (bytes.size() != sizeof(RefreshSettings)) return false;
  RefreshSettings in;
  std::memcpy(&in, bytes.data(), sizeof in);
  bool good = in.rotation <= static_cast<std::uint8_t>(refresh::Rotation::family_revoked) &&
              in.after_grace <= static_cast<std::uint8_t>(refresh::Rotation::family_revoked) &&
              in.revocation <= static_cast<std::uint8_t>(refresh::Revocation::grant);
  for (const auto& time : policy_times) {
    good = read_time(in.*time.at, out.policy.*time.value) && good;
  }
  for (const auto& time : traits_times) {
    good = read_time(in.*time.at, out.traits.*time.value) && good;
  }
  out.policy.max_sends = in.max_sends;
  out.policy.max_probes = in.max_probes;
  out.policy.max_tries = in.max_tries;
  out.policy.proactive = in.proactive != 0;
  out.traits.rotation = static_cast<refresh::Rotation>(in.rotation);
  out.traits.after_grace = static_cast<refresh::Rotation>(in.after_grace);
  out.traits.revocation = static_cast<refresh::Revocation>(in.revocation);
  out.traits.old_access_dies = in.old_access_dies != 0;
  out.traits.revocation_needs_live = in.revocation_needs_live != 0;
  return good;
}

/// What an answer says about a time is taken as nothing where it is odd.
Millis odd_as_nothing(double ms) noexcept {
  Millis out;
  return read_time(ms, out) ? out : Millis{0};
}

template <class E> bool read_enum(std::uint8_t number, E first, E last, E& out) noexcept {
  if (number < static_cast<std::uint8_t>(first) || number > static_cast<std::uint8_t>(last)) {
    return false;
  }
  out = static_cast<E>(number);
  return true;
}

Errc read_event(const RefreshStepRequest& in, refresh::Event& out) noexcept {
  using namespace refresh;
  const bool named =
      read_enum(in.kind, EventKind::none, EventKind::revocation, out.kind) &&
      read_enum(in.seen, Seen::row, Seen::nothing, out.seen) &&
      read_enum(in.task, Task::none, Task::erase, out.task) &&
      read_enum(in.cause, Cause::none, Cause::erased, out.cause) &&
      read_enum(in.reply_kind, ReplyClass::ok, ReplyClass::not_understood, out.reply.kind) &&
      read_enum(in.doubt, Doubt::none, Doubt::silent, out.reply.doubt) &&
      read_enum(in.revoked, Revoked::done, Revoked::unsupported, out.revoked);
  Millis version;
  if (!named || !read_time(in.version, version)) return Errc::claim_invalid;
  const auto at = UnixMillis::from_f64(in.at_ms);
  if (!at || !read_time(in.min_validity_ms, out.min_validity)) return Errc::time_invalid;
  out.entropy = std::uint64_t{in.entropy_high} << 32 | in.entropy_low;
  out.generation = {in.id, static_cast<std::uint64_t>(version.value)};
  out.at = *at;
  out.reply.retry_after = odd_as_nothing(in.retry_after_ms);
  out.reply.tokens = {odd_as_nothing(in.lifetime_ms), odd_as_nothing(in.refresh_lifetime_ms),
                      in.has_refresh != 0, in.refresh_same != 0, in.has_scope != 0};
  return Errc::ok;
}

/// The row that an event comes with or is about. One that does not decode is `corrupt` where the
/// event comes with it, and refused elsewhere: the caller has mixed something up.
bool read_row(Slice slice, Bytes bytes, refresh::Event& event, refresh::Row& out) noexcept {
  if (slice.at == 0) return true;
  const auto row = refresh::decode(bytes);
  if (row) {
    out = *row;
    return true;
  }
  using refresh::EventKind;
  event.seen = refresh::Seen::corrupt;
  return event.kind == EventKind::begin || event.kind == EventKind::lost ||
         event.kind == EventKind::row_read;
}

double to_f64(UnixMillis at) noexcept {
  return at == refresh::never ? -1.0 : static_cast<double>(at.value);
}
double to_f64(std::uint64_t count) noexcept { return static_cast<double>(count); }

RefreshEffect to_layout(const refresh::Effect& effect) noexcept {
  RefreshEffect out{};
  out.at_ms = to_f64(effect.at);
  out.stands_until_ms = to_f64(effect.stands_until);
  out.version = to_f64(effect.generation.version);
  out.condition_version = to_f64(effect.condition.generation.version);
  out.condition_epoch = to_f64(effect.condition.epoch);
  out.id = effect.generation.id;
  out.condition_id = effect.condition.generation.id;
  out.kind = static_cast<std::uint8_t>(effect.kind);
  out.outcome = static_cast<std::uint8_t>(effect.outcome);
  out.cause = static_cast<std::uint8_t>(effect.cause);
  out.token = static_cast<std::uint8_t>(effect.token);
  out.source = static_cast<std::uint8_t>(effect.source);
  out.blobs = static_cast<std::uint8_t>(effect.blobs);
  out.news = static_cast<std::uint8_t>(effect.news);
  out.probe = effect.probe ? 1 : 0;
  out.persist_failed = effect.persist_failed ? 1 : 0;
  out.keep_scopes = effect.keep_scopes ? 1 : 0;
  out.corrupt = effect.condition.corrupt ? 1 : 0;
  out.revoked = effect.receipt.revoked ? 1 : 0;
  out.deleted = effect.receipt.deleted ? 1 : 0;
  out.reason = static_cast<std::uint8_t>(effect.receipt.reason);
  return out;
}

Errc reply_step(const refresh::Step& step, MutBytes space) noexcept {
  Writer out{space};
  RefreshStepReply answer{};
  bool writes = false;
  for (const refresh::Effect& effect : step.effects) {
    writes = writes || effect.kind == refresh::EffectKind::persist;
    const RefreshEffect laid = to_layout(effect);
    out.put({reinterpret_cast<const std::uint8_t*>(&laid), sizeof laid});
  }
  answer.effects = slice_of(out.written());
  if (writes && step.row.status != refresh::Status::absent) {
    const MutBytes row = out.claim(refresh::row_size);
    if (row.empty()) return fail(Errc::output_too_small);
    refresh::encode(step.row, row.first<refresh::row_size>());
    answer.row = slice_of(row);
    answer.epoch = to_f64(step.row.epoch);
  }
  const MutBytes flow = out.claim(refresh::flow_size);
  if (flow.empty()) return fail(Errc::output_too_small);
  refresh::encode(step.flow, flow.first<refresh::flow_size>());
  answer.flow = slice_of(flow);
  answer.head = {end_of(flow), 0};
  reply(answer);
  return Errc::ok;
}

}  // namespace

LK_EXPORT(lk_refresh_admit)() noexcept {
  return call<2'048>([]() noexcept {
    const auto in = request<RefreshAdmitRequest>();
    Inputs inputs;
    const auto bytes = inputs.bytes(in.settings);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    Settings settings;
    // Outside of their enumerations there is nothing sane, and what cannot be read is no length.
    const bool good = read_settings(bytes, settings);
    refresh::Contract contract{
        in.cas != 0, in.strong_read != 0, in.negative_cache != 0, {}, in.max_value};
    if (!read_time(in.min_ttl_ms, contract.min_ttl)) return fail(Errc::time_invalid);
    const auto verdict =
        refresh::admit(contract, settings.policy, in.has_traits != 0 ? &settings.traits : nullptr);
    if (!verdict) return fail(verdict.error());
    return good ? reply_bytes({}, data_at) : fail(Errc::config_invalid);
  });
}

LK_EXPORT(lk_refresh_step)() noexcept {
  return call<4'096>([]() noexcept {
    const auto in = request<RefreshStepRequest>();
    Inputs inputs;
    const auto row_bytes = inputs.bytes(in.row);
    const auto flow_bytes = inputs.bytes(in.flow);
    const auto settings_bytes = inputs.bytes(in.settings);
    const auto space = inputs.free_from(in.free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(in.now_ms);
    if (!now) return fail(Errc::time_invalid);
    Settings settings;
    if (!read_settings(settings_bytes, settings)) return fail(Errc::config_invalid);
    refresh::Event event;
    const Errc read = read_event(in, event);
    if (read != Errc::ok) return fail(read);
    refresh::Row row;
    if (!read_row(in.row, row_bytes, event, row)) return fail(Errc::corrupt);
    refresh::Flow flow;
    if (in.flow.at != 0) {
      const auto decoded = refresh::decode_flow(flow_bytes);
      if (!decoded) return fail(decoded.error());
      flow = *decoded;
    }
    return reply_step(refresh::step(row, flow, event, *now, settings.traits, settings.policy),
                      space);
  });
}

LK_EXPORT(lk_refresh_describe)
(std::uint32_t row, std::uint32_t row_len, double now_ms) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto bytes = inputs.bytes(row, row_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    const auto decoded = refresh::decode(bytes);
    if (!decoded) return fail(decoded.error());
    // Zero is what a moment says that has not come.
    const auto come = [](UnixMillis at) noexcept { return at.value == 0 ? -1.0 : to_f64(at); };
    RefreshRowReply out{};
    out.head = {arena_size, 0};
    out.version = to_f64(decoded->version);
    out.epoch = to_f64(decoded->epoch);
    out.login_at_ms = to_f64(decoded->login_at);
    out.obtained_at_ms = to_f64(decoded->obtained_at);
    out.access_expires_at_ms = to_f64(decoded->access_expires_at);
    out.refresh_expires_at_ms = to_f64(decoded->refresh_expires_at);
    out.ended_at_ms = come(decoded->ended_at);
    out.ends_at_ms = to_f64(refresh::ends_at(*decoded));
    out.leased_until_ms = decoded->lease.holder == 0 ? -1.0 : come(decoded->lease.deadline);
    out.next_attempt_at_ms = come(decoded->cool_down.next_attempt_at);
    out.id = decoded->id;
    out.status = static_cast<std::uint8_t>(decoded->status);
    out.standing = static_cast<std::uint8_t>(refresh::standing(*decoded, *now));
    out.cause = static_cast<std::uint8_t>(decoded->cause);
    out.doubt = static_cast<std::uint8_t>(decoded->intent.doubt);
    out.failures = decoded->cool_down.failures;
    out.has_refresh = decoded->has_refresh ? 1 : 0;
    out.rejected = decoded->rejected ? 1 : 0;
    out.held = decoded->held ? 1 : 0;
    reply(out);
    return Errc::ok;
  });
}

}  // namespace latchkey::abi
