import { LatchkeyError } from './errors.ts'
import { publicKeyBytes, Ring, ringBytes } from './keys.ts'
import { type Module, numberOf, place } from './module.ts'
import {
  type Alg,
  type Expected,
  type IssuedState,
  type Jwks,
  type KeyRing,
  skipBinding,
  type State,
  type StateClaims,
  type UnverifiedState,
  type VerifierExpected,
} from './types.ts'

const defaultTtlMs = 600_000
const defaultSkewMs = 60_000
const bindingUnchecked = 1
const algs = [undefined, 'HS256', 'EdDSA'] as const
const algNumbers: Readonly<Record<Alg, number>> = { HS256: 1, EdDSA: 2 }
const ownerKinds = [undefined, 'user', 'org'] as const
const ownerKindNumbers = { user: 1, org: 2 } as const

const issueNow = place('StateIssueRequest', 'now_ms') >>> 3
const issueTtl = place('StateIssueRequest', 'ttl_ms') >>> 3
const issueRing = place('StateIssueRequest', 'ring')
// issuer, audience, flow, provider, subject, owner_id, app, return_to: eight slices in a row
const issueTexts = place('StateIssueRequest', 'issuer')
const issueBinding = place('StateIssueRequest', 'binding')
const issueEntropy = place('StateIssueRequest', 'entropy')
const issueFree = place('StateIssueRequest', 'free') >>> 2
const issueAlg = place('StateIssueRequest', 'alg')
const issueOwnerKind = place('StateIssueRequest', 'owner_kind')
const issuedText = place('StateIssueReply', 'text')
const issuedExpiry = place('StateIssueReply', 'expires_at_ms') >>> 3
const issuedTokenLength = (place('StateIssueReply', 'token') >>> 1) + 1

const verifyNow = place('StateVerifyRequest', 'now_ms') >>> 3
const verifySkew = place('StateVerifyRequest', 'skew_ms') >>> 3
const verifyKeys = place('StateVerifyRequest', 'keys')
// token, issuer, audience, flow, provider, subject: six slices in a row
const verifyTexts = place('StateVerifyRequest', 'token')
const verifyBinding = place('StateVerifyRequest', 'binding')
const verifyFree = place('StateVerifyRequest', 'free') >>> 2
const verifyBindingMode = place('StateVerifyRequest', 'binding_mode')

const stateText = place('StateReply', 'text')
const stateIssuedAt = place('StateReply', 'issued_at_ms') >>> 3
const stateExpiresAt = place('StateReply', 'expires_at_ms') >>> 3
const statePieces = place('StateReply', 'kid') >>> 1
const stateAlg = place('StateReply', 'alg')
const stateOwnerKind = place('StateReply', 'owner_kind')
const stateAscii = place('StateReply', 'ascii')

export function issueState(
  module: Module,
  ring: KeyRing,
  claims: StateClaims,
  { now, entropy }: { now: number; entropy: Uint8Array },
): IssuedState {
  const bytes = ringBytes(ring)
  const { issuer, audience, flow, provider, subject, owner, binding, app = '', returnTo = '' } = claims
  const { alg = 'HS256', ttlMs = defaultTtlMs } = claims
  const texts = [issuer, audience, flow, provider, subject, owner?.id, app, returnTo]
  if (!texts.every((text) => typeof text === 'string')) throw new LatchkeyError('claim_invalid')
  // An empty optional claim is not an absent one.
  if (claims.app === '' || claims.returnTo === '' || binding?.length === 0) {
    throw new LatchkeyError(claims.returnTo === '' ? 'return_to_invalid' : 'claim_invalid')
  }
  const { f64, u32, u8, u16 } = module
  try {
    module.putTime(issueNow, now)
    module.putTime(issueTtl, ttlMs)
    module.sliceBytes(issueRing, bytes)
    try {
      module.putTexts(texts as string[], issueTexts)
    } catch (error) {
      throw error instanceof LatchkeyError ? new LatchkeyError('claim_invalid') : error
    }
    module.sliceBytes(issueBinding, binding)
    module.sliceBytes(issueEntropy, entropy)
    u32[issueFree] = module.free
    u8[issueAlg] = numberOf(algNumbers, alg)
    u8[issueOwnerKind] = numberOf(ownerKindNumbers, owner.kind)
    module.call('lk_state_issue')
    const text = module.text(issuedText)
    const end = u16[issuedTokenLength]!
    return {
      token: text.slice(0, end),
      nonce: text.slice(end, end + 22),
      expiresAt: f64[issuedExpiry]!,
      pkce: { challenge: text.slice(end + 22), method: 'S256' },
    }
  } finally {
    module.wipe()
  }
}

