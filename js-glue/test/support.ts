// What the tests share: engines whose memory can be looked at, and one flow with everything it needs.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { abi } from '../src/abi.gen.ts'
import { type ErrorCode, LatchkeyError } from '../src/errors.ts'
import { makeLatchkey, makeSigner, makeVerifier } from '../src/latchkey.ts'
import type { Latchkey, Signer, StateClaims, Verifier } from '../src/types.ts'

const instancesOf = new WeakMap<WebAssembly.Module, WebAssembly.Instance[]>()
const pristine = new WeakMap<WebAssembly.Instance, Buffer>()

/** The stack lies below everything else and grows down from here; see wasm/CMakeLists.txt. */
export const stackTop = 65_536
const frameBytes = 128

// The glue asks for this constructor by its global name, so every instance passes here.
WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, args: [WebAssembly.Module, WebAssembly.Imports?]) {
    const instance = new target(...args)
    instancesOf.get(args[0])?.push(instance)
    if (instance.exports['memory']) pristine.set(instance, Buffer.from(memoryOf(instance)))
    return instance
  },
})

export interface Opened<T> {
  readonly api: T
  /** Every instance so far; more than one means that there was a trap. */
  readonly instances: readonly WebAssembly.Instance[]
  /** The linear memory of the instance in use. */
  memory(): Buffer
}

type Module = 'latchkey' | 'latchkey-sign' | 'latchkey-verify'

function open<T>(name: Module, make: (compiled: WebAssembly.Module) => T): Opened<T> {
  const compiled = new WebAssembly.Module(moduleBytes(name))
  const instances: WebAssembly.Instance[] = []
  instancesOf.set(compiled, instances)
  return { api: make(compiled), instances, memory: () => memoryOf(instances.at(-1)!) }
}

export const moduleBytes = (name: Module) =>
  readFileSync(new URL(`../wasm/${name}.wasm`, import.meta.url)) as Uint8Array<ArrayBuffer>
export const openLatchkey = (): Opened<Latchkey> => open('latchkey', makeLatchkey)
export const openSigner = (): Opened<Signer> => open('latchkey-sign', makeSigner)
export const openVerifier = (): Opened<Verifier> => open('latchkey-verify', makeVerifier)

export function memoryOf(instance: WebAssembly.Instance): Buffer {
  return Buffer.from((instance.exports['memory'] as WebAssembly.Memory).buffer)
}

/** Bytes that stand nowhere else: different for every label, the same in every run. */
export function canary(label: string, length = 32): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 32) {
    const block = createHash('sha256').update(`${label} ${at}`).digest()
    bytes.set(block.subarray(0, length - at), at)
  }
  return bytes
}

export const now = 1_790_000_000_000
export const entropy = canary('entropy')
export const binding = canary('binding')
export const rawKey = canary('key')
export const keyText = `k1:${Buffer.from(rawKey).toString('hex')}`

/** What both sides of a flow know by themselves. */
export const known = {
  issuer: 'https://app.example',
  audience: 'https://app.example/callback/git',
  flow: 'connect',
  provider: 'git',
  subject: 'alex',
}
export const claims = {
  ...known,
  owner: { kind: 'user', id: 'alex' },
  app: 'notes',
  returnTo: '/settings?tab=1',
  binding,
} satisfies StateClaims
export const expected = { ...known, now, binding }

export const codes: ReadonlySet<string> = new Set(abi.codes.map(({ name }) => name).filter((n) => n !== 'ok'))

/** The code with which something is refused; undefined when it is not refused at all. */
export function refusal(call: () => unknown): ErrorCode | undefined {
  try {
    call()
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code
    throw error
  }
  return undefined
}

/**
 * Where the memory differs from that of a fresh instance. The last bytes of the stack are left out: the frame that
 * wipes everything below it keeps its own arguments there, which are places, lengths and times.
 */
export function residue(opened: Opened<unknown>): string[] {
  const memory = opened.memory()
  const fresh = pristine.get(opened.instances.at(-1)!)!
  const frame = stackTop - frameBytes
  return [
    ...differences(memory.subarray(0, frame), fresh.subarray(0, frame), 0),
    ...differences(memory.subarray(stackTop), fresh.subarray(stackTop), stackTop),
  ]
}

function differences(actual: Buffer, wanted: Buffer, offset: number): string[] {
  const found: string[] = []
  if (actual.equals(wanted)) return found
  for (let at = 0; at < actual.length; at++) {
    const begin = at
    while (at < actual.length && actual[at] !== wanted[at]) at++
    if (at > begin)
      found.push(`${offset + begin}: ${actual.subarray(begin, at).toString('hex').slice(0, 80)}`)
  }
  return found
}
