import { inject, expect, test } from 'vitest'
import { ask, Browser, errorOf, form, json, lk, ownOrigin } from './harness.ts'

const session = async (browser: Browser, headers: Record<string, string>): Promise<number> =>
  (await browser.ask('/api/session', { headers })).status

test('T35: a session counts on this machine alone, however it is spelled', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  for (const host of ['LOCALHOST', 'localhost:8787', '[::1]:80', '127.9.9.9', '[::ffff:127.0.0.1]:8787'])
    expect([host, await session(browser, { host })]).toEqual([host, 200])
  for (const host of [
    '127.evil.com',
    '127.0.0.256',
    '[::ffff:127.999.0.1]',
    '::ffff:127.999.0.1',
    'localhost.evil',
    '127.0.0.1.evil.com',
    'evil.example',
    '0.0.0.0',
  ]) {
    expect([host, await session(browser, { host })]).toEqual([host, 401])
    const page = await ask('/dev/sign-in', { headers: { host } })
    expect([host, page.status, await errorOf(page)]).toEqual([host, 403, 'host_refused'])
  }
})

test('T37: a proxy in front makes nobody local, for reading either', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  for (const name of ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']) {
    expect([name, await session(browser, { [name]: '' })]).toEqual([name, 401])
    for (const method of ['GET', 'POST']) {
      const init = { method, headers: { ...form, ...ownOrigin, [name]: '127.0.0.1' } }
      const response = await ask('/dev/sign-in', {
        ...init,
        ...(method === 'POST' && { body: 'subject=sam' }),
      })
      expect([name, response.status, await errorOf(response)]).toEqual([name, 403, 'proxied_refused'])
    }
  }
})

test('T36: on every route that changes something, first Host, then the own page, then the media type', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const routes = [
    ['/api/connect-links', 'POST', json],
    ['/api/users/alex', 'DELETE', json],
    ['/link/x', 'POST', form],
  ] as const
  for (const [path, method, type] of routes) {
    const refused = async (headers: Record<string, string>): Promise<string> =>
      await errorOf(await browser.ask(path, { method, headers, ...(method === 'POST' && { body: '' }) }))
    const bad = {
      host: 'evil.example',
      origin: 'http://127.0.0.1:8788',
      'content-type': 'text/plain; application/json',
    }
    expect(await refused(bad)).toBe('host_refused')
    expect(await refused({ ...bad, host: 'localhost:8787' })).toBe('origin_refused')
    expect(await refused({ ...bad, ...ownOrigin, host: 'localhost:8787' })).toBe('media_type_refused')
    expect(await refused({ ...type, ...ownOrigin, origin: 'http://127.0.0.1:8788' })).toBe('origin_refused')
  }
})

test('T72: a secret goes by https to one origin, at every hop, or not at all', async () => {
  const { outbound } = lk.guard
  const from = 'https://as.example/token'
  for (let hop = 1; hop <= 5; hop += 1) {
    expect(outbound('https://as.example/moved', { dev: false, from, hop })).toBe(true)
    for (const to of [
      'http://as.example/token',
      'https://other.example/token',
      'https://as.example:8443/token',
    ])
      for (const dev of [false, true]) expect([to, outbound(to, { dev, from, hop })]).toEqual([to, false])
  }
  expect(outbound('https://as.example/moved', { dev: false, from, hop: 6 })).toBe(false)
  expect(outbound('http://as.example/token', { dev: true })).toBe(false)

  // A token endpoint that moves to another origin, or asks for a GET, does not get the code.
  const exchanged = async (): Promise<number> =>
    ((await (await fetch(`${inject('tokenServer')}/exchanged`)).json()) as unknown[]).length
  const before = await exchanged()
  const browser = await Browser.of({ subject: 'moved-away' })
  for (const provider of ['elsewhere', 'see-other', 'loop'])
    expect([provider, (await browser.connect(provider)).get('error')]).toEqual([provider, 'exchange_failed'])
  expect(await exchanged()).toBe(before)
})
