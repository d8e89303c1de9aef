import {
  base64url,
  type Claims,
  compactJws,
  header,
  hex,
  macWith,
  principalMac,
  publicJwk,
  ringText,
  type Signer,
  stateMac,
  stateSignature,
  stateToken,
} from '../reference.ts'
import {
  binding,
  bothKeys,
  changed,
  counting,
  document,
  expectedOf,
  full,
  Group,
  jwks,
  k1,
  k2,
  minimal,
  nonce,
  now,
  otherBinding,
  payloadOf,
  repeated,
  ring,
  seconds,
  stateOf,
  tokenOf,
} from './common.ts'

const state = new Group('state.verify')
const eddsa: Claims = { ...full, alg: 'EdDSA' }
const token = tokenOf(full)
const eddsaToken = tokenOf(eddsa)
const expected = expectedOf(full)
const usual = { ring, token, expected, now }
const verified = stateOf(full)
const hs256Header = header('HS256', 'k1', 'oauth-state+jwt')
const payload = JSON.stringify(payloadOf(full))
const [encodedHeader, encodedPayload, encodedMac] = token.split('.') as [string, string, string]

type Changes = Readonly<Record<string, unknown>>
const good = (name: string, comment: string, changes: Changes = {}, expect: unknown = verified): void =>
  state.good(name, comment, { ...usual, ...changes }, expect)
const bad = (name: string, comment: string, error: string, changes: Changes): void =>
  state.bad(name, comment, { ...usual, ...changes }, error)
const signed = (exactHeader: string, exactPayload: string, signer: Signer = stateMac(k1)): string =>
  compactJws(exactHeader, exactPayload, signer)

// What is good.

good('hs256', 'A state as `state.issue` makes it.')
good(
  'minimal',
  'Only what is required.',
  { token: tokenOf(minimal), expected: expectedOf(minimal) },
  stateOf(minimal),
)
good('eddsa', 'Verified with the ring that signed it.', { token: eddsaToken }, stateOf(eddsa, 'k1.ed'))
good(
  'eddsa-jwks',
  'Verified with the public keys.',
  { ring: undefined, jwks, token: eddsaToken },
  stateOf(eddsa, 'k1.ed'),
)
const rsa = { kty: 'RSA', kid: 'other', n: 'AQAB', e: 'AQAB' }
const forEncryption = { ...publicJwk(k2), use: 'enc' }
good(
  'eddsa-jwks-of-others',
  'RFC 7517 section 5: keys that are not for this are passed over.',
  { ring: undefined, jwks: { keys: [rsa, forEncryption, ...jwks.keys], extra: 1 }, token: eddsaToken },
  stateOf(eddsa, 'k1.ed'),
)
good('not-asked', 'Flow, provider and subject are compared where the verifier knows them.', {
  expected: { issuer: full.issuer, audience: full.audience, binding },
})
good('rotation', 'Every key of the ring verifies.', { ring: ringText(k2, k1) })
const unicode: Claims = {
  ...full,
  subject: 'J\u00fcrgen \u{1f511}',
  app: '\u5bc6\u94a5',
  owner: { kind: 'org', id: '\u0394' },
}
good(
  'unicode',
  'Texts are UTF-8.',
  { token: tokenOf(unicode), expected: expectedOf(unicode) },
  stateOf(unicode),
)

// Another library with the right key may spell the same JSON in another way.

