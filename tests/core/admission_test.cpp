#include "latchkey/admission.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

using namespace latchkey;
using namespace latchkey::admission;

namespace {

constexpr UnixMillis start{1'700'000'000'000};
constexpr std::string_view known_modes[] = {"code", "plan"};
constexpr std::string_view known_models[] = {"a/one", "b/two"};

Candidate candidate_of(std::string_view id, Offer offered = Offer::credential) {
  Candidate out;
  out.id = id;
  out.turn = "do it";
  out.mode = "code";
  out.model = "a/one";
  out.modes = known_modes;
  out.offer = offered;
  return out;
}

// Nothing that a plan consists of can hold a text.
static_assert(std::is_trivially_copyable_v<Plan> && std::is_standard_layout_v<Plan>);
static_assert(sizeof(Plan) == 4 + 4 + 8 + 8 + sizeof(Session) + sizeof(Message));
static_assert(!std::is_constructible_v<Plan, std::string_view>);

std::string bytes_of_record(const Session& session) {
  std::array<std::uint8_t, session_size> out{};
  encode(session, out);
  return {out.begin(), out.end()};
}
std::string bytes_of_record(const Message& message) {
  std::array<std::uint8_t, message_size> out{};
  encode(message, out);
  return {out.begin(), out.end()};
}

bool survives(const Session& session) {
  const std::string bytes = bytes_of_record(session);
  const auto back = decode_session(latchkey::bytes_of(bytes));
  return session.epoch == 0 ? back && *back == Session{} : back && *back == session;
}
bool survives(const Message& message) {
  const std::string bytes = bytes_of_record(message);
  const auto back = decode_message(latchkey::bytes_of(bytes));
  return back && *back == message;
}

/// The rows as a plan leaves them.
struct Stored {
  Session session;
  Message message;
};

Stored after(const Plan& plan) {
  REQUIRE(plan.act == Act::write);
  return {plan.session, plan.message};
}

/// Takes a message as far as it goes without anything in between.
Stored admitted(const Candidate& in, const Session& session, UnixMillis now = start) {
  Stored at{session, {}};
  for (unsigned turn = 0; turn < 4; ++turn) {
    const Plan next = plan(in, at.session, at.message, now);
    if (next.act == Act::acknowledge) return at;
    at = after(next);
    if (next.then == Act::acknowledge) return at;
  }
  FAIL("it does not end");
  return at;
}

// The small world -------------------------------------------------------------------------------

// Up to three messages, each sent by somebody who may give up after any write and come again at any
// time, also after an answer; an agent that takes, refuses, ends; alarms between any two writes.
// What is stored is stored as the plans say, by a store that compares epochs.

constexpr std::size_t max_messages = 3;

struct Sender {
  Offer offered{Offer::credential};
  std::int64_t composed_at{0};
};

struct Setting {
  const char* name;
  std::size_t messages;
  std::array<Sender, max_messages> senders;
  Policy policy;
  bool quick;  ///< the clock moves once only
  bool stale_writes;  ///< time passes between decision and write, which may then be lost
};

constexpr std::array<std::int64_t, 3> clock_at{0, 70'000, 1'000'000};

struct World {
  Session session;
  std::array<Message, max_messages> messages;
  std::array<Plan, max_messages> held;  ///< decided on, not yet tried
  std::array<bool, max_messages> texts{};
  std::array<bool, max_messages> answered{};
  std::array<std::uint8_t, max_messages> order{};  ///< whose credentials were stored, 1-based
  std::uint8_t stored{0};
  std::uint8_t tick{0};
};

void put(std::string& out, const void* from, std::size_t size) {
  out.append(static_cast<const char*>(from), size);
}

/// What makes two states the same. Nothing depends on how high an epoch is, only on whether a write
/// was decided on the one that is stored; those that were not are all alike: they will be lost.
std::string key_of(const World& w) {
  std::string out = bytes_of_record(w.session).substr(1 + sizeof w.session.epoch);
  for (const Message& message : w.messages) {
    // Ids and intents of the three follow from their places.
    put(out, &message.number, message_size - 1 - offsetof(Message, number));
  }
  for (const Plan& plan : w.held) {
    const bool held = plan.act == Act::write;
    const bool stale = plan.epoch != w.session.epoch;
    out += static_cast<char>(!held ? 0 : stale ? 1 : 2);
    // What it writes follows from what is stored and from when it was decided.
    if (held && !stale) put(out, &plan.at, sizeof plan.at);
  }
  put(out, w.texts.data(), w.texts.size());
  put(out, w.answered.data(), w.answered.size());
  put(out, w.order.data(), w.order.size());
  out += static_cast<char>(w.tick);
  return out;
}

class Explorer {
public:
  explicit Explorer(const Setting& setting) : setting_{setting} {
    for (std::size_t i = 0; i < max_messages; ++i) {
      ids_[i] = std::string{"message-"} + static_cast<char>('a' + i);
    }
  }

  void run() {
    add(World{});
    while (!queue_.empty() && wrong_.empty()) {
      const World w = queue_.front();
      queue_.pop_front();
      ++states;
      check(w);
      settle_down(w);
      expand(w);
    }
  }

  std::size_t states{0};
  std::size_t steps{0};
  std::size_t ends{0};
  std::size_t refused{0};
  std::size_t lost{0};
  std::size_t lapsed{0};
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

private:
  void must(bool holds, const char* what) {
    if (!holds && wrong_.empty()) wrong_ = what;
  }

  [[nodiscard]] UnixMillis now(const World& w) const { return start.plus({clock_at[w.tick]}); }
  [[nodiscard]] Candidate candidate(std::size_t i) const {
    Candidate out = candidate_of(ids_[i], setting_.senders[i].offered);
    if (setting_.senders[i].composed_at != 0) {
      out.composed_at = start.plus({setting_.senders[i].composed_at});
    }
    return out;
  }

  void add(const World& w) {
    ++steps;
    if (seen_.insert(key_of(w)).second) queue_.push_back(w);
  }

  /// What every state has to be.
  void check(const World& w) {
    unsigned open = 0;
    std::set<std::uint64_t> numbers;
    for (std::size_t i = 0; i < setting_.messages; ++i) {
      const Message& m = w.messages[i];
      must(is_sound(m) && survives(m), "a message is not sound");
      if (m.stage == Stage::marked || m.stage == Stage::queued) ++open;
      if (m.stage == Stage::queued || m.stage == Stage::sent) {
        must(w.texts[i], "work is seen without its text");
        const bool brings = m.credential == Credential::stored;
        must(!brings || was_stored(w, i), "work is seen before its credential is in place");
        must(numbers.insert(m.number).second, "two messages have one place");
      }
      if (w.answered[i]) must(m.number != 0, "answered, and yet not admitted");
      if (m.credential != Credential::stored) must(!was_stored(w, i), "stored and not recorded");
    }
    must(is_sound(w.session) && survives(w.session), "the session is not sound");
    must(w.session.open == open, "places are counted wrong");
    must(open <= setting_.policy.max_open, "more wait than may");
    must(w.session.version == w.stored, "the credential's version is wrong");
    if (w.stored > 0) {
      const std::size_t last = w.order[w.stored - 1U] - 1U;
      must(w.session.current == id_of(ids_[last]), "the pointer is not of the stored credential");
    }
  }

  [[nodiscard]] bool was_stored(const World& w, std::size_t i) const {
    return std::find(w.order.begin(), w.order.end(), i + 1) != w.order.end();
  }

  /// The store: one write, if nothing was written since it was decided on.
  bool store(World& w, std::size_t i, const Plan& plan) {
    must(plan.session.epoch == plan.epoch + 1, "a write does not raise the epoch by one");
    if (w.session.epoch != plan.epoch) {
      ++lost;
      return false;
    }
    switch (plan.blob) {
    case Blob::keep: break;
    case Blob::credential: {
      must(!was_stored(w, i), "a credential is stored a second time");
      must(setting_.senders[i].offered == Offer::credential, "nobody brought that credential");
      if (w.stored > 0) {
        const auto& before = setting_.senders[w.order[w.stored - 1U] - 1U];
        const auto& next = setting_.senders[i];
        must(before.composed_at == 0 || next.composed_at == 0 ||
                 next.composed_at >= before.composed_at,
             "an older credential is restored");
      }
      if (w.stored < max_messages) w.order[w.stored++] = static_cast<std::uint8_t>(i + 1);
      break;
    }
    case Blob::intent: w.texts[i] = true; break;
    case Blob::wipe: w.texts[i] = false; break;
    }
    if (plan.message.stage == Stage::lapsed) ++lapsed;
    w.session = plan.session;
    w.messages[i] = plan.message;
    return true;
  }

  void answer(World& w, std::size_t i, const Plan& plan) {
    must(plan.code == Errc::ok, "an answer with a code");
    must(w.messages[i].number != 0, "acknowledged, and yet not admitted");
    w.answered[i] = true;
  }

  Plan ask(const World& w, std::size_t i) {
    const Plan next = plan(candidate(i), w.session, w.messages[i], now(w), setting_.policy);
    if (next.act == Act::refuse) {
      ++refused;
      const Stage stage = w.messages[i].stage;
      must(next.code == Errc::queue_full || next.code == Errc::message_ended, "an odd refusal");
      if (next.code == Errc::queue_full) {
        must(stage == Stage::absent || stage == Stage::lapsed, "refused after a change");
      }
    }
    must(next.act == Act::refuse || next.epoch == w.session.epoch, "the wrong condition");
    return next;
  }

  void send(const World& before, std::size_t i) {
    World w = before;
    Plan next = w.held[i];
    if (next.act != Act::write) {
      next = ask(w, i);
      if (next.act == Act::refuse) return;
      if (next.act == Act::acknowledge) answer(w, i, next);
      if (next.act == Act::write && setting_.stale_writes) w.held[i] = next;
      if (next.act == Act::acknowledge || setting_.stale_writes) return add(w);
    }
    w.held[i] = {};
    if (store(w, i, next) && next.then == Act::acknowledge) {
      World told = w;
      answer(told, i, next);
      add(told);
    }
    // The answer, or the sender, may be lost; and whoever decided may be gone before it is written.
    add(w);
    if (!setting_.stale_writes) return;
    World gone = before;
    gone.held[i] = {};
    add(gone);
  }

  void alarm(const World& before, std::size_t i) {
    World w = before;
    const Plan next = drain(w.session, w.messages[i], now(w), setting_.policy);
    must(next.act == Act::nothing || next.act == Act::write, "an alarm is refused");
    if (next.act != Act::write) return;
    must(next.blob == Blob::keep || next.blob == Blob::wipe, "an alarm writes a blob");
    if (next.then == Act::send) must(w.texts[i], "sent without its text");
    store(w, i, next);
    add(w);
  }

  void report(const World& before, std::size_t i, Outcome outcome, Failure failure,
              std::uint8_t sends) {
    World w = before;
    const Plan next = settle(w.session, w.messages[i], {outcome, failure, sends}, now(w));
    must(next.act == Act::acknowledge || next.act == Act::write, "a report is refused");
    if (next.act != Act::write) return;
    store(w, i, next);
    add(w);
  }

  void expand(const World& w) {
    for (std::size_t i = 0; i < setting_.messages; ++i) {
      const Message& m = w.messages[i];
      send(w, i);
      alarm(w, i);
      if (m.sends == 0) continue;
      report(w, i, Outcome::completed, Failure::none, m.sends);
      report(w, i, Outcome::undelivered, Failure::permanent, m.sends);
      if (!setting_.stale_writes) continue;
      report(w, i, Outcome::accepted, Failure::none, m.sends);
      report(w, i, Outcome::undelivered, Failure::unreachable, m.sends);
    }
    if (w.tick + 1U < clock_at.size()) {
      World later = w;
      later.tick = static_cast<std::uint8_t>(setting_.quick ? clock_at.size() - 1 : w.tick + 1U);
      add(later);
    }
  }

  /// From every state, whatever has crashed: everybody comes again, alarms go off, the agent works.
  /// The end must be the same for all that stored the same credentials in the same order.
  void settle_down(const World& from) {
    World w = from;
    w.held = {};
    for (unsigned round = 0; round < 40; ++round) {
      bool moved = false;
      for (std::size_t i = 0; i < setting_.messages; ++i) {
        for (unsigned turn = 0; turn < 4; ++turn) {
          const Plan next = ask(w, i);
          if (next.act == Act::acknowledge) w.answered[i] = true;
          if (next.act != Act::write) break;
          moved = true;
          store(w, i, next);
          if (next.then == Act::acknowledge) break;
        }
        const Plan due = drain(w.session, w.messages[i],
                               start.plus({2'000'000'000LL * (round + 1)}), setting_.policy);
        if (due.act == Act::write) {
          moved = true;
          store(w, i, due);
        }
        const Message& m = w.messages[i];
        const Plan done =
            settle(w.session, m, {Outcome::completed, Failure::none, m.sends}, now(w));
        if (done.act == Act::write) {
          moved = true;
          store(w, i, done);
        }
      }
      if (!moved) break;
    }
    ++ends;
    check(w);
    must(w.session.open == 0, "places stay taken");
    std::string end;
    for (std::size_t i = 0; i < setting_.messages; ++i) {
      const Message& m = w.messages[i];
      must(m.stage == Stage::done || m.stage == Stage::failed, "a message never ends");
      must(!m.marked, "a mark stays");
      must(m.credential != Credential::stored || was_stored(w, i),
           "its credential was never there");
      must((m.credential == Credential::stored) || setting_.senders[i].offered == Offer::none ||
               m.credential == Credential::superseded,
           "a credential is dropped");
      end += static_cast<char>('0' + static_cast<int>(m.credential));
    }
    std::string order(w.order.begin(), w.order.end());
    const auto [known, fresh] = ends_.emplace(order, end);
    must(fresh || known->second == end, "the same order, another end");
  }

  Setting setting_;
  std::array<std::string, max_messages> ids_;
  std::deque<World> queue_;
  std::unordered_set<std::string> seen_;
  std::map<std::string, std::string> ends_;
  std::string wrong_;
};

constexpr Sender brings{Offer::credential, 0};
constexpr Sender brings_none{Offer::none, 0};

Policy small_policy(std::uint8_t max_open, std::uint8_t max_sends) {
  Policy out;
  out.max_open = max_open;
  out.max_sends = max_sends;
  return out;
}

void explore(const Setting& setting) {
  Explorer explorer{setting};
  explorer.run();
  std::printf(
      "admission: %s: %zu states, %zu steps, closed; %zu quiet ends, %zu refusals, %zu lost "
      "writes, %zu lapsed marks\n",
      setting.name, explorer.states, explorer.steps, explorer.ends, explorer.refused, explorer.lost,
      explorer.lapsed);
  INFO(setting.name);
  CHECK(explorer.wrong() == "");
  CHECK(explorer.states > 100);
}

}  // namespace

TEST_CASE("T53 admission: every state of two messages, stale writes included") {
  explore({"two", 2, {{brings, brings}}, small_policy(2, 1), false, true});
  explore({"two, one place", 2, {{brings, brings}}, small_policy(1, 1), false, true});
  explore({"two, one without", 2, {{brings, brings_none}}, small_policy(2, 1), false, true});
}

TEST_CASE("T52 T53 admission: every order of three messages, crashes, retries and alarms") {
  explore({"three", 3, {{brings, brings, brings}}, small_policy(3, 1), true, false});
  explore(
      {"three, two places", 3, {{brings, brings, brings_none}}, small_policy(2, 1), false, false});
}

TEST_CASE("T53 admission: a message composed earlier never restores its credential") {
  const Sender first{Offer::credential, 1'000};
  const Sender second{Offer::credential, 2'000};
  const Sender third{Offer::credential, 3'000};
  explore({"composed", 3, {{first, second, third}}, small_policy(2, 1), false, false});
}

TEST_CASE("T54 admission: which token counts") {
  for (const auto kind : {Repository::github, Repository::gitlab}) {
    for (const std::string_view token : {"", "ghp_x", " ", "a\nb", "\xff"}) {
      CHECK(offer(kind, token) == Offer::none);
    }
    CHECK(offer(kind, std::string(max_token + 1, 'x')) == Offer::none);
  }
  const auto generic = [](std::string_view token) { return offer(Repository::generic_git, token); };
  // Empty is nothing, and never "clear".
  CHECK(generic("") == Offer::none);
  CHECK(generic({}) == Offer::none);
  CHECK(generic("x") == Offer::credential);
  CHECK(generic("pass word") == Offer::credential);
  CHECK(generic("p\xc3\xa4ss") == Offer::credential);
  CHECK(generic(std::string(max_token, 'x')) == Offer::credential);
  CHECK(generic(std::string(max_token + 1, 'x')) == Offer::malformed);
  for (const std::string_view token : {" ", "   ", "a\nb", "a\rb", "\x7f", "\xc2\x85", "\xff"}) {
    CHECK(generic(token) == Offer::malformed);
  }
  CHECK(generic(std::string_view{"a\0b", 3}) == Offer::malformed);
}

TEST_CASE("T54 admission: a message without a credential leaves the one that is stored") {
  const Stored first = admitted(candidate_of("a"), {});
  CHECK(first.session.version == 1);
  CHECK(first.session.current == id_of("a"));
  const Plan second = plan(candidate_of("b", Offer::none), first.session, {}, start);
  CHECK(second.act == Act::write);
  CHECK(second.blob == Blob::intent);
  CHECK(second.then == Act::acknowledge);
  CHECK(second.session.version == 1);
  CHECK(second.session.current == id_of("a"));
  CHECK(second.message.credential == Credential::none);
}

TEST_CASE("T53 admission: the order of the writes") {
  const Candidate in = candidate_of("a");
  const Plan marks = plan(in, {}, {}, start);
  CHECK(marks.act == Act::write);
  CHECK(marks.blob == Blob::credential);
  CHECK(marks.then == Act::nothing);
  CHECK(marks.epoch == 0);
  CHECK(marks.session.current == id_of("a"));
  CHECK(marks.message.stage == Stage::marked);
  CHECK(marks.message.marked);
  CHECK(marks.at == start.plus(seconds(900)));
  const Plan admits = plan(in, marks.session, marks.message, start);
  CHECK(admits.blob == Blob::intent);
  CHECK(admits.then == Act::nothing);
  CHECK(admits.epoch == 1);
  CHECK(admits.message.stage == Stage::queued);
  CHECK(admits.message.marked);
  CHECK(admits.session.open == 1);
  CHECK(admits.at == start.plus(seconds(1)));
  const Plan unmarks = plan(in, admits.session, admits.message, start);
  CHECK(unmarks.blob == Blob::keep);
  CHECK(unmarks.then == Act::acknowledge);
  CHECK_FALSE(unmarks.message.marked);
  CHECK(unmarks.session.epoch == 3);
  const Plan again = plan(in, unmarks.session, unmarks.message, start);
  CHECK(again.act == Act::acknowledge);
  CHECK(again.session == unmarks.session);
}

TEST_CASE("T52 admission: validation in its order, and a refusal is nothing but a code") {
  struct Fault {
    Errc code;
    void (*make)(Candidate&);
  };
  static const std::string long_turn(max_turn + 1, 'x');
  const Fault faults[] = {
      {Errc::claim_invalid, [](Candidate& c) { c.id = ""; }},
      {Errc::turn_invalid, [](Candidate& c) { c.turn = " \n"; }},
      {Errc::mode_invalid, [](Candidate& c) { c.mode = "root"; }},
      {Errc::model_invalid, [](Candidate& c) { c.model = "c/three"; }},
      {Errc::credential_invalid, [](Candidate& c) { c.offer = Offer::malformed; }},
      {Errc::queue_full, [](Candidate&) {}},
  };
  Session full = admitted(candidate_of("first"), {}).session;
  for (char c = 'b'; full.open < 10; ++c) full = admitted(candidate_of({&c, 1}), full).session;
  unsigned wrong = 0;
  // Every subset: the first of its faults is the one that is told.
  for (unsigned set = 1; set < 64; ++set) {
    Candidate in = candidate_of("new");
    in.models = known_models;
    Errc expected = Errc::ok;
    for (unsigned i = 0; i < 6; ++i) {
      if ((set >> i & 1U) == 0) continue;
      faults[i].make(in);
      if (expected == Errc::ok) expected = faults[i].code;
    }
    const bool is_full = (set & 32U) != 0;
    const Session session = is_full ? full : Session{};
    const Plan refused = plan(in, session, {}, start);
    const bool nothing = refused.session == Session{} && refused.message == Message{} &&
                         refused.blob == Blob::keep && refused.at.value == 0;
    if (refused.act != Act::refuse || refused.code != expected || !nothing) ++wrong;
  }
  CHECK(wrong == 0);
  Candidate in = candidate_of("new");
  in.turn = std::string_view{long_turn}.substr(1);
  CHECK(plan(in, {}, {}, start).act == Act::write);
  in.turn = long_turn;
  CHECK(plan(in, {}, {}, start).code == Errc::turn_invalid);
  in.turn = "\xff";
  CHECK(plan(in, {}, {}, start).code == Errc::turn_invalid);
  // No modes at all: none is known. No models: all are.
  in = candidate_of("new");
  in.modes = {};
  CHECK(plan(in, {}, {}, start).code == Errc::mode_invalid);
  in = candidate_of("new");
  in.model = "any/model";
  CHECK(plan(in, {}, {}, start).act == Act::write);
  in.model = "a\nb";
  CHECK(plan(in, {}, {}, start).code == Errc::model_invalid);
  in = candidate_of("new");
  in.composed_at = start.plus(seconds(60));
  CHECK(plan(in, {}, {}, start).act == Act::write);
  in.composed_at = start.plus({60'001});
  CHECK(plan(in, {}, {}, start).code == Errc::claim_invalid);
}

TEST_CASE("admission: a queue of ten, and a mark holds its place") {
  Session session;
  for (char c = 'a'; c < 'a' + 9; ++c) session = admitted(candidate_of({&c, 1}), session).session;
  const Plan marks = plan(candidate_of("x"), session, {}, start);
  REQUIRE(marks.act == Act::write);
  CHECK(marks.session.open == 10);
  CHECK(plan(candidate_of("y"), marks.session, {}, start).code == Errc::queue_full);
  // Whoever has changed the credential is not refused for want of room.
  CHECK(plan(candidate_of("x"), marks.session, marks.message, start).act == Act::write);
}

TEST_CASE("admission: every stage, with the same intent and with another") {
  const Candidate same = candidate_of("a");
  Candidate other = same;
  other.turn = "do something else";
  const Stored queued = admitted(same, {});
  const auto sent = [&](bool marked) {
    Stored at = queued;
    at.message.marked = marked;
    at = after(drain(at.session, at.message, start.plus(seconds(2))));
    return at;
  };
  const auto settled = [&](bool marked, Outcome outcome) {
    Stored at = sent(marked);
    return after(settle(at.session, at.message, {outcome, Failure::none, 1}, start));
  };
  for (const bool marked : {false, true}) {
    for (const Stored& at : {sent(marked), settled(marked, Outcome::accepted)}) {
      CHECK(plan(other, at.session, at.message, start).code == Errc::message_conflict);
      const Plan again = plan(same, at.session, at.message, start);
      CHECK(again.act == (marked ? Act::write : Act::acknowledge));
      if (marked) CHECK(again.then == Act::acknowledge);
      CHECK(again.message.stage == at.message.stage);
    }
    for (const Outcome outcome : {Outcome::completed, Outcome::aborted}) {
      const Stored at = settled(marked, outcome);
      CHECK(at.session.open == 0);
      const Plan again = plan(same, at.session, at.message, start);
      if (marked) {
        // It ended before anybody was told that it had begun.
        CHECK(again.then == Act::acknowledge);
        CHECK(plan(other, at.session, at.message, start).code == Errc::message_conflict);
      } else {
        CHECK(again.code == Errc::message_ended);
        CHECK(plan(other, at.session, at.message, start).code == Errc::message_ended);
      }
      // A report that comes again changes nothing.
      for (const Outcome late : {Outcome::accepted, Outcome::undelivered, Outcome::completed}) {
        const Plan reported =
            settle(at.session, at.message, {late, Failure::unreachable, 1}, start);
        CHECK(reported.act == Act::acknowledge);
        CHECK(reported.message == at.message);
      }
    }
  }
  // The record of another message.
  CHECK(plan(candidate_of("b"), queued.session, queued.message, start).code == Errc::corrupt);
}

TEST_CASE(
    "T53 admission: a mark without its message lapses, and its credential is never stored again") {
  const Plan marks = plan(candidate_of("a"), {}, {}, start);
  const auto at = [&](std::int64_t ms) {
    return drain(marks.session, marks.message, start.plus({ms}));
  };
  CHECK(at(0).act == Act::nothing);
  CHECK(at(899'999).act == Act::nothing);
  CHECK(at(899'999).at == start.plus(seconds(900)));
  REQUIRE(at(900'000).act == Act::write);
  // A clock that was wrong by more than that holds nothing.
  CHECK(drain(marks.session, marks.message, UnixMillis{1}).act == Act::write);
  const Stored lapsed = after(at(900'000));
  CHECK(lapsed.message.stage == Stage::lapsed);
  CHECK(lapsed.session.open == 0);
  const Plan again = plan(candidate_of("a"), lapsed.session, lapsed.message, start);
  CHECK(again.blob == Blob::intent);
  CHECK(again.session.version == 1);
  CHECK(again.then == Act::acknowledge);
}

TEST_CASE("admission: waits by class, and when attempts begin anew") {
  const std::map<Failure, std::vector<int>> ladders{
      {Failure::interrupted, {2}},
      {Failure::starting, {5}},
      {Failure::unreachable, {10, 30, 60}},
      {Failure::setup_failed, {15, 45}},
      {Failure::rate_limited, {120}},
      {Failure::overloaded, {30, 60, 120}},
      {Failure::permanent, {}},
  };
  const auto anew = [](Failure f) {
    return f == Failure::rate_limited || f == Failure::overloaded;
  };
  unsigned wrong = 0;
  std::mt19937 random{53};
  for (unsigned run = 0; run < 4'000; ++run) {
    Stored at = admitted(candidate_of("a"), {});
    UnixMillis now = start.plus(seconds(1));
    std::size_t attempts = 0;
    Failure before = Failure::none;
    for (unsigned n = 1; n <= 20; ++n) {
      const Plan sends = drain(at.session, at.message, now);
      if (sends.then != Act::send || sends.message.sends != n) ++wrong;
      at = after(sends);
      const auto failure = static_cast<Failure>(1 + random() % 7);
      const std::vector<int>& waits = ladders.at(failure);
      if (anew(failure) && !anew(before)) attempts = 0;
      before = failure;
      const std::uint8_t last = at.message.sends;
      if (last > 1) {
        const Report late{Outcome::undelivered, failure, static_cast<std::uint8_t>(last - 1)};
        if (settle(at.session, at.message, late, now).act != Act::acknowledge) ++wrong;
      }
      const Plan told = settle(at.session, at.message, {Outcome::undelivered, failure, last}, now);
      at = after(told);
      ++attempts;
      // Told twice is told once.
      if (settle(at.session, at.message, {Outcome::undelivered, failure, last}, now).act !=
          Act::acknowledge) {
        ++wrong;
      }
      if (attempts > waits.size()) {
        if (at.message.stage != Stage::failed || told.blob != Blob::wipe) ++wrong;
        break;
      }
      const UnixMillis due = now.plus(seconds(waits[attempts - 1]));
      if (at.message.stage != Stage::queued || told.at != due) ++wrong;
      if (drain(at.session, at.message, due.plus({-1})).act != Act::nothing) ++wrong;
      now = due;
    }
    // Classes that take turns do not go on for ever.
    if (at.message.stage == Stage::queued) {
      at = after(drain(at.session, at.message, now));
      if (at.message.stage != Stage::failed || at.message.sends != 20) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("admission: classes that take turns do not go on for ever") {
  Stored at = admitted(candidate_of("a"), {});
  UnixMillis now = start.plus(seconds(1));
  unsigned sends = 0;
  while (at.message.stage == Stage::queued && sends < 100) {
    at = after(drain(at.session, at.message, now));
    if (at.message.stage != Stage::queued) break;
    ++sends;
    const Failure failure = sends % 2 == 0 ? Failure::overloaded : Failure::unreachable;
    const Report report{Outcome::undelivered, failure, at.message.sends};
    at = after(settle(at.session, at.message, report, now));
    now = now.plus(seconds(200));
  }
  CHECK(sends == 20);
  CHECK(at.message.stage == Stage::failed);
  CHECK(at.session.open == 0);
}

TEST_CASE("T53 admission: no credential in any plan") {
  const std::string canary = "canary-4f1d9c7a-credential";
  Candidate in = candidate_of("a", offer(Repository::generic_git, canary));
  Stored at;
  unsigned found = 0;
  unsigned credentials = 0;
  for (unsigned turn = 0; turn < 4; ++turn) {
    const Plan next = plan(in, at.session, at.message, start);
    if (next.blob == Blob::credential) ++credentials;
    std::string bytes(sizeof next, '\0');
    std::memcpy(bytes.data(), &next, sizeof next);
    for (std::size_t i = 0; i + 4 <= canary.size(); ++i) {
      if (bytes.find(canary.substr(i, 4)) != std::string::npos) ++found;
    }
    if (next.act != Act::write) break;
    at = after(next);
  }
  CHECK(found == 0);
  CHECK(credentials == 1);
}

TEST_CASE("admission: records of every kind, and bytes that are none") {
  std::mt19937 random{54};
  unsigned wrong = 0;
  unsigned sound = 0;
  const Stored good = admitted(candidate_of("a"), {});
  const auto look = [&](const Session& session, const Message& message) {
    const UnixMillis now{static_cast<std::int64_t>(random() * (random() % 2'000'000))};
    const Report report{static_cast<Outcome>(1 + random() % 4), static_cast<Failure>(random() % 8),
                        static_cast<std::uint8_t>(random() % 4)};
    for (const Plan& plan : {admission::plan(candidate_of("a"), session, message, now),
                             drain(session, message, now), settle(session, message, report, now)}) {
      if (plan.act == Act::refuse) continue;
      ++sound;
      if (plan.act != Act::write) continue;
      if (!survives(plan.session) || !survives(plan.message)) ++wrong;
      if (plan.epoch != session.epoch || plan.session.epoch != session.epoch + 1) ++wrong;
      if (plan.session.version < session.version) ++wrong;
      if ((plan.blob == Blob::credential) != (plan.session.version > session.version)) ++wrong;
    }
  };
  for (unsigned run = 0; run < 100'000; ++run) {
    std::string session = bytes_of_record(good.session);
    std::string message = bytes_of_record(good.message);
    for (std::string* bytes : {&session, &message}) {
      for (auto n = random() % 3; n > 0; --n) {
        char& byte = (*bytes)[random() % bytes->size()];
        byte = static_cast<char>(byte ^ (1 << random() % 8));
      }
    }
    const auto s = decode_session(latchkey::bytes_of(session));
    const auto m = decode_message(latchkey::bytes_of(message));
    if (s && m) look(*s, *m);
    Session odd;
    std::memcpy(static_cast<void*>(&odd), session.data() + 1, session_size - 1);
    Message strange = good.message;
    // What cannot be stored is refused too, and no bool is anything but one.
    strange.stage = static_cast<Stage>(random() % 9);
    strange.number = random() % 3;
    strange.sends = static_cast<std::uint8_t>(random() % 3);
    strange.marked = random() % 2 == 0;
    look(odd, strange);
  }
  CHECK(wrong == 0);
  CHECK(sound > 10'000);
  for (std::size_t size = 0; size < 200; ++size) {
    const std::vector<std::uint8_t> bytes(size, 0xa1);
    CHECK_FALSE(decode_session(bytes));
    CHECK_FALSE(decode_message(bytes));
  }
}

TEST_CASE("admission: an intent is its three parts, wherever one ends") {
  std::set<std::array<std::uint8_t, 32>> seen;
  for (const auto& [turn, mode, model] :
       std::vector<std::array<std::string_view, 3>>{{"ab", "c", "d"},
                                                    {"a", "bc", "d"},
                                                    {"a", "b", "cd"},
                                                    {"a", "b", "ce"},
                                                    {"a", "c", "cd"},
                                                    {"b", "b", "cd"},
                                                    {"abc", "d", ""},
                                                    {"", "abc", "d"},
                                                    {"", "", "abcd"}}) {
    Candidate in = candidate_of("a");
    in.turn = turn;
    in.mode = mode;
    in.model = model;
    seen.insert(intent_of(in).bytes);
  }
  CHECK(seen.size() == 9);
}
