#include "latchkey/callback.hpp"

#include <algorithm>

namespace latchkey::callback {
namespace {

bool is_well_formed(std::span<const Param> params) noexcept {
  if (params.size() > max_params) return false;
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (params[i].name.size() > max_name || params[i].value.size() > max_value) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (params[j].name == params[i].name) return false;
    }
  }
  return true;
}

const Param* find(std::span<const Param> params, std::string_view name) noexcept {
  for (const auto& param : params) {
    if (param.name == name) return &param;
  }
  return nullptr;
}

bool is_issuer_right(const Input& input, const Param* iss) noexcept {
  if (iss == nullptr) return !input.iss_required;
  return input.as_issuer.empty() || iss->value == input.as_issuer;
}

/// Codes of RFC 6749 section 4.1.2.1, and of GitHub, that the person cannot do anything about.
constexpr std::string_view client_errors[] = {
    "invalid_client",        "unauthorized_client",
    "invalid_request",       "unsupported_response_type",
    "invalid_scope",         "redirect_uri_mismatch",
    "application_suspended", "incorrect_client_credentials",
};

Errc reason_of(std::string_view error) noexcept {
  if (error == "access_denied") return Errc::access_denied;
  const bool client = std::find(std::begin(client_errors), std::end(client_errors), error) !=
                      std::end(client_errors);
  return client ? Errc::provider_refused_client : Errc::provider_error;
}

bool is_code_char(char c) noexcept {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view{"._~+/-"}.find(c) != std::string_view::npos;
}

bool is_code(std::string_view code) noexcept {
  return !code.empty() && code.size() <= max_code &&
         std::all_of(code.begin(), code.end(), is_code_char);
}

Plan redirect(Errc reason, std::string_view return_to) noexcept {
  Plan plan;
  plan.action = Action::redirect;
  plan.reason = reason;
  plan.public_code = public_code(reason);
  plan.return_to = return_to;
  return plan;
}

}  // namespace

Plan plan(const Input& input) noexcept {
  if (!is_well_formed(input.params)) return redirect(Errc::callback_malformed, {});
  if (input.state_error != Errc::ok) return redirect(input.state_error, {});
  if (input.session_subject.empty() || input.session_subject != input.subject) {
    return redirect(Errc::subject_mismatch, {});
  }
  if (!is_issuer_right(input, find(input.params, "iss"))) {
    return redirect(Errc::issuer_mismatch, input.return_to);
  }
  const Param* error = find(input.params, "error");
  const Param* code = find(input.params, "code");
  if (error != nullptr && code != nullptr) {
    return redirect(Errc::callback_malformed, input.return_to);
  }
  if (error != nullptr) return redirect(reason_of(error->value), input.return_to);
  if (code == nullptr || !is_code(code->value)) {
    return redirect(Errc::code_invalid, input.return_to);
  }
  Plan plan;
  plan.action = Action::exchange;
  plan.return_to = input.return_to;
  plan.code = code->value;
  plan.consume = {input.nonce, input.expires_at.plus(consume_margin)};
  return plan;
}

}  // namespace latchkey::callback
