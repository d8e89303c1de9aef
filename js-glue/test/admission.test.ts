// A session's messages against a slow model written from the documents, and what crosses on the way.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { abi } from '../src/abi.gen.ts'
import type {
  AdmissionCandidate,
  AdmissionPlan,
  DeliveryFailure,
  MessageReport,
  RepositoryKind,
} from '../src/admission-types.ts'
import { LatchkeyError } from '../src/errors.ts'
import { openLatchkey, refusal, residue } from './support.ts'

const edge = openLatchkey()
const { admission } = edge.api
const header = readFileSync(new URL('../../include/latchkey/admission.hpp', import.meta.url), 'utf8')
const now = 1_767_225_600_000
const candidate: AdmissionCandidate = {
  id: 'm-1',
  turn: 'do it',
  mode: 'code',
  model: 'a/one',
  modes: ['code', 'plan'],
  offer: 'credential',
}
const planned = (changes: object) =>
  admission.plan({ ...candidate, ...changes } as AdmissionCandidate, null, null, { now })
const refused = (changes: object): string | undefined => {
  const code = refusal(() => planned(changes))
  assert.deepEqual(residue(edge), [])
  return code
}

describe('what crosses', () => {
  it('the names are the enumerators of the core, each at its number', () => {
    const { enums } = abi
    const names = {
      Repository: enums.repository,
      Offer: enums.offer,
      Act: enums.admissionAct,
      Blob: enums.admissionBlob,
      Stage: enums.messageStage,
      Credential: enums.messageCredential,
      Failure: enums.deliveryFailure,
      Outcome: enums.messageOutcome,
    }
    for (const [type, list] of Object.entries(names)) {
      const [, body] = header.match(new RegExp(`enum class ${type} : std::uint8_t \\{([^}]*)\\}`))!
      const written = [...body!.matchAll(/(\w+) = (\d+)/g)].map(([, name, number]) => [name, Number(number)])
      const known = list.flatMap((name, number) => (name === null ? [] : [[name, number]]))
      assert.deepEqual(known, written, type)
    }
    assert.deepEqual(Object.keys(ladders), enums.deliveryFailure.slice(1))
  })

  it('lists of modes and models come as they are: up to 32 names of any text, in any order', () => {
    const names = Array.from({ length: 32 }, (_, i) => `${'é'.repeat(i)}${i}`)
    for (const mode of names) assert.equal(planned({ modes: names, mode }).act, 'write')
    for (const model of names) assert.equal(planned({ models: names, model }).act, 'write')
    assert.equal(planned({ modes: ['', 'code', ''], models: undefined }).act, 'write')
    assert.equal(refused({ modes: [...names, 'code'] }), 'slice_invalid')
    assert.equal(refused({ models: [...names, 'a/one'] }), 'slice_invalid')
    assert.equal(refused({ modes: [] }), 'mode_invalid')
    assert.equal(refused({ modes: ['cod', 'code '] }), 'mode_invalid')
    assert.equal(refused({ models: ['a/on', 'a/one '] }), 'model_invalid')
    assert.equal(refused({ modes: ['code', '\ud800'] }), 'utf8_invalid')
    const others = [undefined, null, 'code', new Set(['code']), { 0: 'code', length: 1 }, ['code', 5], [null]]
    for (const modes of others) assert.throws(() => planned({ modes }), TypeError)
    for (const models of others.slice(1)) assert.throws(() => planned({ models }), TypeError)
    assert.deepEqual(residue(edge), [])
  })

  it('a moment is one or is not said', () => {
    assert.equal(planned({ composedAt: undefined }).act, 'write')
    assert.equal(planned({ composedAt: 1 }).act, 'write')
    assert.equal(planned({ composedAt: now + 60_000 }).act, 'write')
    assert.equal(refused({ composedAt: now + 60_001 }), 'claim_invalid')
    for (const composedAt of [null, 0, -1.5, -2, 0.5, NaN, Infinity, 8.64e15 + 1, '5', [], new Date(now)])
      assert.equal(refused({ composedAt }), 'time_invalid', String(composedAt))
  })

  it('T54: what is no text, or cannot cross, is no credential, and none where a connection has it', () => {
    const odd: unknown[] = [
      null,
      5,
      true,
      {},
      [],
      '\ud800',
      'x\udfff',
      'x'.repeat(200_000),
      'é'.repeat(9_000),
    ]
    for (const token of odd) {
      assert.equal(admission.offer('generic_git', token as string), 'malformed')
      for (const kind of ['github', 'gitlab'] as const)
        assert.equal(admission.offer(kind, token as string), 'none')
      assert.deepEqual(residue(edge), [])
    }
    assert.equal(admission.offer('generic_git', 'x'.repeat(8_192)), 'credential')
    for (const kind of ['git', '', 'constructor', 0, 1, null])
      assert.equal(
        refusal(() => admission.offer(kind as RepositoryKind, 'x')),
        'claim_invalid',
      )
  })

  it('members are read once, before anything else is done', () => {
    const read: string[] = []
    const watched = new Proxy(candidate, {
      get(target, name, receiver) {
        read.push(String(name))
        assert.deepEqual(residue(edge), [])
        // A whole other question in the middle of this one.
        planned({ turn: 'another' })
        return Reflect.get(target, name, receiver) as unknown
      },
    })
    assert.deepEqual(admission.plan(watched, null, null, { now }), planned({}))
    const modes = ['code']
    Object.defineProperty(modes, 0, { get: () => (planned({ turn: 'another' }), 'code') })
    assert.deepEqual(planned({ modes }), planned({ modes: ['code'] }))
    assert.equal(new Set(read).size, read.length)
  })

  it('reports are whole', () => {
    const { session, message } = planned({}) as Extract<AdmissionPlan, { act: 'write' }>
    const settle = (report: object) => () =>
      admission.settle(session, message, report as MessageReport, { now })
    for (const report of [
      {},
      { outcome: 'lost' },
      { outcome: null },
      { outcome: 'undelivered' },
      { outcome: 'undelivered', failure: 'tired', sends: 1 },
      { outcome: 'undelivered', failure: 'permanent' },
      ...[null, '1', -1, 1.5, 256, NaN].map((sends) => ({
        outcome: 'undelivered',
        failure: 'permanent',
        sends,
      })),
    ])
      assert.equal(refusal(settle(report)), 'claim_invalid', JSON.stringify(report))
  })
})

