import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { call, introspect, Person, screenshot, startStack, type Stack } from './harness.ts'

let stack: Stack
const flow = (name: string, run: () => Promise<void>) => test(name, { timeout: 90_000 }, run)
before(async () => {
  stack = await startStack()
})
after(async () => {
  await stack.close()
})

const tokenPath = '/api/connections/local/token'
const token = async (subject: string): Promise<string> => {
  const { status, body } = await call(stack, subject, 'POST', tokenPath, {})
  assert.equal(status, 200)
  return String(body['accessToken'])
}
/** Frees the provider account for the next test. */
const leave = async (person: Person): Promise<void> => {
  for (const provider of ['local', 'local-form'])
    await call(stack, person.subject, 'DELETE', `/api/connections/${provider}?owner=user`)
  await person.close()
}

flow('a click in a browser ends in a token that the server accepts', async () => {
  const person = await Person.signIn(stack, 'alex')
  assert.equal(await person.status('local'), 'not_connected')
  await person.connect('local')
  assert.equal(await person.status('local'), 'connected')
  assert.match(await person.page.locator('#notice').innerText(), /Local is connected/)

  const { body } = await call(stack, 'alex', 'POST', tokenPath, { minValidityMs: 60_000 })
  assert.deepEqual(Object.keys(body).sort(), ['accessToken', 'expiresAt', 'generation', 'obtained', 'source'])
  assert.equal(body['source'], 'user')
  const seen = await introspect(stack, String(body['accessToken']))
  assert.equal(seen['active'], true)
  const account = await fetch(`${stack.local.issuer}/me`, {
    headers: { authorization: `Bearer ${String(body['accessToken'])}` },
  })
  assert.equal(((await account.json()) as { preferred_username: string }).preferred_username, 'alex')
  assert.ok(!(await person.page.content()).includes(String(body['accessToken'])))
  await leave(person)
})

flow('the page verifies the returned state in the browser', async () => {
  const person = await Person.signIn(stack, 'verifier')
  await person.connect('local')
  await person.card('local').locator('.proof.verified').waitFor()
  await leave(person)
})

flow('another browser cannot finish the flow, and the first still can', async () => {
  const person = await Person.signIn(stack, 'alex')
  const url = await person.heldCallback()
  const other = await Person.signIn(stack, 'alex')
  await other.page.goto(url)
  assert.match(await other.page.locator('#notice').innerText(), /started in another browser/)
  assert.equal((await person.outcome(url)).get('connected'), 'local')
  await other.close()
  await leave(person)
})

flow('a replayed callback changes nothing', async () => {
  const person = await Person.signIn(stack, 'alex')
  const url = await person.heldCallback()
  await person.page.goto(url)
  const before = await call(stack, 'alex', 'GET', '/api/connections')
  await person.page.goto(url)
  assert.match(await person.page.locator('#notice').innerText(), /already finished/)
  assert.deepEqual(await call(stack, 'alex', 'GET', '/api/connections'), before)
  // A server that sees a code twice ends the grant (RFC 6749 section 4.1.2).
  assert.equal((await introspect(stack, await token('alex')))['active'], true)
  await leave(person)
})

flow('of two concurrent identical callbacks exactly one exchanges', async () => {
  const person = await Person.signIn(stack, 'alex')
  for (let round = 0; round < 5; round += 1) {
    const url = await person.heldCallback()
    const [one, two] = await Promise.all([person.outcome(url), person.outcome(url)])
    assert.deepEqual([one.get('connected'), two.get('connected')].sort(), ['local', null])
    assert.deepEqual([one.get('error'), two.get('error')].sort(), [null, 'used_state'].sort())
    assert.equal((await introspect(stack, await token('alex')))['active'], true)
  }
  await leave(person)
})

flow('a state is refused when its life is over', async () => {
  const person = await Person.signIn(stack, 'alex')
  const { address } = stack.local
  const issued = async (ageMs: number): Promise<string> => {
    const claims = {
      alg: 'EdDSA',
      issuer: address,
      audience: `${address}/callback/local`,
      flow: 'connect',
      provider: 'local',
      subject: 'alex',
      owner: { kind: 'user', id: 'alex' },
      returnTo: '/',
      binding: await person.binding(),
    } as const
    const entropy = crypto.getRandomValues(new Uint8Array(32))
    return stack.lk.state.issue(stack.keys, claims, { now: Date.now() - ageMs, entropy }).token
  }
  const at = async (ageMs: number): Promise<string | null> => {
    const query = new URLSearchParams({
      state: await issued(ageMs),
      code: 'no-code-of-anyone',
      iss: stack.local.issuer,
    })
    return (await person.outcome(`${address}/callback/local?${query}`)).get('error')
  }
  assert.equal(await at(602_000), 'expired_state')
  assert.equal(await at(590_000), 'exchange_failed')
  await leave(person)
})

