import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { call, Person, screenshot, startStack, type Stack } from './harness.ts'

let stack: Stack
const flow = (name: string, run: () => Promise<void>) => test(name, { timeout: 120_000 }, run)
before(async () => {
  stack = await startStack()
})
after(async () => {
  await stack.close()
})

const address = (path: string): string => `${stack.local.address}${path}`
async function startDemonstration(person: Person): Promise<string> {
  await person.page.goto(address('/runs'))
  await person.page.getByRole('button', { name: 'Start a demonstration run' }).click()
  await person.page.waitForURL(/\/runs\/[\w-]{64}$/)
  return new URL(person.page.url()).pathname
}
const entries = (page: Page) => page.locator('#events li:not(.gap)')
const numbers = async (page: Page): Promise<number[]> =>
  (await page.locator('#events .no').allInnerTexts()).map(Number)
const until = (page: Page, words: RegExp) =>
  page.locator('#status', { hasText: words }).waitFor({ timeout: 60_000 })
const counting = (last: number): number[] => Array.from({ length: last }, (_, n) => n + 1)

flow('a tab that is killed and a Worker that is killed in mid-run: the run heals on screen', async () => {
  const person = await Person.signIn(stack, 'alex')
  const path = await startDemonstration(person)
  await entries(person.page).nth(2).waitFor()
  assert.match(await person.page.locator('#wire').innerText(), /Connected/)
  await person.page.close()

  const again = await person.context.newPage()
  await again.goto(address(path))
  await entries(again).nth(4).waitFor()
  await stack.local.restartWorker()
  await again.locator('#wire[data-wire=open]').waitFor()
  await until(again, /Finished/)
  assert.deepEqual(await numbers(again), counting(31))
  assert.ok((await again.locator('#events .gap').count()) >= 1)
  assert.match(await again.locator('#line-words').innerText(), /the connection was lost/)
  assert.match(await again.locator('#wire').innerText(), /complete/)
  await screenshot(again, 'run-healed')
  await again.reload()
  await until(again, /Finished/)
  assert.deepEqual(await numbers(again), counting(31))
  await person.close()
})

flow('a lost Worker is said in words while it is away', async () => {
  const person = await Person.signIn(stack, 'away')
  await startDemonstration(person)
  await entries(person.page).nth(0).waitFor()
  const lost = person.page.locator('#wire[data-wire=lost]').waitFor()
  await stack.local.restartWorker()
  await lost
  await person.close()
})

flow('a person stops a run, and reads why it ended', async () => {
  const person = await Person.signIn(stack, 'stopper')
  const path = await startDemonstration(person)
  await entries(person.page).nth(0).waitFor()
  await person.page.getByRole('button', { name: 'Stop …' }).click()
  await person.page.getByRole('button', { name: 'Let it go on' }).click()
  // With the keyboard alone.
  await person.page.getByRole('button', { name: 'Stop …' }).focus()
  await person.page.keyboard.press('Enter')
  await person.page.keyboard.press('Tab')
  await person.page.keyboard.press('Enter')
  await until(person.page, /Stopped by a person/)
  assert.match(await person.page.locator('#why').innerText(), /does not go on by itself/)

  const other = await Person.signIn(stack, 'somebody')
  await other.page.goto(address(path))
  await until(other.page, /Cannot be shown/)
  assert.match(await other.page.locator('#why').innerText(), /belongs to somebody else/)
  await other.close()
  await person.close()
})

flow('what ended it is said in words', async () => {
  const person = await Person.signIn(stack, 'words')
  const start = async (thread: string, more: object = {}) => {
    const { body } = await call(stack, 'words', 'POST', '/api/runs', {
      threadId: thread,
      clientKey: 'k',
      ...more,
    })
    return String(body['runId'])
  }
  const errored = await start('t-error')
  await call(stack, 'words', 'POST', `/api/runs/${errored}/events`, {
    events: [{ key: 'a', type: 'note', data: '<img src=x onerror=alert(1)>' }],
  })
  await call(stack, 'words', 'POST', `/api/runs/${errored}/finish`, { kind: 'missing_api_key' })
  await person.page.goto(address(`/runs/${errored}`))
  await until(person.page, /Ended with an error/)
  assert.match(await person.page.locator('#why').innerText(), /key that the work needs/)
  assert.match(await person.page.locator('#events').innerText(), /<img src=x/)
  await person.page.goto(address(`/runs/${'A'.repeat(64)}`))
  await until(person.page, /Cannot be shown/)
  assert.match(await person.page.locator('#why').innerText(), /no such run/)
  await person.close()
})

flow('320 px wide, both themes, no scrolling sideways, nothing refused by the policy', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const person = await Person.signIn(stack, `narrow-${colorScheme}`, { colorScheme })
    const problems: string[] = []
    person.page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    person.page.on('pageerror', (error) => problems.push(error.message))
    await startDemonstration(person)
    await entries(person.page).nth(3).waitFor()
    await screenshot(person.page, `run-${colorScheme}`)
    await person.page.setViewportSize({ width: 320, height: 700 })
    const wide = () => person.page.evaluate(() => document.documentElement.scrollWidth)
    assert.equal(await wide(), 320)
    await screenshot(person.page, `run-320-${colorScheme}`)
    await person.page.goto(address('/runs'))
    await person.page.locator('.runs tbody tr').first().waitFor()
    assert.equal(await wide(), 320)
    await screenshot(person.page, `runs-320-${colorScheme}`)
    await person.page.setViewportSize({ width: 1_100, height: 800 })
    await screenshot(person.page, `runs-${colorScheme}`)
    assert.deepEqual(problems, [])
    await person.close()
  }
})
