import { expect, test } from 'vitest'
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
  lk,
  keys,
  ownOrigin,
  request,
} from './harness.ts'
import { baseUrl } from './variables.ts'

const routes: readonly (readonly [string, readonly string[]])[] = [
  ['/', ['GET', 'HEAD']],
  ['/healthz', ['GET', 'HEAD']],
  ['/.well-known/jwks.json', ['GET', 'HEAD']],
  ['/api/session', ['GET', 'HEAD']],
  ['/api/connections', ['GET', 'HEAD']],
  ['/api/connections/good', ['DELETE']],
  ['/api/connections/good/token', ['POST']],
  ['/api/connections/good/state', ['GET', 'HEAD']],
  ['/connect/good', ['GET']],
  ['/callback/good', ['GET', 'POST']],
  ['/disconnect/good', ['POST']],
  ['/dev/sign-in', ['GET', 'POST']],
  ['/dev/sign-out', ['POST']],
  ['/api/sessions/s-1', ['GET', 'HEAD', 'DELETE']],
  ['/api/sessions/s-1/messages', ['POST']],
  ['/api/sessions/s-1/next', ['POST']],
  ['/api/sessions/s-1/messages/m-1/settle', ['POST']],
  ['/api/sessions/s-1/capabilities', ['POST', 'DELETE']],
  ['/api/sessions/s-1/credential', ['POST']],
  ['/api/connect-links', ['POST']],
  ['/api/connect-links/x', ['GET', 'HEAD']],
  ['/link', ['GET', 'HEAD']],
  ['/link/x', ['GET', 'HEAD', 'POST']],
  ['/api/orgs/acme/members/ada', ['PUT', 'DELETE']],
  ['/api/retention', ['GET', 'HEAD']],
  ['/retention', ['GET', 'HEAD']],
]

const expectSecured = (response: Response): void => {
  const { headers } = response
  expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'/)
  expect(headers.get('content-security-policy')).toMatch(/frame-ancestors 'none'/)
  expect(headers.get('content-security-policy')).not.toMatch(/unsafe-inline|'unsafe-eval'/)
  expect(headers.get('referrer-policy')).toBe('no-referrer')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
  expect(headers.get('cache-control')).toMatch(/^no-(?:store|cache)$/)
}

test.each(routes)('%s answers %j and says so to every other method', async (path, methods) => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
    const response = await ask(path, { method, headers: { accept: 'application/json' } })
    expectSecured(response)
    if (methods.includes(method)) {
      expect(response.status, `${method} ${path}`).not.toBe(405)
      continue
    }
    expect(response.status, `${method} ${path}`).toBe(405)
    expect(response.headers.get('allow')).toBe(methods.join(', '))
    if (method !== 'HEAD') expect(await errorOf(response)).toBe('method_not_allowed')
  }
})

test.each([
  '/nothing',
  '//api/session',
  '/api/session/',
  '/API/session',
  '/api/%73ession',
  '/api/session;x=1',
  '/connect/',
  '/connect/unknown',
  '/connect/%67ood',
  '/connect/GOOD',
  '/connect/good/',
  '/connect/constructor',
  '/callback/unknown?state=x',
  '/api/connections/unknown/state',
  '/index.html',
  '/sign-in.html',
  '/error.html',
  '/wrangler.jsonc',
  '/.dev.vars',
  '/%2e%2e/package.json',
  '/api/sessions/',
  '/api/sessions/../messages',
  '/api/sessions/s-1/',
  '/api/sessions//messages',
  '/api/sessions/s-1/messages/m-1',
  '/api/sessions/a/b/messages',
])('T24: %s is nothing', async (path) => {
  const response = await ask(path, { headers: bearer('alex') })
  expect(response.status).toBe(404)
  expect(['not_found', 'provider_unknown']).toContain(await errorOf(response))
  expectSecured(response)
})

