/** The store in PostgreSQL: a real server, a connection that is cut at the worst moment, a server that crashes. */
import assert from 'node:assert/strict'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { load } from 'latchkey'
import { postgresStore, schema } from 'latchkey/stores/postgres'
import postgres, { type Sql } from 'postgres'
import { startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { cases, record, type Bench } from './conformance.ts'
import { driverCases } from './driver.ts'

/** What a server says when a write has been done, and that is when the connection is cut: it is never heard. */
const commandComplete = /(?:INSERT 0|UPDATE|DELETE) 1\0/

/** Stands before the server and cuts connections: when a write is asked for, or when it has been done. */
class Proxy {
  readonly #target: () => number
  readonly #server: Server
  cut: 'nothing' | 'next question' | 'next answer' = 'nothing'

  constructor(target: () => number) {
    this.#target = target
    this.#server = createServer((client) => this.#accept(client))
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    assert.ok(typeof address === 'object' && address !== null)
    return address.port
  }

  close(): void {
    this.#server.close()
  }

  #accept(client: Socket): void {
    const server = connect(this.#target(), '127.0.0.1')
    const end = (): void => {
      client.destroy()
      server.destroy()
    }
    const cutting = (what: string, data: Buffer, pattern: RegExp): boolean => {
      if (this.cut !== what || !pattern.test(data.toString('latin1'))) return false
      this.cut = 'nothing'
      end()
      return true
    }
    client.on('data', (data) => {
      if (!cutting('next question', data, /INSERT INTO|UPDATE |DELETE FROM/)) server.write(data)
    })
    server.on('data', (data) => {
      if (!cutting('next answer', data, commandComplete)) client.write(data)
    })
    for (const socket of [client, server]) socket.on('close', end).on('error', end)
  }
}

const queryOf = (sql: Sql) => (text: string, values: unknown[]) => sql.unsafe(text, values as never[])

describe('PostgreSQL', () => {
  let server: PostgresServer
  let proxy: Proxy
  let sql: Sql
  let through: Sql
  let bench: Bench
  const migrate = async (): Promise<void> => {
    for (const statement of schema) await sql.unsafe(statement)
  }

  before(async () => {
    server = await startPostgres({ durable: true })
    proxy = new Proxy(() => server.port)
    const port = await proxy.listen()
    const { host, user, password, database } = server
    const options = { user, password, database, max: 10, backoff: () => 0.05, onnotice: () => undefined }
    sql = postgres({ ...options, host, port: server.port })
    through = postgres({ ...options, host: '127.0.0.1', port })
    await migrate()
    bench = {
      lk: await load(),
      migrate,
      async crash() {
        await server.restart('crash')
        // The pools notice with the next query of each connection that was open.
        for (const pool of [sql, through]) {
          for (let n = 0; n < 20; n += 1) await pool`SELECT 1`.catch(() => undefined)
        }
      },
      async open(key) {
        const store = postgresStore(queryOf(through), { key })
        return {
          store,
          other: postgresStore(queryOf(sql), { key, signal: 'process' }),
          loseAnswer: () => {
            proxy.cut = 'next answer'
          },
          refuse: () => {
            proxy.cut = 'next question'
          },
          async spoil(column) {
            const text = JSON.stringify(key)
            if (column === 'row')
              await sql`UPDATE latchkey_connection SET row = '\\x0102' WHERE key = ${text}`
            else if (column === 'epoch')
              await sql`UPDATE latchkey_connection SET epoch = epoch + 5 WHERE key = ${text}`
            else await sql`UPDATE latchkey_connection SET ${sql(column)} = 'spoilt' WHERE key = ${text}`
          },
        }
      },
    }
  })
  after(async () => {
    await Promise.all([sql.end({ timeout: 0 }), through.end({ timeout: 0 })])
    proxy.close()
    await server.close()
  })

  for (const { name, run } of cases) test(name, () => run(bench, ['store', name]))
  for (const { name, run } of driverCases) test(name, () => run(bench, ['driver', name]))

  test('what the server refuses was certainly not written; a server that is gone was never asked', async () => {
    const { host, port, user, password, database } = server
    const readOnly = postgres({
      host,
      port,
      user,
      password,
      database,
      max: 1,
      connection: { default_transaction_read_only: true },
    })
    const refusing = postgresStore(queryOf(readOnly), { key: ['refused'] })
    assert.equal(await refusing.write({ is: 'absent' }, record()), 'failed')
    assert.equal(await refusing.read(), undefined)
    await readOnly.end()
    const nobody = postgres({ host, port: 1, user, password, database, max: 1, connect_timeout: 2 })
    const unreachable = postgresStore(queryOf(nobody), { key: ['refused'] })
    assert.equal(await unreachable.write({ is: 'absent' }, record()), 'failed')
    await assert.rejects(async () => await unreachable.read())
    await nobody.end({ timeout: 0 })
  })

  test('errors of a connection that ends leave it open', async () => {
    for (const [code, written] of [
      ['08006', 'unknown'],
      ['57P01', 'unknown'],
      ['40003', 'unknown'],
      ['XX000', 'unknown'],
      ['58030', 'unknown'],
      ['CONNECTION_CLOSED', 'unknown'],
      ['ECONNRESET', 'unknown'],
      [undefined, 'unknown'],
      ['40001', 'failed'],
      ['53300', 'failed'],
      ['25006', 'failed'],
      ['57014', 'failed'],
      ['ECONNREFUSED', 'failed'],
    ] as const) {
      const store = postgresStore(() => Promise.reject(Object.assign(new Error('no'), { code })), { key: [] })
      assert.equal(await store.write({ is: 'absent' }, record()), written, code)
    }
  })
})
