/**
 * `npm run chaos`: workerd is killed again and again, at random and at the moments of a refresh that hurt most, while
 * everybody goes on asking. Everything is written down; the checker judges the file.
 *   --kills N         SIGKILLs (240)
 *   --refreshes N     goes on until there were so many (10000)
 *   --connections N   (150)
 *   --provider P      github or oidc (github)
 *   --who W           latchkey, or a baseline for comparison: lease, unlocked (latchkey)
 *   --history FILE    where the history goes (build/chaos-<who>-<provider>.jsonl)
 *   --check           ends with 1 when the checker refuses
 */
import { mkdir } from 'node:fs/promises'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readOptions } from '../../scripts/options.ts'
import type { Listener } from '../servers/http.ts'
import { check, readHistory, showFindings, type Findings } from './check.ts'
import { digest, Recorder, type Ask, type Told } from './history.ts'
import { atLeast, exactly, keep, numberOf, progress, showBars, type Bar } from './report.ts'
import { inParallel, startStage, type Contender, type Kind, type Stage } from './stage.ts'
import { moments, startTap, type Moment } from './tap.ts'
import { shoot, type Hit } from './volley.ts'

export interface ChaosOptions {
  readonly kind: Kind
  readonly who: 'latchkey' | 'lease' | 'unlocked'
  readonly kills: number
  readonly refreshes: number
  readonly connections: number
  readonly history: string
}

/**
 * A reply must be on the disk so soon after it was delivered, or it may not be lost: what a busy machine takes to let
 * the Worker read it and write it.
 */
const windowMs = 1_000
/** The policy's default. */
const leaseMs = 15_000
const baselineLeaseMs = 2_000
const surfaceMs = 60_000
const settleMs = 75_000
/** Short lives: every connection is refreshed again and again without being forced. */
const accessSeconds = 2
const latencyMs = [5, 40] as const
const livesMs = [150, 900] as const
const downMs = 40
const sentMs = 8
const momentMs = 3_000

const between = ([least, most]: readonly [number, number]): number => least + Math.random() * (most - least)
const chance = (share: number): boolean => Math.random() < share

