/** How runs end that do not say so themselves: silence, a limit, a cause from elsewhere. The core decides each. */
import type { RunCause, StaleRules } from 'latchkey'
import type { RunEnd } from 'latchkey/runs'
import type { App } from './app.ts'
import { factsOf, never, type RunLog, type RunRow } from './run-log.ts'

export class RunEnding {
  readonly #log: RunLog
  readonly #changed: (row: RunRow) => void

  /** `changed` is called with each run that has ended, or whose end was written down. */
  constructor(log: RunLog, changed: (row: RunRow) => void) {
    this.#log = log
    this.#changed = changed
  }

  /** Ends what is dead, and gives an end to every log that lacks one. */
  settle(app: App, now: number): void {
    this.#log.forgiveClock(now)
    for (const row of this.#log.running()) {
      if (this.#log.endOf(row.n).end !== undefined) {
        this.conclude(app, row, now)
        continue
      }
      const stale = app.lk.retention.stale(this.#log.factsOf(row), now, rulesOf(row))
      const idle = this.#idle(app, row, now)
      if (stale.late || idle?.late) this.#log.watchFrom(now)
      else if (stale.stale) this.conclude(app, row, stale.completedAt ?? now, 'stale_run', stale.early)
      else if (idle?.stale) this.conclude(app, row, now, 'idle_limit')
    }
  }

  /** When the first of those that run will be dead if nothing more is heard of it. */
  dueAt(app: App, now: number): number {
    let at = never
    for (const row of this.#log.running()) {
      const { dueAt = never } = app.lk.retention.stale(this.#log.factsOf(row), now, rulesOf(row))
      at = Math.min(at, dueAt, this.#idle(app, row, now)?.dueAt ?? never)
    }
    return at
  }

  /** The same question where only what has been written counts as a sign. */
  #idle(
    app: App,
    { status, started_at: startedAt, event_at: eventAt, idle_ms: silenceMs }: RunRow,
    now: number,
  ) {
    if (silenceMs === null) return undefined
    const facts = {
      status,
      startedAt,
      heartbeatAt: eventAt ?? undefined,
      watchedSince: this.#log.watchedSince(),
    }
    return app.lk.retention.stale(facts, now, { silenceMs, exact: true })
  }

  /** Carries out what the core plans for the end of a run: its row and its log, in one transaction. */
  conclude(app: App, row: RunRow, completedAt: number, cause?: RunCause, early = false): void {
    const plan = app.lk.retention.terminal(row.status, this.#log.endOf(row.n), cause)
    if (plan.action === 'wait' || (plan.action === 'keep' && row.completed_at !== null)) return
    this.#log.transaction(() => {
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
        this.#log.write(row.n, {
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
      this.#log.end(row.n, status, {
        dueAt,
        completedAt: facts.completedAt,
        cause: event?.code ?? row.cause,
      })
    })
    this.#changed(row)
  }
}

/** Nobody has worked at it yet, or somebody does in front of a person, or behind. */
export const rulesOf = (row: RunRow): StaleRules => ({
  phase: row.heartbeat_at === null ? 'unclaimed' : row.background === 1 ? 'background' : 'foreground',
})
