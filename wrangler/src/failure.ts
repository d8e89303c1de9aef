/** Kind and place of a failure; its message could quote what was asked. */
export function logFailure(error: unknown): void {
  const place =
    error instanceof Error
      ? error.stack
          ?.split('\n')
          .find((line) => line.includes(' at '))
          ?.trim()
      : ''
  console.error(
    JSON.stringify({ event: 'failure', kind: error instanceof Error ? error.name : typeof error, place }),
  )
}
