/** The short form: the whole of it is `npm run bench:retention`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measureRetention } from '../../bench/retention.ts'

test(
  '100,000 records go batch by batch, within the budget, and a request waits for one batch at the most',
  { timeout: 120_000 },
  async () => {
    const { bars, cells } = await measureRetention({ rows: 100_000, slices: 5 })
    // How many times faster it is, a machine that does other things meanwhile does not tell; that it is, it does.
    const [ratio, ...counted] = bars
    assert.deepEqual(
      counted.filter(({ met }) => !met),
      [],
    )
    assert.ok(ratio!.measured > 1, `expiry-index / latchkey: ${ratio!.measured}`)
    assert.equal(cells.length, 3)
  },
)
