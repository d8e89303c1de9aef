#include "latchkey/refresh.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace latchkey::refresh {
namespace {

constexpr Id no_lineage{};
constexpr Millis first_retry{50};
constexpr Millis longest = seconds(100LL * 366 * 24 * 3600);

Millis least(Millis a, Millis b) noexcept { return a.value < b.value ? a : b; }
Millis most(Millis a, Millis b) noexcept { return a.value < b.value ? b : a; }
UnixMillis earlier(UnixMillis a, UnixMillis b) noexcept { return a.value < b.value ? a : b; }
UnixMillis later(UnixMillis a, UnixMillis b) noexcept { return a.value < b.value ? b : a; }
Millis between(UnixMillis from, UnixMillis to) noexcept { return {to.value - from.value}; }

Generation generation_of(const Row& row) noexcept { return {row.id, row.version}; }

Millis doubled(Millis first, unsigned times, Millis limit) noexcept {
  Millis out = least(first, limit);
  for (; times > 0 && out.value < limit.value; --times) out = least({out.value * 2}, limit);
  return out;
}

std::uint8_t one_more(std::uint8_t n) noexcept {
  return n == 0xff ? n : static_cast<std::uint8_t>(n + 1);
}
std::uint8_t half(std::uint8_t n) noexcept { return static_cast<std::uint8_t>(n / 2); }
std::uint8_t one_less(std::uint8_t n) noexcept {
  return n == 0 ? n : static_cast<std::uint8_t>(n - 1);
}

/// True while `now` is before a deadline that was set `length` ahead. One that is further away than
/// clocks differ was written by a clock that is wrong, and would bind until that clock is right.
bool is_before(UnixMillis now, UnixMillis deadline, Millis length) noexcept {
  const Millis left = between(now, deadline);
  return left.value > 0 && left.value <= 2 * length.value;
}

Millis time_out_of(const Traits& traits, const Policy& policy) noexcept {
  return traits.time_out.value > 0 ? traits.time_out : policy.time_out;
}

/// What a lease has left when its request is given up: time to store the answer.
Millis margin_of(const Policy& policy) noexcept {
  return most({policy.lease.value - policy.time_out.value}, {0});
}

/// True while a request may be at the provider, or its answer on the way to the store. Its own
/// lease says the same, unless somebody who disconnects has taken that over.
bool is_in_flight(const Row& row, UnixMillis now, const Policy& policy) noexcept {
  return row.intent.open &&
         is_before(now, row.intent.deadline.plus(margin_of(policy)), policy.lease);
}

/// What another use of the row's refresh token would do, at the latest when the request for it is
/// given up.
Rotation rotation_now(const Row& row, UnixMillis now, const Traits& traits,
                      const Policy& policy) noexcept {
  switch (traits.rotation) {
  case Rotation::none:
  case Rotation::strict_refused:
  case Rotation::family_revoked: return traits.rotation;
  case Rotation::grace_same:
  case Rotation::grace_new: break;
  }
  const std::int64_t since = between(row.intent.first_at, now).value;
  const std::int64_t age = (since < 0 ? -since : since) + time_out_of(traits, policy).value;
  return age <= traits.grace.value ? traits.rotation : traits.after_grace;
}

UnixMillis access_end(const Tokens& tokens, UnixMillis asked_at, const Traits& traits) noexcept {
  if (tokens.lifetime.value <= 0 && traits.access_lifetime.value <= 0) return never;
  Millis life = tokens.lifetime.value > 0 ? tokens.lifetime : traits.access_lifetime;
  if (traits.max_access_lifetime.value > 0) life = least(life, traits.max_access_lifetime);
  return asked_at.plus(life);
}

UnixMillis refresh_end(const Row& row, const Tokens& tokens, UnixMillis asked_at,
                       const Traits& traits) noexcept {
  UnixMillis end = row.refresh_expires_at;
  if (tokens.refresh_lifetime.value > 0) {
    end = asked_at.plus(tokens.refresh_lifetime);
  } else if (traits.refresh_idle.value > 0) {
    end = asked_at.plus(traits.refresh_idle);
  } else if (tokens.has_refresh && !tokens.refresh_same) {
    end = never;
  }
  return earlier(end, row.absolute_expires_at);
}

Row log_in(const Id& id, std::uint64_t epoch, const Tokens& tokens, UnixMillis at,
           const Traits& traits) noexcept {
  Row row;
  row.id = id;
  row.epoch = epoch;
  row.login_at = at;
  row.refresh_expires_at = never;
  row.absolute_expires_at =
      traits.refresh_absolute.value > 0 ? at.plus(traits.refresh_absolute) : never;
  return merge(row, tokens, at, 0, traits);
}

Row bury(const Row& row, Cause cause, UnixMillis at) noexcept {
  Row out;
  out.id = row.id;
  out.version = row.version;
  out.epoch = row.epoch + 1;
  out.pair_epoch = row.pair_epoch;
  out.login_at = row.login_at;
  out.ended_at = at;
  out.status = Status::revoked;
  out.cause = cause;
  return out;
}

/// The intent after an attempt that left `doubt`, or was never made. A probe stays counted when it
/// may have found out something that nobody knows now.
Intent close(const Intent& intent, Doubt doubt, bool counts) noexcept {
  Intent out = intent;
  out.open = false;
  out.probe = false;
  out.doubt = std::max(intent.doubt, doubt);
  if (intent.probe && !counts) out.probes = one_less(intent.probes);
  if (doubt != Doubt::none) out.doubt_epoch = intent.epoch;
  const bool nothing = out.doubt == Doubt::none && out.probes == 0;
  return nothing || intent.epoch == 0 ? Intent{} : out;
}

/// One step while it is being taken.
class Turn {
public:
  Turn(const Row& row, const Flow& flow, const Event& event, UnixMillis now, const Traits& traits,
       const Policy& policy) noexcept
      : row_{row}, event_{event}, now_{now}, traits_{traits}, policy_{policy} {
    out_.row = row;
    out_.flow = flow;
  }

