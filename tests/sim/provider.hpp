/// An authorization server as strict, or as forgiving, as real ones are.
#pragma once

#include "random.hpp"

#include "latchkey/refresh.hpp"

#include <vector>

namespace latchkey::sim {

using Time = std::int64_t;  ///< true time, in milliseconds
inline constexpr Time forever = UnixMillis::max;

/// Two tokens, by number; 0: none.
struct Pair {
  std::uint32_t refresh{0};
  std::uint32_t access{0};
  friend constexpr bool operator==(const Pair&, const Pair&) noexcept = default;
};

/// What a refresh token looks like, for whoever looks for it where it must not be.
[[nodiscard]] constexpr std::uint64_t secret_of(std::uint32_t token) noexcept {
  return 0x5ec7'0000'0000'0000ULL | mix(token) >> 16;
}
[[nodiscard]] constexpr bool is_secret(std::uint64_t value) noexcept {
  return value >> 48 == 0x5ec7;
}

/// What the provider does, whatever is known of it.
struct Facts {
  refresh::Rotation rotation{refresh::Rotation::family_revoked};
  refresh::Rotation after_grace{refresh::Rotation::family_revoked};
  refresh::Revocation revocation{refresh::Revocation::token};
  bool old_access_dies{false};
  bool revocation_needs_live{false};
  Time grace{0};
  Time lifetime{3'600'000};  ///< 0: without end
  Time idle{0};
  Time absolute{0};
};

struct Grant {
  std::uint8_t owner{0};
  Time at{0};
  Time revoked_at{forever};
  bool killed{false};  ///< by a replay
};

struct AccessToken {
  std::uint32_t grant{0};
  Time expires_at{0};
  Time dead_at{forever};
};

struct RefreshToken {
  enum class State : std::uint8_t { live, spent, dead };

  std::uint32_t grant{0};
  State state{State::live};
  Time minted_at{0};
  Time spent_at{0};
  Time expires_at{forever};
  std::uint32_t access{0};  ///< minted beside it
  std::uint32_t successor{0};
  std::uint32_t spent_by{0};  ///< the request that was first
  std::uint32_t replaced_by{0};  ///< the request whose successor counts
};

struct Redemption {
  bool ok{false};
  bool replay{false};
  bool killed{false};  ///< it has cost the grant
  bool rotated{false};
  Pair pair{};
};

class Provider {
public:
  void reset(const Facts& facts);

  /// A person consents: a new grant and its first pair.
  [[nodiscard]] Pair log_in(std::uint8_t owner, Time now);
  /// A token request.
  ///
  /// @param rotates  false: this once it gives only an access token.
  [[nodiscard]] Redemption redeem(std::uint32_t token, Time now, std::uint32_t request,
                                  bool rotates);
  /// A revocation request with either token of a pair.
  ///
  /// @return false when it is refused.
  [[nodiscard]] bool revoke(const Pair& pair, Time now);
  void revoke_grant(std::uint32_t grant, Time now);

  [[nodiscard]] bool is_live(std::uint32_t token, Time now) const noexcept;
  [[nodiscard]] bool is_revoked(std::uint32_t grant, Time now) const noexcept {
    return grants_[grant].revoked_at <= now;
  }
  /// When the access token ends, for whatever reason.
  [[nodiscard]] Time access_end(std::uint32_t access) const noexcept;

  [[nodiscard]] const Facts& facts() const noexcept { return facts_; }
  [[nodiscard]] const Grant& grant(std::uint32_t i) const noexcept { return grants_[i]; }
  [[nodiscard]] const AccessToken& access(std::uint32_t i) const noexcept { return accesses_[i]; }
  [[nodiscard]] const RefreshToken& token(std::uint32_t i) const noexcept { return refreshes_[i]; }
  [[nodiscard]] std::size_t tokens() const noexcept { return refreshes_.size(); }

private:
  [[nodiscard]] std::uint32_t mint_access(std::uint32_t grant, Time now);
  [[nodiscard]] Time refresh_end(std::uint32_t grant, Time now) const noexcept;
  [[nodiscard]] Pair mint(std::uint32_t grant, Time now);
  [[nodiscard]] Redemption replay(std::uint32_t token, Time now, std::uint32_t request);

  Facts facts_{};
  // Number 0 of each is nothing.
  std::vector<Grant> grants_;
  std::vector<AccessToken> accesses_;
  std::vector<RefreshToken> refreshes_;
};

}  // namespace latchkey::sim
