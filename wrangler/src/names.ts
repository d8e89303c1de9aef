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

/** One Durable Object per owner and thread. */
export const threadName = (baseUrl: string, { kind, id }: Owner, thread: string): string =>
  name('thread', baseUrl, kind, id, thread)

/** Which run is meant: the object that holds its log, and a random part that nobody can guess. */
export interface RunKey {
  /** Of the Durable Object, 64 hexadecimal digits. */
  readonly object: string
  readonly nonce: string
}

const objectSize = 32
const nonceSize = 16
const plain = { alphabet: 'base64url', omitPadding: true } as const

/** 64 characters: the runtime's own id of the object (which says nothing of its owner), then the random part. */
export function runId({ object, nonce }: RunKey): string {
  const bytes = new Uint8Array(objectSize + nonceSize)
  bytes.set(Uint8Array.fromHex(object))
  bytes.set(Uint8Array.fromBase64(nonce, { alphabet: 'base64url' }), objectSize)
  return bytes.toBase64(plain)
}

/** What `runId` made the id of; nothing for any other text. */
export function runKeyOf(text: string): RunKey | undefined {
  if (!/^[\w-]{64}$/.test(text)) return undefined
  const bytes = Uint8Array.fromBase64(text, { alphabet: 'base64url' })
  return { object: bytes.subarray(0, objectSize).toHex(), nonce: bytes.subarray(objectSize).toBase64(plain) }
}

export const newNonce = (): string => crypto.getRandomValues(new Uint8Array(nonceSize)).toBase64(plain)

/** By the hash of its token. */
export const linkName = (baseUrl: string, id: string): string => name('link', baseUrl, id)

/** What `claimName` made the name of. */
export function accountOf(text: string): { readonly provider: string; readonly accountId: string } {
  const [, , provider = '', accountId = ''] = JSON.parse(text) as string[]
  return { provider, accountId }
}

export const claimName = (baseUrl: string, provider: string, accountId: string): string =>
  name('account', baseUrl, provider, accountId)

/** An app's installation: the tokens with which the app acts there are no person's. */
export interface InstallationKey {
  readonly provider: string
  readonly id: string
}

export const installationName = (baseUrl: string, { provider, id }: InstallationKey): string =>
  name('installation', baseUrl, provider, id)

/** What `installationName` made the name of. */
export function installationKeyOf(text: string): InstallationKey {
  const [, , provider = '', id = ''] = JSON.parse(text) as string[]
  return { provider, id }
}

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

export interface OwnerIndexKey {
  readonly what: 'sessions' | 'threads'
  readonly baseUrl: string
  readonly owner: Owner
}

export const ownerIndexName = (what: OwnerIndexKey['what'], baseUrl: string, owner: Owner): string =>
  name(what, baseUrl, owner.kind, owner.id)

/** What `ownerIndexName` made the name of. */
export function ownerIndexKeyOf(text: string): OwnerIndexKey {
  const [what, baseUrl = '', kind, id = ''] = JSON.parse(text) as string[]
  return {
    what: what === 'threads' ? 'threads' : 'sessions',
    baseUrl,
    owner: { kind: kind === 'org' ? 'org' : 'user', id },
  }
}
