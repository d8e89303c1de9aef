/**
 * What a person reads: sentences for public codes, words for statuses and scopes, times.
 * Pure, and the same in the Worker and in the browser.
 */

/**
 * One sentence per public code; each ends with what to do now.
 * @type {Record<string, (provider: string, organisation: string) => string>}
 */
const byCode = {
  access_denied: (p) => `You said no at ${p}. Nothing was changed. Connect again when you are ready.`,
  invalid_state: () => 'This sign-in link is not one we made. Start again from this page.',
  expired_state: () => 'That took longer than ten minutes, so we stopped for safety. Start again.',
  used_state: () => 'This sign-in was already finished, perhaps in another tab. Reload to see it.',
  other_browser: () => 'This sign-in was started in another browser. Start again in this one.',
  other_account: () => 'You are signed in here as somebody else than when you started. Start again.',
  provider_error: (p) => `${p} reported a problem. Try again in a minute.`,
  exchange_failed: (p) =>
    `${p} did not confirm the sign-in. Start again; if it repeats, tell your administrator the time.`,
  already_connected: (p) =>
    `This ${p === unnamed ? 'provider' : p} account is already connected to another person here. ` +
    'Use another account, or ask that person to disconnect it.',
  not_allowed: (_, o) =>
    `Only owners and admins can connect for ${o}. Ask one of them, or connect for yourself.`,
  temporarily_unavailable: () =>
    'We cannot reach our storage right now. Nothing was lost; try again shortly.',
  misconfigured: () =>
    'This provider is not set up correctly here. Your administrator can see why in the log.',
}

const sentences = new Map(Object.entries(byCode))
const unnamed = 'the provider'

/** @param {string} text */
const capitalised = (text) => text.charAt(0).toUpperCase() + text.slice(1)

/**
 * @param {string} code any text, known or not
 * @param {{ provider?: string | undefined, organisation?: string | undefined }} [names] titles to name in the sentence
 */
export const sentence = (code, { provider = unnamed, organisation = 'your organisation' } = {}) =>
  capitalised(
    sentences.get(code)?.(provider, organisation) ?? 'Something did not work. Try again in a minute.',
  )

/** @type {Record<string, (title: string) => string>} */
const byStatus = {
  connected: () => 'Connected',
  refreshing: () => 'Refreshing',
  reconnect_required: () => 'Needs reconnecting',
  revoked: (title) => `Disconnected by ${title}`,
  disconnected: () => 'Disconnected',
  not_connected: () => 'Not connected',
}
const statuses = new Map(Object.entries(byStatus))

/**
 * What cannot be read any more is mended like what is no longer accepted; a status outside the known set reads and
 * looks like one that cannot be read right now.
 * @param {string} status
 */
export const knownStatus = (status) => {
  if (status === 'corrupt') return 'reconnect_required'
  return statuses.has(status) ? status : 'temporarily_unavailable'
}

/**
 * @param {string} status
 * @param {string} title the provider's
 */
export const statusWord = (status, title) => statuses.get(status)?.(title) ?? 'Temporarily unavailable'

const scopes = new Map(
  Object.entries({
    openid: 'Know who you are',
    profile: 'See your name and picture',
    email: 'See your e-mail address',
    address: 'See your postal address',
    phone: 'See your phone number',
    offline_access: 'Keep working while you are away',
    user: 'Read and change your profile',
    'read:user': 'Read your profile',
    read_user: 'Read your profile',
    'user:email': 'See your e-mail addresses',
    'user:follow': 'Follow people for you',
    repo: 'Read and change all your repositories',
    public_repo: 'Read and change your public repositories',
    'repo:status': 'Report the state of commits',
    repo_deployment: 'Report deployments',
    delete_repo: 'Delete repositories',
    read_repository: 'Read your repositories',
    write_repository: 'Change your repositories',
    workflow: 'Change workflow files',
    gist: 'Create and change gists',
    notifications: 'Read your notifications',
    project: 'Read and change your projects',
    'read:project': 'Read your projects',
    'read:org': 'See your organisations and teams',
    'write:org': 'Change organisation memberships',
    'admin:org': 'Manage your organisations',
    'read:repo_hook': 'See webhooks of repositories',
    'write:repo_hook': 'Change webhooks of repositories',
    'admin:repo_hook': 'Manage webhooks of repositories',
    'read:packages': 'Download packages',
    'write:packages': 'Publish packages',
    api: 'Do everything your account can do',
    read_api: 'Read everything your account can read',
    read: 'Read what your account can read',
    write: 'Change what your account can change',
  }),
)

/**
 * @param {string} scope
 * @returns {string | undefined} nothing for a scope without words, which is then shown as it is
 */
