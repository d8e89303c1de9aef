/** HTTP of runs: which path does what. */
import { readJson, single } from './body.ts'
import { ownerKind } from './connections.ts'
import { runPage } from './run-page.ts'
import { caller, trustedCaller, whoCalls } from './principal.ts'
import { Refusal } from './refusal.ts'
import { decoded, reads, type Call, type Route } from './route.ts'
import {
  abortRun,
  activeRun,
  appendEvents,
  beat,
  finishRun,
  followRun,
  listRuns,
  seeRun,
  startDemonstration,
  startRun,
  type EventInput,
  type RunRequest,
} from './runs.ts'
import type { Beat } from './thread.ts'

const json = 'application/json'
const demonstrationSteps = 30

export const runRoutes: readonly Route[] = [
  [/^\/api\/runs$/, { ...reads(list), POST: start }],
  [/^\/api\/runs\/([^/]+)$/, reads(see)],
  [/^\/api\/runs\/([^/]+)\/events$/, { GET: follow, POST: append }],
  [/^\/api\/runs\/([^/]+)\/heartbeat$/, { POST: heartbeat }],
  [/^\/api\/runs\/([^/]+)\/finish$/, { POST: finish }],
  [/^\/api\/runs\/([^/]+)\/abort$/, { POST: abort }],
  [/^\/api\/threads\/([^/]+)\/active-run$/, reads(active)],
  [/^\/runs(?:\/([^/]+))?$/, reads(({ app, request }) => runPage(app, whoCalls(app, request)))],
  [/^\/dev\/runs$/, { POST: demonstrate }],
]

type Fields = Readonly<Record<string, unknown>>

/** A member of a body that has to be of that kind where it stands. */
function maybe<T extends 'string' | 'boolean' | 'number'>(fields: Fields, name: string, type: T) {
  type Kind = { string: string; boolean: boolean; number: number }[T]
  const value = fields[name]
  if (value === undefined) return undefined
  if (typeof value !== type) throw new Refusal('request_invalid')
  return value as Kind
}

function text(fields: Fields, name: string): string {
  const value = maybe(fields, name, 'string')
  if (value === undefined) throw new Refusal('request_invalid')
  return value
}

/** Takes exactly the members it knows. */
function only(fields: Fields, ...names: readonly string[]): Fields {
  if (Object.keys(fields).some((name) => !names.includes(name))) throw new Refusal('request_invalid')
  return fields
}

function object(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refusal('request_invalid')
  return value as Fields
}

async function start({ app, request }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const fields = only(
    await readJson(request),
    ...['threadId', 'clientKey', 'owner', 'input', 'background', 'device', 'uses', 'idleMs'],
  )
  const owner = ownerKind(fields['owner'])
  const background = maybe(fields, 'background', 'boolean')
  const device = maybe(fields, 'device', 'string')
  const idleMs = maybe(fields, 'idleMs', 'number')
  const uses = fields['uses']
  if (uses !== undefined && !Array.isArray(uses)) throw new Refusal('request_invalid')
  const wanted: RunRequest = {
    threadId: text(fields, 'threadId'),
    clientKey: text(fields, 'clientKey'),
    ...(owner !== undefined && { owner }),
    ...('input' in fields && { input: fields['input'] }),
    ...(background !== undefined && { background }),
    ...(device !== undefined && { device }),
    ...(idleMs !== undefined && { idleMs }),
    ...(uses !== undefined && { uses: (uses as unknown[]).map(used) }),
  }
  const started = await startRun(app, principal, wanted)
  return Response.json(started, { status: started.created ? 201 : 200 })
}

function used(value: unknown): NonNullable<RunRequest['uses']>[number] {
  const fields = only(object(value), 'provider', 'owner')
  const owner = ownerKind(fields['owner'])
  return { provider: text(fields, 'provider'), ...(owner !== undefined && { owner }) }
}

async function demonstrate({ app, request }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const started = await startDemonstration(app, principal, demonstrationSteps)
  return Response.json(started, { status: 201 })
}

async function list({ app, request, url }: Call): Promise<Response> {
  const limit = single(url.searchParams, 'limit')
  const status = single(url.searchParams, 'status')
  return Response.json(
    await listRuns(app, caller(app, request), {
      status,
      limit: limit === undefined ? undefined : number(limit),
    }),
  )
}

async function see({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  return Response.json(await seeRun(app, caller(app, request), id))
}

async function active({ app, request, url, parts: [thread = ''] }: Call): Promise<Response> {
  const owner = ownerKind(single(url.searchParams, 'owner'))
  const clientKey = single(url.searchParams, 'clientKey')
  return Response.json(await activeRun(app, caller(app, request), decoded(thread), { owner, clientKey }))
}

/** A browser that comes back says the last number it has seen; that is younger than what the address says. */
async function follow({ app, request, url, parts: [id = ''] }: Call): Promise<Response> {
  const principal = caller(app, request)
  const seen = request.headers.get('last-event-id')
  const from = single(url.searchParams, 'from')
  const after = seen !== null && seen !== '' ? number(seen) : from === undefined ? 0 : number(from) - 1
  return await followRun(app, principal, id, Math.max(0, after))
}

function number(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Refusal('request_invalid')
  return Number(text)
}

async function append({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const fields = only(await readJson(request), 'events', 'after')
  const { events } = fields
  if (!Array.isArray(events)) throw new Refusal('request_invalid')
  return Response.json(
    await appendEvents(app, principal, id, events.map(eventOf), maybe(fields, 'after', 'number')),
  )
}

function eventOf(value: unknown): EventInput {
  const fields = only(object(value), 'key', 'type', 'data')
  return {
    key: text(fields, 'key'),
    type: text(fields, 'type'),
    ...('data' in fields && { data: fields['data'] }),
  }
}

async function heartbeat({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const fields = only(await readJson(request), 'process', 'inFlight', 'claim')
  const inFlight = maybe(fields, 'inFlight', 'boolean')
  const claim = maybe(fields, 'claim', 'string')
  const sign: Beat = {
    process: maybe(fields, 'process', 'boolean') ?? false,
    ...(inFlight !== undefined && { inFlight }),
    ...(claim !== undefined && { claim }),
  }
  return Response.json(await beat(app, principal, id, sign))
}

async function finish({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  const fields = only(await readJson(request), 'kind', 'data', 'device')
  const device = maybe(fields, 'device', 'string')
  const end = {
    kind: maybe(fields, 'kind', 'string') ?? 'done',
    ...('data' in fields && { data: fields['data'] }),
    ...(device !== undefined && { device }),
  }
  return Response.json(await finishRun(app, principal, id, end))
}

async function abort({ app, request, parts: [id = ''] }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, json)
  only(await readJson(request))
  return Response.json(await abortRun(app, principal, id))
}
