import { createHash } from 'node:crypto'
import { document, Group, repeated } from './common.ts'

const parse = new Group('repo.parse')
const hosts = [
  { provider: 'gitlab', host: 'git.example', base: '/gitlab' },
  { provider: 'git', host: '127.0.0.1:9000', plain: true },
]
const octo = {
  provider: 'github',
  host: 'github.com',
  owner: 'octo',
  name: 'hello',
  cloneUrl: 'https://github.com/octo/hello.git',
  user: 'x-access-token',
}
for (const text of [
  'https://github.com/Octo/Hello',
  'https://github.com/octo/hello.git/',
  'https://github.com/octo/hello/tree/main?a=b#c',
  'git@github.com:octo/hello.git',
  'ssh://git@github.com:22/octo/hello',
  'octo/hello',
]) {
  parse.good(text, 'T25: one canonical form.', { args: [text] }, octo)
}
parse.good(
  'gitlab',
  'Groups and a base path.',
  { args: ['https://git.example/gitlab/A/b/C.git', { hosts }] },
  {
    ...hosts[0],
    owner: 'a/b',
    name: 'c',
    cloneUrl: 'https://git.example/gitlab/a/b/c.git',
    user: 'oauth2',
  },
)
parse.good(
  'loopback',
  'http to this machine, where configured.',
  { args: ['http://127.0.0.1:9000/A/b', { hosts }] },
  {
    ...hosts[1],
    owner: 'A',
    name: 'b',
    cloneUrl: 'http://127.0.0.1:9000/A/b.git',
    user: 'oauth2',
  },
)
parse.good(
  'bitbucket',
  'A user name of its own.',
  { args: ['https://bitbucket.org/Octo/Hello/src/main'] },
  {
    provider: 'bitbucket',
    host: 'bitbucket.org',
    owner: 'octo',
    name: 'hello',
    cloneUrl: 'https://bitbucket.org/octo/hello.git',
    user: 'x-token-auth',
  },
)
for (const text of [
  'https://evilgithub.com/o/r',
  'https://x.com/github.com/o/r',
  'https://github.com.evil/o/r',
  'http://github.com/o/r',
]) {
  parse.bad(text, 'T25: another host.', { args: [text] }, 'repo_host_not_allowed')
}
for (const text of [
  '',
  'u:p@github.com/o/r',
  'https://u:p@github.com/o/r',
  'o/..',
  'evilgithub.com/o/r',
  'o/r/x',
  'https://github.com/o/r/../x',
  'https:///o/r',
  'https://github.com./o/r',
  'https://github.com/o%2fr',
  'https://github.com/o/r\n',
  'https://g\u00eethub.com/o/r',
]) {
  parse.bad(text === '' ? '(empty)' : text, 'T25: no reference.', { args: [text] }, 'repo_invalid')
}
parse.bad('long', 'Too long.', { args: [repeated('a', 1_025)] }, 'repo_invalid')

const check = new Group('upstream.check')
const { cloneUrl: _, user: __, ...place } = octo
const upload = 'https://github.com/octo/hello.git/git-upload-pack'
const allow = (name: string, method: string, url: string, right: string): void =>
  check.good(name, 'B6: on the list.', { args: [place, { method, url }] }, right)
const refuse = (name: string, comment: string, method: string, url: string, error: string): void =>
  check.bad(name, comment, { args: [place, { method, url }] }, error)
