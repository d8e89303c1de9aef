// What the vectors do not say of `lk.retention`: names, defaults, the warning, whole courses of calls.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { abi } from '../src/abi.gen.ts'
import type { EraseOutcome, EraseStep, RateWindow, SweepCursor } from '../src/retention-types.ts'
import { now, openLatchkey } from './support.ts'

const { retention } = openLatchkey().api
const headers = ['run', 'retention', 'schedule', 'rate']
  .map((name) => readFileSync(new URL(`../../include/latchkey/${name}.hpp`, import.meta.url), 'utf8'))
  .join('\n')

describe('retention', () => {
  it('the names are the enumerators of the core, each at its number', () => {
    const { enums } = abi
    const names = {
      Status: enums.runStatus,
      Phase: enums.phase,
      Found: enums.found,
      Life: enums.life,
      Terminal: enums.terminal,
      Cause: enums.runCause,
      Ending: enums.ending,
      Kept: enums.kept,
      Action: enums.recovery,
      Why: enums.recoveryReason,
      Taken: enums.taken,
      Kind: enums.recordKind,
      Sweeping: enums.sweeping,
      Fate: enums.fate,
      Changed: enums.changed,
      Orphaned: enums.orphaned,
      OrphanReason: enums.orphanReason,
      LinkState: enums.linkState,
      LinkReason: enums.linkReason,
      EraseStep: enums.eraseStep,
      Erased: enums.erased,
      Erasing: enums.erasing,
      EraseReason: enums.eraseReason,
      Advance: enums.advance,
      ScheduleReason: enums.scheduleReason,
      Seen: enums.faultSeen,
      Rated: enums.rated,
      Begun: enums.begun,
      Appended: enums.appended,
    }
    const first = Object.keys(enums).indexOf('runStatus')
    assert.deepEqual(Object.values(names), Object.values(enums).slice(first))
    for (const [type, list] of Object.entries(names)) {
      const [, body] = headers.match(new RegExp(`enum class ${type} : std::uint8_t \\{([^}]*)\\}`))!
      const written = [...body!.matchAll(/(\w+) = (\d+)/g)].map(([, name, number]) => [name, Number(number)])
      const known = list.flatMap((name, number) => (name === null ? [] : [[name, number]]))
      assert.deepEqual(known, written, type)
    }
  })

  it('every kind of record has a life', () => {
    assert.deepEqual(Object.keys(retention.lifetimes), [...abi.enums.recordKind])
    for (const ms of Object.values(retention.lifetimes)) assert.ok(Number.isSafeInteger(ms) && ms > 0)
    assert.equal(retention.lifetimes.connect_link, 3_600_000)
  })

  it('T57: a setting that cannot be used is warned of once, one that is not there never', () => {
    const heard: string[] = []
    const read = (text: string | undefined) =>
      retention.setting(text, 5_000, { warn: (reason) => heard.push(reason) })
    assert.deepEqual([read('0'), read('7'), read(undefined)], [0, 7, 5_000])
    assert.deepEqual(heard, [])
    assert.deepEqual([read(''), read('-1'), read('1e999')], [5_000, 5_000, 5_000])
    assert.deepEqual(heard, ['blank', 'negative', 'not_a_number'])
  })

  it('T71: a window is stored as it is returned', () => {
    let window: RateWindow | undefined
    const allowed: boolean[] = []
    for (let i = 0; i < 7; i++) {
      const rate = retention.rateLimit(window, true, now + i)
      window = rate.window
      allowed.push(rate.allow)
    }
    assert.deepEqual(allowed, [true, true, true, true, true, false, false])
    // What is not exactly free is charged.
    const unclear = retention.rateLimit(window, undefined as unknown as boolean, now + 8)
    assert.equal(unclear.allow, false)
  })

  it('T65: a sweep goes from batch to batch, pauses, and ends', () => {
    const rows: Record<string, number> = { run: 450, delivery: 30 }
    let cursor: SweepCursor | undefined
    let removed = 0
    let pauses = 0
    for (let calls = 0; ; calls++) {
      assert.ok(calls < 100)
      const plan = retention.sweep(['run', 'delivery'], cursor, removed, now, { rows: 300, batch: 100 })
      cursor = plan.cursor
      removed = 0
      if (plan.action === 'finished') break
      if (plan.action === 'paused') pauses += 1
      if (plan.action !== 'batch') continue
      removed = Math.min(plan.limit, rows[plan.kind]!)
      rows[plan.kind]! -= removed
    }
    assert.deepEqual(rows, { run: 0, delivery: 0 })
    assert.equal(pauses, 1)
  })

  it('T67: in a real store a schedule advances once for every run, however it ends and whoever says so again', () => {
    const minute = 60_000
    const ends = ['success', 'failure', 'bad payload', 'duplicate'] as const
    for (const first of ends)
      for (const second of ends) {
        const database = new DatabaseSync(':memory:')
        database.exec('CREATE TABLE feed (running INTEGER, slot INTEGER, next INTEGER, advances INTEGER)')
        database.prepare('INSERT INTO feed VALUES (1, ?, ?, 0)').run(now, now)
        const end = (by: string, at: number, every = '15m'): string => {
          database.exec('BEGIN IMMEDIATE')
          // A bad payload fails the run; it ends all the same.
          const { changes } = database.prepare('UPDATE feed SET running = 0 WHERE running = 1').run()
          const { slot } = database.prepare('SELECT slot FROM feed').get() as { slot: number | null }
          const due = { every, anchor: now, matched: changes === 1, ...(slot !== null && { slot }) }
          const { action, nextAt } = retention.schedule(due, at)
          if (action !== 'none')
            database.prepare('UPDATE feed SET next = ?, advances = advances + 1').run(nextAt ?? null)
          database.exec('COMMIT')
          return `${by}: ${action}`
        }
        const state = () => database.prepare('SELECT next, advances FROM feed').get() as object
        assert.equal(end(first, now + minute), `${first}: tick`)
        assert.equal(end(second, now + 16 * minute), `${second}: none`)
        assert.deepEqual({ ...state() }, { next: now + 15 * minute, advances: 1 })
        // Runs by hand have no slot: any number of them before the next tick skips none.
        for (let runs = 0; runs < 3; runs += 1) {
          database.exec('UPDATE feed SET running = 1, slot = NULL')
          end(first, now + (2 + runs) * minute)
          assert.deepEqual({ ...state() }, { next: now + 15 * minute, advances: 2 + runs })
        }
        // A schedule that cannot be read waits for somebody, and does not fire.
        database.exec('UPDATE feed SET running = 1')
        assert.equal(end(second, now + minute, '* * * * *'), `${second}: parked`)
        assert.deepEqual({ ...state() }, { next: null, advances: 5 })
        database.close()
      }
  })

  it('T49: an erasure is carried out by its own answers, and tried again where it failed', () => {
    const outcomes: { [step in EraseStep]?: EraseOutcome } = {}
    const taken: EraseStep[] = []
    let failures = 2
    for (;;) {
      const plan = retention.erase(outcomes)
      if (plan.action === 'finished') {
        assert.deepEqual(plan.receipt, { erased: [...abi.enums.eraseStep], failed: [] })
        break
      }
      if (plan.action === 'again') {
        for (const step of plan.receipt.failed) delete outcomes[step]
        continue
      }
      taken.push(plan.step!)
      outcomes[plan.step!] = plan.step === 'runs' && failures-- > 0 ? 'failed' : 'done'
    }
    assert.deepEqual(taken, [...abi.enums.eraseStep, 'runs', 'runs'])
  })
})
