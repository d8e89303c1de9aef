// Webhooks and redaction: what only the edge module exports.

#include "arena.hpp"

#include "latchkey/redact.hpp"
#include "latchkey/webhook.hpp"

namespace latchkey::abi {
namespace {

Errc reply_verdict(const Result<void>& verified) noexcept {
  if (!verified && verified.error() != Errc::webhook_invalid) return fail(verified.error());
  reply(FlagReply{{arena_size, 0}, verified ? 1U : 0U, 0});
  return Errc::ok;
}

void put_u16(Writer& out, std::size_t number) noexcept {
  LK_CHECK(number <= 0xffff);
  out.put(static_cast<std::uint8_t>(number & 0xff));
  out.put(static_cast<std::uint8_t>(number >> 8));
}

bool read_stream(Bytes bytes, webhook::Stream& out) noexcept {
  if (bytes.size() != sizeof out) return false;
  std::memcpy(&out, bytes.data(), sizeof out);
  // A count of bits that libsodium could have left: whole bytes, the key's block included.
  return out.mac.bits % 8 == 0;
}

}  // namespace

LK_EXPORT(lk_redact)(std::uint32_t text, std::uint32_t text_len, std::uint32_t free) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const auto from = inputs.text(text, text_len);
    const auto space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    // Never a part of it: longer texts are refused, so that the result of each always fits.
    if (from.size() > redact::max_text) return fail(Errc::output_too_small);
    const auto size = redact::redact(from, space);
    if (!size) return fail(size.error());
    return reply_bytes(space.first(*size), end_of(space.first(*size)));
  });
}

LK_EXPORT(lk_webhook_headers)
(std::uint32_t profile, std::uint32_t profile_len, std::uint32_t free) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    const auto* receiver = webhook::find(inputs.text(profile, profile_len));
    Writer out{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (receiver == nullptr) return fail(Errc::provider_unknown);
    for (const std::string_view header : {receiver->signature_header, receiver->timestamp_header,
                                          receiver->id_header, receiver->event_header}) {
      out.put(header);
      out.put(std::uint8_t{'\n'});
    }
    if (out.overflow()) return fail(Errc::output_too_small);
    return reply_bytes(out.written(), end_of(out.written()));
  });
}

LK_EXPORT(lk_webhook_verify)
(std::uint32_t profile, std::uint32_t profile_len, std::uint32_t secret, std::uint32_t secret_len,
 std::uint32_t signature, std::uint32_t signature_len, std::uint32_t timestamp,
 std::uint32_t timestamp_len, std::uint32_t id, std::uint32_t id_len, std::uint32_t body,
 std::uint32_t body_len, double now_ms) noexcept {
  return call<8'192>([=]() noexcept {
    Inputs inputs;
    const auto* receiver = webhook::find(inputs.text(profile, profile_len));
    const Bytes key = inputs.bytes(secret, secret_len);
    const webhook::Headers headers{inputs.text(signature, signature_len),
                                   inputs.text(timestamp, timestamp_len), inputs.text(id, id_len)};
    const Bytes bytes = inputs.bytes(body, body_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    if (receiver == nullptr) return fail(Errc::provider_unknown);
    return reply_verdict(webhook::verify(*receiver, key, headers, *now, bytes));
  });
}

LK_EXPORT(lk_webhook_begin)
(std::uint32_t profile, std::uint32_t profile_len, std::uint32_t secret, std::uint32_t secret_len,
 std::uint32_t timestamp, std::uint32_t timestamp_len, std::uint32_t id, std::uint32_t id_len,
 std::uint32_t free) noexcept {
  return call<8'192>([=]() noexcept {
    Inputs inputs;
    const auto* receiver = webhook::find(inputs.text(profile, profile_len));
    const Bytes key = inputs.bytes(secret, secret_len);
    const webhook::Headers headers{
        {}, inputs.text(timestamp, timestamp_len), inputs.text(id, id_len)};
    Writer out{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    if (receiver == nullptr) return fail(Errc::provider_unknown);
    const auto stream = webhook::begin(*receiver, key, headers);
    if (!stream) return fail(stream.error());
    out.put({reinterpret_cast<const std::uint8_t*>(&*stream), sizeof *stream});
    if (out.overflow()) return fail(Errc::output_too_small);
    return reply_bytes(out.written(), end_of(out.written()));
  });
}

