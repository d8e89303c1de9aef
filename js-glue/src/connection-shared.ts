/** What all flows of a connection have in common: clock, randomness, seals, the answer that stands, and who waits. */
import type { ConnectionOptions, MaybePromise, Stored, Token } from './connection-types.ts'
import type { Policy, Traits } from './refresh-types.ts'

/** How long at the most until a waiting caller looks, whatever the clocks say. */
const longestWaitMs = 60_000
/** Where this process alone writes, waiting callers are woken; looking is for what nobody foresaw. */
const soleWriterPollMs = 1_000
const entropyPool = 512

/** Which of a record's texts: none is taken for another. */
export type Kind = 'access' | 'refresh' | `held.${number}`

export class Shared {
  readonly options: ConnectionOptions
  readonly traits: Traits
  readonly policy: Policy
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  readonly after: (ms: number, run: () => void) => () => void
  readonly #waiting = new Set<() => void>()
  /** Raised before every write: what was read earlier may not be there any more. */
  #writes = 0
  #standing: { readonly token: Token; readonly until: number; readonly minValidityMs: number } | undefined
  #pool = new Uint8Array(0)
  #used = 0

  constructor(options: ConnectionOptions) {
    const { store, traits, policy } = options
    this.options = options
    this.traits = Object.freeze({ ...traits })
    this.policy = Object.freeze({
      ...(store.signal === 'sole' ? { pollMs: soleWriterPollMs } : undefined),
      ...policy,
    })
    this.now = options.now ?? (() => Date.now())
    this.random = options.random ?? ((length) => crypto.getRandomValues(new Uint8Array(length)))
    this.after = options.after ?? afterTimeout
    options.lk.refresh.admit(store.contract, this.policy, this.traits)
  }

  get writes(): number {
    return this.#writes
  }

  /** Somebody is about to write. */
  unsettle(): void {
    this.#writes += 1
    this.#standing = undefined
  }

  /** The core said until when an answer stands; `writes` is as it was when its record was read. */
  settle(token: Token, until: number, minValidityMs: number, writes: number): void {
    if (this.options.store.signal !== 'sole' || until === 0 || writes !== this.#writes) return
    this.#standing = { token: Object.freeze({ ...token, source: 'stored' }), until, minValidityMs }
  }

  /** The answer that such a question still has, without asking. */
  standing(minValidityMs = 0): Token | undefined {
    const standing = this.#standing
    const stands = standing?.minValidityMs === minValidityMs && this.now() <= standing.until
    return stands ? standing.token : undefined
  }

  /** Eight random bytes, of which every flow needs some; asking for many at once is cheaper by far. */
  entropy(): Uint8Array {
    if (this.#used === this.#pool.length) {
      this.#pool = new Uint8Array(this.random(entropyPool))
      this.#used = 0
    }
    this.#used += 8
    return this.#pool.subarray(this.#used - 8, this.#used)
  }

  seal(bytes: Uint8Array, account: string, id: string, kind: Kind): string {
    const { lk, ring } = this.options
    return lk.seal.seal(ring, bytes, this.#place(account, id, kind), { entropy: this.random(24) })
  }

  open(text: string, { account, id }: Stored, kind: Kind): Uint8Array {
    const { lk, ring } = this.options
    return lk.seal.open(ring, text, this.#place(account, id, kind))
  }

  /** A text moved to another owner, account, lineage or column does not open. */
  #place(account: string, id: string, kind: Kind): readonly string[] {
    return ['connection', '1', ...this.options.context, account, id, kind]
  }

  /** Something was written: whoever waits for that looks now. */
  wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const run of waiting) run()
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        stop()
        resolve()
      }
      const stop = this.after(Math.max(0, Math.min(ms, longestWaitMs)), () => {
        this.#waiting.delete(wake)
        resolve()
      })
      if (this.options.store.signal !== 'none') this.#waiting.add(wake)
    })
  }

  /** What work comes to, or `otherwise` when it fails or takes longer. */
  within<T>(work: Promise<T>, ms: number, otherwise: T): Promise<T> {
    return new Promise((resolve) => {
      const stop = this.after(Math.max(0, ms), () => resolve(otherwise))
      const settle = (value: T): void => {
        stop()
        resolve(value)
      }
      work.then(settle, () => settle(otherwise))
    })
  }
}

export function isPending<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | null | undefined)?.then === 'function'
}

function afterTimeout(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}
