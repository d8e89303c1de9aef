// The benchmark inside workerd: it runs what it is asked to run. Its clock stands still while it computes, so time is
// taken by the one who asks.
import module from 'latchkey/latchkey.wasm'
import { batch } from './batch.ts'
import { checkContenders } from './check.ts'
import type { Contenders, Job } from './contenders.ts'

let contenders: Contenders | undefined

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const number = (name: string) => Number(searchParams.get(name))
    if (pathname === '/prepare') contenders = await checkContenders(module, number('now'))
    if (pathname === '/run') {
      const run = contenders![searchParams.get('job') as Job][searchParams.get('name')!]!
      await batch(run, number('n'))
    }
    return new Response()
  },
}
