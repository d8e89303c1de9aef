/// Errors: one closed enum inside, few public codes outside, and the value-or-error type every
/// fallible function returns.
///
/// What comes from outside can only ever produce an `Errc`. A broken contract (ours or a C++
/// caller's) traps: `LK_CHECK`. There is no third way.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

/// Traps when a contract is broken; on in every build.
#define LK_CHECK(condition)                                                                        \
  do {                                                                                             \
    if (!(condition)) __builtin_trap();                                                            \
  } while (false)

namespace latchkey {

/// Why something was refused. Numbers are frozen and never reused; new ones are added at the end of
/// their block.
enum class Errc : std::uint8_t {
  ok = 0,

  // The boundary: what a caller of the module got wrong.
  slice_invalid = 1,  ///< a (pointer, length) pair lies outside the arena
  output_too_small = 2,  ///< the result does not fit into the space given for it
  time_invalid = 3,  ///< not a whole number of milliseconds in 0..8.64e15

  // Text and JSON.
  base64_invalid = 10,  ///< not canonical base64url, or not of the wanted length
  utf8_invalid = 11,  ///< not well-formed UTF-8 (RFC 3629)
  json_invalid = 12,  ///< not JSON (RFC 8259), or a duplicate member, or beyond depth or size

  // Keys.
  key_invalid = 20,  ///< not `kid:key` with a canonical 32-byte key
  key_duplicate = 21,  ///< the same key id, or the same key, twice
  key_ring_empty = 22,  ///< no key at all
  jwks_invalid = 23,  ///< not a JWK Set with at least one usable Ed25519 key

  // Sealed text.
  seal_invalid = 30,  ///< not sealed by us, changed, or sealed for another context
  seal_unknown_key = 31,  ///< sealed with a key that is not in the ring

  // State: making one.
  claim_invalid = 40,  ///< a claim is missing, too long, not UTF-8 or out of range
  return_to_invalid = 41,  ///< the return path is not one that `return_to` accepts unchanged

  // State: verifying one. In the order of the checks.
  state_missing = 50,  ///< no state at all
  state_too_long = 51,  ///< more than 4,096 bytes
  state_malformed = 52,  ///< not three canonical base64url parts with our exact header
  state_unknown_key = 53,  ///< no key of that id and algorithm
  state_bad_signature = 54,  ///< the signature is not ours
  state_payload_invalid = 55,  ///< signed, but a claim is missing, unknown, twice or out of range
  state_from_future = 56,  ///< issued later than now plus the skew
  state_expired = 57,  ///< older than its life
  issuer_mismatch = 58,  ///< `iss` of the state or of the answer is another
  audience_mismatch = 59,  ///< made for another redirect URI
  flow_mismatch = 60,  ///< made for another flow
  provider_mismatch = 61,  ///< made for another provider
  subject_mismatch = 62,  ///< started by somebody else, or nobody is signed in
  binding_mismatch = 63,  ///< started in another browser

  // Callback.
  callback_malformed = 70,  ///< a parameter twice, too long, or answer and error together
  code_invalid = 71,  ///< no authorization code, or not of a code's form
  access_denied = 72,  ///< the person said no at the provider
  provider_error = 73,  ///< the provider reported an error of its own
  provider_refused_client = 74,  ///< the provider does not accept this client's registration
  state_consumed = 75,  ///< the state was used before
  store_unavailable = 76,  ///< storage did not answer
  exchange_refused = 77,  ///< the token endpoint refused the code
  exchange_unreadable = 78,  ///< the token endpoint's answer was not understood
  exchange_unreachable = 79,  ///< the token endpoint did not answer in time
  account_unreadable = 80,  ///< the provider did not say which account this is
  already_connected = 81,  ///< that provider account belongs to another person here

  // Who is calling.
  principal_missing = 90,  ///< nobody is signed in and no assertion was sent
  principal_invalid = 91,  ///< the assertion is not ours or says something impossible
  principal_expired = 92,  ///< the assertion is past its life
  not_allowed = 93,  ///< the role does not permit this

  // A request that must not be served.
  host_refused = 100,  ///< the Host header is not a loopback name
  origin_refused = 101,  ///< nothing proves that the request comes from our own page
  media_type_refused = 102,  ///< the body is not of the media type this route takes
  proxied_refused = 103,  ///< a local-only route was reached through a proxy

  // Configuration.
  config_missing = 110,  ///< a required variable is not set
  config_invalid = 111,  ///< a variable is set to something that cannot be used
  provider_unknown = 112,  ///< no provider of that name is configured
  connect_disabled = 113,  ///< connecting is switched off

  // Connections.
  not_connected = 120,  ///< there is no connection
  reconnect_required = 121,  ///< the connection can no longer give a token
  corrupt = 122,  ///< a stored record does not open; kept as it is
  store_unfit = 123,  ///< a store without compare-and-swap or strong reads must not refresh
  lease_too_short = 124,  ///< the lease does not outlive the token request it protects
  revoked = 125,  ///< the connection was revoked
  temporarily_unavailable = 126,  ///< no token now; the connection is as it was

