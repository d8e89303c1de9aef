// How many tests a step ran: one reader per kind of report. Each takes { code, output, report } and returns
// { passed, failed, skipped }; nothing readable counts as nothing run.
import { existsSync, readFileSync } from 'node:fs'

const nothing = () => ({ passed: 0, failed: 0, skipped: 0 })
const read = (report) => (existsSync(report) ? readFileSync(report, 'utf8') : '')

export const counters = {
  // A check that either holds or does not.
  one: ({ code }) => ({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 }),

  // Catch2 with `--reporter xml::out={report}`.
  catch2: ({ report }) => {
    const cases = read(report).match(/<OverallResultsCases ([^>]*)\/>/)?.[1]
    if (!cases) return nothing()
    const number = (name) => Number(cases.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? 0)
    return { passed: number('successes'), failed: number('failures'), skipped: number('skips') }
  },

  // `node --test` with the tap reporter into {report}.
  node: ({ report }) => {
    const text = read(report)
    const number = (name) => Number(text.match(new RegExp(`^# ${name} (\\d+)$`, 'm'))?.[1] ?? 0)
    return {
      passed: number('pass'),
      failed: number('fail') + number('cancelled'),
      skipped: number('skipped') + number('todo'),
    }
  },

  // Vitest with `--reporter=json --outputFile={report}`. A file that does not load counts as one failure.
  vitest: ({ report }) => {
    const text = read(report)
    if (!text) return nothing()
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(text)
    const broken = testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    )
    return {
      passed: numPassedTests,
      failed: numFailedTests + broken.length,
      skipped: numPendingTests + numTodoTests,
    }
  },

  // Lines `ok ...` and `not ok ...` on the output.
  lines: ({ output }) => ({
    passed: output.match(/^ok /gm)?.length ?? 0,
    failed: output.match(/^not ok /gm)?.length ?? 0,
    skipped: output.match(/^skip /gm)?.length ?? 0,
  }),
}
