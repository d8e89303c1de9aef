/** States that were used up, and the time before which every one is. */
import { endTable, type EndTable } from './sweep.ts'

export const consumed: EndTable = { kind: 'consumed_state', table: 'consumed', key: 'nonce' }

export const usedStateSchema = `
  ${endTable(consumed)}
  CREATE TABLE IF NOT EXISTS block (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), at INTEGER NOT NULL, until INTEGER NOT NULL);
`

/** True for the first one who comes with it. */
export function useUp(sql: SqlStorage, nonce: string, until: number): boolean {
  const insert = 'INSERT INTO consumed VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING nonce'
  return sql.exec(insert, until, nonce).toArray().length === 1
}

/** Uses up whatever was issued up to then. */
export function blockStates(sql: SqlStorage, at: number, until: number): void {
  sql.exec('INSERT OR REPLACE INTO block VALUES (1, ?, ?)', at, until)
}

/** A state from before an erasure began is used up by it. */
export function isBlocked(sql: SqlStorage, issuedAt: number): boolean {
  const [block] = sql.exec<{ at: number; until: number }>('SELECT at, until FROM block').toArray()
  return block !== undefined && block.until > Date.now() && issuedAt <= block.at
}

/** Returns when to come again. */
export function forgetBlock(sql: SqlStorage): number | null {
  sql.exec('DELETE FROM block WHERE until <= ?', Date.now())
  return sql.exec<{ until: number }>('SELECT until FROM block').toArray()[0]?.until ?? null
}
