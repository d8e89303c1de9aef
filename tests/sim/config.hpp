/// The world of one seed: who takes part, what is known, and what goes wrong how often.
#pragma once

#include "counts.hpp"
#include "provider.hpp"
#include "random.hpp"

namespace latchkey::sim {

enum class StoreKind : std::uint8_t { durable_object, d1, postgres };

/// What persons and administrators do besides using a token; each a weight of 10,000 per burst.
enum class Op : std::uint8_t {
  login,
  revoke,
  disconnect,
  erase,
  withdraw,  ///< the person revokes at the provider, which may send a webhook
  rotate_keys,
  count_,
};
inline constexpr std::size_t op_count = static_cast<std::size_t>(Op::count_);

struct Config {
  Facts facts{};
  refresh::Traits traits{};  ///< what is known of `facts`
  refresh::Policy policy{};
  StoreKind store{StoreKind::durable_object};
  unsigned isolates{1};
  unsigned connections{1};
  unsigned callers{4};  ///< at most, in one burst
  unsigned bursts{6};
  Time base{0};  ///< the date of the beginning
  Time skew{0};  ///< of an isolate's clock, at most
  bool errors_in_200{false};
  bool safe_5xx{false};  ///< a 5xx is sent before a token is looked at, and the profile knows it
  bool introspects{false};  ///< an introspection says whether a token is unspent, and we ask
  bool plain{false};  ///< only logins and fetches
  bool eager{false};  ///< every burst comes about when the access token ends
  std::array<std::uint16_t, fault_count> rate{};  ///< of 10,000 opportunities
  std::array<std::uint16_t, op_count> op{};

  [[nodiscard]] std::uint16_t& operator[](Fault f) noexcept {
    return rate[static_cast<std::size_t>(f)];
  }
  [[nodiscard]] std::uint16_t operator[](Fault f) const noexcept {
    return rate[static_cast<std::size_t>(f)];
  }
  [[nodiscard]] std::uint16_t& operator[](Op o) noexcept { return op[static_cast<std::size_t>(o)]; }
  [[nodiscard]] std::uint16_t operator[](Op o) const noexcept {
    return op[static_cast<std::size_t>(o)];
  }
  [[nodiscard]] bool is_calm() const noexcept;
};

[[nodiscard]] Config draw(Random& random) noexcept;

/// Fits what is known of the provider to what it does, as far as `known`.
[[nodiscard]] refresh::Traits learn(const Facts& facts, bool known) noexcept;

[[nodiscard]] refresh::Contract contract_of(StoreKind store) noexcept;
/// Workers KV: no compare-and-swap, reads up to a minute old, misses remembered.
inline constexpr refresh::Contract kv_contract{false, false, true, {60'000}, 26'214'400};

[[nodiscard]] const char* name(StoreKind store) noexcept;
[[nodiscard]] const char* name(refresh::Rotation rotation) noexcept;

}  // namespace latchkey::sim
