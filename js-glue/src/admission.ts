import { abi } from './abi.gen.ts'
import type {
  AdmissionCandidate,
  AdmissionPlan,
  CredentialOffer,
  MessageReport,
  MessageStage,
  RepositoryKind,
} from './admission-types.ts'
import { LatchkeyError } from './errors.ts'
import { type Module, place } from './module.ts'

const { enums } = abi
const request_ = 'AdmissionPlanRequest'
const reply_ = 'AdmissionPlanReply'
const flagAt = place('FlagReply', 'flag')

type Names = readonly (string | null)[]

/** The number of a name; throws for anything else. */
function numberIn(names: Names, name: unknown): number {
  const number = typeof name === 'string' ? names.indexOf(name) : -1
  if (number < 0) throw new LatchkeyError('claim_invalid')
  return number
}

export function offer(
  module: Module,
  repository: RepositoryKind,
  token: string | null | undefined,
): CredentialOffer {
  try {
    const kind = numberIn(enums.repository, repository)
    const at = module.free
    const length = token === undefined || token === null || token === '' ? 0 : module.putText(token)
    module.call('lk_admission_offer', kind, length === 0 ? 0 : at, length)
    return enums.offer[module.word(flagAt)]!
  } finally {
    module.wipe()
  }
}

function putNames(module: Module, slice: number, names: readonly string[] = []): void {
  if (names.length === 0) return
  const { at, length } = module.putList(names)
  module.putSlice(slice, at, length)
}

export function planMessage(
  module: Module,
  candidate: AdmissionCandidate,
  session: Uint8Array | null,
  message: Uint8Array | null,
  { now }: { now: number },
): AdmissionPlan {
  try {
    module.putTime(place(request_, 'now_ms') >>> 3, now)
    module.putTime(place(request_, 'composed_at_ms') >>> 3, candidate.composedAt ?? 0)
    module.sliceText(place(request_, 'id'), candidate.id)
    module.sliceText(place(request_, 'turn'), candidate.turn)
    module.sliceText(place(request_, 'mode'), candidate.mode)
    module.sliceText(place(request_, 'model'), candidate.model)
    putNames(module, place(request_, 'modes'), candidate.modes)
    putNames(module, place(request_, 'models'), candidate.models)
    if (session !== null) module.sliceBytes(place(request_, 'session'), session)
    if (message !== null) module.sliceBytes(place(request_, 'message'), message)
    module.u8[place(request_, 'offer')] = numberIn(enums.offer, candidate.offer)
    module.u32[place(request_, 'free') >>> 2] = module.free
    module.call('lk_admission_plan')
    return readPlan(module)
  } finally {
    module.wipe()
  }
}

export function drainMessage(
  module: Module,
  session: Uint8Array,
  message: Uint8Array,
  { now }: { now: number },
): AdmissionPlan {
  try {
    const [sessionAt, messageAt] = [module.putBytes(session), module.putBytes(message)]
    module.call('lk_admission_drain', sessionAt, session.length, messageAt, message.length, now, module.free)
    return readPlan(module)
  } finally {
    module.wipe()
  }
}

export function settleMessage(
  module: Module,
  session: Uint8Array,
  message: Uint8Array,
  report: MessageReport,
  { now }: { now: number },
): AdmissionPlan {
  try {
    const [sessionAt, messageAt] = [module.putBytes(session), module.putBytes(message)]
    const failed = report.outcome === 'undelivered'
    module.call(
      'lk_admission_settle',
      sessionAt,
      session.length,
      messageAt,
      message.length,
      numberIn(enums.admissionOutcome, report.outcome),
      failed ? numberIn(enums.failure, report.failure) : 0,
      failed ? report.sends : 0,
      now,
      module.free,
    )
    return readPlan(module)
  } finally {
    module.wipe()
  }
}

type ByteField = 'act' | 'then' | 'blob' | 'stage' | 'credential' | 'sends'
type NumberField = 'epoch' | 'next_epoch' | 'at_ms' | 'number'

function readPlan(module: Module): AdmissionPlan {
  const byte = (field: ByteField): number => module.u8[place(reply_, field)]!
  const number = (field: NumberField): number => module.f64[place(reply_, field) >>> 3]!
  const act = enums.admissionAct[byte('act')]
  const at = number('at_ms') === 0 ? null : number('at_ms')
  if (act === 'nothing') return { act, at }
  const records = {
    session: module.bytes(place(reply_, 'session')),
    message: module.bytes(place(reply_, 'message')),
    stage: enums.stage[byte('stage')]! as MessageStage,
    credential: enums.credential[byte('credential')]!,
    number: number('number'),
    sends: byte('sends'),
  }
  if (act === 'acknowledge') return { act, ...records }
  return {
    act: 'write',
    then: enums.admissionAct[byte('then')]! as 'nothing' | 'acknowledge' | 'send',
    blob: enums.admissionBlob[byte('blob')]!,
    epoch: number('epoch'),
    nextEpoch: number('next_epoch'),
    at,
    ...records,
  }
}
