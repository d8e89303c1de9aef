/**
 * The living part of the Connections page: status that keeps up, the question before a disconnect, the words after a
 * return from a provider, and the check of its signed answer. Without it the page still connects and disconnects.
 *
 * @typedef {import('./view.js').Session} Session
 * @typedef {import('./view.js').Connection} Connection
 * @typedef {import('./view.js').Proof} Proof
 * @typedef {import('./view.js').Why} Why
 * @typedef {import('./view.js').Asked} Asked
 */
import {
  card,
  cards,
  choice,
  complete,
  keyOf,
  notice,
  outcome,
  ownerSwitch,
  replacesOwn,
  shownIn,
  signedOut,
  titleOf,
  unavailable,
  who,
  whys,
} from './view.js'
import { absolute, sentence, statusWord, timePhrase } from './words.js'

const pollMs = 20_000
const hurryMs = 2_000 // while something is refreshing
const slowestMs = 120_000
const answerMs = 15_000
const wordsMs = 2_000 // nothing waits longer without words
const unreachable = 'We cannot be reached right now. Try again in a minute.'
const stateMs = 600_000 // life of a signed state, and so of what there is to verify

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id))
const region = {
  who: byId('who'),
  switch: byId('switch'),
  notice: byId('notice'),
  cards: byId('cards'),
  whys: byId('whys'),
  taken: byId('taken'),
}
const live = byId('live')
const bar = byId('bar')
const query = new URLSearchParams(location.search)
let shown = shownIn(query)

/** @type {Session | null} */
let session = null
/** @type {Connection[]} */
let rows = []
/** @type {Map<string, Proof>} */
const proofs = new Map()
/** @type {Why[]} */
let reasons = []
/** @type {Map<string, Asked>} the repository that was asked about last, by provider */
const asked = new Map()
/** What the reasons were last asked for. */
let reasonsFor = ''
/** @type {Map<string, string>} what each card was last drawn from */
const drawn = new Map()
let takenAt = 0
let failures = 0
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer

class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} code
   */
  constructor(status, code) {
    super(code)
    this.status = status
    this.code = code
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<any>} the JSON answer; a refusal throws `Refusal`, no answer throws what `fetch` throws
 */
const ask = async (path, init) => {
  const response = await fetch(path, {
    headers: { accept: 'application/json' },
    cache: 'no-store',
    redirect: 'error',
    signal: AbortSignal.timeout(answerMs),
    ...init,
  })
  const body = await response.json().catch(() => null)
  if (response.ok && body !== null) return body
  const busy = response.status === 502 || response.status === 503 || response.status === 504
  throw new Refusal(response.status, busy ? 'temporarily_unavailable' : String(body?.error))
}

/** @param {string} text said by a screen reader, shown nowhere */
const say = (text) => {
  live.textContent = ''
  setTimeout(() => (live.textContent = text), 100)
}

/**
 * @param {'good' | 'bad' | 'offline'} tone
 * @param {string} text
 * @param {'Dismiss' | 'Try again' | 'Reload'} [action]
 */
const tell = (tone, text, action = 'Dismiss') => {
  const [words, button] = [bar.querySelector('p'), bar.querySelector('button')]
  if (!words || !button || (!bar.hidden && words.textContent === text)) return
  bar.dataset.tone = tone
  words.textContent = text
  button.textContent = action
  button.dataset.action = { Dismiss: 'dismiss', 'Try again': 'retry', Reload: 'reload' }[action]
  button.hidden = tone === 'offline'
  bar.hidden = false
  say(text)
}

/** Takes back words about trouble that is over; a result stays until it is dismissed. */
const calm = () => {
  if (bar.dataset.tone !== 'good') bar.hidden = true
}

/** @param {string} markup from view.js, where every value is escaped */
const element = (markup) => {
  const template = document.createElement('template')
  template.innerHTML = markup
  return /** @type {HTMLElement} */ (template.content.firstElementChild)
}

