import { DurableObject } from 'cloudflare:workers'
import type { RunCause, Standing } from 'latchkey'
import { Connection, type EndResult, type News, type Status, type TokenResult } from 'latchkey/connection'
import { schema as connectionSchema, sqliteStore } from 'latchkey/stores/sqlite'
import { openApp, providerNamed, redirectUri, type App } from './app.ts'
import { authorizationServer } from './authorization-server.ts'
import { count, flushSoon } from './counters.ts'
import type { Env } from './env.ts'
import { claimName, connectionKeyOf, type ConnectionKey } from './names.ts'
import { exchangeCode, readAccount, type LoginTokens } from './oauth.ts'
import { codeOf, type Code } from './refusal.ts'

/** What is said of a connection that is none. */
export const nothing = {
  account: null,
  connectedAt: null,
  expiresAt: null,
  refreshAt: null,
  generation: null,
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
  readonly stateExpiresAt: number
}

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: Code }

export interface Generation {
  readonly id: string
  readonly version: number
}

export interface ConnectionStatus {
  readonly account: string | null
  readonly status: Exclude<Standing, 'not_connected'> | 'corrupt'
  readonly scopes: string[]
  readonly connectedAt: number | null
  readonly expiresAt: number | null
  /** By when the token is renewed; null: it is not, or has no end. */
  readonly refreshAt: number | null
  readonly generation: Generation | null
}

/** What the application keeps beside a connection. */
interface Details {
  readonly subject: string
  readonly label: string
  readonly connectedAt: number
  readonly state: string
  readonly stateExpiresAt: number
}

/** The provider says that an account's authorization has ended. */
export interface Revocation {
  readonly account: string
  /** When it happened, where it is known: a later login stays. */
  readonly at?: number
}

const schema = `
  CREATE TABLE IF NOT EXISTS consumed (
    until INTEGER NOT NULL, nonce TEXT NOT NULL, PRIMARY KEY (until, nonce)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS watcher (
    until INTEGER NOT NULL, thread TEXT NOT NULL, cause TEXT, PRIMARY KEY (until, thread)) WITHOUT ROWID;
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
    try {
      return await this.#exchange(openApp(this.env), completion)
    } catch (error) {
      return { ok: false, code: codeOf(error) }
    }
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
    if (!found) return null
    if (found.status === 'corrupt') return { ...nothing, scopes: [], status: 'corrupt' }
    const { standing } = found
    if (standing === 'not_connected') return null
    if (found.status === 'revoked') return { ...nothing, scopes: [], status: standing }
    const { label, connectedAt } = detailsOf(found)
    return {
      account: label,
      status: standing,
      scopes: [...found.scopes],
      connectedAt,
      expiresAt: found.accessExpiresAt,
      refreshAt: found.hasRefresh ? found.accessExpiresAt : null,
      generation: { id: found.id, version: found.version },
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

  /** Nothing stays; the result says what was revoked and what was not. */
  async erase(): Promise<EndResult> {
    return await this.#end((connection) => connection.erase())
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

  /** A thread with a run that uses this connection: it is told when the connection has come to an end. */
  async watch(thread: string, until: number): Promise<void> {
    this.#sql.exec('DELETE FROM watcher WHERE thread = ? AND cause IS NULL', thread)
    this.#sql.exec('INSERT OR REPLACE INTO watcher VALUES (?, ?, NULL)', until, thread)
    await this.#arm(until)
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = undefined
    try {
      await this.#connection().alarm()
    } finally {
      await this.#forgetConsumed()
      await this.#tellRuns()
    }
  }

  /** Written down with the verdict, so that a crash in between only makes it late. */
  #endRuns(cause: RunCause): void {
    this.#sql.exec('UPDATE watcher SET cause = ? WHERE cause IS NULL', cause)
    this.ctx.waitUntil(this.#tellRuns())
  }

  /** Each thread ends its runs once, however often it is told. One that does not answer is told again. */
  async #tellRuns(): Promise<void> {
    const told = this.#sql
      .exec<{ thread: string; cause: RunCause }>('SELECT thread, cause FROM watcher WHERE cause IS NOT NULL')
      .toArray()
    await Promise.all(
      told.map(async ({ thread, cause }) => {
        try {
          await this.env.THREAD.get(this.env.THREAD.idFromString(thread)).endRuns(this.#key, cause)
          this.#sql.exec('DELETE FROM watcher WHERE thread = ? AND cause IS NOT NULL', thread)
        } catch {
          await this.#arm(Date.now() + tellAgainMs)
        }
      }),
    )
    this.#sql.exec('DELETE FROM watcher WHERE until <= ?', Date.now())
    const next = this.#sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM watcher').one()
    if (next.until !== null) await this.#arm(next.until)
  }

  async #consume(nonce: string, until: number): Promise<boolean> {
    const sql = 'INSERT INTO consumed VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING nonce'
    const isFirst = this.#sql.exec(sql, until, nonce).toArray().length === 1
    await this.#forgetConsumed()
    return isFirst
  }

  async #forgetConsumed(): Promise<void> {
    this.#sql.exec('DELETE FROM consumed WHERE until < ?', Date.now())
    const next = this.#sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM consumed').one()
    if (next.until !== null) await this.#arm(next.until + 1)
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
    { subject, state, stateExpiresAt }: Completion,
    account: { readonly id: string; readonly label: string },
    { accessToken, refreshToken, lifetimeMs, refreshLifetimeMs, scopes }: LoginTokens,
    askedAt: number,
  ): Promise<Outcome> {
    const details: Details = { subject, label: account.label, connectedAt: Date.now(), state, stateExpiresAt }
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
    if (result.outcome === 'ok' && result.deleted) this.#endRuns('connection_revoked')
    if (former && result.outcome === 'ok' && result.deleted) await this.#release(former.account)
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
    if (ends.has(news)) this.#endRuns('reconnect_required')
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

/** No token comes of this connection any more. */
const ends: ReadonlySet<News['news']> = new Set(['terminal', 'lost_in_flight'])

const tellAgainMs = 5_000

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
