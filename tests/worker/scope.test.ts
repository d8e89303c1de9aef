/** Whose credential: what the core decides, carried out by the real Worker. */
import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import type { Principal } from 'latchkey'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { vaultName } from '../../wrangler/src/names.ts'
import type { Why } from '../../wrangler/src/whose.ts'
import worker from '../../wrangler/src/worker.ts'
import { ask, assertion, bindings, Browser, errorOf, json, request } from './harness.ts'
import { baseUrl } from './variables.ts'

type Kind = 'user' | 'org'
type Person = Omit<Principal, 'kind'> & { kind?: Principal['kind'] }

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const provider = 'quiet'
const ada = { subject: 'ada', org: 'acme', role: 'owner' } as const
const ann = { subject: 'ann', org: 'acme', role: 'admin' } as const
const max = { subject: 'max', org: 'acme', role: 'member' } as const
const zed = { subject: 'zed', org: 'zeta', role: 'owner' } as const
const out = { subject: 'out' } as const
const ops = { subject: 'ops', kind: 'service' } as const

const vault = (kind: Kind, id: string, name = provider) =>
  bindings.VAULT.getByName(vaultName(baseUrl, { owner: { kind, id }, provider: name }))
const as = (person: Person): { authorization: string } => ({
  authorization: assertion({ kind: 'human', ...person }),
})
const send = (person: Person, method: string, path: string, body?: unknown): Promise<Response> =>
  ask(path, {
    method,
    headers: { ...as(person), ...json },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
const connect = async (person: Person, owner: Kind, name = provider): Promise<void> => {
  const { subject, org, role } = person
  const browser = await Browser.of({ subject, ...(org && { org }), ...(role && { role }) })
  expect((await browser.connect(name, { owner })).get('connected')).toBe(name)
}
const path = (verb: string, name = provider): string => `/api/connections/${name}/${verb}`
const token = (person: Person, owner?: Kind, name = provider) =>
  send(person, 'POST', path('token', name), owner ? { owner } : {})
const sourceOf = async (person: Person, owner?: Kind): Promise<string> => {
  const response = await token(person, owner)
  const body = (await response.json()) as { source?: string; error?: string }
  return body.source ?? String(body.error)
}
const remove = (person: Person, owner: Kind) =>
  send(person, 'DELETE', `/api/connections/${provider}?owner=${owner}`)
const why = async (person: Person, owner?: Kind): Promise<Why> => {
  const response = await send(person, 'GET', `${path('why')}${owner ? `?owner=${owner}` : ''}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Why
}
const sql = (kind: Kind, id: string, text: string): Promise<unknown[]> =>
  runInDurableObject(vault(kind, id), (_, { storage }) => storage.sql.exec(text).toArray())

/** The same Worker with another policy for the provider; the vaults are the same ones. */
function withPolicy(policy: object): typeof ask {
  const providers = JSON.parse(String(bindings['LATCHKEY_PROVIDERS'])) as Record<string, object>
  const env = {
    ...bindings,
    LATCHKEY_PROVIDERS: JSON.stringify({ [provider]: { ...providers[provider], ...policy } }),
    QUIET_DEPLOYMENT_TOKEN: 'the-deployments-own',
  }
  return (path, init = {}) =>
    worker.fetch(request(path, init) as Parameters<typeof worker.fetch>[0], env as never)
}

// What lies in a vault ------------------------------------------------------------------------------

const states = ['nothing', 'whole', 'disconnected', 'revoked', 'refused', 'corrupt', 'unanswered'] as const
type State = (typeof states)[number]

async function put(kind: Kind, id: string, state: State): Promise<void> {
  if (state === 'nothing') return
  if (state === 'unanswered') {
    await vault(kind, id).status()
    await sql(kind, id, 'DROP TABLE latchkey_connection')
    return
  }
  const writer = kind === 'org' ? { subject: `writer-of-${id}`, org: id, role: 'admin' } : { subject: id }
  await connect(writer, kind)
  switch (state) {
    case 'whole':
      break
    case 'disconnected':
      expect((await remove(writer, kind)).status).toBe(200)
      break
    case 'revoked':
      // What a webhook does, for a provider that says whose account it is.
      await sql(kind, id, `UPDATE latchkey_connection SET account = 'a'`)
      expect(await vault(kind, id).revoke({ account: 'a' })).toBe(true)
      break
    case 'refused':
      await endAtProvider(kind, id)
      break
    case 'corrupt':
      await sql(kind, id, 'UPDATE latchkey_connection SET row = zeroblob(172)')
      await evictDurableObject(vault(kind, id))
      break
  }
}

/** The provider takes the refresh token for none of its own, and one refresh finds that out. */
async function endAtProvider(kind: Kind, id: string): Promise<void> {
  const copy = await sql(kind, id, 'SELECT * FROM latchkey_connection')
  await vault(kind, id).disconnect()
  await runInDurableObject(vault(kind, id), (_, { storage }) => {
    for (const row of copy as Record<string, SqlStorageValue>[]) {
      const names = Object.keys(row)
      const marks = names.map(() => '?').join(', ')
      storage.sql.exec(
        `INSERT OR REPLACE INTO latchkey_connection (${names.join(', ')}) VALUES (${marks})`,
        ...Object.values(row),
      )
    }
  })
  await evictDurableObject(vault(kind, id))
  const { generation } = (await vault(kind, id).status()) ?? {}
  expect((await vault(kind, id).rotate(generation!)).outcome).toBe('reconnect_required')
}

// Reading -------------------------------------------------------------------------------------------

const policies: Readonly<Record<string, { order: (Kind | 'deployment')[]; past?: boolean; config: object }>> =
  {
    usual: { order: ['user', 'org'], config: {} },
    'past what ended': { order: ['user', 'org'], past: true, config: { pastRevoked: true } },
    'organisation first': { order: ['org', 'user'], config: { owners: ['org', 'user'] } },
    'personal only': { order: ['user'], config: { personalOnly: true } },
    'with the deployment': { order: ['user', 'org', 'deployment'], config: { deployment: true } },
    'all the way': {
      order: ['user', 'org', 'deployment'],
      past: true,
      config: { deployment: true, pastRevoked: true },
    },
  }

const endings: Readonly<Record<Exclude<State, 'nothing' | 'whole'>, [number, string, string]>> = {
  disconnected: [404, 'not_connected', 'revoked'],
  revoked: [409, 'revoked', 'revoked'],
  refused: [409, 'reconnect_required', 'refused'],
  corrupt: [500, 'corrupt', 'refused'],
  unanswered: [503, 'temporarily_unavailable', 'lookup_failed'],
}

/** The slow, obvious reading. */
function expected(
  held: Readonly<Record<Kind | 'deployment', State>>,
  policy: (typeof policies)[string],
  only: Kind | undefined,
): { told: string; outcome: string; at: string | undefined } {
  let first: { told: string; outcome: string; at: string } | undefined
  for (const scope of policy.order) {
    if (only !== undefined && scope !== only) continue
    const state = held[scope]
    if (state === 'nothing') continue
    if (state === 'whole') return { told: scope, outcome: 'found', at: scope }
    const [status, code, outcome] = endings[state]
    const end = { told: `${status} ${code}`, outcome, at: scope }
    if (state === 'unanswered' || policy.past !== true) return end
    first ??= end
  }
  return first ?? { told: '404 not_connected', outcome: 'not_connected', at: undefined }
}

test(
  'T20 T23 T24 pain 21: whose token, in every state of both vaults and by every policy; and why, the same',
  { timeout: 120_000 },
  async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
    for (const state of states) {
      await put('user', `u-${state}`, state)
      await put('org', `o-${state}`, state)
    }
    let cells = 0
    for (const [name, policy] of Object.entries(policies)) {
      const askWith = withPolicy(policy.config)
      for (const mine of states) {
        for (const ours of states) {
          const person = { subject: `u-${mine}`, org: `o-${ours}`, role: 'member' }
          for (const only of [undefined, 'user', 'org'] as const) {
            const wanted = expected({ user: mine, org: ours, deployment: 'whole' }, policy, only)
            const about = `${name}: ${mine}, ${ours}, ${only ?? 'any'}`
            const headers = { ...as(person), ...json }
            const body = JSON.stringify(only ? { owner: only } : {})
            const given = await askWith(path('token'), { method: 'POST', headers, body })
            const grant = (await given.json()) as { source?: string; error?: string; accessToken?: string }
            expect(grant.source ?? `${given.status} ${grant.error}`, about).toBe(wanted.told)
            if (grant.source === 'deployment') expect(grant.accessToken).toBe('the-deployments-own')
            const query = only ? `?owner=${only}` : ''
            const told = await askWith(`${path('why')}${query}`, { headers })
            const reason = (await told.json()) as Why
            expect([reason.outcome, reason.place?.scope], about).toEqual([wanted.outcome, wanted.at])
            expect(reason.sentences).toHaveLength(reason.path.length)
            cells += 1
          }
        }
      }
    }
    expect(cells).toBe(6 * 7 * 7 * 3)
  },
)

test('a fresh token of one\u2019s own costs one question, as before; another place is asked when it matters', async () => {
  await connect(ada, 'org')
  await connect(max, 'user')
  const asked: string[] = []
  const counting = {
    ...bindings,
    VAULT: {
      getByName(name: string) {
        asked.push(String((JSON.parse(name) as string[])[2]))
        return bindings.VAULT.getByName(name)
      },
    },
  }
  const of = async (person: Person): Promise<string[]> => {
    asked.length = 0
    const init = { method: 'POST', headers: { ...as(person), ...json }, body: '{}' }
    const call = request(path('token'), init) as Parameters<typeof worker.fetch>[0]
    expect((await worker.fetch(call, counting as never)).status).toBe(200)
    return [...asked]
  }
  expect(await of(max)).toEqual(['user'])
  expect(await of({ ...max, subject: 'somebody' })).toEqual(['user', 'org'])
  expect(await of({ ...max, role: 'owner' })).toEqual(['user'])
})

test('T24: a vault that is gone is no empty one', async () => {
  await connect(ada, 'org')
  const failing = {
    ...bindings,
    VAULT: {
      getByName(name: string) {
        if ((JSON.parse(name) as string[])[2] === 'org') return bindings.VAULT.getByName(name)
        const fail = () => Promise.reject(new Error('overloaded'))
        return { token: fail, status: fail }
      },
    },
  }
  vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const init = { headers: { ...as(max), ...json } }
  const call = (at: string, more: object) =>
    worker.fetch(request(at, { ...init, ...more }) as Parameters<typeof worker.fetch>[0], failing as never)
  const refused = await call(path('token'), { method: 'POST', body: '{}' })
  expect([refused.status, await errorOf(refused)]).toEqual([503, 'temporarily_unavailable'])
  expect(refused.headers.get('retry-after')).toBe('1')
  const reason = (await (await call(path('why'), {})).json()) as Why
  expect(reason).toMatchObject({ outcome: 'lookup_failed', place: { scope: 'user', id: 'max' } })
  expect(reason.sentences).toEqual(['Your own connection could not be read just now; try again.'])
  // Asked for, the organisation's does not depend on it.
  expect((await call(path('token'), { method: 'POST', body: '{"owner":"org"}' })).status).toBe(200)
})

test('why: no secret, nobody else\u2019s data, and HEAD', async () => {
  await connect(ada, 'org')
  await connect(zed, 'user')
  const { accessToken } = (await (await token(ada, 'org')).json()) as { accessToken: string }
  const response = await send(max, 'GET', path('why'))
  const text = await response.text()
  expect(text).not.toContain(accessToken)
  for (const canary of ['zed', 'zeta', 'ada', 'writer']) expect(text).not.toContain(canary)
  expect(JSON.parse(text)).toEqual({
    provider,
    outcome: 'found',
    place: { scope: 'org', id: 'acme' },
    places: [
      { scope: 'user', id: 'max' },
      { scope: 'org', id: 'acme' },
    ],
    path: [
      { rule: 'absent', scope: 'user' },
      { rule: 'found', scope: 'org' },
    ],
    sentences: [
      'Your own connection does not exist.',
      "Your organisation's connection is there, and is used.",
    ],
    gap: ['org'],
    may: [
      {
        verb: 'connect',
        owner: 'user',
        ok: true,
        status: null,
        rule: 'own',
        sentences: ['It is your own connection.'],
      },
      {
        verb: 'disconnect',
        owner: 'user',
        ok: true,
        status: null,
        rule: 'own',
        sentences: ['It is your own connection.'],
      },
      ...['connect', 'disconnect'].map((verb) => ({
        verb,
        owner: 'org',
        ok: false,
        status: 403,
        rule: 'role_is_member',
        sentences: ['Your role does not permit changing what belongs to the organisation.'],
      })),
    ],
  })
  const head = await send(max, 'HEAD', path('why'))
  expect([head.status, await head.text()]).toEqual([200, ''])
  expect((await ask(path('why'))).status).toBe(401)
  expect((await send(max, 'GET', path('why', 'unknown'))).status).toBe(404)
  expect((await send(max, 'GET', `${path('why')}?owner=team`)).status).toBe(400)
  expect((await why(out, 'org')).outcome).toBe('not_connected')
})

// Writing -------------------------------------------------------------------------------------------

test('T19: after an org write its writer reads it, and nobody else\u2019s own is touched', async () => {
  await connect(ada, 'user')
  await connect(max, 'user')
  expect(await sourceOf(ada)).toBe('user')
  await connect(ada, 'org')
  expect(await sourceOf(ada)).toBe('org')
  expect(await sourceOf(ada, 'user')).toBe('not_connected')
  expect(await sourceOf(max)).toBe('user')
  // The new one works: clearing did not ask the provider, where both may be one grant.
  const { accessToken, generation } = (await (await token(ada)).json()) as {
    accessToken: string
    generation: unknown
  }
  const rotated = await send(ada, 'POST', path('rotate'), { generation, owner: 'org' })
  expect(rotated.status).toBe(200)
  expect(((await rotated.json()) as { accessToken: string }).accessToken).not.toBe(accessToken)
  // Nobody ended it, so nothing says so.
  expect((await why(ada)).path).toEqual([
    { rule: 'absent', scope: 'user' },
    { rule: 'found', scope: 'org' },
  ])
  // What is connected afterwards is one's own again, and stays.
  await connect(ada, 'user')
  expect(await sourceOf(ada)).toBe('user')
  await runDurableObjectAlarm(vault('org', 'acme'))
  expect(await sourceOf(ada)).toBe('user')
})

test('T19: a tombstone of one\u2019s own, or what cannot be read, hides the new one as little', async () => {
  for (const [state, subject] of [
    ['disconnected', 'a1'],
    ['revoked', 'a2'],
    ['corrupt', 'a3'],
  ] as const) {
    await put('user', subject, state)
    await connect({ subject, org: 'acme', role: 'admin' }, 'org')
    expect(await sourceOf({ subject, org: 'acme', role: 'admin' }), state).toBe('org')
  }
})

test('T19: what could not be cleared at once is cleared later, and given up in the end', async () => {
  await connect(ada, 'user')
  await sql('user', 'ada', 'ALTER TABLE latchkey_connection RENAME TO kept')
  await connect(ada, 'org')
  await sql('user', 'ada', 'ALTER TABLE kept RENAME TO latchkey_connection')
  expect(await sourceOf(ada)).toBe('user')
  expect(await sql('org', 'acme', 'SELECT id FROM shadow')).toEqual([{ id: 'ada' }])
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
  await runDurableObjectAlarm(vault('org', 'acme'))
  expect(await sourceOf(ada)).toBe('org')
  expect(await sql('org', 'acme', 'SELECT id FROM shadow')).toEqual([])

  // What came in between is one's own again, and stays.
  const before = Date.now()
  vi.setSystemTime(before + 1_000)
  await connect(ada, 'user')
  await sql('org', 'acme', `INSERT INTO shadow VALUES (1, 'ada', ${before})`)
  await runDurableObjectAlarm(vault('org', 'acme'))
  expect(await sourceOf(ada)).toBe('user')
  expect(await sql('org', 'acme', 'SELECT id FROM shadow')).toEqual([])

  await sql('org', 'acme', `INSERT INTO shadow VALUES (1, 'ada', ${Date.now() - 25 * 3_600_000})`)
  await sql('user', 'ada', 'DROP TABLE latchkey_connection')
  await runDurableObjectAlarm(vault('org', 'acme'))
  expect(await sql('org', 'acme', 'SELECT id FROM shadow')).toEqual([])
})

test('T17 T18 T21 T22: every mutation, by who asks for what, with the status that comes first', async () => {
  const people: Record<string, Person> = {
    owner: ada,
    admin: ann,
    member: max,
    none: { subject: 'x', org: 'acme' },
    odd: { subject: 'x', org: 'acme', role: 'Admin' },
    outsider: out,
    service: { ...ops, org: 'acme', role: 'owner' },
    device: { ...ada, kind: 'device', device: 'd' },
  }
  const may = new Set(['owner', 'admin', 'service'])
  for (const [name, person] of Object.entries(people)) {
    for (const owner of ['user', 'org', 'team', undefined] as const) {
      const about = `${name} ${owner}`
      const allowed = owner !== 'org' || may.has(name)
      const wanted =
        owner === 'team'
          ? '400 request_invalid'
          : name === 'outsider' && owner === 'org'
            ? '401 not_allowed'
            : name === 'device' || !allowed
              ? '403 not_allowed'
              : '200'
      const query = owner === undefined ? '' : `?owner=${owner}`
      const removed = await send(person, 'DELETE', `/api/connections/${provider}${query}`)
      const said = removed.status === 200 ? '200' : `${removed.status} ${await errorOf(removed)}`
      expect(said, about).toBe(wanted)
      const started = await send(person, 'GET', `/connect/${provider}${query}`)
      const location = started.headers.get('location') ?? ''
      if (wanted === '200') expect(location, about).toContain('state=')
      else if (owner === 'team') expect(started.status).toBe(400)
      else expect(location, about).toBe(`${baseUrl}/?error=not_allowed&provider=${provider}`)
    }
    // What there is comes first, then what is asked, then who asks.
    expect((await send(person, 'DELETE', '/api/connections/unknown?owner=team')).status).toBe(404)
  }
  expect((await ask('/api/connections/unknown?owner=team', { method: 'DELETE' })).status).toBe(404)
  expect((await ask(`/api/connections/${provider}?owner=team`, { method: 'DELETE' })).status).toBe(400)
})

test('what a policy never reads is not connected, not listed, and can still be ended', async () => {
  const askWith = withPolicy({ personalOnly: true })
  const headers = { ...as(ada), ...json }
  const listed = async () => {
    const list = (await (await askWith('/api/connections', { headers })).json()) as {
      owner: { kind: string }
      may: { ok: boolean; sentences: string[] }[]
    }[]
    return list
  }
  expect((await listed()).map(({ owner }) => owner.kind)).toEqual(['user'])
  const started = await askWith(`/connect/${provider}?owner=org`, { headers })
  expect(started.headers.get('location')).toContain('error=not_allowed')
  await connect(ada, 'org')
  const line = (await listed()).find(({ owner }) => owner.kind === 'org')
  expect(line?.may.map(({ ok }) => ok)).toEqual([false, true])
  expect(line?.may[0]?.sentences).toEqual(["Your organisation's connection would never be used here."])
  const token = await askWith(path('token'), { method: 'POST', headers, body: '{"owner":"org"}' })
  expect(await errorOf(token)).toBe('not_connected')
  const removed = await askWith(`/api/connections/${provider}?owner=org`, { method: 'DELETE', headers })
  expect(await removed.json()).toEqual({ revoked: true, deleted: true })
})

test('T12 T22: whoever may no longer do what they began does not end it', async () => {
  const browser = await Browser.of(ada)
  const become = async (fields: { subject: string; org?: string; role?: string }): Promise<void> => {
    const other = await Browser.of(fields)
    browser.setCookie('latchkey-session', other.cookie('latchkey-session'))
  }
  for (const now of [{ ...ada, role: 'member' }, { subject: 'ada' }, { ...ada, org: 'zeta' }]) {
    await become(ada)
    const callback = await browser.authorize(provider, { owner: 'org' })
    await become(now)
    expect((await browser.finish(callback)).get('error')).toBe('not_allowed')
    expect(await sourceOf(ada)).toBe('not_connected')
    // Nothing was used up: back in the role, it can be ended.
    await become(ada)
    expect((await browser.finish(callback)).get('connected')).toBe(provider)
    expect((await remove(ada, 'org')).status).toBe(200)
    await vault('org', 'acme').clear(Date.now() + 1)
  }
})

// Two tenants ---------------------------------------------------------------------------------------

test(
  'threat T28 T29: two tenants who try everything on each other, in every order: no answer crosses',
  {
    timeout: 120_000,
  },
  async () => {
    const homes = [
      { person: ada, kind: 'org', id: 'acme' },
      { person: ann, kind: 'user', id: 'ann' },
      { person: zed, kind: 'org', id: 'zeta' },
      { person: { subject: 'lone' }, kind: 'user', id: 'lone' },
    ] as const
    interface Secret {
      readonly key: string
      readonly accessToken: string
      readonly generation: { id: string; version: number }
    }
    const read = async ({ person, kind, id }: (typeof homes)[number]): Promise<Secret> => {
      const grant = (await (await token(person, kind)).json()) as Secret
      return { key: `${kind}/${id}`, accessToken: grant.accessToken, generation: grant.generation }
    }
    const secrets: Secret[] = []
    for (const home of homes) {
      await connect(home.person, home.kind)
      secrets.push(await read(home))
    }
    // And what else is a tenant's: a session with a credential of its own, under its name and one that all use, and a link.
    const repository = `${inject('tokenServer')}/git/team/one`
    const url = `${repository}.git`
    interface Holding {
      readonly subject: string
      readonly sessions: readonly string[]
      readonly canary: string
      readonly link: string
      readonly owner: string
    }
    const minted = async (person: Person, at: string, body: object = {}): Promise<string> =>
      ((await (await send(person, 'POST', at, body)).json()) as { capability?: string }).capability ?? ''
    const holdings: Holding[] = []
    for (const { person, kind, id } of homes) {
      const { subject } = person
      const canary = `canary-of-${subject}-4d1e`
      const sessions = [`s-${subject}`, 's-1']
      for (const session of sessions) {
        const body = {
          messageId: 'm-1',
          turn: canary,
          mode: 'code',
          repository: { kind: 'git', url },
          gitToken: canary,
        }
        expect((await send(person, 'POST', `/api/sessions/${session}/messages`, body)).status).toBe(200)
      }
      const made = await send(person, 'POST', '/api/connect-links', { provider, owner: kind })
      const { id: link } = (await made.json()) as { id: string }
      holdings.push({ subject, sessions, canary, link, owner: `${kind}/${id}` })
    }
    const stands = async (): Promise<unknown> => {
      const all = homes.map(async ({ person }, index) => {
        const { sessions, link } = holdings[index]!
        const told = sessions.flatMap((session) => [
          send(person, 'GET', `/api/sessions/${session}`),
          send(person, 'POST', `/api/sessions/${session}/credential`, { url }),
        ])
        const answers = await Promise.all([...told, send(person, 'GET', `/api/connect-links/${link}`)])
        return await Promise.all(answers.map((answer) => answer.json()))
      })
      return await Promise.all(all)
    }
    const before = await stands()
    // Whose secrets somebody may see: their own and their organisation's. Max and the outsider have none of their own.
    const people: readonly Person[] = [
      ada,
      ann,
      max,
      zed,
      out,
      { subject: 'lone' },
      { subject: 'acme', org: 'zeta' },
    ]
    const sees = ({ subject, org }: Person, { key }: Pick<Secret, 'key'>): boolean =>
      key === `user/${subject}` || (org !== undefined && key === `org/${org}`)
    const names = ({ subject, org }: Person): string[] =>
      ['acme', 'zeta', 'ann', 'lone', 'ada', 'zed'].filter((name) => name !== subject && name !== org)

    // Git and its capabilities: through the proxy as somebody whom they are not.
    const fetchThrough = (repo: string, capability: string): Promise<Response> =>
      ask(`/git/${provider}/team/${repo}.git/info/refs?service=git-upload-pack`, {
        headers: { authorization: `Basic ${btoa(`x:${capability}`)}` },
      })
    const wanted = { provider, repo: repository, can: ['fetch', 'push'] }
    const capabilities = new Map<Person, string>()
    for (const person of people) capabilities.set(person, await minted(person, '/api/capabilities', wanted))
    /** Of one's own tag and another's claims. */
    const forged = (own: string, key: string): string => {
      const [version = 'lkc1', kid = 'test-1', claims = '', tag = 'A'.repeat(43)] =
        own === '' ? [] : own.split('.')
      const plain = { alphabet: 'base64url', omitPadding: true } as const
      const text = claims === '' ? '{}' : atob(claims.replaceAll('-', '+').replaceAll('_', '/'))
      const said = { ...(JSON.parse(text) as object), own: key.replace('/', ':') }
      const sealed = new TextEncoder().encode(JSON.stringify(said)).toBase64(plain)
      return [version, kid, sealed, tag].join('.')
    }
    const acrossGit = (person: Person) => {
      const own = capabilities.get(person) ?? ''
      return [
        ...([undefined, 'user', 'org'] as const).flatMap((owner) => {
          const body = { ...wanted, ...(owner && { owner }) }
          return [
            { person, run: () => send(person, 'POST', '/api/capabilities', body) },
            { person, run: async () => fetchThrough('one', await minted(person, '/api/capabilities', body)) },
          ]
        }),
        { person, run: () => fetchThrough('one', own) },
        { person, run: () => fetchThrough('two', own) },
        { person, run: () => fetchThrough('one', as(person).authorization.slice('Bearer '.length)) },
        ...holdings
          .filter(({ owner }) => !sees(person, { key: owner }))
          .map(({ owner }) => ({ person, run: () => fetchThrough('one', forged(own, owner)) })),
      ]
    }
    const acrossSessions = (person: Person) =>
      holdings
        .filter(({ subject }) => subject !== person.subject)
        .flatMap(({ subject, sessions: [theirs] }) => {
          const at = `/api/sessions/${theirs}`
          const redeem = (capability: string): Promise<Response> => {
            const headers = { authorization: `Bearer ${capability}`, ...json }
            return ask(`${at}/credential`, { method: 'POST', headers, body: JSON.stringify({ url }) })
          }
          const own = capabilities.get(person) ?? ''
          return [
            () => send(person, 'GET', at),
            () => send(person, 'POST', `${at}/next`, {}),
            () => send(person, 'POST', `${at}/messages/m-1/settle`, { outcome: 'completed' }),
            () => send(person, 'POST', `${at}/credential`, { url }),
            () => send(person, 'POST', `${at}/capabilities`, {}),
            () => send(person, 'DELETE', `${at}/capabilities`),
            () => send(person, 'DELETE', at),
            () => send(person, 'DELETE', `/api/users/${subject}`),
            () => redeem(own),
            () => redeem(forged(own, `user/${subject}`)),
            async () => redeem(await minted(person, '/api/sessions/s-1/capabilities')),
          ].map((run) => ({ person, run }))
        })
    // In the session that all have under one name, everybody is in their own.
    const inOwnSession = (person: Person) =>
      [
        () => send(person, 'GET', '/api/sessions/s-1'),
        () => send(person, 'POST', '/api/sessions/s-1/credential', { url }),
        () => send(person, 'POST', '/api/sessions/s-1/capabilities', {}),
      ].map((run) => ({ person, run }))
    const acrossLinks = (person: Person) => [
      ...holdings
        .filter(({ owner }) => !sees(person, { key: owner }))
        .flatMap(({ link }) => [
          { person, run: () => send(person, 'GET', `/api/connect-links/${link}`) },
          // What is public of a link is not its token.
          { person, run: () => ask(`/link/${link}`) },
        ]),
      ...(['user', 'org'] as const).map((owner) => ({
        person,
        run: () => send(person, 'POST', '/api/connect-links', { provider, owner }),
      })),
    ]

    const attempts = people.flatMap((person) => {
      const foreign = secrets.filter((secret) => !sees(person, secret))
      const owners = [undefined, 'user', 'org'] as const
      return [
        ...owners.flatMap((owner) => [
          { person, run: () => token(person, owner) },
          { person, run: () => send(person, 'GET', `${path('why')}${owner ? `?owner=${owner}` : ''}`) },
          { person, run: () => send(person, 'GET', `${path('state')}${owner ? `?owner=${owner}` : ''}`) },
        ]),
        { person, run: () => send(person, 'GET', '/api/connections') },
        ...foreign.flatMap(({ generation }) =>
          (['rotate', 'report-rejected'] as const).flatMap((verb) =>
            owners.map((owner) => ({
              person,
              run: () => send(person, 'POST', path(verb), { generation, ...(owner && { owner }) }),
            })),
          ),
        ),
        // Only what must not work: what may be ended by its owner is ended in other tests.
        ...(person.role === undefined || person.role === 'member'
          ? [{ person, run: () => remove(person, 'org') }]
          : []),
        ...(sees(person, { ...secrets[0]!, key: `user/${person.subject}` }) &&
        !homes.some(({ id, kind }) => kind === 'user' && id === person.subject)
          ? [{ person, run: () => remove(person, 'user') }]
          : []),
        { person, run: () => send(person, 'DELETE', '/api/orgs/acme/members/ada') },
        { person, run: () => send(person, 'PUT', '/api/orgs/acme/members/ada', { role: 'member' }) },
        { person, run: () => send(person, 'DELETE', '/api/orgs/zeta/members/zed') },
        ...acrossGit(person),
        ...acrossSessions(person),
        ...inOwnSession(person),
        ...acrossLinks(person),
      ]
    })
    let answers = 0
    let crossed = 0
    /** Answers that had something to give, so that silence is not taken for safety. */
    const gave = { capability: 0, token: 0, credential: 0, link: 0 }
    const look = (person: Person, text: string): void => {
      for (const { canary, subject, link, owner } of holdings) {
        if (text.includes(canary)) {
          if (subject === person.subject) gave.credential += 1
          else crossed += 1
        }
        if (text.includes(link) && !sees(person, { key: owner })) crossed += 1
      }
      const [, id] = /"url":"[^"]*\/link\/([\w-]+)"/.exec(text) ?? []
      if (id !== undefined) gave.link += 1
      // Whose a capability is, and whose token went upstream.
      const [, claims] = /"capability":"lkc\d\.[\w-]+\.([\w-]+)\./.exec(text) ?? []
      if (claims !== undefined) {
        const { own, sub } = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))) as {
          own: string
          sub: string
        }
        gave.capability += 1
        if (sub !== person.subject || !sees(person, { key: own.replace(':', '/') })) crossed += 1
      }
      const [, shown] = /^canary-of-the-provider Basic (\S+)$/.exec(text) ?? []
      if (shown === undefined) return
      const [, used] = atob(shown).split(':')
      const whose = secrets.find(({ accessToken }) => accessToken === used)
      gave.token += 1
      if (!whose || !sees(person, whose)) crossed += 1
    }
    const tryOne = async ({ person, run }: (typeof attempts)[number]): Promise<void> => {
      const response = await run()
      const text = await response.text()
      answers += 1
      for (const secret of secrets) {
        if (sees(person, secret)) continue
        if (text.includes(secret.accessToken) || text.includes(secret.generation.id)) crossed += 1
      }
      if (names(person).some((name) => text.includes(`"${name}"`) || text.includes(`<b>${name}</b>`)))
        crossed += 1
      look(person, text)
    }
    // Every attempt before and after every other one: there and back, from every place to start.
    for (let start = 0; start < attempts.length; start += Math.ceil(attempts.length / 4)) {
      const turned = [...attempts.slice(start), ...attempts.slice(0, start)]
      for (const attempt of [...turned, ...turned.toReversed()]) await tryOne(attempt)
    }
    expect(answers).toBeGreaterThan(4_000)
    expect(crossed).toBe(0)
    expect(Math.min(...Object.values(gave))).toBeGreaterThan(30)
    // And nothing has changed for anybody.
    expect(await stands()).toEqual(before)
    for (const [person, capability] of capabilities) {
      const { status } = await fetchThrough('one', capability)
      expect(status, person.subject).toBe(secrets.some((secret) => sees(person, secret)) ? 200 : 401)
    }
    for (const [index, home] of homes.entries()) expect(await read(home)).toEqual(secrets[index])
  },
)

// Leaving -------------------------------------------------------------------------------------------

const leave = (person: Person, org: string, user: string) =>
  send(person, 'DELETE', `/api/orgs/${encodeURIComponent(org)}/members/${encodeURIComponent(user)}`)

test('pain 22: leaving ends what was made with the account of who left, and nothing else', async () => {
  await connect(ada, 'org')
  await connect(ada, 'user')
  await connect(ann, 'org', 'good')
  const done = await leave(ops, 'acme', 'ada')
  expect(done.status).toBe(200)
  expect(await done.json()).toEqual({
    at: expect.any(Number),
    complete: true,
    connections: [{ provider, owner: { kind: 'org', id: 'acme' }, revoked: true, deleted: true }],
  })
  expect(await sourceOf(max)).toBe('not_connected')
  expect((await why(max)).outcome).toBe('revoked')
  expect(await sourceOf({ subject: 'ada' })).toBe('user')
  expect((await token(max, 'org', 'good')).status).toBe(200)
  // Again, and for somebody who made nothing: the same answer with nothing in it.
  for (const user of ['ada', 'max', 'nobody']) {
    const again = await leave(ops, 'acme', user)
    expect(await again.json()).toEqual({ at: expect.any(Number), complete: true, connections: [] })
  }
})

test('T22 pain 22: only services, and a bound one only for its own organisation', async () => {
  await connect(ada, 'org')
  for (const person of [ada, ann, max, zed, out, { ...ada, kind: 'device', device: 'd' } as const])
    expect(await errorOf(await leave(person, 'acme', 'ada'))).toBe('not_allowed')
  expect((await leave({ ...ops, org: 'zeta' }, 'acme', 'ada')).status).toBe(403)
  expect((await leave(ops, 'zeta', 'ada')).status).toBe(200)
  expect(await sourceOf(max)).toBe('org')
  for (const [org, user] of [
    ['a\u0000', 'ada'],
    ['acme', 'a\u007f'],
    ['acme', 'x'.repeat(256)],
  ] as const)
    expect((await leave(ops, org, user)).status).toBe(400)
  expect((await ask('/api/orgs/acme/members/ada', { method: 'DELETE' })).status).toBeGreaterThan(400)
  expect((await leave({ ...ops, org: 'acme' }, 'acme', 'ada')).status).toBe(200)
  expect(await sourceOf(max)).toBe('not_connected')
})

test('pain 22: what was begun before leaving does not end afterwards; coming back begins anew', async () => {
  const browser = await Browser.of(ada)
  const callback = await browser.authorize(provider, { owner: 'org' })
  expect((await leave(ops, 'acme', 'ada')).status).toBe(200)
  expect((await browser.finish(callback)).get('error')).toBe('not_allowed')
  expect(await sourceOf(max)).toBe('not_connected')
  const other = await Browser.of(ann)
  expect((await other.connect(provider, { owner: 'org' })).get('connected')).toBe(provider)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2_000 })
  expect((await browser.connect(provider, { owner: 'org' })).get('connected')).toBe(provider)
  // And is forgotten when nothing of before can be on its way any more.
  vi.setSystemTime(Date.now() + 12 * 60_000)
  await runDurableObjectAlarm(vault('org', 'acme'))
  expect(await sql('org', 'acme', 'SELECT * FROM departure')).toEqual([])
})

test('pain 22: a vault that does not answer is said, and tried again', async () => {
  await connect(ada, 'org')
  await sql('org', 'acme', 'ALTER TABLE departure RENAME TO kept')
  const failed = await leave(ops, 'acme', 'ada')
  expect(failed.status).toBe(202)
  expect(await failed.json()).toMatchObject({
    complete: false,
    connections: [{ provider, revoked: false, deleted: false, reason: 'store_unavailable' }],
  })
  await sql('org', 'acme', 'ALTER TABLE kept RENAME TO departure')
  expect((await leave(ops, 'acme', 'ada')).status).toBe(200)
  expect(await sourceOf(max)).toBe('not_connected')
})
