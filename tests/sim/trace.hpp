/// What happened, as plain records: a hash over them, and text for a person.
#pragma once

#include "provider.hpp"
#include "random.hpp"

#include <vector>

namespace latchkey::sim {

enum class What : std::uint8_t {
  begin,  ///< a: task, b: isolate
  step,  ///< a: event, b: phase before and after, c: row version and epoch
  read,  ///< a: what was seen, b: version, c: epoch
  write,  ///< a: blobs, b: version, c: epoch
  applied,  ///< as above
  unapplied,  ///< the condition did not hold; b: version, c: epoch of what is stored
  row,  ///< b, c: a hash of the bytes that were written
  wait,  ///< b: how long
  send,  ///< a: 1 for a probe, b: request, c: refresh token
  commit,  ///< a: 1 for a replay, b: request, c: new refresh token
  reply,  ///< a: class, b: request, c: doubt
  introspect,  ///< a: 1 when it says active, 2 when nothing came back; b: request
  abort,  ///< b: request
  serve,  ///< a: source, b: version, c: access token
  refuse,  ///< a: outcome, b: cause
  done,  ///< a: task, b: receipt
  notify,  ///< a: news, b: cause, c: version
  arm,  ///< b: how far ahead
  alarm,
  ask_revoke,  ///< c: refresh token
  revoked,  ///< a: answer
  crash,  ///< a: crash point, b: isolate
  fault,  ///< a: fault
  consent,  ///< b: grant, c: lineage
  withdraw,  ///< b: grant
  hook,  ///< b: the grant it is about
  touch,  ///< b: version, c: epoch
  rewrap,  ///< b: key
  clock,  ///< a: isolate, b: skew from now on
  mirror,  ///< a: 0 directory, 1 mirror; b: version, c: epoch
  quiet,  ///< faults stop
  violation,  ///< a: invariant
  count_,
};

struct Record {
  Time at{0};
  std::uint64_t b{0};
  std::uint64_t c{0};
  What what{What::begin};
  std::uint8_t who{0};
  std::uint8_t connection{0};
  std::uint8_t a{0};
};

class Trace {
public:
  void reset(std::uint64_t seed, bool keeps) {
    hash_ = mix(seed);
    keeps_ = keeps;
    records_.clear();
  }
  void add(const Record& record) {
    const std::uint64_t head =
        static_cast<std::uint64_t>(record.what) | std::uint64_t{record.who} << 8 |
        std::uint64_t{record.connection} << 16 | std::uint64_t{record.a} << 24;
    std::uint64_t h = hash_;
    h = (h ^ head) * 0x9fb21c651e98df25ULL;
    h = (h ^ (h >> 28) ^ static_cast<std::uint64_t>(record.at)) * 0xa0761d6478bd642fULL;
    h = (h ^ (h >> 31) ^ record.b) * 0xe7037ed1a0b428dbULL;
    h = (h ^ (h >> 29) ^ record.c) * 0x8ebc6af09c88c6e3ULL;
    hash_ = h ^ (h >> 32);
    if (keeps_) records_.push_back(record);
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] const std::vector<Record>& records() const noexcept { return records_; }

private:
  std::uint64_t hash_{0};
  bool keeps_{false};
  std::vector<Record> records_;
};

/// One line for a person; its length, without the terminator.
std::size_t format(const Record& record, char* out, std::size_t size) noexcept;

}  // namespace latchkey::sim
