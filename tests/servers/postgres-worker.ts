/** A Worker that swaps a row on its version, through a socket of its own or through Hyperdrive. */
import postgres from 'postgres'

interface Env {
  readonly DATABASE_URL: string
  readonly HYPERDRIVE: { readonly connectionString: string }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const query = new URL(request.url).searchParams
    const url = query.has('hyperdrive') ? env.HYPERDRIVE.connectionString : env.DATABASE_URL
    // One connection for one request: workerd ends a socket with the request that opened it.
    const sql = postgres(url, { max: 1, fetch_types: false, connect_timeout: 3 })
    const seconds = Number(query.get('sleep') ?? 0)
    try {
      if (seconds > 0) await sql`SELECT pg_sleep(${seconds})`
      const rows = await sql<{ version: number; value: string }[]>`
        UPDATE row_with_version SET value = ${query.get('value')}, version = version + 1
        WHERE id = ${query.get('id')} AND version = ${Number(query.get('version'))}
        RETURNING version, value`
      return Response.json(rows)
    } catch (error) {
      const { code = '' } = error as { code?: string }
      return Response.json({ code }, { status: 503 })
    } finally {
      await sql.end({ timeout: 0 })
    }
  },
}
