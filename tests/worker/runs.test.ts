import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import type { RunEvent, RunView } from 'latchkey/runs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { runKeyOf, threadName, vaultName } from '../../wrangler/src/names.ts'
import type { Finished, Found, Started, Written } from '../../wrangler/src/thread.ts'
import { ask, assertion, bearer, bindings, Browser, errorOf, json, lk } from './harness.ts'
import { baseUrl, keys } from './variables.ts'

const minute = 60_000
const day = 86_400_000

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
})

const at = (now: number): void => void vi.useFakeTimers({ toFake: ['Date'], now })

interface As {
  readonly subject?: string
  readonly device?: string
  readonly org?: string
  readonly role?: string
  readonly kind?: 'human' | 'service'
}
const headersOf = ({
  subject = 'alex',
  device,
  org,
  role,
  kind = 'service',
}: As): Record<string, string> => ({
  authorization: assertion({
    subject,
    kind: device === undefined ? kind : 'device',
    ...(device !== undefined && { device }),
    ...(org !== undefined && { org }),
    ...(role !== undefined && { role }),
  }),
  ...json,
})
const send = (path: string, body: unknown = {}, as: As = {}): Promise<Response> =>
  ask(path, { method: 'POST', headers: headersOf(as), body: JSON.stringify(body) })
const get = (path: string, as: As = {}, headers: Record<string, string> = {}): Promise<Response> =>
  ask(path, { headers: { ...headersOf(as), ...headers } })

let made = 0
const newKey = (): string => `key-${(made += 1)}`
async function start(threadId: string, more: object = {}, as: As = {}): Promise<Started> {
  const response = await send('/api/runs', { threadId, clientKey: newKey(), ...more }, as)
  if (!response.ok) throw new Error(await errorOf(response))
  return (await response.json()) as Started
}
const write = (runId: string, events: readonly object[], more: object = {}, as: As = {}) =>
  send(`/api/runs/${runId}/events`, { events, ...more }, as)
const step = (key: string, data?: unknown): object => ({
  key,
  type: 'step',
  ...(data !== undefined && { data }),
})
const finish = async (runId: string, body: object = {}, as: As = {}): Promise<Finished> =>
  (await (await send(`/api/runs/${runId}/finish`, body, as)).json()) as Finished
const view = async (runId: string): Promise<RunView> =>
  (await (await get(`/api/runs/${runId}`)).json()) as RunView
const active = async (threadId: string, query = ''): Promise<Found> =>
  (await (await get(`/api/threads/${threadId}/active-run${query}`)).json()) as Found
const threadOf = (threadId: string, subject = 'alex') =>
  bindings.THREAD.getByName(threadName(baseUrl, { kind: 'user', id: subject }, threadId))
const sql = (threadId: string, statement: string, ...values: SqlStorageValue[]) =>
  runInDurableObject(threadOf(threadId), (_, { storage }) => storage.sql.exec(statement, ...values).toArray())
const told = async (response: Response) => [response.status, await errorOf(response)]

/** Every event of a log, to its end. */
async function follow(runId: string, from = 1, headers: Record<string, string> = {}): Promise<RunEvent[]> {
  const response = await get(`/api/runs/${runId}/events?from=${from}`, {}, headers)
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  return eventsOf(await response.text())
}
const eventsOf = (text: string): RunEvent[] =>
  text
    .split('\n\n')
    .filter((block) => block.startsWith('id: '))
    .map((block) => {
      const [id, data, ...more] = block.split('\n')
      const event = JSON.parse(data!.slice('data: '.length)) as RunEvent
      expect([id, more]).toEqual([`id: ${event.seq}`, []])
      return event
    })

describe('a run', () => {
  test('starts once for every key, and one at a time in a thread', async () => {
    const body = { threadId: 't', clientKey: 'one', input: { say: 'hello' } }
    const [first, second] = await Promise.all([send('/api/runs', body), send('/api/runs', body)])
    const started = [first, second].map((response) => response.json() as Promise<Started>)
    const [a, b] = await Promise.all(started)
    expect(a!.runId).toBe(b!.runId)
    expect([first.status, second.status].sort()).toEqual([200, 201])
    expect(await told(await send('/api/runs', { threadId: 't', clientKey: 'two' }))).toEqual([
      409,
      'run_active',
    ])
    await start('other')
    await finish(a!.runId)
    // The same key is the same run, whatever has become of it.
    expect(await (await send('/api/runs', body)).json()).toEqual({
      runId: a!.runId,
      status: 'completed',
      lastSeq: 1,
      created: false,
    })
    await start('t')
    expect(await sql('t', 'SELECT count(*) AS n FROM run')).toEqual([{ n: 2 }])
  })

  test('T68: a hundred at the same time in one thread and in many have ids of their own', async () => {
    const many = await Promise.all(Array.from({ length: 50 }, (_, n) => start(`t-${n}`)))
    for (let n = 0; n < 50; n += 1) {
      const { runId } = await start('same')
      await finish(runId)
      many.push({ runId } as Started)
    }
    expect(new Set(many.map(({ runId }) => runId)).size).toBe(100)
    expect(await sql('same', 'SELECT count(DISTINCT n) AS n FROM run')).toEqual([{ n: 50 }])
  })

  test('its log is read to the end, from anywhere', async () => {
    const { runId } = await start('t')
    const first = await write(runId, [step('a', { text: 'ä\n\r\u2028' }), step('b')])
    expect((await first.json()) as Written).toEqual({
      lastSeq: 2,
      events: [
        { key: 'a', seq: 1 },
        { key: 'b', seq: 2 },
      ],
    })
    const reading = follow(runId)
    await write(runId, [step('c', [1, 2])])
    expect(await finish(runId, { data: { tokens: 7 } })).toEqual({
      status: 'completed',
      lastSeq: 4,
      idempotent: false,
    })
    const events = await reading
    expect(events.map(({ seq, type }) => [seq, type])).toEqual([
      [1, 'step'],
      [2, 'step'],
      [3, 'step'],
      [4, 'done'],
    ])
    expect(events[0]!.data).toEqual({ text: 'ä\n\r\u2028' })
    expect(events[3]).toMatchObject({ data: { tokens: 7 }, end: { kind: 'done', status: 'completed' } })
    expect(await follow(runId)).toEqual(events)
    expect(await follow(runId, 3)).toEqual(events.slice(2))
    expect(await follow(runId, 1, { 'last-event-id': '3' })).toEqual(events.slice(3))
    const nothing = await get(`/api/runs/${runId}/events?from=5`)
    expect([nothing.status, await nothing.text()]).toEqual([204, ''])
  })
})

