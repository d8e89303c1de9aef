#include "invariants.hpp"

#include <iterator>

namespace latchkey::sim {
namespace {

struct Text {
  const char* name;
  const char* sentence;
};

constexpr Text texts[] = {
    {"-", "nothing"},
    {"I1", "one token value, one spend; one labelled probe at most, and only in doubt"},
    {"I2", "versions and epochs only rise, and a login beats a late refresh"},
    {"I3", "nothing expired, superseded or revoked is served"},
    {"I4", "no healthy credential is called dead"},
    {"I5", "every caller gets one answer, and all is settled soon after faults stop"},
    {"I6", "after an acknowledged revocation no read gives a token, and receipts are true"},
    {"I7", "what has ended is wiped, what has not is kept"},
    {"I8", "nobody gets, or ends, what belongs to somebody else"},
    {"I9", "one sign-in, one connection"},
    {"I10", "no secret in anything that is logged"},
    {"I11", "the same seed gives the same trace"},
    {"I12", "no call to the provider that was not needed, and few for one token"},
    {"L", "nothing is lost but where nobody could have stored it, and that is named, soon"},
};
static_assert(std::size(texts) == invariant_count);

}  // namespace

const char* name(Invariant invariant) noexcept {
  return texts[static_cast<std::size_t>(invariant)].name;
}
const char* sentence(Invariant invariant) noexcept {
  return texts[static_cast<std::size_t>(invariant)].sentence;
}

}  // namespace latchkey::sim
