/** A Durable Object that holds records, for a store that is looked at from outside and ended at any moment. */
import { DurableObject } from 'cloudflare:workers'
import type { Condition, Stored, Written } from 'latchkey/connection'
import { schema, sqliteStore } from 'latchkey/stores/sqlite'

export class Box extends DurableObject {
  #refuses = false

  constructor(context: DurableObjectState, env: object) {
    super(context, env)
    this.migrate()
  }

  migrate(): void {
    for (const statement of schema) this.ctx.storage.sql.exec(statement)
  }

  read(key: readonly string[]): Stored | undefined {
    return sqliteStore(this.ctx.storage.sql, { key }).read() as Stored | undefined
  }

  write(key: readonly string[], condition: Condition, next: Stored | null): Written {
    const broken = { exec: () => this.ctx.storage.sql.exec('INSERT INTO no_such_table VALUES (1)') }
    const sql = this.#refuses ? broken : this.ctx.storage.sql
    this.#refuses = false
    return sqliteStore(sql, { key }).write(condition, next) as Written
  }

  /** The next write fails. */
  refuse(): void {
    this.#refuses = true
  }

  exec(statement: string, ...values: string[]): void {
    this.ctx.storage.sql.exec(statement, ...values)
  }
}

export default {
  fetch: (): Response => new Response(null, { status: 404 }),
}
