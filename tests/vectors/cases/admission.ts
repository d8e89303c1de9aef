import {
  messageIntent,
  messageRecord,
  sessionRecord,
  type MessageFacts,
  type SessionFacts,
} from '../reference.ts'
import { document, Group, now, repeated } from './common.ts'

const stages = ['absent', 'marked', 'queued', 'sent', 'done', 'failed', 'lapsed']
const credentials = ['none', 'stored', 'superseded']
const failures = [
  'none',
  'interrupted',
  'starting',
  'unreachable',
  'setup_failed',
  'rate_limited',
  'overloaded',
  'permanent',
]
const [marked, queued, sent, done, failed, lapsed] = [1, 2, 3, 4, 5, 6]
const [stored, superseded] = [1, 2]
const s = 1_000

const candidate = {
  id: 'm-1',
  turn: 'do it',
  mode: 'code',
  model: 'a/one',
  modes: ['code', 'plan'],
  models: ['a/one', 'b/two'],
  offer: 'credential',
}
const intent = messageIntent('do it', 'code', 'a/one')

/** The records as they are stored before, both or the session alone. */
const rows = (session: SessionFacts, message?: MessageFacts): Readonly<Record<string, unknown>> => ({
  session: sessionRecord(session),
  ...(message && { message: messageRecord(message) }),
})
/** What a plan says of the two records that come of it. */
const says = (session: SessionFacts, message: MessageFacts): Readonly<Record<string, unknown>> => ({
  ...rows(session, message),
  version: session.version ?? 0,
  admitted: session.admitted ?? 0,
  open: session.open ?? 0,
  stage: stages[message.stage],
  credential: credentials[message.credential ?? 0],
  failure: failures[message.failure ?? 0],
  number: message.number ?? 0,
  sends: message.sends ?? 0,
})
const acknowledges = (session: SessionFacts, message: MessageFacts) => ({
  act: 'acknowledge',
  ...says(session, message),
})
const writes = (
  session: SessionFacts,
  message: MessageFacts,
  { then = 'nothing', blob = 'keep', at = null }: { then?: string; blob?: string; at?: number | null } = {},
) => ({
  act: 'write',
  then,
  blob,
  epoch: session.epoch - 1,
  nextEpoch: session.epoch,
  at,
  ...says(session, message),
})

// The token ----------------------------------------------------------------------------------------
const offer = new Group('admission.offer')
const token = (name: string, comment: string, repository: string, given: unknown, expect: string): void =>
  offer.good(name, comment, { repository, ...(given === undefined ? {} : { token: given }) }, expect)
token(
  'counts',
  'T54: a token for a repository whose credential the caller brings.',
  'generic_git',
  'glpat-x',
  'credential',
)
token('absent', 'T54: no token is none, and clears nothing.', 'generic_git', undefined, 'none')
token('empty', 'T54: an empty one too.', 'generic_git', '', 'none')
token('github', 'T54: a connection has the credential.', 'github', 'ghp_x', 'none')
token('gitlab', 'T54: as above.', 'gitlab', 'glpat-x', 'none')
token('github-odd', 'T54: however it looks.', 'github', 'a\nb', 'none')
token('longest', 'The longest.', 'generic_git', repeated('t', 8_192), 'credential')
token('too-long', 'One byte more.', 'generic_git', repeated('t', 8_193), 'malformed')
token('control', 'T28: a line end would be another line to git.', 'generic_git', 'a\nb', 'malformed')
token('blank', 'Nothing but blanks.', 'generic_git', '   ', 'malformed')
offer.bad('kind', 'There is no such kind.', { repository: 'svn', token: 'x' }, 'claim_invalid')

// A message that comes in --------------------------------------------------------------------------
const plan = new Group('admission.plan')
const composed = { ...candidate, composedAt: now - 5 * s }
const asMarked: MessageFacts = {
  id: 'm-1',
  intent,
  markedAt: now,
  stage: marked,
  credential: stored,
  marked: true,
}
const afterMark: SessionFacts = { epoch: 1, version: 1, composedAt: now - 5 * s, current: 'm-1', open: 1 }
const asQueued: MessageFacts = { ...asMarked, number: 1, nextAttemptAt: now + s, stage: queued }
const afterAdmit: SessionFacts = { ...afterMark, epoch: 2, admitted: 1 }
const settledIn: MessageFacts = { ...asQueued, marked: false }
const afterUnmark: SessionFacts = { ...afterAdmit, epoch: 3 }

