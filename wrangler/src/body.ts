import { Refusal } from './refusal.ts'

export const bodyLimit = 64_000

/** Reads at most `limit` bytes and lets go of the stream as soon as there are more. */
export async function readBytes(
  stream: ReadableStream<Uint8Array> | null,
  limit = bodyLimit,
): Promise<Uint8Array> {
  if (!stream) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > limit) {
      await reader.cancel()
      throw new Refusal('too_large')
    }
    chunks.push(value)
  }
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

/** A request's body. One that says how long it is, and is not too long, comes as a whole: that costs a fifth. */
async function readBody(request: Request): Promise<Uint8Array> {
  const said = request.headers.get('content-length')
  if (said === null || !(Number(said) <= bodyLimit)) return await readBytes(request.body)
  const bytes = new Uint8Array(await request.arrayBuffer())
  if (bytes.length > bodyLimit) throw new Refusal('too_large')
  return bytes
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 without replacement: what is not well-formed is refused. */
function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Refusal('request_invalid')
  }
}

const mediaType = (request: Request): string =>
  (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''

export async function readForm(request: Request): Promise<URLSearchParams> {
  if (mediaType(request) !== 'application/x-www-form-urlencoded') throw new Refusal('media_type_refused')
  return new URLSearchParams(decode(await readBody(request)))
}

/** A JSON object; an empty body is an empty object. */
export async function readJson(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const text = decode(await readBody(request))
  if (text === '') return {}
  if (mediaType(request) !== 'application/json') throw new Refusal('media_type_refused')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Refusal('request_invalid')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refusal('request_invalid')
  return value as Record<string, unknown>
}

/** A field that may stand there at most once. */
export function single(params: URLSearchParams, name: string): string | undefined {
  const values = params.getAll(name)
  if (values.length > 1) throw new Refusal('request_invalid')
  return values[0]
}
