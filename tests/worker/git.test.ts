import { reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { exports } from 'cloudflare:workers'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { vaultName } from '../../wrangler/src/names.ts'
import { ask, bearer, bindings, Browser, errorOf, json, keys, lk, ownOrigin, request } from './harness.ts'
import { baseUrl } from './variables.ts'

beforeEach(async () => {
  await reset()
  await asked()
})
afterEach(() => {
  vi.useRealTimers()
})

const tokenServer = () => inject('tokenServer')
const repo = (name: string): string => `${tokenServer()}/git/team/${name}`
const asked = async () => (await (await fetch(`${tokenServer()}/asked`)).json()) as string[]
const vault = (subject: string) =>
  bindings.VAULT.getByName(vaultName(baseUrl, { owner: { kind: 'user', id: subject }, provider: 'good' }))

interface Minted {
  readonly capability: string
  readonly remote: string
}

async function mint(name: string, more: object = {}, subject = 'alex'): Promise<Minted> {
  const body = JSON.stringify({ provider: 'good', repo: repo(name), can: ['fetch', 'push'], ...more })
  const init = { method: 'POST', headers: { ...bearer(subject), ...json }, body }
  const response = await ask('/api/capabilities', init)
  expect(response.status).toBe(201)
  return (await response.json()) as Minted
}

const basic = (capability: string, user = 'git') => ({
  authorization: `Basic ${btoa(`${user}:${capability}`)}`,
})
const discover = (name: string, capability: string, service = 'git-upload-pack') =>
  ask(`/git/good/team/${name}.git/info/refs?service=${service}`, { headers: basic(capability) })

/** The names in the cache, once there are so many: an answer does not wait for it. */
const kept = (count: number) =>
  vi.waitFor(async () => {
    const names = (await bindings.ACCESS!.list()).keys.map(({ name }) => name)
    expect(names).toHaveLength(count)
    return names
  })

test('T32 a 404 is remembered for five minutes: of that account, repository and right', async () => {
  await (await Browser.of({ subject: 'alex' })).connect('good')
  const { capability } = await mint('status-404')
  const refused = async (service?: string) => {
    const response = await discover('status-404', capability, service)
    return [response.status, await response.text(), (await asked()).length]
  }
  const code = 'latchkey: upstream_refused\n'
  expect(await refused()).toEqual([404, code, 1])
  await kept(1)
  expect(await refused()).toEqual([404, code, 0])
  // To push is another question.
  expect(await refused('git-receive-pack')).toEqual([404, code, 1])
  const names = await kept(2)
  for (const name of names) expect(name).toMatch(/^[0-9a-f]{32}$/)

  const [known] = await runInDurableObject(vault('alex'), (_, { storage }) =>
    storage.sql.exec<{ account: string }>('SELECT account FROM latchkey_connection').toArray(),
  )
  const keyOf = (account: string) => {
    const parts = ['access', baseUrl, 'good', account, `${repo('status-404')}.git`, 'fetch']
    return lk.guard.key(parts)
  }
  expect(known!.account).not.toBe('')
  expect(names).toContain(keyOf(known!.account))
  expect(names).not.toContain(keyOf('another-account'))

  // Over, or written by a clock that is ahead: asked again.
  for (const until of [Date.now(), Date.now() + 310_000]) {
    await bindings.ACCESS!.put(keyOf(known!.account), JSON.stringify({ granted: false, until }))
    expect(await refused()).toEqual([404, code, 1])
    await vi.waitFor(async () =>
      expect(await bindings.ACCESS!.get(keyOf(known!.account))).not.toContain(`${until}`),
    )
  }
})

test('T31 T32 nothing else that is refused is remembered', async () => {
  await (await Browser.of({ subject: 'alex' })).connect('good')
  for (const status of [403, 418, 429, 500, 503]) {
    const name = `status-${status}`
    const { capability } = await mint(name)
    for (let n = 0; n < 2; n += 1) {
      expect((await discover(name, capability)).status).not.toBe(200)
      expect(await asked()).toHaveLength(1)
    }
  }
  await kept(0)
  const { capability } = await mint('there')
  expect((await discover('there', capability)).status).toBe(200)
  await kept(1)
  expect(await asked()).toHaveLength(1)
  expect((await discover('there', capability)).status).toBe(200)
  expect(await asked()).toHaveLength(1)
})

test('what an upstream refuses twice is not exchanged again for a quarter of an hour; a new pair is', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  await browser.connect('good')
  const { capability } = await mint('status-401')
  let before = 0
  /** Requests to the token endpoint and to the git host since the last look. */
  const counts = async () => {
    const { length } = (await (await fetch(`${tokenServer()}/exchanged`)).json()) as string[]
    const since = length - before
    before = length
    return [since, (await asked()).length]
  }
  await counts()
  const refused = async () => {
    const response = await discover('status-401', capability)
    expect([response.status, await response.text()]).toEqual([403, 'latchkey: upstream_refused\n'])
    return await counts()
  }
  expect(await refused()).toEqual([1, 2])
  for (let n = 0; n < 3; n += 1) expect(await refused()).toEqual([0, 1])
  expect(await Promise.all([1, 2, 3].map(() => discover('status-401', capability)))).toHaveLength(3)
  expect((await counts())[0]).toBe(0)

  // The mark is of the pair, and of nobody's else: what takes the token is asked with it.
  const fine = await mint('there')
  expect((await discover('there', fine.capability)).status).toBe(200)
  expect((await counts())[0]).toBe(0)

  // For fifteen minutes, to the millisecond, and nothing stays of it.
  const marks = () =>
    runInDurableObject(vault('alex'), (_, { storage }) =>
      storage.sql.exec<{ until: number }>('SELECT until FROM refused_pair').toArray(),
    )
  const [mark] = await marks()
  vi.useFakeTimers({ toFake: ['Date'], now: mark!.until - 1 })
  expect(await refused()).toEqual([0, 1])
  vi.setSystemTime(mark!.until)
  expect((await refused())[0]).toBe(1)
  const next = (await marks()).at(-1)
  vi.setSystemTime(next!.until + 1)
  await runDurableObjectAlarm(vault('alex'))
  expect(await marks()).toEqual([])
  vi.useRealTimers()

  // A new login is a new pair.
  expect((await refused())[0]).toBe(1)
  expect((await refused())[0]).toBe(0)
  await browser.connect('good')
  await counts()
  expect((await refused())[0]).toBe(1)
  expect((await refused())[0]).toBe(0)
})

