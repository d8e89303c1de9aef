/**
 * `npm run faults`: ten callers at once on one expired connection while the provider fails, before and after the spend.
 * The shipped Worker and the baselines, against GitHub's tokens (a spent one is merely refused) and against
 * oidc-provider (a spent one ends the grant).
 *   --callers N   callers of a volley (10)
 *   --ours        the shipped Worker alone
 *   --check       ends with 1 when a bar is missed
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { readOptions } from '../../scripts/options.ts'
import type { Fault } from '../servers/faults.ts'
import { atMost, exactly, keep, numberOf, progress, show, showBars, type Bar } from './report.ts'
import { baselines, served, startStage, type Contender, type Kind, type Stage } from './stage.ts'
import { Callers, wallOf, type Hit, type Shot } from './volley.ts'

export interface Case {
  readonly name: string
  readonly faults: readonly Fault[]
  /** The provider spent the token and nobody could read the answer. */
  readonly loses: boolean
}

export const cases: readonly Case[] = [
  { name: 'reset after', faults: [{ kind: 'reset', when: 'after', times: 1 }], loses: true },
  { name: '500 after', faults: [{ kind: '500', when: 'after', times: 1 }], loses: true },
  { name: 'hang 6 s after', faults: [{ kind: 'hang', when: 'after', times: 1, ms: 6_000 }], loses: true },
  { name: 'slow 3 s', faults: [{ kind: 'slow', when: 'before', ms: 3_000 }], loses: false },
  { name: 'slow 4 s', faults: [{ kind: 'slow', when: 'after', ms: 4_000 }], loses: false },
  { name: '500 before', faults: [{ kind: '500', when: 'before', times: 1 }], loses: false },
]

export interface Trial {
  readonly kind: Kind
  readonly contender: Contender['name']
  readonly case: string
  readonly loses: boolean
  /** What the volley sent to the token endpoint, and what of it reached the provider. */
  readonly requests: number
  readonly redemptions: number
  /** Requests that presented a spent token, until all was settled. */
  readonly replays: number
  /** The grant ended because of a replay. */
  readonly killed: number
  readonly failed: number
  /** What callers without a token were told, and how often. */
  readonly told: Readonly<Record<string, number>>
  readonly wallMs: number
  /** From the volley until a caller got a token or the news that there will be none. */
  readonly settledMs: number
  readonly settled: string
}

const surfaceMs = 60_000
const lookMs = 500

/** What an answer says, in one word. */
export const wordOf = (hit: Hit): string => {
  if (served(hit)) return 'token'
  const { error, cause } = hit.body
  return [hit.status, error, cause].filter((part) => part !== undefined).join(' ')
}

const isFinal = (hit: Hit): boolean => served(hit) || hit.status === 409 || hit.status === 404

async function trial(
  { provider }: Stage,
  contender: Contender,
  { name, faults, loses }: Case,
  clients: Callers,
  callers: number,
): Promise<Trial> {
  const { control, kind } = provider
  const subject = `${contender.name}-${name.replaceAll(' ', '-')}`
  const { address } = contender.worker
  await control.setFaults([])
  await control.configure({ accessSeconds: 1, latencyMs: [0, 0] })
  await contender.connect(subject)
  await sleep(1_100)
  await control.configure({ accessSeconds: 3_600, latencyMs: [50, 300] })
  await clients.warm(address, callers)
  await control.forget()
  await control.setFaults(faults)
  const shot = contender.ask(subject)
  const hits = await clients.volley(address, Array<Shot>(callers).fill(shot))
  const began = Math.min(...hits.map((hit) => hit.began))
  const { requests, unreached } = await control.counts()

  let last = hits.find(served) ?? hits.findLast(isFinal) ?? hits[0]!
  while (!isFinal(last) && last.ended - began < surfaceMs) {
    await sleep(lookMs)
    last = (await clients.volley(address, [shot]))[0]!
  }
  await control.setFaults([])
  const { replayed, killed } = await control.counts()
  const failed = hits.filter((hit) => !served(hit))
  const told: Record<string, number> = {}
  for (const hit of failed) told[wordOf(hit)] = (told[wordOf(hit)] ?? 0) + 1
  return {
    kind,
    contender: contender.name,
    case: name,
    loses,
    requests,
    redemptions: requests - unreached,
    replays: replayed,
    killed,
    failed: failed.length,
    told,
    wallMs: wallOf(hits),
    settledMs: last.ended - began,
    settled: wordOf(last),
  }
}

export async function trials(
  stage: Stage,
  contenders: readonly Contender[],
  chosen: readonly Case[],
  callers: number,
): Promise<Trial[]> {
  const clients = new Callers(2)
  const found: Trial[] = []
  try {
    for (const one of chosen) {
      for (const contender of contenders) {
        progress(`faults: ${stage.provider.kind}, ${contender.name}, ${one.name}`)
        found.push(await trial(stage, contender, one, clients, callers))
      }
    }
  } finally {
    clients.close()
  }
  return found
}

export function faultBars(found: readonly Trial[]): Bar[] {
  const ours = found.filter(({ contender }) => contender === 'latchkey')
  return ours.flatMap(
    ({ kind, case: name, loses, redemptions, replays, killed, failed, settled, settledMs }) => {
      const what = `${kind}, ${name}`
      if (!loses) {
        return [
          exactly(`${what}: redemptions`, redemptions, 1),
          exactly(`${what}: failed callers`, failed, 0),
        ]
      }
      const named = settled.endsWith(' lost_in_flight')
      return [
        atMost(`${what}: further redemptions`, replays, kind === 'oidc' ? 0 : 1),
        exactly(`${what}: grants ended by us`, killed, 0),
        exactly(`${what}: told as lost_in_flight`, Number(named), 1),
        atMost(`${what}: seconds until it is told`, settledMs / 1_000, surfaceMs / 1_000),
      ]
    },
  )
}

export function showTrials(found: readonly Trial[]): void {
  const rows = found.map((row) => [
    `${row.kind}, ${row.case}, ${row.contender}`,
    row.redemptions,
    row.replays,
    row.killed,
    row.failed,
    row.wallMs.toFixed(0),
    row.settledMs.toFixed(0),
    row.settled,
  ])
  const heads = [
    'faults: provider, fault, who',
    'redemptions',
    'replays',
    'killed',
    'failed',
    'ms',
    'settled ms',
    '',
  ]
  show(heads, rows)
}

async function main(): Promise<void> {
  const { values } = readOptions({
    callers: { type: 'string', default: '10' },
    ours: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  })
  const callers = numberOf('callers', values.callers, 1, 200)
  const others = values.ours ? [] : baselines
  const at = new Date().toISOString()
  const runs = (['github', 'oidc'] as const).map(async (kind) => {
    const stage = await startStage({ kind, baselines: others })
    try {
      return await trials(stage, [stage.ours, ...others.map(stage.baseline)], cases, callers)
    } finally {
      await stage.close()
    }
  })
  const found = (await Promise.all(runs)).flat()
  progress('')
  showTrials(found)
  const bars = faultBars(found)
  showBars(bars)
  await keep('faults', { at, callers, trials: found, bars })
  if (values.check && bars.some(({ met }) => !met)) process.exitCode = 1
}

if (import.meta.main) await main()
