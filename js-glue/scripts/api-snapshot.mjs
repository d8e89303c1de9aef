// Writes js-glue/api.snapshot.d.ts: every type that the package ships, so that a change of the public surface is seen
// in review. Needs a fresh js-glue/dist.
//   node js-glue/scripts/api-snapshot.mjs          writes
//   node js-glue/scripts/api-snapshot.mjs --check  fails when the committed one is stale
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { format, resolveConfig } from 'prettier'

const folder = fileURLToPath(new URL('..', import.meta.url))
const target = join(folder, 'api.snapshot.d.ts')

/** The declarations that `package.json` leads to, without their comments. */
export async function snapshot() {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const seen = new Set()
  const visit = (path) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const [, to] of readFileSync(path, 'utf8').matchAll(/from '(\.[^']+)\.[jt]s'/g)) {
      visit(join(dirname(path), `${to}.d.ts`))
    }
  }
  // Either the same for every condition, or one below each.
  const typesOf = (entry) => {
    if (typeof entry === 'string') return []
    return entry.types ? [entry.types] : Object.values(entry).flatMap(typesOf)
  }
  for (const types of Object.values(exports).flatMap(typesOf)) visit(join(folder, types))

  const parts = []
  for (const path of [...seen].sort()) {
    const name = relative(folder, path)
    const text = path.endsWith('abi.gen.d.ts') ? await codes(path) : readFileSync(path, 'utf8')
    parts.push(`// ${name}\n${text.replaceAll(/\/\*\*[\s\S]*?\*\/\n?/g, '').trim()}\n`)
  }
  return format(parts.join('\n'), { ...(await resolveConfig(target)), filepath: target })
}

/** Of the generated tables only what the types are made of. */
async function codes(path) {
  const { abi } = await import(pathToFileURL(path.replace(/\.d\.ts$/, '.js')).href)
  const list = (rows) => rows.map(({ number, name }) => `// ${number} ${name}`).join('\n')
  const enums = Object.entries(abi.enums).map(([name, values]) => `// ${name}: ${values.join(' ')}`)
  return `// ABI ${abi.version}; codes:\n${list(abi.codes)}\n// public codes:\n${list(abi.publicCodes)}\n${enums.join('\n')}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await snapshot()
  if (!process.argv.includes('--check')) writeFileSync(target, text)
  else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    console.error('js-glue/api.snapshot.d.ts is stale; type: node js-glue/scripts/api-snapshot.mjs')
    process.exit(1)
  }
}