plan.good(
  'mark',
  'T53: first the credential, that it is this message’s, and the mark.',
  { candidate: composed, now },
  writes(afterMark, asMarked, { blob: 'credential', at: now + 900 * s }),
)
plan.good(
  'mark-now',
  'Without a moment of the sender’s it was composed when it first came.',
  { candidate, now },
  writes({ ...afterMark, composedAt: now }, asMarked, { blob: 'credential', at: now + 900 * s }),
)
plan.good(
  'admit',
  'T53: then the intent and its place.',
  { candidate: composed, ...rows(afterMark, asMarked), now },
  writes(afterAdmit, asQueued, { blob: 'intent', at: now + s }),
)
plan.good(
  'unmark',
  'T53: then the mark goes, and its sender is told.',
  { candidate: composed, ...rows(afterAdmit, asQueued), now },
  writes(afterUnmark, settledIn, { then: 'acknowledge' }),
)
plan.good(
  'again',
  'The same as often as it comes.',
  { candidate: composed, ...rows(afterUnmark, settledIn), now },
  acknowledges(afterUnmark, settledIn),
)
plan.good(
  'resume',
  'T53: an attempt that was cut off after its mark never stores its credential again, whatever came since.',
  {
    candidate: composed,
    ...rows({ epoch: 4, version: 2, admitted: 1, composedAt: now, current: 'm-2', open: 2 }, asMarked),
    now,
  },
  writes(
    { epoch: 5, version: 2, admitted: 2, composedAt: now, current: 'm-2', open: 2 },
    { ...asQueued, number: 2 },
    {
      blob: 'intent',
      at: now + s,
    },
  ),
)
plan.good(
  'older',
  'T53: one composed earlier than the message whose credential is stored changes nothing of it.',
  {
    candidate: composed,
    ...rows({ epoch: 3, version: 1, admitted: 1, composedAt: now - 4 * s, current: 'm-2', open: 1 }),
    now,
  },
  writes(
    { epoch: 4, version: 1, admitted: 2, composedAt: now - 4 * s, current: 'm-2', open: 2 },
    { id: 'm-1', intent, number: 2, nextAttemptAt: now + s, stage: queued, credential: superseded },
    { then: 'acknowledge', blob: 'intent', at: now + s },
  ),
)
plan.good(
  'none',
  'T54: without a credential it is admitted at once, and the one that is there stays.',
  { candidate: { ...candidate, offer: 'none' }, ...rows(afterUnmark), now },
  writes(
    { ...afterUnmark, epoch: 4, admitted: 2, open: 2 },
    { id: 'm-1', intent, number: 2, nextAttemptAt: now + s, stage: queued },
    { then: 'acknowledge', blob: 'intent', at: now + s },
  ),
)
const asLapsed: MessageFacts = { ...asMarked, stage: lapsed, marked: false }
plan.good(
  'lapsed',
  'T53: after its place was given up it is admitted, and the credential left alone.',
  { candidate: composed, ...rows({ ...afterMark, epoch: 2, open: 0 }, asLapsed), now },
  writes(
    { ...afterMark, epoch: 3, admitted: 1, open: 1 },
    { ...asLapsed, number: 1, nextAttemptAt: now + s, stage: queued },
    { then: 'acknowledge', blob: 'intent', at: now + s },
  ),
)
const asDone: MessageFacts = { ...asQueued, stage: done, sends: 1 }
plan.good(
  'done-untold',
  'It ended before its sender was told.',
  { candidate: composed, ...rows({ ...afterAdmit, open: 0 }, asDone), now },
  writes({ ...afterUnmark, open: 0 }, { ...asDone, marked: false }, { then: 'acknowledge' }),
)
const refuse = (
  name: string,
  comment: string,
  error: string,
  changed: object,
  session?: SessionFacts,
): void =>
  plan.bad(
    name,
    comment,
    { candidate: { ...candidate, ...changed }, ...(session && rows(session)), now },
    error,
  )
