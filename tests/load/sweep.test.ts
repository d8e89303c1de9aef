/** The short form: the whole of it is `npm run bench:retention`. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { load } from 'latchkey'
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

test('the cron comes as often as the core wants a sweep', async () => {
  const text = await readFile(new URL('../../wrangler/wrangler.jsonc', import.meta.url), 'utf8')
  const minutes = /"crons": \["\*\/(\d+) \* \* \* \*"\]/.exec(text)?.[1]
  const { nextAt } = (await load()).retention.sweep([], undefined, 0, 0) as { nextAt: number }
  assert.equal(Number(minutes) * 60_000, nextAt)
})
