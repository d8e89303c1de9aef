import type { HttpAnswer } from 'latchkey'
import type { App } from './app.ts'
import { readBytes } from './body.ts'

const timeoutMs = 10_000

/** The other side did not answer in time, answered too much, or sent the request where it must not go. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

/**
 * Sends a request that carries a secret. Redirects are followed by hand, only 307 and 308 (which keep
 * method and body) and only where the core lets the secret go.
 */
export async function send(app: App, url: string, init: RequestInit): Promise<HttpAnswer> {
  const { dev } = app.config
  if (!app.lk.guard.outbound(url, { dev })) throw new Unreachable()
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), timeoutMs)
  try {
    for (let at = url, hop = 1; ; hop += 1) {
      const response = await fetch(at, { ...init, redirect: 'manual', signal: controller.signal })
      if (response.status !== 307 && response.status !== 308) return await answer(response)
      await response.body?.cancel()
      const next = new URL(response.headers.get('location') ?? '', at).href
      if (!app.lk.guard.outbound(next, { dev, from: at, hop })) throw new Unreachable()
      at = next
    }
  } catch {
    throw new Unreachable()
  } finally {
    // A timer that is left running keeps the object alive for nothing.
    clearTimeout(timer)
  }
}

const answer = async (response: Response): Promise<HttpAnswer> => ({
  status: response.status,
  contentType: response.headers.get('content-type') ?? '',
  body: await readBytes(response.body),
})
