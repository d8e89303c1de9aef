/**
 * Pairs that came in the place of one that a resource server had refused, whoever said so. Where such a pair is refused
 * too, another one would be: for as long as the core's mark holds it is not exchanged again. A new login or a usual refresh is a new pair.
 */
import type { Owner } from 'latchkey'
import type { App } from './app.ts'
import { endTable, standing, type EndTable } from './sweep.ts'
import type { Generation } from './vault-types.ts'

export const refusedPairs: EndTable = { kind: 'rejected_pair', table: 'refused_pair', key: 'pair' }

export const refusedPairSchema = endTable(refusedPairs)

/** A lineage's id has neither a blank nor an end that could be a number's beginning. */
const pairOf = ({ id, version }: Generation): string => `${id} ${version}`

/** Returns by when the mark has to be forgotten. */
export function markRefused({ lk }: App, sql: SqlStorage, pair: Generation, now: number): number {
  const { expiresAt } = lk.retention.expiry(now, lk.retention.lifetimes.rejected_pair, now)
  unmarkRefused(sql, pair)
  sql.exec('INSERT INTO refused_pair VALUES (?, ?)', expiresAt, pairOf(pair))
  return expiresAt
}

/** A resource server has taken it after all. */
export function unmarkRefused(sql: SqlStorage, pair: Generation): void {
  sql.exec('DELETE FROM refused_pair WHERE pair = ?', pairOf(pair))
}

export const forgetRefused = (sql: SqlStorage): void => void sql.exec('DELETE FROM refused_pair')

/** What the core reads a place as, where the pair in it is marked. */
export function isRefused(
  { lk }: App,
  sql: SqlStorage,
  owner: Owner,
  pair: Generation,
  now: number,
): boolean {
  const until = standing(sql, refusedPairs, pairOf(pair), now)
  if (until === undefined) return false
  const { kind: scope, id } = owner
  const rejectedAt = until - lk.retention.lifetimes.rejected_pair
  const facts = { subject: id, ...(scope === 'org' && { org: id }), policy: { order: [scope] } }
  const { path } = lk.scope.resolve(facts, [{ scope, id, held: 'whole', rejectedAt }], { now })
  return path.at(-1)?.rule === 'rejected'
}
