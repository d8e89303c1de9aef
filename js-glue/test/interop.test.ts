// Any JWT library can read our tokens and make tokens that we read: `jose` and `node:crypto` do here.
import assert from 'node:assert/strict'
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { describe, it } from 'node:test'
import * as jose from 'jose'
import {
  binding,
  canary,
  claims,
  entropy,
  expected,
  keyText,
  known,
  now,
  openLatchkey,
  openVerifier,
  rawKey,
  refusal,
} from './support.ts'

const { api: lk } = openLatchkey()
const { api: verifier } = openVerifier()
const ring = lk.keys.parse(keyText)
const jwks = lk.keys.publicJwks(ring)
const jwkSet = jose.createLocalJWKSet(jwks as unknown as jose.JSONWebKeySet)

// include/latchkey/keys.hpp: HKDF-SHA-256 without salt, one `info` for each purpose.
const derive = (info: string, key: Uint8Array = rawKey) => Buffer.from(hkdfSync('sha256', key, '', info, 32))
const stateKey = derive('latchkey/1/state/HS256')
const principalKey = derive('latchkey/1/principal/HS256')
const pkceKey = derive('latchkey/1/pkce')
const stateSeed = derive('latchkey/1/state/EdDSA')

/** An Ed25519 key of its seed, in the form of RFC 8410 section 7. */
function ed25519(seed: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}
const stateSign = ed25519(stateSeed)

const typ = 'oauth-state+jwt'
const nonce = Buffer.from(entropy.subarray(0, 16))
const proof = createHash('sha256')
  .update('lk.rfp1')
  .update(binding)
  .update(nonce)
  .digest()
  .toString('base64url', 0, 16)
const seconds = now / 1000
const joseNow = { currentDate: new Date(now) }
const payload = {
  iss: claims.issuer,
  aud: claims.audience,
  iat: seconds,
  exp: seconds + 600,
  jti: nonce.toString('base64url'),
  rfp: proof,
  as: claims.provider,
  sub: claims.subject,
  target_link_uri: claims.returnTo,
  flow: claims.flow,
  own: 'user:alex',
  app: claims.app,
  v: 1,
}
const algs = ['HS256', 'EdDSA'] as const
const kids = { HS256: 'k1', EdDSA: 'k1.ed' }
const keys = { HS256: stateKey, EdDSA: stateSign }
const sign = (alg: 'HS256' | 'EdDSA', body: jose.JWTPayload = payload) =>
  new jose.SignJWT(body).setProtectedHeader({ alg, kid: kids[alg], typ }).sign(keys[alg])
const verify = (token: string) => lk.state.verify(ring, token, expected)

describe('jose verifies our tokens', () => {
  const issue = (alg: 'HS256' | 'EdDSA') => lk.state.issue(ring, { ...claims, alg }, { now, entropy })

  for (const alg of algs) {
    it(alg, async () => {
      const { token, nonce: jti, expiresAt } = issue(alg)
      const options = { ...joseNow, algorithms: [alg], typ, issuer: known.issuer, audience: known.audience }
      const verified =
        alg === 'HS256'
          ? await jose.jwtVerify(token, stateKey, options)
          : await jose.jwtVerify(token, jwkSet, options)
      assert.deepEqual(verified.protectedHeader, { alg, kid: kids[alg], typ })
      assert.deepEqual(verified.payload, payload)
      assert.equal(jti, payload.jti)
      assert.equal(expiresAt, now + 600_000)
    })
  }

  it('with the key of no other purpose', async () => {
    const { token } = issue('HS256')
    for (const info of ['pkce', 'seal', 'capability', 'principal/HS256', 'state/EdDSA', 'state/hs256']) {
      await assert.rejects(jose.jwtVerify(token, derive(`latchkey/1/${info}`), joseNow), {
        code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
      })
    }
    await assert.rejects(jose.jwtVerify(token, rawKey, joseNow))
  })

  it('the published key is the public half of the derived one', () => {
    assert.deepEqual(jwks, {
      keys: [
        {
          ...createPublicKey(stateSign).export({ format: 'jwk' }),
          alg: 'EdDSA',
          use: 'sig',
          kid: 'k1.ed',
        },
      ],
    })
  })

  it('the PKCE pair follows from ring and nonce', () => {
    const { token, pkce } = issue('EdDSA')
    const codeVerifier = lk.state.codeVerifier(ring, verify(token))
    const wanted = createHmac('sha256', pkceKey).update('pkce S256').update(nonce).digest('base64url')
    assert.equal(codeVerifier, wanted)
    assert.equal(pkce.method, 'S256')
    assert.equal(pkce.challenge, createHash('sha256').update(codeVerifier).digest('base64url'))
  })

  it('principal assertions', async () => {
    const principal = { subject: 'alex', org: 'acme', role: 'admin', kind: 'human' } as const
    const token = lk.principal.issue(ring, principal, { now })
    const { payload: said, protectedHeader } = await jose.jwtVerify(token, principalKey, joseNow)
    assert.deepEqual(protectedHeader, { alg: 'HS256', kid: 'k1', typ: 'latchkey-principal+jwt' })
    assert.deepEqual(said, {
      sub: 'alex',
      org: 'acme',
      role: 'admin',
      kind: 'human',
      iat: seconds,
      exp: seconds + 60,
    })
  })
})

