export * from './sign.ts'
import { makeSigner } from './latchkey.ts'
import type { Signer } from './types.ts'

/** Fetches, compiles and instantiates the module; from beside this file unless told otherwise. */
export async function loadSigner(
  url: string | URL = new URL('../wasm/latchkey-sign.wasm', import.meta.url),
): Promise<Signer> {
  return makeSigner(await WebAssembly.compileStreaming(fetch(url)))
}