test('an error is a page for a person and JSON for a program', async () => {
  const page = await ask('/nothing', { headers: { accept: 'text/html,*/*' } })
  expect(page.status).toBe(404)
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expectSecured(page)
  expect((await ask('/nothing')).headers.get('content-type')).toBe('application/json')
})

test('healthz and the public keys', async () => {
  expect(await (await ask('/healthz')).json()).toEqual({ ok: true, version: '0.1.0', abi: lk.abi })
  expect(await (await ask('/.well-known/jwks.json')).json()).toEqual(lk.keys.publicJwks(keys))
})

test('files are served with the headers; only the page that verifies may compile', async () => {
  for (const path of ['/style.css', '/app.js', '/theme.js', '/favicon.svg']) {
    const response = await ask(path)
    expect(response.status, path).toBe(200)
    expectSecured(response)
  }
  const policy = async (path: string) => (await ask(path)).headers.get('content-security-policy') ?? ''
  expect(await policy('/')).toContain("'wasm-unsafe-eval'")
  expect(await policy('/dev/sign-in')).not.toContain('wasm-unsafe-eval')
  expect(await policy('/app.js')).not.toContain('wasm-unsafe-eval')
})

test('T07, T23: what an address says is never markup and never a place to go', async () => {
  const browser = await Browser.of({ subject: '<img src=x>', org: '"><one>', role: 'owner' })
  const page = await (await browser.ask('/?error=<two>&provider=<three>&connected=<four>')).text()
  for (const text of ['<img src=x>', '<one>', '<two>', '<three>', '<four>']) expect(page).not.toContain(text)
})

test('T36: a mutating request with a cookie needs proof that it is ours', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const bodies = [
    ['/api/connections/good/token', 'POST', json, '{}'],
    ['/api/connections/good', 'DELETE', json, undefined],
    ['/disconnect/good', 'POST', form, 'owner=user'],
    ['/dev/sign-in', 'POST', form, 'subject=sam'],
    ['/dev/sign-out', 'POST', form, ''],
    ['/api/sessions/s-1/messages', 'POST', json, '{}'],
    ['/api/sessions/s-1/next', 'POST', json, '{}'],
    ['/api/sessions/s-1/messages/m-1/settle', 'POST', json, '{"outcome":"completed"}'],
    ['/api/sessions/s-1/capabilities', 'POST', json, '{}'],
    ['/api/sessions/s-1/capabilities', 'DELETE', json, undefined],
    ['/api/sessions/s-1', 'DELETE', json, undefined],
    ['/api/sessions/s-1/credential', 'POST', json, '{}'],
  ] as const
  for (const [path, method, type, body] of bodies) {
    const send = async (headers: Record<string, string>): Promise<string> => {
      const response = await browser.ask(path, { method, headers, ...(body !== undefined && { body }) })
      return await errorOf(response)
    }
    const good = { ...type, ...ownOrigin }
    expect(await send({ ...type }), path).toBe('origin_refused')
    expect(await send({ ...good, origin: 'https://evil.example' }), path).toBe('origin_refused')
    expect(await send({ ...type, origin: 'null' }), path).toBe('origin_refused')
    expect(await send({ ...good, 'sec-fetch-site': 'cross-site' }), path).toBe('origin_refused')
    expect(await send({ ...good, host: 'evil.example' }), path).toBe('host_refused')
    expect(await send({ ...good, 'x-forwarded-host': 'evil.example' }), path).toBe('proxied_refused')
    expect(await send({ ...good, 'content-type': 'text/plain' }), path).toBe('media_type_refused')
  }
  expect((await browser.ask('/api/session')).status).toBe(200)
})

