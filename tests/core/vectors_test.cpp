// The golden vectors, natively: the same questions and answers as in every JavaScript runtime. The
// format is described in tests/vectors/README.md.
#include "external.hpp"
#include "vectors_admission.hpp"
#include "vectors_scope.hpp"

#include "latchkey/account.hpp"
#include "latchkey/callback.hpp"
#include "latchkey/classify.hpp"
#include "latchkey/config.hpp"
#include "latchkey/disconnect.hpp"
#include "latchkey/exchange.hpp"
#include "latchkey/guard.hpp"
#include "latchkey/introspection.hpp"
#include "latchkey/principal.hpp"
#include "latchkey/rate.hpp"
#include "latchkey/redact.hpp"
#include "latchkey/retention.hpp"
#include "latchkey/return_to.hpp"
#include "latchkey/run.hpp"
#include "latchkey/schedule.hpp"
#include "latchkey/scope.hpp"
#include "latchkey/seal.hpp"
#include "latchkey/state.hpp"
#include "latchkey/url.hpp"
#include "latchkey/webhook.hpp"

#include <cmath>
#include <limits>
#include <map>

using namespace latchkey;
using namespace latchkey::test;

namespace {

using vectors::Refused;

template <class T> const T& value_of(const Result<T>& result) {
  if (!result) throw Refused{result.error(), result.at() == 0 ? Json{} : Json(result.at())};
  return *result;
}
void check(const Result<void>& result) {
  if (!result) throw Refused{result.error()};
}

/// Replaces every `{ before?, repeat, times, after? }` by the text that it stands for.
Json spelled_out(const Json& value) {
  if (value.is_array()) {
    Json out = Json::array();
    for (const Json& item : value) out.push_back(spelled_out(item));
    return out;
  }
  if (!value.is_object()) return value;
  if (value.contains("repeat")) {
    const auto repeated = value.at("repeat").get<std::string>();
    std::string text = value.value("before", "");
    for (auto left = value.at("times").get<std::size_t>(); left > 0; --left) text += repeated;
    return text + value.value("after", "");
  }
  Json out = Json::object();
  for (const auto& [name, member] : value.items()) out[name] = spelled_out(member);
  return out;
}

/// Views into the vector, which outlives them; empty where nothing is said.
std::string_view text(const Json& from, const char* name) {
  const auto found = from.find(name);
  return found == from.end() ? std::string_view{} : found->get_ref<const std::string&>();
}

/// Numbers that JSON does not have are written as JavaScript names them.
double number(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "Infinity") return std::numeric_limits<double>::infinity();
  if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nan("");
}

UnixMillis now_of(const Json& in) { return value_of(UnixMillis::from_f64(number(in.at("now")))); }

Octets bytes(const Json& from, const char* name) { return from_hex(text(from, name)); }

Octets body_of(const Json& in) {
  const Json& body = in.at("body");
  return body.is_object() ? bytes(body, "hex") : octets(text(in, "body"));
}

std::vector<keys::Key> parse_ring(std::string_view ring) {
  std::vector<keys::Key> out(keys::max_keys);
  out.resize(value_of(keys::parse(ring, out)));
  return out;
}
std::vector<keys::Key> ring_of(const Json& in) { return parse_ring(text(in, "ring")); }

