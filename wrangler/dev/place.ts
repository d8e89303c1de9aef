/** Where local development listens, and where it keeps what it knows. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ports = { PORT: 8787, ISSUER_PORT: 9400, GIT_PORT: 9410 } as const

export function portOf(name: keyof typeof ports): number {
  const text = process.env[name] || String(ports[name])
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1_024 || port > 65_535) throw new Error(`${name} must be a port between 1024 and 65535`)
  return port
}

/** The git host's first repository. It is alex's: whoever else signs in at the authorization server does not find it. */
export const seeded = 'alex/hello'

/** In the Worker's own folder, where wrangler looks for it too, or all of it in `LATCHKEY_STATE`. */
export function place(): { readonly secretsFile: string; readonly stateDirectory: string } {
  const own = process.env['LATCHKEY_STATE']
  const path = (name: string): string =>
    own ? join(own, name) : fileURLToPath(new URL(`../${name}`, import.meta.url))
  return { secretsFile: path('.dev.vars'), stateDirectory: path('.wrangler') }
}
