// base64url and UTF-8 by the fastest ways measured in each runtime. None of them refuses blanks, padding or spare
// bits: callers check the form first.
const url = { alphabet: 'base64url', omitPadding: true } as const
const standard = typeof Uint8Array.fromBase64 === 'function'
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const ascii = /^[\x00-\x7f]*$/

const digits = new Uint8Array(128)
for (const [value, digit] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
].entries()) {
  digits[digit.charCodeAt(0)] = value
}

/** For a signature or a nonce: a table beats every call into the runtime below a hundred characters. */
export function decode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((text.length * 3) >> 2)
  let group = 0
  let bits = 0
  let used = 0
  for (let i = 0; i < text.length; i++) {
    group = (group << 6) | digits[text.charCodeAt(i)]!
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[used++] = group >> bits
    }
  }
  return bytes
}

/** The text that a part of a token encodes. */
export const decodeText: (text: string) => string = standard
  ? (text) => {
      const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
      return ascii.test(binary) ? binary : decoder.decode(Uint8Array.fromBase64(text, url))
    }
  : (text) => decoder.decode(Buffer.from(text, 'base64url'))

export const encode: (bytes: Uint8Array) => string = standard
  ? (bytes) => bytes.toBase64(url)
  : (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url')

const kept = new Uint8Array(3 * 4096)

/** The bytes of a text of at most 4,096 characters, good until the next call. Whoever hashes them takes a copy. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return kept.subarray(0, encoder.encodeInto(text, kept).written)
}
