/** What a person sees of a connection that went wrong, whoever broke it: words, a way out, both themes, 320 px. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, test } from 'node:test'
import type { Fault } from '../servers/faults.ts'
import { Person, screenshot, startStack, webhookSecret, type Stack } from './harness.ts'

let stack: Stack
const flow = (name: string, run: () => Promise<void>) => test(name, { timeout: 120_000 }, run)
before(async () => {
  stack = await startStack()
})
after(async () => {
  await stack.close()
})

const themes = ['light', 'dark'] as const

/** As the page is now, from scratch, for the same person: in both themes and where there is little room. */
async function look(person: Person, name: string, path = '/'): Promise<void> {
  const { page } = person
  for (const colorScheme of themes) {
    await page.emulateMedia({ colorScheme })
    for (const width of [1_000, 320]) {
      await page.setViewportSize({ width, height: 900 })
      await page.goto(`${stack.local.address}${path}`)
      await page.waitForFunction(() => document.getElementById('taken')?.textContent !== '')
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      )
      assert.equal(wide, 0, `${name} ${width} ${colorScheme} sticks out`)
      await screenshot(page, `state-${name}-${width}-${colorScheme}`)
    }
  }
  await page.setViewportSize({ width: 1_000, height: 900 })
}

const connectAs = async (person: Person): Promise<void> => {
  stack.github.signIn(person.subject)
  await person.connect('app')
}
const ask = async (person: Person, verb: string, body: object = {}) =>
  (await (
    await person.send(`${stack.local.address}/api/connections/app/${verb}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: stack.local.address },
      body: JSON.stringify(body),
    })
  ).json()) as { accessToken?: string; generation?: object; error?: string; cause?: string }

flow(
  'a provider that is down while somebody connects: said, nothing is kept, and it works once it is back',
  async () => {
    const person = await Person.signIn(stack, 'dora')
    for (const fault of [
      { kind: 'reset', when: 'before', on: 'exchange' },
      { kind: 'html', when: 'after', on: 'exchange' },
      { kind: '429', when: 'before', on: 'exchange' },
      { kind: '502', when: 'before', on: 'user' },
      { kind: '503', when: 'before', on: 'exchange' },
    ] as const satisfies readonly Fault[]) {
      stack.github.setFaults([fault])
      await connectAs(person)
      const told = `${fault.kind} on ${fault.on}`
      const words = await person.page.locator('#notice').innerText()
      assert.match(words, /^Hub did not confirm the sign-in\. Start again;/, told)
      assert.equal(await person.status('app'), 'not_connected', told)
      assert.equal(await person.card('app').locator('[data-action=connect]').count(), 1, told)
      assert.ok(!/Bad gateway|Service unavailable|accept our terms/.test(await person.page.content()), told)
    }
    // The words do not stay in the address: a reload does not bring them back.
    await person.page.waitForURL(`${stack.local.address}/`)
    await look(person, 'down', '/?error=exchange_failed&provider=app')
    stack.github.setFaults([])
    await connectAs(person)
    assert.equal(await person.status('app'), 'connected')
    assert.match(await person.page.locator('#notice').innerText(), /Hub is connected/)
    await person.close()
  },
)

/** Ends the Worker, spoils what it has stored of that person's connection, and starts it again. */
async function spoil(subject: string): Promise<void> {
  await stack.local.worker.close()
  let spoilt = 0
  for (const file of globSync(join(stack.folder, 'state/**/*.sqlite'))) {
    const database = new DatabaseSync(file)
    const isVault = "SELECT 1 FROM sqlite_master WHERE name = 'latchkey_connection'"
    const update = 'UPDATE latchkey_connection SET row = zeroblob(172) WHERE details LIKE ?'
    if (database.prepare(isVault).get())
      spoilt += Number(database.prepare(update).run(`%"${subject}"%`).changes)
    database.close()
  }
  assert.equal(spoilt, 1)
  await stack.local.restartWorker()
}

flow('a record that cannot be read: said, and put right by connecting again', async () => {
  const person = await Person.signIn(stack, 'cora')
  await connectAs(person)
  await spoil('cora')
  await look(person, 'corrupt')
  const card = person.card('app')
  assert.equal(await card.getAttribute('data-status'), 'reconnect_required')
  assert.match(
    await card.innerText(),
    /Needs reconnecting[^]*cannot be read any more\. Reconnect to put it right/,
  )
  assert.equal((await ask(person, 'token')).error, 'corrupt')
  await connectAs(person)
  assert.equal(await person.status('app'), 'connected')
  assert.match(String((await ask(person, 'token')).accessToken), /^ghu_/)
  await person.close()
})

flow('ended at the provider: the page says so by itself, and nothing of it is left to end', async () => {
  const person = await Person.signIn(stack, 'rita')
  await connectAs(person)
  stack.github.setWebhook({ url: `${stack.local.address}/webhooks/app`, secret: webhookSecret })
  await stack.github.revoke('rita')
  await person.page.evaluate(() => dispatchEvent(new Event('online')))
  await person.page.locator('.card[data-provider=app][data-status=revoked]').waitFor()
  await look(person, 'revoked')
  const card = person.card('app')
  assert.match(await card.innerText(), /Disconnected by Hub[^]*Access was ended at Hub\. Connect again/)
  assert.equal(await card.locator('[data-action=disconnect]').count(), 0)
  await connectAs(person)
  assert.equal(await person.status('app'), 'connected')
  await person.close()
})

flow('a renewal whose answer was lost: it is nobody’s fault, and what to do is said', async () => {
  const person = await Person.signIn(stack, 'lena')
  await connectAs(person)
  const { generation } = await ask(person, 'token')
  // The provider has spent the token, and the connection ends before its answer is here.
  stack.github.setFaults([{ kind: 'reset', when: 'after', on: 'refresh', times: 1 }])
  const { error, cause } = await ask(person, 'rotate', { generation })
  assert.deepEqual([error, cause], ['reconnect_required', 'lost_in_flight'])
  await look(person, 'lost')
  const card = person.card('app')
  assert.equal(await card.getAttribute('data-status'), 'reconnect_required')
  const words = await card.innerText()
  assert.match(words, /Hub’s answer was lost on its way here[^]*Nothing is wrong with your account\./)
  assert.match(words, /waits until you reconnect/)
  await connectAs(person)
  assert.equal(await person.status('app'), 'connected')
  await person.close()
})
