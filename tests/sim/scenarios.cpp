#include "scenarios.hpp"

namespace latchkey::sim {

using refresh::Rotation;

namespace {

constexpr std::uint16_t always = 10'000;
constexpr std::uint16_t often = 3'000;

/// Eight callers each time a token ends; a single-use provider that punishes; nothing goes wrong.
void calm(Config& config, Rotation rotation) noexcept {
  config.rate.fill(0);
  config.op.fill(0);
  config.skew = 0;
  config.introspects = false;
  config.eager = true;
  config.plain = true;
  config.callers = 8;
  config.connections = 1;
  config.bursts = 6;
  Facts facts;
  facts.rotation = rotation;
  if (rotation == Rotation::grace_same || rotation == Rotation::grace_new) facts.grace = 600'000;
  config.facts = facts;
  config.traits = learn(facts, true);
  config.policy = {};
  config.policy.poll = {250};
}

void in_one_process(Config& config) noexcept {
  calm(config, Rotation::family_revoked);
  config.store = StoreKind::durable_object;
}
void in_many_processes(Config& config) noexcept {
  calm(config, Rotation::family_revoked);
  config.store = StoreKind::postgres;
  config.isolates = 4;
}
void slow_provider(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::slow] = often;
}
void short_life(Config& config) noexcept {
  calm(config, Rotation::strict_refused);
  config.facts.lifetime = 60'000;
  config.traits = learn(config.facts, true);
}
void crashes_often(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::crash] = 700;
}
void store_fails(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::write_failed] = often;
  config[Fault::unknown_written] = often;
}
void token_omitted(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::refresh_omitted] = always;
}
void reply_lost(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::reply_lost] = often;
}
void reply_lost_strict(Config& config) noexcept {
  calm(config, Rotation::strict_refused);
  config[Fault::reset_before] = often;
}
void reply_lost_in_grace(Config& config) noexcept {
  calm(config, Rotation::grace_same);
  config[Fault::reply_lost] = often;
}
void two_successors(Config& config) noexcept {
  calm(config, Rotation::grace_new);
  config.store = StoreKind::d1;
  config.isolates = 4;
  config[Fault::reply_lost] = often;
  config[Fault::write_failed] = often;
  config[Fault::slow_store] = often;
}
void rate_limits(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::error_403] = often;
  config[Fault::error_429] = often;
}
void server_errors(Config& config) noexcept {
  calm(config, Rotation::strict_refused);
  config.safe_5xx = false;
  config[Fault::error_500_before] = often;
  config[Fault::error_503] = often;
}
void server_errors_known(Config& config) noexcept {
  in_many_processes(config);
  config.safe_5xx = true;
  config[Fault::error_500_before] = 1'000;
}
void server_errors_asked_about(Config& config) noexcept {
  in_many_processes(config);
  config.safe_5xx = false;
  config.introspects = true;
  config[Fault::error_500_before] = 1'000;
}
void asked_about(Config& config) noexcept {
  in_many_processes(config);
  config.safe_5xx = false;
  config.introspects = true;
  config[Fault::error_500_before] = 1'000;
  config[Fault::error_500_after] = 1'000;
  config[Fault::late_commit] = 1'000;
  config[Fault::introspection_lost] = 1'000;
}
void after_the_spend(Config& config, Rotation rotation) noexcept {
  calm(config, rotation);
  config.store = StoreKind::postgres;
  config.isolates = 4;
  config.safe_5xx = false;
  config[Fault::reply_lost] = 1'500;
  config[Fault::error_500_after] = 1'500;
  config[Fault::stall_after] = 1'500;
}
void after_the_spend_strict(Config& config) noexcept {
  after_the_spend(config, Rotation::strict_refused);
}
void after_the_spend_family(Config& config) noexcept {
  after_the_spend(config, Rotation::family_revoked);
}
void odd_answers(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::expiry_missing] = often;
  config[Fault::expiry_odd] = often;
}
void unrelated_writes(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::touch] = always;
  config[Fault::slow] = often;
}
void with_persons(Config& config) noexcept {
  in_many_processes(config);
  config.plain = false;
  config.bursts = 12;
}
void callbacks_twice(Config& config) noexcept {
  with_persons(config);
  config[Op::login] = often;
  config[Fault::callback_doubled] = always;
}
void revokes(Config& config) noexcept {
  with_persons(config);
  config[Op::revoke] = often;
  config[Op::login] = often;
}
void disconnects(Config& config) noexcept {
  with_persons(config);
  config[Op::disconnect] = often;
  config[Op::erase] = 1'000;
  config[Fault::revoke_lost] = often;
  config[Fault::revoke_refused] = 1'000;
}
void sign_in_meanwhile(Config& config) noexcept {
  with_persons(config);
  config[Op::login] = always;
  config[Op::disconnect] = often;
}
void unreliable_news(Config& config) noexcept {
  with_persons(config);
  config[Op::withdraw] = often;
  config[Fault::hook_doubled] = often;
  config[Fault::hook_late] = often;
  config[Fault::hook_dropped] = 1'000;
  config[Fault::hook_forged] = often;
}
void alarms_unreliable(Config& config) noexcept {
  crashes_often(config);
  config[Fault::alarm_doubled] = often;
  config[Fault::alarm_storm] = often;
}
void wrong_secret(Config& config) noexcept {
  in_many_processes(config);
  config[Fault::operator_error] = often;
}

