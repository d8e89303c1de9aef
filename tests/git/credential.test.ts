/** `npx latchkey git-credential`, asked by git itself and by hand. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { createRepository, seedRepository, startGitHost, type GitHost } from '../../wrangler/dev/git-host.ts'
import { attempt, command, Workspace } from './client.ts'
import { startGitStage, type GitStage } from './stage.ts'

const capability = 'lkc2.k1.canary-of-the-capability.tag'
let folder!: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-credential-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const ask = async (input: string, env: Record<string, string>, action = 'get') => {
  const environment = { PATH: process.env['PATH'], ...env }
  const { status, output, said } = await attempt(process.execPath, [command, 'git-credential', action], {
    env: environment,
    input,
  })
  assert.equal(status, 0, output)
  lastSaid = said
  return output.slice(0, output.length - said.length)
}
/** What the helper told its person the last time. */
let lastSaid = ''
const reason = (code: string): string => `latchkey: no credential from this session: ${code}\n`
const worker = { LATCHKEY_URL: 'https://keys.example', LATCHKEY_CAPABILITY: capability }
const own = 'protocol=https\nhost=keys.example\n\n'
const answer = (username: string, password = capability): string =>
  `username=${username}\npassword=${password}\n`

test('the Worker’s own host gets the capability, under the container’s name', async () => {
  assert.equal(await ask(own, worker), answer('latchkey'))
  assert.equal(await ask(own.replace('keys', 'KEYS'), worker), answer('latchkey'))
  assert.equal(await ask(own, { ...worker, LATCHKEY_CONTAINER: 'box-1' }), answer('box-1'))
  assert.equal(await ask('protocol=https\nhost=keys.example\nusername=box-2\n', worker), answer('box-2'))
  const extra =
    'capability[]=authtype\nprotocol=https\nhost=keys.example\npath=git/a\nwwwauth[]=Basic realm="x"\n\n'
  assert.equal(await ask(extra, worker), answer('latchkey'))
})

test('the file counts, and is read each time', async () => {
  const file = join(folder, 'capability')
  const env = { ...worker, LATCHKEY_CAPABILITY_FILE: file }
  assert.equal(await ask(own, env), '')
  for (const text of ['lkc1.first', 'lkc1.second']) {
    await writeFile(file, `${text}\n`)
    assert.equal(await ask(own, env), answer('latchkey', text))
  }
  await writeFile(file, 'lkc1.a\nhost=evil.example\n')
  assert.equal(await ask(own, env), '')
})

test('whoever has nothing to say says nothing', async () => {
  const rows: [string, Record<string, string>, string?][] = [
    [own, {}],
    [own, { LATCHKEY_URL: worker.LATCHKEY_URL }],
    [own, { LATCHKEY_CAPABILITY: capability }],
    [own, { ...worker, LATCHKEY_URL: 'nowhere' }],
    [own, { ...worker, LATCHKEY_URL: 'http://keys.example' }],
    [own.replace('https', 'http'), worker],
    ['protocol=http\nhost=keys.example\n\n', { ...worker, LATCHKEY_URL: 'http://keys.example' }],
    ['protocol=https\nhost=keys.example:8443\n\n', worker],
    ['protocol=https\nhost=keys.example.evil\n\n', worker],
    ['protocol=https\nhost=evil.example\n\nhost=keys.example\n', worker],
    ['protocol=https\nhost=github.com\n\n', worker],
    ['protocol=https\nhost=\n\n', worker],
    ['', worker],
    [own, worker, 'store'],
    [own, worker, 'erase'],
    [own, worker, 'capability'],
  ]
  for (const [input, env, action] of rows) assert.equal(await ask(input, env, action), '', input)
  const { status, output } = await attempt(process.execPath, [command], {})
  assert.equal(status, 2)
  assert.match(output, /^usage: /)
})

