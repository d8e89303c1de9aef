/// What a provider's answer to a refresh means: one of six classes, whatever it is.
///
/// Two mistakes cost a credential: to call a healthy one dead, and to drop a refresh token that
/// nobody will ever give again. So only known words in a readable answer are terminal, and an
/// answer with a token in it is either understood or kept.
#pragma once

#include "latchkey/tokens.hpp"
#include "latchkey/traits.hpp"

namespace latchkey::refresh {

/// Longer waits are taken to mean this long; the policy has its own limit.
inline constexpr Millis max_retry_after = seconds(366LL * 24 * 3600);

struct Header {
  std::string_view name;  ///< in any case
  std::string_view value;
};

/// What came back over HTTP.
struct TokenAnswer {
  std::uint16_t status{0};
  std::span<const Header> headers;
  MutBytes body;  ///< overwritten; more than 64,000 bytes are unreadable
};

/// Why nothing came back.
enum class Absence : std::uint8_t {
  not_sent = 1,  ///< no connection: the request has not left
  reset = 2,
  time_out = 3,
};

struct Classified {
  Reply reply{};
  tokens::Pair tokens{};  ///< with `ok`; views into the body
  std::string_view code{};  ///< the error that was recognised: a literal of ours, or empty
  UnixMillis retry_at{0};  ///< with `reply.retry_after`
  bool introspectable{false};  ///< `introspection::settles` it
};

/// Classifies an answer. Total.
///
/// In this order:
///
///     status      body                                          class            doubt
///     2xx         tokens, whole, no error, no second refresh    ok               none
///                 token
///     any         a refresh token, or an access token where     not_understood   answered; none
///                 tokens stand                                                   with 4xx and no
///                                                               access token
///     429; 403 with rate headers; 503 with Retry-After          rate_limited     none
///     5xx         -                                             transient        answered; none
///                                                               where it is known to be unspent
///     3xx, 408    -                                             transient        none
///     below 200, above 599                                      not_understood   answered
///     2xx, 4xx    an error that is known                        its class        none; answered
///                                                               with transient
///     401, 404, 405, 415, nothing readable in `error`           operator_error   none
///     4xx         anything else                                 not_understood   none
///     2xx         anything else                                 not_understood   answered
///
/// A 5xx is unspent where the facts say so, and with the statuses 521, 523, 525, 526 and 530, with
/// which Cloudflare answers for a server that it has not reached.
///
/// A refresh token counts wherever it stands in a readable body, and in an unreadable one where its
/// name is followed by a value. Rate headers are `Retry-After`, and a remaining quota of 0 in
/// `RateLimit-Remaining`, `X-RateLimit-Remaining`, `X-Rate-Limit-Remaining`; when to come again is
/// `Retry-After` (seconds or an HTTP date), else the `-Reset` of the same three (seconds, or the
/// moment). A moment is compared with the answer's own `Date`, where there is one: clocks differ.
///
/// Errors are RFC 6749's and those of the profile's dialect; `invalid_grant` is terminal
/// everywhere.
///
/// @param now    when the answer arrived.
/// @param facts  of the profile, or as configured.
/// @param sent   the refresh token that was sent; empty when it does not matter.
/// @see   RFC 6749 sections 5.1, 5.2 and 6; RFC 9110 sections 10.2.3 and 5.6.7
[[nodiscard]] Classified classify(const TokenAnswer& answer, UnixMillis now,
                                  const profile::Profile& profile, const Facts& facts,
                                  std::string_view sent) noexcept;

/// Without an answer: transient, with no doubt where nothing was sent.
[[nodiscard]] Classified classify(Absence absence) noexcept;

}  // namespace latchkey::refresh
