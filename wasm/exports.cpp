// What only the edge module exports: everything that needs a secret, and the decisions.

#include "list.hpp"
#include "state_reply.hpp"

#include "latchkey/account.hpp"
#include "latchkey/callback.hpp"
#include "latchkey/config.hpp"
#include "latchkey/disconnect.hpp"
#include "latchkey/exchange.hpp"
#include "latchkey/guard.hpp"
#include "latchkey/principal.hpp"
#include "latchkey/repo.hpp"
#include "latchkey/scope.hpp"
#include "latchkey/seal.hpp"
#include "latchkey/url.hpp"

namespace latchkey::abi {
namespace {

// Eight lengths of time, each with a blank: at most a hundred years each.
constexpr std::size_t max_lengths = 8 * 14;

constexpr bool is_same(profile::Git a, repo::Provider b) noexcept {
  return static_cast<int>(a) == static_cast<int>(b);
}
static_assert(is_same(profile::Git::github, repo::Provider::github) &&
              is_same(profile::Git::gitlab, repo::Provider::gitlab) &&
              is_same(profile::Git::bitbucket, repo::Provider::bitbucket) &&
              is_same(profile::Git::git, repo::Provider::git));

void put_provider(Writer& list, const config::Provider& p) noexcept {
  const auto digit = [](auto value) noexcept {
    return static_cast<char>('0' + static_cast<int>(value));
  };
  const refresh::Traits& traits = p.refresh.traits;
  const char flags[] = {digit(p.scope_separator),
                        digit(p.auth_style),
                        digit(p.response_mode),
                        digit(p.pkce),
                        digit(p.iss_required),
                        digit(p.revocation_shape),
                        digit(traits.rotation),
                        digit(traits.after_grace),
                        digit(traits.revocation),
                        digit(traits.revocation_needs_live),
                        digit(traits.old_access_dies),
                        digit(p.refresh.needs_redirect_uri),
                        digit(p.refresh.server_errors_unspent),
                        digit(p.refresh.proactive),
                        digit(p.git),
                        digit(p.git_plain),
                        digit(p.policy.personal_only),
                        digit(p.policy.deployment),
                        digit(p.policy.past_revoked),
                        digit(p.policy.order[0]),
                        digit(p.policy.order[1]),
                        digit(p.policy.order[2])};
  std::uint8_t space[max_lengths];
  Writer lengths{space};
  for (const Millis length :
       {traits.grace, traits.access_lifetime, traits.max_access_lifetime, traits.refresh_idle,
        traits.refresh_absolute, traits.time_out, traits.lag, p.refresh.access_ttl}) {
    json::put_integer(lengths, length.value);
    lengths.put(' ');
  }
  const config::SecretName deployment_token = config::deployment_token(p);
  const std::string_view fields[] = {p.name,
                                     p.profile,
                                     p.title,
                                     p.client_id,
                                     p.authorization_url,
                                     p.token_url,
                                     p.revocation_url,
                                     p.user_info_url,
                                     p.scopes,
                                     p.as_issuer,
                                     p.client_secret.view(),
                                     p.webhook_secret.view(),
                                     {flags, sizeof flags},
                                     text_of(lengths.written()),
                                     p.git_host,
                                     p.git_base,
                                     p.git_host.empty() ? p.git_host : profile::git_user(p.git),
                                     deployment_token.view(),
                                     p.app_url,
                                     p.app_key.view(),
                                     p.introspection_url};
  static_assert(std::size(fields) == provider_fields);
  for (const std::string_view field : fields) put_text(list, field);
}

/// Rings are handed back as bytes, where the next call can take them as keys again.
Slice put_ring(Writer& out, keys::Ring ring) noexcept {
  const Bytes bytes{reinterpret_cast<const std::uint8_t*>(ring.data()), ring.size_bytes()};
  out.put(bytes);
  return slice_of(out.written().last(out.overflow() ? 0 : bytes.size()));
}

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

Errc reply_target(const Result<scope::Target>& target) noexcept {
  if (!target) return fail(target.error());
  ScopeTargetReply out{};
  out.head = {arena_size, 0};
  out.id = slice_of(target->id);
  out.scope = static_cast<std::uint8_t>(target->scope);
  out.rule = static_cast<std::uint8_t>(target->rule);
  reply(out);
  return Errc::ok;
}

Errc reply_flag(bool flag) noexcept {
  reply(FlagReply{{arena_size, 0}, flag ? 1U : 0U, 0});
  return Errc::ok;
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

LK_EXPORT(lk_scope_write_target)
(std::uint32_t subject, std::uint32_t subject_len, std::uint32_t org, std::uint32_t org_len,
 std::uint32_t role, std::uint32_t role_len) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const scope::Facts facts{inputs.text(subject, subject_len), inputs.text(org, org_len),
                             inputs.text(role, role_len)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    return reply_target(scope::write_target(facts));
  });
}

LK_EXPORT(lk_scope_connect_target)
(std::uint32_t subject, std::uint32_t subject_len, std::uint32_t org, std::uint32_t org_len,
 std::uint32_t role, std::uint32_t role_len, std::uint32_t requested) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const scope::Facts facts{inputs.text(subject, subject_len), inputs.text(org, org_len),
                             inputs.text(role, role_len)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (requested < 1 || requested > 2) return fail(Errc::claim_invalid);
    return reply_target(scope::connect_target(facts, static_cast<scope::Scope>(requested)));
  });
}

