export * from './index.ts'
import { readFile } from 'node:fs/promises'
import { makeLatchkey } from './latchkey.ts'
import type { Latchkey } from './types.ts'

/** Compiles and instantiates the module that ships with this package. */
export async function load(): Promise<Latchkey> {
  const bytes = await readFile(new URL('../wasm/latchkey.wasm', import.meta.url))
  return makeLatchkey(await WebAssembly.compile(bytes))
}
