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

/** One connection as a store keeps it. `id`, `version` and `epoch` are those of the row. */
export interface Stored {
  readonly id: string
  readonly version: number
  readonly epoch: number
  /** Opaque; `lk.refresh.describe` says what it says. */
  readonly row: Uint8Array
  /** The sealed access token; empty when it is gone. */
  readonly access: string
  /** The sealed refresh token. */
  readonly refresh: string | null
  /** An answer that was not understood, sealed, as it came. */
  readonly held: string | null
  /** The provider's id of the account. */
  readonly account: string
  /** A JSON list. */
  readonly scopes: string
  /** The application's; kept as it is until the next login or the end. */
  readonly details: string
}

/** What the stored record must still be. */
export type Condition =
  | { readonly is: 'absent' }
  | { readonly is: 'row'; readonly id: string; readonly version: number; readonly epoch: number }
  /** Exactly this one, which did not open. */
  | { readonly is: 'corrupt'; readonly record: Stored }

/** `failed`: certainly not written; `unknown`: nobody can say. */
export type Written = 'stored' | 'lost' | 'failed' | 'unknown'

/** Where one connection is kept. A store that answers at once may do so without a promise. */
export interface Store {
  readonly contract: Contract
  /**
   * How callers of one `Connection` who wait for the same refresh hear of it. `none`: they look every so often, as they
   * must where a promise of one request may not be awaited in another; `process`: they are woken too; `sole`: they are
   * woken, and nobody writes but this `Connection`, so that an answer stands for as long as the core says.
   */
  readonly signal: 'none' | 'process' | 'sole'
  /** Sees every write acknowledged before it. */
  read(): MaybePromise<Stored | undefined>
  /** Writes if the condition holds, in one atomic step; null removes the record. */
  write(condition: Condition, next: Stored | null): MaybePromise<Written>
}

/** What an answer to a refresh comes to, as `lk.refresh.classify` says it. */
export interface Answered extends Classified {
  /** The answer as it came, where it was not understood. */
  readonly raw?: Uint8Array
}

/** What is asked of the authorization server. Bytes handed over are overwritten when the answer is there. */
export interface Provider {
  /** RFC 6749 section 6. A rejection counts as a request that nobody knows the end of. */
  refresh(
    token: Uint8Array,
    options: {
      /** Epoch milliseconds; `signal` aborts then. */
      readonly deadline: number
      readonly signal: AbortSignal
      /** Sent although the one before may have arrived: to be labelled. */
      readonly probe: boolean
      readonly now: number
    },
  ): Promise<Answered>
  /** RFC 7009, or the provider's own way. */
  revoke(
    token: Uint8Array,
    kind: 'access_token' | 'refresh_token',
    options: { readonly deadline: number; readonly signal: AbortSignal },
  ): Promise<Revoked>
}

/** What is counted, and told where somebody should know. Holds no secret and no provider text. */
export interface News {
  readonly news: NewsKind
  readonly cause: Cause
  readonly generation: Generation
}

export interface ConnectionOptions {
  readonly lk: Latchkey
  readonly ring: KeyRing
  /** Tenant, owner, provider: bound into every sealed text, so that none opens anywhere else. */
  readonly context: readonly string[]
  readonly store: Store
  readonly provider: Provider
  readonly traits: Traits
  readonly policy?: Policy
  /** Epoch milliseconds; default `Date.now`. */
  readonly now?: () => number
  /** Default `crypto.getRandomValues`. */
  readonly random?: (length: number) => Uint8Array
  /** Runs something after a time and returns how to stop it; default `setTimeout`. */
  readonly after?: (ms: number, run: () => void) => () => void
  /** Is told of work that goes on when its caller has been answered, or has left: `waitUntil`. */
  readonly background?: (work: Promise<unknown>) => void
  /** Sets an alarm, which calls `alarm`, unless an earlier one is set. */
  readonly arm?: (at: number) => MaybePromise<void>
  readonly notify?: (news: News) => void
}

export interface Token {
  readonly outcome: 'ok'
  readonly accessToken: string
  /** Epoch milliseconds; null: it does not expire. */
  readonly expiresAt: number | null
  readonly generation: Generation
  readonly source: TokenSource
  /** It could not be stored yet, and still is being tried to. */
  readonly persistFailed: boolean
}

export interface NoToken {
  readonly outcome: Exclude<Outcome, 'ok'>
  readonly cause?: Cause
  /** When to come again. */
  readonly retryAt?: number
}

export type TokenResult = Token | NoToken

/** What becomes of a disconnect, an erasure or a revocation. */
export type EndResult =
  | {
      readonly outcome: 'ok'
      /** The provider did it. */
      readonly revoked: boolean
      /** Nothing is left here. */
      readonly deleted: boolean
      readonly reason?: Exclude<ReceiptReason, 'none'>
    }
  | NoToken

export type LoginResult =
  | {
      readonly outcome: 'ok'
      readonly generation: Generation
      /** The account that was connected before; absent when there was none. */
      readonly replaced?: string
    }
  | NoToken

export interface Login {
  /** Overwritten when it is stored, where it is bytes. */
  readonly accessToken: Uint8Array | string
  readonly refreshToken?: Uint8Array | string
  readonly lifetimeMs?: number
  readonly refreshLifetimeMs?: number
  readonly scopes?: readonly string[]
  /** The provider's id of the account; empty where it has none. */
  readonly account: string
  readonly details: string
  /** When the tokens were asked for, in epoch milliseconds. */
  readonly askedAt: number
}

export type Status =
  | (RowDescription & {
      readonly account: string
      readonly scopes: readonly string[]
      readonly details: string
    })
  | { readonly status: 'corrupt' }
