export { type ErrorCode, LatchkeyError, type PublicCode, publicCode } from './errors.ts'
export { makeVerifier } from './latchkey.ts'
export { skipBinding } from './types.ts'
export type * from './types.ts'
