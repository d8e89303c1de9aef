/** The git host that `npm start` has, as a provider of trouble: it remembers what it saw, keeps large files and tells on itself. */
import {
  createServer,
  request as send,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createHash } from 'node:crypto'
import { createRepository, startGitHost, type GitRequest } from '../../wrangler/dev/git-host.ts'

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
  const git = await startGitHost({
    port: 0,
    folder,
    user: options.user,
    base,
    whose: options.whose,
    refusal: 'canary-of-the-provider',
    before,
    beside,
  })
  const { address } = git
  const hosts = [address.slice('http://'.length), 'github.com', 'api.github.com']
  const upstream: Upstream = {
    address,
    folder,
    seen,
    files,
    intercept: undefined,
    storage: undefined,
    create: (path) => createRepository(folder, path),
    close: () => git.close(),
  }

  async function before(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const { method = '', url = '', headers } = request
    const { host = '' } = headers
    if (!hosts.includes(host)) return done(forward(request, response))
    seen.push({ method, url, headers })
    if (host === 'api.github.com')
      return done(json(response, { path: url, canary: headers.authorization?.slice(0, 11) }))
    if (await upstream.intercept?.(request, response)) return true
    for (const [name, value] of Object.entries(telltale)) response.setHeader(name, value)
    return new URL(url, address).pathname === '/account' && done(await tellAccount(request, response))
  }

  async function beside({ request, response, path, tail }: GitRequest): Promise<boolean> {
    if (tail === '/info/lfs/objects/batch') return done(await batch(request, response, path))
    if (tail === '/info/lfs/locks/verify') return done(json(response, { ours: [], theirs: [] }))
    return tail.startsWith('/files/') && done(await file(request, response, files, tail.slice(7)))
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

const done = (_: void): true => true

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
