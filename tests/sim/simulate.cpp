// The simulator for a person at a terminal, and for the tables of the documentation; `--help` tells
// its options.
#include "baselines.hpp"
#include "scenarios.hpp"
#include "sim.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

namespace {

using namespace latchkey::sim;
using Seed = std::uint64_t;

/// Of one core, for this program: what else the machine does is not counted.
double core_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// JSON, as far as it is needed here: objects, lists, numbers and text without special characters.
class Json {
public:
  void open(char bracket, const char* key = nullptr) {
    begin(key);
    text_ += bracket;
    first_ = true;
  }
  void close(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void put(const char* key, std::uint64_t value) {
    begin(key);
    text_ += std::to_string(value);
  }
  void put(const char* key, double value) {
    char out[40];
    std::snprintf(out, sizeof out, "%.4f", value);
    begin(key);
    text_ += out;
  }
  void put(const char* key, const char* value) {
    begin(key);
    text_ += '"';
    text_ += value;
    text_ += '"';
  }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
  void begin(const char* key) {
    if (!first_) text_ += ',';
    first_ = false;
    if (key == nullptr) return;
    text_ += '"';
    text_ += key;
    text_ += "\":";
  }
  std::string text_{};
  bool first_{true};
};

void put(Json& json, const Counts& counts) {
  json.open('{', "counts");
  for (std::size_t i = 0; i < count_count; ++i) {
    json.put(name(static_cast<Count>(i)), counts.counts[i]);
  }
  json.close('}');
}

struct Session {
  std::unique_ptr<World> world{std::make_unique<World>()};
  Json json{};
  bool good{true};
};

/// The last `most` records, as text.
void print_trace(const World& world, std::size_t most) {
  char line[256];
  const std::vector<Record>& records = world.trace();
  const std::size_t from = records.size() > most ? records.size() - most : 0;
  if (from > 0) std::printf("  (%zu records before)\n", from);
  for (std::size_t i = from; i < records.size(); ++i) {
    if (records[i].what == What::row) continue;
    format(records[i], line, sizeof line);
    std::puts(line);
  }
}

void describe_world(const World& world) {
  const Config& config = world.config();
  std::printf("  provider %s%s, %s, %u isolates, %u connections, tokens live %lld s\n",
              name(config.facts.rotation),
              config.traits.rotation == config.facts.rotation ? "" : " (not known to be)",
              name(config.store), config.isolates, config.connections,
              static_cast<long long>(config.facts.lifetime / 1000));
  std::printf("  faults:");
  for (std::size_t i = 0; i < fault_count; ++i) {
    const auto rate = static_cast<double>(config.rate[i]) / 100;
    if (config.rate[i] > 0) std::printf(" %s %.1f%%", name(static_cast<Fault>(i)), rate);
  }
  std::printf("; clocks up to %lld ms off\n", static_cast<long long>(config.skew));
}

/// Runs a seed that failed once more and tells all of it.
void report(Session& session, Seed seed, Options options) {
  options.keeps_trace = true;
  World& world = *session.world;
  world.run(seed, options);
  describe_world(world);
  print_trace(world, 120);
  const Violation& it = world.violation();
  std::printf("seed %" PRIu64 ": VIOLATION of %s (%s): %s\n", seed, name(it.invariant),
              sentence(it.invariant), it.what);
  if (options.adjust == nullptr) {
    std::printf("all of it: npm run sim -- --seed %" PRIu64 " --trace\n", seed);
  }
}

bool is_same_twice(World& world, Seed seed, const Options& options) {
  world.run(seed, options);
  const std::uint64_t hash = world.hash();
  world.run(seed, options);
  return hash == world.hash();
}

// Seeds ------------------------------------------------------------------------------------------

void run_seeds(Session& session, Seed from, Seed count) {
  World& world = *session.world;
  Counts sum;
  std::uint64_t hash = 0;
  Seed bad = 0;
  Seed first_bad = 0;
  const double start = core_seconds();
  for (Seed seed = from; seed < from + count; ++seed) {
    world.run(seed, {});
    sum.add(world.counts());
    hash = mix(hash ^ world.hash());
    const Violation& it = world.violation();
    if (it.invariant == Invariant::none) continue;
    if (bad++ == 0) first_bad = seed;
    if (bad > 20) continue;
    std::printf("seed %" PRIu64 ": VIOLATION of %s: %s\n", seed, name(it.invariant), it.what);
  }
  const double took = std::max(core_seconds() - start, 1e-9);
  Seed again = 0;
  for (Seed seed = from; seed < from + count; seed += 100, ++again) {
    if (is_same_twice(world, seed, {})) continue;
    std::printf("seed %" PRIu64 ": VIOLATION of I11: %s\n", seed, sentence(Invariant::determinism));
    ++bad;
  }

  const auto steps = static_cast<double>(sum[Count::steps]);
  std::printf("%" PRIu64 " seeds in %.1f s of a core, hash %016" PRIx64 ": %" PRIu64
              " violations\n",
              count, took, hash, bad);
  std::printf("  %.2f million steps, %.2f million events, %.2f million steps a second\n",
              steps / 1e6, static_cast<double>(sum[Count::events]) / 1e6, steps / 1e6 / took);
  for (std::size_t i = 2; i < count_count; ++i) {
    std::printf("  %-18s %10" PRIu64 "%s", name(static_cast<Count>(i)), sum.counts[i],
                i % 3 == 1 ? "\n" : "");
  }
  std::printf("\n  faults\n");
  for (std::size_t i = 0; i < fault_count; ++i) {
    std::printf("  %-18s %10" PRIu64 "%s", name(static_cast<Fault>(i)), sum.faults[i],
                i % 3 == 2 ? "\n" : "");
  }
  std::printf("  crash points\n");
  for (std::size_t i = 1; i < crash_point_count; ++i) {
    std::printf("  %-40s %8" PRIu64 "\n", name(static_cast<CrashPoint>(i)), sum.crashes[i]);
  }
  const double ratio = static_cast<double>(sum[Count::calm_sends]) /
                       static_cast<double>(std::max<std::uint64_t>(sum[Count::calm_pairs], 1));
  std::printf("  without faults: %.4f token requests for one that was needed\n", ratio);
  if (ratio > 1.05) {
    std::printf("VIOLATION of I12: %s\n", sentence(Invariant::bounded_calls));
    ++bad;
  }
  for (std::size_t i = 0; i < fault_count; ++i) {
    if (count < 10'000 || sum.faults[i] > 0) continue;
    std::printf("the fault %s never came\n", name(static_cast<Fault>(i)));
    ++bad;
  }
  for (std::size_t i = 1; i < crash_point_count; ++i) {
    if (count < 10'000 || sum.crashes[i] > 0) continue;
    std::printf("%s never came\n", name(static_cast<CrashPoint>(i)));
    ++bad;
  }
  if (first_bad != 0) report(session, first_bad, {});
  session.good = session.good && bad == 0;

  char text[20];
  std::snprintf(text, sizeof text, "%016" PRIx64, hash);
  Json& json = session.json;
  json.open('{', "seeds");
  json.put("from", from);
  json.put("count", count);
  json.put("hash", text);
  json.put("violations", bad);
  json.put("steps_per_second", steps / took);
  json.put("calls_per_need", ratio);
  json.put("run_twice", again);
  put(json, sum);
  json.open('{', "faults");
  for (std::size_t i = 0; i < fault_count; ++i) {
    json.put(name(static_cast<Fault>(i)), sum.faults[i]);
  }
  json.close('}');
  json.open('{', "crash_points");
  for (std::size_t i = 1; i < crash_point_count; ++i) {
    json.put(name(static_cast<CrashPoint>(i)), sum.crashes[i]);
  }
  json.close('}');
  json.close('}');
}

void run_scenarios(Session& session) {
  World& world = *session.world;
  session.json.open('[', "scenarios");
  for (std::size_t i = 0; i < scenario_count(); ++i) {
    const Scenario& it = scenario(i);
    Options options;
    options.adjust = it.adjust;
    Counts sum;
    Seed bad = 0;
    for (Seed seed = 1; seed <= seeds_of_scenario && bad == 0; ++seed) {
      world.run(seed, options);
      sum.add(world.counts());
      if (world.violation().invariant != Invariant::none) bad = seed;
    }
    const bool good = bad == 0 && it.holds(sum);
    std::printf("  %s pain %-3s %-42s %s\n", good ? "ok  " : "FAIL", it.pain, it.upstream, it.what);
    if (bad != 0) report(session, bad, options);
    if (!good) {
      for (std::size_t k = 0; k < count_count; ++k) {
        if (sum.counts[k] == 0) continue;
        std::printf("       %s %" PRIu64 "\n", name(static_cast<Count>(k)), sum.counts[k]);
      }
    }
    session.good = session.good && good;
    session.json.open('{');
    session.json.put("pain", it.pain);
    session.json.put("upstream", it.upstream);
    session.json.put("what", it.what);
    session.json.put("holds", std::uint64_t{good});
    put(session.json, sum);
    session.json.close('}');
  }
  session.json.close(']');
}

// Bugs -------------------------------------------------------------------------------------------

constexpr Seed bound = 10'000;

bool is_sound(World& world, Seed seed) {
  world.run(seed, {});
  return world.violation().invariant == Invariant::none;
}

/// How many seeds from `from` on it takes to find a bug; `bound` + 1: it is not found.
Seed seeds_to_find(World& world, Bug bug, Seed from, Invariant& by) {
  Options options;
  options.bug = bug;
  for (Seed i = 0; i < bound; ++i) {
    world.run(from + i, options);
    by = world.violation().invariant;
    // What goes wrong without the bug is not its doing.
    if (by != Invariant::none && is_sound(world, from + i)) return i + 1;
    if (bug == Bug::unseeded_randomness && !is_same_twice(world, from + i, options)) {
      by = Invariant::determinism;
      return i + 1;
    }
  }
  return bound + 1;
}

void run_bugs(Session& session) {
  constexpr Seed starts[] = {1, 1'000'000, 2'000'000, 3'000'000, 4'000'000};
  std::array<Seed, bug_count> medians{};
  std::array<std::uint64_t, invariant_count> fired{};
  Seed worst = 0;
  std::size_t found = 0;
  session.json.open('[', "bugs");
  for (std::size_t b = 1; b < bug_count; ++b) {
    const auto bug = static_cast<Bug>(b);
    std::array<Seed, std::size(starts)> takes{};
    Invariant by{};
    for (std::size_t i = 0; i < std::size(starts); ++i) {
      Invariant here{};
      takes[i] = seeds_to_find(*session.world, bug, starts[i], here);
      if (i == 0) by = here;
      if (here != Invariant::none) ++fired[static_cast<std::size_t>(here)];
    }
    std::sort(takes.begin(), takes.end());
    const Seed median = takes[std::size(starts) / 2];
    const bool always = takes.back() <= bound;
    medians[b - 1] = median;
    worst = std::max(worst, takes.back());
    if (always) ++found;
    const BugInfo& it = info(bug);
    std::printf("  %s %-28s %-44s by %-4s after %5" PRIu64 " seeds (at most %" PRIu64 ")\n",
                always ? "found" : "MISSED", it.name, it.upstream, name(by), median, takes.back());
    session.json.open('{');
    session.json.put("name", it.name);
    session.json.put("upstream", it.upstream);
    session.json.put("what", it.what);
    session.json.put("invariant", name(by));
    session.json.put("median", median);
    session.json.put("worst", takes.back());
    session.json.close('}');
  }
  session.json.close(']');
  std::sort(medians.begin(), medians.begin() + (bug_count - 1));
  const Seed median = medians[(bug_count - 1) / 2];
  std::printf("%zu of %zu bugs found; seeds: median %" PRIu64 ", worst %" PRIu64 "\n", found,
              bug_count - 1, median, worst);
  bool all = true;
  for (std::size_t i = 1; i < invariant_count; ++i) {
    if (fired[i] > 0) continue;
    std::printf("%s was never seen to fire\n", name(static_cast<Invariant>(i)));
    all = false;
  }
  session.good = session.good && all && found == bug_count - 1 && median <= 100 && worst <= bound;
}

// Baselines --------------------------------------------------------------------------------------

double per_thousand(std::uint64_t n, std::uint64_t of) {
  return of == 0 ? 0 : 1000 * static_cast<double>(n) / static_cast<double>(of);
}

Counts measure(Session& session, const Options& options, Seed count) {
  World& world = *session.world;
  Counts sum;
  for (Seed seed = 1; seed <= count; ++seed) {
    world.run(seed, options);
    sum.add(world.counts());
    if (!options.audits || world.violation().invariant == Invariant::none) continue;
    session.good = false;
    report(session, seed, options);
    break;
  }
  return sum;
}

/// One line; `needed` refreshes there were, by the protocol that makes no other.
void print_losses(Session& session, const char* who, const Counts& sum, std::uint64_t needed) {
  std::printf("  %-24s", who);
  const std::uint64_t lost = sum[Count::lost];
  const std::uint64_t values[] = {sum[Count::sends],         sum[Count::replays],
                                  sum[Count::grants_killed], lost,
                                  sum[Count::given_up],      lost - sum[Count::lost_labelled]};
  for (const std::uint64_t value : values) std::printf(" %9.1f", per_thousand(value, needed));
  std::printf(" %9.1f\n", per_thousand(sum[Count::failed], sum[Count::callers]));
  session.json.open('{');
  session.json.put("name", who);
  put(session.json, sum);
  session.json.close('}');
}

void compare(Session& session, const char* key, const char* title, void (*adjust)(Config&) noexcept,
             Seed count) {
  std::printf("%s, %" PRIu64 " seeds, the same for all\n  %-24s", title, count, "");
  for (const char* head :
       {"requests", "replays", "killed", "lost", "given up", "unnamed", "failed"}) {
    std::printf(" %9s", head);
  }
  std::printf("\n");
  session.json.open('[', key);
  Options options;
  options.adjust = adjust;
  const Counts ours = measure(session, options, count);
  const std::uint64_t needed = ours[Count::pairs_stored];
  print_losses(session, "latchkey", ours, needed);
  options.audits = false;
  for (std::size_t i = 0; i < baseline_count; ++i) {
    options.step = baseline(i).step;
    print_losses(session, baseline(i).name, measure(session, options, count), needed);
  }
  session.json.close(']');
}

void run_baselines(Session& session, Seed count) {
  std::printf("of 1,000 refreshes that were needed; failed: of 1,000 callers\n");
  session.json.open('{', "baselines");
  session.json.put("seeds", count);
  compare(session, "calm", "Eight callers, no faults", only_callers, count);
  compare(session, "slow", "Eight callers, a provider that takes 2 to 9 s now and then",
          callers_and_slowness, count);
  compare(session, "faults", "Eight callers, faults", callers_and_faults, count);
  session.json.close('}');
}

// Hashes -----------------------------------------------------------------------------------------

/// For other engines to be held against: of every thousand seeds from 1 on, one hash over all their
/// traces.
void print_hashes(Seed count) {
  constexpr Seed each = 1'000;
  for (Seed from = 1; from <= count; from += each) {
    const Seed n = std::min(each, count - from + 1);
    const std::uint64_t hash = sim_run_all(from, static_cast<std::uint32_t>(n));
    std::printf("%" PRIu64 " %" PRIu64 " %016" PRIx64 "\n", from, n, hash);
  }
}

// Options ----------------------------------------------------------------------------------------

constexpr const char* help =
    R"(The refresh protocol in simulated worlds: one seed, one course of events.

  --seeds N [--from S]  runs N worlds; the first that breaks an invariant is told
  --seed S [--trace]    runs one; with --trace tells all that happened in it
  --scenarios           complaints from public issues, each as worlds in which it would come true
  --bugs                plants bugs that were made elsewhere, and counts the seeds until each is found
  --baselines [N]       what other protocols lose in the same N worlds (2,000)
  --hashes N            of every thousand of N worlds one hash over their traces
  --json FILE           writes down what the others measured
)";

struct Wishes {
  Seed from{1};
  Seed seeds{0};
  Seed seed{0};
  Seed compared{0};
  Seed hashes{0};
  bool traces{false};
  bool scenarios{false};
  bool bugs{false};
  bool helps{false};
  const char* json{nullptr};
};

int refuse(const char* what, const char* option) {
  std::fprintf(stderr,
               "%s: %s; known: --seeds --from --seed --trace --scenarios --bugs --baselines "
               "--hashes --json --help\n",
               what, option);
  return 2;
}

/// A whole number from 1 up.
bool read_number(const char* text, Seed& out) {
  if (text == nullptr || *text < '0' || *text > '9') return false;
  char* end = nullptr;
  errno = 0;
  out = std::strtoull(text, &end, 10);
  return errno == 0 && *end == '\0' && out > 0;
}

/// 0, or the exit code of a command that was not understood.
int read(int argc, char** argv, Wishes& wishes) {
  for (int i = 1; i < argc; ++i) {
    const char* const option = argv[i];
    const auto is = [&](const char* name) { return std::strcmp(option, name) == 0; };
    const auto value = [&] { return i + 1 < argc ? argv[i + 1] : nullptr; };
    Seed* number = nullptr;
    bool* flag = nullptr;
    if (is("--seeds")) number = &wishes.seeds;
    if (is("--from")) number = &wishes.from;
    if (is("--seed")) number = &wishes.seed;
    if (is("--hashes")) number = &wishes.hashes;
    if (is("--trace")) flag = &wishes.traces;
    if (is("--scenarios")) flag = &wishes.scenarios;
    if (is("--bugs")) flag = &wishes.bugs;
    if (is("--help")) flag = &wishes.helps;
    if (number != nullptr) {
      if (!read_number(value(), *number)) return refuse("a whole number from 1 up after", option);
      ++i;
    } else if (flag != nullptr) {
      *flag = true;
    } else if (is("--baselines")) {
      wishes.compared = 2'000;
      if (value() != nullptr && read_number(value(), wishes.compared)) ++i;
    } else if (is("--json")) {
      wishes.json = value();
      if (wishes.json == nullptr) return refuse("a file after", option);
      ++i;
    } else {
      return refuse("no such option", option);
    }
  }
  if (wishes.traces && wishes.seed == 0) return refuse("a seed before", "--trace");
  return 0;
}

void run_one(Session& session, Seed seed, bool traces) {
  Options options;
  options.keeps_trace = traces;
  World& world = *session.world;
  world.run(seed, options);
  describe_world(world);
  if (traces) print_trace(world, ~std::size_t{0});
  const Violation& it = world.violation();
  session.good = it.invariant == Invariant::none;
  std::printf("seed %" PRIu64 ", hash %016" PRIx64 ": %s%s\n", seed, world.hash(),
              session.good ? "all invariants hold" : it.what, session.good ? "" : " (violation)");
}

}  // namespace

int main(int argc, char** argv) {
  Wishes wishes;
  if (const int code = read(argc, argv, wishes); code != 0) return code;
  if (wishes.helps || argc == 1) {
    std::fputs(help, wishes.helps ? stdout : stderr);
    return wishes.helps ? 0 : 2;
  }
  Session session;
  session.json.open('{');
  if (wishes.hashes > 0) print_hashes(wishes.hashes);
  if (wishes.seed > 0) run_one(session, wishes.seed, wishes.traces);
  if (wishes.seeds > 0) run_seeds(session, wishes.from, wishes.seeds);
  if (wishes.scenarios) run_scenarios(session);
  if (wishes.bugs) run_bugs(session);
  if (wishes.compared > 0) run_baselines(session, wishes.compared);
  session.json.close('}');
  if (wishes.json != nullptr) {
    std::FILE* const file = std::fopen(wishes.json, "w");
    if (file == nullptr) return refuse("cannot write", wishes.json);
    std::fputs(session.json.text().c_str(), file);
    std::fputs("\n", file);
    std::fclose(file);
  }
  return session.good ? 0 : 1;
}
