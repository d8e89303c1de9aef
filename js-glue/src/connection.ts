import type {
  Answered,
  Condition,
  ConnectionOptions,
  EndResult,
  Login,
  LoginResult,
  MaybePromise,
  NoToken,
  Status,
  Stored,
  Token,
  TokenResult,
  Written,
} from './connection-types.ts'
import { LatchkeyError } from './errors.ts'
import type {
  Cause,
  Generation,
  Policy,
  RefreshBegin,
  RefreshEffect,
  RefreshEvent,
  Revoked,
  Seen,
  Traits,
} from './refresh-types.ts'

export type * from './connection-types.ts'

/** A store that has not answered by then is taken as one that does not. */
const storeTimeOutMs = 10_000
/** How long at the most until a waiting caller looks, whatever the clocks say. */
const longestWaitMs = 60_000
/** Where this process alone writes, waiting callers are woken; looking is for what nobody foresaw. */
const soleWriterPollMs = 1_000
/** What one sealed text holds at the most. */
const sealedMax = 16_384
const heldPart = 12_288
const heldMax = 64_000
const entropyPool = 512
/** A record without what is held: a row, two tokens, scopes. */
const recordWithoutHeld = 24_576

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const silent = { kind: 'reply', class: 'transient', doubt: 'silent' } as const
const unsent = { kind: 'reply', class: 'transient', doubt: 'none' } as const

type Kind = 'access' | 'refresh' | `held.${number}`
type Answer = TokenResult | EndResult | LoginResult
type WithoutHead<B> = B extends unknown ? Omit<B, 'kind' | 'entropy' | 'seen'> : never
type Begin = WithoutHead<RefreshBegin>
type Question = Extract<RefreshEffect, { kind: 'persist' | 'wait' | 'send' | 'revoke_at_provider' }>

/** A pair in memory until it is stored. */
interface Fresh {
  readonly access?: Uint8Array
  readonly refresh?: Uint8Array
  readonly scopes?: readonly string[]
  /** An answer that was not understood. */
  readonly raw?: Uint8Array
}

/** The texts of a login, sealed before anything else happens, so that what cannot be sealed is refused first. */
type SealedLogin = Pick<Stored, 'access' | 'refresh' | 'account' | 'scopes' | 'details'>

/**
 * One connection: it carries out what `lk.refresh.step` decides, and decides nothing.
 *
 * Every caller has a flow of its own, so that one caller's failure is nobody else's. Throws when it is made: whatever
 * `lk.refresh.admit` refuses.
 */
export class Connection {
  readonly #shared: Shared

  constructor(options: ConnectionOptions) {
    this.#shared = new Shared(options)
  }

  /**
   * A token that is good for at least `minValidityMs`.
   *
   * Rejects with `time_invalid`; everything else is an outcome.
   */
  fetch({ minValidityMs }: { readonly minValidityMs?: number } = {}): Promise<TokenResult> {
    const standing = this.standing(minValidityMs)
    if (standing !== undefined) return Promise.resolve(standing)
    const validity = minValidityMs === undefined ? undefined : { minValidityMs }
    return this.#run<TokenResult>({ task: 'fetch', ...validity })
  }

  /**
   * What `fetch` would give now without looking at the store; undefined where it has to. The same object as long as
   * nothing is written and the core's answer stands.
   */
  standing(minValidityMs?: number): Token | undefined {
    return this.#shared.standing(minValidityMs)
  }

  /** Another token than this generation's, whatever its age. Rejects with `claim_invalid` for what is no generation. */
  rotate(generation: Generation): Promise<TokenResult> {
    return this.#run<TokenResult>({ task: 'rotate', generation })
  }

  /** As `rotate`: a resource server said 401 to this generation's token. */
  reportRejected(generation: Generation): Promise<TokenResult> {
    return this.#run<TokenResult>({ task: 'report_rejected', generation })
  }

