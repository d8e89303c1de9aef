/// Absolute http(s) URLs, read strictly: what is not plainly one is refused, nothing is repaired.
#pragma once

#include "latchkey/types.hpp"

#include <array>

namespace latchkey::url {

inline constexpr std::size_t max_url = 2048;

struct Url {
  bool https{false};
  std::string_view host;  ///< lower case, without brackets or port
  std::uint16_t port{0};  ///< as written, or 443 / 80
  std::string_view origin;  ///< scheme, host and port exactly as written, no trailing slash
  std::string_view path;  ///< from the first `/`, query included; empty when there is none
  bool has_query{false};
};

/// Reads an absolute `http://` or `https://` URL.
///
/// Checks, in this order: at most 2,048 visible ASCII characters without backslash and fragment;
/// scheme, in lower case; host and port. A host is 1..253 lower-case letters, digits, `-` and `.`
/// in labels of 1..63, or an IPv6 address in brackets. A host whose last label is a number, decimal
/// or `0x`, must be an IPv4 address of four plain decimal octets: any other spelling would be
/// rewritten by whoever fetches it. Ports are 1..65535 without leading zero. User info is refused;
/// so is a query that no path precedes.
///
/// @return the parts as views into `text`, or `config_invalid` with the position of the part.
/// @see   RFC 3986 section 3.2, https://url.spec.whatwg.org/#concept-host-parser
[[nodiscard]] Result<Url> parse(std::string_view text) noexcept;

/// True for names and addresses that reach this machine only: `localhost`, 127.0.0.0/8, `::1`,
/// `::ffff:127.0.0.0/104`; any case, IPv6 with or without brackets, port 1..65535 or none. Octets
/// are 0..255 in plain decimal; a trailing dot is refused.
///
/// @param host  as in a Host header or in `Url::host`.
/// @see   RFC 6761 section 6.3, RFC 1122 section 3.2.1.3, RFC 4291 section 2.5
[[nodiscard]] bool is_loopback_host(std::string_view host) noexcept;

/// The eight groups of an IPv6 address; an IPv4 address is mapped.
using Address = std::array<std::uint16_t, 8>;

/// Reads an IP address: four plain decimal octets, or any text form of IPv6 without zone.
///
/// @return the address, or `claim_invalid`.
/// @see   RFC 4291 sections 2.2 and 2.5.5.2
[[nodiscard]] Result<Address> parse_address(std::string_view text) noexcept;

}  // namespace latchkey::url
