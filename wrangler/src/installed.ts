/**
 * Where an app is installed, as the person sees it whose connection this is: read with their token, good for as long as
 * an answer about access is, and known for a day where nobody can be asked any more.
 */
import type { App } from './app.ts'
import type { Installed } from './app-api.ts'
import type { EndTable } from './sweep.ts'

export const installations: EndTable = { kind: 'installed', table: 'installed', key: 'id' }

export const installedSchema = `
  CREATE TABLE IF NOT EXISTS installed (
    until INTEGER NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL COLLATE NOCASE, suspended INTEGER NOT NULL,
    writes INTEGER NOT NULL, PRIMARY KEY (until, id)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS listed (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), at INTEGER NOT NULL, until INTEGER NOT NULL);
`

/** Whether whoever knows is to be asked again. */
export function isListDue({ lk }: App, sql: SqlStorage, now: number): boolean {
  const [listed] = sql.exec<{ at: number }>('SELECT at FROM listed').toArray()
  const age = now - (listed?.at ?? 0)
  return listed === undefined || age < 0 || age >= lk.retention.lifetimes.access_cache
}

/** Whether anything is known still, be it old. */
export const isListed = (sql: SqlStorage, now: number): boolean =>
  sql.exec('SELECT 1 FROM listed WHERE until > ?', now).toArray().length > 0

/** In place of what was known; returns by when it has to be forgotten. */
export function keepInstalled({ lk }: App, sql: SqlStorage, all: readonly Installed[], now: number): number {
  const { expiresAt: until } = lk.retention.expiry(now, lk.retention.lifetimes.installed, now)
  sql.exec('DELETE FROM installed')
  for (const { id, account, suspended, writes } of all) {
    const flags = [suspended ? 1 : 0, writes ? 1 : 0]
    sql.exec('INSERT OR REPLACE INTO installed VALUES (?, ?, ?, ?, ?)', until, id, account, ...flags)
  }
  sql.exec('INSERT OR REPLACE INTO listed VALUES (1, ?, ?)', now, until)
  return until
}

/** As it was at that time. */
export interface Seen extends Installed {
  readonly at: number
}

/** Those of an account, without regard to ASCII case; the core takes as many as 64. */
export const findInstalled = ({ lk }: App, sql: SqlStorage, account: string, now: number): Seen[] =>
  sql
    .exec<{ until: number; id: string; account: string; suspended: number; writes: number }>(
      'SELECT until, id, account, suspended, writes FROM installed WHERE account = ? AND until > ? LIMIT 64',
      account,
      now,
    )
    .toArray()
    .map(({ until, suspended, writes, ...one }) => ({
      ...one,
      at: until - lk.retention.lifetimes.installed,
      suspended: suspended === 1,
      writes: writes === 1,
    }))

export function forgetInstalled(sql: SqlStorage): void {
  sql.exec('DELETE FROM installed')
  sql.exec('DELETE FROM listed')
}

/** Returns when to come again. */
export function sweepInstalled(sql: SqlStorage, now: number): number | null {
  sql.exec('DELETE FROM installed WHERE until <= ?', now)
  sql.exec('DELETE FROM listed WHERE until <= ?', now)
  return sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM listed').one().until
}
