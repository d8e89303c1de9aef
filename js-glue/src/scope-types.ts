import type { abi } from './abi.gen.ts'
import type { KeyRing, Principal, WriteTarget } from './types.ts'

type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>

/** What a decision followed; `scope.explain` says it in a sentence. */
export type Rule = Names<'rule'>

/** Who may own a credential. `solo` is the workspace of a person without an organisation. */
export type OwnerScope = Names<'scope'>

/** The rules of one decision, in the order in which they were followed; the last one decided. */
export type RulePath = readonly { readonly rule: Rule; readonly scope?: OwnerScope }[]

/** A place where a credential may lie. The deployment's has the id `''`. */
export interface Place {
  readonly scope: OwnerScope
  readonly id: string
}

/** Who is asking. Ids are 1..255 bytes of UTF-8 without control characters. */
export interface ScopeFacts {
  readonly subject: string
  readonly org?: string
  readonly role?: string
}

export interface LeaveTarget extends Place {
  readonly rule: Rule
}

export interface ScopePlan {
  readonly target: WriteTarget
  /** What storage has to do, in this order and together. */
  readonly steps: readonly (Place & { readonly action: 'clear' | 'write' })[]
  readonly path: RulePath
}

/** Whether the organisation is known; `failed`: it could not be looked up, which is not "none". */
export type Membership = Names<'membership'>

/** Which owners are read for one provider, and in which order. */
export interface ReadPolicy {
  /** Default `user`, `org`, `workspace`, `deployment`; none twice. Without an organisation `workspace` is the solo one. */
  readonly order?: readonly ('user' | 'org' | 'workspace' | 'deployment')[]
  /** Nothing but the person's own, whatever `order` says. */
  readonly personalOnly?: boolean
  /** The deployment's may be used. */
  readonly deployment?: boolean
  /** A place whose credential has ended does not end the search. */
  readonly pastRevoked?: boolean
  /** This owner's and no other's, as the caller asked. */
  readonly only?: OwnerScope
}

export interface ReadFacts extends Omit<ScopeFacts, 'role'> {
  /** Default `known`. */
  readonly membership?: Membership
  readonly policy?: ReadPolicy
}

/**
 * What lies in one place. `part`: not every required part of the credential is there; `revoked`: its owner ended it, here
 * or at the provider; `refused`: it has to be connected again; `unanswered`: its store did not answer; `unasked`: its
 * store has not been asked yet.
 */
export interface Candidate extends Place {
  readonly held: Names<'held'>
  /** When the provider refused it, where that is marked; the mark holds for less than 15 minutes. */
  readonly rejectedAt?: number
}

export interface ReadChoice {
  /** `ask`: it depends on `place`, which has not been asked yet. */
  readonly outcome: Names<'readOutcome'>
  /** Which place decided, where one did. */
  readonly place?: Place
  readonly path: RulePath
}

export interface Mutation extends ScopeFacts {
  readonly requested: 'user' | 'org' | 'workspace'
  readonly verb: Names<'verb'>
  readonly membership?: Membership
  /** The organisation that the row belongs to, where one is said. */
  readonly targetOrg?: string
  /** With `set`. */
  readonly value?: string
  /** A device is calling. */
  readonly device?: boolean
  /** There is a secret of that name. */
  readonly registered: boolean
  /** It comes from an OAuth connection, which is connected and disconnected; all else is set and removed. */
  readonly connected?: boolean
  /** The policy of its provider never reads it there. */
  readonly unread?: boolean
  readonly validator?: Names<'check'>
  readonly storage?: Names<'check'>
}

export interface MutationVerdict {
  readonly ok: boolean
  /** HTTP status of the refusal. */
  readonly status?: number
  readonly place?: Place
  readonly path: RulePath
}

export interface Installation {
  readonly id: string
  /** Who connected it here. */
  readonly owner: Place
  /** Whose repositories it reaches. */
  readonly account: string
  /** Or blocked. */
  readonly suspended?: boolean
}

export interface InstallationChoice {
  /** `ambiguous` is told outside as `none`. */
  readonly outcome: Names<'chosen'>
  /** Its place in the list; with `one`. */
  readonly index?: number
  readonly path: RulePath
}

/** What a provider says of an installation by itself, and when it was so. */
export interface Said {
  readonly change: Exclude<Names<'word'>, 'none'>
  readonly at: number
}

