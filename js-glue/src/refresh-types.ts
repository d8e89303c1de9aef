import type { abi } from './abi.gen.ts'
import type { ProviderSettings } from './types.ts'

type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>

/** What a second use of a refresh token does at a provider. */
export type Rotation = Names<'rotation'>
/** What can be revoked at a provider. */
export type Revocation = Names<'revocation'>
export type ConnectionState = Exclude<Names<'status'>, 'absent'>
/** How a connection stands, for a person who looks. */
export type Standing = Names<'standing'>
/** Why a connection gives no token any more. */
export type Cause = Names<'cause'>
/** What an attempt may have done to the refresh token that was sent. */
export type Doubt = Names<'doubt'>
export type ReplyClass = Names<'replyClass'>
/** How a revocation at the provider went. */
export type Revoked = Names<'revoked'>
/** What the read that an event comes with found. */
export type Seen = Names<'seen'>
/** Why a disconnect or an erasure is not whole. */
export type ReceiptReason = Names<'reason'>
export type Outcome = Names<'outcome'>
export type TokenSource = Names<'source'>
/** What becomes of the sealed values beside the row. */
export type Blobs = Names<'blobs'>
/** What is counted, and told where somebody should know. */
export type NewsKind = Names<'news'>

/** One token pair. The version alone is not enough: it starts again with every login. */
export interface Generation {
  /** The lineage: 16 bytes as base64url. */
  readonly id: string
  readonly version: number
}

/** The facts of a provider's profile that matter to a refresh. What is left out has the safe value. */
export interface Traits {
  /** Default `family_revoked`. */
  readonly rotation?: Rotation
  /** For the two kinds with a grace: `strict_refused` or `family_revoked`, the default. */
  readonly afterGrace?: Rotation
  /** Default `none`. */
  readonly revocation?: Revocation
  /** A refresh kills the access token before it. */
  readonly oldAccessDies?: boolean
  /** A revocation works with an access token alone that works. */
  readonly revocationNeedsLive?: boolean
  readonly graceMs?: number
  /** When the answer has none. Default 3,600,000; 0: it does not expire. */
  readonly accessLifetimeMs?: number
  /** A longer one is cut. Default 86,400,000; 0: no limit. */
  readonly maxAccessLifetimeMs?: number
  /** An unused refresh token dies after this; 0: not known. */
  readonly refreshIdleMs?: number
  /** From login; 0: not known. */
  readonly refreshAbsoluteMs?: number
  /** Of a token request; 0: the policy's. */
  readonly timeOutMs?: number
  /** For so long after a refresh a 401 may still be about the token before it. */
  readonly lagMs?: number
}

/** What is chosen here. What is left out has its default. */
export interface Policy {
  /** With less than this left, a token is refreshed. Default 300,000. */
  readonly windowMs?: number
  /** Up to this much less, by connection. Default 30,000. */
  readonly jitterMs?: number
  /** Of a token request. Default 10,000. */
  readonly timeOutMs?: number
  /** Default 15,000; must outlive the token request. */
  readonly leaseMs?: number
  /** How long a caller waits for somebody else's refresh. Default 20,000. */
  readonly patienceMs?: number
  /** How often a waiting caller looks; 0: only when the lease ends. Default 50. */
  readonly pollMs?: number
  /** After the first failure; doubles. Default 1,000. */
  readonly backOffMs?: number
  /** Default 60,000. */
  readonly maxBackOffMs?: number
  /** After `maxSends`, and the longest `Retry-After` believed. Default 3,600,000. */
  readonly restMs?: number
  /** Of one version, before it rests. Default 6. */
  readonly maxSends?: number
  /** Unanswered ones of one version. Default 1. */
  readonly maxProbes?: number
  /** Of a write that must not be lost. Default 8. */
  readonly maxTries?: number
  /** Alarms refresh before anybody asks. Default false. */
  readonly proactive?: boolean
}

/** What a store can do. */
export interface Contract {
  /** Writes under a condition, atomically. */
  readonly cas: boolean
  /** A read sees every write acknowledged before it. */
  readonly strongRead: boolean
  /** Remembers for a while that there was nothing. */
  readonly negativeCache: boolean
  readonly minTtlMs: number
  /** Bytes of one record. */
  readonly maxValue: number
}

