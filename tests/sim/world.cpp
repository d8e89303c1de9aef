#include "world.hpp"

#include <algorithm>

namespace latchkey::sim {

using namespace refresh;

namespace {

constexpr Time settling = 120'000;
/// Faults begin when the first sign-ins are over.
constexpr Time start_of_faults = 1'000;

}  // namespace

// The course of events ---------------------------------------------------------------------------

void World::run(std::uint64_t seed, const Options& options) {
  reset(seed, options);
  plan();
  const auto later = [](const Item& a, const Item& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  };
  while (!queue_.empty() && !over_) {
    std::pop_heap(queue_.begin(), queue_.end(), later);
    const Item item = queue_.back();
    queue_.pop_back();
    now_ = item.at;
    ++counts_[Count::events];
    if (counts_[Count::events] > 200'000) {
      violate(Invariant::liveness, "the world does not come to rest", 0);
    }
    dispatch(item);
    if (violation_.invariant != Invariant::none) return;
  }
  settle_all();
}

void World::reset(std::uint64_t seed, const Options& options) {
  options_ = options;
  random_ = Random{seed};
  trace_.reset(seed, options.keeps_trace);
  counts_ = {};
  violation_ = {};
  config_ = draw(random_);
  if (options.adjust != nullptr) options.adjust(config_);
  if (has(Bug::lease_shorter_than_request)) config_.policy.lease = seconds(2);
  if (has(Bug::replay_without_end)) config_.policy.max_probes = 200;
  provider_.reset(config_.facts);
  now_ = 0;
  down_until_ = 0;
  twin_until_ = 0;
  quiet_ = false;
  over_ = false;
  asks_again_ = false;
  decays_ = 0;
  outage_possible_ = false;
  order_ = 0;
  key_ = 1;
  bursts_left_ = config_.bursts;
  frozen_at_.fill(-1);
  opens_.fill(1);
  seals_.fill(1);
  poisoned_.fill(false);
  tolerance_ = 0;
  for (Time& skew : skew_) {
    skew = config_.skew == 0 ? 0 : random_.between(-config_.skew, config_.skew);
  }
  tolerance_ = 2 * config_.skew;
  connections_.fill({});
  for (Agent& agent : agents_) {
    agent.used = false;
    agent.ticket = 0;
  }
  lineages_.assign(1, {});
  requests_.assign(1, {});
  writes_.clear();
  revokings_.clear();
  rewrites_.clear();
  spawns_.clear();
  usages_.clear();
  queue_.clear();
}

void World::plan() {
  if (config_.is_calm()) ++counts_[Count::calm_seeds];
  const Contract contract = contract_of(config_.store);
  const bool tampered = has(Bug::lease_shorter_than_request) || has(Bug::replay_without_end);
  if (!tampered && !admit(contract, config_.policy, &config_.traits)) {
    violate(Invariant::liveness, "a store that is fit was not admitted", 0);
  }
  if (admit(kv_contract, config_.policy, &config_.traits).error() != Errc::store_unfit) {
    violate(Invariant::one_spend, "a store without compare-and-swap was admitted", 0);
  }
  ++counts_[Count::kv_refused];
  for (std::uint8_t c = 0; c < config_.connections; ++c) log_in(c, 0);
  schedule(2'000, Move::burst);
}

void World::schedule(Time delay, Move move, std::uint8_t who, std::uint32_t ticket,
                     std::uint32_t ref) {
  queue_.push_back({now_ + std::max<Time>(delay, 0), order_++, move, who, ticket, ref});
  std::push_heap(queue_.begin(), queue_.end(), [](const Item& a, const Item& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  });
}

void World::dispatch(const Item& item) {
  Agent& agent = agents_[item.who];
  const bool is_open = agent.used && agent.ticket == item.ticket;
  switch (item.move) {
  case Move::burst: return burst();
  case Move::spawn: return spawn(spawns_[item.ref]);
  case Move::read:
    if (is_open) read_now(item.who);
    return;
  case Move::answer:
    if (is_open) deliver(item.who);
    return;
  case Move::apply: return apply(item.ref);
  case Move::arrive: return arrive(item.ref);
  case Move::reply: return reply(item.ref);
  case Move::introspect: return introspect(item.ref);
  case Move::introspected: return conclude(item.ref);
  case Move::abort: return abort(item.ref);
  case Move::revoke_arrives: {
    Revoking& it = revokings_[item.ref];
    if (it.arrives && !provider_.revoke(it.pair, now_) && it.answer == Revoked::done) {
      it.answer = Revoked::refused;
    }
    return schedule(random_.between(5, 50), Move::revoke_answers, it.who, it.ticket, item.ref);
  }
  case Move::revoke_answers: {
    if (!is_open) return;
    question(agent);
    const Revoked answer = revokings_[item.ref].answer;
    note(What::revoked, item.who, agent.connection, static_cast<std::uint8_t>(answer));
    if (crashes(CrashPoint::in_ending, item.who)) return;
    Event event;
    event.kind = EventKind::revocation;
    event.revoked = answer;
    return take(item.who, event);
  }
  case Move::alarm: return ring_alarm(item);
  case Move::touch: return rewrite_later(0, item.who, false, 0);
  case Move::rewrite: return rewrite(rewrites_[item.ref]);
  case Move::evict: return crash(CrashPoint::none, item.who);
  case Move::jump: {
    const Time size = static_cast<std::int32_t>(item.ref);
    skew_[item.who] += size;
    tolerance_ += size < 0 ? -size : size;
    return note(What::clock, nobody, 0, item.who, static_cast<std::uint64_t>(skew_[item.who]));
  }
  case Move::thaw: frozen_at_[item.who] = -1; return;
  case Move::outage:
    down_until_ = std::max(down_until_, now_ + static_cast<Time>(item.ref));
    return;
  case Move::key:
    opens_[item.who] = std::max(opens_[item.who], item.ref);
    if (item.ticket != 0) seals_[item.who] = std::max(seals_[item.who], item.ref);
    return;
  case Move::twin: twin_until_ = std::max(twin_until_, now_ + 30'000); return;
  case Move::mirror: {
    Connection& c = connections_[item.who];
    c.mirror = c.stored;
    c.mirror_at = now_;
    return;
  }
  case Move::login: connections_[item.who].login_due = false; return log_in(item.who, 0);
  case Move::quiet: {
    quiet_ = true;
    note(What::quiet, nobody, 0);
    frozen_at_.fill(-1);
    opens_.fill(key_);
    seals_.fill(key_);
    down_until_ = 0;
    const Time slack = 2 * std::min<Time>(tolerance_, config_.policy.rest.value);
    // A version that was sent often enough rests, whatever comes.
    const Time rest = std::max<Time>(settling, config_.policy.rest.value + 30'000);
    return schedule(rest + slack, Move::last);
  }
  case Move::last: return final_checks(item.ticket == 0 && tolerance() > config_.policy.rest.value);
  case Move::end:
    over_ = !asks_again_;
    // A moment to come that was written by a clock far ahead, or is read by one that was set back,
    // begins to bind when it is two rests away, and binds no longer than these.
    if (asks_again_) schedule(2 * config_.policy.rest.value, Move::last, 0, 1);
    asks_again_ = false;
    return;
  }
}

bool World::happens(Fault fault) {
  if (quiet_ || now_ < start_of_faults || !random_.chance(config_[fault])) return false;
  ++counts_[fault];
  note(What::fault, nobody, 0, static_cast<std::uint8_t>(fault));
  return true;
}

UnixMillis World::clock(std::uint8_t isolate) const noexcept {
  const Time at = frozen_at_[isolate] >= 0 ? frozen_at_[isolate] : now_;
  return {std::clamp<Time>(config_.base + at + skew_[isolate], 0, UnixMillis::max)};
}

void World::note(What what, std::uint8_t who, std::uint8_t connection, std::uint8_t a,
                 std::uint64_t b, std::uint64_t c) {
  if (has(Bug::unseeded_randomness) && what == What::serve) {
    // Not from the seed: what an address or a clock would do to a trace.
    static std::uint64_t unseeded = 0;
    b ^= ++unseeded;
  }
  trace_.add({now_, b, c, what, who, connection, a});
  if (is_secret(b) || is_secret(c)) {
    violate(Invariant::no_secret, "a token stands in a record", connection);
  }
}

void World::violate(Invariant invariant, const char* what, std::uint8_t connection) {
  if (!options_.audits || violation_.invariant != Invariant::none) return;
  violation_ = {invariant, what, connection, now_};
  note(What::violation, nobody, connection, static_cast<std::uint8_t>(invariant));
}

// Persons ----------------------------------------------------------------------------------------

void World::burst() {
  const auto main = static_cast<std::uint8_t>(random_.below(config_.connections));
  const unsigned callers = 1 + random_.below(config_.callers);
  const Time spread = random_.chance(8000) ? 300 : 15'000;
  for (unsigned i = 0; i < callers; ++i) {
    const bool same = random_.chance(8500);
    const auto c = same ? main : static_cast<std::uint8_t>(random_.below(config_.connections));
    fetch(c, random_.between(0, spread));
  }
  if (!config_.plain) burst_ops();
  machine_faults();
  if (--bursts_left_ == 0) return schedule(25'000, Move::quiet);

  const Time life = config_.facts.lifetime == 0 ? 600'000 : config_.facts.lifetime;
  Time gap = 0;
  switch (config_.eager ? 1 : random_.below(4)) {
  case 0: gap = random_.between(0, 3'000); break;
  case 1:
    // When it is about to end, or has just ended.
    gap =
        life + (random_.chance(5000) ? random_.between(-life / 12, 0) : random_.between(0, 2'000));
    break;
  case 2: gap = random_.between(life, 2 * life); break;
  default: gap = random_.between(0, life); break;
  }
  schedule(gap, Move::burst);
}

void World::burst_ops() {
  const auto wants = [&](Op op) { return random_.chance(config_[op]); };
  const auto soon = [&] { return random_.between(0, 1'500); };
  const auto c = static_cast<std::uint8_t>(random_.below(config_.connections));
  const bool live = connections_[c].stored.row.status == Status::live;
  if (wants(Op::login) || (!live && random_.chance(5000))) log_in(c, soon());
  if (wants(Op::withdraw)) withdraw(c);
  if (wants(Op::rotate_keys)) rotate_keys();
  Spawn it;
  it.connection = c;
  if (wants(Op::revoke)) {
    it.event.task = Task::revoke;
    spawn_later(soon(), it);
  }
  if (wants(Op::disconnect)) {
    it.event.task = Task::disconnect;
    spawn_later(soon(), it);
  }
  if (wants(Op::erase)) {
    it.event.task = Task::erase;
    spawn_later(soon(), it);
  }
  if (happens(Fault::hook_forged)) {
    ++counts_[Count::forged_dropped];
    // A signature that does not fit is refused before anything is read.
    if (has(Bug::hook_unsigned)) {
      it.event.task = Task::revoke;
      it.event.cause = Cause::revoked_by_provider;
      it.event.at = clock(0);
      it.subject = ~0U;
      spawn_later(soon(), it);
    }
  }
}

void World::machine_faults() {
  const auto isolate = [&] { return static_cast<std::uint8_t>(random_.below(config_.isolates)); };
  const auto soon = [&] { return random_.between(0, 2'000); };
  // One draw in a statement: the order of arguments is up to the compiler.
  if (happens(Fault::evict)) {
    const std::uint8_t i = isolate();
    schedule(soon(), Move::evict, i);
  }
  if (happens(Fault::twin)) schedule(soon(), Move::twin);
  const auto jump = [&](Time size) {
    const auto ref = static_cast<std::uint32_t>(static_cast<std::int32_t>(size));
    const std::uint8_t i = isolate();
    schedule(soon(), Move::jump, i, 0, ref);
  };
  const Time sizes[] = {2'000, 20'000, 3'600'000, 86'400'000};
  if (happens(Fault::jump_forward)) jump(sizes[random_.below(4)]);
  if (happens(Fault::jump_back)) jump(-sizes[random_.below(4)]);
  if (happens(Fault::freeze)) {
    const std::uint8_t i = isolate();
    const Time length = random_.between(100, 3'000);
    frozen_at_[i] = now_;
    tolerance_ += length;
    schedule(length, Move::thaw, i);
  }
  if (happens(Fault::outage)) {
    outage_possible_ = true;
    const auto length = static_cast<std::uint32_t>(random_.between(500, 20'000));
    schedule(soon(), Move::outage, 0, 0, length);
  }
  const auto c = static_cast<std::uint8_t>(random_.below(config_.connections));
  if (happens(Fault::touch)) {
    for (unsigned i = 1 + random_.below(4); i > 0; --i) schedule(soon(), Move::touch, c);
  }
  if (happens(Fault::bit_rot) && connections_[c].stored.present) {
    connections_[c].stored.rotten = true;
    connections_[c].stored.decay = ++decays_;
  }
}

void World::spawn_later(Time delay, const Spawn& spawn) {
  spawns_.push_back(spawn);
  schedule(delay, Move::spawn, 0, 0, static_cast<std::uint32_t>(spawns_.size() - 1));
}

void World::fetch(std::uint8_t c, Time delay) {
  Spawn it;
  it.connection = c;
  it.event.task = Task::fetch;
  const unsigned kind = config_.plain ? 0 : random_.below(20);
  const Connection& connection = connections_[c];
  if (kind == 1 || kind == 2) {
    it.event.task = kind == 1 ? Task::rotate : Task::report_rejected;
    const std::uint32_t i = random_.below(2);
    it.event.generation = connection.seen[i];
    it.named = connection.seen_access[i];
  } else if (kind == 3) {
    it.event.min_validity = {random_.between(0, 400'000)};
  }
  spawn_later(delay, it);
}

/// The person consents; what the provider gave is on its way to the store.
void World::log_in(std::uint8_t c, Time delay) {
  Lineage lineage;
  lineage.connection = c;
  lineage.first = provider_.log_in(c, now_);
  lineage.grant = provider_.token(lineage.first.refresh).grant;
  lineages_.push_back(lineage);

  Spawn it;
  it.connection = c;
  it.lineage = static_cast<std::uint32_t>(lineages_.size() - 1);
  it.fresh = lineage.first;
  it.event.task = Task::login;
  const std::uint64_t bits = random_.next();
  for (unsigned i = 0; i < 8; ++i) {
    it.event.generation.id.bytes[i] = static_cast<std::uint8_t>(bits >> (8 * i));
  }
  for (unsigned i = 0; i < 4; ++i) {
    it.event.generation.id.bytes[12 + i] = static_cast<std::uint8_t>(it.lineage >> (8 * i));
  }
  it.event.at = clock(0);
  it.event.reply.kind = ReplyClass::ok;
  it.event.reply.doubt = Doubt::none;
  it.event.reply.tokens.lifetime = {config_.facts.lifetime};
  it.event.reply.tokens.has_refresh = true;
  note(What::consent, nobody, c, 0, lineage.grant, it.lineage);
  spawn_later(delay, it);
  if (happens(Fault::callback_doubled)) {
    ++counts_[Count::callbacks_dropped];
    // The state of a sign-in is good for one callback.
    if (has(Bug::callback_replayed)) spawn_later(delay + random_.between(1'000, 600'000), it);
  }
}

/// The person revokes at the provider; the news may come twice, late, or never.
void World::withdraw(std::uint8_t c) {
  const Stored& stored = connections_[c].stored;
  if (!stored.present || stored.row.id == Id{}) return;
  const std::uint32_t grant = lineage_of(stored.row.id).grant;
  if (provider_.is_revoked(grant, now_)) return;
  provider_.revoke_grant(grant, now_);
  note(What::withdraw, nobody, c, 0, grant);
  if (happens(Fault::hook_dropped)) return;
  Spawn it;
  it.connection = c;
  it.subject = grant;
  it.event.task = Task::revoke;
  it.event.cause = Cause::revoked_by_provider;
  it.event.at = {config_.base + now_};
  if (has(Bug::hook_wrong_subject)) {
    it.connection = static_cast<std::uint8_t>((c + 1U) % config_.connections);
  }
  const Time life = std::max<Time>(config_.facts.lifetime, 60'000);
  const Time delay =
      happens(Fault::hook_late) ? random_.between(1'000, 3 * life) : random_.between(20, 1'500);
  spawn_later(delay, it);
  if (happens(Fault::hook_doubled)) spawn_later(delay + random_.between(0, 2 * life), it);
  if (random_.chance(4000)) log_in(c, random_.between(0, 3'000));
}

/// A new key: first every isolate can open with it, then it seals. `key_early` gets that wrong.
void World::rotate_keys() {
  ++key_;
  const bool early = happens(Fault::key_early);
  const Time all_know = 5'000;
  for (std::uint8_t i = 0; i < config_.isolates; ++i) {
    const Time knows = random_.between(0, all_know);
    const Time seals = early ? knows : all_know + random_.between(1, 1'000);
    schedule(knows, Move::key, i, 0, key_);
    schedule(seals, Move::key, i, 1, key_);
  }
  for (std::uint8_t c = 0; c < config_.connections; ++c) {
    rewrite_later((early ? 0 : all_know) + random_.between(1, 3'000), c, true, key_);
  }
}

// What else writes -------------------------------------------------------------------------------

/// Reads a record now and writes it back a little later, unless somebody wrote in between.
void World::rewrite_later(Time delay, std::uint8_t c, bool rewraps, std::uint32_t key) {
  if (delay > 0) {
    rewrites_.push_back({c, rewraps, false, key, {}});
    return schedule(delay, Move::rewrite, 0, 0, static_cast<std::uint32_t>(rewrites_.size() - 1));
  }
  const Stored& stored = connections_[c].stored;
  if (!stored.present || stored.rotten || over_) return;
  rewrites_.push_back({c, rewraps, true, rewraps ? key : stored.key, stored.row});
  schedule(random_.between(1, 10), Move::rewrite, 0, 0,
           static_cast<std::uint32_t>(rewrites_.size() - 1));
}

void World::rewrite(const Rewrite& it) {
  if (!it.read) return rewrite_later(0, it.connection, it.rewraps, it.key);
  if (it.rewraps && !quiet_ && now_ >= start_of_faults && random_.chance(config_[Fault::crash])) {
    return crash(CrashPoint::in_rewrap, 0);
  }
  Stored& stored = connections_[it.connection].stored;
  if (!stored.present || stored.rotten || !(stored.row == it.row)) return;
  ++stored.row.epoch;
  stored.key = std::max(stored.key, it.key);
  note(it.rewraps ? What::rewrap : What::touch, nobody, it.connection, 0,
       it.rewraps ? it.key : stored.row.version, stored.row.epoch);
}

// Alarms and crashes -----------------------------------------------------------------------------

void World::ring_alarm(const Item& item) {
  Connection& c = connections_[item.who];
  if (item.ticket != c.alarm) return;
  c.alarm_at = forever;
  ++c.alarm;
  note(What::alarm, nobody, item.who);
  if (happens(Fault::alarm_dropped)) return;
  unsigned times = 1;
  if (happens(Fault::alarm_doubled)) times = 2;
  if (happens(Fault::alarm_storm)) times = 7;
  Spawn it;
  it.connection = item.who;
  it.event.task = Task::alarm;
  for (unsigned i = 0; i < times; ++i) spawn_later(i == 0 ? 0 : random_.between(0, 4'000), it);
}

bool World::crashes(CrashPoint point, std::uint8_t who) {
  if (quiet_ || now_ < start_of_faults || !random_.chance(config_[Fault::crash])) return false;
  ++counts_[Fault::crash];
  crash(point, agents_[who].isolate);
  return true;
}

/// Everything in the memory of the isolate is gone.
void World::crash(CrashPoint point, std::uint8_t isolate) {
  ++counts_[point];
  note(What::crash, nobody, 0, static_cast<std::uint8_t>(point), isolate);
  poisoned_[isolate] = false;
  for (std::uint8_t i = 0; i < max_agents; ++i) {
    Agent& agent = agents_[i];
    if (!agent.used || agent.isolate != isolate) continue;
    agent.used = false;
    ++agent.ticket;
    Request& request = requests_[agent.request];
    if (!request.over) count_silence(request);
    end(request, Fate::crashed);
    request.over = true;
    // Of a write under way nobody knows whether it left the machine.
    if (agent.write != 0 && !writes_[agent.write - 1].applied && random_.chance(5000)) {
      writes_[agent.write - 1].cancelled = true;
    }
    if (agent.flow.task == Task::alarm || agent.start.task == Task::alarm) {
      // An alarm whose handler fails is rung again.
      Spawn it;
      it.connection = agent.connection;
      it.event.task = Task::alarm;
      spawn_later(2'000, it);
    } else if (!agent.answered) {
      ++counts_[Count::crashed];
      if (agent.start.task == Task::fetch && random_.chance(6000)) {
        fetch(agent.connection, random_.between(100, 2'000));
      }
    }
  }
  if (has(Bug::restart_forgets)) {
    for (Connection& c : connections_) {
      c.stored.row.lease = {};
      c.stored.row.intent = {};
    }
  }
}

// The end ----------------------------------------------------------------------------------------

/// Faults are over and all had time to settle: now every connection is either good or called dead.
void World::final_checks(bool may_ask_again) {
  for (std::uint8_t c = 0; c < config_.connections; ++c) {
    Spawn it;
    it.connection = c;
    it.final_check = true;
    it.may_ask_again = may_ask_again;
    it.event.task = config_.plain ? Task::fetch : Task::rotate;
    const Row& row = connections_[c].stored.row;
    it.event.generation = {row.id, row.version};
    it.named = connections_[c].stored.tokens.access;
    spawn_later(0, it);
  }
  schedule(config_.policy.patience.value + 45'000, Move::end);
}

void World::settle_all() {
  for (std::uint8_t i = 0; i < max_agents; ++i) {
    const Agent& agent = agents_[i];
    const bool old = now_ - agent.started > config_.policy.patience.value + 40'000;
    if (agent.used && !agent.answered && agent.start.task != Task::alarm && old) {
      violate(Invariant::liveness, "a caller never got an answer", agent.connection);
    }
  }
  for (std::uint8_t c = 0; c < config_.connections; ++c) {
    const Stored& stored = connections_[c].stored;
    if (!is_ended(stored) && !stored.rotten) count_loss(c, stored);
  }
  if (config_.is_calm()) {
    counts_[Count::calm_sends] += counts_[Count::sends];
    counts_[Count::calm_pairs] += counts_[Count::pairs_stored] + counts_[Count::pairs_discarded];
  }
}

bool World::is_ended(const Stored& stored) const noexcept {
  return !stored.present || stored.row.status == Status::revoked ||
         stored.row.status == Status::absent;
}

World::Lineage& World::lineage_of(const Id& id) noexcept {
  std::uint32_t i = 0;
  for (unsigned byte = 0; byte < 4; ++byte) i |= std::uint32_t{id.bytes[12 + byte]} << (8 * byte);
  return lineages_[i < lineages_.size() ? i : 0];
}

World::Usage& World::usage_of(std::uint32_t token) {
  if (usages_.size() <= token) usages_.resize(provider_.tokens() + 1);
  return usages_[token];
}

}  // namespace latchkey::sim
