/** Everything that is kept for a person goes, step by step, as the core says, with a receipt. */
import type { EraseOutcome, EraseStep, Owner, Principal, ReceiptReason, Retention } from 'latchkey'
import type { App } from './app.ts'
import { vaultOf } from './connections.ts'
import { forget } from './ledger.ts'
import { vaultName } from './names.ts'
import { eraseRuns, eraseSessions } from './owner-index.ts'
import type { Code } from './refusal.ts'

export interface Erased {
  readonly provider: string
  readonly revoked: boolean
  readonly deleted: boolean
  readonly reason?: Exclude<ReceiptReason, 'none'> | Code
}

/** What an erasure came to; `complete`: nothing is left here. One that is not is asked for again, and goes on. */
export interface ErasureReceipt {
  readonly at: number
  readonly complete: boolean
  readonly reason: ReturnType<Retention['erase']>['reason']
  /** Steps after which there is nothing left of what they are for. */
  readonly erased: readonly EraseStep[]
  readonly failed: readonly EraseStep[]
  readonly connections: readonly Erased[]
}

/** One step for one person; it can be taken twice. Throwing is failing. */
export type Eraser = (app: App, owner: Owner) => Promise<EraseOutcome>

/** A human may end their own account, a service anyone's. */
export async function eraseUser(app: App, principal: Principal, id: string): Promise<ErasureReceipt> {
  const { subject, kind } = principal
  const target = app.lk.scope.eraseTarget({ subject, kind, user: id })
  const owner = { kind: target.scope, id: target.id }
  const providers = app.config.providers.map(({ name }) => name)
  const vaults = providers.map((provider) => vaultOf(app, { owner, provider }))
  let ended: readonly Erased[] = []

  const steps: Readonly<Record<EraseStep, Eraser>> = {
    sessions: eraseSessions,
    runs: eraseRuns,
    // What is cached is keyed by the provider's account, holds no person and ends after five minutes.
    caches: () => Promise.resolve('absent'),
    async block() {
      await Promise.all(vaults.map((vault) => vault.block()))
      return 'done'
    },
    // A token that is revoked is deleted in the same breath: whoever came between would revoke the next one.
    async revoke() {
      ended = await Promise.all(providers.map((provider) => endConnection(app, owner, provider)))
      if (ended.some(({ revoked, deleted, reason }) => !revoked && (!deleted || reason))) return 'failed'
      return ended.some(({ revoked }) => revoked) ? 'done' : 'absent'
    },
    connections: async () => (ended.every(({ deleted }) => deleted) ? 'done' : 'failed'),
    async links() {
      const counts = await Promise.all(vaults.map((vault) => vault.endLinks()))
      return counts.some((count) => count > 0) ? 'done' : 'absent'
    },
    async index() {
      const objects = providers.map((provider) => vaultName(app.config.baseUrl, { owner, provider }))
      return (await forget(app, objects)) ? 'done' : 'absent'
    },
  }

  const outcomes: { [step in EraseStep]?: EraseOutcome } = {}
  for (;;) {
    const { action, reason, step, receipt } = app.lk.retention.erase(outcomes)
    if (step === undefined)
      return { at: Date.now(), complete: action === 'finished', reason, ...receipt, connections: ended }
    outcomes[step] = await steps[step](app, owner).catch((): EraseOutcome => 'failed')
  }
}

async function endConnection(app: App, owner: Owner, provider: string): Promise<Erased> {
  try {
    const result = await vaultOf(app, { owner, provider }).erase()
    if (result.outcome !== 'ok') return { provider, revoked: false, deleted: false, reason: result.outcome }
    const { revoked, deleted, reason } = result
    return { provider, revoked, deleted, ...(reason && { reason }) }
  } catch {
    return { provider, revoked: false, deleted: false, reason: 'store_unavailable' }
  }
}
