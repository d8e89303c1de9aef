import { document, Group, now, repeated } from './common.ts'

const exchange = new Group('exchange.read')
type Members = Readonly<Record<string, unknown>>
const json = (members: object): string => JSON.stringify(members)
const usual = { status: 200, contentType: 'application/json', now, profile: 'generic' }
const good = (name: string, comment: string, body: unknown, expect: Members, changes: Members = {}): void =>
  exchange.good(name, comment, { ...usual, body, ...changes }, expect)
const bad = (name: string, comment: string, body: unknown, error: string, changes: Members = {}): void =>
  exchange.bad(name, comment, { ...usual, body, ...changes }, error)
const tokens = {
  access_token: 'at',
  token_type: 'Bearer',
  expires_in: 3_600,
  refresh_token: 'rt',
  scope: 'read write',
}
const typed = { accessToken: 'at', refreshToken: 'rt', expiresAt: now + 3_600_000, scopes: ['read', 'write'] }
const { refreshToken: _, ...withoutRefresh } = typed
const { scopes: __, ...withoutScopes } = typed
const { expiresAt: ___, ...withoutExpiry } = typed

good('json', 'RFC 6749 section 5.1.', json(tokens), typed)
good('least', 'An access token alone.', json({ access_token: 'at' }), { accessToken: 'at' })
good(
  'type-case',
  'RFC 6749 section 5.1: the type in any case.',
  json({ ...tokens, token_type: 'bEARER' }),
  typed,
)
good('status-201', 'Every good status.', json(tokens), typed, { status: 201 })
good('no-content-type', 'What begins with `{` is JSON.', ` \n${json(tokens)}`, typed, { contentType: '' })
good('content-type-parameter', 'Parameters of the media type do not matter.', json(tokens), typed, {
  contentType: 'Application/JSON; charset=utf-8',
})
good('content-type-suffix', 'Every JSON type.', json(tokens), typed, { contentType: 'application/x+json' })
good(
  'members-unknown',
  'What we do not know is passed over.',
  json({ ...tokens, id_token: 'x', deep: [{ a: [1, 2, { b: null }] }] }),
  typed,
)
good(
  'number-of-any-size',
  'No token is lost over a number that nobody reads.',
  json(tokens).replace('{', '{"n":1e400,'),
  typed,
)
good(
  'longest-tokens',
  'Tokens of 8,192 characters.',
  { ...repeated('t', 8_192, { before: '{"access_token":"', after: '"}' }) },
  { accessToken: repeated('t', 8_192) },
)

// T44: the refresh token.
good(
  'refresh-missing',
  'T44: no refresh token.',
  json({ ...tokens, refresh_token: undefined }),
  withoutRefresh,
)
good('refresh-null', 'T44: none either.', json({ ...tokens, refresh_token: null }), withoutRefresh)
good('refresh-empty', 'T44: none either.', json({ ...tokens, refresh_token: '' }), withoutRefresh)
bad(
  'refresh-number',
  'T44: an ill-formed one is not dropped in silence.',
  json({ ...tokens, refresh_token: 1 }),
  'exchange_unreadable',
)
bad(
  'refresh-blank',
  'T44: nor is one with a blank.',
  json({ ...tokens, refresh_token: 'a b' }),
  'exchange_unreadable',
)
bad(
  'refresh-8193',
  'T44: nor one that is too long.',
  repeated('r', 8_193, { before: '{"access_token":"at","refresh_token":"', after: '"}' }),
  'exchange_unreadable',
)

// Lifetimes.
for (const [name, comment, value, seconds] of [
  ['text', 'A number as text.', '3600', 3_600],
  ['one', 'The shortest.', 1, 1],
  ['leading-zeros', 'As text with zeros.', '0060', 60],
  ['ten-years', 'The longest.', 315_360_000, 315_360_000],
  ['longer', 'Cut to ten years.', 315_360_001, 315_360_000],
  ['20-digits', 'Cut to ten years.', '99999999999999999999', 315_360_000],
] as const) {
  good(`expires-${name}`, comment, json({ ...tokens, expires_in: value }), {
    ...typed,
    expiresAt: now + seconds * 1000,
  })
}
for (const [name, value] of [
  ['zero', 0],
  ['negative', -1],
  ['fraction', 3_600.5],
  ['null', null],
  ['true', true],
  ['words', 'an hour'],
  ['empty', ''],
  ['array', [3_600]],
] as const) {
  good(
    `expires-${name}`,
    'A lifetime that cannot be read was not said.',
    json({ ...tokens, expires_in: value }),
    withoutExpiry,
  )
}
good(
  'expires-exponent',
  'A lifetime that cannot be read was not said.',
  json(tokens).replace('3600', '1e400'),
  withoutExpiry,
)
for (const name of ['refresh_token_expires_in', 'refresh_expires_in', 'x_refresh_token_expires_in']) {
  good(
    `${name.replaceAll('_', '-')}`,
    'The life of the refresh token, in the words of different servers.',
    json({ ...tokens, [name]: 7_200 }),
    { ...typed, refreshExpiresAt: now + 7_200_000 },
  )
}
good(
  'refresh-expiry-without-token',
  'A life of nothing is not said.',
  json({ ...tokens, refresh_token: undefined, refresh_expires_in: 7_200 }),
  withoutRefresh,
)

