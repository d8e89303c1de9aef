// The step function across the ABI: names for numbers both ways, bytes that are none, and the protocol's usual way.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { abi } from '../src/abi.gen.ts'
import type { Contract, RefreshEvent, RefreshStep, TokenFacts } from '../src/refresh-types.ts'
import { contract as kv } from '../src/stores/kv.ts'
import { contract as d1 } from '../src/stores/d1.ts'
import { contract as postgres } from '../src/stores/postgres.ts'
import { contract as sqlite } from '../src/stores/sqlite.ts'
import { canary, now, openLatchkey, refusal, residue } from './support.ts'

const opened = openLatchkey()
const { api: lk } = opened
const { step, describe: say, admit } = lk.refresh
const entropy = canary('entropy', 8)
const idBytes = canary('lineage', 16)
const id = Buffer.from(idBytes).toString('base64url')
const settings = Object.freeze({
  traits: Object.freeze({ revocation: 'token' as const }),
  policy: Object.freeze({}),
})
const at = (ms: number) => ({ now: now + ms, ...settings })
const facts: TokenFacts = { lifetimeMs: 3_600_000, hasRefresh: true, refreshSame: false, hasScope: true }
const login: RefreshEvent = { kind: 'begin', task: 'login', id, tokens: facts, at: now, entropy }
const fetch: RefreshEvent = { kind: 'begin', task: 'fetch', entropy }
const good: RefreshEvent = { kind: 'reply', class: 'ok', doubt: 'none', tokens: facts, entropy }
const header = readFileSync(new URL('../../include/latchkey/refresh.hpp', import.meta.url), 'utf8')

const kinds = ({ effects }: RefreshStep) => effects.map(({ kind }) => kind)
const loggedIn = () => step(null, null, login, at(0)).row!

describe('the names', () => {
  it('are the enumerators of the core, each at its number', () => {
    const names = {
      Rotation: abi.enums.rotation,
      Revocation: abi.enums.revocation,
      Status: abi.enums.status,
      Cause: abi.enums.cause,
      Doubt: abi.enums.doubt,
      ReplyClass: abi.enums.replyClass,
      Revoked: abi.enums.revoked,
      Task: abi.enums.task,
      EventKind: abi.enums.event,
      Seen: abi.enums.seen,
      Reason: abi.enums.reason,
      EffectKind: abi.enums.effect,
      Outcome: abi.enums.outcome,
      Which: abi.enums.which,
      Source: abi.enums.source,
      Blobs: abi.enums.blobs,
      News: abi.enums.news,
      Standing: abi.enums.standing,
    }
    // Those behind are other engines'.
    const own = Object.keys(abi.enums).indexOf('scope')
    assert.deepEqual(Object.values(names), Object.values(abi.enums).slice(0, own))
    for (const [type, list] of Object.entries(names)) {
      const [, body] = header.match(new RegExp(`enum class ${type} : std::uint8_t \\{([^}]*)\\}`))!
      const written = [...body!.matchAll(/^\s*(\w+) = (\d+)/gm)].map(([, name, number]) => [
        name,
        Number(number),
      ])
      const known = list.flatMap((name, number) => (name === null ? [] : [[name, number]]))
      assert.deepEqual(known, written, type)
    }
  })

  it('the defaults are those of the core', () => {
    const { window_ms, lease_ms, rotation, max_sends } = abi.refreshDefaults
    assert.deepEqual([window_ms, lease_ms, rotation, max_sends], [300_000, 15_000, 4, 6])
  })
})

