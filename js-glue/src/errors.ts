import { abi } from './abi.gen.ts'

/** Why something was refused. The list is closed; see the error table in the README. */
export type ErrorCode = Exclude<(typeof abi.codes)[number]['name'], 'ok'>

/** All that a URL, a page or a caller outside may ever see. */
export type PublicCode = Exclude<(typeof abi.publicCodes)[number]['name'], 'none'>

const names: readonly (ErrorCode | undefined)[] = sparse(abi.codes.map(({ number, name }) => [number, name]))
const publicNames: readonly (PublicCode | undefined)[] = sparse(
  abi.publicCodes.map(({ number, name }) => [number, name]),
)
const details = new Map<string, (typeof abi.codes)[number]>(abi.codes.map((code) => [code.name, code]))

function sparse<T extends string>(entries: readonly (readonly [number, string])[]): (T | undefined)[] {
  const list: (T | undefined)[] = []
  for (const [number, name] of entries) list[number] = name as T
  return list
}

/** The one class this package throws. Compare `code`; a message is for people who read logs. */
export class LatchkeyError extends Error {
  override readonly name = 'LatchkeyError'
  readonly code: ErrorCode
  /** Where in the input the error was noticed, or which variable of the configuration it is about. */
  readonly at: number | string | undefined

  constructor(code: ErrorCode, at?: number | string) {
    super(details.get(code)?.meaning ?? code)
    this.code = code
    this.at = at
  }
}

/** Maps a reason to what may be told outside. Total. */
export function publicCode(code: ErrorCode): PublicCode {
  const known = details.get(code)?.public ?? 'none'
  return known === 'none' ? 'misconfigured' : known
}

/** @internal The name of a code that the module returned. */
export function errorCode(number: number): ErrorCode {
  const name = names[number]
  if (name === undefined) throw new RangeError(`the module returned ${number}, which is no code`)
  return name
}

/** @internal The name of a public code that the module returned. */
export function publicCodeName(number: number): PublicCode {
  const name = publicNames[number]
  if (name === undefined) throw new RangeError(`the module returned ${number}, which is no public code`)
  return name
}

/** @internal The number of a code, for handing it back to the module; 0 is `ok`. */
export function errorNumber(code: ErrorCode | 'ok'): number {
  const known = details.get(code)
  if (known === undefined) throw new TypeError('latchkey: no such error code')
  return known.number
}
