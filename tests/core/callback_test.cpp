#include "latchkey/callback.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

using latchkey::Errc;
using latchkey::PublicCode;
using latchkey::UnixMillis;
using latchkey::callback::Action;
using latchkey::callback::Input;
using latchkey::callback::Param;
using latchkey::callback::plan;
using latchkey::callback::Plan;

namespace {

constexpr UnixMillis expires_at{1'700'000'600'000};

/// A callback that leads to an exchange.
Input good(const std::vector<Param>& params) {
  Input input;
  input.params = params;
  input.subject = "alice";
  input.return_to = "/settings";
  input.nonce = "AAAAAAAAAAAAAAAAAAAAAA";
  input.expires_at = expires_at;
  input.session_subject = "alice";
  input.as_issuer = "https://as.example";
  input.iss_required = true;
  return input;
}

const Param code{"code", "abc"};
const Param iss{"iss", "https://as.example"};
const Param state{"state", "x.y.z"};

bool consumes(const Plan& result) {
  return !result.consume.nonce.empty() || result.consume.until != UnixMillis{};
}

/// What holds for every plan.
void check_shape(const Plan& result) {
  if (result.action == Action::exchange) {
    REQUIRE(result.reason == Errc::ok);
    REQUIRE(result.public_code == PublicCode::none);
    REQUIRE_FALSE(result.code.empty());
    REQUIRE(consumes(result));
  } else {
    REQUIRE(result.action == Action::redirect);
    REQUIRE(result.reason != Errc::ok);
    REQUIRE(result.public_code == latchkey::public_code(result.reason));
    REQUIRE(result.public_code != PublicCode::none);
    REQUIRE(result.code.empty());
    REQUIRE_FALSE(consumes(result));
  }
}

void check_redirect(const Input& input, Errc reason, std::string_view return_to) {
  const auto result = plan(input);
  check_shape(result);
  CHECK(result.action == Action::redirect);
  CHECK(result.reason == reason);
  CHECK(result.return_to == return_to);
}

void check_exchange(const Input& input) {
  const auto result = plan(input);
  check_shape(result);
  CHECK(result.action == Action::exchange);
}

}  // namespace

TEST_CASE("callback: an exchange says what to use up and until when") {
  const std::vector<Param> params{state, code, iss};
  const auto result = plan(good(params));
  check_shape(result);
  CHECK(result.action == Action::exchange);
  CHECK(result.code == "abc");
  CHECK(result.return_to == "/settings");
  CHECK(result.consume.nonce == "AAAAAAAAAAAAAAAAAAAAAA");
  CHECK(result.consume.until == UnixMillis{1'700'000'665'000});
}

TEST_CASE("callback: the end of time saturates") {
  const std::vector<Param> params{code, iss};
  auto input = good(params);
  input.expires_at = {UnixMillis::max};
  CHECK(plan(input).consume.until == UnixMillis{UnixMillis::max});
}

TEST_CASE("callback: a state without return path gives none anywhere") {
  const std::vector<Param> answered{code, iss};
  auto input = good(answered);
  input.return_to = {};
  CHECK(plan(input).return_to.empty());
  const std::vector<Param> refused{{"error", "access_denied"}, iss};
  input.params = refused;
  check_redirect(input, Errc::access_denied, {});
}