  [[nodiscard]] Step take() noexcept {
    if (flow().phase == Phase::begin) {
      if (event_.kind == EventKind::begin) begin();
    } else if (event_.kind == EventKind::stored) {
      stored();
    } else if (event_.kind == EventKind::store_failed || event_.kind == EventKind::store_unknown ||
               contradicts_itself()) {
      not_stored();
    } else if (event_.kind == EventKind::lost || event_.kind == EventKind::row_read) {
      reread();
    } else if (event_.kind == EventKind::reply && flow().phase == Phase::sending) {
      answered();
    } else if (event_.kind == EventKind::revocation) {
      revocation();
    }
    return out_;
  }

private:
  // What is known -------------------------------------------------------------------------------

  [[nodiscard]] Flow& flow() noexcept { return out_.flow; }
  [[nodiscard]] const Flow& flow() const noexcept { return out_.flow; }

  [[nodiscard]] Generation generation() const noexcept { return generation_of(row_); }
  [[nodiscard]] Condition condition() const noexcept { return {generation(), row_.epoch, false}; }
  [[nodiscard]] Doubt doubt() const noexcept { return doubt_of(row_, now_, policy_); }
  [[nodiscard]] bool is_in_flight() const noexcept {
    return refresh::is_in_flight(row_, now_, policy_);
  }
  [[nodiscard]] bool is_leased() const noexcept { return refresh::is_leased(row_, now_, policy_); }
  /// Nobody else may use the refresh token now.
  [[nodiscard]] bool is_busy() const noexcept { return is_leased() || is_in_flight(); }
  [[nodiscard]] UnixMillis busy_until() const noexcept {
    return is_leased() ? row_.lease.deadline : row_.intent.deadline.plus(margin_of(policy_));
  }
  [[nodiscard]] bool is_cooling() const noexcept {
    return is_before(now_, row_.cool_down.next_attempt_at, policy_.rest);
  }
  [[nodiscard]] bool is_named() const noexcept { return generation() == flow().named; }
  /// A resource server has refused the stored access token, and nobody knew.
  [[nodiscard]] bool is_news() const noexcept {
    return flow().task == Task::report_rejected && is_named() && !row_.rejected;
  }
  [[nodiscard]] bool is_alarm() const noexcept { return flow().task == Task::alarm; }
  [[nodiscard]] bool is_ending() const noexcept {
    return flow().task == Task::disconnect || flow().task == Task::erase;
  }
  [[nodiscard]] bool is_out_of_patience() const noexcept {
    return !is_before(now_, flow().give_up_at, policy_.patience);
  }
  /// This flow's attempt is the last of this version: nobody has begun another since.
  [[nodiscard]] bool is_latest() const noexcept {
    return generation() == flow().spent && row_.intent.open && row_.intent.epoch == flow().epoch;
  }
  /// The lease in the row is this flow's.
  [[nodiscard]] bool is_mine() const noexcept {
    return generation() == flow().spent && row_.lease.holder == flow().holder &&
           row_.lease.epoch == flow().epoch;
  }

  /// The store says that a write has lost, and shows the very row that was to be there: nothing
  /// that can be relied on, and nothing that may be tried again at once for ever.
  [[nodiscard]] bool contradicts_itself() const noexcept {
    if (event_.kind != EventKind::lost || event_.seen == Seen::nothing) return false;
    const bool corrupt = event_.seen == Seen::corrupt || !is_sound(row_);
    return flow().condition == (corrupt ? Condition{{}, 0, true} : condition());
  }

  [[nodiscard]] Millis left() const noexcept { return between(now_, row_.access_expires_at); }
  [[nodiscard]] Millis life() const noexcept {
    return between(row_.obtained_at, row_.access_expires_at);
  }
  /// What the caller asks for, as far as a new token could give it.
  [[nodiscard]] Millis wanted() const noexcept {
    return least(flow().min_validity, {life().value / 8 * 7});
  }
  /// An access token whose refresh token was lost may be good until it expires. Where a refresh
  /// kills it, only a resource server can tell.
  [[nodiscard]] bool is_usable() const noexcept {
    const bool served = row_.status == Status::live || (row_.status == Status::reconnect_required &&
                                                        row_.cause == Cause::lost_in_flight);
    return served && !row_.rejected && !(flow().forced && is_named()) && left().value > 0;
  }
  [[nodiscard]] bool is_good() const noexcept {
    return is_usable() && left().value >= wanted().value;
  }
  /// With how much time left a token is still fresh.
  [[nodiscard]] Millis enough() const noexcept {
    return most(wanted(), near_expiry(row_, policy_));
  }
  [[nodiscard]] bool is_fresh() const noexcept {
    return is_usable() && left().value >= enough().value;
  }

  // What is to be done --------------------------------------------------------------------------

  Effect& add(EffectKind kind) noexcept {
    Effects& effects = out_.effects;
    LK_CHECK(effects.count < max_effects);
    Effect& effect = effects.items[effects.count++];
    effect.kind = kind;
    return effect;
  }
  void go_to(Phase phase, const Condition& condition = {}) noexcept {
    flow().phase = phase;
    flow().condition = condition;
  }
  void end() noexcept { go_to(Phase::ended); }
  void notify(News news) noexcept {
    Effect& effect = add(EffectKind::notify);
    effect.news = news;
    effect.cause = row_.cause;
    effect.generation = generation();
  }
  void arm(UnixMillis at) noexcept { add(EffectKind::arm).at = at; }
  void ask(EffectKind kind, Phase phase, UnixMillis at) noexcept {
    add(kind).at = at;
    go_to(phase);
  }

  void serve_and_go_on(Source source) noexcept {
    if (flow().answered) return;
    Effect& effect = add(EffectKind::serve);
    effect.source = source;
    effect.generation = generation();
    effect.at = row_.access_expires_at;
    if (flow().task == Task::fetch && row_.status == Status::live && is_fresh()) {
      effect.stands_until = row_.access_expires_at.plus({-enough().value});
    }
    flow().answered = true;
  }
  void serve(Source source) noexcept {
    serve_and_go_on(source);
    end();
  }
  void serve_unstored() noexcept {
    const UnixMillis until = access_end(flow().reply.tokens, flow().at, traits_);
    if (flow().answered || is_ending() || until.value <= now_.value) return;
    Effect& effect = add(EffectKind::serve);
    effect.source = Source::refreshed;
    effect.token = Which::fresh;
    effect.persist_failed = true;
    effect.generation = {flow().spent.id, flow().spent.version + 1};
    effect.at = until;
    flow().answered = true;
  }
  void refuse(Outcome outcome, Cause cause, UnixMillis at) noexcept {
    if (!flow().answered) {
      Effect& effect = add(EffectKind::refuse);
      effect.outcome = outcome;
      effect.cause = cause;
      effect.at = at;
      flow().answered = true;
    }
    end();
  }
  void refuse_for_now(UnixMillis at) noexcept {
    if (is_alarm()) arm(now_.plus(policy_.max_back_off));
    refuse(Outcome::temporarily_unavailable, Cause::none, at);
  }
  void done(const Receipt& receipt) noexcept {
    add(EffectKind::done).receipt = receipt;
    flow().answered = true;
    end();
  }

