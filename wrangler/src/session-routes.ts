/** The routes of a session's messages. */
import { readJson } from './body.ts'
import { caller, trustedCaller } from './principal.ts'
import { Refusal } from './refusal.ts'
import { decoded, reads, type Call, type Route } from './route.ts'
import {
  describeMessages,
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
    reads(async ({ app, request, parts: [id = ''] }) =>
      Response.json(await describeMessages(app, caller(app, request), decoded(id))),
    ),
  ],
  [/^\/api\/sessions\/([^/]+)\/messages$/, { POST: post }],
  [/^\/api\/sessions\/([^/]+)\/next$/, { POST: next }],
  [/^\/api\/sessions\/([^/]+)\/messages\/([^/]+)\/settle$/, { POST: settle }],
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

/** Asked for by git itself, with the session's capability or with an assertion of its owner. */
async function credential({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const capability = /^Bearer +(lkc\d\..*)$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  if (capability !== undefined)
    return Response.json(await redeemCapability(app, capability, decoded(id), await readJson(request)))
  const principal = trustedCaller(app, request, json)
  return Response.json(await sessionCredential(app, principal, decoded(id), await readJson(request)))
}
