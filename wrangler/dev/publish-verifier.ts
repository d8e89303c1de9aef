/** Puts the in-browser verifier beside the page: one script and its module, both from the built package. */
import { copyFile, mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const publicFolder = new URL('../public/', import.meta.url)
const module = 'latchkey-verify.wasm'

export async function publishVerifier(): Promise<void> {
  await build({
    stdin: { contents: "export * from 'latchkey/verify'", resolveDir: fileURLToPath(publicFolder) },
    outfile: fileURLToPath(new URL('latchkey-verify.js', publicFolder)),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2023',
    conditions: ['browser'],
    logLevel: 'error',
  })
  const folder = new URL('wasm/', publicFolder)
  await mkdir(folder, { recursive: true })
  await copyFile(new URL(import.meta.resolve(`latchkey/${module}`)), new URL(module, folder))
}

if (import.meta.main) await publishVerifier()
