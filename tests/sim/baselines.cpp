#include "baselines.hpp"

namespace latchkey::sim {

using namespace refresh;

namespace {

/// What sets the four apart.
struct Rules {
  Millis lease{0};  ///< 0: none
  bool rereads{false};  ///< after a refusal: whoever was first has won
  bool careful_death{false};  ///< only a row that has not moved is called dead
  bool cas_on_expiry{false};
};

constexpr Millis request_time_out{
    30'000};  ///< an HTTP client's own; nobody derives it from a lease
constexpr Millis poll{250};

/// One step of a protocol without epochs and intents.
class Simple {
public:
  Simple(const Row& row, const Flow& flow, const Event& event, UnixMillis now, const Traits& traits,
         const Policy& policy, const Rules& rules) noexcept
      : row_{row}, event_{event}, now_{now}, traits_{traits}, policy_{policy}, rules_{rules} {
    out_.row = row;
    out_.flow = flow;
  }

  [[nodiscard]] Step take() noexcept {
    switch (event_.kind) {
    case EventKind::begin: begin(); break;
    case EventKind::row_read: decide(); break;
    case EventKind::reply: replied(); break;
    case EventKind::stored: stored(); break;
    case EventKind::lost: lost(); break;
    case EventKind::store_failed:
    case EventKind::store_unknown: refuse(Outcome::temporarily_unavailable); break;
    case EventKind::none:
    case EventKind::revocation: end(); break;
    }
    return out_;
  }

private:
  Flow& flow() noexcept { return out_.flow; }
  void end() noexcept { flow().phase = Phase::ended; }
  Effect& add(EffectKind kind) noexcept {
    Effect& effect = out_.effects.items[out_.effects.count++];
    effect.kind = kind;
    return effect;
  }
  void serve(Which token) noexcept {
    Effect& effect = add(EffectKind::serve);
    effect.token = token;
    effect.source = token == Which::fresh ? Source::refreshed : Source::stored;
    effect.generation = {row_.id, row_.version};
    end();
  }
  void refuse(Outcome outcome) noexcept {
    Effect& effect = add(EffectKind::refuse);
    effect.outcome = outcome;
    effect.cause = row_.cause;
    end();
  }
  void write(const Row& row, Blobs blobs, Phase phase, std::uint64_t compares) noexcept {
    out_.row = row;
    ++out_.row.epoch;
    Effect& effect = add(EffectKind::persist);
    effect.blobs = blobs;
    effect.condition.epoch = compares;
    flow().phase = phase;
  }

  void begin() noexcept {
    flow().task = event_.task;
    flow().holder = event_.entropy == 0 ? 1 : event_.entropy;
    flow().give_up_at = now_.plus(policy_.patience);
    if (event_.task == Task::login) {
      Row row;
      row.id = event_.generation.id;
      row.epoch = row_.epoch;
      row.login_at = now_;
      row.refresh_expires_at = never;
      row.absolute_expires_at = never;
      return write(merge(row, event_.reply.tokens, now_, 0, traits_), Blobs::login, Phase::ending,
                   any_epoch);
    }
    if (event_.task == Task::fetch) return decide();
    end();
  }

  void decide() noexcept {
    if (event_.seen != Seen::row) return refuse(Outcome::temporarily_unavailable);
    if (row_.status == Status::absent) return refuse(Outcome::not_connected);
    if (row_.status != Status::live) return refuse(Outcome::reconnect_required);
    const std::int64_t left = row_.access_expires_at.value - now_.value;
    if (left >= near_expiry(row_, policy_).value) return serve(Which::stored);
    if (rules_.lease.value == 0) return send();
    if (row_.lease.holder != 0 && row_.lease.deadline.value > now_.value) return wait();
    Row row = row_;
    row.lease = {flow().holder, row_.epoch + 1, now_.plus(rules_.lease)};
    out_.row = row;
    ++out_.row.epoch;
    Effect& effect = add(EffectKind::persist);
    effect.condition = {{row_.id, row_.version}, row_.epoch, false};
    flow().phase = Phase::taking;
  }

  void wait() noexcept {
    if (now_.value >= flow().give_up_at.value) return refuse(Outcome::temporarily_unavailable);
    add(EffectKind::wait).at = now_.plus(poll);
    flow().phase = Phase::waiting;
  }

  void send() noexcept {
    flow().at = now_;
    flow().spent = {row_.id, row_.version};
    add(EffectKind::send).at = now_.plus(request_time_out);
    flow().phase = Phase::sending;
  }

  void replied() noexcept {
    flow().reply = event_.reply;
    switch (event_.reply.kind) {
    case ReplyClass::ok: {
      const Tokens& tokens = event_.reply.tokens;
      const bool both = tokens.has_refresh && !tokens.refresh_same;
      return write(merge(row_, tokens, flow().at, 0, traits_), both ? Blobs::pair : Blobs::access,
                   Phase::storing, rules_.cas_on_expiry ? same_expiry : any_epoch);
    }
    case ReplyClass::terminal:
      if (rules_.rereads) {
        add(EffectKind::wait).at = now_;
        flow().phase = Phase::waiting;
        flow().attempted = true;
        return;
      }
      return die();
    case ReplyClass::transient:
    case ReplyClass::rate_limited:
    case ReplyClass::operator_error:
    case ReplyClass::not_understood: return fail();
    }
  }
  void fail() noexcept {
    if (row_.access_expires_at.value > now_.value) return serve(Which::stored);
    refuse(Outcome::temporarily_unavailable);
  }

  void die() noexcept {
    Row row = row_;
    row.status = Status::reconnect_required;
    row.cause = Cause::refused;
    row.ended_at = now_;
    row.lease = {};
    write(row, Blobs::keep, Phase::settling,
          rules_.cas_on_expiry || rules_.careful_death ? same_version : any_epoch);
  }

  void stored() noexcept {
    switch (flow().phase) {
    case Phase::taking: return send();
    case Phase::storing: return serve(Which::stored);
    case Phase::settling: return refuse(Outcome::reconnect_required);
    case Phase::ending: add(EffectKind::done); return end();
    case Phase::begin:
    case Phase::waiting:
    case Phase::sending:
    case Phase::holding:
    case Phase::revoking:
    case Phase::discarding:
    case Phase::ended: return end();
    }
  }

  /// Somebody else wrote: theirs counts.
  void lost() noexcept {
    if (flow().phase == Phase::taking) return wait();
    if (row_.status == Status::live && row_.access_expires_at.value > now_.value) {
      return serve(Which::stored);
    }
    refuse(Outcome::reconnect_required);
  }

  const Row& row_;
  const Event& event_;
  UnixMillis now_;
  const Traits& traits_;
  const Policy& policy_;
  const Rules& rules_;
  Step out_{};
};

Step run(const Row& row, const Flow& flow, const Event& event, UnixMillis now, const Traits& traits,
         const Policy& policy, const Rules& rules) noexcept {
  return Simple{row, flow, event, now, traits, policy, rules}.take();
}

Step no_lock(const Row& row, const Flow& flow, const Event& event, UnixMillis now,
             const Traits& traits, const Policy& policy) noexcept {
  return run(row, flow, event, now, traits, policy, {});
}

Step lease_of_2_s(const Row& row, const Flow& flow, const Event& event, UnixMillis now,
                  const Traits& traits, const Policy& policy) noexcept {
  return run(row, flow, event, now, traits, policy, {.lease = {2'000}});
}

Step lease_of_10_s(const Row& row, const Flow& flow, const Event& event, UnixMillis now,
                   const Traits& traits, const Policy& policy) noexcept {
  return run(row, flow, event, now, traits, policy, {.lease = {10'000}});
}

/// A refusal is believed only when the row has not moved.
Step reread(const Row& row, const Flow& flow, const Event& event, UnixMillis now,
            const Traits& traits, const Policy& policy) noexcept {
  const Rules rules{.rereads = true};
  const bool refused = event.kind == EventKind::row_read && flow.attempted;
  const bool unmoved = row.id == flow.spent.id && row.version == flow.spent.version;
  if (!refused || !unmoved || row.status != Status::live) {
    return run(row, flow, event, now, traits, policy, rules);
  }
  Event refusal = event;
  refusal.kind = EventKind::reply;
  refusal.reply = {ReplyClass::terminal, Doubt::none, {}, {}};
  return run(row, flow, refusal, now, traits, policy, {.careful_death = true});
}

Step cas_on_expiry(const Row& row, const Flow& flow, const Event& event, UnixMillis now,
                   const Traits& traits, const Policy& policy) noexcept {
  return run(row, flow, event, now, traits, policy, {.cas_on_expiry = true});
}

constexpr Baseline baselines[baseline_count] = {
    {"no lock", "Auth.js recipe, openid-client, simple-oauth2", no_lock},
    {"TTL lease, 2 s", "oauth2-proxy with Redis", lease_of_2_s},
    {"TTL lease, 10 s", "Nango", lease_of_10_s},
    {"re-read after refusal", "coder across replicas", reread},
    {"CAS on expiry", "recipes for SQL stores", cas_on_expiry},
};

}  // namespace

const Baseline& baseline(std::size_t i) noexcept { return baselines[i]; }

}  // namespace latchkey::sim
