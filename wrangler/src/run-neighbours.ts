/** Whom a thread tells of its runs: who finds an owner's threads, connections that runs use, the index of operators. */
import type { App } from './app.ts'
import { vaultName, type ConnectionKey } from './names.ts'
import { ownerIndexOf } from './owner-index.ts'
import { indexRun } from './run-index.ts'
import { longestRecordMs, longestRunMs, never, type RunLog, type RunRow } from './run-log.ts'
import type { StartRequest } from './thread-types.ts'

/** Whoever looks for what an owner has finds the thread. */
export async function enter({ env, config }: App, { owner, thread }: StartRequest): Promise<void> {
  const index = ownerIndexOf(env, 'threads', config.baseUrl, owner)
  await index.add(thread, Date.now() + longestRunMs)
}

/** The connections that a run uses learn who is to be told of their end. */
export async function watchConnections(
  { env, config }: App,
  run: string,
  uses: readonly ConnectionKey[],
): Promise<void> {
  const until = Date.now() + longestRunMs
  await Promise.all(uses.map((key) => env.VAULT.getByName(vaultName(config.baseUrl, key)).watch(run, until)))
}

/** And that nobody is any more. */
export async function unwatchConnections(
  { env, config }: App,
  run: string,
  uses: readonly ConnectionKey[],
): Promise<void> {
  await Promise.all(uses.map((key) => env.VAULT.getByName(vaultName(config.baseUrl, key)).unwatch(run)))
}

/** Writes what the index does not say yet. On failure the alarm tries again. */
export async function indexAll(app: App, log: RunLog, idOf: (row: RunRow) => string): Promise<void> {
  const owner = log.owner()
  if (!owner || !app.env.INDEX) return
  const hash = app.lk.guard.key(['owner', owner.kind, owner.id])
  for (const row of log.rows('indexed = 0')) {
    try {
      await indexRun(
        app.env,
        {
          id: idOf(row),
          owner: hash,
          thread: owner.thread,
          status: row.status,
          cause: row.cause,
          started: row.started_at,
          ended: row.completed_at,
        },
        row.due_at === never ? row.started_at + longestRecordMs : row.due_at,
      )
      log.indexed(row.n, row.status)
    } catch {
      console.warn(JSON.stringify({ event: 'run_not_indexed' }))
      return
    }
  }
}
