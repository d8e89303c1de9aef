// Whatever stands in place of an argument: a code or a TypeError, no trap, nothing left behind, and the next call works.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LatchkeyError } from '../src/errors.ts'
import type { Jwks } from '../src/types.ts'
import {
  type Call,
  functionsOf,
  invoke,
  latchkeyCalls,
  places,
  replaced,
  signerCalls,
  verifierCalls,
} from './calls.ts'
import { canary, codes, type Opened, openLatchkey, openSigner, openVerifier, residue } from './support.ts'

class Hostile extends Error {}

const refuse = () => {
  throw new Hostile()
}
const throwing = (target: object) =>
  new Proxy(target, {
    get: refuse,
    has: refuse,
    ownKeys: refuse,
    getPrototypeOf: refuse,
    getOwnPropertyDescriptor: refuse,
  })

function detached(): Uint8Array {
  const bytes = new Uint8Array(32)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

const { proxy: revoked, revoke } = Proxy.revocable({}, {})
revoke()
const cyclic: Record<string, unknown> = {}
cyclic['self'] = cyclic

// Made anew for each use: what a test does to one must not reach the next.
const hostile: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => NaN,
  Infinity: () => Infinity,
  '0': () => 0,
  '-1': () => -1,
  '1.5': () => 1.5,
  '2 ** 53': () => 2 ** 53,
  '5n': () => 5n,
  true: () => true,
  'a symbol': () => Symbol('s'),
  "''": () => '',
  "'\\0'": () => '\0',
  'a lone surrogate': () => '\ud800',
  "'constructor'": () => 'constructor',
  "'__proto__'": () => '__proto__',
  '1 MB of text': () => 'x'.repeat(1_000_000),
  '400 KB of text, not ASCII': () => 'é'.repeat(200_000),
  '90 KB of text': () => 'x'.repeat(90_000),
  '60 KB of text': () => 'x'.repeat(60_000),
  'a String object': () => new String('alex'),
  '[]': () => [],
  'an array of numbers': () => Array.from({ length: 32 }, (_, i) => i),
  'an array of holes': () => new Array(32),
  'a huge array': () => new Array(70_000).fill('x'),
  'a deep array': () => Array.from({ length: 5000 }).reduce((inner) => [inner], []),
  '{}': () => ({}),
  'an array-like': () => ({ length: 32, 0: 1 }),
  'a huge array-like': () => ({ length: 2 ** 32 }),
  'an object without prototype': () => Object.create(null) as object,
  'a cyclic object': () => cyclic,
  'an object with toString': () => ({ toString: () => 'alex', valueOf: () => 5 }),
  'an object with toJSON that throws': () => ({ toJSON: refuse }),
  'a function': () => () => 'alex',
  'a class': () => class {},
  'a Date': () => new Date(0),
  'a Map': () => new Map([['a', 'b']]),
  'a promise': () => Promise.resolve('alex'),
  'a proxy that throws': () => throwing({}),
  'an array proxy that throws': () => throwing([]),
  'a function proxy that throws': () => throwing(() => undefined),
  'a revoked proxy': () => revoked,
  'an iterable that throws': () => ({ [Symbol.iterator]: refuse }),
  'no bytes': () => new Uint8Array(0),
  'detached bytes': detached,
  '200 KB of bytes': () => new Uint8Array(200_000),
  'an ArrayBuffer': () => new ArrayBuffer(32),
  'a DataView': () => new DataView(new ArrayBuffer(32)),
  'a Uint16Array': () => new Uint16Array(32),
  'a Float64Array': () => new Float64Array(32),
}

const edge = openLatchkey()
const signer = openSigner()
const browser = openVerifier()
const engines: readonly [string, Opened<object>, Call[]][] = [
  ['Latchkey', edge, latchkeyCalls(edge.api)],
  ['Signer', signer, signerCalls(signer.api, edge.api)],
  ['Verifier', browser, verifierCalls(browser.api, edge.api)],
]

/** What came of a call: its answer, or the error that it may throw. */
function outcome(call: Call, args: readonly unknown[]): { answer?: unknown; error?: Error } {
  try {
    return { answer: invoke(call, args) }
  } catch (error) {
    if (error instanceof LatchkeyError) assert.ok(codes.has(error.code), error.code)
    else if (!(error instanceof TypeError) && !(error instanceof Hostile)) throw error
    return { error }
  }
}

