/// The binary interface: the only declaration of request and reply layouts.
///
/// Everything here is little-endian, pointer-free and naturally aligned without implicit padding,
/// so that it has the same layout on the host (where `dump_abi` prints it) and in the module.
#pragma once

#include "latchkey/error.hpp"
#include "latchkey/keys.hpp"

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
  std::uint8_t unused[6];
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
/// revocation, user info), scopes, issuer, the names of the two secret variables, and five flags as
/// digits (scope separator, authentication style, response mode, PKCE, `iss` required).
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
  std::uint8_t unused[5];
};
inline constexpr std::uint32_t provider_fields = 13;

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
};

inline constexpr Layout layouts[] = {
    {"StateIssueRequest", sizeof(StateIssueRequest), state_issue_request},
    {"StateVerifyRequest", sizeof(StateVerifyRequest), state_verify_request},
    {"CallbackPlanRequest", sizeof(CallbackPlanRequest), callback_plan_request},
    {"PrincipalIssueRequest", sizeof(PrincipalIssueRequest), principal_issue_request},
    {"GuardRequestRequest", sizeof(GuardRequestRequest), guard_request_request},
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
    {"WebhookReply", sizeof(WebhookReply), webhook_reply},
    {"ConfigReply", sizeof(ConfigReply), config_reply},
};

template <class... T>
inline constexpr bool all_plain = ((std::is_trivially_copyable_v<T> &&
                                    std::is_standard_layout_v<T> && sizeof(T) % alignof(T) == 0) &&
                                   ...);
static_assert(
    all_plain<StateIssueRequest, StateVerifyRequest, CallbackPlanRequest, PrincipalIssueRequest,
              GuardRequestRequest, BytesReply, FlagReply, StateIssueReply, StateReply,
              CallbackPlanReply, PrincipalReply, ScopeTargetReply, GuardRequestReply, ExchangeReply,
              AccountReply, DisconnectReply, WebhookReply, ConfigReply>);
static_assert(sizeof(StateIssueRequest) <= reply_at && sizeof(StateReply) <= data_at - reply_at);

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
  return hash;
}

}  // namespace latchkey::abi
