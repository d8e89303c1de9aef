/// What to do with the browser that came back from the authorization server.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::callback {

inline constexpr std::size_t max_params = 32;
inline constexpr std::size_t max_name = 64;
inline constexpr std::size_t max_value = 4096;
inline constexpr std::size_t max_code = 2048;

/// How long a used nonce is kept beyond the state's end: the skew between machines and a margin.
inline constexpr Millis consume_margin = seconds(60 + 5);

struct Param {
  std::string_view name;
  std::string_view value;
};

/// `subject`, `return_to`, `nonce` and `expires_at` are those of the verified state; they are read
/// only when `state_error` is ok. `return_to` may be empty.
struct Input {
  std::span<const Param> params;  ///< of query or form, decoded, in order, duplicates included
  Errc state_error{Errc::ok};  ///< why the state was refused
  std::string_view subject;
  std::string_view return_to;
  std::string_view nonce;
  UnixMillis expires_at;
  std::string_view session_subject;  ///< who is signed in now; empty: nobody
  std::string_view as_issuer;  ///< issuer identifier of the authorization server; empty: not known
  bool iss_required{false};  ///< that server always sends `iss`
};

enum class Action : std::uint8_t { exchange = 1, redirect = 2 };

/// A nonce to store until a moment, atomically; go on only if it was not there yet.
struct Consume {
  std::string_view nonce;
  UnixMillis until;
};

/// `code` and `consume` belong to an exchange, `reason` and `public_code` to a redirect. Of the
/// parameters, a plan holds the code alone.
struct Plan {
  Action action{Action::redirect};
  Errc reason{Errc::ok};
  PublicCode public_code{PublicCode::none};
  std::string_view return_to;  ///< empty: none
  std::string_view code;
  Consume consume;
};

/// Decides what follows from a callback. Pure: nothing is used up here, and nothing may be used up
/// unless the action is `exchange`.
///
/// Checks, in this order; from the fourth on a redirect carries the return path:
///
///   | check                                                      | else                        |
///   | ---------------------------------------------------------- | --------------------------- |
///   | at most 32 parameters, names of 64 and values of 4,096     | `callback_malformed`        |
///   | bytes; no name twice                                       |                             |
///   | the state was verified                                     | `state_error`               |
///   | its subject is signed in                                   | `subject_mismatch`          |
///   | `iss` is there if required, and `as_issuer` if both known  | `issuer_mismatch`           |
///   | not both `error` and `code`                                | `callback_malformed`        |
///   | no `error`                                                 | see below                   |
///   | `code` is 1..2,048 of `A-Z a-z 0-9 . _ ~ + / -`            | `code_invalid`              |
///
/// An `error` of `access_denied` is that reason; one about the client's registration is
/// `provider_refused_client`; any other is `provider_error`. `error_description` and `error_uri`
/// are never looked at.
///
/// @return the plan, with views into `input`; the reasons above are all there are.
/// @see   RFC 6749 section 4.1.2, RFC 9207 section 2.4, RFC 9700 section 4.4
[[nodiscard]] Plan plan(const Input& input) noexcept;

}  // namespace latchkey::callback
