/**
 * A git credential helper: what git asks for on its standard input, answered with the capability that stands in the
 * environment at that moment. It keeps nothing, so a workspace that has been warm for hours uses the current one.
 */
import { readFile } from 'node:fs/promises'
import { load } from './index.node.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** gitcredentials(7): names and values that git sends and takes. */
export interface Credential {
  readonly username: string
  readonly password: string
}

const timeoutMs = 10_000
const longestAnswer = 64_000

/** What a person is told, on standard error. */
export type Tell = (line: string) => void

/**
 * Answers `get`; nothing where there is nothing to say, so that git goes on to its next helper. A person is told why a
 * session's credential was not given: in a code, with nothing of what git, a file or the network said.
 */
export async function gitCredential(input: string, environment: Environment, tell: Tell): Promise<string> {
  const credential = await find(attributes(input), environment, tell)
  if (!credential) return ''
  const { username, password } = credential
  // A line break in a value would be another attribute.
  return [username, password].every(isValue) ? `username=${username}\npassword=${password}\n` : ''
}

const isValue = (text: string): boolean => text !== '' && !/[\0\r\n]/.test(text)

function attributes(input: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const line of input.split('\n')) {
    if (line === '') break
    const at = line.indexOf('=')
    if (at > 0) found.set(line.slice(0, at), line.slice(at + 1))
  }
  return found
}

async function find(
  asked: ReadonlyMap<string, string>,
  environment: Environment,
  tell: Tell,
): Promise<Credential | undefined> {
  const { LATCHKEY_URL, LATCHKEY_CONTAINER, LATCHKEY_SESSION } = environment
  const protocol = asked.get('protocol')
  const host = asked.get('host')
  const capability = await readCapability(environment)
  if (!LATCHKEY_URL || !capability || !protocol || !host) return undefined
  const worker = new URL(LATCHKEY_URL)
  const { guard } = await load()
  // The capability goes where a secret may go: over TLS, or to this machine.
  if (!guard.outbound(worker.href, { dev: true })) return undefined
  if (`${protocol}:` === worker.protocol && host.toLowerCase() === worker.host) {
    return { username: LATCHKEY_CONTAINER || asked.get('username') || 'latchkey', password: capability }
  }
  if (!LATCHKEY_SESSION || !/^https?$/.test(protocol)) return undefined
  const url = `${protocol}://${host}/${asked.get('path') ?? ''}`
  try {
    return await ofSession(worker, LATCHKEY_SESSION, capability, url, LATCHKEY_CONTAINER)
  } catch (error) {
    tell(`latchkey: no credential from this session: ${error instanceof Refused ? error.code : unavailable}`)
    return undefined
  }
}

const unavailable = 'temporarily_unavailable'

/** The Worker's own code. */
class Refused extends Error {
  readonly code: string
  constructor(said: unknown) {
    super('refused')
    this.code = typeof said === 'string' && /^[a-z_]{1,64}$/.test(said) ? said : unavailable
  }
}

/** The file is read each time: whoever hands out capabilities replaces it while we work. */
async function readCapability(environment: Environment): Promise<string | undefined> {
  const { LATCHKEY_CAPABILITY, LATCHKEY_CAPABILITY_FILE } = environment
  if (!LATCHKEY_CAPABILITY_FILE) return LATCHKEY_CAPABILITY?.trim()
  return (await readFile(LATCHKEY_CAPABILITY_FILE, 'utf8')).trim()
}

/** The current credential of a session, for a host that is not proxied. */
async function ofSession(
  worker: URL,
  session: string,
  capability: string,
  url: string,
  container: string | undefined,
): Promise<Credential> {
  const response = await fetch(new URL(`/api/sessions/${encodeURIComponent(session)}/credential`, worker), {
    method: 'POST',
    headers: {
      authorization: `Bearer ${capability}`,
      'content-type': 'application/json',
      ...(container && { 'latchkey-container': container }),
    },
    body: JSON.stringify({ url }),
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await response.text()
  if (text.length > longestAnswer) throw new TypeError('too long')
  const { username, password, error } = JSON.parse(text) as Partial<Record<string, unknown>>
  if (response.status !== 200) throw new Refused(error)
  if (typeof username !== 'string' || typeof password !== 'string') throw new TypeError('no credential')
  return { username, password }
}
