/** PostgreSQL as the tests use it: started, swapped on a version from Node and from workerd, ended without a trace. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import postgres, { type Sql } from 'postgres'
import { createTestHarness } from 'wrangler'
import { startPostgres, type PostgresServer } from './postgres.ts'

// The local runtime would ask the internet for the place it runs at.
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false'
process.env['WRANGLER_SEND_METRICS'] = 'false'

const callers = 20

async function prepare(sql: Sql): Promise<void> {
  await sql`CREATE TABLE row_with_version (id text PRIMARY KEY, version integer NOT NULL, value text NOT NULL)`
}

const insert = (sql: Sql, id: string) => sql`INSERT INTO row_with_version VALUES (${id}, 1, 'first')`

const gone = (pid: number): void => {
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
}

for (const round of ['once', 'and once more']) {
  test(`starts and ends, ${round}`, async () => {
    const server = await startPostgres()
    const { pid, socketFolder } = server
    const sql = postgres(server.url, { max: 1 })
    const [row] = await sql<{ server_version: string }[]>`SHOW server_version`
    assert.match(row?.server_version ?? '', /^\d+\./)
    assert.notEqual(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1], '0')
    await sql.end()
    await server.close()
    gone(pid)
    assert.equal(existsSync(socketFolder), false)
  })
}

test('two servers at once do not know each other', async () => {
  const [one, two] = await Promise.all([startPostgres(), startPostgres()])
  assert.notEqual(one.port, two.port)
  const sql = postgres(one.url, { max: 1 })
  await prepare(sql)
  const other = postgres(two.url, { max: 1 })
  await assert.rejects(other`SELECT * FROM row_with_version`, { code: '42P01' })
  await Promise.all([sql.end(), other.end()])
  await Promise.all([one.close(), two.close()])
})

test('nobody gets in without the password', async () => {
  const server = await startPostgres()
  const sql = postgres({ host: server.host, port: server.port, user: server.user, password: 'wrong', max: 1 })
  await assert.rejects(sql`SELECT 1`, { code: '28P01' })
  const socket = postgres({
    path: `${server.socketFolder}/.s.PGSQL.${server.port}`,
    user: server.user,
    password: server.password,
    database: server.database,
    max: 1,
  })
  assert.equal((await socket`SELECT 1 AS one`)[0]?.['one'], 1)
  await Promise.all([sql.end(), socket.end()])
  await server.close()
})

describe('one server', () => {
  let server: PostgresServer
  let sql: Sql
  before(async () => {
    server = await startPostgres({ durable: true })
    sql = postgres(server.url, { max: callers, onnotice: () => undefined })
    await prepare(sql)
  })
  after(async () => {
    await sql.end()
    await server.close()
  })

  test('a swap on the version is won once, from Node', async () => {
    await insert(sql, 'node')
    const results = await Promise.all(
      Array.from(
        { length: callers },
        (_, caller) => sql<{ version: number }[]>`
          UPDATE row_with_version SET value = ${`caller ${caller}`}, version = version + 1
          WHERE id = 'node' AND version = 1 RETURNING version`,
      ),
    )
    assert.deepEqual(
      results.filter(({ length }) => length > 0).map((rows) => [...rows]),
      [[{ version: 2 }]],
    )
  })

  test('what was acknowledged survives a crash', async () => {
    await insert(sql, 'crash')
    const { pid, port } = server
    await server.restart('crash')
    assert.notEqual(server.pid, pid)
    assert.equal(server.port, port)
    assert.match(server.log(), /redo|recovery/)
    const again = postgres(server.url, { max: 1 })
    assert.equal((await again`SELECT value FROM row_with_version WHERE id = 'crash'`)[0]?.['value'], 'first')
    await again.end()
  })

  describe('from workerd', () => {
    let worker: ReturnType<typeof createTestHarness>
    before(async () => {
      worker = createTestHarness({
        workers: [
          {
            config: {
              name: 'postgres-worker',
              main: fileURLToPath(new URL('postgres-worker.ts', import.meta.url)),
              compatibility_date: '2026-10-01',
              compatibility_flags: ['nodejs_compat'],
              vars: { DATABASE_URL: server.url },
              hyperdrive: [{ binding: 'HYPERDRIVE', id: 'local', localConnectionString: server.url }],
            },
          },
        ],
      })
      await worker.listen()
    })
    after(() => worker.close())

    const swap = async (fields: Record<string, string>) => {
      const response = await worker.fetch(`/?${new URLSearchParams({ version: '1', ...fields })}`)
      return { status: response.status, body: (await response.json()) as unknown }
    }

    for (const way of ['socket', 'hyperdrive']) {
      test(`a swap on the version is won once, through ${way}`, async () => {
        await insert(sql, way)
        const answers = await Promise.all(
          Array.from({ length: callers }, (_, caller) =>
            swap({ id: way, value: `caller ${caller}`, ...(way === 'hyperdrive' && { hyperdrive: '' }) }),
          ),
        )
        assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
        const won = answers.map(({ body }) => body as { version: number; value: string }[]).flat()
        assert.deepEqual(
          won.map(({ version }) => version),
          [2],
        )
        const [row] = await sql<{ value: string }[]>`SELECT value FROM row_with_version WHERE id = ${way}`
        assert.equal(row?.value, won[0]?.value)
      })
    }

    test('a session that is ended in the middle is an error, not silence', async () => {
      await insert(sql, 'ended')
      const answer = swap({ id: 'ended', value: 'never', sleep: '10' })
      const end = async () =>
        await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'`
      while ((await end()).length === 0) await sleep(50)
      assert.deepEqual(await answer, { status: 503, body: { code: 'CONNECTION_CLOSED' } })
      assert.equal((await sql`SELECT value FROM row_with_version WHERE id = 'ended'`)[0]?.['value'], 'first')
    })

    test('a server that is away is an error, and its return is enough', async () => {
      await insert(sql, 'away')
      const began = Date.now()
      const restarted = server.restart('crash')
      const answer = await swap({ id: 'away', value: 'maybe' })
      assert.ok(answer.status === 503 || answer.status === 200)
      assert.ok(Date.now() - began < 10_000)
      await restarted
      const version = String((await postgresVersion('away')) ?? '')
      assert.equal((await swap({ id: 'away', value: 'back', version })).status, 200)
    })

    const postgresVersion = async (id: string) =>
      (await sql<{ version: number }[]>`SELECT version FROM row_with_version WHERE id = ${id}`)[0]?.version
  })
})
