// One token, one set of keys and expectations, the same in every runtime.
import type { Alg, Expected, KeyRing, Latchkey, StateClaims } from 'latchkey'

export const kids: Readonly<Record<Alg, string>> = { HS256: 'k1', EdDSA: 'k1.ed' }
export const entropy = Uint8Array.from({ length: 16 }, (_, i) => 255 - i)
const ringKey = Uint8Array.from({ length: 32 }, (_, i) => i)
const binding = Uint8Array.from({ length: 32 }, (_, i) => 7 * i)

export const claims: StateClaims = {
  issuer: 'https://app.example',
  audience: 'https://app.example/callback/github',
  flow: 'connect',
  provider: 'github',
  subject: 'u-1042',
  owner: { kind: 'user', id: 'u-1042' },
  returnTo: '/settings',
  binding,
}

export function expectedAt(now: number): Expected {
  const { issuer, audience, flow, provider, subject } = claims
  return { now, issuer, audience, flow, provider, subject, binding }
}

/** Keys as every contender needs them, derived as the core derives them (RFC 5869). */
export interface Keys {
  readonly ring: KeyRing
  readonly hs256Bytes: Uint8Array<ArrayBuffer>
  readonly pkceBytes: Uint8Array<ArrayBuffer>
  readonly hs256: CryptoKey
  readonly pkce: CryptoKey
  readonly eddsaPrivate: CryptoKey
  readonly eddsaPublic: CryptoKey
}

// RFC 8410 section 7: everything of an Ed25519 private key but its seed.
const pkcs8Head = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]

export async function makeKeys(lk: Latchkey): Promise<Keys> {
  const { subtle } = crypto
  const ikm = await subtle.importKey('raw', ringKey, 'HKDF', false, ['deriveBits'])
  const derive = async (info: string) => {
    const hkdf = {
      name: 'HKDF',
      hash: 'SHA-256',
      salt: new Uint8Array(),
      info: new TextEncoder().encode(info),
    }
    return new Uint8Array(await subtle.deriveBits(hkdf, ikm, 256))
  }
  const mac = (bytes: Uint8Array<ArrayBuffer>) =>
    subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])
  const hex = Array.from(ringKey, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const ring = lk.keys.parse(`k1:${hex}`)
  const { x } = lk.keys.publicJwks(ring).keys[0] as { x: string }
  const hs256Bytes = await derive('latchkey/1/state/HS256')
  const pkceBytes = await derive('latchkey/1/pkce')
  const seed = await derive('latchkey/1/state/EdDSA')
  return {
    ring,
    hs256Bytes,
    pkceBytes,
    hs256: await mac(hs256Bytes),
    pkce: await mac(pkceBytes),
    eddsaPrivate: await subtle.importKey('pkcs8', Uint8Array.of(...pkcs8Head, ...seed), 'Ed25519', false, [
      'sign',
    ]),
    eddsaPublic: await subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x }, 'Ed25519', false, [
      'verify',
    ]),
  }
}
