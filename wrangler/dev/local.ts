/** Everything on one machine: the authorization server and the Worker, wired to each other. */
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { startAuthorizationServer } from './authorization-server.ts'
import { startDevServer, type DevServer } from './dev-server.ts'
import { publishVerifier } from './publish-verifier.ts'
import { localSecrets, type Secrets } from './secrets.ts'

export interface LocalOptions {
  readonly port: number
  readonly issuerPort: number
  readonly secretsFile: string
  /** Keeps what both servers know; a restart loses nothing. */
  readonly stateDirectory: string
  /** Adds the provider `local-form`: the same server, answering with `response_mode=form_post`. */
  readonly formPost?: boolean
  readonly onLine?: (line: string) => void
}

export interface Local {
  readonly address: string
  readonly issuer: string
  readonly clientId: string
  readonly secrets: Secrets
  readonly worker: DevServer
  /** Ends workerd and starts it again on the same storage. */
  restartWorker(): Promise<void>
  close(): Promise<void>
}

export const clientId = 'latchkey-local'

export async function startLocal(options: LocalOptions): Promise<Local> {
  const { port, issuerPort, stateDirectory } = options
  await Promise.all([assertFree(port), assertFree(issuerPort)])
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
  const startWorker = (): Promise<DevServer> =>
    startDevServer({
      port,
      envFile: options.secretsFile,
      stateDirectory: join(stateDirectory, 'state'),
      vars: workerVars(
        address,
        authorizationServer.issuer,
        options.formPost ? secrets.LOCAL_CLIENT_SECRET : undefined,
      ),
      ...(options.onLine && { onLine: options.onLine }),
    })
  try {
    let worker = await startWorker()
    return {
      address,
      issuer: authorizationServer.issuer,
      clientId,
      secrets,
      get worker() {
        return worker
      },
      async restartWorker() {
        await worker.close()
        worker = await startWorker()
      },
      async close() {
        await worker.close()
        await authorizationServer.close()
      },
    }
  } catch (error) {
    await authorizationServer.close()
    throw error
  }
}

function workerVars(address: string, issuer: string, formSecret: string | undefined): Record<string, string> {
  const provider = {
    profile: 'generic',
    clientId,
    authorizationUrl: `${issuer}/auth`,
    tokenUrl: `${issuer}/token`,
    revocationUrl: `${issuer}/token/revocation`,
    userInfoUrl: `${issuer}/me`,
    scopes: ['openid', 'profile', 'email'],
    issuer,
  }
  const form = { 'local-form': { ...provider, title: 'Local form', responseMode: 'form_post' } }
  return {
    LATCHKEY_DEV: '1',
    ENABLE_CONNECT: 'true',
    PUBLIC_BASE_URL: address,
    LATCHKEY_PROVIDERS: JSON.stringify({ local: { ...provider, title: 'Local' }, ...(formSecret && form) }),
    ...(formSecret && { LOCAL_FORM_CLIENT_SECRET: formSecret }),
  }
}

async function assertFree(port: number): Promise<void> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', () => reject(new Error(`port ${port} is taken`)))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()))
  })
}
