/** A store of one record that fails as it is told to. */
import type { Condition, Store, Stored, Written } from 'latchkey/connection'

export type StoreFault = 'none' | 'failed' | 'unknown_written' | 'unknown_unwritten' | 'unreadable' | 'throws'

export class Memory {
  record: Stored | undefined
  writes = 0

  /** One process's way to it. Without a pause it answers at once. */
  store(
    options: {
      readonly signal?: Store['signal']
      readonly pause?: () => Promise<void>
      readonly fault?: () => StoreFault
    } = {},
  ): Store {
    const { signal = 'none', pause, fault = () => 'none' } = options
    const read = (how: StoreFault): Stored | undefined => {
      if (how === 'unreadable' || how === 'throws') throw new Error('the store is down')
      return this.record && { ...this.record, row: this.record.row.slice() }
    }
    const write = (how: StoreFault, condition: Condition, next: Stored | null): Written => {
      if (how === 'throws') throw new Error('the store is down')
      if (how === 'failed' || how === 'unreadable') return 'failed'
      if (how === 'unknown_unwritten') return 'unknown'
      const written = this.swap(condition, next)
      return how === 'unknown_written' ? 'unknown' : written
    }
    return {
      contract: { cas: true, strongRead: true, negativeCache: false, minTtlMs: 0, maxValue: 1_000_000 },
      signal,
      read: () => (pause ? pause().then(() => read(fault())) : read(fault())),
      write: (condition, next) =>
        pause ? pause().then(() => write(fault(), condition, next)) : write(fault(), condition, next),
    }
  }

  swap(condition: Condition, next: Stored | null): Written {
    if (!this.#holds(condition)) return 'lost'
    this.record = next ?? undefined
    this.writes += 1
    return 'stored'
  }

  #holds(condition: Condition): boolean {
    const { record } = this
    switch (condition.is) {
      case 'absent':
        return record === undefined
      case 'row':
        return (
          record?.id === condition.id &&
          record.version === condition.version &&
          record.epoch === condition.epoch
        )
      case 'corrupt':
        return record !== undefined && sameRecord(record, condition.record)
    }
  }
}

export function sameRecord(one: Stored, other: Stored): boolean {
  const plain = (record: Stored) => JSON.stringify({ ...record, row: [...record.row] })
  return plain(one) === plain(other)
}
