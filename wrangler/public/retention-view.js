/**
 * The retention page as text: first a picture, then the table, then the raw values. Pure, as view.js is.
 *
 * @typedef {{ kind: string, windowMs: number, removedBy: string, count: number, objects: number, oldest: number | null,
 *   nextDue: number | null, overdue: number, at: number | null }} Kind
 * @typedef {{ at: number, intervalMs: number, counted: boolean, kinds: readonly Kind[],
 *   derived: readonly string[] }} Report
 */
import { html, icon, place } from './view.js'
import { absolute, relative } from './words.js'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** Title and what it is for. @type {Record<string, [string, string]>} */
const words = {
  consumed_state: ['Used sign-ins', 'so that none is finished twice'],
  connect_link: ['Connect links', 'and for as long again what came of them'],
  access_cache: ['Repository access', 'answers of a provider'],
  rejected_pair: ['Refused credentials', 'so that they are not offered again'],
  run: ['Runs', 'with their events'],
  delivery: ['Webhook deliveries', 'so that none is taken twice'],
  rate_window: ['Rate windows', 'how much of a limit was used'],
  session: ['Sessions', 'with their messages'],
  tombstone: ['Ended connections', 'why they ended; no token'],
  counter: ['Counters', 'since they last counted'],
  claim: ['Account claims', 'renewed while the connection is there'],
  app_token: ['Tokens of apps', 'for one repository each'],
  installation: ['Installation news', 'so that old news changes nothing'],
  installed: ['App installations', 'as a person sees them'],
  acting: ['Acting apps', 'for a person, while the capability lasts'],
}

/** @param {string} kind */
const titleOf = (kind) => words[kind]?.[0] ?? kind

/** @type {[string, number][]} */
const units = [
  ['day', day],
  ['hour', hour],
  ['minute', minute],
  ['second', second],
]

/**
 * "11 minutes 5 seconds": exact to the second, the two largest units that it has.
 * @param {number} ms
 */