const says = (object: object): string => JSON.stringify(object)
good('header-order', 'The members of the header in another order.', {
  token: signed(says({ typ: 'oauth-state+jwt', kid: 'k1', alg: 'HS256' }), payload),
})
good('header-blanks', 'Blanks in the header.', {
  token: signed('{ "alg": "HS256",\n\t"kid": "k1", "typ": "oauth-state+jwt" }\r\n', payload),
})
good('header-escapes', 'Escapes in the header.', {
  token: signed('{"alg":"HS\\u0032\\u00356","kid":"k1","typ":"oauth-state\\u002bjwt"}', payload),
})
good('payload-order', 'The members of the payload in another order.', {
  token: signed(hs256Header, says(Object.fromEntries(Object.entries(payloadOf(full)).reverse()))),
})
good('payload-blanks', 'Blanks in the payload.', {
  token: signed(hs256Header, JSON.stringify(payloadOf(full), null, 2)),
})
good('payload-escapes', 'Escapes in the payload; the solidus too.', {
  token: signed(hs256Header, payload.replaceAll('/', '\\/').replace('connect', '\\u0063onnect')),
})
const key = payloadOf({ ...full, subject: '\u{1f511}' })
good(
  'payload-surrogate-pair',
  'An escaped surrogate pair is one character.',
  {
    token: signed(hs256Header, says(key).replace('\u{1f511}', '\\ud83d\\udd11')),
    expected: { ...expected, subject: '\u{1f511}' },
  },
  { ...verified, subject: '\u{1f511}' },
)

// Time.

good('life-600-seconds', 'T05: 600 seconds old is still good.', { now: now + 600_000 })
good('life-600-seconds-whole-second', 'T05: all of the last second is good.', { now: now + 600_999 })
bad('life-601-seconds', 'T05: 601 seconds old is expired.', 'state_expired', { now: now + 601_000 })
bad('life-a-year', 'T05: long expired.', 'state_expired', { now: now + 31_536_000_000 })
bad('life-skew', 'Expiry has no tolerance, whatever the skew.', 'state_expired', {
  now: now + 601_000,
  expected: { ...expected, skewMs: 300_000 },
})
good('future-60-seconds', 'T05: issued 60 seconds ahead of our clock.', { now: now - 60_000 })
bad('future-61-seconds', 'T05: issued 61 seconds ahead of our clock.', 'state_from_future', {
  now: now - 61_000,
})
bad('future-no-skew', 'Without tolerance one millisecond is too much.', 'state_from_future', {
  now: now - 1,
  expected: { ...expected, skewMs: 0 },
})
good('future-largest-skew', 'The largest tolerance, exactly used.', {
  now: now - 300_000,
  expected: { ...expected, skewMs: 300_000 },
})
bad('skew-too-large', 'A tolerance of more than 300 seconds is a mistake.', 'time_invalid', {
  expected: { ...expected, skewMs: 300_001 },
})
bad('skew-negative', 'So is a negative one.', 'time_invalid', { expected: { ...expected, skewMs: -1 } })
for (const [name, value] of [
  ['nan', 'NaN'],
  ['infinite', 'Infinity'],
  ['minus-infinite', '-Infinity'],
  ['negative', -1],
  ['fraction', now + 0.5],
  ['beyond-a-date', 8_640_000_000_000_001],
] as const) {
  bad(`time-${name}`, 'T05: not a whole number of milliseconds in 0..8.64e15.', 'time_invalid', {
    now: value,
  })
}
const living = (exp: number): string =>
  stateToken(k1, 'HS256', says({ ...payloadOf(full), exp: seconds + exp }))
good('life-3600', 'The longest life.', { token: living(3_600) }, stateOf({ ...full, ttlMs: 3_600_000 }))
bad('life-3601', 'A longer life than a state may have.', 'state_payload_invalid', { token: living(3_601) })
bad('life-0', 'No life at all.', 'state_payload_invalid', { token: living(0) })
bad('life-negative', 'A life that ends before it begins.', 'state_payload_invalid', { token: living(-1) })

// Form.

const malformed = (name: string, comment: string, text: unknown): void =>
  bad(name, comment, 'state_malformed', { token: text })

