#include "latchkey/error.hpp"

namespace latchkey {

std::string_view to_string(Errc code) noexcept {
  switch (code) {
  case Errc::ok: return "ok";
  case Errc::slice_invalid: return "slice_invalid";
  case Errc::output_too_small: return "output_too_small";
  case Errc::time_invalid: return "time_invalid";
  case Errc::base64_invalid: return "base64_invalid";
  case Errc::utf8_invalid: return "utf8_invalid";
  case Errc::json_invalid: return "json_invalid";
  case Errc::key_invalid: return "key_invalid";
  case Errc::key_duplicate: return "key_duplicate";
  case Errc::key_ring_empty: return "key_ring_empty";
  case Errc::jwks_invalid: return "jwks_invalid";
  case Errc::seal_invalid: return "seal_invalid";
  case Errc::seal_unknown_key: return "seal_unknown_key";
  case Errc::claim_invalid: return "claim_invalid";
  case Errc::return_to_invalid: return "return_to_invalid";
  case Errc::state_missing: return "state_missing";
  case Errc::state_too_long: return "state_too_long";
  case Errc::state_malformed: return "state_malformed";
  case Errc::state_unknown_key: return "state_unknown_key";
  case Errc::state_bad_signature: return "state_bad_signature";
  case Errc::state_payload_invalid: return "state_payload_invalid";
  case Errc::state_from_future: return "state_from_future";
  case Errc::state_expired: return "state_expired";
  case Errc::issuer_mismatch: return "issuer_mismatch";
  case Errc::audience_mismatch: return "audience_mismatch";
  case Errc::flow_mismatch: return "flow_mismatch";
  case Errc::provider_mismatch: return "provider_mismatch";
  case Errc::subject_mismatch: return "subject_mismatch";
  case Errc::binding_mismatch: return "binding_mismatch";
  case Errc::callback_malformed: return "callback_malformed";
  case Errc::code_invalid: return "code_invalid";
  case Errc::access_denied: return "access_denied";
  case Errc::provider_error: return "provider_error";
  case Errc::provider_refused_client: return "provider_refused_client";
  case Errc::state_consumed: return "state_consumed";
  case Errc::store_unavailable: return "store_unavailable";
  case Errc::exchange_refused: return "exchange_refused";
  case Errc::exchange_unreadable: return "exchange_unreadable";
  case Errc::exchange_unreachable: return "exchange_unreachable";
  case Errc::account_unreadable: return "account_unreadable";
  case Errc::already_connected: return "already_connected";
  case Errc::principal_missing: return "principal_missing";
  case Errc::principal_invalid: return "principal_invalid";
  case Errc::principal_expired: return "principal_expired";
  case Errc::not_allowed: return "not_allowed";
  case Errc::host_refused: return "host_refused";
  case Errc::origin_refused: return "origin_refused";
  case Errc::media_type_refused: return "media_type_refused";
  case Errc::proxied_refused: return "proxied_refused";
  case Errc::config_missing: return "config_missing";
  case Errc::config_invalid: return "config_invalid";
  case Errc::provider_unknown: return "provider_unknown";
  case Errc::connect_disabled: return "connect_disabled";
  case Errc::not_connected: return "not_connected";
  case Errc::reconnect_required: return "reconnect_required";
  case Errc::corrupt: return "corrupt";
  case Errc::store_unfit: return "store_unfit";
  case Errc::lease_too_short: return "lease_too_short";
  case Errc::revoked: return "revoked";
  case Errc::temporarily_unavailable: return "temporarily_unavailable";
  case Errc::webhook_invalid: return "webhook_invalid";
  case Errc::webhook_unreadable: return "webhook_unreadable";
  case Errc::name_invalid: return "name_invalid";
  case Errc::credential_incomplete: return "credential_incomplete";
  case Errc::repo_invalid: return "repo_invalid";
  case Errc::repo_host_not_allowed: return "repo_host_not_allowed";
  case Errc::upstream_url_invalid: return "upstream_url_invalid";
  case Errc::upstream_host_not_allowed: return "upstream_host_not_allowed";
  case Errc::repository_mismatch: return "repository_mismatch";
  case Errc::upstream_request_invalid: return "upstream_request_invalid";
  case Errc::capability_invalid: return "capability_invalid";
  case Errc::capability_expired: return "capability_expired";
  case Errc::capability_revoked: return "capability_revoked";
  case Errc::container_mismatch: return "container_mismatch";
  case Errc::turn_invalid: return "turn_invalid";
  case Errc::mode_invalid: return "mode_invalid";
  case Errc::model_invalid: return "model_invalid";
  case Errc::credential_invalid: return "credential_invalid";
  case Errc::queue_full: return "queue_full";
  case Errc::message_conflict: return "message_conflict";
  case Errc::message_ended: return "message_ended";
  case Errc::run_unknown: return "run_unknown";
  case Errc::run_foreign: return "run_foreign";
  case Errc::run_active: return "run_active";
  case Errc::run_ended: return "run_ended";
  case Errc::run_forgotten: return "run_forgotten";
  case Errc::run_full: return "run_full";
  case Errc::event_too_large: return "event_too_large";
  case Errc::event_conflict: return "event_conflict";
  case Errc::event_out_of_order: return "event_out_of_order";
  case Errc::device_mismatch: return "device_mismatch";
  }
  return {};
}

std::string_view to_string(PublicCode code) noexcept {
  switch (code) {
  case PublicCode::none: return "none";
  case PublicCode::access_denied: return "access_denied";
  case PublicCode::invalid_state: return "invalid_state";
  case PublicCode::expired_state: return "expired_state";
  case PublicCode::used_state: return "used_state";
  case PublicCode::other_browser: return "other_browser";
  case PublicCode::other_account: return "other_account";
  case PublicCode::provider_error: return "provider_error";
  case PublicCode::exchange_failed: return "exchange_failed";
  case PublicCode::already_connected: return "already_connected";
  case PublicCode::not_allowed: return "not_allowed";
  case PublicCode::temporarily_unavailable: return "temporarily_unavailable";
  case PublicCode::misconfigured: return "misconfigured";
  }
  return {};
}

std::string_view meaning(Errc code) noexcept {
  switch (code) {
  case Errc::ok: return "no error";
  case Errc::slice_invalid: return "a (pointer, length) pair lies outside the arena";
  case Errc::output_too_small: return "the result does not fit into the space given for it";
  case Errc::time_invalid: return "not a whole number of milliseconds in 0..8.64e15";
  case Errc::base64_invalid: return "not canonical base64url, or not of the wanted length";
  case Errc::utf8_invalid: return "not well-formed UTF-8";
  case Errc::json_invalid: return "not strict JSON, or beyond depth or size";
  case Errc::key_invalid: return "not kid:key with a canonical 32-byte key";
  case Errc::key_duplicate: return "the same key id, or the same key, twice";
  case Errc::key_ring_empty: return "no key at all";
  case Errc::jwks_invalid: return "not a JWK Set with a usable Ed25519 key";
  case Errc::seal_invalid: return "not sealed by us, changed, or sealed for another context";
  case Errc::seal_unknown_key: return "sealed with a key that is not in the ring";
  case Errc::claim_invalid: return "a claim is missing, too long, not UTF-8 or out of range";
  case Errc::return_to_invalid: return "not a return path in its normal form";
  case Errc::state_missing: return "no state at all";
  case Errc::state_too_long: return "more than 4,096 bytes";
  case Errc::state_malformed: return "not three canonical parts with our exact header";
  case Errc::state_unknown_key: return "no key of that id and algorithm";
  case Errc::state_bad_signature: return "the signature is not ours";
  case Errc::state_payload_invalid:
    return "signed, but a claim is missing, unknown or out of range";
  case Errc::state_from_future: return "issued later than now plus the skew";
  case Errc::state_expired: return "older than its life";
  case Errc::issuer_mismatch: return "the issuer is another";
  case Errc::audience_mismatch: return "made for another redirect URI";
  case Errc::flow_mismatch: return "made for another flow";
  case Errc::provider_mismatch: return "made for another provider";
  case Errc::subject_mismatch: return "started by somebody else, or nobody is signed in";
  case Errc::binding_mismatch: return "started in another browser";
  case Errc::callback_malformed: return "a parameter twice or too long, or code and error together";
  case Errc::code_invalid: return "no authorization code, or not of a code's form";
  case Errc::access_denied: return "the person said no at the provider";
  case Errc::provider_error: return "the provider reported an error of its own";
  case Errc::provider_refused_client: return "the provider refuses this client's registration";
  case Errc::state_consumed: return "the state was used before";
  case Errc::store_unavailable: return "storage did not answer";
  case Errc::exchange_refused: return "the token endpoint refused the code";
  case Errc::exchange_unreadable: return "the token endpoint's answer was not understood";
  case Errc::exchange_unreachable: return "the token endpoint did not answer in time";
  case Errc::account_unreadable: return "the provider did not say which account this is";
  case Errc::already_connected: return "that account belongs to another person here";
  case Errc::principal_missing: return "nobody is signed in and no assertion was sent";
  case Errc::principal_invalid: return "the assertion is not ours or says something impossible";
  case Errc::principal_expired: return "the assertion is past its life";
  case Errc::not_allowed: return "the role does not permit this";
  case Errc::host_refused: return "the Host header is not one this server answers to";
  case Errc::origin_refused: return "nothing proves that the request comes from our own page";
  case Errc::media_type_refused: return "the body is not of the media type this route takes";
  case Errc::proxied_refused: return "a local-only route was reached through a proxy";
  case Errc::config_missing: return "a required variable is not set";
  case Errc::config_invalid: return "a variable is set to something that cannot be used";
  case Errc::provider_unknown: return "no provider of that name is configured";
  case Errc::connect_disabled: return "connecting is switched off";
  case Errc::not_connected: return "there is no connection";
  case Errc::reconnect_required: return "the connection can no longer give a token";
  case Errc::corrupt: return "a stored record does not open; it is kept as it is";
  case Errc::store_unfit: return "a store without compare-and-swap or strong reads";
  case Errc::lease_too_short: return "the lease does not outlive the token request";
  case Errc::revoked: return "the connection was revoked";
  case Errc::temporarily_unavailable: return "no token now; the connection is as it was";
  case Errc::webhook_invalid: return "no signature of ours over this body, or one that is too old";
  case Errc::webhook_unreadable: return "signed, but not an event in the form this provider sends";
  case Errc::name_invalid: return "not a name that can stand in a path or a storage key";
  case Errc::credential_incomplete: return "a part of the credential is missing";
  case Errc::repo_invalid: return "not a reference to one repository";
  case Errc::repo_host_not_allowed: return "a repository on a host that is not configured";
  case Errc::upstream_url_invalid: return "not a URL that a credential may be sent to";
  case Errc::upstream_host_not_allowed: return "a host that the credential is not for";
  case Errc::repository_mismatch: return "another repository than the credential is for";
  case Errc::upstream_request_invalid: return "not one of the requests that may be made there";
  case Errc::capability_invalid: return "not ours, changed, or says something impossible";
  case Errc::capability_expired: return "the capability is past its life";
  case Errc::capability_revoked: return "made before everything of its owner was revoked";
  case Errc::container_mismatch: return "made for another container";
  case Errc::turn_invalid: return "no text, too long, or not UTF-8";
  case Errc::mode_invalid: return "not a mode that there is";
  case Errc::model_invalid: return "not a model that there is";
  case Errc::credential_invalid: return "the credential has a form that none has";
  case Errc::queue_full: return "as many messages wait as may";
  case Errc::message_conflict: return "that id belongs to a message that says something else";
  case Errc::message_ended: return "that message has ended; a new one needs a new id";
  case Errc::run_unknown: return "there is no such run, or none any more";
  case Errc::run_foreign: return "somebody else's run";
  case Errc::run_active: return "a run of this thread is under way";
  case Errc::run_ended: return "its log has ended: nothing is written after that";
  case Errc::run_forgotten: return "what was asked for under this key has run and been removed";
  case Errc::run_full: return "its log holds as many events as it may";
  case Errc::event_too_large: return "an event larger than a log takes";
  case Errc::event_conflict: return "that key belongs to an event that says something else";
  case Errc::event_out_of_order: return "another event is the last one than its writer says";
  case Errc::device_mismatch: return "the run of another device, or of none";
  }
  return {};
}

PublicCode public_code(Errc code) noexcept {
  switch (code) {
  case Errc::ok: return PublicCode::none;

  case Errc::access_denied: return PublicCode::access_denied;

  case Errc::state_missing:
  case Errc::state_too_long:
  case Errc::state_malformed:
  case Errc::state_unknown_key:
  case Errc::state_bad_signature:
  case Errc::state_payload_invalid:
  case Errc::state_from_future:
  case Errc::issuer_mismatch:
  case Errc::audience_mismatch:
  case Errc::flow_mismatch:
  case Errc::provider_mismatch:
  case Errc::callback_malformed: return PublicCode::invalid_state;

  case Errc::state_expired: return PublicCode::expired_state;
  case Errc::state_consumed: return PublicCode::used_state;
  case Errc::binding_mismatch: return PublicCode::other_browser;
  case Errc::subject_mismatch: return PublicCode::other_account;

  case Errc::provider_error:
  case Errc::webhook_unreadable: return PublicCode::provider_error;

  case Errc::code_invalid:
  case Errc::exchange_refused:
  case Errc::exchange_unreadable:
  case Errc::exchange_unreachable:
  case Errc::account_unreadable:
  case Errc::not_connected:
  case Errc::reconnect_required:
  case Errc::revoked: return PublicCode::exchange_failed;

  case Errc::already_connected: return PublicCode::already_connected;

  case Errc::principal_missing:
  case Errc::principal_invalid:
  case Errc::principal_expired:
  case Errc::not_allowed:
  case Errc::host_refused:
  case Errc::origin_refused:
  case Errc::media_type_refused:
  case Errc::proxied_refused:
  case Errc::webhook_invalid:
  case Errc::repo_invalid:
  case Errc::repo_host_not_allowed:
  case Errc::upstream_url_invalid:
  case Errc::upstream_host_not_allowed:
  case Errc::repository_mismatch:
  case Errc::upstream_request_invalid:
  case Errc::capability_invalid:
  case Errc::capability_expired:
  case Errc::capability_revoked:
  case Errc::container_mismatch:
  case Errc::run_unknown:
  case Errc::run_foreign:
  case Errc::device_mismatch: return PublicCode::not_allowed;

  case Errc::store_unavailable:
  case Errc::temporarily_unavailable:
  case Errc::queue_full:
  case Errc::run_active: return PublicCode::temporarily_unavailable;

  case Errc::slice_invalid:
  case Errc::output_too_small:
  case Errc::time_invalid:
  case Errc::base64_invalid:
  case Errc::utf8_invalid:
  case Errc::json_invalid:
  case Errc::key_invalid:
  case Errc::key_duplicate:
  case Errc::key_ring_empty:
  case Errc::jwks_invalid:
  case Errc::seal_invalid:
  case Errc::seal_unknown_key:
  case Errc::claim_invalid:
  case Errc::return_to_invalid:
  case Errc::provider_refused_client:
  case Errc::config_missing:
  case Errc::config_invalid:
  case Errc::provider_unknown:
  case Errc::connect_disabled:
  case Errc::corrupt:
  case Errc::store_unfit:
  case Errc::lease_too_short:
  case Errc::name_invalid:
  case Errc::credential_incomplete:
  case Errc::turn_invalid:
  case Errc::mode_invalid:
  case Errc::model_invalid:
  case Errc::credential_invalid:
  case Errc::message_conflict:
  case Errc::message_ended:
  case Errc::run_ended:
  case Errc::run_forgotten:
  case Errc::run_full:
  case Errc::event_too_large:
  case Errc::event_conflict:
  case Errc::event_out_of_order: return PublicCode::misconfigured;
  }
  LK_CHECK(false);
  return PublicCode::misconfigured;
}

}  // namespace latchkey
