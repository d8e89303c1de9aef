import { DurableObject } from 'cloudflare:workers'
import type { RunCause, RunStatus } from 'latchkey'
import type { RunEnd, RunView } from 'latchkey/runs'
import { openApp, type App } from './app.ts'
import { demonstration } from './demonstration.ts'
import type { Env } from './env.ts'
import { logFailure } from './failure.ts'
import { report } from './ledger.ts'
import { LogWatch } from './log-watch.ts'
import { newNonce, runId, type ConnectionKey } from './names.ts'
import { codeOf, Refusal, type Code } from './refusal.ts'
import { readable, readableOf, workable } from './run-access.ts'
import { RunEnding, rulesOf } from './run-ending.ts'
import { never, RunLog, usedText, usesOf, type RunRow } from './run-log.ts'
import { enter, indexAll, unwatchConnections, watchConnections } from './run-neighbours.ts'
import { sweep } from './sweep.ts'
import type {
  Asker,
  Beat,
  Finish,
  Finished,
  Found,
  NewEvent,
  Said,
  Started,
  StartRequest,
  Written,
} from './thread-types.ts'

export type * from './thread-types.ts'

/**
 * One object per owner and thread: the log of its runs. Which of them are dead, how each ends, who is told of it and
 * when it is forgotten is decided by the core. Between calls nothing is in memory but who is subscribed, and nothing
 * runs but the alarm, so an object that nobody listens to can leave memory at any time.
 */
