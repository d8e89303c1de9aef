/**
 * HTTP callers as processes of their own, on connections that stand before the first request leaves.
 *   node tests/load/volley.ts    is such a process; it talks to the one that started it
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface Shot {
  readonly path: string
  readonly method?: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** So long after the common instant. */
  readonly afterMs?: number
}

export interface Hit {
  /** 0 when the connection ended without an answer. */
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  /** Milliseconds since 1970, with a fraction. */
  readonly began: number
  readonly ended: number
}

interface Order {
  readonly address: string
  readonly shots: readonly Shot[]
  readonly at: number
}

const bodyLimit = 1_048_576
const answerMs = 60_000
/** From the order to the shots: time for every process to read it. */
const leadMs = 150
const now = (): number => performance.timeOrigin + performance.now()

export class Callers {
  readonly #children: ChildProcess[]

  constructor(processes: number) {
    this.#children = Array.from({ length: processes }, () => fork(fileURLToPath(import.meta.url)))
  }

  /** Opens so many connections, in all. */
  async warm(address: string, connections: number): Promise<void> {
    const shots = Array.from({ length: connections }, () => ({
      path: '/healthz',
      method: 'GET',
      headers: {},
    }))
    await this.volley(address, shots)
  }

  /** All of them at one instant, spread over the processes; answers in the order of the shots. */
  async volley(address: string, shots: readonly Shot[]): Promise<Hit[]> {
    const at = now() + leadMs
    const count = this.#children.length
    const parts = await Promise.all(
      this.#children.map(async (child, index) => {
        const order: Order = { address, shots: shots.filter((_, n) => n % count === index), at }
        child.send(order)
        const [hits] = (await once(child, 'message')) as [Hit[]]
        return hits
      }),
    )
    return shots.map((_, n) => parts[n % count]![Math.floor(n / count)]!)
  }

  close(): void {
    for (const child of this.#children) child.disconnect()
  }
}

/** From the first request that left to the last answer that came. */
export const wallOf = (hits: readonly Hit[]): number =>
  Math.max(...hits.map(({ ended }) => ended)) - Math.min(...hits.map(({ began }) => began))

export async function shoot(agent: Agent, address: string, shot: Shot): Promise<Hit> {
  const began = now()
  const hit = (status: number, body: Hit['body'] = {}): Hit => ({ status, body, began, ended: now() })
  return await new Promise((resolve) => {
    const sent = request(`${address}${shot.path}`, {
      agent,
      method: shot.method ?? 'POST',
      headers: { ...shot.headers, ...(shot.body !== undefined && { 'content-length': shot.body.length }) },
      timeout: answerMs,
    })
    sent.once('error', () => resolve(hit(0)))
    sent.once('timeout', () => sent.destroy())
    sent.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.once('error', () => resolve(hit(0)))
      response.on('data', (part: string) => {
        if ((text += part).length > bodyLimit) sent.destroy()
      })
      response.once('end', () => resolve(hit(response.statusCode ?? 0, objectOf(text))))
    })
    sent.end(shot.body)
  })
}

function objectOf(text: string): Hit['body'] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Hit['body']) : {}
  } catch {
    return {}
  }
}

function main(): void {
  const agent = new Agent({ keepAlive: true })
  process.on('message', ({ address, shots, at }: Order) => {
    const wait = async (shot: Shot): Promise<Hit> => {
      if (shot.afterMs !== undefined) await sleep(shot.afterMs)
      return await shoot(agent, address, shot)
    }
    void sleep(Math.max(0, at - now()))
      .then(() => Promise.all(shots.map(wait)))
      .then((hits) => process.send?.(hits))
  })
  process.once('disconnect', () => process.exit(0))
}

if (import.meta.main) main()
