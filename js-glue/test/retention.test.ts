// What the vectors do not say of `lk.retention`: names, defaults, the warning, whole courses of calls.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
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
