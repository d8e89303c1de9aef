/** What every store must do, whatever it is made of: the protocol stands on nothing else. */
import type { Latchkey } from 'latchkey'
import type { Condition, Store, Stored, Written } from 'latchkey/connection'
import { contract as kv } from 'latchkey/stores/kv'
import { equal, ok } from './check.ts'

/** One record, seen from two processes. */
export interface Opened {
  readonly store: Store
  readonly other: Store
  /** The next write of `store` is done, and its answer is lost. */
  loseAnswer(): void | Promise<void>
  /** The next write of `store` does not happen. */
  refuse(): void | Promise<void>
  /** Writes into a column what nobody would. */
  spoil(column: 'row' | 'access' | 'refresh' | 'epoch'): Promise<void>
}

export interface Bench {
  readonly lk: Latchkey
  open(key: readonly string[]): Promise<Opened>
  /** Does once more what makes the table. */
  migrate(): Promise<void>
  /** Ends what holds the records, with everything that is not durable; absent where nothing can be ended. */
  readonly crash?: () => Promise<void>
}

export interface Case {
  readonly name: string
  readonly needsCrash?: boolean
  run(bench: Bench, key: readonly string[]): Promise<void>
}

export const record = (change: Partial<Stored> = {}): Stored => ({
  id: 'lineage-1',
  version: 1,
  epoch: 1,
  row: Uint8Array.from({ length: 172 }, (_, i) => i),
  access: 'sealed access',
  refresh: 'sealed refresh',
  held: null,
  account: '42',
  scopes: '["a"]',
  details: '{}',
  ...change,
})

const absent: Condition = { is: 'absent' }
const isOf = ({ id, version, epoch }: Stored): Condition => ({ is: 'row', id, version, epoch })
const after = (stored: Stored, change: Partial<Stored> = {}): Stored => ({
  ...stored,
  epoch: stored.epoch + 1,
  ...change,
})

/** As the driver takes it: what is thrown leaves it open whether anything was done. */
async function write(store: Store, condition: Condition, next: Stored | null): Promise<Written> {
  try {
    return await store.write(condition, next)
  } catch {
    return 'unknown'
  }
}

const is = async (store: Store, expected: Stored | undefined, what: string): Promise<void> =>
  equal(await store.read(), expected, what)

