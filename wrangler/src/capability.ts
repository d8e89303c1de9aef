/** Capabilities: what a caller hands to work that must not see the token. */
import type { CapabilityClaims, CapabilityVerb, Owner, Principal, Rule } from 'latchkey'
import { providerNamed, random, type App } from './app.ts'
import { giveToken, vaultOf, type OwnerKind, type TokenGrant } from './connections.ts'
import { codeOf, Refusal } from './refusal.ts'

export interface CapabilityRequest {
  readonly provider: string
  readonly owner?: OwnerKind
  /** Any form of a reference to one repository. */
  readonly repo: string
  /** Where alone it may be used; the user name that git sends there. */
  readonly container?: string
  readonly can: readonly CapabilityVerb[]
  readonly ttlMs?: number
  readonly purpose?: CapabilityClaims['purpose']
}

export interface CapabilityGrant {
  readonly capability: string
  readonly expiresAt: number
  /** The canonical clone URL. */
  readonly repo: string
  /** What git is given instead of it. */
  readonly remote: string
  /** Where the provider is an app: who would act now, and why. Each use decides anew, and names it in its answer. */
  readonly acts?: 'user' | 'installation'
  readonly reason?: Rule
}

const usualLifeMs = 3_600_000

/** Of a connection that the caller may read, and that gives a token now. Nothing is stored. */
export async function mintCapability(
  app: App,
  principal: Principal,
  { provider: name, owner: wanted, repo: reference, container, can, ttlMs, purpose }: CapabilityRequest,
): Promise<CapabilityGrant> {
  const { lk, config } = app
  const provider = providerNamed(app, name)
  if (!provider.git) throw new Refusal('repo_host_not_allowed')
  const repo = lk.repo.parse(reference, { hosts: [provider.git] })
  const { source, acts, reason } = await giveToken(app, principal, provider.name, {
    ...(wanted && { owner: wanted }),
    ...(provider.app && { repo: reference }),
  })
  const owner = ownerOf(principal, source)
  const epoch = await vaultOf(app, { owner, provider: provider.name }).epoch()
  const now = Date.now()
  const expiresAt = Math.floor((now + (ttlMs ?? usualLifeMs)) / 1_000) * 1_000
  const claims = {
    purpose: purpose ?? 'git',
    subject: principal.subject,
    owner,
    provider: provider.name,
    repo: repo.cloneUrl,
    ...(container !== undefined && { container }),
    can,
    epoch,
    expiresAt,
  }
  const { owner: group, name: project } = repo
  return {
    capability: mint(app, claims, now),
    expiresAt,
    repo: repo.cloneUrl,
    remote: `${config.baseUrl}/git/${provider.name}/${group}/${project}.git`,
    ...(acts && { acts }),
    ...(reason && { reason }),
  }
}

/** What cannot be made of what was asked for is the caller's mistake, not a bad capability. */
function mint({ lk, config }: App, claims: CapabilityClaims, now: number): string {
  try {
    return lk.capability.mint(config.keys, claims, { now, entropy: random(16) })
  } catch (error) {
    throw codeOf(error) === 'capability_invalid' ? new Refusal('request_invalid') : error
  }
}

/** The deployment's own token has no vault that could end what was made of it. */
function ownerOf({ subject, org }: Principal, source: TokenGrant['source']): Owner {
  if (source === 'deployment') throw new Refusal('not_allowed')
  if (source === 'user') return { kind: 'user', id: subject }
  if (org === undefined) throw new Refusal('not_connected')
  return { kind: 'org', id: org }
}