describe("we verify jose's tokens", () => {
  for (const alg of algs) {
    it(alg, async () => {
      const state = verify(await sign(alg))
      const { binding: _, ...wanted } = claims
      assert.deepEqual(state, {
        ...wanted,
        alg,
        kid: kids[alg],
        nonce: payload.jti,
        issuedAt: now,
        expiresAt: now + 600_000,
      })
    })
  }

  it('EdDSA in the verify-only module', async () => {
    const token = await sign('EdDSA')
    assert.deepEqual(verifier.state.verify(jwks, token, expected), verify(token))
    const hs256 = await sign('HS256')
    assert.equal(
      refusal(() => verifier.state.verify(jwks, hs256, expected)),
      'state_unknown_key',
    )
  })

  it('with the members of header and payload in any order', async () => {
    const members = [
      ['alg', 'HS256'],
      ['kid', 'k1'],
      ['typ', typ],
    ] as const
    for (const [a, b, c] of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ] as const) {
      const header = Object.fromEntries([members[a], members[b], members[c]]) as { alg: string }
      const body = Object.fromEntries(Object.entries(payload).reverse())
      const token = await new jose.SignJWT(body).setProtectedHeader(header).sign(stateKey)
      assert.equal(verify(token).subject, 'alex')
    }
  })

  it('principal assertions', async () => {
    const token = await new jose.SignJWT({ sub: 'ci', kind: 'service', iat: seconds, exp: seconds + 300 })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1', typ: 'latchkey-principal+jwt' })
      .sign(principalKey)
    assert.deepEqual(lk.principal.verify(ring, token, { now }), { subject: 'ci', kind: 'service' })
  })
})

