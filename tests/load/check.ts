/**
 * Judges a recorded history, and nothing but the history: was every connection one register, was every refresh token
 * spent once, is every loss one that nobody could have prevented and that was told by its name?
 *   node tests/load/check.ts <file>
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { readOptions } from '../../scripts/options.ts'
import type { Ask, Killed, Line, Run, Told } from './history.ts'

/** What can be wrong. */
export const rules = {
  /** The history is not whole, or contradicts itself: nothing can be said. */
  malformed: 'the history is not whole',
  /** The book of the provider and what was seen on the way do not agree. */
  book_differs: 'the provider counted other redemptions than were seen',
  double_spend: 'a refresh token was presented again, and that was no probe',
  replay_of_family: 'a spent token was presented to a provider that ends the grant for it',
  false_death: 'a connection was called dead whose token nobody had lost',
  loss_outside_window: 'a reply was lost that could have been stored',
  loss_unnamed: 'a loss was told under another name',
  loss_untold: 'a loss was not told in time',
  unknown_token: 'a token was served that the provider had not given yet',
  foreign_token: 'a token was served to another connection than it was given for',
  generation_reused: 'one generation names two tokens, or one token two generations',
  generation_disordered: 'a later version is not a later token',
  expired_served: 'a token was served after its end',
  stale_read: 'an older token was served after a newer one had been',
  served_after_revoke: 'a token was served after a disconnect had been acknowledged',
  revived: 'a token was served after its connection had been called dead',
  false_absence: 'a connection was called absent that nobody had ended',
  unexpected: 'an answer that no rule knows',
} as const
export type Rule = keyof typeof rules

export interface Violation {
  readonly rule: Rule
  readonly at: number
  readonly what: string
}

export interface Findings {
  readonly who: string
  readonly lines: number
  readonly connections: number
  readonly asked: number
  readonly answered: Readonly<Record<string, number>>
  readonly kills: Readonly<Record<string, number>>
  readonly refreshes: number
  /** Spent tokens presented again, labelled and allowed. */
  readonly probes: number
  readonly losses: number
  /** Connections given up because nobody could know whether the token still works. */
  readonly givenUp: number
  /** The longest a loss took to be told. */
  readonly slowestLossMs: number
  /** The longest time between the delivery of a lost reply and the kill. */
  readonly widestWindowMs: number
  readonly violations: readonly Violation[]
}

/** A position in the life of a connection: its n-th login, then the token pair, then dead, then absent. */
type Place = readonly [era: number, step: number]
const dead = Number.MAX_SAFE_INTEGER - 1
const absent = Number.MAX_SAFE_INTEGER
const before = (a: Place, b: Place): boolean => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])

interface Call {
  readonly call: number
  readonly sentAt: number
  readonly token: string | undefined
  readonly code: string | undefined
  passedAt?: number
  boughtAt?: number
  access?: string
  refresh?: string
  deliveredAt?: number
  undeliveredAt?: number
  refused?: string
}

interface Op {
  readonly ask: Ask
  readonly told: Told
}

/** A token pair in the chain of its login. */
interface Link {
  readonly chain: number
  readonly step: number
  readonly call: Call
}