allow('refs', 'GET', 'https://github.com/octo/hello/info/refs?service=git-upload-pack', 'fetch')
allow('refs-push', 'GET', 'https://github.com/octo/hello/info/refs?service=git-receive-pack', 'push')
allow('fetch', 'POST', upload, 'fetch')
allow('push', 'POST', 'https://github.com/Octo/hello.git/git-receive-pack', 'push')
allow('lfs', 'POST', 'https://github.com/octo/hello.git/info/lfs/objects/batch', 'lfs')
allow('locks', 'POST', 'https://github.com/octo/hello.git/info/lfs/locks/verify', 'push')
allow('pull', 'GET', 'https://api.github.com/repos/octo/hello/pulls/1', 'read')
allow('comment', 'POST', 'https://api.github.com/repos/octo/hello/issues/1/comments', 'write')
refuse('method', 'B6: another method.', 'PUT', upload, 'upstream_request_invalid')
refuse('query', 'B6: no query.', 'POST', `${upload}?a=b`, 'upstream_request_invalid')
refuse('page', 'T26: no repository.', 'GET', 'https://github.com/login', 'upstream_request_invalid')
refuse(
  'boundary',
  'T26: a longer name.',
  'POST',
  'https://github.com/octo/hello-evil/git-upload-pack',
  'repository_mismatch',
)
refuse(
  'boundary-git',
  'T26: a longer ending.',
  'POST',
  'https://github.com/octo/hello.git-evil/git-upload-pack',
  'repository_mismatch',
)
refuse(
  'host',
  'T28: another host.',
  'POST',
  'https://evil.example/octo/hello.git/git-upload-pack',
  'upstream_host_not_allowed',
)
refuse('http', 'In the clear.', 'POST', upload.replace('https', 'http'), 'upstream_host_not_allowed')
refuse(
  'slash',
  'T27: an encoded slash.',
  'POST',
  'https://github.com/octo%2fhello/git-upload-pack',
  'upstream_url_invalid',
)
refuse(
  'dots',
  'T27: dot segments.',
  'POST',
  'https://github.com/evil/../octo/hello/git-upload-pack',
  'upstream_url_invalid',
)
refuse(
  'user',
  'T28: user info.',
  'POST',
  'https://a@github.com/octo/hello/git-upload-pack',
  'upstream_url_invalid',
)

const redirect = new Group('upstream.redirect')
const from = 'https://github.com/octo/hello/info/refs?service=git-upload-pack'
const to = 'https://github.com/octo/hello.git/info/refs?service=git-upload-pack'
const hop = (changes: object): unknown[] => [place, { method: 'GET', from, to, hop: 1, ...changes }]
redirect.good('same', 'T72: within the origin, the repository and the right.', { args: hop({}) }, 'fetch')
redirect.bad('sixth', 'T72: at most five.', { args: hop({ hop: 6 }) }, 'upstream_host_not_allowed')
redirect.bad(
  'right',
  'Another right.',
  { args: hop({ to: to.replace('upload', 'receive') }) },
  'upstream_request_invalid',
)
redirect.bad(
  'renamed',
  'Another repository.',
  { args: hop({ to: to.replace('hello', 'other') }) },
  'repository_mismatch',
)

const lfs = new Group('upstream.lfsRight')
for (const [id, comment, body, right] of [
  ['download', 'A plain download.', '{"operation":"download","objects":[]}', 'fetch'],
  ['upload', 'An upload.', '{"operation":"upload","objects":[]}', 'push'],
  ['unknown', 'Anything else.', '{"operation":"Download"}', 'push'],
  ['twice', 'Said twice.', '{"operation":"download","operation":"upload"}', 'push'],
  ['none', 'Not said.', '{}', 'push'],
  ['array', 'No object.', '["download"]', 'push'],
  ['cut', 'Cut off.', '{"operation":"download"', 'push'],
  ['empty', 'Nothing.', '', 'push'],
] as const)
  lfs.good(id, `B6: ${comment}`, { body }, right)

const name = new Group('guard.name')
for (const text of ['1700000000.123456', 'A_b-c.d']) name.good(text, 'T38: a name.', { args: [text] }, text)
for (const text of ['..', 'a/../b', '.', '\0', ' ', '', 'a:b']) {
  name.bad(JSON.stringify(text), 'T38: no name.', { args: [text] }, 'name_invalid')
}
name.bad('101-characters', 'T38: too long.', { args: [repeated('a', 101)] }, 'name_invalid')

const key = new Group('guard.key')
const sha = (...parts: readonly (Buffer | string)[]): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
for (const parts of [[], ['a', 'b'], ['ab'], ['ab', ''], ['a.b@x'], ['a_b@x']]) {
  const link = parts.reduce((before, part) => sha(before, sha(part)), sha('latchkey/key/1'))
  key.good(
    JSON.stringify(parts),
    'T13: no two lists share one.',
    { args: [parts] },
    link.toString('hex').slice(0, 32),
  )
}

export default document(
  'Which repository, and where its credential may go.',
  parse,
  check,
  redirect,
  lfs,
  name,
  key,
)
