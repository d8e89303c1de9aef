import { createHmac } from 'node:crypto'
import { changed, document, Group, now, seconds } from './common.ts'

const verify = new Group('webhook.verify')
const begin = new Group('webhook.begin')
const headers = new Group('webhook.headers')
type Encoding = 'hex' | 'base64'

const secret = "It's a Secret to Everybody"
const body = '{"action":"revoked","sender":{"id":123}}'
const mac = (text: string, encoding: Encoding, key: string | Buffer = secret): string =>
  createHmac('sha256', key).update(text, 'utf8').digest(encoding)

interface Delivery {
  readonly profile: string
  readonly secret: string
  readonly signature: string
  readonly timestamp?: string
  readonly delivery?: string
  readonly body: unknown
}
const at = String(seconds)
const key = Buffer.from('0123456789abcdef01234567')
const good: Readonly<Record<string, Delivery>> = {
  'github-app': { profile: 'github-app', secret, signature: `sha256=${mac(body, 'hex')}`, body },
  'github-oauth': { profile: 'github-oauth', secret, signature: `sha256=${mac(body, 'hex')}`, body },
  gitlab: { profile: 'gitlab', secret, signature: secret, body },
  linear: { profile: 'linear', secret, signature: mac(body, 'hex'), body },
  shopify: { profile: 'shopify', secret, signature: mac(body, 'base64'), body },
  slack: {
    profile: 'slack',
    secret,
    signature: `v0=${mac(`v0:${at}:${body}`, 'hex')}`,
    timestamp: at,
    body,
  },
  zoom: { profile: 'zoom', secret, signature: `v0=${mac(`v0:${at}:${body}`, 'hex')}`, timestamp: at, body },
  generic: {
    profile: 'generic',
    secret: `whsec_${key.toString('base64')}`,
    signature: `v1,${mac(`msg_1.${at}.${body}`, 'base64', key)}`,
    timestamp: at,
    delivery: 'msg_1',
    body,
  },
}
const says = (
  name: string,
  comment: string,
  delivery: Delivery,
  expect: boolean,
  when: unknown = now,
): void => verify.good(name, comment, { ...delivery, now: when }, expect)

for (const [name, delivery] of Object.entries(good)) {
  const { signature } = delivery
  says(`${name}/good`, 'threat T30: what was signed.', delivery, true)
  const other = `${body} `
  says(`${name}/body`, 'threat T30: another body.', { ...delivery, body: other }, name === 'gitlab')
  says(
    `${name}/signature`,
    'threat T30: another signature.',
    { ...delivery, signature: changed(signature, -3) },
    false,
  )
  says(`${name}/no-signature`, 'threat T30: none.', { ...delivery, signature: '' }, false)
  says(`${name}/upper`, 'One spelling.', { ...delivery, signature: signature.toUpperCase() }, false)
  says(`${name}/blank`, 'One spelling.', { ...delivery, signature: ` ${signature}` }, name === 'generic')
  says(`${name}/short`, 'One spelling.', { ...delivery, signature: signature.slice(0, -1) }, false)
  const wrong =
    name === 'generic' ? `whsec_${Buffer.from('x'.repeat(24)).toString('base64')}` : 'another secret'
  says(`${name}/secret`, 'threat T30: another secret.', { ...delivery, secret: wrong }, false)
  verify.bad(`${name}/no-secret`, 'No secret is no secret.', { ...delivery, secret: '', now }, 'key_invalid')
}
says(
  'github-app/documented',
  'The example of docs.github.com.',
  {
    profile: 'github-app',
    secret,
    signature: 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    body: 'Hello, World!',
  },
  true,
)
says(
  'github-app/bytes',
  'Bytes that are no text.',
  {
    ...good['github-app']!,
    signature: `sha256=${createHmac('sha256', secret).update(Buffer.from('00ff80c3', 'hex')).digest('hex')}`,
    body: { hex: '00ff80c3' },
  },
  true,
)
const long = 'y'.repeat(200_000)
for (const name of ['github-app', 'slack', 'generic'] as const) {
  const delivery = good[name]!
  const signed = { ...delivery, body: { repeat: 'y', times: 200_000 } }
  const signature =
    name === 'github-app'
      ? `sha256=${mac(long, 'hex')}`
      : name === 'slack'
        ? `v0=${mac(`v0:${at}:${long}`, 'hex')}`
        : `v1,${mac(`msg_1.${at}.${long}`, 'base64', key)}`
  says(`${name}/long`, 'A body larger than the module can hold.', { ...signed, signature }, true)
  says(`${name}/long-changed`, 'As above, changed.', { ...signed, signature: changed(signature, -3) }, false)
}
for (const name of ['slack', 'zoom', 'generic']) {
  for (const [off, expect] of [
    [-300_001, false],
    [-300_000, true],
    [300_000, true],
    [300_001, false],
  ] as const) {
    says(`${name}/age${off}`, 'threat T30: five minutes, exactly, both ways.', good[name]!, expect, now + off)
  }
  const { timestamp: _, ...without } = good[name]!
  says(`${name}/no-timestamp`, 'threat T30.', without, false)
  for (const timestamp of ['0', `0${at}`, `${at}.0`, `${at}000`, ` ${at}`, 'x']) {
    says(`${name}/timestamp-${timestamp}`, 'threat T30.', { ...good[name]!, timestamp }, false)
  }
  verify.bad(`${name}/no-time`, 'No time is no time.', { ...good[name]!, now: 'NaN' }, 'time_invalid')
}
says('github-app/any-time', 'Without a timestamp there is no age.', good['github-app']!, true, 0)

