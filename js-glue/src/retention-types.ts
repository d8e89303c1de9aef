import type { abi } from './abi.gen.ts'

type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>

export type RunStatus = Names<'runStatus'>
/** What a run is at, which says how often it gives a sign. */
export type RunPhase = Names<'phase'>
/** Events that end a run's log. */
export type TerminalKind = Exclude<Names<'terminal'>, 'none'>
/** Why a run ended that did not say so itself. */
export type RunCause = Exclude<Names<'runCause'>, 'none'>
export type RecordKind = Names<'recordKind'>
export type EraseStep = Names<'eraseStep'>
/** How a step of an erasure went; `pending` as if nothing were said. */
export type EraseOutcome = Names<'erased'>

/** Work that outlives the connection of whoever asked for it. Times in epoch milliseconds. */
export interface Run {
  readonly status: RunStatus
  readonly startedAt: number
  readonly heartbeatAt?: number | undefined
  /** Another sign of life: of the process, not of the work. */
  readonly aliveAt?: number | undefined
  readonly completedAt?: number | undefined
  /** Since when somebody has been there to hear a sign; silence before that says nothing. */
  readonly watchedSince?: number | undefined
  /** A marker says that a piece of work is being waited for. */
  readonly inFlight?: boolean | undefined
}

/** What is left out has its default. */
export interface StaleRules {
  /** Chooses `silenceMs`: 15,000 in the foreground (the default), 90,000 in the background. */
  readonly phase?: RunPhase
  readonly silenceMs?: number
  /** With work in flight. Default 870,000. */
  readonly inFlightMs?: number
  /** Without any sign, until `inFlight` counts for nothing. Default 120,000. */
  readonly livenessMs?: number
  /** Since the start, whatever signs there are. Default 7 days. */
  readonly maxAgeMs?: number
  /** `silenceMs` is meant exactly: nothing in flight prolongs it. */
  readonly exact?: boolean
}

export interface TerminalPlan {
  /** `reconcile`: the row takes the status. `append`: the log takes the event, and the row the status. */
  readonly action: Names<'ending'>
  readonly status: RunStatus
  /** Only if the event before it is still the last one; otherwise read the log again and ask again. */
  readonly event?: {
    readonly seq: number
    readonly kind: TerminalKind
    readonly code?: RunCause
    readonly recoverable?: boolean
  }
}

/** What a client knows of the work that it wants done. */
export interface Wanted {
  /** The store answered; if it did not, nothing is posted. */
  readonly lookedUp: boolean
  /** When it first asked for it, by the clock that `now` is from. */
  readonly postedAt?: number | undefined
  readonly attempts?: number
  readonly earlyDeaths?: number
}

export interface Feed {
  /** Every status but `active` is one in which a scheduler passes over it. */
  readonly status: string
  readonly connectionStatus: string
  /** There is an active definition with code that can be run. */
  readonly defined: boolean
  readonly pinned?: boolean
  readonly deleted?: boolean
  /** An operator asks for it back. */
  readonly restore?: boolean
}

export interface ConnectLink {
  readonly state: Names<'linkState'>
  readonly expiresAt: number
  /** Another link to the same connection is pending. */
  readonly otherPending: boolean
}

export interface Due {
  /** `90s`, `15m`, `6h`, `1d`. */
  readonly every: string
  /** Ticks are this moment and every so often after it. */
  readonly anchor: number
  /** The tick that this run was for; none when run by hand. */
  readonly slot?: number | undefined
  readonly quotaResetAt?: number | undefined
  /** Storage found the row as it was when this run began, and changed it. */
  readonly matched: boolean
}

export interface DedupeFacts {
  /** When this fault was last reported; none when it is not known. */
  readonly forwardedAt?: number | undefined
  /** How many faults are stored. */
  readonly entries: number
}

export interface RateWindow {
  readonly startedAt: number
  readonly count: number
}