  void persist(const Row& next, Blobs blobs, Phase phase) noexcept {
    out_.row = next;
    Effect& effect = add(EffectKind::persist);
    effect.blobs = blobs;
    effect.condition = is_corrupt_ ? Condition{{}, 0, true} : condition();
    effect.generation = generation_of(next);
    effect.keep_scopes = !flow().reply.tokens.has_scope;
    go_to(phase, effect.condition);
  }
  [[nodiscard]] Row next_row() const noexcept {
    Row next = row_;
    ++next.epoch;
    if (flow().task == Task::report_rejected && is_named()) next.rejected = true;
    return next;
  }

  // Beginning -----------------------------------------------------------------------------------

  void begin() noexcept {
    flow().task = event_.task;
    flow().holder = event_.entropy == 0 ? 1 : event_.entropy;
    flow().min_validity = most(event_.min_validity, {0});
    flow().named = event_.generation;
    flow().cause = event_.cause;
    flow().at = flow().task == Task::login && event_.at.value == 0 ? now_ : event_.at;
    flow().give_up_at = now_.plus(policy_.patience);
    flow().answered = is_alarm();
    if (event_.seen == Seen::nothing) return refuse_for_now(now_.plus(policy_.back_off));
    is_corrupt_ = event_.seen == Seen::corrupt || !is_sound(row_);
    if (is_corrupt_) return corrupt();
    go_on();
  }

  void go_on() noexcept {
    switch (flow().task) {
    case Task::login: return login();
    case Task::revoke: return revoke();
    case Task::disconnect:
    case Task::erase: return disconnect();
    case Task::rotate:
    case Task::report_rejected: return named();
    case Task::fetch:
    case Task::alarm: return decide();
    case Task::none: return end();
    }
  }

  void corrupt() noexcept {
    notify(News::corrupt);
    if (flow().task == Task::login) return login();
    if (flow().task == Task::erase) {
      flow().receipt = {false, false, Reason::corrupt};
      return persist(Row{}, Blobs::wipe, Phase::ending);
    }
    if (flow().phase == Phase::storing) serve_unstored();
    refuse(Outcome::corrupt, Cause::none, now_);
  }

  // A token -------------------------------------------------------------------------------------

  void named() noexcept {
    const bool rejected = flow().task == Task::report_rejected;
    const Millis age = between(row_.obtained_at, now_);
    const bool lags = rejected && age.value >= 0 && age.value < traits_.lag.value;
    flow().forced = false;
    if (is_usable() && ((!is_named() && !flow().waited) || lags)) return serve(Source::stored);
    flow().forced = true;
    decide();
  }

  void decide() noexcept {
    switch (row_.status) {
    case Status::absent: return refuse(Outcome::not_connected, Cause::none, now_);
    case Status::live: return decide_live();
    case Status::reconnect_required:
      if (is_usable()) return serve(Source::kept);
      if (is_news()) return settle(Settle::mark);
      return refuse(Outcome::reconnect_required, row_.cause, now_);
    case Status::revoked: break;
    }
    const bool ours = row_.cause == Cause::disconnected || row_.cause == Cause::erased;
    refuse(ours ? Outcome::not_connected : Outcome::revoked, row_.cause, now_);
  }

  void decide_live() noexcept {
    if (is_alarm()) {
      const bool due = doubt() != Doubt::none || (policy_.proactive && !is_fresh());
      if (!is_leased() && !due) return rest();
    } else if (is_fresh()) {
      return serve(flow().waited ? Source::joined : Source::stored);
    }
    if (!row_.has_refresh) return cannot_refresh();
    if (is_busy()) return wait_until(busy_until(), true);
    if (is_news() && is_cooling()) return settle(Settle::mark);
    if (is_cooling()) return wait_until(row_.cool_down.next_attempt_at, false);
    if (!flow().answered && is_out_of_patience()) return wait_until(now_, false);
    if (flow().answered && flow().attempted && !is_alarm()) return end();
    attempt();
  }

  /// An alarm found nothing to do.
  void rest() noexcept {
    if (policy_.proactive && row_.has_refresh && row_.access_expires_at != never) {
      // With exactly the window left a token is still fresh.
      arm(row_.access_expires_at.plus({1 - near_expiry(row_, policy_).value}));
    }
    end();
  }

  void cannot_refresh() noexcept {
    if (is_usable() || is_alarm()) return serve(Source::kept);
    if (flow().task == Task::report_rejected && is_named()) {
      flow().cause = Cause::token_rejected;
      return settle(Settle::dead);
    }
    refuse(Outcome::reconnect_required, Cause::no_refresh_token, now_);
  }

  void wait_until(UnixMillis at, bool may_be_sooner) noexcept {
    if (is_alarm()) arm(at);
    if (flow().answered) return end();
    if (is_good()) return serve(Source::kept);
    if (is_out_of_patience() || (!may_be_sooner && at.value > flow().give_up_at.value)) {
      if (is_usable()) return serve(Source::kept);
      return refuse_for_now(at);
    }
    UnixMillis until = earlier(at, flow().give_up_at);
    if (may_be_sooner && policy_.poll.value > 0) until = earlier(until, now_.plus(policy_.poll));
    flow().waited = true;
    ask(EffectKind::wait, Phase::waiting, until);
  }

