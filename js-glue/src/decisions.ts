import { LatchkeyError, errorCode, errorNumber, publicCodeName } from './errors.ts'
import { ringBytes } from './keys.ts'
import { type Module, numberOf, place } from './module.ts'
import type {
  CallbackInput,
  CallbackPlan,
  KeyRing,
  Principal,
  RequestFacts,
  RequestVerdict,
  WriteTarget,
} from './types.ts'
import type { Rule } from './scope-types.ts'

const scopes = [undefined, 'user', 'org'] as const
const scopeNumbers = { user: 1, org: 2 } as const
const rules: readonly (Rule | undefined)[] = [
  undefined,
  'org_admin',
  'no_org',
  'role_is_member',
  'asked_for_self',
  'own_account',
  'on_behalf',
]
const kinds = [undefined, 'human', 'service', 'device'] as const
const kindNumbers = { human: 1, service: 2, device: 3 } as const
const mediaTypes = { 'application/json': 1, 'application/x-www-form-urlencoded': 2 } as const
const actionExchange = 1

export function returnTo(module: Module, text: string, base = ''): string | null {
  if (typeof text !== 'string') return null
  try {
    const at = module.free
    const length = module.putText(text)
    const baseAt = module.free
    const baseLength = base === '' ? 0 : module.putText(base)
    module.call('lk_return_to', at, length, baseLength === 0 ? 0 : baseAt, baseLength, module.free)
    return module.replyText()
  } catch (error) {
    if (error instanceof LatchkeyError) return null
    throw error
  } finally {
    module.wipe()
  }
}

// A form may hold a file.
function isTextPair(pair: unknown): boolean {
  return (
    Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string' && typeof pair[1] === 'string'
  )
}

export function planCallback(module: Module, { params, state, session }: CallbackInput): CallbackPlan {
  const verified = typeof state === 'string' ? undefined : state
  const pairs = typeof params === 'string' ? [...new URLSearchParams(params)] : [...params]
  const malformed = { action: 'redirect', reason: 'callback_malformed', publicCode: 'invalid_state' } as const
  if (!pairs.every(isTextPair)) return malformed
  const request = 'CallbackPlanRequest'
  try {
    module.putTime(place(request, 'expires_at_ms') >>> 3, verified?.expiresAt ?? 0)
    let list: { at: number; length: number }
    try {
      list = module.putList(pairs.flat())
    } catch (error) {
      // Too large for the arena is too large for a callback.
      if (!(error instanceof LatchkeyError)) throw error
      return malformed
    }
    module.u8[list.at] = pairs.length & 0xff
    module.u8[list.at + 1] = pairs.length >>> 8
    module.putSlice(place(request, 'params'), list.at, list.length)
    module.sliceText(place(request, 'subject'), verified?.subject)
    module.sliceText(place(request, 'return_to'), verified?.returnTo)
    module.sliceText(place(request, 'nonce'), verified?.nonce)
    module.sliceText(place(request, 'session_subject'), session.subject)
    module.sliceText(place(request, 'as_issuer'), session.asIssuer)
    module.u8[place(request, 'state_error')] = typeof state === 'string' ? errorNumber(state) : 0
    module.u8[place(request, 'iss_required')] = session.issRequired ? 1 : 0
    module.call('lk_callback_plan')

    const back =
      module.u8[place('CallbackPlanReply', 'with_return_to')] === 1 && verified?.returnTo !== undefined
        ? { returnTo: verified.returnTo }
        : undefined
    if (module.u8[place('CallbackPlanReply', 'action')] === actionExchange && verified !== undefined) {
      const until = module.f64[place('CallbackPlanReply', 'consume_until_ms') >>> 3]!
      return {
        action: 'exchange',
        code: module.text(place('CallbackPlanReply', 'code')),
        ...back,
        consume: { nonce: verified.nonce, until },
      }
    }
    return {
      action: 'redirect',
      reason: errorCode(module.u8[place('CallbackPlanReply', 'reason')]!),
      publicCode: publicCodeName(module.u8[place('CallbackPlanReply', 'public_code')]!),
      ...back,
    }
  } finally {
    module.wipe()
  }
}

export function seal(
  module: Module,
  ring: KeyRing,
  bytes: Uint8Array,
  context: readonly string[],
  { entropy }: { entropy: Uint8Array },
): string {
  const keys = ringBytes(ring)
  if (entropy.length < 24) throw new LatchkeyError('claim_invalid')
  try {
    const keysAt = module.putBytes(keys)
    const plain = module.putBytes(bytes)
    const list = module.putList(context)
    const nonce = module.putBytes(entropy)
    const { at, length } = list
    module.call('lk_seal_seal', keysAt, keys.length, plain, bytes.length, at, length, nonce, module.free)
    return module.replyText()
  } finally {
    module.wipe()
  }
}

export function open(module: Module, ring: KeyRing, text: string, context: readonly string[]): Uint8Array {
  const keys = ringBytes(ring)
  if (typeof text !== 'string') throw new LatchkeyError('seal_invalid')
  try {
    const keysAt = module.putBytes(keys)
    const textAt = module.free
    const textLength = module.putText(text)
    const { at, length } = module.putList(context)
    module.call('lk_seal_open', keysAt, keys.length, textAt, textLength, at, length, module.free)
    return module.replyBytes()
  } finally {
    module.wipe()
  }
}

const principalTtlMs = 60_000