bad('empty', 'No state at all.', 'state_missing', { token: '' })
const roomy = (size: number): string => {
  const left = size - encodedHeader.length - encodedMac.length - 2
  const bytes = Math.floor((left * 3) / 4)
  return signed(hs256Header, payload + ' '.repeat(bytes - payload.length))
}
good('4096-bytes', 'The longest token, filled with blanks.', { token: roomy(4_096) })
bad('4097-bytes', 'One byte too long, whatever it is.', 'state_too_long', { token: repeated('a', 4_097) })
malformed('4096-letters', 'Not too long, but no token.', repeated('a', 4_096))
malformed('no-dot', 'T03: no dot.', encodedPayload)
malformed('one-dot', 'T03: one dot.', `${encodedPayload}.${encodedMac}`)
malformed('three-dots', 'T03: three dots.', `${token}.${encodedMac}`)
malformed('four-dots', 'T03: the five parts of a JWE.', `${encodedHeader}....${encodedMac}`)
malformed('no-header', 'An empty header.', `.${encodedPayload}.${encodedMac}`)
malformed('no-payload', 'RFC 7797: a detached payload.', `${encodedHeader}..${encodedMac}`)
malformed('no-signature', 'T01: an unsecured token ends in a dot.', `${encodedHeader}.${encodedPayload}.`)
malformed('blank-before', 'Blanks are not passed over.', ` ${token}`)
malformed('blank-after', 'Blanks are not passed over.', `${token} `)
malformed('line-end', 'A line end inside.', `${token.slice(0, 40)}\n${token.slice(40)}`)
malformed('signature-padding', 'T01: padding.', `${token}=`)
malformed(
  'signature-spare-bits',
  'T01: the last character has spare bits that are not zero.',
  respelled(token),
)
malformed(
  'signature-plus',
  'T01: the standard alphabet.',
  `${encodedHeader}.${encodedPayload}.${'+'.repeat(43)}`,
)
malformed(
  'signature-non-ascii',
  'T02: not ASCII.',
  `${encodedHeader}.${encodedPayload}.${'\u00e9'.repeat(43)}`,
)
malformed('signature-42', 'T02: one character less.', token.slice(0, -1))
malformed('signature-44', 'T02: one character more.', `${token}A`)
malformed(
  'signature-64-bytes',
  'T02: a signature of the other algorithm.',
  signed(hs256Header, payload, stateSignature(k1)),
)
malformed(
  'eddsa-signature-32-bytes',
  'T02: a MAC where a signature belongs.',
  signed(header('EdDSA', 'k1.ed', 'oauth-state+jwt'), payload),
)
malformed('header-padding', 'T01: padding.', `${encodedHeader}=.${encodedPayload}.${encodedMac}`)
malformed('payload-padding', 'Even under a good MAC.', resigned(encodedHeader, `${encodedPayload}=`))
malformed(
  'payload-spare-bits',
  'Even under a good MAC.',
  resigned(encodedHeader, respelled(withSpareBits(payload))),
)
malformed(
  'header-spare-bits',
  'A header has one spelling.',
  resigned(respelled(withSpareBits(hs256Header)), encodedPayload),
)

/** Base64url whose last character has spare bits, thanks to blanks behind the JSON. */
function withSpareBits(json: string): string {
  return base64url(json + ' '.repeat((4 - (json.length % 3)) % 3))
}

/** The last character with its lowest bit turned, which must be a spare one. */
function respelled(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const digit = alphabet.indexOf(text.at(-1)!)
  const other = text.slice(0, -1) + alphabet[digit ^ 1]!
  const part = (whole: string): Buffer => Buffer.from(whole.split('.').at(-1)!, 'base64url')
  if (!part(other).equals(part(text))) throw new Error('not a spelling of the same bytes')
  return other
}

function resigned(headerPart: string, payloadPart: string): string {
  const input = `${headerPart}.${payloadPart}`
  return `${input}.${base64url(stateMac(k1)(input))}`
}

// The header: exactly three members, and the algorithm of the key.

const head = (changes: Changes): string =>
  signed(says({ alg: 'HS256', kid: 'k1', typ: 'oauth-state+jwt', ...changes }), payload)

