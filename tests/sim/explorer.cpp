#include "explorer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

namespace latchkey::explorer {
namespace {

using namespace latchkey::refresh;

using Byte = std::uint8_t;

// Every state is kept as if it were this moment: only distances in time matter.
constexpr UnixMillis base{10'000'000};
constexpr Byte first_lineage = 1;
constexpr Byte second_lineage = 2;
constexpr std::size_t max_tokens = 16;
/// Further away than anything that is waited for: all such moments are alike.
constexpr std::int64_t far = 50'000;
constexpr Millis far_away{100'000};

// Small enough that every deadline can be reached, in the order that real ones have.
constexpr Policy policy{
    .window{300},
    .jitter{0},
    .time_out{1000},
    .lease{1500},
    .patience{3'000'000},
    .poll{0},
    .back_off{200},
    .max_back_off{400},
    .rest{1'000'000},
    .max_tries = 2,
};

Id lineage(Byte number) {
  Id id;
  id.bytes[0] = number;
  return id;
}
Byte number_of(const Id& id) { return id.bytes[0]; }

Traits traits_of(const Setup& setup) {
  Traits traits;
  traits.rotation = setup.rotation;
  traits.revocation = setup.revocation;
  traits.old_access_dies = setup.old_access_dies;
  traits.grace = seconds(1'000'000);
  traits.access_lifetime = far_away;
  traits.max_access_lifetime = {0};
  return traits;
}

// The world --------------------------------------------------------------------------------------

struct Write {
  Condition condition{};
  Row next{};
  Byte refresh{0};  ///< the refresh token that goes with it; 0: the stored one stays
  bool wipes{false};
};

enum class Asks : Byte { nothing, start, write, read, request, revoke, introspection };

enum class Said : Byte { nothing, ok, refused };

struct Agent {
  Task task{Task::none};
  Asks asks{Asks::nothing};
  Flow flow{};
  Row row{};  ///< the last that this driver learned
  Write write{};
  UnixMillis at{0};
  Byte sent{0};  ///< the token in the request
  bool probe{false};
  bool reached{false};  ///< the provider has acted on the request
  Said said{Said::nothing};
  Byte given{0};  ///< in the answer
  Byte fresh{0};  ///< in memory
  bool crashed{false};
  Byte began_lineage{0};
  Byte began_version{0};
  Byte ended_before{0};  ///< the lineage whose end was acknowledged before it began

  [[nodiscard]] bool active() const { return !crashed && asks != Asks::nothing; }
};

struct Provider {
  std::array<Byte, 3> current{};  ///< by lineage
  std::array<Byte, 3> previous{};
  std::array<bool, 3> alive{};
  std::array<bool, 3> ended{};  ///< was revoked, by whoever may
  std::array<Byte, max_tokens> lineage_of{};
  std::array<Byte, max_tokens> uses{};
  std::array<Byte, max_tokens> replays{};
  std::array<Byte, max_tokens> plain{};  ///< not labelled as a probe
  std::array<bool, max_tokens> consumed{};
  Byte tokens{0};
};

struct World {
  std::array<Agent, seats> agents{};
  Row row{};
  Row before{};  ///< only while stale reads are planted
  Byte refresh{0};
  Provider provider{};
  Write stray_write{};
  bool has_stray_write{false};
  Byte stray_request{0};
  bool stray_probe{false};
  UnixMillis alarm_at{0};
  UnixMillis now{base};
  Byte crashes{0};
  Byte duplicates{0};
  Byte faults{0};
  Byte disturbed{0};  ///< crashes and faults that have happened
  Byte ended_lineage{0};  ///< an end was acknowledged
  bool pair_lost{false};  ///< a pair left the provider and can never be stored
  bool keeps_before{false};
  Byte delays{0};
  Byte spoilt{0};  ///< the provider acted and answered that it failed
  bool slow{false};  ///< a write took so long that a lease ended before it

  /// It cannot be swapped in any more: every write raises the epoch.
  [[nodiscard]] bool is_stale(const Write& write) const {
    return !keeps_stale && write.condition.epoch != row.epoch;
  }
  static inline bool keeps_stale = false;  ///< while a planted store swaps them in all the same
};

// A state as bytes -------------------------------------------------------------------------------

/// Writes what can still matter and nothing else.
class Put {
public:
  static constexpr bool reads = false;
  explicit Put(std::string& out, UnixMillis now, const std::vector<std::uint64_t>& epochs)
      : out_{out}, now_{now}, epochs_{epochs} {}

  /// Lease holders in relation to one seat: for sorting callers.
  void relate_to(std::uint64_t holder) { self_ = holder; }

  template <class T> void u8(const T& value) { out_ += static_cast<char>(value); }
  void number(const std::uint64_t& value) { u8(static_cast<Byte>(value)); }
  void holder(const std::uint64_t& value) {
    const bool known = self_ == 0 || value == 0;
    u8(static_cast<Byte>(known ? value : value == self_ ? 1U : 2U));
  }
  void epoch(const std::uint64_t& value) {
    const auto at = std::lower_bound(epochs_.begin(), epochs_.end(), value);
    u8(static_cast<Byte>(at - epochs_.begin()));
  }
  /// A moment that only matters while it lies ahead.
  void deadline(const UnixMillis& at) {
    const std::int64_t left = std::clamp<std::int64_t>(at.value - now_.value, 0, far);
    u8(static_cast<Byte>(left));
    u8(static_cast<Byte>(left >> 8));
  }
  /// Tokens are kept by the order in which they are first named.
  void token(const Byte& value) {
    if (value != 0 && names_[value] == 0) {
      names_[value] = ++named_;
      order_[named_] = value;
    }
    u8(names_[value]);
  }
  [[nodiscard]] Byte named() const { return named_; }
  [[nodiscard]] Byte token_named(std::size_t name) const { return order_[name]; }

private:
  std::string& out_;
  UnixMillis now_;
  const std::vector<std::uint64_t>& epochs_;
  std::uint64_t self_{0};
  std::array<Byte, max_tokens> names_{};
  std::array<Byte, max_tokens> order_{};
  Byte named_{0};
};

/// Reads what `Put` wrote, as of `base`.
class Get {
public:
  static constexpr bool reads = true;
  explicit Get(const char* in) : in_{in} {}
  template <class T> void u8(T& value) { value = static_cast<T>(static_cast<Byte>(*in_++)); }
  void number(std::uint64_t& value) { u8(value); }
  void holder(std::uint64_t& value) { u8(value); }
  void epoch(std::uint64_t& value) { u8(value); }
  void deadline(UnixMillis& at) {
    Byte low = 0;
    Byte high = 0;
    u8(low);
    u8(high);
    const std::int64_t left = low + high * 256;
    at.value = left == 0 ? 0 : base.value + (left == far ? far_away.value : left);
  }
  void token(Byte& value) { u8(value); }

private:
  const char* in_;
};

/// Collects the epochs, which are kept as their ranks.
class Gather {
public:
  static constexpr bool reads = false;
  explicit Gather(std::vector<std::uint64_t>& epochs) : epochs_{epochs} {}
  template <class T> void u8(const T&) {}
  void number(const std::uint64_t&) {}
  void holder(const std::uint64_t&) {}
  void epoch(const std::uint64_t& value) { epochs_.push_back(value); }
  void deadline(const UnixMillis&) {}
  void token(const Byte&) {}

private:
  std::vector<std::uint64_t>& epochs_;
};

template <class C> void pass(C& codec, Generation& generation) {
  codec.u8(generation.id.bytes[0]);
  codec.number(generation.version);
}

template <class C> void pass(C& codec, Row& row) {
  codec.u8(row.status);
  if (row.status == Status::absent) return;
  codec.u8(row.id.bytes[0]);
  codec.number(row.version);
  codec.epoch(row.epoch);
  codec.epoch(row.pair_epoch);
  codec.u8(row.cause);
  codec.u8(row.has_refresh);
  codec.u8(row.rejected);
  codec.u8(row.held);
  codec.deadline(row.access_expires_at);
  bool leased = row.lease != Lease{};
  codec.u8(leased);
  if (leased) {
    codec.holder(row.lease.holder);
    codec.epoch(row.lease.epoch);
    codec.deadline(row.lease.deadline);
  }
  bool intended = row.intent != Intent{};
  codec.u8(intended);
  if (intended) {
    codec.epoch(row.intent.epoch);
    codec.epoch(row.intent.doubt_epoch);
    codec.number(row.intent.version_spent);
    if constexpr (C::reads) {
      row.intent.first_at = base;
      // Set together with the lease; of no interest without it.
      const bool own = row.lease.epoch == row.intent.epoch && row.lease.deadline.value != 0;
      if (own) row.intent.deadline = row.lease.deadline.plus({-500});
    }
    codec.u8(row.intent.probes);
    codec.u8(row.intent.doubt);
    codec.u8(row.intent.open);
    codec.u8(row.intent.probe);
  }
  codec.deadline(row.cool_down.next_attempt_at);
  codec.u8(row.cool_down.failures);
  codec.u8(row.cool_down.sends);
  if constexpr (C::reads) {
    row.refresh_expires_at = never;
    row.absolute_expires_at = never;
  }
}

/// Only what the phase can still look at.
template <class C> void pass(C& codec, Flow& flow) {
  codec.u8(flow.phase);
  if (flow.phase == Phase::begin || flow.phase == Phase::ended) return;
  codec.u8(flow.task);
  codec.u8(flow.tries);
  codec.u8(flow.answered);
  codec.u8(flow.attempted);
  if (flow.task != Task::fetch) codec.u8(flow.waited);
  codec.deadline(flow.give_up_at);
  pass(codec, flow.named);
  codec.u8(flow.receipt.revoked);
  codec.u8(flow.receipt.deleted);
  codec.u8(flow.receipt.reason);
  codec.u8(flow.cause);
  if constexpr (C::reads) flow.at = base;
  if (flow.phase == Phase::ending) codec.u8(flow.reply.tokens.has_refresh);
  if (flow.phase == Phase::waiting || flow.phase == Phase::ending) return;
  codec.epoch(flow.epoch);
  pass(codec, flow.spent);
  if (flow.phase != Phase::settling && flow.phase != Phase::storing) return;
  codec.u8(flow.settle);
  codec.u8(flow.reply.kind);
  codec.u8(flow.reply.doubt);
  codec.u8(flow.reply.tokens.has_refresh);
}

template <class C> void pass(C& codec, Write& write) {
  pass(codec, write.condition.generation);
  codec.epoch(write.condition.epoch);
  pass(codec, write.next);
  codec.token(write.refresh);
  codec.u8(write.wipes);
}

/// The row that a driver knows. Whoever waits for the store reads or gets another one; only when
/// the store fails does he go on with this.
template <class C> void pass_known(C& codec, Agent& agent, const World& world) {
  bool same = agent.row.epoch == world.row.epoch && agent.row.status != Status::absent;
  codec.u8(same);
  if (same) {
    if constexpr (C::reads) agent.row = world.row;
    return;
  }
  const bool matters = world.faults > 0 || agent.asks == Asks::request ||
                       agent.asks == Asks::revoke || agent.asks == Asks::introspection;
  if (matters) {
    pass(codec, agent.row);
  } else if constexpr (C::reads) {
    agent.row = world.row;
    agent.row.epoch = max_counter;
  }
}

template <class C> void pass(C& codec, Agent& agent, const World& world) {
  codec.u8(agent.task);
  codec.u8(agent.asks);
  codec.u8(agent.crashed);
  if (agent.asks == Asks::nothing || agent.asks == Asks::start) return;
  if (agent.asks == Asks::write) {
    bool stale = world.is_stale(agent.write);
    codec.u8(stale);
    if (!stale) {
      pass(codec, agent.write);
    } else if constexpr (C::reads) {
      agent.write.condition.epoch = max_counter;
    }
  }
  if (agent.asks == Asks::introspection) codec.token(agent.sent);
  if (agent.asks == Asks::request || agent.asks == Asks::revoke) {
    codec.token(agent.sent);
    codec.u8(agent.probe);
    codec.u8(agent.reached);
    codec.u8(agent.said);
    codec.token(agent.given);
  }
  codec.deadline(agent.at);
  if (agent.crashed) return;
  pass(codec, agent.flow);
  if constexpr (C::reads) {
    if (agent.asks == Asks::write) agent.flow.condition = agent.write.condition;
  }
  pass_known(codec, agent, world);
  codec.token(agent.fresh);
  codec.u8(agent.began_lineage);
  codec.u8(agent.began_version);
  codec.u8(agent.ended_before);
}

template <class C> void pass_store(C& codec, World& world) {
  pass(codec, world.row);
  if (world.keeps_before) pass(codec, world.before);
  codec.token(world.refresh);
  codec.u8(world.crashes);
  codec.u8(world.duplicates);
  codec.u8(world.faults);
  codec.u8(world.disturbed);
  codec.u8(world.ended_lineage);
  codec.u8(world.pair_lost);
  codec.u8(world.slow);
  codec.u8(world.spoilt);
  codec.u8(world.delays);
  for (std::size_t i = 1; i < 3; ++i) {
    codec.token(world.provider.current[i]);
    codec.token(world.provider.previous[i]);
    codec.u8(world.provider.alive[i]);
    codec.u8(world.provider.ended[i]);
  }
  codec.u8(world.has_stray_write);
  if (world.has_stray_write) pass(codec, world.stray_write);
  codec.token(world.stray_request);
  codec.u8(world.stray_probe);
  bool armed = world.alarm_at.value != 0;
  codec.u8(armed);
  // What is due now and what was due before is due.
  if (armed) codec.deadline(world.alarm_at);
  if constexpr (C::reads) {
    if (armed && world.alarm_at.value == 0) world.alarm_at = base;
  }
}

template <class C> void pass_token(C& codec, Provider& provider, std::size_t token) {
  codec.u8(provider.lineage_of[token]);
  codec.u8(provider.uses[token]);
  codec.u8(provider.replays[token]);
  codec.u8(provider.plain[token]);
  codec.u8(provider.consumed[token]);
}

std::uint64_t holder_of(std::size_t seat) { return seat + 1; }

void rename(Row& row, const std::array<std::uint64_t, callers + 1>& to) {
  if (row.lease.holder <= callers) row.lease.holder = to[row.lease.holder];
}

/// What can never matter again is as if it were not there.
void forget(World& world) {
  if (world.has_stray_write && world.is_stale(world.stray_write)) {
    world.has_stray_write = false;
    world.stray_write = {};
  }
  for (Agent& agent : world.agents) {
    if (agent.crashed && agent.asks == Asks::write && world.is_stale(agent.write)) {
      agent.asks = Asks::nothing;
    }
    if (agent.asks != Asks::write && agent.flow.phase != Phase::storing &&
        agent.flow.phase != Phase::ending && agent.flow.phase != Phase::discarding) {
      agent.fresh = 0;
    }
  }
  world.disturbed = std::min<Byte>(world.disturbed, 2);
}

/// The state's bytes: times as distances, epochs as ranks, tokens by order, callers sorted.
void pack(World world, std::string& out) {
  static std::vector<std::uint64_t> epochs;
  forget(world);
  epochs.clear();
  Gather gather{epochs};
  pass_store(gather, world);
  for (Agent& agent : world.agents) pass(gather, agent, world);
  epochs.push_back(0);
  std::sort(epochs.begin(), epochs.end());
  epochs.erase(std::unique(epochs.begin(), epochs.end()), epochs.end());

  static std::array<std::pair<std::string, std::size_t>, callers> order;
  for (std::size_t i = 0; i < callers; ++i) {
    order[i].first.clear();
    order[i].second = i;
    Put put{order[i].first, world.now, epochs};
    put.relate_to(holder_of(i));
    pass(put, world.agents[i], world);
  }
  std::sort(order.begin(), order.end());
  std::array<std::uint64_t, callers + 1> to{};
  for (std::size_t i = 0; i < callers; ++i) to[holder_of(order[i].second)] = holder_of(i);

  rename(world.row, to);
  rename(world.before, to);
  rename(world.stray_write.next, to);
  for (Agent& agent : world.agents) {
    rename(agent.row, to);
    rename(agent.write.next, to);
  }
  out.clear();
  Put put{out, world.now, epochs};
  pass_store(put, world);
  for (const auto& [bytes, seat] : order) pass(put, world.agents[seat], world);
  for (std::size_t seat = callers; seat < seats; ++seat) pass(put, world.agents[seat], world);
  const Byte tokens = put.named();
  put.u8(tokens);
  for (std::size_t name = 1; name <= tokens; ++name) {
    pass_token(put, world.provider, put.token_named(name));
  }
}

World unpack(const char* bytes, bool keeps_before) {
  World world;
  world.keeps_before = keeps_before;
  Get get{bytes};
  pass_store(get, world);
  for (std::size_t seat = 0; seat < seats; ++seat) {
    pass(get, world.agents[seat], world);
    world.agents[seat].flow.holder = holder_of(seat);
  }
  get.u8(world.provider.tokens);
  for (std::size_t token = 1; token <= world.provider.tokens; ++token) {
    pass_token(get, world.provider, token);
  }
  return world;
}

std::uint64_t hash_of(const std::string& bytes) {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  const auto mix = [&hash](std::uint64_t word) {
    hash ^= word;
    hash *= 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  };
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    mix(word);
  }
  std::uint64_t rest = bytes.size();
  for (; i < bytes.size(); ++i) rest = rest << 8 | static_cast<Byte>(bytes[i]);
  mix(rest);
  return hash == 0 ? 1 : hash;
}

// What can happen --------------------------------------------------------------------------------

enum class Move : Byte {
  start,
  write,  ///< the store takes it or refuses it, and says so
  write_twice,  ///< the same, and a copy of it is still on its way
  write_fails,
  write_unknown_done,
  write_unknown_lost,
  write_unknown_late,
  read,
  read_fails,
  provider_acts,
  answer,
  answer_lost,
  error_before,  ///< 500 without a look at the token
  error_after,  ///< 500 although it was spent
  limited,
  not_sent,
  garbled,  ///< an answer that is not understood
  introspected,
  introspection_lost,
  revoke_done,
  revoke_fails,
  crash,
  stray_write,
  stray_request,
  again,  ///< what was ended is to be ended once more
  time,
  alarm,
};

constexpr const char* move_names[] = {
    "starts",
    "write arrives",
    "write arrives, a copy is on its way",
    "write fails",
    "write arrives, its answer is lost",
    "write is lost, unknown",
    "write is late, unknown",
    "reads",
    "cannot read",
    "provider acts",
    "answer arrives",
    "answer or request is lost",
    "provider fails before it looks",
    "provider fails after it acted",
    "provider limits the rate",
    "request cannot be sent",
    "answer is not understood",
    "introspection is answered",
    "introspection is lost",
    "provider revokes",
    "revocation does not arrive",
    "crashes",
    "a stray write arrives",
    "an aborted request arrives",
    "begins again",
    "time passes",
    "alarm rings",
};

constexpr const char* seat_names[] = {"caller 1", "caller 2", "caller 3",
                                      "ender",    "login",    "alarm"};

struct Chosen {
  Byte seat{0};
  Move move{Move::time};
};

std::string describe(const World& world, Chosen chosen) {
  char line[200];
  const Row& row = world.row;
  const char* who = chosen.move == Move::time || chosen.move == Move::stray_write ||
                            chosen.move == Move::stray_request
                        ? ""
                        : seat_names[chosen.seat];
  std::snprintf(line, sizeof line,
                "%8lld %-9s %-36s -> lineage %d version %llu epoch %llu status %d cause %d%s%s "
                "sends %d probes %d",
                static_cast<long long>(world.now.value - base.value), who,
                move_names[static_cast<std::size_t>(chosen.move)], number_of(row.id),
                static_cast<unsigned long long>(row.version),
                static_cast<unsigned long long>(row.epoch), static_cast<int>(row.status),
                static_cast<int>(row.cause), row.lease.holder != 0 ? " leased" : "",
                row.intent.open ? " intent" : "", row.cool_down.sends, row.intent.probes);
  return line;
}

/// The rules of one exploration: carries moves out and watches the invariants.
class Rules {
public:
  Rules(const Setup& setup, Plant plant, Outcome& outcome)
      : setup_{setup}, plant_{plant}, traits_{traits_of(setup)}, outcome_{outcome} {
    if (plant == Plant::family_probed) traits_.rotation = Rotation::strict_refused;
    if (plant == Plant::never_probed) traits_.rotation = Rotation::family_revoked;
    World::keeps_stale = plant == Plant::no_condition || plant == Plant::tombstone_ignored ||
                         plant == Plant::refusal_believed;
  }

