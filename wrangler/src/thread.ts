import { DurableObject } from 'cloudflare:workers'
import type { Owner, Principal, Run, RunCause, RunStatus, StaleRules, TerminalKind } from 'latchkey'
import type { RunEnd, RunEvent, RunView } from 'latchkey/runs'
import { openApp, type App } from './app.ts'
import { demonstration } from './demonstration.ts'
import type { Env } from './env.ts'
import { logFailure } from './failure.ts'
import { report, type Holding } from './ledger.ts'
import { LogWatch, type Page } from './log-watch.ts'
import { newNonce, runId, vaultName, type ConnectionKey } from './names.ts'
import { ownerIndexOf } from './owner-index.ts'
import { codeOf, Refusal, type Code } from './refusal.ts'
import { indexRun } from './run-index.ts'
import { endTable, holdingOf, laneOf, sweep, type EndTable } from './sweep.ts'

/** What came of a verb; a refusal is data, so that its code survives the way out of the object. */
export type Said<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: Code; readonly status: number }

/** Who asks: whose runs they may see, whose they may write, and which device it is. */
export interface Asker {
  readonly owners: readonly Owner[]
  readonly acts: readonly Owner[]
  readonly kind: Principal['kind']
  readonly device?: string
}

export interface StartRequest {
  readonly name: string
  readonly owner: Owner
  readonly thread: string
  readonly clientKey: string
  /** JSON text. */
  readonly input?: string
  readonly background: boolean
  /** The only device that may work at it. */
  readonly device?: string
  readonly uses: readonly ConnectionKey[]
  /** It ends when nothing has been written for longer than this. */
  readonly idleMs?: number
}

export interface Started {
  readonly runId: string
  readonly status: RunStatus
  readonly lastSeq: number
  /** By this call; a repetition finds the run that there is. */
  readonly created: boolean
}

export interface Beat {
  /** A sign of the process alone, not of the work. */
  readonly process: boolean
  readonly inFlight?: boolean
  /** Who wants to work at it: the first one does. */
  readonly claim?: string
}

export interface NewEvent {
  readonly key: string
  readonly type: string
  /** JSON text. */
  readonly data?: string
}

export interface Written {
  readonly lastSeq: number
  readonly events: readonly { readonly key: string; readonly seq: number; readonly duplicate?: true }[]
}

export interface Finish {
  readonly kind: TerminalKind
  readonly data?: string
  /** As the body says; the assertion's own counts. */
  readonly device?: string
}

export interface Finished {
  readonly status: RunStatus
  readonly lastSeq: number
  /** It had ended before: nothing was written. */
  readonly idempotent: boolean
}

/** What a client is told of its work: `lk.retention.recover` for all runs that it may mean. */
export interface Found {
  readonly run: RunView | null
  readonly action: string
  readonly reason: string
  /** The runs that were looked at, and the clock that their times are of. */
  readonly runs: readonly (Run & { readonly runId: string })[]
  readonly now: number
}

type Row = {
  due_at: number
  n: number
  nonce: string
  client_key: string
  status: RunStatus
  background: number
  in_flight: number
  claimed_by: string | null
  device: string | null
  uses: string
  input: string | null
  idle_ms: number | null
  started_at: number
  heartbeat_at: number | null
  event_at: number | null
  alive_at: number | null
  completed_at: number | null
  cause: RunCause | null
  indexed: number
}
type EventRow = { seq: number; at: number; type: string; data: string | null; end: string | null }

const never = Number.MAX_SAFE_INTEGER
const pageRows = 256
const pageBytes = 65_536
/** So long a sum of outcomes is kept. */
const outcomeDays = 400
const dayMs = 86_400_000

/** Keys of runs that are gone, so that none of them runs again. */
const forgotten: EndTable = { kind: 'tombstone', table: 'forgotten', key: 'client_key' }

