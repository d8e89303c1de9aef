#include "latchkey/jws.hpp"

#include "latchkey/json.hpp"
#include "latchkey/text.hpp"

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

// Takes `literal` and then everything up to the next quotation mark. A value with an escape in it is
// left to the JSON reader.
bool take(std::string_view& rest, std::string_view literal, std::string_view& value) noexcept {
  if (!rest.starts_with(literal)) return false;
  rest.remove_prefix(literal.size());
  const std::size_t quote = rest.find('"');
  if (quote == std::string_view::npos) return false;
  value = rest.substr(0, quote);
  rest.remove_prefix(quote);
  return value.find('\\') == std::string_view::npos;
}

// The spelling that we write, and nearly every other library too.
bool read_usual_header(std::string_view json, Header& out) noexcept {
  return take(json, "{\"alg\":\"", out.alg) && take(json, "\",\"kid\":\"", out.kid) &&
         take(json, "\",\"typ\":\"", out.typ) && json == "\"}";
}

// Any other spelling of an object with exactly our three members.
bool read_any_header(MutBytes json, Header& out) noexcept {
  json::Node nodes[4];
  const auto root = json::parse(json, nodes);
  if (!root || !root->is(json::Kind::object)) return false;
  std::size_t members = 0;
  for (auto m = root->first(); m.present(); m = root->next(m)) ++members;
  out = {root->member("alg").text(), root->member("kid").text(), root->member("typ").text()};
  return members == 3;
}

bool read_header(std::string_view encoded, MutBytes space, Header& out) noexcept {
  const auto size = text::base64url_decode(encoded, space);
  if (!size) return false;
  const MutBytes json = space.first(*size);
  return read_usual_header(text_of(json), out) || read_any_header(json, out);
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

bool is_eddsa_good(const crypto::Ed25519Public& key, std::string_view token, const Parts& parts,
                   const crypto::Ed25519Signature& signature) noexcept {
  return crypto::verify(key, bytes_of(signing_input(token, parts)), signature);
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

Verdict opened(const Signed& form) noexcept {
  Verdict verdict;
  verdict.opened.payload = form.parts.payload;
  verdict.opened.kid.assign(form.kid);
  verdict.opened.alg = form.alg;
  verdict.good = true;
  return verdict;
}

bool read_form(std::string_view token, Use use, MutBytes space, Signed& out) noexcept {
  Header header;
  out.token = token;
  if (token.size() > max_token || !split(token, out.parts) ||
      !read_header(out.parts.header, space, header) || header.typ != typ_of(use) ||
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

}  // namespace

std::string_view typ_of(Use use) noexcept {
  switch (use) {
  case Use::state: return "oauth-state+jwt";
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

  std::uint8_t space[max_header];
  Writer header{space};
  header.put("{\"alg\":\"");
  header.put(name_of(alg));
  header.put("\",\"kid\":\"");
  header.put(key.kid.view());
  if (alg == Alg::eddsa) header.put(keys::eddsa_suffix);
  header.put("\",\"typ\":\"");
  header.put(typ_of(use));
  header.put("\"}");
  LK_CHECK(!header.overflow());

  text::base64url_put(out, header.written());
  out.put('.');
  text::base64url_put(out, bytes_of(payload));
  if (out.overflow()) return Errc::output_too_small;
  const Bytes input = out.written().subspan(begin);
  switch (alg) {
  case Alg::hs256: {
    const auto tag = crypto::mac(mac_key_of(key, use), input);
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
  if (!read_form(token, use, space, form)) return refused(Refusal::malformed);
  const keys::Key* key = find(ring, form.alg, form.kid);
  if (key == nullptr) return refused(Refusal::unknown_key);

  bool good = false;
  switch (form.alg) {
  case Alg::hs256: {
    const auto input = bytes_of(signing_input(token, form.parts));
    good = crypto::equal(crypto::mac(mac_key_of(*key, use), input), form.mac);
    break;
  }
  case Alg::eddsa:
    good = is_eddsa_good(key->state_sign.public_key(), token, form.parts, form.eddsa);
    break;
  }
  if (!good) return refused(Refusal::bad_signature);
  return opened(form);
}

Verdict open(keys::PublicKeys keys, Use use, std::string_view token) noexcept {
  std::uint8_t space[max_header];
  Signed form;
  if (!read_form(token, use, space, form)) return refused(Refusal::malformed);
  for (const keys::PublicKey& key : keys) {
    if (form.alg != Alg::eddsa || key.kid.view() != form.kid) continue;
    if (!is_eddsa_good(key.key, token, form.parts, form.eddsa)) {
      return refused(Refusal::bad_signature);
    }
    return opened(form);
  }
  return refused(Refusal::unknown_key);
}

}  // namespace latchkey::jws
