/** A Worker that is killed while messages come in: nothing that was acknowledged is lost, and no credential is on the disk. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'latchkey'
import { freePort } from '../servers/ports.ts'
import { shipped, startWorkerd } from './workerd.ts'

const kills = 24
const url = 'https://git.example/team/repo.git'

type Said = Readonly<Record<string, unknown>>

test(`${kills} kills`, { timeout: 240_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-sessions-'))
  const lk = await load()
  const port = await freePort()
  const principalKey = lk.keys.generate('caller-1', randomBytes(32))
  const vars = {
    LATCHKEY_DEV: '1',
    ENABLE_CONNECT: 'true',
    PUBLIC_BASE_URL: `http://127.0.0.1:${port}`,
    LATCHKEY_KEYS: lk.keys.generate('load-1', randomBytes(32)),
    LATCHKEY_PRINCIPAL_KEY: principalKey,
    LATCHKEY_PROVIDERS: '{}',
  }
  const worker = await startWorkerd(folder, port, { ...(await shipped()), vars })
  try {
    const ring = lk.keys.parse(principalKey)
    const ask = async (path: string, body?: object): Promise<Said | undefined> => {
      const assertion = lk.principal.issue(ring, { subject: 'alex', kind: 'service' }, { now: Date.now() })
      const headers = { authorization: `Bearer ${assertion}`, 'content-type': 'application/json' }
      const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
      try {
        const response = await fetch(`${worker.address}/api/sessions/${path}`, init)
        // Whoever was not answered, or was told to come again, comes again.
        return response.status < 500 ? ((await response.json()) as Said) : undefined
      } catch {
        return undefined
      }
    }
    const insist = async (path: string, body?: object): Promise<Said> => {
      for (let tries = 0; tries < 200; tries += 1) {
        const said = await ask(path, body)
        if (said) return said
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      throw new Error(`no answer from ${path}`)
    }
    const canary = `canary-${randomBytes(12).toString('hex')}`
    const began = Date.now()
    const message = (i: number) => ({
      messageId: `m-${i}`,
      turn: `turn ${i}`,
      mode: 'code',
      repository: { kind: 'git', url },
      gitToken: `${canary}-${i}`,
      composedAt: began - 60_000 + i,
    })
    let cut = 0
    for (let round = 0; round < kills; round += 1) {
      const session = `s-${round}`
      const first = ask(`${session}/messages`, message(1))
      const second = ask(`${session}/messages`, message(2))
      // From before the first write to after the last answer.
      await new Promise((resolve) => setTimeout(resolve, round % 12))
      worker.kill()
      const answers = await Promise.all([first, second])
      cut += answers.filter((answer) => answer === undefined).length
      await worker.start()
      const before = await insist(session)
      for (const [i, answer] of answers.entries()) {
        // Acknowledged is stored.
        if (answer === undefined) continue
        assert.equal(answer['status'], 'queued')
        const queue = before['queue'] as readonly Said[]
        assert.ok(queue.some(({ messageId }) => messageId === `m-${i + 1}`))
      }
      // Both come again, the older one last, and once more after another death.
      await insist(`${session}/messages`, message(2))
      const older = await insist(`${session}/messages`, message(1))
      worker.kill()
      await worker.start()
      assert.deepEqual(await insist(`${session}/messages`, message(1)), older)
      const { open, admitted, counts } = await insist(session)
      assert.deepEqual([open, admitted], [2, 2])
      assert.equal((counts as Said)['marked'], 0)
      const login = await insist(`${session}/credential`, { url })
      assert.deepEqual(login, { username: 'oauth2', password: `${canary}-2` }, `round ${round}`)
    }
    assert.ok(cut > 0, 'no kill came in between')

    // Work that was leased before a death is given to nobody else before its time, and is settled after it.
    const leased = await insist('s-0/next', {})
    const { messageId, sends } = leased['message'] as Said
    worker.kill()
    await worker.start()
    assert.equal((await insist('s-0/next', {}))['message'], null)
    const report = { outcome: 'undelivered', failure: 'interrupted', sends }
    assert.deepEqual(await insist(`s-0/messages/${String(messageId)}/settle`, report), {
      messageId,
      status: 'queued',
    })

    await worker.stop()
    let files = 0
    for (const entry of await readdir(join(folder, 'disk'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      files += 1
      assert.ok(!(await readFile(join(entry.parentPath, entry.name))).includes(canary), entry.name)
    }
    assert.ok(files >= kills, `${files} files`)
    assert.ok(!worker.log.join('\n').includes(canary))
  } finally {
    await worker.stop()
    await rm(folder, { recursive: true, force: true })
  }
})
