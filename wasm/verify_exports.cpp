// What both modules export: nothing here needs a secret.

#include "state_reply.hpp"

#include "latchkey/return_to.hpp"

namespace latchkey::abi {

LK_EXPORT(lk_abi_version)() noexcept { return static_cast<std::int32_t>(version); }
LK_EXPORT(lk_layout_hash)() noexcept { return static_cast<std::int32_t>(layout_hash()); }
LK_EXPORT(lk_arena)() noexcept {
  return static_cast<std::int32_t>(reinterpret_cast<std::uintptr_t>(arena));
}
LK_EXPORT(lk_arena_size)() noexcept { return static_cast<std::int32_t>(arena_size); }

LK_EXPORT(lk_keys_parse_jwks)
(std::uint32_t json, std::uint32_t json_len, std::uint32_t free) noexcept {
  return call<20'480>([=]() noexcept {
    Inputs inputs;
    const auto text = inputs.bytes(json, json_len);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    keys::PublicKey parsed[keys::max_keys];
    const auto count = keys::parse_jwks(text, parsed);
    if (!count) return fail(count.error(), count.at());
    Writer out{space};
    out.put({reinterpret_cast<const std::uint8_t*>(parsed), *count * sizeof(keys::PublicKey)});
    if (out.overflow()) return fail(Errc::output_too_small);
    return reply_bytes(out.written(), end_of(out.written()));
  });
}

LK_EXPORT(lk_state_verify_jwks)() noexcept {
  return call<8'192>([]() noexcept { return verify_state<keys::PublicKey>(); });
}

LK_EXPORT(lk_state_peek)
(std::uint32_t token, std::uint32_t token_len, std::uint32_t free) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const auto text = inputs.text(token, token_len);
    const auto scratch = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto peeked = state::peek(text, scratch);
    if (!peeked) return fail(peeked.error());
    const Errc code = reply_state(*peeked, scratch);
    // The last text is not the end of the payload: all of it goes.
    reply(ReplyHead{arena_size, 0});
    return code;
  });
}

LK_EXPORT(lk_return_to)
(std::uint32_t text, std::uint32_t text_len, std::uint32_t base, std::uint32_t base_len,
 std::uint32_t free) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const auto path = inputs.text(text, text_len);
    const auto within = inputs.text(base, base_len);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (space.size() < max_return_to) return fail(Errc::output_too_small);
    const auto normal = return_to(path, within, space);
    if (!normal) return fail(normal.error(), normal.at());
    return reply_bytes(bytes_of(*normal), end_of(bytes_of(*normal)));
  });
}

}  // namespace latchkey::abi
