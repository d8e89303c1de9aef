/** An owner's revocation epoch, where it is kept: capabilities that were made before it are dead. */
import type { App } from './app.ts'

export const epochSchema = `
  CREATE TABLE IF NOT EXISTS epoch (
    until INTEGER NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (until)) WITHOUT ROWID;`

export const epochOf = (sql: SqlStorage): number =>
  sql.exec<{ value: number }>('SELECT value FROM epoch').toArray()[0]?.value ?? 0

/** Ends every capability so far; returns when the epoch can be forgotten. */
export function raiseEpoch(sql: SqlStorage, { lk }: App, now: number): number {
  const { epoch, keepUntil } = lk.capability.revoke(epochOf(sql), { now })
  sql.exec('DELETE FROM epoch')
  sql.exec('INSERT INTO epoch VALUES (?, ?)', keepUntil, epoch)
  return keepUntil
}

/** Forgets an epoch that nobody can need any more; returns when the one that is left can be forgotten. */
export function forgetEpoch(sql: SqlStorage, now: number): number | null {
  sql.exec('DELETE FROM epoch WHERE until <= ?', now)
  return sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM epoch').one().until
}
