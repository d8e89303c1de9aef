/**
 * oidc-provider with rotation and reuse detection: a spent refresh token that comes again ends its whole grant. A
 * proxy in front of it makes the faults; what was redeemed is counted at the provider's own events behind it.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { Agent, request as send, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import Provider, { type Context } from 'oidc-provider'
import { AuthorizationStore } from '../../wrangler/dev/authorization-store.ts'
import { callControl, controlPath, type Connected, type ProviderControl } from './control.ts'
import { answerUnder, FaultSwitch, type Endpoint } from './faults.ts'
import { listen, readBody, type Answer } from './http.ts'
import { Ledger, type Redemption, type Standing } from './ledger.ts'
import { obtainCode } from './login.ts'

export interface OidcSettings {
  /** Every answer of the token endpoint takes so long, at least and at most. */
  latencyMs: readonly [number, number]
  accessSeconds: number
  refreshSeconds: number
  /** Off: a refresh token is not replaced and works again and again. */
  rotate: boolean
}

export interface OidcOptions {
  readonly clientId: string
  readonly clientSecret: string
  readonly redirectUris: readonly string[]
  readonly port?: number
  readonly settings?: Partial<OidcSettings>
}

export type OidcControl = ProviderControl<OidcSettings>

export interface OidcServer extends OidcControl {
  readonly address: string
  readonly issuer: string
  close(): Promise<void>
}

const defaults: OidcSettings = {
  latencyMs: [0, 0],
  accessSeconds: 3_600,
  refreshSeconds: 1_209_600,
  rotate: true,
}
const scope = 'openid profile email offline_access'
const day = 86_400
/** Names a request between the proxy and the provider's events. */
const mark = 'x-redemption'

const endpoints: Readonly<Record<string, Endpoint>> = {
  '/token': 'exchange',
  '/token/revocation': 'revocation',
  '/token/introspection': 'introspection',
  '/me': 'user',
}

export async function startOidc(options: OidcOptions): Promise<OidcServer> {
  const oidc = new Oidc(options)
  const proxy = await listen((request, response) => oidc.serve(request, response), options.port)
  await oidc.begin(proxy.address)
  const close = async (): Promise<void> => {
    await proxy.close()
    await oidc.end()
  }
  return { ...oidc.control, address: proxy.address, issuer: proxy.address, close }
}

class Oidc {
  readonly control: OidcControl
  readonly #options: OidcOptions
  readonly #settings: OidcSettings
  readonly #faults = new FaultSwitch()
  readonly #ledger = new Ledger()
  /** It answers at once: between the look whether a token is spent and the mark that it is, no other request fits. */
  readonly #store = new AuthorizationStore(':memory:')
  readonly #agent = new Agent({ keepAlive: true })
  /** Every refresh token ever issued. */
  readonly #issued = new Map<string, Omit<Standing, 'alive'>>()
  readonly #spent = new Set<string>()
  readonly #dead = new Set<string>()
  readonly #open = new Map<string, Redemption>()
  #marks = 0
  #provider: Provider | undefined
  #inner: { readonly address: string; close(): Promise<void> } | undefined
  #issuer = ''
  #signedIn = 'alex'

