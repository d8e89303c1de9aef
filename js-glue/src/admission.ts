import { abi } from './abi.gen.ts'
import type {
  Admission,
  AdmissionCandidate,
  AdmissionPlan,
  MessageRecords,
  MessageReport,
} from './admission-types.ts'
import { LatchkeyError } from './errors.ts'
import { type Module, place } from './module.ts'

const { enums, layouts } = abi
const request = 'AdmissionRequest'
const reply = 'AdmissionReply'
const flagAt = place('FlagReply', 'flag')
type RequestField = keyof (typeof layouts)[typeof request]['fields']
type ReplyField = keyof (typeof layouts)[typeof reply]['fields']

const to = (field: RequestField): number => place(request, field)

/** The number of a name; throws for anything else. */
function numberIn(names: readonly (string | null)[], name: unknown): number {
  const number = typeof name === 'string' ? names.indexOf(name) : -1
  if (number < 0) throw new LatchkeyError('claim_invalid')
  return number
}

/** A copy that nothing outside can change any more. */
function list(names: unknown): string[] {
  if (!Array.isArray(names)) throw new TypeError('latchkey: expected an array')
  return [...(names as string[])]
}

function putNames(module: Module, slice: number, names: readonly string[]): void {
  if (names.length === 0) return
  const { at, length } = module.putList(names)
  module.putSlice(slice, at, length)
}

function putRecords(module: Module, session: Uint8Array, message: Uint8Array): void {
  module.sliceBytes(to('session'), session)
  module.sliceBytes(to('message'), message)
}

/** Runs one verb on what `put` leaves in the arena; whatever becomes of it, nothing of it stays there. */
function ask(module: Module, verb: 'plan' | 'drain' | 'settle', now: number, put: () => void): AdmissionPlan {
  try {
    put()
    module.putTime(to('now_ms') >>> 3, now)
    module.u32[to('free') >>> 2] = module.free
    module.call(`lk_admission_${verb}`)
    return readPlan(module)
  } finally {
    module.wipe()
  }
}

function readPlan(module: Module): AdmissionPlan {
  const byte = (field: ReplyField): number => module.u8[place(reply, field)]!
  const number = (field: ReplyField): number => module.f64[place(reply, field) >>> 3]!
  const act = enums.admissionAct[byte('act')]
  const at = number('at_ms') === 0 ? null : number('at_ms')
  if (act === 'nothing') return { act, at }
  const records: MessageRecords = {
    session: module.bytes(place(reply, 'session')),
    message: module.bytes(place(reply, 'message')),
    version: number('version'),
    admitted: number('admitted'),
    open: byte('open'),
    stage: enums.messageStage[byte('stage')] as MessageRecords['stage'],
    credential: enums.messageCredential[byte('credential')]!,
    failure: enums.deliveryFailure[byte('failure')]!,
    number: number('number'),
    sends: byte('sends'),
  }
  if (act === 'acknowledge') return { act, ...records }
  return {
    act: 'write',
    then: enums.admissionAct[byte('then')] as 'nothing' | 'acknowledge' | 'send',
    blob: enums.admissionBlob[byte('blob')]!,
    epoch: number('epoch'),
    nextEpoch: number('next_epoch'),
    at,
    ...records,
  }
}

function plan(
  module: Module,
  candidate: AdmissionCandidate,
  session: Uint8Array | null,
  message: Uint8Array | null,
  now: number,
): AdmissionPlan {
  // All of it is read before anything is put: a member may be code of the caller's.
  const { id, turn, mode, model, composedAt } = candidate
  const texts = { id, turn, mode, model }
  const modes = list(candidate.modes)
  const models = candidate.models
  const known = models === undefined ? [] : list(models)
  const offer = numberIn(enums.offer, candidate.offer)
  return ask(module, 'plan', now, () => {
    module.putTime(to('composed_at_ms') >>> 3, composedAt === undefined ? -1 : composedAt)
    for (const name of ['id', 'turn', 'mode', 'model'] as const) module.sliceText(to(name), texts[name])
    putNames(module, to('modes'), modes)
    putNames(module, to('models'), known)
    if (session !== null) module.sliceBytes(to('session'), session)
    if (message !== null) module.sliceBytes(to('message'), message)
    module.u8[to('offer')] = offer
  })
}

function settle(
  module: Module,
  session: Uint8Array,
  message: Uint8Array,
  report: MessageReport,
  now: number,
): AdmissionPlan {
  const { outcome, failure, sends } = report as Partial<Record<'outcome' | 'failure' | 'sends', unknown>>
  const outcomeNumber = numberIn(enums.messageOutcome, outcome)
  const failed = outcome === 'undelivered'
  const failureNumber = failed ? numberIn(enums.deliveryFailure, failure) : 0
  // A byte holds no more, and others would become some number.
  if (failed && !(Number.isInteger(sends) && (sends as number) >= 0 && (sends as number) <= 0xff)) {
    throw new LatchkeyError('claim_invalid')
  }
  return ask(module, 'settle', now, () => {
    putRecords(module, session, message)
    module.u8[to('outcome')] = outcomeNumber
    module.u8[to('failure')] = failureNumber
    module.u8[to('sends')] = failed ? (sends as number) : 0
  })
}

export function makeAdmission(m: Module): Admission {
  return {
    offer(repository, token) {
      const kind = numberIn(enums.repository, repository)
      try {
        const at = m.free
        let length = 0
        try {
          length = token === undefined ? 0 : m.putText(token)
        } catch {
          // What is no text, has half a character in it or is too long to cross has no credential's form either.
          m.wipe()
          length = m.putText('\0')
        }
        m.call('lk_admission_offer', kind, length === 0 ? 0 : at, length)
        return enums.offer[m.word(flagAt)]!
      } finally {
        m.wipe()
      }
    },
    plan: (candidate, session, message, { now }) => plan(m, candidate, session, message, now),
    drain: (session, message, { now }) => ask(m, 'drain', now, () => putRecords(m, session, message)),
    settle: (session, message, report, { now }) => settle(m, session, message, report, now),
  }
}
