/// The binary interface: the only declaration of request and reply layouts.
///
/// Everything here is little-endian, pointer-free and naturally aligned without implicit padding,
/// so that it has the same layout on the host (where `dump_abi` prints it) and in the module.
#pragma once

#include "latchkey/admission.hpp"
#include "latchkey/error.hpp"
#include "latchkey/keys.hpp"
#include "latchkey/rate.hpp"
#include "latchkey/refresh.hpp"
#include "latchkey/repo.hpp"
#include "latchkey/retention.hpp"
#include "latchkey/run.hpp"
#include "latchkey/schedule.hpp"
#include "latchkey/scope.hpp"
#include "latchkey/upstream.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace latchkey::abi {

inline constexpr std::uint32_t version = 1;

/// The arena: request, reply, then whatever the caller puts there, then the module's own working
/// space. 64,000-byte bodies fit with room to spare.
inline constexpr std::uint32_t arena_size = 98'304;
inline constexpr std::uint32_t request_at = 0;
inline constexpr std::uint32_t reply_at = 256;
inline constexpr std::uint32_t data_at = 512;

/// Bytes in the arena: an offset from its start. Offset 0 means absent.
struct Slice {
  std::uint32_t at;
  std::uint32_t len;
};

/// A piece of a reply's text.
struct Piece {
  std::uint16_t at;
  std::uint16_t len;
};

struct StateIssueRequest {
  double now_ms;
  double ttl_ms;
  Slice ring;
  Slice issuer;
  Slice audience;
  Slice flow;
  Slice provider;
  Slice subject;
  Slice owner_id;
  Slice app;
  Slice return_to;
  Slice binding;
  Slice entropy;
  std::uint32_t free;
  std::uint8_t alg;
  std::uint8_t owner_kind;
  std::uint8_t unused[2];
};

struct StateVerifyRequest {
  double now_ms;
  double skew_ms;
  Slice keys;
  Slice token;
  Slice issuer;
  Slice audience;
  Slice flow;
  Slice provider;
  Slice subject;
  Slice binding;
  std::uint32_t free;
  std::uint8_t binding_mode;
  std::uint8_t unused[3];
};

struct CallbackPlanRequest {
  double expires_at_ms;
  Slice params;
  Slice subject;
  Slice return_to;
  Slice nonce;
  Slice session_subject;
  Slice as_issuer;
  std::uint8_t state_error;
  std::uint8_t iss_required;
  std::uint8_t unused[6];
};

struct PrincipalIssueRequest {
  double now_ms;
  double ttl_ms;
  Slice ring;
  Slice subject;
  Slice org;
  Slice role;
  Slice device;
  std::uint32_t free;
  std::uint8_t kind;
  std::uint8_t unused[3];
};

struct GuardRequestRequest {
  Slice method;
  Slice host;
  Slice origin;
  Slice sec_fetch_site;
  Slice content_type;
  Slice own_origin;
  std::uint8_t media_type;
  std::uint8_t proxied;
  std::uint8_t open;
  std::uint8_t unused[5];
};

/// `headers` is a list with a name and a value for each. `absence`: 0 for an answer. What is
/// configured beats the profile: `access_ttl_ms` -1 and `unspent` 2 leave it at that.
struct RefreshClassifyRequest {
  double now_ms;
  double access_ttl_ms;
  Slice headers;
  Slice body;
  Slice profile;
  Slice sent;
  std::uint32_t free;
  std::uint16_t status;
  std::uint8_t absence;
  std::uint8_t unspent;
};

/// A message that comes in, whose turn it is or of which something is reported. `modes` and
/// `models` are lists; a record is absent where nothing is stored, `composed_at_ms` -1 where none
/// is said.
struct AdmissionRequest {
  double now_ms;
  double composed_at_ms;
  Slice id;
  Slice turn;
  Slice mode;
  Slice model;
  Slice modes;
  Slice models;
  Slice session;
  Slice message;
  std::uint32_t free;
  std::uint8_t offer;
  std::uint8_t outcome;
  std::uint8_t failure;
  std::uint8_t sends;
};

/// Every reply begins with how far the arena was used (for wiping) and where an error was noticed.
struct ReplyHead {
  std::uint32_t used;
  std::uint32_t at;
};

struct BytesReply {
  ReplyHead head;
  Slice bytes;
};

struct FlagReply {
  ReplyHead head;
  std::uint32_t flag;
  std::uint32_t unused;
};

struct StateIssueReply {
  ReplyHead head;
  double expires_at_ms;
  Slice text;
  Piece token;
  Piece nonce;
  Piece challenge;
  Piece unused;
};

struct StateReply {
  ReplyHead head;
  double issued_at_ms;
  double expires_at_ms;
  Slice text;
  Piece kid;
  Piece issuer;
  Piece audience;
  Piece flow;
  Piece provider;
  Piece subject;
  Piece owner_id;
  Piece app;
  Piece return_to;
  Piece nonce;
  std::uint8_t alg;
  std::uint8_t owner_kind;
  std::uint8_t ascii;
  std::uint8_t unused[5];
};

struct CallbackPlanReply {
  ReplyHead head;
  double consume_until_ms;
  Slice code;
  std::uint8_t action;
  std::uint8_t reason;
  std::uint8_t public_code;
  std::uint8_t with_return_to;
  std::uint32_t unused;
};

struct PrincipalReply {
  ReplyHead head;
  Slice subject;
  Slice org;
  Slice role;
  Slice device;
  std::uint8_t kind;
  std::uint8_t unused[7];
};

struct ScopeTargetReply {
  ReplyHead head;
  Slice id;
  std::uint8_t scope;
  std::uint8_t rule;
  std::uint8_t unused[6];
};

struct GuardRequestReply {
  ReplyHead head;
  std::uint16_t status;
  std::uint8_t ok;
  std::uint8_t code;
  std::uint32_t unused;
};

/// Absent times are -1.
struct ExchangeReply {
  ReplyHead head;
  double expires_at_ms;
  double refresh_expires_at_ms;
  Slice access_token;
  Slice refresh_token;
  Slice scope;
  std::uint8_t has_scope;
  std::uint8_t unused[7];
};

