/** Counts what goes to the storage of every object of this isolate, statements that write and rows they wrote. */
const counts = { statements: 0, rows: 0, alarms: 0 }
let counting = false

export const written = (): Readonly<typeof counts> => ({ ...counts })

/** The first object's storage leads to what all of them share. */
export function countWrites(storage: DurableObjectStorage): void {
  if (counting) return
  counting = true
  const sql = Object.getPrototypeOf(storage.sql) as SqlStorage
  const { exec } = sql
  sql.exec = function (this: SqlStorage, ...statement: Parameters<SqlStorage['exec']>) {
    const cursor = exec.apply(this, statement)
    // A schema that stands already writes nothing.
    if (cursor.rowsWritten > 0) {
      counts.statements += 1
      counts.rows += cursor.rowsWritten
    }
    return cursor
  } as SqlStorage['exec']
  const prototype = Object.getPrototypeOf(storage) as DurableObjectStorage
  for (const name of ['setAlarm', 'deleteAlarm'] as const) {
    const method = prototype[name] as (...parameters: unknown[]) => Promise<void>
    prototype[name] = function (this: DurableObjectStorage, ...parameters: unknown[]) {
      counts.alarms += 1
      return method.apply(this, parameters)
    }
  }
}
