/**
 * GitHub's user access tokens for GitHub Apps, on loopback, as GitHub documents them: errors with status 200, a
 * form-encoded answer unless JSON is asked for, refresh tokens that work once and end the old access token too.
 *
 * GitHub does not say what becomes of a grant whose spent refresh token comes again; here nothing does, unless
 * `reuse` is set to `family`.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { callControl, controlPath, type Connected, type ProviderControl } from './control.ts'
import { answerUnder, FaultSwitch, type Endpoint } from './faults.ts'
import {
  accountFields,
  authorizationRevoked,
  installationDeleted,
  makeDelivery,
  sendDelivery,
  type Account,
  type Delivery,
  type WebhookTarget,
} from './github-webhooks.ts'
import { Installations } from './github-installations.ts'
import { mintToken } from './github-tokens.ts'
import { html, json, listen, readBody, redirect, type Answer } from './http.ts'
import { Ledger, type Redemption, type Standing } from './ledger.ts'
import type { InstallationControl } from './installation-control.ts'
import { obtainCode } from './login.ts'

export interface GitHubSettings {
  /** Every answer takes so long, at least and at most. */
  latencyMs: readonly [number, number]
  accessSeconds: number
  refreshSeconds: number
  /** How JSON spells the two lifetimes: GitHub has documented both. */
  lifetimes: 'string' | 'number'
  /** Off: the app's owner opted out of expiring tokens, and answers carry no refresh token and no lifetime. */
  expiring: boolean
  /** What a spent refresh token does when it comes again. */
  reuse: 'refused' | 'family'
  /** So long after a refresh the API does not know the new access token yet. */
  lagMs: number
  /** Off: answers of the token endpoint carry no Date. */
  date: boolean
  /** What DELETE answers to a token that does not work (any more). */
  deadTokenStatus: 404 | 422
}

export interface GitHubOptions {
  readonly clientId: string
  readonly clientSecret: string
  /** The app's callback URLs; the first is taken when a request names none. */
  readonly redirectUris: readonly string[]
  readonly webhook?: WebhookTarget
  /** Of the app's key, as PEM; without it the app cannot act as itself. */
  readonly publicKey?: string
  readonly port?: number
  readonly settings?: Partial<GitHubSettings>
}

export interface GitHubControl extends ProviderControl<GitHubSettings>, InstallationControl {
  setWebhook(target: WebhookTarget): void
  /** Gives a person a numeric id of the test's choice, before the first login. */
  addUser(account: Account): void
  /** The person uninstalls the app: one `installation` event. Tokens stay as they are. */
  uninstall(login: string): Promise<Delivery>
  deliver(event: string, payload: object): Promise<Delivery>
  /** The same delivery id, headers and bytes again. */
  redeliver(id: string): Promise<Delivery>
  deliveries(): Delivery[]
}

export interface GitHubServer extends GitHubControl {
  readonly address: string
  close(): Promise<void>
}

/** One login: the pair that works now, and when it stops. */
interface Grant {
  readonly id: string
  readonly account: Account
  access: string
  accessUntil: number
  accessFrom: number
  refresh: string
  refreshUntil: number
  generation: number
  dead: boolean
}

interface PendingCode {
  readonly account: Account
  readonly redirectUri: string
  readonly challenge: string | undefined
  readonly until: number
}

const defaults: GitHubSettings = {
  latencyMs: [50, 300],
  accessSeconds: 28_800,
  refreshSeconds: 15_897_600,
  lifetimes: 'string',
  expiring: true,
  reuse: 'refused',
  lagMs: 0,
  date: true,
  deadTokenStatus: 422,
}

const codeMs = 600_000
const firstUserId = 9_300_001
const documentation = 'https://docs.github.com'

/** The descriptions are GitHub's: a client may not depend on them, and a log may not lose them. */
const errors = {
  incorrect_client_credentials: 'The client_id and/or client_secret passed are incorrect.',
  redirect_uri_mismatch: 'The redirect_uri MUST match the registered callback URL for this application.',
  bad_verification_code: 'The code passed is incorrect or expired.',
  bad_refresh_token: 'The refresh token passed is incorrect or expired.',
  unsupported_grant_type: 'The grant_type is not supported.',
} as const

type Fields = Readonly<Record<string, string | number>>

