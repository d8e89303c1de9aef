/**
 * What a run wrote down, one JSON object a line, in the order in which it happened: one process saw everything and one
 * clock timed it. Tokens stand as digests. The checker reads nothing else.
 */
import { createHash } from 'node:crypto'
import { createWriteStream, type WriteStream } from 'node:fs'

/** Milliseconds since the run began. */
interface Timed {
  readonly at: number
}

/** The first line: what the provider does with a spent token, and what counts as what. */
export interface Run extends Timed {
  readonly e: 'run'
  readonly who: string
  readonly reuse: 'refused' | 'family'
  /** From the delivery of a reply until it must be on the disk. */
  readonly windowMs: number
  /** A loss is told within. */
  readonly surfaceMs: number
  /** Whoever refreshes and dies keeps the others waiting for so long. */
  readonly leaseMs: number
}

/** A caller asks. Logins and disconnects of one connection follow one another. */
export interface Ask extends Timed {
  readonly e: 'ask'
  readonly op: number
  readonly conn: string
  readonly verb: 'token' | 'rotate' | 'login' | 'disconnect'
}

export type Told = Timed & { readonly e: 'told'; readonly op: number } & (
    | {
        readonly outcome: 'token'
        readonly token: string
        /** The Worker's name for it; who has no generations says none. */
        readonly id?: string
        readonly version?: number
        readonly expiresInMs?: number
      }
    /** `connected`, with the lineage that it began, and `disconnected`. */
    | { readonly outcome: 'connected'; readonly id?: string }
    | { readonly outcome: 'disconnected' }
    /** There is no connection. */
    | { readonly outcome: 'absent' }
    /** The person must connect again; why. */
    | { readonly outcome: 'dead'; readonly cause: string }
    /** Not now. Nothing is said about the connection. */
    | { readonly outcome: 'later' }
    /** The connection to the Worker ended first: it may have happened. */
    | { readonly outcome: 'cut' }
    | { readonly outcome: 'other'; readonly word: string }
  )

/** Of the Worker's process. */
export interface Killed extends Timed {
  readonly e: 'killed'
  readonly when: string
}
export interface Up extends Timed {
  readonly e: 'up'
}

/** A request at the token endpoint, as something between the Worker and the provider saw it. */
export interface Sent extends Timed {
  readonly e: 'sent'
  readonly call: number
  /** What it presents: a refresh token, or the code of a login. */
  readonly token?: string
  readonly code?: string
}
/** The code that the login of that operation brought. */
export interface Code extends Timed {
  readonly e: 'code'
  readonly op: number
  readonly code: string
}
/** It went on to the provider: whatever happens now, the token may be spent. */
export interface Passed extends Timed {
  readonly e: 'passed'
  readonly call: number
}
/** The provider gave a new pair. */
export interface Bought extends Timed {
  readonly e: 'bought'
  readonly call: number
  readonly access: string
  readonly refresh: string
}
export interface Refused extends Timed {
  readonly e: 'refused'
  readonly call: number
  readonly error: string
}
/** The reply went out whole, or not. */
export interface Delivered extends Timed {
  readonly e: 'delivered' | 'undelivered'
  readonly call: number
}

/** What the provider itself had in its book at the end: one line a redemption. */
export interface Book extends Timed {
  readonly e: 'book'
  readonly token: string
  readonly verdict: string
}

/** The last line of a whole history. */
export interface End extends Timed {
  readonly e: 'end'
}

export type Line =
  Run | Ask | Told | Killed | Up | Sent | Code | Passed | Bought | Refused | Delivered | Book | End

/** A digest, long enough to tell tokens apart. */
export const digest = (token: string): string =>
  createHash('sha256').update(token).digest('base64url').slice(0, 16)

type Untimed<L> = L extends Timed ? Omit<L, 'at'> : never

export class Recorder {
  readonly #file: WriteStream
  readonly #began = performance.now()
  readonly #broken: Promise<never>
  lines = 0

  constructor(path: string) {
    this.#file = createWriteStream(path)
    this.#broken = new Promise((_, reject) => this.#file.once('error', reject))
    this.#broken.catch(() => undefined)
  }

  write(line: Untimed<Line>): void {
    this.lines += 1
    const at = Math.round((performance.now() - this.#began) * 1_000) / 1_000
    this.#file.write(`${JSON.stringify({ at, ...line })}\n`)
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#file.end(resolve))
    await Promise.race([closed, this.#broken])
  }
}
