/** git itself, through the Worker, as a new user would try it. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { createServer, request as send } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { load, type Latchkey } from 'latchkey'
import { seedRepository } from '../../wrangler/dev/git-host.ts'
import type { InstallationControl } from '../servers/installation-control.ts'
import { remote } from '../servers/remote.ts'
import { command, run, Workspace } from './client.ts'
import { startGitStage, type GitStage } from './stage.ts'
import { startStorage } from './upstream.ts'

const lk: Latchkey = await load()
const both = { can: ['fetch', 'push'] }
const discovery = '/info/refs?service=git-upload-pack'

const basic = (capability: string, user = 'x'): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${capability}`).toString('base64')}`,
})
const repoOf = ({ upstream }: GitStage, path: string): string => `${upstream.address}/${path}`

async function commit(workspace: Workspace, path: string, content: string | Buffer): Promise<void> {
  await workspace.write(`work/${path}`, content)
  await workspace.must(['-C', 'work', 'add', '.'])
  await workspace.must(['-C', 'work', 'commit', '-qm', path])
}

/** Status and text of an answer to `path` below a remote. */
async function ask(
  remote: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  init: RequestInit = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(`${remote}${path}`, { redirect: 'manual', ...init, headers })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

describe('a host that speaks as GitHub does', () => {
  let stage!: GitStage
  before(async () => {
    stage = await startGitStage('github')
    await stage.connect('ada')
    await stage.connect('bob')
    for (const path of ['ada/one', 'ada/two', 'ada/empty', 'bob/one', 'shared/one'])
      await stage.upstream.create(path)
    // For whoever only reads: it is never written to.
    await seedRepository(`${stage.folder}/repositories`, 'ada/full', { file: 'read me\n' })
  })
  after(() => stage?.close())

  test('clone, push, fetch, shallow clone; the provider sees the token, git the capability', async () => {
    const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), ...both })
    assert.equal(remote, `${stage.address}/git/github/ada/one.git`)
    const one = await stage.workspace('one', capability)
    stage.upstream.seen.length = 0
    await one.must(['clone', '-q', remote, 'work'])
    for (let n = 0; n < 3; n += 1) await commit(one, `file${n}`, `${n}\n`)
    await one.must(['-C', 'work', 'push', '-q', 'origin', 'main'])
    const two = await stage.workspace('two', capability)
    await two.must(['clone', '-q', remote, 'work'])
    assert.equal(await two.read('work/file2'), '2\n')
    await commit(one, 'file3', '3\n')
    await one.must(['-C', 'work', 'push', '-q'])
    await two.must(['-C', 'work', 'pull', '-q', '--ff-only'])
    assert.equal(await two.read('work/file3'), '3\n')
    const depth = async () => (await two.must(['-C', 'shallow', 'rev-list', '--count', 'HEAD'])).trim()
    await two.must(['clone', '-q', '--depth', '1', remote, 'shallow'])
    assert.equal(await depth(), '1')
    await two.must(['-C', 'shallow', 'fetch', '-q', '--unshallow'])
    assert.equal(await depth(), '4')

    const git = stage.upstream.seen.filter(({ url }) => url.startsWith('/ada/one.git'))
    assert.ok(git.length > 8)
    for (const { headers } of git) {
      assert.match(Buffer.from(headers.authorization!.slice(6), 'base64').toString(), /^x-access-token:ghu_/)
      assert.match(headers['user-agent'] ?? '', /^git\//)
      assert.ok(!JSON.stringify(headers).includes(capability))
    }
    const token = (git[0]!.headers.authorization ?? '').slice(6)
    const secret = Buffer.from(token, 'base64').toString().split(':')[1]!
    for (const text of [
      ...stage.ours.worker.log,
      await one.read('work/.git/config'),
      await one.read('.gitconfig'),
    ])
      assert.ok(!text.includes(secret) && !text.includes(capability))
  })

  test('T51 a person whose token fails in mid-session: the app goes on where it is installed, with one warning', async () => {
    const control = remote<InstallationControl>(stage.provider.address)
    const installed = { account: 'team', repositories: ['one'], members: ['ivy'] }
    await control.install(installed)
    await stage.upstream.create('team/one')
    await stage.upstream.create('shared/ivy')
    await stage.connect('ivy')
    const { capability, remote: address } = await stage.mint('ivy', {
      repo: repoOf(stage, 'team/one'),
      ...both,
    })
    const workspace = await stage.workspace('ivy', capability)
    await stage.provider.control.revoke('ivy')
    await workspace.must(['clone', '-q', address, 'work'])
    await commit(workspace, 'file', 'of the app\n')
    await workspace.must(['-C', 'work', 'push', '-q', 'origin', 'HEAD:main'])
    const again = await stage.workspace('ivy-again', capability)
    await again.must(['clone', '-q', address, 'work'])
    assert.equal(await again.read('work/file'), 'of the app\n')
    const mintings = await control.mintings()
    assert.deepEqual(
      mintings.map(({ repositories }) => repositories),
      [['one']],
    )
    assert.equal(stage.ours.worker.log.filter((line) => line.includes('acts_as_app')).length, 1)
    for (const line of stage.ours.worker.log) assert.ok(!line.includes(mintings[0]!.token))
    // Where it is not installed nobody acts.
    const elsewhere = await stage.ask('ivy', 'POST', '/api/capabilities', {
      provider: stage.name,
      repo: repoOf(stage, 'shared/ivy'),
      can: ['fetch'],
    })
    assert.equal(elsewhere.status, 409)
  })

  test('the README, word for word', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
    const [, typed = ''] = /```sh\n(export LATCHKEY_URL=https:[^]*?)```/.exec(readme) ?? []
    assert.notEqual(typed, '')
    const { capability } = await stage.mint('ada', { repo: repoOf(stage, 'ada/full'), can: ['fetch'] })
    const script = typed
      .replaceAll('https://keys.example', stage.address)
      .replace(/lkc1\S+/, capability)
      .replace('npx latchkey', `${process.execPath} ${command}`)
      .replace('octo-org/hello', 'ada/full')
    const workspace = await Workspace.of(`${stage.folder}/reader`, '[user]\n')
    const env = {
      PATH: process.env['PATH'],
      HOME: workspace.folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
    }
    await run('sh', ['-euc', script], { cwd: workspace.folder, env })
    assert.equal(await workspace.read('full/file'), 'read me\n')
  })

  test('every protocol version, and a request that is compressed', async () => {
    const { capability, remote } = await stage.mint('ada', {
      repo: repoOf(stage, 'ada/full'),
      can: ['fetch'],
    })
    const workspace = await stage.workspace('versions', capability)
    for (const version of ['0', '1', '2']) {
      await workspace.must(['-c', `protocol.version=${version}`, 'clone', '-q', remote, `v${version}`])
    }
    // Git compresses what it wants above a kilobyte; a name that nobody has leaves the answer short.
    const head = (await workspace.must(['-C', 'v0', 'rev-parse', 'HEAD'])).trim()
    const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text
    const wants = line(`want ${head} no-progress ofs-delta\n`)
    const haves = Array.from({ length: 40 }, () => line(`have ${'0'.repeat(39)}1\n`)).join('')
    const body = gzipSync(`${wants}0000${haves}${line('done\n')}`)
    const headers = {
      ...basic(capability),
      'content-type': 'application/x-git-upload-pack-request',
      'content-encoding': 'gzip',
    }
    const answer = await fetch(`${remote}/git-upload-pack`, { method: 'POST', headers, body })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'application/x-git-upload-pack-result')
    assert.match(Buffer.from(await answer.arrayBuffer()).toString('latin1'), /^0008NAK\nPACK/)
  })

  test('a body that comes in chunks, and one that waits to be asked for', async () => {
    const { capability, remote } = await stage.mint('ada', {
      repo: repoOf(stage, 'ada/full'),
      can: ['fetch'],
    })
    const posted = (headers: Readonly<Record<string, string>>) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const type = { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' }
        const all = { ...basic(capability), ...type, ...headers }
        const sent = send(`${remote}/git-upload-pack`, { method: 'POST', headers: all }, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
          response.once('end', () => resolve({ status: response.statusCode!, text }))
        })
        sent.once('error', reject)
        const body = '0014command=ls-refs\n00010000'
        // Who waits to be asked does not wait for ever: RFC 9110 section 10.1.1.
        const write = (): void => {
          sent.write(body.slice(0, 9))
          setTimeout(() => sent.end(body.slice(9)), 20)
        }
        if (!headers['expect']) return write()
        const timer = setTimeout(write, 1_000)
        sent.once('continue', () => {
          clearTimeout(timer)
          write()
        })
      })
    for (const headers of [{}, { expect: '100-continue' }]) {
      const { status, text } = await posted(headers)
      assert.equal(status, 200)
      assert.match(text, / refs\/heads\/main\n0000$/)
    }
  })

  test('a header instead of a helper; Bearer; 401 where nothing is brought', async () => {
    const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), can: ['fetch'] })
    const header = `Authorization: Basic ${Buffer.from(`git:${capability}`).toString('base64')}`
    const workspace = await stage.workspace('header')
    await workspace.must([
      '-c',
      `http.${stage.address}/.extraHeader=${header}`,
      'clone',
      '-q',
      remote,
      'work',
    ])
    const bearer = await ask(remote, discovery, { authorization: `Bearer ${capability}` })
    assert.equal(bearer.status, 200)
    for (const headers of [{}, basic(''), { authorization: 'Basic !' }, { authorization: 'Digest a' }]) {
      const refused = await ask(remote, discovery, headers)
      assert.equal(refused.status, 401)
      assert.equal(refused.text, 'latchkey: capability_missing\n')
      assert.equal(refused.headers.get('www-authenticate'), 'Basic realm="latchkey"')
    }
    const { status, output } = await workspace.git(['clone', '-q', remote, 'refused'])
    assert.notEqual(status, 0)
    assert.match(output, /could not read Username/)
  })

  test('T15 T26 T27 what a capability is not for is refused before anything is sent', async () => {
    const two = await stage.mint('ada', { repo: repoOf(stage, 'ada/two'), ...both })
    const remote = (path: string): string => `${stage.address}/git/github/${path}.git`
    const fetchOnly = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), can: ['fetch'] })
    const api = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), can: ['fetch'], purpose: 'api' })
    const boxed = await stage.mint('ada', {
      repo: repoOf(stage, 'ada/one'),
      can: ['fetch'],
      container: 'box-1',
    })
    const own = remote('ada/one')
    const good = basic(fetchOnly.capability)
    const push = '/info/refs?service=git-receive-pack'
    stage.upstream.seen.length = 0
    const rows: [string, string, Record<string, string>, number, string, RequestInit?][] = [
      [own, discovery, basic(two.capability), 403, 'repository_mismatch'],
      [remote('ada/two-evil'), discovery, basic(two.capability), 403, 'repository_mismatch'],
      [remote('bob/one'), discovery, basic(two.capability), 403, 'repository_mismatch'],
      [own, push, good, 403, 'not_allowed'],
      [own, '/git-receive-pack', good, 403, 'not_allowed', { method: 'POST', body: '0000' }],
      [own, '/git-upload-pack', good, 403, 'upstream_request_invalid'],
      [own, '/info/refs', good, 403, 'upstream_request_invalid'],
      [own, `${discovery}&service=git-receive-pack`, good, 403, 'upstream_request_invalid'],
      [own, '/HEAD', good, 403, 'upstream_request_invalid'],
      [own, '/objects/info/packs', good, 403, 'upstream_request_invalid'],
      [own, '/settings', good, 403, 'upstream_request_invalid', { method: 'DELETE' }],
      [own, '/info%2frefs?service=git-upload-pack', good, 400, 'upstream_url_invalid'],
      [own, '//info/refs?service=git-upload-pack', good, 400, 'upstream_url_invalid'],
      [remote('ada%2fone'), discovery, good, 400, 'upstream_url_invalid'],
      [remote('ada/%2e%2e%2fone'), discovery, good, 400, 'upstream_url_invalid'],
      [own, discovery, basic(api.capability), 401, 'capability_invalid'],
      [own, discovery, basic(`${fetchOnly.capability}A`), 401, 'capability_invalid'],
      [own, discovery, basic('x'.repeat(9_000)), 401, 'capability_invalid'],
      [own, discovery, basic(boxed.capability), 403, 'container_mismatch'],
      [own, discovery, basic(boxed.capability, 'box-2'), 403, 'container_mismatch'],
      [`${stage.address}/git/gitlab/ada/one.git`, discovery, good, 403, 'provider_mismatch'],
    ]
    for (const [at, path, headers, status, code, init] of rows) {
      const answer = await ask(at, path, headers, init)
      assert.deepEqual([answer.status, answer.text], [status, `latchkey: ${code}\n`], `${at}${path}`)
    }
    assert.deepEqual(stage.upstream.seen, [])
    assert.equal((await ask(own, discovery, basic(boxed.capability, 'box-1'))).status, 200)
    const bound = { authorization: `Bearer ${boxed.capability}`, 'latchkey-container': 'box-1' }
    assert.equal((await ask(own, discovery, bound)).status, 200)
    const box = await stage.workspace('box', boxed.capability, { LATCHKEY_CONTAINER: 'box-1' })
    await box.must(['clone', '-q', boxed.remote, 'work'])
  })

  test('what a holder narrows offline is narrower, and stays so', async () => {
    const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), ...both })
    const narrow = lk.capability.attenuate(capability, { can: ['fetch'], container: 'box-9' })
    const workspace = await stage.workspace('narrow', narrow, { LATCHKEY_CONTAINER: 'box-9' })
    await workspace.must(['clone', '-q', remote, 'work'])
    await commit(workspace, 'refused', 'x')
    const { status, output } = await workspace.git(['-C', 'work', 'push', 'origin', 'main'])
    assert.notEqual(status, 0)
    assert.match(output, /not_allowed/)
    assert.equal((await ask(remote, discovery, basic(narrow))).text, 'latchkey: container_mismatch\n')
    const dead = lk.capability.attenuate(capability, { expiresAt: Math.floor(Date.now() / 1_000) * 1_000 })
    assert.equal((await ask(remote, discovery, basic(dead))).text, 'latchkey: capability_expired\n')
    const moved = lk.capability.attenuate(capability, { repo: repoOf(stage, 'ada/two.git') })
    assert.equal((await ask(remote, discovery, basic(moved))).text, 'latchkey: capability_invalid\n')
  })

  test('an expired capability: the helper reads the new one from the file', async () => {
    const wanted = { repo: repoOf(stage, 'ada/one'), can: ['fetch'] }
    const { capability, remote, expiresAt } = await stage.mint('ada', { ...wanted, ttlMs: 2_000 })
    assert.ok(expiresAt <= Date.now() + 2_000)
    const workspace = await stage.workspace('expiring', undefined, {
      LATCHKEY_CAPABILITY_FILE: `${stage.folder}/capability`,
    })
    await workspace.write('../capability', `${capability}\n`)
    await workspace.must(['clone', '-q', remote, 'work'])
    await sleep(expiresAt - Date.now() + 20)
    assert.equal((await ask(remote, discovery, basic(capability))).text, 'latchkey: capability_expired\n')
    const { status, output } = await workspace.git(['-C', 'work', 'fetch'])
    assert.notEqual(status, 0)
    assert.match(output, /capability_expired/)
    await workspace.write('../capability', `${(await stage.mint('ada', wanted)).capability}\n`)
    await workspace.must(['-C', 'work', 'fetch', '-q'])
  })

  test('what may be minted: of a connection that the caller may read, and of nothing else', async () => {
    const minted = async (subject: string, body: object) => {
      const response = await stage.ask(subject, 'POST', '/api/capabilities', body)
      return [response.status, ((await response.json()) as { error?: string }).error]
    }
    const one = repoOf(stage, 'ada/one')
    const usual = { provider: 'github', repo: one, can: ['fetch'] }
    const rows: [object, number, string?][] = [
      [usual, 201],
      [{ ...usual, owner: 'user' }, 201],
      [{ ...usual, ttlMs: 7_200_000 }, 201],
      [{ ...usual, ttlMs: 14_400_000, container: 'box' }, 201],
      [{ ...usual, owner: 'org' }, 404, 'not_connected'],
      [{ ...usual, owner: 'team' }, 400, 'request_invalid'],
      [{ ...usual, provider: 'gitlab' }, 404, 'provider_unknown'],
      [{ ...usual, can: [] }, 400, 'request_invalid'],
      [{ ...usual, can: ['all'] }, 400, 'request_invalid'],
      [{ ...usual, can: 'fetch' }, 400, 'request_invalid'],
      [{ ...usual, ttlMs: 7_300_000 }, 400, 'request_invalid'],
      [{ ...usual, ttlMs: 0 }, 400, 'request_invalid'],
      [{ ...usual, ttlMs: '1' }, 400, 'request_invalid'],
      [{ ...usual, ttlMs: 14_500_000, container: 'box' }, 400, 'request_invalid'],
      [{ ...usual, container: '' }, 400, 'request_invalid'],
      [{ ...usual, container: 'a\nb' }, 400, 'request_invalid'],
      [{ ...usual, purpose: 'all' }, 400, 'request_invalid'],
      [{ ...usual, subject: 'bob' }, 400, 'request_invalid'],
      [{ ...usual, repo: undefined }, 400, 'request_invalid'],
      [{ ...usual, repo: 'nothing' }, 400, 'repo_invalid'],
      [{ ...usual, repo: 'https://github.com/ada/one' }, 403, 'repo_host_not_allowed'],
      [{ ...usual, repo: `${one}/../bob` }, 400, 'repo_invalid'],
    ]
    for (const [body, ...expected] of rows)
      assert.deepEqual((await minted('ada', body)).slice(0, expected.length), expected, JSON.stringify(body))
    assert.deepEqual(await minted('eve', usual), [404, 'not_connected'])
    const anonymous = await fetch(`${stage.address}/api/capabilities`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(usual),
    })
    assert.equal(anonymous.status, 403)
    // Any form of the same repository is one repository.
    const { repo } = await stage.mint('ada', {
      repo: ` ${one.replace('ada/one', 'Ada/ONE')}.git/tree/main?x#y `,
      can: ['fetch'],
    })
    assert.equal(repo, `${one}.git`)
    const { capability } = await stage.mint('ada', usual)
    const token = await stage.ask('ada', 'POST', '/api/connections/github/token', {})
    const { accessToken } = (await token.json()) as { accessToken: string }
    assert.match(accessToken, /^ghu_/)
    const claims = Buffer.from(capability.split('.')[2]!, 'base64url').toString()
    assert.ok(!claims.includes(accessToken))
    assert.deepEqual(Object.keys(JSON.parse(claims) as object), [
      'for',
      'sub',
      'own',
      'as',
      'repo',
      'can',
      'epoch',
      'iat',
      'exp',
      'jti',
    ])
  })

  test('two tenants, in every order: nobody reaches what is the other’s', async () => {
    const ada = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), ...both })
    const bob = await stage.mint('bob', { repo: repoOf(stage, 'bob/one'), ...both })
    // A capability may name what its owner cannot reach: then the provider refuses the owner.
    const nosy = await stage.mint('bob', { repo: repoOf(stage, 'ada/one'), ...both })
    const requests = [
      { who: ada, at: 'ada/one', expected: 200, person: 'ada' },
      { who: bob, at: 'bob/one', expected: 200, person: 'bob' },
      { who: bob, at: 'ada/one', expected: 403, person: undefined },
      { who: nosy, at: 'ada/one', expected: 404, person: 'bob' },
      { who: ada, at: 'bob/one', expected: 403, person: undefined },
    ]
    const orders = (left: typeof requests): (typeof requests)[] =>
      left.length === 0
        ? [[]]
        : left.flatMap((one) => orders(left.filter((other) => other !== one)).map((rest) => [one, ...rest]))
    const tokens = new Map<string, string>()
    for (const order of orders(requests)) {
      for (const { who, at, expected, person } of order) {
        stage.upstream.seen.length = 0
        const { status, text } = await ask(
          `${stage.address}/git/github/${at}.git`,
          discovery,
          basic(who.capability),
        )
        assert.equal(status, expected)
        assert.ok(!text.includes('canary'))
        const [seen] = stage.upstream.seen
        assert.equal(seen !== undefined, person !== undefined)
        if (person === undefined) continue
        const { authorization = '' } = seen!.headers
        assert.equal(tokens.get(person) ?? authorization, authorization)
        tokens.set(person, authorization)
      }
    }
    assert.equal(new Set(tokens.values()).size, 2)
  })

  test('cookies, hop-by-hop headers and what tells who we are: stripped both ways', async () => {
    const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), can: ['fetch'] })
    stage.upstream.seen.length = 0
    const url = new URL(`${remote}${discovery}`)
    const headers = {
      ...basic(capability),
      cookie: 'a=canary-of-the-client',
      connection: 'keep-alive, x-hop',
      'keep-alive': 'timeout=5',
      te: 'trailers',
      'x-hop': 'canary-of-the-client',
      'x-forwarded-for': '203.0.113.9',
      'cf-connecting-ip': '203.0.113.9',
      origin: 'https://canary.example',
      referer: 'https://canary.example/',
      'proxy-authorization': 'Basic Y2FuYXJ5',
      'private-token': 'canary-of-the-client',
      'latchkey-container': 'canary-of-the-client',
      'git-protocol': 'version=2',
    }
    const answer = await new Promise<{ status: number; headers: object }>((resolve, reject) => {
      send(url, { headers }, (response) => {
        response
          .resume()
          .once('end', () => resolve({ status: response.statusCode!, headers: response.headers }))
      })
        .once('error', reject)
        .end()
    })
    assert.equal(answer.status, 200)
    const [{ headers: sent }] = stage.upstream.seen as [(typeof stage.upstream.seen)[number]]
    assert.deepEqual(
      Object.keys(sent)
        .filter((name) => !['host', 'connection', 'content-length'].includes(name))
        .sort(),
      ['accept-encoding', 'authorization', 'git-protocol'],
    )
    assert.ok(!JSON.stringify(sent).includes('canary'))
    assert.ok(!JSON.stringify(answer.headers).includes('canary'))
  })

  describe('a provider that does something else', () => {
    after(() => {
      stage.upstream.intercept = undefined
    })

    test('threat T28: a redirect to another origin is not followed, and not shown', async () => {
      const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), ...both })
      const visits: string[] = []
      const elsewhere = createServer((request, response) => {
        visits.push(request.url ?? '')
        response.end()
      })
      await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
      const { port } = elsewhere.address() as { port: number }
      const workspace = await stage.workspace('redirected', capability)
      try {
        for (const location of [
          `http://127.0.0.1:${port}/ada/one.git${discovery}`,
          `http://localhost:${new URL(stage.upstream.address).port}/ada/one.git${discovery}`,
          repoOf(stage, `ada/two.git${discovery}`),
          repoOf(stage, `login?return_to=/ada/one.git`),
          '//[',
          '',
        ]) {
          for (const status of [301, 302, 303, 307, 308]) {
            stage.upstream.intercept = (request, response) => {
              if (request.url?.startsWith('/ada/one.git')) {
                response.writeHead(status, { location }).end()
                return true
              }
              return false
            }
            stage.upstream.seen.length = 0
            const answer = await ask(remote, discovery, basic(capability))
            assert.deepEqual([answer.status, answer.text], [502, 'latchkey: upstream_redirected\n'])
            assert.equal(answer.headers.get('location'), null)
            assert.equal(stage.upstream.seen.length, 1)
          }
          assert.notEqual((await workspace.git(['clone', '-q', remote, 'work'])).status, 0)
        }
        // Within the repository it is followed, five times; a body that is gone cannot follow.
        let hops = 0
        stage.upstream.intercept = (request, response) => {
          if (!request.url?.startsWith('/ada/one')) return false
          if (hops === 0) return false
          hops -= 1
          const spelled = request.url.startsWith('/ada/one.git') ? '/ada/one' : '/ada/one.git'
          response.writeHead(307, { location: request.url.replace(/^\/ada\/one(?:\.git)?/, spelled) }).end()
          return true
        }
        for (const [times, status] of [
          [1, 200],
          [5, 200],
          [6, 502],
        ] as const) {
          hops = times
          assert.equal((await ask(remote, discovery, basic(capability))).status, status)
        }
        hops = 1
        const headers = { ...basic(capability), 'content-type': 'application/x-git-upload-pack-request' }
        const posted = await ask(remote, '/git-upload-pack', headers, { method: 'POST', body: '0000' })
        assert.deepEqual([posted.status, posted.text], [502, 'latchkey: upstream_redirected\n'])
        assert.deepEqual(visits, [])
      } finally {
        stage.upstream.intercept = undefined
        elsewhere.closeAllConnections()
        await new Promise((resolve) => elsewhere.close(resolve))
      }
    })

    test('T31 answers that are none come out as a code, with nothing of their text', async () => {
      const { capability, remote } = await stage.mint('ada', {
        repo: repoOf(stage, 'ada/one'),
        can: ['fetch'],
      })
      const rows: [number, Record<string, string>, number, string, string?][] = [
        [403, {}, 403, 'upstream_refused'],
        [404, {}, 404, 'upstream_refused'],
        [429, { 'retry-after': '7' }, 429, 'upstream_limited', '7'],
        [403, { 'retry-after': 'canary' }, 429, 'upstream_limited'],
        [403, { 'x-ratelimit-remaining': '0' }, 429, 'upstream_limited'],
        [500, {}, 502, 'upstream_unavailable'],
        [503, {}, 502, 'upstream_unavailable'],
        [418, {}, 502, 'upstream_unavailable'],
      ]
      for (const [given, headers, status, code, after] of rows) {
        stage.upstream.intercept = (_, response) => {
          response.writeHead(given, headers).end('canary-of-the-provider')
          return true
        }
        const answer = await ask(remote, discovery, basic(capability))
        assert.deepEqual([answer.status, answer.text], [status, `latchkey: ${code}\n`])
        assert.equal(answer.headers.get('retry-after'), after ?? null)
      }
      stage.upstream.intercept = (_, response) => {
        response.destroy()
        return true
      }
      assert.equal((await ask(remote, discovery, basic(capability))).text, 'latchkey: upstream_unavailable\n')
    })

    test('a token that the host refuses is reported once, and another one tried', async () => {
      const { capability, remote } = await stage.mint('ada', {
        repo: repoOf(stage, 'ada/one'),
        can: ['fetch'],
      })
      let refused: string | undefined
      stage.upstream.intercept = ({ headers, url }, response) => {
        if (!url?.startsWith('/ada/')) return false
        refused ??= headers.authorization
        if (headers.authorization !== refused) return false
        response.writeHead(401, { 'www-authenticate': 'Basic realm="upstream"' }).end()
        return true
      }
      await stage.provider.control.forget()
      stage.upstream.seen.length = 0
      assert.equal((await ask(remote, discovery, basic(capability))).status, 200)
      assert.equal(stage.upstream.seen.length, 2)
      assert.equal((await stage.provider.control.history()).length, 1)

      // A host that refuses every token is asked twice, and is not believed to speak about ours.
      stage.upstream.intercept = (_, response) => {
        response
          .writeHead(401, { 'www-authenticate': 'Basic realm="upstream"' })
          .end('canary-of-the-provider')
        return true
      }
      stage.upstream.seen.length = 0
      const answer = await ask(remote, discovery, basic(capability))
      assert.deepEqual([answer.status, answer.text], [403, 'latchkey: upstream_refused\n'])
      assert.equal(answer.headers.get('www-authenticate'), null)
      assert.equal(stage.upstream.seen.length, 2)

      // And within a quarter of an hour once, without another token, whatever is asked.
      await stage.provider.control.forget()
      stage.upstream.seen.length = 0
      for (let n = 0; n < 3; n += 1)
        assert.equal((await ask(remote, discovery, basic(capability))).status, 403)
      assert.equal(stage.upstream.seen.length, 3)
      assert.equal((await stage.provider.control.history()).length, 0)

      // A new login is a new pair. A body that went out is gone: nothing is sent twice, and the next one has another token.
      await stage.connect('ada')
      stage.upstream.seen.length = 0
      const headers = { ...basic(capability), 'content-type': 'application/x-git-upload-pack-request' }
      const posted = await ask(remote, '/git-upload-pack', headers, { method: 'POST', body: '0000' })
      assert.deepEqual([posted.status, posted.text], [503, 'latchkey: temporarily_unavailable\n'])
      assert.equal(stage.upstream.seen.length, 1)
      stage.upstream.intercept = undefined
      assert.equal((await ask(remote, discovery, basic(capability))).status, 200)
    })
  })

  describe('large files', () => {
    const content = randomBytes(300_000)
    const oid = createHash('sha256').update(content).digest('hex')
    const object = { oid, size: content.length }
    const type = 'application/vnd.git-lfs+json'
    interface Action {
      readonly href: string
      readonly header?: Record<string, string>
    }
    interface Batch {
      readonly transfer: string
      readonly objects: {
        oid: string
        authenticated?: boolean
        actions?: Record<string, Action>
        error?: object
      }[]
    }
    const batch = async (
      remote: string,
      capability: string,
      operation: string,
      objects: object[] = [object],
    ) => {
      const headers = { ...basic(capability), 'content-type': type, accept: type }
      const body = JSON.stringify({ operation, transfers: ['basic'], objects })
      return await ask(remote, '/info/lfs/objects/batch', headers, { method: 'POST', body })
    }
    const actionOf = (text: string, name: string): string =>
      (JSON.parse(text) as Batch).objects[0]?.actions?.[name]?.href ?? ''

    for (const where of ['the host itself', 'storage on another origin'] as const) {
      test(`up and down again, with ${where}; the credential goes nowhere else`, async () => {
        const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), ...both })
        const files = stage.upstream.files
        files.clear()
        const storage = await startStorage(files)
        stage.upstream.storage = where === 'the host itself' ? undefined : storage.address
        try {
          const up = await batch(remote, capability, 'upload')
          assert.equal(up.status, 200, up.text)
          assert.ok(!up.text.includes('canary') && !up.text.includes('uthorization'), up.text)
          const { transfer, objects } = JSON.parse(up.text) as Batch
          assert.equal(transfer, 'basic')
          assert.deepEqual(Object.keys(objects[0]?.actions ?? {}), ['upload'])
          const upload = actionOf(up.text, 'upload')
          assert.ok(upload.startsWith(`${remote}/latchkey/lfs/upload/`))
          const headers = { ...basic(capability), 'content-type': 'application/octet-stream' }
          const put = await ask(upload, '', headers, { method: 'PUT', body: content })
          assert.equal(put.status, 200, put.text)
          assert.ok(files.get(oid)?.equals(content))

          const down = await batch(remote, capability, 'download')
          const download = actionOf(down.text, 'download')
          const got = await fetch(download, { headers: basic(capability) })
          assert.deepEqual(Buffer.from(await got.arrayBuffer()), content)
          for (const { headers: seen } of storage.seen) {
            assert.equal(seen.authorization, undefined)
            assert.equal(seen['x-signed'], 'canary-of-the-storage')
          }
          assert.equal(storage.seen.length, where === 'the host itself' ? 0 : 2)

          // An address is worth nothing without the capability, for another repository, direction or person.
          const other = await stage.mint('ada', { repo: repoOf(stage, 'ada/two'), ...both })
          const reader = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), can: ['fetch'] })
          const bob = await stage.mint('bob', { repo: repoOf(stage, 'ada/one'), ...both })
          const rows: [string, Record<string, string>, number, string, RequestInit?][] = [
            [download, {}, 401, 'capability_missing'],
            [download, basic(other.capability), 403, 'repository_mismatch'],
            [download.replace('/ada/one.git', '/ada/two.git'), basic(other.capability), 404, 'not_found'],
            [
              download.replace('/download/', '/upload/'),
              basic(capability),
              404,
              'not_found',
              { method: 'PUT', body: 'x' },
            ],
            [download, basic(bob.capability), 404, 'not_found'],
            [
              `${download.slice(0, -1)}${download.endsWith('A') ? 'B' : 'A'}`,
              basic(capability),
              404,
              'not_found',
            ],
            [upload, basic(reader.capability), 403, 'not_allowed', { method: 'PUT', body: 'x' }],
            [download, basic(capability), 403, 'upstream_request_invalid', { method: 'POST', body: 'x' }],
          ]
          for (const [url, sent, status, message, init] of rows) {
            const answer = await ask(url, '', sent, init)
            assert.deepEqual([answer.status, JSON.parse(answer.text)], [status, { message }], url)
          }
        } finally {
          stage.upstream.storage = undefined
          await storage.close()
        }
      })
    }

    test('a batch takes what it does; errors carry no text; a storage elsewhere never gets the credential', async () => {
      const reader = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), can: ['fetch'] })
      const up = await batch(reader.remote, reader.capability, 'upload')
      assert.deepEqual([up.status, up.text], [403, '{"message":"not_allowed"}'])
      const odd = await batch(reader.remote, reader.capability, 'downloads')
      assert.equal(odd.status, 403)
      stage.upstream.files.clear()
      const missing = await batch(reader.remote, reader.capability, 'download')
      assert.deepEqual((JSON.parse(missing.text) as Batch).objects, [
        { ...object, error: { code: 404, message: 'upstream_refused' } },
      ])
      const long = Array.from({ length: 1_000 }, () => object)
      assert.equal((await batch(reader.remote, reader.capability, 'download', long)).status, 413)

      // Told to take the credential to another origin, we do not.
      stage.upstream.files.set(oid, content)
      stage.upstream.intercept = ({ headers, url }, response) => {
        if (!url?.endsWith('/batch')) return false
        const header = { authorization: headers.authorization }
        const actions = { download: { href: 'http://localhost:1/files', header } }
        response.writeHead(200, { 'content-type': type })
        response.end(JSON.stringify({ objects: [{ ...object, actions }] }))
        return true
      }
      const stolen = await batch(reader.remote, reader.capability, 'download')
      stage.upstream.intercept = undefined
      assert.deepEqual((JSON.parse(stolen.text) as Batch).objects, [
        { ...object, error: { code: 403, message: 'upstream_refused' } },
      ])
    })

    test('a download that is sent on to storage arrives there without anything secret', async () => {
      const { capability, remote } = await stage.mint('ada', {
        repo: repoOf(stage, 'ada/one'),
        can: ['fetch'],
      })
      const { files } = stage.upstream
      files.set(oid, content)
      const storage = await startStorage(files)
      stage.upstream.intercept = ({ url }, response) => {
        if (!url?.includes('/files/')) return false
        response.writeHead(302, { location: `${storage.address}/files/${oid}?signed=1` }).end()
        return true
      }
      try {
        const { text } = await batch(remote, capability, 'download')
        const got = await fetch(actionOf(text, 'download'), { headers: basic(capability) })
        assert.deepEqual(Buffer.from(await got.arrayBuffer()), content)
        assert.equal(storage.seen.length, 1)
        assert.equal(storage.seen[0]!.headers.authorization, undefined)
        assert.equal(storage.seen[0]!.headers['x-signed'], undefined)
      } finally {
        stage.upstream.intercept = undefined
        await storage.close()
      }
    })

    test('git-lfs itself, with the host and with storage elsewhere', async (t) => {
      const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/empty'), ...both })
      const one = await stage.workspace('lfs', capability)
      if ((await one.git(['lfs', 'version'])).status !== 0) return t.skip('git-lfs is not installed')
      const { files } = stage.upstream
      files.clear()
      const storage = await startStorage(files)
      try {
        await one.must(['lfs', 'install'])
        await one.must(['clone', '-q', remote, 'work'])
        await one.must(['-C', 'work', 'lfs', 'track', '*.bin'])
        for (const where of [undefined, storage.address]) {
          stage.upstream.storage = where
          const large = randomBytes(200_000)
          await commit(one, 'large.bin', large)
          await one.must(['-C', 'work', 'push', '-q', 'origin', 'main'])
          assert.ok(files.get(createHash('sha256').update(large).digest('hex'))?.equals(large))
          const folder = where ? 'from-storage' : 'from-host'
          await rm(`${one.folder}/work/.git/lfs/objects`, { recursive: true })
          await one.must(['clone', '-q', remote, folder])
          assert.ok((await readFile(`${one.folder}/${folder}/large.bin`)).equals(large))
        }
        assert.equal(storage.seen.length, 2)
        assert.ok(storage.seen.every(({ headers }) => headers.authorization === undefined))
      } finally {
        stage.upstream.storage = undefined
        await storage.close()
      }
    })

    test('locks are verified with the right to push', async () => {
      const writer = await stage.mint('ada', { repo: repoOf(stage, 'ada/one'), ...both })
      const headers = { ...basic(writer.capability), 'content-type': type }
      const locks = await ask(writer.remote, '/info/lfs/locks/verify', headers, {
        method: 'POST',
        body: '{}',
      })
      assert.deepEqual([locks.status, locks.text], [200, '{"ours":[],"theirs":[]}'])
    })
  })

  test('a pack of many megabytes, both ways', { timeout: 120_000 }, async () => {
    const megabytes = Number(process.env['LATCHKEY_PACK_MB'] ?? 24)
    const { capability, remote } = await stage.mint('ada', { repo: repoOf(stage, 'ada/two'), ...both })
    const one = await stage.workspace('large', capability)
    await one.must(['clone', '-q', remote, 'work'])
    const content = randomBytes(megabytes * 1_048_576)
    await one.must(['-C', 'work', 'config', 'core.compression', '0'])
    await commit(one, 'large', content)
    // More than git sends in one piece: the body comes in chunks.
    await one.must(['-C', 'work', 'push', '-q', 'origin', 'main'])
    await one.must(['clone', '-q', remote, 'again'])
    const digest = (await one.must(['-C', 'again', 'hash-object', 'large'])).trim()
    assert.equal(digest, createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex'))
  })

  test('T28 revoked in mid-push: what comes next is refused, and a new capability is needed', async () => {
    await stage.upstream.create('cyd/one')
    await stage.connect('cyd')
    const wanted = { repo: repoOf(stage, 'cyd/one'), ...both }
    const { capability, remote } = await stage.mint('cyd', wanted)
    const workspace = await stage.workspace('cyd', capability)
    await workspace.must(['clone', '-q', remote, 'work'])
    await commit(workspace, 'file', 'x')
    let ended: unknown
    stage.upstream.intercept = async ({ url }) => {
      // Git has been told that it may push, and has not pushed yet.
      if (!url?.startsWith('/cyd/one.git/info/refs?service=git-receive-pack') || ended !== undefined) return
      const response = await stage.ask('cyd', 'DELETE', '/api/connections/github?owner=user')
      ended = await response.json()
    }
    const { status, output } = await workspace.git(['-C', 'work', 'push', 'origin', 'main'])
    stage.upstream.intercept = undefined
    assert.deepEqual(ended, { revoked: true, deleted: true })
    assert.notEqual(status, 0, output)
    assert.equal((await ask(remote, discovery, basic(capability))).text, 'latchkey: capability_revoked\n')

    await stage.connect('cyd')
    assert.equal((await ask(remote, discovery, basic(capability))).text, 'latchkey: capability_revoked\n')
    const fresh = await stage.mint('cyd', wanted)
    workspace.env['LATCHKEY_CAPABILITY'] = fresh.capability
    await workspace.must(['-C', 'work', 'push', '-q', 'origin', 'main'])
  })

  test('connecting again leaves capabilities alive, connecting another account ends them', async () => {
    await stage.upstream.create('eli/one')
    await stage.connect('eli')
    const wanted = { repo: repoOf(stage, 'eli/one'), can: ['fetch'] }
    const { capability, remote } = await stage.mint('eli', wanted)
    await stage.connect('eli')
    assert.equal((await ask(remote, discovery, basic(capability))).status, 200)
    await stage.connect('eli', 'eli-at-work')
    stage.upstream.seen.length = 0
    assert.equal((await ask(remote, discovery, basic(capability))).text, 'latchkey: capability_revoked\n')
    assert.deepEqual(stage.upstream.seen, [])
    const other = await stage.mint('eli', wanted)
    assert.equal((await ask(remote, discovery, basic(other.capability))).status, 404)
  })

  test('what the person takes back at the provider, and an erasure, end capabilities too', async () => {
    await stage.upstream.create('dee/one')
    await stage.connect('dee')
    const wanted = { repo: repoOf(stage, 'dee/one'), can: ['fetch'] }
    const first = await stage.mint('dee', wanted)
    assert.equal((await ask(first.remote, discovery, basic(first.capability))).status, 200)
    await stage.ask('dee', 'DELETE', '/api/users/dee')
    // A state says when it was made in seconds: one of the second of the erasure may be from before it.
    await sleep(1_000)
    await stage.connect('dee')
    assert.equal(
      (await ask(first.remote, discovery, basic(first.capability))).text,
      'latchkey: capability_revoked\n',
    )
    const second = await stage.mint('dee', wanted)
    assert.equal((await ask(first.remote, discovery, basic(second.capability))).status, 200)
    await stage.provider.control.revoke('dee')
    const answer = await ask(first.remote, discovery, basic(second.capability))
    assert.deepEqual([answer.status, answer.text], [409, 'latchkey: reconnect_required\n'])
  })
})

