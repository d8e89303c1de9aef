/** What a caller may do with a session's messages, whichever way the call came in. */
import {
  LatchkeyError,
  type CapabilityClaims,
  type MessageReport,
  type Owner,
  type Principal,
  type RepoHost,
} from 'latchkey'
import { random, type App } from './app.ts'
import { vaultOf } from './connections.ts'
import { sessionName } from './names.ts'
import { codeOf, Refusal, type Code } from './refusal.ts'
import type {
  Acknowledged,
  Answered,
  Incoming,
  Next,
  Repository,
  SessionState,
  Settled,
} from './session-object.ts'

/** What `git` is told to sign in with. */
export interface GitLogin {
  readonly username: string
  readonly password: string
}

/** What a workspace is given to ask for the credential with. */
export interface SessionCapability {
  readonly capability: string
  readonly expiresAt: number
  /** The canonical clone URL. */
  readonly repo: string
}

type Json = Readonly<Record<string, unknown>>

/** What the Worker takes where nothing is configured. */
const usualModes = 'code,plan,ask,debug'
const unnamedModel = 'default'
const mostNames = 32

/** Names with commas between. */
function names(configured: string): string[] {
  const found = configured.split(',').map((name) => name.trim())
  const all = found.filter((name) => name !== '')
  if (all.length > mostNames) throw new Refusal('misconfigured')
  return all
}

const sessionOf = (app: App, owner: Owner, id: string) =>
  app.env.SESSION.getByName(sessionName(app.config.baseUrl, { owner, id: app.lk.guard.name(id) }))
const ownSession = (app: App, { subject }: Principal, id: string) =>
  sessionOf(app, { kind: 'user', id: subject }, id)

/** Takes a message in; the same one as often as it comes. */
export async function postMessage(
  app: App,
  principal: Principal,
  id: string,
  message: unknown,
): Promise<Acknowledged> {
  const session = ownSession(app, principal, id)
  return value(await session.admit(incoming(app, message)))
}

/** Leases the message whose turn it is to whoever works on the session. */
export async function nextMessage(app: App, principal: Principal, id: string): Promise<Next> {
  return value(await ownSession(app, principal, id).next())
}

/** What became of a message. */
export async function settleMessage(
  app: App,
  principal: Principal,
  id: string,
  messageId: string,
  report: unknown,
): Promise<Settled> {
  const session = ownSession(app, principal, id)
  return value(await session.settle(messageId, reportOf(report)))
}

export async function describeMessages(app: App, principal: Principal, id: string): Promise<SessionState> {
  return value(await ownSession(app, principal, id).state())
}

/** The session's credential as it is now, for its owner. */
export function sessionCredential(
  app: App,
  { subject }: Principal,
  id: string,
  request: unknown,
): Promise<GitLogin> {
  return login(app, { kind: 'user', id: subject }, id, request)
}

/** What work in the session is handed instead of the credential: good for asking for it, as it is then. */
export async function mintSessionCapability(
  app: App,
  principal: Principal,
  id: string,
  request: unknown,
): Promise<SessionCapability> {
  const { container, ttlMs = usualLifeMs } = members(request, ['container', 'ttlMs'])
  if (typeof ttlMs !== 'number' || (container !== undefined && text(container) === ''))
    throw new Refusal('request_invalid')
  const { credential } = value(await ownSession(app, principal, id).state())
  if (!credential) throw new Refusal('not_found')
  const { subject } = principal
  const now = Date.now()
  const expiresAt = Math.floor((now + ttlMs) / 1_000) * 1_000
  const claims: CapabilityClaims = {
    purpose: 'git',
    subject,
    owner: { kind: 'user', id: subject },
    provider: sessionProvider(id),
    repo: credential.url,
    ...(container !== undefined && { container: container as string }),
    can: wholeCredential,
    epoch: 0,
    expiresAt,
  }
  try {
    const capability = app.lk.capability.mint(app.config.keys, claims, { now, entropy: random(16) })
    return { capability, expiresAt, repo: credential.url }
  } catch (error) {
    // What cannot be made of what was asked for is the caller's mistake, not a bad capability.
    throw codeOf(error) === 'capability_invalid' ? new Refusal('request_invalid') : error
  }
}

/**
 * As `sessionCredential`, for whoever works in the session and holds a capability of its owner's for that repository. It has
 * to allow everything that the credential does: what was narrowed is not traded for something wider.
 */
export async function redeemCapability(
  app: App,
  held: { readonly capability: string; readonly container?: string },
  id: string,
  request: unknown,
): Promise<GitLogin> {
  const { capability, container = '' } = held
  const verify = (epoch: number) =>
    app.lk.capability.verify(app.config.keys, capability, { now: Date.now(), container, epoch })
  const { purpose, owner, provider, repo = '', can } = verify(0)
  const isOthers = provider.startsWith(sessionProvider('')) && provider !== sessionProvider(id)
  if (purpose !== 'git' || isOthers || !wholeCredential.every((verb) => can.includes(verb)))
    throw new Refusal('not_allowed')
  // One of a connection ends with it; a session's own ends with the session.
  if (provider !== sessionProvider(id)) verify(await vaultOf(app, { owner, provider }).epoch())
  return await login(app, owner, id, request, repo)
}

