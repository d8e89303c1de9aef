/// Whose connection a request is about: the person's own, or the organisation's.
#pragma once

#include "latchkey/types.hpp"

namespace latchkey::scope {

inline constexpr std::size_t max_id = 255;

enum class Scope : std::uint8_t { user = 1, org = 2 };

/// Why a target was chosen.
enum class Rule : std::uint8_t {
  org_admin = 1,  ///< an owner or admin acts for the organisation
  no_org = 2,  ///< no organisation is active
  role_is_member = 3,  ///< the role does not permit acting for the organisation
  asked_for_self = 4,  ///< the person asked for a connection of their own
  own_account = 5,  ///< a person ends their own account
  on_behalf = 6,  ///< the application ends one
};

/// Who is acting. `org` and `role` may be empty, which means none, or that they could not be found
/// out: writing then narrows to the person.
struct Facts {
  std::string_view subject;
  std::string_view org;
  std::string_view role;
};

struct Target {
  Scope scope{Scope::user};
  std::string_view id;  ///< the subject, or the organisation
  Rule rule{Rule::no_org};
};

/// Returns the name of a value as JavaScript sees it.
[[nodiscard]] std::string_view to_string(Scope scope) noexcept;
[[nodiscard]] std::string_view to_string(Rule rule) noexcept;

/// Chooses whose connection is written or deleted.
///
///   | org  | role                       | target   | rule             |
///   | ---- | -------------------------- | -------- | ---------------- |
///   | some | exactly `owner` or `admin` | the org  | `org_admin`      |
///   | some | any other                  | the user | `role_is_member` |
///   | none | any                        | the user | `no_org`         |
///
/// @param facts  ids are 1..255 bytes of UTF-8 without control characters; the role is free text.
/// @return the target, with views into `facts`, or `claim_invalid` when the subject is missing or
/// an
///         id is not of that form.
[[nodiscard]] Result<Target> write_target(const Facts& facts) noexcept;

/// As `write_target`, for a caller who said whose connection it shall be.
///
/// Everybody may ask for their own; `write_target` decides about the organisation's.
///
/// @return the target, or `claim_invalid`, `not_allowed`.
[[nodiscard]] Result<Target> connect_target(const Facts& facts, Scope requested) noexcept;

/// Who asks for an erasure. A device acts for a person and ends nobody's account.
enum class Eraser : std::uint8_t { human = 1, service = 2, device = 3 };

/// Says whether everything kept for a person may be erased.
///
///   | who       | whose    | target   | rule          |
///   | --------- | -------- | -------- | ------------- |
///   | a human   | theirs   | the user | `own_account` |
///   | a service | anyone's | the user | `on_behalf`   |
///   | all else  |          | none     |               |
///
/// @param subject  who is calling.
/// @param id       whose account it is; both are 1..255 bytes of UTF-8 without control characters.
/// @return the target, with a view into `id`, or `claim_invalid`, `not_allowed`.
[[nodiscard]] Result<Target> erase_target(std::string_view subject, Eraser kind,
                                          std::string_view id) noexcept;

}  // namespace latchkey::scope
