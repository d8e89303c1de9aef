#include "latchkey/introspection.hpp"

#include "latchkey/answer.hpp"
#include "latchkey/json.hpp"

namespace latchkey::introspection {

using refresh::Doubt;

bool settles(const refresh::Reply& reply, std::uint16_t status) noexcept {
  return reply.kind == refresh::ReplyClass::transient && reply.doubt == Doubt::answered &&
         status <= 500;
}

Doubt doubt(std::uint16_t status, std::string_view content_type, MutBytes body) noexcept {
  json::Node nodes[answer::max_nodes];
  const auto answer = answer::read(content_type, body, nodes);
  if (status != 200 || !answer) return Doubt::answered;
  const json::Value active = answer->root.member("active");
  return active.is(json::Kind::boolean) && active.node().boolean ? Doubt::none : Doubt::answered;
}

}  // namespace latchkey::introspection
