import { abi } from './abi.gen.ts'
import { LatchkeyError } from './errors.ts'
import { type Module, place } from './module.ts'
import type {
  ConnectLink,
  DedupeFacts,
  EraseOutcome,
  EraseStep,
  Feed,
  RecordKind,
  Retention,
  Run,
  StaleRules,
  SweepCursor,
} from './retention-types.ts'

const { enums, layouts, lifetimes } = abi
const run_ = 'RetentionRunRequest'
const reply = 'RetentionReply'
const sweep_ = 'RetentionSweepReply'
const runSize = layouts[run_].size
const none = -1
/** No spelling of an address is longer. */
const maxAddress = 45

type Names = readonly (string | null)[]
type Name<N extends Names> = Exclude<N[number], null>

/** The number of a name; throws for anything else, so that a slip of the pen is never another value. */
function numberIn(names: Names, name: unknown): number {
  const number = typeof name === 'string' ? names.indexOf(name) : -1
  if (number < 0) throw new LatchkeyError('claim_invalid')
  return number
}
function nameIn<N extends Names>(names: N, number: number): Name<N> {
  const name = names[number]
  if (name === undefined || name === null) throw new RangeError('the module returned a number without a name')
  return name as Name<N>
}

/** What was not given is -1; -1 itself is no number that can be given. */
function given(value: number | undefined, code: 'time_invalid' | 'claim_invalid' = 'time_invalid'): number {
  if (value === undefined) return none
  if (typeof value !== 'number' || value === none) throw new LatchkeyError(code)
  return value
}
const count = (value: number | undefined): number => given(value, 'claim_invalid')
const flag = (value: unknown): number => (value === true ? 1 : 0)

function putRun(module: Module, at: number, run: Run): void {
  const { status, inFlight, startedAt, heartbeatAt, aliveAt, completedAt, watchedSince } = run
  const to = (field: keyof (typeof layouts)[typeof run_]['fields']) =>
    at + place(run_, field) - abi.arena.request
  module.u8[to('status')] = numberIn(enums.runStatus, status)
  module.u8[to('in_flight')] = flag(inFlight)
  module.putTime(to('started_at_ms') >>> 3, startedAt)
  module.putTime(to('heartbeat_at_ms') >>> 3, given(heartbeatAt))
  module.putTime(to('alive_at_ms') >>> 3, given(aliveAt))
  module.putTime(to('completed_at_ms') >>> 3, given(completedAt))
  module.putTime(to('watched_since_ms') >>> 3, given(watchedSince))
}

const rulesOf = ({ phase, silenceMs, inFlightMs, livenessMs, maxAgeMs, exact }: StaleRules): number[] => [
  phase === undefined ? 1 : numberIn(enums.phase, phase),
  given(silenceMs),
  given(inFlightMs),
  given(livenessMs),
  given(maxAgeMs),
  flag(exact),
]

/** Runs one decision; whatever becomes of it, nothing of it stays in the arena. */
function within<T>(module: Module, decide: () => T): T {
  try {
    return decide()
  } finally {
    module.wipe()
  }
}

function put(module: Module, text: string): [at: number, length: number] {
  const at = module.free
  const length = module.putText(text)
  return [length === 0 ? 0 : at, length]
}
function putTexts(module: Module, texts: readonly string[]): [at: number, length: number] {
  const { at, length } = module.putList(texts)
  return [at, length]
}

const at = (module: Module): number => module.f64[place(reply, 'at_ms') >>> 3]!
const dueAt = (module: Module): number => module.f64[place(reply, 'due_at_ms') >>> 3]!
const counted = (module: Module): number => module.word(place(reply, 'count'))
const byte = (module: Module, field: 'action' | 'reason' | 'kind' | 'status' | 'flag'): number =>
  module.u8[place(reply, field)]!
const isSet = (module: Module): boolean => byte(module, 'flag') === 1
const due = (module: Module): { dueAt?: number } => (dueAt(module) < 0 ? {} : { dueAt: dueAt(module) })