test('a pair that is taken after all is no refused one: the next refusal is exchanged again', async () => {
  await (await Browser.of({ subject: 'alex' })).connect('good')
  for (const name of [`once-${crypto.randomUUID()}`, `once-${crypto.randomUUID()}`]) {
    const { capability } = await mint(name)
    expect((await discover(name, capability)).status).toBe(200)
    expect(await asked()).toHaveLength(2)
    await vi.waitFor(async () => {
      const rows = await runInDurableObject(vault('alex'), (_, { storage }) =>
        storage.sql.exec('SELECT pair FROM refused_pair').toArray(),
      )
      expect(rows).toEqual([])
    })
  }
})

test('T36 a person’s own page may mint, another page may not', async () => {
  const browser = await Browser.of({ subject: 'alex' })
  await browser.connect('good')
  const body = JSON.stringify({ provider: 'good', repo: repo('one'), can: ['fetch'] })
  const post = (headers: Record<string, string>) =>
    browser.ask('/api/capabilities', { method: 'POST', headers, body })
  expect((await post({ ...ownOrigin, ...json })).status).toBe(201)
  expect(await errorOf(await post(json))).toBe('origin_refused')
  expect(await errorOf(await post({ ...json, origin: 'http://127.0.0.1:9999' }))).toBe('origin_refused')
  expect(await errorOf(await post({ ...ownOrigin, 'content-type': 'text/plain' }))).toBe('media_type_refused')
  expect((await browser.ask('/api/capabilities')).status).toBe(405)
})