export async function startGitHubApps(options: GitHubOptions): Promise<GitHubServer> {
  const github = new GitHub(options)
  const { address, close } = await listen(
    (request, response) => github.serve(request, response),
    options.port,
  )
  github.origin = address
  return { ...github.control, address, close }
}

class GitHub {
  origin = ''
  readonly control: GitHubControl
  readonly #options: GitHubOptions
  readonly #settings: GitHubSettings
  readonly #faults = new FaultSwitch()
  readonly #ledger = new Ledger()
  readonly #accounts = new Map<string, Account>()
  readonly #codes = new Map<string, PendingCode>()
  readonly #grants: Grant[] = []
  readonly #byAccess = new Map<string, Grant>()
  /** Every refresh token ever issued. */
  readonly #byRefresh = new Map<string, { readonly grant: Grant; readonly generation: number }>()
  readonly #deliveries: Delivery[] = []
  readonly #installations: Installations
  #webhook: WebhookTarget | undefined
  #signedIn = 'octocat'

  constructor(options: GitHubOptions) {
    this.#options = options
    this.#settings = { ...defaults, ...options.settings }
    this.#webhook = options.webhook
    this.#installations = new Installations(options.clientId, options.publicKey)
    this.control = {
      ...this.#installations.control,
      configure: (settings) => void Object.assign(this.#settings, settings),
      setFaults: (faults) => this.#faults.set(faults),
      history: () => this.#ledger.history(),
      counts: () => this.#ledger.counts(),
      forget: () => this.#ledger.forget(),
      signIn: (login) => void (this.#signedIn = login),
      connect: (login) => this.#connect(login),
      isAlive: async (token) => (this.#works(token) ?? this.#refreshable(token)) !== undefined,
      standing: (token) => this.#standing(token),
      revoke: (login) => this.#revoke(login),
      setWebhook: (target) => void (this.#webhook = target),
      addUser: (account) => void this.#accounts.set(account.login, account),
      uninstall: (login) =>
        this.#deliver('installation', installationDeleted(this.#account(login), this.origin)),
      deliver: (event, payload) => this.#deliver(event, payload),
      redeliver: (id) => this.#redeliver(id),
      deliveries: () => structuredClone(this.#deliveries),
    }
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin)
    const body = await readBody(request)
    if (url.pathname.startsWith(controlPath)) {
      const result = await callControl(this.control, url.pathname.slice(controlPath.length), body)
      response.writeHead(result === undefined ? 404 : 200).end(result)
      return
    }
    const route = `${request.method} ${url.pathname}`
    if (route === 'POST /login/oauth/access_token') return await this.#token(request, response, url, body)
    const [endpoint, answer] = this.#route(route, request, url, body)
    await answerUnder(endpoint && this.#faults.take(endpoint), response, async () => {
      await this.#latency(1)
      if (route.startsWith('POST /app/')) await sleep(this.#installations.waitMs)
      return answer()
    })
  }

  #route(
    route: string,
    request: IncomingMessage,
    url: URL,
    body: string,
  ): [Endpoint | undefined, () => Answer] {
    if (route === 'GET /login/oauth/authorize') return [undefined, () => this.#authorize(request, url)]
    const refused = () => apiError(403, 'Request forbidden by administrative rules.')
    const api = (answer: () => Answer) => (request.headers['user-agent'] ? answer() : refused())
    if (route === 'GET /user/installations')
      return [undefined, () => api(() => this.#userInstallations(request, url))]
    const installation = /^POST \/app\/installations\/(\d+)\/access_tokens$/.exec(route)?.[1]
    if (installation !== undefined) {
      const authorization = request.headers.authorization ?? ''
      return [undefined, () => api(() => this.#installations.mint(Number(installation), authorization, body))]
    }
    if (route === 'GET /user') return ['user', () => api(() => this.#user(request))]
    const application = /^(DELETE|POST) \/applications\/([^/]+)\/(grant|token)$/.exec(route)
    if (application) {
      const [, method = '', id = '', what = ''] = application
      return ['revocation', () => api(() => this.#application(request, `${method} ${what}`, id, body))]
    }
    return [undefined, () => apiError(404, 'Not Found')]
  }

  async #latency(share: number): Promise<void> {
    const [least, most] = this.#settings.latencyMs
    const ms = least + Math.random() * (most - least)
    if (ms > 0) await sleep(ms * share)
  }

  #authorize(request: IncomingMessage, url: URL): Answer {
    const { clientId, redirectUris } = this.#options
    const query = url.searchParams
    if (query.get('client_id') !== clientId) return html(404, 'Page not found')
    const registered = redirectUris[0] ?? ''
    const redirectUri = query.get('redirect_uri') ?? registered
    const state = query.get('state')
    const answer = (to: string, fields: Fields): Answer => {
      const location = new URL(to)
      for (const [name, value] of Object.entries(fields)) location.searchParams.set(name, String(value))
      if (state !== null) location.searchParams.set('state', state)
      return redirect(location.href)
    }
    if (!redirectUris.includes(redirectUri)) {
      return answer(registered, {
        error: 'redirect_uri_mismatch',
        error_description: errors.redirect_uri_mismatch,
        error_uri: documentation,
      })
    }
    const challenge = query.get('code_challenge') ?? undefined
    if (challenge !== undefined && query.get('code_challenge_method') !== 'S256') {
      return answer(redirectUri, { error: 'invalid_request', error_description: 'S256 is required.' })
    }
    const code = randomBytes(10).toString('hex')
    const account = this.#account(query.get('login') ?? cookie(request, 'dotcom_user') ?? this.#signedIn)
    this.#codes.set(code, { account, redirectUri, challenge, until: Date.now() + codeMs })
    return answer(redirectUri, { code })
  }

  async #token(request: IncomingMessage, response: ServerResponse, url: URL, body: string): Promise<void> {
    const parameters = readParameters(request, url, body)
    const wantsJson = /\bapplication\/(?:[\w.]+\+)?json\b/.test(request.headers.accept ?? '')
    const refreshing = parameters.get('grant_type') === 'refresh_token'
    const fault = this.#faults.take(refreshing ? 'refresh' : 'exchange')
    const token = parameters.get('refresh_token') ?? ''
    const redemption = refreshing ? this.#ledger.open(token, fault) : undefined
    response.sendDate = this.#settings.date
    const delivered = await answerUnder(fault, response, async () => {
      await this.#latency(0.5)
      // Nothing below waits: requests that arrive together are still decided one after another.
      const fields = redemption ? this.#redeem(parameters, redemption) : this.#exchange(parameters)
      const answer = encode(fields, wantsJson, this.#settings.lifetimes)
      await this.#latency(0.5)
      return answer
    })
    if (redemption) redemption.delivered = delivered
  }

  #exchange(parameters: URLSearchParams): Fields {
    if (!this.#isClient(parameters.get('client_id'), parameters.get('client_secret'))) {
      return failure('incorrect_client_credentials')
    }
    const type = parameters.get('grant_type')
    if (type !== null && type !== 'authorization_code') return failure('unsupported_grant_type')
    const code = parameters.get('code') ?? ''
    const pending = this.#codes.get(code)
    if (!pending || pending.until < Date.now()) return failure('bad_verification_code')
    const redirectUri = parameters.get('redirect_uri')
    if (redirectUri !== null && redirectUri !== pending.redirectUri) return failure('redirect_uri_mismatch')
    this.#codes.delete(code)
    const verifier = parameters.get('code_verifier') ?? ''
    if (pending.challenge !== undefined && s256(verifier) !== pending.challenge) {
      return failure('bad_verification_code')
    }
    const grant: Grant = {
      id: `grant-${this.#grants.length + 1}`,
      account: pending.account,
      access: '',
      accessUntil: 0,
      accessFrom: 0,
      refresh: '',
      refreshUntil: 0,
      generation: -1,
      dead: false,
    }
    this.#grants.push(grant)
    return this.#issue(grant)
  }

  #redeem(parameters: URLSearchParams, redemption: Redemption): Fields {
    const refuse = (verdict: 'replayed' | 'refused', error: keyof typeof errors): Fields => {
      redemption.verdict = verdict
      redemption.reason = error
      return failure(error)
    }
    const known = this.#byRefresh.get(redemption.token)
    if (known) {
      redemption.grant = known.grant.id
      redemption.generation = known.generation
      redemption.alive = !known.grant.dead
    }
    if (!this.#isClient(parameters.get('client_id'), parameters.get('client_secret'))) {
      return refuse('refused', 'incorrect_client_credentials')
    }
    if (!known) return refuse('refused', 'bad_refresh_token')
    if (known.grant.refresh !== redemption.token) {
      if (this.#settings.reuse === 'family' && !known.grant.dead) {
        this.#end(known.grant)
        this.#ledger.kill(known.grant.id)
      }
      redemption.alive = !known.grant.dead
      return refuse('replayed', 'bad_refresh_token')
    }
    const grant = this.#refreshable(redemption.token)
    if (!grant) return refuse('refused', 'bad_refresh_token')
    redemption.verdict = 'spent'
    return this.#issue(grant)
  }

  /** A new pair; the old one ends here. */
  #issue(grant: Grant): Fields {
    const { accessSeconds, refreshSeconds, expiring, lagMs } = this.#settings
    const now = Date.now()
    this.#byAccess.delete(grant.access)
    grant.generation += 1
    grant.access = mintToken('ghu_')
    grant.accessFrom = grant.generation > 0 ? now + lagMs : now
    grant.accessUntil = expiring ? now + accessSeconds * 1_000 : Number.POSITIVE_INFINITY
    grant.refresh = expiring ? mintToken('ghr_') : ''
    grant.refreshUntil = now + refreshSeconds * 1_000
    this.#byAccess.set(grant.access, grant)
    if (!expiring) return { access_token: grant.access, scope: '', token_type: 'bearer' }
    this.#byRefresh.set(grant.refresh, { grant, generation: grant.generation })
    return {
      access_token: grant.access,
      expires_in: accessSeconds,
      refresh_token: grant.refresh,
      refresh_token_expires_in: refreshSeconds,
      scope: '',
      token_type: 'bearer',
    }
  }

  #end(grant: Grant): void {
    grant.dead = true
    this.#byAccess.delete(grant.access)
  }

  #user(request: IncomingMessage): Answer {
    const account = this.#person(request)
    if (!account) return this.#stranger(request)
    return json(200, { ...accountFields(account, this.origin), name: account.login, email: null })
  }

  #userInstallations(request: IncomingMessage, url: URL): Answer {
    const account = this.#person(request)
    if (!account) return this.#stranger(request)
    return this.#installations.list(account.login, url.searchParams, this.origin)
  }

  #person(request: IncomingMessage): Account | undefined {
    return this.#works(bearerOf(request))?.account
  }

  #stranger(request: IncomingMessage): Answer {
    return apiError(401, bearerOf(request) === '' ? 'Requires authentication' : 'Bad credentials')
  }

  /** Checking a token, deleting one, deleting the whole authorization of its owner. */
  #application(request: IncomingMessage, what: string, id: string, body: string): Answer {
    const [scheme, credentials = ''] = (request.headers.authorization ?? '').split(' ')
    const [name = '', ...secret] = Buffer.from(credentials, 'base64').toString().split(':')
    if (scheme?.toLowerCase() !== 'basic' || name !== id || !this.#isClient(name, secret.join(':'))) {
      return apiError(401, 'Bad credentials')
    }
    const token = accessTokenOf(body)
    if (token === undefined) return apiError(422, 'Validation Failed')
    const grant = this.#works(token)
    if (what === 'POST token') {
      if (!grant) return apiError(404, 'Not Found')
      const expires = Number.isFinite(grant.accessUntil) ? new Date(grant.accessUntil).toISOString() : null
      return json(200, { token, expires_at: expires, user: accountFields(grant.account, this.origin) })
    }
    if (!grant) {
      const status = this.#settings.deadTokenStatus
      return apiError(status, status === 404 ? 'Not Found' : 'Validation Failed')
    }
    if (what === 'DELETE token') this.#end(grant)
    else if (what === 'DELETE grant') this.#endAll(grant.account)
    else return apiError(404, 'Not Found')
    return { status: 204, headers: {}, body: '' }
  }

  #endAll(account: Account): void {
    for (const grant of this.#grants) if (grant.account.id === account.id) this.#end(grant)
  }

  #works(token: string): Grant | undefined {
    const grant = this.#byAccess.get(token)
    const now = Date.now()
    return grant && grant.accessFrom <= now && now < grant.accessUntil ? grant : undefined
  }

