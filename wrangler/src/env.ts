import type { AccountClaim } from './claim.ts'
import type { ConnectLink } from './connect-link.ts'
import type { Counters } from './counters.ts'
import type { Vault } from './vault.ts'

/** What the deployment binds. The variables beside these are text and go to the core unread. */
export interface Env {
  readonly ASSETS: Fetcher
  readonly VAULT: DurableObjectNamespace<Vault>
  readonly ACCOUNT_CLAIM: DurableObjectNamespace<AccountClaim>
  readonly COUNTERS: DurableObjectNamespace<Counters>
  readonly CONNECT_LINK: DurableObjectNamespace<ConnectLink>
  /** What operators look up; everything else works without it. */
  readonly INDEX?: D1Database
}