describe('what is written', () => {
  test('is written once for every key, in the order that its writer says', async () => {
    const { runId } = await start('t')
    expect((await write(runId, [step('a'), step('b')], { after: 0 })).status).toBe(200)
    // The reply was lost; the same again, and one more.
    expect(await (await write(runId, [step('a'), step('b'), step('c')], { after: 2 })).json()).toEqual({
      lastSeq: 3,
      events: [
        { key: 'a', seq: 1, duplicate: true },
        { key: 'b', seq: 2, duplicate: true },
        { key: 'c', seq: 3 },
      ],
    })
    expect(await told(await write(runId, [step('d')], { after: 2 }))).toEqual([409, 'event_out_of_order'])
    expect(await told(await write(runId, [step('a', 'else')]))).toEqual([409, 'event_conflict'])
    // One that is refused takes the whole batch back.
    expect(await told(await write(runId, [step('e'), step('a', 'else')]))).toEqual([409, 'event_conflict'])
    expect((await view(runId)).lastSeq).toBe(3)
    await finish(runId)
    expect(await told(await write(runId, [step('f')]))).toEqual([409, 'run_ended'])
    expect((await write(runId, [step('c')])).status).toBe(200)
    expect((await follow(runId)).map(({ type }) => type)).toEqual(['step', 'step', 'step', 'done'])
  })

  test('has limits, each with its code', async () => {
    const { runId } = await start('t')
    expect((await write(runId, [step('a', 'x'.repeat(32_766))])).status).toBe(200)
    expect(await told(await write(runId, [step('b', 'x'.repeat(32_767))]))).toEqual([413, 'event_too_large'])
    // Bytes, not characters.
    expect(await told(await write(runId, [step('b', 'ä'.repeat(17_000))]))).toEqual([413, 'event_too_large'])
    expect(await told(await write(runId, [step('b', 'x'.repeat(70_000))]))).toEqual([413, 'too_large'])
    const many = Array.from({ length: 101 }, (_, n) => step(`k-${n}`))
    expect(await told(await write(runId, many))).toEqual([413, 'too_large'])
  })

  test('T65: a log of 10,000 events is full, one of 9,999 is not, and there is room for its end', async () => {
    const { runId } = await start('t')
    await write(runId, [step('a')])
    await sql('t', "INSERT INTO event SELECT run, 9999, 'far', at, type, NULL, NULL FROM event")
    // The second of two does not fit: neither is written.
    expect(await told(await write(runId, [step('b'), step('c')]))).toEqual([409, 'run_full'])
    expect((await view(runId)).lastSeq).toBe(9_999)
    expect(await (await write(runId, [step('b')])).json()).toMatchObject({ lastSeq: 10_000 })
    expect(await told(await write(runId, [step('c')]))).toEqual([409, 'run_full'])
    expect(await finish(runId)).toMatchObject({ status: 'completed', lastSeq: 10_001 })
  })

  test.each([
    [{}],
    [{ events: [] }],
    [{ events: {} }],
    [{ events: [null] }],
    [{ events: [{ key: 'a' }] }],
    [{ events: [{ key: 'a', type: 'done' }] }],
    [{ events: [{ key: 'a', type: 'error' }] }],
    [{ events: [{ key: 'a', type: 'Upper' }] }],
    [{ events: [{ key: 'a', type: 'x\nid: 9' }] }],
    [{ events: [{ key: 'a', type: 'x', seq: 1 }] }],
    [{ events: [{ key: 1, type: 'x' }] }],
    [{ events: [{ key: 'a', type: 'x' }], after: '0' }],
    [{ events: [{ key: 'a', type: 'x' }], unknown: 1 }],
  ])('%j is refused', async (body) => {
    const { runId } = await start('t')
    expect(await told(await send(`/api/runs/${runId}/events`, body))).toEqual([400, 'request_invalid'])
  })

  test.each(['', '..', 'a/b', 'a b', 'x'.repeat(101), '\u0000'])(
    'T38: a key or thread %j is no name',
    async (name) => {
      const { runId } = await start('t')
      expect(await told(await write(runId, [step(name)]))).toEqual([400, 'name_invalid'])
      expect(await told(await send('/api/runs', { threadId: name, clientKey: 'a' }))).toEqual([
        400,
        'name_invalid',
      ])
      expect(await told(await send('/api/runs', { threadId: 't', clientKey: name }))).toEqual([
        400,
        'name_invalid',
      ])
    },
  )
})

