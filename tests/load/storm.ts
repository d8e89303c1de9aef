/**
 * `npm run storm`: many callers, one expired connection; and many connections under mixed load. What the provider
 * counted, who got no token, whether the grant lives, and how long it took beside the simplest correct thing.
 *   --rounds N        volleys of each kind (15)
 *   --callers N       callers of a volley (200)
 *   --connections N   connections under mixed load (1000)
 *   --check           ends with 1 when a bar is missed
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { readOptions } from '../../scripts/options.ts'
import { median } from '../../bench/report.ts'
import { atMost, exactly, keep, numberOf, progress, show, showBars, type Bar } from './report.ts'
import { baselines, inParallel, served, startStage, type Contender, type Stage } from './stage.ts'
import { Callers, wallOf, type Shot } from './volley.ts'

/** What one volley did. */
export interface Round {
  readonly contender: Contender['name']
  readonly processes: number
  readonly wallMs: number
  /** Requests that reached the provider's token endpoint, and those that spent a token again. */
  readonly redemptions: number
  readonly replays: number
  readonly failed: number
  /** What a caller holds afterwards works at the provider. */
  readonly alive: boolean
}

/** GitHub's latency is 50-300 ms; a fixed one in the middle makes two rounds comparable. */
const latencyMs = [150, 150] as const
const expiredAfterMs = 1_100

/** Connections whose access token has ended; what is refreshed from now on lives an hour. */
async function expired({ provider }: Stage, made: Iterable<readonly [Contender, string]>): Promise<void> {
  await provider.control.configure({ accessSeconds: 1, latencyMs: [0, 0] })
  await inParallel(made, 8, ([contender, subject]) => contender.connect(subject))
  await sleep(expiredAfterMs)
  await provider.control.configure({ accessSeconds: 3_600, latencyMs })
}

export async function storm(
  stage: Stage,
  contenders: readonly Contender[],
  { rounds, callers, processes }: { rounds: number; callers: number; processes: number },
): Promise<Round[]> {
  const { control } = stage.provider
  const found: Round[] = []
  const clients = new Callers(processes)
  try {
    const subject = (round: number): string => `storm-${processes}-${round}`
    // One round more than is counted: the first warms everybody up.
    const all = Array.from({ length: rounds + 1 }, (_, round) => round)
    await expired(
      stage,
      all.flatMap((round) =>
        contenders.map((contender) => [contender, `${contender.name}-${subject(round)}`] as const),
      ),
    )
    for (const round of all) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const contender = contenders[(turn + round) % contenders.length]!
        progress(`storm: ${contender.name}, ${processes} client processes, round ${round} of ${rounds}`)
        await clients.warm(contender.worker.address, callers)
        await control.forget()
        const shot = contender.ask(`${contender.name}-${subject(round)}`)
        const hits = await clients.volley(contender.worker.address, Array<Shot>(callers).fill(shot))
        const { requests, replayed } = await control.counts()
        const token = hits.find(served)?.body['accessToken']
        if (round === 0) continue
        found.push({
          contender: contender.name,
          processes,
          wallMs: wallOf(hits),
          redemptions: requests,
          replays: replayed,
          failed: hits.filter((hit) => !served(hit)).length,
          alive: typeof token === 'string' && (await control.isAlive(token)),
        })
      }
    }
  } finally {
    clients.close()
  }
  return found
}

export interface Load {
  readonly connections: number
  readonly calls: number
  readonly failed: number
  readonly spent: number
  readonly replays: number
  readonly dead: number
  readonly wallMs: number
  readonly refusals: Readonly<Record<string, number>>
}

/** Every connection is asked for four times within two seconds, expired at first; some are rotated by force. */
export async function mixedLoad(stage: Stage, connections: number): Promise<Load> {
  const { ours, provider } = stage
  const { control } = provider
  const subjects = Array.from({ length: connections }, (_, n) => `mixed-${n}`)
  progress(`mixed load: connecting ${connections}`)
  await expired(
    stage,
    subjects.map((subject) => [ours, subject] as const),
  )
  await control.configure({ latencyMs: [50, 300] })
  await control.forget()
  progress(`mixed load: ${connections * 4} calls`)
  const clients = new Callers(4)
  try {
    await clients.warm(ours.worker.address, 64)
    const spread = 2_000
    const shots = subjects.flatMap((subject, n) =>
      [0, 0, 300, 1_200].map((later) => ({
        ...ours.ask(subject),
        afterMs: ((n * spread) / connections + later) | 0,
      })),
    )
    const hits = await clients.volley(ours.worker.address, shots)
    const { spent, replayed } = await control.counts()
    let dead = 0
    const newest = subjects.map((_, n) => hits.slice(n * 4, n * 4 + 4).findLast(served)?.body['accessToken'])
    await inParallel(newest, 16, async (token) => {
      if (typeof token !== 'string' || !(await control.isAlive(token))) dead += 1
    })
    const refusals: Record<string, number> = {}
    for (const { status, body } of hits.filter((hit) => !served(hit))) {
      const what = `${status} ${String(body['error'])}`
      refusals[what] = (refusals[what] ?? 0) + 1
    }
    return {
      connections,
      calls: hits.length,
      failed: hits.filter((hit) => !served(hit)).length,
      spent,
      replays: replayed,
      dead,
      wallMs: wallOf(hits),
      refusals,
    }
  } finally {
    clients.close()
  }
}

