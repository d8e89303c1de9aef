// A return path from outside, with a base.
#include "fuzz.hpp"

#include "latchkey/return_to.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const Octets base = input.text();
  const Octets text = input.rest();
  Octets out(max_return_to);
  for (const auto within : {std::string_view{}, text_of(base)}) {
    const auto normal = return_to(text_of(text), within, out);
    LK_CHECK(normal || normal.error() == Errc::return_to_invalid);
    if (!normal) continue;
    LK_CHECK(!normal->empty() && normal->size() <= max_return_to && normal->front() == '/');
    LK_CHECK(normal->size() < 2 || ((*normal)[1] != '/' && (*normal)[1] != '\\'));
    LK_CHECK(text::is_ascii(bytes_of(*normal)) && text::is_plain(*normal, max_return_to));
    LK_CHECK(normal->starts_with(within) && is_inside(*normal, out));
    LK_CHECK(is_return_to(*normal));
  }
  return 0;
}
