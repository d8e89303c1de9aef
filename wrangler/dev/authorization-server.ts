/** A real OAuth 2.0 authorization server on loopback, for local development and the tests. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import Provider, { type Interaction } from 'oidc-provider'
import { consentPage, errorPage, signInPage, styleSheet } from './authorization-pages.ts'
import { AuthorizationStore } from './authorization-store.ts'

export interface AuthorizationServerOptions {
  readonly port: number
  readonly clientId: string
  readonly clientSecret: string
  readonly redirectUris: readonly string[]
  /** SQLite file; `:memory:` forgets everything at the end. */
  readonly file: string
}

export interface AuthorizationServer {
  readonly issuer: string
  close(): Promise<void>
}

interface Account {
  readonly id: string
  readonly password: string
  readonly name: string
}

/** Only alex is named on the page; sam is there for what needs a second person. */
const accounts: Readonly<Record<string, Account>> = {
  alex: { id: 'account-1001', password: 'latchkey', name: 'Alex Doe' },
  sam: { id: 'account-1002', password: 'latchkey', name: 'Sam Roe' },
}
const shownLogin = 'alex'
const formLimit = 4_096
const day = 86_400

export async function startAuthorizationServer(
  options: AuthorizationServerOptions,
): Promise<AuthorizationServer> {
  const issuer = `http://127.0.0.1:${options.port}`
  const store = new AuthorizationStore(options.file)
  const provider = new Provider(issuer, configuration(options, store))
  const oauth = provider.callback()

  const server = createServer((request, response) => {
    serve(provider, oauth, request, response).catch(() => {
      if (!response.headersSent) sendPage(response, 400, errorPage('invalid_request'))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', resolve)
  })
  return {
    issuer,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      store.close()
    },
  }
}

function configuration(options: AuthorizationServerOptions, store: AuthorizationStore) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    adapter: (model: string) => store.adapter(model),
    clients: [
      {
        client_id: options.clientId,
        client_secret: options.clientSecret,
        client_name: 'Latchkey',
        redirect_uris: [...options.redirectUris],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
      },
    ],
    clientBasedCORS: () => false,
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    expiresWithSession: () => false,
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: ownToken },
      revocation: { enabled: true, allowedPolicy: ownToken },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: true },
    },
    findAccount: (_context: unknown, id: string) => {
      const found = Object.entries(accounts).find(([, account]) => account.id === id)
      if (!found) return undefined
      const [login, account] = found
      return {
        accountId: id,
        claims: () => ({
          sub: id,
          name: account.name,
          preferred_username: login,
          email: `${login}@example.com`,
          email_verified: true,
        }),
      }
    },
    interactions: { url: (_context: unknown, interaction: Interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: () => true,
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
    pkce: { required: () => true },
    renderError: (context: { type: string; body: string }, out: { error: string }) => {
      context.type = 'html'
      context.body = errorPage(out.error)
    },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: 3_600,
      AuthorizationCode: 60,
      Grant: 14 * day,
      IdToken: 3_600,
      Interaction: 3_600,
      RefreshToken: 14 * day,
      Session: 14 * day,
    },
  }
}

/** A client may look at and revoke what it was given itself (RFC 7662 section 4, RFC 7009 section 2.1). */
const ownToken = (_context: unknown, client: { clientId: string }, token: { clientId?: string }): boolean =>
  token.clientId === client.clientId

async function serve(
  provider: Provider,
  oauth: (request: IncomingMessage, response: ServerResponse) => void,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname
  if (path === '/style.css') {
    response.writeHead(200, { 'content-type': 'text/css; charset=utf-8' }).end(styleSheet)
    return
  }
  const match = /^\/interaction\/[\w-]{1,64}(?:\/(login|confirm|abort))?$/.exec(path)
  if (!match) return oauth(request, response)

  const interaction = await provider.interactionDetails(request, response)
  const step = match[1]
  if (step === undefined && request.method === 'GET') return show(response, interaction)
  if (request.method !== 'POST') return sendPage(response, 405, errorPage('invalid_request'))

  if (step === 'abort') {
    const result = { error: 'access_denied', error_description: 'The person said no.' }
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  }
  if (step === 'login') return signIn(provider, request, response, interaction)
  return consent(provider, request, response, interaction)
}

function show(response: ServerResponse, interaction: Interaction, failed = false): void {
  const { uid, prompt, params, session } = interaction
  if (prompt.name === 'login') {
    const password = accounts[shownLogin]?.password ?? ''
    return sendPage(response, failed ? 401 : 200, signInPage(uid, { login: shownLogin, password, failed }))
  }
  const login = Object.keys(accounts).find((name) => accounts[name]?.id === session?.accountId) ?? ''
  const scopes = String(params['scope'] ?? '')
    .split(' ')
    .filter(Boolean)
  sendPage(response, 200, consentPage(uid, { client: 'Latchkey', login, scopes }))
}

async function signIn(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  interaction: Interaction,
): Promise<void> {
  const form = await readForm(request)
  const account = accounts[form.get('login') ?? '']
  if (!account || account.password !== form.get('password')) return show(response, interaction, true)
  const result = { login: { accountId: account.id, remember: true } }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}

async function consent(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  interaction: Interaction,
): Promise<void> {
  const accountId = interaction.session?.accountId
  if (accountId === undefined) return sendPage(response, 400, errorPage('invalid_request'))
  const known = interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId)
  const grant = known ?? new provider.Grant({ accountId, clientId: String(interaction.params['client_id']) })
  const { missingOIDCScope, missingOIDCClaims } = interaction.prompt.details
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '))
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims)
  const result = { consent: { grantId: await grant.save() } }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > formLimit) throw new Error('form too long')
  }
  return new URLSearchParams(text)
}

function sendPage(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, {
    'cache-control': 'no-store',
    'content-security-policy':
      "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    'content-type': 'text/html; charset=utf-8',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  })
  response.end(html)
}
