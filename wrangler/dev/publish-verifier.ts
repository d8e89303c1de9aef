/** Puts what pages need of the built package beside them: the verifier, the client of runs, and their modules. */
import { copyFile, mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const publicFolder = new URL('../public/', import.meta.url)
const scripts = { 'latchkey-verify.js': 'latchkey/verify', 'latchkey-runs.js': 'latchkey/runs' }
const modules = ['latchkey-verify.wasm', 'latchkey.wasm']

export async function publishVerifier(): Promise<void> {
  await Promise.all(Object.entries(scripts).map(([file, name]) => bundle(file, name)))
  const folder = new URL('wasm/', publicFolder)
  await mkdir(folder, { recursive: true })
  await Promise.all(
    modules.map((module) =>
      copyFile(new URL(import.meta.resolve(`latchkey/${module}`)), new URL(module, folder)),
    ),
  )
}

async function bundle(file: string, name: string): Promise<void> {
  await build({
    stdin: { contents: `export * from '${name}'`, resolveDir: fileURLToPath(publicFolder) },
    outfile: fileURLToPath(new URL(file, publicFolder)),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2023',
    conditions: ['browser'],
    logLevel: 'error',
  })
}

if (import.meta.main) await publishVerifier()
