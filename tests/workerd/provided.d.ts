import type { Traces } from '../js/traces.ts'
import type { Document } from '../vectors/format.ts'

declare module 'vitest' {
  interface ProvidedContext {
    documents: Document[]
    digest: string
    choices: [name: string, bytes: number[]][]
    traces: Traces[]
  }
}
