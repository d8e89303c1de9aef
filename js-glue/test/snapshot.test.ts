import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'

const { snapshot } = (await import(new URL('../scripts/api-snapshot.mjs', import.meta.url).href)) as {
  snapshot: () => Promise<string>
}

it('the public types are those of api.snapshot.d.ts (node js-glue/scripts/api-snapshot.mjs writes it)', async () => {
  const committed = readFileSync(new URL('../api.snapshot.d.ts', import.meta.url), 'utf8')
  assert.equal(await snapshot(), committed)
})