/** Runs are keyed in the order of their end, and a running one has none; events go with their run. */
const schema = `
  CREATE TABLE IF NOT EXISTS thread (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), name TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, thread TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS watch (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), since INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS run (
    due_at INTEGER NOT NULL, n INTEGER NOT NULL, nonce TEXT NOT NULL, client_key TEXT NOT NULL, status TEXT NOT NULL,
    background INTEGER NOT NULL, in_flight INTEGER NOT NULL, claimed_by TEXT, device TEXT, uses TEXT NOT NULL,
    input TEXT, idle_ms INTEGER, started_at INTEGER NOT NULL, heartbeat_at INTEGER, event_at INTEGER,
    alive_at INTEGER, completed_at INTEGER, cause TEXT, indexed INTEGER NOT NULL,
    PRIMARY KEY (due_at, n)) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS run_n ON run (n);
  CREATE UNIQUE INDEX IF NOT EXISTS run_nonce ON run (nonce);
  CREATE UNIQUE INDEX IF NOT EXISTS run_key ON run (client_key);
  CREATE TABLE IF NOT EXISTS event (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, key TEXT, at INTEGER NOT NULL, type TEXT NOT NULL, data TEXT, end TEXT,
    PRIMARY KEY (run, seq)) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS event_key ON event (run, key) WHERE key IS NOT NULL;
  ${endTable(forgotten)}
  CREATE INDEX IF NOT EXISTS forgotten_key ON forgotten (client_key);
  CREATE TABLE IF NOT EXISTS outcome (
    day INTEGER NOT NULL, status TEXT NOT NULL, cause TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, status, cause)) WITHOUT ROWID;
`

/**
 * One object per owner and thread: the log of its runs. Which of them are dead, how each ends, who is told of it and
 * when it is forgotten is decided by the core. Between calls nothing is in memory but who is subscribed, and nothing
 * runs but the alarm, so an object that nobody listens to can leave memory at any time.
 */
