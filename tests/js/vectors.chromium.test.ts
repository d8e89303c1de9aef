import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { openPage } from './chromium.ts'
import { readChoices, readDigest, readDocuments } from './documents.ts'
import type { Result } from './page.ts'
import { shouldTake } from './vectors.ts'

const { page, close } = await openPage()
after(close)

const choices = readChoices()
const result: Result = await page.evaluate(
  async ([documents, given, runner]) =>
    ((await import(runner)) as typeof import('./page.ts')).run(documents, given),
  [readDocuments(), choices, '/tests/js/page.ts'] as const,
)

describe('golden vectors in Chromium', () => {
  test('are all decided as written', (context) => {
    context.diagnostic(
      `${result.count} vectors, ${result.signed} of them in the sign module too, ${result.verified} in the verify-only one`,
    )
    assert.deepEqual(result.failures, [])
  })

  test('give the digest of every runtime', () => {
    assert.equal(result.digest, readDigest())
  })

  test(
    'JSONTestSuite, i_: decided as everywhere',
    { skip: choices.length === 0 && 'no external vectors' },
    (context) => {
      assert.deepEqual(
        result.taken,
        choices.map(([name]) => name).filter((name) => shouldTake(name)),
      )
      context.diagnostic(`${choices.length} cases`)
    },
  )
})
