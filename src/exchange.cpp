#include "latchkey/exchange.hpp"

#include "latchkey/answer.hpp"
#include "latchkey/json.hpp"

namespace latchkey::exchange {
namespace {

using json::Kind;
using json::Value;

enum class Said : std::uint8_t { nothing, refused, refused_client, unclear };

Said said_about(const Value& root, const profile::Profile& profile) noexcept {
  const Value error = root.member("error");
  if (!answer::is_said(error)) {
    const Value ok = root.member("ok");
    return ok.is(Kind::boolean) && !ok.node().boolean ? Said::refused : Said::nothing;
  }
  const std::string_view word = error.text();
  if (word.empty() || tokens::has_access(root, profile)) return Said::unclear;
  return tokens::client_error(word).empty() ? Said::refused : Said::refused_client;
}

}  // namespace

Result<TokenSet> read(std::uint16_t status, std::string_view content_type, MutBytes body,
                      UnixMillis now, const profile::Profile& profile) noexcept {
  if (answer::is_transient(status)) return Errc::exchange_unreachable;
  const Errc unreadable = status == 401 ? Errc::provider_refused_client : Errc::exchange_unreadable;
  json::Node nodes[answer::max_nodes];
  const auto answer = answer::read(content_type, body, nodes);
  if (!answer) return unreadable;

  switch (said_about(answer->root, profile)) {
  case Said::refused: return Errc::exchange_refused;
  case Said::refused_client: return Errc::provider_refused_client;
  case Said::unclear: return unreadable;
  case Said::nothing: break;
  }
  if (!answer::is_good(status)) return unreadable;
  const auto pair = tokens::read(*answer, body, profile, tokens::Types::by_place);
  if (!pair) return unreadable;

  TokenSet out;
  out.access_token = pair->access_token;
  out.refresh_token = pair->refresh_token;
  out.scope = pair->scope;
  out.has_scope = pair->has_scope;
  out.has_expires_at = pair->lifetime.value > 0;
  out.has_refresh_expires_at = pair->refresh_lifetime.value > 0;
  if (out.has_expires_at) out.expires_at = now.plus(pair->lifetime);
  if (out.has_refresh_expires_at) out.refresh_expires_at = now.plus(pair->refresh_lifetime);
  return out;
}

}  // namespace latchkey::exchange
