// dist/abi.gen.d.ts
// ABI 1; codes:
// 0 ok
// 1 slice_invalid
// 2 output_too_small
// 3 time_invalid
// 10 base64_invalid
// 11 utf8_invalid
// 12 json_invalid
// 20 key_invalid
// 21 key_duplicate
// 22 key_ring_empty
// 23 jwks_invalid
// 30 seal_invalid
// 31 seal_unknown_key
// 40 claim_invalid
// 41 return_to_invalid
// 50 state_missing
// 51 state_too_long
// 52 state_malformed
// 53 state_unknown_key
// 54 state_bad_signature
// 55 state_payload_invalid
// 56 state_from_future
// 57 state_expired
// 58 issuer_mismatch
// 59 audience_mismatch
// 60 flow_mismatch
// 61 provider_mismatch
// 62 subject_mismatch
// 63 binding_mismatch
// 70 callback_malformed
// 71 code_invalid
// 72 access_denied
// 73 provider_error
// 74 provider_refused_client
// 75 state_consumed
// 76 store_unavailable
// 77 exchange_refused
// 78 exchange_unreadable
// 79 exchange_unreachable
// 80 account_unreadable
// 81 already_connected
// 90 principal_missing
// 91 principal_invalid
// 92 principal_expired
// 93 not_allowed
// 100 host_refused
// 101 origin_refused
// 102 media_type_refused
// 103 proxied_refused
// 110 config_missing
// 111 config_invalid
// 112 provider_unknown
// 113 connect_disabled
// 120 not_connected
// 121 reconnect_required
// 122 corrupt
// 123 store_unfit
// 124 lease_too_short
// 125 revoked
// 126 temporarily_unavailable
// 140 webhook_invalid
// 141 webhook_unreadable
// 150 name_invalid
// 151 credential_incomplete
// 152 repo_invalid
// 153 repo_host_not_allowed
// 154 upstream_url_invalid
// 155 upstream_host_not_allowed
// 156 repository_mismatch
// 157 upstream_request_invalid
// 160 capability_invalid
// 161 capability_expired
// 162 capability_revoked
// 163 container_mismatch
// 170 turn_invalid
// 171 mode_invalid
// 172 model_invalid
// 173 credential_invalid
// 174 queue_full
// 175 message_conflict
// 176 message_ended
// 180 run_unknown
// 181 run_foreign
// 182 run_active
// 183 run_ended
// 184 run_forgotten
// 185 run_full
// 186 event_too_large
// 187 event_conflict
// 188 event_out_of_order
// 189 device_mismatch
// public codes:
// 0 none
// 1 access_denied
// 2 invalid_state
// 3 expired_state
// 4 used_state
// 5 other_browser
// 6 other_account
// 7 provider_error
// 8 exchange_failed
// 9 already_connected
// 10 not_allowed
// 11 temporarily_unavailable
// 12 misconfigured
// rotation: none grace_same grace_new strict_refused family_revoked
// revocation: none token grant
// status: absent live reconnect_required revoked
// cause: none refused lost_in_flight no_refresh_token token_rejected revoked_by_provider revoked_here disconnected erased
// doubt: none answered silent
// replyClass:  ok terminal transient rate_limited operator_error not_understood
// revoked:  done refused unreachable unsupported
// task: none fetch rotate report_rejected alarm login revoke disconnect erase
// event: none begin stored lost store_failed store_unknown row_read reply revocation
// seen: row corrupt nothing
// reason: none unsupported refused unreachable replaced corrupt
// effect:  serve refuse done notify arm   persist wait send revoke_at_provider
// outcome: ok not_connected revoked reconnect_required temporarily_unavailable corrupt
// which: stored fresh
// source: stored refreshed joined kept
// blobs: keep pair access hold wipe login
// news:  refreshed lost_race in_doubt lost_in_flight terminal transient operator_error not_understood refresh_token_missing persist_failed discarded corrupt healed
// standing: not_connected connected refreshing reconnect_required revoked disconnected
// scope:  user org workspace solo deployment
// rule:  org_admin no_org role_is_member asked_for_self own_account on_behalf found absent incomplete rejected revoked lookup_failed no_subject personal_only fallback_off foreign clears_target clears_shadow writes_all not_registered wrong_kind value_empty value_refused write_failed device_may_not other_org own is_public is_private kind_is_private one_installation no_installation several_installations other_installation suspended user_token pinned_user pinned_installation user_not_allowed lite_installation insufficient_user_access no_user_authorization user_revoked refresh_failed credential_unreadable credential_misconfigured downgraded downgraded_before needs_installation member_left author_left not_theirs elsewhere device_bound device_unbound device_mismatch refused unanswered not_asked never_read
// eraser:  human service device
// membership:  known failed
// action:  clear write
// held:  nothing part whole revoked refused unanswered unasked
// readOutcome:  found not_connected revoked lookup_failed nobody ask refused
// verb:  set remove connect disconnect
// check: pending passed failed
// sweep:  keep end
// chosen:  one none ambiguous mismatch suspended lookup_failed
// word: none restored suspended deleted
// knownAs:  live suspended gone
// minted:  made deleted suspended not_covered misconfigured unanswered
// userToken:  good none revoked refresh_failed insufficient unreadable misconfigured
// tokenSource:  user installation none
// pin: none user installation
// access:  granted needs_token token_rejected rate_limited transient unexpected
// scopeFamily: plain github github_app gitlab bitbucket
// repoProvider:  github gitlab bitbucket git
// right:  fetch push read write lfs
// repository:  generic_git github gitlab
// offer: none credential malformed
// admissionAct: nothing refuse acknowledge write send
// admissionBlob: keep credential intent wipe
// messageStage: absent marked queued sent done failed lapsed
// messageCredential: none stored superseded
// deliveryFailure: none interrupted starting unreachable setup_failed rate_limited overloaded permanent
// messageOutcome:  accepted undelivered completed aborted
// runStatus:  running completed errored truncated aborted
// phase:  foreground background processing unclaimed
// found:  running finished window_passed aborted
// life:  ended alive in_flight silent latched grace_spent too_old
// terminal: none done error missing_api_key loop_limit auto_continue
// runCause: none run_terminal_event_missing stale_run connection_revoked reconnect_required idle_limit connection_idle erased
// ending:  wait keep reconcile append
// kept:  running within_window window_passed no_completion
// recovery:  reconnect replay post refuse
// recoveryReason:  live finished never_ran unavailable stale aborted existed forgotten clock_moved attempts_spent keeps_dying
// taken:  set unset blank not_a_number negative too_large
// recordKind: consumed_state connect_link access_cache rejected_pair run delivery rate_window session tombstone counter claim app_token installation installed acting
// sweeping:  batch paused finished
// fate:  newest is_protected foreign surplus
// changed:  nothing listed everything
// orphaned:  run leave soft_delete restore
// orphanReason:  defined pinned undefined feed_not_active connection_not_active deleted asked
// linkState:  pending completed expired
// linkReason:  waiting settled expired others_pending
// eraseStep: block revoke connections links sessions runs caches index
// erased: pending done absent failed
// erasing:  step again finished
// eraseReason:  next not_blocked partial complete not_revoked
// advance: none tick parked
// scheduleReason:  already_advanced next_tick after_quota unreadable out_of_range
// faultSeen:  first window_over within_window clock_moved
// rated:  new_window within_limit not_charged limited
// begun:  existing start
// appended:  duplicate append

