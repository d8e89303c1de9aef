/// Randomness from a seed, the same on every machine: SplitMix64.
#pragma once

#include <cstdint>

namespace latchkey::sim {

/// Spreads every bit of `x` over all bits.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class Random {
public:
  explicit constexpr Random(std::uint64_t seed) noexcept
      : state_{mix(seed + 0x632be59bd9b4e019ULL)} {}

  [[nodiscard]] constexpr std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;
    return mix(state_);
  }
  /// One of 0..n-1; `n` is below 2^32 and not 0.
  [[nodiscard]] constexpr std::uint32_t below(std::uint64_t n) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32);
  }
  /// One of first..last; they are less than 2^32 apart.
  [[nodiscard]] constexpr std::int64_t between(std::int64_t first, std::int64_t last) noexcept {
    return first + below(static_cast<std::uint64_t>(last - first) + 1);
  }
  /// True `n` times in 10,000.
  [[nodiscard]] constexpr bool chance(std::uint32_t n) noexcept {
    return n > 0 && below(10'000) < n;
  }

private:
  std::uint64_t state_;
};

}  // namespace latchkey::sim
