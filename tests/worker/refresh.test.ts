import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { vaultName } from '../../wrangler/src/names.ts'
import { ask, assertion, bearer, bindings, Browser, errorOf, json } from './harness.ts'
import { baseUrl } from './variables.ts'

interface Grant {
  readonly accessToken: string
  readonly expiresAt: number
  readonly generation: { readonly id: string; readonly version: number }
  readonly obtained: string
}

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const vault = (provider = 'good') =>
  bindings.VAULT.getByName(vaultName(baseUrl, { owner: { kind: 'user', id: 'alex' }, provider }))
const post = (verb: string, body: unknown = {}, provider = 'good') =>
  ask(`/api/connections/${provider}/${verb}`, {
    method: 'POST',
    headers: { ...bearer('alex'), ...json },
    body: JSON.stringify(body),
  })
const grant = async (verb = 'token', body: unknown = {}): Promise<Grant> => {
  const response = await post(verb, body)
  expect(response.status).toBe(200)
  return (await response.json()) as Grant
}
const connected = async (provider = 'good'): Promise<void> => {
  const browser = await Browser.of({ subject: 'alex' })
  expect((await browser.connect(provider)).get('connected')).toBe(provider)
}
const works = async (accessToken: string): Promise<boolean> =>
  (await fetch(`${inject('issuer')}/me`, { headers: { authorization: `Bearer ${accessToken}` } })).ok
const at = (now: number): void => {
  vi.useFakeTimers({ toFake: ['Date'], now })
}
const query = (sql: string): Promise<unknown> =>
  runInDurableObject(vault(), (_, { storage }) => storage.sql.exec(sql).toArray())
const accountId = async (): Promise<string> =>
  ((await query('SELECT account FROM latchkey_connection')) as [{ account: string }])[0].account
const metric = async (outcome: string, provider = 'good'): Promise<number> => {
  const text = await (await ask('/api/metrics', { headers: bearer('ops') })).text()
  const line = `latchkey_token_outcomes_total{provider="${provider}",outcome="${outcome}"} `
  return Number(text.slice(text.indexOf(line) + line.length).split('\n', 1)[0])
}

test('fresh enough is served; close to its end it is served too, and refreshed beside it', async () => {
  await connected()
  const first = await grant()
  expect(first.obtained).toBe('stored')
  at(first.expiresAt - 330_000)
  expect(await grant()).toEqual(first)

  at(first.expiresAt - 60_000)
  const near = await grant()
  expect([near.accessToken, near.obtained]).toEqual([first.accessToken, 'kept'])
  await vi.waitFor(async () => {
    expect((await grant()).generation).toEqual({ id: first.generation.id, version: 2 })
  })
  const second = await grant()
  expect(second.accessToken).not.toBe(first.accessToken)
  vi.useRealTimers()
  expect(await works(second.accessToken)).toBe(true)
})

test('T39 fifty callers of an expired connection: one redemption, nobody fails', async () => {
  await connected()
  const first = await grant()
  at(first.expiresAt + 1)
  const before = await metric('refreshed')
  const grants = await Promise.all(Array.from({ length: 50 }, () => grant()))
  expect(new Set(grants.map(({ accessToken }) => accessToken)).size).toBe(1)
  expect(grants[0]?.generation).toEqual({ id: first.generation.id, version: 2 })
  expect(grants.filter(({ obtained }) => obtained === 'refreshed')).toHaveLength(1)
  expect((await metric('refreshed')) - before).toBe(1)
  // The grant is alive: the next generation can be had as well.
  expect((await grant('rotate', { generation: grants[0]?.generation })).generation.version).toBe(3)
})

test('a refresh adds two writes and at most one alarm', async () => {
  await connected()
  const { expiresAt } = await grant()
  const epoch = async () => (await query('SELECT epoch FROM latchkey_connection')) as [{ epoch: number }]
  const [{ epoch: before }] = await epoch()
  at(expiresAt + 1)
  await grant()
  const [{ epoch: after }] = await epoch()
  expect(after - before).toBe(2)
})

