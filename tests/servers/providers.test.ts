/** What both providers promise a test: faults where they say, redemptions counted as they were, replays seen. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fieldsOf, refreshGitHub, refreshOidc, type Reply } from './client.ts'
import type { ProviderControl } from './control.ts'
import type { Fault } from './faults.ts'
import { startGitHubApps, type GitHubServer } from './github-apps.ts'
import { startOidc, type OidcServer } from './oidc.ts'
import { spawnServer } from './serve.ts'

const client = {
  clientId: 'client-1',
  clientSecret: 'secret-1',
  redirectUris: ['http://127.0.0.1:9/callback'],
}

interface Provider {
  readonly name: string
  start(): Promise<GitHubServer | OidcServer>
  refresh(address: string, token: string, signal?: AbortSignal): Promise<Reply>
  /** A replay ends the grant. */
  readonly kills: boolean
}

const providers: readonly Provider[] = [
  {
    name: 'GitHub Apps',
    start: () => startGitHubApps({ ...client, settings: { latencyMs: [0, 0] } }),
    refresh: (address, token, signal) => refreshGitHub(address, client, token, signal),
    kills: false,
  },
  {
    name: 'GitHub Apps, reuse kills',
    start: () => startGitHubApps({ ...client, settings: { latencyMs: [0, 0], reuse: 'family' } }),
    refresh: (address, token, signal) => refreshGitHub(address, client, token, signal),
    kills: true,
  },
  {
    name: 'oidc-provider',
    start: () => startOidc(client),
    refresh: (address, token, signal) => refreshOidc(address, client, token, signal),
    kills: true,
  },
]

const hangMs = 300
const slowMs = 250

/** What the client sees of each fault. */
const seen: Readonly<Record<Fault['kind'], (reply: Reply) => void>> = {
  reset: (reply) => assert.deepEqual([reply.status, reply.broken], [0, true]),
  hang(reply) {
    assert.deepEqual([reply.status, reply.broken], [0, true])
    assert.ok(reply.ms >= hangMs - 5, `${reply.ms}`)
  },
  slow(reply) {
    assert.equal(typeof fieldsOf(reply)['refresh_token'], 'string')
    assert.ok(reply.ms >= slowMs - 5, `${reply.ms}`)
  },
  truncated(reply) {
    assert.equal(reply.broken, true)
    assert.ok(reply.text.length > 0)
  },
  '500': (reply) => assert.equal(reply.status, 500),
  '502': (reply) => assert.equal(reply.status, 502),
  '503': (reply) => assert.equal(reply.status, 503),
  '403': (reply) => assert.deepEqual([reply.status, reply.headers.get('x-ratelimit-remaining')], [403, '0']),
  '429': (reply) => assert.deepEqual([reply.status, reply.headers.get('retry-after')], [429, '60']),
  html(reply) {
    assert.deepEqual([reply.status, reply.headers.get('content-type')?.split(';')[0]], [200, 'text/html'])
  },
}
const kinds = Object.keys(seen) as Fault['kind'][]
const tokenOf = (reply: Reply): string => String(fieldsOf(reply)['refresh_token'])

