import { exports } from 'cloudflare:workers'
import { expect, test } from 'vitest'
import { Browser, request } from './harness.ts'
import { baseUrl } from './variables.ts'

const alex = { subject: 'alex', kind: 'human' } as const

test('a service binding has the same verbs', async () => {
  const { Latchkey } = exports
  const browser = await Browser.of({ subject: 'somebody-else' })
  const listed = await Latchkey.connections(alex)
  expect(listed.ok && listed.value.every(({ status }) => status === 'not_connected')).toBe(true)

  const started = await Latchkey.startConnect(alex, { provider: 'good', returnTo: '/done' }, request('/'))
  expect(started.status).toBe(302)
  const [pair = ''] = (started.headers.get('set-cookie') ?? '').split(';')
  const callback = await browser.answer(new URL(started.headers.get('location') ?? ''))
  const finish = () =>
    Latchkey.finishConnect(
      alex,
      'good',
      request(`${callback.pathname}${callback.search}`, { headers: { cookie: pair } }),
    )
  expect((await finish()).headers.get('location')).toBe(`${baseUrl}/done?connected=good`)
  expect((await finish()).headers.get('location')).toBe(`${baseUrl}/done?error=used_state&provider=good`)

  expect(await Latchkey.token(alex, 'good', { minValidityMs: 1_000 })).toMatchObject({
    ok: true,
    value: { source: 'user' },
  })
  expect(await Latchkey.disconnect(alex, 'good')).toEqual({
    ok: true,
    value: { revoked: true, deleted: true },
  })
  expect(await Latchkey.token(alex, 'good')).toEqual({
    ok: false,
    code: 'not_connected',
    cause: 'disconnected',
  })
  expect(await Latchkey.why(alex, 'good')).toMatchObject({
    ok: true,
    value: { outcome: 'revoked', place: { scope: 'user', id: 'alex' }, gap: [] },
  })
  expect(await Latchkey.removeMember(alex, 'acme', 'alex')).toEqual({ ok: false, code: 'not_allowed' })
  const left = await Latchkey.removeMember({ subject: 'ops', kind: 'service' }, 'acme', 'alex')
  expect(left).toMatchObject({ ok: true, value: { complete: true, connections: [] } })
  expect(await Latchkey.disconnect(alex, 'good', 'org')).toEqual({ ok: false, code: 'not_allowed' })
  expect(await Latchkey.token(alex, 'unknown')).toEqual({ ok: false, code: 'provider_unknown' })
})

test('a service binding has the verbs of runs', async () => {
  const { Latchkey } = exports
  const started = await Latchkey.startRun(alex, { threadId: 't', clientKey: 'k', input: { a: 1 } })
  if (!started.ok) throw new Error(started.code)
  const { runId } = started.value
  expect(await Latchkey.startRun(alex, { threadId: 't', clientKey: 'l' })).toEqual({
    ok: false,
    code: 'run_active',
  })
  expect(await Latchkey.heartbeat(alex, runId, { claim: 'me' })).toMatchObject({
    ok: true,
    value: { claimed: true },
  })
  const events = [{ key: 'a', type: 'step', data: 1 }]
  expect(await Latchkey.appendEvents(alex, runId, events, 0)).toMatchObject({
    ok: true,
    value: { lastSeq: 1 },
  })
  expect(await Latchkey.activeRun(alex, 't')).toMatchObject({
    ok: true,
    value: { run: { runId }, reason: 'live' },
  })
  expect(await Latchkey.finishRun(alex, runId)).toMatchObject({ ok: true, value: { status: 'completed' } })
  expect(await Latchkey.abortRun(alex, runId)).toMatchObject({ ok: true, value: { idempotent: true } })
  expect(await (await Latchkey.followRun(alex, runId, 1)).text()).toContain('"kind":"done"')
  expect(await Latchkey.run({ ...alex, subject: 'sam' }, runId)).toEqual({ ok: false, code: 'run_foreign' })
  expect(await Latchkey.runs(alex)).toMatchObject({ ok: true, value: { indexed: true } })
})
