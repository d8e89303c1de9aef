import { document, Group } from './common.ts'

const map: Readonly<Record<string, readonly string[]>> = {
  access_denied: ['access_denied'],
  invalid_state: [
    'state_missing',
    'state_too_long',
    'state_malformed',
    'state_unknown_key',
    'state_bad_signature',
    'state_payload_invalid',
    'state_from_future',
    'issuer_mismatch',
    'audience_mismatch',
    'flow_mismatch',
    'provider_mismatch',
    'callback_malformed',
  ],
  expired_state: ['state_expired'],
  used_state: ['state_consumed'],
  other_browser: ['binding_mismatch'],
  other_account: ['subject_mismatch'],
  provider_error: ['provider_error', 'webhook_unreadable'],
  exchange_failed: [
    'code_invalid',
    'exchange_refused',
    'exchange_unreadable',
    'exchange_unreachable',
    'account_unreadable',
    'not_connected',
    'reconnect_required',
    'revoked',
  ],
  already_connected: ['already_connected'],
  not_allowed: [
    'principal_missing',
    'principal_invalid',
    'principal_expired',
    'not_allowed',
    'host_refused',
    'origin_refused',
    'media_type_refused',
    'proxied_refused',
    'webhook_invalid',
  ],
  temporarily_unavailable: ['store_unavailable', 'temporarily_unavailable'],
  misconfigured: [
    'slice_invalid',
    'output_too_small',
    'time_invalid',
    'base64_invalid',
    'utf8_invalid',
    'json_invalid',
    'key_invalid',
    'key_duplicate',
    'key_ring_empty',
    'jwks_invalid',
    'seal_invalid',
    'seal_unknown_key',
    'claim_invalid',
    'return_to_invalid',
    'provider_refused_client',
    'config_missing',
    'config_invalid',
    'provider_unknown',
    'connect_disabled',
    'corrupt',
    'store_unfit',
    'lease_too_short',
  ],
}

const group = new Group('publicCode')
for (const [publicCode, codes] of Object.entries(map)) {
  for (const code of codes) group.good(code, 'T06: what may be told outside.', { code }, publicCode)
}

export default document('Every reason inside, and the one code that may be told outside.', group)
