/**
 * One run as it goes: its log, the connection to it in words, and how it ended. Closing the tab or killing the Worker
 * only interrupts the looking: the next look begins where the log does.
 */
import { connectRuns } from './latchkey-runs.js'
import { endWords, eventWords, lostWords, reasonWords, statusWords, threadWords } from './run-words.js'
import { absolute, relative } from './words.js'

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id))

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [facts] `on…` is a listener, `text` the content, the rest attributes
 * @param {...Node} children
 */
const make = (tag, facts = {}, ...children) => {
  const element =
    tag === 'rect' || tag === 'line' || tag === 'svg' || tag === 'use'
      ? svg(tag)
      : document.createElement(tag)
  for (const [name, value] of Object.entries(facts)) {
    if (name === 'text') element.textContent = String(value)
    else if (typeof value === 'function')
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value))
    else element.setAttribute(name, String(value))
  }
  element.append(...children)
  return element
}
/** @param {string} tag */
const svg = (tag) => document.createElementNS('http://www.w3.org/2000/svg', tag)
/** @param {string} name */
const icon = (name) => {
  const picture = make('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' })
  picture.append(make('use', { href: `#${name}` }))
  return picture
}

const live = byId('live')
/** @param {string} text said by a screen reader, shown nowhere */
const say = (text) => {
  live.textContent = ''
  setTimeout(() => (live.textContent = text), 100)
}

/** @param {number} at */
const clock = (at) =>
  new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(at)

/**
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
const ask = async (path, body) => {
  const sent = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const headers = {
    accept: 'application/json',
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  const response = await fetch(path, { ...sent, headers, cache: 'no-store', redirect: 'error' })
  const answer = await response.json().catch(() => null)
  if (response.ok && answer !== null) return answer
  throw new Error(String(answer?.error))
}

const id = /^\/runs\/([\w-]+)$/.exec(location.pathname)?.[1]
if (id === undefined) await showList()
else await showRun(id)

/** @param {string} runId */
async function showRun(runId) {
  const region = byId('run')
  region.hidden = false
  const frame = byId('main')
  const events = byId('events')
  const text = byId('text')
  const wire = byId('wire')
  /** @type {{ at: number, end?: boolean, gap?: boolean }[]} */
  const marks = []

  /** @param {string} status */
  const tell = (status) => {
    frame.dataset.run = status
    byId('status').replaceChildren(icon(status), statusWords(status))
    document.title = `${statusWords(status)} – Latchkey`
  }
  let countdown = 0
  /**
   * @param {'opening' | 'open' | 'lost' | 'closed'} state
   * @param {string} words
   */
  const connection = (state, words) => {
    clearInterval(countdown)
    if (wire.textContent === words) return
    wire.dataset.wire = state
    wire.textContent = words
    if (state !== 'opening') say(words)
  }
  const draw = () => {
    const [first] = marks
    if (!first) return
    const last = marks[marks.length - 1] ?? first
    const span = Math.max(1, last.at - first.at)
    /** @param {number} at */
    const x = (at) => 8 + ((at - first.at) / span) * 584
    byId('line').replaceChildren(
      make('line', { class: 'base', x1: 8, x2: 592, y1: 20, y2: 20 }),
      ...marks.map(({ at, end, gap }, n) =>
        gap
          ? make('line', {
              class: 'gap',
              x1: x(marks[n - 1]?.at ?? at),
              x2: x(marks[n + 1]?.at ?? at),
              y1: 20,
              y2: 20,
            })
          : make('rect', {
              class: end ? 'end' : 'entry',
              x: x(at) - 2,
              y: end ? 6 : 12,
              width: 4,
              height: end ? 28 : 16,
            }),
      ),
    )
    const entries = marks.filter(({ gap }) => !gap).length
    const gaps = marks.length - entries
    const seconds = Math.round(span / 1_000)
    byId('line-words').textContent =
      `${entries} ${entries === 1 ? 'entry' : 'entries'} in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}` +
      (gaps > 0
        ? `; the connection was lost ${gaps === 1 ? 'once' : `${gaps} times`} while this page looked, and no entry with it.`
        : '.')
  }

  const actions = byId('actions')
  const offerStop = () => {
    const question = () => {
      const keep = make('button', {
        class: 'button',
        type: 'button',
        text: 'Let it go on',
        onclick: offerStop,
      })
      const stop = make('button', {
        class: 'button danger',
        type: 'button',
        text: 'Stop this run',
        onclick: () => {
          actions.replaceChildren()
          ask(`/api/runs/${runId}/abort`, {}).catch(() => {
            offerStop()
            say('It could not be stopped. Try again in a minute.')
          })
        },
      })
      actions.replaceChildren(
        make('p', { text: 'Stopping ends the work where it is. It does not go on by itself.' }),
        keep,
        stop,
      )
      keep.focus()
    }
    actions.replaceChildren(
      make('button', { class: 'button', type: 'button', text: 'Stop …', onclick: question }),
    )
  }

  byId('copy').addEventListener('click', () => {
    navigator.clipboard.writeText(text.textContent ?? '').then(
      () => say('Copied.'),
      () => say('It could not be copied. Select the text instead.'),
    )
  })
  byId('title').textContent = 'Run'
  tell('running')
  const taken = () => (byId('taken').textContent = `Last heard ${clock(Date.now())}.`)

  const runs = connectRuns({
    base: '',
    notify: (news) => {
      if (news.news === 'connected') {
        connection('open', 'Connected. New entries appear as they are written.')
        taken()
      }
      if (news.news !== 'dropped') return
      const { reason, retryMs } = news
      const until = Date.now() + retryMs
      connection('lost', lostWords(reason, retryMs))
      // Said once, shown as it passes.
      countdown = setInterval(() => {
        wire.textContent = lostWords(reason, until - Date.now())
      }, 1_000)
      if (marks.length === 0 || marks[marks.length - 1]?.gap) return
      marks.push({ at: marks[marks.length - 1]?.at ?? Date.now(), gap: true })
      events.append(
        make('li', {
          class: 'gap',
          text: 'Here the connection was lost. What follows was written meanwhile or after.',
        }),
      )
    },
  })
  ask(`/api/runs/${runId}`).then(
    (view) => {
      byId('lead').textContent = `${threadWords(view.threadId)}, started ${absolute(view.startedAt)}.`
      if (view.status === 'running' && frame.dataset.run === 'running') offerStop()
    },
    () => undefined,
  )
  for await (const item of runs.follow(runId)) {
    if (item.local) {
      delete frame.dataset.run
      byId('status').textContent = 'Cannot be shown'
      byId('why').textContent = reasonWords(item.end.code)
      connection('closed', 'Nothing more is to come.')
      break
    }
    taken()
    byId('empty').hidden = true
    const words = item.end ? statusWords(item.end.status) : eventWords(item.type, item.data)
    const time = make('time', {
      datetime: new Date(item.at).toISOString(),
      title: absolute(item.at),
      text: clock(item.at),
    })
    events.append(
      make(
        'li',
        item.end ? { class: 'last' } : {},
        make('span', { class: 'no', text: item.seq }),
        time,
        make('span', { class: 'what', text: words }),
      ),
    )
    text.textContent += `${JSON.stringify(item)}\n`
    marks.push({ at: item.at, end: item.end !== undefined })
    draw()
    if (!item.end) continue
    actions.replaceChildren()
    tell(item.end.status)
    byId('why').textContent = endWords(item.end)
    connection('closed', 'The log is complete.')
    say(`${statusWords(item.end.status)}. ${endWords(item.end)}`)
  }
}

