// workerd as a process of its own, without wrangler between.
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { spawn } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const binary = path('../node_modules/workerd/bin/workerd')

const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "bench", worker = .bench)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "bench")]
);
const bench :Workerd.Worker = (
  compatibilityDate = "2026-10-01",
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "latchkey.wasm", wasm = embed "latchkey.wasm")
  ]
);
`

// workerd takes WebAssembly only as a module of its configuration.
const wasmOutside: Plugin = {
  name: 'wasm-outside',
  setup({ onResolve }) {
    onResolve({ filter: /\.wasm$/ }, ({ path }) => ({ path: `./${basename(path)}`, external: true }))
  },
}

/** How a deployment to workerd would be bundled. */
export const bundling = {
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2024',
  conditions: ['workerd', 'worker', 'browser'],
  plugins: [wasmOutside],
  logLevel: 'warning',
} as const satisfies BuildOptions

export interface Workerd {
  readonly pid: number
  /** The text of the answer. */
  ask(target: string): Promise<string>
  stop(): Promise<void>
}

/** Bundles `entry` into `folder` and serves it. */
export async function startWorkerd(entry: string, folder: string): Promise<Workerd> {
  await mkdir(folder, { recursive: true })
  await build({ ...bundling, entryPoints: [entry], outfile: `${folder}/worker.js` })
  await copyFile(path('../js-glue/wasm/latchkey.wasm'), `${folder}/latchkey.wasm`)
  await writeFile(`${folder}/config.capnp`, config)

  const child = spawn(binary, ['serve', `${folder}/config.capnp`, '--control-fd=3'], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    child.kill()
    await ended
  }
  const port = await Promise.race([
    listening(child.stdio[3] as Readable),
    ended.then(() => {
      throw new Error('workerd did not start')
    }),
  ])
  const ask = async (target: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${target}`)
    const text = await response.text()
    if (!response.ok) throw new Error(`workerd answered ${response.status} to ${target}`)
    return text
  }
  return { pid: child.pid!, ask, stop }
}

async function listening(control: Readable): Promise<number> {
  for await (const line of createInterface({ input: control })) {
    const { event, port } = JSON.parse(line) as { event: string; port?: number }
    if (event === 'listen' && port !== undefined) return port
  }
  throw new Error('workerd said nothing about its socket')
}