describe('what a library would let us sign, and we refuse', () => {
  const refused = (title: string, code: string, make: () => Promise<string> | string) =>
    it(title, async () => {
      const token = await make()
      assert.equal(
        refusal(() => verify(token)),
        code,
      )
    })
  const signedBy = (header: Record<string, unknown>, key: KeyObject | Uint8Array) =>
    new jose.CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader(header as jose.CompactJWSHeaderParameters)
      .sign(key)

  refused('alg none', 'state_malformed', () => new jose.UnsecuredJWT(payload).encode())
  for (const alg of ['HS384', 'HS512']) {
    refused(alg, 'state_malformed', () =>
      signedBy({ alg, kid: 'k1', typ }, Buffer.concat([stateKey, stateKey])),
    )
  }
  refused('HS256 under the id of the Ed25519 key', 'state_unknown_key', () =>
    signedBy(
      { alg: 'HS256', kid: 'k1.ed', typ },
      createPublicKey(stateSign).export({ format: 'der', type: 'spki' }),
    ),
  )
  refused('HS256 with the public key as secret', 'state_bad_signature', () =>
    signedBy({ alg: 'HS256', kid: 'k1', typ }, Buffer.from(jwks.keys[0]!['x'] as string, 'base64url')),
  )
  refused('EdDSA under the id of the HS256 key', 'state_unknown_key', () =>
    signedBy({ alg: 'EdDSA', kid: 'k1', typ }, stateSign),
  )
  refused('another Ed25519 key', 'state_bad_signature', () =>
    signedBy({ alg: 'EdDSA', kid: 'k1.ed', typ }, ed25519(canary('other seed'))),
  )
  refused('no typ', 'state_malformed', () => signedBy({ alg: 'HS256', kid: 'k1' }, stateKey))
  refused('no kid', 'state_malformed', () => signedBy({ alg: 'HS256', typ }, stateKey))
  for (const wrong of ['JWT', 'OAUTH-STATE+JWT', 'application/oauth-state+jwt', 'latchkey-principal+jwt']) {
    refused(`typ ${wrong}`, 'state_malformed', () =>
      signedBy({ alg: 'HS256', kid: 'k1', typ: wrong }, stateKey),
    )
  }
  for (const [name, value] of Object.entries({
    cty: 'JWT',
    jwk: jwks.keys[0],
    jku: 'https://e.example/',
    x5c: [],
  })) {
    refused(`header member ${name}`, 'state_malformed', () =>
      signedBy({ alg: 'HS256', kid: 'k1', typ, [name]: value }, stateKey),
    )
  }
  refused('b64 false', 'state_malformed', async () => {
    const { signature, protected: header } = await new jose.FlattenedSign(Buffer.from('{}'))
      .setProtectedHeader({ alg: 'HS256', kid: 'k1', typ, b64: false, crit: ['b64'] })
      .sign(stateKey)
    return `${header}.{}.${signature}`
  })

  const changed = (title: string, change: Record<string, unknown>) =>
    refused(title, 'state_payload_invalid', () => sign('HS256', { ...payload, ...change }))
  for (const name of ['iss', 'aud', 'iat', 'exp', 'jti', 'as', 'sub', 'flow', 'own', 'v']) {
    changed(`without ${name}`, { [name]: undefined })
  }
  changed('an unknown claim', { admin: true })
  changed('aud as a list', { aud: [claims.audience] })
  changed('v 2', { v: 2 })
  changed('v "1"', { v: '1' })
  changed('iat as text', { iat: String(seconds) })
  changed('iat with a fraction', { iat: seconds + 0.5 })
  changed('iat negative', { iat: -1 })
  changed('exp null', { exp: null })
  changed('exp before iat', { exp: seconds - 1 })
  changed('a life of more than an hour', { exp: seconds + 3601 })
  changed('a nonce of 15 bytes', { jti: nonce.subarray(1).toString('base64url') })
  changed('a nonce with spare bits', {
    jti: `${payload.jti.slice(0, -1)}${payload.jti.at(-1) === 'A' ? 'B' : 'h'}`,
  })
  changed('an owner of no kind', { own: 'team:alex' })
  changed('an owner without id', { own: 'user:' })
  changed('a return path off our origin', { target_link_uri: '//e.example/' })
  changed('a return path not in normal form', { target_link_uri: '/a/../b' })
  changed('a control character', { sub: 'al\u0000ex' })
})

it('rotation: the first key signs, all verify, and jose finds the right one', async () => {
  const next = canary('next key')
  const rotated = lk.keys.parse(`k2:${Buffer.from(next).toString('base64url')},${keyText}`)
  const set = jose.createLocalJWKSet(lk.keys.publicJwks(rotated) as unknown as jose.JSONWebKeySet)
  for (const [by, kid] of [
    [ring, 'k1'],
    [rotated, 'k2'],
  ] as const) {
    for (const alg of algs) {
      const { token, pkce } = lk.state.issue(by, { ...claims, alg }, { now, entropy })
      const state = lk.state.verify(rotated, token, expected)
      assert.equal(state.kid, alg === 'HS256' ? kid : `${kid}.ed`)
      const codeVerifier = lk.state.codeVerifier(rotated, state)
      assert.equal(pkce.challenge, createHash('sha256').update(codeVerifier).digest('base64url'))
      if (alg === 'EdDSA') await jose.jwtVerify(token, set, joseNow)
    }
  }
  const { token } = lk.state.issue(rotated, claims, { now, entropy })
  assert.equal(
    refusal(() => verify(token)),
    'state_unknown_key',
  )
})
