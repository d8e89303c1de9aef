/**
 * What is stored where, for operators: each object says what it holds after a sweep. Never authority: what it says may
 * be old, and a Worker without the database does everything else as well.
 */
import type { RecordKind, SweepCursor } from 'latchkey'
import { openApp, type App } from './app.ts'
import type { Env } from './env.ts'
import { Refusal } from './refusal.ts'
import { sweep, type Lane } from './sweep.ts'

/** Records of one kind in one object; times in epoch milliseconds. */
export interface Holding {
  readonly kind: RecordKind
  readonly count: number
  /** When the oldest of them was made. */
  readonly oldest: number | null
  /** When the first of them is over. */
  readonly nextDue: number | null
}

/**
 * Who removes what is over: objects by their alarms and the cron by its sweep; the store itself, which is not asked how
 * many there are; nobody, because none are kept here.
 */
export type Remover = 'sweep' | 'store' | 'nobody'

export interface KindReport extends Holding {
  readonly removedBy: Remover
  /** How long such a record is kept. */
  readonly windowMs: number
  /** In how many objects. */
  readonly objects: number
  /** In how many of them something should have gone by now: its end lies more than one sweep back. */
  readonly overdue: number
  /** When the newest of these figures was taken. */
  readonly at: number | null
}

export interface RetentionReport {
  readonly at: number
  /** How often sweeps run at least. */
  readonly intervalMs: number
  /** False where no database is bound: then the windows are all that can be said. */
  readonly counted: boolean
  readonly kinds: readonly KindReport[]
  /** What is derived again from the key ring when it is needed, and so has no record. */
  readonly derived: readonly string[]
}

const schema = [
  `CREATE TABLE IF NOT EXISTS holdings (
    kind TEXT NOT NULL, object TEXT NOT NULL, count INTEGER NOT NULL, oldest INTEGER, next_due INTEGER,
    at INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, object)) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS holdings_end ON holdings (until)',
  `CREATE TABLE IF NOT EXISTS sweep_cursor (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), cursor TEXT NOT NULL, at INTEGER NOT NULL, removed INTEGER NOT NULL)`,
]
const prepared = new WeakSet<D1Database>()

/** Asks the database, where there is one; a database that is new gets its tables first. */
async function ask<T>(
  { INDEX: index }: Env,
  question: (index: D1Database) => Promise<T>,
): Promise<T | undefined> {
  if (!index) return undefined
  if (prepared.has(index)) {
    try {
      return await question(index)
    } catch {
      // Another database may be behind the binding by now: once more, from the start.
    }
  }
  await index.batch(schema.map((statement) => index.prepare(statement)))
  prepared.add(index)
  return await question(index)
}

/** Which object it is, without saying whose. */
const objectKey = ({ lk }: App, object: string): string => lk.guard.key(['ledger', object])

/** Notes what an object holds. Best effort: it never fails, and nothing waits for it to be right. */
export async function report(env: Env, object: string, holdings: readonly Holding[]): Promise<void> {
  try {
    const app = openApp(env)
    if (holdings.length === 0) return
    const now = Date.now()
    const key = objectKey(app, object)
    const { lifetimes, expiry } = app.lk.retention
    const noted = (index: D1Database) =>
      holdings.map(({ kind, count, oldest, nextDue }) => {
        if (count === 0)
          return index.prepare('DELETE FROM holdings WHERE kind = ? AND object = ?').bind(kind, key)
        // An object that is gone says nothing any more; its line goes a tombstone's life after it should have spoken.
        const until = expiry(Math.max(now, nextDue ?? now), lifetimes.tombstone, now).expiresAt
        return index
          .prepare(
            `INSERT INTO holdings VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, object) DO UPDATE SET
              count = excluded.count, oldest = excluded.oldest, next_due = excluded.next_due, at = excluded.at,
              until = excluded.until WHERE excluded.at >= at`,
          )
          .bind(kind, key, count, oldest, nextDue, now, until)
      })
    await ask(env, (index) => index.batch(noted(index)))
  } catch {
    console.warn(JSON.stringify({ event: 'ledger_failed' }))
  }
}

/** Takes the lines of these objects out; the last step of an erasure. True when there was one. */
export async function forget(app: App, objects: readonly string[]): Promise<boolean> {
  if (objects.length === 0) return false
  const results = await ask(app.env, (index) =>
    index.batch(
      objects.map((object) =>
        index.prepare('DELETE FROM holdings WHERE object = ?').bind(objectKey(app, object)),
      ),
    ),
  )
  return results?.some(({ meta }) => meta.changes > 0) ?? false
}

type Row = {
  kind: RecordKind
  count: number
  oldest: number | null
  nextDue: number | null
  objects: number
  overdue: number
  at: number
}

/** No limit of ours is counted over time. */
const removers = ({ env }: App): Readonly<Record<RecordKind, Remover>> => ({
  consumed_state: 'sweep',
  connect_link: 'sweep',
  access_cache: env.ACCESS ? 'store' : 'nobody',
  rejected_pair: 'sweep',
  run: 'sweep',
  delivery: 'sweep',
  rate_window: 'nobody',
  session: 'sweep',
  tombstone: 'sweep',
  counter: 'sweep',
  claim: 'sweep',
  app_token: 'sweep',
  installation: 'sweep',
  installed: 'sweep',
  acting: 'sweep',
})

/** The interval of sweeps, as the core has it. */
const intervalMs = ({ lk }: App): number => {
  const step = lk.retention.sweep([], undefined, 0, 0)
  return step.action === 'batch' ? 0 : step.nextAt
}

/** Every kind of record: how long it is kept, how many there are, and what is due. */
export async function readRetention(app: App, now = Date.now()): Promise<RetentionReport> {
  const { lifetimes } = app.lk.retention
  const interval = intervalMs(app)
  const rows = await ask(app.env, (index) =>
    index
      .prepare(
        `SELECT kind, sum(count) AS count, min(oldest) AS oldest, min(next_due) AS nextDue, count(*) AS objects,
          sum(CASE WHEN next_due < ? THEN 1 ELSE 0 END) AS overdue, max(at) AS at FROM holdings GROUP BY kind`,
      )
      .bind(now - interval)
      .all<Row>(),
  )
  const byKind = new Map(rows?.results.map((row) => [row.kind, row]))
  const removedBy = removers(app)
  const none = { count: 0, oldest: null, nextDue: null, objects: 0, overdue: 0, at: null }
  return {
    at: now,
    intervalMs: interval,
    counted: rows !== undefined,
    kinds: (Object.entries(lifetimes) as [RecordKind, number][]).map(([kind, windowMs]) => ({
      ...none,
      ...byKind.get(kind),
      kind,
      windowMs,
      removedBy: removedBy[kind],
    })),
    derived: ['pkce_verifier'],
  }
}

/**
 * What the cron does: a budgeted sweep over the database, with the cursor kept in it, and one line in the log where an
 * object is overdue. Any number of them at the same time remove each row once.
 */
export async function sweepIndex(app: App, others: readonly Lane[] = []): Promise<void> {
  const { INDEX: index } = app.env
  const now = Date.now()
  const kept = await ask(app.env, (database) =>
    database.prepare('SELECT cursor FROM sweep_cursor WHERE slot = 1').first<{ cursor: string }>(),
  )
  if (!index) return
  const lines: Lane = {
    kind: 'tombstone',
    async remove(before, limit) {
      const { meta } = await index
        .prepare(
          `DELETE FROM holdings WHERE (kind, object) IN
            (SELECT kind, object FROM holdings WHERE until <= ? ORDER BY until LIMIT ?)`,
        )
        .bind(before, limit)
        .run()
      return meta.changes
    },
  }
  const cursor = kept ? cursorOf(kept.cursor) : undefined
  const swept = await sweep(app.lk, [lines, ...others], { cursor, now })
  await index
    .prepare('INSERT OR REPLACE INTO sweep_cursor VALUES (1, ?, ?, ?)')
    .bind(JSON.stringify(swept.cursor), now, swept.removed)
    .run()
  const { kinds } = await readRetention(app, now)
  const overdue = kinds
    .filter((kind) => kind.overdue > 0)
    .map(({ kind, overdue: objects }) => ({ kind, objects }))
  if (overdue.length > 0) console.error(JSON.stringify({ event: 'retention_overdue', overdue }))
  console.log(JSON.stringify({ event: 'swept', removed: swept.removed, finished: swept.finished }))
}

/** Any numbers are a cursor; what is none begins anew. */
function cursorOf(text: string): SweepCursor | undefined {
  const cursor = JSON.parse(text) as SweepCursor
  const { pending, lane, asked, spent } = cursor
  return [pending, lane, asked, spent].every((number) => Number.isSafeInteger(number)) ? cursor : undefined
}

/** For operators: the application's own monitoring, and in development whoever is signed in. */
export function operatorsOnly(app: App, kind: string): void {
  if (kind !== 'service' && !app.config.dev) throw new Refusal('not_allowed')
}
