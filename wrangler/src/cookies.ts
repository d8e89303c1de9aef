import type { App } from './app.ts'

type CookieName = 'binding' | 'session'

const isHttps = (app: App): boolean => app.config.baseUrl.startsWith('https:')

/** RFC 6265bis section 4.1.3.2: `__Host-` keeps other hosts and paths from setting it; needs https. */
const fullName = (app: App, name: CookieName): string => `${isHttps(app) ? '__Host-' : ''}latchkey-${name}`

/** The value of our cookie; nothing where it is absent or sent twice. */
export function readCookie(app: App, request: Request, name: CookieName): string | undefined {
  const wanted = `${fullName(app, name)}=`
  const found = (request.headers.get('cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(wanted))
  return found.length === 1 ? found[0]?.slice(wanted.length) : undefined
}

export function cookie(
  app: App,
  name: CookieName,
  value: string,
  options: { maxAge: number; crossSite?: boolean },
) {
  const sameSite = options.crossSite && isHttps(app) ? 'None' : 'Lax'
  const secure = isHttps(app) ? '; Secure' : ''
  return `${fullName(app, name)}=${value}; Path=/; Max-Age=${options.maxAge}; HttpOnly; SameSite=${sameSite}${secure}`
}