  [[nodiscard]] bool keeps_before() const { return plant_ == Plant::stale_read; }
  [[nodiscard]] const std::string& violation() const { return violation_; }
  /// What was tried out from the last state looked at.
  [[nodiscard]] const std::vector<std::string>& afterwards() const { return afterwards_; }

  [[nodiscard]] World initial() const {
    World world;
    world.keeps_before = keeps_before();
    world.crashes = setup_.crashes;
    world.duplicates = setup_.duplicates;
    world.faults = setup_.faults;
    world.delays = setup_.delays;
    Row& row = world.row;
    row.id = lineage(first_lineage);
    row.version = 1;
    row.epoch = 1;
    row.status = Status::live;
    row.has_refresh = true;
    row.access_expires_at = setup_.near_expiry ? base.plus({200}) : UnixMillis{0};
    row.refresh_expires_at = never;
    row.absolute_expires_at = never;
    world.refresh = mint(world.provider, first_lineage);
    world.provider.alive[first_lineage] = true;
    for (std::size_t seat = 0; seat < setup_.callers; ++seat) {
      world.agents[seat].task = seat == 0 ? setup_.task : Task::fetch;
      world.agents[seat].asks = Asks::start;
    }
    const auto sit = [&world](Seat seat, Task task) {
      Agent& agent = world.agents[static_cast<std::size_t>(seat)];
      agent.task = task;
      agent.asks = Asks::start;
    };
    if (setup_.ender != Task::none) sit(Seat::ender, setup_.ender);
    if (setup_.login) sit(Seat::login, Task::login);
    if (setup_.alarm) world.agents[static_cast<std::size_t>(Seat::alarm)].task = Task::alarm;
    for (std::size_t seat = 0; seat < seats; ++seat) {
      world.agents[seat].flow.holder = holder_of(seat);
    }
    return world;
  }