  void attempt() noexcept {
    bool probe = false;
    if (doubt() != Doubt::none) {
      if (row_.intent.open) notify(News::in_doubt);
      switch (rotation_now(row_, now_, traits_, policy_)) {
      case Rotation::none:
      case Rotation::grace_same:
      case Rotation::grace_new: break;
      case Rotation::strict_refused:
        probe = row_.intent.probes < policy_.max_probes;
        if (!probe) return lose();
        break;
      case Rotation::family_revoked: return lose();
      }
    }
    if (is_sent_often() && is_before(now_, rest_end(), policy_.rest)) return settle(Settle::rest);
    take_lease(probe);
  }

  [[nodiscard]] bool is_sent_often() const noexcept {
    return row_.cool_down.sends >= policy_.max_sends;
  }
  /// After an attempt that nobody rested after, because its process died.
  [[nodiscard]] UnixMillis rest_end() const noexcept {
    return row_.intent.deadline.plus(policy_.rest);
  }

  void lose() noexcept {
    flow().cause = Cause::lost_in_flight;
    settle(Settle::dead);
  }

  void take_lease(bool probe) noexcept {
    if (!is_ending() && is_good()) serve_and_go_on(Source::kept);
    const Doubt before = doubt();
    Row next = next_row();
    next.lease = {flow().holder, next.epoch, now_.plus(policy_.lease)};
    next.intent.doubt_epoch = row_.intent.open ? row_.intent.epoch : row_.intent.doubt_epoch;
    next.intent.epoch = next.epoch;
    next.intent.version_spent = row_.version;
    if (before == Doubt::none) next.intent.first_at = now_;
    next.intent.deadline = now_.plus(time_out_of(traits_, policy_));
    if (probe) next.intent.probes = one_more(next.intent.probes);
    next.intent.doubt = before;
    next.intent.open = true;
    next.intent.probe = probe;
    next.cool_down.sends = is_sent_often() ? 1 : one_more(next.cool_down.sends);
    flow().spent = generation();
    flow().epoch = next.epoch;
    arm(next.lease.deadline);
    persist(next, Blobs::keep, Phase::taking);
  }

  void send() noexcept {
    // The write may have taken most of the time there was; half of it is enough for a request.
    const Millis whole = time_out_of(traits_, policy_);
    const Millis rest = between(now_, row_.intent.deadline);
    if (rest.value < whole.value / 2 || rest.value > 2 * whole.value) {
      return settle(Settle::release);
    }
    flow().attempted = true;
    flow().at = now_;
    ask(EffectKind::send, Phase::sending, earlier(row_.intent.deadline, now_.plus(whole)));
    out_.effects.items[out_.effects.count - 1].probe = row_.intent.probe;
  }

  void answered() noexcept {
    flow().reply = event_.reply;
    flow().tries = 0;
    switch (event_.reply.kind) {
    case ReplyClass::ok: return store_pair();
    case ReplyClass::terminal:
      flow().cause = row_.intent.doubt != Doubt::none && traits_.rotation != Rotation::none
                         ? Cause::lost_in_flight
                         : Cause::refused;
      return settle(Settle::dead);
    case ReplyClass::transient:
    case ReplyClass::rate_limited:
    case ReplyClass::operator_error:
    case ReplyClass::not_understood: break;
    }
    settle(Settle::failure);
  }

  void store_pair() noexcept {
    flow().cause = row_.cause;
    persist(merge(row_, flow().reply.tokens, flow().at, flow().epoch, traits_),
            brings_refresh_token() ? Blobs::pair : Blobs::access, Phase::storing);
  }

  [[nodiscard]] bool brings_refresh_token() const noexcept {
    return flow().reply.tokens.has_refresh && !flow().reply.tokens.refresh_same;
  }

  void pair_stored() noexcept {
    notify(flow().cause == Cause::none ? News::refreshed : News::healed);
    if (!flow().reply.tokens.has_refresh && traits_.rotation != Rotation::none) {
      notify(News::refresh_token_missing);
    }
    if (is_ending()) return disconnect();
    if (is_alarm()) return rest();
    // A write can take longer than a token lives.
    if (!is_usable()) return go_on();
    serve(Source::refreshed);
  }

  enum class Fate : std::uint8_t { store, wait, drop };

  /// Of several successors of one token only the last is good, where they are not the same: a pair
  /// replaces those of earlier attempts and gives way to those of later ones. A successor that
  /// nobody got is made again with the token that is stored, if the next attempt is in the grace.
  [[nodiscard]] Fate fate() const noexcept {
    const bool unmoved = row_.version == flow().spent.version;
    if (traits_.rotation != Rotation::grace_new) return unmoved ? Fate::store : Fate::drop;
    if (!unmoved) {
      // One without a refresh token says nothing about the one that is stored.
      const bool later = row_.pair_epoch < flow().epoch && brings_refresh_token();
      return later ? Fate::store : Fate::drop;
    }
    const Intent& last = row_.intent;
    if ((last.open ? last.epoch : last.doubt_epoch) <= flow().epoch) return Fate::store;
    if (last.open && (flow().tries < policy_.max_tries || is_in_flight())) return Fate::wait;
    const UnixMillis next = is_cooling() ? row_.cool_down.next_attempt_at : now_;
    const bool in_grace = rotation_now(row_, next, traits_, policy_) == Rotation::grace_new;
    return in_grace ? Fate::drop : Fate::store;
  }

  /// The row is another than the pair was meant for.
  void pair_not_stored() noexcept {
    const bool standing = row_.status == Status::live || row_.status == Status::reconnect_required;
    if (row_.id != flow().spent.id || !standing) return discard();
    if (row_.pair_epoch == flow().epoch) return pair_stored();
    switch (fate()) {
    case Fate::store: return store_pair();
    case Fate::wait:
      // The store is there: what it failed before does not count.
      if (is_in_flight()) flow().tries = std::min(flow().tries, half(policy_.max_tries));
      return wait_again();
    case Fate::drop: break;
    }
    notify(News::lost_race);
    flow().waited = true;
    go_on();
  }

  /// A pair that came after a revocation or a login. A whole grant is not revoked for it: a login
  /// that is on its way may be part of the same grant.
  void discard() noexcept {
    notify(News::discarded);
    if (traits_.revocation != Revocation::token) return go_on();
    revoke_at_provider(Which::fresh, Phase::discarding);
  }

