import {
  createExecutionContext,
  createScheduledController,
  reset,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { exports } from 'cloudflare:workers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openApp } from '../../wrangler/src/app.ts'
import {
  readRetention,
  report,
  sweepIndex,
  type KindReport,
  type RetentionReport,
} from '../../wrangler/src/ledger.ts'
import { claimName, threadName, vaultName } from '../../wrangler/src/names.ts'
import { indexedRuns } from '../../wrangler/src/run-index.ts'
import worker from '../../wrangler/src/worker.ts'
import {
  ask,
  assertion,
  bearer,
  bindings,
  Browser,
  errorOf,
  form,
  json,
  lk,
  ownOrigin,
  request,
} from './harness.ts'
import { baseUrl } from './variables.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const { lifetimes } = lk.retention
const app = openApp(bindings)
const { Latchkey } = exports

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const at = (now: number) => vi.useFakeTimers({ toFake: ['Date'], now })
const connect = async (subject: string, provider = 'good'): Promise<void> => {
  const browser = await Browser.of({ subject })
  expect((await browser.connect(provider)).get('connected')).toBe(provider)
}
const vault = (id: string, provider = 'good') =>
  bindings.VAULT.getByName(vaultName(baseUrl, { owner: { kind: 'user', id }, provider }))
const kinds = async (): Promise<Record<string, KindReport>> => {
  const response = await ask('/api/retention', { headers: bearer('ops') })
  const { kinds: all } = (await response.json()) as RetentionReport
  return Object.fromEntries(all.map((kind) => [kind.kind, kind]))
}
/** The ledger is told after the answer. */
const told = (kind: string, count: number): Promise<KindReport> =>
  vi.waitFor(async () => {
    const found = (await kinds())[kind]!
    expect(found.count).toBe(count)
    return found
  })
const rows = async (): Promise<number> =>
  (await bindings.INDEX!.prepare('SELECT count(*) AS n FROM holdings').first<{ n: number }>())?.n ?? 0
/** When the rows of the index of runs end. */
const listed = (count: number): Promise<number[]> =>
  vi.waitFor(async () => {
    await indexedRuns(bindings, { limit: 1 })
    const { results } = await bindings.INDEX!.prepare('SELECT expires FROM runs').all<{ expires: number }>()
    expect(results).toHaveLength(count)
    return results.map(({ expires }) => expires)
  })
const cron = async (): Promise<void> => {
  const context = createExecutionContext()
  await worker.scheduled(createScheduledController() as never, bindings)
  await waitOnExecutionContext(context)
}

test('every kind of record is told with its window, and what there is of it', async () => {
  const before = await kinds()
  expect(Object.keys(before)).toEqual(Object.keys(lifetimes))
  for (const { kind, windowMs, count } of Object.values(before))
    expect([windowMs, count]).toEqual([lifetimes[kind], 0])
  // What no sweep reaches is said, with who does: the store, or nobody because there is none.
  const removers = Object.groupBy(Object.values(before), ({ removedBy }) => removedBy)
  expect(removers.store?.map(({ kind }) => kind)).toEqual(['access_cache'])
  expect(removers.nobody?.map(({ kind }) => kind)).toEqual(['rate_window'])

  const start = Date.now()
  await connect('alex')
  const used = await told('consumed_state', 1)
  expect(used.oldest).toBeGreaterThan(start - 2_000)
  expect(used.nextDue! - used.oldest!).toBe(lifetimes.consumed_state)
  expect(used.overdue).toBe(0)
  expect(used.at).toBeGreaterThanOrEqual(start)
  await told('claim', 1)
  await ask('/api/connections/good', { method: 'DELETE', headers: { ...bearer('alex'), ...json } })
  await told('claim', 0)
  const ended = await told('tombstone', 1)
  expect(ended.nextDue! - ended.oldest!).toBe(lifetimes.tombstone)
})

test('who is told: the application’s own monitoring; in development whoever is signed in', async () => {
  expect((await ask('/api/retention')).status).toBe(401)
  const person = { authorization: assertion({ subject: 'alex', kind: 'human' }) }
  expect((await ask('/api/retention', { headers: person })).status).toBe(200)
  const url = 'https://as.example'
  const provider = { profile: 'generic', clientId: 'id', authorizationUrl: `${url}/a`, tokenUrl: `${url}/t` }
  const env = {
    ...bindings,
    LATCHKEY_DEV: '',
    PUBLIC_BASE_URL: 'https://latchkey.example',
    LATCHKEY_PROVIDERS: JSON.stringify({ good: provider }),
  }
  const there = (path: string, headers: Record<string, string>): Promise<Response> =>
    worker.fetch(request(path, { headers }) as Parameters<typeof worker.fetch>[0], env)
  for (const path of ['/api/retention', '/retention']) {
    const refused = await there(path, person)
    expect([refused.status, await errorOf(refused)]).toEqual([403, 'not_allowed'])
    expect((await there(path, bearer('ops'))).status).toBe(200)
    expect((await there(path, {})).status).toBe(401)
  }
})

test('no name stands in the ledger', async () => {
  await connect('canary-subject')
  await told('consumed_state', 1)
  const { results } = await bindings.INDEX!.prepare('SELECT * FROM holdings').all()
  expect(results.length).toBeGreaterThan(0)
  expect(JSON.stringify(results)).not.toContain('canary')
  for (const { object } of results) expect(object).toMatch(/^[0-9a-f]{32}$/)
})

test('without the database everything else works, and the windows are told', async () => {
  const { INDEX: _, ...env } = bindings
  const there = (path: string, init: RequestInit): Promise<Response> =>
    worker.fetch(request(path, init) as Parameters<typeof worker.fetch>[0], env as typeof bindings)
  const response = await there('/api/retention', { headers: bearer('ops') })
  expect(await response.json()).toMatchObject({ counted: false, intervalMs: 5 * minute })
  const page = await (await there('/retention', { headers: bearer('ops') })).text()
  expect(page).toContain('No database is bound')
  const made = { method: 'POST', headers: { ...bearer('alex'), ...json }, body: '{"provider":"good"}' }
  expect((await there('/api/connect-links', made)).status).toBe(201)
  expect(
    (await there('/api/users/alex', { method: 'DELETE', headers: { ...bearer('ops'), ...json } })).status,
  ).toBe(200)
  await worker.scheduled(createScheduledController() as never, env as typeof bindings)
})

test('a report never fails, and an older one does not take the place of a newer one', async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
  const broken = { ...bindings, INDEX: { batch: () => Promise.reject(new Error('canary')) } } as never
  await report(broken, 'x', [{ kind: 'run', count: 1, oldest: 0, nextDue: 1 }])
  expect(JSON.stringify(warned.mock.calls)).not.toContain('canary')

  const now = Date.now()
  at(now)
  await report(bindings, 'x', [{ kind: 'run', count: 3, oldest: now, nextDue: now + day }])
  at(now - 5_000)
  await report(bindings, 'x', [{ kind: 'run', count: 2, oldest: now, nextDue: now + day }])
  expect((await readRetention(app, now)).kinds.find(({ kind }) => kind === 'run')).toMatchObject({ count: 3 })
})

