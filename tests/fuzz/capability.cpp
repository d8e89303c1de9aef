// A capability that somebody hands in, and claims that a holder of the key could have sealed.
#include "fuzz.hpp"

#include "latchkey/capability.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr UnixMillis now{1'767'225'600'000};
  Input input{data, size};
  const bool sealed = (input.byte() & 1) != 0;
  const bool bound = (input.byte() & 1) != 0;
  const Octets claims = input.text();
  const Octets rest = input.rest();
  std::string text(rest.begin(), rest.end());
  if (sealed) {
    text = (bound ? "lkc2.k1." : "lkc1.k1.") + base64url(claims);
    auto tag = crypto::mac(ring().front().capability, bytes_of(text));
    if (!rest.empty()) {
      const std::string piece = base64url(rest);
      tag = crypto::mac(crypto::mac_key(tag), bytes_of(piece));
      text += "." + piece;
    }
    text += "." + base64url(tag);
  }
  Octets scratch(text.size());
  const capability::Expected expected{now, "box", 1};
  const auto read = capability::verify(ring(), text, expected, scratch);
  // Nobody guesses a tag.
  LK_CHECK(sealed || !read);
  if (read) {
    LK_CHECK(read->can >= 1 && read->can <= capability::can_all && read->epoch >= 1);
    LK_CHECK(read->expires_at.value > now.value);
    LK_CHECK(read->container.empty() || read->container == "box");
  }
  Octets space(capability::max_text + 64);
  Writer out{space};
  const auto narrowed =
      capability::attenuate(text, {{}, {}, capability::can_fetch, {}, false}, out);
  if (!narrowed) return 0;
  Octets again(out.size());
  const auto less = capability::verify(ring(), text_of(out.written()), expected, again);
  LK_CHECK(!less || (read && less->can == (read->can & capability::can_fetch)));
  return 0;
}
