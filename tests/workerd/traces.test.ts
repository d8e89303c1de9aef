import { expect, inject, test } from 'vitest'
import simulator from '../../build/wasi/tests/sim/latchkey-sim.wasm'
import { differences } from '../js/traces.ts'

test('threat I11: simulated worlds in workerd have the traces that they have natively', () => {
  expect(navigator.userAgent).toBe('Cloudflare-Workers')
  const traces = inject('traces')
  expect(differences(simulator, traces)).toEqual([])
  console.log(`${traces.reduce((sum, { count }) => sum + count, 0)} seeds`)
})
