import { DurableObject } from 'cloudflare:workers'
import type { Standing, SweepCursor } from 'latchkey'
import { Connection, type EndResult, type News, type Status, type TokenResult } from 'latchkey/connection'
import { schema as connectionSchema, sqliteStore } from 'latchkey/stores/sqlite'
import { openApp, providerNamed, redirectUri, type App } from './app.ts'
import { authorizationServer } from './authorization-server.ts'
import { count, flushSoon } from './counters.ts'
import type { Env } from './env.ts'
import { report, type Holding } from './ledger.ts'
import { claimName, connectionKeyOf, linkName, type ConnectionKey } from './names.ts'
import { exchangeCode, readAccount, type LoginTokens } from './oauth.ts'
import { codeOf, type Code } from './refusal.ts'
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

/** What is said of a connection that is none. */
export const nothing = {
  account: null,
  connectedAt: null,
  expiresAt: null,
  refreshAt: null,
  generation: null,
  awaitedUntil: null,
} as const satisfies Partial<ConnectionStatus>

/** What a verified callback asks for. */
export interface Completion {
  readonly subject: string
  readonly nonce: string
  /** Until when the nonce must be remembered; after that the state has expired anyway. */
  readonly until: number
  readonly code: string
  readonly codeVerifier: string
  readonly state: string
  readonly stateIssuedAt: number
  readonly stateExpiresAt: number
  /** The connect link that asked for it. */
  readonly link?: string
}

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: Code }

export interface Generation {
  readonly id: string
  readonly version: number
}

export interface ConnectionStatus {
  readonly account: string | null
  readonly status: Standing | 'corrupt'
  readonly scopes: string[]
  readonly connectedAt: number | null
  readonly expiresAt: number | null
  /** By when the token is renewed; null: it is not, or has no end. */
  readonly refreshAt: number | null
  readonly generation: Generation | null
  /** Until when somebody may come who was sent a link for it. */
  readonly awaitedUntil: number | null
}

/** What the application keeps beside a connection. */
interface Details {
  readonly subject: string
  readonly label: string
  readonly connectedAt: number
  readonly state: string
  readonly stateExpiresAt: number
  readonly link?: string
}

/** The provider says that an account's authorization has ended. */
export interface Revocation {
  readonly account: string
  /** When it happened, where it is known: a later login stays. */
  readonly at?: number
}

/** States that were used up, and links that somebody may come with. */
const consumed: EndTable = { kind: 'consumed_state', table: 'consumed', key: 'nonce' }
const awaited: EndTable = { kind: 'connect_link', table: 'awaited', key: 'link' }
/** And all that somebody could come with: for as long as anything is known of them. */
const links: EndTable = { kind: 'connect_link', table: 'links', key: 'link' }

const schema = `
  ${endTable(consumed)}
  ${endTable(awaited)}
  ${endTable(links)}
  CREATE TABLE IF NOT EXISTS block (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), at INTEGER NOT NULL, until INTEGER NOT NULL);
  ${connectionSchema.join(';')};
`

/**
 * One object per owner and provider: it uses states up and holds the sealed credential. What becomes of the credential
 * is decided by the core; nothing this object sends leaves before what it wrote is durable.
 */
