/** Records that are over go a batch at a time, and whoever waits gets their turn between two of them. */
import type { Latchkey, RecordKind, SweepCursor } from 'latchkey'
import type { Holding } from './ledger.ts'

/** Where records of one kind lie. */
export interface Lane {
  readonly kind: RecordKind
  /** Removes at most `limit` of those whose end is `<= before`, the first ones first, and says how many. */
  remove(before: number, limit: number): number | Promise<number>
}

export interface Swept {
  readonly removed: number
  /** Where the next sweep goes on. */
  readonly cursor: SweepCursor
  /** When it does: at once where the budget was spent and there may be more. */
  readonly nextAt: number
  readonly finished: boolean
}

/**
 * Within an object's own storage. To end a transaction and let others in costs as much as to remove thousands of rows
 * that lie in the order of their end: ten of the core's batches are one here, and still over in a millisecond or so.
 */
export const ownStorage = { rows: 20_000, batch: 2_000 } as const

export interface SweepOptions {
  readonly cursor?: SweepCursor | undefined
  readonly now?: number
  readonly rows?: number
  readonly batch?: number
}

/** One sweep, up to its budget. What it does next is the core's decision. */
export async function sweep(
  lk: Latchkey,
  lanes: readonly Lane[],
  { cursor, now = Date.now(), ...budget }: SweepOptions = {},
): Promise<Swept> {
  const byKind = new Map(lanes.map((lane) => [lane.kind, lane]))
  let at = cursor
  let gone = 0
  let removed = 0
  for (;;) {
    const step = lk.retention.sweep(byKind.keys(), at, gone, now, budget)
    at = step.cursor
    if (step.action !== 'batch')
      return { removed, cursor: at, nextAt: step.nextAt, finished: step.action === 'finished' }
    gone = (await byKind.get(step.kind)?.remove(step.before, step.limit)) ?? 0
    removed += gone
    // Only a timer lets in what comes from outside; a batch that was not full is the last one of its lane.
    if (gone === step.limit) await scheduler.wait(0)
  }
}

/** A table whose primary key is (`until`, `key`): the order of its rows is the order of their end. */
export interface EndTable {
  readonly kind: RecordKind
  readonly table: string
  readonly key: string
}

export const endTable = ({ table, key }: EndTable): string =>
  `CREATE TABLE IF NOT EXISTS ${table} (
    until INTEGER NOT NULL, ${key} TEXT NOT NULL, PRIMARY KEY (until, ${key})) WITHOUT ROWID;`

export function laneOf(sql: SqlStorage, { kind, table, key }: EndTable): Lane {
  return {
    kind,
    remove(before, limit) {
      const [last] = sql
        .exec<{ until: number; key: string }>(
          `SELECT until, ${key} AS key FROM ${table} WHERE until <= ? ORDER BY until, ${key} LIMIT 1 OFFSET ?`,
          before,
          limit - 1,
        )
        .toArray()
      // Everything up to the last row of the batch: one range of the key, nothing is looked up twice.
      if (last)
        sql.exec(
          `DELETE FROM ${table} WHERE until <= ?1 AND (until < ?1 OR ${key} <= ?2)`,
          last.until,
          last.key,
        )
      else sql.exec(`DELETE FROM ${table} WHERE until <= ?`, before)
      return sql.exec<{ n: number }>('SELECT changes() AS n').one().n
    },
  }
}

/** When the first of a table's records is over; null when there is none. */
export const firstEnd = (sql: SqlStorage, { table }: EndTable): number | null =>
  sql.exec<{ until: number | null }>(`SELECT min(until) AS until FROM ${table}`).one().until

/** The end that a record of this key says, unless it is over, swept or not. */
export function standing(
  sql: SqlStorage,
  { table, key }: EndTable,
  value: string,
  now: number,
): number | undefined {
  const [row] = sql.exec<{ until: number }>(`SELECT until FROM ${table} WHERE ${key} = ?`, value).toArray()
  return row && row.until > now ? row.until : undefined
}

/** What the ledger is told of a table; `lifeMs` is how long before their end its records were made. */
export function holdingOf(sql: SqlStorage, { kind, table }: EndTable, lifeMs: number): Holding {
  const { count, until } = sql
    .exec<{ count: number; until: number | null }>(
      `SELECT count(*) AS count, min(until) AS until FROM ${table}`,
    )
    .one()
  return { kind, count, oldest: until === null ? null : until - lifeMs, nextDue: until }
}
