/** Reads vectors from the disk, for runners that have none. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Document } from '../vectors/format.ts'

const vectors = new URL('../vectors/', import.meta.url)
const external = new URL('../../../shared/vectors/json/test_parsing/', import.meta.url)

/** Every document in the order of the files' names. */
export function readDocuments(): Document[] {
  const names = readdirSync(vectors).filter((name) => name.endsWith('.json') && name !== 'tsconfig.json')
  return names.sort().map((name) => JSON.parse(readFileSync(new URL(name, vectors), 'utf8')) as Document)
}

export const readDigest = (): string => readFileSync(new URL('digest.txt', vectors), 'utf8').trim()

/** JSONTestSuite's `i_` cases as bytes, by name; none where the external vectors are not there. */
export function readChoices(): [name: string, bytes: number[]][] {
  const folder = process.env['LATCHKEY_VECTORS']
    ? new URL(`file://${process.env['LATCHKEY_VECTORS']}/json/test_parsing/`)
    : external
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((name) => name.startsWith('i_'))
  return names.sort().map((name) => [name, [...readFileSync(new URL(name, folder))]])
}
