import { DurableObject } from 'cloudflare:workers'
import type { Said } from 'latchkey'
import { openApp, providerNamed, random } from './app.ts'
import { mintToken, type Minted } from './app-api.ts'
import type { Env } from './env.ts'
import { report } from './ledger.ts'
import { installationKeyOf, type InstallationKey } from './names.ts'
import { holdingOf, type EndTable } from './sweep.ts'

/** What the provider says. */
export interface Change extends Said {
  /** As long as the same may be said again. */
  readonly until: number
}

const tokens: EndTable = { kind: 'app_token', table: 'token', key: 'repository' }
const news: EndTable = { kind: 'installation', table: 'word', key: 'slot' }

/** GitHub's live for an hour: another one is made this long before the end. */
const aheadMs = 5 * 60_000

/**
 * One object per provider and installation: it makes the tokens with which the app acts there, one repository each, one
 * at a time, and keeps them sealed until they end. What the provider says of the installation reaches it here.
 */
export class Installation extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #key: InstallationKey
  readonly #minting = new Map<string, Promise<Minted>>()

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#key = installationKeyOf(context.id.name ?? '')
    this.#sql = context.storage.sql
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS token (
        until INTEGER NOT NULL, repository TEXT NOT NULL, sealed TEXT NOT NULL, PRIMARY KEY (until, repository)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS word (
        slot INTEGER PRIMARY KEY CHECK (slot = 1), change TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL)`,
    )
  }

  /** A token for that repository, good for at least so long: from here, or made now. */
  async token(repository: string, minValidityMs: number): Promise<Minted> {
    const name = repository.toLowerCase()
    if (this.word()?.change === 'deleted') return { outcome: 'deleted' }
    const held = this.#held(name)
    const left = (held?.expiresAt ?? 0) - Date.now()
    if (held && left >= Math.max(aheadMs, minValidityMs)) return held
    let minting = this.#minting.get(name)
    if (!minting) {
      minting = this.#mint(name).finally(() => this.#minting.delete(name))
      this.#minting.set(name, minting)
    }
    const minted = await minting
    // One that is there and good for long enough is not lost because the next one could not be made.
    return minted.outcome === 'unanswered' && held && left >= minValidityMs ? held : minted
  }

  /** What was said before this came to us counts no more; a deletion is the last word. */
  async change({ change, at, until }: Change): Promise<void> {
    const known = this.word()
    if (!openApp(this.env).lk.scope.hears(known ?? undefined, { change, at })) return
    this.#sql.exec('INSERT OR REPLACE INTO word VALUES (1, ?, ?, ?)', change, at, until)
    if (change !== 'restored') this.#sql.exec('DELETE FROM token')
    await this.#arm()
  }

  /** What the provider has said last, as long as that may count. */
  word(): Said | null {
    const [row] = this.#sql
      .exec<{
        change: Said['change']
        at: number
      }>('SELECT change, at FROM word WHERE until > ?', Date.now())
      .toArray()
    return row ?? null
  }

  override async alarm(): Promise<void> {
    const now = Date.now()
    this.#sql.exec('DELETE FROM token WHERE until <= ?', now)
    this.#sql.exec('DELETE FROM word WHERE until <= ?', now)
    await this.#arm()
  }

  async #mint(repository: string): Promise<Minted> {
    const app = openApp(this.env)
    const { provider, id } = this.#key
    const before = this.word()
    const minted = await mintToken(app, providerNamed(app, provider), id, repository)
    // What ended while the provider was asked counts too.
    const word = this.word()
    if (word && word.change !== 'restored' && word.at !== before?.at) return { outcome: word.change }
    if (minted.outcome !== 'ok') return minted
    const bytes = new TextEncoder().encode(minted.accessToken)
    const sealed = app.lk.seal.seal(app.config.keys, bytes, this.#context(repository), {
      entropy: random(32),
    })
    this.#sql.exec('DELETE FROM token WHERE repository = ?', repository)
    this.#sql.exec('INSERT INTO token VALUES (?, ?, ?)', minted.expiresAt, repository, sealed)
    await this.#arm()
    return minted
  }

  #held(repository: string): Extract<Minted, { outcome: 'ok' }> | undefined {
    const [row] = this.#sql
      .exec<{ until: number; sealed: string }>(
        'SELECT until, sealed FROM token WHERE repository = ? AND until > ?',
        repository,
        Date.now(),
      )
      .toArray()
    if (!row) return undefined
    const { lk, config } = openApp(this.env)
    try {
      const bytes = lk.seal.open(config.keys, row.sealed, this.#context(repository))
      return { outcome: 'ok', accessToken: new TextDecoder().decode(bytes), expiresAt: row.until }
    } catch {
      // Sealed with a key that is gone: another one is made.
      return undefined
    }
  }

  #context(repository: string): readonly string[] {
    const { provider, id } = this.#key
    return ['installation', 'v1', openApp(this.env).config.baseUrl, provider, id, repository]
  }

  async #arm(): Promise<void> {
    const { until } = this.#sql
      .exec<{ until: number | null }>(
        'SELECT min(until) AS until FROM (SELECT until FROM token UNION ALL SELECT until FROM word)',
      )
      .one()
    if (until !== null) await this.ctx.storage.setAlarm(until)
    this.#tell()
  }

  /** Tells the ledger what is here, after the answer. */
  #tell(): void {
    const { lifetimes } = openApp(this.env).lk.retention
    const holdings = [
      holdingOf(this.#sql, tokens, lifetimes.app_token),
      holdingOf(this.#sql, news, lifetimes.installation),
    ]
    this.ctx.waitUntil(report(this.env, this.ctx.id.name ?? '', holdings))
  }
}
