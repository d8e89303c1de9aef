import { reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { claimName, vaultName } from '../../wrangler/src/names.ts'
import { ask, bearer, bindings, Browser, errorOf, json } from './harness.ts'
import { baseUrl, webhookSecret } from './variables.ts'

/** Two registrations of one provider's profile, as a product has that began with one and now has another. */
const provider = 'hooked'
const sibling = 'hooked-too'

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const connected = async (subject: string, name = provider): Promise<void> => {
  const browser = await Browser.of({ subject })
  expect((await browser.connect(name)).get('connected')).toBe(name)
}
const outcome = async (subject: string, name = provider): Promise<unknown> => {
  const response = await ask(`/api/connections/${name}/token`, {
    method: 'POST',
    headers: { ...bearer(subject), ...json },
    body: '{}',
  })
  return response.ok ? 'given' : await errorOf(response)
}
const account = async (subject: string): Promise<string> => {
  const vault = bindings.VAULT.getByName(
    vaultName(baseUrl, { owner: { kind: 'user', id: subject }, provider }),
  )
  return await runInDurableObject(vault, (_, { storage }) =>
    String(storage.sql.exec('SELECT account FROM latchkey_connection').one()['account']),
  )
}

async function signature(body: BufferSource, secret = webhookSecret): Promise<string> {
  const bytes = new TextEncoder().encode(secret)
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  return `sha256=${new Uint8Array(await crypto.subtle.sign('HMAC', key, body)).toHex()}`
}

interface Sent {
  readonly name?: string
  readonly event?: string
  readonly id?: string
  readonly signature?: string
}

async function deliver(text: string, sent: Sent = {}): Promise<Response> {
  const body = new TextEncoder().encode(text)
  return await ask(`/webhooks/${sent.name ?? provider}`, {
    method: 'POST',
    headers: {
      ...json,
      'x-github-event': sent.event ?? 'github_app_authorization',
      'x-github-delivery': sent.id ?? 'delivery-1',
      'x-hub-signature-256': sent.signature ?? (await signature(body)),
    },
    body,
  })
}

const revoked = (id: string): string => `{"action":"revoked","sender":{"id":${id},"login":"canary-login"}}`

test('T48 a revocation ends that account’s connections, of every registration, once and for good', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  await connected('alex')
  await connected('alex', sibling)
  const id = await account('alex')
  expect(id).toMatch(/^[1-9]\d*$/)

  expect((await deliver(revoked(`${id}0`))).status).toBe(204)
  expect(await outcome('alex')).toBe('given')

  expect((await deliver(revoked(id), { id: 'delivery-2' })).status).toBe(204)
  expect(await outcome('alex')).toBe('revoked')
  expect(await outcome('alex', sibling)).toBe('revoked')
  expect(JSON.stringify(log.mock.calls)).not.toContain('canary-login')

  // Threat T30: the same delivery again, after a new login, ends nothing.
  await connected('alex')
  expect((await deliver(revoked(id), { id: 'delivery-2' })).status).toBe(204)
  expect(await outcome('alex')).toBe('given')
  expect((await deliver(revoked(id), { id: 'delivery-3' })).status).toBe(204)
  expect(await outcome('alex')).toBe('revoked')
})

test('runs that use the account’s connection end with it, once and with the cause', async () => {
  await connected('alex')
  const post = (path: string, body: object) =>
    ask(path, { method: 'POST', headers: { ...bearer('alex'), ...json }, body: JSON.stringify(body) })
  const started = await post('/api/runs', { threadId: 't', clientKey: 'k', uses: [{ provider }] })
  const { runId } = (await started.json()) as { runId: string }
  const id = await account('alex')
  await deliver(revoked(id))
  await deliver(revoked(id), { id: 'delivery-2' })
  const log = await (await ask(`/api/runs/${runId}/events`, { headers: bearer('alex') })).text()
  const ends = log.split('\n').filter((line) => line.includes('"end"'))
  expect(ends).toHaveLength(1)
  expect(ends[0]).toContain('"cause":"connection_revoked"')
})

test('threat T30: what is not signed by the provider is refused before it is read', async () => {
  await connected('alex')
  const text = revoked(await account('alex'))
  const good = await signature(new TextEncoder().encode(text))
  const wrong = await signature(new TextEncoder().encode(text), 'another secret')
  for (const bad of [
    '',
    wrong,
    good.toUpperCase(),
    good.slice(0, -1),
    `${good}0`,
    good.replace('sha256', 'sha1'),
  ]) {
    const response = await deliver(text, { signature: bad })
    expect([bad, response.status, await errorOf(response)]).toEqual([bad, 401, 'webhook_invalid'])
  }
  expect((await deliver(`${text} `, { signature: good })).status).toBe(401)
  expect(await outcome('alex')).toBe('given')
})

test('signed, but of no concern or not to be understood: nothing changes', async () => {
  await connected('alex')
  const id = await account('alex')
  for (const [text, event] of [
    [revoked(id), 'push'],
    [`{"action":"created","sender":{"id":${id}}}`, 'github_app_authorization'],
    [`{"padding":"${'x'.repeat(70_000)}"}`, 'push'],
  ] as const)
    expect([event, (await deliver(text, { event })).status]).toEqual([event, 204])
  for (const text of ['', '{', '[]', '{"action":"revoked"}', '{"action":"revoked","sender":{"id":null}}']) {
    const response = await deliver(text)
    expect([text, response.status, await errorOf(response)]).toEqual([text, 400, 'webhook_unreadable'])
  }
  expect(await outcome('alex')).toBe('given')
})

test('Slack’s question whether anybody is there is answered, when it is Slack that asks', async () => {
  const ask1 = async (value: unknown, signed = true): Promise<unknown> => {
    const body = JSON.stringify(value)
    const timestamp = String(Math.floor(Date.now() / 1_000))
    const good = await signature(new TextEncoder().encode(`v0:${timestamp}:${body}`))
    const headers = {
      ...json,
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': good.replace('sha256', signed ? 'v0' : 'v1'),
    }
    const response = await ask('/webhooks/slacked', { method: 'POST', headers, body })
    return response.status === 200 ? await response.text() : response.status
  }
  expect(await ask1({ type: 'url_verification', challenge: '3eZbrw1aBm2rZgRNFdxV' })).toBe(
    '3eZbrw1aBm2rZgRNFdxV',
  )
  expect(await ask1({ type: 'url_verification', challenge: 'x' }, false)).toBe(401)
  for (const challenge of ['<script>', '', 1])
    expect(await ask1({ type: 'url_verification', challenge })).toBe(204)
})

test('where nothing is expected there is nothing', async () => {
  for (const name of ['good', 'unknown', '%'])
    expect([name, (await deliver('{}', { name })).status]).toEqual([name, 404])
  expect((await ask(`/webhooks/${provider}`)).status).toBe(405)
})

test('deliveries are remembered for as long as they may come again, and no longer', async () => {
  await connected('alex')
  const id = await account('alex')
  await deliver(revoked(id))
  const claim = bindings.ACCOUNT_CLAIM.getByName(claimName(baseUrl, provider, id))
  const remembered = () =>
    runInDurableObject(claim, (_, { storage }) => storage.sql.exec('SELECT until FROM delivery').toArray())
  const [{ until }] = (await remembered()) as [{ until: number }]
  expect(until - Date.now()).toBeGreaterThan(3 * 86_400_000 - 60_000)
  vi.useFakeTimers({ toFake: ['Date'], now: until + 2 })
  expect(await runDurableObjectAlarm(claim)).toBe(true)
  expect(await remembered()).toEqual([])
})
