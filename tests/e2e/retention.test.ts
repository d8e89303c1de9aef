import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { retentionView } from '../../wrangler/public/retention-view.js'
import { call, Person, screenshot, startStack, type Stack } from './harness.ts'

let stack: Stack
const flow = (name: string, run: () => Promise<void>) => test(name, { timeout: 90_000 }, run)
before(async () => {
  stack = await startStack()
})
after(async () => {
  await stack.close()
})

interface Created {
  readonly id: string
  readonly url: string
}
const create = async (subject: string, returnTo?: string): Promise<Created> => {
  const { status, body } = await call(stack, subject, 'POST', '/api/connect-links', {
    provider: 'local',
    ...(returnTo !== undefined && { returnTo }),
  })
  assert.equal(status, 201)
  return body as unknown as Created
}
const state = async (subject: string, id: string): Promise<unknown> =>
  (await call(stack, subject, 'GET', `/api/connect-links/${id}`)).body['state']

/** A browser in which nobody is signed in. */
const stranger = async (options: object = {}): Promise<Page> => {
  const context = await stack.browser.newContext(options)
  context.setDefaultTimeout(20_000)
  return await context.newPage()
}
/** Through the authorization server, as far as it asks. */
const consent = async (page: Page): Promise<void> => {
  const buttons = page.getByRole('button', { name: /^(?:Sign in|Allow)$/ })
  while (page.url().startsWith(stack.local.issuer) && (await buttons.count()) > 0) {
    if ((await page.locator('[name=login]').count()) > 0) await page.fill('[name=login]', 'alex')
    await Promise.all([page.waitForNavigation(), buttons.click()])
  }
}
const fits = async (page: Page): Promise<void> => {
  const [wide, has] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ])
  assert.ok(wide! <= has!, `${wide} px in ${has} px`)
}
const free = (subject: string) => call(stack, subject, 'DELETE', '/api/connections/local?owner=user')

flow('a link connects an account for somebody who is not signed in, once', async () => {
  const { id, url } = await create('alex')
  assert.equal(await state('alex', id), 'pending')
  const page = await stranger()
  await page.goto(url)
  assert.match(await page.locator('main').innerText(), /asks to connect your Local account/)
  assert.match(await page.locator('main').innerText(), /alex/)
  await screenshot(page, 'link-light')
  // The keyboard alone: the button is what the focus comes to after the switch.
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Connect Local')
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
  await consent(page)
  await page.waitForURL(`${stack.local.address}/link?connected=local`)
  assert.match(await page.locator('main').innerText(), /Local is connected/)
  await screenshot(page, 'link-done-light')
  assert.equal(await state('alex', id), 'completed')
  assert.equal((await call(stack, 'alex', 'POST', '/api/connections/local/token', {})).status, 200)

  const response = await page.goto(url)
  assert.equal(response?.status(), 410)
  assert.match(await page.locator('main').innerText(), /already used/)
  await screenshot(page, 'link-used-light')
  await page.context().close()
  await free('alex')
})

flow(
  'a link works without JavaScript, in the dark and on a small screen; a cancelled one works again',
  async () => {
    const { id, url } = await create('small', '/done?tab=git')
    const page = await stranger({
      javaScriptEnabled: false,
      colorScheme: 'dark',
      viewport: { width: 320, height: 640 },
    })
    await page.goto(url)
    await fits(page)
    await screenshot(page, 'link-dark-320')
    await page.click('button.primary')
    await page.getByRole('button', { name: /Cancel|Deny/ }).click()
    await page.waitForURL((to) => to.origin === stack.local.address)
    assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied')
    assert.equal(await state('small', id), 'pending')

    await page.goto(url)
    await page.click('button.primary')
    await consent(page)
    await page.waitForURL((to) => to.origin === stack.local.address)
    assert.equal(page.url(), `${stack.local.address}/done?tab=git&connected=local`)
    assert.equal(await state('small', id), 'completed')
    await page.context().close()
    await free('small')
  },
)

flow('links that lead nowhere, and what went wrong, are sentences', async () => {
  const page = await stranger({ viewport: { width: 320, height: 640 } })
  for (const [path, words] of [
    ['/link/mistyped', /does not lead anywhere/],
    ['/link?error=access_denied&provider=local', /You said no at Local/],
    ['/link?error=other_browser&provider=local', /started in another browser/],
    ['/link?error=expired_state&provider=local', /That took too long/],
    ['/link?error=<script>&provider=<b>', /Something did not work/],
    ['/link', /Nothing to do here/],
  ] as const) {
    await page.goto(`${stack.local.address}${path}`)
    assert.match(await page.locator('main').innerText(), words)
    await fits(page)
  }
  await page.goto(`${stack.local.address}/link?error=access_denied&provider=local`)
  await screenshot(page, 'link-error-light-320')
  await page.context().close()
})

