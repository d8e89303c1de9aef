#include "latchkey/jws.hpp"

#include "latchkey/json.hpp"
#include "latchkey/text.hpp"

#include <iterator>

namespace latchkey::jws {
namespace {

constexpr std::size_t max_header = 192;
constexpr std::size_t hs256_size = 32;

std::string_view name_of(Alg alg) noexcept {
  switch (alg) {
  case Alg::hs256: return "HS256";
  case Alg::eddsa: return "EdDSA";
  }
  return {};
}

const crypto::MacKey& mac_key_of(const keys::Key& key, Use use) noexcept {
  switch (use) {
  case Use::state: return key.state;
  case Use::capability: return key.capability;
  case Use::principal: return key.principal;
  }
  LK_CHECK(false);
  return key.state;
}

struct Header {
  std::string_view alg;
  std::string_view kid;
  std::string_view typ;
};

// An object with exactly our three members.
bool read_header_json(MutBytes json, Header& out) noexcept {
  json::Node nodes[4];
  const auto root = json::parse(json, nodes);
  if (!root || !root->is(json::Kind::object) || root->node().end != std::size(nodes)) return false;
  out = {root->member("alg").text(), root->member("kid").text(), root->member("typ").text()};
  return true;
}

bool read_header(std::string_view encoded, MutBytes space, Header& out) noexcept {
  const auto size = text::base64url_decode(encoded, space);
  if (!size) return false;
  return read_header_json(space.first(*size), out);
}

bool is_eddsa_kid_of(std::string_view kid, std::string_view ring_kid) noexcept {
  return kid.size() == ring_kid.size() + keys::eddsa_suffix.size() && kid.starts_with(ring_kid) &&
         kid.ends_with(keys::eddsa_suffix);
}

const keys::Key* find(keys::Ring ring, Alg alg, std::string_view kid) noexcept {
  for (const keys::Key& key : ring) {
    const std::string_view own = key.kid.view();
    if (alg == Alg::hs256 ? kid == own : is_eddsa_kid_of(kid, own)) return &key;
  }
  return nullptr;
}

std::string_view signing_input(std::string_view token, const Parts& parts) noexcept {
  return token.substr(0, token.size() - parts.signature.size() - 1);
}

template <std::size_t N>
bool decode_exactly(std::string_view encoded, std::array<std::uint8_t, N>& out) noexcept {
  const auto size = text::base64url_decode(encoded, out);
  return size && *size == N;
}

Verdict refused(Refusal why) noexcept {
  Verdict verdict;
  verdict.refusal = why;
  return verdict;
}

// What is left to check once the form is known: a key of this id and algorithm, and its signature.
struct Signed {
  std::string_view token;
  Parts parts;
  Alg alg{};
  std::string_view kid;
  std::array<std::uint8_t, hs256_size> mac{};
  crypto::Ed25519Signature eddsa{};
};

bool is_eddsa_good(const crypto::VerifyKey& key, const Signed& form) noexcept {
  return crypto::verify(key, bytes_of(signing_input(form.token, form.parts)), form.eddsa);
}

Verdict opened(const Signed& form) noexcept {
  Verdict verdict;
  verdict.opened.payload = form.parts.payload;
  verdict.opened.kid.assign(form.kid);
  verdict.opened.alg = form.alg;
  verdict.good = true;
  return verdict;
}

// Reads the header and the signature's form of a token that has been split.
bool read_form(Use use, MutBytes space, Signed& out) noexcept {
  Header header;
  if (!read_header(out.parts.header, space, header) || header.typ != typ_of(use) ||
      header.kid.empty()) {
    return false;
  }
  out.kid = header.kid;
  if (header.alg == name_of(Alg::hs256)) {
    out.alg = Alg::hs256;
    return decode_exactly(out.parts.signature, out.mac);
  }
  if (header.alg == name_of(Alg::eddsa) && use == Use::state) {
    out.alg = Alg::eddsa;
    return decode_exactly(out.parts.signature, out.eddsa);
  }
  return false;
}

constexpr std::size_t encoded_mac_size = text::base64url_size(hs256_size);

// A header spelled as we spell it says which key it is, and with it where each part lies. Whether a
// dot stands inside the payload matters only for the name of a refusal.
const keys::Key* find_by_header(keys::Ring ring, Use use, Signed& form) noexcept {
  if (use != Use::state) return nullptr;
  for (const keys::Key& key : ring) {
    const std::string_view header = key.state_header.text.view();
    const std::size_t around = header.size() + 1 + 1 + encoded_mac_size;
    if (form.token.size() <= around) continue;
    const std::size_t dot = form.token.size() - encoded_mac_size - 1;
    if (form.token[header.size()] != '.' || form.token[dot] != '.' ||
        !text::equal(form.token.substr(0, header.size()), header)) {
      continue;
    }
    form.parts = {header, form.token.substr(header.size() + 1, form.token.size() - around),
                  form.token.substr(dot + 1)};
    return &key;
  }
  return nullptr;
}

Verdict open_usual(const keys::Key& key, Signed& form) noexcept {
  if (!decode_exactly(form.parts.signature, form.mac)) return refused(Refusal::malformed);
  form.kid = key.kid.view();
  form.alg = Alg::hs256;
  const auto rest = bytes_of(signing_input(form.token, form.parts)).subspan(64);
  if (crypto::equal(crypto::mac(key.state, key.state_header.mac, rest), form.mac)) {
    return opened(form);
  }
  const bool parts_more = form.parts.payload.find('.') != std::string_view::npos;
  return refused(parts_more ? Refusal::malformed : Refusal::bad_signature);
}

void put_header(const keys::Key& key, Use use, Alg alg, Writer& out) noexcept {
  if (use == Use::state && alg == Alg::hs256) {
    out.put(key.state_header.text.view());
    return;
  }
  std::uint8_t space[keys::max_kid + keys::eddsa_suffix.size()];
  Writer kid{space};
  kid.put(key.kid.view());
  if (alg == Alg::eddsa) kid.put(keys::eddsa_suffix);
  keys::put_header(out, name_of(alg), text_of(kid.written()), typ_of(use));
}

}  // namespace

std::string_view typ_of(Use use) noexcept {
  switch (use) {
  case Use::state: return keys::typ_state;
  case Use::capability: return "latchkey-capability+jwt";
  case Use::principal: return "latchkey-principal+jwt";
  }
  return {};
}

bool split(std::string_view token, Parts& out) noexcept {
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return false;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return false;
  out = {token.substr(0, first), token.substr(first + 1, second - first - 1),
         token.substr(second + 1)};
  return out.signature.find('.') == std::string_view::npos && !out.header.empty() &&
         !out.payload.empty() && !out.signature.empty();
}

Result<void> sign(keys::Ring ring, Use use, Alg alg, std::string_view payload,
                  Writer& out) noexcept {
  LK_CHECK(!ring.empty());
  LK_CHECK(alg == Alg::hs256 || use == Use::state);
  const keys::Key& key = ring.front();
  const std::size_t begin = out.size();

  put_header(key, use, alg, out);
  out.put('.');
  text::base64url_put(out, bytes_of(payload));
  if (out.overflow()) return Errc::output_too_small;
  const Bytes input = out.written().subspan(begin);
  switch (alg) {
  case Alg::hs256: {
    const auto tag = use == Use::state
                         ? crypto::mac(key.state, key.state_header.mac, input.subspan(64))
                         : crypto::mac(mac_key_of(key, use), input);
    out.put('.');
    text::base64url_put(out, tag);
    break;
  }
  case Alg::eddsa: {
    const auto signature = crypto::sign(key.state_sign, input);
    out.put('.');
    text::base64url_put(out, signature);
    break;
  }
  }
  if (out.overflow()) return Errc::output_too_small;
  return {};
}

Verdict open(keys::Ring ring, Use use, std::string_view token) noexcept {
  std::uint8_t space[max_header];
  Signed form;
  form.token = token;
  if (token.size() > max_token) return refused(Refusal::malformed);
  if (const keys::Key* key = find_by_header(ring, use, form)) return open_usual(*key, form);
  if (!split(token, form.parts) || !read_form(use, space, form)) return refused(Refusal::malformed);
  const keys::Key* key = find(ring, form.alg, form.kid);
  if (key == nullptr) return refused(Refusal::unknown_key);

  bool good = false;
  switch (form.alg) {
  case Alg::hs256: {
    const auto input = bytes_of(signing_input(token, form.parts));
    good = crypto::equal(crypto::mac(mac_key_of(*key, use), input), form.mac);
    break;
  }
  case Alg::eddsa: good = is_eddsa_good(key->state_verify, form); break;
  }
  return good ? opened(form) : refused(Refusal::bad_signature);
}

Verdict open(keys::PublicKeys keys, Use use, std::string_view token) noexcept {
  std::uint8_t space[max_header];
  Signed form;
  form.token = token;
  if (token.size() > max_token || !split(token, form.parts) || !read_form(use, space, form)) {
    return refused(Refusal::malformed);
  }
  for (const keys::PublicKey& key : keys) {
    if (form.alg != Alg::eddsa || key.kid.view() != form.kid) continue;
    return is_eddsa_good(key.key, form) ? opened(form) : refused(Refusal::bad_signature);
  }
  return refused(Refusal::unknown_key);
}

}  // namespace latchkey::jws
