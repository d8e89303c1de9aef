import type { Cause, Standing } from 'latchkey'
import type { NoToken, Token, TokenResult } from 'latchkey/connection'
import type { Code } from './refusal.ts'

/** What a verified callback asks for. */
export interface Completion {
  readonly subject: string
  readonly nonce: string
  /** Until when the nonce must be remembered; after that the state has expired anyway. */
  readonly until: number
  readonly code: string
  readonly codeVerifier: string
  readonly state: string
  readonly stateIssuedAt: number
  readonly stateExpiresAt: number
  /** The connect link that asked for it. */
  readonly link?: string
}

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: Code }

export interface Generation {
  readonly id: string
  readonly version: number
}

export interface ConnectionStatus {
  readonly account: string | null
  readonly status: Standing | 'corrupt'
  /** Why it has to be connected again, where that is known. */
  readonly cause?: Cause
  readonly scopes: string[]
  readonly connectedAt: number | null
  readonly expiresAt: number | null
  /** By when the token is renewed; null: it is not, or has no end. */
  readonly refreshAt: number | null
  readonly generation: Generation | null
  /** Until when somebody may come who was sent a link for it. */
  readonly awaitedUntil: number | null
}

/** What is said of a connection that is none. */
export const nothing = {
  account: null,
  connectedAt: null,
  expiresAt: null,
  refreshAt: null,
  generation: null,
  awaitedUntil: null,
} as const satisfies Partial<ConnectionStatus>

/** A token's answer with a number that stands for it: 48 random bits, never 0. With 0 there is nothing to hold. */
export interface Marked {
  readonly mark: number
  readonly result: TokenResult
}

/** What a holder of a capability asks for, who has not been believed yet. */
export interface Redemption {
  readonly capability: string
  readonly container: string
  /** Whether the account is to be named. */
  readonly named?: boolean
  /** The generation whose token the provider has refused. */
  readonly rejected?: Generation
}

/** There is no token for this, whatever the connection could give. */
export interface Refused {
  readonly outcome: 'refused'
  readonly code: Code
}

export type Redeemed = (Token & { readonly account?: string }) | NoToken | Refused

/** The provider says that an account's authorization has ended. */
export interface Revocation {
  readonly account: string
  /** When it happened, where it is known: a later login stays. */
  readonly at?: number
}
