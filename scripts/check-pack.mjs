// What somebody gets who installs the package: exactly the intended files, and they work in an empty folder.
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { root, toolEnv } from './paths.mjs'

// Every source file gives a module and its types; declarations of the source are not shipped by themselves.
const sources = globSync('js-glue/src/*.ts', { cwd: root })
  .map((path) => basename(path, '.ts'))
  .filter((name) => !name.endsWith('.d'))
const intended = [
  'package.json',
  'wasm/latchkey.wasm',
  'wasm/latchkey-verify.wasm',
  ...sources.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
]
// npm adds these by itself when they are there.
const allowed = ['README.md', 'LICENSE']

const user = `
import { load, LatchkeyError } from 'latchkey'
import { loadVerifier } from 'latchkey/verify'
import { randomBytes } from 'node:crypto'

const lk = await load()
const ring = lk.keys.parse(lk.keys.generate('first', randomBytes(32)))
const now = Date.now()
const about = { issuer: 'https://app.example', audience: 'https://app.example/callback/git', flow: 'connect', provider: 'git', subject: 'alex' }
const { token } = lk.state.issue(ring, { ...about, alg: 'EdDSA', owner: { kind: 'user', id: 'alex' } }, { now, entropy: randomBytes(32) })
if (lk.state.verify(ring, token, { ...about, now }).subject !== 'alex') throw new Error('the state says something else')
try {
  lk.state.verify(ring, token, { ...about, now: now + 700_000 })
  throw new Error('an expired state was accepted')
} catch (error) {
  if (!(error instanceof LatchkeyError) || error.code !== 'state_expired') throw error
}
const verifier = await loadVerifier()
if (!verifier.state.verify(lk.keys.publicJwks(ring), token, { ...about, now })) throw new Error('the verifier refused it')
`

let failed = false
const report = (good, text) => {
  failed ||= !good
  console.log(`${good ? 'ok' : 'not ok'} ${text}`)
}

const work = mkdtempSync(join(tmpdir(), 'latchkey-pack-'))
try {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--silent', '-w', 'latchkey', '--pack-destination', work], {
      cwd: root,
      env: toolEnv,
      encoding: 'utf8',
    }),
  )
  const files = packed.files.map((file) => file.path)
  const missing = intended.filter((path) => !files.includes(path))
  const extra = files.filter((path) => !intended.includes(path) && !allowed.includes(path))
  report(
    missing.length + extra.length === 0,
    `${files.length} files; missing: ${missing.join(' ') || 'none'}; extra: ${extra.join(' ') || 'none'}`,
  )

  const lint = spawnSync('publint', ['run', join(work, packed.filename), '--strict'], {
    cwd: root,
    env: toolEnv,
    encoding: 'utf8',
  })
  if (lint.status !== 0) console.log(lint.stdout + lint.stderr)
  report(lint.status === 0, 'publint finds nothing')

  const folder = join(work, 'empty')
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  writeFileSync(join(folder, 'user.js'), user)
  const run = (file, ...args) => spawnSync(file, args, { cwd: folder, env: toolEnv, encoding: 'utf8' })
  const installed = run(
    'npm',
    'install',
    '--offline',
    '--no-audit',
    '--no-fund',
    '--silent',
    join(work, packed.filename),
  )
  const ran = installed.status === 0 ? run('node', 'user.js') : installed
  if (ran.status !== 0) console.log(ran.stdout + ran.stderr)
  report(ran.status === 0, 'installs and runs in an empty folder')
} finally {
  rmSync(work, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0
