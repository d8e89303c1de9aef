// Runs the suites of scripts/suites.mjs one after another and adds them up.
//   node scripts/test.mjs                  everything
//   node scripts/test.mjs native vectors   the suites of that name, or whose name begins with `native-`, `vectors-`
//   node scripts/test.mjs --list           their names
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { counters } from './count.mjs'
import { root, toolEnv } from './paths.mjs'
import { suites } from './suites.mjs'

const stepTimeoutMs = 15 * 60_000
const shownHead = 8_000
const shownTail = 24_000

const args = process.argv.slice(2)
if (args.includes('--list')) {
  for (const suite of suites) console.log(suite.name)
  process.exit(0)
}
const chosen = choose(args)

const reports = `${root}/build/reports`
mkdirSync(reports, { recursive: true })

let child
let stopped = false
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    stopped = true
    endGroup(child, signal)
  })
}

const total = { passed: 0, failed: 0, skipped: 0 }
const failedSuites = []
const done = new Set()
for (const suite of chosen) {
  const result = await runSuite(suite)
  for (const key of Object.keys(total)) total[key] += result[key]
  if (result.failed > 0) failedSuites.push(suite.name)
  if (stopped) process.exit(130)
}
if (failedSuites.length > 0) console.log(`failed: ${failedSuites.join(' ')}`)
console.log(summary(total))
process.exitCode = total.failed === 0 ? 0 : 1

function choose(words) {
  const matches = (suite, word) => suite.name === word || suite.name.startsWith(`${word}-`)
  for (const word of words) {
    if (!suites.some((suite) => matches(suite, word))) {
      console.error(`no suite is called ${word}; there are: ${suites.map((suite) => suite.name).join(' ')}`)
      process.exit(2)
    }
  }
  return words.length === 0 ? suites : suites.filter((suite) => words.some((word) => matches(suite, word)))
}

async function runSuite(suite) {
  const began = Date.now()
  const sum = { passed: 0, failed: 0, skipped: 0 }
  const failures = []
  for (const [index, step] of suite.steps.entries()) {
    const report = `${reports}/${suite.name}-${index}`
    rmSync(report, { force: true })
    const command = step.command.map((word) => word.replaceAll('{report}', report))
    if (step.once && done.has(step)) continue
    const { code, output } = await runStep(suite, step, command, began)
    if (step.once && code === 0) done.add(step)
    const counted = (step.count ? counters[step.count] : undefined)?.({ code, output, report })
    const result = counted ?? { passed: 0, failed: 0, skipped: 0 }
    if (code !== 0 && result.failed === 0) result.failed = 1
    if (counted && result.passed + result.failed === 0) {
      result.failed = 1
      failures.push(`${step.name}: ran no test at all`)
    }
    for (const key of Object.keys(sum)) sum[key] += result[key]
    if (result.failed > 0) {
      writeFileSync(`${report}.log`, output)
      failures.push(
        `$ ${command.join(' ')}\n${shown(output.trimEnd(), `${report}.log`)}\n(exit code ${code})`,
      )
    }
    // Whatever follows needs what this step should have built.
    if (code !== 0 && !step.count) break
    if (stopped) break
  }
  progress('')
  console.log(`${suite.name.padEnd(18)} ${summary(sum).padEnd(36)} ${seconds(began)}`)
  for (const failure of failures) console.log(`--- ${suite.name}\n${failure}\n---`)
  return sum
}

// A screen takes so much; the file has it all.
function shown(output, path) {
  if (output.length <= shownHead + shownTail) return output
  return `${output.slice(0, shownHead)}\n... the whole is in ${path} ...\n${output.slice(-shownTail)}`
}

function runStep(suite, step, [file, ...words], began) {
  return new Promise((resolve) => {
    let output = ''
    let last = ''
    const show = () => progress(`${suite.name.padEnd(18)} ${step.name} ${seconds(began)} ${last}`)
    // A group of its own, so that a step that overruns is ended with everything it started.
    child = spawn(file, words, { cwd: root, env: toolEnv, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const group = child
    const ticker = setInterval(show, 1000)
    const deadline = setTimeout(() => {
      output += `\nended after ${stepTimeoutMs / 60_000} minutes`
      endGroup(group, 'SIGKILL')
    }, stepTimeoutMs)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
        last = text.trim().split('\n').at(-1) ?? ''
      })
    }
    const finish = (code) => {
      clearInterval(ticker)
      clearTimeout(deadline)
      resolve({ code, output })
    }
    child.on('error', (error) => {
      output += error.message
      finish(127)
    })
    child.on('close', (code) => finish(code ?? 1))
    show()
  })
}

function endGroup(group, signal) {
  try {
    if (group?.pid) process.kill(-group.pid, signal)
  } catch {
    // It has ended by itself.
  }
}

function progress(text) {
  if (!process.stdout.isTTY) return
  const printable = text.replace(/\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f]/g, '')
  process.stdout.write(`\r\x1b[K${printable.slice(0, (process.stdout.columns || 80) - 1)}`)
}

function seconds(began) {
  return `${Math.round((Date.now() - began) / 1000)} s`
}

function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