// dist/admission-types.d.ts
import type { abi } from './abi.gen.ts'
type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>
export type RepositoryKind = Names<'repository'>
export type CredentialOffer = Names<'offer'>
export interface AdmissionCandidate {
  readonly id: string
  readonly turn: string
  readonly mode: string
  readonly model: string
  readonly modes: readonly string[]
  readonly models?: readonly string[]
  readonly offer: CredentialOffer
  readonly composedAt?: number
}
export type MessageStage = Exclude<Names<'messageStage'>, 'absent'>
export type DeliveryFailure = Exclude<Names<'deliveryFailure'>, 'none'>
export type MessageReport =
  | {
      readonly outcome: 'accepted' | 'completed' | 'aborted'
    }
  | {
      readonly outcome: 'undelivered'
      readonly failure: DeliveryFailure
      readonly sends: number
    }
export interface MessageRecords {
  readonly session: Uint8Array
  readonly message: Uint8Array
  readonly version: number
  readonly admitted: number
  readonly open: number
  readonly stage: MessageStage
  readonly credential: Names<'messageCredential'>
  readonly failure: Names<'deliveryFailure'>
  readonly number: number
  readonly sends: number
}
export type AdmissionPlan =
  | {
      readonly act: 'nothing'
      readonly at: number | null
    }
  | ({
      readonly act: 'acknowledge'
    } & MessageRecords)
  | ({
      readonly act: 'write'
      readonly then: 'nothing' | 'acknowledge' | 'send'
      readonly blob: Names<'admissionBlob'>
      readonly epoch: number
      readonly nextEpoch: number
      readonly at: number | null
    } & MessageRecords)
export interface Admission {
  offer(repository: RepositoryKind, token: string | undefined): CredentialOffer
  plan(
    candidate: AdmissionCandidate,
    session: Uint8Array | null,
    message: Uint8Array | null,
    ctx: {
      now: number
    },
  ): AdmissionPlan
  drain(
    session: Uint8Array,
    message: Uint8Array,
    ctx: {
      now: number
    },
  ): AdmissionPlan
  settle(
    session: Uint8Array,
    message: Uint8Array,
    report: MessageReport,
    ctx: {
      now: number
    },
  ): AdmissionPlan
}
export {}

// dist/connection-types.d.ts
import type {
  Cause,
  Classified,
  Contract,
  Generation,
  NewsKind,
  Outcome,
  Policy,
  ReceiptReason,
  Revoked,
  RowDescription,
  TokenSource,
  Traits,
} from './refresh-types.ts'
import type { KeyRing, Latchkey } from './types.ts'
export type MaybePromise<T> = T | Promise<T>
export interface Stored {
  readonly id: string
  readonly version: number
  readonly epoch: number
  readonly row: Uint8Array
  readonly access: string
  readonly refresh: string | null
  readonly held: string | null
  readonly account: string
  readonly scopes: string
  readonly details: string
}
export type Condition =
  | {
      readonly is: 'absent'
    }
  | {
      readonly is: 'row'
      readonly id: string
      readonly version: number
      readonly epoch: number
    }
  | {
      readonly is: 'corrupt'
      readonly record: Stored
    }
export type Written = 'stored' | 'lost' | 'failed' | 'unknown'
export interface Store {
  readonly contract: Contract
  readonly signal: 'none' | 'process' | 'sole'
  read(): MaybePromise<Stored | undefined>
  write(condition: Condition, next: Stored | null): MaybePromise<Written>
}
export interface Answered extends Classified {
  readonly raw?: Uint8Array
}
export interface Provider {
  refresh(
    token: Uint8Array,
    options: {
      readonly deadline: number
      readonly signal: AbortSignal
      readonly probe: boolean
      readonly now: number
    },
  ): Promise<Answered>
  revoke(
    token: Uint8Array,
    kind: 'access_token' | 'refresh_token',
    options: {
      readonly deadline: number
      readonly signal: AbortSignal
    },
  ): Promise<Revoked>
}
export interface News {
  readonly news: NewsKind
  readonly cause: Cause
  readonly generation: Generation
}
export interface ConnectionOptions {
  readonly lk: Latchkey
  readonly ring: KeyRing
  readonly context: readonly string[]
  readonly store: Store
  readonly provider: Provider
  readonly traits: Traits
  readonly policy?: Policy
  readonly now?: () => number
  readonly random?: (length: number) => Uint8Array
  readonly after?: (ms: number, run: () => void) => () => void
  readonly background?: (work: Promise<unknown>) => void
  readonly arm?: (at: number) => MaybePromise<void>
  readonly notify?: (news: News) => void
}
export interface Token {
  readonly outcome: 'ok'
  readonly accessToken: string
  readonly expiresAt: number | null
  readonly generation: Generation
  readonly source: TokenSource
  readonly persistFailed: boolean
}
export interface NoToken {
  readonly outcome: Exclude<Outcome, 'ok'>
  readonly cause?: Cause
  readonly retryAt?: number
}
export type TokenResult = Token | NoToken
export type EndResult =
  | {
      readonly outcome: 'ok'
      readonly revoked: boolean
      readonly deleted: boolean
      readonly reason?: Exclude<ReceiptReason, 'none'>
    }
  | NoToken
export type LoginResult =
  | {
      readonly outcome: 'ok'
      readonly generation: Generation
      readonly replaced?: string
    }
  | NoToken
export interface Login {
  readonly accessToken: Uint8Array | string
  readonly refreshToken?: Uint8Array | string
  readonly lifetimeMs?: number
  readonly refreshLifetimeMs?: number
  readonly scopes?: readonly string[]
  readonly account: string
  readonly details: string
  readonly askedAt: number
}
export type Status =
  | (RowDescription & {
      readonly account: string
      readonly scopes: readonly string[]
      readonly details: string
    })
  | {
      readonly status: 'corrupt'
    }

// dist/connection.d.ts
import type {
  ConnectionOptions,
  EndResult,
  Login,
  LoginResult,
  Status,
  Token,
  TokenResult,
} from './connection-types.ts'
import type { Cause, Generation } from './refresh-types.ts'
export type * from './connection-types.ts'
export declare class Connection {
  #private
  constructor(options: ConnectionOptions)
  fetch({ minValidityMs }?: { readonly minValidityMs?: number }): Promise<TokenResult>
  standing(minValidityMs?: number): Token | undefined
  rotate(generation: Generation): Promise<TokenResult>
  reportRejected(generation: Generation): Promise<TokenResult>
  login(login: Login): Promise<LoginResult>
  revoke({
    cause,
    at,
    id,
  }: {
    readonly cause: Cause
    readonly at?: number
    readonly id?: string
  }): Promise<EndResult>
  disconnect({ id }?: { readonly id?: string }): Promise<EndResult>
  erase(): Promise<EndResult>
  alarm(): Promise<void>
  status(): Promise<Status | null>
}

