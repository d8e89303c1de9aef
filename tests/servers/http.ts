/** What every server here needs: a listener on loopback, a bounded body, an answer that knows whether it was sent. */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body: string | Buffer
}

export interface Listener {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  readonly address: string
  close(): Promise<void>
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

const bodyLimit = 65_536

export async function listen(handle: Handler, port = 0): Promise<Listener> {
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  // The next request of a client never meets a connection that the server is just about to close.
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host: '127.0.0.1', backlog: 1_024 }, resolve)
  })
  return { address: `http://127.0.0.1:${portOf(server)}`, close: () => close(server) }
}

function portOf(server: Server): number {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port')
  return address.port
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > bodyLimit) throw new Error('the body is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Whether the whole answer went out: false when the client had left. It may still die before it reads. */
export async function send(response: ServerResponse, answer: Answer): Promise<boolean> {
  if (response.destroyed || response.socket?.destroyed !== false) return false
  const closed = new Promise<boolean>((resolve) => {
    response.once('close', () => resolve(response.writableFinished))
  })
  const headers = { 'content-length': Buffer.byteLength(answer.body), ...answer.headers }
  response.writeHead(answer.status, headers).end(answer.body)
  return await closed
}

export const json = (status: number, value: unknown): Answer => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(value),
})

export const html = (status: number, text: string): Answer => ({
  status,
  headers: { 'content-type': 'text/html; charset=utf-8' },
  body: `<!doctype html><title>${text}</title><p>${text}</p>`,
})

export const redirect = (location: string): Answer => ({ status: 302, headers: { location }, body: '' })
