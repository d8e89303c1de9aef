/** What is stored of a connection: what the next record holds, and whether one that is there opens. */
import type { Kind, Shared } from './connection-shared.ts'
import type { Answered, Stored } from './connection-types.ts'
import { LatchkeyError } from './errors.ts'
import type { RefreshEffect } from './refresh-types.ts'

const heldPart = 12_288
const heldMax = 64_000
/** A record without what is held: a row, two tokens, scopes. */
const recordWithoutHeld = 24_576

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** A pair in memory until it is stored. */
export interface Fresh {
  readonly access?: Uint8Array
  readonly refresh?: Uint8Array
  readonly scopes?: readonly string[]
  /** An answer that was not understood. */
  readonly raw?: Uint8Array
}

/** The texts of a login, sealed before anything else happens, so that what cannot be sealed is refused first. */
export type SealedLogin = Pick<Stored, 'access' | 'refresh' | 'account' | 'scopes' | 'details'>

/** What a record is made of. */
export interface Parts {
  /** The one before. */
  readonly record: Stored | undefined
  readonly fresh: Fresh
  readonly login: SealedLogin | undefined
}

/** The record to be written. */
export function nextRecord(
  shared: Shared,
  { record, fresh, login }: Parts,
  effect: Extract<RefreshEffect, { kind: 'persist' }>,
  row: Uint8Array,
): Stored {
  const { generation, epoch, blobs, keepScopes } = effect
  const head = { ...generation, epoch, row }
  const gone = { access: '', refresh: null, held: null, account: '', scopes: '[]', details: '' }
  const { access, refresh, held, account, scopes, details } = record ?? gone
  const kept = { access, refresh, held, account, scopes, details }
  const seal = (kind: Kind, bytes: Uint8Array = new Uint8Array(0)): string =>
    shared.seal(bytes, account, generation.id, kind)
  const renewed = (): Pick<Stored, 'access' | 'held' | 'scopes'> => ({
    access: seal('access', fresh.access),
    held: null,
    scopes: keepScopes ? scopes : JSON.stringify(fresh.scopes ?? []),
  })
  switch (blobs) {
    case 'keep':
      return { ...head, ...kept }
    case 'pair':
      return { ...head, ...kept, ...renewed(), refresh: seal('refresh', fresh.refresh) }
    case 'access':
      return { ...head, ...kept, ...renewed() }
    case 'hold':
      return { ...head, ...kept, held: heldText(shared, fresh, seal) }
    case 'wipe':
      return { ...head, ...gone }
    case 'login':
      return { ...head, ...gone, ...login }
  }
}

/** An answer that was not understood, in parts that can be sealed; what no store would take is cut. */
function heldText(
  { options }: Shared,
  { raw }: Fresh,
  seal: (kind: Kind, bytes: Uint8Array) => string,
): string {
  const room = Math.floor(((options.store.contract.maxValue - recordWithoutHeld) / 4) * 3) - 512
  const kept = (raw ?? new Uint8Array(0)).subarray(0, Math.max(0, Math.min(heldMax, room)))
  const parts: string[] = []
  for (let at = 0; at === 0 || at < kept.length; at += heldPart) {
    parts.push(seal(`held.${parts.length}`, kept.subarray(at, at + heldPart)))
  }
  return parts.join(' ')
}

/** Throws unless the record is whole: the row is the one that its columns say, and every text opens. */
export function openAll(shared: Shared, record: Stored): void {
  const row = shared.options.lk.refresh.describe(record.row, shared.now())
  const isItself = row.id === record.id && row.version === record.version && row.epoch === record.epoch
  if (!isItself) throw new LatchkeyError('corrupt')
  if (row.status === 'revoked') return
  if (row.hasRefresh !== (record.refresh !== null)) throw new LatchkeyError('corrupt')
  shared.open(record.access, record, 'access').fill(0)
  if (record.refresh !== null) shared.open(record.refresh, record, 'refresh').fill(0)
}

export function openText(shared: Shared, record: Stored): string {
  const bytes = shared.open(record.access, record, 'access')
  const text = decoder.decode(bytes)
  bytes.fill(0)
  return text
}

/** Nothing where there is none, or it does not open. */
export function openToken(
  shared: Shared,
  record: Stored | undefined,
  kind: 'access' | 'refresh',
): Uint8Array | undefined {
  const text = record?.[kind]
  if (record === undefined || text === undefined || text === null) return undefined
  try {
    return shared.open(text, record, kind)
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error
    return undefined
  }
}

export function freshOf({ tokens, raw }: Answered): Fresh {
  const scopes = Array.isArray(tokens?.scopes) ? tokens.scopes : undefined
  return {
    ...(tokens?.accessToken instanceof Uint8Array && { access: tokens.accessToken }),
    ...(tokens?.refreshToken instanceof Uint8Array && { refresh: tokens.refreshToken }),
    ...(scopes && { scopes }),
    ...(raw instanceof Uint8Array && { raw }),
  }
}

export const textOf = ({ access }: Fresh): string => decoder.decode(access)

export function wipe({ access, refresh, raw }: Fresh): void {
  access?.fill(0)
  refresh?.fill(0)
  raw?.fill(0)
}
