import { createHash } from 'node:crypto'
import { document, Group, repeated } from './common.ts'

const now = 1_790_000_000_000
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const most = 8_640_000_000_000_000
const notTimes = ['NaN', 'Infinity', '-Infinity', -1, 0.5, most + 2]

// What is kept for how long, from a setting.
const setting = new Group('retention.setting')
const fallbackMs = day
for (const [name, text, reason] of [
  ['empty', '', 'blank'],
  ['blank', ' \t', 'blank'],
  ['word', 'abc', 'not_a_number'],
  ['negative', '-1', 'negative'],
  ['nan', 'NaN', 'not_a_number'],
  ['infinity', 'Infinity', 'not_a_number'],
  ['overflow', '1e999', 'not_a_number'],
  ['exponent', '1e3', 'not_a_number'],
  ['fraction', '1.5', 'not_a_number'],
  ['hex', '0x10', 'not_a_number'],
  ['padded', ' 60000', 'not_a_number'],
  ['leading-zero', '060000', 'not_a_number'],
  ['too-large', String(400 * day + 1), 'too_large'],
  ['huge', '99999999999999999999', 'too_large'],
] as const) {
  setting.good(
    name,
    'T57: what is not plainly a length of time is the default.',
    { text, fallbackMs },
    {
      ms: fallbackMs,
      reason,
    },
  )
}
setting.good(
  'long',
  'T57: however long.',
  { text: repeated('9', 5_000), fallbackMs },
  { ms: day, reason: 'too_large' },
)
setting.good('unset', 'T57: nothing is configured.', { fallbackMs }, { ms: fallbackMs, reason: 'unset' })
setting.good(
  'zero',
  'T57: 0 is meant where it is written.',
  { text: '0', fallbackMs },
  { ms: 0, reason: 'set' },
)
setting.good(
  'plain',
  'A day and a half.',
  { text: '129600000', fallbackMs },
  { ms: 129_600_000, reason: 'set' },
)
setting.good(
  'largest',
  'Exactly the largest.',
  { text: '10', fallbackMs: 5, maxMs: 10 },
  { ms: 10, reason: 'set' },
)
setting.good('above', 'One more.', { text: '11', fallbackMs: 5, maxMs: 10 }, { ms: 5, reason: 'too_large' })
setting.bad('fallback', 'A fallback is a length of time.', { text: '1', fallbackMs: -1 }, 'time_invalid')

// Finding a run again.
const reconnect = new Group('retention.reconnect')
const windowMs = 20 * minute
for (const status of ['running', 'completed', 'errored', 'truncated', 'aborted']) {
  for (const [from, times] of [
    ['completion', { startedAt: 0, heartbeatAt: 1, completedAt: now }],
    ['heartbeat', { startedAt: 0, heartbeatAt: now }],
    ['start', { startedAt: now }],
  ] as const) {
    for (const [name, age] of [
      ['before', -day],
      ['now', 0],
      ['exact', windowMs],
      ['over', windowMs + 1],
    ] as const) {
      const inside = age <= windowMs
      const reason =
        status === 'aborted'
          ? 'aborted'
          : !inside
            ? 'window_passed'
            : status === 'running'
              ? 'running'
              : 'finished'
      reconnect.good(
        `${status}-${from}-${name}`,
        'T58, T59: the age is from the completion, else the heartbeat, else the start; the window is inclusive.',
        { run: { status, ...times }, now: now + age },
        { surface: inside && status !== 'aborted', reason, since: now },
      )
    }
  }
}
reconnect.good(
  'eleven-minutes',
  'T58: a run of 11 minutes that ended 2 s ago, with the first window of 10.',
  {
    run: { status: 'completed', startedAt: now - 11 * minute - 2_000, completedAt: now - 2_000 },
    now,
    options: { windowMs: 10 * minute },
  },
  { surface: true, reason: 'finished', since: now - 2_000 },
)
for (const bad of notTimes) {
  reconnect.bad(
    `now-${bad}`,
    'T05: no time.',
    { run: { status: 'running', startedAt: 0 }, now: bad },
    'time_invalid',
  )
}
reconnect.bad(
  'status',
  'There is no such status.',
  { run: { status: 'Running', startedAt: 0 }, now },
  'claim_invalid',
)
reconnect.bad(
  'heartbeat',
  'No time.',
  { run: { status: 'running', startedAt: 0, heartbeatAt: -1 }, now },
  'time_invalid',
)