/** @param {Connection} row */
const find = (row) =>
  /** @type {HTMLElement | undefined} */ (
    [...region.cards.querySelectorAll('.card')].find(
      (node) =>
        node instanceof HTMLElement &&
        node.dataset.provider === row.provider &&
        node.dataset.owner === row.owner.kind,
    )
  )

/**
 * Puts the new card where the old one was; an open question and the focus stay where they are.
 * @param {HTMLElement} old
 * @param {HTMLElement} fresh
 */
const replace = (old, fresh) => {
  const same = 'a, button, summary, h3'
  const focus = [...old.querySelectorAll(same)].indexOf(/** @type {Element} */ (document.activeElement))
  const had = old.contains(document.activeElement)
  for (const kind of ['.ask', '.proof']) {
    const [before, after] = [old.querySelector(kind), fresh.querySelector(kind)]
    if (before instanceof HTMLDetailsElement && after instanceof HTMLDetailsElement) after.open = before.open
  }
  const alike = old.dataset.status === fresh.dataset.status
  old.replaceWith(fresh)
  if (!had) return
  const target =
    fresh.querySelectorAll(same)[alike ? focus : -1] ??
    fresh.querySelector('.actions a') ??
    fresh.querySelector('h3')
  if (target instanceof HTMLElement) target.focus({ preventScroll: true })
}

const draw = () => {
  if (!session) return
  const me = session
  const now = Date.now()
  const all = complete(me, rows, shown)
  const there = [...region.cards.querySelectorAll('.card:not(.skeleton)')]
  if (there.length !== all.length || all.length === 0 || !all.every(find)) {
    region.cards.innerHTML = String(cards(me, rows, now, proofs, shown))
    drawn.clear()
  }
  for (const row of all) {
    const proof = proofs.get(keyOf(row))
    const replaces = replacesOwn(row, rows)
    const facts = JSON.stringify([row, proof, replaces, shown, me.org, me.role, me.connectEnabled])
    if (drawn.get(keyOf(row)) === facts) continue
    drawn.set(keyOf(row), facts)
    const old = find(row)
    if (old) replace(old, element(String(card(me, row, now, { proof, shown, replaces }))))
  }
  tick()
}

/** Puts the new reasons where the old ones were; what is open stays open. */
const drawReasons = () => {
  if (!session) return
  const me = session
  const there = [...region.whys.querySelectorAll('.choice')]
  const names = there.map((node) => (node instanceof HTMLElement ? node.dataset.provider : ''))
  if (names.join() !== reasons.map(({ provider }) => provider).join()) {
    region.whys.innerHTML = String(whys(me, reasons, [...asked.values()]) || '')
    return
  }
  for (const [index, why] of reasons.entries()) {
    const title = titleOf(me, why.provider)
    const [old, fresh] = [there[index], element(String(choice(me, title, why, asked.get(why.provider))))]
    const [before, after] = [old?.querySelector('details'), fresh.querySelector('details')]
    if (before && after) after.open = before.open
    if (!old || old.outerHTML === fresh.outerHTML) continue
    // What is being typed stays, too.
    const [typed, field] = [old.querySelector('.at [name=repo]'), fresh.querySelector('.at [name=repo]')]
    if (typed instanceof HTMLInputElement && field instanceof HTMLInputElement) field.value = typed.value
    const same = 'summary, input:not([type=hidden]), button'
    const focus = [...old.querySelectorAll(same)].indexOf(/** @type {Element} */ (document.activeElement))
    old.replaceWith(fresh)
    const target = fresh.querySelectorAll(same)[focus]
    if (target instanceof HTMLElement) target.focus({ preventScroll: true })
  }
}