for (const [engine, opened, calls] of engines) {
  describe(engine, () => {
    it('every function is called here', () => {
      assert.deepEqual([...new Set(calls.map(({ name }) => name))].sort(), functionsOf(opened.api).sort())
    })

    for (const [index, call] of calls.entries()) {
      const good = calls[(index + 1) % calls.length]!
      it(`${call.name} (${index})`, () => {
        const check = (title: string, args: readonly unknown[], data = false) => {
          const before = opened.instances.length
          const { error } = outcome(call, args)
          if (data)
            assert.ok(error === undefined || error instanceof LatchkeyError, `${title}: ${error?.stack}`)
          assert.equal(opened.instances.length, before, `${title}: trapped`)
          assert.deepEqual(residue(opened), [], title)
          invoke(good, good.args())
          assert.deepEqual(residue(opened), [], `after ${title}`)
        }
        check('as it is', call.args())
        for (let count = 0; count < call.args().length; count++)
          check(`${count} arguments`, call.args().slice(0, count))
        for (const [path] of places(call.args())) {
          for (const [title, make] of Object.entries(hostile)) {
            check(`${path}: ${title}`, replaced(call.args(), path, make()), call.data?.includes(path))
          }
        }
      })

      it(`${call.name} (${index}): what is not of the right kind is never taken for it`, () => {
        for (const [path, value] of places(call.args())) {
          if (call.inner !== undefined && path.startsWith(call.inner)) continue
          const wrong =
            typeof value === 'string'
              ? [5, NaN, 0, true, 5n, Symbol('s'), [], [value], {}, new String(value), () => value, null]
              : value instanceof Uint8Array
                ? [
                    '0'.repeat(value.length),
                    [...value],
                    new ArrayBuffer(value.length),
                    {},
                    { length: value.length },
                    new Uint16Array(value),
                    new DataView(new ArrayBuffer(value.length)),
                    5,
                    null,
                    true,
                  ]
                : typeof value === 'number'
                  ? [String(value), [value], null, true, '', {}, new Date(value), BigInt(value)]
                  : []
          for (const other of wrong) {
            const { answer, error } = outcome(call, replaced(call.args(), path, other))
            const taken = error === undefined && !call.isNo?.(answer)
            assert.ok(!taken, `${path}: ${Object.prototype.toString.call(other)} ${typeof other}`)
          }
        }
      })
    }

    it('arguments that reach back into the engine harm nobody', () => {
      for (const call of calls) {
        for (const [path, value] of places(call.args())) {
          const reentrant = call.args()
          const parts = path.split('.')
          const last = parts.pop()!
          const holder = parts.reduce<unknown>(
            (node, name) => (node as Record<string, unknown>)[name],
            reentrant,
          )
          if (Array.isArray(holder) || Object.isFrozen(holder)) continue
          Object.defineProperty(holder, last, {
            enumerable: true,
            get() {
              for (const other of calls) invoke(other, other.args())
              return value
            },
          })
          const { answer, error } = outcome(call, reentrant)
          if (error === undefined && !call.isNo?.(answer))
            assert.deepEqual(answer, invoke(call, call.args()), `${call.name} ${path}`)
          assert.deepEqual(residue(opened), [], `${call.name} ${path}`)
        }
      }
    })
  })
}

describe('JWK Sets', () => {
  const { api: lk } = edge
  const verify = verifierCalls(browser.api, lk)[0]!
  const [jwks, token, expected] = verify.args() as [Jwks, string, object]
  const refused = (set: unknown) => {
    const { error } = outcome(verify, [set, token, expected])
    assert.ok(error instanceof LatchkeyError && error.code === 'jwks_invalid', String(error))
  }

  it('that are none', () => {
    const key = jwks.keys[0]!
    for (const set of [
      { keys: null },
      { keys: {} },
      { keys: [] },
      { keys: [null] },
      { keys: [5] },
      [key],
      [[key]],
      { keys: [{ ...key, kty: 'EC' }] },
      { keys: [{ ...key, crv: 'X25519' }] },
      { keys: [{ ...key, d: key['x'] }] },
      { keys: [{ ...key, kid: undefined }] },
      { keys: [{ ...key, kid: '' }] },
      { keys: [{ ...key, kid: 5 }] },
      { keys: [{ ...key, x: undefined }] },
      { keys: [{ ...key, x: `${String(key['x'])}=` }] },
      { keys: [{ ...key, x: 'AA' }] },
      { keys: [key, key] },
      { keys: Array.from({ length: 9 }, (_, i) => ({ ...key, kid: `k${i}` })) },
      { keys: [{ ...key, use: 'enc' }] },
      { keys: [{ ...key, alg: 'HS256' }] },
      JSON.stringify(jwks),
      new Map([['keys', [key]]]),
    ]) {
      refused(set)
    }
  })

  it('other keys in it are passed over', () => {
    const others = [
      { kty: 'EC', crv: 'P-256', kid: 'e', x: 'AA', y: 'AA' },
      { kty: 'RSA', kid: 'r', n: 'AA', e: 'AQAB' },
      { kty: 'oct', kid: 'o', k: 'AA' },
    ]
    invoke(verify, [{ keys: [...others, ...jwks.keys] }, token, expected])
  })

  it('a key withdrawn from a set is not trusted any more, and a key added is', () => {
    const other = lk.keys.publicJwks(lk.keys.parse(`k9:${Buffer.from(canary('withdrawn')).toString('hex')}`))
    const keys = [...jwks.keys]
    const set = { keys }
    invoke(verify, [set, token, expected])
    keys[0] = other.keys[0]!
    const { error } = outcome(verify, [set, token, expected])
    assert.equal((error as LatchkeyError | undefined)?.code, 'state_unknown_key')
    keys.push(jwks.keys[0]!)
    invoke(verify, [set, token, expected])
    keys.length = 0
    refused(set)
  })
})
