/** Whose connection, for a person: the owner switch, what may be done and why not, and the way to the one that is used. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { call, Person, screenshot, startStack, type Stack } from './harness.ts'

let stack: Stack
const flow = (name: string, run: () => Promise<void>) => test(name, { timeout: 90_000 }, run)
before(async () => {
  stack = await startStack()
})
after(async () => {
  await stack.close()
})

const admin = { org: 'acme', role: 'admin' } as const
const member = { org: 'acme', role: 'member' } as const
/** Where nothing has been before. */
const fresh = (role: string) => ({ org: 'zeta', role })

const choice = ({ page }: Person, provider = 'local') => page.locator(`.choice[data-provider="${provider}"]`)
const steps = async (person: Person): Promise<string[]> =>
  await choice(person)
    .locator('.way li')
    .evaluateAll((nodes) =>
      nodes.map(
        (node) => `${(node as HTMLElement).dataset['place']} ${(node as HTMLElement).dataset['step']}`,
      ),
    )
const open = async (person: Person): Promise<void> => {
  await choice(person).locator('summary').click()
}
/** Frees the provider account for the next test. */
const end = async (person: Person, ...owners: ('user' | 'org')[]): Promise<void> => {
  for (const owner of owners)
    await person.send(`${stack.local.address}/api/connections/local?owner=${owner}`, {
      method: 'DELETE',
      headers: { 'content-type': 'application/json', origin: stack.local.address },
    })
  await person.close()
}

flow('a member sees what they may not do, and why', async () => {
  const person = await Person.signIn(stack, 'max', member)
  const card = person.card('local', 'org')
  const button = card.locator('button[data-verb=connect]')
  assert.equal(await button.getAttribute('aria-disabled'), 'true')
  const reason = card.locator(`[id="${await button.getAttribute('aria-describedby')}"]`)
  assert.match(await reason.innerText(), /Your role does not permit.*Ask an owner or admin of acme/)
  assert.equal(await card.locator('[data-action=connect]').count(), 0)
  // It takes the focus and says why when it is pressed.
  await button.focus()
  await person.page.keyboard.press('Enter')
  await person.page.waitForFunction(() => document.getElementById('live')?.textContent?.includes('Your role'))
  assert.equal(await person.card('local').locator('[data-action=connect]').count(), 1)
  await person.close()
})

flow(
  'the switch shows the connections of one owner, with and without scripts, and can be gone back from',
  async () => {
    for (const javaScriptEnabled of [true, false]) {
      const person = await Person.signIn(stack, 'ada', { ...admin, javaScriptEnabled })
      const { page } = person
      const owners = async (): Promise<string[]> => [
        ...new Set(
          await page
            .locator('.card')
            .evaluateAll((nodes) => nodes.map((node) => String((node as HTMLElement).dataset['owner']))),
        ),
      ]
      assert.deepEqual(await owners(), ['user', 'org'])
      await page.getByRole('link', { name: 'acme', exact: true }).click()
      await page.waitForURL(/owner=org/)
      assert.deepEqual(await owners(), ['org'])
      assert.equal(await page.locator('.switch [aria-current=page]').innerText(), 'acme')
      await page.getByRole('link', { name: 'Me', exact: true }).click()
      await page.waitForURL(/owner=user/)
      assert.deepEqual(await owners(), ['user'])
      await page.goBack()
      assert.deepEqual(await owners(), ['org'])
      // What is connected from here comes back here.
      await person.connect('local', 'org')
      assert.match(page.url(), /owner=org/)
      assert.equal(await person.status('local', 'org'), 'connected')
      await end(person, 'org')
    }
  },
)

flow('nobody without an organisation is asked whose', async () => {
  const person = await Person.signIn(stack, 'solo')
  assert.equal(await person.page.locator('.switch').count(), 0)
  assert.deepEqual(await steps(person), ['user passed'])
  await person.close()
})