/** Asks why only when something has changed that could be a reason. */
const refreshReasons = async () => {
  if (!session) return
  const facts = JSON.stringify([session, rows.map((row) => [keyOf(row), row.status])])
  if (facts === reasonsFor) return
  const names = session.providers.map(({ name }) => encodeURIComponent(name))
  const [all] = await Promise.all([
    Promise.all(names.map((name) => ask(`/api/connections/${name}/why`))),
    ...[...asked.values()].map(askActing),
  ])
  reasons = all
  reasonsFor = facts
  drawReasons()
}

/**
 * Who acts there now; why that is not known is an answer too.
 * @param {Asked} about
 */
const askActing = async ({ provider, repo }) => {
  const path = `/api/connections/${encodeURIComponent(provider)}/why?repo=${encodeURIComponent(repo)}`
  try {
    const { acting } = await ask(path)
    asked.set(provider, { provider, repo, acting })
  } catch (error) {
    const code = error instanceof Refusal ? error.code : 'temporarily_unavailable'
    asked.set(provider, { provider, repo, code })
  }
}

/** @param {HTMLFormElement} form */
const showActing = async (form) => {
  const button = form.querySelector('button')
  const { why, repo } = Object.fromEntries(new FormData(form))
  if (!session || !button || typeof why !== 'string' || typeof repo !== 'string') return form.submit()
  if (button.ariaDisabled === 'true') return
  button.ariaDisabled = 'true'
  await askActing({ provider: why, repo })
  button.ariaDisabled = null
  drawReasons()
  const told = [...region.whys.querySelectorAll('.choice')].find(
    (node) => node instanceof HTMLElement && node.dataset.provider === why,
  )
  say(told?.querySelector('.actor, .problem')?.textContent ?? '')
}

/** Leaves the links alone that are right already, and with them the focus. */
const drawSwitch = () => {
  if (!session) return
  const markup = ownerSwitch(session, shown)
  const fresh = markup && element(String(markup))
  if (region.switch.firstElementChild?.outerHTML !== fresh?.outerHTML)
    region.switch.replaceChildren(...(fresh ? [fresh] : []))
}

/** @param {string} search of the address that is shown now */
const show = (search) => {
  shown = shownIn(new URLSearchParams(search))
  drawSwitch()
  drawn.clear()
  draw()
}

/** Keeps the relative times true, and puts the absolute ones into the reader's own time zone. */
const tick = () => {
  const now = Date.now()
  for (const time of document.querySelectorAll('time')) {
    const at = Date.parse(time.dateTime)
    const words = timePhrase(time.dataset.kind ?? 'at', at, now)
    if (time.textContent !== words) time.textContent = words
    time.title = absolute(at)
  }
  if (takenAt === 0) return
  const clock = new Date(takenAt).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
  region.taken.textContent = `As of ${clock}`
}

/** @param {unknown} error */
const trouble = (error) => {
  if (!navigator.onLine)
    return tell('offline', 'You are offline. This is what we last knew; it updates when you are back.')
  if (error instanceof Refusal && error.status === 401) {
    if (region.cards.querySelector('.card:not(.skeleton)'))
      tell('bad', 'You are no longer signed in. Reload to sign in again.', 'Reload')
    else if (!region.cards.querySelector('.panel')) region.cards.innerHTML = String(signedOut(false))
    return
  }
  const text = error instanceof Refusal ? sentence(error.code) : unreachable
  if (region.cards.querySelector('.card:not(.skeleton)'))
    tell('bad', `${text} This is what we last knew.`, 'Try again')
  else region.cards.innerHTML = String(unavailable(text))
}

const refresh = async () => {
  clearTimeout(timer)
  try {
    const [me, fresh] = await Promise.all([ask('/api/session'), ask('/api/connections')])
    const before = new Map(rows.map((row) => [keyOf(row), row.status]))
    if (JSON.stringify(me) !== JSON.stringify(session)) region.who.innerHTML = String(who(me))
    session = me
    drawSwitch()
    rows = fresh
    takenAt = Date.now()
    failures = 0
    draw()
    calm()
    for (const row of rows) {
      const was = before.get(keyOf(row))
      if (was && was !== row.status) say(`${row.title}: ${statusWord(row.status, row.title)}`)
    }
    await refreshReasons()
  } catch (error) {
    failures += 1
    trouble(error)
    if (error instanceof Refusal && error.status === 401) return // nothing changes until somebody signs in
  }
  schedule()
}