test('a vault says only that its answer still holds, and no answer outlives what it was about', async () => {
  await connected()
  const first = await grant()
  expect([await grant(), await grant()]).toEqual([first, first])
  const told = await vault().token(0)
  if (typeof told === 'number') throw new Error('nobody held anything')
  expect(told.mark).toBeGreaterThan(0)
  expect(await vault().token(0, told.mark)).toBe(told.mark)
  // A mark of anything else, and any mark in another instance, gets the whole answer.
  expect(await vault().token(0, told.mark + 1)).toEqual(told)
  await evictDurableObject(vault())
  expect(await vault().token(0, told.mark)).toMatchObject({ result: { accessToken: first.accessToken } })
  expect(await grant()).toEqual(first)

  const second = await grant('rotate', { generation: first.generation })
  expect((await grant()).accessToken).toBe(second.accessToken)
  await ask('/api/connections/good', { method: 'DELETE', headers: { ...bearer('alex'), ...json } })
  expect(await errorOf(await post('token'))).toBe('not_connected')
  await connected()
  expect([first.accessToken, second.accessToken]).not.toContain((await grant()).accessToken)
})

test('a mark alone stands for an answer as long as nothing is written, and every call counts once', async () => {
  await connected()
  expect(await vault().mark()).toBe(0)
  const counted = async (work: () => Promise<unknown>): Promise<number> => {
    const before = await metric('ok')
    await work()
    return (await metric('ok')) - before
  }
  // The first answer settles what stands, the second one is held, from the third on it is named.
  const first = await grant()
  expect(await vault().token(0)).toMatchObject({ result: { accessToken: first.accessToken } })
  expect(await counted(async () => expect([await grant(), await grant()]).toEqual([first, first]))).toBe(2)
  const mark = await vault().mark()
  expect(mark).toBeGreaterThan(0)
  expect(await vault().token(0, mark)).toBe(mark)
  // Another length of time is another question.
  expect(await vault().token(1_000, mark)).toMatchObject({ mark: 0 })
  expect(await vault().mark()).toBe(0)

  // Held here again.
  expect([await grant(), await grant()]).toEqual([first, first])
  const second = await grant('rotate', { generation: first.generation })
  expect(await vault().mark()).toBe(0)
  // Somebody else was told; what is held here is another answer, and to ask again is the same call.
  await vault().token(0)
  await vault().token(0)
  expect([0, mark]).not.toContain(await vault().mark())
  expect(await counted(async () => expect((await grant()).accessToken).toBe(second.accessToken))).toBe(1)
  await ask('/api/connections/good', { method: 'DELETE', headers: { ...bearer('alex'), ...json } })
  expect(await vault().mark()).toBe(0)
})

test('T45 rotate and report-rejected mean the generation they name; a stale one changes nothing', async () => {
  await connected()
  const first = await grant()
  const second = await grant('rotate', { generation: first.generation })
  expect(second.generation).toEqual({ id: first.generation.id, version: 2 })
  expect(await grant('rotate', { generation: first.generation })).toMatchObject({
    accessToken: second.accessToken,
    obtained: 'stored',
  })
  expect(await grant('report-rejected', { generation: first.generation })).toMatchObject({
    accessToken: second.accessToken,
  })
  const third = await grant('report-rejected', { generation: second.generation })
  expect(third.generation.version).toBe(3)
  expect(await works(third.accessToken)).toBe(true)

  // Connected anew, counting begins at 1: the lineage tells them apart.
  await connected()
  const anew = await grant()
  expect(anew.generation.version).toBe(1)
  expect(await grant('rotate', { generation: { id: third.generation.id, version: 1 } })).toMatchObject({
    accessToken: anew.accessToken,
  })
})

