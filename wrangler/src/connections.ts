/** What a caller may do with connections, whichever way the call came in. */
import type {
  Cause,
  Owner,
  OwnerScope,
  Place,
  Principal,
  ProviderSettings,
  ReadChoice,
  ReceiptReason,
  Repo,
  Rule,
  RulePath,
  TokenSource,
} from 'latchkey'
import type { NoToken, TokenResult } from 'latchkey/connection'
import { deploymentToken, providerNamed, type App } from './app.ts'
import {
  actingAt,
  appToken,
  identify,
  standingAs,
  standingOf,
  type Acting,
  type ActingFacts,
  type Keeper,
  type Pin,
} from './acting.ts'
import { logFailure } from './failure.ts'
import { askToken } from './held-token.ts'
import { vaultName, type ConnectionKey } from './names.ts'
import { Refusal } from './refusal.ts'
import { nothing, type ConnectionStatus, type Generation } from './vault-types.ts'
import {
  choose,
  explainWhy,
  factsOf,
  heldAs,
  mustBeAllowed,
  ownPlaces,
  permission,
  readPlaces,
  Unanswered,
  type Permission,
  type Why,
} from './whose.ts'

export type OwnerKind = Owner['kind']

/** One line of the list; without a connection only provider, title, owner and status say anything. */
export interface ConnectionItem {
  readonly provider: string
  readonly title: string
  readonly owner: Owner
  readonly account: string | null
  readonly status: ConnectionStatus['status'] | 'not_connected' | 'temporarily_unavailable'
  /** Why it has to be connected again, where that is known. */
  readonly cause?: Cause
  readonly scopes: string[]
  readonly connectedAt: number | null
  readonly expiresAt: number | null
  readonly refreshAt: number | null
  readonly generation: Generation | null
  /** What the caller may do with it, or why not. */
  readonly may: readonly Permission[]
  /** Until when somebody may come who was sent a connect link for it. */
  readonly awaitedUntil: number | null
}

export interface TokenGrant {
  readonly accessToken: string
  readonly expiresAt: number | null
  /** Null with the deployment's own, which is not renewed here. */
  readonly generation: Generation | null
  /** Whose connection it came from. */
  readonly source: OwnerKind | 'deployment'
  /** How it was obtained: it was there, was refreshed for this call, or by another one that this call waited for. */
  readonly obtained: TokenSource
  /** Where a repository was named: who acts there, why, and by which rules; an installation is the app's. */
  readonly acts?: 'user' | 'installation'
  readonly reason?: Rule
  readonly installation?: string
  readonly path?: RulePath
}

export interface TokenOptions {
  readonly owner?: OwnerKind
  readonly minValidityMs?: number
  /** Any form of a reference to one repository: where the provider is an app, it may act there in the person's place. */
  readonly repo?: string
  /** With `repo`: nobody else acts. */
  readonly as?: Pin
}

export interface GenerationOptions {
  readonly owner?: OwnerKind
  readonly generation: Generation
}

/** What came of a disconnect: whether the provider revoked, and whether nothing is left here. */
export interface Ended {
  readonly revoked: boolean
  readonly deleted: boolean
  readonly reason?: Exclude<ReceiptReason, 'none'>
}

const longestValidityMs = 24 * 3_600_000
const longestRetryS = 86_400

export const vaultOf = (app: App, key: ConnectionKey) =>
  app.env.VAULT.getByName(vaultName(app.config.baseUrl, key))

/** `user` or `org`, said by a caller; anything else is refused. */
export function ownerKind(value: unknown): OwnerKind | undefined {
  if (value === undefined || value === 'user' || value === 'org') return value
  throw new Refusal('request_invalid')
}

/** Whose connection a caller writes: the one asked for when the role permits it, else what the core chooses. */
export function writtenOwner(app: App, principal: Principal, requested: OwnerKind | undefined): Owner {
  const facts = factsOf(principal)
  const target =
    requested === undefined
      ? app.lk.scope.writeTarget(facts)
      : app.lk.scope.connectTarget({ ...facts, requested })
  return { kind: target.scope, id: target.id }
}

/** Where a caller may connect: refused with the first reason in the order of the core, else whose it becomes. */
export function connectOwner(
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  requested: OwnerKind | undefined,
): Owner {
  const owner = requested ?? app.lk.scope.writeTarget(factsOf(principal)).scope
  mustBeAllowed(app, principal, provider, 'connect', owner)
  return writtenOwner(app, principal, owner)
}

