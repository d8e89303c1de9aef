#include "support.hpp"

#include "latchkey/rate.hpp"

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <map>
#include <set>

using namespace latchkey;
using namespace latchkey::retention;
using latchkey::test::Random;

namespace {

constexpr UnixMillis t0{1'790'000'000'000};
constexpr UnixMillis at(std::int64_t offset) { return {t0.value + offset}; }

std::string name_of(std::initializer_list<std::string_view> parts) {
  return std::string{fingerprint({parts.begin(), parts.size()}).view()};
}

std::string bucket_of(std::string_view address) { return std::string{bucket(address).view()}; }

}  // namespace

TEST_CASE("T69 dedupe: the same fault each second for an hour is reported once a minute") {
  std::optional<UnixMillis> forwarded;
  int forwards = 0;
  for (int second = 0; second < 3'600; ++second) {
    const auto seen =
        dedupe(forwarded, forwarded ? 1 : 0, at(second * 1'000), dedupe_window, max_faults);
    if (!seen.forward) continue;
    forwarded = at(second * 1'000);
    ++forwards;
  }
  CHECK(forwards >= 59);
  CHECK(forwards <= 60);
  CHECK_FALSE(dedupe(t0, 1, at(59'999), dedupe_window, max_faults).forward);
  CHECK(dedupe(t0, 1, at(60'000), dedupe_window, max_faults).reason == Seen::window_over);
  CHECK(dedupe(t0, 1, at(-1), dedupe_window, max_faults).reason == Seen::clock_moved);
}

TEST_CASE("T69 dedupe: another message from the same place is another fault") {
  const auto base = name_of({"job failed", "TypeError", "x is undefined", "at run (a.js:1)"});
  CHECK(base.size() == 32);
  CHECK(base == name_of({"job failed", "TypeError", "x is undefined", "at run (a.js:1)"}));
  std::set<std::string> names{base};
  for (const auto& other :
       {name_of({"job failed", "TypeError", "y is undefined", "at run (a.js:1)"}),
        name_of({"job failedTypeError", "", "x is undefined", "at run (a.js:1)"}),
        name_of({"job failed", "TypeErrorx", " is undefined", "at run (a.js:1)"}),
        name_of({"job failed", "TypeError", "x is undefined"}),
        name_of({"job failed", "TypeError", "x is undefined", "at run (a.js:1)", ""}), name_of({}),
        name_of({""})}) {
    CHECK(names.insert(other).second);
  }
}

TEST_CASE("T69 dedupe: no more than a thousand faults are remembered, the oldest insertion goes") {
  std::map<std::string, UnixMillis> stored;
  std::deque<std::string> order;
  for (int i = 0; i < 5'000; ++i) {
    const std::string fault = "fault " + std::to_string(i);
    const auto seen =
        dedupe({}, static_cast<std::uint32_t>(stored.size()), at(i), dedupe_window, max_faults);
    REQUIRE(seen.forward);
    for (auto left = seen.evict; left > 0; --left) {
      stored.erase(order.front());
      order.pop_front();
    }
    stored[fault] = at(i);
    order.push_back(fault);
    REQUIRE(stored.size() <= max_faults);
  }
  CHECK(stored.size() == max_faults);
  CHECK_FALSE(stored.contains("fault 3999"));
  CHECK(stored.contains("fault 4000"));
  CHECK(dedupe({}, 2'000, t0, dedupe_window, 1'000).evict == 1'001);
  CHECK(dedupe({}, 0, t0, dedupe_window, 0).evict == 0);
}

TEST_CASE("T71 rate limit: what is no work costs nothing, and a window begins again exactly at its "
          "end") {
  RateWindow window;
  for (std::uint32_t i = 0; i < 5; ++i) {
    const auto rate = rate_limit(window, true, {}, at(i));
    REQUIRE(rate.allow);
    CHECK(rate.reason == (i == 0 ? Rated::new_window : Rated::within_limit));
    window = rate.window;
    // The same request again finds its work under way.
    for (int again = 0; again < 10; ++again) {
      const auto free = rate_limit(window, false, {}, at(i));
      CHECK(free.allow);
      CHECK(free.reason == Rated::not_charged);
      CHECK(free.window.count == window.count);
      CHECK(free.window.started_at == window.started_at);
    }
  }
  CHECK(window.count == 5);
  const auto full = rate_limit(window, true, {}, at(10));
  CHECK_FALSE(full.allow);
  CHECK(full.reason == Rated::limited);
  CHECK(full.retry_after.value == 900'000 - 10);
  CHECK(rate_limit(window, false, {}, at(10)).allow);
  CHECK(rate_limit(window, true, {}, at(899'999)).retry_after.value == 1);
  const auto next = rate_limit(window, true, {}, at(900'000));
  CHECK(next.allow);
  CHECK(next.reason == Rated::new_window);
  CHECK(next.window.count == 1);
  CHECK(next.window.started_at == at(900'000));
  // A clock set back a day does not lock anybody out for a day, nor does it empty a window.
  const auto back = rate_limit(window, true, {}, at(-86'400'000));
  CHECK_FALSE(back.allow);
  CHECK(back.retry_after.value == 900'000);
  CHECK(back.window.started_at == at(-86'400'000));
  CHECK(back.window.count == 5);
  CHECK_FALSE(rate_limit({}, true, {0, seconds(900)}, t0).allow);
}

TEST_CASE("T71 rate limit: a million random requests against a list of all of them") {
  Random random{71};
  RateWindow window;
  const RateRules rules{3, {100}};
  std::int64_t now = 0;
  std::vector<std::int64_t> charged;
  std::int64_t began = -1;
  std::size_t allowed = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    now += static_cast<std::int64_t>(random.below(40));
    const bool works = random.below(3) != 0;
    const auto rate = rate_limit(window, works, rules, at(now));
    bool want = true;
    if (works) {
      if (began < 0 || now - began >= 100) {
        began = now;
        charged.clear();
      }
      want = charged.size() < 3;
      if (want) charged.push_back(now);
    }
    const bool good = rate.allow == want && (rate.allow == (rate.retry_after.value == 0)) &&
                      (rate.allow || rate.retry_after.value == began + 100 - now);
    if (!good) FAIL("differs from the list");
    window = rate.window;
    allowed += rate.allow ? 1U : 0U;
  }
  CHECK(allowed > 100'000);
  CHECK(allowed < 990'000);
}

TEST_CASE("threat T35 rates: any 64-bit numbers") {
  constexpr std::int64_t edges[] = {INT64_MIN, -1, 0, 1, UnixMillis::max, INT64_MAX};
  for (const auto started : edges) {
    for (const auto now : edges) {
      for (const auto window : edges) {
        for (const std::uint32_t count : {0U, 1U, 5U, UINT32_MAX}) {
          const auto rate = rate_limit({{started}, count}, true, {5, {window}}, {now});
          CHECK(rate.allow == (rate.retry_after.value == 0));
          CHECK(rate.retry_after.value >= 0);
          const auto seen = dedupe(UnixMillis{started}, count, {now}, {window}, count);
          CHECK(seen.evict == 0);
        }
      }
    }
  }
}

TEST_CASE("threat T40 bucket: one name for every spelling of an address") {
  for (const std::string_view same : {"203.0.113.7", "::ffff:203.0.113.7", "::FFFF:cb00:7107",
                                      "0:0:0:0:0:ffff:203.0.113.7", "::ffff:cb00:7107"}) {
    CHECK(bucket_of(same) == "203.0.113.7");
  }
  for (const std::string_view same :
       {"2001:db8::1", "2001:DB8:0:0::ffff", "2001:0db8:0000:0000:0:0:0:2",
        "2001:db8::", "2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::1.2.3.4"}) {
    CHECK(bucket_of(same) == "20010db800000000/64");
  }
  CHECK(bucket_of("2001:db8:0:1::1") == "20010db800000001/64");
  CHECK(bucket_of("::1") == "0000000000000000/64");
  CHECK(bucket_of("0.0.0.0") == "0.0.0.0");
  CHECK(bucket_of("255.255.255.255") == "255.255.255.255");
  CHECK(bucket_of("9.10.99.100") == "9.10.99.100");
  for (const std::string_view none :
       {"", " ", "localhost", "203.0.113", "203.0.113.07", "203.0.113.256", "0xcb007107",
        "2001:db8::1%eth0", "[2001:db8::1]", "203.0.113.7:80", "::1::", "unknown"}) {
    CHECK(bucket_of(none) == "anonymous");
  }
}
