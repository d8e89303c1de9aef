/** What a route is. Each area lists its own; `routes.ts` puts them together. */
import type { App } from './app.ts'
import { Refusal } from './refusal.ts'

export interface Call {
  readonly app: App
  readonly request: Request
  readonly url: URL
  /** What the path's groups matched, as it stands there. */
  readonly parts: readonly string[]
}

export type Handler = (call: Call) => Response | Promise<Response>
export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export type Methods = { readonly [method in Method]?: Handler }
export type Route = readonly [path: RegExp, methods: Methods]

/** What only reads answers HEAD as well; what starts or ends a flow does not. */
export const reads = (handler: Handler): Methods => ({ GET: handler, HEAD: handler })

/** One part of a path without its percent-encoding. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new Refusal('request_invalid')
  }
}
