// Compiles or runs every code block of the README, by the word after its fence:
//   cpp        a whole C++ file: compiled, and run when it has a main
//   ts         type-checked strictly for Node
//   ts worker  type-checked strictly for a Worker
//   sh         every line starts a script, a preset or a file that exists, and names commands of the package that it has
//   json(c)    parses
// Any other word is text and is not looked at; a fence without a word is refused.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { root, toolEnv } from './paths.mjs'
import { readOptions } from './options.ts'

readOptions({})

const work = `${root}/build/docs`
rmSync(work, { recursive: true, force: true })
mkdirSync(work, { recursive: true })

const npmScripts = Object.keys(JSON.parse(readFileSync(`${root}/package.json`, 'utf8')).scripts)
const presets = JSON.parse(readFileSync(`${root}/CMakePresets.json`, 'utf8')).configurePresets.map(
  (preset) => preset.name,
)

const run = (file, ...args) => {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd: root, env: toolEnv, encoding: 'utf8' })
  return status === 0 ? '' : `${stdout}${stderr}` || `exit code ${status}`
}

const compilers = {
  cpp(text, name) {
    const file = `${work}/${name}.cpp`
    writeFileSync(file, text)
    const flags = ['-std=c++20', '-Wall', '-Wextra', '-Werror', `-I${root}/include`]
    if (!/\bint main\b/.test(text)) return run('g++', ...flags, '-fsyntax-only', file)
    const program = `${work}/${name}`
    return (
      run(
        'g++',
        ...flags,
        file,
        `${root}/build/gcc/liblatchkey.a`,
        `${root}/build/gcc/libsodium.a`,
        '-Wl,--gc-sections',
        '-o',
        program,
      ) || run(program)
    )
  },
  ts: (text, name) => typeCheck(text, name, { types: ['node'], lib: ['es2024', 'dom'] }),
  'ts worker': (text, name) =>
    typeCheck(text, name, {
      types: ['@cloudflare/workers-types'],
      lib: ['es2024'],
      customConditions: ['workerd'],
    }),
  sh: (text) =>
    text
      .split('\n')
      .map((line) => line.replace(/\s+#.*$/, '').trim())
      .filter((line) => line && !line.startsWith('#') && !isCommand(line))
      .map((line) => `no such command: ${line}\n`)
      .join(''),
  json: (text) => parses(text),
  jsonc: (text) => parses(text.replace(/^\s*\/\/.*$/gm, '')),
}

function typeCheck(text, name, options) {
  writeFileSync(`${work}/${name}.ts`, text)
  writeFileSync(
    `${work}/${name}.tsconfig.json`,
    JSON.stringify({
      extends: '../../tsconfig.base.json',
      compilerOptions: { noEmit: true, noUnusedLocals: false, noUnusedParameters: false, ...options },
      files: [`${name}.ts`],
    }),
  )
  return run('tsc', '-p', `${work}/${name}.tsconfig.json`)
}

// What the package's own command does, as its usage says.
const usage = readFileSync(`${root}/js-glue/src/cli.ts`, 'utf8').match(/usage: latchkey ([\w-]+)/)[1]

function isCommand(line) {
  const ours = line.match(/\bnpx latchkey ([\w-]+)/)
  if (ours && ours[1] !== usage) return false
  const words = line.replace(/^(?:[A-Z_]+=\S*\s+)+/, '').split(/\s+/)
  if (words[0] === 'npm') {
    const script = words[1] === 'run' ? words[2] : words[1]
    return npmScripts.includes(script) || ['install', 'ci', 'i'].includes(script)
  }
  if (words[0] === 'cmake')
    return words.slice(1).every((word, i, all) => all[i - 1] !== '--preset' || presets.includes(word))
  if (['export', 'git', 'cd', 'curl', 'openssl', 'node', 'npx', 'wrangler'].includes(words[0])) return true
  return existsSync(`${root}/${words[0]}`)
}

function parses(text) {
  try {
    JSON.parse(text)
    return ''
  } catch (error) {
    return error.message
  }
}

if (compilersNeedCore()) {
  const built =
    run('cmake', '--preset', 'gcc') || run('cmake', '--build', '--preset', 'gcc', '--target', 'latchkey')
  if (built) {
    console.log(`${built}\nnot ok the core does not build`)
    process.exit(1)
  }
}

function compilersNeedCore() {
  return blocks().some(({ word, text }) => word === 'cpp' && /\bint main\b/.test(text))
}

function blocks() {
  const found = []
  let open
  for (const [index, line] of readFileSync(`${root}/README.md`, 'utf8').split('\n').entries()) {
    const fence = line.match(/^```(.*)$/)
    if (!fence) open?.lines.push(line)
    else if (open) {
      found.push({ word: open.word, line: open.line, text: `${open.lines.join('\n')}\n` })
      open = undefined
    } else open = { word: fence[1].trim(), line: index + 1, lines: [] }
  }
  return found
}

for (const { word, line, text } of blocks()) {
  if (word !== '' && !compilers[word]) continue
  const trouble = word === '' ? 'a fence needs a word' : compilers[word](text, `line${line}`)
  if (trouble) {
    console.log(trouble)
    process.exitCode = 1
  }
  console.log(`${trouble ? 'not ok' : 'ok'} README.md line ${line} (${word})`)
}