  /** A new lineage in the place of whatever was there. Rejects with `claim_invalid` for what cannot be sealed. */
  async login(login: Login): Promise<LoginResult> {
    const { accessToken, refreshToken, scopes, account, details, askedAt } = login
    const access = bytesOf(accessToken)
    const refresh = refreshToken === undefined ? undefined : bytesOf(refreshToken)
    try {
      if (access.length === 0 || refresh?.length === 0 || !isPlain(account) || !isPlain(details)) {
        throw new LatchkeyError('claim_invalid')
      }
      const id = toId(this.#shared.random(16))
      const seal = (kind: Kind, bytes: Uint8Array): string => this.#shared.seal(bytes, account, id, kind)
      const sealed: SealedLogin = {
        access: seal('access', access),
        refresh: refresh === undefined ? null : seal('refresh', refresh),
        account,
        scopes: JSON.stringify(scopes ?? []),
        details,
      }
      const tokens = {
        ...(login.lifetimeMs === undefined ? undefined : { lifetimeMs: login.lifetimeMs }),
        ...(login.refreshLifetimeMs === undefined
          ? undefined
          : { refreshLifetimeMs: login.refreshLifetimeMs }),
        hasRefresh: refresh !== undefined,
        refreshSame: false,
        hasScope: true,
      }
      return await this.#run<LoginResult>({ task: 'login', id, tokens, at: askedAt }, sealed)
    } finally {
      access.fill(0)
      refresh?.fill(0)
    }
  }

  /** A tombstone, at once; the provider is not asked. Only for that lineage, and not for one that began after `at`. */
  revoke({
    cause,
    at,
    id,
  }: {
    readonly cause: Cause
    readonly at?: number
    readonly id?: string
  }): Promise<EndResult> {
    return this.#run<EndResult>({
      task: 'revoke',
      cause,
      ...(at === undefined ? undefined : { at }),
      ...(id === undefined ? undefined : { id }),
    })
  }

  /** Strict: what may still be alive at the provider stays. */
  disconnect({ id }: { readonly id?: string } = {}): Promise<EndResult> {
    return this.#run<EndResult>({ task: 'disconnect', ...(id === undefined ? undefined : { id }) })
  }

  /** Best effort: nothing stays, and the receipt says what was revoked and what was not. */
  erase(): Promise<EndResult> {
    return this.#run<EndResult>({ task: 'erase' })
  }

  /** What an alarm that `arm` asked for is there for. Resolves when all is done. */
  async alarm(): Promise<void> {
    await this.#run({ task: 'alarm' })
  }

  /** What is stored, without any token; null when nothing is. Rejects when the store does. */
  async status(): Promise<Status | null> {
    const record = await this.#shared.options.store.read()
    if (record === undefined) return null
    try {
      const { account, details } = record
      const scopes = JSON.parse(record.scopes) as string[]
      return {
        ...this.#shared.options.lk.refresh.describe(record.row, this.#shared.now()),
        account,
        scopes,
        details,
      }
    } catch {
      return { status: 'corrupt' }
    }
  }

  #run<A extends Answer>(begin: Begin, login?: SealedLogin): Promise<A> {
    return new Promise((resolve, reject) => {
      const run = new Run(this.#shared, begin, resolve as (answer: Answer | undefined) => void, login)
      const work = run.go().catch(reject)
      // What has ended by now needs nobody to wait for it.
      if (!run.ended) this.#shared.options.background?.(work)
    })
  }
}

/** What all flows of a connection have in common. */
class Shared {
  readonly options: ConnectionOptions
  readonly traits: Traits
  readonly policy: Policy
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  readonly after: (ms: number, run: () => void) => () => void
  readonly #waiting = new Set<() => void>()
  /** Raised before every write: what was read earlier may not be there any more. */
  #writes = 0
  #standing: { readonly token: Token; readonly until: number; readonly minValidityMs: number } | undefined
  #pool = new Uint8Array(0)
  #used = 0

  constructor(options: ConnectionOptions) {
    const { store, traits, policy } = options
    this.options = options
    this.traits = Object.freeze({ ...traits })
    this.policy = Object.freeze({
      ...(store.signal === 'sole' ? { pollMs: soleWriterPollMs } : undefined),
      ...policy,
    })
    this.now = options.now ?? (() => Date.now())
    this.random = options.random ?? ((length) => crypto.getRandomValues(new Uint8Array(length)))
    this.after = options.after ?? afterTimeout
    options.lk.refresh.admit(store.contract, this.policy, this.traits)
  }

  get writes(): number {
    return this.#writes
  }

  /** Somebody is about to write. */
  unsettle(): void {
    this.#writes += 1
    this.#standing = undefined
  }

