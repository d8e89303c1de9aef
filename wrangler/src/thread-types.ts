/** What a thread is asked for, and what it says. */
import type { Owner, Principal, Run, RunStatus, TerminalKind } from 'latchkey'
import type { RunView } from 'latchkey/runs'
import type { ConnectionKey } from './names.ts'
import type { Code } from './refusal.ts'

/** What came of a verb; a refusal is data, so that its code survives the way out of the object. */
export type Said<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: Code; readonly status: number }

/** Who asks: whose runs they may see, whose they may write, and which device it is. */
export interface Asker {
  readonly owners: readonly Owner[]
  readonly acts: readonly Owner[]
  readonly kind: Principal['kind']
  readonly device?: string
}

export interface StartRequest {
  readonly name: string
  readonly owner: Owner
  readonly thread: string
  readonly clientKey: string
  /** JSON text. */
  readonly input?: string
  readonly background: boolean
  /** The only device that may work at it. */
  readonly device?: string
  readonly uses: readonly ConnectionKey[]
  /** It ends when nothing has been written for longer than this. */
  readonly idleMs?: number
}

export interface Started {
  readonly runId: string
  readonly status: RunStatus
  readonly lastSeq: number
  /** By this call; a repetition finds the run that there is. */
  readonly created: boolean
}

export interface Beat {
  /** A sign of the process alone, not of the work. */
  readonly process: boolean
  readonly inFlight?: boolean
  /** Who wants to work at it: the first one does. */
  readonly claim?: string
}

export interface NewEvent {
  readonly key: string
  readonly type: string
  /** JSON text. */
  readonly data?: string
}

export interface Written {
  readonly lastSeq: number
  readonly events: readonly { readonly key: string; readonly seq: number; readonly duplicate?: true }[]
}

export interface Finish {
  readonly kind: TerminalKind
  readonly data?: string
  /** As the body says; the assertion's own counts. */
  readonly device?: string
}

export interface Finished {
  readonly status: RunStatus
  readonly lastSeq: number
  /** It had ended before: nothing was written. */
  readonly idempotent: boolean
}

/** What a client is told of its work: `lk.retention.recover` for all runs that it may mean. */
export interface Found {
  readonly run: RunView | null
  readonly action: string
  readonly reason: string
  /** The runs that were looked at, and the clock that their times are of. */
  readonly runs: readonly (Run & { readonly runId: string })[]
  readonly now: number
}
