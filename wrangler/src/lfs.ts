/**
 * Large files. A batch answers with addresses and headers to fetch them from, and some providers put the credential
 * itself into those. The client gets addresses of ours instead: each holds what the provider said, sealed for one
 * repository, owner and direction, and is used with the capability like any other request.
 */
import type { CapabilityVerb, Repo } from 'latchkey'
import { random, type App } from './app.ts'
import { readBytes } from './body.ts'
import {
  outgoingHeaders,
  passBack,
  redeem,
  refuseUnlessGranted,
  sendWithCredential,
  type Holder,
  type Show,
} from './git-upstream.ts'
import { Refusal } from './refusal.ts'

/** git-lfs, docs/api/basic-transfers.md: what is done with an action, and what it takes. */
const actions = {
  download: { method: 'GET', right: 'fetch' },
  upload: { method: 'PUT', right: 'push' },
  verify: { method: 'POST', right: 'push' },
} as const satisfies Record<string, { method: string; right: CapabilityVerb }>
type Action = keyof typeof actions

/** More than a batch of a hundred objects needs. */
const largestBatch = 1_048_576
const linkSeconds = 3_600
/** The longest address that every server takes. */
const longestLink = 8_000

/** What one of our addresses stands for. */
interface Link {
  readonly href: string
  /** Of the provider's, without the credential. */
  readonly header: Readonly<Record<string, string>>
  /** The credential is shown there. */
  readonly own: boolean
  readonly until: number
}

interface Batch {
  readonly repo: Repo
  /** The repository's path as the client wrote it. */
  readonly path: string
  readonly url: string
  readonly right: CapabilityVerb
  readonly response: Response
  /** What was shown to the provider. */
  readonly authorization: string | undefined
}

interface Transfer {
  readonly repo: Repo
  readonly tail: string
  readonly request: Request
  readonly show: Show
}

const prefix = 'latchkey/lfs/'
export const isTransfer = (tail: string): boolean => tail.startsWith(prefix)

/** Headers that belong to a connection, or to somebody else's session. */
const neverFrom =
  /^(?:host|cookie|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-length|proxy-.*)$/i

const contextOf = ({ config }: App, { claims }: Holder, { cloneUrl }: Repo, action: Action): string[] => [
  'lfs',
  'v1',
  config.baseUrl,
  claims.provider,
  claims.owner.kind,
  claims.owner.id,
  cloneUrl,
  action,
]

type Fields = Readonly<Record<string, unknown>>
const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** The answer to a batch, of which only known members are left. */
export async function rewriteBatch(app: App, holder: Holder, batch: Batch): Promise<Response> {
  const { objects, transfer: adapter = 'basic', hash_algo: algorithm } = await readBatch(batch.response)
  if (!Array.isArray(objects) || adapter !== 'basic') throw new Refusal('upstream_unavailable')
  const answer = {
    transfer: 'basic',
    objects: objects.map((object) => rewriteObject(app, holder, batch, fields(object))),
    ...(typeof algorithm === 'string' && /^[\w-]{1,16}$/.test(algorithm) && { hash_algo: algorithm }),
  }
  return new Response(JSON.stringify(answer), { headers: { 'content-type': 'application/vnd.git-lfs+json' } })
}

async function readBatch(response: Response): Promise<Fields> {
  const bytes = await readBytes(response.body, largestBatch)
  try {
    return fields(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)))
  } catch {
    throw new Refusal('upstream_unavailable')
  }
}

function rewriteObject(
  app: App,
  holder: Holder,
  batch: Batch,
  { oid, size, actions: offered, error }: Fields,
): object {
  if (typeof oid !== 'string' || !/^[0-9a-f]{64}$/.test(oid) || !isCount(size))
    throw new Refusal('upstream_unavailable')
  const refused = (code: number) => ({ oid, size, error: { code, message: 'upstream_refused' } })
  if (error !== undefined) {
    const { code } = fields(error)
    return refused(isCount(code) ? code : 500)
  }
  const links: Record<string, object> = {}
  for (const [name, offer] of Object.entries(fields(offered))) {
    const action = Object.hasOwn(actions, name) ? (name as Action) : undefined
    if (action === undefined || actions[action].right !== batch.right) continue
    const link = linkFor(app, holder, batch, action, fields(offer))
    if (!link) return refused(403)
    links[action] = link
  }
  // Without actions there is nothing to do: it is there already.
  return { oid, size, ...(Object.keys(links).length > 0 && { actions: links }) }
}