test('what is overdue is seen: in the report, on the page and in the log', async () => {
  const now = Date.now()
  const errors = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  vi.spyOn(console, 'log').mockImplementation(() => undefined)
  at(now)
  const interval = 5 * minute
  await report(bindings, 'late', [
    { kind: 'run', count: 7, oldest: now - 8 * day, nextDue: now - interval - 1 },
  ])
  await report(bindings, 'just', [
    { kind: 'delivery', count: 1, oldest: now - 3 * day, nextDue: now - interval },
  ])
  const found = await kinds()
  expect(found['run']).toMatchObject({ count: 7, overdue: 1, objects: 1 })
  expect(found['delivery']).toMatchObject({ overdue: 0 })
  const browser = await Browser.of({ subject: 'ops' })
  const page = await (await browser.ask('/retention')).text()
  expect(page).toContain('Overdue: Runs.')
  expect(page).toContain('Overdue in 1 object')
  await cron()
  expect(errors).toHaveBeenCalledWith('{"event":"retention_overdue","overdue":[{"kind":"run","objects":1}]}')
})

test('the cron sweeps lines of objects that are gone, two hundred at a time, and keeps its cursor', async () => {
  vi.spyOn(console, 'log').mockImplementation(() => undefined)
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const now = Date.now()
  await report(bindings, 'first', [{ kind: 'run', count: 1, oldest: now, nextDue: now + day }])
  const insert = bindings.INDEX!.prepare('INSERT INTO holdings VALUES (?, ?, 1, 0, 0, 0, ?)')
  for (let from = 0; from < 2_450; from += 50)
    await bindings.INDEX!.batch(
      Array.from({ length: 50 }, (_, i) => insert.bind('session', `gone-${from + i}`, now - 1 - from)),
    )
  await cron()
  // Budget: 2,000 rows; the first ones to end go first.
  expect(await rows()).toBe(451)
  const left = await bindings
    .INDEX!.prepare("SELECT max(until) AS until FROM holdings WHERE kind = 'session'")
    .first<{ until: number }>()
  expect(left!.until).toBe(now - 1)
  const kept = await bindings.INDEX!.prepare('SELECT cursor FROM sweep_cursor').first<{ cursor: string }>()
  expect(JSON.parse(kept!.cursor)).toMatchObject({ open: true, spent: 0 })
  await cron()
  expect(await rows()).toBe(1)
  // Two at the same time, and a cursor that is none.
  await bindings.INDEX!.prepare("UPDATE sweep_cursor SET cursor = '{}'").run()
  await Promise.all([sweepIndex(app), sweepIndex(app)])
  expect(await rows()).toBe(1)
})

