import { abi } from './abi.gen.ts'
import { LatchkeyError } from './errors.ts'
import { type Module, place } from './module.ts'
import type {
  Contract,
  Generation,
  Policy,
  RefreshEffect,
  RefreshEvent,
  RefreshStep,
  RowCondition,
  RowDescription,
  TokenFacts,
  Traits,
} from './refresh-types.ts'

type SettingsField = keyof (typeof abi.layouts.RefreshSettings)['fields']

const { enums, refreshDefaults, layouts } = abi
const settingsSize = layouts.RefreshSettings.size
const effectSize = layouts.RefreshEffect.size
const effectFields = layouts.RefreshEffect.fields
const maxCount = 2 ** 53 - 1
const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const noId = 'A'.repeat(22)

const policyFields: readonly (readonly [keyof Policy, SettingsField])[] = [
  ['windowMs', 'window_ms'],
  ['jitterMs', 'jitter_ms'],
  ['timeOutMs', 'time_out_ms'],
  ['leaseMs', 'lease_ms'],
  ['patienceMs', 'patience_ms'],
  ['pollMs', 'poll_ms'],
  ['backOffMs', 'back_off_ms'],
  ['maxBackOffMs', 'max_back_off_ms'],
  ['restMs', 'rest_ms'],
  ['maxSends', 'max_sends'],
  ['maxProbes', 'max_probes'],
  ['maxTries', 'max_tries'],
  ['proactive', 'proactive'],
]
const traitsFields: readonly (readonly [keyof Traits, SettingsField])[] = [
  ['rotation', 'rotation'],
  ['afterGrace', 'after_grace'],
  ['revocation', 'revocation'],
  ['oldAccessDies', 'old_access_dies'],
  ['revocationNeedsLive', 'revocation_needs_live'],
  ['graceMs', 'grace_ms'],
  ['accessLifetimeMs', 'access_lifetime_ms'],
  ['maxAccessLifetimeMs', 'max_access_lifetime_ms'],
  ['refreshIdleMs', 'refresh_idle_ms'],
  ['refreshAbsoluteMs', 'refresh_absolute_ms'],
  ['timeOutMs', 'provider_time_out_ms'],
  ['lagMs', 'lag_ms'],
]

type Names = readonly (string | null)[]

/** The number of a name; throws for anything else, so that a slip of the pen is never another value. */
function numberIn(
  names: Names,
  name: unknown,
  code: 'claim_invalid' | 'config_invalid' = 'claim_invalid',
): number {
  const number = typeof name === 'string' ? names.indexOf(name) : -1
  if (number < 0) throw new LatchkeyError(code)
  return number
}

function nameIn<N extends Names>(names: N, number: number): Exclude<N[number], null> {
  const name = names[number]
  if (name === undefined || name === null) throw new RangeError('the module returned a number without a name')
  return name as Exclude<N[number], null>
}

// Settings ---------------------------------------------------------------------------------------

const enumsOfTraits: Partial<Record<SettingsField, Names>> = {
  rotation: enums.rotation,
  after_grace: enums.rotation,
  revocation: enums.revocation,
}
const flagFields: ReadonlySet<SettingsField> = new Set([
  'proactive',
  'old_access_dies',
  'revocation_needs_live',
])

/** Settings that nobody can change any more are laid out once. */
const laidOut = new WeakMap<Policy, WeakMap<Traits, Uint8Array>>()

function settingsOf(policy: Policy, traits: Traits): Uint8Array {
  const known = laidOut.get(policy)?.get(traits)
  if (known !== undefined) return known
  const bytes = new Uint8Array(settingsSize)
  const view = new DataView(bytes.buffer)
  for (const [name, field] of policyFields) putSetting(view, field, policy[name])
  for (const [name, field] of traitsFields) putSetting(view, field, traits[name])
  if (Object.isFrozen(policy) && Object.isFrozen(traits)) {
    const ofPolicy = laidOut.get(policy) ?? new WeakMap<Traits, Uint8Array>()
    laidOut.set(policy, ofPolicy.set(traits, bytes))
  }
  return bytes
}

function putSetting(
  view: DataView,
  field: SettingsField,
  value: string | number | boolean | undefined,
): void {
  const [type, at] = layouts.RefreshSettings.fields[field]
  const given = value === undefined ? refreshDefaults[field] : settingNumber(field, value)
  if (type === 'f64') return view.setFloat64(at, given, true)
  if (!Number.isInteger(given) || given < 0 || given > 0xff) throw new LatchkeyError('config_invalid')
  view.setUint8(at, given)
}

