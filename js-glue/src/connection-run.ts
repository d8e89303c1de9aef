/** One caller's flow through what the core decides: each effect is carried out, each question asked and answered. */
import { askRefresh, askRevocation } from './connection-provider.ts'
import {
  nextRecord,
  openAll,
  openText,
  openToken,
  textOf,
  wipe,
  type Fresh,
  type Parts,
  type SealedLogin,
} from './connection-record.ts'
import { isPending, type Shared } from './connection-shared.ts'
import type {
  Condition,
  EndResult,
  LoginResult,
  MaybePromise,
  NoToken,
  Stored,
  Token,
  TokenResult,
  Written,
} from './connection-types.ts'
import { LatchkeyError } from './errors.ts'
import type { RefreshBegin, RefreshEffect, RefreshEvent, Seen } from './refresh-types.ts'

/** A store that has not answered by then is taken as one that does not. */
const storeTimeOutMs = 10_000

export type Answer = TokenResult | EndResult | LoginResult
type WithoutHead<B> = B extends unknown ? Omit<B, 'kind' | 'entropy' | 'seen'> : never
export type Begin = WithoutHead<RefreshBegin>
type Question = Extract<RefreshEffect, { kind: 'persist' | 'wait' | 'send' | 'revoke_at_provider' }>

export class Run {
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
          openAll(this.#shared, record)
        } else if (effect.kind === 'serve' && effect.token === 'stored') {
          this.#opened = { record, accessToken: openText(this.#shared, record) }
        }
      }
      return 'row'
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error
      if (error.code !== 'seal_unknown_key' || task === 'erase') return 'corrupt'
      return task === 'login' ? 'row' : 'nothing'
    }
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
    if (effect.token === 'fresh') accessToken = textOf(this.#fresh)
    else if (this.#opened !== undefined && this.#opened.record === record)
      accessToken = this.#opened.accessToken
    else if (record !== undefined) accessToken = openText(this.#shared, record)
    if (accessToken === undefined) return { outcome: 'temporarily_unavailable' }
    const { at: expiresAt, generation, source, persistFailed, standsUntil } = effect
    const token: Token = { outcome: 'ok', accessToken, expiresAt, generation, source, persistFailed }
    const begin = this.#begin
    if (begin.task === 'fetch') {
      this.#shared.settle(token, standsUntil, begin.minValidityMs ?? 0, this.#writes)
    }
    return token
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
      next = row === null ? null : nextRecord(this.#shared, this.#parts(), effect, row)
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

  #parts(): Parts {
    return { record: this.#record, fresh: this.#fresh, login: this.#login }
  }

  #condition({ condition }: Extract<Question, { kind: 'persist' }>): Condition {
    if (condition.is !== 'corrupt') return condition
    // Without a record there is nothing that could be corrupt.
    return this.#record === undefined ? { is: 'absent' } : { is: 'corrupt', record: this.#record }
  }

  async #send(question: Extract<Question, { kind: 'send' }>): Promise<RefreshEvent> {
    const token = openToken(this.#shared, this.#record, 'refresh')
    const { event, fresh } = await askRefresh(this.#shared, token, question)
    if (fresh === undefined) return event
    wipe(this.#fresh)
    this.#fresh = fresh
    return event
  }

  #revoke({
    token: which,
    at: deadline,
  }: Extract<Question, { kind: 'revoke_at_provider' }>): Promise<RefreshEvent> {
    const fresh = which === 'fresh'
    const hasRefresh = fresh ? this.#fresh.refresh !== undefined : (this.#record?.refresh ?? null) !== null
    // The refresh token stands for the whole grant; the access token is the second best.
    const kind = hasRefresh && this.#shared.traits.revocationNeedsLive !== true ? 'refresh' : 'access'
    const token = fresh ? this.#fresh[kind]?.slice() : openToken(this.#shared, this.#record, kind)
    return askRevocation(this.#shared, token, kind, deadline)
  }
}

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

/** Does something whose failure changes nothing. */
function quietly(work: () => MaybePromise<void> | undefined): Promise<void> | undefined {
  try {
    const pending = work()
    return isPending(pending) ? Promise.resolve(pending).catch(() => {}) : undefined
  } catch {
    return undefined
  }
}
