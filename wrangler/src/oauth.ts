/** What is asked of an authorization server: input and output only, the core reads the answers. */
import type { Account, Failed, ProviderSettings, RevocationAnswer, TokenSet } from 'latchkey'
import { clientSecret, type App } from './app.ts'
import { send, Unreachable, type OutboundAnswer } from './outbound.ts'
import { Refusal } from './refusal.ts'

/** GitHub's API refuses a request without one. */
const userAgent = 'latchkey'

export interface CodeGrant {
  readonly code: string
  readonly codeVerifier: string
  readonly redirectUri: string
}

/** A login's tokens, with the lengths of their lives beside their ends. */
export interface LoginTokens extends TokenSet {
  readonly lifetimeMs?: number
  readonly refreshLifetimeMs?: number
}

/** RFC 6749 section 4.1.3 with RFC 7636 section 4.5. */
export async function exchangeCode(
  app: App,
  provider: ProviderSettings,
  grant: CodeGrant,
): Promise<LoginTokens> {
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code: grant.code,
    redirect_uri: grant.redirectUri,
  })
  if (provider.pkce) form.set('code_verifier', grant.codeVerifier)
  try {
    const answer = await post(app, provider, provider.tokenUrl, form)
    const now = Date.now()
    const tokens = app.lk.exchange.read(answer, { now, profile: provider.profile })
    const { refreshToken, expiresAt, refreshExpiresAt } = tokens
    const unsaid = refreshToken && provider.refresh.accessTtlMs
    const lifetimeMs = expiresAt === undefined ? unsaid : expiresAt - now
    return {
      ...tokens,
      ...(lifetimeMs !== undefined && { lifetimeMs }),
      ...(refreshExpiresAt !== undefined && { refreshLifetimeMs: refreshExpiresAt - now }),
    }
  } catch (error) {
    throw error instanceof Unreachable ? new Refusal('exchange_unreachable') : error
  }
}

/** RFC 6749 section 6. Never throws: that nobody answered is an answer too. */
export async function refreshTokens(
  app: App,
  provider: ProviderSettings,
  token: Uint8Array,
  redirectUri: string,
  signal: AbortSignal,
): Promise<OutboundAnswer | Failed> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: new TextDecoder().decode(token),
  })
  if (provider.refresh.needsRedirectUri) form.set('redirect_uri', redirectUri)
  try {
    return await post(app, provider, provider.tokenUrl, form, signal)
  } catch (error) {
    return { failed: error instanceof Unreachable ? error.failed : 'reset' }
  }
}

/** RFC 7662 section 2.1. Never throws; nothing: there is nobody to ask, or nobody answered. */
export async function introspectToken(
  app: App,
  provider: ProviderSettings,
  token: Uint8Array,
  signal: AbortSignal,
): Promise<OutboundAnswer | undefined> {
  if (provider.introspectionUrl === undefined) return undefined
  const form = new URLSearchParams({
    token: new TextDecoder().decode(token),
    token_type_hint: 'refresh_token',
  })
  try {
    return await post(app, provider, provider.introspectionUrl, form, signal)
  } catch {
    return undefined
  }
}

/** Whose account was connected; nothing where the provider has no way to say it. */
export async function readAccount(
  app: App,
  provider: ProviderSettings,
  accessToken: Uint8Array,
): Promise<Account | undefined> {
  if (provider.userInfoUrl === undefined) return undefined
  const headers = {
    accept: 'application/json',
    authorization: `Bearer ${new TextDecoder().decode(accessToken)}`,
    'user-agent': userAgent,
  }
  try {
    const answer = await send(app, provider.userInfoUrl, { headers })
    return app.lk.account.read(answer, { profile: provider.profile })
  } catch (error) {
    throw error instanceof Unreachable ? new Refusal('account_unreadable') : error
  }
}

/** RFC 7009 section 2.1, or the provider's own way. Never throws: that nobody answered is an answer too. */
export async function revokeToken(
  app: App,
  provider: ProviderSettings,
  token: Uint8Array,
  signal: AbortSignal,
): Promise<RevocationAnswer> {
  const { revocation } = provider
  if (!revocation) return { kind: 'unsupported' }
  const { url, method, member } = revocation
  const text = new TextDecoder().decode(token)
  const headers: Record<string, string> = { ...common }
  const form = new URLSearchParams()
  let body: string | undefined
  switch (revocation.body) {
    case 'form':
      form.set(member, text)
      form.set('token_type_hint', `${revocation.token}_token`)
      break
    case 'json':
      headers['content-type'] = 'application/json'
      body = JSON.stringify({ [member]: text })
      break
    case 'none':
      break
  }
  switch (revocation.credentials) {
    case 'client':
      identify(app, provider, headers, form)
      break
    case 'basic':
      headers['authorization'] = basic(provider.clientId, clientSecret(app, provider) ?? '')
      break
    case 'bearer':
      headers['authorization'] = `Bearer ${text}`
      break
  }
  if (revocation.body === 'form') {
    headers['content-type'] = formType
    body = form.toString()
  }
  try {
    return { kind: 'status', ...(await send(app, url, { method, headers, ...(body && { body }) }, signal)) }
  } catch {
    return { kind: 'unreachable' }
  }
}

const formType = 'application/x-www-form-urlencoded'
const common = { accept: 'application/json', 'user-agent': userAgent } as const

async function post(
  app: App,
  provider: ProviderSettings,
  url: string,
  form: URLSearchParams,
  signal?: AbortSignal,
): Promise<OutboundAnswer> {
  const headers: Record<string, string> = { ...common, 'content-type': formType }
  identify(app, provider, headers, form)
  return await send(app, url, { method: 'POST', headers, body: form.toString() }, signal)
}

/** The client's credentials, where the server wants them (RFC 6749 section 2.3.1). */
function identify(
  app: App,
  provider: ProviderSettings,
  headers: Record<string, string>,
  form: URLSearchParams,
): void {
  const secret = clientSecret(app, provider)
  if (secret !== undefined && provider.authStyle === 'basic') {
    headers['authorization'] = basic(provider.clientId, secret)
    return
  }
  form.set('client_id', provider.clientId)
  if (secret !== undefined) form.set('client_secret', secret)
}

/** RFC 6749 section 2.3.1: both parts are form-encoded before they are joined. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
  return `Basic ${btoa(`${encode(id)}:${encode(secret)}`)}`
}