malformed('alg-none', 'RFC 8725 section 2.1: no algorithm.', head({ alg: 'none' }))
malformed('alg-hs384', 'Another algorithm.', head({ alg: 'HS384' }))
malformed('alg-rs256', 'Another algorithm.', head({ alg: 'RS256' }))
malformed('alg-lower-case', 'Names of algorithms are compared exactly.', head({ alg: 'hs256' }))
malformed('alg-number', 'A name is text.', head({ alg: 256 }))
malformed('alg-missing', 'The algorithm is named.', head({ alg: undefined }))
malformed('alg-twice', 'No member twice.', signed(hs256Header.replace('{', '{"alg":"HS256",'), payload))
malformed('kid-missing', 'The key is named.', head({ kid: undefined }))
malformed('kid-empty', 'The key is named.', head({ kid: '' }))
malformed('kid-number', 'A name is text.', head({ kid: 1 }))
malformed('typ-missing', 'RFC 8725 section 3.11: the type is named.', head({ typ: undefined }))
malformed('typ-jwt', 'Another type.', head({ typ: 'JWT' }))
malformed('typ-upper-case', 'Types are compared exactly.', head({ typ: 'OAUTH-STATE+JWT' }))
malformed('typ-principal', 'A type of ours, but another.', head({ typ: 'latchkey-principal+jwt' }))
malformed('crit', 'RFC 7515 section 4.1.11: an extension that we do not know.', head({ crit: ['exp'] }))
malformed('b64', 'RFC 7797: an unencoded payload.', head({ b64: false }))
malformed('jwk', 'A key in the token is no key.', head({ jwk: publicJwk(k1) }))
malformed('jku', 'Nor is a place to get one.', head({ jku: 'https://evil.example/jwks' }))
malformed('header-array', 'A header is an object.', signed('["HS256","k1","oauth-state+jwt"]', payload))
malformed('header-text', 'A header is JSON.', signed('HS256 k1 oauth-state+jwt', payload))
malformed('header-empty-object', 'An object without members.', signed('{}', payload))
malformed(
  'header-byte-order-mark',
  'RFC 8259 section 8.1: no byte order mark.',
  signed(`\ufeff${hs256Header}`, payload),
)
malformed(
  'header-193-bytes',
  'A header has at most 192 bytes.',
  signed(hs256Header + ' '.repeat(193 - hs256Header.length), payload),
)
good('header-192-bytes', 'And may have them.', {
  token: signed(hs256Header + ' '.repeat(192 - hs256Header.length), payload),
})

// The key.

const unknown = (name: string, comment: string, changes: Changes): void =>
  bad(name, comment, 'state_unknown_key', changes)
unknown('kid-unknown', 'A key that is not in the ring.', { token: tokenOf(full, { ...k1, kid: 'k9' }) })
unknown('kid-removed', 'A key that has left the ring.', { ring: ringText(k2) })
unknown('kid-case', 'Key ids are compared exactly.', { token: head({ kid: 'K1' }) })
unknown('hs256-public-kid', 'The algorithm belongs to the key: the public key makes no MAC.', {
  token: head({ kid: 'k1.ed' }),
})
unknown('eddsa-secret-kid', 'Nor does the secret one sign.', {
  token: signed(header('EdDSA', 'k1', 'oauth-state+jwt'), payload, stateSignature(k1)),
})
unknown('jwks-hs256', 'Public keys verify no MAC.', { ring: undefined, jwks })
unknown('jwks-hs256-public-kid', 'Not even under the id of one.', {
  ring: undefined,
  jwks,
  token: head({ kid: 'k1.ed' }),
})
unknown('jwks-other', 'The public keys of another ring.', {
  ring: undefined,
  jwks: { keys: [publicJwk(k2)] },
  token: eddsaToken,
})

const noJwks = (name: string, comment: string, set: unknown): void =>
  bad(name, comment, 'jwks_invalid', { ring: undefined, jwks: set, token: eddsaToken })
