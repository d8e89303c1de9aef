import type { Condition, Store, Stored, Written } from '../connection-types.ts'
import type { Contract } from '../refresh-types.ts'
import { Statements, table, toStored, type Column, type Dialect } from './table.ts'

/** Runs one statement outside of a transaction and gives its rows: `(text, values) => sql.unsafe(text, values)`. */
export type Query = (text: string, values: unknown[]) => PromiseLike<readonly object[]>

export interface PostgresOptions {
  /** Tells this connection from every other of the database: tenant, owner, provider. */
  readonly key: readonly string[]
  /** Default `none`: in a Worker a promise of one request may not be awaited in another. */
  readonly signal?: 'none' | 'process'
}

/** The statements that make the table; doing them again changes nothing. */
export const schema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${table} (
  key text PRIMARY KEY, id text NOT NULL, version bigint NOT NULL, epoch bigint NOT NULL, row bytea NOT NULL,
  access text NOT NULL, refresh text, held text, account text NOT NULL, scopes text NOT NULL, details text NOT NULL)`,
]

/** Of a primary; `maxValue` is what fits into one statement with ease. */
export const contract: Contract = Object.freeze({
  cas: true,
  strongRead: true,
  negativeCache: false,
  minTtlMs: 0,
  maxValue: 16_000_000,
})

/** Bytes cross as hexadecimal text, which every client library passes on alike. */
const dialect: Dialect = {
  parameter: (number) => `$${number}`,
  get: (column) => (column === 'row' ? `encode(row, 'hex')` : column),
  put: (column, parameter) => {
    if (column === 'row') return `decode(${parameter}::text, 'hex')`
    return column === 'version' || column === 'epoch' ? `${parameter}::bigint` : `${parameter}::text`
  },
  same: 'IS NOT DISTINCT FROM',
  // Hyperdrive caches reads, but none with a function that is volatile.
  readSuffix: ' AND clock_timestamp() IS NOT NULL',
  blob: toHex,
}

/**
 * The server said that it did not do the statement: a SQLSTATE, but none of those that come when a connection ends or
 * that say themselves that the end is not known. Or there was no connection to begin with.
 */
const certain = /^(?!08|57P0[1-4]|40003|58|XX)[0-9A-Z]{5}$/
const neverSent: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'CONNECT_TIMEOUT'])

function isCertain(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return neverSent.has(code) || (typeof code === 'string' && certain.test(code))
}

/** A connection in PostgreSQL, directly or through Hyperdrive. Queries must go to the primary. */
export function postgresStore(query: Query, { key, signal = 'none' }: PostgresOptions): Store {
  const statements = new Statements(key, dialect)
  const { text, values } = statements.read
  return {
    contract,
    signal,
    async read(): Promise<Stored | undefined> {
      const [row] = await query(text, values)
      return row && toStored(row as Record<Column, unknown>, fromHex)
    },
    async write(condition: Condition, next: Stored | null): Promise<Written> {
      const statement = statements.write(condition, next)
      try {
        return (await query(statement.text, statement.values)).length === 1 ? 'stored' : 'lost'
      } catch (error) {
        return isCertain(error) ? 'failed' : 'unknown'
      }
    },
  }
}

function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

function fromHex(value: unknown): Uint8Array {
  const text = value as string
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(i * 2, i * 2 + 2), 16)
  return bytes
}
