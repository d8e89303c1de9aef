/** What the global setup hands to the tests: addresses of its servers. */
import 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    issuer: string
    tokenServer: string
    github: string
    appKeys: readonly string[]
  }
}
