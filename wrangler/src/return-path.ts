import type { PublicCode } from 'latchkey'
import type { App } from './app.ts'

type Told =
  | { readonly connected: string }
  | { readonly disconnected: string }
  | { readonly error: PublicCode; readonly provider: string }

/** Where the browser goes afterwards: a path of ours with the outcome in its query, as an absolute address. */
export function returnPath(app: App, path: string, told?: Told): string {
  const url = new URL(app.lk.returnTo(path) ?? '/', app.config.baseUrl)
  for (const name of ['connected', 'disconnected', 'error', 'provider']) url.searchParams.delete(name)
  for (const [name, value] of Object.entries(told ?? {})) url.searchParams.set(name, String(value))
  return url.href
}
