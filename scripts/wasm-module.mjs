// Reads what the build has to know about a .wasm file: the sections that the JavaScript API does not show.
import { readFileSync } from 'node:fs'

const sectionIds = { import: 2, memory: 5, global: 6, export: 7, code: 10, data: 11 }

export function readModule(path) {
  const bytes = readFileSync(path)
  const module = new WebAssembly.Module(bytes)
  const sections = readSections(bytes)
  return {
    size: bytes.length,
    imports: WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`),
    exports: WebAssembly.Module.exports(module).map(({ name, kind }) => ({ name, kind })),
    memory: readMemory(sections.get(sectionIds.memory)),
    stackPointer: readFirstGlobal(sections.get(sectionIds.global)),
    lowestData: readLowestData(sections.get(sectionIds.data)),
  }
}

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes
    this.at = at
  }
  byte() {
    return this.bytes[this.at++]
  }
  unsigned() {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  signed32() {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return shift < 25 && byte & 0x40 ? value | (-1 << (shift + 7)) : value
    }
  }
  // A constant expression of one i32: `i32.const n end`. Anything else is not what our linkers write.
  constantI32() {
    if (this.byte() !== 0x41) throw new Error('expected i32.const')
    const value = this.signed32()
    if (this.byte() !== 0x0b) throw new Error('expected the end of a constant expression')
    return value
  }
}

function readSections(bytes) {
  const sections = new Map()
  const reader = new Reader(bytes, 8)
  while (reader.at < bytes.length) {
    const id = reader.byte()
    const size = reader.unsigned()
    sections.set(id, bytes.subarray(reader.at, reader.at + size))
    reader.at += size
  }
  return sections
}

function readMemory(section) {
  const reader = new Reader(section)
  if (reader.unsigned() !== 1) throw new Error('expected exactly one memory')
  const bounded = reader.byte() & 1
  const initialPages = reader.unsigned()
  return { initialPages, maxPages: bounded ? reader.unsigned() : null }
}

// The linkers put `__stack_pointer` first: a mutable i32.
function readFirstGlobal(section) {
  const reader = new Reader(section)
  if (reader.unsigned() < 1 || reader.byte() !== 0x7f || reader.byte() !== 1) {
    throw new Error('expected the stack pointer as the first global')
  }
  return reader.constantI32()
}

function readLowestData(section) {
  const reader = new Reader(section)
  let lowest = Infinity
  for (let left = reader.unsigned(); left > 0; left--) {
    if (reader.unsigned() !== 0) throw new Error('expected active data segments only')
    lowest = Math.min(lowest, reader.constantI32())
    const size = reader.unsigned()
    reader.at += size
  }
  return lowest
}
