/** A vault is asked for every token; what it said before does not have to come over once more. */
import type { TokenResult } from 'latchkey/connection'
import type { App } from './app.ts'

interface Held {
  readonly mark: number
  readonly result: TokenResult
}

/** The oldest entry makes room: one that is missed costs an answer in full, nothing else. */
const maxHeld = 1_000
const held = new Map<string, Held>()

const isOver = ({ result }: Held): boolean =>
  result.outcome === 'ok' && result.expiresAt !== null && result.expiresAt <= Date.now()

/** The vault decides on every call; where its answer is the one that is held here, it says just that. */
export async function askToken({ env }: App, name: string, minValidityMs: number): Promise<TokenResult> {
  const vault = env.VAULT.getByName(name)
  const known = held.get(name)
  // No call carries less than a question without parameters and a number for an answer; what has ended is not asked about.
  const mark = known !== undefined && minValidityMs === 0 && !isOver(known) ? await vault.mark() : 0
  if (known !== undefined && mark === known.mark) return known.result
  const answer = await vault.token(minValidityMs, known?.mark ?? 0, mark !== 0)
  if (known !== undefined && answer === known.mark) return known.result
  held.delete(name)
  if (typeof answer === 'number') throw new Error('the vault named an answer that was not asked about')
  const { mark: next, result } = answer
  if (next === 0) return result
  const [oldest] = held.keys()
  if (held.size >= maxHeld && oldest !== undefined) held.delete(oldest)
  held.set(name, { mark: next, result })
  return result
}
