/// The golden vectors of scope, repositories and capabilities, natively.
#pragma once

#include "external.hpp"

#include "latchkey/capability.hpp"
#include "latchkey/guard.hpp"
#include "latchkey/profile.hpp"
#include "latchkey/scope.hpp"
#include "latchkey/upstream.hpp"

namespace latchkey::test::vectors {

/// A refusal on its way out of an operation.
struct Refused {
  Errc code;
  Json at{};
};

template <class T> T good(const Result<T>& result) {
  if (!result) throw Refused{result.error()};
  return *result;
}

using Names = std::vector<std::string_view>;
inline const Names scope_names{"", "user", "org", "workspace", "solo", "deployment"};
inline const Names provider_names{"", "github", "gitlab", "bitbucket", "git"};
inline const Names verb_names{"fetch", "push", "read", "write"};

inline std::string_view said(const Json& from, const char* name) {
  const auto found = from.find(name);
  return found == from.end() ? std::string_view{} : found->get_ref<const std::string&>();
}
inline bool flag(const Json& from, const char* name) { return from.value(name, false); }

/// The number of a name; of nothing, that of `otherwise`.
template <class E>
E number_of(const Names& names, std::string_view name, std::string_view otherwise = {}) {
  if (name.empty()) name = otherwise;
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw Refused{Errc::claim_invalid};
  return static_cast<E>(found - names.begin());
}

inline scope::Facts facts_of(const Json& in) {
  return {said(in, "subject"), said(in, "org"), said(in, "role")};
}
inline scope::Place place_of(const Json& in) {
  return {number_of<scope::Scope>(scope_names, said(in, "scope")), said(in, "id")};
}
inline Json place(const scope::Place& place) {
  return {{"scope", to_string(place.scope)}, {"id", place.id}};
}
inline Json path(const scope::Path& path) {
  Json out = Json::array();
  for (const scope::Step step : path.steps()) {
    Json one = {{"rule", to_string(step.rule)}};
    if (step.scope != scope::Scope{}) one["scope"] = to_string(step.scope);
    out.push_back(one);
  }
  return out;
}
inline scope::Membership membership(const Json& in) {
  return number_of<scope::Membership>({"", "known", "failed"}, said(in, "membership"), "known");
}
inline scope::Policy policy_of(const Json& in) {
  scope::Policy policy;
  if (!in.contains("policy")) return policy;
  const Json& from = in.at("policy");
  policy.personal_only = flag(from, "personalOnly");
  policy.deployment = flag(from, "deployment");
  policy.past_revoked = flag(from, "pastRevoked");
  policy.only = number_of<scope::Scope>(scope_names, said(from, "only"));
  if (!from.contains("order")) return policy;
  policy.order = {};
  for (std::size_t i = 0; i < from.at("order").size(); ++i) {
    policy.order.at(i) = number_of<scope::Scope>(
        scope_names, from.at("order")[i].get_ref<const std::string&>(), "unknown");
  }
  return policy;
}
inline scope::Rule rule_of(std::string_view name) {
  for (int number = 1; number <= scope::rule_count; ++number) {
    const auto rule = static_cast<scope::Rule>(number);
    if (to_string(rule) == name) return rule;
  }
  throw Refused{Errc::claim_invalid};
}
inline Json plan(const scope::Plan& plan) {
  Json steps = Json::array();
  for (std::size_t i = 0; i < plan.size; ++i) {
    Json one = place(plan.entries[i].place);
    one["action"] = plan.entries[i].action == scope::Action::clear ? "clear" : "write";
    steps.push_back(one);
  }
  return {{"target",
           {{"scope", to_string(plan.target.scope)},
            {"id", plan.target.id},
            {"rule", to_string(plan.target.rule)}}},
          {"steps", steps},
          {"path", path(plan.path)}};
}
inline std::string words(const Json& list) {
  std::string out;
  for (const Json& one : list) out += (out.empty() ? "" : " ") + one.get<std::string>();
  return out;
}
inline repo::Repo repo_of(const Json& in) {
  return {number_of<repo::Provider>(provider_names, said(in, "provider")),
          said(in, "host"),
          said(in, "base"),
          said(in, "owner"),
          said(in, "name"),
          {},
          flag(in, "plain")};
}
inline Json right(const Result<upstream::Right>& right) {
  constexpr const char* names[] = {"", "fetch", "push", "read", "write", "lfs"};
  return names[static_cast<std::size_t>(good(right))];
}

inline Json write_plan(const Json& in) {
  const Json& a = in.at("args")[0];
  scope::Parts parts;
  unsigned bit = 1;
  for (const Json& part : a.at("parts")) {
    if (flag(part, "required")) parts.required = static_cast<std::uint16_t>(parts.required | bit);
    if (flag(part, "present")) parts.present = static_cast<std::uint16_t>(parts.present | bit);
    bit <<= 1;
  }
  return plan(good(scope::write_plan(
      facts_of(a), number_of<scope::Scope>(scope_names, said(a, "requested")), parts)));
}
inline Json delete_plan(const Json& in) {
  const Json& a = in.at("args")[0];
  return plan(good(
      scope::delete_plan(facts_of(a), number_of<scope::Scope>(scope_names, said(a, "requested")))));
}
inline Json read_plan(const Json& in) {
  const Json& a = in.at("args")[0];
  const auto read = good(scope::read_plan(facts_of(a), membership(a), policy_of(a)));
  Json places = Json::array();
  for (std::size_t i = 0; i < read.size; ++i) places.push_back(place(read.list[i]));
  return {{"places", places}, {"path", path(read.path)}};
}
inline std::vector<scope::Candidate> candidates(const Json& rows) {
  std::vector<scope::Candidate> found;
  for (const Json& row : rows) {
    const auto held = number_of<scope::Held>(
        {"", "nothing", "part", "whole", "revoked", "refused", "unanswered", "unasked"},
        said(row, "held"));
    found.push_back({place_of(row),
                     held,
                     row.contains("rejectedAt"),
                     {row.value("rejectedAt", std::int64_t{0})}});
  }
  return found;
}
inline Json resolve(const Json& in) {
  const Json& args = in.at("args");
  const auto found = candidates(args[1]);
  const auto choice =
      good(scope::resolve(facts_of(args[0]), membership(args[0]), policy_of(args[0]), found,
                          {args[2].at("now").get<std::int64_t>()}));
  constexpr const char* outcomes[] = {
      "", "found", "not_connected", "revoked", "lookup_failed", "nobody", "ask", "refused"};
  Json out = {{"outcome", outcomes[static_cast<std::size_t>(choice.outcome)]},
              {"path", path(choice.path)}};
  if (choice.place.scope != scope::Scope{}) out["place"] = place(choice.place);
  return out;
}
inline Json may_mutate(const Json& in) {
  const Json& a = in.at("args")[0];
  scope::Mutation m;
  m.facts = facts_of(a);
  m.membership = membership(a);
  m.requested = number_of<scope::Scope>(scope_names, said(a, "requested"));
  m.verb = number_of<scope::Verb>({"", "set", "remove", "connect", "disconnect"}, said(a, "verb"));
  m.target_org = said(a, "targetOrg");
  m.value = said(a, "value");
  m.device = flag(a, "device");
  m.registered = flag(a, "registered");
  m.connected = flag(a, "connected");
  m.unread = flag(a, "unread");
  const auto verdict = good(scope::may_mutate(m));
  Json out = {{"ok", verdict.ok}, {"path", path(verdict.path)}};
  if (!verdict.ok) out["status"] = verdict.status;
  if (verdict.place.scope != scope::Scope{}) out["place"] = place(verdict.place);
  return out;
}
inline Json visible(const Json& in) {
  const Json& a = in.at("args")[0];
  const auto sight = scope::visible({said(a, "org"), flag(a, "isPublic"), flag(a, "isMember")},
                                    in.at("args")[1].get_ref<const std::string&>());
  return {{"visible", sight.visible}, {"counts", sight.counts}, {"path", path(sight.path)}};
}
inline Json choose_installation(const Json& in) {
  const Json& a = in.at("args")[0];
  std::vector<scope::Installation> all;
  for (const Json& one : in.at("args")[1]) {
    all.push_back(
        {said(one, "id"), place_of(one.at("owner")), said(one, "account"), flag(one, "suspended")});
  }
  const auto choice = good(scope::choose_installation(
      facts_of(a), membership(a), said(a, "account"), said(a, "expected"), all));
  constexpr const char* names[] = {"",         "one",       "none",         "ambiguous",
                                   "mismatch", "suspended", "lookup_failed"};
  Json out = {{"outcome", names[static_cast<std::size_t>(choice.outcome)]},
              {"path", path(choice.path)}};
  if (choice.outcome == scope::Chosen::one) out["index"] = choice.index;
  return out;
}
inline const Names source_names{"", "user", "installation", "none"};
inline Json choose_token_source(const Json& in) {
  const Json& a = in.at("args")[0];
  const auto user = number_of<scope::UserToken>({"", "good", "none", "revoked", "refresh_failed",
                                                 "insufficient", "unreadable", "misconfigured"},
                                                said(a, "user"));
  const auto pin = number_of<scope::Pin>({"none", "user", "installation"}, said(a, "pin"), "none");
  const auto choice =
      scope::choose_token_source({pin, flag(a, "userAllowed"), user, flag(a, "installed"),
                                  flag(a, "lite"), flag(a, "mayWrite")});
  return {{"source", source_names[static_cast<std::size_t>(choice.source)]},
          {"reason", to_string(choice.reason)}};
}
inline Json step_identity(const Json& in) {
  const Json& args = in.at("args");
  const scope::Identity identity{number_of<scope::Source>(source_names, said(args[0], "acts")),
                                 flag(args[0], "warned"), said(args[0], "installation")};
  const auto fresh = args.size() > 2 ? std::string_view{args[2].get_ref<const std::string&>()} : "";
  const auto step =
      good(scope::step_identity(identity,
                                {number_of<scope::Source>(source_names, said(args[1], "source")),
                                 rule_of(said(args[1], "reason"))},
                                fresh));
  Json next = {{"acts", source_names[static_cast<std::size_t>(step.next.acts)]},
               {"warned", step.next.warned}};
  if (!step.next.installation.empty()) next["installation"] = step.next.installation;
  return {
      {"next", next}, {"warn", step.warn}, {"persist", step.persist}, {"path", path(step.path)}};
}
inline Json gap(const Json& in) {
  const Json& args = in.at("args");
  const auto gap = good(scope::gap(facts_of(args[0]), membership(args[0]), candidates(args[1])));
  Json has = Json::array();
  for (std::size_t i = 0; i < gap.size; ++i) has.push_back(to_string(gap.has[i]));
  return {{"has", has}};
}
inline Json sweep(const Json& in) {
  const Json& args = in.at("args");
  const auto swept =
      scope::sweep(said(args[0], "subject"), said(args[0], "org"),
                   {place_of(args[1].at("owner")), said(args[1], "org"), said(args[1], "author")});
  return {{"action", swept.action == scope::Sweep::end ? "end" : "keep"},
          {"rule", to_string(swept.rule)}};
}
inline Json leave_target(const Json& in) {
  const Json& a = in.at("args")[0];
  const auto kind = number_of<scope::Eraser>({"", "human", "service", "device"}, said(a, "kind"));
  const auto target =
      good(scope::leave_target(said(a, "callerOrg"), kind, said(a, "org"), said(a, "user")));
  return {{"scope", to_string(target.scope)}, {"id", target.id}, {"rule", to_string(target.rule)}};
}
inline Json complete(const Json& in) {
  const Json& a = in.at("args")[0];
  const auto done = scope::complete({said(a, "tokenDevice"), said(a, "bodyDevice"), said(a, "pin"),
                                     flag(a, "known"), flag(a, "watcher"), flag(a, "payloadGood"),
                                     flag(a, "running")});
  return {{"status", done.status}, {"idempotent", done.idempotent}, {"path", path(done.path)}};
}
inline Json access(const Json& in) {
  const Json& a = in.at("args")[0];
  const auto verdict = scope::access({flag(a, "hasToken"), a.at("status").get<std::uint16_t>(),
                                      said(a, "remaining"), said(a, "retryAfter")});
  constexpr const char* names[] = {
      "", "granted", "needs_token", "token_rejected", "rate_limited", "transient", "unexpected"};
  return {{"access", names[static_cast<std::size_t>(verdict.access)]},
          {"mayCache", verdict.may_cache}};
}
inline scope::Said word_of(const Json& a) {
  if (a.is_null()) return {};
  return {number_of<scope::Word>({"", "restored", "suspended", "deleted"}, said(a, "change")),
          {a.at("at").get<std::int64_t>()}};
}
inline Json hears(const Json& in) {
  return scope::hears(word_of(in.at("args")[0]), word_of(in.at("args")[1]));
}
inline Json known_as(const Json& in) {
  const Json& a = in.at("args")[0];
  constexpr const char* names[] = {"", "live", "suspended", "gone"};
  const auto known = scope::known_as(flag(a, "suspended"), {a.at("at").get<std::int64_t>()},
                                     word_of(in.at("args")[1]));
  return names[static_cast<std::size_t>(known)];
}
inline Json minted(const Json& in) {
  const Json& a = in.at("args")[0];
  constexpr const char* names[] = {
      "", "made", "deleted", "suspended", "not_covered", "misconfigured", "unanswered"};
  const auto minted = scope::minted(
      {true, a.at("status").get<std::uint16_t>(), said(a, "remaining"), said(a, "retryAfter")});
  return names[static_cast<std::size_t>(minted)];
}
inline Json lfs_right(const Json& in) {
  const auto body = in.at("body").get<std::string>();
  Octets bytes(body.begin(), body.end());
  std::vector<json::Node> nodes(1'024);
  return upstream::lfs_right(bytes, nodes) == upstream::Right::fetch ? "fetch" : "push";
}
inline Json missing(const Json& in) {
  const Json& args = in.at("args");
  const auto family =
      number_of<scope::Family>({"plain", "github", "github_app", "gitlab", "bitbucket"},
                               args[0].get_ref<const std::string&>());
  std::uint8_t space[1'024];
  Writer out{space};
  scope::missing(family, words(args[1]), words(args[2]), out);
  Json list = Json::array();
  auto rest = text_of(out.written());
  while (!rest.empty()) {
    const auto end = std::min(rest.find(' '), rest.size());
    list.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return list;
}
inline Json explain(const Json& in) {
  Json list = Json::array();
  for (const Json& step : in.at("args")[0]) {
    std::uint8_t space[256];
    Writer out{space};
    const auto rule = rule_of(said(step, "rule"));
    scope::explain({rule, number_of<scope::Scope>(scope_names, said(step, "scope"))}, out);
    list.push_back(text_of(out.written()));
  }
  return list;
}
inline Json parse_repo(const Json& in) {
  const Json& args = in.at("args");
  std::vector<repo::Host> hosts(repo::usual_hosts().begin(), repo::usual_hosts().end());
  if (args.size() > 1) {
    hosts.clear();
    for (const Json& host : args[1].at("hosts")) {
      hosts.push_back({number_of<repo::Provider>(provider_names, said(host, "provider")),
                       said(host, "host"), said(host, "base"), flag(host, "plain")});
    }
  }
  Octets space(repo::max_canonical);
  const auto repo = good(repo::parse(args[0].get_ref<const std::string&>(), hosts, space));
  Json out = {{"provider", provider_names[static_cast<std::size_t>(repo.provider)]},
              {"host", repo.host},
              {"owner", repo.owner},
              {"name", repo.name},
              {"cloneUrl", repo.clone_url},
              {"user", profile::git_user(static_cast<profile::Git>(repo.provider))}};
  if (!repo.base.empty()) out["base"] = repo.base;
  if (repo.plain) out["plain"] = true;
  return out;
}
inline Json check_upstream(const Json& in) {
  const Json& args = in.at("args");
  return right(upstream::check(repo_of(args[0]), said(args[1], "method"), said(args[1], "url")));
}
inline Json redirect(const Json& in) {
  const Json& a = in.at("args")[1];
  return right(upstream::redirect(repo_of(in.at("args")[0]), said(a, "method"), said(a, "from"),
                                  said(a, "to"), a.at("hop").get<std::uint32_t>()));
}
inline Json name(const Json& in) {
  const auto& text = in.at("args")[0].get_ref<const std::string&>();
  if (!guard::is_name(text)) throw Refused{Errc::name_invalid};
  return text;
}
inline Json key(const Json& in) {
  std::vector<std::string_view> parts;
  for (const Json& part : in.at("args")[0]) parts.push_back(part.get_ref<const std::string&>());
  std::uint8_t space[32];
  Writer out{space};
  guard::put_key(out, parts);
  return text_of(out.written());
}

inline std::uint8_t bits_of(const Json& can) {
  unsigned bits = 0;
  for (const Json& verb : can) {
    bits |= 1U << number_of<unsigned>(verb_names, verb.get_ref<const std::string&>());
  }
  return static_cast<std::uint8_t>(bits);
}
inline std::vector<keys::Key> ring_of(const Json& in) {
  std::vector<keys::Key> out(keys::max_keys);
  out.resize(good(keys::parse(said(in, "ring"), out)));
  return out;
}
inline Json mint(const Json& in) {
  const Json& from = in.at("claims");
  capability::Claims claims;
  claims.purpose =
      said(from, "purpose") == "api" ? capability::Purpose::api : capability::Purpose::git;
  claims.subject = said(from, "subject");
  claims.owner =
      said(from.at("owner"), "kind") == "org" ? capability::Owner::org : capability::Owner::user;
  claims.owner_id = said(from.at("owner"), "id");
  claims.provider = said(from, "provider");
  claims.repo = said(from, "repo");
  claims.container = said(from, "container");
  claims.can = bits_of(from.at("can"));
  claims.epoch = from.at("epoch").get<std::uint32_t>();
  claims.expires_at = {from.at("expiresAt").get<std::int64_t>()};
  std::uint8_t space[capability::max_text];
  Writer out{space};
  const auto made = capability::mint(ring_of(in), claims, {in.at("now").get<std::int64_t>()},
                                     from_hex(said(in, "entropy")), out);
  if (!made) throw Refused{made.error()};
  return text_of(out.written());
}
inline Json attenuate(const Json& in) {
  const Json& from = in.at("narrowing");
  capability::Narrowing narrowing;
  narrowing.repo = said(from, "repo");
  narrowing.container = said(from, "container");
  if (from.contains("can")) narrowing.can = bits_of(from.at("can"));
  narrowing.has_expires_at = from.contains("expiresAt");
  narrowing.expires_at = {from.value("expiresAt", std::int64_t{0})};
  std::uint8_t space[capability::max_text];
  Writer out{space};
  const auto made = capability::attenuate(said(in, "text"), narrowing, out);
  if (!made) throw Refused{made.error()};
  return text_of(out.written());
}
inline capability::Purpose purpose_of(std::string_view name) {
  if (name.empty()) return {};
  return name == "api" ? capability::Purpose::api : capability::Purpose::git;
}
inline Json verify(const Json& in) {
  const Json& known = in.at("expected");
  const auto text = said(in, "text");
  Octets scratch(text.size());
  const auto claims = good(capability::verify(ring_of(in), text,
                                              {{known.at("now").get<std::int64_t>()},
                                               said(known, "container"),
                                               known.value("epoch", std::uint32_t{0}),
                                               purpose_of(said(known, "purpose")),
                                               said(known, "provider")},
                                              scratch));
  Json can = Json::array();
  for (std::size_t i = 0; i < verb_names.size(); ++i) {
    if ((claims.can >> i & 1) != 0) can.push_back(verb_names[i]);
  }
  Json out = {{"purpose", claims.purpose == capability::Purpose::git ? "git" : "api"},
              {"subject", claims.subject},
              {"owner",
               {{"kind", claims.owner == capability::Owner::org ? "org" : "user"},
                {"id", claims.owner_id}}},
              {"provider", claims.provider},
              {"can", can},
              {"epoch", claims.epoch},
              {"issuedAt", claims.issued_at.value},
              {"expiresAt", claims.expires_at.value}};
  if (!claims.repo.empty()) out["repo"] = claims.repo;
  if (!claims.container.empty()) out["container"] = claims.container;
  return out;
}
inline Json redeem(const Json& in) {
  const Json& from = in.at("claims");
  capability::Claims claims;
  claims.purpose = purpose_of(said(from, "purpose"));
  claims.provider = said(from, "provider");
  claims.repo = said(from, "repo");
  claims.can = bits_of(from.at("can"));
  const Json& asked = in.at("asked");
  const auto ender = good(capability::redeem(claims, said(asked, "own"), said(asked, "repo")));
  return ender == capability::Ender::session ? "session" : "connection";
}
inline Json revoke(const Json& in) {
  const auto revoked =
      capability::revoke(in.at("epoch").get<std::uint32_t>(), {in.at("now").get<std::int64_t>()});
  return {{"epoch", revoked.epoch}, {"keepUntil", revoked.keep_until.value}};
}

}  // namespace latchkey::test::vectors
