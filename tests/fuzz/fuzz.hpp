/// What the fuzz targets share: taking one input apart, and a ring to sign with.
#pragma once

#include "latchkey/keys.hpp"
#include "latchkey/text.hpp"
#include "latchkey/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace latchkey::fuzz {

using Octets = std::vector<std::uint8_t>;

/// Reads an input from its start; beyond the end there are zeros and empty texts.
class Input {
public:
  Input(const std::uint8_t* data, std::size_t size) : rest_{data, size} {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t out = rest_.front();
    rest_ = rest_.subspan(1);
    return out;
  }
  std::uint32_t number(int bytes) {
    std::uint32_t out = 0;
    for (int i = 0; i < bytes; ++i) out = out << 8 | byte();
    return out;
  }
  /// Up to the next `|`, in memory of exactly its size.
  Octets text() {
    std::size_t size = 0;
    while (size < rest_.size() && rest_[size] != '|') ++size;
    Octets out(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(size));
    rest_ = rest_.subspan(size < rest_.size() ? size + 1 : size);
    return out;
  }
  Octets rest() {
    Octets out(rest_.begin(), rest_.end());
    rest_ = {};
    return out;
  }

private:
  Bytes rest_;
};

/// Two keys, always the same.
inline keys::Ring ring() {
  static const auto keys = [] {
    std::array<keys::Key, 2> out;
    const std::string text = "k1:" + std::string(64, '1') + ",k2:" + std::string(64, '2');
    const auto count = keys::parse(text, out);
    LK_CHECK(count && *count == out.size());
    return out;
  }();
  return keys;
}

inline keys::PublicKeys public_keys() {
  static const auto keys = [] {
    Octets space(2'048);
    Writer json{space};
    keys::put_jwks(ring(), json);
    std::array<keys::PublicKey, 2> out;
    const auto count = keys::parse_jwks(MutBytes{space}.first(json.size()), out);
    LK_CHECK(count && *count == out.size());
    return out;
  }();
  return keys;
}

inline std::string base64url(Bytes bytes) {
  Octets space(text::base64url_size(bytes.size()));
  Writer out{space};
  text::base64url_put(out, bytes);
  LK_CHECK(!out.overflow());
  return {out.written().begin(), out.written().end()};
}

/// A token with any header and any payload that the first key has signed with HS256.
inline std::string signed_token(const crypto::MacKey& key, Bytes header, Bytes payload) {
  const std::string input = base64url(header) + "." + base64url(payload);
  return input + "." + base64url(crypto::mac(key, bytes_of(input)));
}

/// True when `part` lies inside `whole`.
inline bool is_inside(std::string_view part, Bytes whole) {
  const auto* begin = reinterpret_cast<const char*>(whole.data());
  return part.empty() ||
         (part.data() >= begin && part.size() <= whole.size() &&
          static_cast<std::size_t>(part.data() - begin) <= whole.size() - part.size());
}

}  // namespace latchkey::fuzz
