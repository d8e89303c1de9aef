/** HTTP: which path does what. Decisions are elsewhere. */
import type { Principal } from 'latchkey'
import manifest from '../package.json' with { type: 'json' }
import { providerNamed, type App } from './app.ts'
import { readForm, readJson, single } from './body.ts'
import { callback } from './callback.ts'
import { capabilityRoutes } from './capability-routes.ts'
import { connect } from './connect.ts'
import {
  disconnect,
  giveToken,
  lastState,
  listConnections,
  ownerKind,
  reportRejected,
  rotateToken,
  type GenerationOptions,
  type TokenOptions,
} from './connections.ts'
import { exposition } from './counters.ts'
import { jsonResponse } from './headers.ts'
import { gitRoutes } from './git-routes.ts'
import { showSignIn, signIn, signOut } from './dev-sign-in.ts'
import { eraseUser } from './erase.ts'
import { linkRoutes } from './link-routes.ts'
import { homePage } from './pages.ts'
import { caller, trustedCaller, whoCalls } from './principal.ts'
import { codeOf, Refusal } from './refusal.ts'
import { retentionRoutes } from './retention-routes.ts'
import { returnPath } from './return-path.ts'
import { runRoutes } from './run-routes.ts'
import { decoded, reads, type Call, type Method, type Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'
import { scopeRoutes } from './scope-routes.ts'
import { describeSession } from './session.ts'
import { webhook } from './webhook.ts'

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'

const routes: readonly Route[] = [
  [/^\/$/, reads(({ app, request }) => homePage(app, whoCalls(app, request), request))],
  [
    /^\/healthz$/,
    reads(({ app }) => Response.json({ ok: true, version: manifest.version, abi: app.lk.abi })),
  ],
  [
    /^\/\.well-known\/jwks\.json$/,
    reads(({ app }) => Response.json(app.lk.keys.publicJwks(app.config.keys))),
  ],
  [
    /^\/api\/session$/,
    reads(({ app, request }) => Response.json(describeSession(app, caller(app, request)))),
  ],
  [
    /^\/api\/connections$/,
    reads(async ({ app, request }) => Response.json(await listConnections(app, caller(app, request)))),
  ],
  [/^\/api\/connections\/([^/]+)$/, { DELETE: deleteConnection }],
  [/^\/api\/connections\/([^/]+)\/token$/, { POST: token }],
  [/^\/api\/connections\/([^/]+)\/rotate$/, { POST: (call) => ofGeneration(call, rotateToken) }],
  [/^\/api\/connections\/([^/]+)\/report-rejected$/, { POST: (call) => ofGeneration(call, reportRejected) }],
  [/^\/api\/connections\/([^/]+)\/state$/, reads(state)],
  [/^\/api\/users\/([^/]+)$/, { DELETE: deleteUser }],
  ...scopeRoutes,
  [/^\/api\/metrics$/, reads(metrics)],
  ...runRoutes,
  [/^\/connect\/([^/]+)$/, { GET: startConnect }],
  [
    /^\/callback\/([^/]+)$/,
    {
      GET: (call) => finishConnect(call, call.url.searchParams),
      POST: async (call) => finishConnect(call, await readForm(call.request)),
    },
  ],
  [/^\/disconnect\/([^/]+)$/, { POST: disconnectForm }],
  [
    /^\/webhooks\/([^/]+)$/,
    {
      POST: ({ app, request, parts: [provider = ''] }) => webhook(app, providerNamed(app, provider), request),
    },
  ],
  [
    /^\/dev\/sign-in$/,
    {
      GET: ({ app, request }) => showSignIn(app, request),
      POST: ({ app, request }) => signIn(app, request),
    },
  ],
  [/^\/dev\/sign-out$/, { POST: ({ app, request }) => signOut(app, request) }],
  ...capabilityRoutes,
  ...gitRoutes,
  ...sessionRoutes,
  ...linkRoutes,
  ...retentionRoutes,
]

export async function route(app: App, request: Request, url: URL): Promise<Response> {
  for (const [path, methods] of routes) {
    const match = path.exec(url.pathname)
    if (!match) continue
    const handler = Object.hasOwn(methods, request.method) ? methods[request.method as Method] : undefined
    if (!handler)
      throw new Refusal('method_not_allowed', { headers: { allow: Object.keys(methods).join(', ') } })
    return await handler({ app, request, url, parts: match.slice(1) })
  }
  throw new Refusal('not_found')
}

function startConnect({ app, request, url, parts: [provider = ''] }: Call): Response {
  const principal = whoCalls(app, request)
  if (!principal && app.config.dev) {
    const location = `${app.config.baseUrl}/dev/sign-in`
    return new Response(null, { status: 302, headers: { location } })
  }
  const owner = single(url.searchParams, 'owner')
  const returnTo = single(url.searchParams, 'return_to')
  const wanted = {
    provider,
    ...(owner !== undefined && { owner }),
    ...(returnTo !== undefined && { returnTo }),
  }
  return connect(app, principal ?? caller(app, request), wanted, request)
}

function finishConnect(
  { app, request, parts: [provider = ''] }: Call,
  params: URLSearchParams,
): Promise<Response> {
  return callback(app, whoCalls(app, request), providerNamed(app, provider), params, request)
}

async function token({ app, request, parts: [provider = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  return jsonResponse(await giveToken(app, principal, provider, tokenOptions(await readJson(request))))
}

/** Takes exactly the members it knows. */
function tokenOptions({
  owner,
  minValidityMs,
  repo,
  as,
  ...others
}: Readonly<Record<string, unknown>>): TokenOptions {
  if (Object.keys(others).length > 0) throw new Refusal('request_invalid')
  if (minValidityMs !== undefined && typeof minValidityMs !== 'number') throw new Refusal('request_invalid')
  if (repo !== undefined && typeof repo !== 'string') throw new Refusal('request_invalid')
  if (as !== undefined && as !== 'user' && as !== 'installation') throw new Refusal('request_invalid')
  const kind = ownerKind(owner)
  return {
    ...(kind !== undefined && { owner: kind }),
    ...(minValidityMs !== undefined && { minValidityMs }),
    ...(repo !== undefined && { repo }),
    ...(as !== undefined && { as }),
  }
}

async function ofGeneration(
  { app, request, parts: [provider = ''] }: Call,
  verb: typeof rotateToken | typeof reportRejected,
): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  return Response.json(await verb(app, principal, provider, generationOptions(await readJson(request))))
}

function generationOptions({
  owner,
  generation,
  ...others
}: Readonly<Record<string, unknown>>): GenerationOptions {
  if (Object.keys(others).length > 0 || typeof generation !== 'object' || generation === null)
    throw new Refusal('request_invalid')
  const { id, version, ...more } = generation as Readonly<Record<string, unknown>>
  if (typeof id !== 'string' || typeof version !== 'number' || Object.keys(more).length > 0)
    throw new Refusal('request_invalid')
  const kind = ownerKind(owner)
  return { ...(kind !== undefined && { owner: kind }), generation: { id, version } }
}

/** A receipt that is not complete is an answer too: some of it may have to be tried again. */
async function deleteUser({ app, request, parts: [user = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const receipt = await eraseUser(app, principal, decoded(user))
  return Response.json(receipt, { status: receipt.complete ? 200 : 202 })
}

/** For the application's own monitoring: a person has no business with how others fare. */
async function metrics({ app, request }: Call): Promise<Response> {
  const { kind } = caller(app, request)
  if (kind !== 'service' && !app.config.dev) throw new Refusal('not_allowed')
  const names = app.config.providers.map(({ name }) => name)
  const type = 'text/plain; version=0.0.4; charset=utf-8'
  return new Response(await exposition(app.env, names), { headers: { 'content-type': type } })
}

async function state({ app, request, url, parts: [provider = ''] }: Call): Promise<Response> {
  const owner = ownerKind(single(url.searchParams, 'owner'))
  return Response.json({ token: await lastState(app, caller(app, request), provider, owner) })
}

/** What there is comes before what is asked, and that before who may. */
async function deleteConnection({ app, request, url, parts: [provider = ''] }: Call): Promise<Response> {
  const { name } = providerNamed(app, provider)
  const owner = ownerKind(single(url.searchParams, 'owner'))
  return Response.json(await disconnect(app, trustedCaller(app, request, json), name, owner))
}

/** The same for a page without JavaScript: the answer is a place to go. */
async function disconnectForm({ app, request, parts: [provider = ''] }: Call): Promise<Response> {
  const principal: Principal = trustedCaller(app, request, form)
  const { name } = providerNamed(app, provider)
  const fields = await readForm(request)
  const returnTo = single(fields, 'return_to') ?? '/'
  let outcome: Parameters<typeof returnPath>[2]
  try {
    const { deleted } = await disconnect(app, principal, name, ownerKind(single(fields, 'owner')))
    outcome = deleted ? { disconnected: name } : { error: 'provider_error', provider: name }
  } catch (error) {
    if (codeOf(error) !== 'not_allowed') throw error
    outcome = { error: 'not_allowed', provider: name }
  }
  return new Response(null, { status: 303, headers: { location: returnPath(app, returnTo, outcome) } })
}