describe('who may', () => {
  test("an id that is none, or somebody else's, has its own code and leaves the run as it was", async () => {
    const { runId } = await start('t')
    await write(runId, [step('a')])
    const before = await view(runId)
    const { object } = runKeyOf(runId)!
    const other = await start('u')
    const ids = [
      ['x', 404, 'run_unknown'],
      ['A'.repeat(64), 404, 'run_unknown'],
      [`${runId.slice(0, 43)}${'A'.repeat(21)}`, 404, 'run_unknown'],
      // The random part of another run, in this thread.
      [`${runId.slice(0, 42)}${other.runId.slice(42)}`, 404, 'run_unknown'],
    ] as const
    expect(object).toMatch(/^[0-9a-f]{64}$/)
    for (const [id, status, code] of ids)
      for (const path of ['events', 'heartbeat', 'finish', 'abort']) {
        const body = path === 'events' ? { events: [step('b')] } : {}
        expect(await told(await send(`/api/runs/${id}/${path}`, body))).toEqual([status, code])
        expect(await told(await get(`/api/runs/${id}`))).toEqual([status, code])
      }
    for (const path of ['events', 'heartbeat', 'finish', 'abort']) {
      const body = path === 'events' ? { events: [step('b')] } : {}
      expect(await told(await send(`/api/runs/${runId}/${path}`, body, { subject: 'sam' }))).toEqual([
        403,
        'run_foreign',
      ])
    }
    expect(await told(await get(`/api/runs/${runId}`, { subject: 'sam' }))).toEqual([403, 'run_foreign'])
    expect(await told(await get(`/api/runs/${runId}/events`, { subject: 'sam' }))).toEqual([
      403,
      'run_foreign',
    ])
    // Another person's thread of the same name is another thread.
    const found = (await (await get('/api/threads/t/active-run', { subject: 'sam' })).json()) as Found
    expect([found.run, found.runs]).toEqual([null, []])
    expect(await view(runId)).toEqual(before)
  })

  test("a run of an organisation is its members' to read, and nobody else's", async () => {
    const acme: As = { org: 'acme', role: 'admin' }
    const { runId } = await start('t', { owner: 'org' }, acme)
    expect((await get(`/api/runs/${runId}`, { subject: 'sam', org: 'acme' })).status).toBe(200)
    expect(await told(await get(`/api/runs/${runId}`, { subject: 'sam', org: 'evil' }))).toEqual([
      403,
      'run_foreign',
    ])
    expect(await told(await get(`/api/runs/${runId}`))).toEqual([403, 'run_foreign'])
    expect(await told(await send('/api/runs', { threadId: 't', clientKey: 'a', owner: 'org' }))).toEqual([
      403,
      'not_allowed',
    ])
  })

  // What each may do with a run of themselves (`mine`), and with one of the organisation `acme`.
  const verbs = ['start', 'read', 'follow', 'find', 'append', 'heartbeat', 'finish', 'abort'] as const
  const reading = ['read', 'follow', 'find']
  const working = [...reading, 'append', 'heartbeat', 'finish']
  type Told = 'ok' | 'not_allowed' | 'run_foreign' | 'device_mismatch' | 'nothing'
  const only = (allowed: readonly string[], otherwise: Told, more: Partial<Record<string, Told>> = {}) =>
    verbs.map((verb): Told => more[verb] ?? (allowed.includes(verb) ? 'ok' : otherwise))
  const foreign = (more: Partial<Record<string, Told>>) => only([], 'run_foreign', more)
  const acme = (role?: string, more: As = {}): As => ({
    subject: 'kim',
    kind: 'human',
    org: 'acme',
    ...(role !== undefined && { role }),
    ...more,
  })
  // Of no business of theirs are a start for an organisation that they are not in, and a thread that is not theirs.
  const stranger = { start: 'not_allowed', find: 'not_allowed' } as const
  const actors: readonly [string, 'mine' | 'acme', As, readonly Told[]][] = [
    ['a person', 'mine', { kind: 'human' }, only(verbs, 'ok')],
    ['a service for them', 'mine', { kind: 'service' }, only(verbs, 'ok')],
    ['as a member', 'mine', { kind: 'human', org: 'acme', role: 'member' }, only(verbs, 'ok')],
    ['another person', 'mine', { subject: 'kim', kind: 'human' }, foreign({ start: 'ok', find: 'nothing' })],
    ['an admin', 'mine', acme('admin'), foreign({ start: 'ok', find: 'nothing' })],
    ['their device', 'mine', { device: 'd-1' }, only(working, 'not_allowed')],
    [
      'another device of theirs',
      'mine',
      { device: 'd-2' },
      only([], 'device_mismatch', { start: 'not_allowed', abort: 'not_allowed', find: 'nothing' }),
    ],
    [
      'a device of that name of another',
      'mine',
      { subject: 'kim', device: 'd-1' },
      foreign({ start: 'not_allowed', abort: 'not_allowed', find: 'nothing' }),
    ],
    ['an owner', 'acme', acme('owner'), only(verbs, 'ok')],
    ['an admin', 'acme', acme('admin'), only(verbs, 'ok')],
    ['a service that is an admin', 'acme', acme('admin', { kind: 'service' }), only(verbs, 'ok')],
    ['a member', 'acme', acme('member'), only(reading, 'not_allowed')],
    ['somebody without a role', 'acme', acme(), only(reading, 'not_allowed')],
    ['an Admin', 'acme', acme('Admin'), only(reading, 'not_allowed')],
    ['a service without a role', 'acme', acme(undefined, { kind: 'service' }), only(reading, 'not_allowed')],
    [
      'an admin of another',
      'acme',
      acme('admin', { org: 'evil' }),
      foreign({ start: 'ok', find: 'nothing' }),
    ],
    ['a person', 'acme', { subject: 'kim', kind: 'human' }, foreign(stranger)],
    ['its device', 'acme', acme(undefined, { device: 'd-1' }), only(working, 'not_allowed')],
    [
      'another device',
      'acme',
      acme('admin', { device: 'd-2' }),
      only([], 'device_mismatch', { start: 'not_allowed', abort: 'not_allowed', find: 'nothing' }),
    ],
  ]
  test.each(actors)('T17 T34: %s, with a run of %s', async (_, whose, as, expected) => {
    const owner = whose === 'mine' ? 'user' : 'org'
    const founder: As = whose === 'mine' ? {} : { org: 'acme', role: 'owner' }
    const found: Told[] = []
    for (const verb of verbs) {
      const thread = `t-${verb}`
      const { runId } = await start(thread, { owner, device: 'd-1' }, founder)
      const before = await (await get(`/api/runs/${runId}`, founder)).json()
      const path = `/api/runs/${runId}`
      const ways: Record<(typeof verbs)[number], () => Promise<Response>> = {
        start: () => send('/api/runs', { threadId: 'new', clientKey: newKey(), owner }, as),
        read: () => get(path, as),
        follow: () => get(`${path}/events`, as),
        find: () => get(`/api/threads/${thread}/active-run?owner=${owner}`, as),
        append: () => write(runId, [step('a')], {}, as),
        heartbeat: () => send(`${path}/heartbeat`, { claim: 'me' }, as),
        finish: () => send(`${path}/finish`, {}, as),
        abort: () => send(`${path}/abort`, {}, as),
      }
      const response = await ways[verb]()
      if (response.ok && verb === 'find') {
        const { run, runs } = (await response.json()) as Found
        expect(runs.length).toBe(run ? 1 : 0)
        found.push(run ? 'ok' : 'nothing')
      } else found.push(response.ok ? 'ok' : ((await errorOf(response)) as Told))
      if (response.ok && verb === 'follow') await response.body?.cancel()
      // Whoever may not has changed nothing.
      if (found.at(-1) !== 'ok') expect(await (await get(path, founder)).json()).toEqual(before)
      expect([401, 404].includes(response.status)).toBe(false)
    }
    expect(Object.fromEntries(verbs.map((verb, n) => [verb, found[n]]))).toEqual(
      Object.fromEntries(verbs.map((verb, n) => [verb, expected[n]])),
    )
  })

  test('T34: a device works at its own runs and at no other, whatever the body says', async () => {
    const { runId } = await start('t', { device: 'd-1' })
    const { runId: nobodys } = await start('u')
    const refused = [403, 'device_mismatch']
    const as = (device: string): As => ({ device })
    expect(await told(await send(`/api/runs/${runId}/finish`, {}, as('d-2')))).toEqual(refused)
    expect(await told(await send(`/api/runs/${runId}/finish`, { device: 'd-1' }, as('d-2')))).toEqual(refused)
    expect(await told(await send(`/api/runs/${runId}/finish`, { device: 'd-2' }, as('d-1')))).toEqual(refused)
    expect(await told(await write(runId, [step('a')], {}, as('d-2')))).toEqual(refused)
    expect(await told(await send(`/api/runs/${runId}/heartbeat`, {}, as('d-2')))).toEqual(refused)
    expect(await told(await send(`/api/runs/${nobodys}/finish`, {}, as('d-1')))).toEqual([
      409,
      'device_mismatch',
    ])
    expect(await told(await send(`/api/runs/${runId}/abort`, {}, as('d-1')))).toEqual([403, 'not_allowed'])
    expect(await told(await send('/api/runs', { threadId: 'v', clientKey: 'a' }, as('d-1')))).toEqual([
      403,
      'not_allowed',
    ])
    expect(await view(runId)).toMatchObject({ status: 'running', lastSeq: 0 })
    expect((await write(runId, [step('a')], {}, as('d-1'))).status).toBe(200)
    expect(await finish(runId, { device: 'd-1' }, as('d-1'))).toMatchObject({
      status: 'completed',
      idempotent: false,
    })
    expect(await finish(runId, {}, as('d-1'))).toMatchObject({ status: 'completed', idempotent: true })
  })

  test('of several who want to work at it, the first does', async () => {
    const { runId } = await start('t')
    const claims = await Promise.all(
      ['a', 'b', 'c'].map(async (claim) => {
        const response = await send(`/api/runs/${runId}/heartbeat`, { claim })
        return ((await response.json()) as { claimed: boolean }).claimed
      }),
    )
    expect(claims.filter(Boolean)).toHaveLength(1)
    const winner = ['a', 'b', 'c'][claims.indexOf(true)]
    const again = await send(`/api/runs/${runId}/heartbeat`, { claim: winner })
    expect(await again.json()).toMatchObject({ claimed: true })
  })
})