// The model: sets and lists, nothing packed, every rule in the words of admission.hpp.

const ladders: Readonly<
  Record<DeliveryFailure | 'none', readonly [waits: readonly number[], anew: boolean]>
> = Object.assign(Object.create(null), {
  interrupted: [[2], false],
  starting: [[5], false],
  unreachable: [[10, 30, 60], false],
  setup_failed: [[15, 45], false],
  rate_limited: [[120], true],
  overloaded: [[30, 60, 120], true],
  permanent: [[], false],
})

interface Message {
  intent: string
  stage: string
  credential: string
  marked: boolean
  markedAt: number
  due: number
  number: number
  sends: number
  settled: number
  attempts: number
  failure: string
}
class Model {
  readonly messages = new Map<string, Message>()
  version = 0
  admitted = 0
  composedAt = 0

  get open(): number {
    return [...this.messages.values()].filter(({ stage }) => stage === 'marked' || stage === 'queued').length
  }

  /** One step; what it is called, or the refusal. */
  attempt(c: AdmissionCandidate, time: number): string {
    if ((c.composedAt ?? 0) > time + 60_000) return 'claim_invalid'
    const intent = JSON.stringify([c.turn, c.mode, c.model])
    const m = this.messages.get(c.id)
    if (m && (m.stage === 'done' || m.stage === 'failed') && !m.marked) return 'message_ended'
    if (m && m.intent !== intent) return 'message_conflict'
    if (m?.stage === 'marked') return this.#admit(m, time)
    if (m && m.stage !== 'lapsed') {
      if (!m.marked) return 'told'
      m.marked = false
      return 'unmark'
    }
    if (c.turn.trim() === '') return 'turn_invalid'
    if (!c.modes.includes(c.mode)) return 'mode_invalid'
    if (c.offer === 'malformed') return 'credential_invalid'
    if (this.open >= 10) return 'queue_full'
    if (m) return this.#admit(m, time)
    const fresh: Message = {
      intent,
      stage: 'absent',
      credential: 'none',
      marked: false,
      markedAt: 0,
      due: 0,
      number: 0,
      sends: 0,
      settled: 0,
      attempts: 0,
      failure: 'none',
    }
    this.messages.set(c.id, fresh)
    if (c.offer === 'none') return this.#admit(fresh, time)
    if (c.composedAt !== undefined && c.composedAt < this.composedAt) {
      fresh.credential = 'superseded'
      return this.#admit(fresh, time)
    }
    this.version += 1
    this.composedAt = Math.max(this.composedAt, c.composedAt ?? time)
    Object.assign(fresh, { stage: 'marked', marked: true, markedAt: time, credential: 'stored' })
    return 'mark'
  }