for (const provider of providers) {
  describe(provider.name, () => {
    let server: GitHubServer | OidcServer
    let control: Omit<ProviderControl<never>, 'configure'>
    let people = 0
    const refresh = (token: string): Promise<Reply> => provider.refresh(server.address, token)
    /** A new person's refresh token, and an empty record. */
    const begin = async (...faults: Fault[]): Promise<string> => {
      people += 1
      const { refreshToken } = await control.connect(`person-${people}`)
      control.forget()
      control.setFaults(faults)
      return refreshToken
    }
    before(async () => {
      server = await provider.start()
      control = server
    })
    after(() => server.close())

    test('rotates, once for each token', async () => {
      const first = await begin()
      const second = tokenOf(await refresh(first))
      const third = tokenOf(await refresh(second))
      assert.equal(new Set([first, second, third]).size, 3)
      assert.deepEqual(await Promise.all([first, second, third].map((token) => control.isAlive(token))), [
        false,
        false,
        true,
      ])
      const [one, two] = control.history()
      assert.deepEqual([one?.token, one?.generation, one?.verdict, one?.delivered], [first, 0, 'spent', true])
      assert.deepEqual([two?.token, two?.generation, two?.verdict, two?.alive], [second, 1, 'spent', true])
      assert.equal(one?.grant, two?.grant)
      assert.equal(control.standing(third)?.generation, 2)
      assert.equal(control.counts().spent, 2)
    })

    for (const kind of kinds) {
      const ms = kind === 'hang' ? { ms: hangMs } : kind === 'slow' ? { ms: slowMs } : {}

      test(`${kind} before the spend`, async () => {
        const token = await begin({ kind, when: 'before', times: 1, ...ms })
        seen[kind](await refresh(token))
        const [redemption] = control.history()
        if (kind === 'slow') {
          assert.deepEqual([redemption?.verdict, redemption?.delivered], ['spent', true])
          return
        }
        assert.deepEqual([redemption?.verdict, redemption?.delivered], ['unreached', false])
        assert.deepEqual([redemption?.fault?.kind, redemption?.fault?.when], [kind, 'before'])
        assert.equal(await control.isAlive(token), true)
        assert.equal(typeof fieldsOf(await refresh(token))['refresh_token'], 'string')
        const { spent, replayed, unreached, undelivered } = control.counts()
        assert.deepEqual(
          { spent, replayed, unreached, undelivered },
          { spent: 1, replayed: 0, unreached: 1, undelivered: 0 },
        )
      })

      test(`${kind} after the spend`, async () => {
        const token = await begin({ kind, when: 'after', times: 1, ...ms })
        seen[kind](await refresh(token))
        const [redemption] = control.history()
        assert.deepEqual([redemption?.verdict, redemption?.delivered], ['spent', kind === 'slow'])
        assert.equal(await control.isAlive(token), false)
        assert.equal(control.counts().undelivered, kind === 'slow' ? 0 : 1)
        if (kind === 'slow') return
        assert.equal(fieldsOf(await refresh(token))['refresh_token'], undefined)
        const { spent, replayed, killed } = control.counts()
        assert.deepEqual(
          { spent, replayed, killed },
          { spent: 1, replayed: 1, killed: provider.kills ? 1 : 0 },
        )
        assert.equal(control.standing(token)?.alive, !provider.kills)
      })
    }

    test('an answer is cut where it is asked to be', async () => {
      const whole = (await refresh(await begin())).text
      for (const bytes of [0, 1, 17, whole.length - 1]) {
        const token = await begin({ kind: 'truncated', when: 'after', bytes, times: 1 })
        const reply = await refresh(token)
        assert.deepEqual([reply.text.length, reply.broken], [bytes, true])
        assert.equal(reply.text.slice(0, 2), whole.slice(0, Math.min(bytes, 2)))
      }
    })

    test('faults are used up in order and stay where they are set', async () => {
      const token = await begin(
        { kind: '500', when: 'before', times: 1 },
        { kind: '503', when: 'before', times: 1 },
        { kind: '429', when: 'before', on: 'exchange' },
      )
      assert.equal((await refresh(token)).status, 500)
      assert.equal((await refresh(token)).status, 503)
      assert.equal((await refresh(token)).status, 200)
      await assert.rejects(control.connect('nobody'))
      assert.equal(control.counts().requests, 3)
      control.setFaults([])
      await control.connect('somebody')
    })

    test('a client that leaves does not undo a spend', async () => {
      const token = await begin({ kind: 'slow', when: 'after', ms: 5_000 })
      const reply = await provider.refresh(server.address, token, AbortSignal.timeout(200))
      assert.equal(reply.broken, true)
      while (control.history()[0]?.verdict !== 'spent') await new Promise(setImmediate)
      assert.equal(control.history()[0]?.delivered, false)
      assert.equal(await control.isAlive(token), false)
    })

    test('200 at once with one token: one spend, 199 replays', async () => {
      const token = await begin()
      const replies = await Promise.all(Array.from({ length: 200 }, () => refresh(token)))
      const fresh = replies.filter((reply) => fieldsOf(reply)['refresh_token'] !== undefined)
      assert.equal(fresh.length, 1)
      const counts = control.counts()
      assert.deepEqual([counts.requests, counts.spent, counts.replayed], [200, 1, 199])
      assert.equal(counts.killed, provider.kills ? 1 : 0)
      const [winner] = fresh
      assert.ok(winner)
      assert.equal(await control.isAlive(tokenOf(winner)), !provider.kills)
      assert.equal(await control.isAlive(String(fieldsOf(winner)['access_token'])), !provider.kills)
    })

    test('200 at once with a token each: 200 spends, no replay', async () => {
      const connected = await Promise.all(
        Array.from({ length: 200 }, (_, index) => control.connect(`crowd-${index}`)),
      )
      control.forget()
      control.setFaults([])
      const replies = await Promise.all(connected.map(({ refreshToken }) => refresh(refreshToken)))
      assert.equal(new Set(replies.map(tokenOf)).size, 200)
      const { requests, spent, replayed, undelivered } = control.counts()
      assert.deepEqual([requests, spent, replayed, undelivered], [200, 200, 0, 0])
    })

    test('a replay of one grant leaves every other alone', async () => {
      const [mine, other] = [await control.connect('mine'), await control.connect('other')]
      await refresh(mine.refreshToken)
      await refresh(mine.refreshToken)
      assert.equal(await control.isAlive(other.refreshToken), true)
    })

    test('a person takes everything back', async () => {
      const { refreshToken, accessToken } = await control.connect('leaving')
      control.forget()
      await control.revoke('leaving')
      assert.deepEqual(
        [await control.isAlive(refreshToken), await control.isAlive(accessToken)],
        [false, false],
      )
      assert.equal(fieldsOf(await refresh(refreshToken))['access_token'], undefined)
      const [redemption] = control.history()
      assert.deepEqual([redemption?.verdict, redemption?.alive], ['refused', false])
      assert.equal(control.counts().killed, 0)
    })

    test('what was never issued is refused', async () => {
      await begin()
      await refresh('never-issued')
      const [redemption] = control.history()
      assert.deepEqual([redemption?.verdict, redemption?.generation], ['refused', -1])
    })
  })
}

