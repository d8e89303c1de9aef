/** `npm start`. */
import { readOptions } from '../../scripts/options.ts'
import { startLocal } from './local.ts'
import { place, portOf } from './place.ts'

/** What the Worker itself says; wrangler's own chatter stays quiet. */
function show(line: string): void {
  if (/^\s*(?:\{|latchkey |✘ |\[ERROR\])/.test(line)) console.log(line.trim())
}

const tryGit = (repository: string): string => `
  Then clone ${repository} through it, without the token:
  the commands are in README.md, under "Git without the token".

`

async function main(): Promise<void> {
  readOptions({})
  console.log('Starting Latchkey …')
  const local = await startLocal({
    port: portOf('PORT'),
    issuerPort: portOf('ISSUER_PORT'),
    gitPort: portOf('GIT_PORT'),
    ...place(),
    onLine: show,
  })
  if (local.repository === undefined)
    console.log('git is not installed here: there is no repository to try the git proxy on.')
  console.log(`
  Latchkey is running at ${local.address}

  Open it, choose who you want to be, and click Connect. The authorization server
  beside it (${local.issuer}) knows one login: alex, password latchkey.
${local.repository === undefined ? '' : tryGit(local.repository)}  Everything stays on this machine. Ctrl-C ends all of it.
`)
  let stopping = false
  const stop = async (code: number): Promise<void> => {
    if (stopping) return
    stopping = true
    await local.close()
    process.exit(code)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0))
  await local.worker.ended
  if (!stopping) {
    console.error('The Worker ended by itself.')
    await stop(1)
  }
}

try {
  await main()
} catch (error) {
  const [first, ...rest] = (error as Error).message.split('\n')
  if (rest.length > 0) console.error(rest.join('\n'))
  const hint = first?.includes('is taken')
    ? ' Choose others, for example: PORT=8801 ISSUER_PORT=9401 GIT_PORT=9411 npm start'
    : ''
  console.error(`Latchkey did not start: ${first}.${hint}`)
  process.exit(1)
}
