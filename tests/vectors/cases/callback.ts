import { document, Group, nonce, now, repeated } from './common.ts'

const plan = new Group('callback.plan')
const expiresAt = now + 600_000
const state = { subject: 'user-1', returnTo: '/settings', nonce, expiresAt }
const session = { subject: 'user-1' }
const code = ['code', 'SplxlOBeZQQYbYS6WxSbIA']
const usual = { params: [code, ['state', 's']], state, session }
const exchange = {
  action: 'exchange',
  code: 'SplxlOBeZQQYbYS6WxSbIA',
  returnTo: '/settings',
  consume: { nonce, until: expiresAt + 65_000 },
}

type Changes = Readonly<Record<string, unknown>>
const good = (name: string, comment: string, changes: Changes, expect: unknown = exchange): void =>
  plan.good(name, comment, { ...usual, ...changes }, expect)

/** A redirect; from the fourth check on with the return path. */
const back = (name: string, comment: string, changes: Changes, reason: string, publicCode: string): void =>
  good(name, comment, changes, { action: 'redirect', reason, publicCode, returnTo: '/settings' })
const away = (name: string, comment: string, changes: Changes, reason: string, publicCode: string): void =>
  good(name, comment, changes, { action: 'redirect', reason, publicCode })

good(
  'exchange',
  'The nonce is kept for the skew and a margin of five seconds beyond the state: 665 seconds in all.',
  {},
)
good(
  'no-return-path',
  'A state without a return path.',
  { state: { ...state, returnTo: undefined } },
  { ...exchange, returnTo: undefined },
)
good('parameters-unknown', 'RFC 6749 section 4.1.2: what we do not know is ignored.', {
  params: [code, ['state', 's'], ['session_state', 'x'], ['scope', 'a b'], ['', '']],
})
good(
  'code-2048',
  'The longest code.',
  { params: [['code', repeated('c', 2_048)]] },
  { ...exchange, code: repeated('c', 2_048) },
)
good(
  'code-characters',
  'Every kind of character that a code may have.',
  { params: [['code', 'aZ09._~+/-']] },
  { ...exchange, code: 'aZ09._~+/-' },
)
const extra = (count: number): string[][] => Array.from({ length: count }, (_, i) => [`p${i}`, ''])
good('32-parameters', 'As many parameters as there may be.', { params: [code, ...extra(31)] })
good('name-64-bytes', 'The longest name.', { params: [code, [repeated('n', 64), '']] })
good('value-4096-bytes', 'The longest value.', { params: [code, ['x', repeated('v', 4_096)]] })

away(
  '33-parameters',
  'One parameter too many.',
  { params: [code, ...extra(32)] },
  'callback_malformed',
  'invalid_state',
)
away(
  '300-parameters',
  'Far too many.',
  { params: [code, ...extra(299)] },
  'callback_malformed',
  'invalid_state',
)
away(
  'name-65-bytes',
  'A name one byte too long.',
  { params: [code, [repeated('n', 65), '']] },
  'callback_malformed',
  'invalid_state',
)
away(
  'value-4097-bytes',
  'A value one byte too long.',
  { params: [code, ['x', repeated('v', 4_097)]] },
  'callback_malformed',
  'invalid_state',
)
away('code-twice', 'A parameter twice.', { params: [code, code] }, 'callback_malformed', 'invalid_state')
away(
  'state-twice',
  'Any parameter twice.',
  { params: [code, ['state', 'a'], ['state', 'b']] },
  'callback_malformed',
  'invalid_state',
)
away(
  'unknown-twice',
  'Even one that we do not know.',
  { params: [code, ['x', ''], ['x', '']] },
  'callback_malformed',
  'invalid_state',
)

// Whatever was wrong with the state.
for (const [reason, publicCode] of [
  ['state_missing', 'invalid_state'],
  ['state_too_long', 'invalid_state'],
  ['state_malformed', 'invalid_state'],
  ['state_unknown_key', 'invalid_state'],
  ['state_bad_signature', 'invalid_state'],
  ['state_payload_invalid', 'invalid_state'],
  ['state_from_future', 'invalid_state'],
  ['state_expired', 'expired_state'],
  ['issuer_mismatch', 'invalid_state'],
  ['audience_mismatch', 'invalid_state'],
  ['flow_mismatch', 'invalid_state'],
  ['provider_mismatch', 'invalid_state'],
  ['subject_mismatch', 'other_account'],
  ['binding_mismatch', 'other_browser'],
] as const) {
  away(
    reason,
    'T06: the reason inside, one of few codes outside, no return path.',
    { state: reason },
    reason,
    publicCode,
  )
}

// Who came back.
away('signed-out', 'Nobody is signed in any more.', { session: {} }, 'subject_mismatch', 'other_account')
away(
  'somebody-else',
  'T10: somebody else is signed in; the return path is not theirs.',
  { session: { subject: 'user-2' } },
  'subject_mismatch',
  'other_account',
)

