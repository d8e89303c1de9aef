export * from './verify.ts'
import { makeVerifier } from './latchkey.ts'
import type { Verifier } from './types.ts'

/** Fetches, compiles and instantiates the module; from beside this file unless told otherwise. */
export async function loadVerifier(
  url: string | URL = new URL('../wasm/latchkey-verify.wasm', import.meta.url),
): Promise<Verifier> {
  return makeVerifier(await WebAssembly.compileStreaming(fetch(url)))
}
