/** Any order of what writers, readers and clocks do, held against a model that is a list. */
import { reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import fc from 'fast-check'
import type { RunEvent } from 'latchkey/runs'
import { afterEach, expect, test, vi } from 'vitest'
import { threadName } from '../../wrangler/src/names.ts'
import type { Asker, Said } from '../../wrangler/src/thread.ts'
import { bindings } from './harness.ts'
import { baseUrl } from './variables.ts'

afterEach(() => {
  vi.useRealTimers()
})

const owner = { kind: 'user', id: 'alex' } as const
const asker: Asker = { owners: [owner], acts: [owner], kind: 'service' }
const name = threadName(baseUrl, owner, 't')
const thread = () => bindings.THREAD.getByName(name)
const start = (clientKey: string) =>
  thread().start({ name, owner, thread: 't', clientKey, background: true, uses: [] })

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write'),
      key,
      data: fc.constantFrom(1, 2),
      after: fc.option(fc.nat(8)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('beat') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('finish', 'abort') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('start'), key }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('clock'), ms: fc.integer({ min: -86_400_000, max: 100_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('alarm') }) },
)
type Step = { do: string; key?: string; data?: number; after?: number | null; ms?: number }

const codeOf = (said: Said<unknown>): string | undefined => (said.ok ? undefined : said.code)

async function logOf(nonce: string): Promise<RunEvent[]> {
  const response = await thread().fetch(`http://thread.invalid/?run=${nonce}&after=0`, {
    headers: { 'x-latchkey-asker': JSON.stringify(asker) },
  })
  const text = await response.text()
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as RunEvent)
}

test(
  'order, duplicates, late events, a clock that goes backwards: one log, one end, one run for each key',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps: Step[]) => {
        await reset()
        let now = 1_800_000_000_000
        vi.useFakeTimers({ toFake: ['Date'], now })
        const first = await start('run')
        if (!first.ok) throw new Error(first.code)
        const { runKeyOf } = await import('../../wrangler/src/names.ts')
        const { nonce } = runKeyOf(first.value.runId)!
        const model: { key: string; data: number }[] = []
        const runs = new Map([['run', first.value.runId]])
        for (const { do: verb, ...facts } of steps) {
          const view = await thread().view(nonce, asker)
          // Whatever has ended it: silence too, as of when it is looked at.
          let live = view.ok && view.value.status === 'running'
          switch (verb) {
            case 'clock':
              vi.setSystemTime((now += facts.ms!))
              break
            case 'alarm':
              await runDurableObjectAlarm(thread())
              break
            case 'beat':
              await thread().heartbeat(nonce, asker, { process: false })
              break
            case 'finish':
            case 'abort': {
              const said =
                verb === 'finish'
                  ? await thread().finish(nonce, asker, { kind: 'done' })
                  : await thread().abort(nonce, asker)
              expect(said.ok && said.value.status).not.toBe('running')
              break
            }
            case 'start': {
              const said = await start(facts.key!)
              const known = runs.get(facts.key!)
              if (known !== undefined)
                expect(said).toMatchObject({ ok: true, value: { runId: known, created: false } })
              else if (said.ok) runs.set(facts.key!, said.value.runId)
              else expect(said.code).toBe('run_active')
              break
            }
            case 'write': {
              const { key: k, data, after } = facts as { key: string; data: number; after: number | null }
              const events = [{ key: k, type: 'step', data: JSON.stringify(data) }]
              const said = await thread().append(nonce, asker, events, after ?? undefined)
              const ended = await thread().view(nonce, asker)
              live = ended.ok && ended.value.status === 'running'
              const at = model.findIndex((entry) => entry.key === k)
              if (at >= 0 && model[at]!.data !== data) expect(codeOf(said)).toBe('event_conflict')
              else if (at >= 0)
                expect(said).toMatchObject({
                  ok: true,
                  value: { events: [{ seq: at + 1, duplicate: true }] },
                })
              else if (!live) expect(codeOf(said)).toBe('run_ended')
              else if (after !== null && after !== model.length)
                expect(codeOf(said)).toBe('event_out_of_order')
              else {
                model.push({ key: k, data })
                expect(said).toMatchObject({ ok: true, value: { lastSeq: model.length } })
              }
              break
            }
          }
        }
        // Whatever happened, it ends; and in the log stands what was taken, in that order, and one end.
        for (let alarms = 0; alarms < 50; alarms += 1) {
          const seen = await thread().view(nonce, asker)
          if (!seen.ok || seen.value.status !== 'running') break
          const due = await runInDurableObject(thread(), (_, { storage }) => storage.getAlarm())
          vi.setSystemTime((now = Math.max(now, due ?? now)))
          await runDurableObjectAlarm(thread())
        }
        const log = await logOf(nonce)
        expect(log.map(({ seq }) => seq)).toEqual(log.map((_, n) => n + 1))
        expect(log.filter(({ end }) => end !== undefined)).toHaveLength(1)
        expect(log.at(-1)?.end).toBeDefined()
        expect(log.slice(0, -1).map(({ data }) => data)).toEqual(model.map(({ data }) => data))
        expect(await logOf(nonce)).toEqual(log)
        expect(new Set(runs.values()).size).toBe(runs.size)
      }),
      { numRuns: 40 },
    )
  },
)