test('faults have the durations they are known for: hang 6 s, slow 3.5 s', async () => {
  const server = await startGitHubApps({ ...client, settings: { latencyMs: [0, 0] } })
  const { refreshToken: one } = await server.connect('one')
  const { refreshToken: two } = await server.connect('two')
  server.setFaults([
    { kind: 'hang', when: 'after', times: 1 },
    { kind: 'slow', when: 'before', times: 1 },
  ])
  const [hung, slow] = await Promise.all([
    refreshGitHub(server.address, client, one),
    refreshGitHub(server.address, client, two),
  ])
  assert.ok(hung.broken && hung.ms > 5_990 && hung.ms < 7_500, `${hung.ms}`)
  assert.ok(slow.status === 200 && slow.ms > 3_490 && slow.ms < 5_000, `${slow.ms}`)
  await server.close()
})

for (const kind of ['github', 'oidc'] as const) {
  test(`${kind} as a process of its own, steered over HTTP`, async () => {
    const server = await spawnServer(kind, client)
    const { control } = server
    const refresh = kind === 'github' ? refreshGitHub : refreshOidc
    await control.configure({ latencyMs: [0, 0], accessSeconds: 77 })
    const { refreshToken } = await control.connect('afar')
    await control.setFaults([{ kind: '500', when: 'before', times: 1 }])
    assert.equal((await refresh(server.address, client, refreshToken)).status, 500)
    assert.equal(String(fieldsOf(await refresh(server.address, client, refreshToken))['expires_in']), '77')
    assert.equal((await control.counts()).spent, 1)
    assert.equal(await control.standing('never-issued'), null)
    assert.equal((await fetch(`${server.address}/-/constructor`, { method: 'POST', body: '[]' })).status, 404)
    await server.close()
    assert.throws(() => process.kill(server.pid, 0), { code: 'ESRCH' })
  })
}