async function showList() {
  byId('title').textContent = 'Runs'
  document.title = 'Runs – Latchkey'
  byId('list').hidden = false
  const place = byId('runs')
  const session = await ask('/api/session').catch(() => null)
  if (session?.dev) {
    const problem = make('p', {})
    const start = make('button', {
      class: 'button primary',
      type: 'button',
      text: 'Start a demonstration run',
      onclick: async () => {
        try {
          const { runId } = await ask('/dev/runs', {})
          location.assign(`/runs/${runId}`)
        } catch {
          problem.textContent = 'It could not be started. Try again in a minute.'
          say(problem.textContent)
        }
      },
    })
    byId('demonstration').append(
      make(
        'div',
        { class: 'panel' },
        make('p', {
          text: 'It writes an entry a second for half a minute. Close the tab, or end the Worker and start it again: the run goes on, and its page shows all of it.',
        }),
        make('div', { class: 'run-actions' }, start),
        problem,
      ),
    )
  }
  try {
    const { indexed, runs } = await ask('/api/runs?limit=50')
    if (!indexed || runs.length === 0) {
      const words = indexed
        ? 'No run has been started yet.'
        : 'There is no list of runs here. Open a run by its own address.'
      place.replaceChildren(make('div', { class: 'panel' }, make('p', { text: words })))
      return
    }
    const head = ['Started', 'Thread', 'How it went'].map((name) => make('th', { scope: 'col', text: name }))
    const rows = runs.map((run) =>
      make(
        'tr',
        {},
        make(
          'td',
          {},
          make('a', {
            href: `/runs/${run.id}`,
            title: absolute(run.started),
            text: relative(run.started, Date.now()),
          }),
        ),
        make('td', { text: threadWords(run.thread) }),
        make(
          'td',
          { 'data-run': run.status },
          make(
            'span',
            { class: 'status' },
            icon(run.status),
            make('span', { text: statusWords(run.status) }),
          ),
          make('p', { text: run.cause === null ? '' : reasonWords(run.cause) }),
        ),
      ),
    )
    place.replaceChildren(
      make(
        'table',
        { class: 'runs' },
        make('caption', { class: 'sr', text: 'The newest 50 runs' }),
        make('thead', {}, make('tr', {}, ...head)),
        make('tbody', {}, ...rows),
      ),
    )
    byId('taken').textContent = `As of ${clock(Date.now())}.`
  } catch (error) {
    place.replaceChildren(
      make(
        'div',
        { class: 'panel' },
        make('p', { text: reasonWords(error instanceof Error ? error.message : '') }),
      ),
    )
  }
}
