import { DurableObject } from 'cloudflare:workers'
import { LatchkeyError, type Identity, type RunCause, type SweepCursor } from 'latchkey'
import type { Connection, EndResult, News, TokenResult } from 'latchkey/connection'
import { Alarm } from './alarm.ts'
import { listInstallations } from './app-api.ts'
import { openApp, providerNamed } from './app.ts'
import { Claiming } from './claiming.ts'
import { Completions } from './completions.ts'
import { count, flushSoon, type Outcome as Counted } from './counters.ts'
import { Credential, credentialSchema, detailsOf, type Held } from './credential.ts'
import { departureSchema, forgetDepartures, noteDeparture } from './departures.ts'
import type { Env } from './env.ts'
import { epochOf, epochSchema, forgetEpoch, raiseEpoch } from './epoch.ts'
import {
  awaitedUntil,
  expectedLinkEnds,
  expectedLinkLane,
  expectedLinkSchema,
  expectLink,
  forgetLink,
  isOtherExpected,
  knownLinks,
  unexpectLink,
} from './expected-links.ts'
import {
  forgetIdentities,
  identities,
  identityOf,
  identitySchema,
  keepIdentity,
  sweepIdentities,
} from './identities.ts'
import {
  findInstalled,
  forgetInstalled,
  installations,
  installedSchema,
  isListDue,
  isListed,
  keepInstalled,
  sweepInstalled,
  type Seen,
} from './installed.ts'
import { report, type Holding } from './ledger.ts'
import { Marks } from './marks.ts'
import { connectionKeyOf, linkName, runKeyOf, vaultName, type ConnectionKey } from './names.ts'
import { codeOf } from './refusal.ts'
import {
  forgetRefused,
  isRefused,
  markRefused,
  refusedPairs,
  refusedPairSchema,
  unmarkRefused,
} from './refused-pairs.ts'
import { clearShadows, shadowSchema } from './shadows.ts'
import { firstEnd, holdingOf, laneOf, ownStorage, sweep } from './sweep.ts'
import { blockStates, consumed, forgetBlock, isBlocked, usedStateSchema, useUp } from './used-states.ts'
import { countedAs, isEnd, logNews } from './vault-news.ts'
import {
  nothing,
  type Completion,
  type ConnectionStatus,
  type Generation,
  type Marked,
  type Outcome,
  type Redeemed,
  type Redemption,
  type Refused,
  type Revocation,
} from './vault-types.ts'
import { forgetWatcher, isWatched, noteEnd, noteWatcher, tellWatchers, watcherSchema } from './watchers.ts'

export type * from './vault-types.ts'

const schema = [
  credentialSchema,
  usedStateSchema,
  expectedLinkSchema,
  epochSchema,
  watcherSchema,
  departureSchema,
  shadowSchema,
  refusedPairSchema,
  installedSchema,
  identitySchema,
].join('')

/** A token that is handed to a request has at least so long to get there. */
const redeemedValidityMs = 60_000
/** A provider that does not answer is not waited for by every caller. */
const listAgainMs = 30_000
const askAgainMs = 60_000

/**
 * One object per owner and provider: it uses states up and holds the sealed credential. What becomes of the credential
 * is decided by the core; nothing this object sends leaves before what it wrote is durable.
 */
