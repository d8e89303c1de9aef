/** The credential of one place: what is stored of it, and the connection that carries out what the core decides. */
import type { Latchkey } from 'latchkey'
import { Connection, type News, type Status } from 'latchkey/connection'
import { schema, sqliteStore } from 'latchkey/stores/sqlite'
import { openApp, providerNamed } from './app.ts'
import { authorizationServer } from './authorization-server.ts'
import type { Env } from './env.ts'
import type { ConnectionKey } from './names.ts'
import type { Lane } from './sweep.ts'

/** The object that a credential lies in. */
export interface Surroundings {
  readonly env: Env
  readonly sql: SqlStorage
  readonly key: ConnectionKey
  readonly background: (work: Promise<unknown>) => void
  readonly arm: (at: number) => Promise<void> | void
}

/** What is stored of a credential that may still be alive. */
export type Held = Exclude<Status, { status: 'corrupt' }>

/** What the application keeps beside it. */
export interface Details {
  readonly subject: string
  readonly label: string
  readonly connectedAt: number
  readonly state: string
  readonly stateExpiresAt: number
  readonly link?: string
}

export const credentialSchema = `${schema.join(';')};`

export const detailsOf = ({ details }: { readonly details: string }): Details =>
  JSON.parse(details) as Details

export class Credential {
  readonly #in: Surroundings
  readonly #notify: (news: News) => void
  #opened: Connection | undefined

  constructor(surroundings: Surroundings, notify: (news: News) => void) {
    this.#in = surroundings
    this.#notify = notify
  }

  connection(): Connection {
    return (this.#opened ??= this.#open())
  }

  async held(): Promise<Held | undefined> {
    const found = await this.connection().status()
    return found && found.status !== 'corrupt' && found.status !== 'revoked' ? found : undefined
  }

  /** Removes the record, unless a login came since `former` was held there: that is a new lineage. */
  async takeOut(former: Held | undefined): Promise<boolean> {
    const store = sqliteStore(this.#in.sql)
    const record = await store.read()
    if (!record || (former && record.id !== former.id)) return false
    const { id, version, epoch } = record
    const isRow = (await this.connection().status())?.status !== 'corrupt'
    await store.write(isRow ? { is: 'row', id, version, epoch } : { is: 'corrupt', record }, null)
    return true
  }

  /** Until when the tombstone that lies here stays; null where none does. */
  async tombstoneEnd({ retention }: Latchkey): Promise<number | null> {
    const found = await this.connection().status()
    if (!found || found.status !== 'revoked' || found.endedAt === null) return null
    return retention.expiry(found.endedAt, retention.lifetimes.tombstone, found.endedAt).expiresAt
  }

  /** The row of a connection that has ended is kept as long as an answer to it may be under way, and as long as a person asks. */
  tombstones(lk: Latchkey): Lane {
    return {
      kind: 'tombstone',
      remove: async (before) => {
        const end = await this.tombstoneEnd(lk)
        if (end === null || end > before) return 0
        // Exactly the row that has ended: a login that came meanwhile is another one.
        const store = sqliteStore(this.#in.sql)
        const row = await store.read()
        if (!row || row.access !== '') return 0
        const { id, version, epoch } = row
        const written = await store.write({ is: 'row', id, version, epoch }, null)
        this.#opened = undefined
        return written === 'stored' ? 1 : 0
      },
    }
  }

  #open(): Connection {
    const { env, sql, key, background, arm } = this.#in
    const app = openApp(env)
    const { owner, provider: name } = key
    const provider = providerNamed(app, name)
    return new Connection({
      lk: app.lk,
      ring: app.config.keys,
      context: [app.config.baseUrl, owner.kind, owner.id, name],
      store: sqliteStore(sql),
      provider: authorizationServer(app, provider),
      traits: provider.refresh.traits,
      policy: { proactive: provider.refresh.proactive },
      background,
      arm,
      notify: this.#notify,
    })
  }
}
