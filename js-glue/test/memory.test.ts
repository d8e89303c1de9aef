// What a call leaves in linear memory, the stack included: nothing of any secret, token or text that went in or out.
import assert from 'node:assert/strict'
import { hkdfSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { abi } from '../src/abi.gen.ts'
import {
  type Call,
  environment,
  invoke,
  latchkeyCalls,
  places,
  replaced,
  signerCalls,
  verifierCalls,
} from './calls.ts'
import {
  binding,
  claims,
  entropy,
  expected,
  keyText,
  memoryOf,
  moduleBytes,
  now,
  type Opened,
  openLatchkey,
  openSigner,
  openVerifier,
  rawKey,
  refusal,
  residue,
  stackTop,
} from './support.ts'

const width = 16

/** Finds any 16 bytes of any secret in a memory. */
class Scanner {
  /** The secrets that can be found. */
  readonly names = new Set<string>()
  readonly #windows = new Map<number, [window: Buffer, name: string][]>()

  constructor(secrets: ReadonlyMap<string, Uint8Array>, fresh: Buffer) {
    for (const [name, secret] of secrets) {
      for (let at = 0; at + width <= secret.length; at++) {
        const window = Buffer.from(secret.subarray(at, at + width))
        // Padding and the like is no secret, nor is what the module itself holds.
        if (new Set(window).size < width / 2 || fresh.includes(window)) continue
        this.names.add(name)
        const key = window.readUInt32LE()
        this.#windows.set(key, [...(this.#windows.get(key) ?? []), [window, name]])
      }
    }
  }

  find(memory: Buffer): string[] {
    const found = new Set<string>()
    for (let at = 0; at + width <= memory.length; at++) {
      if (memory[at] === 0) continue
      for (const [window, name] of this.#windows.get(memory.readUInt32LE(at)) ?? []) {
        if (memory.compare(window, 0, width, at, at + width) === 0) found.add(`${name} at ${at}`)
      }
    }
    return [...found]
  }
}

const bytesOf = (value: unknown) => (typeof value === 'string' ? Buffer.from(value) : value)

/** All text and bytes in a value, by their place. */
function* secretsIn(value: unknown, name: string): Generator<[string, Uint8Array]> {
  for (const [path, part] of places([value])) {
    const bytes = bytesOf(part)
    if (bytes instanceof Uint8Array) yield [`${name} ${path}`, bytes]
  }
}

/** A parsed ring as the module writes it: every subkey, seed and precomputed state of a MAC. */
function ringBytes(): { bytes: Buffer; memory: Buffer } {
  const { instances } = openLatchkey()
  const exports = instances[0]!.exports as Record<string, (...args: number[]) => number>
  const memory = memoryOf(instances[0]!)
  const arena = exports['lk_arena']!()
  const { reply, data } = abi.arena
  memory.write(keyText, arena + data)
  assert.equal(exports['lk_keys_parse']!(data, keyText.length, 4096), 0)
  const at = memory.readUInt32LE(arena + reply + 8)
  const length = memory.readUInt32LE(arena + reply + 12)
  return { bytes: memory.subarray(arena + at, arena + at + length), memory }
}

const subkeys = ['state/HS256', 'state/EdDSA', 'pkce', 'seal', 'capability', 'principal/HS256'].map(
  (info) =>
    [`subkey ${info}`, Buffer.from(hkdfSync('sha256', rawKey, '', `latchkey/1/${info}`, 32))] as const,
)
const pads = subkeys.flatMap(([name, key]) =>
  ([0x36, 0x5c] as const).map((pad) => [`${name} pad ${pad}`, key.map((byte) => byte ^ pad)] as const),
)
const known: readonly (readonly [string, Uint8Array])[] = [
  ['raw key', rawKey],
  ...subkeys,
  ...pads,
  ['ring', ringBytes().bytes],
  ['binding', binding],
  ['entropy', entropy],
]

const freshMemory = (name: 'latchkey' | 'latchkey-sign' | 'latchkey-verify') =>
  memoryOf(new WebAssembly.Instance(new WebAssembly.Module(moduleBytes(name))))

const edge = openLatchkey()
const signer = openSigner()
const browser = openVerifier()
const files = { Latchkey: 'latchkey', Signer: 'latchkey-sign', Verifier: 'latchkey-verify' } as const
const engines: readonly [keyof typeof files, Opened<object>, Call[]][] = [
  ['Latchkey', edge, latchkeyCalls(edge.api)],
  ['Signer', signer, signerCalls(signer.api, edge.api)],
  ['Verifier', browser, verifierCalls(browser.api, edge.api)],
]

/** Changes to one text or to bytes that are refused in ever later places. */
function* damaged(value: unknown): Generator<unknown> {
  if (typeof value === 'string') {
    const last = value.charCodeAt(value.length - 1)
    yield value.slice(0, -1) + String.fromCharCode(last ^ 1)
    yield value.slice(0, -1)
    yield `${value}\ud800`
    yield `${value}\0`
    yield value + value
    yield value.repeat(Math.ceil(80_000 / value.length))
    yield value.repeat(Math.ceil(200_000 / value.length))
  } else if (value instanceof Uint8Array) {
    yield value.map((byte, at) => (at === value.length - 1 ? byte ^ 1 : byte))
    yield value.subarray(1)
    yield Buffer.concat(Array.from({ length: Math.ceil(70_000 / value.length) }, () => value))
  } else if (typeof value === 'number') {
    yield value + 700_000
    yield value - 700_000
    yield NaN
  }
}

for (const [engine, opened, calls] of engines) {
  describe(engine, () => {
    const answers = calls.map((call) => invoke(call, call.args()))
    const secrets = new Map<string, Uint8Array>([
      ...known,
      ...calls.flatMap((call, i) => [
        ...secretsIn(call.args(), `${call.name} (${i})`),
        ...secretsIn(answers[i], `${call.name} (${i}) =`),
      ]),
    ])
    const scanner = new Scanner(secrets, freshMemory(files[engine]))

    it('the scanner finds what is there', () => {
      const tail = 2048
      for (const name of scanner.names) {
        const secret = secrets.get(name)!.subarray(-tail)
        const memory = Buffer.alloc(2 * tail)
        memory.set(secret, memory.length - secret.length)
        assert.ok(scanner.find(memory).length > 0, name)
      }
      for (const [name] of known) assert.ok(scanner.names.has(name), name)
      if (engine === 'Latchkey') assert.ok(scanner.find(ringBytes().memory).length > 100)
    })

    for (const [index, call] of calls.entries()) {
      it(`${call.name} (${index})`, () => {
        const check = (title: string, part = opened.memory()) => {
          assert.deepEqual(residue(opened), [], title)
          assert.deepEqual(scanner.find(part), [], title)
        }
        invoke(call, call.args())
        check('taken')
        let refused = 0
        for (const [path, value] of places(call.args())) {
          for (const bad of damaged(value)) {
            try {
              invoke(call, replaced(call.args(), path, bad))
            } catch {
              refused++
            }
            // All but this is what it was in a fresh instance.
            check(`${path} damaged`, opened.memory().subarray(stackTop - 256, stackTop))
          }
        }
        assert.ok(
          refused > 0 ||
            call.isNo !== undefined ||
            call.name === 'keys.publicJwks' ||
            call.name === 'keys.generate',
        )
      })
    }

    it('no call comes near the end of the stack', (t) => {
      for (const [index, call] of calls.entries()) {
        const memory = opened.memory()
        memory.fill(0xa5, 0, stackTop)
        invoke(call, call.args())
        const lowest = memory.findIndex((byte) => byte !== 0xa5)
        // Below the frame of the call nothing but what was there before and zeros.
        const left = memory.subarray(0, stackTop - 128).findIndex((byte) => byte !== 0xa5 && byte !== 0)
        memory.fill(0, 0, stackTop)
        t.diagnostic(`${call.name} (${index}): ${stackTop - lowest} bytes of stack`)
        assert.equal(left, -1, call.name)
        assert.ok(lowest >= 4096, call.name)
      }
    })

    it('memory is fixed: it never grows, and is never another', () => {
      const memory = opened.instances.at(-1)!.exports['memory'] as WebAssembly.Memory
      const { buffer } = memory
      assert.equal(buffer.byteLength, 6 * 65_536)
      assert.throws(() => memory.grow(1), RangeError)
      for (const call of calls) invoke(call, call.args())
      assert.equal(memory.buffer, buffer)
      assert.equal(buffer.detached, false)
    })
  })
}

describe('a configuration', () => {
  it('that is refused leaves no key and no secret', () => {
    const { api: lk } = edge
    const secrets = new Map([...known, ...secretsIn(environment, 'environment')])
    const scanner = new Scanner(secrets, freshMemory('latchkey'))
    for (const name of Object.keys(environment)) {
      for (const value of ['', 'x', '\ud800', '{', 'x'.repeat(50_000), 'x'.repeat(500_000)]) {
        refusal(() => lk.config.check({ ...environment, [name]: value }))
        assert.deepEqual(scanner.find(edge.memory()), [], name)
        assert.deepEqual(residue(edge), [], name)
      }
    }
  })
})

it('an instance that trapped keeps nothing either', () => {
  const opened = openLatchkey()
  const { api: lk } = opened
  const ring = lk.keys.parse(keyText)
  const { token } = lk.state.issue(ring, claims, { now, entropy })
  const state = lk.state.verify(ring, token, expected)
  const old = opened.memory()
  const arena = (opened.instances[0]!.exports['lk_arena'] as () => number)()
  const scanner = new Scanner(new Map(known), old)
  const breaking = {
    ...state,
    // Read after the ring was put: what it finds there is broken, and a broken ring is a broken contract.
    get kid() {
      assert.ok(scanner.find(old).length > 0)
      old.writeUInt16LE(0xffff, arena + abi.arena.data + 32)
      return state.kid
    },
  }
  assert.throws(() => lk.state.codeVerifier(ring, breaking), WebAssembly.RuntimeError)
  assert.equal(opened.instances.length, 2)
  assert.deepEqual(scanner.find(old), [])
  assert.deepEqual(residue(opened), [])
  assert.equal(lk.state.verify(ring, token, expected).subject, 'alex')
})