describe('how a run ends', () => {
  const ends = async (runId: string) => (await follow(runId)).filter(({ end }) => end !== undefined)

  test.each([
    ['done', 'completed'],
    ['auto_continue', 'completed'],
    ['loop_limit', 'truncated'],
    ['error', 'errored'],
    ['missing_api_key', 'errored'],
  ])('with %s it is %s', async (kind, status) => {
    const { runId } = await start('t')
    expect(await finish(runId, { kind })).toEqual({ status, lastSeq: 1, idempotent: false })
    expect(await finish(runId, { kind: 'error' })).toEqual({ status, lastSeq: 1, idempotent: true })
    expect(await ends(runId)).toMatchObject([{ seq: 1, type: kind, end: { kind, status } }])
  })

  test('T59: aborted, it ends and is not found again', async () => {
    const { runId } = await start('t')
    expect(await (await send(`/api/runs/${runId}/abort`)).json()).toEqual({
      status: 'aborted',
      lastSeq: 1,
      idempotent: false,
    })
    expect(await ends(runId)).toMatchObject([{ type: 'done', end: { status: 'aborted' } }])
    expect(await active('t')).toMatchObject({ run: null, action: 'refuse', reason: 'aborted' })
    expect(await finish(runId)).toMatchObject({ status: 'aborted', idempotent: true })
  })

  test('silent for too long, it is ended once, as of its last sign of life', async () => {
    const now = Date.now()
    at(now)
    const { runId } = await start('t')
    await send(`/api/runs/${runId}/heartbeat`)
    at(now + 15_000)
    expect((await view(runId)).status).toBe('running')
    // T63: what is in flight has longer, while its process gives signs.
    await send(`/api/runs/${runId}/heartbeat`, { inFlight: true })
    at(now + 15_000 + 100_000)
    await runDurableObjectAlarm(threadOf('t'))
    expect((await view(runId)).status).toBe('running')
    await send(`/api/runs/${runId}/heartbeat`, { process: true })
    at(now + 115_000 + 120_001)
    await runDurableObjectAlarm(threadOf('t'))
    const events = await ends(runId)
    expect(events).toMatchObject([
      { seq: 1, type: 'error', end: { status: 'errored', cause: 'stale_run', recoverable: true } },
    ])
    expect(await view(runId)).toMatchObject({ completedAt: now + 115_000, cause: 'stale_run' })
    expect(await follow(runId)).toEqual(events)
  })

  test('nobody works at it for 25 s: the next look ends it, without any alarm', async () => {
    const now = Date.now()
    at(now)
    const { runId } = await start('t')
    at(now + 25_001)
    // What is dead and not reaped yet is not told of this time.
    expect(await active('t')).toMatchObject({ run: null, action: 'refuse', reason: 'stale' })
    expect(await ends(runId)).toMatchObject([{ end: { cause: 'stale_run', early: true } }])
    expect(await active('t')).toMatchObject({ action: 'replay', reason: 'finished', run: { runId } })
  })

  test('without anything new for longer than it may be: the idle limit', async () => {
    const now = Date.now()
    at(now)
    const { runId } = await start('t', { idleMs: 60_000 })
    for (let ms = 10_000; ms <= 60_000; ms += 10_000) {
      at(now + ms)
      await send(`/api/runs/${runId}/heartbeat`)
    }
    expect((await view(runId)).status).toBe('running')
    at(now + 60_001)
    await runDurableObjectAlarm(threadOf('t'))
    expect(await ends(runId)).toMatchObject([{ end: { cause: 'idle_limit', status: 'errored' } }])
  })

  test('T60: a log without an end gets one, with the next number, once; a real one that is there wins', async () => {
    const statuses = { completed: 'done', errored: 'error', truncated: 'loop_limit', aborted: 'done' }
    for (const [status, kind] of Object.entries(statuses)) {
      const { runId } = await start(`t-${status}`)
      await write(runId, [step('a'), step('b')])
      await sql(
        `t-${status}`,
        'UPDATE run SET status = ?, due_at = ?, completed_at = ?',
        status,
        Date.now() + day,
        Date.now(),
      )
      const events = await follow(runId)
      expect(events.map(({ seq, type }) => [seq, type])).toEqual([
        [1, 'step'],
        [2, 'step'],
        [3, kind],
      ])
      expect(await follow(runId)).toEqual(events)
    }
    const { runId } = await start('late')
    await write(runId, [step('a')])
    await sql(
      'late',
      'UPDATE event SET type = ?, end = ?',
      'done',
      JSON.stringify({ kind: 'done', status: 'completed' }),
    )
    at(Date.now() + minute)
    await runDurableObjectAlarm(threadOf('late'))
    expect(await view(runId)).toMatchObject({ status: 'completed', lastSeq: 1 })
    expect(await ends(runId)).toHaveLength(1)
  })

  test('with the connection that it uses, once, and with the cause', async () => {
    const browser = await Browser.of({ subject: 'alex' })
    await browser.connect('good')
    const users = await Promise.all(
      ['a', 'b'].map((thread) => start(thread, { uses: [{ provider: 'good' }] })),
    )
    const { runId: other } = await start('c')
    await ask('/api/connections/good?owner=user', { method: 'DELETE', headers: bearer('alex') })
    for (const { runId } of users) {
      expect(await ends(runId)).toMatchObject([{ end: { cause: 'connection_revoked', status: 'errored' } }])
    }
    expect((await view(other)).status).toBe('running')
    const vault = bindings.VAULT.getByName(
      vaultName(baseUrl, { owner: { kind: 'user', id: 'alex' }, provider: 'good' }),
    )
    const left = await runInDurableObject(vault, (_, { storage }) =>
      storage.sql.exec('SELECT * FROM run_watcher').toArray(),
    )
    expect(left).toEqual([])
    const key = { owner: { kind: 'user', id: 'alex' }, provider: 'good' } as const
    expect(await threadOf('a').endRuns(key, 'reconnect_required')).toBe(0)
    await start('a', { uses: [{ provider: 'good' }] })
    expect(await threadOf('a').endRuns({ ...key, provider: 'moved' }, 'reconnect_required')).toBe(0)
    expect(await threadOf('a').endRuns(key, 'reconnect_required')).toBe(1)
  })
})

