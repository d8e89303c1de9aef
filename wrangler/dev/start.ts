/** `npm start`. */
import { fileURLToPath } from 'node:url'
import { readOptions } from '../../scripts/options.ts'
import { startLocal } from './local.ts'

const path = (relative: string): string => fileURLToPath(new URL(`../${relative}`, import.meta.url))

function portFrom(name: string, fallback: number): number {
  const text = process.env[name] || String(fallback)
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1_024 || port > 65_535) throw new Error(`${name} must be a port between 1024 and 65535`)
  return port
}

/** What the Worker itself says; wrangler's own chatter stays quiet. */
function show(line: string): void {
  if (/^\s*(?:\{|latchkey |✘ |\[ERROR\])/.test(line)) console.log(line.trim())
}

async function main(): Promise<void> {
  readOptions({})
  console.log('Starting Latchkey …')
  const local = await startLocal({
    port: portFrom('PORT', 8787),
    issuerPort: portFrom('ISSUER_PORT', 9400),
    secretsFile: path('.dev.vars'),
    stateDirectory: path('.wrangler'),
    onLine: show,
  })
  console.log(`
  Latchkey is running at ${local.address}

  Open it, choose who you want to be, and click Connect. The authorization server
  beside it (${local.issuer}) knows one login: alex, password latchkey.
  Everything stays on this machine. Ctrl-C ends both.
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
    ? ' Choose others, for example: PORT=8801 ISSUER_PORT=9401 npm start'
    : ''
  console.error(`Latchkey did not start: ${first}.${hint}`)
  process.exit(1)
}
