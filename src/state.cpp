#include "latchkey/state.hpp"

#include "latchkey/json.hpp"
#include "latchkey/return_to.hpp"
#include "latchkey/text.hpp"

#include <algorithm>
#include <array>

namespace latchkey::state {
namespace {

// The largest payload whose token stays within `max_token` for every header and signature.
constexpr std::size_t max_payload = 2900;
constexpr std::int64_t version = 1;

// Label, cookie and nonce fill one SHA-256 block exactly (55 bytes).
constexpr std::string_view binding_label = "lk.rfp1";
constexpr std::string_view pkce_label = "pkce S256";

using Nonce = std::array<std::uint8_t, nonce_size>;
// The half of a SHA-256 hash: nobody who cannot set the cookie gains by a second preimage, and each
// token is a hash block shorter.
using Proof = std::array<std::uint8_t, 16>;

constexpr std::string_view prefix_of(OwnerKind kind) noexcept {
  switch (kind) {
  case OwnerKind::user: return "user:";
  case OwnerKind::org: return "org:";
  }
  return {};
}

template <std::size_t N> SmallText<N> encode(Bytes bytes) noexcept {
  std::uint8_t space[N];
  Writer out{space};
  text::base64url_put(out, bytes);
  LK_CHECK(out.size() == N);
  SmallText<N> encoded;
  encoded.assign(text_of(out.written()));
  return encoded;
}

Proof binding_proof(Bytes binding, const Nonce& nonce) noexcept {
  LK_CHECK(binding.size() == binding_size);
  std::uint8_t bound[binding_label.size() + binding_size + nonce_size];
  auto* to = std::copy(binding_label.begin(), binding_label.end(), bound);
  to = std::copy(binding.begin(), binding.end(), to);
  std::copy(nonce.begin(), nonce.end(), to);
  const auto hash = crypto::sha256(bound);
  Proof proof;
  std::copy_n(hash.begin(), proof.size(), proof.begin());
  return proof;
}

SmallText<43> derive_verifier(const keys::Key& key, const Nonce& nonce) noexcept {
  return encode<43>(crypto::mac(key.pkce, bytes_of(pkce_label), nonce));
}

bool is_claim(std::string_view text) noexcept { return text::is_plain(text, max_claim); }
bool is_optional_claim(std::string_view text) noexcept { return text.empty() || is_claim(text); }

Result<void> check(const Claims& claims, Bytes entropy) noexcept {
  const bool texts_good = is_claim(claims.issuer) && is_claim(claims.audience) &&
                          is_claim(claims.flow) && is_claim(claims.provider) &&
                          is_claim(claims.subject) && is_claim(claims.owner_id) &&
                          is_optional_claim(claims.app);
  if (!texts_good) return Errc::claim_invalid;
  if (!claims.return_to.empty() && !is_return_to(claims.return_to)) return Errc::return_to_invalid;
  if (!claims.binding.empty() && claims.binding.size() != binding_size) return Errc::claim_invalid;
  const std::int64_t ttl = claims.ttl.value;
  if (ttl < 1000 || ttl > max_ttl.value || ttl % 1000 != 0) return Errc::claim_invalid;
  if (entropy.size() < nonce_size) return Errc::claim_invalid;
  return {};
}

void put_member(Writer& out, std::string_view literal, std::string_view value) noexcept {
  out.put(literal);
  json::put_string(out, value);
}

void put_payload(Writer& out, const Claims& claims, std::string_view nonce, std::string_view rfp,
                 std::int64_t issued_at, std::int64_t expires_at) noexcept {
  put_member(out, "{\"iss\":", claims.issuer);
  put_member(out, ",\"aud\":", claims.audience);
  out.put(",\"iat\":");
  json::put_integer(out, issued_at);
  out.put(",\"exp\":");
  json::put_integer(out, expires_at);
  put_member(out, ",\"jti\":", nonce);
  if (!rfp.empty()) put_member(out, ",\"rfp\":", rfp);
  put_member(out, ",\"as\":", claims.provider);
  put_member(out, ",\"sub\":", claims.subject);
  if (!claims.return_to.empty()) put_member(out, ",\"target_link_uri\":", claims.return_to);
  put_member(out, ",\"flow\":", claims.flow);

  std::uint8_t space[max_claim + 5];
  Writer owner{space};
  owner.put(prefix_of(claims.owner_kind));
  owner.put(claims.owner_id);
  LK_CHECK(!owner.overflow());
  put_member(out, ",\"own\":", text_of(owner.written()));

  if (!claims.app.empty()) put_member(out, ",\"app\":", claims.app);
  out.put(",\"v\":");
  json::put_integer(out, version);
  out.put('}');
}

bool read_owner(std::string_view own, State& out) noexcept {
  for (const OwnerKind kind : {OwnerKind::user, OwnerKind::org}) {
    if (!own.starts_with(prefix_of(kind))) continue;
    out.owner_kind = kind;
    out.owner_id = own.substr(prefix_of(kind).size());
    return is_claim(out.owner_id);
  }
  return false;
}

bool read_text(const json::Node& node, std::string_view& out) noexcept {
  out = node.text;
  return node.kind == json::Kind::text && is_claim(out);
}

bool read_seconds(const json::Node& node, UnixMillis& out) noexcept {
  if (node.kind != json::Kind::integer || node.integer < 0 ||
      node.integer > UnixMillis::max / 1000) {
    return false;
  }
  out = UnixMillis::from_seconds(node.integer);
  return true;
}

bool read_16(const json::Node& node, std::string_view& out,
             std::array<std::uint8_t, 16>& bytes) noexcept {
  out = node.text;
  const auto size = text::base64url_decode(out, bytes);
  return node.kind == json::Kind::text && size && *size == bytes.size();
}

// A member's name as a number, so that telling names apart is a switch. Longer ones are all 0.
constexpr std::uint64_t short_name(std::string_view name) noexcept {
  if (name.size() > 4) return 0;
  std::uint64_t number = name.size();
  for (const char c : name) number = number << 8 | static_cast<std::uint8_t>(c);
  return number;
}

// What a payload says, and the bytes that two of its texts stand for.
struct Payload {
  State state;
  Nonce nonce{};
  Proof proof{};
};

// One member of the payload; false for an unknown name or an impossible value.
bool read_claim(const json::Node& node, Payload& out) noexcept {
  State& state = out.state;
  switch (short_name(node.name)) {
  case short_name("v"): return node.kind == json::Kind::integer && node.integer == version;
  case short_name("as"): return read_text(node, state.provider);
  case short_name("iss"): return read_text(node, state.issuer);
  case short_name("aud"): return read_text(node, state.audience);
  case short_name("iat"): return read_seconds(node, state.issued_at);
  case short_name("exp"): return read_seconds(node, state.expires_at);
  case short_name("jti"): return read_16(node, state.nonce, out.nonce);
  case short_name("rfp"): return read_16(node, state.rfp, out.proof);
  case short_name("sub"): return read_text(node, state.subject);
  case short_name("own"): return node.kind == json::Kind::text && read_owner(node.text, state);
  case short_name("app"): return read_text(node, state.app);
  case short_name("flow"): return read_text(node, state.flow);
  default:
    state.return_to = node.text;
    return node.name == "target_link_uri" && node.kind == json::Kind::text &&
           is_return_to(node.text);
  }
}

constexpr std::size_t max_members = 13;
constexpr std::size_t required_members = 10;

struct Read {
  bool well_formed{false};
  bool complete{false};
};

// Duplicate names never reach this: the JSON reader refuses them.
Read read_payload(MutBytes json, Payload& out) noexcept {
  json::Node nodes[max_members + 1];
  const auto root = json::parse(json, nodes);
  if (!root || !root->is(json::Kind::object)) return {};
  std::size_t members = 0;
  for (auto member = root->first(); member.present(); member = root->next(member)) {
    if (!read_claim(member.node(), out)) return {};
    ++members;
  }
  const State& state = out.state;
  const std::size_t optional = std::size_t{!state.rfp.empty()} + std::size_t{!state.app.empty()} +
                               std::size_t{!state.return_to.empty()};
  return {true, members == required_members + optional};
}

Errc refusal(jws::Refusal why) noexcept {
  switch (why) {
  case jws::Refusal::malformed: return Errc::state_malformed;
  case jws::Refusal::unknown_key: return Errc::state_unknown_key;
  case jws::Refusal::bad_signature: return Errc::state_bad_signature;
  }
  return Errc::state_malformed;
}

bool is_bound_to(const Payload& payload, const Expected& expected) noexcept {
  if (expected.binding_mode == Binding::unchecked) return true;
  const bool bound = !payload.state.rfp.empty();
  if (!bound && expected.binding.empty()) return true;
  if (!bound || expected.binding.size() != binding_size) return false;
  return crypto::equal(binding_proof(expected.binding, payload.nonce), payload.proof);
}

bool differs(std::string_view actual, std::string_view expected) noexcept {
  return !expected.empty() && !text::equal(actual, expected);
}

Result<State> check(const Payload& payload, const Expected& expected) noexcept {
  const State& state = payload.state;
  // Whole seconds: a life of 600 s is over in second 601, wherever in its second it began.
  const std::int64_t now = expected.now.to_seconds();
  const std::int64_t issued_at = state.issued_at.to_seconds();
  const std::int64_t expires_at = state.expires_at.to_seconds();
  if (expires_at <= issued_at || expires_at - issued_at > max_ttl.value / 1000) {
    return Errc::state_payload_invalid;
  }
  if (issued_at > expected.now.plus(expected.skew).to_seconds()) return Errc::state_from_future;
  if (now > expires_at) return Errc::state_expired;
  if (!text::equal(state.issuer, expected.issuer)) return Errc::issuer_mismatch;
  if (!text::equal(state.audience, expected.audience)) return Errc::audience_mismatch;
  if (differs(state.flow, expected.flow)) return Errc::flow_mismatch;
  if (differs(state.provider, expected.provider)) return Errc::provider_mismatch;
  if (differs(state.subject, expected.subject)) return Errc::subject_mismatch;
  if (!is_bound_to(payload, expected)) return Errc::binding_mismatch;
  return state;
}

// The decoded payload stays in `scratch` for the views; the key id goes behind it.
Result<State> read_opened(const jws::Opened& opened, const Expected& expected,
                          MutBytes scratch) noexcept {
  const auto size = text::base64url_decode(opened.payload, scratch);
  if (!size) return Errc::state_malformed;
  Payload payload;
  if (!read_payload(scratch.first(*size), payload).complete) return Errc::state_payload_invalid;
  Writer behind{scratch.subspan(*size)};
  behind.put(opened.kid.view());
  if (behind.overflow()) return Errc::state_malformed;
  payload.state.kid = text_of(behind.written());
  payload.state.alg = opened.alg;
  return check(payload, expected);
}

template <class Keys>
Result<State> verify_with(Keys keys, std::string_view token, const Expected& expected,
                          MutBytes scratch) noexcept {
  if (token.empty()) return Errc::state_missing;
  if (token.size() > max_token) return Errc::state_too_long;
  const jws::Verdict verdict = jws::open(keys, jws::Use::state, token);
  if (!verdict.good) return refusal(verdict.refusal);
  return read_opened(verdict.opened, expected, scratch);
}

}  // namespace

Result<Issued> issue(keys::Ring ring, const Claims& claims, UnixMillis now, Bytes entropy,
                     MutBytes out) noexcept {
  if (ring.empty()) return Errc::key_ring_empty;
  const auto checked = check(claims, entropy);
  if (!checked) return checked.error();

  Nonce nonce;
  std::copy_n(entropy.begin(), nonce.size(), nonce.begin());
  const std::int64_t issued_at = now.to_seconds();
  const std::int64_t expires_at = issued_at + claims.ttl.value / 1000;

  Issued issued;
  issued.nonce = encode<22>(nonce);
  SmallText<22> rfp;
  if (!claims.binding.empty()) rfp = encode<22>(binding_proof(claims.binding, nonce));

  std::uint8_t space[max_payload];
  Writer payload{space};
  put_payload(payload, claims, issued.nonce.view(), rfp.view(), issued_at, expires_at);
  if (payload.overflow()) return Errc::claim_invalid;

  Writer token{out};
  if (!jws::sign(ring, jws::Use::state, claims.alg, text_of(payload.written()), token)) {
    return Errc::claim_invalid;
  }
  issued.token = text_of(token.written());
  const auto verifier = derive_verifier(ring.front(), nonce);
  issued.challenge = encode<43>(crypto::sha256(bytes_of(verifier.view())));
  issued.expires_at = UnixMillis::from_seconds(expires_at);
  return issued;
}

Result<State> verify(keys::Ring ring, std::string_view token, const Expected& expected,
                     MutBytes scratch) noexcept {
  return verify_with(ring, token, expected, scratch);
}

Result<State> verify(keys::PublicKeys keys, std::string_view token, const Expected& expected,
                     MutBytes scratch) noexcept {
  return verify_with(keys, token, expected, scratch);
}

Result<State> peek(std::string_view token, MutBytes scratch) noexcept {
  jws::Parts parts;
  if (token.size() > max_token || !jws::split(token, parts)) return Errc::state_malformed;
  const auto size = text::base64url_decode(parts.payload, scratch);
  if (!size) return Errc::state_malformed;
  Payload payload;
  if (!read_payload(scratch.first(*size), payload).well_formed) return Errc::state_malformed;
  return payload.state;
}

Result<SmallText<43>> code_verifier(keys::Ring ring, std::string_view kid,
                                    std::string_view nonce) noexcept {
  Nonce bytes;
  const auto size = text::base64url_decode(nonce, bytes);
  if (!size || *size != bytes.size()) return Errc::state_payload_invalid;
  if (kid.ends_with(keys::eddsa_suffix)) kid.remove_suffix(keys::eddsa_suffix.size());
  for (const keys::Key& key : ring) {
    if (key.kid.view() == kid) return derive_verifier(key, bytes);
  }
  return Errc::state_unknown_key;
}

}  // namespace latchkey::state
