/// A world around the step function: everything is simulated but the core, and one seed is one
/// course of events, to the last bit, on every machine.
#pragma once

#include "bugs.hpp"
#include "config.hpp"
#include "invariants.hpp"
#include "trace.hpp"

#include <vector>

namespace latchkey::sim {

using StepFunction = refresh::Step (*)(const refresh::Row&, const refresh::Flow&,
                                       const refresh::Event&, UnixMillis, const refresh::Traits&,
                                       const refresh::Policy&) noexcept;

struct Options {
  Bug bug{Bug::none};
  StepFunction step{refresh::step};
  bool audits{true};  ///< false: only counts, for protocols that are known to fail
  bool keeps_trace{false};
  void (*adjust)(Config&) noexcept {nullptr};  ///< of a scenario
};

/// The first thing that went wrong.
struct Violation {
  Invariant invariant{Invariant::none};
  const char* what{""};
  std::uint8_t connection{0};
  Time at{0};
};

class World {
public:
  /// Runs the world of `seed` to its end.
  void run(std::uint64_t seed, const Options& options);

  [[nodiscard]] std::uint64_t hash() const noexcept { return trace_.hash(); }
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  [[nodiscard]] const Violation& violation() const noexcept { return violation_; }
  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] const std::vector<Record>& trace() const noexcept { return trace_.records(); }

private:
  static constexpr std::uint8_t nobody = 0xff;
  static constexpr std::size_t max_agents = 96;
  static constexpr std::size_t max_connections = 2;
  static constexpr std::size_t max_isolates = 4;

  // What is stored ------------------------------------------------------------------------------

  struct Stored {
    bool present{false};
    bool rotten{false};
    std::uint32_t decay{0};  ///< which one made it so
    bool held{false};
    std::uint32_t key{0};  ///< it is sealed with
    refresh::Row row{};
    Pair tokens{};
  };

  struct Connection {
    Stored stored{};
    Stored mirror{};  ///< as a store without strong reads would show it
    Time mirror_at{0};
    Time alarm_at{forever};
    std::uint32_t alarm{0};  ///< the one that counts
    std::uint32_t orders{0};
    bool login_due{false};
    bool withdrawn{false};
    Time not_live_at{0};  ///< the last time the record was not live
    Time rotten_at{-1};  ///< the last time it did not open
    refresh::Generation seen[2]{};  ///< what callers were served
    std::uint32_t seen_access[2]{};
    std::uint32_t directory_order{0};
    std::uint64_t directory_epoch{0};
  };

  struct Lineage {
    std::uint8_t connection{0};
    std::uint8_t writes{0};
    bool counted{false};  ///< as lost
    std::uint32_t grant{0};
    std::uint32_t order{0};  ///< 0: not stored
    Time ended_at{forever};  ///< acknowledged
    Pair first{};
  };

  /// What became of a token request whose token was spent.
  enum class Fate : std::uint8_t {
    open,
    no_reply,  ///< CP4
    answered,  ///< with an error, although it rotated
    garbled,
    crashed,
    gave_up,  ///< the store took nothing
    stored,
    discarded,
    superseded,
  };

  struct Request {
    std::uint32_t token{0};
    std::uint32_t ticket{0};
    std::uint8_t who{0};
    std::uint8_t connection{0};
    bool probe{false};
    bool over{false};  ///< answered or given up
    bool answered{false};
    bool asking{false};  ///< its answer is being looked into
    bool pending{false};  ///< the provider will act on it
    bool acted{false};
    std::uint64_t version{0};
    Fate fate{Fate::open};
    Fault plan{Fault::count_};
    Time deadline{0};
    Time ended_at{0};
    refresh::Reply reply{};
    Pair pair{};
  };

  struct Write {
    std::uint8_t who{0};
    std::uint8_t connection{0};
    refresh::Blobs blobs{refresh::Blobs::keep};
    bool answers{true};
    bool keeps_answer{false};  ///< it stores one that was not understood
    bool cancelled{false};
    bool applied{false};
    std::uint32_t ticket{0};
    std::uint32_t request{0};
    std::uint32_t key{0};
    std::uint32_t decay{0};
    refresh::Task task{refresh::Task::none};
    refresh::EventKind answer{refresh::EventKind::none};
    refresh::Condition condition{};
    refresh::Row row{};
    refresh::Row known{};
    Pair fresh{};
    std::uint32_t subject{0};
    refresh::Id asked{};
  };

  struct Revoking {
    std::uint8_t who{0};
    std::uint32_t ticket{0};
    Pair pair{};
    refresh::Revoked answer{refresh::Revoked::unreachable};
    bool arrives{true};
  };