describe('github.com, as it is configured where nothing is said', () => {
  let stage!: GitStage
  before(async () => {
    stage = await startGitStage('github', {}, true)
    await stage.connect('ada')
    await stage.upstream.create('ada/one')
  })
  after(() => stage?.close())

  test('clone and push by the short name', async () => {
    const { capability, remote, repo } = await stage.mint('ada', { repo: 'Ada/One', ...both })
    assert.equal(repo, 'https://github.com/ada/one.git')
    const workspace = await stage.workspace('wide', capability)
    await workspace.must(['clone', '-q', remote, 'work'])
    await commit(workspace, 'file', 'x')
    await workspace.must(['-C', 'work', 'push', '-q', 'origin', 'main'])
    for (const { headers } of stage.upstream.seen.filter(({ url }) => url.startsWith('/ada/one')))
      assert.equal(headers.host, 'github.com')
  })

  test('pull requests and comments, for whoever has a capability for those', async () => {
    const wanted = { repo: 'ada/one', can: ['read', 'write'], purpose: 'api' }
    const { capability, remote } = await stage.mint('ada', wanted)
    const git = await stage.mint('ada', { ...wanted, purpose: 'git' })
    const reader = await stage.mint('ada', { ...wanted, can: ['read'] })
    const post = { method: 'POST', body: '{"body":"x"}' }
    stage.upstream.seen.length = 0
    const rows: [string, string, number, string, RequestInit?][] = [
      ['/pulls/7', capability, 200, '{"path":"/repos/ada/one/pulls/7","canary":"Bearer ghu_"}'],
      [
        '/pulls/7/comments?per_page=100&page=2',
        capability,
        200,
        '{"path":"/repos/ada/one/pulls/7/comments?per_page=100&page=2","canary":"Bearer ghu_"}',
      ],
      [
        '/issues/7/comments',
        capability,
        200,
        '{"path":"/repos/ada/one/issues/7/comments","canary":"Bearer ghu_"}',
        post,
      ],
      ['/issues/7/comments', reader.capability, 403, 'latchkey: not_allowed\n', post],
      ['/pulls/7', git.capability, 401, 'latchkey: capability_invalid\n'],
      [
        '/pulls/7/merge',
        capability,
        403,
        'latchkey: upstream_request_invalid\n',
        { method: 'PUT', body: '{}' },
      ],
      ['/pulls/7/../../../two/pulls/7', capability, 404, ''],
      [discovery, capability, 401, 'latchkey: capability_invalid\n'],
    ]
    for (const [path, text, status, expected, init] of rows) {
      const answer = await ask(remote, path, basic(text), init)
      assert.equal(answer.status, status, path)
      if (expected !== '') assert.equal(answer.text, expected, path)
    }
    assert.deepEqual(
      stage.upstream.seen.map(({ headers }) => headers.host),
      Array(3).fill('api.github.com'),
    )
    const other = `${stage.address}/git/github/ada/two.git`
    assert.equal((await ask(other, '/pulls/7', basic(capability))).text, 'latchkey: repository_mismatch\n')
  })
})