export class Vault extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #key: ConnectionKey
  #opened: Connection | undefined
  #alarmAt: number | null | undefined
  /** Accounts that a running completion has claimed but not stored yet. */
  readonly #claiming = new Map<string, number>()
  /** Links that a running completion came with. */
  readonly #linking = new Set<string>()
  #cursor: SweepCursor | undefined

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#key = connectionKeyOf(context.id.name ?? '')
    this.#sql = context.storage.sql
    this.#sql.exec(schema)
  }

  /** Uses the state up first; only the one that did goes on to the exchange. Stores all or nothing. */
  async complete(completion: Completion): Promise<Outcome> {
    if (!(await this.#consume(completion.nonce, completion.until)))
      return { ok: false, code: 'state_consumed' }
    if (this.#isBlocked(completion.stateIssuedAt)) return { ok: false, code: 'state_consumed' }
    try {
      return await this.#once(completion)
    } catch (error) {
      return { ok: false, code: codeOf(error) }
    } finally {
      this.#tell()
    }
  }

  /** A link makes one connection; while it is about to, it makes no other. */
  async #once(completion: Completion): Promise<Outcome> {
    const { link } = completion
    if (link === undefined) return await this.#exchange(openApp(this.env), completion)
    if (this.#linking.has(link)) return { ok: false, code: 'state_consumed' }
    this.#linking.add(link)
    try {
      const refused = await this.#refusedLink(link)
      if (refused) return { ok: false, code: refused }
      const outcome = await this.#exchange(openApp(this.env), completion)
      if (outcome.ok) this.#linked(link)
      return outcome
    } finally {
      this.#linking.delete(link)
    }
  }

  /** Somebody may come with this link. */
  async expect(link: string, until: number): Promise<void> {
    const { lk } = openApp(this.env)
    const { expiresAt } = lk.retention.expiry(until, lk.retention.lifetimes.connect_link, until)
    this.#sql.exec('INSERT OR IGNORE INTO awaited VALUES (?, ?)', until, link)
    this.#sql.exec('INSERT OR IGNORE INTO links VALUES (?, ?)', expiresAt, link)
    await this.#arm(until)
  }

  /** T73: somebody may come with another link than this one. */
  othersExpected(link: string): boolean {
    const sql = 'SELECT 1 FROM awaited WHERE until > ? AND link <> ? LIMIT 1'
    return this.#sql.exec(sql, Date.now(), link).toArray().length > 0
  }

  /** Nobody comes with this link any more; null: with none. A connection that is there is not touched. */
  unexpect(link: string | null): void {
    if (link === null) this.#sql.exec('DELETE FROM awaited')
    else this.#sql.exec('DELETE FROM awaited WHERE link = ?', link)
  }

  /** This link made the connection that is there. */
  async isLinked(link: string): Promise<boolean> {
    const found = await this.#held()
    return found !== undefined && detailsOf(found).link === link
  }

  async token(minValidityMs: number): Promise<TokenResult> {
    return this.#counted(await this.#connection().fetch({ minValidityMs }))
  }

  /** Another token than this generation's; a stale generation gets the current token and changes nothing. */
  async rotate(generation: Generation): Promise<TokenResult> {
    return this.#counted(await this.#connection().rotate(generation))
  }

  /** As `rotate`, for a token that a resource server has refused. */
  async reportRejected(generation: Generation): Promise<TokenResult> {
    return this.#counted(await this.#connection().reportRejected(generation))
  }

  async status(): Promise<ConnectionStatus | null> {
    const found = await this.#connection().status()
    const awaitedUntil = this.#awaitedUntil()
    const none = { ...nothing, awaitedUntil, scopes: [] }
    if (!found || (found.status !== 'corrupt' && found.standing === 'not_connected'))
      return awaitedUntil === null ? null : { ...none, status: 'not_connected' }
    if (found.status === 'corrupt') return { ...none, status: 'corrupt' }
    const { standing } = found
    if (standing === 'not_connected') return null
    if (found.status === 'revoked') return { ...none, status: standing }
    const { label, connectedAt } = detailsOf(found)
    return {
      account: label,
      status: standing,
      scopes: [...found.scopes],
      connectedAt,
      expiresAt: found.accessExpiresAt,
      refreshAt: found.hasRefresh ? found.accessExpiresAt : null,
      generation: { id: found.id, version: found.version },
      awaitedUntil,
    }
  }

  /** The state of the last login, as long as it is valid: the page verifies it once more in the browser. */
  async lastState(): Promise<string | null> {
    const found = await this.#held()
    if (!found) return null
    const { state, stateExpiresAt } = detailsOf(found)
    return stateExpiresAt > Date.now() ? state : null
  }

  async holds(accountId: string): Promise<boolean> {
    return this.#claiming.has(accountId) || (await this.#held())?.account === accountId
  }

  /** Revokes first; a provider that did not answer leaves everything as it was. */
  async disconnect(): Promise<EndResult> {
    return await this.#end((connection) => connection.disconnect())
  }

  /** Whatever began before now ends without a trace: nothing that was under way is stored any more. */
  async block(): Promise<void> {
    const { lk } = openApp(this.env)
    const now = Date.now()
    const { expiresAt } = lk.retention.expiry(now, lk.retention.lifetimes.consumed_state, now)
    this.#sql.exec('INSERT OR REPLACE INTO block VALUES (1, ?, ?)', now, expiresAt)
    await this.#arm(expiresAt)
  }

  /** Nothing stays; the result says what was revoked and what was not. */
  async erase(): Promise<EndResult> {
    return await this.#end((connection) => connection.erase())
  }

  /** Ends every link that there is, used or not, and says how many there were. */
  async endLinks(): Promise<number> {
    const { config } = openApp(this.env)
    const known = this.#sql.exec<{ link: string }>('SELECT link FROM links').toArray()
    for (const { link } of known) {
      await this.env.CONNECT_LINK.getByName(linkName(config.baseUrl, link)).end()
      this.unexpect(link)
      this.#sql.exec('DELETE FROM links WHERE link = ?', link)
    }
    return known.length
  }

  /** A tombstone for that account's connection; another account's stays. True when there was one to end. */
  async revoke({ account, at }: Revocation): Promise<boolean> {
    const found = await this.#held()
    if (!found || account === '' || found.account !== account) return false
    const result = await this.#end((connection) =>
      connection.revoke({ cause: 'revoked_by_provider', id: found.id, ...(at !== undefined && { at }) }),
    )
    return result.outcome === 'ok' && result.deleted
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = undefined
    try {
      await this.#connection().alarm()
    } finally {
      await this.#sweep()
    }
  }

  async #consume(nonce: string, until: number): Promise<boolean> {
    const sql = 'INSERT INTO consumed VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING nonce'
    const isFirst = this.#sql.exec(sql, until, nonce).toArray().length === 1
    // An alarm may have been lost: what is overdue goes with the next one who comes.
    const first = firstEnd(this.#sql, consumed)
    if (first !== null && first <= Date.now()) await this.#sweep()
    else if (first !== null) await this.#arm(first)
    return isFirst
  }

  /** What is over goes; the next alarm is for what is over next. */
  async #sweep(): Promise<void> {
    const app = openApp(this.env)
    const lanes = [laneOf(this.#sql, consumed), this.#links(), this.#tombstones(app)]
    const swept = await sweep(app.lk, lanes, { cursor: this.#cursor, ...ownStorage })
    this.#cursor = swept.cursor
    this.#sql.exec('DELETE FROM block WHERE until <= ?', Date.now())
    const block = this.#sql.exec<{ until: number }>('SELECT until FROM block').toArray()[0]
    const ends = [consumed, awaited, links].map((table) => firstEnd(this.#sql, table))
    ends.push(await this.#tombstoneEnd(app), block?.until ?? null, swept.finished ? null : swept.nextAt)
    for (const end of ends) if (end !== null) await this.#arm(end)
    this.#tell()
  }

  #links(): Lane {
    const [pending, known] = [laneOf(this.#sql, awaited), laneOf(this.#sql, links)]
    return {
      kind: 'connect_link',
      remove: async (before, limit) =>
        (await pending.remove(before, limit)) + (await known.remove(before, limit)),
    }
  }

  /** The row of a connection that has ended is kept as long as an answer to it may be under way, and as long as a person asks. */
  #tombstones(app: App): Lane {
    return {
      kind: 'tombstone',
      remove: async (before) => {
        const end = await this.#tombstoneEnd(app)
        if (end === null || end > before) return 0
        // Exactly the row that has ended: a login that came meanwhile is another one.
        const store = sqliteStore(this.#sql)
        const row = await store.read()
        if (!row || row.access !== '') return 0
        const { id, version, epoch } = row
        const written = await store.write({ is: 'row', id, version, epoch }, null)
        this.#opened = undefined
        return written === 'stored' ? 1 : 0
      },
    }
  }

  async #tombstoneEnd({ lk }: App): Promise<number | null> {
    const found = await this.#connection().status()
    if (!found || found.status !== 'revoked' || found.endedAt === null) return null
    return lk.retention.expiry(found.endedAt, lk.retention.lifetimes.tombstone, found.endedAt).expiresAt
  }

  /** Tells the ledger what is here, after the answer. */
  #tell(): void {
    this.ctx.waitUntil(
      this.#holdings().then((holdings) => report(this.env, this.ctx.id.name ?? '', holdings)),
    )
  }

  async #holdings(): Promise<Holding[]> {
    const app = openApp(this.env)
    const { lifetimes } = app.lk.retention
    const end = await this.#tombstoneEnd(app)
    const held = end !== null
    return [
      holdingOf(this.#sql, consumed, lifetimes.consumed_state),
      {
        kind: 'tombstone',
        count: held ? 1 : 0,
        oldest: held ? end - lifetimes.tombstone : null,
        nextDue: end,
      },
    ]
  }

  /** A state from before an erasure began is used up by it. */
  #isBlocked(stateIssuedAt: number): boolean {
    const [block] = this.#sql.exec<{ at: number; until: number }>('SELECT at, until FROM block').toArray()
    return block !== undefined && block.until > Date.now() && stateIssuedAt <= block.at
  }

  async #refusedLink(link: string): Promise<Code | undefined> {
    if (await this.isLinked(link)) return 'state_consumed'
    if (standing(this.#sql, awaited, link, Date.now()) !== undefined) return undefined
    const known = this.#sql.exec('SELECT 1 FROM awaited WHERE link = ?', link).toArray().length > 0
    return known ? 'state_expired' : 'state_consumed'
  }

  #linked(link: string): void {
    this.unexpect(link)
    const { config } = openApp(this.env)
    const object = this.env.CONNECT_LINK.getByName(linkName(config.baseUrl, link))
    // Should it not hear of it, it asks before it says anything.
    this.ctx.waitUntil(object.completed().catch(() => undefined))
  }

  #awaitedUntil(): number | null {
    const [row] = this.#sql
      .exec<{ until: number | null }>('SELECT max(until) AS until FROM awaited WHERE until > ?', Date.now())
      .toArray()
    return row?.until ?? null
  }

  async #exchange(app: App, completion: Completion): Promise<Outcome> {
    const { subject, code, codeVerifier } = completion
    const { owner, provider: name } = this.#key
    const provider = providerNamed(app, name)
    const askedAt = Date.now()
    const tokens = await exchangeCode(app, provider, {
      code,
      codeVerifier,
      redirectUri: redirectUri(app, provider),
    })
    const account = (await readAccount(app, provider, tokens.accessToken)) ?? { id: '', label: '' }
    if (account.id === '') return await this.#login(app, completion, account, tokens, askedAt)
    this.#claiming.set(account.id, (this.#claiming.get(account.id) ?? 0) + 1)
    try {
      const renews = (await this.#held())?.account === account.id
      const request = { provider: name, accountId: account.id, owner, subject, renews }
      if (!(await this.#claimOf(account.id).claim(request))) return { ok: false, code: 'already_connected' }
      return await this.#login(app, completion, account, tokens, askedAt)
    } finally {
      const others = (this.#claiming.get(account.id) ?? 1) - 1
      if (others > 0) this.#claiming.set(account.id, others)
      else this.#claiming.delete(account.id)
    }
  }

  /** Puts the new pair in the place of whatever was there. */
  async #login(
    app: App,
    { subject, state, stateExpiresAt, link }: Completion,
    account: { readonly id: string; readonly label: string },
    { accessToken, refreshToken, lifetimeMs, refreshLifetimeMs, scopes }: LoginTokens,
    askedAt: number,
  ): Promise<Outcome> {
    const details: Details = {
      subject,
      label: account.label,
      connectedAt: Date.now(),
      state,
      stateExpiresAt,
      ...(link !== undefined && { link }),
    }
    const result = await this.#connection().login({
      accessToken,
      ...(refreshToken && { refreshToken }),
      ...(lifetimeMs !== undefined && { lifetimeMs }),
      ...(refreshLifetimeMs !== undefined && { refreshLifetimeMs }),
      scopes: scopes ?? providerNamed(app, this.#key.provider).scopes,
      account: account.id,
      details: JSON.stringify(details),
      askedAt,
    })
    if (result.outcome !== 'ok') return { ok: false, code: result.outcome }
    // The alarm asks the core when the next one is due.
    if (providerNamed(app, this.#key.provider).refresh.proactive) await this.#arm(Date.now())
    if (result.replaced !== undefined && result.replaced !== account.id) await this.#release(result.replaced)
    return { ok: true }
  }

  async #end(verb: (connection: Connection) => Promise<EndResult>): Promise<EndResult> {
    const former = await this.#held()
    const result = await verb(this.#connection())
    if (former && result.outcome === 'ok' && result.deleted) await this.#release(former.account)
    const end = await this.#tombstoneEnd(openApp(this.env))
    if (end !== null) await this.#arm(end)
    this.#tell()
    return result
  }

  /** What is stored of a credential that may still be alive. */
  async #held(): Promise<Exclude<Status, { status: 'corrupt' }> | undefined> {
    const found = await this.#connection().status()
    return found && found.status !== 'corrupt' && found.status !== 'revoked' ? found : undefined
  }

  #connection(): Connection {
    if (this.#opened) return this.#opened
    const app = openApp(this.env)
    const { owner, provider: name } = this.#key
    const provider = providerNamed(app, name)
    this.#opened = new Connection({
      lk: app.lk,
      ring: app.config.keys,
      context: [app.config.baseUrl, owner.kind, owner.id, name],
      store: sqliteStore(this.#sql),
      provider: authorizationServer(app, provider),
      traits: provider.refresh.traits,
      policy: { proactive: provider.refresh.proactive },
      background: (work) => this.ctx.waitUntil(work),
      arm: (at) => this.#arm(at),
      notify: (news) => this.#notify(news),
    })
    return this.#opened
  }

  /** Sets an alarm unless an earlier one is set. Nothing is awaited, so that it is written together with what follows. */
  #arm(at: number): Promise<void> | void {
    if (this.#alarmAt === undefined) return this.#readAlarm().then(() => this.#arm(at))
    if (this.#alarmAt !== null && this.#alarmAt <= at) return
    this.#alarmAt = at
    this.ctx.storage.setAlarm(at).catch(() => {
      this.#alarmAt = undefined
    })
  }

  async #readAlarm(): Promise<void> {
    const at = await this.ctx.storage.getAlarm()
    // Another caller may have set one meanwhile.
    if (this.#alarmAt === undefined) this.#alarmAt = at
  }

  #counted(result: TokenResult): TokenResult {
    if (result.outcome === 'ok' && result.source !== 'refreshed')
      this.#count(result.source === 'joined' ? 'joined' : 'ok')
    return result
  }

  #count(outcome: Parameters<typeof count>[1]): void {
    count(this.#key.provider, outcome)
    flushSoon(this.env, (work) => this.ctx.waitUntil(work))
  }

  /** Codes alone: neither a token nor a person stands in a counter or a log line. */
  #notify({ news, cause }: News): void {
    this.#count(news === 'operator_error' ? 'operator' : news)
    const line = JSON.stringify({ event: 'refresh', provider: this.#key.provider, news, cause })
    if (alerts.has(news)) console.error(line)
    else console.log(line)
  }

  #claimOf(accountId: string) {
    const { config } = openApp(this.env)
    return this.env.ACCOUNT_CLAIM.getByName(claimName(config.baseUrl, this.#key.provider, accountId))
  }

  /** Best effort: a claim that is left behind is forgotten by whoever meets it next. */
  async #release(accountId: string): Promise<void> {
    if (accountId === '' || (await this.holds(accountId))) return
    try {
      await this.#claimOf(accountId).release(this.#key.owner)
    } catch {
      console.warn(JSON.stringify({ event: 'claim_left', provider: this.#key.provider }))
    }
  }
}

/** Somebody has to look. */
const alerts: ReadonlySet<News['news']> = new Set([
  'lost_in_flight',
  'operator_error',
  'not_understood',
  'refresh_token_missing',
  'persist_failed',
  'corrupt',
])

const detailsOf = ({ details }: { readonly details: string }): Details => JSON.parse(details) as Details
