/** What a caller may do with runs, whichever way the call came in. */
import type { Owner, Principal, RunStatus, TerminalKind } from 'latchkey'
import type { RunView } from 'latchkey/runs'
import { providerNamed, type App } from './app.ts'
import type { OwnerKind } from './connections.ts'
import { demonstrationInput } from './demonstration.ts'
import { newNonce, runKeyOf, threadName, type ConnectionKey } from './names.ts'
import { Refusal } from './refusal.ts'
import { indexedRuns, type IndexedRun } from './run-index.ts'
import type { Asker, Beat, Finished, Found, NewEvent, Said, Started, Written } from './thread.ts'
import { actsFor } from './whose.ts'

export interface RunRequest {
  readonly threadId: string
  /** Chosen by who asks: the same key is the same run, however often it is asked for. */
  readonly clientKey: string
  readonly owner?: OwnerKind
  readonly input?: unknown
  /** Nobody looks at it: it may be silent for longer. */
  readonly background?: boolean
  /** The only device that may work at it. */
  readonly device?: string
  /** Connections without which it cannot go on. */
  readonly uses?: readonly { readonly provider: string; readonly owner?: OwnerKind }[]
  /** It ends when nothing has been written for longer than this. */
  readonly idleMs?: number
}

export interface EventInput {
  readonly key: string
  readonly type: string
  readonly data?: unknown
}

export interface RunList {
  /** False where there is no index to look into. */
  readonly indexed: boolean
  readonly runs: readonly IndexedRun[]
}

const mostEvents = 100
const mostUses = 8
const longestDevice = 128
const longestIdleMs = 7 * 86_400_000
const kinds: readonly string[] = ['done', 'error', 'missing_api_key', 'loop_limit', 'auto_continue']
const statuses: readonly string[] = ['running', 'completed', 'errored', 'truncated', 'aborted']
const mostListed = 200

/** The order is the read order: the person, then the organisation. */
const ownersOf = ({ subject, org }: Principal): Owner[] => [
  { kind: 'user', id: subject },
  ...(org === undefined ? [] : [{ kind: 'org', id: org } as const]),
]

/** A member reads what is their organisation's; who acts for it may write there, as with its connections. */
const asker = (app: App, principal: Principal): Asker => ({
  owners: ownersOf(principal),
  acts: ownersOf(principal).filter(({ kind }) => actsFor(app, principal, kind)),
  kind: principal.kind,
  ...(principal.device !== undefined && { device: principal.device }),
})

function ownerOf(principal: Principal, kind: OwnerKind | undefined): Owner {
  const owner = ownersOf(principal).find((candidate) => candidate.kind === (kind ?? 'user'))
  if (!owner) throw new Refusal('not_allowed')
  return owner
}

const threadOf = (app: App, owner: Owner, thread: string) => {
  const name = threadName(app.config.baseUrl, owner, app.lk.guard.name(thread))
  return { name, thread: app.env.THREAD.getByName(name) }
}

/** The object of a run by the run's id; an id that we did not make leads nowhere. */
function runOf(app: App, id: string) {
  const key = runKeyOf(id)
  if (!key) throw new Refusal('run_unknown')
  try {
    return { thread: app.env.THREAD.get(app.env.THREAD.idFromString(key.object)), nonce: key.nonce }
  } catch {
    throw new Refusal('run_unknown')
  }
}

function told<T>(said: Said<T>): T {
  if (said.ok) return said.value
  throw new Refusal(said.code, { status: said.status })
}

export async function startRun(app: App, principal: Principal, request: RunRequest): Promise<Started> {
  if (principal.kind === 'device') throw new Refusal('not_allowed')
  const { device, idleMs, background = false } = request
  const owner = ownerOf(principal, request.owner)
  if (!actsFor(app, principal, owner.kind)) throw new Refusal('not_allowed')
  const { name, thread } = threadOf(app, owner, request.threadId)
  const input = textOf(request.input)
  if (device !== undefined && (device === '' || device.length > longestDevice))
    throw new Refusal('request_invalid')
  if (idleMs !== undefined && !(Number.isSafeInteger(idleMs) && idleMs > 0 && idleMs <= longestIdleMs))
    throw new Refusal('request_invalid')
  return told(
    await thread.start({
      name,
      owner,
      thread: request.threadId,
      clientKey: app.lk.guard.name(request.clientKey),
      background,
      uses: connectionsOf(app, principal, request.uses ?? []),
      ...(input !== undefined && { input }),
      ...(device !== undefined && { device }),
      ...(idleMs !== undefined && { idleMs }),
    }),
  )
}

