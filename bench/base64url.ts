// The fastest base64url of each runtime. Neither refuses blanks, padding or spare bits: callers check form first.
const alphabet = { alphabet: 'base64url' } as const
const unpadded = { alphabet: 'base64url', omitPadding: true } as const
const standard = typeof Uint8Array.fromBase64 === 'function'

export const decode: (text: string) => Uint8Array<ArrayBuffer> = standard
  ? (text) => Uint8Array.fromBase64(text, alphabet)
  : (text) => Buffer.from(text, 'base64url')

export const encode: (bytes: Uint8Array) => string = standard
  ? (bytes) => bytes.toBase64(unpadded)
  : (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url')