const schedule = () => {
  clearTimeout(timer)
  if (document.hidden) return
  const wait = rows.some((row) => row.status === 'refreshing') ? hurryMs : pollMs
  timer = setTimeout(refresh, Math.min(wait * 2 ** failures, slowestMs))
}

/**
 * What finished the sign-in, checked once more here: with the public keys, for this page's own origin and this person.
 * @param {Connection} row
 * @param {Session} me
 */
const prove = async (row, me) => {
  /** @param {Proof} [proof] */
  const show = (proof) => {
    const now = rows.find((other) => keyOf(other) === keyOf(row))
    if (proof && now?.status === 'connected') proofs.set(keyOf(row), proof)
    else proofs.delete(keyOf(row))
    draw()
  }
  const name = encodeURIComponent(row.provider)
  // Whoever made the organisation's may be somebody else, and then there is nothing to show.
  if (row.owner.kind === 'user') show('checking')
  try {
    const [{ token }, jwks, { loadVerifier, skipBinding }] = await Promise.all([
      ask(`/api/connections/${name}/state?owner=${row.owner.kind}`),
      ask('/.well-known/jwks.json'),
      import(verifierPath),
    ])
    const verifier = await loadVerifier()
    verifier.state.verify(jwks, token, {
      now: Date.now(),
      issuer: location.origin,
      audience: `${location.origin}/callback/${name}`,
      flow: 'connect',
      provider: row.provider,
      subject: me.subject,
      binding: skipBinding, // the cookie is not readable by scripts; the Worker has compared it
    })
    show('verified')
  } catch (error) {
    const gone = error instanceof Refusal && error.status === 404 // its ten minutes are over
    const others = error instanceof Error && 'code' in error && error.code === 'subject_mismatch'
    show(gone || others ? undefined : 'failed')
  }
}

const verifierPath = '/latchkey-verify.js'

/**
 * @param {string} title
 * @param {{ deleted: boolean, revoked: boolean, reason?: string }} result
 */
const farewell = (title, { deleted, revoked, reason }) => {
  if (!deleted && !reason) return `${title} was connected anew meanwhile, and stays connected.`
  if (!deleted) return `${title} was already disconnected.`
  if (revoked) return `${title} is disconnected, here and at ${title}.`
  return `${title} is disconnected here. ${title} did not confirm it: end the access in your settings there, too.`
}

/** @param {HTMLFormElement} form */
const disconnect = async (form) => {
  const node = /** @type {HTMLElement} */ (form.closest('.card'))
  const row = rows.find((row) => find(row) === node)
  const button = form.querySelector('.danger')
  const problem = form.querySelector('.problem')
  if (!row || !(button instanceof HTMLButtonElement) || !(problem instanceof HTMLElement))
    return form.submit()
  if (button.ariaDisabled === 'true') return
  const label = button.textContent
  button.ariaDisabled = 'true'
  button.textContent = 'Disconnecting…'
  problem.textContent = ''
  problem.hidden = true
  try {
    const path = `/api/connections/${encodeURIComponent(row.provider)}?owner=${row.owner.kind}`
    const result = await ask(path, { method: 'DELETE', headers: { 'content-type': 'application/json' } })
    if (!result.deleted) {
      problem.textContent =
        result.reason === 'replaced'
          ? `${row.title} was connected again meanwhile, and that connection stays. Reload to see it.`
          : `${row.title} did not confirm it, so nothing was changed. Try again in a minute.`
      return
    }
    // What was said of the sign-in that ends here is over.
    region.notice.replaceChildren()
    proofs.delete(keyOf(row))
    await refresh()
    tell('good', farewell(row.title, result))
  } catch (error) {
    const names = { provider: row.title, organisation: session?.org }
    problem.textContent = error instanceof Refusal ? sentence(error.code, names) : unreachable
  } finally {
    problem.hidden = !problem.textContent
    if (!problem.hidden) say(problem.textContent)
    button.ariaDisabled = 'false'
    button.textContent = label
  }
}