describe('finding it again', () => {
  test('T58: for 20 minutes after its end, however long it ran', async () => {
    const now = Date.now()
    at(now)
    const { runId } = await start('t', { background: true })
    for (let ms = 20_000; ms <= 11 * minute; ms += 60_000) {
      at(now + ms)
      await send(`/api/runs/${runId}/heartbeat`)
    }
    at(now + 11 * minute)
    await finish(runId)
    at(now + 11 * minute + 2_000)
    expect(await active('t')).toMatchObject({
      action: 'replay',
      reason: 'finished',
      run: { runId, status: 'completed' },
    })
    at(now + 31 * minute)
    expect((await active('t')).run?.runId).toBe(runId)
    at(now + 31 * minute + 1)
    expect(await active('t')).toMatchObject({ run: null, action: 'refuse', reason: 'existed' })
  })

  test('T64: a finished run never hides a live one', async () => {
    const first = await start('t')
    await finish(first.runId)
    const second = await start('t')
    expect(await active('t')).toMatchObject({
      action: 'reconnect',
      reason: 'live',
      run: { runId: second.runId },
    })
    await finish(second.runId)
    expect((await active('t')).run?.runId).toBe(second.runId)
  })

  test('by the key that it was asked for under, whatever has become of it', async () => {
    const { runId } = await start('t', { clientKey: 'mine' })
    await finish(runId)
    await start('t')
    expect((await active('t', '?clientKey=mine')).runs).toMatchObject([{ runId, status: 'completed' }])
    expect(await active('t', '?clientKey=other')).toMatchObject({
      run: null,
      action: 'post',
      reason: 'never_ran',
      runs: [],
    })
  })
})

