// What whoever makes states needs: everything with a secret key in it, and the plan of a callback.

#include "list.hpp"
#include "ring.hpp"
#include "state_reply.hpp"

#include "latchkey/callback.hpp"
#include "latchkey/principal.hpp"
#include "latchkey/seal.hpp"

namespace latchkey::abi {
namespace {

struct Context {
  std::string_view parts[seal::max_context_parts];
  std::size_t size{0};
};

bool read_context(Bytes list, Context& out) noexcept {
  ListReader reader{list};
  out.size = reader.count();
  if (out.size > seal::max_context_parts) return false;
  for (std::size_t i = 0; i < out.size; ++i) out.parts[i] = reader.text();
  return reader.finished();
}

Errc reply_written(const Writer& out) noexcept {
  return reply_bytes(out.written(), end_of(out.written()));
}

}  // namespace

LK_EXPORT(lk_keys_generate)
(std::uint32_t kid, std::uint32_t kid_len, std::uint32_t entropy, std::uint32_t entropy_len,
 std::uint32_t free) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const auto id = inputs.text(kid, kid_len);
    const auto random = inputs.bytes(entropy, entropy_len);
    Writer out{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto generated = keys::generate(id, random, out);
    return generated ? reply_written(out) : fail(generated.error());
  });
}

LK_EXPORT(lk_keys_parse)
(std::uint32_t text, std::uint32_t text_len, std::uint32_t free) noexcept {
  return call<20'480>([=]() noexcept {
    Inputs inputs;
    const auto ring_text = inputs.text(text, text_len);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    keys::Key parsed[keys::max_keys];
    const auto count = keys::parse(ring_text, parsed);
    Errc code = Errc::ok;
    if (count) {
      Writer out{space};
      out.put({reinterpret_cast<const std::uint8_t*>(parsed), *count * sizeof(keys::Key)});
      code = out.overflow() ? fail(Errc::output_too_small) : reply_written(out);
    } else {
      code = fail(count.error(), count.at());
    }
    return code;
  });
}

LK_EXPORT(lk_keys_public_jwks)
(std::uint32_t ring, std::uint32_t ring_len, std::uint32_t free) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>({ring, ring_len});
    Writer out{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    keys::put_jwks(keys, out);
    return out.overflow() ? fail(Errc::output_too_small) : reply_written(out);
  });
}

LK_EXPORT(lk_state_issue)() noexcept {
  return call<8'192>([]() noexcept {
    const auto in = request<StateIssueRequest>();
    Inputs inputs;
    const auto ring = inputs.keys<keys::Key>(in.ring);
    state::Claims claims;
    claims.issuer = inputs.text(in.issuer);
    claims.audience = inputs.text(in.audience);
    claims.flow = inputs.text(in.flow);
    claims.provider = inputs.text(in.provider);
    claims.subject = inputs.text(in.subject);
    claims.owner_id = inputs.text(in.owner_id);
    claims.app = inputs.text(in.app);
    claims.return_to = inputs.text(in.return_to);
    claims.binding = inputs.bytes(in.binding);
    const auto entropy = inputs.bytes(in.entropy);
    const auto space = inputs.free_from(in.free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(in.now_ms);
    if (!now) return fail(Errc::time_invalid);
    const auto ttl = UnixMillis::from_f64(in.ttl_ms);
    if (!ttl || in.alg < 1 || in.alg > 2 || in.owner_kind < 1 || in.owner_kind > 2) {
      return fail(Errc::claim_invalid);
    }
    claims.ttl = {ttl->value};
    claims.alg = static_cast<state::Alg>(in.alg);
    claims.owner_kind = static_cast<state::OwnerKind>(in.owner_kind);

    const auto issued = state::issue(ring, claims, *now, entropy, space.first(state::max_token));
    if (!issued) return fail(issued.error());
    Writer text{space};
    static_cast<void>(text.claim(issued->token.size()));
    text.put(issued->nonce.view());
    text.put(issued->challenge.view());
    const auto token_len = static_cast<std::uint16_t>(issued->token.size());
    StateIssueReply out{};
    out.head = {end_of(text.written()), 0};
    out.expires_at_ms = static_cast<double>(issued->expires_at.value);
    out.text = slice_of(text.written());
    out.token = {0, token_len};
    out.nonce = {token_len, 22};
    out.challenge = {static_cast<std::uint16_t>(token_len + 22), 43};
    reply(out);
    return Errc::ok;
  });
}

LK_EXPORT(lk_state_verify)() noexcept {
  return call<6'144>([]() noexcept { return verify_state<keys::Key>(); });
}

LK_EXPORT(lk_state_code_verifier)
(std::uint32_t ring, std::uint32_t ring_len, std::uint32_t kid, std::uint32_t kid_len,
 std::uint32_t nonce, std::uint32_t nonce_len, std::uint32_t free) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>({ring, ring_len});
    const auto id = inputs.text(kid, kid_len);
    const auto text = inputs.text(nonce, nonce_len);
    Writer out{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto verifier = state::code_verifier(keys, id, text);
    if (!verifier) return fail(verifier.error());
    out.put(verifier->view());
    return reply_written(out);
  });
}