const [own] = jwks.keys
noJwks('jwks-empty', 'A set without keys.', { keys: [] })
noJwks('jwks-no-set', 'No set.', {})
noJwks('jwks-no-usable-key', 'A set of other keys only.', { keys: [rsa] })
noJwks('jwks-for-encryption', 'A set of keys for something else.', { keys: [forEncryption] })
noJwks('jwks-private-key', 'A private key was published by mistake.', { keys: [{ ...own, d: 'AA' }] })
noJwks('jwks-kid-twice', 'One id for two keys.', { keys: [own, { ...publicJwk(k2), kid: 'k1.ed' }] })
noJwks('jwks-no-kid', 'A key without an id.', { keys: [{ ...own, kid: undefined }] })
noJwks('jwks-short-key', 'A key of 31 bytes.', { keys: [{ ...own, x: base64url(hex(counting(0, 31))) }] })
noJwks('jwks-key-spare-bits', 'A key has one spelling.', { keys: [{ ...own, x: respelled(own!['x']!) }] })
noJwks('jwks-nine-keys', 'More keys than a ring can have.', {
  keys: Array.from({ length: 9 }, (_, i) => ({ ...own, kid: `n${i}.ed` })),
})

// The signature.

const unsigned = (name: string, comment: string, changes: Changes): void =>
  bad(name, comment, 'state_bad_signature', changes)
unsigned('mac-bit', 'T01: one changed character of the MAC.', {
  token: changed(token, encodedHeader.length + encodedPayload.length + 3),
})
unsigned('payload-bit', 'T01: one changed character of the payload.', {
  token: changed(token, encodedHeader.length + 9),
})
unsigned('payload-blank', 'T01: the same JSON with one blank more.', {
  token: `${encodedHeader}.${base64url(`${payload} `)}.${encodedMac}`,
})
unsigned('mac-zero', 'T01: a MAC of zeros.', {
  token: `${encodedHeader}.${encodedPayload}.${'A'.repeat(43)}`,
})
unsigned('kid-swapped', 'The id of another key of the ring.', {
  ring: bothKeys,
  token: signed(header('HS256', 'k2', 'oauth-state+jwt'), payload),
})
unsigned('same-kid-other-key', 'Another key under the same id.', { ring: ringText({ ...k2, kid: 'k1' }) })
unsigned('root-key', 'The configured key itself is never a MAC key.', {
  token: signed(hs256Header, payload, macWith(k1.secret)),
})
unsigned('principal-key', 'The subkey of another purpose.', {
  token: signed(hs256Header, payload, principalMac(k1)),
})
unsigned('public-key-as-secret', 'RFC 8725 section 2.1: the public key used as a MAC key.', {
  token: signed(hs256Header, payload, macWith(Buffer.from(own!['x']!, 'base64url'))),
})
unsigned('principal-token', 'An assertion with the type of a state.', {
  token: signed(
    hs256Header,
    says({ sub: 'user-1', kind: 'human', iat: seconds, exp: seconds + 60 }),
    principalMac(k1),
  ),
})
const eddsaParts = eddsaToken.split('.') as [string, string, string]
unsigned('eddsa-signature-bit', 'T01: one changed character of the signature.', {
  token: changed(eddsaToken, -30),
})
unsigned('eddsa-payload-bit', 'T01: one changed character of the payload.', {
  token: changed(eddsaToken, eddsaParts[0].length + 9),
})
unsigned('eddsa-other-key', 'The signature of another key.', {
  ring: bothKeys,
  token: signed(header('EdDSA', 'k1.ed', 'oauth-state+jwt'), payload, stateSignature(k2)),
})
unsigned('eddsa-jwks-signature-bit', 'The same with public keys.', {
  ring: undefined,
  jwks,
  token: changed(eddsaToken, -30),
})
unsigned('eddsa-large-s', 'RFC 8032 section 5.1.7: S plus the order of the group.', { token: withLargeS() })
unsigned('eddsa-zero', 'A signature of zeros.', {
  token: `${eddsaParts[0]}.${eddsaParts[1]}.${'A'.repeat(86)}`,
})
unsigned('payload-unread', 'T04: what is no JSON is not looked at before the MAC is good.', {
  token: `${encodedHeader}.${base64url('{')}.${encodedMac}`,
})
unsigned('order-expired', 'A bad signature comes before an expired state.', {
  token: changed(token, -9),
  now: now + 601_000,
})
unknown('order-key-first', 'An unknown key comes before a bad signature.', {
  ring: ringText(k2),
  token: changed(token, -9),
})

