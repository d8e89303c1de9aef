import { DurableObject } from 'cloudflare:workers'
import type { Owner } from 'latchkey'
import { openApp } from './app.ts'
import type { Env } from './env.ts'
import { vaultName } from './names.ts'

export interface ClaimRequest {
  readonly provider: string
  readonly accountId: string
  readonly owner: Owner
  readonly subject: string
  /** The owner's connection is to this account already. */
  readonly renews: boolean
}

/** The provider says that the account's authorization has ended. */
export interface AccountEnd {
  readonly provider: string
  readonly account: string
  readonly at?: number
  /** The delivery that says so, and until when it has to be remembered. */
  readonly once: { readonly key: string; readonly until: number }
}

type Holder = { kind: Owner['kind']; id: string; subject: string }

/**
 * One object per provider account: which connections hold it. A person may connect one account for themselves and
 * for an organisation; a second person may not connect it at all, except for an owner that has it already.
 */
export class AccountClaim extends DurableObject<Env> {
  readonly #sql: SqlStorage

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#sql = context.storage.sql
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS holder (
        kind TEXT NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS delivery (
        until INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (until, key)) WITHOUT ROWID`,
    )
  }

  /** False when another person's connection holds the account. A holder that no longer does is forgotten. */
  async claim({ provider, accountId, owner, subject, renews }: ClaimRequest): Promise<boolean> {
    const { config } = openApp(this.env)
    // Between the last look and the insert nothing is awaited, so no other claim gets in between.
    for (let other = this.#other(owner, subject); other && !renews; other = this.#other(owner, subject)) {
      const key = { owner: { kind: other.kind, id: other.id }, provider }
      const vault = this.env.VAULT.getByName(vaultName(config.baseUrl, key))
      if (await vault.holds(accountId)) return false
      this.#sql.exec(
        'DELETE FROM holder WHERE kind = ? AND id = ? AND subject = ?',
        other.kind,
        other.id,
        other.subject,
      )
    }
    this.#sql.exec('INSERT OR REPLACE INTO holder VALUES (?, ?, ?)', owner.kind, owner.id, subject)
    return true
  }

  release(owner: Owner): void {
    this.#sql.exec('DELETE FROM holder WHERE kind = ? AND id = ?', owner.kind, owner.id)
  }

  /**
   * Ends every connection to the account and says how many there were. A delivery counts as handled only when all of it
   * has been, and to handle it twice changes nothing.
   */
  async end({ provider, account, at, once }: AccountEnd): Promise<number> {
    if (this.#sql.exec('SELECT 1 FROM delivery WHERE key = ?', once.key).toArray().length > 0) return 0
    const { config } = openApp(this.env)
    const holders = this.#sql.exec<Holder>('SELECT kind, id, subject FROM holder').toArray()
    const ended = await Promise.all(
      holders.map(({ kind, id }) =>
        this.env.VAULT.getByName(vaultName(config.baseUrl, { owner: { kind, id }, provider })).revoke({
          account,
          ...(at !== undefined && { at }),
        }),
      ),
    )
    this.#sql.exec('INSERT OR IGNORE INTO delivery VALUES (?, ?)', once.until, once.key)
    await this.alarm()
    return ended.filter(Boolean).length
  }

  /** Forgets deliveries that no provider sends again. */
  override async alarm(): Promise<void> {
    this.#sql.exec('DELETE FROM delivery WHERE until < ?', Date.now())
    const next = this.#sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM delivery').one()
    if (next.until !== null) await this.ctx.storage.setAlarm(next.until + 1)
  }

  #other(owner: Owner, subject: string): Holder | undefined {
    return this.#sql
      .exec<Holder>(
        'SELECT kind, id, subject FROM holder WHERE subject <> ? AND NOT (kind = ? AND id = ?) LIMIT 1',
        subject,
        owner.kind,
        owner.id,
      )
      .toArray()[0]
  }
}