describe('forgetting it', () => {
  test('T62: completed after a day, others after a week, each outcome counted once', async () => {
    const now = Date.now()
    at(now)
    const good = await start('t')
    await write(good.runId, [step('a')])
    await finish(good.runId)
    const bad = await start('t')
    await finish(bad.runId, { kind: 'error' })
    at(now + day)
    await runDurableObjectAlarm(threadOf('t'))
    expect(await sql('t', 'SELECT count(*) AS n FROM run')).toEqual([{ n: 2 }])
    at(now + day + 1)
    await runDurableObjectAlarm(threadOf('t'))
    expect(await told(await get(`/api/runs/${good.runId}`))).toEqual([404, 'run_unknown'])
    expect(await sql('t', 'SELECT count(*) AS n FROM event WHERE run = 1')).toEqual([{ n: 0 }])
    expect((await view(bad.runId)).status).toBe('errored')
    at(now + 7 * day + 1)
    await runDurableObjectAlarm(threadOf('t'))
    expect(await told(await get(`/api/runs/${bad.runId}`))).toEqual([404, 'run_unknown'])
    expect(await sql('t', 'SELECT status, sum(count) AS n FROM outcome GROUP BY status')).toEqual([
      { status: 'completed', n: 1 },
      { status: 'errored', n: 1 },
    ])
  })

  test('what has run and is forgotten does not run again under its key', async () => {
    const now = Date.now()
    at(now)
    const { runId } = await start('t', { clientKey: 'mine' })
    await finish(runId)
    at(now + day + 1)
    await runDurableObjectAlarm(threadOf('t'))
    expect(await told(await send('/api/runs', { threadId: 't', clientKey: 'mine' }))).toEqual([
      410,
      'run_forgotten',
    ])
    // And even that has an end.
    at(now + 32 * day)
    await runDurableObjectAlarm(threadOf('t'))
    expect(await sql('t', 'SELECT count(*) AS n FROM forgotten')).toEqual([{ n: 0 }])
    at(now + 500 * day)
    await runDurableObjectAlarm(threadOf('t'))
    expect(await sql('t', 'SELECT count(*) AS n FROM outcome')).toEqual([{ n: 0 }])
  })

  test('T61: a running run is never forgotten; one that never gave a sign is not immortal', async () => {
    const now = Date.now()
    at(now)
    const { runId } = await start('t')
    for (let days = 1; days <= 7; days += 1) {
      at(now + days * day)
      await sql('t', 'UPDATE run SET heartbeat_at = ?, alive_at = ?', now + days * day, now + days * day)
      await runDurableObjectAlarm(threadOf('t'))
      expect((await view(runId)).status).toBe('running')
    }
    at(now + 7 * day + 1)
    await sql('t', 'UPDATE run SET heartbeat_at = ?, alive_at = ?', Date.now(), Date.now())
    await runDurableObjectAlarm(threadOf('t'))
    expect(await view(runId)).toMatchObject({ status: 'errored', cause: 'stale_run' })
  })

  test('2,500 runs go in batches, and two sweeps at once count each of them once', async () => {
    const { runId } = await start('t')
    await finish(runId)
    await sql(
      't',
      `WITH RECURSIVE more (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < 2500)
       INSERT INTO run (due_at, n, nonce, client_key, status, background, in_flight, uses, started_at, completed_at, indexed)
       SELECT due_at, more.n, 'n-' || more.n, 'k-' || more.n, status, 0, 0, uses, started_at, completed_at, 1
         FROM run, more WHERE run.n = 1`,
    )
    at(Date.now() + 2 * day)
    // A sweep stops at its budget and goes on with the next alarm.
    for (let sweeps = 0; sweeps < 4; sweeps += 1)
      await runInDurableObject(threadOf('t'), (thread) => Promise.all([thread.alarm(), thread.alarm()]))
    expect(await sql('t', 'SELECT count(*) AS n FROM run')).toEqual([{ n: 0 }])
    expect(await sql('t', 'SELECT sum(count) AS n FROM outcome')).toEqual([{ n: 2_500 }])
  })
})

