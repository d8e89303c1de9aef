import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { checkContenders } from './check.ts'

test('every contender of the benchmark gives what latchkey gives, and refuses what it refuses', async () => {
  const bytes = await readFile(new URL('../js-glue/wasm/latchkey.wasm', import.meta.url))
  await checkContenders(await WebAssembly.compile(bytes), Date.now())
})