// Runs that died.
const stale = new Group('retention.stale')
const start = now - hour
const beat = now - 10 * minute
const silent = (offset: number, rest: object = {}) => ({
  run: { status: 'running', startedAt: start, heartbeatAt: beat, ...rest },
  now: beat + offset,
})
const dead = (reason: string, dueAfter: number, completedAt = beat) => ({
  stale: true,
  reason,
  completedAt,
  early: false,
  late: false,
  dueAt: beat + dueAfter,
})
const alive = (reason: string, dueAfter: number) => ({ stale: false, reason, dueAt: beat + dueAfter })
stale.good('exact', 'Exactly as old is alive.', silent(15_000), alive('alive', 15_001))
stale.good(
  'over',
  'A millisecond more is not; it ended with its last sign.',
  silent(15_001),
  dead('silent', 15_001),
)
stale.good(
  'background',
  'The background has 90 s.',
  { ...silent(90_000), rules: { phase: 'background' } },
  alive('alive', 90_001),
)
stale.good(
  'background-over',
  'And no more.',
  { ...silent(90_001), rules: { phase: 'background' } },
  dead('silent', 90_001),
)
stale.good(
  'in-flight',
  'T63: with work in flight, until nothing was heard for 120 s.',
  silent(120_000, { inFlight: true }),
  alive('in_flight', 120_001),
)
stale.good(
  'latched',
  'T63: a marker left behind.',
  silent(120_001, { inFlight: true }),
  dead('latched', 120_001),
)
stale.good(
  'grace',
  'T63: in a process that lives.',
  silent(870_000, { inFlight: true, aliveAt: beat + 869_000 }),
  alive('in_flight', 870_001),
)
stale.good(
  'grace-spent',
  'T63: in flight for too long.',
  silent(870_001, { inFlight: true, aliveAt: beat + 869_000 }),
  dead('grace_spent', 870_001, beat + 869_000),
)
stale.good(
  'exact-rule',
  'A number of the caller is exact.',
  { ...silent(15_001, { inFlight: true }), rules: { exact: true } },
  dead('silent', 15_001),
)
stale.good(
  'too-old',
  'T61: no run lives for ever.',
  { run: { status: 'running', startedAt: now - 7 * day - 1, heartbeatAt: now }, now },
  { stale: true, reason: 'too_old', completedAt: now, early: false, late: false, dueAt: now },
)
stale.good(
  'early',
  'Dead within 20 s of its start.',
  { run: { status: 'running', startedAt: now }, now: now + 15_001 },
  { stale: true, reason: 'silent', completedAt: now, early: true, late: false, dueAt: now + 15_001 },
)
stale.good(
  'ended',
  'It ended by itself.',
  { run: { status: 'completed', startedAt: 0 }, now },
  { stale: false, reason: 'ended' },
)
stale.good(
  'backwards',
  'The clock went back a day.',
  { run: { status: 'running', startedAt: now }, now: now - day },
  { stale: false, reason: 'alive', dueAt: now + 15_001 },
)
const late = { ...dead('silent', 15_001), late: true }
stale.good('noticed', 'Found dead 5 s after it was.', silent(20_001), dead('silent', 15_001))
stale.good('late', 'A millisecond later nobody was there to notice.', silent(20_002), late)
stale.good(
  'late-old',
  'T61: what is too old is not asked about again.',
  { run: { status: 'running', startedAt: now - 7 * day - hour, heartbeatAt: now - hour }, now },
  {
    stale: true,
    reason: 'too_old',
    completedAt: now - hour,
    early: false,
    late: false,
    dueAt: now - hour + 1,
  },
)
stale.good(
  'watched',
  'Silence before anybody listened says nothing.',
  silent(60_000, { watchedSince: beat + 45_000 }),
  alive('alive', 60_001),
)
stale.good(
  'watched-over',
  'And after that it does; it ended with its last sign all the same.',
  silent(60_001, { watchedSince: beat + 45_000 }),
  dead('silent', 60_001),
)
stale.good(
  'watched-sign',
  'A sign that came later counts.',
  silent(15_000, { watchedSince: beat - 1 }),
  alive('alive', 15_001),
)
stale.good(
  'watched-latched',
  'T63: the marker counts from then on too.',
  silent(180_001, { inFlight: true, watchedSince: beat + 60_000 }),
  dead('latched', 180_001),
)
stale.bad('phase', 'There is no such phase.', { ...silent(0), rules: { phase: 'idle' } }, 'claim_invalid')
stale.bad('length', 'No length of time.', { ...silent(0), rules: { silenceMs: -1 } }, 'time_invalid')