test('a report that is refused twice costs one redemption, not one for every request', async () => {
  await connected()
  const endpoint = `${inject('tokenServer')}/exchanged`
  const exchanged = async (): Promise<number> => ((await (await fetch(endpoint)).json()) as string[]).length
  const before = await exchanged()
  const spent = async (): Promise<number> => (await exchanged()) - before
  const report = async (generation: Grant['generation']): Promise<string | Grant> => {
    const response = await post('report-rejected', { generation })
    return response.ok ? ((await response.json()) as Grant) : `${response.status} ${await errorOf(response)}`
  }
  const of = ({ generation }: Grant) => ({ generation })
  const first = await grant()
  // Of many at once that mean the same one, one redeems.
  const instead = await Promise.all([1, 2, 3].map(() => grant('report-rejected', of(first))))
  expect(new Set(instead.map(({ accessToken }) => accessToken)).size).toBe(1)
  const second = instead[0]!
  expect(await spent()).toBe(1)
  for (let n = 0; n < 3; n += 1) expect(await report(second.generation)).toBe('403 upstream_refused')
  expect(await Promise.all([1, 2, 3].map(() => report(second.generation)))).toEqual(
    Array(3).fill('403 upstream_refused'),
  )
  expect(await spent()).toBe(1)
  // It is the pair that is marked: everything else about it is as it was, and what came before it is stale.
  expect((await grant()).accessToken).toBe(second.accessToken)
  expect(await report(first.generation)).toMatchObject({ accessToken: second.accessToken })
  expect(await spent()).toBe(1)
  // A usual refresh makes a new one, and the old one is stale, marked or not.
  const third = await grant('rotate', of(second))
  expect(await report(second.generation)).toMatchObject({ accessToken: third.accessToken })
  expect(await spent()).toBe(2)
  const fourth = await grant('report-rejected', of(third))
  expect(fourth.generation.version).toBe(4)
  expect(await report(fourth.generation)).toBe('403 upstream_refused')
  // For fifteen minutes, to the millisecond.
  const until = (await query('SELECT max(until) AS until FROM refused_pair')) as [{ until: number }]
  at(until[0].until - 1)
  expect(await report(fourth.generation)).toBe('403 upstream_refused')
  vi.setSystemTime(until[0].until)
  expect(await report(fourth.generation)).toMatchObject({ generation: { version: 5 } })
  expect(await spent()).toBe(4)
  // A new login is a new pair.
  vi.useRealTimers()
  await connected()
  const anew = await grant()
  expect((await grant('report-rejected', of(anew))).generation.version).toBe(2)
})

test.each([
  [{}],
  [{ generation: null }],
  [{ generation: { id: 'x', version: 1 } }],
  [{ generation: { id: 'AAAAAAAAAAAAAAAAAAAAAA', version: 0 } }],
  [{ generation: { id: 'AAAAAAAAAAAAAAAAAAAAAB', version: 1 } }],
  [{ generation: { id: 'AAAAAAAAAAAAAAAAAAAAAA', version: '1' } }],
  [{ generation: { id: 'AAAAAAAAAAAAAAAAAAAAAA', version: 1, more: 1 } }],
  [{ generation: { id: 'AAAAAAAAAAAAAAAAAAAAAA', version: 1 }, minValidityMs: 1 }],
])('rotate with %j is refused', async (body) => {
  for (const verb of ['rotate', 'report-rejected']) {
    const response = await post(verb, body)
    expect([response.status, await errorOf(response)]).toEqual([400, 'request_invalid'])
  }
})

test('T46 five ends are five answers, each with its status', async () => {
  const answer = async () => {
    const response = await post('token')
    return [response.status, await errorOf(response)]
  }
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  expect(await answer()).toEqual([404, 'not_connected'])

  await connected()
  const { expiresAt } = await grant()
  await query('UPDATE latchkey_connection SET row = zeroblob(172)')
  await evictDurableObject(vault())
  expect(await answer()).toEqual([500, 'corrupt'])
  expect(await query('SELECT length(row) AS n FROM latchkey_connection')).toEqual([{ n: 172 }])

  await connected()
  expect(await vault().revoke({ account: await accountId() })).toBe(true)
  expect(await answer()).toEqual([409, 'revoked'])

  // The authorization server knows nothing of this refresh token any more.
  await connected()
  const { accessToken } = await grant()
  expect(await works(accessToken)).toBe(true)
  await endGrant()
  at(expiresAt + 3_600_000)
  expect(await answer()).toEqual([409, 'reconnect_required'])
  expect(await answer()).toEqual([409, 'reconnect_required'])
})