  // An attempt without a pair -------------------------------------------------------------------

  void settle(Settle what) noexcept {
    flow().settle = what;
    Row next = next_row();
    Blobs blobs = Blobs::keep;
    switch (what) {
    case Settle::release:
      revive(next);
      next.intent = close(row_.intent, Doubt::none, false);
      next.cool_down.sends = one_less(row_.cool_down.sends);
      give_back(next);
      break;
    case Settle::keep: give_back(next); break;
    case Settle::failure:
      revive(next);
      next.intent = close(row_.intent, flow().reply.doubt, is_unanswered());
      next.cool_down = cool_down();
      give_back(next);
      if (flow().reply.kind == ReplyClass::not_understood) {
        next.held = true;
        blobs = Blobs::hold;
      }
      break;
    case Settle::dead:
      // Given up without an answer, the intent stays: whoever made it may still know better.
      if (flow().phase == Phase::sending || is_latest()) next.intent = {};
      next.status = Status::reconnect_required;
      next.cause = flow().cause;
      next.ended_at = now_;
      give_back(next);
      break;
    case Settle::rest:
      next.cool_down = {earlier(rest_end(), now_.plus(policy_.rest)), row_.cool_down.failures, 0};
      break;
    case Settle::mark: break;
    }
    persist(next, blobs, Phase::settling);
  }

  /// Ends the lease, if it is this flow's or over.
  void give_back(Row& row) const noexcept {
    if (row_.lease.epoch == flow().epoch || !is_leased()) row.lease = {};
  }

  /// Somebody gave this version up because of an attempt that nobody knew the end of; now it is
  /// known.
  static void revive(Row& row) noexcept {
    if (row.status != Status::reconnect_required) return;
    row.status = Status::live;
    row.cause = Cause::none;
    row.ended_at = {};
  }

  [[nodiscard]] bool is_unanswered() const noexcept {
    return flow().reply.doubt == Doubt::silent || flow().reply.kind == ReplyClass::not_understood;
  }

  [[nodiscard]] CoolDown cool_down() const noexcept {
    CoolDown out = row_.cool_down;
    out.failures = one_more(out.failures);
    Millis away = most(back_off(out.failures, event_.entropy, policy_), flow().reply.retry_after);
    if (out.sends >= policy_.max_sends) {
      out.sends = 0;
      away = policy_.rest;
    }
    const UnixMillis next = now_.plus(least(away, policy_.rest));
    out.next_attempt_at = is_cooling() ? later(out.next_attempt_at, next) : next;
    return out;
  }

  void settled() noexcept {
    switch (flow().settle) {
    case Settle::failure: failed(); break;
    case Settle::dead:
      notify(row_.cause == Cause::lost_in_flight ? News::lost_in_flight : News::terminal);
      break;
    case Settle::keep: return done(flow().receipt);
    case Settle::release:
      if (flow().answered) return end();
      break;
    case Settle::rest:
    case Settle::mark: break;
    }
    go_on();
  }

  void failed() noexcept {
    switch (flow().reply.kind) {
    case ReplyClass::operator_error: notify(News::operator_error); break;
    case ReplyClass::not_understood: notify(News::not_understood); break;
    case ReplyClass::ok:
    case ReplyClass::terminal:
    case ReplyClass::transient:
    case ReplyClass::rate_limited: notify(News::transient); break;
    }
    if (doubt() != Doubt::none) notify(News::in_doubt);
  }

  void not_settled() noexcept {
    if (flow().settle == Settle::keep)
      return is_mine() ? settle(Settle::keep) : done(flow().receipt);
    const bool own = flow().settle == Settle::release || flow().settle == Settle::failure ||
                     flow().settle == Settle::dead;
    if (own && flow().epoch != 0 && is_latest()) return settle(flow().settle);
    const bool same = generation() == flow().spent;
    if (flow().settle == Settle::dead && same && row_.status == Status::reconnect_required) {
      return settled();
    }
    if (flow().attempted && !same) notify(News::lost_race);
    flow().waited = true;
    go_on();
  }

  // Answers of the store ------------------------------------------------------------------------

  void stored() noexcept {
    flow().tries = 0;
    switch (flow().phase) {
    case Phase::taking: return send();
    case Phase::storing: return pair_stored();
    case Phase::settling: return settled();
    case Phase::holding: return revoke_at_provider(Which::stored, Phase::revoking);
    case Phase::ending:
      flow().receipt.deleted = flow().task != Task::login;
      return done(flow().receipt);
    case Phase::begin:
    case Phase::waiting:
    case Phase::sending:
    case Phase::revoking:
    case Phase::discarding:
    case Phase::ended: break;
    }
  }

  void not_stored() noexcept {
    const bool certain = event_.kind == EventKind::store_failed;
    switch (flow().phase) {
    case Phase::taking:
    case Phase::holding:
      if (certain) return give_up();
      return look_again();
    case Phase::storing:
    case Phase::settling:
    case Phase::ending: return look_again();
    case Phase::begin:
    case Phase::waiting:
    case Phase::sending:
    case Phase::revoking:
    case Phase::discarding:
    case Phase::ended: break;
    }
  }

  /// The row as it is now: something else was there, or the driver was asked to look.
  void reread() noexcept {
    const Phase phase = flow().phase;
    const bool writes = phase == Phase::taking || phase == Phase::storing ||
                        phase == Phase::settling || phase == Phase::holding ||
                        phase == Phase::ending;
    if (!writes && (phase != Phase::waiting || event_.kind == EventKind::lost)) return;
    if (event_.seen == Seen::nothing) return look_again();
    is_corrupt_ = event_.seen == Seen::corrupt || !is_sound(row_);
    if (is_corrupt_) return corrupt();
    if (phase == Phase::taking && is_mine()) return send();
    if (phase == Phase::storing) return pair_not_stored();
    if (phase == Phase::settling) return not_settled();
    if (phase == Phase::holding && is_mine()) {
      return revoke_at_provider(Which::stored, Phase::revoking);
    }
    // The write of another has the epoch that this flow's would have had.
    if (phase == Phase::taking || phase == Phase::holding) flow().epoch = 0;
    go_on();
  }

