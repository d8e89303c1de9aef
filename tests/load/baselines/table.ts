/** One row of a database, read and written by whoever comes; a lease on it is taken by a conditional update. */
import { DurableObject } from 'cloudflare:workers'
import type { Pair, ProviderVars as Env } from './token-request.ts'

type Row = {
  access_token: string
  refresh_token: string
  expires_at: number
  holder: string
  lease_until: number
}

export class Table extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#sql
      .exec(`CREATE TABLE IF NOT EXISTS pair (slot INTEGER PRIMARY KEY, access_token TEXT, refresh_token TEXT,
      expires_at INTEGER, holder TEXT NOT NULL DEFAULT '', lease_until INTEGER NOT NULL DEFAULT 0)`)
  }

  read(): Pair | undefined {
    const [row] = this.#sql.exec<Row>('SELECT * FROM pair').toArray()
    return (
      row && { accessToken: row.access_token, refreshToken: row.refresh_token, expiresAt: row.expires_at }
    )
  }

  write({ accessToken, refreshToken, expiresAt }: Pair): void {
    this.#sql.exec(
      `INSERT INTO pair (slot, access_token, refresh_token, expires_at) VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE
        SET access_token = excluded.access_token, refresh_token = excluded.refresh_token,
            expires_at = excluded.expires_at, holder = '', lease_until = 0`,
      accessToken,
      refreshToken,
      expiresAt,
    )
  }

  /** True for the one that has it now, until it writes or the time is over. */
  lease(holder: string, ms: number): boolean {
    const now = Date.now()
    const sql = 'UPDATE pair SET holder = ?, lease_until = ? WHERE lease_until <= ? RETURNING slot'
    return this.#sql.exec(sql, holder, now + ms, now).toArray().length === 1
  }

  free(holder: string): void {
    this.#sql.exec(`UPDATE pair SET holder = '', lease_until = 0 WHERE holder = ?`, holder)
  }
}
