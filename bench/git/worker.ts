/** What the git proxy is measured beside: a Worker that only puts a header on; and the decisions alone. */
import { loadSync } from 'latchkey'

interface Env {
  readonly UPSTREAM: string
  readonly AUTHORIZATION: string
}

const lk = loadSync()

export default {
  fetch(request, env): Response | Promise<Response> {
    const { pathname, search, searchParams } = new URL(request.url)
    if (pathname === '/decide') return decide(Number(searchParams.get('n')))
    const headers = new Headers(request.headers)
    headers.set('authorization', env.AUTHORIZATION)
    const { method, body } = request
    return fetch(`${env.UPSTREAM}${pathname}${search}`, { method, headers, body, redirect: 'manual' })
  },
} satisfies ExportedHandler<Env>

/** So many references read, and as many requests held against them. */
function decide(n: number): Response {
  const url = 'https://github.com/octo-org/some-repository.git/info/refs?service=git-upload-pack'
  let right = ''
  for (let i = 0; i < n; i += 1) {
    const repo = lk.repo.parse('https://github.com/octo-org/some-repository.git')
    right = lk.upstream.check(repo, { method: 'GET', url })
  }
  return new Response(right)
}
