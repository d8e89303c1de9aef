import type { AccountClaim } from './claim.ts'
import type { Counters } from './counters.ts'
import type { Thread } from './thread.ts'
import type { Vault } from './vault.ts'

/** What the deployment binds. The variables beside these are text and go to the core unread. */
export interface Env {
  readonly ASSETS: Fetcher
  readonly VAULT: DurableObjectNamespace<Vault>
  readonly ACCOUNT_CLAIM: DurableObjectNamespace<AccountClaim>
  readonly COUNTERS: DurableObjectNamespace<Counters>
  readonly THREAD: DurableObjectNamespace<Thread>
  /** What operators search in; never authority, and not there everywhere. */
  readonly INDEX?: D1Database
}
