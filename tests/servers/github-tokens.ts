/** Tokens in the form that GitHub gives them: a prefix, random characters, and six characters of a checksum. */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const checksumLength = 6
/** Characters after the prefix. */
const lengths = { ghu_: 36, ghr_: 76, ghs_: 36 } as const

export function mintToken(prefix: keyof typeof lengths): string {
  const random = randomCharacters(lengths[prefix] - checksumLength)
  return `${prefix}${random}${checksum(random)}`
}

function randomCharacters(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      // Bytes above the last whole multiple of 62 would favour the first characters.
      if (byte < 248 && text.length < length) text += alphabet.charAt(byte % 62)
    }
  }
  return text
}

function checksum(text: string): string {
  let rest = crc32(text)
  let digits = ''
  while (digits.length < checksumLength) {
    digits = alphabet.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}