// dist/errors.d.ts
import { abi } from './abi.gen.ts'
export type ErrorCode = Exclude<(typeof abi.codes)[number]['name'], 'ok'>
export type PublicCode = Exclude<(typeof abi.publicCodes)[number]['name'], 'none'>
export declare class LatchkeyError extends Error {
  readonly name = 'LatchkeyError'
  readonly code: ErrorCode
  readonly at: number | string | undefined
  constructor(code: ErrorCode, at?: number | string)
}
export declare function publicCode(code: ErrorCode): PublicCode

// dist/index.browser.d.ts
export * from './index.ts'
import type { Latchkey } from './types.ts'
export declare function load(url?: string | URL): Promise<Latchkey>

// dist/index.d.ts
export { type ErrorCode, LatchkeyError, type PublicCode, publicCode } from './errors.ts'
export { makeLatchkey } from './latchkey.ts'
export type * from './types.ts'
export type * from './admission-types.ts'
export type * from './refresh-types.ts'
export type * from './scope-types.ts'
export type * from './retention-types.ts'

// dist/index.node.d.ts
export * from './index.ts'
import type { Latchkey } from './types.ts'
export declare function load(): Promise<Latchkey>

// dist/index.workerd.d.ts
export * from './index.ts'
import type { Latchkey } from './types.ts'
export declare function loadSync(): Latchkey
export declare function load(): Promise<Latchkey>

// dist/latchkey.d.ts
import type { Latchkey, Signer, Verifier } from './types.ts'
export declare const makeSigner: (compiled: WebAssembly.Module) => Signer
export declare function makeLatchkey(compiled: WebAssembly.Module): Latchkey
export declare function makeVerifier(compiled: WebAssembly.Module): Verifier

// dist/refresh-types.d.ts
import type { abi } from './abi.gen.ts'
import type { ProviderSettings } from './types.ts'
type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>
export type Rotation = Names<'rotation'>
export type Revocation = Names<'revocation'>
export type ConnectionState = Exclude<Names<'status'>, 'absent'>
export type Standing = Names<'standing'>
export type Cause = Names<'cause'>
export type Doubt = Names<'doubt'>
export type ReplyClass = Names<'replyClass'>
export type Revoked = Names<'revoked'>
export type Seen = Names<'seen'>
export type ReceiptReason = Names<'reason'>
export type Outcome = Names<'outcome'>
export type TokenSource = Names<'source'>
export type Blobs = Names<'blobs'>
export type NewsKind = Names<'news'>
export interface Generation {
  readonly id: string
  readonly version: number
}
export interface Traits {
  readonly rotation?: Rotation
  readonly afterGrace?: Rotation
  readonly revocation?: Revocation
  readonly oldAccessDies?: boolean
  readonly revocationNeedsLive?: boolean
  readonly graceMs?: number
  readonly accessLifetimeMs?: number
  readonly maxAccessLifetimeMs?: number
  readonly refreshIdleMs?: number
  readonly refreshAbsoluteMs?: number
  readonly timeOutMs?: number
  readonly lagMs?: number
}
export interface Policy {
  readonly windowMs?: number
  readonly jitterMs?: number
  readonly timeOutMs?: number
  readonly leaseMs?: number
  readonly patienceMs?: number
  readonly pollMs?: number
  readonly backOffMs?: number
  readonly maxBackOffMs?: number
  readonly restMs?: number
  readonly maxSends?: number
  readonly maxProbes?: number
  readonly maxTries?: number
  readonly proactive?: boolean
}
export interface Contract {
  readonly cas: boolean
  readonly strongRead: boolean
  readonly negativeCache: boolean
  readonly minTtlMs: number
  readonly maxValue: number
}
export interface TokenFacts {
  readonly lifetimeMs?: number
  readonly refreshLifetimeMs?: number
  readonly hasRefresh: boolean
  readonly refreshSame: boolean
  readonly hasScope: boolean
}
interface Begin {
  readonly kind: 'begin'
  readonly seen?: Seen
  readonly entropy: Uint8Array
}
export type RefreshBegin =
  | (Begin & {
      readonly task: 'fetch'
      readonly minValidityMs?: number
    })
  | (Begin & {
      readonly task: 'rotate' | 'report_rejected'
      readonly generation: Generation
    })
  | (Begin & {
      readonly task: 'alarm'
    })
  | (Begin & {
      readonly task: 'login'
      readonly id: string
      readonly tokens: TokenFacts
      readonly at: number
    })
  | (Begin & {
      readonly task: 'revoke'
      readonly cause: Cause
      readonly at?: number
      readonly id?: string
    })
  | (Begin & {
      readonly task: 'disconnect' | 'erase'
      readonly id?: string
    })
export type RefreshEvent =
  | RefreshBegin
  | {
      readonly kind: 'stored'
    }
  | {
      readonly kind: 'lost'
      readonly seen?: Seen
    }
  | {
      readonly kind: 'store_failed'
    }
  | {
      readonly kind: 'store_unknown'
    }
  | {
      readonly kind: 'row_read'
      readonly seen?: Seen
    }
  | {
      readonly kind: 'reply'
      readonly class: ReplyClass
      readonly doubt: Doubt
      readonly retryAfterMs?: number
      readonly tokens?: TokenFacts
      readonly entropy: Uint8Array
    }
  | {
      readonly kind: 'revocation'
      readonly revoked: Revoked
    }
export type RowCondition =
  | {
      readonly is: 'absent'
    }
  | {
      readonly is: 'row'
      readonly id: string
      readonly version: number
      readonly epoch: number
    }
  | {
      readonly is: 'corrupt'
    }
export interface Receipt {
  readonly revoked: boolean
  readonly deleted: boolean
  readonly reason: ReceiptReason
}
export type RefreshEffect =
  | {
      readonly kind: 'serve'
      readonly token: Names<'which'>
      readonly source: TokenSource
      readonly generation: Generation
      readonly at: number | null
      readonly standsUntil: number
      readonly persistFailed: boolean
    }
  | {
      readonly kind: 'refuse'
      readonly outcome: Outcome
      readonly cause: Cause
      readonly at: number
    }
  | {
      readonly kind: 'done'
      readonly receipt: Receipt
    }
  | {
      readonly kind: 'notify'
      readonly news: NewsKind
      readonly cause: Cause
      readonly generation: Generation
    }
  | {
      readonly kind: 'arm'
      readonly at: number
    }
  | {
      readonly kind: 'persist'
      readonly condition: RowCondition
      readonly blobs: Blobs
      readonly keepScopes: boolean
      readonly generation: Generation
      readonly epoch: number
    }
  | {
      readonly kind: 'wait'
      readonly at: number
    }
  | {
      readonly kind: 'send'
      readonly at: number
      readonly probe: boolean
    }
  | {
      readonly kind: 'revoke_at_provider'
      readonly token: Names<'which'>
      readonly at: number
    }
