import type { abi } from './abi.gen.ts'

type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>
type RunStatus = Names<'runStatus'>
type TerminalKind = Exclude<Names<'terminal'>, 'none'>
type RunCause = Exclude<Names<'runCause'>, 'none'>

/** One entry of a run's log, as it goes over the wire. */
export interface RunEvent {
  /** 1, 2, 3 … within a run. */
  readonly seq: number
  /** Epoch milliseconds by the clock of whoever wrote it down. */
  readonly at: number
  readonly type: string
  readonly data?: unknown
  /** Set on the one event that ends the log. */
  readonly end?: RunEnd
}

export interface RunEnd {
  readonly kind: TerminalKind
  readonly status: Exclude<RunStatus, 'running'>
  /** Why, of a run that did not say so itself. */
  readonly cause?: RunCause
  /** The same work may be tried again, as new work. */
  readonly recoverable?: boolean
  /** It died at most 20 s after its start. */
  readonly early?: boolean
}

/** What is told of a run beside its log. */
export interface RunView {
  readonly runId: string
  readonly threadId: string
  readonly status: RunStatus
  readonly lastSeq: number
  readonly startedAt: number
  readonly heartbeatAt?: number
  readonly completedAt?: number
  readonly cause?: RunCause
  readonly background: boolean
  readonly inFlight: boolean
  readonly device?: string
}