  void list(const World& world, std::vector<Chosen>& out) const {
    out.clear();
    for (std::size_t i = 0; i < seats; ++i) {
      const auto seat = static_cast<Byte>(i);
      const Agent& agent = world.agents[i];
      if (agent.crashed) {
        list_of_crashed(world, seat, out);
      } else {
        list_of(world, seat, out);
      }
    }
    if (world.has_stray_write) out.push_back({0, Move::stray_write});
    if (world.stray_request != 0) out.push_back({0, Move::stray_request});
    if (next_time(world).value > world.now.value) out.push_back({0, Move::time});
  }

  void carry_out(World& world, Chosen chosen) {
    Agent& agent = world.agents[chosen.seat];
    switch (chosen.move) {
    case Move::start: return start(world, chosen.seat);
    case Move::again: --world.duplicates; return start(world, chosen.seat);
    case Move::alarm: world.alarm_at = {}; return start(world, chosen.seat);
    case Move::write_twice:
      --world.duplicates;
      world.stray_write = agent.write;
      world.has_stray_write = true;
      return arrive(world, chosen.seat);
    case Move::write: return arrive(world, chosen.seat);
    case Move::write_fails:
      disturb(world);
      return tell(world, chosen.seat, EventKind::store_failed);
    case Move::write_unknown_done:
      disturb(world);
      apply(world, agent.write);
      return tell(world, chosen.seat, EventKind::store_unknown);
    case Move::write_unknown_lost:
      disturb(world);
      return tell(world, chosen.seat, EventKind::store_unknown);
    case Move::write_unknown_late:
      disturb(world);
      world.stray_write = agent.write;
      world.has_stray_write = true;
      return tell(world, chosen.seat, EventKind::store_unknown);
    case Move::read: return read(world, chosen.seat);
    case Move::read_fails: {
      disturb(world);
      Event event;
      event.kind = EventKind::row_read;
      event.seen = Seen::nothing;
      return act(world, chosen.seat, event);
    }
    case Move::provider_acts: return provider_acts(world, agent);
    case Move::answer: return answer(world, chosen.seat);
    case Move::answer_lost:
      disturb(world);
      if (agent.reached) {
        if (agent.said == Said::ok) world.pair_lost = true;
      } else if (setup_.rotation != Rotation::grace_new) {
        world.stray_request = agent.sent;
        world.stray_probe = agent.probe;
      }
      if (plant_ == Plant::silence_introspected) {
        agent.asks = Asks::introspection;
        return;
      }
      return reply(world, chosen.seat, ReplyClass::transient, Doubt::silent);
    case Move::error_before:
      // Where it is asked about, it is no reason for anything to be lost.
      setup_.introspects ? static_cast<void>(--world.faults) : disturb(world);
      return failed(world, chosen.seat);
    case Move::error_after:
      disturb(world);
      answer_spoilt(world, agent);
      return failed(world, chosen.seat);
    case Move::introspected: return introspected(world, chosen.seat);
    case Move::introspection_lost:
      disturb(world);
      return reply(world, chosen.seat, ReplyClass::transient, Doubt::answered);
    case Move::limited:
      disturb(world);
      return reply(world, chosen.seat, ReplyClass::rate_limited, Doubt::none);
    case Move::not_sent:
      disturb(world);
      return reply(world, chosen.seat, ReplyClass::transient, Doubt::none);
    case Move::garbled:
      disturb(world);
      if (agent.said == Said::ok) world.pair_lost = true;
      return reply(world, chosen.seat, ReplyClass::not_understood, Doubt::answered);
    case Move::revoke_done: return revoke_done(world, chosen.seat);
    case Move::revoke_fails: {
      disturb(world);
      Event event;
      event.kind = EventKind::revocation;
      event.revoked = Revoked::unreachable;
      return act(world, chosen.seat, event);
    }
    case Move::crash: return crash(world, agent);
    case Move::stray_write:
      world.has_stray_write = false;
      apply(world, world.stray_write);
      world.stray_write = {};
      return;
    case Move::stray_request: {
      Byte given = 0;
      const Byte sent = std::exchange(world.stray_request, Byte{0});
      if (present(world, sent, world.stray_probe, given) == Said::ok) world.pair_lost = true;
      world.stray_probe = false;
      return;
    }
    case Move::time:
      // A version that has rested may be sent again.
      if (next_time(world).value - world.now.value > far) world.provider.uses = {};
      spend_delay(world, next_time(world));
      world.now = next_time(world);
      return;
    }
  }

