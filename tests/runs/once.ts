/**
 * Exactly once: clients that die at any moment, a Worker that is killed, clocks that jump by up to a day.
 *   npm run runs                       1,000 runs
 *   npm run runs -- --runs 200 --kills 10 --seed 7
 *   npm run runs -- --check            ends with 1 when a bar is missed
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connectRuns, type RunItem, type RunStream } from 'latchkey/runs'
import { readOptions } from '../../scripts/options.ts'
import { atMost, exactly, keep, numberOf, progress, show, showBars, type Bar } from '../load/report.ts'
import { call, Kept, startStage, type Stage } from './stage.ts'

export interface OnceOptions {
  readonly runs: number
  readonly kills: number
  readonly seed: number
  /** Clients at the same time. */
  readonly clients: number
}

export interface OnceFindings {
  readonly runs: number
  readonly clientKills: Readonly<Record<KillPoint, number>>
  readonly workerKills: number
  /** By how often each run was worked at. */
  readonly executed: number
  readonly executedTwice: number
  /** Ended as dead before anybody worked at them; their clients were told so. */
  readonly reapedUnclaimed: number
  readonly completedUnexecuted: number
  /** Threads with another number of runs than one. */
  readonly notOneRun: number
  /** Clients that did not end with exactly one terminal event. */
  readonly notOneEnd: number
  /** Clients that ended with one of their own making. */
  readonly localEnds: number
  /** Logs with a hole, a repetition, or not exactly one end. */
  readonly brokenLogs: number
  readonly ends: Readonly<Record<string, number>>
  readonly longestWaitMs: number
  readonly seconds: number
}

const points = ['none', 'before the reply', 'mid-stream', 'after the end'] as const
type KillPoint = (typeof points)[number]

const windowMs = 1_200_000
const day = 86_400_000
const skewed = fileURLToPath(new URL('./workers/skewed.ts', import.meta.url))