const full: SessionFacts = { epoch: 20, admitted: 10, open: 10 }
const wrong = { turn: ' ', mode: 'Code', model: 'c/three', offer: 'malformed' }
refuse('turn', 'T52: nothing but blanks; what it refuses changes nothing.', 'turn_invalid', wrong, full)
refuse('turn-long', 'T52: one byte more than there may be.', 'turn_invalid', { turn: repeated('x', 32_769) })
refuse('mode', 'T52: a mode that is none is looked at next.', 'mode_invalid', { ...wrong, turn: 'x' }, full)
refuse('model', 'T52: then the model.', 'model_invalid', { ...wrong, turn: 'x', mode: 'plan' }, full)
refuse('model-form', 'A model of no model’s form, where any is known.', 'model_invalid', {
  model: 'a\tb',
  models: [],
})
refuse('credential', 'T52: then the credential.', 'credential_invalid', { offer: 'malformed' }, full)
refuse('full', 'T52: and last the queue.', 'queue_full', {}, full)
refuse('id', 'No id.', 'claim_invalid', { id: '' })
refuse('id-long', 'One byte more than an id may have.', 'claim_invalid', { id: repeated('i', 101) })
refuse('future', 'A moment that is more than a minute away.', 'claim_invalid', {
  composedAt: now + 60 * s + 1,
})
refuse('never', 'A moment that is none.', 'time_invalid', { composedAt: 0 })
plan.good(
  'any-model',
  'Where no models are known any of a model’s form is one.',
  { candidate: { ...candidate, models: [], model: 'c/three', offer: 'none' }, now },
  writes(
    { epoch: 1, admitted: 1, open: 1 },
    {
      id: 'm-1',
      intent: messageIntent('do it', 'code', 'c/three'),
      number: 1,
      nextAttemptAt: now + s,
      stage: queued,
    },
    { then: 'acknowledge', blob: 'intent', at: now + s },
  ),
)
for (const part of ['turn', 'mode', 'model'] as const) {
  const other = { turn: 'do something else', mode: 'plan', model: 'b/two' }[part]
  plan.bad(
    `conflict-${part}`,
    'That id belongs to a message that says something else.',
    { candidate: { ...composed, [part]: other }, ...rows(afterUnmark, settledIn), now },
    'message_conflict',
  )
}
const asTold: MessageFacts = { ...asDone, marked: false }
plan.bad(
  'ended',
  'It is done; its id is used up.',
  { candidate: composed, ...rows({ ...afterUnmark, open: 0 }, asTold), now },
  'message_ended',
)
const record = sessionRecord(afterUnmark)
plan.bad('no-record', 'A record that is none.', { candidate, session: 'ff'.repeat(50), now }, 'corrupt')
plan.bad('short', 'A record that was cut off.', { candidate, session: record.slice(2), now }, 'corrupt')
plan.bad(
  'swapped',
  'A record in the other’s place.',
  { candidate, ...rows(afterUnmark), message: record, now },
  'corrupt',
)
plan.bad(
  'other',
  'The record of another message.',
  { candidate: { ...candidate, id: 'm-9' }, ...rows(afterUnmark, settledIn), now },
  'corrupt',
)
plan.bad('time', 'A time that is none.', { candidate, now: 'NaN' }, 'time_invalid')

