/// Verified states on their way out; shared by both modules.
#pragma once

#include "arena.hpp"

#include "latchkey/state.hpp"
#include "latchkey/text.hpp"

#include <algorithm>

namespace latchkey::abi {

/// The state's texts all lie in `scratch`, from its start to the end of the key id.
[[gnu::noinline]] inline Errc reply_state(const state::State& s, Bytes scratch) noexcept {
  const auto base = reinterpret_cast<const char*>(scratch.data());
  const auto piece = [&](std::string_view text) noexcept {
    if (text.empty()) return Piece{0, 0};
    return Piece{static_cast<std::uint16_t>(text.data() - base),
                 static_cast<std::uint16_t>(text.size())};
  };
  std::size_t end = 0;
  for (const std::string_view text : {s.kid, s.issuer, s.audience, s.flow, s.provider, s.subject,
                                      s.owner_id, s.app, s.return_to, s.nonce}) {
    if (!text.empty())
      end = std::max<std::size_t>(end, static_cast<std::size_t>(text.data() - base) + text.size());
  }
  const Bytes all = scratch.first(end);

  StateReply out{};
  out.head = {end_of(all), 0};
  out.issued_at_ms = static_cast<double>(s.issued_at.value);
  out.expires_at_ms = static_cast<double>(s.expires_at.value);
  out.text = slice_of(all);
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
  out.ascii = text::is_ascii(all) ? 1 : 0;
  reply(out);
  return Errc::ok;
}

/// What a `StateVerifyRequest` asks, but for its keys.
struct VerifyArguments {
  std::string_view token;
  state::Expected expected;
  MutBytes scratch;
};

/// Reads a request; the result is not to be used unless `inputs` are good and it says ok.
[[gnu::noinline]] inline Errc read_arguments(const StateVerifyRequest& in, Inputs& inputs,
                                             VerifyArguments& out) noexcept {
  out.token = inputs.text(in.token);
  out.expected.issuer = inputs.text(in.issuer);
  out.expected.audience = inputs.text(in.audience);
  out.expected.flow = inputs.text(in.flow);
  out.expected.provider = inputs.text(in.provider);
  out.expected.subject = inputs.text(in.subject);
  out.expected.binding = inputs.bytes(in.binding);
  out.expected.binding_mode =
      in.binding_mode == 0 ? state::Binding::required : state::Binding::unchecked;
  out.scratch = inputs.free_from(in.free);
  if (!inputs.good()) return Errc::slice_invalid;
  const auto now = UnixMillis::from_f64(in.now_ms);
  const auto skew = UnixMillis::from_f64(in.skew_ms);
  if (!now || !skew || skew->value > state::max_skew.value) return Errc::time_invalid;
  out.expected.now = *now;
  out.expected.skew = {skew->value};
  return Errc::ok;
}

/// Verifies with either kind of key, as `StateVerifyRequest` asks.
template <class Key> Errc verify_state() noexcept {
  const auto in = request<StateVerifyRequest>();
  Inputs inputs;
  const auto keys = inputs.keys<Key>(in.keys);
  VerifyArguments arguments;
  const Errc read = read_arguments(in, inputs, arguments);
  if (read != Errc::ok) return fail(read);
  const auto verified = state::verify(keys, arguments.token, arguments.expected, arguments.scratch);
  return verified ? reply_state(*verified, arguments.scratch) : fail(verified.error());
}

}  // namespace latchkey::abi