/** Nothing for an address that nobody may be sent to. */
function linkFor(app: App, holder: Holder, batch: Batch, action: Action, offer: Fields): object | undefined {
  const { lk, config } = app
  const { dev } = config
  const { href, header: given, expires_in: seconds } = offer
  if (typeof href !== 'string' || !lk.guard.outbound(href, { dev })) return undefined
  const header: Record<string, string> = {}
  let authorization: string | undefined
  for (const [name, value] of Object.entries(fields(given))) {
    if (neverFrom.test(name)) continue
    if (typeof value !== 'string' || !isHeader(name, value)) return undefined
    if (name.toLowerCase() === 'authorization') authorization = value
    else header[name.toLowerCase()] = value
  }
  const isOurs = authorization === undefined || authorization === batch.authorization
  const isHome = lk.guard.outbound(href, { dev, from: batch.url, hop: 1 })
  // The credential itself, to be taken elsewhere.
  if (authorization !== undefined && isOurs && !isHome) return undefined
  if (authorization !== undefined && !isOurs) header['authorization'] = authorization
  const left = isCount(seconds) && seconds > 0 ? Math.min(seconds, linkSeconds) : linkSeconds
  const link: Link = { href, header, own: isOurs && isHome, until: Date.now() + left * 1_000 }
  const sealed = lk.seal.seal(
    config.keys,
    new TextEncoder().encode(JSON.stringify(link)),
    contextOf(app, holder, batch.repo, action),
    { entropy: random(32) },
  )
  const { provider } = holder.claims
  const address = `${config.baseUrl}/git/${provider}/${batch.path}.git/${prefix}${action}/${sealed}`
  return address.length > longestLink ? undefined : { href: address, expires_in: left }
}

function isHeader(name: string, value: string): boolean {
  try {
    new Headers([[name, value]])
    return true
  } catch {
    return false
  }
}

/** Fetches or brings what one of our addresses stands for. */
export async function transfer(
  app: App,
  holder: Holder,
  { repo, tail, request, show }: Transfer,
): Promise<Response> {
  const { lk, config } = app
  const { dev } = config
  const [name = '', sealed = '', ...more] = tail.slice(prefix.length).split('/')
  if (!Object.hasOwn(actions, name) || more.length > 0) throw new Refusal('not_found')
  const action = name as Action
  const { method, right } = actions[action]
  if (request.method !== method) throw new Refusal('upstream_request_invalid')
  if (!holder.claims.can.includes(right)) throw new Refusal('not_allowed')
  const { href, header, own } = openLink(app, sealed, contextOf(app, holder, repo, action))
  const credential = await redeem(app, holder, repo)
  const outgoing = {
    method,
    headers: outgoingHeaders(request.headers),
    there: header,
    body: method === 'GET' ? null : request.body,
    ...(own && { show }),
  }
  const { response } = await sendWithCredential(
    app,
    holder,
    repo,
    credential,
    href,
    outgoing,
    (from, to, hop) => {
      if (lk.guard.outbound(to, { dev, from, hop })) return true
      // Elsewhere, as object storage is: without anything secret.
      if (lk.guard.outbound(to, { dev, from: to, hop })) return false
      throw new Refusal('upstream_redirected')
    },
  )
  await refuseUnlessGranted(app, response)
  return passBack(response)
}

function openLink({ lk, config }: App, sealed: string, context: readonly string[]): Link {
  let link: Link
  try {
    link = JSON.parse(new TextDecoder().decode(lk.seal.open(config.keys, sealed, context))) as Link
  } catch {
    throw new Refusal('not_found')
  }
  if (link.until <= Date.now()) throw new Refusal('not_found')
  return link
}
