// The module's exports, called with any numbers, on the real arena: no trap, no step outside, and
// an answer that is a code. Keys and error codes the glue hands back as it got them: a slice of
// keys is a real ring or lies outside, and an error is one that there is.
#include "fuzz.hpp"

#include "arena.hpp"

#include <algorithm>
#include <cstring>

using namespace latchkey;
using namespace latchkey::abi;

using U32 = std::uint32_t;

// The exports as the glue sees them.
extern "C" {
std::int32_t lk_keys_generate(U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_keys_parse(U32, U32, U32) noexcept;
std::int32_t lk_keys_public_jwks(U32, U32, U32) noexcept;
std::int32_t lk_keys_parse_jwks(U32, U32, U32) noexcept;
std::int32_t lk_state_issue() noexcept;
std::int32_t lk_state_verify() noexcept;
std::int32_t lk_state_verify_jwks() noexcept;
std::int32_t lk_state_peek(U32, U32, U32) noexcept;
std::int32_t lk_state_code_verifier(U32, U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_callback_plan() noexcept;
std::int32_t lk_return_to(U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_seal_seal(U32, U32, U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_seal_open(U32, U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_principal_issue() noexcept;
std::int32_t lk_principal_verify(U32, U32, U32, U32, double, U32) noexcept;
std::int32_t lk_scope_write_target(U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_scope_connect_target(U32, U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_scope_erase_target(U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_guard_is_loopback_host(U32, U32) noexcept;
std::int32_t lk_guard_request() noexcept;
std::int32_t lk_guard_outbound(U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_exchange_read(U32, U32, U32, U32, U32, U32, U32, double) noexcept;
std::int32_t lk_account_read(U32, U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_admission_offer(U32, U32, U32) noexcept;
std::int32_t lk_admission_plan() noexcept;
std::int32_t lk_admission_drain() noexcept;
std::int32_t lk_admission_settle() noexcept;
std::int32_t lk_disconnect_decide(U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_introspection_doubt(U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_config_check(U32, U32, U32) noexcept;
std::int32_t lk_refresh_classify() noexcept;
std::int32_t lk_scope_write_plan(U32, U32, U32) noexcept;
std::int32_t lk_scope_delete_plan(U32, U32, U32) noexcept;
std::int32_t lk_scope_read_plan(U32, U32, U32) noexcept;
std::int32_t lk_scope_resolve(U32, U32, U32) noexcept;
std::int32_t lk_scope_gap(U32, U32, U32) noexcept;
std::int32_t lk_scope_may_mutate(U32, U32, U32) noexcept;
std::int32_t lk_scope_visible(U32, U32, U32) noexcept;
std::int32_t lk_scope_sweep(U32, U32, U32) noexcept;
std::int32_t lk_scope_complete(U32, U32, U32) noexcept;
std::int32_t lk_scope_choose_installation(U32, U32, U32) noexcept;
std::int32_t lk_scope_choose_token_source(U32, U32, U32) noexcept;
std::int32_t lk_scope_step_identity(U32, U32, U32) noexcept;
std::int32_t lk_scope_access(U32, U32, U32) noexcept;
std::int32_t lk_scope_hears(U32, U32, U32) noexcept;
std::int32_t lk_scope_known_as(U32, U32, U32) noexcept;
std::int32_t lk_scope_minted(U32, U32, U32) noexcept;
std::int32_t lk_scope_missing(U32, U32, U32) noexcept;
std::int32_t lk_scope_leave_target(U32, U32, U32) noexcept;
std::int32_t lk_scope_explain(U32, U32, U32) noexcept;
std::int32_t lk_guard_name(U32, U32, U32) noexcept;
std::int32_t lk_guard_key(U32, U32, U32) noexcept;
std::int32_t lk_repo_parse(U32, U32, U32) noexcept;
std::int32_t lk_upstream_check(U32, U32, U32) noexcept;
std::int32_t lk_upstream_redirect(U32, U32, U32) noexcept;
std::int32_t lk_upstream_lfs_right(U32, U32, U32) noexcept;
std::int32_t lk_capability_attenuate(U32, U32, U32) noexcept;
std::int32_t lk_capability_mint(U32, U32, U32, U32, U32, U32, double, U32) noexcept;
std::int32_t lk_capability_redeem(U32, U32, U32) noexcept;
std::int32_t lk_capability_revoke(U32, U32, U32) noexcept;
std::int32_t lk_capability_verify(U32, U32, U32, U32, double, U32) noexcept;
std::int32_t lk_redact(U32, U32, U32) noexcept;
std::int32_t lk_webhook_headers(U32, U32, U32) noexcept;
std::int32_t lk_webhook_verify(U32, U32, U32, U32, U32, U32, U32, U32, U32, U32, U32, U32,
                               double) noexcept;
std::int32_t lk_webhook_begin(U32, U32, U32, U32, U32, U32, U32, U32, U32) noexcept;
std::int32_t lk_webhook_update(U32, U32, U32, U32) noexcept;
std::int32_t lk_webhook_finish(U32, U32, U32, U32, double) noexcept;
std::int32_t lk_webhook_read(U32, U32, U32, U32, U32, U32, U32, U32, double, U32) noexcept;
std::int32_t lk_retention_setting(U32, U32, U32, double, double) noexcept;
std::int32_t lk_retention_reconnect(double, double) noexcept;
std::int32_t lk_retention_stale(double, U32, double, double, double, double, U32) noexcept;
std::int32_t lk_retention_prune(double, double, double, double) noexcept;
std::int32_t lk_retention_terminal(U32, double, U32, U32) noexcept;
std::int32_t lk_retention_begin(U32) noexcept;
std::int32_t lk_retention_append(U32, double, U32, double, U32, double, double) noexcept;
std::int32_t lk_retention_recover(U32, U32, double, U32, double, double, double, double, double,
                                  double, U32, double, double, double, double, U32) noexcept;
std::int32_t lk_retention_expiry(double, double, double, double) noexcept;
std::int32_t lk_retention_sweep(U32, U32, U32, U32, double, double, double, double, double, double,
                                double) noexcept;
std::int32_t lk_retention_keep_newest(U32, U32, U32, U32, U32, U32, double, double, U32) noexcept;
std::int32_t lk_retention_orphan(U32) noexcept;
std::int32_t lk_retention_resumes(U32, U32, U32, U32) noexcept;
std::int32_t lk_retention_link(U32, double, U32, double) noexcept;
std::int32_t lk_retention_erase(U32, U32) noexcept;
std::int32_t lk_retention_schedule(U32, U32, double, double, double, U32, double) noexcept;
std::int32_t lk_retention_fingerprint(U32, U32, U32) noexcept;
std::int32_t lk_retention_dedupe(double, double, double, double, double) noexcept;
std::int32_t lk_retention_rate_limit(double, double, U32, double, double, double) noexcept;
std::int32_t lk_retention_bucket(U32, U32, U32) noexcept;
}

namespace {

constexpr U32 keys_at = 40'000;
constexpr U32 free_at = 48'000;

// Numbers as a caller might get them wrong: edges, small ones, any.
class Numbers {
public:
  explicit Numbers(fuzz::Input& input) : input_{input} {}

  U32 any() {
    constexpr U32 edges[] = {0,
                             1,
                             255,
                             256,
                             511,
                             512,
                             513,
                             keys_at,
                             arena_size - 8,
                             arena_size - 1,
                             arena_size,
                             arena_size + 1,
                             0x7fffffff,
                             0x80000000,
                             0xfffffff8,
                             0xffffffff};
    const std::uint8_t kind = input_.byte();
    if (kind < 0x40) return edges[kind % std::size(edges)];
    if (kind < 0xe0) return input_.number(2);
    return input_.number(4);
  }
  Slice slice() {
    const std::uint8_t kind = input_.byte();
    // Most lie in what the input has put there.
    if (kind < 0xc0) return {data_at + kind * 8U, input_.byte()};
    const U32 at = any();
    const U32 len = any();
    // No input reaches into the space that the same call is given for its output.
    const bool overlaps = is_inside(at, len) && at + len > free_at;
    return {at, overlaps ? arena_size : len};
  }
  template <class Key> Slice keys() {
    const std::uint8_t kind = input_.byte();
    const Slice real = {keys_at, 2 * sizeof(Key)};
    const Slice some[] = {real,
                          real,
                          real,
                          {keys_at, sizeof(Key)},
                          {keys_at, 0},
                          {0, 0},
                          {keys_at, sizeof(Key) + 1},
                          {keys_at + 1, sizeof(Key)},
                          {arena_size, sizeof(Key)},
                          {arena_size - 4, sizeof(Key)},
                          {0xfffffffc, sizeof(Key)},
                          {request_at, sizeof(Key)}};
    return some[kind % std::size(some)];
  }
  U32 free() {
    const U32 at = input_.byte() < 0xc0 ? free_at : any();
    return at < data_at || at > arena_size - 8 ? at : std::max(at, free_at);
  }
  double time() {
    constexpr double edges[] = {1.7e12, 0,      -1,      0.5,   8.64e15, 8.64e15 + 2,
                                1e300,  -1e300, 600'000, 1'000, 60'000};
    const std::uint8_t kind = input_.byte();
    if (kind < 0x80) return edges[kind % std::size(edges)];
    std::uint64_t bits = std::uint64_t{input_.number(4)} << 32;
    bits |= input_.number(4);
    double out = 0;
    std::memcpy(&out, &bits, sizeof out);
    return out;
  }
  std::uint8_t byte() { return input_.byte(); }

private:
  fuzz::Input& input_;
};

template <class Key> void put_keys(std::span<const Key> keys) {
  std::memcpy(arena + keys_at, keys.data(), keys.size_bytes());
}

template <class Request> void put_request(const Request& request) {
  std::memcpy(arena + request_at, &request, sizeof request);
}

std::int32_t issue(Numbers& n) {
  StateIssueRequest in{};
  in.now_ms = n.time();
  in.ttl_ms = n.time();
  in.ring = n.keys<keys::Key>();
  for (Slice* text : {&in.issuer, &in.audience, &in.flow, &in.provider, &in.subject, &in.owner_id,
                      &in.app, &in.return_to, &in.binding, &in.entropy}) {
    *text = n.slice();
  }
  in.free = n.free();
  in.alg = n.byte();
  in.owner_kind = n.byte();
  put_request(in);
  return lk_state_issue();
}

template <class Key> std::int32_t verify(Numbers& n, std::int32_t (*call)() noexcept) {
  StateVerifyRequest in{};
  in.now_ms = n.time();
  in.skew_ms = n.time();
  in.keys = n.keys<Key>();
  for (Slice* text :
       {&in.token, &in.issuer, &in.audience, &in.flow, &in.provider, &in.subject, &in.binding}) {
    *text = n.slice();
  }
  in.free = n.free();
  in.binding_mode = n.byte();
  put_request(in);
  return call();
}

std::int32_t plan(Numbers& n) {
  CallbackPlanRequest in{};
  in.expires_at_ms = n.time();
  for (Slice* text :
       {&in.params, &in.subject, &in.return_to, &in.nonce, &in.session_subject, &in.as_issuer}) {
    *text = n.slice();
  }
  const std::uint8_t error = n.byte();
  in.state_error = to_string(static_cast<Errc>(error)).empty() ? 0 : error;
  in.iss_required = n.byte();
  put_request(in);
  return lk_callback_plan();
}

std::int32_t principal_issue(Numbers& n) {
  PrincipalIssueRequest in{};
  in.now_ms = n.time();
  in.ttl_ms = n.time();
  in.ring = n.keys<keys::Key>();
  for (Slice* text : {&in.subject, &in.org, &in.role, &in.device}) *text = n.slice();
  in.free = n.free();
  in.kind = n.byte();
  put_request(in);
  return lk_principal_issue();
}

std::int32_t guard_request(Numbers& n) {
  GuardRequestRequest in{};
  for (Slice* text :
       {&in.method, &in.host, &in.origin, &in.sec_fetch_site, &in.content_type, &in.own_origin}) {
    *text = n.slice();
  }
  in.media_type = n.byte();
  in.proxied = n.byte();
  put_request(in);
  return lk_guard_request();
}

std::int32_t refresh_classify(Numbers& n) {
  RefreshClassifyRequest in{};
  in.now_ms = n.time();
  in.access_ttl_ms = n.time();
  for (Slice* text : {&in.headers, &in.body, &in.profile, &in.sent}) *text = n.slice();
  if (n.byte() < 0xc0) in.headers = {0, 0};
  in.free = n.free();
  in.status = static_cast<std::uint16_t>(n.any());
  in.absence = n.byte() % 6;
  in.unspent = n.byte();
  put_request(in);
  return lk_refresh_classify();
}

void put_run(Numbers& n) {
  RetentionRunRequest in{};
  for (double* time : {&in.started_at_ms, &in.heartbeat_at_ms, &in.alive_at_ms, &in.completed_at_ms,
                       &in.watched_since_ms}) {
    *time = n.time();
  }
  in.status = n.byte() % 7;
  in.in_flight = n.byte();
  put_request(in);
}

std::int32_t retain(Numbers& n, Slice a, Slice b, Slice c, U32 free) {
  const auto t = [&n] { return n.time(); };
  // In a fixed order, whatever the compiler makes of a call's arguments.
  const double times[10] = {t(), t(), t(), t(), t(), t(), t(), t(), t(), t()};
  const auto& [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9] = times;
  const U32 few = n.byte() % 7;
  put_run(n);
  switch (n.byte() % 20) {
  case 0: return lk_retention_setting(a.at, a.len, few % 2, t0, t1);
  case 1: return lk_retention_reconnect(t0, t1);
  case 2: return lk_retention_stale(t0, few, t1, t2, t3, t4, few % 2);
  case 3: return lk_retention_prune(t0, t1, t2, t3);
  case 4: return lk_retention_terminal(few, t0, n.byte() % 7, n.byte() % 7);
  case 5:
    return lk_retention_recover(a.at, few * sizeof(RetentionRunRequest), t0, 1, t1, t2, t3, t4, t5,
                                t6, few, t7, t8, t9, t0, few % 2);
  case 6: return lk_retention_expiry(t0, t1, t2, t3);
  case 7: return lk_retention_sweep(n.any(), n.any(), n.any(), few, t0, t1, t2, t3, t4, t5, t6);
  case 8: return lk_retention_keep_newest(a.at, a.len, b.at, b.len, c.at, c.len, t0, t1, free);
  case 9: return lk_retention_orphan(n.any());
  case 10: return lk_retention_resumes(a.at, a.len, b.at, b.len);
  case 11: return lk_retention_link(few, t0, few % 2, t1);
  case 12: return lk_retention_erase(a.at, n.byte() < 0xc0 ? 8 : a.len);
  case 13: return lk_retention_schedule(a.at, a.len, t0, t1, t2, few, t3);
  case 14: return lk_retention_fingerprint(a.at, a.len, free);
  case 15: return lk_retention_dedupe(t0, t1, t2, t3, t4);
  case 16: return lk_retention_rate_limit(t0, t1, few, t2, t3, t4);
  case 17: return lk_retention_begin(n.any());
  case 18: return lk_retention_append(few, t0, n.byte() % 7, t1, few % 2, t2, t3);
  default: return lk_retention_bucket(a.at, a.len, free);
  }
}

std::int32_t admission(Numbers& n) {
  AdmissionRequest in{};
  in.now_ms = n.time();
  in.composed_at_ms = n.byte() < 0x80 ? -1 : n.time();
  for (Slice* bytes :
       {&in.id, &in.turn, &in.mode, &in.model, &in.modes, &in.models, &in.session, &in.message}) {
    *bytes = n.byte() < 0x80 ? Slice{0, 0} : n.slice();
  }
  in.free = n.free();
  in.offer = n.byte();
  in.outcome = n.byte() % 6;
  in.failure = n.byte() % 10;
  in.sends = n.byte();
  put_request(in);
  switch (n.byte() % 3) {
  case 0: return lk_admission_plan();
  case 1: return lk_admission_drain();
  default: return lk_admission_settle();
  }
}

std::int32_t call(std::uint8_t which, Numbers& n) {
  const Slice ring = n.keys<keys::Key>();
  const Slice a = n.slice();
  const Slice b = n.slice();
  const Slice c = n.slice();
  const U32 free = n.free();
  constexpr std::int32_t (*decisions[])(U32, U32, U32) noexcept = {
      lk_scope_write_plan,
      lk_scope_delete_plan,
      lk_scope_read_plan,
      lk_scope_resolve,
      lk_scope_gap,
      lk_scope_may_mutate,
      lk_scope_visible,
      lk_scope_sweep,
      lk_scope_complete,
      lk_scope_choose_installation,
      lk_scope_choose_token_source,
      lk_scope_step_identity,
      lk_scope_access,
      lk_scope_hears,
      lk_scope_known_as,
      lk_scope_minted,
      lk_scope_missing,
      lk_scope_explain,
      lk_guard_name,
      lk_guard_key,
      lk_repo_parse,
      lk_upstream_check,
      lk_upstream_redirect,
      lk_upstream_lfs_right,
      lk_capability_attenuate,
      lk_capability_redeem,
      lk_capability_revoke,
      lk_scope_leave_target,
  };
  switch (which % 39) {
  case 0: return lk_keys_generate(a.at, a.len, b.at, b.len, free);
  case 1: return lk_keys_parse(a.at, a.len, free);
  case 2: return lk_keys_public_jwks(ring.at, ring.len, free);
  case 3: return lk_keys_parse_jwks(a.at, a.len, free);
  case 4: return issue(n);
  case 5: return verify<keys::Key>(n, lk_state_verify);
  case 6: put_keys(fuzz::public_keys()); return verify<keys::PublicKey>(n, lk_state_verify_jwks);
  case 7: return lk_state_peek(a.at, a.len, free);
  case 8: return lk_state_code_verifier(ring.at, ring.len, a.at, a.len, b.at, b.len, free);
  case 9: return plan(n);
  case 10: return lk_return_to(a.at, a.len, b.at, b.len, free);
  case 11: {
    const U32 entropy = c.at <= free_at - 24 ? c.at : arena_size;
    return lk_seal_seal(ring.at, ring.len, a.at, a.len, b.at, b.len, entropy, free);
  }
  case 12: return lk_seal_open(ring.at, ring.len, a.at, a.len, b.at, b.len, free);
  case 13: return principal_issue(n);
  case 14: return lk_principal_verify(ring.at, ring.len, a.at, a.len, n.time(), free);
  case 15: return lk_scope_write_target(a.at, a.len, b.at, b.len, c.at, c.len);
  case 16: return lk_scope_connect_target(a.at, a.len, b.at, b.len, c.at, c.len, n.byte() % 4);
  case 17: return lk_guard_is_loopback_host(a.at, a.len);
  case 18: return guard_request(n);
  case 19: return lk_guard_outbound(a.at, a.len, b.at, b.len, n.any(), n.byte());
  case 20: return lk_exchange_read(n.any(), a.at, a.len, b.at, b.len, c.at, c.len, n.time());
  case 21: return lk_account_read(n.any(), a.at, a.len, b.at, b.len, c.at, c.len);
  case 22: return lk_disconnect_decide(n.byte(), n.any(), a.at, a.len, b.at, b.len);
  case 23: return lk_scope_erase_target(a.at, a.len, b.at, b.len, n.byte() % 5);
  case 24: return refresh_classify(n);
  case 32: return decisions[n.byte() % std::size(decisions)](a.at, a.len, free);
  case 33: return lk_capability_mint(ring.at, ring.len, a.at, a.len, b.at, b.len, n.time(), free);
  case 34: return lk_capability_verify(ring.at, ring.len, a.at, a.len, n.time(), free);
  case 31: return lk_config_check(a.at, a.len, free);
  case 35: return retain(n, a, b, c, free);
  case 25: return lk_redact(a.at, a.len, free);
  case 26: return lk_webhook_headers(a.at, a.len, free);
  case 27:
    return lk_webhook_verify(a.at, a.len, b.at, b.len, c.at, c.len, a.at, a.len, b.at, b.len, c.at,
                             c.len, n.time());
  case 28: return lk_webhook_begin(a.at, a.len, b.at, b.len, c.at, c.len, b.at, b.len, free);
  case 29: return lk_webhook_update(a.at, a.len, b.at, b.len);
  case 36: return lk_admission_offer(n.byte() % 5, a.at, a.len);
  case 37: return admission(n);
  case 38: return lk_introspection_doubt(n.any(), a.at, a.len, b.at, b.len);
  case 30: return lk_webhook_finish(a.at, a.len, b.at, b.len, n.time());
  default:
    return lk_webhook_read(a.at, a.len, b.at, b.len, a.at, a.len, c.at, c.len, n.time(), free);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input{data, size};
  const std::uint8_t which = input.byte();
  const fuzz::Octets numbers_text = [&] {
    fuzz::Octets out(64);
    for (auto& byte : out) byte = input.byte();
    return out;
  }();
  const fuzz::Octets bytes = input.rest();
  std::memset(arena, 0, sizeof arena);
  if (!bytes.empty())
    std::memcpy(arena + data_at, bytes.data(), std::min<std::size_t>(bytes.size(), 39'000));
  put_keys(fuzz::ring());

  fuzz::Input numbers_input{numbers_text.data(), numbers_text.size()};
  Numbers numbers{numbers_input};
  const std::int32_t code = call(which, numbers);
  LK_CHECK(code >= 0 && code <= 255);
  LK_CHECK(!to_string(static_cast<Errc>(code)).empty());
  ReplyHead head{};
  std::memcpy(&head, arena + reply_at, sizeof head);
  LK_CHECK(head.used <= arena_size);
  return 0;
}
