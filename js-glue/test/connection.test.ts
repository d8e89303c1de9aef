// The driver: what it does with every effect, and what must hold whatever fails around it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  Connection,
  type ConnectionOptions,
  type MaybePromise,
  type News,
  type Store,
  type TokenResult,
} from '../src/connection.ts'
import type { Traits } from '../src/refresh-types.ts'
import { Memory, type StoreFault } from '../../tests/stores/memory.ts'
import { type Fault, ModelProvider, type Rotation } from '../../tests/stores/provider.ts'
import { keyText, now as startAt, openLatchkey } from './support.ts'

const { api: lk } = openLatchkey()
const ring = lk.keys.parse(keyText)
const context = ['tenant', 'user', 'alex', 'git']
const hour = 3_600_000
const idOf = (record: { id: string } | undefined) => record?.id ?? ''

/** A small generator of numbers, the same for the same seed. */
function seeded(seed: number): (below: number) => number {
  let x = (seed * 2_654_435_761) >>> 0 || 1
  return (below) => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) % below
  }
}

/** A clock that jumps to the next timer as soon as nothing else is left to do. */
class Clock {
  at = startAt
  #count = 0
  readonly #timers: { at: number; order: number; run: () => void }[] = []

  readonly now = (): number => this.at
  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.at + ms, order: this.#count++, run }
    this.#timers.push(timer)
    return () => {
      const index = this.#timers.indexOf(timer)
      if (index >= 0) this.#timers.splice(index, 1)
    }
  }
  readonly sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      this.after(ms, resolve)
    })

  async run(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const next = this.#timers.toSorted((a, b) => a.at - b.at || a.order - b.order)[0]
      if (next === undefined) return
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.at = Math.max(this.at, next.at)
      next.run()
    }
  }
}

interface World {
  readonly clock: Clock
  readonly memory: Memory
  readonly provider: ModelProvider
  readonly news: News[]
  readonly work: Promise<unknown>[]
  readonly alarms: number[]
  connect(options?: Partial<ConnectionOptions>): Connection
}

function world(rotation: Rotation = 'family_revoked', options: { fault?: () => Fault } = {}): World {
  const clock = new Clock()
  const memory = new Memory()
  const provider = new ModelProvider({
    rotation,
    graceMs: 60_000,
    now: clock.now,
    pause: () => clock.sleep(100),
    ...options,
  })
  const news: News[] = []
  const work: Promise<unknown>[] = []
  const alarms: number[] = []
  const traits: Traits = { rotation, graceMs: 60_000, revocation: 'token' }
  return {
    clock,
    memory,
    provider,
    news,
    work,
    alarms,
    connect: (more) =>
      new Connection({
        lk,
        ring,
        context,
        store: memory.store({ signal: 'sole' }),
        provider,
        traits,
        now: clock.now,
        after: clock.after,
        background: (promise) => work.push(promise),
        arm: (at) => {
          alarms.push(at)
        },
        notify: (item) => news.push(item),
        ...more,
      }),
  }
}

/** Runs the clock until something is answered. */
async function inTime<T>(w: World, answer: Promise<T>): Promise<T> {
  await Promise.all([answer.catch(() => {}), w.clock.run()])
  return await answer
}

async function connected(w: World, connection: Connection, lifetimeMs = hour) {
  const login = { ...w.provider.login(), lifetimeMs, account: '42', details: '{"label":"Alex"}' }
  const result = await inTime(w, connection.login({ ...login, scopes: ['a', 'b'], askedAt: w.clock.at }))
  assert.equal(result.outcome, 'ok')
  return result
}

function token(result: TokenResult) {
  assert.equal(result.outcome, 'ok')
  return result as Extract<TokenResult, { outcome: 'ok' }>
}

const newsOf = (w: World) => w.news.map(({ news }) => news)