export interface RefreshStep {
  readonly row: Uint8Array | null
  readonly flow: Uint8Array
  readonly effects: readonly RefreshEffect[]
}
export interface RowDescription extends Generation {
  readonly epoch: number
  readonly status: ConnectionState
  readonly standing: Standing
  readonly cause: Cause
  readonly loginAt: number
  readonly obtainedAt: number
  readonly accessExpiresAt: number | null
  readonly refreshExpiresAt: number | null
  readonly endedAt: number | null
  readonly endsAt: number | null
  readonly leasedUntil: number | null
  readonly nextAttemptAt: number | null
  readonly failures: number
  readonly doubt: Doubt
  readonly hasRefresh: boolean
  readonly rejected: boolean
  readonly held: boolean
}
export interface RefreshAnswer {
  readonly status: number
  readonly headers: Iterable<readonly [string, string]> | Readonly<Record<string, string>>
  readonly body: Uint8Array
}
export interface Failed {
  readonly failed: 'not_sent' | 'reset' | 'timeout'
}
export interface Classified {
  readonly class: 'ok' | 'terminal' | 'transient' | 'rate_limited' | 'operator' | 'unparsed'
  readonly doubt: Doubt
  readonly code?: string
  readonly introspectable?: true
  readonly retryAt?: number
  readonly retryAfterMs?: number
  readonly tokens?: {
    readonly accessToken: Uint8Array
    readonly refreshToken?: Uint8Array
    readonly lifetimeMs?: number
    readonly refreshLifetimeMs?: number
    readonly scopes?: readonly string[]
    readonly refreshSame: boolean
  }
}
export interface Refresh {
  admit(contract: Contract, policy: Policy, traits: Traits | undefined): void
  step(
    row: Uint8Array | null,
    flow: Uint8Array | null,
    event: RefreshEvent,
    context: {
      now: number
      traits: Traits
      policy: Policy
    },
  ): RefreshStep
  classify(
    provider: string | ProviderSettings,
    answer: RefreshAnswer | Failed,
    context: {
      now: number
      sentRefreshToken?: Uint8Array
    },
  ): Classified
  describe(row: Uint8Array, now: number): RowDescription
}
export {}

// dist/retention-types.d.ts
import type { abi } from './abi.gen.ts'
type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>
export type RunStatus = Names<'runStatus'>
export type RunPhase = Names<'phase'>
export type TerminalKind = Exclude<Names<'terminal'>, 'none'>
export type RunCause = Exclude<Names<'runCause'>, 'none'>
export type RecordKind = Names<'recordKind'>
export type EraseStep = Names<'eraseStep'>
export type EraseOutcome = Names<'erased'>
export interface Run {
  readonly status: RunStatus
  readonly startedAt: number
  readonly heartbeatAt?: number | undefined
  readonly aliveAt?: number | undefined
  readonly completedAt?: number | undefined
  readonly watchedSince?: number | undefined
  readonly inFlight?: boolean | undefined
}
export interface StaleRules {
  readonly phase?: RunPhase
  readonly silenceMs?: number
  readonly inFlightMs?: number
  readonly livenessMs?: number
  readonly maxAgeMs?: number
  readonly exact?: boolean
}
export interface TerminalPlan {
  readonly action: Names<'ending'>
  readonly status: RunStatus
  readonly event?: {
    readonly seq: number
    readonly kind: TerminalKind
    readonly code?: RunCause
    readonly recoverable?: boolean
  }
}
export interface Wanted {
  readonly lookedUp: boolean
  readonly postedAt?: number | undefined
  readonly attempts?: number
  readonly earlyDeaths?: number
}
export interface Feed {
  readonly status: string
  readonly connectionStatus: string
  readonly defined: boolean
  readonly pinned?: boolean
  readonly deleted?: boolean
  readonly restore?: boolean
}
export interface ConnectLink {
  readonly state: Names<'linkState'>
  readonly expiresAt: number
  readonly otherPending: boolean
}
export interface Due {
  readonly every: string
  readonly anchor: number
  readonly slot?: number | undefined
  readonly quotaResetAt?: number | undefined
  readonly matched: boolean
}
export interface DedupeFacts {
  readonly forwardedAt?: number | undefined
  readonly entries: number
}
export interface RateWindow {
  readonly startedAt: number
  readonly count: number
}
export interface SweepCursor {
  readonly pending: number
  readonly lane: number
  readonly open: boolean
  readonly asked: number
  readonly spent: number
}
export type Sweep =
  | {
      readonly action: 'batch'
      readonly kind: RecordKind
      readonly before: number
      readonly limit: number
      readonly cursor: SweepCursor
    }
  | {
      readonly action: 'paused' | 'finished'
      readonly nextAt: number
      readonly cursor: SweepCursor
    }
