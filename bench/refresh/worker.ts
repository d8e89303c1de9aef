/** The shipped Worker with a batch of calls to itself, beside calls that do nothing. Whoever asks takes the time. */
import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers'
import { openApp, type App } from '../../wrangler/src/app.ts'
import { giveToken } from '../../wrangler/src/connections.ts'
import type { Env as ShippedEnv } from '../../wrangler/src/env.ts'
import shipped, { Latchkey, Vault as ShippedVault } from '../../wrangler/src/worker.ts'
import { countWrites, written } from './writes.ts'

export { AccountClaim, ConnectLink } from '../../wrangler/src/worker.ts'
export { Latchkey }

interface Env extends ShippedEnv {
  readonly EMPTY: DurableObjectNamespace<Empty>
  readonly EMPTY_ENTRY: Service<typeof EmptyEntry>
  readonly LATCHKEY: Service<typeof Latchkey>
}

export class Vault extends ShippedVault {
  constructor(context: DurableObjectState, env: ShippedEnv) {
    countWrites(context.storage)
    super(context, env)
  }
}

export class Empty extends DurableObject {
  nothing(): void {}

  /** What `token` is asked and answers, without anything between. */
  same(_key: object, _minValidityMs: number): object {
    return answer
  }
}

const answer = {
  ok: true,
  accessToken: `ghu_${'x'.repeat(36)}`,
  expiresAt: 1_800_000_000_000,
  generation: { id: 'x'.repeat(22), version: 1 },
} as const

/** What a call through a service binding costs when neither side does anything. */
export class EmptyEntry extends WorkerEntrypoint<Env> {
  async nothing(): Promise<void> {
    await this.env.EMPTY.getByName('empty').nothing()
  }

  /** With what `token` is asked and answers. */
  async same(_principal: object, _provider: string): Promise<object> {
    await this.env.EMPTY.getByName('empty').nothing()
    return { ok: true, value: answer }
  }
}

type Run = (env: Env, app: App, subject: string, provider: string) => Promise<unknown>

const runs: Readonly<Record<string, Run>> = {
  latchkey: (_env, app, subject, provider) => giveToken(app, { subject, kind: 'service' }, provider, {}),
  'empty-do-rpc': (env) => env.EMPTY.getByName('empty').nothing(),
  'payload-do-rpc': (env, _app, subject, provider) =>
    env.EMPTY.getByName('empty').same({ owner: { kind: 'user', id: subject }, provider }, 0),
  'latchkey-binding': async (env, _app, subject, provider) => {
    const answer = await env.LATCHKEY.token({ subject, kind: 'service' }, provider)
    if (!answer.ok) throw new Error(answer.code)
  },
  'empty-binding-do-rpc': (env) => env.EMPTY_ENTRY.nothing(),
  'payload-binding-do-rpc': (env, _app, subject, provider) =>
    env.EMPTY_ENTRY.same({ subject, kind: 'service' }, provider),
}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/bench/empty') return new Response()
    if (pathname === '/bench/writes') return Response.json(written())
    if (pathname !== '/bench/run') return await shipped.fetch(request, env)
    const text = (name: string): string => searchParams.get(name) ?? ''
    const run = runs[text('name')]!
    const app = openApp(env)
    for (let n = Number(text('n')); n > 0; n--) await run(env, app, text('subject'), text('provider'))
    return new Response()
  },
} satisfies ExportedHandler<Env>
