import { base64url, hex, ringText, seal as sealed, utf8 } from '../reference.ts'
import { bothKeys, changed, counting, document, Group, k1, k2, repeated, ring } from './common.ts'

const entropy = counting(0x80, 24)
const context = ['token', 'user:user-1', 'github']
const plain = 'a secret \u{1f511}'
const textOf = (text: string, parts: readonly string[] = context, key = k1): string =>
  sealed(key, utf8(text), parts, hex(entropy))
const text = textOf(plain)
const hexOf = (value: string): string => Buffer.from(value, 'utf8').toString('hex')

const seal = new Group('seal.seal')
seal.good(
  'text',
  'Sealed for one row, owner and provider.',
  { ring, plain: hexOf(plain), context, entropy },
  text,
)
seal.good('empty', 'Nothing can be sealed too.', { ring, plain: '', context, entropy }, textOf(''))
seal.good(
  'no-context',
  'A context without parts.',
  { ring, plain: hexOf(plain), context: [], entropy },
  textOf(plain, []),
)
seal.good(
  'empty-part',
  'T13: an empty part is not none.',
  { ring, plain: hexOf(plain), context: [''], entropy },
  textOf(plain, ['']),
)
seal.good(
  'unicode-part',
  'A part is UTF-8; bytes are counted.',
  { ring, plain: hexOf(plain), context: ['\u5bc6\u94a5'], entropy },
  textOf(plain, ['\u5bc6\u94a5']),
)
const parts = (count: number): string[] => Array.from({ length: count }, (_, i) => `p${i}`)
seal.good(
  '16-parts',
  'The most parts.',
  { ring, plain: '', context: parts(16), entropy },
  textOf('', parts(16)),
)
// The label takes 15 bytes and the length of a part two of the 4,096.
seal.good(
  'context-4096',
  'The longest context.',
  { ring, plain: '', context: [repeated('c', 4_079)], entropy },
  textOf('', ['c'.repeat(4_079)]),
)
seal.good(
  'rotation',
  'The first key seals.',
  { ring: ringText(k2, k1), plain: hexOf(plain), context, entropy },
  textOf(plain, context, k2),
)
seal.good(
  'long-entropy',
  'The first 24 bytes of the entropy are the nonce.',
  { ring, plain: hexOf(plain), context, entropy: `${entropy}ff` },
  text,
)
seal.good(
  '16384-bytes',
  'The longest plain text.',
  { ring, plain: repeated('00', 16_384), context, entropy },
  sealed(k1, new Uint8Array(16_384), context, hex(entropy)),
)
seal.bad(
  '16385-bytes',
  'One byte too long.',
  { ring, plain: repeated('00', 16_385), context, entropy },
  'claim_invalid',
)
seal.bad('17-parts', 'One part too many.', { ring, plain: '', context: parts(17), entropy }, 'claim_invalid')
seal.bad(
  'context-4097',
  'One byte of context too much.',
  { ring, plain: '', context: [repeated('c', 4_080)], entropy },
  'claim_invalid',
)
seal.bad(
  'entropy-23-bytes',
  'A nonce has 24 bytes.',
  { ring, plain: '', context, entropy: entropy.slice(2) },
  'claim_invalid',
)

const open = new Group('seal.open')
open.good('text', 'Opened where it was sealed for.', { ring, text, context }, hexOf(plain))
open.good('empty', 'Nothing was sealed.', { ring, text: textOf(''), context }, '')
open.good(
  'no-context',
  'A context without parts.',
  { ring, text: textOf(plain, []), context: [] },
  hexOf(plain),
)
open.good('rotation', 'Every key of the ring opens.', { ring: ringText(k2, k1), text, context }, hexOf(plain))
const invalid = (name: string, comment: string, value: unknown, parts: readonly unknown[] = context): void =>
  open.bad(name, comment, { ring: bothKeys, text: value, context: parts }, 'seal_invalid')
invalid('other-part', 'T13: another owner.', text, ['token', 'user:user-2', 'github'])
invalid('other-order', 'T13: the same parts in another order.', text, ['user:user-1', 'token', 'github'])
invalid('part-missing', 'T13: a part is missing.', text, ['token', 'user:user-1'])
invalid('part-more', 'T13: a part too many.', text, [...context, ''])
invalid('moved-boundary', 'T13: `ab` and `c` are not `a` and `bc`.', textOf(plain, ['ab', 'c']), ['a', 'bc'])
invalid('empty-part', 'T13: an empty part is not none.', textOf(plain, []), [''])
invalid('17-parts', 'A context that nothing can be sealed for.', text, parts(17))
invalid('context-4097', 'A context that nothing can be sealed for.', text, [repeated('c', 4_080)])
invalid('first-character', 'One changed character of the nonce.', changed(text, 'lks1.k1.'.length))
invalid('last-byte', 'One changed character of the tag.', changed(text, -5))
invalid('middle', 'One changed character of the ciphertext.', changed(text, 'lks1.k1.'.length + 36))
invalid('truncated', 'Four characters less.', text.slice(0, -4))
invalid('longer', 'Four characters more.', `${text}AAAA`)
invalid('other-key', 'The id of another key of the ring.', text.replace('.k1.', '.k2.'))
invalid('prefix', 'Another version.', text.replace('lks1.', 'lks2.'))
invalid('no-prefix', 'No version.', text.slice('lks1.'.length))
invalid('no-kid', 'No key id.', text.replace('.k1.', '..'))
invalid('kid-characters', 'A key id that can be none.', text.replace('.k1.', '.k+.'))
invalid('no-second-dot', 'Nothing sealed.', 'lks1.k1')
invalid('nothing', 'Nothing at all.', '')
invalid('padding', 'T01: padding.', `${text}=`)
invalid('16385-bytes', 'More than can be sealed.', sealed(k1, new Uint8Array(16_385), context, hex(entropy)))
invalid('short', 'Less than nonce and tag.', `lks1.k1.${base64url(hex(counting(0, 39)))}`)
open.bad(
  'unknown-key',
  'A key that has left the ring.',
  { ring: ringText(k2), text, context },
  'seal_unknown_key',
)
open.bad(
  'unknown-key-first',
  'Without the key nothing more is known.',
  { ring: ringText(k2), text: changed(text, -5), context },
  'seal_unknown_key',
)

export default document('Sealed text. Bytes are hexadecimal; `seal.open` answers with them.', seal, open)
