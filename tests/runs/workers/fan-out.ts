/** As little as a Worker can do to send a text to everybody who listens: what the log of runs is measured against. */
import { DurableObject } from 'cloudflare:workers'

interface Env {
  readonly ROOM: DurableObjectNamespace<Room>
}

export class Room extends DurableObject<Env> {
  readonly #listeners = new Set<ReadableStreamDefaultController<Uint8Array>>()

  override async fetch(request: Request): Promise<Response> {
    if (request.method === 'POST') {
      const bytes = new TextEncoder().encode(`data: ${await request.text()}\n\n`)
      for (const listener of this.#listeners) listener.enqueue(bytes)
      return new Response()
    }
    let mine: ReadableStreamDefaultController<Uint8Array>
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        mine = controller
        controller.enqueue(new TextEncoder().encode(':\n\n'))
        this.#listeners.add(controller)
      },
      cancel: () => void this.#listeners.delete(mine),
    })
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
  }
}

export default {
  fetch: (request, env) => env.ROOM.getByName('room').fetch(request),
} satisfies ExportedHandler<Env>
