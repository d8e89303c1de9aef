/** Threads with a run that uses this connection: each is told when the connection has come to an end. */
import type { RunCause } from 'latchkey'

const tellAgainMs = 5_000

export const watcherSchema = `
  CREATE TABLE IF NOT EXISTS watcher (
    until INTEGER NOT NULL, thread TEXT NOT NULL, cause TEXT, PRIMARY KEY (until, thread)) WITHOUT ROWID;
`

export function noteWatcher(sql: SqlStorage, thread: string, until: number): void {
  sql.exec('DELETE FROM watcher WHERE thread = ? AND cause IS NULL', thread)
  sql.exec('INSERT OR REPLACE INTO watcher VALUES (?, ?, NULL)', until, thread)
}

export function forgetWatcher(sql: SqlStorage, thread: string): void {
  sql.exec('DELETE FROM watcher WHERE thread = ?', thread)
}

/** True while a run waits for news of this connection. */
export const isWatched = (sql: SqlStorage): boolean =>
  sql.exec('SELECT 1 FROM watcher WHERE cause IS NULL LIMIT 1').toArray().length > 0

/** Written down with the verdict, so that a crash in between only makes the news late. */
export function noteEnd(sql: SqlStorage, cause: RunCause): void {
  sql.exec('UPDATE watcher SET cause = ? WHERE cause IS NULL', cause)
}

/** Each thread ends its runs once, however often it is told. One that does not answer is told again. */
export async function tellWatchers(
  sql: SqlStorage,
  tell: (thread: string, cause: RunCause) => Promise<unknown>,
  arm: (at: number) => Promise<void> | void,
): Promise<void> {
  const told = sql
    .exec<{ thread: string; cause: RunCause }>('SELECT thread, cause FROM watcher WHERE cause IS NOT NULL')
    .toArray()
  await Promise.all(
    told.map(async ({ thread, cause }) => {
      try {
        await tell(thread, cause)
        sql.exec('DELETE FROM watcher WHERE thread = ? AND cause IS NOT NULL', thread)
      } catch {
        await arm(Date.now() + tellAgainMs)
      }
    }),
  )
  sql.exec('DELETE FROM watcher WHERE until <= ?', Date.now())
  const next = sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM watcher').one()
  if (next.until !== null) await arm(next.until)
}
