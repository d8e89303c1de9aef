/**
 * The pages of a connect link as text: what is asked, and what came of it. Pure, as view.js is.
 *
 * @typedef {{ provider: string, owner: { kind: 'user' | 'org', id: string }, state: string, expiresAt: number }} Link
 */
import { hue, html, icon, initial, place } from './view.js'
import { absolute, relative, sentence } from './words.js'

/**
 * @param {string} tone
 * @param {string} text
 */
const told = (tone, text) =>
  html`<div class="notice ${tone}" role="status">
    ${icon(tone)}
    <p>${text}</p>
  </div>`

/**
 * @param {string} title
 * @param {string} text
 */
const over = (title, text) =>
  html`<h1>${title}</h1>
    <p class="lead">${text}</p>`

/** @param {Link['owner']} owner */
const whose = ({ kind, id }) => (kind === 'org' ? html`everybody in <b>${id}</b>` : html`<b>${id}</b>`)

/**
 * @param {string} text of link.html
 * @param {{ token: string, link: Link | null, title: string | null, place: string, enabled: boolean, now: number }} facts
 *   `title`: the provider's; `place`: the application that asks
 */
export const linkView = (text, { token, link, title, place: asks, enabled, now }) => {
  if (!link || !title)
    return place(text, {
      link: over(
        'This link does not lead anywhere',
        'It may be mistyped, or too old to be remembered. Ask for a new one where you got it.',
      ),
    })
  if (link.state === 'completed')
    return place(text, {
      link: over(
        'This link was already used',
        `${title} is connected. A link works once; if that was not you, tell whoever sent it.`,
      ),
    })
  if (link.state !== 'pending')
    return place(text, {
      link: over(
        'This link is over',
        'A link works for one hour at most. Ask for a new one where you got it.',
      ),
    })
  const end = new Date(link.expiresAt).toISOString()
  return place(text, {
    link: html`<h1>Connect your ${title} account</h1>
      <p class="lead">${asks} asks to connect your ${title} account.</p>
      <div class="sheet">
        <div class="asked">
          <span class="tile hue-${hue(link.provider)}" aria-hidden="true">${initial(title)}</span>
          <dl class="facts">
            <div>
              <dt>Account</dt>
              <dd>The one you sign in with at ${title}</dd>
            </div>
            <div>
              <dt>Used for</dt>
              <dd>${whose(link.owner)}</dd>
            </div>
            <div>
              <dt>Link ends</dt>
              <dd>
                <time datetime="${end}" title="${absolute(link.expiresAt, 'UTC')}"
                  >${relative(link.expiresAt, now)}</time
                >
              </dd>
            </div>
          </dl>
        </div>
        <p>
          Work done for ${whose(link.owner)} will be able to use your account. Go on only if you expected
          this.
        </p>
        ${
          enabled
            ? html`<form method="post" action="/link/${token}">
                <button class="button primary wide">Connect ${title}</button>
              </form>`
            : html`<p class="quiet">Connecting is turned off here at the moment.</p>`
        }
      </div>`,
  })
}

/** What differs for somebody who came with a link. @type {Record<string, string>} */
const ends = {
  used_state: 'This link was already used. It works once.',
  expired_state: 'That took too long, so we stopped for safety. Open your link again, or ask for a new one.',
  invalid_state: 'This sign-in is not one we started. Open your link again.',
  not_allowed: 'Whoever made this link may no longer do so. Ask an owner or admin for a new one.',
  other_browser: 'This sign-in was started in another browser. Open your link again in this one.',
}

/**
 * What the address says came of it. It can be typed by anyone, so it never brings its own words.
 * @param {string} text of link.html
 * @param {{ query: URLSearchParams, providers: { name: string, title: string }[] }} facts
 */
export const linkEndView = (text, { query, providers }) => {
  /** @param {string} name */
  const titleOf = (name) => providers.find((provider) => provider.name === query.get(name))?.title
  const connected = titleOf('connected')
  const error = query.get('error')
  if (error !== null) {
    const words =
      ends[error] ?? `${sentence(error, { provider: titleOf('provider') })} You can open your link again.`
    return place(text, {
      link: html`<h1>Not connected</h1>
        ${told('bad', words)}`,
    })
  }
  if (connected)
    return place(text, {
      link: html`<h1>${connected} is connected</h1>
        ${told('good', 'That was all. You can close this page and go back to where you came from.')}`,
    })
  return place(text, {
    link: over('Nothing to do here', 'Open the link that you were sent, or ask for a new one.'),
  })
}
