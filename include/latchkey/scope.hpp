/// Whose credential: where one is written, read and ended, by which rule, and who may see it.
///
/// Every decision takes who is calling as an argument of its own, never out of a row, and returns
/// the path of rules that led to it. A row is only ever chosen for the place it was asked for by,
/// so that a row of somebody else is nothing.
#pragma once

#include "latchkey/policy.hpp"
#include "latchkey/types.hpp"

#include <array>

namespace latchkey::scope {

inline constexpr std::size_t max_id = 255;

/// What a decision followed. Numbers are frozen.
enum class Rule : std::uint8_t {
  org_admin = 1,  ///< an owner or admin acts for the organisation
  no_org = 2,  ///< no organisation is active
  role_is_member = 3,  ///< the role does not permit acting for the organisation
  asked_for_self = 4,  ///< the person asked for a connection of their own
  own_account = 5,  ///< a person ends their own account
  on_behalf = 6,  ///< the application ends one

  found = 7,  ///< a complete credential lies there
  absent = 8,  ///< nothing was ever kept there
  incomplete = 9,  ///< a part of a credential, which is none
  rejected = 10,  ///< the provider refused it less than 15 minutes ago
  revoked = 11,  ///< there was one and it was ended
  lookup_failed = 12,  ///< the organisation could not be found out
  no_subject = 13,  ///< nobody is signed in
  personal_only = 14,  ///< only the person's own may be used
  fallback_off = 15,  ///< the deployment's may not be used
  foreign = 16,  ///< a row of somebody else was handed in and passed over

  clears_target = 17,  ///< what was there goes first, so that no optional part outlives it
  clears_shadow = 18,  ///< the writer's own goes too: it would be read before the organisation's
  writes_all = 19,  ///< the whole set is written at one place

  not_registered = 20,  ///< there is no secret of that name
  wrong_kind = 21,  ///< it is connected, not typed in
  value_empty = 22,  ///< the value has nothing but blanks
  value_refused = 23,  ///< the validator refused the value
  write_failed = 24,  ///< storage refused the value
  device_may_not = 25,  ///< devices change nothing
  other_org = 26,  ///< it belongs to another organisation
  own = 27,  ///< it is the caller's own

  is_public = 28,  ///< everybody may see it
  is_private = 29,  ///< its organisation alone may see it
  kind_is_private = 30,  ///< of a kind that is never public

  one_installation = 31,  ///< exactly one fits
  no_installation = 32,  ///< none fits
  several_installations = 33,  ///< more than one fits, and none is picked
  other_installation = 34,  ///< the one that fits is not the one expected
  suspended = 35,  ///< the one that fits is suspended or blocked

  user_token = 36,  ///< the person's token
  pinned_user = 37,  ///< pinned to the person: never the app instead
  pinned_installation = 38,  ///< pinned to the app
  user_not_allowed = 39,  ///< acting as the person is switched off
  lite_installation = 40,  ///< the lite app never acts as a person
  insufficient_user_access = 41,  ///< the token would not be allowed to write
  no_user_authorization = 42,  ///< the person never connected
  user_revoked = 43,  ///< the person's connection was ended
  refresh_failed = 44,  ///< the person's token could not be refreshed
  credential_unreadable = 45,  ///< what is stored for the person does not open
  credential_misconfigured = 46,  ///< the keys for it are not configured

  downgraded = 47,  ///< from now on the app acts
  downgraded_before = 48,  ///< the app has been acting since an earlier failure
  needs_installation = 49,  ///< an installation has to be looked up before the app may act

  member_left = 50,  ///< a grant for an organisation its owner left
  author_left = 51,  ///< the organisation's, made with the account of somebody who left
  not_theirs = 52,  ///< somebody else's
  elsewhere = 53,  ///< not of this organisation

  device_bound = 54,  ///< the device that the token names
  device_unbound = 55,  ///< an old token that names none: the body was believed
  device_mismatch = 56,  ///< not the device that the run is for

  refused = 57,  ///< it has to be connected again before it can be used
  unanswered = 58,  ///< what is kept there could not be read just now
  not_asked = 59,  ///< another owner's was asked for
  never_read = 60,  ///< the policy of its provider never reads it there
};
inline constexpr std::uint8_t rule_count = 60;

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

/// One rule that was followed, and about whose credential; `Scope{}` where it is about none.
struct Step {
  Rule rule{};
  Scope scope{};
};

/// The rules of one decision, in the order in which they were followed. The last one decided.
class Path {
public:
  static constexpr std::size_t capacity = 12;