LK_EXPORT(lk_scope_erase_target)
(std::uint32_t subject, std::uint32_t subject_len, std::uint32_t id, std::uint32_t id_len,
 std::uint32_t kind) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto who = inputs.text(subject, subject_len);
    const auto whose = inputs.text(id, id_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (kind < 1 || kind > 3) return fail(Errc::claim_invalid);
    return reply_target(scope::erase_target(who, static_cast<scope::Eraser>(kind), whose));
  });
}

LK_EXPORT(lk_guard_is_loopback_host)(std::uint32_t host, std::uint32_t host_len) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto text = inputs.text(host, host_len);
    return inputs.good() ? reply_flag(url::is_loopback_host(text)) : fail(Errc::slice_invalid);
  });
}

LK_EXPORT(lk_guard_request)() noexcept {
  return call<4'096>([]() noexcept {
    const auto in = request<GuardRequestRequest>();
    Inputs inputs;
    guard::RequestFacts facts;
    facts.method = inputs.text(in.method);
    facts.host = inputs.text(in.host);
    facts.origin = inputs.text(in.origin);
    facts.sec_fetch_site = inputs.text(in.sec_fetch_site);
    facts.content_type = inputs.text(in.content_type);
    facts.own_origin = inputs.text(in.own_origin);
    facts.proxied = in.proxied != 0;
    facts.open = in.open != 0;
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (in.media_type < 1 || in.media_type > 2) return fail(Errc::claim_invalid);
    facts.media_type = static_cast<guard::MediaType>(in.media_type);
    const auto verdict = guard::request(facts);
    GuardRequestReply out{};
    out.head = {arena_size, 0};
    out.status = verdict.status;
    out.ok = verdict.ok ? 1 : 0;
    out.code = static_cast<std::uint8_t>(verdict.code);
    reply(out);
    return Errc::ok;
  });
}

LK_EXPORT(lk_guard_outbound)
(std::uint32_t url, std::uint32_t url_len, std::uint32_t from, std::uint32_t from_len,
 std::uint32_t hop, std::uint32_t dev) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto to = inputs.text(url, url_len);
    const auto origin = inputs.text(from, from_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    return reply_flag(guard::outbound(to, origin, hop, dev != 0));
  });
}

LK_EXPORT(lk_exchange_read)
(std::uint32_t status, std::uint32_t type, std::uint32_t type_len, std::uint32_t body,
 std::uint32_t body_len, std::uint32_t profile, std::uint32_t profile_len, double now_ms) noexcept {
  return call<49'152>([=]() noexcept {
    Inputs inputs;
    const auto content_type = inputs.text(type, type_len);
    const auto bytes = inputs.bytes(body, body_len);
    const auto* found = profile::find(inputs.text(profile, profile_len));
    if (!inputs.good() || status > 0xffff) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    if (found == nullptr) return fail(Errc::provider_unknown);
    const auto tokens =
        exchange::read(static_cast<std::uint16_t>(status), content_type, bytes, *now, *found);
    if (!tokens) return fail(tokens.error());
    const auto time = [](bool present, UnixMillis at) noexcept {
      return present ? static_cast<double>(at.value) : -1.0;
    };
    ExchangeReply out{};
    out.head = {arena_size, 0};
    out.expires_at_ms = time(tokens->has_expires_at, tokens->expires_at);
    out.refresh_expires_at_ms = time(tokens->has_refresh_expires_at, tokens->refresh_expires_at);
    out.access_token = slice_of(tokens->access_token);
    out.refresh_token = slice_of(tokens->refresh_token);
    out.scope = slice_of(tokens->scope);
    out.has_scope = tokens->has_scope ? 1 : 0;
    reply(out);
    return Errc::ok;
  });
}

