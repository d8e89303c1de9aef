/** Which account reaches which repository, as its provider last said: for five minutes, and never an authority. */
import { waitUntil } from 'cloudflare:workers'
import type { CapabilityVerb, RepoPlace } from 'latchkey'
import type { App } from './app.ts'

const lifeMs = 300_000

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
  readonly at: number
}

/** What is known; undefined: nothing, or nothing that still counts. */
export async function knownAccess(app: App, key: AccessKey): Promise<boolean | undefined> {
  const { ACCESS } = app.env
  if (!ACCESS || key.account === '') return undefined
  try {
    const known = await ACCESS.get<Known>(nameOf(app, key), 'json')
    const age = Date.now() - (known?.at ?? 0)
    return known && age >= 0 && age <= lifeMs ? known.granted : undefined
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
  const text = JSON.stringify({ granted, at: Date.now() } satisfies Known)
  waitUntil(ACCESS.put(nameOf(app, key), text, { expirationTtl: lifeMs / 1_000 }).catch(() => undefined))
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
