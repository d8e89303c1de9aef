import type { App } from './app.ts'

const closed = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const common = Object.entries({
  'cache-control': 'no-store',
  'content-security-policy': closed,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
})

const ofJson = new Headers([...common, ['content-type', 'application/json']])
const complete = new WeakSet<Response>()

/** As `Response.json`, with the headers in place: one by one they cost as much as reading the request. */
export function jsonResponse(value: unknown): Response {
  const response = new Response(JSON.stringify(value), { headers: ofJson })
  complete.add(response)
  return response
}

/** Gives an answer of ours the headers that none may lack; a page's own policy stays. */
export function secured(response: Response, baseUrl?: string): Response {
  const { headers } = response
  if (!complete.has(response))
    for (const [name, value] of common) if (!headers.has(name)) headers.set(name, value)
  if (baseUrl?.startsWith('https:')) headers.set('strict-transport-security', 'max-age=31536000')
  return response
}

/**
 * The policy of a page. `'wasm-unsafe-eval'` stands only where the verifier runs. A form that leads to a redirect is
 * judged by the redirect's target too, so the authorization servers are named.
 */
export function pagePolicy(app: App, options: { verifier: boolean }): string {
  const targets = app.config.providers.map((provider) => new URL(provider.authorizationUrl).origin)
  return [
    "default-src 'none'",
    `script-src 'self'${options.verifier ? " 'wasm-unsafe-eval'" : ''}`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    `form-action ${["'self'", ...new Set(targets)].join(' ')}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