// Scopes.
good('scope-empty', 'Nothing was granted.', json({ ...tokens, scope: '' }), { ...typed, scopes: [] })
good('scope-blanks', 'Blanks in a row.', json({ ...tokens, scope: '  read   write ' }), typed)
good(
  'scope-missing',
  'RFC 6749 section 5.1: not said is as asked.',
  json({ ...tokens, scope: undefined }),
  withoutScopes,
)
good(
  'scope-array',
  'What is no list of scope-tokens was not said.',
  json({ ...tokens, scope: ['read'] }),
  withoutScopes,
)
good(
  'scope-quote',
  'A quotation mark is in no scope-token.',
  json({ ...tokens, scope: 'a"b' }),
  withoutScopes,
)
good(
  'scope-comma',
  'RFC 6749 section 3.3: a comma may be in a scope-token.',
  json({ ...tokens, scope: 'read,write' }),
  { ...typed, scopes: ['read,write'] },
)
good(
  'scope-comma-separated',
  'A provider that separates with commas.',
  json({ ...tokens, scope: 'read,write' }),
  typed,
  { profile: 'github-app' },
)

// Forms.
const form = { contentType: 'application/x-www-form-urlencoded' }
const pairs = 'access_token=at&refresh_token=rt&expires_in=3600&scope=read+write&token_type=bearer'
good('form', 'A form with the type behind the tokens.', pairs, typed, form)
good('form-without-type', 'What does not begin with `{` is a form.', pairs, typed, {
  contentType: 'text/plain',
})
good('form-escapes', 'Percent-encoded.', 'access%5Ftoken=a%74&token_type=bearer', { accessToken: 'at' }, form)
bad(
  'form-without-token-type',
  'A form has no end of its own: without the type behind it, a token may be cut.',
  'access_token=at',
  'exchange_unreadable',
  form,
)
bad(
  'form-type-in-front',
  'With the type in front too.',
  'token_type=bearer&access_token=at',
  'exchange_unreadable',
  form,
)
bad('form-name-twice', 'No name twice.', `${pairs}&scope=a`, 'exchange_unreadable', form)
bad(
  'form-half-escape',
  'A percent-encoding that is cut.',
  'access_token=a%4&token_type=bearer',
  'exchange_unreadable',
  form,
)
bad('form-invalid-utf-8', 'Not UTF-8.', `${pairs}&x=%ff`, 'exchange_unreadable', form)
bad('form-blank', 'A blank inside.', 'access_token=a t&token_type=bearer', 'exchange_unreadable', form)
bad('form-empty-pair', 'A pair without a name.', `${pairs}&`, 'exchange_unreadable', form)
bad('form-as-json', 'A form that says it is JSON.', pairs, 'exchange_unreadable')

// A provider that nests its tokens.
const nested = { ok: true, authed_user: { access_token: 'at', token_type: 'user', scope: 'read,write' } }
good(
  'nested',
  'Tokens in an object of their own.',
  json(nested),
  { accessToken: 'at', scopes: ['read', 'write'] },
  { profile: 'slack' },
)
good(
  'nested-not-used',
  'Tokens at the top come first.',
  json({ ...nested, access_token: 'bt', token_type: 'bot' }),
  { accessToken: 'bt' },
  { profile: 'slack' },
)
bad('nested-elsewhere', 'For another provider there is no such object.', json(nested), 'exchange_unreadable')

