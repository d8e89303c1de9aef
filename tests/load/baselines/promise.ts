/**
 * The simplest correct thing while nothing fails: one promise inside a Durable Object. Nothing is stored, so a restart
 * forgets everything, and one failure is everybody's.
 */
import { DurableObject } from 'cloudflare:workers'
import { isFresh, refresh, serve, type Pair, type ProviderVars, type Verdict } from './token-request.ts'

interface Env extends ProviderVars {
  readonly CONNECTION: DurableObjectNamespace<Connection>
}

export class Connection extends DurableObject<Env> {
  #pair: Pair | undefined
  #refreshing: Promise<Verdict> | undefined

  seed(pair: Pair): void {
    this.#pair = pair
  }

  async token(): Promise<Verdict> {
    if (!this.#pair) return { error: 'reconnect_required' }
    if (isFresh(this.#pair)) return { pair: this.#pair }
    this.#refreshing ??= this.#refresh(this.#pair).finally(() => (this.#refreshing = undefined))
    return await this.#refreshing
  }

  async #refresh({ refreshToken }: Pair): Promise<Verdict> {
    const verdict = await refresh(this.env, refreshToken)
    if ('pair' in verdict) this.#pair = verdict.pair
    return verdict
  }
}

export default {
  fetch: (request, env) =>
    serve(request, {
      seed: async (subject, pair) => await env.CONNECTION.getByName(subject).seed(pair),
      token: async (subject) => await env.CONNECTION.getByName(subject).token(),
    }),
} satisfies ExportedHandler<Env>
