/**
 * `npm run bench:git`: git through the Worker, beside git without it. One run, everything side by side, so that its
 * ratios say something on any machine.
 *   --megabytes N   the pack (200)
 *   --rounds N      clones of each kind (5)
 *   --requests N    small requests of each kind (400)
 *   --check         ends with 1 when a bar is missed
 */
import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { Agent, request as send } from 'node:http'
import { fileURLToPath } from 'node:url'
import { readOptions } from '../scripts/options.ts'
import { Workspace } from '../tests/git/client.ts'
import { startGitStage } from '../tests/git/stage.ts'
import { atLeast, atMost, numberOf, progress, show, showBars } from '../tests/load/report.ts'
import { freePort } from '../tests/servers/ports.ts'
import { shipped, startWorkerd } from '../tests/load/workerd.ts'
import { cpuOf } from './clock.ts'
import { median } from './report.ts'

const { values } = readOptions({
  megabytes: { type: 'string', default: '200' },
  rounds: { type: 'string', default: '5' },
  requests: { type: 'string', default: '400' },
  check: { type: 'boolean', default: false },
})
const megabytes = numberOf('megabytes', values.megabytes, 1, 2_000)
const rounds = numberOf('rounds', values.rounds, 1, 100)
const requests = numberOf('requests', values.requests, 10, 100_000)

interface Way {
  readonly name: string
  /** A repository's address. */
  readonly remote: (path: string) => string
  readonly authorization: string
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

const agent = new Agent({ keepAlive: true })

/** Milliseconds until the whole answer is there, and how many bytes that were. */
function get(url: string, authorization: string, body?: Buffer): Promise<{ ms: number; bytes: number }> {
  const begun = performance.now()
  return new Promise((resolve, reject) => {
    const headers = {
      authorization,
      ...(body && { 'content-type': 'application/x-git-upload-pack-request', 'content-length': body.length }),
    }
    send(url, { agent, headers, method: body ? 'POST' : 'GET' }, (response) => {
      let bytes = 0
      response.on('data', (chunk: Buffer) => (bytes += chunk.length))
      response.once('end', () => {
        if (response.statusCode === 200) resolve({ ms: performance.now() - begun, bytes })
        else reject(new Error(`${url} answered ${response.statusCode}`))
      })
    })
      .once('error', reject)
      .end(body)
  })
}

async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1_024
}

/** The most that a process takes meanwhile, above what it took before; MiB. */
async function growth(pid: number, work: () => Promise<unknown>): Promise<number> {
  const before = await memoryOf(pid)
  let most = before
  const timer = setInterval(() => void memoryOf(pid).then((now) => (most = Math.max(most, now))), 20)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return Math.max(most, await memoryOf(pid)) - before
}

