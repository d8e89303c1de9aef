import { createHash } from 'node:crypto'
import { document, Group, now } from './common.ts'

const read = new Group('webhook.read')
const threeDays = 3 * 24 * 60 * 60 * 1000

const hash = (kind: 'id' | 'body', text: string): string =>
  createHash('sha256').update(`${kind}\n${text}`, 'utf8').digest('base64url')

interface Meaning {
  readonly change: string
  readonly reach?: string
  readonly subjects: readonly { readonly id: string; readonly tokens: string }[]
  readonly at?: number
}
const nothing: Meaning = { change: 'none', subjects: [] }
const any = (...ids: readonly string[]) => ids.map((id) => ({ id, tokens: 'any' }))

interface Given {
  readonly profile: string
  readonly event?: string
  readonly delivery?: string
  readonly body: string
}
/** `seen`: the id that the delivery is known by, where it is not that of its header. */
const means = (name: string, comment: string, given: Given, meaning: Meaning, seen = given.delivery): void =>
  read.good(
    name,
    comment,
    { ...given, now },
    {
      ...meaning,
      once: {
        key: seen === undefined ? hash('body', given.body) : hash('id', seen),
        until: now + threeDays,
      },
    },
  )
const unreadable = (name: string, comment: string, given: Given): void =>
  read.bad(name, comment, { ...given, now }, 'webhook_unreadable')

const github = (event: string, body: string, id = 'd-1'): Given => ({
  profile: 'github-app',
  event,
  delivery: id,
  body,
})
const authorization = 'github_app_authorization'
const revoked = (id: string): string => `{"action":"revoked","sender":{"login":"octocat","id":${id}}}`

for (const [json, id] of [
  ['123', '123'],
  ['0', '0'],
  ['9007199254740993', '9007199254740993'],
  ['18446744073709551617', '18446744073709551617'],
  ['123456789012345678901234567890', '123456789012345678901234567890'],
  ['"123"', '123'],
] as const) {
  means(
    `github-app/revoked-${json}`,
    'T48: a number is its digits, whatever its size; every app type of that account.',
    github(authorization, revoked(json)),
    { change: 'revoked', reach: 'account', subjects: any(id) },
  )
}
for (const json of ['-1', '1.0', '1e3', 'null', '[]', '[1.5]', '{}', 'true', '""']) {
  unreadable(`github-app/id-${json}`, 'T48: not an id.', github(authorization, revoked(json)))
}
unreadable(
  'github-app/node-id',
  'T48: another id altogether.',
  github(authorization, '{"action":"revoked","sender":{"node_id":"MDQ6VXNlcjE="}}'),
)
means(
  'github-app/other-action',
  'Passed over.',
  github(authorization, '{"action":"granted","sender":{"id":1}}'),
  nothing,
)
means('github-app/no-action', 'Passed over.', github(authorization, '{"sender":{"id":1}}'), nothing)
means('github-app/ping', 'Passed over.', github('ping', '{"zen":"x"}'), nothing)
means('github-app/case', 'Passed over.', github('GitHub_App_Authorization', revoked('1')), nothing)
means(
  'github-oauth',
  'Told to GitHub Apps only.',
  { ...github(authorization, revoked('1')), profile: 'github-oauth' },
  nothing,
)

const installation = (action: string, updated: string): string =>
  `{"action":"${action}","installation":{"id":7,"account":{"id":9},"updated_at":${updated}},"sender":{"id":1}}`
const there = { reach: 'installation', subjects: any('7') }
means(
  'github-app/deleted',
  'The application is gone.',
  github('installation', installation('deleted', '1')),
  {
    change: 'deleted',
    ...there,
  },
)
means(
  'github-app/suspend',
  'With an offset from UTC.',
  github('installation', installation('suspend', '"2021-04-28T22:32:50.000-04:00"')),
  { change: 'suspended', ...there, at: Date.parse('2021-04-28T22:32:50.000-04:00') },
)
means(
  'github-app/unsuspend',
  'In seconds.',
  github('installation', installation('unsuspend', '1619663570')),
  {
    change: 'restored',
    ...there,
    at: 1_619_663_570_000,
  },
)
means(
  'github-app/future',
  'Never later than now.',
  github('installation', installation('suspend', '"2999-01-01T00:00:00Z"')),
  {
    change: 'suspended',
    ...there,
    at: now,
  },
)
for (const odd of ['null', '"yesterday"', '"2021-04-28"', '"2021-13-28T00:00:00Z"', '-5', '1.5', '[]']) {
  means(
    `github-app/time-${odd}`,
    'A time that cannot be read is none.',
    github('installation', installation('suspend', odd)),
    {
      change: 'suspended',
      ...there,
    },
  )
}
means('github-app/created', 'Passed over.', github('installation', installation('created', '1')), nothing)