  /// Nobody has anything left to do.
  [[nodiscard]] static bool is_end(const World& world) {
    return std::none_of(world.agents.begin(), world.agents.end(),
                        [](const Agent& agent) { return agent.active(); });
  }

  /// Nothing that can still happen would let somebody go on who waits.
  void check_progress(const World& world, const std::vector<Chosen>& moves) {
    if (moves.empty() && !is_end(world)) fail("I5", "somebody waits for what cannot come");
  }

  /// I5 and L: with no more disturbance everybody comes to an end within 64 turns each, and then
  /// one more caller gets a token, unless the connection was ended or a loss was unavoidable and
  /// has its name.
  [[nodiscard]] bool check_end(World world) {
    afterwards_.clear();
    world.has_stray_write = false;
    world.stray_request = 0;
    if (!run_out(world)) return fail("I5", "not settled after 64 turns each"), false;
    if (world.row.status == Status::absent || world.row.status == Status::revoked) return false;
    // Late enough that no lease, no cool-down and no access token is left.
    world.now = world.now.plus({2'000'000});
    world.provider.uses = {};
    Agent& agent = world.agents[0];
    agent = Agent{};
    agent.task = Task::fetch;
    agent.asks = Asks::start;
    agent.flow.holder = holder_of(0);
    last_ = {};
    if (!run_out(world)) return fail("I5", "a later caller is never answered"), false;
    if (last_.kind == EffectKind::serve) return false;
    const bool lost =
        last_.kind == EffectKind::refuse && last_.outcome == refresh::Outcome::reconnect_required;
    if (!lost) return fail("I5", "a later caller gets no token and no reason"), false;
    if (ended_by_provider(world)) return false;
    if (last_.cause != Cause::lost_in_flight) {
      return fail("L", "a credential is lost and the loss has not its name"), true;
    }
    if (!is_loss_excused(world)) return fail("L", "a credential is lost without need"), true;
    return true;
  }

private:
  void fail(const char* invariant, const char* what) {
    if (violation_.empty()) violation_ = std::string{invariant} + ": " + what;
  }

