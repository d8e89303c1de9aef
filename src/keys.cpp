#include "latchkey/keys.hpp"

#include "latchkey/json.hpp"
#include "latchkey/text.hpp"

#include <algorithm>

namespace latchkey::keys {
namespace {

constexpr std::size_t max_header = 128;

crypto::Secret32 derive(const crypto::Secret32& key, std::string_view info) noexcept {
  crypto::Secret32 out;
  crypto::hkdf(key, {}, bytes_of(info), out);
  return out;
}

crypto::MacKey derive_mac(const crypto::Secret32& key, std::string_view info) noexcept {
  crypto::Secret32 subkey = derive(key, info);
  const crypto::MacKey out = crypto::mac_key(subkey);
  crypto::wipe_object(subkey);
  return out;
}

StateHeader prepare_header(std::string_view kid, const crypto::MacKey& key) noexcept {
  StateHeader out;
  std::uint8_t space[decltype(out.text)::capacity];
  Writer text{space};
  put_header(text, "HS256", kid, typ_state);
  LK_CHECK(!text.overflow() && text.size() >= 64);
  out.text.assign(text_of(text.written()));
  out.mac = crypto::mac_prefix(key, text.written().first<64>());
  return out;
}

Key derive_all(std::string_view kid, const crypto::Secret32& key) noexcept {
  Key out;
  out.kid.assign(kid);
  out.state = derive_mac(key, info_state_hs256);
  out.state_header = prepare_header(kid, out.state);
  out.pkce = derive_mac(key, info_pkce);
  out.capability = derive_mac(key, info_capability);
  out.principal = derive_mac(key, info_principal);
  out.seal = derive(key, info_seal);
  crypto::Secret32 seed = derive(key, info_state_eddsa);
  out.state_sign = crypto::sign_key(seed);
  out.state_verify = crypto::verify_key(out.state_sign.public_key());
  crypto::wipe_object(seed);
  return out;
}

enum class Jwk : std::uint8_t { usable, other, refused };

// RFC 8037 section 2. A usable key is public, named, for signatures and nothing else.
Jwk read_jwk(const json::Value& jwk, PublicKey& out) noexcept {
  if (!jwk.is(json::Kind::object)) return Jwk::refused;
  if (jwk.member("kty").text() != "OKP" || jwk.member("crv").text() != "Ed25519") return Jwk::other;
  if (jwk.member("d").present()) return Jwk::refused;
  const auto alg = jwk.member("alg");
  if (alg.present() && alg.text() != "EdDSA" && alg.text() != "Ed25519") return Jwk::other;
  const auto use = jwk.member("use");
  if (use.present() && use.text() != "sig") return Jwk::other;
  const std::string_view kid = jwk.member("kid").text();
  if (!text::is_plain(kid, decltype(out.kid)::capacity)) return Jwk::refused;
  crypto::Ed25519Public key{};
  const auto size = text::base64url_decode(jwk.member("x").text(), key);
  if (!size || *size != key.size()) return Jwk::refused;
  out.key = crypto::verify_key(key);
  out.kid.assign(kid);
  return Jwk::usable;
}

}  // namespace

bool is_kid(std::string_view text) noexcept {
  return !text.empty() && text.size() <= max_kid &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

Result<void> generate(std::string_view kid, Bytes entropy, Writer& out) noexcept {
  if (!is_kid(kid) || entropy.size() != 32) return Errc::key_invalid;
  out.put(kid);
  out.put(':');
  text::base64url_put(out, entropy);
  return out.overflow() ? Result<void>{Errc::output_too_small} : Result<void>{};
}

Result<std::size_t> parse(std::string_view text, std::span<Key> out) noexcept {
  if (text.empty()) return Errc::key_ring_empty;
  crypto::Secret32 raw[max_keys];
  std::size_t count = 0;
  std::size_t begin = 0;
  Result<std::size_t> result = Errc::key_invalid;
  while (true) {
    const auto at = static_cast<std::uint32_t>(begin);
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view entry = text.substr(begin, comma - begin);
    const std::size_t colon = std::min(entry.find(':'), entry.size());
    const std::string_view kid = entry.substr(0, colon);
    if (count == out.size() || count == max_keys || !is_kid(kid) || colon == entry.size() ||
        !text::decode_key32(entry.substr(colon + 1), raw[count])) {
      result = {Errc::key_invalid, at};
      break;
    }
    const auto is_same = [&](std::size_t i) noexcept {
      return out[i].kid.view() == kid || crypto::equal(raw[i], raw[count]);
    };
    bool twice = false;
    for (std::size_t i = 0; i < count; ++i) twice = twice || is_same(i);
    if (twice) {
      result = {Errc::key_duplicate, at};
      break;
    }
    out[count] = derive_all(kid, raw[count]);
    ++count;
    if (comma == text.size()) {
      result = count;
      break;
    }
    begin = comma + 1;
  }
  crypto::wipe_object(raw);
  return result;
}

void put_header(Writer& out, std::string_view alg, std::string_view kid,
                std::string_view typ) noexcept {
  std::uint8_t space[max_header];
  Writer header{space};
  header.put("{\"alg\":\"");
  header.put(alg);
  header.put("\",\"kid\":\"");
  header.put(kid);
  header.put("\",\"typ\":\"");
  header.put(typ);
  header.put("\"}");
  LK_CHECK(!header.overflow());
  text::base64url_put(out, header.written());
}

void put_jwks(Ring ring, Writer& out) noexcept {
  out.put("{\"keys\":[");
  bool first = true;
  for (const Key& key : ring) {
    if (!first) out.put(',');
    first = false;
    out.put("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA\",\"use\":\"sig\",\"kid\":\"");
    out.put(key.kid.view());
    out.put(eddsa_suffix);
    out.put("\",\"x\":\"");
    text::base64url_put(out, key.state_verify.bytes);
    out.put("\"}");
  }
  out.put("]}");
}

Result<std::size_t> parse_jwks(MutBytes json, std::span<PublicKey> out) noexcept {
  json::Node nodes[256];
  const auto root = json::parse(json, nodes);
  if (!root) return Errc::jwks_invalid;
  const auto list = root->member("keys");
  if (!list.is(json::Kind::array)) return Errc::jwks_invalid;
  std::size_t count = 0;
  for (auto jwk = list.first(); jwk.present(); jwk = list.next(jwk)) {
    PublicKey key;
    const Jwk kind = read_jwk(jwk, key);
    if (kind == Jwk::refused) return Errc::jwks_invalid;
    if (kind == Jwk::other) continue;
    if (count == out.size() || count == max_keys) return Errc::jwks_invalid;
    for (std::size_t i = 0; i < count; ++i) {
      if (out[i].kid.view() == key.kid.view()) return Errc::jwks_invalid;
    }
    out[count++] = key;
  }
  if (count == 0) return Errc::jwks_invalid;
  return count;
}

}  // namespace latchkey::keys
