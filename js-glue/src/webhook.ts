import { LatchkeyError } from './errors.ts'
import { type Module, place } from './module.ts'
import type {
  Text,
  WebhookDelivery,
  WebhookHeaders,
  WebhookNews,
  WebhookOptions,
  WebhookStream,
} from './types.ts'

const defaultProfile = 'github-app'
const maxBody = 64_000
/** A body is put into the arena in pieces of at most this size. */
const maxPiece = 64_000
const changes = ['none', 'revoked', 'deleted', 'suspended', 'restored'] as const
const reaches = [undefined, 'account', 'installation'] as const
const tokens = ['any', 'user', 'bot'] as const

/** Holds a signature that is being checked as the opaque bytes that the module understands; good for one answer. */
class Stream {
  bytes: Uint8Array | undefined
  #own = true

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  static of(stream: unknown): Stream {
    if (typeof stream === 'object' && stream !== null && #own in stream) return stream
    throw new TypeError('latchkey: expected what webhook.begin returned')
  }
}

/** Puts text, or bytes, as a pair of arguments; absent and empty ones are 0. */
function put(module: Module, value: Text | undefined | null): [at: number, length: number] {
  if (value === undefined || value === null || value === '') return [0, 0]
  const at = module.free
  if (typeof value === 'string') return [at, module.putText(value)]
  module.putBytes(value)
  return [value.length === 0 ? 0 : at, value.length]
}

function checkBody(body: Uint8Array): void {
  if (!ArrayBuffer.isView(body) || body.BYTES_PER_ELEMENT !== 1) {
    throw new TypeError('latchkey: expected a Uint8Array')
  }
}

/** What came in a header; anything that is no text did not come in one. */
const header = (value: unknown): string => (typeof value === 'string' ? value : '')

const is = (error: unknown, code: string): boolean => error instanceof LatchkeyError && error.code === code

export function webhookHeaders(module: Module, profile: string): WebhookHeaders | null {
  try {
    module.call('lk_webhook_headers', ...put(module, profile), module.free)
    const [signature, timestamp, id, event] = module.replyText().split('\n')
    return {
      signature: signature!,
      ...(timestamp && { timestamp }),
      ...(id && { id }),
      ...(event && { event }),
    }
  } catch (error) {
    if (error instanceof LatchkeyError) return null
    throw error
  } finally {
    module.wipe()
  }
}

export function verifyWebhook(
  module: Module,
  secret: Text,
  signature: string,
  body: Uint8Array,
  options: WebhookOptions = {},
): boolean {
  checkBody(body)
  const { profile = defaultProfile, now = 0, timestamp, id } = options
  try {
    if (body.length > maxPiece) {
      const stream = beginWebhook(module, secret, { profile, timestamp, id })
      for (let at = 0; at < body.length; at += maxPiece) {
        updateWebhook(module, stream, body.subarray(at, at + maxPiece))
      }
      return finishWebhook(module, stream, signature, { now })
    }
    const args = [profile, secret, header(signature), header(timestamp), header(id), body]
    module.call('lk_webhook_verify', ...args.flatMap((value) => put(module, value)), now)
    return module.replyFlag()
  } catch (error) {
    // A header that cannot even be passed on is signed by nobody.
    if (is(error, 'webhook_invalid') || is(error, 'utf8_invalid') || is(error, 'output_too_small'))
      return false
    throw error
  } finally {
    module.wipe()
  }
}

export function beginWebhook(module: Module, secret: Text, options: WebhookOptions = {}): WebhookStream {
  const { profile = defaultProfile, timestamp, id } = options
  try {
    const args = [profile, secret, header(timestamp), header(id)]
    module.call('lk_webhook_begin', ...args.flatMap((value) => put(module, value)), module.free)
    return new Stream(module.replyBytes()) as unknown as WebhookStream
  } finally {
    module.wipe()
  }
}

export function updateWebhook(module: Module, stream: WebhookStream, piece: Uint8Array): void {
  const known = Stream.of(stream)
  checkBody(piece)
  for (let at = 0; at < piece.length; at += maxPiece) {
    if (known.bytes === undefined) throw new LatchkeyError('webhook_invalid')
    try {
      const args = [known.bytes, piece.subarray(at, at + maxPiece)]
      module.call('lk_webhook_update', ...args.flatMap((value) => put(module, value)))
      known.bytes.set(module.replyBytes())
    } finally {
      module.wipe()
    }
  }
}

export function finishWebhook(
  module: Module,
  stream: WebhookStream,
  signature: string,
  { now = 0 }: { now?: number | undefined } = {},
): boolean {
  const known = Stream.of(stream)
  const { bytes } = known
  if (bytes === undefined) return false
  known.bytes = undefined
  try {
    module.call('lk_webhook_finish', ...put(module, bytes), ...put(module, header(signature)), now)
    return module.replyFlag()
  } catch (error) {
    if (is(error, 'utf8_invalid') || is(error, 'output_too_small')) return false
    throw error
  } finally {
    bytes.fill(0)
    module.wipe()
  }
}

export function readWebhook(
  module: Module,
  { profile = defaultProfile, event, id, body }: WebhookDelivery,
  { now }: { now: number },
): WebhookNews {
  checkBody(body)
  if (body.length > maxBody) throw new LatchkeyError('webhook_unreadable')
  const reply = 'WebhookReply'
  try {
    const args = [profile, header(event), header(id), body].flatMap((value) => put(module, value))
    module.call('lk_webhook_read', ...args, now, module.free)
    const at = module.f64[place(reply, 'at_ms') >>> 3]!
    const reach = reaches[module.u8[place(reply, 'reach')]!]
    return {
      change: changes[module.u8[place(reply, 'change')]!]!,
      ...(reach === undefined ? undefined : { reach }),
      subjects: subjectsAt(module, module.word(place(reply, 'subjects'))),
      ...(at < 0 ? undefined : { at }),
      once: {
        key: module.text(place(reply, 'key')),
        until: module.f64[place(reply, 'until_ms') >>> 3]!,
      },
    }
  } finally {
    module.wipe()
  }
}

// u16 count, then u16 length, a digit and the id for each.
function subjectsAt(module: Module, list: number): WebhookNews['subjects'] {
  const { u8 } = module
  const u16 = (at: number): number => u8[at]! | (u8[at + 1]! << 8)
  let at = list + 2
  return Array.from({ length: u16(list) }, () => {
    const length = u16(at)
    const kind = tokens[u8[at + 2]! - 48]!
    const id = module.decode(at + 3, length - 1)
    at += 2 + length
    return { id, tokens: kind }
  })
}
