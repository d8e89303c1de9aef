import type { CapabilityVerb } from 'latchkey'
import { readJson } from './body.ts'
import { mintCapability, type CapabilityRequest } from './capability.ts'
import { ownerKind } from './connections.ts'
import { trustedCaller } from './principal.ts'
import { Refusal } from './refusal.ts'
import type { Call, Route } from './route.ts'

export const capabilityRoutes: readonly Route[] = [[/^\/api\/capabilities$/, { POST: capability }]]

async function capability({ app, request }: Call): Promise<Response> {
  const principal = trustedCaller(app, request, 'application/json')
  const wanted = capabilityRequest(await readJson(request))
  return Response.json(await mintCapability(app, principal, wanted), { status: 201 })
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** Takes exactly the members it knows; what they may say is the core's to decide. */
function capabilityRequest({
  provider,
  owner,
  repo,
  container,
  can,
  ttlMs,
  purpose,
  ...others
}: Readonly<Record<string, unknown>>): CapabilityRequest {
  const kind = ownerKind(owner)
  const good =
    Object.keys(others).length === 0 &&
    isText(provider) &&
    isText(repo) &&
    (container === undefined || (isText(container) && container !== '')) &&
    Array.isArray(can) &&
    can.every(isText) &&
    (ttlMs === undefined || Number.isSafeInteger(ttlMs)) &&
    (purpose === undefined || purpose === 'git' || purpose === 'api')
  if (!good) throw new Refusal('request_invalid')
  return {
    provider,
    repo,
    can: can as CapabilityVerb[],
    ...(kind !== undefined && { owner: kind }),
    ...(container !== undefined && { container }),
    ...(ttlMs !== undefined && { ttlMs: ttlMs as number }),
    ...(purpose !== undefined && { purpose }),
  }
}