flow('a person who says no is told so and nothing is stored', async () => {
  const person = await Person.signIn(stack, 'alex')
  await person.card('local').locator('[data-action=connect]').click()
  await person.page.getByRole('button', { name: /Cancel|Deny/ }).click()
  await person.page.waitForURL((url) => url.origin === stack.local.address)
  assert.match(await person.page.locator('#notice').innerText(), /You said no at Local/)
  assert.equal(await person.status('local'), 'disconnected')
  await leave(person)
})

flow("a provider's error is a sentence of ours, shows none of its text and uses nothing up", async () => {
  const person = await Person.signIn(stack, 'alex')
  const url = new URL(await person.heldCallback())
  const broken = new URL(url)
  broken.searchParams.delete('code')
  broken.searchParams.set('error', 'server_error')
  broken.searchParams.set('error_description', 'canary-<b>text</b>')
  broken.searchParams.set('error_uri', 'https://canary.example/')
  await person.page.goto(broken.href)
  assert.match(await person.page.locator('#notice').innerText(), /Local reported a problem/)
  assert.ok(!(await person.page.content()).includes('canary'))
  assert.ok(!stack.log.join('\n').includes('canary'))
  assert.equal((await person.outcome(url.href)).get('connected'), 'local')
  await leave(person)
})

flow('a forged callback cannot hurt a live flow', async () => {
  const person = await Person.signIn(stack, 'alex')
  const url = new URL(await person.heldCallback())
  const forge = async (change: (query: URLSearchParams) => void): Promise<string | null> => {
    const forged = new URL(url)
    change(forged.searchParams)
    return (await person.outcome(forged.href)).get('error')
  }
  const state = url.searchParams.get('state') ?? ''
  const changed = `${state.slice(0, -9)}${state.at(-9) === 'A' ? 'B' : 'A'}${state.slice(-8)}`
  assert.equal(await forge((query) => query.delete('state')), 'invalid_state')
  assert.equal(await forge((query) => query.set('state', 'a.b.c')), 'invalid_state')
  assert.equal(await forge((query) => query.set('state', changed)), 'invalid_state')
  assert.equal(await forge((query) => query.append('state', state)), 'invalid_state')
  assert.ok(await forge((query) => query.append('code', 'another')))
  assert.ok(await forge((query) => query.delete('code')))
  assert.ok(await forge((query) => query.set('code', 'a code\r\nwith lines')))
  assert.ok(await forge((query) => query.set('iss', 'https://attacker.example')))
  assert.equal((await person.outcome(url.href)).get('connected'), 'local')
  await leave(person)
})

flow('somebody else who is signed in by then cannot finish it', async () => {
  const person = await Person.signIn(stack, 'alex')
  const url = await person.heldCallback()
  await person.become('sam')
  assert.equal((await person.outcome(url)).get('error'), 'other_account')
  await person.become('alex')
  assert.equal((await person.outcome(url)).get('connected'), 'local')
  await leave(person)
})

flow('ten tabs at once', async () => {
  const person = await Person.signIn(stack, 'alex')
  const start = `${stack.local.address}/connect/local?owner=user&return_to=/`
  // The authorization server asks once; then all tabs are on the way together.
  await person.connect('local')
  const tabs = await Promise.all(Array.from({ length: 10 }, () => person.context.newPage()))
  await Promise.all(tabs.map((tab) => tab.goto(start)))
  await Promise.all(tabs.map((tab) => person.consent(tab)))
  for (const tab of tabs) assert.match(await tab.locator('#notice').innerText(), /Local is connected/)
  assert.equal((await introspect(stack, await token('alex')))['active'], true)
  await leave(person)
})

flow('response_mode=form_post', async () => {
  const person = await Person.signIn(stack, 'alex')
  const posted = person.page.waitForRequest((request) => request.url().endsWith('/callback/local-form'))
  await person.connect('local-form')
  assert.equal((await posted).method(), 'POST')
  assert.equal(await person.status('local-form'), 'connected')
  await leave(person)
})

