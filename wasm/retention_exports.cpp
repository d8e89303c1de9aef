// What the edge module exports of retention. A number that is -1 was not given; counts cross as f64
// too, so that none wraps.

#include "arena.hpp"
#include "list.hpp"

#include "latchkey/rate.hpp"
#include "latchkey/retention.hpp"
#include "latchkey/run.hpp"
#include "latchkey/schedule.hpp"

namespace latchkey::abi {
namespace {

using namespace latchkey::retention;

constexpr std::size_t max_entries = 512;
constexpr std::size_t max_runs = 64;
constexpr std::size_t max_parts = 16;

/// Numbers that a caller passed; the first that cannot be one decides what is refused.
class Numbers {
public:
  [[nodiscard]] [[gnu::noinline]] std::optional<UnixMillis> maybe(double ms) noexcept {
    if (ms == -1) return {};
    const auto at = UnixMillis::from_f64(ms);
    if (!at) refuse(Errc::time_invalid);
    return at ? *at : UnixMillis{};
  }
  [[nodiscard]] UnixMillis at(double ms) noexcept {
    if (ms == -1) refuse(Errc::time_invalid);
    return maybe(ms).value_or(UnixMillis{});
  }
  void length(double ms, Millis& out) noexcept {
    if (const auto given = maybe(ms)) out = {given->value};
  }
  [[gnu::noinline]] void count(double number, std::uint32_t& out) noexcept {
    if (number == -1) return;
    const auto given = UnixMillis::from_f64(number);
    if (!given) return refuse(Errc::claim_invalid);
    out = static_cast<std::uint32_t>(std::min(given->value, std::int64_t{UINT32_MAX}));
  }
  /// As a moment, the number of an event is whole, not negative, and far below `max_seq`.
  [[nodiscard]] std::optional<std::uint64_t> seq(double number) noexcept {
    if (number == -1) return {};
    const auto given = UnixMillis::from_f64(number);
    if (!given) refuse(Errc::claim_invalid);
    return static_cast<std::uint64_t>(given ? given->value : 0);
  }
  template <class E> void name(std::uint32_t number, E first, E last, E& out) noexcept {
    if (number < static_cast<std::uint32_t>(first) || number > static_cast<std::uint32_t>(last)) {
      return refuse(Errc::claim_invalid);
    }
    out = static_cast<E>(number);
  }
  [[nodiscard]] Errc error() const noexcept { return error_; }

private:
  void refuse(Errc code) noexcept {
    if (error_ == Errc::ok) error_ = code;
  }
  Errc error_{Errc::ok};
};

[[gnu::noinline]] Run read_run(const RetentionRunRequest& in, Numbers& n) noexcept {
  Run out;
  n.name(in.status, Status::running, Status::aborted, out.status);
  out.in_flight = in.in_flight != 0;
  out.started_at = n.at(in.started_at_ms);
  out.heartbeat_at = n.maybe(in.heartbeat_at_ms);
  out.alive_at = n.maybe(in.alive_at_ms);
  out.completed_at = n.maybe(in.completed_at_ms);
  out.watched_since = n.maybe(in.watched_since_ms);
  return out;
}

[[gnu::noinline]] StaleRules read_rules(std::uint32_t phase, double silence_ms, double in_flight_ms,
                                        double liveness_ms, double max_age_ms, std::uint32_t exact,
                                        Numbers& n) noexcept {
  StaleRules out;
  auto known = Phase::foreground;
  n.name(phase, Phase::foreground, Phase::unclaimed, known);
  out.silence = stale_after(known);
  n.length(silence_ms, out.silence);
  n.length(in_flight_ms, out.in_flight);
  n.length(liveness_ms, out.liveness);
  n.length(max_age_ms, out.max_age);
  out.exact = exact != 0;
  return out;
}

double to_f64(UnixMillis at) noexcept { return static_cast<double>(at.value); }
double to_f64(const std::optional<UnixMillis>& at) noexcept { return at ? to_f64(*at) : -1.0; }
/// A moment that never comes is none.
double due(UnixMillis at) noexcept { return at.value == UnixMillis::max ? -1.0 : to_f64(at); }

template <class E> std::uint8_t number(E value) noexcept {
  return static_cast<std::uint8_t>(value);
}

[[gnu::noinline]] Errc answer(const RetentionReply& out) noexcept {
  reply(out);
  return Errc::ok;
}

/// An answer that is an action, a reason and one more thing.
template <class A, class R>
RetentionReply said(A action, R reason, bool flag = false) noexcept {
  RetentionReply out{};
  out.head.used = arena_size;
  out.action = number(action);
  out.reason = number(reason);
  out.flag = flag ? 1 : 0;
  return out;
}

}  // namespace

LK_EXPORT(lk_retention_setting)
(std::uint32_t text, std::uint32_t text_len, std::uint32_t has_text, double fallback_ms,
 double max_ms) noexcept {
  return call<1'024>([=]() noexcept {
    Inputs inputs;
    const auto from = inputs.text(text, text_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    Numbers n;
    const Millis fallback{n.at(fallback_ms).value};
    Millis max = max_window;
    n.length(max_ms, max);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto read = setting(has_text == 0 ? std::nullopt : std::optional{from}, fallback, max);
    auto out = said(0, read.reason);
    out.at_ms = static_cast<double>(read.value.value);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_reconnect)(double now_ms, double window_ms) noexcept {
  return call<1'024>([=]() noexcept {
    Numbers n;
    const Run run = read_run(request<RetentionRunRequest>(), n);
    const UnixMillis now = n.at(now_ms);
    Millis window = reconnect_window;
    n.length(window_ms, window);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = reconnect(run, now, window);
    auto out = said(0, found.reason, found.surface);
    out.at_ms = to_f64(found.since);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_stale)
(double now_ms, std::uint32_t phase, double silence_ms, double in_flight_ms, double liveness_ms,
 double max_age_ms, std::uint32_t exact) noexcept {
  return call<1'024>([=]() noexcept {
    Numbers n;
    const Run run = read_run(request<RetentionRunRequest>(), n);
    const UnixMillis now = n.at(now_ms);
    const auto rules =
        read_rules(phase, silence_ms, in_flight_ms, liveness_ms, max_age_ms, exact, n);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = stale(run, rules, now);
    auto out = said((found.early ? 1 : 0) | (found.late ? 2 : 0), found.reason, found.stale);
    out.at_ms = to_f64(found.completed_at);
    out.due_at_ms = due(found.due_at);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_prune)
(double now_ms, double completed_ms, double unsuccessful_ms, double reconnect_ms) noexcept {
  return call<1'024>([=]() noexcept {
    Numbers n;
    const Run run = read_run(request<RetentionRunRequest>(), n);
    const UnixMillis now = n.at(now_ms);
    Windows windows;
    n.length(completed_ms, windows.completed);
    n.length(unsuccessful_ms, windows.unsuccessful);
    n.length(reconnect_ms, windows.reconnect);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = prune(run, windows, now);
    auto out = said(0, found.reason, found.remove);
    out.due_at_ms = due(found.due_at);
    out.at_ms = static_cast<double>(found.day);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_terminal)
(std::uint32_t status, double last_seq, std::uint32_t end, std::uint32_t cause) noexcept {
  return call<1'024>([=]() noexcept {
    Numbers n;
    auto persisted = Status::running;
    Log log;
    auto why = Cause::none;
    n.name(status, Status::running, Status::aborted, persisted);
    n.name(end, Terminal::none, Terminal::auto_continue, log.end);
    n.name(cause, Cause::none, Cause::erased, why);
    const auto seq = UnixMillis::from_f64(last_seq);
    if (n.error() != Errc::ok || !seq) return fail(Errc::claim_invalid);
    log.last_seq = static_cast<std::uint64_t>(seq->value);
    const auto plan = terminal(persisted, log, why);
    if (!plan) return fail(plan.error());
    auto out = said(plan->action, plan->code, plan->recoverable);
    out.kind = number(plan->kind);
    out.status = number(plan->status);
    out.at_ms = static_cast<double>(plan->seq);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_begin)(std::uint32_t bits) noexcept {
  return call<512>([=]() noexcept {
    const auto has = [=](unsigned bit) noexcept { return (bits >> bit & 1U) != 0; };
    const auto begun = begin({has(0), has(1), has(2)});
    if (!begun) return fail(begun.error());
    return answer(said(*begun, 0));
  });
}

LK_EXPORT(lk_retention_append)
(std::uint32_t status, double last_seq, std::uint32_t end, double known_seq, std::uint32_t same,
 double size, double after) noexcept {
  return call<512>([=]() noexcept {
    Numbers n;
    auto is = Status::running;
    Log log;
    Offered event;
    n.name(status, Status::running, Status::aborted, is);
    n.name(end, Terminal::none, Terminal::auto_continue, log.end);
    log.last_seq = n.seq(last_seq).value_or(0);
    event.known_seq = n.seq(known_seq);
    event.same = same != 0;
    n.count(size, event.size);
    event.after = n.seq(after);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = append(is, log, event, {});
    if (!found) return fail(found.error());
    auto out = said(found->action, 0);
    out.at_ms = static_cast<double>(found->seq);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_recover)
(std::uint32_t runs, std::uint32_t runs_len, double now_ms, std::uint32_t looked_up,
 double posted_at_ms, double attempts, double early_deaths, double window_ms, double retention_ms,
 double max_attempts_given, std::uint32_t phase, double silence_ms, double in_flight_ms,
 double liveness_ms, double max_age_ms, std::uint32_t exact) noexcept {
  return call<8'192>([=]() noexcept {
    Inputs inputs;
    const Bytes rows = inputs.bytes(runs, runs_len);
    if (!inputs.good() || rows.size() % sizeof(RetentionRunRequest) != 0) {
      return fail(Errc::slice_invalid);
    }
    const std::size_t count = rows.size() / sizeof(RetentionRunRequest);
    if (count > max_runs) return fail(Errc::output_too_small);
    Numbers n;
    Run known[max_runs];
    for (std::size_t i = 0; i < count; ++i) {
      RetentionRunRequest row;
      std::memcpy(&row, rows.data() + i * sizeof row, sizeof row);
      known[i] = read_run(row, n);
    }
    const UnixMillis now = n.at(now_ms);
    Wanted wanted;
    wanted.looked_up = looked_up != 0;
    wanted.posted_at = n.maybe(posted_at_ms);
    n.count(attempts, wanted.attempts);
    n.count(early_deaths, wanted.early_deaths);
    RecoverRules rules;
    n.length(window_ms, rules.window);
    n.length(retention_ms, rules.retention);
    n.count(max_attempts_given, rules.max_attempts);
    rules.stale = read_rules(phase, silence_ms, in_flight_ms, liveness_ms, max_age_ms, exact, n);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = recover({known, count}, wanted, rules, now);
    auto out = said(found.action, found.reason, found.run.has_value());
    out.count = static_cast<std::uint32_t>(found.run.value_or(0));
    return answer(out);
  });
}

LK_EXPORT(lk_retention_expiry)(double at_ms, double ttl_ms, double now_ms, double min_ms) noexcept {
  return call<1'024>([=]() noexcept {
    Numbers n;
    const UnixMillis at = n.at(at_ms);
    const Millis ttl{n.at(ttl_ms).value};
    const UnixMillis now = n.at(now_ms);
    Millis min{};
    n.length(min_ms, min);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = expiry(at, ttl, now, min);
    auto out = said(0, 0, found.expired);
    out.at_ms = to_f64(found.expires_at);
    out.due_at_ms = static_cast<double>(found.physical.value);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_sweep)
(std::uint32_t lanes, std::uint32_t pending, std::uint32_t lane, std::uint32_t open, double asked,
 double spent, double removed, double rows, double batch, double now_ms,
 double interval_ms) noexcept {
  return call<1'024>([=]() noexcept {
    Numbers n;
    Cursor cursor{static_cast<std::uint16_t>(pending), static_cast<std::uint8_t>(lane), open != 0,
                  0, 0};
    n.count(asked, cursor.asked);
    n.count(spent, cursor.spent);
    std::uint32_t gone = 0;
    n.count(removed, gone);
    Budget budget;
    n.count(rows, budget.rows);
    n.count(batch, budget.batch);
    const UnixMillis now = n.at(now_ms);
    Millis interval = sweep_interval;
    n.length(interval_ms, interval);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto plan = sweep(static_cast<std::uint16_t>(lanes), cursor, gone, budget, now, interval);
    RetentionSweepReply out{};
    out.head = {arena_size, 0};
    out.before_ms = to_f64(plan.before);
    out.next_at_ms = to_f64(plan.next_at);
    out.limit = plan.limit;
    out.asked = plan.cursor.asked;
    out.spent = plan.cursor.spent;
    out.pending = plan.cursor.pending;
    out.action = number(plan.action);
    out.kind = number(plan.lane);
    out.lane = plan.cursor.lane;
    out.open = plan.cursor.open ? 1 : 0;
    reply(out);
    return Errc::ok;
  });
}

