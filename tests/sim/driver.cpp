// The driver of a flow, with the network and the store it talks to.
#include "world.hpp"

#include <algorithm>

namespace latchkey::sim {

using namespace refresh;

// Beginning and ending ---------------------------------------------------------------------------

void World::spawn(const Spawn& spawn) {
  std::uint8_t who = 0;
  while (who < max_agents && agents_[who].used) ++who;
  if (who == max_agents) return;

  Agent& agent = agents_[who];
  const std::uint32_t ticket = agent.ticket + 1;
  agent = {};
  agent.used = true;
  agent.ticket = ticket;
  agent.connection = spawn.connection;
  agent.final_check = spawn.final_check;
  agent.may_ask_again = spawn.may_ask_again;
  agent.subject = spawn.subject;
  agent.named = spawn.named;
  agent.start = spawn.event;
  agent.fresh = spawn.fresh;
  agent.started = now_;
  if (config_.store == StoreKind::durable_object) {
    agent.isolate = now_ < twin_until_ && random_.chance(5000) ? 1 : 0;
  } else {
    agent.isolate = static_cast<std::uint8_t>(random_.below(config_.isolates));
  }
  agent.start.kind = EventKind::begin;
  agent.start.entropy = entropy(agent.isolate);

  const Connection& c = connections_[agent.connection];
  if (c.stored.present) {
    agent.floor_order = lineage_of(c.stored.row.id).order;
    agent.floor_version = c.stored.row.version;
    agent.floor_dead = is_ended(c.stored);
  }
  const Generation current{c.stored.row.id, c.stored.row.version};
  agent.stale = !(agent.start.generation == current);
  const bool waits = agent.start.task != Task::alarm;
  if (waits) ++counts_[Count::callers];
  note(What::begin, who, agent.connection, static_cast<std::uint8_t>(agent.start.task),
       agent.isolate);
  if (has(Bug::failure_poisons) && poisoned_[agent.isolate] && waits) {
    Effect effect;
    effect.kind = EffectKind::refuse;
    effect.outcome = Outcome::temporarily_unavailable;
    refuse(who, effect);
    return finish(who);
  }
  read(who, 0);
}

void World::finish(std::uint8_t who) {
  Agent& agent = agents_[who];
  if (!agent.answered && agent.start.task != Task::alarm) {
    violate(Invariant::liveness, "a flow ended without an answer", agent.connection);
  }
  Request& request = requests_[agent.request];
  if (request.acted && agent.flow.tries >= config_.policy.max_tries) end(request, Fate::gave_up);
  agent.used = false;
  ++agent.ticket;
}

std::uint64_t World::entropy(std::uint8_t isolate) noexcept {
  return (random_.next() & ~7ULL) | isolate;
}

// Reading ----------------------------------------------------------------------------------------

void World::read(std::uint8_t who, Time delay) {
  schedule(delay, Move::read, who, question(agents_[who]));
}

bool World::is_readable(const Stored& stored, std::uint8_t isolate) const noexcept {
  return stored.key <= opens_[isolate];
}

/// Puts what the store says into the answer. A record sealed with a key that this isolate does not
/// know yet is one that it cannot read now; a record that does not open is corrupt.
void World::answer_with_row(Agent& agent, const Stored& stored, EventKind kind) {
  agent.answer = {};
  agent.answer.kind = kind;
  agent.answer_has_row = true;
  agent.answer_row = stored.present ? stored.row : Row{};
  agent.answer_tokens = stored.tokens;
  if (!is_readable(stored, agent.isolate)) {
    agent.answer.seen = Seen::nothing;
    ++agent.store_faults;
  } else if (stored.rotten) {
    agent.answer.seen = Seen::corrupt;
    agent.decay = stored.decay;
    connections_[agent.connection].rotten_at = now_;
  }
  if (agent.answer.seen != Seen::row) {
    agent.answer_row = {};
    agent.answer_tokens = {};
  }
}

void World::read_now(std::uint8_t who) {
  Agent& agent = agents_[who];
  Connection& c = connections_[agent.connection];
  const EventKind kind = agent.begun ? EventKind::row_read : EventKind::begin;
  const bool is_local = config_.store == StoreKind::durable_object;
  Time delay = is_local ? 0 : random_.between(1, 8);
  const bool down = now_ < down_until_;
  if (has(Bug::mirror_is_authority)) {
    answer_with_row(agent, c.mirror, kind);
  } else {
    answer_with_row(agent, c.stored, kind);
  }
  if (down || happens(Fault::read_failed)) {
    agent.answer.seen = Seen::nothing;
    agent.answer_row = {};
    agent.answer_tokens = {};
    ++agent.store_faults;
    delay += 50;
  }
  if (happens(Fault::slow_store)) delay += random_.between(200, 6'000);
  if (has(Bug::row_mixed_up) && config_.connections > 1 && random_.chance(300)) {
    agent.answer_tokens = connections_[1 - agent.connection].stored.tokens;
  }
  note(What::read, who, agent.connection, static_cast<std::uint8_t>(agent.answer.seen),
       agent.answer_row.version, agent.answer_row.epoch);
  schedule(delay, Move::answer, who, agent.ticket);
}

// Steps ------------------------------------------------------------------------------------------

void World::deliver(std::uint8_t who) {
  Agent& agent = agents_[who];
  question(agent);
  const Phase phase = agent.flow.phase;
  const bool stored = agent.answer.kind == EventKind::stored;
  if (stored && phase == Phase::taking && crashes(CrashPoint::intent_stored, who)) return;
  if (stored && phase == Phase::storing && crashes(CrashPoint::stored, who)) return;
  if (agent.start.task == Task::alarm && crashes(CrashPoint::in_alarm, who)) return;
  if (phase == Phase::ending && crashes(CrashPoint::in_ending, who)) return;
  if (stored && (phase == Phase::storing || phase == Phase::ending) && update_mirrors(who)) return;

  if (agent.answer_has_row) {
    agent.row = agent.answer_row;
    agent.tokens = agent.answer_tokens;
    agent.answer_has_row = false;
  }
  Event event = agent.answer;
  if (!agent.begun) {
    agent.begun = true;
    const Seen seen = event.seen;
    event = agent.start;
    event.seen = seen;
    if (event.task == Task::login && config_.facts.lifetime > 0) {
      // What is left of it: a driver knows when it asked.
      const Time end_of_first = provider_.access(agent.fresh.access).expires_at;
      event.reply.tokens.lifetime = {std::max<Time>(end_of_first - now_, 1)};
    }
    agent.floor_id = agent.row.id;
  }
  take(who, event);
}

void World::take(std::uint8_t who, const Event& event) {
  Agent& agent = agents_[who];
  ++counts_[Count::steps];
  if (++agent.steps > 2'000) {
    violate(Invariant::liveness, "a flow goes on for ever", agent.connection);
    agent.used = false;
    return;
  }
  const UnixMillis now = clock(agent.isolate);
  const Phase phase = agent.flow.phase;
  Step step;
  if (options_.bug == Bug::none) {
    step = options_.step(agent.row, agent.flow, event, now, config_.traits, config_.policy);
  } else {
    Call call{agent.row,     agent.flow,           event, config_.policy, now,
              agent.isolate, config_.errors_in_200};
    const BugInfo& bug = info(options_.bug);
    if (bug.before != nullptr) bug.before(call);
    step = options_.step(call.row, call.flow, call.event, now, config_.traits, call.policy);
    if (bug.after != nullptr) bug.after(call, step);
  }
  agent.flow = step.flow;
  note(What::step, who, agent.connection, static_cast<std::uint8_t>(event.kind),
       static_cast<std::uint64_t>(phase) | static_cast<std::uint64_t>(step.flow.phase) << 8,
       agent.row.version << 16 | agent.row.epoch);
  bool asks = false;
  for (const Effect& effect : step.effects) {
    switch (effect.kind) {
    case EffectKind::serve: serve(who, effect); break;
    case EffectKind::refuse: refuse(who, effect); break;
    case EffectKind::done: done(who, effect); break;
    case EffectKind::notify: notify(who, effect); break;
    case EffectKind::arm: arm(who, effect.at); break;
    case EffectKind::persist:
    case EffectKind::wait:
    case EffectKind::send:
    case EffectKind::revoke_at_provider:
      asks = true;
      ask(who, effect, step.row);
      break;
    }
  }
  if (!asks) finish(who);
}

void World::ask(std::uint8_t who, const Effect& effect, const Row& row) {
  Agent& agent = agents_[who];
  switch (effect.kind) {
  case EffectKind::persist: return persist(who, effect, row);
  case EffectKind::wait: {
    const Time length = std::clamp<Time>(effect.at.value - clock(agent.isolate).value, 0, 60'000);
    note(What::wait, who, agent.connection, 0, static_cast<std::uint64_t>(length));
    return read(who, length);
  }
  case EffectKind::send: return send(who, effect);
  case EffectKind::revoke_at_provider: return ask_to_revoke(who, effect);
  case EffectKind::serve:
  case EffectKind::refuse:
  case EffectKind::done:
  case EffectKind::notify:
  case EffectKind::arm: break;
  }
}

// Writing ----------------------------------------------------------------------------------------

void World::persist(std::uint8_t who, const Effect& effect, const Row& row) {
  Agent& agent = agents_[who];
  const Phase phase = agent.flow.phase;
  if (phase == Phase::taking && crashes(CrashPoint::before_intent, who)) return;
  if (phase == Phase::storing && crashes(CrashPoint::reply_understood, who)) return;

  Write write;
  write.who = who;
  write.connection = agent.connection;
  write.blobs = effect.blobs;
  write.ticket = question(agent);
  write.request = phase == Phase::storing || phase == Phase::settling ? agent.request : 0;
  write.key = seals_[agent.isolate];
  write.decay = agent.decay;
  write.task = agent.flow.task;
  write.condition = effect.condition;
  write.row = row;
  write.known = agent.row;
  write.fresh = agent.fresh;
  const Request& request = requests_[agent.request];
  write.keeps_answer = phase == Phase::settling && agent.flow.settle == Settle::failure &&
                       request.answered && request.reply.kind == ReplyClass::not_understood;
  write.subject = agent.subject;
  write.asked = agent.floor_id;
  note(What::write, who, agent.connection, static_cast<std::uint8_t>(effect.blobs), row.version,
       row.epoch);

  const bool is_local = config_.store == StoreKind::durable_object;
  Time delay = random_.between(is_local ? 0 : 1, is_local ? 1 : 8);
  if (happens(Fault::slow_store)) delay += random_.between(200, 6'000);
  bool reaches = true;
  bool twice = false;
  EventKind failure = EventKind::none;
  if (now_ < down_until_) {
    reaches = false;
    failure = random_.chance(5000) ? EventKind::store_failed : EventKind::store_unknown;
  } else if (happens(Fault::write_failed)) {
    reaches = false;
    failure = EventKind::store_failed;
  } else if (happens(Fault::unknown_unwritten)) {
    reaches = false;
    failure = EventKind::store_unknown;
  } else if (happens(Fault::unknown_written)) {
    write.answer = EventKind::store_unknown;
    ++agent.store_faults;
  } else if (happens(Fault::write_late)) {
    write.answers = false;
    failure = EventKind::store_unknown;
    delay += random_.between(1'000, 30'000);
  } else if (happens(Fault::write_doubled)) {
    twice = true;
  }
  writes_.push_back(write);
  const auto ref = static_cast<std::uint32_t>(writes_.size() - 1);
  agent.write = ref + 1;
  if (reaches) schedule(delay, Move::apply, 0, 0, ref);
  if (twice) schedule(delay + random_.between(1, 20'000), Move::apply, 0, 0, ref);
  if (failure != EventKind::none) {
    ++agent.store_faults;
    agent.answer = {};
    agent.answer.kind = failure;
    agent.answer_has_row = false;
    schedule(random_.between(5, 1'000), Move::answer, who, write.ticket);
  }
  if (phase == Phase::storing && reaches) (void)crashes(CrashPoint::write_issued, who);
}

bool World::holds(const Write& write, const Stored& stored) const noexcept {
  const Row& row = stored.row;
  switch (write.condition.epoch) {
  case any_epoch: return true;
  case same_second: return row.obtained_at.to_seconds() == write.known.obtained_at.to_seconds();
  case same_version: return row.version == write.known.version;
  case same_expiry: return row.access_expires_at == write.known.access_expires_at;
  default: break;
  }
  if (write.condition.corrupt) return stored.rotten && stored.decay == write.decay;
  if (stored.rotten) return false;
  if (!stored.present) return write.condition == Condition{};
  return write.condition.generation == Generation{row.id, row.version} &&
         write.condition.epoch == row.epoch;
}

void World::apply(std::uint32_t ref) {
  Write& write = writes_[ref];
  if (write.cancelled) return;
  Connection& c = connections_[write.connection];
  const Stored before = c.stored;
  const bool held = holds(write, before);
  const bool first = !write.applied;
  write.applied = true;
  if (held) {
    Stored& now = c.stored;
    now.row = write.row;
    now.present = !(write.row == Row{});
    now.rotten = false;
    now.key = write.key;
    now.held = write.row.held;
    switch (write.blobs) {
    case Blobs::keep:
    case Blobs::hold: break;
    case Blobs::pair:
    case Blobs::login: now.tokens = write.fresh; break;
    case Blobs::access: now.tokens.access = write.fresh.access; break;
    case Blobs::wipe: now.tokens = {}; break;
    }
    if (!write.row.has_refresh && write.blobs != Blobs::keep) now.tokens.refresh = 0;
    if (before.row.status != Status::live) c.not_live_at = now_;
    if (before.rotten) c.rotten_at = now_;
    note(What::applied, write.who, write.connection, static_cast<std::uint8_t>(write.blobs),
         write.row.version, write.row.epoch);
    audit_write(write, before, now);
    if (has(Bug::mirror_is_authority)) {
      schedule(random_.between(0, 60'000), Move::mirror, write.connection);
    }
  } else {
    note(What::unapplied, write.who, write.connection, 0, before.row.version, before.row.epoch);
  }

  Agent& agent = agents_[write.who];
  if (!first || !write.answers || !agent.used || agent.ticket != write.ticket) return;
  if (write.answer != EventKind::none) {
    agent.answer = {};
    agent.answer.kind = write.answer;
    agent.answer_has_row = false;
  } else {
    answer_with_row(agent, c.stored, held ? EventKind::stored : EventKind::lost);
    if (held) {
      // What this isolate wrote it can read.
      agent.answer.seen = Seen::row;
      agent.answer_row = write.row;
      agent.answer_tokens = c.stored.tokens;
    }
  }
  const bool is_local = config_.store == StoreKind::durable_object;
  schedule(random_.between(0, is_local ? 1 : 8), Move::answer, write.who, write.ticket);
}

/// The directory in D1 and its mirror in KV: for lists, never for tokens.
bool World::update_mirrors(std::uint8_t who) {
  const Agent& agent = agents_[who];
  Connection& c = connections_[agent.connection];
  if (crashes(CrashPoint::before_directory, who)) return true;
  const Row& row = agent.answer_row;
  const std::uint32_t order = lineage_of(row.id).order;
  if (order > c.directory_order || (order == c.directory_order && row.epoch > c.directory_epoch)) {
    c.directory_order = order;
    c.directory_epoch = row.epoch;
  }
  note(What::mirror, who, agent.connection, 0, row.version, row.epoch);
  if (crashes(CrashPoint::before_mirror, who)) return true;
  ++counts_[Count::mirror_writes];
  return false;
}

// A token request --------------------------------------------------------------------------------

void World::send(std::uint8_t who, const Effect& effect) {
  Agent& agent = agents_[who];
  audit_send(who, effect.probe);
  ++counts_[Count::sends];
  if (effect.probe) ++counts_[Count::probes];

  Request request;
  request.token = agent.tokens.refresh;
  request.ticket = question(agent);
  request.who = who;
  request.connection = agent.connection;
  request.probe = effect.probe;
  request.version = agent.row.version;
  request.reply = {ReplyClass::transient, Doubt::silent, {}, {}};
  const Time allowed = std::clamp<Time>(effect.at.value - clock(agent.isolate).value, 0, 60'000);
  request.deadline = now_ + allowed;

  constexpr Fault plans[] = {
      Fault::not_sent,        Fault::reset_before,    Fault::reply_lost,    Fault::slow,
      Fault::stall_before,    Fault::stall_after,     Fault::late_commit,   Fault::error_500_before,
      Fault::error_500_after, Fault::error_503,       Fault::error_429,     Fault::error_403,
      Fault::operator_error,  Fault::garbled_before,  Fault::garbled_after, Fault::expiry_missing,
      Fault::expiry_odd,      Fault::refresh_omitted,
  };
  // From a random place on, so that none hides behind another.
  const std::uint32_t from = random_.below(std::size(plans));
  for (std::size_t i = 0; i < std::size(plans) && request.plan == Fault::count_; ++i) {
    const Fault plan = plans[(from + i) % std::size(plans)];
    if (happens(plan)) request.plan = plan;
  }
  Time there = random_.between(30, 350);
  if (request.plan == Fault::slow) there += random_.between(2'000, 9'000);
  if (request.plan == Fault::late_commit) there = allowed + random_.between(1, 60'000);
  const bool reaches = request.plan != Fault::stall_before;
  request.pending = reaches;
  requests_.push_back(request);
  const auto ref = static_cast<std::uint32_t>(requests_.size() - 1);
  agent.request = ref;
  usage_of(request.token).request = ref;
  note(What::send, who, agent.connection, effect.probe ? 1 : 0, ref, request.token);
  if (reaches) schedule(there, Move::arrive, 0, 0, ref);
  schedule(allowed, Move::abort, 0, 0, ref);
  (void)crashes(CrashPoint::sent, who);
}

/// An answer that says nothing about the token, because it was not looked at; none: it will be.
bool World::turn_away(Request& request) {
  const Doubt of_5xx = config_.safe_5xx ? Doubt::none : Doubt::answered;
  const auto answer = [&](ReplyClass kind, Doubt doubt, Millis retry_after = {}) {
    request.reply = {kind, doubt, retry_after, {}};
    return true;
  };
  const Fault plan = request.plan;
  if (plan == Fault::not_sent) return answer(ReplyClass::transient, Doubt::none);
  if (plan == Fault::reset_before) return answer(ReplyClass::transient, Doubt::silent);
  if (plan == Fault::error_500_before) return answer(ReplyClass::transient, of_5xx);
  if (plan == Fault::error_503 || plan == Fault::error_429 || plan == Fault::error_403) {
    return answer(ReplyClass::rate_limited, Doubt::none, seconds(random_.between(0, 40)));
  }
  if (plan == Fault::operator_error) return answer(ReplyClass::operator_error, Doubt::none);
  if (plan == Fault::garbled_before) return answer(ReplyClass::not_understood, Doubt::answered);
  return false;
}

/// The provider does what it was asked, if it may.
void World::redeem(Request& request, std::uint32_t ref) {
  request.acted = true;
  const Fault plan = request.plan;
  const Redemption out = provider_.redeem(request.token, now_, ref, plan != Fault::refresh_omitted);
  note(What::commit, request.who, request.connection, out.replay ? 1 : 0, ref, out.pair.refresh);
  if (out.replay) ++counts_[Count::replays];
  if (out.killed) {
    ++counts_[Count::grants_killed];
    // What a provider does with a request long given up, or of a version before, nobody can help.
    const Time margin = config_.policy.lease.value - config_.policy.time_out.value;
    if (!request.over && is_of_this_version(request.token) && tolerance() < margin) {
      violate(Invariant::one_spend, "a second use of a token cost the grant", request.connection);
    }
  }
  if (out.ok) ++counts_[Count::redeemed];
  request.pair = out.pair;
  request.reply = {out.ok ? ReplyClass::ok : ReplyClass::terminal, Doubt::none, {}, {}};
  if (!out.ok) return;
  Tokens& tokens = request.reply.tokens;
  const Time end = provider_.access(out.pair.access).expires_at;
  tokens.lifetime = {end == forever ? 0 : end - now_};
  tokens.refresh_lifetime = {config_.facts.idle};
  tokens.has_refresh = out.rotated || (random_.chance(5000) && plan != Fault::refresh_omitted);
  tokens.refresh_same = tokens.has_refresh && !out.rotated;
  tokens.has_scope = random_.chance(5000);
  constexpr std::int64_t odd[] = {0, -1, -3'600'000, -UnixMillis::max};
  if (plan == Fault::expiry_missing) tokens.lifetime = {0};
  if (plan == Fault::expiry_odd) tokens.lifetime = {odd[random_.below(4)]};
}

void World::arrive(std::uint32_t ref) {
  Request& request = requests_[ref];
  request.pending = false;
  Time back = random_.between(5, 50);
  bool answers = true;
  if (!turn_away(request)) {
    redeem(request, ref);
    const auto instead = [&](Fate fate, ReplyClass kind, Doubt doubt) {
      end(request, fate);
      request.reply = {kind, doubt, {}, {}};
    };
    if (request.plan == Fault::reply_lost) {
      instead(Fate::no_reply, ReplyClass::transient, Doubt::silent);
      answers = random_.chance(5000);
    } else if (request.plan == Fault::error_500_after) {
      instead(Fate::answered, ReplyClass::transient, Doubt::answered);
    } else if (request.plan == Fault::garbled_after) {
      instead(Fate::garbled, ReplyClass::not_understood, Doubt::answered);
    } else if (request.plan == Fault::stall_after) {
      back = request.deadline - now_ + random_.between(1, 60'000);
    }
    const Agent& agent = agents_[request.who];
    const bool waits = agent.used && agent.ticket == request.ticket;
    if (waits && crashes(CrashPoint::committed, request.who)) return;
  }
  if (answers) schedule(back, Move::reply, 0, 0, ref);
}

void World::reply(std::uint32_t ref) {
  Request& request = requests_[ref];
  const Agent& agent = agents_[request.who];
  if (request.over || request.asking || !agent.used || agent.ticket != request.ticket) return;
  if (crashes(CrashPoint::reply_received, request.who)) return;
  asks_about(request) ? ask_about(ref) : conclude(ref);
}

/// Only behind an answer of the provider's own: behind silence the request may still be on its way.
bool World::asks_about(const Request& request) const noexcept {
  if (!config_.introspects || request.reply.kind != ReplyClass::transient) return false;
  const bool silent = has(Bug::introspects_silence) && request.reply.doubt == Doubt::silent;
  return request.reply.doubt == Doubt::answered || silent;
}

void World::ask_about(std::uint32_t ref) {
  ++counts_[Count::introspections];
  requests_[ref].asking = true;
  schedule(random_.between(10, 200), Move::introspect, 0, 0, ref);
}

/// The provider says whether it would still take the token.
void World::introspect(std::uint32_t ref) {
  Request& request = requests_[ref];
  const bool lost = happens(Fault::introspection_lost);
  const bool active = provider_.is_live(request.token, now_);
  const bool believed = has(Bug::introspection_believed) || active;
  note(What::introspect, request.who, request.connection,
       static_cast<std::uint8_t>(lost     ? 2
                                 : active ? 1
                                          : 0),
       ref);
  if (!lost && believed) {
    ++counts_[Count::unspent];
    request.reply.doubt = Doubt::none;
  }
  schedule(random_.between(5, 50), Move::introspected, 0, 0, ref);
}

/// The agent hears what came of its request.
void World::conclude(std::uint32_t ref) {
  Request& request = requests_[ref];
  Agent& agent = agents_[request.who];
  if (request.over || !agent.used || agent.ticket != request.ticket) return;
  if (request.asking && crashes(CrashPoint::reply_received, request.who)) return;
  request.over = true;
  request.answered = true;
  question(agent);
  note(What::reply, request.who, request.connection, static_cast<std::uint8_t>(request.reply.kind),
       ref, static_cast<std::uint64_t>(request.reply.doubt));
  if (request.reply.doubt == Doubt::silent) count_silence(request);
  if (request.reply.kind == ReplyClass::ok) agent.fresh = request.pair;
  Event event;
  event.kind = EventKind::reply;
  event.entropy = entropy(agent.isolate);
  event.reply = request.reply;
  if (has(Bug::failure_poisons) && request.reply.kind != ReplyClass::ok) {
    poisoned_[agent.isolate] = true;
  }
  take(request.who, event);
}

void World::abort(std::uint32_t ref) {
  Request& request = requests_[ref];
  if (request.over) return;
  if (has(Bug::introspects_silence) && asks_about(request) && !request.asking) {
    return ask_about(ref);
  }
  request.over = true;
  end(request, Fate::no_reply);
  count_silence(request);
  Agent& agent = agents_[request.who];
  if (!agent.used || agent.ticket != request.ticket) return;
  question(agent);
  note(What::abort, request.who, request.connection, 0, ref);
  Event event;
  event.kind = EventKind::reply;
  event.entropy = entropy(agent.isolate);
  event.reply = {ReplyClass::transient, Doubt::silent, {}, {}};
  take(request.who, event);
}

// Revocation -------------------------------------------------------------------------------------

void World::ask_to_revoke(std::uint8_t who, const Effect& effect) {
  Agent& agent = agents_[who];
  Revoking it;
  it.who = who;
  it.ticket = question(agent);
  it.pair = effect.token == Which::fresh ? agent.fresh : agent.tokens;
  it.answer = Revoked::done;
  if (happens(Fault::revoke_lost)) {
    it.answer = Revoked::unreachable;
    it.arrives = random_.chance(5000);
  } else if (happens(Fault::revoke_refused)) {
    it.answer = Revoked::refused;
    it.arrives = false;
  }
  if (effect.token == Which::stored) {
    agent.subject = it.pair.refresh != 0 ? provider_.token(it.pair.refresh).grant
                                         : provider_.access(it.pair.access).grant;
  }
  note(What::ask_revoke, who, agent.connection, 0, 0, it.pair.refresh);
  revokings_.push_back(it);
  schedule(random_.between(20, 300), Move::revoke_arrives, 0, 0,
           static_cast<std::uint32_t>(revokings_.size() - 1));
}

// Answers to a caller ----------------------------------------------------------------------------

void World::serve(std::uint8_t who, const Effect& effect) {
  Agent& agent = agents_[who];
  const std::uint32_t access =
      effect.token == Which::fresh ? agent.fresh.access : agent.tokens.access;
  note(What::serve, who, agent.connection, static_cast<std::uint8_t>(effect.source),
       effect.generation.version, access);
  if (agent.answered) violate(Invariant::liveness, "two answers", agent.connection);
  agent.answered = true;
  ++counts_[Count::served];
  if (effect.source == Source::kept) ++counts_[Count::kept];
  if (effect.source == Source::joined) ++counts_[Count::joined];
  audit_serve(who, effect, access);
  Connection& c = connections_[agent.connection];
  const std::uint32_t i = random_.below(2);
  c.seen[i] = effect.generation;
  c.seen_access[i] = access;
}

void World::refuse(std::uint8_t who, const Effect& effect) {
  Agent& agent = agents_[who];
  Connection& c = connections_[agent.connection];
  note(What::refuse, who, agent.connection, static_cast<std::uint8_t>(effect.outcome),
       static_cast<std::uint64_t>(effect.cause));
  if (agent.answered) violate(Invariant::liveness, "two answers", agent.connection);
  agent.answered = true;
  audit_refusal(who, effect);
  const bool wants_login = effect.outcome != Outcome::temporarily_unavailable;
  if (wants_login && !c.login_due && !quiet_ && random_.chance(config_.plain ? 10'000 : 5'000)) {
    c.login_due = true;
    schedule(random_.between(500, 20'000), Move::login, agent.connection);
  }
}

void World::done(std::uint8_t who, const Effect& effect) {
  Agent& agent = agents_[who];
  const Receipt& receipt = effect.receipt;
  const std::uint64_t bits = static_cast<std::uint64_t>(receipt.revoked) |
                             static_cast<std::uint64_t>(receipt.deleted) << 1 |
                             static_cast<std::uint64_t>(receipt.reason) << 2;
  note(What::done, who, agent.connection, static_cast<std::uint8_t>(agent.flow.task), bits);
  if (agent.answered) violate(Invariant::liveness, "two answers", agent.connection);
  agent.answered = true;
  if (agent.flow.task == Task::login) return;
  if (receipt.deleted && agent.row.status == Status::revoked) {
    Lineage& lineage = lineage_of(agent.row.id);
    lineage.ended_at = std::min(lineage.ended_at, now_);
  }
  const bool asked = agent.flow.task == Task::disconnect || agent.flow.task == Task::erase;
  if (asked && receipt.revoked && !provider_.is_revoked(agent.subject, now_)) {
    violate(Invariant::revoke_wins, "a receipt says revoked, and the provider does not",
            agent.connection);
  }
}

void World::notify(std::uint8_t who, const Effect& effect) {
  Agent& agent = agents_[who];
  std::uint64_t logged = effect.generation.version;
  if (has(Bug::token_in_log) && effect.news == News::transient) {
    logged = secret_of(agent.tokens.refresh);
  }
  note(What::notify, who, agent.connection, static_cast<std::uint8_t>(effect.news),
       static_cast<std::uint64_t>(effect.cause), logged);
  const auto settle = [&](Fate fate) { end(requests_[agent.request], fate); };
  switch (effect.news) {
  case News::lost_race:
    ++counts_[Count::lost_race];
    settle(Fate::superseded);
    break;
  case News::in_doubt: ++counts_[Count::in_doubt]; break;
  case News::persist_failed: ++counts_[Count::persist_failed]; break;
  case News::discarded:
    ++counts_[Count::pairs_discarded];
    settle(Fate::discarded);
    break;
  case News::corrupt: ++counts_[Count::corrupt_seen]; break;
  case News::healed: ++counts_[Count::healed]; break;
  case News::not_understood: ++counts_[Count::held]; break;
  case News::refreshed:
  case News::lost_in_flight:
  case News::terminal:
  case News::transient:
  case News::operator_error:
  case News::refresh_token_missing: break;
  }
}

void World::arm(std::uint8_t who, UnixMillis at) {
  const Agent& agent = agents_[who];
  if (has(Bug::alarm_forgotten)) return;
  Connection& c = connections_[agent.connection];
  const Time delay = std::clamp<Time>(at.value - clock(agent.isolate).value, 0, 365LL * 86'400'000);
  note(What::arm, who, agent.connection, 0, static_cast<std::uint64_t>(delay));
  const Time at_least = std::max<Time>(delay, 20);
  if (c.alarm_at <= now_ + at_least) return;
  c.alarm_at = now_ + at_least;
  ++c.alarm;
  schedule(at_least, Move::alarm, agent.connection, c.alarm);
}

}  // namespace latchkey::sim
