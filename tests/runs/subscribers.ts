/**
 * A thousand readers of one log: how soon an event has reached all of them, and what one costs that waits, beside a
 * bare fan-out in a workerd of its own, side by side in the same run.
 *   npm run bench:sse
 *   npm run bench:sse -- --subscribers 1000 --rounds 30 --check
 *   node tests/runs/subscribers.ts --listen   is a process of subscribers; it talks to the one that started it
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm, mkdtemp } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { median } from '../../bench/report.ts'
import { readOptions } from '../../scripts/options.ts'
import { atMost, keep, numberOf, progress, show, showBars } from '../load/report.ts'
import { freePort } from '../servers/ports.ts'
import { shipped, startWorkerd, type Workerd } from '../load/workerd.ts'
import { call, startStage } from './stage.ts'

interface Contender {
  readonly name: 'latchkey' | 'bare fan-out'
  readonly worker: Workerd
  readonly listen: { readonly url: string; readonly headers: Readonly<Record<string, string>> }
  /** Sends one event that has this text in it. */
  send(text: string): Promise<void>
  close(): Promise<void>
}

type Order =
  | { readonly listen: Contender['listen']; readonly count: number }
  | { readonly mark: string }
  | { readonly leave: true }

const now = (): number => performance.timeOrigin + performance.now()
const processes = 2

async function ours(): Promise<Contender> {
  const stage = await startStage()
  const { body } = await call<{ runId: string }>(stage, 'POST', '/api/runs', {
    threadId: 'bench',
    clientKey: 'bench',
    background: true,
  })
  const { runId } = body
  return {
    name: 'latchkey',
    worker: stage.worker,
    get listen() {
      return { url: `${stage.address}/api/runs/${runId}/events`, headers: stage.headers() }
    },
    async send(text) {
      const events = [{ key: text, type: 'text', data: text }]
      const { status } = await call(stage, 'POST', `/api/runs/${runId}/events`, { events })
      if (status !== 200) throw new Error(`the event was answered ${status}`)
    },
    close: () => stage.close(),
  }
}

async function bare(): Promise<Contender> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-fan-out-'))
  const { compatibilityDate } = await shipped()
  const worker = await startWorkerd(folder, await freePort(), {
    entry: fileURLToPath(new URL('./workers/fan-out.ts', import.meta.url)),
    compatibilityDate,
    objects: [{ name: 'ROOM', class_name: 'Room' }],
    vars: {},
  })
  return {
    name: 'bare fan-out',
    worker,
    listen: { url: worker.address, headers: {} },
    async send(text) {
      await fetch(worker.address, { method: 'POST', body: text })
    },
    async close() {
      await worker.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Subscribers in processes of their own, so that the sender's clock is not kept waiting by them. */
class Audience {
  readonly #children: readonly ChildProcess[]
  readonly #count: number

  constructor(count: number) {
    this.#count = count
    this.#children = Array.from({ length: processes }, () =>
      fork(fileURLToPath(import.meta.url), ['--listen']),
    )
  }

  async subscribe({ listen }: Contender): Promise<void> {
    await this.#order({ listen, count: this.#count / processes })
  }

  /** Milliseconds from the sending until each of them had it. */
  async hear(contender: Contender, mark: string): Promise<number[]> {
    const heard = this.#order<number[]>({ mark })
    await sleep(20)
    const sent = now()
    await contender.send(mark)
    return (await heard).flat().map((at) => at - sent)
  }

  async leave(): Promise<void> {
    await this.#order({ leave: true })
  }

  close(): void {
    for (const child of this.#children) child.disconnect()
  }

  async #order<T>(order: Order): Promise<T[]> {
    return await Promise.all(
      this.#children.map(async (child) => {
        child.send(order)
        const [answer] = (await once(child, 'message')) as [T]
        return answer
      }),
    )
  }
}

/** Proportional share of memory that is in use, KiB. */
async function memoryOf({ worker }: Contender): Promise<number> {
  const text = await readFile(`/proc/${worker.pid}/smaps_rollup`, 'utf8')
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1])
}

const share = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * part) - 1)]!

const growths = 6

/**
 * KiB for each subscriber beyond what one costs the bare fan-out. A process that serves its first thousands grows its
 * heap for all that come after; so they come a thousand after another, in turns with the other process, and the later
 * half of them counts.
 */