// Forgetting a run.
const prune = new Group('retention.prune')
for (const status of ['completed', 'errored', 'truncated', 'aborted']) {
  const window = status === 'completed' ? day : 7 * day
  for (const known of [true, false]) {
    for (const age of [window, window + 1]) {
      const remove = age > window
      const end = now - age
      prune.good(
        `${status}-${known ? 'ended' : 'legacy'}-${remove ? 'over' : 'exact'}`,
        'T61, T62: strictly older goes; without a completion by the last sign.',
        { run: { status, startedAt: end, ...(known ? { completedAt: end } : {}) }, now },
        {
          remove,
          reason: remove ? (known ? 'window_passed' : 'no_completion') : 'within_window',
          day: Math.floor(end / day),
          dueAt: end + window + 1,
        },
      )
    }
  }
}
prune.good(
  'running',
  'T61: never.',
  { run: { status: 'running', startedAt: 0 }, now },
  { remove: false, reason: 'running', day: 0 },
)
prune.good(
  'unsuccessful-shorter',
  'T62: never shorter than that of the completed.',
  {
    run: { status: 'errored', startedAt: now, completedAt: now },
    now: now + 2 * day,
    windows: { completedMs: 2 * day, unsuccessfulMs: 1 },
  },
  { remove: false, reason: 'within_window', day: Math.floor(now / day), dueAt: now + 2 * day + 1 },
)
prune.good(
  'zero',
  'T59: while a client may come back, 0 keeps it too.',
  {
    run: { status: 'completed', startedAt: now, completedAt: now },
    now: now + windowMs,
    windows: { completedMs: 0, unsuccessfulMs: 0 },
  },
  { remove: false, reason: 'within_window', day: Math.floor(now / day), dueAt: now + windowMs + 1 },
)

// Whether a run starts.
const begin = new Group('retention.begin')
for (let bits = 0; bits < 8; bits += 1) {
  const asked = { known: (bits & 1) !== 0, forgotten: (bits & 2) !== 0, live: (bits & 4) !== 0 }
  const name = `${bits}`
  const why = 'Once for every key, one at a time in a thread.'
  if (asked.known) begin.good(name, why, { asked }, 'existing')
  else if (asked.forgotten) begin.bad(name, why, { asked }, 'run_forgotten')
  else if (asked.live) begin.bad(name, why, { asked }, 'run_active')
  else begin.good(name, why, { asked }, 'start')
}

// Whether an event is written.
const append = new Group('retention.append')
const log = { lastSeq: 7 }
const offered = (event: object, more: object = {}) => ({
  status: 'running',
  log,
  event: { size: 10, ...event },
  ...more,
})
append.good('next', 'With the next number.', offered({}), { action: 'append', seq: 8 })
append.good('first', 'The first one.', offered({}, { log: { lastSeq: 0 } }), { action: 'append', seq: 1 })
append.good('in-order', 'As its writer says.', offered({ after: 7 }), { action: 'append', seq: 8 })
append.good('duplicate', 'It is there.', offered({ knownSeq: 3, same: true }), {
  action: 'duplicate',
  seq: 3,
})
append.good(
  'duplicate-late',
  'After the end, too large, out of order: it is there all the same.',
  offered(
    { knownSeq: 3, same: true, size: 99_999, after: 1 },
    { status: 'completed', log: { lastSeq: 7, end: 'done' } },
  ),
  { action: 'duplicate', seq: 3 },
)
append.bad('conflict', 'Another event has this key.', offered({ knownSeq: 3 }), 'event_conflict')
append.bad(
  'conflict-late',
  'That is told before anything else.',
  offered({ knownSeq: 3, same: false, size: 99_999 }, { status: 'aborted' }),
  'event_conflict',
)
append.good('largest', 'Exactly as large as it may be.', offered({ size: 32_768 }), {
  action: 'append',
  seq: 8,
})
append.bad('too-large', 'One byte more.', offered({ size: 32_769 }), 'event_too_large')
for (const status of ['completed', 'errored', 'truncated', 'aborted'])
  append.bad(status, 'Nothing after the end.', offered({}, { status }), 'run_ended')
append.bad(
  'log-ended',
  'The log has ended; the row does not say so yet.',
  offered({}, { log: { lastSeq: 7, end: 'done' } }),
  'run_ended',
)
append.bad('behind', 'Another one came before.', offered({ after: 6 }), 'event_out_of_order')
append.bad('ahead', 'One before it is missing.', offered({ after: 8 }), 'event_out_of_order')
append.good('last', 'The last one that there is room for.', offered({}, { log: { lastSeq: 9_999 } }), {
  action: 'append',
  seq: 10_000,
})
append.bad('full', 'As many as there may be.', offered({}, { log: { lastSeq: 10_000 } }), 'run_full')
append.bad('negative', 'Not the number of an event.', offered({ after: -2 }), 'claim_invalid')
append.bad('fraction', 'Not the number of an event.', offered({ knownSeq: 0.5, same: true }), 'claim_invalid')
append.bad('status', 'There is no such status.', offered({}, { status: 'paused' }), 'claim_invalid')

