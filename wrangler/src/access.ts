/** Which account reaches which repository, as its provider last said: for a while, and never an authority. */
import { waitUntil } from 'cloudflare:workers'
import type { CapabilityVerb, RepoPlace } from 'latchkey'
import type { App } from './app.ts'

/** The shortest life that KV takes. */
const shortestMs = 60_000

export interface AccessKey {
  readonly provider: string
  /** The provider's own id of the account: another account's answer is another question. */
  readonly account: string
  readonly repo: RepoPlace & { readonly cloneUrl: string }
  readonly right: CapabilityVerb
}

export interface ProviderAnswer {
  readonly status: number
  readonly headers: Headers
}

interface Known {
  readonly granted: boolean
  /** The end that counts; the store's own only tidies up. */
  readonly until: number
}

/** What is known; undefined: nothing, or nothing that still counts. */
export async function knownAccess(app: App, key: AccessKey): Promise<boolean | undefined> {
  const { ACCESS } = app.env
  if (!ACCESS || key.account === '') return undefined
  try {
    const known = await ACCESS.get<Known>(nameOf(app, key), 'json')
    const left = (known?.until ?? 0) - Date.now()
    // More than a whole life is left of what a wrong clock wrote.
    return known && left > 0 && left <= app.lk.retention.lifetimes.access_cache ? known.granted : undefined
  } catch {
    // Without the cache the provider is asked.
    return undefined
  }
}

/** Keeps what may be kept of an answer: a grant, or the 404 that says there is none. */
export function rememberAccess(app: App, key: AccessKey, answer: ProviderAnswer, known?: boolean): void {
  const { ACCESS } = app.env
  const { access, mayCache } = judge(app, answer)
  const granted = access === 'granted'
  if (!ACCESS || key.account === '' || !mayCache || granted === known) return
  const { expiry, lifetimes } = app.lk.retention
  const now = Date.now()
  const { expiresAt, physicalMs } = expiry(now, lifetimes.access_cache, now, { minMs: shortestMs })
  const text = JSON.stringify({ granted, until: expiresAt } satisfies Known)
  waitUntil(ACCESS.put(nameOf(app, key), text, { expirationTtl: physicalMs / 1_000 }).catch(() => undefined))
}

export function judge({ lk }: App, { status, headers }: ProviderAnswer) {
  const remaining = headers.get('x-ratelimit-remaining')
  const retryAfter = headers.get('retry-after')
  return lk.scope.access({
    hasToken: true,
    status,
    ...(remaining !== null && { remaining }),
    ...(retryAfter !== null && { retryAfter }),
  })
}

const nameOf = ({ lk, config }: App, { provider, account, repo, right }: AccessKey): string =>
  lk.guard.key(['access', config.baseUrl, provider, account, repo.cloneUrl, right])