/** Nothing of any token is left where bytes were handed over, nor where anybody is told of anything. */
function isClean(w: World): void {
  for (const bytes of w.provider.bytes) {
    assert.ok(
      bytes.every((byte) => byte === 0),
      `left: ${Buffer.from(bytes).toString()}`,
    )
  }
  const told = JSON.stringify([w.news, w.memory.record, w.memory.record && Buffer.from(w.memory.record.row)])
  for (const text of w.provider.texts) assert.ok(!told.includes(text), text)
}

describe('a connection', () => {
  it('serves what is stored, without a pause', async () => {
    const w = world()
    const connection = w.connect()
    const { generation } = (await connected(w, connection)) as { generation: { id: string; version: number } }
    const got = token(await connection.fetch())
    assert.equal(got.source, 'stored')
    assert.deepEqual(got.generation, generation)
    assert.equal(got.expiresAt, startAt + hour)
    assert.ok(w.provider.accepts(got.accessToken))
    assert.equal(w.work.length, 0)
    isClean(w)
  })

  it('says what it is without a token', async () => {
    const w = world()
    const connection = w.connect()
    assert.equal(await connection.status(), null)
    await connected(w, connection)
    const status = await connection.status()
    assert.equal(status?.status, 'live')
    assert.ok(status?.status === 'live')
    assert.deepEqual(
      [status.account, status.scopes, status.details, status.version, status.accessExpiresAt],
      ['42', ['a', 'b'], '{"label":"Alex"}', 1, startAt + hour],
    )
    w.memory.record = { ...w.memory.record!, row: Uint8Array.of(1, 2, 3) }
    assert.deepEqual(await connection.status(), { status: 'corrupt' })
  })

  it('refreshes what has expired, once for 200 callers', async () => {
    const w = world()
    const connection = w.connect()
    await connected(w, connection, 1000)
    w.clock.at += 2000
    const answers = await inTime(w, Promise.all(Array.from({ length: 200 }, () => connection.fetch())))
    assert.equal(w.provider.redeemed, 1)
    assert.equal(w.provider.requests, 1)
    assert.deepEqual(new Set(answers.map((answer) => token(answer).accessToken)).size, 1)
    assert.equal(answers.filter((answer) => token(answer).source === 'refreshed').length, 1)
    assert.equal(answers.filter((answer) => token(answer).source === 'joined').length, 199)
    // Woken by the write, not by looking: the request took 200 ms, and that is all the time that has passed.
    assert.equal(w.clock.at - startAt, 2200)
    isClean(w)
  })

  it('serves at once what is near its end, and goes on in the background', async () => {
    const w = world()
    const connection = w.connect()
    await connected(w, connection)
    w.clock.at += hour - 60_000
    const got = token(await connection.fetch())
    assert.equal(got.source, 'kept')
    assert.equal(w.work.length, 1)
    assert.deepEqual(newsOf(w), [])
    await inTime(w, Promise.all(w.work))
    assert.deepEqual(newsOf(w), ['refreshed'])
    assert.equal(token(await connection.fetch()).generation.version, 2)
    isClean(w)
  })

  it('rotates what is named, and nothing that is named by mistake', async () => {
    const w = world()
    const connection = w.connect()
    await connected(w, connection)
    const first = token(await connection.fetch())
    const second = token(await inTime(w, connection.rotate(first.generation)))
    assert.equal(second.generation.version, 2)
    const again = token(await inTime(w, connection.rotate(first.generation)))
    assert.deepEqual([again.generation, again.source], [second.generation, 'stored'])
    const third = token(await inTime(w, connection.reportRejected(second.generation)))
    assert.equal(third.generation.version, 3)
    assert.equal(w.provider.redeemed, 2)
    for (const id of ['', 'A'.repeat(21), `${'A'.repeat(21)}B`, `${'A'.repeat(21)}=`, 'A'.repeat(23)]) {
      await assert.rejects(connection.rotate({ id, version: 1 }), { code: 'claim_invalid' })
    }
    for (const version of [-1, 0.5, NaN, 2 ** 53]) {
      await assert.rejects(connection.rotate({ id: second.generation.id, version }), {
        code: 'claim_invalid',
      })
    }
    await assert.rejects(connection.fetch({ minValidityMs: -1 }), { code: 'time_invalid' })
    isClean(w)
  })

  it('gives up a request at its deadline, and the provider learns of it', async () => {
    const w = world('strict_refused')
    const connection = w.connect()
    await connected(w, connection, 1000)
    w.clock.at += 2000
    w.provider.next = ['hang_after', 'none']
    const began = w.clock.at
    const answer = await inTime(w, connection.fetch())
    // The first attempt is given up after ten seconds; the probe finds the token spent.
    assert.equal(answer.outcome, 'reconnect_required')
    assert.ok(answer.outcome === 'reconnect_required')
    assert.equal(answer.cause, 'lost_in_flight')
    assert.ok(w.clock.at - began >= 10_000)
    assert.deepEqual([...w.provider.arrivals.values()], [{ plain: 1, probes: 1 }])
    isClean(w)
  })

  it('an intent that may be written is looked for, and gone on with', async () => {
    const w = world()
    let fault: StoreFault = 'none'
    const connection = w.connect({ store: w.memory.store({ signal: 'sole', fault: () => fault }) })
    await connected(w, connection, 1000)
    w.clock.at += 2000
    for (const how of ['unknown_written', 'unknown_unwritten', 'throws'] as const) {
      const { version } = w.memory.record!
      fault = how
      const answer = connection.rotate({ id: idOf(w.memory.record), version })
      w.clock.after(10, () => {
        fault = 'none'
      })
      if (how === 'throws') assert.equal((await inTime(w, answer)).outcome, 'temporarily_unavailable')
      else assert.equal(token(await inTime(w, answer)).generation.version, version + 1)
    }
    assert.equal(w.provider.redeemed, 2)
  })

  it('a store that contradicts itself is not asked for ever', async () => {
    const w = world()
    const store = w.memory.store({ signal: 'sole' })
    await connected(w, w.connect({ store }), 1000)
    w.clock.at += 2000
    let writes = 0
    const lying = w.connect({
      store: {
        ...store,
        write() {
          writes += 1
          return 'lost'
        },
      },
    })
    assert.equal((await inTime(w, lying.fetch())).outcome, 'temporarily_unavailable')
    assert.ok(writes > 1 && writes < 20, `${writes}`)
    assert.equal(w.provider.requests, 0)
  })

  it('an answer that stands is given without a look, until its time or a write', async () => {
    const w = world()
    let reads = 0
    const store = w.memory.store({ signal: 'sole' })
    const connection = w.connect({
      store: {
        ...store,
        read() {
          reads += 1
          return store.read()
        },
      },
    })
    const ask = async (options?: { minValidityMs: number }) => {
      const before = reads
      const got = token(await inTime(w, connection.fetch(options)))
      return { version: got.generation.version, looked: reads > before, source: got.source }
    }
    await connected(w, connection)
    assert.deepEqual(await ask(), { version: 1, looked: true, source: 'stored' })
    assert.deepEqual(await ask(), { version: 1, looked: false, source: 'stored' })
    // Another question is another answer.
    assert.equal((await ask({ minValidityMs: 1 })).looked, true)
    assert.equal((await ask({ minValidityMs: 1 })).looked, false)
    await assert.rejects(connection.fetch({ minValidityMs: -1 }), { code: 'time_invalid' })
    const { generation } = token(await connection.fetch())
    assert.equal(token(await inTime(w, connection.rotate(generation))).source, 'refreshed')
    assert.deepEqual(await ask(), { version: 2, looked: true, source: 'stored' })
    assert.deepEqual(await ask(), { version: 2, looked: false, source: 'stored' })
    w.clock.at += 3_400_000
    assert.deepEqual((await ask()).looked, true)
    await inTime(w, connection.disconnect())
    assert.equal((await connection.fetch()).outcome, 'not_connected')
  })

  it('only where nobody else writes does an answer stand', async () => {
    for (const signal of ['none', 'process'] as const) {
      const w = world()
      const [one, other] = [w.memory.store({ signal }), w.memory.store({ signal })]
      const [mine, theirs] = [w.connect({ store: one }), w.connect({ store: other })]
      await connected(w, mine)
      const { generation } = token(await inTime(w, mine.fetch()))
      token(await inTime(w, theirs.rotate(generation)))
      assert.equal(token(await inTime(w, mine.fetch())).generation.version, 2)
    }
  })

  it('keeps the scopes until an answer names others', async () => {
    const w = world('none')
    const connection = w.connect()
    await connected(w, connection)
    const rotate = async () => {
      const got = token(await connection.fetch())
      token(await inTime(w, connection.rotate(got.generation)))
      const status = await connection.status()
      return status && 'scopes' in status && status.scopes
    }
    assert.deepEqual(await rotate(), ['a', 'b'])
    w.provider.scopes = ['c']
    assert.deepEqual(await rotate(), ['c'])
    w.provider.scopes = undefined
    assert.deepEqual(await rotate(), ['c'])
    w.provider.scopes = []
    assert.deepEqual(await rotate(), [])
  })

  it('looks now and then where it is woken, and often where it is not', async () => {
    for (const [signal, least, most] of [
      ['sole', 1, 4],
      ['process', 20, 60],
      ['none', 20, 60],
    ] as const) {
      const w = world()
      const store = w.memory.store({ signal })
      await connected(w, w.connect({ store }), 1000)
      w.clock.at += 2000
      let reads = 0
      const connection = w.connect({
        store: {
          ...store,
          read() {
            reads += 1
            return store.read()
          },
        },
        provider: {
          async refresh(...args) {
            await w.clock.sleep(1800)
            return await w.provider.refresh(...args)
          },
          revoke: () => Promise.resolve('done'),
        },
      })
      await inTime(w, Promise.all([connection.fetch(), connection.fetch()]))
      assert.ok(reads - 2 >= least && reads - 2 <= most, `${signal}: ${reads} reads`)
    }
  })

  it('a late answer is wiped', async () => {
    const w = world()
    const late: Uint8Array[] = []
    const connection = w.connect({
      provider: {
        async refresh(bytes, { signal, deadline }) {
          assert.ok(!signal.aborted && deadline > w.clock.at)
          await w.clock.sleep(30_000)
          assert.ok(signal.aborted)
          const accessToken = new Uint8Array(30).fill(7)
          const refreshToken = new Uint8Array(30).fill(7)
          late.push(bytes, accessToken, refreshToken)
          return { class: 'ok', doubt: 'none', tokens: { accessToken, refreshToken, refreshSame: false } }
        },
        revoke: () => Promise.resolve('done'),
      },
    })
    await connected(w, connection, 1000)
    w.clock.at += 2000
    await inTime(w, connection.fetch())
    assert.equal(late.length, 3)
    for (const bytes of late) assert.ok(bytes.every((byte) => byte === 0))
  })

  it('serves a good answer that cannot be stored, and goes on trying', async () => {
    const w = world()
    let fault: StoreFault = 'none'
    const connection = w.connect({ store: w.memory.store({ signal: 'sole', fault: () => fault }) })
    await connected(w, connection, 1000)
    w.clock.at += 2000
    const answer = connection.fetch()
    w.clock.after(50, () => {
      fault = 'failed'
    })
    w.clock.after(5000, () => {
      fault = 'none'
    })
    const got = token(await inTime(w, answer))
    assert.equal(got.persistFailed, true)
    assert.deepEqual([got.source, got.generation.version], ['refreshed', 2])
    assert.ok(w.provider.accepts(got.accessToken))
    assert.deepEqual(newsOf(w), ['persist_failed', 'refreshed'])
    assert.equal(token(await connection.fetch()).accessToken, got.accessToken)
    isClean(w)
  })

  it('a revocation during a refresh wins, and the late pair is revoked', async () => {
    const w = world()
    const connection = w.connect()
    await connected(w, connection, 1000)
    w.clock.at += 2000
    const answer = connection.fetch()
    const revoked = await connection.revoke({ cause: 'revoked_here' })
    assert.deepEqual(revoked, { outcome: 'ok', revoked: false, deleted: true })
    assert.deepEqual(await inTime(w, answer), { outcome: 'revoked', cause: 'revoked_here' })
    assert.deepEqual(newsOf(w), ['discarded'])
    assert.equal(w.provider.revocations, 1)
    const { access, refresh, held, account, scopes, details } = w.memory.record!
    assert.deepEqual([access, refresh, held, account, scopes, details], ['', null, null, '', '[]', ''])
    assert.deepEqual(await connection.fetch(), { outcome: 'revoked', cause: 'revoked_here' })
    isClean(w)
  })

  it('a login during a refresh wins', async () => {
    const w = world()
    const connection = w.connect()
    await connected(w, connection, 1000)
    w.clock.at += 2000
    const before = idOf(w.memory.record)
    const answer = connection.fetch()
    const login = connection.login({
      ...w.provider.login(),
      lifetimeMs: hour,
      account: '43',
      details: '',
      askedAt: w.clock.at,
    })
    const result = await login
    assert.ok(result.outcome === 'ok')
    assert.equal(result.replaced, '42')
    assert.notEqual(result.generation.id, before)
    const got = token(await inTime(w, answer))
    assert.deepEqual(got.generation, result.generation)
    isClean(w)
  })

  it('disconnects and erases with a receipt', async () => {
    const w = world()
    const connection = w.connect()
    assert.deepEqual(await inTime(w, connection.disconnect()), {
      outcome: 'ok',
      revoked: false,
      deleted: true,
    })
    await connected(w, connection)
    assert.deepEqual(await inTime(w, connection.disconnect()), {
      outcome: 'ok',
      revoked: true,
      deleted: true,
    })
    assert.deepEqual(await connection.fetch(), { outcome: 'not_connected', cause: 'disconnected' })
    await connected(w, connection)
    const silent = w.connect({
      provider: {
        refresh: w.provider.refresh.bind(w.provider),
        revoke: () => Promise.reject(new Error('down')),
      },
    })
    const kept = await inTime(w, silent.disconnect())
    assert.deepEqual(kept, { outcome: 'ok', revoked: false, deleted: false, reason: 'unreachable' })
    assert.equal((await inTime(w, silent.fetch())).outcome, 'ok')
    const erased = await inTime(w, silent.erase())
    assert.deepEqual(erased, { outcome: 'ok', revoked: false, deleted: true, reason: 'unreachable' })
    isClean(w)
  })

  it('keeps an answer that was not understood, sealed, as it came', async () => {
    const w = world()
    const connection = w.connect()
    await connected(w, connection, 1000)
    w.clock.at += 2000
    w.provider.next = ['garbled_after']
    const answer = await inTime(w, connection.fetch())
    assert.equal(answer.outcome, 'reconnect_required')
    const { held, id } = w.memory.record!
    const bytes = lk.seal.open(ring, held!, ['connection', '1', ...context, '42', id, 'held.0'])
    assert.match(Buffer.from(bytes).toString(), /^canary-refresh-/)
    bytes.fill(0)
    assert.ok(newsOf(w).includes('not_understood'))
    isClean(w)
  })

  it('an alarm finds out what an attempt came to that nobody finished', async () => {
    const w = world('none')
    const connection = w.connect()
    await connected(w, connection, 1000)
    w.clock.at += 2000
    w.provider.next = ['hang']
    // A process that dies in the middle of it.
    const dead = w.connect({ after: () => () => {} })
    void dead.fetch()
    await w.clock.run()
    assert.equal(w.alarms.length, 1)
    w.clock.at = w.alarms[0]!
    await inTime(w, connection.alarm())
    assert.equal(w.provider.redeemed, 1)
    assert.deepEqual(newsOf(w), ['in_doubt', 'refreshed'])
  })

  it('whoever listens, arms or works in the background can fail', async () => {
    const w = world()
    const boom = () => {
      throw new Error('boom')
    }
    const connection = w.connect({ notify: boom, arm: boom })
    await connected(w, connection, 1000)
    w.clock.at += 2000
    assert.equal((await inTime(w, connection.fetch())).outcome, 'ok')
    const slow = w.connect({ arm: () => Promise.reject(new Error('boom')) })
    const { generation } = token(await connection.fetch())
    assert.equal((await inTime(w, slow.rotate(generation))).outcome, 'ok')
  })

  it('a login is refused before anything happens where it cannot be sealed or stored', async () => {
    const w = world()
    const connection = w.connect()
    const good = { accessToken: 'a', account: '1', details: '', askedAt: startAt }
    for (const bad of [
      { accessToken: '' },
      { refreshToken: '' },
      { accessToken: 'a'.repeat(16_385) },
      { account: 'a\0b' },
      { details: '\ud800' },
      { account: 'a'.repeat(5000) },
    ]) {
      await assert.rejects(connection.login({ ...good, ...bad }), { code: 'claim_invalid' })
    }
    assert.equal(w.memory.record, undefined)
    assert.equal((await connection.login(good)).outcome, 'ok')
  })
})

