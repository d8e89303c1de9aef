/** Serves the package and the runner to a browser, on loopback. TypeScript goes out without its types. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import { delimiter, join } from 'node:path'

const root = new URL('../../', import.meta.url)
const served =
  /^\/(?:js-glue\/(?:dist\/[\w.]+\.js|wasm\/[\w-]+\.wasm)|tests\/(?:js|vectors)\/[\w.]+\.ts|build\/wasi\/tests\/sim\/latchkey-sim\.wasm)$/
const types: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  ts: 'text/javascript',
  wasm: 'application/wasm',
}

const page = `<!doctype html>
<meta charset="utf-8">
<title>Golden vectors</title>
<link rel="icon" href="data:,">
<script type="importmap">
{ "imports": {
  "latchkey": "/js-glue/dist/index.browser.js",
  "latchkey/sign": "/js-glue/dist/sign.browser.js",
  "latchkey/verify": "/js-glue/dist/verify.browser.js"
} }
</script>`

async function answer(path: string, response: ServerResponse): Promise<void> {
  if (path === '/') {
    response.setHeader('content-type', 'text/html').end(page)
    return
  }
  if (!served.test(path)) {
    response.writeHead(404).end()
    return
  }
  const bytes = await readFile(new URL(path.slice(1), root))
  response.setHeader('content-type', types[path.split('.').at(-1)!]!)
  response.end(path.endsWith('.ts') ? stripTypeScriptTypes(bytes.toString()) : bytes)
}

export interface PageServer {
  readonly url: string
  close(): Promise<void>
}

export async function startPageServer(): Promise<PageServer> {
  const server: Server = createServer((request, response) => {
    answer(request.url ?? '', response).catch(() => response.writeHead(500).end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export function chromiumPath(): string {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium'))
  const found = candidates.find((candidate) => existsSync(candidate))
  if (found === undefined) throw new Error('chromium is missing; type: scripts/setup')
  return found
}
