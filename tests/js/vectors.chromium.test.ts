import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { chromium } from 'playwright-core'
import { readChoices, readDigest, readDocuments } from './documents.ts'
import type { Result } from './page.ts'
import { chromiumPath, startPageServer } from './page_server.ts'
import { shouldTake } from './vectors.ts'

const server = await startPageServer()
const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
})
after(async () => {
  await browser.close()
  await server.close()
})

const choices = readChoices()
const page = await browser.newPage()
await page.goto(server.url)
const result: Result = await page.evaluate(
  async ([documents, given, runner]) =>
    ((await import(runner)) as typeof import('./page.ts')).run(documents, given),
  [readDocuments(), choices, '/tests/js/page.ts'] as const,
)

describe('golden vectors in Chromium', () => {
  test('are all decided as written', (context) => {
    context.diagnostic(`${result.count} vectors, ${result.verified} of them in the verify-only module too`)
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
