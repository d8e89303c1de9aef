/** The driver on a real store, with real time: faults of the provider and of the store, and two processes. */
import type { KeyRing, Latchkey } from 'latchkey'
import {
  Connection,
  type ConnectionOptions,
  type News,
  type Store,
  type Stored,
  type TokenResult,
} from 'latchkey/connection'
import { equal, ok } from './check.ts'
import type { Bench, Case, Opened } from './conformance.ts'
import { ModelProvider, type Rotation } from './provider.ts'

const policy = {
  timeOutMs: 1_000,
  leaseMs: 1_600,
  patienceMs: 8_000,
  pollMs: 20,
  backOffMs: 20,
  maxBackOffMs: 100,
  restMs: 2_000,
} as const
const keyText = `k1:${'4c'.repeat(32)}`
const hour = 3_600_000

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

class Scene {
  readonly news: News[] = []
  readonly work: Promise<unknown>[] = []
  readonly provider: ModelProvider
  readonly opened: Opened
  readonly #lk: Latchkey
  readonly #ring: KeyRing
  readonly #context: readonly string[]
  readonly #rotation: Rotation

  constructor(
    lk: Latchkey,
    opened: Opened,
    context: readonly string[],
    rotation: Rotation,
    tokenLength?: number,
  ) {
    this.opened = opened
    this.#lk = lk
    this.#ring = lk.keys.parse(keyText)
    this.#context = context
    this.#rotation = rotation
    this.provider = new ModelProvider({
      rotation,
      graceMs: 60_000,
      pause: () => sleep(40),
      ...(tokenLength === undefined ? undefined : { tokenLength }),
    })
  }

