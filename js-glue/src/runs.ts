/**
 * Runs that outlive the connection of whoever started them: start one, read its log as it grows, and find it again
 * after a lost reply, a dead connection or a reload of the page. Work that exists or existed is never asked for twice.
 */
import type { Retention, Run } from './retention-types.ts'
import type { RunEvent, RunView } from './runs-types.ts'

export type { RunEnd, RunEvent, RunView } from './runs-types.ts'

/** Where the pointer to unfinished work is kept: `localStorage`, or anything like it. */
export interface RunStorage {
  getItem(key: string): string | null | Promise<string | null>
  setItem(key: string, value: string): void | Promise<void>
  removeItem(key: string): void | Promise<void>
}

export interface RunsOptions {
  /** Of the Worker, without a slash at its end; empty for the page's own origin. */
  readonly base: string
  /** Default: the global one. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
  /** Sent with every request; a function is asked each time. */
  readonly headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>)
  /** Without it a reload of the page does not find its work again. */
  readonly storage?: RunStorage
  /** The core's decisions; default: the module of this package, loaded when there is something to decide. */
  readonly retention?: () => Promise<Pick<Retention, 'recover'>>
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: () => number
  /** 0 up to 1; default `Math.random`. */
  readonly random?: () => number
  /** A connection that says nothing for so long is taken for dead; the Worker says something every 15 s. Default 40,000. */
  readonly silenceMs?: number
  /** The first pause before coming again; it doubles up to 30 times that. Default 500. */
  readonly backOffMs?: number
  /** Without any answer for so long it is given up. Default 20 minutes, the window in which work is found again. */
  readonly windowMs?: number
  /** Is told of everything that a person may want to see of it. */
  readonly notify?: (news: RunNews) => void
}

export type RunNews =
  | { readonly news: 'posted' | 'found' | 'connected'; readonly runId: string }
  /** The connection is gone, or could not be made; it is tried again after that time. */
  | { readonly news: 'dropped'; readonly reason: string; readonly retryMs: number }

export interface RunDiagnostics {
  /** In the order in which they were met, each once. */
  readonly attemptedRunIds: readonly string[]
  /** Of the last drop, refusal or decision. */
  readonly lastReason: string | null
  readonly posts: number
  readonly connects: number
  readonly drops: number
  /** Drops because nothing was heard for too long. */
  readonly stalls: number
}

/** What a stream gives: the run's events, and one at its end, from the log or, where there is none to be had, from here. */
export type RunItem =
  | (RunEvent & { readonly local?: undefined })
  | {
      readonly local: true
      readonly type: 'error'
      readonly end: { readonly kind: 'error'; readonly code: string; readonly recoverable: boolean }
      readonly diagnostics: RunDiagnostics
    }

export interface RunStream extends AsyncIterable<RunItem> {
  /** Settles as soon as it is known, with nothing when there is no run. */
  readonly runId: Promise<string | undefined>
  diagnostics(): RunDiagnostics
  /** Stops reading. The run goes on. */
  close(): void
}

export interface StartOptions {
  /** The same key is the same work, whoever asks for it and how often; default: a new one. */
  readonly clientKey?: string
  readonly owner?: 'user' | 'org'
  readonly background?: boolean
  readonly uses?: readonly { readonly provider: string; readonly owner?: 'user' | 'org' }[]
  readonly signal?: AbortSignal
}

export interface Runs {
  /**
   * Asks for work and reads its log. Where the pointer of the same thread, input and key is kept, that work is gone on
   * with instead.
   */
  start(threadId: string, input?: unknown, options?: StartOptions): RunStream
  /** Goes on with what the kept pointer of that thread says; nothing when there is none. */
  resume(threadId: string, options?: { readonly signal?: AbortSignal }): Promise<RunStream | undefined>
  /** Reads the log of a run that is known, from an event on. */
  follow(runId: string, options?: { readonly from?: number; readonly signal?: AbortSignal }): RunStream
  /** A person stops it. */
  abort(runId: string): Promise<void>
}

