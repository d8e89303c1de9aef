/** A table that is keyed in the order of its ends, swept as shipped, beside one with an index on them. Whoever asks takes the time. */
import { DurableObject } from 'cloudflare:workers'
import { loadSync, type SweepCursor } from 'latchkey'
import { endTable, laneOf, ownStorage, sweep, type EndTable, type Lane } from '../../wrangler/src/sweep.ts'
import type { Cleared, Contender } from './contenders.ts'

interface Env {
  readonly TABLES: DurableObjectNamespace<Tables>
}

const keyed: EndTable = { kind: 'delivery', table: 'keyed', key: 'key' }
const letters = 'abcdefghijklmnopqrstuvwxyz234567'
/** An object comes with so many records; record `i` ends at `i + 1`. */
const chunk = 40

export class Tables extends DurableObject<Env> {
  readonly #sql: SqlStorage
  #batches = 0

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#sql = context.storage.sql
    this.#sql.exec(
      `${endTable(keyed)}
      CREATE TABLE IF NOT EXISTS indexed (key TEXT PRIMARY KEY, until INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS indexed_end ON indexed (until)`,
    )
  }

  /** Records that end one after another, as records do that all live equally long, with keys in no order. */
  fill(name: Contender, from: number, rows: number): void {
    const table = name === 'latchkey' ? 'keyed' : 'indexed'
    for (let at = from; at < from + rows; at += chunk) {
      const values: (string | number)[] = []
      for (let i = at; i < Math.min(at + chunk, from + rows); i += 1) values.push(i + 1, scattered(i))
      const places = Array.from({ length: values.length / 2 }, () => '(?, ?)').join(', ')
      this.#sql.exec(`INSERT INTO ${table} (until, key) VALUES ${places}`, ...values)
    }
  }

  /** What ended by `now` goes: sweep after sweep, each up to its budget. At each so many batches a request comes. */
  async clear(name: Contender, now: number, probe: number): Promise<Cleared> {
    if (name === 'expiry-index-at-once') {
      this.#sql.exec('DELETE FROM indexed WHERE until <= ?', now)
      const removed = this.#changes()
      return { removed, sweeps: 1, batches: 1, mostOfSweep: removed, mostOfBatch: removed, waited: [] }
    }
    const lane = name === 'latchkey' ? laneOf(this.#sql, keyed) : this.#indexed()
    const requests: Promise<number>[] = []
    const counts = { removed: 0, sweeps: 0, batches: 0, mostOfSweep: 0, mostOfBatch: 0 }
    const counted: Lane = {
      kind: lane.kind,
      remove: async (before, limit) => {
        if (this.#batches % probe === probe - 1) requests.push(this.#request())
        const gone = await lane.remove(before, limit)
        this.#batches += 1
        counts.batches += 1
        counts.mostOfBatch = Math.max(counts.mostOfBatch, gone)
        return gone
      },
    }
    let cursor: SweepCursor | undefined
    for (;;) {
      const swept = await sweep(loadSync(), [counted], { cursor, now, ...ownStorage })
      cursor = swept.cursor
      counts.sweeps += 1
      counts.removed += swept.removed
      counts.mostOfSweep = Math.max(counts.mostOfSweep, swept.removed)
      if (swept.finished) return { ...counts, waited: await Promise.all(requests) }
    }
  }

  /** How many batches have ended when a request has its turn. */
  turn(): number {
    return this.#batches
  }

  left(): number {
    const sql = 'SELECT (SELECT count(*) FROM keyed) + (SELECT count(*) FROM indexed) AS n'
    return this.#sql.exec<{ n: number }>(sql).one().n
  }

  async #request(): Promise<number> {
    const came = this.#batches
    return (await this.env.TABLES.getByName(this.ctx.id.name ?? '').turn()) - came
  }

  #indexed(): Lane {
    return {
      kind: 'delivery',
      remove: (before, limit) => {
        this.#sql.exec(
          'DELETE FROM indexed WHERE rowid IN (SELECT rowid FROM indexed WHERE until <= ? ORDER BY until LIMIT ?)',
          before,
          limit,
        )
        return this.#changes()
      },
    }
  }

  #changes(): number {
    return this.#sql.exec<{ n: number }>('SELECT changes() AS n').one().n
  }
}

/** A key as random as a hash, the same every time. */
function scattered(index: number): string {
  let text = ''
  let state = (index + 1) * 0x9e3779b1
  for (let i = 0; i < 22; i += 1) {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b + i) >>> 0
    text += letters[state & 31] ?? ''
  }
  return text + index.toString(36)
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const number = (name: string): number => Number(searchParams.get(name))
    const name = searchParams.get('name') as Contender
    const tables = env.TABLES.getByName(name)
    switch (pathname) {
      case '/fill':
        await tables.fill(name, number('from'), number('rows'))
        return new Response()
      case '/clear':
        return Response.json(await tables.clear(name, number('now'), number('probe')))
      case '/turn':
        return Response.json(await tables.turn())
      case '/left':
        return Response.json(await tables.left())
      default:
        return new Response(null, { status: 404 })
    }
  },
} satisfies ExportedHandler<Env>
