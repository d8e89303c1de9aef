import { abi } from './abi.gen.ts'
import { type ErrorCode, errorCode, LatchkeyError } from './errors.ts'

type Export = (...args: number[]) => number
type LayoutName = keyof typeof abi.layouts
type FieldName<L extends LayoutName> = keyof (typeof abi.layouts)[L]['fields']

/** Where a field of a request or reply lies, counted from the start of the arena. */
export function place<L extends LayoutName>(layout: L, field: FieldName<L>): number {
  const [, offset] = (abi.layouts[layout].fields as Record<FieldName<L>, readonly [string, number]>)[field]
  return (layout.endsWith('Request') ? abi.arena.request : abi.arena.reply) + offset
}

const usedAt = abi.arena.reply
const errorAt = abi.arena.reply + 4
const bytesAt = place('BytesReply', 'bytes')
const flagAt = place('FlagReply', 'flag')

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const nothing = new Uint8Array(0)

/** The number of one of several names; 0 for anything else. */
export function numberOf(numbers: Readonly<Record<string, number>>, name: unknown): number {
  return typeof name === 'string' && Object.hasOwn(numbers, name) ? numbers[name]! : 0
}

function checkText(text: unknown): void {
  if (typeof text !== 'string') throw new TypeError('latchkey: expected a string')
}

/** One instance of a module with its arena, and everything that crosses into it and out again. */
export class Module {
  readonly #compiled: WebAssembly.Module
  #exports!: Readonly<Record<string, Export>>
  u8!: Uint8Array
  u16!: Uint16Array
  u32!: Uint32Array
  f64!: Float64Array
  /** The first byte of the arena that nothing has been put into yet. */
  #free: number = abi.arena.data
  #roomAt = -1
  #roomView: Uint8Array = nothing

  constructor(compiled: WebAssembly.Module) {
    this.#compiled = compiled
    this.#instantiate()
  }

  #instantiate(): void {
    const { exports } = new WebAssembly.Instance(this.#compiled, {})
    const calls = exports as Readonly<Record<string, Export>>
    const memory = exports['memory'] as WebAssembly.Memory
    calls['_initialize']?.()
    if (calls['lk_abi_version']?.() !== abi.version || calls['lk_layout_hash']!() >>> 0 !== abi.layoutHash) {
      throw new Error('latchkey: this .wasm file belongs to another version of the package')
    }
    const arena = calls['lk_arena']!()
    this.#roomAt = -1
    this.#exports = calls
    this.u8 = new Uint8Array(memory.buffer, arena, abi.arena.size)
    this.u16 = new Uint16Array(memory.buffer, arena, abi.arena.size / 2)
    this.u32 = new Uint32Array(memory.buffer, arena, abi.arena.size / 4)
    this.f64 = new Float64Array(memory.buffer, arena, abi.arena.size / 8)
  }

  get free(): number {
    return this.#free
  }

  /** Claims room, aligned for any key. */
  claim(length: number): number {
    const at = this.#free
    const end = at + length
    // Room for the module's own work must stay; what does not fit is too large for any operation.
    if (end > abi.arena.size - 4096) this.#refuse('output_too_small')
    this.#free = (end + 7) & ~7
    return at
  }