function settingNumber(field: SettingsField, value: string | number | boolean): number {
  const names = enumsOfTraits[field]
  if (names !== undefined) return numberIn(names, value, 'config_invalid')
  if (typeof value !== (flagFields.has(field) ? 'boolean' : 'number'))
    throw new LatchkeyError('config_invalid')
  return Number(value)
}

export function admit(module: Module, contract: Contract, policy: Policy, traits: Traits | undefined): void {
  const request = 'RefreshAdmitRequest'
  const { minTtlMs, maxValue } = contract
  try {
    module.putTime(place(request, 'min_ttl_ms') >>> 3, minTtlMs)
    module.sliceBytes(place(request, 'settings'), settingsOf(policy, traits ?? {}))
    module.u32[place(request, 'max_value') >>> 2] =
      typeof maxValue === 'number' ? Math.min(Math.max(maxValue, 0), 0xffff_ffff) : 0
    // What is not exactly true is not promised, and what is not exactly false is feared.
    module.u8[place(request, 'cas')] = contract.cas === true ? 1 : 0
    module.u8[place(request, 'strong_read')] = contract.strongRead === true ? 1 : 0
    module.u8[place(request, 'negative_cache')] = contract.negativeCache === false ? 0 : 1
    module.u8[place(request, 'has_traits')] = traits === undefined ? 0 : 1
    module.call('lk_refresh_admit')
  } finally {
    module.wipe()
  }
}

// Lineages ---------------------------------------------------------------------------------------

function readId(module: Module, at: number): string {
  const { u8 } = module
  let text = ''
  for (let i = at; i < at + 15; i += 3) {
    const bits = (u8[i]! << 16) | (u8[i + 1]! << 8) | u8[i + 2]!
    text +=
      digits[bits >>> 18]! + digits[(bits >>> 12) & 63]! + digits[(bits >>> 6) & 63]! + digits[bits & 63]!
  }
  const last = u8[at + 15]!
  return text + digits[last >>> 2]! + digits[(last & 3) << 4]!
}

/** Writes the 16 bytes of a lineage; each has one spelling. */
function putId(module: Module, at: number, id: string): void {
  if (typeof id !== 'string' || id.length !== 22) throw new LatchkeyError('claim_invalid')
  let bits = 0
  let held = 0
  let to = at
  for (let i = 0; i < 22; i++) {
    const digit = digits.indexOf(id[i]!)
    if (digit < 0) throw new LatchkeyError('claim_invalid')
    bits = (bits << 6) | digit
    held += 6
    if (held >= 8) {
      held -= 8
      module.u8[to++] = bits >>> held
      bits &= (1 << held) - 1
    }
  }
  if (bits !== 0) throw new LatchkeyError('claim_invalid')
}

// A step -----------------------------------------------------------------------------------------

const step_ = 'RefreshStepRequest'
const at_ = {
  now: place(step_, 'now_ms') >>> 3,
  minValidity: place(step_, 'min_validity_ms') >>> 3,
  at: place(step_, 'at_ms') >>> 3,
  version: place(step_, 'version') >>> 3,
  retryAfter: place(step_, 'retry_after_ms') >>> 3,
  lifetime: place(step_, 'lifetime_ms') >>> 3,
  refreshLifetime: place(step_, 'refresh_lifetime_ms') >>> 3,
  entropy: place(step_, 'entropy_low'),
  id: place(step_, 'id'),
  row: place(step_, 'row') >>> 2,
  flow: place(step_, 'flow') >>> 2,
  settings: place(step_, 'settings') >>> 2,
  free: place(step_, 'free') >>> 2,
  kind: place(step_, 'kind'),
  seen: place(step_, 'seen'),
  task: place(step_, 'task'),
  cause: place(step_, 'cause'),
  replyKind: place(step_, 'reply_kind'),
  doubt: place(step_, 'doubt'),
  hasRefresh: place(step_, 'has_refresh'),
  refreshSame: place(step_, 'refresh_same'),
  hasScope: place(step_, 'has_scope'),
  revoked: place(step_, 'revoked'),
} as const
const reply_ = {
  epoch: place('RefreshStepReply', 'epoch') >>> 3,
  effects: place('RefreshStepReply', 'effects'),
  row: place('RefreshStepReply', 'row'),
  flow: place('RefreshStepReply', 'flow'),
} as const
const notUnderstood = enums.replyClass.indexOf('not_understood')
const unreachable = enums.revoked.indexOf('unreachable')