export function check(lines: readonly Line[]): Findings {
  const violations: Violation[] = []
  const accuse = (rule: Rule, at: number, what: string): void => void violations.push({ rule, at, what })

  const run = lines[0]
  if (run?.e !== 'run' || lines.at(-1)?.e !== 'end') accuse('malformed', 0, 'no first or no last line')
  const { who, reuse, windowMs, surfaceMs, leaseMs } = run?.e === 'run' ? run : defaultRun
  const calls = readCalls(lines, accuse)
  const ops = readOps(lines, accuse)
  const kills = lines.filter((line) => line.e === 'killed')
  const links = chains(calls)

  checkBook(lines, calls, accuse)
  const lost = lostReplies(calls, links, ops)
  const connections = Map.groupBy(ops, ({ ask }) => ask.conn)
  const owners = readOwners(lines, ops, calls)
  checkTokens(ops, links, owners, accuse)
  const probes = checkSpends(calls, lost, owners, connections, reuse, accuse)

  let slowestLossMs = 0
  let widestWindowMs = 0
  let losses = 0
  for (const { call, chain } of lost) {
    const conn = owners.get(chain)
    if (conn === undefined) continue
    const told = surfaced(connections.get(conn) ?? [], call.boughtAt ?? 0)
    // Ended by its own person before anybody could notice: there is nothing left to lose.
    if (told === undefined) continue
    losses += 1
    const until = call.deliveredAt ?? Number.POSITIVE_INFINITY
    const kill = endOf(call, lines)
    const wide = kill && call.deliveredAt !== undefined ? Math.max(0, kill.at - call.deliveredAt) : 0
    if (!isUnavoidable(call, kill?.at, windowMs)) {
      accuse(
        'loss_outside_window',
        call.boughtAt ?? 0,
        `${conn}: delivered at ${until}, killed at ${kill?.at ?? 'never'}`,
      )
    } else widestWindowMs = Math.max(widestWindowMs, wide)
    if (told === 'never') accuse('loss_untold', call.boughtAt ?? 0, `${conn}: never`)
    else {
      const ms = told.told.at - (call.boughtAt ?? 0)
      slowestLossMs = Math.max(slowestLossMs, ms)
      if (ms > surfaceMs) accuse('loss_untold', told.told.at, `${conn}: after ${Math.round(ms)} ms`)
    }
  }
  let givenUp = 0
  const killedAt = kills.map(({ at }) => at)
  const limits: Limits = { reuse, leaseMs, windowMs }
  for (const [conn, own] of connections) {
    givenUp += checkRegister(conn, own, links, lost, owners, killedAt, limits, accuse)
  }

  return {
    who,
    lines: lines.length,
    connections: connections.size,
    asked: ops.length,
    answered: counted(ops, ({ told }) => told.outcome),
    kills: counted(kills, ({ when }) => when),
    refreshes: calls.filter(({ token, boughtAt }) => token !== undefined && boughtAt !== undefined).length,
    probes,
    losses,
    givenUp,
    slowestLossMs,
    widestWindowMs,
    violations,
  }
}

/** A lease is dated from before the attempt that it is for. */
const leaseShare = 0.9
type Limits = Pick<Run, 'reuse' | 'leaseMs' | 'windowMs'>

type Accuse = (rule: Rule, at: number, what: string) => void

const defaultRun: Omit<Run, 'e' | 'at'> = { who: '', reuse: 'family', windowMs: 0, surfaceMs: 0, leaseMs: 0 }

function counted<Item>(items: readonly Item[], of: (item: Item) => string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const item of items) found[of(item)] = (found[of(item)] ?? 0) + 1
  return found
}

function readCalls(lines: readonly Line[], accuse: Accuse): Call[] {
  const calls = new Map<number, Call>()
  for (const line of lines) {
    if (line.e === 'sent') {
      if (calls.has(line.call)) accuse('malformed', line.at, `call ${line.call} was sent twice`)
      calls.set(line.call, { call: line.call, sentAt: line.at, token: line.token, code: line.code })
      continue
    }
    if (!('call' in line)) continue
    const call = calls.get(line.call)
    if (!call) {
      accuse('malformed', line.at, `call ${line.call} was never sent`)
      continue
    }
    switch (line.e) {
      case 'passed':
        call.passedAt = line.at
        break
      case 'bought':
        call.boughtAt = line.at
        call.access = line.access
        call.refresh = line.refresh
        break
      case 'refused':
        call.refused = line.error
        break
      case 'delivered':
        call.deliveredAt = line.at
        break
      case 'undelivered':
        call.undeliveredAt = line.at
        break
    }
  }
  for (const { call, sentAt, passedAt, boughtAt, refused } of calls.values()) {
    const answered = boughtAt !== undefined || refused !== undefined
    if (answered && passedAt === undefined) accuse('malformed', sentAt, `call ${call} was answered by nobody`)
  }
  return [...calls.values()]
}