  /** The core said until when an answer stands; `writes` is as it was when its record was read. */
  settle(token: Token, until: number, minValidityMs: number, writes: number): void {
    if (this.options.store.signal !== 'sole' || until === 0 || writes !== this.#writes) return
    this.#standing = { token: Object.freeze({ ...token, source: 'stored' }), until, minValidityMs }
  }

  /** The answer that such a question still has, without asking. */
  standing(minValidityMs = 0): Token | undefined {
    const standing = this.#standing
    const stands = standing?.minValidityMs === minValidityMs && this.now() <= standing.until
    return stands ? standing.token : undefined
  }

  /** Eight random bytes, of which every flow needs some; asking for many at once is cheaper by far. */
  entropy(): Uint8Array {
    if (this.#used === this.#pool.length) {
      this.#pool = new Uint8Array(this.random(entropyPool))
      this.#used = 0
    }
    this.#used += 8
    return this.#pool.subarray(this.#used - 8, this.#used)
  }

  seal(bytes: Uint8Array, account: string, id: string, kind: Kind): string {
    const { lk, ring } = this.options
    return lk.seal.seal(ring, bytes, this.#place(account, id, kind), { entropy: this.random(24) })
  }

  open(text: string, { account, id }: Stored, kind: Kind): Uint8Array {
    const { lk, ring } = this.options
    return lk.seal.open(ring, text, this.#place(account, id, kind))
  }

  /** A text moved to another owner, account, lineage or column does not open. */
  #place(account: string, id: string, kind: Kind): readonly string[] {
    return ['connection', '1', ...this.options.context, account, id, kind]
  }

  /** Something was written: whoever waits for that looks now. */
  wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const run of waiting) run()
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        stop()
        resolve()
      }
      const stop = this.after(Math.max(0, Math.min(ms, longestWaitMs)), () => {
        this.#waiting.delete(wake)
        resolve()
      })
      if (this.options.store.signal !== 'none') this.#waiting.add(wake)
    })
  }

  /** What work comes to, or `otherwise` when it fails or takes longer. */
  within<T>(work: Promise<T>, ms: number, otherwise: T): Promise<T> {
    return new Promise((resolve) => {
      const stop = this.after(Math.max(0, ms), () => resolve(otherwise))
      const settle = (value: T): void => {
        stop()
        resolve(value)
      }
      work.then(settle, () => settle(otherwise))
    })
  }
}

/** One caller's flow. */
class Run {
  ended = false
  readonly #shared: Shared
  readonly #begin: Begin
  readonly #login: SealedLogin | undefined
  readonly #answer: (answer: Answer | undefined) => void
  #flow: Uint8Array | null = null
  /** What is stored as far as this flow knows; there may be one without a row that can be used. */
  #record: Stored | undefined
  #row: Uint8Array | null = null
  #fresh: Fresh = {}
  #opened: { readonly record: Stored; readonly accessToken: string } | undefined
  /** How often anybody had written when the record was read. */
  #writes = 0
  /** It has asked for more than to wait. */
  #acted = false
  /** The account that a login has replaced. */
  #replaced = ''

  constructor(
    shared: Shared,
    begin: Begin,
    answer: (answer: Answer | undefined) => void,
    login: SealedLogin | undefined,
  ) {
    this.#shared = shared
    this.#begin = begin
    this.#answer = answer
    this.#login = login
  }

