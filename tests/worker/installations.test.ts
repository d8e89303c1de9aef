import { reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { exports } from 'cloudflare:workers'
import type { Principal } from 'latchkey'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import type { RetentionReport } from '../../wrangler/src/ledger.ts'
import { installationName, vaultName } from '../../wrangler/src/names.ts'
import type { InstallationControl } from '../servers/installation-control.ts'
import { remote } from '../servers/remote.ts'
import { ask, assertion, bindings, Browser, errorOf, json, keys, lk } from './harness.ts'
import { baseUrl, webhookSecret } from './variables.ts'

const provider = 'app'
const github = remote<
  InstallationControl & { signIn(login: string): void; revoke(login: string): Promise<void> }
>(inject('github'))
const repoOf = (account: string, name = 'one'): string => `${inject('tokenServer')}/git/${account}/${name}`

beforeEach(async () => {
  await reset()
  await github.failMinting(0)
  await github.configureMinting({})
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

type Person = Omit<Principal, 'kind'>
let count = 0
/** Names that no test before has used. */
const fresh = (name: string): string => `${name}-${(count += 1)}`

const connect = async (person: Person, options: { owner?: string; login?: string; name?: string } = {}) => {
  const { owner, login = person.subject, name = provider } = options
  await github.signIn(login)
  const browser = await Browser.of(person)
  expect((await browser.connect(name, owner ? { owner } : {})).get('connected')).toBe(name)
}
const post = (person: Person, path: string, body: object) =>
  ask(path, {
    method: 'POST',
    headers: { authorization: assertion({ ...person, kind: 'human' }), ...json },
    body: JSON.stringify(body),
  })
const token = (person: Person, body: object, name = provider) =>
  post(person, `/api/connections/${name}/token`, body)

interface Grant {
  readonly accessToken: string
  readonly expiresAt: number
  readonly generation: { id: string; version: number } | null
  readonly source: string
  readonly acts?: string
  readonly reason?: string
  readonly installation?: string
  readonly path?: readonly { rule: string; scope?: string }[]
}
const given = async (person: Person, body: object, name = provider): Promise<Grant> => {
  const response = await token(person, body, name)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return await response.json()
}
const refused = async (person: Person, body: object) => {
  const response = await token(person, body)
  return `${response.status} ${await errorOf(response)}`
}
const mintings = async (installation: number) =>
  (await github.mintings()).filter((one) => one.installation === installation)
/** The provider ends the person's grant, and it is found out. */
const loseGrant = async (person: Person, login = person.subject) => {
  const { generation } = await given(person, {})
  await github.revoke(login)
  const answer = await post(person, `/api/connections/${provider}/rotate`, { generation })
  expect(await errorOf(answer)).toBe('reconnect_required')
}
const object = (id: number, name = provider) =>
  bindings.INSTALLATION.getByName(installationName(baseUrl, { provider: name, id: String(id) }))
const vault = (kind: 'user' | 'org', id: string) =>
  bindings.VAULT.getByName(vaultName(baseUrl, { owner: { kind, id }, provider }))
/** A list that was read is good for five minutes. */
const forgetLists = (...vaults: ReturnType<typeof vault>[]) =>
  Promise.all(
    vaults.map((one) =>
      runInDurableObject(one, (_, { storage }) => storage.sql.exec('UPDATE listed SET at = 0').toArray()),
    ),
  )

async function deliver(event: object, id: string = crypto.randomUUID()): Promise<number> {
  const body = new TextEncoder().encode(JSON.stringify(event))
  const secret = new TextEncoder().encode(webhookSecret)
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const signature = new Uint8Array(await crypto.subtle.sign('HMAC', key, body)).toHex()
  const headers = {
    ...json,
    'x-github-event': 'installation',
    'x-github-delivery': id,
    'x-hub-signature-256': `sha256=${signature}`,
  }
  return (await ask(`/webhooks/${provider}`, { method: 'POST', headers, body })).status
}
/** Said, and not yet so where the app asks: what was said has to be enough. */
const happens = async (action: 'deleted' | 'suspend' | 'unsuspend', id: number, at = new Date()) => {
  const event = await github.installationEvent(action, id, at.toISOString())
  expect(await deliver(event)).toBe(204)
}

test('T29 the person acts while they can, then the app, and the answer says who and why', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('Team')
  const repo = repoOf(team)
  const id = await github.install({ account: team, repositories: ['one', 'two'], members: [ada.subject] })
  await connect(ada)
  const own = await given(ada, { repo })
  expect(own).toMatchObject({ acts: 'user', reason: 'user_token', source: 'user' })
  expect(own.path).toEqual([{ rule: 'one_installation', scope: 'user' }, { rule: 'user_token' }])
  expect(own.accessToken).toMatch(/^ghu_/)
  // Nobody who does not ask about a repository is told anything else than before.
  expect(Object.keys(await given(ada, {})).sort()).toEqual(
    ['accessToken', 'expiresAt', 'generation', 'obtained', 'source'].sort(),
  )
  expect(await mintings(id)).toEqual([])

  await loseGrant(ada)
  const app = await given(ada, { repo: repoOf(team.toLowerCase(), 'ONE') })
  expect(app).toMatchObject({
    acts: 'installation',
    reason: 'refresh_failed',
    source: 'user',
    installation: String(id),
    generation: null,
  })
  expect(app.path).toEqual([{ rule: 'one_installation', scope: 'user' }, { rule: 'refresh_failed' }])
  expect(await github.isInstallationToken(app.accessToken)).toBe(true)
  expect((await mintings(id)).map(({ repositories }) => repositories)).toEqual([['one']])
  // Pinned to the person it never becomes the app; without a repository there is nothing to be the app at.
  expect(await refused(ada, { repo, as: 'user' })).toBe('409 reconnect_required')
  expect(await refused(ada, {})).toBe('409 reconnect_required')
  // Pinned to the app it is the app, whatever the person could do.
  await connect(ada)
  expect(await given(ada, { repo, as: 'installation' })).toMatchObject({ reason: 'pinned_installation' })
  expect(await given(ada, { repo })).toMatchObject({ acts: 'user' })

  for (const body of [{ as: 'user' }, { repo, as: 'app' }, { repo: 1 }])
    expect(await refused(ada, body)).toBe('400 request_invalid')
  expect(await refused(ada, { repo: 'https://evil.example/a/b' })).toMatch(/repo_/)
})

test('the key that GitHub hands out does, and the one that everybody else does', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  for (const name of ['app', 'app-too']) {
    await connect(ada, { name })
    const grant = await given(ada, { repo: repoOf(team), as: 'installation' }, name)
    expect(grant.accessToken).toMatch(/^ghs_/)
  }
})

test('T28 several installations are none outside, and say so inside; suspended, elsewhere, unknown: none', async () => {
  const ada = { subject: fresh('ada') }
  const [twice, asleep, foreign] = [fresh('twice'), fresh('asleep'), fresh('foreign')]
  const members = [ada.subject]
  for (let n = 0; n < 2; n += 1) await github.install({ account: twice, repositories: ['one'], members })
  const id = await github.install({ account: asleep, repositories: ['one'], members })
  await github.suspend(id, true)
  await github.install({ account: foreign, repositories: ['one'], members: ['somebody-else'] })
  await connect(ada)
  for (const account of [twice, asleep, foreign, fresh('unknown')]) {
    const repo = repoOf(account)
    expect(await refused(ada, { repo, as: 'installation' })).toBe('404 not_connected')
    // The person's own token is what it was.
    expect(await given(ada, { repo })).toMatchObject({ acts: 'user' })
  }
  const why = async (repo: string) => {
    const headers = { authorization: assertion({ ...ada, kind: 'human' }) }
    const response = await ask(`/api/connections/app/why?repo=${encodeURIComponent(repo)}`, { headers })
    const { acting } = (await response.json()) as {
      acting: { source: string; reason: string; path: { rule: string }[]; sentences: string[] }
    }
    return acting
  }
  expect((await why(repoOf(twice))).path[0]?.rule).toBe('several_installations')
  expect((await why(repoOf(asleep))).path[0]?.rule).toBe('suspended')
  expect((await why(repoOf(foreign))).path[0]?.rule).toBe('no_installation')
  await loseGrant(ada)
  const told = await why(repoOf(twice))
  expect(told).toMatchObject({ source: 'none', reason: 'refresh_failed' })
  expect(told.sentences).toHaveLength(2)
  expect(JSON.stringify(told)).not.toMatch(/gh[us]_/)
  expect(await refused(ada, { repo: repoOf(twice) })).toBe('409 reconnect_required')
})

test('T28 the organisation’s comes first, and no other tenant’s is looked at', async () => {
  const team = fresh('team')
  const [olga, max, zed] = [fresh('olga'), fresh('max'), fresh('zed')]
  const org = fresh('acme')
  const id = await github.install({ account: team, repositories: ['one'], members: [olga] })
  await connect({ subject: olga, org, role: 'owner' }, { owner: 'org' })
  const repo = repoOf(team)
  const member = { subject: max, org, role: 'member' }
  const got = await given(member, { repo, as: 'installation' })
  expect(got).toMatchObject({ source: 'org', installation: String(id) })
  expect(await given(member, { repo })).toMatchObject({ acts: 'user', source: 'org' })
  for (const other of [
    { subject: zed },
    { subject: zed, org: fresh('zeta'), role: 'owner' },
    { subject: max },
  ])
    expect(await refused(other, { repo, as: 'installation' })).toBe('404 not_connected')
  // Asked for the person's own alone, the organisation's is not there.
  expect(await refused(member, { repo, owner: 'user', as: 'installation' })).toBe('404 not_connected')
  expect(await mintings(id)).toHaveLength(1)
})

test('an app that may not write makes nobody’s token better', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  const permissions = { contents: 'read', pull_requests: 'write' }
  await github.install({ account: team, repositories: ['one'], members: [ada.subject], permissions })
  await connect(ada)
  const repo = repoOf(team)
  expect(await given(ada, { repo })).toMatchObject({
    acts: 'installation',
    reason: 'insufficient_user_access',
  })
  expect(await refused(ada, { repo, as: 'user' })).toBe('403 not_allowed')
})

