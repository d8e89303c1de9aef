import { document, Group } from './common.ts'

const group = new Group('introspection.doubt')
const ask = (
  name: string,
  comment: string,
  body: string,
  expect: 'none' | 'answered',
  { status = 200, contentType = 'application/json' } = {},
): void => group.good(name, comment, { answer: { status, contentType, body } }, expect)

ask('active', 'RFC 7662 section 2.2: the token is good, so nothing was spent.', '{"active":true}', 'none')
ask(
  'more',
  'What else it says does not matter.',
  '{"active":true,"client_id":"c","token_type":"refresh_token"}',
  'none',
)
ask('no-type', 'Without a media type the text decides.', '{"active":true}', 'none', { contentType: '' })
ask('inactive', 'Spent, ended, or not told to us.', '{"active":false}', 'answered')
for (const [name, value] of Object.entries({
  text: '"true"',
  number: '1',
  null: 'null',
  list: '[true]',
  object: '{"active":true}',
})) {
  ask(`active-${name}`, 'Only true is true.', `{"active":${value}}`, 'answered')
}
ask('absent', 'REQUIRED, and not there.', '{}', 'answered')
ask('nested', 'Somewhere else.', '{"data":{"active":true}}', 'answered')
ask('twice', 'Said twice is not said.', '{"active":false,"active":true}', 'answered')
ask('cut', 'An answer that ends too soon.', '{"active":true', 'answered')
ask('empty', 'No body.', '', 'answered')
ask('form', 'A form has no booleans.', 'active=true', 'answered', {
  contentType: 'application/x-www-form-urlencoded',
})
ask(
  'jwt',
  'RFC 9701: a signed answer is not read.',
  'eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.',
  'answered',
  { contentType: 'application/token-introspection+jwt' },
)
for (const status of [0, 199, 201, 204, 302, 400, 401, 403, 404, 429, 500, 503]) {
  ask(`status-${status}`, 'Only 200 says something.', '{"active":true}', 'answered', { status })
}

export default document('Whether a refresh token is unspent behind an answer that says nothing of it.', group)