describe('a record that does not open', () => {
  const changes = {
    'another access token': (w: World) => ({ access: w.memory.record!.refresh! }),
    'a row of other bytes': () => ({ row: Uint8Array.of(1) }),
    'a row of another epoch': (w: World) => ({ epoch: w.memory.record!.epoch + 1 }),
    'another account': () => ({ account: '43' }),
    'no refresh token': () => ({ refresh: null }),
    'another refresh token': (w: World) => ({ refresh: w.memory.record!.access }),
  }
  for (const [name, change] of Object.entries(changes)) {
    it(`is corrupt and stays as it is, with an alert: ${name}`, async () => {
      const w = world()
      const connection = w.connect()
      await connected(w, connection, 1000)
      w.clock.at += 2000
      w.memory.record = { ...w.memory.record!, ...change(w) }
      const before = JSON.stringify(w.memory.record)
      assert.deepEqual(await inTime(w, connection.fetch()), { outcome: 'corrupt' })
      assert.deepEqual(await inTime(w, connection.disconnect()), { outcome: 'corrupt' })
      assert.deepEqual(newsOf(w), ['corrupt', 'corrupt'])
      assert.equal(JSON.stringify(w.memory.record), before)
      assert.equal(w.provider.requests, 0)
      // Only a login or an erasure ends it, and says so.
      await connected(w, connection)
      assert.deepEqual(newsOf(w), ['corrupt', 'corrupt', 'corrupt'])
      assert.equal((await connection.fetch()).outcome, 'ok')
      w.memory.record = { ...w.memory.record!, ...change(w) }
      const receipt = await inTime(w, connection.erase())
      assert.deepEqual(receipt, { outcome: 'ok', revoked: false, deleted: true, reason: 'corrupt' })
      assert.equal(w.memory.record, undefined)
    })
  }

  it('a record sealed with a key that is not known here is left alone', async () => {
    const w = world()
    const connection = w.connect()
    await connected(w, connection, 1000)
    w.clock.at += 2000
    const other = w.connect({ ring: lk.keys.parse(lk.keys.generate('k9', new Uint8Array(32).fill(9))) })
    const answer = await inTime(w, other.fetch())
    assert.equal(answer.outcome, 'temporarily_unavailable')
    assert.equal((await inTime(w, other.disconnect())).outcome, 'temporarily_unavailable')
    assert.deepEqual(newsOf(w), [])
    assert.equal((await inTime(w, connection.fetch())).outcome, 'ok')
    // A key may be lost for good: a login and an erasure do not wait for it.
    await connected(w, other)
    assert.equal((await inTime(w, other.fetch())).outcome, 'ok')
    assert.equal((await inTime(w, connection.erase())).outcome, 'ok')
    assert.equal(w.memory.record, undefined)
  })
})

