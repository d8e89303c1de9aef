/**
 * A provider as a process of its own, so that a load test and the server it loads do not share one thread.
 *   node tests/servers/serve.ts <github|oidc> '<options as JSON>'
 * Prints its address as one line and ends with its standard input.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { remote, type Remote } from './control.ts'
import { startGitHubApps, type GitHubControl, type GitHubOptions } from './github-apps.ts'
import { startOidc, type OidcControl, type OidcOptions } from './oidc.ts'

interface Kinds {
  github: { options: GitHubOptions; control: GitHubControl }
  oidc: { options: OidcOptions; control: OidcControl }
}

export interface ServerProcess<Control> {
  readonly address: string
  readonly pid: number
  readonly control: Remote<Control>
  close(): Promise<void>
}

export async function spawnServer<Kind extends keyof Kinds>(
  kind: Kind,
  options: Kinds[Kind]['options'],
): Promise<ServerProcess<Kinds[Kind]['control']>> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), kind, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const address = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line)),
    ended.then(() => Promise.reject(new Error(`the ${kind} server ended at once`))),
  ])
  const close = async (): Promise<void> => {
    child.stdin.end()
    await ended
  }
  return { address, pid: child.pid ?? 0, control: remote<Kinds[Kind]['control']>(address), close }
}

async function main(kind: string | undefined, text = '{}'): Promise<void> {
  const options: unknown = JSON.parse(text)
  const server =
    kind === 'github'
      ? await startGitHubApps(options as GitHubOptions)
      : await startOidc(options as OidcOptions)
  console.log(server.address)
  process.stdin.resume().once('close', () => {
    void server.close().then(() => process.exit(0))
  })
}

if (import.meta.main) await main(process.argv[2], process.argv[3])