export class Thread extends DurableObject<Env> {
  readonly #log: RunLog
  readonly #ending: RunEnding
  readonly #watch: LogWatch
  /** The last event of a run that is durable: a reader never sees one that a crash could take back. */
  readonly #durable = new Map<number, number>()
  /** What goes on beside the answers. */
  readonly #beside = new Set<Promise<void>>()
  #erasures = 0
  #alarmAt: number | null | undefined

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#log = new RunLog(context.storage)
    this.#ending = new RunEnding(this.#log, (row) => this.#ended(row))
    this.#watch = new LogWatch(
      (run, after) => this.#log.page(run, after, this.#durable.get(run) ?? 0),
      () => this.#ending.settle(openApp(this.env), Date.now()),
    )
  }

  /** How many read along. */
  get subscribers(): number {
    return this.#watch.subscribers
  }

  async start(request: StartRequest): Promise<Said<Started>> {
    return await this.#say(async (app) => {
      const isNew = this.#begin(app, request) === 'start'
      const isFirst = this.endsAt() === null
      const erasures = this.#erasures
      const nonce = newNonce()
      const { uses } = request
      // Entered before it is there; it stays entered until it says that nothing is left.
      if (isNew && isFirst) await enter(app, request)
      if (isNew) await watchConnections(app, this.#id({ nonce }), uses)
      // While the connections were told, another call may have started it.
      const started = this.#log.transaction(() => {
        const found = this.#begin(app, request)
        if (found === 'start') this.#log.insert(request, nonce, Date.now())
        const row = this.#log.byKey(request.clientKey)!
        this.#changed(row)
        return { ...this.#brief(row), created: found === 'start' }
      })
      if (isNew && !started.created) void this.#goOn(unwatchConnections(app, this.#id({ nonce }), uses))
      // Whoever looked for it in between has found that it is nothing.
      if (started.created && (isFirst || erasures !== this.#erasures)) await enter(app, request)
      return started
    })
  }

  async view(nonce: string, asker: Asker): Promise<Said<RunView>> {
    return await this.#say((app) => {
      this.#ending.settle(app, Date.now())
      return this.#view(readable(app, this.#log, nonce, asker))
    })
  }

  /** The thread's run that a client may join, or the one that was asked for under its key. */
  async active(asker: Asker, clientKey?: string): Promise<Said<Found>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#log.forgiveClock(now)
      const rows = readableOf(app, this.#log, this.#log.recent(clientKey), asker)
      const runs = rows.map((row) => this.#log.factsOf(row))
      const live = rows.find(({ status }) => status === 'running')
      const stale = live && rulesOf(live)
      // What is dead and not reaped is not told of this time: `stale`, ask again.
      const found = app.lk.retention.recover(runs, { lookedUp: true }, now, { ...(stale && { stale }) })
      this.#ending.settle(app, now)
      const row = found.run === undefined ? undefined : rows[found.run]
      return {
        run: row ? this.#view(row) : null,
        action: found.action,
        reason: found.reason,
        runs: rows.map((one, n) => ({ ...runs[n]!, runId: this.#id(one) })),
        now,
      }
    })
  }

  async append(
    nonce: string,
    asker: Asker,
    events: readonly NewEvent[],
    after: number | undefined,
  ): Promise<Said<Written>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#ending.settle(app, now)
      return this.#log.transaction(() => {
        const row = workable(app, this.#log, nonce, asker)
        const written = []
        let expected = after
        for (const event of events) {
          const { action, seq } = this.#offer(app, row, event, expected)
          if (action === 'append') {
            this.#log.write(
              row.n,
              { seq, at: now, type: event.type, data: event.data ?? null, end: null },
              event.key,
            )
            if (expected !== undefined) expected = seq
          }
          written.push({ key: event.key, seq, ...(action === 'duplicate' && { duplicate: true as const }) })
        }
        if (row.status === 'running') this.#log.sign(row, now, { event: true })
        this.#changed(row)
        return { lastSeq: this.#log.endOf(row.n).lastSeq, events: written }
      })
    })
  }

  async heartbeat(
    nonce: string,
    asker: Asker,
    beat: Beat,
  ): Promise<Said<{ status: RunStatus; lastSeq: number; claimed?: boolean }>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#ending.settle(app, now)
      const row = workable(app, this.#log, nonce, asker)
      if (row.status !== 'running') throw new Refusal('run_ended')
      const { claim } = beat
      const claimed = claim === undefined ? undefined : this.#log.claim(row.n, claim)
      // Whoever may not work at it gives no sign of the work.
      if (claimed !== false) this.#log.sign(row, now, { process: beat.process, inFlight: beat.inFlight })
      this.#changed(row)
      const { status, lastSeq } = this.#brief(row)
      return { status, lastSeq, ...(claimed !== undefined && { claimed }) }
    })
  }

  /** Writes the one event that ends the log; whoever comes later changes nothing. */
  async finish(nonce: string, asker: Asker, { kind, data, device }: Finish): Promise<Said<Finished>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#ending.settle(app, now)
      return this.#log.transaction(() => {
        const row = workable(app, this.#log, nonce, asker, device)
        const wasRunning = row.status === 'running'
        if (wasRunning) {
          const seq = this.#log.endOf(row.n).lastSeq + 1
          const { status } = app.lk.retention.terminal('running', { lastSeq: seq, end: kind })
          const end: RunEnd = { kind, status: status as RunEnd['status'] }
          this.#log.write(row.n, { seq, at: now, type: kind, data: data ?? null, end: JSON.stringify(end) })
          this.#ending.conclude(app, row, now)
        }
        const { status, lastSeq } = this.#brief(this.#log.byNumber(row.n))
        return { status, lastSeq, idempotent: !wasRunning }
      })
    })
  }

  /** A person stops it: it is not found again, and its log ends. */
  async abort(nonce: string, asker: Asker): Promise<Said<Finished>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#ending.settle(app, now)
      if (asker.kind === 'device') throw new Refusal('not_allowed')
      return this.#log.transaction(() => {
        const row = workable(app, this.#log, nonce, asker)
        const wasRunning = row.status === 'running'
        if (wasRunning) this.#ending.conclude(app, { ...row, status: 'aborted' }, now)
        const { status, lastSeq } = this.#brief(this.#log.byNumber(row.n))
        return { status, lastSeq, idempotent: !wasRunning }
      })
    })
  }

  /** A connection that runs use has come to an end: so do they, once, with that cause. Says how many. */
  endRuns(connection: ConnectionKey, cause: RunCause): number {
    const app = openApp(this.env)
    const now = Date.now()
    const used = usedText(connection)
    this.#ending.settle(app, now)
    return this.#log.transaction(() => {
      const rows = this.#log.running().filter(({ uses }) => (JSON.parse(uses) as string[]).includes(used))
      for (const row of rows) this.#ending.conclude(app, row, now, cause)
      return rows.length
    })
  }

  /** When the last of what is kept here ends; null: nothing is. A run that goes on is asked about again. */
  endsAt(): number | null {
    return this.#log.endsAt()
  }

  /** Everything of the thread, for the erasure of a person. What still runs ends first, so that its readers are told. */
  async erase(): Promise<void> {
    const app = openApp(this.env)
    do {
      const live = this.#log.running()
      for (const row of live) this.#ending.conclude(app, row, Date.now(), 'erased')
      await Promise.all([
        ...live.map(({ n }) => this.#publish(n)),
        ...this.#log.rows('1').map((row) => unwatchConnections(app, this.#id(row), usesOf(row))),
      ])
      // Another may have been started meanwhile.
    } while (this.#log.running().length > 0)
    const runs = this.#log.rows('1').map(({ n }) => n)
    this.#log.erase()
    this.#erasures += 1
    for (const n of runs) this.#forget(n)
    // Nothing writes of it any more, here or elsewhere, once this is answered.
    await Promise.all(this.#beside)
    if (this.endsAt() !== null) return
    this.#alarmAt = undefined
    await this.ctx.storage.deleteAlarm()
  }

  /** The log as Server-Sent Events: `?run=<nonce>&after=<seq>`, asked for by whom the header says. */
  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const asker = JSON.parse(request.headers.get('x-latchkey-asker') ?? '{}') as Asker
    const after = Number(url.searchParams.get('after'))
    // What is in the database and not on the disk yet is not to be read.
    await this.#log.durable()
    const said = await this.#say((app) => {
      const { n } = readable(app, this.#log, url.searchParams.get('run') ?? '', asker)
      this.#ending.settle(app, Date.now())
      const row = this.#log.byNumber(n)
      // The last look at the log before somebody waits for its end.
      if (row.status !== 'running') this.#ending.conclude(app, row, row.completed_at ?? Date.now())
      return n
    })
    if (!said.ok) return Response.json(said, { status: 409 })
    await this.#log.durable()
    // It may have gone meanwhile, and its number may be another run's.
    const isThere = this.#log.rows('nonce = ?', url.searchParams.get('run') ?? '')[0]?.n === said.value
    if (!isThere) return Response.json(refusal('run_unknown'), { status: 409 })
    const { lastSeq, end } = this.#log.endOf(said.value)
    this.#durable.set(said.value, Math.max(lastSeq, this.#durable.get(said.value) ?? 0))
    // Everything is there already: RFC-less but agreed, a browser that is told so does not come again.
    if (end !== undefined && after >= lastSeq) return new Response(null, { status: 204 })
    const headers = { 'content-type': 'text/event-stream; charset=utf-8' }
    return new Response(this.#watch.subscribe(said.value, after), { headers })
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = undefined
    const app = openApp(this.env)
    try {
      this.#ending.settle(app, Date.now())
      if (app.config.dev) for (const row of this.#log.running()) this.#demonstrate(app, row, Date.now())
      await this.#goOn(indexAll(app, this.#log, this.#id))
      await this.#sweep(app)
    } finally {
      await this.#arm()
    }
  }

  #id = ({ nonce }: Pick<RunRow, 'nonce'>): string => runId({ object: this.ctx.id.toString(), nonce })

  #brief(row: RunRow): { runId: string; status: RunStatus; lastSeq: number } {
    return { runId: this.#id(row), status: row.status, lastSeq: this.#log.endOf(row.n).lastSeq }
  }

  #view(row: RunRow): RunView {
    return {
      ...this.#brief(row),
      threadId: this.#log.owner()?.thread ?? '',
      startedAt: row.started_at,
      ...(row.heartbeat_at !== null && { heartbeatAt: row.heartbeat_at }),
      ...(row.completed_at !== null && { completedAt: row.completed_at }),
      ...(row.cause !== null && { cause: row.cause }),
      background: row.background === 1,
      inFlight: row.in_flight === 1,
      ...(row.device !== null && { device: row.device }),
    }
  }

  #begin(app: App, { clientKey }: StartRequest) {
    this.#ending.settle(app, Date.now())
    const known = this.#log.byKey(clientKey) !== undefined
    const forgotten = this.#log.isForgotten(clientKey)
    return app.lk.retention.begin({ known, forgotten, live: this.#log.running().length > 0 })
  }

  #offer(app: App, row: RunRow, { key, type, data }: NewEvent, after: number | undefined) {
    const known = this.#log.known(row.n, key)
    return app.lk.retention.append(row.status, this.#log.endOf(row.n), {
      ...(known && { knownSeq: known.seq, same: known.type === type && known.data === (data ?? null) }),
      size: new TextEncoder().encode(data ?? '').length,
      after,
    })
  }

  /** After a change: who waits is told once it is durable, the alarm is set, and the index follows. */
  #changed(row: RunRow): void {
    const { n } = row
    void this.#goOn(this.#publish(n))
    const app = openApp(this.env)
    const current = this.#log.byNumber(n)
    void this.#goOn(this.#arm())
    if (current && current.indexed === 0) void this.#goOn(indexAll(app, this.#log, this.#id))
  }

  /** A run has ended, or its end was written down. */
  #ended(row: RunRow): void {
    this.#changed(row)
    void this.#goOn(this.#unwatch(row))
  }

  /** The connections that it used need not tell anybody any more, once its end is there to stay. */
  async #unwatch({ nonce }: RunRow): Promise<void> {
    // After the transaction that this is called in, as in `#publish`.
    await Promise.resolve()
    const [row] = this.#log.rows('nonce = ?', nonce)
    if (!row || row.status === 'running') return
    await this.#log.durable()
    await unwatchConnections(openApp(this.env), this.#id(row), usesOf(row))
  }

  #goOn(work: Promise<void>): Promise<void> {
    const ended = work.catch(logFailure).finally(() => this.#beside.delete(ended))
    this.#beside.add(ended)
    this.ctx.waitUntil(ended)
    return ended
  }

  async #publish(n: number): Promise<void> {
    // After the transaction that this is called in; what it took back is not there to be read.
    await Promise.resolve()
    const { lastSeq } = this.#log.endOf(n)
    await this.#log.durable()
    this.#durable.set(n, Math.max(lastSeq, this.#durable.get(n) ?? 0))
    this.#watch.grown(n)
  }

  /** The next moment at which something is due. */
  #nextDue(app: App): number {
    const now = Date.now()
    const steps = app.config.dev ? this.#log.running().map(demonstrationDue) : []
    return Math.min(
      this.#ending.dueAt(app, now),
      this.#log.firstEnd(),
      this.env.INDEX && !this.#log.isIndexed() ? now + indexRetryMs : never,
      ...steps,
    )
  }

  /** Sets the alarm unless an earlier one is set. One that comes too early sets the next: that is cheaper. */
  async #arm(): Promise<void> {
    const at = this.#nextDue(openApp(this.env))
    if (at === never) return
    this.#alarmAt ??= await this.ctx.storage.getAlarm()
    if (this.#alarmAt !== null && this.#alarmAt <= at) return
    this.#alarmAt = at
    await this.ctx.storage.setAlarm(at)
  }

  /** Removes what is over, a batch at a time, so that a request waits for one batch at most. */
  async #sweep(app: App): Promise<void> {
    const runs = (before: number, limit: number): number => {
      const gone = this.#log.prune(app, before, limit)
      for (const { n } of gone) this.#forget(n)
      return gone.length
    }
    await sweep(app.lk, [{ kind: 'run', remove: runs }, ...this.#log.lanes()])
    this.#report()
  }

  #report(): void {
    const owner = this.#log.owner()
    if (!owner) return
    const holdings = this.#log.holdings(openApp(this.env).lk.retention)
    void this.#goOn(report(this.env, owner.name, holdings))
  }

  /** Its number may be another run's from now on. */
  #forget(run: number): void {
    this.#durable.delete(run)
    this.#watch.gone(run)
  }

  #demonstrate(app: App, row: RunRow, now: number): void {
    const steps = demonstration(row.input ?? '')
    if (steps === undefined) return
    const { lastSeq } = this.#log.endOf(row.n)
    if ((row.event_at ?? row.started_at) + demonstrationStepMs > now) return
    this.#log.transaction(() => {
      const step = lastSeq + 1
      if (lastSeq < steps) {
        const data = JSON.stringify({ step, of: steps })
        this.#log.write(row.n, { seq: step, at: now, type: 'step', data, end: null }, `step-${step}`)
        this.#log.sign(row, now, { event: true })
        this.#changed(row)
      } else {
        const end: RunEnd = { kind: 'done', status: 'completed' }
        this.#log.write(row.n, { seq: step, at: now, type: 'done', data: null, end: JSON.stringify(end) })
        this.#ending.conclude(app, row, now)
      }
    })
  }

  async #say<T>(verb: (app: App) => T | Promise<T>): Promise<Said<T>> {
    try {
      return { ok: true, value: await verb(openApp(this.env)) }
    } catch (error) {
      const code = codeOf(error)
      // What is not a refusal is a failure of ours: storage takes back what it wrote.
      if (code === 'store_unavailable') throw error
      return refusal(code, error instanceof Refusal ? error : undefined)
    }
  }
}

const refusal = (code: Code, { status } = new Refusal(code)): Said<never> => ({ ok: false, code, status })

const demonstrationStepMs = 1_000
const indexRetryMs = 30_000

/** When the next step of one that works by itself is due. */
const demonstrationDue = ({ input, event_at: eventAt, started_at: startedAt }: RunRow): number =>
  input !== null && demonstration(input) !== undefined ? (eventAt ?? startedAt) + demonstrationStepMs : never
