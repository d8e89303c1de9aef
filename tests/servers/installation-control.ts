/** What a test does with the installations of an app. */

export interface InstallRequest {
  /** Whose repositories it reaches. */
  readonly account: string
  readonly repositories: readonly string[]
  /** Logins that see it. */
  readonly members: readonly string[]
  readonly permissions?: Readonly<Record<string, string>>
}

/** A token that was made. */
export interface Minting {
  readonly installation: number
  readonly repositories: readonly string[]
  readonly token: string
}

export interface InstallationControl {
  /** Its id. */
  install(wanted: InstallRequest): number
  suspend(id: number, suspended: boolean): void
  removeInstallation(id: number): void
  mintings(): Minting[]
  /** Every token request is answered with this status; 0: as it should be. */
  failMinting(status: number): void
  configureMinting(settings: { tokenSeconds?: number; waitMs?: number }): void
  isInstallationToken(token: string): boolean
  /** What a delivery about it says. */
  installationEvent(action: 'deleted' | 'suspend' | 'unsuspend', id: number, at: string): object
}
