/** GitHub's own ways: encodings, errors with status 200, the old access token, revocation, webhooks. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { request as send } from 'node:http'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { fieldsOf, post, refreshGitHub, type Reply } from './client.ts'
import { startGitHubApps, type GitHubServer, type GitHubSettings } from './github-apps.ts'
import { mintToken } from './github-tokens.ts'
import { sign } from './github-webhooks.ts'
import { listen, readBody } from './http.ts'
import { obtainCode } from './login.ts'

const client = {
  clientId: 'Iv23liExample',
  clientSecret: 'secret-of-the-app',
  redirectUris: ['http://127.0.0.1:9/callback', 'http://127.0.0.1:9/other'],
}
const usual: Partial<GitHubSettings> = {
  latencyMs: [0, 0],
  accessSeconds: 28_800,
  refreshSeconds: 15_897_600,
  lifetimes: 'string',
  expiring: true,
  lagMs: 0,
  date: true,
  deadTokenStatus: 422,
}
const secret = "It's a Secret to Everybody"
const external = new URL('../../../shared/vectors/', import.meta.url)

let github: GitHubServer
before(async () => {
  github = await startGitHubApps(client)
})
after(() => github.close())
beforeEach(() => {
  github.configure(usual)
  github.setFaults([])
  github.forget()
})

const refresh = (token: string): Promise<Reply> => refreshGitHub(github.address, client, token)
const tokenUrl = (): string => `${github.address}/login/oauth/access_token`
const credentials = { client_id: client.clientId, client_secret: client.clientSecret }
const wantsJson = { accept: 'application/json' }

async function user(token: string): Promise<number> {
  const response = await fetch(`${github.address}/user`, { headers: { authorization: `Bearer ${token}` } })
  await response.body?.cancel()
  return response.status
}

async function application(method: string, what: 'grant' | 'token', body: object, as = credentials) {
  const response = await fetch(`${github.address}/applications/${as.client_id}/${what}`, {
    method,
    headers: { authorization: `Basic ${btoa(`${as.client_id}:${as.client_secret}`)}` },
    body: JSON.stringify(body),
  })
  await response.body?.cancel()
  return response.status
}

describe('the token endpoint', () => {
  test('answers with a form, unless JSON is asked for', async () => {
    const { refreshToken } = await github.connect('octocat')
    const form = await post(tokenUrl(), {
      ...credentials,
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
    })
    assert.match(form.headers.get('content-type') ?? '', /^application\/x-www-form-urlencoded/)
    const fields = fieldsOf(form)
    assert.deepEqual(Object.keys(fields), [
      'access_token',
      'expires_in',
      'refresh_token',
      'refresh_token_expires_in',
      'scope',
      'token_type',
    ])
    const asJson = await refresh(String(fields['refresh_token']))
    assert.match(asJson.headers.get('content-type') ?? '', /^application\/json/)
    assert.deepEqual(Object.keys(fieldsOf(asJson)), Object.keys(fields))
  })

  test('takes its parameters from the query, a form or JSON', async () => {
    const { refreshToken } = await github.connect('octocat')
    const fields = { ...credentials, grant_type: 'refresh_token', refresh_token: refreshToken }
    const query = await fetch(`${tokenUrl()}?${new URLSearchParams(fields)}`, {
      method: 'POST',
      headers: wantsJson,
    })
    const { refresh_token } = (await query.json()) as Record<string, string>
    assert.ok(refresh_token)
    const body = await fetch(tokenUrl(), {
      method: 'POST',
      headers: { ...wantsJson, 'content-type': 'application/json' },
      body: JSON.stringify({ ...fields, refresh_token }),
    })
    assert.ok(((await body.json()) as Record<string, string>)['refresh_token'])
    assert.equal(github.counts().spent, 2)
  })

  for (const lifetimes of ['string', 'number'] as const) {
    test(`spells lifetimes as ${lifetimes}`, async () => {
      github.configure({ lifetimes })
      const { refreshToken } = await github.connect('octocat')
      const fields = fieldsOf(await refresh(refreshToken))
      assert.equal(typeof fields['expires_in'], lifetimes)
      assert.equal(typeof fields['refresh_token_expires_in'], lifetimes)
      assert.equal(Number(fields['expires_in']), 28_800)
    })
  }

  test('gives tokens of GitHub’s form, with a checksum', async () => {
    const { accessToken, refreshToken } = await github.connect('octocat')
    assert.match(accessToken, /^ghu_[0-9A-Za-z]{36}$/)
    assert.match(refreshToken, /^ghr_[0-9A-Za-z]{76}$/)
    const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    for (const token of [accessToken, refreshToken, mintToken('ghu_')]) {
      const sum = [...token.slice(-6)].reduce((value, digit) => value * 62 + digits.indexOf(digit), 0)
      assert.equal(sum, crc32(token.slice(4, -6)))
    }
  })

  test('refuses with status 200 and GitHub’s own words, in both encodings', async () => {
    const { refreshToken } = await github.connect('octocat')
    const cases = {
      bad_refresh_token: { ...credentials, grant_type: 'refresh_token', refresh_token: 'ghr_no' },
      incorrect_client_credentials: {
        ...credentials,
        client_secret: 'wrong',
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
      },
      bad_verification_code: { ...credentials, code: 'no' },
      unsupported_grant_type: { ...credentials, grant_type: 'password' },
    }
    for (const [error, fields] of Object.entries(cases)) {
      for (const headers of [{}, wantsJson]) {
        const reply = await post(tokenUrl(), fields, headers)
        assert.equal(reply.status, 200)
        assert.equal(fieldsOf(reply)['error'], error)
        assert.equal(typeof fieldsOf(reply)['error_description'], 'string')
      }
    }
    assert.equal(await github.isAlive(refreshToken), true)
    const { refused, spent } = github.counts()
    assert.deepEqual([refused, spent], [4, 0])
    assert.ok(github.history().some(({ reason }) => reason === 'incorrect_client_credentials'))
  })

  test('says what the documented answers say', (context) => {
    const file = new URL('token-endpoint/github-responses.json', external)
    if (!existsSync(file)) return context.skip('the shared vectors are not here')
    interface Documented {
      readonly name: string
      readonly ct: string
      readonly body: string
    }
    const { documented } = JSON.parse(readFileSync(file, 'utf8')) as { documented: readonly Documented[] }
    const parse = ({ ct, body }: Documented): Record<string, string> =>
      ct.includes('json')
        ? (JSON.parse(body) as Record<string, string>)
        : Object.fromEntries(new URLSearchParams(body))
    const words = documented.map(parse).filter((fields) => fields['error'] !== undefined)
    assert.ok(words.length >= 4)
    return Promise.all(
      words.map(async ({ error = '', error_description }) => {
        const answers: Record<string, () => Promise<Record<string, string | number>>> = {
          bad_refresh_token: async () => fieldsOf(await refresh('ghr_no')),
          incorrect_client_credentials: async () =>
            fieldsOf(await post(tokenUrl(), { client_id: 'no' }, wantsJson)),
          bad_verification_code: async () =>
            fieldsOf(await post(tokenUrl(), { ...credentials, code: 'no' }, wantsJson)),
          async redirect_uri_mismatch() {
            const url = `${github.address}/login/oauth/authorize`
            const { code } = await obtainCode(url, client.redirectUris[0] ?? '', {
              client_id: client.clientId,
            })
            const fields = { ...credentials, code, redirect_uri: 'http://127.0.0.1:9/elsewhere' }
            return fieldsOf(await post(tokenUrl(), fields, wantsJson))
          },
        }
        const answer = await answers[error]?.()
        assert.equal(answer?.['error'], error)
        assert.equal(answer?.['error_description'], error_description)
      }),
    ).then(() => undefined)
  })

  test('gives no refresh token and no lifetime when the owner opted out', async () => {
    const { refreshToken } = await github.connect('octocat')
    github.configure({ expiring: false })
    assert.deepEqual(Object.keys(fieldsOf(await refresh(refreshToken))), [
      'access_token',
      'scope',
      'token_type',
    ])
    const { refreshToken: none, accessToken } = await github.connect('octocat')
    assert.equal(none, '')
    assert.equal(await user(accessToken), 200)
  })

  test('can leave the Date away', async () => {
    const { refreshToken } = await github.connect('octocat')
    const dated = await refresh(refreshToken)
    assert.ok(dated.headers.get('date'))
    github.configure({ date: false })
    const undated = await refresh(String(fieldsOf(dated)['refresh_token']))
    assert.equal(undated.headers.get('date'), null)
  })

  test('takes 50 to 300 ms', async () => {
    const slow = await startGitHubApps(client)
    const { refreshToken } = await slow.connect('octocat')
    let token = refreshToken
    const times: number[] = []
    for (let round = 0; round < 8; round += 1) {
      const reply = await refreshGitHub(slow.address, client, token)
      token = String(fieldsOf(reply)['refresh_token'])
      times.push(reply.ms)
    }
    assert.ok(Math.min(...times) >= 48, `${times}`)
    assert.ok(Math.max(...times) < 500, `${times}`)
    await slow.close()
  })
})

describe('the authorization', () => {
  const authorize = async (fields: Record<string, string>) => {
    const url = `${github.address}/login/oauth/authorize?${new URLSearchParams(fields)}`
    const response = await fetch(url, { redirect: 'manual' })
    await response.body?.cancel()
    const location = response.headers.get('location')
    return { status: response.status, to: location === null ? undefined : new URL(location) }
  }

  test('a code works once, with its verifier, at its redirect URI', async () => {
    const url = `${github.address}/login/oauth/authorize`
    const [first = '', other = ''] = client.redirectUris
    const exchange = async (fields: Record<string, string>) =>
      fieldsOf(await post(tokenUrl(), { ...credentials, ...fields }, wantsJson))
    const { code, verifier } = await obtainCode(url, other, { client_id: client.clientId })
    assert.equal((await exchange({ code, redirect_uri: first }))['error'], 'redirect_uri_mismatch')
    assert.ok((await exchange({ code, code_verifier: verifier, redirect_uri: other }))['access_token'])
    assert.equal((await exchange({ code, code_verifier: verifier }))['error'], 'bad_verification_code')
    const again = await obtainCode(url, first, { client_id: client.clientId })
    assert.equal(
      (await exchange({ code: again.code, code_verifier: verifier }))['error'],
      'bad_verification_code',
    )
  })

  test('an unknown client gets a page, a foreign redirect URI goes to the registered one', async () => {
    assert.equal((await authorize({ client_id: 'no' })).status, 404)
    const { to } = await authorize({
      client_id: client.clientId,
      redirect_uri: 'http://evil.example/',
      state: 's',
    })
    assert.equal(`${to?.origin}${to?.pathname}`, client.redirectUris[0])
    assert.deepEqual(
      [to?.searchParams.get('error'), to?.searchParams.get('state')],
      ['redirect_uri_mismatch', 's'],
    )
  })

  test('PKCE is S256 or nothing', async () => {
    const fields = { client_id: client.clientId, code_challenge: 'x', code_challenge_method: 'plain' }
    assert.equal((await authorize(fields)).to?.searchParams.get('error'), 'invalid_request')
    assert.ok((await authorize({ client_id: client.clientId })).to?.searchParams.get('code'))
  })

  test('the person is the one hinted at, the cookie’s, or whoever is signed in', async () => {
    github.addUser({ login: 'fixed', id: 9_007_199_254_740_991 })
    assert.equal((await github.connect('fixed')).subject, '9007199254740991')
    github.signIn('fixed')
    const { to } = await authorize({ client_id: client.clientId })
    const code = to?.searchParams.get('code') ?? ''
    const { access_token } = fieldsOf(await post(tokenUrl(), { ...credentials, code }, wantsJson))
    const response = await fetch(`${github.address}/user`, {
      headers: { authorization: `Bearer ${access_token}` },
    })
    const { id, login, type } = (await response.json()) as Record<string, unknown>
    assert.deepEqual([id, login, type], [9_007_199_254_740_991, 'fixed', 'User'])
    github.signIn('octocat')
  })
})

describe('the API', () => {
  test('the old access token dies on refresh', async () => {
    const { accessToken, refreshToken } = await github.connect('octocat')
    assert.equal(await user(accessToken), 200)
    const fields = fieldsOf(await refresh(refreshToken))
    assert.equal(await user(accessToken), 401)
    assert.equal(await user(String(fields['access_token'])), 200)
  })

  test('both tokens end with their lifetime', async () => {
    github.configure({ accessSeconds: 1, refreshSeconds: 1 })
    const { accessToken, refreshToken } = await github.connect('octocat')
    assert.equal(await user(accessToken), 200)
    await sleep(1_010)
    assert.equal(await user(accessToken), 401)
    assert.equal(fieldsOf(await refresh(refreshToken))['error'], 'bad_refresh_token')
    assert.equal(github.history()[0]?.verdict, 'refused')
  })

  test('a new access token can be unknown for a moment', async () => {
    const { refreshToken } = await github.connect('octocat')
    github.configure({ lagMs: 200 })
    const { access_token } = fieldsOf(await refresh(refreshToken))
    assert.equal(await user(String(access_token)), 401)
    await sleep(210)
    assert.equal(await user(String(access_token)), 200)
  })

  test('a request without a User-Agent is refused', async () => {
    const { accessToken } = await github.connect('octocat')
    const status = await new Promise((resolve, reject) => {
      const request = send(`${github.address}/user`, { headers: { authorization: `Bearer ${accessToken}` } })
      request.once('response', (response) => resolve(response.resume().statusCode)).once('error', reject)
      request.end()
    })
    assert.equal(status, 403)
  })

  test('faults can be set on the API and on revocation', async () => {
    const { accessToken } = await github.connect('octocat')
    github.setFaults([
      { kind: '502', when: 'before', on: 'user', times: 1 },
      { kind: 'reset', when: 'after', on: 'revocation', times: 1 },
    ])
    assert.equal(await user(accessToken), 502)
    assert.equal(await user(accessToken), 200)
    await assert.rejects(application('DELETE', 'token', { access_token: accessToken }))
    assert.equal(await user(accessToken), 401)
  })
})

describe('revocation', () => {
  test('of a token ends that login alone', async () => {
    const [one, two] = [await github.connect('leaver'), await github.connect('leaver')]
    assert.equal(await application('POST', 'token', { access_token: one.accessToken }), 200)
    assert.equal(await application('DELETE', 'token', { access_token: one.accessToken }), 204)
    assert.equal(await application('POST', 'token', { access_token: one.accessToken }), 404)
    assert.equal(fieldsOf(await refresh(one.refreshToken))['error'], 'bad_refresh_token')
    assert.equal(await github.isAlive(two.refreshToken), true)
  })

  test('of the grant ends every login of that person', async () => {
    const [one, two] = [await github.connect('leaver'), await github.connect('leaver')]
    const other = await github.connect('stayer')
    assert.equal(await application('DELETE', 'grant', { access_token: one.accessToken }), 204)
    for (const { accessToken, refreshToken } of [one, two]) {
      assert.equal(await user(accessToken), 401)
      assert.equal(await github.isAlive(refreshToken), false)
    }
    assert.equal(await user(other.accessToken), 200)
  })

  test('needs a working token and the app’s own credentials', async () => {
    const { accessToken } = await github.connect('stayer')
    const wrong = { ...credentials, client_secret: 'wrong' }
    assert.equal(await application('DELETE', 'grant', { access_token: accessToken }, wrong), 401)
    assert.equal(await application('DELETE', 'grant', {}), 422)
    assert.equal(await application('DELETE', 'grant', { access_token: 'ghu_no' }), 422)
    github.configure({ deadTokenStatus: 404 })
    assert.equal(await application('DELETE', 'token', { access_token: 'ghu_no' }), 404)
    assert.equal(await user(accessToken), 200)
  })
})

describe('webhooks', () => {
  const received: { headers: Record<string, unknown>; body: string }[] = []
  let status = 202
  let receiver: Awaited<ReturnType<typeof listen>>
  before(async () => {
    receiver = await listen(async (request, response) => {
      received.push({ headers: request.headers, body: await readBody(request) })
      response.writeHead(status).end()
    })
    github.setWebhook({ url: `${receiver.address}/webhooks/github`, secret })
  })
  after(() => receiver.close())
  beforeEach(() => {
    received.length = 0
    status = 202
  })

  test('are signed as the documentation shows', () => {
    const known = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    assert.equal(sign('sha256', secret, 'Hello, World!'), known)
  })

  test('say that a person revoked the app, and the tokens are dead by then', async () => {
    const { accessToken, subject } = await github.connect('goer')
    await github.revoke('goer')
    const [one] = received
    assert.ok(one)
    assert.equal(one.headers['x-github-event'], 'github_app_authorization')
    const mac = createHmac('sha256', secret).update(one.body).digest('hex')
    assert.equal(one.headers['x-hub-signature-256'], `sha256=${mac}`)
    assert.match(String(one.headers['x-github-delivery']), /^[0-9a-f-]{36}$/)
    assert.match(String(one.headers['user-agent']), /^GitHub-Hookshot\//)
    const { action, sender } = JSON.parse(one.body) as { action: string; sender: { id: number } }
    assert.deepEqual([action, String(sender.id)], ['revoked', subject])
    assert.equal(await user(accessToken), 401)
  })

  test('say that the app was uninstalled, and the tokens go on', async () => {
    const { accessToken, subject } = await github.connect('uninstaller')
    await github.uninstall('uninstaller')
    const [one] = received
    assert.ok(one)
    assert.equal(one.headers['x-github-event'], 'installation')
    const { action, installation } = JSON.parse(one.body) as {
      action: string
      installation: { account: { id: number } }
    }
    assert.deepEqual([action, String(installation.account.id)], ['deleted', subject])
    assert.equal(await user(accessToken), 200)
  })

  test('come again with the same name and the same bytes, and only when asked for', async () => {
    status = 500
    const delivery = await github.deliver('ping', { zen: 'Keep it logically awesome.' })
    assert.deepEqual(delivery.statuses, [500])
    assert.equal(received.length, 1)
    status = 202
    assert.deepEqual((await github.redeliver(delivery.id)).statuses, [500, 202])
    const [first, second] = received
    assert.equal(first?.body, second?.body)
    assert.equal(first?.headers['x-github-delivery'], second?.headers['x-github-delivery'])
    assert.equal(github.deliveries().at(-1)?.id, delivery.id)
  })

  test('have the members of the public examples', (context) => {
    const file = new URL('webhook-events/octokit-webhooks-examples-subset.json', external)
    if (!existsSync(file)) return context.skip('the shared vectors are not here')
    interface Event {
      readonly name: string
      readonly examples: readonly Record<string, unknown>[]
    }
    const events = JSON.parse(readFileSync(file, 'utf8')) as readonly Event[]
    for (const [name, action] of [
      ['github_app_authorization', 'revoked'],
      ['installation', 'deleted'],
    ]) {
      const example = events
        .find((event) => event.name === name)
        ?.examples.find((one) => one['action'] === action)
      const sent = github.deliveries().find(({ event }) => event === name)
      assert.ok(example && sent)
      const ours = JSON.parse(sent.body) as Record<string, Record<string, unknown>>
      assert.deepEqual(Object.keys(ours).sort(), Object.keys(example).sort())
      for (const part of ['installation', 'sender']) {
        const theirs = example[part] as Record<string, unknown> | undefined
        for (const [member, value] of Object.entries(ours[part] ?? {})) {
          assert.ok(theirs && member in theirs, `${name} ${part}.${member}`)
          if (value !== null) assert.equal(typeof value, typeof theirs[member], `${name} ${part}.${member}`)
        }
      }
    }
  })

  test('a receiver that is not there is noted', async () => {
    github.setWebhook({ url: 'http://127.0.0.1:1/', secret })
    assert.deepEqual((await github.deliver('ping', {})).statuses, [0])
  })
})
