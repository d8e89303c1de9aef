import { reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { exports } from 'cloudflare:workers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { LinkItem } from '../../wrangler/src/links.ts'
import { linkName, vaultName } from '../../wrangler/src/names.ts'
import worker from '../../wrangler/src/worker.ts'
import {
  ask,
  assertion,
  bearer,
  bindings,
  Browser,
  errorOf,
  form,
  json,
  ownOrigin,
  request,
} from './harness.ts'
import { baseUrl } from './variables.ts'

const hour = 3_600_000

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

interface Created {
  readonly id: string
  readonly url: string
  readonly expiresAt: number
}

const create = async (subject: string, body: object = { provider: 'good' }): Promise<Created> => {
  const headers = { ...bearer(subject), ...json }
  const response = await ask('/api/connect-links', { method: 'POST', headers, body: JSON.stringify(body) })
  expect(response.status).toBe(201)
  return await response.json()
}
const state = async (subject: string, id: string): Promise<string> => {
  const response = await ask(`/api/connect-links/${id}`, { headers: bearer(subject) })
  return response.ok ? ((await response.json()) as LinkItem).state : await errorOf(response)
}
const path = (url: string): string => new URL(url).pathname
const press = (browser: Browser, url: string, headers: Record<string, string> = { ...form, ...ownOrigin }) =>
  browser.ask(path(url), { method: 'POST', headers, body: '' })
/** Through the button and the authorization server, up to its answer. */
const authorized = async (browser: Browser, url: string): Promise<URL> => {
  const started = await press(browser, url)
  expect(started.status).toBe(303)
  return await browser.answer(new URL(started.headers.get('location') ?? ''))
}
const given = async (subject: string): Promise<boolean> =>
  (
    await ask('/api/connections/good/token', {
      method: 'POST',
      headers: { ...bearer(subject), ...json },
      body: '{}',
    })
  ).ok
const vault = (id: string, kind: 'user' | 'org' = 'user') =>
  bindings.VAULT.getByName(vaultName(baseUrl, { owner: { kind, id }, provider: 'good' }))
const link = (id: string) => bindings.CONNECT_LINK.getByName(linkName(baseUrl, id))
const at = (now: number) => vi.useFakeTimers({ toFake: ['Date'], now })

test('a person who is not signed in connects what the caller asked for, once', async () => {
  const { id, url, expiresAt } = await create('alex', { provider: 'good', returnTo: '/done' })
  expect(expiresAt - Date.now()).toBeGreaterThan(hour - 60_000)
  expect(await state('alex', id)).toBe('pending')

  const browser = new Browser()
  const page = await (await browser.ask(path(url))).text()
  expect(page).toContain('127.0.0.1:8787 asks to connect your Good account')
  expect(page).toContain('<b>alex</b>')
  const callback = await authorized(browser, url)
  expect(Object.fromEntries(await browser.finish(callback))).toEqual({ connected: 'good' })
  expect(await state('alex', id)).toBe('completed')
  expect(await given('alex')).toBe(true)

  expect((await browser.finish(callback)).get('error')).toBe('used_state')
  const used = await browser.ask(path(url))
  expect([used.status, await used.text()]).toEqual([
    410,
    expect.stringContaining('This link was already used'),
  ])
  expect((await press(browser, url)).status).toBe(410)
})

test('one connection comes of a link, however many browsers it was opened in', async () => {
  const { url } = await create('alex')
  const browsers = [new Browser(), new Browser(), new Browser()]
  const callbacks = await Promise.all(browsers.map((browser) => authorized(browser, url)))
  const ends = await Promise.all(browsers.map((browser, i) => browser.finish(callbacks[i]!)))
  expect(ends.map((end) => end.get('connected') ?? end.get('error')).sort()).toEqual([
    'good',
    'used_state',
    'used_state',
  ])
})

test('T10: the answer counts in the browser that pressed the button', async () => {
  const { id, url } = await create('alex')
  const browser = new Browser()
  const callback = await authorized(browser, url)
  expect((await new Browser().finish(callback)).get('error')).toBe('other_browser')
  expect(await state('alex', id)).toBe('pending')
  expect((await browser.finish(callback)).get('connected')).toBe('good')
})

test('whoever is signed in there does not matter: the link speaks for its owner', async () => {
  const { url } = await create('alex')
  const browser = await Browser.of({ subject: 'sam' })
  expect((await browser.finish(await authorized(browser, url))).get('connected')).toBe('good')
  expect(await given('alex')).toBe(true)
  expect(await given('sam')).toBe(false)
})

test('an organisation’s link too: a member who is signed in there needs no role for it', async () => {
  const olga = { subject: 'olga', org: 'acme', role: 'owner' }
  const headers = { authorization: assertion({ ...olga, kind: 'human' }), ...json }
  const body = JSON.stringify({ provider: 'good', owner: 'org' })
  const made = await ask('/api/connect-links', { method: 'POST', headers, body })
  const { url } = (await made.json()) as { url: string }
  const browser = await Browser.of({ subject: 'max', org: 'acme', role: 'member' })
  expect((await browser.finish(await authorized(browser, url))).get('connected')).toBe('good')
})

test('a person who says no, and a code that is refused, leave the link as it was', async () => {
  const { id, url } = await create('alex')
  const browser = new Browser()
  const callback = await authorized(browser, url)
  callback.searchParams.delete('code')
  callback.searchParams.set('error', 'access_denied')
  const told = await browser.ask(`${callback.pathname}${callback.search}`)
  const end = new URL(told.headers.get('location') ?? '')
  expect([end.pathname, end.searchParams.get('error')]).toEqual(['/link', 'access_denied'])
  const page = await (await browser.ask(`${end.pathname}${end.search}`)).text()
  expect(page).toContain('You said no at Good.')
  expect(await state('alex', id)).toBe('pending')

  const broken = await authorized(browser, url)
  broken.searchParams.set('code', 'no-code-of-anyone')
  expect((await browser.finish(broken)).get('error')).toBe('exchange_failed')
  expect(await state('alex', id)).toBe('pending')
  expect((await browser.finish(await authorized(browser, url))).get('connected')).toBe('good')
})

test('a link lives one hour, and is remembered for another', async () => {
  const { id, url, expiresAt } = await create('alex')
  const browser = new Browser()
  at(expiresAt - 1)
  expect(await state('alex', id)).toBe('pending')
  const late = await authorized(browser, url)
  at(expiresAt)
  expect(await state('alex', id)).toBe('expired')
  const page = await browser.ask(path(url))
  expect([page.status, await page.text()]).toEqual([410, expect.stringContaining('This link is over')])
  expect((await browser.finish(late)).get('error')).toBe('expired_state')
  expect(await given('alex')).toBe(false)

  expect(await runDurableObjectAlarm(link(id))).toBe(true)
  expect(await state('alex', id)).toBe('expired')
  at(expiresAt + hour)
  expect(await runDurableObjectAlarm(link(id))).toBe(true)
  expect(await state('alex', id)).toBe('not_found')
  expect((await browser.ask(path(url))).status).toBe(404)
  expect(await runDurableObjectAlarm(link(id))).toBe(false)
})

test('T73: what waits for another link goes on waiting, and a connection that is there stays', async () => {
  const start = Date.now()
  const first = await create('alex')
  at(start + hour / 2)
  const second = await create('alex')
  const waits = async (): Promise<number | null> => (await vault('alex').status())?.awaitedUntil ?? null
  expect(await waits()).toBe(second.expiresAt)

  at(first.expiresAt)
  expect(await runDurableObjectAlarm(link(first.id))).toBe(true)
  expect(await state('alex', first.id)).toBe('expired')
  expect(await waits()).toBe(second.expiresAt)
  const browser = new Browser()
  expect((await browser.finish(await authorized(browser, second.url))).get('connected')).toBe('good')

  const third = await create('alex')
  at(third.expiresAt)
  expect(await runDurableObjectAlarm(link(third.id))).toBe(true)
  expect(await waits()).toBe(null)
  expect(await given('alex')).toBe(true)
  expect(await state('alex', second.id)).toBe('completed')
})

test('T73: the last link that ends takes the waiting with it', async () => {
  const { id, expiresAt } = await create('alex')
  at(expiresAt)
  expect(await runDurableObjectAlarm(link(id))).toBe(true)
  expect(await vault('alex').status()).toBe(null)
  await runInDurableObject(vault('alex'), (_, { storage }) => {
    expect(storage.sql.exec('SELECT * FROM awaited').toArray()).toEqual([])
  })
})

test('a link that the vault completed and could not be told of is completed', async () => {
  const { id, url } = await create('alex')
  const browser = new Browser()
  await browser.finish(await authorized(browser, url))
  await runInDurableObject(link(id), (_, { storage }) => {
    storage.sql.exec("UPDATE link SET state = 'pending'")
  })
  expect(await state('alex', id)).toBe('completed')
  expect((await press(browser, url)).status).toBe(410)
})

test('who may ask for one: whoever may connect for that owner', async () => {
  const member = assertion({ subject: 'alex', org: 'acme', role: 'member', kind: 'service' })
  const admin = assertion({ subject: 'alex', org: 'acme', role: 'admin', kind: 'service' })
  const send = async (headers: Record<string, string>, body: unknown): Promise<string> => {
    const init = { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) }
    const response = await ask('/api/connect-links', init)
    return response.ok ? 'made' : `${response.status} ${await errorOf(response)}`
  }
  const org = { provider: 'good', owner: 'org' }
  expect(await send({}, org)).toBe('403 origin_refused')
  expect(await send({ ...ownOrigin }, org)).toBe('401 principal_missing')
  expect(await send({ authorization: member }, org)).toBe('403 not_allowed')
  expect(await send({ authorization: admin }, org)).toBe('made')
  expect(await send(bearer('alex'), org)).toBe('401 not_allowed')
  for (const body of [
    {},
    { provider: 1 },
    { provider: 'good', owner: 'team' },
    { provider: 'good', more: 1 },
    [],
  ])
    expect(await send(bearer('alex'), body)).toBe('400 request_invalid')
  for (const returnTo of ['//evil.example', 'https://evil.example/', '/\\evil', 1])
    expect(await send(bearer('alex'), { provider: 'good', returnTo })).toBe('400 request_invalid')
  expect(await send(bearer('alex'), { provider: 'unknown' })).toBe('404 provider_unknown')
})

