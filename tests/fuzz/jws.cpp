// A compact token from outside; and a header that somebody who has the key has signed.
#include "fuzz.hpp"

#include "latchkey/jws.hpp"
#include "latchkey/principal.hpp"
#include "latchkey/seal.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const std::uint8_t mode = input.byte();
  const keys::Key& key = ring()[0];
  const std::pair<jws::Use, const crypto::MacKey*> uses[] = {
      {jws::Use::state, &key.state},
      {jws::Use::capability, &key.capability},
      {jws::Use::principal, &key.principal}};
  const auto& [made, mac_key] = uses[mode % 3];
  const bool sign = (mode & 0x80) != 0;
  std::string token;
  if (sign) {
    const Octets header = input.text();
    token = signed_token(*mac_key, header, input.rest());
  } else {
    const Octets raw = input.rest();
    token.assign(raw.begin(), raw.end());
  }
  const Octets exact(token.begin(), token.end());
  jws::Parts parts;
  if (jws::split(text_of(exact), parts)) {
    LK_CHECK(parts.header.size() + parts.payload.size() + parts.signature.size() + 2 ==
             exact.size());
  }
  for (const auto& [use, unused] : uses) {
    const auto verdict = jws::open(ring(), use, text_of(exact));
    if (!verdict.good) continue;
    LK_CHECK(!sign || use == made);
    LK_CHECK(verdict.opened.payload == parts.payload);
    LK_CHECK(verdict.opened.alg == jws::Alg::hs256 || use == jws::Use::state);
    LK_CHECK(exact.size() <= jws::max_token);
  }
  const auto by_public = jws::open(public_keys(), jws::Use::state, text_of(exact));
  LK_CHECK(!by_public.good || by_public.opened.alg == jws::Alg::eddsa);

  Octets scratch(3'072);
  const auto who =
      principal::verify(ring(), text_of(exact), UnixMillis::from_seconds(1'700'000'000), scratch);
  if (who) {
    LK_CHECK(text::is_plain(who->subject, principal::max_claim));
    LK_CHECK(who->role.empty() || !who->org.empty());
    LK_CHECK(who->device.empty() || who->kind == principal::Kind::device);
  }
  Octets plain(exact.size());
  const std::string_view context[] = {"row"};
  static_cast<void>(seal::open(ring(), text_of(exact), context, plain));
  return 0;
}