struct AccountReply {
  ReplyHead head;
  Slice id;
  Slice label;
};

struct DisconnectReply {
  ReplyHead head;
  std::uint8_t revoked;
  std::uint8_t deleted;
  std::uint8_t reason;
  std::uint8_t unused[5];
};

/// Absent times and lengths are 0.
struct RefreshClassifyReply {
  ReplyHead head;
  double retry_after_ms;
  double retry_at_ms;
  double lifetime_ms;
  double refresh_lifetime_ms;
  Slice access_token;
  Slice refresh_token;
  Slice scope;
  Slice code;
  std::uint8_t kind;
  std::uint8_t doubt;
  std::uint8_t has_scope;
  std::uint8_t refresh_same;
  std::uint8_t introspectable;
  std::uint8_t unused[3];
};

/// `at_ms` is -1 when the event says no time. `subjects` is a list whose texts begin with a digit
/// for the kind of tokens.
struct WebhookReply {
  ReplyHead head;
  double at_ms;
  double until_ms;
  Slice subjects;
  Slice key;
  std::uint8_t change;
  std::uint8_t reach;
  std::uint8_t unused[6];
};

/// `variable` names the one that is wrong; otherwise `providers` is a list with `provider_fields`
/// texts for each provider: name, profile, title, client id, the four URLs (authorization, token,
/// revocation, user info), scopes, issuer, the names of the two secret variables, flags as digits
/// (scope separator, authentication style, response mode, PKCE, `iss` required, shape of a
/// revocation, then `refresh::Facts`: rotation, after its grace, revocation, revocation needs a
/// live token, old access token dies, redirect URI needed, 5xx unspent, proactive, then the kind of
/// git and whether its host speaks http, then `scope::Policy`: personal only, deployment, past
/// revoked, the first three of the order), lengths in milliseconds, a blank behind each (grace,
/// access lifetime, the longest, idle, absolute, time-out, lag, lifetime beside a refresh token),
/// host, base path and user name of its repositories, the name of the deployment token's variable,
/// the app's URL and the name of its key's variable, and the introspection URL.
struct ConfigReply {
  ReplyHead head;
  Slice variable;
  Slice base_url;
  Slice keys;
  Slice principal_keys;
  Slice providers;
  std::uint8_t dev;
  std::uint8_t connect_enabled;
  std::uint8_t cause;
  std::uint8_t run_retention_taken;
  std::uint8_t unused[4];
  double run_retention_ms;
};
inline constexpr std::uint32_t provider_fields = 21;

/// What a step needs to know beside row, flow and event. Times are lengths in milliseconds.
struct RefreshSettings {
  double window_ms;
  double jitter_ms;
  double time_out_ms;
  double lease_ms;
  double patience_ms;
  double poll_ms;
  double back_off_ms;
  double max_back_off_ms;
  double rest_ms;
  double grace_ms;
  double access_lifetime_ms;
  double max_access_lifetime_ms;
  double refresh_idle_ms;
  double refresh_absolute_ms;
  double provider_time_out_ms;
  double lag_ms;
  std::uint8_t max_sends;
  std::uint8_t max_probes;
  std::uint8_t max_tries;
  std::uint8_t proactive;
  std::uint8_t rotation;
  std::uint8_t after_grace;
  std::uint8_t revocation;
  std::uint8_t old_access_dies;
  std::uint8_t revocation_needs_live;
  std::uint8_t unused[7];
};

struct RefreshAdmitRequest {
  double min_ttl_ms;
  Slice settings;
  std::uint32_t max_value;
  std::uint8_t cas;
  std::uint8_t strong_read;
  std::uint8_t negative_cache;
  std::uint8_t has_traits;
};

/// `row` is absent where nothing is stored, `flow` where one begins.
struct RefreshStepRequest {
  double now_ms;
  double min_validity_ms;
  double at_ms;
  double version;
  double retry_after_ms;
  double lifetime_ms;
  double refresh_lifetime_ms;
  std::uint32_t entropy_low;
  std::uint32_t entropy_high;
  refresh::Id id;
  Slice row;
  Slice flow;
  Slice settings;
  std::uint32_t free;
  std::uint8_t kind;
  std::uint8_t seen;
  std::uint8_t task;
  std::uint8_t cause;
  std::uint8_t reply_kind;
  std::uint8_t doubt;
  std::uint8_t has_refresh;
  std::uint8_t refresh_same;
  std::uint8_t has_scope;
  std::uint8_t revoked;
  std::uint8_t unused[2];
};

/// One of a reply's effects. A moment that never comes is -1.
struct RefreshEffect {
  double at_ms;
  double stands_until_ms;
  double version;
  double condition_version;
  double condition_epoch;
  refresh::Id id;
  refresh::Id condition_id;
  std::uint8_t kind;
  std::uint8_t outcome;
  std::uint8_t cause;
  std::uint8_t token;
  std::uint8_t source;
  std::uint8_t blobs;
  std::uint8_t news;
  std::uint8_t probe;
  std::uint8_t persist_failed;
  std::uint8_t keep_scopes;
  std::uint8_t corrupt;
  std::uint8_t revoked;
  std::uint8_t deleted;
  std::uint8_t reason;
  std::uint8_t unused[2];
};

/// `row` is the row to be written, absent where there is none to write or the record is to go;
/// `epoch` is that row's. `effects` are one behind another.
struct RefreshStepReply {
  ReplyHead head;
  double epoch;
  Slice effects;
  Slice row;
  Slice flow;
};

/// Absent times are -1.
struct RefreshRowReply {
  ReplyHead head;
  double version;
  double epoch;
  double login_at_ms;
  double obtained_at_ms;
  double access_expires_at_ms;
  double refresh_expires_at_ms;
  double ended_at_ms;
  double ends_at_ms;
  double leased_until_ms;
  double next_attempt_at_ms;
  refresh::Id id;
  std::uint8_t status;
  std::uint8_t cause;
  std::uint8_t doubt;
  std::uint8_t failures;
  std::uint8_t has_refresh;
  std::uint8_t rejected;
  std::uint8_t held;
  std::uint8_t standing;
};