const steps = enums.eraseStep
const stepsIn = (bits: number): EraseStep[] => steps.filter((_, bit) => (bits >>> bit) & 1)

/** How long each kind of record is kept, in milliseconds. */
const recordLifetimes = Object.freeze(
  Object.fromEntries(enums.recordKind.map((kind, number) => [kind, lifetimes[number]])),
) as Readonly<Record<RecordKind, number>>

export function makeRetention(m: Module): Retention {
  const call = (name: string, ...args: number[]): void => m.call(`lk_retention_${name}`, ...args)
  return {
    lifetimes: recordLifetimes,

    setting(text, fallbackMs, { maxMs, warn } = {}) {
      const { value, reason } = within(m, () => {
        const there = text === undefined ? 0 : 1
        call('setting', ...put(m, text === undefined ? '' : text), there, given(fallbackMs), given(maxMs))
        return { value: at(m), reason: nameIn(enums.taken, byte(m, 'reason')) }
      })
      if (reason !== 'set' && reason !== 'unset') warn?.(reason)
      return value
    },

    reconnect: (run, now, { windowMs } = {}) =>
      within(m, () => {
        putRun(m, abi.arena.request, run)
        call('reconnect', now, given(windowMs))
        return { surface: isSet(m), reason: nameIn(enums.found, byte(m, 'reason')), since: at(m) }
      }),

    stale: (run, now, rules = {}) =>
      within(m, () => {
        putRun(m, abi.arena.request, run)
        call('stale', now, ...rulesOf(rules))
        const reason = nameIn(enums.life, byte(m, 'reason'))
        if (!isSet(m)) return { stale: false, reason, ...due(m) }
        const flags = byte(m, 'action')
        return {
          stale: true,
          reason,
          completedAt: at(m),
          early: (flags & 1) !== 0,
          late: (flags & 2) !== 0,
          ...due(m),
        }
      }),

    prune: (run, now, { completedMs, unsuccessfulMs, reconnectMs } = {}) =>
      within(m, () => {
        putRun(m, abi.arena.request, run)
        call('prune', now, given(completedMs), given(unsuccessfulMs), given(reconnectMs))
        const reason = nameIn(enums.kept, byte(m, 'reason'))
        return { remove: isSet(m), reason, day: at(m), ...due(m) }
      }),

    terminal: (status, { lastSeq, end }, cause) =>
      within(m, () => {
        const last = end === undefined ? 0 : numberIn(enums.terminal, end)
        const why = cause === undefined ? 0 : numberIn(enums.runCause, cause)
        call('terminal', numberIn(enums.runStatus, status), count(lastSeq), last, why)
        const action = nameIn(enums.ending, byte(m, 'action'))
        const left = nameIn(enums.runStatus, byte(m, 'status'))
        if (action !== 'append') return { action, status: left }
        const code = nameIn(enums.runCause, byte(m, 'reason'))
        const kind = nameIn(enums.terminal, byte(m, 'kind'))
        const event = {
          seq: at(m),
          kind: kind as Exclude<typeof kind, 'none'>,
          ...(code === 'none' ? {} : { code, recoverable: isSet(m) }),
        }
        return { action, status: left, event }
      }),

    begin: ({ known, forgotten, live }) =>
      within(m, () => {
        call('begin', flag(known) | (flag(forgotten) << 1) | (flag(live) << 2))
        return nameIn(enums.begun, byte(m, 'action'))
      }),

    append: (status, { lastSeq, end }, { knownSeq, same, size, after }) =>
      within(m, () => {
        const last = end === undefined ? 0 : numberIn(enums.terminal, end)
        const log = [numberIn(enums.runStatus, status), count(lastSeq), last]
        call('append', ...log, count(knownSeq), flag(same), count(size), count(after))
        return { action: nameIn(enums.appended, byte(m, 'action')), seq: at(m) }
      }),

    recover: (runs, wanted, now, rules = {}) =>
      within(m, () => {
        const { lookedUp, postedAt, attempts = 0, earlyDeaths = 0 } = wanted
        const { windowMs, retentionMs, maxAttempts } = rules
        const rows = [...runs]
        const from = m.claim(rows.length * runSize)
        rows.forEach((run, i) => putRun(m, from + i * runSize, run))
        const place_ = [rows.length === 0 ? 0 : from, rows.length * runSize]
        const asked = [flag(lookedUp), given(postedAt), count(attempts), count(earlyDeaths)]
        const limits = [given(windowMs), given(retentionMs), count(maxAttempts)]
        call('recover', ...place_, now, ...asked, ...limits, ...rulesOf(rules.stale ?? {}))
        const action = nameIn(enums.recovery, byte(m, 'action'))
        const reason = nameIn(enums.recoveryReason, byte(m, 'reason'))
        return { action, reason, ...(isSet(m) ? { run: counted(m) } : {}) }
      }),

    keepNewest: (entries, { inUse = '', keep, digits } = {}) =>
      within(m, () => {
        const rows = [...entries].map(({ name, modifiedAt }) => ({ name, modifiedAt }))
        const names = rows.map(({ name }) => name)
        const list = putTexts(m, names)
        const from = m.claim(rows.length * 8)
        rows.forEach(({ modifiedAt }, i) => m.putTime((from >>> 3) + i, modifiedAt))
        const times = [rows.length === 0 ? 0 : from, rows.length * 8]
        call('keep_newest', ...list, ...times, ...put(m, inUse), count(keep), count(digits), m.free)
        const fates = [...m.bytes(place(reply, 'list'))].map((fate) => nameIn(enums.fate, fate))
        return { fates, remove: names.filter((_, i) => fates[i] === 'surplus') }
      }),

    changed: ({ current, previous = '', kept }) =>
      within(m, () => {
        call('changed', ...put(m, current), ...put(m, previous), flag(kept))
        return nameIn(enums.changed, byte(m, 'action'))
      }),

    orphan: (feed: Feed) =>
      within(m, () => {
        const { status, connectionStatus, defined, pinned, deleted, restore } = feed
        const facts = [status === 'active', connectionStatus === 'active', defined, pinned, deleted, restore]
        call(
          'orphan',
          facts.reduce<number>((bits, fact, bit) => bits | (flag(fact) << bit), 0),
        )
        const action = nameIn(enums.orphaned, byte(m, 'action'))
        return { action, reason: nameIn(enums.orphanReason, byte(m, 'reason')) }
      }),

    resumes: (pausedFor, ended) =>
      within(m, () => {
        call('resumes', ...put(m, pausedFor), ...put(m, ended))
        return m.replyFlag()
      }),

    link: ({ state, expiresAt, otherPending }: ConnectLink, now) =>
      within(m, () => {
        // What is not exactly false may be another link: a connection in use does not end by a slip.
        const others = otherPending === false ? 0 : 1
        call('link', numberIn(enums.linkState, state), given(expiresAt), others, now)
        return {
          state: nameIn(enums.linkState, byte(m, 'action')),
          endConnection: isSet(m),
          reason: nameIn(enums.linkReason, byte(m, 'reason')),
        }
      }),

    schedule: ({ every, anchor, slot, quotaResetAt, matched }, now) =>
      within(m, () => {
        const times = [given(anchor), given(slot), given(quotaResetAt)]
        call('schedule', ...put(m, every), ...times, flag(matched), now)
        const action = nameIn(enums.advance, byte(m, 'action'))
        const reason = nameIn(enums.scheduleReason, byte(m, 'reason'))
        return { action, reason, ...(at(m) < 0 ? {} : { nextAt: at(m) }) }
      }),

    fingerprint: (parts) =>
      within(m, () => {
        call('fingerprint', ...putTexts(m, [...parts]), m.free)
        return m.replyText()
      }),

    dedupe: ({ forwardedAt, entries }: DedupeFacts, now, { windowMs, maxEntries } = {}) =>
      within(m, () => {
        call('dedupe', given(forwardedAt), count(entries), now, given(windowMs), count(maxEntries))
        return { forward: isSet(m), reason: nameIn(enums.faultSeen, byte(m, 'reason')), evict: counted(m) }
      }),

    rateLimit: (stored, works, now, { limit, windowMs } = {}) =>
      within(m, () => {
        // What is not exactly said to be free is charged.
        const charged = works === false ? 0 : 1
        const { startedAt, count: used } = stored ?? { startedAt: 0, count: 0 }
        call('rate_limit', given(startedAt), count(used), charged, count(limit), given(windowMs), now)
        const reason = nameIn(enums.rated, byte(m, 'reason'))
        const window = { startedAt: at(m), count: counted(m) }
        if (isSet(m)) return { allow: true, reason, window }
        return { allow: false, reason, window, retryAfterMs: dueAt(m) }
      }),

    bucket: (address) =>
      within(m, () => {
        // What no address can be spelled with, or so long, is none; no header at all, too.
        const text = typeof address === 'string' && address.length <= maxAddress ? address : ''
        call('bucket', ...put(m, text.isWellFormed() ? text : ''), m.free)
        return m.replyText()
      }),

    expiry: (madeAt, ttlMs, now, { minMs } = {}) =>
      within(m, () => {
        call('expiry', given(madeAt), given(ttlMs), now, given(minMs))
        return { expiresAt: at(m), expired: isSet(m), physicalMs: dueAt(m) }
      }),

    sweep: (lanes, cursor, removed, now, { rows, batch, intervalMs } = {}) =>
      within(m, () => {
        const bits = [...lanes].reduce((mask, lane) => mask | (1 << numberIn(enums.recordKind, lane)), 0)
        const known: SweepCursor = cursor ?? { pending: 0, lane: 0, open: false, asked: 0, spent: 0 }
        const { pending, lane, open, asked, spent } = known
        const where = [pending, lane, flag(open), count(asked), count(spent)]
        const budget = [count(rows), count(batch)]
        call('sweep', bits, ...where, count(removed), ...budget, now, given(intervalMs))
        const word = (field: 'limit' | 'asked' | 'spent') => m.word(place(sweep_, field))
        const next: SweepCursor = {
          pending: m.u16[place(sweep_, 'pending') >>> 1]!,
          lane: m.u8[place(sweep_, 'lane')]!,
          open: m.u8[place(sweep_, 'open')] === 1,
          asked: word('asked'),
          spent: word('spent'),
        }
        const action = nameIn(enums.sweeping, m.u8[place(sweep_, 'action')]!)
        const before = m.f64[place(sweep_, 'before_ms') >>> 3]!
        if (action === 'batch') {
          const kind = nameIn(enums.recordKind, m.u8[place(sweep_, 'kind')]!)
          return { action, kind, before, limit: word('limit'), cursor: next }
        }
        return { action, nextAt: m.f64[place(sweep_, 'next_at_ms') >>> 3]!, cursor: next }
      }),

    erase: (outcomes) =>
      within(m, () => {
        const numbers = steps.map((step) => {
          const outcome: EraseOutcome | undefined = outcomes[step]
          return outcome === undefined ? 0 : numberIn(enums.erased, outcome)
        })
        const from = m.putBytes(Uint8Array.from(numbers))
        call('erase', from, numbers.length)
        const action = nameIn(enums.erasing, byte(m, 'action'))
        const reason = nameIn(enums.eraseReason, byte(m, 'reason'))
        const receipt = { erased: stepsIn(counted(m) & 0xff), failed: stepsIn(counted(m) >>> 8) }
        if (action === 'step') return { action, reason, step: nameIn(steps, byte(m, 'kind')), receipt }
        return { action, reason, receipt }
      }),
  }
}