LK_EXPORT(lk_retention_keep_newest)
(std::uint32_t names, std::uint32_t names_len, std::uint32_t times, std::uint32_t times_len,
 std::uint32_t in_use, std::uint32_t in_use_len, double keep, double digits,
 std::uint32_t free) noexcept {
  return call<12'288>([=]() noexcept {
    Inputs inputs;
    const Bytes list = inputs.bytes(names, names_len);
    const Bytes moments = inputs.bytes(times, times_len);
    const auto protected_name = inputs.text(in_use, in_use_len);
    Writer space{inputs.free_from(free)};
    ListReader reader{list};
    const std::size_t count = inputs.good() ? reader.count() : 0;
    if (moments.size() != count * sizeof(double)) return fail(Errc::slice_invalid);
    if (count > max_entries) return fail(Errc::output_too_small);
    Numbers n;
    Entry entries[max_entries];
    for (std::size_t i = 0; i < count; ++i) {
      double ms = 0;
      std::memcpy(&ms, moments.data() + i * sizeof ms, sizeof ms);
      entries[i] = {reader.text(), n.at(ms)};
    }
    std::uint32_t kept = 3;
    std::uint32_t width = digits_of_ref;
    n.count(keep, kept);
    n.count(digits, width);
    const MutBytes fates = space.claim(count);
    if (!inputs.good() || !reader.finished()) return fail(Errc::slice_invalid);
    if (n.error() != Errc::ok) return fail(n.error());
    if (space.overflow()) return fail(Errc::output_too_small);
    auto out = said(0, 0);
    // One byte each.
    out.count =
        static_cast<std::uint32_t>(keep_newest({entries, count}, protected_name, kept, width,
                                               {reinterpret_cast<Fate*>(fates.data()), count}));
    out.list = slice_of(fates);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_changed)