test('many callers at once make one token; it is sealed, made anew before its end, and nothing of it stays', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  const id = await github.install({ account: team, repositories: ['one', 'two'], members: [ada.subject] })
  await connect(ada)
  await github.configureMinting({ waitMs: 100, tokenSeconds: 310 })
  const wanted = { repo: repoOf(team), as: 'installation' }
  const many = await Promise.all(Array.from({ length: 20 }, () => given(ada, wanted)))
  expect(new Set(many.map(({ accessToken }) => accessToken)).size).toBe(1)
  expect(await mintings(id)).toHaveLength(1)
  // Another repository is another token.
  const two = await given(ada, { ...wanted, repo: repoOf(team, 'two') })
  expect(two.accessToken).not.toBe(many[0]!.accessToken)
  expect(await mintings(id)).toHaveLength(2)
  const stored = await runInDurableObject(object(id), (_, { storage }) =>
    JSON.stringify(storage.sql.exec('SELECT * FROM token').toArray()),
  )
  for (const { token: made } of await mintings(id)) expect(stored).not.toContain(made.slice(4))

  const { expiresAt } = many[0]!
  vi.useFakeTimers({ toFake: ['Date'], now: expiresAt - 300_000 })
  expect((await given(ada, wanted)).accessToken).toBe(many[0]!.accessToken)
  vi.setSystemTime(expiresAt - 299_999)
  // While no other can be made the one that is there is good enough, unless it is asked for longer.
  await github.failMinting(502)
  expect((await given(ada, wanted)).accessToken).toBe(many[0]!.accessToken)
  expect(await refused(ada, { ...wanted, minValidityMs: 299_999 + 1 })).toBe('503 temporarily_unavailable')
  vi.useRealTimers()
  await github.failMinting(0)

  const ends = await runInDurableObject(object(id), (_, { storage }) =>
    storage.sql.exec<{ until: number }>('SELECT until FROM token').toArray(),
  )
  vi.useFakeTimers({ toFake: ['Date'], now: Math.max(...ends.map(({ until }) => until)) })
  expect(await runDurableObjectAlarm(object(id))).toBe(true)
  expect(
    await runInDurableObject(object(id), (_, { storage }) =>
      storage.sql.exec('SELECT 1 FROM token').toArray(),
    ),
  ).toEqual([])
})

