// Which owners are read, and in which order.
#include "latchkey/policy.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <set>
#include <string_view>

using namespace latchkey;
using namespace latchkey::scope;

TEST_CASE("T21 policy: an order is of known scopes, none twice, and ends once") {
  std::size_t orders = 0;
  for (int world = 0; world < 8 * 8 * 8 * 8; ++world) {
    std::array<Scope, 4> order{};
    std::set<int> seen;
    bool wanted = true;
    bool ended = false;
    int rest = world;
    for (Scope& scope : order) {
      // 7 stands for a number that no scope has.
      const int number = rest % 8;
      rest /= 8;
      scope = static_cast<Scope>(number == 7 ? 200 : number);
      if (number == 0) {
        ended = true;
      } else {
        wanted = wanted && !ended && number <= 5 && number != 4 && seen.insert(number).second;
      }
    }
    if (is_order(order) != wanted) {
      CAPTURE(world);
      CHECK(is_order(order) == wanted);
    }
    orders += wanted ? 1 : 0;
  }
  // 4! + 4!/1! + 4!/2! + 4 + 1: every choice of some of the four.
  CHECK(orders == 24 + 24 + 12 + 4 + 1);
  CHECK(is_order(Policy{}.order));
}

TEST_CASE("policy: names") {
  constexpr std::string_view names[] = {"user", "org", "workspace", "solo", "deployment"};
  for (int number = 1; number <= 5; ++number) {
    CHECK(to_string(static_cast<Scope>(number)) == names[number - 1]);
  }
}