  /// Whether a write that is on its way gets there too late for what it says, or for the lease of
  /// whoever sent it: to everybody else he looks like one who crashed.
  [[nodiscard]] static bool is_late(const World& world, UnixMillis at) {
    const auto passes = [&world, at](UnixMillis end) {
      return world.now.value < end.value && end.value <= at.value;
    };
    for (std::size_t seat = 0; seat < seats; ++seat) {
      const Agent& agent = world.agents[seat];
      if (agent.crashed || agent.asks != Asks::write) continue;
      if (passes(half_time(agent.write)) || passes(agent.write.next.lease.deadline)) return true;
      if (world.row.lease.holder == holder_of(seat) && passes(world.row.lease.deadline))
        return true;
    }
    return false;
  }
  static void spend_delay(World& world, UnixMillis at) {
    if (!is_late(world, at)) return;
    --world.delays;
    world.slow = true;
  }
  /// After which there is too little time left for a request.
  [[nodiscard]] static UnixMillis half_time(const Write& write) {
    return write.next.intent.open ? write.next.intent.deadline.plus({-499}) : UnixMillis{0};
  }

  /// A provider that says it failed has not said that it saw a replay.
  static void answer_spoilt(World& world, const Agent& agent) {
    if (agent.said == Said::ok) world.pair_lost = true;
    ++world.spoilt;
  }

  static void disturb(World& world) {
    --world.faults;
    ++world.disturbed;
  }

  [[nodiscard]] static bool ended_by_provider(const World& world) {
    return world.provider.ended[number_of(world.row.id)];
  }

  /// Where the pair is gone, or nobody may find out whether it is.
  [[nodiscard]] bool is_loss_excused(const World& world) const {
    switch (setup_.rotation) {
    case Rotation::none:
    case Rotation::grace_same:
    case Rotation::grace_new: return false;
    case Rotation::strict_refused: return world.pair_lost || world.disturbed + world.slow >= 2;
    case Rotation::family_revoked: return world.disturbed >= 1;
    }
    return false;
  }

  // The provider ---------------------------------------------------------------------------------

  static Byte mint(Provider& provider, Byte number) {
    const Byte token = ++provider.tokens;
    if (token >= max_tokens) __builtin_trap();
    provider.lineage_of[token] = number;
    provider.current[number] = token;
    return token;
  }

  /// What becomes of a refresh token that is presented. Watches I1 and I12.
  Said present(World& world, Byte token, bool probe, Byte& given) {
    Provider& provider = world.provider;
    ++outcome_.sends;
    if (probe) ++outcome_.probes;
    given = token;
    const Byte number = provider.lineage_of[token];
    const bool single_use =
        setup_.rotation == Rotation::strict_refused || setup_.rotation == Rotation::family_revoked;
    if (!probe && single_use && provider.plain[token]++ > 0) {
      fail("I1", "a token was sent twice without a label");
    }
    if (++provider.uses[token] > policy.max_sends) fail("I12", "sent more than six times");
    if (single_use && world.disturbed == 0 && !world.slow && provider.uses[token] > 1) {
      fail("I1", "a token was sent twice although nothing went wrong");
    }
    if (provider.consumed[token]) {
      ++provider.replays[token];
      if (setup_.rotation == Rotation::family_revoked) {
        fail("I1", "a token was replayed where that revokes the grant");
        provider.alive[number] = false;
      }
      if (setup_.rotation == Rotation::strict_refused) {
        // One attempt and one probe, in whatever order the network brings them.
        if (provider.replays[token] > 1 + world.spoilt) fail("I1", "a token was spent twice");
      }
    }
    if (!provider.alive[number]) return Said::refused;
    switch (setup_.rotation) {
    case Rotation::none: provider.uses[token] = 0; return Said::ok;
    case Rotation::strict_refused:
    case Rotation::family_revoked:
      if (provider.consumed[token]) return Said::refused;
      provider.consumed[token] = true;
      given = mint(provider, number);
      return Said::ok;
    case Rotation::grace_same:
      if (token == provider.current[number]) {
        provider.previous[number] = token;
        given = mint(provider, number);
        return Said::ok;
      }
      given = provider.current[number];
      return token == provider.previous[number] ? Said::ok : Said::refused;
    case Rotation::grace_new:
      // The one before stays good until its successor is used; each use gives another successor,
      // and only the last of them is good.
      if (token == provider.current[number]) provider.previous[number] = token;
      if (token != provider.previous[number]) return Said::refused;
      given = mint(provider, number);
      return Said::ok;
    }
    return Said::refused;
  }

  static void revoke_grant(Provider& provider, Byte number) {
    provider.alive[number] = false;
    provider.ended[number] = true;
  }

  void revoke_token(World& world, const Agent& agent) {
    Provider& provider = world.provider;
    if (setup_.revocation == Revocation::token) {
      return revoke_grant(provider, provider.lineage_of[agent.sent]);
    }
    if (agent.flow.phase == Phase::discarding && provider.alive[second_lineage] &&
        world.row.id == lineage(second_lineage)) {
      fail("I2", "a late pair took a later login with it");
    }
    revoke_grant(provider, first_lineage);
    if (provider.alive[second_lineage]) revoke_grant(provider, second_lineage);
  }

  // The store ------------------------------------------------------------------------------------

  /// Swaps, or does not. Watches I2, I4 and I6.
  bool apply(World& world, const Write& write) {
    const Condition here{{world.row.id, world.row.version}, world.row.epoch, false};
    const bool pair = write.refresh != 0 && write.next.version > 1;
    bool swaps = write.condition == here;
    if (plant_ == Plant::no_condition) swaps = true;
    if (plant_ == Plant::tombstone_ignored && pair && world.row.status == Status::revoked &&
        world.row.id == write.next.id) {
      swaps = true;
    }
    Row next = write.next;
    if (plant_ == Plant::tombstone_ignored) next.epoch = world.row.epoch + 1;
    const bool buries = next.status == Status::reconnect_required;
    if (plant_ == Plant::refusal_believed && buries && world.row.status == Status::live &&
        world.row.id == next.id && !swaps) {
      const Cause cause = next.cause;
      next = world.row;
      ++next.epoch;
      next.status = Status::reconnect_required;
      next.cause = cause;
      swaps = true;
    }
    if (!swaps) return false;
    if (plant_ == Plant::write_forgotten && pair) {
      next.access_expires_at = {0};
    } else if (write.wipes) {
      world.refresh = 0;
    } else if (write.refresh != 0) {
      world.refresh = write.refresh;
    }
    watch_write(world, next);
    world.before = world.row;
    world.row = next;
    return true;
  }

