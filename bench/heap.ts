// What workerd holds: the heap of its one isolate after a collection, by the inspector, and the memory of the process.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Held {
  /** Bytes. */
  readonly heap: number
  readonly rss: number
}

interface Reply {
  readonly id?: number
  readonly result?: Readonly<Record<string, number>>
  readonly error?: { readonly message: string }
}

/** `poke`: any request to the Worker. */
export async function heapOf(port: number, pid: number, poke: () => Promise<unknown>): Promise<Held> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
    webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(targets[0]!.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = () => reject(new Error('the inspector does not answer'))
  })
  let asked = 0
  const ask = (method: string): Promise<Readonly<Record<string, number>>> => {
    const id = (asked += 1)
    const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, number>>>()
    socket.addEventListener('message', ({ data }) => {
      const reply = JSON.parse(String(data)) as Reply
      if (reply.id !== id) return
      if (reply.error) reject(new Error(reply.error.message))
      else resolve(reply.result ?? {})
    })
    socket.send(JSON.stringify({ id, method }))
    return promise
  }
  // workerd collects when its next turn begins, and answers after that; a second collection takes what the first has
  // only unlinked.
  let usedSize = 0
  for (let turn = 0; turn < 3; turn++) {
    void ask('HeapProfiler.collectGarbage')
    ;({ usedSize = 0 } = await ask('Runtime.getHeapUsage'))
    await poke()
    await sleep(200)
  }
  socket.close()
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return { heap: usedSize, rss: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1_024 }
}