describe('admit', () => {
  const good: Contract = { cas: true, strongRead: true, negativeCache: false, minTtlMs: 0, maxValue: 32_768 }
  it('takes the stores that are here, and not KV', () => {
    for (const contract of [sqlite, d1, postgres, good])
      assert.equal(
        refusal(() => admit(contract, {}, {})),
        undefined,
      )
    assert.equal(
      refusal(() => admit(kv, {}, {})),
      'store_unfit',
    )
  })

  it('refuses, in this order: profile, store, policy, lease', () => {
    const unfit = { ...good, cas: false }
    assert.equal(
      refusal(() => admit(unfit, { leaseMs: -1 }, undefined)),
      'provider_unknown',
    )
    assert.equal(
      refusal(() => admit(unfit, { maxTries: 0 }, {})),
      'store_unfit',
    )
    assert.equal(
      refusal(() => admit(good, { maxTries: 0, leaseMs: 1 }, {})),
      'config_invalid',
    )
    assert.equal(
      refusal(() => admit(good, { leaseMs: 10_000 }, {})),
      'lease_too_short',
    )
    assert.equal(
      refusal(() => admit(good, {}, { timeOutMs: 15_000 })),
      'lease_too_short',
    )
    for (const change of [
      { strongRead: false },
      { negativeCache: true },
      { maxValue: 32_767 },
      { maxValue: NaN },
      { cas: 1 as never },
    ]) {
      assert.equal(
        refusal(() => admit({ ...good, ...change }, {}, {})),
        'store_unfit',
        JSON.stringify(change),
      )
    }
  })

  it('refuses settings that are none', () => {
    for (const policy of [
      { windowMs: -1 },
      { windowMs: 0.5 },
      { windowMs: NaN },
      { windowMs: Infinity },
      { windowMs: '5' as never },
      { maxSends: 256 },
      { maxSends: 1.5 },
      { proactive: 1 as never },
    ]) {
      assert.equal(
        refusal(() => admit(good, policy, {})),
        'config_invalid',
        JSON.stringify(policy),
      )
      const asked = () => step(null, null, fetch, { now, traits: {}, policy })
      assert.equal(refusal(asked), 'config_invalid', JSON.stringify(policy))
    }
    for (const traits of [
      { rotation: 'never' as never },
      { rotation: 5 as never },
      { graceMs: -1 },
      { lagMs: 2 ** 60 },
    ]) {
      assert.equal(
        refusal(() => admit(good, {}, traits)),
        'config_invalid',
        JSON.stringify(traits),
      )
    }
  })

  it('settings that change are read again, frozen or not', () => {
    const policy = { windowMs: 0, jitterMs: 0 }
    const row = loggedIn()
    const near = { now: now + 3_500_000, traits: {}, policy }
    assert.deepEqual(kinds(step(row, null, fetch, near)), ['serve'])
    policy.windowMs = 200_000
    assert.deepEqual(kinds(step(row, null, fetch, near)), ['serve', 'arm', 'persist'])
  })
})

