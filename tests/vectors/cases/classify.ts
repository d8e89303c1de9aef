import { document, Group, now, repeated } from './common.ts'

const classify = new Group('refresh.classify')
type Members = Readonly<Record<string, unknown>>
const json = (members: object): string => JSON.stringify(members)
const type = { 'content-type': 'application/json' }
const formType = { 'content-type': 'application/x-www-form-urlencoded' }

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}
const ask = (
  name: string,
  comment: string,
  { status = 200, headers = type, body = '' }: Answer,
  expect: Members,
  changes: Members = {},
): void =>
  classify.good(
    name,
    comment,
    { provider: 'generic', answer: { status, headers, body }, now, sentRefreshToken: 'rt', ...changes },
    expect,
  )

const members = {
  access_token: 'at2',
  token_type: 'Bearer',
  expires_in: 3_600,
  refresh_token: 'rt2',
  scope: 'read write',
}
const good = json(members)
const tokens = {
  accessToken: 'at2',
  refreshToken: 'rt2',
  lifetimeMs: 3_600_000,
  scopes: ['read', 'write'],
  refreshSame: false,
}
const ok = { class: 'ok', doubt: 'none', tokens }
const { refreshToken: _, ...withoutRefresh } = tokens
const terminal = (code: string): Members => ({ class: 'terminal', doubt: 'none', code })
const operator = (code?: string): Members => ({
  class: 'operator',
  doubt: 'none',
  ...(code === undefined ? {} : { code }),
})
const unparsed = { class: 'unparsed', doubt: 'answered' }
const refused = { class: 'unparsed', doubt: 'none' }
const transient = { class: 'transient', doubt: 'answered' }
const introspectable = { ...transient, introspectable: true }
const untouched = { class: 'transient', doubt: 'none' }
const limited = (retryAfterMs?: number): Members => ({
  class: 'rate_limited',
  doubt: 'none',
  ...(retryAfterMs === undefined ? {} : { retryAfterMs, retryAt: now + retryAfterMs }),
})
const error = (word: string): string => json({ error: word })

// Good answers.
ask('ok', 'RFC 6749 section 5.1.', { body: good }, ok)
ask('ok-201', 'Every good status.', { status: 201, body: good }, ok)
ask(
  'ok-form',
  'threat T11: a form.',
  {
    headers: formType,
    body: 'access_token=at2&refresh_token=rt2&expires_in=3600&scope=read+write&token_type=bearer',
  },
  ok,
)
ask('ok-no-type', 'threat T11: without a media type.', { headers: {}, body: good }, ok)
ask(
  'ok-strings',
  'threat T11: numbers as text, in the words of GitHub.',
  {
    body: json({ ...members, expires_in: '28800', refresh_token_expires_in: '15811200', scope: '' }),
  },
  {
    ...ok,
    tokens: { ...tokens, lifetimeMs: 28_800_000, refreshLifetimeMs: 15_811_200_000, scopes: [] },
  },
  { provider: 'github-app' },
)
ask(
  'refresh-missing',
  'T44: an omitted refresh token is said to be omitted.',
  { body: json({ ...members, refresh_token: undefined }) },
  { ...ok, tokens: withoutRefresh },
)
ask(
  'refresh-empty',
  'T44: so is an empty one.',
  { body: json({ ...members, refresh_token: '' }) },
  { ...ok, tokens: withoutRefresh },
)
ask(
  'refresh-same',
  'T44: the value that was sent.',
  { body: json({ ...members, refresh_token: 'rt' }) },
  { ...ok, tokens: { ...tokens, refreshToken: 'rt', refreshSame: true } },
)
ask(
  'refresh-number',
  'T44: an ill-formed one is kept as it came.',
  { body: json({ ...members, refresh_token: 7 }) },
  unparsed,
)
ask(
  'lifetime-missing',
  'threat T8: the usual hour, because the token can be refreshed.',
  { body: json({ ...members, expires_in: undefined }) },
  ok,
)
ask(
  'lifetime-odd',
  'threat T8: no token is lost over its lifetime.',
  { body: json({ ...members, expires_in: -1 }) },
  { ...ok, tokens: { ...tokens, lifetimeMs: 28_800_000 } },
  { provider: 'github-app' },
)
ask(
  'lifetime-alone',
  'threat T43: a token that comes alone where expiry was switched off.',
  { body: json({ access_token: 'at2', token_type: 'bearer' }) },
  { ...ok, tokens: { accessToken: 'at2', refreshSame: false } },
  { provider: 'github-app' },
)
ask(
  'lifetime-configured',
  'What configuration says instead.',
  { body: json({ ...members, expires_in: undefined }) },
  { ...ok, tokens: { ...tokens, lifetimeMs: 60_000 } },
  { provider: { profile: 'generic', refresh: { accessTtlMs: 60_000, serverErrorsUnspent: false } } },
)
ask(
  'nested',
  'Tokens in an object of their own.',
  {
    body: json({
      ok: true,
      authed_user: { access_token: 'at2', refresh_token: 'rt2', token_type: 'user', expires_in: 43_200 },
    }),
  },
  {
    ...ok,
    tokens: { accessToken: 'at2', refreshToken: 'rt2', lifetimeMs: 43_200_000, refreshSame: false },
  },
  { provider: 'slack' },
)
ask(
  'user-at-top',
  'Either kind of token may be the one that was refreshed.',
  { body: json({ ok: true, access_token: 'at2', token_type: 'user', expires_in: 60 }) },
  { ...ok, tokens: { accessToken: 'at2', lifetimeMs: 60_000, refreshSame: false } },
  { provider: 'slack' },
)
ask(
  'type-other',
  'A token of an unknown type is kept.',
  { body: json({ ...members, token_type: 'mac' }) },
  unparsed,
)

