// wasm/abi.json and js-glue/src/abi.gen.ts: the ABI under review.
//
// What the C++ types know comes from `dump_abi`; what only a linked module knows (exports, imports, memory) from
// the modules themselves. The size budgets alone are kept by hand, in wasm/abi.json.
//   node scripts/gen-abi.mjs          writes both files
//   node scripts/gen-abi.mjs --check  fails when a committed file is not what would be written
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { format } from 'prettier'
import { modulePaths, root } from './paths.mjs'
import { readModule } from './wasm-module.mjs'
import { readOptions } from './options.ts'

const startBudget = { edge: 131_072, sign: 131_072, verify: 65_536 }

const abiPath = `${root}/wasm/abi.json`
const committed = existsSync(abiPath) ? JSON.parse(readFileSync(abiPath, 'utf8')) : {}
const types = JSON.parse(execFileSync(`${root}/build/gcc/wasm/dump_abi`, { encoding: 'utf8' }))

const modules = Object.fromEntries(
  Object.entries(modulePaths).map(([name, path]) => {
    const { imports, exports, memory } = readModule(path)
    return [
      name,
      {
        exports: exports.map((entry) => entry.name).sort(),
        imports,
        memory,
        budget: committed.modules?.[name]?.budget ?? startBudget[name],
      },
    ]
  }),
)

const prettier = { semi: false, singleQuote: true, printWidth: 110 }
const files = {
  'wasm/abi.json': await format(JSON.stringify({ ...types, modules }), { ...prettier, parser: 'json' }),
  'js-glue/src/abi.gen.ts': await format(
    `// @generated from wasm/abi.json by scripts/gen-abi.mjs\nexport const abi = ${JSON.stringify(types)} as const\n`,
    { ...prettier, parser: 'typescript' },
  ),
}

const stale = Object.entries(files).filter(([path, text]) => {
  const full = `${root}/${path}`
  return !existsSync(full) || readFileSync(full, 'utf8') !== text
})
if (readOptions({ check: { type: 'boolean' } }).values.check) {
  for (const [path] of stale) console.error(`${path} is stale; type: npm run build`)
  process.exit(stale.length === 0 ? 0 : 1)
}
for (const [path, text] of stale) {
  writeFileSync(`${root}/${path}`, text)
  console.log(`wrote ${path}`)
}
