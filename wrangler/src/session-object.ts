import { DurableObject } from 'cloudflare:workers'
import type {
  AdmissionCandidate,
  AdmissionPlan,
  Identity,
  MessageRecords,
  MessageReport,
  MessageStage,
} from 'latchkey'
import { openApp, random, type App } from './app.ts'
import type { Env } from './env.ts'
import { epochSchema, forgetEpoch, raiseEpoch, epochOf } from './epoch.ts'
import { identities, identityOf, identitySchema, keepIdentity } from './identities.ts'
import { sessionKeyOf, sessionName, type SessionKey } from './names.ts'
import { codeOf, type Code } from './refusal.ts'
import { report } from './ledger.ts'
import { ownerIndexOf } from './owner-index.ts'

export interface Repository {
  readonly kind: 'git' | 'github' | 'gitlab'
  /** In its canonical form. */
  readonly url?: string
}

/** A message as it comes in, and the credential that came with it. */
export interface Incoming {
  readonly candidate: AdmissionCandidate
  readonly repository: Repository
  /** One that counts, and the repository that it is for: it goes to no other. */
  readonly credential?: { readonly token: string; readonly url: string }
}

/** What a message's sender is told, as often as it asks. */
export interface Acknowledged {
  readonly messageId: string
  readonly status: Exclude<MessageStage, 'marked' | 'lapsed'>
  /** In the queue, from 1 up. */
  readonly position?: number
  /** What became of the credential that came with it. */
  readonly credential: MessageRecords['credential']
}

/** What is to be worked on. No credential is in it: that is asked for when it is needed. */
export interface WorkItem {
  readonly messageId: string
  readonly turn: string
  readonly mode: string
  readonly model: string
  readonly repository: Repository
  /** Which attempt this is; an outcome names it. */
  readonly sends: number
  /** From then on it is given to whoever asks. */
  readonly leasedUntil: number
  /** Of the credential as it is now; 0: there is none. */
  readonly credentialVersion: number
}

export type Next =
  | { readonly message: WorkItem }
  /** `at`: when there may be something; null: once a message comes in. */
  | { readonly message: null; readonly at: number | null }

export interface Settled {
  readonly messageId: string
  readonly status: MessageStage
}

export interface SessionState {
  readonly id: string
  /** Messages admitted so far, and places taken in the queue. */
  readonly admitted: number
  readonly open: number
  readonly counts: Readonly<Record<MessageStage, number>>
  /** In the order in which they are worked on. */
  readonly queue: readonly {
    readonly messageId: string
    readonly sends: number
    readonly at: number | null
  }[]
  readonly credential: { readonly version: number; readonly url: string } | null
  /** When all of it is removed if nothing more happens. */
  readonly endsAt: number
}

/** A capability of the session's own, which has not been believed yet. */
export interface HeldCapability {
  readonly capability: string
  /** That the request came from; absent: from none. */
  readonly container?: string
}

export type Answered<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly code: Code }

type Write = Extract<AdmissionPlan, { act: 'write' }>

/** What a plan may ask to be written beside the records. */
interface Beside {
  readonly intent?: IntentRow
  readonly sealed?: { readonly url: string; readonly text: string }
}

type SessionRow = {
  epoch: number
  version: number
  admitted: number
  open: number
  ends: number
  record: ArrayBuffer
}
type MessageRow = { id: string; stage: MessageStage; sends: number; due: number | null; record: ArrayBuffer }
type IntentRow = { turn: string; mode: string; model: string; repository: string }
type CredentialRow = { url: string; sealed: string }

// A message that waits or is marked ends with its session, which is never later.
const never = 8.64e15
const batch = 1_000
const againMs = 60_000
const messageById = 'SELECT * FROM message WHERE id = ?'