  #refreshable(token: string): Grant | undefined {
    const grant = this.#byRefresh.get(token)?.grant
    const works = grant && !grant.dead && grant.refresh === token && Date.now() < grant.refreshUntil
    return works ? grant : undefined
  }

  #standing(refreshToken: string): Standing | undefined {
    const known = this.#byRefresh.get(refreshToken)
    return (
      known && {
        grant: known.grant.id,
        subject: String(known.grant.account.id),
        generation: known.generation,
        alive: !known.grant.dead,
      }
    )
  }

  #isClient(id: string | null, secret: string | null): boolean {
    return id === this.#options.clientId && sameText(secret ?? '', this.#options.clientSecret)
  }

  #account(login: string): Account {
    const known = this.#accounts.get(login)
    if (known) return known
    const account = { login, id: firstUserId + this.#accounts.size }
    this.#accounts.set(login, account)
    return account
  }

  async #connect(login: string): Promise<Connected> {
    const { clientId, clientSecret, redirectUris } = this.#options
    const address = `${this.origin}/login/oauth`
    const redirectUri = redirectUris[0] ?? ''
    const { code, verifier } = await obtainCode(`${address}/authorize`, redirectUri, {
      client_id: clientId,
      login,
    })
    const response = await fetch(`${address}/access_token`, {
      method: 'POST',
      headers: { accept: 'application/json' },
      body: new URLSearchParams({
        client_id: clientId,
        client_secret: clientSecret,
        code,
        code_verifier: verifier,
      }),
    })
    const answer = (await response.json()) as Record<string, string | undefined>
    if (answer['access_token'] === undefined) throw new Error(`no token: ${answer['error']}`)
    return {
      subject: String(this.#account(login).id),
      accessToken: answer['access_token'],
      refreshToken: answer['refresh_token'] ?? '',
    }
  }

  async #revoke(login: string): Promise<void> {
    const account = this.#account(login)
    this.#endAll(account)
    if (this.#webhook)
      await this.#deliver('github_app_authorization', authorizationRevoked(account, this.origin))
  }

  async #deliver(event: string, payload: object): Promise<Delivery> {
    if (!this.#webhook) throw new Error('the app has no webhook')
    const delivery = makeDelivery(event, payload, this.#webhook.secret)
    this.#deliveries.push(delivery)
    return await this.#redeliver(delivery.id)
  }

  async #redeliver(id: string): Promise<Delivery> {
    const delivery = this.#deliveries.find((one) => one.id === id)
    if (!delivery || !this.#webhook) throw new Error('there is nothing to deliver')
    await sendDelivery(delivery, this.#webhook.url)
    return structuredClone(delivery)
  }
}

const failure = (error: keyof typeof errors): Fields => ({
  error,
  error_description: errors[error],
  error_uri: documentation,
})

const bearerOf = (request: IncomingMessage): string =>
  /^(?:bearer|token) (\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''

const apiError = (status: number, message: string): Answer =>
  json(status, { message, documentation_url: `${documentation}/rest`, status: String(status) })

/** Query and body both count, and the body may be a form or JSON. */
function readParameters(request: IncomingMessage, url: URL, body: string): URLSearchParams {
  const parameters = new URLSearchParams(url.search)
  const asJson = /\bjson\b/.test(request.headers['content-type'] ?? '')
  const fields = asJson ? objectOf(body) : Object.fromEntries(new URLSearchParams(body))
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') parameters.set(name, value)
  }
  return parameters
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function accessTokenOf(body: string): string | undefined {
  const token = objectOf(body)['access_token']
  return typeof token === 'string' && token !== '' ? token : undefined
}

function encode(fields: Fields, asJson: boolean, lifetimes: GitHubSettings['lifetimes']): Answer {
  const headers = (type: string) => ({
    'cache-control': 'no-store',
    'content-type': `${type}; charset=utf-8`,
  })
  if (!asJson) {
    const text = Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)])
    return {
      status: 200,
      headers: headers('application/x-www-form-urlencoded'),
      body: new URLSearchParams(text).toString(),
    }
  }
  const spell = (_name: string, value: unknown): unknown =>
    typeof value === 'number' && lifetimes === 'string' ? String(value) : value
  return { status: 200, headers: headers('application/json'), body: JSON.stringify(fields, spell) }
}

function cookie(request: IncomingMessage, name: string): string | undefined {
  const pairs = (request.headers.cookie ?? '').split('; ')
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
}

const s256 = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url')

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}
