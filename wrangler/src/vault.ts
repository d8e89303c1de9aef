import { DurableObject } from 'cloudflare:workers'
import type { DisconnectResult, TokenSet } from 'latchkey'
import { openApp, providerNamed, random, redirectUri, type App } from './app.ts'
import type { Env } from './env.ts'
import { claimName, type ConnectionKey } from './names.ts'
import { exchangeCode, readAccount, revoke } from './oauth.ts'
import { replace, schema, select, values, type ConnectionRecord } from './record.ts'
import { codeOf, type Code } from './refusal.ts'

/** What a verified callback asks for. */
export interface Completion {
  readonly key: ConnectionKey
  readonly subject: string
  readonly nonce: string
  /** Until when the nonce must be remembered; after that the state has expired anyway. */
  readonly until: number
  readonly code: string
  readonly codeVerifier: string
  readonly state: string
  readonly stateExpiresAt: number
}

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: Code }

export interface Generation {
  readonly id: string
  readonly version: number
}

export interface ConnectionStatus {
  readonly account: string
  readonly status: 'connected' | 'reconnect_required'
  readonly scopes: string[]
  readonly connectedAt: number
  readonly expiresAt: number | null
  readonly generation: Generation
}

export type TokenOutcome =
  | {
      readonly ok: true
      readonly accessToken: string
      readonly expiresAt: number | null
      readonly generation: Generation
    }
  | { readonly ok: false; readonly code: 'not_connected' | 'reconnect_required' | 'corrupt' }

type TokenKind = 'access_token' | 'refresh_token'

/**
 * One object per owner and provider: it uses states up and holds the sealed credential. Between two awaits nothing
 * else runs in it, and nothing it sends leaves before what it wrote is durable.
 */
