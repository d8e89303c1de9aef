// A URL and a host from outside.
#include "fuzz.hpp"

#include "latchkey/guard.hpp"
#include "latchkey/url.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const Octets first = input.text();
  const Octets second = input.rest();
  const auto text = text_of(first);
  static_cast<void>(url::is_loopback_host(text));
  const auto parsed = url::parse(text);
  if (parsed) {
    LK_CHECK(text.size() <= url::max_url && text::is_ascii(first));
    LK_CHECK(text.starts_with(parsed->origin));
    LK_CHECK(parsed->origin.size() + parsed->path.size() <= text.size());
    LK_CHECK(!parsed->host.empty() && parsed->port != 0);
    LK_CHECK(parsed->has_query == (text.find('?') != std::string_view::npos));
    const auto again = url::parse(parsed->origin);
    LK_CHECK(again && again->host == parsed->host && again->port == parsed->port);
  } else {
    LK_CHECK(parsed.at() <= text.size());
  }
  for (const bool dev : {false, true}) {
    const bool allowed = guard::outbound(text, text_of(second), 0, dev);
    LK_CHECK(!allowed || parsed);
    LK_CHECK(!allowed || parsed->https || (dev && url::is_loopback_host(parsed->host)));
    LK_CHECK(!guard::outbound(text, text_of(second), guard::max_hops + 1, dev));
  }
  guard::RequestFacts facts;
  facts.method = "POST";
  facts.host = text;
  facts.origin = text_of(second);
  facts.own_origin = "http://localhost:8787";
  facts.content_type = "application/json";
  const auto verdict = guard::request(facts);
  LK_CHECK(verdict.ok == (verdict.code == Errc::ok) && verdict.ok == (verdict.status == 0));
  return 0;
}