  connect(store: Store, options: Partial<ConnectionOptions> = {}): Connection {
    return new Connection({
      lk: this.#lk,
      ring: this.#ring,
      context: this.#context,
      store,
      provider: this.provider,
      traits: { rotation: this.#rotation, graceMs: 60_000, revocation: 'token' },
      policy,
      background: (work) => this.work.push(work),
      notify: (news) => this.news.push(news),
      ...options,
    })
  }

  /** Logs in with a token that has expired by now. */
  async expired(connection: Connection, account = '42'): Promise<void> {
    const login = { ...this.provider.login(), lifetimeMs: 1_000, account, details: '' }
    equal((await connection.login({ ...login, askedAt: Date.now() - 2_000 })).outcome, 'ok', 'login')
  }

  newsOf(): string[] {
    return this.news.map(({ news }) => news)
  }

  /** Nothing of a token is left where it was handed over, in the store or in what was told. */
  async isClean(): Promise<void> {
    await Promise.all(this.work)
    for (const bytes of this.provider.bytes)
      ok(
        bytes.every((byte) => byte === 0),
        'a token was not wiped',
      )
    const stored = await this.opened.other.read()
    const told = JSON.stringify([this.news, stored, stored && new TextDecoder().decode(stored.row)])
    for (const text of this.provider.texts) ok(!told.includes(text), 'a token was told')
  }
}

function token(result: TokenResult, what: string) {
  ok(result.outcome === 'ok', `${what}: ${JSON.stringify(result)}`)
  return result
}

async function scene(bench: Bench, key: readonly string[], rotation: Rotation, tokenLength?: number) {
  return new Scene(bench.lk, await bench.open(key), key, rotation, tokenLength)
}

/** A way to the store that ends after so many writes: nothing is answered any more, as in a process that died. */
function mortal(store: Store, writes: number): Store {
  let left = writes
  const never = new Promise<never>(() => {})
  return {
    ...store,
    read: () => (left > 0 ? store.read() : never),
    write: async (condition, next) => {
      if (left <= 0) return await never
      left -= 1
      const written = await store.write(condition, next)
      return left > 0 ? written : await never
    },
  }
}

export const driverCases: readonly Case[] = [
  {
    name: 'callers in two processes at once: one redemption, and everybody has its token',
    async run(bench, key) {
      const s = await scene(bench, key, 'family_revoked')
      const processes = [s.connect(s.opened.store), s.connect(s.opened.other)]
      await s.expired(processes[0]!)
      const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => processes[i % 2]!.fetch()))
      const texts = new Set(answers.map((answer) => token(answer, 'fetch').accessToken))
      equal(
        [texts.size, s.provider.redeemed, s.provider.requests],
        [1, 1, 1],
        'tokens, redemptions, requests',
      )
      ok(s.provider.accepts([...texts][0]!), 'the provider takes it')
      const again = token(await processes[1]!.fetch(), 'fetch again')
      equal([again.source, again.generation.version], ['stored', 2], 'afterwards')
      await s.isClean()
    },
  },
  {
    name: 'two that force a rotation of the same generation get the same successor',
    async run(bench, key) {
      const s = await scene(bench, key, 'family_revoked')
      const [one, two] = [s.connect(s.opened.store), s.connect(s.opened.other)]
      const login = { ...s.provider.login(), lifetimeMs: hour, account: '42', details: '' }
      await one.login({ ...login, askedAt: Date.now() })
      const { generation } = token(await two.fetch(), 'fetch')
      const answers = await Promise.all([one.rotate(generation), two.reportRejected(generation)])
      const versions = answers.map((answer) => token(answer, 'rotate').generation.version)
      equal([versions, s.provider.redeemed], [[2, 2], 1], 'versions, redemptions')
      await s.isClean()
    },
  },
  {
    name: 'an unknown commit of any write spends nothing twice and loses nothing',
    async run(bench, key) {
      for (const nth of [1, 2]) {
        const s = await scene(bench, [...key, `${nth}`], 'family_revoked')
        const { store } = s.opened
        await s.expired(s.connect(store))
        let count = 0
        const losing: Store = {
          ...store,
          write: async (condition, next) => {
            count += 1
            if (count === nth) await s.opened.loseAnswer()
            return await store.write(condition, next)
          },
        }
        const got = token(await s.connect(losing).fetch(), `write ${nth}`)
        equal([s.provider.redeemed, got.generation.version], [1, 2], `redemptions, version; write ${nth}`)
        equal(got.persistFailed, nth === 2, `said to be unsure; write ${nth}`)
        await Promise.all(s.work)
        const stored = token(await s.connect(s.opened.other).fetch(), 'afterwards')
        equal([stored.source, stored.accessToken], ['stored', got.accessToken], `afterwards; write ${nth}`)
        await s.isClean()
      }
    },
  },
  {
    name: 'a store that fails after the spend: the token is served, and stored as soon as it can be',
    async run(bench, key) {
      const s = await scene(bench, key, 'family_revoked')
      const { store } = s.opened
      await s.expired(s.connect(store))
      let count = 0
      const failing: Store = {
        ...store,
        write: async (condition, next) => {
          count += 1
          if (count > 1 && count < 4) await s.opened.refuse()
          return await store.write(condition, next)
        },
      }
      const got = token(await s.connect(failing).fetch(), 'fetch')
      equal([got.persistFailed, got.source], [true, 'refreshed'], 'served')
      ok(s.work.length > 0, 'the rest goes on in the background')
      await Promise.all(s.work)
      equal(s.newsOf(), ['persist_failed', 'refreshed'], 'news')
      equal(
        token(await s.connect(s.opened.other).fetch(), 'afterwards').accessToken,
        got.accessToken,
        'stored',
      )
      equal(s.provider.redeemed, 1, 'redemptions')
      await s.isClean()
    },
  },
  {
    name: 'a process that dies after any write: nothing is spent twice, and what can be saved is',
    async run(bench, key) {
      for (const rotation of ['none', 'grace_same', 'strict_refused', 'family_revoked'] as const) {
        for (const writes of [1, 2]) {
          const name = `${rotation}, write ${writes}`
          const s = await scene(bench, [...key, rotation, `${writes}`], rotation)
          await s.expired(s.connect(s.opened.store))
          const dead = s.connect(mortal(s.opened.store, writes), { after: () => () => {} })
          // It dies having sent nothing (the intent is written), or having stored the pair.
          void dead.fetch()
          await sleep(150)
          const answer = await s.connect(s.opened.other).fetch()
          equal(s.provider.replays, 0, `${name}: replays`)
          // Whether the token had been sent nobody can know, and where a second use is the end, it is not used.
          if (rotation === 'family_revoked' && writes === 1) {
            equal(answer, { outcome: 'reconnect_required', cause: 'lost_in_flight' }, name)
          } else {
            ok(s.provider.accepts(token(answer, name).accessToken), `${name}: a token that works`)
          }
          const { redeemed } = s.provider
          equal(redeemed, rotation === 'family_revoked' && writes === 1 ? 0 : 1, `${name}: redemptions`)
        }
      }
    },
  },
  {
    name: 'a revocation during a refresh wins: no token afterwards',
    async run(bench, key) {
      const s = await scene(bench, key, 'family_revoked')
      const [one, two] = [s.connect(s.opened.store), s.connect(s.opened.other)]
      await s.expired(one)
      const answer = one.fetch()
      await sleep(30)
      const end = await two.revoke({ cause: 'revoked_by_provider' })
      equal([end.outcome, end.outcome === 'ok' && end.deleted], ['ok', true], 'revoked')
      const refused = { outcome: 'revoked', cause: 'revoked_by_provider' }
      equal(await two.fetch(), refused, 'afterwards')
      equal(await answer, refused, 'whoever waited')
      await s.isClean()
      const { access, refresh } = (await s.opened.other.read())!
      equal([access, refresh], ['', null], 'nothing is left')
    },
  },
  {
    name: 'a login during a refresh wins: its token, and the late pair is thrown away',
    async run(bench, key) {
      const s = await scene(bench, key, 'strict_refused')
      const [one, two] = [s.connect(s.opened.store), s.connect(s.opened.other)]
      await s.expired(one)
      const answer = one.fetch()
      await sleep(30)
      const login = { ...s.provider.login(), lifetimeMs: hour, account: '43', details: '' }
      const result = await two.login({ ...login, askedAt: Date.now() })
      ok(result.outcome === 'ok', 'login')
      equal(token(await answer, 'whoever waited').generation, result.generation, 'generation')
      equal(s.newsOf(), ['discarded'], 'news')
      await s.isClean()
    },
  },
  {
    name: 'a provider that hangs is left at the deadline, and callers are not kept',
    async run(bench, key) {
      const s = await scene(bench, key, 'none')
      const connection = s.connect(s.opened.store)
      await s.expired(connection)
      s.provider.next = ['hang', 'none']
      const began = Date.now()
      token(await connection.fetch(), 'fetch')
      const took = Date.now() - began
      ok(took >= 900 && took < 6_000, `${took} ms`)
      equal([s.provider.requests, s.provider.redeemed], [2, 1], 'requests, redemptions')
      await s.isClean()
    },
  },
  {
    name: 'a corrupt record is never overwritten silently',
    async run(bench, key) {
      for (const column of ['row', 'access', 'refresh', 'epoch'] as const) {
        const s = await scene(bench, [...key, column], 'family_revoked')
        const connection = s.connect(s.opened.store)
        await s.expired(connection)
        await s.opened.spoil(column)
        const before = await s.opened.store.read()
        equal(await connection.fetch(), { outcome: 'corrupt' }, `${column}: fetch`)
        equal(await connection.disconnect(), { outcome: 'corrupt' }, `${column}: disconnect`)
        equal(await s.opened.store.read(), before, `${column}: kept as it was`)
        equal(s.newsOf(), ['corrupt', 'corrupt'], `${column}: alerts`)
        equal(s.provider.requests, 0, `${column}: requests`)
        const login = { ...s.provider.login(), lifetimeMs: hour, account: '42', details: '' }
        equal((await connection.login({ ...login, askedAt: Date.now() })).outcome, 'ok', `${column}: login`)
        equal(s.newsOf().length, 3, `${column}: an alert with the login`)
        token(await connection.fetch(), `${column}: afterwards`)
      }
    },
  },
  {
    name: 'tokens of 8,192 bytes are stored, refreshed and revoked',
    async run(bench, key) {
      const s = await scene(bench, key, 'family_revoked', 8_192)
      const connection = s.connect(s.opened.store)
      await s.expired(connection)
      const got = token(await connection.fetch(), 'fetch')
      equal(got.accessToken.length, 8_192, 'length')
      ok(s.provider.accepts(got.accessToken), 'the provider takes it')
      const end = await connection.disconnect()
      equal(end, { outcome: 'ok', revoked: true, deleted: true }, 'disconnect')
      ok(!s.provider.accepts(got.accessToken), 'the provider does not take it any more')
      await s.isClean()
    },
  },
  {
    name: 'a text of another row does not open',
    async run(bench, key) {
      const s = await scene(bench, [...key, 'one'], 'family_revoked')
      const t = await scene(bench, [...key, 'two'], 'family_revoked')
      const [one, two] = [s.connect(s.opened.store), t.connect(t.opened.store)]
      await s.expired(one)
      await t.expired(two)
      const [mine, theirs] = (await Promise.all([s.opened.store.read(), t.opened.store.read()])) as [
        Stored,
        Stored,
      ]
      const condition = { is: 'row', id: mine.id, version: mine.version, epoch: mine.epoch } as const
      const moved = { ...mine, refresh: theirs.refresh, access: theirs.access }
      equal(await s.opened.store.write(condition, moved), 'stored', 'moved')
      equal(await one.fetch(), { outcome: 'corrupt' }, 'fetch')
      // The whole record neither: what is bound into its texts is this connection's.
      equal(await s.opened.store.write(condition, { ...theirs }), 'stored', 'moved as a whole')
      equal(await one.fetch(), { outcome: 'corrupt' }, 'fetch')
    },
  },
]