/** What is kept of work that has not been seen to end. */
interface Pointer {
  readonly clientKey: string
  /** The body of the request, so that it can be asked for again after a reload. */
  readonly body: string
  /** By this client's clock. */
  readonly postedAt: number | null
  readonly attempts: number
  readonly runId: string | null
}

interface Found {
  readonly runs: readonly (Run & { readonly runId: string })[]
  readonly now: number
}

const keyOf = (threadId: string): string => `latchkey.run.${threadId}`
const deathsKeyOf = (threadId: string): string => `latchkey.run-deaths.${threadId}`
const mostPauses = 30

export function connectRuns(options: RunsOptions): Runs {
  const client = new Client(options)
  return {
    start: (threadId, input, { clientKey, owner, background, uses, signal } = {}) => {
      const wanted = {
        threadId,
        ...(owner !== undefined && { owner }),
        ...(input !== undefined && { input }),
        ...(background !== undefined && { background }),
        ...(uses !== undefined && { uses }),
      }
      return new Stream(client, { threadId, wanted, clientKey, owner }, signal)
    },
    async resume(threadId, { signal } = {}) {
      const pointer = await client.pointer(threadId)
      return pointer && new Stream(client, { threadId, owner: ownerIn(pointer.body) }, signal)
    },
    follow: (runId, { from = 1, signal } = {}) => new Stream(client, { runId, seen: from - 1 }, signal),
    async abort(runId) {
      await client.ask('POST', `/api/runs/${runId}/abort`, '{}')
    },
  }
}

const ownerIn = (body: string): 'user' | 'org' | undefined =>
  (JSON.parse(body) as { owner?: 'user' | 'org' }).owner

/** Why there was no answer that can be used. */
class Failure extends Error {
  /** A code of the Worker, or what happened to the connection. */
  readonly reason: string
  /** It will not be otherwise the next time. */
  readonly final: boolean
  /** The request was answered with a refusal: nothing came of it. */
  readonly refused: boolean

  constructor(reason: string, final: boolean, refused = false) {
    super(reason)
    this.reason = reason
    this.final = final
    this.refused = refused
  }
}

class Client {
  readonly options: RunsOptions
  readonly now: () => number
  #retention: Promise<Pick<Retention, 'recover'>> | undefined

  constructor(options: RunsOptions) {
    this.options = options
    this.now = options.now ?? Date.now
  }

  async send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const { base, headers, fetch: send = fetch } = this.options
    const all = new Headers(typeof headers === 'function' ? await headers() : headers)
    new Headers(init.headers).forEach((value, name) => all.set(name, value))
    let response: Response
    try {
      response = await send(`${base}${path}`, { ...init, method, headers: all, cache: 'no-store' })
    } catch (error) {
      if (init.signal?.aborted) throw error
      throw new Failure('unreachable', false)
    }
    if (response.ok) return response
    const code = await codeIn(response)
    // What is asked for wrongly stays wrong; who is asking may be said better the next time.
    const refused = response.status >= 400 && response.status < 500
    throw new Failure(code, refused && ![401, 408, 425, 429].includes(response.status), refused)
  }

  async ask<T>(method: string, path: string, body?: string, signal?: AbortSignal): Promise<T> {
    const response = await this.send(method, path, {
      ...(body !== undefined && { body, headers: { 'content-type': 'application/json' } }),
      ...(signal && { signal }),
    })
    try {
      return (await response.json()) as T
    } catch {
      throw new Failure('unreadable', false)
    }
  }

  retention(): Promise<Pick<Retention, 'recover'>> {
    const load = this.options.retention ?? (async () => (await (await import('latchkey')).load()).retention)
    this.#retention ??= load()
    this.#retention.catch(() => (this.#retention = undefined))
    return this.#retention
  }

  async pointer(threadId: string): Promise<Pointer | undefined> {
    const text = await this.options.storage?.getItem(keyOf(threadId))
    return text ? (JSON.parse(text) as Pointer) : undefined
  }
  async keep(threadId: string, pointer: Pointer | undefined): Promise<void> {
    const { storage } = this.options
    if (pointer) await storage?.setItem(keyOf(threadId), JSON.stringify(pointer))
    else await storage?.removeItem(keyOf(threadId))
  }

  async deaths(threadId: string): Promise<number> {
    return Number((await this.options.storage?.getItem(deathsKeyOf(threadId))) ?? 0)
  }
  async keepDeaths(threadId: string, deaths: number): Promise<void> {
    const { storage } = this.options
    if (deaths > 0) await storage?.setItem(deathsKeyOf(threadId), String(deaths))
    else await storage?.removeItem(deathsKeyOf(threadId))
  }
}

