/** Everything on one machine: the authorization server, a git host and the Worker, wired to each other. */
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { startAuthorizationServer } from './authorization-server.ts'
import { startDevServer, type DevServer } from './dev-server.ts'
import { hasGit, seedRepository, startGitHost, type GitHost } from './git-host.ts'
import { seeded } from './place.ts'
import { publishVerifier } from './publish-verifier.ts'
import { localSecrets, type Secrets } from './secrets.ts'

type Variables = Readonly<Record<string, string>>

export interface LocalOptions {
  readonly port: number
  readonly issuerPort: number
  readonly secretsFile: string
  /** Starts a git host too, which takes the tokens of the authorization server; without git there is none. */
  readonly gitPort?: number
  /** Keeps what the servers know; a restart loses nothing. */
  readonly stateDirectory: string
  /** Adds the provider `local-form`: the same server, answering with `response_mode=form_post`. */
  readonly formPost?: boolean
  /** Beside it: providers that run elsewhere, by their names, and their secrets. */
  readonly others?: { readonly providers: Readonly<Record<string, object>>; readonly vars: Variables }
  readonly onLine?: (line: string) => void
}

export interface Local {
  readonly address: string
  readonly issuer: string
  readonly clientId: string
  readonly secrets: Secrets
  /** The repository that the git host has at the first start. */
  readonly repository: string | undefined
  readonly worker: DevServer
  /** Ends workerd and starts it again on the same storage. */
  restartWorker(): Promise<void>
  close(): Promise<void>
}

export const clientId = 'latchkey-local'

export async function startLocal(options: LocalOptions): Promise<Local> {
  const { port, issuerPort, gitPort, stateDirectory } = options
  const ports = [port, issuerPort, ...(gitPort === undefined ? [] : [gitPort])]
  await Promise.all(ports.map(assertFree))
  await mkdir(stateDirectory, { recursive: true })
  await publishVerifier()
  const secrets = await localSecrets(options.secretsFile)
  const address = `http://127.0.0.1:${port}`
  const authorizationServer = await startAuthorizationServer({
    port: issuerPort,
    clientId,
    clientSecret: secrets.LOCAL_CLIENT_SECRET,
    redirectUris: ['local', 'local-form'].map((name) => `${address}/callback/${name}`),
    file: join(stateDirectory, 'authorization-server.sqlite'),
  })
  let git: GitHost | undefined
  const closeServers = async (): Promise<void> => {
    await git?.close()
    await authorizationServer.close()
  }
  const startWorker = (): Promise<DevServer> =>
    startDevServer({
      port,
      envFile: options.secretsFile,
      stateDirectory: join(stateDirectory, 'state'),
      vars: workerVars(
        address,
        authorizationServer.issuer,
        git?.address,
        options.formPost ? secrets.LOCAL_CLIENT_SECRET : undefined,
        options.others,
      ),
      ...(options.onLine && { onLine: options.onLine }),
    })
  try {
    if (gitPort !== undefined && (await hasGit()))
      git = await startLocalGit(gitPort, join(stateDirectory, 'git'), authorizationServer.issuer)
    let worker = await startWorker()
    return {
      address,
      issuer: authorizationServer.issuer,
      clientId,
      secrets,
      repository: git && `${git.address}/${seeded}`,
      get worker() {
        return worker
      },
      async restartWorker() {
        await worker.close()
        worker = await startWorker()
      },
      async close() {
        await worker.close()
        await closeServers()
      },
    }
  } catch (error) {
    await closeServers()
    throw error
  }
}

const files = {
  'README.md': `# hello

A repository to try Latchkey's git proxy on. It lies on this machine, at a git host that takes the
tokens of the authorization server beside it and nothing else: not your password, and no capability.
`,
  'hello.sh': '#!/bin/sh\necho "Hello from a repository that was cloned without its token."\n',
} as const

/** Whose a token is says who issued it: OpenID Connect Core section 5.3. */
async function startLocalGit(port: number, folder: string, issuer: string): Promise<GitHost> {
  await seedRepository(folder, seeded, files)
  return await startGitHost({
    port,
    folder,
    // What goes with a token where a profile names no other user.
    user: 'oauth2',
    refusal: 'This git host takes access tokens of the local authorization server.\n',
    async whose(token) {
      const headers = { authorization: `Bearer ${token}` }
      const response = await fetch(`${issuer}/me`, { headers, signal: AbortSignal.timeout(askMs) })
      if (!response.ok) return undefined
      return ((await response.json()) as { readonly preferred_username?: string }).preferred_username
    },
  })
}

const askMs = 5_000

function workerVars(
  address: string,
  issuer: string,
  gitUrl: string | undefined,
  formSecret: string | undefined,
  others: LocalOptions['others'],
): Record<string, string> {
  const provider = {
    profile: 'generic',
    clientId,
    authorizationUrl: `${issuer}/auth`,
    tokenUrl: `${issuer}/token`,
    revocationUrl: `${issuer}/token/revocation`,
    introspectionUrl: `${issuer}/token/introspection`,
    userInfoUrl: `${issuer}/me`,
    scopes: ['openid', 'profile', 'email'],
    issuer,
    ...(gitUrl !== undefined && { gitUrl }),
  }
  const form = { 'local-form': { ...provider, title: 'Local form', responseMode: 'form_post' } }
  const providers = {
    local: { ...provider, title: 'Local' },
    ...(formSecret && form),
    ...others?.providers,
  }
  return {
    LATCHKEY_DEV: '1',
    ENABLE_CONNECT: 'true',
    PUBLIC_BASE_URL: address,
    LATCHKEY_PROVIDERS: JSON.stringify(providers),
    ...(formSecret && { LOCAL_FORM_CLIENT_SECRET: formSecret }),
    ...others?.vars,
  }
}

async function assertFree(port: number): Promise<void> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', () => reject(new Error(`port ${port} is taken`)))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()))
  })
}
