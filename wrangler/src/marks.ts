/** What an object said last has a number: who has it already is told just that. */
import type { TokenResult } from 'latchkey/connection'
import type { Marked } from './vault-types.ts'

export class Marks {
  #mark = 0
  #told: TokenResult | undefined

  /** The mark alone where it is the one that the caller holds. */
  of(result: TokenResult, held: number): number | Marked {
    if (result.outcome !== 'ok') return { mark: 0, result }
    if (result !== this.#told) {
      this.#told = result
      this.#mark = freshMark()
    }
    return held === this.#mark ? held : { mark: this.#mark, result }
  }
}

function freshMark(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return (high & 0xffff) * 0x1_0000_0000 + low + 1
}
