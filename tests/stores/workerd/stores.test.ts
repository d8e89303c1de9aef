/** The stores of workerd: a Durable Object's SQLite, from outside and from inside, and D1. */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { loadSync } from 'latchkey'
import type { Store } from 'latchkey/connection'
import { d1Store, schema as d1Schema } from 'latchkey/stores/d1'
import { schema, sqliteStore } from 'latchkey/stores/sqlite'
import { beforeAll, describe, test } from 'vitest'
import { cases, type Bench, type Opened } from '../conformance.ts'
import { driverCases } from '../driver.ts'
import type { Box } from './worker.ts'

const { BOX, DB } = env as unknown as { BOX: DurableObjectNamespace<Box>; DB: D1Database }
const lk = loadSync()

const spoiling = {
  row: "row = x'0102'",
  access: "access = 'spoilt'",
  refresh: "refresh = 'spoilt'",
  epoch: 'epoch = epoch + 5',
}
const spoilStatement = (column: keyof typeof spoiling): string =>
  `UPDATE latchkey_connection SET ${spoiling[column]} WHERE key = ?1`

describe('a Durable Object, from outside', () => {
  const name = 'outside'
  const box = () => BOX.getByName(name)
  const { contract } = sqliteStore({ exec: () => ({ toArray: () => [] }) })
  const bench: Bench = {
    lk,
    migrate: async () => await box().migrate(),
    crash: async () => await evictDurableObject(box()),
    async open(key): Promise<Opened> {
      let loses = false
      const through = (losing: boolean): Store => ({
        contract,
        signal: 'none',
        // What workerd's stubs return is a promise and a stub in one.
        read: async () => await box().read(key),
        async write(condition, next) {
          const written = await box().write(key, condition, next)
          if (losing && loses) {
            loses = false
            throw new Error('the answer was lost')
          }
          return written
        },
      })
      return {
        store: through(true),
        other: through(false),
        loseAnswer() {
          loses = true
        },
        refuse: async () => await box().refuse(),
        spoil: async (column) => await box().exec(spoilStatement(column), JSON.stringify(key)),
      }
    },
  }
  for (const { name: title, run } of cases) test(title, () => run(bench, ['store', title]))
  for (const { name: title, run } of driverCases) test(title, () => run(bench, ['driver', title]))
})

/** Everything inside of one object: the store answers at once, and whoever waits is woken. */
describe('a Durable Object, from inside', () => {
  const inside = (title: string, run: (bench: Bench, key: readonly string[]) => Promise<void>) =>
    runInDurableObject(BOX.getByName(`inside ${title}`), async (_, { storage }) => {
      const { sql } = storage
      await run(
        {
          lk,
          async migrate() {
            for (const statement of schema) sql.exec(statement)
          },
          async open(key): Promise<Opened> {
            let next: 'done' | 'lost answer' | 'refused' = 'done'
            const store = sqliteStore(sql, { key })
            return {
              store: {
                ...store,
                write(condition, record) {
                  const how = next
                  next = 'done'
                  if (how === 'refused') return 'failed'
                  const written = store.write(condition, record)
                  return how === 'lost answer' ? 'unknown' : written
                },
              },
              other: sqliteStore(sql, { key }),
              loseAnswer() {
                next = 'lost answer'
              },
              refuse() {
                next = 'refused'
              },
              async spoil(column) {
                sql.exec(spoilStatement(column), JSON.stringify(key))
              },
            }
          },
        },
        [title],
      )
    })
  for (const { name, needsCrash, run } of cases) {
    test.skipIf(needsCrash)(name, () => inside(name, run))
  }
  for (const { name, run } of driverCases) test(name, () => inside(name, run))
})

describe('D1', () => {
  const migrate = async (): Promise<void> => {
    for (const statement of d1Schema) await DB.prepare(statement).run()
  }
  beforeAll(migrate)
  const bench: Bench = {
    lk,
    migrate,
    async open(key): Promise<Opened> {
      let next: 'done' | 'lost answer' | 'refused' = 'done'
      const failing = {
        prepare: (query: string) => ({
          bind: (...values: unknown[]) => ({
            async all() {
              const how = query.startsWith('SELECT') ? 'done' : next
              if (how !== 'done') next = 'done'
              if (how === 'refused') throw new Error('D1_ERROR: it was not sent')
              const answer = await DB.prepare(query)
                .bind(...values)
                .all()
              if (how === 'lost answer') throw new Error('D1_ERROR: Network connection lost.')
              return answer
            },
          }),
        }),
      }
      return {
        store: d1Store(failing, { key }),
        other: d1Store(DB, { key }),
        loseAnswer() {
          next = 'lost answer'
        },
        refuse() {
          next = 'refused'
        },
        async spoil(column) {
          await DB.prepare(spoilStatement(column)).bind(JSON.stringify(key)).run()
        },
      }
    },
  }
  // A database that is somebody else's process is not ended here: PostgreSQL and the object stand for that.
  for (const { name, needsCrash, run } of cases) {
    test.skipIf(needsCrash)(name, () => run(bench, ['store', name]))
  }
  for (const { name, run } of driverCases) test(name, () => run(bench, ['driver', name]))
})
