/** Runs that use this connection: their threads are told when it has come to an end, as long as they go on. */
import type { RunCause } from 'latchkey'

const tellAgainMs = 5_000

export const watcherSchema = `
  CREATE TABLE IF NOT EXISTS run_watcher (
    until INTEGER NOT NULL, run TEXT NOT NULL, cause TEXT, PRIMARY KEY (until, run)) WITHOUT ROWID;
`

export function noteWatcher(sql: SqlStorage, run: string, until: number): void {
  sql.exec('INSERT OR REPLACE INTO run_watcher VALUES (?, ?, NULL)', until, run)
}

export function forgetWatcher(sql: SqlStorage, run: string): void {
  sql.exec('DELETE FROM run_watcher WHERE run = ?', run)
}

/** True while a run waits for news of this connection. */
export const isWatched = (sql: SqlStorage): boolean =>
  sql.exec('SELECT 1 FROM run_watcher WHERE cause IS NULL LIMIT 1').toArray().length > 0

/** Written down with the verdict, so that a crash in between only makes the news late. */
export function noteEnd(sql: SqlStorage, cause: RunCause): void {
  sql.exec('UPDATE run_watcher SET cause = ? WHERE cause IS NULL', cause)
}

/** A run ends once, however often its thread is told. One that does not answer is told again. */
export async function tellWatchers(
  sql: SqlStorage,
  tell: (run: string, cause: RunCause) => Promise<unknown>,
  arm: (at: number) => Promise<void> | void,
): Promise<void> {
  const told = sql
    .exec<{ run: string; cause: RunCause }>('SELECT run, cause FROM run_watcher WHERE cause IS NOT NULL')
    .toArray()
  await Promise.all(
    told.map(async ({ run, cause }) => {
      try {
        await tell(run, cause)
        forgetWatcher(sql, run)
      } catch {
        await arm(Date.now() + tellAgainMs)
      }
    }),
  )
  sql.exec('DELETE FROM run_watcher WHERE until <= ?', Date.now())
  const next = sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM run_watcher').one()
  if (next.until !== null) await arm(next.until)
}
