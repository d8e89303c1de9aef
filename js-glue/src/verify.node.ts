export * from './verify.ts'
import { readFile } from 'node:fs/promises'
import { makeVerifier } from './latchkey.ts'
import type { Verifier } from './types.ts'

/** Compiles and instantiates the module that ships with this package. */
export async function loadVerifier(): Promise<Verifier> {
  const bytes = await readFile(new URL('../wasm/latchkey-verify.wasm', import.meta.url))
  return makeVerifier(await WebAssembly.compile(bytes))
}