const usualLifeMs = 3_600_000
const wholeCredential = ['fetch', 'push'] as const
/** No provider can be configured under such a name: the capability opens nothing else. */
const sessionProvider = (id: string): string => `session:${id}`

/** Refused alike whether there is no session, no credential, or one for another repository. */
async function login(app: App, owner: Owner, id: string, request: unknown, only?: string): Promise<GitLogin> {
  const { url } = members(request, ['url'])
  const { provider, cloneUrl } = repositoryAt(app, url)
  if (only !== undefined && only !== cloneUrl) throw new Refusal('repository_mismatch')
  const { token } = value(await sessionOf(app, owner, id).credential(cloneUrl))
  return { username: usernames[provider], password: token }
}

/** What each host wants for a user name beside a token; others do not look at it. */
const usernames = {
  github: 'x-access-token',
  gitlab: 'oauth2',
  bitbucket: 'x-token-auth',
  git: 'git',
} as const

function value<T>(answered: Answered<T>): T {
  if (answered.ok) return answered.value
  throw new Refusal(misread.has(answered.code) ? 'request_invalid' : answered.code)
}

/** What the core says of an argument that has no right form. */
const misread: ReadonlySet<Code> = new Set([
  'claim_invalid',
  'time_invalid',
  'utf8_invalid',
  'output_too_small',
])

/** An object with no other members than these. */
function members<Name extends string>(
  from: unknown,
  known: readonly Name[],
): Readonly<Partial<Record<Name, unknown>>> {
  if (typeof from !== 'object' || from === null || Array.isArray(from)) throw new Refusal('request_invalid')
  const { ...found } = from as Json
  if (!Object.keys(found).every((name) => (known as readonly string[]).includes(name)))
    throw new Refusal('request_invalid')
  return found as Partial<Record<Name, unknown>>
}

function text(from: unknown): string {
  if (typeof from !== 'string') throw new Refusal('request_invalid')
  return from
}

function incoming(app: App, message: unknown): Incoming {
  const given = members(message, [
    'messageId',
    'turn',
    'mode',
    'model',
    'repository',
    'gitToken',
    'composedAt',
  ])
  const repository = repositoryOf(app, given.repository)
  const { gitToken, composedAt } = given
  if (gitToken !== undefined) text(gitToken)
  if (composedAt !== undefined && typeof composedAt !== 'number') throw new Refusal('request_invalid')
  const kind = repository.kind === 'git' ? 'generic_git' : repository.kind
  const offer = app.lk.admission.offer(kind, gitToken as string | undefined)
  // A credential is for one repository: without one it could be sent anywhere.
  if (offer === 'credential' && repository.url === undefined) throw new Refusal('repo_invalid')
  return {
    candidate: {
      id: text(given.messageId),
      turn: text(given.turn),
      mode: text(given.mode),
      model: given.model === undefined ? unnamedModel : text(given.model),
      modes: names(app.env.SESSION_MODES ?? usualModes),
      models: names(app.env.SESSION_MODELS ?? ''),
      offer,
      ...(composedAt !== undefined && { composedAt }),
    },
    repository,
    ...(offer === 'credential' && { credential: { token: gitToken as string, url: repository.url! } }),
  }
}

function repositoryOf(app: App, from: unknown): Repository {
  const { kind, url } = members(from, ['kind', 'url'])
  if (kind !== 'git' && kind !== 'github' && kind !== 'gitlab') throw new Refusal('request_invalid')
  if (url === undefined) return { kind }
  const { provider, cloneUrl } = repositoryAt(app, url)
  if ((kind === 'github') !== (provider === 'github') && kind !== 'git')
    throw new Refusal('repo_host_not_allowed')
  return { kind, url: cloneUrl }
}

/** Any host that speaks git over https may be named: the credential that goes there is the caller's own. */
function repositoryAt(app: App, url: unknown) {
  const reference = text(url)
  try {
    return app.lk.repo.parse(reference)
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.code !== 'repo_host_not_allowed') throw error
  }
  return app.lk.repo.parse(reference, { hosts: [hostOf(app, reference)] })
}

function hostOf(app: App, reference: string): RepoHost {
  const at = URL.parse(reference)
  if (!at || at.host === '') throw new Refusal('repo_host_not_allowed')
  const plain = at.protocol === 'http:' && app.config.dev && app.lk.guard.isLoopbackHost(at.host)
  return { provider: 'git', host: at.host, ...(plain && { plain }) }
}

function reportOf(from: unknown): MessageReport {
  const { outcome, failure, sends } = members(from, ['outcome', 'failure', 'sends'])
  if (outcome !== 'undelivered' && (failure !== undefined || sends !== undefined))
    throw new Refusal('request_invalid')
  return { outcome, failure, sends } as MessageReport
}
