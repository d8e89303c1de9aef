import type { Condition, Store, Stored, Written } from '../connection-types.ts'
import type { Contract } from '../refresh-types.ts'
import { sqlite, sqliteSchema, Statements, toStored, type Column } from './table.ts'

/** The part of a `D1Database` that is used. */
export interface D1DatabaseLike {
  prepare(query: string): {
    bind(...values: unknown[]): { all(): Promise<{ results: Record<string, unknown>[] }> }
  }
}

export interface D1Options {
  /** Tells this connection from every other of the database: tenant, owner, provider. */
  readonly key: readonly string[]
  /** Default `none`: in a Worker a promise of one request may not be awaited in another. */
  readonly signal?: 'none' | 'process'
}

/** The statements that make the table; doing them again changes nothing. */
export const schema: readonly string[] = [sqliteSchema]

/** A record has at most 2 MB; a query outside of a session goes to the primary. */
export const contract: Contract = Object.freeze({
  cas: true,
  strongRead: true,
  negativeCache: false,
  minTtlMs: 0,
  maxValue: 2_000_000,
})

/** A connection in D1. Pass the database itself, not a session: a session may read from a replica. */
export function d1Store(database: D1DatabaseLike, { key, signal = 'none' }: D1Options): Store {
  const statements = new Statements(key, sqlite)
  const all = async ({ text, values }: { text: string; values: unknown[] }) =>
    (
      await database
        .prepare(text)
        .bind(...values)
        .all()
    ).results
  return {
    contract,
    signal,
    async read(): Promise<Stored | undefined> {
      const [row] = await all(statements.read)
      // D1 gives a blob as a list of numbers.
      return row && toStored(row as Record<Column, unknown>, (value) => Uint8Array.from(value as number[]))
    },
    async write(condition: Condition, next: Stored | null): Promise<Written> {
      try {
        return (await all(statements.write(condition, next))).length === 1 ? 'stored' : 'lost'
      } catch {
        // Whether it was done before the answer was lost, nobody says.
        return 'unknown'
      }
    },
  }
}
