/// Which requests may come in to a local-only route, and which may go out with a secret.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::guard {

inline constexpr std::uint32_t max_hops = 5;

/// The one media type that a route takes.
enum class MediaType : std::uint8_t { json = 1, form = 2 };

/// What a request says about itself. A header that was not sent is empty.
struct RequestFacts {
  std::string_view method;
  std::string_view host;  ///< as received
  std::string_view origin;  ///< as received
  std::string_view sec_fetch_site;  ///< as received
  std::string_view content_type;  ///< as received
  std::string_view own_origin;  ///< from configuration, never from the request
  MediaType media_type{MediaType::json};
  bool proxied{false};  ///< any of forwarded, x-forwarded-for, -host, -proto, x-real-ip is present
  bool open{false};  ///< the route serves everybody, not only this machine
};

struct Verdict {
  bool ok{false};
  std::uint16_t status{0};  ///< HTTP status of the refusal; 0 when ok
  Errc code{Errc::ok};
};

/// Decides whether a local-only route, or a form that is open to everybody, may serve a request.
///
/// Checks, in this order; the last two are for methods other than GET, HEAD and OPTIONS only:
///
///   | the request has                                        | else                        |
///   | ------------------------------------------------------ | --------------------------- |
///   | a Host that is a loopback name                         | 403, `host_refused`         |
///   | no proxy header                                        | 403, `proxied_refused`      |
///   | Sec-Fetch-Site `same-origin` or `none`, or the own     | 403, `origin_refused`       |
///   | Origin; where both are sent, both                      |                             |
///   | the route's media type, parameters aside               | 415, `media_type_refused`   |
///
/// The first two are not asked of a route that is `open`: there the platform has chosen the host,
/// and proxies stand in front.
///
/// An Origin of `null`, which pages without a referrer send with their own forms, says nothing.
/// Host comes first and for every method: DNS rebinding makes reads dangerous too. Methods and
/// header values are compared exactly, the media type without regard to ASCII case (RFC 9110
/// section 8.3.1).
///
/// @see   RFC 9110 sections 7.2 and 9.2.1, https://w3c.github.io/webappsec-fetch-metadata/
[[nodiscard]] Verdict request(const RequestFacts& facts) noexcept;

/// Decides whether a request with a secret may go to a URL.
///
/// It may when the URL is https, or http to a loopback host while `dev`; and, after a redirect,
/// when it also has scheme, host and port of `from` and is at most the fifth hop.
///
/// @param url   absolute, as `url::parse` reads it.
/// @param from  where the request went before; empty for the first one.
/// @param hop   redirects followed, this one included; 0 for the first request.
/// @param dev   local development.
/// @see   RFC 9110 section 15.4, RFC 9700 section 4.12
[[nodiscard]] bool outbound(std::string_view url, std::string_view from, std::uint32_t hop,
                            bool dev) noexcept;

inline constexpr std::size_t max_name = 100;

/// True for a name that can stand in a path, a label or a storage key: 1..100 characters of
/// `A-Z a-z 0-9 . _ -`, without `..` and not `.` alone. Time stamps with a dot are names.
[[nodiscard]] bool is_name(std::string_view text) noexcept;

inline constexpr std::size_t max_key_parts = 16;

/// Writes a storage key for a list of texts: the first 32 hexadecimal digits of a chain of SHA-256,
/// which begins with that of `latchkey/key/1` and takes for each part the hash of the link before
/// and the part's own hash. Every link has one size, so no part can reach into the next. A
/// credential among the parts cannot be read back.
void put_key(Writer& out, std::span<const std::string_view> parts) noexcept;

}  // namespace latchkey::guard
