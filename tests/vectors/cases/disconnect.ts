import { document, Group } from './common.ts'

const decide = new Group('disconnect.decide')
const done = { revoked: true, deleted: true }
const kept = (reason: string): object => ({ revoked: false, deleted: false, reason })
type Members = Readonly<Record<string, unknown>>
const answered = (
  name: string,
  comment: string,
  status: number,
  expect: object,
  body: unknown = '',
  contentType = 'application/json',
): void =>
  decide.good(
    name,
    comment,
    { answer: { kind: 'status', status, contentType, body } satisfies Members },
    expect,
  )

decide.good(
  'unsupported',
  'The provider has no revocation endpoint: deleted here, alive there.',
  { answer: { kind: 'unsupported' } },
  { revoked: false, deleted: true, reason: 'unsupported' },
)
decide.good(
  'unreachable',
  'T49: no answer keeps the connection, so that it can still be revoked.',
  { answer: { kind: 'unreachable' } },
  kept('unreachable'),
)

for (const status of [200, 204, 299])
  answered(`status-${status}`, 'RFC 7009 section 2.2: revoked, or never known.', status, done)
answered('status-404', 'T49: what the provider does not know is gone.', 404, done)
for (const status of [0, 100, 199, 300, 302, 399, 429, 500, 503, 599]) {
  answered(`status-${status}`, 'T49: nothing was done; try again.', status, kept('unreachable'))
}
for (const status of [400, 401, 403, 405, 422, 499]) {
  answered(`status-${status}`, 'T49: the provider did not do it.', status, kept('refused'))
}
answered(
  'invalid-token',
  'A provider that says that it does not know the token.',
  400,
  done,
  '{"error":"invalid_token"}',
)
answered(
  'invalid-token-form',
  'The same in a form.',
  400,
  done,
  'error=invalid_token',
  'application/x-www-form-urlencoded',
)
answered(
  'invalid-token-401',
  'With 401 this can be about an access token that has merely expired.',
  401,
  kept('refused'),
  '{"error":"invalid_token"}',
)
answered(
  'unsupported-token-type',
  'RFC 7009 section 2.2.1.',
  400,
  kept('refused'),
  '{"error":"unsupported_token_type"}',
)
answered(
  'not-ok',
  'T43: 200, and yet it was not done.',
  200,
  kept('refused'),
  '{"ok":false,"error":"ratelimited"}',
)
answered(
  'not-ok-token-revoked',
  'Not done because it had been done.',
  200,
  done,
  '{"ok":false,"error":"token_revoked"}',
)
answered(
  'not-ok-account-inactive',
  'Not done because the account is gone.',
  200,
  done,
  '{"ok":false,"error":"account_inactive"}',
)
answered('ok', 'Done.', 200, done, '{"ok":true,"revoked":true}')
answered('ok-text', 'Only a truth value says no.', 200, done, '{"ok":"false"}')
answered(
  'not-ok-503',
  'A fault of the server says nothing.',
  503,
  kept('unreachable'),
  '{"ok":false,"error":"token_revoked"}',
)
answered('unreadable-200', 'What cannot be read says nothing.', 200, done, '<html>', 'text/html')
answered(
  'unreadable-400',
  'What cannot be read says nothing.',
  400,
  kept('refused'),
  '{"error":"invalid_token"',
  'application/json',
)
answered(
  'twice',
  'A member twice cannot be read.',
  400,
  kept('refused'),
  '{"error":"x","error":"invalid_token"}',
)

export default document('What becomes of a connection that is disconnected.', decide)
