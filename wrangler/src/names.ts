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

export const claimName = (baseUrl: string, provider: string, accountId: string): string =>
  name('account', baseUrl, provider, accountId)

/** A session of messages. Whose it is is part of its name: nobody reaches another's by its id. */
export interface SessionKey {
  readonly owner: Owner
  readonly id: string
}

export const sessionName = (baseUrl: string, { owner, id }: SessionKey): string =>
  name('session', baseUrl, owner.kind, owner.id, id)

/** What `sessionName` made the name of. */
export function sessionKeyOf(text: string): SessionKey {
  const [, , kind, ownerId = '', id = ''] = JSON.parse(text) as string[]
  return { owner: { kind: kind === 'org' ? 'org' : 'user', id: ownerId }, id }
}

export interface SessionIndexKey {
  readonly baseUrl: string
  readonly owner: Owner
}

export const sessionIndexName = (baseUrl: string, owner: Owner): string =>
  name('sessions', baseUrl, owner.kind, owner.id)

/** What `sessionIndexName` made the name of. */
export function sessionIndexKeyOf(text: string): SessionIndexKey {
  const [, baseUrl = '', kind, id = ''] = JSON.parse(text) as string[]
  return { baseUrl, owner: { kind: kind === 'org' ? 'org' : 'user', id } }
}
