/** Erasing a person: what runs for them ends in front of whoever reads it, and nothing that names them stays anywhere. */
import { listDurableObjectIds, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { connectRuns, type RunItem } from 'latchkey/runs'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ownerIndexName, runKeyOf, sessionName, threadName, vaultName } from '../../wrangler/src/names.ts'
import type { Started } from '../../wrangler/src/thread.ts'
import { ask, bearer, bindings, Browser, json, lk } from './harness.ts'
import { baseUrl } from './variables.ts'

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.restoreAllMocks()
})

const person = 'canary-alex'
const ofPerson = { kind: 'user', id: person } as const
const repository = { kind: 'git', url: 'https://git.example/team/repo.git' }

const send = async (path: string, body: unknown, subject = person): Promise<Response> => {
  const headers = { ...bearer(subject), ...json }
  const response = await ask(path, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  return response
}
const start = async (threadId: string, more: object = {}, subject = person): Promise<Started> => {
  const body = { threadId, clientKey: `canary-${threadId}`, input: { say: 'canary-input' }, ...more }
  return (await send('/api/runs', body, subject)).json()
}
const write = (runId: string, key: string, subject = person) =>
  send(`/api/runs/${runId}/events`, { events: [{ key, type: 'step', data: 'canary-data' }] }, subject)
const finish = (runId: string) => send(`/api/runs/${runId}/finish`, {})

interface Receipt {
  readonly complete: boolean
  readonly reason: string
  readonly erased: readonly string[]
  readonly failed: readonly string[]
}
const erase = async (id = person): Promise<[number, Receipt]> => {
  const response = await ask(`/api/users/${id}`, { method: 'DELETE', headers: { ...bearer('ops'), ...json } })
  return [response.status, await response.json()]
}

const thread = (id: string) => bindings.THREAD.getByName(threadName(baseUrl, ofPerson, id))
const index = (what: 'threads' | 'sessions') =>
  bindings.OWNER_INDEX.getByName(ownerIndexName(what, baseUrl, ofPerson))
const statement = (id: string, text: string) =>
  runInDurableObject(thread(id), (_, { storage }) => void storage.sql.exec(text))

const plain = (value: unknown): unknown =>
  value instanceof ArrayBuffer ? new TextDecoder('latin1').decode(value) : value
const tablesOf = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'"
const namespaces = [
  'VAULT',
  'THREAD',
  'SESSION',
  'OWNER_INDEX',
  'CONNECT_LINK',
  'ACCOUNT_CLAIM',
  'COUNTERS',
] as const

/** Every row of every object that there is, and of the database: which table it is in, and what it says. */
async function everything(within: readonly (typeof namespaces)[number][] = namespaces): Promise<string[]> {
  const lines: string[] = []
  for (const namespace of within) {
    const objects = bindings[namespace] as DurableObjectNamespace
    for (const id of await listDurableObjectIds(objects))
      await runInDurableObject(objects.get(id), (_, { storage }) => {
        for (const { name } of storage.sql.exec<{ name: string }>(tablesOf).toArray())
          for (const row of storage.sql.exec(`SELECT * FROM "${name}"`))
            lines.push(`${namespace}.${name} ${JSON.stringify(Object.values(row).map(plain))}`)
      })
  }
  for (const table of ['runs', 'holdings']) {
    const rows = await bindings.INDEX!.prepare(`SELECT * FROM ${table}`).all()
    for (const row of rows.results) lines.push(`INDEX.${table} ${JSON.stringify(Object.values(row))}`)
  }
  return lines
}
const ledgerKey = (name: string): string => lk.guard.key(['ledger', name])
const indexed = async (): Promise<number> =>
  (await bindings.INDEX!.prepare('SELECT count(*) AS n FROM runs').first<{ n: number }>())?.n ?? 0

const endsIn = (text: string) =>
  [...text.matchAll(/^data: (.*)$/gm)]
    .map(([, data]) => JSON.parse(data!) as { seq: number; type: string; end?: object })
    .filter(({ end }) => end !== undefined)

const client = (subject = person) =>
  connectRuns({
    base: '',
    fetch: (url, init) => ask(url, init),
    headers: bearer(subject),
    retention: () => Promise.resolve(lk.retention),
    backOffMs: 1,
  })
async function all(items: AsyncIterable<RunItem>): Promise<RunItem[]> {
  const found = []
  for await (const item of items) found.push(item)
  return found
}

test('a person goes with their runs and sessions: nothing that names them is left in any object or in the index', async () => {
  const browser = await Browser.of({ subject: person })
  expect((await browser.connect('good')).get('connected')).toBe('good')
  const ended = await start('canary-ended')
  await write(ended.runId, 'canary-key')
  await finish(ended.runId)
  await start('canary-live', { uses: [{ provider: 'good' }, { provider: 'posted' }] })
  await start('canary-device', { device: 'canary-device' })
  await send('/api/sessions/canary-session/messages', {
    messageId: 'canary-message',
    turn: 'canary-turn',
    mode: 'code',
    model: 'a/one',
    repository,
    gitToken: 'canary-token',
  })
  // Somebody else's are not touched, in a thread of the same name either.
  const other = await start('canary-live', {}, 'sam')
  await vi.waitFor(async () => expect(await indexed()).toBe(4))
  for (const id of ['canary-ended', 'canary-live']) await runDurableObjectAlarm(thread(id))
  const ledgers = [
    threadName(baseUrl, ofPerson, 'canary-ended'),
    threadName(baseUrl, ofPerson, 'canary-live'),
    sessionName(baseUrl, { owner: ofPerson, id: 'canary-session' }),
    vaultName(baseUrl, { owner: ofPerson, provider: 'good' }),
  ].map(ledgerKey)
  await vi.waitFor(async () => {
    const lines = (await everything()).join('\n')
    for (const key of ledgers) expect(lines).toContain(key)
  })
  const before = (await everything()).filter((line) => line.includes('canary'))
  for (const table of [
    'THREAD.run',
    'THREAD.event',
    'THREAD.thread',
    'SESSION.intent',
    'OWNER_INDEX.indexed',
  ])
    expect(before.some((line) => line.startsWith(table))).toBe(true)

  const [status, receipt] = await erase()
  expect([status, receipt.complete, receipt.reason, receipt.failed]).toEqual([200, true, 'complete', []])
  expect(receipt.erased).toEqual(expect.arrayContaining(['sessions', 'runs', 'index']))

  const others = /"sam"|canary-live|canary-input/
  const gone = async () => {
    const lines = await everything()
    const ofSam = await runInDurableObject(
      bindings.THREAD.getByName(threadName(baseUrl, { kind: 'user', id: 'sam' }, 'canary-live')),
      (_, { id }) => id.toString(),
    )
    expect(ofSam).toBe(runKeyOf(other.runId)!.object)
    expect(lines.filter((line) => line.includes(person))).toEqual([])
    expect(lines.filter((line) => line.includes('canary') && !others.test(line))).toEqual([])
    for (const key of ledgers) expect(lines.join('\n')).not.toContain(key)
    // No connection waits for a thread that is gone.
    expect(lines.filter((line) => line.startsWith('VAULT.run_watcher'))).toEqual([])
    expect(await indexed()).toBe(1)
  }
  await gone()
  // What was under way, or comes by an alarm, writes none of it again.
  for (const id of ['canary-ended', 'canary-live', 'canary-device']) {
    expect(await runInDurableObject(thread(id), (_, { storage }) => storage.getAlarm())).toBeNull()
    await runInDurableObject(thread(id), (object) => object.alarm())
  }
  await runDurableObjectAlarm(index('threads'))
  await gone()
  expect([await index('threads').list(), await index('sessions').list()]).toEqual([[], []])
  expect((await write(other.runId, 'still', 'sam')).status).toBe(200)
  // A second time there is nothing to do; a person who comes back is a new one.
  expect((await erase())[1]).toMatchObject({ complete: true, failed: [] })
  expect(await start('canary-live')).toMatchObject({ created: true, lastSeq: 0 })
  expect(await index('threads').list()).toEqual(['canary-live'])
})

test('T60: a run that is live then ends once, with the cause, in front of whoever reads it', async () => {
  const { runId } = await start('t')
  await write(runId, 'a')
  const two = await Promise.all(
    [0, 2].map((from) =>
      ask(`/api/runs/${runId}/events?from=${from}`, {
        headers: bearer(person),
      }),
    ),
  )
  const read = all(client().follow(runId))
  await vi.waitFor(async () => {
    const subscribed = await runInDurableObject(thread('t'), (object) => object.subscribers)
    expect(subscribed).toBe(3)
  })
  expect((await erase())[0]).toBe(200)
  for (const response of two)
    expect(endsIn(await response.text())).toMatchObject([
      { seq: 2, type: 'error', end: { status: 'errored', cause: 'erased' } },
    ])
  const items = await read
  expect(items.map(({ type }) => type)).toEqual(['step', 'error'])
  expect(items[1]).toMatchObject({ seq: 2, end: { cause: 'erased' } })
  // Whoever comes back too late is told once that there is no such run, and asks no more.
  expect(await all(client().follow(runId, { from: 2 }))).toMatchObject([
    { local: true, end: { code: 'run_unknown', recoverable: false } },
  ])
  expect(await runInDurableObject(thread('t'), (object) => object.subscribers)).toBe(0)
  // The next run of the thread has the same number in it: nobody who read the last one reads this one.
  const next = await start('t', { clientKey: 'next' })
  const fresh = all(client().follow(next.runId))
  await write(next.runId, 'b')
  await finish(next.runId)
  expect((await fresh).map(({ type }) => type)).toEqual(['step', 'done'])
})

test('a run whose connection goes first ends with that cause, and not a second time', async () => {
  const browser = await Browser.of({ subject: person })
  await browser.connect('good')
  const { runId } = await start('t', { uses: [{ provider: 'good' }] })
  const read = all(client().follow(runId))
  await vi.waitFor(async () => {
    expect(await runInDurableObject(thread('t'), (object) => object.subscribers)).toBe(1)
  })
  expect((await erase())[0]).toBe(200)
  const items = await read
  expect(items).toHaveLength(1)
  // Which of the two steps comes to it first is of no matter: the log has one end.
  const [item] = items
  expect(['connection_revoked', 'erased']).toContain(item?.local ? item.end.code : item?.end?.cause)
})

test('an erasure that was cut off goes on: what is gone stays gone, what is left is found', async () => {
  for (const level of ['warn', 'error'] as const) vi.spyOn(console, level).mockImplementation(() => undefined)
  const runs = await Promise.all(['a', 'b', 'c'].map((id) => start(id)))
  const read = all(client().follow(runs[1]!.runId))
  await vi.waitFor(async () => {
    expect(await runInDurableObject(thread('b'), (object) => object.subscribers)).toBe(1)
  })
  await statement('b', 'ALTER TABLE outcome RENAME TO away')
  const [status, receipt] = await erase()
  expect([status, receipt.complete, receipt.reason, receipt.failed]).toEqual([
    202,
    false,
    'partial',
    ['runs'],
  ])
  expect(await index('threads').list()).toEqual(['b'])
  // It has ended there already, in front of its reader; the second time writes no second end.
  expect((await read).map(({ type }) => type)).toEqual(['error'])
  expect(
    await runInDurableObject(thread('b'), (_, { storage }) =>
      storage.sql.exec('SELECT cause FROM run').toArray(),
    ),
  ).toEqual([{ cause: 'erased' }])
  await statement('b', 'ALTER TABLE away RENAME TO outcome')
  expect(await erase()).toMatchObject([200, { complete: true, failed: [] }])
  expect(await index('threads').list()).toEqual([])
  const left = await everything(['THREAD'])
  expect(left.filter((line) => !line.startsWith('INDEX.holdings'))).toEqual([])
})

test('more threads than one request may ask are erased in several', async () => {
  const names = Array.from({ length: 20 }, (_, n) => `t-${String(n).padStart(2, '0')}`)
  for (const [n, name] of names.entries()) await index('threads').add(name, Date.now() + 1e6 + n)
  await start('t-19')
  expect(await index('threads').erase(18)).toBe('failed')
  expect(await index('threads').list()).toEqual(['t-18', 't-19'])
  expect(await index('threads').erase(18)).toBe('done')
  expect(await index('threads').list()).toEqual([])
  expect(await index('threads').erase(18)).toBe('absent')
})

test('a run that starts while everything goes is either gone or found again', async () => {
  for (let round = 0; round < 8; round += 1) {
    const key = `round-${round}`
    const [started] = await Promise.all([
      start('t', { clientKey: key }).catch(() => undefined),
      index('threads').erase(),
      start('t', { clientKey: `${key}-2` }).catch(() => undefined),
      index('threads').erase(),
    ])
    const there = await runInDurableObject(thread('t'), (_, { storage }) =>
      storage.sql.exec('SELECT 1 FROM run').toArray(),
    )
    expect([started === undefined, await index('threads').list()]).toEqual([
      started === undefined,
      there.length > 0 ? ['t'] : [],
    ])
    await index('threads').erase()
  }
})
