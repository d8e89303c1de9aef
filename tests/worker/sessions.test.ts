import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { exports } from 'cloudflare:workers'
import type { CapabilityClaims } from 'latchkey'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { App } from '../../wrangler/src/app.ts'
import { ownerIndexName, sessionName, vaultName } from '../../wrangler/src/names.ts'
import { eraseSessions } from '../../wrangler/src/owner-index.ts'
import type { Next, SessionState } from '../../wrangler/src/session-object.ts'
import worker from '../../wrangler/src/worker.ts'
import { ask, bearer, bindings, Browser, errorOf, json, keys, lk, ownOrigin, request } from './harness.ts'
import { baseUrl } from './variables.ts'

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

// Years ahead, so that no alarm goes off by itself.
const start = 2_500_000_000_000
const hour = 3_600_000
const at = (now: number): void => {
  vi.useFakeTimers({ toFake: ['Date'], now })
}
const url = 'https://git.example/team/repo.git'
const repository = { kind: 'git', url }
const tokens = { older: 'canary-token-older-5a1c', newer: 'canary-token-newer-90fe' }

type Body = Readonly<Record<string, unknown>>
const message = (messageId: string, rest: Body = {}): Body => ({
  messageId,
  turn: 'do it',
  mode: 'code',
  model: 'a/one',
  repository,
  ...rest,
})
const session = (id = 's-1', subject = 'alex') =>
  bindings.SESSION.getByName(sessionName(baseUrl, { owner: { kind: 'user', id: subject }, id }))