/** As `verifyState`, on the way to an exchange: nothing is left out. */
export function verifyWholeState(
  module: Module,
  keys: KeyRing | Jwks,
  token: string,
  expected: Expected,
): State {
  if ((expected.binding as unknown) === skipBinding) {
    throw new TypeError('latchkey: skipBinding is for the verify-only module')
  }
  return verifyState(module, keys, token, expected)
}

export function verifyState(
  module: Module,
  keys: KeyRing | Jwks,
  token: string,
  expected: VerifierExpected,
): State {
  if (token === undefined || token === null || token === '') throw new LatchkeyError('state_missing')
  if (typeof token !== 'string') throw new LatchkeyError('state_malformed')
  if (token.length > 4096) throw new LatchkeyError('state_too_long')
  const ring = Ring.bytesOf(keys)
  const keyBytes = ring ?? publicKeyBytes(module, keys as Jwks)
  // Something empty to compare with would count as nothing to compare with.
  if (expected.flow === '') throw new LatchkeyError('flow_mismatch')
  if (expected.provider === '') throw new LatchkeyError('provider_mismatch')
  if (expected.subject === '') throw new LatchkeyError('subject_mismatch')
  const { now, issuer, audience, flow = '', provider = '', subject = '', binding } = expected
  const { skewMs = defaultSkewMs } = expected
  const { u32, u8 } = module
  try {
    module.putTime(verifyNow, now)
    module.putTime(verifySkew, skewMs)
    module.sliceBytes(verifyKeys, keyBytes)
    module.putTexts([token, issuer, audience, flow, provider, subject], verifyTexts)
    if (binding === skipBinding) {
      u8[verifyBindingMode] = bindingUnchecked
    } else {
      if (binding?.length === 0) throw new LatchkeyError('binding_mismatch')
      u8[verifyBindingMode] = 0
      module.sliceBytes(verifyBinding, binding)
    }
    u32[verifyFree] = module.free
    module.call(ring === undefined ? 'lk_state_verify_jwks' : 'lk_state_verify')
    return readState(module, [issuer, audience, flow, provider, subject])
  } finally {
    module.wipe()
  }
}

export function peekState(module: Module, token: string): UnverifiedState {
  if (typeof token !== 'string') throw new LatchkeyError('state_malformed')
  try {
    const at = module.free
    const length = module.putText(token)
    module.call('lk_state_peek', at, length, module.free)
    const { alg: _, owner, ...claims } = readState(module, [])
    const known = { ...claims, ...(owner.id === '' ? undefined : { owner }) }
    const present = Object.entries(known).filter(([, value]) => value !== '' && value !== -1)
    return Object.fromEntries(present) as unknown as UnverifiedState
  } catch (error) {
    throw error instanceof LatchkeyError ? new LatchkeyError('state_malformed') : error
  } finally {
    module.wipe()
  }
}

export function codeVerifier(module: Module, ring: KeyRing, state: State): string {
  const bytes = ringBytes(ring)
  try {
    const at = module.putBytes(bytes)
    const kid = module.free
    const kidLength = module.putText(state.kid)
    const nonce = module.free
    const nonceLength = module.putText(state.nonce)
    module.call('lk_state_code_verifier', at, bytes.length, kid, kidLength, nonce, nonceLength, module.free)
    return module.replyText()
  } finally {
    module.wipe()
  }
}

/**
 * Reads a verified state. `compared`: issuer, audience, flow, provider and subject as they were compared; they are
 * known, so only the others are read. Empty ones were not compared.
 */
function readState(module: Module, compared: readonly string[]): State {
  const { u8, u16, f64 } = module
  const base = module.word(stateText)
  // One decoding call for all texts; pieces of ASCII are then slices of it.
  const all = u8[stateAscii] === 1 ? module.text(stateText) : undefined
  const piece = (index: number): string => {
    const at = u16[statePieces + 2 * index]!
    const length = u16[statePieces + 2 * index + 1]!
    return all === undefined ? module.decode(base + at, length) : all.substring(at, at + length)
  }
  const state = {
    alg: algs[u8[stateAlg]!]!,
    kid: piece(0),
    issuer: compared[0] || piece(1),
    audience: compared[1] || piece(2),
    flow: compared[2] || piece(3),
    provider: compared[3] || piece(4),
    subject: compared[4] || piece(5),
    owner: { kind: ownerKinds[u8[stateOwnerKind]!]!, id: piece(6) },
  } as { -readonly [name in keyof State]: State[name] }
  const app = piece(7)
  const returnTo = piece(8)
  if (app !== '') state.app = app
  if (returnTo !== '') state.returnTo = returnTo
  state.nonce = piece(9)
  state.issuedAt = f64[stateIssuedAt]!
  state.expiresAt = f64[stateExpiresAt]!
  return state
}