LK_EXPORT(lk_callback_plan)() noexcept {
  return call<8'192>([]() noexcept {
    const auto in = request<CallbackPlanRequest>();
    Inputs inputs;
    callback::Input facts;
    ListReader list{inputs.bytes(in.params)};
    facts.subject = inputs.text(in.subject);
    facts.return_to = inputs.text(in.return_to);
    facts.nonce = inputs.text(in.nonce);
    facts.session_subject = inputs.text(in.session_subject);
    facts.as_issuer = inputs.text(in.as_issuer);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto expires_at = UnixMillis::from_f64(in.expires_at_ms);
    if (!expires_at) return fail(Errc::time_invalid);
    facts.expires_at = *expires_at;
    facts.state_error = static_cast<Errc>(in.state_error);
    facts.iss_required = in.iss_required != 0;

    // One more than the planner takes, so that it sees the excess and refuses it.
    callback::Param params[callback::max_params + 1];
    const std::size_t sent = list.count();
    const std::size_t kept = std::min(sent, callback::max_params + 1);
    for (std::size_t i = 0; i < kept; ++i) {
      params[i].name = list.text();
      params[i].value = list.text();
    }
    if (kept == sent && !list.finished()) return fail(Errc::slice_invalid);
    facts.params = {params, kept};

    const auto plan = callback::plan(facts);
    CallbackPlanReply out{};
    out.head = {arena_size, 0};
    out.consume_until_ms = static_cast<double>(plan.consume.until.value);
    out.code = slice_of(plan.code);
    out.action = static_cast<std::uint8_t>(plan.action);
    out.reason = static_cast<std::uint8_t>(plan.reason);
    out.public_code = static_cast<std::uint8_t>(plan.public_code);
    out.with_return_to = plan.return_to.empty() ? 0 : 1;
    reply(out);
    return Errc::ok;
  });
}

LK_EXPORT(lk_seal_seal)
(std::uint32_t ring, std::uint32_t ring_len, std::uint32_t plain, std::uint32_t plain_len,
 std::uint32_t context, std::uint32_t context_len, std::uint32_t entropy24,
 std::uint32_t free) noexcept {
  return call<8'192>([=]() noexcept {
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>({ring, ring_len});
    const auto bytes = inputs.bytes(plain, plain_len);
    const auto list = inputs.bytes(context, context_len);
    const auto entropy = inputs.bytes(entropy24, crypto::aead_nonce_size);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    Context parts;
    const std::size_t scratch = bytes.size() + crypto::aead_nonce_size + crypto::aead_tag_size;
    if (!read_context(list, parts)) return fail(Errc::claim_invalid);
    if (scratch > space.size()) return fail(Errc::output_too_small);
    Writer out{space.subspan(scratch)};
    const auto sealed =
        seal::seal(keys, bytes, {parts.parts, parts.size}, entropy, space.first(scratch), out);
    return sealed ? reply_written(out) : fail(sealed.error());
  });
}

LK_EXPORT(lk_seal_open)
(std::uint32_t ring, std::uint32_t ring_len, std::uint32_t text, std::uint32_t text_len,
 std::uint32_t context, std::uint32_t context_len, std::uint32_t free) noexcept {
  return call<8'192>([=]() noexcept {
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>({ring, ring_len});
    const auto sealed = inputs.text(text, text_len);
    const auto list = inputs.bytes(context, context_len);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    Context parts;
    if (!read_context(list, parts)) return fail(Errc::seal_invalid);
    const auto opened = seal::open(keys, sealed, {parts.parts, parts.size}, space);
    if (!opened) return fail(opened.error());
    return reply_bytes(*opened, arena_size);
  });
}

LK_EXPORT(lk_principal_issue)() noexcept {
  return call<8'192>([]() noexcept {
    const auto in = request<PrincipalIssueRequest>();
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>(in.ring);
    principal::Principal who;
    who.subject = inputs.text(in.subject);
    who.org = inputs.text(in.org);
    who.role = inputs.text(in.role);
    who.device = inputs.text(in.device);
    Writer out{inputs.free_from(in.free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(in.now_ms);
    if (!now) return fail(Errc::time_invalid);
    const auto ttl = UnixMillis::from_f64(in.ttl_ms);
    if (!ttl || in.kind < 1 || in.kind > 3) return fail(Errc::principal_invalid);
    who.kind = static_cast<principal::Kind>(in.kind);
    const auto issued = principal::issue(keys, who, *now, {ttl->value}, out);
    return issued ? reply_written(out) : fail(issued.error());
  });
}

LK_EXPORT(lk_principal_verify)
(std::uint32_t ring, std::uint32_t ring_len, std::uint32_t token, std::uint32_t token_len,
 double now_ms, std::uint32_t free) noexcept {
  return call<8'192>([=]() noexcept {
    Inputs inputs;
    const auto keys = inputs.keys<keys::Key>({ring, ring_len});
    const auto text = inputs.text(token, token_len);
    const auto scratch = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    const auto who = principal::verify(keys, text, *now, scratch);
    if (!who) return fail(who.error());
    PrincipalReply out{};
    out.head = {arena_size, 0};
    out.subject = slice_of(who->subject);
    out.org = slice_of(who->org);
    out.role = slice_of(who->role);
    out.device = slice_of(who->device);
    out.kind = static_cast<std::uint8_t>(who->kind);
    reply(out);
    return Errc::ok;
  });
}
}  // namespace latchkey::abi
