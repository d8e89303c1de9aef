/** Who may look at a run, and who may write it. Each refusal has its own code, and a foreign thread has one too. */
import type { Owner } from 'latchkey'
import type { App } from './app.ts'
import { Refusal } from './refusal.ts'
import type { RunLog, RunRow } from './run-log.ts'
import type { Asker } from './thread-types.ts'

function isOf(log: RunLog, owners: readonly Owner[]): boolean {
  const mine = log.owner()
  return mine !== undefined && owners.some(({ kind, id }) => kind === mine.kind && id === mine.id)
}

function owned(log: RunLog, nonce: string, asker: Asker): RunRow {
  const [row] = log.rows('nonce = ?', nonce)
  if (!row) throw new Refusal('run_unknown')
  if (!isOf(log, asker.owners)) throw new Refusal('run_foreign')
  return row
}

/** A run that is looked at; a device sees only what is made for it. */
export function readable(app: App, log: RunLog, nonce: string, asker: Asker): RunRow {
  const row = owned(log, nonce, asker)
  return asker.kind === 'device' ? pinned(app, row, asker) : row
}

/** Of several, those that may be looked at. */
export const readableOf = (app: App, log: RunLog, rows: readonly RunRow[], asker: Asker): RunRow[] =>
  rows.filter(
    (row) => isOf(log, asker.owners) && (asker.kind !== 'device' || deviceStatus(app, row, asker) === 200),
  )

/** A run that is written: by whoever acts for its owner, and by the device that it is made for. */
export function workable(app: App, log: RunLog, nonce: string, asker: Asker, bodyDevice?: string): RunRow {
  const row = owned(log, nonce, asker)
  if (asker.kind === 'device') return pinned(app, row, asker, bodyDevice)
  if (!isOf(log, asker.acts)) throw new Refusal('not_allowed')
  if (bodyDevice !== undefined && bodyDevice !== row.device) throw new Refusal('device_mismatch')
  return row
}

function pinned(app: App, row: RunRow, asker: Asker, bodyDevice?: string): RunRow {
  const status = deviceStatus(app, row, asker, bodyDevice)
  if (status !== 200) throw new Refusal('device_mismatch', { status })
  return row
}

/** What the core says of a device that works at a run. */
const deviceStatus = (
  app: App,
  { device: pin, status }: RunRow,
  { device }: Asker,
  bodyDevice?: string,
): number =>
  app.lk.scope.complete({
    ...(device !== undefined && { tokenDevice: device }),
    ...(bodyDevice !== undefined && { bodyDevice }),
    ...(pin !== null && { pin }),
    known: true,
    watcher: pin !== null,
    payloadGood: true,
    running: status === 'running',
  }).status
