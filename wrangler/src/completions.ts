/** What a verified callback comes to: the exchange, the account's claim, and the new pair in its place. */
import { openApp, providerNamed, redirectUri, type App } from './app.ts'
import type { Claiming } from './claiming.ts'
import { detailsOf, type Credential, type Details, type Surroundings } from './credential.ts'
import { isOfDeparted } from './departures.ts'
import { refusedLink, unexpectLink } from './expected-links.ts'
import { forgetInstalled } from './installed.ts'
import { linkName } from './names.ts'
import { exchangeCode, readAccount, type LoginTokens } from './oauth.ts'
import type { Code } from './refusal.ts'
import { noteShadow } from './shadows.ts'
import type { Completion, Outcome } from './vault-types.ts'

/** What happens to the place around the credential. */
export interface CompletionOptions extends Surroundings {
  readonly credential: Credential
  readonly claiming: Claiming
  readonly raiseEpoch: () => void
  readonly clearShadows: () => Promise<void>
  /** Lets go of an account that is not held here any more. */
  readonly release: (accountId: string) => Promise<void>
}

interface Login {
  readonly account: { readonly id: string; readonly label: string }
  readonly tokens: LoginTokens
  readonly askedAt: number
}

export class Completions {
  readonly #in: CompletionOptions
  /** Links that a running completion came with. */
  readonly #linking = new Set<string>()

  constructor(options: CompletionOptions) {
    this.#in = options
  }

  /** A link makes one connection; while it is about to, it makes no other. */
  async once(completion: Completion): Promise<Outcome> {
    const { link } = completion
    if (link === undefined) return await this.#exchange(completion)
    if (this.#linking.has(link)) return { ok: false, code: 'state_consumed' }
    this.#linking.add(link)
    try {
      const refused = await this.#refusedLink(link)
      if (refused) return { ok: false, code: refused }
      const outcome = await this.#exchange(completion)
      if (outcome.ok) this.#linked(link)
      return outcome
    } finally {
      this.#linking.delete(link)
    }
  }

  /** The way in was opened before its person left the organisation. */
  isLate({ subject, stateIssuedAt }: Completion): boolean {
    return isOfDeparted(this.#in.sql, subject, stateIssuedAt)
  }

  /** This link made the connection that is there. */
  async isLinked(link: string): Promise<boolean> {
    const found = await this.#in.credential.held()
    return found !== undefined && detailsOf(found).link === link
  }

  async #refusedLink(link: string): Promise<Code | undefined> {
    return (await this.isLinked(link)) ? 'state_consumed' : refusedLink(this.#in.sql, link)
  }

  #linked(link: string): void {
    const { env, sql, background } = this.#in
    unexpectLink(sql, link)
    const object = env.CONNECT_LINK.getByName(linkName(openApp(env).config.baseUrl, link))
    // Should it not hear of it, it asks before it says anything.
    background(object.completed().catch(() => undefined))
  }

  async #exchange(completion: Completion): Promise<Outcome> {
    const { env, key, claiming, credential } = this.#in
    const { subject, code, codeVerifier } = completion
    const { owner, provider: name } = key
    const app = openApp(env)
    const provider = providerNamed(app, name)
    const askedAt = Date.now()
    const request = { code, codeVerifier, redirectUri: redirectUri(app, provider) }
    const tokens = await exchangeCode(app, provider, request)
    const account = (await readAccount(app, provider, tokens.accessToken)) ?? { id: '', label: '' }
    const login = { account, tokens, askedAt }
    if (account.id === '') return await this.#login(app, completion, login)
    return await claiming.during(account.id, async () => {
      const renews = (await credential.held())?.account === account.id
      const claim = { provider: name, accountId: account.id, owner, subject, renews }
      if (!(await claiming.claim(claim))) return { ok: false, code: 'already_connected' }
      return await this.#login(app, completion, login)
    })
  }

  /** Puts the new pair in the place of whatever was there. */
  async #login(app: App, completion: Completion, { account, tokens, askedAt }: Login): Promise<Outcome> {
    const { sql, key, credential, arm, raiseEpoch, clearShadows, release } = this.#in
    const { accessToken, refreshToken, lifetimeMs, refreshLifetimeMs, scopes } = tokens
    const { subject, state, stateExpiresAt, link } = completion
    if (this.isLate(completion)) return { ok: false, code: 'not_allowed' }
    const { owner } = key
    const provider = providerNamed(app, key.provider)
    // That they may was decided when the state was issued, and by the callback.
    const writer = owner.kind === 'org' ? { subject, org: owner.id, role: 'admin' } : { subject }
    const parts = [{ required: true, present: accessToken.length > 0 }]
    const { steps } = app.lk.scope.writePlan({ ...writer, requested: owner.kind, parts })
    // Before the new pair can be given away; an account of no id may be any.
    const former = await credential.held()
    const isAnother = (known: string | undefined): boolean =>
      known !== undefined && (known !== account.id || known === '')
    if (isAnother(former?.account)) raiseEpoch()
    const details: Details = {
      subject,
      label: account.label,
      connectedAt: Date.now(),
      state,
      stateExpiresAt,
      ...(link !== undefined && { link }),
    }
    const result = await credential.connection().login({
      accessToken,
      ...(refreshToken && { refreshToken }),
      ...(lifetimeMs !== undefined && { lifetimeMs }),
      ...(refreshLifetimeMs !== undefined && { refreshLifetimeMs }),
      scopes: scopes ?? provider.scopes,
      account: account.id,
      details: JSON.stringify(details),
      askedAt,
    })
    if (result.outcome !== 'ok') return { ok: false, code: result.outcome }
    forgetInstalled(sql)
    if (result.replaced !== former?.account && isAnother(result.replaced)) raiseEpoch()
    // Clearing and writing this place was one step; what else the plan clears lies elsewhere.
    for (const { action, scope, id } of steps)
      if (action === 'clear' && scope !== owner.kind) noteShadow(sql, { id, at: details.connectedAt })
    await clearShadows()
    // The alarm asks the core when the next one is due.
    if (provider.refresh.proactive) await arm(Date.now())
    if (result.replaced !== undefined && result.replaced !== account.id) await release(result.replaced)
    return { ok: true }
  }
}
