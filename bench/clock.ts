// Two clocks for one batch: the wall, and the processor time of the process that ran it, which includes what its other
// threads do for it.
import { readdir, readFile } from 'node:fs/promises'
import { batch } from './batch.ts'
import type { Contenders, Job } from './contenders.ts'
import type { Workerd } from './workerd.ts'

/** Milliseconds. */
export interface Time {
  readonly wall: number
  readonly cpu: number
}

/** Runs a contender so many times and says how long that took. */
export type Clock = (job: string, name: string, n: number) => Promise<Time>

async function timed(cpuNow: () => Promise<number>, work: () => Promise<unknown>): Promise<Time> {
  const cpu = await cpuNow()
  const wall = performance.now()
  await work()
  return { wall: performance.now() - wall, cpu: (await cpuNow()) - cpu }
}

const ownCpu = () => {
  const { user, system } = process.cpuUsage()
  return Promise.resolve((user + system) / 1000)
}

/** The processor time of all threads of a process. Linux only: elsewhere wall time stands for it. */
export async function cpuOf(pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`
  let nanoseconds = 0
  for (const thread of await readdir(tasks).catch(() => [])) {
    const [spent] = (await readFile(`${tasks}/${thread}/schedstat`, 'utf8').catch(() => '0')).split(' ')
    nanoseconds += Number(spent)
  }
  return nanoseconds === 0 ? performance.now() : nanoseconds / 1e6
}

export function nodeClock(contenders: Contenders): Clock {
  return (job, name, n) => timed(ownCpu, () => batch(contenders[job as Job][name]!, n))
}

export async function workerdClock(
  { ask, pid }: Pick<Workerd, 'ask' | 'pid'>,
  more: Readonly<Record<string, string>> = {},
): Promise<Clock> {
  const cpuNow = () => cpuOf(pid)
  const empty = { wall: Infinity, cpu: Infinity }
  for (let i = 0; i < 60; i++) {
    const { wall, cpu } = await timed(cpuNow, () => ask('/empty'))
    empty.wall = Math.min(empty.wall, wall)
    empty.cpu = Math.min(empty.cpu, cpu)
  }
  return async (job, name, n) => {
    const query = new URLSearchParams({ job, name, n: String(n), ...more })
    const { wall, cpu } = await timed(cpuNow, () => ask(`/run?${query.toString()}`))
    return { wall: wall - empty.wall, cpu: cpu - empty.cpu }
  }
}
