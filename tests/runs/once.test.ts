/** The short form: the whole of it is `npm run runs`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { once, onceBars } from './once.ts'

test(
  'T58 T59 T60 T64: 120 runs whose clients, Worker and clock die at any moment',
  { timeout: 240_000 },
  async () => {
    const found = await once({ runs: 120, kills: 8, seed: 20_261_127, clients: 20 })
    const missed = onceBars(found).filter(({ met }) => !met)
    assert.deepEqual(missed, [], JSON.stringify(found))
    assert.equal(found.workerKills, 8)
    assert.equal(found.localEnds, 0)
  },
)