describe('a host that is not proxied', () => {
  let address!: string
  const seen: { url: string; headers: IncomingMessage['headers']; body: string }[] = []
  let status = 200
  let said: string | object = { username: 'oauth2', password: 'canary-of-the-host' }
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.once('end', () => {
      seen.push({ url: request.url ?? '', headers: request.headers, body })
      response.writeHead(status, { 'content-type': 'application/json', location: '/elsewhere' })
      response.end(typeof said === 'string' ? said : JSON.stringify(said))
    })
  })
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const at = server.address()
    if (typeof at !== 'object' || at === null) throw new Error('no port')
    address = `http://127.0.0.1:${at.port}`
  })
  after(() => server.close())
  const session = () => ({ ...worker, LATCHKEY_URL: address, LATCHKEY_SESSION: 'session/1' })
  const elsewhere = 'protocol=https\nhost=git.example\npath=team/app.git\n\n'

  test('is asked about at the Worker, with the capability', async () => {
    seen.length = 0
    assert.equal(
      await ask(elsewhere, { ...session(), LATCHKEY_CONTAINER: 'box-1' }),
      answer('oauth2', 'canary-of-the-host'),
    )
    const [{ url, headers, body } = { url: '', headers: {}, body: '' }] = seen
    assert.equal(url, '/api/sessions/session%2F1/credential')
    assert.equal(headers.authorization, `Bearer ${capability}`)
    assert.equal(headers['latchkey-container'], 'box-1')
    assert.deepEqual(JSON.parse(body), { url: 'https://git.example/team/app.git' })
  })

  test('anything but a whole answer is none', async () => {
    for (const code of [204, 302, 401, 403, 404, 409, 500, 503]) {
      status = code
      said = { username: 'oauth2', password: 'canary-of-the-host' }
      assert.equal(await ask(elsewhere, session()), '', String(code))
      assert.equal(lastSaid, reason('temporarily_unavailable'))
    }
    // The Worker's own codes are told, and nothing that is none.
    status = 401
    for (const [error, code] of [
      ['capability_expired', 'capability_expired'],
      ['canary of\nthe Worker', 'temporarily_unavailable'],
      ['\u001b[2J', 'temporarily_unavailable'],
      [{ error: 'x' }, 'temporarily_unavailable'],
    ] as const) {
      said = { error }
      assert.equal(await ask(elsewhere, session()), '')
      assert.equal(lastSaid, reason(code))
    }
    status = 200
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      {},
      { username: 'a' },
      { username: 'a', password: 1 },
      { username: 'a', password: '' },
      { username: 'a\nhost=evil', password: 'b' },
      { username: 'a', password: 'b\r' },
      { username: 'a', password: 'x'.repeat(70_000) },
    ]) {
      said = text
      assert.equal(await ask(elsewhere, session()), '', JSON.stringify(text))
    }
    assert.doesNotMatch(lastSaid, /canary/)
    for (const input of ['protocol=ssh\nhost=git.example\n', 'protocol=cert\npath=/a\n'])
      assert.equal(await ask(input, session()), '')
    seen.length = 0
    assert.equal(await ask(elsewhere, { ...worker, LATCHKEY_URL: address }), '')
    assert.deepEqual(seen, [])
  })

  test('git itself takes what it is given, and forgets nothing here', async () => {
    said = { username: 'oauth2', password: 'canary-of-the-host' }
    const workspace = await Workspace.of(join(folder, 'home'))
    const env = {
      HOME: workspace.folder,
      PATH: process.env['PATH'],
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      ...session(),
    }
    const fill = await attempt('git', ['credential', 'fill'], { env, input: elsewhere })
    assert.match(fill.output, /^username=oauth2\npassword=canary-of-the-host$/m)
    for (const verb of ['approve', 'reject'])
      assert.deepEqual(await attempt('git', ['credential', verb], { env, input: fill.output }), {
        status: 0,
        output: '',
        said: '',
      })
  })
})