std::string jwks_of(keys::Ring ring) {
  Octets space(8'192);
  Writer out{space};
  keys::put_jwks(ring, out);
  return string_of(out.written());
}

Json kids_of(keys::Ring ring) {
  Json out = Json::array();
  for (const keys::Key& key : ring) out.push_back(key.kid.view());
  return out;
}

std::string written(const Result<void>& result, const Writer& out) {
  check(result);
  return string_of(out.written());
}

/// Says a text that is there, and nothing of one that is not.
void put(Json& out, const char* name, std::string_view said) {
  if (!said.empty()) out[name] = said;
}

Json owner_of(state::OwnerKind kind, std::string_view id) {
  return {{"kind", kind == state::OwnerKind::org ? "org" : "user"}, {"id", id}};
}

Json claims_of(const state::State& state) {
  Json out = {{"owner", owner_of(state.owner_kind, state.owner_id)},
              {"issuedAt", state.issued_at.value},
              {"expiresAt", state.expires_at.value}};
  put(out, "issuer", state.issuer);
  put(out, "audience", state.audience);
  put(out, "flow", state.flow);
  put(out, "provider", state.provider);
  put(out, "subject", state.subject);
  put(out, "app", state.app);
  put(out, "returnTo", state.return_to);
  put(out, "nonce", state.nonce);
  return out;
}

Json state_issue(const Json& in) {
  const Json& said = in.at("claims");
  const auto ring = ring_of(in);
  const auto now = now_of(in);
  const auto binding = bytes(said, "binding");
  const auto ttl = said.contains("ttlMs") ? UnixMillis::from_f64(number(said.at("ttlMs")))
                                          : UnixMillis{state::default_ttl.value};
  const std::string_view alg = said.value("alg", "HS256") == "HS256" ? "HS256" : text(said, "alg");
  const std::string_view kind = text(said.at("owner"), "kind");
  const bool known = (alg == "HS256" || alg == "EdDSA") && (kind == "user" || kind == "org");
  if (!ttl || !known) throw Refused{Errc::claim_invalid};
  state::Claims claims;
  claims.alg = alg == "EdDSA" ? state::Alg::eddsa : state::Alg::hs256;
  claims.owner_kind = kind == "org" ? state::OwnerKind::org : state::OwnerKind::user;
  claims.issuer = text(said, "issuer");
  claims.audience = text(said, "audience");
  claims.flow = text(said, "flow");
  claims.provider = text(said, "provider");
  claims.subject = text(said, "subject");
  claims.owner_id = text(said.at("owner"), "id");
  claims.app = text(said, "app");
  claims.return_to = text(said, "returnTo");
  claims.binding = binding;
  claims.ttl = {ttl->value};
  Octets space(state::max_token);
  const auto issued = value_of(state::issue(ring, claims, now, bytes(in, "entropy"), space));
  return {{"token", issued.token},
          {"nonce", issued.nonce.view()},
          {"expiresAt", issued.expires_at.value},
          {"pkce", {{"challenge", issued.challenge.view()}, {"method", "S256"}}}};
}

Json state_verify(const Json& in) {
  const Json& known = in.at("expected");
  const auto skew = known.contains("skewMs") ? UnixMillis::from_f64(number(known.at("skewMs")))
                                             : UnixMillis{state::default_skew.value};
  const bool unchecked = text(known, "binding") == "unchecked";
  const auto binding = unchecked ? Octets{} : bytes(known, "binding");
  state::Expected expected;
  expected.issuer = text(known, "issuer");
  expected.audience = text(known, "audience");
  expected.flow = text(known, "flow");
  expected.provider = text(known, "provider");
  expected.subject = text(known, "subject");
  expected.binding = binding;
  expected.binding_mode = unchecked ? state::Binding::unchecked : state::Binding::required;

  Octets scratch(3'072);
  const auto token = text(in, "token");
  const auto verify = [&](auto&& ring) {
    if (!skew || skew->value > state::max_skew.value) throw Refused{Errc::time_invalid};
    expected.skew = {skew->value};
    expected.now = now_of(in);
    return value_of(state::verify(ring, token, expected, scratch));
  };
  state::State state;
  if (in.contains("jwks")) {
    Octets jwks = octets(in.at("jwks").dump());
    std::vector<keys::PublicKey> keys(keys::max_keys);
    keys.resize(value_of(keys::parse_jwks(jwks, keys)));
    state = verify(keys::PublicKeys{keys});
  } else {
    const auto ring = ring_of(in);
    state = verify(keys::Ring{ring});
  }
  Json out = claims_of(state);
  out["alg"] = state.alg == state::Alg::eddsa ? "EdDSA" : "HS256";
  out["kid"] = state.kid;
  return out;
}

Json state_peek(const Json& in) {
  Octets scratch(3'072);
  return claims_of(value_of(state::peek(text(in, "token"), scratch)));
}

Json code_verifier(const Json& in) {
  return value_of(state::code_verifier(ring_of(in), text(in, "kid"), text(in, "nonce"))).view();
}

Errc errc_of(std::string_view name) {
  for (unsigned n = 0; n < 256; ++n) {
    const auto code = static_cast<Errc>(n);
    if (!name.empty() && to_string(code) == name) return code;
  }
  FAIL("no such code: " << name);
  return Errc::ok;
}

Json callback_plan(const Json& in) {
  std::vector<callback::Param> params;
  for (const Json& pair : in.at("params")) {
    params.push_back(
        {pair[0].get_ref<const std::string&>(), pair[1].get_ref<const std::string&>()});
  }
  const Json& state = in.at("state");
  const Json& session = in.at("session");
  callback::Input input;
  input.params = params;
  if (state.is_string()) {
    input.state_error = errc_of(text(in, "state"));
  } else {
    input.subject = text(state, "subject");
    input.return_to = text(state, "returnTo");
    input.nonce = text(state, "nonce");
    input.expires_at = {state.at("expiresAt").get<std::int64_t>()};
  }
  input.session_subject = text(session, "subject");
  input.as_issuer = text(session, "asIssuer");
  input.iss_required = session.value("issRequired", false);
  const auto plan = callback::plan(input);
  Json out;
  put(out, "returnTo", plan.return_to);
  switch (plan.action) {
  case callback::Action::exchange:
    out["action"] = "exchange";
    out["code"] = plan.code;
    out["consume"] = {{"nonce", plan.consume.nonce}, {"until", plan.consume.until.value}};
    break;
  case callback::Action::redirect:
    out["action"] = "redirect";
    out["reason"] = to_string(plan.reason);
    out["publicCode"] = to_string(plan.public_code);
    break;
  }
  return out;
}

Json normal_path(const Json& in) {
  Octets space(max_return_to);
  const auto path = return_to(text(in, "text"), text(in, "base"), space);
  return path ? Json(*path) : Json{};
}

std::vector<std::string_view> context_of(const Json& in) {
  std::vector<std::string_view> parts;
  for (const Json& part : in.at("context")) parts.push_back(part.get_ref<const std::string&>());
  return parts;
}

Json seal_text(const Json& in) {
  const auto plain = bytes(in, "plain");
  Octets scratch(plain.size() + 40);
  Octets space(seal::sealed_size(keys::max_kid, plain.size()));
  Writer out{space};
  const auto sealed =
      seal::seal(ring_of(in), plain, context_of(in), bytes(in, "entropy"), scratch, out);
  return written(sealed, out);
}

Json open_text(const Json& in) {
  const auto sealed = text(in, "text");
  Octets space(sealed.size());
  return hex(value_of(seal::open(ring_of(in), sealed, context_of(in), space)));
}

Json principal_issue(const Json& in) {
  const Json& said = in.at("principal");
  const std::map<std::string_view, principal::Kind> kinds = {
      {"human", principal::Kind::human},
      {"service", principal::Kind::service},
      {"device", principal::Kind::device},
  };
  const auto ring = ring_of(in);
  const auto now = now_of(in);
  const auto ttl = in.contains("ttlMs") ? UnixMillis::from_f64(number(in.at("ttlMs")))
                                        : UnixMillis{principal::default_ttl.value};
  const auto kind = kinds.find(text(said, "kind"));
  if (!ttl || kind == kinds.end()) throw Refused{Errc::principal_invalid};
  const principal::Principal who{kind->second, text(said, "subject"), text(said, "org"),
                                 text(said, "role"), text(said, "device")};
  Octets space(jws::max_token);
  Writer out{space};
  const auto issued = principal::issue(ring, who, now, {ttl->value}, out);
  return written(issued, out);
}

Json principal_verify(const Json& in) {
  Octets scratch(3'072);
  const auto ring = ring_of(in);
  const auto who = value_of(principal::verify(ring, text(in, "token"), now_of(in), scratch));
  Json out = {{"subject", who.subject}, {"kind", principal::to_string(who.kind)}};
  put(out, "org", who.org);
  put(out, "role", who.role);
  put(out, "device", who.device);
  return out;
}

Json target(const Result<scope::Target>& result) {
  const auto found = value_of(result);
  return {{"scope", scope::to_string(found.scope)},
          {"id", found.id},
          {"rule", scope::to_string(found.rule)}};
}

scope::Facts facts_of(const Json& in) {
  return {text(in, "subject"), text(in, "org"), text(in, "role")};
}

Json connect_target(const Json& in) {
  const auto requested = text(in, "requested");
  if (requested != "user" && requested != "org") throw Refused{Errc::claim_invalid};
  return target(scope::connect_target(facts_of(in),
                                      requested == "org" ? scope::Scope::org : scope::Scope::user));
}

Json erase_target(const Json& in) {
  const auto kind = text(in, "kind");
  const auto eraser = kind == "human"     ? scope::Eraser::human
                      : kind == "service" ? scope::Eraser::service
                      : kind == "device"  ? scope::Eraser::device
                                          : throw Refused{Errc::claim_invalid};
  return target(scope::erase_target(text(in, "subject"), eraser, text(in, "user")));
}

Json guard_request(const Json& in) {
  const Json& said = in.at("facts");
  guard::RequestFacts facts;
  facts.method = text(said, "method");
  facts.host = text(said, "host");
  facts.origin = text(said, "origin");
  facts.sec_fetch_site = text(said, "secFetchSite");
  facts.content_type = text(said, "contentType");
  facts.own_origin = text(said, "ownOrigin");
  facts.media_type = text(said, "mediaType") == "application/json" ? guard::MediaType::json
                                                                   : guard::MediaType::form;
  facts.proxied = said.at("proxied").get<bool>();
  facts.open = said.value("open", false);
  const auto verdict = guard::request(facts);
  if (verdict.ok) return {{"ok", true}};
  return {{"ok", false}, {"status", verdict.status}, {"code", to_string(verdict.code)}};
}

Json guard_outbound(const Json& in) {
  return guard::outbound(text(in, "url"), text(in, "from"), in.value("hop", 0U),
                         in.at("dev").get<bool>());
}

const profile::Profile& profile_of(const Json& in) {
  const auto* found = profile::find(text(in, "profile"));
  if (found == nullptr) throw Refused{Errc::provider_unknown};
  return *found;
}

std::uint16_t status_of(const Json& in) { return in.at("status").get<std::uint16_t>(); }

Json list_of(std::string_view words) {
  Json out = Json::array();
  while (!words.empty()) {
    const auto end = std::min(words.find(' '), words.size());
    out.push_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return out;
}

Json exchange_read(const Json& in) {
  auto body = body_of(in);
  const auto now = now_of(in);
  const auto tokens =
      value_of(exchange::read(status_of(in), text(in, "contentType"), body, now, profile_of(in)));
  Json out = {{"accessToken", tokens.access_token}};
  put(out, "refreshToken", tokens.refresh_token);
  if (tokens.has_expires_at) out["expiresAt"] = tokens.expires_at.value;
  if (tokens.has_refresh_expires_at) out["refreshExpiresAt"] = tokens.refresh_expires_at.value;
  if (tokens.has_scope) out["scopes"] = list_of(tokens.scope);
  return out;
}

Json classified_of(const refresh::Classified& found) {
  constexpr const char* kinds[] = {"",         "ok",      "terminal", "transient", "rate_limited",
                                   "operator", "unparsed"};
  constexpr const char* doubts[] = {"none", "answered", "silent"};
  const refresh::Reply& said = found.reply;
  Json out = {{"class", kinds[static_cast<std::size_t>(said.kind)]},
              {"doubt", doubts[static_cast<std::size_t>(said.doubt)]}};
  put(out, "code", found.code);
  if (found.introspectable) out["introspectable"] = true;
  if (said.retry_after.value > 0) {
    out["retryAfterMs"] = said.retry_after.value;
    out["retryAt"] = found.retry_at.value;
  }
  if (said.kind != refresh::ReplyClass::ok) return out;
  Json tokens = {{"accessToken", found.tokens.access_token},
                 {"refreshSame", said.tokens.refresh_same}};
  put(tokens, "refreshToken", found.tokens.refresh_token);
  if (said.tokens.lifetime.value > 0) tokens["lifetimeMs"] = said.tokens.lifetime.value;
  if (said.tokens.refresh_lifetime.value > 0) {
    tokens["refreshLifetimeMs"] = said.tokens.refresh_lifetime.value;
  }
  if (said.tokens.has_scope) tokens["scopes"] = list_of(found.tokens.scope);
  out["tokens"] = tokens;
  return out;
}

Json refresh_classify(const Json& in) {
  const Json& provider = in.at("provider");
  const bool configured = provider.is_object();
  const std::string_view name =
      configured ? text(provider, "profile") : provider.get_ref<const std::string&>();
  const auto now = now_of(in);
  const auto* row = profile::find(name);
  if (row == nullptr) throw Refused{Errc::provider_unknown};
  auto facts = refresh::facts_of(*row, false);
  if (configured) {
    const Json& said = provider.at("refresh");
    facts.access_ttl = {said.at("accessTtlMs").get<std::int64_t>()};
    facts.server_errors_unspent = said.at("serverErrorsUnspent").get<bool>();
  }
  const Json& answer = in.at("answer");
  if (answer.contains("failed")) {
    constexpr std::string_view failures[] = {"not_sent", "reset", "timeout"};
    const auto* found = std::find(std::begin(failures), std::end(failures), text(answer, "failed"));
    if (found == std::end(failures)) throw Refused{Errc::claim_invalid};
    return classified_of(
        refresh::classify(static_cast<refresh::Absence>(found - std::begin(failures) + 1)));
  }
  auto body = body_of(answer);
  std::vector<refresh::Header> headers;
  for (const auto& [header, value] : answer.at("headers").items()) {
    headers.push_back({header, value.get_ref<const std::string&>()});
  }
  return classified_of(refresh::classify({status_of(answer), headers, body}, now, *row, facts,
                                         text(in, "sentRefreshToken")));
}

Json account_read(const Json& in) {
  auto body = body_of(in);
  const auto account =
      value_of(account::read(status_of(in), text(in, "contentType"), body, profile_of(in)));
  return {{"id", account.id}, {"label", account.label}};
}

Json introspection_doubt(const Json& in) {
  constexpr const char* doubts[] = {"none", "answered", "silent"};
  const Json& answer = in.at("answer");
  auto body = body_of(answer);
  const auto left = introspection::doubt(status_of(answer), text(answer, "contentType"), body);
  return doubts[static_cast<std::size_t>(left)];
}

Json disconnect_decide(const Json& in) {
  const Json& said = in.at("answer");
  disconnect::Answer answer;
  if (text(said, "kind") == "unsupported") answer.kind = disconnect::Kind::unsupported;
  if (text(said, "kind") == "status") {
    auto body = body_of(said);
    answer = disconnect::read(status_of(said), text(said, "contentType"), body);
  }
  constexpr const char* reasons[] = {"", "unsupported", "refused", "unreachable"};
  const auto outcome = disconnect::decide(answer);
  Json out = {{"revoked", outcome.revoked}, {"deleted", outcome.deleted}};
  put(out, "reason", reasons[static_cast<std::size_t>(outcome.reason)]);
  return out;
}

std::string with_client_id(std::string url, std::string_view client_id) {
  constexpr std::string_view slot = "{client_id}";
  // The vectors have only client ids that stand for themselves.
  if (const auto at = url.find(slot); at != std::string::npos) {
    url.replace(at, slot.size(), client_id);
  }
  return url;
}

Json revocation_of(const config::Provider& p) {
  Json out = {{"url", with_client_id(std::string{p.revocation_url}, p.client_id)},
              {"method", "POST"},
              {"credentials", "client"},
              {"body", "form"},
              {"member", "token"},
              {"token", "refresh"}};
  switch (p.revocation_shape) {
  case profile::RevocationShape::rfc7009: break;
  case profile::RevocationShape::github:
    out.update({{"method", "DELETE"},
                {"credentials", "basic"},
                {"body", "json"},
                {"member", "access_token"},
                {"token", "access"}});
    break;
  case profile::RevocationShape::slack:
    out.update({{"credentials", "bearer"}, {"body", "none"}, {"token", "access"}});
    break;
  }
  return out;
}

Json facts_of(const refresh::Facts& facts) {
  const refresh::Traits& t = facts.traits;
  const auto rotation = [](refresh::Rotation r) {
    return refresh::rotation_names[static_cast<std::size_t>(r)];
  };
  constexpr const char* revocations[] = {"none", "token", "grant"};
  return {{"traits",
           {{"rotation", rotation(t.rotation)},
            {"afterGrace", rotation(t.after_grace)},
            {"revocation", revocations[static_cast<std::size_t>(t.revocation)]},
            {"revocationNeedsLive", t.revocation_needs_live},
            {"oldAccessDies", t.old_access_dies},
            {"graceMs", t.grace.value},
            {"accessLifetimeMs", t.access_lifetime.value},
            {"maxAccessLifetimeMs", t.max_access_lifetime.value},
            {"refreshIdleMs", t.refresh_idle.value},
            {"refreshAbsoluteMs", t.refresh_absolute.value},
            {"timeOutMs", t.time_out.value},
            {"lagMs", t.lag.value}}},
          {"accessTtlMs", facts.access_ttl.value},
          {"needsRedirectUri", facts.needs_redirect_uri},
          {"serverErrorsUnspent", facts.server_errors_unspent},
          {"proactive", facts.proactive}};
}

Json settings_of(const config::Provider& p) {
  Json out = {
      {"name", p.name},
      {"title", p.title},
      {"profile", p.profile},
      {"clientId", p.client_id},
      {"authorizationUrl", p.authorization_url},
      {"tokenUrl", p.token_url},
      {"scopes", list_of(p.scopes)},
      {"scopeSeparator", p.scope_separator == profile::ScopeSeparator::comma ? "," : " "},
      {"authStyle", p.auth_style == profile::AuthStyle::body ? "body" : "basic"},
      {"responseMode", p.response_mode == profile::ResponseMode::form_post ? "form_post" : "query"},
      {"pkce", p.pkce},
      {"issRequired", p.iss_required},
      {"refresh", facts_of(p.refresh)},
  };
  if (p.revocation_shape == profile::RevocationShape::rfc7009) {
    put(out, "revocationUrl", p.revocation_url);
  }
  if (!p.revocation_url.empty()) out["revocation"] = revocation_of(p);
  put(out, "userInfoUrl", p.user_info_url);
  put(out, "introspectionUrl", p.introspection_url);
  put(out, "asIssuer", p.as_issuer);
  if (!p.git_host.empty()) {
    constexpr std::string_view kinds[] = {"", "github", "gitlab", "bitbucket", "git"};
    out["git"] = {{"provider", kinds[static_cast<std::size_t>(p.git)]},
                  {"host", p.git_host},
                  {"user", profile::git_user(p.git)}};
    put(out["git"], "base", p.git_base);
    if (p.git_plain) out["git"]["plain"] = true;
  }
  put(out, "clientSecretName", p.client_secret.view());
  put(out, "webhookSecretName", p.webhook_secret.view());
  put(out, "deploymentTokenName", config::deployment_token(p).view());
  if (!p.app_key.empty()) out["app"] = {{"url", p.app_url}, {"keyName", p.app_key.view()}};
  Json order = Json::array();
  for (const auto scope : p.policy.order) {
    if (scope != scope::Scope{}) order.push_back(to_string(scope));
  }
  out["policy"] = {{"order", order},
                   {"personalOnly", p.policy.personal_only},
                   {"deployment", p.policy.deployment},
                   {"pastRevoked", p.policy.past_revoked}};
  return out;
}

Json config_check(const Json& in) {
  std::vector<config::Var> vars;
  for (const auto& [name, value] : in.at("vars").items()) {
    vars.push_back({name, value.get_ref<const std::string&>()});
  }
  std::vector<json::Node> nodes(config::max_nodes);
  Octets scratch(2 * config::max_providers_text);
  config::Config config;
  const auto verdict = config::check(vars, nodes, scratch, config);
  if (!verdict) throw Refused{verdict.code, verdict.variable.view()};
  Json out = {{"baseUrl", config.base_url},
              {"dev", config.dev},
              {"connectEnabled", config.connect_enabled},
              {"runRetentionMs", config.run_retention.value.value},
              {"warnings", Json::array()},
              {"kids", kids_of(config.ring())},
              {"providers", Json::array()}};
  if (config.run_retention.reason > retention::Taken::unset) {
    out["warnings"].push_back(config::var_run_retention);
  }
  if (config.principal_key_count > 0) out["principalKids"] = kids_of(config.principal_ring());
  for (std::size_t i = 0; i < config.provider_count; ++i) {
    out["providers"].push_back(settings_of(config.providers[i]));
  }
  return out;
}

Json redact_text(const Json& in) {
  const auto from = text(in, "text");
  if (from.size() > redact::max_text) throw Refused{Errc::output_too_small};
  Octets out(redact::max_size(from.size()));
  out.resize(value_of(redact::redact(from, out)));
  return string_of(out);
}

const webhook::Receiver& receiver_of(const Json& in) {
  const auto* found = webhook::find(text(in, "profile"));
  if (found == nullptr) throw Refused{Errc::provider_unknown};
  return *found;
}

webhook::Headers signed_headers(const Json& in) {
  return {text(in, "signature"), text(in, "timestamp"), text(in, "delivery")};
}

/// A signature that is not good is an answer, everything else an error.
Json verdict(const Result<void>& verified) {
  if (!verified && verified.error() != Errc::webhook_invalid) throw Refused{verified.error()};
  return static_cast<bool>(verified);
}

Json webhook_headers(const Json& in) {
  const auto* found = webhook::find(text(in, "profile"));
  if (found == nullptr) return {};
  Json out = {{"signature", std::string_view{found->signature_header}}};
  put(out, "timestamp", found->timestamp_header);
  put(out, "id", found->id_header);
  put(out, "event", found->event_header);
  return out;
}

Json webhook_verify(const Json& in) {
  const auto now = now_of(in);
  return verdict(webhook::verify(receiver_of(in), bytes_of(text(in, "secret")), signed_headers(in),
                                 now, body_of(in)));
}

Json webhook_begin(const Json& in) {
  auto stream =
      value_of(webhook::begin(receiver_of(in), bytes_of(text(in, "secret")), signed_headers(in)));
  for (const Json& piece : in.at("pieces")) {
    webhook::update(stream, octets(piece.get_ref<const std::string&>()));
  }
  return verdict(webhook::finish(stream, text(in, "signature"), now_of(in)));
}

Json webhook_read(const Json& in) {
  const auto now = now_of(in);
  auto body = body_of(in);
  std::vector<json::Node> nodes(4'096);
  std::vector<webhook::Subject> found(webhook::max_subjects);
  const auto news = value_of(webhook::read(receiver_of(in), text(in, "event"), text(in, "delivery"),
                                           body, now, nodes, found));
  constexpr const char* changes[] = {"none", "revoked", "deleted", "suspended", "restored"};
  constexpr const char* reaches[] = {"", "account", "installation"};
  constexpr const char* kinds[] = {"any", "user", "bot"};
  Json subjects = Json::array();
  for (std::size_t i = 0; i < news.subjects; ++i) {
    subjects.push_back(
        {{"id", found[i].id}, {"tokens", kinds[static_cast<std::size_t>(found[i].tokens)]}});
  }
  Json out = {{"change", changes[static_cast<std::size_t>(news.change)]},
              {"subjects", subjects},
              {"once", {{"key", news.key.view()}, {"until", news.until.value}}}};
  put(out, "reach", reaches[static_cast<std::size_t>(news.reach)]);
  if (news.has_at) out["at"] = news.at.value;
  return out;
}

Json keys_generate(const Json& in) {
  Octets space(128);
  Writer out{space};
  const auto generated = keys::generate(text(in, "kid"), bytes(in, "entropy"), out);
  return written(generated, out);
}

// Retention: names by number, as they cross.
using Names = std::vector<std::string_view>;
const Names statuses = {"", "running", "completed", "errored", "truncated", "aborted"};
const Names terminals = {"none", "done", "error", "missing_api_key", "loop_limit", "auto_continue"};
const Names causes = {"none",
                      "run_terminal_event_missing",
                      "stale_run",
                      "connection_revoked",
                      "reconnect_required",
                      "idle_limit",
                      "connection_idle",
                      "erased"};
const Names record_kinds = {
    "consumed_state", "connect_link", "access_cache", "rejected_pair", "run",
    "delivery",       "rate_window",  "session",      "tombstone",     "counter",
    "claim",          "app_token",    "installation", "installed",     "acting"};
const Names erase_step_names = {"block",    "revoke", "connections", "links",
                                "sessions", "runs",   "caches",      "index"};

template <class E> std::string_view named(const Names& names, E value) {
  return names.at(static_cast<std::size_t>(value));
}
template <class E> E by_name(const Names& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (name.empty() || found == names.end()) throw Refused{Errc::claim_invalid};
  return static_cast<E>(found - names.begin());
}
/// A member of options that may be left out, options that may be left out too.
const Json* given(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? nullptr : &*found;
}
UnixMillis time_of(const Json& value) { return value_of(UnixMillis::from_f64(number(value))); }
std::optional<UnixMillis> maybe_time(const Json& in, const char* name) {
  const Json* value = given(in, name);
  return value == nullptr ? std::nullopt : std::optional{time_of(*value)};
}
void take(const Json& in, const char* name, Millis& out) {
  if (const auto value = maybe_time(in, name)) out = {value->value};
}
std::uint32_t count_of(const Json& value) {
  const auto count = UnixMillis::from_f64(number(value));
  if (!count) throw Refused{Errc::claim_invalid};
  return static_cast<std::uint32_t>(count->value);
}
void take(const Json& in, const char* name, std::uint32_t& out) {
  if (const Json* value = given(in, name)) out = count_of(*value);
}
Json member(const Json& in, const char* name) { return in.value(name, Json::object()); }
bool flag(const Json& in, const char* name) { return in.value(name, false); }
void put_due(Json& out, UnixMillis at) {
  if (at.value != UnixMillis::max) out["dueAt"] = at.value;
}

retention::Run run_of(const Json& in) {
  retention::Run run;
  run.status = by_name<retention::Status>(statuses, text(in, "status"));
  run.in_flight = flag(in, "inFlight");
  run.started_at = time_of(in.at("startedAt"));
  run.heartbeat_at = maybe_time(in, "heartbeatAt");
  run.alive_at = maybe_time(in, "aliveAt");
  run.completed_at = maybe_time(in, "completedAt");
  run.watched_since = maybe_time(in, "watchedSince");
  return run;
}

retention::StaleRules rules_of(const Json& in) {
  retention::StaleRules rules;
  if (in.contains("phase")) {
    rules.silence = retention::stale_after(by_name<retention::Phase>(
        {"", "foreground", "background", "processing", "unclaimed"}, text(in, "phase")));
  }
  take(in, "silenceMs", rules.silence);
  take(in, "inFlightMs", rules.in_flight);
  take(in, "livenessMs", rules.liveness);
  take(in, "maxAgeMs", rules.max_age);
  rules.exact = flag(in, "exact");
  return rules;
}

Json retention_setting(const Json& in) {
  Millis max = retention::max_window;
  take(in, "maxMs", max);
  const auto words = in.contains("text") ? std::optional{text(in, "text")} : std::nullopt;
  const auto read = retention::setting(words, {time_of(in.at("fallbackMs")).value}, max);
  const Names reasons = {"", "set", "unset", "blank", "not_a_number", "negative", "too_large"};
  return {{"ms", read.value.value}, {"reason", named(reasons, read.reason)}};
}

Json retention_reconnect(const Json& in) {
  Millis window = retention::reconnect_window;
  take(member(in, "options"), "windowMs", window);
  const auto run = run_of(in.at("run"));
  const auto found = retention::reconnect(run, now_of(in), window);
  const Names reasons = {"", "running", "finished", "window_passed", "aborted"};
  return {{"surface", found.surface},
          {"reason", named(reasons, found.reason)},
          {"since", found.since.value}};
}

Json retention_stale(const Json& in) {
  const auto rules = rules_of(member(in, "rules"));
  const auto found = retention::stale(run_of(in.at("run")), rules, now_of(in));
  const Names reasons = {"",       "ended",   "alive",       "in_flight",
                         "silent", "latched", "grace_spent", "too_old"};
  Json out = {{"stale", found.stale}, {"reason", named(reasons, found.reason)}};
  put_due(out, found.due_at);
  if (!found.stale) return out;
  out["completedAt"] = found.completed_at.value;
  out["early"] = found.early;
  out["late"] = found.late;
  return out;
}

Json retention_prune(const Json& in) {
  retention::Windows windows;
  const Json given_windows = member(in, "windows");
  take(given_windows, "completedMs", windows.completed);
  take(given_windows, "unsuccessfulMs", windows.unsuccessful);
  take(given_windows, "reconnectMs", windows.reconnect);
  const auto found = retention::prune(run_of(in.at("run")), windows, now_of(in));
  const Names reasons = {"", "running", "within_window", "window_passed", "no_completion"};
  Json out = {
      {"remove", found.remove}, {"reason", named(reasons, found.reason)}, {"day", found.day}};
  put_due(out, found.due_at);
  return out;
}

Json retention_begin(const Json& in) {
  const Json& asked = in.at("asked");
  const auto begun = value_of(
      retention::begin({flag(asked, "known"), flag(asked, "forgotten"), flag(asked, "live")}));
  return named({"", "existing", "start"}, begun);
}

std::optional<std::uint64_t> maybe_seq(const Json& in, const char* name) {
  const Json* value = given(in, name);
  if (value == nullptr) return std::nullopt;
  const auto seq = UnixMillis::from_f64(number(*value));
  if (!seq) throw Refused{Errc::claim_invalid};
  return static_cast<std::uint64_t>(seq->value);
}

Json retention_append(const Json& in) {
  const Json& log = in.at("log");
  const Json& event = in.at("event");
  const auto status = by_name<retention::Status>(statuses, text(in, "status"));
  retention::Log known;
  if (log.contains("end")) known.end = by_name<retention::Terminal>(terminals, text(log, "end"));
  known.last_seq = maybe_seq(log, "lastSeq").value_or(0);
  retention::Offered offered;
  offered.known_seq = maybe_seq(event, "knownSeq");
  offered.same = flag(event, "same");
  offered.size = count_of(event.at("size"));
  offered.after = maybe_seq(event, "after");
  const auto found = value_of(retention::append(status, known, offered, {}));
  return {{"action", named({"", "duplicate", "append"}, found.action)}, {"seq", found.seq}};
}

Json retention_terminal(const Json& in) {
  const Json& log = in.at("log");
  const auto status = by_name<retention::Status>(statuses, text(in, "status"));
  retention::Log known;
  if (log.contains("end")) known.end = by_name<retention::Terminal>(terminals, text(log, "end"));
  auto cause = retention::Cause::none;
  if (in.contains("cause")) cause = by_name<retention::Cause>(causes, text(in, "cause"));
  const auto last = UnixMillis::from_f64(number(log.at("lastSeq")));
  if (!last) throw Refused{Errc::claim_invalid};
  known.last_seq = static_cast<std::uint64_t>(last->value);
  const auto plan = value_of(retention::terminal(status, known, cause));
  const Names actions = {"", "wait", "keep", "reconcile", "append"};
  Json out = {{"action", named(actions, plan.action)}, {"status", named(statuses, plan.status)}};
  if (plan.action != retention::Ending::append) return out;
  Json event = {{"seq", plan.seq}, {"kind", named(terminals, plan.kind)}};
  if (plan.code != retention::Cause::none) {
    event["code"] = named(causes, plan.code);
    event["recoverable"] = plan.recoverable;
  }
  out["event"] = event;
  return out;
}

Json retention_recover(const Json& in) {
  // The most that cross at once.
  if (in.at("runs").size() > 64) throw Refused{Errc::output_too_small};
  std::vector<retention::Run> runs;
  for (const Json& run : in.at("runs")) runs.push_back(run_of(run));
  const Json& wanted = in.at("wanted");
  retention::Wanted asked{flag(wanted, "lookedUp"), maybe_time(wanted, "postedAt"), 0, 0};
  take(wanted, "attempts", asked.attempts);
  take(wanted, "earlyDeaths", asked.early_deaths);
  const auto plan = retention::recover(runs, asked, {}, now_of(in));
  const Names reasons = {
      "",        "live",    "finished",  "never_ran",   "unavailable",    "stale",
      "aborted", "existed", "forgotten", "clock_moved", "attempts_spent", "keeps_dying"};
  Json out = {{"action", named({"", "reconnect", "replay", "post", "refuse"}, plan.action)},
              {"reason", named(reasons, plan.reason)}};
  if (plan.run) out["run"] = *plan.run;
  return out;
}

Json retention_keep_newest(const Json& in) {
  std::vector<retention::Entry> entries;
  for (const Json& entry : in.at("entries")) {
    entries.push_back({text(entry, "name"), time_of(entry.at("modifiedAt"))});
  }
  const Json options = member(in, "options");
  std::uint32_t keep = 3;
  take(options, "keep", keep);
  std::vector<retention::Fate> fates(entries.size());
  static_cast<void>(retention::keep_newest(entries, text(options, "inUse"), keep,
                                           retention::digits_of_ref, fates));
  Json said = Json::array();
  Json remove = Json::array();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    said.push_back(named({"", "newest", "is_protected", "foreign", "surplus"}, fates[i]));
    if (fates[i] == retention::Fate::surplus) remove.push_back(entries[i].name);
  }
  return {{"fates", said}, {"remove", remove}};
}

Json retention_changed(const Json& in) {
  const Json& refs = in.at("refs");
  return named({"", "nothing", "listed", "everything"},
               value_of(retention::changed(text(refs, "current"), text(refs, "previous"),
                                           flag(refs, "kept"))));
}

Json retention_orphan(const Json& in) {
  const Json& feed = in.at("feed");
  const auto activity = [&](const char* name) {
    return text(feed, name) == "active" ? retention::Activity::active : retention::Activity::other;
  };
  const auto found =
      retention::orphan({activity("status"), activity("connectionStatus"), flag(feed, "defined"),
                         flag(feed, "pinned"), flag(feed, "deleted"), flag(feed, "restore")});
  const Names reasons = {
      "",        "defined", "pinned", "undefined", "feed_not_active", "connection_not_active",
      "deleted", "asked"};
  return {{"action", named({"", "run", "leave", "soft_delete", "restore"}, found.action)},
          {"reason", named(reasons, found.reason)}};
}

Json retention_link(const Json& in) {
  const Names states = {"", "pending", "completed", "expired"};
  const Json& link = in.at("link");
  const auto found =
      retention::link(by_name<retention::LinkState>(states, text(link, "state")),
                      time_of(link.at("expiresAt")), flag(link, "otherPending"), now_of(in));
  return {{"state", named(states, found.state)},
          {"endConnection", found.end_connection},
          {"reason", named({"", "waiting", "settled", "expired", "others_pending"}, found.reason)}};
}

Json retention_schedule(const Json& in) {
  const Json& due = in.at("due");
  const auto found =
      retention::schedule({text(due, "every"), time_of(due.at("anchor")), maybe_time(due, "slot"),
                           maybe_time(due, "quotaResetAt"), flag(due, "matched")},
                          now_of(in));
  const Names reasons = {"",           "already_advanced", "next_tick", "after_quota",
                         "unreadable", "out_of_range"};
  Json out = {{"action", named({"none", "tick", "parked"}, found.action)},
              {"reason", named(reasons, found.reason)}};
  if (found.next_at) out["nextAt"] = found.next_at->value;
  return out;
}

Json retention_fingerprint(const Json& in) {
  std::vector<std::string_view> parts;
  for (const Json& part : in.at("parts")) parts.push_back(part.get_ref<const std::string&>());
  if (parts.size() > 16) throw Refused{Errc::output_too_small};
  return retention::fingerprint(parts).view();
}

Json retention_dedupe(const Json& in) {
  const Json& facts = in.at("facts");
  const auto found =
      retention::dedupe(maybe_time(facts, "forwardedAt"), count_of(facts.at("entries")), now_of(in),
                        retention::dedupe_window, retention::max_faults);
  const Names reasons = {"", "first", "window_over", "within_window", "clock_moved"};
  return {
      {"forward", found.forward}, {"reason", named(reasons, found.reason)}, {"evict", found.evict}};
}

Json retention_rate_limit(const Json& in) {
  retention::RateWindow stored;
  if (const Json* known = given(in, "stored")) {
    stored = {time_of(known->at("startedAt")), count_of(known->at("count"))};
  }
  const auto found = retention::rate_limit(stored, flag(in, "works"), {}, now_of(in));
  const Names reasons = {"", "new_window", "within_limit", "not_charged", "limited"};
  Json out = {
      {"allow", found.allow},
      {"reason", named(reasons, found.reason)},
      {"window", {{"startedAt", found.window.started_at.value}, {"count", found.window.count}}}};
  if (!found.allow) out["retryAfterMs"] = found.retry_after.value;
  return out;
}

Json retention_expiry(const Json& in) {
  Millis min{};
  take(member(in, "options"), "minMs", min);
  const auto end =
      retention::expiry(time_of(in.at("madeAt")), {time_of(in.at("ttlMs")).value}, now_of(in), min);
  return {{"expiresAt", end.expires_at.value},
          {"expired", end.expired},
          {"physicalMs", end.physical.value}};
}

Json retention_sweep(const Json& in) {
  unsigned lanes = 0;
  for (const Json& lane : in.at("lanes")) {
    lanes |= 1U << static_cast<unsigned>(
                 by_name<retention::Kind>(record_kinds, lane.get_ref<const std::string&>()));
  }
  const Json at = member(in, "cursor");
  const auto small = [&](const char* name) { return at.value(name, 0U); };
  const retention::Cursor cursor{static_cast<std::uint16_t>(small("pending")),
                                 static_cast<std::uint8_t>(small("lane")), flag(at, "open"),
                                 small("asked"), small("spent")};
  retention::Budget budget;
  take(member(in, "options"), "rows", budget.rows);
  const auto plan =
      retention::sweep(static_cast<std::uint16_t>(lanes), cursor, count_of(in.at("removed")),
                       budget, now_of(in), retention::sweep_interval);
  Json out = {{"action", named({"", "batch", "paused", "finished"}, plan.action)},
              {"cursor",
               {{"pending", plan.cursor.pending},
                {"lane", plan.cursor.lane},
                {"open", plan.cursor.open},
                {"asked", plan.cursor.asked},
                {"spent", plan.cursor.spent}}}};
  if (plan.action == retention::Sweeping::batch) {
    out["kind"] = named(record_kinds, plan.lane);
    out["before"] = plan.before.value;
    out["limit"] = plan.limit;
  } else {
    out["nextAt"] = plan.next_at.value;
  }
  return out;
}

Json retention_erase(const Json& in) {
  retention::Erased outcomes[retention::erase_steps]{};
  for (std::size_t i = 0; i < retention::erase_steps; ++i) {
    const std::string step{erase_step_names[i]};
    if (!in.at("outcomes").contains(step)) continue;
    outcomes[i] = by_name<retention::Erased>({"pending", "done", "absent", "failed"},
                                             text(in.at("outcomes"), step.c_str()));
  }
  const auto plan = retention::erase(outcomes);
  const auto steps = [](unsigned bits) {
    Json out = Json::array();
    for (std::size_t i = 0; i < retention::erase_steps; ++i) {
      if ((bits >> i & 1) != 0) out.push_back(erase_step_names[i]);
    }
    return out;
  };
  const Names reasons = {"", "next", "not_blocked", "partial", "complete", "not_revoked"};
  Json out = {{"action", named({"", "step", "again", "finished"}, plan.action)},
              {"reason", named(reasons, plan.reason)},
              {"receipt", {{"erased", steps(plan.erased)}, {"failed", steps(plan.failed)}}}};
  if (plan.action == retention::Erasing::step) out["step"] = named(erase_step_names, plan.step);
  return out;
}

using Operation = Json (*)(const Json&);

struct Named {
  std::string_view name;
  Operation run;
};

constexpr Named operations[] = {
    {"publicCode",
     [](const Json& in) -> Json { return to_string(public_code(errc_of(text(in, "code")))); }},
    {"returnTo", normal_path},
    {"keys.parse",
     [](const Json& in) -> Json { return {{"kids", kids_of(parse_ring(text(in, "text")))}}; }},
    {"keys.generate", keys_generate},
    {"keys.publicJwks", [](const Json& in) { return Json::parse(jwks_of(ring_of(in))); }},
    {"state.issue", state_issue},
    {"state.verify", state_verify},
    {"state.peek", state_peek},
    {"state.codeVerifier", code_verifier},
    {"callback.plan", callback_plan},
    {"seal.seal", seal_text},
    {"seal.open", open_text},
    {"principal.issue", principal_issue},
    {"principal.verify", principal_verify},
    {"scope.writeTarget", [](const Json& in) { return target(scope::write_target(facts_of(in))); }},
    {"scope.connectTarget", connect_target},
    {"scope.eraseTarget", erase_target},
    {"scope.writePlan", vectors::write_plan},
    {"scope.deletePlan", vectors::delete_plan},
    {"scope.readPlan", vectors::read_plan},
    {"scope.resolve", vectors::resolve},
    {"scope.mayMutate", vectors::may_mutate},
    {"scope.visible", vectors::visible},
    {"scope.chooseInstallation", vectors::choose_installation},
    {"scope.chooseTokenSource", vectors::choose_token_source},
    {"scope.stepIdentity", vectors::step_identity},
    {"scope.missing", vectors::missing},
    {"scope.gap", vectors::gap},
    {"scope.sweep", vectors::sweep},
    {"scope.complete", vectors::complete},
    {"scope.access", vectors::access},
    {"scope.hears", vectors::hears},
    {"scope.knownAs", vectors::known_as},
    {"scope.minted", vectors::minted},
    {"scope.leaveTarget", vectors::leave_target},
    {"upstream.lfsRight", vectors::lfs_right},
    {"scope.explain", vectors::explain},
    {"repo.parse", vectors::parse_repo},
    {"upstream.check", vectors::check_upstream},
    {"upstream.redirect", vectors::redirect},
    {"guard.name", vectors::name},
    {"guard.key", vectors::key},
    {"capability.mint", vectors::mint},
    {"capability.attenuate", vectors::attenuate},
    {"capability.verify", vectors::verify},
    {"capability.redeem", vectors::redeem},
    {"capability.revoke", vectors::revoke},
    {"guard.isLoopbackHost",
     [](const Json& in) -> Json { return url::is_loopback_host(text(in, "host")); }},
    {"guard.request", guard_request},
    {"guard.outbound", guard_outbound},
    {"exchange.read", exchange_read},
    {"refresh.classify", refresh_classify},
    {"account.read", account_read},
    {"disconnect.decide", disconnect_decide},
    {"introspection.doubt", introspection_doubt},
    {"retention.setting", retention_setting},
    {"retention.reconnect", retention_reconnect},
    {"retention.stale", retention_stale},
    {"retention.prune", retention_prune},
    {"retention.begin", retention_begin},
    {"retention.append", retention_append},
    {"retention.terminal", retention_terminal},
    {"retention.recover", retention_recover},
    {"retention.keepNewest", retention_keep_newest},
    {"retention.changed", retention_changed},
    {"retention.orphan", retention_orphan},
    {"retention.resumes",
     [](const Json& in) -> Json {
       return retention::resumes(text(in, "pausedFor"), text(in, "ended"));
     }},
    {"retention.link", retention_link},
    {"retention.schedule", retention_schedule},
    {"retention.fingerprint", retention_fingerprint},
    {"retention.dedupe", retention_dedupe},
    {"retention.rateLimit", retention_rate_limit},
    {"retention.bucket",
     [](const Json& in) -> Json { return retention::bucket(text(in, "address")).view(); }},
    {"retention.expiry", retention_expiry},
    {"retention.sweep", retention_sweep},
    {"retention.erase", retention_erase},
    {"admission.offer", vectors::offer},
    {"admission.plan", vectors::admission_plan},
    {"admission.drain", vectors::admission_drain},
    {"admission.settle", vectors::admission_settle},
    {"redact", redact_text},
    {"webhook.headers", webhook_headers},
    {"webhook.verify", webhook_verify},
    {"webhook.begin", webhook_begin},
    {"webhook.read", webhook_read},
    {"config.check", config_check},
};

Json ask(Operation operation, const Json& in) {
  try {
    return {{"expect", operation(in)}};
  } catch (const Refused& refused) {
    Json out = {{"error", to_string(refused.code)}};
    if (!refused.at.is_null()) out["at"] = refused.at;
    return out;
  }
}

Json outcome_of(const Json& vector) {
  if (vector.contains("expect")) return {{"expect", vector.at("expect")}};
  Json out = {{"error", vector.at("error")}};
  if (vector.contains("at")) out["at"] = vector.at("at");
  return out;
}

std::filesystem::path vectors_folder() {
  return std::filesystem::path{LATCHKEY_SOURCE_DIR} / "tests" / "vectors";
}

/// Every vector, file by file in the order of their names.
std::vector<Json> read_vectors() {
  std::set<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator{vectors_folder()}) {
    if (file.path().extension() == ".json" && file.path().filename() != "tsconfig.json") {
      files.insert(file.path());
    }
  }
  std::vector<Json> vectors;
  for (const auto& file : files) {
    const Json document = read_json(file);
    for (const Json& vector : document.at("vectors")) vectors.push_back(spelled_out(vector));
  }
  return vectors;
}

}  // namespace

TEST_CASE("T01 T03 T05 T06 T10 T11 T14 T15 T17 T18 T19 T21 T22 T23 T24 T25 T26 T27 T28 T29 T33 T35 "
          "T36 T38 T43 T44 T48 T49 T51 T56 T57 T58 T59 T60 T61 T62 T63 T64 T65 T66 T67 T69 T70 T71 "
          "T73 golden vectors") {
  std::string lines;
  std::size_t count = 0;
  for (const Json& vector : read_vectors()) {
    const auto id = vector.at("id").get<std::string>();
    CAPTURE(id, vector.at("comment").get<std::string>());
    const auto& op = vector.at("op").get_ref<const std::string&>();
    const auto* operation = std::find_if(std::begin(operations), std::end(operations),
                                         [&](const Named& named) { return named.name == op; });
    REQUIRE(operation != std::end(operations));
    const std::string outcome = ask(operation->run, vector).dump();
    CHECK(outcome == outcome_of(vector).dump());
    lines.append(id).append(" ").append(outcome).append("\n");
    ++count;
  }
  // The digest is the same in every runtime.
  CHECK(hex(test::sha256(bytes_of(lines))) + "\n" == read_file(vectors_folder() / "digest.txt"));
  CHECK(count > 1'000);
  WARN(count << " golden vectors");
}

TEST_CASE("external: JSONTestSuite's open cases are decided as in every other runtime") {
  Count count;
  for (const auto& file : std::filesystem::directory_iterator{external("json") / "test_parsing"}) {
    const std::string id = file.path().filename().string();
    if (id[0] != 'i') continue;
    CAPTURE(id);
    Octets body = octets(R"({"sub":"x","i":)" + read_file(file.path()) + "}");
    const auto* profile = profile::find("generic");
    const auto account = account::read(200, "application/json", body, *profile);
    // Numbers of any size are taken, because they stay text.
    CHECK(name(account) == (id.rfind("i_number_", 0) == 0 ? "ok" : "account_unreadable"));
    ++count.run;
  }
  count.report("JSONTestSuite, i_");
}
