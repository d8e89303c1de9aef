/**
 * The page as text. The Worker puts it into the markers of index.html, and app.js renders the same cards again when
 * something changes, so there is one piece of markup for both. Pure: no clock, no DOM, no I/O.
 *
 * A card carries `data-provider`, `data-owner` (`user` or `org`) and `data-status`; what can be done with it carries
 * `data-action`: `connect` (a link), `disconnect` (a form), `keep` (closes the question, browser only). What may not be
 * done is a button that carries `data-verb` and says why not. A choice carries `data-provider` and `data-outcome`, each
 * place on its way `data-place` and `data-step` (`taken`, `passed`, `stopped` or `unreached`).
 *
 * @typedef {{ name: string, title: string, app?: boolean }} Provider `app`: it may act in a person's place
 * @typedef {{ subject: string, name?: string, org?: string, role?: string, dev: boolean,
 *   connectEnabled: boolean, providers: Provider[] }} Session
 * @typedef {{ provider: string, title: string, owner: { kind: 'user' | 'org', id: string }, account?: string | null,
 *   status: string, cause?: string, scopes?: string[] | null, connectedAt?: number | null, expiresAt?: number | null,
 *   refreshAt?: number | null, generation?: unknown, may?: readonly Permission[] }} Connection times in epoch ms
 * @typedef {{ verb: string, ok: boolean, rule: string, sentences: readonly string[] }} Permission
 * @typedef {{ readonly scope: string, readonly id: string }} Place
 * @typedef {{ provider: string, outcome: string, place: Place | null, places: readonly Place[],
 *   path: readonly { readonly rule: string, readonly scope?: string }[], sentences: readonly string[],
 *   gap: readonly string[] }} Why whose connection a call uses, as the core says it
 * @typedef {{ source: string, path: readonly { readonly rule: string, readonly scope?: string }[],
 *   sentences: readonly string[] }} Acting who acts at a repository, as the core says it
 * @typedef {{ provider: string, repo: string, acting?: Acting | null | undefined, code?: string }} Asked about a
 *   repository; `code`: why there is no answer
 * @typedef {'user' | 'org' | null} Shown whose connections; null: everybody's
 * @typedef {'checking' | 'verified' | 'failed'} Proof of the sign-in, made in this browser
 */
import {
  absolute,
  actsWords,
  chosenWords,
  knownStatus,
  ownerWords,
  repositorySentence,
  scopeWords,
  sentence,
  statusWord,
  stepWords,
  timePhrase,
} from './words.js'

class Html {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }
  toString() {
    return this.text
  }
}

/**
 * @param {unknown} value
 * @returns {string} markup as it is, a list joined, nothing for `null` and its like, all else escaped
 */
const markup = (value) => {
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(markup).join('')
  if (value === null || value === undefined || value === false) return ''
  return String(value).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}

/**
 * @param {TemplateStringsArray} parts
 * @param {...unknown} values
 */
export const html = (parts, ...values) =>
  new Html(parts.reduce((text, part, index) => text + markup(values[index - 1]) + part))

/** @param {{ provider: string, owner: { kind: string } }} row */
export const keyOf = (row) => `${row.owner.kind}/${row.provider}`

/** @param {Session} session */
const organisation = (session) => session.org ?? 'your organisation'

/**
 * Why something may not be done, by the Worker's word, which is asked for again when it is done after all.
 * @param {Session} session
 * @param {Connection} row
 * @param {string} verb
 */
const refusal = (session, row, verb) => {
  const said = row.may?.find((one) => one.verb === verb)
  if (!said || said.ok) return null
  const reason = said.sentences.join(' ')
  if (said.rule !== 'role_is_member') return reason
  return `${reason} Ask an owner or admin of ${organisation(session)}, or connect for yourself.`
}

/** @param {URLSearchParams} query @returns {Shown} */
export const shownIn = (query) => {
  const owner = query.get('owner')
  return owner === 'user' || owner === 'org' ? owner : null
}

