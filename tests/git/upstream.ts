/** A git host: git's own http-backend behind a server that takes living tokens of a provider, and remembers what it saw. */
import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import {
  createServer,
  request as send,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { run } from './client.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** Answers in place of the server when it returns true. */
export type Intercept = (
  request: IncomingMessage,
  response: ServerResponse,
) => boolean | void | Promise<boolean | void>

export interface UpstreamOptions {
  readonly folder: string
  /** The user name that goes with a token. */
  readonly user: string
  /** Before every repository. */
  readonly base?: string
  /** Whose token it is; nothing for one that does not work. */
  readonly whose: (token: string) => Promise<string | undefined>
  /** Says a token's account where the Worker asks for it. */
  readonly account?: (token: string) => Promise<object | undefined>
}

export interface Upstream {
  readonly address: string
  readonly folder: string
  /** An empty repository; the first segment names whose it is. */
  create(path: string): Promise<string>
  readonly seen: Seen[]
  /** Asked before anything else. */
  intercept: Intercept | undefined
  /** Where large files lie instead of here. */
  storage: string | undefined
  readonly files: Map<string, Buffer>
  close(): Promise<void>
}

/** What a client must not see of an answer. */
export const telltale = {
  'set-cookie': 'session=canary-of-the-provider',
  'x-request-id': 'canary-of-the-provider',
  'x-oauth-scopes': 'canary-of-the-provider',
  server: 'canary-of-the-provider',
} as const

export async function startUpstream(options: UpstreamOptions): Promise<Upstream> {
  const { folder, base = '' } = options
  const seen: Seen[] = []
  const files = new Map<string, Buffer>()
  const route = new RegExp(`^${base}/([^/]+)/.+?(?:\\.git)?(/(?:info|git-|files).*)$`)
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  const address = await listen(server)
  const hosts = [address.slice('http://'.length), 'github.com', 'api.github.com']
  const upstream: Upstream = {
    address,
    folder,
    seen,
    files,
    intercept: undefined,
    storage: undefined,
    async create(path) {
      const at = `${folder}/${path}.git`
      await mkdir(dirname(at), { recursive: true })
      await run('git', ['init', '-q', '--bare', '-b', 'main', at])
      return at
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const { host = '' } = headers
    if (!hosts.includes(host)) return forward(request, response)
    seen.push({ method, url, headers })
    if (host === 'api.github.com')
      return json(response, { path: url, canary: headers.authorization?.slice(0, 11) })
    if (await upstream.intercept?.(request, response)) return
    for (const [name, value] of Object.entries(telltale)) response.setHeader(name, value)
    const path = new URL(url, address).pathname
    if (path === '/account') return await tellAccount(request, response)
    const token = tokenOf(headers, options.user)
    const person = token === undefined ? undefined : await options.whose(token)
    if (person === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="upstream"' }).end('canary-of-the-provider')
      return
    }
    const [, whose, tail] = route.exec(path) ?? []
    if (whose !== person && whose !== 'shared') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('canary-of-the-provider')
      return
    }
    if (tail === '/info/lfs/objects/batch') return await batch(request, response, path)
    if (tail === '/info/lfs/locks/verify') return json(response, { ours: [], theirs: [] })
    if (tail?.startsWith('/files/')) return await file(request, response, files, tail.slice(7))
    backend(request, response, folder, base, person)
  }

  async function tellAccount({ headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
    const account = await options.account?.(token)
    if (account) json(response, account)
    else response.writeHead(401).end()
  }

  /** As some hosts do: the credential that came is what the client is told to use. */
  async function batch(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { operation, objects } = JSON.parse((await bytesOf(request)).toString()) as {
      operation: 'download' | 'upload'
      objects: { oid: string; size: number }[]
    }
    const at = upstream.storage ?? `${address}${path.replace(/\/info\/lfs\/.*$/, '')}`
    const header = { Authorization: request.headers.authorization, 'X-Signed': 'canary-of-the-storage' }
    const known = upstream.storage ? { 'X-Signed': 'canary-of-the-storage' } : header
    const action = (oid: string) => ({ href: `${at}/files/${oid}?signed=1`, header: known, expires_in: 600 })
    json(
      response,
      {
        transfer: 'basic',
        hash_algo: 'sha256',
        canary: 'canary-of-the-provider',
        objects: objects.map(({ oid, size }) =>
          operation === 'download' && !files.has(oid)
            ? { oid, size, error: { code: 404, message: 'canary-of-the-provider' } }
            : { oid, size, authenticated: true, actions: { [operation]: action(oid), other: action(oid) } },
        ),
      },
      'application/vnd.git-lfs+json',
    )
  }
  return upstream
}

/** Object storage on an origin of its own: it takes signed addresses and no credential. */
export async function startStorage(
  files: Map<string, Buffer>,
): Promise<{ readonly address: string; readonly seen: Seen[]; close(): Promise<void> }> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    seen.push({ method, url, headers })
    const oid = /^\/files\/([0-9a-f]+)\?signed=1$/.exec(url)?.[1]
    if (oid === undefined) response.writeHead(403).end()
    else file(request, response, files, oid).catch(() => response.destroy())
  })
  const address = await listen(server)
  return {
    address,
    seen,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** To whoever it is for: where this server stands in for the whole network. */
function forward(request: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = request
  const sent = send(`http://${headers.host}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  sent.once('error', () => response.destroy())
  request.pipe(sent)
}

async function listen(server: Server): Promise<string> {
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}

function tokenOf({ authorization = '' }: IncomingHttpHeaders, user: string): string | undefined {
  const encoded = /^Basic (.+)$/.exec(authorization)?.[1] ?? ''
  const [name, token] = Buffer.from(encoded, 'base64').toString().split(':')
  return name === user ? token : undefined
}

function json(response: ServerResponse, value: unknown, type = 'application/json'): void {
  response.writeHead(200, { 'content-type': type }).end(JSON.stringify(value))
}

async function file(
  request: IncomingMessage,
  response: ServerResponse,
  files: Map<string, Buffer>,
  oid: string,
): Promise<void> {
  if (request.method === 'PUT') {
    const bytes = await bytesOf(request)
    const good =
      createHash('sha256').update(bytes).digest('hex') === oid &&
      // Signed uploads say how long they are.
      request.headers['content-length'] === String(bytes.length)
    if (good) files.set(oid, bytes)
    response.writeHead(good ? 200 : 422).end()
    return
  }
  const bytes = files.get(oid)
  if (bytes) response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(bytes)
  else response.writeHead(404).end()
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** git-http-backend(1), RFC 3875. */
function backend(
  request: IncomingMessage,
  response: ServerResponse,
  folder: string,
  base: string,
  person: string,
): void {
  const { pathname, search } = new URL(request.url ?? '', 'http://upstream.invalid')
  const { headers } = request
  // A repository answers without `.git` too.
  const path = pathname
    .slice(base.length)
    .replace(/^((?:\/[^/]+?)+?)(?:\.git)?(?=\/(?:info\/refs|git-))/, '$1.git')
  const said = {
    CONTENT_TYPE: headers['content-type'],
    CONTENT_LENGTH: headers['content-length'],
    HTTP_CONTENT_ENCODING: headers['content-encoding'],
    GIT_PROTOCOL: headers['git-protocol'] as string | undefined,
  }
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      REMOTE_USER: person,
      REMOTE_ADDR: '127.0.0.1',
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      QUERY_STRING: search.slice(1),
      ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.on('error', () => undefined)
  request.pipe(child.stdin)
  response.once('close', () => child.kill())
  let head = Buffer.alloc(0)
  const begin = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    child.stdout.off('data', begin)
    let status = 200
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(/: (.*)/)
      if (name === 'Status') status = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.writeHead(status)
    response.write(head.subarray(end + 4))
    child.stdout.pipe(response)
  }
  child.stdout.on('data', begin)
}
