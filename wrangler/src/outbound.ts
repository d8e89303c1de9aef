import type { Failed, HttpAnswer } from 'latchkey'
import type { App } from './app.ts'
import { bodyLimit, readBytes } from './body.ts'

const timeoutMs = 10_000

export interface OutboundAnswer extends HttpAnswer {
  readonly headers: readonly (readonly [string, string])[]
}

/** The other side did not answer in time, answered too much, or sent the request where it must not go. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
  readonly failed: Failed['failed']

  constructor(failed: Failed['failed']) {
    super(failed)
    this.failed = failed
  }
}

/**
 * Sends a request that carries a secret. Redirects are followed by hand, only 307 and 308 (which keep
 * method and body) and only where the core lets the secret go. Ends with `signal`, where one is given, else after ten
 * seconds.
 */
export async function send(
  app: App,
  url: string,
  init: RequestInit,
  signal?: AbortSignal,
  limit = bodyLimit,
): Promise<OutboundAnswer> {
  const { dev } = app.config
  if (!app.lk.guard.outbound(url, { dev })) throw new Unreachable('not_sent')
  const controller = new AbortController()
  const timer = signal ? null : setTimeout(() => controller.abort(), timeoutMs)
  const until = signal ?? controller.signal
  try {
    for (let at = url, hop = 1; ; hop += 1) {
      const response = await fetch(at, { ...init, redirect: 'manual', signal: until })
      if (response.status !== 307 && response.status !== 308) return await answer(response, limit)
      await response.body?.cancel()
      const next = new URL(response.headers.get('location') ?? '', at).href
      if (!app.lk.guard.outbound(next, { dev, from: at, hop })) throw new Unreachable('reset')
      at = next
    }
  } catch {
    throw new Unreachable(until.aborted ? 'timeout' : 'reset')
  } finally {
    // A timer that is left running keeps the object alive for nothing.
    clearTimeout(timer)
  }
}

const answer = async (response: Response, limit: number): Promise<OutboundAnswer> => ({
  status: response.status,
  headers: [...response.headers],
  contentType: response.headers.get('content-type') ?? '',
  body: await readBytes(response.body, limit),
})
