import { evictDurableObject, reset, runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { vaultName } from '../../wrangler/src/names.ts'
import { ask, bearer, bindings, Browser, errorOf, form, json, ownOrigin } from './harness.ts'
import { baseUrl } from './variables.ts'

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
})

const vault = (subject: string, provider = 'good') =>
  bindings.VAULT.getByName(vaultName(baseUrl, { owner: { kind: 'user', id: subject }, provider }))
const token = (subject: string, body?: unknown, provider = 'good') =>
  ask(`/api/connections/${provider}/token`, {
    method: 'POST',
    headers: { ...bearer(subject), ...json },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
const remove = (subject: string, provider = 'good') =>
  ask(`/api/connections/${provider}?owner=user`, { method: 'DELETE', headers: bearer(subject) })
const connected = async (subject: string, provider = 'good'): Promise<Browser> => {
  const browser = await Browser.of({ subject })
  expect((await browser.connect(provider)).get('connected')).toBe(provider)
  return browser
}

test('the list says what is connected and never shows a token', async () => {
  const browser = await Browser.of({ subject: 'alex', org: 'acme', role: 'member' })
  await browser.connect('good')
  const response = await browser.ask('/api/connections')
  const text = await response.text()
  const list = JSON.parse(text) as { provider: string; owner: { kind: string } }[]
  expect(list.filter(({ provider }) => provider === 'good')).toEqual([
    {
      provider: 'good',
      title: 'Good',
      owner: { kind: 'user', id: 'alex' },
      account: expect.stringMatching(/alex/),
      status: 'connected',
      scopes: ['openid', 'profile'],
      connectedAt: expect.any(Number),
      expiresAt: expect.any(Number),
      refreshAt: expect.any(Number),
      generation: { id: expect.any(String), version: 1 },
      may: [
        {
          verb: 'connect',
          owner: 'user',
          ok: true,
          status: null,
          rule: 'own',
          sentences: ['It is your own connection.'],
        },
        {
          verb: 'disconnect',
          owner: 'user',
          ok: true,
          status: null,
          rule: 'own',
          sentences: ['It is your own connection.'],
        },
      ],
      awaitedUntil: null,
    },
    {
      provider: 'good',
      title: 'Good',
      owner: { kind: 'org', id: 'acme' },
      account: null,
      status: 'not_connected',
      scopes: [],
      connectedAt: null,
      expiresAt: null,
      refreshAt: null,
      generation: null,
      may: ['connect', 'disconnect'].map((verb) => ({
        verb,
        owner: 'org',
        ok: false,
        status: 403,
        rule: 'role_is_member',
        sentences: ['Your role does not permit changing what belongs to the organisation.'],
      })),
      awaitedUntil: null,
    },
  ])
  const { accessToken } = (await (await token('alex')).json()) as { accessToken: string }
  expect(text).not.toContain(accessToken)
  expect(await (await browser.ask('/')).text()).not.toContain(accessToken)
})

test('what is stored is sealed, and opens only where it was put', async () => {
  await connected('alex')
  await connected('sam', 'moved')
  const { accessToken } = (await (await token('alex')).json()) as { accessToken: string }
  const rows = await runInDurableObject(vault('alex'), (_, { storage }) =>
    storage.sql.exec('SELECT * FROM latchkey_connection').toArray(),
  )
  expect(JSON.stringify(rows)).not.toContain(accessToken)

  const [row] = rows
  await runInDurableObject(vault('alex'), (_, { storage }) => {
    storage.sql.exec('UPDATE latchkey_connection SET access = refresh')
  })
  await evictDurableObject(vault('alex'))
  const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const response = await token('alex')
  expect([response.status, await errorOf(response)]).toEqual([500, 'corrupt'])
  expect(JSON.stringify(error.mock.calls)).not.toContain(String(row?.['refresh']))
  // It is kept as it is.
  const kept = await runInDurableObject(vault('alex'), (_, { storage }) =>
    storage.sql.exec('SELECT id FROM latchkey_connection').toArray(),
  )
  expect(kept).toEqual([{ id: row?.['id'] }])
})

test.each([
  ['[]'],
  ['null'],
  ['{'],
  ['{"owner":"team"}'],
  ['{"owner":1}'],
  ['{"minValidityMs":-1}'],
  ['{"minValidityMs":1.5}'],
  ['{"minValidityMs":"1"}'],
  ['{"minValidityMs":1e300}'],
  ['{"unknown":true}'],
])('token with the body %s is refused', async (body) => {
  const headers = { ...bearer('alex'), ...json }
  const response = await ask('/api/connections/good/token', { method: 'POST', headers, body })
  expect([response.status, await errorOf(response)]).toEqual([400, 'request_invalid'])
})

test('the own connection comes before the organisation, unless one is asked for', async () => {
  const admin = await Browser.of({ subject: 'alex', org: 'acme', role: 'admin' })
  await admin.connect('good', { owner: 'org' })
  const source = async (owner?: string): Promise<unknown> => {
    const response = await admin.ask('/api/connections/good/token', {
      method: 'POST',
      headers: { ...json, ...ownOrigin },
      body: JSON.stringify({ owner }),
    })
    const body = (await response.json()) as { source?: string; error?: string }
    return body.source ?? body.error
  }
  expect(await source()).toBe('org')
  expect(await source('user')).toBe('not_connected')
  await admin.connect('good', { owner: 'user' })
  expect(await source()).toBe('user')
  expect(await source('org')).toBe('org')
})

test('disconnect revokes at the server, deletes and is done', async () => {
  await connected('alex')
  const { accessToken } = (await (await token('alex')).json()) as { accessToken: string }
  expect(await (await remove('alex')).json()).toEqual({ revoked: true, deleted: true })
  const account = await fetch(`${inject('issuer')}/me`, {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  expect(account.status).toBe(401)
  expect(await (await remove('alex')).json()).toEqual({ revoked: false, deleted: true })
  expect(await errorOf(await token('alex'))).toBe('not_connected')
})

test('a provider that does not confirm the end keeps the connection', async () => {
  const browser = await connected('alex', 'stubborn')
  expect(await (await remove('alex', 'stubborn')).json()).toMatchObject({ revoked: false, deleted: false })
  expect((await token('alex', {}, 'stubborn')).status).toBe(200)
  const body = new URLSearchParams({ owner: 'user', return_to: '/' }).toString()
  const response = await browser.ask('/disconnect/stubborn', {
    method: 'POST',
    headers: { ...form, ...ownOrigin },
    body,
  })
  expect(response.status).toBe(303)
  expect(response.headers.get('location')).toBe(`${baseUrl}/?error=provider_error&provider=stubborn`)
})

test('the form does the same without JavaScript', async () => {
  const browser = await connected('alex')
  const body = new URLSearchParams({ owner: 'user', return_to: '/?x=1' }).toString()
  const response = await browser.ask('/disconnect/good', {
    method: 'POST',
    headers: { ...form, ...ownOrigin },
    body,
  })
  expect(response.headers.get('location')).toBe(`${baseUrl}/?x=1&disconnected=good`)
})

test('an account belongs to one person, for themselves and for an organisation', async () => {
  const first = await Browser.of({ subject: 'first', org: 'acme', role: 'owner' })
  expect((await first.connect('good')).get('connected')).toBe('good')
  expect((await first.connect('good', { owner: 'org' })).get('connected')).toBe('good')
  const second = await Browser.of({ subject: 'second', org: 'acme', role: 'owner' })
  expect((await second.connect('good')).get('error')).toBe('already_connected')
  // The organisation has it already, so another of its owners may renew it.
  expect((await second.connect('good', { owner: 'org' })).get('connected')).toBe('good')
  expect(await errorOf(await token('second'))).toBe('not_connected')
  await remove('first')
  expect((await second.connect('good')).get('connected')).toBe('good')
})

test('a claim whose connection is gone is taken over', async () => {
  await connected('first')
  await runInDurableObject(vault('first'), (_, { storage }) => {
    storage.sql.exec('DELETE FROM latchkey_connection')
  })
  await connected('second')
})

test('two people who connect one account at the same time: one gets it', async () => {
  const browsers = [await Browser.of({ subject: 'first' }), await Browser.of({ subject: 'second' })]
  const callbacks = await Promise.all(browsers.map((browser) => browser.authorize('good')))
  const told = await Promise.all(browsers.map((browser, index) => browser.finish(callbacks[index] as URL)))
  expect(told.map((query) => query.get('connected') ?? query.get('error')).sort()).toEqual([
    'already_connected',
    'good',
  ])
})

test('a used state stays used when the object was gone in between', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const callback = await browser.authorize('good')
  await browser.finish(callback)
  await evictDurableObject(vault('alex'))
  expect((await browser.finish(callback)).get('error')).toBe('used_state')
  expect((await token('alex')).status).toBe(200)
})

test('used states are remembered for as long as they could be valid, and no longer', async () => {
  const count = () =>
    runInDurableObject(vault('alex'), (_, { storage }) =>
      Number(storage.sql.exec('SELECT count(*) AS n FROM consumed').one()['n']),
    )
  await connected('alex')
  expect(await count()).toBe(1)
  await runInDurableObject(vault('alex'), (_, { storage }) => {
    storage.sql.exec('UPDATE consumed SET until = ?', Date.now() - 1)
  })
  await connected('alex')
  expect(await count()).toBe(1)
})

test('the state of the last login can be verified by its owner while it is valid', async () => {
  const browser = await connected('alex')
  const response = await browser.ask('/api/connections/good/state?owner=user')
  const { token: state } = (await response.json()) as { token: string }
  expect(state.split('.')).toHaveLength(3)
  expect(await errorOf(await ask('/api/connections/good/state', { headers: bearer('sam') }))).toBe(
    'not_connected',
  )
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 601_000 })
  expect(await errorOf(await browser.ask('/api/connections/good/state?owner=user'))).toBe('not_connected')
})

test('T13: like-looking people have different objects', () => {
  const names = [
    vaultName(baseUrl, { owner: { kind: 'user', id: 'a.b@x' }, provider: 'good' }),
    vaultName(baseUrl, { owner: { kind: 'user', id: 'a_b@x' }, provider: 'good' }),
    vaultName(baseUrl, { owner: { kind: 'org', id: 'a.b@x' }, provider: 'good' }),
    vaultName(baseUrl, { owner: { kind: 'user', id: 'a","good' }, provider: 'x' }),
    vaultName(baseUrl, { owner: { kind: 'user', id: 'a' }, provider: 'good","x' }),
  ]
  expect(new Set(names).size).toBe(names.length)
})