bool unharmed(const Counts& c) noexcept {
  return c[Count::sends] > 0 && c[Count::replays] == 0 && c[Count::lost] == 0 &&
         c[Count::grants_killed] == 0 && c[Count::given_up] == 0 && c[Count::reconnect] == 0;
}
bool nobody_failed(const Counts& c) noexcept {
  return unharmed(c) && c[Count::failed] == 0 && c[Count::kept] + c[Count::joined] > 0;
}
bool one_call_each(const Counts& c) noexcept {
  return nobody_failed(c) && c[Count::sends] == c[Count::pairs_stored];
}
bool slow_but_good(const Counts& c) noexcept { return one_call_each(c) && c[Fault::slow] > 0; }
bool kv_is_refused(const Counts& c) noexcept {
  return c[Count::kv_refused] == seeds_of_scenario && unharmed(c);
}
bool losses_are_named(const Counts& c) noexcept {
  return c[Count::lost] > 0 && c[Count::lost] == c[Count::lost_labelled] &&
         c[Count::replays] == 0 && c[Count::grants_killed] == 0;
}
bool losses_are_of_crashes(const Counts& c) noexcept {
  return losses_are_named(c) && c[Count::lost] == c[Count::lost_crash];
}
bool store_did_no_harm(const Counts& c) noexcept {
  return c[Count::persist_failed] > 0 && c[Count::replays] == 0 && c[Count::lost] == 0;
}
bool omission_did_no_harm(const Counts& c) noexcept {
  return unharmed(c) && c[Fault::refresh_omitted] > 0;
}
bool probed_and_saved(const Counts& c) noexcept {
  return c[Count::probes] > 0 && c[Count::replays] == 0 && c[Count::lost] == 0;
}
bool retried_in_grace(const Counts& c) noexcept {
  return c[Count::replays] > 0 && c[Count::lost] == 0 && c[Count::given_up] == 0;
}
bool limits_did_no_harm(const Counts& c) noexcept {
  return unharmed(c) && c[Fault::error_403] > 0 && c[Fault::error_429] > 0;
}
bool errors_did_no_harm(const Counts& c) noexcept {
  return c[Count::probes] > 0 && c[Count::replays] == 0 && c[Count::lost] == 0 &&
         c[Fault::error_503] > 0;
}
/// As many requests as were answered with a token, and one more for each that failed.
bool one_retry_each(const Counts& c) noexcept {
  const std::uint64_t failures = c[Fault::error_500_before];
  return nobody_failed(c) && failures > 0 && c[Count::probes] == 0 &&
         c[Count::sends] == c[Count::pairs_stored] + failures;
}
bool failed_after_the_spend(const Counts& c) noexcept {
  return c[Fault::reply_lost] > 0 && c[Fault::error_500_after] > 0 && c[Fault::stall_after] > 0 &&
         c[Count::lost] > 0 && c[Count::lost] == c[Count::lost_labelled] && c[Count::given_up] == 0;
}
bool one_probe_each(const Counts& c) noexcept {
  return failed_after_the_spend(c) && c[Count::probes] > 0 && c[Count::replays] == c[Count::probes];
}
bool no_second_request(const Counts& c) noexcept {
  return failed_after_the_spend(c) && c[Count::replays] == 0 && c[Count::grants_killed] == 0 &&
         c[Count::sends] == c[Count::pairs_stored] + c[Count::lost];
}
/// As many were asked about as were answered with 500, and no other request was sent again.
bool one_question_each(const Counts& c) noexcept {
  return one_retry_each(c) && c[Count::introspections] == c[Fault::error_500_before] &&
         c[Count::unspent] == c[Count::introspections];
}
bool asked_and_never_replayed(const Counts& c) noexcept {
  return c[Count::unspent] > 0 && c[Count::unspent] < c[Count::introspections] &&
         c[Fault::late_commit] > 0 && c[Count::replays] == 0 && c[Count::grants_killed] == 0 &&
         c[Count::lost] == c[Count::lost_labelled];
}
bool oddities_did_no_harm(const Counts& c) noexcept {
  return one_call_each(c) && c[Fault::expiry_odd] > 0;
}
bool writes_did_no_harm(const Counts& c) noexcept {
  return unharmed(c) && c[Fault::touch] > 0 && c[Count::pairs_stored] > 0;
}
bool one_login_each(const Counts& c) noexcept { return c[Count::callbacks_dropped] > 0; }
bool no_replay(const Counts& c) noexcept {
  return c[Count::callers] > 0 && c[Count::replays] == 0 && c[Count::lost] == 0;
}
bool late_pairs_discarded(const Counts& c) noexcept {
  return no_replay(c) && c[Count::pairs_discarded] > 0;
}
bool news_did_no_harm(const Counts& c) noexcept {
  return no_replay(c) && c[Count::forged_dropped] > 0 && c[Fault::hook_late] > 0;
}
bool revocations_true(const Counts& c) noexcept {
  return no_replay(c) && c[Fault::revoke_lost] > 0 && c[Fault::revoke_refused] > 0;
}
bool alarms_did_no_harm(const Counts& c) noexcept {
  return losses_are_named(c) && c[Fault::alarm_storm] > 0 && c[Count::surfaced_late] == 0;
}
bool operator_alone_alarmed(const Counts& c) noexcept {
  return unharmed(c) && c[Fault::operator_error] > 0;
}