// How a run ends in its log.
const terminal = new Group('retention.terminal')
const ends: Readonly<Record<string, string>> = {
  done: 'completed',
  auto_continue: 'completed',
  loop_limit: 'truncated',
  error: 'errored',
  missing_api_key: 'errored',
}
for (const [end, status] of Object.entries(ends)) {
  terminal.good(
    `running-${end}`,
    'T60: what the log says stands.',
    { status: 'running', log: { lastSeq: 7, end }, cause: 'stale_run' },
    { action: 'reconcile', status },
  )
  terminal.good(
    `aborted-${end}`,
    'T60: ended twice is ended once.',
    { status: 'aborted', log: { lastSeq: 7, end } },
    { action: 'keep', status: 'aborted' },
  )
}
const appended = (status: string, kind: string, more: object = {}) => ({
  action: 'append',
  status,
  event: { seq: 8, kind, ...more },
})
terminal.good(
  'running',
  'It runs.',
  { status: 'running', log: { lastSeq: 7 } },
  { action: 'wait', status: 'running' },
)
for (const cause of [
  'stale_run',
  'connection_revoked',
  'reconnect_required',
  'idle_limit',
  'connection_idle',
  'erased',
]) {
  terminal.good(
    `running-${cause}`,
    'T60: with its cause, once.',
    { status: 'running', log: { lastSeq: 7 }, cause },
    appended('errored', 'error', { code: cause, recoverable: cause === 'stale_run' }),
  )
}
terminal.good(
  'completed',
  'T60: done, with the next number.',
  { status: 'completed', log: { lastSeq: 7 } },
  appended('completed', 'done'),
)
terminal.good(
  'aborted',
  'T60: done, with the next number.',
  { status: 'aborted', log: { lastSeq: 7 } },
  appended('aborted', 'done'),
)
terminal.good(
  'truncated',
  'T60: its limit.',
  { status: 'truncated', log: { lastSeq: 7 } },
  appended('truncated', 'loop_limit'),
)
terminal.good(
  'errored',
  'T60: nobody said why.',
  { status: 'errored', log: { lastSeq: 7 } },
  appended('errored', 'error', { code: 'run_terminal_event_missing', recoverable: false }),
)
terminal.good(
  'first',
  'An empty log.',
  { status: 'completed', log: { lastSeq: 0 } },
  { action: 'append', status: 'completed', event: { seq: 1, kind: 'done' } },
)
terminal.bad(
  'full',
  'No number is left.',
  { status: 'completed', log: { lastSeq: 2 ** 53 - 1 } },
  'claim_invalid',
)
for (const lastSeq of ['NaN', 0.5, -1]) {
  terminal.bad(
    `seq-${lastSeq}`,
    'No number of an event.',
    { status: 'completed', log: { lastSeq } },
    'claim_invalid',
  )
}

// After a restart.
const recover = new Group('retention.recover')
const asked = { lookedUp: true }
const live = { status: 'running', startedAt: now - hour, heartbeatAt: now - 1 }
const gone = { status: 'running', startedAt: now - hour, heartbeatAt: now - minute }
const done = { status: 'completed', startedAt: now - minute, completedAt: now - 1 }
const failed = { ...done, status: 'errored' }
const stopped = { ...done, status: 'aborted', startedAt: now - 5 }
const old = { status: 'completed', startedAt: now - hour, completedAt: now - windowMs - 1 }
const refused = (reason: string) => ({ action: 'refuse', reason })
recover.good(
  'unavailable',
  'Not knowing is not the same as not there.',
  { runs: [], wanted: { lookedUp: false }, now },
  refused('unavailable'),
)
recover.good(
  'never-ran',
  'Safe to post.',
  { runs: [], wanted: asked, now },
  { action: 'post', reason: 'never_ran' },
)
recover.good(
  'live',
  'T64: a finished run hides no live one.',
  { runs: [done, live], wanted: asked, now },
  { action: 'reconnect', reason: 'live', run: 1 },
)
recover.good(
  'live-first',
  'T64: in any order.',
  { runs: [live, done, stopped], wanted: asked, now },
  { action: 'reconnect', reason: 'live', run: 0 },
)
recover.good(
  'finished',
  'T59: shown again, not run again.',
  { runs: [done], wanted: asked, now },
  { action: 'replay', reason: 'finished', run: 0 },
)
recover.good(
  'errored',
  'T59: an error too.',
  { runs: [failed], wanted: asked, now },
  { action: 'replay', reason: 'finished', run: 0 },
)
recover.good(
  'aborted',
  'T59: what a person stopped stays stopped.',
  { runs: [done, stopped], wanted: asked, now },
  refused('aborted'),
)
recover.good(
  'stale',
  'Dead, and to be reaped first.',
  { runs: [gone, done], wanted: asked, now },
  refused('stale'),
)
recover.good('existed', 'It ran.', { runs: [old], wanted: asked, now }, refused('existed'))
recover.good(
  'forgotten',
  'It may have run and been removed.',
  { runs: [], wanted: { lookedUp: true, postedAt: now - day - 1 }, now },
  refused('forgotten'),
)
recover.good(
  'remembered',
  'It would still be there.',
  { runs: [], wanted: { lookedUp: true, postedAt: now - day }, now },
  { action: 'post', reason: 'never_ran' },
)
recover.good(
  'future',
  'The clock went back by more than a minute.',
  { runs: [], wanted: { lookedUp: true, postedAt: now + minute + 1 }, now },
  refused('clock_moved'),
)
recover.good(
  'spent',
  'T65: at equality.',
  { runs: [], wanted: { lookedUp: true, attempts: 5 }, now },
  refused('attempts_spent'),
)
recover.good(
  'left',
  'T65: one below.',
  { runs: [], wanted: { lookedUp: true, attempts: 4 }, now },
  { action: 'post', reason: 'never_ran' },
)
recover.good(
  'dying',
  'T65: three early deaths.',
  { runs: [], wanted: { lookedUp: true, earlyDeaths: 3 }, now },
  refused('keeps_dying'),
)
recover.bad(
  'attempts',
  'No count.',
  { runs: [], wanted: { lookedUp: true, attempts: -1 }, now },
  'claim_invalid',
)
recover.bad(
  'many',
  'More than 64.',
  { runs: Array.from({ length: 65 }, () => done), wanted: asked, now },
  'output_too_small',
)

