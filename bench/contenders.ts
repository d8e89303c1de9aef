// Every contender of every job. Unless its name says otherwise one run is the whole job: for verifying, form,
// header, signature, claims, time, expectations, return path, binding and the result object; for issuing, checks,
// nonce, binding proof, token, PKCE verifier and challenge.
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { sign as honoSign, verify as honoVerify } from 'hono/jwt'
import { jwtVerify, SignJWT } from 'jose'
import type { Alg, Latchkey } from 'latchkey'
import { bytesOf, decode, encode } from './base64url.ts'
import {
  checkPayload,
  checkProof,
  neededProof,
  payloadOf,
  proofOf,
  refuse,
  typ,
  type Checked,
} from './claims.ts'
import { claims, entropy, expectedAt, kids, type Keys } from './fixture.ts'
import {
  decodeJson,
  draft,
  encodeJson,
  headerOf,
  issued,
  signingInput,
  split,
  verifierText,
  type Draft,
} from './hand.ts'

export type Job = 'state.verify' | 'state.issue' | 'state.verify.eddsa' | 'state.issue.eddsa' | 'instantiate'
/** Verifies this token instead of the common one where one is given. */
export type Run = (token?: string) => unknown
export type Contenders = Readonly<Record<Job, Readonly<Record<string, Run>>>>

const { subtle } = crypto
const subtleNames: Readonly<Record<Alg, 'HMAC' | 'Ed25519'>> = { HS256: 'HMAC', EdDSA: 'Ed25519' }
const signatureSizes: Readonly<Record<Alg, number>> = { HS256: 32, EdDSA: 64 }

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await subtle.digest('SHA-256', bytes))
}

async function finish(checked: Checked, expected: ReturnType<typeof expectedAt>) {
  const input = neededProof(checked, expected)
  if (input !== undefined) checkProof(checked.rfp, await digest(input))
  return checked.state
}