export interface Retention {
  readonly lifetimes: Readonly<Record<RecordKind, number>>
  setting(
    text: string | undefined,
    fallbackMs: number,
    options?: {
      maxMs?: number
      warn?: (reason: Exclude<Names<'taken'>, 'set' | 'unset'>) => void
    },
  ): number
  reconnect(
    run: Run,
    now: number,
    options?: {
      windowMs?: number
    },
  ): {
    readonly surface: boolean
    readonly reason: Names<'found'>
    readonly since: number
  }
  stale(
    run: Run,
    now: number,
    rules?: StaleRules,
  ): {
    readonly stale: boolean
    readonly reason: Names<'life'>
    readonly dueAt?: number
    readonly completedAt?: number
    readonly early?: boolean
    readonly late?: boolean
  }
  prune(
    run: Run,
    now: number,
    windows?: {
      completedMs?: number
      unsuccessfulMs?: number
      reconnectMs?: number
    },
  ): {
    readonly remove: boolean
    readonly reason: Names<'kept'>
    readonly day: number
    readonly dueAt?: number
  }
  terminal(
    status: RunStatus,
    log: {
      readonly lastSeq: number
      readonly end?: TerminalKind | undefined
    },
    cause?: RunCause,
  ): TerminalPlan
  begin(asked: {
    readonly known: boolean
    readonly forgotten: boolean
    readonly live: boolean
  }): Names<'begun'>
  append(
    status: RunStatus,
    log: {
      readonly lastSeq: number
      readonly end?: TerminalKind | undefined
    },
    event: {
      readonly knownSeq?: number | undefined
      readonly same?: boolean
      readonly size: number
      readonly after?: number | undefined
    },
  ): {
    readonly action: Names<'appended'>
    readonly seq: number
  }
  recover(
    runs: readonly Run[],
    wanted: Wanted,
    now: number,
    rules?: {
      windowMs?: number
      retentionMs?: number
      maxAttempts?: number
      stale?: StaleRules
    },
  ): {
    readonly action: Names<'recovery'>
    readonly reason: Names<'recoveryReason'>
    readonly run?: number
  }
  keepNewest(
    entries: readonly {
      readonly name: string
      readonly modifiedAt: number
    }[],
    options?: {
      inUse?: string
      keep?: number
      digits?: number
    },
  ): {
    readonly fates: readonly Names<'fate'>[]
    readonly remove: readonly string[]
  }
  changed(refs: {
    readonly current: string
    readonly previous?: string
    readonly kept: boolean
  }): Names<'changed'>
  orphan(feed: Feed): {
    readonly action: Names<'orphaned'>
    readonly reason: Names<'orphanReason'>
  }
  resumes(pausedFor: string, ended: string): boolean
  link(
    link: ConnectLink,
    now: number,
  ): {
    readonly state: Names<'linkState'>
    readonly endConnection: boolean
    readonly reason: Names<'linkReason'>
  }
  schedule(
    due: Due,
    now: number,
  ): {
    readonly action: Names<'advance'>
    readonly reason: Names<'scheduleReason'>
    readonly nextAt?: number
  }
  fingerprint(parts: readonly string[]): string
  dedupe(
    facts: DedupeFacts,
    now: number,
    options?: {
      windowMs?: number
      maxEntries?: number
    },
  ): {
    readonly forward: boolean
    readonly reason: Names<'faultSeen'>
    readonly evict: number
  }
  rateLimit(
    stored: RateWindow | undefined,
    works: boolean,
    now: number,
    rules?: {
      limit?: number
      windowMs?: number
    },
  ): {
    readonly allow: boolean
    readonly reason: Names<'rated'>
    readonly window: RateWindow
    readonly retryAfterMs?: number
  }
  bucket(address: string | null | undefined): string
  expiry(
    at: number,
    ttlMs: number,
    now: number,
    options?: {
      minMs?: number
    },
  ): {
    readonly expiresAt: number
    readonly expired: boolean
    readonly physicalMs: number
  }
  sweep(
    lanes: Iterable<RecordKind>,
    cursor: SweepCursor | undefined,
    removed: number,
    now: number,
    options?: {
      rows?: number
      batch?: number
      intervalMs?: number
    },
  ): Sweep
  erase(outcomes: {
    readonly [step in EraseStep]?: EraseOutcome
  }): {
    readonly action: Names<'erasing'>
    readonly reason: Names<'eraseReason'>
    readonly step?: EraseStep
    readonly receipt: {
      readonly erased: readonly EraseStep[]
      readonly failed: readonly EraseStep[]
    }
  }
}
export {}

// dist/runs-types.d.ts
import type { abi } from './abi.gen.ts'
type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>
type RunStatus = Names<'runStatus'>
type TerminalKind = Exclude<Names<'terminal'>, 'none'>
type RunCause = Exclude<Names<'runCause'>, 'none'>
export interface RunEvent {
  readonly seq: number
  readonly at: number
  readonly type: string
  readonly data?: unknown
  readonly end?: RunEnd
}
export interface RunEnd {
  readonly kind: TerminalKind
  readonly status: Exclude<RunStatus, 'running'>
  readonly cause?: RunCause
  readonly recoverable?: boolean
  readonly early?: boolean
}
export interface RunView {
  readonly runId: string
  readonly threadId: string
  readonly status: RunStatus
  readonly lastSeq: number
  readonly startedAt: number
  readonly heartbeatAt?: number
  readonly completedAt?: number
  readonly cause?: RunCause
  readonly background: boolean
  readonly inFlight: boolean
  readonly device?: string
}
export {}

// dist/runs.d.ts
import type { Retention } from './retention-types.ts'
import type { RunEvent } from './runs-types.ts'
export type { RunEnd, RunEvent, RunView } from './runs-types.ts'
export interface RunStorage {
  getItem(key: string): string | null | Promise<string | null>
  setItem(key: string, value: string): void | Promise<void>
  removeItem(key: string): void | Promise<void>
}
export interface RunsOptions {
  readonly base: string
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
  readonly headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>)
  readonly storage?: RunStorage
  readonly retention?: () => Promise<Pick<Retention, 'recover'>>
  readonly now?: () => number
  readonly random?: () => number
  readonly silenceMs?: number
  readonly backOffMs?: number
  readonly windowMs?: number
  readonly notify?: (news: RunNews) => void
}
export type RunNews =
  | {
      readonly news: 'posted' | 'found' | 'connected'
      readonly runId: string
    }
  | {
      readonly news: 'dropped'
      readonly reason: string
      readonly retryMs: number
    }
export interface RunDiagnostics {
  readonly attemptedRunIds: readonly string[]
  readonly lastReason: string | null
  readonly posts: number
  readonly connects: number
  readonly drops: number
  readonly stalls: number
}
export type RunItem =
  | (RunEvent & {
      readonly local?: undefined
    })
  | {
      readonly local: true
      readonly type: 'error'
      readonly end: {
        readonly kind: 'error'
        readonly code: string
        readonly recoverable: boolean
      }
      readonly diagnostics: RunDiagnostics
    }
export interface RunStream extends AsyncIterable<RunItem> {
  readonly runId: Promise<string | undefined>
  diagnostics(): RunDiagnostics
  close(): void
}
export interface StartOptions {
  readonly clientKey?: string
  readonly owner?: 'user' | 'org'
  readonly background?: boolean
  readonly uses?: readonly {
    readonly provider: string
    readonly owner?: 'user' | 'org'
  }[]
  readonly signal?: AbortSignal
}
export interface Runs {
  start(threadId: string, input?: unknown, options?: StartOptions): RunStream
  resume(
    threadId: string,
    options?: {
      readonly signal?: AbortSignal
    },
  ): Promise<RunStream | undefined>
  follow(
    runId: string,
    options?: {
      readonly from?: number
      readonly signal?: AbortSignal
    },
  ): RunStream
  abort(runId: string): Promise<void>
}
export declare function connectRuns(options: RunsOptions): Runs

