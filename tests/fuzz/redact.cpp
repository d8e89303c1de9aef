// A text from anywhere, and a token in it.
#include "fuzz.hpp"

#include "latchkey/redact.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

namespace {

Octets redacted(Bytes text) {
  Octets out(redact::max_size(text.size()));
  const auto size = redact::redact(text_of(text), out);
  LK_CHECK(size && *size <= out.size());
  out.resize(*size);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Octets text(data, data + size);
  const Octets once = redacted(text);
  LK_CHECK(redacted(once) == once);
  if (!once.empty()) {
    Octets less(once.size() - 1);
    LK_CHECK(redact::redact(text_of(text), less).error() == Errc::output_too_small);
  }

  // Whatever stands around it, no part of a token survives.
  constexpr std::string_view canary = "A9zK3mQ7xW2vN5cR8tB4yH6j";
  Input input{data, size};
  Octets around = input.text();
  for (const char c : std::string_view{" ghp_A9zK3mQ7xW2vN5cR8tB4yH6jL1pD0sF "}) {
    around.push_back(static_cast<std::uint8_t>(c));
  }
  const Octets rest = input.rest();
  around.insert(around.end(), rest.begin(), rest.end());
  const Octets clean = redacted(around);
  for (std::size_t i = 0; i + 8 <= canary.size(); ++i) {
    const auto window = canary.substr(i, 8);
    const bool is_given = text_of(text).find(window) != std::string_view::npos;
    LK_CHECK(is_given || text_of(clean).find(window) == std::string_view::npos);
  }
  return 0;
}
