// The jobs of a token in workerd started directly: `token.hot`, `refresh.storm`, and what both leave behind.
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../tests/servers/ports.ts'
import { inParallel, served, startStage, type Stage } from '../tests/load/stage.ts'
import { storm } from '../tests/load/storm.ts'
import { shoot } from '../tests/load/volley.ts'
import { Agent } from 'node:http'
import { workerdClock } from './clock.ts'
import { heapOf } from './heap.ts'
import type { Bar, Cell } from './report.ts'
import { median } from './report.ts'

export interface RefreshFacts {
  readonly cells: Cell[]
  readonly bars: Bar[]
  readonly memory: Memory
  readonly writes: Writes
}

/** Bytes for each of so many connections in memory beside the first. */
export interface Memory {
  readonly connections: number
  readonly heapBytes: number
  readonly rssBytes: number
}

/** Of one refresh, from the expired token to the stored one. */
export interface Writes {
  readonly statements: number
  readonly rows: number
  readonly alarms: number
}

export interface RefreshOptions {
  readonly rounds: number
  readonly calls: number
  readonly callers: number
  readonly connections: number
}

const provider = 'github'
const hotNames = [
  'latchkey',
  'empty-do-rpc',
  'payload-do-rpc',
  'latchkey-binding',
  'empty-binding-do-rpc',
  'payload-binding-do-rpc',
] as const

export async function measureRefresh(options: RefreshOptions): Promise<RefreshFacts> {
  const inspectorPort = await freePort()
  const stage = await startStage({
    kind: provider,
    baselines: ['promise'],
    entry: fileURLToPath(new URL('./refresh/worker.ts', import.meta.url)),
    objects: [{ name: 'EMPTY', class_name: 'Empty' }],
    services: [
      { name: 'LATCHKEY', entrypoint: 'Latchkey' },
      { name: 'EMPTY_ENTRY', entrypoint: 'EmptyEntry' },
    ],
    pinned: true,
    inspectorPort,
  })
  try {
    await stage.provider.control.configure({ accessSeconds: 28_800 })
    const memory = await measureMemory(stage, inspectorPort, options.connections)
    const hot = await measureHot(stage, options)
    const writes = await countedWrites(stage)
    const stormed = await measureStorm(stage, options)
    const cells = [...hot, ...stormed]
    return { cells, memory, writes, bars: barsOf(cells, memory, writes) }
  } finally {
    await stage.close()
  }
}

async function measureHot({ ours }: Stage, { rounds, calls }: RefreshOptions): Promise<Cell[]> {
  const { address, pid } = ours.worker
  const subject = 'hot'
  await ours.connect(subject)
  const ask = async (target: string): Promise<string> => {
    const response = await fetch(`${address}/bench${target}`)
    if (!response.ok) throw new Error(`workerd answered ${response.status} to ${target}`)
    return await response.text()
  }
  const clock = await workerdClock({ ask, pid }, { subject, provider })
  const cells = hotNames.map((name): Cell => ({
    job: 'token.hot',
    runtime: 'workerd',
    name,
    n: calls,
    wall: [],
    cpu: [],
  }))
  // A request asks for a token a few times. What thousands of calls leave for the collector until their one request has
  // ended is not what is asked about here.
  const requests = 10
  const warmups = 10
  const time = async (name: (typeof hotNames)[number]): Promise<{ wall: number; cpu: number }> => {
    const sum = { wall: 0, cpu: 0 }
    for (let n = 0; n < requests; n++) {
      const { wall, cpu } = await clock('token.hot', name, calls / requests)
      sum.wall += wall
      sum.cpu += cpu
    }
    return sum
  }
  // What is asked about is hot: compiled by then, on every side.
  for (let n = 0; n < warmups; n++) for (const name of hotNames) await time(name)
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[(i + round) % cells.length]!
      const { wall, cpu } = await time(cell.name as (typeof hotNames)[number])
      cell.wall.push((wall * 1_000) / calls)
      cell.cpu.push((cpu * 1_000) / calls)
    }
  }
  return cells
}

