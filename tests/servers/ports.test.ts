import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from './ports.ts'

const module = fileURLToPath(new URL('ports.ts', import.meta.url))

/** Ports that another process was given, and its end, which gives them back. */
async function elsewhere(many: number): Promise<{ ports: readonly number[]; end(): Promise<void> }> {
  const program = `
    const { freePort } = await import(${JSON.stringify(module)})
    const ports = await Promise.all(Array.from({ length: ${many} }, () => freePort()))
    process.stdout.write(JSON.stringify(ports))
    process.stdin.resume()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const [text] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    ports: JSON.parse(String(text)) as number[],
    async end() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

test('no two callers are given one port, in a process or in several', { timeout: 60_000 }, async () => {
  const others = await Promise.all([elsewhere(200), elsewhere(200), elsewhere(200)])
  try {
    const mine = await Promise.all(Array.from({ length: 200 }, () => freePort()))
    const all = [...mine, ...others.flatMap(({ ports }) => ports)]
    assert.equal(all.length, 800)
    assert.equal(new Set(all).size, 800)
  } finally {
    await Promise.all(others.map((other) => other.end()))
  }
})

test('nor one that another process has, or listens on', { timeout: 60_000 }, async () => {
  const other = await elsewhere(1)
  const [port = 0] = other.ports
  const next = await freePort(port)
  await other.end()
  assert.notEqual(next, port)
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  const after = await freePort(port)
  server.close()
  assert.notEqual(after, port)
})