  constructor(options: OidcOptions) {
    this.#options = options
    this.#settings = { ...defaults, ...options.settings }
    this.control = {
      configure: (settings) => void Object.assign(this.#settings, settings),
      setFaults: (faults) => this.#faults.set(faults),
      history: () => this.#ledger.history(),
      counts: () => this.#ledger.counts(),
      forget: () => this.#ledger.forget(),
      signIn: (login) => void (this.#signedIn = login),
      connect: (login) => this.#connect(login),
      isAlive: (token) => this.#isAlive(token),
      standing: (token) => this.#standing(token),
      revoke: (login) => this.#revoke(login),
    }
  }

  async begin(issuer: string): Promise<void> {
    this.#issuer = issuer
    const provider = new Provider(issuer, configuration(this.#options, this.#settings, this.#store))
    this.#provider = provider
    provider.on('grant.success', (context) => this.#granted(context))
    provider.on('grant.error', (context, error) =>
      this.#refused(context, error.error_detail ?? error.message),
    )
    provider.on('server_error', (context, error) => this.#refused(context, error.message))
    provider.on('grant.revoked', (context, grant) => {
      this.#dead.add(grant)
      if (this.#redemption(context)) this.#ledger.kill(grant)
    })
    const oauth = provider.callback()
    this.#inner = await listen(async (request, response) => {
      if (request.url?.startsWith('/interaction/')) await this.#interact(provider, request, response)
      else oauth(request, response)
    })
  }

  async end(): Promise<void> {
    this.#agent.destroy()
    await this.#inner?.close()
    this.#store.close()
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', this.#issuer).pathname
    const body = await readBody(request)
    if (path.startsWith(controlPath)) {
      const result = await callControl(this.control, path.slice(controlPath.length), body)
      response.writeHead(result === undefined ? 404 : 200).end(result)
      return
    }
    const form = new URLSearchParams(path === '/token' ? body : '')
    if (form.get('grant_type') === 'refresh_token') {
      await this.#refresh(request, response, body, form.get('refresh_token') ?? '')
      return
    }
    const endpoint = request.method === 'POST' || path === '/me' ? endpoints[path] : undefined
    await answerUnder(endpoint && this.#faults.take(endpoint), response, () => this.#forward(request, body))
  }

  async #refresh(request: IncomingMessage, response: ServerResponse, body: string, token: string) {
    const fault = this.#faults.take('refresh')
    const redemption = this.#ledger.open(token, fault)
    redemption.delivered = await answerUnder(fault, response, async () => {
      await this.#latency()
      const answer = await this.#forward(request, body, redemption)
      await this.#latency()
      return answer
    })
  }

  async #latency(): Promise<void> {
    const [least, most] = this.#settings.latencyMs
    const ms = least + Math.random() * (most - least)
    if (ms > 0) await sleep(ms / 2)
  }

  async #forward(request: IncomingMessage, body: string, redemption?: Redemption): Promise<Answer> {
    const { connection: _connection, [mark]: _mark, ...headers } = request.headers
    const key = String((this.#marks += 1))
    if (redemption) this.#open.set(key, redemption)
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const forwarded = send(new URL(request.url ?? '/', this.#inner?.address), {
          method: request.method ?? 'GET',
          headers: { ...headers, [mark]: key },
          agent: this.#agent,
        })
        forwarded.once('error', reject)
        forwarded.once('response', (answer) => {
          readBody(answer).then((text) => {
            const { connection: _hop, 'transfer-encoding': _encoding, ...rest } = answer.headers
            resolve({ status: answer.statusCode ?? 502, headers: rest, body: text })
          }, reject)
        })
        forwarded.end(body)
      })
    } finally {
      this.#open.delete(key)
    }
  }

  #redemption(context: Context): Redemption | undefined {
    const key = context.req.headers[mark]
    return typeof key === 'string' ? this.#open.get(key) : undefined
  }

  #granted(context: Context): void {
    const answer = context.body as { readonly refresh_token?: string }
    const { Grant } = context.oidc.entities
    if (!Grant || answer.refresh_token === undefined) return
    const redemption = this.#redemption(context)
    const known = redemption && this.#issued.get(redemption.token)
    if (redemption) {
      redemption.verdict = 'spent'
      redemption.grant = Grant.jti
      redemption.generation = known?.generation ?? -1
      redemption.alive = true
      if (answer.refresh_token === redemption.token) return
      this.#spent.add(redemption.token)
    }
    this.#issued.set(answer.refresh_token, {
      grant: Grant.jti,
      subject: Grant.accountId,
      generation: (known?.generation ?? -1) + 1,
    })
  }

  #refused(context: Context, reason: string): void {
    const redemption = this.#redemption(context)
    if (!redemption) return
    const standing = this.#standing(redemption.token)
    // It may be refused before the one that spent it has been answered.
    const isSpent = this.#spent.has(redemption.token) || reason === 'refresh token already used'
    redemption.verdict = isSpent ? 'replayed' : 'refused'
    redemption.reason = reason
    redemption.grant = standing?.grant ?? ''
    redemption.generation = standing?.generation ?? -1
    redemption.alive = standing?.alive ?? false
  }

  #standing(refreshToken: string): Standing | undefined {
    const known = this.#issued.get(refreshToken)
    return known && { ...known, alive: !this.#dead.has(known.grant) }
  }

  /** What the provider itself says (RFC 7662). */
  async #isAlive(token: string): Promise<boolean> {
    const response = await fetch(`${this.#inner?.address}/token/introspection`, {
      method: 'POST',
      headers: this.#credentials(),
      body: new URLSearchParams({ token }),
    })
    const answer = (await response.json()) as { readonly active?: boolean }
    if (!response.ok) throw new Error(`introspection answered ${response.status}`)
    return answer.active === true
  }

  #credentials(): { readonly authorization: string } {
    const { clientId, clientSecret } = this.#options
    return { authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` }
  }

  async #connect(login: string): Promise<Connected> {
    const redirectUri = this.#options.redirectUris[0] ?? ''
    const { code, verifier } = await obtainCode(`${this.#issuer}/auth`, redirectUri, {
      client_id: this.#options.clientId,
      scope,
      login_hint: login,
    })
    const response = await fetch(`${this.#issuer}/token`, {
      method: 'POST',
      headers: this.#credentials(),
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
        redirect_uri: redirectUri,
      }),
    })
    const answer = (await response.json()) as Record<string, string | undefined>
    const { access_token: accessToken, refresh_token: refreshToken } = answer
    if (accessToken === undefined || refreshToken === undefined)
      throw new Error(`no token: ${answer['error']}`)
    return { subject: login, accessToken, refreshToken }
  }

  async #revoke(login: string): Promise<void> {
    const provider = this.#provider
    if (!provider) return
    const grants = new Set<string>()
    for (const { subject, grant } of this.#issued.values()) if (subject === login) grants.add(grant)
    for (const grant of grants) {
      this.#dead.add(grant)
      await provider.AccessToken.revokeByGrantId(grant)
      await provider.RefreshToken.revokeByGrantId(grant)
      await provider.Grant.adapter.destroy(grant)
    }
  }

  /** Signs in whoever the request hints at, at once; `prompt=consent` is answered as well. */
  async #interact(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { params } = await provider.interactionDetails(request, response)
    const hint = params['login_hint']
    const accountId = typeof hint === 'string' ? hint : this.#signedIn
    const result = { login: { accountId, remember: true }, consent: {} }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  }
}