(std::uint32_t current, std::uint32_t current_len, std::uint32_t previous,
 std::uint32_t previous_len, std::uint32_t kept) noexcept {
  return call<512>([=]() noexcept {
    Inputs inputs;
    const auto now = inputs.text(current, current_len);
    const auto before = inputs.text(previous, previous_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const auto found = changed(now, before, kept != 0);
    return found ? answer(said(*found, 0)) : fail(found.error());
  });
}

LK_EXPORT(lk_retention_orphan)(std::uint32_t bits) noexcept {
  return call<512>([=]() noexcept {
    const auto has = [=](unsigned bit) noexcept { return (bits >> bit & 1U) != 0; };
    const auto found =
        orphan({has(0) ? Activity::active : Activity::other,
                has(1) ? Activity::active : Activity::other, has(2), has(3), has(4), has(5)});
    return answer(said(found.action, found.reason));
  });
}

LK_EXPORT(lk_retention_resumes)
(std::uint32_t paused_for, std::uint32_t paused_for_len, std::uint32_t ended,
 std::uint32_t ended_len) noexcept {
  return call<512>([=]() noexcept {
    Inputs inputs;
    const auto a = inputs.text(paused_for, paused_for_len);
    const auto b = inputs.text(ended, ended_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    reply(FlagReply{{arena_size, 0}, resumes(a, b) ? 1U : 0U, 0});
    return Errc::ok;
  });
}

LK_EXPORT(lk_retention_link)
(std::uint32_t state, double expires_at_ms, std::uint32_t other_pending, double now_ms) noexcept {
  return call<512>([=]() noexcept {
    Numbers n;
    auto stored = LinkState::pending;
    n.name(state, LinkState::pending, LinkState::expired, stored);
    const UnixMillis expires_at = n.at(expires_at_ms);
    const UnixMillis now = n.at(now_ms);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = link(stored, expires_at, other_pending != 0, now);
    return answer(said(found.state, found.reason, found.end_connection));
  });
}

LK_EXPORT(lk_retention_erase)(std::uint32_t outcomes, std::uint32_t outcomes_len) noexcept {
  return call<512>([=]() noexcept {
    Inputs inputs;
    const Bytes bytes = inputs.bytes(outcomes, outcomes_len);
    if (!inputs.good() || bytes.size() != erase_steps) return fail(Errc::slice_invalid);
    Numbers n;
    Erased known[erase_steps];
    for (std::size_t i = 0; i < erase_steps; ++i) {
      n.name(bytes[i], Erased::pending, Erased::failed, known[i]);
    }
    if (n.error() != Errc::ok) return fail(n.error());
    const auto plan = erase(known);
    auto out = said(plan.action, plan.reason);
    out.kind = number(plan.step);
    out.count = std::uint32_t{plan.erased} | std::uint32_t{plan.failed} << 8U;
    return answer(out);
  });
}

LK_EXPORT(lk_retention_schedule)
(std::uint32_t every, std::uint32_t every_len, double anchor_ms, double slot_ms,
 double quota_reset_ms, std::uint32_t matched, double now_ms) noexcept {
  return call<1'024>([=]() noexcept {
    Inputs inputs;
    Due in;
    in.every = inputs.text(every, every_len);
    if (!inputs.good()) return fail(Errc::slice_invalid);
    Numbers n;
    in.anchor = n.at(anchor_ms);
    in.slot = n.maybe(slot_ms);
    in.quota_reset_at = n.maybe(quota_reset_ms);
    in.matched = matched != 0;
    const UnixMillis now = n.at(now_ms);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = schedule(in, now);
    auto out = said(found.action, found.reason);
    out.at_ms = to_f64(found.next_at);
    return answer(out);
  });
}

