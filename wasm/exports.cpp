// What the Worker asks around a connection: whose it is, who may ask, what a provider answered, and
// how it is all configured.

#include "list.hpp"
#include "ring.hpp"

#include "latchkey/account.hpp"
#include "latchkey/config.hpp"
#include "latchkey/disconnect.hpp"
#include "latchkey/exchange.hpp"
#include "latchkey/guard.hpp"
#include "latchkey/repo.hpp"
#include "latchkey/scope.hpp"
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
