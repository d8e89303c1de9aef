/** Requests that carry a person's credential upstream, and what may come back of the answers. */
import { waitUntil } from 'cloudflare:workers'
import type { CapabilityClaims, Repo, Rule } from 'latchkey'
import { judge } from './access.ts'
import { actingAt, appToken, identify, standingOf, type Keeper } from './acting.ts'
import { providerNamed, type App } from './app.ts'
import { refusal, vaultOf } from './connections.ts'
import { Refusal } from './refusal.ts'
import type { Generation, Redemption } from './vault.ts'

/** Everything else that a client says is between it and us. */
const passedOn = [
  'accept',
  'content-encoding',
  'content-type',
  'git-protocol',
  'range',
  'user-agent',
  'x-github-api-version',
]
/** Everything else that a provider says is between it and us. */
const passedBack = [
  'accept-ranges',
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
]

/** A capability whose tag, life and claims are good; what has ended since is the vault's to know. */
export interface Holder {
  readonly text: string
  readonly container: string
  readonly claims: CapabilityClaims
}

/** The credential behind a capability. */
export interface Credential {
  readonly accessToken: string
  /** Of the person's; the app's has none, and is not exchanged. */
  readonly generation?: Generation
  /** Who acts, where that is a question, and why. */
  readonly acts?: { readonly source: 'user' | 'installation'; readonly reason: Rule }
  /** The provider's id of the account, where it was asked for. */
  readonly account?: string
}

export interface Outgoing {
  readonly method: string
  readonly headers: Headers
  /** For where it goes first, and nowhere else. */
  readonly there?: Readonly<Record<string, string>>
  /** Without: nothing of ours is shown. */
  readonly show?: Show
  /** A stream can be sent once. */
  readonly body: ReadableStream | Uint8Array | null
}

/** How a credential is shown, where it may be shown at all. */
export type Show = (accessToken: string) => string

/** Whether what is secret goes along to where a redirect leads; throws where it is not followed at all. */
export type Follow = (from: string, to: string, hop: number) => boolean

export interface Upstream {
  readonly response: Response
  /** What was shown last. */
  readonly authorization: string | undefined
  /** Who acted last. */
  readonly acts: Credential['acts']
}

/** One call: the vault verifies the capability once more, and renews a token that is about to end. */
export async function redeem(
  app: App,
  holder: Holder,
  repo: Repo,
  { named = false, rejected }: Pick<Redemption, 'named' | 'rejected'> = {},
): Promise<Credential> {
  const { owner, provider } = holder.claims
  const { text: capability, container } = holder
  const vault = vaultOf(app, { owner, provider })
  const result = await vault.redeem({ capability, container, named, ...(rejected && { rejected }) })
  if (result.outcome === 'refused') throw new Refusal(result.code)
  const standing = standingOf(result)
  const settings = providerNamed(app, provider)
  // In place of a pair that was refused there is another one of the person's, or who acts is asked anew.
  if (!settings.app || standing === undefined || (rejected && standing === 'good')) {
    if (result.outcome !== 'ok') throw refusal(result)
    return result
  }
  const facts = {
    subject: holder.claims.subject,
    ...(owner.kind === 'org' && { org: owner.id }),
    account: repo.owner,
  }
  const places = [{ scope: owner.kind, id: owner.id }]
  const acting = await actingAt(app, settings, places, facts, standing)
  const { next, path } = await identify(app, settings, keeperOf(app, holder), acting)
  const reason = path[0]!.rule
  if (next.acts === 'installation') {
    const token = await appToken(app, settings, acting, repo, installationValidityMs)
    return { accessToken: token.accessToken, acts: { source: 'installation', reason } }
  }
  if (result.outcome !== 'ok') throw refusal(result)
  // The person's own token would be good, and may not be used there.
  if (acting.source !== 'user') throw new Refusal('not_allowed')
  return { ...result, acts: { source: 'user', reason } }
}

/** However it is narrowed, it is the one that was made. */
function keeperOf(app: App, { text, claims }: Holder): Keeper {
  const vault = vaultOf(app, claims)
  const holder = app.lk.guard.key(['capability', ...text.split('.').slice(0, 3)])
  return {
    identity: () => vault.identity(holder),
    actAs: (installation) => vault.actAs(holder, installation, claims.expiresAt),
  }
}

