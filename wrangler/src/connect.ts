import { LatchkeyError, publicCode, type Principal, type ProviderSettings, type StateClaims } from 'latchkey'
import { providerNamed, random, redirectUri, type App } from './app.ts'
import { keepBinding } from './binding.ts'
import { connectOwner, ownerKind } from './connections.ts'
import { returnPath } from './return-path.ts'
import { Refusal } from './refusal.ts'

export const connectFlow = 'connect'

export interface ConnectRequest {
  readonly provider: string
  readonly owner?: string
  readonly returnTo?: string
}

/**
 * Sends the browser to the authorization server (RFC 6749 section 4.1.1). Nothing is stored: the signed state carries
 * what the callback needs, and the PKCE verifier is derived from it.
 */
export function connect(app: App, principal: Principal, wanted: ConnectRequest, request: Request): Response {
  const { lk, config } = app
  const provider = providerNamed(app, wanted.provider)
  const returnTo = lk.returnTo(wanted.returnTo ?? '/') ?? '/'
  try {
    if (!config.connectEnabled) throw new Refusal('connect_disabled')
    const owner = connectOwner(app, principal, provider, ownerKind(wanted.owner))
    const { subject } = principal
    return authorize(app, provider, { flow: connectFlow, subject, owner, returnTo }, request)
  } catch (error) {
    const reason = refusedConnect(error)
    if (reason === undefined) throw error
    const location = returnPath(app, returnTo, { error: publicCode(reason), provider: provider.name })
    return new Response(null, { status: 302, headers: { location } })
  }
}

type FlowClaims = Pick<StateClaims, 'flow' | 'app' | 'subject' | 'owner' | 'returnTo'>

/** The authorization request of a flow, with its state, bound to this browser. */
export function authorize(
  app: App,
  provider: ProviderSettings,
  claims: FlowClaims,
  request: Request,
  status = 302,
): Response {
  const { lk, config } = app
  const binding = keepBinding(app, request)
  const state = lk.state.issue(
    config.keys,
    {
      ...claims,
      alg: 'EdDSA',
      issuer: config.baseUrl,
      audience: redirectUri(app, provider),
      provider: provider.name,
      binding: binding.bytes,
    },
    { now: Date.now(), entropy: random(32) },
  )
  const url = new URL(provider.authorizationUrl)
  const parameters: Record<string, string> = {
    response_type: 'code',
    client_id: provider.clientId,
    redirect_uri: redirectUri(app, provider),
    state: state.token,
  }
  if (provider.scopes.length > 0) parameters['scope'] = provider.scopes.join(provider.scopeSeparator)
  if (provider.pkce) {
    parameters['code_challenge'] = state.pkce.challenge
    parameters['code_challenge_method'] = state.pkce.method
  }
  if (provider.responseMode !== 'query') parameters['response_mode'] = provider.responseMode
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return new Response(null, { status, headers: { location: url.href, 'set-cookie': binding.setCookie } })
}

/** What the person can do something about is told on the page they came from. */
function refusedConnect(error: unknown): 'not_allowed' | 'connect_disabled' | undefined {
  if (!(error instanceof LatchkeyError || error instanceof Refusal)) return undefined
  return error.code === 'not_allowed' || error.code === 'connect_disabled' ? error.code : undefined
}