export function stormBars(rounds: readonly Round[], callers: number, load?: Load): Bar[] {
  const ours = rounds.filter(({ contender }) => contender === 'latchkey')
  const worst = (of: (round: Round) => number): number => Math.max(...ours.map(of))
  const bars: Bar[] = [
    exactly(
      'storm: redemptions of one expired token',
      worst(({ redemptions }) => redemptions),
      1,
    ),
    exactly(
      `storm: failed callers of ${callers}`,
      worst(({ failed }) => failed),
      0,
    ),
    exactly('storm: grants lost', ours.filter(({ alive }) => !alive).length, 0),
  ]
  for (const processes of new Set(rounds.map((round) => round.processes))) {
    const ratio = wallRatio(rounds, processes)
    if (ratio === undefined) continue
    const what = `storm: wall time / promise, ${processes} client ${processes === 1 ? 'process' : 'processes'}`
    bars.push(atMost(what, ratio, 1.1))
  }
  if (load) {
    bars.push(exactly(`mixed load: replays of ${load.connections} connections`, load.replays, 0))
    bars.push(exactly('mixed load: failed callers', load.failed, 0))
    bars.push(exactly('mixed load: grants lost', load.dead, 0))
    bars.push(exactly('mixed load: refreshes too many', load.spent - load.connections, 0))
  }
  return bars
}

/** Ratios within each round, then their median: what disturbs one disturbs its neighbour too. */
function wallRatio(rounds: readonly Round[], processes: number): number | undefined {
  const wall = (name: Contender['name']): number[] =>
    rounds
      .filter((round) => round.contender === name && round.processes === processes)
      .map(({ wallMs }) => wallMs)
  const [ours, theirs] = [wall('latchkey'), wall('promise')]
  if (theirs.length === 0) return undefined
  return median(ours.map((ms, round) => ms / theirs[round]!))
}

export function showStorm(rounds: readonly Round[]): void {
  const groups = Object.groupBy(rounds, ({ contender, processes }) => `${contender}, ${processes}`)
  const rows = Object.entries(groups).map(([name, group = []]) => {
    const most = (of: (round: Round) => number): number => Math.max(...group.map(of))
    return [
      name,
      median(group.map(({ wallMs }) => wallMs)).toFixed(0),
      Math.min(...group.map(({ wallMs }) => wallMs)).toFixed(0),
      most(({ wallMs }) => wallMs).toFixed(0),
      most(({ redemptions }) => redemptions),
      most(({ replays }) => replays),
      most(({ failed }) => failed),
      `${group.filter(({ alive }) => alive).length} of ${group.length}`,
    ]
  })
  show(
    ['storm: who, client processes', 'ms', 'min', 'max', 'redemptions', 'replays', 'failed', 'alive'],
    rows,
  )
}

async function main(): Promise<void> {
  const { values } = readOptions({
    rounds: { type: 'string', default: '15' },
    callers: { type: 'string', default: '200' },
    connections: { type: 'string', default: '1000' },
    check: { type: 'boolean', default: false },
  })
  const rounds = numberOf('rounds', values.rounds, 1, 100)
  const callers = numberOf('callers', values.callers, 2, 1_000)
  const connections = numberOf('connections', values.connections, 1, 5_000)
  const at = new Date().toISOString()
  const stage = await startStage({ kind: 'github', baselines })
  const found: Round[] = []
  try {
    const contenders = [stage.ours, ...baselines.map(stage.baseline)]
    for (const processes of [1, 4]) {
      found.push(...(await storm(stage, contenders, { rounds, callers, processes })))
    }
    const load = await mixedLoad(stage, connections)
    progress('')
    showStorm(found)
    const { refusals, ...row } = load
    show(Object.keys(row), [Object.values(row).map(Math.round)])
    if (load.failed > 0) console.log(refusals)
    const bars = stormBars(found, callers, load)
    showBars(bars)
    await keep('storm', { at, callers, latencyMs, rounds: found, load, bars })
    if (values.check && bars.some(({ met }) => !met)) process.exitCode = 1
  } finally {
    await stage.close()
  }
}

if (import.meta.main) await main()
