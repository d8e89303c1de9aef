/** `npx latchkey git-credential`, asked by git itself and by hand. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { attempt, command, Workspace } from './client.ts'

const capability = 'lkc2.k1.canary-of-the-capability.tag'
let folder!: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-credential-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const ask = async (input: string, env: Record<string, string>, action = 'get') => {
  const environment = { PATH: process.env['PATH'], ...env }
  const { status, output } = await attempt(process.execPath, [command, 'git-credential', action], {
    env: environment,
    input,
  })
  assert.equal(status, 0, output)
  return output
}
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
      assert.equal(await ask(elsewhere, session()), '', String(code))
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
      })
  })
})