export class Thread extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #watch: LogWatch
  /** The last event of a run that is durable: a reader never sees one that a crash could take back. */
  readonly #durable = new Map<number, number>()
  /** What goes on beside the answers. */
  readonly #beside = new Set<Promise<void>>()
  #erasures = 0
  #alarmAt: number | null | undefined

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#sql = context.storage.sql
    this.#sql.exec(schema)
    this.#watch = new LogWatch(
      (run, after) => this.#page(run, after),
      () => this.#settle(openApp(this.env), Date.now()),
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
      // Entered before it is there; it stays entered until it says that nothing is left.
      if (isNew && isFirst) await this.#enter(app, request)
      if (isNew) await this.#register(app, request)
      // While the connections were told, another call may have started it.
      const started = this.ctx.storage.transactionSync(() => {
        const found = this.#begin(app, request)
        if (found === 'start') this.#insert(request, Date.now())
        const row = this.#byKey(request.clientKey)!
        this.#changed(row)
        return { ...this.#brief(row), created: found === 'start' }
      })
      // Whoever looked for it in between has found that it is nothing.
      if (started.created && (isFirst || erasures !== this.#erasures)) await this.#enter(app, request)
      return started
    })
  }

  async view(nonce: string, asker: Asker): Promise<Said<RunView>> {
    return await this.#say((app) => {
      this.#settle(app, Date.now())
      return this.#view(this.#readable(app, nonce, asker))
    })
  }

  /** The thread's run that a client may join, or the one that was asked for under its key. */
  async active(asker: Asker, clientKey?: string): Promise<Said<Found>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#forgiveClock(now)
      const rows = this.#recent(clientKey).filter(
        (row) => this.#isOf(asker.owners) && (asker.kind !== 'device' || pinned(app, row, asker) === 200),
      )
      const runs = rows.map((row) => this.#factsOf(row))
      const live = rows.find(({ status }) => status === 'running')
      const stale = live && rulesOf(live)
      // What is dead and not reaped is not told of this time: `stale`, ask again.
      const found = app.lk.retention.recover(runs, { lookedUp: true }, now, { ...(stale && { stale }) })
      this.#settle(app, now)
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
      this.#settle(app, now)
      return this.ctx.storage.transactionSync(() => {
        const row = this.#workable(app, nonce, asker)
        const written = []
        let expected = after
        for (const event of events) {
          const { action, seq } = this.#offer(app, row, event, expected)
          if (action === 'append') {
            this.#write(
              row.n,
              { seq, at: now, type: event.type, data: event.data ?? null, end: null },
              event.key,
            )
            if (expected !== undefined) expected = seq
          }
          written.push({ key: event.key, seq, ...(action === 'duplicate' && { duplicate: true as const }) })
        }
        if (row.status === 'running') this.#sign(row, now, { event: true })
        this.#changed(row)
        return { lastSeq: this.#log(row.n).lastSeq, events: written }
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
      this.#settle(app, now)
      const row = this.#workable(app, nonce, asker)
      if (row.status !== 'running') throw new Refusal('run_ended')
      const { claim } = beat
      let claimed: boolean | undefined
      if (claim !== undefined) {
        const sql =
          'UPDATE run SET claimed_by = ? WHERE n = ? AND (claimed_by IS NULL OR claimed_by = ?) RETURNING n'
        claimed = this.#sql.exec(sql, claim, row.n, claim).toArray().length === 1
      }
      // Whoever may not work at it gives no sign of the work.
      if (claimed !== false) this.#sign(row, now, { process: beat.process, inFlight: beat.inFlight })
      this.#changed(row)
      const { status, lastSeq } = this.#brief(row)
      return { status, lastSeq, ...(claimed !== undefined && { claimed }) }
    })
  }

  /** Writes the one event that ends the log; whoever comes later changes nothing. */
  async finish(nonce: string, asker: Asker, { kind, data, device }: Finish): Promise<Said<Finished>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#settle(app, now)
      return this.ctx.storage.transactionSync(() => {
        const row = this.#workable(app, nonce, asker, device)
        const wasRunning = row.status === 'running'
        if (wasRunning) {
          const seq = this.#log(row.n).lastSeq + 1
          const { status } = app.lk.retention.terminal('running', { lastSeq: seq, end: kind })
          const end: RunEnd = { kind, status: status as RunEnd['status'] }
          this.#write(row.n, { seq, at: now, type: kind, data: data ?? null, end: JSON.stringify(end) })
          this.#conclude(app, row, now)
        }
        const { status, lastSeq } = this.#brief(this.#byNumber(row.n))
        return { status, lastSeq, idempotent: !wasRunning }
      })
    })
  }

  /** A person stops it: it is not found again, and its log ends. */
  async abort(nonce: string, asker: Asker): Promise<Said<Finished>> {
    return await this.#say((app) => {
      const now = Date.now()
      this.#settle(app, now)
      if (asker.kind === 'device') throw new Refusal('not_allowed')
      return this.ctx.storage.transactionSync(() => {
        const row = this.#workable(app, nonce, asker)
        const wasRunning = row.status === 'running'
        if (wasRunning) this.#conclude(app, { ...row, status: 'aborted' }, now)
        const { status, lastSeq } = this.#brief(this.#byNumber(row.n))
        return { status, lastSeq, idempotent: !wasRunning }
      })
    })
  }

  /** A connection that runs use has come to an end: so do they, once, with that cause. Says how many. */
  endRuns(connection: ConnectionKey, cause: RunCause): number {
    const app = openApp(this.env)
    const now = Date.now()
    const used = usedText(connection)
    this.#settle(app, now)
    return this.ctx.storage.transactionSync(() => {
      const rows = this.#running().filter(({ uses }) => (JSON.parse(uses) as string[]).includes(used))
      for (const row of rows) this.#conclude(app, row, now, cause)
      return rows.length
    })
  }

  /** When the last of what is kept here ends; null: nothing is. A run that goes on is asked about again. */
  endsAt(): number | null {
    const { at } = this.#sql
      .exec<{ at: number | null }>(
        `SELECT max(at) AS at FROM (
          SELECT max(CASE WHEN due_at = ? THEN started_at + ? ELSE due_at END) AS at FROM run
          UNION ALL SELECT max(until) FROM forgotten UNION ALL SELECT (max(day) + ?) * ? FROM outcome)`,
        never,
        longestRecordMs,
        outcomeDays,
        dayMs,
      )
      .one()
    return at
  }

  /** Everything of the thread, for the erasure of a person. What still runs ends first, so that its readers are told. */
  async erase(): Promise<void> {
    const app = openApp(this.env)
    do {
      const live = this.#running()
      for (const row of live) this.#conclude(app, row, Date.now(), 'erased')
      await Promise.all([...live.map(({ n }) => this.#publish(n)), this.#unwatch(app)])
      // Another may have been started meanwhile.
    } while (this.#running().length > 0)
    const runs = this.#rows('1').map(({ n }) => n)
    this.ctx.storage.transactionSync(() => {
      for (const table of ['watch', 'event', 'run', 'forgotten', 'outcome', 'thread'])
        this.#sql.exec(`DELETE FROM ${table}`)
    })
    this.#erasures += 1
    this.#durable.clear()
    for (const n of runs) this.#watch.gone(n)
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
    await this.ctx.storage.sync()
    const said = await this.#say((app) => {
      const { n } = this.#readable(app, url.searchParams.get('run') ?? '', asker)
      this.#settle(app, Date.now())
      const row = this.#byNumber(n)
      // The last look at the log before somebody waits for its end.
      if (row.status !== 'running') this.#conclude(app, row, row.completed_at ?? Date.now())
      return n
    })
    if (!said.ok) return Response.json(said, { status: 409 })
    await this.ctx.storage.sync()
    // It may have gone meanwhile, and its number may be another run's.
    const isThere = this.#rows('nonce = ?', url.searchParams.get('run') ?? '')[0]?.n === said.value
    if (!isThere) return Response.json(refusal('run_unknown'), { status: 409 })
    const { lastSeq, end } = this.#log(said.value)
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
      this.#settle(app, Date.now())
      if (app.config.dev) for (const row of this.#running()) this.#demonstrate(app, row, Date.now())
      await this.#goOn(this.#indexAll(app))
      await this.#sweep(app)
    } finally {
      await this.#arm()
    }
  }

  // Reading -------------------------------------------------------------------------------------------------------

  #rows(where: string, ...values: SqlStorageValue[]): Row[] {
    return this.#sql.exec<Row>(`SELECT * FROM run WHERE ${where}`, ...values).toArray()
  }
  #running = (): Row[] => this.#rows('due_at = ? ORDER BY n', never)
  #byNumber = (n: number): Row => this.#rows('n = ?', n)[0]!
  #byKey = (key: string): Row | undefined => this.#rows('client_key = ?', key)[0]
  #recent = (key: string | undefined): Row[] =>
    key === undefined ? this.#rows('1 ORDER BY n DESC LIMIT 64') : this.#rows('client_key = ?', key)

  #owner(): (Owner & { name: string; thread: string }) | undefined {
    return this.#sql
      .exec<{ kind: Owner['kind']; id: string; name: string; thread: string }>(
        'SELECT kind, id, name, thread FROM thread',
      )
      .toArray()[0]
  }

  #isOf(owners: readonly Owner[]): boolean {
    const mine = this.#owner()
    return mine !== undefined && owners.some(({ kind, id }) => kind === mine.kind && id === mine.id)
  }

  #owned(nonce: string, asker: Asker): Row {
    const [row] = this.#rows('nonce = ?', nonce)
    if (!row) throw new Refusal('run_unknown')
    if (!this.#isOf(asker.owners)) throw new Refusal('run_foreign')
    return row
  }

  /** A device sees only what is made for it. */
  #readable(app: App, nonce: string, asker: Asker): Row {
    const row = this.#owned(nonce, asker)
    return asker.kind === 'device' ? this.#pinned(app, row, asker) : row
  }

  /** Whoever acts for its owner works at a run, and the device that it is made for. */
  #workable(app: App, nonce: string, asker: Asker, bodyDevice?: string): Row {
    const row = this.#owned(nonce, asker)
    if (asker.kind === 'device') return this.#pinned(app, row, asker, bodyDevice)
    if (!this.#isOf(asker.acts)) throw new Refusal('not_allowed')
    if (bodyDevice !== undefined && bodyDevice !== row.device) throw new Refusal('device_mismatch')
    return row
  }

  #pinned(app: App, row: Row, asker: Asker, bodyDevice?: string): Row {
    const status = pinned(app, row, asker, bodyDevice)
    if (status !== 200) throw new Refusal('device_mismatch', { status })
    return row
  }

  /** The end of a log, read again wherever something is decided by it. */
  #log(n: number): { lastSeq: number; end?: TerminalKind } {
    const [last] = this.#sql
      .exec<{ seq: number; end: string | null }>(
        'SELECT seq, end FROM event WHERE run = ? ORDER BY seq DESC LIMIT 1',
        n,
      )
      .toArray()
    if (!last) return { lastSeq: 0 }
    return { lastSeq: last.seq, ...(last.end !== null && { end: (JSON.parse(last.end) as RunEnd).kind }) }
  }

  #id = ({ nonce }: Row): string => runId({ object: this.ctx.id.toString(), nonce })

  #brief(row: Row): { runId: string; status: RunStatus; lastSeq: number } {
    return { runId: this.#id(row), status: row.status, lastSeq: this.#log(row.n).lastSeq }
  }

  #view(row: Row): RunView {
    return {
      ...this.#brief(row),
      threadId: this.#owner()?.thread ?? '',
      startedAt: row.started_at,
      ...(row.heartbeat_at !== null && { heartbeatAt: row.heartbeat_at }),
      ...(row.completed_at !== null && { completedAt: row.completed_at }),
      ...(row.cause !== null && { cause: row.cause }),
      background: row.background === 1,
      inFlight: row.in_flight === 1,
      ...(row.device !== null && { device: row.device }),
    }
  }

  #page(run: number, after: number): Page | undefined {
    const upTo = this.#durable.get(run) ?? 0
    if (after >= upTo) return undefined
    const rows = this.#sql.exec<EventRow>(
      `SELECT seq, at, type, data, end FROM event WHERE run = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ${pageRows}`,
      run,
      after,
      upTo,
    )
    let text = ''
    let last: EventRow | undefined
    for (const row of rows) {
      text += eventText(row)
      last = row
      if (text.length >= pageBytes) break
    }
    return last && { bytes: new TextEncoder().encode(text), last: last.seq, ended: last.end !== null }
  }

  // Writing -------------------------------------------------------------------------------------------------------

  #begin(app: App, { clientKey }: StartRequest) {
    this.#settle(app, Date.now())
    const known = this.#byKey(clientKey) !== undefined
    const forgotten =
      this.#sql
        .exec('SELECT 1 FROM forgotten WHERE client_key = ? AND until > ?', clientKey, Date.now())
        .toArray().length > 0
    return app.lk.retention.begin({ known, forgotten, live: this.#running().length > 0 })
  }

  #insert(
    { name, owner, thread, clientKey, input, background, device, uses, idleMs }: StartRequest,
    now: number,
  ): void {
    this.#sql.exec('INSERT OR IGNORE INTO thread VALUES (1, ?, ?, ?, ?)', name, owner.kind, owner.id, thread)
    const { n } = this.#sql.exec<{ n: number }>('SELECT coalesce(max(n), 0) + 1 AS n FROM run').one()
    this.#sql.exec(
      `INSERT INTO run (due_at, n, nonce, client_key, status, background, in_flight, device, uses, input, idle_ms,
         started_at, event_at, indexed) VALUES (?, ?, ?, ?, 'running', ?, 0, ?, ?, ?, ?, ?, ?, 0)`,
      never,
      n,
      newNonce(),
      clientKey,
      background ? 1 : 0,
      device ?? null,
      JSON.stringify(uses.map(usedText)),
      input ?? null,
      idleMs ?? null,
      now,
      now,
    )
  }

  #offer(app: App, row: Row, { key, type, data }: NewEvent, after: number | undefined) {
    const [known] = this.#sql
      .exec<{ seq: number; type: string; data: string | null }>(
        'SELECT seq, type, data FROM event WHERE run = ? AND key = ?',
        row.n,
        key,
      )
      .toArray()
    return app.lk.retention.append(row.status, this.#log(row.n), {
      ...(known && { knownSeq: known.seq, same: known.type === type && known.data === (data ?? null) }),
      size: new TextEncoder().encode(data ?? '').length,
      after,
    })
  }

  #write(run: number, { seq, at, type, data, end }: EventRow, key: string | null = null): void {
    this.#sql.exec('INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)', run, seq, key, at, type, data, end)
  }

  #sign(
    row: Row,
    now: number,
    of: { event?: boolean; process?: boolean; inFlight?: boolean | undefined },
  ): void {
    const inFlight = of.inFlight === undefined ? row.in_flight : of.inFlight ? 1 : 0
    this.#sql.exec(
      'UPDATE run SET heartbeat_at = ?, alive_at = ?, event_at = ?, in_flight = ? WHERE n = ?',
      of.process ? row.heartbeat_at : now,
      now,
      of.event ? now : row.event_at,
      inFlight,
      row.n,
    )
  }

  /** A moment that lies in the future, after a clock went backwards, has happened just now. */
  #forgiveClock(now: number): void {
    this.#sql.exec(
      `UPDATE run SET started_at = min(started_at, ?1), heartbeat_at = min(heartbeat_at, ?1),
         event_at = min(event_at, ?1), alive_at = min(alive_at, ?1)
       WHERE due_at = ?2 AND (started_at > ?1 OR heartbeat_at > ?1 OR event_at > ?1 OR alive_at > ?1)`,
      now,
      never,
    )
    this.#sql.exec('UPDATE watch SET since = min(since, ?)', now)
  }

  /** Ends what is dead, and gives an end to every log that lacks one. */
  #settle(app: App, now: number): void {
    this.#forgiveClock(now)
    for (const row of this.#running()) {
      if (this.#log(row.n).end !== undefined) {
        this.#conclude(app, row, now)
        continue
      }
      const stale = app.lk.retention.stale(this.#factsOf(row), now, rulesOf(row))
      const idle = this.#idle(app, row, now)
      if (stale.late || idle?.late) this.#watchFrom(now)
      else if (stale.stale) this.#conclude(app, row, stale.completedAt ?? now, 'stale_run', stale.early)
      else if (idle?.stale) this.#conclude(app, row, now, 'idle_limit')
    }
  }

  /** No alarm came when it should have: an outage, or a clock that jumped. What was silent meanwhile may be alive. */
  #watchFrom(now: number): void {
    this.#sql.exec('INSERT OR REPLACE INTO watch VALUES (1, ?)', now)
  }

  #watchedSince(): number | undefined {
    return this.#sql.exec<{ since: number }>('SELECT since FROM watch').toArray()[0]?.since
  }

  #factsOf(row: Row): Run {
    return { ...factsOf(row), watchedSince: this.#watchedSince() }
  }

  /** The same question where only what has been written counts as a sign. */
  #idle(
    app: App,
    { status, started_at: startedAt, event_at: eventAt, idle_ms: silenceMs }: Row,
    now: number,
  ) {
    if (silenceMs === null) return undefined
    const facts = { status, startedAt, heartbeatAt: eventAt ?? undefined, watchedSince: this.#watchedSince() }
    return app.lk.retention.stale(facts, now, { silenceMs, exact: true })
  }

  /** Carries out what the core plans for the end of a run: its row and its log, in one transaction. */
  #conclude(app: App, row: Row, completedAt: number, cause?: RunCause, early = false): void {
    const plan = app.lk.retention.terminal(row.status, this.#log(row.n), cause)
    if (plan.action === 'wait' || (plan.action === 'keep' && row.completed_at !== null)) return
    this.ctx.storage.transactionSync(() => {
      const { event, status } = plan
      if (event) {
        const { kind, code, recoverable } = event
        const end: RunEnd = {
          kind,
          status: status as RunEnd['status'],
          ...(code && { cause: code }),
          ...(recoverable && { recoverable }),
          ...(early && { early }),
        }
        this.#write(row.n, {
          seq: event.seq,
          at: completedAt,
          type: kind,
          data: null,
          end: JSON.stringify(end),
        })
      }
      const facts = { ...factsOf(row), status, completedAt: row.completed_at ?? completedAt }
      const { dueAt = never } = app.lk.retention.prune(facts, completedAt, {
        completedMs: app.config.runRetentionMs,
      })
      this.#sql.exec(
        'UPDATE run SET due_at = ?, status = ?, in_flight = 0, completed_at = ?, cause = ?, indexed = 0 WHERE n = ?',
        dueAt,
        status,
        facts.completedAt,
        event?.code ?? row.cause,
        row.n,
      )
    })
    this.#changed(row)
  }

  /** After a change: who waits is told once it is durable, the alarm is set, and the index follows. */
  #changed(row: Row): void {
    const { n } = row
    void this.#goOn(this.#publish(n))
    const app = openApp(this.env)
    const current = this.#byNumber(n)
    void this.#goOn(this.#arm())
    if (current && current.indexed === 0) void this.#goOn(this.#indexAll(app))
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
    const { lastSeq } = this.#log(n)
    await this.ctx.storage.sync()
    this.#durable.set(n, Math.max(lastSeq, this.#durable.get(n) ?? 0))
    this.#watch.grown(n)
  }

  // In the background ---------------------------------------------------------------------------------------------

  /** The next moment at which something is due. */
  #nextDue(app: App): number {
    let at = never
    for (const row of this.#running()) {
      const now = Date.now()
      const { dueAt = never } = app.lk.retention.stale(this.#factsOf(row), now, rulesOf(row))
      at = Math.min(at, dueAt, this.#idle(app, row, now)?.dueAt ?? never)
      if (app.config.dev && row.input !== null && demonstration(row.input) !== undefined)
        at = Math.min(at, (row.event_at ?? row.started_at) + demonstrationStepMs)
    }
    const first = (sql: string): number => this.#sql.exec<{ at: number | null }>(sql).one().at ?? never
    const unindexed = this.#sql.exec('SELECT 1 FROM run WHERE indexed = 0 LIMIT 1').toArray().length > 0
    return Math.min(
      at,
      first('SELECT min(due_at) AS at FROM run'),
      first('SELECT min(until) AS at FROM forgotten'),
      first(`SELECT (min(day) + ${outcomeDays}) * ${dayMs} AS at FROM outcome`),
      this.env.INDEX && unindexed ? Date.now() + indexRetryMs : never,
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
    await sweep(app.lk, [
      { kind: 'run', remove: (before, limit) => this.#prune(app, before, limit) },
      laneOf(this.#sql, forgotten),
      { kind: 'counter', remove: (before, limit) => this.#forgetSums(before, limit) },
    ])
    this.#report()
  }

  /** Runs with their events; each outcome is counted in the transaction that removes the run, by what it removed. */
  #prune(app: App, before: number, limit: number): number {
    const windows = { completedMs: app.config.runRetentionMs }
    return this.ctx.storage.transactionSync(() => {
      const rows = this.#rows('due_at <= ? ORDER BY due_at, n LIMIT ?', before, limit)
      for (const row of rows) {
        const { day } = app.lk.retention.prune(factsOf(row), before, windows)
        this.#sql.exec('DELETE FROM event WHERE run = ?', row.n)
        this.#sql.exec('DELETE FROM run WHERE n = ?', row.n)
        this.#sql.exec(
          'INSERT INTO outcome VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1',
          day,
          row.status,
          row.cause ?? '',
        )
        const { expiresAt } = app.lk.retention.expiry(before, app.lk.retention.lifetimes.tombstone, before)
        this.#sql.exec('INSERT OR IGNORE INTO forgotten VALUES (?, ?)', expiresAt, row.client_key)
        this.#durable.delete(row.n)
        this.#watch.gone(row.n)
      }
      return rows.length
    })
  }

  #forgetSums(before: number, limit: number): number {
    return this.#sql
      .exec(
        `DELETE FROM outcome WHERE (day, status, cause) IN
           (SELECT day, status, cause FROM outcome WHERE (day + ?) * ? <= ? ORDER BY day LIMIT ?) RETURNING 1`,
        outcomeDays,
        dayMs,
        before,
        limit,
      )
      .toArray().length
  }

  #report(): void {
    const owner = this.#owner()
    if (!owner) return
    const facts = (sql: string) =>
      this.#sql.exec<{ count: number; oldest: number | null; due: number | null }>(sql).one()
    const said = ({ count, oldest, due }: ReturnType<typeof facts>) => ({
      count,
      oldest,
      nextDue: due === never ? null : due,
    })
    const holdings: Holding[] = [
      {
        kind: 'run',
        ...said(facts('SELECT count(*) AS count, min(started_at) AS oldest, min(due_at) AS due FROM run')),
      },
      holdingOf(this.#sql, forgotten, openApp(this.env).lk.retention.lifetimes.tombstone),
      {
        kind: 'counter',
        ...said(
          facts(
            `SELECT count(*) AS count, min(day) * ${dayMs} AS oldest, (min(day) + ${outcomeDays}) * ${dayMs} AS due
               FROM outcome`,
          ),
        ),
      },
    ]
    void this.#goOn(report(this.env, owner.name, holdings))
  }

  /** Writes what the index does not say yet. On failure the alarm tries again. */
  async #indexAll(app: App): Promise<void> {
    const owner = this.#owner()
    if (!owner || !this.env.INDEX) return
    const hash = app.lk.guard.key(['owner', owner.kind, owner.id])
    for (const row of this.#rows('indexed = 0')) {
      try {
        await indexRun(
          this.env,
          {
            id: this.#id(row),
            owner: hash,
            thread: owner.thread,
            status: row.status,
            cause: row.cause,
            started: row.started_at,
            ended: row.completed_at,
          },
          row.due_at === never ? row.started_at + longestRecordMs : row.due_at,
        )
        // Unless it has changed meanwhile.
        this.#sql.exec('UPDATE run SET indexed = 1 WHERE n = ? AND status = ?', row.n, row.status)
      } catch {
        console.warn(JSON.stringify({ event: 'run_not_indexed' }))
        return
      }
    }
  }

  async #enter({ config }: App, { owner, thread }: StartRequest): Promise<void> {
    const index = ownerIndexOf(this.env, 'threads', config.baseUrl, owner)
    await index.add(thread, Date.now() + longestRunMs)
  }

  /** The connections that a run uses learn who is to be told of their end. */
  async #register({ config }: App, { uses }: StartRequest): Promise<void> {
    const until = Date.now() + longestRunMs
    await Promise.all(
      uses.map((key) =>
        this.env.VAULT.getByName(vaultName(config.baseUrl, key)).watch(this.ctx.id.toString(), until),
      ),
    )
  }

  /** And that nobody is any more. */
  async #unwatch({ config }: App): Promise<void> {
    const used = new Set(this.#rows('1').flatMap(({ uses }) => JSON.parse(uses) as string[]))
    await Promise.all(
      [...used].map((text) =>
        this.env.VAULT.getByName(vaultName(config.baseUrl, connectionOf(text))).unwatch(
          this.ctx.id.toString(),
        ),
      ),
    )
  }

  #demonstrate(app: App, row: Row, now: number): void {
    const steps = demonstration(row.input ?? '')
    if (steps === undefined) return
    const { lastSeq } = this.#log(row.n)
    if ((row.event_at ?? row.started_at) + demonstrationStepMs > now) return
    this.ctx.storage.transactionSync(() => {
      const step = lastSeq + 1
      if (lastSeq < steps) {
        const data = JSON.stringify({ step, of: steps })
        this.#write(row.n, { seq: step, at: now, type: 'step', data, end: null }, `step-${step}`)
        this.#sign(row, now, { event: true })
        this.#changed(row)
      } else {
        const end: RunEnd = { kind: 'done', status: 'completed' }
        this.#write(row.n, { seq: step, at: now, type: 'done', data: null, end: JSON.stringify(end) })
        this.#conclude(app, row, now)
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
/** `StaleRules::max_age`: no run is older. */
const longestRunMs = 7 * dayMs
const longestRecordMs = longestRunMs + 7 * dayMs + dayMs

const usedText = ({ owner, provider }: ConnectionKey): string =>
  JSON.stringify([owner.kind, owner.id, provider])

function connectionOf(text: string): ConnectionKey {
  const [kind, id, provider] = JSON.parse(text) as [Owner['kind'], string, string]
  return { owner: { kind, id }, provider }
}

/** What the core says of a device that works at a run. */
const pinned = (app: App, { device: pin, status }: Row, { device }: Asker, bodyDevice?: string): number =>
  app.lk.scope.complete({
    ...(device !== undefined && { tokenDevice: device }),
    ...(bodyDevice !== undefined && { bodyDevice }),
    ...(pin !== null && { pin }),
    known: true,
    watcher: pin !== null,
    payloadGood: true,
    running: status === 'running',
  }).status

const factsOf = (row: Row): Run => ({
  status: row.status,
  startedAt: row.started_at,
  heartbeatAt: row.heartbeat_at ?? undefined,
  aliveAt: row.alive_at ?? undefined,
  completedAt: row.completed_at ?? undefined,
  inFlight: row.in_flight === 1,
})

/** Nobody has worked at it yet, or somebody does in front of a person, or behind. */
const rulesOf = (row: Row): StaleRules => ({
  phase: row.heartbeat_at === null ? 'unclaimed' : row.background === 1 ? 'background' : 'foreground',
})

/** WHATWG HTML section 9.2.6: JSON has no line breaks, so an event is one line of data. */
function eventText({ seq, at, type, data, end }: EventRow): string {
  const event: RunEvent = {
    seq,
    at,
    type,
    ...(data !== null && { data: JSON.parse(data) as unknown }),
    ...(end !== null && { end: JSON.parse(end) as RunEnd }),
  }
  return `id: ${seq}\ndata: ${JSON.stringify(event)}\n\n`
}