/** What an answer says about its tokens, without them. */
export interface TokenFacts {
  /** Of the access token; missing or odd: the profile's. */
  readonly lifetimeMs?: number
  readonly refreshLifetimeMs?: number
  readonly hasRefresh: boolean
  /** The refresh token is the one that was sent. */
  readonly refreshSame: boolean
  /** Without one, scopes are unchanged (RFC 6749 section 5.1). */
  readonly hasScope: boolean
}

interface Begin {
  readonly kind: 'begin'
  readonly seen?: Seen
  /** At least 8 random bytes. */
  readonly entropy: Uint8Array
}

/** What a caller wants. */
export type RefreshBegin =
  | (Begin & { readonly task: 'fetch'; readonly minValidityMs?: number })
  | (Begin & { readonly task: 'rotate' | 'report_rejected'; readonly generation: Generation })
  | (Begin & { readonly task: 'alarm' })
  | (Begin & {
      readonly task: 'login'
      /** The new lineage: 16 random bytes as base64url. */
      readonly id: string
      readonly tokens: TokenFacts
      /** When its tokens were asked for. */
      readonly at: number
    })
  | (Begin & {
      readonly task: 'revoke'
      readonly cause: Cause
      /** When it happened; a later login stays. */
      readonly at?: number
      /** Only this lineage. */
      readonly id?: string
    })
  | (Begin & { readonly task: 'disconnect' | 'erase'; readonly id?: string })

/** What happened: what a caller wants, or the answer to the last question. */
export type RefreshEvent =
  | RefreshBegin
  | { readonly kind: 'stored' }
  | { readonly kind: 'lost'; readonly seen?: Seen }
  | { readonly kind: 'store_failed' }
  | { readonly kind: 'store_unknown' }
  | { readonly kind: 'row_read'; readonly seen?: Seen }
  | {
      readonly kind: 'reply'
      readonly class: ReplyClass
      readonly doubt: Doubt
      readonly retryAfterMs?: number
      readonly tokens?: TokenFacts
      /** At least 8 random bytes. */
      readonly entropy: Uint8Array
    }
  | { readonly kind: 'revocation'; readonly revoked: Revoked }

/** What the stored record must still be. */
export type RowCondition =
  | { readonly is: 'absent' }
  | { readonly is: 'row'; readonly id: string; readonly version: number; readonly epoch: number }
  /** The very record that did not open. */
  | { readonly is: 'corrupt' }

export interface Receipt {
  /** The provider did it. */
  readonly revoked: boolean
  /** Nothing is left here. */
  readonly deleted: boolean
  readonly reason: ReceiptReason
}

/** What is to be done, in this order; at most the last one is a question. `at` is epoch milliseconds. */
export type RefreshEffect =
  | {
      readonly kind: 'serve'
      readonly token: Names<'which'>
      readonly source: TokenSource
      readonly generation: Generation
      /** Until when it is good; null: for ever. */
      readonly at: number | null
      /**
       * Until then, and as long as nobody writes the row, whoever fetches with the same `minValidityMs` gets this
       * answer; 0: not for a moment.
       */
      readonly standsUntil: number
      readonly persistFailed: boolean
    }
  | { readonly kind: 'refuse'; readonly outcome: Outcome; readonly cause: Cause; readonly at: number }
  | { readonly kind: 'done'; readonly receipt: Receipt }
  | {
      readonly kind: 'notify'
      readonly news: NewsKind
      readonly cause: Cause
      readonly generation: Generation
    }
  | { readonly kind: 'arm'; readonly at: number }
  | {
      readonly kind: 'persist'
      readonly condition: RowCondition
      readonly blobs: Blobs
      readonly keepScopes: boolean
      /** Of the row to be written. */
      readonly generation: Generation
      readonly epoch: number
    }
  | { readonly kind: 'wait'; readonly at: number }
  | { readonly kind: 'send'; readonly at: number; readonly probe: boolean }
  | { readonly kind: 'revoke_at_provider'; readonly token: Names<'which'>; readonly at: number }

export interface RefreshStep {
  /** To be written by `persist`, null: the record is to go; without a `persist`, the row given. */
  readonly row: Uint8Array | null
  /** Where this caller stands now. */
  readonly flow: Uint8Array
  readonly effects: readonly RefreshEffect[]
}