function withLargeS(): string {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const signature = Buffer.from(eddsaParts[2], 'base64url')
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + order
  const large = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
  return `${eddsaParts[0]}.${eddsaParts[1]}.${base64url(Buffer.concat([signature.subarray(0, 32), large]))}`
}

// The payload: exactly the known claims, each of its type.

const wrong = (name: string, comment: string, text: string): void =>
  bad(name, comment, 'state_payload_invalid', { token: signed(hs256Header, text) })
const claims = (changes: Changes): string => says({ ...payloadOf(full), ...changes })

for (const name of ['iss', 'aud', 'iat', 'exp', 'jti', 'as', 'sub', 'flow', 'own', 'v']) {
  wrong(`${name}-missing`, `\`${name}\` is required.`, claims({ [name]: undefined }))
}
for (const name of ['iss', 'aud', 'as', 'sub', 'flow', 'app']) {
  wrong(`${name}-empty`, `\`${name}\` is not empty where it stands.`, claims({ [name]: '' }))
  wrong(`${name}-number`, `\`${name}\` is text.`, claims({ [name]: 1 }))
}
wrong('sub-256-bytes', 'One byte too long.', claims({ sub: 'x'.repeat(256) }))
wrong('sub-control', 'No control characters.', claims({ sub: 'a\tb' }))
wrong('sub-null', 'Nothing is no text.', claims({ sub: null }))
wrong('aud-array', 'RFC 7519 section 4.1.3: one audience, as text.', claims({ aud: [full.audience] }))
wrong('claim-unknown', 'A claim that we do not know, such as `nbf`.', claims({ nbf: seconds }))
wrong('claim-twice', 'A claim twice.', payload.replace('"v":1', '"v":1,"v":1'))
wrong(
  'claim-twice-escaped',
  'A claim twice, once in other words.',
  payload.replace('"v":1', '"v":1,"\\u0076":1'),
)
wrong(
  'claim-twice-optional',
  'A claim twice that may be missing.',
  payload.replace('"v":1', '"app":"x","v":1'),
)
wrong('claim-twice-blanks', 'A claim twice, between blanks.', payload.replace('"v":1', '"v":1, "v":1'))
wrong('v-2', 'Another version.', claims({ v: 2 }))
wrong('v-text', 'A version is a number.', claims({ v: '1' }))
wrong('own-kind', 'There is no such kind of owner.', claims({ own: 'team:acme' }))
wrong('own-case', 'Kinds are compared exactly.', claims({ own: 'User:user-1' }))
wrong('own-empty', 'An owner without an id.', claims({ own: 'user:' }))
wrong('own-no-kind', 'An owner without a kind.', claims({ own: 'user-1' }))
wrong('jti-15-bytes', 'A nonce has 16 bytes.', claims({ jti: base64url(hex(counting(0, 15))) }))
wrong('jti-17-bytes', 'A nonce has 16 bytes.', claims({ jti: base64url(hex(counting(0, 17))) }))
wrong('jti-spare-bits', 'A nonce has one spelling.', claims({ jti: respelled(nonce) }))
wrong('rfp-15-bytes', 'A binding proof has 16 bytes.', claims({ rfp: base64url(hex(counting(0, 15))) }))
wrong('rfp-32-bytes', 'A binding proof has 16 bytes.', claims({ rfp: base64url(hex(counting(0, 32))) }))
wrong('name-after-nul', 'A claim is named by all of its name.', payload.replace('"v":1', '"\\u0000v":1'))
wrong('rfp-empty', 'A binding is not empty where it stands.', claims({ rfp: '' }))
wrong(
  'return-other-host',
  'T11: checked again although it is signed.',
  claims({ target_link_uri: '//evil.example/' }),
)
wrong(
  'return-not-normal',
  'T11: a return path is its own normal form.',
  claims({ target_link_uri: '/a/./b' }),
)
wrong('return-empty', 'T11: a return path is not empty where it stands.', claims({ target_link_uri: '' }))
wrong('iat-text', 'T05: a time is a number.', claims({ iat: String(seconds) }))
wrong(
  'iat-fraction',
  'T05: a time is a whole number.',
  payload.replace(`"iat":${seconds}`, `"iat":${seconds}.0`),
)
wrong('iat-exponent', 'T05: a time is written out.', payload.replace(`"iat":${seconds}`, '"iat":1.7672256e9'))
wrong(
  'iat-leading-zero',
  'RFC 8259 section 6: no leading zero.',
  payload.replace(`"iat":${seconds}`, `"iat":0${seconds}`),
)
wrong('iat-negative', 'T05: no time before 1970.', claims({ iat: -1 }))
wrong('exp-null', 'T05: a time is there.', claims({ exp: null }))
wrong('exp-beyond-a-date', 'T05: no time after the last one of a Date.', claims({ exp: 8_640_000_000_001 }))
wrong(
  'exp-20-digits',
  'T05: more digits than 64 bits hold.',
  payload.replace(`"exp":${seconds + 600}`, '"exp":99999999999999999999'),
)
wrong('not-json', 'Signed, but no JSON.', payload.slice(0, -1))
wrong('json-after', 'Something after the object.', `${payload}{}`)
wrong('nul-after', 'Something after the object.', `${payload}\u0000`)
wrong('array', 'A payload is an object.', `[${payload}]`)
wrong(
  'lone-surrogate',
  'Half a surrogate pair is no character.',
  payload.replace('"app":"web"', '"app":"\\ud83d"'),
)
bad('invalid-utf-8', 'Signed, but not UTF-8.', 'state_payload_invalid', { token: signedBytes() })