test('every answer of the provider is one of a few, and nothing of its words gets out', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  const log = [vi.spyOn(console, 'log'), vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')]
  const id = await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await connect(ada)
  const wanted = { repo: repoOf(team), as: 'installation' }
  for (const [status, code] of [
    [401, '500 misconfigured'],
    [403, '404 not_connected'],
    [404, '404 not_connected'],
    [418, '503 temporarily_unavailable'],
    [422, '404 upstream_refused'],
    [429, '503 temporarily_unavailable'],
    [500, '503 temporarily_unavailable'],
    [503, '503 temporarily_unavailable'],
  ] as const) {
    await github.failMinting(status)
    expect([status, await refused(ada, wanted)]).toEqual([status, code])
  }
  await github.failMinting(0)
  // What the app does not reach there is not there.
  expect(await refused(ada, { ...wanted, repo: repoOf(team, 'other') })).toBe('404 upstream_refused')
  await given(ada, wanted)
  expect(JSON.stringify(log.map(({ mock }) => mock.calls))).not.toMatch(/canary|ghs_|ghu_|PRIVATE/)
  expect(await mintings(id)).toHaveLength(1)
})

test('the provider’s word about an installation counts at once: suspended, restored, deleted, in any order', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  const id = await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await connect(ada)
  const wanted = { repo: repoOf(team), as: 'installation' }
  const first = await given(ada, wanted)
  const start = Date.now() - 60_000
  const later = (ms: number) => new Date(start + ms)
  await happens('suspend', id, later(1_000))
  expect(await refused(ada, wanted)).toBe('404 not_connected')
  const kept = () =>
    runInDurableObject(object(id), (_, { storage }) => storage.sql.exec('SELECT 1 FROM token').toArray())
  expect(await kept()).toEqual([])
  await happens('unsuspend', id, later(3_000))
  const again = await given(ada, wanted)
  expect(again.accessToken).not.toBe(first.accessToken)
  // An older word that comes late changes nothing.
  expect(await deliver(await github.installationEvent('suspend', id, later(2_000).toISOString()))).toBe(204)
  expect((await given(ada, wanted)).accessToken).toBe(again.accessToken)

  await happens('deleted', id)
  expect(await refused(ada, wanted)).toBe('404 not_connected')
  expect(await kept()).toEqual([])
  await github.removeInstallation(id)
  // There is no word after the last one, and another installation is another one.
  expect(await deliver(await github.installationEvent('unsuspend', id, later(9_000).toISOString()))).toBe(204)
  expect(await refused(ada, wanted)).toBe('404 not_connected')
  await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await forgetLists(vault('user', ada.subject))
  expect(await given(ada, wanted)).toMatchObject({ acts: 'installation' })

  // Somebody else's word, about somebody else's.
  expect(await deliver(await github.installationEvent('deleted', 1, later(0).toISOString()))).toBe(204)
  expect(await given(ada, wanted)).toMatchObject({ acts: 'installation' })
  const [row] = await runInDurableObject(object(id), (_, { storage }) =>
    storage.sql.exec<{ until: number }>('SELECT until FROM word').toArray(),
  )
  vi.useFakeTimers({ toFake: ['Date'], now: row!.until })
  expect(await runDurableObjectAlarm(object(id))).toBe(true)
  expect(
    await runInDurableObject(object(id), (_, { storage }) =>
      storage.sql.exec('SELECT 1 FROM word').toArray(),
    ),
  ).toEqual([])
})

