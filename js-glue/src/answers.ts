import { abi } from './abi.gen.ts'
import { LatchkeyError } from './errors.ts'
import { type Module, numberOf, place } from './module.ts'
import type { Doubt } from './refresh-types.ts'
import type { Account, DisconnectResult, HttpAnswer, RevocationAnswer, TokenSet } from './types.ts'

const maxBody = 64_000
const disconnectReasons = [undefined, 'unsupported', 'refused', 'unreachable'] as const
const revocationKinds = { unsupported: 1, status: 2, unreachable: 3 } as const

/** Puts an HTTP answer as the module takes one: status, content type, body. */
function putAnswer(module: Module, { status, contentType, body }: HttpAnswer): number[] {
  const type = module.free
  const typeLength = contentType === '' ? 0 : module.putText(contentType)
  const at = module.putBytes(body)
  return [status, typeLength === 0 ? 0 : type, typeLength, body.length === 0 ? 0 : at, body.length]
}

export function readExchange(
  module: Module,
  answer: HttpAnswer,
  { now, profile }: { now: number; profile: string },
): TokenSet {
  const reply = 'ExchangeReply'
  if (answer.body.length > maxBody) throw new LatchkeyError('exchange_unreadable')
  try {
    const args = putAnswer(module, answer)
    const name = module.free
    const nameLength = module.putText(profile)
    module.call('lk_exchange_read', ...args, name, nameLength, now)
    const expiresAt = module.f64[place(reply, 'expires_at_ms') >>> 3]!
    const refreshExpiresAt = module.f64[place(reply, 'refresh_expires_at_ms') >>> 3]!
    const refreshToken = module.bytes(place(reply, 'refresh_token'))
    const scope = module.text(place(reply, 'scope'))
    return {
      accessToken: module.bytes(place(reply, 'access_token')),
      ...(refreshToken.length === 0 ? undefined : { refreshToken }),
      ...(expiresAt < 0 ? undefined : { expiresAt }),
      ...(refreshExpiresAt < 0 ? undefined : { refreshExpiresAt }),
      ...(module.u8[place(reply, 'has_scope')] === 1
        ? { scopes: scope === '' ? [] : scope.split(' ') }
        : undefined),
    }
  } finally {
    module.wipe()
  }
}

export function readAccount(module: Module, answer: HttpAnswer, { profile }: { profile: string }): Account {
  if (answer.body.length > maxBody) throw new LatchkeyError('account_unreadable')
  try {
    const args = putAnswer(module, answer)
    const name = module.free
    const nameLength = module.putText(profile)
    module.call('lk_account_read', ...args, name, nameLength)
    return {
      id: module.text(place('AccountReply', 'id')),
      label: module.text(place('AccountReply', 'label')),
    }
  } finally {
    module.wipe()
  }
}

export function introspectionDoubt(module: Module, answer: HttpAnswer): Doubt {
  const body = new Uint8Array(0)
  try {
    // A body beyond the limit says nothing.
    const args = putAnswer(module, answer.body.length > maxBody ? { ...answer, body } : answer)
    module.call('lk_introspection_doubt', ...args)
    return abi.enums.doubt[module.u32[place('FlagReply', 'flag') >>> 2]!]!
  } finally {
    module.wipe()
  }
}

export function decideDisconnect(module: Module, answer: RevocationAnswer): DisconnectResult {
  const reply = 'DisconnectReply'
  const body = new Uint8Array(0)
  const none: HttpAnswer = { status: 0, contentType: '', body }
  try {
    const given = answer.kind === 'status' ? answer : none
    // A body beyond the limit says nothing; the status still does.
    const args = putAnswer(module, given.body.length > maxBody ? { ...given, body } : given)
    module.call('lk_disconnect_decide', numberOf(revocationKinds, answer.kind), ...args)
    const reason = disconnectReasons[module.u8[place(reply, 'reason')]!]
    return {
      revoked: module.u8[place(reply, 'revoked')] === 1,
      deleted: module.u8[place(reply, 'deleted')] === 1,
      ...(reason === undefined ? undefined : { reason }),
    }
  } finally {
    module.wipe()
  }
}
