import type { Admission } from './admission-types.ts'
import type { ErrorCode, PublicCode } from './errors.ts'
import type { Doubt, Refresh, Traits } from './refresh-types.ts'
import type { Capabilities, ReadPolicy, Repo, RepoHost, Rule, Scopes, Upstreams } from './scope-types.ts'
import type { Retention } from './retention-types.ts'

/** Says that this verifier cannot see the binding cookie. Never pass it on the way to an exchange. */
export const skipBinding: unique symbol = Symbol('latchkey.skipBinding')

/** Signature algorithm of a state token. It is bound to the key, never chosen by the token. */
export type Alg = 'HS256' | 'EdDSA'

/** Whose connection this is about: a person, or an organisation. `id`: 1..255 bytes of UTF-8 without control characters. */
export interface Owner {
  readonly kind: 'user' | 'org'
  readonly id: string
}

/** Text or bytes. Secrets are better passed as bytes: a string cannot be wiped. */
export type Text = string | Uint8Array

/** What a state token says. Every text is 1..255 bytes of UTF-8 without control characters. */
export interface StateClaims {
  /** Default `HS256`. `EdDSA` tokens can be verified by anyone who has the JWK Set. */
  readonly alg?: Alg
  /** `iss`: own origin, from configuration. */
  readonly issuer: string
  /** `aud`: the redirect URI that the callback must arrive at. */
  readonly audience: string
  /** What the state is for, for example `connect`. A state of one flow is refused in another. */
  readonly flow: string
  /** `as`: the authorization server the browser is sent to (mix-up defence). */
  readonly provider: string
  /** `sub`: who started the flow. */
  readonly subject: string
  readonly owner: Owner
  readonly app?: string
  /** `target_link_uri`: where to go afterwards; a path that `returnTo` accepts as it is. */
  readonly returnTo?: string
  /** The 32 bytes of the browser-binding cookie. */
  readonly binding?: Uint8Array
  /** Whole seconds in milliseconds, 1,000..3,600,000. Default 600,000. */
  readonly ttlMs?: number
}

