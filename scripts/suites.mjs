// The suites of `npm test`, in order. To add one, add a row: a name and its steps.
//   name     shown while the step runs
//   command  `{report}` in it is the file that the reader of its results reads
//   count    a reader of scripts/count.mjs; a step without one prepares (builds, say) and counts only when it fails
//   once     run once for all suites of a run

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

const vitest = (name, folder, config = 'vitest.config.ts') => ({
  name,
  command: [
    'vitest',
    'run',
    '--root',
    folder,
    '--config',
    config,
    '--reporter=default',
    '--reporter=json',
    '--outputFile.json={report}',
  ],
  count: 'vitest',
})

// Both modules and the package, as they are committed: stale generated files stop everything that needs them.
const built = { name: 'build', command: ['scripts/build', '--check'], once: true }

// The simulator natively and as a module, to be held against each other.
const simulators = [
  cmake('clang', 'latchkey_sim'),
  { ...cmake('wasi', 'latchkey_sim_module'), name: 'build the simulator as a module' },
]

export const suites = [
  {
    name: 'wasm',
    steps: [
      built,
      check('wasm/abi.json and abi.gen.ts are fresh', 'node', 'scripts/gen-abi.mjs', '--check'),
      check('the modules hold what wasm/abi.json says', 'node', 'scripts/check-wasm.mjs'),
      check('two builds are byte-equal', 'scripts/check-reproducible'),
    ],
  },
  { name: 'native-dev', steps: [cmake('dev'), catch2('dev')] },
  { name: 'native-clang', steps: [cmake('clang'), catch2('clang')] },
  {
    name: 'sim',
    steps: [
      cmake('clang', 'latchkey_explore', 'latchkey_sim'),
      check('every state of a small world', 'build/clang/tests/latchkey_explore'),
      check('bugs planted there are found', 'build/clang/tests/latchkey_explore', '--plants'),
      check(
        '100,000 seeds and the scenarios',
        'build/clang/tests/sim/latchkey_sim',
        '--seeds',
        '100000',
        '--scenarios',
      ),
      check('historical bugs are found', 'build/clang/tests/sim/latchkey_sim', '--bugs'),
      check('docs/refresh-protocol.md is fresh', 'node', 'scripts/gen-refresh-docs.mjs', '--check'),
    ],
  },
  {
    name: 'sim-retention',
    steps: [
      cmake('clang', 'latchkey_retention'),
      check('retention in 400 worlds', 'build/clang/tests/sim/latchkey_retention', '--seeds', '400'),
      check('bugs planted there are found', 'build/clang/tests/sim/latchkey_retention', '--bugs'),
      check(
        'planning is linear from 10^4 to 10^6 rows',
        'build/clang/tests/sim/latchkey_retention',
        '--bench',
      ),
    ],
  },
  { name: 'sim-node', steps: [...simulators, nodeTest('Node', 'tests/js/traces.node.test.ts')] },
  { name: 'sim-workerd', steps: [...simulators, vitest('workerd', 'tests/workerd', 'traces.config.ts')] },
  { name: 'sim-chromium', steps: [...simulators, nodeTest('Chromium', 'tests/js/traces.chromium.test.ts')] },
  { name: 'glue', steps: [built, nodeTest('Node', 'js-glue/test/*.test.ts', 'bench/*.test.ts')] },
  { name: 'vectors-node', steps: [built, nodeTest('Node', 'tests/js/vectors.node.test.ts')] },
  { name: 'vectors-workerd', steps: [built, vitest('workerd', 'tests/workerd')] },
  { name: 'vectors-chromium', steps: [built, nodeTest('Chromium', 'tests/js/vectors.chromium.test.ts')] },
  { name: 'stores-workerd', steps: [built, vitest('workerd', 'tests/stores/workerd')] },
  { name: 'stores-postgres', steps: [built, nodeTest('PostgreSQL', 'tests/stores/postgres.test.ts')] },
  { name: 'worker', steps: [built, vitest('workerd', 'wrangler')] },
  { name: 'servers', steps: [nodeTest('Node', 'tests/servers/*.test.ts')] },
  { name: 'git', steps: [built, nodeTest('Node', 'tests/git/*.test.ts')] },
  { name: 'load', steps: [built, nodeTest('Node', 'tests/load/*.test.ts')] },
  { name: 'runs', steps: [built, nodeTest('Node', 'tests/runs/*.test.ts')] },
  { name: 'e2e', steps: [built, nodeTest('Chromium', 'tests/e2e/*.test.ts')] },
  {
    name: 'docs',
    steps: [built, { name: 'README', command: ['node', 'scripts/check-docs.mjs'], count: 'lines' }],
  },
  {
    name: 'fuzz',
    steps: [
      {
        name: 'libFuzzer',
        command: ['node', 'scripts/fuzz.mjs', '--seconds', '5', '--seed', '1'],
        count: 'lines',
      },
    ],
  },
  {
    name: 'check',
    steps: [
      built,
      check('format', 'node', 'scripts/format.mjs', '--check'),
      check('types', 'node', 'scripts/check-types.mjs'),
      check('clang-tidy', 'bash', '-c', 'cmake --preset tidy && cmake --build --preset tidy'),
    ],
  },
]