  /** Gives up on an input; any part of it may lie anywhere behind what has been claimed. */
  #refuse(code: ErrorCode): never {
    this.#free = abi.arena.size
    throw new LatchkeyError(code)
  }

  putTime(at: number, ms: number): void {
    // Text and the like would become some number.
    if (typeof ms !== 'number') throw new LatchkeyError('time_invalid')
    this.f64[at] = ms
  }

  putBytes(bytes: Uint8Array): number {
    // Text, numbers and wider elements would become other bytes, most of them zeros.
    if (!ArrayBuffer.isView(bytes) || bytes.BYTES_PER_ELEMENT !== 1) {
      throw new TypeError('latchkey: expected a Uint8Array')
    }
    const at = this.claim(bytes.length)
    this.u8.set(bytes, at)
    return at
  }

  /** What can still be put. Calls of one kind begin at one place, so the last view is kept. */
  #room(): Uint8Array {
    if (this.#roomAt !== this.#free) {
      this.#roomAt = this.#free
      this.#roomView = this.u8.subarray(this.#free, abi.arena.size - 4096)
    }
    return this.#roomView
  }

  /** Puts text and returns its length in bytes; the place is the `free` of before. */
  putText(text: string): number {
    checkText(text)
    // A lone surrogate would become U+FFFD, and two different texts one and the same.
    if (!text.isWellFormed()) this.#refuse('utf8_invalid')
    const { read, written } = encoder.encodeInto(text, this.#room())
    if (read !== text.length) this.#refuse('output_too_small')
    this.claim(written)
    return written
  }

  /**
   * Puts several texts at once, writing their slices (offset, length) from `slices` on. One encoding
   * call for all is what makes the common case, nothing but ASCII, cheap.
   */
  putTexts(texts: readonly string[], slices: number): void {
    let joined = ''
    for (let i = 0; i < texts.length; i++) {
      checkText(texts[i])
      joined += texts[i]!
    }
    const begin = this.#free
    const { u32 } = this
    let word = slices >>> 2
    const { read, written } = encoder.encodeInto(joined, this.#room())
    if (read === joined.length && written === read) {
      let at = begin
      for (let i = 0; i < texts.length; i++) {
        const { length } = texts[i]!
        u32[word++] = length === 0 ? 0 : at
        u32[word++] = length
        at += length
      }
      this.#free = (at + 7) & ~7
      return
    }
    for (const text of texts) {
      const at = this.#free
      const length = text.length === 0 ? 0 : this.putText(text)
      u32[word++] = length === 0 ? 0 : at
      u32[word++] = length
    }
  }

  putSlice(slice: number, at: number, length: number): void {
    this.u32[slice >>> 2] = length === 0 ? 0 : at
    this.u32[(slice >>> 2) + 1] = length
  }

  sliceText(slice: number, text = ''): void {
    const at = this.#free
    this.putSlice(slice, at, text === '' ? 0 : this.putText(text))
  }

  sliceBytes(slice: number, bytes: Uint8Array = nothing): void {
    this.putSlice(slice, this.putBytes(bytes), bytes.length)
  }

  /** Puts a list in the module's form: u16 count, then u16 length and bytes for each. */
  putList(texts: readonly string[]): { at: number; length: number } {
    const at = this.claim(2)
    let end = this.#u16(at, texts.length)
    // All in one call, with room for the lengths between; when everything is ASCII, that was all of it.
    let joined = ''
    for (let i = 0; i < texts.length; i++) {
      checkText(texts[i])
      joined += `\0\0${texts[i]!}`
    }
    this.#free = end
    const { read, written } = encoder.encodeInto(joined, this.#room())
    if (read === joined.length && written === read) {
      for (let i = 0; i < texts.length; i++) end = this.#u16(end, texts[i]!.length) + texts[i]!.length
      this.#free = (end + 7) & ~7
      return { at, length: end - at }
    }
    for (const text of texts) {
      this.#free = end + 2
      const length = text === '' ? 0 : this.putText(text)
      this.#u16(end, length)
      end += 2 + length
    }
    this.#free = (end + 7) & ~7
    return { at, length: end - at }
  }

  #u16(at: number, value: number): number {
    if (value > 0xffff) this.#refuse('output_too_small')
    this.u8[at] = value & 0xff
    this.u8[at + 1] = value >>> 8
    return at + 2
  }

  /** Runs an export; throws what it refused. The caller reads the reply and then calls `wipe`. */
  call(name: string, ...args: number[]): void {
    for (let i = 0; i < args.length; i++) {
      if (typeof args[i] !== 'number') throw new TypeError('latchkey: expected a number')
    }
    let code: number
    try {
      code = this.#exports[name]!(...args)
    } catch (trap) {
      // A broken contract inside. Nothing in this instance, its stack included, is to be trusted or to stay.
      new Uint8Array(this.u8.buffer).fill(0)
      this.#exports = {}
      this.#free = abi.arena.data
      this.#instantiate()
      throw trap
    }
    if (code !== 0) throw new LatchkeyError(errorCode(code), this.u32[errorAt >>> 2] || undefined)
  }

  /** Overwrites what the last operation put into the arena or left there. */
  wipe(): void {
    const used = this.u32[usedAt >>> 2]!
    this.u8.fill(0, 0, used > this.#free ? used : this.#free)
    this.#free = abi.arena.data
  }

  word(at: number): number {
    return this.u32[at >>> 2]!
  }

  /** Decodes text that a slice of the reply points to. */
  text(slice: number): string {
    return this.decode(this.word(slice), this.word(slice + 4))
  }

  decode(at: number, length: number): string {
    return length === 0 ? '' : decoder.decode(this.u8.subarray(at, at + length))
  }

  /** Copies bytes that a slice of the reply points to. */
  bytes(slice: number): Uint8Array {
    const at = this.word(slice)
    return this.u8.slice(at, at + this.word(slice + 4))
  }

  replyText(): string {
    return this.text(bytesAt)
  }
  replyBytes(): Uint8Array {
    return this.bytes(bytesAt)
  }
  replyFlag(): boolean {
    return this.word(flagAt) === 1
  }
}
