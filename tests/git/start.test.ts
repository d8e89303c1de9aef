/** What `npm start` gives a newcomer to try the git proxy on, and the README's commands for it, word for word. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { after, before, describe, test } from 'node:test'
import { freePort } from '../servers/ports.ts'
import { attempt, run } from './client.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const documented = { PORT: 8787, ISSUER_PORT: 9400, GIT_PORT: 9410 }
const startMs = 90_000

interface Started {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly output: () => string
  readonly address: string
  readonly git: string
  close(): Promise<void>
}

/** `npm start`, once everything is installed and built, on ports that are free and with a state of its own. */
async function start(folder: string, more: Readonly<Record<string, string>> = {}): Promise<Started> {
  await mkdir(folder, { recursive: true })
  const ports = { PORT: await freePort(), ISSUER_PORT: await freePort(), GIT_PORT: await freePort() }
  const named = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)]))
  const env = { ...process.env, ...named, LATCHKEY_STATE: folder }
  const child = spawn(process.execPath, [join(root, 'wrangler/dev/start.ts')], {
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const close = async (): Promise<void> => {
    child.kill()
    await ended
  }
  for (let waited = 0; !output.includes('Ctrl-C'); waited += 100) {
    if (child.exitCode !== null || waited > startMs) {
      await close()
      throw new Error(`it did not start:\n${output}`)
    }
    await sleep(100)
  }
  const at = (port: number): string => `http://127.0.0.1:${port}`
  return { env, output: () => output, address: at(ports.PORT), git: at(ports.GIT_PORT), close }
}

/** A person at a browser: signs in at the Worker, clicks Connect, signs in and consents at the authorization server. */
async function connect(address: string, subject: string, login: string): Promise<void> {
  const jars = new Map<string, Map<string, string>>()
  const form = (fields: Readonly<Record<string, string>>): RequestInit => ({
    method: 'POST',
    body: new URLSearchParams(fields),
  })
  const visit = async (url: URL, init: RequestInit = {}): Promise<Response> => {
    const jar = jars.get(url.host) ?? new Map<string, string>()
    jars.set(url.host, jar)
    const headers = {
      cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
      ...(init.body && { origin: url.origin }),
    }
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      jar.set(name, value)
    }
    return response
  }
  await visit(new URL(`${address}/dev/sign-in`), form({ subject }))
  let url = new URL(`${address}/connect/local?owner=user&return_to=/`)
  for (let steps = 0; steps < 12; steps += 1) {
    const page = await visit(url)
    let next = page.headers.get('location')
    if (next === null) {
      const [, action = ''] =
        /action="(\/interaction\/[\w-]+\/(?:login|confirm))"/.exec(await page.text()) ?? []
      const done = await visit(new URL(action, url), form({ login, password: 'latchkey' }))
      next = done.headers.get('location') ?? ''
    }
    url = new URL(next, url)
    if (url.searchParams.has('connected')) return
  }
  throw new Error(`not connected: ${url.href}`)
}

/** The README's commands for it. */
async function documentedCommands(): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8')
  const [, commands] = /```sh\n(export LATCHKEY_URL=http:[^]*?)```/.exec(readme) ?? []
  assert.ok(commands, 'the README has none')
  return commands
}

/** The folder of the README, but for `build`, which is empty here. */
async function checkout(folder: string): Promise<string> {
  await mkdir(join(folder, 'build'), { recursive: true })
  for (const name of ['package.json', 'node_modules', 'wrangler', 'js-glue', 'scripts'])
    await symlink(join(root, name), join(folder, name))
  return folder
}