function signedBytes(): string {
  const bytes = Buffer.from(payload)
  bytes[bytes.indexOf('web')] = 0xff
  return resigned(encodedHeader, base64url(bytes))
}

// What it was made for.

const other = (name: string, comment: string, error: string, changes: Changes): void =>
  bad(name, comment, error, { expected: { ...expected, ...changes } })
other('issuer', 'T10: made by another issuer.', 'issuer_mismatch', { issuer: 'https://other.example' })
other('issuer-slash', 'T10: compared byte for byte.', 'issuer_mismatch', { issuer: `${full.issuer}/` })
other('audience', 'T12: made for another redirect URI.', 'audience_mismatch', {
  audience: 'https://app.example/callback/gitlab',
})
other('flow', 'T10: made for another flow.', 'flow_mismatch', { flow: 'sign-in' })
other('provider', 'T10: made for another provider.', 'provider_mismatch', { provider: 'gitlab' })
other('subject', 'T10: started by somebody else.', 'subject_mismatch', { subject: 'user-2' })
other('subject-case', 'T13: ids are compared byte for byte.', 'subject_mismatch', { subject: 'User-1' })
other('binding-other', 'T10: started in another browser.', 'binding_mismatch', { binding: otherBinding })
other('binding-missing', 'T10: the cookie is gone.', 'binding_mismatch', { binding: undefined })
other('binding-short', 'T10: half a cookie.', 'binding_mismatch', { binding: binding.slice(32) })
bad('binding-unasked', 'T10: a bound browser with an unbound state.', 'binding_mismatch', {
  token: tokenOf(minimal),
  expected: { ...expectedOf(minimal), binding },
})
good(
  'binding-unchecked',
  'A reader that cannot see the cookie says so.',
  { ...publicReader(), expected: { ...expected, binding: 'unchecked' } },
  stateOf(eddsa, 'k1.ed'),
)
bad('binding-unchecked-subject', 'Everything else is checked as ever.', 'subject_mismatch', {
  ...publicReader(),
  expected: { ...expected, binding: 'unchecked', subject: 'user-2' },
})

