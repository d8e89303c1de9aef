import { DurableObject } from 'cloudflare:workers'
import type { EraseOutcome, Owner } from 'latchkey'
import { openApp, type App } from './app.ts'
import type { Env } from './env.ts'
import { forget } from './ledger.ts'
import { ownerIndexKeyOf, ownerIndexName, sessionName, threadName, type OwnerIndexKey } from './names.ts'
import { forgetRuns } from './run-index.ts'

export type Indexed = OwnerIndexKey['what']

/** So many calls lead to others at the same time, and so many are made for one erasure: a request has a limit. */
const side = 16
const mostErased = 256

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

  /**
   * Removes them with everything in them and what the ledger says of them. One that fails, or is one too many, stays
   * entered and keeps none of the others: asked again, it goes on with those that are left.
   */
  async erase(most = mostErased): Promise<EraseOutcome> {
    const app = openApp(this.env)
    const rows = this.#rows(Infinity)
    let left = rows.length
    for (let at = 0; at < Math.min(rows.length, most); at += side) {
      const gone = await Promise.all(
        rows.slice(at, Math.min(at + side, most)).map((row) => this.#eraseOne(row)),
      )
      const erased = gone.filter((row) => row !== undefined)
      await forget(
        app,
        erased.map(({ id }) => this.#name(id)),
      )
      await this.#ask(erased)
      left -= erased.length
    }
    if (left > 0) return 'failed'
    return rows.length > 0 ? 'done' : 'absent'
  }

  async #eraseOne(row: Row): Promise<Row | undefined> {
    try {
      await this.#object(row.id).erase()
      return row
    } catch {
      console.warn(JSON.stringify({ event: 'not_erased', what: this.#key.what }))
      return undefined
    }
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

  #name(id: string): string {
    const { what, baseUrl, owner } = this.#key
    return what === 'sessions' ? sessionName(baseUrl, { owner, id }) : threadName(baseUrl, owner, id)
  }

  #object(id: string) {
    const name = this.#name(id)
    return this.#key.what === 'sessions' ? this.env.SESSION.getByName(name) : this.env.THREAD.getByName(name)
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
export const eraseSessions = ({ env, config }: App, owner: Owner): Promise<EraseOutcome> =>
  ownerIndexOf(env, 'sessions', config.baseUrl, owner).erase()

/** The same for runs, in their threads and in the index that operators search. */
export async function eraseRuns({ env, lk, config }: App, owner: Owner): Promise<EraseOutcome> {
  const outcome = await ownerIndexOf(env, 'threads', config.baseUrl, owner).erase()
  await forgetRuns(env, lk.guard.key(['owner', owner.kind, owner.id]))
  return outcome
}