/** @param {HTMLElement} button beside what it copies */
const copy = async (button) => {
  try {
    await navigator.clipboard.writeText(button.parentElement?.querySelector('code')?.textContent ?? '')
    say('Copied.')
  } catch {
    say('This browser does not let us copy it.')
  }
}

/** @param {HTMLDetailsElement} details */
const close = (details) => {
  details.open = false
  details.querySelector('summary')?.focus()
}

document.addEventListener('submit', (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target)
  if (form.dataset.action !== 'disconnect' && form.dataset.action !== 'acting') return
  event.preventDefault()
  void (form.dataset.action === 'disconnect' ? disconnect(form) : showActing(form))
})

document.addEventListener('click', (event) => {
  const control = /** @type {Element} */ (event.target).closest('[data-action]')
  if (!(control instanceof HTMLElement)) return
  const details = control.closest('details')
  switch (control.dataset.action) {
    case 'keep':
      if (details) close(details)
      break
    case 'dismiss':
      if (bar.contains(control)) bar.hidden = true
      else region.notice.replaceChildren()
      byId('main').focus({ preventScroll: true })
      break
    case 'retry':
      void refresh()
      break
    case 'explain': {
      const reason = document.getElementById(control.getAttribute('aria-describedby') ?? '')
      if (reason) say(reason.textContent)
      break
    }
    case 'copy':
      void copy(control)
      break
    case 'show':
      // Until it is known who is looking, it is a link like any other.
      if (!session || !(control instanceof HTMLAnchorElement)) break
      if (event.metaKey || event.ctrlKey || event.shiftKey) break
      event.preventDefault()
      history.pushState(null, '', control.href)
      show(control.search)
      region.switch.querySelector('[aria-current]')?.focus()
      break
    case 'reload':
      location.reload()
      break
  }
})

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return
  const focused = document.activeElement?.closest('details[open]')
  const open = focused ?? document.querySelector('#cards details[open], #whys details[open]')
  if (open instanceof HTMLDetailsElement) close(open)
  else if (!bar.hidden && bar.dataset.tone === 'good') bar.hidden = true
})

addEventListener('popstate', () => show(location.search))
addEventListener('online', () => void refresh())
addEventListener('offline', () => trouble(null))
addEventListener('pageshow', (event) => event.persisted && void refresh())
document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : void refresh()))
setInterval(tick, 30_000)

const start = async () => {
  document.documentElement.dataset.live = ''
  const filled = region.cards.childElementCount > 0
  if (!filled) {
    region.cards.append(/** @type {HTMLTemplateElement} */ (byId('loading')).content.cloneNode(true))
    setTimeout(() => region.cards.querySelector('.waiting')?.removeAttribute('hidden'), wordsMs)
  }
  tick()
  const [provider, repo] = [query.get('why'), query.get('repo')]
  if (provider && repo) asked.set(provider, { provider, repo })
  if (!filled || region.who.childElementCount > 0) await refresh() // a page made for nobody asks nothing

  const told = outcome(query, session, rows)
  if (told && !region.notice.childElementCount) region.notice.innerHTML = String(notice(told))
  if (told) say(told.text)
  const clean = new URL(location.href)
  for (const name of ['connected', 'disconnected', 'error', 'provider']) clean.searchParams.delete(name)
  if (clean.href !== location.href) history.replaceState(history.state, '', clean)

  const me = session
  if (!me) return
  for (const row of rows) {
    const young = Date.now() - (row.connectedAt ?? 0) < stateMs
    if (row.status === 'connected' && (young || row.provider === query.get('connected'))) void prove(row, me)
  }
}

void start()
