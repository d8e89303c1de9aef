/** Who acts for each capability that has been used since its person's token failed: once the app, never the person again. */
import type { Identity } from 'latchkey'
import type { EndTable } from './sweep.ts'

export const identities: EndTable = { kind: 'acting', table: 'identity', key: 'holder' }

export const identitySchema = `
  CREATE TABLE IF NOT EXISTS identity (
    until INTEGER NOT NULL, holder TEXT NOT NULL, installation TEXT NOT NULL, PRIMARY KEY (until, holder)) WITHOUT ROWID;
`

/** As long as nothing is kept it is the person. */
export function identityOf(sql: SqlStorage, holder: string): Identity {
  const [row] = sql
    .exec<{ installation: string }>('SELECT installation FROM identity WHERE holder = ?', holder)
    .toArray()
  return row
    ? { acts: 'installation', warned: true, installation: row.installation }
    : { acts: 'user', warned: false }
}

/** False where somebody else's step came first. */
export function keepIdentity(sql: SqlStorage, holder: string, installation: string, until: number): boolean {
  const before = identityOf(sql, holder)
  if (before.acts === 'installation' && before.installation === installation) return false
  sql.exec('DELETE FROM identity WHERE holder = ?', holder)
  sql.exec('INSERT INTO identity VALUES (?, ?, ?)', until, holder, installation)
  return before.acts === 'user'
}

export const forgetIdentities = (sql: SqlStorage): void => void sql.exec('DELETE FROM identity')

/** Returns when to come again. */
export function sweepIdentities(sql: SqlStorage, now: number): number | null {
  sql.exec('DELETE FROM identity WHERE until <= ?', now)
  return sql.exec<{ until: number | null }>('SELECT min(until) AS until FROM identity').one().until
}
