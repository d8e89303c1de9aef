/** Runs the worlds of the simulator as WebAssembly; the same text runs in Node, workerd and Chromium. */

/** So many worlds in a row, and one hash over all their traces. */
export interface Traces {
  readonly from: number
  readonly count: number
  readonly hash: string
}

interface Simulator {
  _initialize(): void
  sim_run_all(first: bigint, count: number): bigint
  sim_violation(): number
}

/** Runs the same worlds again: what differs, or breaks an invariant, as lines for a person. */
export function differences(module: WebAssembly.Module, expected: readonly Traces[]): string[] {
  const simulator = new WebAssembly.Instance(module).exports as unknown as Simulator
  simulator._initialize()
  return expected.flatMap(({ from, count, hash }) => {
    const seeds = `seeds ${from} to ${from + count - 1}`
    const given = BigInt.asUintN(64, simulator.sim_run_all(BigInt(from), count))
    const found = given.toString(16).padStart(16, '0')
    const violation = simulator.sim_violation()
    return [
      ...(found === hash ? [] : [`${seeds}: ${found} here, ${hash} natively`]),
      ...(violation === 0 ? [] : [`${seeds}: invariant ${violation} is violated`]),
    ]
  })
}
