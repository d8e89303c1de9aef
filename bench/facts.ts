// What is known without a clock: versions and sizes.
import { build } from 'esbuild'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { bundling } from './workerd.ts'

export interface Size {
  readonly name: string
  readonly raw: number
  readonly gzip: number
}

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = ['workerd', 'latchkey', 'jose', 'hono', '@noble/hashes']
// What a deployment carries for signing and verifying with each.
const programs = {
  'latchkey.js': `export { loadSync } from 'latchkey'`,
  'latchkey-sign.js': `export { loadSignerSync } from 'latchkey/sign'`,
  'latchkey-verify.js': `export { loadVerifierSync } from 'latchkey/verify'`,
  'jose.js': `export { jwtVerify, SignJWT } from 'jose'`,
  'hono-jwt.js': `export { sign, verify } from 'hono/jwt'`,
  'noble.js': `export { hmac } from '@noble/hashes/hmac.js'; export { sha256 } from '@noble/hashes/sha2.js'`,
}

export async function versions(): Promise<Record<string, string>> {
  const found: Record<string, string> = { node: process.versions.node }
  for (const name of packages) {
    const manifest = await readFile(`${root}/node_modules/${name}/package.json`, 'utf8')
    found[name] = (JSON.parse(manifest) as { version: string }).version
  }
  return found
}

function sizeOf(name: string, bytes: Uint8Array): Size {
  return { name, raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length }
}

export async function sizes(): Promise<Size[]> {
  const found: Size[] = []
  for (const name of ['latchkey.wasm', 'latchkey-sign.wasm', 'latchkey-verify.wasm']) {
    found.push(sizeOf(name, await readFile(`${root}/js-glue/wasm/${name}`)))
  }
  for (const [name, contents] of Object.entries(programs)) {
    const { outputFiles } = await build({
      ...bundling,
      stdin: { contents, resolveDir: root },
      write: false,
    })
    found.push(sizeOf(name, outputFiles[0]!.contents))
  }
  return found
}
