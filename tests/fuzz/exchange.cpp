// What a provider answers: token endpoint, user info, revocation.
#include "fuzz.hpp"

#include "latchkey/account.hpp"
#include "latchkey/answer.hpp"
#include "latchkey/disconnect.hpp"
#include "latchkey/exchange.hpp"
#include "latchkey/introspection.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

namespace {

bool is_token(std::string_view text) {
  if (text.empty() || text.size() > exchange::max_token) return false;
  for (const char c : text) {
    if (c < 0x21 || c > 0x7e) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const auto profiles = profile::all();
  const profile::Profile& profile = profiles[input.byte() % profiles.size()];
  constexpr std::uint16_t statuses[] = {200, 201, 400, 401, 403, 429, 500, 302};
  const std::uint16_t status = statuses[input.byte() % std::size(statuses)];
  const Octets type = input.text();
  const Octets body = input.rest();
  if (body.size() > answer::max_body) return 0;
  const UnixMillis now = UnixMillis::from_seconds(1'700'000'000);

  Octets copy = body;
  const auto tokens = exchange::read(status, text_of(type), copy, now, profile);
  if (tokens) {
    LK_CHECK(is_token(tokens->access_token) && is_inside(tokens->access_token, copy));
    LK_CHECK(tokens->refresh_token.empty() || is_token(tokens->refresh_token));
    LK_CHECK(is_inside(tokens->refresh_token, copy) && is_inside(tokens->scope, copy));
    LK_CHECK(tokens->scope.size() <= exchange::max_scope);
    LK_CHECK(!tokens->has_expires_at || tokens->expires_at.value > now.value);
    LK_CHECK(!answer::is_transient(status));
  }
  copy = body;
  const auto account = account::read(status, text_of(type), copy, profile);
  if (account) LK_CHECK(!account->id.empty() && !account->label.empty());
  copy = body;
  const auto said = disconnect::read(status, text_of(type), copy);
  const auto outcome = disconnect::decide(said);
  LK_CHECK(!outcome.revoked || outcome.deleted);

  copy = body;
  const auto left = introspection::doubt(status, text_of(type), copy);
  LK_CHECK(left == refresh::Doubt::answered || (left == refresh::Doubt::none && status == 200));

  copy = body;
  std::vector<json::Node> nodes(answer::max_nodes);
  const auto answer = answer::read(text_of(type), copy, nodes);
  LK_CHECK(!answer || answer->root.is(json::Kind::object));
  return 0;
}
