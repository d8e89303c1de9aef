/** The one row of a vault, as SQLite holds it. Times are epoch milliseconds. */
export type ConnectionRecord = {
  /** Lineage: new at every login. */
  id: string
  /** Counts the token pairs of a lineage. */
  version: number
  subject: string
  account_id: string
  account_label: string
  access_token: string
  refresh_token: string | null
  access_expires_at: number | null
  refresh_expires_at: number | null
  /** JSON list. */
  scopes: string
  connected_at: number
  state: string
  state_expires_at: number
}

export const schema = `
  CREATE TABLE IF NOT EXISTS consumed (
    until INTEGER NOT NULL, nonce TEXT NOT NULL, PRIMARY KEY (until, nonce)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS connection (
    slot INTEGER PRIMARY KEY CHECK (slot = 1),
    id TEXT NOT NULL, version INTEGER NOT NULL, subject TEXT NOT NULL,
    account_id TEXT NOT NULL, account_label TEXT NOT NULL,
    access_token TEXT NOT NULL, refresh_token TEXT, access_expires_at INTEGER, refresh_expires_at INTEGER,
    scopes TEXT NOT NULL, connected_at INTEGER NOT NULL, state TEXT NOT NULL, state_expires_at INTEGER NOT NULL);
`

const columns = [
  'id',
  'version',
  'subject',
  'account_id',
  'account_label',
  'access_token',
  'refresh_token',
  'access_expires_at',
  'refresh_expires_at',
  'scopes',
  'connected_at',
  'state',
  'state_expires_at',
] as const satisfies readonly (keyof ConnectionRecord)[]

export const select = `SELECT ${columns.join(', ')} FROM connection`
export const replace = `INSERT OR REPLACE INTO connection (slot, ${columns.join(', ')}) VALUES (1${', ?'.repeat(columns.length)})`
export const values = (record: ConnectionRecord): SqlStorageValue[] => columns.map((column) => record[column])