/// A run: the request itself, or one of several in a row. Absent times are -1.
struct RetentionRunRequest {
  double started_at_ms;
  double heartbeat_at_ms;
  double alive_at_ms;
  double completed_at_ms;
  double watched_since_ms;
  std::uint8_t status;
  std::uint8_t in_flight;
  std::uint8_t unused[6];
};

/// What a decision about keeping comes to; each says in the glue which fields it uses.
struct RetentionReply {
  ReplyHead head;
  double at_ms;
  double due_at_ms;
  Slice list;
  std::uint32_t count;
  std::uint8_t action;
  std::uint8_t reason;
  std::uint8_t kind;
  std::uint8_t status;
  std::uint8_t flag;
  std::uint8_t unused[7];
};

struct RetentionSweepReply {
  ReplyHead head;
  double before_ms;
  double next_at_ms;
  std::uint32_t limit;
  std::uint32_t asked;
  std::uint32_t spent;
  std::uint16_t pending;
  std::uint8_t action;
  std::uint8_t kind;
  std::uint8_t lane;
  std::uint8_t open;
  std::uint8_t unused[6];
};

/// All but `act` and `at_ms` is there where there is something to write or to acknowledge. `at_ms`
/// is 0 where no alarm is to be set.
struct AdmissionReply {
  ReplyHead head;
  double epoch;
  double next_epoch;
  double at_ms;
  double version;
  double admitted;
  double number;
  Slice session;
  Slice message;
  std::uint8_t act;
  std::uint8_t then;
  std::uint8_t blob;
  std::uint8_t stage;
  std::uint8_t credential;
  std::uint8_t failure;
  std::uint8_t sends;
  std::uint8_t open;
};

/// A field as the generator and the layout hash see it.
struct Field {
  std::string_view name;
  std::string_view type;
  std::uint32_t offset;
};

struct Layout {
  std::string_view name;
  std::uint32_t size;
  std::span<const Field> fields;
};

template <class T> constexpr std::string_view type_name() noexcept {
  if constexpr (std::is_same_v<T, double>) return "f64";
  if constexpr (std::is_same_v<T, std::uint32_t>) return "u32";
  if constexpr (std::is_same_v<T, std::uint16_t>) return "u16";
  if constexpr (std::is_same_v<T, std::uint8_t>) return "u8";
  if constexpr (std::is_same_v<T, Slice>) return "slice";
  if constexpr (std::is_same_v<T, Piece>) return "piece";
  if constexpr (std::is_same_v<T, ReplyHead>) return "head";
  if constexpr (std::is_same_v<T, refresh::Id>) return "id";
  return {};
}

