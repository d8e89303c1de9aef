// Holds the modules against wasm/abi.json and against what "the core does no I/O" means in a module.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { modulePaths, root } from './paths.mjs'
import { readModule } from './wasm-module.mjs'
import { readOptions } from './options.ts'

readOptions({})

const abi = JSON.parse(readFileSync(`${root}/wasm/abi.json`, 'utf8'))

// Among the linked functions, each of these would mean a heap, stdio or a source of randomness.
const forbidden =
  /\b(?:malloc|calloc|realloc|free|sbrk|dlmalloc|emmalloc_\w+|_Zn[wa][jm]\w*|vfprintf|printf|fwrite|fd_write|randombytes\w*|__cxa_throw|__wasi_\w+)\b/

const failures = []
for (const [name, path] of Object.entries(modulePaths)) {
  const expected = abi.modules[name]
  const module = readModule(path)
  const must = (holds, text) => {
    if (!holds) failures.push(`${name}: ${text}`)
  }

  must(module.imports.length === 0, `imports ${module.imports.join(', ')}; a module imports nothing`)
  const exports = module.exports.map((entry) => entry.name)
  for (const entry of exports)
    must(expected.exports.includes(entry), `exports ${entry}, which abi.json does not name`)
  for (const entry of expected.exports) must(exports.includes(entry), `does not export ${entry}`)

  const { initialPages, maxPages } = module.memory
  must(initialPages === maxPages, `memory is not fixed: ${initialPages} pages at first, ${maxPages} at most`)
  must(
    initialPages === expected.memory.initialPages && maxPages === expected.memory.maxPages,
    `memory is ${initialPages} pages; abi.json says ${expected.memory.initialPages}`,
  )
  must(
    module.stackPointer <= module.lowestData,
    `the stack (top ${module.stackPointer}) lies above data (${module.lowestData}): an overflow would overwrite it`,
  )
  must(module.size <= expected.budget, `${module.size} bytes; the budget is ${expected.budget}`)

  const symbols = readFileSync(`${path}.symbols`, 'utf8')
  must(/\blk_/.test(symbols), 'the linker left no names to look at')
  const hit = symbols.match(forbidden)
  must(!hit, `contains ${hit?.[0]}`)

  const zipped = gzipSync(readFileSync(path), { level: 9 }).length
  console.log(
    `${name.padEnd(6)} ${module.size} bytes (${zipped} gzip, budget ${expected.budget}), ${exports.length} exports, ` +
      `${module.imports.length} imports, ${initialPages} pages`,
  )
}

for (const failure of failures) console.error(failure)
process.exit(failures.length === 0 ? 0 : 1)