function readOps(lines: readonly Line[], accuse: Accuse): Op[] {
  const asked = new Map<number, Ask>()
  const ops: Op[] = []
  for (const line of lines) {
    if (line.e === 'ask') asked.set(line.op, line)
    if (line.e !== 'told') continue
    const ask = asked.get(line.op)
    if (!ask) accuse('malformed', line.at, `operation ${line.op} was never asked, or told twice`)
    else ops.push({ ask, told: line })
    asked.delete(line.op)
  }
  for (const { op, at } of asked.values()) accuse('malformed', at, `operation ${op} was never told`)
  return ops
}

/** Every access token with its place: the chain that a login began, and how many refreshes came before it. */
function chains(calls: readonly Call[]): Map<string, Link> {
  const links = new Map<string, Link>()
  const presenting = new Map<string, Link>()
  const bought = calls.filter(({ boughtAt }) => boughtAt !== undefined)
  for (const call of bought.toSorted((a, b) => a.boughtAt! - b.boughtAt!)) {
    const parent = call.token === undefined ? undefined : presenting.get(call.token)
    const link: Link = { chain: parent?.chain ?? call.call, step: (parent?.step ?? -1) + 1, call }
    links.set(call.access!, link)
    presenting.set(call.refresh!, link)
  }
  return links
}

function checkBook(lines: readonly Line[], calls: readonly Call[], accuse: Accuse): void {
  const book = counted(
    lines.filter((line) => line.e === 'book'),
    ({ token }) => token,
  )
  const seen = counted(
    calls.filter(({ token, passedAt }) => token !== undefined && passedAt !== undefined),
    ({ token }) => token!,
  )
  for (const token of new Set([...Object.keys(book), ...Object.keys(seen)])) {
    if (book[token] === seen[token]) continue
    accuse('book_differs', 0, `${token}: ${book[token] ?? 0} in the book, ${seen[token] ?? 0} on the way`)
  }
}

interface Lost {
  readonly call: Call
  readonly chain: number
  readonly step: number
}

/** Replies of which nothing was ever heard again: not served, and their refresh token not presented. */
function lostReplies(calls: readonly Call[], links: ReadonlyMap<string, Link>, ops: readonly Op[]): Lost[] {
  const served = new Set(ops.map(({ told }) => (told.outcome === 'token' ? told.token : '')))
  const presented = new Set(calls.map(({ token }) => token))
  const lost: Lost[] = []
  for (const [access, { chain, step, call }] of links) {
    if (call.token === undefined || served.has(access) || presented.has(call.refresh)) continue
    lost.push({ call, chain, step })
  }
  return lost
}

/**
 * Whether whoever could refresh died so often that the Worker may not try again: an attempt that was about to be made,
 * or was made, for a caller or behind its back, has no answer, and a replay is either forbidden or has been tried, after the lease of the first was over.
 */
function isExhausted(
  own: readonly Op[],
  kills: readonly number[],
  from: number,
  to: number,
  rest: Limits,
): boolean {
  const deaths = kills.filter(
    (at) => at > from && at < to && own.some(({ ask, told }) => ask.at < at && at < told.at + rest.windowMs),
  )
  const [first, last] = [deaths[0], deaths.at(-1)]
  if (first === undefined || last === undefined) return false
  return rest.reuse === 'family' || last - first >= rest.leaseMs * leaseShare
}

/** The kill that ended the process which sent a request: a request may arrive when its sender is dead already. */
function endOf({ sentAt }: Call, lines: readonly Line[]): Killed | undefined {
  const isDown = lines.findLast((line) => line.at <= sentAt && (line.e === 'killed' || line.e === 'up'))
  if (isDown?.e === 'killed') return isDown
  return lines.find((line): line is Killed => line.e === 'killed' && line.at >= sentAt)
}