// Keeping the newest.
const keep = new Group('retention.keepNewest')
const ref = (digit: string) => digit.repeat(64)
const [a, b, c, d] = [ref('a'), ref('b'), ref('c'), ref('d')]
const four = [a, b, c, d].map((name, i) => ({ name, modifiedAt: i }))
keep.good(
  'three',
  'T66: the three newest.',
  { entries: four },
  { fates: ['surplus', 'newest', 'newest', 'newest'], remove: [a] },
)
keep.good(
  'in-use',
  'T66: the one in use, however old, and it counts.',
  { entries: four, options: { inUse: a } },
  { fates: ['is_protected', 'surplus', 'newest', 'newest'], remove: [b] },
)
keep.good(
  'none',
  'T66: even when none is kept.',
  { entries: four, options: { inUse: b, keep: 0 } },
  { fates: ['surplus', 'is_protected', 'surplus', 'surplus'], remove: [a, c, d] },
)
keep.good(
  'foreign',
  'T66: other names are not touched and do not count.',
  {
    entries: [
      { name: `${a}.json`, modifiedAt: 9 },
      { name: ref('A'), modifiedAt: 9 },
      { name: '..', modifiedAt: 9 },
      ...four,
    ],
    options: { keep: 4 },
  },
  { fates: ['foreign', 'foreign', 'foreign', 'newest', 'newest', 'newest', 'newest'], remove: [] },
)
keep.good('empty', 'Nothing at all.', { entries: [] }, { fates: [], remove: [] })
keep.bad('time', 'No time.', { entries: [{ name: a, modifiedAt: -1 }] }, 'time_invalid')

// What is new since a ref.
const changed = new Group('retention.changed')
changed.good('same', 'T72: the same ref.', { refs: { current: a, previous: a, kept: true } }, 'nothing')
changed.good(
  'same-not-kept',
  'T72: whose list is not needed.',
  { refs: { current: a, previous: a, kept: false } },
  'nothing',
)
changed.good(
  'other',
  'T72: both lists are there.',
  { refs: { current: a, previous: b, kept: true } },
  'listed',
)
changed.good(
  'unknown',
  'T72: a ref that is not known any more.',
  { refs: { current: a, previous: b, kept: false } },
  'everything',
)
changed.good('first', 'T72: nothing seen yet.', { refs: { current: a, kept: true } }, 'everything')
changed.bad(
  'never-fetched',
  'T72: no change.',
  { refs: { current: '', previous: b, kept: true } },
  'claim_invalid',
)