  #admit(m: Message, time: number): string {
    this.admitted += 1
    Object.assign(m, { stage: 'queued', number: this.admitted, due: time + 1_000 })
    return 'admit'
  }

  drain(id: string, time: number): string {
    const m = this.messages.get(id)!
    if (m.stage === 'marked') {
      const left = m.markedAt + 900_000 - time
      if (left > 0 && left <= 1_800_000) return 'wait'
      Object.assign(m, { stage: 'lapsed', marked: false })
      return 'lapse'
    }
    if (m.stage !== 'queued') return 'wait'
    const left = m.due - time
    if (left > 0 && left <= 240_000) return 'wait'
    if (m.sends >= 20) {
      m.stage = 'failed'
      return 'end'
    }
    m.sends += 1
    m.due = time + 60_000
    return 'send'
  }

  settle(id: string, report: MessageReport, time: number): string {
    const m = this.messages.get(id)!
    if (m.stage !== 'queued' && m.stage !== 'sent') return 'told'
    if (report.outcome === 'undelivered') {
      if (m.stage === 'sent' || report.sends !== m.sends || m.settled >= m.sends) return 'told'
      const [waits, anew] = ladders[report.failure]
      const before = m.failure === 'none' ? false : ladders[m.failure as DeliveryFailure][1]
      const attempts = anew && !before ? 0 : m.attempts
      const wait = waits[attempts]
      Object.assign(m, { failure: report.failure, settled: m.sends, attempts: attempts + 1 })
      if (wait === undefined) {
        m.stage = 'failed'
        return 'end'
      }
      m.due = time + wait * 1_000
      return 'later'
    }
    if (report.outcome === 'accepted') {
      if (m.stage === 'sent') return 'told'
      m.stage = 'sent'
      return 'sent'
    }
    m.stage = report.outcome === 'completed' ? 'done' : 'failed'
    return 'end'
  }
}

/** What each step of the model is in a plan. */
const steps: Readonly<Record<string, readonly [act: string, then: string, blob: string]>> = {
  mark: ['write', 'nothing', 'credential'],
  unmark: ['write', 'acknowledge', 'keep'],
  lapse: ['write', 'nothing', 'keep'],
  send: ['write', 'send', 'keep'],
  later: ['write', 'acknowledge', 'keep'],
  sent: ['write', 'acknowledge', 'keep'],
}

type Command =
  | { readonly do: 'attempt'; readonly id: number; readonly writes: number; readonly changes: object }
  | { readonly do: 'drain'; readonly id: number }
  | { readonly do: 'settle'; readonly id: number; readonly report: MessageReport; readonly last: boolean }
  | { readonly do: 'wait'; readonly ms: number }

const id = fc.nat(15)
const failure = fc.constantFrom(...(abi.enums.deliveryFailure.slice(1) as DeliveryFailure[]))
const report: fc.Arbitrary<MessageReport> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ outcome: fc.constantFrom('accepted', 'completed', 'aborted') }) },
  { weight: 3, arbitrary: fc.record({ outcome: fc.constant('undelivered'), failure, sends: fc.nat(3) }) },
)
const odd = fc.record(
  {
    turn: fc.constantFrom('do it', 'do it', 'something else', ' '),
    mode: fc.constantFrom('code', 'code', 'plan', 'Code'),
    offer: fc.constantFrom('none', 'credential', 'credential', 'malformed'),
    composedAt: fc.integer({ min: -200_000, max: 100_000 }),
  },
  { requiredKeys: [] },
)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('attempt'),
      id,
      writes: fc.integer({ min: 1, max: 4 }),
      changes: odd,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('drain'), id }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle'), id, report, last: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait'),
      ms: fc.constantFrom(500, 1_000, 10_000, 61_000, 130_000, 900_000),
    }),
  },
)