describe('a host that speaks as GitLab does, below a path of its own', () => {
  let stage!: GitStage
  before(async () => {
    stage = await startGitStage('gitlab', { accessSeconds: 3 })
    await stage.connect('ada')
  })
  after(() => stage?.close())

  test('groups within groups; a token that expires in mid-session is renewed before a request', async () => {
    await stage.upstream.create('ada/team/deep/one')
    const repo = `${stage.upstream.address}/scm/ada/team/deep/one`
    const {
      capability,
      remote,
      repo: canonical,
    } = await stage.mint('ada', { repo: `${repo}/-/tree/main`, ...both })
    assert.equal(canonical, `${repo}.git`)
    const workspace = await stage.workspace('gitlab', capability)
    stage.upstream.seen.length = 0
    await workspace.must(['clone', '-q', remote, 'work'])
    await commit(workspace, 'file', 'x')
    await sleep(3_200)
    await workspace.must(['-C', 'work', 'push', '-q', 'origin', 'main'])
    await workspace.must(['-C', 'work', 'fetch', '-q'])
    const used = stage.upstream.seen.filter(({ url }) => url.startsWith('/scm/'))
    const tokens = new Set(used.map(({ headers }) => headers.authorization))
    assert.ok(tokens.size > 1)
    for (const text of tokens) assert.match(Buffer.from(text!.slice(6), 'base64').toString(), /^oauth2:/)
    const other = `${stage.address}/git/oidc/ada/team/deep.git`
    assert.equal((await ask(other, discovery, basic(capability))).text, 'latchkey: repository_mismatch\n')
  })
})
