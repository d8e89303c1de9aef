import { expect, test, vi } from 'vitest'
import worker from '../../wrangler/src/worker.ts'
import { bindings, request } from './harness.ts'

const secret = 'canary-value'
const cases: readonly (readonly [string, string | undefined])[] = [
  ['LATCHKEY_KEYS', undefined],
  ['LATCHKEY_KEYS', ''],
  ['LATCHKEY_KEYS', secret],
  ['LATCHKEY_KEYS', `k:${secret}`],
  ['LATCHKEY_PRINCIPAL_KEY', secret],
  ['LATCHKEY_PROVIDERS', undefined],
  ['LATCHKEY_PROVIDERS', secret],
  ['LATCHKEY_PROVIDERS', '[]'],
  ['LATCHKEY_PROVIDERS', `{"good":{"profile":"${secret}"}}`],
  ['LATCHKEY_PROVIDERS', '{"a":{},"a":{}}'],
  ['PUBLIC_BASE_URL', undefined],
  ['PUBLIC_BASE_URL', ''],
  ['PUBLIC_BASE_URL', secret],
  ['PUBLIC_BASE_URL', `http://${secret}.example`],
  ['ENABLE_CONNECT', secret],
  ['LATCHKEY_DEV', secret],
  ['GOOD_CLIENT_SECRET', undefined],
]

test.each(cases)('%s = %j stops everything with one line that names it', async (name, value) => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const { [name]: _, ...others } = bindings as unknown as Record<string, string>
  const env = { ...others, ...(value !== undefined && { [name]: value }) } as unknown as typeof bindings
  for (const path of ['/', '/healthz', '/connect/good', '/callback/good', '/api/connections', '/nothing']) {
    const response = await worker.fetch(request(path) as Parameters<typeof worker.fetch>[0], env)
    expect([response.status, await response.json()], path).toEqual([500, { error: 'misconfigured' }])
  }
  expect(error).toHaveBeenCalledTimes(1)
  expect(String(error.mock.calls[0])).toContain(name)
  expect(JSON.stringify(error.mock.calls)).not.toContain(secret)
})

test('local development anywhere else than on loopback does not start', async () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const env = { ...bindings, PUBLIC_BASE_URL: 'https://latchkey.example' }
  const response = await worker.fetch(request('/dev/sign-in') as Parameters<typeof worker.fetch>[0], env)
  expect(await response.json()).toEqual({ error: 'misconfigured' })
  expect(String(error.mock.calls[0])).toContain('LATCHKEY_DEV')
})
