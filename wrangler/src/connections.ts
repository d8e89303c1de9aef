/** What a caller may do with connections, whichever way the call came in. */
import type { Owner, Principal, ProviderSettings, ReceiptReason, TokenSource } from 'latchkey'
import type { NoToken, TokenResult } from 'latchkey/connection'
import { providerNamed, type App } from './app.ts'
import { vaultName, type ConnectionKey } from './names.ts'
import { Refusal } from './refusal.ts'
import { nothing, type ConnectionStatus, type Generation } from './vault.ts'

export type OwnerKind = Owner['kind']

/** One line of the list; without a connection only provider, title, owner and status say anything. */
export interface ConnectionItem {
  readonly provider: string
  readonly title: string
  readonly owner: Owner
  readonly account: string | null
  readonly status: ConnectionStatus['status'] | 'not_connected' | 'temporarily_unavailable'
  readonly scopes: string[]
  readonly connectedAt: number | null
  readonly expiresAt: number | null
  readonly refreshAt: number | null
  readonly generation: Generation | null
  /** Until when somebody may come who was sent a connect link for it. */
  readonly awaitedUntil: number | null
}

export interface TokenGrant {
  readonly accessToken: string
  readonly expiresAt: number | null
  readonly generation: Generation
  /** Whose connection it came from. */
  readonly source: OwnerKind
  /** How it was obtained: it was there, was refreshed for this call, or by another one that this call waited for. */
  readonly obtained: TokenSource
}

export interface TokenOptions {
  readonly owner?: OwnerKind
  readonly minValidityMs?: number
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
  const { subject, org, role } = principal
  const facts = { subject, ...(org !== undefined && { org }), ...(role !== undefined && { role }) }
  const target =
    requested === undefined
      ? app.lk.scope.writeTarget(facts)
      : app.lk.scope.connectTarget({ ...facts, requested })
  return { kind: target.scope, id: target.id }
}

export async function listConnections(app: App, principal: Principal): Promise<ConnectionItem[]> {
  const items = app.config.providers.flatMap((provider) =>
    readableOwners(principal).map((owner) => listItem(app, provider, owner)),
  )
  return await Promise.all(items)
}

/** The caller's own connection before the organisation's, unless one of them is asked for. */
export async function giveToken(
  app: App,
  principal: Principal,
  providerName: string,
  options: TokenOptions,
): Promise<TokenGrant> {
  const minValidityMs = options.minValidityMs ?? 0
  if (!Number.isSafeInteger(minValidityMs) || minValidityMs < 0 || minValidityMs > longestValidityMs)
    throw new Refusal('request_invalid')
  return await grant(app, principal, providerName, options.owner, (vault) => vault.token(minValidityMs))
}

/** Another token than the named generation's, whatever its age. */
export function rotateToken(
  app: App,
  principal: Principal,
  providerName: string,
  options: GenerationOptions,
): Promise<TokenGrant> {
  const generation = checkedGeneration(options.generation)
  return grant(app, principal, providerName, options.owner, (vault) => vault.rotate(generation))
}

/** As `rotateToken`, for a generation whose access token a resource server has refused. */
export function reportRejected(
  app: App,
  principal: Principal,
  providerName: string,
  options: GenerationOptions,
): Promise<TokenGrant> {
  const generation = checkedGeneration(options.generation)
  return grant(app, principal, providerName, options.owner, (vault) => vault.reportRejected(generation))
}

async function grant(
  app: App,
  principal: Principal,
  providerName: string,
  requested: OwnerKind | undefined,
  ask: (vault: ReturnType<typeof vaultOf>) => Promise<TokenResult>,
): Promise<TokenGrant> {
  const provider = providerNamed(app, providerName).name
  const wanted = ownerKind(requested)
  for (const owner of readableOwners(principal)) {
    if (wanted !== undefined && wanted !== owner.kind) continue
    const result = await ask(vaultOf(app, { owner, provider }))
    if (result.outcome === 'ok') {
      const { accessToken, expiresAt, generation, source } = result
      return { accessToken, expiresAt, generation, source: owner.kind, obtained: source }
    }
    if (result.outcome !== 'not_connected') throw refusal(result)
  }
  throw new Refusal('not_connected')
}

function checkedGeneration({ id, version }: Generation): Generation {
  const isId = typeof id === 'string' && /^[\w-]{21}[AQgw]$/.test(id)
  if (!isId || !Number.isSafeInteger(version) || version < 1) throw new Refusal('request_invalid')
  return { id, version }
}

/** RFC 9110 section 10.2.3: when to come again is said in whole seconds. */
function refusal({ outcome, cause, retryAt }: NoToken): Refusal {
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
  const provider = providerNamed(app, providerName).name
  const key = { owner: writtenOwner(app, principal, requested), provider }
  const result = await vaultOf(app, key).disconnect()
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
  const provider = providerNamed(app, providerName).name
  const owner = readableOwners(principal).find(({ kind }) => kind === (requested ?? 'user'))
  const token = owner && (await vaultOf(app, { owner, provider }).lastState())
  if (!token) throw new Refusal('not_connected')
  return token
}

/** The order is the read order: the person, then the organisation. */
const readableOwners = ({ subject, org }: Principal): Owner[] => [
  { kind: 'user', id: subject },
  ...(org === undefined ? [] : [{ kind: 'org', id: org } as const]),
]

async function listItem(
  app: App,
  { name: provider, title }: ProviderSettings,
  owner: Owner,
): Promise<ConnectionItem> {
  const line = { provider, title, owner }
  try {
    const found = await vaultOf(app, { owner, provider }).status()
    return { ...line, ...(found ?? { ...nothing, scopes: [], status: 'not_connected' }) }
  } catch {
    // One vault that does not answer does not hide the others.
    return { ...line, ...nothing, scopes: [], status: 'temporarily_unavailable' }
  }
}