/** Puts bytes and where they are; empty ones are there too, unlike absent ones. */
function putPart(module: Module, word: number, bytes: Uint8Array | null): void {
  if (bytes === null) return
  module.u32[word] = module.putBytes(bytes)
  module.u32[word + 1] = bytes.length
}

function putEntropy(module: Module, entropy: Uint8Array): void {
  if (!(entropy instanceof Uint8Array) || entropy.length < 8) throw new LatchkeyError('claim_invalid')
  for (let i = 0; i < 8; i++) module.u8[at_.entropy + i] = entropy[i]!
}

function putTokens(module: Module, tokens: TokenFacts): void {
  module.f64[at_.lifetime] = said(tokens.lifetimeMs)
  module.f64[at_.refreshLifetime] = said(tokens.refreshLifetimeMs)
  module.u8[at_.hasRefresh] = tokens.hasRefresh ? 1 : 0
  module.u8[at_.refreshSame] = tokens.refreshSame ? 1 : 0
  module.u8[at_.hasScope] = tokens.hasScope ? 1 : 0
}

/** What an answer says about a time: the module takes an odd one as nothing. */
function said(ms: number | undefined): number {
  if (ms === undefined) return 0
  if (typeof ms !== 'number') throw new LatchkeyError('time_invalid')
  return ms
}

function putGeneration(module: Module, { id, version }: Generation): void {
  if (!Number.isInteger(version) || version < 0 || version > maxCount)
    throw new LatchkeyError('claim_invalid')
  module.f64[at_.version] = version
  putId(module, at_.id, id)
}

function putEvent(module: Module, event: RefreshEvent): void {
  const { u8 } = module
  u8[at_.kind] = numberIn(enums.event, event.kind)
  u8[at_.replyKind] = notUnderstood
  u8[at_.revoked] = unreachable
  if ('seen' in event && event.seen !== undefined) u8[at_.seen] = numberIn(enums.seen, event.seen)
  switch (event.kind) {
    case 'reply':
      u8[at_.replyKind] = numberIn(enums.replyClass, event.class)
      u8[at_.doubt] = numberIn(enums.doubt, event.doubt)
      module.f64[at_.retryAfter] = said(event.retryAfterMs)
      putEntropy(module, event.entropy)
      if (event.tokens !== undefined) putTokens(module, event.tokens)
      return
    case 'revocation':
      u8[at_.revoked] = numberIn(enums.revoked, event.revoked)
      return
    case 'begin':
      break
    case 'stored':
    case 'lost':
    case 'store_failed':
    case 'store_unknown':
    case 'row_read':
      return
  }
  u8[at_.task] = numberIn(enums.task, event.task)
  putEntropy(module, event.entropy)
  switch (event.task) {
    case 'fetch':
      if (event.minValidityMs !== undefined) module.putTime(at_.minValidity, event.minValidityMs)
      return
    case 'rotate':
    case 'report_rejected':
      return putGeneration(module, event.generation)
    case 'login':
      putId(module, at_.id, event.id)
      putTokens(module, event.tokens)
      module.putTime(at_.at, event.at)
      return
    case 'revoke':
      u8[at_.cause] = numberIn(enums.cause, event.cause)
      if (event.at !== undefined) module.putTime(at_.at, event.at)
      if (event.id !== undefined) putId(module, at_.id, event.id)
      return
    case 'disconnect':
    case 'erase':
      if (event.id !== undefined) putId(module, at_.id, event.id)
      return
    case 'alarm':
      return
  }
}

export function step(
  module: Module,
  row: Uint8Array | null,
  flow: Uint8Array | null,
  event: RefreshEvent,
  { now, traits, policy }: { now: number; traits: Traits; policy: Policy },
): RefreshStep {
  try {
    const settings = settingsOf(policy, traits)
    module.putTime(at_.now, now)
    putPart(module, at_.row, row)
    putPart(module, at_.flow, flow)
    putPart(module, at_.settings, settings)
    putEvent(module, event)
    module.u32[at_.free] = module.free
    module.call('lk_refresh_step')
    const effects: RefreshEffect[] = []
    const end = module.word(reply_.effects) + module.word(reply_.effects + 4)
    let writes = false
    for (let at = module.word(reply_.effects); at < end; at += effectSize) {
      const effect = readEffect(module, at)
      writes ||= effect.kind === 'persist'
      effects.push(effect)
    }
    const written = module.word(reply_.row) === 0 ? null : module.bytes(reply_.row)
    return { row: writes ? written : row, flow: module.bytes(reply_.flow), effects }
  } finally {
    module.wipe()
  }
}

