/**
 * Stands between the Worker and the token endpoint: writes down what passes, in order, and lets somebody act at the
 * moments that matter. It changes nothing.
 */
import { Agent, request as send, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen, readBody, type Listener } from '../servers/http.ts'
import { digest, type Recorder } from './history.ts'

/** Moments of one refresh; all but the first only of one that bought a new pair. */
export const moments = ['received', 'committed', 'half-sent', 'sent'] as const
export type Moment = (typeof moments)[number]

/** Called at each moment of a refresh; true when it ended the Worker, and there is nobody to answer. */
export type Hook = (moment: Moment) => boolean

export async function startTap(provider: string, recorder: Recorder, hook: Hook): Promise<Listener> {
  // A connection that is kept may be closed by the other side just as it is used again, and a request would be lost here.
  const agent = new Agent({ keepAlive: false })
  let calls = 0
  const listener = await listen(async (request, response) => {
    const body = await readBody(request)
    calls += 1
    await pass(calls, request, response, body)
  })

  async function pass(call: number, request: IncomingMessage, response: ServerResponse, body: string) {
    const form = new URLSearchParams(body)
    const [token, code] = [form.get('refresh_token'), form.get('code')]
    const refreshes = token !== null
    recorder.write({
      e: 'sent',
      call,
      ...(token !== null && { token: digest(token) }),
      ...(code !== null && { code: digest(code) }),
    })
    const undelivered = () => recorder.write({ e: 'undelivered', call })
    if (refreshes && hook('received')) return undelivered()
    recorder.write({ e: 'passed', call })
    const answer = await forward(request, body)
    const text = await readBody(answer)
    const bought = note(call, answer, text)
    const ended = (moment: Moment): boolean => refreshes && bought && hook(moment)
    if (ended('committed')) return undelivered()

    const { connection: _hop, 'transfer-encoding': _encoding, ...headers } = answer.headers
    response.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': Buffer.byteLength(text) })
    response.once('close', () => {
      recorder.write({ e: response.writableFinished ? 'delivered' : 'undelivered', call })
      if (response.writableFinished) ended('sent')
    })
    const half = text.slice(0, text.length >> 1)
    response.write(half)
    if (ended('half-sent')) return void response.destroy()
    response.end(text.slice(half.length))
  }

  function forward(request: IncomingMessage, body: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { connection: _hop, ...headers } = request.headers
      const forwarded = send(new URL(request.url ?? '/', provider), {
        method: request.method ?? 'GET',
        headers,
        agent,
      })
      forwarded.once('error', reject)
      forwarded.once('response', resolve)
      forwarded.end(body)
    })
  }

  function note(call: number, answer: IncomingMessage, text: string): boolean {
    const { access_token: access, refresh_token: refresh, error } = fieldsOf(answer, text)
    if (access !== undefined && refresh !== undefined) {
      recorder.write({ e: 'bought', call, access: digest(access), refresh: digest(refresh) })
      return true
    }
    recorder.write({ e: 'refused', call, error: error ?? String(answer.statusCode) })
    return false
  }

  const close = async (): Promise<void> => {
    await listener.close()
    agent.destroy()
  }
  return { address: listener.address, close }
}

const fieldsOf = (answer: IncomingMessage, text: string): Record<string, string | undefined> =>
  answer.headers['content-type']?.includes('json')
    ? (JSON.parse(text) as Record<string, string>)
    : Object.fromEntries(new URLSearchParams(text))