export async function listConnections(app: App, principal: Principal): Promise<ConnectionItem[]> {
  return (await overview(app, principal)).connections
}

/** Everything that the page shows: the connections, and which of them a call would use. */
export async function overview(
  app: App,
  principal: Principal,
): Promise<{ connections: ConnectionItem[]; whys: Why[] }> {
  const looked = await Promise.all(
    app.config.providers.map(async (provider) => ({ provider, found: await look(app, principal, provider) })),
  )
  return {
    connections: looked.flatMap(({ provider, found }) =>
      found.flatMap(({ owner, status }) => listItem(app, principal, provider, owner, status)),
    ),
    whys: looked.map(({ provider, found }) => {
      return explainWhy(app, principal, provider, undefined, heldIn(app, provider, found))
    }),
  }
}

/** Whose connection a call by this caller would use now, and why; no token and nobody else's data. */
export async function why(
  app: App,
  principal: Principal,
  providerName: string,
  requested: OwnerKind | undefined,
  repo?: string,
): Promise<Why & { readonly acting?: ActingWhy }> {
  const provider = providerNamed(app, providerName)
  const reference = repo === undefined ? undefined : repoOf(app, provider, repo)
  const only = ownerKind(requested)
  const found = await look(app, principal, provider)
  const told = explainWhy(app, principal, provider, only, heldIn(app, provider, found))
  if (!reference) return told
  const status = found.find(({ owner }) => owner.kind === told.place?.scope)?.status
  if (status instanceof Unanswered)
    throw new Refusal('temporarily_unavailable', { headers: { 'retry-after': '1' } })
  const facts = actingFacts(principal, told.places, reference)
  const acting = await actingAt(app, provider, told.places, facts, standingAs(status?.status))
  const { place, ...rest } = acting
  return {
    ...told,
    acting: { ...rest, place: place ?? null, sentences: app.lk.scope.explain(acting.path) },
  }
}

/** Who would act at the repository that is asked about, in words. */
export interface ActingWhy extends Omit<Acting, 'place'> {
  readonly place: Place | null
  readonly sentences: readonly string[]
}

interface Looked {
  readonly owner: Owner
  readonly status: ConnectionStatus | null | Unanswered
}

/** Every place that is the caller's, whether or not it is read: one vault that does not answer hides no other. */
const look = (app: App, principal: Principal, { name: provider }: ProviderSettings): Promise<Looked[]> =>
  Promise.all(
    ownPlaces(principal).map(async ({ scope: kind, id }) => {
      const owner = { kind, id }
      try {
        return { owner, status: await vaultOf(app, { owner, provider }).status() }
      } catch (error) {
        return { owner, status: new Unanswered(error) }
      }
    }),
  )

const heldIn = (app: App, provider: ProviderSettings, found: readonly Looked[]) =>
  new Map<OwnerScope, ReturnType<typeof heldAs>>([
    ...found.map(({ owner, status }) => [owner.kind, heldAs(status)] as const),
    ['deployment', deploymentToken(app, provider) === undefined ? 'nothing' : 'whole'],
  ])

/**
 * The first connection in the order of the provider's policy, or the one that is asked for. With `keeper` and `repo` the
 * app that acts once acts from then on.
 */
export function giveToken(
  app: App,
  principal: Principal,
  providerName: string,
  options: TokenOptions,
  keeper?: Keeper,
): Promise<TokenGrant> {
  const { minValidityMs = 0, repo, as } = options
  if (!Number.isSafeInteger(minValidityMs) || minValidityMs < 0 || minValidityMs > longestValidityMs)
    throw new Refusal('request_invalid')
  if (as !== undefined && repo === undefined) throw new Refusal('request_invalid')
  const ask = (vault: string) => askToken(app, vault, minValidityMs)
  return repo === undefined
    ? grant(app, principal, providerName, options.owner, ask)
    : grantAt(app, principal, providerName, { ...options, minValidityMs, repo }, ask, keeper)
}