export async function makeContenders(
  lk: Latchkey,
  module: WebAssembly.Module,
  keys: Keys,
  now: number,
): Promise<Contenders> {
  const expected = expectedAt(now)
  const context = { now, entropy }

  // What hashing through WebCrypto leaves of a draft: both are started before either is waited for.
  const proveAndDerive = async (made: Draft) => {
    const mac = subtle.sign('HMAC', keys.pkce, made.verifierInput)
    const proof = made.bindingInput && digest(made.bindingInput)
    const challenge = digest(verifierText(new Uint8Array(await mac)))
    const rfp = proof && proofOf(await proof)
    return { rfp, challenge: encode(await challenge) }
  }

  const of = (alg: Alg) => {
    const kid = kids[alg]
    const name = subtleNames[alg]
    const verifying = alg === 'HS256' ? keys.hs256 : keys.eddsaPublic
    const signing = alg === 'HS256' ? keys.hs256 : keys.eddsaPrivate
    const header = headerOf(alg, kid)
    const encodedHeader = encodeJson(header)
    const { token } = lk.state.issue(keys.ring, { ...claims, alg }, context)
    const known = new Map([[encodedHeader, kid]])
    const parts = split(token, alg, known)
    const ownInput = parts.input.slice()
    const algorithms = [alg]
    const joseOptions = {
      algorithms,
      issuer: expected.issuer,
      audience: expected.audience,
      typ,
      currentDate: new Date(now),
    }
    const honoOptions = { alg, iss: expected.issuer, aud: expected.audience, typ } as const
    const keyOf = (id: string) => (id === kid ? verifying : refuse('state_unknown_key'))

    const verify: Record<string, Run> = {
      latchkey: (text = token) => lk.state.verify(keys.ring, text, expected),
      jose: async (text = token) => {
        const { payload, protectedHeader } = await jwtVerify(text, verifying, joseOptions)
        if (protectedHeader.kid !== kid || Object.keys(protectedHeader).length !== 3)
          refuse('state_malformed')
        return finish(checkPayload(payload, alg, kid, expected), expected)
      },
      'subtle-bare': () => subtle.verify(name, verifying, parts.signature, ownInput),
      'subtle-hand-parse': async (text = token) => {
        const { kid, input, payload, signature } = split(text, alg, known)
        if (!(await subtle.verify(name, keyOf(kid), signature, input))) refuse('state_bad_signature')
        return finish(checkPayload(decodeJson(payload), alg, kid, expected), expected)
      },
      'hono-jwt': async (text = token) => {
        const payload = await honoVerify(text, verifying, honoOptions)
        return finish(checkPayload(payload, alg, kid, expected), expected)
      },
    }

    const issue: Record<string, Run> = {
      latchkey: () => lk.state.issue(keys.ring, alg === 'HS256' ? claims : { ...claims, alg }, context),
      jose: async () => {
        const made = draft(claims, context)
        const { rfp, challenge } = await proveAndDerive(made)
        const payload = payloadOf(claims, made.issuedAt, made.nonce, rfp)
        const token = await new SignJWT(payload).setProtectedHeader(header).sign(signing)
        return issued(token, claims, made, challenge)
      },
      'subtle-bare': () => subtle.sign(name, signing, ownInput),
      'subtle-hand-parse': async () => {
        const made = draft(claims, context)
        const { rfp, challenge } = await proveAndDerive(made)
        const input = signingInput(encodedHeader, claims, made, rfp)
        const signature = await subtle.sign(name, signing, bytesOf(input))
        return issued(`${input}.${encode(new Uint8Array(signature))}`, claims, made, challenge)
      },
      'hono-jwt': async () => {
        const made = draft(claims, context)
        const { rfp, challenge } = await proveAndDerive(made)
        const payload = payloadOf(claims, made.issuedAt, made.nonce, rfp)
        // Its own header: no key id beside a CryptoKey, `typ` always `JWT`.
        return issued(await honoSign(payload, signing, alg), claims, made, challenge)
      },
    }
    return { token, header, encodedHeader, known, verify, issue }
  }

  const hs256 = of('HS256')
  const eddsa = of('EdDSA')

  // The keyed states are made once and copied for each token.
  const nobleState = hmac.create(sha256, keys.hs256Bytes)
  const noblePkce = hmac.create(sha256, keys.pkceBytes)
  const noble: Record<'verify' | 'issue', Run> = {
    verify: (text = hs256.token) => {
      const { kid, input, payload, signature } = split(text, 'HS256', hs256.known)
      if (kid !== kids.HS256) refuse('state_unknown_key')
      const mac = nobleState.clone().update(input).digest()
      let difference = 0
      for (let i = 0; i < mac.length; i++) difference |= mac[i]! ^ signature[i]!
      if (difference !== 0) refuse('state_bad_signature')
      const checked = checkPayload(decodeJson(payload), 'HS256', kid, expected)
      const proven = neededProof(checked, expected)
      if (proven !== undefined) checkProof(checked.rfp, sha256(proven))
      return checked.state
    },
    issue: () => {
      const made = draft(claims, context)
      const rfp = made.bindingInput && proofOf(sha256(made.bindingInput))
      const challenge = encode(sha256(verifierText(noblePkce.clone().update(made.verifierInput).digest())))
      const input = signingInput(hs256.encodedHeader, claims, made, rfp)
      const mac = nobleState.clone().update(bytesOf(input)).digest()
      return issued(`${input}.${encode(mac)}`, claims, made, challenge)
    },
  }

  const blank = (alg: Alg) => encode(new Uint8Array(signatureSizes[alg]))
  // Only what text costs: base64url and JSON of every part, no check and no hash.
  const floor = {
    verify: () => {
      const [header, payload, signature] = hs256.token.split('.')
      return [decodeJson(header!), decodeJson(payload!), decode(signature!)]
    },
    issue: () => {
      const payload = payloadOf(claims, Math.floor(now / 1000), encode(entropy), blank('HS256'))
      return `${encodeJson(hs256.header)}.${encodeJson(payload)}.${blank('HS256')}`
    },
  }

  return {
    'state.verify': { ...hs256.verify, noble: noble.verify, 'floor-parse': floor.verify },
    'state.issue': { ...hs256.issue, noble: noble.issue, 'floor-parse': floor.issue },
    'state.verify.eddsa': eddsa.verify,
    'state.issue.eddsa': eddsa.issue,
    instantiate: { latchkey: () => new WebAssembly.Instance(module, {}) },
  }
}
