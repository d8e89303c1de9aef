/** No lock at all: whoever finds the token expired refreshes it. */
import { isFresh, refresh, serve, type ProviderVars, type Verdict } from './token-request.ts'
import type { Table } from './table.ts'

export { Table } from './table.ts'

interface Env extends ProviderVars {
  readonly TABLE: DurableObjectNamespace<Table>
}

async function token(env: Env, subject: string): Promise<Verdict> {
  const table = env.TABLE.getByName(subject)
  const pair = await table.read()
  if (!pair) return { error: 'reconnect_required' }
  if (isFresh(pair)) return { pair }
  const verdict = await refresh(env, pair.refreshToken)
  if ('pair' in verdict) await table.write(verdict.pair)
  return verdict
}

export default {
  fetch: (request, env) =>
    serve(request, {
      seed: async (subject, pair) => await env.TABLE.getByName(subject).write(pair),
      token: (subject) => token(env, subject),
    }),
} satisfies ExportedHandler<Env>
