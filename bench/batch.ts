import type { Run } from './contenders.ts'

/** Runs one contender `n` times, waiting for each where it is asynchronous. */
export async function batch(run: Run, n: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    const result = run()
    if (result instanceof Promise) await result
  }
}
