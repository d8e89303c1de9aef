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
import { codeOf, Refusal } from './refusal.ts'
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

/** What the core said: to the same question it says the same again, so it is asked once. The oldest makes room. */
interface Decided {
  readonly facts: ReadFacts
  readonly places: readonly Place[]
  /** Before any place has answered. */
  readonly start: Step
}

/** Where a question stands: what is held in each place as far as it is known, and what the core makes of that. */
interface Step {
  readonly held: readonly Held[]
  /** Undefined where the first place is asked without a question to the core. */
  readonly choice: ReadChoice | undefined
  /** The place that is asked, or that was chosen. */
  readonly at: number
  /** By what that place turns out to hold. */
  readonly after: Map<Held, Step>
}

const maxDecided = 1_000
const decided = new WeakMap<ProviderSettings, Map<string, Decided>>()

function decidedFor(
  app: App,
  principal: Principal,
  provider: ProviderSettings,
  only: OwnerKind | undefined,
): Decided {
  let known = decided.get(provider)
  if (!known) decided.set(provider, (known = new Map<string, Decided>()))
  const { subject, org } = principal
  // No two questions are one text: the length says where the organisation's name ends.
  const question = `${only} ${org === undefined ? '' : `${org.length} ${org}`} ${subject}`
  const found = known.get(question)
  if (found) return found
  const facts = readFacts(principal, provider, only)
  const { places } = app.lk.scope.readPlan(facts)
  const [oldest] = known.keys()
  if (known.size >= maxDecided && oldest !== undefined) known.delete(oldest)
  const held = places.map((): Held => 'unasked')
  const start =
    places.length === 0
      ? stepTo(app, facts, places, held)
      : { held, choice: undefined, at: 0, after: new Map<Held, Step>() }
  const made = { facts, places, start }
  known.set(question, made)
  return made
}

/** Time is of no matter: no place that is asked here says that something was rejected at a time. */
function stepTo(app: App, facts: ReadFacts, places: readonly Place[], held: readonly Held[]): Step {
  const found = places.map(({ scope, id }, n): Candidate => ({ scope, id, held: held[n]! }))
  const choice = app.lk.scope.resolve(facts, found, { now: Date.now() })
  const at = places.findIndex(({ scope }) => scope === choice.place?.scope)
  return { held, choice, at, after: new Map() }
}

type Answer = TokenResult | Unanswered

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
): Promise<{ choice: ReadChoice; answer: Answer | undefined }> {
  const { facts, places, start } = decidedFor(app, principal, provider, only)
  const answers: (Answer | undefined)[] = []
  for (let step = start; ;) {
    const { choice, at, after } = step
    const place = places[at]
    if (choice !== undefined && (choice.outcome !== 'ask' || !place)) return { choice, answer: answers[at] }
    let answer: Answer
    try {
      answer = await ask(place!)
    } catch (error) {
      // What was refused was answered.
      if (error instanceof Refusal) throw error
      answer = new Unanswered(error)
    }
    answers[at] = answer
    const held = heldBy(answer)
    let next = after.get(held)
    if (!next) after.set(held, (next = stepTo(app, facts, places, step.held.with(at, held))))
    step = next
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

/** Whether a caller acts for themselves, or for their organisation: its owners and admins do. */
export function actsFor(app: App, principal: Principal, owner: OwnerKind): boolean {
  try {
    app.lk.scope.connectTarget({ ...factsOf(principal), requested: owner })
    return true
  } catch (error) {
    if (codeOf(error) === 'not_allowed') return false
    throw error
  }
}

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
