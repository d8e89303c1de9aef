#include "latchkey/error.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>

using namespace latchkey;
using namespace latchkey::test;

namespace {

// Frozen: number, name, and what is told outside. A row is never changed or taken away.
const struct Row {
  int number;
  const char* name;
  const char* outside;
} codes[] = {
    {0, "ok", "none"},
    {1, "slice_invalid", "misconfigured"},
    {2, "output_too_small", "misconfigured"},
    {3, "time_invalid", "misconfigured"},
    {10, "base64_invalid", "misconfigured"},
    {11, "utf8_invalid", "misconfigured"},
    {12, "json_invalid", "misconfigured"},
    {20, "key_invalid", "misconfigured"},
    {21, "key_duplicate", "misconfigured"},
    {22, "key_ring_empty", "misconfigured"},
    {23, "jwks_invalid", "misconfigured"},
    {30, "seal_invalid", "misconfigured"},
    {31, "seal_unknown_key", "misconfigured"},
    {40, "claim_invalid", "misconfigured"},
    {41, "return_to_invalid", "misconfigured"},
    {50, "state_missing", "invalid_state"},
    {51, "state_too_long", "invalid_state"},
    {52, "state_malformed", "invalid_state"},
    {53, "state_unknown_key", "invalid_state"},
    {54, "state_bad_signature", "invalid_state"},
    {55, "state_payload_invalid", "invalid_state"},
    {56, "state_from_future", "invalid_state"},
    {57, "state_expired", "expired_state"},
    {58, "issuer_mismatch", "invalid_state"},
    {59, "audience_mismatch", "invalid_state"},
    {60, "flow_mismatch", "invalid_state"},
    {61, "provider_mismatch", "invalid_state"},
    {62, "subject_mismatch", "other_account"},
    {63, "binding_mismatch", "other_browser"},
    {70, "callback_malformed", "invalid_state"},
    {71, "code_invalid", "exchange_failed"},
    {72, "access_denied", "access_denied"},
    {73, "provider_error", "provider_error"},
    {74, "provider_refused_client", "misconfigured"},
    {75, "state_consumed", "used_state"},
    {76, "store_unavailable", "temporarily_unavailable"},
    {77, "exchange_refused", "exchange_failed"},
    {78, "exchange_unreadable", "exchange_failed"},
    {79, "exchange_unreachable", "exchange_failed"},
    {80, "account_unreadable", "exchange_failed"},
    {81, "already_connected", "already_connected"},
    {90, "principal_missing", "not_allowed"},
    {91, "principal_invalid", "not_allowed"},
    {92, "principal_expired", "not_allowed"},
    {93, "not_allowed", "not_allowed"},
    {100, "host_refused", "not_allowed"},
    {101, "origin_refused", "not_allowed"},
    {102, "media_type_refused", "not_allowed"},
    {103, "proxied_refused", "not_allowed"},
    {110, "config_missing", "misconfigured"},
    {111, "config_invalid", "misconfigured"},
    {112, "provider_unknown", "misconfigured"},
    {113, "connect_disabled", "misconfigured"},
    {120, "not_connected", "exchange_failed"},
    {121, "reconnect_required", "exchange_failed"},
    {122, "corrupt", "misconfigured"},
    {123, "store_unfit", "misconfigured"},
    {124, "lease_too_short", "misconfigured"},
    {125, "revoked", "exchange_failed"},
    {126, "temporarily_unavailable", "temporarily_unavailable"},
    {140, "webhook_invalid", "not_allowed"},
    {141, "webhook_unreadable", "provider_error"},
    {150, "name_invalid", "misconfigured"},
    {151, "credential_incomplete", "misconfigured"},
    {152, "repo_invalid", "not_allowed"},
    {153, "repo_host_not_allowed", "not_allowed"},
    {154, "upstream_url_invalid", "not_allowed"},
    {155, "upstream_host_not_allowed", "not_allowed"},
    {156, "repository_mismatch", "not_allowed"},
    {157, "upstream_request_invalid", "not_allowed"},
    {160, "capability_invalid", "not_allowed"},
    {161, "capability_expired", "not_allowed"},
    {162, "capability_revoked", "not_allowed"},
    {163, "container_mismatch", "not_allowed"},
    {170, "turn_invalid", "misconfigured"},
    {171, "mode_invalid", "misconfigured"},
    {172, "model_invalid", "misconfigured"},
    {173, "credential_invalid", "misconfigured"},
    {174, "queue_full", "temporarily_unavailable"},
    {175, "message_conflict", "misconfigured"},
    {176, "message_ended", "misconfigured"},
    {180, "run_unknown", "not_allowed"},
    {181, "run_foreign", "not_allowed"},
    {182, "run_active", "temporarily_unavailable"},
    {183, "run_ended", "misconfigured"},
    {184, "run_forgotten", "misconfigured"},
    {185, "run_full", "misconfigured"},
    {186, "event_too_large", "misconfigured"},
    {187, "event_conflict", "misconfigured"},
    {188, "event_out_of_order", "misconfigured"},
    {189, "device_mismatch", "not_allowed"},
};

const char* const public_codes[] = {
    "none",
    "access_denied",
    "invalid_state",
    "expired_state",
    "used_state",
    "other_browser",
    "other_account",
    "provider_error",
    "exchange_failed",
    "already_connected",
    "not_allowed",
    "temporarily_unavailable",
    "misconfigured",
};

}  // namespace