const schema = `
  CREATE TABLE IF NOT EXISTS session (
    slot INTEGER PRIMARY KEY CHECK (slot = 1),
    epoch INTEGER NOT NULL, version INTEGER NOT NULL, admitted INTEGER NOT NULL, open INTEGER NOT NULL,
    ends INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS credential (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), url TEXT NOT NULL, sealed TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS message (
    ends INTEGER NOT NULL, id TEXT NOT NULL, number INTEGER NOT NULL, stage TEXT NOT NULL, sends INTEGER NOT NULL,
    due INTEGER, record BLOB NOT NULL, PRIMARY KEY (ends, id)) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS message_id ON message (id);
  CREATE INDEX IF NOT EXISTS message_queue ON message (stage, number);
  CREATE TABLE IF NOT EXISTS intent (
    id TEXT PRIMARY KEY, turn TEXT NOT NULL, mode TEXT NOT NULL, model TEXT NOT NULL, repository TEXT NOT NULL) WITHOUT ROWID;
`
const tables = ['session', 'credential', 'message', 'intent', identities.table] as const

/**
 * One object per owner and session: what has been admitted, in which order, and the credential of the session's
 * repository. The core decides; each of its writes is one transaction here. Nothing is awaited between what is read and
 * what is written, and no answer leaves before it is durable.
 */
