import { DurableObject } from 'cloudflare:workers'
import { LatchkeyError, type Identity, type RunCause, type Standing, type SweepCursor } from 'latchkey'
import {
  Connection,
  type EndResult,
  type News,
  type NoToken,
  type Status,
  type Token,
  type TokenResult,
} from 'latchkey/connection'
import { schema as connectionSchema, sqliteStore } from 'latchkey/stores/sqlite'
import { openApp, providerNamed, redirectUri, type App } from './app.ts'
import { listInstallations } from './app-api.ts'
import { authorizationServer } from './authorization-server.ts'
import { count, flushSoon } from './counters.ts'
import { departureSchema, forgetDepartures, isOfDeparted, noteDeparture } from './departures.ts'
import type { Env } from './env.ts'
import { identityOf, identitySchema, keepIdentity, sweepIdentities } from './identities.ts'
import {
  findInstalled,
  forgetInstalled,
  installedSchema,
  isListDue,
  isListed,
  keepInstalled,
  sweepInstalled,
  type Seen,
} from './installed.ts'
import { report, type Holding } from './ledger.ts'
import { claimName, connectionKeyOf, linkName, vaultName, type ConnectionKey } from './names.ts'
import { exchangeCode, readAccount, type LoginTokens } from './oauth.ts'
import { codeOf, type Code } from './refusal.ts'
import { isRefused, markRefused, refusedPairs, refusedPairSchema, unmarkRefused } from './refused-pairs.ts'
import { clearShadows, noteShadow, shadowSchema } from './shadows.ts'
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

/** A token's answer with a number that stands for it: 48 random bits, never 0. With 0 there is nothing to hold. */
export interface Marked {
  readonly mark: number
  readonly result: TokenResult
}

/** What a holder of a capability asks for, who has not been believed yet. */
export interface Redemption {
  readonly capability: string
  readonly container: string
  /** Whether the account is to be named. */
  readonly named?: boolean
  /** The generation whose token the provider has refused. */
  readonly rejected?: Generation
}

export type Redeemed =
  (Token & { readonly account?: string }) | NoToken | { readonly outcome: 'refused'; readonly code: Code }

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
  CREATE TABLE IF NOT EXISTS epoch (
    until INTEGER NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (until)) WITHOUT ROWID;
  ${departureSchema}
  ${shadowSchema}
  ${refusedPairSchema}
  ${installedSchema}
  ${identitySchema}
  CREATE TABLE IF NOT EXISTS watcher (
    until INTEGER NOT NULL, thread TEXT NOT NULL, cause TEXT, PRIMARY KEY (until, thread)) WITHOUT ROWID;
  ${endTable(consumed)}
  ${endTable(awaited)}
  ${endTable(links)}
  CREATE TABLE IF NOT EXISTS block (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), at INTEGER NOT NULL, until INTEGER NOT NULL);
  ${connectionSchema.join(';')};