describe('whatever fails', () => {
  const rotations: Rotation[] = ['none', 'grace_same', 'grace_new', 'strict_refused', 'family_revoked']
  const faults: Fault[] = [
    'before',
    'after',
    '500',
    '500_after',
    'rate_limited',
    'operator',
    'garbled_after',
    'hang',
    'hang_after',
    'throws',
  ]
  const storeFaults: StoreFault[] = ['failed', 'unknown_written', 'unknown_unwritten', 'unreadable', 'throws']

  /** A process that can die: from then on nothing that it waits for comes. */
  function mortal(w: World, store: Store): { options: Partial<ConnectionOptions>; die: () => void } {
    let dead = false
    const never = new Promise<never>(() => {})
    const unlessDead = <T>(work: MaybePromise<T>): MaybePromise<T> => {
      if (dead) return never
      return work instanceof Promise ? work.then((value) => (dead ? never : value)) : work
    }
    return {
      die() {
        dead = true
      },
      options: {
        store: {
          ...store,
          read: () => (dead ? never : unlessDead(store.read())),
          write: (condition, next) => (dead ? never : unlessDead(store.write(condition, next))),
        },
        provider: {
          refresh: async (token, how) => await unlessDead(w.provider.refresh(token, how)),
          revoke: async (token) => await unlessDead(w.provider.revoke(token)),
        },
        after: (ms, run) =>
          w.clock.after(ms, () => {
            if (!dead) run()
          }),
      },
    }
  }

  async function live(seed: number, counts: Record<string, number>, deaths = false): Promise<void> {
    const random = seeded(seed)
    const one = <T>(list: readonly T[]): T => list[random(list.length)]!
    const rotation = one(rotations)
    const rate = one([0, 5, 20])
    const storeRate = one([0, 5, 20])
    let quiet = false
    const w = world(rotation, { fault: () => (!quiet && random(100) < rate ? one(faults) : 'none') })
    const pause = () => w.clock.sleep(1 + random(8))
    const local = random(2) === 0
    const die: (() => void)[] = []
    const start = (): Connection => {
      const store = w.memory.store({
        signal: local ? 'sole' : one(['none', 'process'] as const),
        ...(local ? undefined : { pause }),
        fault: () => (!quiet && random(100) < storeRate ? one(storeFaults) : 'none'),
      })
      const process = mortal(w, store)
      die.push(process.die)
      return w.connect(process.options)
    }
    const processes = Array.from({ length: local ? 1 : 3 }, start)
    const login = (connection: Connection) =>
      connection.login({
        ...w.provider.login(),
        lifetimeMs: 20_000,
        account: '42',
        details: '',
        askedAt: w.clock.at,
      })
    await inTime(w, login(processes[0]!))

    let answers = 0
    let began = 0
    // Counts the revocations that were acknowledged, and the logins that were begun.
    let revokes = 0
    let logins = 0
    let underWay = 0
    const act = async (): Promise<void> => {
      const connection = one(processes)
      began += 1
      const at = w.clock.at
      const before = { revokes, logins }
      const kind = random(30)
      if (kind === 0) {
        const result = await connection.revoke({ cause: 'revoked_here' })
        if (result.outcome === 'ok' && result.deleted && before.logins === logins && underWay === 0)
          revokes = logins + 1
      } else if (kind <= 2) {
        logins += 1
        underWay += 1
        await login(connection)
        underWay -= 1
      } else if (kind === 3) await connection.disconnect()
      else {
        const named = { id: idOf(w.memory.record) || 'A'.repeat(22), version: w.memory.record?.version ?? 0 }
        let result: TokenResult
        if (kind <= 5) result = await connection.rotate(named)
        else if (kind <= 7) result = await connection.reportRejected(named)
        else result = await connection.fetch()
        counts[result.outcome] = (counts[result.outcome] ?? 0) + 1
        if (result.outcome === 'ok') {
          counts[result.source] = (counts[result.source] ?? 0) + 1
          if (result.persistFailed) counts['persistFailed'] = (counts['persistFailed'] ?? 0) + 1
          assert.ok(w.provider.texts.includes(result.accessToken))
          // A revocation that was acknowledged before this began, with no login since: no token.
          assert.ok(
            before.revokes <= before.logins || logins > before.logins,
            `seed ${seed}: served after a revoke`,
          )
        }
        assert.ok(w.clock.at - at <= 60_000, `seed ${seed}: ${w.clock.at - at} ms for an answer`)
      }
      answers += 1
    }
    const all: Promise<void>[] = []
    for (let n = 0; n < 40; n++) w.clock.after(random(120_000), () => all.push(act()))
    for (let n = 0; deaths && n < 12; n++) {
      w.clock.after(random(120_000), () => {
        // Whatever it was doing: a new one takes its place.
        const which = random(processes.length)
        die[processes.length === 1 ? die.length - 1 : which]!()
        processes[which] = start()
        if (processes.length > 1) die[which] = die.pop()!
        counts['deaths'] = (counts['deaths'] ?? 0) + 1
      })
    }
    await w.clock.run()
    if (!deaths) {
      await Promise.all(all)
      assert.equal(answers, began)
      await Promise.all(w.work)
    }

    assert.equal(w.provider.replays, 0, `seed ${seed}, ${rotation}: a token was used twice`)
    for (const seen of w.provider.arrivals.values()) {
      if (rotation === 'family_revoked') assert.ok(seen.plain <= 1 && seen.probes === 0, `seed ${seed}`)
      if (rotation === 'strict_refused') assert.ok(seen.plain <= 1, `seed ${seed}`)
    }
    // A probe that got an answer, if only that it failed, may be followed by another; one that got none may not.
    for (const silent of w.provider.silentProbes.values()) assert.ok(silent <= 1, `seed ${seed}`)
    if (!deaths) isClean(w)
    counts['redeemed'] = (counts['redeemed'] ?? 0) + w.provider.redeemed
    counts['probes'] =
      (counts['probes'] ?? 0) + [...w.provider.arrivals.values()].reduce((sum, { probes }) => sum + probes, 0)
    // In quiet there is an answer that somebody can do something with.
    quiet = true
    w.clock.at += 2 * hour
    const last = await inTime(w, processes[0]!.fetch())
    assert.ok(
      ['ok', 'revoked', 'not_connected', 'reconnect_required'].includes(last.outcome),
      `seed ${seed}: ${last.outcome}`,
    )
  }

  it('no token is spent twice, none is served after a revocation, and everybody gets an answer', async (t) => {
    const counts: Record<string, number> = {}
    for (let seed = 1; seed <= 300; seed++) await live(seed, counts)
    t.diagnostic(JSON.stringify(counts))
    for (const name of ['ok', 'revoked', 'reconnect_required', 'temporarily_unavailable', 'joined', 'kept']) {
      assert.ok((counts[name] ?? 0) > 0, name)
    }
    for (const name of ['refreshed', 'persistFailed', 'probes']) assert.ok((counts[name] ?? 0) > 0, name)
  })

  it('nor when processes die in the middle of it', async (t) => {
    const counts: Record<string, number> = {}
    for (let seed = 1001; seed <= 1300; seed++) await live(seed, counts, true)
    t.diagnostic(JSON.stringify(counts))
    for (const name of ['deaths', 'refreshed', 'reconnect_required', 'probes'])
      assert.ok((counts[name] ?? 0) > 0, name)
  })
})