LK_EXPORT(lk_webhook_update)
(std::uint32_t stream, std::uint32_t stream_len, std::uint32_t piece,
 std::uint32_t piece_len) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const MutBytes place = inputs.bytes(stream, stream_len);
    const Bytes bytes = inputs.bytes(piece, piece_len);
    webhook::Stream known;
    if (!inputs.good() || !read_stream(place, known)) return fail(Errc::slice_invalid);
    webhook::update(known, bytes);
    std::memcpy(place.data(), &known, sizeof known);
    return reply_bytes(place, arena_size);
  });
}

LK_EXPORT(lk_webhook_finish)
(std::uint32_t stream, std::uint32_t stream_len, std::uint32_t signature,
 std::uint32_t signature_len, double now_ms) noexcept {
  return call<4'096>([=]() noexcept {
    Inputs inputs;
    const Bytes place = inputs.bytes(stream, stream_len);
    const auto header = inputs.text(signature, signature_len);
    webhook::Stream known;
    if (!inputs.good() || !read_stream(place, known)) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    return reply_verdict(webhook::finish(known, header, *now));
  });
}

LK_EXPORT(lk_webhook_read)
(std::uint32_t profile, std::uint32_t profile_len, std::uint32_t event, std::uint32_t event_len,
 std::uint32_t delivery, std::uint32_t delivery_len, std::uint32_t body, std::uint32_t body_len,
 double now_ms, std::uint32_t free) noexcept {
  return call<12'288>([=]() noexcept {
    Inputs inputs;
    const auto* receiver = webhook::find(inputs.text(profile, profile_len));
    const auto what = inputs.text(event, event_len);
    const auto id = inputs.text(delivery, delivery_len);
    const MutBytes bytes = inputs.bytes(body, body_len);
    const MutBytes space = inputs.free_from(free);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto now = UnixMillis::from_f64(now_ms);
    if (!now) return fail(Errc::time_invalid);
    if (receiver == nullptr) return fail(Errc::provider_unknown);
    // As many values as there is room for: the longer the body, the fewer.
    constexpr std::size_t max_nodes = 4'096;
    const std::size_t count = std::min(space.size() / sizeof(json::Node), max_nodes);
    const std::span nodes{reinterpret_cast<json::Node*>(space.data()), count};
    webhook::Subject subjects[webhook::max_subjects];
    const auto news = webhook::read(*receiver, what, id, bytes, *now, nodes, subjects);
    if (!news) return fail(news.error());

    // The nodes are done with; their room takes the result.
    Writer out{space};
    put_u16(out, news->subjects);
    for (std::size_t i = 0; i < news->subjects; ++i) {
      put_u16(out, subjects[i].id.size() + 1);
      out.put(static_cast<std::uint8_t>('0' + static_cast<int>(subjects[i].tokens)));
      out.put(subjects[i].id);
    }
    const std::size_t list = out.size();
    out.put(news->key.view());
    if (out.overflow()) return fail(Errc::output_too_small);
    WebhookReply answer{};
    answer.head = {arena_size, 0};
    answer.at_ms = news->has_at ? static_cast<double>(news->at.value) : -1.0;
    answer.until_ms = static_cast<double>(news->until.value);
    answer.subjects = slice_of(out.written().first(list));
    answer.key = slice_of(out.written().subspan(list));
    answer.change = static_cast<std::uint8_t>(news->change);
    answer.reach = static_cast<std::uint8_t>(news->reach);
    reply(answer);
    return Errc::ok;
  });
}

}  // namespace latchkey::abi