/** The engine over a store that is two variables. */
class Engine {
  session: Uint8Array | null = null
  readonly messages = new Map<string, Uint8Array>()

  take(name: string, plan: AdmissionPlan): AdmissionPlan {
    if (plan.act !== 'write') return plan
    this.session = plan.session
    this.messages.set(name, plan.message)
    return plan
  }
}

it('agrees with the model, whatever happens in which order', (context) => {
  const seen = new Map<string, number>()
  const world = (commands: readonly Command[]): void => {
    const model = new Model()
    const engine = new Engine()
    let time = now
    const check = (name: string, step: string, ask: () => AdmissionPlan): void => {
      seen.set(step, (seen.get(step) ?? 0) + 1)
      let plan: AdmissionPlan
      try {
        plan = engine.take(name, ask())
      } catch (error) {
        assert.ok(error instanceof LatchkeyError)
        assert.equal(error.code, step)
        return
      }
      const m = model.messages.get(name)!
      if (step === 'wait') return void assert.equal(plan.act, 'nothing')
      if (step === 'told') assert.equal(plan.act, 'acknowledge')
      assert.ok(plan.act !== 'nothing', step)
      if (plan.act === 'write') {
        const ended = m.stage === 'done' || m.stage === 'failed'
        const then = step === 'admit' ? (m.marked ? 'nothing' : 'acknowledge') : plan.then
        const expected = steps[step] ?? ['write', then, step === 'end' && ended ? 'wipe' : 'intent']
        assert.deepEqual([plan.act, plan.then, plan.blob], expected, step)
        assert.equal(plan.nextEpoch, plan.epoch + 1)
      }
      const { version, admitted, open, stage, credential, number, sends } = plan
      assert.deepEqual(
        { version, admitted, open, stage, credential, number, sends, failure: plan.failure },
        {
          version: model.version,
          admitted: model.admitted,
          open: model.open,
          stage: m.stage,
          credential: m.credential,
          number: m.number,
          sends: m.sends,
          failure: m.failure,
        },
        step,
      )
    }
    for (const one of commands) {
      if (one.do === 'wait') {
        time += one.ms
        continue
      }
      const name = `m-${one.id}`
      if (one.do === 'attempt') {
        const { composedAt, ...changes } = one.changes as { composedAt?: number }
        const moment = composedAt === undefined ? {} : { composedAt: time + composedAt }
        const asked = { ...candidate, ...changes, ...moment, id: name }
        for (let writes = 0; writes < one.writes; writes += 1) {
          const message = engine.messages.get(name) ?? null
          const step = model.attempt(asked, time)
          check(name, step, () => admission.plan(asked, engine.session, message, { now: time }))
          if (!['mark', 'admit'].includes(step)) break
        }
        continue
      }
      const message = engine.messages.get(name)
      if (!message) continue
      if (one.do === 'drain') {
        check(name, model.drain(name, time), () => admission.drain(engine.session!, message, { now: time }))
        continue
      }
      const { sends } = model.messages.get(name)!
      const said: MessageReport =
        one.last && one.report.outcome === 'undelivered' ? { ...one.report, sends } : one.report
      check(name, model.settle(name, said, time), () =>
        admission.settle(engine.session!, message, said, { now: time }),
      )
    }
  }
  fc.assert(fc.property(fc.array(command, { minLength: 20, maxLength: 120, size: 'max' }), world), {
    numRuns: 6_000,
  })
  context.diagnostic([...seen].map(([step, count]) => `${step} ${count}`).join(', '))
  for (const step of [
    ...['mark', 'admit', 'unmark', 'told', 'lapse', 'send', 'later', 'sent', 'end', 'wait'],
    ...['claim_invalid', 'turn_invalid', 'mode_invalid', 'credential_invalid', 'queue_full'],
    ...['message_conflict', 'message_ended'],
  ])
    assert.ok((seen.get(step) ?? 0) > 50, step)
})
