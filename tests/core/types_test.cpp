#include "latchkey/types.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>

using namespace latchkey;
using namespace latchkey::test;

TEST_CASE("T05 types: a moment is a whole number of milliseconds in 0..8.64e15") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const double last = 8.64e15;
  const struct {
    double ms;
    bool good;
  } rows[] = {
      {0, true},
      {-0.0, true},
      {1, true},
      {1'700'000'000'123, true},
      {last, true},
      {std::nextafter(last, 0), true},
      {std::nextafter(last, infinity), false},
      {last + 1, false},
      {-1, false},
      {-0.5, false},
      {0.5, false},
      {1'700'000'000'123.25, false},
      {std::numeric_limits<double>::denorm_min(), false},
      {std::numeric_limits<double>::min(), false},
      {std::numeric_limits<double>::max(), false},
      {-std::numeric_limits<double>::max(), false},
      {9.3e18, false},
      {1.9e19, false},
      {nan, false},
      {-nan, false},
      {infinity, false},
      {-infinity, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.ms);
    const auto moment = UnixMillis::from_f64(row.ms);
    CHECK(name(moment) == (row.good ? "ok" : "time_invalid"));
    if (moment) CHECK(static_cast<double>(moment->value) == row.ms);
  }
}

TEST_CASE("types: seconds are rounded down, and sums stay within the range") {
  STATIC_REQUIRE(UnixMillis{999}.to_seconds() == 0);
  STATIC_REQUIRE(UnixMillis{1'000}.to_seconds() == 1);
  STATIC_REQUIRE(UnixMillis{1'999}.to_seconds() == 1);
  STATIC_REQUIRE(UnixMillis::from_seconds(2).value == 2'000);
  STATIC_REQUIRE(seconds(600).value == 600'000);
  STATIC_REQUIRE(UnixMillis{5}.plus({7}).value == 12);
  STATIC_REQUIRE(UnixMillis{5}.plus({-5}).value == 0);
  STATIC_REQUIRE(UnixMillis{5}.plus({-6}).value == 0);
  STATIC_REQUIRE(UnixMillis{UnixMillis::max}.plus({0}).value == UnixMillis::max);
  STATIC_REQUIRE(UnixMillis{UnixMillis::max}.plus({1}).value == UnixMillis::max);
  STATIC_REQUIRE(UnixMillis{UnixMillis::max - 1}.plus({1}).value == UnixMillis::max);
  for (const std::int64_t begin : {std::int64_t{0}, std::int64_t{1}, UnixMillis::max}) {
    CHECK(UnixMillis{begin}.plus({INT64_MAX}).value == UnixMillis::max);
    CHECK(UnixMillis{begin}.plus({INT64_MIN}).value == 0);
  }
}

TEST_CASE("types: a small text holds up to its capacity and traps beyond") {
  SmallText<4> text;
  CHECK(text.empty());
  CHECK(text.view().empty());
  for (const char* value : {"a", "abcd", "", "xy"}) {
    text.assign(value);
    CHECK(text.view() == value);
    CHECK(text.empty() == std::string_view{value}.empty());
  }
  CHECK(traps([&] { text.assign("abcde"); }));
}

TEST_CASE(
    "types: a writer writes whole pieces, remembers what did not fit and never goes outside") {
  Random random{14};
  for (std::size_t room = 0; room <= 20; ++room) {
    Octets space(room);
    Writer out{space};
    Octets want;
    bool overflow = false;
    for (std::uint8_t step = 0; step < 12; ++step) {
      const Octets piece(random.below(5), step);
      const bool fits = piece.size() <= room - want.size();
      overflow = overflow || !fits;
      if (fits) want.insert(want.end(), piece.begin(), piece.end());
      const MutBytes claimed = step % 3 == 0 ? out.claim(piece.size()) : MutBytes{};
      if (step % 3 == 0) CHECK(claimed.size() == (fits ? piece.size() : 0));
      std::fill(claimed.begin(), claimed.end(), step);
      if (step % 3 == 1) out.put(Bytes{piece});
      if (step % 3 == 2) out.put(text_of(piece));
    }
    CHECK(out.overflow() == overflow);
    CHECK(out.size() == want.size());
    CHECK(Octets(out.written().begin(), out.written().end()) == want);
  }
  Writer nowhere{{}};
  nowhere.put(Bytes{});
  CHECK_FALSE(nowhere.overflow());
  nowhere.put(std::uint8_t{1});
  CHECK(nowhere.overflow());
  CHECK(nowhere.written().empty());
  CHECK(nowhere.claim(0).empty());
}

TEST_CASE("types: text and bytes are views of the same memory") {
  const std::string text = "a\0b";
  CHECK(bytes_of(text).size() == text.size());
  CHECK(text_of(bytes_of(text)) == text);
  CHECK(text_of({}).empty());
  CHECK(bytes_of({}).empty());
}
