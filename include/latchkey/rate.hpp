/// How often something may happen: a fixed window for work, and one for reports of the same fault.
///
/// Both windows are fixed: what is refused or dropped inside one does not prolong it.
#pragma once

#include "latchkey/types.hpp"

#include <optional>

namespace latchkey::retention {

// The same fault again ----------------------------------------------------------------------------

inline constexpr Millis dedupe_window = seconds(60);
inline constexpr std::uint32_t max_faults = 1'000;

/// What a fault is known by: 32 lower-case hexadecimal digits.
using Fingerprint = SmallText<32>;

/// Names a fault by the place, the kind and the error's own message, so that two faults that one
/// place reports are two. Distinct parts never give the same name.
///
/// @param parts  any texts: message, type, the error's message, the topmost frame.
[[nodiscard]] Fingerprint fingerprint(std::span<const std::string_view> parts) noexcept;

enum class Seen : std::uint8_t {
  first = 1,
  window_over = 2,
  within_window = 3,
  clock_moved = 4,  ///< forwarded in the future: forwarded again, lest it be silent until then
};

struct Dedupe {
  bool forward{false};  ///< and only then is the moment stored
  Seen reason{Seen::within_window};
  std::uint32_t evict{0};  ///< how many of the entries stored first must go before
};

/// Says whether a fault is reported.
///
/// @param forwarded_at  when this fault was last reported; none when it is not known.
/// @param entries       how many faults are stored.
/// @param window        over at exactly its length.
/// @param max_entries   at least 1.
[[nodiscard]] Dedupe dedupe(std::optional<UnixMillis> forwarded_at, std::uint32_t entries,
                            UnixMillis now, Millis window, std::uint32_t max_entries) noexcept;

// So much work in a time --------------------------------------------------------------------------

struct RateRules {
  std::uint32_t limit{5};
  Millis window{seconds(900)};
};

/// What is stored of somebody's window; a count of 0 when nothing is.
struct RateWindow {
  UnixMillis started_at{};
  std::uint32_t count{0};
};

enum class Rated : std::uint8_t {
  new_window = 1,
  within_limit = 2,
  not_charged = 3,  ///< nothing is worked: the answer is there already
  limited = 4,
};

struct Rate {
  bool allow{false};
  Rated reason{Rated::limited};
  RateWindow window{};  ///< to be stored
  Millis retry_after{};  ///< 1 ms up to the window when refused, else 0
};

/// Says whether work may be done, and charges for it.
///
/// In this order: what is no work is free and changes nothing; a window that is over, at exactly
/// its length, begins again with this one; a full one refuses. A window that began in the future,
/// before a clock went backwards, begins now and stays as full as it was. A limit of 0 refuses
/// everything.
///
/// @param works  whether something is really done: a repetition of what is under way is not.
[[nodiscard]] Rate rate_limit(const RateWindow& stored, bool works, const RateRules& rules,
                              UnixMillis now) noexcept;

/// Whose window an address is counted in.
using Bucket = SmallText<20>;

/// One name for every spelling of an address: IPv4 as it is, also where it is mapped into IPv6;
/// IPv6 by its first 64 bits as 16 digits and `/64`, because a subscriber has them all. What is no
/// address is `anonymous`: those share one window.
///
/// @see RFC 4291 sections 2.2 and 2.5.5.2, RFC 6177
[[nodiscard]] Bucket bucket(std::string_view address) noexcept;

}  // namespace latchkey::retention
