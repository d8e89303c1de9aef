// From samples to the table, the ratios and the bars.
import type { Job as StateJob } from './contenders.ts'
import type { Size } from './facts.ts'

export type Job = StateJob | 'token.hot' | 'refresh.storm' | 'retention.sweep'

export interface Cell {
  readonly job: Job
  readonly runtime: string
  readonly name: string
  /** Runs in one batch. */
  readonly n: number
  /** Microseconds a run, one sample a round: wall time, and processor time of the whole process. */
  readonly wall: number[]
  readonly cpu: number[]
}

/** `us`, `min`, `max`: wall time; `cpu`: processor time. All in microseconds a run. */
export type Row = Omit<Cell, 'wall' | 'cpu'> & Readonly<Record<'us' | 'min' | 'max' | 'cpu', number>>

export interface Bar {
  readonly what: string
  /** By processor time, which is what Workers are billed by; and by wall time, while nobody else waits. */
  readonly measured: number
  readonly wall: number
  readonly bar: string
  readonly met: boolean
}

/** How many times the cost of the second contender the first one has. */
interface Ratio {
  readonly cpu: number
  readonly wall: number
}
type Ratios = (runtime: string, job: Job, name: string, to: string) => Ratio

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function rowOf({ wall, cpu, ...cell }: Cell): Row {
  return { ...cell, us: median(wall), min: Math.min(...wall), max: Math.max(...wall), cpu: median(cpu) }
}

/** Ratios within each round, then their median: what disturbs one disturbs its neighbour too. */
export function ratios(cells: readonly Cell[]): Ratios {
  const cellOf = (runtime: string, job: Job, name: string) =>
    cells.find((cell) => cell.runtime === runtime && cell.job === job && cell.name === name)!
  const between = (these: readonly number[], those: readonly number[]) =>
    median(these.map((us, round) => us / those[round]!))
  return (runtime, job, name, to) => {
    const [one, other] = [cellOf(runtime, job, name), cellOf(runtime, job, to)]
    return { cpu: between(one.cpu, other.cpu), wall: between(one.wall, other.wall) }
  }
}

const atLeast = (what: string, { cpu, wall }: Ratio, bar: number): Bar => ({
  what,
  measured: cpu,
  wall,
  bar: `>= ${bar}`,
  met: cpu >= bar,
})
const atMost = (what: string, { cpu, wall }: Ratio, bar: number): Bar => ({
  what,
  measured: cpu,
  wall,
  bar: `<= ${bar}`,
  met: cpu <= bar,
})

/** What latchkey promises about its speed in workerd. */
export function verdicts(rows: readonly Row[], ratio: Ratios): Bar[] {
  const than = (job: Job, name: string, to: string) => ratio('workerd', job, name, to)
  const instantiation = rows.find(({ job, runtime }) => job === 'instantiate' && runtime === 'workerd')!
  const against = (job: Job) => [
    atLeast(`${job}: jose / latchkey`, than(job, 'jose', 'latchkey'), 3.5),
    atMost(`${job}: latchkey / subtle-hand-parse`, than(job, 'latchkey', 'subtle-hand-parse'), 0.8),
  ]
  return [
    ...against('state.verify'),
    ...against('state.issue'),
    atMost('state.verify.eddsa: latchkey / jose', than('state.verify.eddsa', 'latchkey', 'jose'), 1.6),
    atMost('instantiate: microseconds', { cpu: instantiation.cpu, wall: instantiation.us }, 1000),
  ]
}

const column = (value: string | number, width: number) =>
  (typeof value === 'number' ? value.toFixed(2) : value).padStart(width)

export function show(
  rows: readonly Row[],
  ratio: Ratios,
  sizes: readonly Size[],
  bars: readonly Bar[],
): void {
  const heads = ['us', 'min', 'max', 'cpu us', 'x (cpu)', 'x (us)']
  for (const [title, group] of Object.entries(
    Object.groupBy(rows, ({ runtime, job }) => `${job}, ${runtime}`),
  )) {
    console.log(`\n${title.padEnd(34)}${heads.map((head) => column(head, 12)).join('')}`)
    for (const { runtime, job, name, us, min, max, cpu } of group!.toSorted((a, b) => a.cpu - b.cpu)) {
      const times = ratio(runtime, job, name, 'latchkey')
      const numbers = [us, min, max, cpu, times.cpu, times.wall]
      console.log(`  ${name.padEnd(32)}${numbers.map((number) => column(number, 12)).join('')}`)
    }
  }
  console.log(`\n${'bytes'.padEnd(34)}${column('raw', 12)}${column('gzip', 12)}`)
  for (const { name, raw, gzip } of sizes) {
    console.log(`  ${name.padEnd(32)}${column(String(raw), 12)}${column(String(gzip), 12)}`)
  }
  console.log(`\n${'bars, in workerd'.padEnd(58)}${column('cpu', 10)}${column('wall', 10)}`)
  for (const { what, measured, wall, bar, met } of bars) {
    const numbers = `${column(measured, 10)}${column(wall, 10)}`
    console.log(`  ${met ? 'met   ' : 'MISSED'}  ${what.padEnd(48)}${numbers}  ${bar}`)
  }
}
