/** The connect links that somebody may come with. */
import type { Code } from './refusal.ts'
import { endTable, firstEnd, laneOf, standing, type EndTable, type Lane } from './sweep.ts'

const awaited: EndTable = { kind: 'connect_link', table: 'awaited', key: 'link' }
/** All that somebody could come with, for as long as anything is known of them. */
const links: EndTable = { kind: 'connect_link', table: 'links', key: 'link' }

export const expectedLinkSchema = `
  ${endTable(awaited)}
  ${endTable(links)}
`

export function expectLink(sql: SqlStorage, link: string, until: number, knownUntil: number): void {
  sql.exec('INSERT OR IGNORE INTO awaited VALUES (?, ?)', until, link)
  sql.exec('INSERT OR IGNORE INTO links VALUES (?, ?)', knownUntil, link)
}

/** T73: somebody may come with another link than this one. */
export const isOtherExpected = (sql: SqlStorage, link: string): boolean =>
  sql.exec('SELECT 1 FROM awaited WHERE until > ? AND link <> ? LIMIT 1', Date.now(), link).toArray().length >
  0

/** null: none is expected any more. */
export function unexpectLink(sql: SqlStorage, link: string | null): void {
  if (link === null) sql.exec('DELETE FROM awaited')
  else sql.exec('DELETE FROM awaited WHERE link = ?', link)
}

/** Why nobody may come with this link. */
export function refusedLink(sql: SqlStorage, link: string): Code | undefined {
  if (standing(sql, awaited, link, Date.now()) !== undefined) return undefined
  const known = sql.exec('SELECT 1 FROM awaited WHERE link = ?', link).toArray().length > 0
  return known ? 'state_expired' : 'state_consumed'
}

/** Until when somebody may come. */
export function awaitedUntil(sql: SqlStorage): number | null {
  const last = 'SELECT max(until) AS until FROM awaited WHERE until > ?'
  return sql.exec<{ until: number | null }>(last, Date.now()).toArray()[0]?.until ?? null
}

/** All that are known, used or not. */
export const knownLinks = (sql: SqlStorage): string[] =>
  sql
    .exec<{ link: string }>('SELECT link FROM links')
    .toArray()
    .map(({ link }) => link)

export function forgetLink(sql: SqlStorage, link: string): void {
  unexpectLink(sql, link)
  sql.exec('DELETE FROM links WHERE link = ?', link)
}

export function expectedLinkLane(sql: SqlStorage): Lane {
  const [pending, known] = [laneOf(sql, awaited), laneOf(sql, links)]
  return {
    kind: 'connect_link',
    remove: async (before, limit) =>
      (await pending.remove(before, limit)) + (await known.remove(before, limit)),
  }
}

export const expectedLinkEnds = (sql: SqlStorage): (number | null)[] =>
  [awaited, links].map((table) => firstEnd(sql, table))