// Orphans and pauses.
const orphan = new Group('retention.orphan')
for (const status of ['active', 'paused', 'pending_auth', 'error', 'Active']) {
  for (const connectionStatus of ['active', 'revoked']) {
    for (const pinned of [false, true]) {
      for (const defined of [false, true]) {
        const expect =
          status !== 'active'
            ? { action: 'leave', reason: 'feed_not_active' }
            : connectionStatus !== 'active'
              ? { action: 'leave', reason: 'connection_not_active' }
              : pinned
                ? { action: 'run', reason: 'pinned' }
                : defined
                  ? { action: 'run', reason: 'defined' }
                  : { action: 'soft_delete', reason: 'undefined' }
        orphan.good(
          `${status}-${connectionStatus}-${pinned ? 'pinned' : 'free'}-${defined ? 'defined' : 'undefined'}`,
          'T70: only what a scheduler would run, and cannot, is taken out.',
          { feed: { status, connectionStatus, pinned, defined } },
          expect,
        )
      }
    }
  }
}
const taken = { status: 'active', connectionStatus: 'active', defined: false, deleted: true }
orphan.good('deleted', 'T70: left alone.', { feed: taken }, { action: 'leave', reason: 'deleted' })
orphan.good(
  'restore',
  'T70: and back.',
  { feed: { ...taken, restore: true } },
  { action: 'restore', reason: 'asked' },
)
const resumes = new Group('retention.resumes')
resumes.good('same', 'T73: paused for that.', { pausedFor: 'login_expired', ended: 'login_expired' }, true)
resumes.good('person', 'T73: a person stopped it.', { pausedFor: 'person', ended: 'login_expired' }, false)
resumes.good('nothing', 'T73: no reason is no reason.', { pausedFor: '', ended: '' }, false)

const link = new Group('retention.link')
for (const state of ['pending', 'completed', 'expired']) {
  for (const otherPending of [false, true]) {
    for (const offset of [-1, 0]) {
      const over = state === 'pending' && offset === 0
      link.good(
        `${state}-${otherPending ? 'others' : 'alone'}-${offset === 0 ? 'over' : 'before'}`,
        'T73: a connection that waits for another link does not end with this one.',
        { link: { state, expiresAt: now, otherPending }, now: now + offset },
        {
          state: over ? 'expired' : state,
          endConnection: over && !otherPending,
          reason:
            state !== 'pending' ? 'settled' : !over ? 'waiting' : otherPending ? 'others_pending' : 'expired',
        },
      )
    }
  }
}
link.bad(
  'state',
  'There is no such state.',
  { link: { state: 'open', expiresAt: now, otherPending: false }, now },
  'claim_invalid',
)

// When something runs again.
const schedule = new Group('retention.schedule')
const due = { every: '1h', anchor: now, matched: true }
const next = (nextAt: number, reason = 'next_tick') => ({ action: 'tick', reason, nextAt })
schedule.good('on-tick', 'T67: the one after.', { due, now }, next(now + hour))
schedule.good('between', 'T67: after now.', { due, now: now + 1 }, next(now + hour))
schedule.good(
  'late',
  'T67: one run for all that were missed.',
  { due: { ...due, slot: now }, now: now + 100 * hour + 1 },
  next(now + 101 * hour),
)
schedule.good('by-hand', 'T67: runs by hand skip none.', { due, now: now + hour - 1 }, next(now + hour))
schedule.good(
  'backwards',
  'T67: the same slot is not fired twice.',
  { due: { ...due, slot: now + 5 * hour }, now: now + 4 * hour },
  next(now + 6 * hour),
)
schedule.good('not-yet', 'The first tick.', { due, now: now - 1 }, next(now))
schedule.good(
  'twice',
  'T67: somebody was faster.',
  { due: { ...due, matched: false }, now },
  { action: 'none', reason: 'already_advanced' },
)
schedule.good(
  'quota',
  'T67: a minute after the quota is back.',
  { due: { ...due, quotaResetAt: now + hour }, now },
  next(now + hour + minute, 'after_quota'),
)
for (const every of ['', '0h', '01h', '1w', '-1h', '* * * * *', '1000000s']) {
  schedule.good(
    `parked-${every}`,
    'T67: nobody can read it.',
    { due: { ...due, every }, now },
    { action: 'parked', reason: 'unreadable' },
  )
}
schedule.good(
  'end',
  'There is no later tick.',
  { due, now: most },
  { action: 'parked', reason: 'out_of_range' },
)
schedule.bad('anchor', 'No time.', { due: { ...due, anchor: -1 }, now }, 'time_invalid')

// The same fault again.
const fingerprint = new Group('retention.fingerprint')
const nameOf = (...parts: readonly string[]) =>
  parts
    .reduce<Buffer>(
      (sum, part) =>
        createHash('sha256').update(sum).update(createHash('sha256').update(part).digest()).digest(),
      Buffer.alloc(32),
    )
    .toString('hex')
    .slice(0, 32)