function configuration(options: OidcOptions, settings: OidcSettings, store: AuthorizationStore) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const own = (_context: unknown, client: { clientId: string }, token: { clientId?: string }): boolean =>
    token.clientId === client.clientId
  return {
    adapter: (model: string) => store.adapter(model),
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
    clients: [
      {
        client_id: options.clientId,
        client_secret: options.clientSecret,
        redirect_uris: [...options.redirectUris],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
      },
    ],
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    expiresWithSession: () => false,
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: own },
      revocation: { enabled: true, allowedPolicy: own },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: true },
    },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, name: id, preferred_username: id, email: `${id}@example.com` }),
    }),
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    issueRefreshToken: () => true,
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
    /** Consent without a page: the grant of the session if it still lives, or a new one. */
    async loadExistingGrant({ oidc }: Context) {
      const { provider, client, params, session } = oidc
      const known = session.grantIdFor(client.clientId)
      const grant =
        (known && (await provider.Grant.find(known))) ||
        new provider.Grant({ accountId: session.accountId, clientId: client.clientId })
      grant.addOIDCScope(String(params?.['scope'] ?? ''))
      await grant.save()
      return grant
    },
    pkce: { required: () => true },
    rotateRefreshToken: () => settings.rotate,
    ttl: {
      AccessToken: () => settings.accessSeconds,
      AuthorizationCode: 60,
      Grant: 14 * day,
      IdToken: 3_600,
      Interaction: 3_600,
      RefreshToken: () => settings.refreshSeconds,
      Session: 14 * day,
    },
  }
}
