#include "latchkey/disconnect.hpp"

#include "latchkey/answer.hpp"
#include "latchkey/json.hpp"

namespace latchkey::disconnect {
namespace {

Said said_by(std::uint16_t status, const json::Value& root) noexcept {
  const std::string_view error = root.member("error").text();
  const json::Value ok = root.member("ok");
  if (ok.is(json::Kind::boolean) && !ok.node().boolean) {
    return error == "token_revoked" || error == "account_inactive" ? Said::gone : Said::failed;
  }
  return status == 400 && error == "invalid_token" ? Said::gone : Said::nothing;
}

constexpr Outcome done{true, true, Reason::none};
constexpr Outcome refused{false, false, Reason::refused};
constexpr Outcome unreachable{false, false, Reason::unreachable};

Outcome decide_status(std::uint16_t status, Said said) noexcept {
  if (status < 200 || answer::is_transient(status)) return unreachable;
  switch (said) {
  case Said::gone: return done;
  case Said::failed: return refused;
  case Said::nothing: break;
  }
  return answer::is_good(status) || status == 404 ? done : refused;
}

}  // namespace

Answer read(std::uint16_t status, std::string_view content_type, MutBytes body) noexcept {
  Answer out{Kind::status, status, Said::nothing};
  json::Node nodes[answer::max_nodes];
  const auto answer = answer::read(content_type, body, nodes);
  if (answer) out.said = said_by(status, answer->root);
  return out;
}

Outcome decide(const Answer& answer) noexcept {
  switch (answer.kind) {
  case Kind::unsupported: return {false, true, Reason::unsupported};
  case Kind::status: return decide_status(answer.status, answer.said);
  case Kind::unreachable: break;
  }
  return unreachable;
}

}  // namespace latchkey::disconnect
