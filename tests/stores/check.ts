/** Assertions that are the same in every runtime. */
const plain = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => (member instanceof Uint8Array ? [...member] : member)) ??
  'undefined'

export function equal(actual: unknown, expected: unknown, what: string): void {
  const [is, should] = [plain(actual), plain(expected)]
  if (is !== should) throw new Error(`${what}: ${is.slice(0, 400)} instead of ${should.slice(0, 400)}`)
}

export function ok(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(what)
}
