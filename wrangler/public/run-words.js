/** What a person reads of a run. Pure: no clock, no DOM, no I/O. */

/** @type {Record<string, string>} */
const byStatus = {
  running: 'Running',
  completed: 'Finished',
  errored: 'Ended with an error',
  truncated: 'Stopped at its limit',
  aborted: 'Stopped by a person',
}
const statuses = new Map(Object.entries(byStatus))

/** @param {string} status */
export const statusWords = (status) => statuses.get(status) ?? 'Not known'

/**
 * The name that the application gave; a demonstration's means nothing to anybody.
 * @param {string} thread
 */
export const threadWords = (thread) => (/^demo-[\w-]{22}$/.test(thread) ? 'Demonstration' : thread)

/** Why, with what to do now; by cause, kind of the end, or code of a refusal. */
const reasons = new Map(
  Object.entries({
    done: '',
    error: 'The work itself reported an error. What it wrote before stands below.',
    missing_api_key:
      'A key that the work needs is not set up. Your administrator can add it; then start it again.',
    loop_limit: 'The work came to the limit that was set for it. Start it again to go on from there.',
    auto_continue: 'The work goes on in another run.',
    aborted: 'What was written until then stands below. It does not go on by itself.',
    stale_run:
      'It gave no sign of life any more, so it was ended as of its last one. Start it again if it is still needed.',
    connection_revoked: 'The connection that it used was ended. Connect again, then start it again.',
    reconnect_required: 'The connection that it used needs reconnecting. Do that first, then start it again.',
    idle_limit: 'Nothing new was written for longer than was allowed. Start it again if it is still needed.',
    connection_idle:
      'The connection that it used came to the end of its life. Connect again, then start it again.',
    erased: 'Everything that was kept for this person was erased, at their own wish or for them.',
    run_terminal_event_missing:
      'It ended without saying how. Look at its last entry before you start it again.',
    run_unknown:
      'There is no such run, or it is kept no longer. Look at the address, or start the work again.',
    run_foreign: 'This run belongs to somebody else. Sign in as the person who started it.',
    principal_missing: 'Nobody is signed in any more. Sign in, then load this page again.',
    not_allowed: 'Only the application itself sees the list of all runs. Open a run by its own address.',
    connection_error:
      'We could not reach it for twenty minutes. Nothing was lost; load the page again to look once more.',
  }),
)

/** @param {string} code */
export const reasonWords = (code) =>
  reasons.get(code) ?? 'Something did not work. Load the page again in a minute.'

/** @param {{ kind: string, status: string, cause?: string }} end */
export const endWords = (end) => reasonWords(end.cause ?? (end.status === 'aborted' ? 'aborted' : end.kind))

/**
 * @param {string} reason
 * @param {number} retryMs
 */
export const lostWords = (reason, retryMs) => {
  const why =
    reason === 'stalled'
      ? 'Nothing was heard for too long'
      : reason === 'unreachable'
        ? 'We cannot be reached'
        : 'The connection was lost'
  const seconds = Math.max(1, Math.round(retryMs / 1_000))
  return `${why}. Trying again in ${seconds === 1 ? 'a second' : `${seconds} seconds`}. The run goes on meanwhile.`
}

/**
 * @param {string} type
 * @param {unknown} data
 */
export const eventWords = (type, data) => {
  const name = type.charAt(0).toUpperCase() + type.slice(1).replaceAll(/[._-]/g, ' ')
  if (data === undefined || data === null) return name
  if (type === 'step' && typeof data === 'object') {
    const { step, of } = /** @type {{ step?: unknown, of?: unknown }} */ (data)
    if (typeof step === 'number' && typeof of === 'number') return `${name} ${step} of ${of}`
  }
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return `${name}: ${text.length > 300 ? `${text.slice(0, 300)}…` : text}`
}
