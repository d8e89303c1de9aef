import type { Owner } from 'latchkey'

/** Which connection is meant. One Durable Object per such key. */
export interface ConnectionKey {
  readonly owner: Owner
  readonly provider: string
}

/** JSON text of an array is injective: no two lists of texts give the same name. */
const name = (...parts: readonly string[]): string => JSON.stringify(parts)

export const vaultName = (baseUrl: string, { owner, provider }: ConnectionKey): string =>
  name('vault', baseUrl, owner.kind, owner.id, provider)

/** What `vaultName` made the name of. */
export function connectionKeyOf(text: string): ConnectionKey {
  const [, , kind, id = '', provider = ''] = JSON.parse(text) as string[]
  return { owner: { kind: kind === 'org' ? 'org' : 'user', id }, provider }
}

/** By the hash of its token. */
export const linkName = (baseUrl: string, id: string): string => name('link', baseUrl, id)

/** What `claimName` made the name of. */
export function accountOf(text: string): { readonly provider: string; readonly accountId: string } {
  const [, , provider = '', accountId = ''] = JSON.parse(text) as string[]
  return { provider, accountId }
}

export const claimName = (baseUrl: string, provider: string, accountId: string): string =>
  name('account', baseUrl, provider, accountId)
