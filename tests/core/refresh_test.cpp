#include "latchkey/refresh.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

using namespace latchkey;
using namespace latchkey::refresh;
using latchkey::test::name;

namespace {

constexpr UnixMillis start{1'700'000'000'000};
constexpr Policy policy{.jitter{0}};
constexpr Contract contract{.cas = true, .strong_read = true, .max_value = min_value};

Id id_of(std::uint8_t n) {
  Id id;
  id.bytes[15] = n;
  return id;
}

Traits traits_of(Rotation rotation) {
  Traits traits;
  traits.rotation = rotation;
  traits.revocation = Revocation::token;
  traits.grace = seconds(60);
  return traits;
}

/// A live row with so much time left.
Row live(Millis left) {
  Row row;
  row.id = id_of(1);
  row.version = 7;
  row.epoch = 20;
  row.status = Status::live;
  row.has_refresh = true;
  row.login_at = start.plus(seconds(-86'400));
  row.obtained_at = start.plus({left.value - 3'600'000});
  row.access_expires_at = start.plus(left);
  row.refresh_expires_at = never;
  row.absolute_expires_at = never;
  return row;
}

/// The contract of every driver, with a store that answers at once.
struct Driver {
  Row& stored;
  Traits traits;
  Flow flow{};
  Row row{};
  UnixMillis now{start};
  Step turn{};
  std::optional<Effect> answer{};
  std::optional<Effect> question{};
  std::vector<News> news{};
  std::vector<UnixMillis> alarms{};
  unsigned writes{0};
  unsigned sends{0};

  Driver(Row& store, Rotation rotation) : stored{store}, traits{traits_of(rotation)} {}

  void tell(Event event) {
    turn = step(row, flow, event, now, traits, policy);
    flow = turn.flow;
    question.reset();
    for (const Effect& effect : turn.effects) {
      REQUIRE_FALSE(question);
      switch (effect.kind) {
      case EffectKind::serve:
      case EffectKind::refuse:
      case EffectKind::done:
        REQUIRE_FALSE(answer);
        answer = effect;
        break;
      case EffectKind::notify: news.push_back(effect.news); break;
      case EffectKind::arm: alarms.push_back(effect.at); break;
      case EffectKind::persist:
      case EffectKind::wait:
      case EffectKind::send:
      case EffectKind::revoke_at_provider: question = effect; break;
      }
    }
    if (question && question->kind == EffectKind::send) ++sends;
    REQUIRE(question.has_value() == (flow.phase != Phase::ended && flow.phase != Phase::begin));
  }
  Driver& begin(Task task, Event event = {}) {
    event.kind = EventKind::begin;
    event.task = task;
    static std::uint64_t holders = 100;
    if (event.entropy == 0) event.entropy = ++holders;
    row = stored;
    tell(event);
    return *this;
  }
  /// The store swaps, or says what is there.
  Driver& write() {
    REQUIRE(question);
    REQUIRE(question->kind == EffectKind::persist);
    const Condition here{{stored.id, stored.version}, stored.epoch, false};
    Event event;
    if (question->condition == here) {
      stored = turn.row;
      ++writes;
      event.kind = EventKind::stored;
    } else {
      event.kind = EventKind::lost;
    }
    row = stored;
    tell(event);
    return *this;
  }
  Driver& store(EventKind kind) {
    Event event;
    event.kind = kind;
    tell(event);
    return *this;
  }
  Driver& read(Seen seen = Seen::row) {
    REQUIRE(question);
    REQUIRE(question->kind == EffectKind::wait);
    now = UnixMillis{std::max(now.value, question->at.value)};
    row = stored;
    Event event;
    event.kind = EventKind::row_read;
    event.seen = seen;
    tell(event);
    return *this;
  }
  Driver& reply(ReplyClass kind, Doubt doubt = Doubt::none, Tokens tokens = {}) {
    REQUIRE(question);
    REQUIRE(question->kind == EffectKind::send);
    Event event;
    event.kind = EventKind::reply;
    event.reply = {kind, doubt, {0}, tokens};
    tell(event);
    return *this;
  }
  Driver& ok() {
    return reply(ReplyClass::ok, Doubt::none, {.lifetime = seconds(3600), .has_refresh = true});
  }
  Driver& revoked(Revoked how) {
    REQUIRE(question);
    REQUIRE(question->kind == EffectKind::revoke_at_provider);
    Event event;
    event.kind = EventKind::revocation;
    event.revoked = how;
    tell(event);
    return *this;
  }
  [[nodiscard]] bool served(std::uint64_t version, Source source) const {
    return answer && answer->kind == EffectKind::serve && answer->generation.version == version &&
           answer->source == source && answer->at.value > now.value;
  }
  [[nodiscard]] bool refused(Outcome outcome, Cause cause = Cause::none) const {
    return answer && answer->kind == EffectKind::refuse && answer->outcome == outcome &&
           answer->cause == cause;
  }
  [[nodiscard]] bool finished(const Receipt& receipt) const {
    return answer && answer->kind == EffectKind::done && answer->receipt == receipt;
  }
  [[nodiscard]] bool told(News what) const {
    return std::find(news.begin(), news.end(), what) != news.end();
  }
};

Event named(const Row& row) {
  Event event;
  event.generation = {row.id, row.version};
  return event;
}

/// A row whose refresher has crashed: its lease is over at `start`.
Row in_doubt(Millis left) {
  Row row = live(left);
  row.lease = {5, 20, start};
  row.intent.epoch = 20;
  row.intent.version_spent = row.version;
  row.intent.first_at = start.plus(seconds(-15));
  row.intent.deadline = start.plus(seconds(-5));
  row.intent.open = true;
  row.cool_down.sends = 1;
  return row;
}

constexpr Rotation rotations[] = {Rotation::none, Rotation::grace_same, Rotation::grace_new,
                                  Rotation::strict_refused, Rotation::family_revoked};

}  // namespace

TEST_CASE(
    "refresh: a token with exactly the window left is fresh, with a millisecond less it is due") {
  Row row = live(policy.window);
  Driver fresh{row, Rotation::strict_refused};
  fresh.begin(Task::fetch);
  CHECK(fresh.served(7, Source::stored));
  CHECK(fresh.writes == 0);

  row = live({policy.window.value - 1});
  Driver due{row, Rotation::strict_refused};
  due.begin(Task::fetch);
  CHECK(due.served(7, Source::kept));
  REQUIRE(due.question);
  CHECK(due.question->kind == EffectKind::persist);
}

TEST_CASE("refresh: an answer stands for exactly as long as the same question has it") {
  for (const Millis left : {seconds(-1), seconds(1), seconds(299), seconds(300), seconds(301),
                            seconds(1'900), seconds(3'500), seconds(86'400)}) {
    for (const Millis wanted : {Millis{0}, seconds(300), seconds(1'800), seconds(86'400)}) {
      for (Row row : {live(left), in_doubt(left)}) {
        const auto ask = [&](UnixMillis now) {
          Driver driver{row, Rotation::strict_refused};
          driver.now = now;
          Event event;
          event.min_validity = wanted;
          driver.begin(Task::fetch, event);
          return driver;
        };
        const auto is_same = [&](const Driver& driver) {
          return driver.served(7, Source::stored) && !driver.question && driver.alarms.empty() &&
                 driver.news.empty() && driver.answer->at == row.access_expires_at;
        };
        const Driver first = ask(start);
        const UnixMillis until = first.answer ? first.answer->stands_until : UnixMillis{0};
        CHECK((until.value != 0) == is_same(first));
        if (until.value == 0) continue;
        REQUIRE(until.value >= start.value);
        CHECK(until.value < row.access_expires_at.value);
        for (const std::int64_t back : {0LL, 1LL, 1'000LL, 3'600'000LL}) {
          const Driver again = ask(until.plus({-back}));
          CHECK(is_same(again));
          CHECK(again.answer->stands_until == until);
        }
        CHECK_FALSE(is_same(ask(until.plus({1}))));
      }
    }
  }
  Row row = live(seconds(3'500));
  row.access_expires_at = never;
  Driver driver{row, Rotation::none};
  driver.begin(Task::fetch);
  CHECK(driver.answer->stands_until.value > start.plus(seconds(86'400'000)).value);
  // Whoever names a generation is answered about that one.
  Driver rotating{row, Rotation::none};
  rotating.begin(Task::rotate, Event{.generation = {row.id, 3}});
  CHECK(rotating.served(7, Source::stored));
  CHECK(rotating.answer->stands_until.value == 0);
}

TEST_CASE("refresh: the window is at most half of a token's life and differs by connection") {
  Row row = live(seconds(100));
  row.obtained_at = start.plus(seconds(-20));
  CHECK(near_expiry(row, policy) == seconds(60));
  const Policy jittery{};
  std::set<std::int64_t> windows;
  for (unsigned i = 0; i < 200; ++i) {
    row = live(seconds(1000));
    row.id.bytes[0] = static_cast<std::uint8_t>(i * 7);
    row.id.bytes[3] = static_cast<std::uint8_t>(i);
    const Millis window = near_expiry(row, jittery);
    CHECK(window.value <= jittery.window.value);
    CHECK(window.value >= jittery.window.value - jittery.jitter.value);
    windows.insert(window.value);
  }
  CHECK(windows.size() > 100);
}

TEST_CASE("T39 refresh: two writes and one request make a new generation; waiters get it") {
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  Driver b{row, Rotation::strict_refused};
  Driver c{row, Rotation::strict_refused};
  a.begin(Task::fetch);
  b.begin(Task::fetch);
  a.write();
  REQUIRE(a.sends == 1);
  CHECK(a.question->at == start.plus(policy.time_out));
  CHECK(a.question->at.value < row.lease.deadline.value);
  CHECK_FALSE(a.question->probe);
  b.write();  // loses
  c.begin(Task::fetch);
  REQUIRE(b.question->kind == EffectKind::wait);
  REQUIRE(c.question->kind == EffectKind::wait);
  a.ok().write();
  CHECK(a.served(8, Source::refreshed));
  CHECK(b.read().served(8, Source::joined));
  CHECK(c.read().served(8, Source::joined));
  CHECK(a.writes == 2);
  CHECK(b.sends + c.sends == 0);
  CHECK(row.epoch == 22);
  CHECK(row.lease == Lease{});
  CHECK(row.intent == Intent{});
}

TEST_CASE("T40 refresh: a winner that is itself due is refreshed, not served") {
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::fetch);
  row = live({1});
  row.version = 8;
  row.epoch = 30;
  a.now = a.now.plus({1});
  a.write();
  CHECK_FALSE(a.answer);
  REQUIRE(a.question->kind == EffectKind::persist);
  CHECK(a.question->condition.generation.version == 8);

  for (const Status status : {Status::reconnect_required, Status::revoked}) {
    row = live({-1});
    Driver b{row, Rotation::strict_refused};
    b.begin(Task::fetch);
    row.epoch = 31;
    row.status = status;
    row.cause = status == Status::revoked ? Cause::revoked_by_provider : Cause::refused;
    if (status == Status::revoked) row.has_refresh = false;
    b.write();
    REQUIRE(b.answer);
    CHECK(b.answer->kind == EffectKind::refuse);
  }
}

TEST_CASE("T41 refresh: a lost race is seen by the version, not by the expiry") {
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::fetch);
  const UnixMillis same = row.access_expires_at;
  ++row.version;
  ++row.epoch;
  row.access_expires_at = same;
  a.write();
  CHECK(a.writes == 0);
  CHECK(a.sends == 0);
}

TEST_CASE("T42 refresh: in doubt, by what a replay does") {
  for (const Rotation rotation : rotations) {
    Row row = in_doubt({-1});
    Driver a{row, rotation};
    a.begin(Task::fetch).write();
    if (rotation == Rotation::family_revoked) {
      CHECK(a.sends == 0);
      CHECK(a.refused(Outcome::reconnect_required, Cause::lost_in_flight));
      CHECK(a.told(News::lost_in_flight));
      continue;
    }
    REQUIRE(a.sends == 1);
    CHECK(a.question->probe == (rotation == Rotation::strict_refused));
    CHECK(a.told(News::in_doubt));
    if (rotation != Rotation::strict_refused) continue;
    // A second silence: no second probe.
    a.reply(ReplyClass::transient, Doubt::silent).write();
    a.read().write();
    CHECK(a.sends == 1);
    CHECK(a.refused(Outcome::reconnect_required, Cause::lost_in_flight));
  }
}

TEST_CASE("T42 refresh: a refused probe is a loss with its name, a good one saves the grant") {
  Row row = in_doubt({-1});
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::fetch).write().reply(ReplyClass::terminal).write();
  CHECK(a.refused(Outcome::reconnect_required, Cause::lost_in_flight));
  CHECK(a.told(News::lost_in_flight));

  row = in_doubt({-1});
  Driver b{row, Rotation::strict_refused};
  b.begin(Task::fetch).write().ok().write();
  CHECK(b.served(8, Source::refreshed));
}

TEST_CASE("T42 refresh: in doubt an unexpired token is served") {
  for (const Rotation rotation : rotations) {
    Row row = in_doubt(seconds(100));
    Driver a{row, rotation};
    a.begin(Task::fetch);
    CHECK(a.served(7, Source::kept) == (rotation != Rotation::family_revoked));
    a.write();
    if (rotation == Rotation::family_revoked) CHECK(a.served(7, Source::kept));
  }
}

TEST_CASE("T42 refresh: what a refresh may have killed is served until somebody knows") {
  Row row = in_doubt(seconds(100));
  Driver a{row, Rotation::family_revoked};
  a.traits.old_access_dies = true;
  a.begin(Task::fetch).write();
  CHECK(row.status == Status::reconnect_required);
  CHECK(a.served(7, Source::kept));
  Driver b{row, Rotation::family_revoked};
  b.begin(Task::report_rejected, named(row)).write();
  CHECK(row.rejected);
  CHECK(b.refused(Outcome::reconnect_required, Cause::lost_in_flight));
  Driver c{row, Rotation::family_revoked};
  CHECK(c.begin(Task::fetch).refused(Outcome::reconnect_required, Cause::lost_in_flight));
  CHECK(c.writes == 0);
}

TEST_CASE("T42 refresh: a grace is over when the request could reach the provider after it") {
  for (const std::int64_t age : {49'999, 50'000, 50'001}) {
    Row row = in_doubt({-1});
    row.intent.first_at = start.plus({-age});
    Driver a{row, Rotation::grace_same};
    a.begin(Task::fetch).write();
    CHECK(a.sends == (age <= 50'000 ? 1U : 0U));
  }
}

TEST_CASE("T43 refresh: only a terminal answer ends a connection") {
  const struct {
    ReplyClass kind;
    Doubt doubt;
    News news;
  } cases[] = {
      {ReplyClass::transient, Doubt::none, News::transient},
      {ReplyClass::transient, Doubt::answered, News::transient},
      {ReplyClass::transient, Doubt::silent, News::transient},
      {ReplyClass::rate_limited, Doubt::none, News::transient},
      {ReplyClass::operator_error, Doubt::none, News::operator_error},
      {ReplyClass::not_understood, Doubt::answered, News::not_understood},
  };
  for (const auto& one : cases) {
    Row row = live({-1});
    Driver a{row, Rotation::strict_refused};
    a.begin(Task::fetch).write().reply(one.kind, one.doubt).write();
    CHECK(row.status == Status::live);
    CHECK(row.version == 7);
    CHECK(row.cool_down.failures == 1);
    CHECK(row.cool_down.next_attempt_at.value > start.value);
    CHECK(row.lease == Lease{});
    CHECK(row.held == (one.kind == ReplyClass::not_understood));
    CHECK(a.told(one.news));
    CHECK(a.told(News::in_doubt) == (one.doubt != Doubt::none));
    // The same caller goes on when it is time: one failure is not the end of the next attempt.
    REQUIRE(a.question);
    REQUIRE(a.question->kind == EffectKind::wait);
    a.read().write();
    REQUIRE(a.sends == 2);
    CHECK(a.question->probe == (one.doubt != Doubt::none));
    a.ok().write();
    CHECK(a.served(8, Source::refreshed));
    CHECK(row.cool_down == CoolDown{});
    CHECK_FALSE(row.held);
  }
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::fetch).write().reply(ReplyClass::terminal).write();
  CHECK(a.refused(Outcome::reconnect_required, Cause::refused));
  CHECK(row.status == Status::reconnect_required);
  CHECK(row.ended_at == start);
  CHECK(a.told(News::terminal));
}

TEST_CASE("T43 refresh: one 500 from before the spend: one retry, shared by all, nobody fails") {
  for (const Rotation rotation : rotations) {
    for (const bool is_valid : {false, true}) {
      Row row = live(is_valid ? seconds(100) : Millis{-1});
      Driver a{row, rotation};
      Driver b{row, rotation};
      Driver c{row, rotation};
      a.begin(Task::fetch).write();
      b.begin(Task::fetch);
      a.reply(ReplyClass::transient, Doubt::none).write();
      CHECK(row.status == Status::live);
      CHECK(row.intent == Intent{});
      c.begin(Task::fetch);
      if (is_valid) {
        for (Driver* const one : {&a, &b, &c}) CHECK(one->served(7, Source::kept));
        CHECK(a.flow.phase == Phase::ended);
        CHECK(b.sends + c.sends == 0);
        continue;
      }
      // Everybody waits for the same moment; one is first, the others for its answer.
      for (Driver* const one : {&a, &b, &c}) {
        while (one->now.value < row.cool_down.next_attempt_at.value) one->read();
      }
      CHECK(row.cool_down.next_attempt_at.value - start.value <= policy.back_off.value);
      b.write();
      REQUIRE(b.sends == 1);
      CHECK_FALSE(b.question->probe);
      a.write();
      c.write();
      b.ok().write();
      CHECK(b.served(8, Source::refreshed));
      CHECK(a.read().served(8, Source::joined));
      CHECK(c.read().served(8, Source::joined));
      CHECK(a.sends + b.sends + c.sends == 2);
    }
  }
}

TEST_CASE("T43 refresh: a failure after the spend: one labelled request more at most") {
  const struct {
    ReplyClass kind;
    Doubt doubt;
  } failures[] = {{ReplyClass::transient, Doubt::silent},
                  {ReplyClass::transient, Doubt::answered},
                  {ReplyClass::not_understood, Doubt::answered}};
  for (const auto& failure : failures) {
    for (const Rotation rotation : {Rotation::strict_refused, Rotation::family_revoked}) {
      Row row = live({-1});
      Driver a{row, rotation};
      a.begin(Task::fetch).write().reply(failure.kind, failure.doubt).write();
      while (!a.answer && a.question && a.question->kind != EffectKind::send) {
        if (a.question->kind == EffectKind::wait) {
          a.read();
        } else {
          a.write();
        }
      }
      if (rotation == Rotation::strict_refused) {
        REQUIRE(a.sends == 2);
        CHECK(a.question->probe);
        a.reply(ReplyClass::terminal).write();
      }
      CHECK(a.sends == (rotation == Rotation::strict_refused ? 2U : 1U));
      CHECK(a.refused(Outcome::reconnect_required, Cause::lost_in_flight));
      // Whoever comes later makes none.
      Driver b{row, rotation};
      CHECK(b.begin(Task::fetch).refused(Outcome::reconnect_required, Cause::lost_in_flight));
    }
  }
}

TEST_CASE("T39 refresh: a provider as slow as the time-out allows gets one request, nobody fails") {
  for (const std::int64_t takes : {3'000, 4'000, 6'000, 9'999}) {
    Row row = live({-1});
    Driver a{row, Rotation::family_revoked};
    Driver b{row, Rotation::family_revoked};
    a.begin(Task::fetch).write();
    b.begin(Task::fetch);
    while (b.now.value < start.value + takes) {
      REQUIRE(b.question->kind == EffectKind::wait);
      b.read();
    }
    REQUIRE(a.question->at.value > start.value + takes);
    a.now = start.plus({takes});
    a.ok().write();
    CHECK(a.served(8, Source::refreshed));
    CHECK(b.read().served(8, Source::joined));
    CHECK(a.sends + b.sends == 1);
  }
}

TEST_CASE("T43 refresh: not more than six requests, then a rest") {
  Row row = live({-1});
  UnixMillis now = start;
  unsigned sends = 0;
  for (unsigned i = 0; i < 40; ++i) {
    Driver a{row, Rotation::none};
    a.now = now;
    a.begin(Task::fetch, {.entropy = i + 1});
    while (a.question) {
      if (a.question->kind == EffectKind::persist)
        a.write();
      else if (a.question->kind == EffectKind::wait)
        a.read();
      else
        a.reply(ReplyClass::transient, Doubt::answered);
    }
    sends += a.sends;
    now = a.now.plus(seconds(30));
    CHECK(a.refused(Outcome::temporarily_unavailable));
    CHECK(row.status == Status::live);
  }
  CHECK(sends == 6);
  CHECK(row.cool_down.next_attempt_at.value > now.value);
}

TEST_CASE("T44 refresh: merging an answer") {
  Row row = live(seconds(10));
  row.refresh_expires_at = start.plus(seconds(5000));
  row.rejected = true;
  row.held = true;
  const Traits traits = traits_of(Rotation::strict_refused);
  const Row kept = merge(row, {.lifetime = seconds(100)}, start, 21, traits);
  CHECK(kept.version == 8);
  CHECK(kept.epoch == 21);
  CHECK(kept.pair_epoch == 21);
  CHECK(kept.has_refresh);
  CHECK(kept.refresh_expires_at == row.refresh_expires_at);
  CHECK(kept.access_expires_at == start.plus(seconds(100)));
  CHECK_FALSE(kept.rejected);
  CHECK_FALSE(kept.held);

  const Tokens same{.lifetime = seconds(100), .has_refresh = true, .refresh_same = true};
  CHECK(merge(row, same, start, 21, traits).refresh_expires_at == row.refresh_expires_at);
  CHECK(merge(row, {.has_refresh = true}, start, 21, traits).refresh_expires_at == never);
  const Tokens limited{.refresh_lifetime = seconds(9), .has_refresh = true};
  CHECK(merge(row, limited, start, 21, traits).refresh_expires_at == start.plus(seconds(9)));
  row.absolute_expires_at = start.plus(seconds(8));
  CHECK(merge(row, limited, start, 21, traits).refresh_expires_at == start.plus(seconds(8)));

  // Missing or odd: the profile's. Too long: cut. From the request, saturating.
  for (const std::int64_t odd : {std::int64_t{0}, std::int64_t{-5}, INT64_MIN}) {
    CHECK(merge(row, {.lifetime = {odd}}, start, 21, traits).access_expires_at ==
          start.plus(traits.access_lifetime));
  }
  CHECK(merge(row, {.lifetime = {INT64_MAX}}, start, 21, traits).access_expires_at ==
        start.plus(traits.max_access_lifetime));
  Traits endless = traits;
  endless.access_lifetime = {0};
  endless.max_access_lifetime = {0};
  CHECK(merge(row, {}, start, 21, endless).access_expires_at == never);
  CHECK(merge(row, {.lifetime = {INT64_MAX}}, start, 21, endless).access_expires_at == never);
}

TEST_CASE(
    "T44 refresh: a rotating provider that sends no refresh token is an alert, nothing is erased") {
  for (const Rotation rotation : {Rotation::none, Rotation::strict_refused}) {
    Row row = live({-1});
    Driver a{row, rotation};
    a.begin(Task::fetch).write().reply(ReplyClass::ok, Doubt::none, {.lifetime = seconds(60)});
    CHECK(a.question->blobs == Blobs::access);
    a.write();
    CHECK(row.has_refresh);
    CHECK(a.told(News::refresh_token_missing) == (rotation != Rotation::none));
  }
}

TEST_CASE("T45 refresh: a stale generation gets the current token and changes nothing") {
  for (const Task task : {Task::rotate, Task::report_rejected}) {
    for (unsigned i = 0; i < 3; ++i) {
      Row row = live(seconds(200));
      Event event = named(row);
      if (i == 0) event.generation.version = 6;
      if (i == 1) event.generation.version = 8;
      if (i == 2) event.generation.id = id_of(2);
      Driver a{row, Rotation::strict_refused};
      a.begin(task, event);
      CHECK(a.served(7, Source::stored));
      CHECK_FALSE(a.question);
    }
    Row row = live(seconds(3000));
    Driver a{row, Rotation::strict_refused};
    a.begin(task, named(row));
    CHECK_FALSE(a.answer);
    a.write();
    CHECK(row.rejected == (task == Task::report_rejected));
    a.ok().write();
    CHECK(a.served(8, Source::refreshed));
  }
}

TEST_CASE("T45 refresh: a rejected token is served to nobody, a lagging 401 is not believed") {
  Row row = live(seconds(3000));
  row.cool_down.next_attempt_at = start.plus(seconds(100));
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::report_rejected, named(row)).write();
  CHECK(row.rejected);
  CHECK(a.refused(Outcome::temporarily_unavailable));
  Driver b{row, Rotation::strict_refused};
  CHECK(b.begin(Task::fetch).refused(Outcome::temporarily_unavailable));

  for (const std::int64_t age : {-1, 0, 1999, 2000}) {
    row = live(seconds(3000));
    row.obtained_at = start.plus({-age});
    Driver c{row, Rotation::strict_refused};
    c.traits.lag = seconds(2);
    c.begin(Task::report_rejected, named(row));
    CHECK(c.answer.has_value() == (age >= 0 && age < 2000));
  }
  row = live(seconds(3000));
  row.has_refresh = false;
  Driver d{row, Rotation::none};
  d.begin(Task::report_rejected, named(row)).write();
  CHECK(d.refused(Outcome::reconnect_required, Cause::token_rejected));
}

TEST_CASE("T46 refresh: every outcome is another result") {
  std::set<Errc> codes;
  for (const Outcome outcome :
       {Outcome::ok, Outcome::not_connected, Outcome::revoked, Outcome::reconnect_required,
        Outcome::temporarily_unavailable, Outcome::corrupt}) {
    codes.insert(to_errc(outcome));
  }
  CHECK(codes.size() == 6);

  Row row;
  CHECK(Driver{row, Rotation::none}.begin(Task::fetch).refused(Outcome::not_connected));
  row = live({-1});
  row.has_refresh = false;
  CHECK(Driver{row, Rotation::none}
            .begin(Task::fetch)
            .refused(Outcome::reconnect_required, Cause::no_refresh_token));
  row = live(seconds(9));
  row.version = 0;
  Driver corrupt{row, Rotation::none};
  CHECK(corrupt.begin(Task::fetch).refused(Outcome::corrupt));
  CHECK(corrupt.told(News::corrupt));
  CHECK_FALSE(corrupt.question);
  Driver unread{row, Rotation::none};
  CHECK(
      unread.begin(Task::fetch, {.seen = Seen::nothing}).refused(Outcome::temporarily_unavailable));
}

TEST_CASE("T47 refresh: a login is a new lineage and wins over what is in flight") {
  Row row = live({-1});
  row.rejected = true;
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::fetch).write().ok();
  Driver login{row, Rotation::strict_refused};
  Event event;
  event.generation.id = id_of(2);
  event.reply.tokens = {.lifetime = seconds(3600), .has_refresh = true};
  login.begin(Task::login, event);
  CHECK(login.question->blobs == Blobs::login);
  login.write();
  CHECK(login.finished({}));
  CHECK(row.id == id_of(2));
  CHECK(row.version == 1);
  CHECK(row.status == Status::live);
  CHECK_FALSE(row.rejected);
  // The pair of the old lineage is discarded, and revoked where one token can be.
  a.write();
  CHECK(a.told(News::discarded));
  REQUIRE(a.question->kind == EffectKind::revoke_at_provider);
  CHECK(a.question->token == Which::fresh);
  a.revoked(Revoked::done).read();
  CHECK(a.served(1, Source::stored));
}

TEST_CASE("T48 refresh: news of a revocation") {
  Row row = live(seconds(3000));
  Event event;
  event.cause = Cause::revoked_by_provider;
  event.at = start;
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::revoke, event);
  CHECK(a.question->blobs == Blobs::wipe);
  a.write();
  CHECK(a.finished({true, true, Reason::none}));
  CHECK(row.status == Status::revoked);
  CHECK(is_sound(row));
  const Row tombstone = row;
  Driver again{row, Rotation::strict_refused};
  CHECK(again.begin(Task::revoke, event).answer.has_value());
  CHECK(row == tombstone);
  CHECK(Driver{row, Rotation::none}
            .begin(Task::fetch)
            .refused(Outcome::revoked, Cause::revoked_by_provider));

  // News that is older than the login, or about another lineage.
  row = live(seconds(3000));
  event.at = row.login_at.plus({-1});
  Driver older{row, Rotation::strict_refused};
  CHECK(older.begin(Task::revoke, event).finished({}));
  event.at = {};
  event.generation.id = id_of(9);
  Driver other{row, Rotation::strict_refused};
  CHECK(other.begin(Task::revoke, event).finished({}));
}

TEST_CASE(
    "T49 refresh: a strict disconnect keeps what may still be alive, an erasure keeps nothing") {
  const struct {
    Revoked how;
    Receipt strict;
    Receipt best;
  } cases[] = {
      {Revoked::done, {true, true, Reason::none}, {true, true, Reason::none}},
      {Revoked::unsupported,
       {false, true, Reason::unsupported},
       {false, true, Reason::unsupported}},
      {Revoked::refused, {false, false, Reason::refused}, {false, true, Reason::refused}},
      {Revoked::unreachable,
       {false, false, Reason::unreachable},
       {false, true, Reason::unreachable}},
  };
  for (const auto& one : cases) {
    for (const Task task : {Task::disconnect, Task::erase}) {
      Row row = live(seconds(3000));
      Driver a{row, Rotation::strict_refused};
      a.begin(task).write().revoked(one.how).write();
      CHECK(a.finished(task == Task::erase ? one.best : one.strict));
      CHECK((row.status == Status::revoked) == a.answer->receipt.deleted);
      CHECK(row.lease == Lease{});
    }
  }
  Row row = live(seconds(3000));
  Driver none{row, Rotation::strict_refused};
  none.traits.revocation = Revocation::none;
  none.begin(Task::disconnect).write();
  CHECK(none.finished({false, true, Reason::unsupported}));
  Row absent;
  CHECK(
      Driver{absent, Rotation::none}.begin(Task::disconnect).finished({false, true, Reason::none}));
}

TEST_CASE("T49 refresh: where a revocation needs a live token, it is refreshed first") {
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  a.traits.revocation_needs_live = true;
  a.begin(Task::disconnect).write();
  REQUIRE(a.sends == 1);
  a.ok().write().write();
  REQUIRE(a.question->kind == EffectKind::revoke_at_provider);
  a.revoked(Revoked::done).write();
  CHECK(a.finished({true, true, Reason::none}));
}

TEST_CASE("T50 refresh: a disconnect never deletes a newer connection") {
  Row row = live(seconds(3000));
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::disconnect).write();
  Event event;
  event.generation.id = id_of(2);
  event.reply.tokens.has_refresh = true;
  Driver login{row, Rotation::strict_refused};
  login.begin(Task::login, event).write();
  a.revoked(Revoked::done).write();
  CHECK(a.finished({true, false, Reason::replaced}));
  CHECK(row.status == Status::live);
  CHECK(row.id == id_of(2));
}

TEST_CASE(
    "T55 refresh: a store that cannot be written: nothing is spent, a valid token is served") {
  for (const std::int64_t left : {100'000, -1}) {
    Row row = live({left});
    Driver a{row, Rotation::strict_refused};
    a.begin(Task::fetch).store(EventKind::store_failed);
    CHECK(a.sends == 0);
    CHECK((left > 0 ? a.served(7, Source::kept) : a.refused(Outcome::temporarily_unavailable)));
    Driver next{row, Rotation::strict_refused};
    next.begin(Task::fetch).write();
    CHECK(next.sends == 1);
  }
}

TEST_CASE("T55 refresh: a pair that cannot be stored is served, and stored later") {
  for (const EventKind kind : {EventKind::store_failed, EventKind::store_unknown}) {
    Row row = live({-1});
    Driver a{row, Rotation::strict_refused};
    a.begin(Task::fetch).write().ok().store(kind);
    CHECK(a.served(8, Source::refreshed));
    CHECK(a.answer->persist_failed);
    CHECK(a.answer->token == Which::fresh);
    CHECK(a.told(News::persist_failed));
    a.read(Seen::nothing).read().write();
    CHECK_FALSE(a.question);
    CHECK(row.version == 8);
    CHECK(a.told(News::refreshed));
  }
  // The write had happened after all.
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::fetch).write().ok();
  row = a.turn.row;
  a.store(EventKind::store_unknown).read();
  CHECK_FALSE(a.question);
  CHECK(row.version == 8);
}

TEST_CASE("T55 refresh: an intent whose write is not known to have happened is looked for") {
  for (const bool happened : {true, false}) {
    Row row = live({-1});
    Driver a{row, Rotation::family_revoked};
    a.begin(Task::fetch);
    if (happened) row = a.turn.row;
    a.store(EventKind::store_unknown).read();
    if (!happened) a.write();
    CHECK(a.sends == 1);
    a.ok().write();
    CHECK(a.served(8, Source::refreshed));
  }
}

TEST_CASE(
    "T55 refresh: a write that has lost against nothing is tried again later, and not for ever") {
  constexpr Task tasks[] = {Task::fetch, Task::rotate, Task::report_rejected, Task::alarm,
                            Task::login, Task::revoke, Task::disconnect,      Task::erase};
  std::set<Phase> phases;
  for (const Rotation rotation : rotations) {
    for (const Task task : tasks) {
      for (const bool live_revocation : {false, true}) {
        // What is stored: nothing, a token to refresh, one in doubt, one that is no good, a record
        // that does not open.
        for (unsigned stored = 0; stored < 5; ++stored) {
          // The store works for so many writes.
          for (unsigned good = 0; good < 4; ++good) {
            Row row = stored == 0 ? Row{} : stored == 2 ? in_doubt({-1}) : live({-1});
            row.rejected = stored == 3;
            Driver a{row, rotation};
            a.traits.revocation_needs_live = live_revocation;
            const Seen seen = stored == 4 ? Seen::corrupt : Seen::row;
            a.begin(task, {.seen = seen,
                           .generation = task == Task::login ? Generation{id_of(2), 0}
                                                             : Generation{id_of(1), 7}});
            CAPTURE(rotation, task, live_revocation, stored, good);
            unsigned turns = 0;
            unsigned at_once = 0;
            while (a.question) {
              // A caller who waits looks every 50 ms, for 20 s at the most.
              REQUIRE(++turns < 1'000);
              switch (a.question->kind) {
              case EffectKind::persist: {
                if (a.writes < good && stored != 4) {
                  a.write();
                  break;
                }
                // Before it is tried again, somebody waits.
                REQUIRE(++at_once == 1);
                phases.insert(a.flow.phase);
                a.row = a.stored;
                Event lost;
                lost.kind = EventKind::lost;
                lost.seen = seen;
                a.tell(lost);
                break;
              }
              case EffectKind::wait:
                at_once = 0;
                a.read(seen);
                break;
              case EffectKind::send: a.ok(); break;
              case EffectKind::revoke_at_provider: a.revoked(Revoked::done); break;
              case EffectKind::serve:
              case EffectKind::refuse:
              case EffectKind::done:
              case EffectKind::notify:
              case EffectKind::arm: FAIL("no question");
              }
            }
            CHECK((a.answer || task == Task::alarm));
          }
        }
      }
    }
  }
  CHECK(phases.size() == 5);
}

TEST_CASE("T55 refresh: a write that has lost against another one is decided anew at once") {
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  Driver b{row, Rotation::strict_refused};
  a.begin(Task::fetch);
  b.begin(Task::fetch).write();
  a.write();
  REQUIRE(a.question);
  CHECK(a.question->kind == EffectKind::wait);
  CHECK(a.flow.phase == Phase::waiting);
  b.ok().write();
  CHECK(a.read().answer->source == Source::joined);
}

TEST_CASE("refresh: a lease that took most of its time to be written is given back unused") {
  Row row = live({-1});
  Driver a{row, Rotation::family_revoked};
  a.begin(Task::fetch);
  a.now = start.plus({policy.time_out.value / 2 + 1});
  a.write();
  CHECK(a.sends == 0);
  a.write();
  CHECK(row.intent == Intent{});
  CHECK(row.cool_down.sends == 0);
  a.write();
  CHECK(a.sends == 1);
}

TEST_CASE("refresh: what was given up for lost comes back when its owner knows better") {
  Row row = live({-1});
  Driver a{row, Rotation::family_revoked};
  a.begin(Task::fetch).write().ok();
  Driver b{row, Rotation::family_revoked};
  b.now = start.plus(policy.lease);
  b.begin(Task::fetch).write();
  CHECK(b.refused(Outcome::reconnect_required, Cause::lost_in_flight));
  a.write().write();
  CHECK(a.served(8, Source::refreshed));
  CHECK(a.told(News::healed));
  CHECK(row.status == Status::live);

  row = live({-1});
  Driver c{row, Rotation::family_revoked};
  c.begin(Task::fetch).write().reply(ReplyClass::rate_limited);
  Driver d{row, Rotation::family_revoked};
  d.now = start.plus(policy.lease);
  d.begin(Task::fetch).write();
  CHECK(row.status == Status::reconnect_required);
  c.write().write();
  CHECK(row.status == Status::live);
  CHECK(row.intent == Intent{});
  // Given up in between, its attempts are not forgotten.
  CHECK(row.cool_down.sends == 1);
}

TEST_CASE("refresh: of two successors the later attempt's is kept") {
  for (const bool later_first : {true, false}) {
    Row row = live({-1});
    Driver a{row, Rotation::grace_new};
    a.begin(Task::fetch, {.entropy = 1}).write().ok();
    Driver b{row, Rotation::grace_new};
    b.now = start.plus(policy.lease);
    b.begin(Task::fetch, {.entropy = 2}).write().ok();
    const std::uint64_t last = row.intent.epoch;
    if (later_first) {
      b.write();
      a.write();
    } else {
      a.write();
      CHECK(row.version == 7);  // waits for the later one
      b.write();
      a.read();
    }
    CHECK(row.pair_epoch == last);
    CHECK(row.version == 8);
    CHECK(a.answer->generation.version == 8);
  }
}

TEST_CASE("refresh: a later answer without a refresh token does not replace a pair") {
  Row row = live({-1});
  Driver a{row, Rotation::grace_new};
  a.begin(Task::fetch).write().ok();
  Driver b{row, Rotation::grace_new};
  b.now = start.plus(policy.lease);
  b.begin(Task::fetch).write().reply(ReplyClass::ok, Doubt::none, {.lifetime = seconds(3600)});
  row.intent = {};  // as if nobody knew of the later one
  a.write().write();
  REQUIRE(row.version == 8);
  const Row stored = row;
  b.write();
  CHECK(row == stored);
  CHECK(b.told(News::lost_race));
  CHECK(b.served(8, Source::joined));
}

TEST_CASE("refresh: a pair in hand outlives a store that is away and the attempt after it") {
  Row row = live({-1});
  Driver a{row, Rotation::grace_new};
  a.begin(Task::fetch).write().ok().store(EventKind::store_unknown);
  for (unsigned i = 1; i < policy.max_tries; ++i) a.read(Seen::nothing);
  // Meanwhile its lease has ended, and somebody tries again.
  Driver b{row, Rotation::grace_new};
  b.now = start.plus(policy.lease);
  b.begin(Task::fetch).write();
  REQUIRE(b.sends == 1);
  a.now = b.now;
  for (unsigned i = 0; i < 3; ++i) {
    a.read();
    REQUIRE(a.question);
    CHECK(a.question->kind == EffectKind::wait);
    if (a.now.value >= row.intent.deadline.value) break;
  }
  // The store is away once more: that alone does not make it give up.
  a.read(Seen::nothing);
  REQUIRE(a.question);
  // The other attempt fails, and the next one comes after the grace: the pair is stored.
  b.reply(ReplyClass::rate_limited).write();
  row.cool_down.next_attempt_at = start.plus(seconds(90));
  ++row.epoch;
  a.read().write();
  CHECK(row.version == 8);
  CHECK(row.status == Status::live);
}

TEST_CASE("refresh: an alarm settles what is in doubt and has no caller") {
  Row row = in_doubt(seconds(3000));
  Driver a{row, Rotation::family_revoked};
  a.begin(Task::alarm).write();
  CHECK_FALSE(a.answer);
  CHECK(row.cause == Cause::lost_in_flight);
  CHECK(Driver{row, Rotation::family_revoked}.begin(Task::fetch).served(7, Source::kept));

  row = live({-1});
  Driver b{row, Rotation::strict_refused};
  b.begin(Task::fetch).write();
  REQUIRE(b.alarms.size() == 1);
  CHECK(b.alarms[0] == row.lease.deadline);
  Driver early{row, Rotation::strict_refused};
  early.begin(Task::alarm);
  CHECK_FALSE(early.question);
  REQUIRE(early.alarms.size() == 1);
  CHECK(early.alarms[0] == row.lease.deadline);
}

TEST_CASE("refresh: a clock that is wrong binds nobody for longer than clocks differ") {
  Row row = live({-1});
  row.lease = {5, 20, start.plus({2 * policy.lease.value})};
  CHECK(is_leased(row, start, policy));
  row.lease.deadline = start.plus({2 * policy.lease.value + 1});
  CHECK_FALSE(is_leased(row, start, policy));
  row.lease.deadline = start;
  CHECK_FALSE(is_leased(row, start, policy));
}

TEST_CASE("refresh: a corrupt record is replaced by a login or an erasure only") {
  Row row = live(seconds(100));
  for (const Task task : {Task::fetch, Task::rotate, Task::report_rejected, Task::revoke,
                          Task::disconnect, Task::alarm}) {
    Driver a{row, Rotation::none};
    a.begin(task, {.seen = Seen::corrupt});
    CHECK_FALSE(a.question);
    CHECK(a.told(News::corrupt));
  }
  for (const Task task : {Task::login, Task::erase}) {
    Driver a{row, Rotation::none};
    Event event;
    event.seen = Seen::corrupt;
    event.generation.id = id_of(3);
    a.begin(task, event);
    REQUIRE(a.question);
    CHECK(a.question->condition.corrupt);
    CHECK(is_sound(a.turn.row));
  }
}

TEST_CASE("refresh: back-off doubles, stays within its upper half and its limit") {
  std::int64_t whole = policy.back_off.value;
  for (unsigned failures = 1; failures <= 255; ++failures) {
    const auto n = static_cast<std::uint8_t>(failures);
    CHECK(back_off(n, 0, policy).value == whole / 2);
    for (const std::uint64_t entropy : {std::uint64_t{1}, std::uint64_t{999}, UINT64_MAX}) {
      CHECK(back_off(n, entropy, policy).value >= whole / 2);
      CHECK(back_off(n, entropy, policy).value <= whole);
    }
    whole = std::min(whole * 2, policy.max_back_off.value);
  }
}

TEST_CASE(
    "refresh: a live connection ends with the longer-lived of its tokens, any other has ended") {
  constexpr UnixMillis moments[] = {{1}, {1'000}, never};
  for (const auto access : moments) {
    for (const auto refresh : moments) {
      Row row;
      row.access_expires_at = access;
      row.refresh_expires_at = refresh;
      for (const auto status :
           {Status::absent, Status::live, Status::reconnect_required, Status::revoked}) {
        row.status = status;
        row.has_refresh = false;
        CHECK(ends_at(row).value == (status == Status::live ? access : never).value);
        row.has_refresh = true;
        const auto longer = std::max(access.value, refresh.value);
        CHECK(ends_at(row).value == (status == Status::live ? longer : never.value));
      }
    }
  }
}

TEST_CASE("refresh: admit refuses what is not safe") {
  const Traits traits = traits_of(Rotation::strict_refused);
  CHECK(admit(contract, policy, &traits));
  CHECK(name(admit(contract, policy, nullptr)) == "provider_unknown");
  Contract unfit = contract;
  unfit.cas = false;
  CHECK(name(admit(unfit, policy, &traits)) == "store_unfit");
  unfit = contract;
  unfit.strong_read = false;
  CHECK(name(admit(unfit, policy, &traits)) == "store_unfit");
  unfit = contract;
  unfit.negative_cache = true;
  CHECK(name(admit(unfit, policy, &traits)) == "store_unfit");
  unfit = contract;
  --unfit.max_value;
  CHECK(name(admit(unfit, policy, &traits)) == "store_unfit");
  Policy short_lease = policy;
  short_lease.lease = policy.time_out;
  CHECK(name(admit(contract, short_lease, &traits)) == "lease_too_short");
  short_lease.lease = {policy.time_out.value + 1};
  CHECK(admit(contract, short_lease, &traits));
  Traits slow = traits;
  slow.time_out = policy.lease;
  CHECK(name(admit(contract, policy, &slow)) == "lease_too_short");
  Policy odd = policy;
  odd.back_off = {0};
  CHECK(name(admit(contract, odd, &traits)) == "config_invalid");
  odd = policy;
  odd.max_sends = 0;
  CHECK(name(admit(contract, odd, &traits)) == "config_invalid");
  odd = policy;
  odd.window = {-1};
  CHECK(name(admit(contract, odd, &traits)) == "config_invalid");
  Traits endless = traits;
  endless.after_grace = Rotation::grace_new;
  CHECK(name(admit(contract, policy, &endless)) == "config_invalid");
}

TEST_CASE("refresh: a row reads back, and no other bytes do") {
  std::array<std::uint8_t, row_size> bytes{};
  for (const Row& row : {Row{}, live(seconds(5)), in_doubt({-1})}) {
    encode(row, bytes);
    const auto read = decode(bytes);
    REQUIRE(read);
    CHECK(*read == row);
  }
  CHECK(name(decode(Bytes{bytes}.first(row_size - 1))) == "corrupt");
  unsigned accepted = 0;
  for (std::size_t bit = 0; bit < row_size * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    const auto read = decode(flipped);
    if (!read) continue;
    ++accepted;
    std::array<std::uint8_t, row_size> again{};
    encode(*read, again);
    CHECK(again == flipped);
  }
  CHECK(accepted < row_size * 8);
  // A bool is 0 or 1.
  for (const std::size_t at : {155U, 156U, 169U, 170U, 171U}) {
    auto odd = bytes;
    CHECK(odd[at] <= 1);
    odd[at] = 2;
    CHECK(name(decode(odd)) == "corrupt");
  }
}

TEST_CASE("refresh: a flow reads back, and no other bytes do") {
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  std::array<std::uint8_t, flow_size> bytes{};
  std::array<std::uint8_t, flow_size> again{};
  const auto reads_back = [&](const Flow& flow) {
    encode(flow, bytes);
    const auto read = decode_flow(bytes);
    REQUIRE(read);
    encode(*read, again);
    CHECK(again == bytes);
  };
  reads_back(Flow{});
  reads_back(a.begin(Task::fetch, {.min_validity = seconds(9)}).flow);
  reads_back(a.write().flow);
  reads_back(a.ok().flow);
  CHECK(name(decode_flow(Bytes{bytes}.first(flow_size - 1))) == "corrupt");
  std::array<std::uint8_t, row_size> of_row{};
  encode(row, of_row);
  CHECK(name(decode_flow(Bytes{of_row}.first(flow_size))) == "corrupt");
  for (std::size_t bit = 0; bit < flow_size * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    const auto read = decode_flow(flipped);
    if (!read) continue;
    encode(*read, again);
    CHECK(again == flipped);
  }
  for (const std::size_t at : {6U, 7U, 8U, 9U, 130U, 157U, 158U, 159U, 160U, 161U}) {
    auto odd = bytes;
    CHECK(odd[at] <= 1);
    odd[at] = 2;
    CHECK(name(decode_flow(odd)) == "corrupt");
  }
  // One that has not begun is `Flow{}`: nothing may be put under a caller who begins.
  encode(Flow{}, bytes);
  for (std::size_t bit = 0; bit < flow_size * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    const auto read = decode_flow(flipped);
    CHECK((!read || read->phase != Phase::begin));
  }
}

TEST_CASE(
    "refresh: total over rows, flows and events, with one question at the end and one answer") {
  std::mt19937_64 random{4};
  const auto pick = [&random](std::uint64_t n) { return random() % n; };
  unsigned stepped = 0;
  for (unsigned i = 0; i < 300'000; ++i) {
    Row row = pick(3) == 0 ? in_doubt({static_cast<std::int64_t>(pick(600'000)) - 300'000})
                           : live({static_cast<std::int64_t>(pick(600'000)) - 300'000});
    row.status = static_cast<Status>(pick(4));
    row.cause = static_cast<Cause>(pick(9));
    row.has_refresh = pick(2) != 0;
    row.rejected = pick(4) == 0;
    row.cool_down.sends = static_cast<std::uint8_t>(pick(8));
    row.cool_down.next_attempt_at = start.plus({static_cast<std::int64_t>(pick(9000)) - 5000});
    if (pick(16) == 0) row.version = random();
    Flow flow;
    flow.task = static_cast<Task>(pick(9));
    flow.phase = static_cast<Phase>(pick(11));
    // Nobody sends, or revokes, with a row that has no token.
    if (flow.phase == Phase::sending || flow.phase == Phase::revoking) row.status = Status::live;
    flow.settle = static_cast<Settle>(pick(6));
    flow.cause = pick(2) != 0 ? Cause::refused : Cause::lost_in_flight;
    flow.tries = static_cast<std::uint8_t>(pick(10));
    flow.answered = flow.task == Task::alarm || pick(2) != 0;
    flow.attempted = pick(2) != 0;
    flow.holder = pick(2) != 0 ? 5 : 6;
    flow.epoch = 18 + pick(4);
    flow.give_up_at = start.plus({static_cast<std::int64_t>(pick(9000)) - 5000});
    flow.spent = {id_of(1), 6 + pick(3)};
    if (pick(2) != 0) flow.condition = {{row.id, row.version}, row.epoch, false};
    flow.named = {id_of(static_cast<std::uint8_t>(pick(3))), 6 + pick(3)};
    flow.reply.kind = static_cast<ReplyClass>(1 + pick(6));
    Event event;
    event.kind = static_cast<EventKind>(pick(9));
    event.seen = pick(8) == 0 ? static_cast<Seen>(pick(3)) : Seen::row;
    event.task = static_cast<Task>(pick(9));
    event.generation = {id_of(static_cast<std::uint8_t>(pick(3))), 6 + pick(3)};
    event.reply.kind = static_cast<ReplyClass>(1 + pick(6));
    event.reply.doubt = static_cast<Doubt>(pick(3));
    event.revoked = static_cast<Revoked>(1 + pick(4));
    const Rotation rotation = rotations[pick(5)];
    const Traits traits = traits_of(rotation);
    const bool began = flow.phase == Phase::begin;
    const bool was_answered = began ? false : flow.answered;
    const Step turn = step(row, flow, event, start, traits, policy);
    unsigned answers = was_answered ? 1 : 0;
    unsigned questions = 0;
    for (const Effect& effect : turn.effects) {
      if (questions > 0) FAIL("an effect behind a question");
      if (effect.kind <= EffectKind::done) ++answers;
      if (effect.kind >= EffectKind::persist) ++questions;
      if (effect.kind == EffectKind::serve && effect.at.value <= start.value) FAIL("expired");
      if (effect.kind == EffectKind::persist && is_sound(row) && !is_sound(turn.row)) {
        FAIL("an unsound row is to be written");
      }
    }
    if (flow.task != Task::alarm && turn.flow.task != Task::alarm && answers > 1 &&
        !(was_answered && answers == 2)) {
      FAIL("two answers");
    }
    if (turn.effects.count == 0 && turn.flow.phase == flow.phase) continue;
    ++stepped;
    if (questions == 0 && turn.flow.phase != Phase::ended) FAIL("neither a question nor the end");
  }
  CHECK(stepped > 50'000);
}

namespace {

/// Values from everywhere: the ends of every range, what lies next to them, and plain ones.
struct Dice {
  std::mt19937_64 random{8};

  std::uint64_t pick(std::uint64_t n) { return random() % n; }
  bool flag() { return pick(2) != 0; }
  template <class E> E one_of(E last, bool strays) {
    return static_cast<E>(pick(static_cast<std::uint64_t>(last) + (strays ? 2 : 1)));
  }
  UnixMillis time(bool strays) {
    switch (pick(strays ? 8 : 6)) {
    case 0: return {};
    case 1: return never;
    case 2: return {never.value - 1};
    case 6: return {-1};
    case 7: return {static_cast<std::int64_t>(random())};
    default: return start.plus({static_cast<std::int64_t>(pick(80'000)) - 40'000});
    }
  }
  Millis length() {
    constexpr std::int64_t lengths[] = {0, 1, -1, 3'600'000, INT64_MAX, INT64_MIN};
    return {lengths[pick(6)]};
  }
  std::uint64_t counter(bool strays) {
    switch (pick(strays ? 12 : 10)) {
    case 0: return 1;
    case 1: return max_counter - 2;
    case 10: return max_counter;
    case 11: return random();
    default: return 5 + pick(4);
    }
  }
  Row row(bool strays) {
    Row row;
    row.id = id_of(static_cast<std::uint8_t>(strays ? pick(4) : 1 + pick(3)));
    row.version = counter(strays);
    row.epoch = counter(strays);
    row.pair_epoch = pick(8);
    for (UnixMillis* at : {&row.login_at, &row.obtained_at, &row.access_expires_at,
                           &row.refresh_expires_at, &row.absolute_expires_at, &row.ended_at,
                           &row.lease.deadline, &row.cool_down.next_attempt_at}) {
      *at = time(strays && pick(8) == 0);
    }
    if (flag()) row.lease = {5 + pick(2), pick(8), row.lease.deadline};
    if (flag()) {
      row.intent = {pick(8),
                    pick(8),
                    flag() ? row.version : pick(8),
                    time(false),
                    time(false),
                    static_cast<std::uint8_t>(pick(3)),
                    one_of(Doubt::silent, strays),
                    flag(),
                    flag()};
    }
    row.cool_down.failures = static_cast<std::uint8_t>(random());
    row.cool_down.sends = static_cast<std::uint8_t>(flag() ? pick(8) : random());
    row.status = one_of(Status::revoked, strays);
    row.cause = one_of(Cause::erased, strays);
    row.has_refresh = flag();
    row.rejected = flag();
    row.held = pick(4) == 0;
    return pick(64) == 0 ? Row{} : row;
  }
  Tokens tokens() { return {length(), length(), flag(), flag(), flag()}; }
  Generation generation() { return {id_of(static_cast<std::uint8_t>(pick(4))), counter(false)}; }
  Flow flow() {
    Flow flow;
    flow.task = one_of(Task::erase, false);
    flow.phase = one_of(Phase::ended, false);
    flow.settle = one_of(Settle::keep, false);
    flow.cause = one_of(Cause::erased, false);
    flow.tries = static_cast<std::uint8_t>(random());
    flow.answered = flag();
    flow.forced = flag();
    flow.attempted = flag();
    flow.waited = flag();
    flow.min_validity = {flag() ? 0 : std::max<std::int64_t>(length().value, 0)};
    flow.give_up_at = time(false);
    flow.at = time(false);
    flow.holder = 5 + pick(2);
    flow.epoch = pick(8);
    flow.named = generation();
    flow.spent = generation();
    flow.condition = {generation(), counter(false), flag()};
    flow.reply = {static_cast<ReplyClass>(1 + pick(6)), one_of(Doubt::silent, false), length(),
                  tokens()};
    flow.receipt = {flag(), flag(), one_of(Reason::corrupt, false)};
    if (flow.phase == Phase::begin) return {};
    // What cannot be kept is no flow.
    std::array<std::uint8_t, flow_size> bytes{};
    encode(flow, bytes);
    return decode_flow(bytes) ? flow : this->flow();
  }
  Event event() {
    Event event;
    event.kind = one_of(EventKind::revocation, true);
    event.seen = pick(8) == 0 ? one_of(Seen::nothing, true) : Seen::row;
    event.task = one_of(Task::erase, true);
    event.entropy = flag() ? random() : 5;
    event.min_validity = length();
    event.generation = generation();
    event.cause = one_of(Cause::erased, false);
    event.at = time(false);
    event.reply = {one_of(ReplyClass::not_understood, true), one_of(Doubt::silent, false), length(),
                   tokens()};
    event.revoked = one_of(Revoked::unsupported, true);
    return event;
  }
};

}  // namespace

TEST_CASE("refresh: a row reads back if and only if it is sound") {
  Dice dice;
  unsigned sound = 0;
  constexpr unsigned rows = 200'000;
  std::array<std::uint8_t, row_size> bytes{};
  for (unsigned i = 0; i < rows; ++i) {
    const Row row = dice.row(i % 2 == 0);
    encode(row, bytes);
    const auto read = decode(bytes);
    if (static_cast<bool>(read) != is_sound(row)) FAIL("read is not what sound is");
    if (!read) continue;
    ++sound;
    if (!(*read == row)) FAIL("another row was read");
  }
  CHECK(sound > rows / 100);
  CHECK(sound < rows / 2);
}

TEST_CASE("refresh: whatever is given, nothing traps and nothing expired or revoked is served") {
  Dice dice;
  unsigned served = 0;
  unsigned written = 0;
  std::array<std::uint8_t, flow_size> bytes{};
  for (unsigned i = 0; i < 400'000; ++i) {
    const Event event = dice.event();
    Flow flow = dice.flow();
    // A driver that did not read has the row that it wrote, or was given; it has tokens.
    const bool reads = event.kind == EventKind::begin || event.kind == EventKind::lost ||
                       event.kind == EventKind::row_read;
    Row row = dice.row(reads && dice.pick(8) == 0);
    if (reads && event.seen != Seen::row) row = {};
    const bool has_tokens = row.status == Status::live || row.status == Status::reconnect_required;
    const bool known = has_tokens && is_sound(row);
    if (!reads && !known) row = live({static_cast<std::int64_t>(dice.pick(9'000)) - 4'500});
    // Epochs only rise.
    flow.epoch = std::min(flow.epoch, row.epoch);
    const UnixMillis now = dice.time(false);
    Traits traits = traits_of(rotations[dice.pick(5)]);
    traits.old_access_dies = dice.flag();
    traits.revocation_needs_live = dice.flag();
    traits.revocation = dice.one_of(Revocation::grant, false);
    // No row comes near the end of its counters.
    const bool counts = row.epoch < max_counter - 2 && row.version < max_counter - 2;
    const Step turn = step(row, flow, event, now, traits, policy);
    for (const Effect& effect : turn.effects) {
      if (effect.kind == EffectKind::persist) {
        ++written;
        if (counts && is_sound(row) && !is_sound(turn.row)) {
          FAIL("a row that is not sound is to be written");
        }
      }
      if (effect.kind != EffectKind::serve) continue;
      ++served;
      if (effect.at.value <= now.value) FAIL("an expired token is served");
      if (effect.token == Which::fresh) continue;
      const bool given_up = row.status == Status::reconnect_required;
      const bool may =
          row.status == Status::live || (given_up && row.cause == Cause::lost_in_flight);
      if (!may || row.rejected || !is_sound(row)) FAIL("a token is served that has ended");
    }
    // Flows that begin soundly stay so.
    encode(turn.flow, bytes);
    if (counts && event.task <= Task::erase && event.kind <= EventKind::revocation &&
        event.reply.kind >= ReplyClass::ok && event.reply.kind <= ReplyClass::not_understood &&
        !decode_flow(bytes)) {
      FAIL("a flow that cannot be kept");
    }
  }
  CHECK(served > 1'000);
  CHECK(written > 10'000);
}

TEST_CASE("T43 refresh: attempts that crashed count, and a rest is not cut short") {
  Row row = in_doubt({-1});
  row.cool_down.sends = policy.max_sends;
  Driver a{row, Rotation::none};
  a.begin(Task::fetch).write();
  CHECK(a.sends == 0);
  CHECK(a.refused(Outcome::temporarily_unavailable));
  CHECK(row.cool_down.next_attempt_at == row.intent.deadline.plus(policy.rest));
  CHECK(row.cool_down.sends == 0);

  // A rest that nobody wrote down, and that is over, is not begun again.
  row = in_doubt({-1});
  row.cool_down.sends = policy.max_sends;
  row.intent.deadline = start.plus({-policy.rest.value});
  Driver c{row, Rotation::none};
  c.begin(Task::fetch).write();
  CHECK(c.sends == 1);
  CHECK(row.cool_down.sends == 1);

  row = live({-1});
  Driver b{row, Rotation::none};
  b.begin(Task::fetch).write().reply(ReplyClass::rate_limited);
  row.cool_down.next_attempt_at = start.plus(policy.rest);
  ++row.epoch;
  b.write().write();
  CHECK(row.cool_down.next_attempt_at == start.plus(policy.rest));
}

TEST_CASE("T50 refresh: a disconnect waits for the refresh that is under way") {
  Row row = live({-1});
  Driver a{row, Rotation::strict_refused};
  a.begin(Task::fetch).write();
  for (const Task task : {Task::disconnect, Task::erase}) {
    Row before = row;
    Driver b{before, Rotation::strict_refused};
    b.begin(task);
    REQUIRE(b.question);
    CHECK(b.question->kind == EffectKind::wait);
    CHECK(b.question->at.value <= row.lease.deadline.value);
  }
}
