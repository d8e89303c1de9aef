import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { load } from 'latchkey'
import { loadSigner } from 'latchkey/sign'
import { loadVerifier } from 'latchkey/verify'
import { abi } from '../../js-glue/src/abi.gen.ts'
import { canonical, digestOf, outcomeOf } from '../vectors/format.ts'
import { staleFiles } from '../vectors/generate.ts'
import { readChoices, readDigest, readDocuments } from './documents.ts'
import { operationNames, runAll, shouldTake, takes } from './vectors.ts'

const documents = readDocuments()
const vectors = documents.flatMap((document) => document.vectors)
const engines = { latchkey: await load(), signer: await loadSigner(), verifier: await loadVerifier() }

describe('the golden vectors themselves', () => {
  test('are as the generator makes them', async () => {
    assert.deepEqual(await staleFiles(), [])
  })

  test('have ids that name them', () => {
    const ids = vectors.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    for (const { id, op, comment } of vectors) assert.ok(id.startsWith(`${op}/`) && comment.endsWith('.'), id)
  })

  test('ask for every operation', () => {
    assert.deepEqual([...new Set(vectors.map(({ op }) => op))].sort(), [...operationNames].sort())
  })

  test('T06: reach every error code and every public code', () => {
    const answers = vectors.map((vector) => [vector, canonical(outcomeOf(vector))] as const)
    // These are told by whoever stores, sends and serves, or stay inside the core.
    const toldElsewhere = [
      ...['slice_invalid', 'output_too_small', 'base64_invalid', 'utf8_invalid', 'json_invalid'],
      ...['state_consumed', 'store_unavailable', 'already_connected', 'connect_disabled'],
      ...['not_connected', 'reconnect_required', 'revoked', 'temporarily_unavailable'],
      ...['store_unfit', 'lease_too_short'],
      ...['run_unknown', 'run_foreign', 'device_mismatch'],
    ]
    for (const { name } of abi.codes) {
      if (name === 'ok') continue
      const told = answers.some(([{ op }, answer]) => op !== 'publicCode' && answer.includes(`"${name}"`))
      assert.ok(told || toldElsewhere.includes(name as never), `no vector ends in ${name}`)
      assert.ok(
        vectors.some(({ op, code }) => op === 'publicCode' && code === name),
        `${name} has no public code`,
      )
    }
    for (const { name } of abi.publicCodes) {
      if (name === 'none') continue
      assert.ok(
        answers.some(([{ op }, answer]) => op === 'publicCode' && answer === `{"expect":"${name}"}`),
        name,
      )
    }
  })
})

describe('golden vectors in Node', () => {
  const { answers, failures, signed, verified } = runAll(engines, documents)

  test('are all decided as written', (context) => {
    context.diagnostic(
      `${answers.length} vectors, ${signed} of them in the sign module too, ${verified} in the verify-only one`,
    )
    assert.deepEqual(failures, [])
  })

  test('give the digest of every runtime', async () => {
    assert.equal(await digestOf(answers), readDigest())
  })

  const choices = readChoices()
  test(
    'JSONTestSuite, i_: decided as everywhere',
    { skip: choices.length === 0 && 'no external vectors' },
    (context) => {
      for (const [name, bytes] of choices) {
        assert.equal(takes(engines.latchkey, Uint8Array.from(bytes)), shouldTake(name), name)
      }
      context.diagnostic(`${choices.length} cases`)
    },
  )
})
