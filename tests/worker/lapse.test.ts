/** A connection that comes to the end of its life by itself, while runs use it. */
import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import type { RunEvent, RunView } from 'latchkey/runs'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { vaultName } from '../../wrangler/src/names.ts'
import { ask, bearer, bindings, Browser, json } from './harness.ts'
import { baseUrl } from './variables.ts'

const hour = 3_600_000
const owner = { kind: 'user', id: 'alex' } as const

beforeEach(async () => {
  await reset()
  await provider('up')
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const provider = (is: 'up' | 'down') => fetch(`${inject('tokenServer')}/lapsing/${is}`)
const at = (now: number) => vi.useFakeTimers({ toFake: ['Date'], now })
const vault = (name: string) => bindings.VAULT.getByName(vaultName(baseUrl, { owner, provider: name }))
const send = (path: string, body: unknown = {}) =>
  ask(path, { method: 'POST', headers: { ...bearer('alex'), ...json }, body: JSON.stringify(body) })
async function connect(name: string): Promise<void> {
  const browser = await Browser.of({ subject: 'alex' })
  expect((await browser.connect(name)).get('connected')).toBe(name)
}
async function start(name: string, threadId = 't', clientKey = `k-${threadId}`): Promise<string> {
  const body = { threadId, clientKey, background: true, uses: [{ provider: name }] }
  const { runId } = (await (await send('/api/runs', body)).json()) as { runId: string }
  // In the background it may be silent for 90 s.
  await send(`/api/runs/${runId}/heartbeat`)
  return runId
}
const view = async (runId: string): Promise<RunView> =>
  (await ask(`/api/runs/${runId}`, { headers: bearer('alex') })).json()
const follow = async (runId: string): Promise<RunEvent[]> => {
  const response = await ask(`/api/runs/${runId}/events`, { headers: bearer('alex') })
  return [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(
    ([, data]) => JSON.parse(data!) as RunEvent,
  )
}
const alarmOf = (name: string) => runInDurableObject(vault(name), (_, { storage }) => storage.getAlarm())
const expiry = async (name: string): Promise<number> => (await vault(name).status())!.expiresAt!
/** Ends the grant at the authorization server behind our back. */
async function endGrant(name: string): Promise<void> {
  const rows = await runInDurableObject(vault(name), (_, { storage }) =>
    storage.sql.exec('SELECT * FROM latchkey_connection').toArray(),
  )
  await ask(`/api/connections/${name}?owner=user`, {
    method: 'DELETE',
    headers: { ...bearer('alex'), ...json },
  })
  await runInDurableObject(vault(name), (_, { storage }) => {
    for (const row of rows) {
      const names = Object.keys(row)
      const marks = names.map(() => '?').join(', ')
      const sql = `INSERT OR REPLACE INTO latchkey_connection (${names.join(', ')}) VALUES (${marks})`
      storage.sql.exec(sql, ...Object.values(row))
    }
  })
  await evictDurableObject(vault(name))
}

test('T60: idle for longer than its provider allows, it ends its runs once, with that cause', async () => {
  await connect('lapsing')
  const end = (await expiry('lapsing')) + hour
  await endGrant('lapsing')
  at(end - 30_000)
  const runs = [await start('lapsing'), await start('lapsing', 'u')]
  // At its end exactly it is not over yet. What else there is to do is done by the way.
  at(end)
  for (let alarms = 0; (await alarmOf('lapsing'))! <= end && alarms < 5; alarms += 1)
    await runDurableObjectAlarm(vault('lapsing'))
  for (const runId of runs) expect((await view(runId)).status).toBe('running')
  expect(await alarmOf('lapsing')).toBe(end + 1)
  at(end + 1)
  // Two alarms at the same time are one end.
  await runInDurableObject(vault('lapsing'), (object) => Promise.all([object.alarm(), object.alarm()]))
  for (const runId of runs) {
    await vi.waitFor(async () => expect((await view(runId)).status).toBe('errored'))
    expect(await follow(runId)).toMatchObject([
      { seq: 1, type: 'error', end: { status: 'errored', cause: 'connection_idle' } },
    ])
  }
  await runInDurableObject(vault('lapsing'), (object) => object.alarm())
  for (const runId of runs) expect(await follow(runId)).toHaveLength(1)
  const left = await runInDurableObject(vault('lapsing'), (_, { storage }) =>
    storage.sql.exec('SELECT * FROM run_watcher').toArray(),
  )
  expect(left).toEqual([])
})

test('a provider that renews it after all keeps its runs alive, and it is asked again at the next end', async () => {
  await connect('lapsing')
  const end = (await expiry('lapsing')) + hour
  at(end - 30_000)
  const runId = await start('lapsing')
  at(end + 1)
  expect(await runDurableObjectAlarm(vault('lapsing'))).toBe(true)
  expect((await view(runId)).status).toBe('running')
  const next = (await expiry('lapsing')) + hour
  expect(next).toBeGreaterThan(end + hour)
  // A lease may end before; then it is set for that.
  at(end + 30_000)
  await runDurableObjectAlarm(vault('lapsing'))
  expect(await alarmOf('lapsing')).toBe(next + 1)
  expect((await view(runId)).status).toBe('running')
})

test('one that does not answer says nothing: it is asked again, until it does', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  await connect('lapsing')
  const end = (await expiry('lapsing')) + hour
  await endGrant('lapsing')
  at(end - 30_000)
  const runId = await start('lapsing')
  await provider('down')
  // Whoever waits looks at the clock.
  vi.useFakeTimers({ toFake: ['Date'], now: end + 1, shouldAdvanceTime: true, advanceTimeDelta: 20 })
  const clock = setInterval(() => vi.setSystemTime(Date.now() + 2_000), 50)
  await runDurableObjectAlarm(vault('lapsing'))
  clearInterval(clock)
  expect((await view(runId)).status).toBe('running')
  expect(await alarmOf('lapsing')).toBeLessThanOrEqual(Date.now() + 60_000)
  await provider('up')
  at(Date.now() + 60_001)
  await send(`/api/runs/${runId}/heartbeat`)
  await runDurableObjectAlarm(vault('lapsing'))
  await vi.waitFor(async () => expect(await view(runId)).toMatchObject({ cause: 'connection_idle' }))
  expect(await follow(runId)).toHaveLength(1)
})

test('one that nothing can renew ends its runs with its access token', async () => {
  await connect('short')
  const end = await expiry('short')
  at(end - 30_000)
  const runId = await start('short')
  at(end + 1)
  expect(await runDurableObjectAlarm(vault('short'))).toBe(true)
  await vi.waitFor(async () => expect(await view(runId)).toMatchObject({ cause: 'connection_idle' }))
  expect(await follow(runId)).toHaveLength(1)
})

const watchers = (name: string) =>
  runInDurableObject(vault(name), (_, { storage }) =>
    storage.sql.exec<{ run: string }>('SELECT run FROM run_watcher').toArray(),
  )

test('a run that has ended is not waited for any more, however it ended; one that goes on is', async () => {
  await connect('lapsing')
  const end = (await expiry('lapsing')) + hour
  at(end - 30_000)
  const waits = async (...runs: string[]) =>
    await vi.waitFor(async () => expect((await watchers('lapsing')).map(({ run }) => run)).toEqual(runs))
  const steady = await start('lapsing', 'steady')
  for (const [n, [verb, body]] of [
    ['finish', {}],
    ['finish', { kind: 'error' }],
    ['abort', {}],
  ].entries() as ArrayIterator<[number, [string, object]]>) {
    // In one thread and in one moment, one after the other.
    const first = await start('lapsing', 't', `first-${n}`)
    expect(await watchers('lapsing')).toHaveLength(2)
    expect((await send(`/api/runs/${first}/${verb}`, body)).ok).toBe(true)
    const second = await start('lapsing', 't', `second-${n}`)
    const both = [steady, second].sort()
    await vi.waitFor(async () =>
      expect((await watchers('lapsing')).map(({ run }) => run).sort()).toEqual(both),
    )
    await send(`/api/runs/${second}/finish`)
    await waits(steady)
  }
  // Dead of silence, which is found out by whoever looks.
  const silent = await start('lapsing', 'silent')
  for (const ms of [91_000, 200_000]) {
    at(end - 30_000 + ms)
    await Promise.all([silent, steady].map(view))
  }
  expect((await view(silent)).status).toBe('errored')
  expect((await view(steady)).status).toBe('errored')
  await waits()
  // Nobody's run waits, so nobody asks the provider what has become of it.
  await endGrant('lapsing')
  at(end + 2 * hour)
  await runInDurableObject(vault('lapsing'), (object) => object.alarm())
  expect((await vault('lapsing').status())!.status).toBe('connected')
})

test('a start that loses against another one waits for nothing', async () => {
  await connect('lapsing')
  const runs = await Promise.all(Array.from({ length: 5 }, () => start('lapsing', 'same')))
  expect(new Set(runs).size).toBe(1)
  await vi.waitFor(async () => expect(await watchers('lapsing')).toEqual([{ run: runs[0] }]))
})

test('without a run that uses it nobody is asked, and a run that starts too late hears of it at once', async () => {
  await connect('lapsing')
  const end = (await expiry('lapsing')) + hour
  await endGrant('lapsing')
  at(end + hour)
  await runInDurableObject(vault('lapsing'), (object) => object.alarm())
  expect((await vault('lapsing').status())!.status).toBe('connected')
  const runId = await start('lapsing')
  expect(await runDurableObjectAlarm(vault('lapsing'))).toBe(true)
  await vi.waitFor(async () => expect(await view(runId)).toMatchObject({ cause: 'connection_idle' }))
})