LK_EXPORT(lk_retention_fingerprint)
(std::uint32_t parts, std::uint32_t parts_len, std::uint32_t free) noexcept {
  return call<2'048>([=]() noexcept {
    Inputs inputs;
    ListReader reader{inputs.bytes(parts, parts_len)};
    Writer space{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    const std::size_t count = reader.count();
    if (count > max_parts) return fail(Errc::output_too_small);
    std::string_view texts[max_parts];
    for (std::size_t i = 0; i < count; ++i) texts[i] = reader.text();
    if (!reader.finished()) return fail(Errc::slice_invalid);
    space.put(fingerprint({texts, count}).view());
    if (space.overflow()) return fail(Errc::output_too_small);
    return reply_bytes(space.written(), end_of(space.written()));
  });
}

LK_EXPORT(lk_retention_dedupe)
(double forwarded_at_ms, double entries, double now_ms, double window_ms,
 double max_entries_given) noexcept {
  return call<512>([=]() noexcept {
    Numbers n;
    const auto forwarded_at = n.maybe(forwarded_at_ms);
    std::uint32_t stored = 0;
    std::uint32_t most = max_faults;
    Millis window = dedupe_window;
    n.count(entries, stored);
    n.count(max_entries_given, most);
    n.length(window_ms, window);
    const UnixMillis now = n.at(now_ms);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = dedupe(forwarded_at, stored, now, window, most);
    auto out = said(0, found.reason, found.forward);
    out.count = found.evict;
    return answer(out);
  });
}

