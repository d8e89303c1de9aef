import { readJson } from './body.ts'
import { ownerKind } from './connections.ts'
import { createLink, readLink, showLink, startLink, type LinkRequest } from './links.ts'
import { linkEndPage } from './pages.ts'
import { caller, trustedCaller } from './principal.ts'
import { Refusal } from './refusal.ts'
import { reads, type Call, type Route } from './route.ts'

export const linkRoutes: readonly Route[] = [
  [/^\/api\/connect-links$/, { POST: create }],
  [
    /^\/api\/connect-links\/([^/]+)$/,
    reads(async ({ app, request, parts: [id = ''] }) =>
      Response.json(await readLink(app, caller(app, request), id)),
    ),
  ],
  [/^\/link$/, reads(({ app, url }) => linkEndPage(app, url.searchParams))],
  [
    /^\/link\/([^/]+)$/,
    {
      ...reads(({ app, parts: [token = ''] }) => showLink(app, token)),
      POST: ({ app, request, parts: [token = ''] }) => startLink(app, token, request),
    },
  ],
]

async function create({ app, request }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, 'application/json')
  const link = await createLink(app, principal, linkRequest(await readJson(request)))
  return Response.json(link, { status: 201 })
}

/** Takes exactly the three members it knows. */
function linkRequest({
  provider,
  owner,
  returnTo,
  ...others
}: Readonly<Record<string, unknown>>): LinkRequest {
  if (typeof provider !== 'string' || Object.keys(others).length > 0) throw new Refusal('request_invalid')
  if (returnTo !== undefined && typeof returnTo !== 'string') throw new Refusal('request_invalid')
  const kind = ownerKind(owner)
  return { provider, ...(kind !== undefined && { owner: kind }), ...(returnTo !== undefined && { returnTo }) }
}
