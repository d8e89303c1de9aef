/**
 * Connections that an organisation's new one has taken the place of: the writer's own is read first and would hide it.
 * What is noted here is cleared at once, and again later where that did not work.
 */

export interface Shadow {
  readonly id: string
  /** What was connected after that stays. */
  readonly at: number
}

const againMs = 60_000
/** What could not be cleared for a day is left to its owner. */
const longestMs = 24 * 3_600_000

export const shadowSchema = `
  CREATE TABLE IF NOT EXISTS shadow (
    due INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (due, id)) WITHOUT ROWID;
`

export function noteShadow(sql: SqlStorage, { id, at }: Shadow): void {
  sql.exec('INSERT OR REPLACE INTO shadow VALUES (?, ?, ?)', at, id, at)
}

/** Clears what is due; returns when to come again. */
export async function clearShadows(
  sql: SqlStorage,
  now: number,
  clear: (shadow: Shadow) => Promise<void>,
): Promise<number | null> {
  const rows = sql
    .exec<{ due: number; id: string; at: number }>('SELECT due, id, at FROM shadow WHERE due <= ?', now)
    .toArray()
  for (const { due, id, at } of rows) {
    const isCleared = await clear({ id, at }).then(
      () => true,
      () => false,
    )
    sql.exec('DELETE FROM shadow WHERE due = ? AND id = ?', due, id)
    if (!isCleared && now - at < longestMs)
      sql.exec('INSERT OR REPLACE INTO shadow VALUES (?, ?, ?)', now + againMs, id, at)
  }
  return sql.exec<{ due: number | null }>('SELECT min(due) AS due FROM shadow').one().due
}
