// A delivery: headers and a body that anybody can send.
#include "fuzz.hpp"

#include "latchkey/webhook.hpp"

using namespace latchkey;
using namespace latchkey::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view profiles[] = {"generic", "github-app", "github-oauth", "gitlab",
                                           "linear",  "shopify",    "slack",        "zoom"};
  constexpr UnixMillis now{1'767'225'600'000};
  Input input{data, size};
  const auto* receiver = webhook::find(profiles[input.byte() % std::size(profiles)]);
  LK_CHECK(receiver != nullptr);
  const std::uint8_t cut = input.byte();
  const Octets secret = input.text();
  const Octets signature = input.text();
  const Octets timestamp = input.text();
  const Octets id = input.text();
  const Octets event = input.text();
  Octets body = input.rest();

  const webhook::Headers headers{text_of(signature), text_of(timestamp), text_of(id)};
  const auto whole = webhook::verify(*receiver, secret, headers, now, body);
  const auto begun = webhook::begin(*receiver, secret, headers);
  LK_CHECK(begun || begun.error() == whole.error());
  if (begun) {
    auto stream = *begun;
    const std::size_t first = body.empty() ? 0 : cut % body.size();
    webhook::update(stream, Bytes{body}.first(first));
    webhook::update(stream, Bytes{body}.subspan(first));
    LK_CHECK(webhook::finish(stream, headers.signature, now).error() == whole.error());
  }

  json::Node nodes[512];
  webhook::Subject subjects[16];
  const Octets before = body;
  const auto news =
      webhook::read(*receiver, text_of(event), headers.id, body, now, nodes, subjects);
  if (!news) {
    LK_CHECK(news.error() == Errc::webhook_unreadable);
    return 0;
  }
  LK_CHECK(news->subjects <= std::size(subjects));
  LK_CHECK((news->change == webhook::Change::none) == (news->subjects == 0));
  LK_CHECK(news->at.value >= 0 && news->at.value <= now.value);
  LK_CHECK(news->key.view().size() == 43);
  for (std::size_t i = 0; i < news->subjects; ++i) {
    LK_CHECK(!subjects[i].id.empty() && is_inside(subjects[i].id, body));
  }
  // The same delivery says the same.
  body = before;
  const auto again =
      webhook::read(*receiver, text_of(event), headers.id, body, now, nodes, subjects);
  LK_CHECK(again && again->key.view() == news->key.view() && again->change == news->change);
  return 0;
}