  /// It is not known whether a write has happened, or it must happen: read and try again, sooner
  /// first. The driver reads when the time has come.
  void look_again() noexcept {
    if (flow().phase == Phase::storing) {
      if (flow().tries == 0) notify(News::persist_failed);
      serve_unstored();
    }
    if (flow().tries >= policy_.max_tries) return give_up();
    wait_again();
  }

  /// In the same phase, longer with every time.
  void wait_again() noexcept {
    const Millis delay = doubled(first_retry, flow().tries, policy_.max_back_off);
    flow().tries = one_more(flow().tries);
    ask(EffectKind::wait, flow().phase, now_.plus(delay));
  }

  void give_up() noexcept {
    if (!is_ending() && flow().task != Task::login && flow().task != Task::revoke && is_usable()) {
      return serve(Source::kept);
    }
    refuse_for_now(now_.plus(policy_.back_off));
  }

  // Login, revocation, disconnect, erasure ------------------------------------------------------

  void login() noexcept {
    const bool there = !is_corrupt_ && row_.id == flow().named.id;
    if (there && row_.status != Status::absent) return done({});
    // Another sign-in, and more than one write since: this one was stored and has been replaced.
    const bool other = row_.id != flow().spent.id && row_.status != Status::absent;
    if (flow().epoch != 0 && !is_corrupt_ && other && row_.epoch > flow().epoch) return done({});
    if (flow().named.id == no_lineage) return refuse_for_now(now_);
    if (flow().phase == Phase::begin) flow().reply = event_.reply;
    const Row next = log_in(flow().named.id, is_corrupt_ ? 0 : row_.epoch, flow().reply.tokens,
                            flow().at, traits_);
    flow().spent = generation();
    flow().epoch = next.epoch;
    persist(next, Blobs::login, Phase::ending);
  }

  void revoke() noexcept {
    const bool gone = row_.status == Status::absent || row_.status == Status::revoked;
    const bool other = flow().named.id != no_lineage && flow().named.id != row_.id;
    const bool older = flow().at.value > 0 && flow().at.value < row_.login_at.value;
    if (gone || other || older) return done({gone && flow().receipt.revoked, gone, Reason::none});
    const Cause cause =
        flow().cause < Cause::revoked_by_provider ? Cause::revoked_here : flow().cause;
    flow().receipt.revoked = cause == Cause::revoked_by_provider;
    persist(bury(row_, cause, now_), Blobs::wipe, Phase::ending);
  }

  void disconnect() noexcept {
    const bool erases = flow().task == Task::erase;
    const bool gone = row_.status == Status::absent || row_.status == Status::revoked;
    if (gone) {
      flow().receipt.deleted = true;
      return done(flow().receipt);
    }
    if (flow().named.id == no_lineage) flow().named.id = row_.id;
    if (!erases && flow().named.id != row_.id) {
      return done({flow().receipt.revoked, false, Reason::replaced});
    }
    if (is_out_of_patience() && !erases) return refuse_for_now(now_);
    if (is_leased() && !is_mine() && !is_out_of_patience()) return await_lease();
    if (traits_.revocation == Revocation::none) {
      flow().receipt.reason = Reason::unsupported;
      return bury_it();
    }
    if (traits_.revocation_needs_live && may_refresh()) return attempt();
    hold();
  }

  void await_lease() noexcept {
    UnixMillis until = earlier(row_.lease.deadline, flow().give_up_at);
    if (policy_.poll.value > 0) until = earlier(until, now_.plus(policy_.poll));
    ask(EffectKind::wait, Phase::waiting, until);
  }

  [[nodiscard]] bool may_refresh() const noexcept {
    return row_.status == Status::live && row_.has_refresh && !is_usable() && !flow().attempted &&
           !is_cooling() && (!is_leased() || is_mine()) && !is_in_flight();
  }

  void hold() noexcept {
    Row next = next_row();
    next.lease = {flow().holder, next.epoch, now_.plus(policy_.lease)};
    flow().spent = generation();
    flow().epoch = next.epoch;
    persist(next, Blobs::keep, Phase::holding);
  }

  void revoke_at_provider(Which token, Phase phase) noexcept {
    ask(EffectKind::revoke_at_provider, phase, now_.plus(time_out_of(traits_, policy_)));
    out_.effects.items[out_.effects.count - 1].token = token;
  }

  void revocation() noexcept {
    if (flow().phase == Phase::discarding) {
      if (flow().answered) return end();
      return ask(EffectKind::wait, Phase::waiting, now_);
    }
    if (flow().phase != Phase::revoking) return;
    bool gone = flow().task == Task::erase;
    switch (event_.revoked) {
    case Revoked::done:
      flow().receipt = {true, false, Reason::none};
      gone = true;
      break;
    case Revoked::unsupported:
      flow().receipt = {false, false, Reason::unsupported};
      gone = true;
      break;
    case Revoked::refused:
      flow().receipt = {false, false, Reason::refused};
      if (may_refresh()) return attempt();
      // It refuses a token that is dead by all that is known.
      gone = gone || (row_.status == Status::reconnect_required && !is_usable());
      break;
    case Revoked::unreachable: flow().receipt = {false, false, Reason::unreachable}; break;
    }
    if (gone) return bury_it();
    settle(Settle::keep);
  }

  void bury_it() noexcept {
    const Cause cause = flow().task == Task::erase ? Cause::erased : Cause::disconnected;
    persist(bury(row_, cause, now_), Blobs::wipe, Phase::ending);
  }

