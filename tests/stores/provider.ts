/** An authorization server of a few lines: it keeps count of what is spent twice, and fails as it is told to. */
import type { Answered, Provider } from 'latchkey/connection'

export type Rotation = 'none' | 'grace_same' | 'grace_new' | 'strict_refused' | 'family_revoked'

/**
 * What becomes of one request. `before`: it never arrives; `after`: it is done, and the answer lost; `500` and
 * `500_after`: the same with an answer that says nothing; `hang` and `hang_after`: nothing comes back, ever.
 */
export type Fault =
  | 'none'
  | 'before'
  | 'after'
  | '500'
  | '500_after'
  | 'rate_limited'
  | 'operator'
  | 'garbled_after'
  | 'hang'
  | 'hang_after'
  | 'throws'

interface Grant {
  revoked: boolean
  /** The refresh token that has not been used yet. */
  current: string
}

interface Spent {
  readonly at: number
  readonly successor: string
}

export interface ModelOptions {
  readonly rotation: Rotation
  readonly lifetimeMs?: number
  readonly graceMs?: number
  readonly tokenLength?: number
  readonly now?: () => number
  readonly pause?: () => Promise<void>
  readonly fault?: () => Fault
}

const silences: ReadonlySet<Fault> = new Set(['before', 'after', 'hang', 'hang_after', 'throws'])

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class ModelProvider implements Provider {
  readonly #options: ModelOptions
  readonly #grants = new Map<string, Grant>()
  readonly #spent = new Map<string, Spent>()
  readonly #revokedAccess = new Set<string>()
  #count = 0
  /** Requests that reached the provider, for each refresh token; and the probes that got no answer. */
  readonly arrivals = new Map<string, { plain: number; probes: number }>()
  readonly silentProbes = new Map<string, number>()
  /** Uses of a token that had been used before, not labelled as a probe. */
  replays = 0
  redeemed = 0
  requests = 0
  revocations = 0
  /** Everything that was handed over in either direction; all of it must be zeros in the end. */
  readonly bytes: Uint8Array[] = []
  /** Every token that there ever was. */
  readonly texts: string[] = []
  next: Fault[] = []
  /** What answers say about scopes. */
  scopes: readonly string[] | undefined

  constructor(options: ModelOptions) {
    this.#options = options
  }

  /** The first pair of a grant. */
  login(): { accessToken: Uint8Array; refreshToken: Uint8Array } {
    const grant: Grant = { revoked: false, current: '' }
    const access = this.#issue('access')
    grant.current = this.#issue('refresh')
    this.#grants.set(grant.current, grant)
    this.#grants.set(access, grant)
    return { accessToken: this.#hand(access), refreshToken: this.#hand(grant.current) }
  }

  /** Whether a resource server would take it. */
  accepts(access: string): boolean {
    return this.#grants.get(access)?.revoked === false && !this.#revokedAccess.has(access)
  }

  async refresh(
    token: Uint8Array,
    { signal, probe }: { signal: AbortSignal; probe: boolean },
  ): Promise<Answered> {
    this.bytes.push(token)
    const text = decoder.decode(token)
    const fault = this.next.shift() ?? this.#options.fault?.() ?? 'none'
    this.requests += 1
    if (probe && silences.has(fault)) this.silentProbes.set(text, (this.silentProbes.get(text) ?? 0) + 1)
    if (fault === 'throws') throw new Error('no connection')
    await this.#options.pause?.()
    switch (fault) {
      case 'before':
        return { class: 'transient', doubt: 'silent' }
      case '500':
        return { class: 'transient', doubt: 'answered' }
      case 'rate_limited':
        return { class: 'rate_limited', doubt: 'none', retryAfterMs: 500 }
      case 'operator':
        return { class: 'operator', doubt: 'none' }
      case 'hang':
        return await hang(signal)
      case 'none':
      case 'after':
      case '500_after':
      case 'garbled_after':
      case 'hang_after':
        break
    }
    const successor = this.#redeem(text, probe)
    await this.#options.pause?.()
    if (fault === 'hang_after') return await hang(signal)
    if (fault === 'after') return { class: 'transient', doubt: 'silent' }
    if (fault === '500_after') return { class: 'transient', doubt: 'answered' }
    if (fault === 'garbled_after') {
      return { class: 'unparsed', doubt: 'answered', raw: this.#hand(successor ?? 'what?') }
    }
    if (successor === undefined) return { class: 'terminal', doubt: 'none', code: 'invalid_grant' }
    const { lifetimeMs = 3_600_000 } = this.#options
    return {
      class: 'ok',
      doubt: 'none',
      tokens: {
        accessToken: this.#hand(this.#access(successor)),
        refreshToken: this.#hand(successor),
        lifetimeMs,
        ...(this.scopes && { scopes: this.scopes }),
        refreshSame: successor === text,
      },
    }
  }

  async revoke(token: Uint8Array): Promise<'done'> {
    this.bytes.push(token)
    const grant = this.#grants.get(decoder.decode(token))
    await this.#options.pause?.()
    this.revocations += 1
    if (grant) grant.revoked = true
    return 'done'
  }

  #redeem(text: string, probe: boolean): string | undefined {
    const seen = this.arrivals.get(text) ?? { plain: 0, probes: 0 }
    this.arrivals.set(text, seen)
    seen[probe ? 'probes' : 'plain'] += 1
    const grant = this.#grants.get(text)
    if (grant === undefined || grant.revoked) return undefined
    const { rotation, graceMs = 0, now = Date.now } = this.#options
    const spent = this.#spent.get(text)
    if (spent === undefined) {
      this.redeemed += 1
      if (rotation === 'none') return text
      return this.#rotate(grant, text)
    }
    const inGrace = now() - spent.at <= graceMs
    if (rotation === 'grace_same' && inGrace) return spent.successor
    if (rotation === 'grace_new' && inGrace) return this.#rotate(grant, text)
    if (!probe) this.replays += 1
    if (rotation === 'family_revoked') grant.revoked = true
    return undefined
  }

  #rotate(grant: Grant, from: string): string {
    const successor = this.#issue('refresh')
    this.#grants.set(successor, grant)
    this.#spent.set(from, { at: (this.#options.now ?? Date.now)(), successor })
    grant.current = successor
    return successor
  }

  #access(refresh: string): string {
    const access = this.#issue('access')
    this.#grants.set(access, this.#grants.get(refresh)!)
    return access
  }

  #issue(kind: string): string {
    this.#count += 1
    const text = `canary-${kind}-${this.#count}-`.padEnd(this.#options.tokenLength ?? 40, `${this.#count}x`)
    this.texts.push(text)
    return text
  }

  #hand(text: string): Uint8Array {
    const bytes = encoder.encode(text)
    this.bytes.push(bytes)
    return bytes
  }
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')))
  })
}
