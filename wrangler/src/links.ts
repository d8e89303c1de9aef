/** Connect links: an application asks a person who is not signed in there to connect an account. */
import { publicCode, type Owner, type Principal } from 'latchkey'
import { providerNamed, random, type App } from './app.ts'
import { authorize } from './connect.ts'
import { connectOwner, ownerKind, type OwnerKind } from './connections.ts'
import type { LinkStatus } from './connect-link.ts'
import { retract } from './members.ts'
import { linkName } from './names.ts'
import { linkPage } from './pages.ts'
import { guard, whoCalls } from './principal.ts'
import { Refusal } from './refusal.ts'
import { returnPath } from './return-path.ts'
import { actsFor } from './whose.ts'

/** The `flow` of a state that a link began. */
export const linkFlow = 'link'
/** Where a person ends who was not told of another place. */
export const linkEnd = '/link'

export interface LinkRequest {
  readonly provider: string
  readonly owner?: OwnerKind
  readonly returnTo?: string
}

export interface CreatedLink {
  readonly id: string
  /** Holds the token: whoever has it can connect an account for the owner. */
  readonly url: string
  readonly expiresAt: number
}

export interface LinkItem {
  readonly id: string
  readonly provider: string
  readonly owner: Owner
  readonly state: LinkStatus['state']
  readonly expiresAt: number
}

const tokenSize = 32

/** Found by this, and public as a link's id: 256 bits of a hash lead back to no token. */
async function idOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`latchkey/link/1:${token}`))
  return new Uint8Array(digest).toBase64({ alphabet: 'base64url', omitPadding: true })
}

export const linkOf = (app: App, id: string) =>
  app.env.CONNECT_LINK.getByName(linkName(app.config.baseUrl, id))

/** Whoever may connect for an owner may ask somebody else to. */
export async function createLink(app: App, principal: Principal, wanted: LinkRequest): Promise<CreatedLink> {
  const { lk, config } = app
  const provider = providerNamed(app, wanted.provider)
  if (!config.connectEnabled) throw new Refusal('connect_disabled')
  const owner = connectOwner(app, principal, provider, ownerKind(wanted.owner))
  const returnTo = lk.returnTo(wanted.returnTo ?? linkEnd)
  if (returnTo === null) throw new Refusal('request_invalid')
  const token = random(tokenSize).toBase64({ alphabet: 'base64url', omitPadding: true })
  const id = await idOf(token)
  const facts = { provider: provider.name, owner, subject: principal.subject, returnTo }
  const expiresAt = await linkOf(app, id).open(id, facts)
  return { id, url: `${config.baseUrl}/link/${token}`, expiresAt }
}

/**
 * A link of an organisation's speaks for whoever made it, for as long as they may connect for it. What their role is now
 * is known where they are the one who is there; everybody else's says nothing about it.
 */
export async function mayStillAsk(
  app: App,
  principal: Principal | undefined,
  { owner, subject }: Pick<LinkStatus, 'owner' | 'subject'>,
): Promise<boolean> {
  const isMaker = owner.kind === 'org' && principal?.subject === subject && principal.org === owner.id
  if (!isMaker || actsFor(app, principal, 'org')) return true
  await retract(app, owner.id, subject, Date.now())
  return false
}

/** For those who may see the owner's connections; to others there is no such link. */
export async function readLink(app: App, principal: Principal, id: string): Promise<LinkItem> {
  const link = isId(id) ? await linkOf(app, id).read() : null
  if (!link || !isOwn(principal, link.owner)) throw new Refusal('not_found')
  const { provider, owner, expiresAt } = link
  const isOver = link.state === 'pending' && !(await mayStillAsk(app, principal, link))
  return { id, provider, owner, state: isOver ? 'expired' : link.state, expiresAt }
}

const isId = (text: string): boolean => /^[\w-]{43}$/.test(text)
const isOwn = ({ subject, org }: Principal, { kind, id }: Owner): boolean =>
  id === (kind === 'user' ? subject : org)

/** What is asked, for whoever has the address; a link that is over says so. */
export async function showLink(app: App, token: string): Promise<Response> {
  const link = await found(app, token)
  return await linkPage(app, { token, link: link?.status ?? null })
}

/** The button: the browser goes to the authorization server, with a state that is good for this link alone. */
export async function startLink(app: App, token: string, request: Request): Promise<Response> {
  guard(app, request, 'application/x-www-form-urlencoded', { open: !app.config.dev })
  const link = await found(app, token)
  if (link?.status.state !== 'pending' || !app.config.connectEnabled)
    return await linkPage(app, { token, link: link?.status ?? null })
  const { provider, owner, subject, returnTo } = link.status
  if (!(await mayStillAsk(app, visitor(app, request), link.status))) {
    const location = returnPath(app, linkEnd, { error: publicCode('not_allowed'), provider })
    return new Response(null, { status: 303, headers: { location } })
  }
  const claims = { flow: linkFlow, app: link.id, subject, owner, returnTo }
  return authorize(app, providerNamed(app, provider), claims, request, 303)
}

/** Nobody has to be signed in there. */
function visitor(app: App, request: Request): Principal | undefined {
  try {
    return whoCalls(app, request)
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}

async function found(app: App, token: string): Promise<{ id: string; status: LinkStatus } | undefined> {
  if (!isId(token)) return undefined
  const id = await idOf(token)
  const status = await linkOf(app, id).read()
  return status ? { id, status } : undefined
}