test('a verdict that ends the connection ends the runs that use it, with that cause', async () => {
  await connected()
  const { expiresAt } = await grant()
  await endGrant()
  const more = { threadId: 't', clientKey: 'k', uses: [{ provider: 'good' }] }
  at(expiresAt + 3_600_000)
  const started = await ask('/api/runs', {
    method: 'POST',
    headers: { ...bearer('alex'), ...json },
    body: JSON.stringify(more),
  })
  const { runId } = (await started.json()) as { runId: string }
  expect(await errorOf(await post('token'))).toBe('reconnect_required')
  expect(await errorOf(await post('token'))).toBe('reconnect_required')
  const run = async (): Promise<unknown> =>
    await (await ask(`/api/runs/${runId}`, { headers: bearer('alex') })).json()
  await vi.waitFor(async () => {
    expect(await run()).toMatchObject({ status: 'errored', cause: 'reconnect_required' })
  })
})

/** Ends the grant at the authorization server behind our back, by revoking its refresh token there. */
async function endGrant(): Promise<void> {
  const copy = await runInDurableObject(vault(), (_, { storage }) =>
    storage.sql.exec('SELECT * FROM latchkey_connection').toArray(),
  )
  await ask('/api/connections/good?owner=user', { method: 'DELETE', headers: bearer('alex') })
  await runInDurableObject(vault(), (_, { storage }) => {
    for (const row of copy) {
      const names = Object.keys(row)
      const marks = names.map(() => '?').join(', ')
      storage.sql.exec(
        `INSERT OR REPLACE INTO latchkey_connection (${names.join(', ')}) VALUES (${marks})`,
        ...Object.values(row),
      )
    }
  })
  await evictDurableObject(vault())
}

test('a provider that is down costs nobody the connection', async () => {
  await connected('moved')
  const use = async () => {
    const response = await post('token', {}, 'moved')
    return [response.status, response.headers.get('retry-after'), response.ok || (await errorOf(response))]
  }
  const { expiresAt } = (await (await post('token', {}, 'moved')).json()) as Grant
  const { fetch: real } = globalThis
  const down = vi.spyOn(globalThis, 'fetch').mockImplementation((...request) => {
    const url = request[0] instanceof Request ? request[0].url : String(request[0])
    const limited = () => new Response('', { status: 429, headers: { 'retry-after': '600' } })
    return url.includes('/token') ? Promise.resolve(limited()) : real(...request)
  })
  at(expiresAt - 60_000)
  expect(await use()).toEqual([200, null, true])
  await vi.waitFor(() => expect(down).toHaveBeenCalledOnce())
  at(expiresAt + 60_000)
  expect(await use()).toEqual([503, '480', 'temporarily_unavailable'])
  expect(down).toHaveBeenCalledOnce()
  down.mockRestore()
  at(expiresAt + 540_001)
  expect(await use()).toEqual([200, null, true])
})

test('T49 an account is ended by its person or by the application: revoked, deleted, with a receipt', async () => {
  await connected()
  await connected('stubborn')
  const { accessToken } = await grant()
  const remove = (headers: Record<string, string>, id = 'alex') =>
    ask(`/api/users/${encodeURIComponent(id)}`, { method: 'DELETE', headers: { ...headers, ...json } })
  const human = (subject: string) => ({ authorization: assertion({ subject, kind: 'human' }) })
  const device = { authorization: assertion({ subject: 'alex', kind: 'device', device: 'd1' }) }
  for (const headers of [human('sam'), device])
    expect([(await remove(headers)).status, await errorOf(await remove(headers))]).toEqual([
      403,
      'not_allowed',
    ])
  expect((await remove(human('alex'), '%')).status).toBe(403)

  const response = await remove(human('alex'))
  expect(response.status).toBe(200)
  const receipt = (await response.json()) as { complete: boolean; connections: { provider: string }[] }
  expect(receipt.complete).toBe(true)
  const of = (name: string) => receipt.connections.find(({ provider }) => provider === name)
  expect(of('good')).toEqual({ provider: 'good', revoked: true, deleted: true })
  // The provider did not confirm it: nothing is kept all the same, and the receipt says so.
  expect(of('stubborn')).toEqual({
    provider: 'stubborn',
    revoked: false,
    deleted: true,
    reason: 'unreachable',
  })
  expect(await works(accessToken)).toBe(false)
  expect(await errorOf(await post('token'))).toBe('not_connected')
  expect(await query('SELECT access || account || details AS left FROM latchkey_connection')).toEqual([
    { left: '' },
  ])
  expect((await remove(bearer('ops'))).status).toBe(200)
})