flow('an account belongs to one person here', async () => {
  const first = await Person.signIn(stack, 'first')
  await first.connect('local')
  const second = await Person.signIn(stack, 'second')
  await second.connect('local')
  assert.match(await second.page.locator('#notice').innerText(), /already connected to another person/)
  assert.equal(await second.status('local'), 'not_connected')
  assert.equal((await introspect(stack, await token('first')))['active'], true)
  await leave(first)
  await second.connect('local')
  assert.equal(await second.status('local'), 'connected')
  await leave(second)
})

flow('members cannot connect for the organisation, admins can, and members then use it', async () => {
  const member = await Person.signIn(stack, 'member', { org: 'acme', role: 'member' })
  assert.equal(await member.card('local', 'org').locator('[data-action=connect]').count(), 0)
  await member.page.goto(`${stack.local.address}/connect/local?owner=org&return_to=/`)
  assert.match(await member.page.locator('#notice').innerText(), /Only owners and admins/)

  const admin = await Person.signIn(stack, 'admin', { org: 'acme', role: 'admin' })
  await admin.connect('local', 'org')
  assert.equal(await admin.status('local', 'org'), 'connected')
  await member.page.goto(`${stack.local.address}/`)
  assert.equal(await member.status('local', 'org'), 'connected')
  assert.equal(await member.status('local', 'user'), 'not_connected')
  const refused = await member.send(`${stack.local.address}/api/connections/local?owner=org`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json', origin: stack.local.address },
  })
  assert.equal(refused.status, 403)
  const ended = await admin.send(`${stack.local.address}/api/connections/local?owner=org`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json', origin: stack.local.address },
  })
  assert.deepEqual(await ended.json(), { revoked: true, deleted: true })
  await Promise.all([leave(member), leave(admin)])
})

flow('disconnect revokes at the server and says so', async () => {
  const person = await Person.signIn(stack, 'alex')
  await person.connect('local')
  const held = await token('alex')
  await person.card('local').locator('.ask summary').click()
  await person.card('local').locator('.ask .danger').click()
  await person.page.locator('.card[data-provider="local"][data-status="disconnected"]').waitFor()
  // What the page said of the sign-in is over.
  assert.equal(await person.page.locator('#notice').innerText(), '')
  assert.equal((await introspect(stack, held))['active'], false)
  assert.deepEqual((await call(stack, 'alex', 'POST', tokenPath, {})).body, {
    error: 'not_connected',
    cause: 'disconnected',
  })
  await leave(person)
})

flow('a restart of workerd between begin and callback loses nothing', async () => {
  const person = await Person.signIn(stack, 'alex')
  const url = await person.heldCallback()
  await stack.local.restartWorker()
  assert.equal((await person.outcome(url)).get('connected'), 'local')
  await stack.local.restartWorker()
  assert.equal((await person.outcome(url)).get('error'), 'used_state')
  assert.equal((await introspect(stack, await token('alex')))['active'], true)
  await leave(person)
})

flow('without JavaScript: sign in, connect, disconnect', async () => {
  const person = await Person.signIn(stack, 'plain', { javaScriptEnabled: false })
  await person.connect('local')
  assert.equal(await person.status('local'), 'connected')
  assert.match(await person.page.locator('#notice').innerText(), /Local is connected/)
  await person.card('local').locator('.ask summary').click()
  await person.card('local').locator('.ask .danger').click()
  await person.page.waitForURL(/disconnected=local/)
  assert.equal(await person.status('local'), 'disconnected')
  assert.match(await person.page.locator('#notice').innerText(), /Local is disconnected/)
  await leave(person)
})

flow('both themes, in pictures', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const person = await Person.signIn(stack, 'alex', { org: 'acme', role: 'admin', colorScheme })
    await screenshot(person.page, `not-connected-${colorScheme}`)
    await person.connect('local')
    await person.card('local').locator('.proof.verified').waitFor()
    await screenshot(person.page, `connected-${colorScheme}`)
    await person.page.goto(`${stack.local.address}/?error=already_connected&provider=local`)
    await screenshot(person.page, `error-${colorScheme}`)
    await leave(person)
  }
})

flow('one line of the log per callback, without anything that could be used', async () => {
  const lines = stack.log
    .filter((line) => line.includes('"event":"callback"'))
    .map((line) => JSON.parse(line) as object)
  assert.ok(lines.length > 20)
  for (const line of lines)
    assert.deepEqual(Object.keys(line), ['event', 'provider', 'reason', 'has_code', 'has_state', 'state'])
  for (const secret of Object.values(stack.local.secrets)) assert.ok(!stack.log.join('\n').includes(secret))
})