/** A run that works by itself, a step a second; in development only. */
export async function startDemonstration(app: App, principal: Principal, steps: number): Promise<Started> {
  if (!app.config.dev) throw new Refusal('not_found')
  const clientKey = newNonce()
  const input = JSON.parse(demonstrationInput(steps)) as unknown
  return await startRun(app, principal, { threadId: `demo-${clientKey}`, clientKey, input, background: true })
}

function connectionsOf(
  app: App,
  principal: Principal,
  uses: NonNullable<RunRequest['uses']>,
): ConnectionKey[] {
  if (uses.length > mostUses) throw new Refusal('request_invalid')
  return uses.map(({ provider, owner }) => ({
    owner: ownerOf(principal, owner),
    provider: providerNamed(app, provider).name,
  }))
}

export async function seeRun(app: App, principal: Principal, id: string): Promise<RunView> {
  const { thread, nonce } = runOf(app, id)
  return told(await thread.view(nonce, asker(app, principal)))
}

export async function activeRun(
  app: App,
  principal: Principal,
  threadId: string,
  options: { owner?: OwnerKind | undefined; clientKey?: string | undefined },
): Promise<Found> {
  const { thread } = threadOf(app, ownerOf(principal, options.owner), threadId)
  const clientKey = options.clientKey === undefined ? undefined : app.lk.guard.name(options.clientKey)
  return told(await thread.active(asker(app, principal), clientKey))
}

export async function appendEvents(
  app: App,
  principal: Principal,
  id: string,
  events: readonly EventInput[],
  after: number | undefined,
): Promise<Written> {
  if (events.length === 0) throw new Refusal('request_invalid')
  if (events.length > mostEvents) throw new Refusal('too_large')
  const { thread, nonce } = runOf(app, id)
  return told(
    await thread.append(
      nonce,
      asker(app, principal),
      events.map((event) => newEvent(app, event)),
      after,
    ),
  )
}

function newEvent(app: App, { key, type, data }: EventInput): NewEvent {
  if (!/^[a-z][a-z0-9_.-]{0,63}$/.test(type) || kinds.includes(type)) throw new Refusal('request_invalid')
  const text = textOf(data)
  return { key: app.lk.guard.name(key), type, ...(text !== undefined && { data: text }) }
}

export async function beat(
  app: App,
  principal: Principal,
  id: string,
  sign: Beat,
): Promise<{ status: RunStatus; lastSeq: number; claimed?: boolean }> {
  const { thread, nonce } = runOf(app, id)
  if (sign.claim !== undefined) app.lk.guard.name(sign.claim)
  return told(await thread.heartbeat(nonce, asker(app, principal), sign))
}

export async function finishRun(
  app: App,
  principal: Principal,
  id: string,
  end: { kind: string; data?: unknown; device?: string },
): Promise<Finished> {
  if (!kinds.includes(end.kind)) throw new Refusal('request_invalid')
  const { thread, nonce } = runOf(app, id)
  const data = textOf(end.data)
  return told(
    await thread.finish(nonce, asker(app, principal), {
      kind: end.kind as TerminalKind,
      ...(data !== undefined && { data }),
      ...(end.device !== undefined && { device: end.device }),
    }),
  )
}

export async function abortRun(app: App, principal: Principal, id: string): Promise<Finished> {
  const { thread, nonce } = runOf(app, id)
  return told(await thread.abort(nonce, asker(app, principal)))
}

/** The log after that number as Server-Sent Events; 204 when there is no more of it and never will be. */
export async function followRun(
  app: App,
  principal: Principal,
  id: string,
  after: number,
): Promise<Response> {
  const { thread, nonce } = runOf(app, id)
  const response = await thread.fetch(`http://thread.invalid/?run=${nonce}&after=${after}`, {
    headers: { 'x-latchkey-asker': JSON.stringify(asker(app, principal)) },
  })
  if (response.status === 409) told((await response.json()) as Said<never>)
  const headers = new Headers(response.headers)
  // Between here and the reader nothing may wait for more.
  headers.set('cache-control', 'no-store, no-transform')
  headers.set('x-accel-buffering', 'no')
  return new Response(response.body, { status: response.status, headers })
}

/** For the application's own monitoring: a person has no business with how others fare. */
export async function listRuns(
  app: App,
  principal: Principal,
  options: { status?: string | undefined; limit?: number | undefined },
): Promise<RunList> {
  if (principal.kind !== 'service' && !app.config.dev) throw new Refusal('not_allowed')
  const { status, limit = 50 } = options
  if (status !== undefined && !statuses.includes(status)) throw new Refusal('request_invalid')
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > mostListed) throw new Refusal('request_invalid')
  const runs = await indexedRuns(app.env, {
    limit,
    ...(status !== undefined && { status: status as RunStatus }),
  })
  return { indexed: runs !== undefined, runs: runs ?? [] }
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value)
}