LK_EXPORT(lk_account_read)
(std::uint32_t status, std::uint32_t type, std::uint32_t type_len, std::uint32_t body,
 std::uint32_t body_len, std::uint32_t profile, std::uint32_t profile_len) noexcept {
  return call<49'152>([=]() noexcept {
    Inputs inputs;
    const auto content_type = inputs.text(type, type_len);
    const auto bytes = inputs.bytes(body, body_len);
    const auto* found = profile::find(inputs.text(profile, profile_len));
    if (!inputs.good() || status > 0xffff) return fail(Errc::slice_invalid);
    if (found == nullptr) return fail(Errc::provider_unknown);
    const auto account =
        account::read(static_cast<std::uint16_t>(status), content_type, bytes, *found);
    if (!account) return fail(account.error());
    reply(AccountReply{{arena_size, 0}, slice_of(account->id), slice_of(account->label)});
    return Errc::ok;
  });
}

LK_EXPORT(lk_disconnect_decide)
(std::uint32_t kind, std::uint32_t status, std::uint32_t type, std::uint32_t type_len,
 std::uint32_t body, std::uint32_t body_len) noexcept {
  return call<49'152>([=]() noexcept {
    Inputs inputs;
    const auto content_type = inputs.text(type, type_len);
    const auto bytes = inputs.bytes(body, body_len);
    if (!inputs.good() || status > 0xffff) return fail(Errc::slice_invalid);
    if (kind < 1 || kind > 3) return fail(Errc::claim_invalid);
    disconnect::Answer answer;
    answer.kind = static_cast<disconnect::Kind>(kind);
    if (answer.kind == disconnect::Kind::status) {
      answer = disconnect::read(static_cast<std::uint16_t>(status), content_type, bytes);
    }
    const auto outcome = disconnect::decide(answer);
    DisconnectReply out{};
    out.head = {arena_size, 0};
    out.revoked = outcome.revoked ? 1 : 0;
    out.deleted = outcome.deleted ? 1 : 0;
    out.reason = static_cast<std::uint8_t>(outcome.reason);
    reply(out);
    return Errc::ok;
  });
}

LK_EXPORT(lk_config_check)
(std::uint32_t vars, std::uint32_t vars_len, std::uint32_t free) noexcept {
  return call<57'344>([=]() noexcept {
    Inputs inputs;
    ListReader list{inputs.bytes(vars, vars_len)};
    const MutBytes space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);

    // Only variables that configuration may know are sent; see js-glue.
    constexpr std::size_t max_vars = 112;
    config::Var known[max_vars];
    const std::size_t count = list.count();
    if (count % 2 != 0 || count / 2 > max_vars) return fail(Errc::output_too_small);
    for (std::size_t i = 0; i < count / 2; ++i) {
      known[i].name = list.text();
      known[i].value = list.text();
    }
    if (!list.finished()) return fail(Errc::slice_invalid);

    // The node array is too large for the stack.
    constexpr std::size_t nodes_size = config::max_nodes * sizeof(json::Node);
    if (space.size() < nodes_size) return fail(Errc::output_too_small);
    const std::span nodes{reinterpret_cast<json::Node*>(space.data()), config::max_nodes};
    const MutBytes rest = space.subspan(nodes_size);

    config::Config config;
    const auto verdict = config::check({known, count / 2}, nodes, rest, config);
    ConfigReply out{};
    out.head = {arena_size, verdict.at};
    out.cause = static_cast<std::uint8_t>(verdict.cause);
    // The nodes are done with; their room takes the result.
    Writer result{space.first(nodes_size)};
    if (!verdict) {
      result.put(verdict.variable.view());
      out.variable = slice_of(result.written());
      reply(out);
      return verdict.code;
    }
    out.keys = put_ring(result, config.ring());
    out.principal_keys = put_ring(result, config.principal_ring());
    const std::size_t before = result.size();
    const auto providers = static_cast<std::uint16_t>(config.provider_count);
    result.put(static_cast<std::uint8_t>(providers));
    result.put(std::uint8_t{0});
    for (std::size_t i = 0; i < config.provider_count; ++i)
      put_provider(result, config.providers[i]);
    out.providers = slice_of(result.written().subspan(before));
    const std::size_t base = result.size();
    result.put(config.base_url);
    out.base_url = slice_of(result.written().subspan(base));
    out.dev = config.dev ? 1 : 0;
    out.connect_enabled = config.connect_enabled ? 1 : 0;
    out.run_retention_ms = static_cast<double>(config.run_retention.value.value);
    out.run_retention_taken = static_cast<std::uint8_t>(config.run_retention.reason);
    crypto::wipe_object(config.keys);
    crypto::wipe_object(config.principal_keys);
    if (result.overflow()) return fail(Errc::output_too_small);
    reply(out);
    return Errc::ok;
  });
}

}  // namespace latchkey::abi
