import { type Claims, codeVerifier, hex, issue, ringText } from '../reference.ts'
import {
  binding,
  bothKeys,
  counting,
  document,
  full,
  Group,
  k1,
  k2,
  minimal,
  nonce,
  nonceHex,
  now,
  ring,
} from './common.ts'

const state = new Group('state.issue')
const entropy = nonceHex

function good(name: string, comment: string, claims: Claims, at = now): void {
  state.good(name, comment, { ring, claims, now: at, entropy }, issue(k1, claims, at, hex(entropy)))
}

good('minimal', 'Only what is required; 600 seconds of life.', minimal)
good('full', 'Every claim, bound to a browser.', full)
good('eddsa', 'The same, for everybody who has the public key.', { ...full, alg: 'EdDSA' })
good('org', 'An organisation owns the connection.', { ...full, owner: { kind: 'org', id: 'acme' } })
good('binding-only', 'The binding enters as a hash over label, cookie and nonce.', { ...minimal, binding })
good('life-shortest', 'A life of one second.', { ...minimal, ttlMs: 1_000 })
good('life-longest', 'A life of an hour.', { ...minimal, ttlMs: 3_600_000 })
good('within-a-second', 'Times are whole seconds, rounded down.', full, now + 999)
good('epoch', 'The first second there is.', minimal, 0)
good('unicode', 'Texts are UTF-8 and written as they are, not escaped.', {
  ...minimal,
  subject: 'J\u00fcrgen \u{1f511} \u5bc6\u94a5',
  owner: { kind: 'user', id: '\u0394' },
})
good('escapes', 'Quotation mark and backslash are escaped, the solidus is not.', {
  ...minimal,
  subject: 'a"b\\c/d',
})
const longest = 'x'.repeat(255)
good('longest', 'Every text at its 255 bytes, the return path at 512.', {
  issuer: longest,
  audience: longest,
  flow: longest,
  provider: longest,
  subject: longest,
  owner: { kind: 'org', id: longest },
  app: longest,
  returnTo: `/${'r'.repeat(511)}`,
  binding,
  ttlMs: 3_600_000,
})
good('255-bytes-in-two-byte-letters', 'Bytes are counted, not characters.', {
  ...minimal,
  subject: `${'\u00e9'.repeat(127)}x`,
})

// Each escaped character takes two bytes of the payload, so that claims within their limits can exceed its 2,900.
const quotes: Claims = {
  ...minimal,
  issuer: '"'.repeat(255),
  audience: '"'.repeat(255),
  flow: '"'.repeat(255),
  provider: '"'.repeat(255),
  subject: '"'.repeat(255),
}
const room = 2_900 - Buffer.byteLength(JSON.stringify({ ...payloadWithoutApp(), app: '' }))
function payloadWithoutApp(): Record<string, unknown> {
  const token = issue(k1, quotes, now, hex(entropy))['token'] as string
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
}
good('payload-2900', 'A payload of exactly 2,900 bytes.', { ...quotes, app: 'a'.repeat(room) })
state.bad(
  'payload-2901',
  'A payload of 2,901 bytes, although every claim is within its limit.',
  { ring, claims: { ...quotes, app: 'a'.repeat(room + 1) }, now, entropy },
  'claim_invalid',
)

state.good(
  'rotation',
  'The first key signs.',
  { ring: ringText(k2, k1), claims: full, now, entropy },
  issue(k2, full, now, hex(entropy)),
)
state.good(
  'long-entropy',
  'The first 16 bytes of the entropy are the nonce, the rest is not looked at.',
  { ring, claims: full, now, entropy: entropy + counting(1, 16) },
  issue(k1, full, now, hex(entropy)),
)
const longKid = { kid: 'k'.repeat(32), secret: k1.secret }
state.good(
  'longest-kid',
  'The longest key id, in the header of the longer algorithm.',
  { ring: ringText(longKid), claims: { ...minimal, alg: 'EdDSA' }, now, entropy },
  issue(longKid, { ...minimal, alg: 'EdDSA' }, now, hex(entropy)),
)

function bad(
  name: string,
  comment: string,
  changes: Readonly<Record<string, unknown>>,
  error = 'claim_invalid',
): void {
  state.bad(name, comment, { ring, claims: { ...full, ...changes }, now, entropy }, error)
}