  constexpr void add(Rule rule, Scope scope = {}) noexcept {
    LK_CHECK(size_ < capacity);
    steps_[size_++] = {rule, scope};
  }
  [[nodiscard]] constexpr std::span<const Step> steps() const noexcept {
    LK_CHECK(size_ <= capacity);
    return {steps_, size_};
  }
  [[nodiscard]] constexpr Rule last() const noexcept {
    LK_CHECK(size_ > 0 && size_ <= capacity);
    return steps_[size_ - 1].rule;
  }

private:
  Step steps_[capacity]{};
  std::uint8_t size_{0};
};

/// Returns the name of a value as JavaScript sees it.
[[nodiscard]] std::string_view to_string(Rule rule) noexcept;

/// Writes one step as a sentence for a person, in English. It names nobody and holds no value.
void explain(Step step, Writer& out) noexcept;

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

/// Says whether what somebody may still reach of an organisation they left may be ended.
///
///   | who       | of which organisation             | target  | rule        |
///   | --------- | --------------------------------- | ------- | ----------- |
///   | a service | its own; any where it says none   | the org | `on_behalf` |
///   | all else  |                                   | none    |             |
///
/// @param caller_org  of who is calling; may be empty.
/// @param org         that was left; it and `subject` are 1..255 bytes of UTF-8 without control
///                    characters.
/// @return the target, with a view into `org`, or `claim_invalid`, `not_allowed`.
[[nodiscard]] Result<Target> leave_target(std::string_view caller_org, Eraser kind,
                                          std::string_view org, std::string_view subject) noexcept;

/// A place where a credential may lie. The deployment's has no id.
struct Place {
  Scope scope{};
  std::string_view id;
  friend bool operator==(const Place&, const Place&) noexcept = default;
};

/// Whether the caller's organisation is known. `failed` makes writing narrow to the person and
/// reading stop: what could not be looked up is not "none".
enum class Membership : std::uint8_t { known = 1, failed = 2 };

enum class Action : std::uint8_t { clear = 1, write = 2 };

/// What storage has to do, in this order and together.
struct Plan {
  struct Entry {
    Action action{};
    Place place;
  };
  std::array<Entry, 3> entries{};
  std::uint8_t size{0};
  Target target;
  Path path;
};

/// The parts of a credential that must be there, and those that are, as bits.
struct Parts {
  std::uint16_t required{0};
  std::uint16_t present{0};
};

/// Plans the writing of a credential: the target is cleared, with an organisation's target the
/// writer's own place too, then the whole set is written.
///
/// @param requested  whose it shall be; `Scope{}`: `write_target` decides.
/// @return the plan, or `claim_invalid`, `not_allowed` as `connect_target`; then
///         `credential_incomplete` when a required part is missing or none is required.
[[nodiscard]] Result<Plan> write_plan(const Facts& facts, Scope requested, Parts parts) noexcept;

/// Plans the deletion of a credential at the place where the same person would write it. The plan
/// of a member never names the organisation.
///
/// @return the plan, or `claim_invalid`, `not_allowed` as `connect_target`.
[[nodiscard]] Result<Plan> delete_plan(const Facts& facts, Scope requested) noexcept;

/// Places to be read, in order.
struct Places {
  std::array<Place, 4> list{};
  std::uint8_t size{0};
  Path path;  ///< why there are not more
};

/// Says where to look. With an organisation that could not be found out, only places before it.
///
/// @param facts  as `write_target` takes them; the role does not matter.
/// @return the places, or `claim_invalid` (an id that is none, an order that is none). A subject
///         that is empty has no places.
[[nodiscard]] Result<Places> read_plan(const Facts& facts, Membership membership,
                                       const Policy& policy) noexcept;

/// What lies in one place.
///
/// Ended is not the same as never granted: `revoked` and `refused` end the search unless the policy
/// says otherwise. What was cleared because an organisation's took its place is `nothing`: nobody
/// ended it.
enum class Held : std::uint8_t {
  nothing = 1,
  part = 2,
  whole = 3,
  revoked = 4,  ///< ended by its owner, here or at the provider
  refused = 5,  ///< there, but of no use until it is connected again
  unanswered = 6,  ///< its store did not answer
  unasked = 7,  ///< its store has not been asked yet
};

inline constexpr Millis rejected_ttl = seconds(15LL * 60);
inline constexpr std::size_t max_candidates = 16;

struct Candidate {
  Place place;
  Held held{Held::nothing};
  bool was_rejected{false};
  UnixMillis rejected_at;  ///< with `was_rejected`; the mark holds for less than 15 minutes
};

enum class Outcome : std::uint8_t {
  found = 1,
  not_connected = 2,  ///< never granted
  revoked = 3,  ///< granted once, and ended
  lookup_failed = 4,  ///< try again; says nothing about what is there
  nobody = 5,  ///< nobody is signed in
  ask = 6,  ///< it depends on a place that has not been asked yet
  refused = 7,  ///< there is one, which has to be connected again
};

struct Choice {
  Outcome outcome{Outcome::not_connected};
  /// Which place decided: with `found`, `ask`, `revoked`, `refused`, and with `lookup_failed` where
  /// a store did not answer.
  Place place;
  Path path;
};

/// Chooses whose credential is used: the first place of `read_plan` that holds a complete one which
/// is not marked as rejected. A part is a miss, and never completed from elsewhere.
///
///   | in the place         | then                                                        |
///   | -------------------- | ----------------------------------------------------------- |
///   | whole                | `found`; marked within 15 minutes: as nothing               |
///   | nothing, a part      | the next place                                              |
///   | revoked, refused     | that; with `past_revoked` the next place, and the first of  |
///   |                      | them where `not_connected` would be the end                 |
///   | unanswered           | `lookup_failed`: never the next place                       |
///   | unasked              | `ask`, and the same question again with what was found      |
///   | no place left        | `lookup_failed` when membership hides places, else          |
///   |                      | `not_connected`                                             |
///
/// With every place `unasked` at first, no more are asked than the answer depends on.
///
/// @param found  at most 16, in any order; a place that is not there holds nothing, and one that
///               was not asked for is passed over.
/// @return the choice, or `claim_invalid` as `read_plan`, or for one place twice.
[[nodiscard]] Result<Choice> resolve(const Facts& facts, Membership membership,
                                     const Policy& policy, std::span<const Candidate> found,
                                     UnixMillis now) noexcept;

/// Which owners in the caller's own organisation have a complete credential, for the sentence
/// "yours is missing, the organisation has one".
struct Gap {
  std::array<Scope, 4> has{};
  std::uint8_t size{0};
};

/// Says who has one. Nothing without an organisation or when it could not be found out.
///
/// @return the owners, or `claim_invalid`.
[[nodiscard]] Result<Gap> gap(const Facts& facts, Membership membership,
                              std::span<const Candidate> found) noexcept;

/// What is typed in is set and removed; what comes from a provider is connected and disconnected.
enum class Verb : std::uint8_t { set = 1, remove = 2, connect = 3, disconnect = 4 };
enum class Check : std::uint8_t { pending = 0, passed = 1, failed = 2 };

/// A request to change a registered credential.
struct Mutation {
  Facts facts;
  Membership membership{Membership::known};
  Scope requested{};  ///< `user`, `org` or `workspace`
  Verb verb{Verb::set};
  std::string_view target_org;  ///< that the row belongs to; empty: it is not said
  std::string_view value;  ///< with `set`
  bool device{false};  ///< a device is calling
  bool registered{false};
  bool connected{false};  ///< comes from an OAuth connection
  bool unread{false};  ///< no `read_plan` of its policy has the place
  Check validator{Check::pending};
  Check storage{Check::pending};
};

struct Verdict {
  bool ok{false};
  std::uint16_t status{0};  ///< HTTP status of the refusal; 0 when ok
  Place place;  ///< where, once that is known
  Path path;
};

/// Says whether a mutation may go on, and with which status it is refused.
///
/// Checks, in this order:
///
///   | check                                                | else                           |
///   | ---------------------------------------------------- | ------------------------------ |
///   | the secret is registered                             | 404 `not_registered`           |
///   | the verb is one of its kind; the value is not blank  | 400 `wrong_kind` `value_empty` |
///   | somebody is signed in; with `org` one is active      | 401 `no_subject` `no_org`      |
///   | the organisation could be found out, where it counts | 503 `lookup_failed`            |
///   | no device; the target's organisation is the caller's | 403 `device_may_not`           |
///   |                                                      | `other_org`                    |
///   | owner or admin, for `org` and its workspace          | 403 `role_is_member`           |
///   | it would be read, where it is set or connected       | 403 `never_read`               |
///   | the validator did not refuse                         | 400 `value_refused`            |
///   | storage did not refuse                               | 500 `write_failed`             |
///
/// @return the verdict, or `claim_invalid` for ids that are none and for any other scope.
[[nodiscard]] Result<Verdict> may_mutate(const Mutation& mutation) noexcept;

/// A row that may be read through a catalogue.
struct Row {
  std::string_view org;
  bool is_public{false};
  bool is_member{false};  ///< of a kind that is never public: people
};

struct Sight {
  bool visible{false};
  bool counts{false};  ///< numbers about its use may be told: its own organisation only
  Path path;
};

/// Says whether a caller may see a row. The caller's role does not matter: it is one in their own
/// organisation.
[[nodiscard]] Sight visible(const Row& row, std::string_view caller_org) noexcept;

/// A credential that somebody who leaves an organisation may still reach.
struct Reachable {
  Place owner;
  std::string_view org;  ///< in which a person's own is used; empty: in none
  std::string_view author;  ///< whose account it was made with
};

enum class Sweep : std::uint8_t { keep = 1, end = 2 };
struct Swept {
  Sweep action{Sweep::keep};
  Rule rule{};
};

/// Says what becomes of one credential when `subject` leaves `org`. What it ends leaves a
/// tombstone.
///
///   | whose                                      | made by   | then                  |
///   | ------------------------------------------ | --------- | --------------------- |
///   | the organisation's, its workspace's        | who leaves| end, `author_left`    |
///   | the organisation's, its workspace's        | another   | keep, `not_theirs`    |
///   | of the person, used in that organisation   |           | end, `member_left`    |
///   | of the person, used elsewhere or nowhere   |           | keep, `elsewhere`     |
///   | everything else                            |           | keep, `not_theirs`    |
[[nodiscard]] Swept sweep(std::string_view subject, std::string_view org,
                          const Reachable& row) noexcept;

/// A device that reports a run as finished.
struct Completion {
  std::string_view token_device;  ///< that the token is bound to; empty: an old token
  std::string_view body_device;  ///< as the body says; empty: it does not
  std::string_view pin;  ///< the device that the run is for
  bool known{false};  ///< there is such a run
  bool watcher{false};  ///< of the kind that devices run
  bool payload_good{false};
  bool running{false};
};

struct Completed {
  std::uint16_t status{0};  ///< 404, 409, 403, 400 or 200
  bool idempotent{false};  ///< with 200: it was finished before, nothing is written
  Path path;
};

/// Says whether a device may finish a run: 404 unknown, 409 no watcher run, 403 not its device, 400
/// payload, 200. The device is the one of the token; a body that says another is refused.
[[nodiscard]] Completed complete(const Completion& completion) noexcept;

/// An app's installation at a provider.
struct Installation {
  std::string_view id;
  Place owner;  ///< who it was connected by here
  std::string_view account;  ///< whose repositories it reaches
  bool suspended{false};  ///< or blocked
};

enum class Chosen : std::uint8_t {
  one = 1,
  none = 2,
  ambiguous = 3,
  mismatch = 4,
  suspended = 5,
  lookup_failed = 6
};

struct InstallationChoice {
  Chosen outcome{Chosen::none};
  std::size_t index{0};  ///< with `one`
  Path path;
};

/// Chooses the installation that reaches the repositories of `account`.
///
/// Only the caller's organisation's and the caller's own are looked at, the organisation's first;
/// accounts are compared without regard to ASCII case. More than one is `ambiguous`, whatever is
/// expected; outside it is told as `none`.
///
/// @param expected  the id that it has to be; empty: any.
/// @return the choice, or `claim_invalid` for ids that are none.
[[nodiscard]] Result<InstallationChoice>
choose_installation(const Facts& facts, Membership membership, std::string_view account,
                    std::string_view expected, std::span<const Installation> all) noexcept;

/// What a provider says of an installation by itself.
enum class Word : std::uint8_t { none = 0, restored = 1, suspended = 2, deleted = 3 };

/// Such a word, and when it was so.
struct Said {
  Word word{Word::none};
  UnixMillis at;
};

/// True when `said` takes the place of what is known: a deletion is the last word, and of two
/// others the older one is not listened to.
[[nodiscard]] bool hears(const Said& known, const Said& said) noexcept;

enum class Known : std::uint8_t { live = 1, suspended = 2, gone = 3 };

/// Says how an installation stands that was listed at a time, and of which something was said: what
/// is deleted is gone; else the newer one is right, and a suspension also when it is up to a minute
/// older than the list, by clocks that differ.
[[nodiscard]] Known known_as(bool listed_suspended, UnixMillis listed_at,
                             const Said& said) noexcept;

/// How the person's own token stands.
enum class UserToken : std::uint8_t {
  good = 1,
  none = 2,
  revoked = 3,
  refresh_failed = 4,
  insufficient = 5,
  unreadable = 6,
  misconfigured = 7,
};

enum class Source : std::uint8_t { user = 1, installation = 2, none = 3 };
enum class Pin : std::uint8_t { none = 0, user = 1, installation = 2 };

struct SourceFacts {
  Pin pin{Pin::none};
  bool user_allowed{false};  ///< acting as the person is switched on
  UserToken user{UserToken::none};
  bool installed{false};  ///< `choose_installation` found one
  bool lite{false};  ///< it is the lite app
  bool may_write{false};  ///< it has contents and pull requests with write
};

struct SourceChoice {
  Source source{Source::none};
  Rule reason{};  ///< always said; `user_token` is the only one that is no fallback
};

/// Chooses between the person's token and the app's. A choice pinned to the person never becomes
/// the app's.
[[nodiscard]] SourceChoice choose_token_source(const SourceFacts& facts) noexcept;

/// Who acts in one session, as it is kept.
struct Identity {
  Source acts{Source::user};  ///< `user` or `installation`
  bool warned{false};
  std::string_view installation;
};

struct IdentityStep {
  Identity next;
  bool warn{false};  ///< tell the person, now and never again
  bool persist{false};
  Path path;
};

/// Carries an identity over one choice. From the person to the app there is one step, with one
/// warning and an installation that was looked up for it; there is none back.
///
/// @param fresh  the installation that was looked up just now; empty: none was, and the step is
///               `needs_installation` with nothing changed.
/// @return the step, or `claim_invalid` for an identity that acts as nobody.
[[nodiscard]] Result<IdentityStep> step_identity(const Identity& identity, SourceChoice choice,
                                                 std::string_view fresh) noexcept;

/// What a provider's answer says about reaching a repository.
enum class Access : std::uint8_t {
  granted = 1,
  needs_token = 2,
  token_rejected = 3,
  rate_limited = 4,
  transient = 5,
  unexpected = 6,
};

struct AccessFacts {
  bool has_token{false};
  std::uint16_t status{0};  ///< 0: no answer
  std::string_view remaining;  ///< of the rate limit, as its header says it
  std::string_view retry_after;  ///< as its header says it
};

struct AccessVerdict {
  Access access{};
  bool may_cache{false};  ///< a grant, or the 404 that says there is none
};

/// Reads such an answer. Rate limits come first: a 403 that has one says nothing about access.
///
///   | status          | with a token     | without       |
///   | --------------- | ---------------- | ------------- |
///   | 2xx             | `granted`        | `granted`     |
///   | 429, 403 + rate | `rate_limited`   | `rate_limited`|
///   | 401, 403, 404   | `token_rejected` | `needs_token` |
///   | 5xx, none       | `transient`      | `transient`   |
///   | any other       | `unexpected`     | `unexpected`  |
[[nodiscard]] AccessVerdict access(const AccessFacts& facts) noexcept;

/// What came of asking an app's provider for a token of an installation.
enum class Minted : std::uint8_t {
  made = 1,
  deleted = 2,
  suspended = 3,
  not_covered = 4,  ///< it is there, and does not reach that repository
  misconfigured = 5,  ///< the app was not recognised
  unanswered = 6,  ///< nothing is known: rate limits, failures, what is not understood
};

/// Reads such an answer: 201, 404, 403, 422 and 401 are the first five, in this order, anything
/// else the last, and a 403 with a rate limit too. `has_token` is not looked at.
/// @see docs.github.com, "Create an installation access token for an app"
[[nodiscard]] Minted minted(const AccessFacts& facts) noexcept;

/// The providers whose scopes say more than their own name.
enum class Family : std::uint8_t {
  plain = 0,
  github = 1,
  github_app = 2,
  gitlab = 3,
  bitbucket = 4
};

/// Writes the required scopes that are not covered by what was granted, one blank between: none is
/// written where every required scope is granted, or is part of one that is, by the provider's own
/// table. Both are lists with blanks or commas between.
void missing(Family family, std::string_view granted, std::string_view required,
             Writer& out) noexcept;

}  // namespace latchkey::scope
