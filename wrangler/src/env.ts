import type { AccountClaim } from './claim.ts'
import type { ConnectLink } from './connect-link.ts'
import type { Counters } from './counters.ts'
import type { Installation } from './installation.ts'
import type { OwnerIndex } from './owner-index.ts'
import type { Session } from './session-object.ts'
import type { Thread } from './thread.ts'
import type { Vault } from './vault.ts'

/** What the deployment binds. The variables beside these are text and go to the core unread. */
export interface Env {
  readonly ASSETS: Fetcher
  readonly VAULT: DurableObjectNamespace<Vault>
  readonly ACCOUNT_CLAIM: DurableObjectNamespace<AccountClaim>
  readonly COUNTERS: DurableObjectNamespace<Counters>
  /** A cache, and no more: absent, providers are asked each time. */
  readonly ACCESS?: KVNamespace
  readonly SESSION: DurableObjectNamespace<Session>
  readonly OWNER_INDEX: DurableObjectNamespace<OwnerIndex>
  /** The modes that a message may ask for, with commas between. */
  readonly SESSION_MODES?: string
  /** The models, as above; none: any. */
  readonly SESSION_MODELS?: string
  readonly THREAD: DurableObjectNamespace<Thread>
  readonly CONNECT_LINK: DurableObjectNamespace<ConnectLink>
  readonly INSTALLATION: DurableObjectNamespace<Installation>
  /** What operators look up; everything else works without it. */
  readonly INDEX?: D1Database
}
