/** What is asked of the authorization server, and what its answer is to the core. */
import { freshOf, wipe, type Fresh } from './connection-record.ts'
import type { Shared } from './connection-shared.ts'
import type { Answered } from './connection-types.ts'
import type { RefreshEffect, RefreshEvent, Revoked } from './refresh-types.ts'

/** What one sealed text holds at the most. */
const sealedMax = 16_384

const silent = { kind: 'reply', class: 'transient', doubt: 'silent' } as const
const unsent = { kind: 'reply', class: 'transient', doubt: 'none' } as const

type Asks<K extends RefreshEffect['kind']> = Extract<RefreshEffect, { kind: K }>

/** An answer's event, and the pair that came with it, where there was an answer. */
export interface Replied {
  readonly event: RefreshEvent
  readonly fresh?: Fresh
}

/** The token is overwritten; absent: there is none that opens, and nothing is sent. */
export async function askRefresh(
  shared: Shared,
  token: Uint8Array | undefined,
  { at: deadline, probe }: Asks<'send'>,
): Promise<Replied> {
  const { options, now } = shared
  if (token === undefined) return { event: { ...unsent, entropy: shared.entropy() } }
  try {
    const request = (signal: AbortSignal): Promise<Answered> =>
      options.provider.refresh(token, { deadline, signal, probe, now: now() })
    const classified = await withDeadline(shared, deadline, request, (late) => wipe(freshOf(late)))
    if (!classified) return { event: { ...silent, entropy: shared.entropy() } }
    const fresh = freshOf(classified)
    return { event: eventOf(classified, fresh, shared.entropy()), fresh }
  } finally {
    token.fill(0)
  }
}

/** Total: what a provider's code makes of an answer by mistake is an answer that was not understood. */
function eventOf(
  classified: Answered,
  { access, refresh, scopes }: Fresh,
  entropy: Uint8Array,
): RefreshEvent {
  const { tokens } = classified
  const doubt = doubts.has(classified.doubt) ? classified.doubt : 'silent'
  if (classified.class !== 'ok' && Object.hasOwn(classOf, classified.class)) {
    const retryAfter = milliseconds('retryAfterMs', classified.retryAfterMs)
    return { kind: 'reply', class: classOf[classified.class], doubt, ...retryAfter, entropy }
  }
  // What cannot be kept has not been understood; it may have been done all the same.
  const isKept = access !== undefined && access.length > 0 && access.length <= sealedMax
  if (tokens === undefined || !isKept || (refresh?.length ?? 0) > sealedMax) {
    return { kind: 'reply', class: 'not_understood', doubt: 'answered', entropy }
  }
  const refreshSame = tokens.refreshSame === true
  return {
    kind: 'reply',
    class: 'ok',
    doubt,
    entropy,
    tokens: {
      ...milliseconds('lifetimeMs', tokens.lifetimeMs),
      ...milliseconds('refreshLifetimeMs', tokens.refreshLifetimeMs),
      hasRefresh: refreshSame || (refresh?.length ?? 0) > 0,
      refreshSame,
      hasScope: scopes !== undefined,
    },
  }
}

/** As `askRefresh`; absent: there is nothing to revoke with. */
export async function askRevocation(
  shared: Shared,
  token: Uint8Array | undefined,
  kind: 'access' | 'refresh',
  deadline: number,
): Promise<RefreshEvent> {
  if (token === undefined) return { kind: 'revocation', revoked: 'unsupported' }
  try {
    const request = (signal: AbortSignal): Promise<Revoked> =>
      shared.options.provider.revoke(token, `${kind}_token`, { deadline, signal })
    const revoked = (await withDeadline(shared, deadline, request)) ?? 'unreachable'
    return { kind: 'revocation', revoked: revocations.has(revoked) ? revoked : 'unreachable' }
  } finally {
    token.fill(0)
  }
}

/** What a request comes to; nothing when it fails or the deadline passes, which aborts it. */
async function withDeadline<T>(
  shared: Shared,
  deadline: number,
  request: (signal: AbortSignal) => Promise<T>,
  discard: (late: T) => void = () => {},
): Promise<T | undefined> {
  const abort = new AbortController()
  let over = false
  let work: Promise<T>
  try {
    work = request(abort.signal)
  } catch {
    return undefined
  }
  work.then(
    (late) => {
      if (over) discard(late)
    },
    () => {},
  )
  const answer = await shared.within<{ value: T } | undefined>(
    work.then((value) => ({ value })),
    deadline - shared.now(),
    undefined,
  )
  over = answer === undefined
  if (over) abort.abort()
  return answer?.value
}

const classOf = {
  terminal: 'terminal',
  transient: 'transient',
  rate_limited: 'rate_limited',
  operator: 'operator_error',
  unparsed: 'not_understood',
} as const satisfies Record<Exclude<Answered['class'], 'ok'>, string>

const doubts: ReadonlySet<unknown> = new Set(['none', 'answered', 'silent'])
const revocations: ReadonlySet<unknown> = new Set(['done', 'refused', 'unreachable', 'unsupported'])

/** A length of time that an answer gave, where it is one. */
const milliseconds = <N extends string>(name: N, value: number | undefined): { [K in N]?: number } =>
  typeof value === 'number' ? ({ [name]: value } as { [K in N]?: number }) : {}