class Chaos {
  readonly #options: ChaosOptions
  readonly #recorder: Recorder
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 512 })
  #stage!: Stage
  #tap: Listener | undefined
  #contender!: Contender
  /** Resolved while the Worker runs. */
  #up: Promise<void> = Promise.resolve()
  #isUp: (() => void) | undefined
  #next: Moment | undefined
  #killed: (() => void) | undefined
  #kills = 0
  #refreshes = 0
  #ops = 0
  /** Calls that a baseline's logins stand for. */
  #calls = -1
  #over = false

  constructor(options: ChaosOptions) {
    this.#options = options
    this.#recorder = new Recorder(options.history)
  }

  async run(): Promise<void> {
    const { kind, who, connections } = this.#options
    const reuse = kind === 'oidc' ? 'family' : 'refused'
    this.#recorder.write({
      e: 'run',
      who,
      reuse,
      windowMs,
      surfaceMs,
      leaseMs: who === 'latchkey' ? leaseMs : baselineLeaseMs,
    })
    this.#stage = await startStage({
      kind,
      settings: { accessSeconds, latencyMs },
      baselines: who === 'latchkey' ? [] : [who],
      between: async (address) => {
        this.#tap = await startTap(address, this.#recorder, (moment) => this.#moment(moment))
        return this.#tap.address
      },
    })
    this.#contender = who === 'latchkey' ? this.#stage.ours : this.#stage.baseline(who)
    try {
      const people = Array.from({ length: connections }, (_, n) => new Person(`chaos-${n}`))
      await inParallel(people, 8, (person) => this.#login(person))
      const killing = this.#killAgainAndAgain()
      await Promise.all([killing, ...people.map((person) => this.#live(person))])
      await this.#settle(people)
      await this.#copyBook()
      this.#recorder.write({ e: 'end' })
    } finally {
      this.#over = true
      await this.#tap?.close()
      await this.#stage.close()
      this.#agent.destroy()
      await this.#recorder.close()
    }
  }

  // The Worker's process ------------------------------------------------------------------------

  #moment(moment: Moment): boolean {
    if (moment === 'committed') this.#refreshes += 1
    if (this.#next !== moment) return false
    this.#next = undefined
    if (moment !== 'sent') this.#kill(moment)
    // A reply that was sent is being read: the kill comes at any time while it is worked on.
    else setTimeout(() => this.#kill(moment), Math.random() * sentMs)
    return moment !== 'sent'
  }

  async #killAgainAndAgain(): Promise<void> {
    const { kills, refreshes } = this.#options
    while (this.#kills < kills || this.#refreshes < refreshes) {
      await sleep(between(livesMs))
      progress(`chaos: ${this.#kills} of ${kills} kills, ${this.#refreshes} of ${refreshes} refreshes`)
      if (this.#kills >= kills) continue
      const { promise: killed, resolve } = Promise.withResolvers<void>()
      this.#killed = resolve
      const moment = [...moments, 'random' as const][this.#kills % (moments.length + 1)]
      if (moment === 'random') this.#kill('random')
      else {
        this.#next = moment
        await Promise.race([killed, sleep(momentMs)])
        if (this.#next !== undefined) {
          // Nobody refreshes.
          this.#next = undefined
          this.#kill('random')
        }
      }
      await killed
      await sleep(Math.random() * downMs)
      await this.#contender.worker.start()
      this.#recorder.write({ e: 'up' })
      this.#isUp?.()
    }
    this.#over = true
  }

  #kill(when: string): void {
    this.#contender.worker.kill()
    this.#kills += 1
    this.#recorder.write({ e: 'killed', when })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#up = promise
    this.#isUp = resolve
    this.#killed?.()
  }

  // The people ----------------------------------------------------------------------------------

  async #live(person: Person): Promise<void> {
    while (!this.#over) {
      await this.#up
      await this.#burst(person)
      if (person.needsLogin) await this.#login(person)
      else if (chance(0.01) && this.#options.who === 'latchkey') await this.#disconnect(person)
      await sleep(between([20, 250]))
    }
  }

  /** One to three callers at once, sometimes by force. */
  async #burst(person: Person): Promise<void> {
    const callers = 1 + Math.floor(Math.random() * 3)
    await Promise.all(
      Array.from({ length: callers }, async () => {
        const { generation } = person
        const forced = generation !== undefined && chance(0.2)
        await (forced ? this.#ask(person, 'rotate', { generation }) : this.#ask(person, 'token'))
      }),
    )
  }

  async #ask(person: Person, verb: 'token' | 'rotate', body?: object): Promise<Outcome> {
    const op = this.#begin(person, verb)
    const hit = await shoot(
      this.#agent,
      this.#contender.worker.address,
      this.#contender.ask(person.subject, verb, body),
    )
    const told = outcomeOf(hit)
    this.#recorder.write({ e: 'told', op, ...told })
    person.saw(told)
    return told
  }

  async #login(person: Person): Promise<void> {
    while (!this.#over || person.needsLogin) {
      await this.#up
      const op = this.#begin(person, 'login')
      let happened = true
      await this.#contender
        .connect(person.subject, {
          code: (code) => this.#recorder.write({ e: 'code', op, code: digest(code) }),
          pair: ({ accessToken, refreshToken }) => {
            const code = digest(refreshToken)
            const call = this.#calls--
            this.#recorder.write({ e: 'code', op, code })
            this.#recorder.write({ e: 'sent', call, code })
            this.#recorder.write({ e: 'passed', call })
            this.#recorder.write({
              e: 'bought',
              call,
              access: digest(accessToken),
              refresh: digest(refreshToken),
            })
            this.#recorder.write({ e: 'delivered', call })
          },
        })
        .catch(() => (happened = false))
      this.#recorder.write({ e: 'told', op, outcome: happened ? 'connected' : 'cut' })
      if (!happened) continue
      person.needsLogin = false
      return
    }
  }

  async #disconnect(person: Person): Promise<void> {
    const { ours, provider } = this.#stage
    const op = this.#begin(person, 'disconnect')
    const shot = ours.request(person.subject, 'DELETE', `/api/connections/${provider.kind}`)
    const { status, body } = await shoot(this.#agent, ours.worker.address, shot)
    const deleted = status === 200 && body['deleted'] === true
    this.#recorder.write({ e: 'told', op, outcome: deleted ? 'disconnected' : 'cut' })
    if (!deleted) return
    await Promise.all([this.#ask(person, 'token'), this.#ask(person, 'token')])
    await this.#login(person)
  }

  #begin({ subject }: Person, verb: Ask['verb']): number {
    this.#ops += 1
    this.#recorder.write({ e: 'ask', op: this.#ops, conn: subject, verb })
    return this.#ops
  }

  /** Everybody asks until they have a token or know that there will be none. */
  async #settle(people: readonly Person[]): Promise<void> {
    // What is refreshed from now on needs no refresh before the end, so that nothing is left unseen.
    await this.#stage.provider.control.configure({ accessSeconds: 3_600 })
    const until = Date.now() + settleMs
    let open = people.length
    await Promise.all(
      people.map(async (person) => {
        for (let settled = false; !settled && Date.now() < until;) {
          const told = await this.#ask(person, 'token')
          settled = told.outcome === 'token' ? (told.expiresInMs ?? 0) > surfaceMs : isFinal.has(told.outcome)
          if (!settled) await sleep(500)
        }
        open -= 1
        progress(`chaos: settling, ${open} of ${people.length} connections are open`)
      }),
    )
  }

  async #copyBook(): Promise<void> {
    for (const { token, verdict } of await this.#stage.provider.control.history()) {
      this.#recorder.write({ e: 'book', token: digest(token), verdict })
    }
  }
}