export interface TokenSourceFacts {
  readonly pin?: Names<'pin'>
  readonly user: Names<'userToken'>
  /** Acting as the person is switched on. */
  readonly userAllowed: boolean
  /** `chooseInstallation` found one. */
  readonly installed: boolean
  readonly lite?: boolean
  /** The installation has contents and pull requests with write. */
  readonly mayWrite: boolean
}

export interface TokenSourceChoice {
  readonly source: Names<'tokenSource'>
  /** Always said. */
  readonly reason: Rule
}

/** Who acts in one session, as it is kept. */
export interface Identity {
  readonly acts: 'user' | 'installation'
  readonly warned: boolean
  readonly installation?: string
}

export interface IdentityStep {
  readonly next: Identity
  /** Tell the person, now and never again. */
  readonly warn: boolean
  readonly persist: boolean
  readonly path: RulePath
}

export interface Scopes {
  /** Where to write; throws `claim_invalid`, `not_allowed`, `credential_incomplete`. `parts`: by name, whether it is required and whether it is there. */
  writePlan(
    facts: ScopeFacts & {
      requested?: 'user' | 'org'
      parts: readonly { readonly required: boolean; readonly present: boolean }[]
    },
  ): ScopePlan
  /** Where to delete; throws `claim_invalid`, `not_allowed`. A member's plan never names the organisation. */
  deletePlan(facts: ScopeFacts & { requested?: 'user' | 'org' }): ScopePlan
  /** May a service end what `user`, who left `org`, may still reach of it? Throws `claim_invalid`, `not_allowed`. */
  leaveTarget(facts: { callerOrg?: string; kind: Principal['kind']; org: string; user: string }): LeaveTarget
  /** Where to look, in order; throws `claim_invalid`. Nobody looks nowhere. */
  readPlan(facts: ReadFacts): { readonly places: readonly Place[]; readonly path: RulePath }
  /** Whose credential is used, of what was found (at most 16) or is `unasked`; throws `claim_invalid`, `time_invalid`. */
  resolve(facts: ReadFacts, found: readonly Candidate[], ctx: { now: number }): ReadChoice
  /** Which owners of the caller's own organisation have a complete one; throws `claim_invalid`. */
  gap(facts: Omit<ReadFacts, 'policy'>, found: readonly Candidate[]): { readonly has: readonly OwnerScope[] }
  /** May a registered credential be changed? 404, 400, 401, 503, 403, 400, 500, in this order; throws `claim_invalid`. */
  mayMutate(mutation: Mutation): MutationVerdict
  /** May a caller see a row, and numbers about its use? */
  visible(
    row: { org: string; isPublic: boolean; isMember?: boolean },
    callerOrg: string,
  ): { readonly visible: boolean; readonly counts: boolean; readonly path: RulePath }
  /** What becomes of a credential when `subject` leaves `org`; throws `claim_invalid`. */
  sweep(
    leaving: { subject: string; org: string },
    row: { owner: Place; org?: string; author?: string },
  ): { readonly action: 'keep' | 'end'; readonly rule: Rule }
  /** May a device finish a run? 404, 409, 403, 400 or 200; the device is the token's. */
  complete(completion: {
    tokenDevice?: string
    bodyDevice?: string
    pin?: string
    known: boolean
    watcher: boolean
    payloadGood: boolean
    running: boolean
  }): { readonly status: number; readonly idempotent: boolean; readonly path: RulePath }
  /** The one installation that reaches an account's repositories, never a pick of several; throws `claim_invalid`. */
  chooseInstallation(
    facts: Omit<ReadFacts, 'policy'> & { account: string; expected?: string },
    all: readonly Installation[],
  ): InstallationChoice
  /** Whether what is said takes the place of what is known: a deletion is the last word; throws `claim_invalid`. */
  hears(known: Said | undefined, said: Said): boolean
  /** How an installation stands that was listed, and of which something was said since or before; throws `claim_invalid`. */
  knownAs(listed: { suspended: boolean; at: number }, said?: Said): Names<'knownAs'>
  /** What came of asking for a token of an installation; `status` 0: no answer. */
  minted(answer: { status: number; remaining?: string; retryAfter?: string }): Names<'minted'>
  /** The person's token or the app's, with the reason; throws `claim_invalid`. */
  chooseTokenSource(facts: TokenSourceFacts): TokenSourceChoice
  /** From the person to the app: one step, one warning, one fresh installation; throws `claim_invalid`. */
  stepIdentity(identity: Identity, choice: TokenSourceChoice, fresh?: string): IdentityStep
  /** What a provider's answer says about reaching a repository; `status` 0: no answer. */
  access(facts: { hasToken: boolean; status: number; remaining?: string; retryAfter?: string }): {
    readonly access: Names<'access'>
    readonly mayCache: boolean
  }
  /** The required scopes that are not granted, by the provider's own table; throws `claim_invalid`. */
  missing(family: Names<'scopeFamily'>, granted: readonly string[], required: readonly string[]): string[]
  /** Each step as a sentence for a person. It names nobody. */
  explain(path: RulePath): string[]
  /** As `upstream.check`. */
  checkUpstream(repo: RepoPlace, request: { method: string; url: string }): UpstreamRight
}