// T44, threat T8: no refresh token is dropped.
for (const [name, comment, body] of [
  ['error', 'An error beside tokens is neither.', json({ ...members, error: 'invalid_grant' })],
  ['not-ok', 'An answer that says no.', json({ ...members, ok: false })],
  ['twice', 'A member twice.', good.replace('{', '{"refresh_token":"x",')],
  ['two', 'Two of them.', json({ ...members, data: { refresh_token: 'x' } })],
  ['deeper', 'Where nobody looks.', json({ data: { access_token: 'a', refresh_token: 'r' } })],
  ['cut', 'A body that is cut.', good.slice(0, -1)],
  [
    'escaped',
    'Its name in another spelling.',
    json({ ...members, error: 'invalid_grant' }).replace('refresh_token', 'refresh\\u005ftoken'),
  ],
] as const) {
  ask(`kept-${name}`, `T44, threat T8: ${comment}`, { body }, unparsed)
}
for (const status of [0, 302, 400, 403, 429, 500, 503, 599, 600]) {
  ask(
    `kept-status-${status}`,
    'T44, threat T8: tokens, whatever the status.',
    { status, headers: { ...type, 'retry-after': '9' }, body: good },
    unparsed,
  )
}
ask(
  'kept-cut-500',
  'T44, threat T8: a cut body with a refresh token in it.',
  { status: 500, body: good.slice(0, -20) },
  unparsed,
)
ask(
  'kept-form-500',
  'T44, threat T8: as a form.',
  { status: 502, headers: formType, body: 'a=b&refresh_token=rt2&x' },
  unparsed,
)
ask(
  'kept-not-a-name',
  'A word that ends like its name is none.',
  { status: 502, body: '{"error":"bad_refresh_token"' },
  transient,
)

