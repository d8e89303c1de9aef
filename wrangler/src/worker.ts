import { WorkerEntrypoint } from 'cloudflare:workers'
import type { DisconnectResult, Principal } from 'latchkey'
import { openApp, providerNamed, type App } from './app.ts'
import { readForm } from './body.ts'
import { callback } from './callback.ts'
import { connect, type ConnectRequest } from './connect.ts'
import { disconnect, giveToken, listConnections, type ConnectionItem, type OwnerKind, type TokenGrant, type TokenOptions } from './connections.ts'
import type { Env } from './env.ts'
import { secured } from './headers.ts'
import { asset, problemPage } from './pages.ts'
import { codeOf, Refusal, type Code } from './refusal.ts'
import { route } from './routes.ts'

export { AccountClaim } from './claim.ts'
export { Vault } from './vault.ts'

export default {
  async fetch(request, env): Promise<Response> {
    let baseUrl: string | undefined
    try {
      const app = openApp(env)
      baseUrl = app.config.baseUrl
      return secured((await asset(env, request)) ?? (await route(app, request)), baseUrl)
    } catch (error) {
      return secured(await refused(env, request, error), baseUrl)
    }
  },
} satisfies ExportedHandler<Env>

/**
 * The same verbs for a service binding. The caller is trusted to say who is calling; a refusal is thrown as an error
 * whose message is the code.
 */
export class Latchkey extends WorkerEntrypoint<Env> {
  get #app(): App {
    return openApp(this.env)
  }

  connections(principal: Principal): Promise<ConnectionItem[]> {
    return listConnections(this.#app, principal)
  }

  token(principal: Principal, provider: string, options: TokenOptions = {}): Promise<TokenGrant> {
    return giveToken(this.#app, principal, provider, options)
  }

  disconnect(principal: Principal, provider: string, owner?: OwnerKind): Promise<DisconnectResult> {
    return disconnect(this.#app, principal, provider, owner)
  }

  /** For the browser whose `request` this is: the redirect to the authorization server, with the binding cookie. */
  startConnect(principal: Principal, wanted: ConnectRequest, request: Request): Response {
    return secured(connect(this.#app, principal, wanted, request), this.#app.config.baseUrl)
  }

  /** The authorization response that the browser brought, for whoever is signed in there. */
  async finishConnect(principal: Principal | undefined, providerName: string, request: Request): Promise<Response> {
    const app = this.#app
    const params = request.method === 'POST' ? await readForm(request) : new URL(request.url).searchParams
    const provider = providerNamed(app, providerName)
    return secured(await callback(app, principal, provider, params, request), app.config.baseUrl)
  }
}

async function refused(env: Env, request: Request, error: unknown): Promise<Response> {
  const refusal = error instanceof Refusal ? error : new Refusal(codeOf(error))
  if (refusal.status >= 500 && refusal.code !== 'misconfigured') logFailure(error)
  const code = outside(refusal.code)
  const wantsPage = request.headers.get('accept')?.includes('text/html') ?? false
  const response = wantsPage
    ? await problemPage(env, code, refusal.status)
    : Response.json({ error: code }, { status: refusal.status })
  for (const [name, value] of Object.entries(refusal.headers)) response.headers.set(name, value)
  return response
}

/** Storage is ours; outside it is only that we cannot answer now. */
const outside = (code: Code): Code => (code === 'store_unavailable' ? 'temporarily_unavailable' : code)

/** Kind and place of a failure; its message could quote what was asked. */
function logFailure(error: unknown): void {
  const place = error instanceof Error ? error.stack?.split('\n').find((line) => line.includes(' at '))?.trim() : ''
  console.error(JSON.stringify({ event: 'failure', kind: error instanceof Error ? error.name : typeof error, place }))
}
