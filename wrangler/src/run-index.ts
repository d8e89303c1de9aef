/** What operators search runs in. A copy of what the threads say, never authority; it may lag, and may not be there. */
import type { RunCause, RunStatus } from 'latchkey'
import type { Env } from './env.ts'
import type { Lane } from './sweep.ts'

export interface IndexedRun {
  readonly id: string
  /** A hash of who it belongs to. */
  readonly owner: string
  readonly thread: string
  readonly status: RunStatus
  readonly cause: RunCause | null
  readonly started: number
  readonly ended: number | null
}

const columns = 'id, owner, thread, status, cause, started, ended'
const tidied = 100

/** Where the table has been seen by this isolate. A promise would belong to the request that made it. */
const made = new WeakSet<Env>()

/** Does something in the database, with its table in it: after a failure once more, with a table made again. */
async function within<T>(env: Env, work: (database: D1Database) => Promise<T>): Promise<T | undefined> {
  if (!env.INDEX) return undefined
  if (made.has(env)) {
    try {
      return await work(env.INDEX)
    } catch {
      // Somebody has emptied it, or it was not there for a moment.
      made.delete(env)
    }
  }
  await make(env.INDEX)
  made.add(env)
  return await work(env.INDEX)
}

async function make(database: D1Database): Promise<void> {
  await database.batch(
    [
      `CREATE TABLE IF NOT EXISTS runs (
        expires INTEGER NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, thread TEXT NOT NULL, status TEXT NOT NULL,
        cause TEXT, started INTEGER NOT NULL, ended INTEGER, PRIMARY KEY (expires, id)) WITHOUT ROWID`,
      'CREATE UNIQUE INDEX IF NOT EXISTS runs_id ON runs (id)',
      'CREATE INDEX IF NOT EXISTS runs_started ON runs (started)',
    ].map((statement) => database.prepare(statement)),
  )
}

/**
 * Writes what a run is now; `expires` is when its record ends in the index too. A run that has ended stays ended: a
 * late write of its beginning changes nothing. What has expired goes on the way.
 */
export async function indexRun(env: Env, run: IndexedRun, expires: number): Promise<void> {
  const { id, owner, thread, status, cause, started, ended } = run
  await within(env, (database) =>
    database.batch([
      database
        .prepare(
          `INSERT INTO runs (expires, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, status = excluded.status,
           cause = excluded.cause, ended = excluded.ended WHERE runs.ended IS NULL`,
        )
        .bind(expires, id, owner, thread, status, cause, started, ended),
      tidy(database, Date.now(), tidied),
    ]),
  )
}

/** For the cron: what no write has tidied up, because none came. */
export const indexLane = (env: Env): Lane => ({
  kind: 'run',
  async remove(before, limit) {
    const result = await within(env, (database) => tidy(database, before, limit).run())
    return result?.meta.changes ?? 0
  },
})

const tidy = (database: D1Database, before: number, limit: number): D1PreparedStatement =>
  database
    .prepare(
      `DELETE FROM runs WHERE (expires, id) IN
         (SELECT expires, id FROM runs WHERE expires <= ? ORDER BY expires LIMIT ?)`,
    )
    .bind(before, limit)

/** Takes out everything of an owner, for an erasure. */
export async function forgetRuns(env: Env, owner: string): Promise<void> {
  await within(env, (database) => database.prepare('DELETE FROM runs WHERE owner = ?').bind(owner).run())
}

/** The newest first; nothing where there is no index. */
export async function indexedRuns(
  env: Env,
  { status, limit }: { status?: RunStatus; limit: number },
): Promise<IndexedRun[] | undefined> {
  return await within(env, async (database) => {
    const { results } = await database
      .prepare(
        `SELECT ${columns} FROM runs WHERE expires > ?1 AND (?2 IS NULL OR status = ?2) ORDER BY started DESC LIMIT ?3`,
      )
      .bind(Date.now(), status ?? null, limit)
      .all<IndexedRun>()
    return results
  })
}