// T43: terminal.
for (const status of [200, 400, 401, 403, 404]) {
  ask(
    `terminal-${status}`,
    'T43: the body decides, not the status.',
    { status, body: error('invalid_grant') },
    terminal('invalid_grant'),
  )
}
ask(
  'terminal-form',
  'T43: in a form.',
  { headers: formType, body: 'error=bad_refresh_token&error_description=The+refresh+token+is+incorrect' },
  terminal('bad_refresh_token'),
  { provider: 'github-app' },
)
for (const [profile, status, body, code] of [
  ['github-app', 200, error('bad_refresh_token'), 'bad_refresh_token'],
  ['slack', 200, json({ ok: false, error: 'invalid_refresh_token' }), 'invalid_refresh_token'],
  ['slack', 200, json({ ok: false, error: 'token_revoked' }), 'token_revoked'],
  ['slack', 200, json({ ok: false, error: 'account_inactive' }), 'account_inactive'],
  ['hubspot', 400, json({ status: 'BAD_REFRESH_TOKEN', message: 'm' }), 'BAD_REFRESH_TOKEN'],
  ['zoho', 200, error('invalid_code'), 'invalid_code'],
  ['auth0', 403, error('invalid_grant'), 'invalid_grant'],
  ['atlassian', 403, error('invalid_grant'), 'invalid_grant'],
  ['microsoft', 400, error('interaction_required'), 'interaction_required'],
  ['x', 400, error('invalid_request'), 'invalid_request'],
] as const) {
  ask(
    `terminal-${profile}-${code.toLowerCase().replaceAll('_', '-')}`,
    'T43: in the words of the provider.',
    { status, body },
    terminal(code),
    { provider: profile },
  )
}
for (const [name, body, expect] of [
  ['github', error('bad_refresh_token'), refused],
  ['slack', error('invalid_refresh_token'), refused],
  ['hubspot', json({ status: 'BAD_REFRESH_TOKEN' }), refused],
  ['zoho', error('invalid_code'), refused],
  ['microsoft', error('interaction_required'), refused],
  ['x', error('invalid_request'), operator('invalid_request')],
] as const) {
  ask(`foreign-${name}`, 'T43: a word that this provider does not have.', { status: 400, body }, expect)
}

// T43: the operator's.
for (const word of [
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'incorrect_client_credentials',
  'redirect_uri_mismatch',
  'invalid_client_id',
  'bad_client_secret',
  'bad_redirect_uri',
]) {
  ask(
    `operator-${word.replaceAll('_', '-')}`,
    'threat T43: the client is misconfigured, nobody has to connect again.',
    { body: error(word) },
    operator(word),
    { provider: 'github-app' },
  )
}
for (const status of [401, 404, 405, 415]) {
  ask(
    `operator-${status}`,
    'threat T43: without a readable error: credentials, or the wrong URL.',
    { status, headers: { 'content-type': 'text/html' }, body: '<html>' },
    operator(),
  )
}

// T43: transient.
for (const failed of ['not_sent', 'reset', 'timeout'] as const) {
  classify.good(
    `failed-${failed.replaceAll('_', '-')}`,
    'T43: no answer; in doubt unless nothing was sent.',
    { provider: 'generic', answer: { failed }, now },
    failed === 'not_sent' ? untouched : { class: 'transient', doubt: 'silent' },
  )
}
for (const status of [500, 501, 502, 503, 504, 599]) {
  ask(
    `status-${status}`,
    'T43: never terminal.',
    { status, body: error('invalid_grant') },
    status === 500 ? introspectable : transient,
  )
}
for (const status of [521, 523, 525, 526, 530]) {
  ask(`status-${status}`, 'Cloudflare has not reached the server: nothing was spent.', { status }, untouched)
}
ask('status-500-unspent', 'Where a 5xx is known to come before the spend.', { status: 500 }, untouched, {
  provider: { profile: 'generic', refresh: { accessTtlMs: 0, serverErrorsUnspent: true } },
})
for (const status of [300, 302, 307, 399, 408]) {
  ask(`status-${status}`, 'T43: not processed.', { status, body: error('invalid_grant') }, untouched)
}
for (const status of [0, 100, 199, 600, 65_535]) {
  ask(`status-${status}`, 'T43: no status of an answer.', { status, body: error('invalid_grant') }, unparsed)
}
for (const word of ['temporarily_unavailable', 'server_error']) {
  ask(
    `word-${word.replaceAll('_', '-')}`,
    'T43: it says itself that it failed.',
    { status: 400, body: error(word) },
    { ...introspectable, code: word },
  )
}
for (const [name, comment, body] of [
  ['empty', 'Nothing.', ''],
  ['html', 'The page of a captive portal.', '<!doctype html><title>Sign in</title>'],
  ['array', 'No object.', '[]'],
  ['empty-object', 'Nothing in it.', '{}'],
  ['not-ok', 'No word for it.', json({ ok: false })],
  ['error-number', 'An error that is no text.', json({ error: 42 })],
  ['error-unknown', 'An error that nobody knows.', error('teapot')],
  ['error-case', 'Words are compared exactly.', error('INVALID_GRANT')],
  ['access-number', 'A token that is none.', json({ access_token: 7 })],
  ['invalid-utf-8', 'Not UTF-8.', { hex: 'ff' }],
] as const) {
  ask(`unparsed-${name}`, `T43: ${comment}`, { body }, unparsed)
}
ask(
  'unparsed-64001',
  'threat T39: beyond the limit.',
  { body: repeated(' ', 64_001, { after: '{}' }) },
  unparsed,
)
ask('unparsed-400', 'A refusal is no spend.', { status: 400, body: error('teapot') }, refused)
ask('unparsed-403', 'A wall in front of it.', { status: 403, body: '<html>' }, refused)