describe('npm start', () => {
  let folder!: string
  let started!: Started
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'latchkey-start-'))
    started = await start(join(folder, 'state'))
  })
  after(async () => {
    await started?.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** What a newcomer types, at the ports that are used here. */
  const typed = (script: string): string => {
    const { PORT, GIT_PORT } = started.env
    return script
      .replaceAll(String(documented.PORT), String(PORT))
      .replaceAll(String(documented.GIT_PORT), String(GIT_PORT))
  }
  const type = async (script: string, name: string) => {
    const place = await checkout(join(folder, name))
    // Nothing may come from elsewhere: the command that runs is the one in this checkout.
    const own = {
      HOME: place,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      npm_config_offline: 'true',
    }
    const { NODE_OPTIONS: _, ...env } = started.env
    return await attempt('sh', ['-euc', typed(script)], { cwd: place, env: { ...env, ...own } })
  }

  test('the README, word for word: mint, clone, commit, push', async () => {
    assert.match(started.output(), new RegExp(`clone ${started.git}/alex/hello through it`))
    const script = await documentedCommands()
    const early = await type(script, 'early')
    assert.notEqual(early.status, 0)
    assert.match(early.output, /No capability: not_connected: open the page/)

    await connect(started.address, 'alex', 'alex')
    const { status, output } = await type(script, 'newcomer')
    assert.equal(status, 0, output)
    const clone = join(folder, 'newcomer/build/hello')
    assert.match(await readFile(join(clone, 'README.md'), 'utf8'), /^# hello\n/)
    const log = await run('git', [
      '-C',
      join(folder, 'state/.wrangler/git/alex/hello.git'),
      'log',
      '--format=%s',
    ])
    assert.deepEqual(log.split('\n').slice(0, 2), [
      'Without the token',
      'A repository to try the git proxy on',
    ])

    // What the README says of a narrower one.
    const narrow = await type(script.replace('--subject alex', '--subject alex --can fetch'), 'narrow')
    assert.notEqual(narrow.status, 0)
    assert.match(narrow.output, /not_allowed/)
    for (const text of [
      output,
      narrow.output,
      started.output(),
      await readFile(join(clone, '.git/config'), 'utf8'),
    ])
      assert.doesNotMatch(text, /lkc\d\./)
  })

  test('the git host takes what its authorization server issued, from whom it issued it to, and nothing else', async () => {
    const at = (path: string): string => `${started.git}/${path}/info/refs?service=git-upload-pack`
    const ask = async (path: string, password?: string, user = 'oauth2'): Promise<number> => {
      const authorization = `Basic ${btoa(`${user}:${password}`)}`
      const response = await fetch(at(path), password === undefined ? {} : { headers: { authorization } })
      await response.body?.cancel()
      return response.status
    }
    assert.equal(await ask('alex/hello.git'), 401)
    for (const password of ['', 'latchkey', 'x'.repeat(43)])
      assert.equal(await ask('alex/hello.git', password), 401)
    const { status, output } = await type('npm run -s capability', 'capability')
    assert.equal(status, 0, output)
    assert.match(output, /^lkc1\.\S+\n$/)
    assert.equal(await ask('alex/hello.git', output.trim()), 401)

    // Another person's token is good, but not for this.
    await connect(started.address, 'sam', 'sam')
    const sams = `capability -- --subject sam --repo ${started.git}/alex/hello`
    const minted = await type(`npm run -s ${sams}`, 'sam')
    const authorization = `Basic ${btoa(`git:${minted.output.trim()}`)}`
    const proxied = `${started.address}/git/local/alex/hello.git/info/refs?service=git-upload-pack`
    const refused = await fetch(proxied, { headers: { authorization } })
    assert.deepEqual([refused.status, await refused.text()], [404, 'latchkey: upstream_refused\n'])
  })
})

test('a machine without git: one line says so, and everything else starts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-start-'))
  let started: Started | undefined
  try {
    started = await start(folder, { PATH: dirname(process.execPath) })
    assert.match(started.output(), /^git is not installed here: .*$/m)
    assert.doesNotMatch(started.output(), /clone http/)
    assert.equal((await fetch(`${started.address}/healthz`)).status, 200)
  } finally {
    await started?.close()
    await rm(folder, { recursive: true, force: true })
  }
})
