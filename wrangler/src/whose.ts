/** Whose connection a call uses, and who may change one. The core decides; here it is told what the vaults hold. */
import type {
  Candidate,
  OwnerScope,
  Place,
  Principal,
  ProviderSettings,
  ReadChoice,
  ReadFacts,
  Rule,
  RulePath,
  ScopeFacts,
} from 'latchkey'
import type { TokenResult } from 'latchkey/connection'
import type { App } from './app.ts'
import type { OwnerKind } from './connections.ts'
import { Refusal } from './refusal.ts'
import type { ConnectionStatus } from './vault.ts'

type Held = Candidate['held']
export type Verb = 'connect' | 'disconnect'

/** What a caller may do with one connection, or in words why not. */
export interface Permission {
  readonly verb: Verb
  readonly owner: OwnerKind
  readonly ok: boolean
  /** HTTP status of the refusal. */
  readonly status: number | null
  /** What decided. */
  readonly rule: Rule
  readonly sentences: readonly string[]
}

/** Whose connection a call of this caller would use now, and by which rules. */
export interface Why {
  readonly provider: string
  readonly outcome: ReadChoice['outcome']
  /** Which place decided, where one did. */
  readonly place: Place | null
  /** Every place that is read, in order. */
  readonly places: readonly Place[]
  readonly path: RulePath
  readonly sentences: readonly string[]
  /** Which owners in the caller's own organisation have one. */
  readonly gap: readonly OwnerScope[]
  readonly may: readonly Permission[]
}

/** A vault that did not answer; what it would have said is not known. */
export class Unanswered {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

export const factsOf = ({ subject, org, role }: Principal): ScopeFacts => ({
  subject,
  ...(org !== undefined && { org }),
  ...(role !== undefined && { role }),
})

const readFacts = (
  { subject, org }: Principal,
  { policy }: ProviderSettings,
  only: OwnerKind | undefined,
): ReadFacts => ({
  subject,
  ...(org !== undefined && { org }),
  policy: only === undefined ? policy : { ...policy, only },
})

export const readPlaces = (
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  only?: OwnerKind,
): readonly Place[] => app.lk.scope.readPlan(readFacts(principal, provider, only)).places

/** What an answer about a token says of the place that it came from. */
export function heldBy(answer: TokenResult | Unanswered): Held {
  if (answer instanceof Unanswered) return 'unanswered'
  switch (answer.outcome) {
    case 'ok':
    case 'temporarily_unavailable':
      return 'whole'
    case 'not_connected':
      return answer.cause === undefined ? 'nothing' : 'revoked'
    case 'revoked':
      return 'revoked'
    case 'reconnect_required':
    case 'corrupt':
      return 'refused'
  }
}

/** The same of what a vault says without giving a token. */
export function heldAs(status: ConnectionStatus | null | Unanswered): Held {
  if (status instanceof Unanswered) return 'unanswered'
  switch (status?.status) {
    case undefined:
    case 'not_connected':
      return 'nothing'
    case 'connected':
    case 'refreshing':
      return 'whole'
    case 'revoked':
    case 'disconnected':
      return 'revoked'
    case 'reconnect_required':
    case 'corrupt':
      return 'refused'
  }
}

/**
 * Asks one place after the other until the core has enough to choose by. Where the first one holds a connection, as it
 * mostly does, no other is asked.
 */
export async function choose(
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  only: OwnerKind | undefined,
  ask: (place: Place) => Promise<TokenResult>,
): Promise<{ choice: ReadChoice; answer: TokenResult | Unanswered | undefined }> {
  const facts = readFacts(principal, provider, only)
  const { places } = app.lk.scope.readPlan(facts)
  const answers = new Map<OwnerScope, TokenResult | Unanswered>()
  let [next] = places
  for (;;) {
    if (next) answers.set(next.scope, await ask(next).catch((error: unknown) => new Unanswered(error)))
    const found = places.map(({ scope, id }): Candidate => {
      const answer = answers.get(scope)
      return { scope, id, held: answer === undefined ? 'unasked' : heldBy(answer) }
    })
    const choice = app.lk.scope.resolve(facts, found, { now: Date.now() })
    if (choice.outcome !== 'ask') return { choice, answer: choice.place && answers.get(choice.place.scope) }
    next = choice.place
  }
}

/** The rule path of a call, by what lies where: `held` of a scope that was not asked about is nothing. */
export function explainWhy(
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  only: OwnerKind | undefined,
  held: ReadonlyMap<OwnerScope, Held>,
): Why {
  const { scope } = app.lk
  const facts = readFacts(principal, provider, only)
  const { places } = scope.readPlan(facts)
  const candidates = (all: readonly Place[]): Candidate[] =>
    all.map((place) => ({ ...place, held: held.get(place.scope) ?? 'nothing' }))
  const { outcome, place, path } = scope.resolve(facts, candidates(places), { now: Date.now() })
  const { has } = scope.gap(facts, candidates(ownPlaces(principal)))
  return {
    provider: provider.name,
    outcome,
    place: place ?? null,
    places,
    path,
    sentences: scope.explain(path),
    gap: has,
    may: permissions(app, principal, provider),
  }
}

/** Where a connection of this caller may be kept, whether or not it is read. */
export const ownPlaces = ({ subject, org }: Principal): readonly { scope: OwnerKind; id: string }[] => [
  { scope: 'user', id: subject },
  ...(org === undefined ? [] : [{ scope: 'org', id: org } as const]),
]

const verdictOf = (
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  verb: Verb,
  owner: OwnerKind,
  targetOrg?: string,
) =>
  app.lk.scope.mayMutate({
    ...factsOf(principal),
    requested: owner,
    verb,
    device: principal.kind === 'device',
    registered: true,
    connected: true,
    unread: !readPlaces(app, principal, provider).some(({ scope }) => scope === owner),
    ...(targetOrg !== undefined && { targetOrg }),
  })

export function permission(
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  verb: Verb,
  owner: OwnerKind,
): Permission {
  const { ok, status, path } = verdictOf(app, principal, provider, verb, owner)
  const { rule } = path.at(-1)!
  return { verb, owner, ok, status: status ?? null, rule, sentences: app.lk.scope.explain(path) }
}

const permissions = (app: App, principal: Principal, provider: ProviderSettings): Permission[] =>
  ownPlaces(principal).flatMap(({ scope }) =>
    (['connect', 'disconnect'] as const).map((verb) => permission(app, principal, provider, verb, scope)),
  )

/** Refuses with the status that comes first. `targetOrg`: whose it is, where somebody else says so. */
export function mustBeAllowed(
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  verb: Verb,
  owner: OwnerKind,
  targetOrg?: string,
): void {
  const { ok, status } = verdictOf(app, principal, provider, verb, owner, targetOrg)
  if (ok) return
  if (status === 401) throw new Refusal('not_allowed', { status, headers: { 'www-authenticate': 'Bearer' } })
  throw new Refusal('not_allowed')
}
