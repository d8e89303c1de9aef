/** The client `latchkey/runs` against the shipped Worker. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import {
  connectRuns,
  type RunEvent,
  type RunItem,
  type RunNews,
  type Runs,
  type RunsOptions,
} from 'latchkey/runs'
import { freePort } from '../servers/ports.ts'
import { call, Kept, startStage, type Stage } from './stage.ts'

let stage: Stage
before(async () => {
  stage = await startStage()
})
after(async () => {
  await stage.close()
})

const open = (more: Partial<RunsOptions> = {}): Runs =>
  connectRuns({ base: stage.address, headers: () => stage.headers(), backOffMs: 20, ...more })
async function all(items: AsyncIterable<RunItem>): Promise<RunItem[]> {
  const list: RunItem[] = []
  for await (const item of items) list.push(item)
  return list
}
const brief = (items: readonly RunItem[]) =>
  items.map((item) => (item.local ? `local ${item.end.code}` : `${item.seq} ${item.type}`))
const write = async (runId: string, key: string, data: unknown = null): Promise<void> => {
  const events = [{ key, type: 'step', data }]
  assert.equal((await call(stage, 'POST', `/api/runs/${runId}/events`, { events })).status, 200)
}
const finish = (runId: string) => call(stage, 'POST', `/api/runs/${runId}/finish`, {})
const runsOf = async (thread: string) => {
  const { body } = await call<{ runs: { runId: string }[] }>(
    stage,
    'GET',
    `/api/threads/${thread}/active-run`,
  )
  return body.runs
}
let threads = 0
const newThread = (): string => `thread-${(threads += 1)}`
/** Counts what is posted, and does with the answer what a test wants. */
function wire(
  change: (path: string, init: RequestInit, answer: () => Promise<Response>) => Promise<Response>,
) {
  const posts: string[] = []
  const fetcher = async (url: string, init: RequestInit): Promise<Response> => {
    const path = new URL(url).pathname
    if (init.method === 'POST') posts.push(path)
    return await change(path, init, () => fetch(url, init))
  }
  return { posts, fetch: fetcher }
}

describe('a run that is started', () => {
  test('is read to its end, and leaves no pointer', async () => {
    const storage = new Kept()
    const news: RunNews['news'][] = []
    const thread = newThread()
    const stream = open({ storage, notify: ({ news: what }) => news.push(what) }).start(thread, {
      say: 'hello',
    })
    const reading = all(stream)
    const runId = (await stream.runId)!
    await write(runId, 'a', { text: 'ä' })
    await finish(runId)
    const items = await reading
    assert.deepEqual(brief(items), ['1 step', '2 done'])
    assert.deepEqual((items[0] as RunEvent).data, { text: 'ä' })
    assert.equal(storage.getItem(`latchkey.run.${thread}`), null)
    assert.deepEqual(news, ['posted', 'connected'])
    const told = { lastReason: null, posts: 1, connects: 1, drops: 0, stalls: 0 }
    assert.deepEqual(stream.diagnostics(), { attemptedRunIds: [runId], ...told })
  })

  test('T59: whose reply is lost is found, and not asked for again, running or finished', async () => {
    for (const away of ['runs on', 'finishes']) {
      const thread = newThread()
      const { posts, fetch: lossy } = wire(async (_path, init, answer) => {
        const response = await answer()
        if (init.method !== 'POST') return response
        const { runId } = (await response.json()) as { runId: string }
        await write(runId, 'a')
        if (away === 'finishes') await finish(runId)
        throw new TypeError('the connection is gone')
      })
      const stream = open({ fetch: lossy }).start(thread)
      const reading = all(stream)
      const runId = (await stream.runId)!
      await finish(runId)
      assert.deepEqual(brief(await reading), ['1 step', '2 done'])
      assert.deepEqual(posts, ['/api/runs'])
      assert.equal((await runsOf(thread)).length, 1)
      assert.equal(stream.diagnostics().posts, 1)
    }
  })

  test('whose request never arrived is asked for again, under the same key', async () => {
    let broken = true
    const { posts, fetch: lossy } = wire(async (_path, init, answer) => {
      if (init.method !== 'POST' || !broken) return await answer()
      broken = false
      throw new TypeError('there is no connection')
    })
    const thread = newThread()
    const stream = open({ fetch: lossy }).start(thread)
    const reading = all(stream)
    await finish((await stream.runId)!)
    assert.deepEqual(brief(await reading), ['1 done'])
    assert.equal(posts.length, 2)
    assert.equal((await runsOf(thread)).length, 1)
  })

  test('survives a reload of the page: the same run, from its beginning', async () => {
    const storage = new Kept()
    const thread = newThread()
    const first = open({ storage }).start(thread, 'x')
    const seen: string[] = []
    const reading = (async () => {
      for await (const item of first) {
        seen.push(item.type)
        return
      }
    })()
    const runId = (await first.runId)!
    await write(runId, 'a')
    await reading
    assert.deepEqual(seen, ['step'])
    const { posts, fetch: counted } = wire((_path, _init, answer) => answer())
    const again = open({ storage, fetch: counted })
    // Whether the page asks to resume or starts the same again.
    const streams = [(await again.resume(thread))!, again.start(thread, 'x')]
    const both = streams.map(all)
    await write(runId, 'b')
    await finish(runId)
    for (const items of await Promise.all(both))
      assert.deepEqual(brief(items), ['1 step', '2 step', '3 done'])
    assert.deepEqual(posts, [])
    assert.equal(await again.resume(thread), undefined)
  })

  test('that a person aborted ends as aborted, and is not asked for again', async () => {
    const storage = new Kept()
    const thread = newThread()
    const runs = open({ storage })
    const stream = runs.start(thread)
    const kept = new Promise<Kept>(
      (resolve) => void stream.runId.then(() => setTimeout(() => resolve(storage.copy()), 20)),
    )
    const reading = all(stream)
    const before = await kept
    await runs.abort((await stream.runId)!)
    assert.deepEqual(brief(await reading), ['1 done'])
    const items = await all((await open({ storage: before }).resume(thread))!)
    assert.equal((items.at(-1) as RunEvent).end?.status, 'aborted')
    assert.equal((await runsOf(thread)).length, 1)
  })
})