  void watch_write(const World& world, const Row& next) {
    const Row& row = world.row;
    if (next.epoch != row.epoch + 1) fail("I2", "a write did not raise the epoch by one");
    if (next.id == row.id && next.version < row.version)
      fail("I2", "an older generation came back");
    if (number_of(next.id) < number_of(row.id)) fail("I2", "an older login came back");
    if (next.id == row.id && row.status == Status::revoked && next.status != Status::revoked) {
      fail("I6", "what was revoked came back");
    }
    if (!is_sound(next)) fail("I2", "a row that is not sound was written");
    if (next.status != Status::reconnect_required || row.status == Status::reconnect_required) {
      return;
    }
    if (next.version != row.version) fail("I4", "a refusal of another generation was believed");
    if (world.provider.ended[number_of(next.id)]) return;
    if (next.cause == Cause::refused) fail("I4", "a healthy credential was called refused");
    if (world.disturbed == 0 && !world.slow) fail("I4", "a healthy credential was called lost");
  }

  // The drivers ----------------------------------------------------------------------------------

  void start(World& world, Byte seat) {
    Agent& agent = world.agents[seat];
    const Task task = agent.task;
    agent = Agent{};
    agent.task = task;
    agent.flow.holder = holder_of(seat);
    agent.began_lineage = number_of(world.row.id);
    agent.began_version = static_cast<Byte>(world.row.version);
    agent.ended_before = world.ended_lineage;
    agent.row = seen_row(world);
    Event event;
    event.kind = EventKind::begin;
    event.task = task;
    event.entropy = holder_of(seat);
    event.generation = {lineage(first_lineage), 1};
    if (task == Task::fetch || task == Task::alarm) event.generation = {};
    if (task == Task::revoke) {
      event.cause = Cause::revoked_by_provider;
      event.generation.version = 0;
      revoke_grant(world.provider, first_lineage);
    }
    if (task == Task::login) {
      event.generation.id = lineage(second_lineage);
      event.reply.tokens.has_refresh = true;
      world.provider.alive[second_lineage] = true;
      agent.fresh = mint(world.provider, second_lineage);
    }
    if (task == Task::disconnect || task == Task::erase) event.generation = {};
    act(world, seat, event);
  }

  [[nodiscard]] const Row& seen_row(const World& world) const {
    const bool stale = plant_ == Plant::stale_read && world.before.status != Status::absent;
    return stale ? world.before : world.row;
  }

  void read(World& world, Byte seat) {
    world.agents[seat].row = seen_row(world);
    Event event;
    event.kind = EventKind::row_read;
    act(world, seat, event);
  }

  void arrive(World& world, Byte seat) {
    Agent& agent = world.agents[seat];
    const bool swapped = apply(world, agent.write);
    if (agent.crashed) {
      agent.asks = Asks::nothing;
      return;
    }
    agent.row = swapped ? agent.write.next : world.row;
    tell(world, seat, swapped ? EventKind::stored : EventKind::lost);
  }

  void tell(World& world, Byte seat, EventKind kind) {
    Event event;
    event.kind = kind;
    act(world, seat, event);
  }

  void provider_acts(World& world, Agent& agent) {
    agent.reached = true;
    agent.said = present(world, agent.sent, agent.probe, agent.given);
    if (!agent.crashed) return;
    // The answer goes to nobody.
    if (agent.said == Said::ok) world.pair_lost = true;
    agent.asks = Asks::nothing;
  }

  void answer(World& world, Byte seat) {
    Agent& agent = world.agents[seat];
    if (agent.said == Said::refused) {
      return reply(world, seat, ReplyClass::terminal, Doubt::none);
    }
    agent.fresh = agent.given;
    Event event;
    event.kind = EventKind::reply;
    event.reply.kind = ReplyClass::ok;
    event.reply.tokens.has_refresh = setup_.rotation != Rotation::none;
    act(world, seat, event);
  }

  void reply(World& world, Byte seat, ReplyClass kind, Doubt doubt) {
    Event event;
    event.kind = EventKind::reply;
    event.reply.kind = kind;
    event.reply.doubt = doubt;
    if (plant_ == Plant::transient_is_terminal && kind == ReplyClass::transient) {
      event.reply.kind = ReplyClass::terminal;
    }
    act(world, seat, event);
  }

  /// The provider's own server says that it failed.
  void failed(World& world, Byte seat) {
    if (!setup_.introspects) {
      return reply(world, seat, ReplyClass::transient, Doubt::answered);
    }
    world.agents[seat].asks = Asks::introspection;
  }

  void introspected(World& world, Byte seat) {
    const Byte token = world.agents[seat].sent;
    const Provider& provider = world.provider;
    const Byte number = provider.lineage_of[token];
    const bool active = provider.alive[number] && provider.current[number] == token;
    const bool believed = active || plant_ == Plant::inactive_believed;
    reply(world, seat, ReplyClass::transient, believed ? Doubt::none : Doubt::answered);
  }

  void revoke_done(World& world, Byte seat) {
    revoke_token(world, world.agents[seat]);
    Event event;
    event.kind = EventKind::revocation;
    event.revoked = Revoked::done;
    act(world, seat, event);
  }

  /// What is in flight may still arrive; everything else is gone.
  static void crash(World& world, Agent& agent) {
    --world.crashes;
    ++world.disturbed;
    const Phase phase = agent.flow.phase;
    if (agent.asks == Asks::request && agent.reached && agent.said == Said::ok) {
      world.pair_lost = true;
    }
    if (phase == Phase::storing) world.pair_lost = true;
    Agent gone;
    gone.task = agent.task;
    gone.crashed = true;
    if (agent.asks == Asks::write) {
      gone.asks = Asks::write;
      gone.write = agent.write;
    } else if (agent.asks == Asks::request && !agent.reached) {
      gone.asks = Asks::request;
      gone.sent = agent.sent;
      gone.probe = agent.probe;
      gone.at = agent.at;
    }
    agent = gone;
  }

  [[nodiscard]] Step take_step(const Agent& agent, const Event& event, UnixMillis now) const {
    Row row = agent.row;
    if (plant_ == Plant::lease_ignored && row.lease.holder != agent.flow.holder) {
      row.lease = {};
      row.intent = {};
    }
    if (plant_ == Plant::intent_ignored && row.lease.holder != agent.flow.holder) row.intent = {};
    Step turn = refresh::step(row, agent.flow, event, now, traits_, policy);
    if (plant_ == Plant::sends_forgotten) turn.row.cool_down.sends = 0;
    if (plant_ == Plant::loss_not_named && turn.row.cause == Cause::lost_in_flight) {
      turn.row.cause = Cause::refused;
    }
    if (plant_ == Plant::ambient_state) {
      static bool odd = false;
      odd = !odd;
      if (odd) turn.flow.give_up_at = turn.flow.give_up_at.plus({1});
    }
    if (plant_ == Plant::expired_served) {
      for (Effect& effect : turn.effects.items) {
        if (effect.kind != EffectKind::wait || turn.flow.answered) continue;
        effect = {};
        effect.kind = EffectKind::serve;
        effect.at = row.access_expires_at;
        effect.generation = {row.id, row.version};
        turn.flow.phase = Phase::ended;
      }
    }
    return turn;
  }

