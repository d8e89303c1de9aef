/** Faults of a provider, before or after a token is spent. */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { html, json, send, type Answer } from './http.ts'

/** What something between the client and the provider, or the provider in trouble, says instead of the answer. */
const instead = {
  '500': json(500, { message: 'Server Error' }),
  '502': html(502, 'Bad gateway'),
  '503': html(503, 'Service unavailable'),
  /** A rate limit in the clothes of a refusal. */
  '403': {
    ...json(403, { message: 'You have exceeded a secondary rate limit.' }),
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'retry-after': '60',
      'x-ratelimit-remaining': '0',
    },
  },
  '429': {
    ...json(429, { message: 'Too many requests' }),
    headers: { 'content-type': 'application/json; charset=utf-8', 'retry-after': '60' },
  },
  /** A captive page: status 200, and no token endpoint behind it. */
  html: html(200, 'Please accept our terms'),
} as const satisfies Readonly<Record<string, Answer>>

/** The endpoints that faults can be set on. */
export type Endpoint = 'refresh' | 'exchange' | 'revocation' | 'introspection' | 'user'

export interface Fault {
  /**
   * - `reset`: the connection ends with RST and no byte.
   * - `hang`: no byte for `ms` (6,000 when omitted), then the end of the connection.
   * - `slow`: the true answer, `ms` (3,500 when omitted) later.
   * - `truncated`: the head and `bytes` bytes of the body (half of it when omitted), then the end of the connection.
   * - the others: that status, or a page with status 200, instead of the answer.
   */
  readonly kind: 'reset' | 'hang' | 'slow' | 'truncated' | keyof typeof instead
  /** `before`: nothing is spent. `after`: everything has happened, the answer suffers. */
  readonly when: 'before' | 'after'
  /** `refresh` when omitted. */
  readonly on?: Endpoint
  /** So many requests; every one until it is taken away, when omitted. */
  readonly times?: number
  readonly ms?: number
  readonly bytes?: number
}

const hangMs = 6_000
const slowMs = 3_500

export class FaultSwitch {
  #faults: { fault: Fault; left: number }[] = []

  set(faults: readonly Fault[]): void {
    this.#faults = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }))
  }

  /** The first fault that still applies there; each call uses it once. */
  take(endpoint: Endpoint): Fault | undefined {
    const found = this.#faults.find(({ fault, left }) => left > 0 && (fault.on ?? 'refresh') === endpoint)
    if (found) found.left -= 1
    return found?.fault
  }
}

/** Whether a request that meets this fault comes to the provider at all. */
export const reaches = (fault: Fault | undefined): boolean =>
  fault === undefined || fault.when === 'after' || fault.kind === 'slow'

/** Lets `act` happen, or not, and its answer through, or not. True when the true answer went out whole. */
export async function answerUnder(
  fault: Fault | undefined,
  response: ServerResponse,
  act: () => Answer | Promise<Answer>,
): Promise<boolean> {
  if (!fault) return await send(response, await act())
  if (fault.when === 'after') return await spoil(response, fault, await act())
  if (!reaches(fault)) {
    await spoil(response, fault, instead['502'])
    return false
  }
  // A provider that is slow to begin does not ask whether the client still waits.
  await sleep(fault.ms ?? slowMs)
  return await send(response, await act())
}

async function spoil(response: ServerResponse, fault: Fault, answer: Answer): Promise<boolean> {
  switch (fault.kind) {
    case 'reset':
      response.socket?.resetAndDestroy()
      return false
    case 'hang':
      await gone(response, fault.ms ?? hangMs)
      response.destroy()
      return false
    case 'slow':
      await gone(response, fault.ms ?? slowMs)
      return await send(response, answer)
    case 'truncated':
      await truncate(response, answer, fault.bytes)
      return false
    default:
      await send(response, instead[fault.kind])
      return false
  }
}

/** Waits until the client has left, at most so long. */
async function gone(response: ServerResponse, ms: number): Promise<void> {
  const over = new AbortController()
  response.once('close', () => over.abort())
  if (response.destroyed) return
  await sleep(ms, undefined, { signal: over.signal }).catch(() => undefined)
}

async function truncate(response: ServerResponse, answer: Answer, bytes: number | undefined): Promise<void> {
  if (response.destroyed) return
  const body = Buffer.from(answer.body)
  const part = body.subarray(0, bytes ?? body.length >> 1)
  const closed = new Promise<void>((resolve) => response.once('close', resolve))
  response.writeHead(answer.status, { ...answer.headers, 'content-length': body.length })
  response.flushHeaders()
  response.write(part, () => response.socket?.end())
  await closed
}