export const duration = (ms) => {
  const parts = []
  let left = Math.max(0, ms)
  for (const [unit, length] of units) {
    const count = Math.floor(left / length)
    left -= count * length
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`)
  }
  return parts.slice(0, 2).join(' ') || 'less than a second'
}

const from = minute
const to = 400 * day
/** @type {[string, number, boolean][]} the last: also where there is little room */
const ticks = [
  ['1 min', minute, true],
  ['15 min', 15 * minute, false],
  ['1 h', hour, true],
  ['6 h', 6 * hour, false],
  ['1 d', day, true],
  ['7 d', 7 * day, true],
  ['30 d', 30 * day, false],
  ['400 d', 400 * day, true],
]

/**
 * Where an age stands on the logarithmic scale, in per cent of the width; a little room is left on both sides.
 * @param {number} ms
 */
export const position = (ms) => {
  const share = Math.log(Math.max(ms, from) / from) / Math.log(to / from)
  return Math.round(1_000 * Math.min(1, share)) / 10
}

/** @param {number} ms */
const x = (ms) => `${position(ms)}%`

/**
 * @param {number} now
 * @param {number | null} at
 */
const time = (now, at) =>
  at === null
    ? html`<span class="soft">–</span>`
    : html`<time datetime="${new Date(at).toISOString()}" title="${absolute(at, 'UTC')}"
        >${relative(at, now)}</time
      >`

/** @param {Kind} row */
const standing = ({ count, overdue, removedBy }) => {
  if (removedBy === 'store') return { tone: 'none', word: 'Expires by itself' }
  if (removedBy === 'nobody') return { tone: 'none', word: 'None are stored' }
  if (overdue > 0)
    return { tone: 'bad', word: `Overdue in ${overdue} ${overdue === 1 ? 'object' : 'objects'}` }
  return count > 0 ? { tone: 'good', word: 'In time' } : { tone: 'none', word: 'Nothing kept' }
}

const axis = html`<svg class="axis" width="100%" height="22" aria-hidden="true">
  ${ticks.map(
    ([label, ms, always], index) =>
      html`<text
        x="${x(ms)}"
        y="15"
        text-anchor="${index === 0 ? 'start' : index === ticks.length - 1 ? 'end' : 'middle'}"
        class="${always ? '' : 'roomy'}"
        >${label}</text
      >`,
  )}
</svg>`

const grid = ticks.map(([, ms]) => html`<line x1="${x(ms)}" x2="${x(ms)}" y1="0" y2="28" class="tick" />`)

/**
 * @param {Kind} row
 * @param {number} now
 */
const bar = (row, now) => {
  const { kind, windowMs, count, oldest, overdue } = row
  const { tone, word } = standing(row)
  const age = oldest === null ? null : Math.max(0, now - oldest)
  const title = titleOf(kind)
  const label =
    `${title}: kept for ${duration(windowMs)}. ${word}.` +
    (age === null ? '' : ` The oldest of ${count} is ${duration(age)} old.`)
  return html`<li class="lane" data-kind="${kind}" data-tone="${tone}">
    <p class="what"><b>${title}</b> <span>${words[kind]?.[1] ?? ''}</span></p>
    <svg class="bar" width="100%" height="28" role="img" aria-label="${label}">
      ${grid}
      <rect class="window" x="0" y="8" width="${x(windowMs)}" height="12" rx="6" />
      ${
        age !== null &&
        (overdue > 0
          ? html`<svg x="${x(age)}" y="14" class="mark" overflow="visible">
              <path class="late" d="M0-9 9 0 0 9-9 0z" />
            </svg>`
          : html`<circle class="oldest" cx="${x(age)}" cy="14" r="6" />`)
      }
    </svg>
    <p class="due">
      <span class="status">${icon(tone)}${word}</span>
      ${row.nextDue !== null && html`<span>${row.nextDue <= now ? 'was' : 'next'} due ${time(now, row.nextDue)}</span>`}
    </p>
  </li>`
}

/** @param {Report} report */
const picture = ({ kinds, at }) =>
  html`<section aria-labelledby="picture" class="sheet picture">
    <h2 id="picture">How old records may grow, and how old the oldest is</h2>
    <ul class="legend">
      <li>
        <svg width="28" height="14" aria-hidden="true">
          <rect class="window" y="2" width="28" height="10" rx="5" /></svg
        >window
      </li>
      <li>
        <svg width="14" height="14" aria-hidden="true"><circle class="oldest" cx="7" cy="7" r="5.5" /></svg
        >oldest record
      </li>
      <li>
        <svg width="16" height="16" aria-hidden="true"><path class="late" d="M8 0l8 8-8 8-8-8z" /></svg
        >overdue
      </li>
    </ul>
    <ul class="lanes">
      ${kinds.map((row) => bar(row, at))}
    </ul>
    ${axis}
    <p class="unit">Age since a record was made, on a logarithmic scale.</p>
  </section>`

/** What has no record. @type {Record<string, string>} */
const derivations = {
  pkce_verifier: 'PKCE verifiers are not stored: each is derived again from the keys when it is needed.',
}

/** @param {Report} report */
const table = ({ kinds, at, derived }) =>
  html`<section aria-labelledby="table">
    <h2 id="table">Kinds of records</h2>
    <div class="scroll" role="region" aria-labelledby="table" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Kind</th>
            <th scope="col">Kept for</th>
            <th scope="col" class="number">Records</th>
            <th scope="col" class="number">Objects</th>
            <th scope="col">Oldest</th>
            <th scope="col">Next due</th>
            <th scope="col">State</th>
            <th scope="col">Taken</th>
          </tr>
        </thead>
        <tbody>
          ${kinds.map((row) => {
            const { tone, word } = standing(row)
            return html`<tr data-tone="${tone}">
              <th scope="row">${titleOf(row.kind)}</th>
              <td>${duration(row.windowMs)}</td>
              <td class="number">${row.removedBy === 'store' ? 'not counted' : row.count}</td>
              <td class="number">${row.removedBy === 'store' ? '–' : row.objects}</td>
              <td>${time(at, row.oldest)}</td>
              <td>${time(at, row.nextDue)}</td>
              <td><span class="status">${icon(tone)}${word}</span></td>
              <td>${time(at, row.at)}</td>
            </tr>`
          })}
        </tbody>
      </table>
    </div>
    <p class="unit">
      What expires by itself is removed by its store, which is not asked how much there is.
      ${derived.map((name) => derivations[name] ?? '')}
    </p>
  </section>`

/**
 * retention.html, complete.
 * @param {string} text of retention.html
 * @param {Report} report
 */
export const retentionView = (text, report) => {
  const late = report.kinds.filter(({ overdue }) => overdue > 0)
  const told = !report.counted
    ? ['bad', 'No database is bound, so records are not counted here. The windows below hold all the same.']
    : late.length > 0
      ? [
          'bad',
          `Overdue: ${late.map(({ kind }) => titleOf(kind)).join(', ')}. The log says which sweep failed.`,
        ]
      : ['good', `Nothing is overdue. Sweeps run every ${duration(report.intervalMs)}.`]
  const [tone = '', words_ = ''] = told
  return place(text, {
    notice: html`<div class="notice ${tone}">
      ${icon(tone)}
      <p>${words_}</p>
    </div>`,
    picture: picture(report),
    table: table(report),
    raw: html`<section>
      <details class="raw">
        <summary class="button small">Raw values</summary>
        <p>Times in milliseconds since 1970-01-01 UTC, lengths in milliseconds.</p>
        <pre tabindex="0">${JSON.stringify(report, null, 2)}</pre>
      </details>
    </section>`,
    taken: html`Taken
      <time datetime="${new Date(report.at).toISOString()}">${absolute(report.at, 'UTC')}</time>`,
  })
}
