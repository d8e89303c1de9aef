/** A run that works by itself, for a look at what happens when a tab or the Worker dies. In development only. */
export const demonstrationInput = (steps: number): string => JSON.stringify({ demonstration: steps })

const mostSteps = 600

/** How many steps it has; nothing for any other input. */
export function demonstration(input: string): number | undefined {
  const steps = Number(/^\{"demonstration":(\d{1,3})\}$/.exec(input)?.[1])
  return steps >= 1 && steps <= mostSteps ? steps : undefined
}
