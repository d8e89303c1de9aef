/**
 * The formats of README.md once more, written from that text on top of node:crypto. It shares no line with the
 * engine, so that a vector made here never repeats the engine's own answer.
 */
import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  sign,
} from 'node:crypto'

export type Bytes = Uint8Array
export type Json = Readonly<Record<string, unknown>>

export const hex = (text: string): Bytes => Buffer.from(text, 'hex')
export const utf8 = (text: string): Bytes => Buffer.from(text, 'utf8')
export const base64url = (bytes: Bytes | string): string => Buffer.from(bytes).toString('base64url')
export const sha256 = (...parts: readonly Bytes[]): Bytes => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** One entry of a key ring: an id and 32 bytes. */
export interface Key {
  readonly kid: string
  readonly secret: Bytes
}

export const ringText = (...keys: readonly Key[]): string =>
  keys.map(({ kid, secret }) => `${kid}:${Buffer.from(secret).toString('hex')}`).join(',')

const subkey = (key: Key, purpose: string): Bytes =>
  new Uint8Array(hkdfSync('sha256', key.secret, new Uint8Array(0), `latchkey/1/${purpose}`, 32))

const hmac = (key: Bytes, ...parts: readonly Bytes[]): Bytes => {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

// RFC 8410 section 7: what stands before the 32 bytes of a seed in a PKCS #8 key.
const pkcs8 = hex('302e020100300506032b657004220420')
const ed25519 = (key: Key): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([pkcs8, subkey(key, 'state/EdDSA')]),
    format: 'der',
    type: 'pkcs8',
  })

/** Makes the signature of a signing input. */
export type Signer = (input: string) => Bytes

export const stateMac =
  (key: Key): Signer =>
  (input) =>
    hmac(subkey(key, 'state/HS256'), utf8(input))
export const principalMac =
  (key: Key): Signer =>
  (input) =>
    hmac(subkey(key, 'principal/HS256'), utf8(input))
export const stateSignature =
  (key: Key): Signer =>
  (input) =>
    sign(null, utf8(input), ed25519(key))
export const macWith =
  (secret: Bytes): Signer =>
  (input) =>
    hmac(secret, utf8(input))

/** RFC 7515 section 3.1, from the exact texts of header and payload. */
export function compactJws(header: string, payload: string, signer: Signer): string {
  const input = `${base64url(header)}.${base64url(payload)}`
  return `${input}.${base64url(signer(input))}`
}

export const header = (alg: string, kid: string, typ: string): string => JSON.stringify({ alg, kid, typ })

export const rfp = (binding: Bytes, nonce: Bytes): string =>
  base64url(sha256(utf8('lk.rfp1'), binding, nonce).subarray(0, 16))

export const codeVerifier = (key: Key, nonce: Bytes): string =>
  base64url(hmac(subkey(key, 'pkce'), utf8('pkce S256'), nonce))

/** RFC 7636 section 4.2. */
export const codeChallenge = (verifier: string): string => base64url(sha256(utf8(verifier)))

export interface Claims {
  readonly alg?: 'HS256' | 'EdDSA'
  readonly issuer: string
  readonly audience: string
  readonly flow: string
  readonly provider: string
  readonly subject: string
  readonly owner: { readonly kind: string; readonly id: string }
  readonly app?: string
  readonly returnTo?: string
  /** Hexadecimal. */
  readonly binding?: string
  readonly ttlMs?: number
}

/** The members of a state's payload in the order in which the engine writes them. */
export function statePayload(claims: Claims, now: number, nonce: Bytes): Json {
  const iat = Math.floor(now / 1000)
  return {
    iss: claims.issuer,
    aud: claims.audience,
    iat,
    exp: iat + (claims.ttlMs ?? 600_000) / 1000,
    jti: base64url(nonce),
    ...(claims.binding === undefined ? {} : { rfp: rfp(hex(claims.binding), nonce) }),
    as: claims.provider,
    sub: claims.subject,
    ...(claims.returnTo === undefined ? {} : { target_link_uri: claims.returnTo }),
    flow: claims.flow,
    own: `${claims.owner.kind}:${claims.owner.id}`,
    ...(claims.app === undefined ? {} : { app: claims.app }),
    v: 1,
  }
}

/** Signs any payload as a state of that algorithm. */
export function stateToken(key: Key, alg: 'HS256' | 'EdDSA', payload: string): string {
  return alg === 'HS256'
    ? compactJws(header('HS256', key.kid, 'oauth-state+jwt'), payload, stateMac(key))
    : compactJws(header('EdDSA', `${key.kid}.ed`, 'oauth-state+jwt'), payload, stateSignature(key))
}

/** What `state.issue` returns. */
export function issue(key: Key, claims: Claims, now: number, entropy: Bytes): Json {
  const nonce = entropy.subarray(0, 16)
  const payload = statePayload(claims, now, nonce)
  return {
    token: stateToken(key, claims.alg ?? 'HS256', JSON.stringify(payload)),
    nonce: base64url(nonce),
    expiresAt: (payload['exp'] as number) * 1000,
    pkce: { challenge: codeChallenge(codeVerifier(key, nonce)), method: 'S256' },
  }
}

export function principalToken(key: Key, payload: string): string {
  return compactJws(header('HS256', key.kid, 'latchkey-principal+jwt'), payload, principalMac(key))
}

