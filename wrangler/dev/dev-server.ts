/** `wrangler dev` as a child: the Worker in workerd, all storage embedded, on loopback only. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

export interface DevServerOptions {
  readonly port: number
  /** Secrets, as lines of `NAME="value"`. */
  readonly envFile: string
  readonly stateDirectory: string
  readonly vars: Readonly<Record<string, string>>
  readonly onLine?: (line: string) => void
}

export interface DevServer {
  readonly address: string
  /** Settles when the child has ended, whoever ended it. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

const startMs = 60_000
const stopMs = 5_000
const lastLines = 20

export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const address = `http://127.0.0.1:${options.port}`
  const child = run(options)
  const ended = once(child, 'exit').then(() => undefined)
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue
    createInterface({ input: stream }).on('line', (text) => {
      const line = stripVTControlCharacters(text)
      lines.push(line)
      if (lines.length > lastLines) lines.shift()
      options.onLine?.(line)
    })
  }
  const server: DevServer = { address, ended, close: () => stop(child, ended) }
  try {
    await ready(`${address}/healthz`, child)
  } catch (error) {
    await server.close()
    throw new Error(`${(error as Error).message}\n${lines.join('\n')}`, { cause: error })
  }
  return server
}

function run({ port, envFile, stateDirectory, vars }: DevServerOptions): ChildProcess {
  const wrangler = fileURLToPath(new URL('../bin/wrangler.js', import.meta.resolve('wrangler')))
  const named = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`])
  const place = ['--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0']
  const files = ['--env-file', envFile, '--persist-to', stateDirectory]
  // A group of its own, so that the end of wrangler is the end of its workerd too.
  const child = spawn(
    process.execPath,
    [wrangler, 'dev', ...place, ...files, '--show-interactive-dev-session=false', ...named],
    {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        NO_COLOR: '1',
        WRANGLER_HIDE_BANNER: 'true',
        WRANGLER_LOG_PATH: join(stateDirectory, 'log'),
        WRANGLER_SEND_ERROR_REPORTS: 'false',
        WRANGLER_SEND_METRICS: 'false',
      },
    },
  )
  process.once('exit', () => signalGroup(child, 'SIGKILL'))
  return child
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startMs
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error('wrangler dev ended before it was ready')
    const status = await statusOf(url)
    if (status === 200) return
    if (status === 500) throw new Error('the Worker does not start')
    await sleep(100)
  }
  throw new Error(`wrangler dev was not ready after ${startMs / 1_000} seconds`)
}

async function statusOf(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await response.body?.cancel()
    return response.status
  } catch {
    return undefined
  }
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  signalGroup(child, 'SIGTERM')
  await Promise.race([ended, sleep(stopMs, undefined, { ref: false })])
  signalGroup(child, 'SIGKILL')
  await ended
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