test('a cache in KV says that its store ends it; where none is bound there is none; what is derived has no record', async () => {
  const browser = await Browser.of({ subject: 'ops' })
  const page = await (await browser.ask('/retention')).text()
  expect(page).toContain('Repository access: kept for 5 minutes. Expires by itself.')
  expect(page).toContain('Rate windows: kept for 15 minutes. None are stored.')
  expect(page).toContain('PKCE verifiers are not stored')
  const { ACCESS: _, ...env } = bindings
  const report = await readRetention(openApp(env as typeof bindings))
  expect(report.kinds.find(({ kind }) => kind === 'access_cache')?.removedBy).toBe('nobody')
  expect(report.derived).toEqual(['pkce_verifier'])
})

test('the cron sweeps the index of runs as well, the first ones to end first', async () => {
  vi.spyOn(console, 'log').mockImplementation(() => undefined)
  await listed(0)
  const insert = bindings.INDEX!.prepare("INSERT INTO runs VALUES (?, ?, 'o', 't', 'completed', NULL, 0, 0)")
  const now = Date.now()
  at(now)
  await bindings.INDEX!.batch([insert.bind(now + minute, 'later'), insert.bind(now, 'over')])
  for (let from = 0; from < 2_450; from += 50)
    await bindings.INDEX!.batch(
      Array.from({ length: 50 }, (_, i) => insert.bind(now - 1 - from - i, `old-${from + i}`)),
    )
  await cron()
  // Its budget is 2,000 rows.
  const left = await listed(452)
  expect(Math.min(...left)).toBe(now - 450)
  await Promise.all([cron(), cron()])
  expect(await listed(1)).toEqual([now + minute])
})

test('a thread says what it holds of every kind, each as old as it is, and its sums end', async () => {
  const now = Date.now()
  at(now)
  const start = async () => {
    const made = await ask('/api/runs', {
      method: 'POST',
      headers: { ...bearer('alex'), ...json },
      body: JSON.stringify({ threadId: 't', clientKey: `k-${Date.now()}`, background: true }),
    })
    const { runId } = (await made.json()) as { runId: string }
    await ask(`/api/runs/${runId}/finish`, {
      method: 'POST',
      headers: { ...bearer('alex'), ...json },
      body: '{}',
    })
  }
  const thread = bindings.THREAD.getByName(threadName(baseUrl, { kind: 'user', id: 'alex' }, 't'))
  const alarm = () => runInDurableObject(thread, (object) => object.alarm())
  const due = () => runInDurableObject(thread, (_, { storage }) => storage.getAlarm())
  await start()
  await alarm()
  expect(await told('run', 1)).toMatchObject({ oldest: now, nextDue: now + day + 1 })
  at(now + day + 1)
  await alarm()
  await told('run', 0)
  const tombstone = await told('tombstone', 1)
  expect(tombstone).toMatchObject({ oldest: now + day + 1, nextDue: now + day + 1 + lifetimes.tombstone })
  const today = Math.floor(now / day) * day
  expect(await told('counter', 1)).toMatchObject({ oldest: today, nextDue: today + 400 * day })
  at(now + day + 1 + lifetimes.tombstone)
  await alarm()
  await told('tombstone', 0)
  // To the millisecond, and the alarm does not come again and again before.
  at(today + 400 * day - 1)
  await alarm()
  await told('counter', 1)
  at(today + 400 * day)
  await runInDurableObject(thread, (_, { storage }) => storage.deleteAlarm())
  await alarm()
  await told('counter', 0)
  expect(await due()).toBeNull()
})