export class Vault extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #key: ConnectionKey
  readonly #alarm: Alarm
  readonly #credential: Credential
  readonly #claiming: Claiming
  readonly #completions: Completions
  readonly #marks = new Marks()
  #cursor: SweepCursor | undefined
  #listFailedAt = 0
  /** The provider is being asked when the connection has come to the end of its life. */
  #isLapsing = false

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#key = connectionKeyOf(context.id.name ?? '')
    this.#sql = context.storage.sql
    this.#sql.exec(schema)
    this.#alarm = new Alarm(context.storage)
    this.#claiming = new Claiming(env, this.#key)
    const surroundings = {
      env,
      sql: this.#sql,
      key: this.#key,
      background: (work: Promise<unknown>) => this.ctx.waitUntil(work),
      arm: (at: number) => this.#arm(at),
    }
    this.#credential = new Credential(surroundings, (news) => this.#notify(news))
    this.#completions = new Completions({
      ...surroundings,
      credential: this.#credential,
      claiming: this.#claiming,
      raiseEpoch: () => this.#raiseEpoch(),
      clearShadows: () => this.#clearShadows(),
      release: (accountId) => this.#release(accountId),
    })
  }

  /** Uses the state up first; only the one that did goes on to the exchange. Stores all or nothing. */
  async complete(completion: Completion): Promise<Outcome> {
    if (!(await this.#consume(completion.nonce, completion.until)))
      return { ok: false, code: 'state_consumed' }
    if (this.#completions.isLate(completion)) return { ok: false, code: 'not_allowed' }
    if (isBlocked(this.#sql, completion.stateIssuedAt)) return { ok: false, code: 'state_consumed' }
    try {
      const outcome = await this.#completions.once(completion)
      if (outcome.ok) await this.#armLife()
      return outcome
    } catch (error) {
      return { ok: false, code: codeOf(error) }
    } finally {
      this.#tell()
    }
  }

  /** Somebody may come with this link. */
  async expect(link: string, until: number): Promise<void> {
    const { lk } = openApp(this.env)
    const { expiresAt } = lk.retention.expiry(until, lk.retention.lifetimes.connect_link, until)
    expectLink(this.#sql, link, until, expiresAt)
    await this.#arm(until)
  }

  /** T73: somebody may come with another link than this one. */
  othersExpected(link: string): boolean {
    return isOtherExpected(this.#sql, link)
  }

  /** Nobody comes with this link any more; null: with none. A connection that is there is not touched. */
  unexpect(link: string | null): void {
    unexpectLink(this.#sql, link)
  }

  /** This link made the connection that is there. */
  async isLinked(link: string): Promise<boolean> {
    return await this.#completions.isLinked(link)
  }

  /**
   * `held`: the mark of an answer that the caller has; when that is still the answer, the mark is all that is said.
   * `counted`: the same call has asked for the mark before, and got another one.
   */
  async token(minValidityMs: number, held = 0, counted = false): Promise<number | Marked> {
    const connection = this.#connection()
    const result = await connection.fetch({ minValidityMs })
    if (!counted) this.#counted(result)
    // What will not be said again is not worth holding.
    if (result.outcome !== 'ok' || result !== connection.standing(minValidityMs)) return { mark: 0, result }
    return this.#marks.answer(result, held)
  }

  /** The mark of what `token(0)` would say now, where that stands; else 0, and it has to be asked. */
  mark(): number {
    const standing = this.#connection().standing()
    if (standing === undefined) return 0
    this.#counted(standing)
    return this.#marks.of(standing)
  }

  /** Another token than this generation's; a stale generation gets the current token and changes nothing. */
  async rotate(generation: Generation): Promise<TokenResult> {
    return this.#counted(await this.#connection().rotate(generation))
  }

  /** As `rotate`, for a token that a resource server has refused; one that came in the place of such a one stays. */
  async reportRejected(generation: Generation): Promise<TokenResult | Refused> {
    if (await this.#isRefused(generation)) return { outcome: 'refused', code: 'upstream_refused' }
    const result = this.#counted(await this.#connection().reportRejected(generation))
    // The pair that comes in the place of a refused one is marked: what refuses it too is not helped by a third.
    if (result.outcome === 'ok' && result.source !== 'stored')
      await this.#arm(markRefused(openApp(this.env), this.#sql, result.generation, Date.now()))
    return result
  }

  /** Capabilities that were made before this are dead. */
  epoch(): number {
    return epochOf(this.#sql)
  }

  /** A token for whoever brings a capability, verified here once more: what has ended stays ended. */
  async redeem({ capability, container, named = false, rejected }: Redemption): Promise<Redeemed> {
    try {
      const epoch = this.epoch()
      this.#verify(capability, container, epoch)
      const result = rejected ? await this.reportRejected(rejected) : await this.#fetch(redeemedValidityMs)
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
    const app = openApp(this.env)
    const isKnown = !isListDue(app, this.#sql, Date.now()) || (await this.#listInstallations())
    const isToBeFound = isKnown || isListed(this.#sql, Date.now())
    return isToBeFound ? findInstalled(app, this.#sql, account, Date.now()) : null
  }

  /** Who acts for that capability. */
  identity(holder: string): Identity {
    return identityOf(this.#sql, holder)
  }

  /** T51: from now on the app acts for it; true where it did not before. */
  async actAs(holder: string, installation: string, until: number): Promise<boolean> {
    const isFirst = keepIdentity(this.#sql, holder, installation, until)
    await this.#arm(until)
    this.#tell()
    return isFirst
  }

  /** A resource server has taken this generation's token, which came in the place of a refused one. */
  accepted(generation: Generation): void {
    unmarkRefused(this.#sql, generation)
  }

  async status(): Promise<ConnectionStatus | null> {
    const found = await this.#connection().status()
    const until = awaitedUntil(this.#sql)
    const none = { ...nothing, awaitedUntil: until, scopes: [] }
    if (!found || (found.status !== 'corrupt' && found.standing === 'not_connected'))
      return until === null ? null : { ...none, status: 'not_connected' }
    if (found.status === 'corrupt') return { ...none, status: 'corrupt' }
    const { standing } = found
    if (standing === 'not_connected') return null
    if (found.status === 'revoked') return { ...none, status: standing }
    const { label, connectedAt } = detailsOf(found)
    return {
      account: label,
      status: standing,
      ...(standing === 'reconnect_required' && found.cause !== 'none' && { cause: found.cause }),
      scopes: [...found.scopes],
      connectedAt,
      expiresAt: found.accessExpiresAt,
      refreshAt: found.hasRefresh ? found.accessExpiresAt : null,
      generation: { id: found.id, version: found.version },
      awaitedUntil: until,
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
    return this.#claiming.isRunning(accountId) || (await this.#held())?.account === accountId
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
    blockStates(this.#sql, now, expiresAt)
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
    const isOut = await this.#credential.takeOut(former)
    if (isOut) forgetInstalled(this.#sql)
    if (former && isOut) await this.#release(former.account)
  }

  /**
   * `subject` may not connect for the organisation any more: what they began before `at` does not end here, and nobody
   * comes with a link of theirs. Says how many links that were.
   */
  async retract(subject: string, at: number): Promise<number> {
    const { config } = openApp(this.env)
    await this.#arm(noteDeparture(this.#sql, subject, at) + 1)
    let count = 0
    for (const link of knownLinks(this.#sql)) {
      if (await this.isLinked(link)) continue
      if (!(await this.env.CONNECT_LINK.getByName(linkName(config.baseUrl, link)).retract(subject))) continue
      unexpectLink(this.#sql, link)
      count += 1
    }
    return count
  }

  /** What becomes of this connection when `subject` leaves the organisation; null: there is nothing of theirs here. */
  async leave(subject: string, at: number): Promise<EndResult | null> {
    const { owner } = this.#key
    await this.retract(subject, at)
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
    const known = knownLinks(this.#sql)
    for (const link of known) {
      await this.env.CONNECT_LINK.getByName(linkName(config.baseUrl, link)).end()
      forgetLink(this.#sql, link)
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

  /** A run that uses this connection: its thread is told when the connection has come to an end. */
  async watch(run: string, until: number): Promise<void> {
    noteWatcher(this.#sql, run, until)
    await this.#arm(until)
    await this.#armLife()
  }

  /** That run has ended. */
  unwatch(run: string): void {
    forgetWatcher(this.#sql, run)
  }

  override async alarm(): Promise<void> {
    this.#alarm.wentOff()
    try {
      // A verdict that comes from here on is one about its life.
      this.#isLapsing = ((await this.#lifeEnd()) ?? Infinity) < Date.now()
      await this.#connection().alarm()
    } finally {
      await this.#clearShadows()
      const left = forgetDepartures(this.#sql, Date.now())
      if (left !== null) await this.#arm(left + 1)
      for (const sweepOne of [sweepInstalled, sweepIdentities]) {
        const next = sweepOne(this.#sql, Date.now())
        if (next !== null) await this.#arm(next)
      }
      const epochEnd = forgetEpoch(this.#sql, Date.now())
      if (epochEnd !== null) await this.#arm(epochEnd)
      await this.#checkLife()
      this.#isLapsing = false
      await this.#tellRuns()
      await this.#sweep()
    }
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
    if (all && isCurrent) {
      await this.#arm(keepInstalled(app, this.#sql, all, Date.now()))
      this.#tell()
    }
    return all !== undefined
  }

  /** Of the pair that is there: a report of one that is not any more changes nothing. */
  async #isRefused(pair: Generation): Promise<boolean> {
    if (!isRefused(openApp(this.env), this.#sql, this.#key.owner, pair, Date.now())) return false
    const held = await this.#held()
    return held?.id === pair.id && held.version === pair.version
  }

  /** Ends every capability so far. */
  #raiseEpoch(): void {
    void this.#arm(raiseEpoch(this.#sql, openApp(this.env), Date.now()))
  }

  async #fetch(minValidityMs: number): Promise<TokenResult> {
    return this.#counted(await this.#connection().fetch({ minValidityMs }))
  }

  #endRuns(cause: RunCause): void {
    noteEnd(this.#sql, cause)
    this.ctx.waitUntil(this.#tellRuns())
  }

  /** When the connection ends if nothing renews it, as the core says; null: nobody's run waits for that, or it does not. */
  async #lifeEnd(): Promise<number | null> {
    return isWatched(this.#sql) ? ((await this.#held())?.endsAt ?? null) : null
  }

  async #armLife(): Promise<void> {
    const end = await this.#lifeEnd()
    if (end !== null) await this.#arm(end + 1)
  }

  /**
   * A connection that runs use has come to the end of its life by itself. That alone decides nothing: its provider is
   * asked, and renews it or says that it is over. One that does not answer is asked again.
   */
  async #checkLife(): Promise<void> {
    const end = await this.#lifeEnd()
    if (end === null) return
    if (end >= Date.now()) return void (await this.#arm(end + 1))
    const { outcome } = await this.#fetch(0)
    if (outcome === 'reconnect_required') this.#endRuns('connection_idle')
    else await this.#arm(Math.max((await this.#lifeEnd()) ?? 0, Date.now() + askAgainMs))
  }

  async #tellRuns(): Promise<void> {
    const { THREAD } = this.env
    await tellWatchers(
      this.#sql,
      async (run, cause) => {
        const key = runKeyOf(run)
        if (key) await THREAD.get(THREAD.idFromString(key.object)).endRuns(this.#key, cause)
      },
      (at) => this.#arm(at),
    )
  }

  async #consume(nonce: string, until: number): Promise<boolean> {
    const isFirst = useUp(this.#sql, nonce, until)
    // An alarm may have been lost: what is overdue goes with the next one who comes.
    const first = firstEnd(this.#sql, consumed)
    if (first !== null && first <= Date.now()) await this.#sweep()
    else if (first !== null) await this.#arm(first)
    return isFirst
  }

  /** What is over goes; the next alarm is for what is over next. */
  async #sweep(): Promise<void> {
    const { lk } = openApp(this.env)
    const lanes = [
      laneOf(this.#sql, consumed),
      laneOf(this.#sql, refusedPairs),
      expectedLinkLane(this.#sql),
      this.#credential.tombstones(lk),
    ]
    const swept = await sweep(lk, lanes, { cursor: this.#cursor, ...ownStorage })
    this.#cursor = swept.cursor
    const ends = [
      firstEnd(this.#sql, consumed),
      firstEnd(this.#sql, refusedPairs),
      ...expectedLinkEnds(this.#sql),
      forgetBlock(this.#sql),
      await this.#credential.tombstoneEnd(lk),
      swept.finished ? null : swept.nextAt,
    ]
    for (const end of ends) if (end !== null) await this.#arm(end)
    this.#tell()
  }

  /** Tells the ledger what is here, after the answer. */
  #tell(): void {
    this.ctx.waitUntil(
      this.#holdings().then((holdings) => report(this.env, this.ctx.id.name ?? '', holdings)),
    )
  }

  async #holdings(): Promise<Holding[]> {
    const { lk } = openApp(this.env)
    const { lifetimes } = lk.retention
    const end = await this.#credential.tombstoneEnd(lk)
    const held = end !== null
    return [
      holdingOf(this.#sql, consumed, lifetimes.consumed_state),
      holdingOf(this.#sql, refusedPairs, lifetimes.rejected_pair),
      holdingOf(this.#sql, installations, lifetimes.installed),
      holdingOf(this.#sql, identities, lifetimes.acting),
      {
        kind: 'tombstone',
        count: held ? 1 : 0,
        oldest: held ? end - lifetimes.tombstone : null,
        nextDue: end,
      },
    ]
  }

  async #end(verb: (connection: Connection) => Promise<EndResult>): Promise<EndResult> {
    const former = await this.#held()
    const result = await verb(this.#connection())
    if (result.outcome === 'ok' && result.deleted) {
      this.#raiseEpoch()
      this.#endRuns('connection_revoked')
      for (const forget of [forgetInstalled, forgetIdentities, forgetRefused]) forget(this.#sql)
    }
    if (former && result.outcome === 'ok' && result.deleted) await this.#release(former.account)
    const end = await this.#credential.tombstoneEnd(openApp(this.env).lk)
    if (end !== null) await this.#arm(end)
    this.#tell()
    return result
  }

  #held(): Promise<Held | undefined> {
    return this.#credential.held()
  }

  #connection(): Connection {
    return this.#credential.connection()
  }

  #arm(at: number): Promise<void> | void {
    return this.#alarm.arm(at)
  }

  #counted(result: TokenResult): TokenResult {
    if (result.outcome === 'ok' && result.source !== 'refreshed')
      this.#count(result.source === 'joined' ? 'joined' : 'ok')
    return result
  }

  #count(outcome: Counted): void {
    count(this.#key.provider, outcome)
    flushSoon(this.env, (work) => this.ctx.waitUntil(work))
  }

  #notify(news: News): void {
    this.#count(countedAs(news))
    if (isEnd(news)) this.#endRuns(this.#isLapsing ? 'connection_idle' : 'reconnect_required')
    logNews(this.#key.provider, news)
  }

  async #release(accountId: string): Promise<void> {
    if (accountId === '' || (await this.holds(accountId))) return
    await this.#claiming.release(accountId)
  }
}
