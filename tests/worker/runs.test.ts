import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import type { RunEvent, RunView } from 'latchkey/runs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { runKeyOf, threadName, vaultName } from '../../wrangler/src/names.ts'
import type { Finished, Found, Started, Written } from '../../wrangler/src/thread.ts'
import { ask, assertion, bearer, bindings, Browser, errorOf, json, lk } from './harness.ts'
import { baseUrl } from './variables.ts'

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
}
const headersOf = ({ subject = 'alex', device, org }: As): Record<string, string> => ({
  authorization: assertion({
    subject,
    kind: device === undefined ? 'service' : 'device',
    ...(device !== undefined && { device }),
    ...(org !== undefined && { org }),
  }),
  ...json,
})
const send = (path: string, body: unknown = {}, as: As = {}): Promise<Response> =>
  ask(path, { method: 'POST', headers: headersOf(as), body: JSON.stringify(body) })
const get = (path: string, as: As = {}, headers: Record<string, string> = {}): Promise<Response> =>
  ask(path, { headers: { ...headersOf(as), ...headers } })

let keys = 0
const newKey = (): string => `key-${(keys += 1)}`
async function start(threadId: string, more: object = {}, as: As = {}): Promise<Started> {
  const response = await send('/api/runs', { threadId, clientKey: newKey(), ...more }, as)
  if (!response.ok) throw new Error(await errorOf(response))
  return (await response.json()) as Started
}
const write = (runId: string, events: readonly object[], more: object = {}, as: As = {}) =>
  send(`/api/runs/${runId}/events`, { events, ...more }, as)
const step = (key: string, data?: unknown): object => ({ key, type: 'step', ...(data !== undefined && { data }) })
const finish = async (runId: string, body: object = {}, as: As = {}): Promise<Finished> =>
  (await (await send(`/api/runs/${runId}/finish`, body, as)).json()) as Finished
const view = async (runId: string): Promise<RunView> => (await (await get(`/api/runs/${runId}`)).json()) as RunView
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
  [...text.matchAll(/^id: (\d+)\ndata: (.*)$/gm)].map(([, id, data]) => {
    const event = JSON.parse(data!) as RunEvent
    expect(String(event.seq)).toBe(id)
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
    expect(await told(await send('/api/runs', { threadId: 't', clientKey: 'two' }))).toEqual([409, 'run_active'])
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
    expect(await finish(runId, { data: { tokens: 7 } })).toEqual({ status: 'completed', lastSeq: 4, idempotent: false })
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
