import type { Contract } from '../refresh-types.ts'

/**
 * What Workers KV can do. It has no store here: nothing is written under a condition, a read may be a minute old, and
 * that there was nothing is remembered; `lk.refresh.admit` refuses it with `store_unfit`. A cache of what may be shown,
 * never of what may be used, is all it is fit for.
 */
export const contract: Contract = Object.freeze({
  cas: false,
  strongRead: false,
  negativeCache: true,
  minTtlMs: 60_000,
  maxValue: 25 * 1024 * 1024,
})