  static bool same(const Step& a, const Step& b) {
    if (!(a.row == b.row) || a.effects.count != b.effects.count) return false;
    for (std::size_t i = 0; i < a.effects.count; ++i) {
      const Effect& x = a.effects.items[i];
      const Effect& y = b.effects.items[i];
      const bool equal = x.kind == y.kind && x.at == y.at && x.generation == y.generation &&
                         x.condition == y.condition && x.probe == y.probe;
      if (!equal) return false;
    }
    return a.flow.phase == b.flow.phase && a.flow.give_up_at == b.flow.give_up_at &&
           a.flow.answered == b.flow.answered && a.flow.epoch == b.flow.epoch;
  }

  void act(World& world, Byte seat, const Event& event) {
    Agent& agent = world.agents[seat];
    const bool was_answered = agent.flow.answered;
    const Step turn = take_step(agent, event, world.now);
    if (!same(turn, take_step(agent, event, world.now))) fail("I11", "two equal steps differ");
    agent.flow = turn.flow;
    agent.asks = Asks::nothing;
    unsigned answers = was_answered ? 1 : 0;
    for (const Effect& effect : turn.effects) {
      if (agent.asks != Asks::nothing) fail("I5", "something is asked for behind a question");
      switch (effect.kind) {
      case EffectKind::serve:
        ++answers;
        watch_serve(world, agent, effect);
        last_ = effect;
        break;
      case EffectKind::refuse:
        ++answers;
        last_ = effect;
        break;
      case EffectKind::done:
        ++answers;
        last_ = effect;
        if ((agent.task == Task::disconnect || agent.task == Task::erase ||
             agent.task == Task::revoke) &&
            effect.receipt.deleted) {
          world.ended_lineage = std::max(world.ended_lineage, agent.began_lineage);
        }
        break;
      case EffectKind::notify: break;
      case EffectKind::arm:
        if (setup_.alarm && (world.alarm_at.value == 0 || effect.at.value < world.alarm_at.value)) {
          world.alarm_at = effect.at;
        }
        break;
      case EffectKind::persist: ask_write(agent, effect, turn.row); break;
      case EffectKind::wait:
        agent.asks = Asks::read;
        agent.at = plant_ == Plant::wait_forgotten ? never : effect.at;
        break;
      case EffectKind::send:
        agent.asks = Asks::request;
        agent.sent = world.refresh;
        agent.probe = effect.probe;
        agent.reached = false;
        agent.said = Said::nothing;
        agent.at = effect.at;
        break;
      case EffectKind::revoke_at_provider:
        agent.asks = Asks::revoke;
        agent.sent = effect.token == Which::fresh ? agent.fresh : world.refresh;
        agent.at = effect.at;
        break;
      }
    }
    if (agent.task != Task::alarm && answers > 1) fail("I5", "a caller was answered twice");
    const bool ended = agent.flow.phase == Phase::ended;
    if (ended != (agent.asks == Asks::nothing)) fail("I5", "a flow neither asks nor ends");
    if (ended && answers == 0 && agent.task != Task::alarm) fail("I5", "a caller got no answer");
    if (ended) {
      const Task task = agent.task;
      agent = Agent{};
      agent.task = task;
      agent.flow.phase = Phase::ended;
      agent.flow.holder = holder_of(seat);
    }
  }

  static void ask_write(Agent& agent, const Effect& effect, const Row& next) {
    agent.asks = Asks::write;
    agent.write = {};
    agent.write.condition = effect.condition;
    agent.write.next = next;
    switch (effect.blobs) {
    case Blobs::pair:
    case Blobs::login: agent.write.refresh = agent.fresh; break;
    case Blobs::wipe: agent.write.wipes = true; break;
    case Blobs::keep:
    case Blobs::access:
    case Blobs::hold: break;
    }
  }

  /// I3 and I6.
  void watch_serve(const World& world, const Agent& agent, const Effect& effect) {
    const Byte number = number_of(effect.generation.id);
    const auto version = static_cast<Byte>(effect.generation.version);
    if (effect.at.value <= world.now.value) fail("I3", "an expired token was served");
    if (number < agent.began_lineage ||
        (number == agent.began_lineage && version < agent.began_version)) {
      fail("I3", "a superseded token was served");
    }
    if (agent.ended_before != 0 && number <= agent.ended_before) {
      fail("I6", "a token was served after its end was acknowledged");
    }
  }

  // Which moves there are ------------------------------------------------------------------------

  void list_of(const World& world, Byte seat, std::vector<Chosen>& out) const {
    const Agent& agent = world.agents[seat];
    const auto add = [&out, seat](Move move) { out.push_back({seat, move}); };
    const bool faulty = world.faults > 0;
    switch (agent.asks) {
    case Asks::nothing: break;
    case Asks::start: return add(Move::start);
    case Asks::write:
      add(Move::write);
      if (world.duplicates > 0 && !world.has_stray_write) add(Move::write_twice);
      if (faulty) {
        add(Move::write_fails);
        add(Move::write_unknown_done);
        add(Move::write_unknown_lost);
        if (!world.has_stray_write) add(Move::write_unknown_late);
      }
      break;
    case Asks::read:
      if (may_read(world, agent)) {
        add(Move::read);
        if (faulty) add(Move::read_fails);
      }
      break;
    case Asks::request:
      add(agent.reached ? Move::answer : Move::provider_acts);
      if (faulty) {
        if (agent.reached || world.stray_request == 0) add(Move::answer_lost);
        if (agent.reached) {
          add(Move::error_after);
          add(Move::garbled);
        } else {
          add(Move::error_before);
          add(Move::limited);
          add(Move::not_sent);
        }
      }
      break;
    case Asks::introspection:
      add(Move::introspected);
      if (faulty) add(Move::introspection_lost);
      break;
    case Asks::revoke:
      add(Move::revoke_done);
      if (faulty) add(Move::revoke_fails);
      break;
    }
    if (seat == static_cast<Byte>(Seat::ender) && agent.flow.phase == Phase::ended &&
        world.duplicates > 0) {
      add(Move::again);
    }
    if (seat == static_cast<Byte>(Seat::alarm) && agent.asks == Asks::nothing &&
        world.alarm_at.value != 0 && world.alarm_at.value <= world.now.value) {
      add(Move::alarm);
    }
    // Whoever only waits takes nothing with him.
    if (world.crashes > 0 && agent.asks != Asks::nothing && agent.asks != Asks::read) {
      add(Move::crash);
    }
  }

  void list_of_crashed(const World& world, Byte seat, std::vector<Chosen>& out) const {
    const Agent& agent = world.agents[seat];
    if (agent.asks == Asks::write) out.push_back({seat, Move::write});
    if (agent.asks == Asks::request) {
      const bool in_time = world.now.value <= agent.at.value;
      if (in_time || setup_.rotation != Rotation::grace_new) {
        out.push_back({seat, Move::provider_acts});
      }
    }
  }