flow('a link goes on after the Worker was started again', async () => {
  const { id, url } = await create('restarted')
  const page = await stranger()
  await page.goto(url)
  await stack.local.restartWorker()
  await page.click('button.primary')
  await consent(page)
  await page.waitForURL(`${stack.local.address}/link?connected=local`)
  assert.equal(await state('restarted', id), 'completed')
  await page.context().close()
  await free('restarted')
})

flow(
  'the retention page: a picture, a table, the raw values; both themes, any width, the keyboard',
  async () => {
    const { id } = await create('watched')
    const person = await Person.signIn(stack, 'operator')
    const { page } = person
    for (let tries = 0; ; tries += 1) {
      await page.goto(`${stack.local.address}/retention`)
      if ((await page.locator('[data-kind=connect_link][data-tone=good]').count()) > 0) break
      assert.ok(tries < 40, 'the ledger was told of the link')
      await page.waitForTimeout(250)
    }
    const text = await page.locator('main').innerText()
    for (const words of ['Used sign-ins', 'Webhook deliveries', 'Nothing is overdue', '11 minutes 5 seconds'])
      assert.ok(text.includes(words), words)
    assert.match(await page.locator('#taken').innerText(), /^Taken .* UTC$/)
    assert.equal(await page.locator('svg.bar[role=img]').count(), 15)
    assert.match(
      (await page.locator('[data-kind=connect_link] svg.bar').getAttribute('aria-label')) ?? '',
      /^Connect links: kept for 1 hour\. In time\. The oldest of \d+ is/,
    )
    await screenshot(page, 'retention-light')
    assert.ok(!(await page.content()).includes('watched'), 'nobody is named')
    assert.ok(!(await page.content()).includes(id))

    await page.getByText('Raw values').focus()
    await page.keyboard.press('Enter')
    const raw = JSON.parse(await page.locator('.raw pre').innerText()) as { kinds: unknown[] }
    assert.equal(raw.kinds.length, 15)

    await page.setViewportSize({ width: 320, height: 640 })
    await fits(page)
    await screenshot(page, 'retention-light-320')
    await page.emulateMedia({ colorScheme: 'dark' })
    await screenshot(page, 'retention-dark-320')
    await page.setViewportSize({ width: 1280, height: 900 })
    await screenshot(page, 'retention-dark')
    await person.close()
  },
)

flow('what is overdue stands out: by word, shape and place', async () => {
  const person = await Person.signIn(stack, 'operator')
  const { page } = person
  const text = await readFile(new URL('../../wrangler/public/retention.html', import.meta.url), 'utf8')
  const response = await person.send(`${stack.local.address}/api/retention`)
  const report = (await response.json()) as Parameters<typeof retentionView>[1]
  const day = 86_400_000
  const kinds = report.kinds.map((kind, index) => ({
    ...kind,
    count: index * 17,
    objects: index,
    oldest: index === 0 ? null : report.at - kind.windowMs * (index === 5 ? 1.6 : 0.15 * (index % 6) + 0.1),
    nextDue: index === 0 ? null : report.at + (index === 5 ? -2 : index) * day,
    overdue: index === 5 ? 2 : 0,
    at: report.at - index * 60_000,
  }))
  const body = retentionView(text, { ...report, kinds })
  await page.route('**/retention', async (route) => {
    const real = await route.fetch()
    await route.fulfill({ response: real, body })
  })
  await page.goto(`${stack.local.address}/retention`)
  assert.match(await page.locator('.notice').innerText(), /Overdue: Webhook deliveries\./)
  const lane = page.locator('[data-kind=delivery]')
  assert.equal(await lane.locator('.late').count(), 1)
  assert.match(await lane.innerText(), /Overdue in 2 objects/)
  assert.equal(await page.locator('.late').count(), 2, 'one in the legend')
  await screenshot(page, 'retention-overdue-light')
  await page.emulateMedia({ colorScheme: 'dark' })
  await screenshot(page, 'retention-overdue-dark')
  await page.setViewportSize({ width: 320, height: 640 })
  await fits(page)
  await screenshot(page, 'retention-overdue-dark-320')
  await person.close()
})