/** At a repository the app may act in the person's place. */
async function grantAt(
  app: App,
  principal: Principal,
  providerName: string,
  { owner, minValidityMs, repo, as }: TokenOptions & { minValidityMs: number; repo: string },
  ask: (vault: string) => Promise<TokenResult>,
  keeper: Keeper | undefined,
): Promise<TokenGrant> {
  const provider = providerNamed(app, providerName)
  const reference = repoOf(app, provider, repo)
  const only = ownerKind(owner)
  const own =
    as === 'installation'
      ? undefined
      : chosen(await choose(app, principal, provider, only, vaultAsk(app, provider, ask)))
  const standing = standingOf(own?.answer)
  // That it cannot be said now is no reason for the app to act.
  if (standing === undefined) return granted(own)
  const places = readPlaces(app, principal, provider, only)
  const acting = await actingAt(
    app,
    provider,
    places,
    actingFacts(principal, places, reference),
    standing,
    as,
  )
  const step = keeper && (await identify(app, provider, keeper, acting))
  const path = step?.path ?? acting.path
  const told = { reason: step?.path[0]?.rule ?? acting.reason, path }
  if ((step?.next.acts ?? acting.source) === 'installation') {
    const token = await appToken(app, provider, acting, reference, minValidityMs)
    const { accessToken, expiresAt } = token
    const { installation = '', place } = acting
    const source = place?.scope as OwnerKind
    const rest = { generation: null, source, obtained: 'stored', installation, ...told } as const
    return { accessToken, expiresAt, acts: 'installation', ...rest }
  }
  if (acting.source === 'user') return { ...granted(own), acts: 'user', ...told }
  // The person's own token would be good, and may not be used there.
  if (standing === 'good') throw new Refusal('not_allowed')
  return granted(own)
}

const repoOf = ({ lk }: App, { git }: ProviderSettings, reference: string): Repo => {
  if (!git) throw new Refusal('repo_host_not_allowed')
  return lk.repo.parse(reference, { hosts: [git] })
}

/** An organisation that is not read is not looked at for installations either. */
const actingFacts = (
  { subject, org }: Principal,
  places: readonly Place[],
  { owner: account }: Repo,
): ActingFacts => ({
  subject,
  ...(org !== undefined && places.some(({ scope }) => scope === 'org') && { org }),
  account,
})

/** Another token than the named generation's, whatever its age. */
export function rotateToken(
  app: App,
  principal: Principal,
  providerName: string,
  options: GenerationOptions,
): Promise<TokenGrant> {
  const generation = checkedGeneration(options.generation)
  return grant(app, principal, providerName, options.owner, (vault) =>
    app.env.VAULT.getByName(vault).rotate(generation),
  )
}

/**
 * As `rotateToken`, for a generation whose access token a resource server has refused. Where it came in the place of one
 * that was refused, another one would be too: then `upstream_refused`, for as long as the core's mark holds.
 */
export function reportRejected(
  app: App,
  principal: Principal,
  providerName: string,
  options: GenerationOptions,
): Promise<TokenGrant> {
  const generation = checkedGeneration(options.generation)
  return grant(app, principal, providerName, options.owner, async (vault) => {
    const result = await app.env.VAULT.getByName(vault).reportRejected(generation)
    if (result.outcome === 'refused') throw new Refusal(result.code)
    return result
  })
}

async function grant(
  app: App,
  principal: Principal,
  providerName: string,
  requested: OwnerKind | undefined,
  ask: (vault: string) => Promise<TokenResult>,
): Promise<TokenGrant> {
  const provider = providerNamed(app, providerName)
  return granted(
    chosen(await choose(app, principal, provider, ownerKind(requested), vaultAsk(app, provider, ask))),
  )
}

interface Chosen {
  readonly choice: ReadChoice
  readonly answer: TokenResult | undefined
}

/** What is asked of a place: its vault, or what the deployment has. */
const vaultAsk =
  (app: App, provider: ProviderSettings, ask: (vault: string) => Promise<TokenResult>) =>
  (place: Place): Promise<TokenResult> => {
    const vault = vaultAt(app, place, provider)
    return vault === undefined ? Promise.resolve(deploymentAnswer(app, provider)) : ask(vault)
  }

function chosen({ choice, answer }: Awaited<ReturnType<typeof choose>>): Chosen {
  if (!(answer instanceof Unanswered)) return { choice, answer }
  // A vault that does not answer is never taken for an empty one.
  logFailure(answer.error)
  throw new Refusal('temporarily_unavailable', { headers: { 'retry-after': '1' } })
}

