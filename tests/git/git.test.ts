/** git itself, through the Worker, as a new user would try it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { run, Workspace } from './client.ts'
import { startGitStage, type GitStage } from './stage.ts'

let stage!: GitStage
before(async () => {
  stage = await startGitStage('github')
  await stage.connect('ada')
  await stage.upstream.create('ada/one')
  await stage.upstream.create('ada/two')
})
after(() => stage?.close())

const both = { can: ['fetch', 'push'] }
const repo = (path: string): string => `${stage.upstream.address}/${path}`

test('clone, push, fetch, shallow clone', async () => {
  const { capability, remote } = await stage.mint('ada', { repo: repo('ada/one'), ...both })
  assert.equal(remote, `${stage.address}/git/github/ada/one.git`)
  const one = await stage.workspace('one', capability)
  await one.must(['clone', '-q', remote, 'work'])
  for (let n = 0; n < 3; n += 1) {
    await one.write('work/file', `line ${n}\n`)
    await one.must(['-C', 'work', 'add', '.'])
    await one.must(['-C', 'work', 'commit', '-qm', `commit ${n}`])
  }
  await one.must(['-C', 'work', 'push', '-q', 'origin', 'main'])
  const two = await stage.workspace('two', capability)
  await two.must(['clone', '-q', remote, 'work'])
  assert.equal(await two.read('work/file'), 'line 2\n')
  await one.write('work/file', 'another\n')
  await one.must(['-C', 'work', 'commit', '-qam', 'another'])
  await one.must(['-C', 'work', 'push', '-q'])
  await two.must(['-C', 'work', 'pull', '-q', '--ff-only'])
  assert.equal(await two.read('work/file'), 'another\n')
  await two.must(['clone', '-q', '--depth', '1', remote, 'shallow'])
  assert.equal((await two.must(['-C', 'shallow', 'rev-list', '--count', 'HEAD'])).trim(), '1')
  await two.must(['-C', 'shallow', 'fetch', '-q', '--unshallow'])
  assert.equal((await two.must(['-C', 'shallow', 'rev-list', '--count', 'HEAD'])).trim(), '4')
})