test('T48 the provider ends an account: that account, no other, and no later login', async () => {
  await connected()
  const account = ((await query('SELECT account FROM latchkey_connection')) as [{ account: string }])[0]
    .account
  expect(await vault().revoke({ account: `${account}0` })).toBe(false)
  expect(await vault().revoke({ account: '' })).toBe(false)
  expect(await vault().revoke({ account, at: Date.now() - 60_000 })).toBe(false)
  expect((await post('token')).status).toBe(200)
  expect(await vault().revoke({ account, at: Date.now() })).toBe(true)
  expect(await errorOf(await post('token'))).toBe('revoked')
  expect(await vault().revoke({ account })).toBe(false)
  const list = await (await ask('/api/connections', { headers: bearer('alex') })).json()
  expect(list).toContainEqual(expect.objectContaining({ provider: 'good', status: 'revoked', account: null }))
})

test('an alarm settles what nobody came back for, and doing it again changes nothing', async () => {
  await connected()
  const { expiresAt } = await grant()
  at(expiresAt + 1)
  await grant()
  const row = 'SELECT epoch, version FROM latchkey_connection'
  const before = await query(row)
  at(expiresAt + 60_000)
  expect(await runDurableObjectAlarm(vault())).toBe(true)
  for (let i = 0; i < 3; i += 1) await runInDurableObject(vault(), (object) => object.alarm())
  expect(await query(row)).toEqual(before)
})

test('a provider that is to be refreshed before anybody asks is', async () => {
  await connected('eager')
  const { expiresAt } = (await (await post('token', {}, 'eager')).json()) as Grant
  const rows = () =>
    runInDurableObject(vault('eager'), (_, { storage }) =>
      storage.sql.exec('SELECT version FROM latchkey_connection').toArray(),
    )
  expect(await runDurableObjectAlarm(vault('eager'))).toBe(true)
  expect(await rows()).toEqual([{ version: 1 }])
  const due = await runInDurableObject(vault('eager'), (_, { storage }) => storage.getAlarm())
  // The used state's alarm comes first; what is due after it is close to the end.
  expect(due).toBeLessThan(expiresAt)
  at(expiresAt - 60_000)
  expect(await runDurableObjectAlarm(vault('eager'))).toBe(true)
  expect(await rows()).toEqual([{ version: 2 }])
})

test('used states are forgotten by the alarm, in an object that was gone in between', async () => {
  await connected()
  const count = () => query('SELECT count(*) AS n FROM consumed')
  expect(await count()).toEqual([{ n: 1 }])
  await evictDurableObject(vault())
  at(Date.now() + 700_000)
  expect(await runDurableObjectAlarm(vault())).toBe(true)
  expect(await count()).toEqual([{ n: 0 }])
})

test('metrics are for the application, count every outcome and hold no secret', async () => {
  await connected()
  const ok = await metric('ok')
  const { accessToken } = await grant()
  expect((await metric('ok')) - ok).toBe(1)
  const response = await ask('/api/metrics', { headers: bearer('ops') })
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const text = await response.text()
  for (const outcome of ['joined', 'lost_race', 'in_doubt', 'lost_in_flight', 'terminal', 'transient'])
    expect(text).toContain(`latchkey_token_outcomes_total{provider="good",outcome="${outcome}"} `)
  expect(text).not.toContain(accessToken)
  expect(text).not.toContain('alex')
  expect(text.endsWith('\n')).toBe(true)
})