describe('what cannot be had ends once, with its code', () => {
  test('a thread in which something runs already', async () => {
    const thread = newThread()
    const first = open().start(thread)
    const reading = all(first)
    await first.runId
    const storage = new Kept()
    const second = open({ storage }).start(thread)
    assert.deepEqual(brief(await all(second)), ['local run_active'])
    assert.equal(await second.runId, undefined)
    assert.equal(storage.getItem(`latchkey.run.${thread}`), null)
    await finish((await first.runId)!)
    await reading
  })

  test("a run that is not there, or is somebody else's", async () => {
    assert.deepEqual(brief(await all(open().follow('A'.repeat(64)))), ['local run_unknown'])
    const stream = open().start(newThread())
    const reading = all(stream)
    const runId = (await stream.runId)!
    const other = open({ headers: () => stage.headers('sam') })
    assert.deepEqual(brief(await all(other.follow(runId))), ['local run_foreign'])
    await finish(runId)
    await reading
  })

  test('a Worker that does not answer within the window: given up, and found again later', async () => {
    const storage = new Kept()
    const thread = newThread()
    const base = `http://127.0.0.1:${await freePort()}`
    const stream = open({ storage, base, windowMs: 200 }).start(thread, 'x')
    const items = await all(stream)
    assert.deepEqual(brief(items), ['local connection_error'])
    const [item] = items
    assert.ok(item?.local && item.end.recoverable && item.diagnostics.drops > 1)
    const later = (await open({ storage }).resume(thread))!
    const reading = all(later)
    await finish((await later.runId)!)
    assert.deepEqual(brief(await reading), ['1 done'])
  })

  test('work that keeps dying, and work that nobody can say whether it ran', async () => {
    const dying = new Kept([['latchkey.run-deaths.t-dying', '3']])
    assert.deepEqual(brief(await all(open({ storage: dying }).start('t-dying'))), ['local keeps_dying'])
    const pointer = (postedAt: number, attempts = 1) =>
      JSON.stringify({
        clientKey: 'k',
        body: '{"threadId":"t-lost","clientKey":"k"}',
        postedAt,
        attempts,
        runId: null,
      })
    const resumed = async (text: string) => {
      const storage = new Kept([['latchkey.run.t-lost', text]])
      return brief(await all((await open({ storage }).resume('t-lost'))!))
    }
    assert.deepEqual(await resumed(pointer(Date.now() - 86_400_000 - 60_000)), ['local forgotten'])
    assert.deepEqual(await resumed(pointer(Date.now() + 120_000)), ['local clock_moved'])
    assert.deepEqual(await resumed(pointer(Date.now(), 5)), ['local attempts_spent'])
    assert.deepEqual(await runsOf('t-lost'), [])
  })

  test('T65: the fifth attempt and the third early death are the last, whoever counts them', async () => {
    for (const [attempts, deaths, refusal] of [
      [4, 0, undefined],
      [5, 0, 'attempts_spent'],
      [0, 2, undefined],
      [0, 3, 'keeps_dying'],
    ] as const)
      for (const way of ['start', 'resume'] as const) {
        const thread = newThread()
        const body = JSON.stringify({ threadId: thread, clientKey: 'k' })
        const pointer = { clientKey: 'k', body, postedAt: Date.now(), attempts, runId: null }
        const storage = new Kept([
          [`latchkey.run.${thread}`, JSON.stringify(pointer)],
          [`latchkey.run-deaths.${thread}`, String(deaths)],
        ])
        const { posts, fetch } = wire((_path, _init, answer) => answer())
        const runs = open({ storage, fetch })
        const stream = way === 'start' ? runs.start(thread) : (await runs.resume(thread))!
        const reading = all(stream)
        const runId = await stream.runId
        assert.equal(runId === undefined, refusal !== undefined, `${way} ${attempts} ${deaths}`)
        assert.equal(posts.length, refusal === undefined ? 1 : 0)
        if (runId !== undefined) await finish(runId)
        assert.deepEqual(brief(await reading), [refusal === undefined ? '1 done' : `local ${refusal}`])
      }
  })
})

