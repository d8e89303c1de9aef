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
import type { Latchkey, Verifier } from './types.ts'
export declare function makeLatchkey(compiled: WebAssembly.Module): Latchkey
export declare function makeVerifier(compiled: WebAssembly.Module): Verifier

// dist/types.d.ts
import type { ErrorCode, PublicCode } from './errors.ts'
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
export type Rule = 'org_admin' | 'no_org' | 'role_is_member' | 'asked_for_self'
export interface WriteTarget {
  readonly scope: 'org' | 'user'
  readonly id: string
  readonly rule: Rule
}
export interface ProviderSettings {
  readonly name: string
  readonly title: string
  readonly profile: string
  readonly clientId: string
  readonly authorizationUrl: string
  readonly tokenUrl: string
  readonly revocationUrl?: string
  readonly userInfoUrl?: string
  readonly scopes: readonly string[]
  readonly scopeSeparator: ' ' | ','
  readonly authStyle: 'basic' | 'body'
  readonly responseMode: 'query' | 'form_post'
  readonly pkce: boolean
  readonly asIssuer?: string
  readonly issRequired: boolean
  readonly clientSecretName?: string
  readonly webhookSecretName?: string
}
export interface Config {
  readonly baseUrl: string
  readonly dev: boolean
  readonly connectEnabled: boolean
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
  readonly reason?: 'unsupported' | 'refused' | 'unreachable' | 'not_connected'
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
export interface Latchkey {
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
  readonly scope: {
    writeTarget(facts: { subject: string; org?: string; role?: string }): WriteTarget
    connectTarget(facts: {
      subject: string
      org?: string
      role?: string
      requested: 'user' | 'org'
    }): WriteTarget
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
  }
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
  readonly disconnect: {
    decide(answer: RevocationAnswer): DisconnectResult
  }
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
