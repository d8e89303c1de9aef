import { load } from 'latchkey'
import { loadSigner } from 'latchkey/sign'
import { loadVerifier } from 'latchkey/verify'
import { describe, expect, inject, test } from 'vitest'
import { runAll, shouldTake, takes } from '../js/vectors.ts'
import { digestOf } from '../vectors/format.ts'

const engines = { latchkey: await load(), signer: await loadSigner(), verifier: await loadVerifier() }

describe('golden vectors in workerd', () => {
  const { answers, failures, signed, verified } = runAll(engines, inject('documents'))

  test('are all decided as written', () => {
    expect(navigator.userAgent).toBe('Cloudflare-Workers')
    console.log(
      `${answers.length} vectors, ${signed} of them in the sign module too, ${verified} in the verify-only one`,
    )
    expect(failures).toEqual([])
  })

  test('give the digest of every runtime', async () => {
    expect(await digestOf(answers)).toBe(inject('digest'))
  })

  const choices = inject('choices')
  test.skipIf(choices.length === 0)('JSONTestSuite, i_: decided as everywhere', () => {
    for (const [name, bytes] of choices) {
      expect(takes(engines.latchkey, Uint8Array.from(bytes)), name).toBe(shouldTake(name))
    }
    console.log(`${choices.length} cases`)
  })
})
