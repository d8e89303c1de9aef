#include "latchkey/config.hpp"

#include "latchkey/crypto.hpp"
#include "latchkey/run.hpp"
#include "latchkey/text.hpp"
#include "latchkey/url.hpp"

#include <algorithm>

namespace latchkey::config {
namespace {

using json::Kind;
using json::Value;

constexpr std::string_view known_members[] = {
    "profile",       "clientId",    "title",  "authorizationUrl", "tokenUrl",
    "revocationUrl", "userInfoUrl", "issuer", "responseMode",     "scopes",
    "public",        "refresh",     "gitUrl", "owners",           "personalOnly",
    "deployment",    "pastRevoked", "appUrl", "introspectionUrl",
};

const Var* find(std::span<const Var> vars, std::string_view name) noexcept {
  for (const Var& var : vars) {
    if (var.name == name) return var.present ? &var : nullptr;
  }
  return nullptr;
}

std::string_view value_of(std::span<const Var> vars, std::string_view name) noexcept {
  const Var* var = find(vars, name);
  return var == nullptr ? std::string_view{} : var->value;
}

Verdict wrong(std::string_view variable, Errc code, Errc cause, std::uint32_t at = 0) noexcept {
  Verdict out;
  out.code = code;
  out.cause = cause;
  out.at = at;
  out.variable.assign(variable);
  return out;
}

Verdict invalid(std::string_view variable) noexcept {
  return wrong(variable, Errc::config_invalid, Errc::config_invalid);
}

Verdict missing(std::string_view variable) noexcept {
  return wrong(variable, Errc::config_missing, Errc::config_missing);
}

Verdict check_keys(std::span<const Var> vars, Config& out) noexcept {
  const std::string_view text = value_of(vars, var_keys);
  if (text.empty()) return missing(var_keys);
  const auto count = keys::parse(text, out.keys);
  if (!count) return wrong(var_keys, Errc::config_invalid, count.error(), count.at());
  out.key_count = *count;
  return {};
}

// Equal keys have equal subkeys (HKDF is a function), and different ones do not.
bool share_a_key(keys::Ring a, keys::Ring b) noexcept {
  bool shared = false;
  for (const keys::Key& one : a) {
    for (const keys::Key& other : b) shared = crypto::equal(one.seal, other.seal) || shared;
  }
  return shared;
}

Verdict check_principal_key(std::span<const Var> vars, Config& out) noexcept {
  const Var* var = find(vars, var_principal_key);
  if (var == nullptr) return {};
  const auto count = keys::parse(var->value, out.principal_keys);
  if (!count) return wrong(var_principal_key, Errc::config_invalid, count.error(), count.at());
  out.principal_key_count = *count;
  if (share_a_key(out.ring(), out.principal_ring())) {
    return wrong(var_principal_key, Errc::config_invalid, Errc::key_duplicate);
  }
  return {};
}

// Browsers leave a default port out of `Origin`; an origin that keeps it would equal none.
std::string_view without_default_port(const url::Url& parsed) noexcept {
  const std::string_view port = parsed.https ? ":443" : ":80";
  std::string_view origin = parsed.origin;
  if (origin.size() > port.size() && origin.substr(origin.size() - port.size()) == port) {
    origin.remove_suffix(port.size());
  }
  return origin;
}

Verdict check_base_url(std::span<const Var> vars, Config& out, bool& loopback) noexcept {
  const std::string_view text = value_of(vars, var_base_url);
  if (text.empty()) return missing(var_base_url);
  const auto parsed = url::parse(text);
  if (!parsed) {
    return wrong(var_base_url, Errc::config_invalid, parsed.error(), parsed.at());
  }
  loopback = url::is_loopback_host(parsed->host);
  if (!parsed->https && !loopback) return invalid(var_base_url);
  if (!parsed->path.empty() && parsed->path != "/") return invalid(var_base_url);
  out.base_url = without_default_port(*parsed);
  if (out.base_url.size() > max_base_url) return invalid(var_base_url);
  return {};
}

Verdict check_dev(std::span<const Var> vars, bool loopback, Config& out) noexcept {
  const std::string_view text = value_of(vars, var_dev);
  if (text.empty() || text == "0") return {};
  if (text != "1" || !loopback) return invalid(var_dev);
  out.dev = true;
  return {};
}

Verdict check_connect(std::span<const Var> vars, Config& out) noexcept {
  const std::string_view text = value_of(vars, var_connect);
  if (text.empty() || text == "false") return {};
  if (text != "true") return invalid(var_connect);
  out.connect_enabled = true;
  return {};
}

bool is_provider_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > max_name || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// Without a dot there are no dot segments.
bool is_base_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '/';
}

SecretName secret_name(std::string_view provider, std::string_view suffix) noexcept {
  char name[SecretName::capacity];
  std::size_t size = 0;
  for (const char c : provider) {
    name[size++] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  for (const char c : suffix) name[size++] = c;
  SecretName out;
  out.assign({name, size});
  return out;
}

/// Reads one provider's object; what it reads comes from configuration or from the profile.
class ProviderReader {
public:
  ProviderReader(std::string_view json, Writer& scopes, bool dev) noexcept
      : json_{json}, scopes_{scopes}, dev_{dev} {}

  [[nodiscard]] bool read(const Value& entry, Provider& out) noexcept {
    at_ = position(entry.node().name);
    cause_ = Errc::config_invalid;
    if (!is_provider_name(entry.node().name) || !entry.is(Kind::object)) return false;
    if (!has_known_members_only(entry)) return false;
    const auto* row = profile::find(text_of(entry, "profile"));
    if (row == nullptr) return false;
    out = Provider{};
    out.name = entry.node().name;
    out.profile = row->name;
    out.auth_style = row->auth_style;
    out.scope_separator = row->scope_separator;
    out.revocation_shape = row->refresh.revocation_shape;
    out.client_id = text_of(entry, "clientId");
    if (!text::is_plain(out.client_id, max_client_id)) return false;
    return read_title(entry, *row, out) && read_urls(entry, *row, out) &&
           read_git(entry, *row, out) && read_app(entry, *row, out) &&
           read_response_mode(entry, *row, out) && read_scopes(entry, out) &&
           read_client_kind(entry, *row, out) && read_policy(entry, out) &&
           read_refresh(entry, *row, out);
  }

  /// Where in the text the last look went, and what was wrong there.
  [[nodiscard]] std::uint32_t at() const noexcept { return at_; }
  [[nodiscard]] Errc cause() const noexcept { return cause_; }

private:
  [[nodiscard]] std::uint32_t position(std::string_view part) const noexcept {
    return part.data() == nullptr ? 0 : static_cast<std::uint32_t>(part.data() - json_.data());
  }

  [[nodiscard]] Value look(const Value& entry, std::string_view name) noexcept {
    const Value member = entry.member(name);
    at_ = position(member.present() ? member.node().name : entry.node().name);
    return member;
  }

  [[nodiscard]] std::string_view text_of(const Value& entry, std::string_view name) noexcept {
    return look(entry, name).text();
  }

  [[nodiscard]] bool has_known_members_only(const Value& entry) noexcept {
    for (Value member = entry.first(); member.present(); member = entry.next(member)) {
      const std::string_view name = member.node().name;
      at_ = position(name);
      const auto* const end = std::end(known_members);
      if (std::find(std::begin(known_members), end, name) == end) return false;
    }
    return true;
  }

  // `generic` says nothing about whose server it is; the name that was chosen for it does.
  [[nodiscard]] bool read_title(const Value& entry, const profile::Profile& row,
                                Provider& out) noexcept {
    const Value member = look(entry, "title");
    const bool is_generic = std::string_view{row.name} == "generic";
    out.title = member.present() ? member.text() : is_generic ? out.name : row.title;
    return text::is_plain(out.title, max_title);
  }

  [[nodiscard]] bool is_url(std::string_view text, bool with_query) const noexcept {
    const auto parsed = url::parse(text);
    if (!parsed || (parsed->has_query && !with_query)) return false;
    return parsed->https || (dev_ && url::is_loopback_host(parsed->host));
  }

  [[nodiscard]] bool read_url(const Value& entry, std::string_view name, std::string_view fallback,
                              std::string_view& out) noexcept {
    const Value member = look(entry, name);
    out = member.present() ? member.text() : fallback;
    return !member.present() || is_url(out, true);
  }

  [[nodiscard]] bool read_urls(const Value& entry, const profile::Profile& row,
                               Provider& out) noexcept {
    return read_url(entry, "authorizationUrl", row.authorization_url, out.authorization_url) &&
           !out.authorization_url.empty() &&
           read_url(entry, "tokenUrl", row.token_url, out.token_url) && !out.token_url.empty() &&
           read_url(entry, "revocationUrl", row.revocation_url, out.revocation_url) &&
           read_url(entry, "userInfoUrl", row.user_info_url, out.user_info_url) &&
           read_url(entry, "introspectionUrl", {}, out.introspection_url) &&
           read_issuer(entry, row, out);
  }

  // A server that always sends `iss` is only held to it when we know what it must be.
  [[nodiscard]] bool read_issuer(const Value& entry, const profile::Profile& row,
                                 Provider& out) noexcept {
    const Value member = look(entry, "issuer");
    if (!member.present()) return true;
    out.as_issuer = member.text();
    out.iss_required = row.iss_supported;
    return is_url(out.as_issuer, false);
  }

  [[nodiscard]] bool read_git(const Value& entry, const profile::Profile& row,
                              Provider& out) noexcept {
    std::string_view text;
    if (!read_url(entry, "gitUrl", row.git_url, text)) return false;
    out.git = row.git;
    if (text.empty()) return true;
    const auto parsed = url::parse(text);
    auto path = parsed->path;
    if (path.ends_with('/')) path.remove_suffix(1);
    if (text.size() > max_git_url || path.find("//") != std::string_view::npos ||
        path.ends_with('/') || !std::all_of(path.begin(), path.end(), is_base_char)) {
      return false;
    }
    out.git_plain = !parsed->https;
    out.git_host = without_default_port(*parsed).substr(parsed->https ? 8 : 7);
    out.git_base = path;
    return true;
  }

  // Slashes at its end would be two before a path.
  [[nodiscard]] bool read_app(const Value& entry, const profile::Profile& row,
                              Provider& out) noexcept {
    const Value member = look(entry, "appUrl");
    out.app_url = row.app_url;
    if (!member.present()) return true;
    if (out.app_url.empty()) return false;
    out.app_url = member.text();
    return is_url(out.app_url, false) && !out.app_url.ends_with('/');
  }

  [[nodiscard]] bool read_response_mode(const Value& entry, const profile::Profile& row,
                                        Provider& out) noexcept {
    const Value member = look(entry, "responseMode");
    out.response_mode = row.response_mode;
    if (!member.present()) return true;
    out.response_mode = member.text() == "form_post" ? profile::ResponseMode::form_post
                                                     : profile::ResponseMode::query;
    return member.text() == "form_post" || member.text() == "query";
  }

  // A scope with a comma in it would be two where commas separate.
  [[nodiscard]] bool is_scope(std::string_view text, const Provider& provider) const noexcept {
    return profile::is_scope_token(text) &&
           (provider.scope_separator == profile::ScopeSeparator::space ||
            text.find(',') == std::string_view::npos);
  }

  [[nodiscard]] bool read_scopes(const Value& entry, Provider& out) noexcept {
    const Value list = look(entry, "scopes");
    if (!list.present()) return true;
    if (!list.is(Kind::array)) return false;
    const std::size_t begin = scopes_.size();
    std::size_t count = 0;
    for (Value scope = list.first(); scope.present(); scope = list.next(scope)) {
      if (count++ == max_scopes || !is_scope(scope.text(), out)) return false;
      if (count > 1) scopes_.put(' ');
      scopes_.put(scope.text());
    }
    out.scopes = latchkey::text_of(scopes_.written().subspan(begin));
    return true;
  }

  // RFC 9700 section 2.1.1: a public client without PKCE has nothing that ties the code to it.
  [[nodiscard]] bool read_client_kind(const Value& entry, const profile::Profile& row,
                                      Provider& out) noexcept {
    const Value member = look(entry, "public");
    out.pkce = row.pkce != profile::Pkce::no;
    if (member.present() && !member.is(Kind::boolean)) return false;
    if (member.present() && member.node().boolean) return out.pkce;
    out.client_secret = secret_name(out.name, "_CLIENT_SECRET");
    return true;
  }

  [[nodiscard]] bool read_order(const Value& list, scope::Policy& policy) const noexcept {
    policy.order = {};
    std::size_t size = 0;
    if (!list.is(Kind::array)) return false;
    for (Value owner = list.first(); owner.present(); owner = list.next(owner)) {
      if (size == std::size(kept_for)) return false;
      for (const scope::Scope one : kept_for) {
        if (owner.text() == scope::to_string(one)) policy.order[size] = one;
      }
      if (policy.order[size++] == scope::Scope{}) return false;
    }
    return size > 0 && scope::is_order(policy.order);
  }

  // What would never come to anything is a mistake of whoever wrote it.
  [[nodiscard]] bool read_policy(const Value& entry, Provider& out) noexcept {
    scope::Policy& policy = out.policy;
    policy.order = {};
    std::copy(std::begin(kept_for), std::end(kept_for), policy.order.begin());
    const Value owners = look(entry, "owners");
    if (owners.present() && !read_order(owners, policy)) return false;
    constexpr const char* names[] = {"personalOnly", "deployment", "pastRevoked"};
    bool* const flags[] = {&policy.personal_only, &policy.deployment, &policy.past_revoked};
    for (std::size_t i = 0; i < std::size(names); ++i) {
      const Value member = look(entry, names[i]);
      if (!member.present()) continue;
      if (!member.is(Kind::boolean)) return false;
      *flags[i] = member.node().boolean;
    }
    const bool has_place = std::find(policy.order.begin(), policy.order.end(),
                                     scope::Scope::deployment) != policy.order.end();
    if (policy.personal_only && (owners.present() || policy.deployment)) return false;
    return has_place || !policy.deployment;
  }

  [[nodiscard]] static bool read_length(const Value& member, Millis& out) noexcept {
    constexpr std::int64_t most = 3'162'240'000;
    if (!member.is(Kind::integer)) return false;
    const std::int64_t value = member.node().integer;
    if (value < 0 || value > most) return false;
    out = seconds(value);
    return true;
  }

  [[nodiscard]] static bool read_rotation(const Value& member, refresh::Traits& out) noexcept {
    for (const std::string_view& name : refresh::rotation_names) {
      if (member.text() != name) continue;
      out.rotation = static_cast<refresh::Rotation>(&name - std::begin(refresh::rotation_names));
      // The profile's grace is that of the profile's rotation.
      out.grace = {};
      return true;
    }
    return false;
  }

  [[nodiscard]] bool read_facts(const Value& object, const profile::Profile& row,
                                refresh::Facts& out) noexcept {
    constexpr const char* names[] = {
        "graceSeconds",        "accessTtlSeconds", "idleSeconds",   "absoluteSeconds",
        "timeoutSeconds",      "lagSeconds",       "oldAccessDies", "needsRedirectUri",
        "serverErrorsUnspent", "proactive",        "rotation",
    };
    refresh::Traits& traits = out.traits;
    Millis ttl = out.access_ttl;
    Millis grace{-1};
    Millis* const lengths[] = {
        &grace, &ttl, &traits.refresh_idle, &traits.refresh_absolute, &traits.time_out, &traits.lag,
    };
    bool* const flags[] = {&traits.old_access_dies, &out.needs_redirect_uri,
                           &out.server_errors_unspent, &out.proactive};
    constexpr std::size_t first_flag = std::size(lengths);
    constexpr std::size_t last = first_flag + std::size(flags);
    static_assert(std::size(names) == last + 1);
    for (Value member = object.first(); member.present(); member = object.next(member)) {
      at_ = position(member.node().name);
      std::size_t i = 0;
      while (i < std::size(names) && member.node().name != names[i]) ++i;
      if (i < first_flag) {
        if (!read_length(member, *lengths[i])) return false;
      } else if (i < last) {
        if (!member.is(Kind::boolean)) return false;
        *flags[i - first_flag] = member.node().boolean;
      } else if (i > last || !read_rotation(member, traits)) {
        return false;
      }
    }
    if (grace.value >= 0) traits.grace = grace;
    refresh::set_access_ttl(out, ttl, row.refresh.lasting_alone && ttl.value > 0);
    return true;
  }

  [[nodiscard]] bool read_refresh(const Value& entry, const profile::Profile& row,
                                  Provider& out) noexcept {
    out.refresh = refresh::facts_of(row, !out.revocation_url.empty());
    const Value member = look(entry, "refresh");
    if (!member.present()) return true;
    if (!member.is(Kind::object) || !read_facts(member, row, out.refresh)) return false;
    static_cast<void>(look(entry, "refresh"));
    if (!refresh::is_consistent(out.refresh.traits)) return false;
    const auto admitted = refresh::admit(able, {}, &out.refresh.traits);
    cause_ = admitted ? Errc::config_invalid : admitted.error();
    return static_cast<bool>(admitted);
  }

  // Whose connections there is a place for.
  static constexpr scope::Scope kept_for[] = {scope::Scope::user, scope::Scope::org,
                                              scope::Scope::deployment};
  static constexpr refresh::Contract able{true, true, false, {}, refresh::min_value};

  std::string_view json_;
  Writer& scopes_;
  bool dev_;
  Errc cause_{Errc::config_invalid};
  std::uint32_t at_{0};
};

Verdict check_providers(std::span<const Var> vars, std::span<json::Node> nodes, MutBytes scratch,
                        Config& out) noexcept {
  const std::string_view text = value_of(vars, var_providers);
  if (text.empty()) return missing(var_providers);
  if (text.size() > max_providers_text) return invalid(var_providers);
  if (scratch.size() / 2 < text.size()) {
    return wrong(var_providers, Errc::output_too_small, Errc::output_too_small);
  }
  const MutBytes json = scratch.first(text.size());
  std::copy_n(text.data(), text.size(), reinterpret_cast<char*>(json.data()));
  const auto root = json::parse(json, nodes);
  if (!root) return wrong(var_providers, Errc::config_invalid, root.error(), root.at());
  if (!root->is(Kind::object)) return invalid(var_providers);

  Writer scopes{scratch.subspan(text.size())};
  ProviderReader reader{text_of(json), scopes, out.dev};
  for (Value entry = root->first(); entry.present(); entry = root->next(entry)) {
    if (out.provider_count == max_providers) return invalid(var_providers);
    if (!reader.read(entry, out.providers[out.provider_count])) {
      return wrong(var_providers, Errc::config_invalid, reader.cause(), reader.at());
    }
    ++out.provider_count;
  }
  // Joined scopes are shorter than the JSON they come from.
  LK_CHECK(!scopes.overflow());
  return {};
}

// RFC 7468: a label, and base64 in lines; what is in it is not looked at here.
bool is_private_key(std::string_view text) noexcept {
  for (const std::string_view kind :
       {std::string_view{"PRIVATE KEY-----"}, std::string_view{"RSA PRIVATE KEY-----"}}) {
    constexpr std::string_view begin = "-----BEGIN ";
    if (text.size() <= max_app_key && text.starts_with(begin) &&
        text.substr(begin.size()).starts_with(kind)) {
      return std::all_of(text.begin(), text.end(),
                         [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r'; });
    }
  }
  return false;
}

Verdict check_secrets(std::span<const Var> vars, Config& out) noexcept {
  for (std::size_t i = 0; i < out.provider_count; ++i) {
    Provider& provider = out.providers[i];
    for (const SecretName& name : {provider.client_secret, deployment_token(provider)}) {
      if (name.empty()) continue;
      const std::string_view secret = value_of(vars, name.view());
      if (secret.empty()) return missing(name.view());
      if (!text::is_plain(secret, max_secret)) return invalid(name.view());
    }
    const SecretName webhook = secret_name(provider.name, "_WEBHOOK_SECRET");
    const SecretName app = secret_name(provider.name, "_APP_KEY");
    if (const Var* var = find(vars, webhook.view())) {
      if (!text::is_plain(var->value, max_secret)) return invalid(webhook.view());
      provider.webhook_secret = webhook;
    }
    if (const Var* var = find(vars, app.view())) {
      if (provider.app_url.empty() || !is_private_key(var->value)) return invalid(app.view());
      provider.app_key = app;
    }
  }
  return {};
}

void read_run_retention(std::span<const Var> vars, Config& out) noexcept {
  const Var* var = find(vars, var_run_retention);
  std::optional<std::string_view> text;
  if (var != nullptr) text = var->value;
  out.run_retention =
      retention::setting(text, retention::Windows{}.completed, retention::max_window);
}

Verdict check_all(std::span<const Var> vars, std::span<json::Node> nodes, MutBytes scratch,
                  Config& out) noexcept {
  bool loopback = false;
  read_run_retention(vars, out);
  if (const Verdict v = check_keys(vars, out); !v) return v;
  if (const Verdict v = check_principal_key(vars, out); !v) return v;
  if (const Verdict v = check_base_url(vars, out, loopback); !v) return v;
  if (const Verdict v = check_dev(vars, loopback, out); !v) return v;
  if (const Verdict v = check_connect(vars, out); !v) return v;
  if (const Verdict v = check_providers(vars, nodes, scratch, out); !v) return v;
  return check_secrets(vars, out);
}

}  // namespace

SecretName deployment_token(const Provider& provider) noexcept {
  return provider.policy.deployment ? secret_name(provider.name, "_DEPLOYMENT_TOKEN")
                                    : SecretName{};
}

Verdict check(std::span<const Var> vars, std::span<json::Node> nodes, MutBytes scratch,
              Config& out) noexcept {
  out.base_url = {};
  out.dev = false;
  out.connect_enabled = false;
  out.key_count = 0;
  out.principal_key_count = 0;
  out.provider_count = 0;
  const Verdict verdict = check_all(vars, nodes, scratch, out);
  if (!verdict) {
    out.key_count = 0;
    out.principal_key_count = 0;
    out.provider_count = 0;
    crypto::wipe_object(out.keys);
    crypto::wipe_object(out.principal_keys);
  }
  return verdict;
}

}  // namespace latchkey::config
