import { WorkerEntrypoint } from 'cloudflare:workers'
import type { Cause, Principal } from 'latchkey'
import { openApp, providerNamed, type App } from './app.ts'
import { readForm } from './body.ts'
import { callback } from './callback.ts'
import { connect, type ConnectRequest } from './connect.ts'
import {
  disconnect,
  eraseUser,
  giveToken,
  listConnections,
  reportRejected,
  rotateToken,
  why,
  type ConnectionItem,
  type Ended,
  type ErasureReceipt,
  type GenerationOptions,
  type OwnerKind,
  type TokenGrant,
  type TokenOptions,
} from './connections.ts'
import type { Env } from './env.ts'
import { logFailure } from './failure.ts'
import { secured } from './headers.ts'
import { removeMember, type DepartureReceipt } from './members.ts'
import { asset, problemPage } from './pages.ts'
import { causeOf, codeOf, Refusal, type Code } from './refusal.ts'
import { route } from './routes.ts'
import type { Why } from './whose.ts'

export { AccountClaim } from './claim.ts'
export { Counters } from './counters.ts'
export { Vault } from './vault.ts'

export default {
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url)
    const file = await asset(env, request, url)
    if (file) return secured(file)
    return await respond(env, request, (app) => route(app, request, url))
  },
} satisfies ExportedHandler<Env>

/** What a verb came to; a refusal is data, so that its code survives the way. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  /** `cause`: what ended the connection, where one has ended. */
  | { readonly ok: false; readonly code: Code; readonly cause?: Cause }

/** The same verbs for a service binding. The caller is trusted to say who is calling. */
export class Latchkey extends WorkerEntrypoint<Env> {
  connections(principal: Principal): Promise<Answer<ConnectionItem[]>> {
    return this.#answer((app) => listConnections(app, principal))
  }

  token(principal: Principal, provider: string, options: TokenOptions = {}): Promise<Answer<TokenGrant>> {
    return this.#answer((app) => giveToken(app, principal, provider, options))
  }

  /** Another token than the named generation's; a stale generation gets the current token and changes nothing. */
  rotate(principal: Principal, provider: string, options: GenerationOptions): Promise<Answer<TokenGrant>> {
    return this.#answer((app) => rotateToken(app, principal, provider, options))
  }

  /** As `rotate`: a resource server has refused this generation's token. */
  reportRejected(
    principal: Principal,
    provider: string,
    options: GenerationOptions,
  ): Promise<Answer<TokenGrant>> {
    return this.#answer((app) => reportRejected(app, principal, provider, options))
  }

  disconnect(principal: Principal, provider: string, owner?: OwnerKind): Promise<Answer<Ended>> {
    return this.#answer((app) => disconnect(app, principal, provider, owner))
  }

  /** Ends everything that is kept for a person; a human may end their own account, a service anyone's. */
  eraseUser(principal: Principal, id: string): Promise<Answer<ErasureReceipt>> {
    return this.#answer((app) => eraseUser(app, principal, id))
  }

  /** Whose connection a call would use now, and why. */
  why(principal: Principal, provider: string, owner?: OwnerKind): Promise<Answer<Why>> {
    return this.#answer((app) => why(app, principal, provider, owner))
  }

  /** Ends what somebody who left may still reach of an organisation; for services only. */
  removeMember(principal: Principal, org: string, user: string): Promise<Answer<DepartureReceipt>> {
    return this.#answer((app) => removeMember(app, principal, org, user))
  }

  /** For the browser whose `request` this is: the redirect to the authorization server, with the binding cookie. */
  startConnect(principal: Principal, wanted: ConnectRequest, request: Request): Promise<Response> {
    return respond(this.env, request, async (app) => connect(app, principal, wanted, request))
  }

  /** The authorization response that the browser brought, for whoever is signed in there. */
  finishConnect(principal: Principal | undefined, providerName: string, request: Request): Promise<Response> {
    return respond(this.env, request, async (app) => {
      const params = request.method === 'POST' ? await readForm(request) : new URL(request.url).searchParams
      return await callback(app, principal, providerNamed(app, providerName), params, request)
    })
  }

  async #answer<T>(verb: (app: App) => Promise<T>): Promise<Answer<T>> {
    try {
      return { ok: true, value: await verb(openApp(this.env)) }
    } catch (error) {
      return { ok: false, code: told(error), ...causeOf(error) }
    }
  }
}

async function respond(
  env: Env,
  request: Request,
  answer: (app: App) => Promise<Response>,
): Promise<Response> {
  let baseUrl: string | undefined
  try {
    const app = openApp(env)
    baseUrl = app.config.baseUrl
    return secured(await answer(app), baseUrl)
  } catch (error) {
    return secured(await refused(env, request, error), baseUrl)
  }
}

async function refused(env: Env, request: Request, error: unknown): Promise<Response> {
  const code = told(error)
  const { status, headers } = error instanceof Refusal ? error : new Refusal(codeOf(error))
  const wantsPage = request.headers.get('accept')?.includes('text/html') ?? false
  const response = wantsPage
    ? await problemPage(env, code, status)
    : Response.json({ error: code, ...causeOf(error) }, { status })
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  return response
}

/** What is said of a failure: a code. Storage is ours; outside it is only that we cannot answer now. */
function told(error: unknown): Code {
  const code = codeOf(error)
  if (code !== 'store_unavailable') return code
  logFailure(error)
  return 'temporarily_unavailable'
}
