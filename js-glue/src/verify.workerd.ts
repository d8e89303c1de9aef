export * from './verify.ts'
import compiled from '../wasm/latchkey-verify.wasm'
import { makeVerifier } from './latchkey.ts'
import type { Verifier } from './types.ts'

/** Instantiates the module, which workerd compiles at deployment. */
export function loadVerifierSync(): Verifier {
  return makeVerifier(compiled)
}

/** As `loadVerifierSync`, so that one program text runs everywhere. */
export async function loadVerifier(): Promise<Verifier> {
  return loadVerifierSync()
}
