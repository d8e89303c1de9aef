/** What a caller may do with connections, whichever way the call came in. */
import type { DisconnectResult, Owner, Principal, ProviderSettings } from 'latchkey'
import { providerNamed, type App } from './app.ts'
import { vaultName, type ConnectionKey } from './names.ts'
import { Refusal } from './refusal.ts'
import type { ConnectionStatus, Generation } from './vault.ts'

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
  readonly generation: Generation | null
}

export interface TokenGrant {
  readonly accessToken: string
  readonly expiresAt: number | null
  readonly generation: Generation
  /** Whose connection it came from. */
  readonly source: OwnerKind
}

export interface TokenOptions {
  readonly owner?: OwnerKind
  readonly minValidityMs?: number
}

const longestValidityMs = 24 * 3_600_000

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
  const provider = providerNamed(app, providerName).name
  const minValidityMs = options.minValidityMs ?? 0
  if (!Number.isSafeInteger(minValidityMs) || minValidityMs < 0 || minValidityMs > longestValidityMs)
    throw new Refusal('request_invalid')
  const wanted = ownerKind(options.owner)
  for (const owner of readableOwners(principal)) {
    if (wanted !== undefined && wanted !== owner.kind) continue
    const key = { owner, provider }
    const outcome = await vaultOf(app, key).token(key, minValidityMs)
    if (outcome.ok) {
      const { accessToken, expiresAt, generation } = outcome
      return { accessToken, expiresAt, generation, source: owner.kind }
    }
    if (outcome.code !== 'not_connected') throw new Refusal(outcome.code)
  }
  throw new Refusal('not_connected')
}

/** Never gated: cleaning up works even where connecting is switched off. */
export async function disconnect(
  app: App,
  principal: Principal,
  providerName: string,
  requested: OwnerKind | undefined,
): Promise<DisconnectResult> {
  const provider = providerNamed(app, providerName).name
  const key = { owner: writtenOwner(app, principal, requested), provider }
  return await vaultOf(app, key).disconnect(key)
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
  const nothing = { account: null, scopes: [], connectedAt: null, expiresAt: null, generation: null }
  try {
    const found = await vaultOf(app, { owner, provider }).status()
    return { ...line, ...(found ?? { ...nothing, status: 'not_connected' }) }
  } catch {
    // One vault that does not answer does not hide the others.
    return { ...line, ...nothing, status: 'temporarily_unavailable' }
  }
}
