#include "bugs.hpp"

namespace latchkey::sim {

using namespace refresh;

namespace {

// Parts ------------------------------------------------------------------------------------------

bool begins(const Call& call) noexcept { return call.event.kind == EventKind::begin; }
bool rereads(const Call& call) noexcept {
  return call.event.kind == EventKind::row_read || call.event.kind == EventKind::lost;
}
/// A caller looks whether somebody else is refreshing.
bool looks(const Call& call) noexcept {
  return begins(call) ||
         (call.event.kind == EventKind::row_read && call.flow.phase == Phase::waiting);
}
bool is_late(const Call& call) noexcept {
  return rereads(call) && call.flow.phase == Phase::storing;
}
bool is_reply(const Call& call, ReplyClass kind) noexcept {
  return call.event.kind == EventKind::reply && call.event.reply.kind == kind;
}
bool is_leased_now(const Call& call) noexcept { return is_leased(call.row, call.now, call.policy); }
/// The lease as seen by somebody who cannot see it.
void unlock(Row& row) noexcept {
  row.lease = {};
  if (row.intent.open) row.intent = {};
}

Effect* find(Step& step, EffectKind kind) noexcept {
  for (std::uint8_t i = 0; i < step.effects.count; ++i) {
    if (step.effects.items[i].kind == kind) return &step.effects.items[i];
  }
  return nullptr;
}
Effect* find_persist(Step& step, Phase phase) noexcept {
  return step.flow.phase == phase ? find(step, EffectKind::persist) : nullptr;
}
void compare_only(Step& step, Phase phase, std::uint64_t what) noexcept {
  if (Effect* const persist = find_persist(step, phase)) persist->condition.epoch = what;
}

/// The flow ends here, with this for an answer if it owes one.
void end_with(Step& step, const Effect& answer) noexcept {
  step.effects.count = step.flow.answered ? 0 : 1;
  step.effects.items[0] = answer;
  step.flow.phase = Phase::ended;
  step.flow.answered = true;
}
Effect refusal(Outcome outcome) noexcept {
  Effect effect;
  effect.kind = EffectKind::refuse;
  effect.outcome = outcome;
  return effect;
}
Effect serving(const Row& row, Source source) noexcept {
  Effect effect;
  effect.kind = EffectKind::serve;
  effect.source = source;
  effect.generation = {row.id, row.version};
  effect.at = row.access_expires_at;
  return effect;
}
bool wants_token(const Flow& flow) noexcept {
  return flow.task == Task::fetch || flow.task == Task::rotate ||
         flow.task == Task::report_rejected;
}
/// A caller that has no answer yet is about to wait for another one's refresh.
bool is_about_to_wait(const Call& call, Step& step) noexcept {
  return wants_token(step.flow) && !call.flow.answered && step.flow.phase == Phase::waiting &&
         find(step, EffectKind::wait) != nullptr;
}

// What the step function is told wrongly ---------------------------------------------------------

void revive_tombstone(Call& call) noexcept {
  Row& row = call.row;
  if (!is_late(call) || row.status != Status::revoked || !(row.id == call.flow.spent.id)) return;
  row.status = Status::live;
  row.cause = Cause::none;
  row.has_refresh = true;
}
void forget_crashed(Call& call) noexcept {
  if (looks(call) && !is_leased_now(call) && call.row.intent.open) call.row.intent = {};
}
void forget_doubt(Call& call) noexcept {
  if (!looks(call) && !rereads(call) && call.event.kind != EventKind::stored) return;
  call.row.intent.doubt = Doubt::none;
  if (!is_leased_now(call)) call.row.intent = {};
}
void ignore_store_error(Call& call) noexcept {
  if (call.event.kind == EventKind::store_failed) call.event.kind = EventKind::stored;
}
void end_on_5xx(Call& call) noexcept {
  Reply& reply = call.event.reply;
  if (is_reply(call, ReplyClass::transient) && reply.doubt != Doubt::silent) {
    reply.kind = ReplyClass::terminal;
  }
}
void end_on_rate_limit(Call& call) noexcept {
  if (is_reply(call, ReplyClass::rate_limited)) call.event.reply.kind = ReplyClass::terminal;
}
void believe_status(Call& call) noexcept {
  if (is_reply(call, ReplyClass::terminal) && call.errors_in_200) {
    call.event.reply.kind = ReplyClass::ok;
  }
}
void drop_garbled(Call& call) noexcept {
  if (is_reply(call, ReplyClass::not_understood)) call.event.reply.kind = ReplyClass::transient;
}
void release_for_others(Call& call) noexcept {
  if (looks(call) && !begins(call) && call.row.lease.holder != 0) unlock(call.row);
}
void lock_locally(Call& call) noexcept {
  const std::uint64_t holder = call.row.lease.holder;
  if (looks(call) && holder != 0 && holder % 8 != call.isolate) unlock(call.row);
}
void lock_never(Call& call) noexcept {
  if (looks(call) && call.row.lease.holder != 0) unlock(call.row);
}
void prefer_first_successor(Call& call) noexcept {
  if (!is_late(call)) return;
  if (call.row.version == call.flow.spent.version) call.row.intent.epoch = 0;
  if (call.row.version == call.flow.spent.version + 1) call.row.pair_epoch = call.flow.epoch + 1;
}
void never_cool_down(Call& call) noexcept { call.row.cool_down = {}; }
void force_any_generation(Call& call) noexcept {
  const Task task = call.event.task;
  if (begins(call) && (task == Task::report_rejected || task == Task::rotate)) {
    call.event.generation = {call.row.id, call.row.version};
  }
}
void ignore_date(Call& call) noexcept {
  if (begins(call) && call.event.task == Task::revoke) call.event.at = {};
}
void end_whatever_is_there(Call& call) noexcept {
  if (!rereads(call) || call.flow.task != Task::disconnect) return;
  if (call.row.status == Status::absent) return;
  call.flow.named = {call.row.id, call.row.version};
  call.flow.spent = call.flow.named;
}
void believe_in_revocation(Call& call) noexcept {
  if (call.event.kind == EventKind::revocation && call.event.revoked == Revoked::unreachable) {
    call.event.revoked = Revoked::done;
  }
}

// What it wants, done wrongly --------------------------------------------------------------------

void take_any(const Call&, Step& step) noexcept { compare_only(step, Phase::taking, any_epoch); }
void compare_seconds(const Call&, Step& step) noexcept {
  for (const Phase phase : {Phase::taking, Phase::storing, Phase::settling}) {
    compare_only(step, phase, same_second);
  }
}
void store_any(const Call&, Step& step) noexcept { compare_only(step, Phase::storing, any_epoch); }
void compare_version(const Call&, Step& step) noexcept {
  compare_only(step, Phase::storing, same_version);
}
void write_any(const Call&, Step& step) noexcept {
  if (Effect* const persist = find(step, EffectKind::persist)) persist->condition.epoch = any_epoch;
}
void kill_any(const Call&, Step& step) noexcept {
  if (step.flow.settle == Settle::dead) compare_only(step, Phase::settling, any_epoch);
}
void give_way(const Call& call, Step& step) noexcept {
  if (call.event.kind != EventKind::lost || find_persist(step, Phase::storing) == nullptr) return;
  end_with(step, serving(call.row, Source::joined));
}
void spend_at_once(const Call& call, Step& step) noexcept {
  Effect* const persist = find_persist(step, Phase::taking);
  if (persist == nullptr) return;
  persist->kind = EffectKind::send;
  persist->at = call.now.plus(call.policy.time_out);
  step.flow.phase = Phase::sending;
  step.flow.attempted = true;
}
void throw_on_odd_expiry(const Call& call, Step& step) noexcept {
  if (is_reply(call, ReplyClass::ok) && call.event.reply.tokens.lifetime.value <= 0) {
    end_with(step, refusal(Outcome::temporarily_unavailable));
  }
}
void serve_first(const Call& call, Step& step) noexcept {
  Effect* const persist = find_persist(step, Phase::storing);
  if (persist == nullptr || call.event.kind != EventKind::reply) return;
  if (step.flow.answered || !wants_token(step.flow)) return;
  Effect effect = serving(step.row, Source::refreshed);
  effect.token = Which::fresh;
  step.effects.items[step.effects.count++] = *persist;
  *persist = effect;
  step.flow.answered = true;
}
void wait_for_ever(const Call& call, Step& step) noexcept {
  if (Effect* const send = find(step, EffectKind::send)) send->at = call.now.plus(seconds(30));
}
void drop_omitted(const Call&, Step& step) noexcept {
  if (find_persist(step, Phase::storing) != nullptr && !step.flow.reply.tokens.has_refresh) {
    step.row.has_refresh = false;
  }
}
void keep_old_token(const Call&, Step& step) noexcept {
  Effect* const persist = find_persist(step, Phase::storing);
  if (persist != nullptr && persist->blobs == Blobs::pair) persist->blobs = Blobs::access;
}
void sign_loser_out(const Call& call, Step& step) noexcept {
  if (is_about_to_wait(call, step)) end_with(step, refusal(Outcome::not_connected));
}
void serve_old(const Call& call, Step& step) noexcept {
  if (is_about_to_wait(call, step) && call.row.status == Status::live) {
    end_with(step, serving(call.row, Source::joined));
  }
}
void wipe_nothing(const Call&, Step& step) noexcept {
  Effect* const persist = find(step, EffectKind::persist);
  if (persist != nullptr && persist->blobs == Blobs::wipe) persist->blobs = Blobs::keep;
}

constexpr BugInfo infos[] = {
    {"none", "", "", nullptr, nullptr},
    {"no_compare_and_swap", "CVE-2026-1035 (Keycloak)", "the lease is written without a condition",
     nullptr, take_any},
    {"marker_in_seconds", "keycloak/keycloak#50999", "conditions compare a time in seconds",
     nullptr, compare_seconds},
    {"restart_forgets", "CVE-2026-9802 (Keycloak)", "a restart forgets leases and intents", nullptr,
     nullptr},
    {"refresh_beats_revoke", "keycloak/keycloak#51312", "a late pair is stored over a tombstone",
     revive_tombstone, nullptr},
    {"refresh_beats_login", "first-tree#1663", "a late pair is stored whatever is there", nullptr,
     store_any},
    {"lineage_ignored", "twentyhq/twenty#25773", "conditions compare the version alone", nullptr,
     compare_version},
    {"metadata_write_wins", "Menci/Floway#340", "an unrelated write makes the pair give way",
     nullptr, give_way},
    {"crash_forgotten", "windmill#9471", "after a crash the token is sent again as if new",
     forget_crashed, nullptr},
    {"replay_after_silence", "HQBase#41", "after a lost answer the token is sent again",
     forget_doubt, nullptr},
    {"replay_without_end", "better-auth#8512", "as many probes as it takes", nullptr, nullptr},
    {"spend_before_intent", "executor#1377", "the token is sent before anything is written",
     nullptr, spend_at_once},
    {"throw_after_spend", "@octokit/oauth-methods 6.0.5", "an odd expiry throws the answer away",
     nullptr, throw_on_odd_expiry},
    {"store_error_ignored", "CVE-2020-15223 (fosite)", "a failed write counts as done",
     ignore_store_error, nullptr},
    {"served_before_stored", "modelcontextprotocol/typescript-sdk#2034",
     "the new token is handed out first and stored later", nullptr, serve_first},
    {"error_500_is_death", "Menci/Floway#67", "a 5xx ends the connection", end_on_5xx, nullptr},
    {"rate_limit_is_death", "coder/coder#24334", "a 403 or 429 ends the connection",
     end_on_rate_limit, nullptr},
    {"status_only", "threat T11 (GitHub)", "an error in HTTP 200 is taken for a token",
     believe_status, nullptr},
    {"garbled_dropped", "threat T8", "an answer that is not understood is dropped", drop_garbled,
     nullptr},
    {"lease_shorter_than_request", "oauth2-proxy/oauth2-proxy#1580",
     "a lease of 2 s for a request of 5 to 10 s", nullptr, nullptr},
    {"deadline_not_from_lease", "Nango, utils/lib/axios.ts",
     "the HTTP client waits 30 s whatever the lease", nullptr, wait_for_ever},
    {"lease_released_by_anyone", "Nango, lock without owner",
     "a waiter releases a lease that is not its own", release_for_others, nullptr},
    {"lock_in_one_process", "elizaOS/eliza#20027", "the lock is seen in one process only",
     lock_locally, nullptr},
    {"mirror_is_authority", "cloudflare/workers-oauth-provider#214",
     "rows are read from a store without strong reads", nullptr, write_any},
    {"refusal_kills_winner", "coder/coder#17069",
     "no lock, and the loser's refusal ends the winner's connection", lock_never, kill_any},
    {"omitted_token_wipes", "kentcdodds/kody#2340",
     "an answer without refresh token erases the old one", nullptr, drop_omitted},
    {"rotation_not_stored", "golang/oauth2#84", "the rotated refresh token is not stored", nullptr,
     keep_old_token},
    {"losers_signed_out", "nocturne#391", "who has to wait is told that nothing is connected",
     nullptr, sign_loser_out},
    {"waiter_served_expired", "novu#12010", "who has to wait gets the old token", nullptr,
     serve_old},
    {"first_successor_wins", "slackapi/node-slack-sdk#2504",
     "of two successors the one stored first is kept", prefer_first_successor, nullptr},
    {"retry_storm", "cloudflare/workers-oauth-provider CHANGELOG", "no cool-down and no limit",
     never_cool_down, nullptr},
    {"failure_poisons", "requirement T55", "a failed attempt fails all that come after", nullptr,
     nullptr},
    {"stale_report_forces", "requirement T45", "a report about an old token forces a refresh",
     force_any_generation, nullptr},
    {"alarm_forgotten", "threat T34", "nobody is woken when a lease ends", nullptr, nullptr},
    {"hook_order_ignored", "slackapi/bolt-js#1538", "old news ends a new sign-in", ignore_date,
     nullptr},
    {"hook_unsigned", "threat T30", "news is believed before its signature is checked", nullptr,
     nullptr},
    {"hook_wrong_subject", "chattermate#224", "news is applied to the wrong connection", nullptr,
     nullptr},
    {"disconnect_ends_newer", "requirement T50", "a disconnect ends what came meanwhile",
     end_whatever_is_there, nullptr},
    {"receipt_lies", "xorbitsai/xagent#1491", "a revocation that failed is reported as done",
     believe_in_revocation, nullptr},
    {"tombstone_keeps_tokens", "PageSpace#911", "what is deleted stays", nullptr, wipe_nothing},
    {"row_mixed_up", "CVE-2025-61928 (better-auth)", "a row opens with another row's tokens",
     nullptr, nullptr},
    {"callback_replayed", "cloudflare/agents#833", "one callback signs in twice", nullptr, nullptr},
    {"introspects_silence", "a shortcut of rule 9",
     "behind a time-out an introspection is believed while the request is on its way", nullptr,
     nullptr},
    {"introspection_believed", "RFC 7662 section 2.2", "any answer of an introspection is a yes",
     nullptr, nullptr},
    {"token_in_log", "github/gh-aw-firewall#3785", "a failure is logged with its token", nullptr,
     nullptr},
    {"unseeded_randomness", "self-check of I11", "something not from the seed enters the trace",
     nullptr, nullptr},
};
static_assert(std::size(infos) == bug_count);

}  // namespace

const BugInfo& info(Bug bug) noexcept { return infos[static_cast<std::size_t>(bug)]; }

}  // namespace latchkey::sim