test('an organisation’s connection stands behind a member’s capability, and only a member’s', async () => {
  const owner = await Browser.of({ subject: 'olga', org: 'acme', role: 'owner' })
  await owner.connect('good', { owner: 'org' })
  const { Latchkey } = exports
  const wanted = { provider: 'good', repo: repo('one'), can: ['fetch'] } as const
  const member = { subject: 'max', org: 'acme', role: 'member', kind: 'human' } as const
  const minted = await Latchkey.capability(member, wanted)
  expect(minted.ok && minted.value.repo).toBe(`${repo('one')}.git`)
  const text = minted.ok ? minted.value.capability : ''
  expect(lk.capability.verify(keys, text, { now: Date.now() })).toMatchObject({
    subject: 'max',
    owner: { kind: 'org', id: 'acme' },
    provider: 'good',
    can: ['fetch'],
  })
  expect((await discover('one', text)).status).toBe(200)
  expect(await Latchkey.capability({ ...member, org: 'other' }, wanted)).toEqual({
    ok: false,
    code: 'not_connected',
  })
  expect(await Latchkey.capability({ subject: 'max', kind: 'human' }, wanted)).toEqual({
    ok: false,
    code: 'not_connected',
  })
})

test('a service binding says which container calls; what the request says does not count', async () => {
  await (await Browser.of({ subject: 'alex' })).connect('good')
  const { capability } = await mint('one', { container: 'box-1' })
  const { Latchkey } = exports
  const path = '/git/good/team/one.git/info/refs?service=git-upload-pack'
  const from = async (user: string, container: string) => {
    const response = await Latchkey.git(request(path, { headers: basic(capability, user) }), container)
    const text = await response.text()
    return [response.status, text.startsWith('latchkey: ') ? text.slice(10, -1) : '']
  }
  expect(await from('box-2', 'box-1')).toEqual([200, ''])
  expect(await from('box-1', 'box-2')).toEqual([403, 'container_mismatch'])
  expect(await from('box-1', '')).toEqual([403, 'container_mismatch'])
  const nowhere = await Latchkey.git(
    request('/git/good/team/one/info/refs', { headers: basic(capability) }),
    'box-1',
  )
  expect(nowhere.status).toBe(404)
})

test('T24 the vault believes nobody: a capability of another owner, provider or time is none there', async () => {
  await (await Browser.of({ subject: 'alex' })).connect('good')
  const claims = {
    purpose: 'git',
    subject: 'alex',
    owner: { kind: 'user', id: 'alex' },
    provider: 'good',
    can: ['fetch'],
    epoch: 0,
    expiresAt: Math.floor(Date.now() / 1_000) * 1_000 + 60_000,
  } as const
  const redeem = async (changes: object) => {
    const ctx = { now: Date.now(), entropy: new Uint8Array(16) }
    const capability = lk.capability.mint(keys, { ...claims, ...changes }, ctx)
    const result = await vault('alex').redeem({ capability, container: '' })
    return result.outcome === 'refused' ? result.code : result.outcome
  }
  expect(await redeem({})).toBe('ok')
  expect(await redeem({ owner: { kind: 'user', id: 'bob' } })).toBe('capability_invalid')
  expect(await redeem({ owner: { kind: 'org', id: 'alex' } })).toBe('capability_invalid')
  expect(await redeem({ provider: 'posted' })).toBe('provider_mismatch')
  expect(await redeem({ container: 'box' })).toBe('container_mismatch')

  // Ended once, and never forgotten before the last capability that it ends.
  expect(await vault('alex').epoch()).toBe(0)
  await vault('alex').erase()
  const epoch = await vault('alex').epoch()
  expect(epoch).toBeGreaterThan(0)
  expect(await redeem({})).toBe('capability_revoked')
  expect(await redeem({ epoch })).toBe('not_connected')
  await vault('alex').erase()
  expect(await vault('alex').epoch()).toBeGreaterThan(epoch)
  const [row] = await runInDurableObject(vault('alex'), (_, { storage }) =>
    storage.sql.exec<{ until: number }>('SELECT until FROM epoch').toArray(),
  )
  expect(row!.until - Date.now()).toBeGreaterThan(4 * 3_600_000)
  vi.useFakeTimers({ toFake: ['Date'], now: row!.until + 2 })
  expect(await runDurableObjectAlarm(vault('alex'))).toBe(true)
  expect(await vault('alex').epoch()).toBe(0)
  await vault('alex').erase()
  expect(await vault('alex').epoch()).toBeGreaterThan(epoch + 1)
})
