/** What is asked of an authorization server: input and output only, the core reads the answers. */
import type { Account, ProviderSettings, RevocationAnswer, TokenSet } from 'latchkey'
import { clientSecret, type App } from './app.ts'
import { send, Unreachable } from './outbound.ts'
import { Refusal } from './refusal.ts'

/** GitHub's API refuses a request without one. */
const userAgent = 'latchkey'

export interface CodeGrant {
  readonly code: string
  readonly codeVerifier: string
  readonly redirectUri: string
}

/** RFC 6749 section 4.1.3 with RFC 7636 section 4.5. */
export async function exchangeCode(
  app: App,
  provider: ProviderSettings,
  grant: CodeGrant,
): Promise<TokenSet> {
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code: grant.code,
    redirect_uri: grant.redirectUri,
  })
  if (provider.pkce) form.set('code_verifier', grant.codeVerifier)
  const answer = await post(app, provider, provider.tokenUrl, form)
  return app.lk.exchange.read(answer, { now: Date.now(), profile: provider.profile })
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

/** RFC 7009 section 2.1. Never throws: that nobody answered is an answer too. */
export async function revoke(
  app: App,
  provider: ProviderSettings,
  token: Uint8Array,
  kind: 'access_token' | 'refresh_token',
): Promise<RevocationAnswer> {
  if (provider.revocationUrl === undefined) return { kind: 'unsupported' }
  const form = new URLSearchParams({ token: new TextDecoder().decode(token), token_type_hint: kind })
  try {
    return { kind: 'status', ...(await post(app, provider, provider.revocationUrl, form)) }
  } catch {
    return { kind: 'unreachable' }
  }
}

async function post(app: App, provider: ProviderSettings, url: string, form: URLSearchParams) {
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': userAgent,
  }
  const secret = clientSecret(app, provider)
  if (secret !== undefined && provider.authStyle === 'basic') {
    headers['authorization'] = basic(provider.clientId, secret)
  } else {
    form.set('client_id', provider.clientId)
    if (secret !== undefined) form.set('client_secret', secret)
  }
  try {
    return await send(app, url, { method: 'POST', headers, body: form.toString() })
  } catch (error) {
    throw error instanceof Unreachable ? new Refusal('exchange_unreachable') : error
  }
}

/** RFC 6749 section 2.3.1: both parts are form-encoded before they are joined. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
  return `Basic ${btoa(`${encode(id)}:${encode(secret)}`)}`
}
