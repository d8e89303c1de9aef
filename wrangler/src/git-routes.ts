import { git } from './git.ts'
import type { Call, Methods, Route } from './route.ts'

/** Any method: the core says which request is one. */
const any: Methods = { GET: proxy, HEAD: proxy, POST: proxy, PUT: proxy, PATCH: proxy, DELETE: proxy }

/** A repository ends at the first `.git`: none has one within. */
export const gitPath = /^\/git\/([^/]+)\/(.+?)\.git\/(.+)$/

export const gitRoutes: readonly Route[] = [[gitPath, any]]

function proxy({ app, request, url, parts: [provider = '', path = '', tail = ''] }: Call): Promise<Response> {
  return git(app, { provider, path, tail, request, search: url.search })
}
