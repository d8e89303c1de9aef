// `npm run bench`: the full work of a state token beside what else can be had, in workerd and in Node; a token that is
// served, a token that is refreshed, and what both keep; a million records that are over.
//   --quick   fewer and shorter rounds; results.json stays as it is
//   --check   ends with 1 when a bar is missed
import type { IssuedState } from 'latchkey'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { readOptions } from '../scripts/options.ts'
import { checkContenders } from './check.ts'
import { nodeClock, workerdClock, type Clock } from './clock.ts'
import type { Contenders, Job } from './contenders.ts'
import { sizes, versions } from './facts.ts'
import { measureRefresh } from './refresh.ts'
import { measureRetention } from './retention.ts'
import { ratios, rowOf, show, verdicts, type Cell } from './report.ts'
import { startWorkerd } from './workerd.ts'

const { values: options } = readOptions({
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
})
const rounds = options.quick ? 5 : 11
const batchMs = options.quick ? 20 : 60
const warmupMs = options.quick ? 80 : 200

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** Warms up and finds how many runs fill a batch. */
async function calibrate(clock: Clock, job: Job, name: string): Promise<number> {
  let spent = 0
  let n = 16
  for (;;) {
    const { cpu } = await clock(job, name, n)
    spent += cpu
    const full = Math.ceil((n * batchMs) / Math.max(cpu, 0.1))
    if (spent >= warmupMs && cpu >= batchMs / 2) return full
    n = Math.min(full, n * 8)
  }
}

async function measure(clocks: Readonly<Record<string, Clock>>, contenders: Contenders): Promise<Cell[]> {
  const cells: Cell[] = []
  for (const job of Object.keys(contenders) as Job[]) {
    for (const runtime of Object.keys(clocks)) {
      for (const name of Object.keys(contenders[job])) {
        const n = await calibrate(clocks[runtime]!, job, name)
        cells.push({ job, runtime, name, n, wall: [], cpu: [] })
      }
    }
  }
  for (let round = 0; round < rounds; round++) {
    // What is compared is measured side by side, each time in another order.
    for (const group of Object.values(Object.groupBy(cells, ({ job, runtime }) => `${runtime} ${job}`))) {
      for (let i = 0; i < group!.length; i++) {
        const cell = group![(i + round) % group!.length]!
        const { wall, cpu } = await clocks[cell.runtime]!(cell.job, cell.name, cell.n)
        cell.wall.push((wall * 1000) / cell.n)
        cell.cpu.push((cpu * 1000) / cell.n)
      }
    }
  }
  return cells
}

const now = Date.now()
const module = await WebAssembly.compile(await readFile(path('../js-glue/wasm/latchkey.wasm')))
const contenders = await checkContenders(module, now)
const tokenBytes = ((await contenders['state.issue']['latchkey']!()) as IssuedState).token.length
const workerd = await startWorkerd(path('./worker.ts'), path('../build/bench'))
try {
  await workerd.ask(`/prepare?now=${now}`)
  const stateCells = await measure(
    { workerd: await workerdClock(workerd), node: nodeClock(contenders) },
    contenders,
  )
  const { memory, writes, ...refresh } = await measureRefresh({
    rounds,
    calls: options.quick ? 200 : 1_000,
    callers: 200,
    connections: options.quick ? 200 : 1_000,
  })
  const retention = await measureRetention({ rows: options.quick ? 200_000 : 1_000_000, slices: 5 })
  const cells = [...stateCells, ...refresh.cells, ...retention.cells]
  const rows = cells.map(rowOf)
  const found = await sizes()
  const ratio = ratios(cells)
  const bars = [...verdicts(rows, ratio), ...refresh.bars, ...retention.bars]
  console.log(`token of ${tokenBytes} bytes, ${rounds} rounds; us, min, max: wall time a run`)
  console.log('cpu us: processor time a run; x: times latchkey, by both; bars: by processor time')
  show(rows, ratio, found, bars)
  if (!options.quick) {
    const file = path('./results.json')
    const results = {
      at: new Date(now).toISOString(),
      versions: await versions(),
      tokenBytes,
      rows,
      memory,
      writes,
      waits: retention.waits,
      sizes: found,
      bars,
    }
    const style = await resolveConfig(file)
    await writeFile(file, await format(JSON.stringify(results, round3), { ...style, parser: 'json' }))
  }
  if (options.check && bars.some(({ met }) => !met)) process.exitCode = 1
} finally {
  await workerd.stop()
}

function round3(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1000) / 1000 : value
}
