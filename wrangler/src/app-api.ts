/** A client that is an app of GitHub's kind, as itself: where it is installed, and tokens of an installation. */
import type { ProviderSettings } from 'latchkey'
import { appKey, type App } from './app.ts'
import { send, Unreachable, type OutboundAnswer } from './outbound.ts'

/** Where the app is installed, as a person sees it. */
export interface Installed {
  readonly id: string
  /** Whose repositories it reaches. */
  readonly account: string
  readonly suspended: boolean
  /** It has contents and pull requests with write. */
  readonly writes: boolean
}

export type Minted =
  | { readonly outcome: 'ok'; readonly accessToken: string; readonly expiresAt: number }
  /** `not_covered`: it is there, and does not reach that repository. */
  | { readonly outcome: 'deleted' | 'suspended' | 'not_covered' | 'misconfigured' | 'unanswered' }

const headers = {
  accept: 'application/vnd.github+json',
  'x-github-api-version': '2022-11-28',
  'user-agent': 'latchkey',
} as const

/** A hundred installations, three kilobytes each, and as much again. */
const largestList = 1_048_576
const pageSize = 100
const maxPages = 10
/** docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App": at most ten minutes, and clocks differ. */
const assertionSeconds = 540
const skewSeconds = 60

type Fields = Readonly<Record<string, unknown>>
const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}

function read(answer: OutboundAnswer): Fields {
  try {
    return fields(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(answer.body)))
  } catch {
    return {}
  } finally {
    answer.body.fill(0)
  }
}

/** Those that a person sees; undefined: they could not be read, which is not none. */
export async function listInstallations(
  app: App,
  provider: ProviderSettings,
  accessToken: string,
): Promise<Installed[] | undefined> {
  const found: Installed[] = []
  for (let page = 1; page <= maxPages; page += 1) {
    const url = `${provider.app?.url}/user/installations?per_page=${pageSize}&page=${page}`
    const init = { headers: { ...headers, authorization: `Bearer ${accessToken}` } }
    const answer = await send(app, url, init, undefined, largestList).catch(unanswered)
    const { installations } = answer?.status === 200 ? read(answer) : {}
    if (!Array.isArray(installations)) return undefined
    for (const one of installations) {
      const known = installed(app, fields(one))
      if (!known) return undefined
      found.push(known)
    }
    if (installations.length < pageSize) return found
  }
  // More than anybody has: which of them is meant is not known.
  return undefined
}

function installed({ lk }: App, { id, account, suspended_at: suspendedAt, permissions }: Fields) {
  const { login } = fields(account)
  if (!Number.isSafeInteger(id) || typeof login !== 'string' || login === '' || login.length > 255)
    return undefined
  const granted = Object.entries(fields(permissions)).map(([name, level]) => `${name}:${String(level)}`)
  const lacks = lk.scope.missing('github_app', granted, ['contents:write', 'pull_requests:write'])
  // Anything but a clear "no" is a suspension.
  return {
    id: String(id),
    account: login,
    suspended: suspendedAt !== null && suspendedAt !== undefined,
    writes: lacks.length === 0,
  }
}

/** A token of that installation for one of its repositories. */
export async function mintToken(
  app: App,
  provider: ProviderSettings,
  installation: string,
  repository: string,
): Promise<Minted> {
  const assertion = await assertionOf(app, provider)
  if (assertion === undefined) return { outcome: 'misconfigured' }
  const url = `${provider.app?.url}/app/installations/${installation}/access_tokens`
  const answer = await send(app, url, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${assertion}`, 'content-type': 'application/json' },
    body: JSON.stringify({ repositories: [repository] }),
  }).catch(unanswered)
  if (!answer) return { outcome: 'unanswered' }
  const outcome = mintedAs(app, answer)
  if (outcome !== 'made') return { outcome }
  const { token, expires_at: until } = read(answer)
  const expiresAt = typeof until === 'string' ? Date.parse(until) : Number.NaN
  return isToken(token) && Number.isFinite(expiresAt)
    ? { outcome: 'ok', accessToken: token, expiresAt }
    : { outcome: 'unanswered' }
}

/** The core reads what such an answer says. */
function mintedAs({ lk }: App, { status, headers: said }: OutboundAnswer) {
  const header = (wanted: string): string | undefined => said.find(([name]) => name === wanted)?.[1]
  const [remaining, retryAfter] = [header('x-ratelimit-remaining'), header('retry-after')]
  return lk.scope.minted({
    status,
    ...(remaining !== undefined && { remaining }),
    ...(retryAfter !== undefined && { retryAfter }),
  })
}

const isToken = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x21-\x7e]{1,4096}$/.test(value)

function unanswered(error: unknown): undefined {
  if (!(error instanceof Unreachable)) throw error
}

const signingKeys = new WeakMap<ProviderSettings, Promise<CryptoKey | undefined>>()

/** RFC 7519, signed with the app's own key; undefined: the key is none. */
async function assertionOf(app: App, provider: ProviderSettings): Promise<string | undefined> {
  let imported = signingKeys.get(provider)
  if (!imported) signingKeys.set(provider, (imported = signingKey(appKey(app, provider))))
  const key = await imported
  if (!key) return undefined
  const now = Math.floor(Date.now() / 1_000)
  const claims = { iat: now - skewSeconds, exp: now + assertionSeconds, iss: provider.clientId }
  const text = `${encoded({ alg: 'RS256', typ: 'JWT' })}.${encoded(claims)}`
  const bytes = new TextEncoder().encode(text)
  const signature = new Uint8Array(await crypto.subtle.sign(rsa.name, key, bytes))
  return `${text}.${signature.toBase64(base64url)}`
}

const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const
const base64url = { alphabet: 'base64url', omitPadding: true } as const
const encoded = (value: object): string => new TextEncoder().encode(JSON.stringify(value)).toBase64(base64url)

async function signingKey(pem: string | undefined): Promise<CryptoKey | undefined> {
  const [, kind, body] = /-----BEGIN (RSA )?PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(pem ?? '') ?? []
  try {
    const der = Uint8Array.fromBase64(body ?? '')
    const pkcs8 = kind === undefined ? der : pkcs8Of(der)
    return await crypto.subtle.importKey('pkcs8', pkcs8, rsa, false, ['sign'])
  } catch {
    console.error(JSON.stringify({ event: 'app_key_unusable' }))
    return undefined
  }
}

/** GitHub hands keys out as PKCS #1 (RFC 8017 appendix A.1.2), which WebCrypto wants wrapped (RFC 5958 section 2). */
function pkcs8Of(pkcs1: Uint8Array): Uint8Array<ArrayBuffer> {
  const lengthOf = (size: number): number[] => {
    if (size < 0x80) return [size]
    return size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  }
  const version = [0x02, 0x01, 0x00]
  const rsaEncryption = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
  ]
  const head = [...version, ...rsaEncryption, 0x04, ...lengthOf(pkcs1.length)]
  return Uint8Array.from([0x30, ...lengthOf(head.length + pkcs1.length), ...head, ...pkcs1])
}
