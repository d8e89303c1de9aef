#include "latchkey/scope.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>

using latchkey::Errc;
using latchkey::scope::connect_target;
using latchkey::scope::erase_target;
using latchkey::scope::Eraser;
using latchkey::scope::Facts;
using latchkey::scope::Rule;
using latchkey::scope::Scope;
using latchkey::scope::Target;
using latchkey::scope::to_string;
using latchkey::scope::write_target;

namespace {

constexpr const char* roles[] = {"owner",  "admin",       "member", "",       "Owner",
                                 "ADMIN",  "Admin",       "admin ", " owner", "owne",
                                 "owners", "owner,admin", "root",   "\xff"};

void check_target(const latchkey::Result<Target>& target, Scope scope, std::string_view id,
                  Rule rule) {
  REQUIRE(target);
  CHECK(target->scope == scope);
  CHECK(target->id == id);
  CHECK(target->rule == rule);
}

}  // namespace

TEST_CASE("T17 write target: only an exact owner or admin of an org writes for the org") {
  for (const std::string_view role : roles) {
    CAPTURE(role);
    const bool admin = role == "owner" || role == "admin";
    const auto with_org = write_target({"alice", "acme", role});
    if (admin) {
      check_target(with_org, Scope::org, "acme", Rule::org_admin);
    } else {
      check_target(with_org, Scope::user, "alice", Rule::role_is_member);
    }
    check_target(write_target({"alice", "", role}), Scope::user, "alice", Rule::no_org);
    for (const char* org : {"", "acme"}) {
      CHECK(write_target({"", org, role}).error() == Errc::claim_invalid);
    }
  }
}

TEST_CASE("T18 a member's target never names the org, whatever was asked for") {
  for (const std::string_view role : roles) {
    if (role == "owner" || role == "admin") continue;
    for (const char* org : {"", "acme"}) {
      const Facts facts{"alice", org, role};
      CAPTURE(role, org);
      CHECK(write_target(facts)->scope == Scope::user);
      CHECK(write_target(facts)->id == "alice");
      CHECK(connect_target(facts, Scope::user)->scope == Scope::user);
      CHECK_FALSE(connect_target(facts, Scope::org));
    }
  }
}

TEST_CASE("T21 every scope that may be asked for is authorised") {
  for (const std::string_view role : roles) {
    CAPTURE(role);
    const bool admin = role == "owner" || role == "admin";
    for (const std::string_view org : {"", "acme"}) {
      const Facts facts{"alice", org, role};
      check_target(connect_target(facts, Scope::user), Scope::user, "alice", Rule::asked_for_self);
      const auto for_org = connect_target(facts, Scope::org);
      if (admin && !org.empty()) {
        check_target(for_org, Scope::org, "acme", Rule::org_admin);
      } else {
        CHECK(for_org.error() == Errc::not_allowed);
      }
      for (const auto requested : {Scope::user, Scope::org}) {
        CHECK(connect_target({"", org, role}, requested).error() == Errc::claim_invalid);
      }
    }
  }
}

TEST_CASE("T13 ids are taken as they are, or refused; never folded together") {
  for (const std::string_view id : {"a.b@x", "a_b@x", "A.B@x", "a.b@x ", "user:a", "a/b", "a,b"}) {
    CAPTURE(id);
    CHECK(write_target({id, "", ""})->id == id);
    CHECK(write_target({"alice", id, "owner"})->id == id);
  }
  const std::string longest(255, 'a');
  const std::string over(256, 'a');
  CHECK(write_target({longest, longest, "owner"}));
  for (const std::string_view bad :
       {std::string_view{over}, std::string_view{"a\0b", 3}, std::string_view{"a\nb"},
        std::string_view{"\x7f"}, std::string_view{"\xc2\x85"}, std::string_view{"\xff"}}) {
    CAPTURE(bad);
    for (const auto role : roles) {
      CHECK(write_target({bad, "acme", role}).error() == Errc::claim_invalid);
      CHECK(write_target({"alice", bad, role}).error() == Errc::claim_invalid);
    }
  }
}

TEST_CASE("T49 an account is ended by its person or by the application, by nobody else") {
  const std::string_view ids[] = {"alice", "bob", "Alice", "alice "};
  for (const std::string_view subject : ids) {
    for (const std::string_view id : ids) {
      CAPTURE(subject, id);
      check_target(erase_target(subject, Eraser::service, id), Scope::user, id, Rule::on_behalf);
      CHECK(erase_target(subject, Eraser::device, id).error() == Errc::not_allowed);
      const auto own = erase_target(subject, Eraser::human, id);
      if (subject == id) {
        check_target(own, Scope::user, id, Rule::own_account);
      } else {
        CHECK(own.error() == Errc::not_allowed);
      }
    }
  }
  for (const auto kind : {Eraser::human, Eraser::service, Eraser::device}) {
    for (const std::string_view bad : {std::string_view{}, std::string_view{"a\nb"}}) {
      CHECK(erase_target(bad, kind, "alice").error() == Errc::claim_invalid);
      CHECK(erase_target("alice", kind, bad).error() == Errc::claim_invalid);
    }
  }
}

TEST_CASE("pain 22 T22 only the application says who left, and a bound one only of its own org") {
  const std::string_view orgs[] = {"", "acme", "Acme", "zeta"};
  for (const auto kind : {Eraser::human, Eraser::service, Eraser::device}) {
    for (const std::string_view caller : orgs) {
      for (const std::string_view org : orgs) {
        CAPTURE(static_cast<int>(kind), caller, org);
        const auto target = leave_target(caller, kind, org, "ada");
        if (org.empty()) {
          CHECK(target.error() == Errc::claim_invalid);
        } else if (kind == Eraser::service && (caller.empty() || caller == org)) {
          check_target(target, Scope::org, org, Rule::on_behalf);
        } else {
          CHECK(target.error() == Errc::not_allowed);
        }
      }
    }
    CHECK(leave_target("", kind, "acme", "").error() == Errc::claim_invalid);
    CHECK(leave_target("", kind, "acme", "a\nb").error() == Errc::claim_invalid);
    CHECK(leave_target("", kind, "a\x7f", "ada").error() == Errc::claim_invalid);
  }
}

TEST_CASE("scope: names") {
  CHECK(to_string(Rule::org_admin) == "org_admin");
  CHECK(to_string(Rule::device_mismatch) == "device_mismatch");
  std::set<std::string_view> names;
  for (int number = 1; number <= latchkey::scope::rule_count; ++number) {
    names.insert(to_string(static_cast<Rule>(number)));
  }
  CHECK(names.size() == latchkey::scope::rule_count);
}
