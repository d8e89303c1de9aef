import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTraces, seeds } from './native_traces.ts'
import { openPage } from './chromium.ts'

test('threat I11: simulated worlds in Chromium have the traces that they have natively', async (context) => {
  const { page, close } = await openPage()
  context.after(close)
  const found = await page.evaluate(
    async ([runner, module, expected]) =>
      ((await import(runner)) as typeof import('./traces_page.ts')).run(module, expected),
    ['/tests/js/traces_page.ts', '/build/wasi/tests/sim/latchkey-sim.wasm', readTraces()] as const,
  )
  assert.deepEqual(found, [])
  context.diagnostic(`${seeds} seeds`)
})