  [[nodiscard]] static bool may_read(const World& world, const Agent& agent) {
    if (agent.at.value <= world.now.value) return true;
    return agent.at != never && world.row.epoch != agent.row.epoch;
  }

  /// The next moment at which anything changes; `now` when nothing does, or when a request would
  /// outlive its deadline.
  [[nodiscard]] static UnixMillis next_time(const World& world) {
    UnixMillis next = never;
    const auto consider = [&next, &world](UnixMillis at) {
      if (at.value > world.now.value && at.value < next.value) next = at;
    };
    bool waiting = world.alarm_at.value != 0;
    consider(world.alarm_at);
    for (const Agent& agent : world.agents) {
      if (!agent.active()) continue;
      waiting = true;
      const bool asks = agent.asks == Asks::request || agent.asks == Asks::revoke ||
                        agent.asks == Asks::introspection;
      if (asks && agent.at.value <= world.now.value) return world.now;
      if (asks || agent.asks == Asks::read) consider(agent.at);
      // A write can be on its way for longer than what it says is true.
      if (agent.asks == Asks::write) {
        consider(half_time(agent.write));
        consider(agent.write.next.lease.deadline);
      }
    }
    if (!waiting) return world.now;
    const Row& row = world.row;
    consider(row.lease.deadline);
    consider(row.cool_down.next_attempt_at);
    if (row.access_expires_at.value < world.now.value + 5000) consider(row.access_expires_at);
    if (next == never || (world.delays == 0 && is_late(world, next))) return world.now;
    return next;
  }

  /// Goes on without disturbance until everybody has come to an end.
  bool run_out(World& world) {
    world.crashes = 0;
    world.duplicates = 0;
    world.faults = 0;
    world.delays = 0;
    std::vector<Chosen> moves;
    for (std::size_t turn = 0; turn < 64 * seats; ++turn) {
      if (is_end(world)) return true;
      list(world, moves);
      const auto chosen = std::find_if(moves.begin(), moves.end(), [&world](const Chosen& move) {
        return move.move == Move::time || !world.agents[move.seat].crashed;
      });
      if (chosen == moves.end()) return false;
      carry_out(world, *chosen);
      afterwards_.push_back(describe(world, *chosen));
    }
    return false;
  }

  Setup setup_;
  Plant plant_;
  Traits traits_;
  Outcome& outcome_;
  std::string violation_;
  Effect last_{};
  std::vector<std::string> afterwards_;
};

// Every state once -------------------------------------------------------------------------------

/// A set of 64-bit hashes, by open addressing.
class Seen64 {
public:
  Seen64() : slots_(1U << 16) {}
  /// False when it was there.
  bool insert(std::uint64_t hash) {
    if ((used_ + 1) * 2 > slots_.size()) grow();
    if (!place(slots_, hash)) return false;
    ++used_;
    return true;
  }

private:
  static bool place(std::vector<std::uint64_t>& slots, std::uint64_t hash) {
    const std::size_t mask = slots.size() - 1;
    std::size_t at = hash & mask;
    for (; slots[at] != 0; at = (at + 1) & mask) {
      if (slots[at] == hash) return false;
    }
    slots[at] = hash;
    return true;
  }
  void grow() {
    std::vector<std::uint64_t> larger(slots_.size() * 2);
    for (const std::uint64_t hash : slots_) {
      if (hash != 0) place(larger, hash);
    }
    slots_.swap(larger);
  }
  std::vector<std::uint64_t> slots_;
  std::size_t used_{0};
};

struct Level {
  std::string bytes;
  std::vector<std::size_t> starts;
  std::vector<std::uint32_t> numbers;
};

struct Origin {
  std::uint32_t parent{0};
  Chosen chosen{};
};

/// The moves that led to a state, carried out again. Callers are alike and change their numbers.
std::vector<std::string> retrace(const Rules& rules_before, const Setup& setup, Plant plant,
                                 const std::vector<Origin>& origins, std::uint32_t last,
                                 bool with_last, Chosen chosen) {
  std::vector<Chosen> way;
  for (std::uint32_t at = last; at != 0; at = origins[at].parent) way.push_back(origins[at].chosen);
  std::reverse(way.begin(), way.end());
  if (with_last) way.push_back(chosen);
  Outcome ignored;
  Rules rules{setup, plant, ignored};
  std::vector<std::string> lines;
  std::string bytes;
  pack(rules_before.initial(), bytes);
  for (const Chosen& step : way) {
    World world = unpack(bytes.data(), rules.keeps_before());
    rules.carry_out(world, step);
    lines.push_back(describe(world, step));
    pack(world, bytes);
  }
  return lines;
}

}  // namespace

Outcome explore(const Setup& setup, Plant plant, std::uint64_t limit) {
  Outcome outcome;
  Rules rules{setup, plant, outcome};
  const bool with_before = rules.keeps_before();
  Seen64 seen;
  std::vector<Origin> origins;
  Level level;
  Level next;
  std::string bytes;
  std::vector<Chosen> moves;

  const auto visit = [&](const World& world, std::uint32_t parent, Chosen chosen) {
    pack(world, bytes);
    if (!seen.insert(hash_of(bytes))) return;
    next.starts.push_back(next.bytes.size());
    next.numbers.push_back(static_cast<std::uint32_t>(origins.size()));
    next.bytes += bytes;
    origins.push_back({parent, chosen});
  };
  const auto stop = [&](std::uint32_t number, bool with_last, Chosen chosen) {
    outcome.violation = rules.violation();
    outcome.trace = retrace(rules, setup, plant, origins, number, with_last, chosen);
    if (!with_last) {
      outcome.trace.emplace_back("and without any more disturbance:");
      const auto& after = rules.afterwards();
      outcome.trace.insert(outcome.trace.end(), after.begin(), after.end());
    }
    outcome.states = origins.size();
    return outcome;
  };

  visit(rules.initial(), 0, {});
  while (!next.numbers.empty()) {
    std::swap(level, next);
    next.bytes.clear();
    next.starts.clear();
    next.numbers.clear();
    for (std::size_t i = 0; i < level.numbers.size(); ++i) {
      const std::uint32_t number = level.numbers[i];
      const World world = unpack(level.bytes.data() + level.starts[i], with_before);
      rules.list(world, moves);
      rules.check_progress(world, moves);
      const bool end = Rules::is_end(world);
      if (end) ++outcome.ends;
      if (end || number % 16 == 0) {
        const bool lost = rules.check_end(world);
        if (lost && end) ++outcome.losses;
      }
      if (!rules.violation().empty()) return stop(number, false, {});
      for (const Chosen& chosen : moves) {
        World after = world;
        rules.carry_out(after, chosen);
        ++outcome.moves;
        if (!rules.violation().empty()) return stop(number, true, chosen);
        visit(after, number, chosen);
      }
    }
    if (origins.size() > limit) {
      outcome.states = origins.size();
      return outcome;
    }
  }
  outcome.states = origins.size();
  outcome.closed = true;
  return outcome;
}

}  // namespace latchkey::explorer