describe('a connection that breaks', () => {
  test('when the Worker is killed: the stream goes on where it was', async () => {
    const stream = open({ silenceMs: 5_000 }).start(newThread(), null, { background: true })
    const items: RunItem[] = []
    const reading = (async () => {
      for await (const item of stream) items.push(item)
    })()
    const runId = (await stream.runId)!
    await write(runId, 'a')
    while (items.length === 0) await sleep(5)
    await stage.restart()
    await write(runId, 'b')
    await stage.restart()
    await finish(runId)
    await reading
    assert.deepEqual(brief(items), ['1 step', '2 step', '3 done'])
    assert.ok(stream.diagnostics().drops >= 1)
  })

  test('when it falls silent: it is taken for dead', async () => {
    let silent = true
    const { fetch: hanging } = wire(async (path, init, answer) => {
      if (!silent || init.method === 'POST' || !path.endsWith('/events')) return await answer()
      silent = false
      return new Response(new ReadableStream({ start: () => undefined }))
    })
    const stream = open({ fetch: hanging, silenceMs: 200 }).start(newThread())
    const reading = all(stream)
    await finish((await stream.runId)!)
    assert.deepEqual(brief(await reading), ['1 done'])
    const { stalls, lastReason } = stream.diagnostics()
    assert.deepEqual([stalls, lastReason], [1, 'stalled'])
  })

  test('when who is asking is not said well, it is said again', async () => {
    let asked = 0
    const headers = () => ((asked += 1) % 2 === 1 ? { authorization: 'Bearer x.y.z' } : stage.headers())
    const stream = open({ headers }).start(newThread())
    const reading = all(stream)
    await finish((await stream.runId)!)
    assert.deepEqual(brief(await reading), ['1 done'])
  })

  test('any cut, repetition or hole in what arrives: each event once, in order', async () => {
    const runs = open()
    const stream = runs.start(newThread())
    const reading = all(stream)
    const runId = (await stream.runId)!
    const texts = ['', 'ä\u2028€😀', 'data: no\n\nid: 7', '\r\n', '{"end":{}}', ' '.repeat(100)]
    for (const [n, text] of texts.entries()) await write(runId, `k-${n}`, text)
    await finish(runId)
    const whole = await reading
    const bytes = new Uint8Array(
      await (
        await fetch(`${stage.address}/api/runs/${runId}/events`, { headers: stage.headers() })
      ).arrayBuffer(),
    )
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(
        cuts,
        fc.nat(bytes.length),
        fc.integer({ min: 0, max: 7 }),
        async (places, end, dropped) => {
          let first = true
          const { fetch: cutting } = wire(async (path, init, answer) => {
            if (!first || init.method === 'POST' || !path.endsWith('/events')) return await answer()
            first = false
            // Cut off, in pieces, and without one of its events.
            const blocks = new TextDecoder().decode(bytes.subarray(0, end)).split('\n\n')
            const text = blocks.filter((_, n) => n !== dropped).join('\n\n')
            const all_ = new TextEncoder().encode(text)
            const at = [
              0,
              ...places.filter((place) => place < all_.length).toSorted((a, b) => a - b),
              all_.length,
            ]
            const pieces = at.slice(1).map((to, n) => all_.subarray(at[n], to))
            const arriving = new ReadableStream<Uint8Array>({
              start(controller) {
                for (const piece of pieces) controller.enqueue(piece)
                controller.close()
              },
            })
            return new Response(arriving)
          })
          const items = await all(open({ fetch: cutting, backOffMs: 1 }).follow(runId))
          assert.deepEqual(items, whole)
        },
      ),
      { numRuns: 100 },
    )
  })
})
