/** How vectors are written, and how their outcomes are compared in every runtime. */

/** One question and its one answer: the inputs by name, and either `expect` or `error`. */
export interface Vector extends Readonly<Record<string, unknown>> {
  readonly id: string
  readonly comment: string
  readonly op: string
}

export interface Document {
  readonly about: string
  readonly vectors: readonly Vector[]
}

/** What an operation came to: a value, or the code of its refusal and where it was noticed. */
export type Outcome = { readonly expect: unknown } | { readonly error: string; readonly at?: number | string }

interface Repeated {
  readonly before?: string
  readonly repeat: string
  readonly times: number
  readonly after?: string
}

/** Replaces every `{ before?, repeat, times, after? }` by the text that it stands for. */
export function spelledOut(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(spelledOut)
  if ('repeat' in value) {
    const { before = '', repeat, times, after = '' } = value as Repeated
    return before + repeat.repeat(times) + after
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, spelledOut(member)]))
}

export function outcomeOf(vector: Vector): Outcome {
  const { expect, error, at } = spelledOut(vector) as Record<string, unknown>
  if (error === undefined) return { expect }
  return { error: error as string, ...(at === undefined ? {} : { at: at as number | string }) }
}

/** JSON with the members of every object in order and no blanks. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  members.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}

/** SHA-256, in hexadecimal, over a line for each outcome: its id, a blank, its canonical JSON. */
export async function digestOf(answers: readonly { id: string; outcome: Outcome }[]): Promise<string> {
  const lines = answers.map(({ id, outcome }) => `${id} ${canonical(outcome)}\n`).join('')
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(lines))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
