/** Which accounts this place has claimed, and lets go of. */
import { openApp } from './app.ts'
import type { ClaimRequest } from './claim.ts'
import type { Env } from './env.ts'
import { claimName, type ConnectionKey } from './names.ts'

export class Claiming {
  readonly #env: Env
  readonly #key: ConnectionKey
  /** Accounts that are claimed but not stored yet. */
  readonly #running = new Map<string, number>()

  constructor(env: Env, key: ConnectionKey) {
    this.#env = env
    this.#key = key
  }

  isRunning(accountId: string): boolean {
    return this.#running.has(accountId)
  }

  /** While `work` runs, the account counts as held here. */
  async during<T>(accountId: string, work: () => Promise<T>): Promise<T> {
    this.#running.set(accountId, (this.#running.get(accountId) ?? 0) + 1)
    try {
      return await work()
    } finally {
      const others = (this.#running.get(accountId) ?? 1) - 1
      if (others > 0) this.#running.set(accountId, others)
      else this.#running.delete(accountId)
    }
  }

  async claim(request: ClaimRequest): Promise<boolean> {
    return await this.#claimOf(request.accountId).claim(request)
  }

  /** Best effort: a claim that is left behind is forgotten by whoever meets it next. */
  async release(accountId: string): Promise<void> {
    try {
      await this.#claimOf(accountId).release(this.#key.owner)
    } catch {
      console.warn(JSON.stringify({ event: 'claim_left', provider: this.#key.provider }))
    }
  }

  #claimOf(accountId: string) {
    const { config } = openApp(this.#env)
    return this.#env.ACCOUNT_CLAIM.getByName(claimName(config.baseUrl, this.#key.provider, accountId))
  }
}
