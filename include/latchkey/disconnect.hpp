/// What becomes of a connection when a person disconnects it.
///
/// Strict: a credential that may still be alive at the provider is not deleted here, because then
/// nobody could revoke it any more.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::disconnect {

enum class Kind : std::uint8_t {
  unsupported = 1,  ///< the provider has no revocation endpoint
  status = 2,  ///< it answered
  unreachable = 3,  ///< it did not answer in time
};

/// What the answer's body said about the token.
enum class Said : std::uint8_t {
  nothing = 0,  ///< no body, or nothing in it that is known
  gone = 1,  ///< the provider does not know the token, or no longer
  failed = 2,  ///< the provider did not do it, whatever the status says
};

/// How the revocation went, as the glue saw it.
struct Answer {
  Kind kind{Kind::unreachable};
  std::uint16_t status{0};
  Said said{Said::nothing};
};

enum class Reason : std::uint8_t { none = 0, unsupported = 1, refused = 2, unreachable = 3 };

struct Outcome {
  bool revoked{false};  ///< the token no longer works at the provider
  bool deleted{false};  ///< the connection is to be deleted here
  Reason reason{Reason::none};

  friend constexpr bool operator==(const Outcome&, const Outcome&) noexcept = default;
};

/// Reads a revocation endpoint's answer.
///
/// A person who disconnects must not be stuck with a credential that the provider has already
/// forgotten. RFC 7009 section 2.2 answers 200 for an unknown token, but some answer 400
/// `invalid_token`: that is `gone`. A 401 with the same word is not: it can be about an access
/// token that has merely expired while its refresh token lives. A body with `ok: false` is
/// `failed`, except where its error says that the token was revoked or its account deleted.
///
/// @param status        of the HTTP answer.
/// @param content_type  as received; may be empty.
/// @param body          at most 64,000 bytes; overwritten. What cannot be read says nothing.
[[nodiscard]] Answer read(std::uint16_t status, std::string_view content_type,
                          MutBytes body) noexcept;

/// Decides, in this order:
///
///     answer                        revoked  deleted  reason
///     unsupported                   no       yes      unsupported
///     unreachable                   no       no       unreachable
///     < 200, 3xx, 429, >= 500       no       no       unreachable
///     2xx or 4xx, said gone         yes      yes      none
///     2xx or 4xx, said failed       no       no       refused
///     2xx, 404                      yes      yes      none
///     every other 4xx               no       no       refused
[[nodiscard]] Outcome decide(const Answer& answer) noexcept;

}  // namespace latchkey::disconnect