test('threat T34: an alarm that was lost is made up for by the next one who comes', async () => {
  await connect('alex')
  await runInDurableObject(vault('alex'), async (_, { storage }) => {
    await storage.deleteAlarm()
    storage.sql.exec('UPDATE consumed SET until = ?', Date.now())
  })
  await connect('alex')
  await runInDurableObject(vault('alex'), async (_, { storage }) => {
    const kept = storage.sql.exec<{ until: number }>('SELECT until FROM consumed').toArray()
    expect(kept.length).toBe(1)
    expect(kept[0]!.until).toBeGreaterThan(Date.now())
  })
})

test('threat T34: an alarm that comes twice, or seven times, removes nothing that is not over', async () => {
  await connect('alex')
  const count = () =>
    runInDurableObject(
      vault('alex'),
      (_, { storage }) => storage.sql.exec('SELECT 1 FROM consumed').toArray().length,
    )
  const until = await runInDurableObject(
    vault('alex'),
    (_, { storage }) => storage.sql.exec<{ until: number }>('SELECT until FROM consumed').one().until,
  )
  for (const [now, left] of [
    [until - 1, 1],
    [until, 0],
  ] as const) {
    at(now)
    for (let i = 0; i < 7; i += 1) await runInDurableObject(vault('alex'), (object) => object.alarm())
    expect([now, await count()]).toEqual([now, left])
  }
})

test('a tombstone goes at its end, to the millisecond, and a login in its place stays', async () => {
  await connect('alex')
  await ask('/api/connections/good', { method: 'DELETE', headers: { ...bearer('alex'), ...json } })
  const ended = await told('tombstone', 1)
  const left = () =>
    runInDurableObject(
      vault('alex'),
      (_, { storage }) => storage.sql.exec('SELECT 1 FROM latchkey_connection').toArray().length,
    )
  at(ended.nextDue! - 1)
  await runDurableObjectAlarm(vault('alex'))
  expect(await left()).toBe(1)
  at(ended.nextDue!)
  expect(await runDurableObjectAlarm(vault('alex'))).toBe(true)
  expect(await left()).toBe(0)
  await told('tombstone', 0)
  vi.useRealTimers()
  await connect('alex')
  expect(
    (
      await ask('/api/connections/good/token', {
        method: 'POST',
        headers: { ...bearer('alex'), ...json },
        body: '{}',
      })
    ).status,
  ).toBe(200)
})

test('a claim begins again while the connection is there, and ends when it is not', async () => {
  await connect('alex')
  const account = await runInDurableObject(vault('alex'), (_, { storage }) =>
    String(storage.sql.exec('SELECT account FROM latchkey_connection').one()['account']),
  )
  const claim = bindings.ACCOUNT_CLAIM.getByName(claimName(baseUrl, 'good', account))
  const held = () =>
    runInDurableObject(claim, (_, { storage }) => storage.sql.exec('SELECT 1 FROM holder').toArray().length)
  const now = Date.now()
  at(now + lifetimes.claim + minute)
  expect(await runDurableObjectAlarm(claim)).toBe(true)
  expect(await held()).toBe(1)
  // The vault could not say that it holds it no more.
  await runInDurableObject(
    vault('alex'),
    (_, { storage }) => void storage.sql.exec('DELETE FROM latchkey_connection'),
  )
  at(now + 2 * lifetimes.claim + 2 * minute)
  expect(await runDurableObjectAlarm(claim)).toBe(true)
  expect(await held()).toBe(0)
  expect(await runDurableObjectAlarm(claim)).toBe(false)
})

test('the sums of a provider that counts nothing any more end', async () => {
  const counters = bindings.COUNTERS.getByName('counters')
  await counters.add([{ provider: 'old', outcome: 'ok', count: 3 }])
  const now = Date.now()
  at(now + 2 * day)
  await counters.add([{ provider: 'new', outcome: 'ok', count: 1 }])
  at(now + lifetimes.counter + minute)
  expect(await runDurableObjectAlarm(counters)).toBe(true)
  expect(await counters.all()).toEqual([{ provider: 'new', outcome: 'ok', count: 1 }])
})

