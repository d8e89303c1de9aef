/** What the browser runs: the golden vectors, with both modules. */
import { load } from 'latchkey'
import { loadVerifier } from 'latchkey/verify'
import { digestOf, type Document } from '../vectors/format.ts'
import { runAll, takes } from './vectors.ts'

export interface Result {
  readonly count: number
  readonly verified: number
  readonly failures: readonly string[]
  readonly digest: string
  readonly taken: readonly string[]
}

export async function run(
  documents: readonly Document[],
  choices: readonly (readonly [string, readonly number[]])[],
): Promise<Result> {
  const latchkey = await load()
  const verifier = await loadVerifier()
  const { answers, failures, verified } = runAll({ latchkey, verifier }, documents)
  const taken = choices.filter(([, bytes]) => takes(latchkey, Uint8Array.from(bytes)))
  return {
    count: answers.length,
    verified,
    failures,
    digest: await digestOf(answers),
    taken: taken.map(([name]) => name),
  }
}