export function issuePrincipal(
  module: Module,
  ring: KeyRing,
  principal: Principal,
  { now, ttlMs = principalTtlMs }: { now: number; ttlMs?: number },
): string {
  const keys = ringBytes(ring)
  const request = 'PrincipalIssueRequest'
  try {
    module.putTime(place(request, 'now_ms') >>> 3, now)
    module.putTime(place(request, 'ttl_ms') >>> 3, ttlMs)
    module.sliceBytes(place(request, 'ring'), keys)
    module.sliceText(place(request, 'subject'), principal.subject)
    module.sliceText(place(request, 'org'), principal.org)
    module.sliceText(place(request, 'role'), principal.role)
    module.sliceText(place(request, 'device'), principal.device)
    module.u32[place(request, 'free') >>> 2] = module.free
    module.u8[place(request, 'kind')] = numberOf(kindNumbers, principal.kind)
    module.call('lk_principal_issue')
    return module.replyText()
  } finally {
    module.wipe()
  }
}

export function verifyPrincipal(
  module: Module,
  ring: KeyRing,
  token: string,
  { now }: { now: number },
): Principal {
  const keys = ringBytes(ring)
  if (token === undefined || token === null || token === '') throw new LatchkeyError('principal_missing')
  if (typeof token !== 'string') throw new LatchkeyError('principal_invalid')
  if (token.length > 4096) throw new LatchkeyError('principal_invalid')
  const reply = 'PrincipalReply'
  try {
    const keysAt = module.putBytes(keys)
    const at = module.free
    const length = module.putText(token)
    module.call('lk_principal_verify', keysAt, keys.length, at, length, now, module.free)
    const org = module.text(place(reply, 'org'))
    const role = module.text(place(reply, 'role'))
    const device = module.text(place(reply, 'device'))
    return {
      subject: module.text(place(reply, 'subject')),
      ...(org === '' ? undefined : { org }),
      ...(role === '' ? undefined : { role }),
      kind: kinds[module.u8[place(reply, 'kind')]!]!,
      ...(device === '' ? undefined : { device }),
    }
  } finally {
    module.wipe()
  }
}

interface ScopeFacts {
  readonly subject: string
  readonly org?: string | undefined
  readonly role?: string | undefined
}

export function writeTarget(module: Module, facts: ScopeFacts): WriteTarget {
  return askTarget(module, 'lk_scope_write_target', texts(facts))
}

export function connectTarget(
  module: Module,
  facts: ScopeFacts & { requested: 'user' | 'org' },
): WriteTarget {
  return askTarget(module, 'lk_scope_connect_target', texts(facts), numberOf(scopeNumbers, facts.requested))
}

export function eraseTarget(
  module: Module,
  { subject, kind, user }: { subject: string; kind: Principal['kind']; user: string },
): WriteTarget {
  return askTarget(module, 'lk_scope_erase_target', [subject, user], numberOf(kindNumbers, kind))
}

const texts = ({ subject, org = '', role = '' }: ScopeFacts): string[] => [subject, org, role]

function askTarget(
  module: Module,
  name: string,
  texts: readonly string[],
  ...numbers: number[]
): WriteTarget {
  const reply = 'ScopeTargetReply'
  try {
    const slices: number[] = []
    for (const text of texts) {
      const at = module.free
      const length = text === '' ? 0 : module.putText(text)
      slices.push(length === 0 ? 0 : at, length)
    }
    module.call(name, ...slices, ...numbers)
    return {
      scope: scopes[module.u8[place(reply, 'scope')]!]!,
      id: module.text(place(reply, 'id')),
      rule: rules[module.u8[place(reply, 'rule')]!]!,
    }
  } finally {
    module.wipe()
  }
}

export function isLoopbackHost(module: Module, host: string): boolean {
  if (typeof host !== 'string') return false
  return askFlag(module, () => {
    const at = module.free
    const length = host === '' ? 0 : module.putText(host)
    module.call('lk_guard_is_loopback_host', length === 0 ? 0 : at, length)
  })
}

export function mayGoTo(
  module: Module,
  url: string,
  { dev, from, hop = 0 }: { dev: boolean; from?: string; hop?: number },
): boolean {
  // Nowhere is not the absence of a hop before.
  if (typeof url !== 'string' || from === '') return false
  return askFlag(module, () => {
    const at = module.free
    const length = url === '' ? 0 : module.putText(url)
    const fromAt = module.free
    const fromLength = from === undefined ? 0 : module.putText(from)
    const begin = fromLength === 0 ? 0 : fromAt
    module.call(
      'lk_guard_outbound',
      length === 0 ? 0 : at,
      length,
      begin,
      fromLength,
      hop,
      dev === true ? 1 : 0,
    )
  })
}

// A question that what cannot even be asked answers with no.
function askFlag(module: Module, ask: () => void): boolean {
  try {
    ask()
    return module.replyFlag()
  } catch (error) {
    if (error instanceof LatchkeyError) return false
    throw error
  } finally {
    module.wipe()
  }
}

export function guardRequest(module: Module, facts: RequestFacts): RequestVerdict {
  const request = 'GuardRequestRequest'
  const reply = 'GuardRequestReply'
  try {
    module.sliceText(place(request, 'method'), facts.method)
    module.sliceText(place(request, 'host'), facts.host)
    module.sliceText(place(request, 'origin'), facts.origin)
    module.sliceText(place(request, 'sec_fetch_site'), facts.secFetchSite)
    module.sliceText(place(request, 'content_type'), facts.contentType)
    module.sliceText(place(request, 'own_origin'), facts.ownOrigin)
    module.u8[place(request, 'media_type')] = numberOf(mediaTypes, facts.mediaType)
    module.u8[place(request, 'proxied')] = facts.proxied ? 1 : 0
    module.u8[place(request, 'open')] = facts.open === true ? 1 : 0
    module.call('lk_guard_request')
    if (module.u8[place(reply, 'ok')] === 1) return { ok: true }
    const status = module.u16[place(reply, 'status') >>> 1]!
    return { ok: false, status, code: errorCode(module.u8[place(reply, 'code')]!) }
  } finally {
    module.wipe()
  }
}
