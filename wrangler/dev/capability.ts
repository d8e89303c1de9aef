/** `npm run capability`: asks the local Worker for a capability, as an application's backend does for its user. */
import { readFile } from 'node:fs/promises'
import { load } from 'latchkey'
import { readOptions } from '../../scripts/options.ts'
import { place, portOf, seeded } from './place.ts'
import { parseSecrets } from './secrets.ts'

async function main(): Promise<void> {
  const { values } = readOptions({
    subject: { type: 'string', default: 'alex' },
    repo: { type: 'string', default: `http://127.0.0.1:${portOf('GIT_PORT')}/${seeded}` },
    can: { type: 'string', default: 'fetch,push' },
  })
  const { secretsFile } = place()
  const secrets = parseSecrets(await readFile(secretsFile, 'utf8'), secretsFile)
  const { keys, principal } = await load()
  const ring = keys.parse(secrets.LATCHKEY_PRINCIPAL_KEY)
  const assertion = principal.issue(
    ring,
    { subject: String(values.subject), kind: 'human' },
    { now: Date.now() },
  )
  const response = await fetch(`http://127.0.0.1:${portOf('PORT')}/api/capabilities`, {
    method: 'POST',
    headers: { authorization: `Bearer ${assertion}`, 'content-type': 'application/json' },
    body: JSON.stringify({ provider: 'local', repo: values.repo, can: String(values.can).split(',') }),
  })
  const answer = (await response.json()) as { readonly capability?: string; readonly error?: string }
  if (answer.capability === undefined) throw new Error(`${answer.error}${hints[answer.error ?? ''] ?? ''}`)
  console.log(answer.capability)
}

const hints: Readonly<Record<string, string>> = {
  not_connected: ': open the page, sign in as that subject and click Connect first',
  repo_host_not_allowed:
    ': not a repository of the git host that npm start runs, or git was missing when it started',
}

try {
  await main()
} catch (error) {
  const { message, cause } = error as Error
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? (error as NodeJS.ErrnoException).code
  const isDown = code === 'ECONNREFUSED' || code === 'ENOENT'
  console.error(`No capability: ${isDown ? 'the Worker is not running; type npm start first' : message}`)
  process.exit(1)
}