export interface IssuedState {
  readonly token: string
  readonly nonce: string
  readonly expiresAt: number
  readonly pkce: { readonly challenge: string; readonly method: 'S256' }
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

/** A state whose signature, time and expectations have been checked. Only `state.verify` makes one. */
export interface State extends StateFields {
  readonly [verified]: true
}

/** What a token *says*, unchecked. For routing only; cannot be passed where a `State` is expected. */
export interface UnverifiedState extends Partial<Omit<StateFields, 'alg' | 'kid'>> {
  readonly [unverified]: true
}

/** What the verifier knows by itself, never from the token. */
export interface Expected {
  readonly now: number
  readonly issuer: string
  readonly audience: string
  readonly flow?: string
  readonly provider?: string
  readonly subject?: string
  /** The 32 bytes of the browser-binding cookie; a bound state is refused without it. */
  readonly binding?: Uint8Array
  /** How far `iat` may lie in the future. Default 60,000, at most 300,000. Expiry has no tolerance. */
  readonly skewMs?: number
}

/** As `Expected`, for a reader that may say that it cannot see the binding cookie. */
export type VerifierExpected = Omit<Expected, 'binding'> & {
  readonly binding?: Uint8Array | typeof skipBinding
}

/** RFC 7517 key set, as `keys.publicJwks` returns it. Members other than Ed25519 keys are ignored. */
export interface Jwks {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

export interface CallbackInput {
  /** The query or form parameters exactly as received, duplicates included. */
  readonly params: URLSearchParams | string | Iterable<readonly [string, string]>
  /** What `state.verify` returned, or the code of the error it threw. */
  readonly state: State | ErrorCode
  readonly session: {
    /** Who is signed in at the callback; absent when nobody is. */
    readonly subject?: string
    /** The issuer identifier of the authorization server (RFC 9207), where configuration has it. */
    readonly asIssuer?: string
    /** The authorization server always sends `iss`; its absence is then refused. */
    readonly issRequired?: boolean
  }
}

export type CallbackPlan =
  | {
      readonly action: 'exchange'
      readonly code: string
      readonly returnTo?: string
      /** Store this nonce until then, atomically, and go on only if it was not there yet. */
      readonly consume: { readonly nonce: string; readonly until: number }
    }
  | {
      readonly action: 'redirect'
      readonly reason: ErrorCode
      readonly publicCode: PublicCode
      readonly returnTo?: string
    }

/** Who is calling. */
export interface Principal {
  readonly subject: string
  readonly org?: string
  readonly role?: string
  readonly kind: 'human' | 'service' | 'device'
  readonly device?: string
}

/** A token endpoint's good answer, typed. Times are epoch milliseconds. */
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
  /** At most 64,000 bytes. */
  readonly body: Uint8Array
}

export interface Account {
  /** The provider's stable id as decimal or opaque text. */
  readonly id: string
  /** What a person recognises: login, e-mail or name; the id where there is nothing better. */
  readonly label: string
}

export interface RequestFacts {
  readonly method: string
  /** `Host` header as received. */
  readonly host: string
  readonly origin?: string
  readonly secFetchSite?: string
  readonly contentType?: string
  /** Own origin from configuration. */
  readonly ownOrigin: string
  /** The one media type this route takes. */
  readonly mediaType: 'application/json' | 'application/x-www-form-urlencoded'
  /** Any of forwarded, x-forwarded-for, -host, -proto, x-real-ip is present. */
  readonly proxied: boolean
  /** The route serves everybody, not only this machine: Host and proxies are not asked about. */
  readonly open?: boolean
}

export type RequestVerdict =
  { readonly ok: true } | { readonly ok: false; readonly status: number; readonly code: ErrorCode }

export interface WriteTarget {
  readonly scope: 'org' | 'user'
  readonly id: string
  readonly rule: Rule
}

/** What is known of a provider's refreshing: its profile, and what configuration says instead. */
export interface RefreshFacts {
  readonly traits: Required<Traits>
  /** Of an access token that comes with a refresh token and without a lifetime; 0: it does not expire. */
  readonly accessTtlMs: number
  /** Every refresh takes along the redirect URI of the login. */
  readonly needsRedirectUri: boolean
  /** A 5xx comes before the refresh token is looked at. */
  readonly serverErrorsUnspent: boolean
  /** An alarm refreshes before anybody asks. */
  readonly proactive: boolean
}

/** What a request to the revocation endpoint looks like. */
export interface RevocationRequest {
  readonly url: string
  readonly method: 'POST' | 'DELETE'
  /** `client`: as at the token endpoint; `basic`: client id and secret, whatever the token endpoint takes; `bearer`: the token itself. */
  readonly credentials: 'client' | 'basic' | 'bearer'
  /** Where `member` holds the token. */
  readonly body: 'form' | 'json' | 'none'
  readonly member: 'token' | 'access_token'
  /** `refresh`: the refresh token where there is one, else the access token. */
  readonly token: 'refresh' | 'access'
}

/** Provider facts that the core ships and configuration may override. */
/** Where a provider's repositories are, and the user name that git sends with an access token as the password. */
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
  /** Where an RFC 7009 request can be sent. */
  readonly revocationUrl?: string
  /** How to revoke, whatever the shape. */
  readonly revocation?: RevocationRequest
  readonly refresh: RefreshFacts
  readonly userInfoUrl?: string
  /** Where RFC 7662 is answered, from what the token endpoint itself looks at. */
  readonly introspectionUrl?: string
  readonly scopes: readonly string[]
  readonly scopeSeparator: ' ' | ','
  readonly authStyle: 'basic' | 'body'
  readonly responseMode: 'query' | 'form_post'
  readonly pkce: boolean
  readonly asIssuer?: string
  readonly issRequired: boolean
  /** Absent where it has no repositories. */
  readonly git?: GitHost
  /** The variables that hold its secrets; the first is absent for a public client. */
  readonly clientSecretName?: string
  readonly webhookSecretName?: string
  /** Where the client acts as the app that it is, and the variable that holds its private key; absent where it does not. */
  readonly app?: { readonly url: string; readonly keyName: string }
  /** Whose connection a call uses. */
  readonly policy: Required<Omit<ReadPolicy, 'only'>>
  /** The variable that holds the deployment's own token; absent where it may not be used. */
  readonly deploymentTokenName?: string
}