flow(
  'the way to the one that is used: drawn, in sentences, as a line; the page and the interface agree',
  async () => {
    const ada = await Person.signIn(stack, 'ada', fresh('admin'))
    assert.deepEqual(await steps(ada), ['user passed', 'org passed'])
    assert.match(await choice(ada).locator('summary').innerText(), /None/)
    await ada.connect('local', 'org')
    const max = await Person.signIn(stack, 'max', fresh('member'))
    assert.deepEqual(await steps(max), ['user passed', 'org taken'])
    assert.match(await choice(max).locator('summary').innerText(), /zeta’s/)
    await open(max)
    assert.deepEqual(await max.page.locator('.choice[data-provider=local] .reasons li').allInnerTexts(), [
      'Your own connection does not exist.',
      "Your organisation's connection is there, and is used.",
    ])
    assert.equal(await choice(max).locator('code').innerText(), 'found: absent(user) > found(org)')
    const grant = await max.send(`${stack.local.address}/api/connections/local/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: stack.local.address },
      body: '{}',
    })
    assert.equal(((await grant.json()) as { source: string }).source, 'org')
    await max.close()
    await end(ada, 'org')
  },
)

flow('ending one\u2019s own stops the search, and the page says so as soon as it has happened', async () => {
  const ada = await Person.signIn(stack, 'ada', admin)
  await ada.connect('local', 'org')
  // One account, one person: the organisation's goes on under the same name.
  await ada.connect('local')
  assert.deepEqual(await steps(ada), ['user taken', 'org unreached'])
  await open(ada)
  await ada.card('local').locator('.ask summary').click()
  await ada.card('local').locator('.ask .danger').click()
  await ada.page.locator('.choice[data-provider=local][data-outcome=revoked]').waitFor()
  assert.deepEqual(await steps(ada), ['user stopped', 'org unreached'])
  assert.equal(await choice(ada).locator('details').getAttribute('open'), '')
  assert.match(await choice(ada).innerText(), /acme has one\. It is only used by work that asks for it\./)
  const { body } = await call(stack, 'ada', 'POST', '/api/connections/local/token', {})
  assert.deepEqual(body, { error: 'not_connected', cause: 'disconnected' })
  await end(ada, 'org')
})

flow('connecting for the organisation makes room: the page says so before, and it is so after', async () => {
  const ada = await Person.signIn(stack, 'ada', admin)
  await ada.connect('local')
  assert.match(await ada.card('local', 'org').innerText(), /Your own connection here makes room for it/)
  await ada.connect('local', 'org')
  assert.equal(await ada.status('local'), 'not_connected')
  assert.deepEqual(await steps(ada), ['user passed', 'org taken'])
  await end(ada, 'org')
})

const actor = (person: Person, provider = 'app') => choice(person, provider).locator('.actor')
const askAt = async (person: Person, repo: string): Promise<void> => {
  const form = choice(person, 'app').locator('.at')
  if (!(await form.isVisible())) await choice(person, 'app').locator('summary').click()
  await form.locator('[name=repo]').fill(repo)
  await form.getByRole('button', { name: 'Show' }).click()
}
/** The provider ends the person's grant, and it is found out. */
const loseGrant = async (person: Person): Promise<void> => {
  const post = async (verb: string, body: object) =>
    (await (
      await person.send(`${stack.local.address}/api/connections/app/${verb}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: stack.local.address },
        body: JSON.stringify(body),
      })
    ).json()) as { generation?: object; error?: string }
  const { generation } = await post('token', {})
  await stack.github.revoke(person.subject)
  assert.equal((await post('rotate', { generation })).error, 'reconnect_required')
}
const install = (account: string, member: string): string => {
  stack.github.install({ account, repositories: ['one'], members: [member] })
  return `${stack.github.address}/git/${account}/one`
}