/** Nobody could have stored it: it did not arrive, or whoever read it died at once. */
const isUnavoidable = (call: Call, killedAt: number | undefined, windowMs: number): boolean =>
  call.deliveredAt === undefined || (killedAt !== undefined && killedAt <= call.deliveredAt + windowMs)

/**
 * The first answer after the loss that says so. Nothing when the person ended or renewed the connection first, or
 * when the run was over in less than the time to tell it without anybody asking.
 */
function surfaced(own: readonly Op[], since: number): Op | 'never' | undefined {
  for (const op of own.toSorted((a, b) => a.told.at - b.told.at)) {
    if (op.told.at < since) continue
    if (op.told.outcome === 'dead') return op
    if (op.ask.verb === 'login' || op.ask.verb === 'disconnect') {
      if (op.told.outcome === 'connected' || op.told.outcome === 'disconnected') return undefined
    }
  }
  return 'never'
}

/** Whose chain is whose: the code that began it came with a login of that connection. */
function readOwners(lines: readonly Line[], ops: readonly Op[], calls: readonly Call[]): Map<number, string> {
  const conns = new Map(ops.map(({ ask }) => [ask.op, ask.conn]))
  const codes = new Map<string, string>()
  for (const line of lines) if (line.e === 'code') codes.set(line.code, conns.get(line.op) ?? '')
  const owners = new Map<number, string>()
  for (const { call, code } of calls) {
    const conn = code === undefined ? undefined : codes.get(code)
    if (conn !== undefined) owners.set(call, conn)
  }
  return owners
}

/** What is wrong with tokens and their names. */
function checkTokens(
  ops: readonly Op[],
  links: ReadonlyMap<string, Link>,
  owners: ReadonlyMap<number, string>,
  accuse: Accuse,
): void {
  const names = new Map<string, string>()
  const tokens = new Map<string, string>()
  const lineages = new Map<string, Map<number, number>>()
  for (const { ask, told } of ops) {
    if (told.outcome !== 'token') continue
    const link = links.get(told.token)
    if (!link || link.call.boughtAt! > told.at) {
      accuse('unknown_token', told.at, `${ask.conn}: operation ${ask.op}`)
      continue
    }
    const owner = owners.get(link.chain) ?? 'nobody'
    if (owner !== ask.conn) accuse('foreign_token', told.at, `${ask.conn}: operation ${ask.op}, of ${owner}`)
    if (told.expiresInMs !== undefined && told.expiresInMs + (told.at - ask.at) < 0) {
      accuse('expired_served', told.at, `${ask.conn}: operation ${ask.op}`)
    }
    if (told.id === undefined || told.version === undefined) continue
    const name = `${ask.conn} ${told.id} ${told.version}`
    if ((names.get(name) ?? told.token) !== told.token || (tokens.get(told.token) ?? name) !== name) {
      accuse('generation_reused', told.at, `${ask.conn}: operation ${ask.op}`)
    }
    names.set(name, told.token)
    tokens.set(told.token, name)
    const steps = lineages.get(`${ask.conn} ${told.id}`) ?? new Map<number, number>()
    lineages.set(`${ask.conn} ${told.id}`, steps.set(told.version, link.step))
  }
  for (const [lineage, steps] of lineages) {
    const sorted = [...steps].toSorted(([a], [b]) => a - b)
    if (sorted.some(([, step], n) => n > 0 && step <= sorted[n - 1]![1])) {
      accuse('generation_disordered', 0, lineage)
    }
  }
}

