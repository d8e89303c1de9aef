#include "trace.hpp"

#include "bugs.hpp"
#include "counts.hpp"
#include "invariants.hpp"

#include <cstdio>

namespace latchkey::sim {
namespace {

using namespace refresh;

constexpr const char* events[] = {"nothing",  "begin",        "stored",
                                  "lost",     "store_failed", "store_unknown",
                                  "row_read", "reply",        "revocation"};
constexpr const char* tasks[] = {"nothing",         "fetch",      "rotate",
                                 "report_rejected", "alarm",      "login",
                                 "revoke",          "disconnect", "erase"};
constexpr const char* phases[] = {"begin",      "waiting",  "taking",  "sending",
                                  "storing",    "settling", "holding", "revoking",
                                  "discarding", "ending",   "ended"};
constexpr const char* seen[] = {"a row", "a record that does not open",
                                "nothing: the store did not answer"};
constexpr const char* blobs[] = {"keep", "pair", "access", "hold", "wipe", "login"};
constexpr const char* sources[] = {"stored", "refreshed", "joined", "kept"};
constexpr const char* outcomes[] = {
    "ok", "not_connected", "revoked", "reconnect_required", "temporarily_unavailable", "corrupt"};
constexpr const char* causes[] = {"none",           "refused",
                                  "lost_in_flight", "no_refresh_token",
                                  "token_rejected", "revoked_by_provider",
                                  "revoked_here",   "disconnected",
                                  "erased"};
constexpr const char* news[] = {"-",
                                "refreshed",
                                "lost_race",
                                "in_doubt",
                                "lost_in_flight",
                                "terminal",
                                "transient",
                                "operator_error",
                                "not_understood",
                                "refresh_token_missing",
                                "persist_failed",
                                "discarded",
                                "corrupt",
                                "healed"};
constexpr const char* classes[] = {
    "-", "a token", "terminal", "transient", "rate limited", "operator error", "not understood"};
constexpr const char* doubts[] = {"none", "answered", "silent"};
constexpr const char* revocations[] = {"-", "done", "refused", "unreachable", "unsupported"};

template <std::size_t n> const char* at(const char* const (&names)[n], std::uint64_t i) noexcept {
  return i < n ? names[i] : "?";
}

/// What happened, without when and to whom.
int describe(const Record& r, char* out, std::size_t size) noexcept {
  const auto b = static_cast<unsigned long long>(r.b);
  const auto c = static_cast<unsigned long long>(r.c);
  switch (r.what) {
  case What::begin: return std::snprintf(out, size, "wants: %s (isolate %llu)", at(tasks, r.a), b);
  case What::step:
    return std::snprintf(out, size, "step: %s, %s -> %s, at version %llu epoch %llu",
                         at(events, r.a), at(phases, r.b & 0xff), at(phases, r.b >> 8), c >> 16,
                         c & 0xffff);
  case What::read:
    return std::snprintf(out, size, "reads %s: version %llu epoch %llu", at(seen, r.a), b, c);
  case What::write:
    return std::snprintf(out, size, "writes (%s): version %llu epoch %llu", at(blobs, r.a), b, c);
  case What::applied:
    return std::snprintf(out, size, "STORED (%s): version %llu epoch %llu", at(blobs, r.a), b, c);
  case What::unapplied:
    return std::snprintf(out, size, "not stored, there is version %llu epoch %llu", b, c);
  case What::row: return std::snprintf(out, size, "row bytes %08llx%08llx", b, c);
  case What::wait: return std::snprintf(out, size, "waits %llu ms", b);
  case What::send:
    return std::snprintf(out, size, "SENDS refresh token #%llu, request %llu%s", c, b,
                         r.a != 0 ? ", a probe" : "");
  case What::commit:
    return std::snprintf(out, size, "PROVIDER acts on request %llu: token #%llu%s", b, c,
                         r.a != 0 ? ", A REPLAY" : "");
  case What::reply:
    return std::snprintf(out, size, "answer to request %llu: %s, doubt %s", b, at(classes, r.a),
                         at(doubts, r.c));
  case What::introspect: {
    constexpr const char* said[] = {"spent or ended", "unspent", "nothing"};
    return std::snprintf(out, size, "introspection of the token in request %llu: %s", b,
                         at(said, r.a));
  }
  case What::abort: return std::snprintf(out, size, "gives request %llu up", b);
  case What::serve:
    return std::snprintf(out, size, "SERVES version %llu, %s (access token #%llu)", b,
                         at(sources, r.a), c);
  case What::refuse:
    return std::snprintf(out, size, "REFUSES: %s, %s", at(outcomes, r.a), at(causes, r.b));
  case What::done:
    return std::snprintf(out, size, "done: %s; revoked %llu, deleted %llu, reason %llu",
                         at(tasks, r.a), b & 1, b >> 1 & 1, b >> 2);
  case What::notify:
    return std::snprintf(out, size, "news: %s, %s", at(news, r.a), at(causes, r.b));
  case What::arm: return std::snprintf(out, size, "sets an alarm in %llu ms", b);
  case What::alarm: return std::snprintf(out, size, "the alarm rings");
  case What::ask_revoke: return std::snprintf(out, size, "asks to revoke refresh token #%llu", c);
  case What::revoked: return std::snprintf(out, size, "revocation: %s", at(revocations, r.a));
  case What::crash:
    return std::snprintf(out, size, "CRASH of isolate %llu, %s", b,
                         r.a == 0 ? "evicted" : name(static_cast<CrashPoint>(r.a)));
  case What::fault: return std::snprintf(out, size, "fault: %s", name(static_cast<Fault>(r.a)));
  case What::consent:
    return std::snprintf(out, size, "a person consents: grant %llu, sign-in %llu", b, c);
  case What::withdraw: return std::snprintf(out, size, "a person revokes grant %llu there", b);
  case What::hook: return std::snprintf(out, size, "a webhook about grant %llu", b);
  case What::touch:
    return std::snprintf(out, size, "an unrelated write: version %llu epoch %llu", b, c);
  case What::rewrap: return std::snprintf(out, size, "sealed anew with key %llu, epoch %llu", b, c);
  case What::clock:
    return std::snprintf(out, size, "the clock of isolate %u is now %lld ms off", r.a,
                         static_cast<long long>(r.b));
  case What::mirror:
    return std::snprintf(out, size, "directory written: version %llu epoch %llu", b, c);
  case What::quiet: return std::snprintf(out, size, "faults are over");
  case What::violation: {
    const auto invariant = static_cast<Invariant>(r.a);
    return std::snprintf(out, size, "VIOLATION of %s: %s", name(invariant), sentence(invariant));
  }
  case What::count_: break;
  }
  return std::snprintf(out, size, "?");
}

}  // namespace

std::size_t format(const Record& record, char* out, std::size_t size) noexcept {
  const auto ms = static_cast<long long>(record.at);
  int used = std::snprintf(out, size, "%8lld.%03lld s  connection %u  ", ms / 1000, ms % 1000,
                           record.connection);
  const bool has_flow = record.who != 0xff;
  const auto rest = [&] { return size - static_cast<std::size_t>(used); };
  used += has_flow ? std::snprintf(out + used, rest(), "flow %-3u ", record.who)
                   : std::snprintf(out + used, rest(), "         ");
  used += describe(record, out + used, rest());
  return static_cast<std::size_t>(used) < size ? static_cast<std::size_t>(used) : size - 1;
}

}  // namespace latchkey::sim