async function counts(): Promise<Record<string, number>> {
  const headers = { authorization: assertion({ subject: 'ops', kind: 'service' }) }
  const { kinds } = (await (await ask('/api/retention', { headers })).json()) as RetentionReport
  return Object.fromEntries(kinds.map(({ kind, count }) => [kind, count]))
}

test('what is known through a person ends with what they connected, and by itself after a day', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  const wanted = { repo: repoOf(team), as: 'installation' }
  const rows = () =>
    runInDurableObject(vault('user', ada.subject), (_, { storage }) =>
      storage.sql
        .exec<{ until: number }>('SELECT until FROM installed UNION ALL SELECT until FROM listed')
        .toArray(),
    )
  const headers = { authorization: assertion({ ...ada, kind: 'human' }), ...json }
  await connect(ada)
  const before = await counts()
  await given(ada, wanted)
  expect(await rows()).toHaveLength(2)
  // The ledger is told after the answer.
  await vi.waitFor(async () => {
    const { app_token: token = 0, installed = 0 } = await counts()
    expect([token, installed]).toEqual([(before.app_token ?? 0) + 1, (before.installed ?? 0) + 1])
  })
  const ended = await ask(`/api/connections/${provider}?owner=user`, { method: 'DELETE', headers })
  expect(await ended.json()).toMatchObject({ revoked: true, deleted: true })
  expect(await rows()).toEqual([])
  expect(await refused(ada, wanted)).toBe('404 not_connected')

  await connect(ada)
  await given(ada, wanted)
  await loseGrant(ada)
  expect(await given(ada, wanted)).toMatchObject({ acts: 'installation' })
  const [row] = await rows()
  vi.useFakeTimers({ toFake: ['Date'], now: row!.until - 1 })
  expect((await vault('user', ada.subject).installations(team))?.length).toBe(1)
  vi.setSystemTime(row!.until)
  expect(await vault('user', ada.subject).installations(team)).toEqual([])
  await runDurableObjectAlarm(vault('user', ada.subject))
  expect(await rows()).toEqual([])
  vi.useRealTimers()

  await connect(ada)
  await given(ada, wanted)
  await vault('user', ada.subject).erase()
  expect(await rows()).toEqual([])
})

