import { base64url, hex, publicJwk, ringText } from '../reference.ts'
import { bothKeys, counting, document, Group, k1, k2, ring } from './common.ts'

const padded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const secretHex = counting(0x00, 32)
const bytesOf = (fill: string): Uint8Array => hex(fill.repeat(32))

const parse = new Group('keys.parse')
const names = (...kids: string[]): { kids: string[] } => ({ kids })

parse.good('hex', '64 hexadecimal digits.', { text: `k1:${secretHex}` }, names('k1'))
parse.good(
  'hex-upper',
  'Hexadecimal digits of either case.',
  { text: `k1:${secretHex.toUpperCase()}` },
  names('k1'),
)
parse.good('base64', 'Canonical base64 with its padding.', { text: `k1:${padded(k1.secret)}` }, names('k1'))
parse.good(
  'base64-unpadded',
  'The same without padding.',
  { text: `k1:${padded(k1.secret).replace('=', '')}` },
  names('k1'),
)
parse.good('base64url', 'The URL alphabet.', { text: `k1:${base64url(bytesOf('fb'))}` }, names('k1'))
parse.good('base64-plus', 'The standard alphabet.', { text: `k1:${padded(bytesOf('fb'))}` }, names('k1'))
parse.good('two', 'The first signs, all verify.', { text: bothKeys }, names('k1', 'k2'))
parse.good(
  'kid-32',
  'A key id has at most 32 characters of A-Z a-z 0-9 _ -.',
  { text: `Az09_-${'k'.repeat(26)}:${secretHex}` },
  names(`Az09_-${'k'.repeat(26)}`),
)
const many = (count: number): string =>
  Array.from({ length: count }, (_, i) => `n${i}:${counting(i, 32)}`).join(',')
parse.good(
  'eight',
  'A ring holds at most eight keys.',
  { text: many(8) },
  names(...'01234567'.split('').map((d) => `n${d}`)),
)

parse.bad(
  'nine',
  'The ninth key is refused at its place.',
  { text: many(9) },
  'key_invalid',
  many(8).length + 1,
)
parse.bad('empty', 'No text, no keys.', { text: '' }, 'key_ring_empty')
for (const [name, comment, text] of [
  ['24-bytes', 'T14: 24 bytes are no key.', `k1:${padded(k1.secret.subarray(0, 24))}`],
  ['31-bytes', 'T14: 31 bytes are no key.', `k1:${padded(k1.secret.subarray(0, 31))}`],
  ['33-bytes', 'T14: 33 bytes are no key.', `k1:${padded(hex(counting(0, 33)))}`],
  ['35-bytes', 'T14: 35 bytes are no key.', `k1:${padded(hex(counting(0, 35)))}`],
  ['hex-63', 'T14: an odd number of hexadecimal digits.', `k1:${secretHex.slice(1)}`],
  ['hex-65', 'T14: one digit too many.', `k1:${secretHex}0`],
  ['hex-letter', 'T14: `g` is no hexadecimal digit.', `k1:${secretHex.slice(0, 63)}g`],
  [
    'base64-spare-bits',
    'T14: the last character has spare bits that are not zero.',
    `k1:${padded(k1.secret).replace('8=', '9=')}`,
  ],
  ['base64-double-padding', 'T14: one sign of padding belongs there, not two.', `k1:${padded(k1.secret)}=`],
  [
    'base64-mixed',
    'T14: `+` and `_` do not stand in one alphabet.',
    `k1:${padded(bytesOf('fb')).replace('/', '_')}`,
  ],
  ['blank-before', 'Blanks are not passed over.', ` k1:${secretHex}`],
  ['blank-after', 'Blanks are not passed over.', `k1:${secretHex} `],
  ['line-end', 'A line end is not passed over.', `k1:${secretHex}\n`],
  ['no-colon', 'An entry is `kid:key`.', secretHex],
  ['no-kid', 'An entry has a key id.', `:${secretHex}`],
  ['no-key', 'An entry has a key.', 'k1:'],
  ['kid-33', 'A key id of 33 characters is too long.', `${'k'.repeat(33)}:${secretHex}`],
  [
    'kid-dot',
    'A dot is no character of a key id: `k1.ed` is the name of a public key.',
    `k1.ed:${secretHex}`,
  ],
  ['kid-non-ascii', 'A key id is ASCII.', `k\u00e9:${secretHex}`],
] as const) {
  parse.bad(name, comment, { text }, 'key_invalid')
}
parse.bad(
  'trailing-comma',
  'What follows a comma is an entry.',
  { text: `${ring},` },
  'key_invalid',
  ring.length + 1,
)
parse.bad(
  'blank-between',
  'A blank after a comma.',
  { text: `${ring}, ${ringText(k2)}` },
  'key_invalid',
  ring.length + 1,
)
parse.bad(
  'kid-twice',
  'One id for two keys.',
  { text: `${ring},k1:${counting(9, 32)}` },
  'key_duplicate',
  ring.length + 1,
)
parse.bad(
  'key-twice',
  'One key under two ids, spelled in two ways.',
  { text: `${ring},k2:${padded(k1.secret)}` },
  'key_duplicate',
  ring.length + 1,
)

const generate = new Group('keys.generate')
generate.good(
  'canonical',
  'An id, a colon and unpadded base64url.',
  { kid: 'k1', entropy: secretHex },
  `k1:${base64url(k1.secret)}`,
)
generate.good('ones', 'Every bit set.', { kid: 'Z-_9', entropy: 'ff'.repeat(32) }, `Z-_9:${'_'.repeat(42)}8`)
generate.bad('31-bytes', 'T14: exactly 32 bytes.', { kid: 'k1', entropy: counting(0, 31) }, 'key_invalid')
generate.bad('33-bytes', 'T14: exactly 32 bytes.', { kid: 'k1', entropy: counting(0, 33) }, 'key_invalid')
generate.bad(
  'kid-comma',
  'The id must be one that can be parsed again.',
  { kid: 'a,b', entropy: secretHex },
  'key_invalid',
)
generate.bad('kid-empty', 'The id is not empty.', { kid: '', entropy: secretHex }, 'key_invalid')

const publicJwks = new Group('keys.publicJwks')
publicJwks.good(
  'one',
  'RFC 8037: an Ed25519 key made of the seed that HKDF derives.',
  { ring },
  { keys: [publicJwk(k1)] },
)
publicJwks.good(
  'two',
  'One key per entry, in the order of the ring.',
  { ring: ringText(k2, k1) },
  { keys: [publicJwk(k2), publicJwk(k1)] },
)

export default document(
  'Key rings: their text, new entries, the public half. `keys.parse` answers with the key ids; `at` is the position of the entry.',
  parse,
  generate,
  publicJwks,
)
