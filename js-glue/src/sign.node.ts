export * from './sign.ts'
import { readFile } from 'node:fs/promises'
import { makeSigner } from './latchkey.ts'
import type { Signer } from './types.ts'

/** Compiles and instantiates the module that ships with this package. */
export async function loadSigner(): Promise<Signer> {
  const bytes = await readFile(new URL('../wasm/latchkey-sign.wasm', import.meta.url))
  return makeSigner(await WebAssembly.compile(bytes))
}
