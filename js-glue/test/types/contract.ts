// Compiled, never run: what the types must refuse (T16) and what they must take.
import {
  type ErrorCode,
  type KeyRing,
  type Latchkey,
  LatchkeyError,
  load,
  type PublicCode,
  publicCode,
  type State,
  type UnverifiedState,
} from 'latchkey'
import { Connection, type Provider, type Store, type TokenResult } from 'latchkey/connection'
import { d1Store } from 'latchkey/stores/d1'
import { contract as kv } from 'latchkey/stores/kv'
import { postgresStore } from 'latchkey/stores/postgres'
import { sqliteStore } from 'latchkey/stores/sqlite'
import { loadSigner, type Signer } from 'latchkey/sign'
import { loadVerifier, skipBinding, type Verifier } from 'latchkey/verify'

const lk: Latchkey = await load()
const verifier: Verifier = await loadVerifier()
const signer: Signer = await loadSigner()
const signs = (signer: Signer): string => signer.keys.generate('k1', bytes)
signs(lk)
// @ts-expect-error
signer.refresh
const now = Date.now()
const bytes = new Uint8Array(32)
const ring: KeyRing = lk.keys.parse(lk.keys.generate('k1', bytes))
const jwks = lk.keys.publicJwks(ring)
const about = { issuer: 'i', audience: 'a' }
const token = ''
const owner = { kind: 'user', id: '' } as const
const claims = { ...about, flow: '', provider: '', subject: '', owner }
const ctx = { now, entropy: bytes }
lk.state.issue(ring, claims, ctx)
const state: State = lk.state.verify(ring, token, { ...about, now })
const peeked: UnverifiedState = lk.state.peek(token)

// What a token says is no verified state, however much of it is there.
// @ts-expect-error
const wrong: State = peeked
// @ts-expect-error
lk.callback.plan({ params: '', state: peeked, session: {} })
// @ts-expect-error
lk.state.codeVerifier(ring, peeked)
// @ts-expect-error
lk.state.codeVerifier(ring, { ...peeked, kid: 'k1', alg: 'HS256' as const })
// @ts-expect-error
lk.callback.plan({ params: '', state: { subject: 'alex', nonce: '', expiresAt: 0 }, session: {} })
// @ts-expect-error
lk.callback.plan({ params: '', state: 'no such code', session: {} })
// @ts-expect-error
const claimed: string = peeked.subject
const maybe: string | undefined = peeked.subject
lk.callback.plan({ params: new URLSearchParams(), state, session: { subject: 'alex' } })
lk.callback.plan({ params: [['code', 'x']], state: 'state_expired', session: {} })

// A ring comes from `keys.parse` alone.
// @ts-expect-error
const fake: KeyRing = {}
// @ts-expect-error
lk.state.issue({}, claims, ctx)
// @ts-expect-error
lk.state.issue('k1:secret', claims, ctx)
// @ts-expect-error
lk.state.verify(ring, token, about)
// @ts-expect-error
lk.keys.publicJwks(jwks)
// @ts-expect-error
ring.bytes

// The binding can be left out where no exchange follows, and nowhere else.
verifier.state.verify(jwks, token, { ...about, now, binding: skipBinding })
// @ts-expect-error
lk.state.verify(ring, token, { ...about, now, binding: skipBinding })
// @ts-expect-error
lk.state.verify(ring, token, { ...about, now, binding: 'cookie' })
// @ts-expect-error
verifier.state.verify(jwks, token, { ...about, now, binding: Symbol('latchkey.skipBinding') })
// @ts-expect-error
verifier.state.verify(ring, token, { ...about, now })
// @ts-expect-error
verifier.state.issue

// Nobody is not the same as somebody without a name.
// @ts-expect-error
lk.state.verify(ring, token, { ...about, now, subject: undefined })
// @ts-expect-error
lk.state.verify(ring, token, { ...about, now, subject: null })
// @ts-expect-error
lk.state.verify(ring, token, { ...about, now, subject: 5 })
// @ts-expect-error
lk.seal.seal(ring, 'text', [], { entropy: bytes })
// @ts-expect-error
lk.state.issue(ring, { ...claims, alg: 'none' }, ctx)
// @ts-expect-error
lk.state.issue(ring, { ...claims, owner: { kind: 'team', id: '' } }, ctx)