export class Vault extends DurableObject<Env> {
  readonly #sql: SqlStorage
  /** Accounts that a running completion has claimed but not stored yet. */
  readonly #claiming = new Map<string, number>()

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#sql = context.storage.sql
    this.#sql.exec(schema)
  }

  /** Uses the state up first; only the one that did goes on to the exchange. Stores all or nothing. */
  async complete(completion: Completion): Promise<Outcome> {
    if (!this.#consume(completion.nonce, completion.until)) return { ok: false, code: 'state_consumed' }
    try {
      return await this.#exchange(openApp(this.env), completion)
    } catch (error) {
      return { ok: false, code: codeOf(error) }
    }
  }

  status(): ConnectionStatus | null {
    const record = this.#record()
    if (!record) return null
    return {
      account: record.account_label,
      status: isLive(record, 0) ? 'connected' : 'reconnect_required',
      scopes: JSON.parse(record.scopes) as string[],
      connectedAt: record.connected_at,
      expiresAt: record.access_expires_at,
      generation: generation(record),
    }
  }

  token(key: ConnectionKey, minValidityMs: number): TokenOutcome {
    const record = this.#record()
    if (!record) return { ok: false, code: 'not_connected' }
    if (!isLive(record, minValidityMs)) return { ok: false, code: 'reconnect_required' }
    const token = this.#open(key, record, 'access_token')
    if (!token) return { ok: false, code: 'corrupt' }
    const accessToken = new TextDecoder().decode(token)
    token.fill(0)
    return { ok: true, accessToken, expiresAt: record.access_expires_at, generation: generation(record) }
  }

  /** The state of the last login, as long as it is valid: the page verifies it once more in the browser. */
  lastState(): string | null {
    const record = this.#record()
    return record && record.state_expires_at > Date.now() ? record.state : null
  }

  holds(accountId: string): boolean {
    return this.#claiming.has(accountId) || this.#record()?.account_id === accountId
  }

  /** Revokes first; a provider that did not answer leaves everything as it was. */
  async disconnect(key: ConnectionKey): Promise<DisconnectResult> {
    const record = this.#record()
    if (!record) return { revoked: false, deleted: false, reason: 'not_connected' }
    const { lk } = openApp(this.env)
    const result = lk.disconnect.decide(await this.#revoke(key, record))
    if (!result.deleted) return result
    // A login that finished meanwhile is another lineage and stays.
    const deleted =
      this.#sql.exec('DELETE FROM connection WHERE id = ? RETURNING id', record.id).toArray().length === 1
    await this.#release(key, record.account_id)
    return { ...result, deleted }
  }

  #consume(nonce: string, until: number): boolean {
    const sql = 'INSERT INTO consumed VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING nonce'
    const isFirst = this.#sql.exec(sql, until, nonce).toArray().length === 1
    this.#sql.exec('DELETE FROM consumed WHERE until < ?', Date.now())
    return isFirst
  }

  async #exchange(app: App, completion: Completion): Promise<Outcome> {
    const { key, subject, code, codeVerifier } = completion
    const provider = providerNamed(app, key.provider)
    const tokens = await exchangeCode(app, provider, {
      code,
      codeVerifier,
      redirectUri: redirectUri(app, provider),
    })
    const account = (await readAccount(app, provider, tokens.accessToken)) ?? { id: '', label: '' }
    const record = this.#seal(app, completion, account, tokens)

    if (account.id === '') {
      this.#store(record)
      return { ok: true }
    }
    this.#claiming.set(account.id, (this.#claiming.get(account.id) ?? 0) + 1)
    try {
      const renews = this.#record()?.account_id === account.id
      const request = { provider: key.provider, accountId: account.id, owner: key.owner, subject, renews }
      if (!(await this.#claimOf(key, account.id).claim(request)))
        return { ok: false, code: 'already_connected' }
      const former = this.#store(record)
      if (former && former.account_id !== account.id) await this.#release(key, former.account_id)
      return { ok: true }
    } finally {
      const others = (this.#claiming.get(account.id) ?? 1) - 1
      if (others > 0) this.#claiming.set(account.id, others)
      else this.#claiming.delete(account.id)
    }
  }

  #seal(
    app: App,
    completion: Completion,
    account: { readonly id: string; readonly label: string },
    tokens: TokenSet,
  ): ConnectionRecord {
    const { key } = completion
    const id = random(16).toBase64({ alphabet: 'base64url', omitPadding: true })
    const seal = (kind: TokenKind, bytes: Uint8Array): string => {
      const text = app.lk.seal.seal(app.config.keys, bytes, sealContext(app, key, account.id, id, kind), {
        entropy: random(32),
      })
      bytes.fill(0)
      return text
    }
    return {
      id,
      version: 1,
      subject: completion.subject,
      account_id: account.id,
      account_label: account.label,
      access_token: seal('access_token', tokens.accessToken),
      refresh_token: tokens.refreshToken ? seal('refresh_token', tokens.refreshToken) : null,
      access_expires_at: tokens.expiresAt ?? null,
      refresh_expires_at: tokens.refreshExpiresAt ?? null,
      scopes: JSON.stringify(tokens.scopes ?? providerNamed(app, key.provider).scopes),
      connected_at: Date.now(),
      state: completion.state,
      state_expires_at: completion.stateExpiresAt,
    }
  }

  /** Puts the record in the place of the former one, which it returns. */
  #store(record: ConnectionRecord): ConnectionRecord | undefined {
    return this.ctx.storage.transactionSync(() => {
      const former = this.#record()
      this.#sql.exec(replace, ...values(record))
      return former
    })
  }

  #record(): ConnectionRecord | undefined {
    return this.#sql.exec<ConnectionRecord>(select).toArray()[0]
  }

  /** Nothing when the row was not sealed for exactly this place; it is kept as it is. */
  #open(key: ConnectionKey, record: ConnectionRecord, kind: TokenKind): Uint8Array | undefined {
    const app = openApp(this.env)
    const text = record[kind]
    if (text === null) return undefined
    try {
      return app.lk.seal.open(
        app.config.keys,
        text,
        sealContext(app, key, record.account_id, record.id, kind),
      )
    } catch {
      console.error(JSON.stringify({ event: 'corrupt', provider: key.provider, kind }))
      return undefined
    }
  }

  /** The refresh token stands for the whole grant; the access token is the second best. */
  async #revoke(key: ConnectionKey, record: ConnectionRecord) {
    const app = openApp(this.env)
    const provider = app.config.providers.find((candidate) => candidate.name === key.provider)
    const kind = record.refresh_token === null ? 'access_token' : 'refresh_token'
    const token = this.#open(key, record, kind)
    if (!provider || !token) return { kind: 'unsupported' } as const
    const answer = await revoke(app, provider, token, kind)
    token.fill(0)
    return answer
  }

  #claimOf(key: ConnectionKey, accountId: string) {
    const { config } = openApp(this.env)
    return this.env.ACCOUNT_CLAIM.getByName(claimName(config.baseUrl, key.provider, accountId))
  }

  /** Best effort: a claim that is left behind is forgotten by whoever meets it next. */
  async #release(key: ConnectionKey, accountId: string): Promise<void> {
    if (accountId === '' || this.holds(accountId)) return
    try {
      await this.#claimOf(key, accountId).release(key.owner)
    } catch {
      console.warn(JSON.stringify({ event: 'claim_left', provider: key.provider }))
    }
  }
}

const generation = ({ id, version }: ConnectionRecord): Generation => ({ id, version })

/** Whether the access token is valid now and for at least that long; one without an end always is. */
function isLive({ access_expires_at: end }: ConnectionRecord, minValidityMs: number): boolean {
  const now = Date.now()
  return end === null || (end > now && end - now >= minValidityMs)
}

/** A ciphertext moved to another owner, account, row or column does not open. */
const sealContext = (
  app: App,
  key: ConnectionKey,
  accountId: string,
  rowId: string,
  kind: TokenKind,
): readonly string[] => [
  'credential',
  'v1',
  app.config.baseUrl,
  key.owner.kind,
  key.owner.id,
  key.provider,
  accountId,
  rowId,
  kind,
]