/** Where a sweep is. Any numbers are a cursor: they choose what is looked at, never what is removed. */
export interface SweepCursor {
  readonly pending: number
  readonly lane: number
  readonly open: boolean
  readonly asked: number
  readonly spent: number
}

export type Sweep =
  | {
      /** Remove at most `limit` records whose end is `<= before`, the first ones first; then ask again. */
      readonly action: 'batch'
      readonly kind: RecordKind
      readonly before: number
      readonly limit: number
      readonly cursor: SweepCursor
    }
  | {
      /** `paused`: there may be more; go on with the cursor once others had their turn. */
      readonly action: 'paused' | 'finished'
      readonly nextAt: number
      readonly cursor: SweepCursor
    }

/** Every decision throws `time_invalid` for what is no time, and `claim_invalid` for what is no count or name. */
export interface Retention {
  /** How long each kind of record is kept, in milliseconds. */
  readonly lifetimes: Readonly<Record<RecordKind, number>>
  /**
   * The milliseconds that a configured text says, 0 included; the fallback for what is not plainly such a number or
   * more than `maxMs` (default 400 days). `warn` is told why, unless there was no text at all.
   */
  setting(
    text: string | undefined,
    fallbackMs: number,
    options?: { maxMs?: number; warn?: (reason: Exclude<Names<'taken'>, 'set' | 'unset'>) => void },
  ): number
  /** Is a client that asks told of this run? Default window 20 minutes; exactly as old is. */
  reconnect(
    run: Run,
    now: number,
    options?: { windowMs?: number },
  ): { readonly surface: boolean; readonly reason: Names<'found'>; readonly since: number }
  /** Is a running run dead, since when, or from when on will it be? */
  stale(
    run: Run,
    now: number,
    rules?: StaleRules,
  ): {
    readonly stale: boolean
    readonly reason: Names<'life'>
    /** The first millisecond at which it is stale if no sign comes. */
    readonly dueAt?: number
    /** Of a stale one: when to say that it ended. */
    readonly completedAt?: number
    /** Dead at most 20 s after its start. */
    readonly early?: boolean
    /** Nobody noticed for more than 5 s: whoever watches was away, and watches from now on. */
    readonly late?: boolean
  }
  /** May a run be removed, its events with it? Its outcome is counted, under `day`, by whoever removes it. */
  prune(
    run: Run,
    now: number,
    windows?: { completedMs?: number; unsuccessfulMs?: number; reconnectMs?: number },
  ): {
    readonly remove: boolean
    readonly reason: Names<'kept'>
    /** UTC day since 1970-01-01. */
    readonly day: number
    /** The record's end. */
    readonly dueAt?: number
  }
  /** The one terminal event of a run, from its row and the last event of its log, read together. */
  terminal(
    status: RunStatus,
    log: { readonly lastSeq: number; readonly end?: TerminalKind | undefined },
    cause?: RunCause,
  ): TerminalPlan
  /**
   * Does a run start that is asked for under a key? Once for every key, one at a time in a thread. Throws
   * `run_forgotten`, `run_active`.
   */
  begin(asked: {
    /** There is a run of this key. */
    readonly known: boolean
    /** There was one. */
    readonly forgotten: boolean
    /** Another run of the thread is running, and not stale. */
    readonly live: boolean
  }): Names<'begun'>
  /**
   * Is an event written, and as which one? Throws `event_conflict`, `event_too_large`, `run_ended`,
   * `event_out_of_order`, `run_full`.
   */
  append(
    status: RunStatus,
    log: { readonly lastSeq: number; readonly end?: TerminalKind | undefined },
    event: {
      /** The number of the event that has this key, if there is one, and whether it says the same. */
      readonly knownSeq?: number | undefined
      readonly same?: boolean
      /** In bytes. */
      readonly size: number
      /** What its writer takes for the last event. */
      readonly after?: number | undefined
    },
  ): { readonly action: Names<'appended'>; readonly seq: number }
  /** What a client does about work that it may have asked for already. At most 64 runs. */
  recover(
    runs: readonly Run[],
    wanted: Wanted,
    now: number,
    rules?: { windowMs?: number; retentionMs?: number; maxAttempts?: number; stale?: StaleRules },
  ): {
    readonly action: Names<'recovery'>
    readonly reason: Names<'recoveryReason'>
    /** Which of the runs, for `reconnect` and `replay`. */
    readonly run?: number
  }
  /** Which entries stay: by default 3 with names of 64 hexadecimal digits. At most 512 entries. */
  keepNewest(
    entries: readonly { readonly name: string; readonly modifiedAt: number }[],
    options?: { inUse?: string; keep?: number; digits?: number },
  ): { readonly fates: readonly Names<'fate'>[]; readonly remove: readonly string[] }
  /** What is new to who has seen `previous`; throws `claim_invalid` where nothing was ever fetched. */
  changed(refs: {
    readonly current: string
    readonly previous?: string
    /** The list of what `previous` stands for is still there. */
    readonly kept: boolean
  }): Names<'changed'>
  orphan(feed: Feed): { readonly action: Names<'orphaned'>; readonly reason: Names<'orphanReason'> }
  /** May what was paused for one reason go on now that another is over? Only if they are the same. */
  resumes(pausedFor: string, ended: string): boolean
  /** What a link is now, and whether the connection that waits for it ends. */
  link(
    link: ConnectLink,
    now: number,
  ): {
    readonly state: Names<'linkState'>
    readonly endConnection: boolean
    readonly reason: Names<'linkReason'>
  }
  /** When something runs next, once for every run of it. */
  schedule(
    due: Due,
    now: number,
  ): {
    readonly action: Names<'advance'>
    readonly reason: Names<'scheduleReason'>
    /** None when nothing is changed, or when it is parked. */
    readonly nextAt?: number
  }
  /** What a fault is known by: message, type, the error's message, the topmost frame. At most 16 texts. */
  fingerprint(parts: readonly string[]): string
  /** Is a fault reported? Default window 60 s, 1,000 entries; `evict` of those stored first go before. */
  dedupe(
    facts: DedupeFacts,
    now: number,
    options?: { windowMs?: number; maxEntries?: number },
  ): { readonly forward: boolean; readonly reason: Names<'faultSeen'>; readonly evict: number }
  /** May work be done? Default 5 in 15 minutes. What is no work is free. Store the window. */
  rateLimit(
    stored: RateWindow | undefined,
    works: boolean,
    now: number,
    rules?: { limit?: number; windowMs?: number },
  ): {
    readonly allow: boolean
    readonly reason: Names<'rated'>
    readonly window: RateWindow
    readonly retryAfterMs?: number
  }
  /** One name for every spelling of an IP address, and for a whole IPv6 /64; `anonymous` for what is none. */
  bucket(address: string | null | undefined): string
  /** When a record ends, and how long a store must keep it whose shortest life is `minMs`. */
  expiry(
    at: number,
    ttlMs: number,
    now: number,
    options?: { minMs?: number },
  ): { readonly expiresAt: number; readonly expired: boolean; readonly physicalMs: number }
  /** What a sweep does next; `removed` is by the batch before. Default 2,000 rows, 200 a batch, every 5 minutes. */
  sweep(
    lanes: Iterable<RecordKind>,
    cursor: SweepCursor | undefined,
    removed: number,
    now: number,
    options?: { rows?: number; batch?: number; intervalMs?: number },
  ): Sweep
  /** What an erasure does next, and what it has done: the receipt. */
  erase(outcomes: { readonly [step in EraseStep]?: EraseOutcome }): {
    readonly action: Names<'erasing'>
    readonly reason: Names<'eraseReason'>
    readonly step?: EraseStep
    readonly receipt: { readonly erased: readonly EraseStep[]; readonly failed: readonly EraseStep[] }
  }
}
