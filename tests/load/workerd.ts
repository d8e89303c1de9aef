/** A Worker in workerd started directly: own port, own disk, a process that can be killed and started again. */
import { build } from 'esbuild'
import { spawn, type ChildProcess } from 'node:child_process'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { bundling } from '../../bench/workerd.ts'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))
const binary = path('../../node_modules/workerd/bin/workerd')

export interface Deployment {
  /** The module whose default export answers HTTP. */
  readonly entry: string
  readonly compatibilityDate: string
  /** Binding and class of every Durable Object. */
  readonly objects: readonly { readonly name: string; readonly class_name: string }[]
  /** Bindings to classes of the Worker itself. */
  readonly services?: readonly { readonly name: string; readonly entrypoint: string }[]
  /** Objects stay in memory, asked for or not. */
  readonly pinned?: boolean
  /** The one server, as `host:port`, that everything goes to that the Worker sends, whatever its address. */
  readonly outbound?: string
  /** The files behind the binding ASSETS. */
  readonly assets?: string
  readonly vars: Readonly<Record<string, string>>
}

export interface Workerd {
  readonly address: string
  /** Of the process that runs now. */
  readonly pid: number
  /** SIGKILL, at once; what had not reached the disk is gone. */
  kill(): void
  /** Starts it again on the same port and disk, after its end. */
  start(): Promise<void>
  stop(): Promise<void>
  /** What it wrote to its log. */
  readonly log: readonly string[]
}

/** A run that is ended from outside ends what it started too. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

/** The shipped Worker, bound as its wrangler.jsonc says. */
export async function shipped(
  entry = path('../../wrangler/src/worker.ts'),
): Promise<Omit<Deployment, 'vars'>> {
  const text = await readFile(path('../../wrangler/wrangler.jsonc'), 'utf8')
  const plain = text.replaceAll(/^\s*\/\/.*$/gm, '').replaceAll(/,(\s*[}\]])/g, '$1')
  const { compatibility_date: compatibilityDate, durable_objects: objects } = JSON.parse(plain) as {
    compatibility_date: string
    durable_objects: { bindings: Deployment['objects'] }
  }
  return { entry, compatibilityDate, objects: objects.bindings, assets: path('../../wrangler/public') }
}

/** A JSON text is a text of workerd's configuration too. */
const quoted = JSON.stringify

function configOf(
  {
    compatibilityDate,
    objects,
    services: entrypoints = [],
    pinned = false,
    outbound,
    assets,
    vars,
  }: Deployment,
  port: number,
  disk: string,
): string {
  const bindings = [
    ...Object.entries(vars).map(([name, value]) => `(name = ${quoted(name)}, text = ${quoted(value)})`),
    ...objects.map(
      ({ name, class_name }) => `(name = ${quoted(name)}, durableObjectNamespace = ${quoted(class_name)})`,
    ),
    ...entrypoints.map(
      ({ name, entrypoint }) =>
        `(name = ${quoted(name)}, service = (name = "worker", entrypoint = ${quoted(entrypoint)}))`,
    ),
    ...(assets === undefined ? [] : ['(name = "ASSETS", service = "assets")']),
  ]
  const namespaces = objects.map(
    ({ class_name }) =>
      `(className = ${quoted(class_name)}, uniqueKey = ${quoted(class_name)}, enableSql = true, preventEviction = ${pinned})`,
  )
  const services = [
    '(name = "worker", worker = .worker)',
    outbound === undefined
      ? '(name = "loopback", network = (allow = ["127.0.0.0/8"]))'
      : `(name = "loopback", external = (address = ${quoted(outbound)}, http = ()))`,
    `(name = "disk", disk = (path = ${quoted(disk)}, writable = true))`,
    ...(assets === undefined ? [] : [`(name = "assets", disk = (path = ${quoted(assets)}))`]),
  ]
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services.join(', ')}],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "worker")]
);
const worker :Workerd.Worker = (
  compatibilityDate = ${quoted(compatibilityDate)},
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "latchkey.wasm", wasm = embed "latchkey.wasm")
  ],
  bindings = [${bindings.join(', ')}],
  globalOutbound = "loopback",
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "disk")
);
`
}

/** Bundles the Worker into `folder`, which it uses as its disk too, and serves it. */
export async function startWorkerd(
  folder: string,
  port: number,
  deployment: Deployment,
  inspectorPort?: number,
): Promise<Workerd> {
  const address = `http://127.0.0.1:${port}`
  const disk = `${folder}/disk`
  await mkdir(disk, { recursive: true })
  await build({
    ...bundling,
    external: ['cloudflare:workers'],
    entryPoints: [deployment.entry],
    outfile: `${folder}/worker.js`,
  })
  await copyFile(path('../../js-glue/wasm/latchkey.wasm'), `${folder}/latchkey.wasm`)
  const config = `${folder}/config.capnp`
  await writeFile(config, configOf(deployment, port, disk))

  const log: string[] = []
  let child: ChildProcess
  let ended: Promise<void>
  const start = async (): Promise<void> => {
    await ended
    const inspector = inspectorPort === undefined ? [] : [`--inspector-addr=127.0.0.1:${inspectorPort}`]
    const mine = spawn(binary, ['serve', config, '--control-fd=3', ...inspector], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    child = mine
    running.add(mine)
    ended = new Promise((resolve) =>
      mine.once('close', () => {
        running.delete(mine)
        resolve()
      }),
    )
    for (const stream of [mine.stdout, mine.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => log.push(line))
    }
    if (!(await listens(mine.stdio[3] as Readable))) {
      mine.kill('SIGKILL')
      await ended
      throw new Error(`workerd did not start:\n${log.join('\n')}`)
    }
  }
  ended = Promise.resolve()
  await start()
  return {
    address,
    get pid() {
      return child.pid ?? 0
    },
    kill: () => void child.kill('SIGKILL'),
    start,
    async stop() {
      child.kill('SIGKILL')
      await ended
    },
    log,
  }
}

/** False where it ended before it said so. */
async function listens(control: Readable): Promise<boolean> {
  for await (const line of createInterface({ input: control })) {
    if ((JSON.parse(line) as { event: string }).event === 'listen') return true
  }
  return false
}