  // Webhooks.
  webhook_invalid = 140,  ///< no signature of ours over this body, or one that is too old
  webhook_unreadable = 141,  ///< signed, but not an event in the form this provider sends

  // Whose credential, and where it may go.
  name_invalid = 150,  ///< not a name that can stand in a path or a storage key
  credential_incomplete = 151,  ///< a part of the credential is missing
  repo_invalid = 152,  ///< not a reference to one repository
  repo_host_not_allowed = 153,  ///< a repository on a host that is not configured
  upstream_url_invalid = 154,  ///< not a URL that a credential may be sent to, in its plain form
  upstream_host_not_allowed = 155,  ///< a host that the credential is not for
  repository_mismatch = 156,  ///< another repository than the credential is for
  upstream_request_invalid = 157,  ///< not one of the requests that may be made there

  // Capabilities.
  capability_invalid = 160,  ///< not ours, changed, or says something impossible
  capability_expired = 161,  ///< past its life
  capability_revoked = 162,  ///< made before everything of its owner was revoked
  container_mismatch = 163,  ///< made for another container

  // Messages of a session.
  turn_invalid = 170,  ///< no text, too long, or not UTF-8
  mode_invalid = 171,  ///< not a mode that there is
  model_invalid = 172,  ///< not a model that there is
  credential_invalid = 173,  ///< the credential has a form that none has
  queue_full = 174,  ///< as many messages wait as may
  message_conflict = 175,  ///< that id belongs to a message that says something else
  message_ended = 176,  ///< that message is done or has failed; a new one needs a new id

  // Runs.
  run_unknown = 180,  ///< there is no such run, or none any more
  run_foreign = 181,  ///< somebody else's run
  run_active = 182,  ///< a run of this thread is under way
  run_ended = 183,  ///< its log has ended: nothing is written after that
  run_forgotten = 184,  ///< what was asked for under this key has run and been removed
  run_full = 185,  ///< its log holds as many events as it may
  event_too_large = 186,  ///< an event larger than a log takes
  event_conflict = 187,  ///< that key belongs to an event that says something else
  event_out_of_order = 188,  ///< another event is the last one than its writer says
  device_mismatch = 189,  ///< the run of another device, or of none
};

/// What a URL, a page or a caller outside may ever see.
enum class PublicCode : std::uint8_t {
  none = 0,
  access_denied = 1,
  invalid_state = 2,
  expired_state = 3,
  used_state = 4,
  other_browser = 5,
  other_account = 6,
  provider_error = 7,
  exchange_failed = 8,
  already_connected = 9,
  not_allowed = 10,
  temporarily_unavailable = 11,
  misconfigured = 12,
};

/// Returns the name of a code as JavaScript sees it; empty for a number that is no code.
[[nodiscard]] std::string_view to_string(Errc code) noexcept;
[[nodiscard]] std::string_view to_string(PublicCode code) noexcept;

/// Returns the one sentence that explains a code to a developer; empty for a number that is no
/// code.
[[nodiscard]] std::string_view meaning(Errc code) noexcept;

/// Maps a reason to what may be told outside. Total; `ok` alone maps to `none`.
[[nodiscard]] PublicCode public_code(Errc code) noexcept;

/// A value or an error. Never throws, never allocates; reading the value of an error traps.
template <class T> class [[nodiscard]] Result {
  static_assert(std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T>);

public:
  constexpr Result(const T& value) noexcept : value_{value} {}
  constexpr Result(Errc code, std::uint32_t at = 0) noexcept : code_{code}, at_{at} {
    LK_CHECK(code != Errc::ok);
  }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return code_ == Errc::ok; }
  [[nodiscard]] constexpr const T& operator*() const noexcept {
    LK_CHECK(code_ == Errc::ok);
    return value_;
  }
  [[nodiscard]] constexpr const T* operator->() const noexcept { return &**this; }
  [[nodiscard]] constexpr Errc error() const noexcept { return code_; }
  /// Where in the input the error was noticed, for parsers; 0 where a position would say too much.
  [[nodiscard]] constexpr std::uint32_t at() const noexcept { return at_; }

private:
  T value_{};
  Errc code_{Errc::ok};
  std::uint32_t at_{0};
};

/// Success or an error.
template <> class [[nodiscard]] Result<void> {
public:
  constexpr Result() noexcept = default;
  constexpr Result(Errc code, std::uint32_t at = 0) noexcept : code_{code}, at_{at} {
    LK_CHECK(code != Errc::ok);
  }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return code_ == Errc::ok; }
  [[nodiscard]] constexpr Errc error() const noexcept { return code_; }
  [[nodiscard]] constexpr std::uint32_t at() const noexcept { return at_; }

private:
  Errc code_{Errc::ok};
  std::uint32_t at_{0};
};

}  // namespace latchkey