  const Row& row_;
  const Event& event_;
  UnixMillis now_;
  const Traits& traits_;
  const Policy& policy_;
  Step out_{};
  bool is_corrupt_{false};
};

// The bytes of a row and of a flow ----------------------------------------------------------------

constexpr std::uint8_t format = 1;
/// Another than that of a row, so that neither is read as the other.
constexpr std::uint8_t flow_format = 0xf1;

/// Bytes that lie together in an object, and stand like that in its encoding; 0: one bool.
struct Piece {
  std::uint8_t at;
  std::uint8_t size;
};
using Pieces = std::span<const Piece>;

constexpr Piece row_pieces[] = {
    {offsetof(Row, id), 16 + 9 * 8},   {offsetof(Row, lease), 3 * 8},
    {offsetof(Row, intent), 5 * 8},    {offsetof(Row, intent.probes), 2},
    {offsetof(Row, intent.open), 0},   {offsetof(Row, intent.probe), 0},
    {offsetof(Row, cool_down), 8 + 2}, {offsetof(Row, status), 2},
    {offsetof(Row, has_refresh), 0},   {offsetof(Row, rejected), 0},
    {offsetof(Row, held), 0},
};
constexpr Piece flow_pieces[] = {
    {offsetof(Flow, task), 5},
    {offsetof(Flow, answered), 0},
    {offsetof(Flow, forced), 0},
    {offsetof(Flow, attempted), 0},
    {offsetof(Flow, waited), 0},
    {offsetof(Flow, min_validity), 5 * 8 + 2 * (16 + 8) + (16 + 8 + 8)},
    {offsetof(Flow, condition.corrupt), 0},
    {offsetof(Flow, reply), 2},
    {offsetof(Flow, reply.retry_after), 3 * 8},
    {offsetof(Flow, reply.tokens.has_refresh), 0},
    {offsetof(Flow, reply.tokens.refresh_same), 0},
    {offsetof(Flow, reply.tokens.has_scope), 0},
    {offsetof(Flow, receipt.revoked), 0},
    {offsetof(Flow, receipt.deleted), 0},
    {offsetof(Flow, receipt.reason), 1},
};

/// Of an encoding: the format number and the pieces.
constexpr std::size_t size_of(Pieces pieces) noexcept {
  std::size_t size = 1;
  for (const Piece piece : pieces) size += piece.size == 0 ? 1U : piece.size;
  return size;
}
// A new member is either in a piece or changes one of these.
static_assert(size_of(row_pieces) == row_size && sizeof(Row) == 184);
static_assert(size_of(flow_pieces) == flow_size && sizeof(Flow) == 192);
static_assert(std::endian::native == std::endian::little);

void write(const void* object, Pieces pieces, std::uint8_t* out) noexcept {
  for (const Piece piece : pieces) {
    const std::size_t size = piece.size == 0 ? 1U : piece.size;
    std::memcpy(out, static_cast<const std::uint8_t*>(object) + piece.at, size);
    out += size;
  }
}

/// @return false for a bool that is neither.
bool read(void* object, Pieces pieces, const std::uint8_t* in) noexcept {
  for (const Piece piece : pieces) {
    const std::size_t size = piece.size == 0 ? 1U : piece.size;
    if (piece.size == 0 && *in > 1) return false;
    std::memcpy(static_cast<std::uint8_t*>(object) + piece.at, in, size);
    in += size;
  }
  return true;
}

bool is_time(UnixMillis at) noexcept { return at.value >= 0 && at.value <= UnixMillis::max; }

bool has_sound_times(const Row& row) noexcept {
  for (const UnixMillis at :
       {row.login_at, row.obtained_at, row.access_expires_at, row.refresh_expires_at,
        row.absolute_expires_at, row.ended_at, row.lease.deadline, row.intent.first_at,
        row.intent.deadline, row.cool_down.next_attempt_at}) {
    if (!is_time(at)) return false;
  }
  return true;
}

bool has_sound_counters(const Row& row) noexcept {
  return row.epoch >= 1 && row.epoch < max_counter && row.version >= 1 &&
         row.version < max_counter && row.pair_epoch <= row.epoch && row.lease.epoch <= row.epoch &&
         row.intent.epoch <= row.epoch;
}

bool has_sound_intent(const Row& row) noexcept {
  const Intent& intent = row.intent;
  if (intent.epoch == 0) {
    return !intent.open && !intent.probe && intent.probes == 0 && intent.doubt == Doubt::none;
  }
  return intent.version_spent == row.version && intent.doubt_epoch <= intent.epoch &&
         intent.doubt <= Doubt::silent && (intent.open || !intent.probe);
}

/// Why reconnecting is necessary.
bool is_of_death(Cause cause) noexcept {
  return cause >= Cause::refused && cause <= Cause::token_rejected;
}

bool has_sound_end(const Row& row) noexcept {
  switch (row.status) {
  case Status::absent: return false;
  case Status::live: return row.cause == Cause::none;
  case Status::reconnect_required: return is_of_death(row.cause);
  case Status::revoked:
    return row.cause >= Cause::revoked_by_provider && row.cause <= Cause::erased &&
           !row.has_refresh && !row.held && row.lease.holder == 0 && row.intent.epoch == 0;
  }
  return false;
}

bool is_sound(const Flow& flow) noexcept {
  const bool dies = flow.phase == Phase::settling && flow.settle == Settle::dead;
  if (dies && !is_of_death(flow.cause)) return false;
  // An alarm has no caller who could be answered.
  if (flow.task == Task::alarm && !flow.answered) return false;
  return flow.task <= Task::erase && flow.phase <= Phase::ended && flow.settle <= Settle::keep &&
         flow.cause <= Cause::erased && flow.min_validity.value >= 0 && is_time(flow.give_up_at) &&
         is_time(flow.at) && flow.epoch < max_counter && flow.spent.version < max_counter &&
         flow.condition.generation.version < max_counter && flow.condition.epoch < max_counter &&
         flow.reply.kind >= ReplyClass::ok && flow.reply.kind <= ReplyClass::not_understood &&
         flow.reply.doubt <= Doubt::silent && flow.receipt.reason <= Reason::corrupt;
}

// Lengths of time ---------------------------------------------------------------------------------

bool is_length(Millis length, std::int64_t from) noexcept {
  return length.value >= from && length.value <= longest.value;
}

bool is_sane(const Policy& policy) noexcept {
  return is_length(policy.window, 0) && is_length(policy.jitter, 0) &&
         policy.jitter.value <= policy.window.value && is_length(policy.time_out, 1) &&
         is_length(policy.lease, 1) && is_length(policy.patience, 0) && is_length(policy.poll, 0) &&
         is_length(policy.back_off, 1) && is_length(policy.max_back_off, policy.back_off.value) &&
         is_length(policy.rest, policy.max_back_off.value) && policy.max_sends > 0 &&
         policy.max_probes < policy.max_sends && policy.max_tries > 0;
}

bool is_sane(const Traits& traits) noexcept {
  for (const Millis length :
       {traits.grace, traits.access_lifetime, traits.max_access_lifetime, traits.refresh_idle,
        traits.refresh_absolute, traits.time_out, traits.lag}) {
    if (!is_length(length, 0)) return false;
  }
  return traits.rotation <= Rotation::family_revoked && traits.revocation <= Revocation::grant &&
         (traits.after_grace == Rotation::strict_refused ||
          traits.after_grace == Rotation::family_revoked);
}

}  // namespace

