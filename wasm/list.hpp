/// Lists of texts on their way in and out.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::abi {

// Lists cross as u16 count, then u16 length and bytes for each.
class ListReader {
public:
  explicit ListReader(Bytes bytes) noexcept : rest_{bytes} {}

  [[nodiscard]] std::uint16_t count() noexcept { return u16(); }
  [[nodiscard]] std::string_view text() noexcept {
    const std::uint16_t len = u16();
    if (len > rest_.size()) {
      good_ = false;
      return {};
    }
    const auto out = text_of(rest_.first(len));
    rest_ = rest_.subspan(len);
    return out;
  }
  [[nodiscard]] bool finished() const noexcept { return good_ && rest_.empty(); }

private:
  std::uint16_t u16() noexcept {
    if (rest_.size() < 2) {
      good_ = false;
      rest_ = {};
      return 0;
    }
    const auto out = static_cast<std::uint16_t>(rest_[0] | rest_[1] << 8);
    rest_ = rest_.subspan(2);
    return out;
  }

  Bytes rest_;
  bool good_{true};
};

inline void put_text(Writer& list, std::string_view text) noexcept {
  LK_CHECK(text.size() <= 0xffff);
  list.put(static_cast<std::uint8_t>(text.size() & 0xff));
  list.put(static_cast<std::uint8_t>(text.size() >> 8));
  list.put(text);
}

}  // namespace latchkey::abi
