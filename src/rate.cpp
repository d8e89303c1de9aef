#include "latchkey/rate.hpp"

#include "latchkey/crypto.hpp"
#include "latchkey/url.hpp"

#include <algorithm>

namespace latchkey::retention {
namespace {

constexpr char hex_digits[] = "0123456789abcdef";

}  // namespace

Fingerprint fingerprint(std::span<const std::string_view> parts) noexcept {
  // A hash of hashes: where one part ends cannot be moved.
  crypto::Sha256 sum{};
  for (const std::string_view part : parts) {
    sum = crypto::sha256(sum, crypto::sha256(bytes_of(part)));
  }
  char text[Fingerprint::capacity];
  for (std::size_t i = 0; i < sizeof text; ++i) {
    text[i] = hex_digits[i % 2 == 0 ? sum[i / 2] >> 4 : sum[i / 2] & 15];
  }
  Fingerprint out;
  out.assign({text, sizeof text});
  return out;
}

Dedupe dedupe(std::optional<UnixMillis> forwarded_at, std::uint32_t entries, UnixMillis now,
              Millis window, std::uint32_t max_entries) noexcept {
  if (forwarded_at) {
    const Millis age = forwarded_at->until(now);
    if (age.value < 0) return {true, Seen::clock_moved, 0};
    if (age.value >= window.value) return {true, Seen::window_over, 0};
    return {false, Seen::within_window, 0};
  }
  const std::uint32_t room = std::max(max_entries, 1U) - 1;
  return {true, Seen::first, entries > room ? entries - room : 0};
}

Rate rate_limit(const RateWindow& stored, bool works, const RateRules& rules,
                UnixMillis now) noexcept {
  if (!works) return {true, Rated::not_charged, stored, {}};
  RateWindow window = stored;
  if (window.started_at.value > now.value) window.started_at = now;
  const Millis age = window.started_at.until(now);
  const bool begins = stored.count == 0 || age.value >= rules.window.value;
  if (begins) window = {now, 0};
  if (window.count >= rules.limit) {
    const std::int64_t left = rules.window.value - (begins ? 0 : age.value);
    return {false, Rated::limited, window, {std::max(left, std::int64_t{1})}};
  }
  ++window.count;
  return {true, begins ? Rated::new_window : Rated::within_limit, window, {}};
}

Bucket bucket(std::string_view address) noexcept {
  Bucket out;
  const auto groups = url::parse_address(address);
  if (!groups) {
    out.assign("anonymous");
    return out;
  }
  char text[Bucket::capacity];
  std::size_t size = 0;
  const auto& g = *groups;
  const bool v4 =
      std::all_of(g.begin(), g.begin() + 5, [](auto v) { return v == 0; }) && g[5] == 0xffff;
  if (v4) {
    for (int shift = 0; shift < 4; ++shift) {
      const unsigned group = g[shift < 2 ? 6 : 7];
      const unsigned octet = group >> (shift % 2 == 0 ? 8U : 0U) & 0xffU;
      if (shift > 0) text[size++] = '.';
      if (octet >= 100) text[size++] = hex_digits[octet / 100];
      if (octet >= 10) text[size++] = hex_digits[octet / 10 % 10];
      text[size++] = hex_digits[octet % 10];
    }
  } else {
    for (std::size_t digit = 0; digit < 16; ++digit) {
      text[size++] = hex_digits[g[digit / 4] >> (12 - 4 * (digit % 4)) & 15];
    }
    for (const char c : std::string_view{"/64"}) text[size++] = c;
  }
  out.assign({text, size});
  return out;
}

}  // namespace latchkey::retention
