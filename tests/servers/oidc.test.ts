/** What is oidc-provider's own: lifetimes, rotation switched off, RFC 7009, RFC 7662, userinfo. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fieldsOf, post, refreshOidc, type Reply } from './client.ts'
import { obtainCode } from './login.ts'
import { startOidc, type OidcServer } from './oidc.ts'

const client = {
  clientId: 'client-1',
  clientSecret: 'secret-1',
  redirectUris: ['http://127.0.0.1:9/callback'],
}
const authorization = `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}`

let oidc: OidcServer
before(async () => {
  oidc = await startOidc(client)
})
after(() => oidc.close())
beforeEach(() => {
  oidc.configure({ latencyMs: [0, 0], accessSeconds: 3_600, refreshSeconds: 1_209_600, rotate: true })
  oidc.setFaults([])
  oidc.forget()
})

const refresh = (token: string): Promise<Reply> => refreshOidc(oidc.address, client, token)
const revoke = (token: string): Promise<Reply> =>
  post(`${oidc.address}/token/revocation`, { token }, { authorization })

test('lifetimes are as set, and end', async () => {
  oidc.configure({ accessSeconds: 1 })
  const { accessToken, refreshToken } = await oidc.connect('alex')
  assert.equal(await oidc.isAlive(accessToken), true)
  await sleep(2_000)
  assert.equal(await oidc.isAlive(accessToken), false)
  assert.equal(await oidc.isAlive(refreshToken), true)
  oidc.configure({ refreshSeconds: 1 })
  const fields = fieldsOf(await refresh(refreshToken))
  assert.equal(fields['expires_in'], 1)
  await sleep(2_000)
  assert.equal(fieldsOf(await refresh(String(fields['refresh_token'])))['error'], 'invalid_grant')
  assert.deepEqual(
    oidc.history().map(({ verdict }) => verdict),
    ['spent', 'refused'],
  )
})

test('a replay ends access and refresh token, and the record says why', async () => {
  const { refreshToken } = await oidc.connect('alex')
  const fields = fieldsOf(await refresh(refreshToken))
  assert.equal(await oidc.isAlive(String(fields['access_token'])), true)
  const replay = await refresh(refreshToken)
  assert.deepEqual([replay.status, fieldsOf(replay)['error']], [400, 'invalid_grant'])
  assert.equal(await oidc.isAlive(String(fields['access_token'])), false)
  assert.equal(await oidc.isAlive(String(fields['refresh_token'])), false)
  const successor = await refresh(String(fields['refresh_token']))
  assert.equal(fieldsOf(successor)['error'], 'invalid_grant')
  assert.deepEqual(
    oidc.history().map(({ verdict, reason, alive }) => ({ verdict, reason, alive })),
    [
      { verdict: 'spent', reason: '', alive: true },
      { verdict: 'replayed', reason: 'refresh token already used', alive: false },
      { verdict: 'refused', reason: 'refresh token not found', alive: false },
    ],
  )
  assert.equal(oidc.counts().killed, 1)
})

test('without rotation one token works again and again', async () => {
  oidc.configure({ rotate: false })
  const { refreshToken } = await oidc.connect('alex')
  for (let round = 0; round < 3; round += 1) {
    assert.equal(fieldsOf(await refresh(refreshToken))['refresh_token'], refreshToken)
  }
  assert.deepEqual([oidc.counts().spent, oidc.counts().replayed], [3, 0])
  assert.equal(await oidc.isAlive(refreshToken), true)
})

test('a wrong client secret spends nothing', async () => {
  const { refreshToken } = await oidc.connect('alex')
  const reply = await refreshOidc(oidc.address, { ...client, clientSecret: 'wrong' }, refreshToken)
  assert.deepEqual([reply.status, fieldsOf(reply)['error']], [401, 'invalid_client'])
  assert.deepEqual([oidc.counts().refused, oidc.counts().spent], [1, 0])
  assert.equal(await oidc.isAlive(refreshToken), true)
})

test('revocation ends the grant, and is no replay', async () => {
  const { accessToken, refreshToken } = await oidc.connect('alex')
  assert.equal((await revoke(refreshToken)).status, 200)
  assert.equal(await oidc.isAlive(accessToken), false)
  assert.equal(oidc.standing(refreshToken)?.alive, false)
  assert.equal(oidc.counts().killed, 0)
  assert.equal((await revoke('never-issued')).status, 200)
})

test('faults can be set on revocation and userinfo', async () => {
  const { accessToken, refreshToken } = await oidc.connect('alex')
  oidc.setFaults([
    { kind: '503', when: 'before', on: 'revocation', times: 1 },
    { kind: '502', when: 'before', on: 'user', times: 1 },
  ])
  const me = () => fetch(`${oidc.address}/me`, { headers: { authorization: `Bearer ${accessToken}` } })
  assert.equal((await me()).status, 502)
  assert.equal(((await (await me()).json()) as { sub: string }).sub, 'alex')
  assert.equal((await revoke(refreshToken)).status, 503)
  assert.equal(await oidc.isAlive(refreshToken), true)
})

test('latency is as set', async () => {
  const { refreshToken } = await oidc.connect('alex')
  oidc.configure({ latencyMs: [120, 140] })
  const { ms } = await refresh(refreshToken)
  assert.ok(ms >= 118 && ms < 400, `${ms}`)
})

test('a browser whose grant was killed connects again', async () => {
  const [redirectUri = ''] = client.redirectUris
  const cookies = new Map<string, string>()
  const connect = async (parameters: Record<string, string>): Promise<string> => {
    const request = { client_id: client.clientId, scope: 'openid', ...parameters }
    const { code, verifier } = await obtainCode(`${oidc.address}/auth`, redirectUri, request, cookies)
    const fields = {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: redirectUri,
    }
    return String(fieldsOf(await post(`${oidc.address}/token`, fields, { authorization }))['refresh_token'])
  }
  const [first, second] = [await connect({}), await connect({ scope: 'openid email', prompt: 'consent' })]
  assert.equal(oidc.standing(first)?.grant, oidc.standing(second)?.grant)
  await refresh(first)
  await refresh(first)
  assert.equal(await oidc.isAlive(second), false)
  const third = await connect({})
  assert.equal(await oidc.isAlive(third), true)
  assert.notEqual(oidc.standing(third)?.grant, oidc.standing(first)?.grant)
})