export interface Config {
  readonly baseUrl: string
  readonly dev: boolean
  readonly connectEnabled: boolean
  /** How long a completed run is kept. */
  readonly runRetentionMs: number
  /** Variables that say something unusable and have their default; to be told once, by name alone. */
  readonly warnings: readonly string[]
  readonly providers: readonly ProviderSettings[]
  readonly keys: KeyRing
  readonly principalKeys?: KeyRing
}

declare const ring: unique symbol
/** Parsed keys with every derived subkey. Opaque; never leaves the process, never printed. */
export interface KeyRing {
  readonly [ring]: true
}

/** What a revocation attempt came to, as the glue saw it. */
export type RevocationAnswer =
  | { readonly kind: 'unsupported' }
  | ({ readonly kind: 'status' } & HttpAnswer)
  | { readonly kind: 'unreachable' }

export interface DisconnectResult {
  readonly revoked: boolean
  readonly deleted: boolean
  readonly reason?: 'unsupported' | 'refused' | 'unreachable'
}

/** Names of the headers that a provider's deliveries have, in lower case. */
export interface WebhookHeaders {
  readonly signature: string
  readonly timestamp?: string
  readonly id?: string
  readonly event?: string
}

/** What else is signed, as received; which is told by `webhook.headers`. */
export interface WebhookOptions {
  /** Default `github-app`. */
  readonly profile?: string | undefined
  /** Needed where deliveries have a timestamp, which must be within five minutes of it. */
  readonly now?: number | undefined
  readonly timestamp?: string | null | undefined
  readonly id?: string | null | undefined
}

declare const stream: unique symbol
/** A signature being checked; as good as the secret, and good for one answer. */
export interface WebhookStream {
  readonly [stream]: true
}

export interface WebhookDelivery {
  /** Default `github-app`. */
  readonly profile?: string | undefined
  /** The values of its event and id headers, where the provider has them. */
  readonly event?: string | null | undefined
  readonly id?: string | null | undefined
  /** At most 64,000 bytes. */
  readonly body: Uint8Array
}

/** What a delivery means for the connections of a provider. */
export interface WebhookNews {
  /** `revoked` and `deleted`: the tokens are dead. `suspended`: refused until `restored`. */
  readonly change: 'none' | 'revoked' | 'deleted' | 'suspended' | 'restored'
  /** `account`: every connection with that account id. `installation`: an installation or workspace, and all in it. */
  readonly reach?: 'account' | 'installation'
  /** Ids as the account's id is read: a number as its digits. Empty exactly with `none`. */
  readonly subjects: readonly { readonly id: string; readonly tokens: 'any' | 'user' | 'bot' }[]
  /** When it happened, where the event says so; never later than now. */
  readonly at?: number
  /** Store the key until then; where it is stored already, this delivery was seen before. */
  readonly once: { readonly key: string; readonly until: number }
}

/** What `latchkey/sign` can do, and the whole engine too: keys, states, callbacks, sealing, principals. */
export interface Signer {
  readonly abi: number
  readonly keys: {
    generate(kid: string, entropy32: Uint8Array): string
    parse(text: Text): KeyRing
    publicJwks(ring: KeyRing): Jwks
  }
  readonly state: {
    issue(ring: KeyRing, claims: StateClaims, ctx: { now: number; entropy: Uint8Array }): IssuedState
    verify(keys: KeyRing | Jwks, token: string, expected: Expected): State
    peek(token: string): UnverifiedState
    codeVerifier(ring: KeyRing, state: State): string
  }
  readonly callback: { plan(input: CallbackInput): CallbackPlan }
  returnTo(text: string, options?: { base?: string }): string | null
  readonly seal: {
    seal(ring: KeyRing, bytes: Uint8Array, context: readonly string[], ctx: { entropy: Uint8Array }): string
    open(ring: KeyRing, text: string, context: readonly string[]): Uint8Array
  }
  readonly principal: {
    issue(ring: KeyRing, principal: Principal, ctx: { now: number; ttlMs?: number }): string
    verify(ring: KeyRing, token: string, ctx: { now: number }): Principal
  }
}