class Person {
  readonly subject: string
  needsLogin = true
  generation: { readonly id: string; readonly version: number } | undefined

  constructor(subject: string) {
    this.subject = subject
  }

  saw(told: Outcome): void {
    if (told.outcome === 'dead' || told.outcome === 'absent') this.needsLogin = true
    if (told.outcome === 'token' && told.id !== undefined && told.version !== undefined) {
      this.generation = { id: told.id, version: told.version }
    }
  }
}

const isFinal: ReadonlySet<Told['outcome']> = new Set(['dead', 'absent', 'other'])

type Outcome = Told extends infer T ? (T extends Told ? Omit<T, 'e' | 'at' | 'op'> : never) : never

function outcomeOf({ status, body }: Hit): Outcome {
  const { accessToken, expiresAt, generation, error, cause } = body
  if (status === 0) return { outcome: 'cut' }
  if (status === 200 && typeof accessToken === 'string') {
    const named = generation as { id: string; version: number } | undefined
    return {
      outcome: 'token',
      token: digest(accessToken),
      ...(named && { id: named.id, version: named.version }),
      ...(typeof expiresAt === 'number' && { expiresInMs: expiresAt - Date.now() }),
    }
  }
  switch (error) {
    case 'reconnect_required':
      return { outcome: 'dead', cause: typeof cause === 'string' ? cause : '' }
    case 'not_connected':
    case 'revoked':
      return { outcome: 'absent' }
    case 'temporarily_unavailable':
      return { outcome: 'later' }
    default:
      return { outcome: 'other', word: `${status} ${String(error)}` }
  }
}

export async function chaos(options: ChaosOptions): Promise<Findings> {
  await new Chaos(options).run()
  return check(await readHistory(options.history))
}

export function chaosBars(findings: Findings, { kills, refreshes }: ChaosOptions): Bar[] {
  const broken = (...names: string[]): number =>
    findings.violations.filter(({ rule }) => names.includes(rule)).length
  const killed = Object.values(findings.kills).reduce((sum, n) => sum + n, 0)
  return [
    atLeast('chaos: kills', killed, kills),
    atLeast('chaos: refreshes', findings.refreshes, refreshes),
    exactly('chaos: double spends', broken('double_spend', 'replay_of_family'), 0),
    exactly('chaos: false deaths', broken('false_death', 'false_absence'), 0),
    exactly('chaos: losses outside the window', broken('loss_outside_window'), 0),
    exactly('chaos: losses not named or not told', broken('loss_unnamed', 'loss_untold'), 0),
    exactly('chaos: tokens after a disconnect', broken('served_after_revoke'), 0),
    exactly('chaos: all violations', findings.violations.length, 0),
  ]
}

async function main(): Promise<void> {
  const { values } = readOptions({
    kills: { type: 'string', default: '240' },
    refreshes: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '150' },
    provider: { type: 'string', default: 'github' },
    who: { type: 'string', default: 'latchkey' },
    history: { type: 'string' },
    check: { type: 'boolean', default: false },
  })
  const kind = oneOf('provider', values.provider, ['github', 'oidc'])
  const who = oneOf('who', values.who, ['latchkey', 'lease', 'unlocked'])
  const build = fileURLToPath(new URL('../../build', import.meta.url))
  await mkdir(build, { recursive: true })
  const options: ChaosOptions = {
    kind,
    who,
    kills: numberOf('kills', values.kills, 0, 5_000),
    refreshes: numberOf('refreshes', values.refreshes, 0, 1_000_000),
    connections: numberOf('connections', values.connections, 1, 1_000),
    history: String(values.history ?? `${build}/chaos-${who}-${kind}.jsonl`),
  }
  const at = new Date().toISOString()
  const findings = await chaos(options)
  progress('')
  showFindings(findings)
  const bars = chaosBars(findings, options)
  showBars(bars)
  const { violations, ...counts } = findings
  if (who === 'latchkey') await keep(`chaos-${kind}`, { at, ...counts, violations: violations.length, bars })
  if (values.check && bars.some(({ met }) => !met)) process.exitCode = 1
}

function oneOf<const Word extends string>(
  name: string,
  value: string | boolean,
  words: readonly Word[],
): Word {
  const found = words.find((word) => word === value)
  if (found !== undefined) return found
  console.error(`--${name} takes one of: ${words.join(' ')}`)
  process.exit(2)
}

if (import.meta.main) await main()