async function codeIn(response: Response): Promise<string> {
  try {
    const { error } = (await response.json()) as { error?: unknown }
    if (typeof error === 'string' && /^[a-z_]{1,64}$/.test(error)) return error
  } catch {
    // Not from the Worker: a proxy's own page.
  }
  return `status_${response.status}`
}

/** What is wanted: new work of a thread, what its pointer says, or a run that is known. */
interface Aim {
  readonly threadId?: string
  readonly wanted?: object
  readonly clientKey?: string | undefined
  readonly owner?: 'user' | 'org' | undefined
  readonly runId?: string
  readonly seen?: number
}

class Stream implements RunStream {
  readonly runId: Promise<string | undefined>
  readonly #client: Client
  readonly #aim: Aim
  readonly #abort = new AbortController()
  readonly #attempted: string[] = []
  #known: (runId: string | undefined) => void = () => undefined
  #reason: string | null = null
  #posts = 0
  #connects = 0
  #drops = 0
  #stalls = 0
  #pauses = 0
  /** When something was heard last. */
  #heardAt: number
  #taken = false

  constructor(client: Client, aim: Aim, signal?: AbortSignal) {
    this.#client = client
    this.#aim = aim
    this.#heardAt = performance.now()
    this.runId = new Promise((resolve) => (this.#known = resolve))
    if (signal?.aborted) this.#abort.abort()
    signal?.addEventListener('abort', () => this.#abort.abort(), { once: true })
    // A stream that nobody reads is work that nobody asks for.
  }

  close(): void {
    this.#abort.abort()
  }

  diagnostics(): RunDiagnostics {
    return {
      attemptedRunIds: [...this.#attempted],
      lastReason: this.#reason,
      posts: this.#posts,
      connects: this.#connects,
      drops: this.#drops,
      stalls: this.#stalls,
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<RunItem> {
    if (this.#taken)
      throw new TypeError('latchkey: a run is read once; start another stream for another reader')
    this.#taken = true
    return this.#items()
  }

  async *#items(): AsyncGenerator<RunItem, void> {
    try {
      const runId = this.#aim.runId ?? (await this.#find())
      this.#meet(runId)
      yield* this.#read(runId)
    } catch (error) {
      if (this.#abort.signal.aborted) return
      if (!(error instanceof Failure)) throw error
      this.#reason = error.reason
      // What is given up may still be there: the pointer stays for the next look.
      if (error.final) await this.#settled()
      const end = { kind: 'error', code: error.reason, recoverable: !error.final } as const
      yield { local: true, type: 'error', end, diagnostics: this.diagnostics() }
    } finally {
      this.#abort.abort()
      this.#known(undefined)
    }
  }

  // Finding or starting it ----------------------------------------------------------------------------------------

  async #find(): Promise<string> {
    const threadId = this.#aim.threadId!
    let pointer = await this.#pointerOf(threadId)
    const deaths = await this.#client.deaths(threadId)
    for (;;) {
      try {
        if (pointer.runId !== null) return pointer.runId
        // Only work that nobody can have asked for yet needs no look and no decision.
        const isNew = pointer.attempts === 0 && deaths === 0
        const found = isNew ? undefined : await this.#lookUp(threadId, pointer, deaths)
        if (found !== undefined) {
          this.#client.options.notify?.({ news: 'found', runId: found })
          await this.#client.keep(threadId, { ...pointer, runId: found })
          return found
        }
        const before = pointer
        pointer = {
          ...pointer,
          attempts: pointer.attempts + 1,
          postedAt: pointer.postedAt ?? this.#client.now(),
        }
        // Before it leaves: whatever becomes of the reply, it is known that it may have been asked for.
        await this.#client.keep(threadId, pointer)
        try {
          const runId = await this.#post(pointer.body)
          await this.#client.keep(threadId, { ...pointer, runId })
          return runId
        } catch (error) {
          if (error instanceof Failure && error.refused) await this.#client.keep(threadId, (pointer = before))
          throw error
        }
      } catch (error) {
        await this.#pause(error)
      }
    }
  }

  async #post(body: string): Promise<string> {
    this.#posts += 1
    const { runId } = await this.#client.ask<{ runId: string }>('POST', '/api/runs', body, this.#abort.signal)
    this.#heard()
    this.#client.options.notify?.({ news: 'posted', runId })
    return runId
  }

  async #pointerOf(threadId: string): Promise<Pointer> {
    const kept = await this.#client.pointer(threadId)
    const { wanted, clientKey } = this.#aim
    if (wanted === undefined) return kept!
    const key =
      clientKey ??
      (kept && JSON.stringify({ ...wanted, clientKey: kept.clientKey }) === kept.body
        ? kept.clientKey
        : newKey())
    const body = JSON.stringify({ ...wanted, clientKey: key })
    if (kept?.clientKey === key) return { ...kept, body }
    return { clientKey: key, body, postedAt: null, attempts: 0, runId: null }
  }

  /** The run that was asked for before, nothing when it is to be asked for; what is to be neither is a failure. */
  async #lookUp(threadId: string, pointer: Pointer, deaths: number): Promise<string | undefined> {
    const query = new URLSearchParams({ clientKey: pointer.clientKey })
    if (this.#aim.owner !== undefined) query.set('owner', this.#aim.owner)
    const path = `/api/threads/${encodeURIComponent(threadId)}/active-run?${query}`
    const found = await this.#client.ask<Found>('GET', path, undefined, this.#abort.signal)
    this.#heard()
    const { recover } = await this.#client.retention()
    // Times of runs are by the Worker's clock; how long ago this client asked, by its own.
    const { postedAt, attempts } = pointer
    const asked =
      postedAt === null ? {} : { postedAt: Math.max(0, found.now - (this.#client.now() - postedAt)) }
    const wanted = { lookedUp: true, attempts, earlyDeaths: deaths, ...asked }
    const { action, reason, run } = recover(found.runs, wanted, found.now)
    this.#reason = reason
    switch (action) {
      case 'post':
        return undefined
      case 'reconnect':
      case 'replay':
        return found.runs[run!]!.runId
      case 'refuse': {
        // Found by its key, it is ours, whatever has become of it: its log says how it ended.
        const [mine] = found.runs
        if (mine) return mine.runId
        throw new Failure(reason, reason !== 'unavailable' && reason !== 'stale')
      }
    }
  }

  // Reading its log -----------------------------------------------------------------------------------------------

  async *#read(runId: string): AsyncGenerator<RunItem, void> {
    let seen = this.#aim.seen ?? 0
    for (;;) {
      try {
        const response = await this.#open(runId, seen)
        if (response.status === 204) {
          yield await this.#ended(runId, seen)
          return
        }
        for await (const event of this.#events(response)) {
          if (event.seq <= seen) continue
          // A hole would be lost for ever: what comes after it is asked for again, with it.
          if (event.seq !== seen + 1) throw new Failure('event_missing', false)
          seen = event.seq
          this.#pauses = 0
          if (event.end) {
            await this.#settled(event)
            yield event
            return
          }
          yield event
        }
        throw new Failure('closed', false)
      } catch (error) {
        await this.#pause(error)
      }
    }
  }

  async #open(runId: string, seen: number): Promise<Response> {
    const response = await this.#client.send('GET', `/api/runs/${runId}/events?from=${seen + 1}`, {
      headers: { accept: 'text/event-stream', ...(seen > 0 && { 'last-event-id': String(seen) }) },
      signal: this.#abort.signal,
    })
    this.#heard()
    this.#connects += 1
    this.#client.options.notify?.({ news: 'connected', runId })
    return response
  }

  /** The log ended with what was seen before: its last event once more. */
  async #ended(runId: string, seen: number): Promise<RunItem> {
    const { lastSeq } = await this.#client.ask<RunView>(
      'GET',
      `/api/runs/${runId}`,
      undefined,
      this.#abort.signal,
    )
    const response = await this.#open(runId, Math.min(seen, lastSeq) - 1)
    for await (const event of this.#events(response)) {
      if (!event.end) continue
      await this.#settled(event)
      return event
    }
    throw new Failure('closed', false)
  }

  /** WHATWG HTML section 9.2: of the fields only `data` matters, since an event says its own number. */
  async *#events(response: Response): AsyncGenerator<RunEvent, void> {
    const reader = response.body!.getReader()
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for (;;) {
        const { done, value } = await this.#within(reader.read())
        if (done) return
        this.#heard()
        rest += decoder.decode(value, { stream: true })
        const blocks = rest.split('\n\n')
        rest = blocks.pop()!
        for (const block of blocks) {
          const event = eventIn(block)
          if (event) yield event
        }
      }
    } finally {
      reader.cancel().catch(() => undefined)
    }
  }

  /** A piece of the answer, or the end of our patience. */
  async #within<T>(piece: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Failure('stalled', false)),
        this.#client.options.silenceMs ?? 40_000,
      )
    })
    try {
      return await Promise.race([piece, silence])
    } catch (error) {
      if (error instanceof Failure) this.#stalls += 1
      throw error instanceof Failure || this.#abort.signal.aborted ? error : new Failure('broken', false)
    } finally {
      clearTimeout(timer)
    }
  }

  // What both need ------------------------------------------------------------------------------------------------

  #meet(runId: string): void {
    if (!this.#attempted.includes(runId)) this.#attempted.push(runId)
    this.#known(runId)
  }

  #heard(): void {
    this.#heardAt = performance.now()
  }

  /** Waits before it is tried again; throws what cannot be tried again, or was tried for too long. */
  async #pause(error: unknown): Promise<void> {
    if (this.#abort.signal.aborted || !(error instanceof Failure) || error.final) throw error
    this.#reason = error.reason
    this.#drops += 1
    const { backOffMs = 500, windowMs = 1_200_000, random = Math.random, notify } = this.#client.options
    if (performance.now() - this.#heardAt > windowMs) throw new Failure('connection_error', false)
    const most = backOffMs * Math.min(mostPauses, 2 ** this.#pauses)
    this.#pauses += 1
    // Full jitter over the upper half, so that those who were dropped together do not come back together.
    const retryMs = Math.round(most * (0.5 + random() / 2))
    notify?.({ news: 'dropped', reason: error.reason, retryMs })
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, retryMs)
      this.#abort.signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
    })
    if (this.#abort.signal.aborted) throw error
  }

  /** The work has been seen to end: nothing of it is to be found again. */
  async #settled(event?: RunEvent): Promise<void> {
    const { threadId } = this.#aim
    if (threadId === undefined) return
    await this.#client.keep(threadId, undefined)
    if (!event) return
    const died = event.end?.cause === 'stale_run' && event.end.early === true
    await this.#client.keepDeaths(threadId, died ? (await this.#client.deaths(threadId)) + 1 : 0)
  }
}

function eventIn(block: string): RunEvent | undefined {
  const data = block
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(line.startsWith('data: ') ? 6 : 5))
    .join('\n')
  return data === '' ? undefined : (JSON.parse(data) as RunEvent)
}

/** 128 random bits: nobody else asks under this key. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