/** RFC 8037 section 2. */
export function publicJwk(key: Key): Readonly<Record<string, string>> {
  const { x } = createPublicKey(ed25519(key)).export({ format: 'jwk' })
  return { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: `${key.kid}.ed`, x: x as string }
}

/** HChaCha20: twenty rounds of ChaCha (RFC 8439 section 2.3) without the final addition; first and last row. */
export function hchacha20(key: Bytes, nonce16: Bytes): Bytes {
  const word = (bytes: Bytes, index: number): number => Buffer.from(bytes).readUInt32LE(4 * index)
  const s = new Uint32Array(16)
  s.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574])
  for (let i = 0; i < 8; i++) s[4 + i] = word(key, i)
  for (let i = 0; i < 4; i++) s[12 + i] = word(nonce16, i)
  const step = (a: number, b: number, d: number, turn: number): void => {
    s[a] = s[a]! + s[b]!
    const x = s[d]! ^ s[a]!
    s[d] = (x << turn) | (x >>> (32 - turn))
  }
  const quarter = (a: number, b: number, c: number, d: number): void => {
    step(a, b, d, 16)
    step(c, d, b, 12)
    step(a, b, d, 8)
    step(c, d, b, 7)
  }
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarter(i, 4 + i, 8 + i, 12 + i)
    for (let i = 0; i < 4; i++) quarter(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4))
  }
  const out = Buffer.alloc(32)
  for (let i = 0; i < 4; i++) {
    out.writeUInt32LE(s[i]!, 4 * i)
    out.writeUInt32LE(s[12 + i]!, 16 + 4 * i)
  }
  return out
}

/** Every part with its length in two bytes, little-endian, in front. */
function associatedData(context: readonly string[]): Bytes {
  const parts = context.map(utf8).flatMap((part) => {
    const length = Buffer.alloc(2)
    length.writeUInt16LE(part.length)
    return [length, part]
  })
  return Buffer.concat([utf8('latchkey/seal/1'), ...parts])
}

/** XChaCha20-Poly1305 as AEAD_CHACHA20_POLY1305 (RFC 8439) under the key that HChaCha20 gives. */
export function seal(key: Key, plain: Bytes, context: readonly string[], nonce24: Bytes): string {
  const subnonce = Buffer.concat([Buffer.alloc(4), nonce24.subarray(16)])
  const inner = hchacha20(subkey(key, 'seal'), nonce24.subarray(0, 16))
  const cipher = createCipheriv('chacha20-poly1305', inner, subnonce, { authTagLength: 16 })
  cipher.setAAD(associatedData(context), { plaintextLength: plain.length })
  const sealed = Buffer.concat([nonce24, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  return `lks1.${key.kid}.${base64url(sealed)}`
}

/** A capability of any claims and narrowings. */
export function capabilityText(
  version: number,
  key: Key,
  claims: string,
  narrowings: readonly string[] = [],
): string {
  let text = `lkc${version}.${key.kid}.${base64url(claims)}`
  let tag = hmac(subkey(key, 'capability'), utf8(text))
  for (const narrowing of narrowings.map((one) => base64url(one))) {
    tag = hmac(tag, utf8(narrowing))
    text += `.${narrowing}`
  }
  return `${text}.${base64url(tag)}`
}

/** A session's record, or a message's, with what it says in the order of its bytes. */
export interface SessionFacts {
  readonly epoch: number
  readonly version?: number
  readonly admitted?: number
  readonly composedAt?: number
  /** The id of the message whose credential is stored. */
  readonly current?: string
  readonly open?: number
}
export interface MessageFacts {
  readonly id: string
  readonly intent: Bytes
  readonly number?: number
  readonly markedAt?: number
  readonly nextAttemptAt?: number
  readonly stage: number
  readonly failure?: number
  readonly credential?: number
  readonly attempts?: number
  readonly sends?: number
  readonly settled?: number
  readonly marked?: boolean
}

const u64 = (...numbers: readonly number[]): Bytes => {
  const out = Buffer.alloc(8 * numbers.length)
  numbers.forEach((number, i) => out.writeBigUInt64LE(BigInt(number), 8 * i))
  return out
}

export const messageId = (id: string): Bytes => sha256(utf8('latchkey message'), utf8(id)).subarray(0, 16)
export const messageIntent = (turn: string, mode: string, model: string): Bytes =>
  [mode, model].reduce((link, part) => sha256(link, utf8(part)), sha256(utf8(turn)))

export const sessionRecord = ({
  epoch,
  version = 0,
  admitted = 0,
  composedAt = 0,
  current,
  open = 0,
}: SessionFacts) =>
  Buffer.concat([
    Buffer.of(0xa1),
    u64(epoch, version, admitted, composedAt),
    current === undefined ? Buffer.alloc(16) : messageId(current),
    Buffer.of(open),
  ]).toString('hex')

export const messageRecord = (said: MessageFacts): string =>
  Buffer.concat([
    Buffer.of(0xa2),
    messageId(said.id),
    said.intent,
    u64(said.number ?? 0, said.markedAt ?? 0, said.nextAttemptAt ?? 0),
    Buffer.of(said.stage, said.failure ?? 0, said.credential ?? 0, said.attempts ?? 0),
    Buffer.of(said.sends ?? 0, said.settled ?? 0, said.marked === true ? 1 : 0),
  ]).toString('hex')
