/**
 * A server's test interface, from the same process or over HTTP from another one (workerd too: this file needs
 * nothing but fetch).
 */
import type { Fault } from './faults.ts'
import type { Counts, Redemption, Standing } from './ledger.ts'

/** What a client holds after a login. */
export interface Connected {
  readonly subject: string
  readonly accessToken: string
  readonly refreshToken: string
}

/** What both providers offer a test, whatever protocol they speak. */
export interface ProviderControl<Settings> {
  configure(settings: Partial<Settings>): void
  /** In place of all faults set before. */
  setFaults(faults: readonly Fault[]): void
  history(): Redemption[]
  counts(): Counts
  /** Begins a new record; grants stay. */
  forget(): void
  /** The person that a browser without further hints is. */
  signIn(login: string): void
  /** A whole authorization-code flow for that person, over HTTP. */
  connect(login: string): Promise<Connected>
  /** Whether that access or refresh token works now. */
  isAlive(token: string): Promise<boolean>
  /** What a refresh token ever issued belongs to. */
  standing(refreshToken: string): Standing | undefined
  /** The person takes every authorization back, at the provider. */
  revoke(login: string): Promise<void>
}

type Method = (...parameters: never[]) => unknown

export type Remote<Control> = {
  readonly [Name in keyof Control]: Control[Name] extends (...parameters: infer Parameters) => infer Result
    ? (...parameters: Parameters) => Promise<Awaited<Result>>
    : never
}

export const controlPath = '/-/'

/** Calls the named method with a JSON list of its parameters; the JSON of its result. */
export async function callControl(control: object, name: string, body: string): Promise<string | undefined> {
  const method = Object.hasOwn(control, name) ? (control as Record<string, unknown>)[name] : undefined
  if (typeof method !== 'function') return undefined
  const result: unknown = await (method as Method)(...(JSON.parse(body) as never[]))
  return JSON.stringify(result ?? null)
}

/** The test interface of the server at that address. A result of `undefined` arrives as null. */
export function remote<Control>(address: string): Remote<Control> {
  const call = async (name: string, parameters: unknown[]): Promise<unknown> => {
    const response = await fetch(`${address}${controlPath}${name}`, {
      method: 'POST',
      body: JSON.stringify(parameters),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${name} answered ${response.status}: ${text}`)
    return JSON.parse(text) as unknown
  }
  const methods: ProxyHandler<object> = {
    get: (_target, name) =>
      typeof name === 'string' && name !== 'then'
        ? (...parameters: unknown[]) => call(name, parameters)
        : undefined,
  }
  return new Proxy({}, methods) as Remote<Control>
}
