/** The short forms: the whole of it is `npm run storm`, `npm run faults` and `npm run chaos`. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { chaos, chaosBars } from './chaos.ts'
import { cases, faultBars, trials, type Case } from './faults.ts'
import type { Fault } from '../servers/faults.ts'
import type { Bar } from './report.ts'
import { startStage } from './stage.ts'
import { mixedLoad, storm, stormBars } from './storm.ts'

const missed = (bars: readonly Bar[]): string[] =>
  bars.filter(({ met }) => !met).map(({ what, measured, bar }) => `${what}: ${measured}, not ${bar}`)
/** A ratio of times says nothing on a machine that does other things meanwhile. */
const counted = (bars: readonly Bar[]): Bar[] => bars.filter(({ what }) => !what.includes('wall time'))

describe('a storm', () => {
  test(
    '200 callers in four processes and 100 connections under mixed load',
    { timeout: 120_000 },
    async () => {
      const callers = 200
      const stage = await startStage({ kind: 'github' })
      try {
        const rounds = await storm(stage, [stage.ours], { rounds: 2, callers, processes: 4 })
        const load = await mixedLoad(stage, 100)
        assert.deepEqual(missed(counted(stormBars(rounds, callers, load))), [])
      } finally {
        await stage.close()
      }
    },
  )
})

describe('a failing provider', { concurrency: true }, () => {
  const short: readonly Case[] = cases.filter(({ name }) => name !== 'slow 4 s')
  for (const kind of ['github', 'oidc'] as const) {
    test(`${kind}: ${short.map(({ name }) => name).join(', ')}`, { timeout: 240_000 }, async () => {
      const stage = await startStage({ kind })
      try {
        assert.deepEqual(missed(faultBars(await trials(stage, [stage.ours], short, 10))), [])
      } finally {
        await stage.close()
      }
    })
  }
})

describe('a 500 before the spend where a replay ends the grant', { concurrency: true }, () => {
  const failure = { kind: '500', when: 'before', times: 1 } as const
  const unsettled = async (provider: object, faults: readonly Fault[]): Promise<void> => {
    const stage = await startStage({ kind: 'oidc', provider: () => ({ ...provider }) })
    try {
      // Nobody can say that the token is unspent, so it is lost, and not sent again.
      const chosen = { name: 'unsettled', faults, loses: true }
      assert.deepEqual(missed(faultBars(await trials(stage, [stage.ours], [chosen], 10))), [])
    } finally {
      await stage.close()
    }
  }
  test('and the server has no introspection', { timeout: 120_000 }, () =>
    unsettled({ introspectionUrl: undefined }, [failure]),
  )
  test('and the introspection fails', { timeout: 120_000 }, () =>
    unsettled({}, [failure, { kind: '500', when: 'before', on: 'introspection' }]),
  )
  test('and the introspection hangs beyond the deadline', { timeout: 120_000 }, () =>
    unsettled({}, [failure, { kind: 'hang', when: 'before', on: 'introspection', ms: 15_000 }]),
  )
  test('and the introspection is cut off', { timeout: 120_000 }, () =>
    unsettled({}, [failure, { kind: 'truncated', when: 'after', on: 'introspection' }]),
  )
})

describe('a Worker that is killed again and again', () => {
  test('20 kills, 500 refreshes', { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-chaos-'))
    const options = {
      kind: 'github',
      who: 'latchkey',
      kills: 20,
      refreshes: 500,
      connections: 60,
      history: join(folder, 'history.jsonl'),
    } as const
    const findings = await chaos(options)
    assert.deepEqual(findings.violations.slice(0, 10), [])
    assert.deepEqual(missed(chaosBars(findings, options)), [])
    await rm(folder, { recursive: true })
  })
})
