// A token from outside; and a payload that somebody who has the key has signed.
#include "fuzz.hpp"

#include "latchkey/return_to.hpp"
#include "latchkey/state.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

namespace {

constexpr std::int64_t now_s = 1'700'000'000;

void check_text(std::string_view text, Bytes scratch) {
  LK_CHECK(text::is_plain(text, state::max_claim) && is_inside(text, scratch));
}

void check(const state::State& s, const state::Expected& expected, Bytes scratch) {
  for (const auto text : {s.issuer, s.audience, s.flow, s.provider, s.subject, s.owner_id}) {
    check_text(text, scratch);
  }
  if (!s.app.empty()) check_text(s.app, scratch);
  LK_CHECK(s.return_to.empty() || is_return_to(s.return_to));
  LK_CHECK(s.issuer == expected.issuer && s.audience == expected.audience);
  std::uint8_t nonce[state::nonce_size];
  const auto size = text::base64url_decode(s.nonce, nonce);
  LK_CHECK(size && *size == sizeof nonce);
  const std::int64_t life = s.expires_at.to_seconds() - s.issued_at.to_seconds();
  LK_CHECK(life >= 1 && life <= 3'600);
  LK_CHECK(s.issued_at.to_seconds() <= now_s + 60 && s.expires_at.to_seconds() >= now_s);
  LK_CHECK(s.rfp.empty() == expected.binding.empty());
  const auto verifier = state::code_verifier(ring(), s.kid, s.nonce);
  LK_CHECK(verifier && verifier->view().size() == 43);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const std::uint8_t mode = input.byte();
  const Octets cookie(32, 0xc0);
  state::Expected expected;
  expected.now = UnixMillis::from_seconds(now_s);
  expected.issuer = "https://app.example";
  expected.audience = "https://app.example/cb";
  if ((mode & 2) != 0) expected.binding = cookie;

  std::string token;
  if ((mode & 1) != 0) {
    const Octets header = input.text();
    token = signed_token(ring()[0].state, header, input.rest());
  } else {
    const Octets raw = input.rest();
    token.assign(raw.begin(), raw.end());
  }
  const Octets exact(token.begin(), token.end());
  Octets scratch(3'072);
  const auto by_ring = state::verify(ring(), text_of(exact), expected, scratch);
  if (by_ring) check(*by_ring, expected, scratch);
  const auto by_public = state::verify(public_keys(), text_of(exact), expected, scratch);
  if (by_public) {
    LK_CHECK(by_public->alg == state::Alg::eddsa);
    check(*by_public, expected, scratch);
  }
  static_cast<void>(state::peek(text_of(exact), scratch));
  static_cast<void>(state::code_verifier(ring(), "k1", text_of(exact)));
  static_cast<void>(state::code_verifier(ring(), text_of(exact), "AAAAAAAAAAAAAAAAAAAAAA"));
  return 0;
}
