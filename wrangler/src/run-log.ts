/** What an object keeps of a thread: its runs, their events, and what is remembered of those that are gone. */
import type { Owner, Retention, Run, RunCause, RunStatus, TerminalKind } from 'latchkey'
import type { RunEnd, RunEvent } from 'latchkey/runs'
import type { App } from './app.ts'
import type { Holding } from './ledger.ts'
import type { Page } from './log-watch.ts'
import type { ConnectionKey } from './names.ts'
import { endTable, holdingOf, laneOf, standing, type EndTable, type Lane } from './sweep.ts'
import type { StartRequest } from './thread-types.ts'

export type RunRow = {
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
export type EventRow = { seq: number; at: number; type: string; data: string | null; end: string | null }

/** The end of what has none yet. */
export const never = Number.MAX_SAFE_INTEGER
const pageRows = 256
const pageBytes = 65_536
/** So long a sum of outcomes is kept. */
const outcomeDays = 400
const dayMs = 86_400_000
/** `StaleRules::max_age`: no run is older. */
export const longestRunMs = 7 * dayMs
export const longestRecordMs = longestRunMs + 7 * dayMs + dayMs

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

/** Storage alone: what is written, and when, is decided elsewhere. */
export class RunLog {
  readonly #storage: DurableObjectStorage
  readonly #sql: SqlStorage

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
    this.#sql = storage.sql
    this.#sql.exec(schema)
  }

  /** All or nothing. */
  transaction<T>(work: () => T): T {
    return this.#storage.transactionSync(work)
  }

  /** Once what has been written is on the disk. */
  async durable(): Promise<void> {
    await this.#storage.sync()
  }

  rows(where: string, ...values: SqlStorageValue[]): RunRow[] {
    return this.#sql.exec<RunRow>(`SELECT * FROM run WHERE ${where}`, ...values).toArray()
  }
  running = (): RunRow[] => this.rows('due_at = ? ORDER BY n', never)
  byNumber = (n: number): RunRow => this.rows('n = ?', n)[0]!
  byKey = (key: string): RunRow | undefined => this.rows('client_key = ?', key)[0]
  recent = (key: string | undefined): RunRow[] =>
    key === undefined ? this.rows('1 ORDER BY n DESC LIMIT 64') : this.rows('client_key = ?', key)

  owner(): (Owner & { name: string; thread: string }) | undefined {
    return this.#sql
      .exec<{ kind: Owner['kind']; id: string; name: string; thread: string }>(
        'SELECT kind, id, name, thread FROM thread',
      )
      .toArray()[0]
  }

  /** The end of a log, read again wherever something is decided by it. */
  endOf(n: number): { lastSeq: number; end?: TerminalKind } {
    const [last] = this.#sql
      .exec<{ seq: number; end: string | null }>(
        'SELECT seq, end FROM event WHERE run = ? ORDER BY seq DESC LIMIT 1',
        n,
      )
      .toArray()
    if (!last) return { lastSeq: 0 }
    return { lastSeq: last.seq, ...(last.end !== null && { end: (JSON.parse(last.end) as RunEnd).kind }) }
  }

  page(run: number, after: number, upTo: number): Page | undefined {
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

  insert(
    { name, owner, thread, clientKey, input, background, device, uses, idleMs }: StartRequest,
    nonce: string,
    now: number,
  ): void {
    this.#sql.exec('INSERT OR IGNORE INTO thread VALUES (1, ?, ?, ?, ?)', name, owner.kind, owner.id, thread)
    const { n } = this.#sql.exec<{ n: number }>('SELECT coalesce(max(n), 0) + 1 AS n FROM run').one()
    this.#sql.exec(
      `INSERT INTO run (due_at, n, nonce, client_key, status, background, in_flight, device, uses, input, idle_ms,
         started_at, event_at, indexed) VALUES (?, ?, ?, ?, 'running', ?, 0, ?, ?, ?, ?, ?, ?, 0)`,
      never,
      n,
      nonce,
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

  write(run: number, { seq, at, type, data, end }: EventRow, key: string | null = null): void {
    this.#sql.exec('INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)', run, seq, key, at, type, data, end)
  }

  sign(
    row: RunRow,
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
  forgiveClock(now: number): void {
    this.#sql.exec(
      `UPDATE run SET started_at = min(started_at, ?1), heartbeat_at = min(heartbeat_at, ?1),
         event_at = min(event_at, ?1), alive_at = min(alive_at, ?1)
       WHERE due_at = ?2 AND (started_at > ?1 OR heartbeat_at > ?1 OR event_at > ?1 OR alive_at > ?1)`,
      now,
      never,
    )
    this.#sql.exec('UPDATE watch SET since = min(since, ?)', now)
  }

  /** No alarm came when it should have: an outage, or a clock that jumped. What was silent meanwhile may be alive. */
  watchFrom(now: number): void {
    this.#sql.exec('INSERT OR REPLACE INTO watch VALUES (1, ?)', now)
  }

  watchedSince(): number | undefined {
    return this.#sql.exec<{ since: number }>('SELECT since FROM watch').toArray()[0]?.since
  }

  factsOf(row: RunRow): Run {
    return { ...factsOf(row), watchedSince: this.watchedSince() }
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

  /** Runs with their events; each outcome is counted in the transaction that removes the run, by what it removed. */
  prune({ lk, config }: App, before: number, limit: number): RunRow[] {
    const windows = { completedMs: config.runRetentionMs }
    return this.#storage.transactionSync(() => {
      const rows = this.rows('due_at <= ? ORDER BY due_at, n LIMIT ?', before, limit)
      for (const row of rows) {
        const { day } = lk.retention.prune(factsOf(row), before, windows)
        this.#sql.exec('DELETE FROM event WHERE run = ?', row.n)
        this.#sql.exec('DELETE FROM run WHERE n = ?', row.n)
        this.#sql.exec(
          'INSERT INTO outcome VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1',
          day,
          row.status,
          row.cause ?? '',
        )
        const { expiresAt } = lk.retention.expiry(before, lk.retention.lifetimes.tombstone, before)
        this.#sql.exec('INSERT OR IGNORE INTO forgotten VALUES (?, ?)', expiresAt, row.client_key)
      }
      return rows
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

  /** The event of that key, where there is one. */
  known(run: number, key: string): { seq: number; type: string; data: string | null } | undefined {
    return this.#sql
      .exec<{ seq: number; type: string; data: string | null }>(
        'SELECT seq, type, data FROM event WHERE run = ? AND key = ?',
        run,
        key,
      )
      .toArray()[0]
  }

  /** A run of that key was here and is gone. */
  isForgotten(clientKey: string): boolean {
    return standing(this.#sql, forgotten, clientKey, Date.now()) !== undefined
  }

  /** True for the first one who wants to work at it, and as often as that one asks. */
  claim(run: number, claim: string): boolean {
    const sql =
      'UPDATE run SET claimed_by = ? WHERE n = ? AND (claimed_by IS NULL OR claimed_by = ?) RETURNING n'
    return this.#sql.exec(sql, claim, run, claim).toArray().length === 1
  }

  /** What a run is from its end on. */
  end(
    run: number,
    status: RunStatus,
    facts: { dueAt: number; completedAt: number; cause: RunCause | null },
  ): void {
    this.#sql.exec(
      'UPDATE run SET due_at = ?, status = ?, in_flight = 0, completed_at = ?, cause = ?, indexed = 0 WHERE n = ?',
      facts.dueAt,
      status,
      facts.completedAt,
      facts.cause,
      run,
    )
  }

  /** The index says this of it, unless it has changed meanwhile. */
  indexed(run: number, status: RunStatus): void {
    this.#sql.exec('UPDATE run SET indexed = 1 WHERE n = ? AND status = ?', run, status)
  }

  isIndexed(): boolean {
    return this.#sql.exec('SELECT 1 FROM run WHERE indexed = 0 LIMIT 1').toArray().length === 0
  }

  /** When the first of what is kept here is over. */
  firstEnd(): number {
    const first = (sql: string): number => this.#sql.exec<{ at: number | null }>(sql).one().at ?? never
    return Math.min(
      first('SELECT min(due_at) AS at FROM run'),
      first('SELECT min(until) AS at FROM forgotten'),
      first(`SELECT (min(day) + ${outcomeDays}) * ${dayMs} AS at FROM outcome`),
    )
  }

  /** Beside runs, which take more than that. */
  lanes(): Lane[] {
    return [
      laneOf(this.#sql, forgotten),
      { kind: 'counter', remove: (before, limit) => this.#forgetSums(before, limit) },
    ]
  }

  holdings({ lifetimes }: Retention): Holding[] {
    const facts = (sql: string) =>
      this.#sql.exec<{ count: number; oldest: number | null; due: number | null }>(sql).one()
    const said = ({ count, oldest, due }: ReturnType<typeof facts>) => ({
      count,
      oldest,
      nextDue: due === never ? null : due,
    })
    return [
      {
        kind: 'run',
        ...said(facts('SELECT count(*) AS count, min(started_at) AS oldest, min(due_at) AS due FROM run')),
      },
      holdingOf(this.#sql, forgotten, lifetimes.tombstone),
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
  }

  erase(): void {
    this.transaction(() => {
      for (const table of ['watch', 'event', 'run', 'forgotten', 'outcome', 'thread'])
        this.#sql.exec(`DELETE FROM ${table}`)
    })
  }
}

export const usedText = ({ owner, provider }: ConnectionKey): string =>
  JSON.stringify([owner.kind, owner.id, provider])

export const usesOf = ({ uses }: RunRow): ConnectionKey[] =>
  (JSON.parse(uses) as string[]).map((text) => {
    const [kind, id, provider] = JSON.parse(text) as [Owner['kind'], string, string]
    return { owner: { kind, id }, provider }
  })

export const factsOf = (row: RunRow): Run => ({
  status: row.status,
  startedAt: row.started_at,
  heartbeatAt: row.heartbeat_at ?? undefined,
  aliveAt: row.alive_at ?? undefined,
  completedAt: row.completed_at ?? undefined,
  inFlight: row.in_flight === 1,
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