const standard = good['generic']!
for (const [name, signature, expect] of [
  ['second', `v1,${mac('x', 'base64')} ${standard.signature}`, true],
  ['other-version', `v1a,abc ${standard.signature}`, true],
  ['none-good', `v1,${mac('x', 'base64')} v1,${mac('y', 'base64')}`, false],
  ['by-comma', `v1,${mac('x', 'base64')},${standard.signature}`, false],
  ['version', standard.signature.replace('v1', 'v2'), false],
  ['sixteenth', `${'x '.repeat(15)}${standard.signature}`, true],
  ['seventeenth', `${'x '.repeat(16)}${standard.signature}`, false],
] as const) {
  says(
    `generic/list-${name}`,
    'Several signatures, of which one is good.',
    { ...standard, signature },
    expect,
  )
}
says(
  'generic/no-prefix',
  'A secret without its prefix.',
  { ...standard, secret: key.toString('base64') },
  true,
)
for (const text of ['whsec_', 'whsec_abc', 'whsec_ab-_', 'whsec_====']) {
  verify.bad(
    `generic/secret-${text}`,
    'Not padded base64.',
    { ...standard, secret: text, now },
    'key_invalid',
  )
}
for (const id of ['', 'a.b', 'a b'])
  says(`generic/id-${id}`, 'An id without a dot.', { ...standard, delivery: id }, false)
for (const profile of ['google', 'discord', 'github', '']) {
  const delivery = { ...good['github-app']!, profile, now }
  verify.bad(`profile-${profile}`, 'No webhooks are known.', delivery, 'provider_unknown')
  headers.good(profile || 'nothing', 'No webhooks are known.', { profile }, null)
}

for (const [name, delivery] of Object.entries(good)) {
  const { body: _, ...signed } = delivery
  for (const cut of [0, 1, 20, body.length]) {
    const pieces = [body.slice(0, cut), body.slice(cut)]
    begin.good(`${name}/cut-${cut}`, 'In pieces as in one.', { ...signed, pieces, now }, true)
  }
  const changedBody = [`${body} `]
  begin.good(
    `${name}/body`,
    'threat T30: another body.',
    { ...signed, pieces: changedBody, now },
    name === 'gitlab',
  )
  begin.bad(`${name}/no-secret`, 'No secret.', { ...signed, secret: '', pieces: [], now }, 'key_invalid')
}
for (const name of ['slack', 'zoom', 'generic']) {
  const { timestamp: _, body: __, ...signed } = good[name]!
  begin.bad(`${name}/no-timestamp`, 'threat T30.', { ...signed, pieces: [], now }, 'webhook_invalid')
}
begin.bad(
  'generic/no-id',
  'threat T30.',
  { profile: 'generic', secret: standard.secret, signature: '', timestamp: at, pieces: [], now },
  'webhook_invalid',
)

headers.good(
  'github-app',
  'docs.github.com.',
  { profile: 'github-app' },
  {
    signature: 'x-hub-signature-256',
    id: 'x-github-delivery',
    event: 'x-github-event',
  },
)
headers.good(
  'slack',
  'docs.slack.dev.',
  { profile: 'slack' },
  {
    signature: 'x-slack-signature',
    timestamp: 'x-slack-request-timestamp',
  },
)
headers.good(
  'generic',
  'Standard Webhooks.',
  { profile: 'generic' },
  {
    signature: 'webhook-signature',
    timestamp: 'webhook-timestamp',
    id: 'webhook-id',
  },
)

export default document('Whether a delivery is from the provider.', verify, begin, headers)