  /// One flow and its driver.
  struct Agent {
    bool used{false};
    bool begun{false};
    bool answered{false};
    bool final_check{false};
    bool may_ask_again{false};
    std::uint8_t connection{0};
    std::uint8_t isolate{0};
    std::uint8_t store_faults{0};
    std::uint16_t steps{0};
    std::uint32_t ticket{0};  ///< of the question that is open
    std::uint32_t request{0};
    std::uint32_t write{0};
    std::uint32_t subject{0};  ///< a revocation at the provider: the grant
    std::uint32_t named{0};  ///< the access token of the generation it named
    std::uint32_t decay{0};  ///< of the record that it found not to open
    std::uint32_t floor_order{0};  ///< what was stored when it began
    std::uint64_t floor_version{0};
    refresh::Id floor_id{};
    bool floor_dead{false};
    bool stale{false};  ///< it named a generation that was not the stored one
    Time started{0};
    refresh::Event start{};
    refresh::Flow flow{};
    refresh::Row row{};
    Pair tokens{};
    Pair fresh{};
    // The answer on its way.
    refresh::Event answer{};
    refresh::Row answer_row{};
    Pair answer_tokens{};
    bool answer_has_row{false};
  };

  /// A rewrite of a record outside of the protocol.
  struct Rewrite {
    std::uint8_t connection{0};
    bool rewraps{false};
    bool read{false};
    std::uint32_t key{0};
    refresh::Row row{};
  };

  struct Spawn {
    std::uint8_t connection{0};
    std::uint32_t subject{0};
    std::uint32_t lineage{0};
    std::uint32_t named{0};
    refresh::Event event{};
    Pair fresh{};
    bool final_check{false};
    bool may_ask_again{false};
  };

  /// How much of a token was used, and how.
  struct Usage {
    std::uint8_t intents{0};
    std::uint8_t probe_intents{0};
    std::uint8_t silent_probes{0};  ///< that got no answer
    std::uint32_t request{0};
    std::uint64_t from_version{0};  ///< it was kept for this one
    std::array<Time, 8> sent_at{};
    std::uint32_t sends{0};
  };

  enum class Move : std::uint8_t {
    burst,
    spawn,
    read,
    answer,
    apply,
    arrive,
    reply,
    introspect,
    introspected,
    abort,
    revoke_arrives,
    revoke_answers,
    alarm,
    touch,
    rewrite,
    evict,
    jump,
    thaw,
    outage,
    key,
    twin,
    mirror,
    login,
    quiet,
    last,
    end,
  };

  struct Item {
    Time at{0};
    std::uint64_t order{0};
    Move move{Move::burst};
    std::uint8_t who{0};
    std::uint32_t ticket{0};
    std::uint32_t ref{0};
  };

  // Course --------------------------------------------------------------------------------------
  void reset(std::uint64_t seed, const Options& options);
  void plan();
  void schedule(Time delay, Move move, std::uint8_t who = 0, std::uint32_t ticket = 0,
                std::uint32_t ref = 0);
  void dispatch(const Item& item);
  [[nodiscard]] bool happens(Fault fault);
  [[nodiscard]] bool happened(Fault fault) const noexcept { return counts_[fault] > 0; }
  [[nodiscard]] bool has(Bug bug) const noexcept { return options_.bug == bug; }
  [[nodiscard]] UnixMillis clock(std::uint8_t isolate) const noexcept;
  /// By how much two clocks, or one clock at two moments, may differ.
  [[nodiscard]] Time tolerance() const noexcept { return tolerance_; }
  void note(What what, std::uint8_t who, std::uint8_t connection, std::uint8_t a = 0,
            std::uint64_t b = 0, std::uint64_t c = 0);
  void violate(Invariant invariant, const char* what, std::uint8_t connection);

  // Persons, machines ---------------------------------------------------------------------------
  void burst();
  void burst_ops();
  void machine_faults();
  void spawn_later(Time delay, const Spawn& spawn);
  void spawn(const Spawn& spawn);
  void fetch(std::uint8_t connection, Time delay);
  void log_in(std::uint8_t connection, Time delay);
  void withdraw(std::uint8_t connection);
  void rotate_keys();
  void rewrite_later(Time delay, std::uint8_t connection, bool rewraps, std::uint32_t key);
  void rewrite(const Rewrite& it);
  void ring_alarm(const Item& item);
  void crash(CrashPoint point, std::uint8_t isolate);
  [[nodiscard]] bool crashes(CrashPoint point, std::uint8_t who);
  void settle_all();
  void final_checks(bool may_ask_again);