flow('who acts is said: the person, or the account that was connected for them', async () => {
  const ada = await Person.signIn(stack, 'ada', fresh('admin'))
  await open(ada)
  assert.equal(await actor(ada, 'local').innerText(), 'Nobody can act')
  await ada.connect('local', 'org')
  const max = await Person.signIn(stack, 'max', fresh('member'))
  await open(max)
  assert.equal(await actor(max, 'local').innerText(), 'The account connected for zeta acts')
  assert.equal(await choice(max).locator('.at').count(), 0, 'there is no app that could act')
  await max.close()
  await end(ada, 'org')
  const alone = await Person.signIn(stack, 'alone')
  await alone.connect('local')
  await open(alone)
  assert.equal(await actor(alone, 'local').innerText(), 'You act')
  await end(alone, 'user')
})

flow(
  'T29 who acts at a repository: the person, then the app, and why; the same without scripts',
  async () => {
    const gil = await Person.signIn(stack, 'gil')
    const repo = install('team', 'gil')
    stack.github.signIn('gil')
    await gil.connect('app')
    await askAt(gil, repo)
    await actor(gil).waitFor()
    assert.equal(await actor(gil).innerText(), `You act at ${repo}`)
    assert.deepEqual(await choice(gil, 'app').locator('.actor + .reasons li').allInnerTexts(), [
      'One installation of the app reaches it.',
      'Your own connection is used.',
    ])
    await loseGrant(gil)
    // The page hears of it by itself, and what was asked is asked again.
    await gil.page.evaluate(() => dispatchEvent(new Event('online')))
    await choice(gil, 'app').locator('[data-acts=installation]').waitFor()
    assert.equal(await actor(gil).innerText(), `The app acts, not you at ${repo}`)
    const reasons = choice(gil, 'app').locator('.actor + .reasons li')
    assert.deepEqual(await reasons.allInnerTexts(), [
      'One installation of the app reaches it.',
      'Your connection could not be renewed.',
    ])
    const code = choice(gil, 'app').locator('.trace code').last()
    assert.equal(await code.innerText(), 'installation: one_installation(user) > refresh_failed')
    await askAt(gil, `${stack.github.address}/git/elsewhere/one`)
    await choice(gil, 'app').locator('[data-acts=none]').waitFor()
    assert.match(await actor(gil).innerText(), /^Nobody can act at /)

    // With scripts and without, what is no repository there is said in words.
    const plain = await Person.signIn(stack, 'gil', { javaScriptEnabled: false })
    for (const person of [gil, plain]) {
      for (const [wrong, words] of [
        ['no repository', /not the address of a repository/],
        ['https://evil.example/a/b', /is not at Hub/],
      ] as const) {
        await askAt(person, wrong)
        const problem = choice(person, 'app').locator('.problem', { hasText: words })
        await problem.waitFor()
        assert.equal(await actor(person).count(), 0)
        assert.equal(await choice(person, 'app').locator('[name=repo]').inputValue(), wrong)
      }
    }
    await askAt(plain, repo)
    assert.match(await actor(plain).innerText(), /^The app acts, not you at /)
    assert.equal(await choice(plain, 'app').locator('details').getAttribute('open'), '')
    await plain.close()
    // An address that was asked about is one that can be gone back to.
    await gil.page.goto(plain.page.url())
    await gil.page.waitForFunction(() => document.getElementById('taken')?.textContent !== '')
    assert.match(await actor(gil).innerText(), /^The app acts, not you at /)
    assert.ok(!/gh[su]_/.test(await gil.page.content()))
    await gil.close()
  },
)

flow('without scripts the way is there all the same', async () => {
  const person = await Person.signIn(stack, 'plain', { org: 'empty', javaScriptEnabled: false })
  assert.deepEqual(await steps(person), ['user passed', 'org passed'])
  await open(person)
  assert.equal(await choice(person).locator('.reasons').isVisible(), true)
  assert.equal(await choice(person).locator('[data-action=copy]').isVisible(), false)
  await person.close()
})