  /** Goes on until the flow has ended; without a pause as long as everything is answered at once. */
  async go(): Promise<void> {
    try {
      const read = this.#read()
      const seen = isPending(read) ? await read : read
      let event: RefreshEvent = { kind: 'begin', seen, entropy: this.#shared.entropy(), ...this.#begin }
      for (;;) {
        const { row, effects } = this.#take(event)
        let question: Question | undefined
        for (const effect of effects) {
          if (isQuestion(effect)) question = effect
          else {
            const pending = this.#carryOut(effect)
            if (pending !== undefined) await pending
          }
        }
        if (question === undefined) break
        const answer = this.#ask(question, row)
        const next = isPending(answer) ? await answer : answer
        if (next === undefined) break
        event = next
      }
      // An alarm gets no answer on the way; everybody else has had one.
      this.#answer(this.#begin.task === 'alarm' ? undefined : { outcome: 'temporarily_unavailable' })
    } finally {
      this.ended = true
      wipe(this.#fresh)
    }
  }

  // A step ---------------------------------------------------------------------------------------

  #take(event: RefreshEvent): { row: Uint8Array | null; effects: readonly RefreshEffect[] } {
    const { now, traits, policy, options } = this.#shared
    const context = { now: now(), traits, policy }
    const { step } = options.lk.refresh
    let turn = step(this.#row, this.#flow, event, context)
    if ('seen' in event && event.seen === 'row') {
      const seen = this.#look(turn.effects)
      if (seen !== 'row') {
        this.#row = null
        turn = step(null, this.#flow, { ...event, seen }, context)
      }
    }
    this.#flow = turn.flow
    return turn
  }

  /**
   * Whether what the effects need of the record opens. A text that was not sealed for this place makes the record
   * corrupt; one sealed with a key that is not known here, yet or any more, cannot be read now. A login needs nothing of
   * it and an erasure ends it anyway, so that neither waits for a key that may be lost.
   */
  #look(effects: readonly RefreshEffect[]): Seen {
    const record = this.#record
    const { task } = this.#begin
    if (record === undefined || task === 'revoke') return 'row'
    try {
      for (const effect of effects) {
        if (effect.kind === 'persist' || effect.kind === 'send' || effect.kind === 'revoke_at_provider') {
          if (effect.kind === 'persist' && effect.condition.is === 'corrupt') return 'row'
          this.#openAll(record)
        } else if (effect.kind === 'serve' && effect.token === 'stored') {
          this.#opened = { record, accessToken: this.#openText(record) }
        }
      }
      return 'row'
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error
      if (error.code !== 'seal_unknown_key' || task === 'erase') return 'corrupt'
      return task === 'login' ? 'row' : 'nothing'
    }
  }

  /** Throws unless the record is whole: the row is the one that its columns say, and every text opens. */
  #openAll(record: Stored): void {
    const row = this.#shared.options.lk.refresh.describe(record.row, this.#shared.now())
    const isItself = row.id === record.id && row.version === record.version && row.epoch === record.epoch
    if (!isItself) throw new LatchkeyError('corrupt')
    if (row.status === 'revoked') return
    if (row.hasRefresh !== (record.refresh !== null)) throw new LatchkeyError('corrupt')
    this.#shared.open(record.access, record, 'access').fill(0)
    if (record.refresh !== null) this.#shared.open(record.refresh, record, 'refresh').fill(0)
  }

  #carryOut(effect: Exclude<RefreshEffect, Question>): Promise<void> | undefined {
    const { options } = this.#shared
    switch (effect.kind) {
      case 'serve':
        this.#answer(this.#token(effect))
        return undefined
      case 'refuse':
        this.#answer(refusal(effect))
        return undefined
      case 'done':
        this.#answer(this.#done(effect))
        return undefined
      case 'notify':
        try {
          options.notify?.({ news: effect.news, cause: effect.cause, generation: effect.generation })
        } catch {
          // Whoever listens cannot stop what is being done.
        }
        return undefined
      case 'arm':
        return quietly(() => options.arm?.(effect.at))
    }
  }

  #token(effect: Extract<RefreshEffect, { kind: 'serve' }>): TokenResult {
    const record = this.#record
    let accessToken: string | undefined
    if (effect.token === 'fresh') accessToken = decoder.decode(this.#fresh.access)
    else if (this.#opened !== undefined && this.#opened.record === record)
      accessToken = this.#opened.accessToken
    else if (record !== undefined) accessToken = this.#openText(record)
    if (accessToken === undefined) return { outcome: 'temporarily_unavailable' }
    const { at: expiresAt, generation, source, persistFailed, standsUntil } = effect
    const token: Token = { outcome: 'ok', accessToken, expiresAt, generation, source, persistFailed }
    const begin = this.#begin
    if (begin.task === 'fetch') {
      this.#shared.settle(token, standsUntil, begin.minValidityMs ?? 0, this.#writes)
    }
    return token
  }

  #openText(record: Stored): string {
    const bytes = this.#shared.open(record.access, record, 'access')
    const text = decoder.decode(bytes)
    bytes.fill(0)
    return text
  }

