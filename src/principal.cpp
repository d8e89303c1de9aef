#include "latchkey/principal.hpp"

#include "latchkey/json.hpp"
#include "latchkey/text.hpp"

namespace latchkey::principal {
namespace {

constexpr std::size_t max_payload = 2900;
constexpr std::size_t max_members = 7;

bool is_claim(std::string_view text) noexcept { return text::is_plain(text, max_claim); }
bool is_optional_claim(std::string_view text) noexcept { return text.empty() || is_claim(text); }

bool is_possible(const Principal& p) noexcept {
  return is_claim(p.subject) && is_optional_claim(p.org) && is_optional_claim(p.role) &&
         is_optional_claim(p.device) && (p.role.empty() || !p.org.empty()) &&
         (p.device.empty() || p.kind == Kind::device);
}

void put_member(Writer& out, std::string_view literal, std::string_view value) noexcept {
  if (value.empty()) return;
  out.put(literal);
  json::put_string(out, value);
}

struct Assertion {
  Principal principal;
  std::int64_t issued_at{-1};
  std::int64_t expires_at{-1};
};

bool read_text(const json::Node& node, std::string_view& out) noexcept {
  out = node.text;
  return node.kind == json::Kind::text && is_claim(out);
}

bool read_seconds(const json::Node& node, std::int64_t& out) noexcept {
  out = node.integer;
  return node.kind == json::Kind::integer && out >= 0 && out <= UnixMillis::max / 1000;
}

bool read_kind(const json::Node& node, Kind& out) noexcept {
  if (node.kind != json::Kind::text) return false;
  for (const Kind kind : {Kind::human, Kind::service, Kind::device}) {
    if (node.text != to_string(kind)) continue;
    out = kind;
    return true;
  }
  return false;
}

bool read_claim(const json::Node& node, Assertion& out) noexcept {
  const std::string_view name = node.name;
  if (name == "sub") return read_text(node, out.principal.subject);
  if (name == "org") return read_text(node, out.principal.org);
  if (name == "role") return read_text(node, out.principal.role);
  if (name == "device") return read_text(node, out.principal.device);
  if (name == "kind") return read_kind(node, out.principal.kind);
  if (name == "iat") return read_seconds(node, out.issued_at);
  if (name == "exp") return read_seconds(node, out.expires_at);
  return false;
}

bool read_payload(MutBytes json, Assertion& out) noexcept {
  json::Node nodes[max_members + 1];
  const auto root = json::parse(json, nodes);
  if (!root || !root->is(json::Kind::object) || !root->member("kind").present()) return false;
  for (auto member = root->first(); member.present(); member = root->next(member)) {
    if (!read_claim(member.node(), out)) return false;
  }
  return out.issued_at >= 0 && out.expires_at >= 0 && is_possible(out.principal);
}

}  // namespace

std::string_view to_string(Kind kind) noexcept {
  switch (kind) {
  case Kind::human: return "human";
  case Kind::service: return "service";
  case Kind::device: return "device";
  }
  return {};
}

Result<void> issue(keys::Ring ring, const Principal& principal, UnixMillis now, Millis ttl,
                   Writer& out) noexcept {
  if (ring.empty()) return Errc::key_ring_empty;
  const bool life_possible =
      ttl.value >= 1000 && ttl.value <= max_ttl.value && ttl.value % 1000 == 0;
  if (!is_possible(principal) || !life_possible) return Errc::principal_invalid;

  std::uint8_t space[max_payload];
  Writer payload{space};
  put_member(payload, "{\"sub\":", principal.subject);
  put_member(payload, ",\"org\":", principal.org);
  put_member(payload, ",\"role\":", principal.role);
  put_member(payload, ",\"kind\":", to_string(principal.kind));
  put_member(payload, ",\"device\":", principal.device);
  payload.put(",\"iat\":");
  json::put_integer(payload, now.to_seconds());
  payload.put(",\"exp\":");
  json::put_integer(payload, now.to_seconds() + ttl.value / 1000);
  payload.put('}');
  if (payload.overflow()) return Errc::principal_invalid;
  return jws::sign(ring, jws::Use::principal, jws::Alg::hs256, text_of(payload.written()), out);
}

Result<Principal> verify(keys::Ring ring, std::string_view token, UnixMillis now,
                         MutBytes scratch) noexcept {
  if (token.empty()) return Errc::principal_missing;
  const jws::Verdict verdict = jws::open(ring, jws::Use::principal, token);
  if (!verdict.good) return Errc::principal_invalid;
  const auto size = text::base64url_decode(verdict.opened.payload, scratch);
  Assertion assertion;
  if (!size || !read_payload(scratch.first(*size), assertion)) return Errc::principal_invalid;
  const std::int64_t life = assertion.expires_at - assertion.issued_at;
  if (life <= 0 || life > max_ttl.value / 1000) return Errc::principal_invalid;
  if (assertion.issued_at > now.plus(skew).to_seconds()) return Errc::principal_invalid;
  if (now.to_seconds() > assertion.expires_at) return Errc::principal_expired;
  return assertion.principal;
}

}  // namespace latchkey::principal
