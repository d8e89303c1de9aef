export * from './index.ts'
import { makeLatchkey } from './latchkey.ts'
import type { Latchkey } from './types.ts'

/** Fetches, compiles and instantiates the module; from beside this file unless told otherwise. */
export async function load(
  url: string | URL = new URL('../wasm/latchkey.wasm', import.meta.url),
): Promise<Latchkey> {
  return makeLatchkey(await WebAssembly.compileStreaming(fetch(url)))
}
