// Runs every fuzz target from its kept inputs (tests/corpus/<name>), with the sanitizers.
//   npm run fuzz -- --seconds 60         each target for 60 seconds
//   npm run fuzz -- --seconds 60 json    only `json`
//   npm run fuzz -- --seed 1             the same inputs again, as far as the seconds reach
// What libFuzzer finds new stays in build/fuzz/corpus; an input that breaks something in build/fuzz/findings.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { readOptions } from './options.ts'
import { root, toolEnv } from './paths.mjs'

const { values, positionals } = readOptions(
  { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '0' } },
  { names: true },
)
const seconds = Number(values.seconds)
if (!Number.isInteger(seconds) || seconds < 1)
  stop(`--seconds takes a whole number from 1 up, not ${values.seconds}`)

if (!/^\d{1,9}$/.test(values.seed))
  stop(`--seed takes a whole number, 0 for one at random, not ${values.seed}`)

const run = (file, args, stdio) => spawnSync(file, args, { cwd: root, env: toolEnv, stdio, encoding: 'utf8' })

const all = readdirSync(`${root}/tests/fuzz`)
  .filter((file) => file.endsWith('.cpp') && file !== 'replay.cpp')
  .map((file) => file.slice(0, -'.cpp'.length))
const unknown = positionals.filter((name) => !all.includes(name))
if (unknown.length > 0) stop(`no fuzz target is called ${unknown.join(', ')}; there are: ${all.join(' ')}`)

for (const step of [['--preset'], ['--build', '--preset']]) {
  const built = run('cmake', [...step, 'fuzz'], 'pipe')
  if (built.status !== 0) stop(built.stdout + built.stderr)
}

const bin = `${root}/build/fuzz/tests`
let failed = false
for (const name of positionals.length > 0 ? positionals : all) {
  const found = `${root}/build/fuzz/corpus/${name}`
  const findings = `${root}/build/fuzz/findings/${name}/`
  const kept = `${root}/tests/corpus/${name}`
  const dictionary = `${root}/tests/fuzz/${name}.dict`
  for (const folder of [found, findings]) mkdirSync(folder, { recursive: true })
  const fuzzed = run(
    `${bin}/fuzz_${name}`,
    [
      `-max_total_time=${seconds}`,
      `-seed=${values.seed}`,
      '-timeout=10',
      '-rss_limit_mb=2048',
      '-print_final_stats=1',
      '-verbosity=0',
      `-artifact_prefix=${findings}`,
      ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
      found,
      ...(existsSync(kept) ? [kept] : []),
    ],
    'pipe',
  )
  const runs = fuzzed.stderr.match(/number_of_executed_units:\s*(\d+)/)?.[1] ?? '0'
  const good = fuzzed.status === 0 && Number(runs) > 0
  if (!good) console.log(fuzzed.stderr)
  failed ||= !good
  console.log(`${good ? 'ok' : 'not ok'} ${name}: ${runs} inputs in ${seconds} s`)
}
process.exit(failed ? 1 : 0)

function stop(text) {
  console.error(text)
  process.exit(2)
}
