/** What an object says again and again has a number: who has it already is told just that. */
import type { Token } from 'latchkey/connection'
import type { Marked } from './vault-types.ts'

export class Marks {
  #mark = 0
  #standing: Token | undefined

  /** The mark alone where it is the one that the caller holds. */
  answer(result: Token, held: number): number | Marked {
    const mark = this.of(result)
    return held === mark ? mark : { mark, result }
  }

  of(standing: Token): number {
    if (standing !== this.#standing) {
      this.#standing = standing
      this.#mark = freshMark()
    }
    return this.#mark
  }
}

function freshMark(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return (high & 0xffff) * 0x1_0000_0000 + low + 1
}