TEST_CASE(
    "error: every number has its frozen name and a sentence, every other number has neither") {
  std::map<int, std::string> known;
  for (const Row& row : codes) known[row.number] = row.name;
  CHECK(known.size() == std::size(codes));
  std::set<std::string_view> sentences;
  for (int number = 0; number < 256; ++number) {
    CAPTURE(number);
    const auto code = static_cast<Errc>(number);
    CHECK(to_string(code) == known[number]);
    CHECK(meaning(code).empty() == known[number].empty());
    if (!meaning(code).empty()) {
      CHECK(sentences.insert(meaning(code)).second);
      CHECK(meaning(code).find_first_of("\n\"") == std::string_view::npos);
      CHECK(meaning(code).back() != '.');
    }
  }
}

TEST_CASE("T06 each reason maps to its public code, and each public code is reached") {
  std::set<std::string> reached;
  for (const Row& row : codes) {
    CAPTURE(row.name);
    const auto outside = public_code(static_cast<Errc>(row.number));
    CHECK(to_string(outside) == row.outside);
    reached.insert(std::string{to_string(outside)});
  }
  for (int number = 0; number < 256; ++number) {
    CAPTURE(number);
    const auto text = to_string(static_cast<PublicCode>(number));
    const bool known = static_cast<std::size_t>(number) < std::size(public_codes);
    CHECK(text == (known ? public_codes[number] : ""));
    if (known) CHECK(reached.count(std::string{text}) == 1);
  }
  CHECK(reached.size() == std::size(public_codes));
}

TEST_CASE("error: a number that is no code has no public one") {
  for (const int number : {4, 9, 13, 64, 200, 255}) {
    CHECK(traps([&] { static_cast<void>(public_code(static_cast<Errc>(number))); }));
  }
}

TEST_CASE("error: a result is a value or an error, and reading the wrong one traps") {
  constexpr Result<int> value{7};
  STATIC_REQUIRE(value);
  STATIC_REQUIRE(*value == 7);
  STATIC_REQUIRE(value.error() == Errc::ok);
  constexpr Result<int> error{Errc::json_invalid, 12};
  STATIC_REQUIRE(!error);
  STATIC_REQUIRE(error.error() == Errc::json_invalid);
  STATIC_REQUIRE(error.at() == 12);
  constexpr Result<void> done{};
  STATIC_REQUIRE(done);
  constexpr Result<void> refused{Errc::key_invalid, 3};
  STATIC_REQUIRE(!refused);
  STATIC_REQUIRE(refused.at() == 3);

  CHECK(traps([&] { static_cast<void>(*error); }));
  const Result<Row> row{Errc::json_invalid};
  CHECK(traps([&] { static_cast<void>(row->number); }));
  // An error that says `ok` would be neither.
  const volatile auto ok = static_cast<std::uint8_t>(Errc::ok);
  CHECK(traps([&] { static_cast<void>(Result<int>{static_cast<Errc>(ok)}); }));
  CHECK(traps([&] { static_cast<void>(Result<void>{static_cast<Errc>(ok)}); }));
}