test('who may look: whose link it is', async () => {
  const { id } = await create('alex')
  expect(await state('sam', id)).toBe('not_found')
  expect(await state('alex', `${id}x`)).toBe('not_found')
  expect(await state('alex', 'A'.repeat(43))).toBe('not_found')
  expect((await ask(`/api/connect-links/${id}`)).status).toBe(401)
})

test('T36: the button counts only on our own page; everywhere, proxies or not', async () => {
  const { url } = await create('alex')
  const browser = new Browser()
  const refused = async (headers: Record<string, string>): Promise<string> =>
    await errorOf(await press(browser, url, headers))
  expect(await refused({ ...form })).toBe('origin_refused')
  expect(await refused({ ...form, 'sec-fetch-site': 'cross-site' })).toBe('origin_refused')
  expect(await refused({ ...form, ...ownOrigin, origin: 'http://127.0.0.1:1' })).toBe('origin_refused')
  expect(await refused({ ...json, ...ownOrigin })).toBe('media_type_refused')
  expect(await refused({ ...form, ...ownOrigin, host: 'evil.example' })).toBe('host_refused')
  expect(await refused({ ...form, ...ownOrigin, 'x-forwarded-for': '1.2.3.4' })).toBe('proxied_refused')

  const origin = 'https://latchkey.example'
  const provider = {
    profile: 'generic',
    clientId: 'id',
    authorizationUrl: 'https://as.example/a',
    tokenUrl: 'https://as.example/t',
  }
  const env = {
    ...bindings,
    LATCHKEY_DEV: '',
    PUBLIC_BASE_URL: origin,
    LATCHKEY_PROVIDERS: JSON.stringify({ good: provider }),
  }
  const there = (path: string, init: RequestInit): Promise<Response> =>
    worker.fetch(request(path, init) as Parameters<typeof worker.fetch>[0], env)
  const made = await there('/api/connect-links', {
    method: 'POST',
    headers: { ...bearer('alex'), ...json },
    body: '{"provider":"good"}',
  })
  const public_ = path(((await made.json()) as Created).url)
  const proxied = { ...form, host: 'latchkey.example', 'x-forwarded-proto': 'https', origin: 'null' }
  const pressed = (headers: Record<string, string>) =>
    there(public_, { method: 'POST', headers: { ...proxied, ...headers }, body: '' })
  expect((await pressed({ 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  expect((await pressed({})).status).toBe(403)
  const started = await pressed({ 'sec-fetch-site': 'same-origin' })
  expect(started.status).toBe(303)
  expect(started.headers.get('set-cookie')).toMatch(/^__Host-latchkey-binding=/)
})

test('T68: links asked for at the same time are different ones; only the hash of a token is kept', async () => {
  const links = await Promise.all(Array.from({ length: 40 }, () => create('alex')))
  expect(new Set(links.map(({ id }) => id)).size).toBe(40)
  expect(new Set(links.map(({ url }) => url)).size).toBe(40)
  const [{ id, url }] = links as [Created]
  const token = url.slice(url.lastIndexOf('/') + 1)
  expect(token).toMatch(/^[\w-]{43}$/)
  for (const object of [link(id), vault('alex')])
    await runInDurableObject(object as never, (_: unknown, { storage }: DurableObjectState) => {
      const tables = storage.sql
        .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
        .toArray()
      for (const { name } of tables.filter((table) => !table.name.startsWith('_')))
        expect(JSON.stringify(storage.sql.exec(`SELECT * FROM ${name}`).toArray())).not.toContain(token)
    })
  expect(await state('alex', token)).toBe('not_found')
})

test('T07: what a link says is never markup, and what an address says never words of ours', async () => {
  const { url } = await create('<img src=x>')
  expect(await (await ask(path(url))).text()).not.toContain('<img src=x>')
  const page = await (await ask('/link?connected=<one>&error=<two>&provider=<three>')).text()
  for (const text of ['<one>', '<two>', '<three>']) expect(page).not.toContain(text)
  // Whoever tries addresses leaves nothing behind.
  const nobody = bindings.CONNECT_LINK.getByName(linkName(baseUrl, 'nobody'))
  expect(await nobody.read()).toBe(null)
  await runInDurableObject(nobody, (_, { storage }) => {
    const tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
    expect(tables.toArray()).toEqual([])
  })
  for (const address of ['/link/x', `/link/${'A'.repeat(43)}`, '/link/%00']) {
    const response = await ask(address)
    expect([response.status, await response.text()]).toEqual([
      404,
      expect.stringContaining('This link does not lead anywhere'),
    ])
  }
})

test('where connecting is switched off no link is made, and one that is there leads nowhere', async () => {
  const { url } = await create('alex')
  const env = { ...bindings, ENABLE_CONNECT: 'false' }
  const there = (path: string, init: RequestInit): Promise<Response> =>
    worker.fetch(request(path, init) as Parameters<typeof worker.fetch>[0], env)
  const made = await there('/api/connect-links', {
    method: 'POST',
    headers: { ...bearer('alex'), ...json },
    body: '{"provider":"good"}',
  })
  expect([made.status, await errorOf(made)]).toEqual([403, 'connect_disabled'])
  const pressed = await there(path(url), { method: 'POST', headers: { ...form, ...ownOrigin }, body: '' })
  expect([pressed.status, await pressed.text()]).toEqual([200, expect.stringContaining('turned off')])
})

// The maker's role ------------------------------------------------------------------------------------

const acting = (
  fields: { subject: string; org?: string; role?: string },
  kind: 'human' | 'service' = 'human',
) => ({
  authorization: assertion({ ...fields, kind }),
  ...json,
})
const olga = { subject: 'olga', org: 'acme', role: 'owner' }
const ann = { ...olga, subject: 'ann' }
const createFor = async (person: typeof olga, owner: 'user' | 'org' = 'org'): Promise<Created> => {
  const body = JSON.stringify({ provider: 'good', owner })
  const response = await ask('/api/connect-links', { method: 'POST', headers: acting(person), body })
  expect(response.status).toBe(201)
  return await response.json()
}
const stateFor = async (person: { subject: string; org?: string; role?: string }, id: string) =>
  ((await (await ask(`/api/connect-links/${id}`, { headers: acting(person) })).json()) as LinkItem).state
const members = (
  method: 'PUT' | 'DELETE',
  body: object = {},
  { org = 'acme', user = 'olga', headers = acting({ subject: 'ops' }, 'service') } = {},
) => {
  const path = `/api/orgs/${encodeURIComponent(org)}/members/${encodeURIComponent(user)}`
  return ask(path, { method, headers, body: JSON.stringify(body) })
}
const isConnected = async (): Promise<boolean> =>
  (await vault('acme', 'org').status())?.status === 'connected'
const signIn = (browser: Browser, fields: Record<string, string>) =>
  browser.ask('/dev/sign-in', {
    method: 'POST',
    headers: { ...form, ...ownOrigin },
    body: new URLSearchParams(fields).toString(),
  })

test.each(['PUT', 'DELETE'] as const)(
  'T22 %s: with its maker’s role an organisation’s link ends, and what is on its way is not let in',
  async (method) => {
    const [mine, used, anns, own] = [
      await createFor(olga),
      await createFor(olga),
      await createFor(ann),
      await createFor(olga, 'user'),
    ]
    const visitor = new Browser()
    expect((await visitor.finish(await authorized(visitor, used.url))).get('connected')).toBe('good')
    const late = new Browser()
    const callback = await authorized(late, mine.url)
    if (method === 'PUT') {
      for (const role of ['owner', 'admin'])
        expect(await (await members('PUT', { role })).json()).toMatchObject({ complete: true, links: 0 })
      expect(await stateFor(ann, mine.id)).toBe('pending')
      const receipt = await members('PUT', { role: 'member' })
      expect([receipt.status, await receipt.json()]).toEqual([
        200,
        { at: expect.any(Number), complete: true, links: 1 },
      ])
      // What is connected is the organisation's.
      expect(await isConnected()).toBe(true)
      await vault('acme', 'org').erase()
    } else {
      expect((await members('DELETE')).status).toBe(200)
    }
    expect((await late.finish(callback)).get('error')).toBe('not_allowed')
    expect(await isConnected()).toBe(false)
    expect(await stateFor(ann, mine.id)).toBe('expired')
    const page = await ask(path(mine.url))
    expect([page.status, await page.text()]).toEqual([410, expect.stringContaining('This link is over')])
    expect((await press(new Browser(), mine.url)).status).toBe(410)
    // What came of one stays said, and nobody else's is touched, nor what is their own.
    expect(await stateFor(ann, anns.id)).toBe('pending')
    expect(await stateFor(olga, own.id)).toBe('pending')
    const browser = new Browser()
    expect((await browser.finish(await authorized(browser, anns.url))).get('connected')).toBe('good')
    // Said again, there is nothing left; with the role back, a new one is made and is good.
    expect(await (await members('PUT', { role: 'member' })).json()).toMatchObject({ links: 0 })
    at(Date.now() + 2_000)
    const next = await createFor(olga)
    expect((await browser.finish(await authorized(browser, next.url))).get('connected')).toBe('good')
    // An hour later nothing of it is left.
    at(mine.expiresAt)
    expect(await runDurableObjectAlarm(link(mine.id))).toBe(true)
    at(mine.expiresAt + hour)
    expect(await runDurableObjectAlarm(link(mine.id))).toBe(true)
    expect(await runDurableObjectAlarm(link(mine.id))).toBe(false)
  },
)

test('T22 a link’s maker who comes with another role is noticed wherever they come', async () => {
  const member = { ...olga, role: 'member' }
  // At the button, where nobody else's role says anything.
  const first = await createFor(olga)
  const other = await Browser.of({ subject: 'max', org: 'acme', role: 'member' })
  expect((await press(other, first.url)).status).toBe(303)
  const elsewhere = await Browser.of({ ...member, org: 'zeta' })
  expect((await press(elsewhere, first.url)).status).toBe(303)
  const maker = await Browser.of(member)
  const pressed = await press(maker, first.url)
  const end = new URL(pressed.headers.get('location') ?? '', baseUrl)
  expect([pressed.status, end.pathname, end.searchParams.get('error')]).toEqual([303, '/link', 'not_allowed'])
  expect(await (await ask(`${end.pathname}${end.search}`)).text()).toContain('may no longer do so')
  expect(await stateFor(ann, first.id)).toBe('expired')
  expect((await press(other, first.url)).status).toBe(410)

  // On the way back from the authorization server.
  at(Date.now() + 2_000)
  const second = await createFor(olga)
  const browser = await Browser.of(olga)
  const callback = await authorized(browser, second.url)
  await signIn(browser, member)
  expect((await browser.finish(callback)).get('error')).toBe('not_allowed')
  expect(await isConnected()).toBe(false)

  // When they ask what came of it.
  at(Date.now() + 2_000)
  const third = await createFor(olga)
  const begun = await authorized(other, third.url)
  expect(await stateFor(olga, third.id)).toBe('pending')
  expect(await stateFor(member, third.id)).toBe('expired')
  expect((await other.finish(begun)).get('error')).toBe('not_allowed')
  expect(await isConnected()).toBe(false)

  // One that is good is good for its maker too.
  at(Date.now() + 2_000)
  const fourth = await createFor(olga)
  await signIn(browser, olga)
  expect((await browser.finish(await authorized(browser, fourth.url))).get('connected')).toBe('good')
})

test('T22 who may say that a role is another: services, a bound one of its own organisation', async () => {
  const { id } = await createFor(olga)
  const refused = async (answer: Promise<Response>): Promise<string> => {
    const response = await answer
    return `${response.status} ${await errorOf(response)}`
  }
  const role = { role: 'member' }
  for (const headers of [acting(olga), acting(ann), acting({ ...ann, org: 'zeta' }, 'service')])
    expect(await refused(members('PUT', role, { headers }))).toBe('403 not_allowed')
  for (const body of [{}, { role: 1 }, { role: 'member', more: 1 }, []])
    expect(await refused(members('PUT', body))).toBe('400 request_invalid')
  for (const who of [{ org: 'a\u0000' }, { user: 'a\u007f' }, { user: 'x'.repeat(256) }])
    expect(await refused(members('PUT', role, who))).toMatch(/^400 /)
  expect(await refused(members('PUT', role, { headers: { ...json } as never }))).toMatch(/^40[13] /)
  expect(await (await members('PUT', role, { org: 'zeta' })).json()).toMatchObject({ links: 0 })
  expect(await stateFor(olga, id)).toBe('pending')
  // A vault that does not answer is said, and tried again.
  const rename = (from: string, to: string) =>
    runInDurableObject(vault('acme', 'org'), (_, { storage }) => {
      storage.sql.exec(`ALTER TABLE ${from} RENAME TO ${to}`)
    })
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  await rename('departure', 'kept')
  const failed = await members('PUT', role)
  expect([failed.status, await failed.json()]).toMatchObject([202, { complete: false, links: 0 }])
  await rename('kept', 'departure')
  const made = await exports.Latchkey.changeRole(
    { subject: 'ops', kind: 'service' },
    'acme',
    'olga',
    'member',
  )
  expect(made).toMatchObject({ ok: true, value: { complete: true, links: 1 } })
})

test('a service binding has the same two verbs', async () => {
  const alex = { subject: 'alex', kind: 'human' } as const
  const { Latchkey } = exports
  const made = await Latchkey.createConnectLink(alex, { provider: 'good' })
  expect(made.ok).toBe(true)
  const id = made.ok ? made.value.id : ''
  expect(await Latchkey.connectLink(alex, id)).toMatchObject({ ok: true, value: { state: 'pending' } })
  expect(await Latchkey.connectLink({ ...alex, subject: 'sam' }, id)).toEqual({
    ok: false,
    code: 'not_found',
  })
})
