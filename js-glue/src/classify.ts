import { type Module, numberOf, place } from './module.ts'
import type { Classified, Failed, RefreshAnswer } from './refresh-types.ts'
import type { ProviderSettings } from './types.ts'

const request = 'RefreshClassifyRequest'
const reply = 'RefreshClassifyReply'
const maxBody = 64_000
const absences = { not_sent: 1, reset: 2, timeout: 3 } as const
const classes = ['ok', 'terminal', 'transient', 'rate_limited', 'operator', 'unparsed'] as const
const doubts = ['none', 'answered', 'silent'] as const
// Only these cross: an answer may have many headers, and long ones.
const known = /^(?:content-type|date|retry-after|(?:x-)?rate-?limit-(?:remaining|reset))$/i
const maxValue = 1_024

function headersOf(headers: RefreshAnswer['headers']): string[] {
  const entries = Symbol.iterator in headers ? [...headers] : Object.entries(headers)
  const found = new Map<string, string>()
  for (const [name, value] of entries) {
    if (typeof name !== 'string' || typeof value !== 'string' || !known.test(name)) continue
    if (value.length <= maxValue && value.isWellFormed()) found.set(name.toLowerCase(), value)
  }
  return [...found].flat()
}

export function classifyRefresh(
  module: Module,
  provider: string | ProviderSettings,
  answer: RefreshAnswer | Failed,
  { now, sentRefreshToken }: { now: number; sentRefreshToken?: Uint8Array },
): Classified {
  const facts = typeof provider === 'string' ? undefined : provider.refresh
  const profile = typeof provider === 'string' ? provider : provider.profile
  try {
    module.putTime(place(request, 'now_ms') >>> 3, now)
    module.putTime(place(request, 'access_ttl_ms') >>> 3, facts?.accessTtlMs ?? -1)
    const absence = 'failed' in answer ? numberOf(absences, answer.failed) : 0
    if ('failed' in answer && absence === 0) throw new TypeError('latchkey: no such failure')
    const given = 'failed' in answer ? { status: 0, headers: [], body: new Uint8Array(0) } : answer
    const { at, length } = module.putList(headersOf(given.headers))
    module.putSlice(place(request, 'headers'), at, length)
    // One byte more than the limit is what says that a body is beyond it.
    module.sliceBytes(place(request, 'body'), given.body.subarray(0, maxBody + 1))
    module.sliceText(place(request, 'profile'), profile)
    module.sliceBytes(place(request, 'sent'), sentRefreshToken)
    module.u32[place(request, 'free') >>> 2] = module.free
    module.u16[place(request, 'status') >>> 1] = given.status
    module.u8[place(request, 'absence')] = absence
    module.u8[place(request, 'unspent')] = facts === undefined ? 2 : Number(facts.serverErrorsUnspent)
    module.call('lk_refresh_classify')
    return readClassified(module)
  } finally {
    module.wipe()
  }
}

function readClassified(module: Module): Classified {
  const kind = classes[module.u8[place(reply, 'kind')]! - 1]!
  const code = module.text(place(reply, 'code'))
  const retryAfterMs = module.f64[place(reply, 'retry_after_ms') >>> 3]!
  const said = {
    class: kind,
    doubt: doubts[module.u8[place(reply, 'doubt')]!]!,
    ...(code === '' ? undefined : { code }),
    ...(retryAfterMs === 0
      ? undefined
      : { retryAfterMs, retryAt: module.f64[place(reply, 'retry_at_ms') >>> 3]! }),
  }
  if (kind !== 'ok') return said
  const refreshToken = module.bytes(place(reply, 'refresh_token'))
  const lifetimeMs = module.f64[place(reply, 'lifetime_ms') >>> 3]!
  const refreshLifetimeMs = module.f64[place(reply, 'refresh_lifetime_ms') >>> 3]!
  const scope = module.text(place(reply, 'scope'))
  return {
    ...said,
    tokens: {
      accessToken: module.bytes(place(reply, 'access_token')),
      ...(refreshToken.length === 0 ? undefined : { refreshToken }),
      ...(lifetimeMs === 0 ? undefined : { lifetimeMs }),
      ...(refreshLifetimeMs === 0 ? undefined : { refreshLifetimeMs }),
      ...(module.u8[place(reply, 'has_scope')] === 1
        ? { scopes: scope === '' ? [] : scope.split(' ') }
        : undefined),
      refreshSame: module.u8[place(reply, 'refresh_same')] === 1,
    },
  }
}
