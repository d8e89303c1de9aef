/** What `cloudflare:workers` exports of the Worker under test. */
declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import('../../wrangler/src/worker.ts')
    durableNamespaces: 'Vault' | 'AccountClaim' | 'Session' | 'OwnerIndex'
  }
}