type EffectField = keyof typeof effectFields

function readEffect(module: Module, base: number): RefreshEffect {
  const byte = (field: EffectField): number => module.u8[base + effectFields[field][1]]!
  const number = (field: EffectField): number => module.f64[(base + effectFields[field][1]) >>> 3]!
  const flag = (field: EffectField): boolean => byte(field) === 1
  const generation = (): Generation => ({
    id: readId(module, base + effectFields.id[1]),
    version: number('version'),
  })
  const at = number('at_ms')
  const kind = nameIn(enums.effect, byte('kind'))
  switch (kind) {
    case 'serve':
      return {
        kind,
        token: nameIn(enums.which, byte('token')),
        source: nameIn(enums.source, byte('source')),
        generation: generation(),
        at: at < 0 ? null : at,
        standsUntil: number('stands_until_ms'),
        persistFailed: flag('persist_failed'),
      }
    case 'refuse':
      return {
        kind,
        outcome: nameIn(enums.outcome, byte('outcome')),
        cause: nameIn(enums.cause, byte('cause')),
        at,
      }
    case 'done':
      return {
        kind,
        receipt: {
          revoked: flag('revoked'),
          deleted: flag('deleted'),
          reason: nameIn(enums.reason, byte('reason')),
        },
      }
    case 'notify':
      return {
        kind,
        news: nameIn(enums.news, byte('news')),
        cause: nameIn(enums.cause, byte('cause')),
        generation: generation(),
      }
    case 'persist':
      return {
        kind,
        condition: condition(module, base),
        blobs: nameIn(enums.blobs, byte('blobs')),
        keepScopes: flag('keep_scopes'),
        generation: generation(),
        epoch: module.f64[reply_.epoch]!,
      }
    case 'send':
      return { kind, at, probe: flag('probe') }
    case 'revoke_at_provider':
      return { kind, token: nameIn(enums.which, byte('token')), at }
    case 'arm':
    case 'wait':
      return { kind, at }
  }
}

function condition(module: Module, base: number): RowCondition {
  if (module.u8[base + effectFields.corrupt[1]] === 1) return { is: 'corrupt' }
  const id = readId(module, base + effectFields.condition_id[1])
  if (id === noId) return { is: 'absent' }
  return {
    is: 'row',
    id,
    version: module.f64[(base + effectFields.condition_version[1]) >>> 3]!,
    epoch: module.f64[(base + effectFields.condition_epoch[1]) >>> 3]!,
  }
}

export function describe(module: Module, row: Uint8Array, now: number): RowDescription {
  const reply = 'RefreshRowReply'
  type Field = keyof (typeof abi.layouts.RefreshRowReply)['fields']
  const byte = (field: Field): number => module.u8[place(reply, field)]!
  const number = (field: Field): number => module.f64[place(reply, field) >>> 3]!
  const time = (field: Field): number | null => (number(field) < 0 ? null : number(field))
  try {
    const at = module.putBytes(row)
    module.call('lk_refresh_describe', at, row.length, now)
    return {
      id: readId(module, place(reply, 'id')),
      version: number('version'),
      epoch: number('epoch'),
      status: nameIn(enums.status, byte('status')) as RowDescription['status'],
      standing: nameIn(enums.standing, byte('standing')),
      cause: nameIn(enums.cause, byte('cause')),
      loginAt: number('login_at_ms'),
      obtainedAt: number('obtained_at_ms'),
      accessExpiresAt: time('access_expires_at_ms'),
      refreshExpiresAt: time('refresh_expires_at_ms'),
      endedAt: time('ended_at_ms'),
      endsAt: time('ends_at_ms'),
      leasedUntil: time('leased_until_ms'),
      nextAttemptAt: time('next_attempt_at_ms'),
      failures: byte('failures'),
      doubt: nameIn(enums.doubt, byte('doubt')),
      hasRefresh: byte('has_refresh') === 1,
      rejected: byte('rejected') === 1,
      held: byte('held') === 1,
    }
  } finally {
    module.wipe()
  }
}