// dist/scope-types.d.ts
import type { abi } from './abi.gen.ts'
import type { KeyRing, Principal, WriteTarget } from './types.ts'
type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>
export type Rule = Names<'rule'>
export type OwnerScope = Names<'scope'>
export type RulePath = readonly {
  readonly rule: Rule
  readonly scope?: OwnerScope
}[]
export interface Place {
  readonly scope: OwnerScope
  readonly id: string
}
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
  readonly steps: readonly (Place & {
    readonly action: 'clear' | 'write'
  })[]
  readonly path: RulePath
}
export type Membership = Names<'membership'>
export interface ReadPolicy {
  readonly order?: readonly ('user' | 'org' | 'workspace' | 'deployment')[]
  readonly personalOnly?: boolean
  readonly deployment?: boolean
  readonly pastRevoked?: boolean
  readonly only?: OwnerScope
}
export interface ReadFacts extends Omit<ScopeFacts, 'role'> {
  readonly membership?: Membership
  readonly policy?: ReadPolicy
}
export interface Candidate extends Place {
  readonly held: Names<'held'>
  readonly rejectedAt?: number
}
export interface ReadChoice {
  readonly outcome: Names<'readOutcome'>
  readonly place?: Place
  readonly path: RulePath
}
export interface Mutation extends ScopeFacts {
  readonly requested: 'user' | 'org' | 'workspace'
  readonly verb: Names<'verb'>
  readonly membership?: Membership
  readonly targetOrg?: string
  readonly value?: string
  readonly device?: boolean
  readonly registered: boolean
  readonly connected?: boolean
  readonly unread?: boolean
  readonly validator?: Names<'check'>
  readonly storage?: Names<'check'>
}
export interface MutationVerdict {
  readonly ok: boolean
  readonly status?: number
  readonly place?: Place
  readonly path: RulePath
}
export interface Installation {
  readonly id: string
  readonly owner: Place
  readonly account: string
  readonly suspended?: boolean
}
export interface InstallationChoice {
  readonly outcome: Names<'chosen'>
  readonly index?: number
  readonly path: RulePath
}
export interface Said {
  readonly change: Exclude<Names<'word'>, 'none'>
  readonly at: number
}
export interface TokenSourceFacts {
  readonly pin?: Names<'pin'>
  readonly user: Names<'userToken'>
  readonly userAllowed: boolean
  readonly installed: boolean
  readonly lite?: boolean
  readonly mayWrite: boolean
}
export interface TokenSourceChoice {
  readonly source: Names<'tokenSource'>
  readonly reason: Rule
}
export interface Identity {
  readonly acts: 'user' | 'installation'
  readonly warned: boolean
  readonly installation?: string
}
export interface IdentityStep {
  readonly next: Identity
  readonly warn: boolean
  readonly persist: boolean
  readonly path: RulePath
}
export interface Scopes {
  writePlan(
    facts: ScopeFacts & {
      requested?: 'user' | 'org'
      parts: readonly {
        readonly required: boolean
        readonly present: boolean
      }[]
    },
  ): ScopePlan
  deletePlan(
    facts: ScopeFacts & {
      requested?: 'user' | 'org'
    },
  ): ScopePlan
  leaveTarget(facts: { callerOrg?: string; kind: Principal['kind']; org: string; user: string }): LeaveTarget
  readPlan(facts: ReadFacts): {
    readonly places: readonly Place[]
    readonly path: RulePath
  }
  resolve(
    facts: ReadFacts,
    found: readonly Candidate[],
    ctx: {
      now: number
    },
  ): ReadChoice
  gap(
    facts: Omit<ReadFacts, 'policy'>,
    found: readonly Candidate[],
  ): {
    readonly has: readonly OwnerScope[]
  }
  mayMutate(mutation: Mutation): MutationVerdict
  visible(
    row: {
      org: string
      isPublic: boolean
      isMember?: boolean
    },
    callerOrg: string,
  ): {
    readonly visible: boolean
    readonly counts: boolean
    readonly path: RulePath
  }
  sweep(
    leaving: {
      subject: string
      org: string
    },
    row: {
      owner: Place
      org?: string
      author?: string
    },
  ): {
    readonly action: 'keep' | 'end'
    readonly rule: Rule
  }
  complete(completion: {
    tokenDevice?: string
    bodyDevice?: string
    pin?: string
    known: boolean
    watcher: boolean
    payloadGood: boolean
    running: boolean
  }): {
    readonly status: number
    readonly idempotent: boolean
    readonly path: RulePath
  }
  chooseInstallation(
    facts: Omit<ReadFacts, 'policy'> & {
      account: string
      expected?: string
    },
    all: readonly Installation[],
  ): InstallationChoice
  hears(known: Said | undefined, said: Said): boolean
  knownAs(
    listed: {
      suspended: boolean
      at: number
    },
    said?: Said,
  ): Names<'knownAs'>
  minted(answer: { status: number; remaining?: string; retryAfter?: string }): Names<'minted'>
  chooseTokenSource(facts: TokenSourceFacts): TokenSourceChoice
  stepIdentity(identity: Identity, choice: TokenSourceChoice, fresh?: string): IdentityStep
  access(facts: { hasToken: boolean; status: number; remaining?: string; retryAfter?: string }): {
    readonly access: Names<'access'>
    readonly mayCache: boolean
  }
  missing(family: Names<'scopeFamily'>, granted: readonly string[], required: readonly string[]): string[]
  explain(path: RulePath): string[]
  checkUpstream(
    repo: RepoPlace,
    request: {
      method: string
      url: string
    },
  ): UpstreamRight
}
export interface RepoHost {
  readonly provider: Names<'repoProvider'>
  readonly host: string
  readonly base?: string
  readonly plain?: boolean
}
export interface RepoPlace extends RepoHost {
  readonly owner: string
  readonly name: string
}
export interface Repo extends RepoPlace {
  readonly cloneUrl: string
  readonly user: string
}
export type UpstreamRight = Names<'right'>
export type CapabilityVerb = 'fetch' | 'push' | 'read' | 'write'
export interface CapabilityClaims {
  readonly purpose: 'git' | 'api'
  readonly subject: string
  readonly owner: {
    readonly kind: 'user' | 'org'
    readonly id: string
  }
  readonly provider: string
  readonly repo?: string
  readonly container?: string
  readonly can: readonly CapabilityVerb[]
  readonly epoch: number
  readonly expiresAt: number
}
export interface Capabilities {
  mint(
    ring: KeyRing,
    claims: CapabilityClaims,
    ctx: {
      now: number
      entropy: Uint8Array
    },
  ): string
  attenuate(
    text: string,
    narrowing: {
      repo?: string
      container?: string
      can?: readonly CapabilityVerb[]
      expiresAt?: number
    },
  ): string
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
  ): CapabilityClaims & {
    readonly issuedAt: number
  }
  redeem(
    claims: Pick<CapabilityClaims, 'purpose' | 'provider' | 'repo' | 'can'>,
    asked: {
      own: string
      repo: string
    },
  ): CapabilityEnder
  revoke(
    epoch: number,
    ctx: {
      now: number
    },
  ): {
    readonly epoch: number
    readonly keepUntil: number
  }
}
export type CapabilityEnder = 'connection' | 'session'
export interface Upstreams {
  check(
    repo: RepoPlace,
    request: {
      method: string
      url: string
    },
  ): UpstreamRight
  redirect(
    repo: RepoPlace,
    request: {
      method: string
      from: string
      to: string
      hop: number
    },
  ): UpstreamRight
  lfsRight(body: Uint8Array): 'fetch' | 'push'
}
export {}

// dist/sign.browser.d.ts
export * from './sign.ts'
import type { Signer } from './types.ts'
export declare function loadSigner(url?: string | URL): Promise<Signer>

