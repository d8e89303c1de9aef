import { operatorsOnly, readRetention } from './ledger.ts'
import { retentionPage } from './pages.ts'
import { caller, whoCalls } from './principal.ts'
import { reads, type Call, type Route } from './route.ts'

export const retentionRoutes: readonly Route[] = [
  [/^\/api\/retention$/, reads(retention)],
  [/^\/retention$/, reads(page)],
]

async function retention({ app, request }: Call): Promise<Response> {
  operatorsOnly(app, caller(app, request).kind)
  return Response.json(await readRetention(app))
}

async function page({ app, request }: Call): Promise<Response> {
  const principal = whoCalls(app, request)
  if (!principal && app.config.dev) {
    const location = `${app.config.baseUrl}/dev/sign-in?return_to=/retention`
    return new Response(null, { status: 302, headers: { location } })
  }
  operatorsOnly(app, (principal ?? caller(app, request)).kind)
  return await retentionPage(app, await readRetention(app))
}
