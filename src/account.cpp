#include "latchkey/account.hpp"

#include "latchkey/answer.hpp"
#include "latchkey/json.hpp"
#include "latchkey/text.hpp"

#include <algorithm>

namespace latchkey::account {
namespace {

using json::Kind;
using json::Value;

constexpr std::size_t max_text = 255;

// A number is taken as it is written, so that no id is too large; a sign, a fraction or an exponent
// would give one id two spellings.
std::string_view id_text(const Value& member) noexcept {
  if (member.is(Kind::text)) return member.text();
  if (!member.is(Kind::integer) && !member.is(Kind::number)) return {};
  const std::string_view digits = member.node().text;
  const bool whole =
      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  return whole ? digits : std::string_view{};
}

template <std::size_t N>
Value first_said(const Value& object, const std::array<profile::Literal, N>& names) noexcept {
  for (const std::string_view name : names) {
    if (name.empty()) break;
    const Value member = object.member(name);
    if (answer::is_said(member)) return member;
  }
  return {};
}

}  // namespace

Result<Account> read(std::uint16_t status, std::string_view content_type, MutBytes body,
                     const profile::Profile& profile) noexcept {
  if (!answer::is_good(status)) return Errc::account_unreadable;
  json::Node nodes[answer::max_nodes];
  const auto answer = answer::read(content_type, body, nodes);
  if (!answer || answer->encoding != answer::Encoding::json) return Errc::account_unreadable;
  const Value object =
      profile.account_object.empty() ? answer->root : answer->root.member(profile.account_object);
  const std::string_view id = id_text(first_said(object, profile.account_id_members));
  if (!text::is_plain(id, max_text)) return Errc::account_unreadable;
  for (const std::string_view name : profile.account_label_members) {
    const std::string_view label = object.member(name).text();
    if (text::is_plain(label, max_text)) return Account{id, label};
  }
  return Account{id, id};
}

}  // namespace latchkey::account
