import { inject, beforeEach, expect, test, vi } from 'vitest'
import { reset } from 'cloudflare:test'
import { ask, bearer, Browser, errorOf, form, json, keys, lk } from './harness.ts'
import { baseUrl, faults } from './variables.ts'

beforeEach(async () => {
  await reset()
})

const exchanged = async (): Promise<string[]> =>
  await (await fetch(`${inject('tokenServer')}/exchanged`)).json()
const tokenOf = (subject: string, provider = 'good') =>
  ask(`/api/connections/${provider}/token`, { method: 'POST', headers: bearer(subject) })
const generationOf = async (subject: string, provider = 'good'): Promise<unknown> => {
  const list: { provider: string; generation: unknown }[] = await (
    await ask('/api/connections', { headers: bearer(subject) })
  ).json()
  return list.find((item) => item.provider === provider)?.generation
}

test('ends in a token that the authorization server accepts', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const callback = await browser.authorize('good', { returnTo: '/?a=1#b' })
  const response = await browser.ask(`${callback.pathname}${callback.search}`)
  expect(response.status).toBe(302)
  expect(response.headers.get('location')).toBe(`${baseUrl}/?a=1&connected=good#b`)

  const granted: Record<string, unknown> = await (await tokenOf('alex')).json()
  expect(granted).toEqual({
    accessToken: expect.any(String),
    expiresAt: expect.any(Number),
    generation: { id: expect.stringMatching(/^[\w-]{22}$/), version: 1 },
    source: 'user',
    obtained: 'stored',
  })
  const account = await fetch(`${inject('issuer')}/me`, {
    headers: { authorization: `Bearer ${String(granted['accessToken'])}` },
  })
  expect(account.status).toBe(200)
})

test('T09: two concurrent identical callbacks exchange once', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const callback = await browser.authorize('good')
  const told = await Promise.all(Array.from({ length: 5 }, () => browser.finish(callback)))
  expect(told.filter((query) => query.get('connected') === 'good')).toHaveLength(1)
  expect(told.filter((query) => query.get('error') === 'used_state')).toHaveLength(4)
  expect((await exchanged()).filter((code) => code === callback.searchParams.get('code'))).toHaveLength(1)
})

test('two flows of one person at the same time both finish', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const callbacks = [await browser.authorize('good'), await browser.authorize('good')]
  const told = await Promise.all(callbacks.map((callback) => browser.finish(callback)))
  expect(told.map((query) => query.get('connected'))).toEqual(['good', 'good'])
  expect((await tokenOf('alex')).status).toBe(200)
})

test('a redirect of the token endpoint is followed within its origin', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  expect((await browser.connect('moved')).get('connected')).toBe('moved')
})

test.each(faults)(
  'token endpoint %s: exchange_failed, no half-made connection, nothing of its text',
  async (fault) => {
    const log = vi.spyOn(console, 'log')
    const browser = await Browser.of({ subject: 'alex' })
    const callback = await browser.authorize(fault)
    const before = await exchanged()
    const response = await browser.ask(`${callback.pathname}${callback.search}`)
    expect(response.headers.get('location')).toBe(`${baseUrl}/?error=exchange_failed&provider=${fault}`)
    expect(await errorOf(await tokenOf('alex', fault))).toBe('not_connected')
    expect(await generationOf('alex', fault)).toBeNull()
    expect(JSON.stringify(log.mock.calls)).not.toContain('canary')
    // What leaves the origin or changes the method never arrives anywhere.
    expect(await exchanged()).toEqual(before)
    // The state is used up all the same: one try each.
    expect((await browser.finish(callback)).get('error')).toBe('used_state')
  },
)

test('redirects end after five hops', async () => {
  const looped = async (): Promise<number> => await (await fetch(`${inject('tokenServer')}/looped`)).json()
  const before = await looped()
  const browser = await Browser.of({ subject: 'alex' })
  await browser.connect('loop')
  expect((await looped()) - before).toBe(6)
})

test('an account that cannot be told is no connection', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  expect((await browser.connect('nobody')).get('error')).toBe('exchange_failed')
  expect(await errorOf(await tokenOf('alex', 'nobody'))).toBe('not_connected')
})

test('a failed exchange leaves the older connection as it was', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  await browser.connect('good')
  const before = await (await tokenOf('alex')).json()
  const callback = await browser.authorize('good')
  callback.searchParams.set('code', 'not-a-code-of-this-server')
  expect((await browser.finish(callback)).get('error')).toBe('exchange_failed')
  expect(await (await tokenOf('alex')).json()).toEqual(before)
})

test('T06, T10: each refusal has its public code and uses nothing up', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const callback = await browser.authorize('good')
  const changed = async (change: (query: URLSearchParams) => void, by = browser): Promise<string | null> => {
    const url = new URL(callback)
    change(url.searchParams)
    return (await by.finish(url)).get('error')
  }
  const stranger = await Browser.of({ subject: 'alex' })
  const other = await Browser.of({ subject: 'sam' })
  other.setCookie('latchkey-binding', browser.cookie('latchkey-binding'))
  const nobody = new Browser()
  nobody.setCookie('latchkey-binding', browser.cookie('latchkey-binding'))
  const nothing = (): void => undefined

  expect(await changed((query) => query.delete('state'))).toBe('invalid_state')
  expect(await changed((query) => query.set('state', 'x'.repeat(5_000)))).toBe('invalid_state')
  expect(await changed(nothing, stranger)).toBe('other_browser')
  expect(await changed(nothing, new Browser())).toBe('other_browser')
  expect(await changed(nothing, other)).toBe('other_account')
  expect(await changed(nothing, nobody)).toBe('other_account')
  expect(await changed((query) => query.set('iss', 'https://attacker.example'))).not.toBeNull()
  expect(await changed((query) => query.append('code', 'second'))).not.toBeNull()
  expect(
    await changed((query) => {
      query.delete('code')
      query.set('error', 'access_denied')
    }),
  ).toBe('access_denied')
  expect(
    await changed((query) => {
      query.delete('code')
      query.set('error', 'temporarily_unavailable')
    }),
  ).toBe('provider_error')
  expect((await browser.finish(callback)).get('connected')).toBe('good')
})

