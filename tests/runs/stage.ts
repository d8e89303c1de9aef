/** The shipped Worker in a workerd of its own, for clients that are killed and clocks that jump. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load } from 'latchkey'
import type { RunStorage } from 'latchkey/runs'
import { freePort } from '../servers/ports.ts'
import { shipped, startWorkerd, type Deployment, type Workerd } from '../load/workerd.ts'

export interface Stage {
  readonly worker: Workerd
  readonly address: string
  headers(subject?: string): Record<string, string>
  /** SIGKILL, another clock, and a new start on the same disk. */
  restart(skewMs?: number): Promise<void>
  close(): Promise<void>
}

export interface StageOptions {
  readonly entry?: string
  readonly objects?: Deployment['objects']
  readonly vars?: Readonly<Record<string, string>>
}

export async function startStage({ entry, objects, vars = {} }: StageOptions = {}): Promise<Stage> {
  const lk = await load()
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-runs-'))
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const principalKey = lk.keys.generate('caller-1', randomBytes(32))
  const base = await shipped(entry ?? fileURLToPath(new URL('../../wrangler/src/worker.ts', import.meta.url)))
  const worker = await startWorkerd(folder, port, {
    ...base,
    objects: objects ?? base.objects,
    vars: {
      LATCHKEY_KEYS: lk.keys.generate('runs-1', randomBytes(32)),
      LATCHKEY_PRINCIPAL_KEY: principalKey,
      LATCHKEY_PROVIDERS: '{}',
      PUBLIC_BASE_URL: address,
      SKEW_MS: '0',
      ...vars,
    },
  })
  const ring = lk.keys.parse(principalKey)
  const made = new Map<string, { readonly text: string; readonly until: number }>()
  let skew = 0
  return {
    worker,
    address,
    headers(subject = 'alex') {
      const known = made.get(subject)
      const now = Date.now() + skew
      if (known && known.until > now && known.until - now < 30_000)
        return { authorization: `Bearer ${known.text}` }
      const text = lk.principal.issue(ring, { subject, kind: 'service' }, { now })
      made.set(subject, { text, until: now + 20_000 })
      return { authorization: `Bearer ${text}` }
    },
    async restart(skewMs) {
      worker.kill()
      if (skewMs !== undefined) {
        skew = skewMs
        const file = join(folder, 'config.capnp')
        const text = await readFile(file, 'utf8')
        await writeFile(file, text.replace(/(name = "SKEW_MS", text = ")[^"]*/, `$1${skewMs}`))
      }
      await worker.start()
    },
    async close() {
      await worker.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** What stays of a tab when the tab is gone. */
export class Kept implements RunStorage {
  readonly #items: Map<string, string>

  constructor(items: Iterable<[string, string]> = []) {
    this.#items = new Map(items)
  }
  getItem(key: string): string | null {
    return this.#items.get(key) ?? null
  }
  setItem(key: string, value: string): void {
    this.#items.set(key, value)
  }
  removeItem(key: string): void {
    this.#items.delete(key)
  }
  /** As it is now, whatever the one it was taken from does later. */
  copy(): Kept {
    return new Kept(this.#items)
  }
}

export async function call<T>(
  stage: Stage,
  method: string,
  path: string,
  body?: object,
  subject?: string,
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${stage.address}${path}`, {
    method,
    headers: { ...stage.headers(subject), ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  })
  return { status: response.status, body: (await response.json()) as T }
}
