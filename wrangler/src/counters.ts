import { DurableObject } from 'cloudflare:workers'
import { openApp } from './app.ts'
import type { Env } from './env.ts'
import { report } from './ledger.ts'
import { ownStorage, sweep, type Lane } from './sweep.ts'

/** What a token call, or what became of a refresh, is counted as. */
export const outcomes = [
  'ok',
  'refreshed',
  'joined',
  'lost_race',
  'in_doubt',
  'lost_in_flight',
  'terminal',
  'transient',
  'operator',
  'persist_failed',
  'not_understood',
  'refresh_token_missing',
  'discarded',
  'healed',
  'corrupt',
] as const
export type Outcome = (typeof outcomes)[number]

export interface Count {
  readonly provider: string
  readonly outcome: Outcome
  readonly count: number
}

const flushMs = 1_000
const daily = 86_400_000

/**
 * What this isolate has counted and not handed on yet. Numbers only, so every object and request of the isolate may
 * share it; what an isolate that ends had not handed on is lost.
 */
const pending = new Map<string, Map<Outcome, number>>()
let lastFlush = 0

const theCounters = (env: Env) => env.COUNTERS.getByName('counters')

export function count(provider: string, outcome: Outcome): void {
  const counts = pending.get(provider) ?? new Map<Outcome, number>()
  counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  pending.set(provider, counts)
}

/** Hands on what is pending, at most once a second; `background` keeps the caller alive for it. */
export function flushSoon(env: Env, background: (work: Promise<unknown>) => void): void {
  const now = Date.now()
  // A clock that went back must not silence the counters.
  if (now >= lastFlush && now - lastFlush < flushMs) return
  lastFlush = now
  background(new Promise((resolve) => setTimeout(resolve, flushMs)).then(() => flush(env)))
}

/** Adds what is pending to the stored sums; on failure it stays pending. */
export async function flush(env: Env): Promise<void> {
  const counts = [...pending].flatMap(([provider, byOutcome]) =>
    [...byOutcome].map(([outcome, n]) => ({ provider, outcome, count: n })),
  )
  pending.clear()
  if (counts.length === 0) return
  try {
    await theCounters(env).add(counts)
  } catch {
    for (const { provider, outcome, count: n } of counts) {
      const byOutcome = pending.get(provider) ?? new Map<Outcome, number>()
      byOutcome.set(outcome, (byOutcome.get(outcome) ?? 0) + n)
      pending.set(provider, byOutcome)
    }
  }
}

/** One object: the sums of all isolates. */
export class Counters extends DurableObject<Env> {
  readonly #sql: SqlStorage

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#sql = context.storage.sql
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS counter (
        provider TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (provider, outcome)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS counted (provider TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID`,
    )
  }

  add(counts: readonly Count[]): void {
    for (const { provider, outcome, count: n } of counts)
      this.#sql.exec(
        'INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
        provider,
        outcome,
        n,
      )
    this.#keep(new Set(counts.map(({ provider }) => provider)))
  }

  /** The sums of a provider that has counted nothing for so long end: it is not configured any more. */
  override async alarm(): Promise<void> {
    const { lk } = openApp(this.env)
    const lane: Lane = {
      kind: 'counter',
      remove: (before, limit) => {
        const over = this.#sql
          .exec<{ provider: string }>(
            'DELETE FROM counted WHERE provider IN (SELECT provider FROM counted WHERE until <= ? LIMIT ?) RETURNING provider',
            before,
            limit,
          )
          .toArray()
        for (const { provider } of over) this.#sql.exec('DELETE FROM counter WHERE provider = ?', provider)
        return over.length
      },
    }
    await sweep(lk, [lane], ownStorage)
    await this.#arm()
  }

  /** A sum is kept from the last time that it counted anything; told to the ledger at most once a day. */
  #keep(providers: ReadonlySet<string>): void {
    const { lk } = openApp(this.env)
    const now = Date.now()
    const { expiresAt } = lk.retention.expiry(now, lk.retention.lifetimes.counter, now)
    const isOld =
      'ON CONFLICT DO UPDATE SET until = excluded.until WHERE excluded.until - until > ? RETURNING until'
    const renewed = [...providers].filter(
      (provider) =>
        this.#sql.exec(`INSERT INTO counted VALUES (?, ?) ${isOld}`, provider, expiresAt, daily).toArray()
          .length > 0,
    )
    if (renewed.length > 0) this.ctx.waitUntil(this.#arm())
  }

  async #arm(): Promise<void> {
    const { count, until } = this.#sql
      .exec<{ count: number; until: number | null }>(
        'SELECT count(*) AS count, min(until) AS until FROM counted',
      )
      .one()
    if (until !== null) await this.ctx.storage.setAlarm(until)
    const life = openApp(this.env).lk.retention.lifetimes.counter
    const oldest = until === null ? null : until - life
    await report(this.env, 'counters', [{ kind: 'counter', count, oldest, nextDue: until }])
  }

  all(): Count[] {
    return this.#sql
      .exec<{ provider: string; outcome: Outcome; count: number }>('SELECT * FROM counter')
      .toArray()
  }
}

/** The sums in the text format of Prometheus, every outcome of every provider given, 0 included. */
export async function exposition(env: Env, providers: readonly string[]): Promise<string> {
  await flush(env)
  const counts = await theCounters(env).all()
  const sums = new Map(counts.map(({ provider, outcome, count: n }) => [`${provider} ${outcome}`, n]))
  const lines = providers.flatMap((provider) =>
    outcomes.map(
      (outcome) =>
        `latchkey_token_outcomes_total{provider="${provider}",outcome="${outcome}"} ${sums.get(`${provider} ${outcome}`) ?? 0}`,
    ),
  )
  return [
    '# HELP latchkey_token_outcomes_total Token calls and what became of refreshes.',
    '# TYPE latchkey_token_outcomes_total counter',
    ...lines,
    '',
  ].join('\n')
}
