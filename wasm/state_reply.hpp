/// Verified states on their way out; shared by both modules.
#pragma once

#include "arena.hpp"

#include "latchkey/state.hpp"

#include <algorithm>

namespace latchkey::abi {

/// The state's texts all lie in `scratch`, from its start to the end of the key id.
inline Errc reply_state(const state::State& s, Bytes scratch) noexcept {
  const auto base = reinterpret_cast<const char*>(scratch.data());
  const auto piece = [&](std::string_view text) noexcept {
    if (text.empty()) return Piece{0, 0};
    return Piece{static_cast<std::uint16_t>(text.data() - base),
                 static_cast<std::uint16_t>(text.size())};
  };
  std::size_t end = 0;
  for (const std::string_view text : {s.kid, s.issuer, s.audience, s.flow, s.provider, s.subject,
                                      s.owner_id, s.app, s.return_to, s.nonce}) {
    if (!text.empty()) end = std::max<std::size_t>(end, static_cast<std::size_t>(text.data() - base) + text.size());
  }
  const Bytes text = scratch.first(end);
  const bool ascii = std::none_of(text.begin(), text.end(), [](std::uint8_t c) { return c >= 0x80; });

  StateReply out{};
  out.head = {end_of(text), 0};
  out.issued_at_ms = static_cast<double>(s.issued_at.value);
  out.expires_at_ms = static_cast<double>(s.expires_at.value);
  out.text = slice_of(text);
  out.kid = piece(s.kid);
  out.issuer = piece(s.issuer);
  out.audience = piece(s.audience);
  out.flow = piece(s.flow);
  out.provider = piece(s.provider);
  out.subject = piece(s.subject);
  out.owner_id = piece(s.owner_id);
  out.app = piece(s.app);
  out.return_to = piece(s.return_to);
  out.nonce = piece(s.nonce);
  out.alg = static_cast<std::uint8_t>(s.alg);
  out.owner_kind = static_cast<std::uint8_t>(s.owner_kind);
  out.ascii = ascii ? 1 : 0;
  reply(out);
  return Errc::ok;
}

/// Verifies with either kind of key, as `StateVerifyRequest` asks.
template <class Key> Errc verify_state() noexcept {
  const auto in = request<StateVerifyRequest>();
  Inputs inputs;
  const auto keys = inputs.keys<Key>(in.keys);
  const auto token = inputs.text(in.token);
  state::Expected expected;
  expected.issuer = inputs.text(in.issuer);
  expected.audience = inputs.text(in.audience);
  expected.flow = inputs.text(in.flow);
  expected.provider = inputs.text(in.provider);
  expected.subject = inputs.text(in.subject);
  expected.binding = inputs.bytes(in.binding);
  expected.binding_mode =
      in.binding_mode == 0 ? state::Binding::required : state::Binding::unchecked;
  const MutBytes scratch = inputs.free_from(in.free);
  if (!inputs.good()) return fail(Errc::slice_invalid);
  const auto now = UnixMillis::from_f64(in.now_ms);
  const auto skew = UnixMillis::from_f64(in.skew_ms);
  if (!now || !skew || skew->value > state::max_skew.value) return fail(Errc::time_invalid);
  expected.now = *now;
  expected.skew = {skew->value};
  const auto verified = state::verify(keys, token, expected, scratch);
  return verified ? reply_state(*verified, scratch) : fail(verified.error());
}

}  // namespace latchkey::abi
