import { DurableObject } from 'cloudflare:workers'
import type { Owner } from 'latchkey'
import { openApp } from './app.ts'
import type { Env } from './env.ts'
import { report, type Holding } from './ledger.ts'
import { vaultName } from './names.ts'

/** What a link asks for, and on whose behalf. */
export interface LinkFacts {
  readonly provider: string
  readonly owner: Owner
  /** Who asked. */
  readonly subject: string
  readonly returnTo: string
}

export interface LinkStatus extends LinkFacts {
  readonly state: 'pending' | 'completed' | 'expired'
  readonly expiresAt: number
}

type Row = {
  provider: string
  owner_kind: Owner['kind']
  owner_id: string
  subject: string
  return_to: string
  expires_at: number
  state: LinkStatus['state']
}

const schema = `
  CREATE TABLE IF NOT EXISTS link (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), id TEXT NOT NULL, provider TEXT NOT NULL,
    owner_kind TEXT NOT NULL, owner_id TEXT NOT NULL, subject TEXT NOT NULL, return_to TEXT NOT NULL,
    expires_at INTEGER NOT NULL, state TEXT NOT NULL)`

/**
 * One object per connect link, found by the hash of its token: the token itself is nowhere. Whether the link was used is
 * decided by the vault that the connection goes to; this object remembers what came of it for as long again as the link
 * lived.
 */
export class ConnectLink extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #name: string

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#name = context.id.name ?? ''
    this.#sql = context.storage.sql
  }

  /** Begins the link's life; the vault learns that somebody may come. */
  async open(id: string, facts: LinkFacts): Promise<number> {
    const { lk } = openApp(this.env)
    // Not before: whoever tries addresses must leave nothing behind.
    this.#sql.exec(schema)
    const now = Date.now()
    const { expiresAt } = lk.retention.expiry(now, lk.retention.lifetimes.connect_link, now)
    const { provider, owner, subject, returnTo } = facts
    this.#sql.exec(
      'INSERT INTO link VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)',
      id,
      provider,
      owner.kind,
      owner.id,
      subject,
      returnTo,
      expiresAt,
      'pending',
    )
    await this.ctx.storage.setAlarm(expiresAt)
    await this.#vaultOf(facts).expect(id, expiresAt)
    this.ctx.waitUntil(report(this.env, this.#name, this.#holdings()))
    return expiresAt
  }

  /** What the link is now; null when there is none, or none any more. */
  async read(): Promise<LinkStatus | null> {
    const row = this.#row()
    if (!row) return null
    // The vault may have completed it without having been able to say so.
    const state = row.state === 'pending' && (await this.#isCompleted(row)) ? 'completed' : row.state
    const { lk } = openApp(this.env)
    const link = { state, expiresAt: row.expires_at, otherPending: true }
    return { ...factsOf(row), state: lk.retention.link(link, Date.now()).state, expiresAt: row.expires_at }
  }

  completed(): void {
    if (this.#row()) this.#sql.exec("UPDATE link SET state = 'completed'")
  }

  /** Whoever made it may not make such a one any more; what came of it before stays. True where it was theirs. */
  retract(subject: string): boolean {
    const row = this.#row()
    if (row?.state !== 'pending' || row.subject !== subject) return false
    this.#sql.exec("UPDATE link SET state = 'expired'")
    this.ctx.waitUntil(report(this.env, this.#name, this.#holdings()))
    return true
  }

  /** Its owner is erased: nothing of it stays. */
  async end(): Promise<void> {
    await this.#forget()
  }

  override async alarm(): Promise<void> {
    const row = this.#row()
    if (!row) return
    const { lk } = openApp(this.env)
    const now = Date.now()
    const memory = lk.retention.expiry(row.expires_at, lk.retention.lifetimes.connect_link, now)
    if (memory.expired) return await this.#forget()
    if (await this.#isCompleted(row)) this.completed()
    else await this.#expire(row, now)
    await this.ctx.storage.setAlarm(now < row.expires_at ? row.expires_at : memory.expiresAt)
    await report(this.env, this.#name, this.#holdings())
  }

  /** T73: what waits for another link too goes on waiting. */
  async #expire({ id, state, expires_at: expiresAt, ...row }: Row & { id: string }, now: number) {
    const { lk } = openApp(this.env)
    const vault = this.#vaultOf(factsOf({ state, expires_at: expiresAt, ...row }))
    const otherPending = await vault.othersExpected(id)
    const verdict = lk.retention.link({ state, expiresAt, otherPending }, now)
    if (verdict.state !== 'expired' || verdict.reason === 'settled') return
    await vault.unexpect(verdict.endConnection ? null : id)
    this.#sql.exec("UPDATE link SET state = 'expired' WHERE state = 'pending'")
  }

  async #isCompleted(row: Row & { id: string }): Promise<boolean> {
    return row.state === 'completed' || (await this.#vaultOf(factsOf(row)).isLinked(row.id))
  }

  async #forget(): Promise<void> {
    await this.ctx.storage.deleteAlarm()
    await this.ctx.storage.deleteAll()
    await report(this.env, this.#name, this.#holdings())
  }

  #row(): (Row & { id: string }) | undefined {
    const isThere = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'link'"
    if (this.#sql.exec(isThere).toArray().length === 0) return undefined
    return this.#sql.exec<Row & { id: string }>('SELECT * FROM link').toArray()[0]
  }

  #holdings(): Holding[] {
    const row = this.#row()
    const life = openApp(this.env).lk.retention.lifetimes.connect_link
    return [
      {
        kind: 'connect_link',
        count: row ? 1 : 0,
        oldest: row ? row.expires_at - life : null,
        nextDue: row ? (row.state === 'pending' ? row.expires_at : row.expires_at + life) : null,
      },
    ]
  }

  #vaultOf({ owner, provider }: LinkFacts) {
    const { config } = openApp(this.env)
    return this.env.VAULT.getByName(vaultName(config.baseUrl, { owner, provider }))
  }
}

const factsOf = ({
  provider,
  owner_kind: kind,
  owner_id: id,
  subject,
  return_to: returnTo,
}: Row): LinkFacts => ({
  provider,
  owner: { kind, id },
  subject,
  returnTo,
})
