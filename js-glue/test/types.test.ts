// T16 and its like: misuse that the compiler must see.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('T16: an unverified state is no state, an object is no ring, and the binding is not skipped', () => {
  const tsc = spawnSync(`${root}/node_modules/.bin/tsc`, ['-p', 'js-glue/test', '--noEmit'], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(tsc.stdout + tsc.stderr, '')
  assert.equal(tsc.status, 0)
  const refused = readFileSync(new URL('types/contract.ts', import.meta.url), 'utf8').match(
    /@ts-expect-error/g,
  )
  assert.equal(refused?.length, 50)
})