export class Session extends DurableObject<Env> {
  readonly #sql: SqlStorage
  readonly #key: SessionKey
  /** A session that nobody has written to has no tables. */
  #exists: boolean
  /** It had a credential once, and what was handed out for that has been ended. */
  #hasEpoch: boolean
  /** The app acts in it somewhere. */
  #hasIdentity: boolean
  #alarmAt: number | undefined
  #telling: Promise<void> = Promise.resolve()

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#key = sessionKeyOf(context.id.name ?? '')
    this.#sql = context.storage.sql
    const found = this.#sql.exec<{ name: string }>('SELECT name FROM sqlite_master').toArray()
    const has = (table: string): boolean => found.some(({ name }) => name === table)
    this.#exists = has('session')
    this.#hasEpoch = has('epoch')
    this.#hasIdentity = has(identities.table)
  }

  /** Asks the core until it says what the sender is told; whatever is cut off in between, the next attempt goes on. */
  async admit(incoming: Incoming): Promise<Answered<Acknowledged>> {
    if (this.#exists) return await this.#admit(incoming)
    // Whoever looks for an owner's sessions finds it from before it is, and after it was looked for in between.
    await this.#enter()
    const answer = await this.#admit(incoming)
    if (this.#exists) await this.#enter()
    return answer
  }

  async #admit({ candidate, repository, credential }: Incoming): Promise<Answered<Acknowledged>> {
    return await this.#answer((app, now) => {
      for (;;) {
        const plan = app.lk.admission.plan(candidate, this.#session(), this.#message(candidate.id), { now })
        if (plan.act === 'acknowledge') return this.#acknowledged(candidate.id, plan)
        if (plan.act === 'nothing') throw new TypeError('a message that comes in is not waited for')
        const { turn, mode, model } = candidate
        const intent = { turn, mode, model, repository: JSON.stringify(repository) }
        const sealed = plan.blob === 'credential' && credential ? this.#seal(app, credential) : undefined
        this.write(candidate.id, plan, now, { intent, ...(sealed && { sealed }) })
        if (plan.then === 'acknowledge') return this.#acknowledged(candidate.id, plan)
      }
    })
  }

  /** Leases the message whose turn it is. */
  async next(): Promise<Answered<Next>> {
    return await this.#answer((app, now): Next => {
      for (let row = this.#first(); row; row = this.#first()) {
        const plan = app.lk.admission.drain(this.#stored(), new Uint8Array(row.record), { now })
        if (plan.act !== 'write') return { message: null, at: plan.act === 'nothing' ? plan.at : null }
        this.write(row.id, plan, now)
        if (plan.then === 'send') return { message: this.#workItem(row.id, plan) }
      }
      return { message: null, at: null }
    })
  }

  async settle(messageId: string, report: MessageReport): Promise<Answered<Settled>> {
    return await this.#answer((app, now): Settled | undefined => {
      const message = this.#message(messageId)
      if (!message) return undefined
      const plan = app.lk.admission.settle(this.#stored(), message, report, { now })
      if (plan.act === 'write') this.write(messageId, plan, now)
      return plan.act === 'nothing' ? undefined : { messageId, status: plan.stage }
    })
  }

  async state(): Promise<Answered<SessionState>> {
    return await this.#answer((): SessionState | undefined => {
      const session = this.#row()
      if (!session) return undefined
      const { admitted, open, version, ends } = session
      const counts = { marked: 0, queued: 0, sent: 0, done: 0, failed: 0, lapsed: 0 }
      const rows = this.#sql.exec<{ stage: MessageStage; count: number }>(
        'SELECT stage, count(*) AS count FROM message GROUP BY stage',
      )
      for (const { stage, count } of rows) counts[stage] = count
      const queue = this.#sql
        .exec<MessageRow>("SELECT * FROM message WHERE stage = 'queued' ORDER BY number")
        .toArray()
        .map(({ id, sends, due }) => ({ messageId: id, sends, at: due }))
      const held = this.#credential()
      const credential = held ? { version, url: held.url } : null
      return { id: this.#key.id, admitted, open, counts, queue, credential, endsAt: ends }
    })
  }

  /** Capabilities of its own that were made before this are dead. */
  epoch(): number {
    return this.#hasEpoch ? epochOf(this.#sql) : 0
  }

  /**
   * The credential as it is now, for that repository and no other; null: the session has none for it. Being asked for it
   * is a sign of life. A capability of the session's own is verified here once more: what has ended stays ended.
   */
  async credential(url: string, own?: HeldCapability): Promise<Answered<{ readonly token: string | null }>> {
    return await this.#answer((app, now) => {
      if (own) {
        const { capability, container = '' } = own
        app.lk.capability.verify(app.config.keys, capability, { now, container, epoch: this.epoch() })
      }
      if (!this.#exists) return undefined
      const held = this.#credential()
      const isForIt = held?.url === url
      const bytes = isForIt && app.lk.seal.open(app.config.keys, held.sealed, this.#context(app, url))
      const ends = now + app.lk.retention.lifetimes.session
      this.#sql.exec('UPDATE session SET ends = ? WHERE ends < ?', ends, now + (ends - now) / 2)
      return { token: bytes ? new TextDecoder().decode(bytes) : null }
    })
  }

  /** Who acts in the session at that repository. */
  identity(url: string): Identity {
    return this.#hasIdentity ? identityOf(this.#sql, url) : { acts: 'user', warned: false }
  }

  /** T51: from now on the app acts there, until the session ends; true where it did not before. */
  actAs(url: string, installation: string): boolean {
    if (!this.#exists) return false
    if (!this.#hasIdentity) this.#sql.exec(identitySchema)
    this.#hasIdentity = true
    return keepIdentity(this.#sql, url, installation, never)
  }

  /** Ends every capability that it has handed out. */
  async endCapabilities(): Promise<Answered<true>> {
    return await this.#answer((app, now) => {
      if (!this.#credential()) return undefined
      this.#raiseEpoch(app, now)
      return true
    })
  }

  /** Gives up marks that were left behind and messages that were sent too often, and removes what has ended. */
  override async alarm(): Promise<void> {
    this.#alarmAt = undefined
    const session = this.#row()
    if (!session) return await this.#forgetEpoch()
    if (session.ends > Date.now()) {
      await this.#answer((app, now) => {
        this.#forget(now)
        this.#giveUp(app, now)
        return true
      })
      this.#tell()
      return
    }
    if (session.open > 0) console.warn(JSON.stringify({ event: 'session_ended', open: session.open }))
    await this.erase()
  }

  /** Nothing stays but, where capabilities may be about, the number that ends them; that goes by itself. */
  async erase(): Promise<boolean> {
    const existed = this.#exists
    this.ctx.storage.transactionSync(() => {
      if (this.#credential()) this.#raiseEpoch(openApp(this.env), Date.now())
      for (const table of tables) this.#sql.exec(`DROP TABLE IF EXISTS ${table}`)
    })
    this.#exists = false
    this.#hasIdentity = false
    await this.#forgetEpoch()
    if (existed) this.#tell()
    // The ledger is told nothing of it any more once this is answered.
    await this.#telling
    return existed
  }

  /** Null: there is no such session. */
  endsAt(): number | null {
    return this.#row()?.ends ?? null
  }

  /** One plan of the core, stored as one transaction: all of it or nothing. */
  protected write(id: string, plan: Write, now: number, beside: Beside = {}): void {
    const life = openApp(this.env).lk.retention.lifetimes.session
    const isOpen = plan.stage === 'marked' || plan.stage === 'queued'
    this.ctx.storage.transactionSync(() => {
      if (!this.#exists) this.#sql.exec(schema)
      const stored = this.#sql.exec<SessionRow>('SELECT * FROM session').toArray()[0]
      if ((stored?.epoch ?? 0) !== plan.epoch) throw new TypeError('another write came in between')
      const due = plan.at ?? this.#sql.exec<MessageRow>(messageById, id).toArray()[0]?.due ?? null
      const { nextEpoch, version, admitted, open, session, message, number, stage, sends } = plan
      const ofSession = [nextEpoch, version, admitted, open, now + life, session]
      this.#sql.exec('INSERT OR REPLACE INTO session VALUES (1, ?, ?, ?, ?, ?, ?)', ...ofSession)
      const ofMessage = [isOpen ? never : now + life, id, number, stage, sends, isOpen ? due : null, message]
      this.#sql.exec('INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)', ...ofMessage)
      this.#writeBeside(id, plan.blob, beside)
    })
    this.#exists = true
  }

  #writeBeside(id: string, blob: Write['blob'], { sealed, intent }: Beside): void {
    if (blob === 'credential') {
      const { url, text } = sealed!
      this.#sql.exec('INSERT OR REPLACE INTO credential VALUES (1, ?, ?)', url, text)
    } else if (blob === 'intent') {
      const { turn, mode, model, repository } = intent!
      this.#sql.exec(
        'INSERT OR REPLACE INTO intent VALUES (?, ?, ?, ?, ?)',
        id,
        turn,
        mode,
        model,
        repository,
      )
    } else if (blob === 'wipe') {
      this.#sql.exec('DELETE FROM intent WHERE id = ?', id)
    }
  }

  #raiseEpoch(app: App, now: number): void {
    this.#sql.exec(epochSchema)
    raiseEpoch(this.#sql, app, now)
    this.#hasEpoch = true
  }

  /** Of an object that holds no session any more. */
  async #forgetEpoch(): Promise<void> {
    const until = this.#hasEpoch ? forgetEpoch(this.#sql, Date.now()) : null
    this.#alarmAt = until ?? undefined
    if (until !== null) return await this.ctx.storage.setAlarm(until)
    this.#hasEpoch = false
    await this.ctx.storage.deleteAll()
  }

  /** Runs one verb; a refusal is data, so that its code survives the way. Nothing said: there is no such thing. */
  async #answer<T>(verb: (app: App, now: number) => T | undefined): Promise<Answered<T>> {
    let answer: Answered<T>
    try {
      const value = verb(openApp(this.env), Date.now())
      answer = value === undefined ? { ok: false, code: 'not_found' } : { ok: true, value }
    } catch (error) {
      const code = codeOf(error)
      // What is not ours is storage that failed: whoever asked may ask again, and it is told where it is logged.
      if (code === 'store_unavailable') throw error
      answer = { ok: false, code }
    }
    await this.#arm()
    return answer
  }

  /** Sets an alarm for what comes first, unless an earlier one is set: that one sets the next. */
  async #arm(): Promise<void> {
    const session = this.#row()
    if (!session) return
    const now = Date.now()
    const { due, ends } = this.#sql
      .exec<{ due: number | null; ends: number | null }>(
        `SELECT (SELECT min(due) FROM message WHERE stage = 'marked' OR (sends > 0 AND due > ?)) AS due,
          (SELECT min(ends) FROM message) AS ends`,
        now,
      )
      .one()
    const epochEnds = this.#hasEpoch ? forgetEpoch(this.#sql, now) : null
    const first = Math.min(session.ends, due ?? never, ends ?? never, epochEnds ?? never)
    // What an alarm has left behind is looked at again, but not at once.
    const at = first > now ? first : now + againMs
    // One whose time has passed may have been given up.
    if (this.#alarmAt !== undefined && this.#alarmAt > now && this.#alarmAt <= at) return
    this.#alarmAt = at
    await this.ctx.storage.setAlarm(at)
  }

  /** The core says what has to be given up; what is only to be sent is left to whoever asks for it. */
  #giveUp(app: App, now: number): void {
    const marked = this.#sql.exec<MessageRow>(
      "SELECT * FROM message WHERE stage = 'marked' AND due <= ?",
      now,
    )
    const first = this.#first()
    for (const { id, record } of [...marked.toArray(), ...(first ? [first] : [])]) {
      try {
        const plan = app.lk.admission.drain(this.#stored(), new Uint8Array(record), { now })
        if (plan.act === 'write' && plan.then !== 'send') this.write(id, plan, now)
      } catch (error) {
        // A record that does not open is kept as it is, and holds up nothing here.
        if (codeOf(error) !== 'corrupt') throw error
      }
    }
  }

  #forget(now: number): void {
    const ended = this.#sql
      .exec<MessageRow>('SELECT * FROM message WHERE ends <= ? ORDER BY ends LIMIT ?', now, batch)
      .toArray()
    for (const { id } of ended) {
      this.#sql.exec('DELETE FROM message WHERE id = ?', id)
      this.#sql.exec('DELETE FROM intent WHERE id = ?', id)
    }
  }

  async #enter(): Promise<void> {
    const { lk, config } = openApp(this.env)
    const { owner, id } = this.#key
    const index = ownerIndexOf(this.env, 'sessions', config.baseUrl, owner)
    await index.add(id, Date.now() + lk.retention.lifetimes.session)
    this.#tell()
  }

  /** Tells the ledger what is here, after the answer. */
  #tell(): void {
    const { config, lk } = openApp(this.env)
    const { session: life } = lk.retention.lifetimes
    const ends = this.endsAt()
    const held = { count: ends === null ? 0 : 1, oldest: ends === null ? null : ends - life, nextDue: ends }
    const name = sessionName(config.baseUrl, this.#key)
    // One after the other: what is said last is what counts.
    this.#telling = this.#telling.then(() => report(this.env, name, [{ kind: 'session', ...held }]))
    this.ctx.waitUntil(this.#telling)
  }

  #row(): SessionRow | undefined {
    return this.#exists ? this.#sql.exec<SessionRow>('SELECT * FROM session').toArray()[0] : undefined
  }

  #session(): Uint8Array | null {
    const row = this.#row()
    return row ? new Uint8Array(row.record) : null
  }

  /** A message is never stored without its session. */
  #stored(): Uint8Array {
    return this.#session() ?? new Uint8Array()
  }

  #message(id: string): Uint8Array | null {
    if (!this.#exists) return null
    const row = this.#sql.exec<MessageRow>(messageById, id).toArray()[0]
    return row ? new Uint8Array(row.record) : null
  }

  #first(): MessageRow | undefined {
    if (!this.#exists) return undefined
    return this.#sql
      .exec<MessageRow>("SELECT * FROM message WHERE stage = 'queued' ORDER BY number LIMIT 1")
      .toArray()[0]
  }

  #acknowledged(messageId: string, { stage, number, credential }: MessageRecords): Acknowledged {
    if (stage === 'marked' || stage === 'lapsed')
      throw new TypeError('a message that is not admitted is no answer')
    if (stage !== 'queued') return { messageId, status: stage, credential }
    const { position } = this.#sql
      .exec<{ position: number }>(
        "SELECT count(*) AS position FROM message WHERE stage = 'queued' AND number <= ?",
        number,
      )
      .one()
    return { messageId, status: stage, position, credential }
  }

  #workItem(messageId: string, { sends, version, at }: Write): WorkItem {
    const { turn, mode, model, repository } = this.#sql
      .exec<IntentRow>('SELECT * FROM intent WHERE id = ?', messageId)
      .one()
    const what = { turn, mode, model, repository: JSON.parse(repository) as Repository }
    return { messageId, ...what, sends, leasedUntil: at ?? 0, credentialVersion: version }
  }

  #credential(): CredentialRow | undefined {
    return this.#exists ? this.#sql.exec<CredentialRow>('SELECT * FROM credential').toArray()[0] : undefined
  }

  #seal(app: App, { token, url }: NonNullable<Incoming['credential']>): NonNullable<Beside['sealed']> {
    const bytes = new TextEncoder().encode(token)
    const context = this.#context(app, url)
    return { url, text: app.lk.seal.seal(app.config.keys, bytes, context, { entropy: random(32) }) }
  }

  /** Session and repository: a credential that is moved anywhere else does not open. */
  #context(app: App, url: string): string[] {
    const { owner, id } = this.#key
    return ['session-credential', 'v1', app.config.baseUrl, owner.kind, owner.id, id, url]
  }
}
