/** What the commands of this folder print and keep. */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'

export interface Bar {
  readonly what: string
  readonly measured: number
  readonly bar: string
  readonly met: boolean
}

/** A count that must be exactly so. */
export const exactly = (what: string, measured: number, wanted: number): Bar => ({
  what,
  measured,
  bar: `= ${wanted}`,
  met: measured === wanted,
})

export const atMost = (what: string, measured: number, most: number): Bar => ({
  what,
  measured,
  bar: `<= ${most}`,
  met: measured <= most,
})

export const atLeast = (what: string, measured: number, least: number): Bar => ({
  what,
  measured,
  bar: `>= ${least}`,
  met: measured >= least,
})

/** The line that says how far a long run is; a log shows it at most every ten seconds. */
let told = 0
export function progress(text: string): void {
  if (process.stdout.isTTY) {
    process.stdout.write(`\r\x1b[K${text.slice(0, (process.stdout.columns || 80) - 1)}`)
  } else if (text !== '' && Date.now() - told >= 10_000) {
    told = Date.now()
    console.log(text)
  }
}

type Cell = string | number

/** The first column is a name, the others stand to the right. */
export function show(heads: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const lines = [heads, ...rows].map((line) => line.map(String))
  const widths = heads.map((_, n) => Math.max(...lines.map((line) => line[n]?.length ?? 0)))
  for (const line of lines) {
    console.log(
      line.map((text, n) => (n === 0 ? text.padEnd(widths[n]!) : text.padStart(widths[n]! + 2))).join(''),
    )
  }
  console.log()
}

export function showBars(bars: readonly Bar[]): void {
  for (const { what, measured, bar, met } of bars) {
    const number = Number.isInteger(measured) ? String(measured) : measured.toFixed(2)
    console.log(`${met ? 'met   ' : 'MISSED'}  ${what.padEnd(64)}${number.padStart(10)}  ${bar}`)
  }
}

/** Writes bench/<name>.json, as bench/results.json is written. */
export async function keep(name: string, results: object): Promise<void> {
  const file = fileURLToPath(new URL(`../../bench/${name}.json`, import.meta.url))
  const style = await resolveConfig(file)
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value
  await writeFile(file, await format(JSON.stringify(results, rounded), { ...style, parser: 'json' }))
}

/** The whole number that an option says, within its bounds, or the end of the command with one line. */
export function numberOf(name: string, text: string | boolean, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(String(text)) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  console.error(`--${name} takes a whole number from ${least} to ${most}`)
  process.exit(2)
}
