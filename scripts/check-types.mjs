// Runs the TypeScript compiler over every folder that has a tsconfig.json of its own.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { root, toolEnv } from './paths.mjs'
import { readOptions } from './options.ts'

readOptions({})

const projects = globSync(
  '{js-glue,wrangler,bench,tests,bench/*,tests/*,tests/*/*,wrangler/*,js-glue/*}/tsconfig.json',
  {
    cwd: root,
  },
).sort()
const failed = projects.filter((project) => {
  console.log(`tsc -p ${project}`)
  return (
    spawnSync('tsc', ['-p', project, '--noEmit'], { cwd: root, env: toolEnv, stdio: 'inherit' }).status !== 0
  )
})
process.exit(projects.length > 0 && failed.length === 0 ? 0 : 1)
