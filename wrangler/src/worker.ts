import { WorkerEntrypoint } from 'cloudflare:workers'
import type { Cause, Principal } from 'latchkey'
import type { RunView } from 'latchkey/runs'
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
  type ConnectionItem,
  type Ended,
  type ErasureReceipt,
  type GenerationOptions,
  type OwnerKind,
  type TokenGrant,
  type TokenOptions,
} from './connections.ts'
import type { Env } from './env.ts'
import { secured } from './headers.ts'
import { asset, problemPage } from './pages.ts'
import { causeOf, codeOf, Refusal, type Code } from './refusal.ts'
import { route } from './routes.ts'
import {
  abortRun,
  activeRun,
  appendEvents,
  beat,
  finishRun,
  followRun,
  listRuns,
  seeRun,
  startRun,
  type EventInput,
  type RunList,
  type RunRequest,
} from './runs.ts'
import type { Beat, Finished, Found, Started, Written } from './thread.ts'

export { AccountClaim } from './claim.ts'
export { Counters } from './counters.ts'
export { Thread } from './thread.ts'
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

  /** The same key is the same run, however often it is asked for. */
  startRun(principal: Principal, wanted: RunRequest): Promise<Answer<Started>> {
    return this.#answer((app) => startRun(app, principal, wanted))
  }

  run(principal: Principal, id: string): Promise<Answer<RunView>> {
    return this.#answer((app) => seeRun(app, principal, id))
  }

  /** The thread's run that may be joined, or what was asked for under `clientKey`. */
  activeRun(
    principal: Principal,
    threadId: string,
    options: { owner?: OwnerKind; clientKey?: string } = {},
  ): Promise<Answer<Found>> {
    return this.#answer((app) => activeRun(app, principal, threadId, options))
  }

  /** Written once for every key; `after`: the number of what is taken for the last event. */
  appendEvents(
    principal: Principal,
    id: string,
    events: readonly EventInput[],
    after?: number,
  ): Promise<Answer<Written>> {
    return this.#answer((app) => appendEvents(app, principal, id, events, after))
  }

  heartbeat(
    principal: Principal,
    id: string,
    sign: Partial<Beat> = {},
  ): Promise<Answer<Awaited<ReturnType<typeof beat>>>> {
    return this.#answer((app) => beat(app, principal, id, { process: false, ...sign }))
  }

  finishRun(
    principal: Principal,
    id: string,
    end: { kind?: string; data?: unknown; device?: string } = {},
  ): Promise<Answer<Finished>> {
    return this.#answer((app) => finishRun(app, principal, id, { kind: 'done', ...end }))
  }

  abortRun(principal: Principal, id: string): Promise<Answer<Finished>> {
    return this.#answer((app) => abortRun(app, principal, id))
  }

  /** The log after that number as Server-Sent Events. */
  followRun(principal: Principal, id: string, after = 0): Promise<Response> {
    const request = new Request('http://latchkey.invalid/')
    return respond(this.env, request, (app) => followRun(app, principal, id, after))
  }

  runs(principal: Principal, options: { status?: string; limit?: number } = {}): Promise<Answer<RunList>> {
    return this.#answer((app) => listRuns(app, principal, options))
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

/** Kind and place of a failure; its message could quote what was asked. */
function logFailure(error: unknown): void {
  const place =
    error instanceof Error
      ? error.stack
          ?.split('\n')
          .find((line) => line.includes(' at '))
          ?.trim()
      : ''
  console.error(
    JSON.stringify({ event: 'failure', kind: error instanceof Error ? error.name : typeof error, place }),
  )
}
