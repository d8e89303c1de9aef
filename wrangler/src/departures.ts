/**
 * Who has left the organisation whose vault this is, or may not connect for it any more: what they began before does not
 * end here after all.
 */

/** As long as a state may be on its way, on clocks that are a minute apart. */
const rememberMs = 11 * 60_000

export const departureSchema = `
  CREATE TABLE IF NOT EXISTS departure (
    until INTEGER NOT NULL, subject TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (until, subject)) WITHOUT ROWID;
`

/** Returns by when it has to be forgotten. */
export function noteDeparture(sql: SqlStorage, subject: string, at: number): number {
  sql.exec('DELETE FROM departure WHERE subject = ?', subject)
  sql.exec('INSERT INTO departure VALUES (?, ?, ?)', at + rememberMs, subject, at)
  return at + rememberMs
}

/** True for what a person began before they left; whoever comes back begins anew. */
export const isOfDeparted = (sql: SqlStorage, subject: string, beganAt: number): boolean =>
  sql.exec('SELECT 1 FROM departure WHERE subject = ? AND at >= ?', subject, beganAt).toArray().length > 0

/** Returns when to come again. */
export function forgetDepartures(sql: SqlStorage, now: number): number | null {
  sql.exec('DELETE FROM departure WHERE until < ?', now)
  return sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM departure').one().until
}
