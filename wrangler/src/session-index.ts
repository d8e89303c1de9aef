import { DurableObject } from 'cloudflare:workers'
import type { EraseOutcome, Owner } from 'latchkey'
import type { App } from './app.ts'
import type { Env } from './env.ts'
import { sessionIndexKeyOf, sessionIndexName, sessionName, type SessionIndexKey } from './names.ts'

/** `entry`: of this time that it was entered. */
type Row = { until: number; id: string; entry: string }

/**
 * One object per owner: which sessions there may be, so that all of them can be found. A session is entered before it is
 * there, and taken out once it says that it is not.
 */
export class SessionIndex extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #key: SessionIndexKey

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#key = sessionIndexKeyOf(context.id.name ?? '')
    this.#sql = context.storage.sql
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS session (
        until INTEGER NOT NULL, id TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (until, id)) WITHOUT ROWID;
      CREATE UNIQUE INDEX IF NOT EXISTS session_id ON session (id)`,
    )
  }

  async add(id: string, until: number): Promise<void> {
    this.#sql.exec('INSERT OR REPLACE INTO session VALUES (?, ?, ?)', until, id, crypto.randomUUID())
    await this.#arm()
  }

  list(): string[] {
    return this.#rows(Infinity).map(({ id }) => id)
  }

  /** Removes all of them with everything in them; can be done twice. True when there was one. */
  async erase(): Promise<boolean> {
    const rows = this.#rows(Infinity)
    for (const { id } of rows) await this.#session(id).erase()
    await this.#ask(rows)
    return rows.length > 0
  }

  override async alarm(): Promise<void> {
    await this.#ask(this.#rows(Date.now()))
    await this.#arm()
  }

  /** One that was entered again meanwhile stays as it is. */
  async #ask(rows: readonly Row[]): Promise<void> {
    for (const { id, entry } of rows) {
      const ends = await this.#session(id).endsAt()
      if (ends === null) this.#sql.exec('DELETE FROM session WHERE id = ? AND entry = ?', id, entry)
      else this.#sql.exec('UPDATE session SET until = ? WHERE id = ? AND entry = ?', ends, id, entry)
    }
  }

  #rows(now: number): Row[] {
    return this.#sql.exec<Row>('SELECT * FROM session WHERE until <= ?', now).toArray()
  }

  #session(id: string) {
    const { baseUrl, owner } = this.#key
    return this.env.SESSION.getByName(sessionName(baseUrl, { owner, id }))
  }

  async #arm(): Promise<void> {
    const { until } = this.#sql
      .exec<{ until: number | null }>('SELECT min(until) AS until FROM session')
      .one()
    if (until !== null) await this.ctx.storage.setAlarm(until + 1)
  }
}

export const sessionIndexOf = (env: Env, baseUrl: string, owner: Owner) =>
  env.SESSION_INDEX.getByName(sessionIndexName(baseUrl, owner))

/** The step of an erasure that is for sessions. */
export const eraseSessions = async ({ env, config }: App, owner: Owner): Promise<EraseOutcome> =>
  (await sessionIndexOf(env, config.baseUrl, owner).erase()) ? 'done' : 'absent'