for (const [name, body] of Object.entries({
  nothing: '',
  text: 'x',
  array: '[]',
  null: 'null',
  cut: revoked('1').slice(0, -1),
  twice: '{"action":"revoked","action":"revoked","sender":{"id":1}}',
  form: 'payload=%7B%22action%22%3A%22revoked%22%7D',
  'no-sender': '{"action":"revoked"}',
})) {
  unreadable(
    `github-app/${name}`,
    'threat T31: not understood, nothing changed.',
    github(authorization, body),
  )
}
unreadable('github-app/no-event', 'No event header.', {
  profile: 'github-app',
  delivery: 'd-1',
  body: revoked('1'),
})
unreadable('github-app/no-delivery', 'No id header.', {
  profile: 'github-app',
  event: authorization,
  body: revoked('1'),
})
unreadable('github-app/long-delivery', 'An id of 256.', github(authorization, revoked('1'), 'x'.repeat(256)))
unreadable('github-app/delivery', 'An id with a line feed.', github(authorization, revoked('1'), 'a\nb'))
read.bad(
  'github-app/too-long',
  'More than 64,000 bytes.',
  {
    profile: 'github-app',
    event: 'ping',
    delivery: 'd-1',
    now,
    body: { before: '{', repeat: ' ', times: 63_999, after: '}' },
  },
  'webhook_unreadable',
)

const slack = (event: string, more = ''): Given => ({
  profile: 'slack',
  body: `{"token":"x","team_id":"T1","event":${event},"type":"event_callback","event_id":"Ev1"${more}}`,
})
means(
  'slack/tokens-revoked',
  'Which tokens of whom.',
  slack('{"type":"tokens_revoked","tokens":{"oauth":["U1","U2"],"bot":["B1"]}}', ',"event_time":1767225000'),
  {
    change: 'revoked',
    reach: 'account',
    subjects: [...['U1', 'U2'].map((id) => ({ id, tokens: 'user' })), { id: 'B1', tokens: 'bot' }],
    at: 1_767_225_000_000,
  },
  'Ev1',
)
means(
  'slack/bot-only',
  'One kind alone.',
  slack('{"type":"tokens_revoked","tokens":{"bot":["B1"]}}'),
  {
    change: 'revoked',
    reach: 'account',
    subjects: [{ id: 'B1', tokens: 'bot' }],
  },
  'Ev1',
)
for (const tokens of [
  '{}',
  'null',
  '{"oauth":[],"bot":[]}',
  '{"oauth":["U1"],"bot":[1.5]}',
  '{"oauth":{"a":"U1"}}',
]) {
  unreadable(
    `slack/tokens-${tokens}`,
    'It does not say whose.',
    slack(`{"type":"tokens_revoked","tokens":${tokens}}`),
  )
}
means(
  'slack/uninstalled',
  'The workspace is gone.',
  slack('{"type":"app_uninstalled"}'),
  {
    change: 'deleted',
    reach: 'installation',
    subjects: any('T1'),
  },
  'Ev1',
)
means('slack/message', 'Passed over.', slack('{"type":"message"}'), nothing, 'Ev1')
means(
  'slack/no-id',
  'By its body, where it has no id.',
  { profile: 'slack', body: '{"type":"url_verification"}' },
  nothing,
)

means(
  'linear',
  'A workspace revoked the application.',
  {
    profile: 'linear',
    delivery: 'l-1',
    body: '{"action":"revoked","type":"OAuthApp","organizationId":"o-1","createdAt":"2025-12-31T23:59:59.5Z"}',
  },
  { change: 'revoked', reach: 'installation', subjects: any('o-1'), at: now - 500 },
)
means(
  'shopify',
  'The account of a connection is the shop.',
  {
    profile: 'shopify',
    event: 'app/uninstalled',
    delivery: 'w-1',
    body: '{"id":548380009,"domain":"x.example"}',
  },
  { change: 'deleted', reach: 'account', subjects: any('548380009') },
)
means(
  'zoom',
  'A person removed the application; deliveries have no id.',
  {
    profile: 'zoom',
    body: '{"event":"app_deauthorized","payload":{"user_id":"u-1","deauthorization_time":"2019-06-17T13:52:28.632Z"}}',
  },
  { change: 'revoked', reach: 'account', subjects: any('u-1'), at: Date.parse('2019-06-17T13:52:28.632Z') },
)
means(
  'gitlab',
  'No event says so.',
  { profile: 'gitlab', event: 'Push Hook', delivery: 'u-1', body: '{}' },
  nothing,
)
means(
  'generic',
  'No event is known.',
  { profile: 'generic', delivery: 'm-1', body: '{"type":"token.revoked"}' },
  nothing,
)
read.bad(
  'unknown',
  'No webhooks are known.',
  { ...github('ping', '{}'), profile: 'google', now },
  'provider_unknown',
)
read.bad('no-time', 'No time is no time.', { ...github('ping', '{}'), now: 'NaN' }, 'time_invalid')

export default document('What a delivery means for the connections of a provider.', read)
