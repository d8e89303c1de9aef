/**
 * The usual recipe: a lease of two seconds in the database, the refresh by whoever has it, the pair stored after the
 * answer has been parsed; the others look again every 50 ms, and take the lease when it is over.
 */
import { isFresh, refresh, serve, type ProviderVars, type Verdict } from './token-request.ts'
import type { Table } from './table.ts'

export { Table } from './table.ts'

interface Env extends ProviderVars {
  readonly TABLE: DurableObjectNamespace<Table>
}

const leaseMs = 2_000
const pollMs = 50
const patienceMs = 20_000

async function token(env: Env, subject: string): Promise<Verdict> {
  const table = env.TABLE.getByName(subject)
  const holder = crypto.randomUUID()
  const until = Date.now() + patienceMs
  for (;;) {
    const pair = await table.read()
    if (!pair) return { error: 'reconnect_required' }
    if (isFresh(pair)) return { pair }
    if (await table.lease(holder, leaseMs)) {
      const verdict = await refresh(env, pair.refreshToken)
      if ('pair' in verdict) await table.write(verdict.pair)
      else await table.free(holder)
      return verdict
    }
    if (Date.now() > until) return { error: 'temporarily_unavailable' }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

export default {
  fetch: (request, env) =>
    serve(request, {
      seed: async (subject, pair) => await env.TABLE.getByName(subject).write(pair),
      token: (subject) => token(env, subject),
    }),
} satisfies ExportedHandler<Env>