TEST_CASE("T08 callback: the first failing check decides, in all combinations of failures") {
  const std::string long_value(4097, 'a');
  for (unsigned failures = 0; failures < 256; ++failures) {
    const auto fails = [failures](unsigned n) { return (failures >> n & 1U) != 0; };
    std::vector<Param> params{state};
    if (fails(0)) params.push_back({"x", long_value});
    if (fails(1)) params.push_back(state);
    params.push_back(fails(4) ? Param{"iss", "https://evil.example"} : iss);
    if (fails(5)) {
      params.push_back({"error", "server_error"});
      params.push_back({"code", "abc"});
    } else if (fails(6)) {
      params.push_back({"error", "access_denied"});
    } else {
      params.push_back(fails(7) ? Param{"code", "a b"} : code);
    }
    auto input = good(params);
    if (fails(2)) input.state_error = Errc::state_expired;
    if (fails(3)) input.session_subject = "bob";
    CAPTURE(failures);
    if (fails(0) || fails(1)) {
      check_redirect(input, Errc::callback_malformed, {});
    } else if (fails(2)) {
      check_redirect(input, Errc::state_expired, {});
    } else if (fails(3)) {
      check_redirect(input, Errc::subject_mismatch, {});
    } else if (fails(4)) {
      check_redirect(input, Errc::issuer_mismatch, "/settings");
    } else if (fails(5)) {
      check_redirect(input, Errc::callback_malformed, "/settings");
    } else if (fails(6)) {
      check_redirect(input, Errc::access_denied, "/settings");
    } else if (fails(7)) {
      check_redirect(input, Errc::code_invalid, "/settings");
    } else {
      check_exchange(input);
    }
  }
}

TEST_CASE("callback: bounds on parameters") {
  std::vector<std::string> names;
  for (int i = 0; i < 32; ++i) names.push_back("x" + std::to_string(i));
  std::vector<Param> params{code, iss};
  while (params.size() < 32) params.push_back({names[params.size()], ""});
  check_exchange(good(params));
  params.push_back({"y", ""});
  check_redirect(good(params), Errc::callback_malformed, {});

  const std::string name(65, 'n');
  const std::string value(4097, 'v');
  params = {code, iss, {std::string_view{name}.substr(1), std::string_view{value}.substr(1)}};
  check_exchange(good(params));
  params[2] = {name, ""};
  check_redirect(good(params), Errc::callback_malformed, {});
  params[2] = {"n", value};
  check_redirect(good(params), Errc::callback_malformed, {});
}

TEST_CASE("callback: a name twice is refused wherever it stands, whatever it is") {
  for (const char* name : {"code", "state", "iss", "error", "error_description", "x", ""}) {
    for (const char* second : {"abc", "", "other"}) {
      for (std::size_t at = 0; at <= 3; ++at) {
        std::vector<Param> params{state, code, iss};
        params.insert(params.begin() + static_cast<std::ptrdiff_t>(at), {name, "abc"});
        params.push_back({name, second});
        CAPTURE(name, second, at);
        check_redirect(good(params), Errc::callback_malformed, {});
      }
    }
  }
  const std::vector<Param> other_case{code, {"Code", "x"}, iss};
  check_exchange(good(other_case));
}

TEST_CASE("T06 callback: every reason of a refused state is passed on, with its public code") {
  const std::vector<Param> params{code, iss};
  for (const auto reason :
       {Errc::state_missing, Errc::state_too_long, Errc::state_malformed, Errc::state_unknown_key,
        Errc::state_bad_signature, Errc::state_payload_invalid, Errc::state_from_future,
        Errc::state_expired, Errc::issuer_mismatch, Errc::audience_mismatch, Errc::flow_mismatch,
        Errc::provider_mismatch, Errc::subject_mismatch, Errc::binding_mismatch}) {
    auto input = good(params);
    input.state_error = reason;
    check_redirect(input, reason, {});
  }
  auto input = good(params);
  input.state_error = Errc::state_expired;
  CHECK(plan(input).public_code == PublicCode::expired_state);
  input.state_error = Errc::binding_mismatch;
  CHECK(plan(input).public_code == PublicCode::other_browser);
  input.state_error = Errc::ok;
  input.session_subject = "bob";
  CHECK(plan(input).public_code == PublicCode::other_account);
}

