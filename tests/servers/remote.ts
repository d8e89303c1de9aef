/** The methods of an object over HTTP: this file needs nothing but fetch, so that workerd may call too. */

type Method = (...parameters: never[]) => unknown

export type Remote<Control> = {
  readonly [Name in keyof Control]: Control[Name] extends (...parameters: infer Parameters) => infer Result
    ? (...parameters: Parameters) => Promise<Awaited<Result>>
    : never
}

export const controlPath = '/-/'

/** Calls the named method with a JSON list of its parameters; the JSON of its result. */
export async function callControl(control: object, name: string, body: string): Promise<string | undefined> {
  const method = Object.hasOwn(control, name) ? (control as Record<string, unknown>)[name] : undefined
  if (typeof method !== 'function') return undefined
  const result: unknown = await (method as Method)(...(JSON.parse(body) as never[]))
  return JSON.stringify(result ?? null)
}

/** The test interface of the server at that address. A result of `undefined` arrives as null. */
export function remote<Control>(address: string): Remote<Control> {
  const call = async (name: string, parameters: unknown[]): Promise<unknown> => {
    const response = await fetch(`${address}${controlPath}${name}`, {
      method: 'POST',
      body: JSON.stringify(parameters),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${name} answered ${response.status}: ${text}`)
    return JSON.parse(text) as unknown
  }
  const methods: ProxyHandler<object> = {
    get: (_target, name) =>
      typeof name === 'string' && name !== 'then'
        ? (...parameters: unknown[]) => call(name, parameters)
        : undefined,
  }
  return new Proxy({}, methods) as Remote<Control>
}
