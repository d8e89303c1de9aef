// What somebody gets who installs the package: exactly these files, and they work in an empty folder.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'node_modules/.bin')
const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, NO_COLOR: '1' }

const modules = [
  'abi.gen',
  'admission',
  'admission-types',
  'answers',
  'classify',
  'cli',
  'config',
  'connection',
  'connection-provider',
  'connection-record',
  'connection-run',
  'connection-shared',
  'connection-types',
  'decisions',
  'errors',
  'git-credential',
  'index',
  'index.browser',
  'index.node',
  'index.workerd',
  'keys',
  'latchkey',
  'module',
  'redact',
  'refresh',
  'refresh-types',
  'retention',
  'retention-types',
  'runs',
  'runs-types',
  'scope',
  'scope-types',
  'sign',
  'sign.browser',
  'sign.node',
  'sign.workerd',
  'state',
  'stores/d1',
  'stores/kv',
  'stores/postgres',
  'stores/sqlite',
  'stores/table',
  'types',
  'verify',
  'verify.browser',
  'verify.node',
  'verify.workerd',
  'webhook',
]
const intended = [
  'NOTICE.md',
  'README.md',
  ...(existsSync(join(root, 'LICENSE')) ? ['LICENSE'] : []),
  'package.json',
  'wasm/latchkey-sign.wasm',
  'wasm/latchkey-verify.wasm',
  'wasm/latchkey.wasm',
  ...modules.flatMap((name) => [`dist/${name}.d.ts`, `dist/${name}.js`]),
].sort()

const work = mkdtempSync(join(tmpdir(), 'latchkey-pack-'))
after(() => rmSync(work, { recursive: true, force: true }))

function run(cwd: string, file: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, env, encoding: 'utf8' })
  assert.equal(status, 0, `${file} ${args.join(' ')}\n${stdout}\n${stderr}\n${error ?? ''}`)
  return stdout
}

interface Packed {
  filename: string
  size: number
  unpackedSize: number
  files: { path: string; mode: number }[]
}

