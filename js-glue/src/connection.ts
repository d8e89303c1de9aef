import type { SealedLogin } from './connection-record.ts'
import { Run, type Answer, type Begin } from './connection-run.ts'
import { Shared, type Kind } from './connection-shared.ts'
import type {
  ConnectionOptions,
  EndResult,
  Login,
  LoginResult,
  Status,
  Token,
  TokenResult,
} from './connection-types.ts'
import { LatchkeyError } from './errors.ts'
import type { Cause, Generation } from './refresh-types.ts'

export type * from './connection-types.ts'

const encoder = new TextEncoder()

/**
 * One connection: it carries out what `lk.refresh.step` decides, and decides nothing.
 *
 * Every caller has a flow of its own, so that one caller's failure is nobody else's. Throws when it is made: whatever
 * `lk.refresh.admit` refuses.
 */
export class Connection {
  readonly #shared: Shared

  constructor(options: ConnectionOptions) {
    this.#shared = new Shared(options)
  }

  /**
   * A token that is good for at least `minValidityMs`.
   *
   * Rejects with `time_invalid`; everything else is an outcome.
   */
  fetch({ minValidityMs }: { readonly minValidityMs?: number } = {}): Promise<TokenResult> {
    const standing = this.standing(minValidityMs)
    if (standing !== undefined) return Promise.resolve(standing)
    const validity = minValidityMs === undefined ? undefined : { minValidityMs }
    return this.#run<TokenResult>({ task: 'fetch', ...validity })
  }

  /**
   * What `fetch` would give now without looking at the store; undefined where it has to. The same object as long as
   * nothing is written and the core's answer stands.
   */
  standing(minValidityMs?: number): Token | undefined {
    return this.#shared.standing(minValidityMs)
  }

  /** Another token than this generation's, whatever its age. Rejects with `claim_invalid` for what is no generation. */
  rotate(generation: Generation): Promise<TokenResult> {
    return this.#run<TokenResult>({ task: 'rotate', generation })
  }

  /** As `rotate`: a resource server said 401 to this generation's token. */
  reportRejected(generation: Generation): Promise<TokenResult> {
    return this.#run<TokenResult>({ task: 'report_rejected', generation })
  }

  /** A new lineage in the place of whatever was there. Rejects with `claim_invalid` for what cannot be sealed. */
  async login(login: Login): Promise<LoginResult> {
    const { accessToken, refreshToken, scopes, account, details, askedAt } = login
    const access = bytesOf(accessToken)
    const refresh = refreshToken === undefined ? undefined : bytesOf(refreshToken)
    try {
      if (access.length === 0 || refresh?.length === 0 || !isPlain(account) || !isPlain(details)) {
        throw new LatchkeyError('claim_invalid')
      }
      const id = toId(this.#shared.random(16))
      const seal = (kind: Kind, bytes: Uint8Array): string => this.#shared.seal(bytes, account, id, kind)
      const sealed: SealedLogin = {
        access: seal('access', access),
        refresh: refresh === undefined ? null : seal('refresh', refresh),
        account,
        scopes: JSON.stringify(scopes ?? []),
        details,
      }
      const tokens = {
        ...(login.lifetimeMs === undefined ? undefined : { lifetimeMs: login.lifetimeMs }),
        ...(login.refreshLifetimeMs === undefined
          ? undefined
          : { refreshLifetimeMs: login.refreshLifetimeMs }),
        hasRefresh: refresh !== undefined,
        refreshSame: false,
        hasScope: true,
      }
      return await this.#run<LoginResult>({ task: 'login', id, tokens, at: askedAt }, sealed)
    } finally {
      access.fill(0)
      refresh?.fill(0)
    }
  }

  /** A tombstone, at once; the provider is not asked. Only for that lineage, and not for one that began after `at`. */
  revoke({
    cause,
    at,
    id,
  }: {
    readonly cause: Cause
    readonly at?: number
    readonly id?: string
  }): Promise<EndResult> {
    return this.#run<EndResult>({
      task: 'revoke',
      cause,
      ...(at === undefined ? undefined : { at }),
      ...(id === undefined ? undefined : { id }),
    })
  }

  /** Strict: what may still be alive at the provider stays. */
  disconnect({ id }: { readonly id?: string } = {}): Promise<EndResult> {
    return this.#run<EndResult>({ task: 'disconnect', ...(id === undefined ? undefined : { id }) })
  }

  /** Best effort: nothing stays, and the receipt says what was revoked and what was not. */
  erase(): Promise<EndResult> {
    return this.#run<EndResult>({ task: 'erase' })
  }

  /** What an alarm that `arm` asked for is there for. Resolves when all is done. */
  async alarm(): Promise<void> {
    await this.#run({ task: 'alarm' })
  }

  /** What is stored, without any token; null when nothing is. Rejects when the store does. */
  async status(): Promise<Status | null> {
    const record = await this.#shared.options.store.read()
    if (record === undefined) return null
    try {
      const { account, details } = record
      const scopes = JSON.parse(record.scopes) as string[]
      return {
        ...this.#shared.options.lk.refresh.describe(record.row, this.#shared.now()),
        account,
        scopes,
        details,
      }
    } catch {
      return { status: 'corrupt' }
    }
  }

  #run<A extends Answer>(begin: Begin, login?: SealedLogin): Promise<A> {
    return new Promise((resolve, reject) => {
      const run = new Run(this.#shared, begin, resolve as (answer: Answer | undefined) => void, login)
      const work = run.go().catch(reject)
      // What has ended by now needs nobody to wait for it.
      if (!run.ended) this.#shared.options.background?.(work)
    })
  }
}

function bytesOf(token: Uint8Array | string): Uint8Array {
  return typeof token === 'string' ? encoder.encode(token) : token
}

/** No store would give anything else back as it was. */
const isPlain = (text: string): boolean =>
  typeof text === 'string' && text.isWellFormed() && !text.includes('\0')

function toId(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
