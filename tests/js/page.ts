/** What the browser runs: the golden vectors, with every module. */
import { load } from 'latchkey'
import { loadSigner } from 'latchkey/sign'
import { loadVerifier } from 'latchkey/verify'
import { digestOf, type Document } from '../vectors/format.ts'
import { runAll, takes } from './vectors.ts'

export interface Result {
  readonly count: number
  readonly signed: number
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
  const engines = { latchkey, signer: await loadSigner(), verifier: await loadVerifier() }
  const { answers, failures, signed, verified } = runAll(engines, documents)
  const taken = choices.filter(([, bytes]) => takes(latchkey, Uint8Array.from(bytes)))
  return {
    count: answers.length,
    signed,
    verified,
    failures,
    digest: await digestOf(answers),
    taken: taken.map(([name]) => name),
  }
}
