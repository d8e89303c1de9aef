import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { exports } from 'cloudflare:workers'
import type { CapabilityClaims } from 'latchkey'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sessionName } from '../../wrangler/src/names.ts'
import type { Next, SessionState } from '../../wrangler/src/session-object.ts'
import { ask, bearer, bindings, Browser, errorOf, json, keys, lk, ownOrigin } from './harness.ts'
import { baseUrl } from './variables.ts'

beforeEach(async () => {
  await reset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const start = 1_790_000_000_000
const hour = 3_600_000
const at = (now: number): void => {
  vi.useFakeTimers({ toFake: ['Date'], now })
}
const url = 'https://git.example/team/repo.git'
const repository = { kind: 'git', url }
const tokens = { older: 'canary-token-older-5a1c', newer: 'canary-token-newer-90fe' }

type Body = Readonly<Record<string, unknown>>
const message = (messageId: string, rest: Body = {}): Body => ({
  messageId,
  turn: 'do it',
  mode: 'code',
  model: 'a/one',
  repository,
  ...rest,
})
const session = (id = 's-1', subject = 'alex') =>
  bindings.SESSION.getByName(sessionName(baseUrl, { owner: { kind: 'user', id: subject }, id }))
const send = (path: string, body: unknown = {}, subject = 'alex', id = 's-1'): Promise<Response> =>
  ask(`/api/sessions/${id}/${path}`, {
    method: 'POST',
    headers: { ...bearer(subject), ...json },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const post = (body: unknown, subject = 'alex', id = 's-1'): Promise<Response> =>
  send('messages', body, subject, id)
/** Status and what was said. */
const told = async (response: Response): Promise<unknown> => {
  const body = (await response.json()) as { error?: string }
  return response.status === 200 ? body : `${response.status} ${body.error}`
}
const state = async (subject = 'alex', id = 's-1'): Promise<SessionState> =>
  (await (await ask(`/api/sessions/${id}`, { headers: bearer(subject) })).json()) as SessionState
const next = async (): Promise<Next> => (await (await send('next')).json()) as Next
const login = async (subject = 'alex', id = 's-1', wanted = url): Promise<unknown> =>
  told(await send('credential', { url: wanted }, subject, id))
const loggedIn = (password: string) => ({ username: 'git', password })

type Dump = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
const hex = (bytes: ArrayBuffer): string => new Uint8Array(bytes).toHex()
/** Everything that is stored, bytes in hexadecimal. */
const dump = (stub = session()): Promise<Dump> =>
  runInDurableObject(stub, (_, { storage }) => {
    const tables = storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
      )
      .toArray()
    return Object.fromEntries(
      tables.map(({ name }) => {
        const rows = storage.sql.exec(`SELECT * FROM ${name}`).toArray()
        const plain = rows.map((row) =>
          Object.fromEntries(
            Object.entries(row).map(([column, value]) => [
              column,
              value instanceof ArrayBuffer ? hex(value) : value,
            ]),
          ),
        )
        return [name, plain]
      }),
    )
  })

type Write = (...args: unknown[]) => void
/** From now on the object's `count`-th write is the last that is stored: then, or instead of the next, it fails. */
const failAfter = (count: number, how: 'throws' | 'dies' = 'throws', stub = session()): Promise<void> =>
  runInDurableObject(stub, (instance, context) => {
    const object = instance as unknown as { write: Write }
    const write: Write = object.write.bind(instance)
    let left = count
    const fail = (): void => {
      if (left > 0) return
      if (how === 'dies') context.abort('canary-reason')
      throw new Error('canary-reason')
    }
    object.write = (...args) => {
      fail()
      write(...args)
      left -= 1
      fail()
    }
  })

test('a message is taken in, leased, reported on and ended, and the same answer is given as often as it is asked for', async () => {
  at(start)
  const first = message('m-1', { gitToken: tokens.older })
  const taken = { messageId: 'm-1', status: 'queued', position: 1, credential: 'stored' }
  expect(await told(await post(first))).toEqual(taken)
  expect(await told(await post(first))).toEqual(taken)
  expect(await told(await post(message('m-2')))).toEqual({
    messageId: 'm-2',
    status: 'queued',
    position: 2,
    credential: 'none',
  })
  expect(await next()).toEqual({ message: null, at: start + 1_000 })
  at(start + 1_000)
  expect(await next()).toEqual({
    message: {
      messageId: 'm-1',
      turn: 'do it',
      mode: 'code',
      model: 'a/one',
      repository,
      sends: 1,
      leasedUntil: start + 61_000,
      credentialVersion: 1,
    },
  })
  // The one whose turn it is holds the others up.
  expect(await next()).toEqual({ message: null, at: start + 61_000 })
  expect(await state()).toEqual({
    id: 's-1',
    admitted: 2,
    open: 2,
    counts: { marked: 0, queued: 2, sent: 0, done: 0, failed: 0, lapsed: 0 },
    queue: [
      { messageId: 'm-1', sends: 1, at: start + 61_000 },
      { messageId: 'm-2', sends: 0, at: start + 1_000 },
    ],
    credential: { version: 1, url },
    endsAt: start + 1_000 + 24 * hour,
  })
  const settle = async (report: unknown, id = 'm-1') => told(await send(`messages/${id}/settle`, report))
  const undelivered = { outcome: 'undelivered', failure: 'unreachable', sends: 1 }
  expect(await settle(undelivered)).toEqual({ messageId: 'm-1', status: 'queued' })
  expect(await settle(undelivered)).toEqual({ messageId: 'm-1', status: 'queued' })
  expect(await next()).toEqual({ message: null, at: start + 11_000 })
  at(start + 11_000)
  expect(await next()).toMatchObject({ message: { messageId: 'm-1', sends: 2 } })
  expect(await settle({ outcome: 'accepted' })).toEqual({ messageId: 'm-1', status: 'sent' })
  expect(await told(await post(first))).toEqual({ messageId: 'm-1', status: 'sent', credential: 'stored' })
  expect(await next()).toMatchObject({ message: { messageId: 'm-2', sends: 1 } })
  expect(await settle({ outcome: 'completed' })).toEqual({ messageId: 'm-1', status: 'done' })
  expect(await settle({ outcome: 'aborted' })).toEqual({ messageId: 'm-1', status: 'done' })
  expect(await told(await post(first))).toBe('409 message_ended')
  expect(await told(await post(message('m-2', { turn: 'do something else' })))).toBe('409 message_conflict')
  expect(await settle({ outcome: 'aborted' }, 'm-2')).toEqual({ messageId: 'm-2', status: 'failed' })
  expect(await settle({ outcome: 'accepted' }, 'm-3')).toBe('404 not_found')
  expect(await state()).toMatchObject({ open: 0, queue: [], counts: { done: 1, failed: 1 } })
  // Nothing of what was said stays.
  expect(await dump()).toMatchObject({ intent: [] })
})

test('T53 a crash before and after every write, with a retry: the same final state, byte for byte', async () => {
  at(start)
  const body = message('m-1', { gitToken: tokens.older, composedAt: start - 5_000 })
  const opened = async (): Promise<unknown> => {
    const { credential, ...rest } = await dump()
    const { token } = (await login()) as { token?: string }
    return { rest, credential: credential?.map(({ url: to }) => to), token }
  }
  await post(body)
  const wanted = await opened()
  let crashes = 0
  for (const how of ['throws', 'dies'] as const) {
    for (let writes = 0; writes <= 3; writes += 1) {
      for (let again = 0; again <= 3; again += 1) {
        for (const evicted of [false, true]) {
          await reset()
          await failAfter(writes, how)
          expect(await told(await post(body)), `${how} after ${writes}`).toBe('503 temporarily_unavailable')
          crashes += 1
          if (evicted || how === 'dies') await evictDurableObject(session()).catch(() => undefined)
          // The retry is cut off too, and the one after it is not.
          if (again > 0) {
            await failAfter(again - 1, how)
            await post(body)
            await evictDurableObject(session()).catch(() => undefined)
          } else await evictDurableObject(session()).catch(() => undefined)
          expect(await told(await post(body))).toMatchObject({
            status: 'queued',
            position: 1,
            credential: 'stored',
          })
          expect(await opened(), `${how} after ${writes}, then after ${again}`).toEqual(wanted)
        }
      }
    }
  }
  expect(crashes).toBe(64)
})
