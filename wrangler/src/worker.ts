import { WorkerEntrypoint } from 'cloudflare:workers'
import type { Cause, Principal } from 'latchkey'
import type { RunView } from 'latchkey/runs'
import { openApp, providerNamed, type App } from './app.ts'
import { readForm } from './body.ts'
import { callback } from './callback.ts'
import { mintCapability, type CapabilityGrant, type CapabilityRequest } from './capability.ts'
import { connect, type ConnectRequest } from './connect.ts'
import {
  disconnect,
  giveToken,
  listConnections,
  reportRejected,
  rotateToken,
  why,
  type ActingWhy,
  type ConnectionItem,
  type Ended,
  type GenerationOptions,
  type OwnerKind,
  type TokenGrant,
  type TokenOptions,
} from './connections.ts'
import type { Env } from './env.ts'
import { eraseUser, type ErasureReceipt } from './erase.ts'
import { logFailure } from './failure.ts'
import { git } from './git.ts'
import { gitPath } from './git-routes.ts'
import { secured } from './headers.ts'
import { sweepIndex } from './ledger.ts'
import { createLink, readLink, type CreatedLink, type LinkItem, type LinkRequest } from './links.ts'
import { changeRole, removeMember, type DepartureReceipt, type RoleReceipt } from './members.ts'
import { asset, problemPage } from './pages.ts'
import { causeOf, codeOf, Refusal, type Code } from './refusal.ts'
import { route } from './routes.ts'
import { indexLane } from './run-index.ts'
import type { Acknowledged, Next, SessionState, Settled } from './session-object.ts'
import {
  describeMessages,
  endSession,
  endSessionCapabilities,
  mintSessionCapability,
  nextMessage,
  postMessage,
  redeemCapability,
  sessionCredential,
  settleMessage,
  type GitLogin,
  type Over,
  type SessionCapability,
} from './sessions.ts'
import type { Why } from './whose.ts'
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
export { ConnectLink } from './connect-link.ts'
export { Counters } from './counters.ts'
export { Installation } from './installation.ts'
export { OwnerIndex } from './owner-index.ts'
export { Session } from './session-object.ts'
export { Thread } from './thread.ts'
export { Vault } from './vault.ts'

export default {
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url)
    const file = await asset(env, request, url)
    if (file) return secured(file)
    return await respond(env, request, (app) => route(app, request, url))
  },

  /** Sweeps what no object sweeps itself. */
  async scheduled(_event, env): Promise<void> {
    await sweepIndex(openApp(env), [indexLane(env)])
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

  /** An address with which a person, signed in or not, connects what the caller may connect. */
  createConnectLink(principal: Principal, wanted: LinkRequest): Promise<Answer<CreatedLink>> {
    return this.#answer((app) => createLink(app, principal, wanted))
  }

  /** What became of a link. */
  connectLink(principal: Principal, id: string): Promise<Answer<LinkItem>> {
    return this.#answer((app) => readLink(app, principal, id))
  }

  /** Ends everything that is kept for a person; a human may end their own account, a service anyone's. */
  eraseUser(principal: Principal, id: string): Promise<Answer<ErasureReceipt>> {
    return this.#answer((app) => eraseUser(app, principal, id))
  }

  /** What work that must not see the token is given instead of it. */
  capability(principal: Principal, wanted: CapabilityRequest): Promise<Answer<CapabilityGrant>> {
    return this.#answer((app) => mintCapability(app, principal, wanted))
  }

  /** A request to the git proxy, from a container that the caller knows; what the request says of one does not count. */
  git(request: Request, container: string): Promise<Response> {
    const { pathname, search } = new URL(request.url)
    const [, provider = '', path = '', tail = ''] = gitPath.exec(pathname) ?? []
    return respond(this.env, request, (app) => {
      if (tail === '') throw new Refusal('not_found')
      return git(app, { provider, path, tail, request, search, container })
    })
  }

  /** Whose connection a call would use now, and why; `repo`: and who would act there. */
  why(
    principal: Principal,
    provider: string,
    owner?: OwnerKind,
    repo?: string,
  ): Promise<Answer<Why & { readonly acting?: ActingWhy }>> {
    return this.#answer((app) => why(app, principal, provider, owner, repo))
  }

  /** Ends what somebody who left may still reach of an organisation; for services only. */
  removeMember(principal: Principal, org: string, user: string): Promise<Answer<DepartureReceipt>> {
    return this.#answer((app) => removeMember(app, principal, org, user))
  }

  /** Somebody has another role in an organisation: ends what the one before permitted; for services only. */
  changeRole(principal: Principal, org: string, user: string, role: string): Promise<Answer<RoleReceipt>> {
    return this.#answer((app) => changeRole(app, principal, org, user, role))
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

  /** Takes a message into a session; the same one as often as it comes. */
  postMessage(principal: Principal, session: string, message: unknown): Promise<Answer<Acknowledged>> {
    return this.#answer((app) => postMessage(app, principal, session, message))
  }

  /** Leases the message whose turn it is to whoever works on the session. */
  nextMessage(principal: Principal, session: string): Promise<Answer<Next>> {
    return this.#answer((app) => nextMessage(app, principal, session))
  }

  settleMessage(
    principal: Principal,
    session: string,
    messageId: string,
    report: unknown,
  ): Promise<Answer<Settled>> {
    return this.#answer((app) => settleMessage(app, principal, session, messageId, report))
  }

  session(principal: Principal, session: string): Promise<Answer<SessionState>> {
    return this.#answer((app) => describeMessages(app, principal, session))
  }

  /** What work in the session is handed, to ask for its git credential with. */
  sessionCapability(
    principal: Principal,
    session: string,
    request: { readonly container?: string; readonly ttlMs?: number } = {},
  ): Promise<Answer<SessionCapability>> {
    return this.#answer((app) => mintSessionCapability(app, principal, session, request))
  }

  /** Ends every capability that was made for a session. */
  endSessionCapabilities(principal: Principal, session: string): Promise<Answer<Over>> {
    return this.#answer((app) => endSessionCapabilities(app, principal, session))
  }

  /** Removes a session with everything in it. */
  endSession(principal: Principal, session: string): Promise<Answer<Over>> {
    return this.#answer((app) => endSession(app, principal, session))
  }

  /** The session's git credential as it is now, for its owner, or for whoever holds a capability. */
  sessionCredential(
    holder: Principal | { readonly capability: string; readonly container?: string },
    session: string,
    request: { readonly url: string; readonly provider?: string },
  ): Promise<Answer<GitLogin>> {
    return this.#answer((app) =>
      'capability' in holder
        ? redeemCapability(app, holder, session, request)
        : sessionCredential(app, holder, session, request),
    )
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
