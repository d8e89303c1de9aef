import {
  LatchkeyError,
  publicCode,
  type CallbackPlan,
  type Principal,
  type ProviderSettings,
  type State,
} from 'latchkey'
import { redirectUri, type App } from './app.ts'
import { readBinding } from './binding.ts'
import { connectFlow } from './connect.ts'
import { vaultOf } from './connections.ts'
import { linkEnd, linkFlow, mayStillAsk } from './links.ts'
import { codeOf, type Code } from './refusal.ts'
import { returnPath } from './return-path.ts'
import type { Outcome } from './vault.ts'
import { mustBeAllowed } from './whose.ts'

/**
 * The authorization response (RFC 6749 section 4.1.2). The state is verified against configuration, session and
 * cookie, the core plans, and only the vault uses the state up, right before the exchange.
 */
export async function callback(
  app: App,
  principal: Principal | undefined,
  provider: ProviderSettings,
  params: URLSearchParams,
  request: Request,
): Promise<Response> {
  const { lk } = app
  const token = params.get('state') ?? ''
  const linked = isLinked(app, token)
  const state = verifiedState(app, linked ? undefined : principal, provider, token, request, linked)
  if (request.method === 'POST' && !principal && !linked && !(state instanceof LatchkeyError))
    return comeAgain(app, provider, params)
  const plan = lk.callback.plan({
    params,
    state: state instanceof LatchkeyError ? state.code : state,
    session: {
      ...(subjectOf(state, linked, principal) ?? {}),
      ...(provider.asIssuer !== undefined && { asIssuer: provider.asIssuer }),
      issRequired: provider.issRequired,
    },
  })
  const outcome: Outcome =
    plan.action === 'redirect' || state instanceof LatchkeyError
      ? { ok: false, code: refusedPlan(plan) }
      : await complete(app, principal, provider, state, token, plan)

  await log(provider, params, token, outcome)
  const told = outcome.ok
    ? { connected: provider.name }
    : { error: publicCodeOf(outcome.code), provider: provider.name }
  const location = returnPath(app, plan.returnTo ?? (linked ? linkEnd : '/'), told)
  return new Response(null, { status: 302, headers: { location } })
}

/** What an authorization server says to us; whatever else it posts is not looked at. */
const said = ['code', 'state', 'iss', 'error']

/**
 * A form that another site posts carries no session (SameSite=Lax), and nobody is taken to be signed in because a state
 * says so: their role may have gone since. The browser brings the same once more, from here and with its session.
 * RFC 9110 section 15.4.4.
 */
function comeAgain(app: App, provider: ProviderSettings, params: URLSearchParams): Response {
  const location = new URL(redirectUri(app, provider))
  // Of two with one name both go along: that they are two is refused there.
  for (const [name, value] of params) if (said.includes(name)) location.searchParams.append(name, value)
  return new Response(null, { status: 303, headers: { location: location.href } })
}

/** Which of the two ways a browser was sent; read from the token to choose what it is verified against. */
function isLinked(app: App, token: string): boolean {
  try {
    return app.lk.state.peek(token).flow === linkFlow
  } catch {
    return false
  }
}

/** Who has to be signed in: with a link nobody, for it speaks for the one who made it. */
function subjectOf(
  state: State | LatchkeyError,
  linked: boolean,
  principal: Principal | undefined,
): { subject: string } | undefined {
  if (!linked) return principal && { subject: principal.subject }
  return state instanceof LatchkeyError ? undefined : { subject: state.subject }
}

function verifiedState(
  app: App,
  principal: Principal | undefined,
  provider: ProviderSettings,
  token: string,
  request: Request,
  linked: boolean,
): State | LatchkeyError {
  const binding = readBinding(app, request)
  try {
    return app.lk.state.verify(app.config.keys, token, {
      now: Date.now(),
      issuer: app.config.baseUrl,
      audience: redirectUri(app, provider),
      flow: linked ? linkFlow : connectFlow,
      provider: provider.name,
      ...(principal && { subject: principal.subject }),
      ...(binding && { binding }),
    })
  } catch (error) {
    if (error instanceof LatchkeyError) return error
    throw error
  }
}

async function complete(
  app: App,
  principal: Principal | undefined,
  provider: ProviderSettings,
  state: State,
  token: string,
  plan: Extract<CallbackPlan, { action: 'exchange' }>,
): Promise<Outcome> {
  const { owner } = state
  const key = { owner, provider: provider.name }
  try {
    // Whoever may no longer do what they began may not end it either; a link speaks for the one who made it.
    if (principal && state.flow !== linkFlow)
      mustBeAllowed(
        app,
        principal,
        provider,
        'connect',
        owner.kind,
        owner.kind === 'org' ? owner.id : undefined,
      )
    if (state.flow === linkFlow && !(await mayStillAsk(app, principal, state)))
      return { ok: false, code: 'not_allowed' }
    return await vaultOf(app, key).complete({
      subject: state.subject,
      nonce: plan.consume.nonce,
      until: plan.consume.until,
      code: plan.code,
      codeVerifier: app.lk.state.codeVerifier(app.config.keys, state),
      state: token,
      stateIssuedAt: state.issuedAt,
      stateExpiresAt: state.expiresAt,
      ...(state.flow === linkFlow && { link: state.app ?? '' }),
    })
  } catch (error) {
    return { ok: false, code: codeOf(error) }
  }
}

const refusedPlan = (plan: CallbackPlan): Code => (plan.action === 'redirect' ? plan.reason : 'state_missing')

const publicCodeOf = (code: Code) => {
  switch (code) {
    case 'misconfigured':
    case 'temporarily_unavailable':
      return code
    case 'too_large':
      return publicCode('exchange_unreadable')
    case 'not_found':
    case 'method_not_allowed':
    case 'request_invalid':
    case 'capability_missing':
    case 'upstream_refused':
    case 'upstream_limited':
    case 'upstream_unavailable':
    case 'upstream_redirected':
      return publicCode('callback_malformed')
    default:
      return publicCode(code)
  }
}

/** One line per callback: enough to find a cause by, too little to use. */
async function log(provider: ProviderSettings, params: URLSearchParams, token: string, outcome: Outcome) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token)))
  const line = {
    event: 'callback',
    provider: provider.name,
    reason: outcome.ok ? 'connected' : outcome.code,
    has_code: params.has('code'),
    has_state: params.has('state'),
    state: token === '' ? '' : digest.slice(0, 4).toHex(),
  }
  console.log(JSON.stringify(line))
}