for (const [name, parts] of [
  ['fault', ['job failed', 'TypeError', 'x is undefined', 'at run']],
  ['message', ['job failed', 'TypeError', 'y is undefined', 'at run']],
  ['moved', ['job failedTypeError', '', 'x is undefined', 'at run']],
  ['utf8', ['caf\u00e9', '\u2028']],
  ['empty', ['']],
  ['none', []],
] as const) {
  fingerprint.good(name, 'T69: other parts, another name.', { parts }, nameOf(...parts))
}
fingerprint.bad('many', 'More than 16.', { parts: Array.from({ length: 17 }, () => 'x') }, 'output_too_small')
const dedupe = new Group('retention.dedupe')
const reported = (age: number) => ({ facts: { forwardedAt: now, entries: 1 }, now: now + age })
dedupe.good(
  'first',
  'Not seen before.',
  { facts: { entries: 999 }, now },
  { forward: true, reason: 'first', evict: 0 },
)
dedupe.good(
  'full',
  'T69: a thousand, and no more.',
  { facts: { entries: 1_000 }, now },
  { forward: true, reason: 'first', evict: 1 },
)
dedupe.good('inside', 'T69: within the window.', reported(59_999), {
  forward: false,
  reason: 'within_window',
  evict: 0,
})
dedupe.good('exact', 'T69: over at its length.', reported(60_000), {
  forward: true,
  reason: 'window_over',
  evict: 0,
})
dedupe.good('backwards', 'T69: never silent until then.', reported(-1), {
  forward: true,
  reason: 'clock_moved',
  evict: 0,
})
dedupe.bad('entries', 'No count.', { facts: { entries: 0.5 }, now }, 'claim_invalid')

// So much work in a time.
const rate = new Group('retention.rateLimit')
const full = { startedAt: now, count: 5 }
const quarter = 15 * minute
rate.good(
  'new',
  'Nothing is stored.',
  { works: true, now },
  { allow: true, reason: 'new_window', window: { startedAt: now, count: 1 } },
)
rate.good(
  'fifth',
  'The last one.',
  { stored: { startedAt: now, count: 4 }, works: true, now: now + 1 },
  { allow: true, reason: 'within_limit', window: full },
)
rate.good(
  'sixth',
  'T71: refused, and told for how long.',
  { stored: full, works: true, now: now + 1 },
  { allow: false, reason: 'limited', window: full, retryAfterMs: quarter - 1 },
)
rate.good(
  'free',
  'T71: what is no work is free.',
  { stored: full, works: false, now: now + 1 },
  { allow: true, reason: 'not_charged', window: full },
)
rate.good(
  'last',
  'T71: a millisecond before its end.',
  { stored: full, works: true, now: now + quarter - 1 },
  { allow: false, reason: 'limited', window: full, retryAfterMs: 1 },
)
rate.good(
  'again',
  'T71: exactly at its end.',
  { stored: full, works: true, now: now + quarter },
  { allow: true, reason: 'new_window', window: { startedAt: now + quarter, count: 1 } },
)
rate.good(
  'backwards',
  'A day back: as full, and no longer than a window.',
  { stored: full, works: true, now: now - day },
  { allow: false, reason: 'limited', window: { startedAt: now - day, count: 5 }, retryAfterMs: quarter },
)
rate.bad('count', 'No count.', { stored: { startedAt: now, count: -1 }, works: true, now }, 'claim_invalid')
const bucket = new Group('retention.bucket')
for (const [address, name] of [
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['::FFFF:cb00:7107', '203.0.113.7'],
  ['2001:db8::1', '20010db800000000/64'],
  ['2001:0DB8:0:0:ffff:ffff:ffff:ffff', '20010db800000000/64'],
  ['2001:db8:0:1::1', '20010db800000001/64'],
  ['203.0.113.07', 'anonymous'],
  ['203.0.113.256', 'anonymous'],
  ['fe80::1%eth0', 'anonymous'],
  ['', 'anonymous'],
  ['localhost', 'anonymous'],
] as const) {
  bucket.good(address, 'threat T40: one name for every spelling.', { address }, name)
}

// The end of a record.
const expiry = new Group('retention.expiry')
const record = { madeAt: now, ttlMs: 300_000 }
expiry.good(
  'new',
  'All of it is left.',
  { ...record, now },
  { expiresAt: now + 300_000, expired: false, physicalMs: 300_000 },
)
expiry.good(
  'before',
  'A millisecond before its end; the store counts in seconds.',
  { ...record, now: now + 299_999 },
  { expiresAt: now + 300_000, expired: false, physicalMs: 1_000 },
)
expiry.good(
  'exact',
  'Over at its end.',
  { ...record, now: now + 300_000 },
  { expiresAt: now + 300_000, expired: true, physicalMs: 0 },
)
expiry.good(
  'short',
  'The store keeps nothing for less than 60 s.',
  { madeAt: now, ttlMs: 10_000, now, options: { minMs: 60_000 } },
  { expiresAt: now + 10_000, expired: false, physicalMs: 60_000 },
)
expiry.good(
  'end',
  'threat T35: no later than the end of time.',
  { madeAt: most, ttlMs: most, now },
  { expiresAt: most, expired: false, physicalMs: most - now },
)
for (const bad of notTimes)
  expiry.bad(`ttl-${bad}`, 'No length of time.', { madeAt: now, ttlMs: bad, now }, 'time_invalid')