TEST_CASE("T10 callback: only who started the flow may end it") {
  const std::vector<Param> params{code, iss};
  struct Row {
    const char* subject;
    const char* session_subject;
    bool same;
  };
  const Row rows[] = {
      {"alice", "alice", true},   {"alice", "", false},      {"", "", false},
      {"", "alice", false},       {"alice", "bob", false},   {"alice", "Alice", false},
      {"alice", "alice ", false}, {"a.b@x", "a_b@x", false}, {"alice", "alic", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.subject, row.session_subject);
    auto input = good(params);
    input.subject = row.subject;
    input.session_subject = row.session_subject;
    if (row.same) {
      check_exchange(input);
    } else {
      check_redirect(input, Errc::subject_mismatch, {});
    }
  }
}

TEST_CASE("callback: the issuer table of RFC 9207") {
  struct Row {
    const char* sent;  // null: absent
    const char* known;
    bool required;
    bool passes;
  };
  const Row rows[] = {
      {nullptr, "", false, true},
      {nullptr, "", true, false},
      {nullptr, "https://as.example", false, true},
      {nullptr, "https://as.example", true, false},
      {"https://as.example", "https://as.example", false, true},
      {"https://as.example", "https://as.example", true, true},
      {"https://as.example", "", false, true},
      {"https://as.example", "", true, true},
      {"https://as.example/", "https://as.example", false, false},
      {"https://AS.example", "https://as.example", true, false},
      {"https://evil.example", "https://as.example", false, false},
      {"", "https://as.example", false, false},
      {"", "https://as.example", true, false},
  };
  for (const auto& row : rows) {
    for (const bool refused : {false, true}) {
      std::vector<Param> params{refused ? Param{"error", "access_denied"} : code};
      if (row.sent != nullptr) params.push_back({"iss", row.sent});
      auto input = good(params);
      input.as_issuer = row.known;
      input.iss_required = row.required;
      CAPTURE(row.sent == nullptr, row.known, row.required, refused);
      if (!row.passes) {
        check_redirect(input, Errc::issuer_mismatch, "/settings");
      } else if (refused) {
        check_redirect(input, Errc::access_denied, "/settings");
      } else {
        check_exchange(input);
      }
    }
  }
}

TEST_CASE("T08 callback: provider errors are mapped and use nothing up") {
  struct Row {
    const char* error;
    Errc reason;
  };
  const Row rows[] = {
      {"access_denied", Errc::access_denied},
      {"invalid_client", Errc::provider_refused_client},
      {"unauthorized_client", Errc::provider_refused_client},
      {"invalid_request", Errc::provider_refused_client},
      {"unsupported_response_type", Errc::provider_refused_client},
      {"invalid_scope", Errc::provider_refused_client},
      {"redirect_uri_mismatch", Errc::provider_refused_client},
      {"application_suspended", Errc::provider_refused_client},
      {"incorrect_client_credentials", Errc::provider_refused_client},
      {"server_error", Errc::provider_error},
      {"temporarily_unavailable", Errc::provider_error},
      {"login_required", Errc::provider_error},
      {"Access_Denied", Errc::provider_error},
      {"access_denied ", Errc::provider_error},
      {"", Errc::provider_error},
      {"<script>", Errc::provider_error},
  };
  for (const auto& row : rows) {
    CAPTURE(row.error);
    const std::vector<Param> params{iss,
                                    {"error_uri", "https://evil.example"},
                                    {"error", row.error},
                                    {"error_description", "access_denied"}};
    check_redirect(good(params), row.reason, "/settings");
  }
  const std::vector<Param> described{iss, {"error_description", "no"}, code};
  check_exchange(good(described));
}

TEST_CASE("T08 callback: an answer and an error together are refused, empty ones too") {
  for (const char* error : {"access_denied", ""}) {
    for (const char* value : {"abc", ""}) {
      const std::vector<Param> params{{"error", error}, iss, {"code", value}};
      check_redirect(good(params), Errc::callback_malformed, "/settings");
    }
  }
}