Result<void> admit(const Contract& contract, const Policy& policy, const Traits* traits) noexcept {
  if (traits == nullptr) return Errc::provider_unknown;
  const bool fit = contract.cas && contract.strong_read && !contract.negative_cache &&
                   contract.max_value >= min_value;
  if (!fit) return Errc::store_unfit;
  if (!is_sane(policy) || !is_sane(*traits)) return Errc::config_invalid;
  if (policy.lease.value <= time_out_of(*traits, policy).value) return Errc::lease_too_short;
  return {};
}

bool is_sound(const Row& row) noexcept {
  if (row.status == Status::absent) {
    return row.id == no_lineage && row.version == 0 && row.epoch == 0;
  }
  return row.id != no_lineage && has_sound_times(row) && has_sound_counters(row) &&
         has_sound_intent(row) && has_sound_end(row);
}

void encode(const Row& row, std::span<std::uint8_t, row_size> out) noexcept {
  out[0] = format;
  write(&row, row_pieces, out.data() + 1);
}

Result<Row> decode(Bytes bytes) noexcept {
  if (bytes.size() != row_size || bytes[0] != format) return Errc::corrupt;
  Row row;
  if (!read(&row, row_pieces, bytes.data() + 1) || !is_sound(row)) return Errc::corrupt;
  return row;
}

void encode(const Flow& flow, std::span<std::uint8_t, flow_size> out) noexcept {
  out[0] = flow_format;
  write(&flow, flow_pieces, out.data() + 1);
}

Result<Flow> decode_flow(Bytes bytes) noexcept {
  if (bytes.size() != flow_size || bytes[0] != flow_format) return Errc::corrupt;
  Flow flow;
  if (!read(&flow, flow_pieces, bytes.data() + 1) || !is_sound(flow)) return Errc::corrupt;
  if (flow.phase != Phase::begin) return flow;
  std::uint8_t unbegun[flow_size];
  encode(Flow{}, unbegun);
  if (std::memcmp(bytes.data(), unbegun, flow_size) != 0) return Errc::corrupt;
  return flow;
}

Row merge(const Row& row, const Tokens& tokens, UnixMillis asked_at, std::uint64_t epoch,
          const Traits& traits) noexcept {
  Row out = row;
  ++out.version;
  ++out.epoch;
  out.pair_epoch = epoch;
  out.obtained_at = asked_at;
  out.access_expires_at = access_end(tokens, asked_at, traits);
  out.refresh_expires_at = refresh_end(row, tokens, asked_at, traits);
  out.ended_at = {};
  out.lease = {};
  out.intent = {};
  out.cool_down = {};
  out.status = Status::live;
  out.cause = Cause::none;
  out.has_refresh = row.has_refresh || tokens.has_refresh;
  out.rejected = false;
  out.held = false;
  return out;
}

Millis near_expiry(const Row& row, const Policy& policy) noexcept {
  std::int64_t share = 0;
  for (unsigned i = 0; i < 4; ++i) share = share << 8 | row.id.bytes[i];
  const Millis window{policy.window.value - share % (policy.jitter.value + 1)};
  return least(window, {between(row.obtained_at, row.access_expires_at).value / 2});
}

Millis back_off(std::uint8_t failures, std::uint64_t entropy, const Policy& policy) noexcept {
  const Millis whole =
      doubled(policy.back_off, failures > 0 ? failures - 1U : 0U, policy.max_back_off);
  const std::int64_t half = whole.value / 2;
  const auto span = static_cast<std::uint64_t>(whole.value - half) + 1;
  return {half + static_cast<std::int64_t>(entropy % span)};
}

bool is_leased(const Row& row, UnixMillis now, const Policy& policy) noexcept {
  return row.lease.holder != 0 && is_before(now, row.lease.deadline, policy.lease);
}

Doubt doubt_of(const Row& row, UnixMillis now, const Policy& policy) noexcept {
  const bool under_way = (is_leased(row, now, policy) && row.lease.epoch == row.intent.epoch) ||
                         is_in_flight(row, now, policy);
  return row.intent.open && !under_way ? Doubt::silent : row.intent.doubt;
}

Step step(const Row& row, const Flow& flow, const Event& event, UnixMillis now,
          const Traits& traits, const Policy& policy) noexcept {
  return Turn{row, flow, event, now, traits, policy}.take();
}

Standing standing(const Row& row, UnixMillis now) noexcept {
  switch (row.status) {
  case Status::absent: return Standing::not_connected;
  case Status::live:
    if (row.intent.open && row.lease.deadline.value > now.value) return Standing::refreshing;
    if (!row.has_refresh && (row.rejected || row.access_expires_at.value <= now.value)) {
      return Standing::reconnect_required;
    }
    return Standing::connected;
  case Status::reconnect_required: return Standing::reconnect_required;
  case Status::revoked: break;
  }
  const bool ours = row.cause == Cause::disconnected || row.cause == Cause::erased;
  return ours ? Standing::disconnected : Standing::revoked;
}

UnixMillis ends_at(const Row& row) noexcept {
  if (row.status != Status::live) return never;
  const auto access = row.access_expires_at;
  const auto refresh = row.refresh_expires_at;
  return row.has_refresh && refresh.value > access.value ? refresh : access;
}

Errc to_errc(Outcome outcome) noexcept {
  switch (outcome) {
  case Outcome::ok: return Errc::ok;
  case Outcome::not_connected: return Errc::not_connected;
  case Outcome::revoked: return Errc::revoked;
  case Outcome::reconnect_required: return Errc::reconnect_required;
  case Outcome::temporarily_unavailable: return Errc::temporarily_unavailable;
  case Outcome::corrupt: break;
  }
  return Errc::corrupt;
}

}  // namespace latchkey::refresh