/** A token that is handed to a request has at least so long to get there. */
const installationValidityMs = 60_000

/** Best effort: where it is not heard of, the pair is only not exchanged for another one for a while. */
const accepted = async (app: App, { claims }: Holder, { generation }: Credential): Promise<void> => {
  if (generation)
    await vaultOf(app, claims)
      .accepted(generation)
      .catch(() => undefined)
}

export function outgoingHeaders(from: Headers): Headers {
  // Nobody but the client says which encodings it reads.
  const headers = new Headers({ 'accept-encoding': from.get('accept-encoding') ?? 'identity' })
  for (const name of passedOn) {
    const value = from.get(name)
    if (value !== null) headers.set(name, value)
  }
  return headers
}

/** An answer as the client may see it; a body goes through as it comes. */
export function passBack({ status, headers, body }: Response, acts?: Credential['acts']): Response {
  const passed = new Headers()
  if (acts) passed.set('latchkey-acts', `${acts.source}; reason=${acts.reason}`)
  for (const name of passedBack) {
    const value = headers.get(name)
    if (value !== null) passed.set(name, value)
  }
  return new Response(body, { status, headers: passed })
}

/**
 * Sends a request with the credential, and once more with another one where the first is refused and can be sent again.
 * A body that went out as a stream is gone: then the client has to come again.
 */
export async function sendWithCredential(
  app: App,
  holder: Holder,
  repo: Repo,
  first: Credential,
  url: string,
  { method, headers, there = {}, show, body }: Outgoing,
  follow: Follow,
): Promise<Upstream> {
  const isRepeatable = !(body instanceof ReadableStream)
  let credential = first
  let at = url
  let secret = true
  for (let hop = 1, rejected = false; ;) {
    const authorization = secret ? show?.(credential.accessToken) : undefined
    const sent = new Headers(headers)
    for (const [name, value] of Object.entries(secret ? there : {})) sent.set(name, value)
    if (authorization !== undefined) sent.set('authorization', authorization)
    const response = await reach(at, { method, headers: sent, body, redirect: 'manual' })
    const { generation } = credential
    if (response.status === 401 && authorization !== undefined && generation && !rejected) {
      rejected = true
      await response.body?.cancel()
      credential = await redeem(app, holder, repo, { rejected: generation })
      if (!isRepeatable) throw new Refusal('temporarily_unavailable', { headers: { 'retry-after': '1' } })
      continue
    }
    if (rejected && response.status !== 401 && at === url) waitUntil(accepted(app, holder, credential))
    const location = redirectTarget(response, at)
    if (location === undefined) return { response, authorization, acts: credential.acts }
    await response.body?.cancel()
    if (!isRepeatable || !keepsMethod(response.status, method)) throw new Refusal('upstream_redirected')
    secret = followed(follow, at, location, hop) && secret
    at = location
    hop += 1
  }
}

/** Says of an answer that is no success what may be said: a code. */
export async function refuseUnlessGranted(app: App, response: Response): Promise<void> {
  const { status, headers } = response
  const { access } = judge(app, response)
  if (access === 'granted') return
  await response.body?.cancel()
  switch (access) {
    case 'needs_token':
    case 'token_rejected':
      throw new Refusal('upstream_refused', { status: status === 404 ? 404 : 403 })
    case 'rate_limited': {
      const after = headers.get('retry-after') ?? ''
      throw new Refusal('upstream_limited', {
        headers: /^\d{1,5}$/.test(after) ? { 'retry-after': after } : {},
      })
    }
    case 'transient':
    case 'unexpected':
      throw new Refusal('upstream_unavailable')
  }
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch {
    throw new Refusal('upstream_unavailable')
  }
}

function redirectTarget({ status, headers }: Response, at: string): string | undefined {
  if (![301, 302, 303, 307, 308].includes(status)) return undefined
  const location = headers.get('location')
  const target = location ? URL.parse(location, at) : null
  if (!target) throw new Refusal('upstream_redirected')
  return target.href
}

/** RFC 9110 section 15.4: the others make a GET of it. */
const keepsMethod = (status: number, method: string): boolean =>
  status === 307 || status === 308 || method === 'GET' || method === 'HEAD'

function followed(follow: Follow, from: string, to: string, hop: number): boolean {
  try {
    return follow(from, to, hop)
  } catch {
    throw new Refusal('upstream_redirected')
  }
}