/** Every token once; once more only as a probe: after a doubt, where that harms nothing, and told as a loss. */
function checkSpends(
  calls: readonly Call[],
  lost: readonly Lost[],
  owners: ReadonlyMap<number, string>,
  connections: ReadonlyMap<string, readonly Op[]>,
  reuse: Run['reuse'],
  accuse: Accuse,
): number {
  const lostCalls = new Map(lost.map((one) => [one.call, one]))
  const spends = Map.groupBy(
    calls.filter(({ token, passedAt }) => token !== undefined && passedAt !== undefined),
    ({ token }) => token!,
  )
  let probes = 0
  for (const [token, own] of spends) {
    if (own.length < 2) continue
    const [first, again] = [own[0]!, own[1]!]
    if (reuse === 'family') {
      accuse('replay_of_family', again.sentAt, `${token}: ${own.length} times`)
      continue
    }
    const loss = lostCalls.get(first)
    const conn = loss && owners.get(loss.chain)
    const named = (connections.get(conn ?? '') ?? []).some(
      ({ told }) => told.outcome === 'dead' && told.cause === 'lost_in_flight' && told.at > again.sentAt,
    )
    if (own.length === 2 && loss && named) probes += 1
    else accuse('double_spend', again.sentAt, `${token}: ${own.length} times`)
  }
  return probes
}

/**
 * One connection is one register whose values have a known order, so a history is linearizable exactly when nothing
 * that began after another thing ended is in an earlier place, and nothing is seen before it was written.
 */
function checkRegister(
  conn: string,
  own: readonly Op[],
  links: ReadonlyMap<string, Link>,
  lost: readonly Lost[],
  owners: ReadonlyMap<number, string>,
  kills: readonly number[],
  limits: Limits,
  accuse: Accuse,
): number {
  let givenUp = 0
  const eras = chainEras(conn, own, links, owners)
  const placed: Placed[] = []
  for (const op of own) {
    const place = placeOf(op, own, links, eras)
    if (place) placed.push({ op, ...place })
    else if (op.told.outcome === 'other') accuse('unexpected', op.told.at, `${conn}: ${op.told.word}`)
  }

  // The furthest place that was seen for certain before an operation began.
  const ended = placed.toSorted((a, b) => a.op.told.at - b.op.told.at)
  const begun = placed.toSorted((a, b) => a.op.ask.at - b.op.ask.at)
  let next = 0
  let furthest: Place = [0, 0]
  for (const { op, high } of begun) {
    for (; next < ended.length && ended[next]!.op.told.at < op.ask.at; next += 1) {
      if (before(furthest, ended[next]!.low)) furthest = ended[next]!.low
    }
    if (!before(high, furthest)) continue
    const what = `${conn}: operation ${op.ask.op}, ${op.told.outcome}`
    if (op.told.outcome === 'token' && furthest[1] === absent) accuse('served_after_revoke', op.told.at, what)
    else if (op.told.outcome === 'token' && furthest[1] === dead) accuse('revived', op.told.at, what)
    else accuse('stale_read', op.told.at, what)
  }

  for (const { op, low, high } of placed) {
    const { ask, told } = op
    const within = (era: number | undefined): boolean => era !== undefined && low[0] <= era && era <= high[0]
    if (told.outcome === 'absent') {
      const ended = own.some(
        (other) =>
          other.ask.verb === 'disconnect' && other.ask.at < told.at && within(eraAt(own, other.ask.at)),
      )
      if (low[0] > 0 && !ended) accuse('false_absence', told.at, `${conn}: operation ${ask.op}`)
    }
    if (told.outcome === 'dead') {
      const loss = lost.find(
        ({ call, chain }) => owners.get(chain) === conn && within(eras.get(chain)) && call.sentAt < told.at,
      )
      const last = [...links.values()].filter(
        ({ chain, call }) =>
          owners.get(chain) === conn && within(eras.get(chain)) && call.boughtAt! < told.at,
      )
      const from = Math.max(0, ...last.map(({ call }) => call.boughtAt!))
      // A disconnect that was cut off may have revoked the grant and left the record: the provider's no is the truth then.
      const isEnded =
        told.cause === 'refused' &&
        own.some(
          (other) =>
            other.ask.verb === 'disconnect' &&
            other.told.outcome === 'cut' &&
            other.ask.at < told.at &&
            other.told.at > from &&
            within(eraAt(own, other.ask.at)),
        )
      if (isEnded) continue
      if (loss === undefined) {
        if (isExhausted(own, kills, from, told.at, limits)) givenUp += 1
        else accuse('false_death', told.at, `${conn}: operation ${ask.op}`)
      }
      if (told.cause !== 'lost_in_flight') accuse('loss_unnamed', told.at, `${conn}: ${told.cause}`)
    }
  }
  return givenUp
}

/** Where the connection was at some moment of an operation, at the earliest and at the latest. */
interface Span {
  readonly low: Place
  readonly high: Place
}
interface Placed extends Span {
  readonly op: Op
}

/** How many logins had been asked for: which one a later answer is about. */
const eraAt = (own: readonly Op[], at: number): number =>
  own.filter(({ ask }) => ask.verb === 'login' && ask.at < at).length

/** The login that began a chain: the last one asked for before its code was exchanged. */
function chainEras(
  conn: string,
  own: readonly Op[],
  links: ReadonlyMap<string, Link>,
  owners: ReadonlyMap<number, string>,
): Map<number, number> {
  const eras = new Map<number, number>()
  for (const { chain, step, call } of links.values()) {
    if (step === 0 && owners.get(chain) === conn) eras.set(chain, eraAt(own, call.sentAt))
  }
  return eras
}

/** Where an operation says the connection is; nothing when it says nothing. */
function placeOf(
  { ask, told }: Op,
  own: readonly Op[],
  links: ReadonlyMap<string, Link>,
  eras: ReadonlyMap<number, number>,
): Span | undefined {
  const at = (era: number, step: number): Span => ({ low: [era, step], high: [era, step] })
  // A login on its way may have happened or not.
  const around = (step: number): Span => ({
    low: [certainEra(own, ask.at), step],
    high: [eraAt(own, told.at), step],
  })
  switch (told.outcome) {
    case 'token': {
      const link = links.get(told.token)
      const era = link && eras.get(link.chain)
      return link && era !== undefined ? at(era, link.step) : undefined
    }
    case 'connected':
      return at(eraAt(own, told.at), 0)
    case 'disconnected':
      return at(eraAt(own, ask.at), absent)
    case 'absent':
      return around(absent)
    case 'dead':
      return around(dead)
    case 'later':
    case 'cut':
    case 'other':
      return undefined
  }
}

/** The last login that had certainly happened. */
function certainEra(own: readonly Op[], at: number): number {
  const last = own.findLast(({ told }) => told.outcome === 'connected' && told.at < at)
  return last === undefined ? 0 : eraAt(own, last.told.at)
}

/** A line that is no JSON is none: without its last line the history is not whole. */
export async function readHistory(file: string): Promise<Line[]> {
  const lines: Line[] = []
  for await (const text of createInterface({ input: createReadStream(file) })) {
    try {
      lines.push(JSON.parse(text) as Line)
    } catch {
      return lines
    }
  }
  return lines
}

export function showFindings({ violations, ...findings }: Findings): void {
  for (const [name, value] of Object.entries(findings)) {
    const text = typeof value === 'object' ? JSON.stringify(value) : value
    console.log(`${name.padEnd(18)}${typeof text === 'number' ? Math.round(text * 10) / 10 : text}`)
  }
  const broken = Object.groupBy(violations, ({ rule }) => rule)
  for (const [rule, found] of Object.entries(broken)) {
    console.log(
      `VIOLATED  ${rule}: ${rules[rule as Rule]}: ${found.length} times, first: ${found[0]!.at} ${found[0]!.what}`,
    )
  }
  console.log(violations.length === 0 ? 'accepted' : `refused: ${violations.length} violations`)
}

if (import.meta.main) {
  const { positionals } = readOptions({}, { names: true })
  if (positionals.length !== 1) {
    console.error('give one history file')
    process.exit(2)
  }
  const lines = await readHistory(positionals[0]!).catch(() => {
    console.error(`cannot read ${positionals[0]!}`)
    process.exit(2)
  })
  const findings = check(lines)
  showFindings(findings)
  if (findings.violations.length > 0) process.exitCode = 1
}