const send = (path: string, body: unknown = {}, subject = 'alex', id = 's-1'): Promise<Response> =>
  ask(`/api/sessions/${id}/${path}`, {
    method: 'POST',
    headers: { ...bearer(subject), ...json },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const post = (body: unknown, subject = 'alex', id = 's-1'): Promise<Response> =>
  send('messages', body, subject, id)
/** Status and what was said. */
const told = async (response: Response): Promise<unknown> => {
  const body = (await response.json()) as { error?: string }
  return response.status === 200 ? body : `${response.status} ${body.error}`
}
const state = async (subject = 'alex', id = 's-1'): Promise<SessionState> =>
  (await (await ask(`/api/sessions/${id}`, { headers: bearer(subject) })).json()) as SessionState
const next = async (): Promise<Next> => (await (await send('next')).json()) as Next
const login = async (subject = 'alex', id = 's-1', wanted = url): Promise<unknown> =>
  told(await send('credential', { url: wanted }, subject, id))
const loggedIn = (password: string) => ({ username: 'oauth2', password })

type Dump = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
const hex = (bytes: ArrayBuffer): string => new Uint8Array(bytes).toHex()
/** Everything that is stored, bytes in hexadecimal. */
const dump = (stub = session()): Promise<Dump> =>
  runInDurableObject(stub, (_, { storage }) => {
    const tables = storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
      )
      .toArray()
    return Object.fromEntries(
      tables.map(({ name }) => {
        const rows = storage.sql.exec(`SELECT * FROM ${name}`).toArray()
        const plain = rows.map((row) =>
          Object.fromEntries(
            Object.entries(row).map(([column, value]) => [
              column,
              value instanceof ArrayBuffer ? hex(value) : value,
            ]),
          ),
        )
        return [name, plain]
      }),
    )
  })

type Write = (...args: unknown[]) => void
/** From now on the object's `count`-th write is the last that is stored: then, or instead of the next, it fails. */
const failAfter = (count: number, how: 'throws' | 'dies' = 'throws', stub = session()): Promise<void> =>
  runInDurableObject(stub, (instance, context) => {
    const object = instance as unknown as { write: Write }
    const write: Write = object.write.bind(instance)
    let left = count
    const fail = (): void => {
      if (left > 0) return
      if (how === 'dies') context.abort('canary-reason')
      throw new Error('canary-reason')
    }
    object.write = (...args) => {
      fail()
      write(...args)
      left -= 1
      fail()
    }
  })

test('a message is taken in, leased, reported on and ended, and the same answer is given as often as it is asked for', async () => {
  at(start)
  const first = message('m-1', { gitToken: tokens.older })
  const taken = { messageId: 'm-1', status: 'queued', position: 1, credential: 'stored' }
  expect(await told(await post(first))).toEqual(taken)
  expect((await state()).queue).toEqual([{ messageId: 'm-1', sends: 0, at: start + 1_000 }])
  expect(await told(await post(first))).toEqual(taken)
  expect(await told(await post(message('m-2')))).toEqual({
    messageId: 'm-2',
    status: 'queued',
    position: 2,
    credential: 'none',
  })
  expect(await next()).toEqual({ message: null, at: start + 1_000 })
  at(start + 1_000)
  expect(await next()).toEqual({
    message: {
      messageId: 'm-1',
      turn: 'do it',
      mode: 'code',
      model: 'a/one',
      repository,
      sends: 1,
      leasedUntil: start + 61_000,
      credentialVersion: 1,
    },
  })
  // The one whose turn it is holds the others up.
  expect(await next()).toEqual({ message: null, at: start + 61_000 })
  expect(await state()).toEqual({
    id: 's-1',
    admitted: 2,
    open: 2,
    counts: { marked: 0, queued: 2, sent: 0, done: 0, failed: 0, lapsed: 0 },
    queue: [
      { messageId: 'm-1', sends: 1, at: start + 61_000 },
      { messageId: 'm-2', sends: 0, at: start + 1_000 },
    ],
    credential: { version: 1, url },
    endsAt: start + 1_000 + 24 * hour,
  })
  const settle = async (report: unknown, id = 'm-1') => told(await send(`messages/${id}/settle`, report))
  const undelivered = { outcome: 'undelivered', failure: 'unreachable', sends: 1 }
  expect(await settle(undelivered)).toEqual({ messageId: 'm-1', status: 'queued' })
  expect(await settle(undelivered)).toEqual({ messageId: 'm-1', status: 'queued' })
  expect(await next()).toEqual({ message: null, at: start + 11_000 })
  at(start + 11_000)
  expect(await next()).toMatchObject({ message: { messageId: 'm-1', sends: 2 } })
  expect(await settle({ outcome: 'accepted' })).toEqual({ messageId: 'm-1', status: 'sent' })
  expect(await told(await post(first))).toEqual({ messageId: 'm-1', status: 'sent', credential: 'stored' })
  expect(await next()).toMatchObject({ message: { messageId: 'm-2', sends: 1 } })
  expect(await settle({ outcome: 'completed' })).toEqual({ messageId: 'm-1', status: 'done' })
  expect(await settle({ outcome: 'aborted' })).toEqual({ messageId: 'm-1', status: 'done' })
  expect(await told(await post(first))).toBe('409 message_ended')
  expect(await told(await post(message('m-2', { turn: 'do something else' })))).toBe('409 message_conflict')
  expect(await settle({ outcome: 'aborted' }, 'm-2')).toEqual({ messageId: 'm-2', status: 'failed' })
  expect(await settle({ outcome: 'accepted' }, 'm-3')).toBe('404 not_found')
  expect(await state()).toMatchObject({ open: 0, queue: [], counts: { done: 1, failed: 1 } })
  // Nothing of what was said stays.
  expect(await dump()).toMatchObject({ intent: [] })
})

/** What counts of a session in the end, whichever way it came there. */
const outcome = async (): Promise<unknown> => {
  const { open, counts, credential } = await state()
  const { intent } = await dump()
  const said = intent?.map(({ id, turn }) => `${String(id)}: ${String(turn)}`).sort()
  return { open, counts, url: credential?.url, said, ...((await login()) as object) }
}
const quiet = (): void => {
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  vi.spyOn(console, 'warn').mockImplementation(() => undefined)
}
const gone = (): Promise<void> => evictDurableObject(session()).catch(() => undefined)
const unavailable = '503 temporarily_unavailable'

test('T53 a crash before and after every write, with a retry: the same final state, byte for byte', async () => {
  quiet()
  at(start)
  const body = message('m-1', { gitToken: tokens.older, composedAt: start - 5_000 })
  // All but the sealed text, which is another each time.
  const whole = async (): Promise<unknown> => {
    const { credential, ...rest } = await dump()
    return { rest, credential: credential?.map(({ url: to }) => to), login: await login() }
  }
  await post(body)
  const wanted = await whole()
  let crashes = 0
  for (const how of ['throws', 'dies'] as const) {
    for (let first = 0; first <= 3; first += 1) {
      for (let second = -1; second <= 3; second += 1) {
        await reset()
        for (const writes of [first, second].filter((count) => count >= 0)) {
          await failAfter(writes, how)
          const answer = await told(await post(body))
          // A retry that has nothing more to write is answered.
          if (answer !== unavailable) expect(answer).toMatchObject({ status: 'queued' })
          else crashes += 1
          await gone()
        }
        const title = `${how} after ${first}, then after ${second}`
        expect(await told(await post(body)), title).toMatchObject({ status: 'queued', credential: 'stored' })
        expect(await whole(), title).toEqual(wanted)
      }
    }
  }
  expect(crashes).toBeGreaterThan(40)
}, 120_000)

test.each([true, false])(
  'T53 an older message that is tried again never restores its credential (moments said: %s)',
  async (composed) => {
    quiet()
    at(start)
    const moment = (before: number) => (composed ? { composedAt: start - before } : {})
    const older = message('m-1', { gitToken: tokens.older, ...moment(5_000) })
    const newer = message('m-2', { turn: 'then this', gitToken: tokens.newer, ...moment(2_000) })
    let worlds = 0
    for (let first = 0; first <= 3; first += 1) {
      for (let second = 0; second <= 3; second += 1) {
        for (const order of [
          [older, newer],
          [newer, older],
          [older, newer, older],
          [newer, older, newer, older],
        ]) {
          await reset()
          /** In the order in which they were first stored. */
          const stored: unknown[] = []
          const send = async (body: Body): Promise<unknown> => {
            const answer = await told(await post(body))
            await gone()
            for (const { id } of (await dump())['message'] ?? []) if (!stored.includes(id)) stored.push(id)
            return answer
          }
          for (const [body, writes] of [
            [older, first],
            [newer, second],
          ] as const) {
            await failAfter(writes)
            expect(await send(body)).toBe(unavailable)
          }
          for (const body of order) expect(await send(body)).toMatchObject({ status: 'queued' })
          const title = `after ${first} and ${second}, then ${order.map(({ messageId }) => messageId)}`
          const last = composed || stored.at(-1) === 'm-2' ? tokens.newer : tokens.older
          expect(await outcome(), title).toEqual({
            open: 2,
            counts: { marked: 0, queued: 2, sent: 0, done: 0, failed: 0, lapsed: 0 },
            url,
            said: ['m-1: do it', 'm-2: then this'],
            ...loggedIn(last),
          })
          // Nothing but a first attempt that comes last is the newer one then.
          if (first > 0 && last === tokens.older) expect(stored, title).toEqual(['m-2', 'm-1'])
          worlds += 1
        }
      }
    }
    expect(worlds).toBe(64)
  },
  120_000,
)

test('T53 each write is all or nothing: storage that fails in the middle of one', async () => {
  quiet()
  at(start)
  await post(message('m-1', { gitToken: tokens.older }))
  const query = (sql: string) =>
    runInDurableObject(session(), (_, { storage }) => storage.sql.exec(sql).toArray())
  for (const [table, rest] of [
    ['intent', {}],
    ['credential', { gitToken: tokens.newer }],
  ] as const) {
    const before = await dump()
    await query(`ALTER TABLE ${table} RENAME TO away`)
    expect(await told(await post(message(`m-${table}`, rest)))).toBe(unavailable)
    await gone()
    await query(`ALTER TABLE away RENAME TO ${table}`)
    expect(await dump()).toEqual(before)
    expect(await told(await post(message(`m-${table}`, rest)))).toMatchObject({ status: 'queued' })
  }
  expect(await login()).toEqual(loggedIn(tokens.newer))
  // And on what the core has decided about: a plan is stored once.
  await runInDurableObject(session(), async (instance) => {
    const object = instance as unknown as { write: Write }
    const write: Write = object.write.bind(instance)
    let args: unknown[] = []
    object.write = (...given) => write(...(args = given))
    await instance.settle('m-1', { outcome: 'aborted' })
    expect(() => write(...args)).toThrow(TypeError)
  })
  expect(await state()).toMatchObject({ open: 2, counts: { failed: 1 } })
})

test('T52 what is refused changes nothing, the credential least of all', async () => {
  at(start)
  await post(message('m-0', { gitToken: tokens.older }))
  for (let i = 1; i < 10; i += 1) await post(message(`m-${i}`))
  const before = await dump()
  const refused = async (body: unknown): Promise<unknown> => told(await post(body))
  const fresh = (rest: Body): Body => message('m-x', { gitToken: tokens.newer, ...rest })
  expect(await refused(fresh({}))).toBe('429 queue_full')
  expect(await refused(fresh({ turn: ' \n' }))).toBe('400 turn_invalid')
  expect(await refused(fresh({ turn: 'x'.repeat(32_769) }))).toBe('400 turn_invalid')
  expect(await refused(fresh({ mode: 'Code' }))).toBe('400 mode_invalid')
  expect(await refused(fresh({ mode: '' }))).toBe('400 mode_invalid')
  expect(await refused(fresh({ model: '' }))).toBe('400 model_invalid')
  expect(await refused(fresh({ gitToken: 'a\nb' }))).toBe('400 credential_invalid')
  expect(await refused(fresh({ gitToken: 'a\ud800' }))).toBe('400 credential_invalid')
  expect(await refused(fresh({ gitToken: 'x'.repeat(8_193) }))).toBe('400 credential_invalid')
  expect(await refused(fresh({ repository: { kind: 'git' } }))).toBe('400 repo_invalid')
  expect(await refused(fresh({ composedAt: start + 60_001 }))).toBe('400 request_invalid')
  expect(await refused(message('m-0', { gitToken: tokens.newer, mode: 'plan' }))).toBe('409 message_conflict')
  expect(await dump()).toEqual(before)
  // A queue that is full still knows who has a place in it, and a place that is free is taken.
  expect(await told(await post(message('m-9')))).toMatchObject({ status: 'queued', position: 10 })
  await send('messages/m-0/settle', { outcome: 'aborted' })
  expect(await told(await post(fresh({})))).toMatchObject({ position: 10, credential: 'stored' })
  expect(await login()).toEqual(loggedIn(tokens.newer))
})

test('T54 an empty token clears nothing, and where a connection has the credential none counts', async () => {
  at(start)
  await post(message('m-1', { gitToken: tokens.older }))
  const credential = async (rest: Body, id: string) =>
    ((await (await post(message(id, rest))).json()) as { credential: string }).credential
  expect(await credential({ gitToken: '' }, 'm-2')).toBe('none')
  expect(await credential({}, 'm-3')).toBe('none')
  for (const [i, kind] of (['github', 'gitlab'] as const).entries()) {
    const hosted = { kind, url: `https://${kind}.com/o/r` }
    expect(await credential({ gitToken: tokens.newer, repository: hosted }, `h-${i}`)).toBe('none')
    expect(await credential({ gitToken: 'a\nb', repository: { kind } }, `i-${i}`)).toBe('none')
  }
  expect((await state()).credential).toEqual({ version: 1, url })
  expect(await login()).toEqual(loggedIn(tokens.older))
  expect(JSON.stringify(await dump())).not.toContain('canary')
})

test('T53 a canary: the credential stands nowhere but in its row, and there only sealed', async () => {
  at(start)
  const lines: unknown[][] = []
  for (const method of ['log', 'warn', 'error', 'info', 'debug'] as const)
    vi.spyOn(console, method).mockImplementation((...args) => void lines.push(args))
  const canary = 'canary-3f0c-9b1d-77aa-e2c4'
  const answers: string[] = []
  const keep = async (response: Response): Promise<void> => {
    answers.push(JSON.stringify([...response.headers]), await response.text())
  }
  const stores: string[] = []
  const look = async (): Promise<void> => void stores.push(JSON.stringify(await dump()))
  for (let writes = 0; writes <= 3; writes += 1) {
    await reset()
    await failAfter(writes)
    await keep(await post(message('m-1', { gitToken: canary })))
    await look()
    await gone()
    await keep(await post(message('m-1', { gitToken: canary })))
    await keep(await post(message('m-1', { gitToken: `${canary}-2`, mode: 'plan' })))
    await keep(await post(message('m-2', { gitToken: `${canary}\n` })))
    await keep(await post(message('m-3', { gitToken: canary, repository: { kind: 'github' } })))
    await keep(await post(message('m-4', { gitToken: canary, repository: { kind: 'svn' } })))
    await keep(await post(`{"gitToken":"${canary}`))
    at(start + 2_000)
    await keep(await send('next'))
    await keep(await send('messages/m-1/settle', { outcome: 'undelivered', failure: 'starting', sends: 1 }))
    await keep(await ask('/api/sessions/s-1', { headers: bearer('alex') }))
    await keep(await send('credential', { url: `https://alex:${canary}@git.example/team/repo` }))
    await runInDurableObject(session(), (_, { storage }) => storage.setAlarm(Date.now()))
    await runDurableObjectAlarm(session())
    await look()
    at(start)
  }
  const traces = [...answers, ...stores, JSON.stringify(lines)]
  expect(traces.length).toBeGreaterThan(80)
  for (const trace of traces) expect(trace).not.toContain('canary-3f0c')
  expect(stores.join().includes(new TextEncoder().encode('canary-3f0c').toHex())).toBe(false)
  // It is there, and opens in its own place alone.
  const { credential: [row] = [], ...others } = await dump()
  const sealed = String(row?.['sealed'])
  expect(JSON.stringify(others)).not.toContain(sealed.slice(0, 20))
  const context = (id: string, to = url) => ['session-credential', 'v1', baseUrl, 'user', 'alex', id, to]
  const open = (where: string[]) => new TextDecoder().decode(lk.seal.open(keys, sealed, where))
  expect(open(context('s-1'))).toBe(canary)
  for (const elsewhere of [context('s-2'), context('s-1', `${url}x`)]) expect(() => open(elsewhere)).toThrow()
})

test('many at once are one', async () => {
  const bodies = Array.from({ length: 24 }, (_, i) =>
    message(`m-${i % 3}`, { gitToken: i % 2 ? tokens.older : tokens.newer }),
  )
  const answers = await Promise.all(bodies.map(async (body) => told(await post(body))))
  for (const [i, answer] of answers.entries())
    expect(answer).toEqual({
      messageId: `m-${i % 3}`,
      status: 'queued',
      position: 1 + (i % 3),
      credential: 'stored',
    })
  expect(await state()).toMatchObject({ admitted: 3, open: 3, credential: { version: 3 } })
  // And of many who ask for work one gets it.
  at(Date.now() + 2_000)
  const given = await Promise.all(Array.from({ length: 8 }, () => next()))
  expect(given.filter((found) => found.message !== null)).toHaveLength(1)
})

test('T65 marks lapse, attempts end, what has ended is forgotten, and so is a session that nobody uses', async () => {
  quiet()
  at(start)
  await failAfter(1)
  expect(await told(await post(message('m-1', { gitToken: tokens.older })))).toBe(unavailable)
  await gone()
  const due = () => runInDurableObject(session(), (_, { storage }) => storage.getAlarm())
  // A crash between the write and its alarm: the next call sets it.
  await post(message('m-2'))
  expect(await due()).toBe(start + 900_000)
  at(start + 899_999)
  await runDurableObjectAlarm(session())
  expect(await state()).toMatchObject({ open: 2, counts: { marked: 1, queued: 1 } })
  at(start + 900_000)
  await runDurableObjectAlarm(session())
  expect(await state()).toMatchObject({
    open: 1,
    counts: { marked: 0, lapsed: 1 },
    credential: { version: 1 },
  })
  // It is admitted all the same when it comes again, and its credential stays where it is.
  expect(await told(await post(message('m-1', { gitToken: tokens.newer })))).toMatchObject({ position: 2 })
  expect(await login()).toEqual(loggedIn(tokens.older))

  // One that nobody takes is sent as often as may be, and then has failed: the alarm says so, but sends nothing.
  let now = start + 902_000
  for (let sends = 1; sends <= 20; sends += 1) {
    at(now)
    expect(await next()).toMatchObject({ message: { messageId: 'm-2', sends } })
    expect(await due()).toBe(now + 60_000)
    now += 60_000
    at(now)
    if (sends < 20) {
      await runDurableObjectAlarm(session())
      expect(await state()).toMatchObject({ counts: { queued: 2 } })
    }
  }
  await runDurableObjectAlarm(session())
  expect(await state()).toMatchObject({ open: 1, counts: { queued: 1, failed: 1 } })
  expect((await dump())['intent']).toMatchObject([{ id: 'm-1' }])
  const ended = now

  // A day later it is forgotten, in a session that is in use; what waits is not.
  at(ended + 12 * hour)
  await post(message('m-3'))
  at(ended + 24 * hour)
  await runInDurableObject(session(), (_, { storage }) => storage.setAlarm(Date.now()))
  await runDurableObjectAlarm(session())
  expect(await state()).toMatchObject({ open: 2, counts: { queued: 2, failed: 0 } })
  // Being asked for its credential is use.
  at(ended + 35 * hour)
  expect(await login()).toEqual(loggedIn(tokens.older))
  expect(await state()).toMatchObject({ endsAt: ended + 59 * hour })
  at(ended + 59 * hour - 1)
  await runInDurableObject(session(), (_, { storage }) => storage.setAlarm(Date.now()))
  await runDurableObjectAlarm(session())
  expect(await due()).toBe(ended + 59 * hour)
  at(ended + 59 * hour)
  await runInDurableObject(session(), (_, { storage }) => storage.setAlarm(Date.now()))
  await runDurableObjectAlarm(session())
  expect(await told(await ask('/api/sessions/s-1', { headers: bearer('alex') }))).toBe('404 not_found')
  // But the number that ends its capabilities, until there can be none.
  const lastsUntil = ended + 59 * hour + 4 * hour + 60_000
  expect(await dump()).toEqual({ epoch: [{ until: lastsUntil, value: (ended + 59 * hour) / 1_000 }] })
  expect(await due()).toBe(lastsUntil)
  at(lastsUntil)
  await runDurableObjectAlarm(session())
  expect(await dump()).toEqual({})
  expect(await due()).toBeNull()
  const index = bindings.OWNER_INDEX.getByName(
    ownerIndexName('sessions', baseUrl, { kind: 'user', id: 'alex' }),
  )
  await runInDurableObject(index, (_, { storage }) => storage.setAlarm(Date.now()))
  await runDurableObjectAlarm(index)
  expect(await index.list()).toEqual([])
  // It can begin again.
  expect(await told(await post(message('m-1')))).toMatchObject({ position: 1 })
})

test('a person’s sessions are found and go, with everything in them', async () => {
  at(start)
  const app = { env: bindings, config: { baseUrl } } as unknown as App
  const owner = { kind: 'user', id: 'alex' } as const
  const index = bindings.OWNER_INDEX.getByName(ownerIndexName('sessions', baseUrl, owner))
  expect(await eraseSessions(app, owner)).toBe('absent')
  await post(message('m-1', { gitToken: tokens.older }))
  await post(message('m-1', { gitToken: tokens.newer }), 'alex', 's-2')
  await post(message('m-1', { gitToken: tokens.newer }), 'bob')
  expect(await index.list()).toEqual(['s-1', 's-2'])
  // Found even where the first write failed.
  await failAfter(0, 'throws', session('s-3'))
  quiet()
  expect(await told(await post(message('m-1'), 'alex', 's-3'))).toBe(unavailable)
  expect(await index.list()).toEqual(['s-1', 's-2', 's-3'])
  expect(await eraseSessions(app, owner)).toBe('done')
  expect(await index.list()).toEqual([])
  for (const id of ['s-1', 's-2']) {
    const until = start + 4 * hour + 60_000
    expect(await dump(session(id))).toEqual({ epoch: [{ until, value: start / 1_000 }] })
    expect(await runInDurableObject(session(id), (_, { storage }) => storage.getAlarm())).toBe(until)
  }
  expect(await dump(session('s-3'))).toEqual({})
  expect(await runInDurableObject(session('s-3'), (_, { storage }) => storage.getAlarm())).toBeNull()
  expect(await login()).toBe('404 not_found')
  expect(await login('bob')).toEqual(loggedIn(tokens.newer))
  expect(await eraseSessions(app, owner)).toBe('absent')
  // It can begin again, while it is being removed too.
  for (let i = 0; i < 8; i += 1) {
    const all = [
      post(message('m-1')),
      index.erase(),
      post(message('m-2')),
      index.erase(),
      post(message('m-3')),
    ]
    await Promise.all(all)
    const there = 'session' in (await dump())
    expect(await index.list()).toEqual(there ? ['s-1'] : [])
  }
})

test('what is in the list of sessions and is none goes out of it, and what is one stays', async () => {
  quiet()
  at(start)
  const index = bindings.OWNER_INDEX.getByName(
    ownerIndexName('sessions', baseUrl, { kind: 'user', id: 'alex' }),
  )
  expect(await told(await post(message('m-1', { turn: '' }), 'alex', 's-0'))).toBe('400 turn_invalid')
  await failAfter(0, 'throws', session('s-3'))
  expect(await told(await post(message('m-1'), 'alex', 's-3'))).toBe(unavailable)
  await post(message('m-1'))
  expect(await index.list()).toEqual(['s-0', 's-1', 's-3'])
  at(start + 12 * hour)
  await post(message('m-2'))
  at(start + 24 * hour)
  await runDurableObjectAlarm(index)
  expect(await index.list()).toEqual(['s-1'])
  expect(await runInDurableObject(index, (_, { storage }) => storage.getAlarm())).toBe(start + 36 * hour + 1)
  expect(await dump(session('s-0'))).toEqual({})
})

test('nobody reaches another’s session, and a stranger changes nothing', async () => {
  at(start)
  await post(message('m-1', { gitToken: tokens.older }))
  const before = await dump()
  at(start + 2_000)
  for (const [path, body] of [
    ['next', {}],
    ['messages/m-1/settle', { outcome: 'completed' }],
    ['credential', { url }],
  ] as const) {
    const nobodys = path === 'next' ? { message: null, at: null } : '404 not_found'
    expect(await told(await send(path, body, 'bob')), path).toEqual(nobodys)
    const headers = { ...json }
    expect(
      await told(await ask(`/api/sessions/s-1/${path}`, { method: 'POST', headers, body: '{}' })),
    ).toMatch(/^4/)
  }
  expect(await told(await ask('/api/sessions/s-1', { headers: bearer('bob') }))).toBe('404 not_found')
  expect(await told(await ask('/api/sessions/s-1'))).toBe('401 principal_missing')
  // Of the same name, and another.
  expect(
    await told(await post(message('m-1', { turn: 'mine', gitToken: tokens.newer }), 'bob')),
  ).toMatchObject({
    position: 1,
  })
  expect(await login('bob')).toEqual(loggedIn(tokens.newer))
  expect(await login()).toEqual(loggedIn(tokens.older))
  expect(await dump()).toEqual({ ...before, session: before['session'] })
  // A browser's cookie counts only from our own page.
  const browser = await Browser.of({ subject: 'alex' })
  const init = { method: 'POST', body: JSON.stringify({ url }) }
  expect(await told(await browser.ask('/api/sessions/s-1/credential', { ...init, headers: json }))).toBe(
    '403 origin_refused',
  )
  const own = await browser.ask('/api/sessions/s-1/credential', {
    ...init,
    headers: { ...json, ...ownOrigin },
  })
  expect(await told(own)).toEqual(loggedIn(tokens.older))
})

test('T38 the names of sessions', async () => {
  const answer = async (id: string) => told(await post(message('m-1'), 'alex', id))
  for (const id of ['1700000000.123456', 'x'.repeat(100), 'a-b_c.9'])
    expect(await answer(id), id).toMatchObject({ status: 'queued' })
  for (const id of ['a%2F..%2Fb', 'x'.repeat(101), 'a%00b', '%20', 'a%0Ab', '%C3%A9', 'a..b', 'a%5Cb'])
    expect(await answer(id), id).toBe('400 name_invalid')
  expect(await answer('%E0')).toBe('400 request_invalid')
  // The address itself cannot hold these; a service binding can.
  for (const id of ['..', '.', '', ' ', 'a/../b', 'a\0b'])
    expect(
      await exports.Latchkey.postMessage({ subject: 'alex', kind: 'service' }, id, message('m-1')),
      id,
    ).toEqual({
      ok: false,
      code: 'name_invalid',
    })
})

test('each host is told the user name that it wants beside a token, as the core knows it', async () => {
  for (const [host, username] of [
    ['github.com', 'x-access-token'],
    ['gitlab.com', 'oauth2'],
    ['bitbucket.org', 'x-token-auth'],
    // GitLab takes a token of OAuth's under no other name, wherever it runs; Gitea looks at none.
    ['git.example', 'oauth2'],
    ['git.example:8443', 'oauth2'],
  ] as const) {
    const there = `https://${host}/team/repo.git`
    const body = message('m-1', { repository: { kind: 'git', url: there }, gitToken: tokens.older })
    const id = `s-${host.replaceAll(/[.:]/g, '-')}`
    expect(await told(await post(body, 'alex', id)), host).toMatchObject({ credential: 'stored' })
    expect(await login('alex', id, there), host).toEqual({ username, password: tokens.older })
  }
})

test('the credential as it is now, for its owner and for whoever holds a capability of the session', async () => {
  const now = Date.now()
  const claims: CapabilityClaims = {
    purpose: 'git',
    subject: 'alex',
    owner: { kind: 'user', id: 'alex' },
    provider: 'git',
    repo: url,
    container: 'box-1',
    can: ['fetch', 'push'],
    epoch: 0,
    expiresAt: Math.floor(now / 1_000) * 1_000 + hour,
  }
  const mint = (changes: Partial<CapabilityClaims> = {}, at = now): string =>
    lk.capability.mint(
      keys,
      { ...claims, ...changes },
      { now: at, entropy: crypto.getRandomValues(new Uint8Array(32)) },
    )
  const redeem = async (
    capability: string,
    wanted: unknown = { url },
    { id = 's-1', container = 'box-1' } = {},
  ): Promise<unknown> => {
    const headers = { authorization: `Bearer ${capability}`, 'latchkey-container': container, ...json }
    const init = { method: 'POST', headers, body: JSON.stringify(wanted) }
    return told(await ask(`/api/sessions/${id}/credential`, init))
  }
  expect(await login()).toBe('404 not_found')
  expect(await redeem(mint())).toBe('404 not_found')
  await post(message('m-0'))
  expect(await redeem(mint())).toBe('404 not_found')
  await post(message('m-1', { gitToken: tokens.older }))
  expect(await login()).toEqual(loggedIn(tokens.older))
  expect(await redeem(mint())).toEqual(loggedIn(tokens.older))
  await post(message('m-2', { gitToken: tokens.newer }))
  expect(await redeem(mint())).toEqual(loggedIn(tokens.newer))
  // However git spells it.
  for (const spelling of [url, `${url}/`, url.replace('.git', ''), 'https://git.example:443/team/repo'])
    expect(await redeem(mint(), { url: spelling }), spelling).toEqual(loggedIn(tokens.newer))
  expect(await login('alex', 's-1', 'https://git.example/team/other')).toBe('404 not_found')
  expect(await login('alex', 's-1', 'https://evil.example/team/repo')).toBe('404 not_found')
  for (const bad of [
    'https://a:b@git.example/team/repo',
    'https://git.example/team%2Frepo',
    'http://git.example/t/r',
    '',
  ])
    expect(await login('alex', 's-1', bad), bad).toMatch(/^40[03] repo_(?:invalid|host_not_allowed)$/)
  expect(await redeem(mint(), { url: 'https://git.example/team/other' })).toBe('403 repository_mismatch')
  expect(await redeem(mint({ repo: 'https://git.example/team/repo-evil.git' }))).toBe(
    '403 repository_mismatch',
  )
  const { repo: _, ...anywhere } = claims
  const entropy = new Uint8Array(32)
  expect(await redeem(lk.capability.mint(keys, anywhere, { now, entropy }))).toBe('403 repository_mismatch')
  expect(await redeem(mint({ container: 'box-2' }))).toBe('403 container_mismatch')
  expect(await redeem(mint(), { url }, { container: '' })).toBe('403 container_mismatch')
  expect(await redeem(mint(), { url }, { id: 's-2' })).toBe('404 not_found')
  expect(await redeem(mint({ owner: { kind: 'user', id: 'bob' }, subject: 'bob' }))).toBe('404 not_found')
  expect(await redeem(mint({ owner: { kind: 'org', id: 'alex' } }))).toBe('404 not_found')
  expect(await redeem(mint({ purpose: 'api' }))).toBe('403 not_allowed')
  expect(await redeem(mint({ can: ['fetch'] }))).toBe('403 not_allowed')
  // What was narrowed is not traded for the whole.
  expect(await redeem(lk.capability.attenuate(mint(), { can: ['fetch'] }))).toBe('403 not_allowed')
  expect(await redeem(lk.capability.attenuate(mint(), { expiresAt: claims.expiresAt - 60_000 }))).toEqual(
    loggedIn(tokens.newer),
  )
  expect(await redeem(`${mint()}x`)).toBe('401 capability_invalid')
  expect(await redeem('lkc2.x')).toBe('401 capability_invalid')
  expect(await redeem(mint({ expiresAt: claims.expiresAt - 2 * hour }, now - 2 * hour))).toBe(
    '401 capability_expired',
  )
  // The session's owner makes one for whoever works in it; it is good for this session.
  const made = async (request: unknown = {}, subject = 'alex') => {
    const response = await send('capabilities', request, subject)
    const body = (await response.json()) as { capability: string; expiresAt: number; error?: string }
    return response.status === 201 ? body : { capability: `${response.status} ${body.error}`, expiresAt: 0 }
  }
  const { capability, expiresAt } = await made()
  expect(expiresAt - now).toBeGreaterThan(hour - 2_000)
  expect(await redeem(capability)).toEqual(loggedIn(tokens.newer))
  const boxed = (await made({ container: 'box-1', ttlMs: 4 * hour })).capability
  expect(await redeem(boxed)).toEqual(loggedIn(tokens.newer))
  expect(await redeem(boxed, { url }, { container: 'box-2' })).toBe('403 container_mismatch')
  await post(message('m-1', { gitToken: tokens.older }), 'alex', 's-2')
  expect(await redeem(mint(), { url }, { id: 's-2' })).toEqual(loggedIn(tokens.older))
  expect(await redeem(capability, { url }, { id: 's-2' })).toBe('403 not_allowed')
  for (const bad of [
    { ttlMs: 3 * hour },
    { ttlMs: 0 },
    { ttlMs: '1' },
    { container: '' },
    { container: 5 },
    { can: [] },
  ])
    expect((await made(bad)).capability, JSON.stringify(bad)).toBe('400 request_invalid')
  expect((await made({}, 'bob')).capability).toBe('404 not_found')
  // A capability is no assertion.
  const headers = { authorization: `Bearer ${mint()}`, ...json }
  expect(await told(await ask('/api/sessions/s-1/next', { method: 'POST', headers, body: '{}' }))).toBe(
    '401 principal_invalid',
  )
})

test('T28 ending a session, its capabilities, its person or the connection ends what was handed out, at once and for good', async () => {
  at(start)
  const redeem = async (capability: string, id = 's-1'): Promise<unknown> => {
    const headers = { authorization: `Bearer ${capability}`, ...json }
    const init = { method: 'POST', headers, body: JSON.stringify({ url }) }
    return told(await ask(`/api/sessions/${id}/credential`, init))
  }
  const made = async (id = 's-1', subject = 'alex'): Promise<string> => {
    const response = await send('capabilities', {}, subject, id)
    expect(response.status).toBe(201)
    return ((await response.json()) as { capability: string }).capability
  }
  const remove = async (path: string, subject = 'alex'): Promise<unknown> =>
    told(await ask(path, { method: 'DELETE', headers: { ...bearer(subject), ...json } }))
  const begin = (id = 's-1', subject = 'alex') =>
    post(message('m-1', { gitToken: tokens.older }), subject, id)
  const own = (subject = 'alex') => session('s-1', subject).epoch()
  const endings: Readonly<Record<string, () => Promise<unknown>>> = {
    capabilities: () => remove('/api/sessions/s-1/capabilities'),
    session: () => remove('/api/sessions/s-1'),
    person: () => remove('/api/users/alex'),
    age: async () => {
      at(Date.now() + 25 * hour)
      await runInDurableObject(session(), (_, { storage }) => storage.setAlarm(Date.now()))
      await runDurableObjectAlarm(session())
    },
  }
  const dead: string[] = []
  await begin('s-1', 'bob')
  await begin('s-2')
  // Every way after every other one, within the same second and later.
  for (const first of Object.keys(endings)) {
    for (const second of Object.keys(endings)) {
      for (const name of [first, second]) {
        await begin()
        const before = await made()
        expect(await redeem(before), name).toEqual(loggedIn(tokens.older))
        const epoch = await own()
        await endings[name]!()
        expect(await own(), name).toBeGreaterThan(epoch)
        // By then all of before have expired.
        if (name === 'age') dead.length = 0
        else dead.push(before)
        for (const text of dead)
          expect(await redeem(text), `${first}, ${second}`).toBe('401 capability_revoked')
        // Where there is a session again, what is made from now on is good, and nothing of before.
        await begin()
        expect(await redeem(await made())).toEqual(loggedIn(tokens.older))
        for (const text of dead)
          expect(await redeem(text), `${first}, ${second}`).toBe('401 capability_revoked')
      }
    }
    dead.length = 0
    at(Date.now() + 5 * hour)
  }
  // A crash does not bring them back.
  const last = await made()
  await endings['capabilities']!()
  await gone()
  expect(await redeem(last)).toBe('401 capability_revoked')
  // Nobody else's was touched, and nobody else ends one.
  await begin('s-1', 'bob')
  const bobs = await made('s-1', 'bob')
  expect(await remove('/api/sessions/s-1', 'eve')).toEqual({ ended: false })
  expect(await remove('/api/sessions/s-1/capabilities', 'eve')).toBe('404 not_found')
  await endings['person']!()
  expect(await own('bob')).toBe(0)
  expect(await redeem(bobs)).toEqual(loggedIn(tokens.older))
  expect(await login('bob')).toEqual(loggedIn(tokens.older))
  // Operators hear of a session that was ended as of one that came to its end: there is none.
  const lines = async (): Promise<number> => {
    const query = bindings.INDEX!.prepare("SELECT count(*) AS n FROM holdings WHERE kind = 'session'")
    return (await query.first<{ n: number }>())?.n ?? 0
  }
  const counted = await lines()
  expect(await remove('/api/sessions/s-1', 'bob')).toEqual({ ended: true })
  expect(await lines()).toBe(counted - 1)
  // What is not there is ended by nobody, as often as it is tried.
  for (let i = 0; i < 2; i += 1) expect(await remove('/api/sessions/s-9')).toEqual({ ended: false })
  expect(await dump(session('s-9'))).toEqual({})
  // The number goes when the last that it could end has expired, in a session that lives on, too.
  await begin()
  await endings['capabilities']!()
  const [row] = (await dump())['epoch'] ?? []
  at(Number(row!['until']))
  expect(await login()).toEqual(loggedIn(tokens.older))
  expect(await dump()).toMatchObject({ epoch: [], session: [{}] })
})

test('T28 a capability of a connection ends with that connection, at a session as elsewhere', async () => {
  const vault = bindings.VAULT.getByName(
    vaultName(baseUrl, { owner: { kind: 'user', id: 'alex' }, provider: 'good' }),
  )
  await post(message('m-1', { gitToken: tokens.older }))
  const mint = async (): Promise<string> => {
    const now = Date.now()
    const claims: CapabilityClaims = {
      purpose: 'git',
      subject: 'alex',
      owner: { kind: 'user', id: 'alex' },
      provider: 'good',
      repo: url,
      can: ['fetch', 'push'],
      epoch: await vault.epoch(),
      expiresAt: Math.floor(now / 1_000) * 1_000 + hour,
    }
    return lk.capability.mint(keys, claims, { now, entropy: new Uint8Array(16) })
  }
  const redeem = async (capability: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${capability}`, ...json }
    const init = { method: 'POST', headers, body: JSON.stringify({ url }) }
    return told(await ask('/api/sessions/s-1/credential', init))
  }
  for (const end of [() => vault.disconnect(), () => vault.erase()] as const) {
    await (await Browser.of({ subject: 'alex' })).connect('good')
    const capability = await mint()
    expect(await redeem(capability)).toEqual(loggedIn(tokens.older))
    await end()
    // And is no sign of life any more.
    const ends = Date.now() + hour
    await runInDurableObject(session(), (_, { storage }) => {
      storage.sql.exec('UPDATE session SET ends = ?', ends)
    })
    expect(await redeem(capability)).toBe('401 capability_revoked')
    expect((await state()).endsAt).toBe(ends)
    expect(await redeem(await mint())).toEqual(loggedIn(tokens.older))
    expect((await state()).endsAt).toBeGreaterThan(ends)
  }
  // It ends while the session is asked: what is in hand is not given away.
  const capability = await mint()
  const racing = {
    ...bindings,
    SESSION: {
      getByName: (name: string) => ({
        credential: async (...given: [string]) => {
          const answer = await bindings.SESSION.getByName(name).credential(...given)
          await vault.erase()
          return answer
        },
      }),
    },
  }
  const headers = { authorization: `Bearer ${capability}`, ...json }
  const asked = request('/api/sessions/s-1/credential', {
    method: 'POST',
    headers,
    body: JSON.stringify({ url }),
  })
  const answer = await worker.fetch(asked as Parameters<typeof worker.fetch>[0], racing as never)
  expect(await told(answer)).toBe('401 capability_revoked')
})

test('garbage of every kind comes to a code, and nothing is stored', async () => {
  quiet()
  const odd: readonly unknown[] = [
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    1e308,
    '',
    'x',
    '\0',
    '\ud800',
    'x'.repeat(40_000),
    [],
    ['x'],
    {},
    { kind: 'git' },
    { toString: 'x' },
    { kind: 'git', url: 'javascript:alert(1)' },
    { kind: 'git', url, extra: 1 },
    { kind: 'github', url: 'https://gitlab.com/a/b' },
    { kind: '__proto__' },
  ]
  const codes = new Set<unknown>()
  let stored = 0
  let tried = 0
  const members = [
    'messageId',
    'turn',
    'mode',
    'model',
    'repository',
    'gitToken',
    'composedAt',
    'other',
    '__proto__',
  ]
  for (const member of members) {
    for (const value of odd) {
      const body = { ...message('m-1', { gitToken: tokens.older }), [member]: value }
      const response = await post(body, `subject-${(tried += 1)}`)
      if (response.status === 200) stored += 1
      else {
        expect(response.status, `${member}: ${JSON.stringify(value)}`).toBeLessThan(430)
        codes.add(await errorOf(response))
      }
    }
  }
  expect(stored).toBeGreaterThan(5)
  for (const code of [
    'request_invalid',
    'turn_invalid',
    'mode_invalid',
    'model_invalid',
    'credential_invalid',
  ])
    expect([...codes]).toContain(code)
  for (const body of [
    '',
    '[]',
    'null',
    '"x"',
    '{',
    '{"a":1}',
    '{"messageId":"m"}',
    'x'.repeat(70_000),
    '\ud800',
  ])
    for (const path of ['messages', 'messages/m-1/settle', 'credential']) {
      const response = await send(path, body)
      expect([400, 404, 413], `${path} ${body.slice(0, 20)}`).toContain(response.status)
    }
  for (const report of [
    {},
    { outcome: 'lost' },
    { outcome: 'accepted', sends: 1 },
    { outcome: 'undelivered' },
    { outcome: 'undelivered', failure: 'none', sends: 256 },
    { outcome: 'undelivered', failure: 'permanent', sends: '1' },
    { outcome: 'undelivered', failure: 'permanent', sends: 1, text: 'provider says' },
  ]) {
    await post(message('m-1'))
    expect(await told(await send('messages/m-1/settle', report)), JSON.stringify(report)).toBe(
      '400 request_invalid',
    )
  }
  expect(await told(await send('messages/m-1/settle', { outcome: 'accepted' }))).toMatchObject({
    status: 'sent',
  })
  expect(await told(await send('messages/%00/settle', { outcome: 'accepted' }))).toBe('404 not_found')
  expect(await told(await send('next', { sends: 1 }))).toBe('400 request_invalid')
  for (const principal of [{}, { subject: '' }, { subject: 5 }, null])
    expect(await exports.Latchkey.session(principal as never, 's-1')).toMatchObject({ ok: false })
})

test('modes and models are configuration', async () => {
  const answer = async (rest: Body, variables: Record<string, string>): Promise<unknown> => {
    const init = {
      method: 'POST',
      headers: { ...bearer('alex'), ...json },
      body: JSON.stringify(message('m-1', rest)),
    }
    const asked = request('/api/sessions/s-1/messages', init) as Parameters<typeof worker.fetch>[0]
    return told(await worker.fetch(asked, { ...bindings, ...variables }))
  }
  const queued = { messageId: 'm-1', status: 'queued', position: 1, credential: 'none' }
  expect(await answer({ mode: 'draw' }, {})).toBe('400 mode_invalid')
  expect(await answer({ mode: 'code' }, { SESSION_MODES: ' , draw' })).toBe('400 mode_invalid')
  expect(await answer({ mode: '' }, { SESSION_MODES: ',' })).toBe('400 mode_invalid')
  expect(await answer({}, { SESSION_MODELS: 'b/two' })).toBe('400 model_invalid')
  expect(await answer({ model: undefined }, { SESSION_MODELS: 'a/one' })).toBe('400 model_invalid')
  const many = Array.from({ length: 33 }, (_, i) => `m${i}`).join()
  expect(await answer({}, { SESSION_MODES: many })).toBe('500 misconfigured')
  expect(await answer({}, { SESSION_MODELS: many })).toBe('500 misconfigured')
  const most = Array.from({ length: 31 }, (_, i) => `m${i}`).join()
  const variables = { SESSION_MODES: `code, draw,${most.slice(3)}`, SESSION_MODELS: `${most},default` }
  expect(await answer({ mode: 'draw', model: undefined }, variables)).toEqual(queued)
  expect(await answer({ mode: 'draw', model: 'default' }, variables)).toEqual(queued)
  expect(await answer({ mode: 'draw', model: 'm30' }, variables)).toBe('409 message_conflict')
})

test('a record that does not open is refused and kept', async () => {
  quiet()
  await post(message('m-1', { gitToken: tokens.older }))
  await runInDurableObject(session(), (_, { storage }) => {
    storage.sql.exec('UPDATE session SET record = ?', new Uint8Array(50))
  })
  const before = await dump()
  expect(await told(await post(message('m-1')))).toBe('500 corrupt')
  expect(await told(await post(message('m-2')))).toBe('500 corrupt')
  expect(await told(await send('next'))).toBe('500 corrupt')
  expect(await told(await send('messages/m-1/settle', { outcome: 'accepted' }))).toBe('500 corrupt')
  expect(await dump()).toEqual(before)
})

test('a mark whose record does not open holds up no other, and the alarm does not run for ever', async () => {
  quiet()
  at(start)
  for (const id of ['m-1', 'm-2']) {
    await failAfter(1)
    await post(message(id, { gitToken: tokens.older }))
    await gone()
  }
  await post(message('m-3'))
  await send('messages/m-3/settle', { outcome: 'aborted' })
  const alarm = async (now: number): Promise<number | null> => {
    at(now)
    await runInDurableObject(session(), (_, { storage }) => storage.setAlarm(Date.now()))
    await runDurableObjectAlarm(session())
    return await runInDurableObject(session(), (_, { storage }) => storage.getAlarm())
  }
  await runInDurableObject(session(), (_, { storage }) => {
    storage.sql.exec("UPDATE message SET record = ? WHERE id = 'm-1'", new Uint8Array(80))
  })
  expect(await alarm(start + 900_000)).toBe(start + 960_000)
  expect(await state()).toMatchObject({ open: 1, counts: { marked: 1, lapsed: 1, failed: 1 } })
  // What has ended goes all the same.
  await post(message('m-4'))
  expect(await alarm(start + 24 * hour)).toBe(start + 24 * hour + 60_000)
  expect(await state()).toMatchObject({ counts: { marked: 1, queued: 1, failed: 0, lapsed: 1 } })
})

test('a service binding has the same verbs', async () => {
  const alex = { subject: 'alex', kind: 'service' } as const
  const { Latchkey } = exports
  const body = message('m-1', { gitToken: tokens.older })
  const taken = { messageId: 'm-1', status: 'queued', position: 1, credential: 'stored' }
  expect(await Latchkey.postMessage(alex, 's-1', body)).toEqual({ ok: true, value: taken })
  expect(await Latchkey.postMessage(alex, 's-1', { ...body, mode: 'plan' })).toEqual({
    ok: false,
    code: 'message_conflict',
  })
  expect(await Latchkey.sessionCredential(alex, 's-1', { url })).toEqual({
    ok: true,
    value: loggedIn(tokens.older),
  })
  expect(await Latchkey.sessionCredential({ capability: 'lkc2.x' }, 's-1', { url })).toEqual({
    ok: false,
    code: 'capability_invalid',
  })
  const minted = await Latchkey.sessionCapability(alex, 's-1', { container: 'box-1' })
  const held = { capability: minted.ok ? minted.value.capability : '', container: 'box-1' }
  expect(await Latchkey.sessionCredential(held, 's-1', { url })).toEqual({
    ok: true,
    value: loggedIn(tokens.older),
  })
  expect(await Latchkey.endSessionCapabilities(alex, 's-1')).toEqual({ ok: true, value: { ended: true } })
  expect(await Latchkey.sessionCredential(held, 's-1', { url })).toEqual({
    ok: false,
    code: 'capability_revoked',
  })
  at(Date.now() + 2_000)
  expect(await Latchkey.nextMessage(alex, 's-1')).toMatchObject({
    ok: true,
    value: { message: { sends: 1 } },
  })
  expect(await Latchkey.settleMessage(alex, 's-1', 'm-1', { outcome: 'accepted' })).toEqual({
    ok: true,
    value: { messageId: 'm-1', status: 'sent' },
  })
  expect(await Latchkey.session(alex, 's-1')).toMatchObject({
    ok: true,
    value: { open: 0, counts: { sent: 1 } },
  })
  expect(await Latchkey.endSession(alex, 's-1')).toEqual({ ok: true, value: { ended: true } })
  expect(await Latchkey.endSession(alex, 's-1')).toEqual({ ok: true, value: { ended: false } })
  expect(await Latchkey.endSessionCapabilities(alex, 's-1')).toEqual({ ok: false, code: 'not_found' })
})
