/** The routes of a session's messages. */
import { readJson } from './body.ts'
import { caller, trustedCaller } from './principal.ts'
import { Refusal } from './refusal.ts'
import { decoded, reads, type Call, type Route } from './route.ts'
import {
  describeMessages,
  endSession,
  endSessionCapabilities,
  mintSessionCapability,
  nextMessage,
  postMessage,
  redeemCapability,
  sessionCredential,
  settleMessage,
} from './sessions.ts'

const json = 'application/json'

export const sessionRoutes: readonly Route[] = [
  [
    /^\/api\/sessions\/([^/]+)$/,
    {
      ...reads(async ({ app, request, parts: [id = ''] }) =>
        Response.json(await describeMessages(app, caller(app, request), decoded(id))),
      ),
      DELETE: end,
    },
  ],
  [/^\/api\/sessions\/([^/]+)\/messages$/, { POST: post }],
  [/^\/api\/sessions\/([^/]+)\/next$/, { POST: next }],
  [/^\/api\/sessions\/([^/]+)\/messages\/([^/]+)\/settle$/, { POST: settle }],
  [/^\/api\/sessions\/([^/]+)\/capabilities$/, { POST: capability, DELETE: endCapabilities }],
  [/^\/api\/sessions\/([^/]+)\/credential$/, { POST: credential }],
]

async function post({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  return Response.json(await postMessage(app, principal, decoded(id), await readJson(request)))
}

async function next({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  if (Object.keys(await readJson(request)).length > 0) throw new Refusal('request_invalid')
  return Response.json(await nextMessage(app, principal, decoded(id)))
}

async function settle({ app, request, parts: [id = '', messageId = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const report = await readJson(request)
  return Response.json(await settleMessage(app, principal, decoded(id), decoded(messageId), report))
}

async function capability({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const minted = await mintSessionCapability(app, principal, decoded(id), await readJson(request))
  return Response.json(minted, { status: 201 })
}

async function endCapabilities({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  return Response.json(await endSessionCapabilities(app, trustedCaller(app, request, json), decoded(id)))
}

async function end({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  return Response.json(await endSession(app, trustedCaller(app, request, json), decoded(id)))
}

/** Asked for by git itself, with a capability (RFC 6750, the container in a header of its own) or as the owner. */
async function credential({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const { headers } = request
  const presented = /^Bearer +(lkc\d\..*)$/i.exec(headers.get('authorization') ?? '')?.[1]
  if (presented !== undefined) {
    const held = { capability: presented, container: headers.get('latchkey-container') ?? '' }
    return Response.json(await redeemCapability(app, held, decoded(id), await readJson(request)))
  }
  const principal = trustedCaller(app, request, json)
  return Response.json(await sessionCredential(app, principal, decoded(id), await readJson(request)))
}
