/** What the browser runs: the worlds of the simulator. */
import { differences, type Traces } from './traces.ts'

export async function run(module: string, expected: readonly Traces[]): Promise<string[]> {
  return differences(await WebAssembly.compileStreaming(fetch(module)), expected)
}
