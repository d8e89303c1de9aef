// The job `retention.sweep`: a million records that are over, in workerd started directly. `npm run bench:retention`.
//   --rows N   so many records (default 1,000,000)
//   --check    ends with 1 when a bar is missed
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../tests/servers/ports.ts'
import { startWorkerd } from '../tests/load/workerd.ts'
import type { Bar, Cell } from './report.ts'
import { median } from './report.ts'
import type { Cleared, Contender } from './retention/contenders.ts'

export interface RetentionFacts {
  readonly cells: Cell[]
  readonly bars: Bar[]
  readonly waits: readonly Waits[]
}

/** How long a request over HTTP took, in milliseconds, while nothing was swept and in the middle of a sweep. */
export interface Waits {
  readonly name: Contender
  readonly requests: number
  readonly idle: number
  readonly median: number
  readonly p99: number
}

export interface RetentionOptions {
  readonly rows: number
  /** The records go in so many slices, the contenders in turns. */
  readonly slices: number
}

const contenders = ['latchkey', 'expiry-index', 'expiry-index-at-once'] as const satisfies Contender[]
const sweepRows = 20_000
const batchRows = 2_000

export async function measureRetention({ rows, slices }: RetentionOptions): Promise<RetentionFacts> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-sweep-'))
  const workerd = await startWorkerd(folder, await freePort(), {
    entry: fileURLToPath(new URL('./retention/worker.ts', import.meta.url)),
    compatibilityDate: '2026-10-01',
    objects: [{ name: 'TABLES', class_name: 'Tables' }],
    pinned: true,
    vars: {},
  })
  const agent = new Agent({ keepAlive: true })
  const ask = (target: string): Promise<string> =>
    new Promise((resolve, reject) => {
      get(`${workerd.address}${target}`, { agent }, (response) => {
        let text = ''
        response.on('data', (piece: Buffer) => (text += piece.toString()))
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text)
          else
            reject(
              new Error(
                `workerd answered ${response.statusCode} to ${target}: ${workerd.log.slice(-3).join(' ')}`,
              ),
            )
        })
      }).on('error', reject)
    })
  const timed = async (target: string): Promise<number> => {
    const begin = performance.now()
    await ask(target)
    return performance.now() - begin
  }
  try {
    for (const name of contenders)
      for (let from = 0; from < rows; from += 20_000)
        await ask(`/fill?name=${name}&from=${from}&rows=${Math.min(20_000, rows - from)}`)
    const cells: Cell[] = contenders.map((name) => ({
      job: 'retention.sweep',
      runtime: 'workerd',
      name,
      n: rows / slices,
      wall: [],
      cpu: [],
    }))
    const told = new Map<Contender, Cleared[]>(contenders.map((name) => [name, []]))
    const waits = new Map<Contender, number[]>(contenders.map((name) => [name, []]))
    const idle: number[] = []
    for (let i = 0; i < 50; i += 1) idle.push(await timed('/turn?name=latchkey'))
    for (let slice = 0; slice < slices; slice += 1) {
      for (let i = 0; i < contenders.length; i += 1) {
        const name = contenders[(i + slice) % contenders.length]!
        const begin = performance.now()
        let over = false
        const clearing = ask(`/clear?name=${name}&now=${(rows / slices) * (slice + 1)}&probe=7`).then(
          (text) => {
            over = true
            return JSON.parse(text) as Cleared
          },
        )
        // One request at a time comes from outside, so that the sweep is measured more than they are.
        const pinging = (async () => {
          for (;;) {
            await sleep(20)
            if (over) return
            waits.get(name)!.push(await timed(`/turn?name=${name}`))
          }
        })()
        told.get(name)!.push(await clearing)
        const us = ((performance.now() - begin) * 1_000) / (rows / slices)
        const cell = cells.find((candidate) => candidate.name === name)!
        cell.wall.push(us)
        cell.cpu.push(us)
        await pinging
      }
    }
    for (const name of contenders) {
      const left = Number(await ask(`/left?name=${name}`))
      const removed = told.get(name)!.reduce((sum, { removed: gone }) => sum + gone, 0)
      if (left !== 0 || removed !== rows) throw new Error(`${name}: ${removed} removed, ${left} left`)
    }
    const summary = contenders.map((name): Waits => {
      const sorted = waits.get(name)!.toSorted((a, b) => a - b)
      const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0
      return {
        name,
        requests: sorted.length,
        idle: median(idle),
        median: sorted.length === 0 ? 0 : median(sorted),
        p99,
      }
    })
    return { cells, waits: summary, bars: barsOf(cells, told.get('latchkey')!) }
  } finally {
    agent.destroy()
    await workerd.stop()
    await rm(folder, { recursive: true })
  }
}

function barsOf(cells: readonly Cell[], told: readonly Cleared[]): Bar[] {
  const of = (name: Contender): readonly number[] => cells.find((cell) => cell.name === name)!.wall
  const ratio = median(of('expiry-index').map((us, slice) => us / of('latchkey')[slice]!))
  const most = (pick: (cleared: Cleared) => readonly number[]): number => Math.max(0, ...told.flatMap(pick))
  const atMost = (what: string, measured: number, bar: number): Bar => ({
    what,
    measured,
    wall: measured,
    bar: `<= ${bar}`,
    met: measured <= bar,
  })
  return [
    {
      what: 'retention.sweep: expiry-index / latchkey',
      measured: ratio,
      wall: ratio,
      bar: '>= 10',
      met: ratio >= 10,
    },
    atMost(
      'retention.sweep: rows of one sweep',
      most(({ mostOfSweep }) => [mostOfSweep]),
      sweepRows,
    ),
    atMost(
      'retention.sweep: rows of one batch',
      most(({ mostOfBatch }) => [mostOfBatch]),
      batchRows,
    ),
    atMost(
      'retention.sweep: batches a request waits',
      most(({ waited }) => waited),
      1,
    ),
  ]
}

export function showRetention({ cells, waits, bars }: RetentionFacts): void {
  for (const { name, wall } of cells)
    console.log(`  ${name.padEnd(24)}${(1e6 / median(wall)).toFixed(0).padStart(10)} rows/s`)
  for (const { name, requests, idle, median: middle, p99 } of waits)
    console.log(
      `  ${name.padEnd(24)}${requests} requests in mid-sweep: median ${middle.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms (idle ${idle.toFixed(2)} ms)`,
    )
  for (const { what, wall, bar, met } of bars)
    console.log(`  ${met ? 'met   ' : 'MISSED'}  ${what.padEnd(48)}${wall.toFixed(2).padStart(10)}  ${bar}`)
}
