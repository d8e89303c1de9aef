/** What happened at a provider's token endpoint, in order of arrival: the record that a run is judged by. */
import { reaches, type Fault } from './faults.ts'

export type Verdict =
  /** It bought a new pair. */
  | 'spent'
  /** It had been spent before. */
  | 'replayed'
  /** It was never issued, has expired, or its grant is gone. */
  | 'refused'
  /** A fault came first: nothing happened to it. */
  | 'unreached'
  /** Still on its way. */
  | 'pending'

/** One request that presented a refresh token. */
export interface Redemption {
  /** 1 for the first that arrived. */
  readonly n: number
  /** Arrival, milliseconds since 1970. */
  readonly at: number
  readonly token: string
  /** The grant it belongs to; empty for a token that was never issued. */
  grant: string
  /** How many rotations lie between the token of the login and this one; -1 for a token that was never issued. */
  generation: number
  verdict: Verdict
  /** The provider's own word for a refusal; empty otherwise. */
  reason: string
  /** Whether the grant was alive when it was answered. */
  alive: boolean
  /** The true answer went out whole. */
  delivered: boolean
  readonly fault?: Fault
}

export interface Counts {
  readonly requests: number
  readonly spent: number
  readonly replayed: number
  readonly refused: number
  readonly unreached: number
  readonly pending: number
  /** Spent, and the answer did not go out whole. */
  readonly undelivered: number
  /** Grants that ended because one of their tokens was replayed. */
  readonly killed: number
}

export interface Standing {
  readonly grant: string
  readonly subject: string
  readonly generation: number
  readonly alive: boolean
}

export class Ledger {
  #history: Redemption[] = []
  #killed = new Set<string>()

  /** Records the request before anything happens to it. */
  open(token: string, fault: Fault | undefined): Redemption {
    const redemption: Redemption = {
      n: this.#history.length + 1,
      at: Date.now(),
      token,
      grant: '',
      generation: -1,
      verdict: reaches(fault) ? 'pending' : 'unreached',
      reason: '',
      alive: false,
      delivered: false,
      ...(fault && { fault }),
    }
    this.#history.push(redemption)
    return redemption
  }

  kill(grant: string): void {
    this.#killed.add(grant)
  }

  history(): Redemption[] {
    return structuredClone(this.#history)
  }

  counts(): Counts {
    const count = (holds: (redemption: Redemption) => boolean): number => this.#history.filter(holds).length
    const of = (verdict: Verdict): number => count((redemption) => redemption.verdict === verdict)
    return {
      requests: this.#history.length,
      spent: of('spent'),
      replayed: of('replayed'),
      refused: of('refused'),
      unreached: of('unreached'),
      pending: of('pending'),
      undelivered: count(({ verdict, delivered }) => verdict === 'spent' && !delivered),
      killed: this.#killed.size,
    }
  }

  forget(): void {
    this.#history = []
    this.#killed = new Set()
  }
}
