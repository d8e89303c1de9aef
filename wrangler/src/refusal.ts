import { LatchkeyError, type Cause, type ErrorCode } from 'latchkey'

/** Refusals of HTTP itself, beside the core's codes. */
export type HttpCode =
  | 'not_found'
  | 'method_not_allowed'
  | 'request_invalid'
  | 'too_large'
  | 'misconfigured'
  | 'capability_missing'
  | 'upstream_refused'
  | 'upstream_limited'
  | 'upstream_unavailable'
  | 'upstream_redirected'
  | 'temporarily_unavailable'
export type Code = ErrorCode | HttpCode

const statuses: Partial<Record<Code, number>> = {
  request_invalid: 400,
  claim_invalid: 400,
  webhook_unreadable: 400,
  turn_invalid: 400,
  mode_invalid: 400,
  model_invalid: 400,
  credential_invalid: 400,
  name_invalid: 400,
  repo_invalid: 400,
  upstream_url_invalid: 400,
  capability_missing: 401,
  principal_missing: 401,
  principal_invalid: 401,
  principal_expired: 401,
  webhook_invalid: 401,
  capability_invalid: 401,
  capability_expired: 401,
  capability_revoked: 401,
  not_allowed: 403,
  connect_disabled: 403,
  container_mismatch: 403,
  provider_mismatch: 403,
  repo_host_not_allowed: 403,
  repository_mismatch: 403,
  upstream_host_not_allowed: 403,
  upstream_request_invalid: 403,
  upstream_refused: 403,
  host_refused: 403,
  origin_refused: 403,
  proxied_refused: 403,
  run_foreign: 403,
  device_mismatch: 403,
  not_found: 404,
  provider_unknown: 404,
  not_connected: 404,
  run_unknown: 404,
  method_not_allowed: 405,
  reconnect_required: 409,
  revoked: 409,
  message_conflict: 409,
  message_ended: 409,
  run_active: 409,
  run_ended: 409,
  run_full: 409,
  event_conflict: 409,
  event_out_of_order: 409,
  run_forgotten: 410,
  event_too_large: 413,
  too_large: 413,
  media_type_refused: 415,
  queue_full: 429,
  upstream_limited: 429,
  upstream_redirected: 502,
  upstream_unavailable: 502,
  store_unavailable: 503,
  temporarily_unavailable: 503,
}

/** Why a request is not served: a code of a closed set and its status, nothing else. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: Code
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** What ended the connection, where one has ended. */
  override readonly cause: Cause | undefined

  constructor(
    code: Code,
    options: { status?: number; headers?: Readonly<Record<string, string>>; cause?: Cause | undefined } = {},
  ) {
    super(code)
    this.code = code
    this.status = options.status ?? statuses[code] ?? 500
    this.headers = options.headers ?? {}
    this.cause = options.cause
  }
}

/** Why, where a connection has ended; nothing else is told beside a code. */
export const causeOf = (error: unknown): { readonly cause?: Cause } =>
  error instanceof Refusal && error.cause !== undefined ? { cause: error.cause } : {}

/** The code of whatever was thrown; `store_unavailable` for what is not ours, such as a lost object. */
export const codeOf = (error: unknown): Code =>
  error instanceof Refusal || error instanceof LatchkeyError ? error.code : 'store_unavailable'
