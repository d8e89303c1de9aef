import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readSimulator, readTraces, seeds } from './native_traces.ts'
import { differences } from './traces.ts'

const traces = readTraces()
const simulator = readSimulator()

describe('simulated worlds in Node', () => {
  test('the module imports nothing', () => {
    assert.deepEqual(WebAssembly.Module.imports(simulator), [])
  })

  test('threat I11: have the traces that they have natively', (context) => {
    assert.equal(
      traces.reduce((sum, { count }) => sum + count, 0),
      seeds,
    )
    assert.deepEqual(differences(simulator, traces), [])
    context.diagnostic(`${seeds} seeds`)
  })

  test('a world that differs is seen', () => {
    const [first] = traces
    assert.equal(differences(simulator, [{ ...first!, hash: '0123456789abcdef' }]).length, 1)
    assert.equal(differences(simulator, [{ ...first!, count: first!.count - 1 }]).length, 1)
  })
})