/** What a row says, for pages and conditions. Times are epoch milliseconds; null: never, or not known. */
export interface RowDescription extends Generation {
  /** Counts the writes. */
  readonly epoch: number
  readonly status: ConnectionState
  readonly standing: Standing
  readonly cause: Cause
  readonly loginAt: number
  readonly obtainedAt: number
  readonly accessExpiresAt: number | null
  readonly refreshExpiresAt: number | null
  /** When it was revoked, or when reconnecting became necessary. */
  readonly endedAt: number | null
  /** When a live one ends if nothing renews it; from then on its provider is to be asked. */
  readonly endsAt: number | null
  /** A refresh is under way until then at the latest. */
  readonly leasedUntil: number | null
  readonly nextAttemptAt: number | null
  /** One after another. */
  readonly failures: number
  readonly doubt: Doubt
  readonly hasRefresh: boolean
  /** A resource server refused this version's access token. */
  readonly rejected: boolean
  /** An answer that was not understood is kept, sealed, as it came. */
  readonly held: boolean
}

/** What came back of a refresh. */
export interface RefreshAnswer {
  readonly status: number
  /** As received: `Headers`, an object, or names with their values. */
  readonly headers: Iterable<readonly [string, string]> | Readonly<Record<string, string>>
  /** Beyond 64,000 bytes nothing can be read of it. */
  readonly body: Uint8Array
}

/** Why nothing came back. `not_sent`: there was no connection, so that nothing can have arrived. */
export interface Failed {
  readonly failed: 'not_sent' | 'reset' | 'timeout'
}

/** What an answer to a refresh means. */
export interface Classified {
  /**
   * `terminal`: this refresh token is good for nothing any more. `operator`: the client is misconfigured, the grant is
   * not to blame. `unparsed`: the answer is to be kept, sealed, as it came.
   */
  readonly class: 'ok' | 'terminal' | 'transient' | 'rate_limited' | 'operator' | 'unparsed'
  /** What the attempt may have done to the refresh token, where it is not known. */
  readonly doubt: Doubt
  /** The provider's error, where it is one of those that are known; never any other text of the provider. */
  readonly code?: string
  /** An introspection of the refresh token may settle the doubt; see `lk.introspection.doubt`. */
  readonly introspectable?: true
  readonly retryAt?: number
  readonly retryAfterMs?: number
  readonly tokens?: {
    readonly accessToken: Uint8Array
    /** Absent: the one that was sent stays (RFC 6749 section 6). */
    readonly refreshToken?: Uint8Array
    readonly lifetimeMs?: number
    readonly refreshLifetimeMs?: number
    /** Absent: as before. */
    readonly scopes?: readonly string[]
    /** The refresh token is the one that was sent. */
    readonly refreshSame: boolean
  }
}

/** `lk.refresh`: the refresh protocol, one step at a time. `latchkey/connection` drives it. */
export interface Refresh {
  /**
   * Says whether refreshing is safe with this store, policy and provider; throws `provider_unknown`
   * (no traits), `store_unfit`, `config_invalid`, `lease_too_short`.
   */
  admit(contract: Contract, policy: Policy, traits: Traits | undefined): void
  /**
   * Takes one step. Pure and total: a row that does not decode is `corrupt` to an event that comes with a row.
   *
   * Throws `claim_invalid` (an event of no kind, a lineage that is not 16 bytes), `time_invalid`, `config_invalid`,
   * `corrupt` (a flow that is none; a row that does not decode, with an event that brings none).
   *
   * @param row  what is stored, as the driver last learned it; null: nothing.
   * @param flow  of the step before; null where the flow begins.
   */
  step(
    row: Uint8Array | null,
    flow: Uint8Array | null,
    event: RefreshEvent,
    context: { now: number; traits: Traits; policy: Policy },
  ): RefreshStep
  /** The class of an answer, or of none: total. Takes the name of a profile, or a configured provider. */
  classify(
    provider: string | ProviderSettings,
    answer: RefreshAnswer | Failed,
    context: { now: number; sentRefreshToken?: Uint8Array },
  ): Classified
  /** Says what a stored row says; throws `corrupt`, `time_invalid`. */
  describe(row: Uint8Array, now: number): RowDescription
}
