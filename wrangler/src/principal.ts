import type { Principal, RequestFacts, RequestVerdict } from 'latchkey'
import { random, type App } from './app.ts'
import { cookie, readCookie } from './cookies.ts'
import { codeOf, Refusal } from './refusal.ts'

const sessionSeconds = 12 * 3_600
const sessionContext = (app: App): readonly string[] => ['dev-session', 'v1', app.config.baseUrl]
const forwarding = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']

/** Who is calling over HTTP; nobody is `undefined`, a bad assertion is refused. */
export function whoCalls(app: App, request: Request): Principal | undefined {
  const authorization = request.headers.get('authorization')
  if (authorization !== null) return asserted(app, authorization)
  return app.config.dev ? signedIn(app, request) : undefined
}

export function caller(app: App, request: Request): Principal {
  const principal = whoCalls(app, request)
  if (!principal) throw unauthenticated('principal_missing')
  return principal
}

/**
 * As `caller`, for a request that changes something or hands out a token. A browser adds its cookie to what other
 * pages send, so a cookie counts only together with the guard; nobody can make a browser add an assertion.
 */
export function trustedCaller(app: App, request: Request, mediaType: RequestFacts['mediaType']): Principal {
  if (!request.headers.has('authorization')) guard(app, request, mediaType)
  return caller(app, request)
}

/** `open`: for a form that everybody may send, from a page of ours. */
export function guard(
  app: App,
  request: Request,
  mediaType: RequestFacts['mediaType'],
  { open = false }: { open?: boolean } = {},
): void {
  const verdict = app.lk.guard.request(factsOf(app, request, { method: request.method, mediaType, open }))
  if (!verdict.ok) throw new Refusal(verdict.code, { status: verdict.status })
}

function factsOf(
  app: App,
  { headers }: Request,
  route: Pick<RequestFacts, 'method' | 'mediaType' | 'open'>,
): RequestFacts {
  const origin = headers.get('origin')
  const secFetchSite = headers.get('sec-fetch-site')
  const contentType = headers.get('content-type')
  return {
    ...route,
    host: headers.get('host') ?? '',
    ...(origin !== null && { origin }),
    ...(secFetchSite !== null && { secFetchSite }),
    ...(contentType !== null && { contentType }),
    ownOrigin: app.config.baseUrl,
    proxied: forwarding.some((name) => headers.has(name)),
  }
}

/** Whether a request comes from this machine: as one that changes nothing, whatever it does. */
const reachedLocally = (app: App, request: Request): RequestVerdict =>
  app.lk.guard.request(factsOf(app, request, { method: 'GET', mediaType: 'application/json' }))

/** Local development's sign-in exists only on a server that was started for it and asked for as loopback. */
export function localOnly(app: App, request: Request): void {
  if (!app.config.dev) throw new Refusal('not_found')
  const verdict = reachedLocally(app, request)
  if (!verdict.ok) throw new Refusal(verdict.code, { status: verdict.status })
}

export function sessionCookie(app: App, principal: Principal): string {
  const session = { principal, until: Date.now() + sessionSeconds * 1_000 }
  const bytes = new TextEncoder().encode(JSON.stringify(session))
  const text = app.lk.seal.seal(app.config.keys, bytes, sessionContext(app), { entropy: random(32) })
  return cookie(app, 'session', text, { maxAge: sessionSeconds })
}

export const endedSessionCookie = (app: App): string => cookie(app, 'session', '', { maxAge: 0 })

function asserted(app: App, authorization: string): Principal {
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization)?.[1]
  if (token === undefined || !app.config.principalKeys) throw unauthenticated('principal_invalid')
  try {
    return app.lk.principal.verify(app.config.principalKeys, token, { now: Date.now() })
  } catch (error) {
    throw unauthenticated(codeOf(error) === 'principal_expired' ? 'principal_expired' : 'principal_invalid')
  }
}

/** RFC 9110 section 11.6.1: a 401 names the scheme. */
const unauthenticated = (code: 'principal_missing' | 'principal_invalid' | 'principal_expired'): Refusal =>
  new Refusal(code, { headers: { 'www-authenticate': 'Bearer' } })

function signedIn(app: App, request: Request): Principal | undefined {
  const text = readCookie(app, request, 'session')
  if (!text || !reachedLocally(app, request).ok) return undefined
  try {
    const bytes = app.lk.seal.open(app.config.keys, text, sessionContext(app))
    const session = JSON.parse(new TextDecoder().decode(bytes)) as { principal: Principal; until: number }
    return session.until > Date.now() ? session.principal : undefined
  } catch {
    // Another installation's cookie on the same loopback host is no session of ours.
    return undefined
  }
}