export const cases: readonly Case[] = [
  {
    name: 'its contract is admitted; that of KV is not',
    async run({ lk, open }, key) {
      const { store, other } = await open(key)
      for (const { contract } of [store, other]) lk.refresh.admit(contract, {}, {})
      let code: unknown
      try {
        lk.refresh.admit(kv, {}, {})
      } catch (error) {
        code = (error as { code?: unknown }).code
      }
      equal(code, 'store_unfit', 'KV')
    },
  },
  {
    name: 'what is written is read, byte for byte, and what is removed is gone',
    async run({ open }, key) {
      const { store, other } = await open(key)
      await is(store, undefined, 'at first')
      const first = record({ details: '{"quote":"\'","emoji":"🗝️","statement":"; DROP TABLE x --"}' })
      equal(await write(store, absent, first), 'stored', 'insert')
      await is(store, first, 'inserted')
      await is(other, first, 'inserted, from elsewhere')
      const second = after(first, {
        row: Uint8Array.from({ length: 172 }, (_, i) => 255 - i),
        access: '',
        refresh: null,
        held: 'held',
        account: '',
        scopes: '[]',
        details: '',
      })
      equal(await write(store, isOf(first), second), 'stored', 'update')
      await is(other, second, 'updated')
      equal(await write(other, isOf(second), null), 'stored', 'delete')
      await is(store, undefined, 'deleted')
      equal(await write(store, absent, first), 'stored', 'insert again')
    },
  },
  {
    name: 'a write whose condition does not hold does nothing',
    async run({ open }, key) {
      const { store } = await open(key)
      const first = record({ version: 3, epoch: 7 })
      const next = after(first, { access: 'another' })
      equal(await write(store, isOf(first), next), 'lost', 'update of nothing')
      equal(await write(store, isOf(first), null), 'lost', 'delete of nothing')
      await is(store, undefined, 'nothing')
      equal(await write(store, absent, first), 'stored', 'insert')
      for (const condition of [
        absent,
        isOf({ ...first, id: 'lineage-2' }),
        isOf({ ...first, version: 2 }),
        isOf({ ...first, epoch: 6 }),
        isOf({ ...first, epoch: 8 }),
        isOf({ ...first, version: 7, epoch: 3 }),
      ]) {
        equal(await write(store, condition, next), 'lost', `update if ${JSON.stringify(condition)}`)
        equal(await write(store, condition, null), 'lost', 'delete')
        await is(store, first, 'unchanged')
      }
      equal(await write(store, isOf(first), next), 'stored', 'update')
      equal(await write(store, isOf(first), next), 'lost', 'the same write, a second time')
      await is(store, next, 'changed once')
    },
  },
  {
    name: 'of two writers that insert or swap at once, one wins',
    async run({ open }, key) {
      const { store, other } = await open(key)
      const race = async (condition: Condition, epoch: number): Promise<Stored> => {
        const offers = Array.from({ length: 20 }, (_, i) => record({ epoch, access: `writer ${i}` }))
        const results = await Promise.all(
          offers.map((offer, i) => write(i % 2 === 0 ? store : other, condition, offer)),
        )
        equal(results.filter((result) => result === 'stored').length, 1, 'writers that won')
        equal(results.filter((result) => result === 'lost').length, 19, 'writers that lost')
        const winner = offers[results.indexOf('stored')]!
        await is(store, winner, 'the winner')
        await is(other, winner, 'the winner, from elsewhere')
        return winner
      }
      let stored = await race(absent, 1)
      for (let epoch = 2; epoch <= 10; epoch += 1) stored = await race(isOf(stored), epoch)
    },
  },
  {
    name: 'two writers that count together lose nothing',
    async run({ open }, key) {
      const { store, other } = await open(key)
      await write(store, absent, record())
      const count = async (mine: Store): Promise<void> => {
        for (let done = 0; done < 25;) {
          const now = (await mine.read())!
          const next = after(now, { version: now.version + 1 })
          if ((await write(mine, isOf(now), next)) === 'stored') done += 1
        }
      }
      await Promise.all([count(store), count(other)])
      const end = (await store.read())!
      equal([end.version, end.epoch], [51, 51], 'writes that count')
    },
  },
  {
    name: 'no read is older than a write that was acknowledged',
    async run({ open }, key) {
      const { store, other } = await open(key)
      let now = record()
      await write(store, absent, now)
      for (let n = 0; n < 60; n += 1) {
        const [writer, reader] = n % 2 === 0 ? [store, other] : [other, store]
        const next = after(now)
        equal(await write(writer, isOf(now), next), 'stored', 'swap')
        await is(reader, next, 'read elsewhere')
        now = next
      }
      equal(await write(store, isOf(now), null), 'stored', 'delete')
      await is(other, undefined, 'that it is gone')
      equal(await write(other, absent, now), 'stored', 'insert')
      await is(store, now, 'that it is back')
    },
  },
  {
    name: 'an answer that is lost leaves it open what was done, and a second try finds out',
    async run({ open }, key) {
      const opened = await open(key)
      const { store, other } = opened
      const first = record()
      const second = after(first)
      await opened.loseAnswer()
      equal(await write(store, absent, first), 'unknown', 'insert')
      await is(other, first, 'inserted all the same')
      equal(await write(store, absent, first), 'lost', 'insert again')
      await opened.loseAnswer()
      equal(await write(store, isOf(first), second), 'unknown', 'update')
      await is(store, second, 'updated all the same')
      equal(await write(store, isOf(first), second), 'lost', 'update again')
      await opened.loseAnswer()
      equal(await write(store, isOf(second), null), 'unknown', 'delete')
      await is(other, undefined, 'deleted all the same')
    },
  },
  {
    name: 'a write that did not happen is never said to have happened',
    async run({ open }, key) {
      const opened = await open(key)
      const { store, other } = opened
      const first = record()
      await opened.refuse()
      const inserted = await write(store, absent, first)
      ok(inserted === 'failed' || inserted === 'unknown', `insert: ${inserted}`)
      await is(other, undefined, 'not inserted')
      equal(await write(store, absent, first), 'stored', 'insert')
      await opened.refuse()
      const updated = await write(store, isOf(first), after(first))
      ok(updated === 'failed' || updated === 'unknown', `update: ${updated}`)
      await is(other, first, 'not updated')
      equal(await write(store, isOf(first), after(first)), 'stored', 'update')
    },
  },
  {
    name: 'what was acknowledged outlives a crash after any write',
    needsCrash: true,
    async run({ open, crash }, key) {
      let now = record()
      const first = await open(key)
      equal(await write(first.store, absent, now), 'stored', 'insert')
      for (let n = 0; n < 4; n += 1) {
        await crash!()
        const { store } = await open(key)
        await is(store, now, `after crash ${n + 1}`)
        const next = after(now, { access: `write ${n}` })
        equal(await write(store, isOf(now), next), 'stored', 'swap')
        now = next
      }
      const { store } = await open(key)
      equal(await write(store, isOf(now), null), 'stored', 'delete')
      await crash!()
      await is((await open(key)).store, undefined, 'after the last crash')
    },
  },
  {
    name: 'a corrupt record gives way only to whoever saw that very record',
    async run({ open }, key) {
      const opened = await open(key)
      const { store } = opened
      const first = record({ held: 'held' })
      await write(store, absent, first)
      for (const column of ['row', 'access', 'refresh', 'epoch'] as const) {
        const before = (await store.read())!
        await opened.spoil(column)
        const spoilt = (await store.read())!
        ok(JSON.stringify(spoilt[column]) !== JSON.stringify(before[column]), `spoilt ${column}`)
        const healed = record({ held: 'held', epoch: before.epoch + 1 })
        equal(await write(store, { is: 'corrupt', record: before }, healed), 'lost', `${column}, as it was`)
        const changes: Partial<Stored>[] = [
          { id: 'x' },
          { version: 9 },
          { epoch: 99 },
          { row: new Uint8Array(172) },
          { access: 'x' },
          { refresh: null },
          { refresh: 'x' },
          { held: null },
          { account: 'x' },
          { scopes: 'x' },
          { details: 'x' },
        ]
        for (const change of changes) {
          const condition: Condition = { is: 'corrupt', record: { ...spoilt, ...change } }
          equal(await write(store, condition, healed), 'lost', `${column}, ${Object.keys(change)}`)
          equal(await write(store, condition, null), 'lost', `${column}, ${Object.keys(change)}, delete`)
        }
        await is(store, spoilt, `${column}: kept as it was`)
        equal(await write(store, { is: 'corrupt', record: spoilt }, healed), 'stored', `${column}, as it is`)
        await is(store, healed, `${column}: healed`)
      }
      const last = (await store.read())!
      const bare = after(last, { refresh: null, held: null })
      equal(await write(store, { is: 'corrupt', record: last }, bare), 'stored', 'to one with nulls')
      equal(await write(store, { is: 'corrupt', record: bare }, null), 'stored', 'delete')
      await is(store, undefined, 'deleted')
    },
  },
  {
    name: 'the largest record goes in and comes out',
    async run({ open }, key) {
      const { store } = await open(key)
      const token = 'k'.repeat(Math.ceil((8_192 * 4) / 3) + 200)
      const large = record({
        access: token,
        refresh: token,
        held: 'h'.repeat(90_000),
        scopes: JSON.stringify(Array.from({ length: 100 }, (_, i) => `scope-${i}`)),
        details: 'd'.repeat(4_000),
        version: 2 ** 53 - 2,
        epoch: 2 ** 53 - 2,
      })
      equal(await write(store, absent, large), 'stored', 'insert')
      await is(store, large, 'inserted')
      equal(await write(store, isOf(large), after(large)), 'stored', 'update')
      await is(store, after(large), 'updated')
      equal(await write(store, isOf(large), null), 'lost', 'the counter before')
      equal(await write(store, { is: 'corrupt', record: after(large) }, large), 'stored', 'swap of the whole')
    },
  },
  {
    name: 'no two keys have one record',
    async run({ open }, key) {
      const keys = [
        [],
        [''],
        ['a'],
        ['a', ''],
        ['', 'a'],
        ['a', 'b'],
        ['a,b'],
        ['a","b'],
        ['["a","b"]'],
        ['a/b'],
        ['A'],
        ['a '],
        ['a\0'],
        ['a\0b'],
        ['a%'],
        ['_'],
        ["a'"],
        ['ä'],
        ['a\u0308'],
        ['\ud800'],
        ['\udfff'],
        ['\ufffd'],
        ['\\ud800'],
      ].map((parts) => [...key, ...parts])
      for (const [i, parts] of keys.entries()) {
        const { store } = await open(parts)
        equal(await write(store, absent, record({ account: `${i}` })), 'stored', JSON.stringify(parts))
      }
      for (const [i, parts] of keys.entries()) {
        const { store } = await open(parts)
        await is(store, record({ account: `${i}` }), JSON.stringify(parts))
        equal(await write(store, isOf(record()), null), 'stored', `delete ${JSON.stringify(parts)}`)
      }
    },
  },
  {
    name: 'making the table again changes nothing',
    async run({ open, migrate }, key) {
      const { store } = await open(key)
      await write(store, absent, record())
      await migrate()
      await migrate()
      await is(store, record(), 'kept')
    },
  },
]
