/** The epoch of a connection's capabilities: what was made before it was raised is dead. */

/** No capability made before lives longer: four hours, on a clock that may be a minute ahead. */
const longestCapabilityMs = 4 * 3_600_000 + 60_000

export const epochSchema = `
  CREATE TABLE IF NOT EXISTS epoch (
    until INTEGER NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (until)) WITHOUT ROWID;
`

export const epochOf = (sql: SqlStorage): number =>
  sql.exec<{ value: number }>('SELECT value FROM epoch').toArray()[0]?.value ?? 0

/** Seconds, so that a later one is higher even where this one is forgotten. Returns when it may be. */
export function raiseEpoch(sql: SqlStorage, now: number): number {
  const until = now + longestCapabilityMs
  const value = Math.max(Math.floor(now / 1_000), epochOf(sql) + 1)
  sql.exec('DELETE FROM epoch')
  sql.exec('INSERT INTO epoch VALUES (?, ?)', until, value)
  return until + 1
}

/** Returns when to come again. */
export function forgetEpoch(sql: SqlStorage, now: number): number | null {
  sql.exec('DELETE FROM epoch WHERE until < ?', now)
  const { until } = sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM epoch').one()
  return until === null ? null : until + 1
}