export const scopeWords = (scope) => scopes.get(scope)

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const units = [
  ['year', 31_557_600_000],
  ['month', 2_629_800_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
]

const relativeFormat = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/**
 * "3 hours ago", "in 54 minutes", "yesterday"; within a minute "just now" or "in less than a minute".
 * @param {number} atMs
 * @param {number} nowMs
 */
export const relative = (atMs, nowMs) => {
  const distance = atMs - nowMs
  const unit = units.find(([, length]) => Math.abs(distance) >= length)
  if (!unit) return distance > 0 ? 'in less than a minute' : 'just now'
  return relativeFormat.format(Math.trunc(distance / unit[1]), unit[0])
}

/**
 * "23 November 2026 at 14:03 UTC".
 * @param {number} atMs
 * @param {string} [timeZone] the reader's own when left out
 */
export const absolute = (atMs, timeZone) =>
  new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZoneName: 'short',
    timeZone,
  }).format(atMs)

/**
 * A time told in relation to now. `ends` is for what stops at that time, `renews` for what is renewed by then, or with
 * the next use.
 * @param {string} kind `at`, `ends` or `renews`
 * @param {number} atMs
 * @param {number} nowMs
 */
export const timePhrase = (kind, atMs, nowMs) => {
  if (kind === 'renews' && atMs <= nowMs) return 'with the next use'
  const verb = kind === 'ends' ? (atMs > nowMs ? 'ends ' : 'ended ') : ''
  return verb + relative(atMs, nowMs)
}

/**
 * Whose connection.
 * @param {string} scope
 * @param {string} organisation
 */
export const ownerWords = (scope, organisation) => {
  if (scope === 'user') return 'Yours'
  return scope === 'org' ? `${organisation}’s` : 'The deployment’s'
}

/**
 * Whose connection a call uses, and the shape that stands for it.
 * @param {string} outcome
 * @param {string | undefined} scope of the place that decided
 * @param {string} organisation
 */
export const chosenWords = (outcome, scope, organisation) => {
  const whose = scope ? ownerWords(scope, organisation) : ''
  switch (outcome) {
    case 'found':
      return { words: whose, mark: 'connected' }
    case 'not_connected':
      return { words: 'None', mark: 'not_connected' }
    case 'revoked':
      return { words: `None: ${uncapitalised(whose)} has ended`, mark: 'disconnected' }
    case 'refused':
      return { words: `None until ${uncapitalised(whose)} is reconnected`, mark: 'reconnect_required' }
    default:
      return { words: 'Cannot be told right now', mark: 'temporarily_unavailable' }
  }
}

/**
 * Who acts with a connection, and the shape that stands for it.
 * @param {string} source `user`, `installation`, `none`, or what cannot be told
 * @param {string | undefined} scope of the connection that is used
 * @param {string} organisation
 */
export const actsWords = (source, scope, organisation) => {
  const account =
    scope === 'org'
      ? `the account connected for ${organisation}`
      : scope === 'deployment'
        ? 'the deployment’s own account'
        : 'you'
  switch (source) {
    case 'user':
      return { words: account === 'you' ? 'You act' : `${capitalised(account)} acts`, mark: 'person' }
    case 'installation':
      return { words: `The app acts, not ${account}`, mark: 'app' }
    case 'none':
      return { words: 'Nobody can act', mark: 'not_connected' }
    default:
      return { words: 'Who acts cannot be told right now', mark: 'temporarily_unavailable' }
  }
}

/**
 * Why it cannot be said who acts at a repository.
 * @param {string} code
 * @param {string} title the provider's
 */
export const repositorySentence = (code, title) => {
  switch (code) {
    case 'repo_invalid':
      return 'That is not the address of a repository. Copy it from where you see the repository.'
    case 'repo_host_not_allowed':
      return `That repository is not at ${title}. Check its address.`
    default:
      return sentence(code)
  }
}

/** @param {string} text */
const uncapitalised = (text) =>
  text.startsWith('Yours') || text.startsWith('The ') ? text.charAt(0).toLowerCase() + text.slice(1) : text

/** @type {Record<string, string>} */
const byStep = {
  found: 'Used',
  absent: 'None there',
  incomplete: 'A part is missing',
  rejected: 'Refused a moment ago',
  revoked: 'Has ended',
  refused: 'Needs reconnecting',
  unanswered: 'Could not be read',
  unreached: 'Not needed',
}
const steps = new Map(Object.entries(byStep))

/**
 * What became of one place on the way.
 * @param {string} rule
 * @param {string} step
 */
export const stepWords = (rule, step) => {
  const words = steps.get(rule) ?? 'Passed over'
  if (step === 'stopped') return `${words}: stops here`
  return rule === 'unreached' ? 'Not reached' : words
}