test.each([
  [1_999, 0],
  [2_000, 0],
  [2_001, 1],
])('T65: a sweep of %i runs leaves %i, and comes again at once for what is left', async (runs, left) => {
  const now = Date.now()
  at(now)
  const { runId } = await start('t')
  await finish(runId)
  await sql(
    't',
    `WITH RECURSIVE more (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < ?)
       INSERT INTO run (due_at, n, nonce, client_key, status, background, in_flight, uses, started_at, completed_at, indexed)
       SELECT due_at, more.n, 'n-' || more.n, 'k-' || more.n, status, 0, 0, uses, started_at, completed_at, 1
         FROM run, more WHERE run.n = 1`,
    runs,
  )
  at(now + 2 * day)
  await runDurableObjectAlarm(threadOf('t'))
  expect(await sql('t', 'SELECT count(*) AS n FROM run')).toEqual([{ n: left }])
  expect(await sql('t', 'SELECT sum(count) AS n FROM outcome')).toEqual([{ n: runs - left }])
  const alarm = await runInDurableObject(threadOf('t'), (_, { storage }) => storage.getAlarm())
  // What is left is due; where nothing is, the first tombstone is what comes next.
  expect(alarm! <= Date.now()).toBe(left > 0)
})

test('threat T34: an alarm that comes again, or never, changes nothing and loses nothing', async () => {
  const now = Date.now()
  at(now)
  const { runId } = await start('t')
  const alarms = async () => {
    for (let n = 0; n < 7; n += 1) await runInDurableObject(threadOf('t'), (thread) => thread.alarm())
  }
  at(now + minute)
  await alarms()
  expect((await view(runId)).status).toBe('running')
  at(now + minute + 25_001)
  await alarms()
  expect(await follow(runId)).toHaveLength(1)
  const other = await start('t')
  at(now + 3 * minute)
  await runInDurableObject(threadOf('t'), (_, { storage }) => storage.deleteAlarm())
  expect((await view(other.runId)).status).toBe('running')
  at(now + 3 * minute + 25_001)
  await runInDurableObject(threadOf('t'), (_, { storage }) => storage.deleteAlarm())
  expect(await follow(other.runId)).toHaveLength(1)
})

test('threat T35: a clock that jumps a day, forward and back, keeps no run alive and no reader waiting', async () => {
  const now = Date.now()
  at(now + day)
  const { runId } = await start('t')
  await send(`/api/runs/${runId}/heartbeat`, { inFlight: true })
  at(now)
  expect((await view(runId)).status).toBe('running')
  await write(runId, [step('a')])
  at(now + 14.5 * minute + 1)
  expect((await view(runId)).status).toBe('running')
  at(now + 16.5 * minute + 2)
  expect((await follow(runId)).at(-1)?.end?.cause).toBe('stale_run')
  const second = await start('t')
  at(now + 2 * day)
  expect((await view(second.runId)).status).toBe('running')
  at(now + 2 * day + 25_001)
  expect((await follow(second.runId)).at(-1)?.end?.cause).toBe('stale_run')
})

