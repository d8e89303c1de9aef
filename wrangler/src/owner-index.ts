import { DurableObject } from 'cloudflare:workers'
import type { EraseOutcome, Owner } from 'latchkey'
import type { App } from './app.ts'
import type { Env } from './env.ts'
import { ownerIndexKeyOf, ownerIndexName, sessionName, threadName, type OwnerIndexKey } from './names.ts'
import { forgetRuns } from './run-index.ts'

export type Indexed = OwnerIndexKey['what']

/** `entry`: of this time that it was entered. */
type Row = { until: number; id: string; entry: string }

/**
 * One object per owner for sessions and one for threads: which of them there may be, so that all can be found. One is
 * entered before it is there, and taken out once it says that it is not.
 */
export class OwnerIndex extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #key: OwnerIndexKey

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#key = ownerIndexKeyOf(context.id.name ?? '')
    this.#sql = context.storage.sql
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS indexed (
        until INTEGER NOT NULL, id TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (until, id)) WITHOUT ROWID;
      CREATE UNIQUE INDEX IF NOT EXISTS indexed_id ON indexed (id)`,
    )
  }

  async add(id: string, until: number): Promise<void> {
    this.#sql.exec('INSERT OR REPLACE INTO indexed VALUES (?, ?, ?)', until, id, crypto.randomUUID())
    await this.#arm()
  }

  list(): string[] {
    return this.#rows(Infinity).map(({ id }) => id)
  }

  /** Removes all of them with everything in them; can be done twice. True when there was one. */
  async erase(): Promise<boolean> {
    const rows = this.#rows(Infinity)
    for (const { id } of rows) await this.#object(id).erase()
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
      const ends = await this.#object(id).endsAt()
      if (ends === null) this.#sql.exec('DELETE FROM indexed WHERE id = ? AND entry = ?', id, entry)
      else this.#sql.exec('UPDATE indexed SET until = ? WHERE id = ? AND entry = ?', ends, id, entry)
    }
  }

  #rows(now: number): Row[] {
    return this.#sql.exec<Row>('SELECT * FROM indexed WHERE until <= ?', now).toArray()
  }

  #object(id: string) {
    const { what, baseUrl, owner } = this.#key
    switch (what) {
      case 'sessions':
        return this.env.SESSION.getByName(sessionName(baseUrl, { owner, id }))
      case 'threads':
        return this.env.THREAD.getByName(threadName(baseUrl, owner, id))
    }
  }

  async #arm(): Promise<void> {
    const { until } = this.#sql
      .exec<{ until: number | null }>('SELECT min(until) AS until FROM indexed')
      .one()
    if (until !== null) await this.ctx.storage.setAlarm(until + 1)
  }
}

export const ownerIndexOf = (env: Env, what: Indexed, baseUrl: string, owner: Owner) =>
  env.OWNER_INDEX.getByName(ownerIndexName(what, baseUrl, owner))

/** The step of an erasure that is for sessions. */
export const eraseSessions = async ({ env, config }: App, owner: Owner): Promise<EraseOutcome> =>
  (await ownerIndexOf(env, 'sessions', config.baseUrl, owner).erase()) ? 'done' : 'absent'

/** The same for runs, in their threads and in the index that operators search. */
export async function eraseRuns({ env, lk, config }: App, owner: Owner): Promise<EraseOutcome> {
  const erased = await ownerIndexOf(env, 'threads', config.baseUrl, owner).erase()
  await forgetRuns(env, lk.guard.key(['owner', owner.kind, owner.id]))
  return erased ? 'done' : 'absent'
}
