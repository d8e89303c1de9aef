import {
  base64url,
  type Claims,
  hex,
  type Key,
  publicJwk,
  ringText,
  statePayload,
  stateToken,
} from '../reference.ts'
import type { Document, Vector } from '../format.ts'

type Input = Readonly<Record<string, unknown>>

/** The vectors of one operation, in the order in which they are added. */
export class Group {
  readonly vectors: Vector[] = []
  readonly #op: string

  constructor(op: string) {
    this.#op = op
  }

  good(name: string, comment: string, input: Input, expect: unknown): void {
    this.#add(name, comment, input, { expect })
  }

  bad(name: string, comment: string, input: Input, error: string, at?: number | string): void {
    this.#add(name, comment, input, at === undefined ? { error } : { error, at })
  }

  #add(name: string, comment: string, input: Input, outcome: Input): void {
    this.vectors.push({ id: `${this.#op}/${name}`, comment, op: this.#op, ...input, ...outcome })
  }
}

export const document = (about: string, ...groups: readonly Group[]): Document => ({
  about,
  vectors: groups.flatMap((group) => group.vectors),
})

/** Long text, written short: the runners spell it out. */
export const repeated = (
  repeat: string,
  times: number,
  { before, after }: { before?: string; after?: string } = {},
): Readonly<Record<string, unknown>> => ({
  ...(before === undefined ? {} : { before }),
  repeat,
  times,
  ...(after === undefined ? {} : { after }),
})

/** `count` bytes in hexadecimal, counting up from `first`. */
export const counting = (first: number, count: number): string =>
  Buffer.from(Array.from({ length: count }, (_, i) => (first + i) & 0xff)).toString('hex')

export const k1: Key = { kid: 'k1', secret: hex(counting(0x00, 32)) }
export const k2: Key = { kid: 'k2', secret: hex(counting(0x20, 32)) }
export const k3: Key = { kid: 'k3', secret: hex(counting(0x40, 32)) }
export const ring = ringText(k1)
export const bothKeys = ringText(k1, k2)
export const jwks = { keys: [publicJwk(k1)] }

/** 2026-01-01T00:00:00Z, in the middle of a second where that must not matter. */
export const now = 1_767_225_600_000
export const seconds = now / 1000
export const nonceHex = counting(0xa0, 16)
export const nonce = base64url(hex(nonceHex))
export const binding = counting(0xc0, 32)
export const otherBinding = counting(0xc1, 32)

export const minimal: Claims = {
  issuer: 'https://app.example',
  audience: 'https://app.example/callback/github',
  flow: 'connect',
  provider: 'github',
  subject: 'user-1',
  owner: { kind: 'user', id: 'user-1' },
}

export const full: Claims = {
  ...minimal,
  app: 'web',
  returnTo: '/settings?tab=connections#top',
  binding,
}

export const payloadOf = (claims: Claims): Record<string, unknown> =>
  statePayload(claims, now, hex(nonceHex)) as Record<string, unknown>

export const tokenOf = (claims: Claims, key: Key = k1): string =>
  stateToken(key, claims.alg ?? 'HS256', JSON.stringify(payloadOf(claims)))

/** What the verifier of those claims knows by itself. */
export function expectedOf(claims: Claims): Record<string, unknown> {
  const { issuer, audience, flow, provider, subject, binding: bound } = claims
  return { issuer, audience, flow, provider, subject, ...(bound === undefined ? {} : { binding: bound }) }
}

/** The state that a good token of those claims is verified to. */
export function stateOf(claims: Claims, kid = 'k1', issuedAt = now): Record<string, unknown> {
  const { alg = 'HS256', ttlMs = 600_000, binding: _, ...said } = claims
  return { ...said, alg, kid, nonce, issuedAt, expiresAt: issuedAt + ttlMs }
}

/** Changes one character of the alphabet into another. */
export function changed(text: string, index: number): string {
  const at = index < 0 ? text.length + index : index
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
}
