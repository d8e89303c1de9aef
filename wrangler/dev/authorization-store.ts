import { DatabaseSync } from 'node:sqlite'

type Payload = Record<string, unknown>

/** Everything the local authorization server remembers, in one SQLite file (or `:memory:`). */
export class AuthorizationStore {
  readonly #database: DatabaseSync

  constructor(file: string) {
    this.#database = new DatabaseSync(file)
    this.#database.exec(
      `CREATE TABLE IF NOT EXISTS record (
        model TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL,
        grant_id TEXT, uid TEXT, user_code TEXT, until INTEGER NOT NULL, PRIMARY KEY (model, id))`,
    )
    this.#database.exec('CREATE INDEX IF NOT EXISTS record_grant ON record (grant_id)')
    this.#database.prepare('DELETE FROM record WHERE until <= ?').run(Date.now())
  }

  /** The storage adapter that oidc-provider asks for each of its models. */
  adapter(model: string) {
    const database = this.#database
    const find = (column: 'id' | 'uid' | 'user_code', value: string): Payload | undefined => {
      const sql = `SELECT payload FROM record WHERE model = ? AND ${column} = ? AND until > ?`
      const row = database.prepare(sql).get(model, value, Date.now())
      return row && (JSON.parse(String(row['payload'])) as Payload)
    }
    return {
      find: async (id: string) => find('id', id),
      findByUid: async (uid: string) => find('uid', uid),
      findByUserCode: async (code: string) => find('user_code', code),
      async upsert(id: string, payload: Payload, seconds?: number) {
        const until = seconds === undefined ? Number.MAX_SAFE_INTEGER : Date.now() + seconds * 1000
        const indexed = ['grantId', 'uid', 'userCode'].map((name) => {
          const value = payload[name]
          return typeof value === 'string' ? value : null
        })
        const sql = 'INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?)'
        database.prepare(sql).run(model, id, JSON.stringify(payload), ...indexed, until)
      },
      async consume(id: string) {
        const sql = `UPDATE record SET payload = json_set(payload, '$.consumed', ?) WHERE model = ? AND id = ?`
        database.prepare(sql).run(Math.floor(Date.now() / 1000), model, id)
      },
      async destroy(id: string) {
        database.prepare('DELETE FROM record WHERE model = ? AND id = ?').run(model, id)
      },
      async revokeByGrantId(grantId: string) {
        database.prepare('DELETE FROM record WHERE grant_id = ?').run(grantId)
      },
    }
  }

  close(): void {
    this.#database.close()
  }
}