export interface Latchkey extends Signer {
  readonly scope: Scopes & {
    writeTarget(facts: { subject: string; org?: string; role?: string }): WriteTarget
    /** As `writeTarget`, for a caller who said whose connection it shall be; throws `not_allowed`. */
    connectTarget(facts: {
      subject: string
      org?: string
      role?: string
      requested: 'user' | 'org'
    }): WriteTarget
    /** Whose account `subject` may have erased: a human their own, a service anyone's; throws `not_allowed`. */
    eraseTarget(facts: { subject: string; kind: Principal['kind']; user: string }): WriteTarget
  }
  readonly guard: {
    isLoopbackHost(host: string): boolean
    request(facts: RequestFacts): RequestVerdict
    /** May a request with a secret go to this URL, having been sent to `from` (absent: the first hop)? */
    outbound(url: string, options: { dev: boolean; from?: string; hop?: number }): boolean
    /** The text, where it can stand in a path or a storage key; throws `name_invalid`. */
    name(text: string): string
    /** A storage key for up to 16 texts: no two lists share one. Throws `claim_invalid`. */
    key(parts: readonly string[]): string
  }
  readonly repo: {
    /** Reads a reference to a repository; throws `repo_invalid`, `repo_host_not_allowed`. Default hosts: github.com, gitlab.com, bitbucket.org. */
    parse(text: string, options?: { hosts?: readonly RepoHost[] }): Repo
  }
  readonly upstream: Upstreams
  readonly capability: Capabilities
  readonly exchange: { read(answer: HttpAnswer, ctx: { now: number; profile: string }): TokenSet }
  readonly account: { read(answer: HttpAnswer, ctx: { profile: string }): Account }
  readonly introspection: {
    /** What is left of the doubt behind an `introspectable` answer, once the refresh token was asked about: total. */
    doubt(answer: HttpAnswer): Doubt
  }
  readonly disconnect: { decide(answer: RevocationAnswer): DisconnectResult }
  readonly refresh: Refresh
  readonly retention: Retention
  readonly admission: Admission
  /**
   * The text with every token, secret and credential in it replaced by `[redacted]`. At most 24,000 bytes; a longer
   * text is refused with `output_too_small`. Never cut a text before it is redacted.
   */
  redact(text: string): string
  readonly webhook: {
    /** Which headers to read; null for a profile whose webhooks are not known. */
    headers(profile: string): WebhookHeaders | null
    /**
     * Is the body, byte for byte as received, from whoever has the secret? Ask before parsing anything. A missing,
     * ill-formed or old signature is `false`; throws `key_invalid` (no secret, or none of the scheme's form),
     * `provider_unknown`, `time_invalid`.
     */
    verify(secret: Text, signatureHeader: string, body: Uint8Array, options?: WebhookOptions): boolean
    /** `verify` in pieces; throws `webhook_invalid` where timestamp or id are missing or ill-formed. */
    begin(secret: Text, options?: WebhookOptions): WebhookStream
    update(stream: WebhookStream, piece: Uint8Array): void
    finish(stream: WebhookStream, signatureHeader: string, ctx?: { now?: number | undefined }): boolean
    /**
     * What a verified delivery means; throws `webhook_unreadable` (nothing is to be changed), `provider_unknown`,
     * `time_invalid`, `output_too_small`.
     */
    read(delivery: WebhookDelivery, ctx: { now: number }): WebhookNews
  }
  readonly config: {
    /** Checks every variable; throws `config_invalid`, `config_missing` with `at` = the variable's name. */
    check(vars: Readonly<Record<string, string | undefined>>): Config
  }
}

/** What `latchkey/verify` can do: everything that needs no secret. */
export interface Verifier {
  readonly abi: number
  readonly state: {
    /** EdDSA only. `binding` may be `skipBinding` where the cookie cannot be seen. */
    verify(jwks: Jwks, token: string, expected: VerifierExpected): State
    peek(token: string): UnverifiedState
  }
  returnTo(text: string, options?: { base?: string }): string | null
}