flow('with the keyboard alone, and for a screen reader', async () => {
  const person = await Person.signIn(stack, 'keys', member)
  const { page } = person
  await page.waitForFunction(() => document.getElementById('taken')?.textContent !== '')
  await page.locator('.switch a').first().focus()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.waitForURL(/owner=user/)
  assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Me')
  await choice(person).locator('summary').focus()
  await page.keyboard.press('Enter')
  assert.equal(await choice(person).locator('.way').isVisible(), true)
  await page.keyboard.press('Escape')
  assert.equal(await choice(person).locator('.way').isVisible(), false)
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'SUMMARY')
  assert.equal(await page.getByRole('navigation', { name: 'Whose connections' }).count(), 1)
  assert.equal(await page.getByRole('region', { name: 'Whose connection work uses' }).count(), 1)
  await choice(person).locator('summary').click()
  assert.equal(await page.getByRole('list', { name: 'The way to it, in order' }).count(), 1)
  await person.close()
})

flow('nothing sticks out and nothing jumps: 320 px, 200 %, both themes', async () => {
  const ada = await Person.signIn(stack, 'ada', admin)
  await ada.connect('local', 'org')
  for (const colorScheme of ['light', 'dark'] as const) {
    const person = await Person.signIn(stack, 'max', { ...member, colorScheme })
    const { page } = person
    for (const [name, width, scale] of [
      ['wide', 1_000, 1],
      ['narrow', 320, 1],
      ['zoomed', 640, 2],
    ] as const) {
      await page.setViewportSize({ width, height: 900 })
      await page.goto(`${stack.local.address}/`)
      await page.evaluate((factor) => {
        document.documentElement.style.fontSize = `${factor * 100}%`
        ;(window as unknown as { shift: number }).shift = 0
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries() as unknown as { value: number; hadRecentInput: boolean }[])
            if (!entry.hadRecentInput) (window as unknown as { shift: number }).shift += entry.value
        }).observe({ type: 'layout-shift', buffered: true })
      }, scale)
      await page.waitForFunction(() => document.getElementById('taken')?.textContent !== '')
      await open(person)
      await page.waitForTimeout(300)
      const room = await page.evaluate(() => [
        document.documentElement.scrollWidth - document.documentElement.clientWidth,
        (window as unknown as { shift: number }).shift,
      ])
      assert.equal(room[0], 0, `${name} ${colorScheme} sticks out`)
      if (scale === 1) assert.equal(room[1], 0, `${name} ${colorScheme} jumps`)
      await screenshot(page, `scope-member-${name}-${colorScheme}`)
    }
    await person.close()
  }
  await end(ada, 'org')
  const repo = install('a-team-with-a-long-name', 'gwen')
  stack.github.signIn('gwen')
  for (const colorScheme of ['light', 'dark'] as const) {
    const person = await Person.signIn(stack, 'gwen', { colorScheme })
    const { page } = person
    if (colorScheme === 'light') {
      await person.connect('app')
      await askAt(person, repo)
      await actor(person).waitFor()
      await loseGrant(person)
    }
    for (const [name, width] of [
      ['wide', 1_000],
      ['narrow', 320],
    ] as const) {
      await page.setViewportSize({ width, height: 900 })
      await page.goto(`${stack.local.address}/`)
      await page.waitForFunction(() => document.getElementById('taken')?.textContent !== '')
      await open(person)
      await askAt(person, repo)
      await choice(person, 'app').locator('[data-acts=installation]').waitFor()
      const room = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      )
      assert.equal(room, 0, `${name} ${colorScheme} sticks out`)
      await screenshot(page, `scope-acting-${name}-${colorScheme}`)
    }
    await person.close()
  }
  for (const colorScheme of ['light', 'dark'] as const) {
    const person = await Person.signIn(stack, 'ada', { ...admin, colorScheme })
    await person.connect('local', 'org')
    await person.connect('local')
    await person.card('local').locator('.ask summary').click()
    await person.card('local').locator('.ask .danger').click()
    await person.page.locator('.choice[data-provider=local][data-outcome=revoked]').waitFor()
    await open(person)
    await screenshot(person.page, `scope-ended-${colorScheme}`)
    await end(person, 'org')
  }
})