/** Small, seeded, good enough to choose by: mulberry32. */
function randomOf(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Work {
  readonly thread: string
  readonly kill: KillPoint
  /** How often somebody began to work at it. */
  executions: number
  ended: boolean
}

export async function once(options: OnceOptions): Promise<OnceFindings> {
  const began = performance.now()
  const random = randomOf(options.seed)
  // Kept for longer than clocks jump, so that every log can be read again in the end.
  const vars = { ALARMS_LOST: '0.3', RUN_RETENTION_MS: String(7 * day) }
  const stage = await startStage({ entry: skewed, vars })
  try {
    const works = Array.from({ length: options.runs }, (_, n): Work => {
      const kill = points[Math.floor(random() * points.length)]!
      return { thread: `t-${options.seed}-${n}`, kill, executions: 0, ended: false }
    })
    let finished = 0
    const state = { stopped: false, kills: 0 }
    const killer = killAgainAndAgain(stage, options, random, () => finished / options.runs, state)
    const ends: { readonly work: Work; readonly items: readonly RunItem[]; readonly waitMs: number }[] = []
    const queue = [...works]
    await Promise.all(
      Array.from({ length: options.clients }, async () => {
        for (let work = queue.shift(); work; work = queue.shift()) {
          const from = performance.now()
          const workers = ['a', 'b'].map((name) => execute(stage, work, `${name}-${work.thread}`, random))
          const items = await clientOf(stage, work, random)
          ends.push({ work, items, waitMs: performance.now() - from })
          work.ended = true
          await Promise.all(workers)
          finished += 1
          progress(`runs: ${finished} of ${options.runs}, the Worker was killed ${state.kills} times`)
        }
      }),
    )
    state.stopped = true
    await killer
    const logs = await Promise.all(works.map((work) => logOf(stage, work)))
    const kinds: Record<string, number> = {}
    for (const { items } of ends) {
      const name = nameOf(items.at(-1))
      kinds[name] = (kinds[name] ?? 0) + 1
    }
    const reaped = logs.filter(({ work, cause }) => work.executions === 0 && cause === 'stale_run')
    const clientKills = Object.fromEntries(
      points.map((point) => [point, works.filter(({ kill }) => kill === point).length]),
    ) as Record<KillPoint, number>
    return {
      runs: works.length,
      clientKills,
      workerKills: state.kills,
      executed: works.filter(({ executions }) => executions === 1).length,
      executedTwice: works.filter(({ executions }) => executions > 1).length,
      reapedUnclaimed: reaped.length,
      completedUnexecuted: logs.filter(({ work, status }) => work.executions === 0 && status === 'completed')
        .length,
      notOneRun: logs.filter(({ count }) => count !== 1).length,
      notOneEnd: ends.filter(({ items }) => items.filter(({ end }) => end).length !== 1 || !items.at(-1)?.end)
        .length,
      localEnds: ends.filter(({ items }) => items.at(-1)?.local).length,
      brokenLogs: logs.filter(({ whole }) => !whole).length,
      ends: kinds,
      longestWaitMs: Math.max(...ends.map(({ waitMs }) => waitMs)),
      seconds: (performance.now() - began) / 1_000,
    }
  } finally {
    progress('')
    await stage.close()
  }
}

const nameOf = (item: RunItem | undefined): string =>
  item?.local ? `local: ${item.end.code}` : (item?.end?.cause ?? item?.end?.kind ?? 'nothing')

/** One person's client, killed where it is to be killed, and the one that comes after it. */
async function clientOf(stage: Stage, work: Work, random: () => number): Promise<RunItem[]> {
  const storage = new Kept()
  const open = (kept: Kept, fetcher: typeof fetch = fetch) =>
    connectRuns({
      base: stage.address,
      headers: () => stage.headers(),
      storage: kept,
      fetch: fetcher,
      backOffMs: 50,
      silenceMs: 20_000,
    })
  const input = { work: work.thread }
  const again = async (kept: Kept): Promise<RunItem[]> => {
    await sleep(random() * 100)
    const runs = open(kept)
    // A page that is loaded again knows its thread, and not more.
    return await all(
      (await runs.resume(work.thread)) ?? runs.start(work.thread, input, { clientKey: work.thread }),
    )
  }
  const stream = (fetcher?: typeof fetch): RunStream =>
    open(storage, fetcher).start(work.thread, input, { clientKey: work.thread })
  switch (work.kill) {
    case 'none':
      return await all(stream())
    case 'before the reply': {
      // The request may have left, have arrived, or have been answered.
      const killed = new AbortController()
      const dying: typeof fetch = async (url, init) => {
        if (init?.method === 'POST') setTimeout(() => killed.abort(), random() * 15)
        return await fetch(url, { ...init, signal: killed.signal })
      }
      const first = stream(dying)
      const gone = new Promise<void>((resolve) => killed.signal.addEventListener('abort', () => resolve()))
      await Promise.race([all(first), gone])
      const kept = storage.copy()
      first.close()
      return await again(kept)
    }
    case 'mid-stream': {
      const first = stream()
      let left = Math.floor(random() * 4)
      for await (const item of first) {
        if (item.end) return [item]
        if (left-- <= 0) break
      }
      return await again(storage.copy())
    }
    case 'after the end': {
      // It has seen the end and dies before it has noted that.
      let kept = storage.copy()
      for await (const item of stream()) if (!item.end) kept = storage.copy()
      return await again(kept)
    }
  }
}

async function all(stream: RunStream): Promise<RunItem[]> {
  const items: RunItem[] = []
  for await (const item of stream) items.push(item)
  return items
}

/** Somebody who looks for work in a thread and does it if they are the first; two of them race for each. */
async function execute(stage: Stage, work: Work, name: string, random: () => number): Promise<void> {
  const ask = async <T>(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; body: T }> => {
    for (;;) {
      try {
        const answer = await call<T>(stage, method, path, body)
        if (answer.status < 500 && answer.status !== 401) return answer
      } catch {
        // Killed meanwhile: the same again.
      }
      await sleep(30)
    }
  }
  let runId: string | undefined
  while (runId === undefined) {
    const { body } = await ask<{ runs: { runId: string; status: string }[] }>(
      'GET',
      `/api/threads/${work.thread}/active-run?clientKey=${work.thread}`,
    )
    const [run] = body.runs ?? []
    if (run && run.status !== 'running') return
    runId = run?.runId
    if (runId === undefined && work.ended) return
    await sleep(20)
  }
  const claim = await ask<{ claimed?: boolean }>('POST', `/api/runs/${runId}/heartbeat`, { claim: name })
  if (claim.body.claimed !== true) return
  work.executions += 1
  const steps = 2 + Math.floor(random() * 5)
  for (let n = 0; n < steps; n += 1) {
    await sleep(random() * 60)
    const events = [{ key: `step-${n}`, type: 'step', data: { n } }]
    const { status } = await ask('POST', `/api/runs/${runId}/events`, { events })
    if (status !== 200) return
  }
  await ask('POST', `/api/runs/${runId}/finish`, {})
}

async function killAgainAndAgain(
  stage: Stage,
  { kills }: OnceOptions,
  random: () => number,
  share: () => number,
  state: { stopped: boolean; kills: number },
): Promise<void> {
  while (!state.stopped && state.kills < kills) {
    await sleep(20)
    if (share() < (state.kills + 0.5) / (kills + 1)) continue
    // Half of the time the clock is another one afterwards.
    await stage.restart(random() < 0.5 ? Math.round((random() * 2 - 1) * day) : undefined)
    state.kills += 1
  }
}

/** What is in the log in the end, read once more from its beginning. */
async function logOf(stage: Stage, work: Work) {
  const { body } = await call<{ runs: { runId: string; status: string }[] }>(
    stage,
    'GET',
    `/api/threads/${work.thread}/active-run`,
  )
  const [run] = body.runs
  if (!run) return { work, count: 0, whole: true, status: 'none', cause: undefined }
  const runs = connectRuns({ base: stage.address, headers: () => stage.headers() })
  const items = await all(runs.follow(run.runId))
  const seqs = items.map((item) => (item.local ? -1 : item.seq))
  const whole = seqs.every((seq, n) => seq === n + 1) && items.filter(({ end }) => end).length === 1
  const last = items.at(-1)
  return {
    work,
    count: body.runs.length,
    whole,
    status: run.status,
    cause: last?.local ? undefined : last?.end?.cause,
  }
}

export function onceBars(found: OnceFindings): Bar[] {
  return [
    exactly('runs executed once', found.executed, found.runs),
    exactly('runs executed twice', found.executedTwice, 0),
    exactly('runs completed that nobody executed', found.completedUnexecuted, 0),
    exactly('threads with another number of runs than one', found.notOneRun, 0),
    exactly('clients without exactly one terminal event', found.notOneEnd, 0),
    exactly('logs with a hole, a repetition or not one end', found.brokenLogs, 0),
    atMost('longest wait of a client, ms', found.longestWaitMs, windowMs),
  ]
}

async function main(): Promise<void> {
  const { values } = readOptions({
    runs: { type: 'string', default: '1000' },
    kills: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '40' },
    check: { type: 'boolean', default: false },
  })
  const options: OnceOptions = {
    runs: numberOf('runs', values.runs, 1, 100_000),
    kills: numberOf('kills', values.kills, 0, 1_000),
    seed: numberOf('seed', values.seed, 0, 999_999_999),
    clients: numberOf('clients', values.clients, 1, 500),
  }
  const at = new Date().toISOString()
  const found = await once(options)
  const bars = onceBars(found)
  const { clientKills, ends, ...counts } = found
  show(
    ['clients killed', 'runs'],
    Object.entries(clientKills).map(([point, count]) => [point, count]),
  )
  show(
    ['how it ended for the client', 'clients'],
    Object.entries(ends).map(([kind, count]) => [kind, count]),
  )
  console.log(
    `${found.workerKills} kills of the Worker, half of them with another clock after; ${found.reapedUnclaimed} runs ` +
      `ended before anybody worked at them; ${found.seconds.toFixed(0)} s\n`,
  )
  showBars(bars)
  await keep('runs', { at, options, clientKills, ends, ...counts, bars })
  if (values.check && bars.some(({ met }) => !met)) process.exitCode = 1
}

if (import.meta.main) await main()