// A plan that redirects has nothing to consume.
const plan = lk.callback.plan({ params: '', state, session: {} })
// @ts-expect-error
plan.consume
if (plan.action === 'exchange') {
  const { nonce, until }: { nonce: string; until: number } = plan.consume
  // @ts-expect-error
  plan.reason
  void [nonce, until]
} else {
  const reason: ErrorCode = plan.reason
  const shown: PublicCode = plan.publicCode
  // @ts-expect-error
  plan.code
  void [reason, shown]
}

// Codes are closed sets.
const code: ErrorCode = 'state_expired'
// @ts-expect-error
const unknownCode: ErrorCode = 'state_stale'
// @ts-expect-error
const ok: ErrorCode = 'ok'
// @ts-expect-error
publicCode('state_stale')
const shown: PublicCode = publicCode(code)
// @ts-expect-error
shown === 'state_expired'

// Results do not change.
// @ts-expect-error
state.subject = 'sam'
// @ts-expect-error
state.owner.id = 'sam'
const back: string | null = lk.returnTo('/')
// @ts-expect-error
const path: string = lk.returnTo('/')
try {
  lk.keys.parse('')
} catch (error) {
  if (error instanceof LatchkeyError) void (error.code satisfies ErrorCode)
}
void [wrong, claimed, maybe, fake, unknownCode, ok, back, path]

// A connection needs everything that its texts are bound to, and a result must be looked at before its token is.
declare const store: Store
declare const provider: Provider
const connectionOptions = {
  lk,
  ring,
  context: ['tenant', 'user', 'alex', 'git'],
  store,
  provider,
  traits: {},
}
const connection = new Connection({ ...connectionOptions, policy: { proactive: true }, background: () => {} })
// @ts-expect-error
new Connection({ lk, ring, store, provider, traits: {} })
// @ts-expect-error
new Connection({ ...connectionOptions, ring: token })
// @ts-expect-error
new Connection({ ...connectionOptions, traits: { rotation: 'sometimes' } })
const result: TokenResult = await connection.fetch({ minValidityMs: 60_000 })
// @ts-expect-error
result.accessToken
if (result.outcome === 'ok') result.accessToken.toString()
// @ts-expect-error
else if (result.outcome === 'expired') result.cause
// @ts-expect-error
await connection.rotate(result)
// @ts-expect-error
await connection.revoke({ cause: 'because' })
// @ts-expect-error
await connection.login({ accessToken: '', details: '', askedAt: now })

// A step's events and effects are told apart by their kind.
const settings = { now, traits: { rotation: 'none' }, policy: {} } as const
const turn = lk.refresh.step(null, null, { kind: 'begin', task: 'fetch', entropy: bytes }, settings)
// @ts-expect-error
lk.refresh.step(null, null, { kind: 'begin', task: 'fetch' }, settings)
// @ts-expect-error
lk.refresh.step(null, null, { kind: 'begin', task: 'rotate', entropy: bytes }, settings)
// @ts-expect-error
lk.refresh.step(null, null, { kind: 'reply', class: 'fine', doubt: 'none', entropy: bytes }, settings)
// @ts-expect-error
lk.refresh.step(null, null, { kind: 'stored' }, { now })
for (const effect of turn.effects) {
  // @ts-expect-error
  effect.generation
  if (effect.kind === 'serve') effect.generation.version.toFixed()
}
lk.refresh.admit(kv, {}, undefined)
const stores: Store[] = [
  sqliteStore({ exec: () => ({ toArray: () => [] }) }),
  d1Store({ prepare: () => ({ bind: () => ({ all: async () => ({ results: [] }) }) }) }, { key: [] }),
  postgresStore(async () => [], { key: [] }),
]
// @ts-expect-error
postgresStore(async () => [])
// @ts-expect-error
const half: Store = { contract: kv, signal: 'none', read: () => undefined, write: () => 'written' }
void [stores, half]
