import type { Principal } from 'latchkey'
import type { App } from './app.ts'
import { pagePolicy } from './headers.ts'
import { htmlResponse, readPage } from './pages.ts'

/** Without data of anybody: the page asks for what it shows, as who is signed in. */
export async function runPage(app: App, principal: Principal | undefined): Promise<Response> {
  if (!principal && app.config.dev)
    return new Response(null, { status: 302, headers: { location: `${app.config.baseUrl}/dev/sign-in` } })
  const policy = pagePolicy(app, { verifier: true })
  return htmlResponse(await readPage(app.env, 'run.html'), { 'content-security-policy': policy })
}
