import { abi } from './abi.gen.ts'
import { type Module, numberOf, place } from './module.ts'
import type { Classified, Failed, RefreshAnswer } from './refresh-types.ts'
import type { ProviderSettings } from './types.ts'

const request = 'RefreshClassifyRequest'
const reply = 'RefreshClassifyReply'
const maxBody = 64_000
const absences = { not_sent: 1, reset: 2, timeout: 3 } as const
const classes = ['ok', 'terminal', 'transient', 'rate_limited', 'operator', 'unparsed'] as const
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

/** Everything that is read of the arguments, before anything of it crosses. */
function read(provider: string | ProviderSettings, answer: RefreshAnswer | Failed) {
  const facts = typeof provider === 'string' ? undefined : provider.refresh
  const common = {
    profile: typeof provider === 'string' ? provider : provider.profile,
    accessTtlMs: facts === undefined ? -1 : facts.accessTtlMs,
    unspent: facts === undefined ? 2 : facts.serverErrorsUnspent === true ? 1 : 0,
  }
  if ('failed' in answer) {
    // 0 stands for an answer; the core refuses what it does not know.
    const absence = numberOf(absences, answer.failed) || 0xff
    return { ...common, absence, status: 0, headers: [], body: new Uint8Array(0) }
  }
  const { status, headers, body } = answer
  if (typeof status !== 'number') throw new TypeError('latchkey: expected a number')
  return {
    ...common,
    absence: 0,
    // No other number is a status, and none may become one.
    status: Number.isInteger(status) && status >= 0 && status <= 0xffff ? status : 0,
    headers: headersOf(headers),
    // One byte more than the limit is what says that a body is beyond it.
    body: body.subarray(0, maxBody + 1),
  }
}

export function classifyRefresh(
  module: Module,
  provider: string | ProviderSettings,
  answer: RefreshAnswer | Failed,
  { now, sentRefreshToken }: { now: number; sentRefreshToken?: Uint8Array },
): Classified {
  const given = read(provider, answer)
  try {
    module.putTime(place(request, 'now_ms') >>> 3, now)
    module.putTime(place(request, 'access_ttl_ms') >>> 3, given.accessTtlMs)
    const { at, length } = module.putList(given.headers)
    module.putSlice(place(request, 'headers'), at, length)
    module.sliceBytes(place(request, 'body'), given.body)
    module.sliceText(place(request, 'profile'), given.profile)
    module.sliceBytes(place(request, 'sent'), sentRefreshToken)
    module.u32[place(request, 'free') >>> 2] = module.free
    module.u16[place(request, 'status') >>> 1] = given.status
    module.u8[place(request, 'absence')] = given.absence
    module.u8[place(request, 'unspent')] = given.unspent
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
    doubt: abi.enums.doubt[module.u8[place(reply, 'doubt')]!]!,
    ...(code === '' ? undefined : { code }),
    ...(module.u8[place(reply, 'introspectable')] === 1 ? { introspectable: true as const } : undefined),
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
