/** Whose connection is used, and what is left of somebody who left. */
import { readJson, single } from './body.ts'
import { ownerKind, why } from './connections.ts'
import { changeRole, removeMember } from './members.ts'
import { caller, trustedCaller } from './principal.ts'
import { Refusal } from './refusal.ts'
import { decoded, reads, type Call, type Route } from './route.ts'

export const scopeRoutes: readonly Route[] = [
  [/^\/api\/connections\/([^/]+)\/why$/, reads(showWhy)],
  [/^\/api\/orgs\/([^/]+)\/members\/([^/]+)$/, { PUT: putMember, DELETE: deleteMember }],
]

async function showWhy({ app, request, url, parts: [provider = ''] }: Call): Promise<Response> {
  const owner = ownerKind(single(url.searchParams, 'owner'))
  const repo = single(url.searchParams, 'repo')
  return Response.json(await why(app, caller(app, request), provider, owner, repo))
}

/** Takes exactly the one member it knows. */
async function putMember({ app, request, parts: [org = '', user = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, 'application/json')
  const { role, ...others } = await readJson(request)
  if (typeof role !== 'string' || Object.keys(others).length > 0) throw new Refusal('request_invalid')
  const receipt = await changeRole(app, principal, decoded(org), decoded(user), role)
  return Response.json(receipt, { status: receipt.complete ? 200 : 202 })
}

/** A receipt that is not complete is an answer too: some of it may have to be tried again. */
async function deleteMember({ app, request, parts: [org = '', user = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, 'application/json')
  const receipt = await removeMember(app, principal, decoded(org), decoded(user))
  return Response.json(receipt, { status: receipt.complete ? 200 : 202 })
}