  #done({ receipt: { revoked, deleted, reason } }: Extract<RefreshEffect, { kind: 'done' }>): Answer {
    if (this.#begin.task !== 'login') {
      return { outcome: 'ok', revoked, deleted, ...(reason === 'none' ? undefined : { reason }) }
    }
    const generation = { id: this.#begin.id, version: 1 }
    return {
      outcome: 'ok',
      generation,
      ...(this.#replaced === '' ? undefined : { replaced: this.#replaced }),
    }
  }

  // Questions ------------------------------------------------------------------------------------

  #ask(question: Question, row: Uint8Array | null): MaybePromise<RefreshEvent | undefined> {
    if (question.kind !== 'wait') this.#acted = true
    switch (question.kind) {
      case 'persist':
        return this.#persist(question, row)
      case 'wait':
        return this.#wait(question.at)
      case 'send':
        return this.#send(question)
      case 'revoke_at_provider':
        return this.#revoke(question)
    }
  }

  /** Reads what is stored; what does not answer has said nothing. */
  #read(): MaybePromise<Seen> {
    const writes = this.#shared.writes
    const take = (record: Stored | undefined): Seen => {
      this.#record = record
      this.#writes = writes
      this.#row = record?.row ?? null
      return 'row'
    }
    const failed = (): Seen => {
      this.#record = undefined
      this.#row = null
      return 'nothing'
    }
    try {
      const read = this.#shared.options.store.read()
      if (!isPending(read)) return take(read)
      const limited = this.#shared.within<{ record: Stored | undefined } | undefined>(
        read.then((record) => ({ record })),
        storeTimeOutMs,
        undefined,
      )
      return limited.then((found) => (found === undefined ? failed() : take(found.record)))
    } catch {
      return failed()
    }
  }

  #answerWithRow(kind: 'lost' | 'row_read'): MaybePromise<RefreshEvent> {
    const read = this.#read()
    return isPending(read) ? read.then((seen) => ({ kind, seen })) : { kind, seen: read }
  }

  /** Who has only waited so far has the answer that stands by now: it is what a look at the store would lead to. */
  async #wait(at: number): Promise<RefreshEvent | undefined> {
    await this.#shared.sleep(at - this.#shared.now())
    const begin = this.#begin
    const standing =
      begin.task === 'fetch' && !this.#acted ? this.#shared.standing(begin.minValidityMs) : undefined
    if (standing === undefined) return await this.#answerWithRow('row_read')
    this.#answer({ ...standing, source: 'joined' })
    return undefined
  }

  #persist(
    effect: Extract<Question, { kind: 'persist' }>,
    row: Uint8Array | null,
  ): MaybePromise<RefreshEvent> {
    let written: MaybePromise<Written>
    let next: Stored | null
    try {
      next = row === null ? null : this.#next(effect, row)
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error
      return { kind: 'store_failed' }
    }
    const former = this.#record
    const take = (outcome: Written): MaybePromise<RefreshEvent> => {
      switch (outcome) {
        case 'stored':
          this.#record = next ?? undefined
          this.#row = row
          if (effect.blobs === 'login') this.#replaced = former?.account ?? ''
          this.#shared.wake()
          return { kind: 'stored' }
        case 'lost':
          return this.#answerWithRow('lost')
        case 'failed':
          return { kind: 'store_failed' }
        case 'unknown':
          return { kind: 'store_unknown' }
      }
    }
    this.#shared.unsettle()
    this.#writes = this.#shared.writes
    try {
      written = this.#shared.options.store.write(this.#condition(effect), next)
    } catch {
      return { kind: 'store_unknown' }
    }
    if (!isPending(written)) return take(written)
    return this.#shared.within<Written>(written, storeTimeOutMs, 'unknown').then(take)
  }

  #condition({ condition }: Extract<Question, { kind: 'persist' }>): Condition {
    if (condition.is !== 'corrupt') return condition
    // Without a record there is nothing that could be corrupt.
    return this.#record === undefined ? { is: 'absent' } : { is: 'corrupt', record: this.#record }
  }

  /** The record to be written. */
  #next(effect: Extract<Question, { kind: 'persist' }>, row: Uint8Array): Stored {
    const { generation, epoch, blobs, keepScopes } = effect
    const head = { ...generation, epoch, row }
    const gone = { access: '', refresh: null, held: null, account: '', scopes: '[]', details: '' }
    const { access, refresh, held, account, scopes, details } = this.#record ?? gone
    const kept = { access, refresh, held, account, scopes, details }
    const seal = (kind: Kind, bytes: Uint8Array = new Uint8Array(0)): string =>
      this.#shared.seal(bytes, account, generation.id, kind)
    const renewed = (): Pick<Stored, 'access' | 'held' | 'scopes'> => ({
      access: seal('access', this.#fresh.access),
      held: null,
      scopes: keepScopes ? scopes : JSON.stringify(this.#fresh.scopes ?? []),
    })
    switch (blobs) {
      case 'keep':
        return { ...head, ...kept }
      case 'pair':
        return { ...head, ...kept, ...renewed(), refresh: seal('refresh', this.#fresh.refresh) }
      case 'access':
        return { ...head, ...kept, ...renewed() }
      case 'hold':
        return { ...head, ...kept, held: this.#hold(seal) }
      case 'wipe':
        return { ...head, ...gone }
      case 'login':
        return { ...head, ...gone, ...this.#login }
    }
  }

  /** An answer that was not understood, in parts that can be sealed; what no store would take is cut. */
  #hold(seal: (kind: Kind, bytes: Uint8Array) => string): string {
    const room =
      Math.floor(((this.#shared.options.store.contract.maxValue - recordWithoutHeld) / 4) * 3) - 512
    const raw = (this.#fresh.raw ?? new Uint8Array(0)).subarray(0, Math.max(0, Math.min(heldMax, room)))
    const parts: string[] = []
    for (let at = 0; at === 0 || at < raw.length; at += heldPart) {
      parts.push(seal(`held.${parts.length}`, raw.subarray(at, at + heldPart)))
    }
    return parts.join(' ')
  }

  async #send({ at: deadline, probe }: Extract<Question, { kind: 'send' }>): Promise<RefreshEvent> {
    const { options, now } = this.#shared
    const token = this.#open('refresh')
    if (token === undefined) return { ...unsent, entropy: this.#shared.entropy() }
    try {
      const request = (signal: AbortSignal): Promise<Answered> =>
        options.provider.refresh(token, { deadline, signal, probe, now: now() })
      const classified = await this.#withDeadline(deadline, request, (late) => wipe(freshOf(late)))
      if (!classified) return { ...silent, entropy: this.#shared.entropy() }
      return this.#reply(classified)
    } finally {
      token.fill(0)
    }
  }

  /** Total: what a provider's code makes of an answer by mistake is an answer that was not understood. */
  #reply(classified: Answered): RefreshEvent {
    const { tokens } = classified
    const entropy = this.#shared.entropy()
    wipe(this.#fresh)
    this.#fresh = freshOf(classified)
    const doubt = doubts.has(classified.doubt) ? classified.doubt : 'silent'
    if (classified.class !== 'ok' && Object.hasOwn(classOf, classified.class)) {
      const retryAfter = milliseconds('retryAfterMs', classified.retryAfterMs)
      return { kind: 'reply', class: classOf[classified.class], doubt, ...retryAfter, entropy }
    }
    const { access, refresh, scopes } = this.#fresh
    // What cannot be kept has not been understood; it may have been done all the same.
    const isKept = access !== undefined && access.length > 0 && access.length <= sealedMax
    if (tokens === undefined || !isKept || (refresh?.length ?? 0) > sealedMax) {
      return { kind: 'reply', class: 'not_understood', doubt: 'answered', entropy }
    }
    const refreshSame = tokens.refreshSame === true
    return {
      kind: 'reply',
      class: 'ok',
      doubt,
      entropy,
      tokens: {
        ...milliseconds('lifetimeMs', tokens.lifetimeMs),
        ...milliseconds('refreshLifetimeMs', tokens.refreshLifetimeMs),
        hasRefresh: refreshSame || (refresh?.length ?? 0) > 0,
        refreshSame,
        hasScope: scopes !== undefined,
      },
    }
  }

  async #revoke({
    token: which,
    at: deadline,
  }: Extract<Question, { kind: 'revoke_at_provider' }>): Promise<RefreshEvent> {
    const { provider } = this.#shared.options
    const fresh = which === 'fresh'
    const hasRefresh = fresh ? this.#fresh.refresh !== undefined : (this.#record?.refresh ?? null) !== null
    // The refresh token stands for the whole grant; the access token is the second best.
    const kind = hasRefresh && this.#shared.traits.revocationNeedsLive !== true ? 'refresh' : 'access'
    const token = fresh ? this.#fresh[kind]?.slice() : this.#open(kind)
    if (token === undefined) return { kind: 'revocation', revoked: 'unsupported' }
    try {
      const request = (signal: AbortSignal): Promise<Revoked> =>
        provider.revoke(token, `${kind}_token`, { deadline, signal })
      const revoked = (await this.#withDeadline(deadline, request)) ?? 'unreachable'
      return { kind: 'revocation', revoked: revocations.has(revoked) ? revoked : 'unreachable' }
    } finally {
      token.fill(0)
    }
  }

  #open(kind: 'access' | 'refresh'): Uint8Array | undefined {
    const record = this.#record
    const text = record?.[kind]
    if (record === undefined || text === undefined || text === null) return undefined
    try {
      return this.#shared.open(text, record, kind)
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error
      return undefined
    }
  }

  /** What a request comes to; nothing when it fails or the deadline passes, which aborts it. */
  async #withDeadline<T>(
    deadline: number,
    request: (signal: AbortSignal) => Promise<T>,
    discard: (late: T) => void = () => {},
  ): Promise<T | undefined> {
    const abort = new AbortController()
    let over = false
    let work: Promise<T>
    try {
      work = request(abort.signal)
    } catch {
      return undefined
    }
    work.then(
      (late) => {
        if (over) discard(late)
      },
      () => {},
    )
    const answer = await this.#shared.within<{ value: T } | undefined>(
      work.then((value) => ({ value })),
      deadline - this.#shared.now(),
      undefined,
    )
    over = answer === undefined
    if (over) abort.abort()
    return answer?.value
  }
}

const classOf = {
  terminal: 'terminal',
  transient: 'transient',
  rate_limited: 'rate_limited',
  operator: 'operator_error',
  unparsed: 'not_understood',
} as const satisfies Record<Exclude<Answered['class'], 'ok'>, string>

const doubts: ReadonlySet<unknown> = new Set(['none', 'answered', 'silent'])
const revocations: ReadonlySet<unknown> = new Set(['done', 'refused', 'unreachable', 'unsupported'])

const isQuestion = (effect: RefreshEffect): effect is Question =>
  effect.kind === 'persist' ||
  effect.kind === 'wait' ||
  effect.kind === 'send' ||
  effect.kind === 'revoke_at_provider'

function refusal({ outcome, cause, at }: Extract<RefreshEffect, { kind: 'refuse' }>): NoToken {
  return {
    outcome: outcome as NoToken['outcome'],
    ...(cause === 'none' ? undefined : { cause }),
    ...(outcome === 'temporarily_unavailable' ? { retryAt: at } : undefined),
  }
}

function freshOf({ tokens, raw }: Answered): Fresh {
  const scopes = Array.isArray(tokens?.scopes) ? tokens.scopes : undefined
  return {
    ...(tokens?.accessToken instanceof Uint8Array && { access: tokens.accessToken }),
    ...(tokens?.refreshToken instanceof Uint8Array && { refresh: tokens.refreshToken }),
    ...(scopes && { scopes }),
    ...(raw instanceof Uint8Array && { raw }),
  }
}

/** A length of time that an answer gave, where it is one. */
const milliseconds = <N extends string>(name: N, value: number | undefined): { [K in N]?: number } =>
  typeof value === 'number' ? ({ [name]: value } as { [K in N]?: number }) : {}

function wipe({ access, refresh, raw }: Fresh): void {
  access?.fill(0)
  refresh?.fill(0)
  raw?.fill(0)
}

function bytesOf(token: Uint8Array | string): Uint8Array {
  return typeof token === 'string' ? encoder.encode(token) : token
}

/** No store would give anything else back as it was. */
const isPlain = (text: string): boolean =>
  typeof text === 'string' && text.isWellFormed() && !text.includes('\0')

function isPending<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | null | undefined)?.then === 'function'
}

function toId(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** Does something whose failure changes nothing. */
function quietly(work: () => MaybePromise<void> | undefined): Promise<void> | undefined {
  try {
    const pending = work()
    return isPending(pending) ? Promise.resolve(pending).catch(() => {}) : undefined
  } catch {
    return undefined
  }
}

function afterTimeout(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}