export interface RepoHost {
  readonly provider: Names<'repoProvider'>
  /** Lower case, with its port where that is not the usual one. */
  readonly host: string
  /** The path that its repositories lie below, as `/git`. */
  readonly base?: string
  /** http, which is for this machine alone. */
  readonly plain?: boolean
}

/** Which repository; what `repo.parse` returns is one. */
export interface RepoPlace extends RepoHost {
  readonly owner: string
  readonly name: string
}

export interface Repo extends RepoPlace {
  readonly cloneUrl: string
  /** What git sends there for a user name, with a token for the password. */
  readonly user: string
}

export type UpstreamRight = Names<'right'>

export type CapabilityVerb = 'fetch' | 'push' | 'read' | 'write'

export interface CapabilityClaims {
  readonly purpose: 'git' | 'api'
  /** On whose behalf. */
  readonly subject: string
  /** Whose credential stands behind it. */
  readonly owner: { readonly kind: 'user' | 'org'; readonly id: string }
  readonly provider: string
  /** The canonical clone URL; absent: any of the owner's. */
  readonly repo?: string
  /** Absent: none, and the life at most two hours instead of four. */
  readonly container?: string
  readonly can: readonly CapabilityVerb[]
  /** Of the owner when it was made; raising the owner's revokes it. */
  readonly epoch: number
  /** Whole seconds. */
  readonly expiresAt: number
}

export interface Capabilities {
  /** Throws `key_ring_empty`, `capability_invalid`, `time_invalid`. */
  mint(ring: KeyRing, claims: CapabilityClaims, ctx: { now: number; entropy: Uint8Array }): string
  /** Narrows one; needs no key. Throws `capability_invalid`. */
  attenuate(
    text: string,
    narrowing: { repo?: string; container?: string; can?: readonly CapabilityVerb[]; expiresAt?: number },
  ): string
  /**
   * Throws `capability_invalid`, `capability_expired`, `capability_revoked`, `provider_mismatch`, `container_mismatch`,
   * `time_invalid`. What is not said of purpose and provider may be any.
   */
  verify(
    ring: KeyRing,
    text: string,
    expected: {
      now: number
      container?: string
      epoch?: number
      purpose?: CapabilityClaims['purpose']
      provider?: string
    },
  ): CapabilityClaims & { readonly issuedAt: number }
  /**
   * Says whether a session's whole credential may be given for verified claims, and whose epoch ends them: verify once
   * more with that. `own`: `session:` and the session's id, which is the provider of its own capabilities; `repo`: the
   * canonical clone URL that is asked for. Throws `not_allowed`, `repository_mismatch`.
   */
  redeem(
    claims: Pick<CapabilityClaims, 'purpose' | 'provider' | 'repo' | 'can'>,
    asked: { own: string; repo: string },
  ): CapabilityEnder
  /**
   * An owner's epoch once every capability so far is revoked, and until when it has to be kept; 0 stands for one that
   * there is not. Throws `time_invalid`.
   */
  revoke(epoch: number, ctx: { now: number }): { readonly epoch: number; readonly keepUntil: number }
}

/** Whose end is a capability's end. */
export type CapabilityEnder = 'connection' | 'session'

export interface Upstreams {
  /** What a request that carries the credential of `repo` does; throws `upstream_url_invalid`, `upstream_host_not_allowed`, `upstream_request_invalid`, `repository_mismatch`. */
  check(repo: RepoPlace, request: { method: string; url: string }): UpstreamRight
  /** As `check`, for a redirect that is followed with the credential; `hop`: this one included. */
  redirect(repo: RepoPlace, request: { method: string; from: string; to: string; hop: number }): UpstreamRight
  /** What a batch of large files takes; anything but a plain download takes `push`. */
  lfsRight(body: Uint8Array): 'fetch' | 'push'
}
