import { LatchkeyError } from './errors.ts'
import type { Module } from './module.ts'
import type { Jwks, KeyRing, Text } from './types.ts'

/** Holds a parsed ring as the opaque bytes that the module understands. */
export class Ring {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  static bytesOf(ring: unknown): Uint8Array | undefined {
    return typeof ring === 'object' && ring !== null && #bytes in ring ? ring.#bytes : undefined
  }
}

/** The bytes of a ring; anything that `keys.parse` did not make is no ring. */
export function ringBytes(ring: KeyRing): Uint8Array {
  const bytes = Ring.bytesOf(ring)
  if (bytes === undefined) throw new LatchkeyError('key_ring_empty')
  return bytes
}

const parsedJwks = new WeakMap<object, { readonly json: string; readonly bytes: Uint8Array }>()

/** The usable public keys of a JWK Set, parsed once per object as long as it says the same. */
export function publicKeyBytes(module: Module, jwks: Jwks): Uint8Array {
  if (typeof jwks !== 'object' || jwks === null) throw new LatchkeyError('jwks_invalid')
  let json: string
  try {
    json = JSON.stringify(jwks) ?? ''
  } catch {
    throw new LatchkeyError('jwks_invalid')
  }
  const known = parsedJwks.get(jwks)
  if (known?.json === json) return known.bytes
  try {
    const at = module.free
    const length = module.putText(json)
    module.call('lk_keys_parse_jwks', at, length, module.free)
    const bytes = module.replyBytes()
    parsedJwks.set(jwks, { json, bytes })
    return bytes
  } finally {
    module.wipe()
  }
}

export function generateKey(module: Module, kid: string, entropy32: Uint8Array): string {
  try {
    const at = module.free
    const length = module.putText(kid)
    const entropy = module.putBytes(entropy32)
    module.call('lk_keys_generate', at, length, entropy, entropy32.length, module.free)
    return module.replyText()
  } finally {
    module.wipe()
  }
}

export function parseKeys(module: Module, text: Text): KeyRing {
  try {
    const at = module.free
    const length = typeof text === 'string' ? module.putText(text) : (module.putBytes(text), text.length)
    module.call('lk_keys_parse', at, length, module.free)
    return new Ring(module.replyBytes()) as unknown as KeyRing
  } finally {
    module.wipe()
  }
}

export function publicJwks(module: Module, ring: KeyRing): Jwks {
  const bytes = ringBytes(ring)
  try {
    const at = module.putBytes(bytes)
    module.call('lk_keys_public_jwks', at, bytes.length, module.free)
    return JSON.parse(module.replyText()) as Jwks
  } finally {
    module.wipe()
  }
}
