export * from './index.ts'
import compiled from '../wasm/latchkey.wasm'
import { makeLatchkey } from './latchkey.ts'
import type { Latchkey } from './types.ts'

/** Instantiates the module, which workerd compiles at deployment. */
export function loadSync(): Latchkey {
  return makeLatchkey(compiled)
}

/** As `loadSync`, so that one program text runs everywhere. */
export async function load(): Promise<Latchkey> {
  return loadSync()
}
