import type { Condition, Store, Stored } from '../connection-types.ts'
import type { Contract } from '../refresh-types.ts'
import { sqlite, sqliteSchema, Statements, toStored, type Column } from './table.ts'

/** The part of a Durable Object's `SqlStorage` that is used. */
export interface SqlStorageLike {
  exec(query: string, ...bindings: any[]): { toArray(): Record<string, unknown>[] }
}

export interface SqliteOptions {
  /** Tells this connection from others in the same object; default: there is one. */
  readonly key?: readonly string[]
}

/** The statements that make the table; doing them again changes nothing. */
export const schema: readonly string[] = [sqliteSchema]

/** A record has at most 2 MB; nothing is cached, and an object is the one writer of its storage. */
export const contract: Contract = Object.freeze({
  cas: true,
  strongRead: true,
  negativeCache: false,
  minTtlMs: 0,
  maxValue: 2_000_000,
})

/**
 * A connection in a Durable Object's SQLite, which answers at once. What is sent after a write leaves the object only
 * when the write is durable.
 */
export function sqliteStore(sql: SqlStorageLike, { key = [] }: SqliteOptions = {}): Store {
  const statements = new Statements(key, sqlite)
  const { text, values } = statements.read
  return {
    contract,
    signal: 'sole',
    read(): Stored | undefined {
      const [row] = sql.exec(text, ...values).toArray()
      return row && toStored(row as Record<Column, unknown>, (value) => new Uint8Array(value as ArrayBuffer))
    },
    write(condition: Condition, next: Stored | null) {
      const statement = statements.write(condition, next)
      try {
        return sql.exec(statement.text, ...statement.values).toArray().length === 1 ? 'stored' : 'lost'
      } catch {
        // A statement is done as a whole or not at all, and this one was not.
        return 'failed'
      }
    },
  }
}
