/** Who reads a run's log as it grows. Nothing here is kept: a subscriber that is lost comes back with its number. */

/** A piece of a log as it goes out. */
export interface Page {
  readonly bytes: Uint8Array
  /** The number of the last event in it. */
  readonly last: number
  /** That event ends the log. */
  readonly ended: boolean
}

interface Subscriber {
  readonly controller: ReadableStreamDefaultController<Uint8Array>
  /** The number of the last event that went out. */
  seen: number
  /** It has taken all that it was given, and there was no more. */
  hungry: boolean
}

const comment = new TextEncoder().encode(':\n\n')
/** Tells a browser how soon to come back by itself, and opens the stream for everything in between. */
const greeting = new TextEncoder().encode('retry: 1000\n\n')
const beatMs = 15_000

/**
 * All subscribers of one object. Those who have everything cost next to nothing; an event is encoded once for all
 * of them. Whoever is slower than the log reads it in pages, at its own pace. The timer runs only while somebody
 * is subscribed, so it keeps no object in memory that nobody listens to.
 */
export class LogWatch {
  readonly #logs = new Map<number, Set<Subscriber>>()
  readonly #read: (run: number, after: number) => Page | undefined
  readonly #beat: () => void
  #timer: ReturnType<typeof setInterval> | undefined

  /** `read` gives what is durable after a number; `beat` is called from time to time while somebody is subscribed. */
  constructor(read: (run: number, after: number) => Page | undefined, beat: () => void) {
    this.#read = read
    this.#beat = beat
  }

  get subscribers(): number {
    let count = 0
    for (const log of this.#logs.values()) count += log.size
    return count
  }

  /** Events after that number, then whatever comes, up to the one that ends the log. */
  subscribe(run: number, after: number): ReadableStream<Uint8Array> {
    let subscriber: Subscriber
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        subscriber = { controller, seen: after, hungry: false }
        const log = this.#logs.get(run) ?? new Set()
        this.#logs.set(run, log.add(subscriber))
        this.#timer ??= setInterval(() => this.#comment(), beatMs)
        controller.enqueue(greeting)
      },
      pull: () => this.#feed(run, subscriber, this.#read(run, subscriber.seen)),
      cancel: () => this.#leave(run, subscriber),
    })
  }

  /** Tells those who wait that the log has grown; the others find it when they have taken what they have. */
  grown(run: number): void {
    const pages = new Map<number, Page | undefined>()
    for (const subscriber of this.#logs.get(run) ?? []) {
      const { hungry, seen } = subscriber
      if (!hungry) continue
      if (!pages.has(seen)) pages.set(seen, this.#read(run, seen))
      this.#feed(run, subscriber, pages.get(seen))
    }
  }

  #feed(run: number, subscriber: Subscriber, page: Page | undefined): void {
    subscriber.hungry = page === undefined
    if (!page) return
    const { controller } = subscriber
    subscriber.seen = page.last
    controller.enqueue(page.bytes)
    if (!page.ended) return
    this.#leave(run, subscriber)
    controller.close()
  }

  #comment(): void {
    this.#beat()
    for (const log of this.#logs.values())
      for (const { hungry, controller } of log) if (hungry) controller.enqueue(comment)
  }

  #leave(run: number, subscriber: Subscriber): void {
    const log = this.#logs.get(run)
    log?.delete(subscriber)
    if (log?.size === 0) this.#logs.delete(run)
    if (this.#logs.size > 0) return
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#timer = undefined
  }
}