#define LK_FIELD(Struct, field)                                                                    \
  Field { #field, type_name<decltype(Struct::field)>(), offsetof(Struct, field) }

inline constexpr Field state_issue_request[] = {
    LK_FIELD(StateIssueRequest, now_ms),    LK_FIELD(StateIssueRequest, ttl_ms),
    LK_FIELD(StateIssueRequest, ring),      LK_FIELD(StateIssueRequest, issuer),
    LK_FIELD(StateIssueRequest, audience),  LK_FIELD(StateIssueRequest, flow),
    LK_FIELD(StateIssueRequest, provider),  LK_FIELD(StateIssueRequest, subject),
    LK_FIELD(StateIssueRequest, owner_id),  LK_FIELD(StateIssueRequest, app),
    LK_FIELD(StateIssueRequest, return_to), LK_FIELD(StateIssueRequest, binding),
    LK_FIELD(StateIssueRequest, entropy),   LK_FIELD(StateIssueRequest, free),
    LK_FIELD(StateIssueRequest, alg),       LK_FIELD(StateIssueRequest, owner_kind),
};
inline constexpr Field state_verify_request[] = {
    LK_FIELD(StateVerifyRequest, now_ms),  LK_FIELD(StateVerifyRequest, skew_ms),
    LK_FIELD(StateVerifyRequest, keys),    LK_FIELD(StateVerifyRequest, token),
    LK_FIELD(StateVerifyRequest, issuer),  LK_FIELD(StateVerifyRequest, audience),
    LK_FIELD(StateVerifyRequest, flow),    LK_FIELD(StateVerifyRequest, provider),
    LK_FIELD(StateVerifyRequest, subject), LK_FIELD(StateVerifyRequest, binding),
    LK_FIELD(StateVerifyRequest, free),    LK_FIELD(StateVerifyRequest, binding_mode),
};
inline constexpr Field callback_plan_request[] = {
    LK_FIELD(CallbackPlanRequest, expires_at_ms), LK_FIELD(CallbackPlanRequest, params),
    LK_FIELD(CallbackPlanRequest, subject),       LK_FIELD(CallbackPlanRequest, return_to),
    LK_FIELD(CallbackPlanRequest, nonce),         LK_FIELD(CallbackPlanRequest, session_subject),
    LK_FIELD(CallbackPlanRequest, as_issuer),     LK_FIELD(CallbackPlanRequest, state_error),
    LK_FIELD(CallbackPlanRequest, iss_required),
};
inline constexpr Field principal_issue_request[] = {
    LK_FIELD(PrincipalIssueRequest, now_ms), LK_FIELD(PrincipalIssueRequest, ttl_ms),
    LK_FIELD(PrincipalIssueRequest, ring),   LK_FIELD(PrincipalIssueRequest, subject),
    LK_FIELD(PrincipalIssueRequest, org),    LK_FIELD(PrincipalIssueRequest, role),
    LK_FIELD(PrincipalIssueRequest, device), LK_FIELD(PrincipalIssueRequest, free),
    LK_FIELD(PrincipalIssueRequest, kind),
};
inline constexpr Field guard_request_request[] = {
    LK_FIELD(GuardRequestRequest, method),       LK_FIELD(GuardRequestRequest, host),
    LK_FIELD(GuardRequestRequest, origin),       LK_FIELD(GuardRequestRequest, sec_fetch_site),
    LK_FIELD(GuardRequestRequest, content_type), LK_FIELD(GuardRequestRequest, own_origin),
    LK_FIELD(GuardRequestRequest, media_type),   LK_FIELD(GuardRequestRequest, proxied),
    LK_FIELD(GuardRequestRequest, open),
};
inline constexpr Field refresh_classify_request[] = {
    LK_FIELD(RefreshClassifyRequest, now_ms),  LK_FIELD(RefreshClassifyRequest, access_ttl_ms),
    LK_FIELD(RefreshClassifyRequest, headers), LK_FIELD(RefreshClassifyRequest, body),
    LK_FIELD(RefreshClassifyRequest, profile), LK_FIELD(RefreshClassifyRequest, sent),
    LK_FIELD(RefreshClassifyRequest, free),    LK_FIELD(RefreshClassifyRequest, status),
    LK_FIELD(RefreshClassifyRequest, absence), LK_FIELD(RefreshClassifyRequest, unspent),
};
inline constexpr Field reply_head[] = {LK_FIELD(ReplyHead, used), LK_FIELD(ReplyHead, at)};
inline constexpr Field bytes_reply[] = {LK_FIELD(BytesReply, head), LK_FIELD(BytesReply, bytes)};
inline constexpr Field flag_reply[] = {LK_FIELD(FlagReply, head), LK_FIELD(FlagReply, flag)};
inline constexpr Field state_issue_reply[] = {
    LK_FIELD(StateIssueReply, head),  LK_FIELD(StateIssueReply, expires_at_ms),
    LK_FIELD(StateIssueReply, text),  LK_FIELD(StateIssueReply, token),
    LK_FIELD(StateIssueReply, nonce), LK_FIELD(StateIssueReply, challenge),
};
inline constexpr Field state_reply[] = {
    LK_FIELD(StateReply, head),          LK_FIELD(StateReply, issued_at_ms),
    LK_FIELD(StateReply, expires_at_ms), LK_FIELD(StateReply, text),
    LK_FIELD(StateReply, kid),           LK_FIELD(StateReply, issuer),
    LK_FIELD(StateReply, audience),      LK_FIELD(StateReply, flow),
    LK_FIELD(StateReply, provider),      LK_FIELD(StateReply, subject),
    LK_FIELD(StateReply, owner_id),      LK_FIELD(StateReply, app),
    LK_FIELD(StateReply, return_to),     LK_FIELD(StateReply, nonce),
    LK_FIELD(StateReply, alg),           LK_FIELD(StateReply, owner_kind),
    LK_FIELD(StateReply, ascii),
};
inline constexpr Field callback_plan_reply[] = {
    LK_FIELD(CallbackPlanReply, head),           LK_FIELD(CallbackPlanReply, consume_until_ms),
    LK_FIELD(CallbackPlanReply, code),           LK_FIELD(CallbackPlanReply, action),
    LK_FIELD(CallbackPlanReply, reason),         LK_FIELD(CallbackPlanReply, public_code),
    LK_FIELD(CallbackPlanReply, with_return_to),
};
inline constexpr Field principal_reply[] = {
    LK_FIELD(PrincipalReply, head),   LK_FIELD(PrincipalReply, subject),
    LK_FIELD(PrincipalReply, org),    LK_FIELD(PrincipalReply, role),
    LK_FIELD(PrincipalReply, device), LK_FIELD(PrincipalReply, kind),
};
inline constexpr Field scope_target_reply[] = {
    LK_FIELD(ScopeTargetReply, head),
    LK_FIELD(ScopeTargetReply, id),
    LK_FIELD(ScopeTargetReply, scope),
    LK_FIELD(ScopeTargetReply, rule),
};
inline constexpr Field guard_request_reply[] = {
    LK_FIELD(GuardRequestReply, head),
    LK_FIELD(GuardRequestReply, status),
    LK_FIELD(GuardRequestReply, ok),
    LK_FIELD(GuardRequestReply, code),
};
inline constexpr Field exchange_reply[] = {
    LK_FIELD(ExchangeReply, head),
    LK_FIELD(ExchangeReply, expires_at_ms),
    LK_FIELD(ExchangeReply, refresh_expires_at_ms),
    LK_FIELD(ExchangeReply, access_token),
    LK_FIELD(ExchangeReply, refresh_token),
    LK_FIELD(ExchangeReply, scope),
    LK_FIELD(ExchangeReply, has_scope),
};
inline constexpr Field account_reply[] = {
    LK_FIELD(AccountReply, head),
    LK_FIELD(AccountReply, id),
    LK_FIELD(AccountReply, label),
};
inline constexpr Field disconnect_reply[] = {
    LK_FIELD(DisconnectReply, head),
    LK_FIELD(DisconnectReply, revoked),
    LK_FIELD(DisconnectReply, deleted),
    LK_FIELD(DisconnectReply, reason),
};
inline constexpr Field refresh_classify_reply[] = {
    LK_FIELD(RefreshClassifyReply, head),
    LK_FIELD(RefreshClassifyReply, retry_after_ms),
    LK_FIELD(RefreshClassifyReply, retry_at_ms),
    LK_FIELD(RefreshClassifyReply, lifetime_ms),
    LK_FIELD(RefreshClassifyReply, refresh_lifetime_ms),
    LK_FIELD(RefreshClassifyReply, access_token),
    LK_FIELD(RefreshClassifyReply, refresh_token),
    LK_FIELD(RefreshClassifyReply, scope),
    LK_FIELD(RefreshClassifyReply, code),
    LK_FIELD(RefreshClassifyReply, kind),
    LK_FIELD(RefreshClassifyReply, doubt),
    LK_FIELD(RefreshClassifyReply, has_scope),
    LK_FIELD(RefreshClassifyReply, refresh_same),
    LK_FIELD(RefreshClassifyReply, introspectable),
};
inline constexpr Field webhook_reply[] = {
    LK_FIELD(WebhookReply, head),     LK_FIELD(WebhookReply, at_ms),
    LK_FIELD(WebhookReply, until_ms), LK_FIELD(WebhookReply, subjects),
    LK_FIELD(WebhookReply, key),      LK_FIELD(WebhookReply, change),
    LK_FIELD(WebhookReply, reach),
};
inline constexpr Field config_reply[] = {
    LK_FIELD(ConfigReply, head),
    LK_FIELD(ConfigReply, variable),
    LK_FIELD(ConfigReply, base_url),
    LK_FIELD(ConfigReply, keys),
    LK_FIELD(ConfigReply, principal_keys),
    LK_FIELD(ConfigReply, providers),
    LK_FIELD(ConfigReply, dev),
    LK_FIELD(ConfigReply, connect_enabled),
    LK_FIELD(ConfigReply, cause),
    LK_FIELD(ConfigReply, run_retention_taken),
    LK_FIELD(ConfigReply, run_retention_ms),
};
inline constexpr Field refresh_settings[] = {
    LK_FIELD(RefreshSettings, window_ms),
    LK_FIELD(RefreshSettings, jitter_ms),
    LK_FIELD(RefreshSettings, time_out_ms),
    LK_FIELD(RefreshSettings, lease_ms),
    LK_FIELD(RefreshSettings, patience_ms),
    LK_FIELD(RefreshSettings, poll_ms),
    LK_FIELD(RefreshSettings, back_off_ms),
    LK_FIELD(RefreshSettings, max_back_off_ms),
    LK_FIELD(RefreshSettings, rest_ms),
    LK_FIELD(RefreshSettings, grace_ms),
    LK_FIELD(RefreshSettings, access_lifetime_ms),
    LK_FIELD(RefreshSettings, max_access_lifetime_ms),
    LK_FIELD(RefreshSettings, refresh_idle_ms),
    LK_FIELD(RefreshSettings, refresh_absolute_ms),
    LK_FIELD(RefreshSettings, provider_time_out_ms),
    LK_FIELD(RefreshSettings, lag_ms),
    LK_FIELD(RefreshSettings, max_sends),
    LK_FIELD(RefreshSettings, max_probes),
    LK_FIELD(RefreshSettings, max_tries),
    LK_FIELD(RefreshSettings, proactive),
    LK_FIELD(RefreshSettings, rotation),
    LK_FIELD(RefreshSettings, after_grace),
    LK_FIELD(RefreshSettings, revocation),
    LK_FIELD(RefreshSettings, old_access_dies),
    LK_FIELD(RefreshSettings, revocation_needs_live),
};
inline constexpr Field refresh_admit_request[] = {
    LK_FIELD(RefreshAdmitRequest, min_ttl_ms),  LK_FIELD(RefreshAdmitRequest, settings),
    LK_FIELD(RefreshAdmitRequest, max_value),   LK_FIELD(RefreshAdmitRequest, cas),
    LK_FIELD(RefreshAdmitRequest, strong_read), LK_FIELD(RefreshAdmitRequest, negative_cache),
    LK_FIELD(RefreshAdmitRequest, has_traits),
};
inline constexpr Field refresh_step_request[] = {
    LK_FIELD(RefreshStepRequest, now_ms),
    LK_FIELD(RefreshStepRequest, min_validity_ms),
    LK_FIELD(RefreshStepRequest, at_ms),
    LK_FIELD(RefreshStepRequest, version),
    LK_FIELD(RefreshStepRequest, retry_after_ms),
    LK_FIELD(RefreshStepRequest, lifetime_ms),
    LK_FIELD(RefreshStepRequest, refresh_lifetime_ms),
    LK_FIELD(RefreshStepRequest, entropy_low),
    LK_FIELD(RefreshStepRequest, entropy_high),
    LK_FIELD(RefreshStepRequest, id),
    LK_FIELD(RefreshStepRequest, row),
    LK_FIELD(RefreshStepRequest, flow),
    LK_FIELD(RefreshStepRequest, settings),
    LK_FIELD(RefreshStepRequest, free),
    LK_FIELD(RefreshStepRequest, kind),
    LK_FIELD(RefreshStepRequest, seen),
    LK_FIELD(RefreshStepRequest, task),
    LK_FIELD(RefreshStepRequest, cause),
    LK_FIELD(RefreshStepRequest, reply_kind),
    LK_FIELD(RefreshStepRequest, doubt),
    LK_FIELD(RefreshStepRequest, has_refresh),
    LK_FIELD(RefreshStepRequest, refresh_same),
    LK_FIELD(RefreshStepRequest, has_scope),
    LK_FIELD(RefreshStepRequest, revoked),
};
inline constexpr Field refresh_effect[] = {
    LK_FIELD(RefreshEffect, at_ms),           LK_FIELD(RefreshEffect, stands_until_ms),
    LK_FIELD(RefreshEffect, version),         LK_FIELD(RefreshEffect, condition_version),
    LK_FIELD(RefreshEffect, condition_epoch), LK_FIELD(RefreshEffect, id),
    LK_FIELD(RefreshEffect, condition_id),    LK_FIELD(RefreshEffect, kind),
    LK_FIELD(RefreshEffect, outcome),         LK_FIELD(RefreshEffect, cause),
    LK_FIELD(RefreshEffect, token),           LK_FIELD(RefreshEffect, source),
    LK_FIELD(RefreshEffect, blobs),           LK_FIELD(RefreshEffect, news),
    LK_FIELD(RefreshEffect, probe),           LK_FIELD(RefreshEffect, persist_failed),
    LK_FIELD(RefreshEffect, keep_scopes),     LK_FIELD(RefreshEffect, corrupt),
    LK_FIELD(RefreshEffect, revoked),         LK_FIELD(RefreshEffect, deleted),
    LK_FIELD(RefreshEffect, reason),
};
inline constexpr Field refresh_step_reply[] = {
    LK_FIELD(RefreshStepReply, head),    LK_FIELD(RefreshStepReply, epoch),
    LK_FIELD(RefreshStepReply, effects), LK_FIELD(RefreshStepReply, row),
    LK_FIELD(RefreshStepReply, flow),
};
inline constexpr Field refresh_row_reply[] = {
    LK_FIELD(RefreshRowReply, head),
    LK_FIELD(RefreshRowReply, version),
    LK_FIELD(RefreshRowReply, epoch),
    LK_FIELD(RefreshRowReply, login_at_ms),
    LK_FIELD(RefreshRowReply, obtained_at_ms),
    LK_FIELD(RefreshRowReply, access_expires_at_ms),
    LK_FIELD(RefreshRowReply, refresh_expires_at_ms),
    LK_FIELD(RefreshRowReply, ended_at_ms),
    LK_FIELD(RefreshRowReply, ends_at_ms),
    LK_FIELD(RefreshRowReply, leased_until_ms),
    LK_FIELD(RefreshRowReply, next_attempt_at_ms),
    LK_FIELD(RefreshRowReply, id),
    LK_FIELD(RefreshRowReply, status),
    LK_FIELD(RefreshRowReply, cause),
    LK_FIELD(RefreshRowReply, doubt),
    LK_FIELD(RefreshRowReply, failures),
    LK_FIELD(RefreshRowReply, has_refresh),
    LK_FIELD(RefreshRowReply, rejected),
    LK_FIELD(RefreshRowReply, held),
    LK_FIELD(RefreshRowReply, standing),
};

inline constexpr Field retention_run_request[] = {
    LK_FIELD(RetentionRunRequest, started_at_ms),    LK_FIELD(RetentionRunRequest, heartbeat_at_ms),
    LK_FIELD(RetentionRunRequest, alive_at_ms),      LK_FIELD(RetentionRunRequest, completed_at_ms),
    LK_FIELD(RetentionRunRequest, watched_since_ms), LK_FIELD(RetentionRunRequest, status),
    LK_FIELD(RetentionRunRequest, in_flight),
};
inline constexpr Field retention_reply[] = {
    LK_FIELD(RetentionReply, head),      LK_FIELD(RetentionReply, at_ms),
    LK_FIELD(RetentionReply, due_at_ms), LK_FIELD(RetentionReply, list),
    LK_FIELD(RetentionReply, count),     LK_FIELD(RetentionReply, action),
    LK_FIELD(RetentionReply, reason),    LK_FIELD(RetentionReply, kind),
    LK_FIELD(RetentionReply, status),    LK_FIELD(RetentionReply, flag),
};
inline constexpr Field retention_sweep_reply[] = {
    LK_FIELD(RetentionSweepReply, head),       LK_FIELD(RetentionSweepReply, before_ms),
    LK_FIELD(RetentionSweepReply, next_at_ms), LK_FIELD(RetentionSweepReply, limit),
    LK_FIELD(RetentionSweepReply, asked),      LK_FIELD(RetentionSweepReply, spent),
    LK_FIELD(RetentionSweepReply, pending),    LK_FIELD(RetentionSweepReply, action),
    LK_FIELD(RetentionSweepReply, kind),       LK_FIELD(RetentionSweepReply, lane),
    LK_FIELD(RetentionSweepReply, open),
};
inline constexpr Field admission_request[] = {
    LK_FIELD(AdmissionRequest, now_ms),  LK_FIELD(AdmissionRequest, composed_at_ms),
    LK_FIELD(AdmissionRequest, id),      LK_FIELD(AdmissionRequest, turn),
    LK_FIELD(AdmissionRequest, mode),    LK_FIELD(AdmissionRequest, model),
    LK_FIELD(AdmissionRequest, modes),   LK_FIELD(AdmissionRequest, models),
    LK_FIELD(AdmissionRequest, session), LK_FIELD(AdmissionRequest, message),
    LK_FIELD(AdmissionRequest, free),    LK_FIELD(AdmissionRequest, offer),
    LK_FIELD(AdmissionRequest, outcome), LK_FIELD(AdmissionRequest, failure),
    LK_FIELD(AdmissionRequest, sends),
};
inline constexpr Field admission_reply[] = {
    LK_FIELD(AdmissionReply, head),       LK_FIELD(AdmissionReply, epoch),
    LK_FIELD(AdmissionReply, next_epoch), LK_FIELD(AdmissionReply, at_ms),
    LK_FIELD(AdmissionReply, version),    LK_FIELD(AdmissionReply, admitted),
    LK_FIELD(AdmissionReply, number),     LK_FIELD(AdmissionReply, session),
    LK_FIELD(AdmissionReply, message),    LK_FIELD(AdmissionReply, act),
    LK_FIELD(AdmissionReply, then),       LK_FIELD(AdmissionReply, blob),
    LK_FIELD(AdmissionReply, stage),      LK_FIELD(AdmissionReply, credential),
    LK_FIELD(AdmissionReply, failure),    LK_FIELD(AdmissionReply, sends),
    LK_FIELD(AdmissionReply, open),
};

inline constexpr Layout layouts[] = {
    {"StateIssueRequest", sizeof(StateIssueRequest), state_issue_request},
    {"StateVerifyRequest", sizeof(StateVerifyRequest), state_verify_request},
    {"CallbackPlanRequest", sizeof(CallbackPlanRequest), callback_plan_request},
    {"PrincipalIssueRequest", sizeof(PrincipalIssueRequest), principal_issue_request},
    {"GuardRequestRequest", sizeof(GuardRequestRequest), guard_request_request},
    {"RefreshClassifyRequest", sizeof(RefreshClassifyRequest), refresh_classify_request},
    {"ReplyHead", sizeof(ReplyHead), reply_head},
    {"BytesReply", sizeof(BytesReply), bytes_reply},
    {"FlagReply", sizeof(FlagReply), flag_reply},
    {"StateIssueReply", sizeof(StateIssueReply), state_issue_reply},
    {"StateReply", sizeof(StateReply), state_reply},
    {"CallbackPlanReply", sizeof(CallbackPlanReply), callback_plan_reply},
    {"PrincipalReply", sizeof(PrincipalReply), principal_reply},
    {"ScopeTargetReply", sizeof(ScopeTargetReply), scope_target_reply},
    {"GuardRequestReply", sizeof(GuardRequestReply), guard_request_reply},
    {"ExchangeReply", sizeof(ExchangeReply), exchange_reply},
    {"AccountReply", sizeof(AccountReply), account_reply},
    {"DisconnectReply", sizeof(DisconnectReply), disconnect_reply},
    {"RefreshClassifyReply", sizeof(RefreshClassifyReply), refresh_classify_reply},
    {"WebhookReply", sizeof(WebhookReply), webhook_reply},
    {"ConfigReply", sizeof(ConfigReply), config_reply},
    {"RefreshSettings", sizeof(RefreshSettings), refresh_settings},
    {"RefreshAdmitRequest", sizeof(RefreshAdmitRequest), refresh_admit_request},
    {"RefreshStepRequest", sizeof(RefreshStepRequest), refresh_step_request},
    {"RefreshEffect", sizeof(RefreshEffect), refresh_effect},
    {"RefreshStepReply", sizeof(RefreshStepReply), refresh_step_reply},
    {"RefreshRowReply", sizeof(RefreshRowReply), refresh_row_reply},
    {"RetentionRunRequest", sizeof(RetentionRunRequest), retention_run_request},
    {"RetentionReply", sizeof(RetentionReply), retention_reply},
    {"RetentionSweepReply", sizeof(RetentionSweepReply), retention_sweep_reply},
    {"AdmissionRequest", sizeof(AdmissionRequest), admission_request},
    {"AdmissionReply", sizeof(AdmissionReply), admission_reply},
};

/// The name of an enumerator as it stands in the source; empty for a number that has none.
template <auto Value> constexpr std::string_view name_of() noexcept {
  std::string_view name{__PRETTY_FUNCTION__};
  name.remove_prefix(name.find("Value = ") + 8);
  name = name.substr(0, name.find_first_of(";]"));
  if (name.find('(') != std::string_view::npos) return {};
  return name.substr(name.rfind(':') + 1);
}

/// Each of them is worked out by itself: together they are more steps than a compiler takes.
template <auto Value> inline constexpr std::string_view name_value = name_of<Value>();

/// The names of an enumeration whose values cross: each at its number.
inline constexpr std::size_t max_enumerators = 64;
struct Enumeration {
  std::string_view name;
  std::array<std::string_view, max_enumerators> values;
};

template <class E, std::size_t... N>
constexpr Enumeration enumeration(std::string_view name, std::index_sequence<N...>) noexcept {
  static_assert(name_of<static_cast<E>(max_enumerators)>().empty());
  return {name, {name_value<static_cast<E>(N)>...}};
}
template <class E> constexpr Enumeration enumeration(std::string_view name) noexcept {
  return enumeration<E>(name, std::make_index_sequence<max_enumerators>{});
}

inline constexpr Enumeration enumerations[] = {
    enumeration<refresh::Rotation>("rotation"),
    enumeration<refresh::Revocation>("revocation"),
    enumeration<refresh::Status>("status"),
    enumeration<refresh::Cause>("cause"),
    enumeration<refresh::Doubt>("doubt"),
    enumeration<refresh::ReplyClass>("replyClass"),
    enumeration<refresh::Revoked>("revoked"),
    enumeration<refresh::Task>("task"),
    enumeration<refresh::EventKind>("event"),
    enumeration<refresh::Seen>("seen"),
    enumeration<refresh::Reason>("reason"),
    enumeration<refresh::EffectKind>("effect"),
    enumeration<refresh::Outcome>("outcome"),
    enumeration<refresh::Which>("which"),
    enumeration<refresh::Source>("source"),
    enumeration<refresh::Blobs>("blobs"),
    enumeration<refresh::News>("news"),
    enumeration<refresh::Standing>("standing"),
    enumeration<scope::Scope>("scope"),
    enumeration<scope::Rule>("rule"),
    enumeration<scope::Eraser>("eraser"),
    enumeration<scope::Membership>("membership"),
    enumeration<scope::Action>("action"),
    enumeration<scope::Held>("held"),
    enumeration<scope::Outcome>("readOutcome"),
    enumeration<scope::Verb>("verb"),
    enumeration<scope::Check>("check"),
    enumeration<scope::Sweep>("sweep"),
    enumeration<scope::Chosen>("chosen"),
    enumeration<scope::Word>("word"),
    enumeration<scope::Known>("knownAs"),
    enumeration<scope::Minted>("minted"),
    enumeration<scope::UserToken>("userToken"),
    enumeration<scope::Source>("tokenSource"),
    enumeration<scope::Pin>("pin"),
    enumeration<scope::Access>("access"),
    enumeration<scope::Family>("scopeFamily"),
    enumeration<repo::Provider>("repoProvider"),
    enumeration<upstream::Right>("right"),
    enumeration<admission::Repository>("repository"),
    enumeration<admission::Offer>("offer"),
    enumeration<admission::Act>("admissionAct"),
    enumeration<admission::Blob>("admissionBlob"),
    enumeration<admission::Stage>("messageStage"),
    enumeration<admission::Credential>("messageCredential"),
    enumeration<admission::Failure>("deliveryFailure"),
    enumeration<admission::Outcome>("messageOutcome"),
    enumeration<retention::Status>("runStatus"),
    enumeration<retention::Phase>("phase"),
    enumeration<retention::Found>("found"),
    enumeration<retention::Life>("life"),
    enumeration<retention::Terminal>("terminal"),
    enumeration<retention::Cause>("runCause"),
    enumeration<retention::Ending>("ending"),
    enumeration<retention::Kept>("kept"),
    enumeration<retention::Action>("recovery"),
    enumeration<retention::Why>("recoveryReason"),
    enumeration<retention::Taken>("taken"),
    enumeration<retention::Kind>("recordKind"),
    enumeration<retention::Sweeping>("sweeping"),
    enumeration<retention::Fate>("fate"),
    enumeration<retention::Changed>("changed"),
    enumeration<retention::Orphaned>("orphaned"),
    enumeration<retention::OrphanReason>("orphanReason"),
    enumeration<retention::LinkState>("linkState"),
    enumeration<retention::LinkReason>("linkReason"),
    enumeration<retention::EraseStep>("eraseStep"),
    enumeration<retention::Erased>("erased"),
    enumeration<retention::Erasing>("erasing"),
    enumeration<retention::EraseReason>("eraseReason"),
    enumeration<retention::Advance>("advance"),
    enumeration<retention::ScheduleReason>("scheduleReason"),
    enumeration<retention::Seen>("faultSeen"),
    enumeration<retention::Rated>("rated"),
    enumeration<retention::Begun>("begun"),
    enumeration<retention::Appended>("appended"),
};

/// One list for both directions, so that no length of time is read as another.
struct PolicyTime {
  double RefreshSettings::* at;
  Millis refresh::Policy::* value;
};
inline constexpr PolicyTime policy_times[] = {
    {&RefreshSettings::window_ms, &refresh::Policy::window},
    {&RefreshSettings::jitter_ms, &refresh::Policy::jitter},
    {&RefreshSettings::time_out_ms, &refresh::Policy::time_out},
    {&RefreshSettings::lease_ms, &refresh::Policy::lease},
    {&RefreshSettings::patience_ms, &refresh::Policy::patience},
    {&RefreshSettings::poll_ms, &refresh::Policy::poll},
    {&RefreshSettings::back_off_ms, &refresh::Policy::back_off},
    {&RefreshSettings::max_back_off_ms, &refresh::Policy::max_back_off},
    {&RefreshSettings::rest_ms, &refresh::Policy::rest},
};
struct TraitsTime {
  double RefreshSettings::* at;
  Millis refresh::Traits::* value;
};
inline constexpr TraitsTime traits_times[] = {
    {&RefreshSettings::grace_ms, &refresh::Traits::grace},
    {&RefreshSettings::access_lifetime_ms, &refresh::Traits::access_lifetime},
    {&RefreshSettings::max_access_lifetime_ms, &refresh::Traits::max_access_lifetime},
    {&RefreshSettings::refresh_idle_ms, &refresh::Traits::refresh_idle},
    {&RefreshSettings::refresh_absolute_ms, &refresh::Traits::refresh_absolute},
    {&RefreshSettings::provider_time_out_ms, &refresh::Traits::time_out},
    {&RefreshSettings::lag_ms, &refresh::Traits::lag},
};

/// Settings as they cross.
[[nodiscard]] constexpr RefreshSettings to_settings(const refresh::Policy& policy,
                                                    const refresh::Traits& traits) noexcept {
  RefreshSettings out{};
  for (const auto& time : policy_times)
    out.*time.at = static_cast<double>((policy.*time.value).value);
  for (const auto& time : traits_times)
    out.*time.at = static_cast<double>((traits.*time.value).value);
  out.max_sends = policy.max_sends;
  out.max_probes = policy.max_probes;
  out.max_tries = policy.max_tries;
  out.proactive = policy.proactive ? 1 : 0;
  out.rotation = static_cast<std::uint8_t>(traits.rotation);
  out.after_grace = static_cast<std::uint8_t>(traits.after_grace);
  out.revocation = static_cast<std::uint8_t>(traits.revocation);
  out.old_access_dies = traits.old_access_dies ? 1 : 0;
  out.revocation_needs_live = traits.revocation_needs_live ? 1 : 0;
  return out;
}

template <class... T>
inline constexpr bool all_plain = ((std::is_trivially_copyable_v<T> &&
                                    std::is_standard_layout_v<T> && sizeof(T) % alignof(T) == 0) &&
                                   ...);
static_assert(all_plain<StateIssueRequest, StateVerifyRequest, CallbackPlanRequest,
                        PrincipalIssueRequest, GuardRequestRequest, BytesReply, FlagReply,
                        StateIssueReply, StateReply, CallbackPlanReply, PrincipalReply,
                        ScopeTargetReply, GuardRequestReply, ExchangeReply, AccountReply,
                        DisconnectReply, WebhookReply, RefreshClassifyRequest, RefreshClassifyReply,
                        ConfigReply, RefreshSettings, RefreshAdmitRequest, RefreshStepRequest,
                        RefreshEffect, RefreshStepReply, RefreshRowReply, RetentionRunRequest,
                        RetentionReply, RetentionSweepReply, AdmissionRequest, AdmissionReply>);
static_assert(sizeof(StateIssueRequest) <= reply_at && sizeof(RefreshStepRequest) <= reply_at &&
              sizeof(RefreshRowReply) <= data_at - reply_at &&
              sizeof(StateReply) <= data_at - reply_at);

/// FNV-1a over every name, type, offset and size: module and glue must agree on it at load.
consteval std::uint32_t layout_hash() noexcept {
  std::uint32_t hash = 2166136261U;
  const auto byte = [&](std::uint32_t value) noexcept {
    hash = (hash ^ (value & 0xff)) * 16777619U;
  };
  const auto number = [&](std::uint32_t value) noexcept {
    for (std::uint32_t shift = 0; shift < 32; shift += 8) byte(value >> shift);
  };
  const auto text = [&](std::string_view value) noexcept {
    for (const char c : value) byte(static_cast<std::uint8_t>(c));
    byte(0);
  };
  number(version);
  number(arena_size);
  number(reply_at);
  number(data_at);
  number(sizeof(keys::Key));
  number(sizeof(keys::PublicKey));
  for (const Layout& layout : layouts) {
    text(layout.name);
    number(layout.size);
    for (const Field& field : layout.fields) {
      text(field.name);
      text(field.type);
      number(field.offset);
    }
  }
  for (const Enumeration& all : enumerations) {
    text(all.name);
    for (const std::string_view value : all.values) text(value);
  }
  return hash;
}

}  // namespace latchkey::abi
