export * from './sign.ts'
import compiled from '../wasm/latchkey-sign.wasm'
import { makeSigner } from './latchkey.ts'
import type { Signer } from './types.ts'

/** Instantiates the module, which workerd compiles at deployment. */
export function loadSignerSync(): Signer {
  return makeSigner(compiled)
}

/** As `loadSignerSync`, so that one program text runs everywhere. */
export async function loadSigner(): Promise<Signer> {
  return loadSignerSync()
}
