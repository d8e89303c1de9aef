/** The pages: files of `public/`, filled by the same code that keeps them alive in the browser. */
import type { Principal } from 'latchkey'
import { linkEndView, linkView } from '../public/link-view.js'
import { retentionView } from '../public/retention-view.js'
import { connectionsPage, errorPage, signInPage } from '../public/view.js'
import type { App } from './app.ts'
import { keepBinding } from './binding.ts'
import type { LinkStatus } from './connect-link.ts'
import { overview, why } from './connections.ts'
import type { Env } from './env.ts'
import { pagePolicy } from './headers.ts'
import type { RetentionReport } from './ledger.ts'
import { codeOf, type Code } from './refusal.ts'
import { describeSession } from './session.ts'

export async function homePage(
  app: App,
  principal: Principal | undefined,
  request: Request,
): Promise<Response> {
  const text = await readPage(app.env, 'index.html')
  const { searchParams: query } = new URL(request.url)
  const [{ connections, whys }, asked] = principal
    ? await Promise.all([overview(app, principal), askedActing(app, principal, query)])
    : [{ connections: [], whys: [] }, []]
  const page = connectionsPage(text, {
    session: principal ? describeSession(app, principal) : null,
    connections,
    whys,
    asked,
    query,
    now: Date.now(),
    dev: app.config.dev,
  })
  return htmlResponse(page, {
    'content-security-policy': pagePolicy(app, { verifier: true }),
    'set-cookie': keepBinding(app, request).setCookie,
  })
}

/** Who acts at the repository that the form asks about; why that is not known is an answer too. */
async function askedActing(app: App, principal: Principal, query: URLSearchParams) {
  const [provider, repo] = [query.get('why'), query.get('repo')]
  if (!provider || !repo) return []
  try {
    const { acting } = await why(app, principal, provider, undefined, repo)
    return [{ provider, repo, acting }]
  } catch (error) {
    return [{ provider, repo, code: codeOf(error) }]
  }
}

export async function signIn(app: App, facts: { returnTo?: string; problem?: boolean }): Promise<Response> {
  const page = signInPage(await readPage(app.env, 'sign-in.html'), facts)
  const policy = pagePolicy(app, { verifier: false })
  return htmlResponse(page, { 'content-security-policy': policy }, facts.problem ? 400 : 200)
}

/** What a connect link asks; 404 for none, 410 for one that is over. */
export async function linkPage(
  app: App,
  { token, link }: { token: string; link: LinkStatus | null },
): Promise<Response> {
  const title = app.config.providers.find(({ name }) => name === link?.provider)?.title ?? null
  const page = linkView(await readPage(app.env, 'link.html'), {
    token,
    link,
    title,
    place: new URL(app.config.baseUrl).host,
    enabled: app.config.connectEnabled,
    now: Date.now(),
  })
  const status = link === null || title === null ? 404 : link.state === 'pending' ? 200 : 410
  return htmlResponse(page, { 'content-security-policy': pagePolicy(app, { verifier: false }) }, status)
}

/** Where a link's flow ends, with its outcome in the query. */
export async function linkEndPage(app: App, query: URLSearchParams): Promise<Response> {
  const providers = app.config.providers.map(({ name, title }) => ({ name, title }))
  const page = linkEndView(await readPage(app.env, 'link.html'), { query, providers })
  return htmlResponse(page, { 'content-security-policy': pagePolicy(app, { verifier: false }) })
}

export async function retentionPage(app: App, report: RetentionReport): Promise<Response> {
  const page = retentionView(await readPage(app.env, 'retention.html'), report)
  return htmlResponse(page, { 'content-security-policy': pagePolicy(app, { verifier: false }) })
}

/** Needs no configuration, so that it can say that there is none. */
export async function problemPage(env: Env, code: Code, status: number): Promise<Response> {
  const page = errorPage(await readPage(env, 'error.html'), code)
  const policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  return htmlResponse(page, { 'content-security-policy': policy }, status)
}

/** Scripts, styles, the icon and the verifier; the pages themselves are only served filled. */
export async function asset(env: Env, request: Request, url: URL): Promise<Response | undefined> {
  if (!/^\/(?:wasm\/)?[a-z-]+\.(?:js|css|svg|wasm)$/.test(url.pathname)) return undefined
  const response = await env.ASSETS.fetch(
    new Request(new URL(url.pathname, url), { method: request.method, headers: validators(request) }),
  )
  if (response.status === 404) return undefined
  const headers = new Headers(response.headers)
  headers.set('cache-control', 'no-cache')
  return new Response(response.body, { status: response.status, headers })
}

function validators(request: Request): Headers {
  const headers = new Headers()
  const etag = request.headers.get('if-none-match')
  if (etag !== null) headers.set('if-none-match', etag)
  return headers
}

export async function readPage(env: Env, name: string): Promise<string> {
  const response = await env.ASSETS.fetch(`http://assets.invalid/${name}`)
  if (!response.ok) throw new Error('page missing')
  return await response.text()
}

export const htmlResponse = (page: string, headers: Record<string, string>, status = 200): Response =>
  new Response(page, { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers } })
