/** The checker, by histories that are right and histories with one thing wrong: every rule is seen to fire. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { check, readHistory, rules, type Rule } from './check.ts'
import { digest, Recorder, type Line, type Run, type Told } from './history.ts'

type Outcome = Told extends infer T ? (T extends Told ? Omit<T, 'e' | 'at' | 'op'> : never) : never

/** Writes a history by hand; every line is a millisecond later than the one before unless time is let pass. */
class Script {
  readonly lines: Line[] = []
  #at = 0
  #op = 0
  #call = 0

  constructor(run: Partial<Run> = {}) {
    this.lines.push({
      e: 'run',
      at: 0,
      who: 'script',
      reuse: 'refused',
      windowMs: 100,
      surfaceMs: 60_000,
      leaseMs: 15_000,
      ...run,
    })
  }

  get #now(): number {
    return (this.#at += 1)
  }

  pass(ms: number): this {
    this.#at += ms
    return this
  }

  ask(verb: 'token' | 'rotate' | 'login' | 'disconnect' = 'token', conn = 'a'): number {
    this.lines.push({ e: 'ask', at: this.#now, op: (this.#op += 1), conn, verb })
    return this.#op
  }

  tell(op: number, outcome: Outcome): this {
    this.lines.push({ e: 'told', at: this.#now, op, ...outcome })
    return this
  }

  /** A whole operation. */
  say(outcome: Outcome, verb: 'token' | 'rotate' | 'login' | 'disconnect' = 'token', conn = 'a'): this {
    return this.tell(this.ask(verb, conn), outcome)
  }

  /** A login that gives the pair a<name> and r<name>. */
  login(name: string, conn = 'a'): this {
    const op = this.ask('login', conn)
    this.lines.push({ e: 'code', at: this.#now, op, code: name })
    return this.buys({ code: name }, name).tell(op, { outcome: 'connected' })
  }

  /** A refresh that presents r<from> and buys a<to> and r<to>, and its place in the book. */
  refresh(from: string, to: string): this {
    return this.buys({ token: `r${from}` }, to).book(`r${from}`)
  }

  buys(what: { token?: string; code?: string }, to: string): this {
    return this.sent(what).passed().bought(to).delivered()
  }

  sent(what: { token?: string; code?: string }): this {
    this.lines.push({ e: 'sent', at: this.#now, call: (this.#call += 1), ...what })
    return this
  }

  passed(): this {
    this.lines.push({ e: 'passed', at: this.#now, call: this.#call })
    return this
  }

  bought(to: string): this {
    this.lines.push({ e: 'bought', at: this.#now, call: this.#call, access: `a${to}`, refresh: `r${to}` })
    return this
  }

  refused(): this {
    this.lines.push({ e: 'refused', at: this.#now, call: this.#call, error: 'bad_refresh_token' })
    return this
  }

  delivered(): this {
    this.lines.push({ e: 'delivered', at: this.#now, call: this.#call })
    return this
  }

  undelivered(): this {
    this.lines.push({ e: 'undelivered', at: this.#now, call: this.#call })
    return this
  }

  killed(): this {
    this.lines.push({ e: 'killed', at: this.#now, when: 'random' }, { e: 'up', at: this.#now })
    return this
  }

  /** A caller is waiting when the Worker dies. */
  diesAsking(): this {
    const op = this.ask()
    return this.killed().tell(op, { outcome: 'cut' })
  }

  book(token: string): this {
    this.lines.push({ e: 'book', at: this.#now, token, verdict: 'spent' })
    return this
  }

  end(): Line[] {
    return [...this.lines, { e: 'end', at: this.#now }]
  }
}

const token = (name: string, id?: string, version?: number): Outcome => ({
  outcome: 'token',
  token: `a${name}`,
  ...(id !== undefined && { id }),
  ...(version !== undefined && { version }),
})
const dead = (cause = 'lost_in_flight'): Outcome => ({ outcome: 'dead', cause })
const absent: Outcome = { outcome: 'absent' }
const disconnected: Outcome = { outcome: 'disconnected' }
const script = (run?: Partial<Run>): Script => new Script(run)

/** The reply to a refresh is lost in a kill: delivered or not. */
const lossy = (run?: Partial<Run>): Script =>
  script(run)
    .login('0')
    .say(token('0'))
    .sent({ token: 'r0' })
    .passed()
    .bought('1')
    .killed()
    .undelivered()
    .book('r0')

const right: Readonly<Record<string, Script>> = {
  'nothing happened': script(),
  'a login and a token': script()
    .login('0')
    .say(token('0', 'x', 1)),
  refreshes: script()
    .login('0')
    .say(token('0'))
    .refresh('0', '1')
    .say(token('1'))
    .refresh('1', '2')
    .say(token('2')),
  'a loss, told': lossy().say(dead()),
  'a loss at the very end of the window': script()
    .login('0')
    .say(token('0'))
    .refresh('0', '1')
    .pass(97)
    .killed()
    .say(dead()),
  'a loss whose sender was dead when its request arrived': (() => {
    const it = script().login('0').say(token('0'))
    it.lines.push({ e: 'killed', at: it.lines.at(-1)!.at, when: 'random' })
    it.refresh('0', '1')
    it.lines.push({ e: 'up', at: it.lines.at(-1)!.at })
    return it.pass(5_000).killed().say(dead())
  })(),
  'a loss, probed, told': lossy().sent({ token: 'r0' }).passed().refused().delivered().book('r0').say(dead()),
  'a loss, told, and connected again': lossy().say(dead()).login('9').say(token('9')),
  'a loss that a person ended before it was told': lossy().say(disconnected, 'disconnect').say(absent),
  'given up after a request to a provider that ends the grant for a replay': script({ reuse: 'family' })
    .login('0')
    .say(token('0'))
    .sent({ token: 'r0' })
    .killed()
    .undelivered()
    .say(dead()),
  'given up after two attempts without an answer': script()
    .login('0')
    .say(token('0'))
    .diesAsking()
    .pass(15_000)
    .diesAsking()
    .say(dead()),
  'a disconnect that was cut off when the provider knew it already': script()
    .login('0')
    .say(token('0'))
    .say({ outcome: 'cut' }, 'disconnect')
    .say(dead('refused')),
  'a disconnect and a login': script()
    .login('0')
    .say(token('0'))
    .say(disconnected, 'disconnect')
    .say(absent)
    .login('5')
    .say(token('5')),
  'a login of which nobody knows whether it happened': (() => {
    const it = script().login('0').say(token('0'))
    const op = it.ask('login')
    return it.tell(op, { outcome: 'cut' }).say(token('0')).login('5').say(token('5'))
  })(),
  'two connections': script().login('0').login('5', 'b').say(token('0')).say(token('5'), 'token', 'b'),
}

/** A read that began first may see the older value after another has seen the newer one. */
const overlapping = (): Script => {
  const it = script().login('0').say(token('0'))
  const early = it.ask()
  return it.refresh('0', '1').say(token('1')).tell(early, token('0'))
}

/** While a disconnect is on its way both answers are right. */
const disconnecting = (): Script => {
  const it = script().login('0')
  const op = it.ask('disconnect')
  return it.say(token('0')).say(absent).tell(op, disconnected).say(absent)
}

const wrong: readonly (readonly [Rule, string, Script | Line[]])[] = [
  ['malformed', 'no end', script().login('0').lines],
  ['malformed', 'an answer without a question', script().tell(7, absent)],
  [
    'malformed',
    'a question without an answer',
    (() => {
      const it = script()
      it.ask()
      return it
    })(),
  ],
  [
    'book_differs',
    'the provider saw one more',
    script().login('0').say(token('0')).refresh('0', '1').say(token('1')).book('r0'),
  ],
  [
    'book_differs',
    'the provider saw one less',
    script().login('0').buys({ token: 'r0' }, '1').say(token('1')),
  ],
  [
    'double_spend',
    'a token presented again after its successor was served',
    script()
      .login('0')
      .refresh('0', '1')
      .say(token('1'))
      .sent({ token: 'r0' })
      .passed()
      .refused()
      .delivered()
      .book('r0'),
  ],
  [
    'double_spend',
    'two probes',
    lossy()
      .sent({ token: 'r0' })
      .passed()
      .refused()
      .delivered()
      .book('r0')
      .sent({ token: 'r0' })
      .passed()
      .refused()
      .delivered()
      .book('r0')
      .say(dead()),
  ],
  [
    'double_spend',
    'a probe that was not told as a loss',
    lossy().sent({ token: 'r0' }).passed().refused().delivered().book('r0').say(dead('refused')),
  ],
  [
    'replay_of_family',
    'a probe where it ends the grant',
    lossy({ reuse: 'family' }).sent({ token: 'r0' }).passed().refused().delivered().book('r0').say(dead()),
  ],
  ['false_death', 'nothing was lost', script().login('0').say(token('0')).say(dead())],
  [
    'false_death',
    'the refresh had been served',
    script().login('0').refresh('0', '1').say(token('1')).say(dead()),
  ],
  [
    'false_death',
    'the loss was in the life before',
    lossy().say(dead()).login('5').say(token('5')).say(dead()),
  ],
  [
    'loss_outside_window',
    'nobody was killed',
    script().login('0').say(token('0')).refresh('0', '1').say(dead()),
  ],
  [
    'loss_outside_window',
    'the kill came too late',
    script().login('0').say(token('0')).refresh('0', '1').pass(200).killed().say(dead()),
  ],
  [
    'false_death',
    'two kills, but no time for a probe between them',
    script().login('0').say(token('0')).diesAsking().diesAsking().say(dead()),
  ],
  [
    'false_death',
    'one kill, and a probe is allowed',
    script().login('0').say(token('0')).diesAsking().say(dead()),
  ],
  ['loss_unnamed', 'the person is blamed', lossy().say(dead('revoked'))],
  ['loss_unnamed', 'a loss is called refused', lossy().say(dead('refused'))],
  ['false_death', 'nobody had wanted to end it', script().login('0').say(token('0')).say(dead('refused'))],
  [
    'false_death',
    'it had been refreshed since somebody wanted to end it',
    script()
      .login('0')
      .say(token('0'))
      .say({ outcome: 'cut' }, 'disconnect')
      .refresh('0', '1')
      .say(token('1'))
      .say(dead('refused')),
  ],
  [
    'false_death',
    'somebody wanted to end the login before',
    script().login('0').say({ outcome: 'cut' }, 'disconnect').login('5').say(token('5')).say(dead('refused')),
  ],
  [
    'false_death',
    'the disconnect was answered, and did nothing',
    script().login('0').say(token('0')).say({ outcome: 'later' }, 'disconnect').say(dead('refused')),
  ],
  ['loss_untold', 'never told', lossy().say({ outcome: 'later' })],
  ['loss_untold', 'told too late', lossy().pass(61_000).say(dead())],
  ['unknown_token', 'never given', script().login('0').say(token('7'))],
  [
    'unknown_token',
    'served before it was given',
    script().login('0').say(token('1')).refresh('0', '1').say(token('1')),
  ],
  ['foreign_token', "another's", script().login('0').login('5', 'b').say(token('0'), 'token', 'b')],
  [
    'generation_reused',
    'one name for two tokens',
    script()
      .login('0')
      .say(token('0', 'x', 1))
      .refresh('0', '1')
      .say(token('1', 'x', 1)),
  ],
  [
    'generation_reused',
    'two names for one token',
    script()
      .login('0')
      .say(token('0', 'x', 1))
      .say(token('0', 'x', 2)),
  ],
  [
    'generation_disordered',
    'counting down',
    script()
      .login('0')
      .say(token('0', 'x', 2))
      .refresh('0', '1')
      .say(token('1', 'x', 1)),
  ],
  [
    'expired_served',
    'long over',
    script().login('0').say({ outcome: 'token', token: 'a0', expiresInMs: -500 }),
  ],
  [
    'stale_read',
    'the one before after the new one',
    script().login('0').refresh('0', '1').say(token('1')).say(token('0')),
  ],
  [
    'stale_read',
    'of the login before',
    script().login('0').say(token('0')).login('5').say(token('5')).say(token('0')),
  ],
  [
    'served_after_revoke',
    'after the acknowledgement',
    script().login('0').say(disconnected, 'disconnect').say(token('0')),
  ],
  ['revived', 'after it was called dead', lossy().say(dead()).say(token('0'))],
  ['false_absence', 'nobody ended it', script().login('0').say(token('0')).say(absent)],
  ['unexpected', 'an answer of its own', script().login('0').say({ outcome: 'other', word: '500 oops' })],
]

const linesOf = (it: Script | Line[]): Line[] => (Array.isArray(it) ? it : it.end())
const brokenBy = (it: Script | Line[]): Rule[] => check(linesOf(it)).violations.map(({ rule }) => rule)

describe('what is right is accepted', () => {
  for (const [name, it] of Object.entries({
    ...right,
    overlapping: overlapping(),
    disconnecting: disconnecting(),
  })) {
    test(name, () => assert.deepEqual(check(linesOf(it)).violations, []))
  }
})

describe('what is wrong is refused, by the rule that it breaks', () => {
  for (const [rule, name, it] of wrong) {
    test(`${rule}: ${name}`, () =>
      assert.ok(brokenBy(it).includes(rule), `broken: ${brokenBy(it).join(' ')}`))
  }

  test('every rule is seen to fire', () => {
    const fired = new Set(wrong.map(([rule]) => rule))
    assert.deepEqual(
      Object.keys(rules).filter((rule) => !fired.has(rule as Rule)),
      [],
    )
  })
})

test('a loss is counted with its window and the time it took to tell', () => {
  const { losses, slowestLossMs, refreshes, probes } = check(
    lossy().sent({ token: 'r0' }).passed().refused().delivered().book('r0').pass(1_000).say(dead()).end(),
  )
  assert.deepEqual([losses, refreshes, probes], [1, 1, 1])
  assert.ok(slowestLossMs > 1_000 && slowestLossMs < 1_100)
})

test('a line taken out of a right history does not pass unseen where it matters', () => {
  const whole = right['a loss, probed, told']!.end()
  const without = (n: number): Line[] => whole.toSpliced(n, 1)
  const unseen = whole.map((_, n) => n).filter((n) => check(without(n)).violations.length === 0)
  // What is allowed to be missing: when the Worker came up, and whether a reply that was refused went out.
  assert.deepEqual(
    unseen
      .map((n) => whole[n]!.e)
      .filter((e) => !['up', 'delivered', 'undelivered', 'refused', 'killed'].includes(e)),
    [],
  )
})

test('what is written is what is read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-history-'))
  const file = join(folder, 'history.jsonl')
  const recorder = new Recorder(file)
  recorder.write({ e: 'run', who: 'x', reuse: 'family', windowMs: 1, surfaceMs: 2, leaseMs: 3 })
  recorder.write({ e: 'ask', op: 1, conn: 'a', verb: 'token' })
  recorder.write({ e: 'told', op: 1, outcome: 'token', token: digest('secret') })
  recorder.write({ e: 'end' })
  await recorder.close()
  const lines = await readHistory(file)
  assert.deepEqual(
    lines.map(({ e }) => e),
    ['run', 'ask', 'told', 'end'],
  )
  assert.ok(lines.every(({ at }, n) => n === 0 || at >= lines[n - 1]!.at))
  assert.ok(!JSON.stringify(lines).includes('secret'))
  await rm(folder, { recursive: true })
})