// Its turn -----------------------------------------------------------------------------------------
const drain = new Group('admission.drain')
drain.good(
  'waits',
  'Not before its first attempt is due.',
  { ...rows(afterUnmark, settledIn), now: now + 999 },
  { act: 'nothing', at: now + s },
)
drain.good(
  'send',
  'Then, and again a minute later if nothing is said of it.',
  { ...rows(afterUnmark, settledIn), now: now + s },
  writes(
    { ...afterUnmark, epoch: 4 },
    { ...settledIn, nextAttemptAt: now + 61 * s, sends: 1 },
    { then: 'send', at: now + 61 * s },
  ),
)
drain.good(
  'mark-holds',
  'A mark holds its place for a quarter of an hour.',
  { ...rows(afterMark, asMarked), now: now + 899 * s },
  { act: 'nothing', at: now + 900 * s },
)
drain.good(
  'lapse',
  'Then it is given up; what it stored stays.',
  { ...rows(afterMark, asMarked), now: now + 900 * s },
  writes({ ...afterMark, epoch: 2, open: 0 }, asLapsed, { at: now + 900 * s }),
)
const tired: MessageFacts = { ...settledIn, sends: 20, settled: 20 }
drain.good(
  'enough',
  'T65: sent as often as it may be, it has failed.',
  { ...rows(afterUnmark, tired), now: now + s },
  writes({ ...afterUnmark, epoch: 4, open: 0 }, { ...tired, stage: failed }, { blob: 'wipe', at: now + s }),
)
const asSent: MessageFacts = { ...settledIn, stage: sent, sends: 1 }
drain.good(
  'sent',
  'The agent has it.',
  { ...rows({ ...afterUnmark, open: 0 }, asSent), now: now + 9_999 * s },
  { act: 'nothing', at: null },
)
drain.bad('corrupt', 'A record that is none.', { session: '00', message: '00', now }, 'corrupt')

// What became of it --------------------------------------------------------------------------------
const settle = new Group('admission.settle')
const leased: MessageFacts = { ...settledIn, nextAttemptAt: now + 60 * s, sends: 1 }
const report = (
  name: string,
  comment: string,
  said: object,
  expect: unknown,
  before: MessageFacts = leased,
  session: SessionFacts = afterUnmark,
): void => settle.good(name, comment, { ...rows(session, before), report: said, now }, expect)
const ends: SessionFacts = { ...afterUnmark, epoch: 4, open: 0 }
const reported = { then: 'acknowledge', at: now }
report(
  'accepted',
  'The agent has it; its place is free.',
  { outcome: 'accepted' },
  writes(ends, { ...leased, stage: sent }, reported),
)
report(
  'completed',
  'Done; nothing of what it said stays.',
  { outcome: 'completed' },
  writes(ends, { ...leased, stage: done }, { ...reported, blob: 'wipe' }),
)
report(
  'aborted',
  'Given up.',
  { outcome: 'aborted' },
  writes(ends, { ...leased, stage: failed }, { ...reported, blob: 'wipe' }),
)
const waits: readonly (readonly [number, number])[] = [
  [1, 2],
  [2, 5],
  [3, 10],
  [4, 15],
  [5, 120],
  [6, 30],
]
for (const [failure, wait] of waits) {
  report(
    `undelivered-${failures[failure]}`,
    'It comes again after the first wait of its class.',
    { outcome: 'undelivered', failure: failures[failure], sends: 1 },
    writes(
      { ...afterUnmark, epoch: 4 },
      { ...leased, nextAttemptAt: now + wait * s, failure, attempts: 1, settled: 1 },
      { then: 'acknowledge', at: now + wait * s },
    ),
  )
}
report(
  'undelivered-permanent',
  'It has failed.',
  { outcome: 'undelivered', failure: 'permanent', sends: 1 },
  writes(
    ends,
    { ...leased, stage: failed, failure: 7, attempts: 1, settled: 1 },
    { ...reported, blob: 'wipe' },
  ),
)
report(
  'undelivered-late',
  'A report on an attempt that was followed by another counts for nothing.',
  { outcome: 'undelivered', failure: 'unreachable', sends: 1 },
  acknowledges(afterUnmark, { ...leased, sends: 2 }),
  { ...leased, sends: 2 },
)
const over: MessageFacts = { ...asTold, stage: done }
report(
  'over',
  'What has ended stays as it is.',
  { outcome: 'aborted' },
  acknowledges({ ...afterUnmark, open: 0 }, over),
  over,
  { ...afterUnmark, open: 0 },
)
settle.bad(
  'outcome',
  'There is no such outcome.',
  { ...rows(afterUnmark, leased), report: { outcome: 'lost' }, now },
  'claim_invalid',
)
settle.bad(
  'failure',
  'There is no such failure.',
  { ...rows(afterUnmark, leased), report: { outcome: 'undelivered', failure: 'tired', sends: 1 }, now },
  'claim_invalid',
)

export default document(
  'Messages of a session: what is written when, and what becomes of them.',
  offer,
  plan,
  drain,
  settle,
)
