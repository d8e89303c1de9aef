/** A server's test interface, from the same process or over HTTP from another one. */
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

export { callControl, controlPath, remote, type Remote } from './remote.ts'