// T43: what the body says decides, not the status.
bad(
  'refused',
  'RFC 6749 section 5.2: the code is no good.',
  json({ error: 'invalid_grant' }),
  'exchange_refused',
  { status: 400 },
)
bad(
  'refused-200',
  'T43: an error with status 200.',
  json({ error: 'bad_verification_code' }),
  'exchange_refused',
)
bad(
  'refused-refresh-200',
  'T43: an error with status 200.',
  json({ error: 'bad_refresh_token', error_description: 'x' }),
  'exchange_refused',
)
bad('refused-form', 'T43: an error in a form.', 'error=invalid_grant', 'exchange_refused', form)
bad('refused-not-ok', 'T43: an answer that says that it is none.', json({ ok: false }), 'exchange_refused')
for (const error of [
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
  bad(
    `client-${error.replaceAll('_', '-')}`,
    'Our registration is at fault.',
    json({ error }),
    'provider_refused_client',
    { status: 400 },
  )
}
bad(
  '401',
  'RFC 6749 section 5.2: without a readable error it is the client.',
  'no',
  'provider_refused_client',
  { status: 401, contentType: 'text/plain' },
)
bad('401-refused', 'With one it is what that says.', json({ error: 'invalid_grant' }), 'exchange_refused', {
  status: 401,
})
bad(
  'error-and-token',
  'T43: an error beside a token is neither.',
  json({ ...tokens, error: 'invalid_grant' }),
  'exchange_unreadable',
)
bad('error-number', 'T43: an error that is no text.', json({ error: 42 }), 'exchange_unreadable', {
  status: 400,
})
good('error-null', 'An error of nothing is none.', json({ ...tokens, error: null }), typed)
for (const status of [300, 302, 307, 399, 429, 500, 502, 503, 599]) {
  bad(
    `status-${status}`,
    'T43: nothing is known about the code; the body is not looked at.',
    json(tokens),
    'exchange_unreachable',
    { status },
  )
}
for (const status of [0, 100, 199, 400, 403, 404, 499]) {
  bad(
    `status-${status}`,
    'T43: tokens with a status that is not good.',
    json(tokens),
    'exchange_unreadable',
    { status },
  )
}
for (const [name, comment, body] of [
  ['empty', 'T43: nothing.', ''],
  ['cut', 'T43: a body that is cut.', json(tokens).slice(0, -1)],
  ['html', 'T43: the page of a captive portal.', '<!doctype html><title>Sign in</title>'],
  ['array', 'T43: no object.', '[]'],
  ['null', 'T43: no object.', 'null'],
  ['member-twice', 'A member twice.', '{"access_token":"a","access_token":"b"}'],
  ['byte-order-mark', 'RFC 8259 section 8.1.', `\ufeff${json(tokens)}`],
  ['trailing-comma', 'No JSON.', '{"access_token":"at",}'],
  ['comment', 'No JSON.', '{"access_token":"at"/**/}'],
  ['lone-surrogate', 'Half a surrogate pair.', '{"access_token":"at","x":"\\ud800"}'],
  ['control', 'RFC 8259 section 7: a control character in a string.', '{"access_token":"at","x":"a\tb"}'],
  ['nul', 'Something after the object.', '{"access_token":"at"}\u0000'],
  [
    'invalid-utf-8',
    'Not UTF-8.',
    { hex: Buffer.from('{"access_token":"at","x":"_"}').toString('hex').replace('5f', 'ff') },
  ],
  ['access-missing', 'No access token.', json({ ...tokens, access_token: undefined })],
  ['access-empty', 'An empty access token.', json({ ...tokens, access_token: '' })],
  ['access-number', 'A token is text.', json({ ...tokens, access_token: 1 })],
  ['access-blank', 'A token has no blanks.', json({ ...tokens, access_token: 'a b' })],
  [
    'access-line-end',
    'A token has no line ends, which would be a header of their own.',
    json({ ...tokens, access_token: 'a\r\nX: y' }),
  ],
  ['access-non-ascii', 'A token is ASCII.', json({ ...tokens, access_token: 't\u00f6ken' })],
  ['type-mac', 'RFC 6749 section 7.1: a type that we cannot use.', json({ ...tokens, token_type: 'mac' })],
  ['type-number', 'A type is text.', json({ ...tokens, token_type: 1 })],
  ['type-empty', 'An empty type.', json({ ...tokens, token_type: '' })],
] as const) {
  bad(`body-${name}`, comment, body, 'exchange_unreadable')
}
bad(
  'access-8193',
  'A token that is too long.',
  repeated('t', 8_193, { before: '{"access_token":"', after: '"}' }),
  'exchange_unreadable',
)
const padding = 64_000 - json(tokens).length
good('64000-bytes', 'The longest body.', repeated(' ', padding, { before: json(tokens) }), typed)
bad(
  '64001-bytes',
  'One byte too long.',
  repeated(' ', padding + 1, { before: json(tokens) }),
  'exchange_unreadable',
)
good(
  'depth-32',
  'Values nested 32 deep.',
  json(tokens).replace('{', `{"x":${'['.repeat(31)}${']'.repeat(31)},`),
  typed,
)
bad(
  'depth-33',
  'One deeper.',
  json(tokens).replace('{', `{"x":${'['.repeat(32)}${']'.repeat(32)},`),
  'exchange_unreadable',
)
good('512-values', 'The most values in one answer.', `{"access_token":"at","x":[${'0,'.repeat(508)}0]}`, {
  accessToken: 'at',
})
bad('513-values', 'One more.', `{"access_token":"at","x":[${'0,'.repeat(509)}0]}`, 'exchange_unreadable')
bad('profile-unknown', 'No profile has that name.', json(tokens), 'provider_unknown', { profile: 'nobody' })
bad('time', 'Not a whole number of milliseconds.', json(tokens), 'time_invalid', { now: 'NaN' })

export default document("A token endpoint's answer to a code. Bodies are text, or `{ hex }`.", exchange)