TEST_CASE("T08 callback: codes by length and by every byte") {
  const std::string longest(2048, 'c');
  const std::vector<Param> fits{{"code", longest}, iss};
  check_exchange(good(fits));
  const std::string over = longest + "c";
  const std::vector<Param> too_long{{"code", over}, iss};
  check_redirect(good(too_long), Errc::code_invalid, "/settings");
  const std::vector<Param> empty{{"code", ""}, iss};
  check_redirect(good(empty), Errc::code_invalid, "/settings");
  const std::vector<Param> absent{iss, state};
  check_redirect(good(absent), Errc::code_invalid, "/settings");

  constexpr std::string_view allowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~+/-";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    for (const std::string& text : {std::string{c}, std::string{"a"} + c, c + std::string{"a"}}) {
      CAPTURE(byte, text);
      const std::vector<Param> params{{"code", text}, iss};
      if (allowed.find(c) != std::string_view::npos) {
        check_exchange(good(params));
      } else {
        check_redirect(good(params), Errc::code_invalid, "/settings");
      }
    }
  }
}

TEST_CASE("T09 callback: the same callback twice plans the same nonce, so storage can choose one") {
  const std::vector<Param> params{state, code, iss};
  const auto first = plan(good(params));
  const auto second = plan(good(params));
  CHECK(first.consume.nonce == second.consume.nonce);
  CHECK(first.consume.until == second.consume.until);
}

TEST_CASE("T07 T08 callback: random input never leaks a parameter and uses up only to exchange") {
  constexpr std::string_view names[] = {
      "code",  "state", "iss",  "error",        "error_uri", "error_description",
      "scope", "x",     "Code", "session_state"};
  constexpr std::string_view values[] = {
      "",      "abc",           "CANARY",       "https://as.example", "https://evil.example",
      "a b",   "access_denied", "server_error", "<b>CANARY</b>",      "unauthorized_client",
      "x\r\ny"};
  constexpr Errc state_errors[] = {Errc::ok, Errc::ok, Errc::ok, Errc::state_expired,
                                   Errc::binding_mismatch};
  std::mt19937_64 random{7};
  const auto pick = [&random](const auto& from) { return from[random() % std::size(from)]; };
  int exchanges = 0;
  for (int i = 0; i < 100'000; ++i) {
    // Every parameter owns its bytes, so that a view into one of them is told from equal text.
    std::vector<std::string> bytes;
    for (auto n = random() % 6; n > 0; --n) {
      bytes.emplace_back(pick(names));
      bytes.emplace_back(pick(values));
    }
    std::vector<Param> params;
    for (std::size_t at = 0; at < bytes.size(); at += 2)
      params.push_back({bytes[at], bytes[at + 1]});
    auto input = good(params);
    input.state_error = pick(state_errors);
    if (random() % 8 == 0) input.session_subject = random() % 2 == 0 ? "" : "bob";
    if (random() % 2 == 0) input.iss_required = false;
    if (random() % 4 == 0) input.as_issuer = {};

    const auto result = plan(input);
    check_shape(result);
    const auto owned = [&bytes](std::string_view view) {
      for (const auto& text : bytes) {
        const std::less_equal<const char*> before;
        if (before(text.data(), view.data()) && before(view.data(), text.data() + text.size())) {
          return true;
        }
      }
      return false;
    };
    REQUIRE((result.return_to.empty() || result.return_to.data() == input.return_to.data()));
    REQUIRE((result.consume.nonce.empty() || result.consume.nonce.data() == input.nonce.data()));
    REQUIRE_FALSE(owned(result.return_to));
    REQUIRE_FALSE(owned(result.consume.nonce));
    if (result.action == Action::exchange) {
      ++exchanges;
      const auto sent = std::find_if(params.begin(), params.end(),
                                     [](const Param& param) { return param.name == "code"; });
      REQUIRE(sent != params.end());
      REQUIRE(result.code.data() == sent->value.data());
    }
  }
  CHECK(exchanges > 100);
}

TEST_CASE("callback: nothing at all is a refusal") {
  check_redirect({}, Errc::subject_mismatch, {});
  check_redirect(good({}), Errc::issuer_mismatch, "/settings");
}
