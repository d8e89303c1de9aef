/** `/dev/sign-in`: who one wants to be, on a server that was started for local development. */
import type { Principal } from 'latchkey'
import type { App } from './app.ts'
import { keepBinding } from './binding.ts'
import { readForm, single } from './body.ts'
import { signIn as signInPage } from './pages.ts'
import { endedSessionCookie, guard, localOnly, sessionCookie } from './principal.ts'
import { returnPath } from './return-path.ts'

const form = 'application/x-www-form-urlencoded'
const longestField = 128

export async function showSignIn(app: App, request: Request): Promise<Response> {
  localOnly(app, request)
  const returnTo = app.lk.returnTo(new URL(request.url).searchParams.get('return_to') ?? '/') ?? '/'
  return await signInPage(app, { returnTo })
}

export async function signIn(app: App, request: Request): Promise<Response> {
  localOnly(app, request)
  guard(app, request, form)
  const fields = await readForm(request)
  const principal = chosen(fields)
  const returnTo = single(fields, 'return_to') ?? '/'
  if (!principal) return await signInPage(app, { returnTo: app.lk.returnTo(returnTo) ?? '/', problem: true })
  const headers = new Headers({ location: returnPath(app, returnTo) })
  headers.append('set-cookie', sessionCookie(app, principal))
  headers.append('set-cookie', keepBinding(app, request).setCookie)
  return new Response(null, { status: 303, headers })
}

export function signOut(app: App, request: Request): Response {
  localOnly(app, request)
  guard(app, request, form)
  const headers = { location: `${app.config.baseUrl}/dev/sign-in`, 'set-cookie': endedSessionCookie(app) }
  return new Response(null, { status: 303, headers })
}

/** Nothing when a field cannot be used. A role means nothing without an organisation. */
function chosen(fields: URLSearchParams): Principal | undefined {
  const [subject, org, role] = ['subject', 'org', 'role'].map((name) => (single(fields, name) ?? '').trim())
  if (!subject) return undefined
  if ([subject, org, role].some((text = '') => text.length > longestField || /\p{Cc}/u.test(text)))
    return undefined
  return { subject, kind: 'human', ...(org && { org, ...(role && { role }) }) }
}
