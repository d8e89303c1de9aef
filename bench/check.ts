// Before anything is measured: every contender that claims the whole job must give what latchkey gives, and refuse
// what it refuses.
import { makeLatchkey, type Alg, type IssuedState, type KeyRing, type Latchkey } from 'latchkey'
import { makeContenders, type Contenders, type Run } from './contenders.ts'
import { claims, entropy, makeKeys } from './fixture.ts'

const partial = new Set(['subtle-bare', 'floor-parse'])
// Cannot make our header.
const otherHeader = new Set(['hono-jwt'])

const whole = (runs: Readonly<Record<string, Run>>) =>
  Object.entries(runs).filter(([name]) => !partial.has(name))

async function refuses(run: Run, token: string): Promise<boolean> {
  try {
    await run(token)
    return false
  } catch {
    return true
  }
}

function badTokens(lk: Latchkey, ring: KeyRing, alg: Alg, now: number): string[] {
  const issue = (changed: Partial<typeof claims>, at = now) =>
    lk.state.issue(ring, { ...claims, alg, ...changed }, { now: at, entropy }).token
  const good = issue({})
  const flip = (at: number) => good.slice(0, at) + (good[at] === 'A' ? 'Q' : 'A') + good.slice(at + 1)
  return [
    flip(10),
    flip(good.indexOf('.') + 30),
    flip(good.lastIndexOf('.') + 3),
    good.slice(0, good.lastIndexOf('.')),
    `${good}A`,
    issue({ issuer: 'https://other.example.com' }),
    issue({ audience: 'https://other.example.com' }),
    issue({ flow: 'other' }),
    issue({ provider: 'other' }),
    issue({ subject: 'other' }),
    issue({ binding: new Uint8Array(32) }),
    issue({}, now - 700_000),
    issue({}, now + 90_000),
  ]
}

export async function checkContenders(module: WebAssembly.Module, now: number): Promise<Contenders> {
  const lk = makeLatchkey(module)
  const keys = await makeKeys(lk)
  const contenders = await makeContenders(lk, module, keys, now)
  for (const job of ['state.verify', 'state.verify.eddsa'] as const) {
    const wanted = JSON.stringify(await contenders[job]['latchkey']!())
    const bad = badTokens(lk, keys.ring, job === 'state.verify' ? 'HS256' : 'EdDSA', now)
    for (const [name, run] of whole(contenders[job])) {
      if (JSON.stringify(await run()) !== wanted) throw new Error(`${job}: ${name} reads another state`)
      for (const [index, token] of bad.entries()) {
        if (!(await refuses(run, token))) throw new Error(`${job}: ${name} takes bad token ${index}`)
      }
    }
  }
  for (const job of ['state.issue', 'state.issue.eddsa'] as const) {
    const wanted = (await contenders[job]['latchkey']!()) as IssuedState
    for (const [name, run] of whole(contenders[job])) {
      const made = (await run()) as IssuedState
      const token = otherHeader.has(name) ? wanted.token : made.token
      if (JSON.stringify({ ...made, token }) !== JSON.stringify(wanted)) {
        throw new Error(`${job}: ${name} issues another state`)
      }
    }
  }
  return contenders
}
