export { type ErrorCode, LatchkeyError, type PublicCode, publicCode } from './errors.ts'
export { makeLatchkey } from './latchkey.ts'
export type * from './types.ts'
export type * from './refresh-types.ts'
