// State tokens by hand: parsing and writing around a signature that something else makes.
import type { Alg, IssuedState, StateClaims } from 'latchkey'
import { bytesOf, decode, decodeText, encode } from './base64url.ts'
import { bindingInput, checkClaims, nonceSize, payloadOf, refuse, typ } from './claims.ts'

// One pass over the whole token: alphabet, three parts, a signature of the right size without spare bits.
const forms: Readonly<Record<Alg, RegExp>> = {
  HS256: /^[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]$/,
  EdDSA: /^[\w-]+\.[\w-]+\.[\w-]{85}[AQgw]$/,
}
const signatureLengths: Readonly<Record<Alg, number>> = { HS256: 43, EdDSA: 86 }

export interface Parts {
  readonly kid: string
  /** Good until the next text is encoded. */
  readonly input: Uint8Array<ArrayBuffer>
  readonly payload: string
  readonly signature: Uint8Array<ArrayBuffer>
}

export function encodeJson(value: unknown): string {
  return encode(bytesOf(JSON.stringify(value)))
}

export function decodeJson(encoded: string): unknown {
  return JSON.parse(decodeText(encoded))
}

export function headerOf(alg: Alg, kid: string) {
  return { alg, kid, typ }
}

/** The key id of a header with exactly our three members. */
function readHeader(encoded: string, alg: Alg): string {
  const header = decodeJson(encoded) as Readonly<Record<string, unknown>> | null
  if (typeof header !== 'object' || header === null || Object.keys(header).length !== 3)
    refuse('state_malformed')
  const { alg: named, typ: type, kid } = header
  if (named !== alg || type !== typ || typeof kid !== 'string') refuse('state_malformed')
  return kid
}

/** Splits a token and reads its header. `known`: headers as we write them, encoded, with their key ids. */
export function split(token: string, alg: Alg, known: ReadonlyMap<string, string>): Parts {
  if (token === '') refuse('state_missing')
  if (token.length > 4096) refuse('state_too_long')
  if (!forms[alg].test(token)) refuse('state_malformed')
  const first = token.indexOf('.')
  const second = token.length - signatureLengths[alg] - 1
  const header = token.slice(0, first)
  return {
    kid: known.get(header) ?? readHeader(header, alg),
    payload: token.slice(first + 1, second),
    signature: decode(token.slice(second + 1)),
    input: bytesOf(token.slice(0, second)),
  }
}

/** What a state is made of before anything has been hashed or signed. */
export interface Draft {
  readonly nonce: string
  readonly issuedAt: number
  readonly bindingInput: Uint8Array<ArrayBuffer> | undefined
  readonly verifierInput: Uint8Array<ArrayBuffer>
}

const verifierLabel = new TextEncoder().encode('pkce S256')

export function draft(claims: StateClaims, { now, entropy }: { now: number; entropy: Uint8Array }): Draft {
  checkClaims(claims, entropy)
  const nonce = entropy.subarray(0, nonceSize)
  const verifierInput = new Uint8Array(verifierLabel.length + nonceSize)
  verifierInput.set(verifierLabel)
  verifierInput.set(nonce, verifierLabel.length)
  return {
    nonce: encode(nonce),
    issuedAt: Math.floor(now / 1000),
    bindingInput: claims.binding === undefined ? undefined : bindingInput(claims.binding, nonce),
    verifierInput,
  }
}

export function signingInput(
  header: string,
  claims: StateClaims,
  draft: Draft,
  rfp: string | undefined,
): string {
  return `${header}.${encodeJson(payloadOf(claims, draft.issuedAt, draft.nonce, rfp))}`
}

export function issued(token: string, claims: StateClaims, draft: Draft, challenge: string): IssuedState {
  return {
    token,
    nonce: draft.nonce,
    expiresAt: draft.issuedAt * 1000 + (claims.ttlMs ?? 600_000),
    pkce: { challenge, method: 'S256' },
  }
}

/** The text of the PKCE verifier as the bytes that its challenge is the hash of; good until the next text. */
export function verifierText(mac: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytesOf(encode(mac))
}
