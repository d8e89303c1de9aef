/** Who removes records that are over, and what one did. */
export type Contender = 'latchkey' | 'expiry-index' | 'expiry-index-at-once'

export interface Cleared {
  readonly removed: number
  readonly sweeps: number
  readonly batches: number
  /** The most that one sweep and one batch removed. */
  readonly mostOfSweep: number
  readonly mostOfBatch: number
  /** Batches that ended between a request's arrival in mid-batch and its turn. */
  readonly waited: readonly number[]
}
