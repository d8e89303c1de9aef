import type { RecordKind } from 'latchkey'
import type { Env } from './env.ts'

/** What an object holds of one kind of record. Times in epoch milliseconds; nothing where it holds none. */
export interface Holding {
  readonly kind: RecordKind
  readonly count: number
  readonly oldest?: number
  readonly nextDue?: number
}

/** Told after each sweep. Nobody keeps it yet. */
export function reportHoldings(_env: Env, _object: string, _holdings: readonly Holding[]): void {}
