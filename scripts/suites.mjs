// The suites of `npm test`, in order. To add one, add a row: a name and its steps. A step without `count` prepares
// (building, say) and counts only when it fails; `count` names a reader of scripts/count.mjs. `{report}` in a
// command is the file that this reader reads.

const cmake = (preset, ...targets) => ({
  name: `build ${preset}`,
  command: [
    'bash',
    '-c',
    `cmake --preset ${preset} && cmake --build --preset ${preset} ${targets.map((target) => `--target ${target}`).join(' ')}`,
  ],
})

const check = (name, ...command) => ({ name, command, count: 'one' })

const catch2 = (preset) => ({
  name: 'Catch2',
  command: [
    `build/${preset}/tests/latchkey_tests`,
    '--reporter',
    'console',
    '--reporter',
    'xml::out={report}',
    '--order',
    'rand',
    '--warn',
    'NoAssertions',
  ],
  count: 'catch2',
})

const nodeTest = (name, ...patterns) => ({
  name,
  command: [
    'node',
    '--test',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    '--test-reporter-destination={report}',
    ...patterns,
  ],
  count: 'node',
})

const vitest = (name, folder) => ({
  name,
  command: [
    'vitest',
    'run',
    '--root',
    folder,
    '--reporter=default',
    '--reporter=json',
    '--outputFile.json={report}',
  ],
  count: 'vitest',
})

export const suites = [
  { name: 'native-dev', steps: [cmake('dev'), catch2('dev')] },
  { name: 'native-clang', steps: [cmake('clang'), catch2('clang')] },
  {
    name: 'wasm',
    steps: [
      check('build, wasm/abi.json is fresh, modules hold what it says', 'scripts/build', '--check'),
      check('two builds are byte-equal', 'scripts/check-reproducible'),
    ],
  },
  {
    name: 'check',
    steps: [
      check('format', 'node', 'scripts/format.mjs', '--check'),
      check('types', 'node', 'scripts/check-types.mjs'),
      check('clang-tidy', 'bash', '-c', 'cmake --preset tidy && cmake --build --preset tidy'),
    ],
  },
  { name: 'glue', steps: [nodeTest('node', 'js-glue/test/*.test.ts')] },
  { name: 'worker', steps: [vitest('workerd', 'wrangler')] },
  { name: 'e2e', steps: [nodeTest('Chromium', 'tests/e2e/*.test.ts')] },
  { name: 'docs', steps: [{ name: 'README', command: ['node', 'scripts/check-docs.mjs'], count: 'lines' }] },
  {
    name: 'pack',
    steps: [{ name: 'npm pack', command: ['node', 'scripts/check-pack.mjs'], count: 'lines' }],
  },
  {
    name: 'fuzz',
    steps: [{ name: 'libFuzzer', command: ['node', 'scripts/fuzz.mjs', '--seconds', '5'], count: 'lines' }],
  },
]
