import type { Condition, Store, Stored } from '../connection-types.ts'
import type { Contract } from '../refresh-types.ts'
import { keyOf, sqlite, sqliteSchema, Statements, toStored, type Column } from './table.ts'

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
 * What is stored, as far as it is known, for all stores of one object: nobody else writes there, so it stays true until
 * one of them writes. An object whose writes do not become durable is taken down together with this.
 */
const known = new WeakMap<SqlStorageLike, Map<string, Stored | undefined>>()

/** Reads everything anew: for whoever has changed the table by other means. */
export function forget(sql: SqlStorageLike): void {
  known.get(sql)?.clear()
}

/**
 * A connection in a Durable Object's SQLite, which answers at once. What is sent after a write leaves the object only
 * when the write is durable.
 */
export function sqliteStore(sql: SqlStorageLike, { key = [] }: SqliteOptions = {}): Store {
  const statements = new Statements(key, sqlite)
  const { text, values } = statements.read
  const name = keyOf(key)
  const records = known.get(sql) ?? new Map<string, Stored | undefined>()
  known.set(sql, records)
  return {
    contract,
    signal: 'sole',
    read(): Stored | undefined {
      if (records.has(name)) return records.get(name)
      const [row] = sql.exec(text, ...values).toArray()
      const bytes = (value: unknown): Uint8Array => new Uint8Array(value as ArrayBuffer)
      const record = row && toStored(row as Record<Column, unknown>, bytes)
      records.set(name, record)
      return record
    },
    write(condition: Condition, next: Stored | null) {
      const statement = statements.write(condition, next)
      records.delete(name)
      try {
        if (sql.exec(statement.text, ...statement.values).toArray().length !== 1) return 'lost'
        records.set(name, next ?? undefined)
        return 'stored'
      } catch {
        // A statement is done as a whole or not at all, and this one was not.
        return 'failed'
      }
    },
  }
}
