// Formats everything: clang-format for C++, prettier for the rest.
//   node scripts/format.mjs          writes
//   node scripts/format.mjs --check  fails when something would change
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { root, toolEnv } from './paths.mjs'
import { readOptions } from './options.ts'

const check = readOptions({ check: { type: 'boolean' } }).values.check
const llvm = readFileSync(`${root}/cmake/llvm-version`, 'utf8').trim()
const sources = globSync('{include,src,wasm,tests,bench,cmake}/**/*.{cpp,hpp,c,h}', { cwd: root }).sort()

const run = (file, ...args) =>
  spawnSync(file, args, { cwd: root, env: toolEnv, stdio: 'inherit' }).status === 0

const results = [
  run(`clang-format-${llvm}`, ...(check ? ['--dry-run', '-Werror'] : ['-i']), ...sources),
  run('prettier', '--log-level', 'warn', check ? '--check' : '--write', '.'),
]
process.exit(results.every(Boolean) ? 0 : 1)
