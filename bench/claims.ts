// What a state is checked for beyond its signature, written by hand: every contender but latchkey runs this. One check
// of the core is not here: JSON.parse does not tell a member that comes twice.
import type { Alg, Expected, Owner, StateClaims } from 'latchkey'
import { decode, encode } from './base64url.ts'

export interface Read {
  readonly alg: Alg
  readonly kid: string
  readonly issuer: string
  readonly audience: string
  readonly flow: string
  readonly provider: string
  readonly subject: string
  readonly owner: Owner
  readonly app?: string
  readonly returnTo?: string
  readonly nonce: string
  readonly issuedAt: number
  readonly expiresAt: number
}

export const typ = 'oauth-state+jwt'
export const nonceSize = 16
const bindingSize = 32
const maxReturnTo = 512
const maxSeconds = 8.64e12
const maxTtlSeconds = 3600
const label = new TextEncoder().encode('lk.rfp1')

const encoder = new TextEncoder()
const plainAscii = /^[\x20-\x7e]{1,255}$/
const control = /[\x00-\x1f\x7f-\x9f]/
/** 16 bytes. */
const bytes16 = /^[\w-]{21}[AQgw]$/
const proofSize = 16
// Path, query and fragment as the URL standard leaves them: nothing it would percent-encode or drop.
const returnToForm =
  /^\/(?!\/|%2[fF]|%5[cC])[^\x00-\x20"#<>?\\^`{}\x7f-\uffff]*(?:\?[^\x00-\x20"#'<>\\\x7f-\uffff]+)?(?:#[^\x00-\x20"<>\\`\x7f-\uffff]+)?$/
const dotSegment = /^[^?#]*\/(?:\.|%2[eE]){1,2}(?:[/?#]|$)/

export function refuse(code: string): never {
  throw new Error(code)
}

function isPlain(value: unknown): value is string {
  if (typeof value !== 'string') return false
  if (plainAscii.test(value)) return true
  return value !== '' && value.isWellFormed() && !control.test(value) && encoder.encode(value).length <= 255
}

function isReturnTo(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxReturnTo &&
    returnToForm.test(value) &&
    !dotSegment.test(value)
  )
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= maxSeconds
}

function readOwner(value: unknown): Owner | undefined {
  if (typeof value !== 'string') return undefined
  const kind = value.startsWith('user:') ? 'user' : value.startsWith('org:') ? 'org' : undefined
  if (kind === undefined) return undefined
  const id = value.slice(kind.length + 1)
  return isPlain(id) ? { kind, id } : undefined
}

/** A payload whose claims are in order, with the proof of binding that is left to be compared. */
export interface Checked {
  readonly state: Read
  readonly rfp: string | undefined
}

/** Checks form, time and expectations of a payload whose signature is good. */
export function checkPayload(payload: unknown, alg: Alg, kid: string, expected: Expected): Checked {
  if (typeof payload !== 'object' || payload === null) refuse('state_payload_invalid')
  const claims = payload as Readonly<Record<string, unknown>>
  const { iss, aud, iat, exp, jti, rfp, as, sub, flow, own, app, v, target_link_uri: returnTo } = claims
  const owner = readOwner(own)
  const members =
    10 + (rfp === undefined ? 0 : 1) + (app === undefined ? 0 : 1) + (returnTo === undefined ? 0 : 1)
  if (
    Object.keys(claims).length !== members ||
    !isPlain(iss) ||
    !isPlain(aud) ||
    !isSeconds(iat) ||
    !isSeconds(exp) ||
    typeof jti !== 'string' ||
    !bytes16.test(jti) ||
    (rfp !== undefined && (typeof rfp !== 'string' || !bytes16.test(rfp))) ||
    !isPlain(as) ||
    !isPlain(sub) ||
    !isPlain(flow) ||
    owner === undefined ||
    (app !== undefined && !isPlain(app)) ||
    (returnTo !== undefined && !isReturnTo(returnTo)) ||
    v !== 1 ||
    exp <= iat ||
    exp - iat > maxTtlSeconds
  ) {
    refuse('state_payload_invalid')
  }
  if (iat > Math.floor((expected.now + (expected.skewMs ?? 60_000)) / 1000)) refuse('state_from_future')
  if (Math.floor(expected.now / 1000) > exp) refuse('state_expired')
  if (iss !== expected.issuer) refuse('issuer_mismatch')
  if (aud !== expected.audience) refuse('audience_mismatch')
  if (expected.flow !== undefined && flow !== expected.flow) refuse('flow_mismatch')
  if (expected.provider !== undefined && as !== expected.provider) refuse('provider_mismatch')
  if (expected.subject !== undefined && sub !== expected.subject) refuse('subject_mismatch')
  return {
    state: {
      alg,
      kid,
      issuer: iss,
      audience: aud,
      flow,
      provider: as,
      subject: sub,
      owner,
      ...(app === undefined ? undefined : { app }),
      ...(returnTo === undefined ? undefined : { returnTo }),
      nonce: jti,
      issuedAt: iat * 1000,
      expiresAt: exp * 1000,
    },
    rfp,
  }
}

/** What a binding proof is the first half of the SHA-256 of. */
export function bindingInput(binding: Uint8Array, nonce: Uint8Array): Uint8Array<ArrayBuffer> {
  const input = new Uint8Array(label.length + bindingSize + nonceSize)
  input.set(label)
  input.set(binding, label.length)
  input.set(nonce, label.length + bindingSize)
  return input
}

/** The hash input for the proof that `rfp` must be, or undefined when there is nothing to compare. */
export function neededProof(
  { state, rfp }: Checked,
  { binding }: Expected,
): Uint8Array<ArrayBuffer> | undefined {
  if (rfp === undefined && binding === undefined) return undefined
  if (rfp === undefined || binding?.length !== bindingSize) refuse('binding_mismatch')
  return bindingInput(binding, decode(state.nonce))
}

export function proofOf(hash: Uint8Array): string {
  return encode(hash.subarray(0, proofSize))
}

/** Compares in a time that does not depend on where the difference is. */
export function checkProof(rfp: string | undefined, hash: Uint8Array): void {
  const proof = proofOf(hash)
  let difference = 0
  for (let i = 0; i < proof.length; i++) difference |= rfp!.charCodeAt(i) ^ proof.charCodeAt(i)
  if (difference !== 0) refuse('binding_mismatch')
}

/** Checks what a state shall say. */
export function checkClaims(claims: StateClaims, entropy: Uint8Array): void {
  const { issuer, audience, flow, provider, subject, owner, app, returnTo, binding, ttlMs = 600_000 } = claims
  if (
    !isPlain(issuer) ||
    !isPlain(audience) ||
    !isPlain(flow) ||
    !isPlain(provider) ||
    !isPlain(subject) ||
    (owner.kind !== 'user' && owner.kind !== 'org') ||
    !isPlain(owner.id) ||
    (app !== undefined && !isPlain(app)) ||
    (binding !== undefined && binding.length !== bindingSize) ||
    !(ttlMs >= 1000 && ttlMs <= maxTtlSeconds * 1000 && ttlMs % 1000 === 0) ||
    entropy.length < nonceSize
  ) {
    refuse('claim_invalid')
  }
  if (returnTo !== undefined && !isReturnTo(returnTo)) refuse('return_to_invalid')
}

/** The payload of a state, in the order in which the core writes it. */
export function payloadOf(claims: StateClaims, issuedAt: number, jti: string, rfp: string | undefined) {
  const { issuer, audience, flow, provider, subject, owner, app, returnTo, ttlMs = 600_000 } = claims
  return {
    iss: issuer,
    aud: audience,
    iat: issuedAt,
    exp: issuedAt + ttlMs / 1000,
    jti,
    rfp,
    as: provider,
    sub: subject,
    target_link_uri: returnTo,
    flow,
    own: `${owner.kind}:${owner.id}`,
    app,
    v: 1,
  }
}
