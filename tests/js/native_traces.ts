/** What the simulator says natively, for runners in other engines to be held against. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Traces } from './traces.ts'

const program = new URL('../../build/clang/tests/sim/latchkey_sim', import.meta.url)
const module = new URL('../../build/wasi/tests/sim/latchkey-sim.wasm', import.meta.url)

export const seeds = 10_000

export function readTraces(): Traces[] {
  const lines = execFileSync(program.pathname, ['--hashes', `${seeds}`], { encoding: 'utf8' })
    .trim()
    .split('\n')
  return lines.map((line) => {
    const [from, count, hash] = line.split(' ')
    return { from: Number(from), count: Number(count), hash: hash! }
  })
}

export const readSimulator = (): WebAssembly.Module => new WebAssembly.Module(readFileSync(module))
