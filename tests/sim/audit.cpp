// What must hold, checked where it could break. The oracle is what the provider and the store
// really hold.
#include "world.hpp"

#include <algorithm>

namespace latchkey::sim {

using namespace refresh;

// Writes -----------------------------------------------------------------------------------------

void World::audit_write(const Write& write, const Stored& before, const Stored& after) {
  const std::uint8_t c = write.connection;
  const Row& old = before.row;
  const Row& row = after.row;

  std::array<std::uint8_t, (row_size + 7) / 8 * 8> words{};
  const std::span<std::uint8_t, row_size> bytes{words.data(), row_size};
  encode(row, bytes);
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < words.size(); i += 8) {
    std::uint64_t word = 0;
    for (std::size_t j = 0; j < 8; ++j) word |= std::uint64_t{words[i + j]} << (8 * j);
    hash = mix(hash ^ word);
  }
  note(What::row, write.who, c, 0, hash >> 32, hash & 0xffff'ffff);
  const Result<Row> decoded = decode(bytes);
  if (after.present && !(decoded && *decoded == row)) {
    violate(Invariant::monotonic, "a row was written that does not read back", c);
  }

  const bool is_login = write.blobs == Blobs::login;
  const bool is_pair = write.blobs == Blobs::pair || write.blobs == Blobs::access;
  const bool ends = write.task == Task::erase || write.task == Task::disconnect;
  if (before.rotten && !is_login && write.task != Task::erase) {
    violate(Invariant::retention, "a corrupt record was overwritten silently", c);
  }
  if (is_login) {
    if (before.present && !is_ended(before) && !before.rotten) count_loss(c, before);
    Lineage& lineage = lineage_of(row.id);
    // What does not open any more may be replaced by what it was.
    if (++lineage.writes > 1 && !before.rotten) {
      violate(Invariant::single_use_state, "one sign-in was stored twice", c);
    }
    if (lineage.connection != c) {
      violate(Invariant::isolation, "a sign-in was stored for somebody else", c);
    }
    lineage.order = ++connections_[c].orders;
    return;
  }
  if (!after.present) {
    if (!ends) violate(Invariant::retention, "a record was removed that nobody had ended", c);
    return;
  }
  if (before.present && !before.rotten) {
    if (row.epoch <= old.epoch) violate(Invariant::monotonic, "an epoch did not rise", c);
    if (!(row.id == old.id)) {
      violate(Invariant::monotonic, "a lineage changed without a sign-in", c);
    }
    if (row.version != old.version + (is_pair ? 1 : 0)) {
      // Of two successors of one token the later replaces the earlier, one version further.
      violate(Invariant::monotonic, "a version did not rise by one with a pair, or rose without",
              c);
    }
  }
  if (is_pair) audit_pair(write, before);
  if (row.status == Status::revoked) {
    if (after.tokens.refresh != 0 || after.tokens.access != 0 || after.held) {
      violate(Invariant::retention, "a tombstone keeps tokens", c);
    }
    if (old.status != Status::revoked) audit_end(write, before);
    return;
  }
  if (row.has_refresh != (after.tokens.refresh != 0)) {
    violate(Invariant::retention, "a row says that it has a refresh token, or not, wrongly", c);
  }
  const bool lost_token = before.tokens.refresh != 0 && after.tokens.refresh == 0;
  if (lost_token) violate(Invariant::losses_named, "a refresh token was dropped", c);
  if (write.blobs != Blobs::pair && old.held && !after.held && !is_pair) {
    violate(Invariant::retention, "an answer that was kept is gone", c);
  }
  if (write.keeps_answer && !after.held) {
    violate(Invariant::retention, "an answer that was not understood is not kept", c);
  }
  if (row.status == Status::reconnect_required && old.status == Status::live) {
    audit_death(write, before);
  }
  if (row.intent.open && row.intent.epoch == row.epoch) {
    Usage& usage = usage_of(after.tokens.refresh);
    if (usage.intents < 0xff) ++usage.intents;
    if (row.intent.probe && usage.probe_intents < 0xff) ++usage.probe_intents;
  }
}

void World::audit_pair(const Write& write, const Stored& before) {
  const std::uint8_t c = write.connection;
  const std::uint32_t grant = provider_.access(write.fresh.access).grant;
  if (is_ended(before)) {
    violate(Invariant::revoke_wins, "a late pair overwrote a tombstone", c);
    return;
  }
  if (lineage_of(before.row.id).grant != grant) {
    violate(Invariant::monotonic, "a late pair overwrote a newer sign-in", c);
    return;
  }
  if (write.fresh.access == 0) violate(Invariant::served_good, "no token was stored as one", c);
  ++counts_[Count::pairs_stored];
  Request& request = requests_[write.request];
  const bool kept = connections_[c].stored.tokens.refresh == request.pair.refresh;
  if (kept) request.fate = Fate::stored;
  if (!kept) violate(Invariant::losses_named, "a refresh token came and another was stored", c);
  // A token that was not replaced begins anew.
  if (request.pair.refresh != request.token) return;
  Usage& usage = usage_of(request.token);
  usage = {};
  usage.from_version = write.row.version;
}

/// A connection is called dead: was it, or could nobody know?
void World::audit_death(const Write& write, const Stored& before) {
  const std::uint8_t c = write.connection;
  const std::uint32_t token = before.tokens.refresh;
  const bool live = provider_.is_live(token, now_);
  const Usage& usage = usage_of(token);
  switch (write.row.cause) {
  case Cause::refused:
    if (live) violate(Invariant::no_false_death, "called refused, and the token is good", c);
    break;
  case Cause::lost_in_flight: {
    const Rotation known = config_.traits.rotation;
    if (usage.intents == 0) {
      violate(Invariant::no_false_death, "called lost, and it was never sent", c);
    }
    if (known == Rotation::none) {
      violate(Invariant::no_false_death, "called lost at a provider that does not rotate", c);
    }
    if (live && known == Rotation::strict_refused && usage.probe_intents == 0) {
      violate(Invariant::no_false_death, "called lost without the one probe that was allowed", c);
    }
    const Request& request = requests_[usage.request];
    const Time margin = config_.policy.lease.value - config_.policy.time_out.value;
    const bool waits = usage.request != 0 && !request.over && request.ticket != write.ticket;
    if (waits && tolerance() < std::max<Time>(margin, 2'000)) {
      violate(Invariant::no_false_death, "called lost while its answer was on the way", c);
    }
    break;
  }
  case Cause::no_refresh_token:
  case Cause::token_rejected:
    if (token != 0) {
      violate(Invariant::no_false_death, "called dead for want of a token that is there", c);
    }
    break;
  case Cause::none:
  case Cause::revoked_by_provider:
  case Cause::revoked_here:
  case Cause::disconnected:
  case Cause::erased: violate(Invariant::no_false_death, "called dead for no reason", c); break;
  }
  Stored dead = before;
  dead.row = write.row;
  count_loss(c, dead);
}

/// Somebody ends a connection: was it theirs to end, and this one?
void World::audit_end(const Write& write, const Stored& before) {
  const std::uint8_t c = write.connection;
  if (write.task == Task::disconnect && !(before.row.id == write.asked)) {
    violate(Invariant::no_false_death, "a disconnect ended a newer sign-in", c);
  }
  if (write.row.cause != Cause::revoked_by_provider) return;
  if (write.subject == ~0U) {
    violate(Invariant::no_false_death, "forged news ended a connection", c);
    return;
  }
  if (provider_.grant(write.subject).owner != c) {
    violate(Invariant::isolation, "news about somebody else ended a connection", c);
    return;
  }
  const Lineage& lineage = lineage_of(before.row.id);
  if (provider_.is_revoked(lineage.grant, now_)) return;
  const Time gap = provider_.grant(lineage.grant).at - provider_.grant(write.subject).revoked_at;
  // Sign-ins are compared with news by clocks; within their error either may be first.
  if (gap > tolerance()) {
    violate(Invariant::no_false_death, "old news ended a newer sign-in", c);
  }
}

// Token requests ---------------------------------------------------------------------------------

void World::audit_send(std::uint8_t who, bool probe) {
  const Agent& agent = agents_[who];
  const std::uint8_t c = agent.connection;
  const std::uint32_t token = agent.tokens.refresh;
  Usage& usage = usage_of(token);
  if (!options_.audits) return;
  if (token == 0) {
    violate(Invariant::one_spend, "nothing was sent", c);
    return;
  }
  // A token that stays is counted from its version on.
  const Row& stored = connections_[c].stored.row;
  const bool moved = stored.version != agent.row.version || !(stored.id == agent.row.id);
  if (usage.intents == 0 && !moved) {
    violate(Invariant::one_spend, "sent before the intent was stored", c);
  }
  const Request& request = requests_[usage.request];
  const bool under_way = usage.request != 0 && !request.over;
  const bool pending = usage.request != 0 && request.pending;
  const bool spent =
      provider_.token(token).state != RefreshToken::State::live && is_of_this_version(token);
  const Time margin = config_.policy.lease.value - config_.policy.time_out.value;
  if (under_way && tolerance() < std::max<Time>(margin, 2'000)) {
    violate(Invariant::one_spend, "two requests for one token at once", c);
  }
  if ((spent || pending) && config_.facts.rotation != Rotation::none) {
    switch (config_.traits.rotation) {
    case Rotation::none:
    case Rotation::grace_same:
    case Rotation::grace_new: break;
    case Rotation::strict_refused:
      // Where clocks disagree by more than the margin, the probe can overtake the first request.
      if (!probe && tolerance() < margin) {
        violate(Invariant::one_spend, "a second use without a label", c);
      }
      if (probe && usage.silent_probes > 0) {
        violate(Invariant::one_spend, "a second probe after one without an answer", c);
      }
      break;
    case Rotation::family_revoked:
      violate(Invariant::one_spend, "a second use where it costs the grant", c);
      break;
    }
  }
  // Between this one and the first of the `max_sends` before it there was a rest.
  const std::uint32_t limit = config_.policy.max_sends;
  const std::size_t size = usage.sent_at.size();
  const bool agree = tolerance() < margin;
  if (agree && usage.sends >= limit && limit <= size) {
    const Time first = usage.sent_at[(usage.sends - limit) % size];
    if (now_ - first < config_.policy.rest.value - tolerance()) {
      violate(Invariant::bounded_calls, "too many requests for one token", c);
    }
  }
  usage.sent_at[usage.sends % size] = now_;
  ++usage.sends;

  const bool named = agent.flow.task == Task::rotate || agent.flow.task == Task::report_rejected;
  const Row& row = agent.row;
  const Time left = row.access_expires_at.value - clock(agent.isolate).value;
  // The clock may have been set since it decided.
  const Time length = left - tolerance();
  const bool fresh = length > 0 && length >= config_.policy.window.value && !row.rejected;
  if (named && agent.stale && fresh && left > 2 * config_.policy.window.value &&
      !(agent.start.generation == Generation{row.id, row.version})) {
    violate(Invariant::bounded_calls, "a refresh for a generation that is no more", c);
  }
  if (agent.flow.task == Task::fetch && fresh && agent.flow.min_validity.value == 0) {
    violate(Invariant::bounded_calls, "a refresh that nobody needed", c);
  }
}

// Answers ----------------------------------------------------------------------------------------

void World::audit_serve(std::uint8_t who, const Effect& effect, std::uint32_t access) {
  if (!options_.audits) return;
  const Agent& agent = agents_[who];
  const std::uint8_t c = agent.connection;
  if (access == 0) return violate(Invariant::served_good, "no token was served as one", c);
  const Lineage& lineage = lineage_of(effect.generation.id);
  const AccessToken& token = provider_.access(access);
  if (provider_.grant(token.grant).owner != c || lineage.connection != c) {
    return violate(Invariant::isolation, "somebody else's token was served", c);
  }
  if (token.grant != lineage.grant) {
    violate(Invariant::served_good, "a token of another sign-in was served", c);
  }
  if (token.expires_at < forever && token.expires_at + tolerance() < now_) {
    violate(Invariant::served_good, "an expired token was served", c);
  }
  if (lineage.ended_at < agent.started) {
    violate(Invariant::revoke_wins, "a token was served after its revocation", c);
  }
  const bool older = lineage.order < agent.floor_order ||
                     (lineage.order == agent.floor_order &&
                      (agent.floor_dead || effect.generation.version < agent.floor_version));
  if (older) violate(Invariant::served_good, "a superseded token was served", c);
  if (effect.token == Which::fresh && !effect.persist_failed) {
    violate(Invariant::monotonic, "a token was served as stored that was not", c);
  }
  const Stored& stored = connections_[c].stored;
  const bool ahead = effect.token == Which::stored && stored.row.id == effect.generation.id &&
                     effect.generation.version > stored.row.version;
  if (ahead) violate(Invariant::monotonic, "a version was served that is not stored", c);
  const bool reported = agent.start.task == Task::report_rejected && config_.traits.lag.value > 0;
  const bool named = agent.start.task == Task::rotate || agent.start.task == Task::report_rejected;
  // A token that is served before it is stored may leave its number to another, or get another.
  const bool same = agent.start.generation == effect.generation && agent.named == access;
  if (named && !reported && same) {
    violate(Invariant::served_good, "the very token was served that was not good enough", c);
  }
}

void World::audit_refusal(std::uint8_t who, const Effect& effect) {
  const Agent& agent = agents_[who];
  const std::uint8_t c = agent.connection;
  const Connection& connection = connections_[c];
  const Stored& stored = connection.stored;
  const Lineage& lineage = lineage_of(stored.row.id);
  const bool ended_by_person =
      connection.orders == 0 || stored.row.status == Status::revoked ||
      (provider_.is_revoked(lineage.grant, now_) && !provider_.grant(lineage.grant).killed);
  const bool wants_token = agent.start.task == Task::fetch || agent.start.task == Task::rotate ||
                           agent.start.task == Task::report_rejected;
  if (wants_token && !ended_by_person && !stored.rotten) ++counts_[Count::failed];
  if (effect.outcome == Outcome::reconnect_required) ++counts_[Count::reconnect];
  if (!options_.audits) return;

  const bool was_live = stored.present && stored.row.status == Status::live && !stored.rotten &&
                        connection.not_live_at < agent.started &&
                        connection.rotten_at < agent.started;
  switch (effect.outcome) {
  case Outcome::not_connected:
  case Outcome::revoked:
  case Outcome::reconnect_required:
    if (was_live && stored.row.has_refresh) {
      violate(Invariant::no_false_death, "a caller was told that a live connection is none", c);
    }
    break;
  case Outcome::corrupt:
    if (was_live) violate(Invariant::no_false_death, "a sound record was called corrupt", c);
    break;
  case Outcome::ok:
  case Outcome::temporarily_unavailable:
    asks_again_ = asks_again_ || agent.may_ask_again;
    if (agent.final_check && !agent.may_ask_again) {
      violate(Invariant::liveness, "faults are over, and a caller is still put off", c);
    }
    if (config_.is_calm() && wants_token && config_.policy.poll.value > 0) {
      violate(Invariant::liveness, "a caller was put off although nothing was wrong", c);
    }
    break;
  }
}

/// The first end of a request is the one that counts.
void World::end(Request& request, Fate fate) {
  if (request.fate != Fate::open) return;
  request.fate = fate;
  request.ended_at = now_;
}

// Losses -----------------------------------------------------------------------------------------

/// False for a token that was not replaced, and then spent by a late request of the version before.
bool World::is_of_this_version(std::uint32_t token) {
  const Request& request = requests_[provider_.token(token).spent_by];
  return request.version >= usage_of(token).from_version;
}

/// A probe got no answer. One of a version before says nothing about this one, although the
/// provider kept the token.
void World::count_silence(const Request& request) {
  Usage& usage = usage_of(request.token);
  if (request.probe && request.version >= usage.from_version) ++usage.silent_probes;
}

/// Counts a connection whose credential is gone although nobody had ended it, and asks why.
void World::count_loss(std::uint8_t c, const Stored& stored) {
  Lineage& lineage = lineage_of(stored.row.id);
  if (lineage.counted || lineage.order == 0) return;
  const bool dead = stored.row.status == Status::reconnect_required;
  const bool named = dead && stored.row.cause == Cause::lost_in_flight;
  const std::uint32_t token = stored.tokens.refresh;
  const RefreshToken& it = provider_.token(token);
  const Grant& grant = provider_.grant(lineage.grant);
  if (provider_.is_live(token, now_)) {
    if (!dead) return;
    lineage.counted = true;
    ++counts_[Count::given_up];
    return;
  }
  if (token == 0 || (it.expires_at <= now_ && it.state == RefreshToken::State::live)) return;
  if (grant.revoked_at <= now_ && !grant.killed) return;

  const Request& request = requests_[it.replaced_by];
  // Its answer may still come, or be stored.
  const Agent& agent = agents_[request.who];
  const bool goes_on = agent.used && agent.request == it.replaced_by;
  if (it.state == RefreshToken::State::spent && request.fate == Fate::open && goes_on) return;
  lineage.counted = true;
  ++counts_[Count::lost];
  if (named) ++counts_[Count::lost_labelled];
  // Of two successors only one is good, and nobody knows which: one gives way to another attempt
  // within the grace, and that fails until the grace is over.
  const bool crossed =
      request.fate == Fate::superseded && config_.facts.rotation == Rotation::grace_new;
  const bool late = crossed || grant.killed || it.state != RefreshToken::State::spent ||
                    !is_of_this_version(token);
  if (late) {
    ++counts_[Count::lost_order];
    return;
  }
  switch (request.fate) {
  case Fate::no_reply:
  case Fate::answered: ++counts_[Count::lost_reply]; break;
  case Fate::garbled: ++counts_[Count::lost_garbled]; break;
  case Fate::crashed: ++counts_[Count::lost_crash]; break;
  case Fate::gave_up: ++counts_[Count::lost_store]; break;
  case Fate::open:
  case Fate::stored:
  case Fate::discarded:
  case Fate::superseded:
    violate(Invariant::losses_named, "a pair came and was not stored", c);
    break;
  }
  if (dead && !named) violate(Invariant::losses_named, "a loss was not called one", c);
  if (!dead) {
    const bool unasked = happened(Fault::alarm_dropped) || config_.plain;
    if (over_ && !unasked) violate(Invariant::losses_named, "a loss was never noticed", c);
    return;
  }
  // Within a grace nothing is lost yet: every further attempt may give a token.
  const bool graced = config_.facts.rotation == Rotation::grace_same ||
                      config_.facts.rotation == Rotation::grace_new;
  const Time lost_at = graced ? it.spent_at + config_.facts.grace : 0;
  const Time delay = now_ - std::max(request.ended_at, lost_at);
  ++counts_[Count::surfaced];
  counts_[Count::surfaced_ms] += static_cast<std::uint64_t>(std::max<Time>(delay, 0));
  if (delay > 60'000) ++counts_[Count::surfaced_late];
  if (delay > 60'000 + config_.policy.rest.value && is_punctual()) {
    violate(Invariant::losses_named, "a loss was noticed late", c);
  }
}

/// Nothing kept anybody from noticing: alarms came, clocks were right, the store answered, and the
/// provider did not ask to be left alone.
bool World::is_punctual() const noexcept {
  for (const Fault f : {Fault::alarm_dropped,
                        Fault::outage,
                        Fault::read_failed,
                        Fault::write_failed,
                        Fault::write_late,
                        Fault::unknown_unwritten,
                        Fault::unknown_written,
                        Fault::bit_rot,
                        Fault::key_early,
                        Fault::crash,
                        Fault::evict,
                        Fault::error_503,
                        Fault::error_429,
                        Fault::error_403,
                        Fault::operator_error,
                        Fault::garbled_before,
                        Fault::garbled_after,
                        Fault::not_sent,
                        Fault::error_500_before,
                        Fault::error_500_after}) {
    if (counts_[f] > 0) return false;
  }
  return tolerance() < 1'000;
}

}  // namespace latchkey::sim