// dist/sign.d.ts
export { type ErrorCode, LatchkeyError, type PublicCode, publicCode } from './errors.ts'
export { makeSigner } from './latchkey.ts'
export type * from './types.ts'

// dist/sign.node.d.ts
export * from './sign.ts'
import type { Signer } from './types.ts'
export declare function loadSigner(): Promise<Signer>

// dist/sign.workerd.d.ts
export * from './sign.ts'
import type { Signer } from './types.ts'
export declare function loadSignerSync(): Signer
export declare function loadSigner(): Promise<Signer>

// dist/stores/d1.d.ts
import type { Store } from '../connection-types.ts'
import type { Contract } from '../refresh-types.ts'
export interface D1DatabaseLike {
  prepare(query: string): {
    bind(...values: unknown[]): {
      all(): Promise<{
        results: Record<string, unknown>[]
      }>
    }
  }
}
export interface D1Options {
  readonly key: readonly string[]
  readonly signal?: 'none' | 'process'
}
export declare const schema: readonly string[]
export declare const contract: Contract
export declare function d1Store(database: D1DatabaseLike, { key, signal }: D1Options): Store

// dist/stores/kv.d.ts
import type { Contract } from '../refresh-types.ts'
export declare const contract: Contract

// dist/stores/postgres.d.ts
import type { Store } from '../connection-types.ts'
import type { Contract } from '../refresh-types.ts'
export type Query = (text: string, values: unknown[]) => PromiseLike<readonly object[]>
export interface PostgresOptions {
  readonly key: readonly string[]
  readonly signal?: 'none' | 'process'
}
export declare const schema: readonly string[]
export declare const contract: Contract
export declare function postgresStore(query: Query, { key, signal }: PostgresOptions): Store

// dist/stores/sqlite.d.ts
import type { Store } from '../connection-types.ts'
import type { Contract } from '../refresh-types.ts'
export interface SqlStorageLike {
  exec(
    query: string,
    ...bindings: any[]
  ): {
    toArray(): Record<string, unknown>[]
  }
}
export interface SqliteOptions {
  readonly key?: readonly string[]
}
export declare const schema: readonly string[]
export declare const contract: Contract
export declare function sqliteStore(sql: SqlStorageLike, { key }?: SqliteOptions): Store

// dist/types.d.ts
import type { Admission } from './admission-types.ts'
import type { ErrorCode, PublicCode } from './errors.ts'
import type { Doubt, Refresh, Traits } from './refresh-types.ts'
import type { Capabilities, ReadPolicy, Repo, RepoHost, Rule, Scopes, Upstreams } from './scope-types.ts'
import type { Retention } from './retention-types.ts'
export declare const skipBinding: unique symbol
export type Alg = 'HS256' | 'EdDSA'
export interface Owner {
  readonly kind: 'user' | 'org'
  readonly id: string
}
export type Text = string | Uint8Array
export interface StateClaims {
  readonly alg?: Alg
  readonly issuer: string
  readonly audience: string
  readonly flow: string
  readonly provider: string
  readonly subject: string
  readonly owner: Owner
  readonly app?: string
  readonly returnTo?: string
  readonly binding?: Uint8Array
  readonly ttlMs?: number
}
export interface IssuedState {
  readonly token: string
  readonly nonce: string
  readonly expiresAt: number
  readonly pkce: {
    readonly challenge: string
    readonly method: 'S256'
  }
}
declare const verified: unique symbol
declare const unverified: unique symbol
interface StateFields {
  readonly alg: Alg
  readonly kid: string
  readonly issuer: string
  readonly audience: string
  readonly flow: string
  readonly provider: string
  readonly subject: string
  readonly owner: Owner
  readonly app?: string
  readonly returnTo?: string
  readonly nonce: string
  readonly issuedAt: number
  readonly expiresAt: number
}
export interface State extends StateFields {
  readonly [verified]: true
}
export interface UnverifiedState extends Partial<Omit<StateFields, 'alg' | 'kid'>> {
  readonly [unverified]: true
}
export interface Expected {
  readonly now: number
  readonly issuer: string
  readonly audience: string
  readonly flow?: string
  readonly provider?: string
  readonly subject?: string
  readonly binding?: Uint8Array
  readonly skewMs?: number
}
export type VerifierExpected = Omit<Expected, 'binding'> & {
  readonly binding?: Uint8Array | typeof skipBinding
}
export interface Jwks {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}
export interface CallbackInput {
  readonly params: URLSearchParams | string | Iterable<readonly [string, string]>
  readonly state: State | ErrorCode
  readonly session: {
    readonly subject?: string
    readonly asIssuer?: string
    readonly issRequired?: boolean
  }
}
export type CallbackPlan =
  | {
      readonly action: 'exchange'
      readonly code: string
      readonly returnTo?: string
      readonly consume: {
        readonly nonce: string
        readonly until: number
      }
    }
  | {
      readonly action: 'redirect'
      readonly reason: ErrorCode
      readonly publicCode: PublicCode
      readonly returnTo?: string
    }
export interface Principal {
  readonly subject: string
  readonly org?: string
  readonly role?: string
  readonly kind: 'human' | 'service' | 'device'
  readonly device?: string
}
export interface TokenSet {
  readonly accessToken: Uint8Array
  readonly refreshToken?: Uint8Array
  readonly expiresAt?: number
  readonly refreshExpiresAt?: number
  readonly scopes?: readonly string[]
}
export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: Uint8Array
}
export interface Account {
  readonly id: string
  readonly label: string
}
export interface RequestFacts {
  readonly method: string
  readonly host: string
  readonly origin?: string
  readonly secFetchSite?: string
  readonly contentType?: string
  readonly ownOrigin: string
  readonly mediaType: 'application/json' | 'application/x-www-form-urlencoded'
  readonly proxied: boolean
  readonly open?: boolean
}
export type RequestVerdict =
  | {
      readonly ok: true
    }
  | {
      readonly ok: false
      readonly status: number
      readonly code: ErrorCode
    }
