// The raw ABI: numbers of any kind, memory of any content. Codes come back, or a trap where a ring is garbage.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { abi } from '../src/abi.gen.ts'
import { makeLatchkey, makeSigner, makeVerifier } from '../src/latchkey.ts'
import { accountAnswer, environment, invoke, latchkeyCalls, tokenAnswer } from './calls.ts'
import {
  claims,
  entropy,
  expected,
  keyText,
  memoryOf,
  moduleBytes,
  now,
  openLatchkey,
  openVerifier,
  residue,
} from './support.ts'

type Exports = Readonly<Record<string, (...args: number[]) => number>>

describe('a module of another version', () => {
  const headOnly = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))
  it('is refused when it is loaded', () => {
    assert.throws(() => makeLatchkey(headOnly), /another version/)
    assert.throws(() => makeSigner(headOnly), /another version/)
    assert.throws(() => makeVerifier(headOnly), /another version/)
  })
})

describe('one name in three places', () => {
  const { api: lk } = openLatchkey()
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  const { modules } = JSON.parse(read('wasm/abi.json')) as { modules: { edge: { exports: string[] } } }
  const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

  for (const area of ['scope', 'repo', 'upstream', 'capability'] as const) {
    it(`latchkey::${area}::x <-> lk_${area}_x <-> lk.${area}.x`, () => {
      const called = Object.keys(lk[area]).map(snake)
      const exported = modules.edge.exports.filter((name) => name.startsWith(`lk_${area}_`))
      assert.deepEqual(called.map((name) => `lk_${area}_${name}`).sort(), exported.sort())
      // `check_upstream` is declared where what it does is.
      const headers = [area, 'upstream'].map((name) => read(`include/latchkey/${name}.hpp`)).join('\n')
      for (const name of called) assert.match(headers, new RegExp(`\\b${name}( =|\\()`), name)
    })
  }
})

describe('a trap', () => {
  const opened = openLatchkey()
  const { api: lk } = opened
  const calls = latchkeyCalls(lk)
  const ring = lk.keys.parse(keyText)
  const { token } = lk.state.issue(ring, claims, { now, entropy })
  const state = lk.state.verify(ring, token, expected)
  const arenaOf = (instance: WebAssembly.Instance) => (instance.exports as Exports)['lk_arena']!()

  /** Reads the arena's ring as soon as it is there, and breaks it. */
  const breaking = () => {
    const instance = opened.instances.at(-1)!
    return {
      ...state,
      get kid() {
        // The length of the first key id: beyond its 32 bytes.
        memoryOf(instance).writeUInt16LE(0xffff, arenaOf(instance) + abi.arena.data + 32)
        return state.kid
      },
    }
  }

  it('reaches the caller as it is, and the next call has a new instance', () => {
    for (let round = 1; round <= 20; round++) {
      assert.throws(() => lk.state.codeVerifier(ring, breaking()), WebAssembly.RuntimeError)
      assert.equal(opened.instances.length, round + 1)
      assert.deepEqual(residue(opened), [])
      for (const call of calls) invoke(call, call.args())
      assert.equal(opened.instances.length, round + 1)
      assert.deepEqual(residue(opened), [])
    }
  })

  it('the glue then looks at the new memory alone', () => {
    const old = opened.instances.at(-1)!
    assert.throws(() => lk.state.codeVerifier(ring, breaking()), WebAssembly.RuntimeError)
    memoryOf(old).fill(0xff)
    for (const call of calls) invoke(call, call.args())
    assert.ok(memoryOf(old).every((byte) => byte === 0xff))
  })

  it('a ring made before it still works after it', () => {
    assert.deepEqual(lk.state.verify(ring, token, expected), state)
  })
})

/** A small generator of numbers, the same in every run. */
function seeded(seed: number): () => number {
  let x = seed
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return x >>> 0
  }
}

const takesRing = /^lk_(?:state_(?:issue|verify|verify_jwks|code_verifier)|keys_public_jwks|seal_|principal_)/
const { size, data, request, reply } = abi.arena