test('T27: a state of one provider is refused at another', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const callback = await browser.authorize('good')
  callback.pathname = '/callback/moved'
  expect((await browser.finish(callback)).get('error')).toBe('invalid_state')
})

test('a state lives for 600 seconds', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const at = async (ageMs: number): Promise<string | null> => {
    const claims = {
      alg: 'EdDSA',
      issuer: baseUrl,
      audience: `${baseUrl}/callback/good`,
      flow: 'connect',
      provider: 'good',
      subject: 'alex',
      owner: { kind: 'user', id: 'alex' },
      binding: browser.binding,
    } as const
    const entropy = crypto.getRandomValues(new Uint8Array(32))
    const { token } = lk.state.issue(keys, claims, { now: Date.now() - ageMs, entropy })
    const url = new URL('/callback/good', baseUrl)
    url.search = new URLSearchParams({ state: token, code: 'none', iss: inject('issuer') }).toString()
    return (await browser.finish(url)).get('error')
  }
  expect(await at(602_000)).toBe('expired_state')
  expect(await at(595_000)).toBe('exchange_failed')
  expect(await at(-90_000)).toBe('invalid_state')
})

test('form_post: the same parameters in a form, and nothing else', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const callback = await browser.authorize('posted')
  const post = (headers: HeadersInit, body: string) =>
    browser.ask('/callback/posted', { method: 'POST', headers, body })
  expect((await post(json, '{}')).status).toBe(415)
  expect((await post(form, `state=${'x'.repeat(64_000)}`)).status).toBe(413)
  const crossSite = { ...form, origin: inject('issuer'), 'sec-fetch-site': 'cross-site' }
  const response = await post(crossSite, callback.search.slice(1))
  expect(response.headers.get('location')).toBe(`${baseUrl}/?connected=posted`)
})

test('T12 form_post: another site’s form carries no session; the browser comes again with it', async () => {
  const admin = { subject: 'alex', org: 'acme', role: 'admin' }
  const browser = await Browser.of(admin)
  const become = async (fields: { subject: string; org?: string; role?: string }): Promise<void> => {
    const other = await Browser.of(fields)
    browser.setCookie('latchkey-session', other.cookie('latchkey-session'))
  }
  // What a browser sends along: of the two cookies only the binding is for other sites too.
  const posted = async (callback: URL, body = callback.search.slice(1)): Promise<Response> => {
    const crossSite = new Browser()
    crossSite.setCookie('latchkey-binding', browser.cookie('latchkey-binding'))
    const headers = { ...form, origin: inject('issuer'), 'sec-fetch-site': 'cross-site' }
    return await crossSite.ask('/callback/posted', { method: 'POST', headers, body })
  }
  for (const owner of ['user', 'org']) {
    await become(admin)
    const callback = await browser.authorize('posted', { owner })
    const before = await exchanged()
    const response = await posted(callback, `${callback.search.slice(1)}&user=canary`)
    const again = new URL(response.headers.get('location') ?? '')
    expect([response.status, again.pathname, again.origin]).toEqual([303, '/callback/posted', baseUrl])
    expect(again.href).not.toContain('canary')

    // Nobody, somebody else and, for the organisation, who lost the role meanwhile: refused, and nothing is used up.
    const nobody = new Browser()
    nobody.setCookie('latchkey-binding', browser.cookie('latchkey-binding'))
    expect((await nobody.finish(again)).get('error')).toBe('other_account')
    await become({ subject: 'sam', org: 'acme', role: 'admin' })
    expect((await browser.finish(again)).get('error')).toBe('other_account')
    if (owner === 'org') {
      for (const now of [{ ...admin, role: 'member' }, { subject: 'alex' }, { ...admin, org: 'zeta' }]) {
        await become(now)
        expect((await browser.finish(again)).get('error')).toBe('not_allowed')
      }
    }
    expect(await exchanged()).toEqual(before)
    await become(admin)
    expect((await browser.finish(again)).get('connected')).toBe('posted')
  }
  // What no flow of this browser began is not sent on, and two parameters of one name stay two.
  await become(admin)
  const callback = await browser.authorize('posted')
  const forged = new URLSearchParams(callback.search)
  forged.set('state', `${forged.get('state')}x`)
  const refused = await posted(callback, forged.toString())
  expect(refused.headers.get('location')).toBe(`${baseUrl}/?error=invalid_state&provider=posted`)
  const twice = await posted(callback, `${callback.search.slice(1)}&code=second`)
  expect((await browser.finish(new URL(twice.headers.get('location') ?? ''))).get('error')).not.toBeNull()
  expect((await browser.finish(callback)).get('connected')).toBe('posted')
})

test('the log has one line per callback, with nothing that could be used', async () => {
  const log = vi.spyOn(console, 'log')
  const browser = await Browser.of({ subject: 'alex' })
  const callback = await browser.authorize('good')
  await browser.finish(callback)
  const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
  const state = callback.searchParams.get('state') ?? ''
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(state)))
  expect(lines).toEqual([
    {
      event: 'callback',
      provider: 'good',
      reason: 'connected',
      has_code: true,
      has_state: true,
      state: digest.toHex().slice(0, 8),
    },
  ])
})
