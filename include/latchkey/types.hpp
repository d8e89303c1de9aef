/// Strong small types: bytes, text, time.
#pragma once

#include "latchkey/error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace latchkey {

using Bytes = std::span<const std::uint8_t>;
using MutBytes = std::span<std::uint8_t>;

/// Views text as bytes.
[[nodiscard]] inline Bytes bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Views bytes as text; says nothing about their encoding.
[[nodiscard]] inline std::string_view text_of(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A length of time in milliseconds.
struct Millis {
  std::int64_t value{0};
  friend constexpr bool operator==(Millis, Millis) noexcept = default;
};

[[nodiscard]] constexpr Millis seconds(std::int64_t n) noexcept { return {n * 1000}; }

/// A moment: milliseconds since 1970-01-01T00:00:00Z, 0..8.64e15 (the range of an ECMAScript Date).
struct UnixMillis {
  static constexpr std::int64_t max = 8'640'000'000'000'000;

  std::int64_t value{0};

  friend constexpr bool operator==(UnixMillis, UnixMillis) noexcept = default;

  /// Takes a number from the boundary.
  ///
  /// @return the moment, or `time_invalid` for NaN, infinities, fractions and anything out of
  /// range.
  [[nodiscard]] static constexpr Result<UnixMillis> from_f64(double ms) noexcept {
    if (!(ms >= 0 && ms <= static_cast<double>(max))) return Errc::time_invalid;
    const auto whole = static_cast<std::int64_t>(ms);
    if (static_cast<double>(whole) != ms) return Errc::time_invalid;
    return UnixMillis{whole};
  }
  [[nodiscard]] static constexpr UnixMillis from_seconds(std::int64_t s) noexcept {
    return {s * 1000};
  }
  /// Whole seconds, rounded down: the NumericDate of RFC 7519.
  [[nodiscard]] constexpr std::int64_t to_seconds() const noexcept { return value / 1000; }

  /// The moment `d` later, saturating at both ends of the range.
  [[nodiscard]] constexpr UnixMillis plus(Millis d) const noexcept {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(value, d.value, &sum)) return {d.value < 0 ? 0 : max};
    return {sum < 0 ? 0 : sum > max ? max : sum};
  }
  /// How long it is until `other`: negative where that lies before, and saturating.
  [[nodiscard]] constexpr Millis until(UnixMillis other) const noexcept {
    std::int64_t difference = 0;
    if (!__builtin_sub_overflow(other.value, value, &difference)) return {difference};
    return {value < 0 ? INT64_MAX : INT64_MIN};
  }
};

/// Text of at most `N` bytes that owns its bytes; trivially copyable.
template <std::size_t N> class SmallText {
  static_assert(N <= 0xffff);

public:
  static constexpr std::size_t capacity = N;

  /// Copies `text`; it must fit.
  constexpr void assign(std::string_view text) noexcept {
    LK_CHECK(text.size() <= N);
    for (std::size_t i = 0; i < text.size(); ++i) data_[i] = text[i];
    size_ = static_cast<std::uint16_t>(text.size());
  }
  [[nodiscard]] constexpr std::string_view view() const noexcept {
    LK_CHECK(size_ <= N);
    return {data_, size_};
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }

private:
  char data_[N]{};
  std::uint16_t size_{0};
};

/// Appends into space the caller owns and remembers when it did not fit.
class Writer {
public:
  explicit constexpr Writer(MutBytes out) noexcept : out_{out} {}

  void put(std::uint8_t byte) noexcept {
    if (used_ < out_.size()) {
      out_[used_++] = byte;
    } else {
      overflow_ = true;
    }
  }
  // One copy of this for all its callers: text is put together everywhere.
  [[gnu::noinline]] void put(Bytes bytes) noexcept {
    if (bytes.size() > out_.size() - used_) {
      overflow_ = true;
      return;
    }
    if (!bytes.empty()) __builtin_memcpy(out_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }
  void put(std::string_view text) noexcept { put(bytes_of(text)); }

  /// Claims `n` bytes to be filled in place; empty when they do not fit.
  [[nodiscard]] MutBytes claim(std::size_t n) noexcept {
    if (n > out_.size() - used_) {
      overflow_ = true;
      return {};
    }
    const auto place = out_.subspan(used_, n);
    used_ += n;
    return place;
  }
  [[nodiscard]] bool overflow() const noexcept { return overflow_; }
  [[nodiscard]] std::size_t size() const noexcept { return used_; }
  [[nodiscard]] Bytes written() const noexcept { return out_.first(used_); }

private:
  MutBytes out_;
  std::size_t used_{0};
  bool overflow_{false};
};

}  // namespace latchkey