// T43: rate limits.
const at = (headers: Readonly<Record<string, string>>) => ({ ...type, ...headers })
ask('limited-429', 'Too many requests.', { status: 429, body: error('invalid_grant') }, limited())
ask(
  'limited-retry-after',
  'RFC 9110 section 10.2.3: seconds.',
  { status: 429, headers: at({ 'Retry-After': '30' }) },
  limited(30_000),
)
ask(
  'limited-date',
  'RFC 9110 section 10.2.3: a date, by the clock of the answer.',
  {
    status: 429,
    headers: at({ 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT', date: 'Sun, 06 Nov 1994 08:49:00 GMT' }),
  },
  limited(37_000),
)
ask(
  'limited-date-now',
  'Without that clock by ours.',
  { status: 429, headers: at({ 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' }) },
  limited(60_000),
)
ask(
  'limited-year',
  'No longer than a leap year.',
  { status: 429, headers: at({ 'retry-after': '99999999999' }) },
  limited(366 * 86_400_000),
)
ask(
  'limited-reset-moment',
  'When the quota is full again: a moment.',
  { status: 429, headers: at({ 'x-ratelimit-reset': String(now / 1000 + 5) }) },
  limited(5_000),
)
ask(
  'limited-reset-seconds',
  'When the quota is full again: seconds.',
  { status: 429, headers: at({ 'RateLimit-Reset': '5' }) },
  limited(5_000),
)
ask(
  'limited-403',
  'T43: a quota that is used up comes before what the body says.',
  {
    status: 403,
    headers: at({ 'X-RateLimit-Remaining': '0' }),
    body: error('bad_refresh_token'),
  },
  limited(),
  { provider: 'github-app' },
)
ask(
  'limited-403-retry-after',
  'T43: so does a time to come again.',
  { status: 403, headers: at({ 'retry-after': '1' }), body: error('invalid_grant') },
  limited(1_000),
)
ask(
  'limited-403-some-left',
  'A quota that is not used up says nothing.',
  { status: 403, headers: at({ 'x-ratelimit-remaining': '9' }), body: error('invalid_grant') },
  terminal('invalid_grant'),
  { provider: 'auth0' },
)
ask(
  'limited-503',
  'A server that says when it is back.',
  { status: 503, headers: at({ 'retry-after': '2' }) },
  limited(2_000),
)
ask(
  'limited-500',
  'A server that fails and says when to come again.',
  { status: 500, headers: at({ 'retry-after': '2' }) },
  { ...introspectable, retryAfterMs: 2_000, retryAt: now + 2_000 },
)
ask(
  'limited-word',
  'In the words of Slack.',
  { body: json({ ok: false, error: 'ratelimited' }), headers: at({ 'retry-after': '3' }) },
  { ...limited(3_000), code: 'ratelimited' },
  { provider: 'slack' },
)

classify.bad(
  'profile-unknown',
  'There is no such profile.',
  { provider: 'nobody', answer: { status: 200, headers: {}, body: '' }, now },
  'provider_unknown',
)
classify.bad(
  'failure-unknown',
  'There is no such failure.',
  { provider: 'generic', answer: { failed: 'tired' }, now },
  'claim_invalid',
)
classify.bad(
  'time-invalid',
  'Now is a moment.',
  { provider: 'generic', answer: { status: 200, headers: {}, body: '' }, now: 'NaN' },
  'time_invalid',
)

export default document('What a provider answers to a refresh.', classify)
