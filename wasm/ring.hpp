/// Key rings on their way out.
#pragma once

#include "arena.hpp"

#include "latchkey/keys.hpp"

namespace latchkey::abi {

/// Rings are handed back as bytes, where the next call can take them as keys again.
[[gnu::noinline]] inline Slice put_ring(Writer& out, keys::Ring ring) noexcept {
  const Bytes bytes{reinterpret_cast<const std::uint8_t*>(ring.data()), ring.size_bytes()};
  out.put(bytes);
  return slice_of(out.written().last(out.overflow() ? 0 : bytes.size()));
}

}  // namespace latchkey::abi