// RFC 9207.
const asIssuer = 'https://as.example'
good('iss-right', 'RFC 9207: the answer comes from the server that was asked.', {
  params: [code, ['iss', asIssuer]],
  session: { ...session, asIssuer, issRequired: true },
})
good('iss-unasked', 'An issuer that we have nothing to compare with.', { params: [code, ['iss', asIssuer]] })
good('iss-optional', 'A server that need not send it.', { session: { ...session, asIssuer } })
back(
  'iss-other',
  'RFC 9207 section 2.4: another server answers.',
  { params: [code, ['iss', 'https://evil.example']], session: { ...session, asIssuer } },
  'issuer_mismatch',
  'invalid_state',
)
back(
  'iss-slash',
  'Compared byte for byte.',
  { params: [code, ['iss', `${asIssuer}/`]], session: { ...session, asIssuer } },
  'issuer_mismatch',
  'invalid_state',
)
back(
  'iss-missing',
  'A server that always sends it did not.',
  { session: { ...session, asIssuer, issRequired: true } },
  'issuer_mismatch',
  'invalid_state',
)
back(
  'iss-before-error',
  'An error of another server is none of ours.',
  {
    params: [
      ['error', 'access_denied'],
      ['iss', 'https://evil.example'],
    ],
    session: { ...session, asIssuer },
  },
  'issuer_mismatch',
  'invalid_state',
)

// What the provider said. T08: nothing is used up.
const said = (error: string): Changes => ({
  params: [
    ['error', error],
    ['state', 's'],
  ],
})
back('denied', 'T08: the person said no.', said('access_denied'), 'access_denied', 'access_denied')
for (const error of [
  'invalid_client',
  'unauthorized_client',
  'invalid_request',
  'unsupported_response_type',
  'invalid_scope',
  'redirect_uri_mismatch',
  'application_suspended',
  'incorrect_client_credentials',
]) {
  back(
    `client-${error.replaceAll('_', '-')}`,
    'T08: our registration is at fault.',
    said(error),
    'provider_refused_client',
    'misconfigured',
  )
}
for (const error of [
  'server_error',
  'temporarily_unavailable',
  'interaction_required',
  'ACCESS_DENIED',
  '',
]) {
  back(
    `error-${error === '' ? 'empty' : error.replaceAll('_', '-')}`,
    'T08: everything else that a provider may say.',
    said(error),
    'provider_error',
    'provider_error',
  )
}
back(
  'error-described',
  'T07: descriptions are never looked at.',
  {
    params: [
      ['error', 'x'],
      ['error_description', 'the secret is 42'],
      ['error_uri', 'https://evil.example'],
    ],
  },
  'provider_error',
  'provider_error',
)
back(
  'error-and-code',
  'Both cannot be.',
  { params: [code, ['error', 'access_denied']] },
  'callback_malformed',
  'invalid_state',
)

// The code.
const sent = (value: unknown): Changes => ({
  params: [
    ['code', value],
    ['state', 's'],
  ],
})
back(
  'code-missing',
  'T08: neither code nor error.',
  { params: [['state', 's']] },
  'code_invalid',
  'exchange_failed',
)
back('no-parameters', 'T08: nothing at all.', { params: [] }, 'code_invalid', 'exchange_failed')
back('code-empty', 'T08: an empty code.', sent(''), 'code_invalid', 'exchange_failed')
back(
  'code-2049',
  'T08: one character too long.',
  sent(repeated('c', 2_049)),
  'code_invalid',
  'exchange_failed',
)
back('code-blank', 'T08: a blank inside.', sent('a b'), 'code_invalid', 'exchange_failed')
back('code-line-end', 'T08: a line end inside.', sent('a\r\nb'), 'code_invalid', 'exchange_failed')
back('code-percent', 'T08: no code is encoded twice.', sent('a%20b'), 'code_invalid', 'exchange_failed')
back('code-non-ascii', 'T08: a code is ASCII.', sent('c\u00f6de'), 'code_invalid', 'exchange_failed')

// The order of the checks.
away(
  'order-twice-first',
  'Parameters come before the state.',
  { params: [code, code], state: 'state_expired' },
  'callback_malformed',
  'invalid_state',
)
away(
  'order-state',
  'The state comes before who is signed in.',
  { state: 'state_expired', session: {} },
  'state_expired',
  'expired_state',
)
away(
  'order-subject',
  'Who is signed in comes before the issuer.',
  { session: { subject: 'user-2', asIssuer, issRequired: true } },
  'subject_mismatch',
  'other_account',
)

export default document(
  'What follows from a callback. `state` is what verifying gave: claims, or the code of its refusal.',
  plan,
)
