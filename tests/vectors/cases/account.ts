import { document, Group, repeated } from './common.ts'

const account = new Group('account.read')
type Members = Readonly<Record<string, unknown>>
const json = (members: object): string => JSON.stringify(members)
const usual = { status: 200, contentType: 'application/json', profile: 'generic' }
const good = (name: string, comment: string, body: unknown, expect: Members, changes: Members = {}): void =>
  account.good(name, comment, { ...usual, body, ...changes }, expect)
const bad = (name: string, comment: string, body: unknown, changes: Members = {}): void =>
  account.bad(name, comment, { ...usual, body, ...changes }, 'account_unreadable')

good(
  'sub',
  'OpenID Connect Core 1.0 section 5.3.2: `sub` is the id, without a better label its own.',
  json({ sub: 'u1' }),
  { id: 'u1', label: 'u1' },
)
good(
  'label',
  'The first label that can be read.',
  json({ sub: 'u1', email: 'ada@app.example', name: 'Ada' }),
  { id: 'u1', label: 'ada@app.example' },
)
good(
  'label-order',
  'The order is that of the profile, not of the answer.',
  json({ name: 'Ada', login: 'ada', sub: 'u1' }),
  { id: 'u1', label: 'ada' },
)
good(
  'label-passed-over',
  'What cannot be read is passed over.',
  json({ sub: 'u1', login: 7, preferred_username: '', email: null, name: 'Ada' }),
  { id: 'u1', label: 'Ada' },
)
good('id-number', 'T48: a number is its digits.', json({ id: 123 }), { id: '123', label: '123' })
good('id-number-large', 'T48: of any size, digit by digit.', '{"id":123456789012345678901234567890}', {
  id: '123456789012345678901234567890',
  label: '123456789012345678901234567890',
})
good('id-zero', 'T48: zero is a number.', '{"id":0}', { id: '0', label: '0' })
good('id-second', 'The next member where the first is nothing.', json({ sub: null, id: 'x' }), {
  id: 'x',
  label: 'x',
})
good('unicode', 'Texts are UTF-8.', json({ sub: '\u5bc6', name: 'J\u00fcrgen' }), {
  id: '\u5bc6',
  label: 'J\u00fcrgen',
})
good('id-255', 'The longest id.', repeated('i', 255, { before: '{"sub":"', after: '"}' }), {
  id: repeated('i', 255),
  label: repeated('i', 255),
})
good(
  'profile-github',
  'A provider with words of its own.',
  json({ login: 'ada', id: 42, name: 'Ada' }),
  { id: '42', label: 'ada' },
  { profile: 'github-app' },
)
good(
  'profile-nested',
  'A provider that puts the account into an object.',
  json({ data: { id: '7', username: 'ada' } }),
  { id: '7', label: 'ada' },
  { profile: 'x' },
)
good(
  'no-content-type',
  'What begins with `{` is JSON.',
  json({ sub: 'u1' }),
  { id: 'u1', label: 'u1' },
  { contentType: '' },
)
good('status-299', 'Every good status.', json({ sub: 'u1' }), { id: 'u1', label: 'u1' }, { status: 299 })

for (const status of [0, 199, 300, 304, 401, 403, 404, 429, 500]) {
  bad(`status-${status}`, 'Any other status.', json({ sub: 'u1' }), { status })
}
for (const [name, comment, body] of [
  ['empty', 'Nothing.', ''],
  ['cut', 'A body that is cut.', '{"sub":"u1"'],
  ['html', 'A page.', '<html>'],
  ['array', 'No object.', '[{"sub":"u1"}]'],
  ['no-id', 'No id.', json({ name: 'Ada' })],
  ['id-null', 'An id of nothing.', json({ sub: null, id: null })],
  ['id-empty', 'An empty id.', json({ sub: '' })],
  ['id-true', 'An id of another kind.', json({ sub: true })],
  ['id-object', 'An id of another kind; the next member is not asked.', json({ sub: {}, id: 'x' })],
  ['id-negative', 'T48: a sign would give one id two spellings.', '{"id":-1}'],
  ['id-fraction', 'T48: so would a fraction.', '{"id":1.0}'],
  ['id-exponent', 'T48: so would an exponent.', '{"id":1e3}'],
  ['id-control', 'A control character.', json({ sub: 'a\u0000b' })],
  ['id-256', 'One byte too long.', json({ sub: 'i'.repeat(256) })],
  ['member-twice', 'A member twice.', '{"sub":"a","sub":"b"}'],
] as const) {
  bad(name, comment, body)
}
bad('form', 'A form is no user-info answer.', 'sub=u1', { contentType: 'application/x-www-form-urlencoded' })
bad('profile-nested-missing', 'The object is not there.', json({ id: '7' }), { profile: 'x' })
bad('64001-bytes', 'A body that is too long.', repeated(' ', 63_990, { before: '{"sub":"u1"' }))
account.bad(
  'profile-unknown',
  'No profile has that name.',
  { ...usual, body: json({ sub: 'u1' }), profile: 'nobody' },
  'provider_unknown',
)

export default document('Which account a user-info answer describes.', account)