LK_EXPORT(lk_retention_rate_limit)
(double started_at_ms, double count, std::uint32_t works, double limit, double window_ms,
 double now_ms) noexcept {
  return call<512>([=]() noexcept {
    Numbers n;
    RateWindow stored;
    stored.started_at = n.at(started_at_ms);
    RateRules rules;
    n.count(count, stored.count);
    n.count(limit, rules.limit);
    n.length(window_ms, rules.window);
    const UnixMillis now = n.at(now_ms);
    if (n.error() != Errc::ok) return fail(n.error());
    const auto found = rate_limit(stored, works != 0, rules, now);
    auto out = said(0, found.reason, found.allow);
    out.at_ms = to_f64(found.window.started_at);
    out.due_at_ms = static_cast<double>(found.retry_after.value);
    out.count = found.window.count;
    return answer(out);
  });
}

LK_EXPORT(lk_retention_bucket)
(std::uint32_t address, std::uint32_t address_len, std::uint32_t free) noexcept {
  return call<512>([=]() noexcept {
    Inputs inputs;
    const auto text = inputs.text(address, address_len);
    Writer space{inputs.free_from(free)};
    if (!inputs.good()) return fail(Errc::slice_invalid);
    space.put(bucket(text).view());
    if (space.overflow()) return fail(Errc::output_too_small);
    return reply_bytes(space.written(), end_of(space.written()));
  });
}

}  // namespace latchkey::abi
