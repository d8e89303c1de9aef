/** What is ended when somebody leaves an organisation. */
import type { Owner, Principal, ReceiptReason } from 'latchkey'
import type { App } from './app.ts'
import { vaultOf } from './connections.ts'
import type { Code } from './refusal.ts'

/** One connection that was ended, or that could not be. */
export interface LeftBehind {
  readonly provider: string
  readonly owner: Owner
  readonly revoked: boolean
  readonly deleted: boolean
  readonly reason?: Exclude<ReceiptReason, 'none'> | Code
}

/** What the clean-up came to; `complete`: nothing is left that they could still reach. */
export interface DepartureReceipt {
  readonly at: number
  readonly complete: boolean
  readonly connections: readonly LeftBehind[]
}

/**
 * Ends what somebody who left may still reach of the organisation: what was made with their account. Their own stays
 * theirs. A receipt that is not complete is worth another try; one that is says the same again, with nothing in it.
 */
export async function removeMember(
  app: App,
  principal: Principal,
  org: string,
  user: string,
): Promise<DepartureReceipt> {
  const { kind, org: callerOrg } = principal
  const target = app.lk.scope.leaveTarget({ ...(callerOrg !== undefined && { callerOrg }), kind, org, user })
  const owner = { kind: 'org', id: target.id } as const
  const at = Date.now()
  const rows = await Promise.all(
    app.config.providers.map(async ({ name: provider }): Promise<LeftBehind | undefined> => {
      const line = { provider, owner }
      try {
        const result = await vaultOf(app, line).leave(user, at)
        if (result === null) return undefined
        if (result.outcome !== 'ok')
          return { ...line, revoked: false, deleted: false, reason: result.outcome }
        const { revoked, deleted, reason } = result
        return { ...line, revoked, deleted, ...(reason && { reason }) }
      } catch {
        return { ...line, revoked: false, deleted: false, reason: 'store_unavailable' }
      }
    }),
  )
  const connections = rows.filter((row) => row !== undefined)
  return { at, complete: connections.every(({ deleted }) => deleted), connections }
}
