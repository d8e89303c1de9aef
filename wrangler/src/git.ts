/** The git proxy: git brings a capability, the provider gets the token, and neither sees the other's. */
import { LatchkeyError, type GitHost } from 'latchkey'
import { knownAccess, rememberAccess } from './access.ts'
import { providerNamed, type App } from './app.ts'
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
import { isTransfer, rewriteBatch, transfer } from './lfs.ts'
import { Refusal } from './refusal.ts'

/** A request to the proxy, taken apart: `/git/:provider/:path.git/:tail`. */
export interface GitCall {
  readonly provider: string
  /** The repository's path, as it stands there. */
  readonly path: string
  readonly tail: string
  readonly request: Request
  readonly search: string
  /** Where the request came from, said by somebody who knows; else the client says it. */
  readonly container?: string
}

/** Pull requests and comments, asked for with a capability of their own purpose. */
const isApi = (tail: string): boolean => /^(?:pulls|issues)\//.test(tail)

const lfsType = 'application/vnd.git-lfs+json'

/** Refusals are said in the words of whoever asks: git shows plain text, git-lfs reads JSON. */
export async function git(app: App, call: GitCall): Promise<Response> {
  try {
    return await answer(app, call)
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof LatchkeyError)) throw error
    const { code, status, headers: extra } = error instanceof Refusal ? error : new Refusal(error.code)
    await call.request.body?.cancel().catch(() => undefined)
    const headers = new Headers(extra)
    if (status === 401) headers.set('www-authenticate', 'Basic realm="latchkey"')
    const isLfs = /^(?:info|latchkey)\/lfs\//.test(call.tail)
    headers.set('content-type', isLfs ? lfsType : 'text/plain; charset=utf-8')
    const text = isLfs ? JSON.stringify({ message: code }) : `latchkey: ${code}\n`
    return new Response(text, { status, headers })
  }
}

async function answer(app: App, call: GitCall): Promise<Response> {
  const { lk } = app
  const { request, tail } = call
  const { method } = request
  const holder = holderOf(app, call)
  const host = providerNamed(app, holder.claims.provider).git
  if (!host) throw new Refusal('repo_host_not_allowed')
  const base = `${host.plain ? 'http' : 'https'}://${host.host}${host.base ?? ''}`
  const named = `${base}/${call.path}.git`
  const repo = lk.repo.parse(holder.claims.repo ?? named, { hosts: [host] })
  const api = isApi(tail)
  const show = api ? bearer : basic(host)
  if (isTransfer(tail)) {
    if (lk.repo.parse(named, { hosts: [host] }).cloneUrl !== repo.cloneUrl)
      throw new Refusal('repository_mismatch')
    return await transfer(app, holder, { repo, tail, request, show })
  }

  // Where a host has no such API the core lets nothing go there.
  const resource = api ? `https://api.${host.host}/repos/${call.path}` : named
  const url = `${resource}/${tail}${call.search}`
  const asked = lk.upstream.check(repo, { method, url })
  const body = asked === 'lfs' ? await readBytes(request.body) : request.body
  const right = body instanceof Uint8Array ? lk.upstream.lfsRight(body.slice()) : asked
  if (right === 'lfs' || !holder.claims.can.includes(right)) throw new Refusal('not_allowed')

  const first = !api && method === 'GET' && app.env.ACCESS !== undefined
  const credential = await redeem(app, holder, repo, { named: first })
  const { account = '' } = credential
  const access = { provider: holder.claims.provider, account, repo, right }
  const known = first ? await knownAccess(app, access) : undefined
  if (known === false) throw new Refusal('upstream_refused', { status: 404 })

  const headers = outgoingHeaders(request.headers)
  // A batch is read here, so it has to come plain.
  if (body instanceof Uint8Array) headers.set('accept-encoding', 'identity')
  const outgoing = { method, headers, show, body: method === 'GET' || method === 'HEAD' ? null : body }
  const sent = await sendWithCredential(app, holder, repo, credential, url, outgoing, (from, to, hop) => {
    lk.upstream.redirect(repo, { method, from, to, hop })
    return true
  })
  const { response } = sent
  if (first) rememberAccess(app, access, response, known)
  await refuseUnlessGranted(app, response)
  return body instanceof Uint8Array && tail.endsWith('/batch')
    ? await rewriteBatch(app, holder, { repo, path: call.path, url, right, ...sent })
    : passBack(response, sent.acts)
}

/** Who asks, as far as can be said without asking the vault. */
function holderOf(app: App, { provider, request, tail, container: known }: GitCall): Holder {
  const presented = capabilityOf(request.headers)
  if (!presented) throw new Refusal('capability_missing')
  const { text } = presented
  const container = known ?? presented.container
  const purpose = isApi(tail) ? 'api' : 'git'
  const expected = { now: Date.now(), container, purpose, provider } as const
  return { text, container, claims: app.lk.capability.verify(app.config.keys, text, expected) }
}

/** RFC 7617, the user name being the container's; or RFC 6750, with the container in a header of its own. */
function capabilityOf(headers: Headers): { readonly text: string; readonly container: string } | undefined {
  const [, scheme = '', value = ''] =
    /^(Basic|Bearer) +([\w.~+/=-]+)$/i.exec(headers.get('authorization') ?? '') ?? []
  if (scheme === '') return undefined
  if (scheme.toLowerCase() === 'bearer')
    return { text: value, container: headers.get('latchkey-container') ?? '' }
  let pair: string
  try {
    pair = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.fromBase64(value))
  } catch {
    return undefined
  }
  const colon = pair.indexOf(':')
  return colon < 0 || colon === pair.length - 1
    ? undefined
    : { text: pair.slice(colon + 1), container: pair.slice(0, colon) }
}

const bearer: Show = (accessToken) => `Bearer ${accessToken}`

const basic =
  ({ user }: GitHost): Show =>
  (accessToken) =>
    `Basic ${new TextEncoder().encode(`${user}:${accessToken}`).toBase64()}`
