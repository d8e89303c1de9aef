export { type ErrorCode, LatchkeyError, type PublicCode, publicCode } from './errors.ts'
export { makeSigner } from './latchkey.ts'
export type * from './types.ts'
