/** A Durable Object that holds records, for a store that is looked at from outside and ended at any moment. */
import { DurableObject } from 'cloudflare:workers'
import type { Condition, Stored, Written } from 'latchkey/connection'
import { schema, sqliteStore } from 'latchkey/stores/sqlite'

export class Box extends DurableObject {
  #next: 'done' | 'lost answer' | 'refused' = 'done'

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
    const how = this.#next
    this.#next = 'done'
    const sql =
      how === 'refused'
        ? { exec: () => this.ctx.storage.sql.exec('INSERT INTO no_such_table VALUES (1)') }
        : this.ctx.storage.sql
    const written = sqliteStore(sql, { key }).write(condition, next) as Written
    if (how === 'lost answer') throw new Error('lost')
    return written
  }

  fail(how: 'lost answer' | 'refused'): void {
    this.#next = how
  }

  exec(statement: string, ...values: string[]): void {
    this.ctx.storage.sql.exec(statement, ...values)
  }
}

export default {
  fetch: (): Response => new Response(null, { status: 404 }),
}
