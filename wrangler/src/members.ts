/** What is ended when somebody leaves an organisation, or has another role in it. */
import type { Owner, Principal, ReceiptReason } from 'latchkey'
import type { App } from './app.ts'
import { vaultOf } from './connections.ts'
import type { Code } from './refusal.ts'
import { actsFor } from './whose.ts'

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

/** How many links were ended; not `complete`: some could not be looked at, and it is worth another try. */
export interface RoleReceipt {
  readonly at: number
  readonly complete: boolean
  readonly links: number
}

/**
 * What somebody asked others to connect for the organisation, they could ask for because of their role: with one that
 * does not permit it their links are over, and what is on its way is not let in. What is connected stays.
 */
export async function changeRole(
  app: App,
  principal: Principal,
  org: string,
  user: string,
  role: string,
): Promise<RoleReceipt> {
  const target = leaveTarget(app, principal, org, user)
  const at = Date.now()
  const now = { subject: user, org: target.id, role, kind: principal.kind }
  return actsFor(app, now, 'org') ? { at, complete: true, links: 0 } : await retract(app, target.id, user, at)
}

/** Ends the links of somebody who may not make any more. */
export async function retract(app: App, org: string, user: string, at: number): Promise<RoleReceipt> {
  const owner = { kind: 'org', id: org } as const
  const counts = await Promise.allSettled(
    app.config.providers.map(({ name: provider }) => vaultOf(app, { owner, provider }).retract(user, at)),
  )
  const done = counts.flatMap((count) => (count.status === 'fulfilled' ? [count.value] : []))
  return { at, complete: done.length === counts.length, links: done.reduce((sum, count) => sum + count, 0) }
}

/** Who may say so: the core's table of who may end what somebody can reach of an organisation. */
function leaveTarget(app: App, { kind, org: callerOrg }: Principal, org: string, user: string) {
  return app.lk.scope.leaveTarget({ ...(callerOrg !== undefined && { callerOrg }), kind, org, user })
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
  const target = leaveTarget(app, principal, org, user)
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