test('who is calling', async () => {
  const session = async (headers: Record<string, string>): Promise<unknown> => {
    const response = await ask('/api/session', { headers })
    const body = (await response.json()) as { subject?: string; error?: string }
    return body.subject ?? `${response.status} ${body.error}`
  }
  const principal = { subject: 'alex', org: 'acme', role: 'owner', kind: 'service' } as const
  const good = assertion(principal)
  expect(await session({ authorization: good })).toBe('alex')
  expect(await session({ authorization: good.replace('Bearer', 'bearer') })).toBe('alex')
  expect(await session({})).toBe('401 principal_missing')
  expect(await session({ authorization: assertion(principal, Date.now() - 400_000) })).toBe(
    '401 principal_expired',
  )
  for (const bad of ['Bearer', 'Bearer x', `Basic ${btoa('a:b')}`, `${good}x`, `${good}, ${good}`])
    expect(await session({ authorization: bad }), bad).toBe('401 principal_invalid')
  // T14: a state is no assertion, although it is signed with keys of ours.
  const claims = { issuer: baseUrl, audience: baseUrl, flow: 'connect', provider: 'good', subject: 'alex' }
  const owner = { kind: 'user', id: 'alex' } as const
  const state = lk.state.issue(keys, { ...claims, owner }, { now: Date.now(), entropy: new Uint8Array(32) })
  expect(await session({ authorization: `Bearer ${state.token}` })).toBe('401 principal_invalid')
})

test('the local session is sealed, local and ends', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const cookie = `latchkey-session=${browser.cookie('latchkey-session')}`
  const status = async (headers: Record<string, string>) => (await ask('/api/session', { headers })).status
  expect(await status({ cookie })).toBe(200)
  expect(await status({ cookie: `${cookie.slice(0, -2)}xx` })).toBe(401)
  expect(await status({ cookie: `${cookie}; ${cookie}` })).toBe(401)
  expect(await status({ cookie, host: 'evil.example' })).toBe(401)
  const out = await browser.ask('/dev/sign-out', {
    method: 'POST',
    headers: { ...form, ...ownOrigin },
    body: '',
  })
  expect(out.status).toBe(303)
  expect(browser.cookie('latchkey-session')).toBe('')
})

test('a choice at the local sign-in that cannot be used is asked for again', async () => {
  for (const subject of ['', ' ', 'a\u0000b', 'x'.repeat(300)]) {
    const body = new URLSearchParams({ subject }).toString()
    const response = await ask('/dev/sign-in', { method: 'POST', headers: { ...form, ...ownOrigin }, body })
    expect(response.status).toBe(400)
    expect(response.headers.has('set-cookie')).toBe(false)
  }
})

test('on https: no local sign-in, cookies with a prefix, transport security', async () => {
  const env = {
    ...bindings,
    LATCHKEY_DEV: '',
    PUBLIC_BASE_URL: 'https://latchkey.example',
    ...httpsProviders(),
  }
  const ask = (path: string, init: RequestInit = {}) =>
    worker.fetch(request(path, init) as Parameters<typeof worker.fetch>[0], env)
  expect((await ask('/dev/sign-in')).status).toBe(404)
  expect((await ask('/dev/sign-out', { method: 'POST' })).status).toBe(404)
  const browser = await Browser.of({ subject: 'alex' })
  const cookie = `latchkey-session=${browser.cookie('latchkey-session')}; __Host-latchkey-session=${browser.cookie('latchkey-session')}`
  expect((await ask('/api/session', { headers: { cookie } })).status).toBe(401)
  const response = await ask('/connect/good', {
    headers: { authorization: assertion({ subject: 'alex', kind: 'human' }) },
  })
  expect(response.headers.get('set-cookie')).toMatch(
    /^__Host-latchkey-binding=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=None; Secure$/,
  )
  expect(response.headers.get('strict-transport-security')).toBe('max-age=31536000')
  expect(new URL(response.headers.get('location') ?? '').searchParams.get('redirect_uri')).toBe(
    'https://latchkey.example/callback/good',
  )
})

function httpsProviders(): Record<string, string> {
  const url = 'https://as.example'
  const provider = { profile: 'generic', clientId: 'id', authorizationUrl: `${url}/a`, tokenUrl: `${url}/t` }
  const providers = { good: provider, posted: { ...provider, responseMode: 'form_post' } }
  return { LATCHKEY_PROVIDERS: JSON.stringify(providers) }
}
