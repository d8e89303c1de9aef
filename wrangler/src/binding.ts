import { random, type App } from './app.ts'
import { cookie, readCookie } from './cookies.ts'

/** How long the cookie outlives the newest flow: longer than any state, so that lateness is told as lateness. */
const lifeSeconds = 3_600
const bindingSize = 32

/** The 32 random bytes that tie a flow to this browser: one cookie, however many tabs. */
export interface Binding {
  readonly bytes: Uint8Array
  readonly setCookie: string
}

export function readBinding(app: App, request: Request): Uint8Array | undefined {
  const text = readCookie(app, request, 'binding')
  if (text === undefined || !/^[A-Za-z0-9_-]{43}$/.test(text)) return undefined
  const bytes = Uint8Array.fromBase64(text, { alphabet: 'base64url', lastChunkHandling: 'loose' })
  return bytes.length === bindingSize ? bytes : undefined
}

/**
 * Keeps the browser's binding or makes one. It is set with every page too: tabs that start at the same
 * time then share it instead of overwriting each other's.
 */
export function keepBinding(app: App, request: Request): Binding {
  const bytes = readBinding(app, request) ?? random(bindingSize)
  const value = bytes.toBase64({ alphabet: 'base64url', omitPadding: true })
  // A form_post answer is a cross-site POST, which carries no Lax cookie.
  const crossSite = app.config.providers.some((provider) => provider.responseMode === 'form_post')
  return { bytes, setCookie: cookie(app, 'binding', value, { maxAge: lifeSeconds, crossSite }) }
}