  // The driver ----------------------------------------------------------------------------------
  void read(std::uint8_t who, Time delay);
  void read_now(std::uint8_t who);
  [[nodiscard]] bool is_readable(const Stored& stored, std::uint8_t isolate) const noexcept;
  void answer_with_row(Agent& agent, const Stored& stored, refresh::EventKind kind);
  void deliver(std::uint8_t who);
  void take(std::uint8_t who, const refresh::Event& event);
  void ask(std::uint8_t who, const refresh::Effect& effect, const refresh::Row& row);
  void persist(std::uint8_t who, const refresh::Effect& effect, const refresh::Row& row);
  void apply(std::uint32_t ref);
  [[nodiscard]] bool holds(const Write& write, const Stored& stored) const noexcept;
  void send(std::uint8_t who, const refresh::Effect& effect);
  [[nodiscard]] bool turn_away(Request& request);
  void redeem(Request& request, std::uint32_t ref);
  void arrive(std::uint32_t ref);
  void reply(std::uint32_t ref);
  [[nodiscard]] bool asks_about(const Request& request) const noexcept;
  void ask_about(std::uint32_t ref);
  void introspect(std::uint32_t ref);
  void conclude(std::uint32_t ref);
  void abort(std::uint32_t ref);
  void ask_to_revoke(std::uint8_t who, const refresh::Effect& effect);
  void serve(std::uint8_t who, const refresh::Effect& effect);
  void refuse(std::uint8_t who, const refresh::Effect& effect);
  void done(std::uint8_t who, const refresh::Effect& effect);
  void notify(std::uint8_t who, const refresh::Effect& effect);
  void arm(std::uint8_t who, UnixMillis at);
  void finish(std::uint8_t who);
  [[nodiscard]] bool update_mirrors(std::uint8_t who);
  [[nodiscard]] std::uint64_t entropy(std::uint8_t isolate) noexcept;
  /// Another question is open from now on; answers to those before are not waited for.
  std::uint32_t question(Agent& agent) noexcept { return ++agent.ticket; }

  // What must hold ------------------------------------------------------------------------------
  void audit_write(const Write& write, const Stored& before, const Stored& after);
  void audit_death(const Write& write, const Stored& before);
  void audit_pair(const Write& write, const Stored& before);
  void audit_end(const Write& write, const Stored& before);
  void audit_send(std::uint8_t who, bool probe);
  void audit_serve(std::uint8_t who, const refresh::Effect& effect, std::uint32_t access);
  void audit_refusal(std::uint8_t who, const refresh::Effect& effect);
  void end(Request& request, Fate fate);
  void count_loss(std::uint8_t connection, const Stored& stored);
  [[nodiscard]] bool is_punctual() const noexcept;
  [[nodiscard]] bool is_ended(const Stored& stored) const noexcept;
  [[nodiscard]] Lineage& lineage_of(const refresh::Id& id) noexcept;
  [[nodiscard]] Usage& usage_of(std::uint32_t token);
  [[nodiscard]] bool is_of_this_version(std::uint32_t token);
  void count_silence(const Request& request);

  Options options_{};
  Config config_{};
  Random random_{0};
  Trace trace_{};
  Counts counts_{};
  Violation violation_{};
  Provider provider_{};

  Time now_{0};
  Time tolerance_{0};
  Time down_until_{0};
  Time twin_until_{0};
  bool quiet_{false};
  bool over_{false};
  bool asks_again_{false};  ///< the last callers were put off by a clock that was wrong
  std::uint32_t decays_{0};
  bool outage_possible_{false};
  std::uint64_t order_{0};
  std::uint32_t key_{1};  ///< the newest
  unsigned bursts_left_{0};
  std::array<Time, max_isolates> skew_{};
  std::array<Time, max_isolates> frozen_at_{};
  std::array<std::uint32_t, max_isolates> opens_{};  ///< the newest key that an isolate knows
  std::array<std::uint32_t, max_isolates> seals_{};  ///< and the one it uses
  std::array<bool, max_isolates> poisoned_{};

  std::array<Connection, max_connections> connections_{};
  std::array<Agent, max_agents> agents_{};
  std::vector<Lineage> lineages_;
  std::vector<Request> requests_;
  std::vector<Write> writes_;
  std::vector<Revoking> revokings_;
  std::vector<Rewrite> rewrites_;
  std::vector<Spawn> spawns_;
  std::vector<Usage> usages_;
  std::vector<Item> queue_;
};

}  // namespace latchkey::sim