test('a list that could not be read is not an empty one', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  const id = await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await connect(ada)
  const wanted = { repo: repoOf(team), as: 'installation' }
  // A list that is not to be understood: an installation without an account.
  const broken = await github.install({ account: '', repositories: [], members: [ada.subject] })
  expect(await refused(ada, wanted)).toBe('503 temporarily_unavailable')
  expect(await given(ada, { repo: repoOf(team) })).toMatchObject({ acts: 'user' })
  await github.removeInstallation(broken)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30_001 })
  expect(await given(ada, wanted)).toMatchObject({ installation: String(id) })
})

// git ------------------------------------------------------------------------------------------------

interface Minted {
  readonly capability: string
  readonly remote: string
  readonly acts?: string
  readonly reason?: string
}
const mint = async (person: Person, repo: string, more: object = {}): Promise<Minted> => {
  const response = await post(person, '/api/capabilities', { provider, repo, can: ['fetch'], ...more })
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`)
  return await response.json()
}
const discover = async ({ capability, remote: address }: Minted) => {
  const path = `${new URL(address).pathname}/info/refs?service=git-upload-pack`
  const response = await ask(path, { headers: { authorization: `Basic ${btoa(`git:${capability}`)}` } })
  const shown = /Basic (\S+)/.exec(await response.text())?.[1]
  return {
    status: response.status,
    acts: response.headers.get('latchkey-acts'),
    shown: shown === undefined ? undefined : atob(shown).split(':')[1],
  }
}

test('T30 T51 git: the person until their token fails, then the app, once and for good, with one warning', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  const repo = repoOf(team)
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
  const id = await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await connect(ada)
  const minted = await mint(ada, repo)
  expect(minted).toMatchObject({ acts: 'user', reason: 'user_token' })
  expect(await discover(minted)).toMatchObject({ status: 200, acts: 'user; reason=user_token' })
  await loseGrant(ada)
  const first = await discover(minted)
  expect(first).toMatchObject({ status: 200, acts: 'installation; reason=refresh_failed' })
  expect(await github.isInstallationToken(first.shown ?? '')).toBe(true)
  expect(await discover(minted)).toMatchObject({ acts: 'installation; reason=downgraded_before' })
  // Narrowed it is the same one, and the person's new login does not bring them back to it.
  const capability = lk.capability.attenuate(minted.capability, { can: ['fetch'] })
  await connect(ada)
  for (const text of [minted.capability, capability])
    expect(await discover({ ...minted, capability: text })).toMatchObject({
      acts: 'installation; reason=downgraded_before',
    })
  expect(warn.mock.calls.map(([line]) => JSON.parse(String(line)) as unknown)).toEqual([
    { event: 'acts_as_app', provider, reason: 'refresh_failed' },
  ])
  expect(await mintings(id)).toHaveLength(1)
  // Another one begins with the person.
  expect(await discover(await mint(ada, repo))).toMatchObject({ acts: 'user; reason=user_token' })

  // Another installation at the same place is looked up; without any there is nobody.
  await happens('deleted', id)
  await github.removeInstallation(id)
  expect(await discover(minted)).toMatchObject({ status: 404, shown: undefined })
  const next = await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await forgetLists(vault('user', ada.subject))
  expect(await discover(minted)).toMatchObject({
    status: 200,
    acts: 'installation; reason=downgraded_before',
  })
  expect(await mintings(next)).toHaveLength(1)
  expect(warn).toHaveBeenCalledTimes(1)

  const [row] = await runInDurableObject(vault('user', ada.subject), (_, { storage }) =>
    storage.sql.exec<{ until: number }>('SELECT until FROM identity').toArray(),
  )
  const { expiresAt } = lk.capability.verify(keys, minted.capability, { now: Date.now() })
  expect(row!.until).toBe(expiresAt)
})

test('T51 git: a token that the host refuses, and that cannot be renewed, makes the app act in the same request', async () => {
  const ada = { subject: fresh('ada') }
  const team = fresh('team')
  const name = `once-${crypto.randomUUID()}`
  await github.install({ account: team, repositories: [name], members: [ada.subject] })
  await connect(ada)
  const minted = await mint(ada, repoOf(team, name))
  await github.revoke(ada.subject)
  const got = await discover(minted)
  expect(got).toMatchObject({ status: 200, acts: 'installation; reason=refresh_failed' })
  expect(await github.isInstallationToken(got.shown ?? '')).toBe(true)
})

test('T30 a capability without anybody’s login, and one that a disconnect ends, whoever acts', async () => {
  const org = fresh('acme')
  const olga = { subject: fresh('olga'), org, role: 'owner' }
  const team = fresh('team')
  await github.install({ account: team, repositories: ['one'], members: [olga.subject] })
  await connect(olga, { owner: 'org' })
  await given(olga, { repo: repoOf(team) })
  await loseGrant(olga)
  const max = { subject: fresh('max'), org, role: 'member' }
  const minted = await mint(max, repoOf(team))
  expect(minted).toMatchObject({ acts: 'installation', reason: 'refresh_failed' })
  expect(await discover(minted)).toMatchObject({ status: 200, acts: 'installation; reason=refresh_failed' })
  const headers = { authorization: assertion({ ...olga, kind: 'human' }), ...json }
  await ask(`/api/connections/${provider}?owner=org`, { method: 'DELETE', headers })
  expect(await discover(minted)).toMatchObject({ status: 401, shown: undefined })
})

// Sessions -------------------------------------------------------------------------------------------

const begin = async (person: Person, id: string, repo: string, more: object = {}): Promise<void> => {
  const repository = { kind: 'github', url: repo }
  const body = { messageId: crypto.randomUUID(), turn: 'go on', mode: 'code', repository, ...more }
  expect((await post(person, `/api/sessions/${id}/messages`, body)).status).toBe(200)
}
const login = async (person: Person, id: string, url: string, more: object = { provider }) => {
  const response = await post(person, `/api/sessions/${id}/credential`, { url, ...more })
  if (!response.ok) return `${response.status} ${await errorOf(response)}`
  return (await response.json()) as { username: string; password: string; acts?: string; reason?: string }
}

test('T29 T51 a session: the person until their token fails, then the app, for as long as the session is', async () => {
  const ada = { subject: fresh('ada') }
  const [team, other] = [fresh('Team'), fresh('other')]
  const [repo, elsewhere] = [repoOf(team), repoOf(other)]
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
  const members = [ada.subject]
  const id = await github.install({ account: team, repositories: ['one'], members })
  expect(await login(ada, 's-1', repo)).toBe('404 not_found')
  await begin(ada, 's-1', repo)
  expect(await login(ada, 's-1', repo)).toBe('404 not_connected')
  await connect(ada)
  const own = { username: 'x-access-token', acts: 'user', reason: 'user_token' }
  expect(await login(ada, 's-1', repo)).toEqual({ ...own, password: expect.stringMatching(/^ghu_/) })
  expect(await mintings(id)).toEqual([])

  await loseGrant(ada)
  const first = await login(ada, 's-1', repoOf(team.toLowerCase(), 'ONE'))
  const password = expect.stringMatching(/^ghs_/) as string
  const app = { username: 'x-access-token', acts: 'installation', password }
  expect(first).toEqual({ ...app, reason: 'refresh_failed' })
  expect(await github.isInstallationToken(typeof first === 'string' ? '' : first.password)).toBe(true)
  expect(await login(ada, 's-1', repo)).toEqual({ ...app, reason: 'downgraded_before' })
  // A new login does not bring the person back to it, but to every other repository and session.
  await connect(ada)
  expect(await login(ada, 's-1', repo)).toEqual({ ...app, reason: 'downgraded_before' })
  expect(await login(ada, 's-1', elsewhere)).toMatchObject(own)
  await begin(ada, 's-2', repo)
  expect(await login(ada, 's-2', repo)).toMatchObject(own)
  expect(warn.mock.calls.map(([line]) => JSON.parse(String(line)) as unknown)).toEqual([
    { event: 'acts_as_app', provider, reason: 'refresh_failed' },
  ])
  // Another installation at the same place is looked up; without any there is nobody.
  await happens('deleted', id)
  await github.removeInstallation(id)
  await forgetLists(vault('user', ada.subject))
  expect(await login(ada, 's-1', repo)).toBe('404 not_connected')
  await github.install({ account: team, repositories: ['one'], members })
  await forgetLists(vault('user', ada.subject))
  expect(await login(ada, 's-1', repo)).toEqual({ ...app, reason: 'downgraded_before' })

  // A later session of that name begins anew, and nothing of this one stays.
  const headers = { authorization: assertion({ ...ada, kind: 'human' }), ...json }
  await ask('/api/sessions/s-1', { method: 'DELETE', headers })
  expect(await login(ada, 's-1', repo)).toBe('404 not_found')
  await begin(ada, 's-1', repo)
  expect(await login(ada, 's-1', repo)).toMatchObject(own)
  expect(warn).toHaveBeenCalledTimes(1)
})

test('T28 a session gives its owner alone what a connection has, and a capability is not traded for it', async () => {
  const [ada, bob] = [{ subject: fresh('ada') }, { subject: fresh('bob') }]
  const team = fresh('team')
  const repo = repoOf(team)
  await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await connect(ada)
  await begin(ada, 's-1', repo)
  expect(await login(bob, 's-1', repo)).toBe('404 not_found')
  await begin(bob, 's-1', repo)
  expect(await login(bob, 's-1', repo)).toBe('404 not_connected')
  const { capability } = await mint(ada, repo, { can: ['fetch', 'push'] })
  const traded = await ask('/api/sessions/s-1/credential', {
    method: 'POST',
    headers: { authorization: `Bearer ${capability}`, ...json },
    body: JSON.stringify({ url: repo }),
  })
  expect(`${traded.status} ${await errorOf(traded)}`).toBe('404 not_found')
  // Several providers reach that host, and which one is meant is not guessed.
  expect(await login(ada, 's-1', repo, {})).toBe('400 request_invalid')
  expect(await login(ada, 's-1', repo, { provider: 1 })).toBe('400 request_invalid')
  expect(await login(ada, 's-1', repo, { provider: 'nobody-knows' })).toMatch(/^404 /)
  expect(await login(ada, 's-1', repo, { provider: 'hooked' })).toBe('403 repo_host_not_allowed')
  // What a message brought for the repository is what is used there, unless the connection is asked for.
  await begin(ada, 's-2', repo, { repository: { kind: 'git', url: repo }, gitToken: 'brought-along' })
  expect(await login(ada, 's-2', repo, {})).toEqual({ username: 'oauth2', password: 'brought-along' })
  expect(await login(ada, 's-2', repo)).toMatchObject({ acts: 'user' })
  // Where no app is, nothing is said of who acts.
  await connect(ada, { name: 'quiet' })
  expect(Object.keys(await login(ada, 's-1', repo, { provider: 'quiet' })).sort()).toEqual([
    'password',
    'username',
  ])
  await github.failMinting(503)
  await loseGrant(ada)
  expect(await login(ada, 's-1', repo)).toBe('503 temporarily_unavailable')
})

test('a service binding is told the same', async () => {
  const ada = { subject: fresh('ada'), kind: 'human' } as const
  const team = fresh('team')
  const repo = repoOf(team)
  const id = await github.install({ account: team, repositories: ['one'], members: [ada.subject] })
  await connect(ada)
  const { Latchkey } = exports
  const got = await Latchkey.token(ada, provider, { repo, as: 'installation' })
  expect(got.ok && got.value.installation).toBe(String(id))
  await begin(ada, 's-1', repo)
  const login = await Latchkey.sessionCredential(ada, 's-1', { url: repo, provider })
  expect(login).toMatchObject({ ok: true, value: { acts: 'user', reason: 'user_token' } })
  const why = await Latchkey.why(ada, provider, undefined, repo)
  expect(why.ok && why.value.acting).toMatchObject({ source: 'user', reason: 'user_token' })
})
