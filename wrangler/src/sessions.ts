/** What a caller may do with a session's messages, whichever way the call came in. */
import {
  LatchkeyError,
  type CapabilityClaims,
  type MessageReport,
  type Owner,
  type Principal,
  type ProviderSettings,
  type Repo,
  type RepoHost,
  type Rule,
} from 'latchkey'
import { providerNamed, random, type App } from './app.ts'
import { giveToken, vaultOf } from './connections.ts'
import { sessionName } from './names.ts'
import { codeOf, Refusal, type Code } from './refusal.ts'
import type {
  Acknowledged,
  Answered,
  HeldCapability,
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
  /** Where a connection has the credential and its provider is an app: who acts, and why. */
  readonly acts?: 'user' | 'installation'
  readonly reason?: Rule
}

/** What a workspace is given to ask for the credential with. */
export interface SessionCapability {
  readonly capability: string
  readonly expiresAt: number
  /** The canonical clone URL. */
  readonly repo: string
}

/** False: there was nothing to end. */
export interface Over {
  readonly ended: boolean
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

/** Ends every capability that was made for the session, and leaves the session as it is. */
export async function endSessionCapabilities(app: App, principal: Principal, id: string): Promise<Over> {
  return { ended: value(await ownSession(app, principal, id).endCapabilities()) }
}

/** Removes the session with everything in it; whatever was handed out for it is dead. Can be done twice. */
export async function endSession(app: App, principal: Principal, id: string): Promise<Over> {
  return { ended: await ownSession(app, principal, id).erase() }
}

/** For the session's owner: the credential that came with its messages, as it is now, else a connection's. */
export async function sessionCredential(
  app: App,
  principal: Principal,
  id: string,
  request: unknown,
): Promise<GitLogin> {
  const { url, provider } = members(request, ['url', 'provider'])
  const reference = text(url)
  const { cloneUrl, user } = repositoryAt(app, reference)
  const session = ownSession(app, principal, id)
  const { token } = value(await session.credential(cloneUrl))
  if (token !== null && provider === undefined) return { username: user, password: token }
  return await connectedLogin(app, principal, session, connectionFor(app, reference, provider))
}

/** The same decision as for a token at a repository, and kept as long as the session: the person's, or the app's. */
async function connectedLogin(
  app: App,
  principal: Principal,
  session: ReturnType<typeof ownSession>,
  { provider, repo }: ConnectedRepository,
): Promise<GitLogin> {
  const { cloneUrl, user } = repo
  const options = { repo: cloneUrl, minValidityMs: loginValidityMs }
  const { accessToken, acts, reason } = await giveToken(app, principal, provider.name, options, {
    identity: () => session.identity(cloneUrl),
    actAs: (installation) => session.actAs(cloneUrl, installation),
  })
  const told = provider.app && acts && reason && { acts, reason }
  return { username: user, password: accessToken, ...told }
}

/** What git is given has at least so long to get there. */
const loginValidityMs = 60_000

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
  const session = ownSession(app, principal, id)
  // Before: one that is ended meanwhile is what is made here, too.
  const epoch = await session.epoch()
  const { credential } = value(await session.state())
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
    can: ['fetch', 'push'],
    epoch,
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

/** As `sessionCredential`, for whoever works in the session and holds a capability: the core says of which ones. */
export async function redeemCapability(
  app: App,
  held: HeldCapability,
  id: string,
  request: unknown,
): Promise<GitLogin> {
  const { capability, container = '' } = held
  const verify = (epoch: number) =>
    app.lk.capability.verify(app.config.keys, capability, { now: Date.now(), container, epoch })
  const claims = verify(0)
  const { url } = members(request, ['url'])
  const { cloneUrl, user } = repositoryAt(app, text(url))
  const ender = app.lk.capability.redeem(claims, { own: sessionProvider(id), repo: cloneUrl })
  const { owner, provider } = claims
  const session = sessionOf(app, owner, id)
  // What is a connection's is not traded for: it goes through the proxy, which shows it to nobody.
  const login = async (own?: HeldCapability): Promise<GitLogin> => {
    const { token } = value(await session.credential(cloneUrl, own))
    if (token === null) throw new Refusal('not_found')
    return { username: user, password: token }
  }
  if (ender === 'session') return await login(held)
  const vault = vaultOf(app, { owner, provider })
  verify(await vault.epoch())
  const given = await login()
  // What ended while the session was asked counts too.
  verify(await vault.epoch())
  return given
}

const usualLifeMs = 3_600_000
/** As the core knows it. */
const sessionProvider = (id: string): string => `session:${id}`

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
  const found = readings(app, url).find(
    ({ provider }) => kind === 'git' || (kind === 'github') === (provider === 'github'),
  )
  if (!found) throw new Refusal('repo_host_not_allowed')
  return { kind, url: found.cloneUrl }
}

/** As the first that knows the host reads it; it is the same one as often as it is asked about. */
const repositoryAt = (app: App, url: unknown): Repo => readings(app, url)[0]!

/**
 * Every way to read it. Any host that speaks git over https may be named: the credential that goes there is the caller's
 * own.
 */
function readings(app: App, url: unknown): readonly Repo[] {
  const reference = text(url)
  const usual = readAt(app, reference)
  const known = [...connectedAt(app, reference).map(({ repo }) => repo), ...(usual ? [usual] : [])]
  return known.length > 0 ? known : [app.lk.repo.parse(reference, { hosts: [hostOf(app, reference)] })]
}

/** Undefined: it is somewhere else. */
function readAt(app: App, reference: string, hosts?: readonly RepoHost[]): Repo | undefined {
  try {
    return app.lk.repo.parse(reference, hosts && { hosts })
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.code !== 'repo_host_not_allowed') throw error
    return undefined
  }
}

interface ConnectedRepository {
  readonly provider: ProviderSettings
  readonly repo: Repo
}

/** Each provider whose connections reach that repository. */
const connectedAt = (app: App, reference: string): ConnectedRepository[] =>
  app.config.providers.flatMap((provider) => {
    const repo = provider.git && readAt(app, reference, [provider.git])
    return repo ? [{ provider, repo }] : []
  })

/** The one that is named, or that is the only one: never one of several. */
function connectionFor(app: App, reference: string, name: unknown): ConnectedRepository {
  const named = name === undefined ? undefined : providerNamed(app, text(name))
  const found = connectedAt(app, reference).filter(
    ({ provider }) => named === undefined || provider === named,
  )
  if (found.length > 1) throw new Refusal('request_invalid')
  const [only] = found
  if (!only) throw new Refusal(named ? 'repo_host_not_allowed' : 'not_found')
  return only
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