/** One storm is one run; its processor time is not taken. */
async function measureStorm(stage: Stage, { rounds, callers }: RefreshOptions): Promise<Cell[]> {
  const found = await storm(stage, [stage.ours, stage.baseline('promise')], { rounds, callers, processes: 2 })
  const groups = Object.groupBy(found, ({ contender }) => contender)
  return Object.entries(groups).map(([contender, own]) => {
    const wall = own.map(({ wallMs }) => wallMs * 1_000)
    const name = contender === 'latchkey' ? 'latchkey' : 'promise-in-do'
    return { job: 'refresh.storm', runtime: 'workerd', name, n: callers, wall, cpu: wall }
  })
}

async function countedWrites({ ours, provider: { control } }: Stage): Promise<Writes> {
  const count = async (): Promise<Writes> =>
    (await (await fetch(`${ours.worker.address}/bench/writes`)).json()) as Writes
  const agent = new Agent()
  await control.configure({ accessSeconds: 1 })
  await ours.connect('writes')
  await sleep(1_100)
  await control.configure({ accessSeconds: 3_600 })
  const before = await count()
  const hit = await shoot(agent, ours.worker.address, ours.ask('writes'))
  if (!served(hit)) throw new Error(`no refresh: ${JSON.stringify(hit.body)}`)
  // What is done after the answer belongs to it.
  await sleep(500)
  const after = await count()
  agent.destroy()
  return {
    statements: after.statements - before.statements,
    rows: after.rows - before.rows,
    alarms: after.alarms - before.alarms,
  }
}

async function measureMemory({ ours }: Stage, inspectorPort: number, connections: number): Promise<Memory> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const use = async (subject: string): Promise<void> => {
    await ours.connect(subject)
    const hit = await shoot(agent, ours.worker.address, ours.ask(subject))
    if (!served(hit)) throw new Error(`no token: ${JSON.stringify(hit.body)}`)
  }
  const poke = (): Promise<unknown> =>
    fetch(`${ours.worker.address}/bench/empty`).then((empty) => empty.text())
  // What the first ones allocate belongs to everybody.
  await inParallel(
    Array.from({ length: 20 }, (_, n) => `first-${n}`),
    8,
    use,
  )
  const before = await heapOf(inspectorPort, ours.worker.pid, poke)
  await inParallel(
    Array.from({ length: connections }, (_, n) => `kept-${n}`),
    8,
    use,
  )
  const after = await heapOf(inspectorPort, ours.worker.pid, poke)
  agent.destroy()
  return {
    connections,
    heapBytes: (after.heap - before.heap) / connections,
    rssBytes: (after.rss - before.rss) / connections,
  }
}

function barsOf(cells: readonly Cell[], { heapBytes }: Memory, { statements, alarms }: Writes): Bar[] {
  const of = (name: string): Cell => cells.find((cell) => cell.name === name)!
  const ratio = (name: string, to: string, clock: 'wall' | 'cpu'): number =>
    median(of(name)[clock].map((us, round) => us / of(to)[clock][round]!))
  const atMost = (what: string, measured: number, wall: number, most: number): Bar => ({
    what,
    measured,
    wall,
    bar: `<= ${most}`,
    met: measured <= most,
  })
  const against = (name: string, to: string, most: number, what = `token.hot: ${name} / ${to}`): Bar =>
    atMost(what, ratio(name, to, 'cpu'), ratio(name, to, 'wall'), most)
  const storms = cells.filter(({ job }) => job === 'refresh.storm')
  const walls = (name: string): readonly number[] => storms.find((cell) => cell.name === name)!.wall
  const stormed = median(walls('latchkey').map((us, round) => us / walls('promise-in-do')[round]!))
  return [
    against('latchkey', 'empty-do-rpc', 1.25),
    against('latchkey-binding', 'payload-binding-do-rpc', 1.25),
    atMost('refresh.storm: latchkey / promise-in-do', stormed, stormed, 1.1),
    atMost('refresh: storage writes', statements + alarms, statements + alarms, 3),
    atMost('vault: KiB of heap a connection', heapBytes / 1_024, heapBytes / 1_024, 64),
  ]
}