function publicReader(): Changes {
  return { ring: undefined, jwks, token: eddsaToken }
}

// The order of the checks: of two things that are wrong the earlier one is reported.

const ladder: readonly (readonly [error: string, change: Changes])[] = [
  ['issuer_mismatch', { issuer: 'https://other.example' }],
  ['audience_mismatch', { audience: 'https://app.example/callback/gitlab' }],
  ['flow_mismatch', { flow: 'sign-in' }],
  ['provider_mismatch', { provider: 'gitlab' }],
  ['subject_mismatch', { subject: 'user-2' }],
  ['binding_mismatch', { binding: otherBinding }],
]
for (const [index, [error, change]] of ladder.entries()) {
  const later = ladder[index + 1]
  if (later === undefined) continue
  other(`order-${error}`, `\`${error}\` comes before \`${later[0]}\`.`, error, { ...change, ...later[1] })
}
bad('order-payload', 'The payload comes before the time.', 'state_payload_invalid', {
  token: signed(hs256Header, claims({ nbf: 1 })),
  now: now + 601_000,
})
bad('order-future', 'The issue time comes before the issuer.', 'state_from_future', {
  now: now - 61_000,
  expected: { ...expected, issuer: 'https://other.example' },
})
bad('order-expired-issuer', 'Expiry comes before the issuer.', 'state_expired', {
  now: now + 601_000,
  expected: { ...expected, issuer: 'https://other.example' },
})

const peek = new Group('state.peek')
const said = ({ alg: _, kid: __, ...rest }: Record<string, unknown>): Record<string, unknown> => rest
peek.good('hs256', 'T16: what a token says, unchecked.', { token }, said(verified))
peek.good('eddsa', 'The header is not looked at.', { token: eddsaToken }, said(verified))
peek.good('minimal', 'Only what is there.', { token: tokenOf(minimal) }, said(stateOf(minimal)))
peek.good('unicode', 'Texts are UTF-8.', { token: tokenOf(unicode) }, said(stateOf(unicode)))
peek.good(
  'bad-signature',
  'A signature is not checked.',
  { token: `${encodedHeader}.${encodedPayload}.AAAA` },
  said(verified),
)
peek.good(
  'partial',
  'Some claims may be missing.',
  {
    token: `e30.${base64url(says({ iat: seconds, exp: seconds + 600, as: 'github', own: 'org:acme' }))}.AAAA`,
  },
  { issuedAt: now, expiresAt: now + 600_000, provider: 'github', owner: { kind: 'org', id: 'acme' } },
)
for (const [name, comment, text] of [
  ['empty', 'No token.', ''],
  ['one-dot', 'T03: one dot.', 'e30.e30'],
  ['three-dots', 'T03: three dots.', 'e30.e30.AAAA.AAAA'],
  ['not-json', 'The payload is no JSON.', `e30.${base64url('{')}.AAAA`],
  ['not-base64url', 'The payload is not base64url.', 'e30.e3=.AAAA'],
  ['array', 'The payload is no object.', `e30.${base64url('[]')}.AAAA`],
  ['claim-unknown', 'A claim that we do not know.', `e30.${base64url('{"admin":true}')}.AAAA`],
  ['claim-type', 'A claim of another type.', `e30.${base64url('{"iss":1}')}.AAAA`],
  [
    'return-other-host',
    'T11: no return path that leaves the origin.',
    `e30.${base64url('{"target_link_uri":"//evil.example"}')}.AAAA`,
  ],
] as const) {
  peek.bad(name, comment, { token: text }, 'state_malformed')
}
peek.bad(
  '4097-bytes',
  'Too long.',
  { token: repeated('a', 4_089, { before: 'e30.', after: '.AAA' }) },
  'state_malformed',
)

export default document(
  'Verifying a state, and reading one unverified. `expected.binding` is hexadecimal, or `unchecked` for a reader that cannot see the cookie (verify-only module).',
  state,
  peek,
)