function hammer(
  name: 'latchkey' | 'latchkey-verify',
  rounds: number,
): { ok: number; refused: number; traps: number; slowest: number } {
  const compiled = new WebAssembly.Module(moduleBytes(name))
  const random = seeded(0x1a7c4ee5)
  const pick = <T>(list: readonly T[]): T => list[random() % list.length]!

  let exports!: Exports
  let memory!: Buffer
  let fresh!: Buffer
  let arena = 0
  const start = () => {
    const instance = new WebAssembly.Instance(compiled)
    exports = instance.exports as Exports
    exports['_initialize']?.()
    memory = memoryOf(instance)
    fresh = Buffer.from(memory)
    arena = exports['lk_arena']!()
  }
  start()

  // Things that the functions take, so that random numbers come far.
  const { api: lk } = openLatchkey()
  const texts = [
    keyText,
    lk.state.issue(lk.keys.parse(keyText), claims, { now, entropy }).token,
    JSON.stringify(lk.keys.publicJwks(lk.keys.parse(keyText))),
    environment.LATCHKEY_PROVIDERS,
    tokenAnswer().body,
    accountAnswer().body,
    'application/json',
    'generic',
    '/a/../b?c#d',
    'https://id.example/token',
    'localhost:1',
    'alex',
    Buffer.from([2, 0, 1, 0, 0x61, 0, 0]),
    Buffer.alloc(388, 0xff),
    Buffer.alloc(98),
  ].map((text) => Buffer.from(text as string))
  const spots: [at: number, length: number][] = []
  const scatter = () => {
    for (let at = data; at < size; at += 4) memory.writeUInt32LE(random(), arena + at)
    spots.length = 0
    let at = data
    for (const text of texts) {
      text.copy(memory, arena + at)
      spots.push([at, text.length])
      at += (text.length + 15) & ~7
    }
    if (name === 'latchkey' && exports['lk_keys_parse']!(data, keyText.length, (at + 7) & ~7) === 0) {
      spots.push([memory.readUInt32LE(arena + reply + 8), memory.readUInt32LE(arena + reply + 12)])
    }
  }

  const odd = [
    0,
    1,
    7,
    8,
    255,
    256,
    data - 1,
    data,
    data + 1,
    388,
    776,
    98,
    196,
    4096,
    size - 8,
    size - 7,
    size - 1,
    size,
    size + 1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xffff_fff8,
    65_536,
    393_216,
  ]
  const numbers = [
    () => pick(odd),
    random,
    () => random() % size,
    () => random() % 512,
    () => (random() % (size / 8)) * 8,
  ]
  const number = () => pick(numbers)()
  const times = [now, 0, -1, 0.5, NaN, Infinity, -Infinity, 8.64e15, 8.64e15 + 1, 600_000, 2 ** 63, -0]

  const args = (count: number): number[] => {
    const list: number[] = []
    while (list.length < count) {
      if (random() % 2 === 0) list.push(...pick(spots))
      else list.push(random() % 8 === 0 ? pick(times) : number())
    }
    return list.slice(0, count)
  }
  const fillRequest = () => {
    const base = arena + request
    for (let at = 0; at < 16; at += 8) memory.writeDoubleLE(pick(times), base + at)
    for (let at = 0; at < 120; at += 8) {
      if (at < 16 && random() % 4 !== 0) continue
      const [place, length] = random() % 4 === 0 ? [number(), number()] : pick(spots)
      memory.writeUInt32LE(place! >>> 0, base + at)
      memory.writeUInt32LE(length! >>> 0, base + at + 4)
    }
    if (random() % 2 === 0) memory.writeUInt32LE(40_000, base + pick([104, 80, 56]))
    memory[base + pick([108, 109, 84, 56, 57, 60, 48])] = random() % 4
  }

  const names = Object.keys(exports).filter((key) => /^lk_(?!abi_version$|layout_hash$|arena)/.test(key))
  const known = new Set<number>(abi.codes.map((code) => code.number))
  const outside = (what: string) => {
    assert.ok(memory.subarray(65_536, arena).equals(fresh.subarray(65_536, arena)), what)
    assert.ok(memory.subarray(arena + size).equals(fresh.subarray(arena + size)), what)
  }
  const sum = { ok: 0, refused: 0, traps: 0, slowest: 0 }
  for (let round = 0; round < rounds; round++) {
    if (round % 512 === 0) scatter()
    const called = pick(names)
    const call = exports[called]!
    const given = args(call.length)
    // The last argument is where free space begins, most often.
    if (given.length > 0 && random() % 2 === 0) given[given.length - 1] = 40_000
    if (call.length === 0) fillRequest()
    const began = performance.now()
    try {
      const code = call(...given)
      assert.ok(known.has(code), `${called}(${given}) returned ${code}`)
      if (code === 0) sum.ok++
      else sum.refused++
      const used = memory.readUInt32LE(arena + reply)
      assert.ok(used <= size, `${called} used ${used}`)
    } catch (trap) {
      assert.ok(trap instanceof WebAssembly.RuntimeError, String(trap))
      assert.match(called, takesRing, `${called}(${given}): ${trap.message}`)
      outside(called)
      sum.traps++
      start()
      scatter()
    }
    sum.slowest = Math.max(sum.slowest, performance.now() - began)
    if (round % 4096 === 0) outside(called)
  }
  outside('at the end')
  return sum
}

describe('10^6 calls with random places, lengths and memory', () => {
  for (const [name, rounds] of [
    ['latchkey', 700_000],
    ['latchkey-verify', 300_000],
  ] as const) {
    it(name, (t) => {
      const { ok, refused, traps, slowest } = hammer(name, rounds)
      t.diagnostic(
        `${ok} done, ${refused} refused, ${traps} trapped on a broken ring, slowest ${slowest.toFixed(1)} ms`,
      )
      assert.equal(ok + refused + traps, rounds)
      assert.ok(ok > rounds / 1000 && refused > rounds / 10)
      assert.ok(slowest < 5000)
    })
  }
})

it('the verify-only module holds nothing that makes or opens', () => {
  const { instances } = openVerifier()
  const names = Object.keys(instances[0]!.exports)
  for (const name of names)
    assert.doesNotMatch(name, /issue|seal|sign|generate|parse$|code_verifier|principal/)
})
