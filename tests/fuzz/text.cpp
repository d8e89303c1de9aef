// Text forms with one spelling: what is read, written again, is the same text.
#include "fuzz.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const Octets text = input.rest();
  Octets out(text.size());
  const auto decoded = text::base64url_decode(text_of(text), out);
  if (decoded) {
    LK_CHECK(base64url(Bytes{out}.first(*decoded)) == text_of(text));
    Octets exact(*decoded);
    LK_CHECK(text::base64url_decode(text_of(text), exact));
    if (*decoded > 0) {
      Octets small(*decoded - 1);
      LK_CHECK(text::base64url_decode(text_of(text), small).error() == Errc::output_too_small);
    }
  } else {
    LK_CHECK(decoded.error() == Errc::base64_invalid && decoded.at() <= text.size());
  }
  const std::string encoded = base64url(text);
  const auto back = text::base64url_decode(encoded, out);
  LK_CHECK(back && *back == text.size() && out == text);

  Octets key(32);
  if (text::decode_key32(text_of(text), key)) LK_CHECK(text.size() >= 43 && text.size() <= 64);
  if (text::is_ascii(text)) LK_CHECK(text::is_utf8(text));
  for (const std::size_t max : {std::size_t{0}, text.size(), std::size_t{255}}) {
    if (text::is_plain(text_of(text), max))
      LK_CHECK(text::is_utf8(text) && !text.empty() && text.size() <= max);
  }

  std::array<keys::Key, keys::max_keys> ring;
  const auto count = keys::parse(text_of(text), ring);
  LK_CHECK(!count || (*count >= 1 && *count <= keys::max_keys));
  Octets json = text;
  std::array<keys::PublicKey, 4> found;
  const auto public_count = keys::parse_jwks(json, found);
  LK_CHECK(!public_count || (*public_count >= 1 && *public_count <= found.size()));
  return 0;
}