async function memory(count: number): Promise<number[]> {
  const contenders = [await bare(), await ours()] as const
  const audiences: Audience[] = []
  const each = contenders.map((): number[] => [])
  try {
    const before = await Promise.all(contenders.map(memoryOf))
    for (let growth = 0; growth < growths; growth += 1) {
      for (const [n, contender] of contenders.entries()) {
        const audience = new Audience(count)
        audiences.push(audience)
        await audience.subscribe(contender)
        // What they were made with is swept together while events go out.
        for (let event = 0; event < 5; event += 1) {
          await contender.send(`growth-${growth}-${event}`)
          await sleep(200)
        }
        const after = await memoryOf(contender)
        each[n]!.push((after - before[n]!) / count)
        before[n] = after
      }
      progress(`memory: ${growth + 1} of ${growths}`)
    }
  } finally {
    for (const audience of audiences) audience.close()
    for (const contender of contenders) await contender.close()
  }
  return each.map((kibs) => median(kibs.slice(growths / 2)))
}

async function main(): Promise<void> {
  const { values } = readOptions({
    subscribers: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '30' },
    check: { type: 'boolean', default: false },
    listen: { type: 'boolean', default: false },
  })
  if (values.listen) return serve()
  const count = numberOf('subscribers', values.subscribers, processes, 10_000)
  const rounds = numberOf('rounds', values.rounds, 1, 1_000)
  const at = new Date().toISOString()
  const contenders = [await ours(), await bare()] as const
  const audiences = contenders.map(() => new Audience(count))
  const times = contenders.map((): number[][] => [])
  try {
    for (const [n, contender] of contenders.entries()) await audiences[n]!.subscribe(contender)
    for (let round = -3; round < rounds; round += 1) {
      for (let i = 0; i < contenders.length; i += 1) {
        const n = (i + round + 3) % contenders.length
        const heard = await audiences[n]!.hear(contenders[n]!, `mark-${round + 3}`)
        if (heard.length !== count) throw new Error(`${heard.length} of ${count} subscribers heard it`)
        if (round >= 0) times[n]!.push(heard)
      }
      progress(`round ${round + 1} of ${rounds}`)
    }
  } finally {
    for (const audience of audiences) audience.close()
    for (const contender of contenders) await contender.close()
  }
  const [bareKiB, kiB] = (await memory(count)) as [number, number]
  progress('')
  const p99 = times.map((all) => all.map((one) => share(one, 0.99)))
  const ratio = median(p99[0]!.map((ms, round) => ms / p99[1]![round]!))
  const rows = contenders.map(({ name }, n) => {
    const all = times[n]!.flat()
    return { name, p50: share(all, 0.5), p99: median(p99[n]!), max: Math.max(...all) }
  })
  show(
    [`${count} subscribers, ${rounds} events`, 'p50 ms', 'p99 ms', 'max ms'],
    rows.map(({ name, p50, p99: ms, max }) => [name, p50.toFixed(1), ms.toFixed(1), max.toFixed(1)]),
  )
  const bars = [
    atMost('p99 until all have an event: latchkey / bare fan-out', ratio, 1.5),
    atMost('memory of a subscriber that waits, beyond the bare one, KiB', kiB - bareKiB, 16),
  ]
  showBars(bars)
  await keep('subscribers', {
    at,
    subscribers: count,
    rounds,
    rows,
    ratio,
    memoryKiB: { latchkey: kiB, bare: bareKiB },
    bars,
  })
  if (values.check && bars.some(({ met }) => !met)) process.exitCode = 1
}

function serve(): void {
  const agent = new Agent({ keepAlive: false, maxSockets: Infinity })
  /** When each of them had the text that is waited for. */
  let heard: number[] = []
  let mark = ''
  let done: (() => void) | undefined
  let listeners = 0
  const hear = (): void => {
    heard.push(now())
    if (heard.length === listeners) done?.()
  }
  const subscribe = (listen: Contender['listen']): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request(listen.url, { agent, headers: listen.headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`answered ${response.statusCode}`))
        response.setEncoding('utf8')
        let rest = ''
        response.on('data', (piece: string) => {
          resolve()
          rest += piece
          if (mark !== '' && rest.includes(`"${mark}"`)) hear()
          else if (mark !== '' && rest.includes(`data: ${mark}\n`)) hear()
          rest = rest.slice(rest.lastIndexOf('\n\n') + 1)
        })
        response.on('error', () => undefined)
      })
      sent.once('error', reject)
      sent.end()
    })
  process.on('message', (order: Order) => {
    if ('listen' in order) {
      listeners += order.count
      const all = Array.from({ length: order.count }, () => subscribe(order.listen))
      void Promise.all(all).then(() => process.send?.('listening'))
    } else if ('mark' in order) {
      heard = []
      mark = order.mark
      done = () => process.send?.(heard)
    }
  })
  process.once('disconnect', () => process.exit(0))
}

if (import.meta.main) await main()