describe('npm pack', () => {
  const user = join(work, 'user')
  const installed = join(user, 'node_modules/latchkey')
  let packed!: Packed
  let tarball!: string

  before(() => {
    const [first] = JSON.parse(
      run(join(root, 'js-glue'), 'npm', 'pack', '--json', '--silent', '--pack-destination', work),
    ) as Packed[]
    packed = first!
    tarball = join(work, packed.filename)
    mkdirSync(user)
    writeFileSync(join(user, 'package.json'), '{ "private": true, "type": "module" }')
    run(
      user,
      'npm',
      'install',
      '--offline',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--silent',
      tarball,
    )
  })

  it('yields exactly the intended files', (t) => {
    assert.deepEqual(packed.files.map(({ path }) => path).sort(), intended)
    assert.deepEqual(
      readdirSync(installed).sort(),
      [...new Set(intended.map((path) => path.split('/')[0]))].sort(),
    )
    t.diagnostic(`${packed.size} bytes packed, ${packed.unpackedSize} unpacked, ${packed.files.length} files`)
    for (const path of intended.filter((path) => path.endsWith('.wasm'))) {
      const bytes = readFileSync(join(installed, path))
      t.diagnostic(`${path}: ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} with gzip`)
    }
    const script = Buffer.concat(
      intended.filter((path) => path.endsWith('.js')).map((path) => readFileSync(join(installed, path))),
    )
    t.diagnostic(`all JavaScript: ${script.length} bytes, ${gzipSync(script, { level: 9 }).length} with gzip`)
  })

  it('of what the source compiles to now', () => {
    const fresh = join(work, 'fresh')
    run(root, 'tsc', '-p', 'js-glue', '--outDir', fresh)
    for (const path of intended.filter((path) => path.startsWith('dist/'))) {
      const made = readFileSync(join(fresh, path.slice('dist/'.length)), 'utf8')
      assert.equal(readFileSync(join(installed, path), 'utf8'), made, `${path} is stale; type: scripts/build`)
    }
  })

  it('and publint finds nothing', () => {
    run(root, 'publint', 'run', tarball, '--strict')
  })

  it('no dependency, no script, no map, nobody else’s source, no path of the machine that built it', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<
      string,
      unknown
    >
    assert.deepEqual(manifest['bin'], { latchkey: 'dist/cli.js' })
    for (const field of ['dependencies', 'peerDependencies', 'optionalDependencies', 'bundleDependencies']) {
      assert.equal(manifest[field], undefined, field)
    }
    for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
      assert.equal((manifest['scripts'] as Record<string, string> | undefined)?.[hook], undefined, hook)
    }
    for (const path of intended) {
      const text = readFileSync(join(installed, path), 'latin1')
      assert.ok(!text.includes(root) && !text.includes(work), path)
      assert.doesNotMatch(text, /sourceMappingURL|\/home\/|\/root\/|\/usr\/(?:include|lib)\//, path)
      if (!/\.(?:js|d\.ts)$/.test(path)) continue
      assert.doesNotMatch(text, /copyright|licen[sc]e|@preserve/i, path)
      for (const [, from] of text.matchAll(/(?:from|import)\s*\(?'([^']+)'/g)) {
        // `runs` loads the package itself, as its exports say for whoever runs it.
        if (path === 'dist/runs.js' && from === 'latchkey') continue
        assert.match(
          from!,
          path.endsWith('.d.ts') ? /^\.\.?\/.+\.ts$/ : /^(?:\.\.?\/.+\.(?:js|wasm)|node:fs\/promises)$/,
          path,
        )
      }
      if (/\.(?:browser|workerd)\.js$/.test(path)) assert.ok(!text.includes('node:'), path)
    }
  })

  it('the program of the README runs in an empty folder', () => {
    const [, program] = readFileSync(join(installed, 'README.md'), 'utf8').match(/```js\n([\s\S]*?)```/)!
    writeFileSync(join(user, 'readme.js'), program!)
    assert.equal(run(user, process.execPath, 'readme.js'), 'S256 true\n/connections 43\nalex\n')
  })

  it('the command runs, and says nothing where it has nothing', () => {
    assert.equal(run(user, 'npx', '--offline', 'latchkey', 'git-credential', 'get'), '')
  })

  it('every entry leads somewhere, and to nothing unintended', () => {
    const entries = {
      '.': ['LatchkeyError', 'load', 'makeLatchkey', 'publicCode'],
      './connection': ['Connection'],
      './sign': ['LatchkeyError', 'loadSigner', 'makeSigner', 'publicCode'],
      './stores/d1': ['contract', 'd1Store', 'schema'],
      './stores/kv': ['contract'],
      './stores/postgres': ['contract', 'postgresStore', 'schema'],
      './stores/sqlite': ['contract', 'schema', 'sqliteStore'],
      './verify': ['LatchkeyError', 'loadVerifier', 'makeVerifier', 'publicCode', 'skipBinding'],
    }
    for (const [entry, names] of Object.entries(entries)) {
      const program = `console.log(Object.keys(await import(${JSON.stringify(`latchkey${entry.slice(1)}`)})).sort().join())`
      assert.equal(run(user, process.execPath, '--input-type=module', '-e', program).trim(), names.join())
      run(user, process.execPath, '-e', `require(${JSON.stringify(`latchkey${entry.slice(1)}`)})`)
    }
    const refused = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', "await import('latchkey/dist/keys.js')"],
      { cwd: user, env },
    )
    assert.notEqual(refused.status, 0)
    run(user, process.execPath, '--input-type=module', '-e', "import.meta.resolve('latchkey/latchkey.wasm')")
  })

  it('the types hold for every condition, without help from other types', () => {
    cpSync(new URL('types/contract.ts', import.meta.url), join(user, 'contract.ts'))
    for (const [moduleResolution, module, ...customConditions] of [
      ['nodenext', 'nodenext'],
      ['bundler', 'preserve', 'browser'],
      ['bundler', 'preserve', 'workerd'],
    ]) {
      const compilerOptions = {
        module,
        moduleResolution,
        customConditions,
        target: 'es2022',
        lib: ['es2022', 'dom', 'dom.iterable'],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      }
      writeFileSync(join(user, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['contract.ts'] }))
      run(user, join(bin, 'tsc'), '-p', '.')
    }
  })
})
