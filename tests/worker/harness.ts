import { env, exports } from 'cloudflare:workers'
import { loadSync, type Principal } from 'latchkey'
import type { Env } from '../../wrangler/src/env.ts'
import { baseUrl, keys as keyText, principalKeys as principalKeyText } from './variables.ts'

export const lk = loadSync()
export const keys = lk.keys.parse(keyText)
export const principalKeys = lk.keys.parse(principalKeyText)
export const bindings = env as unknown as Env & Readonly<Record<string, string>>

export const host = '127.0.0.1:8787'
export const form = { 'content-type': 'application/x-www-form-urlencoded' }
export const json = { 'content-type': 'application/json' }
export const ownOrigin = { origin: baseUrl, 'sec-fetch-site': 'same-origin' }

export const assertion = (principal: Principal, now = Date.now()): string =>
  `Bearer ${lk.principal.issue(principalKeys, principal, { now })}`

export const bearer = (subject: string): { authorization: string } => ({
  authorization: assertion({ subject, kind: 'service' }),
})

/** A request as it arrives over HTTP: with a Host, and without redirects being followed. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return await exports.default.fetch(request(path, init))
}

export function request(path: string, init: RequestInit = {}): Request {
  const headers = new Headers(init.headers)
  if (!headers.has('host')) headers.set('host', host)
  return new Request(`${baseUrl}${path}`, { ...init, headers, redirect: 'manual' })
}

export const errorOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { error: string }).error

/** A browser profile: it keeps cookies per origin and follows nothing by itself. */
export class Browser {
  readonly #jars = new Map<string, Map<string, string>>()

  /** Signed in as that person at the Worker's local page. */
  static async of(fields: { subject: string; org?: string; role?: string }): Promise<Browser> {
    const browser = new Browser()
    const body = new URLSearchParams({ ...fields }).toString()
    const response = await browser.ask('/dev/sign-in', {
      method: 'POST',
      headers: { ...form, ...ownOrigin },
      body,
    })
    if (response.status !== 303) throw new Error(`sign-in answered ${response.status}`)
    return browser
  }

  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    return await this.#send(baseUrl, (headers) => ask(path, { ...init, headers }), init)
  }

  cookie(name: string): string {
    return this.#jars.get(baseUrl)?.get(name) ?? ''
  }

  setCookie(name: string, value: string): void {
    this.#jar(baseUrl).set(name, value)
  }

  get binding(): Uint8Array {
    return Uint8Array.fromBase64(this.cookie('latchkey-binding'), { alphabet: 'base64url' })
  }

  /** Starts a flow and goes through the authorization server up to its answer: the callback with its parameters. */
  async authorize(provider: string, options: { owner?: string; returnTo?: string } = {}): Promise<URL> {
    const query = new URLSearchParams({ owner: options.owner ?? 'user', return_to: options.returnTo ?? '/' })
    const started = await this.ask(`/connect/${provider}?${query}`)
    return await this.answer(new URL(started.headers.get('location') ?? ''))
  }

  /** The authorization server's answer to an authorization request: the callback address. */
  async answer(request: URL): Promise<URL> {
    let at = new URL(request)
    // The parameters of a form_post answer stand in a form; here they are wanted in a query.
    at.searchParams.delete('response_mode')
    for (let steps = 0; steps < 12; steps += 1) {
      const page = await this.#visit(at)
      let next = page.headers.get('location')
      if (next === null) {
        const action =
          /action="(\/interaction\/[\w-]+\/(?:login|confirm))"/.exec(await page.text())?.[1] ?? ''
        const body = new URLSearchParams({ login: 'alex', password: 'latchkey' }).toString()
        next = (await this.#visit(new URL(action, at), { method: 'POST', headers: form, body })).headers.get(
          'location',
        )
      }
      at = new URL(next ?? '', at)
      if (at.origin === baseUrl) return at
    }
    throw new Error('the authorization server did not answer')
  }

  /** Where a callback leads: the outcome in the query. */
  async finish(callback: URL): Promise<URLSearchParams> {
    const response = await this.ask(`${callback.pathname}${callback.search}`)
    return new URL(response.headers.get('location') ?? '').searchParams
  }

  async connect(provider: string, options: { owner?: string } = {}): Promise<URLSearchParams> {
    return await this.finish(await this.authorize(provider, options))
  }

  async #visit(url: URL, init: RequestInit = {}): Promise<Response> {
    return await this.#send(
      url.origin,
      (headers) => fetch(url, { ...init, headers, redirect: 'manual' }),
      init,
    )
  }

  async #send(
    origin: string,
    send: (headers: Headers) => Promise<Response>,
    init: RequestInit,
  ): Promise<Response> {
    const jar = this.#jar(origin)
    const headers = new Headers(init.headers)
    if (jar.size > 0) headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '))
    const response = await send(headers)
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const at = pair.indexOf('=')
      jar.set(pair.slice(0, at), pair.slice(at + 1))
    }
    return response
  }

  #jar(origin: string): Map<string, string> {
    const jar = this.#jars.get(origin) ?? new Map<string, string>()
    this.#jars.set(origin, jar)
    return jar
  }
}
