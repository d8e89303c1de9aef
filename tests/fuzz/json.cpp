// A JSON text from outside: what is read can be written and reads back the same.
#include "fuzz.hpp"

#include "latchkey/json.hpp"

#include <algorithm>

using namespace latchkey;
using namespace latchkey::fuzz;
using json::Kind;

namespace {

void put(Writer& out, const json::Value& value) {
  const json::Node& node = value.node();
  LK_CHECK(text::is_utf8(bytes_of(node.name)) && text::is_utf8(bytes_of(node.text)));
  switch (node.kind) {
  case Kind::null: out.put("null"); return;
  case Kind::boolean: out.put(node.boolean ? "true" : "false"); return;
  case Kind::integer:
  case Kind::number: out.put(node.text); return;
  case Kind::text: json::put_string(out, node.text); return;
  case Kind::array:
  case Kind::object: break;
  }
  const bool is_object = node.kind == Kind::object;
  out.put(is_object ? '{' : '[');
  bool first = true;
  for (auto child = value.first(); child.present(); child = value.next(child)) {
    if (!first) out.put(',');
    first = false;
    if (is_object) {
      const auto found = value.member(child.node().name);
      LK_CHECK(found.present() && &found.node() == &child.node());
      json::put_string(out, child.node().name);
      out.put(':');
    }
    put(out, child);
  }
  out.put(is_object ? '}' : ']');
}

std::string written(const json::Value& value, std::size_t size) {
  // One byte of text may take six when it is written.
  Octets space(size * 6 + 16);
  Writer out{space};
  put(out, value);
  LK_CHECK(!out.overflow());
  return {out.written().begin(), out.written().end()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const std::size_t room = input.byte() % 64;
  Octets text = input.rest();
  const Octets untouched = text;
  Octets same = text;
  std::vector<json::Node> few(room);
  std::vector<json::Node> many(512);
  const bool fits = static_cast<bool>(json::parse(same, few));
  const auto root = json::parse(text, many);
  LK_CHECK(root || root.error() == Errc::json_invalid || root.error() == Errc::utf8_invalid);
  LK_CHECK(!fits || root);
  if (!root) return 0;
  LK_CHECK(fits == (root->node().end <= room));

  // Without escapes, quotation marks come in pairs.
  const auto count = [&](char c) { return std::count(untouched.begin(), untouched.end(), c); };
  LK_CHECK(count('\\') > 0 || count('"') % 2 == 0);

  const std::string once = written(*root, text.size());
  Octets again(once.begin(), once.end());
  const auto second = json::parse(again, few);
  LK_CHECK(static_cast<bool>(second) == fits);
  if (second) LK_CHECK(written(*second, text.size()) == once);
  return 0;
}
