/** The installations of an app, against what GitHub documents of them. */
import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import { startGitHubApps, type GitHubServer } from './github-apps.ts'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const clientId = 'client-1'
let github: GitHubServer
before(async () => {
  github = await startGitHubApps({
    clientId,
    clientSecret: 'secret-1',
    redirectUris: ['http://127.0.0.1/callback'],
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    settings: { latencyMs: [0, 0] },
  })
})
after(() => github.close())

function assertion(changes: object = {}, head: object = { alg: 'RS256', typ: 'JWT' }): string {
  const now = Math.floor(Date.now() / 1_000)
  const claims = { iat: now - 60, exp: now + 540, iss: clientId, ...changes }
  const text = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`
}

async function mint(id: number, token = assertion(), body: object = {}) {
  const response = await fetch(`${github.address}/app/installations/${id}/access_tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'user-agent': 'test' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

test('an installation’s token lives an hour and is for the repositories that are named', async () => {
  const id = github.install({ account: 'octo', repositories: ['one', 'two'], members: ['ada'] })
  const { status, body } = await mint(id, assertion(), { repositories: ['ONE'] })
  assert.equal(status, 201)
  assert.match(String(body['token']), /^ghs_[0-9A-Za-z]{36}$/)
  assert.match(String(body['expires_at']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  const life = Date.parse(String(body['expires_at'])) - Date.now()
  assert.ok(life > 3_590_000 && life <= 3_600_000)
  assert.ok(github.isInstallationToken(String(body['token'])))
  assert.equal((await mint(id, assertion(), { repositories: ['three'] })).status, 422)
  assert.equal((await mint(id + 1_000)).status, 404)
  github.suspend(id, true)
  assert.equal((await mint(id)).status, 403)
  github.suspend(id, false)
  assert.equal((await mint(id)).status, 201)
  github.removeInstallation(id)
  assert.equal((await mint(id)).status, 404)
})

test('only the app itself is given one: its key, its id, now, and for ten minutes at most', async () => {
  const id = github.install({ account: 'octo', repositories: ['one'], members: [] })
  const now = Math.floor(Date.now() / 1_000)
  const good = assertion()
  const bad = [
    assertion({ iss: 'another' }),
    assertion({ exp: now - 1 }),
    assertion({ exp: now + 700 }),
    assertion({ iat: now + 60 }),
    assertion({}, { alg: 'none' }),
    `${good.slice(0, -4)}AAAA`,
    'x',
  ]
  for (const token of bad) assert.equal((await mint(id, token)).status, 401)
  assert.equal((await mint(id, good)).status, 201)
})

test('a person sees the installations that they are a member of, page by page', async () => {
  const { accessToken } = await github.connect('ada')
  const list = async (query: string, token = accessToken) => {
    const headers = { authorization: `Bearer ${token}`, 'user-agent': 'test' }
    const response = await fetch(`${github.address}/user/installations${query}`, { headers })
    const body = (await response.json()) as { installations?: { id: number; suspended_at: unknown }[] }
    return body.installations?.map(({ id }) => id) ?? response.status
  }
  const mine = Array.from({ length: 3 }, (_, n) =>
    github.install({ account: `team-${n}`, repositories: [], members: ['ada'] }),
  )
  github.install({ account: 'team-1', repositories: [], members: ['bob'] })
  assert.deepEqual(await list(''), mine)
  assert.deepEqual(await list('?per_page=2&page=2'), mine.slice(2))
  assert.equal(await list('', 'ghu_none'), 401)
})
