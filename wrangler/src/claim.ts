import { DurableObject } from 'cloudflare:workers'
import type { Owner, SweepCursor } from 'latchkey'
import { openApp } from './app.ts'
import type { Env } from './env.ts'
import { report } from './ledger.ts'
import { accountOf, vaultName } from './names.ts'
import {
  endTable,
  firstEnd,
  holdingOf,
  laneOf,
  ownStorage,
  standing,
  sweep,
  type EndTable,
  type Lane,
} from './sweep.ts'

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

/** What a provider has said already, and when each holder is asked whether it still is one. */
const deliveries: EndTable = { kind: 'delivery', table: 'delivery', key: 'key' }
const checks: EndTable = { kind: 'claim', table: 'check_holder', key: 'holder' }

/**
 * One object per provider account: which connections hold it. A person may connect one account for themselves and
 * for an organisation; a second person may not connect it at all, except for an owner that has it already.
 */
export class AccountClaim extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #name: string
  #cursor: SweepCursor | undefined

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#name = context.id.name ?? ''
    this.#sql = context.storage.sql
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS holder (
        kind TEXT NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
      ${endTable(deliveries)}
      ${endTable(checks)}`,
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
    this.#checkLater(owner)
    await this.#arm()
    this.#tell()
    return true
  }

  release(owner: Owner): void {
    this.#sql.exec('DELETE FROM holder WHERE kind = ? AND id = ?', owner.kind, owner.id)
    this.#sql.exec('DELETE FROM check_holder WHERE holder = ?', keyOf(owner))
    this.#tell()
  }

  /**
   * Ends every connection to the account and says how many there were. A delivery counts as handled only when all of it
   * has been, and to handle it twice changes nothing.
   */
  async end({ provider, account, at, once }: AccountEnd): Promise<number> {
    if (standing(this.#sql, deliveries, once.key, Date.now()) !== undefined) return 0
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
    await this.#arm()
    this.#tell()
    return ended.filter(Boolean).length
  }

  /** Forgets deliveries that no provider sends again, and holders that no longer hold. */
  override async alarm(): Promise<void> {
    const { lk } = openApp(this.env)
    const lanes = [laneOf(this.#sql, deliveries), this.#holders()]
    const swept = await sweep(lk, lanes, { cursor: this.#cursor, ...ownStorage })
    this.#cursor = swept.cursor
    await this.#arm(swept.finished ? null : swept.nextAt)
    this.#tell()
  }

  /** A holder that could not say that it is none any more is found out; one that still is begins again. */
  #holders(): Lane {
    return {
      kind: 'claim',
      remove: async (before, limit) => {
        const due = this.#sql
          .exec<{ holder: string }>(
            'SELECT holder FROM check_holder WHERE until <= ? ORDER BY until LIMIT ?',
            before,
            // Each is asked, and an object may ask only so often at a time; the alarm comes again for the others.
            Math.min(limit, 50),
          )
          .toArray()
        const { provider, accountId } = accountOf(this.#name)
        const { config } = openApp(this.env)
        for (const { holder } of due) {
          const owner = JSON.parse(holder) as Owner
          const vault = this.env.VAULT.getByName(vaultName(config.baseUrl, { owner, provider }))
          if (await vault.holds(accountId)) this.#checkLater(owner)
          else this.release(owner)
        }
        return due.length
      },
    }
  }

  #checkLater(owner: Owner): void {
    const { lk } = openApp(this.env)
    const now = Date.now()
    const { expiresAt } = lk.retention.expiry(now, lk.retention.lifetimes.claim, now)
    this.#sql.exec('DELETE FROM check_holder WHERE holder = ?', keyOf(owner))
    this.#sql.exec('INSERT INTO check_holder VALUES (?, ?)', expiresAt, keyOf(owner))
  }

  async #arm(soon: number | null = null): Promise<void> {
    const ends = [firstEnd(this.#sql, deliveries), firstEnd(this.#sql, checks), soon]
    const next = Math.min(...ends.filter((end) => end !== null))
    if (Number.isFinite(next)) await this.ctx.storage.setAlarm(next)
  }

  /** Tells the ledger what is here, after the answer. */
  #tell(): void {
    const { delivery, claim } = openApp(this.env).lk.retention.lifetimes
    const held = [holdingOf(this.#sql, deliveries, delivery), holdingOf(this.#sql, checks, claim)]
    this.ctx.waitUntil(report(this.env, this.#name, held))
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

const keyOf = ({ kind, id }: Owner): string => JSON.stringify({ kind, id })
