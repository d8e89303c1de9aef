#include "latchkey/capability.hpp"

#include "latchkey/json.hpp"
#include "latchkey/text.hpp"

#include <algorithm>

namespace latchkey::capability {
namespace {

constexpr std::string_view prefixes[] = {"lkc1.", "lkc2."};
constexpr std::size_t prefix_size = 5;
constexpr std::size_t max_payload = 2'048;
constexpr std::size_t encoded_tag = text::base64url_size(32);
constexpr std::string_view verbs[] = {"fetch", "push", "read", "write"};
constexpr std::string_view purposes[] = {"git", "api"};
constexpr std::string_view owner_kinds[] = {"user:", "org:"};

bool is_claim(std::string_view text) noexcept { return text::is_plain(text, max_claim); }

bool is_possible(const Claims& c) noexcept {
  return is_claim(c.subject) && is_claim(c.owner_id) && is_claim(c.provider) &&
         (c.repo.empty() || text::is_plain(c.repo, max_repo)) &&
         (c.container.empty() || is_claim(c.container)) && c.can >= 1 && c.can <= can_all;
}

bool is_life(const Claims& c, bool bound) noexcept {
  const std::int64_t life = c.expires_at.value - c.issued_at.value;
  return life > 0 && life <= (bound ? max_life_v2 : max_life_v1).value;
}

void put_text(Writer& out, std::string_view name, std::string_view value) noexcept {
  if (value.empty()) return;
  out.put(name);
  json::put_string(out, value);
}

void put_can(Writer& out, std::uint8_t can) noexcept {
  bool first = true;
  for (std::size_t i = 0; i < std::size(verbs); ++i) {
    if ((can >> i & 1) == 0) continue;
    if (!first) out.put(' ');
    first = false;
    out.put(verbs[i]);
  }
}

bool read_can(std::string_view words, std::uint8_t& out) noexcept {
  std::uint8_t can = 0;
  while (true) {
    const auto end = std::min(words.find(' '), words.size());
    const auto* verb = std::find(std::begin(verbs), std::end(verbs), words.substr(0, end));
    if (verb == std::end(verbs)) return false;
    const unsigned bit = 1U << (verb - verbs);
    // Each once and in this order: one spelling.
    if (can >= bit) return false;
    can = static_cast<std::uint8_t>(can | bit);
    if (end == words.size()) break;
    words.remove_prefix(end + 1);
  }
  out = can;
  return true;
}

/// Which claims have been seen, as bits.
enum Seen : unsigned {
  seen_purpose = 1,
  seen_subject = 2,
  seen_owner = 4,
  seen_provider = 8,
  seen_repo = 16,
  seen_container = 32,
  seen_can = 64,
  seen_epoch = 128,
  seen_issued = 256,
  seen_expires = 512,
  seen_nonce = 1024,
  seen_required = 1 + 2 + 4 + 8 + 64 + 128 + 256 + 512 + 1024,
  seen_narrowing = 16 + 32 + 64 + 512,
};

bool take_text(const json::Node& node, std::string_view& out, std::size_t max) noexcept {
  out = node.text;
  return node.kind == json::Kind::text && text::is_plain(out, max);
}

bool take_seconds(const json::Node& node, UnixMillis& out) noexcept {
  if (node.kind != json::Kind::integer || node.integer < 0 ||
      node.integer > UnixMillis::max / 1000) {
    return false;
  }
  out = UnixMillis::from_seconds(node.integer);
  return true;
}

bool take_owner(const json::Node& node, Claims& out) noexcept {
  if (node.kind != json::Kind::text) return false;
  for (std::size_t i = 0; i < std::size(owner_kinds); ++i) {
    if (!node.text.starts_with(owner_kinds[i])) continue;
    out.owner = static_cast<Owner>(i + 1);
    out.owner_id = node.text.substr(owner_kinds[i].size());
    return is_claim(out.owner_id);
  }
  return false;
}

// Reads one member; 0 when it is unknown or wrong.
unsigned read_member(const json::Node& node, Claims& out) noexcept {
  const auto name = node.name;
  bool good = false;
  unsigned seen = 0;
  if (name == "for") {
    const auto* purpose = std::find(std::begin(purposes), std::end(purposes), node.text);
    good = node.kind == json::Kind::text && purpose != std::end(purposes);
    out.purpose = good ? static_cast<Purpose>(purpose - purposes + 1) : Purpose::git;
    seen = seen_purpose;
  } else if (name == "sub") {
    good = take_text(node, out.subject, max_claim);
    seen = seen_subject;
  } else if (name == "own") {
    good = take_owner(node, out);
    seen = seen_owner;
  } else if (name == "as") {
    good = take_text(node, out.provider, max_claim);
    seen = seen_provider;
  } else if (name == "repo") {
    good = take_text(node, out.repo, max_repo);
    seen = seen_repo;
  } else if (name == "cid") {
    good = take_text(node, out.container, max_claim);
    seen = seen_container;
  } else if (name == "can") {
    good = node.kind == json::Kind::text && read_can(node.text, out.can);
    seen = seen_can;
  } else if (name == "epoch") {
    good = node.kind == json::Kind::integer && node.integer >= 0 && node.integer <= 0xffffffff;
    out.epoch = good ? static_cast<std::uint32_t>(node.integer) : 0;
    seen = seen_epoch;
  } else if (name == "iat") {
    good = take_seconds(node, out.issued_at);
    seen = seen_issued;
  } else if (name == "exp") {
    good = take_seconds(node, out.expires_at);
    seen = seen_expires;
  } else if (name == "jti") {
    std::uint8_t nonce[nonce_size];
    const auto size = text::base64url_decode(node.text, nonce);
    good = node.kind == json::Kind::text && size && *size == nonce_size;
    seen = seen_nonce;
  }
  return good ? seen : 0;
}

// Reads one piece of a capability, encoded; what was seen in it, or 0.
unsigned read_piece(std::string_view encoded, MutBytes space, Claims& out) noexcept {
  const auto size = text::base64url_decode(encoded, space);
  if (!size) return 0;
  json::Node nodes[12];
  const auto root = json::parse(space.first(*size), nodes);
  if (!root || !root->is(json::Kind::object)) return 0;
  unsigned seen = 0;
  for (auto member = root->first(); member.present(); member = root->next(member)) {
    const unsigned one = read_member(member.node(), out);
    if (one == 0) return 0;
    seen |= one;
  }
  return seen;
}

/// True when `named` stays what it was, or is named for the first time.
bool narrow_text(std::string_view& kept, std::string_view named, bool seen) noexcept {
  if (!seen) return true;
  if (!kept.empty() && kept != named) return false;
  kept = named;
  return true;
}

bool narrow(Claims& kept, const Claims& given, unsigned seen) noexcept {
  if (seen == 0 || (seen & ~static_cast<unsigned>(seen_narrowing)) != 0) return false;
  if (!narrow_text(kept.repo, given.repo, (seen & seen_repo) != 0)) return false;
  if (!narrow_text(kept.container, given.container, (seen & seen_container) != 0)) return false;
  if ((seen & seen_can) != 0) kept.can = static_cast<std::uint8_t>(kept.can & given.can);
  if ((seen & seen_expires) != 0 && given.expires_at.value < kept.expires_at.value) {
    kept.expires_at = given.expires_at;
  }
  return kept.can != 0;
}

/// A capability taken apart: `pieces` are the claims and the narrowings.
struct Form {
  unsigned version{0};
  std::string_view kid;
  std::string_view pieces[1 + max_narrowings];
  std::size_t count{0};
  crypto::Tag tag{};
};

bool split(std::string_view text, Form& out) noexcept {
  if (text.size() > max_text) return false;
  for (unsigned i = 0; i < std::size(prefixes); ++i) {
    if (text.starts_with(prefixes[i])) out.version = i + 1;
  }
  if (out.version == 0) return false;
  auto rest = text.substr(prefix_size);
  const auto kid_end = rest.find('.');
  if (kid_end == std::string_view::npos) return false;
  out.kid = rest.substr(0, kid_end);
  if (!keys::is_kid(out.kid)) return false;
  rest.remove_prefix(kid_end + 1);
  while (true) {
    const auto end = rest.find('.');
    if (end == std::string_view::npos) break;
    if (out.count == std::size(out.pieces) || end == 0) return false;
    out.pieces[out.count++] = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  const auto size = text::base64url_decode(rest, out.tag);
  return out.count > 0 && size && *size == out.tag.size();
}

crypto::Tag next_tag(const crypto::Tag& tag, std::string_view piece) noexcept {
  crypto::MacKey key = crypto::mac_key(tag);
  const crypto::Tag out = crypto::mac(key, bytes_of(piece));
  crypto::wipe_object(key);
  return out;
}

bool is_tag_good(const keys::Key& key, std::string_view text, const Form& form) noexcept {
  const auto& claims = form.pieces[0];
  const auto signed_size = static_cast<std::size_t>(claims.data() + claims.size() - text.data());
  crypto::Tag tag = crypto::mac(key.capability, bytes_of(text.substr(0, signed_size)));
  for (std::size_t i = 1; i < form.count; ++i) tag = next_tag(tag, form.pieces[i]);
  const bool good = crypto::equal(tag, form.tag);
  crypto::wipe_object(tag);
  return good;
}

}  // namespace

Result<void> mint(keys::Ring ring, const Claims& claims, UnixMillis now, Bytes entropy,
                  Writer& out) noexcept {
  if (ring.empty()) return Errc::key_ring_empty;
  const bool bound = !claims.container.empty();
  Claims made = claims;
  made.issued_at = UnixMillis::from_seconds(now.to_seconds());
  if (!is_possible(made) || !is_life(made, bound) || made.expires_at.value % 1000 != 0 ||
      made.expires_at.value <= now.value || entropy.size() < nonce_size) {
    return Errc::capability_invalid;
  }
  std::uint8_t space[max_payload];
  Writer json{space};
  json.put("{\"for\":\"");
  json.put(purposes[static_cast<std::size_t>(made.purpose) - 1]);
  json.put('"');
  put_text(json, ",\"sub\":", made.subject);
  std::uint8_t owner_space[max_claim + 8];
  Writer owner{owner_space};
  owner.put(owner_kinds[static_cast<std::size_t>(made.owner) - 1]);
  owner.put(made.owner_id);
  put_text(json, ",\"own\":", text_of(owner.written()));
  put_text(json, ",\"as\":", made.provider);
  put_text(json, ",\"repo\":", made.repo);
  put_text(json, ",\"cid\":", made.container);
  json.put(",\"can\":\"");
  put_can(json, made.can);
  json.put("\",\"epoch\":");
  json::put_integer(json, made.epoch);
  json.put(",\"iat\":");
  json::put_integer(json, made.issued_at.to_seconds());
  json.put(",\"exp\":");
  json::put_integer(json, made.expires_at.to_seconds());
  json.put(",\"jti\":\"");
  text::base64url_put(json, entropy.first(nonce_size));
  json.put("\"}");
  if (json.overflow()) return Errc::capability_invalid;

  const std::size_t begin = out.size();
  out.put(prefixes[bound ? 1 : 0]);
  out.put(ring.front().kid.view());
  out.put('.');
  text::base64url_put(out, json.written());
  if (out.overflow()) return Errc::output_too_small;
  const crypto::Tag tag = crypto::mac(ring.front().capability, out.written().subspan(begin));
  out.put('.');
  text::base64url_put(out, tag);
  return out.overflow() ? Result<void>{Errc::output_too_small} : Result<void>{};
}

Result<void> attenuate(std::string_view text, const Narrowing& narrowing, Writer& out) noexcept {
  Form form;
  const bool empty = narrowing.repo.empty() && narrowing.container.empty() && narrowing.can == 0 &&
                     !narrowing.has_expires_at;
  if (!split(text, form) || form.count == std::size(form.pieces) || empty ||
      narrowing.can > can_all ||
      !(narrowing.repo.empty() || text::is_plain(narrowing.repo, max_repo)) ||
      !(narrowing.container.empty() || is_claim(narrowing.container))) {
    return Errc::capability_invalid;
  }
  std::uint8_t space[max_payload];
  Writer json{space};
  json.put('{');
  // Each member brings its comma; the first one's is taken away.
  put_text(json, ",\"repo\":", narrowing.repo);
  put_text(json, ",\"cid\":", narrowing.container);
  if (narrowing.can != 0) {
    json.put(",\"can\":\"");
    put_can(json, narrowing.can);
    json.put('"');
  }
  if (narrowing.has_expires_at) {
    json.put(",\"exp\":");
    json::put_integer(json, narrowing.expires_at.to_seconds());
  }
  json.put('}');
  if (json.overflow()) return Errc::capability_invalid;
  space[1] = '{';
  const auto before = text.substr(0, text.size() - encoded_tag);
  const std::size_t begin = out.size();
  out.put(before);
  text::base64url_put(out, json.written().subspan(1));
  if (out.overflow()) return Errc::output_too_small;
  const auto piece = text_of(out.written().subspan(begin + before.size()));
  const crypto::Tag tag = next_tag(form.tag, piece);
  out.put('.');
  text::base64url_put(out, tag);
  if (out.overflow()) return Errc::output_too_small;
  return out.size() - begin > max_text ? Result<void>{Errc::capability_invalid} : Result<void>{};
}

Result<Claims> verify(keys::Ring ring, std::string_view text, const Expected& expected,
                      MutBytes scratch) noexcept {
  Form form;
  if (!split(text, form)) return Errc::capability_invalid;
  const keys::Key* known = nullptr;
  for (const keys::Key& key : ring) {
    if (key.kid.view() == form.kid) known = &key;
  }
  if (known == nullptr || !is_tag_good(*known, text, form)) return Errc::capability_invalid;

  Claims out;
  std::size_t used = 0;
  bool bound = false;
  for (std::size_t i = 0; i < form.count; ++i) {
    const auto piece = form.pieces[i];
    // What is decoded is shorter than its text, so that the pieces lie one behind another.
    if (scratch.size() - used < piece.size()) return Errc::output_too_small;
    Claims read;
    const unsigned seen = read_piece(piece, scratch.subspan(used, piece.size()), read);
    used += piece.size();
    if (i > 0) {
      if (!narrow(out, read, seen)) return Errc::capability_invalid;
      continue;
    }
    bound = (seen & seen_container) != 0;
    if ((seen & seen_required) != seen_required || bound != (form.version == 2) ||
        !is_possible(read) || !is_life(read, bound)) {
      return Errc::capability_invalid;
    }
    out = read;
  }
  if (out.issued_at.value > expected.now.plus(skew).value) return Errc::capability_invalid;
  if (expected.purpose != Purpose{} && out.purpose != expected.purpose) {
    return Errc::capability_invalid;
  }
  if (out.expires_at.value <= expected.now.value) return Errc::capability_expired;
  if (out.epoch < expected.epoch) return Errc::capability_revoked;
  if (!expected.provider.empty() && out.provider != expected.provider) {
    return Errc::provider_mismatch;
  }
  if (!out.container.empty() && out.container != expected.container) {
    return Errc::container_mismatch;
  }
  return out;
}

Result<Ender> redeem(const Claims& claims, std::string_view own, std::string_view repo) noexcept {
  constexpr unsigned whole = can_fetch | can_push;
  const bool is_own = claims.provider == own;
  if (claims.purpose != Purpose::git || !own.starts_with(session_prefix) ||
      own.size() == session_prefix.size() ||
      (!is_own && claims.provider.starts_with(session_prefix)) || (claims.can & whole) != whole) {
    return Errc::not_allowed;
  }
  if (claims.repo.empty() || claims.repo != repo) return Errc::repository_mismatch;
  return is_own ? Ender::session : Ender::connection;
}

Revocation revoke(std::uint32_t epoch, UnixMillis now) noexcept {
  constexpr std::int64_t last = 0xffffffff;
  const std::int64_t next = std::max(now.to_seconds(), std::int64_t{epoch} + 1);
  return {static_cast<std::uint32_t>(std::min(next, last)), now.plus(max_life_v2).plus(skew)};
}

}  // namespace latchkey::capability