// Sweeping.
const sweep = new Group('retention.sweep')
const lanes = ['run', 'delivery']
const cursor = (pending: number, lane: number, asked: number, spent: number, open = true) => ({
  pending,
  lane,
  open,
  asked,
  spent,
})
sweep.good(
  'begin',
  'The first lane there is.',
  { lanes, removed: 0, now },
  { action: 'batch', kind: 'run', before: now, limit: 200, cursor: cursor(48, 4, 200, 0) },
)
sweep.good(
  'turns',
  'They take turns.',
  { lanes, cursor: cursor(48, 4, 200, 0), removed: 200, now },
  { action: 'batch', kind: 'delivery', before: now, limit: 200, cursor: cursor(48, 5, 200, 200) },
)
sweep.good(
  'empty',
  'Less than was asked for: there is no more.',
  { lanes, cursor: cursor(48, 4, 200, 0), removed: 199, now },
  { action: 'batch', kind: 'delivery', before: now, limit: 200, cursor: cursor(32, 5, 200, 199) },
)
sweep.good(
  'rest',
  'No more than the budget has left.',
  { lanes, cursor: cursor(48, 4, 200, 0), removed: 200, now, options: { rows: 250 } },
  { action: 'batch', kind: 'delivery', before: now, limit: 50, cursor: cursor(48, 5, 50, 200) },
)
sweep.good(
  'paused',
  'T65: spent at equality.',
  { lanes, cursor: cursor(48, 4, 200, 1_800), removed: 200, now },
  { action: 'paused', nextAt: now, cursor: cursor(48, 5, 0, 0) },
)
sweep.good(
  'finished',
  'Nothing is left.',
  { lanes, cursor: cursor(32, 5, 200, 0), removed: 0, now },
  { action: 'finished', nextAt: now + 300_000, cursor: cursor(0, 6, 0, 0, false) },
)
sweep.good(
  'no-lanes',
  'Nothing to sweep.',
  { lanes: [], removed: 0, now },
  { action: 'finished', nextAt: now + 300_000, cursor: cursor(0, 0, 0, 0, false) },
)
sweep.bad('lane', 'There is no such kind.', { lanes: ['runs'], removed: 0, now }, 'claim_invalid')

// Erasing a person.
const erase = new Group('retention.erase')
const steps = ['block', 'revoke', 'connections', 'links', 'sessions', 'runs', 'caches', 'index']
for (let count = 0; count < steps.length; count++) {
  const erased = steps.slice(0, count)
  erase.good(
    `step-${steps[count]}`,
    'T49: in this order.',
    { outcomes: Object.fromEntries(erased.map((step) => [step, 'done'])) },
    { action: 'step', reason: 'next', step: steps[count], receipt: { erased, failed: [] } },
  )
}
const all = (changed: object) => ({
  outcomes: { ...Object.fromEntries(steps.map((step) => [step, 'done'])), ...changed },
})
const but = (...names: string[]) => steps.filter((step) => !names.includes(step))
erase.good('complete', 'Everything is gone.', all({ links: 'absent' }), {
  action: 'finished',
  reason: 'complete',
  receipt: { erased: steps, failed: [] },
})
erase.good('not-revoked', 'T49: a provider that is gone keeps nothing here.', all({ revoke: 'failed' }), {
  action: 'finished',
  reason: 'not_revoked',
  receipt: { erased: but('revoke'), failed: ['revoke'] },
})
erase.good('partial', 'Not whole, and said so.', all({ runs: 'failed', caches: 'failed' }), {
  action: 'again',
  reason: 'partial',
  receipt: { erased: but('runs', 'caches'), failed: ['runs', 'caches'] },
})
erase.good(
  'not-blocked',
  'Nothing is taken while more may come.',
  { outcomes: { block: 'failed' } },
  { action: 'again', reason: 'not_blocked', receipt: { erased: [], failed: ['block'] } },
)
erase.bad('outcome', 'There is no such outcome.', { outcomes: { block: 'yes' } }, 'claim_invalid')

export default document(
  'What is kept and for how long: settings, runs, sweeps, windows. `setting` answers with the reason that `warn` is told.',
  setting,
  reconnect,
  stale,
  prune,
  begin,
  append,
  terminal,
  recover,
  keep,
  changed,
  orphan,
  resumes,
  link,
  schedule,
  fingerprint,
  dedupe,
  rate,
  bucket,
  expiry,
  sweep,
  erase,
)
