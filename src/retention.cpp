#include "latchkey/retention.hpp"

#include "latchkey/text.hpp"

#include <algorithm>

namespace latchkey::retention {
namespace {

constexpr std::size_t max_digits = 16;

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool all(std::string_view text, bool (*holds)(char)) noexcept {
  return std::all_of(text.begin(), text.end(), holds);
}

bool is_ref(std::string_view name, std::size_t digits) noexcept {
  return name.size() == digits &&
         all(name, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

/// Sorts newest first.
bool is_newer(const Entry& a, const Entry& b) noexcept {
  if (a.modified_at.value != b.modified_at.value) return a.modified_at.value > b.modified_at.value;
  return a.name > b.name;
}

constexpr std::uint16_t bit_of(std::size_t lane) noexcept {
  return static_cast<std::uint16_t>(1U << lane);
}

}  // namespace

Setting setting(std::optional<std::string_view> text, Millis fallback, Millis max) noexcept {
  if (!text) return {fallback, Taken::unset};
  if (all(*text, is_blank)) return {fallback, Taken::blank};
  const bool minus = text->front() == '-';
  const auto digits = text->substr(minus ? 1 : 0);
  if (digits.empty() || !all(digits, is_digit) || (digits.size() > 1 && digits.front() == '0')) {
    return {fallback, Taken::not_a_number};
  }
  if (minus) return {fallback, Taken::negative};
  if (digits.size() > max_digits) return {fallback, Taken::too_large};
  std::int64_t value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  if (value > max.value) return {fallback, Taken::too_large};
  return {{value}, Taken::set};
}

Expiry expiry(UnixMillis at, Millis ttl, UnixMillis now, Millis min) noexcept {
  Expiry out;
  out.expires_at = at.plus(ttl);
  const Millis left = now.until(out.expires_at);
  out.expired = left.value <= 0;
  // Rounded up: a store that counts in seconds must not be early.
  const std::int64_t ms =
      std::clamp(std::max(left.value, min.value), std::int64_t{0}, UnixMillis::max);
  out.physical = seconds((ms + 999) / 1'000);
  return out;
}

Sweep sweep(std::uint16_t lanes, const Cursor& cursor, std::uint32_t removed, const Budget& budget,
            UnixMillis now, Millis interval) noexcept {
  constexpr std::uint16_t known = bit_of(kinds) - 1;
  Sweep out;
  out.before = now;
  out.next_at = now;
  Cursor& next = out.cursor;
  next = cursor;
  next.lane = static_cast<std::uint8_t>(cursor.lane % kinds);
  if (!cursor.open) {
    next = {known, next.lane, true, 0, 0};
  } else if (cursor.asked > 0) {
    if (removed < cursor.asked) {
      next.pending = static_cast<std::uint16_t>(next.pending & ~bit_of(next.lane));
    }
    next.spent += std::min(std::min(removed, cursor.asked), UINT32_MAX - next.spent);
    next.lane = static_cast<std::uint8_t>((next.lane + 1U) % kinds);
  }
  next.pending &= static_cast<std::uint16_t>(lanes & known);
  next.asked = 0;
  if (next.pending == 0) {
    next = {0, next.lane, false, 0, 0};
    out.next_at = now.plus(interval);
    return out;
  }
  while ((next.pending & bit_of(next.lane)) == 0) {
    next.lane = static_cast<std::uint8_t>((next.lane + 1U) % kinds);
  }
  if (next.spent >= budget.rows) {
    next.spent = 0;
    out.action = Sweeping::paused;
    return out;
  }
  out.action = Sweeping::batch;
  out.lane = static_cast<Kind>(next.lane);
  out.limit = std::min(std::max(budget.batch, 1U), budget.rows - next.spent);
  next.asked = out.limit;
  return out;
}

std::size_t keep_newest(std::span<const Entry> entries, std::string_view protected_name,
                        std::uint32_t keep, std::size_t digits, std::span<Fate> out) noexcept {
  LK_CHECK(out.size() == entries.size());
  std::size_t surplus = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const bool ours = is_ref(entries[i].name, digits);
    const bool in_use = ours && entries[i].name == protected_name;
    out[i] = !ours ? Fate::foreign : in_use ? Fate::is_protected : Fate::surplus;
    if (in_use && keep > 0) --keep;
    if (out[i] == Fate::surplus) ++surplus;
  }
  for (; keep > 0 && surplus > 0; --keep, --surplus) {
    std::size_t best = entries.size();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (out[i] == Fate::surplus &&
          (best == entries.size() || is_newer(entries[i], entries[best]))) {
        best = i;
      }
    }
    out[best] = Fate::newest;
  }
  return surplus;
}

Result<Changed> changed(std::string_view current, std::string_view previous, bool kept) noexcept {
  if (current.empty()) return Errc::claim_invalid;
  if (previous == current) return Changed::nothing;
  return kept && !previous.empty() ? Changed::listed : Changed::everything;
}

Orphan orphan(const Feed& feed) noexcept {
  if (feed.deleted) {
    if (feed.restore) return {Orphaned::restore, OrphanReason::asked};
    return {Orphaned::leave, OrphanReason::deleted};
  }
  if (feed.feed != Activity::active) return {Orphaned::leave, OrphanReason::feed_not_active};
  if (feed.connection != Activity::active) {
    return {Orphaned::leave, OrphanReason::connection_not_active};
  }
  if (feed.pinned) return {Orphaned::run, OrphanReason::pinned};
  if (feed.defined) return {Orphaned::run, OrphanReason::defined};
  return {Orphaned::soft_delete, OrphanReason::undefined};
}

bool resumes(std::string_view paused_for, std::string_view ended) noexcept {
  return !ended.empty() && paused_for == ended;
}

Link link(LinkState stored, UnixMillis expires_at, bool other_pending, UnixMillis now) noexcept {
  if (stored != LinkState::pending) return {stored, false, LinkReason::settled};
  if (now.value < expires_at.value) return {stored, false, LinkReason::waiting};
  if (other_pending) return {LinkState::expired, false, LinkReason::others_pending};
  return {LinkState::expired, true, LinkReason::expired};
}

Erase erase(std::span<const Erased, erase_steps> outcomes) noexcept {
  constexpr auto revoke = bit_of(static_cast<std::size_t>(EraseStep::revoke));
  Erase out;
  std::size_t pending = erase_steps;
  for (std::size_t i = erase_steps; i-- > 0;) {
    const auto bit = static_cast<std::uint8_t>(bit_of(i));
    switch (outcomes[i]) {
    case Erased::pending: pending = i; break;
    case Erased::done:
    case Erased::absent: out.erased |= bit; break;
    case Erased::failed: out.failed |= bit; break;
    }
  }
  if (outcomes[0] == Erased::failed) {
    out.action = Erasing::again;
    out.reason = EraseReason::not_blocked;
  } else if (pending < erase_steps) {
    out.step = static_cast<EraseStep>(pending);
  } else if ((out.failed & ~revoke) != 0) {
    out.action = Erasing::again;
    out.reason = EraseReason::partial;
  } else {
    out.action = Erasing::finished;
    out.reason = out.failed == 0 ? EraseReason::complete : EraseReason::not_revoked;
  }
  return out;
}

}  // namespace latchkey::retention