`

/** No capability made before lives longer: four hours, on a clock that may be a minute ahead. */
const longestCapabilityMs = 4 * 3_600_000 + 60_000
/** A token that is handed to a request has at least so long to get there. */
const redeemedValidityMs = 60_000

/**
 * One object per owner and provider: it uses states up and holds the sealed credential. What becomes of the credential
 * is decided by the core; nothing this object sends leaves before what it wrote is durable.
 */
export class Vault extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #key: ConnectionKey
  #opened: Connection | undefined
  #alarmAt: number | null | undefined
  #told: { readonly mark: number; readonly result: TokenResult | undefined } = { mark: 0, result: undefined }
  /** Accounts that a running completion has claimed but not stored yet. */
  readonly #claiming = new Map<string, number>()
  /** Links that a running completion came with. */
  readonly #linking = new Set<string>()
  #cursor: SweepCursor | undefined
  #listFailedAt = 0

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
    if (this.#isLate(completion)) return { ok: false, code: 'not_allowed' }
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

  /** `held`: the mark of an answer that the caller has; when that is still the answer, the mark is all that is said. */
  async token(minValidityMs: number, held = 0): Promise<number | Marked> {
    const result = await this.#fetch(minValidityMs)
    if (result.outcome !== 'ok') return { mark: 0, result }
    if (result !== this.#told.result) this.#told = { mark: freshMark(), result }
    const { mark } = this.#told
    return held === mark ? mark : { mark, result }
  }

  /** Another token than this generation's; a stale generation gets the current token and changes nothing. */
  async rotate(generation: Generation): Promise<TokenResult> {
    return this.#counted(await this.#connection().rotate(generation))
  }

  /** As `rotate`, for a token that a resource server has refused. */
  async reportRejected(generation: Generation): Promise<TokenResult> {
    return this.#counted(await this.#connection().reportRejected(generation))
  }

  /** Capabilities that were made before this are dead. */
  epoch(): number {
    return this.#sql.exec<{ value: number }>('SELECT value FROM epoch').toArray()[0]?.value ?? 0
  }

  /** A token for whoever brings a capability, verified here once more: what has ended stays ended. */
  async redeem({ capability, container, named = false, rejected }: Redemption): Promise<Redeemed> {
    try {
      const epoch = this.epoch()
      this.#verify(capability, container, epoch)
      if (rejected && this.#isRefused(rejected)) return { outcome: 'refused', code: 'upstream_refused' }
      const result = rejected ? await this.#instead(rejected) : await this.#fetch(redeemedValidityMs)
      // What ended while the provider was asked counts too.
      if (this.epoch() !== epoch) this.#verify(capability, container, this.epoch())
      return result.outcome === 'ok' && named
        ? { ...result, account: (await this.#held())?.account ?? '' }
        : result
    } catch (error) {
      const code = codeOf(error)
      if (code === 'store_unavailable') throw error
      return { outcome: 'refused', code }
    }
  }

  /**
   * Where the app is installed for that account's repositories, as far as this connection's person sees it; null: that
   * could not be found out, which is not nowhere.
   */
  async installations(account: string): Promise<Seen[] | null> {
    const isKnown = !isListDue(openApp(this.env), this.#sql, Date.now()) || (await this.#listInstallations())
    return isKnown || isListed(this.#sql, Date.now()) ? findInstalled(this.#sql, account, Date.now()) : null
  }

  /** Who acts for that capability. */
  identity(holder: string): Identity {
    return identityOf(this.#sql, holder)
  }

  /** T51: from now on the app acts for it; true where it did not before. */
  async actAs(holder: string, installation: string, until: number): Promise<boolean> {
    const isFirst = keepIdentity(this.#sql, holder, installation, until)
    await this.#arm(until)
    return isFirst
  }

  /** A resource server has taken this generation's token, which came in the place of a refused one. */
  accepted(generation: Generation): void {
    unmarkRefused(this.#sql, generation)
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

  /**
   * Takes out what was there at that time, because an organisation's connection has taken its place. The provider is not
   * asked: both may be one grant there. And no tombstone stays: nobody ended it, so that reading goes on to the new one.
   */
  async clear(before: number): Promise<void> {
    const former = await this.#held()
    if (former && detailsOf(former).connectedAt > before) return
    if (former) {
      this.#raiseEpoch()
      this.#endRuns('connection_revoked')
      await this.#connection().revoke({ cause: 'revoked_here', id: former.id })
    }
    const store = sqliteStore(this.#sql)
    const record = await store.read()
    // A login that came in between is a new lineage.
    if (!record || (former && record.id !== former.id)) return
    const { id, version, epoch } = record
    const isRow = (await this.#connection().status())?.status !== 'corrupt'
    await store.write(isRow ? { is: 'row', id, version, epoch } : { is: 'corrupt', record }, null)
    forgetInstalled(this.#sql)
    if (former) await this.#release(former.account)
  }

  /** What becomes of this connection when `subject` leaves the organisation; null: there is nothing of theirs here. */
  async leave(subject: string, at: number): Promise<EndResult | null> {
    const { owner } = this.#key
    await this.#arm(noteDeparture(this.#sql, subject, at) + 1)
    const found = await this.#held()
    if (!found) return null
    const { action } = openApp(this.env).lk.scope.sweep(
      { subject, org: owner.id },
      { owner: { scope: owner.kind, id: owner.id }, author: detailsOf(found).subject },
    )
    return action === 'end' ? await this.erase() : null
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
      await this.#clearShadows()
      const left = forgetDepartures(this.#sql, Date.now())
      if (left !== null) await this.#arm(left + 1)
      for (const sweepOne of [sweepInstalled, sweepIdentities]) {
        const next = sweepOne(this.#sql, Date.now())
        if (next !== null) await this.#arm(next)
      }
      await this.#forgetEpoch()
      await this.#tellRuns()
      await this.#sweep()
    }
  }

  /** The way in was opened before its person left the organisation. */
  #isLate({ subject, stateIssuedAt }: Completion): boolean {
    return isOfDeparted(this.#sql, subject, stateIssuedAt)
  }

  async #clearShadows(): Promise<void> {
    const { provider } = this.#key
    const due = await clearShadows(this.#sql, Date.now(), async ({ id, at }) => {
      const key = { owner: { kind: 'user', id }, provider } as const
      await this.env.VAULT.getByName(vaultName(openApp(this.env).config.baseUrl, key)).clear(at)
    })
    if (due !== null) await this.#arm(due)
  }

  #verify(capability: string, container: string, epoch: number): void {
    const { lk, config } = openApp(this.env)
    const { owner, provider } = this.#key
    const expected = { now: Date.now(), container, epoch, provider }
    const claims = lk.capability.verify(config.keys, capability, expected)
    // Whoever asked chose this object by the claims; another one's capability is none here.
    if (claims.owner.kind !== owner.kind || claims.owner.id !== owner.id)
      throw new LatchkeyError('capability_invalid')
  }

  /** False where there is somebody who may know, and who could not be asked. */
  async #listInstallations(): Promise<boolean> {
    const app = openApp(this.env)
    const provider = providerNamed(app, this.#key.provider)
    const result = await this.#fetch(redeemedValidityMs)
    if (result.outcome !== 'ok') return result.outcome !== 'temporarily_unavailable'
    if (Date.now() - this.#listFailedAt < listAgainMs) return false
    const all = await listInstallations(app, provider, result.accessToken)
    this.#listFailedAt = all ? 0 : Date.now()
    // What somebody else's token has shown, or one that ended meanwhile, is not kept.
    const isCurrent = (await this.#held())?.id === result.generation.id
    if (all && isCurrent) await this.#arm(keepInstalled(this.#sql, all, Date.now()))
    return all !== undefined
  }

  #isRefused(pair: Generation): boolean {
    return isRefused(openApp(this.env), this.#sql, this.#key.owner, pair, Date.now())
  }

  /** The pair that comes in the place of a refused one is marked: what refuses it too is not helped by a third. */
  async #instead(refused: Generation): Promise<TokenResult> {
    const result = await this.reportRejected(refused)
    if (result.outcome === 'ok' && result.source !== 'stored')
      await this.#arm(markRefused(openApp(this.env), this.#sql, result.generation, Date.now()))
    return result
  }

  /** Ends every capability so far. Seconds, so that a later one is higher even where this one is forgotten. */
  #raiseEpoch(): void {
    const now = Date.now()
    const until = now + longestCapabilityMs
    const value = Math.max(Math.floor(now / 1_000), this.epoch() + 1)
    this.#sql.exec('DELETE FROM epoch')
    this.#sql.exec('INSERT INTO epoch VALUES (?, ?)', until, value)
    void this.#arm(until + 1)
  }

  async #fetch(minValidityMs: number): Promise<TokenResult> {
    return this.#counted(await this.#connection().fetch({ minValidityMs }))
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

  async #forgetEpoch(): Promise<void> {
    this.#sql.exec('DELETE FROM epoch WHERE until < ?', Date.now())
    const next = this.#sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM epoch').one()
    if (next.until !== null) await this.#arm(next.until + 1)
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
    const lanes = [
      laneOf(this.#sql, consumed),
      laneOf(this.#sql, refusedPairs),
      this.#links(),
      this.#tombstones(app),
    ]
    const swept = await sweep(app.lk, lanes, { cursor: this.#cursor, ...ownStorage })
    this.#cursor = swept.cursor
    this.#sql.exec('DELETE FROM block WHERE until <= ?', Date.now())
    const block = this.#sql.exec<{ until: number }>('SELECT until FROM block').toArray()[0]
    const ends = [consumed, awaited, links, refusedPairs].map((table) => firstEnd(this.#sql, table))
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
      holdingOf(this.#sql, refusedPairs, lifetimes.rejected_pair),
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
    completion: Completion,
    account: { readonly id: string; readonly label: string },
    { accessToken, refreshToken, lifetimeMs, refreshLifetimeMs, scopes }: LoginTokens,
    askedAt: number,
  ): Promise<Outcome> {
    const { subject, state, stateExpiresAt, link } = completion
    if (this.#isLate(completion)) return { ok: false, code: 'not_allowed' }
    const { owner } = this.#key
    // That they may was decided when the state was issued, and by the callback.
    const writer = owner.kind === 'org' ? { subject, org: owner.id, role: 'admin' } : { subject }
    const parts = [{ required: true, present: accessToken.length > 0 }]
    const { steps } = app.lk.scope.writePlan({ ...writer, requested: owner.kind, parts })
    // Before the new pair can be given away; an account of no id may be any.
    const former = await this.#held()
    const isAnother = (known: string | undefined): boolean =>
      known !== undefined && (known !== account.id || known === '')
    if (isAnother(former?.account)) this.#raiseEpoch()
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
    forgetInstalled(this.#sql)
    if (result.replaced !== former?.account && isAnother(result.replaced)) this.#raiseEpoch()
    // Clearing and writing this place was one step; what else the plan clears lies elsewhere.
    for (const { action, scope, id } of steps)
      if (action === 'clear' && scope !== owner.kind) noteShadow(this.#sql, { id, at: details.connectedAt })
    await this.#clearShadows()
    // The alarm asks the core when the next one is due.
    if (providerNamed(app, this.#key.provider).refresh.proactive) await this.#arm(Date.now())
    if (result.replaced !== undefined && result.replaced !== account.id) await this.#release(result.replaced)
    return { ok: true }
  }

  async #end(verb: (connection: Connection) => Promise<EndResult>): Promise<EndResult> {
    const former = await this.#held()
    const result = await verb(this.#connection())
    if (result.outcome === 'ok' && result.deleted) {
      this.#raiseEpoch()
      this.#endRuns('connection_revoked')
      forgetInstalled(this.#sql)
      this.#sql.exec('DELETE FROM identity')
      this.#sql.exec('DELETE FROM refused_pair')
    }
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

function freshMark(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return (high & 0xffff) * 0x1_0000_0000 + low + 1
}
/** No token comes of this connection any more. */
const ends: ReadonlySet<News['news']> = new Set(['terminal', 'lost_in_flight'])

const tellAgainMs = 5_000
/** A provider that does not answer is not waited for by every caller. */
const listAgainMs = 30_000

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
