/** A git host on loopback: git's own http-backend behind Node, for whoever brings a living token of a provider. */
import { execFile, spawn } from 'node:child_process'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** A request of somebody who may be where it leads. */
export interface GitRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  /** What of the path is behind the repository. */
  readonly tail: string
}

type Answered = boolean | void | Promise<boolean | void>

export interface GitHostOptions {
  /** 0: any that is free. */
  readonly port: number
  /** Of the bare repositories. */
  readonly folder: string
  /** The user name that goes with a token. */
  readonly user: string
  /** Before every repository. */
  readonly base?: string
  /** Whose token it is; nothing for one that does not work. */
  readonly whose: (token: string) => Promise<string | undefined>
  /** What is said beside a status to whoever is refused. */
  readonly refusal?: string
  /** Asked before anything else; true: it has answered. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => Answered
  /** Asked in place of git; true: it has answered. */
  readonly beside?: (asked: GitRequest) => Answered
}

export interface GitHost {
  readonly address: string
  close(): Promise<void>
}

/** Without a person's own configuration, and without their machine's. */
const quietly = {
  PATH: process.env['PATH'],
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
} as const

/** Whether this machine has a git that can serve. */
export async function hasGit(): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('git', ['--exec-path'], { env: quietly })
    await access(join(stdout.trim(), 'git-http-backend'))
    return true
  } catch {
    return false
  }
}

/** An empty repository; the first segment of its path says whose it is, `shared` that it is everybody's. */
export async function createRepository(folder: string, path: string): Promise<string> {
  const at = `${folder}/${path}.git`
  await mkdir(dirname(at), { recursive: true })
  await git(['init', '-q', '--bare', at])
  await git(['-C', at, 'symbolic-ref', 'HEAD', 'refs/heads/main'])
  return at
}

/** As `createRepository`, with one commit of these files; what is there already stays as it is. */
export async function seedRepository(
  folder: string,
  path: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const at = `${folder}/${path}.git`
  const isThere = await access(at).then(
    () => true,
    () => false,
  )
  if (isThere) return
  // Whole or not at all: a start that is cut off here begins anew.
  const part = `${path}.part`
  await rm(`${folder}/${part}.git`, { recursive: true, force: true })
  const made = await createRepository(folder, part)
  const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}\n`
  const written = Object.entries(files).map(([name, text]) => `M 100644 inline ${name}\n${data(text)}`)
  const who = `committer Latchkey <latchkey@example.com> ${Math.floor(Date.now() / 1_000)} +0000\n`
  await git(
    ['-C', made, 'fast-import', '--quiet'],
    `commit refs/heads/main\n${who}${data('A repository to try the git proxy on')}${written.join('')}`,
  )
  await rename(made, at)
}

async function git(args: readonly string[], input = ''): Promise<void> {
  const child = spawn('git', args, { env: quietly, stdio: ['pipe', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stdin.on('error', () => undefined).end(input)
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`git ${args.join(' ')}: ${code}\n${said}`)),
    )
  })
}

export async function startGitHost(options: GitHostOptions): Promise<GitHost> {
  const { port, folder, user, base = '', whose, refusal = '', before, beside } = options
  const route = new RegExp(`^${base}/([^/]+)/.+?(?:\\.git)?(/(?:info|git-|files).*)$`)

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await before?.(request, response)) return
    const token = tokenOf(request.headers, user)
    const person = token === undefined ? undefined : await whose(token)
    if (person === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end(refusal)
      return
    }
    const path = new URL(request.url ?? '', 'http://host.invalid').pathname
    const [, owner, tail = ''] = route.exec(path) ?? []
    if (owner !== person && owner !== 'shared') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(refusal)
      return
    }
    if (await beside?.({ request, response, path, tail })) return
    backend(request, response, { folder, base, person })
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const at = server.address()
  if (typeof at !== 'object' || at === null) throw new Error('no port')
  return {
    address: `http://127.0.0.1:${at.port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function tokenOf({ authorization = '' }: IncomingHttpHeaders, user: string): string | undefined {
  const encoded = /^Basic (.+)$/.exec(authorization)?.[1] ?? ''
  const [name, token] = Buffer.from(encoded, 'base64').toString().split(':')
  return name === user ? token : undefined
}

/** git-http-backend(1), RFC 3875. */
function backend(
  request: IncomingMessage,
  response: ServerResponse,
  { folder, base, person }: { readonly folder: string; readonly base: string; readonly person: string },
): void {
  const { pathname, search } = new URL(request.url ?? '', 'http://host.invalid')
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
      ...quietly,
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
  child.once('error', () => response.destroy())
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