describe('the Worker itself, asked by git for a session’s credential', () => {
  const tokens = { older: 'canary-of-the-older-4b1d', newer: 'canary-of-the-newer-77e0' }
  let stage!: GitStage
  let host!: GitHost
  /** What the host takes, and what it was shown since somebody looked. */
  const living = new Set<string>()
  const shown: string[] = []

  before(async () => {
    stage = await startGitStage('github')
    const repositories = join(folder, 'session-repositories')
    await seedRepository(repositories, 'ada/one', { file: 'first\n' })
    await createRepository(repositories, 'ada/two')
    host = await startGitHost({
      port: 0,
      folder: repositories,
      user: 'oauth2',
      async whose(token) {
        shown.push(token)
        return living.has(token) ? 'ada' : undefined
      },
    })
  })
  after(async () => {
    await host?.close()
    await stage?.close()
  })

  const say = async (id: string, messageId: string, gitToken: string, composedAt?: number): Promise<void> => {
    const response = await stage.ask('ada', 'POST', `/api/sessions/${id}/messages`, {
      messageId,
      turn: 'go on',
      mode: 'code',
      repository: { kind: 'git', url: `${host.address}/ada/one.git` },
      gitToken,
      ...(composedAt !== undefined && { composedAt }),
    })
    assert.equal(response.status, 200, await response.text())
  }
  const capabilityOf = async (id: string, wanted: object = {}): Promise<string> => {
    const response = await stage.ask('ada', 'POST', `/api/sessions/${id}/capabilities`, wanted)
    assert.equal(response.status, 201)
    return ((await response.json()) as { capability: string }).capability
  }
  /** A machine that stays on while the session goes on. */
  const warm = async (
    id: string,
    text: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Workspace> => {
    const workspace = await stage.workspace(`warm-${id}`, text, { LATCHKEY_SESSION: id, ...more })
    await workspace.must(['config', '--global', 'credential.useHttpPath', 'true'])
    return workspace
  }
  const one = (): string => `${host.address}/ada/one.git`
  /** What a host was shown by one command of git. */
  const uses = async (workspace: Workspace, args: readonly string[]): Promise<string[]> => {
    shown.length = 0
    await workspace.must(args)
    return [...new Set(shown)]
  }
  /** Fails soon, says why, and says no secret. */
  const fails = async (workspace: Workspace, args: readonly string[], code: string): Promise<void> => {
    const begun = Date.now()
    const { status, output } = await workspace.git(args)
    assert.equal(status, 128, output)
    assert.ok(Date.now() - begun < 10_000)
    assert.ok(output.includes(reason(code)), output)
    assert.match(output, /^fatal: could not read Username for '[^']+': terminal prompts disabled$/m)
    assert.doesNotMatch(output, /canary|lkc\d\./)
  }

  test('a warm workspace asks each time, and uses what came last', async () => {
    living.add(tokens.older)
    await say('s-1', 'm-1', tokens.older)
    const capability = await capabilityOf('s-1')
    const workspace = await warm('s-1', capability)
    assert.deepEqual(await uses(workspace, ['clone', '-q', one(), 'work']), [tokens.older])
    assert.equal(await workspace.read('work/file'), 'first\n')
    await workspace.write('work/file', 'second\n')
    await workspace.must(['-C', 'work', 'commit', '-qam', 'second'])
    assert.deepEqual(await uses(workspace, ['-C', 'work', 'push', '-q']), [tokens.older])

    // Both work now: what is used is the current one, not one that was kept.
    living.add(tokens.newer)
    await say('s-1', 'm-2', tokens.newer)
    assert.deepEqual(await uses(workspace, ['-C', 'work', 'fetch', '-q']), [tokens.newer])
    living.delete(tokens.older)
    assert.deepEqual(await uses(workspace, ['-C', 'work', 'fetch', '-q']), [tokens.newer])
    // An older message that comes again brings its credential back to nobody.
    await say('s-1', 'm-1', tokens.older)
    await workspace.write('work/file', 'third\n')
    await workspace.must(['-C', 'work', 'commit', '-qam', 'third'])
    assert.deepEqual(await uses(workspace, ['-C', 'work', 'push', '-q']), [tokens.newer])

    // What the host refuses is asked for again, and git says so.
    living.delete(tokens.newer)
    const refused = await workspace.git(['-C', 'work', 'fetch'])
    assert.notEqual(refused.status, 0)
    assert.doesNotMatch(refused.output, /canary|lkc\d\./)
    living.add(tokens.newer)
    assert.deepEqual(await uses(workspace, ['-C', 'work', 'fetch', '-q']), [tokens.newer])
    for (const text of [await workspace.read('work/.git/config'), ...stage.ours.worker.log])
      assert.doesNotMatch(text, /canary|lkc\d\./)
  })

  test('in its own container, for its own repository and session', async () => {
    living.add(tokens.older)
    await say('s-2', 'm-1', tokens.older)
    const boxed = await warm('s-2', await capabilityOf('s-2', { container: 'box-1' }), {
      LATCHKEY_CONTAINER: 'box-1',
    })
    assert.deepEqual(await uses(boxed, ['clone', '-q', one(), 'work']), [tokens.older])
    await fails(boxed, ['clone', '-q', `${host.address}/ada/two.git`, 'two'], 'repository_mismatch')
    boxed.env['LATCHKEY_CONTAINER'] = 'box-2'
    await fails(boxed, ['-C', 'work', 'fetch'], 'container_mismatch')
    boxed.env['LATCHKEY_CONTAINER'] = 'box-1'
    boxed.env['LATCHKEY_SESSION'] = 's-1'
    await fails(boxed, ['-C', 'work', 'fetch'], 'not_allowed')
    boxed.env['LATCHKEY_SESSION'] = 's-2'
    await boxed.must(['-C', 'work', 'fetch', '-q'])
  })

  test('what has ended is told, and nothing waits', async () => {
    living.add(tokens.older)
    await say('s-3', 'm-1', tokens.older)
    const brief = await warm('s-3', await capabilityOf('s-3', { ttlMs: 4_000 }))
    await brief.must(['clone', '-q', one(), 'work'])
    await sleep(4_000)
    await fails(brief, ['-C', 'work', 'fetch'], 'capability_expired')
    brief.env['LATCHKEY_CAPABILITY'] = await capabilityOf('s-3')
    await brief.must(['-C', 'work', 'fetch', '-q'])
    // A person's erasure takes their sessions along.
    assert.equal((await stage.ask('ada', 'DELETE', '/api/users/ada')).status, 200)
    await fails(brief, ['-C', 'work', 'fetch'], 'capability_revoked')
    await fails(brief, ['clone', '-q', one(), 'again'], 'capability_revoked')
    // A session of the same name is another one.
    await say('s-3', 'm-1', tokens.older)
    await fails(brief, ['-C', 'work', 'fetch'], 'capability_revoked')
    brief.env['LATCHKEY_CAPABILITY'] = await capabilityOf('s-3')
    await brief.must(['-C', 'work', 'fetch', '-q'])
    // What was handed out is taken back, and the session goes on.
    assert.equal((await stage.ask('ada', 'DELETE', '/api/sessions/s-3/capabilities')).status, 200)
    await fails(brief, ['-C', 'work', 'fetch'], 'capability_revoked')
    brief.env['LATCHKEY_CAPABILITY'] = await capabilityOf('s-3')
    await brief.must(['-C', 'work', 'fetch', '-q'])
    assert.equal((await stage.ask('ada', 'DELETE', '/api/sessions/s-3')).status, 200)
    await fails(brief, ['-C', 'work', 'fetch'], 'capability_revoked')
    // A Worker that is away is no reason to wait either.
    brief.env['LATCHKEY_URL'] = 'http://127.0.0.1:1'
    await fails(brief, ['-C', 'work', 'fetch'], 'temporarily_unavailable')
  })
})
