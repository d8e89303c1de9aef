// What the edge module exports of refreshing, but for its steps.

#include "arena.hpp"
#include "list.hpp"

#include "latchkey/classify.hpp"
#include "latchkey/introspection.hpp"

namespace latchkey::abi {
namespace {

constexpr std::size_t max_headers = 16;

bool read_headers(Bytes list, std::span<refresh::Header> out, std::size_t& count) noexcept {
  if (list.empty()) return true;
  ListReader reader{list};
  const std::size_t texts = reader.count();
  count = texts / 2;
  if (texts % 2 != 0 || count > out.size()) return false;
  for (refresh::Header& header : out.first(count)) {
    header.name = reader.text();
    header.value = reader.text();
  }
  return reader.finished();
}

Errc reply_classified(const refresh::Classified& found, Writer& space) noexcept {
  const auto number = [](std::int64_t value) noexcept { return static_cast<double>(value); };
  const refresh::Reply& said = found.reply;
  RefreshClassifyReply out{};
  out.head = {arena_size, 0};
  out.retry_after_ms = number(said.retry_after.value);
  out.retry_at_ms = number(found.retry_at.value);
  out.lifetime_ms = number(said.tokens.lifetime.value);
  out.refresh_lifetime_ms = number(said.tokens.refresh_lifetime.value);
  out.access_token = slice_of(found.tokens.access_token);
  out.refresh_token = slice_of(found.tokens.refresh_token);
  out.scope = slice_of(found.tokens.scope);
  // A literal does not lie in the arena.
  space.put(found.code);
  if (space.overflow()) return fail(Errc::output_too_small);
  out.code = slice_of(space.written());
  out.kind = static_cast<std::uint8_t>(said.kind);
  out.doubt = static_cast<std::uint8_t>(said.doubt);
  out.has_scope = said.tokens.has_scope ? 1 : 0;
  out.refresh_same = said.tokens.refresh_same ? 1 : 0;
  out.introspectable = found.introspectable ? 1 : 0;
  reply(out);
  return Errc::ok;
}

}  // namespace

LK_EXPORT(lk_refresh_classify)() noexcept {
  return call<49'152>([]() noexcept {
    const auto in = request<RefreshClassifyRequest>();
    Inputs inputs;
    refresh::Header headers[max_headers];
    std::size_t count = 0;
    const Bytes list = inputs.bytes(in.headers);
    const MutBytes body = inputs.bytes(in.body);
    const auto* profile = profile::find(inputs.text(in.profile));
    const std::string_view sent = inputs.text(in.sent);
    Writer space{inputs.free_from(in.free)};
    if (!inputs.good() || !read_headers(list, headers, count)) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(in.now_ms);
    if (!now) return fail(Errc::time_invalid);
    if (profile == nullptr) return fail(Errc::provider_unknown);
    if (in.absence > 3) return fail(Errc::claim_invalid);
    if (in.absence != 0) {
      return reply_classified(refresh::classify(static_cast<refresh::Absence>(in.absence)), space);
    }
    auto facts = refresh::facts_of(*profile, false);
    if (in.unspent < 2) facts.server_errors_unspent = in.unspent == 1;
    if (in.access_ttl_ms != -1) {
      const auto ttl = UnixMillis::from_f64(in.access_ttl_ms);
      if (!ttl) return fail(Errc::time_invalid);
      facts.access_ttl = {ttl->value};
    }
    const refresh::TokenAnswer answer{in.status, {headers, count}, body};
    return reply_classified(refresh::classify(answer, *now, *profile, facts, sent), space);
  });
}

LK_EXPORT(lk_introspection_doubt)
(std::uint32_t status, std::uint32_t type, std::uint32_t type_len, std::uint32_t body,
 std::uint32_t body_len) noexcept {
  return call<49'152>([=]() noexcept {
    Inputs inputs;
    const auto content_type = inputs.text(type, type_len);
    const auto bytes = inputs.bytes(body, body_len);
    if (!inputs.good() || status > 0xffff) return fail(Errc::slice_invalid);
    const auto left = introspection::doubt(static_cast<std::uint16_t>(status), content_type, bytes);
    reply(FlagReply{{arena_size, 0}, static_cast<std::uint32_t>(left), 0});
    return Errc::ok;
  });
}

}  // namespace latchkey::abi