/** @param {Shown} shown */
const pathOf = (shown) => (shown ? `/?owner=${shown}` : '/')

/** @param {string} title */
export const initial = (title) => ([...title.trim()][0] ?? '?').toUpperCase()

/**
 * One of the twelve tile colours of style.css.
 * @param {string} name
 */
export const hue = (name) => [...name].reduce((sum, c) => (sum * 31 + (c.codePointAt(0) ?? 0)) >>> 0, 7) % 12

/** @param {string} name of a symbol in index.html */
export const icon = (name) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><use href="#${name}" /></svg>`

/**
 * @param {string} kind
 * @param {number | null | undefined} at
 * @param {number} now
 */
const time = (kind, at, now) => {
  const date = new Date(at ?? NaN)
  if (Number.isNaN(date.getTime())) return null
  const title = absolute(date.getTime(), 'UTC')
  return html`<time datetime="${date.toISOString()}" title="${title}" data-kind="${kind}"
    >${timePhrase(kind, date.getTime(), now)}</time
  >`
}

/**
 * @param {string} label
 * @param {Html | null} value
 */
const fact = (label, value) =>
  value &&
  html`<div>
    <dt>${label}</dt>
    <dd>${value}</dd>
  </div>`

/** @param {string[]} scopes */
const allowed = (scopes) =>
  scopes.length > 0 &&
  html`<ul class="scopes">
    ${scopes.map((scope) => html`<li>${scopeWords(scope) ?? html`<code>${scope}</code>`}</li>`)}
  </ul>`

/**
 * @param {Connection} row
 * @param {number} now
 */
const facts = (row, now) =>
  html`<dl class="facts">
    ${fact('Connected', time('at', row.connectedAt, now))}
    ${fact('Allows', allowed(row.scopes ?? []) || html`What ${row.title} grants by default`)}
    ${
      row.refreshAt
        ? fact('Next refresh', time('renews', row.refreshAt, now))
        : fact('Current access', time('ends', row.expiresAt, now) ?? html`does not end by itself`)
    }
  </dl>`

/**
 * What has happened to a sign-in that does not renew itself any more.
 * @param {Connection} row
 */
const lapse = ({ title, cause }) => {
  switch (cause) {
    case 'lost_in_flight':
      return `${title}’s answer was lost on its way here when this sign-in was renewed. Nothing is wrong with your account.`
    case 'no_refresh_token':
      return `This sign-in has run out, and ${title} gave nothing to renew it with.`
    default:
      return `${title} no longer accepts the saved sign-in.`
  }
}

/**
 * @param {Session} session
 * @param {Connection} row
 * @param {boolean} replaces
 */
const hint = (session, row, replaces) => {
  const { title } = row
  const whose = row.owner.kind === 'org' ? `for ${organisation(session)}` : 'as you'
  if (refusal(session, row, 'connect') && ['not_connected', 'disconnected', 'revoked'].includes(row.status))
    return `Nobody has connected ${title} ${whose}.`
  if (replaces && ['not_connected', 'disconnected', 'revoked'].includes(row.status))
    return `Connect to let work run ${whose} at ${title}. Your own connection here makes room for it.`
  if (row.status === 'corrupt')
    return `What was saved of this sign-in cannot be read any more. Reconnect to put it right; nothing changes at ${title}.`
  switch (knownStatus(row.status)) {
    case 'not_connected':
    case 'disconnected':
      return `Connect to let work run ${whose} at ${title}.`
    case 'reconnect_required':
      return `${lapse(row)} Work that runs ${whose} waits until you reconnect.`
    case 'revoked':
      return `Access was ended at ${title}. Connect again to let work run ${whose}.`
    case 'temporarily_unavailable':
      return 'We cannot read this connection right now. Nothing was lost; it comes back by itself.'
    default:
      return null
  }
}

/** @param {Proof | undefined} proof */
const badge = (proof) => {
  switch (proof) {
    case 'checking':
      return html`<p class="proof">Checking in this browser…</p>`
    case 'failed':
      return html`<p class="proof">Could not be verified in this browser</p>`
    case 'verified': {
      const meaning =
        'The signed answer that finished this sign-in was checked again here, on your own device, with our public ' +
        'key: it is genuine, unchanged, and made for you and this provider.'
      return html`<details class="proof verified">
        <summary title="${meaning}">${icon('shield')}Verified in this browser</summary>
        <p>${meaning}</p>
      </details>`
    }
    default:
      return null
  }
}

/**
 * @param {Session} session
 * @param {Connection} row
 * @param {Shown} shown
 */
const connect = (session, row, shown) => {
  if (!session.connectEnabled) return html`<p class="quiet">Connecting is turned off here at the moment.</p>`
  const again = row.status === 'reconnect_required'
  const back = encodeURIComponent(pathOf(shown))
  const href = `/connect/${encodeURIComponent(row.provider)}?owner=${row.owner.kind}&return_to=${back}`
  return html`<a class="button primary" data-action="connect" href="${href}"
    >${again ? 'Reconnect' : 'Connect'}<span class="sr"> ${row.title}</span></a
  >`
}

/**
 * @param {Session} session
 * @param {Connection} row
 * @param {Shown} shown
 */
const disconnect = (session, row, shown) => {
  const whom = row.owner.kind === 'org' ? `for ${organisation(session)}` : 'as you'
  return html`<details class="ask">
    <summary class="button">Disconnect<span class="sr"> ${row.title}</span></summary>
    <form data-action="disconnect" method="post" action="/disconnect/${encodeURIComponent(row.provider)}">
      <p>Disconnect removes the token here and at ${row.title}. Work that runs ${whom} will stop.</p>
      <input type="hidden" name="owner" value="${row.owner.kind}" />
      <input type="hidden" name="return_to" value="${pathOf(shown)}" />
      <p class="problem" hidden></p>
      <div class="choices">
        <button class="button" type="button" data-action="keep">Keep it</button>
        <button class="button danger">Disconnect ${row.title}</button>
      </div>
    </form>
  </details>`
}

/**
 * What may not be done is said where it would be done.
 * @param {Connection} row
 * @param {string} verb
 * @param {string} label
 */
const blocked = (row, verb, label) =>
  html`<button
    class="button blocked"
    type="button"
    data-action="explain"
    data-verb="${verb}"
    aria-disabled="true"
    aria-describedby="${reasonId(row)}"
  >
    ${label}<span class="sr"> ${row.title}</span>
  </button>`

/** @param {Connection} row */
const reasonId = (row) => `not-${row.owner.kind}-${row.provider}`

/**
 * @param {Session} session
 * @param {Connection} row
 * @param {Shown} shown
 */
const actions = (session, row, shown) => {
  if (row.status === 'temporarily_unavailable') return null
  const works = ['connected', 'refreshing'].includes(row.status)
  const again = row.status === 'reconnect_required'
  const noEnd = refusal(session, row, 'disconnect')
  const noStart = refusal(session, row, 'connect')
  const end = noEnd ? blocked(row, 'disconnect', 'Disconnect') : disconnect(session, row, shown)
  const start = noStart
    ? blocked(row, 'connect', again ? 'Reconnect' : 'Connect')
    : connect(session, row, shown)
  const reason = ((works || again) && noEnd) || (!works && noStart)
  return html`${(works || again) && end}${!works && start}${
    reason && html`<p class="quiet" id="${reasonId(row)}">${reason}</p>`
  }`
}

/**
 * @param {Session} session
 * @param {Connection} row
 * @param {number} now
 * @param {{ proof?: Proof | undefined, shown?: Shown, replaces?: boolean }} [around] `replaces`: connecting takes the
 *   place of the reader's own
 */
export const card = (session, row, now, { proof, shown = null, replaces = false } = {}) => {
  const status = knownStatus(row.status)
  const words = hint(session, row, replaces)
  const owner = row.owner.kind === 'org' ? organisation(session) : 'You'
  const able = actions(session, { ...row, status }, shown)
  return html`<li
    class="card"
    data-provider="${row.provider}"
    data-owner="${row.owner.kind}"
    data-status="${status}"
  >
    <span class="tile hue-${hue(row.provider)}" aria-hidden="true">${initial(row.title)}</span>
    <div class="name">
      <h3 tabindex="-1">${row.title}</h3>
      <p>${row.account && html`<span class="account">${row.account}</span> · `}${owner}</p>
    </div>
    <div class="state">
      <p class="status">${icon(status)}${statusWord(status, row.title)}</p>
      ${badge(proof)}
    </div>
    <div class="about">${words ? html`<p>${words}</p>` : facts(row, now)}</div>
    ${able && html`<div class="actions">${able}</div>`}
  </li>`
}

/**
 * Whether connecting this one takes the place of the reader's own, which would be read before it.
 * @param {Connection} row
 * @param {Connection[]} all
 */
export const replacesOwn = (row, all) =>
  row.owner.kind === 'org' &&
  all.some(
    ({ provider, owner, status }) =>
      provider === row.provider &&
      owner.kind === 'user' &&
      ['connected', 'refreshing', 'reconnect_required'].includes(knownStatus(status)),
  )

/**
 * Every provider for every owner that is shown: a row of the reader's own that did not come is shown as unavailable, and a
 * row whose provider is no longer offered stays, so that it can be disconnected.
 * @param {Session} session
 * @param {Connection[]} rows
 * @param {Shown} [shown]
 * @returns {Connection[]}
 */
export const complete = (session, rows, shown = null) =>
  everything(session, rows).filter(({ owner }) => shown === null || owner.kind === shown)

/**
 * @param {Session} session
 * @param {Connection[]} rows
 * @returns {Connection[]}
 */
const everything = (session, rows) => {
  /** @type {Connection['owner'][]} */
  const owners = [{ kind: 'user', id: session.subject }]
  if (session.org) owners.push({ kind: 'org', id: session.org })
  const expected = owners.flatMap((owner) =>
    session.providers.map(({ name, title }) => ({
      provider: name,
      title,
      owner,
      status: 'temporarily_unavailable',
    })),
  )
  const come = new Map(rows.map((row) => [keyOf(row), row]))
  const wanted = new Set(expected.map(keyOf))
  return [
    ...expected.map((row) => come.get(keyOf(row)) ?? row),
    ...rows.filter((row) => !wanted.has(keyOf(row))),
  ]
}

/**
 * @param {string} title
 * @param {string} text
 * @param {Html} [action]
 */
const panel = (title, text, action) =>
  html`<div class="panel">
    <h2>${title}</h2>
    <p>${text}</p>
    ${action}
  </div>`

/**
 * @param {Session} session
 * @param {Connection[]} rows
 * @param {number} now
 * @param {Map<string, Proof>} [proofs] by `keyOf`
 * @param {Shown} [shown]
 */
export const cards = (session, rows, now, proofs = new Map(), shown = null) => {
  const all = complete(session, rows, shown)
  if (all.length === 0)
    return panel(
      'Nothing to connect yet',
      session.dev
        ? 'No provider is set up. Add one to LATCHKEY_PROVIDERS and start again.'
        : 'No provider is set up here. Your administrator decides which ones appear.',
    )
  /** @type {(kind: string, heading: string) => Html | false} */
  const section = (kind, heading) => {
    const own = all.filter((row) => row.owner.kind === kind)
    return (
      own.length > 0 &&
      html`<section aria-labelledby="of-${kind}">
        <h2 id="of-${kind}" class="${session.org ? '' : 'sr'}">${heading}</h2>
        <ul class="cards">
          ${own.map((row) =>
            card(session, row, now, {
              proof: proofs.get(keyOf(row)),
              shown,
              replaces: replacesOwn(row, rows),
            }),
          )}
        </ul>
      </section>`
    )
  }
  return html`${section('user', 'You')}${section('org', organisation(session))}`
}

/**
 * Whose connections are shown. Links, so that it works without scripts.
 * @param {Session} session
 * @param {Shown} shown
 */
export const ownerSwitch = (session, shown) => {
  if (!session.org) return null
  /** @type {[Shown, string][]} */
  const choices = [
    [null, 'All'],
    ['user', 'Me'],
    ['org', session.org],
  ]
  return html`<nav class="switch" aria-label="Whose connections">
    ${choices.map(
      ([owner, label]) =>
        html`<a href="${pathOf(owner)}" data-action="show" ${owner === shown && html`aria-current="page"`}
          >${label}</a
        >`,
    )}
  </nav>`
}

/**
 * What became of one place on the way.
 * @param {Why} why
 * @param {Place} place
 */
const stepAt = (why, place) => {
  const rule = why.path.find(({ scope }) => scope === place.scope)?.rule
  if (rule === undefined) return { step: 'unreached', rule: 'unreached', mark: 'unreached' }
  const mark =
    {
      found: 'connected',
      revoked: 'revoked',
      refused: 'reconnect_required',
      rejected: 'reconnect_required',
      unanswered: 'temporarily_unavailable',
    }[rule] ?? 'not_connected'
  const decided = why.place?.scope === place.scope
  return { step: rule === 'found' ? 'taken' : decided ? 'stopped' : 'passed', rule, mark }
}

/**
 * What the reader's organisation has, where their own stands in its way.
 * @param {Session} session
 * @param {Why} why
 */
const gapWords = (session, why) =>
  why.outcome !== 'found' && why.outcome !== 'lookup_failed' && why.gap.includes('org')
    ? `${organisation(session)} has one. It is only used by work that asks for it.`
    : null

/** @param {Why['path']} path */
const traceOf = (path) => path.map(({ rule, scope }) => (scope ? `${rule}(${scope})` : rule)).join(' > ')

/**
 * @param {string} text
 * @param {string} what for a screen reader
 */
const trace = (text, what) =>
  html`<p class="trace">
    <code>${text}</code>
    <button class="button small" type="button" data-action="copy">
      Copy<span class="sr"> ${what}</span>
    </button>
  </p>`

/**
 * Who acts with it: the person, or the app in their place. With an app it depends on the repository, which is asked for;
 * a form, so that it works without scripts.
 * @param {Session} session
 * @param {string} title
 * @param {Why} why
 * @param {Asked | undefined} asked
 */
const actor = (session, title, why, asked) => {
  const org = organisation(session)
  /** @type {(source: string, at?: string) => Html} */
  const told = (source, at) => {
    const { words, mark } = actsWords(source, why.place?.scope, org)
    return html`<p class="actor" data-acts="${source}">
      ${icon(mark)}<span><b>${words}</b>${at && html` at <code>${at}</code>`}</span>
    </p>`
  }
  if (!session.providers.find(({ name }) => name === why.provider)?.app)
    return told(why.outcome === 'found' ? 'user' : why.outcome === 'lookup_failed' ? 'unknown' : 'none')
  return html`<form class="at" action="/#why-${why.provider}" data-action="acting">
      <input type="hidden" name="why" value="${why.provider}" />
      <label>
        <span>Who acts at which repository?</span>
        <input
          name="repo"
          value="${asked?.repo}"
          required
          maxlength="1024"
          autocomplete="off"
          autocapitalize="none"
          spellcheck="false"
          placeholder="https://…/owner/name"
        />
      </label>
      <button class="button">Show</button>
    </form>
    ${asked?.code && html`<p class="problem">${repositorySentence(asked.code, title)}</p>`}
    ${
      asked?.acting &&
      html`${told(asked.acting.source, asked.repo)}
        <ol class="reasons">
          ${asked.acting.sentences.map((text) => html`<li>${text}</li>`)}
        </ol>
        ${trace(`${asked.acting.source}: ${traceOf(asked.acting.path)}`, `who acts at ${asked.repo}`)}`
    }`
}

/**
 * Whose connection a call uses: the way in a picture, then in sentences, then as it is kept in a log; and who acts.
 * @param {Session} session
 * @param {string} title
 * @param {Why} why
 * @param {Asked | undefined} [asked] about a repository
 */
export const choice = (session, title, why, asked) => {
  const org = organisation(session)
  const gap = gapWords(session, why)
  const { words, mark } = chosenWords(why.outcome, why.place?.scope, org)
  return html`<li
    class="choice"
    id="why-${why.provider}"
    data-provider="${why.provider}"
    data-outcome="${why.outcome}"
  >
    <details ${asked && 'open'}>
      <summary>
        <span class="title">${title}</span>
        <span class="status">${icon(mark)}${words}</span>
        <span class="more" aria-hidden="true">${icon('open')}</span>
      </summary>
      <ol class="way" aria-label="The way to it, in order">
        ${why.places.map((place) => {
          const { step, rule, mark } = stepAt(why, place)
          return html`<li data-place="${place.scope}" data-step="${step}">
            <span class="mark">${icon(mark)}</span>
            <b>${ownerWords(place.scope, org)}</b>
            <span>${stepWords(rule, step)}</span>
          </li>`
        })}
      </ol>
      <ol class="reasons">
        ${why.sentences.map((text) => html`<li>${text}</li>`)} ${gap && html`<li>${gap}</li>`}
      </ol>
      ${trace(`${why.outcome}: ${traceOf(why.path)}`, `the way for ${title}`)}
      ${actor(session, title, why, asked)}
    </details>
  </li>`
}

/**
 * @param {Session} session
 * @param {readonly Why[]} all
 * @param {readonly Asked[]} [asked]
 */
export const whys = (session, all, asked = []) =>
  all.length > 0 &&
  html`<section aria-labelledby="of-whys">
    <h2 id="of-whys">Whose connection work uses</h2>
    <ul class="choices-made">
      ${all.map((why) =>
        choice(
          session,
          titleOf(session, why.provider),
          why,
          asked.find(({ provider }) => provider === why.provider),
        ),
      )}
    </ul>
  </section>`

/**
 * @param {Session} session
 * @param {string} provider
 */
export const titleOf = (session, provider) =>
  session.providers.find(({ name }) => name === provider)?.title ?? provider

/** @param {boolean} dev */
export const signedOut = (dev) =>
  dev
    ? panel(
        'You are not signed in',
        'Choose who to be.',
        html`<a class="button primary" href="/dev/sign-in">Sign in</a>`,
      )
    : panel('You are not signed in', 'Open this page from the application that uses it; it signs you in.')

/** @param {string} text */
export const unavailable = (text) =>
  panel('Your connections cannot be shown', text, html`<a class="button" href="/">Try again</a>`)

/** @param {Session} session */
export const who = (session) => {
  const person = session.name ?? (session.dev ? session.subject : 'Signed in')
  const place = session.org && (session.role ? `${session.role} of ${session.org}` : session.org)
  return html`<p class="person"><b>${person}</b>${place && html`<span>${place}</span>`}</p>
    ${
      session.dev &&
      html`<a class="button small" href="/dev/sign-in">Switch</a>
        <form method="post" action="/dev/sign-out"><button class="button small">Sign out</button></form>`
    }`
}

/**
 * What the address says happened. It can be typed by anyone, so it never brings its own words: a provider counts only
 * if it is one of ours, and "connected" only if it is.
 * @param {URLSearchParams} query
 * @param {Session | null} session
 * @param {Connection[]} rows
 * @returns {{ tone: 'good' | 'bad', text: string } | null}
 */
export const outcome = (query, session, rows) => {
  const error = query.get('error')
  if (error !== null) {
    const provider = session?.providers.find(({ name }) => name === query.get('provider'))?.title
    return { tone: 'bad', text: sentence(error, { provider, organisation: session?.org }) }
  }
  /** @type {(name: string, statuses: string[]) => string | undefined} */
  const titleOf = (name, statuses) =>
    rows.find((row) => row.provider === query.get(name) && statuses.includes(row.status))?.title
  const connected = titleOf('connected', ['connected', 'refreshing'])
  if (connected) return { tone: 'good', text: `${connected} is connected. Work can use it from now on.` }
  const disconnected = titleOf('disconnected', ['not_connected', 'disconnected'])
  if (disconnected) return { tone: 'good', text: `${disconnected} is disconnected.` }
  return null
}

/** @param {{ tone: string, text: string } | null} told */
export const notice = (told) =>
  told &&
  html`<div class="notice ${told.tone}">
    ${icon(told.tone)}
    <p>${told.text}</p>
    <button class="button small" type="button" data-action="dismiss" aria-label="Dismiss">
      ${icon('close')}
    </button>
  </div>`

/**
 * @param {string} text
 * @param {Record<string, unknown>} marks
 */
export const place = (text, marks) =>
  Object.entries(marks).reduce((page, [name, value]) => {
    return page.replace(`<!--latchkey:${name}-->`, () => markup(value))
  }, text)

/**
 * index.html, complete. `session` is null for a caller who is not signed in, `connections` is null when they could not
 * be read.
 * @param {string} text of index.html
 * @param {{ session: Session | null, connections: Connection[] | null, whys?: readonly Why[], asked?: readonly Asked[],
 *   query: URLSearchParams, now: number, dev?: boolean, code?: string }} facts `code` says why `connections` is null
 */
export const connectionsPage = (
  text,
  { session, connections, whys: all = [], asked, query, now, dev, code },
) =>
  place(text, {
    switch: session && ownerSwitch(session, shownIn(query)),
    whys: session && connections && whys(session, all, asked),
    notice: notice(outcome(query, session, connections ?? [])),
    who: session && who(session),
    // Elsewhere these want an assertion of the operator's own tools.
    operators:
      session?.dev &&
      html`<nav aria-label="For operators"><a href="/runs">Runs</a> <a href="/retention">Retention</a></nav>`,
    cards: !session
      ? signedOut(dev ?? false)
      : connections
        ? cards(session, connections, now, new Map(), shownIn(query))
        : unavailable(sentence(code ?? 'temporarily_unavailable')),
  })

/**
 * sign-in.html, complete.
 * @param {string} text of sign-in.html
 * @param {{ returnTo?: string | null, problem?: boolean }} facts `problem` when the last choice was refused
 */
export const signInPage = (text, { returnTo, problem = false }) =>
  place(text, {
    notice:
      problem &&
      notice({ tone: 'bad', text: 'That choice cannot be used. Check the three fields and try again.' }),
    'return-to': returnTo && html`<input type="hidden" name="return_to" value="${returnTo}" />`,
  })

/**
 * error.html, complete.
 * @param {string} text of error.html
 * @param {string} code `not_found`, `misconfigured` or any public code
 */
export const errorPage = (text, code) => {
  const [title, words] =
    code === 'not_found'
      ? ['There is nothing at this address', 'The link may be old or mistyped. Start from your connections.']
      : code === 'misconfigured'
        ? ['This server is not set up correctly', 'Your administrator can see why in the log.']
        : ['That did not work', sentence(code)]
  return place(text, {
    message: html`<h1>${title}</h1>
      <p>${words}</p>`,
  })
}