const stage = await startGitStage('github')
const cleanUp: (() => Promise<unknown>)[] = [() => stage.close()]
try {
  progress('a repository …')
  await stage.connect('ada')
  const large = await stage.upstream.create('ada/large')
  const small = await stage.upstream.create('ada/small')
  const maker = await Workspace.of(`${stage.folder}/maker`)
  for (const [at, size] of [
    [large, megabytes * 1_048_576],
    [small, 1_024],
  ] as const) {
    await maker.must(['init', '-q', 'work'])
    await maker.write('work/file', randomBytes(size))
    for (const setting of ['core.compression', 'pack.compression'])
      await maker.must(['-C', 'work', 'config', setting, '0'])
    await maker.must(['-C', 'work', 'add', '.'])
    await maker.must(['-C', 'work', 'commit', '-qm', 'one'])
    await maker.must(['-C', 'work', 'push', '-q', at, 'HEAD:main'])
    await maker.must(['-C', at, 'repack', '-adq'])
    await rm(`${maker.folder}/work`, { recursive: true })
  }

  const answer = await stage.ask('ada', 'POST', '/api/connections/github/token', {})
  const { accessToken } = (await answer.json()) as { accessToken: string }
  const shown = basic('x-access-token', accessToken)
  const base = await shipped(fileURLToPath(new URL('./git/worker.ts', import.meta.url)))
  const empty = await startWorkerd(`${stage.folder}/empty`, await freePort(), {
    entry: base.entry,
    compatibilityDate: base.compatibilityDate,
    objects: [],
    vars: { UPSTREAM: stage.upstream.address, AUTHORIZATION: shown },
  })
  cleanUp.push(() => empty.stop())
  const capabilities = new Map<string, string>()
  for (const path of ['ada/large', 'ada/small'])
    capabilities.set(
      path,
      (await stage.mint('ada', { repo: `${stage.upstream.address}/${path}`, can: ['fetch'] })).capability,
    )
  const ways: Way[] = [
    { name: 'direct', remote: (path) => `${stage.upstream.address}/${path}.git`, authorization: shown },
    { name: 'empty Worker', remote: (path) => `${empty.address}/${path}.git`, authorization: shown },
    { name: 'latchkey', remote: (path) => `${stage.address}/git/github/${path}.git`, authorization: '' },
  ]
  const authorizationOf = ({ authorization }: Way, path: string): string =>
    authorization || basic('x', capabilities.get(path)!)
  const { pid } = stage.ours.worker

  const discovery = '/info/refs?service=git-upload-pack'
  const askSmall = async (name: string): Promise<Map<string, number[]>> => {
    const times = new Map<string, number[]>()
    for (let n = -20; n < requests; n += 1) {
      progress(`${name}: ${Math.max(0, n)} of ${requests}`)
      for (let i = 0; i < ways.length; i += 1) {
        const way = ways[(i + n + ways.length * 20) % ways.length]!
        const { ms } = await get(`${way.remote('ada/small')}${discovery}`, authorizationOf(way, 'ada/small'))
        if (n >= 0) times.set(way.name, [...(times.get(way.name) ?? []), ms])
      }
    }
    return times
  }
  const smallTimes = await askSmall('a small request')
  // The same without a git behind it, which hides what a proxy costs.
  const advertisement = Buffer.from('001e# service=git-upload-pack\n0000')
  stage.upstream.intercept = ({ url }, response) => {
    if (!url?.startsWith('/ada/small.git')) return false
    response
      .writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
      .end(advertisement)
    return true
  }
  const bareTimes = await askSmall('a small request, nothing behind it')
  stage.upstream.intercept = undefined

  const head = (await maker.must(['-C', large, 'rev-parse', 'main'])).trim()
  const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text
  const wants = Buffer.from(`${line(`want ${head} no-progress ofs-delta\n`)}0000${line('done\n')}`)
  const packTimes = new Map<string, number[]>()
  const cloneTimes = new Map<string, number[]>()
  const grown: number[] = []
  const add = (to: Map<string, number[]>, name: string, ms: number) =>
    to.set(name, [...(to.get(name) ?? []), ms])
  for (let round = -1; round < rounds; round += 1) {
    for (let i = 0; i < ways.length; i += 1) {
      const way = ways[(i + round + ways.length) % ways.length]!
      const authorization = authorizationOf(way, 'ada/large')
      progress(`clones: round ${round + 1} of ${rounds}, ${way.name}`)
      const { ms } = await get(`${way.remote('ada/large')}/git-upload-pack`, authorization, wants)
      const header = `http.extraHeader=Authorization: ${authorization}`
      const clone = async (): Promise<void> => {
        const begun = performance.now()
        await maker.must(['-c', header, 'clone', '-q', '--bare', way.remote('ada/large'), 'clone'])
        if (round >= 0) add(cloneTimes, way.name, performance.now() - begun)
      }
      if (way.name === 'latchkey' && round >= 0) grown.push(await growth(pid, clone))
      else await clone()
      await rm(`${maker.folder}/clone`, { recursive: true })
      if (round >= 0) add(packTimes, way.name, ms)
    }
  }

  const decisions: number[] = []
  const n = 20_000
  for (let round = -2; round < 15; round += 1) {
    progress(`decisions: round ${round}`)
    const ask = async (count: number): Promise<number> => {
      const begun = await cpuOf(empty.pid)
      await (await fetch(`${empty.address}/decide?n=${count}`)).text()
      return (await cpuOf(empty.pid)) - begun
    }
    const nothing = await ask(0)
    const all = await ask(n)
    if (round >= 0) decisions.push(((all - nothing) * 1_000) / n)
  }
  progress('')

  const of = (times: Map<string, number[]>, name: string): number => median(times.get(name) ?? [])
  const row = (what: string, times: Map<string, number[]>) => [
    what,
    ...ways.map(({ name }) => of(times, name).toFixed(2)),
    (of(times, 'direct') / of(times, 'latchkey')).toFixed(2),
    (of(times, 'latchkey') / of(times, 'empty Worker')).toFixed(2),
  ]
  show(
    ['median, ms', ...ways.map(({ name }) => name), 'direct / ours', 'ours / empty'],
    [
      row('info/refs', smallTimes),
      row('info/refs, nothing behind it', bareTimes),
      row(`pack of ${megabytes} MB`, packTimes),
      row(`clone of ${megabytes} MB`, cloneTimes),
    ],
  )
  const bars = [
    atLeast(
      `throughput of a ${megabytes} MB clone, ours / direct`,
      of(cloneTimes, 'direct') / of(cloneTimes, 'latchkey'),
      0.8,
    ),
    atMost(
      'info/refs, ours / empty Worker',
      of(smallTimes, 'latchkey') / of(smallTimes, 'empty Worker'),
      1.3,
    ),
    atMost('workerd grows during the clone, at most, MiB', Math.max(...grown), 32),
    atMost('repo.parse and upstream.check in workerd, us', median(decisions), 5),
  ]
  showBars(bars)
  if (values.check && !bars.every(({ met }) => met)) process.exitCode = 1
} finally {
  agent.destroy()
  for (const one of cleanUp.toReversed()) await one()
}