export interface WriteTarget {
  readonly scope: 'org' | 'user'
  readonly id: string
  readonly rule: Rule
}
export interface RefreshFacts {
  readonly traits: Required<Traits>
  readonly accessTtlMs: number
  readonly needsRedirectUri: boolean
  readonly serverErrorsUnspent: boolean
  readonly proactive: boolean
}
export interface RevocationRequest {
  readonly url: string
  readonly method: 'POST' | 'DELETE'
  readonly credentials: 'client' | 'basic' | 'bearer'
  readonly body: 'form' | 'json' | 'none'
  readonly member: 'token' | 'access_token'
  readonly token: 'refresh' | 'access'
}
export interface GitHost extends RepoHost {
  readonly user: string
}
export interface ProviderSettings {
  readonly name: string
  readonly title: string
  readonly profile: string
  readonly clientId: string
  readonly authorizationUrl: string
  readonly tokenUrl: string
  readonly revocationUrl?: string
  readonly revocation?: RevocationRequest
  readonly refresh: RefreshFacts
  readonly userInfoUrl?: string
  readonly introspectionUrl?: string
  readonly scopes: readonly string[]
  readonly scopeSeparator: ' ' | ','
  readonly authStyle: 'basic' | 'body'
  readonly responseMode: 'query' | 'form_post'
  readonly pkce: boolean
  readonly asIssuer?: string
  readonly issRequired: boolean
  readonly git?: GitHost
  readonly clientSecretName?: string
  readonly webhookSecretName?: string
  readonly app?: {
    readonly url: string
    readonly keyName: string
  }
  readonly policy: Required<Omit<ReadPolicy, 'only'>>
  readonly deploymentTokenName?: string
}
export interface Config {
  readonly baseUrl: string
  readonly dev: boolean
  readonly connectEnabled: boolean
  readonly runRetentionMs: number
  readonly warnings: readonly string[]
  readonly providers: readonly ProviderSettings[]
  readonly keys: KeyRing
  readonly principalKeys?: KeyRing
}
declare const ring: unique symbol
export interface KeyRing {
  readonly [ring]: true
}
export type RevocationAnswer =
  | {
      readonly kind: 'unsupported'
    }
  | ({
      readonly kind: 'status'
    } & HttpAnswer)
  | {
      readonly kind: 'unreachable'
    }
export interface DisconnectResult {
  readonly revoked: boolean
  readonly deleted: boolean
  readonly reason?: 'unsupported' | 'refused' | 'unreachable'
}
export interface WebhookHeaders {
  readonly signature: string
  readonly timestamp?: string
  readonly id?: string
  readonly event?: string
}
export interface WebhookOptions {
  readonly profile?: string | undefined
  readonly now?: number | undefined
  readonly timestamp?: string | null | undefined
  readonly id?: string | null | undefined
}
declare const stream: unique symbol
export interface WebhookStream {
  readonly [stream]: true
}
export interface WebhookDelivery {
  readonly profile?: string | undefined
  readonly event?: string | null | undefined
  readonly id?: string | null | undefined
  readonly body: Uint8Array
}
export interface WebhookNews {
  readonly change: 'none' | 'revoked' | 'deleted' | 'suspended' | 'restored'
  readonly reach?: 'account' | 'installation'
  readonly subjects: readonly {
    readonly id: string
    readonly tokens: 'any' | 'user' | 'bot'
  }[]
  readonly at?: number
  readonly once: {
    readonly key: string
    readonly until: number
  }
}
export interface Signer {
  readonly abi: number
  readonly keys: {
    generate(kid: string, entropy32: Uint8Array): string
    parse(text: Text): KeyRing
    publicJwks(ring: KeyRing): Jwks
  }
  readonly state: {
    issue(
      ring: KeyRing,
      claims: StateClaims,
      ctx: {
        now: number
        entropy: Uint8Array
      },
    ): IssuedState
    verify(keys: KeyRing | Jwks, token: string, expected: Expected): State
    peek(token: string): UnverifiedState
    codeVerifier(ring: KeyRing, state: State): string
  }
  readonly callback: {
    plan(input: CallbackInput): CallbackPlan
  }
  returnTo(
    text: string,
    options?: {
      base?: string
    },
  ): string | null
  readonly seal: {
    seal(
      ring: KeyRing,
      bytes: Uint8Array,
      context: readonly string[],
      ctx: {
        entropy: Uint8Array
      },
    ): string
    open(ring: KeyRing, text: string, context: readonly string[]): Uint8Array
  }
  readonly principal: {
    issue(
      ring: KeyRing,
      principal: Principal,
      ctx: {
        now: number
        ttlMs?: number
      },
    ): string
    verify(
      ring: KeyRing,
      token: string,
      ctx: {
        now: number
      },
    ): Principal
  }
}
export interface Latchkey extends Signer {
  readonly scope: Scopes & {
    writeTarget(facts: { subject: string; org?: string; role?: string }): WriteTarget
    connectTarget(facts: {
      subject: string
      org?: string
      role?: string
      requested: 'user' | 'org'
    }): WriteTarget
    eraseTarget(facts: { subject: string; kind: Principal['kind']; user: string }): WriteTarget
  }
  readonly guard: {
    isLoopbackHost(host: string): boolean
    request(facts: RequestFacts): RequestVerdict
    outbound(
      url: string,
      options: {
        dev: boolean
        from?: string
        hop?: number
      },
    ): boolean
    name(text: string): string
    key(parts: readonly string[]): string
  }
  readonly repo: {
    parse(
      text: string,
      options?: {
        hosts?: readonly RepoHost[]
      },
    ): Repo
  }
  readonly upstream: Upstreams
  readonly capability: Capabilities
  readonly exchange: {
    read(
      answer: HttpAnswer,
      ctx: {
        now: number
        profile: string
      },
    ): TokenSet
  }
  readonly account: {
    read(
      answer: HttpAnswer,
      ctx: {
        profile: string
      },
    ): Account
  }
  readonly introspection: {
    doubt(answer: HttpAnswer): Doubt
  }
  readonly disconnect: {
    decide(answer: RevocationAnswer): DisconnectResult
  }
  readonly refresh: Refresh
  readonly retention: Retention
  readonly admission: Admission
  redact(text: string): string
  readonly webhook: {
    headers(profile: string): WebhookHeaders | null
    verify(secret: Text, signatureHeader: string, body: Uint8Array, options?: WebhookOptions): boolean
    begin(secret: Text, options?: WebhookOptions): WebhookStream
    update(stream: WebhookStream, piece: Uint8Array): void
    finish(
      stream: WebhookStream,
      signatureHeader: string,
      ctx?: {
        now?: number | undefined
      },
    ): boolean
    read(
      delivery: WebhookDelivery,
      ctx: {
        now: number
      },
    ): WebhookNews
  }
  readonly config: {
    check(vars: Readonly<Record<string, string | undefined>>): Config
  }
}
export interface Verifier {
  readonly abi: number
  readonly state: {
    verify(jwks: Jwks, token: string, expected: VerifierExpected): State
    peek(token: string): UnverifiedState
  }
  returnTo(
    text: string,
    options?: {
      base?: string
    },
  ): string | null
}
export {}

// dist/verify.browser.d.ts
export * from './verify.ts'
import type { Verifier } from './types.ts'
export declare function loadVerifier(url?: string | URL): Promise<Verifier>

// dist/verify.d.ts
export { type ErrorCode, LatchkeyError, type PublicCode, publicCode } from './errors.ts'
export { makeVerifier } from './latchkey.ts'
export { skipBinding } from './types.ts'
export type * from './types.ts'

// dist/verify.node.d.ts
export * from './verify.ts'
import type { Verifier } from './types.ts'
export declare function loadVerifier(): Promise<Verifier>

// dist/verify.workerd.d.ts
export * from './verify.ts'
import type { Verifier } from './types.ts'
export declare function loadVerifierSync(): Verifier
export declare function loadVerifier(): Promise<Verifier>