for (const claim of ['issuer', 'audience', 'flow', 'provider', 'subject']) {
  bad(`${claim}-empty`, `No text in \`${claim}\`.`, { [claim]: '' })
  bad(`${claim}-256-bytes`, `\`${claim}\` is one byte too long.`, { [claim]: 'x'.repeat(256) })
}
bad('owner-empty', 'An owner without an id.', { owner: { kind: 'user', id: '' } })
bad('owner-256-bytes', 'The owner is one byte too long.', { owner: { kind: 'org', id: 'x'.repeat(256) } })
bad('owner-kind', 'There is no such kind of owner.', { owner: { kind: 'team', id: 'acme' } })
bad('app-256-bytes', 'The app is one byte too long.', { app: 'x'.repeat(256) })
bad('256-bytes-in-two-byte-letters', 'Bytes are counted, not characters.', { subject: '\u00e9'.repeat(128) })
bad('control-nul', 'NUL.', { subject: 'a\u0000b' })
bad('control-line-end', 'A C0 control character.', { subject: 'a\nb' })
bad('control-del', 'DEL.', { app: 'a\u007fb' })
bad('control-c1', 'A C1 control character.', { provider: 'a\u0085b' })
bad('alg-none', 'There is no such algorithm.', { alg: 'none' })
bad('alg-lower-case', 'Names of algorithms are compared exactly.', { alg: 'hs256' })
bad('binding-31-bytes', 'A binding has 32 bytes.', { binding: binding.slice(2) })
bad('binding-33-bytes', 'A binding has 32 bytes.', { binding: `${binding}00` })
bad('life-none', 'A life of nothing.', { ttlMs: 0 })
bad('life-below-a-second', 'Less than a second.', { ttlMs: 999 })
bad('life-fraction', 'No whole number of seconds.', { ttlMs: 1_500 })
bad('life-over-an-hour', 'A second more than an hour.', { ttlMs: 3_601_000 })
bad('life-negative', 'A life that ends before it begins.', { ttlMs: -1_000 })
bad('life-nan', 'No number.', { ttlMs: 'NaN' })
bad(
  'return-other-host',
  'T11: `//host` leaves the origin.',
  { returnTo: '//evil.example/' },
  'return_to_invalid',
)
bad(
  'return-backslash',
  'T11: `/\\host` leaves the origin too.',
  { returnTo: '/\\evil.example' },
  'return_to_invalid',
)
bad('return-url', 'T11: an absolute URL.', { returnTo: 'https://app.example/' }, 'return_to_invalid')
bad(
  'return-not-normal',
  'T11: a return path must be its own normal form.',
  { returnTo: '/a/../b' },
  'return_to_invalid',
)
bad('return-513-bytes', 'One byte too long.', { returnTo: `/${'r'.repeat(512)}` }, 'return_to_invalid')
bad('order-claim-first', 'Claims are looked at before the return path.', {
  flow: '',
  returnTo: '//evil.example/',
})
bad(
  'order-return-path-second',
  'The return path is looked at before the binding.',
  { returnTo: '//evil.example/', binding: '00' },
  'return_to_invalid',
)
state.bad(
  'entropy-15-bytes',
  'A nonce has 16 bytes.',
  { ring, claims: full, now, entropy: entropy.slice(2) },
  'claim_invalid',
)
for (const [name, value] of [
  ['nan', 'NaN'],
  ['infinite', 'Infinity'],
  ['negative', -1],
  ['fraction', 0.5],
  ['beyond-a-date', 8_640_000_000_000_001],
] as const) {
  state.bad(
    `time-${name}`,
    'T05: not a whole number of milliseconds in 0..8.64e15.',
    { ring, claims: full, now: value, entropy },
    'time_invalid',
  )
}

const verifier = new Group('state.codeVerifier')
verifier.good(
  'hs256',
  'RFC 7636: HMAC over label and nonce with the PKCE subkey.',
  { ring, kid: 'k1', nonce },
  codeVerifier(k1, hex(nonceHex)),
)
verifier.good(
  'eddsa',
  'The public key id names the same entry.',
  { ring, kid: 'k1.ed', nonce },
  codeVerifier(k1, hex(nonceHex)),
)
verifier.good(
  'rotation',
  'The key that signed the state, wherever it stands now.',
  { ring: bothKeys, kid: 'k2', nonce },
  codeVerifier(k2, hex(nonceHex)),
)
verifier.bad('unknown-key', 'A key that has left the ring.', { ring, kid: 'k2', nonce }, 'state_unknown_key')
verifier.bad('no-key', 'The suffix alone names no key.', { ring, kid: '.ed', nonce }, 'state_unknown_key')
verifier.bad(
  'nonce-15-bytes',
  'A nonce has 16 bytes.',
  { ring, kid: 'k1', nonce: nonce.slice(0, 20) },
  'state_payload_invalid',
)
verifier.bad(
  'nonce-spare-bits',
  'A nonce has one spelling.',
  { ring, kid: 'k1', nonce: `${nonce.slice(0, 21)}x` },
  'state_payload_invalid',
)
verifier.bad('nonce-empty', 'A nonce is there.', { ring, kid: 'k1', nonce: '' }, 'state_payload_invalid')

export default document(
  'Making a state and its PKCE pair. `state.issue` answers with token, nonce, end and challenge.',
  state,
  verifier,
)
