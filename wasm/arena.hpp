/// The one mutable global of a module, and the only way in and out of it.
#pragma once

#include "abi.hpp"

#include "latchkey/types.hpp"

#include <algorithm>
#include <cstring>

#define LK_EXPORT(name)                                                                            \
  extern "C" __attribute__((export_name(#name), visibility("default"))) std::int32_t name

namespace latchkey::abi {

alignas(8) inline constinit std::uint8_t arena[arena_size]{};

[[nodiscard]] inline bool is_inside(std::uint32_t at, std::uint32_t len) noexcept {
  return at <= arena_size && len <= arena_size - at;
}

/// Bytes that a caller passed; absent ones are empty. Anything outside the arena makes `good`
/// false.
class Inputs {
public:
  [[nodiscard]] [[gnu::noinline]] MutBytes bytes(std::uint32_t at, std::uint32_t len) noexcept {
    if (at == 0) return {};
    if (at < data_at || !is_inside(at, len)) {
      good_ = false;
      return {};
    }
    end_ = std::max(end_, at + len);
    return {arena + at, len};
  }
  [[nodiscard]] MutBytes bytes(Slice slice) noexcept { return bytes(slice.at, slice.len); }
  [[nodiscard]] std::string_view text(std::uint32_t at, std::uint32_t len) noexcept {
    return text_of(bytes(at, len));
  }
  [[nodiscard]] std::string_view text(Slice slice) noexcept { return text(slice.at, slice.len); }

  /// Keys as `keys::parse` or `keys::parse_jwks` left them.
  template <class Key> [[nodiscard]] std::span<const Key> keys(Slice slice) noexcept {
    const MutBytes raw = bytes(slice);
    if (raw.size() % sizeof(Key) != 0 || slice.at % alignof(Key) != 0) {
      good_ = false;
      return {};
    }
    return {reinterpret_cast<const Key*>(raw.data()), raw.size() / sizeof(Key)};
  }

  /// The rest of the arena behind every input read so far, from the next multiple of eight on.
  [[nodiscard]] [[gnu::noinline]] MutBytes free_from(std::uint32_t at) noexcept {
    if (at < data_at || at < end_ || at > arena_size - 8) {
      good_ = false;
      return {};
    }
    const std::uint32_t begin = (at + 7U) & ~7U;
    return {arena + begin, arena_size - begin};
  }
  [[nodiscard]] bool good() const noexcept { return good_; }

private:
  std::uint32_t end_{0};
  bool good_{true};
};

template <class T> [[nodiscard]] T request() noexcept {
  T out;
  std::memcpy(&out, arena + request_at, sizeof out);
  return out;
}

template <class T> void reply(const T& value) noexcept {
  std::memcpy(arena + reply_at, &value, sizeof value);
}

[[nodiscard]] inline std::uint32_t offset_of(const void* place) noexcept {
  return static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(place) - arena);
}
[[nodiscard]] [[gnu::noinline]] inline Slice slice_of(Bytes bytes) noexcept {
  if (bytes.empty()) return {0, 0};
  return {offset_of(bytes.data()), static_cast<std::uint32_t>(bytes.size())};
}
[[nodiscard]] inline Slice slice_of(std::string_view text) noexcept {
  return slice_of(bytes_of(text));
}
/// Up to where the arena was used when `bytes` were the last thing written.
[[nodiscard]] inline std::uint32_t end_of(Bytes bytes) noexcept {
  return offset_of(bytes.data()) + static_cast<std::uint32_t>(bytes.size());
}

[[nodiscard]] [[gnu::noinline]] inline Errc fail(Errc code, std::uint32_t at = 0) noexcept {
  reply(ReplyHead{arena_size, at});
  return code;
}

[[nodiscard]] [[gnu::noinline]] inline Errc reply_bytes(Bytes bytes, std::uint32_t used) noexcept {
  reply(BytesReply{{used, 0}, slice_of(bytes)});
  return Errc::ok;
}

/// Overwrites the stack that a finished operation has used, so that no secret outlives its call.
template <std::size_t Depth> [[gnu::noinline]] void wipe_stack() noexcept {
  std::uint8_t area[Depth];
  std::memset(area, 0, sizeof area);
  asm volatile("" : : "r"(area) : "memory");
}

template <class Operation>
[[gnu::noinline]] Errc run_apart(const Operation& operation) noexcept {
  return operation();
}

/// Runs one operation in a frame of its own and wipes that frame and everything below it.
template <std::size_t Depth, class Operation>
std::int32_t call(const Operation& operation) noexcept {
  const Errc code = run_apart(operation);
  wipe_stack<Depth>();
  return static_cast<std::int32_t>(code);
}

}  // namespace latchkey::abi