constexpr Scenario scenarios[] = {
    {"1", "coder/coder#17069", "eight callers, one process, one single-use token", in_one_process,
     one_call_each},
    {"1", "vercel/ai#20674", "a loser's refusal does not end the winner's connection",
     in_many_processes, one_call_each},
    {"2", "oauth2-proxy/oauth2-proxy#1992", "eight callers in four processes", in_many_processes,
     one_call_each},
    {"3", "oauth2-proxy/oauth2-proxy#1580", "a provider as slow as the lease is long",
     slow_provider, slow_but_good},
    {"4", "cloudflare/workers-oauth-provider#214", "KV as authority is refused", in_one_process,
     kv_is_refused},
    {"5", "getsentry/sentry-mcp#784", "tokens that live no longer than KV's least time to live",
     short_life, kv_is_refused},
    {"6", "windmill#9471", "a process dies between spend and store", crashes_often,
     losses_are_of_crashes},
    {"6", "executor#1377", "the store fails between spend and store", store_fails,
     store_did_no_harm},
    {"6", "Menci/Floway#340", "unrelated writes during every refresh", unrelated_writes,
     writes_did_no_harm},
    {"7", "golang/oauth2#84", "no token is handed out before the rotation is stored",
     in_many_processes, one_call_each},
    {"8", "kentcdodds/kody#2340", "every answer omits the refresh token", token_omitted,
     omission_did_no_harm},
    {"9", "nocturne#391", "losers get the successor", in_many_processes, nobody_failed},
    {"10", "HQBase#41", "answers are lost where a replay costs the grant", reply_lost,
     losses_are_named},
    {"10", "better-auth#8512", "answers are lost before the spend: the one probe saves the grant",
     reply_lost_strict, probed_and_saved},
    {"11", "Eventra#17845", "answers are lost where a grace gives the same successor",
     reply_lost_in_grace, retried_in_grace},
    {"12", "slackapi/node-slack-sdk#2504", "a grace that gives another successor each time",
     two_successors, retried_in_grace},
    {"13", "coder/coder#24334", "403 and 429 are not revocations", rate_limits, limits_did_no_harm},
    {"13", "Menci/Floway#67", "5xx are not revocations", server_errors, errors_did_no_harm},
    {"13", "rule 8", "a 500 that is known to come before the spend: one retry, nobody fails",
     server_errors_known, one_retry_each},
    {"13", "RFC 7662", "a 500 that is asked about: one retry, nobody fails",
     server_errors_asked_about, one_question_each},
    {"13", "RFC 7662", "500 before and after, hangs, lost introspections: no replay", asked_about,
     asked_and_never_replayed},
    {"6", "rule 9", "reset, 500 and hang after the spend: one labelled request more at most",
     after_the_spend_strict, one_probe_each},
    {"6", "rule 9", "the same where reuse costs the grant: no request more", after_the_spend_family,
     no_second_request},
    {"13", "@octokit/oauth-methods 6.0.5", "answers without or with an odd expiry", odd_answers,
     oddities_did_no_harm},
    {"18", "cloudflare/agents#833", "every callback comes twice", callbacks_twice, one_login_each},
    {"20", "twentyhq/twenty#25773", "sign-ins during refreshes and disconnects", sign_in_meanwhile,
     late_pairs_discarded},
    {"21", "anythingmcp#545", "revoked is not the same as never connected", revokes, no_replay},
    {"23", "xorbitsai/xagent#1491", "disconnects whose revocation fails", disconnects,
     revocations_true},
    {"-", "threat T34", "alarms that come twice or seven times", alarms_unreliable,
     alarms_did_no_harm},
    {"25", "slackapi/bolt-js#1538", "news late, twice, out of order, forged or never",
     unreliable_news, news_did_no_harm},
    {"-", "threat T43", "a wrong client secret ends no connection", wrong_secret,
     operator_alone_alarmed},
};

}  // namespace

std::size_t scenario_count() noexcept { return std::size(scenarios); }
const Scenario& scenario(std::size_t i) noexcept { return scenarios[i]; }

void only_callers(Config& config) noexcept {
  const Rotation rotation = config.facts.rotation;
  const StoreKind store = config.store;
  calm(config, rotation);
  config.store = store;
  config.isolates = store == StoreKind::durable_object ? 2 : 4;
}

void callers_and_slowness(Config& config) noexcept {
  only_callers(config);
  config[Fault::slow] = often;
}

void callers_and_faults(Config& config) noexcept {
  only_callers(config);
  for (const Fault f : {Fault::not_sent, Fault::reset_before, Fault::reply_lost, Fault::slow,
                        Fault::stall_before, Fault::stall_after, Fault::error_500_before,
                        Fault::error_500_after, Fault::error_503, Fault::error_429}) {
    config[f] = 100;
  }
  for (const Fault f : {Fault::write_failed, Fault::unknown_written, Fault::read_failed,
                        Fault::slow_store, Fault::crash}) {
    config[f] = 50;
  }
  config[Fault::evict] = 300;
}

}  // namespace latchkey::sim