interface Receipt {
  readonly complete: boolean
  readonly reason: string
  readonly erased: readonly string[]
  readonly failed: readonly string[]
}
const erase = async (id: string): Promise<[number, Receipt]> => {
  const response = await ask(`/api/users/${id}`, { method: 'DELETE', headers: { ...bearer('ops'), ...json } })
  return [response.status, await response.json()]
}

test('a person is erased step by step, with a receipt', async () => {
  await connect('alex')
  const made = await ask('/api/connect-links', {
    method: 'POST',
    headers: { ...bearer('alex'), ...json },
    body: '{"provider":"posted"}',
  })
  const { id, url } = (await made.json()) as { id: string; url: string }
  const browser = await Browser.of({ subject: 'alex' })
  const flow = await browser.authorize('good')
  // One that was used is known for another hour; it names its owner too.
  const used = await Latchkey.createConnectLink({ subject: 'alex', kind: 'service' }, { provider: 'posted' })
  const usedUrl = used.ok ? new URL(used.value.url).pathname : ''
  const started = await browser.ask(usedUrl, { method: 'POST', headers: { ...form, ...ownOrigin }, body: '' })
  const answer = await browser.answer(new URL(started.headers.get('location') ?? ''))
  expect((await browser.finish(answer)).get('connected')).toBe('posted')
  await told('connect_link', 2)

  const [status, receipt] = await erase('alex')
  expect(status).toBe(200)
  expect(receipt).toMatchObject({ complete: true, reason: 'complete', failed: [] })
  expect(receipt.erased).toEqual([
    'block',
    'revoke',
    'connections',
    'links',
    'sessions',
    'runs',
    'caches',
    'index',
  ])

  // What was under way when it began is stored no more; the link is nothing; nothing is counted of it.
  expect((await browser.finish(flow)).get('error')).toBe('used_state')
  for (const path of [new URL(url).pathname, usedUrl]) expect((await ask(path)).status).toBe(404)
  expect((await ask(`/api/connect-links/${id}`, { headers: bearer('alex') })).status).toBe(404)
  await told('connect_link', 0)
  await told('claim', 0)
  // A person who comes back afterwards is a new one.
  const now = Date.now()
  at(now + 2_000)
  expect((await browser.connect('good')).get('connected')).toBe('good')
})

test('a provider that cannot be told keeps nothing here; a vault that cannot be reached makes it go on later', async () => {
  await connect('alex', 'stubborn')
  const [, told1] = await erase('alex')
  expect(told1).toMatchObject({ complete: true, reason: 'not_revoked', failed: ['revoke'] })

  await connect('sam')
  await runInDurableObject(
    vault('sam'),
    (_, { storage }) => void storage.sql.exec('ALTER TABLE links RENAME TO away'),
  )
  const [status, partial] = await erase('sam')
  expect([status, partial.complete, partial.reason]).toEqual([202, false, 'partial'])
  expect(partial.failed).toEqual(['links'])
  expect(partial.erased).toContain('connections')
  await runInDurableObject(
    vault('sam'),
    (_, { storage }) => void storage.sql.exec('ALTER TABLE away RENAME TO links'),
  )
  const [again, complete] = await erase('sam')
  expect([again, complete.complete]).toEqual([200, true])

  await connect('kim')
  await runInDurableObject(vault('kim'), (_, { storage }) => void storage.sql.exec('DROP TABLE block'))
  const [, unblocked] = await erase('kim')
  expect(unblocked).toMatchObject({ complete: false, reason: 'not_blocked', erased: [] })
  expect(
    (
      await ask('/api/connections/good/token', {
        method: 'POST',
        headers: { ...bearer('kim'), ...json },
        body: '{}',
      })
    ).status,
  ).toBe(200)
})

test('threat T35: a clock that went back, by a day or to its beginning, removes nothing early', async () => {
  await connect('alex')
  const now = Date.now()
  const standing = () =>
    runInDurableObject(
      vault('alex'),
      (_, { storage }) => storage.sql.exec('SELECT 1 FROM consumed').toArray().length,
    )
  at(now - day)
  await runInDurableObject(vault('alex'), (object) => object.alarm())
  expect(await standing()).toBe(1)
  at(0)
  await runInDurableObject(vault('alex'), (object) => object.alarm())
  expect(await standing()).toBe(1)
})