function granted(own: Chosen | undefined): TokenGrant {
  const answer = own?.answer
  if (answer === undefined) throw new Refusal('not_connected')
  if (answer.outcome !== 'ok') throw refusal(answer)
  const { accessToken, expiresAt, source: obtained } = answer
  const source = own?.choice.place?.scope
  if (source === 'deployment') return { accessToken, expiresAt, generation: null, source, obtained }
  return {
    accessToken,
    expiresAt,
    generation: answer.generation,
    source: source as OwnerKind,
    obtained,
  }
}

const vaultNames = new WeakMap<Place, string>()

/** The name of the vault at a place of a plan, made once for each; the deployment's own token lies in none. */
function vaultAt({ config }: App, place: Place, { name: provider }: ProviderSettings): string | undefined {
  const known = vaultNames.get(place)
  const owner = known === undefined ? ownerAt(place) : undefined
  if (owner === undefined) return known
  const made = vaultName(config.baseUrl, { owner, provider })
  vaultNames.set(place, made)
  return made
}

/** Whose vault a place is; the deployment's own token lies in none. */
const ownerAt = (place: Place | undefined): Owner | undefined =>
  place?.scope === 'user' || place?.scope === 'org' ? { kind: place.scope, id: place.id } : undefined

/** Kept by whoever runs the deployment, and renewed by them. */
function deploymentAnswer(app: App, provider: ProviderSettings): TokenResult {
  const accessToken = deploymentToken(app, provider)
  if (accessToken === undefined) return { outcome: 'not_connected' }
  const generation = { id: '', version: 1 }
  return { outcome: 'ok', accessToken, expiresAt: null, generation, source: 'stored', persistFailed: false }
}

function checkedGeneration({ id, version }: Generation): Generation {
  const isId = typeof id === 'string' && /^[\w-]{21}[AQgw]$/.test(id)
  if (!isId || !Number.isSafeInteger(version) || version < 1) throw new Refusal('request_invalid')
  return { id, version }
}

/** RFC 9110 section 10.2.3: when to come again is said in whole seconds. */
export function refusal({ outcome, cause, retryAt }: NoToken): Refusal {
  if (retryAt === undefined) return new Refusal(outcome, { cause })
  const seconds = Math.min(longestRetryS, Math.max(1, Math.ceil((retryAt - Date.now()) / 1_000)))
  return new Refusal(outcome, { headers: { 'retry-after': String(seconds) } })
}

/** Never gated: cleaning up works even where connecting is switched off. */
export async function disconnect(
  app: App,
  principal: Principal,
  providerName: string,
  requested: OwnerKind | undefined,
): Promise<Ended> {
  const provider = providerNamed(app, providerName)
  const facts = factsOf(principal)
  const requestedOwner = requested ?? app.lk.scope.writeTarget(facts).scope
  mustBeAllowed(app, principal, provider, 'disconnect', requestedOwner)
  // The plan names one place: the one where the same person would write.
  const { target } = app.lk.scope.deletePlan({ ...facts, requested: requestedOwner })
  const owner = { kind: target.scope, id: target.id }
  const result = await vaultOf(app, { owner, provider: provider.name }).disconnect()
  if (result.outcome !== 'ok') throw refusal(result)
  const { revoked, deleted, reason } = result
  return { revoked, deleted, ...(reason && { reason }) }
}

/** The state token of the last login while it is valid. */
export async function lastState(
  app: App,
  principal: Principal,
  providerName: string,
  requested: OwnerKind | undefined,
): Promise<string> {
  const provider = providerNamed(app, providerName)
  const [place] = readPlaces(app, principal, provider, ownerKind(requested) ?? 'user')
  const owner = ownerAt(place)
  const token = owner && (await vaultOf(app, { owner, provider: provider.name }).lastState())
  if (!token) throw new Refusal('not_connected')
  return token
}

/** What is never read is only shown where there is something to disconnect. */
function listItem(
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  owner: Owner,
  status: ConnectionStatus | null | Unanswered,
): ConnectionItem[] {
  const isRead = readPlaces(app, principal, provider, owner.kind).length > 0
  if (!isRead && heldAs(status) === 'nothing') return []
  const found: Pick<ConnectionItem, 'status'> | ConnectionStatus =
    status instanceof Unanswered
      ? { status: 'temporarily_unavailable' }
      : (status ?? { status: 'not_connected' })
  const may = (['connect', 'disconnect'] as const).map((verb) =>
    permission(app, principal, provider, verb, owner.kind),
  )
  const { name, title } = provider
  return [{ provider: name, title, owner, ...nothing, scopes: [], ...found, may }]
}
