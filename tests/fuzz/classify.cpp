// What a provider answers to a refresh: one class whatever comes, and no refresh token dropped.
#include "fuzz.hpp"

#include "latchkey/answer.hpp"
#include "latchkey/classify.hpp"
#include "latchkey/exchange.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;
using refresh::Doubt;
using refresh::ReplyClass;

namespace {

bool is_token(std::string_view text) {
  if (text.empty() || text.size() > tokens::max_token) return false;
  for (const char c : text) {
    if (c < 0x21 || c > 0x7e) return false;
  }
  return true;
}

/// True when some object has a refresh token and, beside it, an access token.
bool has_pair(const json::Value& value) {
  if (is_token(value.member("access_token").text()) &&
      is_token(value.member("refresh_token").text())) {
    return true;
  }
  for (auto child = value.first(); child.present(); child = value.next(child)) {
    if (has_pair(child)) return true;
  }
  return false;
}

void check_refusal(const refresh::Classified& found) {
  LK_CHECK(found.tokens.access_token.empty() && found.tokens.refresh_token.empty());
  LK_CHECK(!found.reply.tokens.has_refresh && !found.reply.tokens.refresh_same);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const auto profiles = profile::all();
  const profile::Profile& profile = profiles[input.byte() % profiles.size()];
  constexpr std::uint16_t statuses[] = {200, 201, 400, 401, 403, 404, 408, 429,
                                        500, 503, 302, 0,   100, 599, 600, 65535};
  const std::uint16_t status = statuses[input.byte() % std::size(statuses)];
  const bool unspent = (input.byte() & 1U) != 0;
  const Octets type = input.text();
  const Octets retry = input.text();
  const Octets remaining = input.text();
  const Octets reset = input.text();
  const Octets date = input.text();
  const Octets sent = input.text();
  const Octets body = input.rest();
  const refresh::Header headers[] = {{"content-type", text_of(type)},
                                     {"Retry-After", text_of(retry)},
                                     {"X-RateLimit-Remaining", text_of(remaining)},
                                     {"RateLimit-Reset", text_of(reset)},
                                     {"date", text_of(date)}};
  const UnixMillis now = UnixMillis::from_seconds(1'700'000'000);
  refresh::Facts facts = refresh::facts_of(profile, true);
  facts.server_errors_unspent = unspent;

  Octets copy = body;
  const auto found = refresh::classify({status, headers, copy}, now, profile, facts, text_of(sent));
  const refresh::Reply& reply = found.reply;
  LK_CHECK(reply.kind >= ReplyClass::ok && reply.kind <= ReplyClass::not_understood);
  LK_CHECK(reply.doubt <= Doubt::answered);
  LK_CHECK(reply.retry_after.value >= 0 &&
           reply.retry_after.value <= refresh::max_retry_after.value);
  LK_CHECK(!is_inside(found.code, copy) || found.code.empty());
  switch (reply.kind) {
  case ReplyClass::ok:
    LK_CHECK(answer::is_good(status) && reply.doubt == Doubt::none);
    LK_CHECK(is_token(found.tokens.access_token) && is_inside(found.tokens.access_token, copy));
    LK_CHECK(is_inside(found.tokens.refresh_token, copy) && is_inside(found.tokens.scope, copy));
    LK_CHECK(reply.tokens.has_refresh == is_token(found.tokens.refresh_token));
    LK_CHECK(reply.tokens.lifetime.value >= 0);
    break;
  case ReplyClass::terminal:
    // Never over a status that says that something else is wrong.
    LK_CHECK((answer::is_good(status) || (status >= 400 && status <= 499)) && status != 429);
    LK_CHECK(!found.code.empty());
    check_refusal(found);
    break;
  case ReplyClass::transient:
  case ReplyClass::rate_limited:
  case ReplyClass::operator_error:
  case ReplyClass::not_understood: check_refusal(found); break;
  }

  Octets other = body;
  std::vector<json::Node> nodes(answer::max_nodes);
  const auto read = answer::read(text_of(type), other, nodes);
  if (read && has_pair(read->root)) {
    LK_CHECK(reply.kind == ReplyClass::ok || reply.kind == ReplyClass::not_understood);
  }
  Octets third = body;
  const auto exchanged = exchange::read(status, text_of(type), third, now, profile);
  if (exchanged) LK_CHECK(reply.kind == ReplyClass::ok || reply.kind == ReplyClass::not_understood);
  return 0;
}
