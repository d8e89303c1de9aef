/** Debian's PostgreSQL server for one test: new data each time, on loopback, gone afterwards. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { chown, glob, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './ports.ts'

export interface PostgresOptions {
  /** Connections that may be open at once. */
  readonly connections?: number
  /** Waits for the disk at every commit: off when omitted, because no test takes the power away. */
  readonly durable?: boolean
}

export interface PostgresServer {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** `postgres://user:password@127.0.0.1:port/database` */
  readonly url: string
  /** The folder of the socket `.s.PGSQL.<port>`. */
  readonly socketFolder: string
  readonly pid: number
  /** The last lines of its log. */
  log(): string
  /** Ends it, as asked or as by a crash, and starts it again on the same port and data. */
  restart(how?: 'fast' | 'crash'): Promise<void>
  close(): Promise<void>
}

interface Identity {
  readonly uid: number
  readonly gid: number
}

interface Process {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
}

const initMs = 60_000
const startMs = 30_000
const stopMs = 10_000
const lastLines = 40
const removeAttempts = 40
const removePauseMs = 50

const user = 'latchkey'
const database = 'postgres'

/** Postmaster's signals: `fast` ends sessions and writes everything, `crash` leaves the rest to recovery. */
const stopSignals = { fast: 'SIGINT', crash: 'SIGQUIT' } as const

/** A test run that is ended from outside ends its servers too. */
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-postgres-'))
  const server = new Postgres(folder, await binaries(), identity(), options)
  try {
    await server.begin()
  } catch (error) {
    await server.close()
    throw new Error(`PostgreSQL did not start: ${(error as Error).message}\n${server.log()}`, {
      cause: error,
    })
  }
  return server
}

class Postgres implements PostgresServer {
  readonly host = '127.0.0.1'
  readonly user = user
  readonly password = randomBytes(18).toString('base64url')
  readonly database = database
  readonly socketFolder: string
  port = 0
  readonly #bin: string
  readonly #identity: Identity | undefined
  readonly #options: PostgresOptions
  readonly #lines: string[] = []
  #process: Process | undefined

  constructor(folder: string, bin: string, identity: Identity | undefined, options: PostgresOptions) {
    this.socketFolder = folder
    this.#bin = bin
    this.#identity = identity
    this.#options = options
  }

  get url(): string {
    return `postgres://${this.user}:${this.password}@${this.host}:${this.port}/${this.database}`
  }

  get pid(): number {
    return this.#process?.child.pid ?? 0
  }

  log(): string {
    return this.#lines.join('\n')
  }

  get #data(): string {
    return join(this.socketFolder, 'data')
  }

  async begin(): Promise<void> {
    process.once('exit', this.#abandon)
    await this.#initialize()
    this.port = await freePort()
    await this.#start()
  }

  async restart(how: 'fast' | 'crash' = 'fast'): Promise<void> {
    await this.#stop(stopSignals[how])
    await this.#start()
  }

  async close(): Promise<void> {
    await this.#stop('SIGINT')
    process.off('exit', this.#abandon)
    await rm(this.socketFolder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** The test ends without having closed the server, which still writes for a moment. */
  readonly #abandon = (): void => {
    this.#process?.child.kill('SIGQUIT')
    const pause = new Int32Array(new SharedArrayBuffer(4))
    for (let attempt = 0; attempt < removeAttempts && existsSync(this.socketFolder); attempt += 1) {
      Atomics.wait(pause, 0, 0, removePauseMs)
      // What is written meanwhile makes it fail, with or without an error.
      try {
        rmSync(this.socketFolder, { recursive: true, force: true })
      } catch {}
    }
  }

  async #initialize(): Promise<void> {
    const passwordFile = join(this.socketFolder, 'password')
    await writeFile(passwordFile, this.password, { mode: 0o600 })
    if (this.#identity) {
      const { uid, gid } = this.#identity
      await chown(passwordFile, uid, gid)
      await chown(this.socketFolder, uid, gid)
    }
    await promisify(execFile)(
      join(this.#bin, 'initdb'),
      [
        `--pgdata=${this.#data}`,
        `--username=${this.user}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--no-sync',
      ],
      { ...this.#identity, cwd: this.socketFolder, env: environment(), timeout: initMs },
    )
    await rm(passwordFile)
  }

  async #start(): Promise<void> {
    const { connections = 100, durable = false } = this.#options
    const safety = durable ? 'on' : 'off'
    const settings = {
      listen_addresses: this.host,
      port: this.port,
      unix_socket_directories: this.socketFolder,
      max_connections: connections,
      shared_buffers: '16MB',
      fsync: safety,
      synchronous_commit: safety,
      full_page_writes: safety,
    }
    const child = spawn(
      join(this.#bin, 'postgres'),
      ['-D', this.#data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      { ...this.#identity, cwd: this.socketFolder, env: environment(), stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const ended = once(child, 'close')
    this.#process = { child, ended }
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        this.#lines.push(line)
        if (this.#lines.length > lastLines) this.#lines.shift()
        if (line.includes('ready to accept connections')) resolve()
      })
    })
    const failed = Promise.race([
      ended.then(() => 'it ended at once'),
      sleep(startMs, `it was not ready after ${startMs / 1_000} seconds`, { ref: false }),
    ]).then((reason) => Promise.reject(new Error(reason)))
    failed.catch(() => undefined)
    try {
      await Promise.race([ready, failed])
    } catch (error) {
      await this.#stop('SIGQUIT')
      throw error
    }
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    if (!this.#process) return
    const { child, ended } = this.#process
    for (const next of [signal, 'SIGQUIT', 'SIGKILL'] as const) {
      if (child.exitCode !== null || child.signalCode !== null) break
      child.kill(next)
      await Promise.race([ended, sleep(stopMs, undefined, { ref: false })])
    }
    await ended
    this.#process = undefined
  }
}

const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' })

/** Debian keeps the server out of the PATH, one folder for each version. */
async function binaries(): Promise<string> {
  const found: string[] = []
  for await (const path of glob('/usr/lib/postgresql/*/bin/initdb')) found.push(dirname(path))
  const [newest] = found.toSorted((left, right) => right.localeCompare(left, 'en', { numeric: true }))
  if (newest !== undefined) return newest
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for await (const path of glob(join(folder, 'initdb'))) return dirname(path)
  }
  throw new Error('PostgreSQL is not installed; scripts/setup installs it')
}

/** PostgreSQL refuses to run as root: then its own account is taken, or nobody's. */
function identity(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('there is no account to run PostgreSQL as')
}
