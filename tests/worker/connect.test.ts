import { expect, inject, test } from 'vitest'
import worker from '../../wrangler/src/worker.ts'
import { bindings, Browser, errorOf, assertion, keys, lk, request } from './harness.ts'
import { baseUrl, clientId } from './variables.ts'

const started = async (browser: Browser, query: string, provider = 'good'): Promise<URL> => {
  const response = await browser.ask(`/connect/${provider}?${query}`)
  expect(response.status).toBe(302)
  return new URL(response.headers.get('location') ?? '')
}

test('sends the browser with a signed, bound state and PKCE', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const url = await started(browser, 'owner=user&return_to=/%3Fa=1')
  expect(`${url.origin}${url.pathname}`).toBe(`${inject('issuer')}/auth`)
  const { state = '', code_challenge, ...others } = Object.fromEntries(url.searchParams)
  expect(others).toEqual({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: `${baseUrl}/callback/good`,
    scope: 'openid profile',
    code_challenge_method: 'S256',
  })
  const verified = lk.state.verify(lk.keys.publicJwks(keys), state, {
    now: Date.now(),
    issuer: baseUrl,
    audience: `${baseUrl}/callback/good`,
    flow: 'connect',
    provider: 'good',
    subject: 'alex',
    binding: browser.binding,
  })
  expect(verified.owner).toEqual({ kind: 'user', id: 'alex' })
  expect(verified.returnTo).toBe('/?a=1')
  const verifier = new TextEncoder().encode(lk.state.codeVerifier(keys, verified))
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', verifier))
  expect(code_challenge).toBe(digest.toBase64({ alphabet: 'base64url', omitPadding: true }))
})

test('asks for a form where the provider is configured so', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  expect((await started(browser, '', 'posted')).searchParams.get('response_mode')).toBe('form_post')
})

test('one binding cookie for all tabs', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  const first = browser.cookie('latchkey-binding')
  expect(first).toMatch(/^[\w-]{43}$/)
  await started(browser, '')
  await browser.ask('/')
  expect(browser.cookie('latchkey-binding')).toBe(first)
  browser.setCookie('latchkey-binding', 'broken')
  await started(browser, '')
  expect(browser.cookie('latchkey-binding')).toMatch(/^[\w-]{43}$/)
})

test.each([
  '//evil.example',
  '/\\evil.example',
  'https://evil.example/',
  'javascript:alert(1)',
  '/a\tb',
  '/..//evil.example',
])('T11: the return path %j falls away', async (path) => {
  const browser = await Browser.of({ subject: 'alex' })
  const url = await started(browser, new URLSearchParams({ return_to: path }).toString())
  expect(lk.state.peek(url.searchParams.get('state') ?? '').returnTo ?? '/').toBe('/')
})

test('members are sent back, and an owner is either a user or an organisation', async () => {
  const member = await Browser.of({ subject: 'alex', org: 'acme', role: 'member' })
  expect((await started(member, 'owner=org&return_to=/x')).href).toBe(
    `${baseUrl}/x?error=not_allowed&provider=good`,
  )
  expect((await started(member, 'owner=user')).origin).toBe(inject('issuer'))
  const admin = await Browser.of({ subject: 'alex', org: 'acme', role: 'admin' })
  const state = (await started(admin, 'owner=org')).searchParams.get('state') ?? ''
  expect(lk.state.peek(state).owner).toEqual({ kind: 'org', id: 'acme' })
  expect(await errorOf(await admin.ask('/connect/good?owner=team'))).toBe('request_invalid')
  expect(await errorOf(await admin.ask('/connect/good?owner=org&owner=user'))).toBe('request_invalid')
})

test('whoever is not signed in is asked to, or refused where nobody can', async () => {
  const response = await new Browser().ask('/connect/good')
  expect(response.headers.get('location')).toBe(`${baseUrl}/dev/sign-in`)
})

test('the switch stops connecting and nothing else', async () => {
  const env = { ...bindings, ENABLE_CONNECT: 'false' }
  const headers = { authorization: assertion({ subject: 'alex', kind: 'human' }) }
  const ask = (path: string, init: RequestInit = {}) =>
    worker.fetch(request(path, { ...init, headers }) as Parameters<typeof worker.fetch>[0], env)
  expect((await ask('/connect/good?return_to=/')).headers.get('location')).toMatch(
    /\?error=\w+&provider=good$/,
  )
  expect((await ask('/api/connections')).status).toBe(200)
  expect(await (await ask('/api/connections/good', { method: 'DELETE' })).json()).toEqual({
    revoked: false,
    deleted: true,
  })
})
