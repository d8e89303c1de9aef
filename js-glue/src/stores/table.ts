import type { Condition, Stored } from '../connection-types.ts'

export const table = 'latchkey_connection'

/** What a store's columns hold beside the key, in this order everywhere. */
export const columns = [
  'id',
  'version',
  'epoch',
  'row',
  'access',
  'refresh',
  'held',
  'account',
  'scopes',
  'details',
] as const satisfies readonly (keyof Stored)[]

export type Column = (typeof columns)[number]

/** A key of several parts: no two lists of parts have the same. */
export const keyOf = (parts: readonly string[]): string => JSON.stringify(parts)

/** The parts of statements that differ between databases. */
export interface Dialect {
  /** The nth placeholder, counted from 1. */
  readonly parameter: (number: number) => string
  /** A column's value as a row of the answer has it, and a placeholder as the column takes it. */
  readonly get: (column: Column) => string
  readonly put: (column: Column, parameter: string) => string
  /** Equal, and null equal to null. */
  readonly same: string
  /** A condition that always holds, at the end of a read. */
  readonly readSuffix?: string
  readonly blob: (bytes: Uint8Array) => unknown
}

export interface Statement {
  readonly text: string
  readonly values: unknown[]
}

/**
 * The statements of a store. Each write is one statement that says in its answer whether it did anything: the swap
 * is the database's, whatever runs beside it.
 */
export class Statements {
  readonly read: Statement
  readonly #key: string
  readonly #dialect: Dialect

  constructor(key: readonly string[], dialect: Dialect) {
    this.#key = keyOf(key)
    this.#dialect = dialect
    const list = columns.map((column) => `${dialect.get(column)} AS "${column}"`).join(', ')
    this.read = {
      text: `SELECT ${list} FROM ${table} WHERE key = ${dialect.parameter(1)}${dialect.readSuffix ?? ''}`,
      values: [this.#key],
    }
  }

  write(condition: Condition, next: Stored | null): Statement {
    const values: unknown[] = [this.#key]
    const add = (column: Column, value: unknown): string => {
      values.push(column === 'row' ? this.#dialect.blob(value as Uint8Array) : value)
      return this.#dialect.put(column, this.#dialect.parameter(values.length))
    }
    const key = this.#dialect.parameter(1)
    if (condition.is === 'absent' && next !== null) {
      const taken = columns.map((column) => add(column, next[column])).join(', ')
      const text = `INSERT INTO ${table} (key, ${columns.join(', ')}) VALUES (${key}, ${taken})`
      return { text: `${text} ON CONFLICT (key) DO NOTHING RETURNING epoch`, values }
    }
    const set = next && columns.map((column) => `${column} = ${add(column, next[column])}`).join(', ')
    const where = `key = ${key} AND ${this.#holds(condition, add)} RETURNING epoch`
    return {
      text:
        set === null ? `DELETE FROM ${table} WHERE ${where}` : `UPDATE ${table} SET ${set} WHERE ${where}`,
      values,
    }
  }

  #holds(condition: Condition, add: (column: Column, value: unknown) => string): string {
    switch (condition.is) {
      case 'absent':
        return '1 = 0'
      case 'row':
        return (['id', 'version', 'epoch'] as const)
          .map((column) => `${column} = ${add(column, condition[column])}`)
          .join(' AND ')
      case 'corrupt':
        return columns
          .map((column) => `${column} ${this.#dialect.same} ${add(column, condition.record[column])}`)
          .join(' AND ')
    }
  }
}

/** A record as it was stored. */
export function toStored(
  row: Readonly<Record<Column, unknown>>,
  bytes: (value: unknown) => Uint8Array,
): Stored {
  return {
    id: row.id as string,
    version: Number(row.version),
    epoch: Number(row.epoch),
    row: bytes(row.row),
    access: row.access as string,
    refresh: row.refresh as string | null,
    held: row.held as string | null,
    account: row.account as string,
    scopes: row.scopes as string,
    details: row.details as string,
  }
}

const sqliteColumns = `
  key TEXT PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL, row BLOB NOT NULL,
  access TEXT NOT NULL, refresh TEXT, held TEXT, account TEXT NOT NULL, scopes TEXT NOT NULL, details TEXT NOT NULL`

/** STRICT: a column holds what it says, whoever writes. */
export const sqliteSchema = `CREATE TABLE IF NOT EXISTS ${table} (${sqliteColumns}) STRICT`

export const sqlite: Dialect = {
  parameter: (number) => `?${number}`,
  get: (column) => column,
  put: (_, parameter) => parameter,
  same: 'IS',
  blob: (bytes) => bytes.slice().buffer,
}