describe('step', () => {
  it('goes the usual way: nothing, a login, a token, a refresh', () => {
    const none = step(null, null, fetch, at(0))
    assert.deepEqual(none.effects, [{ kind: 'refuse', outcome: 'not_connected', cause: 'none', at: now }])
    assert.equal(none.row, null)

    const made = step(null, null, login, at(0))
    const generation = { id, version: 1 }
    assert.deepEqual(made.effects, [
      {
        kind: 'persist',
        condition: { is: 'absent' },
        blobs: 'login',
        keepScopes: false,
        generation,
        epoch: 1,
      },
    ])
    assert.equal(made.row!.length, 172)
    const done = step(made.row, made.flow, { kind: 'stored' }, at(0))
    assert.deepEqual(done.effects, [
      { kind: 'done', receipt: { revoked: false, deleted: false, reason: 'none' } },
    ])
    assert.deepEqual(done.row, made.row)

    const served = step(made.row, null, fetch, at(1000))
    // The window is 300 s, up to 30 s less.
    const standsUntil = served.effects[0]?.kind === 'serve' ? served.effects[0].standsUntil : 0
    assert.ok(standsUntil >= now + 3_300_000 && standsUntil <= now + 3_330_000)
    assert.deepEqual(served.effects, [
      {
        kind: 'serve',
        token: 'stored',
        source: 'stored',
        generation,
        at: now + 3_600_000,
        standsUntil,
        persistFailed: false,
      },
    ])
    assert.deepEqual(served.row, made.row)

    const taking = step(made.row, null, fetch, at(4_000_000))
    assert.deepEqual(kinds(taking), ['arm', 'persist'])
    const sending = step(taking.row, taking.flow, { kind: 'stored' }, at(4_000_000))
    assert.deepEqual(sending.effects, [{ kind: 'send', at: now + 4_010_000, probe: false }])
    const storing = step(sending.row, sending.flow, good, at(4_000_100))
    assert.deepEqual(storing.effects, [
      {
        kind: 'persist',
        condition: { is: 'row', id, version: 1, epoch: 2 },
        blobs: 'pair',
        keepScopes: false,
        generation: { id, version: 2 },
        epoch: 3,
      },
    ])
    const end = step(storing.row, storing.flow, { kind: 'stored' }, at(4_000_110))
    assert.deepEqual(kinds(end), ['notify', 'serve'])
    assert.deepEqual(say(end.row!, now + 4_000_110), {
      id,
      version: 2,
      epoch: 3,
      status: 'live',
      standing: 'connected',
      cause: 'none',
      loginAt: now,
      obtainedAt: now + 4_000_000,
      accessExpiresAt: now + 7_600_000,
      refreshExpiresAt: null,
      endedAt: null,
      endsAt: null,
      leasedUntil: null,
      nextAttemptAt: null,
      failures: 0,
      doubt: 'none',
      hasRefresh: true,
      rejected: false,
      held: false,
    })
    assert.deepEqual(residue(opened), [])
  })

  it('a token without an end has none', () => {
    const traits = { accessLifetimeMs: 0 }
    const endless = { ...login, tokens: { ...facts, lifetimeMs: undefined } } as unknown as RefreshEvent
    const { row } = step(null, null, endless, { now, traits, policy: {} })
    const [effect] = step(row, null, fetch, { now: now + 1e12, traits, policy: {} }).effects
    assert.ok(effect?.kind === 'serve')
    assert.equal(effect.at, null)
    assert.equal(say(row!, now).accessExpiresAt, null)
  })

  it('what nothing can renew ends with its access token', () => {
    const alone = { ...login, tokens: { ...facts, hasRefresh: false } } as RefreshEvent
    const { row } = step(null, null, alone, at(0))
    const { endsAt, accessExpiresAt } = say(row!, now)
    assert.equal(endsAt, accessExpiresAt)
    assert.equal(typeof endsAt, 'number')
  })

  it('odd lifetimes are the profile’s', () => {
    for (const lifetimeMs of [0, -1, NaN, Infinity, 0.5, 1e300]) {
      const { row } = step(null, null, { ...login, tokens: { ...facts, lifetimeMs } } as RefreshEvent, at(0))
      assert.equal(say(row!, now).accessExpiresAt, now + 3_600_000, `${lifetimeMs}`)
    }
  })

  it('a row that does not decode is corrupt where an event brings it, and refused elsewhere', () => {
    const row = loggedIn()
    const { row: held, flow } = step(row, null, fetch, at(4_000_000))
    const bad = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(167).map((cut) => row.slice(0, cut)),
      fc.constant(Uint8Array.of(...row, 0)),
      fc
        .nat(255)
        .filter((version) => version !== 1)
        .map((version) => Uint8Array.of(version, ...row.slice(1))),
    )
    fc.assert(
      fc.property(bad, (bytes) => {
        assert.equal(
          refusal(() => say(bytes, now)),
          'corrupt',
        )
        assert.deepEqual(kinds(step(bytes, null, fetch, at(0))), ['notify', 'refuse'])
        const lost = step(bytes, flow, { kind: 'lost' }, at(4_000_000))
        assert.deepEqual(kinds(lost), ['notify', 'refuse'])
        const over = step(bytes, null, login, at(0)).effects.at(-1)
        assert.ok(over?.kind === 'persist')
        assert.deepEqual(over.condition, { is: 'corrupt' })
        assert.equal(
          refusal(() => step(bytes, flow, { kind: 'stored' }, at(4_000_000))),
          'corrupt',
        )
      }),
      { numRuns: 300 },
    )
    assert.deepEqual(kinds(step(held, flow, { kind: 'stored' }, at(4_000_000))), ['send'])
  })

  it('a flow that is none is refused', () => {
    const row = loggedIn()
    const { flow } = step(row, null, fetch, at(4_000_000))
    const stored: RefreshEvent = { kind: 'stored' }
    for (const bytes of [new Uint8Array(0), new Uint8Array(flow.length), flow.slice(1), row]) {
      assert.equal(
        refusal(() => step(row, bytes, stored, at(0))),
        'corrupt',
      )
    }
    fc.assert(
      fc.property(fc.nat(flow.length - 1), fc.integer({ min: 1, max: 255 }), (index, bits) => {
        const changed = flow.slice()
        changed[index]! ^= bits
        // Refused, or a flow that says something else: never a trap, and nothing is left behind.
        const code = refusal(() => step(row, changed, stored, at(4_000_000)))
        assert.ok(code === undefined || code === 'corrupt')
        assert.equal(opened.instances.length, 1)
      }),
      { numRuns: 500 },
    )
    assert.deepEqual(residue(opened), [])
  })

  it('events that are none are refused', () => {
    const row = loggedIn()
    const refused = (event: object) => refusal(() => step(row, null, event as RefreshEvent, at(0)))
    for (const event of [
      {},
      { kind: 'begun' },
      { kind: 1 },
      { kind: 'begin', task: 'fetch' },
      { kind: 'begin', task: 'none such', entropy },
      { ...fetch, entropy: entropy.slice(1) },
      { ...fetch, seen: 'maybe' },
      { kind: 'begin', task: 'rotate', entropy, generation: { id: 'x', version: 1 } },
      { kind: 'begin', task: 'rotate', entropy, generation: { id, version: 2 ** 53 } },
      { kind: 'begin', task: 'revoke', entropy, cause: 'no reason' },
      { ...good, class: 'fine' },
      { ...good, doubt: 'some' },
      { kind: 'revocation', revoked: 'perhaps' },
    ]) {
      assert.equal(refused(event), 'claim_invalid', JSON.stringify(event))
    }
    for (const minValidityMs of [-1, 0.5, NaN, Infinity])
      assert.equal(refused({ ...fetch, minValidityMs }), 'time_invalid')
    assert.equal(
      refusal(() => step(row, null, fetch, at(-now - 1))),
      'time_invalid',
    )
  })

  it('lineages are 16 bytes in their one spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        fc.pre(bytes.some((byte) => byte !== 0))
        const text = Buffer.from(bytes).toString('base64url')
        const { row } = step(null, null, { ...login, id: text } as RefreshEvent, at(0))
        assert.equal(say(row!, now).id, text)
        assert.ok(Buffer.from(row!).includes(Buffer.from(bytes)))
      }),
      { numRuns: 300 },
    )
    for (const wrong of [
      `${id}=`,
      id.slice(1),
      `${id.slice(0, 21)}B`,
      id.replace(/./, '+'),
      id.replace(/./, 'é'),
    ]) {
      assert.equal(
        refusal(() => step(null, null, { ...login, id: wrong } as RefreshEvent, at(0))),
        'claim_invalid',
      )
    }
  })

  it('nothing that comes in traps', () => {
    const row = loggedIn()
    const { flow } = step(row, null, fetch, at(4_000_000))
    const names = (list: readonly (string | null)[]) =>
      fc.constantFrom(...list.filter((name) => name !== null))
    const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -1, 8.64e15, 8.64e15 + 1, now))
    const event = fc.record({
      kind: names(abi.enums.event),
      task: names(abi.enums.task),
      seen: names(abi.enums.seen),
      cause: names(abi.enums.cause),
      class: names(abi.enums.replyClass),
      doubt: names(abi.enums.doubt),
      revoked: names(abi.enums.revoked),
      entropy: fc.uint8Array({ minLength: 7, maxLength: 9 }),
      minValidityMs: number,
      at: number,
      retryAfterMs: number,
      id: fc.constantFrom(id, 'A'.repeat(22), ''),
      generation: fc.record({
        id: fc.constantFrom(id, 'A'.repeat(22)),
        version: fc.constantFrom(0, 1, 2, -1),
      }),
      tokens: fc.record({
        lifetimeMs: number,
        refreshLifetimeMs: number,
        hasRefresh: fc.boolean(),
        refreshSame: fc.boolean(),
        hasScope: fc.boolean(),
      }),
    })
    const rows = fc.oneof(fc.constantFrom(null, row), fc.uint8Array({ minLength: 172, maxLength: 172 }))
    fc.assert(
      fc.property(rows, fc.constantFrom(null, flow), event, number, (someRow, someFlow, some, time) => {
        refusal(() => step(someRow, someFlow, some as unknown as RefreshEvent, { ...at(0), now: time }))
        assert.equal(opened.instances.length, 1)
      }),
      { numRuns: 5000 },
    )
    assert.deepEqual(residue(opened), [])
  })
})