test('what was silent while nobody listened is given its time again, and lives on if its worker does', async () => {
  const now = Date.now()
  at(now)
  const { runId } = await start('t', { idleMs: 30_000 })
  await send(`/api/runs/${runId}/heartbeat`)
  // Evicted, no alarm, a day later: an outage and a clock that jumped look the same.
  await runInDurableObject(threadOf('t'), (_, { storage }) => storage.deleteAlarm())
  await evictDurableObject(threadOf('t'))
  at(now + day)
  expect((await view(runId)).status).toBe('running')
  at(now + day + 10_000)
  await send(`/api/runs/${runId}/heartbeat`)
  at(now + day + 25_000)
  expect((await view(runId)).status).toBe('running')
  // A clock that goes back takes the patience with it.
  at(now)
  expect((await view(runId)).status).toBe('running')
  at(now + 15_001)
  expect(await view(runId)).toMatchObject({ status: 'errored', cause: 'stale_run' })
})

test('threat T35: a sign of life from a future that did not come counts as one of now, and no longer', async () => {
  const now = Date.now()
  at(now + day)
  const { runId } = await start('t')
  await send(`/api/runs/${runId}/heartbeat`)
  at(now)
  expect((await view(runId)).status).toBe('running')
  at(now + 15_000)
  expect((await view(runId)).status).toBe('running')
  at(now + 15_001)
  expect(await view(runId)).toMatchObject({ status: 'errored', cause: 'stale_run', completedAt: now })
})

test('an object that nobody listens to holds nothing in memory: evicted, it goes on as before', async () => {
  const { runId } = await start('t')
  await write(runId, [step('a')])
  const inMemory = () =>
    runInDurableObject(threadOf('t'), (thread) => (thread as unknown as { subscribers: number }).subscribers)
  expect(await inMemory()).toBe(0)
  const reading = await get(`/api/runs/${runId}/events`)
  const reader = reading.body!.getReader()
  await reader.read()
  expect(await inMemory()).toBe(1)
  await reader.cancel()
  await expect.poll(inMemory).toBe(0)
  await evictDurableObject(threadOf('t'))
  expect(await (await write(runId, [step('a'), step('b')])).json()).toMatchObject({ lastSeq: 2 })
  await finish(runId)
  expect(await follow(runId)).toHaveLength(3)
})

test('operators find runs in the index, people do not', async () => {
  const { runId } = await start('t')
  const other = await start('u')
  await finish(other.runId, { kind: 'error' })
  const list = async (query: string) =>
    (await (await get(`/api/runs${query}`)).json()) as {
      indexed: boolean
      runs: { id: string; owner: string }[]
    }
  await expect
    .poll(async () => (await list('?status=errored')).runs.map(({ id }) => id))
    .toEqual([other.runId])
  await expect
    .poll(async () => (await list('?limit=200')).runs.map(({ id }) => id).sort())
    .toEqual([runId, other.runId].sort())
  expect((await list('')).runs[0]!.owner).toMatch(/^[0-9a-f]{32}$/)
  expect(JSON.stringify(await list(''))).not.toContain('alex')
  expect(await told(await get('/api/runs?status=lost'))).toEqual([400, 'request_invalid'])
  expect(await told(await get('/api/runs?limit=0'))).toEqual([400, 'request_invalid'])
})

describe('readers', () => {
  test("a log that is longer than a page is read at the reader's own pace, and whole", async () => {
    const { runId } = await start('t')
    for (let n = 0; n < 12; n += 1)
      await write(
        runId,
        Array.from({ length: 100 }, (_, k) => step(`k-${n}-${k}`, 'x'.repeat(400))),
      )
    const response = await get(`/api/runs/${runId}/events`)
    const reader = response.body!.getReader()
    let text = ''
    const decoder = new TextDecoder()
    for (let pieces = 0; ; pieces += 1) {
      const { done, value } = await reader.read()
      if (done) break
      text += decoder.decode(value, { stream: true })
      // In the middle of it, it grows and ends.
      if (pieces === 2) {
        await write(runId, [step('late')])
        await finish(runId)
      }
    }
    const events = eventsOf(text)
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_202 }, (_, n) => n + 1))
    expect(events.filter(({ end }) => end)).toHaveLength(1)
  })

  test('one that takes nothing is let go, and loses nothing', async () => {
    const { runId } = await start('t')
    const response = await get(`/api/runs/${runId}/events`)
    for (let n = 0; n < 200; n += 1) await write(runId, [step(`k-${n}`, 'x'.repeat(2_000))])
    const text = await response.text()
    const first = eventsOf(text)
    expect(first.length).toBeLessThan(200)
    await finish(runId)
    const rest = await follow(runId, 1, { 'last-event-id': String(first.length) })
    expect([...first, ...rest].map(({ seq }) => seq)).toEqual(Array.from({ length: 201 }, (_, n) => n + 1))
  })
})

test('T57: RUN_RETENTION_MS that says nothing usable is a day, with a warning that names it alone', () => {
  const given = { LATCHKEY_KEYS: keys, PUBLIC_BASE_URL: baseUrl, LATCHKEY_PROVIDERS: '{}' }
  for (const text of ['', ' ', 'abc', '-1', 'NaN', 'Infinity', '1e999']) {
    const { runRetentionMs, warnings } = lk.config.check({ ...given, RUN_RETENTION_MS: text })
    expect([text, runRetentionMs, warnings]).toEqual([text, day, ['RUN_RETENTION_MS']])
  }
  expect(lk.config.check(given)).toMatchObject({ runRetentionMs: day, warnings: [] })
  expect(lk.config.check({ ...given, RUN_RETENTION_MS: '0' })).toMatchObject({
    runRetentionMs: 0,
    warnings: [],
  })
})
